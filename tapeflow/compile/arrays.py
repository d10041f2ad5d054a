"""Library calls on whole arrays that lie dense in memory, without work joined to them: scans, sorts, scatters, random numbers.

An `ArrayOp` says which nodes it takes and writes their code through a `Call`: its arrays, and phases of tiles.
"""

import contextlib
import functools
from typing import NamedTuple

from tapeflow.compile.clean import attr_key
from tapeflow.compile.kernels import Operands
from tapeflow.compile.librarystep import Library, LibraryStep
from tapeflow.compile.loops import Failures
from tapeflow.compile.micro import Kernel, Phase
from tapeflow.compile.rebuild import has_tensors
from tapeflow.compile.scalars import MACHINE, MEMORY
from tapeflow.compile.spatial import operands_of
from tapeflow.compile.text import F32, INDEX, PTR


class ArrayOp(NamedTuple):
    """Native code for an op.

    Attributes:
        fits: `fits(node)`: whether it has code for a node; all shapes are known and no array is empty.
        emit: `emit(call)` writes it.
        may_fail: whether it may find an error while it runs.
        in_place: whether the result may be where the first operand is.
        takes_complex: whether elements may be complex: it only moves them, or knows what to do.
    """

    fits: object
    emit: object
    may_fail: bool = False
    in_place: bool = False
    takes_complex: bool = False


class Array:
    """An operand or a result: its `dims`, `dtype`, and the number of its pointer in the table (None for a result nobody reads)."""

    def __init__(self, x, number):
        self.dims = x.dims
        self.dtype = x._dtype
        self.number = number
        self.machine = MACHINE[x._dtype]  # in a register
        self.memory = MEMORY.get(x._dtype) or self.machine
        self.size = x._dtype.size  # bytes of an element

    def load(self, f, pointer, lanes=1, mask=None):
        """Elements at a pointer, as they are in registers."""
        found = f.load(pointer, self.memory.vector(lanes), mask)
        if self.memory is self.machine:
            return found
        return f.convert(found, F32) if self.machine is F32 else found.differs(0)

    def store(self, f, value, pointer, mask=None):
        """Write elements."""
        f.store(value if self.memory is self.machine else f.convert(value, self.memory), pointer, mask)


class Call:
    """One array op being written.

    Attributes:
        node: the node, for its attrs.
        inputs, outputs: `Array`s.
        kernel: the `Kernel` that it becomes.
    """

    def __init__(self, module, node, inputs, outputs, count):
        self.module = module
        self.node = node
        self.attrs = node.attrs
        self.inputs = inputs
        self.outputs = outputs
        self.kernel = Kernel()
        self._count = count  # of the arrays; behind their pointers come those of the workspace and of the cells for errors

    @contextlib.contextmanager
    def phase(self, tiles=1):
        """The function of a phase, written in the block: its argument 1 is the number of the tile."""
        name = self.module.fresh(self.node.op.name)
        arguments = [("table", PTR), ("tile", INDEX), ("scratch", PTR)]
        with self.module.function(name, arguments, internal=True, attributes="nounwind noinline") as f:
            yield f
        self.kernel.phases.append(Phase(name, tiles))

    def pointer(self, f, array):
        """The address of an array's first element."""
        return f.load(f.arguments[0] + 8 * array.number, PTR)

    def workspace(self, f):
        """The address of `kernel.workspace` bytes."""
        return f.load(f.arguments[0] + 8 * self._count, PTR)

    def failures(self, f):
        """`fail(f, mask, message, value)` notes an error."""
        found = Failures(f.arguments[0], self._count + 1)
        found.messages = self.kernel.messages
        return found


class ArrayStep(LibraryStep):
    """The step of an array op."""

    def __init__(self, group, reader, targets, op):
        self.group = group
        self.node = node = group.anchor.node
        self.op = op
        self.failures = None
        self.may_fail = op.may_fail
        operands = Operands()
        numbers = [operands.number(("value", id(x.value), i), x.value._dtype) for i, x in enumerate(group.anchor.operands)]
        self.offsets = [0] * len(numbers)
        self.inputs = [Array(x, number) for x, number in zip(node.inputs, numbers, strict=True)]
        self.outputs, self.copies = [], []
        for out in node.outputs:
            kept = targets(out)
            self.outputs.append(Array(out, operands.number(kept[0], out._dtype) if kept else None))
            self.copies += [(kept[0], key, out) for key in kept[1:]]
        self.keys = [key[:2] for key in operands.keys]
        attrs = tuple(sorted((name, attr_key(attr)) for name, attr in node.attrs.items()))
        arrays = tuple([(x.dims, x.dtype.name, x.number) for x in (*self.inputs, *self.outputs)])
        self.key = (node.op.name, attrs, arrays)
        self.flops = 0

    def write(self, module):
        """Write the functions; returns the `Kernel`."""
        call = Call(module, self.node, self.inputs, self.outputs, len(self.keys))
        self.op.emit(call)
        return call.kernel


@functools.cache
def array_library(op):
    """The `Library` of an `ArrayOp`."""

    def step(group, reader, targets):
        return ArrayStep(group, reader, targets, op)

    return Library(operands_of, lambda node: False, step, op.in_place)


def fits(node, ops):
    """The `ArrayOp` of a table that has code for a node, or None."""
    op = ops.get(node.op.name)
    if op is None or has_tensors(node.attrs):
        return None
    for x in (*node.inputs, *node.outputs):
        if x._dtype not in MACHINE or (x._dtype.is_complex and not op.takes_complex):
            return None
        if x.dims is None or None in x.dims or 0 in x.dims:
            return None
    return op if op.fits(node) else None


__all__ = ["Array", "ArrayOp", "ArrayStep", "Call", "array_library", "fits"]
