"""A plan as machine code that can be run: one native function for each stretch between Python steps."""

import ctypes
import sys
import time

import numpy as np

from tapeflow.base import flags
from tapeflow.compile import pool
from tapeflow.compile.effects import is_barrier
from tapeflow.compile.explain import describe, explain, fallbacks
from tapeflow.compile.frame import Frame, address
from tapeflow.compile.internal import Internal
from tapeflow.compile.jit import compile_text
from tapeflow.compile.layout import layout_of
from tapeflow.compile.native import Native
from tapeflow.compile.places import ARENA
from tapeflow.compile.plan import Plan
from tapeflow.compile.rebuild import has_tensors
from tapeflow.compile.specialise import naming_line
from tapeflow.compile.write import Stretch, write
from tapeflow.core.primitive import bind
from tapeflow.core.state import paused, tracing
from tapeflow.core.tensor import Tensor, wrap

_named: set[tuple] = set()  # what `DEBUG=1` has named


class Program(Native):
    """A compiled graph for one set of input shapes, with its plan."""

    def __init__(self, graph):
        self.plan = plan = Plan(graph)
        self.parts = self._split()
        stretches = [part for part in self.parts if isinstance(part, Stretch)]
        written = write(stretches, plan)
        names = [stretch.name for stretch in stretches]
        code = compile_text(written.texts, names, pool.imports()) if written.texts else None
        for stretch in stretches:
            stretch.call = code.function(stretch.name, ctypes.c_void_p)
        super().__init__(layout_of(plan, written), code, names[0] if len(self.parts) == len(names) == 1 else None)
        plan.release()
        self.times = {}  # id of a step -> the shortest time that it took, with DEBUG=2
        if flags.DEBUG:
            for text in fallbacks(plan):
                if (graph.name, text) not in _named:
                    _named.add((graph.name, text))
                    print(f"{graph.name}: on its NumPy kernel: {text}", file=sys.stderr)

    def _split(self):
        """The steps as stretches of native ones and single Python ones."""
        parts = []
        for step in self.plan.steps:
            if not step.native:
                parts.append(step)
                continue
            if not parts or not isinstance(parts[-1], Stretch) or flags.DEBUG >= 2:  # to be timed, each by itself
                parts.append(Stretch(f"step{len(parts)}"))
            parts[-1].steps.append(step)
        return parts

    def _new_frame(self):
        return super()._new_frame() if self.native and not flags.DEBUG else StepFrame(self)

    def explain(self, name):
        """What became of the graph's nodes, as text."""
        return explain(self, name)


class StepFrame(Frame):
    """The memory of one run of a program with Python steps among native ones.

    Attributes:
        values: id of a graph value -> its NumPy value, of those that Python made.
    """

    def __init__(self, program):
        super().__init__(program.layout)
        self.plan, self.parts, self.times = program.plan, program.parts, program.times
        self.views = {}
        self.values = {}

    def run(self, values):
        """One run: the graph's outputs for some input values."""
        try:
            return self._run(values)
        finally:
            self.values = {}  # hold nothing of what went in or out

    def _run(self, values):
        keep = self.take(values)
        self.values = {id(x): value for x, value in zip(self.plan.graph.inputs, values, strict=True)}
        self.take_variables(keep)
        fresh = self.make_results()
        for output, _ in self.plan.outputs:
            if output.number in fresh:
                self.values[id(output.value)] = fresh[output.number]
        with tracing(None), paused():
            for part in self.parts:
                start = time.perf_counter()
                self._run_part(part, keep)
                if flags.DEBUG >= 2:
                    self._show_time(part, time.perf_counter() - start)
        self.give_variables()
        return [self._result(result, fresh, values) for result in self.layout.results]

    def _run_part(self, part, keep):
        if isinstance(part, Stretch):
            part.call(self.pointer)
            if self.layout.failures:
                self.raise_failures()
        elif self.held and is_barrier(part.node):
            self.give_variables()  # Python code may look at variables, and assign them
            self._run_node(part.node)
            self.take_variables(keep)
        else:
            self._run_node(part.node)

    def _show_time(self, part, took):
        step = part.steps[0] if isinstance(part, Stretch) else part
        self.times[id(step)] = min(took, self.times.get(id(step), took))
        print(f"{took * 1e6:9.1f} us  {describe(self.plan, step)}", file=sys.stderr)

    # Python steps

    def _found(self, result, values):
        if result.kind != "step":
            return super()._found(result, values)
        return self.value(result.place)

    def value(self, x):
        """The NumPy value of a graph value."""
        if x.__class__ is Tensor:
            return x._value
        found = self.values.get(id(x))
        if found is not None:
            return found
        base = self.plan.reader.base(x)
        found = self._stored(base)
        if base is not x and found.shape != x.dims:
            found = found.reshape(x.dims) if x.dims else found.reshape(-1)[0]
        return found

    def _stored(self, base):
        if base.__class__ is Tensor:
            return base._value
        found = self.values.get(id(base))
        if found is not None:
            return found
        place = self.plan.places["value", id(base)]
        if place.slot != ARENA:
            for held, _ in self.held:
                if held.place is place:
                    return held.variable._tensor._value
            raise KeyError(base)
        view = self.views.get(id(base))
        if view is None:
            count = max(1, base._dtype.size * int(np.prod(base.dims)))
            view = self.arena[place.offset : place.offset + count].view(base._dtype.numpy_dtype).reshape(base.dims)
            self.views[id(base)] = view
        return view if base.dims else view[()]

    def _run_node(self, node):
        """Run a node on its NumPy kernel; what native code will read of its results is put into the table."""
        attrs = {key: self._attr(attr) for key, attr in node.attrs.items()} if has_tensors(node.attrs) else node.attrs
        keeps = node.stateful or any(out._dtype.numpy_dtype is None for out in node.outputs)  # a list keeps its elements
        inputs = [self.own(self.value(x)) if keeps else self.value(x) for x in node.inputs]
        with naming_line(node):
            result = _call(node.op, inputs, attrs)
        for out, tensor in zip(node.outputs, result if node.op.multiple else (result,), strict=True):
            found = tensor._value
            if found.__class__ is np.ndarray and found.dtype != object:
                if self.is_ours(found):
                    found = found.copy()
                found = found if found.flags.carray else np.require(found, requirements="CA")
            self.values[id(out)] = found
            place = self.plan.places.get(("value", id(out)))
            if place is None:
                continue
            if place.slot == ARENA:
                self.cell(place.offset, out._dtype)[()] = found
            else:
                self.table[place.slot] = address(found)

    def _attr(self, attr):
        if isinstance(attr, Tensor):
            found = np.asarray(self.value(attr)).tolist()
            return tuple(found) if found.__class__ is list else found
        if isinstance(attr, (tuple, list)):
            return tuple([self._attr(item) for item in attr])
        return attr


def _call(op, inputs, attrs):
    """What an op makes of NumPy values, as tensors."""
    if op.__class__ is Internal:
        return wrap(op.kernel(*inputs, **attrs))
    return bind(op, tuple(map(wrap, inputs)), attrs)


__all__ = ["Program"]
