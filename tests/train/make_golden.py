"""Writes golden.json: a checkpoint that TensorFlow wrote, and what stands in it.

python tests/train/make_golden.py     (an interpreter with TensorFlow)
"""

import base64
import json
import os
import pathlib
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
import trees

LEAVES = [["variable", dtype, shape, 5] for dtype in trees.DTYPES for shape in ([], [2, 3], [0])]
TREE = [
    "module",
    [
        ["leaves", ["list", [[str(i), leaf] for i, leaf in enumerate(LEAVES)]]],
        ["others", ["dict", [["x/y", ["table", 3]], ["z.", ["generator", 4]], ["p", ["python", 5]]]]],
    ],
]


def main():
    """Write a checkpoint and its values."""
    with tempfile.TemporaryDirectory() as folder:
        thing = trees.made(tf, TREE)
        checkpoint = tf.train.Checkpoint(
            model=thing, iterator=iter(tf.data.Dataset.range(3)), big=tf.Variable(np.arange(99))
        )
        path = pathlib.Path(checkpoint.save(folder + "/ckpt"))
        files = {one.name: base64.b64encode(one.read_bytes()).decode() for one in sorted(path.parent.iterdir())}
        golden = {"files": files, "tree": TREE, "values": trees.plain(tf, TREE, thing)}
    text = json.dumps(golden, indent=0)
    pathlib.Path(__file__).with_name("golden.json").write_text(text + "\n")


main()
