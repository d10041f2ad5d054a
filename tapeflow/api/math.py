"""`tf.math`: elementwise arithmetic, comparisons, rounding and elementary functions in tables, then what needs more."""

import math

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.operands import binary, hinted, is_tensor, matched, unary
from tapeflow.api.tensor import true_division
from tapeflow.base.dtypes import as_dtype, bool_, float32, float64, string
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import NO_ATTRS, P, bind
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import Tensor

# One input: public name, primitive, what it computes, an example and what it prints. A row's function is public as tf.name
# and tf.math.name unless the name says where.
UNARY = [
    ("abs", P.abs, "The absolute value; of complex numbers the modulus, a float.", "tf.abs([-2.0, 3.5])", "[2. 3.5]"),
    ("negative", P.neg, "-x.", "tf.negative([-2.0, 3.5])", "[ 2. -3.5]"),
    ("sign", P.sign, "-1, 0 or 1; of complex numbers x / |x|.", "tf.sign([-2, 0, 7])", "[-1 0 1]"),
    ("square", P.square, "x * x.", "tf.square([-2.0, 3.0])", "[4. 9.]"),
    ("sqrt", P.sqrt, "The square root; nan for negative floats.", "tf.sqrt([4.0, 2.25])", "[2. 1.5]"),
    ("math.rsqrt", P.rsqrt, "1 / sqrt(x).", "tf.math.rsqrt([4.0, 0.25])", "[0.5 2. ]"),
    ("math.reciprocal", P.reciprocal, "1 / x.", "tf.math.reciprocal([2.0, -4.0])", "[ 0.5 -0.25]"),
    ("exp", P.exp, "e to the power of x.", "tf.exp([0.0, 1.0])", "[1.     2.7183]"),
    ("math.expm1", P.expm1, "exp(x) - 1, accurate near 0.", "tf.math.expm1([0.0, 1.0])", "[0.     1.7183]"),
    ("math.log", P.log, "The natural logarithm; nan for negative floats.", "tf.math.log([1.0, 4.0])", "[0.     1.3863]"),
    ("math.log1p", P.log1p, "log(1 + x), accurate near 0.", "tf.math.log1p([0.0, 1.0])", "[0.     0.6931]"),
    ("sin", P.sin, "The sine of x in radians.", "tf.sin([0.0, 1.0])", "[0.     0.8415]"),
    ("cos", P.cos, "The cosine of x in radians.", "tf.cos([0.0, 1.0])", "[1.     0.5403]"),
    ("tan", P.tan, "The tangent of x in radians.", "tf.tan([0.0, 1.0])", "[0.     1.5574]"),
    ("sinh", P.sinh, "The hyperbolic sine.", "tf.sinh([0.0, 1.0])", "[0.     1.1752]"),
    ("cosh", P.cosh, "The hyperbolic cosine.", "tf.cosh([0.0, 1.0])", "[1.     1.5431]"),
    ("tanh nn.tanh", P.tanh, "The hyperbolic tangent.", "tf.tanh([0.0, 1.0])", "[0.     0.7616]"),
    ("asin", P.asin, "The inverse sine, in [-pi/2, pi/2]; nan outside [-1, 1].", "tf.asin([0.0, 1.0])", "[0.     1.5708]"),
    ("acos", P.acos, "The inverse cosine, in [0, pi]; nan outside [-1, 1].", "tf.acos([1.0, 0.0])", "[0.     1.5708]"),
    ("atan", P.atan, "The inverse tangent, in [-pi/2, pi/2].", "tf.atan([0.0, 1.0])", "[0.     0.7854]"),
    ("asinh", P.asinh, "The inverse hyperbolic sine.", "tf.asinh([0.0, 1.0])", "[0.     0.8814]"),
    ("acosh", P.acosh, "The inverse hyperbolic cosine; nan below 1.", "tf.acosh([1.0, 2.0])", "[0.    1.317]"),
    ("atanh", P.atanh, "The inverse hyperbolic tangent; nan outside [-1, 1].", "tf.atanh([0.0, 0.5])", "[0.     0.5493]"),
    ("sigmoid nn.sigmoid", P.sigmoid, "1 / (1 + exp(-x)).", "tf.sigmoid([0.0, 1.0])", "[0.5    0.7311]"),
    ("floor", P.floor, "The largest whole number that is not above x.", "tf.floor([1.7, -1.2])", "[ 1. -2.]"),
    ("math.ceil", P.ceil, "The smallest whole number that is not below x.", "tf.math.ceil([1.2, -1.7])", "[ 2. -1.]"),
    ("math.rint", P.rint, "The nearest whole number; halves go to the even one.", "tf.math.rint([0.5, 1.5])", "[0. 2.]"),
    ("math.is_nan", P.is_nan, "Whether x is NaN.", "tf.math.is_nan([1.0, float('nan')])", "[False True]"),
    ("math.is_inf", P.is_inf, "Whether x is infinite.", "tf.math.is_inf([1.0, float('-inf')])", "[False True]"),
    ("math.is_finite", P.is_finite, "Whether x is finite.", "tf.math.is_finite([1.0, float('inf')])", "[ True False]"),
    ("logical_not", P.logical_not, "not x.", "tf.logical_not([True, False])", "[False True]"),
    ("bitwise.invert", P.bitwise_invert, "x with every bit flipped.", "tf.bitwise.invert([0, 5])", "[-1 -6]"),
]

BINARY = [
    ("subtract", P.sub, "x - y.", "tf.subtract([5, 3], 1)", "[4 2]"),
    ("multiply", P.mul, "x * y.", "tf.multiply([5.0, 3.0], 2)", "[10. 6.]"),
    ("pow", P.pow, "x to the power of y; a negative power of integers is an error.", "tf.pow([2, 3], 2)", "[4 9]"),
    ("maximum", P.maximum, "The larger of x and y; NaN where either is.", "tf.maximum([1.0, 5.0], 3.0)", "[3. 5.]"),
    ("minimum", P.minimum, "The smaller of x and y; NaN where either is.", "tf.minimum([1.0, 5.0], 3.0)", "[1. 3.]"),
    ("math.floordiv", P.floordiv, "The quotient rounded down.", "tf.math.floordiv([7, -7], 2)", "[ 3 -4]"),
    ("math.floormod math.mod", P.floormod, "x - y * floor(x / y).", "tf.math.floormod([7, -7], 3)", "[1 2]"),
    ("realdiv", P.truediv, "x / y of floats or complex numbers.", "tf.realdiv([1.0, 3.0], 2.0)", "[0.5 1.5]"),
    ("truncatediv", P.truncatediv, "The quotient rounded towards zero.", "tf.truncatediv([7, -7], 2)", "[ 3 -3]"),
    ("truncatemod", P.truncatemod, "What truncatediv leaves: it has x's sign.", "tf.truncatemod([7, -7], 3)", "[ 1 -1]"),
    ("math.multiply_no_nan", P.mul_no_nan, "x * y; 0 where y is 0.", "tf.math.multiply_no_nan(3.0, [0.0, 2.0])", "[0. 6.]"),
    ("math.xlogy", P.xlogy, "x * log(y), but 0 where x is 0.", "tf.math.xlogy([0.0, 2.0], [0.0, 1.0])", "[0. 0.]"),
    ("math.xlog1py", P.xlog1py, "x * log(1 + y), but 0 where x is 0.", "tf.math.xlog1py([0.0, 2.0], 0.0)", "[0. 0.]"),
    ("math.xdivy", P.xdivy, "x / y, but 0 where x is 0.", "tf.math.xdivy([0.0, 2.0], [0.0, 4.0])", "[0. 0.5]"),
    ("equal", P.equal, "Whether x equals y.", "tf.equal([1, 2], 2)", "[False True]"),
    ("not_equal", P.not_equal, "Whether x differs from y.", "tf.not_equal([1, 2], 2)", "[ True False]"),
    ("less", P.less, "Whether x < y.", "tf.less([1, 2], 2)", "[ True False]"),
    ("less_equal", P.less_equal, "Whether x <= y.", "tf.less_equal([2, 3], 2)", "[ True False]"),
    ("greater", P.greater, "Whether x > y.", "tf.greater([2, 3], 2)", "[False True]"),
    ("greater_equal", P.greater_equal, "Whether x >= y.", "tf.greater_equal([1, 2], 2)", "[False True]"),
    ("logical_and", P.logical_and, "x and y.", "tf.logical_and([True, False], True)", "[ True False]"),
    ("logical_or", P.logical_or, "x or y.", "tf.logical_or([True, False], False)", "[ True False]"),
    ("bitwise.bitwise_and", P.bitwise_and, "The bits set in both x and y.", "tf.bitwise.bitwise_and([5, 6], 3)", "[1 2]"),
    ("bitwise.bitwise_or", P.bitwise_or, "The bits set in x or y.", "tf.bitwise.bitwise_or([5, 6], 3)", "[7 7]"),
    ("bitwise.bitwise_xor", P.bitwise_xor, "The bits set in one of x and y.", "tf.bitwise.bitwise_xor([5, 6], 3)", "[6 5]"),
    ("bitwise.left_shift", P.left_shift, "x moved y bits to the left.", "tf.bitwise.left_shift([1, 3], 2)", "[ 4 12]"),
    ("bitwise.right_shift", P.right_shift, "x moved y bits to the right.", "tf.bitwise.right_shift([-8, 9], 1)", "[-4 4]"),
]


def _public(names):
    """All public names of a row: tf.name is also tf.math.name, but for the three divisions."""
    plain = [name for name in names.split() if "." not in name and name not in ("realdiv", "truncatediv", "truncatemod")]
    return " ".join([names, *[f"math.{name}" for name in plain]])


_FUNCTIONS = [unary(op, _public(names), *rest) for names, op, *rest in UNARY]
_FUNCTIONS += [binary(op, _public(names), *rest) for names, op, *rest in BINARY]
__test__ = {function.__name__: function for function in _FUNCTIONS}  # where doctest finds the examples of the tables


@export("add", "math.add")
def add(x, y, name=None):
    """x + y elementwise, also of strings; `y` takes x's dtype where it can.

    Example:
        >>> import tapeflow as tf
        >>> tf.add([1, 2], 3).numpy().tolist()
        [4, 5]
    """
    if x.__class__ is not Tensor or y.__class__ is not Tensor:
        x, y = hinted(x, y)
    return bind(P.add, (x, y), NO_ATTRS)


@export("divide", "math.divide")
def divide(x, y, name=None):
    """x / y by Python's operator: integers give float64 (float32 for 8 and 16 bits).

    Raises:
        TypeError: the dtypes differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.divide([1, 3], 2).numpy().tolist()
        [0.5, 1.5]
    """
    return (x if is_tensor(x) or is_tensor(y) else convert_to_tensor(x)) / y


@export("truediv", "math.truediv")
def truediv(x, y, name=None):
    """x / y: integers give float64 (float32 for 8 and 16 bits).

    Raises:
        TypeError: the dtypes differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.truediv([1, 3], 2).numpy().tolist()
        [0.5, 1.5]
    """
    return true_division(*hinted(x, y))


@export("math.divide_no_nan")
def divide_no_nan(x, y, name=None):
    """x / y, but 0 where y is 0; integers as in `truediv`.

    Raises:
        TypeError: the dtypes differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.divide_no_nan([1.0, 3.0], [0.0, 2.0]).numpy().tolist()
        [0.0, 1.5]
    """
    if x.__class__ is not Tensor or y.__class__ is not Tensor:
        x, y = matched(x, y) if is_tensor(y) and not is_tensor(x) else hinted(x, y)
    if x._dtype is not y._dtype:
        raise TypeError(f"`x` and `y` must have the same dtype, got {x._dtype!r} != {y._dtype!r}.")
    if x._dtype.is_integer:
        wide = float32 if x._dtype.size <= 2 else float64
        x, y = P.cast(x, dtype=wide), P.cast(y, dtype=wide)
    return bind(P.div_no_nan, (x, y), NO_ATTRS)


@export("math.reciprocal_no_nan")
def reciprocal_no_nan(x, name=None):
    """1 / x, but 0 where x is 0.

    Raises:
        TypeError: x is neither float nor complex.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.reciprocal_no_nan([4.0, 0.0]).numpy().tolist()
        [0.25, 0.0]
    """
    x = convert_to_tensor(x)
    if not x._dtype.is_trainable:
        raise TypeError(f"Invalid dtype {x._dtype!r} of x. Expected a float or complex dtype.")
    return P.div_no_nan(P.ones_like(x), x)


@export("math.squared_difference")
def squared_difference(x, y, name=None):
    """(x - y) squared; of complex numbers the squared modulus of the difference.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.squared_difference([1.0, 5.0], 3.0).numpy().tolist()
        [4.0, 4.0]
    """
    difference = bind(P.sub, matched(x, y), NO_ATTRS)
    if difference._dtype.is_integer and difference._dtype.size < 4:
        dtype = difference._dtype.c_name
        raise invalid("squared_difference", f"Value for attr 'T' of {dtype} is not in the list of allowed values")
    return P.conj(difference) * difference if difference._dtype.is_complex else bind(P.square, (difference,), NO_ATTRS)


@export("atan2", "math.atan2")
def atan2(y, x, name=None):
    """The angle of the point (x, y) in radians, in [-pi, pi].

    Example:
        >>> import tapeflow as tf
        >>> tf.atan2([0.0, 1.0], [-1.0, 0.0]).numpy()
        array([3.1415927, 1.5707964], dtype=float32)
    """
    return bind(P.atan2, matched(y, x), NO_ATTRS)


@export("math.nextafter")
def nextafter(x1, x2, name=None):
    """The next float32 or float64 after `x1` towards `x2`; Python numbers are float32.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.math.nextafter(0.0, 1.0)) > 0
        True
    """
    x1 = float(x1) if x1.__class__ is int else x1
    return bind(P.nextafter, matched(x1, x2), NO_ATTRS)


@export("math.logical_xor")
def logical_xor(x, y, name="LogicalXor"):
    """Whether exactly one of two bools is true.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.logical_xor([True, False], True).numpy().tolist()
        [False, True]
    """
    return P.logical_xor(*[convert_to_tensor(v, None if is_tensor(v) else bool_) for v in (x, y)])


@export("math.softplus", "nn.softplus")
def softplus(features, name=None):
    """log(exp(x) + 1) of floats, without overflow.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.softplus([0.0, 100.0]).numpy()
        array([  0.6931472, 100.       ], dtype=float32)
    """
    return bind(P.softplus, (convert_to_tensor(features),), NO_ATTRS)


@export("math.log_sigmoid")
def log_sigmoid(x, name=None):
    """log(1 / (1 + exp(-x))) of floats, without overflow.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.log_sigmoid([0.0, -100.0]).numpy()
        array([  -0.6931472, -100.       ], dtype=float32)
    """
    return -softplus(-convert_to_tensor(x))


@export("round", "math.round")
def round(x, name=None):
    """The nearest whole number, halves to the even one; integers stay as they are.

    Example:
        >>> import tapeflow as tf
        >>> tf.round([0.5, 1.5, 2.7]).numpy().tolist()
        [0.0, 2.0, 3.0]
    """
    x = convert_to_tensor(x)
    return x if x._dtype.is_integer else bind(P.rint, (x,), NO_ATTRS)


# Complex numbers


@export("complex", "dtypes.complex")
def complex(real, imag, name=None):
    """Complex numbers of their parts: complex64 of two float32, complex128 of two float64.

    Raises:
        TypeError: the parts are not both float32 or both float64.

    Example:
        >>> import tapeflow as tf
        >>> tf.complex([1.0, 2.0], [3.0, 4.0]).numpy().tolist()
        [(1+3j), (2+4j)]
    """
    real, imag = convert_to_tensor(real), convert_to_tensor(imag)
    if real._dtype is not imag._dtype or real._dtype not in (float32, float64):
        raise TypeError(
            f"The `real` and `imag` components have incorrect types: {real._dtype.name} {imag._dtype.name}. They must be "
            f"consistent, and one of {[float32, float64]}"
        )
    return P.complex(real, imag)


@export("math.real")
def real(input, name=None):
    """The real part; real numbers are returned as they are.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.real([1 + 3j, 2 - 4j]).numpy().tolist()
        [1.0, 2.0]
    """
    x = convert_to_tensor(input)
    return P.real(x) if x._dtype.is_complex else _checked_number(x, "real")


@export("math.imag")
def imag(input, name=None):
    """The imaginary part: zeros for real numbers.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.imag([1 + 3j, 2 - 4j]).numpy().tolist()
        [3.0, -4.0]
    """
    x = convert_to_tensor(input)
    return P.imag(x) if x._dtype.is_complex else P.zeros_like(x)


@export("math.conj")
def conj(x, name=None):
    """The complex conjugate; real numbers are returned as they are.

    Raises:
        TypeError: x is no number.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.conj([1 + 3j, 2 - 4j]).numpy().tolist()
        [(1-3j), (2+4j)]
    """
    x = convert_to_tensor(x)
    return P.conj(x) if x._dtype.is_complex else _checked_number(x, "conj")


def _checked_number(x, name):
    if not x._dtype.is_numeric:
        raise TypeError(f"Expected numeric or variant tensor in {name}, got dtype {x._dtype!r}")
    return x


@export("math.angle")
def angle(input, name=None):
    """The angle of complex numbers in radians, in [-pi, pi]; pi for negative floats.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.angle([1j, -1 + 0j]).numpy().tolist()
        [1.5707963267948966, 3.141592653589793]
    """
    x = convert_to_tensor(input)
    if x._dtype.is_complex:
        return P.angle(x)
    zeros = P.zeros_like(x)
    return P.where(P.less(x, zeros), convert_to_tensor(math.pi, x._dtype), zeros)


# Casts


@export("cast", "dtypes.cast")
def cast(x, dtype, name=None):
    """`x` in another dtype. Floats are cut toward zero, complex numbers lose their imaginary part.

    Args:
        x: a tensor, variable, number, array or `IndexedSlices`; also a ragged or sparse tensor, whose values are cast.
        dtype: the dtype wanted; `x` itself is returned where it has that dtype.

    Raises:
        UnimplementedError: from or to strings.

    Example:
        >>> import tapeflow as tf
        >>> tf.cast([1.8, -2.2], tf.int32).numpy().tolist()
        [1, -2]
    """
    dtype = as_dtype(dtype)
    if x.__class__ is not Tensor:
        if isinstance(x, IndexedSlices):
            return IndexedSlices(cast(x.values, dtype), x.indices, x.dense_shape)
        if hasattr(x, "with_values"):
            return x.with_values(cast(x.values, dtype))
        x = convert_to_tensor(x)
    return x if x._dtype is dtype else bind(P.cast, (x,), {"dtype": dtype})


@export("saturate_cast", "dtypes.saturate_cast")
def saturate_cast(value, dtype, name=None):
    """`value` in another dtype; what the dtype cannot hold becomes its nearest finite value.

    Raises:
        TypeError: bools or strings.

    Example:
        >>> import tapeflow as tf
        >>> tf.saturate_cast([-1.0, 20.0, 300.0], tf.uint8).numpy().tolist()
        [0, 20, 255]
    """
    value, dtype = convert_to_tensor(value), as_dtype(dtype)
    if value._dtype.is_complex and not dtype.is_complex:
        value = P.real(value)
    if value._dtype in (bool_, string):
        raise TypeError(f"Cannot find minimum value of {value._dtype!r}: tf.saturate_cast takes numbers")
    if value._dtype.is_complex or (value._dtype is dtype and not dtype.is_floating):
        return cast(value, dtype)
    low, high = map(convert_to_tensor, _limits(value._dtype, dtype.real_dtype))
    # Not `clip_by_value`: here the gradient of nan is that of what stays as it is.
    clipped = P.where(P.less(value, low), low, P.where(P.greater(value, high), high, value))
    return cast(clipped, dtype)


def _limits(source, target):
    """The lowest and highest value of `source` that `target` holds too."""
    low, high = max(source.min, target.min), min(source.max, target.max)
    if source.is_floating:
        low, high = float(low), float(high)  # bfloat16 takes no integers beyond 64 bits
    low, high = source.type(low), source.type(high)
    if source.is_floating and not target.is_floating and float(high) > target.max:  # it was rounded up
        high = np.nextafter(high, source.type(0))
    return low, high
