"""Elements kept for later: `cache`, `snapshot`, `save` and `load`."""

import contextlib
import json
import os

from tapeflow.base import nest
from tapeflow.base.dtypes import int64, string
from tapeflow.base.errors import DataLossError, NotFoundError
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.data.batches import batched
from tapeflow.data.dataset import UNKNOWN_CARDINALITY, Dataset, UnaryDataset, constructor, method
from tapeflow.data.files import ElementReader, ElementWriter
from tapeflow.data.function import ElementFunction
from tapeflow.data.maps import CPUS
from tapeflow.data.nested import ListDataset
from tapeflow.data.order import AssertCardinalityDataset
from tapeflow.data.rows import ArrayTable
from tapeflow.data.spec_json import from_json, to_json
from tapeflow.data.stream import Plain, Run, Stream
from tapeflow.data.structure import fixed

# Memory


class Memory:
    """What a cache keeps: `columns`, arrays with all elements, where these have one known shape; else their list."""

    columns = None
    elements = None

    def keep(self, elements, specs):
        """Keep a complete list of elements; it is emptied."""
        if self.columns is not None or self.elements is not None:
            return  # another pass was complete first
        if elements and fixed(specs):
            self.columns = [batched([values[i] for values in elements], spec) for i, spec in enumerate(specs)]
        else:
            self.elements = list(elements)
        elements.clear()


class CacheDataset(UnaryDataset):
    """The elements of the first complete pass, kept in memory."""

    def __init__(self, source):
        super().__init__(source)
        self._memory = Memory()

    def _in_rows(self):
        return self._memory.columns is not None

    def _rows(self, run):
        columns = self._memory.columns
        return ArrayTable(columns), iter(range(len(columns[0])))

    def _elements(self, run):
        kept = self._memory.elements
        if kept is not None:
            return Plain(map(list, kept))
        return CachingStream(self._source._stream(run), self._memory, nest.flatten(self.element_spec))


class CachingStream(Stream):
    """The elements of a stream, which a memory keeps once it has them all."""

    __slots__ = ("_kept", "_memory", "_source", "_specs")

    def __init__(self, source, memory, specs):
        self._source, self._memory, self._specs = source, memory, specs
        self._kept = []

    def __next__(self):
        if self._source is None:
            raise StopIteration
        try:
            values = next(self._source)
        except StopIteration:
            self._memory.keep(self._kept, self._specs)
            self._source = None
            raise
        self._kept.append(values)
        return values


# Files


class FileCacheDataset(UnaryDataset):
    """The elements of the first complete pass, kept in a file; in `folder` where it is a snapshot."""

    def __init__(self, source, path, compression=None):
        super().__init__(source)
        to_json(source.element_spec)  # raises where it cannot be written
        self._path = convert_to_tensor(path, string)
        self._compression = compression

    def _elements(self, run):
        path = os.fsdecode(self._path._value[()])
        if os.path.exists(path):
            return ElementReader(path, self.element_spec, self._compression)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        return WritingStream(self._source._stream(run), ElementWriter(path, self.element_spec, self._compression))


class WritingStream(Stream):
    """The elements of a stream, which are written to a file on the way. The file is there once the stream has ended."""

    __slots__ = ("_source", "_writer")

    def __init__(self, source, writer):
        self._source, self._writer = source, writer

    def __next__(self):
        if self._source is None:
            raise StopIteration
        try:
            values = next(self._source)
        except StopIteration:
            self._source = None
            self._writer.finish()
            raise
        self._writer.write(values)
        return values

    def __del__(self):
        self._writer.discard()


@method("cache")
def cache(self, filename="", name=None):
    """The same elements, computed in the first complete iteration and kept in memory, or in a file.

    Args:
        filename: the file; another run of the program reads what it holds. In memory where it is empty.

    Raises:
        DataLossError: (while iterating) the file is damaged.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(3).map(lambda x: tf.random.uniform([])).cache()
        >>> list(dataset.as_numpy_iterator()) == list(dataset.as_numpy_iterator())
        True
    """
    if isinstance(filename, str) and not filename:
        return CacheDataset(self)
    return FileCacheDataset(self, filename)


@method("snapshot")
def snapshot(self, path, compression="AUTO", reader_func=None, shard_func=None, name=None):
    """The same elements, which the first complete iteration writes to a folder, and later ones read from it.

    Args:
        path: the folder.
        compression: "GZIP", or "AUTO" or None for none.
        reader_func, shard_func: as for `load` and `save`.

    Raises:
        DataLossError: (while iterating) a file is damaged.
        UnimplementedError: (while iterating) another compression.
    """
    return SnapshotDataset(self, path, compression, reader_func, shard_func)


class SnapshotDataset(UnaryDataset):
    """The elements of a saved dataset; those of another one, which are being saved, until it is there."""

    def __init__(self, source, path, compression, reader_func, shard_func):
        super().__init__(source)
        to_json(source.element_spec)
        self._path = convert_to_tensor(path, string)
        self._compression, self._reader = compression, reader_func
        self._shard = _shard_function(shard_func, source.element_spec)

    def _elements(self, run):
        path = os.fsdecode(self._path._value[()])
        if os.path.exists(os.path.join(path, _HEADER)):
            return load(path, self.element_spec, self._compression, self._reader)._stream(run)
        return WritingStream(self._source._stream(run), ShardWriter(path, self.element_spec, self._compression, self._shard))


_HEADER = "dataset.json"


class ShardWriter:
    """Writes a folder of files of elements, one for each number that a function gives; see `ElementWriter`.

    Args:
        path: the folder, which is there under its name once `finish` is called.
        spec: the nest of specs of the elements.
        compression: as for `ElementWriter`.
        function: an `ElementFunction` from an element to the number of its file; None for one file.
    """

    def __init__(self, path, spec, compression, function):
        self._path, self._spec, self._compression, self._function = path, spec, compression, function
        self._temporary = f"{path}.{os.urandom(8).hex()}.tmp"
        os.makedirs(self._temporary)
        self._writers = {}
        self._count = 0

    def write(self, leaves):
        """Add an element."""
        shard = 0 if self._function is None else int(self._function.at(self._count, leaves)[0])
        writer = self._writers.get(shard)
        if writer is None:
            file = os.path.join(self._temporary, f"{shard:08d}.elements")
            writer = self._writers[shard] = ElementWriter(file, self._spec, self._compression)
        writer.write(leaves)
        self._count += 1

    def finish(self):
        """Finish all files, and give the folder its name; one of that name before goes."""
        for writer in self._writers.values():
            writer.finish()
        header = {"format": 1, "count": self._count, "spec": to_json(self._spec)}
        with open(os.path.join(self._temporary, _HEADER), "w") as file:
            json.dump(header, file)
        with contextlib.suppress(FileNotFoundError):
            _remove(self._path)
        os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
        os.replace(self._temporary, self._path)
        self._temporary = None

    def discard(self):
        """Delete what was written, where it was not finished."""
        if self._temporary is not None:
            for writer in self._writers.values():
                writer.discard()
            _remove(self._temporary)
            self._temporary = None


def _remove(folder):
    """Delete a folder of files."""
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    os.rmdir(folder)


def _shard_function(function, spec):
    if function is None:
        return None
    found = ElementFunction(lambda *parts: convert_to_tensor(function(*parts), int64), spec, "shard_func")
    if not (isinstance(found.spec, TensorSpec) and found.spec.is_compatible_with(TensorSpec([], int64))):
        raise TypeError(
            f"Invalid `shard_func`. `shard_func` must return `tf.int64` scalar tensor but its return type is {found.spec}."
        )
    return found


@method("save")
def save(self, path, compression=None, shard_func=None, checkpoint_args=None):
    """Write all elements to a folder, from which `tf.data.Dataset.load` reads them.

    The folder is there when all of it is written. Its format is tapeflow's own.

    Args:
        path: the folder.
        compression: "GZIP" or None.
        shard_func: a function of an element that gives the int64 number of the file to write it to.
        checkpoint_args: accepted where it is None.

    Raises:
        NotImplementedError: `checkpoint_args` are given.

    Example:
        >>> import tempfile
        >>> import tapeflow as tf
        >>> folder = tempfile.mkdtemp() + "/saved"
        >>> tf.data.Dataset.range(3).save(folder)
        >>> [int(x) for x in tf.data.Dataset.load(folder)]
        [0, 1, 2]
    """
    if checkpoint_args is not None:
        raise NotImplementedError("Dataset.save takes no checkpoint_args here: it writes all or nothing.")
    shard = _shard_function(shard_func, self.element_spec)
    writer = ShardWriter(os.fspath(path), self.element_spec, compression, shard)
    try:
        for values in self._stream(Run(self.options())):
            writer.write(values)
        writer.finish()
    finally:
        writer.discard()


@constructor("load")
def load(path, element_spec=None, compression=None, reader_func=None, wait=False):
    """The elements that `save` has written to a folder.

    Args:
        path: the folder.
        element_spec: the nest of specs of the elements; what was saved by default.
        compression: as when they were saved.
        reader_func: a function of a dataset with a dataset for each file that gives the dataset to read; by turns by default.
        wait: accepted where it is False.

    Raises:
        NotFoundError: there is no such dataset.
        DataLossError: (while iterating) a file is damaged.
        NotImplementedError: `wait` is True.
    """
    if wait:
        raise NotImplementedError("Dataset.load does not wait for a dataset that is still being saved.")
    path = os.fspath(path)
    try:
        with open(os.path.join(path, _HEADER)) as file:
            header = json.load(file)
        spec, count = from_json(header["spec"]), int(header["count"])
    except FileNotFoundError:
        raise NotFoundError(None, None, f"Could not find a saved dataset in {path}.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataLossError(None, None, f"{os.path.join(path, _HEADER)} cannot be read: {error}") from error
    files = sorted(name for name in os.listdir(path) if name.endswith(".elements"))
    spec = spec if element_spec is None else element_spec
    shards = [FileDataset(os.path.join(path, name), spec, compression) for name in files]
    if reader_func is None and len(shards) == 1:
        return AssertCardinalityDataset(shards[0], count)
    datasets = ListDataset([[shard] for shard in shards], shards[0]._type_spec if shards else Dataset.range(0)._type_spec)
    if reader_func is not None:
        return reader_func(datasets)
    return AssertCardinalityDataset(datasets.interleave(lambda shard: shard, cycle_length=CPUS), count)


class FileDataset(Dataset):
    """The elements of one file."""

    def __init__(self, path, spec, compression):
        self._path, self._spec, self._compression = path, spec, compression

    def _elements(self, run):
        return ElementReader(self._path, self._spec, self._compression)

    def _size(self):
        return UNKNOWN_CARDINALITY
