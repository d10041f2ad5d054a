"""Ops that make values from numbers alone: fill, constant, range."""

import math

import numpy as np

from tapeflow.base.dtypes import as_dtype, int32, string
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import REALS
from tapeflow.ops.movement import listed

# fill: one value in a shape; constant: a value that is known while tracing; range: numbers in order


def _fill_kernel(*, shape, value, dtype):
    if dtype is string:
        return np.full(shape, value or b"", object)
    if not shape:
        return dtype.type(value)
    if not value and not any(dtype.type(value).tobytes()):  # -0 has a bit
        return np.zeros(shape, dtype.numpy_dtype)
    result = np.empty(shape, dtype.numpy_dtype)
    result.fill(value)
    return result


def _fill_infer(*, shape, value, dtype):
    dims = known_dims(shape)
    for n in dims or ():
        if n is not None and n < 0:
            raise invalid("fill", f"Dimension {n} must be >= 0")
    return Spec(dims, dtype)


fill = Primitive(
    "fill",
    _fill_kernel,
    _fill_infer,
    lower="movement",
    parameters=(),
    samples=lambda: [((), {"shape": dims, "value": 2.5, "dtype": as_dtype("float64")}) for dims in [(2, 3), (), (0, 3)]],
)
constant = Primitive(
    "constant",
    lambda *, value, dtype=int32: np.array(value, as_dtype(dtype).numpy_dtype),
    lambda *, value, dtype=int32: Spec(np.shape(value), as_dtype(dtype)),
    parameters=(),
    samples=lambda: [((), {"value": (2, 3, 5)})],
)


def _range_kernel(start, limit, delta):
    for name, x in (("start", start), ("limit", limit), ("delta", delta)):
        if x.shape:
            raise invalid("range", f"{name} must be a scalar, not shape {listed(x.shape)}")
    if delta == 0:
        raise invalid("range", f"Requires delta != 0: {delta}")
    if (delta > 0 and start > limit) or (delta < 0 and start < limit):
        sign, order = (">", "<=") if delta > 0 else ("<", ">=")
        raise invalid("range", f"Requires start {order} limit when delta {sign} 0: {start}/{limit}")
    if start.dtype.kind in "iu":
        return np.arange(start, limit, delta, start.dtype)
    # In the dtype's own arithmetic, as TensorFlow counts: in float64, (1.1 - 0.1) / 0.1 of float32 numbers is above 10.
    count = math.ceil(abs((limit - start) / delta))
    return (start + np.arange(count).astype(start.dtype) * delta).astype(start.dtype)


range_ = Primitive(
    "range",
    _range_kernel,
    lambda start, limit, delta: Spec((None,), start.dtype),
    accepts=REALS,
    samples=lambda: [
        ((np.float64(0.5), np.float64(4.0), np.float64(0.75)), {}),
        ((np.int32(7), np.int32(2), np.int32(-2)), {}),
    ],
)
