"""The gradient of a convolution's filter: dw[tap, c, f] = sum over pixels of x[pixel + tap, c] g[pixel, f].

A product again: rows are (tap, channel), k runs over the output's pixels. The images are cut into a number of chunks that
depends on the shape alone; each chunk sums into memory of its own, and a last phase adds the chunks up in their order.
"""

import math

from tapeflow.compile.conv import Block, forward, steps_of, with_two_axes
from tapeflow.compile.gemm import divided
from tapeflow.compile.micro import (
    LANES,
    Kernel,
    Level,
    Phase,
    Tile,
    add_tile,
    choose_shape,
    for_each,
    micro_kernel,
    split,
    split_tail,
    store_tile,
)
from tapeflow.compile.text import INDEX, PTR

MOST_CHUNKS = 16
MOST_BYTES = 8 << 20  # of all chunks together
FEW_TILES = 16


def emit_conv_filter(module, conv, *, x, g, dw, workspace, epilogue=store_tile, name="conv_filter"):
    """Write the gradient of a convolution's filter from its input x and g, the gradient of its output.

    Args and result: as `emit_matmul`; dw is [*window, channels / groups, features], a row is one (tap, channel).
    """
    writer = _Writer(module, conv, name)
    kernel = Kernel(flops=writer.part.flops, scratch=writer.block.bytes, workspace=writer.chunks * writer.bytes)
    kernel.phases = [writer.write_chunks(x, g, workspace), writer.write_sums(workspace, dw, epilogue)]
    kernel.note = f"{writer.shape[0]}x{writer.panel} registers, {writer.chunks} chunks of images"
    return kernel


class _Writer:
    def __init__(self, module, conv, name):
        self.module, self.conv, self.name = module, conv, name
        self.part = part = with_two_axes(forward(conv))
        self.size = conv.element.bytes
        self.lanes = module.target.lanes(self.size)
        self.type = conv.element.vector(self.lanes)
        self.block = Block(part, part.axes[0].count)
        self.lanewise = conv.depthwise
        self.channels = 1 if self.lanewise else part.inner  # of a group, that make rows
        self.taps = [axis.taps for axis in part.axes]
        self.rows = math.prod(self.taps) * self.channels
        self.columns = conv.features  # of dw, all groups
        self.width = conv.features if self.lanewise else part.outer  # of one group
        self.bytes = self.rows * self.columns * self.size

        k = math.prod(conv.out)
        self.shape = (8, 1) if self.lanewise else choose_shape(self.rows, self.width, k, self.lanes, module.target.registers)
        self.panel = self.shape[1] * self.lanes
        self.panels = split_tail(self.width, self.panel)
        # Tiles of the outermost taps are work of their own where there are enough channels to pay for copying the image.
        self.tap_tiles = self.taps[0] if self._runs()[1] >= self.shape[0] else 1
        most = min(MOST_CHUNKS, max(1, MOST_BYTES // self.bytes), -(-FEW_TILES // self.tap_tiles))
        self.chunks = min(conv.images, most)

    def _runs(self):
        """The row offsets in x of one outermost tap: (offsets where runs of rows begin, the length of a run)."""
        reaches = [axis.reach * step for axis, step in zip(self.part.axes, self.block.steps, strict=True)]
        starts, length = [0], self.channels
        for taps, reach in zip(reversed(self.taps[1:]), reversed(reaches[1:]), strict=True):
            if len(starts) == 1 and reach == length * self.size and not self.lanewise:
                length *= taps
            else:
                starts = [tap * reach + start for tap in range(taps) for start in starts]
        return starts, length

    # Sums of each chunk

    def write_chunks(self, x, g, workspace):
        """The phase in which each chunk of images sums into its own filter."""
        conv, part = self.conv, self.part
        tiles = self.chunks * self.tap_tiles
        runs = split(conv.images, -(-conv.images // self.chunks))
        image_bytes = math.prod(conv.spatial) * part.source_pixel
        g_pixel = conv.features * self.size
        made = self.module.fresh(self.name)
        with self.module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
            table, tile, scratch = f.arguments
            chunk, tap = divided(f, tile, self.tap_tiles)
            bases = x(f, table), g(f, table), workspace(f, table) + chunk * self.bytes
            share = self.bytes // self.tap_tiles
            f.clear(bases[2] + tap * share, share)

            def write(first, count):
                with f.loop(0, count) as loop:
                    image = first + loop.index
                    a = self.block.prepare(f, bases[0] + image * image_bytes, f.index(0), scratch)
                    b = bases[1] + image * (math.prod(conv.out) * g_pixel)
                    self._write_image(f, table, a, b, bases[2], tap)

            for_each(f, runs, chunk, write)
        return Phase(made, tiles)

    def _write_image(self, f, table, a, b, target, tap):
        """Add one image's part to a filter: for each group and panel all rows."""
        part = self.part
        with f.loop(0, 1 if self.lanewise else part.groups) as groups:
            group_a = a + groups.index * (part.inner * self.size)
            first_column = groups.index * self.width
            for start, width, count in self.panels:
                with f.loop(0, count) as loop:
                    within = loop.index * self.panel + start
                    column = first_column + within
                    here = group_a + within * self.size if self.lanewise else group_a
                    place = target + column * self.size
                    self._write_rows(f, here, b + column * self.size, place, column, width, table, tap)

    def _write_rows(self, f, a, b, c, column, width, table, tap):
        reach = self.part.axes[0].reach * self.block.steps[0]
        starts, length = self._runs()
        pitch = self.columns * self.size
        per_tap = len(starts) * length
        if length < self.shape[0]:  # short runs: every row's place is written out
            offsets = [
                t * reach + start + i * self.size for t in range(self.taps[0]) for start in starts for i in range(length)
            ]
            for first, height, count in split(len(offsets), self.shape[0]):
                for turn in range(count):
                    row = first + turn * height
                    self._call(
                        f, offsets[row : row + height], width, [a, b, c + row * pitch, f.index(row), f.index(column), table]
                    )
            return
        a, c, first_row = a + tap * reach, c + tap * (per_tap * pitch), tap * per_tap
        for number, start in enumerate(starts):
            for first, height, count in split(length, self.shape[0]):
                with f.loop(0, count) as loop:
                    local = loop.index * height + first
                    row = first_row + local + number * length
                    place = [a + start + local * self.size, b, c + (local + number * length) * pitch]
                    self._call(
                        f, [i * self.size for i in range(height)], width, [*place, f.index(row), f.index(column), table]
                    )

    def _call(self, f, offsets, width, arguments):
        conv, part = self.conv, self.part
        g_steps = steps_of([axis.count for axis in part.axes], conv.features * self.size)
        levels = []
        for axis, x_step, g_step in zip(part.axes, self.block.steps, g_steps, strict=True):
            if axis.count > 1 or not levels:
                levels.append(Level(axis.count, axis.step * x_step, g_step))
        base = offsets[0]
        kernel = micro_kernel(
            self.module, self.type, [offset - base for offset in offsets], width, levels,
            c_steps=[i * self.columns * self.size for i in range(len(offsets))], epilogue=add_tile, name=self.name,
            **({"kind": LANES} if self.lanewise else {}),
        )  # fmt: skip
        f.call(kernel, None, arguments[0] + base, *arguments[1:])

    # The sum of the chunks

    def write_sums(self, workspace, dw, epilogue):
        """The phase that adds the chunks up, in their order."""
        rows = max(1, min(self.rows, (1 << 14) // (self.columns * self.size)))
        runs = split(self.rows, rows)
        tiles = sum(count for _, _, count in runs)
        made = self.module.fresh(f"{self.name}_sum")
        with self.module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
            table, tile, _ = f.arguments
            source, target = workspace(f, table), dw(f, table)

            def write(first, count):
                with f.loop(0, count) as loop:
                    row = first + loop.index
                    for start, width, turns in split_tail(self.columns, self.lanes):
                        with f.loop(0, turns) as across:
                            column = across.index * self.lanes + start
                            at = (row * self.columns + column) * self.size
                            total = self._total(f, source + at, width)
                            row_index, column_index = f.index(row), f.index(column)
                            epilogue(
                                Tile(
                                    f, table, [[total]], target + at, row_index, column_index, self.lanes, width, (0,), (0,)
                                )
                            )

            for_each(f, runs, tile, write)
        return Phase(made, tiles)

    def _total(self, f, place, width):
        total = f.load(place, self.type, width)
        for chunk in range(1, self.chunks):
            total = total + f.load(place + chunk * self.bytes, self.type, width)
        return total
