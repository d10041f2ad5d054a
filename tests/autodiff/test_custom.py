"""`custom_gradient`, `recompute_grad`, `grad_pass_through` against TensorFlow 2.21's values and errors."""

import numpy as np
import pytest

import tapeflow as tf


def number(x):
    return None if x is None else np.asarray(x).tolist()


def values_and_gradients(function, *xs, **kwargs):
    with tf.GradientTape() as tape:
        tape.watch([x for x in xs if isinstance(x, tf.Tensor)])
        y = function(*xs, **kwargs)
    return number(y), [number(g) for g in tape.gradient(y, list(xs))]


def scaled(factor):
    return lambda dy: dy * factor


@pytest.mark.parametrize("decorate", [tf.custom_gradient, tf.custom_gradient()], ids=["bare", "called"])
def test_the_given_gradient_is_taken(decorate):
    @decorate
    def square(x):
        """Its docstring."""
        return x * x, scaled(10.0)

    assert (square.__name__, square.__doc__) == ("square", "Its docstring.")
    assert values_and_gradients(square, tf.constant(3.0)) == (9.0, [10.0])
    assert number(square(3.0)) == 9.0


def test_calls_in_calls():
    double = tf.custom_gradient(lambda x: (x * 2.0, scaled(3.0)))
    assert values_and_gradients(lambda x: double(double(double(x))), tf.constant(1.0)) == (8.0, [27.0])


def test_nests_of_arguments_and_results():
    @tf.custom_gradient
    def function(d):
        def gradient(*cotangents):
            assert len(cotangents) == 2
            return {"a": cotangents[0] * 2.0, "b": [cotangents[1] * 3.0]}

        return {"y": d["a"] * d["b"][0], "x": [d["a"] * 7.0]}, gradient

    a, b = tf.constant(2.0), tf.constant(5.0)
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        result = function({"a": a, "b": [b]})
        total = result["y"] * 10.0 + result["x"][0]
    assert (number(result["y"]), number(result["x"][0])) == (10.0, 14.0)
    assert [number(g) for g in tape.gradient(total, [a, b])] == [
        2.0,
        30.0,
    ]  # cotangents come in the order of the flat result


def test_results_that_are_not_used_have_zero_cotangents():
    seen = []

    @tf.custom_gradient
    def function(x):
        def gradient(a, b):
            seen.append((number(a), number(b)))
            return a + b

        return (x * 2.0, x * x), gradient

    x = tf.constant([2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        first, _ = function(x)
    assert number(tape.gradient(first, x)) == [1.0, 1.0]
    assert seen == [([1.0, 1.0], [0.0, 0.0])]


def test_keyword_arguments_have_no_gradient():
    @tf.custom_gradient
    def function(x, k=None):
        return x * k, scaled(100.0)

    x, k = tf.constant(3.0), tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch([x, k])
        y = function(x, k=k)
    assert (number(y), [number(g) for g in tape.gradient(y, [x, k])]) == (6.0, [100.0, None])


def test_methods():
    class Scale:
        factor = 3.0

        @tf.custom_gradient
        def apply(self, x):
            return x * self.factor, scaled(50.0)

    assert values_and_gradients(Scale().apply, tf.constant(2.0)) == (6.0, [50.0])


def test_results_that_are_arguments_constants_or_from_numpy():
    same = tf.custom_gradient(lambda x: (x, scaled(5.0)))
    assert values_and_gradients(lambda x: same(x) + x, tf.constant(2.0)) == (4.0, [6.0])
    assert values_and_gradients(tf.custom_gradient(lambda x: (3.0, scaled(5.0))), tf.constant(2.0)) == (3.0, [5.0])
    sine = tf.custom_gradient(lambda x: (np.sin(x.numpy()), lambda dy: dy * tf.cos(x)))
    y, (g,) = values_and_gradients(sine, tf.constant(2.0))
    np.testing.assert_allclose([y, g], [np.sin(2.0), np.cos(2.0)], rtol=1e-6)


def test_gradients_that_are_none_slices_or_numbers():
    product = tf.custom_gradient(lambda x, y: (x * y, lambda dy: (dy * 2.0, None)))
    assert values_and_gradients(product, tf.constant(2.0), tf.constant(5.0)) == (10.0, [2.0, None])
    assert values_and_gradients(tf.custom_gradient(lambda x: (x * x, lambda dy: 3.0)), tf.constant(2.0)) == (4.0, [3.0])
    rows = tf.custom_gradient(
        lambda x: (
            tf.gather(x, [0, 1]),
            lambda dy: tf.IndexedSlices(dy * 9.0, tf.constant([0, 1]), tf.constant([3, 2])),
        )
    )
    x = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = rows(x)
    assert number(tape.gradient(y, x).values) == [[9.0, 9.0], [9.0, 9.0]]


# Higher orders


def test_second_order_goes_through_the_gradient_function():
    @tf.custom_gradient
    def log1pexp(x):
        e = tf.exp(x)
        return tf.math.log(1.0 + e), lambda dy: dy * (1.0 - 1.0 / (1.0 + e))

    x = tf.constant(1.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = log1pexp(x)
        slope = inner.gradient(y, x)
    s = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose([slope, outer.gradient(slope, x)], [s, s * (1 - s)], rtol=1e-5)


def test_custom_gradients_of_gradient_functions():
    @tf.custom_gradient
    def function(x):
        def first(dy):
            @tf.custom_gradient
            def inner(dy):
                return dy * 7.0 * x, scaled(1000.0)

            return inner(dy)

        return x * x, first

    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        slope = tape.gradient(y, x)
        again = slope * 1.0
    # The cotangent that the inner function gets is a constant, so that its own gradient is not asked for.
    assert (number(slope), number(outer.gradient(again, x))) == (14.0, 7.0)


# Variables


def test_variables_get_their_own_gradients():
    v, frozen = tf.Variable(3.0), tf.Variable(2.0, trainable=False)

    @tf.custom_gradient
    def function(x):
        def gradient(dy, variables=None):
            assert [w is v for w in variables] == [True]
            return dy * 10.0, [dy * 20.0]

        return x * v * v * frozen, gradient

    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x) * v
    assert (number(y), [number(g) for g in tape.gradient(y, [x, v])]) == (108.0, [30.0, 60.0 + 36.0])


def test_variables_as_arguments():
    v = tf.Variable(3.0)
    product = tf.custom_gradient(lambda x, v: (x * v, lambda dy: (dy * 5.0, dy * 7.0)))
    assert values_and_gradients(product, tf.constant(2.0), v) == (6.0, [5.0, 7.0])


def test_no_arguments():
    v = tf.Variable(2.0)

    @tf.custom_gradient
    def function():
        return v * 3.0, lambda dy, variables: ([], [dy * 9.0])

    with tf.GradientTape() as tape:
        y = function()
    assert (number(y), number(tape.gradient(y, v))) == (6.0, 9.0)


def test_errors():
    v, x = tf.Variable(3.0), tf.constant(2.0)
    with pytest.raises(TypeError, match="grad_fn must accept keyword argument 'variables'"):
        tf.custom_gradient(lambda x: (x * v, scaled(1.0)))(x)
    with pytest.raises(ValueError, match="Must return gradient for each variable"):
        values_and_gradients(tf.custom_gradient(lambda x: (x * v, lambda dy, variables: (dy, []))), x)
    with pytest.raises(ValueError, match="expected to return 2 gradients, but returned 1"):
        values_and_gradients(tf.custom_gradient(lambda x, y: (x * y, scaled(1.0))), x, x + 1.0)
    with pytest.raises(TypeError, match="not callable"):
        tf.custom_gradient(lambda x: (x, x))(x)
    with pytest.raises(ValueError, match="too many values to unpack"):
        tf.custom_gradient(lambda x: (x, x, x))(x)
    with pytest.raises(ValueError, match="unsupported type"):
        tf.custom_gradient(lambda x, n: (x, scaled(1.0)))(x, None)


# recompute_grad and grad_pass_through


def test_recompute_grad():
    calls = []
    v = tf.Variable([1.0, 2.0])

    @tf.recompute_grad
    def function(x, y, scale=1.0):
        calls.append(1)
        return tf.reduce_sum(tf.sin(x * v) * y) * scale

    x, y = tf.constant(2.0), tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        z = function(x, y, scale=2.0)
    assert (function.__name__, len(calls)) == ("function", 1)
    gradients = tape.gradient(z, [x, y, v])
    assert len(calls) == 2
    with tf.GradientTape() as plain:
        plain.watch([x, y])
        z = tf.reduce_sum(tf.sin(x * v) * y) * 2.0
    for found, expected in zip(gradients, plain.gradient(z, [x, y, v]), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6)


def test_recompute_grad_keeps_no_intermediates():
    x = tf.constant([1.0, 2.0])
    function = tf.recompute_grad(lambda x: tf.exp(tf.sin(x)) * tf.cos(x))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        function(x)
    assert [record[0].name for record in tape._records] == ["custom_gradient"]


def test_recompute_grad_to_second_order_and_of_nests():
    cube = tf.recompute_grad(lambda x: {"a": x * x * x, "b": [x]})
    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = cube(x)["a"] + 2.0 * cube(x)["b"][0]
        slope = inner.gradient(y, x)
    assert (number(slope), number(outer.gradient(slope, x))) == (14.0, 12.0)


def test_grad_pass_through():
    x, v = tf.constant(2.25), tf.Variable(2.0)
    rounded = tf.grad_pass_through(tf.round)
    assert values_and_gradients(lambda x: rounded(x) * x, x) == (4.5, [4.25])
    both = tf.grad_pass_through(lambda x, y: (x * 2.0, y * 3.0 * v))
    y = tf.constant(4.0)
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        a, b = both(x, y)
        z = a * b
    assert [number(g) for g in tape.gradient(z, [x, y, v])] == [24.0, 4.5, None]


def test_an_exception_leaves_nothing_behind():
    @tf.custom_gradient
    def broken(x):
        raise KeyError

    x = tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with pytest.raises(KeyError):
            broken(x)
        y = x * x
    assert number(tape.gradient(y, x)) == 2.0
