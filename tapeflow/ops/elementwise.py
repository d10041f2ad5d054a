"""Elementwise arithmetic: the primitives behind Python's operators, and the ops that look at one element alone."""

import functools
import operator
from collections.abc import Callable

import numpy as np

from tapeflow.base.dtypes import COMPLEX, bool_, complex128, float32, float64, int32, int64, string, variant
from tapeflow.base.errors import UnimplementedError, invalid
from tapeflow.core.operators import on_two
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.core.tensor_list import TensorList
from tapeflow.ops.family import (
    FLOATS,
    INEXACT,
    NUMBERS,
    REALS,
    SIGNED,
    batch_elementwise,
    broadcast_specs,
    elementwise,
    sample,
)

# operator.* rather than np.*: a ufunc called on NumPy scalars costs 20 times an operator.
EQUATABLE = NUMBERS | {bool_, string}
ANYTHING = EQUATABLE | {variant}
SCALARS = {np.float32, np.float64}
INTEGERS_AND_BOOL = (REALS - FLOATS) | {bool_}


def _within(low, high):
    """Registry samples of an op on an interval."""
    return lambda: [((sample(2, 3, low=low, high=high),), {})]


add = elementwise("add", operator.add, 1, 1, accepts=NUMBERS | {string, variant})
sub = elementwise("sub", operator.sub, 1, -1)
mul = elementwise("mul", operator.mul, lambda t, y: t * y, lambda t, x: x * t)
neg = elementwise("neg", operator.neg, -1, accepts=SIGNED | COMPLEX)


def _add_n_kernel(*inputs):
    if any(x.shape != inputs[0].shape for x in inputs):
        raise ValueError([x.shape for x in inputs])
    return functools.reduce(operator.add, inputs)


def _add_n_infer(*inputs):
    known = [(i, x) for i, x in enumerate(inputs) if x.shape is not None and None not in x.shape]
    for i, x in known:
        j, first = known[0]
        if x.shape != first.shape:
            text = f"Input {j}: {list(first.shape)} != input {i}: {list(x.shape)}"
            raise invalid("add_n", f"Inputs to operation AddN must have the same size and shape. {text}")
    return known[0][1] if known else inputs[0]


def _add_n_batch(op, inputs, batched, attrs):
    return functools.reduce(P.add, inputs)  # all examples have one shape, so they broadcast over the batch axis


add_n = Primitive(
    "add_n",
    _add_n_kernel,
    _add_n_infer,
    vjp=lambda g, wanted: (g,) * len(wanted),
    jvp="linear",
    batch=_add_n_batch,
    lower="scalar",
    accepts=NUMBERS,
    samples=lambda: [((sample(2, 3), sample(2, 3, seed=1), sample(2, 3, seed=2)), {})],
)


def _integer_guard(name, function):
    """`function` with TensorFlow's error for an integer division by zero."""

    def kernel(x, y):
        if y.dtype.kind in "iu" and not np.all(y) and x.size:
            raise invalid(name, "Integer division by zero")
        return function(x, y)

    kernel.__name__ = name
    return kernel


def _truncated_quotient(x, y):
    """The quotient rounded toward zero; integers without a detour over floats, which would lose digits."""
    if x.dtype.kind not in "iu":
        return np.trunc(x / y)
    quotient = np.floor_divide(x, y)
    return (quotient + ((np.remainder(x, y) != 0) & ((x < 0) != (y < 0)))).astype(x.dtype)


def _floored_quotient(x, y):
    """1.0 // 0.1 is 10, the floor of the rounded quotient, where NumPy has 9."""
    return np.floor_divide(x, y) if x.dtype.kind in "iu" else np.floor(x / y)


truediv = elementwise("truediv", operator.truediv, lambda t, y: t / y, lambda t, y, out: -(t * (out / y)), accepts=INEXACT)
floordiv = elementwise("floordiv", _integer_guard("floordiv", _floored_quotient), None, None, accepts=REALS)
floormod = elementwise(
    "floormod", _integer_guard("floormod", np.remainder), 1, lambda t, x, y: -t * P.floordiv(x, y), accepts=REALS
)
truncatediv = elementwise("truncatediv", _integer_guard("truncatediv", _truncated_quotient), None, None, accepts=REALS)
truncatemod = elementwise(
    "truncatemod",
    _integer_guard("truncatemod", np.fmod),
    1,
    lambda t, x, y: -t * P.trunc(x / y),
    accepts=FLOATS | {int32, int64},
)


def _pow_kernel(x, y):
    if x.__class__ in SCALARS:  # the quick way
        return x**y
    if x.dtype.kind == "i" and np.any(y < 0):
        if not x.size:
            return x * y  # of nothing, in the shape that both have
        raise invalid("pow", "Integers to negative integer powers are not allowed")
    return _power(x, y)


def _power(x, y):
    """x**y; small whole powers by multiplication, some 100 times as fast as the C library where x is negative."""
    if y.__class__ is np.ndarray or x.__class__ is not np.ndarray or y not in (3, 4, -2, -3):
        return x**y
    square = x * x
    if y == 4:
        return square * square
    power = square if y == -2 else square * x
    return power if y > 0 else 1 / power


def _pow_dy(t, x, out):
    # log x is only taken where x is positive (any complex but 0): 0**y and powers of negative numbers have no slope in y.
    zero = P.zeros_like(x)
    safe = P.not_equal(x, zero) if x.dtype.is_complex else P.greater(x, zero)
    return t * out * P.where(safe, P.log(P.where(safe, x, P.ones_like(x))), zero)


def _pow_slope_kernel(x, y):
    if y.__class__ is not np.ndarray:
        if not y:
            return np.zeros_like(x)[()]
        return y * (_power(x, y - 1) if x.__class__ is np.ndarray else x ** (y - 1))
    return np.where(y == 0, x.dtype.type(0), y * x ** (y - 1))


def _pow_slope_dy(t, x, y):
    zero = P.zeros_like(x)
    safe = P.not_equal(x, zero) if x.dtype.is_complex else P.greater(x, zero)
    return t * P.where(safe, x ** (y - 1) * (1 + y * P.log(P.where(safe, x, P.ones_like(x)))), zero)


# pow_slope(x, y) is the derivative of x**y in x: y x**(y - 1), which is 0 where y is 0, even at x = 0.
pow_slope = elementwise("pow_slope", _pow_slope_kernel, lambda t, x, y: t * (y * _slope(x, y - 1)), _pow_slope_dy)
pow = elementwise("pow", _pow_kernel, lambda t, x, y: t * _slope(x, y), _pow_dy, accepts=SIGNED | COMPLEX)
_slope: Callable = on_two(pow_slope)


def _unless_zero(guard, function):
    """`function(x, y)`, but 0 where its `guard`th argument is 0, whatever the other is."""

    def kernel(x, y):
        if x.__class__ in SCALARS and y.__class__ in SCALARS:  # the quick way
            return function(x, y) if (x, y)[guard] else x.dtype.type(0)
        return np.where((x, y)[guard] == 0, x.dtype.type(0), function(x, y))

    return kernel


def _nonzero(x):
    return P.cast(P.not_equal(x, P.zeros_like(x)), dtype=x._dtype)


mul_no_nan = elementwise(
    "mul_no_nan",
    _unless_zero(1, operator.mul),
    lambda t, y: P.mul_no_nan(t, y),
    lambda t, x: P.mul_no_nan(x, t),
    accepts=INEXACT,
)
div_no_nan = elementwise(
    "div_no_nan",
    _unless_zero(1, operator.truediv),
    lambda t, y: P.div_no_nan(t, y),
    lambda t, y, out: -t * P.div_no_nan(out, y),
    accepts=INEXACT,
)
xdivy = elementwise(
    "xdivy",
    _unless_zero(0, operator.truediv),
    lambda t, x, y: t * P.xdivy(_nonzero(x), y),
    lambda t, x, y: t * P.xdivy(-x, y * y),
    accepts=INEXACT,
)
xlogy = elementwise(
    "xlogy",
    _unless_zero(0, lambda x, y: x * np.log(y)),
    lambda t, x, y: t * P.xlogy(_nonzero(x), y),
    lambda t, x, y: t * P.xdivy(x, y),
    accepts=INEXACT,
    samples=lambda: [((sample(2, 3), sample(2, 3, low=0.1)), {})],
)
xlog1py = elementwise(
    "xlog1py",
    _unless_zero(0, lambda x, y: x * np.log1p(y)),
    lambda t, x, y: t * P.xlog1py(_nonzero(x), y),
    lambda t, x, y: t * P.xdivy(x, 1 + y),
    accepts=INEXACT,
    samples=lambda: [((sample(2, 3), sample(2, 3, low=-0.9)), {})],
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

# As minimum and maximum in turn: the limits have their share of the gradient, equal values count as inside, and beside a NaN
# the gradient goes to the limit.
clip_by_value = elementwise(
    "clip_by_value",
    lambda x, low, high: np.maximum(np.minimum(x, high), low),
    lambda t, x, low, high: P.where(P.logical_and(P.less_equal(x, high), P.greater_equal(x, low)), t, P.zeros_like(t)),
    lambda t, x, low, high: P.where(P.greater_equal(P.minimum(x, high), low), P.zeros_like(t), t),
    lambda t, x, low, high: P.where(
        P.logical_or(P.less_equal(x, high), P.logical_not(P.greater_equal(P.minimum(x, high), low))), P.zeros_like(t), t
    ),
    accepts=REALS,
    parameters=("x", "low", "high"),
    samples=lambda: [((sample(2, 3), sample(3, low=-1.5, high=-0.5), sample(low=0.5, high=1.5)), {})],
)

square = elementwise("square", lambda x: x * x, lambda t, x: t * (2 * x))
reciprocal = elementwise("reciprocal", lambda x: 1 / x, lambda t, out: -t * out * out, accepts=INEXACT)
sqrt = elementwise("sqrt", np.sqrt, lambda t, out: t * 0.5 / out, accepts=INEXACT)
rsqrt = elementwise("rsqrt", lambda x: 1 / np.sqrt(x), lambda t, out: t * -0.5 * (out * out * out), accepts=INEXACT)
exp = elementwise("exp", np.exp, lambda t, out: t * out, accepts=INEXACT)
expm1 = elementwise("expm1", np.expm1, lambda t, x: t * P.exp(x), accepts=INEXACT)
log = elementwise("log", np.log, lambda t, x: t / x, accepts=INEXACT)
log1p = elementwise("log1p", np.log1p, lambda t, x: t / (1 + x), accepts=INEXACT)
sin = elementwise("sin", np.sin, lambda t, x: t * P.cos(x), accepts=INEXACT)
cos = elementwise("cos", np.cos, lambda t, x: -t * P.sin(x), accepts=INEXACT)
tan = elementwise("tan", np.tan, lambda t, out: t * (1 + out * out), accepts=INEXACT)
sinh = elementwise("sinh", np.sinh, lambda t, x: t * P.cosh(x), accepts=INEXACT)
cosh = elementwise("cosh", np.cosh, lambda t, x: t * P.sinh(x), accepts=INEXACT)
tanh = elementwise("tanh", np.tanh, lambda t, out: t * (1 - out * out), accepts=INEXACT)
asin = elementwise("asin", np.arcsin, lambda t, x: t / P.sqrt(1 - x * x), accepts=INEXACT, samples=_within(-0.9, 0.9))
acos = elementwise("acos", np.arccos, lambda t, x: -t / P.sqrt(1 - x * x), accepts=INEXACT, samples=_within(-0.9, 0.9))
atan = elementwise("atan", np.arctan, lambda t, x: t / (1 + x * x), accepts=INEXACT)
# By way of the result, x * x does not overflow and complex numbers keep to their branch.
asinh = elementwise("asinh", np.arcsinh, lambda t, out: t / P.cosh(out), accepts=INEXACT)
acosh = elementwise("acosh", np.arccosh, lambda t, out: t / P.sinh(out), accepts=INEXACT, samples=_within(1.1, 3.0))
atanh = elementwise("atanh", np.arctanh, lambda t, x: t / (1 - x * x), accepts=INEXACT, samples=_within(-0.9, 0.9))
atan2 = elementwise(
    "atan2",
    np.arctan2,
    lambda t, y, x: t * x / (x * x + y * y),
    lambda t, y, x: -t * y / (x * x + y * y),
    accepts=FLOATS,
    parameters=("y", "x"),
)
sigmoid = elementwise("sigmoid", lambda x: 1 / (1 + np.exp(-x)), lambda t, out: t * out * (1 - out), accepts=INEXACT)
softplus = elementwise(
    "softplus",
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    lambda t, x: t * P.sigmoid(x),
    accepts=FLOATS,
)


def _relu_kernel(x):
    if x.__class__ is np.ndarray:
        return np.maximum(x, x.dtype.type(0))
    return x if x > 0 or x != x else x.__class__(0)


def _gate_kernel(t, x):
    return np.multiply(t, x > 0)  # twice as fast as np.where; as in TensorFlow, nan where t is infinite and the gate shut


relu = elementwise("relu", _relu_kernel, lambda t, out: P.gate(t, out), accepts=REALS)
# P.gate(t, x) is t where x is positive: the derivative of relu, itself linear in t.
gate = elementwise(
    "gate", _gate_kernel, lambda d, x: P.gate(d, x), lambda d: P.zeros_like(d), accepts=REALS, parameters=("t", "x")
)
floor = elementwise("floor", np.floor, None, accepts=FLOATS)
ceil = elementwise("ceil", np.ceil, None, accepts=FLOATS)
rint = elementwise("rint", np.rint, None, accepts=FLOATS)
trunc = elementwise("trunc", np.trunc, None, accepts=FLOATS)
# One float further from x towards y: moves along with x.
nextafter = elementwise("nextafter", np.nextafter, 1, lambda t: P.zeros_like(t), accepts={float32, float64})

is_nan = elementwise("is_nan", np.isnan, None, accepts=FLOATS, result=bool_)
is_inf = elementwise("is_inf", np.isinf, None, accepts=FLOATS, result=bool_)
is_finite = elementwise("is_finite", np.isfinite, None, accepts=FLOATS, result=bool_)

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

identity = elementwise("identity", lambda x: x, 1, accepts=ANYTHING)
stop_gradient = elementwise("stop_gradient", lambda x: x, None, accepts=ANYTHING)
conj = elementwise("conj", np.conj, lambda t: P.conj(t), accepts=NUMBERS)
zeros_like = elementwise("zeros_like", lambda x: _filled_like(x, 0), None, accepts=ANYTHING)
ones_like = elementwise("ones_like", lambda x: _filled_like(x, 1), None, accepts=EQUATABLE)


def _filled_like(x, value):
    if x.__class__ is not np.ndarray:
        return x.zeros() if x.__class__ is TensorList else x.__class__(value)
    return np.full(x.shape, b"" if x.dtype == object else value, x.dtype)


def _where_infer(condition, x, y):
    return Spec(broadcast_specs("where", (condition, x, y)), x.dtype)


def _where_kernel(condition, x, y):
    if x.dtype != y.dtype:
        raise TypeError(f"the branches have dtypes {x.dtype} and {y.dtype}")
    return np.where(condition, x, y)


def reduced_to(g, dims):
    return g if dims is None else P.sum_to(g, shape=dims)


where = Primitive(
    "where",
    _where_kernel,
    _where_infer,
    vjp=(
        None,
        lambda g, condition, x_broadcast: reduced_to(P.where(condition, g, P.zeros_like(g)), x_broadcast),
        lambda g, condition, y_broadcast: reduced_to(P.where(condition, P.zeros_like(g), g), y_broadcast),
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
    samples=lambda: [
        ((sample(2, 3) > 0, sample(2, 3), sample(2, 3, seed=1)), {}),
        ((sample(2, 1) > 0, sample(3), sample()), {}),
    ],
)


# The scalar types (from, to) where calling the type gives what `astype` does, in a third of the time.
CALLED = {(a.type, b.type) for a in REALS for b in REALS if b.numpy_dtype.kind == "f" or np.can_cast(a.type, b.type, "safe")}


def _cast_kernel(x, *, dtype):
    if (x.__class__, dtype.type) in CALLED:
        return dtype.type(x)
    target = dtype.numpy_dtype
    kind = x.dtype.kind
    if (kind == "O") != (dtype is string):
        raise TypeError(dtype)
    if kind == "c" and target.kind != "c":
        x = x.real
    return x != 0 if target.kind == "b" else x.astype(target)


def _cast_infer(x, *, dtype):
    if (dtype is string) != (x.dtype is string):
        how = "tf.strings.to_number" if x.dtype is string else "tf.strings.as_string"
        raise UnimplementedError(
            None, None, f"Cast {x.dtype.c_name} to {dtype.c_name} is not supported. Did you mean {how}? [Op:Cast]"
        )
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
    samples=lambda: [((sample(2, 3),), {"dtype": dtype}) for dtype in (float64, complex128, int32, bool_)],
)
