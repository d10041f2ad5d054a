"""A plan as machine code that can be run: one native function for each stretch between Python steps."""

import ctypes
import sys
import time

import numpy as np

from tapeflow.base import flags
from tapeflow.base.errors import invalid
from tapeflow.compile import entry as entries
from tapeflow.compile import pool
from tapeflow.compile.asserts import Assert
from tapeflow.compile.buffers import aligned_copy, begins_well
from tapeflow.compile.effects import is_barrier
from tapeflow.compile.entry import Argument, Result, make_entry
from tapeflow.compile.explain import describe, explain, fallbacks
from tapeflow.compile.internal import CHECK_NUMERICS, Internal
from tapeflow.compile.jit import compile_text
from tapeflow.compile.memory import bytes_of
from tapeflow.compile.places import ARENA, WORKSPACE
from tapeflow.compile.plan import Plan
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
_named: set[tuple] = set()  # what `DEBUG=1` has named
LARGE = 1 << 20  # bytes from which a result's array is kept to be used again: less comes from the heap, which has touched it


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
        names = [p.name for p in self.parts if isinstance(p, Stretch)]
        self.code = compile_text(self.written.texts, names, pool.imports()) if self.written.texts else None
        pool.reserve(self.written.scratch)
        plan.release()
        for part in self.parts:
            if isinstance(part, Stretch):
                part.call = self.code.function(part.name, ctypes.c_void_p)
        self._frames = []
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

    # Running

    def run(self, values):
        """The graph's outputs for some input values, as ndarrays and NumPy scalars."""
        if pool.settings.stale.value:
            pool.ensure()
        frame = self._frames.pop() if self._frames else Frame(self)
        try:
            return frame.run(self, values)
        finally:
            self._frames.append(frame)

    @property
    def native(self):
        """Whether the program is one native stretch, without Python steps."""
        return len(self.parts) == 1 and isinstance(self.parts[0], Stretch)

    def entry(self, stand_in=None):
        """A builtin function from tensors to tensors, for a program that is one native stretch; or None.

        It takes as its last argument a variable to use in place of `stand_in`, where there is one.
        """
        plan = self.plan
        if not self.native:
            return None
        if any(place is None for place in plan.inputs) or any(not output.is_plain(dims) for output, dims in plan.outputs):
            return None
        if len({output.number for output, _ in plan.outputs}) != len(plan.outputs):
            return None
        if any(bytes_of(output.value) >= LARGE for output, _ in plan.outputs):  # whose memory is used again
            return None
        frame = Frame(self)
        base = address(frame.arena)

        def described(kind, x, place, *first, **more):
            where = {"cell": base + place.offset} if place.slot == ARENA else {"slot": place.slot}
            return kind(*first, np.dtype(x._dtype.numpy_dtype), x.dims, **where, **more)

        variables = plan.variables.values()
        for held in variables:
            if held.written and held.place.slot != ARENA:
                own_buffer(held.variable)  # the fast call takes buffers as they are
        return make_entry(
            self.code[self.parts[0].name],
            frame.pointer,
            [described(Argument, x, place) for x, place in zip(plan.graph.inputs, plan.inputs, strict=True)],
            [described(Result, output.value, output.place) for output, _ in plan.outputs],
            held=[
                described(
                    entries.Held,
                    held.value,
                    held.place,
                    None if held.variable is stand_in else held.variable,
                    written=held.written,
                )
                for held in variables
            ],
            failures=[base + offset for offset in self.written.messages],
            failed=(lambda: frame.fail(self)) if any(held.written for held in variables) else None,
            release=self.written.shared,
            refuse_at=ctypes.addressof(pool.settings.stale),
            keep=(self.code, frame),
        )

    def explain(self, name):
        """What became of the graph's nodes, as text."""
        return explain(self, name)


class Frame:
    """The memory of one run of a program; runs at the same time have a frame each.

    Attributes:
        table: the addresses that native code is given.
        arena: the intermediates.
        values: id of a graph value -> its NumPy value, of those that Python made.
    """

    def __init__(self, program):
        self.program = None  # while it runs; the program has the frame, and holding it would be a cycle
        plan = program.plan
        self.arena = aligned(plan.arena)
        self.workspace = aligned(program.written.workspace)
        self.table = np.zeros(plan.slots, np.int64)
        self.table[ARENA] = address(self.arena)
        self.table[WORKSPACE] = address(self.workspace)
        for slot, array in plan.constants.items():
            self.table[slot] = address(array)
        self.pointer = address(self.table)
        self.views = {}
        self.values = {}
        self.spare = {}  # number of an output -> its array in the last run
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

    def run(self, program, values):
        """One run."""
        self.program = program
        try:
            return self._run(program, values)
        finally:
            self.program = None
            self.values = {}  # hold nothing of what went in or out

    def _run(self, program, values):
        table = self.table
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
        if flags.DEBUG >= 2:
            self._run_timed(program)
        else:
            for part in program.parts:
                self._run_part(part)
        self._give_variables()
        return self._collect(fresh)

    def _run_part(self, part):
        if isinstance(part, Stretch):
            part.call(self.pointer)
            if self.program.written.messages:
                self._raise_failures()
        elif self.held and is_barrier(part.node):
            self._give_variables()  # Python code may look at variables, and assign them
            self._run_node(part.node)
            self._take_variables()
        else:
            self._run_node(part.node)

    def _run_timed(self, program):
        """One run in which each step says how long it took."""
        for part in program.parts:
            start = time.perf_counter()
            self._run_part(part)
            took = time.perf_counter() - start
            step = part.steps[0] if isinstance(part, Stretch) else part
            program.times[id(step)] = min(took, program.times.get(id(step), took))
            print(f"{took * 1e6:9.1f} us  {describe(program.plan, step)}", file=sys.stderr)

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
                array = fresh[output.number] = self._new_array(output)
                self.table[output.place.slot] = address(array)
                self.values[id(output.value)] = array
        return fresh

    def _new_array(self, output):
        """An array for a result: that of the run before, where nobody holds it any more, for new memory is slow to touch."""
        array = self.spare.get(output.number)
        if array is None or sys.getrefcount(array) > 3:  # the dict, the name, and the argument
            array = np.empty(output.value.dims, output.value._dtype.numpy_dtype)
            if array.nbytes >= LARGE:
                self.spare[output.number] = array
        return array

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
        """Whether native code may write to an array later: a part of the arena, or of a variable that it assigns."""
        written = [held.variable._tensor._value for held, cell in self.held if held.written and cell is None]
        while array is not None and array.__class__ is np.ndarray:
            if array is self.arena or array.base is self.arena.base or any(array is x for x in written):
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
        keeps = node.stateful or any(out._dtype.numpy_dtype is None for out in node.outputs)  # a list keeps its elements
        inputs = [self._own(x) if keeps else self.value(x) for x in node.inputs]
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

    def fail(self, program):
        """Raise the error of a step that has failed."""
        self.program = program
        try:
            self._raise_failures()
        finally:
            self.program = None

    def _raise_failures(self):
        for offset, messages in self.program.written.messages.items():
            cells = self.arena[offset : offset + 16].view(np.int64)
            if cells[0] and isinstance(messages, Assert):
                cells[0] = 0
                with naming_line(messages.node):
                    messages.fail(self.arena)
            elif cells[0]:
                kinds = [message for i, message in enumerate(messages) if cells[0] >> i & 1]
                cells[0] = 0
                raise _failure(kinds, cells[1])


def _call(op, inputs, attrs):
    """What an op makes of NumPy values, as tensors."""
    if op.__class__ is Internal:
        return wrap(op.kernel(*inputs, **attrs))
    return bind(op, tuple(map(wrap, inputs)), attrs)


def _failure(kinds, value):
    """The error for what a kernel noted: (node, message) of each kind, and a value that is wrong."""
    node, message = kinds[0]
    if node.op is CHECK_NUMERICS:
        found = [kind for kind in ("Inf", "NaN") if any(other is node and f"had {kind} " in text for other, text in kinds)]
        message = message.rpartition(" had ")[0] + f" had {' and '.join(found)} values"
    error = invalid(NAMES.get(node.op.name) or node.attrs.get("op", node.op.name), message.replace("{value}", str(value)))
    locate(error, node)
    return error


# What errors call ops that have another name in TensorFlow.
NAMES = {"checked_numerics": "CheckNumerics"}


def own_buffer(variable):
    """Let a variable's array be its own, and fit to be written by native code: a copy where a tensor or view shares it."""
    old = variable._tensor._value
    if old.flags.owndata and old.flags.carray and _references(variable, old) == SOLE and begins_well(old):
        return
    variable._tensor = wrap(aligned_copy(old))


__all__ = ["Program"]
