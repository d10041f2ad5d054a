"""Reductions, cumulative ops and what is made of them, against NumPy, central differences and facts of TensorFlow 2.21."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

Invalid = tf.errors.InvalidArgumentError

inf, nan = np.inf, np.nan
X = np.arange(-5.0, 25.0).reshape(2, 3, 5) / 2

REDUCTIONS = {
    tf.reduce_sum: np.sum,
    tf.reduce_mean: np.mean,
    tf.reduce_max: np.max,
    tf.reduce_min: np.min,
    tf.reduce_prod: np.prod,
    tf.math.reduce_std: np.std,
    tf.math.reduce_variance: np.var,
    tf.reduce_logsumexp: lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis, keepdims=keepdims)),
    tf.math.reduce_euclidean_norm: lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis, keepdims=keepdims)),
}
AXES = st.one_of(
    st.none(),
    st.integers(-3, 2),
    st.lists(st.integers(0, 2), unique=True).map(lambda axes: [i - 3 * (i == 1) for i in axes]),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(REDUCTIONS)), AXES, st.booleans(), st.sampled_from(["list", "tensor", "array"]))
def test_reductions_are_numpys(function, axis, keepdims, form):
    given_axis = axis
    if axis is not None and form != "list":
        given_axis = tf.constant(axis, tf.int32) if form == "tensor" else np.array(axis, np.int64)
    wanted = REDUCTIONS[function](X, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    np.testing.assert_allclose(function(X, given_axis, keepdims), wanted, rtol=1e-12)


# call, dtype, value: facts of TensorFlow.
FACTS = [
    (lambda: tf.reduce_sum(5), "int32", 5),
    (lambda: tf.reduce_sum(tf.constant([100, 100, 100], tf.int8)), "int8", 44),
    (lambda: tf.reduce_sum([tf.constant(1.0), tf.constant(2.0)]), "float32", 3),
    (lambda: tf.reduce_sum(tf.constant([1 + 2j, 3j], tf.complex64)), "complex64", 1 + 5j),
    (lambda: tf.reduce_sum(tf.zeros([0])), "float32", 0),
    (lambda: tf.reduce_sum(tf.zeros([0, 3]), 0), "float32", [0, 0, 0]),
    (lambda: tf.reduce_sum(tf.ones([1000], tf.bfloat16)), "bfloat16", 1000),
    (lambda: tf.reduce_mean([1, 2, 4]), "int32", 2),
    (lambda: tf.reduce_mean([-1, -2, -4]), "int32", -2),
    (lambda: tf.reduce_mean(tf.constant([200, 100], tf.uint8)), "uint8", 150),
    (lambda: tf.reduce_mean(tf.zeros([0], tf.int32)), "int32", 0),
    (lambda: tf.reduce_mean(tf.zeros([0])), "float32", nan),
    (lambda: tf.reduce_mean(tf.ones([1000], tf.bfloat16)), "bfloat16", 1),
    (lambda: tf.reduce_mean(tf.fill([10], tf.constant(60000.0, tf.float16))), "float16", 60000),
    (lambda: tf.reduce_prod(tf.zeros([0])), "float32", 1),
    (lambda: tf.reduce_prod(tf.constant([200, 2], tf.uint8)), "uint8", 144),
    (lambda: tf.reduce_max(tf.zeros([0])), "float32", -inf),
    (lambda: tf.reduce_max(tf.zeros([0], tf.int32)), "int32", -(2**31)),
    (lambda: tf.reduce_min(tf.zeros([0], tf.uint8)), "uint8", 255),
    (lambda: tf.reduce_max(tf.zeros([0, 2], tf.bfloat16), 0), "bfloat16", [-inf, -inf]),
    (lambda: tf.reduce_max([1.0, nan, 3.0]), "float32", nan),
    (lambda: tf.reduce_all(tf.constant([], tf.bool)), "bool", True),
    (lambda: tf.reduce_any([[True, False], [False, False]], 1), "bool", [True, False]),
    (lambda: tf.reduce_logsumexp([-inf, -inf]), "float32", -inf),
    (lambda: tf.reduce_logsumexp([inf, 1.0]), "float32", inf),
    (lambda: tf.reduce_logsumexp([nan, 1.0]), "float32", nan),
    (lambda: tf.reduce_logsumexp(tf.zeros([0])), "float32", -inf),
    (lambda: tf.math.reduce_variance(tf.constant([1 + 2j, 3j], tf.complex64)), "float32", 0.5),
    (lambda: tf.math.reduce_euclidean_norm([1, 1]), "int32", 1),
    (lambda: tf.math.reduce_euclidean_norm(tf.constant([3 + 4j, 0], tf.complex64)), "complex64", 5),
    (lambda: tf.math.count_nonzero([[1.0, 0.0, nan], [0.0, 0.0, 2.0]], 1), "int64", [2, 1]),
    (lambda: tf.math.count_nonzero(["a", ""]), "int64", 1),
    (lambda: tf.math.count_nonzero([True, False], keepdims=True, dtype=tf.int32), "int32", [1]),
    (lambda: tf.math.zero_fraction(tf.constant([1.0, 0.0], tf.float16)), "float32", 0.5),
    (lambda: tf.cumsum(tf.constant([100, 100], tf.int8)), "int8", [100, -56]),
    (lambda: tf.cumsum([[1, 2], [3, 4]], axis=-1, exclusive=True), "int32", [[0, 1], [0, 3]]),
    (lambda: tf.cumsum([1, 2, 3], reverse=True), "int32", [6, 5, 3]),
    (lambda: tf.math.cumprod([2, 3, 4], exclusive=True, reverse=True), "int32", [12, 4, 1]),
    (lambda: tf.math.cumulative_logsumexp([-inf, 1.0, -inf]), "float32", [-inf, 1, 1]),
    (lambda: tf.math.cumulative_logsumexp([0.0, 0.0], exclusive=True), "float32", [-inf, 0]),
    (lambda: tf.math.l2_normalize([[3.0, 4.0], [0.0, 0.0]], 1), "float32", [[0.6, 0.8], [0, 0]]),
    (lambda: tf.math.l2_normalize(tf.constant([3j, 4.0], tf.complex64)), "complex64", [0.6j, 0.8]),
    (lambda: tf.math.polyval([1.0, 2.0, 3.0], tf.constant([2.0, 3.0])), "float32", [11, 18]),
    (lambda: tf.math.polyval([], 3.0), "float32", 0),
    (lambda: tf.math.is_strictly_increasing([[1, 2], [3, 4]]), "bool", True),
    (lambda: tf.math.is_strictly_increasing([1, 1]), "bool", False),
    (lambda: tf.math.is_non_decreasing(tf.constant([3, 1], tf.uint8)), "bool", False),
    (lambda: tf.math.is_non_decreasing([]), "bool", True),
]


@pytest.mark.parametrize("number", range(len(FACTS)))
def test_facts(number):
    call, dtype, value = FACTS[number]
    out = call()
    assert out.dtype.name == dtype
    assert out.shape == np.shape(value)
    np.testing.assert_allclose(tf.cast(out, tf.complex128) if out.dtype.is_complex else out, value, rtol=1e-6, atol=1e-7)


def gradients(function, *values, dy=None):
    xs = [tf.constant(value) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        y = function(*xs)
    (g,) = tape.gradient(y, xs, output_gradients=dy)
    return g.numpy()


GRADIENTS = [
    (lambda x: tf.reduce_max(x, 1), [[1.0, 3.0, 3.0], [nan, 1.0, 2.0]], [[0, 0.5, 0.5], [nan, nan, nan]]),
    (tf.reduce_min, [[1.0, 3.0, 1.0], [5.0, 1.0, 2.0]], [[1 / 3, 0, 1 / 3], [0, 1 / 3, 0]]),
    (
        lambda x: tf.reduce_prod(x, 1),
        [[1.0, 0.0, 3.0], [0.0, 0.0, 2.0], [4.0, 5.0, 6.0]],
        [[0, 3, 0], [0, 0, 0], [30, 24, 20]],
    ),
    (tf.reduce_logsumexp, [0.0, 0.0, -inf], [0.5, 0.5, 0]),
    (tf.reduce_logsumexp, [-inf, -inf], [nan, nan]),
    (tf.math.reduce_std, [1.0, 3.0], [-0.5, 0.5]),
    (tf.math.reduce_std, [1.0, 1.0], [nan, nan]),
    (tf.math.reduce_euclidean_norm, [0.0, 0.0], [nan, nan]),
    (tf.math.reduce_euclidean_norm, [3.0, 4.0], [0.6, 0.8]),
    (tf.math.l2_normalize, [3.0, 4.0], [0.032, -0.024]),
    (tf.math.cumulative_logsumexp, [1.0, 2.0, 3.0], [1.358972, 0.97578686, 0.6652408]),
    (lambda x: tf.reduce_mean(x, [0, 2]), X.astype(np.float32), np.full((2, 3, 5), 0.1)),
]


@pytest.mark.parametrize("number", range(len(GRADIENTS)))
def test_gradients(number):
    function, x, expected = GRADIENTS[number]
    np.testing.assert_allclose(gradients(function, x), expected, rtol=3e-6, atol=1e-7)


def test_exclusive_logsumexp_gradient():
    found = gradients(
        lambda x: tf.math.cumulative_logsumexp(x, exclusive=True), [1.0, 2.0, 3.0], dy=tf.constant([1.0, -2.0, 0.5])
    )
    np.testing.assert_allclose(found, [-1.8655293, 0.36552927, 0], rtol=1e-6)


def slopes(function, x):
    """The gradient of the weighted sum of `function(x)` by central differences."""
    weights = np.cos(np.arange(np.size(function(x))).reshape(np.shape(function(x))))
    result = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-6
        result[i] = np.sum(weights * (function(x + step) - function(x - step))) / 2e-6
    return result, tf.constant(weights)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.5, -2.0, 0.5]), min_size=6, max_size=6), st.booleans(), st.booleans(), st.integers(0, 1)
)
def test_cumprod_gradient_with_zeros(values, exclusive, reverse, axis):
    """Where TensorFlow gives 0 for every zero, the first zero of a row has a slope."""
    x = np.reshape(values, (2, 3))

    def product(x):
        return tf.math.cumprod(x, axis, exclusive, reverse)

    wanted, weights = slopes(lambda x: product(x).numpy(), x)
    np.testing.assert_allclose(gradients(product, x, dy=weights), wanted, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.5, -2.0]), min_size=6, max_size=6), st.sampled_from([None, 0, 1, (0, 1)]))
def test_prod_gradient_with_zeros(values, axis):
    x = np.reshape(values, (2, 3))
    wanted, weights = slopes(lambda x: np.prod(x, axis=axis), x)
    np.testing.assert_allclose(gradients(lambda x: tf.reduce_prod(x, axis), x, dy=weights), wanted, atol=1e-8)


ERRORS = [
    (lambda: tf.reduce_sum(X, 3), Invalid, r"Invalid reduction dimension \(3 for input with 3 dimension"),
    (lambda: tf.reduce_sum(X, [0, -3]), Invalid, "Axes contains duplicate dimension: 0"),
    (lambda: tf.reduce_sum(tf.constant(3.0), 0), Invalid, r"\(0 for input with 0 dimension"),
    (lambda: tf.reduce_sum(X, 1.0), TypeError, "Cannot convert 1.0"),
    (lambda: tf.reduce_sum([True]), Invalid, "bool is not in the list of allowed values"),
    (lambda: tf.reduce_max(tf.constant([1j])), Invalid, "complex128 is not in the list"),
    (lambda: tf.reduce_all([1, 0]), TypeError, "Cannot convert"),
    (lambda: tf.reduce_any(tf.constant([1])), Invalid, "int32"),
    (lambda: tf.reduce_logsumexp([1, 2]), Invalid, "int32 is not in the list of allowed values"),
    (lambda: tf.math.reduce_std([1, 2]), TypeError, "Input must be either real or complex"),
    (lambda: tf.cumsum(X, 3), Invalid, r"Expected scan axis in the range \[-3, 3\), but got 3"),
    (lambda: tf.cumsum(3.0), Invalid, "Expected scan axis"),
    (lambda: tf.math.accumulate_n([tf.constant([1.0])], shape=[2]), ValueError, "not compatible"),
    (lambda: tf.math.accumulate_n([tf.constant([1.0])], tensor_dtype=tf.int32), TypeError, "These must be equal"),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, error, words = ERRORS[number]
    with pytest.raises(error, match=words):
        call()
