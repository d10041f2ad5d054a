"""The C library's `logf` and `sincosf` on vectors of float32, with its bits: `ops/random_libm.py`, which says how, in LLVM text."""

import math

from tapeflow.compile.text import F32, F64, I32, I64, PTR, literal
from tapeflow.ops import random_libm as libm


def logf(f, x):
    """The natural logarithm of positive, normal, finite numbers."""
    bits = f.bits(x, I32)
    above = bits - int(libm.LOG_OFFSET)
    k = above >> 23
    row = f.lshr(above, 19) & 15
    z = f.bits(bits - (above & -(1 << 23)), F32)
    r = f.convert(z, F64) * _entries(f, "inverse_centre", libm.INVERSE_CENTRE, row) - 1.0
    y0 = f.convert(k, F64) * math.log(2.0) + _entries(f, "log_centre", libm.LOG_CENTRE, row) + r
    r2 = r * r
    y = libm.LOG_POLY[0] * r2 + (r * libm.LOG_POLY[1] + libm.LOG_POLY[2])
    return f.convert(y * r2 + y0, F32)


def sincosf(f, x):
    """The sine and cosine of numbers in [0, 2 pi]."""
    x = f.convert(x, F64)
    quadrant = f.convert(x * libm.QUADRANTS, I32) + 0x800000 >> 24
    odd = quadrant & 1
    x = x - f.convert(quadrant - odd, F64) * libm.HALF_PI
    x = x - f.convert(odd, F64) * libm.HALF_PI
    quadrant = quadrant & 3
    x2 = x * x
    x = f.where(((quadrant ^ f.lshr(quadrant, 1)) & 1).differs(0), -x, x)
    x3 = x2 * x
    x4 = x2 * x2
    sin = x3 * libm.S1 + x
    x3 = x3 * x2
    sin = sin + x3 * (x2 * libm.S3 + libm.S2)
    cos = x2 * libm.C1 + 1.0 + x4 * libm.C2
    x4 = x4 * x2
    cos = cos + x4 * (x2 * libm.C4 + libm.C3)
    cos = f.where(quadrant > 1, -cos, cos)
    swapped = odd.differs(0)
    return [f.convert(f.where(swapped, a, b), F32) for a, b in ((cos, sin), (sin, cos))]


def _entries(f, name, table, row):
    """The elements of a table of float64 by their numbers."""

    def make():
        made = f.module.fresh(name)
        items = ", ".join(f"double {literal(F64, number)}" for number in table.tolist())
        f.module.add(f"@{made} = internal constant [{len(table)} x double] [{items}], align 64")
        return made

    made = f.module.once(("table", name), make)
    lanes = row.type.lanes
    type = F64.vector(lanes)
    places = f.emit(PTR.vector(lanes), f"getelementptr double, ptr @{made}, {f.convert(row, I64)!r}")
    if lanes == 1:
        return f.load(places, F64)
    mask = f.constant(type.mask, 1)
    intrinsic = f"llvm.masked.gather.{type.suffix}.v{lanes}p0"
    f.module.declare(intrinsic, type, PTR.vector(lanes), I32, type.mask, type)
    return f.emit(type, f"call {type} @{intrinsic}({places!r}, i32 8, {mask!r}, {type} zeroinitializer)")


__all__ = ["logf", "sincosf"]
