"""Cumulative sums and products along an axis, in the order of the NumPy kernels."""

import math

from tapeflow.compile.arrays import ArrayOp

TILE = 8192  # elements of a tile, about


def _scan(combine, identity):
    """What writes a scan: rows along the axis for vectors of what lies behind it, or element by element along the last axis."""

    def emit(call):
        x, y = call.inputs[0], call.outputs[0]
        axis = call.attrs["axis"] % len(x.dims)
        before, n, after = math.prod(x.dims[:axis]), x.dims[axis], math.prod(x.dims[axis + 1 :])
        widest = max(1, call.module.target.vector_bytes // x.machine.bytes)
        lanes = widest if after > 1 else 1
        columns = -(-after // lanes)
        lines = before * columns
        per_tile = max(1, TILE // (n * lanes))
        tiles = -(-lines // per_tile)
        with call.phase(tiles) as f:
            source, target = call.pointer(f, x), call.pointer(f, y)
            first = f.arguments[1] * per_tile
            with f.loop(first, f.minimum(lines, first + per_tile)) as line:
                row, column = f.udiv(line.index, columns), f.urem(line.index, columns)
                start = (row * (n * after) + column * lanes) * x.size
                left = after % lanes
                if not left:
                    _line(call, f, source + start, target + start, n, after, lanes, None, combine, identity)
                elif after < lanes:
                    _line(call, f, source + start, target + start, n, after, lanes, left, combine, identity)
                else:
                    last = column.equals(columns - 1)
                    f.choose(
                        last,
                        lambda: _line(call, f, source + start, target + start, n, after, lanes, left, combine, identity),
                        lambda: _line(call, f, source + start, target + start, n, after, lanes, None, combine, identity),
                    )

    return emit


def _line(call, f, source, target, n, after, lanes, active, combine, identity):
    """One scan, of `lanes` neighbours at once."""
    x, y = call.inputs[0], call.outputs[0]
    step = after * x.size
    exclusive, reverse = call.attrs.get("exclusive", False), call.attrs.get("reverse", False)
    zero = f.constant(x.machine.vector(lanes), identity)

    def place(pointer, i):
        return pointer + (i * -step + (n - 1) * step if reverse else i * step)

    if exclusive:
        y.store(f, zero, place(target, f.index(0)), active)
    first = x.load(f, place(source, f.index(0)), lanes, active)
    if not exclusive:
        y.store(f, first, place(target, f.index(0)), active)
    with f.loop(1, n, carry=[first]) as loop:
        total = loop.values[0]
        if exclusive:
            y.store(f, total, place(target, loop.index), active)
            loop.next = [combine(f, total, x.load(f, place(source, loop.index), lanes, active))]
        else:
            total = combine(f, total, x.load(f, place(source, loop.index), lanes, active))
            y.store(f, total, place(target, loop.index), active)
            loop.next = [total]


SCANS = {
    "cumsum": ArrayOp(lambda node: True, _scan(lambda f, a, b: a + b, 0)),
    "cumprod": ArrayOp(lambda node: True, _scan(lambda f, a, b: a * b, 1)),
}

__all__ = ["SCANS"]
