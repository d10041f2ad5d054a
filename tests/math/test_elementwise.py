"""Elementwise arithmetic against facts of TensorFlow 2.21: edge cases, dtypes, gradients and errors."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.ops.family import REALS

Invalid = tf.errors.InvalidArgumentError

inf, nan = np.inf, np.nan

VALUES = [0.0, 1.0, -1.0, 2.5, -2.5, 0.5, inf, -inf, nan]
UNARY = {
    "sign": [0, 1, -1, 1, -1, 1, 1, -1, nan],
    "round": [0, 1, -1, 2, -2, 0, inf, -inf, nan],
    "floor": [0, 1, -1, 2, -3, 0, inf, -inf, nan],
    "math.ceil": [0, 1, -1, 3, -2, 1, inf, -inf, nan],
    "square": [0, 1, 1, 6.25, 6.25, 0.25, inf, inf, nan],
    "sqrt": [0, 1, nan, 1.5811388, nan, 0.70710677, inf, nan, nan],
    "math.rsqrt": [inf, 1, nan, 0.63245553, nan, 1.4142135, 0, nan, nan],
    "exp": [1, 2.7182817, 0.36787945, 12.182494, 0.082085, 1.6487212, inf, 0, nan],
    "math.expm1": [0, 1.7182817, -0.63212055, 11.182494, -0.917915, 0.6487213, inf, -1, nan],
    "math.log": [-inf, 0, nan, 0.91629076, nan, -0.6931472, inf, nan, nan],
    "math.log1p": [0, 0.6931472, -inf, 1.252763, nan, 0.4054651, inf, nan, nan],
    "acosh": [nan, 0, nan, 1.5667993, nan, nan, inf, nan, nan],
    "atanh": [0, inf, -inf, nan, nan, 0.54930615, nan, nan, nan],
    "sigmoid": [0.5, 0.73105854, 0.2689414, 0.9241418, 0.07585817, 0.62245935, 1, 0, nan],
    "math.softplus": [0.6931472, 1.3132616, 0.3132617, 2.5788898, 0.07888974, 0.974077, inf, 0, nan],
    "math.log_sigmoid": [-0.6931472, -0.3132617, -1.3132616, -0.07888974, -2.5788898, -0.474077, 0, -inf, nan],
    "math.reciprocal": [inf, 1, -1, 0.4, -0.4, 2, 0, 0, nan],
    "math.reciprocal_no_nan": [0, 1, -1, 0.4, -0.4, 2, 0, 0, nan],
    "math.angle": [0, 0, 3.1415927, 0, 3.1415927, 0, 0, 3.1415927, 0],
    "math.imag": [0] * 9,
}


def public(name):
    return operator.attrgetter(name)(tf)


@pytest.mark.parametrize("name", UNARY)
def test_edges_of_one_input(name):
    np.testing.assert_allclose(public(name)(VALUES), np.array(UNARY[name], np.float32), rtol=1e-6)
    for value, expected in zip(VALUES, UNARY[name], strict=True):  # 0-d values take another way through NumPy
        np.testing.assert_allclose(public(name)(value), np.float32(expected), rtol=1e-6)


QUARTER = np.pi / 2
A = [0.0, 1.0, -1.0, 7.0, -7.0, 7.0, -7.0, inf, -inf, nan, 5.0, inf, 3.0]
B = [0.0, 0.0, 0.0, 3.0, 3.0, -3.0, -3.0, 2.0, 2.0, 1.0, inf, inf, -inf]
BINARY = {
    "math.floordiv": [nan, inf, -inf, 2, -3, -3, 2, inf, -inf, nan, 0, nan, -0.0],
    "math.floormod": [nan, nan, nan, 1, 2, -2, -1, nan, nan, nan, 5, nan, -inf],
    "truncatediv": [nan, inf, -inf, 2, -2, -2, 2, inf, -inf, nan, 0, nan, -0.0],
    "truncatemod": [nan, nan, nan, 1, -1, 1, -1, nan, nan, nan, 5, nan, 3],
    "math.divide_no_nan": [0, 0, 0, 7 / 3, -7 / 3, -7 / 3, 7 / 3, inf, -inf, nan, 0, nan, 0],
    "math.multiply_no_nan": [0, 0, 0, 21, -21, -21, 21, inf, -inf, nan, inf, inf, -inf],
    "math.xlogy": [0, -inf, inf, 7.690286, -7.690286, nan, nan, inf, -inf, nan, inf, inf, nan],
    "math.xlog1py": [0, 0, 0, 9.704061, -9.704061, nan, nan, inf, -inf, nan, inf, inf, nan],
    "math.xdivy": [0, inf, -inf, 7 / 3, -7 / 3, -7 / 3, 7 / 3, inf, -inf, nan, 0, nan, 0],
    "pow": [1, 1, 1, 343, -343, 0.0029154518, -0.0029154518, inf, inf, nan, inf, inf, 0],
    "maximum": [0, 1, 0, 7, 3, 7, -3, inf, 2, nan, inf, inf, 3],
    "minimum": [0, 0, -1, 3, -7, -3, -7, 2, -inf, nan, 5, inf, -inf],
    "atan2": [0, QUARTER, -QUARTER, 1.165905, -1.165905, 1.975688, -1.975688, QUARTER, -QUARTER, nan, 0, 0.785398, np.pi],
}  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_edges_of_two_inputs(name):
    np.testing.assert_allclose(public(name)(A, B), np.array(BINARY[name], np.float32), rtol=1e-6)
    for a, b, expected in zip(A, B, BINARY[name], strict=True):
        np.testing.assert_allclose(public(name)(a, b), np.float32(expected), rtol=1e-6)


def test_quotients_are_rounded_before_their_floor():
    assert (tf.constant([1.0, -1.0, 0.3]) // 0.1).numpy().tolist() == [10, -10, 3]
    x, y = tf.constant([1.0, -1.0, 0.3, 5.3], tf.float64), tf.constant([0.1, 0.1, 0.1, -0.7], tf.float64)
    assert (x // y).numpy().tolist() == [10, -10, 2, -8]


@settings(max_examples=60, deadline=None)
@given(st.integers(-128, 127), st.integers(-128, 127).filter(bool))
def test_integer_division_is_pythons(x, y):
    a, b = tf.constant(x, tf.int16), tf.constant(y, tf.int16)
    assert int(a // b) == x // y
    assert int(a % b) == x % y
    assert int(tf.truncatediv(a, b)) == int(x / y)
    assert int(tf.truncatemod(tf.cast(a, tf.int32), tf.cast(b, tf.int32))) == x - y * int(x / y)
    assert float(a / b) == np.float32(x / y)


def test_integers_wrap_around():
    assert tf.add(tf.constant([2**31 - 1]), 1).numpy().tolist() == [-(2**31)]
    assert int(tf.constant(200, tf.uint8) * tf.constant(100, tf.uint8)) == 32
    assert tf.abs(tf.constant([-128, 5], tf.int8)).numpy().tolist() == [-128, 5]
    assert (tf.constant([-128], tf.int8) // tf.constant([-1], tf.int8)).numpy().tolist() == [-128]
    assert (tf.constant([2, 3], tf.int8) ** tf.constant([9, 9], tf.int8)).numpy().tolist() == [0, -29]


# What a function of two inputs gives for their dtypes: the result's dtype, or the class of the error.
T = {name: tf.constant([1, 2], name) for name in ("float16", "float32", "float64", "int32", "int64", "complex64")}
NUMPY = np.array([1.5, 2.0])
MIXED = [
    (tf.maximum, 1, 1, "int32"),
    (tf.maximum, 1, 2.5, TypeError),
    (tf.maximum, 2.5, 1, "float32"),
    (tf.maximum, 1, T["float16"], "float16"),
    (tf.maximum, T["float64"], 1, "float64"),
    (tf.maximum, T["int32"], 2.5, TypeError),
    (tf.maximum, T["int32"], NUMPY, "int32"),
    (tf.maximum, NUMPY, T["float32"], "float32"),
    (tf.maximum, NUMPY, 1, "float64"),
    (tf.maximum, T["float32"], True, "float32"),
    (tf.maximum, T["float32"], T["float64"], Invalid),
    (tf.maximum, T["complex64"], T["complex64"], Invalid),
    (tf.maximum, T["float32"], "a", TypeError),
    (tf.maximum, T["float32"], None, ValueError),
    (tf.add, 1, T["float32"], Invalid),
    (tf.add, T["float32"], 1, "float32"),
    (tf.add, T["int32"], 2.5, Invalid),
    (tf.add, "a", "b", "string"),
    (tf.divide, 1, 2, "float64"),
    (tf.divide, 2.5, T["int32"], TypeError),
    (tf.divide, T["int32"], T["int64"], TypeError),
    (tf.truediv, tf.constant(1, tf.int8), tf.constant(2, tf.int8), "float32"),
    (tf.truediv, T["int64"], 2, "float64"),
    (tf.truediv, T["float16"], 2, "float16"),
    (tf.truediv, T["float32"], T["float64"], TypeError),
    (tf.math.divide_no_nan, 1, 2, "float64"),
    (tf.math.divide_no_nan, T["int32"], 2.5, TypeError),
    (tf.math.nextafter, 1, 2, "float32"),
    (tf.equal, T["float64"], 1, "bool"),
    (tf.equal, "a", "a", "bool"),
    (tf.less, T["complex64"], T["complex64"], Invalid),
    (tf.logical_and, True, [True, False], "bool"),
    (tf.logical_and, 1, 0, TypeError),
    (tf.logical_and, T["int32"], T["int32"], Invalid),
    (tf.pow, tf.Variable([1.0, 2.0]), 2, "float32"),
    (tf.math.squared_difference, T["complex64"], T["complex64"], "complex64"),
    (operator.add, T["int32"], 2.5, Invalid),
    (operator.mul, T["int32"], 2.5, TypeError),
    (operator.mul, 2.5, T["int32"], TypeError),
    (operator.truediv, T["int32"], 2.5, TypeError),
    (operator.truediv, T["int32"], 2, "float64"),
    (operator.sub, [1.0, 2.0], T["float16"], "float16"),
]


@pytest.mark.parametrize(("function", "x", "y", "expected"), MIXED)
def test_mixed_dtypes(function, x, y, expected):
    if isinstance(expected, str):
        assert function(x, y).dtype.name == expected
    else:
        with pytest.raises(expected):
            function(x, y)


HALVES = [tf.float16, tf.bfloat16]
SMOOTH = [
    "abs",
    "sign",
    "square",
    "sqrt",
    "exp",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "asin",
    "acos",
    "atan",
    "asinh",
    "atanh",
    "sigmoid",
    "floor",
    "round",
]
SMOOTH += [
    "math.rsqrt",
    "math.reciprocal",
    "math.log",
    "math.log1p",
    "math.expm1",
    "math.softplus",
    "math.ceil",
    "math.rint",
    "math.log_sigmoid",
]


@pytest.mark.parametrize("dtype", HALVES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("name", SMOOTH)
def test_half_floats_keep_their_dtype(name, dtype):
    for x in (tf.constant([0.125, 0.5, 0.875], dtype), tf.constant(0.375, dtype)):
        out = public(name)(x)
        assert out.dtype is dtype
        exact = public(name)(tf.cast(x, tf.float64)).numpy()
        np.testing.assert_allclose(tf.cast(out, tf.float64), exact, rtol={"float16": 2e-3, "bfloat16": 1.6e-2}[dtype.name])


@pytest.mark.parametrize("dtype", HALVES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize(
    "name", ["add", "subtract", "multiply", "realdiv", "pow", "maximum", "math.floordiv", "math.floormod", "atan2"]
)
def test_half_floats_in_pairs(name, dtype):
    for x, y in [([0.5, 1.25], [0.25, 0.5]), (0.5, 0.25), ([0.5, 1.25], 0.5)]:
        assert public(name)(tf.constant(x, dtype), tf.constant(y, dtype)).dtype is dtype


def test_complex_numbers():
    z = tf.constant([3 - 4j, 0j, -2 + 0j], tf.complex64)
    assert tf.abs(z).numpy().tolist() == [5, 0, 2] and tf.abs(z).dtype is tf.float32
    assert tf.sign(z).numpy().tolist() == [np.complex64(0.6 - 0.8j), 0, -1]
    assert tf.math.real(z).numpy().tolist() == [3, 0, -2]
    assert tf.math.imag(z).numpy().tolist() == [-4, 0, 0]
    assert tf.math.conj(z).numpy().tolist() == [3 + 4j, 0, -2]
    assert tf.math.angle(z).numpy()[2] == np.float32(np.pi)
    assert tf.math.squared_difference(z, z + 1j).numpy().tolist() == [1, 1, 1]
    assert tf.complex(1.0, [inf, 2.0]).numpy().tolist() == [complex(1, inf), 1 + 2j]
    assert tf.math.real(tf.constant([1, 2])).dtype is tf.int32
    with pytest.raises(TypeError, match="incorrect types: float32 float64"):
        tf.complex(1.0, tf.constant(2.0, tf.float64))


def gradients(function, *values, dtype=tf.float32):
    xs = [tf.constant(value, dtype) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        y = function(*xs)
    return [None if g is None else g.numpy().tolist() for g in tape.gradient(y, xs)]


# function, inputs, gradients: facts of TensorFlow, but for the slope of 0**0 in the base, which it has as nan.
GRADIENTS = [
    (tf.abs, [[-1.0, 0.0, 2.0]], [[-1, 0, 1]]),
    (tf.sign, [[-1.0, 0.0, 2.0]], [[0, 0, 0]]),
    (tf.floor, [[1.5]], [None]),
    (tf.round, [[1.5]], [None]),
    (tf.math.floordiv, [[7.0], [3.0]], [None, None]),
    (tf.sqrt, [[0.0, 4.0]], [[inf, 0.25]]),
    (tf.math.rsqrt, [[0.0, 4.0]], [[-inf, -0.0625]]),
    (tf.maximum, [[1.0, 2.0, 3.0, nan, 1.0], [3.0, 2.0, 1.0, 1.0, nan]], [[0, 1, 1, 0, 0], [1, 0, 0, 1, 1]]),
    (tf.minimum, [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], [[1, 1, 0], [0, 0, 1]]),
    (
        tf.pow,
        [[0.0, 0.0, -2.0, 2.0, 0.0], [0.0, 2.0, 3.0, 0.0, 1.0]],
        [[0, 0, 12, 0, 1], [0, 0, 0, np.log(np.float32(2)), 0]],
    ),
    (lambda x: x**0.5, [[0.0, -1.0, 4.0]], [[inf, nan, 0.25]]),
    (lambda x: (-2.0) ** x, [[0.0, 3.0]], [[0, 0]]),
    (tf.math.divide_no_nan, [[1.0, 2.0, 0.0], [0.0, 4.0, 0.0]], [[0, 0.25, 0], [0, -0.125, 0]]),
    (tf.math.multiply_no_nan, [[1.0, inf, 3.0], [0.0, 0.0, 4.0]], [[0, 0, 4], [1, inf, 3]]),
    (tf.math.xlogy, [[0.0, 2.0, 0.0], [0.0, 1.0, 5.0]], [[0, 0, 0], [0, 2, 0]]),
    (tf.math.xlog1py, [[0.0, 2.0], [-1.0, 3.0]], [[0, np.log(np.float32(4))], [0, 0.5]]),
    (tf.math.xdivy, [[0.0, 2.0], [0.0, 4.0]], [[0, 0.25], [0, -0.125]]),
    (tf.math.floormod, [[7.0, -7.0], [3.0, 3.0]], [[1, 1], [-2, 3]]),
    (tf.math.squared_difference, [[[7.0, -7.0]], [3.0]], [[[8, -20]], [12]]),
    (tf.atan2, [[1.0, 0.0], [2.0, -1.0]], [[0.4, -1], [-0.2, 0]]),
    (tf.math.nextafter, [[1.0], [2.0]], [[1], [0]]),
    (tf.math.softplus, [[-100.0, 0.0, 100.0]], [[0, 0.5, 1]]),
    (tf.math.log_sigmoid, [[-100.0, 0.0, 100.0]], [[1, 0.5, 0]]),
    (tf.sigmoid, [[-100.0, 0.0, 100.0]], [[0, 0.25, 0]]),
    (tf.math.reciprocal_no_nan, [[2.0, 0.0]], [[-0.25, 0]]),
    (tf.asin, [[0.0, 1.0]], [[1, inf]]),
    (tf.acosh, [[1.0]], [[inf]]),
    (tf.atanh, [[0.0, 1.0]], [[1, inf]]),
    (lambda x: tf.saturate_cast(x, tf.float16), [[1.0, 1e10, -1e10]], [[1, 0, 0]]),
    (lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32), [[1.0]], [None]),
    (lambda x: tf.math.reduce_sum(tf.math.real(tf.complex(x, 2 * x) * (2 + 3j))), [[1.0]], [[-4]]),
]


@pytest.mark.parametrize(("function", "inputs", "expected"), GRADIENTS)
def test_gradients(function, inputs, expected):
    for found, wanted in zip(gradients(function, *inputs), expected, strict=True):
        if wanted is None:
            assert found is None
        else:
            np.testing.assert_allclose(found, wanted, rtol=1e-6)


# Gradients at 0.2 + 1j, in TensorFlow's convention.
COMPLEX_GRADIENTS = {
    "sqrt": 0.38289824 + 0.31390142j,
    "math.expm1": 0.6599267 - 1.0277749j,
    "sigmoid": 0.31854266 + 0.03479177j,
    "atan": 0.24752487 + 2.4752474j,
    "math.log": 0.1923077 + 0.9615385j,
    "math.rsqrt": 0.22819403 - 0.42853707j,
    "sign": 0.942866 - 0.18857323j,
    "abs": 0.19611613 + 0.98058068j,
    "math.real": 1,
    "math.imag": 1j,
    "math.angle": -0.9615385 + 0.1923077j,
    "math.conj": 1,
}


@pytest.mark.parametrize("name", COMPLEX_GRADIENTS)
def test_complex_gradients(name):
    (found,) = gradients(public(name), 0.2 + 1j, dtype=tf.complex64)
    np.testing.assert_allclose(found, COMPLEX_GRADIENTS[name], rtol=2e-6)


def test_bits():
    x, y = tf.constant([5, -3, 1, 1, 1], tf.int8), tf.constant([1, 2, 7, 8, -1], tf.int8)
    assert tf.bitwise.left_shift(x, y).numpy().tolist() == [10, -12, -128, -128, 1]
    assert tf.bitwise.right_shift(
        tf.constant([-128, -128, 9], tf.int8), tf.constant([7, 100, 1], tf.int8)
    ).numpy().tolist() == [-1, -1, 4]
    assert tf.bitwise.right_shift(tf.constant([255], tf.uint32), tf.constant([64], tf.uint32)).numpy().tolist() == [0]
    assert tf.bitwise.bitwise_or(x, 3).numpy().tolist() == [7, -1, 3, 3, 3]
    assert tf.bitwise.invert(tf.constant([5, 3], tf.uint8)).numpy().tolist() == [250, 252]
    assert (tf.constant([5]) & tf.constant([3])).numpy().tolist() == [1]
    assert (~tf.constant([True])).numpy().tolist() == [False]


WIDE = [0.0, -0.5, 1.5, -1.5, 300.0, 3e9, inf, -inf, nan]
CASTS = {
    "int32": [0, 0, 1, -1, 300, -(2**31), -(2**31), -(2**31), -(2**31)],
    "int8": [0, 0, 1, -1, 44, 0, 0, 0, 0],
    "uint8": [0, 0, 1, 255, 44, 0, 0, 0, 0],
    "bool": [False, True, True, True, True, True, True, True, True],
    "float16": [0, -0.5, 1.5, -1.5, 300, inf, inf, -inf, nan],
}
SATURATED = {
    "int32": [0, 0, 1, -1, 300, 2147483520, 2147483520, -(2**31), -(2**31)],
    "int8": [0, 0, 1, -1, 127, 127, 127, -128, 0],
    "uint8": [0, 0, 1, 0, 255, 255, 255, 0, 0],
    "float16": [0, -0.5, 1.5, -1.5, 300, 65504, 65504, -65504, nan],
}


def test_casts():
    for name, expected in CASTS.items():
        np.testing.assert_array_equal(tf.cast(WIDE, name), expected)
    for name, expected in SATURATED.items():
        np.testing.assert_array_equal(tf.saturate_cast(WIDE, name), expected)
    assert tf.saturate_cast(tf.constant([300, -1]), tf.uint8).numpy().tolist() == [255, 0]
    assert tf.cast(tf.constant([1 + 2j]), tf.float32).numpy().tolist() == [1]
    x = tf.constant([1.0])
    assert tf.cast(x, tf.float32) is x
    slices = tf.cast(tf.IndexedSlices(x, tf.constant([0])), tf.float64)
    assert slices.values.dtype is tf.float64


# call, error, words of TensorFlow's message that must be in ours
ERRORS = [
    (lambda: tf.sqrt(4), Invalid, "int32 is not in the list of allowed values"),
    (lambda: tf.negative(tf.constant([1], tf.uint8)), Invalid, "uint8 is not in the list"),
    (lambda: tf.exp(None), ValueError, "Attempt to convert a value .None. with an unsupported type"),
    (lambda: tf.add([1.0, 2.0], [1.0, 2.0, 3.0]), Invalid, r"Incompatible shapes: \[2\] vs. \[3\]"),
    (lambda: T["int32"] // 0, Invalid, "Integer division by zero"),
    (lambda: T["int32"] % 0, Invalid, "Integer division by zero"),
    (lambda: tf.pow([2, 3], [-1, 2]), Invalid, "Integers to negative integer powers are not allowed"),
    (lambda: tf.cast("a", tf.float32), tf.errors.UnimplementedError, "Cast string to float is not supported"),
    (lambda: tf.cast(1.0, int), TypeError, "Cannot convert the argument `type_value`: <class 'int'>"),
    (lambda: tf.add_n([]), ValueError, "Inputs must be an iterable of at least one Tensor/IndexedSlices"),
    (lambda: tf.add_n([[1.0], [2.0, 3.0]]), Invalid, r"same size and shape.  ?Input 0: \[1\] != input 1: \[2\]"),
    (lambda: tf.scalar_mul([2.0], T["float32"]), ValueError, "must be a 0-D value"),
    (lambda: tf.math.polyval(T["float32"], 3.0), ValueError, "Argument coeffs must be list type"),
    (lambda: tf.saturate_cast([True], tf.int32), TypeError, "Cannot find minimum value"),
]


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_clipping():
    x = [-1.0, 2.0, 5.0, nan, inf]
    np.testing.assert_array_equal(tf.clip_by_value(x, 0.0, 3.0), [0, 2, 3, nan, 3])
    assert tf.clip_by_value([1.0, 7.0], 3.0, 2.0).numpy().tolist() == [3, 3]
    assert tf.clip_by_value(tf.constant([-1, 2, 5]), 0, 3).numpy().tolist() == [0, 2, 3]
    with pytest.raises(ValueError, match="incompatible"):
        tf.clip_by_value([1.0, 2.0], [[2.0], [1.0]], 3.0)
    with pytest.raises(TypeError, match="Cannot convert 0"):
        tf.clip_by_value(tf.constant([1]), 0.5, 3)
    assert gradients(tf.clip_by_value, [-1.0, 0.0, 2.0, 3.0, 5.0], 0.0, 3.0) == [[0, 1, 1, 1, 0], 1, 1]
    np.testing.assert_allclose(tf.clip_by_norm([3.0, 4.0], 2.0), [1.2, 1.6], rtol=1e-6)
    assert tf.clip_by_norm([[3.0, 4.0], [6.0, 8.0]], 5.0, [1]).numpy().tolist() == [[3, 4], [3, 4]]
    np.testing.assert_allclose(gradients(lambda x: tf.clip_by_norm(x, 2.0), [3.0, 4.0]), [[0.064, -0.048]], rtol=1e-5)
    assert gradients(lambda x: tf.clip_by_norm(x, 2.0), [0.0, 0.0]) == [[1, 1]]
    slices = tf.IndexedSlices(tf.constant([[3.0], [4.0]]), tf.constant([0, 1]))
    clipped, norm = tf.clip_by_global_norm([slices, None, tf.constant(12.0)], 6.5)
    assert float(norm) == 13 and clipped[1] is None and float(clipped[2]) == 6
    assert clipped[0].values.numpy().ravel().tolist() == [1.5, 2]
    clipped, norm = tf.clip_by_global_norm([tf.constant([3.0, inf])], 6.5)
    assert float(norm) == inf and np.isnan(clipped[0]).all()
    with pytest.raises(TypeError, match="should be a sequence of tensors"):
        tf.clip_by_global_norm(tf.constant([1.0]), 1.0)


def test_sums_of_slices():
    slices = tf.IndexedSlices(tf.constant([[1.0]]), tf.constant([0]), tf.constant([3, 1]))
    assert tf.add_n([slices, tf.constant([[1.0], [2.0], [3.0]])]).numpy().ravel().tolist() == [2, 2, 3]
    assert tf.add_n([slices, slices]).numpy().ravel().tolist() == [2, 0, 0]
    assert tf.scalar_mul(2.0, slices).values.numpy().tolist() == [[2]]
    assert tf.abs(slices).numpy().ravel().tolist() == [1, 0, 0]


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((0, 3), (1, 3)), ((5, 1, 2), (3, 1))]),
    st.integers(0, 99),
)
def test_broadcasting_is_numpys(shapes, seed):
    rng = np.random.default_rng(seed)
    x, y = [rng.integers(1, 9, shape).astype(np.float32) for shape in shapes]
    for ours, theirs in [
        (tf.add, np.add),
        (tf.maximum, np.maximum),
        (tf.realdiv, np.divide),
        (tf.less, np.less),
        (tf.atan2, np.arctan2),
    ]:
        np.testing.assert_array_equal(ours(x, y), theirs(x, y))


REAL_NAMES = sorted(dtype.name for dtype in REALS)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(REAL_NAMES), st.sampled_from(REAL_NAMES), st.binary(min_size=8, max_size=8))
def test_a_cast_number_is_what_an_element_becomes(source, target, bits):
    x = np.frombuffer(bits, tf.as_dtype(source).as_numpy_dtype, 1)
    one, many = tf.cast(tf.constant(x[0]), target).numpy(), tf.cast(tf.constant(x), target).numpy()
    assert one.dtype == many.dtype
    np.testing.assert_array_equal(one, many[0])


@pytest.mark.parametrize("name", ["math.divide_no_nan", "math.multiply_no_nan", "math.xdivy", "math.xlogy"])
def test_numbers_with_a_zero_are_as_elements_are(name):
    x, y = [part.ravel() for part in np.meshgrid(VALUES, VALUES)]
    many = public(name)(tf.constant(x), tf.constant(y))
    np.testing.assert_array_equal([public(name)(tf.constant(a), tf.constant(b)) for a, b in zip(x, y, strict=True)], many)


@pytest.mark.parametrize("x", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("low", [0.0, 2.0, np.nan])
@pytest.mark.parametrize("high", [0.5, 1.0, np.nan])
def test_clip_by_value_shares_its_gradient_as_minimum_and_maximum_do(x, low, high):
    """That is how TensorFlow defines it, NaN and limits that cross each other included."""
    values = [tf.Variable(v) for v in (x, low, high)]
    found = []
    for function in (tf.clip_by_value, lambda x, low, high: tf.maximum(tf.minimum(x, high), low)):
        with tf.GradientTape() as tape:
            y = function(*values)
        found.append([float(g) for g in tape.gradient(y, values)])
    assert found[0] == found[1]


def test_no_integers_have_any_power():
    assert tf.pow(tf.zeros([0, 2], tf.int8), -3).numpy().shape == (0, 2)
    assert tf.pow(tf.zeros([0, 1], tf.int32), [[-1, -2]]).dtype is tf.int32
    with pytest.raises(tf.errors.InvalidArgumentError, match="negative integer powers"):
        tf.pow(tf.constant([2]), -3)


BOOL_PRODUCTS = [  # the factor beside [True, False], and TensorFlow's answer
    (lambda b: b * True, [True, False]),
    (lambda b: True * b, [True, False]),
    (lambda b: b * tf.constant([True, True]), [True, False]),
    (lambda b: b * 2, [True, False]),
    (lambda b: b * 0, [False, False]),
    (lambda b: b * 2.5, [True, False]),
    (lambda b: b * 0.5, [False, False]),  # as an integer it is 0
    (lambda b: tf.constant(2) * b, [True, False]),
    (lambda b: tf.constant(2.0) * b, [True, False]),
    (lambda b: tf.constant(2j) * b, [False, False]),
    (lambda b: tf.Variable(2.0) * b, [True, False]),
    (lambda b: b * np.array([True, True]), [True, False]),
    (lambda b: b * [False, True], [False, False]),
]


@pytest.mark.parametrize("product, expected", BOOL_PRODUCTS)
def test_the_operator_multiplies_bools(product, expected):
    b = tf.constant([True, False])
    factor = tf.Variable(b)  # read by the product
    for result in (product(b), product(factor)):
        assert result.dtype is tf.bool and result.numpy().tolist() == expected


def test_what_multiplies_no_bools():
    b = tf.constant([True, False])
    with pytest.raises(TypeError, match="Cannot convert 2 to EagerTensor of dtype bool"):
        2 * b
    with pytest.raises(Invalid, match="bool is not in the list of allowed values"):
        tf.multiply(b, b)
    with pytest.raises(tf.errors.UnimplementedError, match="Cast string to int32"):
        b * "a"


def test_tensors_in_a_list_are_cast_only_where_the_first_is():
    i, x = tf.constant(1), tf.constant(2.0)
    assert tf.convert_to_tensor([x, i], tf.int32).numpy().tolist() == [2, 1]
    assert tf.convert_to_tensor([i, x], tf.float32).numpy().tolist() == [1.0, 2.0]
    for value, dtype in (([i, x], tf.int32), ([x, i], tf.float32)):
        with pytest.raises(Invalid, match="was expected to be a"):
            tf.convert_to_tensor(value, dtype)
