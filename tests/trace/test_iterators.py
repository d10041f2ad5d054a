"""Datasets, iterators and optionals as arguments, results and captures of traced functions."""

import numpy as np
import pytest

import tapeflow as tf


def test_an_iterator_is_an_argument():
    @tf.function
    def following(iterator):
        return next(iterator) * 2

    for _ in range(2):
        iterator = iter(tf.data.Dataset.range(3))
        assert [int(following(iterator)) for _ in range(3)] == [0, 2, 4]
        with pytest.raises(tf.errors.OutOfRangeError, match="End of sequence"):
            following(iterator)
    assert following.experimental_get_tracing_count() == 1


def test_a_dataset_is_an_argument_or_a_capture():
    @tf.function
    def total(dataset):
        result = tf.constant(0, tf.int64)
        for x in dataset:
            if x == 4:
                break
            result += x
        return result

    assert [int(total(tf.data.Dataset.range(n))) for n in (3, 10)] == [3, 6]
    assert total.experimental_get_tracing_count() == 1
    captured = tf.data.Dataset.range(4)
    assert [int(tf.function(lambda: total.python_function(captured))()) for _ in range(2)] == [6, 6]


def test_optionals_pass_through_branches_and_loops():
    @tf.function
    def f(iterator):
        def step(total, optional):
            return total + optional.get_value()["x"], iterator.get_next_as_optional()

        return tf.while_loop(
            lambda total, optional: optional.has_value(), step, (tf.constant(0, tf.int64), iterator.get_next_as_optional())
        )

    total, optional = f(iter(tf.data.Dataset.range(5).map(lambda x: {"x": x})))
    assert int(total) == 10
    assert not optional.has_value()
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not have a value"):
        optional.get_value()
    made = tf.function(lambda x: tf.experimental.Optional.from_value(x))(tf.constant(3))
    assert int(made.get_value()) == 3


def test_elements_with_composites():
    rows = tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1, 2], [3], []])).batch(2)
    sums = tf.function(lambda iterator: tf.reduce_sum(next(iterator), axis=1))
    iterator = iter(rows)
    assert [np.asarray(sums(iterator)).tolist() for _ in range(2)] == [[3, 3], [0]]


def test_a_function_hands_its_iterator_on():
    """An inner function takes from it as an inner call of the same graph does."""
    taken = tf.function(lambda iterator: next(iterator))

    @tf.function
    def three(iterator):
        return tf.stack([taken(iterator), iterator.get_next(), taken(iterator)])

    @tf.function
    def of_its_own():
        return three(iter(tf.data.Dataset.range(3)))

    iterator = iter(tf.data.Dataset.range(5))
    np.testing.assert_array_equal(three(iterator), [0, 1, 2])
    assert int(next(iterator)) == 3
    np.testing.assert_array_equal(of_its_own(), [0, 1, 2])
