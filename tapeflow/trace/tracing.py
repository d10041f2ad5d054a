"""Python functions into closed graphs: trace, find out what comes from outside, and make inputs of it."""

import contextlib
from typing import NamedTuple

from tapeflow.core.graph import Graph, calls_python, graphs_in
from tapeflow.core.primitive import symbols_in
from tapeflow.core.state import paused, state, tracing
from tapeflow.core.tensor import Tensor


class Traced(NamedTuple):
    """A graph, and what its last inputs stand for outside.

    Attributes:
        graph: a closed graph: its inputs are the arguments, the captures, then the values of `graph.variables`.
        captures: the tensors from outside that it needs, without values themselves.
        result: what the Python function returned.
    """

    graph: Graph
    captures: tuple
    result: object

    @property
    def is_bound(self):
        """Whether it captured tensors without a value: then it is of use only where it was traced."""
        return any(x.__class__ is not Tensor for x in self.captures)

    def operands(self, arguments):
        """All that the graph's inputs stand for: the arguments, the captures and the variables' values, which are read here."""
        return (*arguments, *self.captures, *[variable._read() for variable in self.graph.variables])


def trace(function, specs, name, flatten=None):
    """Run a Python function once over placeholders; see `trace_into`.

    Args:
        function: takes one symbolic tensor for each of `specs`, returns tensors.
        specs: a `Spec` for each argument.
        name: the graph's name.
        flatten: what the function returned to the list of result tensors; by default it is that list.

    Returns:
        `Traced`.
    """
    graph = Graph(name, by_reference=True)
    arguments = [graph.placeholder(spec.shape, spec.dtype) for spec in specs]
    return close([trace_into(graph, lambda: function(*arguments), flatten)])[0]


@contextlib.contextmanager
def outside():
    """Within the context ops run outside of every function that is being traced, and no tape records them."""
    graph = state.graph
    while graph is not None and graph.building_function:
        graph = graph.outer
    with tracing(graph), paused():
        yield


def trace_into(graph, function, flatten=None):
    """Run `function()` while ops join `graph`; what it returns makes the graph's outputs.

    No tape outside records, and whatever happens, nothing of the tracing stays behind.

    Returns:
        A pair (graph, what the function returned), for `close`.
    """
    scopes, creators = state.scopes, state.creators
    try:
        with paused(), tracing(graph):
            result = function()
            flat = result if flatten is None else flatten(result)
            graph.outputs = tuple([graph.own(x) for x in flat])
    finally:
        state.scopes, state.creators = scopes, creators
    return graph, result


def close(pairs):
    """Give graphs that are to run on the same operands, such as branches, the same captures and variables as inputs.

    A variable that no node assigns is read once, by whoever runs the graph; its value is an input. So is the value of one
    that is assigned, and read in between, for the sake of its gradient alone.

    Args:
        pairs: (graph, result) for each, as `trace_into` returns them.

    Returns:
        A list of `Traced`, all with the same captures.
    """
    graphs = [graph for graph, _ in pairs]
    captures = {key: x for graph in graphs for key, (x, _) in graph.captures.items()}
    written = {key: variable for graph in graphs for key, variable in graph.writes.items()}
    hidden = any(calls_python(node) for graph in graphs for node in graph.nodes)
    for graph in graphs:
        for x in captures.values():
            graph.add_input(graph.own(x))
    variables = {}
    for graph in graphs:
        for node in graph.nodes:
            if node.op.name == "read_variable":
                variables[id(node.attrs["variable"])] = node.attrs["variable"]
    for graph in graphs:
        kept = {} if hidden else {key: v for key, v in variables.items() if key not in written}
        _lift_readings(graph, variables, kept)
        graph.variables = tuple(variables.values())
        graph.saved = _saved(graph)
        graph.outputs += graph.saved
        graph.stateful = any(node.stateful for node in graph.nodes)
        graph.closures = any(
            node.op.name == "custom_gradient" or any(g.closures for g in graphs_in(node.attrs)) for node in graph.nodes
        )
        graph.outer, graph.replays = None, False  # the graph around holds this one: a cycle
        graph._readings = {}
    return [Traced(graph, tuple(captures.values()), result) for graph, result in pairs]


def _lift_readings(graph, variables, unwritten):
    """Make the readings of variables inputs; those of variables that are assigned stay, beside an input of their own."""
    readings = {}
    nodes = []
    for node in graph.nodes:
        key = id(node.attrs["variable"]) if node.op.name == "read_variable" else None
        if key in unwritten:
            readings[key] = node.outputs[0]
        else:
            nodes.append(node)
    graph.nodes = nodes
    graph.renumber()
    for key, variable in variables.items():
        x = readings.get(key)
        if x is None:
            spec = variable._shape._dims, variable._dtype
            x = graph.placeholder(*spec, name=variable.name)
        else:
            x.name = variable.name
            graph.add_input(x)


def _saved(graph):
    """The results of stateful nodes that something reads: with them the rest of the graph can be computed again.

    A node that runs graphs of its own gives theirs behind its other results.
    """
    used = {id(x) for x in graph.outputs}
    for node in graph.nodes:
        used.update([id(x) for x in (*node.inputs, *symbols_in(node.attrs.values()))])
    saved = []
    for node in graph.nodes:
        if graphs_in(node.attrs):
            saved += saved_results(node)
        elif node.op.stateful and any(id(out) in used for out in node.outputs):
            saved += node.outputs
    return tuple(saved)


def saved_results(node):
    """The results of a node with graphs of its own that are what these saved."""
    count = node.attrs["saved"]
    return node.outputs[len(node.outputs) - count :]


__all__ = ["Traced", "close", "outside", "saved_results", "trace", "trace_into"]
