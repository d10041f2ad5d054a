"""`vectorized_map` against the same function called row by row, and against TensorFlow 2.21's rules."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.autodiff import vectorize
from tapeflow.base import flags, nest

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def number(x):
    return np.asarray(x).tolist()


def test_nests():
    result = tf.vectorized_map(
        lambda d: {"s": d["a"] + 1.0, "t": (d["b"], [d["a"] * 2.0])}, {"a": tf.constant(ROWS), "b": tf.constant([1, 2])}
    )
    assert number(result["s"]) == [[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]]
    assert number(result["t"][0]) == [1, 2]
    assert number(result["t"][1][0]) == [[2.0, 4.0, 6.0], [8.0, 10.0, 12.0]]


def test_elements_of_one_row_serve_all():
    result = tf.vectorized_map(lambda t: t[0] * t[1], (tf.constant(ROWS), tf.constant([10.0])))
    assert number(result) == [[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]


def test_results_that_do_not_depend_on_the_example():
    pair, three, nothing = tf.vectorized_map(lambda r: (tf.constant([7.0, 8.0]), 3, None), tf.constant(ROWS))
    assert (number(pair), number(three), nothing) == ([[7.0, 8.0], [7.0, 8.0]], [3, 3], None)


def test_variables_and_arrays():
    v = tf.Variable(3.0)
    assert number(tf.vectorized_map(lambda r: r * v, np.array([1.0, 2.0], np.float32))) == [3.0, 6.0]
    assert number(tf.vectorized_map(lambda r: r * 2.0, tf.Variable([1.0, 2.0]))) == [2.0, 4.0]


def test_no_examples():
    assert tf.vectorized_map(lambda r: r * 2.0, tf.zeros([0, 3])).shape == (0, 3)


def test_shapes_are_those_of_one_example():
    seen = []

    def function(r):
        seen.append((r.shape.as_list(), len(r), r.dtype, tf.rank(r).numpy()))
        return tf.reshape(r, tf.shape(r)[::-1]), tf.size(r)

    x = tf.zeros([5, 2, 3])
    moved, size = tf.vectorized_map(function, x)
    assert seen == [([2, 3], 2, tf.float32, 2)]
    assert (moved.shape.as_list(), number(size)) == ([5, 3, 2], [6] * 5)


def test_maps_in_maps():
    x = tf.constant(ROWS)
    assert number(tf.vectorized_map(lambda r: tf.vectorized_map(lambda s: s * tf.reduce_sum(r), r), x)) == [
        [6.0, 12.0, 18.0],
        [60.0, 75.0, 90.0],
    ]
    gram = tf.vectorized_map(lambda a: tf.vectorized_map(lambda b: tf.reduce_sum(a * b), x), x)
    assert number(gram) == [[14.0, 32.0], [32.0, 77.0]]


def test_indices_that_differ():
    x = tf.constant(ROWS)
    assert number(tf.vectorized_map(lambda i: x[i], tf.constant([1, 0]))) == [ROWS[1], ROWS[0]]
    assert number(tf.vectorized_map(lambda i: tf.range(10)[i : i + 2], tf.constant([3, 0]))) == [[3, 4], [0, 1]]
    assert number(tf.vectorized_map(lambda t: tf.gather(t[0], t[1]), (x, tf.constant([2, 0])))) == [3.0, 4.0]


# Tapes and accumulators


def cube_slope(r):
    with tf.GradientTape() as tape:
        tape.watch(r)
        y = tf.reduce_sum(r**3.0)
    return tape.gradient(y, r)


def test_a_tape_inside():
    assert number(tf.vectorized_map(cube_slope, tf.constant(ROWS))) == [[3.0, 12.0, 27.0], [48.0, 75.0, 108.0]]


def test_gradients_of_each_example_with_respect_to_a_variable():
    v = tf.Variable([1.0, 2.0, 3.0])

    def function(r):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(r * v * v)
        return tape.gradient(y, v)

    assert number(tf.vectorized_map(function, tf.constant(ROWS))) == [[2.0, 8.0, 18.0], [8.0, 20.0, 36.0]]


def test_a_tape_outside():
    x, w, v = tf.constant(ROWS), tf.constant([1.0, 2.0, 3.0]), tf.Variable([1.0, 1.0, 1.0])
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = tf.vectorized_map(lambda r: tf.reduce_sum(r * r * w * v), x)
    gx, gw, gv = tape.gradient(y, [x, w, v])
    assert number(gx) == [[2.0, 8.0, 18.0], [8.0, 20.0, 36.0]]
    assert number(gw) == [17.0, 29.0, 45.0]
    assert number(gv) == [17.0, 58.0, 135.0]


def test_tapes_on_both_sides():
    x = tf.constant(ROWS)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.vectorized_map(cube_slope, x)
    assert number(tape.gradient(y, x)) == [[6.0, 12.0, 18.0], [24.0, 30.0, 36.0]]


def test_an_outer_tape_records_each_op_once():
    x = tf.constant(ROWS)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        tf.vectorized_map(lambda r: r * r + r, x)
    assert len(tape._records) == 2


def test_accumulators_on_both_sides():
    x = tf.constant(ROWS)
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as acc:
        y = tf.vectorized_map(lambda r: tf.reduce_sum(r**3.0), x)
    assert number(acc.jvp(y)) == [42.0, 231.0]

    def function(r):
        with tf.autodiff.ForwardAccumulator(r, tf.ones_like(r)) as acc:
            y = tf.reduce_sum(r**3.0)
        return acc.jvp(y)

    assert number(tf.vectorized_map(function, x)) == [42.0, 231.0]


def test_custom_gradients_inside():
    @tf.custom_gradient
    def function(x, w):
        return x * w, lambda dy: (dy * x * 10.0, dy * w * 100.0)

    x, w = tf.constant(ROWS), tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = tf.vectorized_map(lambda r: function(r, w), x)
    gx, gw = tape.gradient(y, [x, w])
    assert number(gx) == [[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]]
    assert number(gw) == [200.0, 400.0, 600.0]


def test_derivatives_of_all_kinds_inside():
    def cubes(r):
        with tf.GradientTape() as tape:
            tape.watch(r)
            y = r * r * r
        return tape.jacobian(y, r)

    def hessian(r):
        with tf.GradientTape() as outer:
            outer.watch(r)
            with tf.GradientTape() as inner:
                inner.watch(r)
                y = tf.reduce_sum(r * r * r) * r[0]
            slope = inner.gradient(y, r)
        return outer.jacobian(slope, r)

    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert number(tf.vectorized_map(cubes, x)) == [[[3.0, 0.0], [0.0, 12.0]], [[27.0, 0.0], [0.0, 48.0]]]
    assert number(tf.vectorized_map(hessian, x)) == [[[12.0, 12.0], [12.0, 12.0]], [[108.0, 48.0], [48.0, 72.0]]]
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as acc:
        y = tf.vectorized_map(cubes, x)
    assert number(acc.jvp(y)) == [[[6.0, 0.0], [0.0, 12.0]], [[18.0, 0.0], [0.0, 24.0]]]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.vectorized_map(lambda r: tf.reduce_sum(r * r), x)
    assert number(tape.jacobian(y, x)) == [[[2.0, 4.0], [0.0, 0.0]], [[0.0, 0.0], [6.0, 8.0]]]


def test_random_numbers_differ_between_examples():
    drawn = number(tf.vectorized_map(lambda r: r + tf.random.normal([]), tf.zeros([7])))
    assert len(set(drawn)) == 7
    pairs = tf.vectorized_map(lambda r: tf.vectorized_map(lambda s: s + tf.random.uniform([]), r), tf.zeros([3, 4]))
    assert len(set(number(tf.reshape(pairs, [-1])))) == 12
    drawn = number(tf.vectorized_map(lambda s: tf.random.stateless_normal([], s), tf.constant([[1, 2], [3, 4], [1, 2]])))
    assert (drawn[0] == drawn[2], drawn[0] == drawn[1]) == (True, False)


def test_slices_become_dense():
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])

    def function(i):
        with tf.GradientTape() as tape:
            y = tf.gather(v, i) * 2.0
        return tape.gradient(y, v)

    result = tf.vectorized_map(function, tf.constant([[0, 2], [1, 1]]))
    assert number(result) == [[[2.0, 2.0], [0.0, 0.0], [2.0, 2.0]], [[0.0, 0.0], [4.0, 4.0], [0.0, 0.0]]]


# Control flow


def test_branches_and_loops():
    x = tf.constant([1.0, 3.0])
    assert number(tf.vectorized_map(lambda r: tf.cond(r > 2.0, lambda: r, lambda: -r), x)) == [-1.0, 3.0]
    doubled = tf.vectorized_map(
        lambda n: tf.while_loop(lambda i: i < n, lambda i: (i * 2,), (tf.constant(1),))[0], tf.constant([5, 17])
    )
    assert number(doubled) == [8, 32]


# Errors


def test_unequal_numbers_of_examples():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[2, 3\]"):
        tf.vectorized_map(lambda t: t[0] * t[1], (tf.constant(ROWS), tf.constant([10.0, 20.0, 30.0])))
    with pytest.raises(IndexError, match="scalar"):
        tf.vectorized_map(lambda r: r, tf.constant(1.0))
    with pytest.raises(ValueError, match="empty"):
        tf.vectorized_map(lambda r: 1.0, ())


def test_values_cannot_be_read():
    x = tf.constant([1.0, 3.0])
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError, match="Python `bool` is not allowed"):
        tf.vectorized_map(lambda r: r if r > 2.0 else -r, x)
    with pytest.raises(NotImplementedError, match="stands for all 2 examples"):
        tf.vectorized_map(lambda r: r.numpy(), x)
    with pytest.raises(TypeError, match=r"float\(\)"):
        tf.vectorized_map(float, x)


def test_errors_speak_of_one_example():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[3\] vs. \[2\]"):
        tf.vectorized_map(lambda r: r + tf.constant([1.0, 2.0]), tf.constant(ROWS))
    with pytest.raises(tf.errors.InvalidArgumentError):  # a vector is no matrix, though a batch of vectors is
        tf.vectorized_map(lambda r: tf.matmul(r, tf.ones([3, 2])), tf.constant(ROWS))


def test_variables_cannot_be_assigned():
    v = tf.Variable(1.0)
    for value in (lambda r: v.assign(r), lambda r: v.assign_add(2.0)):
        with pytest.raises(ValueError, match="2 values at once"):
            tf.vectorized_map(value, tf.constant([1.0, 2.0]))
    assert number(v) == 1.0


def test_examples_do_not_leave_the_map():
    kept = []
    tf.vectorized_map(lambda r: kept.append(r) or r, tf.constant(ROWS))
    with pytest.raises(TypeError, match="out of scope"):
        kept[0] + 1.0


def test_ops_without_a_batch_rule_run_one_by_one(caplog):
    x = tf.constant([[1.0, 3.0], [2.0, 5.0]])

    def function(r):
        return tf.fill([2], r[0])[: tf.cast(r[0], tf.int32) * 0 + 2]  # a slice whose ends are of each example

    vectorize._told.clear()
    with flags.using(DEBUG=1), caplog.at_level(logging.WARNING, "tapeflow"):
        assert number(tf.vectorized_map(function, x)) == [[1.0, 1.0], [2.0, 2.0]]
    assert any("one example at a time" in record.message for record in caplog.records)
    with pytest.raises(ValueError, match="No pfor vectorization defined for strided_slice"):
        tf.vectorized_map(function, x, fallback_to_while_loop=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="differ in shape"):
        tf.vectorized_map(lambda n: tf.range(10)[:n], tf.constant([1, 2]))


FUNCTIONS = [
    lambda r: tf.transpose(r),
    lambda r: tf.reduce_max(r, axis=0),
    lambda r: tf.concat([r, r * 2.0], axis=0),
    lambda r: tf.stack([r, tf.ones_like(r)], axis=1),
    lambda r: tf.pad(r, [[1, 0], [0, 1]]),
    lambda r: r[:, 1:] * r[tf.newaxis, ..., :1],
    lambda r: tf.cumsum(r, axis=-1),
    lambda r: tf.matmul(r, r, transpose_b=True),
    lambda r: tf.matmul(tf.ones([5, 2]), r),
    lambda r: tf.where(r > 0.0, tf.exp(r), tf.reduce_sum(r)),
    lambda r: tf.broadcast_to(r[0], [4, 3]),
    lambda r: tf.tile(r, [1, 2]),
    lambda r: tf.split(r, [1, 2], axis=1),
    lambda r: tf.unstack(r, axis=1),
    lambda r: tf.gather(r, [1, 1, 0]),
    lambda r: tf.squeeze(tf.expand_dims(r, 1), [1]),
    lambda r: tf.reverse(r, [1]),
    lambda r: tf.cast(r, tf.int32),
    lambda r: tf.nn.softmax(r),
    lambda r: tf.linalg.matvec(r, r[0]),
    lambda r: tf.math.unsorted_segment_sum(r, [1, 0], 3),
    lambda r: tf.math.unsorted_segment_max(tf.ones([2, 3]), tf.cast(r[:, 0] > 0.0, tf.int32), 2),
    lambda r: tf.nn.conv2d(tf.reshape(r, [1, 2, 3, 1]), tf.ones([2, 2, 1, 4]), 1, "SAME"),
    lambda r: tf.nn.conv2d(tf.ones([1, 4, 4, 1]), tf.reshape(r, [2, 3, 1, 1]), 1, "VALID"),
    lambda r: tf.nn.max_pool2d(tf.reshape(r, [1, 2, 3, 1]), 2, 1, "SAME"),
]


@pytest.mark.parametrize("index", range(len(FUNCTIONS)))
@settings(max_examples=5, deadline=None)
@given(numbers=st.lists(st.floats(-3, 3, width=32), min_size=30, max_size=30))
def test_like_a_loop(index, numbers):
    x = tf.constant(np.reshape(numbers, (5, 2, 3)), tf.float32)
    function = FUNCTIONS[index]
    mapped = nest.flatten(tf.vectorized_map(function, x))
    looped = [function(x[i]) for i in range(5)]
    looped = [list(r) if isinstance(r, (list, tuple)) else [r] for r in looped]
    for whole, parts in zip(mapped, zip(*looped, strict=True), strict=True):
        np.testing.assert_allclose(whole.numpy(), np.stack([part.numpy() for part in parts]), rtol=1e-5, atol=1e-6)
