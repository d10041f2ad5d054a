"""Arrays that begin at a cache line and own their memory."""

import gc

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.compile.buffers import LARGE, LINE, _switch, aligned_copy, begins_well

pytestmark = pytest.mark.skipif(_switch() is None, reason="NumPy lets nobody choose who allocates")

rng = np.random.default_rng(3)


def apart(shape):
    """An array of float32 that owns its memory and does not begin at a line, as NumPy's own do."""
    found = [np.zeros(shape, np.float32) for _ in range(16)]
    return next(array for array in found if array.ctypes.data % LINE)


@pytest.mark.parametrize("size", [LARGE // 4, LARGE, 300_000])
def test_copies_begin_at_a_line(size):
    source = np.arange(2 * size, dtype=np.float32)[::2]
    copies = [aligned_copy(source) for _ in range(5)]
    assert all(copy.flags.owndata and copy.flags.carray and copy.ctypes.data % LINE == 0 for copy in copies)
    assert all(np.array_equal(copy, source) for copy in copies)
    copies[0].resize(3 * size)
    assert np.array_equal(copies[0][:size], source) and not copies[0][size:].any()
    del copies
    gc.collect()


def test_others_are_numpys():
    before = np.empty(LARGE, np.uint8)
    aligned_copy(np.ones(LARGE, np.uint8))
    after = np.empty(LARGE, np.uint8)
    name = np._core.multiarray.get_handler_name
    assert name(before) == name(after) == "default_allocator"


def test_a_step_moves_what_it_updates_once():
    v, x = tf.Variable(tf.zeros([1000, 70])), tf.constant(rng.standard_normal((70, 1000)).astype("f"))
    v._tensor._value = apart([1000, 70])
    assert not begins_well(v._tensor._value)

    @tf.function
    def step(x):
        v.assign_add(0.5 * tf.exp(tf.matmul(x, x[:, :70], transpose_a=True) / 9))
        return tf.reduce_sum(v)

    places, total = set(), 0.0
    for _ in range(3):
        step(x)
        total = total + 0.5 * np.exp(x.numpy().T @ x.numpy()[:, :70] / 9)
        places.add(v._tensor._value.ctypes.data)
    (place,) = places
    assert place % LINE == 0
    np.testing.assert_allclose(v.numpy(), total, rtol=1e-5)
