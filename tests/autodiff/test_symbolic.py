"""`tf.gradients` and `tf.hessians` while a graph is built, run on the kernels, and `tf.test.compute_gradient`."""

import numpy as np
import pytest

import tapeflow as tf


def traced(function, *values):
    """`function` of placeholders, evaluated for `values`; None stays None."""
    with tf.Graph().as_default() as graph:
        xs = [graph.placeholder(np.shape(value), tf.as_dtype(np.asarray(value, np.float32).dtype)) for value in values]
        results = function(*xs)
    fetched = graph.run([np.float32(value)[()] for value in values], [r for r in results if r is not None])
    fetched = iter(fetched)
    return [None if r is None else np.asarray(next(fetched)).tolist() for r in results]


def test_gradients():
    assert traced(lambda x: tf.gradients(x * x * x, x), 2.0) == [12.0]
    assert traced(lambda x, y: tf.gradients([x * y, x], [x, y]), 2.0, 5.0) == [6.0, 2.0]
    assert traced(lambda x: tf.gradients(x, x), 2.0) == [1.0]
    assert traced(lambda x: tf.gradients(tf.unstack(x)[1] * 3.0, x), [1.0, 2.0]) == [[0.0, 3.0]]
    assert traced(lambda x: tf.gradients(ys=x * x, xs=[x], name="g", gate_gradients=True), 2.0) == [4.0]


def test_cotangents_to_start_from():
    assert traced(lambda x: tf.gradients([x * x], [x], grad_ys=[x * 10.0]), 2.0) == [80.0]
    assert traced(lambda x: tf.gradients([x * x, x * 3.0], [x], grad_ys=[x * 10.0, None]), 2.0) == [83.0]
    with pytest.raises(ValueError, match="Passed 1 grad_ys for 2 ys"):
        traced(lambda x: tf.gradients([x, x], x, grad_ys=[x]), 2.0)


def test_sources_in_the_middle_and_stops():
    def middle(x):
        y = x * x
        return tf.gradients(y * y, [y, x])

    def stopped(x):
        y = 2.0 * x
        return tf.gradients(x + y, [x, y], stop_gradients=[x, y])

    assert traced(middle, 2.0) == [8.0, 32.0]
    assert traced(stopped, 1.0) == [1.0, 1.0]
    assert traced(lambda x: tf.gradients(x + 2.0 * x, [x]), 1.0) == [3.0]


def test_unconnected_sources():
    assert traced(lambda x, y: tf.gradients(x * x, [x, y]), 2.0, [5.0, 6.0]) == [4.0, None]
    assert traced(lambda x, y: tf.gradients(x * x, [x, y], unconnected_gradients="zero"), 2.0, [5.0, 6.0]) == [
        4.0,
        [0.0, 0.0],
    ]
    assert traced(lambda x: tf.gradients(tf.cast(x, tf.int32), x), 2.0) == [None]
    with pytest.raises(ValueError, match="Unknown value for unconnected_gradients"):
        traced(lambda x: tf.gradients(x, x, unconnected_gradients="q"), 2.0)


def test_higher_orders_and_tapes():
    def with_tape(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            slope = tf.gradients(x * x * x, x)[0]
        return [tape.gradient(slope, x)]

    assert traced(lambda x: tf.gradients(tf.gradients(x * x * x, x)[0], x), 2.0) == [12.0]
    assert traced(with_tape, 2.0) == [12.0]


def test_variables():
    v = tf.Variable([1.0, 2.0])

    def function(x):
        return tf.gradients(v * v * x, v)

    assert traced(function, 3.0) == [[6.0, 12.0]]


def test_custom_gradients_and_slices():
    square = tf.custom_gradient(lambda x: (x * x, lambda dy: dy * 10.0))
    assert traced(lambda x: tf.gradients(square(x), x), 2.0) == [10.0]

    @tf.custom_gradient
    def closure(x):
        e = tf.exp(x)
        return x * x, lambda dy: dy * e

    np.testing.assert_allclose(traced(lambda x: tf.gradients(closure(x), x), 1.0), [np.e], rtol=1e-6)
    assert traced(lambda x: [tf.convert_to_tensor(tf.gradients(tf.gather(x, [0, 0]), x)[0])], [1.0, 2.0]) == [[2.0, 0.0]]


def test_hessians():
    result = traced(lambda x: tf.hessians(tf.reduce_sum(x * x * x) * x[0], x), [1.0, 2.0, 3.0])
    assert result == [[[12.0, 12.0, 27.0], [12.0, 12.0, 0.0], [27.0, 0.0, 18.0]]]
    (result,) = traced(lambda x: tf.hessians(tf.reduce_sum(x * x * x), [x]), [[1.0, 2.0], [3.0, 4.0]])
    assert np.diag(np.reshape(result, (4, 4))).tolist() == [6.0, 12.0, 18.0, 24.0]


def test_tapes_accumulators_and_maps_in_a_graph():
    def function(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x * x
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as acc:
            z = x * x
        return [tape.jacobian(y, x), acc.jvp(z), tf.vectorized_map(lambda r: r * tf.reduce_sum(x), x)]

    assert traced(function, [1.0, 2.0]) == [[[3.0, 0.0], [0.0, 12.0]], [2.0, 4.0], [3.0, 6.0]]


def test_eager_code_is_refused():
    for function in (tf.gradients, tf.hessians):
        with pytest.raises(RuntimeError, match=r"Use tf\.GradientTape instead"):
            function(tf.constant(1.0), tf.constant(2.0))


# tf.test.compute_gradient


def jacobians(function, xs, **options):
    by_tape, by_differences = tf.test.compute_gradient(function, xs, **options)
    return [part.tolist() for part in by_tape], [part.tolist() for part in by_differences]


def test_compute_gradient():
    assert jacobians(lambda x: x * x, [tf.constant([1.0, 2.0])]) == ([[[2.0, 0.0], [0.0, 4.0]]],) * 2
    assert jacobians(tf.matmul, [np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])]) == ([[[3.0, 4.0]], [[1.0, 2.0]]],) * 2
    assert jacobians(lambda x: x * x * x, [1.0], delta=0.5) == ([[[3.0]]], [[[3.25]]])


def test_compute_gradient_of_complex_numbers_slices_and_nothing():
    expected = [[2.0, -4.0], [4.0, 2.0]]
    assert jacobians(lambda x: x * x, [tf.constant([1 + 2j], tf.complex128)]) == ([expected], [expected])
    picks = [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    assert jacobians(lambda x: tf.gather(x, [1, 1]), [tf.constant([1.0, 2.0, 3.0], tf.float64)]) == ([picks], [picks])
    assert jacobians(lambda x: x * x, [tf.zeros([0, 3])]) == ([[]], [[]])
    assert jacobians(tf.stop_gradient, [tf.constant([1.0])]) == ([[[0.0]]], [[[1.0]]])


def test_compute_gradient_refuses():
    for x in (tf.constant(1.0), np.array([1.0, 2.0])):
        with pytest.raises(ValueError, match="`x` must be a list or tuple"):
            tf.test.compute_gradient(lambda x: x, x)
    with pytest.raises(AssertionError, match="unsupported type int32 of argument 0"):
        tf.test.compute_gradient(lambda x: x, [1])
    with pytest.raises(TypeError, match="must return one tensor"):
        tf.test.compute_gradient(lambda x: (x, x), [1.0])
