"""`Dataset.from_generator`: what a Python generator yields, checked and converted to a signature."""

import numpy as np

from tapeflow.base import errors, nest
from tapeflow.base.dtypes import NUMBERS as _NUMBERS
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.record import user_line
from tapeflow.core.state import paused, state, tracing
from tapeflow.core.tensor import Tensor
from tapeflow.data.dataset import Dataset, constructor
from tapeflow.data.stream import Stream
from tapeflow.data.structure import NoneTensorSpec, leaf_spec

# TensorFlow's errors for what a generator raises, as for any Python function that an op calls.
_ERRORS = [
    ((TypeError, ValueError), InvalidArgumentError),
    (MemoryError, errors.ResourceExhaustedError),
    (NotImplementedError, errors.UnimplementedError),
]


@constructor("from_generator")
def from_generator(generator, output_types=None, output_shapes=None, args=None, output_signature=None, name=None):
    """What `generator(*args)` yields, converted to the types of a nest of specs.

    The generator is closed when the iterator over the dataset ends or is dropped.

    Args:
        generator: a callable that returns something to iterate over, once for each iteration of the dataset.
        output_types: a nest of dtypes, where there is no `output_signature`.
        output_shapes: a nest of shapes to go with them; unknown where it is None.
        args: values that become tensors, whose NumPy values the generator is called with.
        output_signature: a nest of specs.

    Raises:
        TypeError: `generator` is no callable, or nothing says what it yields.
        InvalidArgumentError: (while iterating) an element does not fit its spec.

    Example:
        >>> import tapeflow as tf
        >>> spec = tf.TensorSpec([], tf.int32)
        >>> [int(x) for x in tf.data.Dataset.from_generator(lambda: iter([3, 5]), output_signature=spec)]
        [3, 5]
    """
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
    return GeneratorDataset(generator, [convert_to_tensor(arg) for arg in args or ()], output_signature)


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

    def __init__(self, generator, arguments, signature):
        for spec in nest.flatten(signature):
            if not isinstance(spec, TypeSpec):
                raise TypeError(
                    "`output_signature` must contain objects that are subclass of `tf.TypeSpec` but found "
                    f"{type(spec)} which is not."
                )
        self._generator, self._arguments = generator, arguments
        self._spec = signature
        self._line = user_line()

    def _elements(self, run):
        arguments = [x.numpy() for x in self._arguments]
        return GeneratorStream(lambda: self._generator(*arguments), self._spec, self._line)


class GeneratorStream(Stream):
    """What a generator yields. Where its element is of no use, it goes on; where it raises, it has ended."""

    __slots__ = ("_generator", "_items", "_line", "_position", "_spec")

    def __init__(self, generator, spec, line):
        self._generator, self._spec, self._line = generator, spec, line
        self._items = None
        self._position = -1

    def __next__(self):
        if self._generator is None:
            raise StopIteration
        try:
            if state.scope is None and not state.recorders:
                element = self._yielded()
            else:
                with tracing(None), paused():
                    element = self._yielded()
            self._position += 1
            if element is not _END:
                return _leaves(element, self._spec)
        except Exception as error:
            raise _as_op_error(error, f"element {self._position + 1} of Dataset.from_generator() at {self._line}") from error
        self._generator = self._items = None
        raise StopIteration

    def _yielded(self):
        if self._items is None:
            self._items = iter(self._generator())
        return next(self._items, _END)


_END = object()


def _as_op_error(error, where):
    """TensorFlow's error for what a generator raised."""
    if isinstance(error, errors.OpError):
        return error
    kind = next((kind for classes, kind in _ERRORS if isinstance(error, classes)), errors.UnknownError)
    import traceback  # not needed to import the package

    return kind(None, None, f"{type(error).__name__}: {error}\n{traceback.format_exc()}\n\t [[{where}]]")


def _leaves(element, spec):
    """The leaves of an element, converted to their specs."""
    if isinstance(spec, TensorSpec):
        return [_fitted(element, spec)]
    if isinstance(element, list) and isinstance(spec, tuple):
        element = tuple(element)
    try:
        parts = nest.flatten_up_to(spec, element, check_types=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "`generator` yielded an element that did not match the expected structure. The expected structure was "
            f"{spec}, but the yielded element was {element}."
        ) from error
    return [_fitted(part, leaf) for part, leaf in zip(parts, nest.flatten(spec), strict=True)]


def _fitted(part, spec):
    """A part of an element as a leaf that fits its spec."""
    if not isinstance(spec, TensorSpec):
        if isinstance(spec, NoneTensorSpec) or spec.is_compatible_with(leaf_spec(part)):
            return part
        raise TypeError(f"`generator` yielded {part!r} where an element of type {spec} was expected.")
    try:
        value = _converted(part, spec.dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "`generator` yielded an element that could not be converted to the expected type. The expected type was "
            f"{spec.dtype.name}, but the yielded element was {part}."
        ) from error
    if not spec.shape.is_compatible_with(value.shape):
        raise TypeError(
            f"`generator` yielded an element of shape {value.shape} where an element of shape {spec.shape} was expected."
        )
    return value


def _converted(part, dtype):
    """A value of that dtype; as in TensorFlow, numbers and arrays of numbers are cast to it, whatever is lost of them."""
    if isinstance(part, Tensor):
        return convert_to_tensor(part, dtype)._value
    if dtype in _NUMBERS:
        array = np.array(part)
        if array.dtype.kind in "biufc":
            return array.astype(dtype.numpy_dtype, copy=False)[()]
    return convert_to_tensor(part, dtype)._value
