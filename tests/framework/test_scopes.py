"""Names, devices, control dependencies, creators: what stands around ops."""

import pytest

import tapeflow as tf


def test_name_scopes_nest():
    with tf.name_scope("a") as outer:
        assert outer == "a/"
        assert tf.Variable(1.0, name="v").name == "a/v:0"
        with tf.name_scope("b") as inner:
            assert (inner, tf.Variable(1.0).name) == ("a/b/", "a/b/Variable:0")
        with tf.name_scope("x/") as absolute:
            assert (absolute, tf.get_current_name_scope()) == ("x/", "x")
        with tf.name_scope("") as none:
            assert (none, tf.Variable(1.0, name="q").name) == ("", "q:0")
        with tf.name_scope("b/c") as two:
            assert (two, tf.Variable(1.0, name="d/e").name) == ("a/b/c/", "a/b/c/d/e:0")
    with tf.name_scope("a") as again:  # no number is added when executing eagerly
        assert again == "a/"
    assert tf.get_current_name_scope() == ""


def test_a_name_scope_can_be_entered_twice_and_ends_with_an_exception():
    scope = tf.name_scope("re")
    with scope, scope as name:
        assert name == "re/re/"
    with pytest.raises(ZeroDivisionError), tf.name_scope("lost"):
        1 / 0  # noqa: B018
    assert tf.get_current_name_scope() == ""
    for wrong in (None, 1):
        with pytest.raises(ValueError, match="name for name_scope must be a string"):
            tf.name_scope(wrong)


@pytest.mark.parametrize("name", ["/CPU:0", "cpu", "/gpu:0", "GPU:1", None, "", "/device:XPU:0", "/cpu:*"])
def test_devices_that_are_accepted(name):
    with tf.device(name):
        assert tf.constant(1).device == "/job:localhost/replica:0/task:0/device:CPU:0"


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("foo", ValueError, "Unknown attribute 'foo'"),
        ("/CPU:0/GPU:1", ValueError, "Multiple device types are not allowed"),
        ("/job:worker/device:CPU:0", tf.errors.InvalidArgumentError, "unknown device"),
        (1, ValueError, "Expecting a string device name"),
        (lambda op: "/CPU:0", RuntimeError, "does not support functions"),
    ],
)
def test_devices_that_are_not(name, error, text):
    with pytest.raises(error, match=text), tf.device(name):
        pass


def test_device_specs():
    spec = tf.DeviceSpec.from_string("/job:worker/replica:1/task:2/device:GPU:3")
    assert spec.to_string() == "/job:worker/replica:1/task:2/device:GPU:3"
    assert tf.DeviceSpec.from_string("cpu").to_string() == "/device:CPU:*"
    merged = tf.DeviceSpec.from_string("/CPU:0").make_merged_spec(tf.DeviceSpec(job="ps", device_type="GPU"))
    assert merged.to_string() == "/job:ps/device:GPU:0"
    assert merged == tf.DeviceSpec("ps", device_type="GPU", device_index=0)
    assert hash(merged) == hash(tf.DeviceSpec("ps", device_type="GPU", device_index=0))


def test_control_dependencies_and_groups():
    called = []
    with tf.control_dependencies([tf.constant(1), lambda: called.append(1), None]) as nothing:
        assert nothing is None
    assert called == [1]
    with tf.control_dependencies(None):
        pass
    assert tf.group(tf.constant(1), [tf.constant(2)], name="x") is None
    assert tf.no_op() is None
    with pytest.raises(ValueError, match="Unknown keyword arguments"):
        tf.group(foo=1)


def test_init_scope_pauses_tapes():
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with tf.init_scope():
            assert tf.executing_eagerly()
            y = x * x
        z = x * x
    assert float(tape.gradient([y, z], x)) == 4.0


def test_variable_creators_run_from_the_inside_out():
    order = []

    def outer(next_creator, **arguments):
        order.append("outer")
        assert set(arguments) >= {"initial_value", "trainable", "name", "dtype", "shape", "aggregation"}
        return next_creator(**arguments)

    def inner(next_creator, **arguments):
        order.append("inner")
        return next_creator(**{**arguments, "name": f"made_{arguments['name']}"})

    with tf.variable_creator_scope(outer), tf.variable_creator_scope(inner):
        v = tf.Variable([1.0], False, name="z")
    assert order == ["inner", "outer"]
    assert (v.name, v.trainable) == ("made_z:0", False)
    with tf.variable_creator_scope(lambda next_creator, **arguments: 5):
        assert tf.Variable(1.0) == 5
    assert tf.Variable(1.0).name == "Variable:0"


def test_where_code_runs():
    assert tf.executing_eagerly()
    assert not tf.inside_function()
    assert tf.get_logger().name == "tapeflow"
    assert 1e9 < float(tf.timestamp()) < 1e11
