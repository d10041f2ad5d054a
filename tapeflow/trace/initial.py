"""The value that a variable starts with where a function creates it while it is traced: the one of the call it is traced for."""

import itertools

import numpy as np

from tapeflow.core.graph import Graph, SymbolicTensor
from tapeflow.core.primitive import symbols_in
from tapeflow.core.rules import known
from tapeflow.core.tensor import Tensor, wrap

OF_SHAPE = ("zeros_like", "ones_like", "shape")  # the ops of one tensor that depend on its shape and dtype alone


def value_in_call(x):
    """The value that a traced tensor has in the call that its function is traced for.

    Raises:
        ValueError: it depends on what has no value: an argument given as a spec, or what changes within a loop.
    """
    graph = x.graph
    needed, values = _needed(graph, x)
    captured = [(own, outer) for outer, own in graph.captures.values()]
    for own, value in (*itertools.zip_longest(graph.inputs, graph.arguments), *captured):
        if id(own) in needed:
            if isinstance(value, SymbolicTensor):
                value = value_in_call(value)
            elif value.__class__ is not Tensor:
                raise ValueError(
                    f"A variable that is created in a tf.function cannot start with the value of {x.name}, which depends on "
                    f"{own.name}, of which only shape and dtype are known. Call the function with tensors first, give the initial "
                    "value as a lambda, or create the variable outside."
                )
            values[id(own)] = value
    part = Graph(graph.name)
    part.nodes = [node for node in graph.nodes if any(id(out) in needed for out in node.outputs)]
    part.interpret(values)
    return values[id(x)]


def _needed(graph, x):
    """The ids of the tensors that `x` is computed from; and, by id, zeros for those of which only the shape matters."""
    needed, values = {id(x)}, {}
    for node in reversed(graph.nodes):
        if not any(id(out) in needed for out in node.outputs):
            continue
        if node.op.name in OF_SHAPE and known(node.inputs[0].dims):
            (part,) = node.inputs
            values[id(part)] = wrap(np.broadcast_to(part._dtype.type(0), part.dims))
        else:
            needed.update([id(part) for part in (*node.inputs, *symbols_in(node.attrs.values()))])
    return needed, values
