"""Packing: B as panels of as many columns as a register tile has, k after k, so that the micro-kernel reads one stream."""

import math
from dataclasses import dataclass

from tapeflow.compile.micro import split_tail
from tapeflow.compile.text import INDEX, PTR


@dataclass(frozen=True)
class Panels:
    """B in panels: `panel` columns wide, `k` long; the last one is filled up with zeros."""

    type: object  # of a vector
    n: int
    panel: int
    levels: tuple  # of k in the source: (count, bytes), the outermost first
    column: int  # bytes from column to column in the source

    @property
    def k(self):
        """The number of rows."""
        return math.prod(count for count, _ in self.levels)

    @property
    def count(self):
        """The number of panels."""
        return -(-self.n // self.panel)

    @property
    def bytes(self):
        """The size of one panel."""
        return self.k * self.panel * self.type.bytes

    @property
    def total(self):
        """The size of all."""
        return self.count * self.bytes

    @property
    def groups(self):
        """Panels that are packed together: (first panel, panels, columns of a panel, number of such groups).

        Where a row's columns stand together, four at a time: rows may be a page apart, and to visit 512 bytes of each page
        instead of 128 makes packing twice as fast.
        """
        full, rest = divmod(self.n, self.panel)
        together = 4 if self.column == self.type.bytes else 1
        runs = [(first, size, self.panel, count) for first, size, count in split_tail(full, together)]
        return runs + [(full, 1, rest, 1)] * bool(rest)

    @property
    def group_count(self):
        """How many groups there are."""
        return sum(count for *_, count in self.groups)


def pack_panels(module, panels):
    """The name of a function that packs one group of panels: (B's address, the panels' address, the group's number)."""
    return module.once(("pack", panels), lambda: _write_pack(module, panels))


def _write_pack(module, panels):
    made = module.fresh("pack")
    arguments = [("source", PTR, "noalias readonly"), ("target", PTR, "noalias"), ("group", INDEX)]
    with module.function(made, arguments, internal=True, attributes="nounwind noinline") as f:
        source, target, group = f.arguments
        begins, runs = 0, []
        for first, together, width, count in panels.groups:
            runs.append((begins, (first, together, width), count))
            begins += count
        for begin, (first, together, width), count in runs:
            with f.when((group >= begin) & (group < begin + count)):
                panel = (group - begin) * together + first
                here = source + panel * (panels.panel * panels.column)
                _copy_panels(f, panels, here, target + panel * panels.bytes, together, width)
    return made


def _copy_panels(f, panels, source, target, together, width):
    """Copy panels that stand beside one another to rows of `panel` columns each."""
    size = panels.type.bytes
    pitch = panels.panel * size
    if panels.column == size:

        def row(source, target):
            for number in range(together):
                _copy_row(f, panels, source + number * pitch, target + number * panels.bytes, width)

        _walk(f, panels.levels, source, target, pitch, row)
        return
    count, step = panels.levels[-1]
    if step == size and count >= panels.type.lanes:
        _walk(f, panels.levels[:-1], source, target, count * pitch, lambda s, t: _transpose(f, panels, s, t, width, count))
    else:
        _walk(f, panels.levels, source, target, pitch, lambda s, t: _gather_row(f, panels, s, t, width))


def _walk(f, levels, source, target, pitch, body):
    """Nested loops over k: `body(source, target)` at each, the target moving on by `pitch`."""
    if not levels:
        body(source, target)
        return
    (count, step), *inner = levels
    advance = pitch * math.prod(count for count, _ in inner)
    with f.loop(0, count, carry=[source, target]) as loop:
        source, target = loop.values
        _walk(f, inner, source, target, pitch, body)
        loop.next = [source + step, target + advance]


def _copy_row(f, panels, source, target, width):
    """One k of columns that stand together."""
    type = panels.type
    for start in range(0, panels.panel, type.lanes):
        rest = width - start
        value = f.load(source + start * type.bytes, type, rest) if rest > 0 else f.constant(type, 0)
        f.store(value, target + start * type.bytes)


def _gather_row(f, panels, source, target, width):
    """One k of columns that stand apart."""
    size = panels.type.bytes
    with f.loop(0, width) as loop:
        f.store(f.load(source + loop.index * panels.column, panels.type.scalar), target + loop.index * size)
    if width < panels.panel:
        f.clear(target + width * size, (panels.panel - width) * size)


def _transpose(f, panels, source, target, width, count):
    """`count` of k that stand together, columns apart: squares turned in registers, log2(lanes) shuffles a vector."""
    type = panels.type
    lanes, size = type.lanes, type.bytes
    pitch = panels.panel * size
    for k, part, turns in split_tail(count, lanes):
        with f.loop(0, turns) as loop:
            from_k = source + (loop.index * (lanes * size) + k * size)
            to_k = target + (loop.index * (lanes * pitch) + k * pitch)
            for column in range(0, panels.panel, lanes):
                zero = f.constant(type, 0)
                square = [
                    f.load(from_k + (column + i) * panels.column, type, part) if column + i < width else zero
                    for i in range(lanes)
                ]
                for i, value in enumerate(transposed(f, square)[:part]):
                    f.store(value, to_k + i * pitch + column * size)


def transposed(f, square):
    """The columns of a square of vectors, by butterflies of shuffles."""
    lanes = len(square)
    step = 1
    while step < lanes:
        turned = list(square)
        low = [lanes + lane - step if lane & step else lane for lane in range(lanes)]
        high = [lanes + lane if lane & step else lane + step for lane in range(lanes)]
        for i in range(lanes):
            if not i & step:
                a, b = square[i], square[i + step]
                turned[i], turned[i + step] = f.shuffle(a, b, low), f.shuffle(a, b, high)
        square = turned
        step *= 2
    return square
