"""Correlations of [batch, *spatial, channels] by the micro-kernel: what convolutions, pooling and their gradients are made of.

A tile of C is some output pixels of one row by some features; k runs over the window's axes and the channels. Where a
window looks beyond the image, a block of the image is first copied into scratch memory with zeros around it (2 % of the
time), so the kernel has no edges.
"""

import itertools
import math
from typing import NamedTuple

from tapeflow.compile.gemm import PACK_TILE, divided, parts, reckoned, tile_range
from tapeflow.compile.micro import (
    LANES,
    OUTER,
    Kernel,
    Level,
    Phase,
    choose_shape,
    for_each,
    micro_kernel,
    split,
)
from tapeflow.compile.packing import Panels, pack_panels
from tapeflow.compile.text import INDEX, PTR, Type


class Axis(NamedTuple):
    """One spatial axis of a correlation: result t sums over taps j the source at start + t step + j reach.

    The result is written at out_start + t out_step; the tap is the filter's tap_start + j tap_step.
    """

    length: int
    out_start: int
    out_step: int
    taps: int
    tap_start: int
    tap_step: int
    start: int
    step: int
    reach: int
    size: int  # of the source

    @property
    def span(self):
        """How many places of the source the results look at, the first to the last."""
        return (self.length - 1) * self.step + max(0, self.taps - 1) * self.reach + 1

    @property
    def inside(self):
        """Whether all of them exist."""
        return self.start >= 0 and self.start + self.span <= self.size


class Correlation(NamedTuple):
    """What is computed in one go: axes, and the channels of a group in source and result."""

    images: int
    axes: tuple
    inner: int  # channels that are summed over, in a group
    outer: int  # channels of the result, in a group
    groups: int
    element: Type
    source_pixel: int  # bytes
    result: tuple  # the result's spatial sizes
    taps: tuple  # bytes in the filter from tap to tap, for each axis
    inner_step: int  # bytes in the filter from summed channel to channel
    outer_step: int  # and from result channel to channel
    group_step: int  # and from group to group

    @property
    def k(self):
        """Terms of one sum."""
        return math.prod(axis.taps for axis in self.axes) * self.inner

    @property
    def flops(self):
        """Multiplications and additions, those with zeros of the padding too."""
        return 2 * self.images * math.prod(axis.length for axis in self.axes) * self.k * self.outer * self.groups


def emit_correlations(module, parts, source, w, result, workspace, epilogue, name, depthwise, kind=OUTER):
    """Write correlations one after another, which together make a result."""
    kernel = Kernel(flops=sum(part.flops for part in parts))
    for part in parts:
        if depthwise:
            writer = Lanewise(module, part, epilogue, name, LANES if kind is OUTER else kind)
        else:
            writer = Writer(module, part, epilogue, name)
        if writer.packs:
            kernel.phases.append(writer.write_pack_phase(w, workspace, kernel.workspace))
        kernel.phases.append(writer.write_tiles(source, w, workspace, kernel.workspace, result))
        kernel.workspace += writer.panels.total * part.groups if writer.packs else 0
        kernel.scratch = max(kernel.scratch, writer.block.bytes)
        kernel.note = writer.note
    return kernel


def with_two_axes(part):
    """The same correlation with an axis of length 1 in front of a single one: blocks are rows of an image."""
    if len(part.axes) > 1:
        return part
    return part._replace(
        axes=(Axis(1, 0, 1, 1, 0, 1, 0, 1, 1, 1), *part.axes), taps=(0, *part.taps), result=(1, *part.result)
    )  # fmt: skip


class Block:
    """The part of a source image that a block of result rows looks at, in scratch memory with zeros around, or in place.

    Args:
        part: the `Correlation`, of two axes at least.
        rows: how many places of the first axis a block has.
        fill: what stands around it.
        inside: whether the source is read in place; by default where all that is read exists.
    """

    def __init__(self, part, rows, fill=0.0, inside=None):
        self.part, self.rows, self.fill = part, rows, fill
        self.direct = all(axis.inside for axis in part.axes) if inside is None else inside
        first = part.axes[0]._replace(length=rows)
        self.spans = [first.span, *[axis.span for axis in part.axes[1:]]]
        sizes = [axis.size for axis in part.axes]
        self.source_steps = steps_of(sizes, part.source_pixel)
        self.steps = self.source_steps if self.direct else steps_of(self.spans, part.source_pixel)
        self.bytes = 0 if self.direct else self.spans[0] * self.steps[0]

    def prepare(self, f, image, row, scratch, shift=0):
        """The address of the block's first place, for the image's address and the block's first row; `shift` places on."""
        axis = self.part.axes[0]
        first = row * axis.step + axis.start + shift
        if self.direct:
            rest = sum(a.start * step for a, step in zip(self.part.axes[1:], self.steps[1:], strict=True))
            return image + first * self.steps[0] + rest
        self._copy(f, 0, first, image, scratch)
        return scratch

    def _copy(self, f, number, first, source, target):
        """Copy along one axis from its place `first` on, zeros where the source has none."""
        axis, span = self.part.axes[number], self.spans[number]
        step = self.steps[number]
        if number == len(self.spans) - 1:
            before = min(span, max(0, -first))
            have = max(0, min(span, axis.size - first) - before)
            self._blank(f, target, before * step)
            if have:
                f.copy(target + before * step, source + max(0, first) * step, have * step)
            after = span - before - have
            self._blank(f, target + (before + have) * step, after * step)
            return
        with f.loop(0, span) as loop:
            place = f.index(first) + loop.index
            to = target + loop.index * step
            f.choose(
                (place >= 0) & (place < axis.size),
                lambda: self._copy(f, number + 1, self.part.axes[number + 1].start, source + place * self.source_steps[number], to),
                lambda: self._blank(f, to, step),
            )  # fmt: skip

    def _blank(self, f, target, size):
        """So many bytes of what stands around the image."""
        if self.fill == 0 and size:
            f.clear(target, size)
        elif size:
            element = self.part.element
            with f.loop(0, size, element.bytes) as loop:
                f.store(f.constant(element, self.fill), target + loop.index)


def steps_of(sizes, pixel):
    """Bytes from place to place along each axis."""
    return [pixel * math.prod(sizes[i + 1 :]) for i in range(len(sizes))]


class Writer:
    """Writes one correlation's functions."""

    kind = OUTER

    def __init__(self, module, part, epilogue, name):
        self.module, self.epilogue, self.name = module, epilogue, name
        self.part = part = with_two_axes(part)
        self.size = part.element.bytes
        self.lanes = module.target.lanes(self.size)
        self.type = part.element.vector(self.lanes)
        self.width = part.axes[-1].length
        most = self._choose()
        self.panels = self._panels()
        self.packs = part.k > 0
        rows, self.panels_across = self._cut(most)
        self.block = Block(part, rows, self.kind.first)
        # Narrow images: a register tile takes several rows of them whole.
        self.rows_together = max(1, min(rows, most // self.width)) if len(part.axes) == 2 else 1
        self.across = split(self.width, most)
        self.note = f"{most}x{self.panel} registers, blocks of {rows} rows by {self.panels_across} panels"

    def _choose(self):
        part = self.part
        pixels = self.width * part.axes[0].length if len(part.axes) == 2 else self.width
        shape = choose_shape(
            pixels if self.width < 8 else self.width, part.outer, max(1, part.k), self.lanes, self.module.target.registers
        )
        self.panel = shape.vectors * self.lanes
        return shape.rows

    def _cut(self, most):
        """How many rows and how many panels of features make a tile of work."""
        part, panels = self.part, self.panels
        count = part.axes[0].length
        weights = panels.total * part.groups if self.packs else 0
        pitch = Block(part, 1).steps[0]
        flops = part.flops * (1 if self.kind.weighted else 4)

        def cost(cut):
            rows, across = cut
            blocks, columns = -(-count // rows), -(-panels.count // across)
            spans = blocks * (rows * part.axes[0].step + part.axes[0].taps * part.axes[0].reach) * pitch
            read = part.images * (blocks * weights + 2 * columns * spans)
            return reckoned(self.module.target, flops, part.images * blocks * columns, read)

        # Narrow images: a register tile takes several rows.
        least = min(count, most // self.width) if self.width * 2 <= most else 1
        return min(itertools.product([rows for rows in parts(count) if rows >= least], parts(panels.count)), key=cost)

    # The filter

    def _panels(self):
        """The filter as B: rows are (tap, ..., summed channel), columns the result's channels of a group."""
        part = self.part
        taps = [(axis.taps, axis.tap_step * step) for axis, step in zip(part.axes, part.taps, strict=True)]
        return Panels(self.type, part.outer, self.panel, (*taps, (part.inner, part.inner_step)), part.outer_step)

    def write_pack_phase(self, w, workspace, offset):
        """The phase that packs the filter."""
        part, panels = self.part, self.panels
        pack = pack_panels(self.module, panels)
        total = panels.group_count * part.groups
        together = max(1, min(total // 4, PACK_TILE * panels.group_count // panels.total))
        made = self.module.fresh(f"{self.name}_pack")
        with self.module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
            table, tile, _ = f.arguments
            first = sum(axis.tap_start * step for axis, step in zip(part.axes, part.taps, strict=True))
            source, target = w(f, table) + first, workspace(f, table) + offset
            with tile_range(f, tile, together, total) as loop:
                group, number = divided(f, loop.index, panels.group_count)
                f.call(pack, None, source + group * part.group_step, target + group * panels.total, f.index(number))
        return Phase(made, -(-total // together))

    # Tiles

    def write_tiles(self, source, w, workspace, offset, result):
        """The phase that computes the result: a tile is a block of rows of one image, and some panels of features."""
        part = self.part
        blocks = split(part.axes[0].length, self.block.rows)
        total = sum(count for _, _, count in blocks)
        columns = -(-self.panels.count // self.panels_across)
        made = self.module.fresh(self.name)
        image_bytes = math.prod(axis.size for axis in part.axes) * part.source_pixel
        with self.module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
            table, tile, scratch = f.arguments
            rest, column = divided(f, tile, columns)
            image, block = divided(f, rest, total)
            first = f.index(column) * self.panels_across
            across = first, f.minimum(f.index(self.panels.count), first + self.panels_across)
            place = source(f, table) + image * image_bytes
            bases = self._filter(f, table, w, workspace, offset), result(f, table)

            def write(row, rows):
                a = self.block.prepare(f, place, row, scratch)
                self._write_block(f, table, a, *bases, across, image, row, rows)

            for_each(f, blocks, block, write)
        return Phase(made, part.images * total * columns)

    def _filter(self, f, table, w, workspace, offset):
        """Where the packed filter is."""
        return workspace(f, table) + offset if self.packs else f.constant(PTR, 0)

    def _operands(self, a, b, number, panel):
        """A and B of a group and a panel."""
        b = b + (number * self.panels.count + panel) * self.panels.bytes if self.packs else b
        return a + number * (self.part.inner * self.size), b

    def _write_block(self, f, table, a, b, result, across, image, row, rows):
        """A block's register tiles: for each group and each of some panels of features, all pixels."""
        part = self.part
        pixel = part.outer * part.groups * self.size
        steps = steps_of(part.result, pixel)
        numbers = steps_of(part.result, 1)
        first = image * math.prod(part.result)
        with f.loop(0, part.groups) as groups, f.loop(*across) as panels:
            a, b = self._operands(a, b, groups.index, panels.index)
            column = groups.index * part.outer + panels.index * self.panel
            middle = [(axis, i) for i, axis in enumerate(part.axes)][1:-1]
            for start, height, turns in split_rows(rows, self.rows_together):
                with f.loop(0, turns) as down:
                    self._write_row(
                        f, table, a, b, result, first, column, panels.index, middle, (steps, numbers),
                        (row, down.index * height + start, height),
                    )  # fmt: skip

    def _write_row(self, f, table, a, b, result, first, column, panel, middle, result_steps, place):
        steps, numbers = result_steps
        row, local, height = place
        axes = self.part.axes
        a = a + local * (axes[0].step * self.block.steps[0])
        at = [(row + local) * axes[0].out_step + axes[0].out_start]

        def descend(rest, a, at):
            if rest:
                (axis, i), *inner = rest
                with f.loop(0, axis.length) as loop:
                    moved = a + loop.index * (axis.step * self.block.steps[i])
                    descend(inner, moved, [*at, loop.index * axis.out_step + axis.out_start])
                return
            last = axes[-1]
            for start, width, turns in self.across:
                with f.loop(0, turns) as along:
                    t = along.index * width + start
                    here = [*at, t * last.out_step + last.out_start]
                    number = first + sum_of(here, numbers)
                    c = result + number * steps[-1] + column * self.size
                    arguments = [a + t * (last.step * self.block.steps[-1]), b, c, f.index(number), f.index(column), table]
                    self._call(f, height, width, panel, arguments)

        descend(middle, a, at)

    def _call(self, f, height, width, panel, arguments):
        """Call the micro-kernel for tiles of `height` rows of `width` pixels."""
        full, rest = divmod(self.part.outer, self.panel)
        if not rest or not full:
            f.call(self._micro(height, width, rest or self.panel), None, *arguments)
            return
        names = [self._micro(height, width, columns) for columns in (self.panel, rest)]
        f.choose(f.index(panel) < full, *[lambda name=name: f.call(name, None, *arguments) for name in names])

    def _micro(self, height, width, columns):
        part, first, last = self.part, self.part.axes[0], self.part.axes[-1]
        pixel = part.outer * part.groups * self.size
        steps, numbers = steps_of(part.result, pixel), steps_of(part.result, 1)
        places = list(itertools.product(range(height), range(width)))
        rows = [i * first.step * self.block.steps[0] + j * last.step * self.block.steps[-1] for i, j in places]
        at = [(i * first.out_step, j * last.out_step) for i, j in places]
        return micro_kernel(
            self.module, self.type, rows, columns, self._levels(),
            c_steps=[i * steps[0] + j * steps[-1] for i, j in at],
            numbers=[i * numbers[0] + j * numbers[-1] for i, j in at],
            epilogue=self.epilogue, name=self.name, kind=self.kind,
        )  # fmt: skip

    def _levels(self):
        """k as nested levels; neighbours that are one run in the source are one level."""
        pitch = self.panel * self.size
        levels = [Level(self.part.inner, self.size, pitch)]
        for axis, step in zip(reversed(self.part.axes), reversed(self.block.steps), strict=True):
            inner = levels[0]
            moves = axis.reach * step
            run = inner.steps * inner.b
            if axis.taps == 1:
                continue
            if inner.steps * inner.a == moves:
                levels[0] = inner._replace(steps=inner.steps * axis.taps)
            else:
                levels.insert(0, Level(axis.taps, moves, run))
        return levels


class Lanewise(Writer):
    """Writes a correlation in which channels do not meet: A gives a vector of channels, and B, if any, their weights."""

    def __init__(self, module, part, epilogue, name, kind):
        self.kind = kind
        part = part._replace(inner=1, outer=part.groups, groups=1)
        super().__init__(module, part, epilogue, name)
        self.packs = False

    def _choose(self):
        vectors = min(2, -(-self.part.outer // self.lanes))
        self.panel = vectors * self.lanes
        registers = self.module.target.registers
        return max(1, min(self.width, (registers - 4) // (vectors * (1 if self.kind.weighted else 2)), 8))

    def _filter(self, f, table, w, workspace, offset):
        if not self.kind.weighted or not self.part.k:
            return f.constant(PTR, 0)
        return w(f, table) + sum(axis.tap_start * step for axis, step in zip(self.part.axes, self.part.taps, strict=True))

    def _operands(self, a, b, number, panel):
        step = panel * (self.panel * self.size)
        return a + step, b + step

    def _levels(self):
        axes = zip(self.part.axes, self.block.steps, self.part.taps, strict=True)
        return [Level(axis.taps, axis.reach * step, axis.tap_step * tap) for axis, step, tap in axes]


def split_rows(rows, together):
    """A block's rows in register tiles of `together` and a rest."""
    full, rest = divmod(rows, together)
    return [run for run in ((0, together, full), (full * together, rest, 1)) if run[1] and run[2]]


def sum_of(numbers, steps):
    """The sum of products of index values (or ints) and ints."""
    total = 0
    for number, step in zip(numbers, steps, strict=True):
        total = number * step + total
    return total
