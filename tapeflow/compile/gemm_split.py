"""Products whose C is small beside B, as a training step's first layer: k is cut into parts, each thread reads its own rows of B.

Cut by columns or rows of C instead, every thread would read lines of B that another core has just written: the update of a
layer's weights is cut by their rows. On a two-core machine the product of 32x784 and 784x128 after such an update took 28 us
so, and 17 us by parts of k. The parts are sums in the workspace, which a second phase adds in their order.
"""

from dataclasses import replace

from tapeflow.compile.gemm import emit_whole, tile_range
from tapeflow.compile.micro import Phase, Tile, store_tile
from tapeflow.compile.text import INDEX, PTR

PARTS = 2  # more of them cost more to add than they save
FEWER_ROWS = 3  # times fewer rows than k: so much smaller than B is what all parts write
SHORTEST = 96  # steps of k of one part
ADDED = 32 << 10  # bytes of parts that one tile of the second phase adds


def parts_of(spec, target):
    """Into how many parts k is to be cut on a `Host`; 1 for none."""
    if not spec.updated or spec.batch or spec.m * FEWER_ROWS > spec.k or spec.n * spec.element.bytes < 256:
        return 1
    most = min(spec.k // SHORTEST, target.l2 // 4 // (spec.m * spec.n * spec.element.bytes))  # the parts stay in the cache
    return PARTS if most >= PARTS and spec.k % PARTS == 0 else 1


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
