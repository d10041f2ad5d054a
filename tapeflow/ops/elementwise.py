"""Elementwise arithmetic: the primitives behind Python's operators, and the ops that look at one element alone."""

import operator

import numpy as np

from tapeflow.base.dtypes import bool_, string
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS, INEXACT, NUMBERS, REALS, batch_elementwise, broadcast_specs, elementwise

# operator.* rather than np.*: a ufunc called on NumPy scalars costs 20 times an operator.
EQUATABLE = NUMBERS | {bool_, string}
INTEGERS_AND_BOOL = (REALS - FLOATS) | {bool_}


add = elementwise("add", operator.add, 1, 1, accepts=NUMBERS | {string})
sub = elementwise("sub", operator.sub, 1, -1)
mul = elementwise("mul", operator.mul, lambda t, y: t * y, lambda t, x: x * t)
neg = elementwise("neg", operator.neg, -1)


def _integer_guard(name, function):
    """`function` with TensorFlow's error for an integer division by zero."""

    def kernel(x, y):
        if y.dtype.kind in "iu" and not np.all(y):
            raise invalid(name, "Integer division by zero")
        return function(x, y)

    kernel.__name__ = name
    return kernel


def _truncated_quotient(x, y):
    """Integer quotient rounded toward zero, without a detour over floats that would lose digits."""
    quotient = np.floor_divide(x, y)
    return (quotient + ((np.remainder(x, y) != 0) & ((x < 0) != (y < 0)))).astype(x.dtype)


truediv = elementwise("truediv", operator.truediv, lambda t, y: t / y, lambda t, y, out: -(t * (out / y)), accepts=INEXACT)
floordiv = elementwise("floordiv", _integer_guard("floordiv", np.floor_divide), None, None, accepts=REALS)
floormod = elementwise(
    "floormod", _integer_guard("floormod", np.remainder), 1, lambda t, x, y: -t * P.floordiv(x, y), accepts=REALS
)
truncatediv = elementwise("truncatediv", _integer_guard("truncatediv", _truncated_quotient), None, None, accepts=REALS - FLOATS)
truncatemod = elementwise(
    "truncatemod", _integer_guard("truncatemod", np.fmod), 1, lambda t, x, y: -t * P.trunc(x / y), accepts=REALS
)


def _pow_kernel(x, y):
    if x.dtype.kind == "i" and np.any(y < 0):
        raise invalid("pow", "Integers to negative integer powers are not allowed")
    return x**y


def _pow_dy(t, x, out):
    # log x is only taken where x is positive (any complex but 0): 0**y and powers of negative numbers have no slope in y.
    zero = P.zeros_like(x)
    safe = P.not_equal(x, zero) if x.dtype.is_complex else P.greater(x, zero)
    return t * out * P.where(safe, P.log(P.where(safe, x, P.ones_like(x))), zero)


def _pow_slope_kernel(x, y):
    if y.__class__ is not np.ndarray and x.__class__ is not np.ndarray:
        return y * x ** (y - 1) if y else x * 0
    return np.where(y == 0, x.dtype.type(0), y * x ** (y - 1))


def _pow_slope_dy(t, x, y):
    zero = P.zeros_like(x)
    safe = P.not_equal(x, zero) if x.dtype.is_complex else P.greater(x, zero)
    return t * P.where(safe, x ** (y - 1) * (1 + y * P.log(P.where(safe, x, P.ones_like(x)))), zero)


# pow_slope(x, y) is the derivative of x**y in x: y x**(y - 1), which is 0 where y is 0, even at x = 0.
pow_slope = elementwise("pow_slope", _pow_slope_kernel, lambda t, x, y: t * (y * P.pow_slope(x, y - 1)), _pow_slope_dy)
pow = elementwise("pow", _pow_kernel, lambda t, x, y: t * P.pow_slope(x, y), _pow_dy)
# mul_no_nan(x, y) is 0 where y is 0, whatever x is.
mul_no_nan = elementwise(
    "mul_no_nan",
    lambda x, y: np.where(y == 0, x.dtype.type(0), x * y),
    lambda t, y: P.mul_no_nan(t, y),
    lambda t, x, y: P.mul_no_nan(t * x, y),
    accepts=INEXACT,
)

maximum = elementwise(
    "maximum",
    np.maximum,
    lambda t, x, y: P.where(P.greater_equal(x, y), t, P.zeros_like(t)),
    lambda t, x, y: P.where(P.greater_equal(x, y), P.zeros_like(t), t),
    accepts=REALS,
)
minimum = elementwise(
    "minimum",
    np.minimum,
    lambda t, x, y: P.where(P.less_equal(x, y), t, P.zeros_like(t)),
    lambda t, x, y: P.where(P.less_equal(x, y), P.zeros_like(t), t),
    accepts=REALS,
)

square = elementwise("square", lambda x: x * x, lambda t, x: t * (2 * x))
sqrt = elementwise("sqrt", np.sqrt, lambda t, out: t * 0.5 / out, accepts=INEXACT)
exp = elementwise("exp", np.exp, lambda t, out: t * out, accepts=INEXACT)
log = elementwise("log", np.log, lambda t, x: t / x, accepts=INEXACT)
sin = elementwise("sin", np.sin, lambda t, x: t * P.cos(x), accepts=INEXACT)
cos = elementwise("cos", np.cos, lambda t, x: -t * P.sin(x), accepts=INEXACT)
tanh = elementwise("tanh", np.tanh, lambda t, out: t * (1 - out * out), accepts=INEXACT)
relu = elementwise("relu", lambda x: np.where(x > 0, x, np.where(x != x, x, x.dtype.type(0))), lambda t, out: P.gate(t, out), accepts=REALS)
# P.gate(t, x) is t where x is positive: the derivative of relu, itself linear in t.
gate = elementwise("gate", lambda t, x: np.where(x > 0, t, x.dtype.type(0)), lambda d, x: P.gate(d, x), None, accepts=REALS, parameters=("t", "x"))
trunc = elementwise("trunc", np.trunc, None, accepts=FLOATS)

equal = elementwise("equal", np.equal, None, None, accepts=EQUATABLE, result=bool_)
not_equal = elementwise("not_equal", np.not_equal, None, None, accepts=EQUATABLE, result=bool_)
less = elementwise("less", np.less, None, None, accepts=REALS, result=bool_)
less_equal = elementwise("less_equal", np.less_equal, None, None, accepts=REALS, result=bool_)
greater = elementwise("greater", np.greater, None, None, accepts=REALS, result=bool_)
greater_equal = elementwise("greater_equal", np.greater_equal, None, None, accepts=REALS, result=bool_)
logical_and = elementwise("logical_and", np.logical_and, None, None, accepts={bool_}, result=bool_)
logical_or = elementwise("logical_or", np.logical_or, None, None, accepts={bool_}, result=bool_)
logical_xor = elementwise("logical_xor", np.logical_xor, None, None, accepts={bool_}, result=bool_)
logical_not = elementwise("logical_not", np.logical_not, None, accepts={bool_}, result=bool_)

identity = elementwise("identity", lambda x: x, 1, accepts=EQUATABLE)
stop_gradient = elementwise("stop_gradient", lambda x: x, None, accepts=EQUATABLE)
conj = elementwise("conj", np.conj, lambda t: P.conj(t), accepts=NUMBERS)
zeros_like = elementwise("zeros_like", lambda x: _filled_like(x, 0), None, accepts=EQUATABLE)
ones_like = elementwise("ones_like", lambda x: _filled_like(x, 1), None, accepts=EQUATABLE)


def _filled_like(x, value):
    if x.__class__ is not np.ndarray:
        return x.__class__(value)
    return np.full(x.shape, b"" if x.dtype == object else value, x.dtype)


def _where_infer(condition, x, y):
    return Spec(broadcast_specs("where", (condition, x, y)), x.dtype)


def _where_kernel(condition, x, y):
    if x.dtype != y.dtype:
        raise TypeError(f"the branches have dtypes {x.dtype} and {y.dtype}")
    return np.where(condition, x, y)


def _reduced(g, dims):
    return g if dims is None else P.sum_to(g, shape=dims)


where = Primitive(
    "where",
    _where_kernel,
    _where_infer,
    vjp=(
        None,
        lambda g, condition, x_broadcast: _reduced(P.where(condition, g, P.zeros_like(g)), x_broadcast),
        lambda g, condition, y_broadcast: _reduced(P.where(condition, P.zeros_like(g), g), y_broadcast),
    ),
    jvp=(
        None,
        lambda t, condition: P.where(condition, t, P.zeros_like(t)),
        lambda t, condition: P.where(condition, P.zeros_like(t), t),
    ),
    batch=batch_elementwise,
    lower="scalar",
    accepts={bool_},
    uniform=False,
)


def _cast_kernel(x, *, dtype):
    if dtype is string or x.dtype == object:
        raise TypeError(f"Cast string to {dtype.name} is not supported")
    target = dtype.numpy_dtype
    if x.dtype.kind == "c" and target.kind != "c":
        x = x.real
    if target.kind == "b":
        return x != 0
    return x.astype(target)


def _cast_infer(x, *, dtype):
    if (dtype is string) != (x.dtype is string):
        raise invalid("cast", f"Cast {x.dtype.name} to {dtype.name} is not supported")
    return Spec(x.shape, dtype)


def _cast_vjp(g, x_dtype):
    return P.cast(g, dtype=x_dtype) if x_dtype.is_trainable else None


cast = Primitive(
    "cast",
    _cast_kernel,
    _cast_infer,
    vjp=(_cast_vjp,),
    jvp="linear",
    batch=batch_elementwise,
    lower="scalar",
    uniform=False,
)
