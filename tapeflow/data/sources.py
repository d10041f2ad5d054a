"""Datasets that begin a pipeline: tensors, their slices, ranges, generators; and several datasets side by side."""

import itertools
import traceback

import numpy as np

from tapeflow.base import errors, nest
from tapeflow.base.dtypes import as_dtype, int64
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor, ndarray
from tapeflow.data.dataset import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, as_int
from tapeflow.data.structure import NoneTensorSpec, flat_values, leaf_spec, row, slices, spec_of, to_tensors


class TensorDataset(Dataset):
    """One element."""

    def __init__(self, tensors):
        tensors = to_tensors(tensors)
        self._spec = spec_of(tensors)
        self._values = flat_values(tensors)

    def _elements(self):
        yield self._values

    def _size(self):
        return 1


class TensorSliceDataset(Dataset):
    """The slices of a nest of tensors along their first axis."""

    def __init__(self, tensors):
        tensors = to_tensors(tensors)
        specs = spec_of(tensors)
        self._flat_specs = nest.flatten(specs)
        self._values = flat_values(tensors)
        self._count = _common_length(self._flat_specs, self._values)
        self._spec = nest.map_structure(lambda spec: spec._unbatch(), specs)
        self._plain = all(value.__class__ is ndarray for value in self._values)

    def _elements(self):
        if self._plain:
            for i in range(self._count):
                yield [row(array, i) for array in self._values]
            return
        streams = [slices(value, spec) for value, spec in zip(self._values, self._flat_specs, strict=True)]
        for _ in range(self._count):
            yield [next(stream) for stream in streams]

    def _rows(self):
        return (self._values, iter(range(self._count))) if self._plain else None

    def _size(self):
        return self._count


def _common_length(specs, values):
    """How many slices the leaves have."""
    known = [(spec, value) for spec, value in zip(specs, values, strict=True) if value is not None]
    if not known:
        raise ValueError("Invalid `element`. `element` should not be empty.")
    if any(spec.shape.rank == 0 for spec, _ in known):
        raise ValueError("Unbatching a tensor is only supported for rank >= 1")
    counts = [spec.shape[0] for spec, _ in known]
    for count in counts:
        if count != counts[0]:
            raise ValueError(f"Dimensions {counts[0]} and {count} are not compatible")
    return counts[0]


class RangeDataset(Dataset):
    """Python's `range`."""

    def __init__(self, *args, output_type):
        if not 1 <= len(args) <= 3:
            raise ValueError(f"Invalid `args`. The length of `args` should be between 1 and 3 but was {len(args)}.")
        numbers = [as_int(arg) for arg in args]
        if len(numbers) == 3 and numbers[2] == 0:
            raise invalid("range", "step must be a non-zero integer, got 0")
        self._range = range(*numbers)
        self._type = as_dtype(output_type)
        self._spec = TensorSpec([], self._type)

    def _elements(self):
        for i in self._range:
            yield [self._type.type(i)]

    def _size(self):
        return len(self._range)


class CountDataset(Dataset):
    """The integers from `start` on, without an end."""

    def __init__(self, start):
        self._start = as_int(start)
        self._spec = TensorSpec([], int64)

    def _elements(self):
        for i in itertools.count(self._start):
            yield [np.int64(i)]

    def _size(self):
        return INFINITE_CARDINALITY


class ZipDataset(Dataset):
    """Nests of the elements of several datasets."""

    def __init__(self, datasets):
        self._flat = nest.flatten(datasets)
        _check_zipped(datasets)
        self._spec = nest.map_structure(lambda dataset: dataset.element_spec, datasets)

    def _elements(self):
        for parts in zip(*[dataset._elements() for dataset in self._flat], strict=False):
            yield list(itertools.chain.from_iterable(parts))

    def _size(self):
        sizes = [dataset._size() for dataset in self._flat]
        finite = [size for size in sizes if size >= 0]
        if UNKNOWN_CARDINALITY in sizes:
            return UNKNOWN_CARDINALITY
        return min(finite) if finite else INFINITE_CARDINALITY


def _check_zipped(datasets):
    wanted = "Invalid input to `zip`. Inputs are expected to be (nested) structures of `tf.data.Dataset` objects"
    if isinstance(datasets, list):
        raise TypeError(f"{wanted}. Python `list` is not supported and you should use `tuple` instead.")
    if isinstance(datasets, (tuple, dict)):
        for part in datasets.values() if isinstance(datasets, dict) else datasets:
            _check_zipped(part)
    elif not isinstance(datasets, Dataset):
        raise TypeError(f"{wanted} but encountered object of type {type(datasets)}.")


# Generators

# TensorFlow's errors for what a generator raises, as for any Python function that an op calls.
_ERRORS = [
    ((TypeError, ValueError), InvalidArgumentError),
    (MemoryError, errors.ResourceExhaustedError),
    (NotImplementedError, errors.UnimplementedError),
]


def from_generator(generator, output_types, output_shapes, args, output_signature):
    """The dataset of a generator; see `Dataset.from_generator`."""
    if not callable(generator):
        raise TypeError("`generator` must be a Python callable.")
    if output_signature is None:
        if output_types is None:
            raise TypeError(
                "To specify the output signature you need to provide either the `output_signature` argument or the "
                "`output_types` argument."
            )
        output_signature = _signature(output_types, output_shapes)
    elif output_types is not None or output_shapes is not None:
        raise TypeError("The `output_signature` argument can not be used together with `output_types` or `output_shapes`.")
    arguments = [convert_to_tensor(arg).numpy() for arg in args or ()]
    return GeneratorDataset(lambda: generator(*arguments), output_signature)


def _signature(types, shapes):
    """The nest of TensorSpecs of a nest of dtypes and a nest of shapes of the same structure, or None."""
    if isinstance(types, dict):
        return {key: _signature(types[key], None if shapes is None else shapes[key]) for key in types}
    if isinstance(types, tuple):
        parts = [None] * len(types) if shapes is None else shapes
        return tuple([_signature(dtype, shape) for dtype, shape in zip(types, parts, strict=True)])
    return TensorSpec(TensorShape(shapes), types)


class GeneratorDataset(Dataset):
    """What a generator yields."""

    def __init__(self, generator, signature):
        self._generator = generator
        self._spec = signature
        self._flat_specs = nest.flatten(signature)

    def _elements(self):
        stream = iter(self._called(self._generator))
        end = object()
        while (element := self._called(lambda: next(stream, end))) is not end:
            yield self._called(lambda element=element: self._leaves(element))

    def _called(self, function):
        """`function()`, whose errors become TensorFlow's."""
        try:
            return function()
        except Exception as error:
            if isinstance(error, errors.OpError):
                raise
            kind = next((kind for classes, kind in _ERRORS if isinstance(error, classes)), errors.UnknownError)
            text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
            raise kind(None, None, text) from error

    def _leaves(self, element):
        """The leaves of an element, converted to their specs."""
        if isinstance(element, list) and isinstance(self._spec, tuple):
            element = tuple(element)
        try:
            parts = nest.flatten_up_to(self._spec, element, check_types=False)
        except (TypeError, ValueError) as error:
            raise TypeError(
                "`generator` yielded an element that did not match the expected structure. The expected structure was "
                f"{self._spec}, but the yielded element was {element}."
            ) from error
        return [_fitted(part, spec) for part, spec in zip(parts, self._flat_specs, strict=True)]


def _fitted(part, spec):
    """A part of an element as a leaf that fits its spec."""
    if not isinstance(spec, TensorSpec):
        if isinstance(spec, NoneTensorSpec) or spec.is_compatible_with(leaf_spec(part)):
            return part
        raise TypeError(f"`generator` yielded {part!r} where an element of type {spec} was expected.")
    try:
        x = part if isinstance(part, Tensor) and part.dtype == spec.dtype else convert_to_tensor(_plain(part), spec.dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "`generator` yielded an element that could not be converted to the expected type. The expected type was "
            f"{spec.dtype.name}, but the yielded element was {part}."
        ) from error
    if not spec.shape.is_compatible_with(x.shape):
        raise TypeError(
            f"`generator` yielded an element of shape {x.shape} where an element of shape {spec.shape} was expected."
        )
    return x._value


def _plain(part):
    """What NumPy's conversion takes: a tensor or an array of another dtype is cast to the spec's."""
    return np.asarray(part).tolist() if isinstance(part, (Tensor, ndarray, np.generic)) else part
