"""Draws examples, lets tapeflow and the real TensorFlow make something of each, in processes of their own, and compares."""

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))


def compare(script, outcome, strategy, differences, examples):
    """The whole of a comparing script; returns its exit status: 1 where anything differs.

    Args:
        script: its file, which is run again for each library with `--evaluate`.
        outcome: a function of a library and an example, whose result is plain data.
        strategy: a function that gives the Hypothesis strategy of examples, which are plain data.
        differences: a function of an example and both outcomes: a list of texts.
        examples: how many are drawn if nobody says.
    """
    if sys.argv[1:2] == ["--evaluate"]:
        return answer(outcome)
    options = options_of(examples)
    found = drawn(strategy(), options.examples, options.seed)
    ours, theirs = (
        evaluated(script, python, library, found)
        for python, library in ((sys.executable, "tapeflow"), (options.tensorflow, "tensorflow"))
    )
    wrong = 0
    for row in zip(found, ours, theirs, strict=True):
        for text in differences(*row):
            wrong += 1
            print(f"{row[0]}: {text}")
    print(f"{len(found)} examples, {wrong} differ")
    return 1 if wrong else 0


def answer(outcome):
    """What the library that the command line names makes of the examples on standard input, as JSON on standard output."""
    tf = importlib.import_module(sys.argv[2])
    json.dump([outcome(tf, example) for example in json.load(sys.stdin)], sys.stdout)
    return 0


def options_of(examples):
    """The options of a comparing script: `tensorflow`, `examples` and `seed`."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__.splitlines()[0])
    parser.add_argument("--tensorflow", required=True, help="the interpreter that has TensorFlow")
    parser.add_argument("--examples", type=int, default=examples)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def drawn(strategy, count, seed):
    """Examples of a Hypothesis strategy, the simple ones first."""
    import hypothesis

    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
        deadline=None,
    )
    @hypothesis.given(strategy)
    def collect(example):
        found.append(example)

    collect()
    return sorted(found, key=lambda example: len(str(example)))


def evaluated(script, python, library, examples):
    """What a library makes of examples."""
    environment = {**os.environ, "IMPL": library, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    run = subprocess.run(
        [python, script, "--evaluate", library],
        input=json.dumps(examples),
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if run.returncode:
        sys.exit(f"{library} failed:\n{run.stderr[-3000:]}")
    return json.loads(run.stdout)


def not_close(names, ours, theirs):
    """What is to be said of the named results, in float64, that are not close."""
    return [
        f"{name} is {a}, TensorFlow has {b}"
        for name, a, b in zip(names, ours, theirs, strict=True)
        if not np.allclose(a, b, rtol=1e-8, atol=1e-9, equal_nan=True)
    ]
