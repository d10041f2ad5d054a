"""Whole-graph cleaning: dead nodes, common subexpressions, and variables as values with one read and one write."""

import numpy as np

from tapeflow.base.dtypes import DType
from tapeflow.compile.effects import Changes, asserts, is_barrier, is_static_update
from tapeflow.compile.internal import CHECK_NUMERICS, COPY
from tapeflow.compile.rebuild import Builder, operands, rebuilt, shallow
from tapeflow.compile.views import RESHAPES
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor

DROPPABLE = {"read_variable", "shape"}  # stateful ones that only look
COMMUTATIVE = {"add", "mul"}


def is_effect(node):
    """Whether a node must run although nobody reads its results."""
    return (node.stateful and node.op.name not in DROPPABLE) or node.op is CHECK_NUMERICS


def drop_dead(graph):
    """`graph` without the nodes that neither reach an output nor have an effect."""
    wanted = {id(x) for x in graph.outputs}
    kept = set()
    for node in reversed(graph.nodes):
        if is_effect(node) or any(id(out) in wanted for out in node.outputs):
            kept.add(id(node))
            wanted.update(id(x) for x in operands(node))
    if len(kept) == len(graph.nodes):
        return graph
    alive = shallow(graph, graph.inputs, [node for node in graph.nodes if id(node) in kept], graph.outputs)
    return rebuilt(alive, lambda *args: None)


def share_common(graph):
    """`graph` where of equal nodes (same op, inputs and attrs, no effect) only the first is left."""
    seen = {}

    def visit(builder, node, inputs, attrs):
        if node.stateful:
            return None
        key = node_key(node.op, inputs, attrs)
        if key is None:
            return None
        found = seen.get(key)
        if found is None:
            found = seen[key] = builder.copy(node, inputs, attrs)
        return found

    return rebuilt(graph, visit)


def node_key(op, inputs, attrs):
    """What equal nodes have in common, or None where an attr cannot be compared."""
    keys = [tensor_key(x) for x in inputs]
    if op.name in COMMUTATIVE:
        keys.sort(key=repr)
    try:
        key = (op.name, tuple(keys), tuple(sorted((k, attr_key(v)) for k, v in attrs.items())))
        hash(key)
    except TypeError:
        return None
    return key


def tensor_key(x):
    """What equal tensors have in common: identity, or the value of a small constant."""
    if x.__class__ is Tensor and x._dtype.numpy_dtype not in (None, object) and x._value.size <= 64:
        return (x._dtype.name, x._value.shape, np.ascontiguousarray(x._value).tobytes())
    return id(x)


def attr_key(value):
    """What equal attrs have in common; Python's 1, 1.0 and True are told apart."""
    if isinstance(value, (tuple, list)):
        return tuple([attr_key(item) for item in value])
    if isinstance(value, Tensor):
        return ("tensor", tensor_key(value))
    if isinstance(value, DType):
        return ("dtype", value.name)
    if isinstance(value, (bool, int, float, str, bytes)) or value is None or value is Ellipsis:
        return (type(value).__name__, repr(value))
    return ("id", id(value))


def lift_variables(graph):
    """`graph` where each variable is read once, passed on as a value, and written once at the end.

    A barrier (Python code, other changes of variables) ends the stretch: values are written before it and read again after it.
    """
    known = {}  # id(variable) -> its value at this point
    dirty = {}  # id(variable) -> the variable, where the value is not written yet

    def flush(builder):
        for key, (variable, line) in dirty.items():
            builder.add(P.update_variable, (known[key],), {"variable": variable, "how": "assign"}, line)
        dirty.clear()

    def read(builder, variable, line):
        if id(variable) not in known:
            known[id(variable)] = builder.add(P.read_variable, (), {"variable": variable}, line)[0]
        return known[id(variable)]

    def visit(builder, node, inputs, attrs):
        if node.op.name == "read_variable":
            return (read(builder, attrs["variable"], node.line),)
        if is_static_update(node):
            variable, value = attrs["variable"], inputs[0]
            if attrs["how"] != "assign":
                change = P.add if attrs["how"] == "add" else P.sub
                (value,) = builder.add(change, (read(builder, variable, node.line), value), {}, node.line)
            elif value.__class__ is Tensor:
                (value,) = builder.add(P.identity, (value,), {}, node.line)
            known[id(variable)] = value
            dirty.pop(id(variable), None)  # the last write's line is the one to show
            dirty[id(variable)] = (variable, node.line)
            return (value,)
        if is_barrier(node) or node.op.name == "update_variable":
            flush(builder)
            outputs = builder.copy(node, inputs, attrs)
            known.clear()
            return outputs
        if asserts(node):
            flush(builder)
        return None

    lifted = rebuilt(graph, visit)
    _finish(lifted, known, dirty)
    return lifted


def _finish(graph, known, dirty):
    """Write the values that are still to be written, as the graph's last nodes."""
    builder = Builder(graph.name, graph)
    for key, (variable, line) in dirty.items():
        builder.add(P.update_variable, (known[key],), {"variable": variable, "how": "assign"}, line)


def keep_old_values(graph):
    """`graph` where whoever reads a variable's old value after the variable was changed reads a copy of it."""
    until = dict(Changes(graph).change)  # id of an old value, or of a reshape of it -> until where it is there
    if not until:
        return graph
    late = set()
    for position, node in enumerate(graph.nodes):
        late.update(id(x) for x in operands(node) if until.get(id(x), position) < position)
        if node.op.name in RESHAPES and id(node.inputs[0]) in until:
            until[id(node.outputs[0])] = until[id(node.inputs[0])]
    late.update(id(x) for x in graph.outputs if id(x) in until)
    return _with_copies(graph, until, late) if late else graph


def _with_copies(graph, until, late):
    positions = {id(node): position for position, node in enumerate(graph.nodes)}
    copies = {}  # id of an old value in the new graph -> (its copy, until where it is there itself)

    def current(x, position):
        copy, last = copies.get(id(x), (x, position))
        return copy if last < position else x

    def visit(builder, node, inputs, attrs):
        position = positions[id(node)]
        outputs = builder.copy(node, tuple([current(x, position) for x in inputs]), attrs)
        for old, new in zip(node.outputs, outputs, strict=True):
            if id(old) in late:
                copies[id(new)] = (builder.add(COPY, (new,), {}, node.line)[0], until[id(old)])
        return outputs

    kept = rebuilt(graph, visit)
    kept.outputs = tuple([current(x, len(graph.nodes)) for x in kept.outputs])
    return kept


__all__ = ["drop_dead", "is_effect", "keep_old_values", "lift_variables", "node_key", "share_common"]
