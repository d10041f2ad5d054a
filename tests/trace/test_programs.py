"""Random programs with control flow give the same values and derivatives in every mode."""

import numpy as np
import program_strategies
import programs
import pytest
from hypothesis import example, given

import tapeflow as tf
from compiled import configured

X, W = np.array([0.3, -0.7, 1.1]), np.array([0.9, 0.2, -0.4])
TANGENT = np.array([0.5, -1.0, 0.25])
SPEC = tf.TensorSpec([None], tf.float64)


def function_of(program):
    """The program as a function of one tensor that also reads a variable."""
    w = tf.Variable(W)
    return (lambda x: programs.run(program, [x, w.value()])), w


def modes(function):
    """The function as it is, traced, with an unknown length, and inside another function."""
    traced = tf.function(function, autograph=False)
    unknown = tf.function(function, autograph=False, input_signature=[SPEC])
    outer = tf.function(lambda x: tf.function(function, autograph=False)(x), autograph=False)
    return {"eager": function, "traced": traced, "unknown": unknown, "nested": outer}


def derivatives(function, w):
    """The value, both gradients, the gradient of a gradient, and the forward derivative."""
    x = tf.constant(X)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        dx, dw = tape.gradient(y, [x, w], unconnected_gradients="zero")
    ddx = outer.gradient(dx, x, unconnected_gradients="zero")
    with tf.autodiff.ForwardAccumulator(x, tf.constant(TANGENT)) as accumulator:
        y2 = function(x)
    return [y, dx, dw, ddx, accumulator.jvp(y2, unconnected_gradients="zero")]


MAPS = (("array", 2, 5), ("unary", "reversed", 7), ("scan", 0, 2))
KEPT = (("map", 7, "mul"), ("unary", "tanh", 1), ("array", 0, 5))
LOOPS = (("map", 1, "add"), ("array", 0, 0), ("while", 0, 0, (("binary", "add", 3, 4), ("unary", "cumsum", 0))))
SUMS = (("unary", "cumsum", 0), ("binary", "max", 1, 6), ("unary", "stopped", 0))


@given(program_strategies.programs())
@configured(25)
@example((("while", 1, 6, MAPS), ("call", 0, MAPS)))  # a loop keeps lists for another
@example((*KEPT, ("custom", 0), ("while", 2, 2, KEPT)))  # lists of no known length
@example((("switch", 0, SUMS, LOOPS, SUMS),))  # its gradient returns an array whose rows only loops write
def test_every_mode_agrees(program):
    function, w = function_of(program)
    found = {name: derivatives(mode, w) for name, mode in modes(function).items()}
    for name, results in found.items():
        for what, a, b in zip(("value", "dx", "dw", "ddx", "jvp"), results, found["eager"], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=f"{name} {what}")


@given(program_strategies.programs())
@configured(25)
def test_gradients_inside_a_function(program):
    """A tape inside of a function gives what it gives outside."""
    function, w = function_of(program)

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, [x, w], unconnected_gradients="zero")

    expected = gradients(tf.constant(X))
    for name, mode in modes(gradients).items():
        for a, b in zip(mode(tf.constant(X)), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9, err_msg=name)


@given(program_strategies.programs(depth=1, most=3))
@configured(25)
def test_batches(program):
    """`vectorized_map` of a function gives what one example after the other gives."""
    function, _ = function_of(program)
    rows = np.stack([X, W, X * W])
    expected = np.stack([np.asarray(function(tf.constant(row))) for row in rows])
    for name, mode in modes(function).items():
        if name == "unknown":
            continue
        np.testing.assert_allclose(tf.vectorized_map(mode, tf.constant(rows)), expected, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("kind", sorted(set(programs.STEPS) - {"unary", "binary"}))
def test_each_step_has_a_derivative(kind):
    """Central differences, so that no mode can be wrong together with eager execution."""
    inner = (("unary", "sin", 7), ("binary", "mul", 0, 7))
    step = {
        "cond": ("cond", 0, inner, inner),
        "while": ("while", 2, 0, inner),
        "switch": ("switch", 0, inner, inner, inner),
        "map": ("map", 0, "dot"),
        "scan": ("scan", 0, 1),
        "array": ("array", 0, 1),
        "call": ("call", 0, inner),
        "custom": ("unary", "sin", 0),  # its gradient is its own
        "tape": ("tape", 0, inner),
    }[kind]
    function, _ = function_of((step,))
    traced = tf.function(function, autograph=False)
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(traced(x))
    slope = float(tf.reduce_sum(tape.gradient(y, x) * TANGENT))
    step_size = 1e-6
    ahead, behind = (np.sum(np.asarray(traced(tf.constant(X + s * TANGENT)))) for s in (step_size, -step_size))
    np.testing.assert_allclose(slope, (ahead - behind) / (2 * step_size), rtol=1e-5)
