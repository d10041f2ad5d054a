"""Sorting along an axis, stable, with nan after everything: sort, argsort, top_k; and searchsorted.

An element's key is an unsigned integer of the same order. Short lines are sorted by insertion, long ones by their bytes, the last
one first (LSD radix sort), which is stable by itself. Where only the first elements are asked for, those of a line are left out
whose highest byte says that they are not among them.
"""

import math

from tapeflow.base.dtypes import INTEGERS
from tapeflow.compile.arrays import ArrayOp
from tapeflow.compile.text import I64, INDEX, type_of

SHORT = 48  # elements of a line that is sorted by insertion
FEW = 32  # elements that top_k keeps in order as it goes along
TILE = 4096  # elements of a tile, about
SMALL = 1 << 13  # elements, up to which a sort of long lines costs less than to leave native code
BINS = 256
INFINITY = {16: 0x7C00, 32: 0x7F800000, 64: 0x7FF0000000000000, "bfloat16": 0x7F80}


class Lines:
    """The lines of an array along an axis, and where their keys are kept.

    A key and the element's number are one word of 64 bits, the key above; keys of 64 bits have their number in a second word.
    """

    def __init__(self, call, axis, descending, array=None):
        self.array = x = call.inputs[0] if array is None else array
        axis %= len(x.dims)
        self.n = x.dims[axis]
        self.after = math.prod(x.dims[axis + 1 :])
        self.count = math.prod(x.dims) // self.n
        self.bits = 8 * x.size
        self.descending = descending
        self.words = 2 if self.bits == 64 else 1
        self.per_tile = max(1, TILE // self.n)
        self.tiles = -(-self.count // self.per_tile)

    def start(self, line, f, n, size):
        """Where in an array with `n` elements along the axis a line begins, in bytes."""
        return (f.udiv(line, self.after) * (n * self.after) + f.urem(line, self.after)) * size

    @property
    def step(self):
        """From one element of a line to the next."""
        return self.after * self.array.size

    def key(self, f, pointer):
        """The key of an element, as 64 bits."""
        dtype, bits = self.array.dtype, self.bits
        type = type_of(f"i{bits}")
        found = f.load(pointer, type)
        sign = 1 << (bits - 1)
        if dtype not in INTEGERS:
            infinity = INFINITY.get(dtype.name) or INFINITY[bits]
            magnitude = found & (sign - 1)
            found = f.where(magnitude.equals(0), 0, found)  # -0 is 0
            found = found ^ ((found >> (bits - 1)) | -sign)
            found = f.where(f.compare("ugt", magnitude, infinity), f.constant(type, -1), found)
        elif not dtype.is_unsigned:
            found = found ^ -sign
        if self.descending:
            found = ~found
        return f.convert(found, I64, signed=False)

    def load(self, f, pointer, i):
        """The words of entry number `i`."""
        return [f.load(pointer + (i * self.words + w) * 8, I64) for w in range(self.words)]

    def store(self, f, words, pointer, i):
        """Write an entry."""
        for w, word in enumerate(words):
            f.store(word, pointer + (i * self.words + w) * 8)

    def entry(self, f, source, i):
        """The entry of element `i` of a line that begins at `source`."""
        key, number = self.key(f, source + i * self.step), f.convert(i, I64)
        return [key, number] if self.words == 2 else [key << 32 | number]

    def number(self, f, words):
        """The number of the element that an entry stands for."""
        return f.convert(words[-1] if self.words == 2 else words[0] & 0xFFFFFFFF, INDEX)


def _emit(call, lines, taken, values, numbers):
    """The phase that sorts the lines and writes the first `taken` of each.

    Args:
        values, numbers: the `Array`s for elements and for their numbers; None where nobody asks.
    """
    n = lines.n
    few = taken <= FEW and taken < n
    room = (taken if few or n <= SHORT else n) * lines.words * 8
    radix = not few and n > SHORT
    call.kernel.scratch = 2 * room + BINS * 8 if radix else room
    with call.phase(lines.tiles) as f:
        scratch = f.arguments[2]
        source = call.pointer(f, lines.array)
        targets = [(x, call.pointer(f, x)) for x in (values, numbers) if x is not None]
        first = f.arguments[1] * lines.per_tile
        with f.loop(first, f.minimum(lines.count, first + lines.per_tile)) as loop:
            line = source + lines.start(loop.index, f, n, lines.array.size)
            if radix:
                counts = scratch + 2 * room
                count = _entries(f, lines, line, scratch) if taken == n else _first(f, lines, line, scratch, counts, taken)
                found = _radix(f, lines, count, scratch, scratch + room, counts)
            else:
                _insertion(f, lines, line, scratch, taken)
                found = scratch
            outs = [(x, target + lines.start(loop.index, f, taken, x.size)) for x, target in targets]
            with f.loop(0, taken) as each:
                number = lines.number(f, lines.load(f, found, f.index(each.index)))
                for x, out in outs:
                    place = out + each.index * (lines.after * x.size)
                    if x is numbers:
                        x.store(f, f.convert(number, x.machine), place)
                    else:
                        f.store(f.load(line + number * lines.step, x.memory), place)


def _insertion(f, lines, line, target, taken):
    """The first `taken` entries of a line in order: each comes in where it belongs, while the last one may fall out."""
    lines.store(f, lines.entry(f, line, f.index(0)), target, f.index(0))
    with f.loop(1, lines.n) as loop:
        number = f.index(loop.index)
        entry = lines.entry(f, line, number)
        held = f.minimum(number, taken)
        last = lines.load(f, target, held - 1)
        comes_in = f.compare("ult", entry[0], last[0])
        with f.when(comes_in | (number < taken)):
            with f.forever([f.minimum(number, taken - 1)]) as back:
                place = back.values[0]
                inside = place > 0
                before = lines.load(f, target, f.maximum(place - 1, 0))
                back.leave_unless(inside & f.compare("ult", entry[0], before[0]))
                lines.store(f, before, target, place)
                back.next = [place - 1]
            lines.store(f, entry, target, back.results[0])


def _entries(f, lines, line, target):
    """All entries of a line; returns how many."""
    with f.loop(0, lines.n) as loop:
        lines.store(f, lines.entry(f, line, loop.index), target, loop.index)
    return lines.n


def _first(f, lines, line, target, counts, taken):
    """The entries of a line whose highest byte one of the first `taken` has, or a lower one; returns how many."""

    def bin_of(key):
        return f.convert(f.lshr(key, lines.bits - 8), INDEX)

    f.clear(counts, BINS * 8)
    with f.loop(0, lines.n) as loop:
        place = counts + bin_of(lines.key(f, line + loop.index * lines.step)) * 8
        f.store(f.load(place, INDEX) + 1, place)
    with f.forever([f.index(0), f.load(counts, INDEX)]) as loop:
        last, total = loop.values
        loop.leave_unless(total < taken)
        loop.next = [last + 1, total + f.load(counts + (last + 1) * 8, INDEX)]
    last = loop.results[0]
    with f.loop(0, lines.n, carry=[f.index(0)]) as loop:
        held = loop.values[0]
        entry = lines.entry(f, line, loop.index)
        key = entry[0] if lines.words == 2 else f.lshr(entry[0], 32)
        lines.store(f, entry, target, held)
        loop.next = [held + f.where(bin_of(key) <= last, f.index(1), 0)]
    return loop.results[0]


def _radix(f, lines, n, first, second, counts):
    """So many entries in order; returns where they are."""
    bits = lines.bits
    source, target = first, second
    for shift in range(0, bits, 8):
        at = shift + (0 if lines.words == 2 else 32)

        def bin_of(words, at=at):
            return counts + f.convert(f.lshr(words[0], at) & 0xFF, INDEX) * 8

        f.clear(counts, BINS * 8)
        with f.loop(0, n) as loop:
            place = bin_of(lines.load(f, source, loop.index))
            f.store(f.load(place, INDEX) + 1, place)
        with f.loop(0, BINS, carry=[f.index(0)]) as loop:
            place = counts + loop.index * 8
            count = f.load(place, INDEX)
            f.store(loop.values[0], place)
            loop.next = [loop.values[0] + count]
        with f.loop(0, n) as loop:
            words = lines.load(f, source, loop.index)
            place = bin_of(words)
            to = f.load(place, INDEX)
            f.store(to + 1, place)
            lines.store(f, words, target, to)
        source, target = target, source
    return source


def _search(call):
    """Where values belong in sorted lines, by halving: the number of elements of the line that come before."""
    row, values = call.inputs
    out, n, m = call.outputs[0], row.dims[-1], values.dims[-1]
    lines = Lines(call, -1, False)
    wanted = Lines(call, -1, False, values)
    test = "ult" if call.attrs.get("side", "left") == "left" else "ule"
    count = math.prod(values.dims)
    tiles = -(-count // TILE)
    with call.phase(tiles) as f:
        line, source, target = [call.pointer(f, x) for x in (row, values, out)]
        first = f.arguments[1] * TILE
        with f.loop(first, f.minimum(count, first + TILE)) as loop:
            key = wanted.key(f, source + loop.index * values.size)
            start = line + f.udiv(loop.index, m) * (n * row.size)
            before = f.index(0)  # so many elements are known to come before
            for half in reversed(range(n.bit_length())):
                there = before + (1 << half)
                place = start + (f.minimum(n, there) - 1) * row.size
                comes = (there <= n) & f.compare(test, lines.key(f, place), key)
                before = f.where(comes, there, before)
            out.store(f, f.convert(before, out.machine), target + loop.index * out.size)


def _read(array):
    return array if array.number is not None else None


def _sort(call):
    lines = Lines(call, call.attrs.get("axis", -1), call.attrs.get("descending", False))
    _emit(call, lines, lines.n, call.outputs[0], None)


def _argsort(call):
    lines = Lines(call, call.attrs.get("axis", -1), call.attrs.get("descending", False))
    _emit(call, lines, lines.n, None, call.outputs[0])


def _top_k(call):
    _emit(call, Lines(call, -1, True), call.attrs["k"], *map(_read, call.outputs))


def _has_lines(node):
    """Whether there is an axis, the elements of which have numbers of 32 bits."""
    dims = node.inputs[0].dims
    return bool(dims) and dims[node.attrs.get("axis", -1)] < 1 << 31


def _is_small(node):
    """What is larger NumPy sorts faster, by vectors; but not bytes."""
    x = node.inputs[0]
    axis = node.attrs.get("axis", -1)
    return _has_lines(node) and (x._dtype.size == 1 or x.dims[axis] <= SHORT or math.prod(x.dims) <= SMALL)


SORTS = {
    "sort": ArrayOp(_is_small, _sort),
    "argsort": ArrayOp(_has_lines, _argsort),
    "top_k": ArrayOp(_has_lines, _top_k),
    "searchsorted": ArrayOp(lambda node: bool(node.inputs[0].dims and node.inputs[1].dims), _search),
}

__all__ = ["SORTS"]
