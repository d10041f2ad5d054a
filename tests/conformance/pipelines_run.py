"""Compares random input pipelines with the real TensorFlow: elements and their order, specs, sizes, classes of errors.

    python tests/conformance/pipelines_run.py --tensorflow PATH_TO_PYTHON_WITH_TENSORFLOW [--examples N] [--seed N]

The pipelines are those of `tests/data/pipelines.py`. Exit status 1 where anything differs.
"""

import sys

from two_libraries import compare

MOST = 40  # elements that are asked for


def outcome(tf, pipeline):
    """What a pipeline gives, twice, as plain data; an error is its class."""
    from data import describe, pipelines

    tf.random.set_seed(None)
    try:
        dataset = pipelines.made(tf, pipeline)
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


def strategy():
    """What is drawn."""
    from data import pipelines

    return pipelines.strategy()


def differences(pipeline, ours, theirs):
    """What differs between the libraries' outcomes."""
    return [] if ours == theirs else [f"\n  tapeflow   {ours}\n  TensorFlow {theirs}"]


if __name__ == "__main__":
    sys.exit(compare(__file__, outcome, strategy, differences, examples=300))
