"""Ops on shapes against NumPy, and TensorFlow's errors and static shapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.core.graph import Graph
from tapeflow.core.state import tracing

MATRIX = np.arange(6.0).reshape(2, 3)
CUBE = np.arange(30.0).reshape(2, 3, 5)
Invalid = tf.errors.InvalidArgumentError


@pytest.mark.parametrize(
    "ours, numpys",
    [
        (lambda: tf.reshape(MATRIX, [3, -1]), MATRIX.reshape(3, 2)),
        (lambda: tf.reshape(MATRIX, tf.constant([3, 2], tf.int64)), MATRIX.reshape(3, 2)),
        (lambda: tf.reshape(MATRIX, [tf.constant(3), 2]), MATRIX.reshape(3, 2)),
        (lambda: tf.reshape(MATRIX, -1), MATRIX.ravel()),
        (lambda: tf.expand_dims(MATRIX, -1), MATRIX[..., None]),
        (lambda: tf.expand_dims(MATRIX, [1]), MATRIX[:, None]),
        (lambda: tf.squeeze(MATRIX[None, :, None], [0, -2]), MATRIX),
        (lambda: tf.transpose(CUBE), CUBE.T),
        (lambda: tf.transpose(CUBE, [2, 0, 1]), CUBE.transpose(2, 0, 1)),
        (lambda: tf.transpose(MATRIX * 1j, conjugate=True), -1j * MATRIX.T),
        (lambda: tf.broadcast_to(MATRIX, [2, 2, 3]), np.broadcast_to(MATRIX, (2, 2, 3))),
        (lambda: tf.tile(MATRIX, [2, 3]), np.tile(MATRIX, (2, 3))),
        (lambda: tf.tile(MATRIX, [0, 1]), np.zeros((0, 3))),
        (lambda: tf.repeat(MATRIX, 2), MATRIX.repeat(2)),
        (lambda: tf.repeat(MATRIX, [2, 0, 1], axis=-1), MATRIX.repeat([2, 0, 1], -1)),
        (lambda: tf.repeat(MATRIX, [2], axis=0), MATRIX.repeat(2, 0)),
        (lambda: tf.concat([MATRIX, MATRIX[:1]], 0), np.concatenate([MATRIX, MATRIX[:1]])),
        (lambda: tf.stack([MATRIX, -MATRIX], -1), np.stack([MATRIX, -MATRIX], -1)),
        (lambda: tf.unstack(CUBE, axis=1)[2], CUBE[:, 2]),
        (lambda: tf.split(CUBE, [1, -1], axis=2)[1], CUBE[..., 1:]),
        (lambda: tf.split(CUBE, 3, axis=1)[1], CUBE[:, 1:2]),
        (lambda: tf.reverse(CUBE, [0, -1]), CUBE[::-1, :, ::-1]),
        (lambda: tf.roll(CUBE, [1, -7], [0, 2]), np.roll(CUBE, (1, -7), (0, 2))),
        (
            lambda: tf.pad(MATRIX, [[1, 0], [2, 1]], constant_values=7),
            np.pad(MATRIX, [(1, 0), (2, 1)], constant_values=7),
        ),
        (lambda: tf.pad(CUBE, [[1, 0], [2, 1], [0, 0]], "REFLECT"), np.pad(CUBE, [(1, 0), (2, 1), (0, 0)], "reflect")),
        (
            lambda: tf.pad(CUBE, [[2, 1], [3, 0], [0, 5]], "symmetric"),
            np.pad(CUBE, [(2, 1), (3, 0), (0, 5)], "symmetric"),
        ),
        (lambda: tf.slice(CUBE, [0, 1, 2], [1, -1, 2]), CUBE[:1, 1:, 2:4]),
        (lambda: tf.strided_slice(CUBE, [0, -1], [2, -4], [1, -2]), CUBE[0:2, -1:-4:-2]),
        (lambda: tf.strided_slice(CUBE, [1, 0, 2], [2, 2, 3], ellipsis_mask=1, shrink_axis_mask=4), CUBE[..., 0:2, 2]),
        (lambda: tf.strided_slice(CUBE, [1, 0, 1], [2, 2, 3], new_axis_mask=1, end_mask=4), CUBE[None, 0:2, 1:]),
        (lambda: tf.boolean_mask(CUBE, [True, False, True], axis=1), CUBE[:, [0, 2]]),
        (lambda: tf.linalg.tensor_diag(MATRIX), np.diag(MATRIX.ravel()).reshape(2, 3, 2, 3)),
        (lambda: tf.linalg.tensor_diag_part(np.diag(MATRIX.ravel()).reshape(2, 3, 2, 3)), MATRIX),
        (lambda: tf.bitcast(MATRIX, tf.int64), MATRIX.view(np.int64)),
        (lambda: tf.bitcast(MATRIX, tf.uint8), MATRIX.view(np.uint8).reshape(2, 3, 8)),
    ],
)
def test_values(ours, numpys):
    found = ours().numpy()
    assert found.shape == numpys.shape
    np.testing.assert_array_equal(found, numpys)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.data())
def test_concat_and_split_are_inverse(dims, data):
    axis = data.draw(st.integers(-len(dims), len(dims) - 1))
    sizes = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    dims[axis] = sum(sizes)
    x = np.random.default_rng(0).normal(size=dims)
    parts = tf.split(x, sizes, axis=axis)
    assert [part.shape[axis] for part in parts] == sizes
    np.testing.assert_array_equal(tf.concat(parts, axis).numpy(), x)


@given(st.integers(0, 6), st.integers(0, 6), st.booleans())
def test_mirrored_paddings(before, after, reflect):
    x = np.arange(7.0) if reflect else np.arange(6.0)
    mode = "REFLECT" if reflect else "SYMMETRIC"
    np.testing.assert_array_equal(tf.pad(x, [[before, after]], mode).numpy(), np.pad(x, [(before, after)], mode.lower()))


def test_reverse_sequence():
    x = tf.constant([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    expected = [[1, 2, 3, 4], [7, 6, 5, 8], [12, 11, 10, 9]]
    assert tf.reverse_sequence(x, [1, 3, 4], seq_axis=1, batch_axis=0).numpy().tolist() == expected
    turned = tf.reverse_sequence(tf.transpose(x), [1, 3, 4], seq_axis=0, batch_axis=1)
    assert tf.transpose(turned).numpy().tolist() == expected


def test_space_to_batch_and_depth():
    x = tf.reshape(tf.range(1 * 4 * 6 * 2), [1, 4, 6, 2])
    batches = tf.space_to_batch(x, [2, 3], [[0, 0], [0, 0]])
    assert batches.shape == (6, 2, 2, 2)
    np.testing.assert_array_equal(batches[4].numpy(), x[0, 1::2, 1::3].numpy())
    np.testing.assert_array_equal(tf.batch_to_space(batches, [2, 3], [[0, 0], [0, 0]]).numpy(), x.numpy())
    deep = tf.nn.space_to_depth(x, 2)
    np.testing.assert_array_equal(deep[0, 1, 2].numpy(), x[0, 2:4, 4:6].numpy().ravel())
    np.testing.assert_array_equal(tf.nn.depth_to_space(deep, 2).numpy(), x.numpy())


@pytest.mark.parametrize("padding, shape", [("VALID", (1, 2, 3, 12)), ("SAME", (1, 3, 3, 12))])
def test_patches(padding, shape):
    x = np.arange(60.0).reshape(1, 5, 6, 2)
    patches = tf.image.extract_patches(x, [1, 3, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1], padding)
    assert patches.shape == shape
    padded = x if padding == "VALID" else np.pad(x, [(0, 0), (1, 1), (0, 0), (0, 0)])
    np.testing.assert_array_equal(patches[0, 1, 2].numpy(), padded[0, 2:5, 4:6].ravel())


def test_shapes_are_known_where_they_can_be():
    assert tf.shape(CUBE).numpy().tolist() == [2, 3, 5]
    assert tf.shape(CUBE, tf.int64).dtype is tf.int64
    assert (tf.size(CUBE).numpy(), tf.rank(CUBE).numpy()) == (30, 3)
    graph = Graph()
    with tracing(graph):
        x = graph.placeholder((None, 3), tf.float32)
        assert tf.get_static_value(tf.shape(x)) is None
        assert tf.get_static_value(tf.shape(x), partial=True).tolist() == [None, 3]
        assert tf.get_static_value(tf.gather(tf.shape(x), 1)) == 3
        assert tf.reshape(x, [tf.shape(x)[0], 3, 1]).shape.as_list() == [None, 3, 1]
        assert tf.range(tf.shape(x)[1]).shape == (3,)
        assert tf.zeros([tf.shape(x)[0], 3]).shape.as_list() == [None, 3]
        assert tf.split(x, [1, -1], axis=1)[1].shape.as_list() == [None, 2]
        assert tf.ensure_shape(x, [7, None]).shape == (7, 3)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: tf.reshape(MATRIX, [4, 2]), Invalid, "tensor with 6 values, but the requested shape has 8"),
        (lambda: tf.reshape(MATRIX, [-1, 4]), Invalid, "requires a multiple of 4"),
        (lambda: tf.reshape(MATRIX, [-1, -1]), Invalid, "Only one input size may be -1, not both 0 and 1"),
        (lambda: tf.reshape(MATRIX, [-2, 3]), Invalid, "Size 0 must be non-negative, not -2"),
        (lambda: tf.reshape(MATRIX, [None, 2]), ValueError, "Attempt to convert a value"),
        (lambda: tf.reshape(MATRIX, [2.0, 3]), Invalid, "integers"),
        (lambda: tf.expand_dims(MATRIX, 3), Invalid, "Tried to expand dim index 3 for tensor with 2 dimensions."),
        (lambda: tf.squeeze(MATRIX, 0), Invalid, r"Can not squeeze dim\[0\], expected a dimension of 1, got 2"),
        (lambda: tf.transpose(MATRIX, [0]), Invalid, "transpose expects a vector of size 2"),
        (lambda: tf.transpose(MATRIX, [0, 0]), Invalid, "1 is missing from {0,0}."),
        (lambda: tf.broadcast_to(MATRIX, [2, 4]), Invalid, r"Incompatible shapes: \[2,3\] vs. \[2,4\]"),
        (lambda: tf.broadcast_to(MATRIX, [3]), Invalid, r"Rank of input \(2\) must be no greater than"),
        (lambda: tf.tile(MATRIX, [2]), Invalid, "vector of length 2 but got length 1"),
        (lambda: tf.tile(MATRIX, [-1, 1]), Invalid, r"Expected multiples\[0\] >= 0, but got -1"),
        (lambda: tf.repeat(MATRIX, 2, axis=2), ValueError, "axis=2 out of bounds"),
        (lambda: tf.repeat(MATRIX, [1, 2], axis=1), ValueError, "Dimensions 3 and 2 are not compatible"),
        (lambda: tf.concat([MATRIX, CUBE], 0), Invalid, "Ranks of all input tensors should match"),
        (lambda: tf.concat([MATRIX, MATRIX[:1]], 1), Invalid, "Dimension 0 in both shapes must be equal"),
        (lambda: tf.concat([MATRIX, MATRIX], 2), Invalid, r"in the range \[-2, 2\), but got 2"),
        (lambda: tf.concat([1, 2], 0), Invalid, "Can't concatenate scalars"),
        (lambda: tf.concat([[1], [2.5]], 0), TypeError, "Cannot convert"),
        (
            lambda: tf.concat([tf.constant([1]), tf.constant([2.5])], 0),
            Invalid,
            "expected to be a int32 tensor but is a float",
        ),
        (lambda: tf.stack([MATRIX, MATRIX], 3), ValueError, r"not in range \[-3, 3\)"),
        (lambda: tf.stack([MATRIX, MATRIX.T]), Invalid, "Shapes of all inputs must match"),
        (lambda: tf.unstack(MATRIX, axis=2), ValueError, r"not in range \[-2, 2\)"),
        (lambda: tf.split(MATRIX, 2, axis=1), Invalid, "evenly divide the split dimension"),
        (lambda: tf.split(MATRIX, [1, 3], axis=1), Invalid, "Determined shape must either match"),
        (lambda: tf.split(MATRIX, tf.constant(2)), ValueError, "Rank-0 tensors are not supported"),
        (lambda: tf.reverse(MATRIX, [2]), Invalid, "is out of valid range"),
        (lambda: tf.reverse(MATRIX, [0, -2]), Invalid, "axis 0 specified more than once."),
        (lambda: tf.roll(MATRIX, [1], [0, 1]), Invalid, "shift and axis must have the same size"),
        (lambda: tf.pad(MATRIX, [[1, 2]]), Invalid, "must be the rank of inputs"),
        (lambda: tf.pad(MATRIX, [[1, -2], [0, 0]]), Invalid, "Paddings must be non-negative: 1 -2"),
        (
            lambda: tf.pad(MATRIX, [[2, 0], [0, 0]], "REFLECT"),
            Invalid,
            "less than the dimension size: 2, 0 not less than 2",
        ),
        (lambda: tf.pad(MATRIX, [[2, 0], [0, 0]], "FOO"), ValueError, 'one of "CONSTANT", "REFLECT", or "SYMMETRIC"'),
        (lambda: tf.slice(MATRIX, [1, 0], [2, 3]), Invalid, r"Expected size\[0\] in \[0, 1\], but got 2"),
        (lambda: tf.slice(MATRIX, [-1, 0], [1, 3]), Invalid, r"Expected begin\[0\] in \[0, 2\], but got -1"),
        (lambda: tf.boolean_mask(MATRIX, True), ValueError, "mask cannot be scalar."),
        (lambda: tf.boolean_mask(MATRIX, [True]), ValueError, r"Shapes \(2,\) and \(1,\) are incompatible"),
        (lambda: tf.ensure_shape(MATRIX, [3, None]), Invalid, "is not compatible with expected shape"),
        (lambda: tf.bitcast(np.zeros(3, np.int32), tf.int64), Invalid, "Cannot bitcast from"),
        (lambda: tf.zeros([-1]), Invalid, "Dimension -1 must be >= 0"),
        (lambda: tf.zeros([2.0]), TypeError, "Cannot convert"),
        (lambda: tf.fill([2], [1, 2]), Invalid, "value must represent a scalar, got shape"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_repeated_gradient_is_dense():
    x = tf.constant(MATRIX)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.repeat(x, [2, 1], axis=0)
    assert tape.gradient(y, x).numpy().tolist() == [[2.0] * 3, [1.0] * 3]


@pytest.mark.parametrize(
    "function",
    [
        lambda n: tf.reshape(tf.range(6.0), [n, 3]),
        lambda n: tf.zeros([n, 2]),
        lambda n: tf.fill([2, n], 1.0),
        lambda n: tf.tile([[1.0]], (n, 2)),
        lambda n: tf.broadcast_to(1.0, [n, 2]),
    ],
)
def test_a_float_tensor_in_a_shape_is_cut_to_an_integer(function):
    """TensorFlow casts the tensors in a list to the dtype that it wants; Keras's RandomElasticTransform counts on it."""
    expected = function(2).shape
    assert function(tf.constant(2.5)).shape == expected
    assert tf.function(function)(tf.constant(2.5)).shape == expected
