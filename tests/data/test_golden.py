"""Every pipeline of `cases.py` gives what TensorFlow gives: elements, order, specs, sizes, classes of errors."""

import importlib.util
import json
from pathlib import Path

import pytest

import tapeflow as tf

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden.json").read_text())


def load(name):
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases, describe = load("cases"), load("describe")


def through_json(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("name", cases.CASES)
def test_pipeline(name):
    assert through_json(describe.described(tf, cases.CASES[name])) == GOLDEN["cases"][name]


@pytest.mark.parametrize("name", cases.ERRORS)
def test_error(name):
    assert describe.failure(tf, cases.ERRORS[name])["error"] == GOLDEN["errors"][name]["error"]
