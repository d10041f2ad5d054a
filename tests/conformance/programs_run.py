"""Compares random programs with control flow and their gradients with the real TensorFlow, inside and outside of tf.function.

    python tests/conformance/programs_run.py --tensorflow PATH_TO_PYTHON_WITH_TENSORFLOW [--examples N] [--seed N]

The programs are those of `tests/programs.py`. Exit status 1 where any result differs.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))


def evaluate():
    """What this interpreter's library makes of the programs on standard input, as JSON on standard output."""
    import programs

    tf = programs.tf
    results = [values_of(tf, programs, as_tuple(program)) for program in json.load(sys.stdin)]
    json.dump(results, sys.stdout)


def as_tuple(value):
    """JSON's lists as tuples."""
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


def values_of(tf, programs, program):
    """Value and gradients of one program, eager and traced."""
    w = tf.Variable([0.9, 0.2, -0.4], dtype=tf.float64)
    x = tf.constant([0.3, -0.7, 1.1], tf.float64)

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = programs.run(program, [x, w.value()])
        return [y, *tape.gradient(y, [x, w], unconnected_gradients="zero")]

    traced = tf.function(gradients, autograph=False)
    return [np.asarray(tf.convert_to_tensor(part)).tolist() for part in (*gradients(x), *traced(x))]


def drawn(count, seed):
    """Programs for both libraries."""
    import hypothesis
    from program_strategies import programs

    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
        deadline=None,
    )
    @hypothesis.given(programs())
    def collect(program):
        found.append(program)

    collect()
    return found


def main():
    """Draw programs, run them on both libraries, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tensorflow", required=True)
    parser.add_argument("--examples", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = drawn(options.examples, options.seed)
    text = json.dumps(found)
    answers = []
    for python, library in ((sys.executable, "tapeflow"), (options.tensorflow, "tensorflow")):
        environment = {**os.environ, "IMPL": library, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        run = subprocess.run(
            [python, __file__, "--evaluate"], input=text, capture_output=True, text=True, env=environment, check=False
        )
        if run.returncode:
            sys.exit(f"{library} failed:\n{run.stderr[-3000:]}")
        answers.append(json.loads(run.stdout))
    wrong = 0
    for program, ours, theirs in zip(found, *answers, strict=True):
        for name, a, b in zip(("value", "dx", "dw", "traced value", "traced dx", "traced dw"), ours, theirs, strict=True):
            if not np.allclose(a, b, rtol=1e-8, atol=1e-9, equal_nan=True):
                wrong += 1
                print(f"{program}: {name} is {a}, TensorFlow has {b}")
    print(f"{len(found)} programs, {wrong} results differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(evaluate() if "--evaluate" in sys.argv else main())
