"""Sorting and searching against NumPy, with TensorFlow's order of equal elements and its errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

Invalid = tf.errors.InvalidArgumentError
dtypes = st.sampled_from(["int8", "uint8", "int32", "int64", "float32", "float64"])


@settings(max_examples=60)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), dtypes, st.booleans(), st.data())
def test_sort_and_argsort(dims, dtype, down, data):
    x = np.random.default_rng(0).integers(0, 5, dims).astype(dtype)
    axis = data.draw(st.integers(-len(dims), len(dims) - 1))
    direction = "DESCENDING" if down else "ASCENDING"
    sorted_up = np.sort(x, axis)
    np.testing.assert_array_equal(tf.sort(x, axis, direction).numpy(), np.flip(sorted_up, axis) if down else sorted_up)
    order = np.argsort(-x.astype(np.int64) if down else x, axis, kind="stable")
    found = tf.argsort(x, axis, direction)
    assert found.dtype is tf.int32
    np.testing.assert_array_equal(found.numpy(), order)


@settings(max_examples=60)
@given(st.integers(0, 3), st.integers(1, 600), st.booleans(), st.data())
def test_top_k(rows, size, distinct, data):
    """The lower index comes first among equal elements, also where the rest is not sorted."""
    rng = np.random.default_rng(size)
    x = rng.permuted(np.tile(np.arange(size), (rows, 1)), axis=1) if distinct else rng.integers(0, size, (rows, size))
    k = data.draw(st.integers(0, size))
    order = np.argsort(-x, axis=-1, kind="stable")[:, :k]
    values, indices = tf.math.top_k(x.astype(np.int32), k)
    np.testing.assert_array_equal(indices.numpy(), order)
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, order, -1))


def test_the_gradients_of_sort_and_top_k_go_where_the_elements_came_from():
    x = tf.constant([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ordered = tf.sort(x) * [1.0, 2.0, 3.0]
        largest = tf.math.top_k(x, 2).values * [10.0, 20.0]
        down = tf.sort(x, axis=0, direction="DESCENDING") * [[1.0], [2.0]]
    assert tape.gradient(ordered, x).numpy().tolist() == [[3.0, 1.0, 2.0], [1.0, 3.0, 2.0]]
    assert tape.gradient(largest, x).numpy().tolist() == [[10.0, 0.0, 20.0], [0.0, 10.0, 20.0]]
    assert tape.gradient(down, x).numpy().tolist() == [[2.0, 2.0, 2.0], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_nan_is_sorted_above_all_numbers(dtype):
    x = tf.cast([3, np.nan, 1, -2, np.nan, 0, np.inf, -np.inf] * 50, dtype)
    largest = np.sort(tf.cast(x, tf.float64).numpy())[::-1]  # NumPy's order of float64
    for function in (
        lambda x: tf.sort(x, direction="DESCENDING"),
        lambda x: tf.sort(x)[::-1],
        lambda x: tf.gather(x, tf.argsort(x, direction="DESCENDING")),
        lambda x: tf.math.top_k(x, 120).values,
        lambda x: tf.math.top_k(x, 20).values,
    ):
        for run in (function, tf.function(function)):
            found = tf.cast(run(x), tf.float64).numpy()
            np.testing.assert_array_equal(found, largest[: len(found)])


def test_argmax_passes_over_nan():
    assert tf.argmax([[1.0, 9.0], [5.0, 2.0]]).numpy().tolist() == [1, 0]
    assert tf.argmin([[1.0, 9.0], [5.0, 2.0]], axis=-1, output_type=tf.int32).numpy().tolist() == [0, 1]
    assert tf.argmax([1.0, float("nan"), 2.0]).numpy() == 2
    assert tf.argmin([float("nan"), 1.0]).numpy() == 1
    assert tf.argmax([3, 7, 7]).numpy() == 1
    assert tf.argmax(tf.zeros([0, 3]), 1).shape == (0,)


@settings(max_examples=40)
@given(st.lists(st.integers(-3, 3), max_size=8))
def test_unique_keeps_the_order_of_appearance(values):
    x = np.array(values, np.int32)
    y, idx, count = tf.unique_with_counts(x)
    assert y.numpy().tolist() == list(dict.fromkeys(values))
    np.testing.assert_array_equal(y.numpy()[idx.numpy()], x)
    assert count.numpy().tolist() == [values.count(v) for v in dict.fromkeys(values)]


def test_unique_of_other_dtypes():
    assert tf.unique(["b", "a", "b"]).y.numpy().tolist() == [b"b", b"a"]
    nans = tf.unique([1.5, float("nan"), 1.5, float("nan")])
    assert nans.idx.numpy().tolist() == [0, 1, 0, 2]
    assert tf.unique([1], tf.int64).idx.dtype is tf.int64


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side):
    rows = np.array([[1.0, 3.0, 5.0], [2.0, 2.0, 6.0]])
    values = np.array([[0.0, 3.0], [2.0, 7.0]])
    found = tf.searchsorted(rows, values, side=side)
    expected = [np.searchsorted(a, b, side) for a, b in zip(rows, values, strict=True)]
    assert found.numpy().tolist() == np.array(expected).tolist()


def test_histograms():
    values = [-1.0, 0.0, 1.5, 2.0, 5.0, 15.0]
    assert tf.histogram_fixed_width_bins(values, [0.0, 5.0], nbins=5).numpy().tolist() == [0, 0, 1, 2, 4, 4]
    assert tf.histogram_fixed_width(values, [0.0, 5.0], nbins=5).numpy().tolist() == [2, 1, 1, 0, 2]


def test_unravel_index():
    flat = np.arange(12)
    found = tf.unravel_index(flat, tf.constant([3, 4], tf.int64))
    np.testing.assert_array_equal(found.numpy(), np.array(np.unravel_index(flat, (3, 4))))


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: tf.sort([1, 2], direction="UP"), ValueError, "one of ASCENDING, DESCENDING. Received: direction=UP"),
        (lambda: tf.sort(["a"]), Invalid, "not in the list of allowed values"),
        (lambda: tf.argsort([1, 2], axis=1), Invalid, "axis|dimension"),
        (lambda: tf.math.top_k([1, 2], 3), Invalid, "must have at least k columns. Had 2, needed 3"),
        (lambda: tf.math.top_k([1, 2], -1), Invalid, "Need k >= 0, got -1"),
        (lambda: tf.math.top_k(1), Invalid, r"input must be >= 1-D, got shape \[\]"),
        (lambda: tf.argmax([1, 2], axis=1), Invalid, r"Expected dimension in the range \[-1, 1\), but got 1"),
        (lambda: tf.argmax(tf.zeros([0, 3])), Invalid, "Reduction axis 0 is empty in shape"),
        (lambda: tf.argmax([1.0], output_type=tf.float32), Invalid, "not in the list of allowed values"),
        (lambda: tf.unique([[1, 2]]), Invalid, "unique expects a 1D vector"),
        (lambda: tf.searchsorted([1], [1], side="foo"), ValueError, "must be either 'right' or 'left'"),
        (lambda: tf.searchsorted([1], [1.5]), Invalid, "expected to be a int32 tensor"),
        (lambda: tf.searchsorted([[1, 3]], [[1], [2]]), Invalid, "Leading dim_size of both tensors must match"),
        (lambda: tf.unravel_index([9], [3, 3]), Invalid, "index is out of bound"),
        (lambda: tf.histogram_fixed_width([1.0], [5.0, 5.0]), Invalid, r"value_range\[0\] < value_range\[1\]"),
        (lambda: tf.histogram_fixed_width([1.0], [0.0, 5.0], nbins=0), Invalid, "nbins should be a positive number"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
