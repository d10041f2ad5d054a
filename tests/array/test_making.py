"""Constants, ranges, grids and masks against NumPy, with TensorFlow's dtypes and errors."""

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core.graph import Graph
from tapeflow.core.state import tracing

Invalid = tf.errors.InvalidArgumentError


@pytest.mark.parametrize(
    "found, dtype, expected",
    [
        (lambda: tf.zeros([2, 1]), tf.float32, [[0.0], [0.0]]),
        (lambda: tf.zeros([2], tf.string), tf.string, [b"", b""]),
        (lambda: tf.ones((), tf.bool), tf.bool, True),
        (lambda: tf.ones([tf.constant(2)], "int8"), tf.int8, [1, 1]),
        (lambda: tf.fill([2], "a"), tf.string, [b"a", b"a"]),
        (lambda: tf.fill([1], np.float64(3)), tf.float64, [3.0]),
        (lambda: tf.ones_like([1.5], tf.int64), tf.int64, [1]),
        (lambda: tf.eye(2, 3, [1], tf.int32), tf.int32, [[[1, 0, 0], [0, 1, 0]]]),
        (lambda: tf.range(5, 0, -2), tf.int32, [5, 3, 1]),
        (lambda: tf.range(2.5, 5), tf.float32, [2.5, 3.5, 4.5]),
        (lambda: tf.range(0, 1, 0.25), tf.float32, [0.0, 0.25, 0.5, 0.75]),
        (lambda: tf.range(tf.constant(3, tf.int64)), tf.int64, [0, 1, 2]),
        (lambda: tf.range(0, 10**12, 3 * 10**11), tf.int64, [0, 3 * 10**11, 6 * 10**11, 9 * 10**11]),
        (lambda: tf.range(3, dtype=tf.float64), tf.float64, [0.0, 1.0, 2.0]),
        (lambda: tf.linspace(0, 10, 5), tf.float64, [0.0, 2.5, 5.0, 7.5, 10.0]),
        (lambda: tf.linspace(0.0, 1.0, 1), tf.float32, [0.0]),
        (lambda: tf.linspace([0.0, 1.0], [2.0, 5.0], 3, axis=-1), tf.float32, [[0.0, 1.0, 2.0], [1.0, 3.0, 5.0]]),
        (lambda: tf.one_hot([0, 2, -1], 3), tf.float32, [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]),
        (lambda: tf.one_hot([0, 2], 3, axis=0, dtype=tf.int64), tf.int64, [[1, 0], [0, 0], [0, 1]]),
        (lambda: tf.one_hot([0, 5], 2, on_value=5, off_value=-1), tf.int32, [[5, -1], [-1, -1]]),
        (lambda: tf.one_hot([1], 2, on_value="a", off_value="b"), tf.string, [[b"b", b"a"]]),
        (lambda: tf.one_hot(tf.constant([200], tf.uint8), 300)[0, 200], tf.float32, 1.0),
        (lambda: tf.one_hot([], 2), tf.float32, np.zeros((0, 2)).tolist()),
        (lambda: tf.sequence_mask([1, 3, 0], 2, tf.int32), tf.int32, [[1, 0], [1, 1], [0, 0]]),
        (lambda: tf.sequence_mask([[1], [2]]), tf.bool, [[[True, False]], [[True, True]]]),
        (lambda: tf.broadcast_dynamic_shape([2, 1], [3]), tf.int32, [2, 3]),
    ],
)
def test_values(found, dtype, expected):
    found = found()
    assert found.dtype is dtype
    assert found.numpy().tolist() == expected if found.shape.rank else found.numpy() == expected


@pytest.mark.parametrize("indexing", ["xy", "ij"])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_meshgrid(indexing, count):
    vectors = [np.arange(n) for n in (2, 3, 5)][:count]
    for ours, numpys in zip(tf.meshgrid(*vectors, indexing=indexing), np.meshgrid(*vectors, indexing=indexing), strict=True):
        np.testing.assert_array_equal(ours.numpy(), numpys)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: tf.range(3, 0), Invalid, "Requires start <= limit when delta > 0: 3/0"),
        (lambda: tf.range(0, 3, -1), Invalid, "Requires start >= limit when delta < 0: 0/3"),
        (lambda: tf.range(0, 3, 0), Invalid, "Requires delta != 0"),
        (lambda: tf.range([1, 2]), Invalid, "limit must be a scalar"),
        (lambda: tf.linspace(0.0, 1.0, 3.5), TypeError, "must be of type integer"),
        (lambda: tf.linspace(0.0, 1.0, -2), Invalid, "num"),
        (lambda: tf.eye(-1), Invalid, "Dimension -1 must be >= 0"),
        (lambda: tf.one_hot([0], -1), Invalid, "depth must be non-negative, got: -1"),
        (lambda: tf.one_hot([0.5], 1), Invalid, "not in the list of allowed values"),
        (lambda: tf.one_hot([0], 3, axis=2), Invalid, r"Expected axis to be -1 or between \[0, 2\)"),
        (lambda: tf.one_hot([0], 3, on_value=1.0, off_value=0), TypeError, "does not match dtype"),
        (lambda: tf.meshgrid([1], indexing="zz"), ValueError, "must be either 'xy' or 'ij', got 'zz'"),
        (lambda: tf.meshgrid([1], foo=1), TypeError, "'foo' is an invalid keyword"),
        (lambda: tf.sequence_mask([1], tf.constant([4])), ValueError, "`maxlen` must be scalar"),
        (lambda: tf.ones([2], tf.string), TypeError, "Cannot convert 1"),
        (lambda: tf.broadcast_dynamic_shape([2, 2], [3]), Invalid, r"Incompatible shapes: \[2,2\] vs. \[3\]"),
        (
            lambda: tf.broadcast_static_shape(tf.TensorShape([2]), tf.TensorShape([3])),
            ValueError,
            "Incompatible shapes",
        ),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    "function, value",
    [
        (lambda n: tf.zeros([n, 3]), 2),
        (lambda n: tf.fill(tf.stack([n, 3]), 2.5), 2),
        (lambda n: tf.eye(n, 3), 2),
        (lambda n: tf.range(1, n, 2), 6),
        (lambda n: tf.linspace(0.0, 1.0, n), 4),
        (lambda n: tf.one_hot([2, 0], n, axis=0), 3),
        (lambda n: tf.sequence_mask([1, 3], n), 4),
        (lambda n: tf.broadcast_to(7, [n, n]), 3),
    ],
)
def test_sizes_that_are_only_known_when_the_graph_runs(function, value):
    graph = Graph()
    with tracing(graph):
        out = function(graph.placeholder((), tf.int32))
    (found,) = graph.run([np.int32(value)], [out])
    expected = function(tf.constant(value))
    assert out.shape.is_compatible_with(expected.shape)
    assert found.dtype is expected.dtype
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_fill_and_linspace_are_differentiable():
    low, high = tf.constant(1.0), tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([low, high])
        filled = tf.fill([2, 3], low)
        line = tf.linspace(low, high, 5) * [0.0, 1.0, 2.0, 3.0, 4.0]
    assert tape.gradient(filled, low).numpy() == 6
    assert [g.numpy() for g in tape.gradient(line, [low, high])] == [2.5, 7.5]


def test_identity_is_a_tensor_of_its_own():
    x = tf.constant([1.0])
    assert tf.identity(x) is not x
    assert [y.dtype for y in tf.identity_n([x, 2])] == [tf.float32, tf.int32]


def test_is_tensor():
    slices = tf.IndexedSlices(tf.zeros([1, 2]), tf.constant([0]))
    assert all(tf.is_tensor(x) for x in (tf.constant(1), tf.Variable(1), slices))
    assert not any(tf.is_tensor(x) for x in (1, np.zeros(2), [tf.constant(1)], "a"))


def test_static_values():
    assert tf.get_static_value(tf.constant(3)) == 3
    assert tf.get_static_value(tf.constant("a")) == b"a"
    assert tf.get_static_value(tf.Variable(3)) is None


@pytest.mark.parametrize(
    "start, limit, dtype",
    [
        ("float16", "float32", tf.float32),
        ("float64", "bfloat16", tf.float64),
        ("float16", "bfloat16", tf.bfloat16),
        ("int64", "float16", tf.float16),
        ("int32", "int64", tf.int64),
    ],
)
def test_the_dtype_of_a_range_is_the_widest_that_occurs(start, limit, dtype):
    found = tf.range(tf.constant(0, start), tf.constant(3, limit))
    assert found.dtype is dtype and found.shape == (3,)
    assert tf.range(tf.constant(0, tf.float16), 0.5).dtype is tf.float32  # a Python float is one of float32
