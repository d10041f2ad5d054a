"""`jacobian` and `batch_jacobian` against TensorFlow 2.21's values, loops and finite differences."""

import numpy as np
import pytest

import tapeflow as tf


def number(x):
    return None if x is None else np.asarray(x).tolist()


def jacobian_of(function, x, method="jacobian", persistent=False, **options):
    x = tf.constant(x)
    with tf.GradientTape(persistent=persistent) as tape:
        tape.watch(x)
        y = function(x)
    return getattr(tape, method)(y, x, **options)


FUNCTIONS = {
    "cube": lambda x: x * x * x,
    "matmul": lambda x: tf.matmul(x, x, transpose_b=True),
    "sum": lambda x: tf.reduce_sum(x * x),
    "softmax": tf.nn.softmax,
    "max": lambda x: tf.reduce_max(x, axis=0),
    "where": lambda x: tf.where(x > 2.0, x * x, -x),
    "pieces": lambda x: tf.concat([x[:, 1:], tf.stack([x[:, 0], x[:, 2]], axis=1)], axis=1),
    "gather": lambda x: tf.gather(x, [1, 1, 0], axis=1) * tf.gather(x, [1, 0]),
    "scan": lambda x: tf.cumsum(x, axis=1) * tf.exp(x * 0.1),
    "prod": lambda x: tf.reduce_prod(x, axis=1),
    "pad": lambda x: tf.pad(tf.transpose(x), [[1, 0], [0, 1]]),
    "unstack": lambda x: tf.unstack(x)[1] * tf.split(x, 2, axis=0)[0],
    "mean": lambda x: tf.reduce_mean(x, axis=1, keepdims=True) / x,
}
X = np.array([[1.0, 2.5, 3.0], [4.0, 0.5, 6.0]])


def by_differences(function, x, delta=1e-6):
    columns = []
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = delta
        step = step.reshape(x.shape)
        columns.append((function(tf.constant(x + step)).numpy() - function(tf.constant(x - step)).numpy()) / (2 * delta))
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *x.shape)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_finite_differences(name):
    expected = by_differences(FUNCTIONS[name], X)
    for options in ({}, {"parallel_iterations": 2}, {"experimental_use_pfor": False, "persistent": True}):
        result = jacobian_of(FUNCTIONS[name], X, **options)
        assert result.dtype is tf.float64
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6, atol=1e-6)


def test_one_walk_serves_all_elements():
    calls = []

    @tf.custom_gradient
    def counted(x):
        def gradient(dy):
            calls.append(dy.shape.as_list())
            return dy * 2.0

        return x * 2.0, gradient

    assert number(jacobian_of(counted, [1.0, 2.0])) == [[2.0, 0.0], [0.0, 2.0]]
    assert calls == [[2]]


def test_nests_of_sources_and_unconnected_ones():
    x, w = tf.constant([1.0, 2.0]), tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, w])
        y = x * x
    result = tape.jacobian(y, {"x": x, "w": [w]})
    assert (number(result["x"]), result["w"]) == ([[2.0, 0.0], [0.0, 4.0]], [None])
    zeros = tape.jacobian(y, w, unconnected_gradients="zero")
    assert (zeros.shape.as_list(), float(tf.reduce_sum(zeros))) == ([2, 3, 2], 0.0)


def test_variables_slices_and_targets_of_all_kinds():
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape(persistent=True) as tape:
        y = tf.gather(v, [1, 1]) * 2.0
        h = v * v
    for pfor in (True, False):
        result = tape.jacobian(y, v, experimental_use_pfor=pfor)
        assert number(result)[0] == number(result)[1] == [[[0.0, 0.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 2.0]]]
    assert number(tape.jacobian(v, v)) == np.eye(4).reshape(2, 2, 2, 2).tolist()
    assert number(tape.jacobian(h, h)) == np.eye(4).reshape(2, 2, 2, 2).tolist()
    assert tape.jacobian(tf.constant([1.0, 2.0]), v) is None
    assert tape.jacobian(tf.cast(h, tf.int32), v) is None
    assert jacobian_of(lambda x: x[:0], [1.0, 2.0, 3.0]).shape == (0, 3)
    assert number(jacobian_of(lambda x: x * x, np.array([1 + 2j, 3 - 1j], np.complex64))) == [[2 - 4j, 0], [0, 6 + 2j]]


def test_higher_orders():
    x = tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(x)
            y = x * x * x
            s = tf.reduce_sum(y) * x[0]
        slope = inner.gradient(s, x)
        matrix = inner.jacobian(y, x)
    assert number(outer.jacobian(slope, x)) == [[12.0, 12.0, 27.0], [12.0, 12.0, 0.0], [27.0, 0.0, 18.0]]
    assert number(outer.gradient(matrix, x)) == [6.0, 12.0, 18.0]
    third = np.zeros((3, 3, 3))
    third[range(3), range(3), range(3)] = [6.0, 12.0, 18.0]
    assert number(outer.jacobian(matrix, x)) == third.tolist()


def test_inside_its_own_context():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        matrix = tape.jacobian(x * x * x, x)
    assert number(tape.gradient(matrix, x)) == [6.0, 12.0]


@pytest.mark.parametrize("options", [{}, {"parallel_iterations": 2}, {"experimental_use_pfor": False}])
def test_batch_jacobian(options):
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], np.float32)
    result = jacobian_of(lambda x: x * x * x, x, "batch_jacobian", persistent=True, **options)
    assert number(result) == [[[3.0, 0.0], [0.0, 12.0]], [[27.0, 0.0], [0.0, 48.0]], [[75.0, 0.0], [0.0, 108.0]]]
    w = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    result = jacobian_of(lambda x: tf.matmul(x, w), x, "batch_jacobian", persistent=True, **options)
    assert number(result) == [number(tf.transpose(w))] * 3


def test_batch_jacobian_of_higher_ranks_and_of_nothing():
    x = np.arange(12.0).reshape(2, 3, 2)
    result = jacobian_of(lambda x: tf.reduce_sum(x * x, axis=2), x, "batch_jacobian")
    expected = np.zeros((2, 3, 3, 2))
    for i in range(3):
        expected[:, i, i] = 2 * x[:, i]
    np.testing.assert_array_equal(result.numpy(), expected)
    zeros = jacobian_of(lambda x: tf.ones([2, 5]), x.astype(np.float32), "batch_jacobian")
    assert (zeros.shape.as_list(), zeros.dtype, float(tf.reduce_sum(zeros))) == ([2, 5, 3, 2], tf.float32, 0.0)


def test_errors():
    square = lambda x: x * x  # noqa: E731
    with pytest.raises(RuntimeError, match="must be created with persistent=True"):
        jacobian_of(square, [1.0, 2.0], experimental_use_pfor=False)
    with pytest.raises(RuntimeError, match="must be created with persistent=True to compute the batch_jacobian"):
        jacobian_of(square, [[1.0, 2.0]], "batch_jacobian", experimental_use_pfor=False)
    for count in (0, 1):
        with pytest.raises(ValueError, match="parallel_iterations"):
            jacobian_of(square, [1.0, 2.0], parallel_iterations=count)
    with pytest.raises(ValueError, match="Unknown value for unconnected_gradients"):
        jacobian_of(square, [1.0, 2.0], unconnected_gradients="bla")
    with pytest.raises(ValueError, match="rank at least 2"):
        jacobian_of(square, [1.0, 2.0], "batch_jacobian")
    with pytest.raises(ValueError, match="Need first dimension of target shape"):
        jacobian_of(lambda x: x[:1], [[1.0, 2.0], [3.0, 4.0]], "batch_jacobian")
    with pytest.raises(TypeError, match="must be one tensor"):
        jacobian_of(lambda x: [x], [1.0, 2.0])
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    tape.jacobian(y, x)
    for again in (tape.jacobian, tape.gradient):
        with pytest.raises(RuntimeError, match="can only be used to compute one set"):
            again(y, x)
