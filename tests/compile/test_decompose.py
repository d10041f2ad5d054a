"""Primitives taken apart, scans and copies: with windows, axes and dtypes of all kinds, what their NumPy kernels compute."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf
from compiled import configured, native
from tapeflow.core.primitive import P

NUMBERS = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16, np.int8, np.int32, np.uint8]


def numbers(shape, dtype, seed, scale=2.0):
    """Numbers of which some are equal."""
    return np.round(np.random.default_rng(seed).standard_normal(shape) * scale * 4).astype(dtype)


@st.composite
def windows(draw):
    """An image and the attrs of a pooling over it."""
    dtype = np.dtype(draw(st.sampled_from(NUMBERS)))
    rank = draw(st.sampled_from([1, 2]))
    sizes = [draw(st.integers(3, 9)) for _ in range(rank)]
    ksize, strides, dilations = [tuple([draw(st.integers(1, n)) for _ in range(rank)]) for n in (3, 3, 2)]
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    if padding == "VALID":
        sizes = [max(n, (k - 1) * d + 1) for n, k, d in zip(sizes, ksize, dilations, strict=True)]
    x = numbers((draw(st.integers(1, 2)), *sizes, draw(st.sampled_from([1, 3, 17]))), dtype, draw(st.integers(0, 99)))
    return x, {"ksize": ksize, "strides": strides, "dilations": dilations, "padding": padding}


@configured(40)
@given(windows(), st.booleans(), st.sampled_from([tf.int32, tf.int64]))
def test_maxima_and_where_they_are(case, include_batch, dtype):
    x, window = case
    native(lambda x: P.max_pool_argmax(x, include_batch=include_batch, dtype=dtype, **window), x)
    native(lambda x: P.max_pool(x, **window), x)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_the_gradient_of_short_maxima(dtype):
    x = numbers((2, 6, 5, 3), dtype, 1)
    window = {"ksize": (2, 2), "strides": (2, 2), "dilations": (1, 1), "padding": "SAME"}
    y = P.max_pool.kernel(x, **window)
    g = numbers(y.shape, dtype, 2)
    native(lambda g, x, y: P.max_pool_grad(g, x, y, **window), g, x, y)
    native(lambda t, x, y: P.max_pool_pick(t, x, y, **window), numbers(x.shape, dtype, 3), x, y)


@configured(40)
@given(
    st.sampled_from([(5,), (3, 17), (2, 3, 7), (4, 33), (70, 9), (9, 70)]),
    st.integers(-1, 0),
    st.booleans(),
    st.booleans(),
    st.sampled_from(NUMBERS[:4]),
)
def test_cumulative_sums_of_exponentials(shape, axis, exclusive, reverse, dtype):
    x = (np.random.default_rng(len(shape)).standard_normal(shape) * 5).astype(dtype)
    x.reshape(-1)[:3] = [-np.inf, -np.inf, 700]
    x[..., -1] = np.inf
    function = lambda x: P.cumulative_logsumexp(x, axis=axis, exclusive=exclusive, reverse=reverse)  # noqa: E731
    native(function, x, within=4 if dtype is np.float64 else 1)


def test_sums_of_exponentials_keep_nan_where_it_is():
    native(lambda x: P.cumulative_logsumexp(x, axis=0), np.array([1, -np.inf, np.nan, 2], np.float32), within=1)


@configured(60)
@given(
    st.sampled_from([*NUMBERS, np.int64, np.uint16, np.complex64, np.complex128]),
    st.sampled_from([*NUMBERS, np.int64, np.uint16, np.complex64, np.complex128]),
    st.sampled_from([(), (3,), (2, 5)]),
)
def test_bitcasts(source, target, shape):
    source, target = np.dtype(source), np.dtype(target)
    ratio = target.itemsize // source.itemsize
    x = np.random.default_rng(3).integers(0, 60, (*shape, ratio) if ratio > 1 else shape).astype(source)
    native(lambda x: P.bitcast(x, dtype=tf.as_dtype(target)), x)


def test_a_part_of_a_complex_variable_is_assigned_where_it_is():
    v = tf.Variable(np.arange(15).reshape(3, 5) * (1 + 1j))

    @tf.function
    def step(x, i):
        v[i, 1:4].assign(x * 2j)
        return v[i]

    x = np.array([1, 2j, 3])
    expected = v.numpy()
    for i in (2, 0):
        buffer = id(v._tensor._value)
        expected[i, 1:4] = x * 2j
        np.testing.assert_array_equal(step(tf.constant(x), tf.constant(i)), expected[i])
    np.testing.assert_array_equal(v.numpy(), expected)
    assert buffer == id(v._tensor._value)


@configured(40)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 7), st.sampled_from([1, 3])),
    st.tuples(st.integers(1, 6), st.integers(1, 5)),
    st.sampled_from(["CONSTANT", "REFLECT", "WRAP", "NEAREST"]),
    st.sampled_from(["BILINEAR", "NEAREST"]),
    st.sampled_from([np.float32, np.float64, np.float16, np.uint8, np.int32]),
    st.integers(0, 99),
)
def test_warps(shape, size, mode, interpolation, dtype, seed):
    rng = np.random.default_rng(seed)
    x = numbers(shape, np.dtype(dtype), seed)
    rows = shape[0] if seed % 2 else 1
    transforms = np.tile(np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32), (rows, 1))
    transforms[:, :6] += rng.standard_normal((rows, 6)).astype(np.float32)
    transforms[:, 6:] += rng.standard_normal((rows, 2)).astype(np.float32) / 9
    attrs = {"interpolation": interpolation, "mode": mode}
    native(lambda x, t: P.warp(x, t, size=size, fill=0.5, **attrs), x, transforms, within=1)
    if x.dtype.kind == "f":
        g = rng.standard_normal((shape[0], *size, shape[3])).astype(dtype)
        native(lambda g, t: P.warp_grad(g, t, shape=shape, **attrs), g, transforms, within=1)


@configured(15)
@given(
    st.sampled_from([np.int8, np.int16, np.int32, np.int64]),
    st.sampled_from([(), (3,), (2, 5), (33,)]),
    st.sampled_from([3, 9, 70]),
    st.booleans(),
)
def test_powers_of_integers(dtype, shape, most, same):
    rng = np.random.default_rng(most)
    x, y = rng.integers(-9, 10, shape).astype(dtype), rng.integers(0, most, shape[1:] if same else shape).astype(dtype)
    native(lambda x, y: x**y, x, y)
    native(lambda x: (x**0, x**1, x**2, x**5, x**most), x)


def test_negative_powers_of_integers_are_errors():
    f = tf.function(lambda x, y: x**y)
    x = tf.constant([2, 3, 1])
    for _ in range(2):
        assert f(x, tf.constant([3, 0, 1])).numpy().tolist() == [8, 1, 1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="negative integer powers"):
        f(x, tf.constant([1, 2, -1]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="negative integer powers"):
        tf.function(lambda x: x**-2)(x)


@configured(25)
@given(
    st.integers(1, 12),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(0, 99),
    st.sampled_from([np.float32, np.float64, np.float16]),
)
def test_the_ctc_loss(frames, batch, classes, width, seed, dtype):
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((frames, batch, classes)) * 3).astype(dtype)
    labels = rng.integers(0, classes, (batch, width)).astype(np.int32)
    lengths = [rng.integers(0, n + 1, batch).astype(np.int32) for n in (width, frames)]
    function = lambda *xs: P.ctc_loss(*xs, blank=seed % classes)  # noqa: E731
    native(lambda *xs: function(*xs)[0], logits, labels, *lengths, rtol=1e-3 if dtype is np.float16 else 1e-6)
    native(function, logits, labels, *lengths, rtol={np.float64: 1e-13, np.float32: 1e-7, np.float16: 1e-3}[dtype])


@pytest.mark.parametrize(
    "labels, label_length, logit_length, words",
    [
        ([[1, 7]], [2], [3], "labels must be in"),
        ([[1, -1]], [2], [3], "labels must be in"),
        ([[1, 2]], [3], [3], "label_length must be in"),
        ([[1, 2]], [2], [9], "logit_length must be in"),
    ],
)
def test_wrong_labels_of_the_ctc_loss_are_errors(labels, label_length, logit_length, words):
    f = tf.function(lambda *xs: P.ctc_loss(*xs, blank=0))
    logits = tf.zeros([3, 1, 4])
    for _ in range(2):
        f(logits, *map(tf.constant, ([[1, 9]], [1], [3])))
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        f(logits, *map(tf.constant, (labels, label_length, logit_length)))


@configured(40)
@given(
    st.integers(1, 9),
    st.integers(1, 7),
    st.sampled_from([1, 3, 17]),
    st.booleans(),
    st.integers(0, 99),
    st.sampled_from(NUMBERS),
)
def test_sparse_tensors(rows, columns, width, transpose, seed, dtype):
    rng = np.random.default_rng(seed)
    places = np.flatnonzero(rng.random(rows * columns) < 0.5)
    if not len(places):
        return
    indices = np.stack(np.unravel_index(places, (rows, columns)), 1)
    values = numbers(len(places), np.dtype(dtype), seed)
    b = numbers((rows if transpose else columns, width), np.dtype(dtype), seed + 1)
    count = columns if transpose else rows
    native(lambda i, v, b: P.sparse_matmul(i, v, b, count=count, transpose=transpose), indices, values, b, within=1)
    native(lambda i, v: P.sparse_to_dense(i, v, v[0], shape=(rows, columns), validate=True), indices, values)
    native(
        lambda i, v: P.sparse_to_dense(i, v, tf.zeros([], v._dtype), shape=(rows, columns), validate=True), indices, values
    )
    native(lambda i: P.sparse_linear(i, shape=(rows, columns)), indices)
    native(lambda x: P.sparse_coordinates(x, shape=(rows, columns)), places)


@pytest.mark.parametrize(
    "indices, words",
    [
        ([[0, 1], [0, 1]], "repeated"),
        ([[1, 1], [0, 2]], "out of order"),
        ([[0, 5], [1, 0]], "out of bounds"),
        ([[0, 0], [-1, 1]], "out of bounds"),
    ],
)
def test_wrong_places_of_sparse_tensors_are_errors(indices, words):
    f = tf.function(lambda i: tf.sparse.to_dense(tf.SparseTensor(i, [1.0, 2.0], [2, 3])) * 2.0)
    good = tf.constant([[0, 1], [1, 2]], tf.int64)
    for _ in range(2):
        np.testing.assert_array_equal(f(good), [[0, 2, 0], [0, 0, 4]])
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        f(tf.constant(indices, tf.int64))


def test_counts_of_a_known_length():
    x = np.array([[3, 0, 9], [1, 3, 3]], np.int32)
    native(lambda x: tf.math.bincount(x, minlength=5, maxlength=5), x)
    native(lambda x: tf.math.bincount(x, minlength=5, maxlength=5, axis=-1, binary_output=True), x)
