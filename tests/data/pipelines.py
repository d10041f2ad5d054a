"""Random input pipelines as plain data, for any library: a source and a list of steps, each a name and some small numbers."""

# Sources and steps, with the number of small numbers that each takes. Elements are int64 scalars, or vectors after `batch`.
SOURCES = {
    "range": lambda tf, n: tf.data.Dataset.range(n),
    "slices": lambda tf, n: tf.data.Dataset.from_tensor_slices(tf.range(tf.constant(n, tf.int64)) * 3 % 7),
    "generator": lambda tf, n: tf.data.Dataset.from_generator(
        lambda: iter(range(n)), output_signature=tf.TensorSpec([], tf.int64)
    ),
    "rows": lambda tf, n: tf.data.Dataset.from_generator(
        lambda: iter([[i] * (i % 4) for i in range(n)]), output_signature=tf.TensorSpec([None], tf.int64)
    ),
    "ragged_rows": lambda tf, n: tf.data.Dataset.from_tensor_slices(
        tf.RaggedTensor.from_row_lengths(tf.range(sum(i % 3 for i in range(n)), dtype=tf.int64), [i % 3 for i in range(n)])
    ).map(lambda x: tf.convert_to_tensor(x)),
    "matrix": lambda tf, n: tf.data.Dataset.from_tensors(tf.reshape(tf.range(2 * n, dtype=tf.int64), [n, 2])).unbatch(),
}
STEPS = {
    "map": (1, lambda tf, d, n: d.map(lambda x: x * n + 1)),
    "map_parallel": (1, lambda tf, d, n: d.map(lambda x: x - n, num_parallel_calls=n)),
    "map_fails": (1, lambda tf, d, n: d.map(lambda x: 60 // (x - n))),
    "filter": (1, lambda tf, d, n: d.filter(lambda x: tf.reduce_sum(x) % (n + 1) != 0)),
    "take_while": (1, lambda tf, d, n: d.take_while(lambda x: tf.reduce_sum(x) < 5 * n)),
    "take": (1, lambda tf, d, n: d.take(n)),
    "skip": (1, lambda tf, d, n: d.skip(n)),
    "shard": (1, lambda tf, d, n: d.shard(n, n - 1)),
    "repeat": (1, lambda tf, d, n: d.repeat(n)),
    "shuffle": (2, lambda tf, d, n, m: d.shuffle(n, seed=m)),
    "shuffle_same": (2, lambda tf, d, n, m: d.shuffle(n, seed=m, reshuffle_each_iteration=False)),
    "batch": (1, lambda tf, d, n: d.batch(n)),
    "batch_drop": (1, lambda tf, d, n: d.batch(n, drop_remainder=True)),
    "padded_batch": (1, lambda tf, d, n: d.padded_batch(n)),
    "unbatch": (0, lambda tf, d: d.unbatch()),
    "rebatch": (1, lambda tf, d, n: d.rebatch(n)),
    "cache": (0, lambda tf, d: d.cache()),
    "prefetch": (1, lambda tf, d, n: d.prefetch(n)),
    "concatenate": (1, lambda tf, d, n: d.concatenate(tf.data.Dataset.range(n))),
    "zip": (1, lambda tf, d, n: tf.data.Dataset.zip((d, tf.data.Dataset.range(n))).map(lambda x, y: x + y)),
    "enumerate": (0, lambda tf, d: d.enumerate().map(lambda i, x: x * 2 + i)),
    "window": (2, lambda tf, d, n, m: d.window(n, m).flat_map(lambda w: w.batch(n))),
    "flat_map": (1, lambda tf, d, n: d.flat_map(lambda x: tf.data.Dataset.from_tensors(x).repeat(n))),
    "interleave": (2, lambda tf, d, n, m: d.interleave(lambda x: tf.data.Dataset.from_tensors(x).repeat(3), n, m)),
    "interleave_parallel": (
        2,
        lambda tf, d, n, m: d.interleave(lambda x: tf.data.Dataset.from_tensors(x).repeat(3), n, m, num_parallel_calls=n),
    ),
    "scan": (0, lambda tf, d: d.scan(tf.constant(0, tf.int64), lambda s, x: (s + tf.reduce_sum(x), x + s))),
    "ignore_errors": (0, lambda tf, d: d.ignore_errors()),
    "unique": (0, lambda tf, d: d.unique()),
    "group": (
        2,
        lambda tf, d, n, m: d.group_by_window(lambda x: tf.reduce_sum(x) % n, lambda key, group: group.batch(m), m),
    ),
    "random": (1, lambda tf, d, n: d.map(lambda x: x + tf.random.uniform([], maxval=100, dtype=tf.int64, seed=n))),
    "take_all": (0, lambda tf, d: d.take(-1)),
    "skip_all": (0, lambda tf, d: d.skip(-1)),
    "repeat_forever": (1, lambda tf, d, n: d.repeat().take(3 * n)),
    "batch_parallel": (2, lambda tf, d, n, m: d.batch(n, num_parallel_calls=m)),
    "padded_batch_drop": (
        1,
        lambda tf, d, n: d.padded_batch(n, drop_remainder=True, padding_values=tf.constant(-1, tf.int64)),
    ),
    "ragged_batch": (1, lambda tf, d, n: d.ragged_batch(n).map(lambda x: x.to_tensor() if hasattr(x, "to_tensor") else x)),
    "window_drop": (3, lambda tf, d, n, m, k: d.window(n, m, k, drop_remainder=True).flat_map(lambda w: w.batch(n))),
    "choose": (
        1,
        lambda tf, d, n: tf.data.Dataset.choose_from_datasets([d, d.skip(n)], tf.data.Dataset.range(9).map(lambda i: i % 2)),
    ),
    "choose_first": (
        1,
        lambda tf, d, n: tf.data.Dataset.choose_from_datasets(
            [d.take(n), d], tf.data.Dataset.range(9).map(lambda i: i % 2), stop_on_empty_dataset=False
        ),
    ),
    "bucket": (
        2,
        lambda tf, d, n, m: d.bucket_by_sequence_length(lambda x: tf.size(x), [2, 4], [n, m, 2], no_padding=True),
    ),
    "reducer": (
        1,
        lambda tf, d, n: d.apply(
            tf.data.experimental.group_by_reducer(
                lambda x: tf.reduce_sum(x) % n,
                tf.data.experimental.Reducer(
                    lambda key: tf.constant(0, tf.int64), lambda s, x: s * 3 + tf.reduce_sum(x), lambda s: s
                ),
            )
        ),
    ),
    "cond": (1, lambda tf, d, n: d.map(lambda x: tf.cond(tf.reduce_sum(x) > n, lambda: x * 2, lambda: x - n))),
    "slices_again": (0, lambda tf, d: d.flat_map(lambda x: tf.data.Dataset.from_tensor_slices(tf.reshape(x, [-1])))),
    "sample": (1, lambda tf, d, n: tf.data.Dataset.sample_from_datasets([d, d.take(n)], seed=n)),
}


def made(tf, pipeline):
    """The dataset of a pipeline."""
    (source, count), *steps = pipeline
    dataset = SOURCES[source](tf, count)
    for name, *numbers in steps:
        dataset = STEPS[name][1](tf, dataset, *numbers)
    return dataset


def strategy(most=4):
    """A Hypothesis strategy for pipelines of at most so many steps."""
    from hypothesis import strategies as st

    number = st.integers(1, 5)
    sources = st.tuples(st.sampled_from(sorted(SOURCES)), st.integers(0, 12))
    steps = st.one_of([st.tuples(st.just(name), *[number] * size) for name, (size, _) in sorted(STEPS.items())])
    # TensorFlow loses the errors behind three windows.
    few_windows = st.lists(steps, max_size=most).filter(lambda found: [name for name, *_ in found].count("window") < 3)
    return st.builds(lambda source, found: [source, *found], sources, few_windows)
