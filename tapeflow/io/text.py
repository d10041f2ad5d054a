"""Files of text lines, of records of a fixed length, and of comma-separated values (RFC 4180)."""

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.io.files import compression_of, damaged, named_errors, open_compressed, path_of, whole_streams


class _Reader:
    """An iterator over a file that closes it at its end, by `close`, or as a `with` statement ends."""

    def __init__(self, path, compression_type=None, buffer_size=None):
        self.path = path_of(path)
        self.offset = 0  # of what comes next, in the decompressed data
        self._compression = compression_of(compression_type)
        self._file = open_compressed(path, compression_type, buffer_size)

    def __iter__(self):
        return self

    def close(self):
        """Close the file; again is harmless."""
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _guarded(self):
        return whole_streams(self.path, lambda: self.offset)


class LineReader(_Reader):
    """The lines of a text file, as bytes without their ends (`\\n` or `\\r\\n`).

    Args:
        path: the file's name.
        compression_type: None or "", "GZIP" or "ZLIB".
        buffer_size: how many bytes are read ahead.

    Raises:
        NotFoundError, PermissionDeniedError: the file cannot be read.
        DataLossError: from `next`, where the compressed data is damaged.
    """

    def __next__(self):
        if self._file.closed:
            raise StopIteration
        with self._guarded():
            line = self._file.readline()
        if not line:
            self.close()
            raise StopIteration
        self.offset += len(line)
        if line.endswith(b"\n"):
            line = line[:-1]
            if line.endswith(b"\r"):
                line = line[:-1]
        return line


class FixedLengthReader(_Reader):
    """The records of a file in which each has the same length, as bytes.

    Args:
        path: the file's name.
        record_bytes: the length of a record.
        header_bytes, footer_bytes: what is left out at the file's start and end.
        buffer_size: how many bytes are read ahead.
        compression_type: None or "", "GZIP" or "ZLIB".

    Raises:
        InvalidArgumentError: no whole number of records.
        NotFoundError, PermissionDeniedError: the file cannot be read.
        DataLossError: from `next`, where the compressed data is damaged.
    """

    def __init__(self, path, record_bytes, header_bytes=0, footer_bytes=0, buffer_size=None, compression_type=None):
        if record_bytes < 1 or min(header_bytes, footer_bytes) < 0:
            raise InvalidArgumentError(
                None,
                None,
                f"record_bytes must be positive, header_bytes and footer_bytes not negative: got {record_bytes}, "
                f"{header_bytes} and {footer_bytes}",
            )
        super().__init__(path, compression_type, buffer_size)
        self._length, self._footer = record_bytes, footer_bytes
        self._header = header_bytes
        self._ahead = b""
        if not self._compression:
            with named_errors(self.path):
                size = self._file.seek(0, 2)
                self._file.seek(0)
            body = size - header_bytes - footer_bytes
            if body < 0 or body % record_bytes:
                self.close()
                raise self._uneven(body)

    def _uneven(self, body):
        return InvalidArgumentError(
            None,
            None,
            f'Excluding the header ({self._header} bytes) and footer ({self._footer} bytes), input file "{self.path}" has body '
            f"length {body} bytes, which is not an exact multiple of the record length ({self._length} bytes).",
        )

    def __next__(self):
        if self._file.closed:
            raise StopIteration
        with self._guarded():
            if self.offset < self._header:
                skipped = self._file.read(self._header)
                self.offset += len(skipped)
                if len(skipped) < self._header:
                    raise damaged(self.path, self.offset, f"truncated header of {self._header} bytes")
            self._ahead += self._file.read(self._length + self._footer - len(self._ahead))
        if len(self._ahead) <= self._footer:  # what is left is the footer, which is no record
            self.close()
            raise StopIteration
        if len(self._ahead) < self._length + self._footer:
            self.close()
            raise self._uneven(self.offset - self._header + len(self._ahead) - self._footer)
        record, self._ahead = self._ahead[: self._length], self._ahead[self._length :]
        self.offset += self._length
        return record


def csv_fields(record, delimiter=b",", quotes=True):
    """The fields of one CSV record, as a list of bytes.

    Args:
        record: the record's bytes, without its line's end; none at all are no fields.
        delimiter: one byte.
        quotes: whether fields may stand in double quotes, in which two of them mean one.

    Raises:
        InvalidArgumentError: quotes where none may be.

    Example:
        >>> csv_fields(b'1,"a ""b"", c",')
        [b'1', b'a "b", c', b'']
    """
    if not (b"\n" in record or b"\r" in record or (quotes and b'"' in record)):
        return record.split(delimiter) if record else []
    fields, at, size = [], 0, len(record)
    while at < size:
        if record[at : at + 1] in (b"\n", b"\r"):  # which may stand before a field
            at += 1
            continue
        if quotes and record[at : at + 1] == b'"':
            field, at = _quoted(record, at + 1)
            if at < size and record[at : at + 1] != delimiter:
                raise _bad("Quote inside a string has to be escaped by another quote")
        else:
            end = record.find(delimiter, at)
            field, at = (record[at:], size) if end < 0 else (record[at:end], end)
            if b"\n" in field or b"\r" in field or (quotes and b'"' in field):
                raise _bad("Unquoted fields cannot have quotes/CRLFs inside")
        fields.append(field)
        at += 1
    if record.endswith(delimiter):
        fields.append(b"")
    return fields


def _quoted(record, at):
    """A field that began with a quote before `at`, and where it ends."""
    parts = []
    while True:
        end = record.find(b'"', at)
        if end < 0:
            raise _bad("Quoted field has to end with quote followed by delim or end")
        parts.append(record[at:end])
        if record[end + 1 : end + 2] != b'"':
            return b"".join(parts), end + 1
        parts.append(b'"')
        at = end + 2


def _bad(text):
    return InvalidArgumentError(None, None, f"{text} [Op:DecodeCSV]")


class CsvReader(_Reader):
    """The records of a CSV file, as bytes; a quoted field may hold the ends of lines. `csv_fields` takes a record apart.

    Arguments and errors as those of `LineReader`; `quotes` says whether fields may be quoted.
    """

    def __init__(self, path, compression_type=None, buffer_size=None, quotes=True):
        super().__init__(path, compression_type, buffer_size)
        self._quotes = quotes

    def __next__(self):
        if self._file.closed:
            raise StopIteration
        with self._guarded():
            record = self._file.readline()
            while self._quotes and record.count(b'"') % 2:
                more = self._file.readline()
                if not more:
                    break
                record += more
        if not record:
            self.close()
            raise StopIteration
        self.offset += len(record)
        return record.removesuffix(b"\n").removesuffix(b"\r") if record.endswith(b"\n") else record
