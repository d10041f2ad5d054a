"""The calls of cases.py give what TensorFlow gives, and files that TensorFlow wrote are read, and written alike."""

import base64
import json
import pathlib
import sys

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.io.records import RecordReader

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cases

sys.path.pop(0)

GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden.json").read_text())
IMAGES = {name: base64.b64decode(data) for name, data in GOLDEN["images"].items()}
WRITTEN = [base64.b64decode(data) for data in GOLDEN["written"]]


def expected(table):
    return list(zip(cases.lines(getattr(cases, table)), GOLDEN["outcomes"][table], strict=True))


@pytest.mark.parametrize("call, outcome", [pair for table in ("PARSING", "FORMATS", "IMAGES") for pair in expected(table)])
def test_gives_what_tensorflow_gives(call, outcome):
    assert cases.outcome(tf, call, cases.names(tf, IMAGES)) == outcome


def test_files(tmp_path):
    cases.prepare(tmp_path)
    space = cases.names(tf, IMAGES)
    for call, outcome in expected("FILES"):
        found = cases.outcome(tf, call.replace("{folder}", str(tmp_path)), space)
        assert found.replace(str(tmp_path), "{folder}") == outcome, call


@pytest.mark.parametrize("call", GOLDEN["near"])
def test_fast_jpeg_is_near(call):
    shape, data = GOLDEN["near"][call]
    theirs = np.frombuffer(base64.b64decode(data), np.uint8).reshape(shape).astype(int)
    ours = eval(call, cases.names(tf, IMAGES)).numpy().astype(int)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 8 and np.abs(ours - theirs).mean() < 1.5


@pytest.mark.parametrize("compression", GOLDEN["records"])
def test_reads_tensorflows_records(tmp_path, compression):
    path = tmp_path / "records"
    path.write_bytes(base64.b64decode(GOLDEN["records"][compression]))
    with RecordReader(path, compression) as reader:
        assert list(reader) == WRITTEN


def test_writes_tensorflows_bytes(tmp_path):
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in WRITTEN:
            writer.write(record)
    assert path.read_bytes() == base64.b64decode(GOLDEN["records"][""])
