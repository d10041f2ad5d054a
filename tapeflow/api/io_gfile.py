"""The file system (`tf.io.gfile`): local files, with TensorFlow's exceptions."""

import functools
import os
import shutil
from typing import NamedTuple

from tapeflow.api.export import export
from tapeflow.base.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
)
from tapeflow.io.files import named_errors, path_of
from tapeflow.ops.files import matches

MODES = ("r", "w", "a", "r+", "w+", "a+")


@export("io.gfile.GFile")
class GFile:
    """A file, opened when it is first read or written; a `with` statement closes it.

    Args:
        name: the file's name.
        mode: `"r"`, `"w"`, `"a"`, with `+` for both ways; with `b` it reads bytes, else text in UTF-8.

    Raises:
        InvalidArgumentError: another mode.
        NotFoundError, PermissionDeniedError, FailedPreconditionError: from the first use, where the file cannot be opened.

    Example:
        >>> import tapeflow as tf, tempfile, os
        >>> path = os.path.join(tempfile.mkdtemp(), "a.txt")
        >>> with tf.io.gfile.GFile(path, "w") as file:
        ...     file.write("one\\ntwo\\n")
        >>> tf.io.gfile.GFile(path).readlines()
        ['one\\n', 'two\\n']
    """

    def __init__(self, name, mode="r"):
        self._name, self._mode = name, mode
        self._binary = "b" in mode
        self._plain = mode.replace("b", "")
        if self._plain not in MODES:
            raise InvalidArgumentError(None, None, "mode is not 'r' or 'w' or 'a' or 'r+' or 'w+' or 'a+'")
        self._file = None

    @property
    def name(self):
        """The file's name."""
        return self._name

    @property
    def mode(self):
        """The mode in which it was opened."""
        return self._mode

    def _opened(self, write):
        """The file; raises where the mode does not let it be read (written)."""
        if write and self._plain == "r":
            raise PermissionDeniedError(None, None, "File isn't open for writing")
        if not write and self._plain in ("w", "a"):
            raise PermissionDeniedError(None, None, "File isn't open for reading")
        if self._file is None:
            path = path_of(self._name)
            with named_errors(path):
                self._file = open(path, self._plain + "b")  # noqa: SIM115 (`close` does)
        return self._file

    def _made(self, data):
        return data if self._binary else data.decode()

    def size(self):
        """How many bytes it has."""
        return stat(self._name).length

    def write(self, file_content):
        """Append text, or bytes."""
        file = self._opened(write=True)
        with named_errors(self._name):
            file.write(file_content.encode() if isinstance(file_content, str) else file_content)

    def read(self, n=-1):
        """The next `n` bytes (in text mode of the encoded text), or all that are left."""
        file = self._opened(write=False)
        with named_errors(self._name):
            data = file.read(n)
        return self._made(data)

    def readline(self):
        """The next line with its end; empty at the file's end."""
        file = self._opened(write=False)
        with named_errors(self._name):
            data = file.readline()
        return self._made(data)

    def readlines(self):
        """The lines that are left, with their ends."""
        return list(self)

    def seek(self, offset=None, whence=0, position=None):
        """Go to a byte: from the start (`whence` 0), from here (1) or from the end (2).

        Raises:
            OutOfRangeError: a byte behind the end.
            InvalidArgumentError: another `whence`, or a byte before the start.
        """
        if offset is None:
            offset = position
        if offset is None:
            raise TypeError("seek(): offset argument required")
        if whence not in (0, 1, 2):
            raise InvalidArgumentError(None, None, f"Invalid whence argument: {whence}. Valid values are 0, 1, or 2.")
        file = self._opened(write=False)
        base = (0, file.tell(), self.size())[whence]
        if base + offset > self.size():
            raise OutOfRangeError(None, None, "reached end of file")
        with named_errors(self._name):
            file.seek(base + offset)

    def tell(self):
        """The number of the next byte."""
        return self._opened(write=self._plain != "r").tell()

    def seekable(self):
        """Whether `seek` works."""
        return True

    def flush(self):
        """Hand what was written to the operating system."""
        if self._file is not None:
            with named_errors(self._name):
                self._file.flush()

    def close(self):
        """Close the file; a later use opens it again."""
        if self._file is not None:
            file, self._file = self._file, None
            with named_errors(self._name):
                file.close()

    def __iter__(self):
        return self

    def __next__(self):
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


# Paths


def on_path(function):
    """A function whose first argument is a path: of any kind that `path_of` takes, with TensorFlow's exceptions."""

    @functools.wraps(function)
    def wrapped(path, *args, **kwargs):
        path = path_of(path)
        with named_errors(path):
            return function(path, *args, **kwargs)

    return wrapped


class FileStatistics(NamedTuple):
    """What `tf.io.gfile.stat` tells of a file: its length in bytes, its last change in nanoseconds, and its kind."""

    length: int
    mtime_nsec: int
    is_directory: bool


@export("io.gfile.stat")
@on_path
def stat(path):
    """What the file system tells of a file or folder.

    Raises:
        NotFoundError: there is none.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> tf.io.gfile.stat(tempfile.mkdtemp()).is_directory
        True
    """
    found = os.stat(path)
    return FileStatistics(found.st_size, found.st_mtime_ns, os.path.isdir(path))


@export("io.gfile.exists")
@on_path
def exists(path):
    """Whether there is a file or folder of that name.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.gfile.exists("/no/such/file")
        False
    """
    return os.path.exists(path)


@export("io.gfile.isdir")
@on_path
def isdir(path):
    """Whether there is a folder of that name.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> tf.io.gfile.isdir(tempfile.mkdtemp())
        True
    """
    return os.path.isdir(path)


@export("io.gfile.listdir")
@on_path
def listdir(path):
    """The names of what is in a folder, in no particular order.

    Raises:
        NotFoundError: there is no such folder.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> tf.io.gfile.listdir(tempfile.mkdtemp())
        []
    """
    if not os.path.isdir(path):
        raise NotFoundError(None, None, f"Could not find directory {path}")
    return os.listdir(path)


@export("io.gfile.glob")
def glob(pattern):
    """The names of the files that match a pattern of `*`, `?` and `[...]`, or one of several.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.gfile.glob("/no/such/*")
        []
    """
    patterns = [pattern] if isinstance(pattern, (str, bytes, os.PathLike)) else pattern
    return [name.decode() for item in patterns for name in sorted(matches(item))]


@export("io.gfile.mkdir")
@on_path
def mkdir(path):
    """Make a folder; one that is there is left as it is.

    Raises:
        NotFoundError: the folder above does not exist.

    Example:
        >>> import tapeflow as tf, tempfile, os
        >>> tf.io.gfile.mkdir(os.path.join(tempfile.mkdtemp(), "a"))
    """
    if not os.path.isdir(path):
        os.mkdir(path)


@export("io.gfile.makedirs")
@on_path
def makedirs(path):
    """Make a folder, and those above it that are missing.

    Raises:
        FailedPreconditionError: a file has that name.

    Example:
        >>> import tapeflow as tf, tempfile, os
        >>> tf.io.gfile.makedirs(os.path.join(tempfile.mkdtemp(), "a", "b"))
    """
    if os.path.exists(path) and not os.path.isdir(path):
        raise FailedPreconditionError(None, None, f"{path} is not a directory")
    os.makedirs(path, exist_ok=True)


def _target(source, path, overwrite):
    """The path that something is to have; raises where the source is missing, or the path taken."""
    os.stat(source)
    path = path_of(path)
    if not overwrite and os.path.exists(path):
        raise AlreadyExistsError(None, None, f"file already exists: {path}; overwrite=True replaces it")
    return path


@export("io.gfile.copy")
@on_path
def copy(src, dst, overwrite=False):
    """Copy a file.

    Raises:
        NotFoundError: there is no such file.
        AlreadyExistsError: `dst` exists, unless `overwrite`.

    Example:
        >>> import tapeflow as tf, tempfile, os
        >>> folder = tempfile.mkdtemp()
        >>> tf.io.write_file(folder + "/a", "x")
        >>> tf.io.gfile.copy(folder + "/a", folder + "/b")
        >>> sorted(os.listdir(folder))
        ['a', 'b']
    """
    shutil.copyfile(src, _target(src, dst, overwrite))


@export("io.gfile.rename")
@on_path
def rename(src, dst, overwrite=False):
    """Give a file or folder another name.

    Raises:
        NotFoundError: there is no such file.
        AlreadyExistsError: `dst` exists, unless `overwrite`.

    Example:
        >>> import tapeflow as tf, tempfile, os
        >>> folder = tempfile.mkdtemp()
        >>> tf.io.write_file(folder + "/a", "x")
        >>> tf.io.gfile.rename(folder + "/a", folder + "/b")
        >>> os.listdir(folder)
        ['b']
    """
    os.replace(src, _target(src, dst, overwrite))


@export("io.gfile.remove")
@on_path
def remove(path):
    """Delete a file.

    Raises:
        NotFoundError: there is no such file.
        FailedPreconditionError: it is a folder.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> path = tempfile.mkdtemp() + "/a"
        >>> tf.io.write_file(path, "x")
        >>> tf.io.gfile.remove(path)
        >>> tf.io.gfile.exists(path)
        False
    """
    os.remove(path)


@export("io.gfile.rmtree")
@on_path
def rmtree(path):
    """Delete a folder with all that is in it.

    Raises:
        NotFoundError: there is no such folder.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> path = tempfile.mkdtemp()
        >>> tf.io.gfile.rmtree(path)
        >>> tf.io.gfile.exists(path)
        False
    """
    if not os.path.lexists(path):
        raise NotFoundError(None, None, f"{path} not found")
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.remove(path)


@export("io.gfile.walk")
def walk(top, topdown=True, onerror=None):
    """For each folder at and below `top` its name, the names of the folders in it and those of its files.

    Args:
        topdown: whether a folder comes before those in it.
        onerror: a function that is called with the error of a folder that cannot be read.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> [names for _, *names in tf.io.gfile.walk(tempfile.mkdtemp())]
        [[[], []]]
    """
    return os.walk(path_of(top), topdown, onerror)


@export("io.gfile.join")
def join(path, *paths):
    """Parts of a path as one.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.gfile.join("a", "b", "c.txt")
        'a/b/c.txt'
    """
    return os.path.join(path, *paths)


@export("io.gfile.get_registered_schemes")
def get_registered_schemes():
    """The file systems that names may belong to: local files alone, with or without `file://`.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.gfile.get_registered_schemes()
        ['', 'file']
    """
    return ["", "file"]
