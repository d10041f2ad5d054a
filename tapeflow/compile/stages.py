"""Graphs whose shapes depend on data: cut where such a shape appears, and compiled on from there for the shape that it has."""

from tapeflow.compile.clean import is_effect, keep_old_values
from tapeflow.compile.effects import Changes
from tapeflow.compile.rebuild import operands, rebuilt, shallow
from tapeflow.compile.scalars import MACHINE
from tapeflow.compile.worth import is_worth
from tapeflow.core.tensor import Tensor


def is_unknown(x):
    """Whether a value could be native, if only its shape were known."""
    return x._dtype in MACHINE and (x.dims is None or None in x.dims)


def cut(graph):
    """A graph in two, after the first node whose result has a shape that nobody knows before it has run.

    What that node does not need goes to the second part, so that as much as possible is compiled together.

    Returns:
        None where no shape depends on data, or where nothing follows; else a pair of graphs. The outputs of the first are the
        inputs of the second.
    """
    place = next((i for i, node in enumerate(graph.nodes) if any(map(is_unknown, node.outputs))), None)
    if place is None:
        return None
    first = _needed(graph, place)
    second = [node for node in graph.nodes if id(node) not in first]
    if not is_worth(second):
        return None
    made = {id(out) for node in graph.nodes if id(node) in first for out in node.outputs}
    made.update(id(x) for x in graph.inputs)
    crossing = {}
    for x in (*[x for node in second for x in operands(node)], *graph.outputs):
        if x.__class__ is not Tensor and id(x) in made:
            crossing[id(x)] = x
    crossing = tuple(crossing.values())
    nodes = [node for node in graph.nodes if id(node) in first]
    return (
        keep_old_values(rebuilt(shallow(graph, graph.inputs, nodes, crossing), _same)),
        rebuilt(shallow(graph, crossing, second, graph.outputs), _same),
    )


def _needed(graph, place):
    """The ids of the nodes up to `place` that it needs, those with effects before it, and readings of what these change."""
    wanted = {id(x) for x in operands(graph.nodes[place])}
    wanted.update(x for x, change in Changes(graph).change.items() if change <= place)
    found = {id(graph.nodes[place])}
    for node in reversed(graph.nodes[:place]):
        if is_effect(node) or any(id(out) in wanted for out in node.outputs):
            found.add(id(node))
            wanted.update(id(x) for x in operands(node))
    return found


def _same(builder, node, inputs, attrs):
    return None


__all__ = ["cut", "is_unknown"]
