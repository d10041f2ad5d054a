"""Datasets that begin a pipeline: tensors, their slices, ranges, random numbers; and several datasets side by side."""

import contextlib
import itertools

from tapeflow.base import nest
from tapeflow.base.dtypes import as_dtype, int64
from tapeflow.base.errors import invalid
from tapeflow.base.specs import TensorSpec
from tapeflow.core.tensor import Tensor
from tapeflow.data.dataset import (
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    Dataset,
    SomeInt,
    as_int,
    constructor,
    method,
)
from tapeflow.data.rows import ArrayTable, NumberTable, ZippedTable
from tapeflow.data.stream import Plain, Stream
from tapeflow.data.structure import flat_values, slices, spec_of, to_tensors


class TensorDataset(Dataset):
    """One element."""

    def __init__(self, tensors):
        tensors = to_tensors(tensors)
        self._spec = spec_of(tensors)
        self._leaves = nest.flatten(tensors)

    def _elements(self, run):
        return Plain([flat_values(self._leaves)])

    def _size(self):
        return 1


@constructor("from_tensors")
def from_tensors(tensors, name=None):
    """A dataset of one element.

    Args:
        tensors: a nest of tuples and dicts with tensors, or with what converts to them.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().tolist() for x in tf.data.Dataset.from_tensors([1, 2, 3])]
        [[1, 2, 3]]
    """
    return TensorDataset(tensors)


class TensorSliceDataset(Dataset):
    """The slices of a nest of tensors along their first axis."""

    def __init__(self, tensors):
        tensors = to_tensors(tensors)
        specs = spec_of(tensors)
        self._flat_specs = nest.flatten(specs)
        self._leaves = nest.flatten(tensors)
        self._count = _common_length(self._flat_specs, self._leaves)
        self._spec = nest.map_structure(lambda spec: spec._unbatch(), specs)

    def _in_rows(self):
        return all(leaf.__class__ is Tensor for leaf in self._leaves)

    def _rows(self, run):
        arrays = flat_values(self._leaves)
        return ArrayTable(arrays), iter(range(len(arrays[0])))

    def _elements(self, run):
        columns = [slices(value, spec) for value, spec in zip(flat_values(self._leaves), self._flat_specs, strict=True)]
        return Plain(map(lambda *leaves: list(leaves), *columns))

    def _size(self):
        return UNKNOWN_CARDINALITY if self._count is None else self._count


def _common_length(specs, values):
    """How many slices the leaves have, or None where that is not known yet."""
    known = [(spec, value) for spec, value in zip(specs, values, strict=True) if value is not None]
    if not known:
        raise ValueError("Invalid `element`. `element` should not be empty.")
    if any(spec.shape.rank == 0 for spec, _ in known):
        raise ValueError("Unbatching a tensor is only supported for rank >= 1")
    counts = [spec.shape[0] for spec, _ in known if spec.shape.rank is not None and spec.shape[0] is not None]
    for count in counts:
        if count != counts[0]:
            raise ValueError(f"Dimensions {counts[0]} and {count} are not compatible")
    return counts[0] if counts else None


@constructor("from_tensor_slices")
def from_tensor_slices(tensors, name=None):
    """A dataset of the slices along the first axis of every tensor in a nest.

    Args:
        tensors: a nest of tuples and dicts with tensors (sparse and ragged ones too) of one length.

    Raises:
        ValueError: a tensor has no axis, or the lengths differ.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.from_tensor_slices(([1, 2], ["a", "b"]))
        >>> [(int(x), y.numpy()) for x, y in dataset]
        [(1, b'a'), (2, b'b')]
    """
    return TensorSliceDataset(tensors)


class RangeDataset(Dataset):
    """Numbers at equal distances."""

    def __init__(self, bounds, output_type):
        self._bounds = bounds
        self._type = as_dtype(output_type)
        self._spec = TensorSpec([], self._type)

    def _in_rows(self):
        return True

    def _rows(self, run):
        numbers = range(*self._bounds)
        return NumberTable(numbers.start, numbers.step, self._type), iter(range(len(numbers)))

    def _size(self):
        if any(isinstance(bound, SomeInt) for bound in self._bounds):
            return UNKNOWN_CARDINALITY
        return len(range(*self._bounds))


@constructor("range")
def range_(*args, **kwargs):
    """The integers of Python's `range(*args)`.

    Args:
        *args: stop; or start, stop; or start, stop, step.
        output_type: their dtype, int64 by default.

    Raises:
        ValueError: there are no or more than three arguments.
        InvalidArgumentError: the step is 0.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(1, 6, 2)]
        [1, 3, 5]
    """
    if not 1 <= len(args) <= 3:
        raise ValueError(f"Invalid `args`. The length of `args` should be between 1 and 3 but was {len(args)}.")
    numbers = tuple([as_int(arg) for arg in args])
    if len(numbers) == 3 and numbers[2] == 0:
        raise invalid("range", "step must be a non-zero integer, got 0")
    return RangeDataset(numbers, kwargs.get("output_type", int64))


class CounterDataset(Dataset):
    """Numbers at equal distances, without an end."""

    def __init__(self, start, step, dtype):
        self._type = as_dtype(dtype)
        self._start, self._step = as_int(start), as_int(step)
        self._spec = TensorSpec([], self._type)

    def _in_rows(self):
        return True

    def _rows(self, run):
        return NumberTable(self._start, self._step, self._type), itertools.count()

    def _size(self):
        return INFINITE_CARDINALITY


@constructor("counter")
def counter(start=0, step=1, dtype=int64, name=None):
    """The numbers start, start + step, ... without an end.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.counter(2, 3).take(3)]
        [2, 5, 8]
    """
    return CounterDataset(start, step, dtype)


@method("enumerate")
def enumerate_(self, start=0, name=None):
    """Pairs (index, element).

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.from_tensor_slices([7, 8]).enumerate(start=5)
        >>> [(int(i), int(x)) for i, x in dataset]
        [(5, 7), (6, 8)]
    """
    return ZipDataset((CounterDataset(start, 1, int64), self))


class ZipDataset(Dataset):
    """Nests of the elements of several datasets."""

    def __init__(self, datasets):
        _check_zipped(datasets)
        self._inputs = tuple(nest.flatten(datasets))
        self._spec = nest.map_structure(lambda dataset: dataset.element_spec, datasets)

    def _in_rows(self):
        return all(dataset._in_rows() for dataset in self._inputs)

    def _rows(self, run):
        tables, numbers = zip(*[dataset._rows(run.within(i)) for i, dataset in enumerate(self._inputs)], strict=True)
        return ZippedTable(tables), zip(*numbers, strict=False)

    def _elements(self, run):
        return ZipStream([dataset._stream(run.within(i)) for i, dataset in enumerate(self._inputs)])

    def _size(self):
        sizes = [dataset._size() for dataset in self._inputs]
        finite = [size for size in sizes if size >= 0]
        if UNKNOWN_CARDINALITY in sizes:
            return UNKNOWN_CARDINALITY
        return min(finite) if finite else INFINITE_CARDINALITY


class ZipStream(Stream):
    """The leaves of several streams, joined."""

    __slots__ = ("_streams",)

    def __init__(self, streams):
        self._streams = streams

    def __next__(self):
        streams = iter(self._streams)
        try:
            return list(itertools.chain.from_iterable([next(stream) for stream in streams]))
        except StopIteration:
            raise
        except Exception:
            for stream in streams:  # the others go on with it, so that elements stay beside those that they belong to
                with contextlib.suppress(Exception):
                    next(stream, None)
            raise

    def skip(self, count):
        """Pass over `count` elements, or as many as there are."""
        for stream in self._streams:
            stream.skip(count)


def _check_zipped(datasets):
    wanted = "Invalid input to `zip`. Inputs are expected to be (nested) structures of `tf.data.Dataset` objects"
    if isinstance(datasets, list):
        raise TypeError(f"{wanted}. Python `list` is not supported and you should use `tuple` instead.")
    if isinstance(datasets, (tuple, dict)):
        for part in datasets.values() if isinstance(datasets, dict) else datasets:
            _check_zipped(part)
    elif not isinstance(datasets, Dataset):
        raise TypeError(f"{wanted} but encountered object of type {type(datasets)}.")


@constructor("zip")
def zip_(*args, datasets=None, name=None):
    """Nests of the elements of several datasets; the shortest one ends it.

    Args:
        *args: datasets, or one nest of tuples and dicts with datasets.
        datasets: such a nest, in place of the arguments.

    Raises:
        TypeError: there is no dataset, or something else among them.

    Example:
        >>> import tapeflow as tf
        >>> a, b = tf.data.Dataset.range(3), tf.data.Dataset.range(5, 7)
        >>> [(int(x), int(y)) for x, y in tf.data.Dataset.zip(a, b)]
        [(0, 5), (1, 6)]
    """
    if not args and datasets is None:
        raise TypeError("Must pass at least one dataset to `zip`.")
    if args and datasets is not None:
        raise TypeError("Both `*args` and `datasets` cannot be set.")
    return ZipDataset(datasets if not args else args[0] if len(args) == 1 else args)
