"""Segment reductions, counts and other functions of indices against loops and facts of TensorFlow 2.21."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

Invalid = tf.errors.InvalidArgumentError

nan = np.nan
D = np.arange(12.0, dtype=np.float32).reshape(4, 3) - 5
S = [0, 0, 2, 2]

SORTED = {
    "sum": [[-7, -5, -3], [0, 0, 0], [5, 7, 9]],
    "mean": [[-3.5, -2.5, -1.5], [0, 0, 0], [2.5, 3.5, 4.5]],
    "prod": [[10, 4, 0], [1, 1, 1], [4, 10, 18]],
    "max": [[-2, -1, 0], [0, 0, 0], [4, 5, 6]],
    "min": [[-5, -4, -3], [0, 0, 0], [1, 2, 3]],
}
LOWEST = float(np.finfo(np.float32).min)
UNSORTED = {  # of the ids 1, 0, 1, -1 in 3 segments
    "sum": [[-2, -1, 0], [-4, -2, 0], [0, 0, 0]],
    "mean": [[-2, -1, 0], [-2, -1, 0], [0, 0, 0]],
    "sqrt_n": [[-2, -1, 0], [-2.828427, -1.4142135, 0], [0, 0, 0]],
    "prod": [[-2, -1, 0], [-5, -8, -9], [1, 1, 1]],
    "max": [[-2, -1, 0], [1, 2, 3], [LOWEST] * 3],
    "min": [[-2, -1, 0], [-5, -4, -3], [-LOWEST] * 3],
}


@pytest.mark.parametrize("name", SORTED)
def test_sorted(name):
    np.testing.assert_allclose(getattr(tf.math, f"segment_{name}")(D, S), SORTED[name], rtol=1e-6)


@pytest.mark.parametrize("name", UNSORTED)
def test_unsorted(name):
    function = getattr(tf.math, f"unsorted_segment_{name}")
    np.testing.assert_allclose(function(D, [1, 0, 1, -1], 3), UNSORTED[name], rtol=1e-6)
    np.testing.assert_allclose(function(D, tf.constant([1, 0, 1, -1], tf.int64), tf.constant(3)), UNSORTED[name], rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-1, 4), min_size=0, max_size=7), st.sampled_from([(), (3,), (2, 700)]))
def test_sums_are_loops(ids, rest):
    rng = np.random.default_rng(len(ids))
    data = rng.integers(-9, 9, (len(ids), *rest)).astype(np.float64)
    wanted = np.zeros((5, *rest))
    for i, row in zip(ids, data, strict=True):
        if i >= 0:
            wanted[i] += row
    np.testing.assert_array_equal(tf.math.unsorted_segment_sum(data, tf.constant(ids, tf.int32), 5), wanted)


def test_segments_of_several_dimensions_and_dtypes():
    ids = [[0, 1, 2], [2, 1, 0], [0, 0, 0], [1, 1, 1]]
    assert tf.math.unsorted_segment_sum(D, ids, 3).numpy().tolist() == [1, 10, -5]
    assert tf.math.unsorted_segment_sum(5.0, 1, 3).numpy().tolist() == [0, 5, 0]
    assert tf.math.segment_sum(D[:0], tf.constant([], tf.int32)).shape == (0, 3)
    assert tf.math.segment_mean([1, 2, 4], [0, 0, 0]).numpy().tolist() == [2]
    assert tf.math.unsorted_segment_mean([1, 2], [1, 1], 3).dtype is tf.float64
    assert tf.math.unsorted_segment_max([1, 2], [1, 1], 3).numpy().tolist() == [-(2**31), 2, -(2**31)]
    assert tf.math.unsorted_segment_max(tf.constant([1, 2], tf.bfloat16), [1, 1], 2).dtype is tf.bfloat16
    assert tf.math.segment_mean(tf.constant([1j, 2, 4], tf.complex64), [1, 1, 2]).numpy().tolist() == [0, 1 + 0.5j, 4]


GRADIENTS = [
    (lambda d: tf.math.segment_mean(d, S), [1.0, 1.0, 3.0, 2.0], [0.5, 0.5, 0.5, 0.5]),
    (lambda d: tf.math.segment_max(d, S), [1.0, 1.0, 3.0, 2.0], [0.5, 0.5, 1, 0]),
    (lambda d: tf.math.segment_min(d, S), [1.0, 1.0, 3.0, 2.0], [0.5, 0.5, 0, 1]),
    (lambda d: tf.math.segment_prod(d, S), [1.0, 0.0, 3.0, 2.0], [0, 1, 2, 3]),
    (lambda d: tf.math.unsorted_segment_sum(d, [1, 0, 1, -1], 3) ** 2, [1.0, 5.0, 2.0, 7.0], [6, 10, 6, 0]),
    (lambda d: tf.math.unsorted_segment_sqrt_n(d, [1, 0, 1, -1], 3), [1.0, 5.0, 1.0, 7.0], [0.5**0.5, 1, 0.5**0.5, 0]),
    (lambda d: tf.math.unsorted_segment_max(d, [1, 0, 1, -1], 3), [1.0, 5.0, 1.0, 7.0], [0.5, 1, 0.5, 0]),
    (lambda d: tf.math.unsorted_segment_prod(d, [1, 0, 1, -1], 3), [0.0, 5.0, 2.0, 7.0], [2, 1, 0, 0]),
    (lambda d: tf.math.unsorted_segment_prod(d, [0, 0, 0, 1], 2), [0.0, 0.0, 2.0, 7.0], [0, 0, 0, 1]),
]


@pytest.mark.parametrize("number", range(len(GRADIENTS)))
def test_gradients(number):
    function, x, expected = GRADIENTS[number]
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    np.testing.assert_allclose(tape.gradient(y, x), expected, rtol=1e-6)


def test_bincount():
    assert tf.math.bincount([1, 1, 3]).numpy().tolist() == [0, 2, 0, 1]
    assert tf.math.bincount([1, 1, 3], weights=[0.5, 1.0, 2.0]).numpy().tolist() == [0, 1.5, 0, 2]
    assert tf.math.bincount([1, 1, 3], minlength=6, maxlength=3).numpy().tolist() == [0, 2, 0]
    assert tf.math.bincount([1, 1, 9], minlength=4, maxlength=4).numpy().tolist() == [0, 2, 0, 0]
    assert tf.math.bincount([1, 1, 3], dtype=tf.float32).dtype is tf.float32
    assert tf.math.bincount([[1, 1], [3, 0]]).numpy().tolist() == [1, 2, 0, 1]
    assert tf.math.bincount([[1, 1], [3, 0]], axis=-1).numpy().tolist() == [[0, 2, 0, 0], [1, 0, 0, 1]]
    assert tf.math.bincount([[1, 1], [3, 0]], axis=-1, binary_output=True).numpy().tolist() == [[0, 1, 0, 0], [1, 0, 0, 1]]
    assert tf.math.bincount([[1, 1], [3, 0]], weights=[[1.0, 2.0], [3.0, 4.0]], axis=-1).numpy().tolist() == [
        [0, 3, 0, 0],
        [4, 0, 0, 3],
    ]
    assert tf.math.bincount([], minlength=2).numpy().tolist() == [0, 0]
    assert tf.math.bincount(3).numpy().tolist() == [0, 0, 0, 1]


def test_confusion_matrix():
    assert tf.math.confusion_matrix([1, 2, 4], [2, 2, 4]).numpy()[[1, 2, 4], [2, 2, 4]].tolist() == [1, 1, 1]
    assert tf.math.confusion_matrix([0, 1], [1, 1], num_classes=3).shape == (3, 3)
    weighted = tf.math.confusion_matrix([[0], [1]], [1, 1], weights=[1.0, 0.5], dtype=tf.float32)
    assert weighted.numpy().tolist() == [[0, 1], [0, 0.5]]
    assert tf.math.confusion_matrix([0, 1], [1, 1], weights=[1.0, 0.5]).numpy().tolist() == [[0, 1], [0, 0]]


def test_in_top_k():
    scores = [[0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [nan, 0.2, 0.3], [np.inf, 1, 2], [0.5, 0.5, 0.5]]
    assert tf.math.in_top_k([1, 0, 1, 1, 2], scores, 1).numpy().tolist() == [True, False, False, False, True]
    assert tf.math.in_top_k([1, 0, 1, 1, 7], scores, 2).numpy().tolist() == [True, True, False, False, False]
    assert tf.math.in_top_k([1, 0, 1, 1, -1], scores, 0).numpy().tolist() == [False] * 5


ERRORS = [
    (lambda: tf.math.segment_sum(D, [0, 0, 2, 1]), Invalid, "segment ids are not increasing"),
    (lambda: tf.math.segment_max(D, [-1, 0, 2, 3]), Invalid, "Segment id -1 out of range"),
    (lambda: tf.math.segment_sum(D, [0, 1, 2]), Invalid, "same size as dimension 0 of input"),
    (lambda: tf.math.segment_sum(D, [[0, 1, 2, 3]]), Invalid, "segment_ids should be a vector"),
    (lambda: tf.math.unsorted_segment_sum(D, [1, 0, 3, -1], 3), Invalid,
     r"segment_ids\[2\] = 3 is out of range \[0, 3\)"),
    (lambda: tf.math.unsorted_segment_sum(D, [1, 0], 3), Invalid,
     r"data.shape = \[4, ?3\] does not start with segment_ids.shape = \[2\]"),
    (lambda: tf.math.unsorted_segment_max(D, S, -1), Invalid, "num_segments == -1 must not be negative"),
    (lambda: tf.math.unsorted_segment_sum(D, S, [3]), Invalid, r"should be a scalar, not shape \[1\]"),
    (lambda: tf.math.bincount([-1, 1]), Invalid, "Input arr must be non-negative!"),
    (lambda: tf.math.bincount([1, 2], weights=[1.0]), Invalid, "must be the same shape as `arr`"),
    (lambda: tf.math.bincount([[1]], axis=1), ValueError, "Unsupported value for argument axis=1"),
    (lambda: tf.math.confusion_matrix([1, 4], [2, 2], num_classes=3), Invalid, "`labels` out of bound"),
    (lambda: tf.math.confusion_matrix([1, 2], [2, -2]), Invalid, "`predictions` contains negative values"),
    (lambda: tf.math.confusion_matrix([1, 2], [1, 2], weights=[1.0]), ValueError, "incompatible"),
    (lambda: tf.math.in_top_k([1, 0], [[1.0, 2.0]], 1), Invalid, "must match length of targets 2"),
    (lambda: tf.math.invert_permutation([2, 0, 0]), Invalid, "0 is duplicated in the input"),
    (lambda: tf.math.invert_permutation([3, 0, 1]), Invalid, "3 is not between 0 and 3"),
    (lambda: tf.math.invert_permutation([[0, 1]]), Invalid, "expects a 1D vector"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, error, words = ERRORS[number]
    with pytest.raises(error, match=words):
        call()
