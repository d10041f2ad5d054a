"""`Graph`: an ordered list of nodes over symbolic tensors, what tracing builds and `run` executes on the kernels."""

import weakref

from tapeflow.base.errors import OperatorNotAllowedInGraphError
from tapeflow.base.shape import TensorShape
from tapeflow.core.primitive import NO_ATTRS, bind, has_symbols
from tapeflow.core.record import note, user_line
from tapeflow.core.state import paused, state, tracing
from tapeflow.core.tensor import Spec, Tensor, wrap


class SymbolicTensor(Tensor):
    """A tensor of a graph that is being traced: a spec, and the node whose result it is, but no value."""

    __slots__ = ("_graph", "_spec", "index", "name", "position")
    level = 0

    def __init__(self, spec, graph, position, index, name):
        self._spec = spec
        self._dtype = spec.dtype
        self._mark = None
        self._graph = weakref.ref(graph)  # weak: the graph holds its nodes, and they their results
        self.position = position
        self.index = index
        self.name = name

    @property
    def interpreter(self):
        """The graph that ops on this tensor join: the one being traced."""
        if state.graph is None:
            raise _out_of_scope(self)
        return state.graph

    @property
    def graph(self):
        """The `Graph` that this tensor belongs to."""
        graph = self._graph()
        if graph is None:
            raise _out_of_scope(self)
        return graph

    @property
    def node(self):
        """The node whose result this is; None for a placeholder."""
        return None if self.position is None else self.graph.nodes[self.position]

    @property
    def op(self):
        """The node; one of its own for a placeholder."""
        return Node(_PLACEHOLDER, (), NO_ATTRS, (self,), None) if self.position is None else self.node

    @property
    def dims(self):
        return self._spec[0]

    @property
    def spec(self):
        return self._spec

    @property
    def shape(self):
        return TensorShape(None) if self._spec[0] is None else TensorShape.of(self._spec[0])

    @property
    def _value(self):
        raise NotImplementedError(
            f"Cannot convert a symbolic tf.Tensor ({self.name}) to a numpy array: it has a shape and a dtype but no value while "
            "the function is traced. Use tf functions instead of NumPy's, or read the value outside."
        )

    def set_shape(self, shape):
        """Merge what the caller knows of the shape into the spec."""
        self._spec = Spec(self.shape.merge_with(shape)._dims, self._dtype)

    def refuse_bool(self):
        """Raise the error for using a symbolic tensor as a Python bool."""
        raise OperatorNotAllowedInGraphError(
            f"Using a symbolic `tf.Tensor` as a Python `bool` is not allowed: {self.name} has no value while the function "
            "is traced. Use tf.cond, tf.where or tf.logical_and, or decorate the function with tf.function (AutoGraph)."
        )


def _out_of_scope(x):
    return TypeError(
        f"<tf.Tensor {x.name!r} shape={x.shape} dtype={x.dtype.name}> is out of scope and cannot be used here: it belongs to a "
        "function or graph whose tracing has ended. Return it from the function, or keep it in a tf.Variable or tf.TensorArray."
    )


class Node:
    """One op in a graph: its primitive, input tensors, attrs, output tensors and the user's line; immutable once made."""

    __slots__ = ("attrs", "inputs", "line", "op", "outputs")

    def __init__(self, op, inputs, attrs, outputs, line):
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.outputs = outputs
        self.line = line

    @property
    def name(self):
        """The op's name."""
        return self.op.name

    type = name


class _Placeholder:
    name = "Placeholder"


_PLACEHOLDER = _Placeholder()


class Graph:
    """The ops of one traced function in program order.

    Attributes:
        inputs: the placeholders, as symbolic tensors.
        nodes: every other node, in the order of execution.
        building_function: whether the graph is a function's: `tf.init_scope` leaves it.

    A value from outside the graph is simply an input of the node that reads it.
    """

    building_function = True

    def __init__(self, name="graph"):
        self.name = name
        self.inputs = []
        self.nodes = []
        self.outer = state.graph
        self._names = {}

    def unique_name(self, name, mark_as_used=True):
        """`name`, or `name_1`, `name_2`, ... where the graph has given it away before."""
        number, unique = self._names.get(name, 0), name
        while number and unique in self._names:
            unique = f"{name}_{number}"
            number += 1
        if mark_as_used:
            self._names[name] = max(number, 1)
            self._names.setdefault(unique, 1)
        return unique

    def placeholder(self, shape, dtype, name=None):
        """A new input of the graph; `shape` is a tuple, or None where even the rank is unknown."""
        x = SymbolicTensor(Spec(shape, dtype), self, None, len(self.inputs), name or f"Placeholder:{len(self.inputs)}")
        self.inputs.append(x)
        return x

    def bind(self, op, inputs, attrs):
        """Add a node for `op`; its results are symbolic."""
        for x in inputs:
            if isinstance(x, SymbolicTensor) and x._graph() is None:
                x.graph  # noqa: B018 - raises: the tensor leaked out of its own graph
        specs = op.infer(*[x.spec for x in inputs], **attrs)
        position = len(self.nodes)
        outputs = tuple(
            [
                SymbolicTensor(spec, self, position, index, f"{op.name}_{position}:{index}")
                for index, spec in enumerate(specs if op.multiple else (specs,))
            ]
        )
        self.nodes.append(Node(op, inputs, attrs, outputs, user_line() if state.lines else None))
        return outputs if op.multiple else outputs[0]

    note = staticmethod(note)

    def run(self, feeds, fetches):
        """Execute the graph, op by op, as eager code would; tapes do not see it.

        Args:
            feeds: a value (ndarray or NumPy scalar) for each of `inputs`.
            fetches: symbolic tensors.

        Returns:
            The values of `fetches`, as tensors.
        """
        values = dict(zip(map(id, self.inputs), map(wrap, feeds), strict=True))

        def value(x):
            return values[id(x)] if isinstance(x, SymbolicTensor) else x

        with tracing(None), paused():
            for node in self.nodes:
                attrs = (
                    {key: _concrete(attr, value) for key, attr in node.attrs.items()}
                    if has_symbols(node.attrs)
                    else node.attrs
                )
                result = bind(node.op, tuple([value(x) for x in node.inputs]), attrs)
                for out, item in zip(node.outputs, result if node.op.multiple else (result,), strict=True):
                    values[id(out)] = item
        return [value(x) for x in fetches]

    def __repr__(self):
        lines = [f"graph {self.name}({', '.join(f'{x.name}: {_typed(x)}' for x in self.inputs)})"]
        names = {id(x): x.name for x in self.inputs}
        for number, node in enumerate(self.nodes):
            for out in node.outputs:
                names[id(out)] = f"%{number}" if len(node.outputs) == 1 else f"%{number}.{out.index}"
            args = [names.get(id(x), "const") for x in node.inputs] + [f"{key}={attr!r}" for key, attr in node.attrs.items()]
            results = ", ".join(f"{names[id(out)]}: {_typed(out)}" for out in node.outputs)
            lines.append(f"  {results} = {node.op.name}({', '.join(args)})")
        return "\n".join(lines)


def _typed(x):
    return f"{x._dtype.name}{'?' if x.dims is None else list(x.dims)}"


def _concrete(attr, value):
    """An attr with the values of the symbolic tensors in it."""
    if isinstance(attr, Tensor):
        found = value(attr)._value.tolist()  # Python's integers: NumPy's would overflow when a shape is multiplied out
        return tuple(found) if found.__class__ is list else found
    if isinstance(attr, (tuple, list)):
        return tuple(_concrete(item, value) for item in attr)
    return attr


__all__ = ["Graph", "Node", "SymbolicTensor"]
