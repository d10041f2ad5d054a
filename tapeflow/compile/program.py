"""A plan as machine code that can be run: one native function for each stretch between Python steps."""

import ctypes

import numpy as np

from tapeflow.base.errors import invalid
from tapeflow.compile.internal import Internal
from tapeflow.compile.jit import compile_text
from tapeflow.compile.plan import ARENA, SCRATCH, WORKSPACE, Plan
from tapeflow.compile.rebuild import has_tensors
from tapeflow.compile.specialise import naming_line
from tapeflow.compile.write import Stretch, write
from tapeflow.core.graph import locate
from tapeflow.core.primitive import bind
from tapeflow.core.state import paused, tracing
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.core.variable import SOLE, _references

DATA = 16  # where an ndarray object keeps the address of its elements; checked below
ALIGN = 64


def address(array):
    """The address of an array's first element."""
    return ctypes.c_void_p.from_address(id(array) + DATA).value or 0


_probe = np.zeros(3)
if address(_probe) != _probe.ctypes.data:  # another layout of NumPy's objects

    def address(array):
        """The address of an array's first element."""
        return array.ctypes.data


def aligned(count):
    """So many bytes, all 0, at the start of a cache line."""
    block = np.zeros(count + ALIGN, np.uint8)
    start = -address(block) % ALIGN
    return block[start : start + count]


class Program:
    """A compiled graph for one set of input shapes."""

    def __init__(self, graph):
        self.plan = plan = Plan(graph)
        self.parts = self._split()
        self.written = write([part for part in self.parts if isinstance(part, Stretch)], plan)
        self.text = self.written.text
        self.code = compile_text(self.text, [p.name for p in self.parts if isinstance(p, Stretch)]) if self.text else None
        for part in self.parts:
            if isinstance(part, Stretch):
                part.call = self.code.function(part.name, ctypes.c_void_p)
        self._frames = []

    def _split(self):
        """The steps as stretches of native ones and single Python ones."""
        parts = []
        for step in self.plan.steps:
            if not step.native:
                parts.append(step)
                continue
            if not parts or not isinstance(parts[-1], Stretch):
                parts.append(Stretch(f"step{len(parts)}"))
            parts[-1].steps.append(step)
        return parts

    # Running

    def run(self, values):
        """The graph's outputs for some input values, as ndarrays and NumPy scalars."""
        frame = self._frames.pop() if self._frames else Frame(self)
        try:
            return frame.run(values)
        finally:
            self._frames.append(frame)


class Frame:
    """The memory of one run of a program; runs at the same time have a frame each.

    Attributes:
        table: the addresses that native code is given.
        arena: the intermediates.
        values: id of a graph value -> its NumPy value, of those that Python made.
    """

    def __init__(self, program):
        self.program = program
        plan = program.plan
        self.arena = aligned(plan.arena)
        self.work = [aligned(program.written.workspace), aligned(program.written.scratch)]
        self.table = np.zeros(plan.slots, np.int64)
        self.table[ARENA] = address(self.arena)
        self.table[WORKSPACE], self.table[SCRATCH] = map(address, self.work)
        for slot, array in plan.constants.items():
            self.table[slot] = address(array)
        self.pointer = address(self.table)
        self.views = {}
        self.values = {}
        self.inputs = [
            (place, self.cell(place, x._dtype) if place is not None and place.slot == ARENA else None)
            for place, x in zip(plan.inputs, plan.graph.inputs, strict=True)
        ]
        self.held = [
            (held, self.cell(held.place, held.value._dtype) if held.place.slot == ARENA else None)
            for held in plan.variables.values()
        ]

    def cell(self, place, dtype):
        """A scalar of the arena, as a 0-d array."""
        return self.arena[place.offset : place.offset + dtype.size].view(dtype.numpy_dtype).reshape(())

    def run(self, values):
        """One run."""
        program, table = self.program, self.table
        keep = []
        self.values = {}
        for value, x, (place, cell) in zip(values, program.plan.graph.inputs, self.inputs, strict=True):
            self.values[id(x)] = value
            if cell is not None:
                cell[()] = value
            elif place is not None:
                if not value.flags.carray:
                    value = np.require(value, requirements="CA")
                    keep.append(value)
                table[place.slot] = address(value)
        self._take_variables()
        fresh = self._make_outputs()
        for part in program.parts:
            if isinstance(part, Stretch):
                part.call(self.pointer)
                self._raise_failures()
            else:
                self._run_node(part.node)
        self._give_variables()
        return self._collect(fresh)

    def _take_variables(self):
        for held, cell in self.held:
            variable = held.variable
            if cell is not None:
                cell[()] = variable._tensor._value
                continue
            if held.written:
                own_buffer(variable)
            array = variable._tensor._value
            if not array.flags.carray:
                array = np.ascontiguousarray(array)
                self.values["keep", id(variable)] = array
            self.table[held.place.slot] = address(array)

    def _give_variables(self):
        for held, cell in self.held:
            if not held.written:
                continue
            if cell is not None:
                held.variable._tensor = wrap(cell[()])
            else:
                held.variable._tensor._mark = None

    def _make_outputs(self):
        fresh = {}
        for output, _ in self.program.plan.outputs:
            if output.place is not None and output.place.slot != ARENA and output.number not in fresh:
                array = fresh[output.number] = np.empty(output.value.dims, output.value._dtype.numpy_dtype)
                self.table[output.place.slot] = address(array)
                self.values[id(output.value)] = array
        return fresh

    def _collect(self, fresh):
        results = []
        for output, dims in self.program.plan.outputs:
            found = fresh.get(output.number)
            if found is None:
                found = self._own(output.value)
            if dims is not None and None not in dims and found.shape != dims:
                found = found.reshape(dims) if dims else found.reshape(-1)[0]
            results.append(found)
        return results

    def _own(self, value):
        """A value for the caller to keep: nothing of the arena."""
        found = self.value(value)
        if found.__class__ is np.ndarray and self._is_ours(found):
            return found.copy()
        return found

    def _is_ours(self, array):
        while array is not None and array.__class__ is np.ndarray:
            if array is self.arena or array.base is self.arena.base:
                return True
            array = array.base
        return False

    # Python steps

    def value(self, x):
        """The NumPy value of a graph value."""
        if x.__class__ is Tensor:
            return x._value
        found = self.values.get(id(x))
        if found is not None:
            return found
        base = self.program.plan.reader.base(x)
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
        plan = self.program.plan
        place = plan.places["value", id(base)]
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
        inputs = [self._own(x) if node.op.stateful else self.value(x) for x in node.inputs]
        with naming_line(node), tracing(None), paused():
            result = _call(node.op, inputs, attrs)
        for out, tensor in zip(node.outputs, result if node.op.multiple else (result,), strict=True):
            found = tensor._value
            if found.__class__ is np.ndarray and found.dtype != object:
                if self._is_ours(found):
                    found = found.copy()
                found = found if found.flags.carray else np.require(found, requirements="CA")
            self.values[id(out)] = found
            place = self.program.plan.places.get(("value", id(out)))
            if place is None:
                continue
            if place.slot == ARENA:
                self.cell(place, out._dtype)[()] = found
            else:
                self.table[place.slot] = address(found)

    def _attr(self, attr):
        if isinstance(attr, Tensor):
            found = np.asarray(self.value(attr)).tolist()
            return tuple(found) if found.__class__ is list else found
        if isinstance(attr, (tuple, list)):
            return tuple([self._attr(item) for item in attr])
        return attr

    # Errors

    def _raise_failures(self):
        for offset, messages in self.program.written.messages.items():
            cells = self.arena[offset : offset + 16].view(np.int64)
            if cells[0]:
                node, message = messages[cells[0] - 1]
                cells[0] = 0
                error = invalid(node.attrs.get("op", node.op.name), message.replace("{value}", str(cells[1])))
                locate(error, node)
                raise error


def _call(op, inputs, attrs):
    """What an op makes of NumPy values, as tensors."""
    if op.__class__ is Internal:
        return wrap(op.kernel(*inputs, **attrs))
    return bind(op, tuple(map(wrap, inputs)), attrs)


def own_buffer(variable):
    """Let a variable's array be its own, and fit to be written by native code: a copy where a tensor or view shares it."""
    old = variable._tensor._value
    if old.flags.owndata and old.flags.carray and _references(variable, old) == SOLE:
        return
    variable._tensor = wrap(np.array(old, order="C"))


__all__ = ["Program"]
