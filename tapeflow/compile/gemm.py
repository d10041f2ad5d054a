"""Matrix products: a generator of kernels for one shape, over operands of any strides, with fused epilogues.

C[b, i, j] = sum over k of A[b, i, k] B[b, k, j]. Transposed operands are strides, so nothing is copied that can be read
where it stands. B is packed into panels before the products where its columns stand apart. Where they stand together it is
packed if many tiles read what no cache holds, or tiles too small to ask for its rows ahead read rows that meet in one cache set:
by the first tiles that read it, while they multiply. A is packed, by each tile for itself, for the latter reason alone.

The work is cut by the shape, never by the number of threads: a sum over k is always done by one thread in one order, so the
bits are the same on any number of them.
"""

import itertools
import math
from dataclasses import dataclass

from tapeflow.compile.micro import (
    ROW_STEPS,
    Asks,
    Kernel,
    Level,
    Phase,
    choose_shape,
    micro_kernel,
    reads_ahead,
    split,
    store_tile,
)
from tapeflow.compile.packing import Panels, pack_panels
from tapeflow.compile.text import INDEX, PTR, Type

PAGE = 4096  # bytes: rows that are multiples of it apart meet in the same sets of the first cache
TILE_FLOPS = 1 << 20  # a tile of about 10 us: claiming it costs under 0.1 us
FEW_TILES = 8  # so many at least where the work is enough, that threads finish together
# From more steps of k than the first number on, sums rest in memory after each block of about the second: A and B of a block
# stay in the first cache. Where the columns of A stand together each k has lines of its own, of which few are used up. Rows of B
# that are pages apart meet in the same sets of the second cache, too, which has no room for more than those of a block.
LONG_K, BLOCK_K = 512, 256
LONG_COLUMNS, BLOCK_COLUMNS = 192, 128
MANY = 32  # strips of tiles: for so many B is packed; no blocks then before a panel is an eighth of the second cache
FEW_ROWS = 64  # so few that each core rather reads all of B than what another one computes
UNPACKED = 100 << 10  # bytes of a panel's rows that are read well where they stand
PACK_TILE = 128 << 10  # bytes of panels that one tile packs
PACK_ALONE = 16 << 10  # and of so few that one thread packs them in the time in which several would meet
# What the cut into units of work is reckoned by: flops a ns for each byte of a vector, bytes a ns from the third cache, and
# ns of a unit besides its work.
FLOPS_PER_BYTE, READ_SPEED, UNIT_COST = 3, 8, 300


@dataclass(frozen=True)
class Matmul:
    """A product's sizes and its operands' strides in bytes.

    Args:
        m, n, k: C is m by n, A is m by k, B is k by n.
        element: the `Type` of an element, `F32` or `F64`.
        a: bytes between rows and between columns of A.
        b: the same of B.
        c: bytes between rows of C; its columns stand together.
        batch: for each batch axis its length and the bytes between matrices of A, B and C; 0 where an operand has one for all.
        updated: B is updated between the products, by threads that have some of its rows each.
        computed: A is computed between the products; its columns, where they are rows of the array, by such threads, too.
    """

    m: int
    n: int
    k: int
    element: Type
    a: tuple
    b: tuple
    c: int
    batch: tuple = ()
    updated: bool = False
    computed: bool = False

    @classmethod
    def dense(cls, m, n, k, element, transpose_a=False, transpose_b=False, batch=0, updated=False, computed=False):
        """The product of contiguous operands; `batch` many if it is not 0."""
        size = element.bytes
        a = (size, m * size) if transpose_a else (k * size, size)
        b = (size, k * size) if transpose_b else (n * size, size)
        axes = ((batch, m * k * size, k * n * size, m * n * size),) if batch else ()
        return cls(m, n, k, element, a, b, n * size, axes, updated, computed)

    @property
    def k_major(self):
        """Whether the columns of A stand together, as in a product of a transposed array."""
        return self.a[0] == self.element.bytes and self.a[1] != self.element.bytes

    @property
    def matrices(self):
        """How many products the batch has."""
        return math.prod(count for count, *_ in self.batch)

    @property
    def flops(self):
        """Multiplications and additions."""
        return 2 * self.m * self.n * self.k * self.matrices


@dataclass(frozen=True)
class Plan:
    """How a product is cut: register tiles, blocks of them, and what is packed."""

    rows: int  # the most rows of a register tile
    panel: int  # columns of one
    row_tiles: int  # of C
    panels: int
    tiles_down: int  # register tiles in a unit of work
    panels_across: int
    together: int  # units in a tile
    blocks_k: int
    pack_a: bool
    pack_b: bool  # before all products
    fill_b: bool  # by each unit for itself: its first strip of tiles packs what it reads

    def __str__(self):
        kinds = ("A", self.pack_a), ("B", self.pack_b), ("B by the first tiles", self.fill_b)
        packed = [name for name, yes in kinds if yes]
        across = f"{self.tiles_down}x{self.panels_across} of them in a unit, {self.together} in a tile"
        return f"{self.rows}x{self.panel} registers, {across}, k in {self.blocks_k}, packed: {'+'.join(packed) or 'none'}"


def make_plan(spec, target):
    """The `Plan` of a product on a `Host`."""
    size = spec.element.bytes
    lanes = target.lanes(size)
    shape = choose_shape(spec.m, spec.n, spec.k, lanes, target.registers)
    ways = target.l1 // PAGE  # lines of the first cache whose addresses are equal up to pages
    apart = spec.b[1] != size
    paged = not apart and spec.b[0] % PAGE == 0
    long, block = (LONG_COLUMNS, BLOCK_COLUMNS) if spec.k_major else (LONG_K, BLOCK_K)
    if paged:
        long = BLOCK_K
    large = spec.k > long and spec.k * spec.n * size > target.l2 // 2
    often = large and spec.m >= MANY * shape.rows
    if often and spec.a[0] % PAGE == 0:
        shape = shape._replace(rows=min(shape.rows, ways))
    panel = shape.vectors * lanes
    panels = -(-spec.n // panel)
    row_tiles = -(-spec.m // shape.rows)

    if not spec.k_major and (often or apart):
        long, block = 0, target.l2 // 8 // (panel * size)
    elif often and not apart:
        block = BLOCK_K
    blocks_k = 1 if spec.k <= long else -(-spec.k // block)
    block_k = -(-spec.k // blocks_k)

    crowded = (spec.b[0] % PAGE == 0 and not reads_ahead(*shape)) or block_k * panel * size > UNPACKED
    costly_mask = target.vector_bytes < 64 and spec.n % lanes != 0
    fill_b = not apart and (often or (row_tiles >= 4 and (crowded or costly_mask)))
    if spec.k_major:
        lines = PAGE // math.gcd(PAGE, spec.a[1]) * ways  # that a column's k-th elements can be in
        pack_a = panels > 1 and 2 * lines < block_k
    else:
        pages_apart = spec.a[1] == size and spec.a[0] % PAGE == 0
        pack_a = not often and panels > 1 and pages_apart and 4 * min(spec.m, shape.rows) > 5 * ways

    def cost(cut):
        down, across = cut
        rows, columns = -(-row_tiles // down), -(-panels // across)
        stays = not spec.updated and spec.m <= FEW_ROWS and spec.k * spec.n * size <= target.l2 // 2
        of_a = 0.5 if fill_b else 3 if pack_a else 1  # a unit is tall where its first tiles fill the panels
        read = ((1 if stays else rows) * spec.n + of_a * columns * spec.m) * spec.k
        if block_k * across * panel * size > target.l2 // 2:
            read += (row_tiles - rows) * spec.n * spec.k  # B's block is gone when the next rows want it
        if blocks_k > 1 and not fill_b and down * shape.rows * across * panel * size > target.l2 // 4:
            read += 2 * blocks_k * spec.m * spec.n  # and so are the sums
        return reckoned(target, spec.flops, spec.matrices * rows * columns, spec.matrices * read * size)

    down, across = min(itertools.product(parts(row_tiles), parts(panels)), key=cost)
    unit_flops = 2 * spec.k * panel * shape.rows * across * down
    units = spec.matrices * -(-panels // across) * -(-row_tiles // down)
    together = max(1, min(TILE_FLOPS // unit_flops, units // FEW_TILES))
    return Plan(shape.rows, panel, row_tiles, panels, down, across, together, blocks_k, pack_a, apart, fill_b)


def parts(total):
    """The sizes of parts, evened out, into which a number can be cut."""
    return sorted({-(-total // count) for count in range(1, total + 1)})


def reckoned(target, flops, units, read):
    """Nanoseconds that work cut into units is reckoned to take: multiplying, reading from beyond the second cache, waiting.

    Args:
        target: the `Host`.
        flops: of all units.
        units: how many there are; threads wait for the last of them.
        read: bytes that all units read from beyond the second cache.
    """
    work = flops / (FLOPS_PER_BYTE * target.vector_bytes)
    if work > UNIT_COST * FEW_TILES:
        work *= max(-(-units // threads) * threads / units + threads / (4 * units) for threads in (2, 4))
    return work + read / READ_SPEED + units * UNIT_COST


def emit_matmul(module, spec, *, a, b, c, workspace=None, epilogue=store_tile, name="matmul"):
    """Write the functions of a product into a module.

    Args:
        module: the `Module`.
        spec: a `Matmul` whose sizes are all at least 1.
        a, b, c, workspace: where the operands, the result and `Kernel.workspace` bytes are: functions `(f, table)` to an
            address, such as `slot(3)`. A `c` that gives a null pointer will do where the epilogue writes elsewhere.
        epilogue: called with each finished `Tile`; `store_tile`, `add_tile` or one's own. Its rows are counted through the
            batch: row i of matrix b is b m + i.
        name: a stem for the functions' names.

    Returns:
        a `Kernel`.
    """
    from tapeflow.compile.gemm_split import emit_split, parts_of  # which calls `emit_whole`

    operands = {"a": a, "b": b, "c": c, "workspace": workspace, "epilogue": epilogue, "name": name}
    parts = parts_of(spec, module.target)
    return emit_split(module, spec, parts, **operands) if parts > 1 else emit_whole(module, spec, **operands)


def emit_whole(module, spec, *, a, b, c, workspace, epilogue, name):
    """The functions of a product whose sums over k are not cut: arguments and result as of `emit_matmul`."""
    plan = make_plan(spec, module.target)
    writer = _Writer(module, spec, plan, epilogue, name)
    kernel = Kernel(flops=spec.flops, note=f"{spec.m}x{spec.k}x{spec.n}: {plan}", scratch=writer.scratch)
    if plan.pack_b:
        kernel.workspace = writer.packed.total * writer.packed_matrices
        kernel.phases.append(writer.write_pack_phase(b, workspace))
    kernel.phases.append(writer.write_tiles(a, workspace if plan.pack_b else b, c))
    return kernel


class _Writer:
    """Writes one product's functions."""

    def __init__(self, module, spec, plan, epilogue, name):
        self.module, self.spec, self.plan, self.epilogue, self.name = module, spec, plan, epilogue, name
        self.size = spec.element.bytes
        self.lanes = module.target.lanes(self.size)
        self.type = spec.element.vector(self.lanes)
        self.packed = Panels(self.type, spec.n, plan.panel, ((spec.k, spec.b[0]),), spec.b[1])
        # A batch axis along which B does not change is packed once.
        self.packed_batch = [axis for axis in spec.batch if axis[2]]
        self.packed_matrices = math.prod(axis[0] for axis in self.packed_batch)
        self.heights = split(spec.m, plan.rows)
        self.block_k = -(-spec.k // plan.blocks_k)

        sums = plan.tiles_down * plan.rows * plan.panels_across * plan.panel * self.size if plan.blocks_k > 1 else 0
        self.k_major = spec.k_major
        if self.k_major:
            self.a_pitch = -(-plan.rows // self.lanes) * self.lanes * self.size
            strip = self.block_k * self.a_pitch
        else:  # a pitch of so many bytes that rows do not meet in one set of the cache
            self.a_pitch = (-(-self.block_k // self.lanes) * self.lanes + self.lanes) * self.size
            strip = plan.rows * self.a_pitch
        self.sums_at = -(-strip // 64) * 64 if plan.pack_a else 0
        self.panels_at = self.sums_at + sums
        self.panel_bytes = self.block_k * plan.panel * self.size if plan.fill_b else 0
        self.scratch = self.panels_at + self.panel_bytes * plan.panels_across
        asks_rows = spec.k // plan.blocks_k >= ROW_STEPS * plan.rows
        self.asks = Asks(spec.a[1] if plan.pack_a and self.k_major else 0, asks_rows)

    # B into panels

    def write_pack_phase(self, b, workspace):
        """The phase that packs B."""
        pack, groups = pack_panels(self.module, self.packed), self.packed.group_count
        total = groups * self.packed_matrices
        together = max(1, min(total // 4, PACK_TILE * groups // self.packed.total))
        if self.packed.total * self.packed_matrices <= PACK_ALONE:
            together = total
        made = self.module.fresh(f"{self.name}_pack")
        with self.module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
            table, tile, _ = f.arguments
            source, target = b(f, table), workspace(f, table)
            with tile_range(f, tile, together, total) as loop:
                matrix, number = divided(f, loop.index, groups)
                offset = _batch_offset(f, matrix, [(count, step) for count, _, step, _ in self.packed_batch])
                f.call(pack, None, source + offset, target + matrix * self.packed.total, f.index(number))
        return Phase(made, -(-total // together))

    # Tiles of C

    def write_tiles(self, a, b, c):
        """The phase that computes C."""
        plan, spec = self.plan, self.spec
        across, down = -(-plan.panels // plan.panels_across), -(-plan.row_tiles // plan.tiles_down)
        units = spec.matrices * across * down
        made = self.module.fresh(self.name)
        with self.module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
            table, tile, scratch = f.arguments
            bases = a(f, table), b(f, table), c(f, table)
            with tile_range(f, tile, plan.together, units) as loop:
                rest, column_block = divided(f, loop.index, across)
                matrix, row_block = divided(f, rest, down)
                unit = _Unit(self, f, table, scratch, *self._matrices(f, matrix, bases), matrix)
                unit.write(row_block, column_block)
        return Phase(made, -(-units // plan.together))

    def _matrices(self, f, matrix, bases):
        """The addresses of A, B and C of one matrix of the batch."""
        batch = self.spec.batch
        a, b, c = bases
        a = a + _batch_offset(f, matrix, [(axis[0], axis[1]) for axis in batch])
        c = c + _batch_offset(f, matrix, [(axis[0], axis[3]) for axis in batch])
        if not self.plan.pack_b:
            return a, b + _batch_offset(f, matrix, [(axis[0], axis[2]) for axis in batch]), c
        steps, step = [], self.packed.total
        for count, _, moves, _ in reversed(batch):
            steps.append((count, step if moves else 0))
            step *= count if moves else 1
        return a, b + _batch_offset(f, matrix, steps[::-1]), c

    def micro(self, height, width, blocked, fills):
        """The micro-kernel for tiles of so many rows and columns."""
        spec, plan = self.spec, self.plan
        if not plan.pack_a:
            rows, step = [i * spec.a[0] for i in range(height)], spec.a[1]
        elif self.k_major:
            rows, step = [i * self.size for i in range(height)], self.a_pitch
        else:
            rows, step = [i * self.a_pitch for i in range(height)], self.size
        packed = plan.pack_b or plan.fill_b
        columns = plan.panel if packed else width  # panels are filled up, so they are read whole
        b_step = plan.panel * self.size if packed and not fills else spec.b[0]
        levels = [Level(spec.k, step, b_step)]
        steps = [i * spec.c for i in range(height)]
        epilogue = self.epilogue if columns == width else _Narrowed(self.epilogue, width)
        asks = self.asks._replace(near=plan.fill_b and not fills)
        more = {"c_steps": steps, "epilogue": epilogue, "name": self.name, "blocked": blocked, "asks": asks}
        more["fills"] = width if fills else 0
        return micro_kernel(self.module, self.type, rows, columns, levels, **more)


class _Narrowed:
    """An epilogue for a tile that computed the zeros beside its columns too."""

    def __init__(self, epilogue, width):
        self.key = epilogue, width

    def __call__(self, tile):
        epilogue, tile.columns = self.key
        vectors = -(-tile.columns // tile.lanes)
        tile.values = [row[:vectors] for row in tile.values]
        epilogue(tile)

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return isinstance(other, _Narrowed) and self.key == other.key


class _Unit:
    """Writes the code of one unit: some register tiles of one matrix, all of k."""

    def __init__(self, writer, f, table, scratch, a, b, c, matrix):
        self.w, self.f, self.table, self.scratch = writer, f, table, scratch
        self.a, self.b, self.c, self.matrix = a, b, c, matrix

    def write(self, row_block, column_block):
        """All of the unit's register tiles, in blocks of k where it is long."""
        f, plan = self.f, self.w.plan
        first = row_block * plan.tiles_down
        rows = first, f.minimum(f.index(plan.row_tiles), first + plan.tiles_down)
        first = column_block * plan.panels_across
        panels = first, f.minimum(f.index(plan.panels), first + plan.panels_across)
        if plan.blocks_k == 1:
            self._block(rows, panels, 0, self.w.spec.k, None, 0)
            return
        small, greater = divmod(self.w.spec.k, plan.blocks_k)

        def block(number, blocked):
            number = f.index(number)
            start = number * small + f.minimum(f.index(greater), number)
            count = f.where(number < greater, small + 1, f.index(small))
            self._block(rows, panels, start, count, blocked, number)

        with f.loop(0, plan.blocks_k - 1) as loop:
            block(loop.index, "part")
        block(plan.blocks_k - 1, "last")

    def _block(self, rows, panels, k, count, blocked, number):
        """One block of k: A packed, then every register tile, rows outermost so that a strip of A stays in the first cache."""
        f, w, plan = self.f, self.w, self.w.plan
        with f.loop(*rows) as down:
            row, tall = self._row(down.index)
            a = self.a + row * w.spec.a[0] + k * w.spec.a[1]
            after = [self._next_strip(down.index, rows, k, count)] if w.asks.step else []
            if plan.pack_a:
                a = self._pack_a(a, tall, count)
            with f.loop(*panels) as across:
                b, c = self._operands(row, across.index, k)
                local = (down.index - rows[0]) * plan.panels_across + (across.index - panels[0])
                sums = self.scratch + w.sums_at + local * (plan.rows * plan.panel * w.size)
                extra = [f.index(count), sums, f.convert(f.index(number).equals(0), INDEX)] if blocked else []
                place = [self.matrix * w.spec.m + row, across.index * plan.panel]
                rest = [c, *map(f.index, place), self.table, *extra]
                if not plan.fill_b:
                    self._dispatch(tall, across.index, blocked, [a, b, *rest, *after])
                else:
                    panel = self.scratch + w.panels_at + (across.index - panels[0]) * w.panel_bytes
                    f.choose(
                        f.index(down.index).equals(rows[0]),
                        lambda: self._dispatch(tall, across.index, blocked, [a, b, *rest, panel, *after], fills=True),
                        lambda: self._dispatch(tall, across.index, blocked, [a, panel, *rest, *after]),
                    )

    def _next_strip(self, tile, rows, k, count):
        """Where the strip of A that is packed after a register tile's ends, at its first step: of the next tile or block of k."""
        f, spec, plan = self.f, self.w.spec, self.w.plan
        more = f.index(tile) + 1 < rows[1]
        row, _ = self._row(f.where(more, f.index(tile) + 1, f.index(rows[0])))
        behind = f.minimum(f.index(k) + count, f.index(spec.k - self.w.block_k))
        k = f.where(more, f.index(k), behind)
        return self.a + row * spec.a[0] + k * spec.a[1] + (plan.rows - 1) * self.w.size

    def _row(self, tile):
        """The first row of a register tile, and whether it is one of the taller ones (None where all are equal)."""
        small, greater = divmod(self.w.spec.m, self.w.plan.row_tiles)
        if not greater:
            return tile * small, None
        tile = self.f.index(tile)
        return tile * small + self.f.minimum(self.f.index(greater), tile), tile < greater

    def _operands(self, row, panel, k):
        w, spec, width = self.w, self.w.spec, self.w.plan.panel
        if w.plan.pack_b:
            b = self.b + panel * w.packed.bytes + k * (width * w.size)
        else:
            b = self.b + k * spec.b[0] + panel * (width * w.size)
        return b, self.c + row * spec.c + panel * (width * w.size)

    def _dispatch(self, tall, panel, blocked, arguments, fills=False):
        """Call the micro-kernel of the tile's height and width."""
        f, w = self.f, self.w
        full, rest = divmod(w.spec.n, w.plan.panel)

        def by_width(height):
            if not rest or not full:
                f.call(w.micro(height, rest or w.plan.panel, blocked, fills), None, *arguments)
                return
            whole = w.micro(height, w.plan.panel, blocked, fills), w.micro(height, rest, blocked, fills)
            f.choose(f.index(panel) < full, *[lambda name=name: f.call(name, None, *arguments) for name in whole])

        small = w.spec.m // w.plan.row_tiles
        if tall is None:
            by_width(small)
        else:
            f.choose(tall, lambda: by_width(small + 1), lambda: by_width(small))

    def _pack_a(self, source, tall, count):
        """Copy the strip of A of a register tile to scratch memory; its address there."""
        f, w, plan = self.f, self.w, self.w.plan
        small = w.spec.m // plan.row_tiles

        def copy(height):
            if w.k_major:  # each k has the tile's rows together
                self._copy_runs(source, self.scratch, f.index(count), w.spec.a[1], w.a_pitch, height)
            else:
                self._copy_rows(source, self.scratch, height, count)

        if tall is None:
            copy(small)
        else:
            f.choose(tall, lambda: copy(small + 1), lambda: copy(small))
        return self.scratch

    def _copy_runs(self, source, target, count, source_step, target_step, length):
        """`count` runs of `length` elements."""
        f, type, lanes = self.f, self.w.type, self.w.lanes
        with f.loop(0, count, carry=[source, target]) as loop:
            source, target = loop.values
            for start in range(0, length, lanes):
                value = f.load(source + start * self.w.size, type, min(lanes, length - start))
                f.store(value, target + start * self.w.size)
            loop.next = [source + source_step, target + target_step]

    def _copy_rows(self, source, target, height, count):
        """`height` rows of `count` elements, which may be known only when the code runs."""
        f, w = self.f, self.w
        size = f.index(count) * w.size
        with f.loop(0, height) as loop:
            f.copy(target + loop.index * w.a_pitch, source + loop.index * w.spec.a[0], size)


def tile_range(f, tile, group, total):
    """A loop over the numbers of a tile of `group` numbers."""
    first = tile * group
    if group == 1:
        return f.loop(first, first + 1)
    return f.loop(first, f.minimum(f.index(total), first + group))


def divided(f, number, by):
    """Quotient and remainder of an index."""
    if by == 1:
        return number, 0
    return f.udiv(number, by), f.urem(number, by)


def _batch_offset(f, matrix, axes):
    """Bytes to a matrix by its number, from the length and step of each batch axis."""
    offset = 0
    for count, step in reversed(axes):
        if count > 1:
            matrix, place = divided(f, matrix, count) if matrix.__class__ is not int else divmod(matrix, count)
            offset = place * step + offset if step else offset
    return offset
