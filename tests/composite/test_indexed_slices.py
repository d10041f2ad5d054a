"""`IndexedSlices`: where they become tensors, and what keeps them slices."""

import numpy as np
import pytest

import tapeflow as tf


@pytest.fixture
def slices():
    return tf.IndexedSlices(tf.constant([[1.0, -2.0], [3.0, 4.0]]), tf.constant([2, 0]), tf.constant([4, 2]))


DENSE = [[3.0, 4.0], [0.0, 0.0], [1.0, -2.0], [0.0, 0.0]]


def test_a_tensor_is_wanted(slices):
    assert tf.convert_to_tensor(slices).numpy().tolist() == DENSE
    assert tf.Variable(slices).numpy().tolist() == DENSE
    assert tf.exp(slices).shape == [4, 2]
    assert tf.reduce_sum(slices).numpy() == 6.0
    with pytest.raises(ValueError, match="dense_shape"):
        tf.convert_to_tensor(tf.IndexedSlices(slices.values, slices.indices))


def test_slices_of_one_index_add_up():
    s = tf.IndexedSlices(tf.constant([1.0, 2.0, 5.0]), tf.constant([1, 1, 0]), tf.constant([3]))
    assert tf.convert_to_tensor(s).numpy().tolist() == [5.0, 3.0, 0.0]


def test_what_stays_slices(slices):
    for x, expected in (
        (tf.cast(slices, tf.int32), [[1, -2], [3, 4]]),
        (-slices, [[-1.0, 2.0], [-3.0, -4.0]]),
        (tf.identity(slices), [[1.0, -2.0], [3.0, 4.0]]),
        (tf.math.scalar_mul(2.0, slices), [[2.0, -4.0], [6.0, 8.0]]),
        (tf.clip_by_value(slices, 0.0, 3.5), [[1.0, 0.0], [3.0, 3.5]]),
    ):
        assert isinstance(x, tf.IndexedSlices)
        assert x.values.numpy().tolist() == expected
        assert x.indices.numpy().tolist() == [2, 0]


def test_norms_look_at_the_values(slices):
    clipped = tf.clip_by_norm(slices, 1.0)
    assert isinstance(clipped, tf.IndexedSlices)
    np.testing.assert_allclose(np.linalg.norm(clipped.values.numpy()), 1.0, rtol=1e-6)
    np.testing.assert_allclose(tf.linalg.global_norm([slices]), np.sqrt(30.0), rtol=1e-6)


def test_text_and_spec(slices):
    assert str(slices).startswith("IndexedSlices(indices=tf.Tensor([2 0], shape=(2,), dtype=int32), values=")
    assert slices._type_spec == tf.IndexedSlicesSpec([4, 2], tf.float32, tf.int32, tf.int32, [2])
    assert slices.shape == [4, 2]
    assert slices.dtype is tf.float32
    assert tf.sparse.mask(slices, [2]).values.numpy().tolist() == [[3.0, 4.0]]
