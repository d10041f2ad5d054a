"""Memory that is copied as it is: assignments to a part of an array (`slice_set`, which changes a variable where it is), bitcasts."""

import math

from tapeflow.compile.affine import strides_of
from tapeflow.compile.array_scatter import begin
from tapeflow.compile.arrays import ArrayOp
from tapeflow.compile.text import INDEX

PART = 1 << 16  # bytes of a tile, about
MOST_TILES = 16


def _slice_set(call):
    """Runs of elements that stand together in both arrays, one after the other."""
    array, value, *indices = call.inputs
    out = call.outputs[0]
    begin(call, out, 0, array)
    axes = list(zip(call.attrs["places"], array.dims, strides_of(array.dims), strict=True))
    run = 1
    while axes:
        (start, step, count), n, stride = axes[-1]
        if start is None or step != 1:
            break
        run *= count
        if count < n:
            axes[-1] = (start, 1, 1), n, stride
            break
        axes.pop()
    count = math.prod(place[2] for place, _, _ in axes)
    tiles = max(1, min(MOST_TILES, count, count * run * out.size // PART))
    turns = -(-count // tiles)
    with call.phase(-(-count // turns)) as f:
        target, source = call.pointer(f, out), call.pointer(f, value)
        fail, good = call.failures(f), None
        rest = iter(indices)
        for axis, ((start, _, _), n, stride) in enumerate(axes):
            if start is None:
                index = next(rest)
                given = f.convert(index.load(f, call.pointer(f, index)), INDEX)
                number = f.where(given < 0, given + n, given)
                bad = f.compare("uge", number, n)
                fail(
                    f, bad, f"slice index {{value}} of dimension {axis} out of bounds. The dimension has {n} elements", given
                )
                good = ~bad if good is None else good & ~bad
                target = target + f.where(bad, 0, number) * (stride * out.size)
            else:
                target = target + start * stride * out.size
        first = f.arguments[1] * turns
        last = f.minimum(count, first + turns) if good is None else f.where(good, f.minimum(count, first + turns), first)
        with f.loop(first, last) as loop:
            place, left = target, f.index(loop.index)
            for (_, step, many), _, stride in reversed(axes):
                if many > 1:
                    place = place + f.urem(left, many) * (step * stride * out.size)
                    left = f.udiv(left, many)
            f.copy(place, source + loop.index * (run * out.size), run * out.size)


def _bitcast(call):
    begin(call, call.outputs[0], 0, call.inputs[0])


COPIES = {
    "slice_set": ArrayOp(lambda node: True, _slice_set, may_fail=True, in_place=True, takes_complex=True),
    "bitcast": ArrayOp(lambda node: True, _bitcast, takes_complex=True),
}

__all__ = ["COPIES"]
