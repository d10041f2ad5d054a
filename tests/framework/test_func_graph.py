"""Graphs that a `with` statement fills: symbolic tensors, names, shapes, and running them."""

import copy
import pickle

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core.state import state
from tapeflow.trace.func_graph import FuncGraph

placeholder = tf.compat.v1.placeholder


def test_placeholders_and_shapes():
    graph = tf.Graph()
    with graph.as_default() as same:
        assert same is graph
        assert tf.compat.v1.get_default_graph() is graph
        assert not tf.executing_eagerly()
        assert not tf.inside_function()
        x = placeholder(tf.float32, [None, 3], name="x")
        unknown = placeholder("float32")
        again = placeholder(tf.int32, 3, name="x")
        y = x * 2 + 1
    assert repr(x) == "<tf.Tensor 'x:0' shape=(None, 3) dtype=float32>"
    assert str(x) == 'Tensor("x:0", shape=(None, 3), dtype=float32)'
    assert str(unknown) == 'Tensor("Placeholder:0", dtype=float32)'
    assert (again.name, again.shape.as_list()) == ("x_1:0", [3])
    assert (x.op.type, x.graph) == ("Placeholder", graph)
    assert y.shape.as_list() == [None, 3]
    assert graph.get_tensor_by_name("x:0") is x
    assert [node.name for node in graph.get_operations()] == ["mul", "add"]
    assert (
        graph.run([np.ones((2, 3), np.float32), np.float32(0), np.zeros(3, np.int32)], [y])[0].numpy().tolist()
        == [[3.0] * 3] * 2
    )
    assert tf.executing_eagerly()
    with pytest.raises(KeyError, match="does not exist"):
        graph.get_tensor_by_name("none:0")


def test_function_graphs():
    graph = FuncGraph("scratch")
    assert isinstance(graph, tf.Graph)
    with graph.as_default():
        assert tf.inside_function()
        x = placeholder(tf.float32, [2, None])
        with tf.init_scope():
            assert tf.executing_eagerly()
        assert (x + tf.constant(1.0)).shape.as_list() == [2, None]
    assert (graph.name, graph.building_function, len(graph.inputs)) == ("scratch", True, 1)
    with pytest.raises(RuntimeError, match="not compatible with eager execution"):
        placeholder(tf.float32, [1])


def test_init_scope_stays_in_a_plain_graph():
    with tf.Graph().as_default(), tf.init_scope():
        assert not tf.executing_eagerly()


def test_name_scopes_of_a_graph_are_numbered_and_start_anew():
    with tf.name_scope("outside"), tf.Graph().as_default() as graph:
        with tf.name_scope("s") as first:
            assert placeholder(tf.float32, [], "x").name == "s/x:0"
        with tf.name_scope("s") as second:
            pass
        assert (first, second) == ("s/", "s_1/")
        assert [graph.unique_name("p") for _ in range(3)] == ["p", "p_1", "p_2"]
        assert graph.unique_name("p", mark_as_used=False) == "p_3"
    assert tf.get_current_name_scope() == ""


def test_an_exception_leaves_no_graph_behind():
    with pytest.raises(ZeroDivisionError), FuncGraph("f").as_default(), tf.name_scope("s"):
        1 / 0  # noqa: B018
    assert state.graph is None
    assert tf.get_current_name_scope() == ""


def test_a_tape_outside_records_nothing_of_a_graph():
    v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        with FuncGraph("f").as_default():
            placeholder(tf.float32, []) * v
        y = v * v
    assert float(tape.gradient(y, v)) == 4.0


def test_what_a_symbolic_tensor_refuses():
    graph = tf.Graph()
    with graph.as_default():
        x = placeholder(tf.float32, [None], name="x")
        scalar = placeholder(tf.float32, [])
        refusals = [
            (
                lambda: bool(scalar),
                tf.errors.OperatorNotAllowedInGraphError,
                "Using a symbolic `tf.Tensor` as a Python `bool`",
            ),
            (lambda: list(x), tf.errors.OperatorNotAllowedInGraphError, "Iterating over a symbolic `tf.Tensor`"),
            (lambda: len(x), TypeError, r"len is not well defined for a symbolic Tensor \(x:0\)"),
            (lambda: x.numpy(), AttributeError, "'SymbolicTensor' object has no attribute 'numpy'"),
            (
                lambda: np.asarray(x),
                NotImplementedError,
                r"Cannot convert a symbolic tf.Tensor \(x:0\) to a numpy array",
            ),
            (lambda: float(scalar), TypeError, r"float\(\) argument must be"),
            (lambda: [1][scalar], TypeError, "cannot be used as a Python index"),
            (lambda: x.eval(), ValueError, "Cannot evaluate"),
            (lambda: pickle.dumps(x), TypeError, "cannot pickle 'SymbolicTensor' object"),
        ]
        for use, error, text in refusals:
            with pytest.raises(error, match=text):
                use()
        assert not hasattr(x, "numpy")
        assert f"{x}" == str(x)
        assert copy.copy(x) is x
    with pytest.raises(TypeError, match="is out of scope and cannot be used here"):
        x + 1.0
    with pytest.raises(TypeError, match="out of scope"):
        tf.constant(1.0) + x


def test_set_shape():
    with tf.Graph().as_default():
        x = placeholder(tf.float32, [None, 3])
        x.set_shape([2, None])
        assert x.shape.as_list() == [2, 3]
        with pytest.raises(ValueError, match=r"Shapes \(2, 3\) and \(4, None\) are not compatible"):
            x.set_shape([4, None])


def test_collections_and_the_end():
    graph = tf.Graph()
    graph.add_to_collection("losses", 1)
    assert graph.get_collection("losses") == [1]
    graph.finalize()
    with graph.as_default(), pytest.raises(RuntimeError, match="Graph is finalized and cannot be modified"):
        placeholder(tf.float32, []) + 1.0
