"""Compares checkpoints with the real TensorFlow: each library writes random objects, and both read both's files.

    python tests/conformance/checkpoints_run.py --tensorflow PATH_TO_PYTHON_WITH_TENSORFLOW [--examples N] [--seed N]

The objects are those of `tests/train/trees.py`, then there is a Keras model that was trained, with its optimizer. Then both
restore each file into other objects, which are there or come later, and are asked how it went. Exit status 1 where a value is not
found again, where the keys and shapes in the files differ, or what other objects took.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from two_libraries import answer, drawn, evaluated, options_of

MODEL = "keras"


def outcome(tf, example):
    """Write an example, read what the other has written, or read it into other objects."""
    step, folder, number, tree = example
    path = f"{folder}/{number}"
    if tree == MODEL:
        return model_outcome(tf, step, path)
    from train import trees

    if step == "write":
        thing = trees.made(tf, tree)
        tf.train.Checkpoint(root=thing, more=[tf.Variable(7)]).write(path)
        return {
            "values": trees.plain(tf, tree, thing),
            "variables": [[key, list(shape)] for key, shape in tf.train.list_variables(path)],
        }
    if step in ("there", "later"):
        return into_another(tf, trees, path, tree, later=step == "later")
    thing, more = trees.made(tf, tree, fill=False), [tf.Variable(0)]
    checkpoint = tf.train.Checkpoint(root=thing, more=more)  # TensorFlow's status needs it to live
    checkpoint.read(path).assert_consumed()
    return {"values": trees.plain(tf, tree, thing), "more": int(more[0])}


def into_another(tf, trees, path, tree, later):
    """What objects take from a checkpoint of others, and what the status says; of an error only that it came."""
    thing = tf.Module() if later else trees.made(tf, tree, fill=False)
    try:
        status = tf.train.Checkpoint(thing).read(path).expect_partial()
        for name, child in tree[1] if later else ():
            setattr(thing, name, trees.made(tf, child, fill=False))
    except (ValueError, tf.errors.InvalidArgumentError):
        return {"error": True}
    except (tf.errors.NotFoundError, AttributeError):  # TensorFlow hands a Python state whatever stands in its place
        return None
    found = {"values": trees.plain(tf, tree, thing)}
    for check in ("assert_consumed", "assert_existing_objects_matched", "assert_nontrivial_match"):
        try:
            getattr(status, check)()
            found[check] = True
        except AssertionError:
            found[check] = False
    return found


def model_outcome(tf, step, path):
    """The same for a Keras model and its optimizer."""
    tf.keras.utils.set_random_seed(3 if step == "write" else 4)
    model = tf.keras.Sequential(
        [tf.keras.Input((3,)), tf.keras.layers.Dense(4, activation="relu"), tf.keras.layers.BatchNormalization()]
    )
    model.compile("adam", "mse")
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
    if step == "write":
        model.fit(np.arange(12.0).reshape(4, 3), np.ones((4, 4)), verbose=0)
        checkpoint.write(path)
    else:
        status = checkpoint.read(path)  # the optimizer's slots are not there yet
        model.optimizer.build(model.trainable_variables)
        status.assert_consumed()
    found = [*model.weights, *model.optimizer.variables]
    return {"values": [np.asarray(v.numpy()).tolist() for v in found]}


def main():
    """Write with both, read both's files with both, compare."""
    if sys.argv[1:2] == ["--evaluate"]:
        return answer(outcome)
    from train import trees

    options = options_of(examples=60)
    trees_drawn = [*drawn(trees.strategy(), options.examples, options.seed), MODEL]
    pythons = {"tapeflow": sys.executable, "tensorflow": options.tensorflow}
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        written = {}
        for writer, python in pythons.items():
            Path(folder, writer).mkdir()
            steps = [["write", f"{folder}/{writer}", i, tree] for i, tree in enumerate(trees_drawn)]
            written[writer] = evaluated(__file__, python, writer, steps)
        for tree, *both in zip(trees_drawn, *written.values(), strict=True):
            if tree != MODEL and both[0] != both[1]:
                wrong += 1
                print(f"{tree}: written\n  tapeflow   {both[0]}\n  TensorFlow {both[1]}")
        for writer in pythons:
            for reader, python in pythons.items():
                steps = [["read", f"{folder}/{writer}", i, tree] for i, tree in enumerate(trees_drawn)]
                for tree, wanted, found in zip(
                    trees_drawn, written[writer], evaluated(__file__, python, reader, steps), strict=True
                ):
                    if wanted["values"] != found["values"] or found.get("more", 7) != 7:
                        wrong += 1
                        print(f"{tree}: {writer} wrote {wanted['values']}, {reader} read {found}")
        for step in ("there", "later"):
            others = [*trees_drawn[1:-1], trees_drawn[0]]
            steps = [[step, f"{folder}/tensorflow", i, tree] for i, tree in enumerate(others)]
            ours, theirs = (evaluated(__file__, python, library, steps) for library, python in pythons.items())
            for before, after, a, b in zip(trees_drawn, others, ours, theirs, strict=False):
                if a != b and b is not None:
                    wrong += 1
                    print(f"{before} into {after}, {step}:\n  tapeflow   {a}\n  TensorFlow {b}")
    print(f"{len(trees_drawn)} checkpoints, {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
