"""Datasets of what is in files: their names, their lines, their records."""

import fnmatch
import os

import numpy as np

from tapeflow.base.dtypes import string
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.data.dataset import AUTOTUNE, UNKNOWN_CARDINALITY, Dataset, UnaryDataset, as_int, constructor
from tapeflow.data.maps import CPUS
from tapeflow.data.nested import InterleaveStream, ParallelInterleaveStream
from tapeflow.data.stream import Stream
from tapeflow.io.records import RecordReader
from tapeflow.io.text import FixedLengthReader, LineReader

TEXT = TensorSpec([], string)


def text_leaf(data):
    """The leaf of a scalar string."""
    leaf = np.empty((), object)
    leaf[()] = data
    return leaf


# Names


@constructor("list_files")
def list_files(file_pattern, shuffle=None, seed=None, name=None):
    """The names of the files that match patterns.

    Args:
        file_pattern: a pattern, or a list, tensor or dataset of patterns: `*`, `?` and `[...]` stand for parts of one name.
        shuffle: whether they come in random order, another one in each iteration; True by default.
        seed: makes the order that TensorFlow has for this seed.

    Raises:
        InvalidArgumentError: no file matches.

    Example:
        >>> import pathlib, tempfile
        >>> import tapeflow as tf
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in "a.txt", "b.txt", "c.py":
        ...     _ = (folder / name).write_text("")
        >>> [pathlib.Path(x.numpy().decode()).name for x in tf.data.Dataset.list_files(f"{folder}/*.txt", shuffle=False)]
        ['a.txt', 'b.txt']
    """
    patterns = file_pattern
    if isinstance(patterns, Dataset):
        patterns = [values.numpy() for values in patterns]
    patterns = [os.fsdecode(item) for item in convert_to_tensor(patterns, string)._value.ravel()]
    found = sorted({file for pattern in patterns for file in matching(pattern)})
    if not found:
        raise InvalidArgumentError(None, None, f"No files matched pattern: {', '.join(patterns)}")
    dataset = Dataset.from_tensor_slices(found)
    return dataset if shuffle is False else dataset.shuffle(len(found), seed=seed)


def matching(pattern):
    """The paths that match a pattern, hidden ones too; a wildcard stands for a part of one name, never for a separator."""
    head, *parts = pattern.split("/")
    found = [head]
    if set(head) & set("*?["):
        found, parts = [""], [head, *parts]
    for part in parts:
        if set(part) & set("*?["):
            found = [
                f"{base}/{name}" if base or pattern.startswith("/") else name
                for base in found
                for name in _names(base, pattern)
                if fnmatch.fnmatchcase(name, part)
            ]
        else:
            found = [f"{base}/{part}" if base or pattern.startswith("/") else part for base in found]
    return [path for path in found if os.path.lexists(path)]


def _names(base, pattern):
    try:
        return os.listdir(base or ("/" if pattern.startswith("/") else "."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def filenames_of(filenames):
    """A dataset of file names: of a string, a list or tensor of strings, or such a dataset.

    Raises:
        TypeError: they are no strings.
    """
    if isinstance(filenames, Dataset):
        spec = filenames.element_spec
        if not (isinstance(spec, TensorSpec) and spec.is_compatible_with(TEXT)):
            raise TypeError(
                "The `filenames` argument must contain `tf.string` scalars, so a dataset of them has to give scalars: "
                f"its elements are {spec}."
            )
        return filenames
    if isinstance(filenames, (list, tuple)):
        filenames = [os.fspath(name) if hasattr(name, "__fspath__") else name for name in filenames]
    elif hasattr(filenames, "__fspath__"):
        filenames = os.fspath(filenames)
    names = convert_to_tensor(filenames)
    if names.dtype is not string:
        raise TypeError(f"The `filenames` argument must contain `tf.string` elements. Got `{names.dtype!r}` elements.")
    return Dataset.from_tensor_slices(P.reshape(names, shape=(-1,)))


# Contents


class ReadDataset(UnaryDataset):
    """What a reader finds in files, one after the other, or in several at a time by turns.

    Args:
        filenames: as `filenames_of` takes them.
        reads: how many files are read at a time, each by a thread; None for one without a thread.
    """

    def __init__(self, filenames, reads=None):
        super().__init__(filenames_of(filenames))
        self._spec = TEXT
        self._reads = None if reads is None else as_int(reads)

    def _reader(self, path):
        """An iterator over the leaves of the elements in a file."""
        raise NotImplementedError

    def _elements(self, run):
        streams = FileStreams(self._source._stream(run), self._reader)
        if self._reads is None:
            return InterleaveStream(streams, 1, 1)
        reads = CPUS if self._reads == AUTOTUNE else self._reads
        return ParallelInterleaveStream(streams, reads, 1, reads)

    def _size(self):
        return UNKNOWN_CARDINALITY


class FileStreams(Stream):
    """The readers of files."""

    __slots__ = ("_reader", "_source")

    def __init__(self, source, reader):
        self._source, self._reader = source, reader

    def __next__(self):
        (name,) = next(self._source)
        return self._reader(name[()])


class TextStream(Stream):
    """What a reader of files of `tapeflow.io` gives, as elements; the file is closed when it is dropped."""

    __slots__ = ("_reader",)

    def __init__(self, reader):
        self._reader = reader

    def __next__(self):
        return [text_leaf(next(self._reader))]

    def __del__(self):
        self._reader.close()


def option(value):
    """A plain value of an argument that may be a tensor."""
    found = value._value if hasattr(value, "_value") else value
    found = found[()] if isinstance(found, np.ndarray) else found
    return found.decode() if isinstance(found, bytes) else found


class TextLineDataset(ReadDataset):
    """The lines of text files, without their ends.

    Args:
        filenames: a string, a list or tensor of strings, or a dataset of strings.
        compression_type: "" or None, "GZIP" or "ZLIB".
        buffer_size: how many bytes are read at once.
        num_parallel_reads: how many files are read at a time, whose lines then come by turns.

    Raises:
        TypeError: the names are no strings.
        NotFoundError: (while iterating) there is no such file.

    Example:
        >>> import pathlib, tempfile
        >>> import tapeflow as tf
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "lines.txt"
        >>> _ = path.write_text("first\\nsecond\\n")
        >>> [x.numpy() for x in tf.data.TextLineDataset(str(path))]
        [b'first', b'second']
    """

    def __init__(self, filenames, compression_type=None, buffer_size=None, num_parallel_reads=None, name=None):
        super().__init__(filenames, num_parallel_reads)
        self._settings = option(compression_type), option(buffer_size)

    def _reader(self, path):
        return TextStream(LineReader(path, *self._settings))


class TFRecordDataset(ReadDataset):
    """The records of TFRecord files, as strings.

    Args:
        filenames, compression_type, buffer_size, num_parallel_reads: as for `TextLineDataset`.

    Raises:
        TypeError: the names are no strings.
        NotFoundError: (while iterating) there is no such file.
        DataLossError: (while iterating) a record is damaged or cut off; it names the file and the offset.
    """

    def __init__(self, filenames, compression_type=None, buffer_size=None, num_parallel_reads=None, name=None):
        super().__init__(filenames, num_parallel_reads)
        self._settings = option(compression_type), option(buffer_size)

    def _reader(self, path):
        return TextStream(RecordReader(path, *self._settings))


class FixedLengthRecordDataset(ReadDataset):
    """The records of files in which all are of one length, as strings.

    Args:
        filenames: as for `TextLineDataset`.
        record_bytes: the length of a record.
        header_bytes, footer_bytes: what is left out at the beginning and at the end of each file.
        buffer_size, compression_type, num_parallel_reads: as for `TextLineDataset`.

    Raises:
        InvalidArgumentError: (while iterating) a file holds no whole number of records.
    """

    def __init__(
        self,
        filenames,
        record_bytes,
        header_bytes=None,
        footer_bytes=None,
        buffer_size=None,
        compression_type=None,
        num_parallel_reads=None,
        name=None,
    ):
        super().__init__(filenames, num_parallel_reads)
        sizes = [as_int(0 if size is None else size) for size in (record_bytes, header_bytes, footer_bytes)]
        self._settings = (*sizes, option(buffer_size), option(compression_type))

    def _reader(self, path):
        return TextStream(FixedLengthReader(path, *self._settings))
