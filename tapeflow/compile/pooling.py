"""Pooling over windows of [batch, *spatial, channels]: greatest and mean elements and their gradients, vectors of channels."""

import itertools
import math

from tapeflow.compile.conv import backward, forward
from tapeflow.compile.correlate import Block, emit_correlations, steps_of, sum_of, with_two_axes
from tapeflow.compile.micro import MAX, SUM, Kernel, Phase, split_tail
from tapeflow.compile.text import INDEX, PTR, literal

WRITTEN_OUT = 16  # windows of no more places are written out, greater ones are loops


def window_counts(conv):
    """How many places of the input each output's window has, in the order of the outputs."""
    axes = []
    for n, k, step, reach, out, before in zip(
        conv.spatial, conv.window, conv.strides, conv.dilations, conv.out, conv.before, strict=True
    ):
        axes.append([sum(0 <= t * step - before + j * reach < n for j in range(k)) for t in range(out)])
    return [math.prod(counts) for counts in itertools.product(*axes)]


def emit_max_pool(module, conv, *, x, y, epilogue=None, name="max_pool"):
    """Write y, the greatest element of each window of x; nan where the window has one.

    Args:
        conv: a depthwise `Conv` that gives the geometry.
        x, y, epilogue: as `emit_conv`.
    """
    extra = {"epilogue": epilogue} if epilogue else {}
    return _pool(module, [forward(conv)], x, y, MAX, name, **extra)


def emit_mean_pool(module, conv, *, x, y, name="mean_pool"):
    """Write y, the mean of each window of x; places outside the input do not count."""
    return _pool(module, [forward(conv)], x, y, SUM, name, epilogue=_Mean(tuple(window_counts(conv))))


def emit_mean_pool_input(module, conv, *, g, dx, workspace=None, name="mean_pool_input"):
    """Write the gradient of a mean pooling's input; the workspace is wanted where windows differ in size."""
    counts = tuple(window_counts(conv))
    parts = list(backward(conv))
    if len(set(counts)) == 1:
        return _pool(module, parts, g, dx, SUM, name, epilogue=_Mean(counts[:1]))
    first = _write_shares(module, conv, counts, g, workspace, name)
    kernel = _pool(module, parts, workspace, dx, SUM, name)
    kernel.phases.insert(0, first)
    kernel.workspace = conv.images * len(counts) * conv.channels * conv.element.bytes
    return kernel


def _pool(module, parts, source, result, kind, name, epilogue=lambda tile: tile.map(lambda i, j, value: value)):
    return emit_correlations(module, parts, source, None, result, None, epilogue, name, True, kind)


class _Mean:
    """The epilogue that divides each row by the size of its window; one size, or one for each pixel of an image."""

    def __init__(self, counts):
        self.counts = counts if len(set(counts)) > 1 else counts[:1]

    def __call__(self, tile):
        f = tile.f
        type = tile.values[0][0].type
        table = None if len(self.counts) == 1 else _constants(f.module, type.scalar, self.counts)
        for i, row in enumerate(tile.values):
            if table is None:
                count = f.constant(type, self.counts[0])
            else:
                pixel = f.urem(tile.row(i), len(self.counts))
                count = f.splat(f.load(table(f) + pixel * type.bytes, type.scalar), type.lanes)
            for j, value in enumerate(row):
                tile.store(i, j, value / count)

    def __hash__(self):
        return hash(self.counts)

    def __eq__(self, other):
        return isinstance(other, _Mean) and self.counts == other.counts


def _constants(module, element, numbers):
    """A function that gives the address of an array of constants in the module."""

    def make():
        name = module.fresh("constants")
        items = ", ".join(f"{element} {literal(element, number)}" for number in numbers)
        module.add(f"@{name} = internal constant [{len(numbers)} x {element}] [{items}], align 64")
        return name

    name = module.once(("constants", element, numbers), make)
    return lambda f: f.emit(PTR, f"getelementptr i8, ptr @{name}, i64 0")


def _write_shares(module, conv, counts, g, workspace, name):
    """The phase that divides g by the sizes of the windows, into the workspace."""
    made = module.fresh(f"{name}_shares")
    lanes = module.target.lanes(conv.element.bytes)
    type = conv.element.vector(lanes)
    row = conv.channels * conv.element.bytes
    with module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
        table, tile, _ = f.arguments
        offset = tile * (len(counts) * row)
        source, target = g(f, table) + offset, workspace(f, table) + offset
        constants = _constants(module, conv.element, counts)(f)
        with f.loop(0, len(counts)) as pixels:
            count = f.splat(f.load(constants + pixels.index * conv.element.bytes, conv.element), lanes)
            for start, width, turns in split_tail(conv.channels, lanes):
                with f.loop(0, turns) as loop:
                    at = pixels.index * row + (loop.index * lanes + start) * conv.element.bytes
                    f.store(f.load(source + at, type, width) / count, target + at, width)
    return Phase(made, conv.images)


def emit_max_pool_input(module, conv, *, g, x, y, dx, first_only=True, name="max_pool_input"):
    """Write the gradient of a max pooling's input: g goes to the place of its window's greatest element.

    Args:
        conv: a depthwise `Conv` that gives the geometry.
        g, x, y, dx: the gradient of the output, the input, the output, and the result.
        first_only: whether the first of equal elements has all of it, or each of them.
    """
    writer = _MaxInput(module, conv, first_only)
    made = module.fresh(name)
    with module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
        table, tile, scratch = f.arguments
        writer.write(f, tile, scratch, g(f, table), x(f, table), y(f, table), dx(f, table))
    return Kernel([Phase(made, conv.images)], scratch=2 * writer.block.bytes, note="an image a tile")


class _MaxInput:
    def __init__(self, module, conv, first_only):
        self.conv, self.first_only = conv, first_only
        self.part = with_two_axes(forward(conv))
        self.block = Block(self.part, self.part.axes[0].length, -math.inf)
        self.lanes = module.target.lanes(conv.element.bytes)
        self.type = conv.element.vector(self.lanes)
        self.size = conv.element.bytes

    def write(self, f, image, scratch, g, x, y, dx):
        """One image: its gradient is summed in place, or in scratch memory with room around it and copied from there."""
        conv, block = self.conv, self.block
        pixel = conv.channels * self.size
        image_bytes = math.prod(conv.spatial) * pixel
        out_bytes = math.prod(conv.out) * pixel
        dx = dx + image * image_bytes
        a = block.prepare(f, x + image * image_bytes, f.index(0), scratch)
        if block.direct:
            f.clear(dx, image_bytes)
            target = dx + sum(axis.start * step for axis, step in zip(self.part.axes, block.steps, strict=True))
        else:
            target = scratch + block.bytes
            f.clear(target, block.bytes)
        self._walk(f, 0, [], a, target, y + image * out_bytes, g + image * out_bytes)
        if not block.direct:
            f.clear(dx, image_bytes)
            self._copy_out(f, 0, target, dx)

    def _walk(self, f, number, at, a, target, y, g):
        """Every output pixel."""
        axes = self.part.axes
        if number < len(axes):
            with f.loop(0, axes[number].length) as loop:
                self._walk(f, number + 1, [*at, loop.index], a, target, y, g)
            return
        offset = sum_of(at, [axis.step * step for axis, step in zip(axes, self.block.steps, strict=True)])
        pixel = sum_of(at, steps_of([axis.length for axis in axes], self.conv.channels * self.size))
        for start, width, turns in split_tail(self.conv.channels, self.lanes):
            with f.loop(0, turns) as loop:
                channel = (loop.index * self.lanes + start) * self.size
                best = f.load(y + pixel + channel, self.type, width)
                given = f.load(g + pixel + channel, self.type, width)
                self._give(f, a + offset + channel, target + offset + channel, best, given, width)

    def _give(self, f, a, target, best, given, width):
        """Give one window's gradient to its greatest element."""
        levels = [(axis.taps, axis.reach * step) for axis, step in zip(self.part.axes, self.block.steps, strict=True)]

        def one(offset, open_):
            hit = f.load(a + offset, self.type, width).equals(best)
            hit = hit & open_ if self.first_only else hit
            place = target + offset
            f.store(f.load(place, self.type, width) + f.where(hit, given, 0.0), place, width)
            return open_ ^ hit if self.first_only else open_

        open_ = f.constant(self.type.mask, 1)
        if math.prod(taps for taps, _ in levels) <= WRITTEN_OUT:
            for places in itertools.product(*[range(taps) for taps, _ in levels]):
                open_ = one(sum_of(places, [step for _, step in levels]), open_)
            return

        def nest(levels, offset, open_):
            if not levels:
                return one(offset, open_)
            (taps, step), *inner = levels
            with f.loop(0, taps, carry=[open_]) as loop:
                loop.next = [nest(inner, loop.index * step + offset, loop.values[0])]
            return loop.results[0]

        nest(levels, 0, open_)

    def _copy_out(self, f, number, source, target):
        """Copy what lies inside the image from the sums with room around them."""
        axis = self.part.axes[number]
        first = max(0, -axis.start)
        place = max(0, axis.start)
        count = min(axis.start + axis.span, axis.size) - place
        step, own = self.block.steps[number], self.block.source_steps[number]
        source, target = source + first * step, target + place * own
        if count < 1:
            return
        if number == len(self.part.axes) - 1:
            f.copy(target, source, count * own)
            return
        with f.loop(0, count) as loop:
            self._copy_out(f, number + 1, source + loop.index * step, target + loop.index * own)
