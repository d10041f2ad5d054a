"""`Graph`: an ordered list of nodes over symbolic tensors, what tracing builds and `run` executes on the kernels."""

import weakref
from typing import NamedTuple

from tapeflow.base.errors import InaccessibleTensorError, OperatorNotAllowedInGraphError, OpError
from tapeflow.base.shape import TensorShape
from tapeflow.core.primitive import NO_ATTRS, bind, has_symbols, map_symbols
from tapeflow.core.record import note, user_line
from tapeflow.core.state import CONSTANT, next_level, paused, state, tracing
from tapeflow.core.tensor import Spec, Tensor, wrap


class SymbolicTensor(Tensor):
    """A tensor of a graph that is being traced: a spec, and the node whose result it is, but no value."""

    __slots__ = ("_graph", "_spec", "index", "line", "name", "position")
    level = 0

    def __init__(self, spec, graph, position, index, name):
        self._spec = spec
        self._dtype = spec.dtype
        self._mark = None
        self._graph = weakref.ref(graph)  # weak: the graph holds its nodes, and they their results
        self.position = position
        self.index = index
        self.name = name
        self.line = None  # the user's, of the node: it is asked for when the graph is gone

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


class LeakedTensorError(InaccessibleTensorError, TypeError):
    """A symbolic tensor is used outside of its graph. TensorFlow raises the one while it traces, the other elsewhere."""


def _out_of_scope(x):
    made = f" was made at {x.line}" if x.line else ""
    return LeakedTensorError(
        f"<tf.Tensor {x.name!r} shape={x.shape} dtype={x.dtype.name}> is out of scope and cannot be used here. Use return values, "
        f"explicit Python locals or TensorFlow collections to access it: it{made}{' and' if made else ''} belongs to a function, "
        "branch or loop whose tracing has ended. Return it from the function, assign it to a variable of the branch or loop, or "
        "keep it in a tf.Variable, or in a tf.TensorArray where a loop makes one in each iteration."
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

    @property
    def stateful(self):
        """Whether it has an effect or reads state: itself, or a node of a graph that it runs."""
        return self.op.stateful or any(inner.stateful for graph in graphs_in(self.attrs) for inner in graph.nodes)


class NodeDef(NamedTuple):
    """A node as plain data."""

    name: str
    op: str
    input: tuple
    attr: dict


class GraphDef(NamedTuple):
    """A graph as plain data."""

    node: list


class _Placeholder:
    name = "Placeholder"


_PLACEHOLDER = _Placeholder()


class Graph:
    """The ops of one traced function in program order.

    A tensor that has a value is simply an input of the node that reads it, a constant. One without a value, from a graph or
    a batch around this graph, becomes a capture: a placeholder here, and an operand of whatever runs this graph there. So do
    tensors from outside that gradients may be asked for, in the graph of a function (`by_reference`).

    Attributes:
        inputs: the placeholders, as symbolic tensors; `close` adds those of captures and of variables.
        arguments: while a function is traced, the tensors of the call that it is traced for, or their specs.
        nodes: every other node, in the order of execution.
        outputs: the results, as tensors.
        saved: the last of the outputs: results of stateful nodes, by which all else can be computed again.
        variables: the variables whose values are the last of the inputs.
        writes: the variables that nodes assign, by id.
        stateful: whether any node has an effect or reads state, in the graphs of nodes too.
        closures: whether a node holds a function that closes over tensors of this graph (custom gradients do).
        building_function: whether the graph is a function's: `tf.init_scope` leaves it.
        aliases: id of a tensor of another graph -> (it, what stands for it here), while that graph is replayed here.
    """

    building_function = True
    by_reference = False

    def __init__(self, name="graph", by_reference=False):
        self.name = name
        self.by_reference = by_reference
        self.level = next_level()
        self.inputs = []
        self.arguments = ()
        self.nodes = []
        self.outputs = ()
        self.saved = ()
        self.stateful = self.closures = False
        self.variables = ()
        self.writes = {}
        self.outer = state.graph
        self.captures = {}  # id(tensor) -> (the tensor, its placeholder)
        self.aliases = {}
        self.replays = self.outer is not None and self.outer.replays  # whether there are aliases here or around
        self.derived = {}  # what was made of this graph: its gradient, its plan, ... by what it is
        self._readings = {}  # id(variable) -> (variable, its value since it was last assigned)
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
        x = self._placeholder(Spec(shape, dtype), name or f"Placeholder:{len(self.inputs)}")
        self.add_input(x)
        return x

    def _placeholder(self, spec, name):
        return SymbolicTensor(spec, self, None, None, name)

    def add_input(self, x):
        """Make a placeholder an input."""
        x.position, x.index = None, len(self.inputs)
        self.inputs.append(x)

    # What comes from outside

    def own(self, x):
        """`x` as nodes of this graph read it: a placeholder for a tensor from outside that has no value yet.

        Raises:
            TypeError: it belongs to no graph around this one: it leaked out of its own.
        """
        if x.__class__ is Tensor and not (self.by_reference and x._dtype.is_trainable and x._mark is not CONSTANT):
            return x
        if x.__class__ is SymbolicTensor and x._graph() is self:
            return x
        found = self.captures.get(id(x))
        if found is None:
            if not self._sees(x):
                raise _out_of_scope(x)
            placeholder = self._placeholder(x.spec, f"capture_{len(self.captures)}:0")
            found = self.captures[id(x)] = (x, placeholder)
        return found[1]

    def _sees(self, x):
        """Whether `x` belongs to a graph or a batch around this one."""
        if x.__class__ is Tensor:
            return True
        if x.__class__ is not SymbolicTensor:
            return x.level < self.level
        home, graph = x.graph, self.outer if self.building_function else None
        while graph is not None and graph is not home:
            graph = graph.outer
        return graph is home

    def captured(self, placeholder):
        """The tensor from outside that a placeholder stands for, or None; known while the graph is traced."""
        for x, own in self.captures.values():
            if own is placeholder:
                return x
        return None

    def alias(self, x):
        """What stands for `x` in this graph, where the graph of `x` is being replayed in it or around it; else `x`."""
        graph = self
        while graph is not None:
            found = graph.aliases.get(id(x))
            if found is not None:
                return found[1]
            graph = graph.outer
        return x

    # Building

    def bind(self, op, inputs, attrs):
        """Add a node for `op`; its results are symbolic. A variable is read once for as long as nothing is assigned."""
        inputs = tuple([self.own(x) for x in inputs])
        if has_symbols(attrs):
            attrs = {key: map_symbols(attr, self.own) for key, attr in attrs.items()}
        variable = attrs.get("variable") if op.stateful else None
        if variable is not None and op.name == "read_variable":
            reading = self._readings.get(id(variable))
            if reading is not None:
                return reading[1]
        specs = op.infer(*[x.spec for x in inputs], **attrs)
        node = self.add(
            op,
            inputs,
            attrs,
            specs if op.multiple else (specs,),
            user_line() if state.lines or self.building_function else None,
        )
        if node.stateful:
            self._follow(node, variable)
        return node.outputs if op.multiple else node.outputs[0]

    def add(self, op, inputs, attrs, specs, line):
        """Append a node whose results have these specs."""
        position = len(self.nodes)
        outputs = tuple(
            [
                SymbolicTensor(spec, self, position, index, f"{op.name}_{position}:{index}")
                for index, spec in enumerate(specs)
            ]
        )
        for out in outputs:
            out.line = line
        node = Node(op, inputs, attrs, outputs, line)
        self.nodes.append(node)
        return node

    def _follow(self, node, variable):
        """Note what a stateful node does to variables."""
        if variable is None:
            if calls_python(node):  # which may assign any of them
                self._readings.clear()
            for graph in graphs_in(node.attrs):
                for key, written in graph.writes.items():
                    self.writes[key] = written
                    self._readings.pop(key, None)
        elif node.op.name == "read_variable":
            self._readings[id(variable)] = (variable, node.outputs[0])
        else:
            self.writes[id(variable)] = variable
            self._readings.pop(id(variable), None)

    note = staticmethod(note)

    def renumber(self):
        """Bring the positions of the nodes' results up to date after nodes were taken out."""
        for position, node in enumerate(self.nodes):
            for out in node.outputs:
                out.position = position

    def get_operations(self):
        """The nodes in program order."""
        return list(self.nodes)

    def as_graph_def(self, from_version=None, add_shapes=False):
        """The graph as plain data: an object whose `node` lists name, op, inputs and attrs of each placeholder and node."""
        nodes = [NodeDef(x.name.partition(":")[0], "Placeholder", (), {"dtype": x.dtype}) for x in self.inputs]
        for node in self.nodes:
            name = node.outputs[0].name.partition(":")[0] if node.outputs else node.op.name
            inputs = tuple(
                [getattr(x, "name", "constant") if x.__class__ is not Tensor else "constant" for x in node.inputs]
            )
            nodes.append(NodeDef(name, node.op.name, inputs, node.attrs))
        return GraphDef(nodes)

    # Running

    def run(self, feeds, fetches):
        """Execute the graph, op by op, as eager code would; tapes do not see it.

        Args:
            feeds: a value (ndarray or NumPy scalar) for each of `inputs`.
            fetches: symbolic tensors.

        Returns:
            The values of `fetches`, as tensors.
        """
        values = dict(zip(map(id, self.inputs), map(wrap, feeds), strict=True))
        self.interpret(values)
        return [values[id(x)] if isinstance(x, SymbolicTensor) else x for x in fetches]

    def interpret(self, values, start=0):
        """Execute the nodes from position `start` on.

        Args:
            values: id of a symbolic tensor -> the tensor that is its value; results are added.
        """

        def value(x):
            return values[id(x)] if isinstance(x, SymbolicTensor) else x

        with tracing(None), paused():
            for node in self.nodes[start:]:
                attrs = (
                    {key: _concrete(attr, value) for key, attr in node.attrs.items()}
                    if has_symbols(node.attrs)
                    else node.attrs
                )
                try:
                    result = bind(node.op, tuple([value(x) for x in node.inputs]), attrs)
                except OpError as error:
                    locate(error, node)
                    raise
                for out, item in zip(node.outputs, result if node.op.multiple else (result,), strict=True):
                    values[id(out)] = item

    def __repr__(self):
        lines = [f"graph {self.name}({', '.join(f'{x.name}: {_typed(x)}' for x in self.inputs)})"]
        names = {id(x): x.name for x in self.inputs}
        for number, node in enumerate(self.nodes):
            for out in node.outputs:
                names[id(out)] = f"%{number}" if len(node.outputs) == 1 else f"%{number}.{out.index}"
            args = [names.get(id(x), "const") for x in node.inputs]
            args += [f"{key}={_shown(attr)}" for key, attr in node.attrs.items()]
            results = ", ".join(f"{names[id(out)]}: {_typed(out)}" for out in node.outputs)
            lines.append(f"  {results} = {node.op.name}({', '.join(args)})")
            lines += ["    " + line for graph in graphs_in(node.attrs) for line in repr(graph).splitlines()]
        if self.outputs:
            lines.append(f"  return {', '.join(names.get(id(x), 'const') for x in self.outputs)}")
        return "\n".join(lines)


def locate(error, node):
    """Add to an error that a node raised the line of the program that the node comes from."""
    note_line(error, node.op.name, node.line)


def note_line(error, name, line):
    """The same for a node by the name of its op and its line."""
    if line and not getattr(error, "__notes__", None):
        error.add_note(f"{name}, in a graph, comes from {line}")


def graphs_in(attrs):
    """The graphs among some attrs: branches, loop bodies, called functions."""
    found = []
    for attr in attrs.values():
        if isinstance(attr, Graph):
            found.append(attr)
        elif attr.__class__ is tuple and attr and isinstance(attr[0], Graph):
            found.extend(attr)
    return found


def calls_python(node):
    """Whether a node runs Python code: itself, or by a node of a graph that it runs."""
    return node.op.name == "py_call" or any(calls_python(inner) for graph in graphs_in(node.attrs) for inner in graph.nodes)


def _shown(attr):
    if isinstance(attr, Graph):
        return attr.name
    if attr.__class__ is tuple and attr and isinstance(attr[0], Graph):
        return f"({', '.join(graph.name for graph in attr)})"
    return repr(attr.name) if hasattr(attr, "assign") else repr(attr)  # a variable's value would fill pages


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


__all__ = ["Graph", "Node", "SymbolicTensor", "calls_python", "graphs_in", "locate", "note_line"]
