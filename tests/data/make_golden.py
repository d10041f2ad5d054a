"""Writes golden.json: what TensorFlow itself gives for the pipelines of `cases.py`. Run it with a Python that has TensorFlow."""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

import cases  # noqa: E402
import describe  # noqa: E402
import tensorflow as tf  # noqa: E402


def main():
    found = {
        "cases": {name: describe.described(tf, make) for name, make in cases.CASES.items()},
        "sizes": {
            name: [int(make(tf, cases.three(tf, infinite)).cardinality()) for infinite in (False, True)]
            for name, make in cases.SIZES.items()
        },
        "errors": {name: describe.failure(tf, make) for name, make in cases.ERRORS.items()},
    }
    lines = [
        f"{json.dumps(kind)}: {{\n"
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
        + "\n}"
        for kind, rows in found.items()
    ]
    (HERE / "golden.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
