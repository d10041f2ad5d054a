"""x / (sqrt(y) + offset) in float32, which optimizers have for each weight: found in expressions, and written for AVX-512."""

from tapeflow.base.dtypes import float32
from tapeflow.compile.text import I32, type_of

ROOT_OFFSETS = 1e-30, 1e15  # what a root may be added to, for the inverse of the sum to be a normal number
# What `_fixed` puts for the kinds of numbers, as 4 bits at 8 for zeros and at 20 for infinity: 1 the number itself, 6 an infinity of
# its sign, 8 zero; 0 leaves what was computed.
ROOTS, INVERSES = 1 << 8 | 1 << 20, 6 << 8 | 8 << 20


def root_below(expr):
    """(y, offset) where an expression is x / (sqrt(y) + offset) in float32, as optimizers have it; or None."""
    if expr.op != "truediv" or expr.dtype is not float32:
        return None
    total, offset = expr.args[1], 0.0
    if total.op == "add":
        numbers = [x.data[1].value for x in total.args if x.op == "constant"]
        others = [x for x in total.args if x.op != "constant"]
        if len(others) != 1 or not ROOT_OFFSETS[0] <= numbers[0] <= ROOT_OFFSETS[1]:
            return None
        (total,), (offset,) = others, numbers
    return (total.args[0], offset) if total.op == "sqrt" else None


def over_root(f, x, y, offset):
    """x / (sqrt(y) + offset), for 16 lanes of float32 where AVX-512 is.

    From estimates of 14 bits by one Newton step each: a root and a division by instructions take four times as long. The steps are
    in relative terms, so that no part of one is too small or too great a number wherever the result is neither.

    Args:
        offset: 0, or a number from `ROOT_OFFSETS`.
    """
    estimate = _estimate(f, "rsqrt14", y)
    root = y * estimate
    root = f.fma(f.fma(-root, estimate * 0.5, 0.5), root, root)
    root = _fixed(f, root, y, ROOTS)
    total = root + offset if offset else root  # -0 + 0 would be 0
    estimate = _estimate(f, "rcp14", total)
    inverse = f.fma(f.fma(-total, estimate, 1.0), estimate, estimate)
    return x * _fixed(f, inverse, total, INVERSES)


def _estimate(f, instruction, x):
    name, mask = f"llvm.x86.avx512.{instruction}.ps.512", type_of("i16")
    f.module.declare(name, x.type, x.type, x.type, mask)
    return f.call(name, x.type, x, f.constant(x.type, 0), f.constant(mask, -1))


def _fixed(f, computed, x, kinds):
    """What was computed of x; where x is a special number, what the kinds say, in one instruction."""
    name, mask, table = "llvm.x86.avx512.mask.fixupimm.ps.512", type_of("i16"), x.type.like(I32)
    f.module.declare(name, x.type, x.type, x.type, table, I32, mask, I32)
    rest = f.constant(I32, 0), f.constant(mask, -1), f.constant(I32, 4)
    return f.call(name, x.type, computed, x, f.constant(table, kinds), *rest)
