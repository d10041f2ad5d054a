"""Products of matrices of integers: rows of the second operand, times an element of the first, added up."""

import math

from tapeflow.base.dtypes import INTEGERS
from tapeflow.compile.arrays import ArrayOp

WORK = 1 << 15  # multiplications of a tile, about


def _matmul(call):
    a, b = call.inputs
    out = call.outputs[0]
    *batch, m, n = out.dims
    across, down = [call.attrs.get(flag, False) for flag in ("transpose_a", "transpose_b")]
    k = a.dims[-2 if across else -1]
    a_row, a_step = (1, m) if across else (k, 1)
    b_row, b_step = (1, k) if down else (n, 1)
    lanes = max(1, call.module.target.vector_bytes // a.machine.bytes) if not down else 1
    while lanes > 1 and lanes // 2 >= n:
        lanes //= 2
    rows = math.prod(batch) * m
    per_tile = max(1, WORK // (n * k))
    with call.phase(-(-rows // per_tile)) as f:
        first, second, target = [call.pointer(f, x) for x in (a, b, out)]
        start = f.arguments[1] * per_tile
        with f.loop(start, f.minimum(rows, start + per_tile)) as loop:
            matrix, row = f.udiv(loop.index, m), f.urem(loop.index, m)
            left = first + (_matrix(f, matrix, batch, a.dims[:-2]) * (m * k) + row * a_row) * a.size
            right = second + _matrix(f, matrix, batch, b.dims[:-2]) * (k * n) * b.size
            place = target + loop.index * (n * out.size)

            def columns(j, active):
                zero = f.constant(out.machine.vector(lanes), 0)
                with f.loop(0, k, carry=[zero]) as step:
                    x = f.splat(a.load(f, left + step.index * (a_step * a.size)), lanes)
                    at = right + step.index * (b_row * b.size) + j * (b_step * b.size)
                    step.next = [step.values[0] + x * b.load(f, at, lanes, active)]
                out.store(f, step.results[0], place + j * out.size, active)

            whole = n // lanes * lanes
            if whole:
                with f.loop(0, whole, lanes) as column:
                    columns(column.index, None)
            if whole < n:
                columns(whole, n - whole)


def _matrix(f, number, batch, own):
    """The number of an operand's matrix for that of the result's, whose leading axes it is broadcast to."""
    found, step = f.index(0), 1
    own = (*(1,) * (len(batch) - len(own)), *own)
    for size, mine in reversed(list(zip(batch, own, strict=True))):
        if mine > 1:
            found = found + f.urem(number, size) * step
            step *= mine
        number = f.udiv(number, size)
    return found


def _is_integer(node):
    return node.outputs[0]._dtype in INTEGERS and all(x._dtype is node.outputs[0]._dtype for x in node.inputs)


PRODUCTS = {"matmul": ArrayOp(_is_integer, _matmul)}

__all__ = ["PRODUCTS"]
