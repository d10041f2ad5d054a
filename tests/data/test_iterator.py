"""Iterators that are saved and taken up again, single elements by their position, and what options do."""

import numpy as np
import pytest

import tapeflow as tf

Dataset = tf.data.Dataset


def counting(stop=50):
    return Dataset.from_generator(lambda: iter(range(stop)), output_signature=tf.TensorSpec([], tf.int64))


PIPELINES = {
    "range": lambda: Dataset.range(50),
    "slices": lambda: Dataset.from_tensor_slices({"a": np.arange(50), "b": ["x"] * 50}),
    "map": lambda: Dataset.range(50).map(lambda x: x * 2),
    "map_python": lambda: Dataset.range(50).map(lambda x: tf.numpy_function(lambda v: v + 1, [x], tf.int64)),
    "shuffle": lambda: Dataset.range(20).shuffle(7, seed=1).repeat(3),
    "shuffle_unseeded": lambda: Dataset.range(20).shuffle(7).repeat(3),
    "shuffle_stream": lambda: counting().shuffle(5, seed=4).batch(3),
    "batch": lambda: Dataset.range(100).shuffle(10, seed=5).batch(3),
    "batch_map": lambda: counting(100).map(lambda x: x * 2).batch(3),
    "filter": lambda: Dataset.range(99).filter(lambda x: x % 2 == 0),
    "interleave": lambda: Dataset.range(9).interleave(lambda x: Dataset.range(x), 3, 2),
    "parallel": lambda: Dataset.range(50).map(lambda x: tf.numpy_function(lambda v: v, [x], tf.int64), 2).prefetch(2),
    "zip": lambda: Dataset.zip((Dataset.range(50).shuffle(9, seed=2), counting())),
    "take_skip": lambda: counting().skip(5).take(40).skip(3),
    "take_skip_rows": lambda: Dataset.range(50).skip(5).take(40).skip(3),
    "shard": lambda: counting().shard(2, 1),
    "scan": lambda: Dataset.range(50).scan(tf.constant(0, tf.int64), lambda s, x: (s + x, s)),
    "window": lambda: Dataset.range(50).window(3, 1).flat_map(lambda w: w.batch(3)),
    "random": lambda: Dataset.random(seed=3).take(30),
    "sample": lambda: Dataset.sample_from_datasets([Dataset.range(30), Dataset.range(50, 80)], seed=4),
    "concatenate": lambda: counting(7).concatenate(counting(30)),
    "cache": lambda: counting(30).cache().repeat(2),
    "unbatch": lambda: Dataset.range(50).batch(7).unbatch(),
}


def plain(elements):
    return [tf.nest.map_structure(lambda x: np.asarray(x.numpy()).tolist(), element) for element in elements]


@pytest.mark.parametrize("position", [0, 1, 11])
@pytest.mark.parametrize("name", PIPELINES)
def test_a_saved_iterator_goes_on_where_it_was(name, position):
    dataset = PIPELINES[name]()
    iterator = iter(dataset)
    for _ in range(position):
        next(iterator)
    state = iterator._serialize_to_tensors()
    rest = plain(iterator)
    assert rest
    other = iter(dataset if "unseeded" in name else PIPELINES[name]())
    if position:
        next(other)  # where it stands does not matter
    other._restore_from_tensors(state)
    assert plain(other) == rest


def test_the_passes_after_a_restored_one_are_those_that_would_have_been():
    first = Dataset.range(12).shuffle(5, seed=1)
    list(first)
    iterator = iter(first)
    next(iterator)
    state = iterator._serialize_to_tensors()
    rest, following = plain(iterator), plain(first)
    again = Dataset.range(12).shuffle(5, seed=1)
    restored = iter(again)
    restored._restore_from_tensors(state)
    assert plain(restored) == rest and plain(again) == following


@pytest.mark.parametrize("count", [0, 1, 4, 49, 50, 60])
@pytest.mark.parametrize("name", PIPELINES)
def test_passing_over_elements_is_taking_them(name, count):
    if "unseeded" in name:
        pytest.skip("two passes differ")
    expected = plain(PIPELINES[name]())[count:]
    assert plain(PIPELINES[name]().skip(count)) == expected


def test_an_error_in_what_is_passed_over_comes():
    iterator = iter(Dataset.from_tensor_slices([1, 0, 5, 2]).map(lambda x: 10 // x).skip(1).skip(1))
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iterator)
    assert plain(iterator) == [5]


@pytest.mark.parametrize("dataset", [Dataset.range(5, 9), counting(4).map(lambda x: x + 5)], ids=["rows", "stream"])
def test_an_element_by_its_position(dataset):
    assert [int(tf.data.experimental.at(dataset, i)) for i in range(4)] == [5, 6, 7, 8]
    for index in (4, -1):
        with pytest.raises(tf.errors.OutOfRangeError, match=str(index)):
            tf.data.experimental.at(dataset, index)


# Options


def test_options_are_merged_and_reach_the_whole_pipeline():
    first, second = tf.data.Options(), tf.data.Options()
    first.deterministic = False
    first.threading.private_threadpool_size = 3
    second.deterministic = True
    dataset = Dataset.range(3).with_options(first).map(lambda x: x).with_options(second).batch(2)
    assert dataset.options().deterministic is True
    assert dataset.options().threading.private_threadpool_size == 3
    both = Dataset.zip(Dataset.range(2).with_options(first), Dataset.range(3))
    assert both.options().deterministic is False


def test_the_size_of_the_thread_pool_is_kept():
    import threading

    most, now, lock = 0, 0, threading.Lock()

    def count(x):
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.002)
        with lock:
            now -= 1
        return x

    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    dataset = Dataset.range(20).map(lambda x: tf.numpy_function(count, [x], tf.int64), num_parallel_calls=8)
    assert plain(dataset.with_options(options)) == list(range(20))
    assert most <= 2


def test_shuffles_that_had_not_begun_take_the_seeds_that_they_would_have_taken():
    def made():
        return Dataset.range(9).shuffle(4, seed=1).concatenate(Dataset.range(9).shuffle(4, seed=2))

    iterator = iter(made())
    taken = plain([next(iterator) for _ in range(3)])
    state = iterator._serialize_to_tensors()
    rest = plain(iterator)
    dataset = made()
    assert plain(dataset) == taken + rest
    plain(dataset)
    other = iter(dataset)
    other._restore_from_tensors(state)
    assert plain(other) == rest


def test_an_iterator_does_not_go_on_over_another_pipeline():
    state = iter(Dataset.range(9).shuffle(4))._serialize_to_tensors()
    with pytest.raises(tf.errors.InvalidArgumentError, match="had 1 random datasets such as shuffles, this one has 0"):
        iter(Dataset.range(9))._restore_from_tensors(state)
