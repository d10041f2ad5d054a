"""A pytest plugin for the tests inside the Keras wheel: tapeflow stands for tensorflow, and only the listed tests run."""

import os
import sys
from pathlib import Path

import pytest

import tapeflow

tapeflow.compat.install_as_tensorflow()
sys.modules["conftest"] = sys.modules[__name__]  # Keras's tests import its repository's conftest, which is not in the wheel

HERE = Path(__file__).parent
MARKERS = ("requires_trainable_backend", "requires_tpu", "multi_device", "skip_on_gpu", "skip_on_cpu", "large")


def skip_if_backend(given_backend, reason):
    """A mark that skips a test on one Keras backend."""
    return pytest.mark.skipif(os.environ.get("KERAS_BACKEND", "tensorflow") == given_backend, reason=reason)


def listed(name):
    """The test names in a file: one a line, a reason behind #."""
    lines = [line.split("#")[0].strip() for line in (HERE / name).read_text().splitlines()]
    return {line for line in lines if line}


def name_of(item):
    """`keras.src.losses.loss_test.LossTest::test_x`, as the lists name tests."""
    cls = f".{item.cls.__name__}" if item.cls is not None else ""
    return f"{item.module.__name__}{cls}::{item.name}"


def pytest_configure(config):
    for marker in MARKERS:
        config.addinivalue_line("markers", f"{marker}: a mark of Keras's tests")
    config.stash[OUTCOMES] = {}


OUTCOMES = pytest.StashKey[dict[str, str]]()


def pytest_collection_modifyitems(config, items):
    """Keep the tests that pass on real TensorFlow."""
    wanted = listed("passing.txt")
    items[:] = [item for item in items if name_of(item) in wanted]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    outcomes = item.config.stash[OUTCOMES]
    name = name_of(item)
    if report.failed:
        outcomes[name] = "failed"
    elif report.when == "call" and outcomes.get(name) != "failed":
        outcomes[name] = report.outcome


def pytest_sessionfinish(session):
    """Write what became of each test, for run.py to judge."""
    path = os.environ.get("KERAS_OUTCOMES")
    if path:
        lines = [f"{outcome} {name}" for name, outcome in sorted(session.config.stash[OUTCOMES].items())]
        Path(path).write_text("\n".join(lines) + "\n")
