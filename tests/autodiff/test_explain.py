"""`tape.explain`: each cause of a gradient that is None or zero is named, before and after `gradient`."""

import re

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.autodiff import track_lines


@pytest.fixture(autouse=True)
def without_lines():
    """Lines are tracked only where a test says so, whatever DEBUG is."""
    with track_lines(False):
        yield


def untracked(x, tape):
    return x * x


def watched_late(x, tape):
    y = x * x
    tape.watch(x)
    return y * 2.0


def recorded_outside(x, tape):
    tape.watch(x)
    with tape.stop_recording():
        y = x * x
    return y


def through_integers(x, tape):
    tape.watch(x)
    return tf.cast(tf.cast(x * 2.0, tf.int32), tf.float32) * 3.0


def through_a_comparison(x, tape):
    tape.watch(x)
    return tf.cast(x > 1.0, tf.float32)


def stopped(x, tape):
    tape.watch(x)
    return tf.stop_gradient(x * x) * 2.0


def through_numpy(x, tape):
    tape.watch(x)
    return tf.constant(np.sin((x * x).numpy())) * 2.0


def through_a_float(x, tape):
    tape.watch(x)
    return tf.constant(float(x)) * 2.0


def without_derivative(x, tape):
    tape.watch(x)
    return tf.round(x * x) * 2.0


def of_constants(x, tape):
    tape.watch(x)
    return tf.constant(2.0) * tf.constant(3.0)


def of_another_tensor(x, tape):
    tape.watch(x)
    y = tf.constant(5.0)
    tape.watch(y)
    return y * y


def given_none(x, tape):
    tape.watch(x)
    return tf.custom_gradient(lambda x: (x * x, lambda dy: None))(x) * 2.0


CAUSES = [
    (untracked, ["does not watch the source", r"tape\.watch\(source\)", "watches nothing"]),
    (watched_late, ["before the source was watched|before it was watched"]),
    (recorded_outside, ["computed while the tape did not record"]),
    (through_integers, ["is lost on the way", "cast.* gives integers"]),
    (through_a_comparison, ["is lost on the way", "greater.* has no derivative"]),
    (stopped, ["stop_gradient.* stops it on purpose"]),
    (through_numpy, [r"left the tape by numpy\(\)"]),
    (through_a_float, [r"source's value left the tape by numpy\(\)"]),
    (without_derivative, ["rint.* has no derivative"]),
    (of_constants, ["unwatched tensors only"]),
    (of_another_tensor, ["does not depend on the source", "result of mul"]),
    (given_none, ["a gradient function on the way gave None"]),
]


@pytest.mark.parametrize("lines", [False, True], ids=["plain", "lines"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("program", "expected"), CAUSES, ids=[program.__name__ for program, _ in CAUSES])
def test_causes_of_none(program, expected, after, lines):
    x = tf.constant(3.0)
    with track_lines(lines):
        with tf.GradientTape() as tape:
            y = program(x, tape)
        if after:
            assert tape.gradient(y, x) is None
        text = tape.explain(y, x)
        assert after or tape.gradient(y, x) is None
    assert text.startswith("The gradient is None")
    for part in expected:
        assert re.search(part, text), text
    if "is lost on the way" in text:
        assert ("test_explain.py:" in text) == lines


def test_the_line_of_the_cause():
    x = tf.constant(3.0)
    with track_lines(), tf.GradientTape() as tape:
        y = x * x  # the use
        tape.watch(x)
        z = y * 2.0
    use, watch = [int(line) for line in re.findall(r"test_explain\.py:(\d+)", tape.explain(z, x))]
    assert watch == use + 1


def test_a_late_watch_beside_other_sources():
    x, w = tf.constant(3.0), tf.constant(1.0)
    with tf.GradientTape() as tape:
        tape.watch(w)
        y = x * x
        tape.watch(x)
        z = y * w
    assert "Unwatched values went into mul" in tape.explain(z, x)


def test_variables():
    read, frozen, unread = (tf.Variable(1.0, name=name, trainable=name != "frozen") for name in ("read", "frozen", "unread"))
    with tf.GradientTape() as tape:
        y = read * frozen
    assert "'frozen:0' was made with trainable=False" in tape.explain(y, frozen)
    text = tape.explain(y, unread)
    assert "'unread:0' was not read while the tape recorded" in text
    assert "It watches the variable 'read:0'" in text
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        y = read * 2.0
    assert "watch_accessed_variables=False" in tape.explain(y, read)


def test_a_variable_that_became_a_tensor():
    v, w = tf.Variable(3.0, name="v"), tf.Variable(5.0, name="w")
    tensor = v - 1.0
    with tf.GradientTape() as tape:
        y = tensor * tensor * w
    text = tape.explain(y, tensor)
    assert "assign_sub" in text
    assert "'w:0'" in text


def test_a_name_that_was_bound_anew():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        x = x * 2.0
    assert tape.gradient(y, x) is None
    assert "Was a name bound anew" in tape.explain(y, x)


def test_assignments_are_not_followed():
    x, v = tf.constant(3.0), tf.Variable(0.0, name="state")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        v.assign(x * x)
        y = v * 1.0
    assert "'state:0'; what is assigned to one is not followed" in tape.explain(y, x)
    assert "'state:0'" in tape.explain(v, x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        v.assign(x * x)
    assert "a variable has no past" in tape.explain(v, x)


def test_dtypes():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        n = tf.cast(x, tf.int32)
    assert "target has dtype int32" in tape.explain(n, x)
    assert "result of cast" in tape.explain(n, x)
    assert "source has dtype int32" in tape.explain(x, n)


def test_a_gradient_that_exists():
    v = tf.Variable([3.0, 4.0], name="v")
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.exp(v * v) * 2.0)
    text = tape.explain(y, v)
    assert text.startswith("The gradient exists.")
    assert "sum, mul, exp, mul" in text
    tape.gradient(y, v)
    assert "persistent=True" in tape.explain(y, v)
    with tf.GradientTape() as tape:
        tape.watch(v)
    assert "the target is the source itself" in tape.explain(v, v)


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (lambda x: tf.exp(tf.nn.relu(x * 2.0)), "relu: its input is not positive"),
        (lambda x: tf.where(x > 0.0, x, 7.0) * 2.0, "where: the other branch was chosen"),
        (lambda x: tf.maximum(x, 0.0) * 2.0, "maximum: the other operand is larger"),
        (lambda x: x * 0.0 + 1.0, "mul: the other factor is 0"),
        (lambda x: tf.square(x - x) * 3.0, "square: its input is 0"),
    ],
)
def test_where_a_gradient_becomes_zero(function, op):
    x = tf.constant([-3.0, -4.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    text = tape.explain(y, x)
    assert text.startswith("The gradient exists but is all zeros.")
    assert f"It becomes zero in {op}." in text


def test_where_a_gradient_becomes_infinite():
    x = tf.constant([0.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.sqrt(x * 2.0) * 3.0)
    assert "infinity or NaN comes from sqrt" in tape.explain(y, x)


def test_tapes_that_know_nothing():
    x = tf.constant(3.0)
    assert "never recorded" in tf.GradientTape().explain(x, x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    with pytest.raises(ValueError, match=r"source must be one tensor or variable, got 3\.0"):
        tape.explain(y, 3.0)
    with tf.GradientTape() as other:
        other.watch(x)
        z = x * x
    assert "computed while the tape did not record" in tape.explain(z, x)
