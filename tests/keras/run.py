"""Runs Keras's own tests from its wheel on tapeflow: every test that passes on real TensorFlow passes here, or has a reason.

    python tests/keras/run.py [group ...]      for example: losses layers/core

`passing.txt` lists the tests of Keras 3.15.1 that pass on TensorFlow 2.21; `excepted.txt` those that need not pass here, each
with its reason behind #. An excepted test that passes is reported too: its line is to be deleted.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
GROUPS = [
    "activations",
    "callbacks",
    "initializers",
    "layers/core",
    "layers/rnn",
    "losses",
    "metrics",
    "models",
    "ops/core_test.py",
    "optimizers",
    "random",
    "regularizers",
    "trainers",
    "utils/audio_dataset_utils_test.py",
    "utils/image_dataset_utils_test.py",
]


def names(path):
    """The test names in a file, without their reasons."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return {line for line in lines if line}


def run_group(group, source):
    """{test name: outcome} of one folder or file of tests."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes"
        environment = {
            **os.environ,
            "KERAS_BACKEND": "tensorflow",
            "KERAS_OUTCOMES": str(outcomes),
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
        }
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "keras_plugin",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:doctest",
            "--continue-on-collection-errors",
        ]
        command += ["--no-header", "--tb=short", "-c", os.devnull, "--rootdir", str(source.parent), str(source / group)]
        subprocess.run(command, env=environment, check=False, cwd=folder)
        lines = outcomes.read_text().split("\n") if outcomes.exists() else []
    return {name: outcome for outcome, name in (line.split(" ", 1) for line in lines if line)}


def main():
    """Run the groups and judge the outcomes; exit status 1 where a test failed or did not run without a reason."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", default=GROUPS)
    groups = parser.parse_args().groups
    source = Path(importlib.util.find_spec("keras").origin).parent / "src"
    outcomes = {}
    for group in groups:
        outcomes.update(run_group(group, source))
    prefixes = tuple("keras.src." + group.removesuffix(".py").replace("/", ".") + "." for group in groups)
    expected = {name for name in names(HERE / "passing.txt") if name.startswith(prefixes)}
    excepted = names(HERE / "excepted.txt")
    passed = {name for name, outcome in outcomes.items() if outcome == "passed"}
    wrong = sorted(expected - passed - excepted)
    stale = sorted(excepted & passed)
    for name in wrong:
        print(f"{outcomes.get(name, 'not run')}: {name}")
    for name in stale:
        print(f"passes, but is excepted: {name}")
    print(f"{len(passed & expected)} passed, {len(wrong)} failed, {len(expected & excepted)} skipped")
    return 1 if wrong or stale else 0


if __name__ == "__main__":
    sys.exit(main())
