"""Consecutive elements as one: `batch`, `ragged_batch`, `sparse_batch`; and apart again: `unbatch`, `rebatch`."""

import itertools

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import int64, string
from tapeflow.base.errors import DataLossError, invalid
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import ndarray
from tapeflow.data.dataset import UNKNOWN_CARDINALITY, UnaryDataset, as_int, method
from tapeflow.data.maps import MapDataset
from tapeflow.data.rows import RowBatches
from tapeflow.data.stream import Joined, Plain, Stream
from tapeflow.data.structure import RAGGED, batch_spec, fixed, ragged_stack, slices, small, stacked, unbatch_spec


class Batched(UnaryDataset):
    """What all batches share: sizes."""

    def __init__(self, source, size, drop):
        super().__init__(source)
        if size < 1:
            raise invalid("BatchDatasetV2", f"Batch size must be greater than zero, got {size}")
        self._batch_size, self._drop = size, drop
        self._known_size = size if drop and size.__class__ is int else None  # a smaller batch may come unless it is dropped

    def _size(self):
        size = self._source._size()
        if size < 0:
            return size
        return size // self._batch_size if self._drop else -(-size // self._batch_size)


class BatchDataset(Batched):
    """Consecutive elements stacked."""

    def __init__(self, source, size, drop):
        super().__init__(source, size, drop)
        self._spec = nest.map_structure(lambda spec: batch_spec(spec, self._known_size), source.element_spec)

    def _elements(self, run):
        if self._source._in_rows():
            return RowBatches(*self._source._rows(run), self._batch_size, self._drop)
        source, functions = self._source, []
        while isinstance(source, MapDataset) and source._vectorized and small(source._source.element_spec):
            functions.insert(0, source._function)
            source = source._source
        specs = nest.flatten(source.element_spec)
        whole = isinstance(source, MapDataset) and not functions
        return BatchStream(source._stream(run), specs, functions, self._batch_size, self._drop, whole)


class BatchStream(Stream):
    """The elements of a stream, `size` stacked at a time, and the results of pure functions on these.

    As in TensorFlow, a batch of results of `map` is lost as a whole where one of them fails, and may fail although it is dropped.
    Where an element of another dataset fails, those before it are lost, and the next batch begins behind it.
    """

    __slots__ = ("_drop", "_functions", "_position", "_size", "_source", "_specs", "_whole")

    def __init__(self, source, specs, functions, size, drop, whole):
        self._source, self._specs, self._functions = source, specs, functions
        self._size, self._drop, self._whole = size, drop, whole
        self._position = 0

    def __next__(self):
        elements = self._mapped() if self._whole else list(itertools.islice(self._source, self._size))
        dropped = self._drop and len(elements) < self._size
        if not elements or (dropped and not self._whole and all(function.total for function in self._functions)):
            raise StopIteration
        position, self._position = self._position, self._position + len(elements)
        columns = [batched(parts, spec) for parts, spec in zip(zip(*elements, strict=True), self._specs, strict=True)]
        try:
            for function in self._functions:
                columns = function.batched(columns, len(elements))
        except Exception:
            for number, values in enumerate(elements):  # the one that fails says so
                for function in self._functions:
                    values = function.at(position + number, values)
            raise
        if dropped:  # none of its elements failed
            raise StopIteration
        return columns

    def _mapped(self):
        """The next elements; the first error among them comes when all have been asked for."""
        elements, error = [], None
        for _ in range(self._size):
            try:
                elements.append(next(self._source))
            except StopIteration:
                break
            except Exception as raised:
                error = error or raised
        if error is not None:
            raise error
        return elements

    def skip(self, count):
        """Pass over `count` elements, or as many as there are; they are made only where that may fail."""
        if fixed(self._specs) and not self._whole and all(function.total for function in self._functions):
            self._position += count * self._size
            self._source.skip(count * self._size)
        else:
            super().skip(count)


def batched(parts, spec):
    """One leaf of consecutive elements, stacked."""
    if isinstance(spec, TensorSpec):
        first = parts[0].shape
        for part in parts:
            if part.shape != first:
                raise invalid(
                    "Batch",
                    "Cannot add tensor to the batch: number of elements does not match. Shapes are: "
                    f"[tensor]: {_listed(part)}, [batch]: {_listed(parts[0])}",
                )
        return np.array(parts) if first == () and spec.dtype is not string else np.stack(parts)
    return stacked(parts, spec)


def _listed(part):
    return "[" + ",".join(map(str, np.shape(part))) + "]"


@method("batch")
def batch(self, batch_size, drop_remainder=False, num_parallel_calls=None, deterministic=None, name=None):
    """Consecutive elements stacked; the last batch is smaller unless `drop_remainder`.

    Args:
        batch_size: how many elements a batch has.
        drop_remainder: whether a last, smaller batch is left out; then the size is in `element_spec`.
        num_parallel_calls: how many batches are copied at the same time; one is enough here.
        deterministic: accepted; the order stays.

    Raises:
        InvalidArgumentError: the size is not positive, or (while iterating) elements differ in shape.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().tolist() for x in tf.data.Dataset.range(5).batch(2)]
        [[0, 1], [2, 3], [4]]
    """
    return BatchDataset(self, as_int(batch_size), bool(drop_remainder))


# Ragged and sparse


class RaggedBatchDataset(Batched):
    """Consecutive elements stacked, as ragged tensors where a dimension is not known."""

    def __init__(self, source, size, drop, row_splits_dtype):
        super().__init__(source, size, drop)
        self._splits = row_splits_dtype
        count = self._known_size
        self._spec = nest.map_structure(
            lambda spec: _ragged_spec(spec, row_splits_dtype)._batch(count) if _is_ragged(spec) else batch_spec(spec, count),
            source.element_spec,
        )

    def _elements(self, run):
        specs = nest.flatten(self._source.element_spec)
        return RaggedBatchStream(self._source._stream(run), specs, self._batch_size, self._drop, self._splits)


def _is_ragged(spec):
    return isinstance(spec, TensorSpec) and spec.shape.rank is not None and not spec.shape.is_fully_defined()


def _ragged_spec(spec, row_splits_dtype):
    """The spec of such a tensor as a ragged one; ragged up to its last unknown dimension."""
    rank = max(axis for axis, n in enumerate(spec.shape.as_list()) if n is None)
    return RAGGED["spec"](spec.shape, spec.dtype, rank, row_splits_dtype)


class RaggedBatchStream(Stream):
    """The elements of a stream, `size` at a time, stacked, as ragged tensors where a dimension is not known."""

    __slots__ = ("_drop", "_size", "_source", "_specs", "_splits")

    def __init__(self, source, specs, size, drop, splits):
        self._source, self._specs, self._splits = source, specs, splits
        self._size, self._drop = size, drop

    def __next__(self):
        elements = list(itertools.islice(self._source, self._size))
        if not elements or (self._drop and len(elements) < self._size):
            raise StopIteration
        return [
            ragged_stack(parts, _ragged_spec(spec, self._splits)) if _is_ragged(spec) else batched(parts, spec)
            for parts, spec in zip(zip(*elements, strict=True), self._specs, strict=True)
        ]


@method("ragged_batch")
def ragged_batch(self, batch_size, drop_remainder=False, row_splits_dtype=int64, name=None):
    """Consecutive elements stacked: as ragged tensors where `element_spec` leaves a dimension open.

    Args:
        batch_size: how many elements a batch has.
        drop_remainder: whether a last, smaller batch is left out.
        row_splits_dtype: int32 or int64.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(1, 4).map(tf.range)
        >>> [x.to_list() for x in dataset.ragged_batch(2)]
        [[[0], [0, 1]], [[0, 1, 2]]]
    """
    return RaggedBatchDataset(self, as_int(batch_size), bool(drop_remainder), row_splits_dtype)


@method("sparse_batch")
def sparse_batch(self, batch_size, row_shape, name=None):
    """Consecutive elements, tensors of any size up to `row_shape`, as one sparse tensor.

    Args:
        batch_size: how many elements a batch has.
        row_shape: the shape of a row of the result; None where it is the largest of the batch.

    Raises:
        TypeError: an element is no single tensor.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.from_tensor_slices([[1, 2], [3, 4]])
        >>> [tf.sparse.to_dense(x).numpy().tolist() for x in dataset.sparse_batch(2, [3])]
        [[[1, 2, 0], [3, 4, 0]]]
    """
    return SparseBatchDataset(self, as_int(batch_size), TensorShape(row_shape))


class SparseBatchDataset(Batched):
    """Consecutive tensors as sparse ones."""

    def __init__(self, source, size, row_shape):
        super().__init__(source, size, False)
        spec = source.element_spec
        if not isinstance(spec, TensorSpec):
            raise TypeError(f"`sparse_batch` is only supported for datasets with single tensors as elements, not {spec}.")
        self._row_shape = row_shape
        self._spec = RAGGED["sparse_spec"](TensorShape([None]).concatenate(row_shape), spec.dtype)

    def _elements(self, run):
        return SparseBatchStream(self._source._stream(run), self._batch_size, self._row_shape.as_list())


class SparseBatchStream(Stream):
    """The tensors of a stream, `size` at a time, as sparse tensors."""

    __slots__ = ("_row_shape", "_size", "_source")

    def __init__(self, source, size, row_shape):
        self._source, self._size, self._row_shape = source, size, row_shape

    def __next__(self):
        parts = [values[0] for values in itertools.islice(self._source, self._size)]
        if not parts:
            raise StopIteration
        shapes = [np.shape(part) for part in parts]
        for shape in shapes:
            if len(shape) != len(self._row_shape):
                raise invalid("DenseToSparseBatch", f"Input tensor must have rank {len(self._row_shape)}, not {len(shape)}")
            if any(most is not None and n > most for n, most in zip(shape, self._row_shape, strict=True)):
                raise DataLossError(
                    None, None, f"Larger than row shape {self._row_shape}: an element of shape {list(shape)}"
                )
        row = [max(column) if n is None else n for n, column in zip(self._row_shape, zip(*shapes, strict=True), strict=True)]
        index = [[i, *place] for i, part in enumerate(parts) for place in np.ndindex(np.shape(part))]
        indices = np.array(index, np.int64).reshape(-1, len(row) + 1)
        return [RAGGED["sparse"](indices, np.concatenate([np.ravel(part) for part in parts]), [len(parts), *row])]


# Apart again


class UnbatchDataset(UnaryDataset):
    """The slices of each element."""

    def __init__(self, source):
        super().__init__(source)
        self._flat_specs = nest.flatten(source.element_spec)
        shapes = [spec.shape for spec in self._flat_specs if getattr(spec, "shape", None) is not None]
        if any(shape.rank == 0 for shape in shapes):
            raise ValueError("Cannot unbatch an input with scalar components.")
        lengths = [shape[0] for shape in shapes if shape.rank is not None and shape[0] is not None]
        for length in lengths:
            if length != lengths[0]:
                raise ValueError(
                    "`unbatch()` is only supported for datasets of elements whose components have a matching leading dimension. "
                    f"Encountered both {lengths[0]} and {length}."
                )
        self._length = lengths[0] if lengths else None
        self._spec = nest.map_structure(unbatch_spec, source.element_spec)

    def _elements(self, run):
        return UnbatchStream(self._source._stream(run), self._flat_specs)

    def _size(self):
        size = self._source._size()
        return size if size < 0 else size * self._length if self._length else UNKNOWN_CARDINALITY


class UnbatchStream(Joined):
    """The slices of each element of a stream."""

    __slots__ = ("_source", "_specs")

    def __init__(self, source, specs):
        super().__init__()
        self._source, self._specs = source, specs

    def _open(self):
        values = next(self._source)
        if any(np.ndim(value) == 0 for value, spec in zip(values, self._specs, strict=True) if isinstance(spec, TensorSpec)):
            raise invalid("Unbatch", "Input element must have a non-scalar value in each component.")
        lengths = {len(value) for value in values if isinstance(value, ndarray)}
        if len(lengths) > 1:
            raise invalid("Unbatch", f"Input element must have the same batch size in each component: {sorted(lengths)}")
        columns = [slices(value, spec) for value, spec in zip(values, self._specs, strict=True)]
        return Plain(map(list, zip(*columns, strict=False)))


@method("unbatch")
def unbatch(self, name=None):
    """The slices of each element along its first axis.

    Raises:
        ValueError: elements have scalars, or parts of different lengths.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.from_tensors([1, 2, 3]).unbatch()]
        [1, 2, 3]
    """
    return UnbatchDataset(self)


class RebatchDataset(UnaryDataset):
    """The slices of each element, batched anew."""

    def __init__(self, source, sizes, drop):
        super().__init__(source)
        sizes = convert_to_tensor(sizes, int64)
        if len(sizes.dims) > 1:
            raise ValueError(
                "Invalid `batch_sizes`. Expected `batch_sizes` to be a scalar or a vector. Received `batch_sizes` of rank "
                f"{len(sizes.dims)}."
            )
        self._sizes = np.atleast_1d(sizes._value).tolist()
        self._drop = drop
        self._flat_specs = nest.flatten(source.element_spec)
        dim = self._batch_dim()
        self._spec = nest.map_structure(lambda spec: batch_spec(unbatch_spec(spec), dim), source.element_spec)

    def _batch_dim(self):
        """The size of all batches, or None where it may differ."""
        for spec in self._flat_specs:
            if getattr(spec, "shape", None) is not None and spec.shape.rank == 0:
                raise ValueError(
                    "Invalid `batch_sizes`. Expected dataset with rank of >= 1 but found a dataset with scalar elements. Fix the "
                    "issue by adding the `batch` transformation to the dataset."
                )
        if len(set(self._sizes)) > 1:
            return None
        if self._drop:
            return self._sizes[0]
        known = {spec.shape[0] for spec in self._flat_specs if spec.shape.rank is not None} - {None}
        return self._sizes[0] if known and known.pop() % self._sizes[0] == 0 else None

    def _elements(self, run):
        specs = nest.flatten(nest.map_structure(unbatch_spec, self._source.element_spec))
        return RebatchStream(UnbatchStream(self._source._stream(run), self._flat_specs), specs, self._sizes, self._drop)

    def _size(self):
        return UNKNOWN_CARDINALITY


class RebatchStream(Stream):
    """The elements of a stream in batches whose sizes come in turn."""

    __slots__ = ("_drop", "_sizes", "_source", "_specs")

    def __init__(self, source, specs, sizes, drop):
        self._source, self._specs, self._drop = source, specs, drop
        self._sizes = itertools.cycle(sizes)

    def __next__(self):
        size = next(self._sizes)
        elements = list(itertools.islice(self._source, size))
        if not elements or (self._drop and len(elements) < size):
            raise StopIteration
        return [batched(parts, spec) for parts, spec in zip(zip(*elements, strict=True), self._specs, strict=True)]


@method("rebatch")
def rebatch(self, batch_size, drop_remainder=False, name=None):
    """The same rows in batches of another size.

    Args:
        batch_size: the size, or a vector of sizes that come in turn.
        drop_remainder: whether a last, smaller batch is left out.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(6).batch(2).rebatch(4)
        >>> [x.numpy().tolist() for x in dataset]
        [[0, 1, 2, 3], [4, 5]]
    """
    return RebatchDataset(self, batch_size, bool(drop_remainder))
