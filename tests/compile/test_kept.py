"""Programs on disk: found by a graph that is the same in all that matters, by no other, and they give the same bits."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tapeflow as tf
from compiled import graph_of
from tapeflow.base import flags
from tapeflow.base.dtypes import DType, float32, float64, list_of
from tapeflow.compile import description, programs
from tapeflow.compile.description import Description, Undescribed
from tapeflow.compile.executable import compile_graph
from tapeflow.compile.host import host
from tapeflow.compile.native import Native
from tapeflow.compile.program import Program
from tapeflow.core.graph import Graph, Node
from tapeflow.core.primitive import PRIMITIVES, Primitive
from tapeflow.core.tensor import Spec, Tensor, wrap
from tapeflow.core.tensor_list import TensorList
from tapeflow.core.variable import Variable

PROGRAMS = Path(__file__).with_name("kept_programs.py")


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """The tests may run right after the sources were changed."""
    monkeypatch.setattr(description, "_sources", lambda: "sources")


# The key


def loop_graph(limit=3, shift=1.0, variable=None):
    """A graph with what keys are made of: attrs of all kinds, constants, variables, branches and loops."""
    v = variable or tf.Variable([[1.0, 2.0]])
    w = tf.Variable([[3.0, 4.0]])

    @tf.function
    def function(x, y):
        for i in tf.range(limit):
            if tf.reduce_sum(x) > shift:
                x = tf.transpose(x * v) @ x
            else:
                x = x[..., ::-1] + tf.cast(i, tf.float32)
        w.assign_add(x[:1])
        z = tf.concat([x, y], 0)
        return z - np.float32([[0.0, 7.0]]), tf.nn.dropout(z, 0.25), tf.reduce_max(z, 1, keepdims=True)

    spec = tf.TensorSpec([2, 2], tf.float32)
    return function.get_concrete_function(spec, spec).graph


def key_of(graph, closed=False, shapes=((2, 2), (2, 2))):
    return Description(graph, closed, shapes).key


def changed(thing):
    """Things like an attr, each of which is another."""
    match thing:
        case bool():
            return [not thing]
        case int():
            return [thing + 1, float(thing), bool(thing) if thing in (0, 1) else str(thing)]
        case float():
            return [thing + 1, -thing, np.float32(thing)]
        case str():
            return [thing + "x", thing + "\n", None]
        case None:
            return [0, False, ()]
        case DType():
            return [float64 if thing is float32 else float32, thing.name]
        case tuple() | list():
            one = [type(thing)([*thing[:i], other, *thing[i + 1 :]]) for i, x in enumerate(thing) for other in changed(x)]
            return [*one, (*thing, 1), [*thing] if isinstance(thing, tuple) else tuple(thing)]
        case Graph():
            return []  # its nodes are changed
        case Variable():
            return [Variable(tf.cast(thing, tf.float64)), Variable(tf.zeros([7]))]
        case Tensor():
            return []  # of this graph
    return [None]


def constants_like(x):
    """Other constants, as close to one as they can be."""
    array = np.array(x._value)
    other = array.view(np.uint8).copy() if array.ndim else np.frombuffer(array.tobytes(), np.uint8).copy()
    other.reshape(-1)[-1] ^= 0x80
    yield wrap(other.view(array.dtype).reshape(array.shape))
    yield wrap(array.astype(np.float64 if array.dtype != np.float64 else np.float32))
    yield wrap(array.reshape(1, *array.shape))


def changes(graph):
    """Change one thing of a graph after another; each is undone after it was yielded."""
    nodes = graph.nodes
    for number, node in enumerate(list(nodes)):

        def put(op=None, inputs=None, attrs=None, node=node, number=number):
            values = op or node.op, node.inputs if inputs is None else inputs, node.attrs if attrs is None else attrs
            nodes[number] = Node(*values, node.outputs, node.line)
            return f"node {number}, {node.op.name}: {op} {inputs} {attrs}"

        yield put(op=PRIMITIVES["sub" if node.op.name == "add" else "add"])
        for i, x in enumerate(node.inputs):
            rest = node.inputs[:i], node.inputs[i + 1 :]
            yield put(inputs=(*rest[0], *rest[1]))
            for other in constants_like(x) if x.__class__ is Tensor else [graph.inputs[0], wrap(np.float32(1))]:
                if other is not x:
                    yield put(inputs=(*rest[0], other, *rest[1]))
        for key, attr in node.attrs.items():
            for other in changed(attr):
                yield put(attrs={**node.attrs, key: other})
            for inner in [attr] if isinstance(attr, Graph) else attr if isinstance(attr, tuple) else ():
                if isinstance(inner, Graph):
                    nodes[number] = node
                    yield from changes(inner)
            yield put(attrs={k: v for k, v in node.attrs.items() if k != key})
        yield put(attrs={**node.attrs, "another": 1})
        nodes[number] = node
    for x in [*graph.inputs, *[out for node in nodes for out in node.outputs]]:
        spec = x._spec
        for other in (Spec((*spec.shape, 1), spec.dtype), Spec(spec.shape, tf.int8), Spec(None, spec.dtype)):
            x._spec = other
            yield f"spec of {x.name}: {other}"
        x._spec = spec
    outputs = graph.outputs
    for other in (outputs[::-1], outputs[1:], (*outputs, outputs[0])):
        if list(map(id, other)) != list(map(id, outputs)):
            graph.outputs = other
            yield f"outputs: {other}"
    graph.outputs = outputs
    saved = graph.saved
    graph.saved = (*saved, 1)
    yield "saved"
    graph.saved = saved


def test_whatever_differs_has_another_key():
    graph = loop_graph()
    key, keys = key_of(graph), []
    for what in changes(graph):
        keys.append(key_of(graph))
        assert keys[-1] != key, what
    assert key_of(graph) == key and len(set(keys)) > 300
    assert key_of(loop_graph()) == key_of(graph)


def test_every_change_of_a_process_has_another_key(monkeypatch):
    graph = loop_graph()
    keys = [key_of(graph), key_of(graph, closed=True), key_of(graph, shapes=((2, 2), (2, 3)))]
    for isa in ("sse", "avx2") if host().arch == "x86_64" else ():
        with flags.using(TAPEFLOW_ISA=isa):
            keys.append(key_of(graph))
    for module, name, value in [
        (description.llvm, "version", lambda: "another"),
        (description.np, "__version__", "another"),
        (description.sys, "version", "another"),
        (description, "_sources", lambda: "other"),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            keys.append(key_of(graph))
    assert len(set(keys)) == len(keys)


def test_which_variables_and_lines_are_the_same_is_in_the_key():
    def graph(first, second):
        return tf.function(lambda: first + second.read_value()).get_concrete_function().graph

    a, b = tf.Variable(1.0), tf.Variable(1.0)
    assert key_of(graph(a, b), shapes=()) != key_of(graph(a, a), shapes=())
    c, d = tf.Variable(5.0), tf.Variable(6.0)
    assert key_of(graph(a, b), shapes=()) == key_of(graph(c, d), shapes=()) == key_of(graph(d, c), shapes=())


def test_what_is_in_a_list_is_in_the_key():
    def graph(dtype, items):
        made = tf.function(lambda x: x + 1.0).get_concrete_function(tf.TensorSpec([2])).graph
        made.outputs += (wrap(TensorList(items, dtype)),)
        return made

    def spec_of(dtype):
        changed = graph(float32, [])
        changed.inputs[0]._spec = Spec((), list_of(dtype))
        return changed

    lists = [(float32, []), (float64, []), (float32, [None]), (float32, [None, None]), (float32, [np.float32(1)])]
    lists += [(float32, [np.float32([1])]), (float32, [np.float32([2])])]
    graphs = [*[graph(*made) for made in lists], spec_of(float32), spec_of(float64)]
    keys = [key_of(graph, shapes=((2,),)) for graph in graphs]
    assert len(set(keys)) == len(graphs)
    assert keys[0] == key_of(graph(*lists[0]), shapes=((2,),))


def test_what_has_no_text_is_refused():
    def call(x):
        return tf.numpy_function(lambda x: x, [x], tf.float32) * 2.0

    with pytest.raises(Undescribed):
        key_of(tf.function(call).get_concrete_function(tf.TensorSpec([2])).graph, shapes=((2,),))
    own = Primitive("twice_of_a_test", lambda x: x * 2, lambda x: x, lower="scalar")
    try:
        with pytest.raises(Undescribed):
            key_of(graph_of(own, [((2,), tf.float32)]), shapes=((2,),))
    finally:
        del PRIMITIVES[own.name]
    large = np.arange(description.LARGEST, dtype=np.int32)
    with pytest.raises(Undescribed):
        key_of(tf.function(lambda x: x + large).get_concrete_function(tf.TensorSpec([], tf.int32)).graph, shapes=((),))


def test_sources_that_have_just_changed_are_not_trusted(monkeypatch):
    monkeypatch.undo()  # the function itself, not what the fixture has put in its place
    description._sources.cache_clear()
    monkeypatch.setattr(description, "BEGAN", 0.0)
    try:
        with pytest.raises(Undescribed):
            description.surroundings()
        monkeypatch.setattr(description, "BEGAN", float("inf"))
        description._sources.cache_clear()
        assert description.surroundings()
    finally:
        description._sources.cache_clear()


# What is found


def run(cache, seed):
    environment = {
        **os.environ,
        "TAPEFLOW_CACHE": str(cache),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONHASHSEED": seed,
    }
    found = subprocess.run([sys.executable, PROGRAMS], env=environment, capture_output=True, text=True, check=True)
    return json.loads(found.stdout)


def test_a_second_process_gives_the_same_bits(tmp_path):
    first, second = run(tmp_path, "1"), run(tmp_path, "2")
    never = {"asserting", "on NumPy"}
    for name, (results, kinds) in first.items():
        assert second[name][0] == results, name
        assert kinds == (["Native"] if name == "wrong labels" else ["Program"]), name  # the program is that of "step"
        assert second[name][1] == (["Program"] if name in never else ["Native"]), name
    assert "InvalidArgumentError" in first["wrong labels"][0][0] and "kept_programs.py:" in first["wrong labels"][0][0]


def again(graph, values, folder):
    """The program of a graph that another `Executable` finds, and what it gives."""
    executable = compile_graph(graph)
    with flags.using(TAPEFLOW_CACHE=str(folder)):
        return executable.program(tuple([x.shape for x in values])), executable.run(values)


@pytest.mark.parametrize("lost", ["code", "data"])
def test_what_is_lost_or_damaged_is_compiled_again(tmp_path, lost):
    graph = graph_of(lambda x: (tf.exp(x) + 1.0, tf.reduce_sum(x)), [((5,), tf.float32)])
    values = [np.arange(5, dtype=np.float32)]
    program, expected = again(graph, values, tmp_path)
    assert program.__class__ is Program
    assert again(graph, values, tmp_path)[0].__class__ is Native
    key = program.code.keys[0] if lost == "code" else programs.describe(graph, False, ((5,),)).key
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x")):
        damage(tmp_path / key)
        for kind in (Program, Native):
            program, results = again(graph, values, tmp_path)
            assert program.__class__ is kind
            for one, other in zip(results, expected, strict=True):
                np.testing.assert_array_equal(one, other)


def test_explain_plans_what_was_found(tmp_path):
    graph = graph_of(lambda x: tf.exp(x) + 1.0, [((5,), tf.float32)])
    values = [np.ones(5, np.float32)]
    again(graph, values, tmp_path)
    executable = compile_graph(graph)
    with flags.using(TAPEFLOW_CACHE=str(tmp_path)):
        executable.run(values)
        assert "loops 5: add+exp" in executable.explain()


@pytest.mark.parametrize("flag", ["DEBUG", "VALIDATE"])
def test_who_looks_closely_gets_a_plan(tmp_path, flag):
    graph = graph_of(lambda x: tf.exp(x) + 1.0, [((5,), tf.float32)])
    values = [np.ones(5, np.float32)]
    again(graph, values, tmp_path)
    with flags.using(**{flag: 1}):
        assert again(graph, values, tmp_path)[0].__class__ is Program
