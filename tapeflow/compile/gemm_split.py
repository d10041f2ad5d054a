"""Products whose C is small beside what they read: k is cut into parts, so that each thread reads its own rows.

Cut by columns or rows of C instead, every thread would read lines that another core has just written. In a training step's
first layer these are B's: the update of a layer's weights is cut by their rows. On a two-core machine the product of 32x784
and 784x128 after such an update took 28 us so, and 17 us by parts of k. In a weight's gradient they are those of two arrays
whose rows the steps before have computed: 128x2048 by 2048x512 took 989 us, and 753 by parts. The parts are sums in the
workspace, which a second phase adds in their order.
"""

from dataclasses import replace

from tapeflow.compile.gemm import emit_whole, tile_range
from tapeflow.compile.micro import Phase, Tile, store_tile
from tapeflow.compile.text import INDEX, PTR

PARTS = 2  # more of them cost more to add than they save
FEWER_ROWS = 3  # times fewer rows than k: so much smaller than B is what all parts write
SHORTEST, SHORTEST_ROWS = 96, 32  # steps of k of one part; where they are rows of both operands
ADDING = 4  # times as many bytes of C as of another core's lines are written and added in the same time
ENTERING = 20 << 10  # bytes of these that are fetched in the time that another phase takes
ADDED = 32 << 10  # bytes of parts that one tile of the second phase adds


def parts_of(spec, target):
    """Into how many parts k is to be cut on a `Host`; 1 for none."""
    size = spec.element.bytes
    whole = spec.m * spec.n * size
    if spec.batch or spec.k % PARTS or spec.k < PARTS * (SHORTEST_ROWS if spec.k_major else SHORTEST):
        return 1
    if spec.k_major:
        others = (spec.n + spec.m * spec.computed) * spec.k * size // PARTS
        stay = whole <= target.l2 or spec.b[1] != size  # each part in its core's cache; else B's rows are asked for ahead
        return PARTS if stay and others > whole // ADDING + ENTERING else 1
    small = spec.m * FEWER_ROWS <= spec.k and PARTS * whole <= target.l2 // 4  # the parts stay in the cache
    return PARTS if spec.updated and small and spec.n * size >= 256 else 1


def emit_split(module, spec, count, *, a, b, c, workspace, epilogue, name="matmul"):
    """Write the functions of a product in `count` parts of k; arguments and result as of `gemm.emit_matmul`."""
    k, size = spec.k // count, spec.element.bytes
    whole = spec.m * spec.n * size
    dense = spec.n * size
    inner = replace(spec, k=k, c=dense, batch=((count, k * spec.a[1], k * spec.b[0], whole),))

    def behind(f, table):
        return workspace(f, table) + count * whole

    kernel = emit_whole(module, inner, a=a, b=b, c=workspace, workspace=behind, epilogue=store_tile, name=name)
    kernel.workspace += count * whole
    kernel.note += f", {count} parts of k"
    kernel.phases.append(_adding(module, spec, count, c, workspace, epilogue, name))
    return kernel


def _adding(module, spec, count, c, workspace, epilogue, name):
    """The phase that adds the parts and hands the sums to the epilogue, a row at a time."""
    size, lanes = spec.element.bytes, module.target.lanes(spec.element.bytes)
    pitch = spec.n * size
    together = max(1, ADDED // (count * pitch))
    made = module.fresh(f"{name}_sum")
    with module.function(made, [("table", PTR), ("tile", INDEX), ("scratch", PTR)]) as f:
        table, tile, _ = f.arguments
        parts, target = workspace(f, table), c(f, table)

        def run(row, column, columns):
            """The sums of some columns of a row."""
            values = []
            for j in range(-(-columns // lanes)):
                mask = None if (j + 1) * lanes <= columns else columns - j * lanes
                place = parts + row * pitch + (column + j * lanes) * size
                added = [
                    f.load(place + number * spec.m * pitch, spec.element.vector(lanes), mask) for number in range(count)
                ]
                values.append(sum(added[1:], added[0]))
            place = target + row * spec.c + column * size
            epilogue(Tile(f, table, [values], place, row, column, lanes, columns, (0,), (0,)))

        width = min(4, -(-spec.n // lanes)) * lanes
        full, rest = divmod(spec.n, width)
        with tile_range(f, tile, together, spec.m) as rows:
            row = f.index(rows.index)
            if full:
                with f.loop(0, full) as across:
                    run(row, f.index(across.index) * width, width)
            if rest:
                run(row, f.index(full * width), rest)
    return Phase(made, -(-spec.m // together))


__all__ = ["emit_split", "parts_of"]
