"""The memory of one run of a program, and the run itself: native code between the values that go in and those that come out."""

import ctypes
import sys

import numpy as np

from tapeflow.base.errors import invalid
from tapeflow.compile.buffers import aligned_copy, begins_well
from tapeflow.compile.places import ARENA, WORKSPACE
from tapeflow.core.graph import note_line
from tapeflow.core.tensor import wrap
from tapeflow.core.variable import SOLE, _references

DATA = 16  # where an ndarray object keeps the address of its elements; checked below
ALIGN = 64
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


class Frame:
    """The memory of one run; runs at the same time have a frame each.

    Args:
        layout: the program's `Layout`.
        call: the native function of the table, of a program that is one.

    Attributes:
        table: the addresses that native code is given.
        arena: the intermediates.
    """

    def __init__(self, layout, call=None):
        self.layout = layout
        self.call = call
        self.arena = aligned(layout.arena)
        self.workspace = aligned(layout.workspace)
        self.table = np.zeros(layout.slots, np.int64)
        self.table[ARENA] = address(self.arena)
        self.table[WORKSPACE] = address(self.workspace)
        for slot, array in layout.constants.items():
            self.table[slot] = address(array)
        self.pointer = address(self.table)
        self.written = set()  # ids of the arrays of variables that native code assigns
        self.spare = {}  # number of a result -> its array in the last run
        self.inputs = [(place, self._cell_of(place, spec)) for spec, place in layout.inputs]
        self.held = [(held, self._cell_of(held.place, held.spec)) for held in layout.held]

    def _cell_of(self, place, spec):
        return self.cell(place.offset, spec.dtype) if place is not None and place.slot == ARENA else None

    def cell(self, offset, dtype):
        """A scalar of the arena, as a 0-d array."""
        return self.arena[offset : offset + dtype.size].view(dtype.numpy_dtype).reshape(())

    def run(self, values):
        """One run: the graph's outputs for some input values."""
        keep = self.take(values)
        self.take_variables(keep)
        fresh = self.make_results()
        self.call(self.pointer)
        if self.layout.failures:
            self.raise_failures()
        self.give_variables()
        return [self._result(result, fresh, values) for result in self.layout.results]

    def take(self, values):
        """Let native code find the inputs; what must be held meanwhile."""
        table = self.table
        keep = []
        for value, (place, cell) in zip(values, self.inputs, strict=True):
            if cell is not None:
                cell[()] = value
            elif place is not None:
                if not value.flags.carray:
                    value = np.require(value, requirements="CA")
                    keep.append(value)
                table[place.slot] = address(value)
        return keep

    def take_variables(self, keep):
        """Let native code find the variables; adds to `keep` what must be held meanwhile."""
        self.written.clear()
        for held, cell in self.held:
            variable = held.variable
            if cell is not None:
                cell[()] = variable._tensor._value
                continue
            if held.written:
                own_buffer(variable)
            array = variable._tensor._value
            if held.written:
                self.written.add(id(array))
            elif not array.flags.carray:
                array = np.ascontiguousarray(array)
                keep.append(array)
            self.table[held.place.slot] = address(array)

    def give_variables(self):
        """Let the variables have what native code has made of them."""
        for held, cell in self.held:
            if not held.written:
                continue
            if cell is not None:
                held.variable._tensor = wrap(cell[()])
            else:
                held.variable._tensor._mark = None

    # Results

    def make_results(self):
        """The new arrays for results, by their numbers."""
        fresh = {}
        for result in self.layout.results:
            if result.kind == "new" and result.number not in fresh:
                array = fresh[result.number] = self._new_array(result)
                self.table[result.place] = address(array)
        return fresh

    def _new_array(self, result):
        """An array for a result: that of the run before, where nobody holds it any more, for new memory is slow to touch."""
        array = self.spare.get(result.number)
        if array is None or sys.getrefcount(array) > 3:  # the dict, the name, and the argument
            shape, dtype = result.spec
            array = np.empty(shape, dtype.numpy_dtype)
            if array.nbytes >= LARGE:
                self.spare[result.number] = array
        return array

    def _result(self, result, fresh, values):
        """An output as its caller gets it."""
        found = fresh[result.number] if result.kind == "new" else self.own(self._found(result, values))
        dims = result.dims
        if dims is not None and None not in dims and found.shape != dims:
            found = found.reshape(dims) if dims else found.reshape(-1)[0]
        return found

    def _found(self, result, values):
        match result.kind:
            case "cell":
                return self.cell(result.place, result.spec.dtype)[()]
            case "input":
                return values[result.place]
            case "held":
                return self.layout.held[result.place].variable._tensor._value
            case "constant":
                return result.place
        raise ValueError(result.kind)

    def own(self, found):
        """A value for the caller to keep: nothing of the arena."""
        if found.__class__ is np.ndarray and self.is_ours(found):
            return found.copy()
        return found

    def is_ours(self, array):
        """Whether native code may write to an array later: a part of the arena, or of a variable that it assigns."""
        while array is not None and array.__class__ is np.ndarray:
            base = array.base
            if array is self.arena or base is self.arena.base or id(array) in self.written:
                return True
            array = base
        return False

    # Errors

    def raise_failures(self):
        """Raise the error of a step that has failed, if one has."""
        for offset, failures in self.layout.failures.items():
            cells = self.arena[offset : offset + 16].view(np.int64)
            if not cells[0]:
                continue
            kinds, value = int(cells[0]), cells[1]
            cells[0] = 0
            if failures.__class__ is not list:
                failures.fail(self.arena)
            raise _error([failure for i, failure in enumerate(failures) if kinds >> i & 1], value)


def _error(found, value):
    """The error for what a kernel noted: a `Failure` of each kind, and a value that is wrong."""
    first = found[0]
    message = first.message
    if first.name == "checked_numerics":
        kinds = [kind for kind in ("Inf", "NaN") if any(x.node == first.node and f"had {kind} " in x.message for x in found)]
        message = message.rpartition(" had ")[0] + f" had {' and '.join(kinds)} values"
    error = invalid(first.op, message.replace("{value}", str(value)))
    note_line(error, first.name, first.line)
    return error


def own_buffer(variable):
    """Let a variable's array be its own, and fit to be written by native code: a copy where a tensor or view shares it."""
    old = variable._tensor._value
    if old.flags.owndata and old.flags.carray and _references(variable, old) == SOLE and begins_well(old):
        return
    variable._tensor = wrap(aligned_copy(old))


__all__ = ["LARGE", "Frame", "address", "aligned", "own_buffer"]
