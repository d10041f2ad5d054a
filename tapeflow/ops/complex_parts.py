"""Complex numbers and their parts: ops that are not holomorphic, so that vjp and jvp differ and both are written out."""

import operator

import numpy as np

from tapeflow.base.dtypes import COMPLEX, complex64, complex128, float32, float64
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.elementwise import reduced_to
from tapeflow.ops.family import SIGNED, batch_elementwise, broadcast_specs


def _real_dtype(dtype):
    return dtype.real_dtype


def _abs_vjp(g, x):
    return (P.cast(g, dtype=x._dtype) if x._dtype.is_complex else g) * P.sign(x)


def _abs_jvp(t, x):
    return P.real(t * P.conj(P.sign(x))) if x._dtype.is_complex else t * P.sign(x)


def _sign_slope(d, x, out):
    """Along a complex sign nothing changes; across it, by 1 / |x|. The Jacobian is symmetric, so vjp and jvp agree."""
    if not x._dtype.is_complex:
        return P.zeros_like(d)
    along = P.cast(P.real(d * P.conj(out)), dtype=x._dtype)
    return P.div_no_nan(d - out * along, P.cast(P.abs(x), dtype=x._dtype))


def _angle_vjp(g, x):
    a, b = P.real(x), P.imag(x)
    square = a * a + b * b
    return P.complex(-g * b / square, g * a / square)


def _part(name, kernel, accepts, result, vjp, jvp):
    """Register an elementwise op of one input whose vjp and jvp are rules of their own."""

    def infer(x):
        return Spec(x.shape, result(x.dtype))

    return Primitive(
        name, kernel, infer, vjp=(vjp,), jvp=jvp, batch=batch_elementwise, lower="scalar", accepts=accepts, parameters=("x",)
    )


abs = _part("abs", operator.abs, SIGNED | COMPLEX, _real_dtype, _abs_vjp, (_abs_jvp,))
sign = _part("sign", np.sign, SIGNED | COMPLEX, lambda dtype: dtype, _sign_slope, (_sign_slope,))
real = _part("real", np.real, COMPLEX, _real_dtype, lambda g: P.complex(g, P.zeros_like(g)), "linear")
imag = _part("imag", np.imag, COMPLEX, _real_dtype, lambda g: P.complex(P.zeros_like(g), g), "linear")
angle = _part("angle", np.angle, COMPLEX, _real_dtype, _angle_vjp, (lambda t, x: P.imag(t / x),))


def _complex_kernel(x, y):
    dtype = np.complex64 if x.dtype == np.float32 else np.complex128
    result = np.empty(np.broadcast_shapes(x.shape, y.shape), dtype)
    result.real, result.imag = x, y  # x + 1j * y would turn an infinite y into a NaN real part
    return result


def _complex_infer(x, y):
    return Spec(broadcast_specs("complex", (x, y)), complex64 if x.dtype is float32 else complex128)


complex = Primitive(
    "complex",
    _complex_kernel,
    _complex_infer,
    vjp=(
        lambda g, x_broadcast: reduced_to(P.real(g), x_broadcast),
        lambda g, y_broadcast: reduced_to(P.imag(g), y_broadcast),
    ),
    jvp=(lambda t: P.complex(t, P.zeros_like(t)), lambda t: P.complex(P.zeros_like(t), t)),
    batch=batch_elementwise,
    lower="scalar",
    accepts={float32, float64},
)
