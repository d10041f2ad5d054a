"""Tensor bundles, TensorFlow's files of named tensors: `x.index` says where they are, `x.data-00000-of-00001` holds them."""

import contextlib
import math
import os
import struct

import numpy as np

from tapeflow.base.dtypes import as_dtype, string
from tapeflow.base.errors import DataLossError, InvalidArgumentError, NotFoundError, UnimplementedError
from tapeflow.io import sstable
from tapeflow.io.checksums import extended, mask, masked, unmask
from tapeflow.io.files import damaged, named_errors, path_of, read_bytes, temporary_name
from tapeflow.io.messages import message

VERSION = 1
_INT = struct.Struct("<I")


def index_name(prefix):
    """The file that says where the tensors are."""
    return f"{prefix}.index"


def data_name(prefix, shard=0, shards=1):
    """A file that holds tensors."""
    return f"{prefix}.data-{shard:05d}-of-{shards:05d}"


def write_bundle(prefix, tensors):
    """Write all tensors, or none: both files are written under other names, and the index is renamed last.

    Args:
        prefix: the path that both files' names begin with. Missing folders are made.
        tensors: by name, pairs of a `DType` and an array.

    Raises:
        InvalidArgumentError: a dtype that files do not hold.
        PermissionDeniedError, FailedPreconditionError, ResourceExhaustedError: the files cannot be written.
    """
    prefix = path_of(prefix)
    names = data_name(prefix), index_name(prefix)
    temporary = [temporary_name(name) for name in names]
    header = message("BundleHeaderProto")(num_shards=1)
    header.version.producer = VERSION
    items = [(b"", header.SerializeToString())]
    with named_errors(prefix):
        os.makedirs(os.path.dirname(prefix) or ".", exist_ok=True)
        try:
            with open(temporary[0], "xb") as file:
                for name in sorted(tensors, key=str.encode):
                    items.append((name.encode(), _written(file, name, *tensors[name])))
            with open(temporary[1], "xb") as file:
                file.write(sstable.encoded(items))
            for source, target in zip(temporary, names, strict=True):
                os.replace(source, target)
        finally:
            for name in temporary:
                with contextlib.suppress(OSError):
                    os.unlink(name)


def _written(file, name, dtype, array):
    """Write an array; returns its entry for the index."""
    array = np.asarray(array)
    if dtype is not string and array.dtype.hasobject:
        raise InvalidArgumentError(None, None, f"A tensor of dtype {dtype.name} cannot be saved: {name}")
    entry = message("BundleEntryProto")(dtype=dtype.as_datatype_enum, offset=file.tell())
    entry.shape.SetInParent()
    for n in array.shape:
        entry.shape.dim.add(size=n)
    if dtype is string:
        data, crc = _strings(array.ravel().tolist())
        entry.crc32c = mask(crc)
    else:
        data = np.ascontiguousarray(array).tobytes()
        entry.crc32c = masked(data)
    entry.size = len(data)
    file.write(data)
    return entry.SerializeToString()


def _strings(values):
    """Strings as they stand in a file, and their checksum: the lengths, the lengths' checksum, the strings."""
    lengths = [len(value) for value in values]
    crc = extended(0, b"".join(map(_length_bytes, lengths)))
    check, body = _INT.pack(mask(crc)), b"".join(values)
    crc = extended(extended(crc, check), body)
    return b"".join(map(sstable.varint, lengths)) + check + body, crc


def _length_bytes(length):
    """A length as its checksum takes it: as a fixed number, not as it stands in the file."""
    return struct.pack("<I" if length < 1 << 32 else "<Q", length)


class BundleReader:
    """The tensors of a bundle; nothing but the index is read before one is asked for.

    Args:
        prefix: what the names of its files begin with.

    Raises:
        NotFoundError: there is no such bundle.
        DataLossError: its index is damaged.
        UnimplementedError: it was written on a machine of the other byte order, or by a later format.
    """

    def __init__(self, prefix):
        self.prefix = path_of(prefix)
        self._path = index_name(self.prefix)
        if not os.path.exists(self._path):
            raise NotFoundError(
                None,
                None,
                f"Unsuccessful TensorSliceReader constructor: Failed to find any matching files for {self.prefix}",
            )
        items = sstable.decoded(read_bytes(self._path), self._path)
        header = self._parsed("BundleHeaderProto", "the header", items.pop(b"", None))
        if header.endianness != 0 or header.version.min_consumer > VERSION:
            raise UnimplementedError(
                None, None, f"{self._path}: byte order {header.endianness}, version {header.version.min_consumer}"
            )
        self._shards = header.num_shards
        self._entries = {
            key.decode(errors="replace"): self._parsed("BundleEntryProto", f"the entry of {key!r}", data)
            for key, data in items.items()
        }

    def _parsed(self, kind, what, data):
        from google.protobuf.message import DecodeError

        try:
            if data is not None:
                return message(kind).FromString(data)
        except DecodeError:
            pass
        raise DataLossError(None, None, f"corrupted index of tensors: {what} is missing or damaged in {self._path}")

    def names(self):
        """The names of all tensors, sorted."""
        return sorted(self._entries)

    def __contains__(self, name):
        return name in self._entries

    def _entry(self, name):
        if name not in self._entries:
            raise NotFoundError(None, None, f"Key {name} not found in checkpoint")
        return self._entries[name]

    def shape(self, name):
        """The shape of a tensor as a tuple; raises NotFoundError."""
        return tuple(dim.size for dim in self._entry(name).shape.dim)

    def dtype(self, name):
        """The `DType` of a tensor.

        Raises:
            NotFoundError: there is no such tensor.
            UnimplementedError: it is of a type that there is not here.
        """
        number = self._entry(name).dtype
        try:
            return as_dtype(number)
        except TypeError:
            raise UnimplementedError(
                None, None, f"The tensor {name} is of the data type {number}, which is not read."
            ) from None

    def array(self, name):
        """A tensor as an array of its own.

        Raises:
            NotFoundError: there is no such tensor, or its file is missing.
            DataLossError: its file is truncated or damaged, with the offset in it.
            UnimplementedError: it is a variant, or cut into slices.
        """
        entry, dtype, shape = self._entry(name), self.dtype(name), self.shape(name)
        if entry.slices:
            raise UnimplementedError(None, None, f"The tensor {name} is saved in slices, which are not read.")
        path = data_name(self.prefix, entry.shard_id, self._shards)
        with named_errors(path), open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            if entry.offset < 0 or entry.size < 0 or entry.offset + entry.size > file.tell():
                raise damaged(path, entry.offset, f"truncated tensor {name} of {entry.size} bytes")
            file.seek(entry.offset)
            data = file.read(entry.size)
        if dtype is string:
            return self._string_array(data, entry, shape, path, name)
        if dtype.numpy_dtype is None:
            raise UnimplementedError(None, None, f"The tensor {name} of dtype {dtype.name} is not read.")
        if entry.size != math.prod(shape) * dtype.size:
            raise damaged(path, entry.offset, f"tensor {name} of shape {list(shape)} has {entry.size} bytes")
        if masked(data) != entry.crc32c:
            raise damaged(path, entry.offset, f"checksum does not match: corrupted tensor {name}")
        return np.frombuffer(data, dtype.numpy_dtype).reshape(shape).copy()

    def _string_array(self, data, entry, shape, path, name):
        lengths, place = [], 0
        try:
            for _ in range(math.prod(shape)):
                length, place = sstable.read_varint(data, place)
                lengths.append(length)
        except ValueError:
            raise damaged(path, entry.offset + place, f"corrupted lengths of the string tensor {name}") from None
        values = np.empty(len(lengths), object)
        place += _INT.size
        for i, length in enumerate(lengths):
            values[i] = data[place : place + length]
            place += length
        if place != len(data) or _strings(values.tolist()) != (data, unmask(entry.crc32c)):
            raise damaged(path, entry.offset, f"checksum does not match: corrupted string tensor {name}")
        return values.reshape(shape)
