"""`call` nodes replaced by the nodes of the graphs that they call, so that kernels fuse across the border."""

from tapeflow.compile.rebuild import Builder, rebuilt
from tapeflow.core.primitive import P


def inline(graph):
    """`graph` without `call` nodes."""
    return rebuilt(graph, _inlined)


def _inlined(builder, node, inputs, attrs):
    if node.op.name != "call":
        return None
    return contents(builder, attrs["graph"], inputs)


def contents(builder, graph, inputs):
    """Add the nodes of another graph, run on `inputs`; returns its outputs."""
    inner = Builder(graph.name, builder.graph)
    inner.new = {id(x): value for x, value in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes:
        operands = tuple([inner.value(x) for x in node.inputs])
        attrs = inner.attrs(node.attrs)
        outputs = _inlined(inner, node, operands, attrs)
        inner.keep(node, inner.copy(node, operands, attrs) if outputs is None else outputs)
    return tuple([inner.value(x) for x in graph.outputs])


def own_variables(graph):
    """A closed graph with reads of its variables in the place of the inputs that stand for their values.

    It has the results of its function alone, not what stateful nodes gave.
    """
    builder = Builder(graph.name)
    count = len(graph.inputs) - len(graph.variables)
    inputs = [builder.placeholder(x._spec, x.name) for x in graph.inputs[:count]]
    for variable in graph.variables:
        spec = P.read_variable.infer(variable=variable)
        inputs += builder.add(P.read_variable, (), {"variable": variable}, None, [spec])
    outputs = contents(builder, graph, inputs)
    builder.graph.outputs = outputs[: len(outputs) - len(graph.saved)]
    return builder.graph


__all__ = ["contents", "inline", "own_variables"]
