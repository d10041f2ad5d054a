"""A loop and the same loop that also keeps its states are one: a gradient runs the loop of its function again, to keep its states."""

import itertools

from tapeflow.compile.clean import tensor_key
from tapeflow.compile.numbering import number_of, numbered, operand
from tapeflow.compile.rebuild import operands, rebuilt, shallow
from tapeflow.core.tensor import Tensor

# How many ways of matching the values of two loops are tried.
MOST_TRIALS = 16


def merge_loops(graph):
    """`graph` where a loop is left out whose values another loop computes, too."""
    loops = [node for node in graph.nodes if node.op.name == "while_loop" and not node.stateful]
    if len(loops) < 2:
        return graph
    taken = set()
    found = {}  # id of a loop that is left out -> (the loop that stands for it, positions of its values there)
    for small, large in itertools.permutations(loops, 2):
        if id(small) in taken or id(large) in found or small.attrs["count"] > large.attrs["count"]:
            continue
        if small.attrs["count"] == large.attrs["count"] and _place(graph, small) < _place(graph, large):
            continue  # equal loops: the first stays
        match = _matched(small, large)
        if match is not None and _can_move(graph, small, large):
            found[id(small)] = (large, match)
            taken |= {id(small), id(large)}  # what stands for another stays
    return _without(graph, found) if found else graph


def _place(graph, node):
    return node.outputs[0].position


def _matched(small, large):
    """For each value of the small loop its position in the large one; None where that does not compute it."""
    begins = [tensor_key(x) for x in large.inputs[: large.attrs["count"]]]
    choices = []
    for x in small.inputs[: small.attrs["count"]]:
        key = tensor_key(x)
        choices.append([i for i, begin in enumerate(begins) if begin == key])
    for match in itertools.islice(itertools.product(*choices), MOST_TRIALS):
        if len(set(match)) == len(match) and _same(small, large, match):
            return match
    return None


def _same(small, large, match):
    """Whether the loops compute the same under a match of their values."""
    names = {}
    theirs = {position: ("value", k) for k, position in enumerate(match)}
    for part in ("cond", "body"):
        mine = _numbers(small, part, {k: ("value", k) for k in range(len(match))}, names)
        other = _numbers(large, part, theirs, names)
        outs = (small.attrs[part].outputs, large.attrs[part].outputs)
        pairs = [(0, 0)] if part == "cond" else list(enumerate(match))
        if any(number_of(outs[0][k], mine) != number_of(outs[1][i], other) for k, i in pairs):
            return False
    return True


def _numbers(node, part, values, names):
    count = node.attrs["count"]
    inputs = [values.get(i, ("own", id(node), i)) if i < count else operand(x) for i, x in enumerate(node.inputs)]
    return numbered(node.attrs[part], inputs, names)


def _can_move(graph, small, large):
    """Whether all that the large loop reads is there where the small one stands; neither has effects, so none lies in the way."""
    place = _place(graph, small)
    if _place(graph, large) < place:
        return True
    return all(x.__class__ is Tensor or x.position is None or x.position < place for x in operands(large))


def _without(graph, found):
    """The graph without the loops left out; those that stand for them come in their places."""
    nodes, done = [], set()
    for node in graph.nodes:
        for step in (found[id(node)][0], node) if id(node) in found else (node,):
            if id(step) not in done:
                done.add(id(step))
                nodes.append(step)

    def visit(builder, node, inputs, attrs):
        if id(node) not in found:
            return None
        large, match = found[id(node)]
        results = [builder.value(large.outputs[position]) for position in match]
        return tuple(results)

    return rebuilt(shallow(graph, graph.inputs, nodes, graph.outputs), visit)


__all__ = ["merge_loops"]
