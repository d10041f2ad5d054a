"""Random numbers of ThreeFry streams in native code, with the bits of the NumPy kernels (`ops/random_threefry.py`)."""

import math

import numpy as np

from tapeflow.base.dtypes import bfloat16, float16
from tapeflow.compile.text import F32, F64, I32, I64
from tapeflow.ops.random_bits import THREEFRY

PARITY = 0x1BD11BDA
ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
TILE = 2048  # blocks of a tile, about


def threefry(f, key, counters):
    """The two words of each block, as vectors of 32 bits, of a key and a vector of counters of 64 bits."""
    lanes = counters.type.lanes
    first, second = f.convert(key, I32), f.convert(f.lshr(key, 32), I32)
    keys = [f.splat(k, lanes) for k in (first, second, first ^ second ^ PARITY)]
    x, y = f.convert(counters, I32) + keys[0], f.convert(f.lshr(counters, 32), I32) + keys[1]
    for step in range(5):
        for rotation in ROTATIONS[step % 2]:
            x = x + y
            y = (y << rotation | f.lshr(y, 32 - rotation)) ^ x
        x, y = x + keys[(step + 1) % 3], y + keys[(step + 2) % 3] + (step + 1)
    return x, y


class Layout:
    """Where the numbers of blocks stand: in rows of blocks, `second` elements behind the first number of a block its second one.

    Attributes:
        rows, blocks: how many rows there are, of so many blocks each.
        second: 0 where a block is one number, 1 where its numbers are neighbours.
        length: elements of a row of neighbours, an odd number where the last block has one number.
    """

    def __init__(self, dims, whole):
        size = math.prod(dims)
        self.rows, self.blocks, self.second, self.length, self.halves = 1, size, 0, size, 1
        if whole or not dims:
            return
        even = (axis for axis, n in enumerate(dims) if n % 2 == 0)
        axis = next(even, int(np.argmax(dims)))
        before, n, self.second = math.prod(dims[:axis]), dims[axis], math.prod(dims[axis + 1 :])
        if self.second > 1:
            self.halves, self.length = -(-n // 2), n
            self.rows, self.blocks = before * self.halves, self.second
        elif n % 2 == 0:
            self.blocks = size // 2
        else:
            self.rows, self.blocks, self.length = before, -(-n // 2), n

    def place(self, f, row):
        """The first element of a row, and whether there are second ones."""
        if self.second < 2:
            return row * self.length, None
        outer, number = f.udiv(row, self.halves), f.urem(row, self.halves) * 2
        return (outer * self.length + number) * self.second, number + 1 < self.length


def fill(prepare):
    """What writes an array of random numbers; `prepare(call, f)` gives what makes numbers of one word of their size."""

    def emit(call):
        stream, out = call.inputs[0], call.outputs[0]
        wide = out.size == 8
        layout = Layout(out.dims, wide)
        lanes = call.module.target.vector_bytes // max(4, out.machine.bytes)
        vectors = -(-layout.blocks // lanes)  # of a row
        count = layout.rows * vectors
        per_tile = max(1, TILE // lanes)
        with call.phase(-(-count // per_tile)) as f:
            convert = prepare(call, f)
            source, target = call.pointer(f, stream), call.pointer(f, out)
            counter, key = f.load(source, I64), f.load(source + 8, I64)
            first = f.arguments[1] * per_tile
            with f.loop(first, f.minimum(count, first + per_tile)) as loop:
                row, column = f.udiv(loop.index, vectors), f.urem(loop.index, vectors)
                number = f.convert(row * layout.blocks + column * lanes, I64) + counter
                words = threefry(f, key, f.splat(number, lanes) + f.iota(I64.vector(lanes)))
                place, has_second = layout.place(f, row)
                each = 2 if layout.second == 1 else 1
                place = target + (place + column * (lanes * each)) * out.size

                def write(blocks, words=words, place=place, has_second=has_second):
                    """Store the numbers of so many of the blocks; None for all."""
                    if wide:
                        low, high = [f.convert(x, I64, signed=False) for x in words]
                        return out.store(f, convert(low | high << 32), place, blocks)
                    x, y = map(convert, words)
                    if layout.second == 1:
                        odd = layout.rows > 1 or layout.length % 2
                        active = None if blocks is None else blocks * 2 - odd
                        zipped = [i for lane in range(lanes) for i in (lane, lanes + lane)]
                        return out.store(f, f.shuffle(x, y, zipped), place, active)
                    out.store(f, x, place, blocks)
                    if has_second is not None:
                        with f.when(has_second):
                            out.store(f, y, place + layout.second * out.size, blocks)
                    return None

                left = layout.blocks % lanes
                if layout.second == 1 and layout.length % 2 and not left:
                    left = lanes  # the last number of a row is not there
                if left:
                    f.choose(column.equals(vectors - 1), lambda: write(left), lambda: write(None))
                else:
                    write(None)

    return emit


def units(call, f):
    """Uniform numbers in [0, 1) with the precision of the dtype; of bfloat16 those of float32, cut."""
    dtype = call.outputs[0].dtype

    def convert(word):
        if word.type.bits == 64:
            return f.convert(f.lshr(word, 12), F64) * 0.5**52
        if dtype is float16:
            return f.convert(word & 0x3FF, F32) * 0.5**10
        found = f.convert(f.lshr(word, 9), F32) * 0.5**23
        return f.bits(f.bits(found, I32) & -0x10000, F32) if dtype is bfloat16 else found

    return convert


def is_threefry(node):
    """Whether a node reads a ThreeFry stream."""
    return node.attrs.get("alg") == THREEFRY and node.inputs[0].dims == (2,)


__all__ = ["fill", "is_threefry", "threefry", "units"]
