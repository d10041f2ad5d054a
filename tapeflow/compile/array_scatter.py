"""Rows by index: scatters, segment reductions, the gradient of gather, gather_nd.

Updates are taken one after another, as the NumPy kernels do, so sums have their bits; threads share the columns of a row.
"""

import functools
import math

from tapeflow.base.dtypes import bool_
from tapeflow.compile.arrays import ArrayOp
from tapeflow.compile.evaluate import combine
from tapeflow.compile.scalars import SHORT
from tapeflow.compile.text import INDEX
from tapeflow.ops.movement import listed

CHUNK = 512  # bytes of a row that a thread takes, at least
SMALL = 1 << 14  # elements below which one thread does all
MOST_TILES = 16


class Rows:
    """The columns of rows, for a kernel to walk along: `width` elements, cut into tiles.

    Attributes:
        tiles: how many tiles share a row.
    """

    def __init__(self, call, array, width, count):
        self.array = array
        self.width = width
        self.lanes = max(1, call.module.target.vector_bytes // array.machine.bytes)
        while self.lanes > 1 and self.lanes // 2 >= width:
            self.lanes //= 2
        tiles = 1 if width * count < SMALL else min(MOST_TILES, max(1, width * array.size // CHUNK))
        self.chunk = -(-width // (tiles * self.lanes)) * self.lanes
        self.tiles = -(-width // self.chunk)

    def walk(self, f, tile, body):
        """`body(offset, active)` for each vector of the tile's columns: its offset in bytes, and how many lanes are columns."""
        whole = self.width // self.lanes * self.lanes
        size = self.array.size
        low = 0 if self.tiles == 1 else tile * self.chunk
        high = whole if self.tiles == 1 else f.minimum(whole, tile * self.chunk + self.chunk)
        if whole:
            with f.loop(low, high, self.lanes) as loop:
                body(loop.index * size, None)
        left = self.width - whole
        if left and self.tiles == 1:
            body(f.index(whole * size), left)
        elif left:
            with f.when(tile.equals(self.tiles - 1)):
                body(f.index(whole * size), left)


def begin(call, out, number, source=None):
    """The phase that fills the result with a number, or copies another array to it."""
    size = math.prod(out.dims) * out.size
    tiles = max(1, min(64, size >> 16))
    part = -(-size // tiles // 64) * 64 if tiles > 1 else size
    tiles = -(-size // part)
    with call.phase(tiles) as f:
        target = call.pointer(f, out)
        first = f.arguments[1] * part
        count = f.minimum(size, first + part) - first
        if source is not None:
            other = call.pointer(f, source)
            with f.when(f.compare("ne", target, other)):
                f.copy(target + first, other + first, count)
        elif not number:
            f.clear(target + first, count)
        else:
            with f.loop(0, f.udiv(count, out.size)) as loop:
                out.store(f, f.constant(out.machine, number), target + (first + loop.index * out.size))


def _accumulate(call, data, count, width, row_of, how):
    """The phase that brings rows of updates into rows of the result.

    Args:
        data: the `Array` of `count` rows of `width` elements.
        row_of: `row_of(f)` gives a function from an update's number to its row, and a condition under which it counts.
        how: the name of a reduction, "sub", or "update".
    """
    out = call.outputs[0]
    rows = Rows(call, out, width, count)
    with call.phase(rows.tiles) as f:
        target, source = call.pointer(f, out), call.pointer(f, data)
        find = row_of(f)

        def vector(place, update, offset, active):
            value = data.load(f, update + offset, rows.lanes, active)
            if how != "update":
                value = _combined(f, how, out.load(f, place + offset, rows.lanes, active), value, out.dtype)
            out.store(f, value, place + offset, active)

        with f.loop(0, count) as loop:
            number = f.index(loop.index)
            row, counts = find(number)
            with f.when(counts):
                place, update = target + row * (width * out.size), source + number * (width * out.size)
                rows.walk(f, f.arguments[1], functools.partial(vector, place, update))


def _combined(f, how, old, new, dtype):
    if dtype is bool_:
        return old | new if how in ("sum", "max") else old & new
    return old - new if how == "sub" else old * new if how == "prod" else combine(f, how, old, new, dtype)


# Which row an update goes to


def _coordinates(call, indices, dims):
    """Rows by coordinates, the last axis of the indices."""
    batch_dims, drop = call.attrs.get("batch_dims", 0), call.attrs.get("drop", False)
    depth = indices.dims[-1]
    sizes = dims[batch_dims : batch_dims + depth]
    count = math.prod(indices.dims[:-1])
    batches = math.prod(dims[:batch_dims])
    what = "param shape" if call.node.op.name == "gather_nd" else "shape"
    message = f"indices[{{value}}] does not index into {what} {listed(dims)}"  # the number of the coordinates
    if depth == 1:
        message = f"indices = [{{value}}] does not index into {what} {listed(dims)}: {{value}} is not in [0, {sizes[0]})"

    def row_of(f):
        pointer = call.pointer(f, indices)
        fail = call.failures(f)

        def find(number):
            row = f.udiv(number, count // batches) if batches > 1 else f.index(0)
            wrong = None
            for i, size in enumerate(sizes):
                part = _integer(f, indices, pointer + (number * depth + i) * indices.size)
                bad = f.compare("uge", part, size)
                wrong = bad if wrong is None else wrong | bad
                row = row * size + part
            if not drop:
                fail(f, wrong, message, part if depth == 1 else f.index(number))
            return row, ~wrong

        return find

    return row_of


def _integer(f, array, pointer):
    return f.convert(array.load(f, pointer), INDEX, signed=not array.dtype.is_unsigned)


def _ids(call, ids):
    """Rows by the ids of segments; negative ones are dropped."""
    limit = call.attrs["num"]

    def row_of(f):
        pointer = call.pointer(f, ids)
        fail = call.failures(f)

        def find(number):
            row = _integer(f, ids, pointer + number * ids.size)
            fail(f, row >= limit, f"segment_ids = {{value}} is out of range [0, {limit})", row)
            return row, f.compare("ult", row, limit)

        return find

    return row_of


def _gathered(call, indices, dims):
    """The rows that `gather` took."""
    axis, batch_dims = call.attrs["axis"] % len(dims), call.attrs["batch_dims"]
    batches, between, size = math.prod(dims[:batch_dims]), math.prod(dims[batch_dims:axis]), dims[axis]
    count = math.prod(indices.dims) // batches

    def row_of(f):
        pointer = call.pointer(f, indices)
        fail = call.failures(f)

        def find(number):
            outer, inner = f.udiv(number, count), f.urem(number, count)
            batch = f.udiv(outer, between)
            part = _integer(f, indices, pointer + (batch * count + inner) * indices.size)
            bad = f.compare("uge", part, size)
            fail(f, bad, f"indices = {{value}} is not in [0, {size})", part)
            return outer * size + part, ~bad

        return find

    return row_of, batches * between * count


# Ops


def _tensor_scatter(call):
    tensor, indices, updates = call.inputs
    width = math.prod(tensor.dims[call.attrs.get("batch_dims", 0) + indices.dims[-1] :])
    how = {"add": "sum", "mul": "prod"}.get(call.attrs["how"], call.attrs["how"])
    begin(call, call.outputs[0], 0, tensor)
    count = math.prod(indices.dims[:-1])
    _accumulate(call, updates, count, width, _coordinates(call, indices, tensor.dims), how)


def _scatter_nd(call):
    indices, updates = call.inputs
    dims = call.outputs[0].dims
    width = math.prod(dims[call.attrs.get("batch_dims", 0) + indices.dims[-1] :])
    begin(call, call.outputs[0], 0)
    _accumulate(call, updates, math.prod(indices.dims[:-1]), width, _coordinates(call, indices, dims), "sum")


def _gather_grad(call):
    g, indices = call.inputs
    dims = call.outputs[0].dims
    row_of, count = _gathered(call, indices, dims)
    begin(call, call.outputs[0], 0)
    _accumulate(call, g, count, math.prod(dims[call.attrs["axis"] % len(dims) + 1 :]), row_of, "sum")


def _segments(how):
    def emit(call):
        data, ids = call.inputs
        out = call.outputs[0]
        begin(call, out, _identity(how, out.dtype))
        _accumulate(call, data, math.prod(ids.dims), math.prod(out.dims[1:]), _ids(call, ids), how)

    return emit


def _identity(how, dtype):
    """What a segment without rows gives."""
    if how in ("sum", "prod"):
        return int(how == "prod")
    return dtype.min if how == "max" else dtype.max


def _gather_nd(call):
    params, indices = call.inputs
    out = call.outputs[0]
    width = math.prod(params.dims[call.attrs.get("batch_dims", 0) + indices.dims[-1] :])
    count = math.prod(indices.dims[:-1])
    rows = Rows(call, out, width, 1)
    per_tile = max(1, SMALL // width)
    tiles = -(-count // per_tile)
    with call.phase(tiles) as f:
        source, target = call.pointer(f, params), call.pointer(f, out)
        find = _coordinates(call, indices, params.dims)(f)
        first = f.arguments[1] * per_tile
        with f.loop(first, f.minimum(count, first + per_tile)) as loop:
            row, good = find(loop.index)
            place, taken = target + loop.index * (width * out.size), source + row * (width * out.size)

            def copy(offset, active):
                out.store(f, params.load(f, taken + offset, rows.lanes, active), place + offset, active)

            def clear(offset, active):
                out.store(f, f.constant(out.machine.vector(rows.lanes), 0), place + offset, active)

            f.choose(good, lambda: rows.walk(f, f.index(0), copy), lambda: rows.walk(f, f.index(0), clear))


def _adds(node):
    """Short floats add up in float32, which rows of memory do not hold: they are widened before (`decompose.py`)."""
    dtype = node.outputs[0]._dtype
    return dtype not in SHORT and dtype is not bool_


def _changes(node):
    """Whether updates are brought in one after another; of bools there is no difference, as NumPy says."""
    how = node.attrs["how"]
    return how == "update" or (how != "div" and (how != "sub" or node.outputs[0]._dtype is not bool_))


def _any(node):
    return True


SCATTERS = {
    "tensor_scatter": ArrayOp(_changes, _tensor_scatter, may_fail=True, in_place=True),
    "scatter_nd": ArrayOp(_adds, _scatter_nd, may_fail=True),
    "gather_grad": ArrayOp(_adds, _gather_grad, may_fail=True),
    "gather_nd": ArrayOp(_any, _gather_nd, may_fail=True),
    **{f"unsorted_segment_{how}": ArrayOp(_adds, _segments(how), may_fail=True) for how in ("sum", "prod")},
    **{f"unsorted_segment_{how}": ArrayOp(_any, _segments(how), may_fail=True) for how in ("max", "min")},
}

__all__ = ["SCATTERS", "begin"]
