"""`tf.py_function` and `tf.numpy_function`: Python code as an op."""

import functools

import numpy as np

from tapeflow.api.export import export
from tapeflow.base import nest
from tapeflow.base.dtypes import as_dtype
from tapeflow.base.errors import (
    InvalidArgumentError,
    OutOfRangeError,
    ResourceExhaustedError,
    UnimplementedError,
    UnknownError,
)
from tapeflow.base.specs import TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.state import state, tracing
from tapeflow.core.tensor import Spec, wrap

# What an exception of the function becomes: the first class that fits.
ERRORS = (
    ((ValueError, TypeError), InvalidArgumentError),
    (StopIteration, OutOfRangeError),
    (MemoryError, ResourceExhaustedError),
    (NotImplementedError, UnimplementedError),
    (Exception, UnknownError),
)


@export("py_function")
def py_function(func=None, inp=None, Tout=None, name=None):
    """`func` of some tensors; in a graph it runs each time that the graph does. Gradients flow through it.

    Args:
        func: a function of tensors; None makes a decorator.
        inp: the list of its arguments.
        Tout: the dtype or spec of its result, or a list of them.

    Returns:
        A tensor, or a list of tensors where `Tout` is a list.

    Raises:
        InvalidArgumentError: the function raised ValueError or TypeError, or did not return what `Tout` says.
        UnknownError: it raised another exception.

    Example:
        >>> import tapeflow as tf
        >>> tf.py_function(lambda x: x * int(x), [tf.constant(3.0)], tf.float32)
        <tf.Tensor: shape=(), dtype=float32, numpy=9.0>
    """
    if func is None:
        return _decorator(py_function, Tout)
    _check(func, inp, Tout)
    tensors = [convert_to_tensor(x) for x in inp]
    if state.graph is None:
        results = _call(func, tensors, Tout)
    else:

        def call(*values):
            with tracing(None):
                return tuple([x._value for x in _call(func, [wrap(value) for value in values], Tout)])

        def back(*values):
            return _gradients(func, Tout, [wrap(value) for value in values], len(tensors))

        results = P.py_call(*tensors, call=call, back=back, specs=_specs(Tout))
    return list(results) if isinstance(Tout, (list, tuple)) else results[0] if len(results) == 1 else list(results)


def _gradients(func, Tout, tensors, count):
    """The cotangents of the first `count` tensors, the inputs, for those of the results, which are the others."""
    from tapeflow.autodiff.tape import GradientTape

    inputs, cotangents = tensors[:count], tensors[count:]
    with tracing(None):
        with GradientTape() as tape:
            tape.watch(inputs)
            results = _call(func, inputs, Tout)
        found = tape.gradient(list(results), inputs, output_gradients=cotangents)
        return tuple(
            [(P.zeros_like(x) if g is None else convert_to_tensor(g))._value for g, x in zip(found, inputs, strict=True)]
        )


@export("numpy_function")
def numpy_function(func=None, inp=None, Tout=None, stateful=True, name=None):
    """`func` of some NumPy arrays; in a graph it runs each time that the graph does. It has no gradient.

    Args:
        func: a function of arrays; None makes a decorator.
        inp: the list of its arguments.
        Tout: the dtype or spec of its result, or a list of them; when executing eagerly the result's own dtype counts.
        stateful: whether it may have effects; it is always taken to have them.

    Example:
        >>> import numpy as np
        >>> import tapeflow as tf
        >>> tf.numpy_function(np.sort, [tf.constant([3, 1, 2])], tf.int32)
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([1, 2, 3], dtype=int32)>
    """
    if func is None:
        return _decorator(numpy_function, Tout)
    _check(func, inp, Tout)
    if state.scope is None:
        result = func(*[np.array(x) for x in inp])
        if isinstance(result, (list, tuple)):
            result = result[0] if len(result) == 1 else list(result)
        return nest.map_structure(lambda x: None if x is None else convert_to_tensor(x), result)

    def call(*values):
        result = func(*[np.array(value) for value in values])
        results = result if isinstance(result, (list, tuple)) else () if result is None else (result,)
        return tuple([convert_to_tensor(x, spec.dtype)._value for x, spec in zip(results, specs, strict=True)])

    specs = _specs(Tout)
    results = P.py_call(*[convert_to_tensor(x) for x in inp], call=call, back=None, specs=specs)
    return list(results) if isinstance(Tout, (list, tuple)) else results[0]


def _decorator(function, Tout):
    def decorate(func):
        return functools.wraps(func)(lambda *args: function(func, list(args), Tout))

    return decorate


def _check(func, inp, Tout):
    if not callable(func):
        raise ValueError(f"Expected func to be callable. Received func={func} of type {type(func)}.")
    if inp is None:
        raise TypeError(
            "Missing argument `inp`: the list of the function's arguments (leave `func` out to make a decorator)."
        )
    if Tout is None:
        raise TypeError("Missing required argument: 'Tout', the dtype or spec of the result or a list of them.")


def _dtypes(Tout):
    return [
        t.dtype if isinstance(t, TypeSpec) else as_dtype(t) for t in (Tout if isinstance(Tout, (list, tuple)) else [Tout])
    ]


def _specs(Tout):
    """What the results will be; a graph knows their shapes only from specs."""
    wanted = Tout if isinstance(Tout, (list, tuple)) else [Tout]
    shapes = [t.shape._dims if isinstance(t, TypeSpec) else None for t in wanted]
    return tuple([Spec(dims, dtype) for dims, dtype in zip(shapes, _dtypes(Tout), strict=True)])


def _call(func, tensors, Tout):
    """The results of `func` as tensors of the dtypes in `Tout`."""
    try:
        result = func(*tensors)
        results = list(result) if isinstance(result, (list, tuple)) else [] if result is None else [result]
        dtypes = _dtypes(Tout)
        if not isinstance(Tout, (list, tuple)):
            results = results[:1]
        if len(results) != len(dtypes):
            name = getattr(func, "__name__", repr(func))
            raise InvalidArgumentError(
                None, None, f"{name} returns {len(results)} values, but expects to see {len(dtypes)} values"
            )
        return tuple([convert_to_tensor(x, dtype) for x, dtype in zip(results, dtypes, strict=True)])
    except InvalidArgumentError:
        raise
    except Exception as error:
        kind = next(kind for classes, kind in ERRORS if isinstance(error, classes))
        raise kind(None, None, f"{type(error).__name__}: {error}") from error
