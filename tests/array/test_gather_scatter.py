"""Picking and placing by index against NumPy; gradients against finite differences by the registry's checks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

MATRIX = np.arange(12.0).reshape(3, 4)
CUBE = np.arange(60.0).reshape(3, 4, 5)
Invalid = tf.errors.InvalidArgumentError


def reference_gather(params, indices, axis, batch_dims):
    """tf.gather by its definition, one element at a time."""
    shape = params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis + 1 :]
    result = np.empty(shape, params.dtype)
    inner = indices.ndim - batch_dims
    for at in np.ndindex(shape):
        picked = indices[at[:batch_dims] + at[axis : axis + inner]]
        result[at] = params[(*at[:axis], picked, *at[axis + inner :])]
    return result


@settings(max_examples=60)
@given(st.data())
def test_gather(data):
    params = np.random.default_rng(0).normal(size=data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    batch_dims = data.draw(st.integers(0, params.ndim - 1))
    axis = data.draw(st.integers(batch_dims, params.ndim - 1))
    dims = params.shape[:batch_dims] + tuple(data.draw(st.lists(st.integers(0, 3), max_size=2)))
    indices = np.random.default_rng(1).integers(0, params.shape[axis], dims)
    found = tf.gather(params, indices, axis=axis, batch_dims=batch_dims).numpy()
    np.testing.assert_array_equal(found, reference_gather(params, indices, axis, batch_dims))


@settings(max_examples=60)
@given(st.data())
def test_gather_nd_and_scatter_nd(data):
    rng = np.random.default_rng(0)
    dims = tuple(data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=4)))
    batch_dims = data.draw(st.integers(0, len(dims) - 1))
    depth = data.draw(st.integers(0, len(dims) - batch_dims))
    outer = dims[:batch_dims] + tuple(data.draw(st.lists(st.integers(0, 3), max_size=2)))
    indices = np.empty((*outer, depth), np.int32)
    for i in range(depth):
        indices[..., i] = rng.integers(0, dims[batch_dims + i], outer)
    params = rng.normal(size=dims)
    found = tf.gather_nd(params, indices, batch_dims=batch_dims).numpy()
    assert found.shape == outer + dims[batch_dims + depth :]
    for at in np.ndindex(outer):
        np.testing.assert_array_equal(found[at], params[at[:batch_dims] + tuple(indices[at])])
    if batch_dims == 0:
        expected = np.zeros(dims)
        for at in np.ndindex(outer):
            expected[tuple(indices[at])] += found[at]
        np.testing.assert_allclose(tf.scatter_nd(indices, found, dims).numpy(), expected)


@pytest.mark.parametrize("name, function", [("add", np.add), ("sub", np.subtract), ("min", np.minimum), ("max", np.maximum)])
@pytest.mark.parametrize("width", [1, 3, 1000])
def test_tensor_scatter(name, function, width):
    rng = np.random.default_rng(0)
    tensor, updates = rng.normal(size=(7, width)), rng.normal(size=(20, width))
    rows = rng.integers(0, 7, 20)
    expected = tensor.copy()
    for row, update in zip(rows, updates, strict=True):
        expected[row] = function(expected[row], update)
    scatter = getattr(tf, f"tensor_scatter_nd_{name}")
    np.testing.assert_allclose(scatter(tensor, rows[:, None], updates).numpy(), expected)


def test_tensor_scatter_update():
    found = tf.tensor_scatter_nd_update(MATRIX, [[0, 1], [2, 2]], [-1.0, -2.0]).numpy()
    expected = MATRIX.copy()
    expected[0, 1], expected[2, 2] = -1, -2
    np.testing.assert_array_equal(found, expected)
    assert tf.tensor_scatter_nd_update(["a", "b"], [[1]], ["z"]).numpy().tolist() == [b"a", b"z"]


def test_wrong_coordinates_can_be_ignored():
    assert tf.gather_nd(MATRIX, [[0, 1], [9, 0]], bad_indices_policy="IGNORE").numpy().tolist() == [1.0, 0.0]
    assert tf.scatter_nd([[1], [9]], [5, 6], [3], bad_indices_policy="IGNORE").numpy().tolist() == [0, 5, 0]


def test_the_gradient_of_gather_is_indexed_slices():
    x = tf.Variable(MATRIX)
    with tf.GradientTape(persistent=True) as tape:
        rows = tf.gather(x, [[0, 2], [0, 0]])
        columns = tf.gather(x, [0, 2, 0], axis=1)
        coordinates = tf.gather_nd(x, [[2], [0]])
        twice = tf.gather(x, [0]) + tf.gather(x, [1])
        mixed = tf.reduce_sum(rows) + tf.reduce_sum(x)
        copied = tf.gather(x.value(), [1])
    slices = tape.gradient(rows, x)
    assert isinstance(slices, tf.IndexedSlices)
    assert slices.indices.numpy().tolist() == [0, 2, 0, 0]
    assert slices.dense_shape.numpy().tolist() == [3, 4]
    assert tf.convert_to_tensor(slices).numpy().tolist() == [[3.0] * 4, [0.0] * 4, [1.0] * 4]
    assert tape.gradient(columns, x).numpy().tolist() == [[2.0, 0.0, 1.0, 0.0]] * 3
    assert tape.gradient(coordinates, x).indices.numpy().tolist() == [2, 0]
    assert tape.gradient(twice, x).indices.numpy().tolist() == [0, 1]
    assert tape.gradient(mixed, x).numpy().tolist() == [[4.0] * 4, [1.0] * 4, [2.0] * 4]
    assert isinstance(tape.gradient(copied, x), tf.IndexedSlices)


def test_equal_extremes_share_the_gradient():
    tensor, updates = tf.zeros([3]), tf.constant([0.0, 1.0, 0.0])
    with tf.GradientTape() as tape:
        tape.watch([tensor, updates])
        y = tf.tensor_scatter_nd_max(tensor, [[0], [2], [0]], updates)
    tensor_gradient, update_gradient = tape.gradient(y, [tensor, updates])
    np.testing.assert_allclose(tensor_gradient.numpy(), [1 / 3, 1, 0])
    np.testing.assert_allclose(update_gradient.numpy(), [1 / 3, 1, 1 / 3])


def test_where():
    chosen = tf.where(MATRIX > 5, MATRIX, 0)
    np.testing.assert_array_equal(chosen.numpy(), np.where(MATRIX > 5, MATRIX, 0))
    np.testing.assert_array_equal(tf.where(MATRIX > 5).numpy(), np.argwhere(MATRIX > 5))
    assert tf.where([True, False], 1.0, 0).dtype is tf.float32
    assert tf.where([[True], [False]], [1, 2], [3]).numpy().tolist() == [[1, 2], [3, 3]]


def test_dynamic_partition_and_stitch_are_inverse():
    partitions = [2, 0, 2, 1, 0]
    data = np.random.default_rng(0).normal(size=(5, 3))
    x = tf.constant(data)
    with tf.GradientTape() as tape:
        tape.watch(x)
        parts = tf.dynamic_partition(x, partitions, 4)
        y = tf.add_n([i * tf.reduce_sum(part) for i, part in enumerate(parts)])
    assert [part.shape[0] for part in parts] == [2, 1, 2, 0]
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), np.repeat(np.array(partitions, float)[:, None], 3, 1))
    places = tf.dynamic_partition(tf.range(5), partitions, 4)
    np.testing.assert_array_equal(tf.dynamic_stitch(places, parts).numpy(), data)
    assert tf.dynamic_stitch([0, [1, 1]], [[1, 2], [[3, 4], [5, 6]]]).numpy().tolist() == [[1, 2], [5, 6]]


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: tf.gather(MATRIX, [0, 3]), Invalid, r"indices\[1\] = 3 is not in \[0, 3\)"),
        (lambda: tf.gather(MATRIX, -1), Invalid, r"indices = -1 is not in \[0, 3\)"),
        (lambda: tf.gather(MATRIX, [0.5]), Invalid, "not in the list of allowed values: int16, int32, int64"),
        (lambda: tf.gather(MATRIX, True), Invalid, "not in the list of allowed values: int16, int32, int64"),
        (lambda: tf.gather(MATRIX, [0], axis=2), Invalid, "Shape must be at least rank 3 but is rank 2"),
        (lambda: tf.gather(MATRIX, [0, 1], batch_dims=1), Invalid, r"params.shape\[0\]: 3 should be equal to .*: 2"),
        (lambda: tf.gather(1.0, [0]), Invalid, "params must be at least 1 dimensional"),
        (lambda: tf.gather_nd(MATRIX, [[0, 1], [2, 4]]), Invalid, r"indices\[1\] = \[2, 4\] does not index into param"),
        (lambda: tf.gather_nd(MATRIX, [[0, 1, 2]]), Invalid, "must be <= params rank; saw: 3 vs. 2"),
        (lambda: tf.gather_nd(MATRIX, 1), Invalid, "indices must be at least a vector"),
        (lambda: tf.scatter_nd([[4]], [9], [4]), Invalid, r"indices\[0\] = \[4\] does not index into shape \[4\]"),
        (
            lambda: tf.scatter_nd([[0], [1]], [9], [4]),
            Invalid,
            r"Dimensions \[0,1\) of indices\[shape=\[2,1\]\] must match",
        ),
        (lambda: tf.tensor_scatter_nd_add(MATRIX, [[0]], [[1.0, 2.0]]), Invalid, "Inner dimensions of output shape"),
        (
            lambda: tf.tensor_scatter_nd_add(tf.constant(MATRIX), [[0]], tf.constant([1])),
            Invalid,
            "expected to be a double tensor",
        ),
        (lambda: tf.where([True, False], 1), ValueError, "x and y must both be non-None or both be None."),
        (lambda: tf.where([True, False], MATRIX, 0), Invalid, "Incompatible shapes|broadcast"),
        (lambda: tf.where(True), Invalid, "Unhandled input dimensions: 0"),
        (lambda: tf.dynamic_partition([1, 2], [0, 3], 3), Invalid, r"partitions\[1\] = 3 is not in \[0, 3\)"),
        (lambda: tf.dynamic_partition([1, 2, 3], [0, 1], 3), Invalid, "data.shape must start with partitions.shape"),
        (lambda: tf.dynamic_stitch([[-1]], [[1]]), Invalid, r"indices\[0\] is out of range"),
        (lambda: tf.dynamic_stitch([[0, 1]], [MATRIX]), Invalid, r"data\[0\].shape = .* does not start with"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
