"""`replay`: the nodes of a graph bound once more, on other tensors, in whatever mode is on: the one way to transform a graph.

Replayed under a tape while another graph is traced, a graph gives its gradient; under an accumulator its forward derivative; on
the examples of a batch its vectorised form; in another graph its inlined form.
"""

from tapeflow.autodiff.vectorize import BatchTensor
from tapeflow.base.dtypes import variant
from tapeflow.core.graph import graphs_in
from tapeflow.core.primitive import P, bind, has_symbols, map_symbols
from tapeflow.core.record import note
from tapeflow.core.state import state
from tapeflow.core.tensor import Handle, Tensor, wrap


def replay(graph, operands, saved=None, on_read=None):
    """Bind the nodes of `graph` again.

    Args:
        graph: a closed graph.
        operands: a tensor for each of `graph.inputs`.
        saved: None: everything happens again. Else tensors for `graph.saved`, what an earlier run of the stateful nodes gave:
            these are not run again, only recorders are told of them.
        on_read: called with each tensor that is read of a variable that the graph assigns.

    Returns:
        A pair: the tuple of results, and for each variable that the graph assigns the tensors that were read of it, as a dict
        by id.
    """
    return _Replay(graph, operands, saved, on_read).run()


class _Replay:
    def __init__(self, graph, operands, saved, on_read):
        self.on_read = on_read
        self.graph = graph
        self.values = dict(zip(map(id, graph.inputs), operands, strict=True))
        for x, placeholder in graph.captures.values():  # where it is no input, as in a part of a graph, it is what it was
            self.values.setdefault(id(placeholder), x)
        self.given = None if saved is None else dict(zip(map(id, graph.saved), saved, strict=True))
        self.readings = {}
        self.target = state.graph if graph.closures else None
        if self.target is not None:
            self.target.replays = True
            for x, placeholder in graph.captures.values():
                self._alias(x, self.values[id(placeholder)])
            for x in graph.inputs:
                self._alias(x, self.values[id(x)])

    def run(self):
        """Bind all nodes."""
        for node in self.graph.nodes:
            inputs = tuple([self._value(x) for x in node.inputs])
            attrs = node.attrs
            if has_symbols(attrs):
                attrs = {key: _number_or_tensor(map_symbols(attr, self._value)) for key, attr in attrs.items()}
            if self.given is None:
                result = bind(node.op, inputs, attrs)
                if node.op.name == "read_variable":
                    self._note_reading(attrs["variable"], result)
            else:
                result = self._again(node, inputs, attrs)
            if result is None:
                continue
            for out, value in zip(node.outputs, result if node.op.multiple else (result,), strict=True):
                self.values[id(out)] = value
                if self.target is not None:
                    self._alias(out, value)
        if self.target is not None:  # closures that were carried here from graphs replayed before
            for x, own in self.graph.aliases.values():
                moved = BatchTensor(self._value(own.inner), own.batch) if own.__class__ is BatchTensor else self._value(own)
                self._alias(x, moved)
        return tuple([self._value(x) for x in self.graph.outputs]), self.readings

    def _note_reading(self, variable, tensor):
        self.readings.setdefault(id(variable), []).append(tensor)
        if self.on_read is not None:
            self.on_read(tensor)

    def _value(self, x):
        return self.values.get(id(x), x) if x.__class__ is not Tensor else x

    def _alias(self, x, value):
        self.target.aliases[id(x)] = (x, value)

    def _again(self, node, inputs, attrs):
        """The results of a node, without its effects."""
        if any(graph.stateful for graph in graphs_in(attrs)):
            count = attrs["saved"]
            saved = [self.given[id(out)] for out in node.outputs[len(node.outputs) - count :]]
            return node.op.again(inputs, attrs, saved)
        if not node.op.stateful:
            return bind(node.op, inputs, attrs)
        if not node.outputs or id(node.outputs[0]) not in self.given:
            return None
        outs = tuple([self.given[id(out)] for out in node.outputs])
        if node.op.name == "read_variable":
            self._note_reading(attrs["variable"], outs[0])
            return outs[0]
        result = outs if node.op.multiple else outs[0]
        if state.recorders:
            note(node.op, inputs, attrs, result)
        return result


def _number_or_tensor(attr):
    """An attr in which tensors that have a value now are numbers."""
    if attr.__class__ is Tensor:
        found = attr._value.tolist()
        return tuple(found) if found.__class__ is list else found
    if attr.__class__ is tuple or attr.__class__ is list:
        return type(attr)([_number_or_tensor(item) for item in attr])
    return attr


def zeros_for(x, spec):
    """Zeros like a tensor with this spec; `x` itself is read only where a dimension is not known."""
    if spec.shape is not None and None not in spec.shape and spec.dtype.element is None:
        return P.fill(shape=spec.shape, value=0, dtype=spec.dtype)
    return P.zeros_like(x)


def unused(spec):
    """A tensor of a spec's dtype whose value nobody reads."""
    if spec.dtype.element is not None:
        return P.list_reserve(P.constant(value=0), dtype=spec.dtype.element)
    if spec.dtype is variant:
        return wrap(Handle(None))
    return P.fill(shape=tuple([n or 0 for n in spec.shape or ()]), value=0, dtype=spec.dtype)


__all__ = ["replay", "unused", "zeros_for"]
