"""`rebuilt`: a new graph from an old one, node by node; what every pass is made of."""

import contextlib

from tapeflow.core.graph import Graph, Node
from tapeflow.core.primitive import symbols_in
from tapeflow.core.state import paused, tracing
from tapeflow.core.tensor import Tensor


class Builder:
    """A graph being made out of another one's nodes.

    Attributes:
        graph: the new graph.
        new: the new tensor for the id of each old one.
    """

    def __init__(self, name, graph=None):
        if graph is None:
            graph = Graph(name)
            graph.outer, graph.replays = None, False
        self.graph = graph
        self.new = {}

    def placeholder(self, spec, name):
        """A new input of the graph."""
        return self.graph.placeholder(spec.shape, spec.dtype, name)

    def value(self, x):
        """The new tensor for an old one; a constant stands for itself."""
        return x if x.__class__ is Tensor else self.new[id(x)]

    def attrs(self, attrs):
        """Attrs with new tensors, or plain numbers where those are constants, in the place of old ones."""
        return {key: self._attr(attr) for key, attr in attrs.items()} if has_tensors(attrs) else attrs

    def _attr(self, attr):
        if isinstance(attr, Tensor):
            new = self.value(attr)
            if new.__class__ is not Tensor:
                return new
            found = new._value.tolist()
            return tuple(found) if found.__class__ is list else found
        if isinstance(attr, (tuple, list)):
            return tuple([self._attr(item) for item in attr])
        return attr

    def add(self, op, inputs, attrs, line, specs=None):
        """Append a node and return its outputs; without `specs` they are inferred."""
        if specs is None:
            found = op.infer(*[x.spec for x in inputs], **attrs)
            specs = found if op.multiple else (found,)
        return self.graph.add(op, tuple(inputs), attrs, specs, line).outputs

    def copy(self, node, inputs, attrs):
        """Append a node like `node`, whose results have the specs that they had."""
        return self.add(node.op, inputs, attrs, node.line, [out._spec for out in node.outputs])

    def keep(self, node, outputs):
        """Remember what became of a node's results."""
        for old, new in zip(node.outputs, outputs, strict=True):
            self.new[id(old)] = new

    @contextlib.contextmanager
    def tracing(self, line=None):
        """Within the context ops called as `P.name(...)` join the graph; they get `line` as theirs."""
        start = len(self.graph.nodes)
        with paused(), tracing(self.graph):
            yield self
        for i in range(start, len(self.graph.nodes)):
            node = self.graph.nodes[i]
            self.graph.nodes[i] = Node(node.op, node.inputs, node.attrs, node.outputs, line)


def has_tensors(attrs):
    """Whether an attr holds a tensor."""
    return any(True for _ in symbols_in(attrs.values())) if attrs else False


def rebuilt(graph, visit, specs=None):
    """A graph made by showing each node of `graph` to `visit`.

    Args:
        graph: the old graph.
        visit: `visit(builder, node, inputs, attrs)` with the node's new inputs and attrs returns a tuple of tensors to stand
            for its results, or None for a copy of the node.
        specs: the specs of the new placeholders, by default those of the old ones.
    """
    builder = Builder(graph.name)
    for i, x in enumerate(graph.inputs):
        builder.new[id(x)] = builder.placeholder(x._spec if specs is None else specs[i], x.name)
    for node in graph.nodes:
        inputs = tuple([builder.value(x) for x in node.inputs])
        attrs = builder.attrs(node.attrs)
        outputs = visit(builder, node, inputs, attrs)
        builder.keep(node, builder.copy(node, inputs, attrs) if outputs is None else outputs)
    builder.graph.outputs = tuple([builder.value(x) for x in graph.outputs])
    return builder.graph


def shallow(graph, inputs, nodes, outputs):
    """A graph of some of another one's nodes themselves, for `rebuilt` to copy."""
    part = Graph(graph.name)
    part.inputs, part.nodes, part.outputs = list(inputs), nodes, tuple(outputs)
    return part


def operands(node):
    """All tensors that a node reads: its inputs, and those in its attrs."""
    return (*node.inputs, *symbols_in(node.attrs.values())) if has_tensors(node.attrs) else node.inputs


def users_of(nodes):
    """For the id of each value the nodes that read it."""
    users = {}
    for node in nodes:
        for x in operands(node):
            users.setdefault(id(x), []).append(node)
    return users


__all__ = ["Builder", "has_tensors", "operands", "rebuilt", "shallow", "users_of"]
