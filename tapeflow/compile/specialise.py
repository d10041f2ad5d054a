"""A graph for one set of input specs: shapes are inferred anew, and what then no longer depends on data is computed."""

import contextlib
import math

import numpy as np

from tapeflow.base.errors import OpError
from tapeflow.compile.inline import inline
from tapeflow.compile.internal import Internal
from tapeflow.compile.rebuild import has_tensors, rebuilt
from tapeflow.core.graph import graphs_in, locate
from tapeflow.core.primitive import bind
from tapeflow.core.state import paused, tracing
from tapeflow.core.tensor import Tensor, wrap

# A result with more elements stays in the graph: the kernel that needs it makes it on the fly from less.
LARGEST_CONSTANT = 4096
UNFOLDED = {"constant", "call", "switch", "while_loop"}


def specialise(graph, specs):
    """`graph` with concrete input specs: every shape is inferred again, shapes as values become constants.

    Raises:
        InvalidArgumentError: the shapes do not fit together; the message names the op and the line.
    """
    return rebuilt(graph, specialised_node, specs)


def specialised_node(builder, node, inputs, attrs):
    """The results of a node for inputs of other specs than it was traced with."""
    folded = folded_node(node.op, inputs, attrs, node.line)
    if folded is not None:
        return folded
    if node.op.name == "shape" and (dims := inputs[0].dims) is not None and None not in dims:
        return (wrap(np.array(dims, attrs.get("dtype", node.outputs[0]._dtype).numpy_dtype)),)
    with naming_line(node):
        nested = NESTED.get(node.op.name)
        if nested is not None and all(x.dims is not None and None not in x.dims for x in inputs):
            attrs = nested(inputs, attrs) or attrs
        return builder.add(node.op, inputs, attrs, node.line)


def specialised_loop(inputs, attrs):
    """The attrs of a `while_loop` with graphs for the shapes of its operands; None where the shapes change from turn to turn."""
    specs = [x.spec for x in inputs]
    body = specialise(inline(attrs["body"]), specs)
    count = attrs["count"]
    if [x.spec for x in body.outputs[:count]] != specs[:count]:
        return None
    body.outputs = body.outputs[:count]
    return {**attrs, "body": body, "cond": specialise(inline(attrs["cond"]), specs)}


def specialised_switch(inputs, attrs):
    """The attrs of a `switch` with branches for the shapes of its operands."""
    specs = [x.spec for x in inputs[1:]]
    return {**attrs, "branches": tuple([specialise(inline(branch), specs) for branch in attrs["branches"]])}


NESTED = {"while_loop": specialised_loop, "switch": specialised_switch}


def fold(graph):
    """`graph` without the nodes whose inputs are all constants; they are run on their kernels."""
    return rebuilt(graph, lambda builder, node, inputs, attrs: folded_node(node.op, inputs, attrs, node.line))


def folded_node(op, inputs, attrs, line):
    """The results of a node as constants, or None where it reads data, has effects, or makes something large."""
    if (
        op.stateful
        or any(node.stateful for graph in graphs_in(attrs) for node in graph.nodes)
        or op.__class__ is Internal
        or op.name in UNFOLDED
        or any(x.__class__ is not Tensor for x in inputs)
        or has_tensors(attrs)
    ):
        return None
    try:
        found = op.infer(*[x.spec for x in inputs], **attrs)
        for spec in found if op.multiple else (found,):
            if spec.shape is None or None in spec.shape or math.prod(spec.shape) > LARGEST_CONSTANT:
                return None
        with tracing(None), paused():
            results = bind(op, inputs, attrs)
    except OpError:
        return None  # it is the run that raises, should it get there
    return results if op.multiple else (results,)


@contextlib.contextmanager
def naming_line(node):
    """Within the context an error says which node it comes from, and its line."""
    try:
        yield
    except OpError as error:
        locate(error, node)
        raise


__all__ = ["fold", "folded_node", "naming_line", "specialise", "specialised_node"]
