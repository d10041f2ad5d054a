"""TFRecord files: each record is its length, the length's checksum, its bytes, and their checksum."""

import struct
import zlib

from tapeflow.base.errors import FailedPreconditionError
from tapeflow.io.checksums import masked
from tapeflow.io.files import compression_of, damaged, named_errors, open_compressed, path_of, whole_streams

_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_STEP = 1 << 24  # so much is read at once: a damaged length must not ask for all memory


class RecordReader:
    """The records of a TFRecord file, as bytes, in their order; close it, or use it in a `with` statement.

    Args:
        path: the file's name.
        compression_type: None or "", "GZIP" or "ZLIB".
        buffer_size: how many bytes are read ahead.

    Raises:
        NotFoundError, PermissionDeniedError: the file cannot be read.
        DataLossError: from `next`, where a record is truncated or damaged; with the file and the offset in it.
    """

    def __init__(self, path, compression_type=None, buffer_size=None):
        self.path = path_of(path)
        self.offset = 0  # of the next record, in the decompressed data
        self._compressed = compression_of(compression_type) != ""
        self._file = open_compressed(path, compression_type, buffer_size)

    def __iter__(self):
        return self

    def __next__(self):
        if self._file.closed:
            raise StopIteration
        if self._compressed:
            with whole_streams(self.path, lambda: self.offset):
                return self._next()
        return self._next()

    def _next(self):
        header = self._file.read(12)
        if not header:
            self.close()
            raise StopIteration
        if len(header) < 12:
            raise self._damaged("truncated record")
        length, crc = _HEADER.unpack(header)
        if masked(header[:8]) != crc:
            raise self._damaged("corrupted record; Is this even a TFRecord file? The length's checksum is wrong")
        body = self._file.read(length + 4) if length < _STEP else self._long(length + 4)
        if len(body) < length + 4:
            raise self._damaged(f"truncated record of {length} bytes")
        data = body[:-4]
        if masked(data) != _CRC.unpack_from(body, length)[0]:
            raise self._damaged(f"corrupted record of {length} bytes: its checksum is wrong")
        self.offset += length + 16
        return data

    def _damaged(self, text):
        """The error of what stands here; nothing behind it can be told from it, so the file is closed."""
        self.close()
        return damaged(self.path, self.offset, text)

    def _long(self, count):
        parts = []
        while count:
            part = self._file.read(min(count, _STEP))
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def close(self):
        """Close the file; again is harmless."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Deflated:
    """A file of which each write is compressed.

    Args:
        file: the file below, which is closed with this one.
        settings: zlib's `level`, `method`, `wbits`, `memLevel` and `strategy`.
        flush_mode: how `flush` flushes the compressor.
    """

    def __init__(self, file, settings, flush_mode=zlib.Z_SYNC_FLUSH):
        self._file = file
        self._deflater = zlib.compressobj(**settings)
        self._flush_mode = flush_mode

    def write(self, data):
        """Compress some bytes."""
        self._file.write(self._deflater.compress(data))

    def flush(self):
        """Hand what was written to the operating system."""
        if self._flush_mode != zlib.Z_NO_FLUSH:
            self._file.write(self._deflater.flush(self._flush_mode))
        self._file.flush()

    def close(self):
        """End the stream."""
        if not self._file.closed:
            self._file.write(self._deflater.flush(zlib.Z_FINISH))
            self._file.close()


class RecordWriter:
    """Writes a TFRecord file. It is written in place, not renamed when whole: what was flushed can be read meanwhile.

    Args:
        path: the file's name; its folders must exist.
        compression_type: None or "", "GZIP" or "ZLIB".
        settings: zlib's settings where they are not its defaults.
        flush_mode: how `flush` flushes the compressor.
    """

    def __init__(self, path, compression_type=None, settings=(), flush_mode=zlib.Z_SYNC_FLUSH):
        self.path = path_of(path)
        compression = compression_of(compression_type)
        with named_errors(self.path):
            self._file = open(self.path, "wb", buffering=1 << 18)  # noqa: SIM115 (`close` does)
        if compression:
            wbits = zlib.MAX_WBITS + 16 if compression == "GZIP" else zlib.MAX_WBITS
            self._file = Deflated(self._file, {"wbits": wbits, **dict(settings)}, flush_mode)
        self._open = True

    def write(self, record):
        """Append a record, a bytes-like object.

        Raises:
            FailedPreconditionError: the writer was closed.
        """
        if not self._open:
            raise FailedPreconditionError(None, None, f"Writer not initialized or previously closed: {self.path}")
        data = bytes(record)
        length = _LENGTH.pack(len(data))
        with named_errors(self.path):
            self._file.write(b"".join((length, _CRC.pack(masked(length)), data, _CRC.pack(masked(data)))))

    def __del__(self):
        if getattr(self, "_open", False):  # a compressed stream would be left without its end
            self.close()

    def flush(self):
        """Hand what was written to the operating system."""
        if self._open:
            with named_errors(self.path):
                self._file.flush()

    def close(self):
        """Close the file; again is harmless."""
        if self._open:
            self._open = False
            with named_errors(self.path):
                self._file.close()


__all__ = ["Deflated", "RecordReader", "RecordWriter"]
