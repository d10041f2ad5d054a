"""`tf.test.compute_gradient`: Jacobians from the tape beside those from finite differences."""

import math

import numpy as np

from tapeflow.autodiff.tape import GradientTape, UnconnectedGradients
from tapeflow.base.dtypes import COMPLEX, FLOATS
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import Tensor, wrap

DEFAULT_DELTA = 1.0 / 1024


def compute_gradient(f, x, delta=None):
    """The Jacobian of `f` by the tape and by central differences, for each argument.

    Args:
        f: a function of tensors that returns one tensor.
        x: a list or tuple of its arguments.
        delta: the step of the differences; 1/1024 by default.

    Returns:
        A pair of tuples, by the tape and by differences, each with a NumPy array of shape [size of the result, size of the
        argument] for each argument. A complex number counts as two reals.

    Raises:
        ValueError: `x` is no list or tuple, or an empty result has a gradient.
        AssertionError: an argument or the result is neither float nor complex.

    Example:
        >>> import tapeflow as tf
        >>> by_tape, by_differences = tf.test.compute_gradient(lambda x: x * x, [tf.constant([1.0, 2.0])])
        >>> by_tape[0].tolist(), by_differences[0].tolist()
        ([[2.0, 0.0], [0.0, 4.0]], [[2.0, 0.0], [0.0, 4.0]])
    """
    if not isinstance(x, (list, tuple)):
        raise ValueError(
            f"`x` must be a list or tuple of values convertible to a Tensor (arguments to `f`), not a {type(x)}"
        )
    xs = [convert_to_tensor(value) for value in x]
    y = f(*xs)
    if not isinstance(y, Tensor):
        raise TypeError(f"`f` must return one tensor, got {y!r} of type {type(y).__name__!r}.")
    for i, dtype in enumerate([value.dtype for value in xs]):
        assert dtype in FLOATS | COMPLEX, f"Cannot compute gradient for unsupported type {dtype.name} of argument {i}"
    assert y.dtype in FLOATS | COMPLEX, f"Cannot compute gradient for unsupported type {y.dtype.name} of y"
    delta = DEFAULT_DELTA if delta is None else delta
    return (
        tuple(_by_tape(f, xs, i) for i in range(len(xs))),
        tuple(_by_differences(f, xs, y, i, delta) for i in range(len(xs))),
    )


def _reals(dtype):
    return dtype.real_dtype.numpy_dtype


def _flat(array, dtype):
    """An array's elements as a vector of reals."""
    return np.ascontiguousarray(array).reshape(-1).view(_reals(dtype))


def _by_tape(f, xs, i):
    """The Jacobian with respect to argument `i`, row by row."""
    x = xs[i]
    with GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(x)
        y = f(*xs)
    rows = math.prod(y.dims) * (2 if y.dtype.is_complex else 1)
    columns = math.prod(x.dims) * (2 if x.dtype.is_complex else 1)
    jacobian = np.zeros((rows, columns), _reals(x.dtype))

    def gradient(cotangent):
        g = tape.gradient(y, x, output_gradients=wrap(cotangent), unconnected_gradients=UnconnectedGradients.ZERO)
        return np.asarray((g.dense() if isinstance(g, IndexedSlices) else g)._value)

    for row in range(rows):
        cotangent = np.zeros(rows, _reals(y.dtype))
        cotangent[row] = 1
        jacobian[row] = _flat(gradient(cotangent.view(y.dtype.numpy_dtype).reshape(y.dims)), x.dtype)
    if not rows:
        g = gradient(np.zeros(y.dims, y.dtype.numpy_dtype))
        if g.shape != x.dims:
            raise ValueError(f"Empty gradient has wrong shape: expected {x.dims}, got {g.shape}")
        if g.any():
            raise ValueError(f"Empty tensor with nonzero gradients: {g}")
    return jacobian


def _by_differences(f, xs, y, i, delta):
    """The Jacobian with respect to argument `i`, column by column."""
    x = xs[i]
    flat = _flat(np.array(x._value), x.dtype)
    rows = math.prod(y.dims) * (2 if y.dtype.is_complex else 1)
    jacobian = np.zeros((rows, flat.size), _reals(x.dtype))

    def moved(column, step):
        point = flat.copy()
        point[column] += np.asarray(step, point.dtype)
        arguments = [*xs[:i], wrap(point.view(x.dtype.numpy_dtype).reshape(x.dims)), *xs[i + 1 :]]
        return np.asarray(f(*arguments)._value)

    for column in range(flat.size):
        difference = moved(column, delta) - moved(column, -delta)
        jacobian[:, column] = _flat(difference, y.dtype) / np.asarray(2 * delta, _reals(y.dtype))
    return jacobian


__all__ = ["compute_gradient"]
