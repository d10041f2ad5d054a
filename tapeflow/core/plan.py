"""`plan_of`: a graph as one Python function that calls the NumPy kernels, a line a node: the fastest way without native code.

The interpreter (`Graph.interpret`) stays what says what a graph means. Where a line raises, it goes on from that node with the
values so far, so that errors have its words, and a kernel that only met the user's warnings made errors is run again.
"""

import weakref

import numpy as np

from tapeflow.base.dtypes import string
from tapeflow.base.errors import OpError
from tapeflow.core.graph import SymbolicTensor, locate
from tapeflow.core.primitive import symbols_in
from tapeflow.core.tensor import BY_CLASS, Tensor, wrap

# The compiler, if there is one: `compiler(graph, closed)` gives what runs a graph as native code, or None where that is not worth
# it. It takes the values of the inputs as a list; unless `closed`, without those of variables, which it reads itself, and gives
# no results of stateful nodes then.
compiler = None


def runner_of(graph):
    """What runs a closed graph the fastest way: `values -> values of graph.outputs`."""
    run = graph.derived.get("runner")
    if run is None:
        native = None if compiler is None else compiler(graph, True)
        run = graph.derived["runner"] = plan_of(graph) if native is None else lambda *values: native(values)
    return run


def plan_of(graph):
    """The function `values -> tuple of values of graph.outputs` (ndarrays and NumPy scalars); made once.

    Its arguments are the values of `graph.inputs`, one each.
    """
    plan = graph.derived.get("plan")
    if plan is None:
        plan = graph.derived["plan"] = _Writer(graph).function()
    return plan


class _Writer:
    """Writes the Python source of one graph's plan."""

    def __init__(self, graph):
        self.graph = graph
        self.names = {id(x): f"v{i}" for i, x in enumerate(graph.inputs)}
        # with the name of a module of ours, so that NumPy's floating point warnings are filtered
        self.constants = {"__name__": __name__, "SCALARS": BY_CLASS, "normal": _normal, "number": _number}
        self.starts = []  # for each node the number of its first line
        self.lines = []

    def function(self):
        """The compiled plan."""
        graph = self.graph
        last = self._last_uses()
        self.lines = [f"def plan({', '.join(self.names.values())}):"]
        for position, node in enumerate(graph.nodes):
            self.starts.append(len(self.lines) + 1)
            self._write(node)
            dead = [self.names[key] for key in last.get(position, ()) if key in self.names]
            if dead:
                self.lines.append(f"    del {', '.join(dead)}")
        results = [self._value(x) for x in graph.outputs]
        self.lines.append(f"    return ({', '.join(results)}{',' if results else ''})")
        scope = self.constants
        exec(compile("\n".join(self.lines), f"<plan of {graph.name}>", "exec"), scope)
        plan = scope.pop("plan")
        return _Guarded(plan, graph, self.starts, self.names).run

    def _last_uses(self):
        """position -> ids of the tensors that are used there for the last time; results never used die at once."""
        kept = {id(x) for x in self.graph.outputs}
        last = {}
        for position, node in enumerate(self.graph.nodes):
            for x in (*node.outputs, *node.inputs, *symbols_in(node.attrs.values())):
                last[id(x)] = position
        found = {}
        for key, position in last.items():
            if key not in kept:
                found.setdefault(position, []).append(key)
        return found

    def _write(self, node):
        number = len(self.starts) - 1
        op = node.op
        for out in node.outputs:
            self.names[id(out)] = f"v{len(self.names)}"
        self.constants[f"k{number}"] = op.kernel
        arguments = [self._value(x) for x in node.inputs]
        for key, attr in node.attrs.items():
            arguments.append(f"{key}={self._attr(attr)}")
        call = f"k{number}({', '.join(arguments)})"
        if not op.multiple:
            name = self.names[id(node.outputs[0])]
            self.lines.append(f"    {name} = {call}")
            self._normalise(node.outputs[0])
        elif not node.outputs:
            self.lines.append(f"    {call}")
        else:
            self.lines.append(f"    {''.join(self.names[id(out)] + ', ' for out in node.outputs)} = {call}")
            for out in node.outputs:
                self._normalise(out)

    def _normalise(self, out):
        """What `wrap` would make of a kernel's result, where it may not be so yet: a NumPy scalar for no dimensions."""
        name = self.names[id(out)]
        if out._dtype is string:
            self.lines.append(f"    {name} = normal({name})")
        elif out._dtype.element is None and not out.dims:
            self.lines.append(f"    if {name}.__class__ not in SCALARS: {name} = normal({name})")

    def _value(self, x):
        return self.names[id(x)] if isinstance(x, SymbolicTensor) else self._constant(x._value)

    def _attr(self, attr):
        """The expression for an attr; symbolic tensors in it become numbers when it runs."""
        if isinstance(attr, SymbolicTensor):
            return f"number({self.names[id(attr)]})"
        if isinstance(attr, (tuple, list)) and any(True for _ in symbols_in((attr,))):
            return f"({''.join(self._attr(item) + ', ' for item in attr)})"
        return self._constant(attr._value.tolist() if isinstance(attr, Tensor) else attr)

    def _constant(self, value):
        if value is None or value.__class__ is int or value.__class__ is bool:
            return repr(value)
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name


def _number(value):
    """A value as Python's numbers: NumPy's would overflow when a shape is multiplied out."""
    found = value.tolist()
    return tuple(found) if found.__class__ is list else found


def _normal(value):
    return wrap(value)._value


class _Guarded:
    """A plan that hands over to the interpreter where a kernel raises."""

    def __init__(self, plan, graph, starts, names):
        self.plan = plan
        self.graph = weakref.ref(graph)  # the graph holds its plan
        self.starts = starts
        self.names = names

    def run(self, *values):
        """The results for these inputs."""
        try:
            return self.plan(*values)
        except Exception as error:
            return self._go_on(error, self.graph())

    def _go_on(self, error, graph):
        trace = error.__traceback__.tb_next
        while trace is not None and trace.tb_frame.f_code is not self.plan.__code__:
            trace = trace.tb_next
        if trace is None or graph is None:  # the arguments did not fit
            raise error
        line, found = trace.tb_lineno, trace.tb_frame.f_locals
        position = sum(start <= line for start in self.starts) - 1
        node = graph.nodes[position]
        if isinstance(error, OpError) or node.op.stateful:  # its words are good, and what it did is not to be done again
            locate(error, node)
            raise error
        values = {key: wrap(found[name]) for key, name in self.names.items() if name in found}
        del trace, found
        error.__traceback__ = None
        with np.errstate(all="ignore"):
            graph.interpret(values, position)
        return tuple([(values[id(x)] if isinstance(x, SymbolicTensor) else x)._value for x in graph.outputs])


__all__ = ["plan_of", "runner_of"]
