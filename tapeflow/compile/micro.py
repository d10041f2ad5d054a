"""The register-blocked kernel under matrix products and convolutions, and what surrounds it: tiles, splitting.

One micro-kernel computes a tile of C, `rows` by a few vectors of columns, in registers: for each k it loads the vectors
of B's row and multiplies them by one broadcast element of A for each row. k runs over nested levels, each with its own
step in A and in B, so that a matrix product has one level and a convolution one for each axis of its window. What becomes
of the finished registers is the epilogue's business: it may add a bias, apply an activation, update a variable.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from tapeflow.compile.text import INDEX, PTR

SMALL, SECOND = (
    4 << 20,
    0.06,
)  # of small work tiles of two heights, which take twice as long to compile, must save such a part
LINE = 64  # bytes of a cache line
# How many steps of k before their use rows of B are asked for, into the first cache and into the second: from there a line
# comes within a hundred cycles, from beyond, or from another core, within several hundred.
NEAR, FAR = 8, 32
TURN = 2  # steps of k in a turn of the loop, where their number allows it: what counts them takes turns of the multipliers
ROW_STEPS = 4  # of k, for each row of a tile whose lines in the epilogue's arrays are asked for
UNROLLED = 12  # levels with no more steps than this together are written out: nested loops of 3 would cost more than they do


class Level(NamedTuple):
    """One of the nested loops over k: how many steps, and the bytes that each moves in A and in B."""

    steps: int
    a: int
    b: int


class Kind(NamedTuple):
    """What a micro-kernel does with A and B at each k.

    Args:
        first: what a sum begins with.
        spread: whether A gives one element for all columns, or an element for each.
        weighted: whether there is a B.
        add: `add(f, total, a, b)`, the new total.
    """

    first: float
    spread: bool
    weighted: bool
    add: Callable


OUTER = Kind(0.0, True, True, lambda f, total, a, b: f.fma(a, b, total))  # matrix products and convolutions
LANES = Kind(0.0, False, True, lambda f, total, a, b: f.fma(a, b, total))  # depthwise convolutions
SUM = Kind(0.0, False, False, lambda f, total, a, b: total + a)  # mean pooling
MAX = Kind(-math.inf, False, False, lambda f, total, a, b: f.maximum(total, a))  # max pooling


class Asks(NamedTuple):
    """What a micro-kernel asks for while it multiplies, that it be in the second cache when it is wanted.

    Args:
        step: bytes from line to line of what comes next, of which each step of k asks for one; 0 for none.
        rows: whether the tile's rows are asked for in the arrays that its epilogue works on, as its `touched(tile)` lists them:
            for each the address of the tile's first element, and bytes from row to row.
        near: whether B's rows are in the second cache, and no other core writes what is behind them: they are asked for into the
            first cache alone, and some behind the last, too.
    """

    step: int = 0
    rows: bool = False
    near: bool = False


NOTHING = Asks()


class Phase(NamedTuple):
    """A function `(table, tile, scratch)` to be called for every tile in range(tiles), in any order, by any threads."""

    function: str
    tiles: int


@dataclass
class Kernel:
    """What computes one operation: phases, each to be finished before the next; and the memory that they want."""

    phases: list = field(default_factory=list)
    scratch: int = 0  # bytes for each thread
    workspace: int = 0  # bytes in all
    flops: int = 0
    messages: list = field(default_factory=list)  # of the errors that it may find, by their bits
    note: str = ""  # its tiles and packing, for people


@dataclass
class Tile:
    """The finished registers of one micro-kernel, as an epilogue sees them.

    `values[i][j]` is the vector of row `row(i)` that begins at column `column(j)`; `mask(j)` is how many of its lanes are
    columns of C, or None for all. `table` is the step's table of pointers.
    """

    f: object
    table: object
    values: list
    place: object  # the address of the first element in C
    first_row: object
    first_column: object
    lanes: int
    columns: int
    row_steps: tuple  # bytes of C from the first row to each
    row_numbers: tuple  # and rows of C

    def row(self, i):
        """The index of a row in C."""
        return self.first_row + self.row_numbers[i]

    def column(self, j):
        """The index of a vector's first column in C."""
        return self.first_column + j * self.lanes

    def mask(self, j):
        """How many lanes of a vector are columns, or None for all."""
        rest = self.columns - j * self.lanes
        return None if rest >= self.lanes else rest

    def address(self, i, j):
        """Where in C a vector belongs."""
        value = self.values[0][0]
        return self.place + (self.row_steps[i] + j * self.lanes * value.type.bytes)

    def store(self, i, j, value):
        """Write a vector where it belongs."""
        self.f.store(value, self.address(i, j), self.mask(j))

    def load(self, pointer, j, type=None):
        """Read the vector that stands at a place with the columns of vector `j`."""
        return self.f.load(pointer, type or self.values[0][j].type, self.mask(j))

    def map(self, function):
        """Write `function(i, j, value)` of every vector to C; nothing where it gives None."""
        for i, row in enumerate(self.values):
            for j, value in enumerate(row):
                result = function(i, j, value)
                if result is not None:
                    self.store(i, j, result)


def store_tile(tile):
    """The epilogue that only writes C."""
    tile.map(lambda i, j, value: value)


def add_tile(tile):
    """The epilogue that adds to what C has."""
    tile.map(lambda i, j, value: value + tile.load(tile.address(i, j), j))


class Shape(NamedTuple):
    """The size of a register tile."""

    rows: int
    vectors: int


def reads_ahead(rows, vectors):
    """Whether a product's tile asks for rows of B ahead: where its multiply-adds leave the load ports room for two requests.

    B's rows lie apart or in few of a page, and no cache foresees them.
    """
    return rows * vectors >= rows + 3 * vectors


def choose_shape(m, n, k, lanes, registers, most_rows=None):
    """The register tile with the fewest cycles for an m by n result, by a model of two multipliers and two load ports.

    Args:
        m, n, k: the sizes of the product.
        lanes: of a vector.
        registers: that the host has.
        most_rows: the most rows of a tile, where something else bounds it.
    """

    def cycles(rows, vectors):
        # two fused multiply-adds and two loads a cycle, and 4 cycles until a sum can be added to again
        step = max(rows * vectors / 2, (rows + vectors) / 2, 4)
        return step + (12 + rows * vectors) / k  # entering, and writing the tile

    def cost(shape):
        total, heights = 0, split(m, shape.rows)
        for _, height, count in heights:
            full, rest = divmod(n, shape.vectors * lanes)
            total += count * full * cycles(height, shape.vectors)
            if rest:
                total += count * cycles(height, -(-rest // lanes))
        if m * n * k < SMALL:
            total *= 1 + SECOND * (len(heights) - 1)
        return total, -shape.rows * shape.vectors

    most_vectors = min(4, -(-n // lanes))
    shapes = [
        Shape(rows, vectors)
        for vectors in range(1, most_vectors + 1)
        for rows in range(1, min(most_rows or m, m, (registers - 1 - vectors) // vectors) + 1)
    ]
    return min(shapes, key=cost)


def split(size, most):
    """`size` in the fewest parts of at most `most` whose sizes differ by one at most: (start, part, count) of each size.

    Example:
        >>> from tapeflow.compile.micro import split
        >>> split(32, 12)
        [(0, 11, 2), (22, 10, 1)]
    """
    parts = -(-size // most)
    small, greater = divmod(size, parts)
    runs = [(0, small + 1, greater), (greater * (small + 1), small, parts - greater)]
    return [run for run in runs if run[2]]


def split_tail(size, part):
    """`size` in parts of `part` and a rest: (start, part, count) of each size."""
    count, rest = divmod(size, part)
    runs = [(0, part, count), (count * part, rest, 1)]
    return [run for run in runs if run[1] and run[2]]


def for_each(f, runs, index, body):
    """Dispatch a tile index over the parts of a split: `body(start, size)` is written once for each size.

    Args:
        f: the function being written.
        runs: what `split` gave.
        index: the number of the part, an index value.
        body: called with the part's start, an index value, and its size.
    """
    first = 0
    for start, size, count in runs:
        if len(runs) == 1:
            body(start + (index - first) * size, size)
            return
        here = (index >= first) & (index < first + count)
        with f.when(here):
            body((index - first) * size + start, size)
        first += count


def micro_kernel(
    module,
    type,
    rows,
    columns,
    levels,
    *,
    c_steps,
    epilogue,
    numbers=None,
    name="micro",
    blocked=None,
    kind=OUTER,
    asks=NOTHING,
    fills=0,
):
    """Write a micro-kernel into a module, once for each specification.

    Args:
        module: the `Module`.
        type: the vector type of the accumulators.
        rows: bytes in A from the first row of the tile to each.
        columns: how many columns, at most 4 vectors.
        levels: the `Level`s of k, the outermost first.
        c_steps: bytes in C from the first row of the tile to each.
        epilogue: called with the `Tile`.
        numbers: how many rows of C each is from the first; 0, 1, 2, ... by default.
        name: a stem for the function's name.
        blocked: None; or, where k is cut into blocks: "part" keeps sums in scratch memory, "last" begins with them. The
            single level's count is an argument then.
        kind: what is done at each k.
        asks: the `Asks` for what will be read after the sums; with a single level only.
        fills: 0; or how many columns B has, where the tile also writes the rows of B that it reads to a panel, filled up with
            zeros to whole vectors; with a single level only.

    Returns:
        the function's name. It takes (a, b, c, row, column, table), with `blocked` also (count, sums, fresh): sums is scratch
        memory of the tile's rows and columns, read unless `fresh`; with `fills` the panel's address; and with `asks.step` the
        address to ask at first.
    """
    place = tuple(c_steps), tuple(numbers or range(len(rows)))
    if blocked == "part":
        asks = asks._replace(rows=False)
    key = ("micro", type, tuple(rows), columns, tuple(levels), place, epilogue, blocked, kind, asks, fills)
    return module.once(key, lambda: _write_micro(module, *key[1:], name))


def _write_micro(module, type, rows, columns, levels, place, epilogue, blocked, kind, asks, fills, name):
    made = module.fresh("_".join([f"{name}_{len(rows)}x{columns}", *[blocked] * bool(blocked), *["fills"] * bool(fills)]))
    pointer = (PTR, "noalias readonly")
    arguments = [("a", *pointer), ("b", *pointer), ("c", PTR), ("row", INDEX), ("column", INDEX), ("table", PTR)]
    if blocked:
        arguments += [("count", INDEX), ("sums", PTR), ("fresh", INDEX)]
    if fills:
        arguments += [("panel", PTR, "noalias")]
    if asks.step:
        arguments += [("next", PTR)]
    vectors = -(-columns // type.lanes)
    with module.function(made, arguments, internal=True, attributes="nounwind noinline") as f:
        a, b, c, row, column, table, *rest = f.arguments
        sums = [f.constant(type, kind.first)] * (len(rows) * vectors)
        pitch = vectors * type.lanes * type.bytes
        places = [(i * pitch + j * type.lanes * type.bytes) for i in range(len(rows)) for j in range(vectors)]
        if blocked:
            count, memory, fresh, *rest = rest
            levels = [levels[0]._replace(steps=count)]
            read = fresh.equals(0)
            sums = f.choose(read, lambda: [f.load(memory + at, type) for at in places], lambda: sums)

        def tile():
            grid = [sums[i * vectors : (i + 1) * vectors] for i in range(len(rows))]
            return Tile(f, table, grid, c, row, column, type.lanes, columns, *place)

        touched = epilogue.touched(tile()) if asks.rows and hasattr(epilogue, "touched") else []
        sums = _Sums(f, type, rows, columns, levels, b, kind, asks, touched, fills).write([a, b, *rest], sums)
        if blocked == "part":
            for value, at in zip(sums, places, strict=True):
                f.store(value, memory + at)
        else:
            epilogue(tile())
    return made


class _Sums:
    """Writes the sums over k of one micro-kernel."""

    def __init__(self, f, type, rows, columns, levels, b, kind, asks, touched, fills):
        self.f, self.type, self.rows, self.levels, self.kind, self.fills = f, type, rows, levels, kind, bool(fills)
        self.vectors = -(-columns // type.lanes)
        columns = fills or columns
        self.masks = [None if (j + 1) * type.lanes <= columns else columns - j * type.lanes for j in range(self.vectors)]
        self.width = columns * type.bytes
        pitch = self.vectors * type.lanes * type.bytes
        self.moves = [levels[-1].a, levels[-1].b, *[pitch] * self.fills, *[asks.step] * bool(asks.step)]
        self.touched = touched
        self.ahead = kind is OUTER and len(levels) == 1 and reads_ahead(len(rows), self.vectors)
        self.last = None if asks.near or not self.ahead else b + (f.index(levels[0].steps) - 1) * levels[0].b

    def write(self, places, sums):
        """The sums after all steps of k; places are addresses that move on: in A, in B, and where to ask for what comes next."""
        f, levels = self.f, self.levels
        counts = [level.steps for level in levels]
        if all(isinstance(count, int) for count in counts) and math.prod(counts) <= UNROLLED:
            a, b, *rest = places
            for step, numbers in enumerate(itertools.product(*map(range, counts))):
                at_a = sum(n * level.a for n, level in zip(numbers, levels, strict=True))
                at_b = sum(n * level.b for n, level in zip(numbers, levels, strict=True))
                panel = rest[0] + step * self.moves[2] if self.fills else None
                sums = self._step(a + at_a, b + at_b, sums, panel)
            return sums
        if len(levels) > 1:
            return self._nest(levels, *places, sums)
        done = 0
        if self.touched:
            places, sums, done = self._asking(places, sums)
        steps = levels[0].steps
        turn = TURN if isinstance(steps, int) and (steps - done) % TURN == 0 else 1
        with f.loop(done, steps, turn, carry=[*places, *sums]) as loop:
            places, sums = loop.values[: len(places)], loop.values[len(places) :]
            for _ in range(turn):
                places, sums = self._turn(places, sums)
            loop.next = [*places, *sums]
        return loop.results[len(places) :]

    def _asking(self, places, sums):
        """The first steps, a few for each row of the tile: they ask for its lines in the arrays that the epilogue works on."""
        f, count, split = self.f, len(self.touched), len(self.touched) + len(places)
        with f.loop(0, len(self.rows), carry=[*[address for address, _ in self.touched], *places, *sums]) as loop:
            lines, places, sums = loop.values[:count], loop.values[count:split], loop.values[split:]
            for line in lines:
                self._ask(line, 2)
            for _ in range(ROW_STEPS):
                places, sums = self._turn(places, sums)
            loop.next = [*[line + step for line, (_, step) in zip(lines, self.touched, strict=True)], *places, *sums]
        return loop.results[count:split], loop.results[split:], len(self.rows) * ROW_STEPS

    def _nest(self, levels, a, b, sums):
        if not levels:
            return self._step(a, b, sums)
        level, *inner = levels
        with self.f.loop(0, level.steps, carry=[a, b, *sums]) as loop:
            a, b, *sums = loop.values
            loop.next = [a + level.a, b + level.b, *self._nest(inner, a, b, sums)]
        return loop.results[2:]

    def _turn(self, places, sums):
        """One step of the single level: the places moved on, and the sums."""
        a, b, *lines = places
        panel = lines.pop(0) if self.fills else None
        if self.ahead:
            self._ask_ahead(b)
        for line in lines:
            self.f.prefetch(line, 2)
        return [place + move for place, move in zip(places, self.moves, strict=True)], self._step(a, b, sums, panel)

    def _ask_ahead(self, b):
        """Ask for the rows of B that later steps will read; not for one behind the last that another core may be writing."""
        f = self.f
        if self.last is None:
            self._ask(b + NEAR * self.levels[0].b, 1)
            return
        for steps, cache in (NEAR, 1), (FAR, 2):
            place = b + steps * self.levels[0].b
            self._ask(f.where(f.compare("ult", place, self.last), place, self.last), cache)

    def _ask(self, place, cache):
        """Ask for the lines of a row of the tile."""
        for at in range(0, self.width, LINE):
            self.f.prefetch(place + at, cache)

    def _step(self, a, b, sums, panel=None):
        f, type, kind = self.f, self.type, self.kind

        def vector(place, j):
            mask = self.masks[j]
            if mask is not None and mask <= 0:
                return f.constant(type, 0)
            return f.load(place + j * type.lanes * type.bytes, type, mask)

        row = [vector(b, j) if kind.weighted else None for j in range(self.vectors)]
        if panel is not None:
            for j, value in enumerate(row):
                f.store(value, panel + j * type.lanes * type.bytes)
        sums = list(sums)
        for i, offset in enumerate(self.rows):
            if kind.spread:
                parts = [f.splat(f.load(a + offset, type.scalar), type.lanes)] * self.vectors
            else:
                parts = [vector(a + offset, j) for j in range(self.vectors)]
            for j in range(self.vectors):
                at = i * self.vectors + j
                sums[at] = kind.add(f, sums[at], parts[j], row[j])
        return sums


Locate = Callable  # (f, table) -> the address of a buffer


def slot(number, offset=0):
    """A `Locate`: the pointer in a slot of the table, and so many bytes on."""
    return lambda f, table: f.load(table + 8 * number, PTR) + offset
