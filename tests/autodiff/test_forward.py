"""`ForwardAccumulator` against TensorFlow 2.21's values and against the tape."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

Accumulator = tf.autodiff.ForwardAccumulator


def number(x):
    return None if x is None else np.asarray(x).tolist()


def jvp_of(function, x, tangent):
    x = tf.constant(x)
    with Accumulator(x, tf.constant(tangent, x.dtype)) as acc:
        y = function(x)
    return acc.jvp(y)


def test_several_primals_and_nests():
    x, w = tf.constant(2.0), tf.constant(3.0)
    with Accumulator({"a": x, "b": [w]}, {"a": tf.constant(1.0), "b": [tf.constant(10.0)]}) as acc:
        y = x * w
    assert [number(t) for t in acc.jvp([y, x, w])] == [23.0, 1.0, 10.0]


def test_only_what_is_computed_within_has_a_tangent():
    x = tf.constant(2.0)
    acc = Accumulator(x, tf.constant(1.0))
    before = x * x
    with acc:
        within = x * x * x
    after = x * x
    with acc:
        again = before * x
    assert [number(acc.jvp(y)) for y in (before, within, after, again)] == [None, 12.0, None, 4.0]
    assert number(acc.jvp(before, unconnected_gradients="zero")) == 0.0


@pytest.mark.parametrize("trainable", [True, False])
def test_variables_as_primals(trainable):
    v = tf.Variable(3.0, trainable=trainable)
    other = tf.Variable(0.0)
    with Accumulator(v, tf.constant(2.0)) as acc:
        y = v * v
        v.assign(5.0)
        z = v * v
        v.assign_add(1.0)
        w = v * 1.0
        other.assign(v * v)
        unknown = other * 1.0
    assert [number(t) for t in acc.jvp([y, z, w, v])] == [12.0, 20.0, 2.0, 2.0]
    assert acc.jvp(unknown) is None


def test_accumulators_in_accumulators():
    x = tf.constant(2.0)
    one = tf.constant(1.0)
    with Accumulator(x, one) as a, Accumulator(x, one) as b, Accumulator(x, one) as c:
        y = x * x * x * x
    assert number(c.jvp(y)) == 32.0
    assert number(b.jvp(c.jvp(y))) == 48.0
    assert number(a.jvp(b.jvp(c.jvp(y)))) == 48.0
    assert c.jvp(b.jvp(y)) is None  # an inner accumulator does not see how an outer one works


def test_forward_over_reverse_and_reverse_over_forward():
    x, direction = tf.constant([1.0, 2.0]), tf.constant([1.0, 0.0])

    def function(x):
        return tf.reduce_sum(x * x * x) * x[0]

    with Accumulator(x, direction) as acc:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        slope = tape.gradient(y, x)
    assert (number(slope), number(acc.jvp(slope)), number(acc.jvp(y))) == ([12.0, 12.0], [12.0, 12.0], 12.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with Accumulator(x, direction) as acc:
            y = function(x)
        product = acc.jvp(y)
    assert number(tape.gradient(product, x)) == [12.0, 12.0]


def test_a_tape_inside_does_not_record_the_products():
    x = tf.constant([1.0, 2.0])
    with Accumulator(x, tf.constant([1.0, 0.0])) as acc, tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        count = len(tape._records)
        product = acc.jvp(y)
    assert count == 1
    assert tape.gradient(product, x) is None


def test_hessian_vector_product_of_a_variable_through_slices():
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with Accumulator(v, tf.constant([[1.0, 3.0], [0.0, 1.0]])) as acc:
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.gather(v, [0, 0, 1]) ** 2.0)
        slices = tape.gradient(y, v)
        dense = tf.convert_to_tensor(slices)
    assert number(acc.jvp(slices).values) == [[2.0, 6.0], [2.0, 6.0], [0.0, 2.0]]
    assert number(acc.jvp(dense)) == [[4.0, 12.0], [0.0, 2.0]]


def test_casts_and_complex_numbers():
    x = tf.constant([1.0, 2.0])
    with Accumulator(x, tf.constant([1.0, 0.5])) as acc:
        wide = tf.cast(x, tf.float64)
        back = tf.cast(tf.cast(x, tf.int32), tf.float32)
    assert number(acc.jvp(wide)) == [1.0, 0.5]
    assert acc.jvp(back) is None
    assert number(jvp_of(lambda x: x * x, np.complex64(1 + 2j), np.complex64(1j))) == -4 + 2j


def test_custom_gradients():
    @tf.custom_gradient
    def cut(x):
        return tf.constant(np.sin(x.numpy())), lambda dy: dy * tf.cos(x)

    @tf.custom_gradient
    def plain(x):
        return x * x, lambda dy: dy * 100.0

    # Where what was computed has no tangent, the gradient function is transposed; else TensorFlow keeps the tangent.
    np.testing.assert_allclose(jvp_of(cut, [1.0, 2.0], [1.0, 10.0]), np.cos([1.0, 2.0]) * [1, 10], rtol=1e-6)
    assert number(jvp_of(plain, 2.0, 1.0)) == 4.0


def test_a_batch_of_products():
    x = tf.constant([1.0, 2.0])
    with Accumulator._batch_accumulator(x, tf.constant([[1.0, 0.0], [0.0, 1.0], [2.0, 3.0]])) as acc:
        y = x * x * x
        z = tf.reduce_sum(y)
    assert number(acc.jvp(y)) == [[3.0, 0.0], [0.0, 12.0], [6.0, 36.0]]
    assert number(acc.jvp(z)) == [3.0, 12.0, 42.0]


def test_errors():
    x = tf.constant([2.0, 3.0])
    one = tf.constant([1.0, 1.0])
    with pytest.raises(ValueError, match="specified as a primal multiple times"):
        Accumulator([x, x], [one, one])
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        Accumulator(x, tf.constant([1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match=r"float32.*float64"):
        Accumulator(x, tf.constant([1.0, 2.0], tf.float64))
    with pytest.raises(ValueError, match="nested structure"):
        Accumulator([x, one], [one])
    with pytest.raises(ValueError, match=r"2\.0"):
        Accumulator(2.0, 1.0)
    acc = Accumulator(x, one)
    with acc, pytest.raises(ValueError, match="already recording"), acc:
        pass
    with pytest.raises(ValueError, match=r"3\.0"):
        acc.jvp(3.0)


def test_tangents_die_with_their_tensors():
    x = tf.constant([1.0, 2.0])
    with Accumulator(x, tf.constant([1.0, 0.0])) as acc:
        y = x
        for _ in range(100):
            y = y * 1.01
        assert len(acc._tangents) <= 3
    gc.disable()
    try:
        held = weakref.ref(acc)
        del acc
        assert held() is None
    finally:
        gc.enable()


FUNCTIONS = {
    "matmul": lambda x: tf.matmul(x, tf.transpose(x) * 0.5),
    "reductions": lambda x: tf.reduce_max(x, axis=0) + tf.reduce_mean(x, axis=0) * tf.reduce_sum(x),
    "pieces": lambda x: tf.concat([x[1:], tf.exp(x[:1])], axis=0) * tf.gather(x, [1, 0]),
    "choices": lambda x: tf.where(x > 0.25, tf.sin(x), x * x * x),
    "stack": lambda x: tf.reduce_prod(tf.stack([*tf.unstack(x), tf.tanh(x[0])]), axis=0),
    "spread": lambda x: tf.broadcast_to(x[0], [2, 3]) / (2.0 + tf.cos(x)),
    "scan": lambda x: tf.cumsum(x, axis=1) * tf.sqrt(1.0 + x * x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=15, deadline=None)
@given(numbers=st.lists(st.floats(-2, 2).filter(lambda v: abs(v - 0.25) > 1e-3), min_size=18, max_size=18))
def test_forward_and_reverse_agree(name, numbers):
    """<cotangent, jvp(tangent)> = <vjp(cotangent), tangent>."""
    x, tangent = (tf.constant(np.reshape(part, (2, 3))) for part in (numbers[:6], numbers[6:12]))
    function = FUNCTIONS[name]
    with tf.GradientTape() as tape, Accumulator(x, tangent) as acc:
        tape.watch(x)
        y = function(x)
    cotangent = np.resize(numbers[12:], y.shape)
    pulled = tape.gradient(y, x, output_gradients=tf.constant(cotangent))
    pushed = acc.jvp(y)
    np.testing.assert_allclose(
        np.sum(cotangent * pushed.numpy()), np.sum(np.asarray(pulled) * tangent.numpy()), rtol=1e-9, atol=1e-9
    )
