"""Convolutions of [batch, *spatial, channels]: the value, and the gradients of input and filter, by the micro-kernel.

A tile of C is some output pixels of one row by some features; k runs over the window's axes and the channels. Where a
window looks beyond the image, a block of the image is first copied into scratch memory with zeros around it (2 % of the
time), so the kernel has no edges.

The gradient of the input is the same correlation: of the output's gradient with the turned filter. With strides, the input's
pixels fall into classes (even and odd ones for a stride of 2) that each meet some taps of the filter alone; each class is an
ordinary correlation without strides, and no zero is multiplied.
"""

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple

from tapeflow.compile.gemm import PACK_TILE, TILE_FLOPS, divided, tile_range
from tapeflow.compile.micro import (
    LANES,
    OUTER,
    Kernel,
    Level,
    Panels,
    Phase,
    choose_shape,
    for_each,
    micro_kernel,
    pack_panels,
    split,
    store_tile,
)
from tapeflow.compile.text import INDEX, PTR, Type

FEW_TILES = 16
REUSE = 64  # pixels of a row, at least, that a panel of the filter is read for, lest reading it takes the time


@dataclass(frozen=True)
class Conv:
    """A convolution's sizes.

    Args:
        images: the length of the batch.
        spatial: the input's sizes of the spatial axes, one to three.
        window: the filter's.
        out: the output's.
        channels, features: of input and output, all groups together.
        element: the `Type` of an element.
        strides, dilations: for each spatial axis.
        before: zeros before the input, for each spatial axis.
        groups: channels and features fall into so many groups that do not meet.
    """

    images: int
    spatial: tuple
    window: tuple
    out: tuple
    channels: int
    features: int
    element: Type
    strides: tuple
    dilations: tuple
    before: tuple
    groups: int = 1

    @property
    def depthwise(self):
        """Whether each channel has a filter of its own and gives one feature."""
        return self.groups == self.channels == self.features


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


def forward_axis(conv, i):
    """The axis of the convolution itself."""
    return Axis(
        conv.out[i], 0, 1, conv.window[i], 0, 1, -conv.before[i], conv.strides[i], conv.dilations[i], conv.spatial[i]
    )  # fmt: skip


def input_axes(conv, i):
    """The axes of the input's gradient, one for each class of input places: place = rest + stride t.

    Input place p meets tap k at output (p + before - dilation k) / stride, where that is whole.
    """
    stride, dilation = conv.strides[i], conv.dilations[i]
    common = math.gcd(stride, dilation)
    for rest in range(min(stride, conv.spatial[i])):
        count = -(-(conv.spatial[i] - rest) // stride)
        taps = [k for k in range(conv.window[i]) if (rest + conv.before[i] - dilation * k) % stride == 0]
        if not taps:
            yield Axis(count, rest, stride, 0, 0, 1, 0, 1, 1, conv.out[i])
            continue
        reach = dilation // common
        first = (rest + conv.before[i] - dilation * taps[-1]) // stride
        step = -(stride // common)  # backwards, so that the source is read forwards
        yield Axis(count, rest, stride, len(taps), taps[-1], step, first, 1, reach, conv.out[i])


def _filter_steps(conv):
    """Bytes in the filter [*window, channels of a group, features] from tap to tap."""
    size = conv.element.bytes * conv.channels // conv.groups * conv.features
    return tuple(size * math.prod(conv.window[i + 1 :]) for i in range(len(conv.window)))


def forward(conv):
    """The `Correlation` of the convolution itself."""
    size = conv.element.bytes
    inner, outer = conv.channels // conv.groups, conv.features // conv.groups
    axes = tuple(forward_axis(conv, i) for i in range(len(conv.window)))
    return Correlation(
        conv.images, axes, inner, outer, conv.groups, conv.element, conv.channels * size, conv.out,
        _filter_steps(conv), conv.features * size, size, outer * size,
    )  # fmt: skip


def backward(conv):
    """The `Correlation`s of the input's gradient, which together write all of it."""
    size = conv.element.bytes
    inner, outer = conv.features // conv.groups, conv.channels // conv.groups
    for axes in itertools.product(*[tuple(input_axes(conv, i)) for i in range(len(conv.window))]):
        yield Correlation(
            conv.images, axes, inner, outer, conv.groups, conv.element, conv.features * size, conv.spatial,
            _filter_steps(conv), size, conv.features * size, inner * size,
        )  # fmt: skip


def emit_conv(module, conv, *, x, w, y, workspace=None, epilogue=store_tile, name="conv"):
    """Write a convolution: y [images, *out, features] of x [images, *spatial, channels] and w [*window, channels / groups,
    features].

    Args and result: as `emit_matmul`; a row is an output pixel, counted through the images, a column a feature.
    """
    return emit_correlations(module, [forward(conv)], x, w, y, workspace, epilogue, name, conv.depthwise)


def emit_conv_input(module, conv, *, g, w, dx, workspace=None, epilogue=store_tile, name="conv_input"):
    """Write the gradient of a convolution's input from g, the gradient of its output; a row is an input pixel."""
    return emit_correlations(module, list(backward(conv)), g, w, dx, workspace, epilogue, name, conv.depthwise)


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
        rows = self._block_rows(most)
        self.block = Block(part, rows, self.kind.first)
        # Narrow images: a register tile takes several rows of them whole.
        self.rows_together = max(1, min(rows, most // self.width)) if len(part.axes) == 2 else 1
        self.across = split(self.width, most)
        self.panels = self._panels()
        self.packs = part.k > 0
        self.note = f"{most}x{self.panel} registers, blocks of {rows} rows"

    def _choose(self):
        part = self.part
        pixels = self.width * part.axes[0].length if len(part.axes) == 2 else self.width
        shape = choose_shape(
            pixels if self.width < 8 else self.width, part.outer, max(1, part.k), self.lanes, self.module.target.registers
        )
        self.panel = shape.vectors * self.lanes
        return shape.rows

    def _block_rows(self, most):
        """How many rows make a tile of work, in blocks of one size as far as may be."""
        part = self.part
        count, width = part.axes[0].length, self.width
        row = 2 * max(1, part.k) * part.outer * part.groups * math.prod(axis.length for axis in part.axes[1:])
        rows = min(count, max(TILE_FLOPS // row, -(-REUSE // width), most // width if width * 2 <= most else 1, 1))
        while rows > 1 and -(-count // rows) * part.images < FEW_TILES:
            rows = -(-rows // 2)
        return rows

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
        """The phase that computes the result: a tile is a block of rows of one image."""
        part = self.part
        blocks = split(part.axes[0].length, self.block.rows)
        total = sum(count for _, _, count in blocks)
        made = self.module.fresh(self.name)
        image_bytes = math.prod(axis.size for axis in part.axes) * part.source_pixel
        with self.module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
            table, tile, scratch = f.arguments
            image, block = divided(f, tile, total)
            place = source(f, table) + image * image_bytes
            bases = self._filter(f, table, w, workspace, offset), result(f, table)

            def write(row, rows):
                a = self.block.prepare(f, place, row, scratch)
                self._write_block(f, table, a, *bases, image, row, rows)

            for_each(f, blocks, block, write)
        return Phase(made, part.images * total)

    def _filter(self, f, table, w, workspace, offset):
        """Where the packed filter is."""
        return workspace(f, table) + offset if self.packs else f.constant(PTR, 0)

    def _operands(self, a, b, number, panel):
        """A and B of a group and a panel."""
        b = b + (number * self.panels.count + panel) * self.panels.bytes if self.packs else b
        return a + number * (self.part.inner * self.size), b

    def _write_block(self, f, table, a, b, result, image, row, rows):
        """All register tiles of a block: for each group and panel of features, all pixels."""
        part = self.part
        pixel = part.outer * part.groups * self.size
        steps = steps_of(part.result, pixel)
        numbers = steps_of(part.result, 1)
        first = image * math.prod(part.result)
        with f.loop(0, part.groups) as groups, f.loop(0, self.panels.count) as panels:
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
