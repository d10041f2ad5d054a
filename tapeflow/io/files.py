"""Files as the rest of tapeflow reaches them: TensorFlow's exceptions with the file's name, whole writes, compression."""

import contextlib
import errno
import io
import os
import zlib

from tapeflow.base.errors import (
    AlreadyExistsError,
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnimplementedError,
    UnknownError,
)

ERRORS = {
    errno.ENOENT: NotFoundError,
    errno.EEXIST: AlreadyExistsError,
    errno.EACCES: PermissionDeniedError,
    errno.EPERM: PermissionDeniedError,
    errno.EROFS: PermissionDeniedError,
    errno.EISDIR: FailedPreconditionError,
    errno.ENOTDIR: FailedPreconditionError,
    errno.ENOTEMPTY: FailedPreconditionError,
    errno.EBADF: FailedPreconditionError,
    errno.EINVAL: InvalidArgumentError,
    errno.ENAMETOOLONG: InvalidArgumentError,
    errno.ENOSPC: ResourceExhaustedError,
    errno.EMFILE: ResourceExhaustedError,
    errno.ENFILE: ResourceExhaustedError,
    errno.ENOMEM: ResourceExhaustedError,
}
CHUNK = 1 << 16  # bytes that are decompressed at once
COMPRESSIONS = ("", "GZIP", "ZLIB")


def os_error(path, error):
    """TensorFlow's exception for an `OSError`."""
    kind = ERRORS.get(error.errno, UnknownError)
    return kind(None, None, f"{path}; {error.strerror or error}")


@contextlib.contextmanager
def named_errors(path):
    """What the operating system refuses becomes TensorFlow's exception, with the file's name."""
    try:
        yield
    except OSError as error:
        raise os_error(path, error) from error
    except ValueError as error:  # a name with a zero byte
        raise InvalidArgumentError(None, None, f"{path!r}; {error}") from error


def path_of(name):
    """A file's name as text: of a str, bytes or path object, without `file://`.

    Raises:
        UnimplementedError: a name of another file system, such as `gs://bucket/file`.
        TypeError: no name at all.

    Example:
        >>> path_of(b"a/b.txt"), path_of("file:///tmp/c")
        ('a/b.txt', '/tmp/c')
    """
    path = os.fsdecode(os.fspath(name))
    scheme, found, rest = path.partition("://")
    if not found or not scheme.replace("+", "").replace("-", "").isalnum():
        return path
    if scheme == "file":
        return rest
    raise UnimplementedError(
        None, None, f"File system scheme '{scheme}' not implemented (file: '{path}'): only local files are read and written."
    )


def read_bytes(path):
    """The content of a file.

    Raises:
        NotFoundError, PermissionDeniedError, FailedPreconditionError: the file cannot be read.
    """
    path = path_of(path)
    with named_errors(path), open(path, "rb") as file:
        return file.read()


def temporary_name(path):
    """A name that nobody uses, beside that of a file: under it the file is written, to be renamed when it is whole."""
    return f"{path}.{os.urandom(4).hex()}.tmp"


def write_bytes(path, content):
    """Write a whole file, or none: under another name, which is then renamed. Missing folders are made.

    Raises:
        PermissionDeniedError, FailedPreconditionError, ResourceExhaustedError: the file cannot be written.
    """
    path = path_of(path)
    with named_errors(path):
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        temporary = temporary_name(path)
        try:
            with open(temporary, "xb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def compression_of(name):
    """A compression's name, checked: "" for none, "GZIP" or "ZLIB".

    Raises:
        InvalidArgumentError: another name.
    """
    name = "" if name is None else name.decode() if isinstance(name, bytes) else str(name)
    if name not in COMPRESSIONS:
        raise InvalidArgumentError(None, None, f"Unsupported compression_type: {name}. It is '', 'GZIP' or 'ZLIB'.")
    return name


class Inflated(io.RawIOBase):
    """A zlib stream, or the members of a gzip file, as a file that is read once, from its start.

    Args:
        file: the file below, which is closed with this one.
        members: whether it is a gzip file.
    """

    def __init__(self, file, members=False):
        self._file = file
        self._members = members
        self._pending = b""
        self._begin()

    def _begin(self):
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS + (16 if self._members else 0))

    def readable(self):
        """Always."""
        return True

    def readinto(self, buffer):
        """Fill a buffer; 0 at the end."""
        while True:
            if self._inflater.eof and not self._next_member():
                return 0
            source = self._pending or self._file.read(CHUNK)
            if not source:
                raise EOFError("the compressed stream ends before its end mark")
            data = self._inflater.decompress(source, len(buffer))
            self._pending = self._inflater.unconsumed_tail
            if data:
                buffer[: len(data)] = data
                return len(data)

    def _next_member(self):
        """Whether a gzip file goes on; zeros may stand between its members."""
        if not self._members:
            return False
        rest = self._inflater.unused_data.lstrip(b"\0")
        while not rest:
            more = self._file.read(CHUNK)
            if not more:
                return False
            rest = more.lstrip(b"\0")
        self._begin()
        self._pending = rest
        return True

    def close(self):
        """Close the file below, too."""
        self._file.close()
        super().close()


def open_compressed(path, compression="", buffer_size=None):
    """A buffered file that gives the decompressed content.

    Args:
        path: the file's name.
        compression: "", "GZIP" or "ZLIB".
        buffer_size: how many bytes are read ahead, 256 KiB by default.

    Raises:
        NotFoundError, PermissionDeniedError, FailedPreconditionError: the file cannot be read.
    """
    compression, size = compression_of(compression), max(int(buffer_size or 1 << 18), 1)
    path = path_of(path)
    with named_errors(path):
        if compression == "":
            return open(path, "rb", buffering=max(size, 2))
        file = open(path, "rb")  # noqa: SIM115 (the reader closes it)
    return io.BufferedReader(Inflated(file, members=compression == "GZIP"), size)


def damaged(path, offset, text):
    """The `DataLossError` of a file that is not what it should be, for the caller to raise."""
    return DataLossError(None, None, f"{text} at {offset} of {path}")


@contextlib.contextmanager
def whole_streams(path, offset):
    """A damaged compressed stream becomes a `DataLossError` with the file's name and `offset()`."""
    try:
        with named_errors(path):
            yield
    except (EOFError, zlib.error) as error:
        raise damaged(path, offset(), f"damaged compressed data ({error})") from error
