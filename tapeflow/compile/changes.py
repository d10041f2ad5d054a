"""Ops that change variables in ways of their own, as a reading, a computation and an update; in branches and loops, too."""

import math

from tapeflow.base.dtypes import bool_
from tapeflow.compile.decompose_slices import explicit, is_clear
from tapeflow.compile.internal import SKIP_STREAM, SLICE_SET
from tapeflow.compile.rebuild import has_tensors, rebuilt
from tapeflow.compile.scalars import MACHINE
from tapeflow.compile.views import key_parts
from tapeflow.core.graph import Graph
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
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
    return rule(builder, node, inputs, attrs)


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
    if variable is None or has_tensors(attrs):
        return None
    return _skipped(builder, node, variable, attrs["shape"], attrs.get("each", RESERVED))


def _generator_stream(builder, node, inputs, attrs):
    variable = attrs["variable"]
    if has_tensors(attrs) or attrs["alg"] != PHILOX or variable._shape._dims != (3,):
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
    if variable._dtype.is_complex or (variable._dtype is bool_ and attrs["how"] == "sub"):
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


def _assign_slice(builder, node, inputs, attrs):
    """A part of a variable, changed where it is; its indices may be tensors."""
    variable, key, (value,) = attrs["variable"], attrs["key"], inputs
    dims = variable._shape._dims
    if any(x is None or None in x or 0 in x for x in (dims, value.dims)):
        return None
    if variable._dtype not in MACHINE or (has_tensors({"key": key}) and not is_clear(key)):
        return None
    key = explicit(key, len(dims))
    plain = tuple([0 if isinstance(part, Tensor) else part for part in key])
    places, taken, indices = [], [], []
    numbers = iter(dims)
    for part, chosen in zip(key, key_parts(plain, dims), strict=True):
        if part is None:
            taken.append(1)
            continue
        n, (start, step, stays) = next(numbers), chosen
        count = len(range(*slice(*part).indices(n))) if stays else 1
        if stays:
            taken.append(count)
        if isinstance(part, Tensor):
            indices.append(part)
        places.append((None if isinstance(part, Tensor) else start, step or 1, count))
    if 0 in taken:
        return None
    before = _read(builder, node, variable)
    with builder.tracing(node.line):
        whole = tuple(count for _, _, count in places)
        value = P.reshape(P.broadcast_to(value, shape=tuple(taken)), shape=whole)
    after = builder.add(SLICE_SET, (before, value, *indices), {"places": tuple(places), "op": "strided_slice"}, node.line)
    _update(builder, node, variable, after[0])
    return after


CHANGES = {
    "assign_slice": _assign_slice,
    "op_stream": _op_stream,
    "generator_stream": _generator_stream,
    "scatter_variable": _scatter_variable,
}

__all__ = ["changes_as_updates"]
