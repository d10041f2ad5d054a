"""Lists as values: versions, and derivatives of what is written and read against the same computed without a list."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.base.dtypes import float64
from tapeflow.core.primitive import P
from tapeflow.core.tensor_list import TensorList

ROWS = np.array([[1.0, 2.0, 3.0], [5.0, 7.0, 11.0]])
DIMS = (3,)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3), st.integers())))
def test_versions_stay_as_they_were(steps):
    """Any version may be written from and read at any time."""
    versions = [(TensorList([None], float64), [None])]
    for source, index, value in steps:
        versioned, plain = versions[source % len(versions)]
        plain = [*plain, *[None] * (index - len(plain))]
        plain = [*plain[:index], value, *plain[index + 1 :]]
        versions.append((versioned.set(index, value), plain))
    for versioned, plain in reversed(versions):
        assert versioned.items() == plain


def number(n):
    return tf.constant(n, tf.int32)


def through_lists(x):
    rows = P.list_from(x)
    first = P.list_get(rows, number(0), dims=DIMS)
    rows = P.list_set(rows, number(1), first * first, grows=False)
    rows = P.list_set(rows, number(2), P.list_get(rows, number(1), dims=DIMS) * x[1], grows=True)
    rows = P.list_cleared(P.list_padded(rows, number(3)), number(0))
    stacked = P.list_stack(rows, dims=DIMS, count=None)
    joined, _ = P.list_concat(P.list_split(x[1] * x[0], tf.constant([1, 2], tf.int64)), dims=(None,))
    return tf.reduce_sum(stacked * stacked) + tf.reduce_sum(joined * joined * joined)


def without(x):
    square = x[0] * x[0]
    return tf.reduce_sum(square**2 + (square * x[1]) ** 2) + tf.reduce_sum((x[0] * x[1]) ** 3)


def test_derivatives():
    x, tangent = tf.constant(ROWS), tf.constant(ROWS[::-1] / 7)
    found = {}
    for function in (through_lists, without):
        with tf.autodiff.ForwardAccumulator(x, tangent) as accumulator, tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(x)
            g = tape.gradient(y, x)
        found[function] = [y, g, accumulator.jvp(y), accumulator.jvp(g), outer.gradient(g, x)]
    for a, b in zip(found[through_lists], found[without], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_errors_and_zeros():
    rows = P.list_reserve(number(2), dtype=float64)
    assert P.list_get(rows, number(1), dims=(2,)).numpy().tolist() == [0.0, 0.0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="uninitialized tensor"):
        P.list_get(rows, number(1), dims=None)
    with pytest.raises(tf.errors.OutOfRangeError, match="index 2 but array size is: 2"):
        P.list_get(rows, number(2), dims=())
    with pytest.raises(tf.errors.OutOfRangeError, match="index 5 but array is not resizeable and size is: 2"):
        P.list_set(rows, number(5), tf.constant(1.0, tf.float64), grows=False)
    rows = P.list_set(P.list_from(tf.constant(ROWS)), number(0), tf.constant([1.0], tf.float64), grows=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="different shapes"):
        P.list_stack(rows, dims=None, count=None)
