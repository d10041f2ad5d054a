"""`tf.train.Checkpoint`: values find their objects again, now or when they are made, and nothing goes wrong in silence."""

import base64
import gc
import json
import logging
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from data import pipelines
from hypothesis import given, settings
from hypothesis import strategies as st
from train import trees

import tapeflow as tf

Checkpoint = tf.train.Checkpoint
GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())


@pytest.fixture
def prefix(tmp_path):
    return str(tmp_path / "ckpt")


@pytest.fixture
def golden(tmp_path):
    for name, content in GOLDEN["files"].items():
        (tmp_path / name).write_bytes(base64.b64decode(content))
    return str(tmp_path)


# What TensorFlow wrote


def test_what_tensorflow_wrote_is_read(golden):
    path = tf.train.latest_checkpoint(golden)
    assert path == golden + "/ckpt-1"
    thing = trees.made(tf, GOLDEN["tree"], fill=False)
    big = tf.Variable(np.zeros(99, np.int64))
    checkpoint = Checkpoint(model=thing, big=big)
    status = checkpoint.restore(path).assert_existing_objects_matched().expect_partial()
    assert json.loads(json.dumps(trees.plain(tf, GOLDEN["tree"], thing))) == GOLDEN["values"]
    assert big.numpy().tolist() == list(range(99)) and int(checkpoint.save_counter) == 1
    with pytest.raises(AssertionError, match=r"Unresolved object in checkpoint \(root\).iterator"):
        status.assert_consumed()


def test_the_state_of_an_iterator_of_tensorflow_is_passed_over(golden):
    iterator = iter(tf.data.Dataset.range(3))
    next(iterator)
    model, big = trees.made(tf, GOLDEN["tree"], fill=False), tf.Variable(np.zeros(99, np.int64))
    checkpoint = Checkpoint(iterator=iterator, model=model, big=big)
    status = checkpoint.restore(golden + "/ckpt-1").expect_partial()
    assert [int(x) for x in iterator] == [1, 2]
    with pytest.raises(AssertionError, match=r"Unused attributes.*\n\(root\).iterator .*ITERATOR"):
        status.assert_consumed()


def test_the_tensors_that_tensorflow_wrote_are_listed(golden):
    listed = dict(tf.train.list_variables(golden))
    assert listed["model/leaves/1/.ATTRIBUTES/VARIABLE_VALUE"] == [2, 3]
    assert listed["model/others/x.Sy/.ATTRIBUTES/table-keys"] == [3]
    assert tf.train.load_variable(golden, "big/.ATTRIBUTES/VARIABLE_VALUE").tolist() == list(range(99))
    reader = tf.train.load_checkpoint(golden)
    assert reader.get_variable_to_dtype_map()["model/others/z../_state_var/.ATTRIBUTES/VARIABLE_VALUE"] is tf.int64
    assert reader.has_tensor("big/.ATTRIBUTES/VARIABLE_VALUE") and not reader.has_tensor("small")
    with pytest.raises(tf.errors.UnimplementedError, match="ITERATOR_STATE of dtype variant is not read"):
        reader.get_tensor("iterator/.ATTRIBUTES/ITERATOR_STATE")
    view = tf.train.CheckpointView(golden + "/ckpt-1")
    assert view.children(0).keys() == {"model", "iterator", "big", "save_counter"}
    assert view.descendants() == sorted(view.descendants())


# What is saved is restored


@settings(max_examples=100, deadline=None)
@given(tree=trees.strategy())
def test_values_find_their_objects_again(tmp_path_factory, tree):
    prefix = str(tmp_path_factory.getbasetemp() / "tree")
    thing = trees.made(tf, tree)
    wanted = trees.plain(tf, tree, thing)
    Checkpoint(thing).write(prefix)
    other = trees.made(tf, tree, fill=False)
    checkpoint = Checkpoint(other)
    checkpoint.read(prefix).assert_consumed()
    assert trees.plain(tf, tree, other) == wanted
    named = Checkpoint(below=thing)
    named.read(named.write(prefix)).assert_consumed()


@settings(max_examples=100, deadline=None)
@given(tree=trees.strategy(), data=st.data())
def test_values_wait_for_objects_that_are_made_later(tmp_path_factory, tree, data):
    """The attributes of the root come one after another, in any order, and take what waits for them."""
    prefix = str(tmp_path_factory.getbasetemp() / "later")
    thing = trees.made(tf, tree)
    wanted = trees.plain(tf, tree, thing)
    Checkpoint(thing).write(prefix)
    other = tf.Module()
    status = Checkpoint(other).read(prefix)
    for name, child in data.draw(st.permutations(tree[1])):
        setattr(other, name, trees.made(tf, child, fill=False))
    status.assert_consumed()
    assert trees.plain(tf, tree, other) == wanted


def test_the_last_restoration_counts(prefix):
    paths = [Checkpoint(v=tf.Variable(float(i))).write(f"{prefix}{i}") for i in range(2)]
    module = tf.Module()
    checkpoint = Checkpoint(v=module)
    for path in paths:
        Checkpoint(v=tf.Variable(5.0)).read(path)
        checkpoint = Checkpoint()
    first, second = checkpoint.read(paths[0]), checkpoint.read(paths[1])
    checkpoint.v = tf.Variable(5.0)
    assert float(checkpoint.v) == 1.0
    second.assert_consumed()
    first.expect_partial()


def test_a_value_is_taken_while_a_function_is_traced(prefix):
    path = Checkpoint(v=tf.Variable([1.0, 2.0])).write(prefix)
    checkpoint = Checkpoint()
    status = checkpoint.read(path)

    @tf.function
    def f(x):
        if not hasattr(checkpoint, "v"):
            with tf.init_scope():
                checkpoint.v = tf.Variable([0.0, 0.0])
        return checkpoint.v * x

    assert f(tf.constant(2.0)).numpy().tolist() == [2.0, 4.0]
    status.assert_consumed()


def test_one_object_under_two_names_is_saved_once(prefix):
    v = tf.Variable(1.0)
    path = Checkpoint(a=v, b=[v]).write(prefix)
    assert len(tf.train.list_variables(path)) == 2
    a, b = tf.Variable(0.0), tf.Variable(0.0)
    Checkpoint(b=[b]).read(path).assert_consumed()
    assert float(b) == 1.0
    with pytest.raises(AssertionError, match="1 Python objects that were not bound"):
        Checkpoint(a=a, b=[b]).read(path).assert_consumed()


def test_circles_are_saved(prefix):
    a, b = tf.Module(), tf.Module()
    a.child, b.parent, b.list, b.v = b, a, [a], tf.Variable(3)
    b.list.append(b.list)
    path = Checkpoint(a).write(prefix)
    b.v.assign(0)
    Checkpoint(a).read(path).assert_consumed()
    assert int(b.v) == 3


def test_save_counts_and_restore_goes_on_counting(prefix):
    checkpoint = Checkpoint(v=tf.Variable(1.0))
    assert [checkpoint.save(prefix)[-2:] for _ in range(2)] == ["-1", "-2"]
    module = tf.Module()
    for other in (Checkpoint(v=tf.Variable(0.0)), Checkpoint(module)):
        module.v = tf.Variable(0.0)
        status = other.restore(prefix + "-2")
        assert int(other.save_counter) == 2
        status.assert_consumed()
    assert tf.train.latest_checkpoint(os.path.dirname(prefix)) == prefix + "-2"


def test_keras_models_and_optimizers_go_on_training_as_if_nothing_had_been(prefix):
    def made(seed):
        tf.keras.utils.set_random_seed(seed)
        model = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(4), tf.keras.layers.BatchNormalization()])
        model.compile("adam", "mse")
        return model, Checkpoint(model=model, optimizer=model.optimizer)

    x, y = np.arange(12.0).reshape(4, 3), np.ones((4, 4))
    first, checkpoint = made(1)
    first.fit(x, y, verbose=0)
    path = checkpoint.save(prefix)
    second, other = made(2)
    status = other.restore(path)  # the optimizer has no slots yet
    for model in (first, second):
        model.fit(x, y, verbose=0)
    status.assert_consumed()
    for a, b in zip(
        [*first.weights, *first.optimizer.variables], [*second.weights, *second.optimizer.variables], strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@settings(max_examples=150, deadline=None)
@given(pipeline=pipelines.strategy(), position=st.integers(0, 12), again=st.integers(0, 5))
def test_iterators_go_on_at_the_same_element(tmp_path_factory, pipeline, position, again):
    prefix = str(tmp_path_factory.getbasetemp() / "iterator")

    def rest(iterator, most=30):
        found = []
        for _ in range(most):
            try:
                found.append(next(iterator).numpy().tolist())
            except StopIteration:
                break
            except Exception as error:
                found.append(type(error).__name__)
        return found

    try:
        iterator = iter(pipelines.made(tf, pipeline))
    except (TypeError, ValueError):
        return  # steps that do not fit each other
    rest(iterator, position)
    path = Checkpoint(iterator=iterator).write(prefix)
    wanted = rest(iterator)
    other = iter(pipelines.made(tf, pipeline))
    rest(other, again)
    Checkpoint(iterator=other).read(path).assert_consumed()
    assert rest(other) == wanted


# What goes wrong


@pytest.mark.parametrize("wrong", ["shape", "dtype"])
def test_a_restoration_that_fails_changes_nothing(prefix, wrong, caplog):
    path = Checkpoint(a=tf.Variable(1.0), b=tf.Variable([1.0, 2.0]), c=tf.Variable(1.0), d=tf.Variable(1.0)).write(prefix)
    b = tf.Variable([0.0, 0.0, 0.0]) if wrong == "shape" else tf.Variable([0, 0])
    checkpoint = Checkpoint(a=tf.Variable(0.0), b=b, c=tf.Variable(0.0))
    text, kind = {
        "shape": (
            r"with shape \(2,\) when attempting to restore variable with shape \(3,\) and name Variable:0",
            ValueError,
        ),
        "dtype": (
            "b/.ATTRIBUTES/VARIABLE_VALUE; expected dtype int32 does not equal original dtype float32",
            tf.errors.InvalidArgumentError,
        ),
    }[wrong]
    with pytest.raises(kind, match=text):
        checkpoint.read(path)
    assert [float(v) for v in (checkpoint.a, checkpoint.c)] == [0.0, 0.0] and not np.any(b.numpy())
    checkpoint.d = tf.Variable(0.0)
    assert float(checkpoint.d) == 0.0  # nothing waits for it
    gc.collect()
    assert not caplog.records
    checkpoint.b = tf.Variable([0.0, 0.0])
    checkpoint.read(path).assert_consumed()


def test_a_value_that_waits_and_does_not_fit_is_refused(prefix):
    path = Checkpoint(v=tf.Variable([1.0, 2.0])).write(prefix)
    checkpoint = Checkpoint()
    checkpoint.read(path).expect_partial()
    with pytest.raises(ValueError, match=r"shape \(2,\) .* shape \(3,\)"):
        checkpoint.v = tf.Variable([0.0, 0.0, 0.0])
    checkpoint.v = tf.Variable([0.0, 0.0])
    assert checkpoint.v.numpy().tolist() == [1.0, 2.0]


def test_layers_of_a_model_that_was_never_called_wait_for_their_weights(prefix):
    """Keras builds them in a scope without variables first, fails, and builds them again."""

    class Model(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.others = (
                tf.keras.layers.Dense(3),
                {"a": tf.keras.layers.Dense(2), "b": [tf.keras.layers.Dense(2)]},
            )

        def call(self, x):
            return self.others["b"][0](self.others["a"](self.first(x)))

    first, second, x = Model(), Model(), tf.ones([1, 5])
    wanted = first(x)
    status = Checkpoint(second).read(Checkpoint(first).write(prefix))
    assert second(x).numpy().tolist() == wanted.numpy().tolist()
    status.assert_consumed()


def test_variables_of_any_shape_take_any(prefix):
    path = Checkpoint(v=tf.Variable([1.0, 2.0])).write(prefix)
    v = tf.Variable([[0.0]], shape=tf.TensorShape(None))
    Checkpoint(v=v).read(path)
    assert v.numpy().tolist() == [1.0, 2.0]


def test_assertions_of_a_status(prefix):
    v = tf.Variable(1.0)
    path = Checkpoint(v=v).write(prefix)
    for other in (Checkpoint(w=v), Checkpoint(v=v, w=tf.Variable(1.0))):
        status = other.read(path).expect_partial()
        for check in (status.assert_consumed, status.assert_existing_objects_matched):
            with pytest.raises(AssertionError, match="Found 1 Python objects that were not bound to checkpointed values"):
                check()
    with pytest.raises(AssertionError, match="Nothing except the root object matched"):
        Checkpoint(w=v).read(path).expect_partial().assert_nontrivial_match()
    with pytest.raises(AssertionError, match="Nothing to load"):
        Checkpoint().read(path).expect_partial().assert_nontrivial_match()
    empty = Checkpoint()
    status = empty.read(path).expect_partial()
    status.assert_existing_objects_matched()
    with pytest.raises(AssertionError, match=r"Unresolved object in checkpoint \(root\).v"):
        status.assert_consumed()
    nothing = Checkpoint(v=v).restore(None)
    nothing.initialize_or_restore()
    for check in (nothing.assert_consumed, nothing.assert_existing_objects_matched, nothing.assert_nontrivial_match):
        with pytest.raises(AssertionError, match="No checkpoint specified"):
            check()


def test_values_that_nobody_took_are_told(prefix, caplog):
    path = Checkpoint(v=tf.Variable(1.0)).write(prefix)
    with caplog.at_level(logging.WARNING):
        Checkpoint().read(path).expect_partial()
        gc.collect()
        assert not caplog.records
        Checkpoint().read(path)
        gc.collect()
    assert "Value in checkpoint could not be found in the restored object: (root).v" in caplog.text


def test_errors_of_paths_and_arguments(prefix, tmp_path):
    v = tf.Variable([1.0])
    with pytest.raises(
        tf.errors.NotFoundError, match="Error when restoring from checkpoint .*\n.*missing the checkpoint suffix"
    ):
        Checkpoint(v=v).restore(prefix)
    for function in (tf.train.load_checkpoint, tf.train.list_variables):
        with pytest.raises(ValueError, match="Couldn't find 'checkpoint' file or checkpoints in given directory"):
            function(tmp_path)
    with pytest.raises(ValueError, match="expecting v to be a trackable object .*, got 1"):
        Checkpoint(v=1)
    with pytest.raises(ValueError, match="expecting root to be a trackable object"):
        Checkpoint([v])
    module = tf.Module()
    module.v = v
    with pytest.raises(ValueError, match=r"keyword argument v if root\.v already exists"):
        Checkpoint(module, v=tf.Variable(1.0))
    Checkpoint(module, v=v)
    with pytest.raises(NotImplementedError, match="save.. from a function is not supported"):
        tf.function(lambda: Checkpoint(v=v).save(prefix))()
    with pytest.raises(ValueError, match="neither a string nor an int"):
        Checkpoint(d={(1, 2): v}).write(prefix)
    (tmp_path / "file").write_text("")
    with pytest.raises(tf.errors.AlreadyExistsError, match="file"):
        Checkpoint(v=v).save(tmp_path / "file" / "x")


def test_a_checkpoint_of_names_alone_is_refused_with_words(prefix):
    from tapeflow.io.bundle import write_bundle

    write_bundle(prefix, {"v": (tf.float32, np.float32(1))})
    with pytest.raises(ValueError, match="does not appear to be object-based"):
        Checkpoint(v=tf.Variable(1.0)).read(prefix)
    assert tf.train.load_variable(prefix, "v") == 1


def test_weak_roots_and_restored_objects_are_not_kept_alive(prefix):
    module = tf.Module()
    module.v = tf.Variable(1.0)
    checkpoint = Checkpoint(weakref.ref(module))
    path = checkpoint.save(prefix)
    checkpoint.restore(path).assert_consumed()
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None


def test_a_list_that_is_filled_later_takes_values_when_it_is_set_anew(prefix):
    path = Checkpoint(layers=[tf.Variable(1.0), tf.Variable(2.0)]).write(prefix)
    checkpoint = Checkpoint(layers=[])
    status = checkpoint.read(path)
    checkpoint.layers.extend([tf.Variable(0.0), tf.Variable(0.0)])
    with pytest.raises(AssertionError, match="not bound to checkpointed values"):
        status.assert_consumed()
    checkpoint.layers = list(checkpoint.layers)
    assert list(map(float, checkpoint.layers)) == [1.0, 2.0]
    status.assert_consumed()


# Folders of checkpoints


def manager_of(folder, keep=2, **options):
    return tf.train.CheckpointManager(Checkpoint(v=tf.Variable(1.0)), folder, keep, **options)


def test_a_manager_keeps_the_last_ones_and_goes_on(tmp_path):
    manager = manager_of(tmp_path)
    paths = [manager.save() for _ in range(4)]
    assert manager.checkpoints == paths[2:] and manager.latest_checkpoint == paths[3]
    names = sorted(os.listdir(tmp_path))
    assert names == ["checkpoint", *[f"ckpt-{i}.{e}" for i in (3, 4) for e in ("data-00000-of-00001", "index")]]
    again = manager_of(tmp_path)
    assert again.checkpoints == paths[2:] and again.restore_or_initialize() == paths[3]
    assert again.save() == str(tmp_path / "ckpt-5") and again.checkpoints == [paths[3], str(tmp_path / "ckpt-5")]
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    assert tf.train.latest_checkpoint(moved) == str(moved / "ckpt-5")


def test_a_manager_keeps_some_for_good(tmp_path):
    manager = manager_of(tmp_path, 1, keep_checkpoint_every_n_hours=1e-9, checkpoint_name="x")
    for number in (10, 20, 30):
        assert manager.save(checkpoint_number=number).endswith(f"x-{number}")
    assert sum(name.endswith(".index") for name in os.listdir(tmp_path)) == 3 and len(manager.checkpoints) == 1


SAVING = """
import sys
import tapeflow as tf
a, b = tf.Variable(tf.zeros([100_000])), tf.Variable(0.0)
manager = tf.train.CheckpointManager(tf.train.Checkpoint(a=a, b=b), sys.argv[1], 2)
while True:
    a.assign_add(tf.ones([100_000]))
    b.assign_add(1.0)
    manager.save()
    print(int(b), flush=True)
"""


@pytest.mark.parametrize("wait", [0, 0.002, 0.004, 0.007])
def test_the_last_checkpoint_of_a_process_that_was_killed_is_whole(tmp_path, wait):
    with subprocess.Popen([sys.executable, "-c", SAVING, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        seen = [int(process.stdout.readline()) for _ in range(5)][-1]
        time.sleep(wait)
        process.kill()
    a, b = tf.Variable(tf.zeros([100_000])), tf.Variable(0.0)
    Checkpoint(a=a, b=b).restore(tf.train.latest_checkpoint(tmp_path)).assert_consumed()
    assert float(b) >= seen and np.all(a.numpy() == b.numpy())
    again = tf.train.CheckpointManager(Checkpoint(a=a, b=b), tmp_path, 2)
    again.restore_or_initialize()
    for _ in range(3):
        again.save()
    assert len([name for name in os.listdir(tmp_path) if name.endswith(".index")]) == 2


def test_a_manager_saves_at_intervals(tmp_path):
    step, called = tf.Variable(0), []
    manager = manager_of(tmp_path, None, step_counter=step, checkpoint_interval=3, init_fn=lambda: called.append(1))
    assert manager.restore_or_initialize() is None and called == [1]
    saved = []
    for _ in range(8):
        saved.append(manager.save() is not None)
        step.assign_add(1)
    assert saved == [True, False, False, True, False, False, True, False]
    assert manager.save(check_interval=False) is not None and manager.save(check_interval=False) is None
    with pytest.raises(ValueError, match="positive integer or `None`"):
        manager_of(tmp_path, 0)
    with pytest.raises(ValueError, match="`step_counter` should be passed"):
        manager_of(tmp_path, checkpoint_interval=3)


def test_callbacks_are_told_the_path(prefix):
    called = []
    options = tf.train.CheckpointOptions(experimental_write_callbacks=[called.append, lambda: called.append("done")])
    checkpoint = Checkpoint(v=tf.Variable(1.0))
    assert [checkpoint.save(prefix, options), checkpoint.write(prefix, options)] == [prefix + "-1", prefix]
    assert called == [prefix + "-1", "done", prefix, "done"]


def test_the_state_of_a_folder(tmp_path, caplog):
    assert tf.train.get_checkpoint_state(tmp_path) is None and tf.train.latest_checkpoint(tmp_path) is None
    path = Checkpoint(v=tf.Variable(1.0)).save(tmp_path / "x")
    found = tf.train.get_checkpoint_state(tmp_path)
    assert found.model_checkpoint_path == path and list(found.all_model_checkpoint_paths) == [path]
    assert list(tf.train.checkpoints_iterator(tmp_path, timeout=0)) == [path]
    os.unlink(path + ".index")
    assert tf.train.latest_checkpoint(tmp_path) is None and "Couldn't match files" in caplog.text
    (tmp_path / "checkpoint").write_bytes(b"\xff nonsense")
    assert tf.train.get_checkpoint_state(tmp_path) is None and "Checkpoint ignored" in caplog.text
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(ValueError, match="Invalid checkpoint state"):
        tf.train.get_checkpoint_state(tmp_path)
    with pytest.raises(RuntimeError, match="conflicts with path used for checkpoint state"):
        manager_of(tmp_path / "new", checkpoint_name="checkpoint/../checkpoint").save.__self__._written(
            str(tmp_path / "new" / "checkpoint")
        )
