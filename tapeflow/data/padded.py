"""`Dataset.padded_batch`: consecutive elements, padded to one shape and stacked."""

import itertools

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import string
from tapeflow.base.errors import DataLossError, invalid
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor, ndarray
from tapeflow.data.batches import Batched
from tapeflow.data.dataset import DatasetSpec, SomeInt, as_int, method
from tapeflow.data.stream import Stream


class PaddedBatchDataset(Batched):
    """Consecutive elements, padded to one shape and stacked."""

    def __init__(self, source, size, padded_shapes, padding_values, drop):
        super().__init__(source, size, drop)
        specs = nest.flatten(source.element_spec)
        for spec in specs:
            if isinstance(spec, DatasetSpec):
                raise TypeError("`padded_batch` is not supported for datasets of datasets")
            if not isinstance(spec, TensorSpec):
                raise TypeError(
                    "`padded_batch` is only supported for datasets that produce tensor elements but type spec of elements "
                    f"in the input dataset is not a subclass of TensorSpec: `{spec}`."
                )
        self._shapes = _padded_shapes(padded_shapes, source.element_spec)
        self._values = _padding_values(padding_values, source.element_spec)
        count = self._known_size
        known = [[None if isinstance(n, SomeInt) else n for n in dims] for dims in self._shapes]
        made = [TensorSpec([count, *dims], spec.dtype) for dims, spec in zip(known, specs, strict=True)]
        self._spec = nest.pack_sequence_as(source.element_spec, made)

    def _elements(self, run):
        return PaddedBatchStream(self._source._stream(run), self._shapes, self._values, self._batch_size, self._drop)


def _padded_shapes(shapes, spec):
    """For each leaf its padded shape, a list of ints and None."""
    specs = nest.flatten(spec)
    if shapes is None:
        for i, part in enumerate(specs):
            if part.shape.rank is None:
                raise ValueError(f"You must provide `padded_shapes` argument because component {i} has unknown rank.")
        return [part.shape.as_list() for part in specs]
    found = []
    for given, part in zip(_flatten_shapes(shapes, spec), specs, strict=True):
        dims = _as_dims(given)
        own = None if part.shape.rank is None else part.shape.as_list()
        if own is not None and (
            len(own) != len(dims)
            or any(n.__class__ is int and m is not None and n < m for n, m in zip(dims, own, strict=True))
        ):
            raise ValueError(
                f"The padded shape {TensorShape(dims)} is not compatible with the shape {part.shape} of the corresponding input "
                "component."
            )
        found.append(dims)
    return found


def _flatten_shapes(shapes, spec):
    """The shapes of a nest like `spec`; a list is a shape."""
    if isinstance(spec, dict):
        return [shape for key in sorted(spec) for shape in _flatten_shapes(shapes[key], spec[key])]
    if isinstance(spec, tuple):
        return [shape for part, inner in zip(shapes, spec, strict=True) for shape in _flatten_shapes(part, inner)]
    return [shapes]


def _as_dims(given):
    """A list of ints and Nones of what stands for a padded shape: also a vector in which -1 is unknown."""
    if isinstance(given, (Tensor, ndarray)):
        x = convert_to_tensor(given)
        if len(x.dims) != 1:
            raise ValueError(f"Padded shape {given} must be a `tf.int64` vector tensor, but its shape was {x.shape}.")
        given = x._value.tolist()
    if isinstance(given, (list, tuple)):
        return [None if n is None or as_int(n) == -1 else as_int(n) for n in given]
    return TensorShape(given).as_list()


def _padding_values(values, spec):
    """For each leaf its padding, a NumPy value."""
    specs = nest.flatten(spec)
    given = [values] * len(specs) if values is None or not nest.is_nested(values) else nest.flatten_up_to(spec, values)
    found = []
    for value, part in zip(given, specs, strict=True):
        if value is None:
            found.append(b"" if part.dtype is string else part.dtype.type(0))
            continue
        x = convert_to_tensor(value)
        if x.dims != ():
            raise ValueError(f"Invalid `padding_values`. `padding_values` values should be scalars, but got {x.shape}.")
        if x.dtype is not part.dtype:
            raise TypeError(
                f"Invalid `padding_values`. `padding_values` values type {x.dtype!r} does not match type {part.dtype!r} of the "
                "corresponding input component."
            )
        found.append(x._value)
    return found


class PaddedBatchStream(Stream):
    """The elements of a stream, `size` at a time, padded and stacked."""

    __slots__ = ("_drop", "_shapes", "_size", "_source", "_values")

    def __init__(self, source, shapes, values, size, drop):
        self._source, self._shapes, self._values = source, shapes, values
        self._size, self._drop = size, drop

    def __next__(self):
        elements = list(itertools.islice(self._source, self._size))
        if not elements or (self._drop and len(elements) < self._size):
            raise StopIteration
        return [padded(*column) for column in zip(zip(*elements, strict=True), self._shapes, self._values, strict=True)]


def padded(parts, dims, value):
    """One leaf of consecutive elements, padded to `dims` (None: to the largest) and stacked."""
    shapes = [np.shape(part) for part in parts]
    for shape in shapes:
        if len(shape) != len(dims):
            raise invalid(
                "PaddedBatch", f"All elements in a batch must have the same rank as the padded shape: {shape}, {dims}"
            )
        for n, most in zip(shape, dims, strict=True):
            if most is not None and n > most:
                raise DataLossError(
                    None,
                    None,
                    "Attempted to pad to a smaller size than the input element. "
                    f"An element of shape {list(shape)} does not fit into {dims}.",
                )
    largest = [max(column) if n is None else n for n, column in zip(dims, zip(*shapes, strict=True), strict=True)]
    result = np.empty((len(parts), *largest), np.asarray(parts[0]).dtype)
    result[...] = value
    for i, (part, shape) in enumerate(zip(parts, shapes, strict=True)):
        result[(i, *map(slice, shape))] = part if shape else part[()]
    return result


@method("padded_batch")
def padded_batch(self, batch_size, padded_shapes=None, padding_values=None, drop_remainder=False, name=None):
    """Consecutive elements, padded to one shape and stacked.

    Args:
        batch_size: how many elements a batch has.
        padded_shapes: a nest of shapes; elements are padded to the largest of a batch where it says None or -1. The shapes of
            `element_spec` by default.
        padding_values: a nest of scalars to pad with; 0 or an empty string by default.
        drop_remainder: whether a last, smaller batch is left out.

    Raises:
        ValueError: a shape does not fit an element's, or a rank is unknown and no shape given.
        TypeError: a padding value has another dtype, or the elements are no tensors.
        DataLossError: (while iterating) an element is larger than its padded shape.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(1, 4).map(lambda x: tf.fill([x], x))
        >>> [x.numpy().tolist() for x in dataset.padded_batch(2)]
        [[[1, 0], [2, 2]], [[3, 3, 3]]]
    """
    return PaddedBatchDataset(self, as_int(batch_size), padded_shapes, padding_values, bool(drop_remainder))
