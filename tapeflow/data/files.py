"""Elements in files, for `cache`, `snapshot` and `save`: a header, a record for each element, and at the end their number.

A file begins with `MAGIC` and a line of JSON, the header. A record is the length of its body, a checksum of it, and the body: for
each tensor the number of its dimensions, the dimensions, and its bytes; a string tensor's are the lengths of the strings and
these. The last record has the length `END` and holds the number of elements. A file is written under another name and gets its
own when it is whole, so what is there is whole; all numbers are little-endian.
"""

import contextlib
import json
import os
import struct
import zlib

import numpy as np

from tapeflow.base.dtypes import as_dtype, string
from tapeflow.base.errors import DataLossError, InvalidArgumentError, UnimplementedError
from tapeflow.core.tensor import wrap
from tapeflow.data.function import plain
from tapeflow.data.stream import Stream
from tapeflow.data.structure import flat_values
from tapeflow.data.traced import component_values, flat_specs, packed

MAGIC = b"tapeflow elements 1\n"
END = 2**64 - 1
_FRAME = struct.Struct("<QI")  # of a record: length and checksum of the body
_LARGEST_HEADER = 1 << 20


def opened(path, mode, compression):
    """The file, through gzip where that is asked for.

    Raises:
        UnimplementedError: another compression.
    """
    if compression in (None, "", "AUTO", "NONE"):
        return open(path, mode)
    if compression == "GZIP":
        import gzip

        return gzip.open(path, mode, compresslevel=1)
    raise UnimplementedError(None, None, f"There is no compression {compression!r} here: use 'GZIP' or None.")


class ElementWriter:
    """Writes a file of elements, which is there under its name once `finish` is called, and otherwise never.

    Args:
        path: the file.
        spec: the nest of specs of the elements.
        compression: "GZIP" or None.
    """

    def __init__(self, path, spec, compression=None):
        self._path = path
        self._plain = plain(spec)
        self._specs = flat_specs(spec)
        if any(spec.dtype.numpy_dtype is None for spec in self._specs):
            raise InvalidArgumentError(None, None, f"Elements of this kind cannot be written to a file: {spec}")
        self._temporary = f"{path}.{os.urandom(8).hex()}.tmp"
        self._file = opened(self._temporary, "wb", compression)
        self._count = 0
        header = [spec.dtype.name for spec in self._specs]
        self._file.write(MAGIC + json.dumps({"dtypes": header}).encode() + b"\n")

    def write(self, leaves):
        """Add an element."""
        parts = leaves if self._plain else component_values(leaves)
        body = b"".join([_packed(part, spec.dtype) for part, spec in zip(parts, self._specs, strict=True)])
        self._file.write(_FRAME.pack(len(body), zlib.crc32(body)))
        self._file.write(body)
        self._count += 1

    def finish(self):
        """Write the end, and give the file its name."""
        end = struct.pack("<Q", self._count)
        self._file.write(_FRAME.pack(END, zlib.crc32(end)) + end)
        self._file.close()
        with open(self._temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(self._temporary, self._path)
        self._file = None

    def discard(self):
        """Delete what was written, where it was not finished."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._temporary)


def _packed(value, dtype):
    array = np.asarray(value)
    head = struct.pack(f"<B{array.ndim}q", array.ndim, *array.shape)
    if dtype is string:
        items = [bytes(item) for item in array.ravel()]
        return head + np.array([len(item) for item in items], "<i8").tobytes() + b"".join(items)
    return head + np.ascontiguousarray(array).tobytes()


class ElementReader(Stream):
    """The elements of a file.

    Args:
        path: the file.
        spec: the nest of specs of the elements.
        compression: as when it was written.

    Raises:
        DataLossError: (while reading) the file is damaged or cut off; it names the file and the offset.
        InvalidArgumentError: its elements are of other types.
    """

    __slots__ = ("_count", "_file", "_offset", "_path", "_plain", "_spec", "_specs")

    def __init__(self, path, spec, compression=None):
        self._path, self._spec = path, spec
        self._plain = plain(spec)
        self._specs = flat_specs(spec)
        self._file = opened(path, "rb", compression)
        self._offset = self._count = 0
        if self._read(len(MAGIC)) != MAGIC:
            raise self._lost("it is no file of elements")
        line = self._file.readline(_LARGEST_HEADER)
        self._offset += len(line)
        try:
            found = [as_dtype(name) for name in json.loads(line)["dtypes"]]
        except (ValueError, KeyError, TypeError) as error:
            raise self._lost("its header cannot be read") from error
        if found != [spec.dtype for spec in self._specs]:
            raise InvalidArgumentError(
                None, None, f"{path} holds elements of types {found}, but elements of {spec} are asked for."
            )

    def __next__(self):
        if self._file is None:
            raise StopIteration
        length, checksum = _FRAME.unpack(self._read(_FRAME.size))
        body = self._read(8 if length == END else length)
        if zlib.crc32(body) != checksum:
            raise self._lost("the checksum of a record is wrong")
        if length == END:
            self._close(struct.unpack("<Q", body)[0])
            raise StopIteration
        self._count += 1
        values = _unpacked(memoryview(body), self._specs)
        return values if self._plain else flat_values(packed(self._spec, map(wrap, values)))

    def _read(self, count):
        try:
            found = self._file.read(count)
        except (EOFError, OSError, OverflowError, MemoryError, zlib.error) as error:
            raise self._lost("it cannot be read") from error
        if len(found) < count:
            raise self._lost("it is cut off")
        self._offset += count
        return found

    def _lost(self, what):
        self._file = None
        return DataLossError(None, None, f"{self._path}: {what} at offset {self._offset}.")

    def _close(self, count):
        self._file.close()
        if count != self._count:
            raise self._lost(f"it has {self._count} elements in place of {count}")
        self._file = None


def _unpacked(body, specs):
    values = []
    for spec in specs:
        rank = body[0]
        dims = struct.unpack_from(f"<{rank}q", body, 1)
        body = body[1 + 8 * rank :]
        count = int(np.prod(dims, dtype=np.int64))
        if spec.dtype is string:
            lengths = np.frombuffer(body[: 8 * count], "<i8").tolist()
            body = body[8 * count :]
            array = np.empty(count, object)
            for i, length in enumerate(lengths):
                array[i], body = bytes(body[:length]), body[length:]
        else:
            dtype = spec.dtype.numpy_dtype
            size = count * dtype.itemsize
            array, body = np.frombuffer(body[:size], dtype).copy(), body[size:]
        array = array.reshape(dims)
        values.append(array if dims or spec.dtype is string else array[()])
    return values
