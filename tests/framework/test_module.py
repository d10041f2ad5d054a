"""`tf.Module`: what it finds, in which order, under which names."""

import pytest

import tapeflow as tf


class Dense(tf.Module):
    def __init__(self, units, name=None):
        super().__init__(name=name)
        self.w = tf.Variable([1.0] * units, name="w")
        self.b = tf.Variable([0.0] * units, name="b", trainable=False)

    @tf.Module.with_name_scope
    def __call__(self, x):
        if not hasattr(self, "late"):
            self.late = tf.Variable(1.0, name="late")
        return x * self.w + self.b


class Model(tf.Module):
    def __init__(self):
        super().__init__()
        self.z = Dense(2)
        self.a = [Dense(3, "one"), {"k": Dense(1), "j": tf.Variable(5.0, name="j")}]
        self.t = (tf.Variable(2.0, name="tt"),)
        self._private = tf.Variable(1.0, name="p")
        self.dup = self._private
        self.s = {1}
        self.n = None


def names(variables):
    return [v.name for v in variables]


def test_order_is_tensorflows():
    model = Model()
    assert names(model.variables) == ["p:0", "j:0", "tt:0", "b:0", "w:0", "b:0", "w:0", "b:0", "w:0"]
    assert names(model.trainable_variables) == ["p:0", "j:0", "tt:0", "w:0", "w:0", "w:0"]
    assert names(model.non_trainable_variables) == ["b:0", "b:0", "b:0"]
    assert [m.name for m in model.submodules] == ["one", "dense", "dense"]
    assert model.variables[0] is model._private
    assert isinstance(model.variables, tuple)


def test_paths():
    model = Model()
    found = dict(model._flatten(predicate=lambda x: isinstance(x, tf.Variable), with_path=True))
    assert list(found)[:5] == [("_private",), ("a", 1, "j"), ("dup",), ("t", 0), ("a", 0, "b")]
    own = list(model._flatten(recursive=False, predicate=lambda x: isinstance(x, tf.Variable)))
    assert names(own) == ["p:0", "j:0", "tt:0"]


class HTTPServer2Net(tf.Module):
    pass


class WithoutInit(tf.Module):
    def __init__(self):
        self.v = tf.Variable(1.0)


def test_names():
    assert HTTPServer2Net().name == "http_server2_net"
    assert tf.Module(name="_x").name == "_x"
    for wrong in ("a b", "1a", ""):
        with pytest.raises(ValueError, match="is not a valid module name"):
            tf.Module(name=wrong)
    assert len(WithoutInit().variables) == 1
    with pytest.raises(AttributeError, match="_name"):
        WithoutInit().name  # noqa: B018
    with pytest.raises(AttributeError):
        Model().name = "x"


def test_name_scopes():
    layer = Dense(2)
    layer(tf.constant([1.0, 1.0]))
    assert layer.late.name == "dense/late:0"
    with tf.name_scope("outer"):
        inner = Dense(2)
    assert inner.name_scope.name == "outer/dense/"
    inner(tf.constant([1.0, 1.0]))
    assert inner.late.name == "outer/dense/late:0"


def test_cycles_end():
    class Node(tf.Module):
        pass

    a, b = Node(), Node()
    a.me, a.other, b.back, a.v = a, b, a, tf.Variable(1.0, name="v")
    assert names(a.variables) == ["v:0"]
    assert list(a.submodules) == [b]


def test_keys_that_cannot_be_sorted():
    module = tf.Module()
    module.x = {1: tf.Variable(1.0), "a": tf.Variable(2.0)}
    with pytest.raises(ValueError, match="Error processing property 'x'"):
        module.variables  # noqa: B018


def test_gradients_of_trainable_variables():
    layer = Dense(2)
    with tf.GradientTape() as tape:
        y = layer(tf.constant([3.0, 5.0]))
    gradients = tape.gradient(y, [layer.w, layer.late])
    assert gradients[0].numpy().tolist() == [3.0, 5.0]
    assert gradients[1] is None


def test_the_scopes_of_modules_are_numbered_in_a_graph():
    class Cell(tf.Module):
        pass

    assert [Cell("cell").name_scope.name for _ in range(2)] == ["cell/", "cell/"]
    with tf.Graph().as_default():
        assert [Cell("cell").name_scope.name for _ in range(2)] == ["cell/", "cell_1/"]
