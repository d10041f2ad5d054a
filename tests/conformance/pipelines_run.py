"""Compares random input pipelines with the real TensorFlow: elements and their order, specs, sizes, classes of errors.

    python tests/conformance/pipelines_run.py --tensorflow PATH_TO_PYTHON_WITH_TENSORFLOW [--examples N] [--seed N]

A pipeline is a source and a list of steps with numbers. Hypothesis draws pipelines, each library runs all of them in a process
of its own, and what they give is compared. Exit status 1 where anything differs.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "data"))
MOST = 40  # elements that are asked for

# Sources and steps, with the number of small numbers that each takes. Elements are int64 scalars, or vectors after `batch`.
SOURCES = {
    "range": lambda tf, n: tf.data.Dataset.range(n),
    "slices": lambda tf, n: tf.data.Dataset.from_tensor_slices(tf.range(tf.constant(n, tf.int64)) * 3 % 7),
    "generator": lambda tf, n: tf.data.Dataset.from_generator(
        lambda: iter(range(n)), output_signature=tf.TensorSpec([], tf.int64)
    ),
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
    "sample": (1, lambda tf, d, n: tf.data.Dataset.sample_from_datasets([d, d.take(n)], seed=n)),
}


def made(tf, pipeline):
    """The dataset of a pipeline."""
    (source, count), *steps = pipeline
    dataset = SOURCES[source](tf, count)
    for name, *numbers in steps:
        dataset = STEPS[name][1](tf, dataset, *numbers)
    return dataset


def outcome(tf, pipeline):
    """What a pipeline gives, twice, as plain data; an error is its class."""
    import describe

    tf.random.set_seed(None)
    try:
        dataset = made(tf, pipeline)
    except Exception as error:
        return {"made": type(error).__name__}
    return {
        "spec": str(dataset.element_spec),
        "size": int(dataset.cardinality()),
        "elements": [elements(tf, dataset, describe.plain) for _ in range(2)],
    }


def elements(tf, dataset, plain):
    """The first elements; iteration goes on after an error."""
    found, iterator = [], iter(dataset)
    while len(found) < MOST:
        try:
            found.append(plain(tf, next(iterator)))
        except StopIteration:
            break
        except Exception as error:
            found.append(type(error).__name__)
    return found


def evaluate(library):
    """What a library makes of the pipelines on standard input, as JSON on standard output."""
    import importlib

    tf = importlib.import_module(library)
    json.dump([outcome(tf, pipeline) for pipeline in json.load(sys.stdin)], sys.stdout)


def drawn(count, seed):
    """Pipelines, the simple ones first."""
    import hypothesis
    from hypothesis import strategies as st

    number = st.integers(1, 5)
    sources = st.tuples(st.sampled_from(sorted(SOURCES)), st.integers(0, 12))
    steps = st.one_of([st.tuples(st.just(name), *[number] * size) for name, (size, _) in sorted(STEPS.items())])
    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
        deadline=None,
    )
    @hypothesis.given(sources, st.lists(steps, max_size=4))
    def collect(source, steps):
        if [name for name, *_ in steps].count("window") < 3:  # TensorFlow loses the errors behind three of them
            found.append([source, *steps])

    collect()
    return sorted(found, key=len)


def main():
    """Draw pipelines, run them on both libraries, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tensorflow", required=True)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    pipelines = drawn(options.examples, options.seed)
    answers = []
    for python, library in ((sys.executable, "tapeflow"), (options.tensorflow, "tensorflow")):
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        run = subprocess.run(
            [python, __file__, "--evaluate", library],
            input=json.dumps(pipelines),
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        if run.returncode:
            sys.exit(f"{library} failed:\n{run.stderr[-3000:]}")
        answers.append(json.loads(run.stdout))
    wrong = [row for row in zip(pipelines, *answers, strict=True) if row[1] != row[2]]
    for pipeline, ours, theirs in wrong:
        print(f"{pipeline}:\n  tapeflow   {ours}\n  TensorFlow {theirs}")
    print(f"{len(pipelines)} pipelines, {len(wrong)} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(evaluate(sys.argv[2]) if sys.argv[1:2] == ["--evaluate"] else main())
