"""Ops that change variables in ways of their own, as a reading, a computation and an update; in branches and loops, too."""

import math

from tapeflow.base.dtypes import bool_
from tapeflow.compile.internal import SKIP_STREAM
from tapeflow.compile.rebuild import has_tensors, rebuilt
from tapeflow.compile.scalars import MACHINE, SHORT
from tapeflow.core.graph import Graph
from tapeflow.core.primitive import P
from tapeflow.ops.random_bits import PHILOX

RESERVED = 256  # how many blocks a generator's number may take


def changes_as_updates(graph):
    """`graph` with the ops of the table taken apart, where all that they need is known."""
    if not any(map(_is_changing, graph.nodes)):
        return graph
    return rebuilt(graph, _visit)


def _is_changing(node):
    return node.stateful and (node.op.name in CHANGES or node.op.name in ("switch", "while_loop"))


def _visit(builder, node, inputs, attrs):
    if not _is_changing(node):
        return None
    rule = CHANGES.get(node.op.name)
    if rule is None:
        return builder.copy(node, inputs, {key: _changed(attr) for key, attr in attrs.items()})
    return None if has_tensors(attrs) else rule(builder, node, inputs, attrs)


def _changed(attr):
    """An attr of a branch or a loop, with its graphs changed."""
    if isinstance(attr, Graph):
        return changes_as_updates(attr)
    return tuple(map(_changed, attr)) if attr.__class__ is tuple else attr


def _read(builder, node, variable):
    return builder.add(P.read_variable, (), {"variable": variable}, node.line)[0]


def _update(builder, node, variable, value):
    builder.add(P.update_variable, (value,), {"variable": variable, "how": "assign"}, node.line)


def _op_stream(builder, node, inputs, attrs):
    variable = getattr(attrs["source"], "variable", None)
    if variable is None:
        return None
    return _skipped(builder, node, variable, attrs["shape"], attrs.get("each", RESERVED))


def _generator_stream(builder, node, inputs, attrs):
    variable = attrs["variable"]
    if attrs["alg"] != PHILOX or variable._shape._dims != (3,):
        return None
    return _skipped(builder, node, variable, attrs["shape"], RESERVED)


def _skipped(builder, node, variable, shape, each):
    if min(shape, default=0) < 0:
        return None  # the kernel's error
    before = _read(builder, node, variable)
    (after,) = builder.add(SKIP_STREAM, (before,), {"blocks": math.prod(shape) * each}, node.line)
    _update(builder, node, variable, after)
    return (before,)


def _scatter_variable(builder, node, inputs, attrs):
    """Rows of a variable, by the native scatter, which changes them where they are."""
    variable, (indices, updates) = attrs["variable"], inputs
    dims = variable._shape._dims
    if any(x is None or None in x or 0 in x for x in (dims, indices.dims, updates.dims)):
        return None
    if attrs["how"] == "div" or variable._dtype not in MACHINE:
        return None  # it may find a 0, and then changes nothing
    if attrs["how"] != "update" and (variable._dtype in SHORT or variable._dtype is bool_):
        return None
    before = _read(builder, node, variable)
    with builder.tracing(node.line):
        if not attrs["nd"]:
            count = math.prod(indices.dims)
            wanted = (*indices.dims, *dims[1:])
            if updates.dims != wanted:
                updates = P.broadcast_to(updates, shape=wanted)
            indices, updates = P.reshape(indices, shape=(count, 1)), P.reshape(updates, shape=(count, *dims[1:]))
        value = P.tensor_scatter(before, indices, updates, how=attrs["how"])
    _update(builder, node, variable, value)
    return (value,)


CHANGES = {"op_stream": _op_stream, "generator_stream": _generator_stream, "scatter_variable": _scatter_variable}

__all__ = ["changes_as_updates"]
