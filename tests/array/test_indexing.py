"""`tensor[key]` against NumPy's own indexing, its errors against what TensorFlow says, and the same while tracing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.core.graph import Graph
from tapeflow.core.state import tracing

CUBE = np.arange(30.0).reshape(2, 3, 5)
ONLY = "Only integers, slices"


@st.composite
def keys(draw, shape=CUBE.shape):
    """A key that NumPy accepts for `shape`: indices, slices, new axes and at most one ellipsis."""
    parts = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        ends = st.none() | st.integers(-n - 2, n + 2)
        steps = st.none() | st.integers(-3, 3).filter(bool)
        parts.append(draw(st.integers(-n, n - 1) | st.builds(slice, ends, ends, steps)))
    for extra in (None, Ellipsis):
        if draw(st.booleans()):
            parts.insert(draw(st.integers(0, len(parts))), extra)
    if Ellipsis in parts:  # what stands behind it counts from the end
        behind = [p for p in parts[parts.index(Ellipsis) :] if p is not None and p is not Ellipsis]
        for i, part in enumerate(parts):
            if i > parts.index(Ellipsis) and isinstance(part, int):
                parts[i] = 0
        assert len(behind) <= len(shape)
    return tuple(parts)


@given(keys())
def test_indexing_is_numpys(key):
    np.testing.assert_array_equal(tf.constant(CUBE)[key].numpy(), CUBE[key])


@given(keys())
def test_the_gradient_of_indexing_puts_back_what_was_taken(key):
    x = tf.constant(CUBE)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(x[key] * x[key])
    expected = np.zeros_like(CUBE)
    expected[key] = 2 * CUBE[key]
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), expected)


@given(keys())
def test_indexing_while_tracing_with_unknown_sizes(key):
    graph = Graph()
    with tracing(graph):
        x = graph.placeholder((None, None, None), tf.float64)
        y = x[key]
    (found,) = graph.run([CUBE], [y])
    assert y.shape.is_compatible_with(found.shape)
    np.testing.assert_array_equal(found.numpy(), CUBE[key])


@pytest.mark.parametrize("index", [1, np.int64(1), np.array(1), "tensor", "variable"])
def test_what_counts_as_an_index(index):
    index = {"tensor": tf.constant(1), "variable": tf.Variable(1)}.get(index, index) if isinstance(index, str) else index
    np.testing.assert_array_equal(tf.constant(CUBE)[index].numpy(), CUBE[1])
    np.testing.assert_array_equal(tf.constant(CUBE)[:, index:].numpy(), CUBE[:, 1:])


def test_a_list_counts_as_a_tuple():
    assert tf.constant(CUBE)[[1, 2]].shape == (5,)


@pytest.mark.parametrize("mask", [[True, False], CUBE[..., 0] > 4, CUBE > 4])
def test_boolean_masks(mask):
    mask = np.array(mask)
    for given_mask in (mask, tf.constant(mask)):
        np.testing.assert_array_equal(tf.constant(CUBE)[given_mask].numpy(), CUBE[mask])


@pytest.mark.parametrize(
    "key, error, text",
    [
        (5, tf.errors.InvalidArgumentError, "slice index 5 of dimension 0 out of bounds."),
        (-3, tf.errors.InvalidArgumentError, "slice index -3 of dimension 0 out of bounds."),
        ((0, 1, 2, 3), tf.errors.InvalidArgumentError, "input has only 3 dims"),
        ((..., ...), tf.errors.InvalidArgumentError, "Multiple ellipses in slice spec not allowed"),
        (slice(None, None, 0), tf.errors.InvalidArgumentError, r"strides\[0\] must be non-zero"),
        (1.0, TypeError, ONLY),
        ("a", TypeError, ONLY),
        ({}, TypeError, ONLY),
        (np.array([0, 1]), TypeError, ONLY),
        (np.bool_(True), TypeError, ONLY),
        (slice(1.0, None), TypeError, ONLY),
        (True, ValueError, "mask cannot be scalar"),
        (np.array([True, False, True]), ValueError, "are incompatible"),
    ],
)
def test_errors(key, error, text):
    with pytest.raises(error, match=text):
        tf.constant(CUBE)[key]


@pytest.mark.parametrize("key", [tf.constant([0, 1]), tf.constant(1.0), tf.constant(1, tf.uint8)])
def test_tensors_that_are_no_index(key):
    with pytest.raises(TypeError, match=ONLY):
        tf.constant(CUBE)[key]


def test_a_scalar_has_nothing_to_index():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Attempting to slice scalar input"):
        tf.constant(1.0)[0]
    assert tf.constant(1.0)[...].shape == ()
    assert tf.constant(1.0)[tf.newaxis].shape == (1,)


def test_strings():
    words = tf.constant([["a", "bc"], ["d", "e"]])
    assert words[0, 1].numpy() == b"bc"
    assert words[:, 0].numpy().tolist() == [b"a", b"d"]


def test_an_index_of_each_example():
    x = tf.constant(CUBE)
    picked = tf.vectorized_map(lambda i: x[0, i, 1:], tf.constant([2, 0, -1]))
    np.testing.assert_array_equal(picked.numpy(), CUBE[0][[2, 0, -1], 1:])
