"""Variables in native code: changed where they are, while tensors that share their memory and old values stay what they are."""

import numpy as np
import pytest

import tapeflow as tf
from compiled import kinds, program_of
from tapeflow.base import flags
from tapeflow.compile.steps import Loops

pytestmark = pytest.mark.usefixtures("isa")
rng = np.random.default_rng(7)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def train_step():
    w, m = tf.Variable(floats(17, 33)), tf.Variable(np.zeros((17, 33), np.float32))

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(x @ w))
        m.assign(0.9 * m + tape.gradient(loss, w))
        w.assign_sub(0.001 * m)
        return loss

    return step, w, m


def test_a_step_updates_variables_in_place():
    step, w, m = train_step()
    x = tf.constant(floats(5, 17))
    program_of(step, x)
    before = id(w._tensor._value), id(m._tensor._value)
    step(x)
    assert before == (id(w._tensor._value), id(m._tensor._value))


def test_a_tensor_that_shares_the_buffer_stays():
    step, w, _ = train_step()
    x = tf.constant(floats(5, 17))
    program_of(step, x)
    held = w.value()
    copy = held.numpy()
    step(x)
    np.testing.assert_array_equal(held.numpy(), copy)
    assert np.any(w.numpy() != copy)


def test_a_step_is_what_the_kernels_compute():
    found = []
    for native in (0, 1):
        global rng
        rng = np.random.default_rng(3)
        with flags.using(COMPILE=native):
            step, w, _ = train_step()
            x = tf.constant(floats(5, 17))
            found.append(([float(step(x)) for _ in range(5)], w.numpy()))
    np.testing.assert_allclose(*[losses for losses, _ in found], rtol=1e-5)
    np.testing.assert_allclose(*[w for _, w in found], rtol=1e-4, atol=1e-6)


def test_values_that_change_places():
    a, b = tf.Variable([1.0, 2.0]), tf.Variable([3.0, 4.0])

    @tf.function
    def swap():
        x, y = a + 0.0, b + 0.0
        a.assign(y)
        b.assign(x)
        return x

    for _ in range(3):
        swap()
    assert a.numpy().tolist() == [3.0, 4.0] and b.numpy().tolist() == [1.0, 2.0]


def test_an_old_value_is_read_before_it_is_written_over():
    """In one kernel too, and where the program computes the new value first."""
    v, u = tf.Variable(floats(64)), tf.Variable(floats(64))

    @tf.function
    def step(x):
        old = v.read_value()
        new = tf.tanh(x) + 1.0
        u.assign(old * x)
        v.assign(new)

    x = floats(64)
    program = program_of(step, tf.constant(x))
    for _ in range(2):
        before = v.numpy()
        step(tf.constant(x))
        np.testing.assert_allclose(u, before * x, rtol=1e-6)
        x = floats(64)
    assert kinds(program) == [Loops]


def test_an_old_value_is_read_before_a_row_is_written_over():
    v = tf.Variable(floats(32))

    @tf.function
    def step(x, c):
        old = v.read_value()
        new = tf.tanh(c)
        sums = tf.reduce_sum(x * new[:, None], 1), tf.reduce_sum(x + old[:, None], 1)
        v.assign(new)
        return sums

    for _ in range(3):
        before, x, c = v.numpy(), floats(32, 48), floats(32)
        one, other = step(tf.constant(x), tf.constant(c))
        np.testing.assert_allclose(one, (x * np.tanh(c)[:, None]).sum(1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(other, (x + before[:, None]).sum(1), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(v, np.tanh(c), rtol=1e-6)


def test_a_variable_that_is_returned_and_assigned():
    v = tf.Variable([1.0, 2.0])

    @tf.function
    def step():
        before = v.read_value()
        v.assign_add([1.0, 1.0])
        return before, v.read_value()

    for i in range(4):
        before, after = step()
        assert before.numpy().tolist() == [1.0 + i, 2.0 + i] and after.numpy().tolist() == [2.0 + i, 3.0 + i]


def test_an_old_value_outlives_the_assignment():
    v = tf.Variable([1.0, 2.0])
    seen = []

    @tf.function
    def step():
        before = v.read_value()
        v.assign(tf.abs(before) + 1.0)
        tf.py_function(lambda x: seen.append(x.numpy().tolist()), [before], [])
        return before, tf.reshape(before, [2, 1]) * 1.0, v + 0.0

    for i in range(4):
        before, column, after = [x.numpy().ravel().tolist() for x in step()]
        assert before == column == seen[-1] == [1.0 + i, 2.0 + i] and after == [2.0 + i, 3.0 + i]
