"""User functions are traced once, and run on many elements where that cannot be told apart; datasets within traced functions."""

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.base import flags
from tapeflow.data.function import EXACT

Dataset = tf.data.Dataset


def values(dataset):
    return [x.numpy().tolist() for x in dataset]


# Tracing


def test_a_function_runs_once_in_python():
    calls = []

    def double(x):
        calls.append(x)
        return 2 * x

    dataset = Dataset.range(4).map(double)
    assert len(calls) == 1 and not isinstance(calls[0], np.generic)
    assert values(dataset) == values(dataset) == [0, 2, 4, 6]
    assert len(calls) == 1


def test_functions_that_give_datasets_run_once_too():
    calls = []

    def repeated(x):
        calls.append(x)
        return Dataset.from_tensors(x).repeat(x)

    assert values(Dataset.range(4).flat_map(repeated)) == [1, 2, 2, 3, 3, 3]
    assert len(calls) == 1


def test_statements_over_tensors_are_converted():
    def collatz(x):
        steps = tf.constant(0)
        while x > 1:
            if x % 2 == 0:
                x = x // 2
            else:
                x = 3 * x + 1
            steps += 1
        return steps

    assert values(Dataset.range(1, 8).map(collatz)) == [0, 1, 7, 2, 5, 8, 16]
    assert values(Dataset.range(8).filter(lambda x: x > 2 and x < 5)) == [3, 4]


def test_shapes_are_known_from_tracing():
    dataset = Dataset.range(3).map(lambda x: {"a": tf.zeros([2, 3]), "b": tf.range(x)})
    assert dataset.element_spec["a"] == tf.TensorSpec([2, 3], tf.float32)
    assert dataset.element_spec["b"] == tf.TensorSpec([None], tf.int64)


def test_an_error_while_tracing_comes_from_map():
    with pytest.raises(tf.errors.InvalidArgumentError, match="shapes"):
        Dataset.from_tensors(tf.zeros([2])).map(lambda x: x + tf.zeros([3]))


def test_a_variable_is_read_for_each_element():
    factor = tf.Variable(2, dtype=tf.int64)
    iterator = iter(Dataset.range(1, 9).map(lambda x: x * factor))
    assert int(next(iterator)) == 2
    factor.assign(10)
    assert [int(next(iterator)) for _ in range(3)] == [20, 30, 40]


def test_a_variable_may_be_assigned():
    seen = tf.Variable(0, dtype=tf.int64)
    assert values(Dataset.range(1, 4).map(lambda x: seen.assign_add(x))) == [1, 3, 6]


def test_a_model_layer_in_a_pipeline():
    layer = tf.keras.layers.Rescaling(0.5, offset=1.0)
    assert values(Dataset.from_tensor_slices([[2.0, 4.0]]).map(layer)) == [[2.0, 3.0]]


# Many elements at once

ARRAY = np.linspace(-3, 3, 60).astype(np.float32).reshape(20, 3)
FUNCTIONS = {
    "arithmetic": lambda x: (x * 2 - 1) / 3 + x**2,
    "shapes": lambda x: tf.transpose(tf.reshape(x, [3, 1])),
    "exp": lambda x: tf.exp(x) + tf.tanh(x) * tf.sin(x) - tf.math.log1p(tf.abs(x)),
    "logistic": lambda x: tf.sigmoid(x) + tf.nn.relu(x) * tf.math.rsqrt(x * x + 1.0),
    "cast": lambda x: (tf.cast(x, tf.int32), tf.cast(x, tf.uint8), x > 0),
    "one_hot": lambda x: tf.one_hot(tf.cast(tf.abs(x), tf.int32), 4),
    "slice": lambda x: (x[1], x[::-1], tf.stack([x, x]), tf.concat([x, [1.0]], 0)),
    "max": lambda x: (tf.reduce_max(x), tf.argmin(x), tf.sort(x)),
    "where": lambda x: tf.where(x > 0, x, tf.zeros([3])),
    "integer sum": lambda x: tf.reduce_sum(tf.cast(x, tf.int32)),
    "float sum": tf.reduce_sum,
    "constant": lambda x: (x, tf.constant(5), tf.zeros([2])),
    "matmul": lambda x: tf.linalg.matvec(tf.ones([2, 3]), x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("size", [1, 3, 8])
def test_a_batch_at_once_gives_the_same_bits(name, size):
    function = FUNCTIONS[name]
    mapped = Dataset.from_tensor_slices(ARRAY).map(function)
    with flags.using(COMPILE=0):  # functions on elements run on the NumPy kernels, so that no batch can be told by its bits
        single = [tf.nest.flatten(tf.function(function)(row)) for row in tf.constant(ARRAY)]
    for found in (
        mapped.batch(size),
        mapped.shuffle(1).batch(size),
        Dataset.from_generator(lambda: iter(ARRAY), output_signature=tf.TensorSpec([3], tf.float32))
        .map(function)
        .batch(size),
    ):
        rows = [tf.nest.flatten(row) for row in found.unbatch()]
        assert len(rows) == len(single)
        for row, wanted in zip(rows, single, strict=True):
            for a, b in zip(row, wanted, strict=True):
                assert a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()


def test_what_runs_at_once():
    def at_once(function):
        return Dataset.from_tensor_slices(ARRAY).map(function)._vectorized

    assert all(at_once(FUNCTIONS[name]) for name in ("arithmetic", "exp", "one_hot", "max", "integer sum", "constant"))
    assert not at_once(FUNCTIONS["float sum"]) and not at_once(FUNCTIONS["matmul"])
    assert not at_once(lambda x: x + tf.random.uniform([]))
    assert not at_once(lambda x: tf.py_function(lambda y: y, [x], tf.float32))
    assert "sum" not in EXACT and "mean" not in EXACT


def test_rows_of_a_block_do_not_keep_it():
    dataset = Dataset.from_tensor_slices(np.ones((64, 1000), np.float32)).map(lambda x: x + 1)
    kept = list(dataset)
    assert all(x._value.base is None for x in kept)


# Within traced functions


def test_a_dataset_made_of_arguments():
    @tf.function
    def total(n, rows):
        result = tf.constant(0, tf.int64)
        for x in Dataset.range(n):
            result += x
        for row in Dataset.from_tensor_slices(rows).batch(2):
            result += tf.cast(tf.reduce_sum(row), tf.int64)
        return result

    assert int(total(tf.constant(4, tf.int64), tf.constant([1, 2, 3]))) == 12
    assert int(total(tf.constant(2, tf.int64), tf.constant([5, 5, 5]))) == 16
    assert total.experimental_get_tracing_count() == 1


def test_functions_of_datasets_that_capture_what_is_being_traced():
    @tf.function
    def scaled(factor):
        return Dataset.range(3).map(lambda x: x * factor).reduce(factor, lambda state, x: state + x * factor)

    assert int(scaled(tf.constant(2, tf.int64))) == 2 + 2 * 2 + 4 * 2
    assert int(scaled(tf.constant(3, tf.int64))) == 3 + 3 * 3 + 6 * 3


def test_a_dataset_is_a_result():
    @tf.function
    def upto(n):
        return Dataset.range(n).map(lambda x: x + n)

    dataset = upto(tf.constant(3, tf.int64))
    assert isinstance(dataset, Dataset) and values(dataset) == values(dataset) == [3, 4, 5]


def test_a_window_is_reduced():
    dataset = Dataset.range(6).window(3).map(lambda window: window.reduce(tf.constant(0, tf.int64), lambda s, x: s + x))
    assert values(dataset) == [3, 12]


def test_elements_of_a_window_are_iterated_over():
    def largest(window):
        result = tf.constant(-1, tf.int64)
        for x in window:
            result = tf.maximum(result, x)
        return result

    assert values(Dataset.range(6).window(4).map(largest)) == [3, 5]


def test_a_shuffle_in_a_function_starts_anew_each_time():
    dataset = Dataset.range(2).flat_map(lambda x: Dataset.range(8).shuffle(8, seed=3))
    found = values(dataset)
    assert found[:8] == found[8:] != list(range(8))


def test_layers_of_functions():
    def outer(x):
        def inner(y):
            return Dataset.range(2).map(lambda z: x * 100 + y * 10 + z)

        return Dataset.range(2).flat_map(inner)

    assert values(Dataset.range(1, 3).flat_map(outer)) == [100, 101, 110, 111, 200, 201, 210, 211]


def test_a_function_that_needs_a_number_says_so():
    with pytest.raises(Exception, match="symbolic"):
        Dataset.range(3).map(lambda x: tf.constant(np.arange(int(x))))
