"""Cumulative sums, products and sums of exponentials along an axis, in the order of the NumPy kernels."""

import math

from tapeflow.compile.arrays import ArrayOp
from tapeflow.compile.complex_math import Pair, mul, where
from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.text import F64

TILE = 8192  # elements of a tile, about
FEW, SHORT = 4, 64  # lines side by side, elements of a line


def _scan(combine, identity, wide=None):
    """What writes a scan: rows along the axis for vectors of what lies behind it, or element by element along the last axis.

    Args:
        combine: `combine(f, total, x)`.
        identity: what stands for nothing.
        wide: the type in which it is computed, where that is not the elements'.
    """

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
                    _line(call, f, source + start, target + start, n, after, lanes, None, combine, identity, wide)
                elif after < lanes:
                    _line(call, f, source + start, target + start, n, after, lanes, left, combine, identity, wide)
                else:
                    last = column.equals(columns - 1)
                    f.choose(
                        last,
                        lambda: _line(
                            call, f, source + start, target + start, n, after, lanes, left, combine, identity, wide
                        ),
                        lambda: _line(
                            call, f, source + start, target + start, n, after, lanes, None, combine, identity, wide
                        ),
                    )

    return emit


def _line(call, f, source, target, n, after, lanes, active, combine, identity, wide):
    """One scan, of `lanes` neighbours at once."""
    x, y = call.inputs[0], call.outputs[0]
    machine = wide or x.machine
    step = after * x.size
    exclusive, reverse = call.attrs.get("exclusive", False), call.attrs.get("reverse", False)
    zero = f.constant(machine.vector(lanes), identity)

    def load(i):
        return f.convert(x.load(f, place(source, i), lanes, active), machine)

    def store(value, i):
        y.store(f, f.convert(value, x.machine), place(target, i), active)

    def place(pointer, i):
        return pointer + (i * -step + (n - 1) * step if reverse else i * step)

    first = load(f.index(0))
    store(zero if exclusive else first, f.index(0))
    with f.loop(1, n, carry=[first]) as loop:
        total = loop.values[0]
        if exclusive:
            store(total, loop.index)
            loop.next = [combine(f, total, load(loop.index))]
        else:
            total = combine(f, total, load(loop.index))
            store(total, loop.index)
            loop.next = [total]


def _complex_product(call):
    """The scan of products of complex numbers, number by number."""
    x, y = call.inputs[0], call.outputs[0]
    exclusive, reverse = call.attrs.get("exclusive", False), call.attrs.get("reverse", False)
    axis = call.attrs["axis"] % len(x.dims)
    n, after = x.dims[axis], math.prod(x.dims[axis + 1 :])
    lines = math.prod(x.dims) // n
    per_tile = max(1, TILE // n)
    half = x.size // 2
    with call.phase(-(-lines // per_tile)) as f:
        source, target = call.pointer(f, x), call.pointer(f, y)
        first = f.arguments[1] * per_tile
        one, zero = f.constant(x.machine, 1), f.constant(x.machine, 0)
        with f.loop(first, f.minimum(lines, first + per_tile)) as line:
            start = f.udiv(line.index, after) * (n * after) + f.urem(line.index, after)
            with f.loop(0, n, carry=[one, zero]) as loop:
                place = ((n - 1) - f.index(loop.index) if reverse else f.index(loop.index)) * after
                place = (start + place) * x.size
                number = Pair(f.load(source + place, x.machine), f.load(source + place + half, x.machine))
                before = Pair(*loop.values)
                after_it = where(
                    f, f.index(loop.index).equals(0), number, mul(f, before, number)
                )  # also where it is infinite
                found = before if exclusive else after_it
                f.store(found.re, target + place)
                f.store(found.im, target + place + half)
                loop.next = [after_it.re, after_it.im]


def _product(call):
    (_complex_product if call.inputs[0].dtype.is_complex else _REAL_PRODUCT)(call)


_REAL_PRODUCT = _scan(lambda f, a, b: a * b, 1)


def log_add(f, a, b):
    """log(e**a + e**b); equal ones apart, which may be infinite."""
    rest = FUNCTIONS["log1p"](f, FUNCTIONS["exp"](f, -f.abs(a - b)))
    return f.where(a.equals(b), a + math.log(2), f.maximum(a, b) + rest)


def _is_wide(node):
    """Whether there are vectors of lines, or few elements: one line alone is quicker by the C library, number by number."""
    dims, axis = node.inputs[0].dims, node.attrs["axis"]
    return bool(dims) and (math.prod(dims[axis % len(dims) + 1 :]) >= FEW or dims[axis] <= SHORT)


SCANS = {
    "cumsum": ArrayOp(lambda node: True, _scan(lambda f, a, b: a + b, 0)),
    "cumprod": ArrayOp(lambda node: True, _product, takes_complex=True),
    "cumulative_logsumexp": ArrayOp(_is_wide, _scan(log_add, -math.inf, F64)),
}

__all__ = ["SCANS", "log_add"]
