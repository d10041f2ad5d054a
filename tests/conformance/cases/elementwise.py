"""Elementwise arithmetic, logic, bits and functions."""

from calls import (
    COMPLEX,
    EVERY,
    FLOATS,
    INEXACT,
    INTS,
    NUMBERS,
    REALS,
    SIGNED,
    WIDE,
    WITH_STRINGS,
    Case,
    Raw,
    array,
    broadcast_pair,
    call,
    pick,
    shapes,
)
from hypothesis import strategies as st

SIGNED_NUMBERS = FLOATS + SIGNED + COMPLEX

UNARY = [  # name, dtypes, ulps
    ("tf.abs", SIGNED_NUMBERS, 4),
    ("tf.negative", SIGNED_NUMBERS, 1),
    ("tf.sign", SIGNED_NUMBERS, 4),
    ("tf.square", NUMBERS, 4),
    ("tf.sqrt", INEXACT, 4),
    ("tf.math.rsqrt", INEXACT, 4),
    ("tf.math.reciprocal", INEXACT, 4),
    ("tf.math.reciprocal_no_nan", INEXACT, 4),
    ("tf.exp", INEXACT, 8),
    ("tf.math.expm1", INEXACT, 8),
    ("tf.math.log", INEXACT, 8),
    ("tf.math.log1p", INEXACT, 8),
    ("tf.sin", INEXACT, 8),
    ("tf.cos", INEXACT, 8),
    ("tf.tan", INEXACT, 16),
    ("tf.sinh", INEXACT, 16),
    ("tf.cosh", INEXACT, 16),
    ("tf.tanh", INEXACT, 16),
    ("tf.asin", INEXACT, 16),
    ("tf.acos", INEXACT, 16),
    ("tf.atan", INEXACT, 16),
    ("tf.asinh", INEXACT, 16),
    ("tf.acosh", INEXACT, 16),
    ("tf.atanh", INEXACT, 16),
    ("tf.sigmoid", INEXACT, 8),
    ("tf.math.log_sigmoid", FLOATS, 8),
    ("tf.math.softplus", FLOATS, 8),
    ("tf.math.softsign", FLOATS, 8),
    ("tf.floor", FLOATS, 0),
    ("tf.math.ceil", FLOATS, 0),
    ("tf.math.rint", FLOATS, 0),
    ("tf.round", REALS, 0),
    ("tf.math.is_nan", FLOATS, 0),
    ("tf.math.is_inf", FLOATS, 0),
    ("tf.math.is_finite", FLOATS, 0),
    ("tf.logical_not", ("bool",), 0),
    ("tf.bitwise.invert", INTS, 0),
    ("tf.math.real", NUMBERS, 0),
    ("tf.math.imag", COMPLEX, 0),
    ("tf.math.angle", INEXACT, 8),
    ("tf.math.conj", NUMBERS, 0),
    ("tf.math.erf", FLOATS, 16),
    ("tf.math.erfc", FLOATS, 64),
    ("tf.math.erfinv", WIDE, 64),
    ("tf.math.erfcinv", WIDE, 64),
    ("tf.math.ndtri", WIDE, 64),
    ("tf.math.lgamma", FLOATS, 64),
    ("tf.math.digamma", FLOATS, 64),
    ("tf.math.bessel_i0", WIDE, 32),
    ("tf.math.bessel_i0e", WIDE, 32),
    ("tf.math.bessel_i1", WIDE, 32),
    ("tf.math.bessel_i1e", WIDE, 32),
    ("tf.math.special.dawsn", WIDE, 32),
    ("tf.math.special.expint", WIDE, 64),
    ("tf.math.special.fresnel_cos", WIDE, 64),
    ("tf.math.special.fresnel_sin", WIDE, 64),
    ("tf.math.special.spence", WIDE, 64),
    ("tf.nn.relu", REALS, 1),
    ("tf.nn.relu6", REALS, 1),
    ("tf.nn.elu", FLOATS, 8),
    ("tf.nn.selu", FLOATS, 8),
    ("tf.nn.silu", FLOATS, 8),
    ("tf.nn.gelu", FLOATS, 64),
    ("tf.nn.leaky_relu", FLOATS, 4),
    ("tf.identity", WITH_STRINGS, 0),
    ("tf.stop_gradient", WITH_STRINGS, 0),
    ("tf.zeros_like", WITH_STRINGS, 0),
    ("tf.ones_like", EVERY, 0),
]

BINARY = [
    ("tf.add", (*NUMBERS, "string"), 2),
    ("tf.subtract", NUMBERS, 2),
    ("tf.multiply", NUMBERS, 4),
    ("tf.divide", NUMBERS, 4),
    ("tf.truediv", NUMBERS, 4),
    ("tf.realdiv", NUMBERS, 4),
    ("tf.math.divide_no_nan", NUMBERS, 4),
    ("tf.math.multiply_no_nan", INEXACT, 4),
    ("tf.math.floordiv", REALS, 2),
    ("tf.math.floormod", REALS, 4),
    ("tf.truncatediv", REALS, 2),
    ("tf.truncatemod", REALS, 4),
    ("tf.pow", NUMBERS, 16),
    ("tf.maximum", REALS, 0),
    ("tf.minimum", REALS, 0),
    ("tf.math.squared_difference", NUMBERS, 4),
    ("tf.math.xlogy", INEXACT, 8),
    ("tf.math.xlog1py", INEXACT, 8),
    ("tf.math.xdivy", INEXACT, 8),
    ("tf.atan2", FLOATS, 8),
    ("tf.math.nextafter", WIDE, 0),
    ("tf.equal", WITH_STRINGS, 0),
    ("tf.not_equal", WITH_STRINGS, 0),
    ("tf.less", REALS, 0),
    ("tf.less_equal", REALS, 0),
    ("tf.greater", REALS, 0),
    ("tf.greater_equal", REALS, 0),
    ("tf.logical_and", ("bool",), 0),
    ("tf.logical_or", ("bool",), 0),
    ("tf.math.logical_xor", ("bool",), 0),
    ("tf.bitwise.bitwise_and", INTS, 0),
    ("tf.bitwise.bitwise_or", INTS, 0),
    ("tf.bitwise.bitwise_xor", INTS, 0),
    ("tf.complex", WIDE, 0),
    ("tf.math.igamma", WIDE, 256),
    ("tf.math.igammac", WIDE, 256),
    ("tf.math.zeta", WIDE, 256),
    ("tf.math.polygamma", WIDE, 256),
]


def unary(name, dtypes):
    """A function of one tensor."""

    def build(draw):
        x = array(draw, pick(draw, *dtypes), draw(shapes()))
        return call(name, x, order=draw(st.integers(1, 2)))

    return build


def binary(name, dtypes):
    """A function of two tensors of one dtype that broadcast; seldom one of them is a Python number or a NumPy array."""

    def build(draw):
        dtype = pick(draw, *dtypes)
        a, b = broadcast_pair(draw)
        x, y = array(draw, dtype, a), array(draw, dtype, b)
        how = draw(st.integers(0, 9))
        if how == 0:
            y = pick(draw, 1, 2.5, -3, True, 0)
        elif how == 1:
            x = pick(draw, 1, 2.5, -3, True, 0)
        elif how == 2:
            y.kind = "numpy"
        return call(name, x, y, order=draw(st.integers(1, 2)))

    return build


def shift(name):
    """A shift by less than the number of bits."""

    def build(draw):
        dtype = pick(draw, *INTS)
        a, b = broadcast_pair(draw)
        return call(name, array(draw, dtype, a), array(draw, dtype, b, positive=True))

    return build


def clip(draw):
    dtype = pick(draw, *REALS)
    x = array(draw, dtype, draw(shapes()))
    return call(
        "tf.clip_by_value", x, *[array(draw, dtype, ()) if draw(st.booleans()) else pick(draw, 0, 1, 2) for _ in "ab"]
    )


def where(draw):
    dtype = pick(draw, *WITH_STRINGS)
    a, b = broadcast_pair(draw)
    c = pick(draw, a, b)
    return call("tf.where", array(draw, "bool", c), array(draw, dtype, a), array(draw, dtype, b))


def cast(name):
    def build(draw):
        x = array(draw, pick(draw, *WITH_STRINGS), draw(shapes()), special=False)
        return call(name, x, Raw("tf." + pick(draw, *WITH_STRINGS)))

    return build


def saturate_cast(draw):
    x = array(draw, pick(draw, *EVERY), draw(shapes()))
    return call("tf.saturate_cast", x, Raw("tf." + pick(draw, *EVERY)))


def bitcast(draw):
    dtype, other = pick(draw, ("float32", "int32"), ("int32", "float32"), ("float64", "int64"), ("float64", "int32"),
                        ("int32", "uint8"), ("uint8", "int8"), ("complex64", "float32"), ("float16", "bfloat16"),
                        ("uint8", "int32"), ("int16", "float32"), ("bool", "uint8"), ("float32", "string"))  # fmt: skip
    shape = draw(shapes()) + pick(draw, (), (4,), (2,))
    return call("tf.bitcast", array(draw, dtype, shape), Raw("tf." + other), order=0)


def betainc(draw):
    dtype = pick(draw, *WIDE)
    a, b = broadcast_pair(draw)
    parameters = [array(draw, dtype, s, special=False, positive=True) for s in (a, b)]
    return call("tf.math.betainc", *parameters, array(draw, dtype, pick(draw, a, b, ()), special=False))


def add_n(draw):
    dtype = pick(draw, *NUMBERS)
    shape = draw(shapes())
    return call("tf.add_n", [array(draw, dtype, shape) for _ in range(draw(st.integers(1, 4)))])


def polyval(draw):
    dtype = pick(draw, *FLOATS)
    a, b = broadcast_pair(draw)
    coeffs = [array(draw, dtype, pick(draw, a, ()), special=False) for _ in range(draw(st.integers(0, 3)))]
    return call("tf.math.polyval", coeffs, array(draw, dtype, b, special=False))


CASES = [Case(name, unary(name, dtypes), "ulp" if ulps else "exact", ulps or 2) for name, dtypes, ulps in UNARY]
CASES += [Case(name, binary(name, dtypes), "ulp" if ulps else "exact", ulps or 2) for name, dtypes, ulps in BINARY]
CASES += [
    Case("tf.bitwise.left_shift", shift("tf.bitwise.left_shift")),
    Case("tf.bitwise.right_shift", shift("tf.bitwise.right_shift")),
    Case("tf.clip_by_value", clip),
    Case("tf.where", where, "exact"),
    Case("tf.cast", cast("tf.cast"), "exact", share=4),
    Case("tf.saturate_cast", saturate_cast, "exact", share=2),
    Case("tf.bitcast", bitcast, "exact"),
    Case("tf.math.betainc", betainc, ulps=256),
    Case("tf.add_n", add_n),
    Case("tf.math.polyval", polyval, "norm"),
]
