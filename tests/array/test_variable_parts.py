"""Variables changed in part: slices, scatter updates, counters; what was read before never changes."""

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core.graph import Graph
from tapeflow.core.state import tracing

Invalid = tf.errors.InvalidArgumentError


def slices(values, indices):
    return tf.IndexedSlices(tf.constant(values), tf.constant(indices))


@pytest.mark.parametrize(
    "key, value",
    [
        (1, [9.0, 8.0, 7.0]),
        ((1, 2), 9),
        (slice(None), 5.0),
        ((slice(None), 1), [9.0, 8.0]),
        ((..., slice(None, None, -2)), [[1.0, 2.0], [3.0, 4.0]]),
        ((slice(None), None, 0), [[9.0], [8.0]]),
        ((tf.constant(1), slice(tf.constant(1), None)), [4.0]),
    ],
)
def test_assigning_a_slice(key, value):
    v = tf.Variable(np.arange(6.0).reshape(2, 3))
    before = v.value()
    result = v[key].assign(value)
    expected = np.arange(6.0).reshape(2, 3)
    plain = tuple(_plain(part) for part in key) if isinstance(key, tuple) else key
    expected[plain] = value
    np.testing.assert_array_equal(v.numpy(), expected)
    np.testing.assert_array_equal(before.numpy(), np.arange(6.0).reshape(2, 3))
    assert result is v


def _plain(part):
    if isinstance(part, slice):
        return slice(*[int(n) if isinstance(n, tf.Tensor) else n for n in (part.start, part.stop, part.step)])
    return int(part) if isinstance(part, tf.Tensor) else part


def test_a_slice_read_before_keeps_its_values():
    v = tf.Variable([1.0, 2.0, 3.0])
    part = v[1:]
    v[1:].assign([8.0, 9.0])
    v.scatter_add(slices([10.0], [0]))
    assert part.numpy().tolist() == [2.0, 3.0]
    assert v.numpy().tolist() == [11.0, 8.0, 9.0]


def test_scatters_work_in_place_where_nobody_reads():
    v = tf.Variable(tf.zeros([1000, 64]))
    v.scatter_add(slices(np.ones((1, 64), np.float32), [3]))
    buffer = v._tensor._value
    address = buffer.ctypes.data
    del buffer
    v.scatter_add(slices(np.ones((1, 64), np.float32), [3]))
    v[5].assign(tf.ones([64]))
    assert v._tensor._value.ctypes.data == address
    assert v.numpy().sum() == 3 * 64


SCATTERS = {
    "add": [1.0, 9.0, 3.0, 24.0],
    "sub": [1.0, -5.0, 3.0, -16.0],
    "mul": [1.0, -60.0, 3.0, 80.0],
    "div": [1.0, 2 / -30, 3.0, 0.2],
    "min": [1.0, -3.0, 3.0, 4.0],
    "max": [1.0, 10.0, 3.0, 20.0],
    "update": [1.0, -3.0, 3.0, 20.0],
}


@pytest.mark.parametrize("name", SCATTERS)
def test_scatters(name):
    v = tf.Variable([1.0, 2.0, 3.0, 4.0])
    assert getattr(v, f"scatter_{name}")(slices([10.0, 20.0, -3.0], [1, 3, 1])) is v
    np.testing.assert_allclose(v.numpy(), SCATTERS[name], rtol=1e-6)
    if name not in ("mul", "div"):
        v = tf.Variable([1.0, 2.0, 3.0, 4.0])
        getattr(v, f"scatter_nd_{name}")([[1], [3], [1]], [10.0, 20.0, -3.0])
        np.testing.assert_allclose(v.numpy(), SCATTERS[name], rtol=1e-6)


def test_scatters_into_rows_and_coordinates():
    v = tf.Variable([[1, 2], [3, 4]])
    v.scatter_add(slices([[10, 20]], [1])).scatter_nd_update([[0, 1]], [7])
    assert v.numpy().tolist() == [[1, 7], [13, 24]]
    v.scatter_div(slices([[-10, 5]], [1]))
    assert v.numpy().tolist() == [[1, 7], [-1, 4]]
    v.batch_scatter_update(slices([[0], [9]], [[1], [0]]))
    assert v.numpy().tolist() == [[1, 0], [9, 4]]


def test_a_transposed_value_is_scattered_into():
    v = tf.Variable(np.arange(6.0).reshape(2, 3))
    v.assign(tf.transpose(tf.reshape(tf.range(6, dtype=tf.float64), [3, 2])) + 0.0)
    v.scatter_nd_add([[1, 2]], [100.0])
    assert v.numpy().tolist() == [[0.0, 2.0, 4.0], [1.0, 3.0, 105.0]]


def test_reading_rows():
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    assert v.sparse_read([1]).numpy().tolist() == [[3.0, 4.0]]
    assert v.gather_nd([[1, 0]]).numpy().tolist() == [3.0]
    with tf.GradientTape() as tape:
        y = v.sparse_read([1, 1])
    assert tape.gradient(y, v).indices.numpy().tolist() == [1, 1]


def test_count_up_to():
    v = tf.Variable(0)
    assert [v.count_up_to(2).numpy() for _ in range(2)] == [0, 1]
    with pytest.raises(tf.errors.OutOfRangeError, match="Reached limit of 2"):
        v.count_up_to(2)


def test_traced_updates_happen_when_the_graph_runs():
    v = tf.Variable([1.0, 2.0, 3.0])
    graph = Graph()
    with tracing(graph):
        i = graph.placeholder((), tf.int32)
        v[i:].assign([9.0])
        v.scatter_add(tf.IndexedSlices(tf.constant([5.0]), tf.reshape(i, [1])))
        out = v.value()
    assert v._tensor.numpy().tolist() == [1.0, 2.0, 3.0]
    (found,) = graph.run([np.int32(2)], [out])
    assert found.numpy().tolist() == [1.0, 2.0, 14.0]


@pytest.mark.parametrize(
    "call, error, text",
    [
        (
            lambda v: v[1:].assign([1.0, 2.0, 3.0]),
            Invalid,
            r"Cannot broadcast input shape \[3\] into final shape \[2\]",
        ),
        (lambda v: v[7], Invalid, "slice index 7 of dimension 0 out of bounds."),
        (lambda v: v[0].assign(tf.constant(1)), ValueError, "conversion requested dtype float32"),
        (lambda v: v.scatter_add([1]), TypeError, "must be a `tf.IndexedSlices`"),
        (lambda v: v.scatter_add(slices([1.0], [3])), Invalid, r"indices\[0\] = 3 is not in \[0, 3\)"),
        (lambda v: v.scatter_add(slices([[1.0]], [0])), Invalid, "Must have updates.shape = indices.shape"),
        (lambda v: v.scatter_add(slices([1], [0])), ValueError, "conversion requested dtype float32"),
        (lambda v: v.scatter_add(slices([1.0], [0.0])), Invalid, "not in the list of allowed values"),
        (lambda v: v.scatter_nd_add([[3]], [1.0]), Invalid, r"indices\[0\] = \[3\] does not index into shape \[3\]"),
        (lambda v: v.scatter_nd_add([[1]], [1.0, 2.0]), Invalid, r"Dimensions \[0,1\) of indices"),
        (lambda v: v.count_up_to(3), Invalid, "not in the list of allowed values"),
    ],
)
def test_errors_change_nothing(call, error, text):
    v = tf.Variable([1.0, 2.0, 3.0])
    with pytest.raises(error, match=text):
        call(v)
    assert v.numpy().tolist() == [1.0, 2.0, 3.0]
