"""Pipelines that run on TensorFlow and on tapeflow alike: `make_golden.py` writes down what TensorFlow gives.

A case is a function of the module `tf` that gives a dataset. It is iterated over twice. In ERRORS the function, or the
iteration, raises.
"""

import collections

import numpy as np

Pair = collections.namedtuple("Pair", "x y")
MATRIX = np.arange(6, dtype=np.float32).reshape(3, 2)


def slices(tf, *parts):
    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])


def upto(tf, *args, **kwargs):
    return tf.data.Dataset.range(*args, **kwargs)


def lengths(tf, *numbers):
    """Vectors of these lengths."""
    return slices(tf, list(numbers)).map(tf.range)


def failing(tf, bad, stop=6):
    """0, 1, ... of which some raise."""

    def check(x):
        with tf.control_dependencies([tf.debugging.assert_none_equal(x, tf.constant(bad, tf.int64))]):
            return tf.identity(x)

    return upto(tf, stop).map(check)


def seeded(tf, seed, make):
    tf.random.set_seed(seed)
    return make()


def counted(stop):
    def numbers():
        yield from range(stop)

    return numbers


def bucketed(tf, **options):
    return lengths(tf, 2, 5, 1, 3, 6, 2, 4).bucket_by_sequence_length(tf.size, [3, 5], [2, 2, 1], **options)


def collatz(tf):
    return upto(tf, 1, 5).map(lambda x: tf.cond(x % 2 == 0, lambda: x // 2, lambda: 3 * x + 1))


def ragged(tf):
    return tf.ragged.constant([[1, 2], [3], [], [4, 5, 6]])


def sparse(tf):
    return tf.sparse.from_dense([[1, 0, 2], [0, 0, 3], [0, 0, 0]])


def summing(tf):
    zero = tf.constant(0, tf.int64)
    return tf.data.experimental.Reducer(lambda key: zero, lambda state, x: state + x, lambda state: (state, -state))


CASES = {
    # sources
    "tensors": lambda tf: tf.data.Dataset.from_tensors({"a": [1, 2], "b": (3.0, "x")}),
    "slices": lambda tf: slices(tf, {"a": MATRIX, "b": ["x", "y", "z"]}),
    "slices_pair": lambda tf: slices(tf, Pair([1, 2], [3.0, 4.0])),
    "slices_ragged": lambda tf: slices(tf, ragged(tf)),
    "slices_sparse": lambda tf: slices(tf, sparse(tf)),
    "slices_empty": lambda tf: slices(tf, np.zeros((0, 3))),
    "range": lambda tf: upto(tf, 2, 11, 3),
    "range_down": lambda tf: upto(tf, 5, 0, -2),
    "range_float": lambda tf: upto(tf, 3, output_type=tf.float32),
    "range_empty": lambda tf: upto(tf, 5, 2),
    "counter": lambda tf: tf.data.Dataset.counter(3, 2, dtype=tf.int32).take(4),
    "generator": lambda tf: tf.data.Dataset.from_generator(counted(4), output_signature=tf.TensorSpec([], tf.int32)),
    "generator_types": lambda tf: tf.data.Dataset.from_generator(
        lambda: iter([(1, [2.0]), (3, [4.0, 5.0])]), (tf.int64, tf.float32), ([], [None])
    ),
    "generator_dict": lambda tf: tf.data.Dataset.from_generator(
        lambda n: iter([{"a": n}, {"a": n + 1}]), args=[5], output_signature={"a": tf.TensorSpec(None, tf.int64)}
    ),
    "generator_ragged": lambda tf: tf.data.Dataset.from_generator(
        lambda: iter([tf.ragged.constant([[1], [2, 3]])]), output_signature=tf.RaggedTensorSpec([None, None], tf.int32)
    ),
    "random": lambda tf: tf.data.Dataset.random(seed=4).take(7),
    "random_again": lambda tf: tf.data.Dataset.random(seed=4, rerandomize_each_iteration=True).take(5),
    "random_global": lambda tf: seeded(tf, 9, lambda: tf.data.Dataset.random().take(5)),
    "zip": lambda tf: tf.data.Dataset.zip({"a": upto(tf, 3), "b": (upto(tf, 4, 9), slices(tf, MATRIX))}),
    "zip_args": lambda tf: tf.data.Dataset.zip(upto(tf, 5), upto(tf, 2)),
    "zip_generator": lambda tf: tf.data.Dataset.zip(
        upto(tf, 5), tf.data.Dataset.from_generator(counted(3), output_signature=tf.TensorSpec([], tf.int32))
    ),
    "enumerate": lambda tf: slices(tf, ["a", "b"]).enumerate(5),
    "enumerate_pairs": lambda tf: slices(tf, [1, 2], [3, 4]).enumerate(),
    # functions
    "map": lambda tf: upto(tf, 5).map(lambda x: x * x),
    "map_nest": lambda tf: slices(tf, [1, 2], [3, 4]).map(lambda a, b: {"sum": a + b, "list": [a, b]}),
    "map_list": lambda tf: upto(tf, 3).map(lambda x: [x, x + 1]),
    "map_unknown": lambda tf: lengths(tf, 1, 3),
    "map_parallel": lambda tf: upto(tf, 9).map(lambda x: x + 1, num_parallel_calls=3),
    "map_autotune": lambda tf: upto(tf, 9).map(lambda x: x + 1, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True),
    "map_python": lambda tf: upto(tf, 4).map(
        lambda x: tf.ensure_shape(tf.numpy_function(lambda v: v * 2, [x], tf.int64), []), num_parallel_calls=2
    ),
    "map_batch": lambda tf: (
        slices(tf, MATRIX, [0, 1, 2]).map(lambda x, y: (tf.reshape(x, [2, 1]) / 255.0, tf.one_hot(y, 3))).batch(2)
    ),
    "map_shuffle_batch": lambda tf: slices(tf, np.arange(40.0)).map(lambda x: x * 2 + 1).shuffle(10, seed=3).batch(7),
    "map_sum_batch": lambda tf: slices(tf, MATRIX).map(tf.reduce_sum).batch(2),
    "map_none": lambda tf: upto(tf, 2).map(lambda x: (x, None)),
    "map_string": lambda tf: slices(tf, ["a", "b"]).map(lambda x: tf.strings.join([x, "!"])).batch(3),
    "map_ragged": lambda tf: slices(tf, ragged(tf)).map(lambda x: x * 2),
    "map_make_ragged": lambda tf: upto(tf, 1, 3).map(lambda x: tf.RaggedTensor.from_row_lengths([1, 2, 3], [1, 2])),
    "map_random": lambda tf: seeded(tf, 3, lambda: upto(tf, 4).map(lambda x: tf.random.uniform([], seed=7))),
    "map_cond": collatz,
    "filter": lambda tf: upto(tf, 10).filter(lambda x: x % 3 == 1),
    "filter_pairs": lambda tf: slices(tf, [1, 2, 3], [4, 5, 6]).filter(lambda a, b: a * b > 5),
    "take_while": lambda tf: upto(tf, 10).take_while(lambda x: x < 4),
    "scan": lambda tf: upto(tf, 6).scan(tf.constant(0, tf.int64), lambda s, x: (s + x, s * x)),
    "scan_shapes": lambda tf: upto(tf, 4).scan(tf.zeros([0], tf.int64), lambda s, x: (tf.concat([s, [x]], 0), s)),
    "flat_map": lambda tf: slices(tf, [[1, 2], [3, 4]]).flat_map(tf.data.Dataset.from_tensor_slices),
    "flat_map_range": lambda tf: upto(tf, 4).flat_map(lambda x: tf.data.Dataset.range(x)),
    "flat_map_captured": lambda tf: upto(tf, 3).flat_map(lambda x: tf.data.Dataset.range(2).map(lambda y: x * 10 + y)),
    "interleave": lambda tf: upto(tf, 1, 6).interleave(
        lambda x: tf.data.Dataset.from_tensors(x).repeat(6), cycle_length=2, block_length=4
    ),
    "interleave_uneven": lambda tf: upto(tf, 7).interleave(
        lambda x: tf.data.Dataset.range(x), cycle_length=3, block_length=2
    ),
    "interleave_parallel": lambda tf: upto(tf, 7).interleave(
        lambda x: tf.data.Dataset.range(x).map(lambda y: x * 10 + y), cycle_length=3, block_length=2, num_parallel_calls=2
    ),
    # batches
    "batch": lambda tf: upto(tf, 7).batch(3),
    "batch_drop": lambda tf: slices(tf, {"a": np.arange(7), "s": list("abcdefg")}).batch(3, drop_remainder=True),
    "batch_batch": lambda tf: upto(tf, 12).batch(2).batch(3),
    "batch_ragged": lambda tf: slices(tf, ragged(tf)).batch(3),
    "batch_sparse": lambda tf: slices(tf, sparse(tf)).batch(2),
    "batch_none": lambda tf: slices(tf, ([1, 2, 3], None)).batch(2),
    "batch_tensor_size": lambda tf: upto(tf, 5).batch(tf.constant(2, tf.int64)),
    "padded": lambda tf: lengths(tf, 1, 3, 2).padded_batch(2),
    "padded_drop": lambda tf: lengths(tf, 1, 3, 2).padded_batch(2, drop_remainder=True),
    "padded_shapes": lambda tf: lengths(tf, 1, 3, 2).padded_batch(2, padded_shapes=[5], padding_values=-1),
    "padded_nest": lambda tf: (
        lengths(tf, 1, 3, 2)
        .map(lambda x: {"a": x, "b": (tf.cast(x, tf.float32), "s")})
        .padded_batch(3, padded_shapes={"a": [None], "b": ([4], [])}, padding_values={"a": 9, "b": (0.5, "")})
    ),
    "padded_strings": lambda tf: lengths(tf, 1, 2).map(tf.strings.as_string).padded_batch(2),
    "padded_tensor_shape": lambda tf: lengths(tf, 1, 2).padded_batch(2, padded_shapes=tf.constant([4], tf.int64)),
    "ragged_batch": lambda tf: lengths(tf, 1, 3, 2).ragged_batch(2),
    "ragged_batch_drop": lambda tf: lengths(tf, 1, 3, 2).map(lambda x: (x, 1.0)).ragged_batch(2, drop_remainder=True),
    "ragged_batch_int32": lambda tf: lengths(tf, 1, 3).ragged_batch(2, row_splits_dtype=tf.int32),
    "ragged_batch_deep": lambda tf: (
        lengths(tf, 1, 2).map(lambda x: tf.fill([tf.size(x), 3, tf.size(x) + 1], 7)).ragged_batch(2)
    ),
    "sparse_batch": lambda tf: lengths(tf, 1, 3, 2).sparse_batch(2, [4]),
    "unbatch": lambda tf: upto(tf, 7).batch(3).unbatch(),
    "unbatch_nest": lambda tf: tf.data.Dataset.from_tensors({"a": MATRIX, "b": ["x", "y", "z"]}).unbatch(),
    "unbatch_ragged": lambda tf: tf.data.Dataset.from_tensors(ragged(tf)).unbatch(),
    "rebatch": lambda tf: upto(tf, 8).batch(4).rebatch(3),
    "rebatch_divides": lambda tf: upto(tf, 8).batch(4, drop_remainder=True).rebatch(2),
    "rebatch_sizes": lambda tf: upto(tf, 9).batch(4).rebatch([2, 1]),
    "rebatch_drop": lambda tf: upto(tf, 8).batch(4).rebatch(3, drop_remainder=True),
    # order
    "take": lambda tf: upto(tf, 9).take(4),
    "take_all": lambda tf: upto(tf, 3).take(-1),
    "take_many": lambda tf: upto(tf, 3).take(8),
    "skip": lambda tf: upto(tf, 5).skip(3),
    "skip_all": lambda tf: upto(tf, 5).skip(-1),
    "skip_filtered": lambda tf: upto(tf, 9).filter(lambda x: x % 2 == 0).skip(2).take(2),
    "shard": lambda tf: upto(tf, 10).shard(3, 1),
    "shard_filtered": lambda tf: upto(tf, 10).filter(lambda x: x > 2).shard(3, 1),
    "repeat": lambda tf: upto(tf, 3).repeat(2),
    "repeat_forever": lambda tf: upto(tf, 2).repeat().take(5),
    "repeat_none": lambda tf: upto(tf, 2).repeat(0),
    "repeat_empty": lambda tf: upto(tf, 0).repeat(),
    "repeat_filtered": lambda tf: upto(tf, 4).filter(lambda x: x > 1).repeat(2),
    "concatenate": lambda tf: upto(tf, 2).concatenate(upto(tf, 5, 8)),
    "concatenate_shapes": lambda tf: slices(tf, MATRIX).concatenate(slices(tf, np.ones((1, 3), np.float32))),
    "shuffle": lambda tf: upto(tf, 20).shuffle(6, seed=1),
    "shuffle_all": lambda tf: upto(tf, 20).shuffle(100, seed=2),
    "shuffle_unknown": lambda tf: upto(tf, 9).shuffle(tf.data.UNKNOWN_CARDINALITY, seed=2),
    "shuffle_same": lambda tf: upto(tf, 12).shuffle(5, seed=1, reshuffle_each_iteration=False),
    "shuffle_repeat": lambda tf: upto(tf, 6).shuffle(4, seed=1).repeat(3),
    "repeat_shuffle": lambda tf: upto(tf, 6).repeat(2).shuffle(4, seed=8).batch(5),
    "shuffle_filtered": lambda tf: upto(tf, 20).filter(lambda x: x % 2 == 0).shuffle(4, seed=5),
    "shuffle_filtered_repeat": lambda tf: upto(tf, 9).filter(lambda x: x < 7).shuffle(3, seed=5).repeat(2),
    "shuffle_global": lambda tf: seeded(tf, 42, lambda: upto(tf, 15).shuffle(7)),
    "shuffle_twice": lambda tf: seeded(tf, 42, lambda: upto(tf, 15).shuffle(7, seed=3).shuffle(4)),
    "shuffle_shard_zip": lambda tf: tf.data.Dataset.zip(upto(tf, 12).shuffle(5, seed=1).shard(2, 0), upto(tf, 6)),
    "unique": lambda tf: slices(tf, [1, 37, 2, 37, 2, 1]).unique(),
    "unique_strings": lambda tf: slices(tf, ["a", "b", "a"]).unique(),
    "cache": lambda tf: upto(tf, 4).map(lambda x: x + 1).cache(),
    "cache_shuffle": lambda tf: upto(tf, 9).filter(lambda x: x > 2).cache().shuffle(3, seed=1),
    "prefetch": lambda tf: upto(tf, 4).prefetch(2),
    "prefetch_none": lambda tf: upto(tf, 4).prefetch(0),
    "assert_cardinality": lambda tf: upto(tf, 9).filter(lambda x: x > 5).apply(tf.data.experimental.assert_cardinality(3)),
    # errors that pass
    "ignore_errors": lambda tf: failing(tf, 2).ignore_errors(),
    "ignore_errors_batch": lambda tf: failing(tf, 2, 9).batch(2).ignore_errors(),
    "ignore_errors_shuffle": lambda tf: failing(tf, 2, 9).shuffle(3, seed=1).ignore_errors(),
    "ignore_errors_parallel": lambda tf: failing(tf, 3, 9).map(lambda x: x * 2, num_parallel_calls=2).ignore_errors(),
    "ignore_gather": lambda tf: slices(tf, [0, 9, 1, 2]).map(lambda i: 10 // (i - 1)).batch(2).ignore_errors(),
    # windows and groups
    "window": lambda tf: upto(tf, 7).window(3).flat_map(lambda w: w.batch(3)),
    "window_shift": lambda tf: upto(tf, 7).window(3, shift=1, drop_remainder=True).flat_map(lambda w: w.batch(3)),
    "window_stride": lambda tf: upto(tf, 9).window(3, shift=2, stride=2).flat_map(lambda w: w.batch(3)),
    "window_gap": lambda tf: upto(tf, 11).window(2, shift=4).flat_map(lambda w: w.batch(2)),
    "window_pairs": lambda tf: (
        slices(tf, [1, 2, 3, 4], [5, 6, 7, 8]).window(2).flat_map(lambda a, b: tf.data.Dataset.zip((a.batch(2), b.batch(2))))
    ),
    "window_dict": lambda tf: slices(tf, {"a": [1, 2, 3]}).window(2).flat_map(lambda w: w["a"].batch(2)),
    "group_by_window": lambda tf: upto(tf, 10).group_by_window(lambda x: x % 3, lambda key, group: group.batch(2), 2),
    "group_by_window_func": lambda tf: upto(tf, 12).group_by_window(
        lambda x: x % 2, lambda key, group: group.batch(10), window_size_func=lambda key: key + 2
    ),
    "group_by_window_key": lambda tf: upto(tf, 6).group_by_window(
        lambda x: x % 2, lambda key, group: group.map(lambda x: (key, x)), 4
    ),
    "buckets": bucketed,
    "buckets_boundary": lambda tf: lengths(tf, 2, 4, 1, 3, 2, 4).bucket_by_sequence_length(
        tf.size, [3, 6], [2, 2, 1], pad_to_bucket_boundary=True
    ),
    "buckets_values": lambda tf: bucketed(tf, padding_values=-1, drop_remainder=True),
    "buckets_no_padding": lambda tf: lengths(tf, 2, 3, 2, 3).bucket_by_sequence_length(
        tf.size, [3], [2, 2], no_padding=True
    ),
    "group_by_reducer": lambda tf: slices(tf, np.array([5, 3, 4, 2, 7])).apply(
        tf.data.experimental.group_by_reducer(lambda x: -(x % 3), summing(tf))
    ),
    "from_list": lambda tf: tf.data.experimental.from_list([{"a": 1, "b": [2.0]}, {"a": 3, "b": [4.0]}]),
    "pad_to_cardinality": lambda tf: slices(tf, {"a": [1, 2], "s": ["x", "y"]}).apply(
        tf.data.experimental.pad_to_cardinality(4)
    ),
    # several datasets
    "choose": lambda tf: tf.data.Dataset.choose_from_datasets(
        [upto(tf, 3), upto(tf, 10, 15)], slices(tf, np.array([0, 1, 1, 0, 0, 0, 1], np.int64))
    ),
    "choose_on": lambda tf: tf.data.Dataset.choose_from_datasets(
        [upto(tf, 2), upto(tf, 10, 15)], slices(tf, np.array([0, 1, 0, 0, 0, 1], np.int64)), stop_on_empty_dataset=False
    ),
    "sample": lambda tf: tf.data.Dataset.sample_from_datasets([upto(tf, 8), upto(tf, 20, 28)], seed=3),
    "sample_weights": lambda tf: tf.data.Dataset.sample_from_datasets(
        [upto(tf, 8), upto(tf, 20, 28), upto(tf, 30, 33)], weights=[0.2, 0.7, 0.1], seed=5, stop_on_empty_dataset=True
    ),
    "sample_zero": lambda tf: tf.data.Dataset.sample_from_datasets(
        [upto(tf, 8), upto(tf, 20, 28), upto(tf, 30, 35)], weights=[0.5, 0.0, 0.5], seed=5
    ),
    "sample_again": lambda tf: tf.data.Dataset.sample_from_datasets(
        [upto(tf, 8), upto(tf, 20, 28)], seed=3, rerandomize_each_iteration=True
    ),
    "sample_dataset": lambda tf: tf.data.Dataset.sample_from_datasets(
        [upto(tf, 8), upto(tf, 20, 28)], weights=slices(tf, [[0.5, 0.5], [0.1, 0.9]]).repeat(), seed=3
    ),
    "resample": lambda tf: seeded(
        tf,
        5,
        lambda: slices(tf, [0, 1, 0, 0, 0, 1, 0, 0, 1, 0] * 4).rejection_resample(
            lambda x: x, target_dist=[0.5, 0.5], initial_dist=[0.7, 0.3], seed=11
        ),
    ),
    # options
    "options": lambda tf: upto(tf, 3).with_options(tf.data.Options()),
}


def three(tf, infinite):
    return upto(tf, 3).repeat() if infinite else upto(tf, 3)


# Each takes a dataset; only the size of what it gives is asked for, for three elements and for an infinite number.
SIZES = {
    "filter": lambda tf, d: d.filter(lambda x: x > 1),
    "take_while": lambda tf, d: d.take_while(lambda x: x < 1),
    "flat_map": lambda tf, d: d.flat_map(lambda x: tf.data.Dataset.range(2)),
    "interleave": lambda tf, d: d.interleave(lambda x: tf.data.Dataset.range(2)),
    "map": lambda tf, d: d.map(lambda x: x),
    "batch": lambda tf, d: d.batch(2),
    "batch_drop": lambda tf, d: d.batch(2, drop_remainder=True),
    "padded_batch": lambda tf, d: d.padded_batch(2),
    "ragged_batch": lambda tf, d: d.ragged_batch(2),
    "window": lambda tf, d: d.window(2, 3, 2),
    "window_drop": lambda tf, d: d.window(2, 1, 1, drop_remainder=True),
    "window_none": lambda tf, d: d.window(3, 2, 2, drop_remainder=True),
    "unique": lambda tf, d: d.unique(),
    "ignore_errors": lambda tf, d: d.ignore_errors(),
    "group_by_window": lambda tf, d: d.group_by_window(lambda x: x, lambda key, group: group, 2),
    "scan": lambda tf, d: d.scan(0, lambda s, x: (s, x)),
    "unbatch": lambda tf, d: d.batch(2).unbatch(),
    "unbatch_known": lambda tf, d: d.batch(2, drop_remainder=True).unbatch(),
    "rebatch": lambda tf, d: d.batch(2, drop_remainder=True).rebatch(3),
    "shard": lambda tf, d: d.shard(2, 0),
    "skip": lambda tf, d: d.skip(2),
    "take": lambda tf, d: d.take(2),
    "repeat": lambda tf, d: d.repeat(2),
    "shuffle": lambda tf, d: d.shuffle(2),
    "cache": lambda tf, d: d.cache(),
    "concatenate": lambda tf, d: d.concatenate(upto(tf, 3)),
    "concatenate_unknown": lambda tf, d: d.concatenate(upto(tf, 3).filter(lambda x: x > 1)),
    "zip": lambda tf, d: tf.data.Dataset.zip(d, upto(tf, 5)),
    "zip_unknown": lambda tf, d: tf.data.Dataset.zip(d, upto(tf, 5).filter(lambda x: x > 1)),
    "sample": lambda tf, d: tf.data.Dataset.sample_from_datasets([d, upto(tf, 3)]),
    "sample_stop": lambda tf, d: tf.data.Dataset.sample_from_datasets([d, upto(tf, 3)], stop_on_empty_dataset=True),
    "choose": lambda tf, d: tf.data.Dataset.choose_from_datasets([d, d], upto(tf, 2)),
    "generator": lambda tf, d: tf.data.Dataset.from_generator(counted(3), output_signature=tf.TensorSpec([], tf.int32)),
    "random": lambda tf, d: tf.data.Dataset.random(1),
    "window_uneven": lambda tf, d: upto(tf, 10).window(3, 2, 2),
    "window_uneven_drop": lambda tf, d: upto(tf, 10).window(3, 2, 2, drop_remainder=True),
    "group_by_reducer": lambda tf, d: d.apply(tf.data.experimental.group_by_reducer(lambda x: x % 2, summing(tf))),
}

# Each raises while it is made or iterated over.
ERRORS = {
    "range_none": lambda tf: tf.data.Dataset.range(),
    "range_step": lambda tf: upto(tf, 1, 5, 0),
    "slices_scalar": lambda tf: slices(tf, 3),
    "slices_none": lambda tf: slices(tf, ()),
    "slices_lengths": lambda tf: slices(tf, [1, 2], [3]),
    "batch_zero": lambda tf: upto(tf, 3).batch(0),
    "batch_shapes": lambda tf: lengths(tf, 1, 2).batch(2),
    "shuffle_zero": lambda tf: upto(tf, 3).shuffle(0),
    "prefetch_negative": lambda tf: upto(tf, 3).prefetch(-2),
    "shard_index": lambda tf: upto(tf, 3).shard(3, 3),
    "shard_zero": lambda tf: upto(tf, 3).shard(0, 0),
    "window_zero": lambda tf: upto(tf, 3).window(0),
    "zip_list": lambda tf: tf.data.Dataset.zip([upto(tf, 3)]),
    "zip_number": lambda tf: tf.data.Dataset.zip((upto(tf, 3), 3)),
    "zip_nothing": lambda tf: tf.data.Dataset.zip(),
    "concatenate_types": lambda tf: upto(tf, 3).concatenate(slices(tf, [1.0])),
    "filter_int": lambda tf: upto(tf, 3).filter(lambda x: x),
    "filter_vector": lambda tf: upto(tf, 3).filter(lambda x: [True]),
    "take_while_int": lambda tf: upto(tf, 3).take_while(lambda x: x),
    "map_object": lambda tf: upto(tf, 3).map(lambda x: object()),
    "map_fails": lambda tf: failing(tf, 2),
    "map_zero_calls": lambda tf: upto(tf, 3).map(lambda x: x, num_parallel_calls=0),
    "flat_map_tensor": lambda tf: upto(tf, 3).flat_map(lambda x: x),
    "interleave_cycle": lambda tf: upto(tf, 3).interleave(lambda x: tf.data.Dataset.range(x), cycle_length=0),
    "reduce_structure": lambda tf: upto(tf, 3).reduce(0, lambda s, x: (s, s)),
    "reduce_dtype": lambda tf: upto(tf, 3).reduce(0, lambda s, x: x),
    "scan_no_pair": lambda tf: upto(tf, 3).scan(0, lambda s, x: s),
    "scan_dtype": lambda tf: upto(tf, 3).scan(0, lambda s, x: (x, x)),
    "unbatch_scalar": lambda tf: upto(tf, 3).unbatch(),
    "unbatch_lengths": lambda tf: tf.data.Dataset.from_tensors(([1, 2], [3])).unbatch(),
    "rebatch_scalar": lambda tf: upto(tf, 3).rebatch(2),
    "padded_small": lambda tf: lengths(tf, 3).padded_batch(1, padded_shapes=[2]),
    "padded_rank": lambda tf: slices(tf, MATRIX).padded_batch(1, padded_shapes=[1]),
    "padded_value": lambda tf: lengths(tf, 3).padded_batch(1, padding_values=1.5),
    "unique_float": lambda tf: slices(tf, [1.5]).unique(),
    "single_none": lambda tf: upto(tf, 0).get_single_element(),
    "single_two": lambda tf: upto(tf, 2).get_single_element(),
    "cardinality_more": lambda tf: upto(tf, 9).apply(tf.data.experimental.assert_cardinality(3)),
    "cardinality_less": lambda tf: upto(tf, 2).apply(tf.data.experimental.assert_cardinality(3)),
    "group_sizes": lambda tf: upto(tf, 3).group_by_window(lambda x: x, lambda key, group: group),
    "group_reduce": lambda tf: upto(tf, 3).group_by_window(lambda x: x, lambda key, group: key, 2),
    "buckets_sizes": lambda tf: lengths(tf, 1).bucket_by_sequence_length(tf.size, [3], [2]),
    "buckets_long": lambda tf: bucketed(tf, pad_to_bucket_boundary=True),
    "choose_none": lambda tf: tf.data.Dataset.choose_from_datasets([], upto(tf, 3)),
    "choose_type": lambda tf: tf.data.Dataset.choose_from_datasets([upto(tf, 3)], slices(tf, [0])),
    "choose_range": lambda tf: tf.data.Dataset.choose_from_datasets([upto(tf, 3)], slices(tf, np.array([1]))),
    "sample_weights": lambda tf: tf.data.Dataset.sample_from_datasets([upto(tf, 3), upto(tf, 3)], weights=[1.0]),
    "generator_nothing": lambda tf: tf.data.Dataset.from_generator(counted(3)),
    "generator_value": lambda tf: tf.data.Dataset.from_generator(3, tf.int32),
    "generator_shape": lambda tf: tf.data.Dataset.from_generator(
        lambda: iter([[1, 2]]), output_signature=tf.TensorSpec([3], tf.int32)
    ),
    "generator_dtype": lambda tf: tf.data.Dataset.from_generator(
        lambda: iter(["a"]), output_signature=tf.TensorSpec([], tf.int32)
    ),
    "generator_structure": lambda tf: tf.data.Dataset.from_generator(
        lambda: iter([(1, 2)]), output_signature=tf.TensorSpec([], tf.int32)
    ),
    "generator_raises": lambda tf: tf.data.Dataset.from_generator(
        lambda: (1 // 0 for _ in range(3)), output_signature=tf.TensorSpec([], tf.int32)
    ),
    "options_type": lambda tf: upto(tf, 3).with_options(3),
    "apply_number": lambda tf: upto(tf, 3).apply(len),
    "length_infinite": lambda tf: len(upto(tf, 3).repeat()),
    "length_unknown": lambda tf: len(upto(tf, 3).filter(lambda x: x > 1)),
}
