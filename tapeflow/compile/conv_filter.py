"""The gradient of a convolution's filter: dw[tap, c, f] = sum over pixels of x[pixel + tap, c] g[pixel, f].

A product again: rows are (tap, channel), k runs over the output's pixels. The images are cut into a number of chunks that
depends on the shape alone; each chunk sums into memory of its own, and a last phase adds the chunks up in their order.
"""

import math

from tapeflow.compile.conv import forward
from tapeflow.compile.correlate import Block, steps_of, with_two_axes
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
FEW_PIXELS = 64  # summed before a register tile is stored


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
        self.block = Block(part, 1)  # its steps are the same for any number of rows
        # The outermost taps are work of their own where each has rows enough for a register tile.
        self.tap_tiles = self.taps[0] if self._runs()[1] >= self.shape[0] else 1
        one_tap = part._replace(axes=(part.axes[0]._replace(taps=1), *part.axes[1:])) if self.tap_tiles > 1 else part
        self.blocks = split(part.axes[0].length, self._block_rows())
        self.block = Block(one_tap, self.blocks[0][1], inside=all(axis.inside for axis in part.axes))
        most = min(MOST_CHUNKS, max(1, MOST_BYTES // self.bytes), -(-FEW_TILES // self.tap_tiles))
        self.chunks = min(conv.images, most)

    def _block_rows(self):
        """How many rows of an image are summed at a time: what the first cache holds, for a register tile reads them again
        for every few rows of the filter; but so many pixels that loading and storing the tile is little beside them."""
        axes = self.part.axes
        pixels = math.prod(axis.length for axis in axes[1:])
        row = pixels * self.conv.features * self.size
        row += axes[0].step * math.prod(axis.size for axis in axes[1:]) * self.part.source_pixel
        return min(axes[0].length, max(1, -(-FEW_PIXELS // pixels), self.module.target.l1 * 2 // 3 // row))

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
        inner = math.prod(axis.length for axis in part.axes[1:])
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
                    source = bases[0] + image * image_bytes
                    b = bases[1] + image * (math.prod(conv.out) * g_pixel)
                    for start, rows, blocks in self.blocks:
                        with f.loop(0, blocks) as down:
                            row = down.index * rows + start
                            shift = tap * part.axes[0].reach if self.tap_tiles > 1 else 0
                            a = self.block.prepare(f, source, f.index(row), scratch, shift)
                            self._write_block(f, table, a, b + row * (inner * g_pixel), bases[2], tap, rows)

            for_each(f, runs, chunk, write)
        return Phase(made, tiles)

    def _write_block(self, f, table, a, b, target, tap, rows):
        """Add the part of some of an image's rows to a filter: for each group and panel all rows of the filter."""
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
                    self._write_rows(f, here, b + column * self.size, place, column, width, table, tap, rows)

    def _write_rows(self, f, a, b, c, column, width, table, tap, rows):
        starts, length = self._runs()
        pitch = self.columns * self.size
        per_tap = len(starts) * length
        if self.tap_tiles == 1 and length < self.shape[0]:  # short runs: every row's place is written out
            reach = self.part.axes[0].reach * self.block.steps[0]
            offsets = [
                t * reach + start + i * self.size for t in range(self.taps[0]) for start in starts for i in range(length)
            ]
            for first, height, count in split(len(offsets), self.shape[0]):
                for turn in range(count):
                    row = first + turn * height
                    self._call(
                        f,
                        rows,
                        offsets[row : row + height],
                        width,
                        [a, b, c + row * pitch, f.index(row), f.index(column), table],
                    )
            return
        c, first_row = c + tap * (per_tap * pitch), tap * per_tap
        for number, start in enumerate(starts):
            for first, height, count in split(length, self.shape[0]):
                with f.loop(0, count) as loop:
                    local = loop.index * height + first
                    row = first_row + local + number * length
                    place = [a + start + local * self.size, b, c + (local + number * length) * pitch]
                    self._call(
                        f,
                        rows,
                        [i * self.size for i in range(height)],
                        width,
                        [*place, f.index(row), f.index(column), table],
                    )

    def _call(self, f, rows, offsets, width, arguments):
        axes = self.part.axes
        lengths = [rows, *[axis.length for axis in axes[1:]]]
        g_steps = steps_of(lengths, self.conv.features * self.size)
        parts = zip(lengths, axes, self.block.steps, g_steps, strict=True)
        levels = [Level(length, axis.step * x_step, g_step) for length, axis, x_step, g_step in parts]
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
