"""x / (sqrt(y) + offset) in float32, which optimizers have for each weight: found in expressions, and written for AVX-512."""

from tapeflow.base.dtypes import float32
from tapeflow.compile.text import I32, type_of

ROOT_OFFSETS = 1e-30, 1e15  # what a root may be added to, for the inverse of the sum to be a normal number
# What `_fixed` puts for the kinds of numbers, as 4 bits at 8 for zeros and at 20 for infinity: 1 the number itself, 6 an infinity of
# its sign, 8 zero; 0 leaves what was computed.
ROOTS, INVERSES = 1 << 8 | 1 << 20, 6 << 8 | 8 << 20
NOTHING = 8 << 8 | 8 << 16 | 8 << 20


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
    """x / (sqrt(y) + offset), for 16 lanes of float32 where AVX-512 is, as three operations would round it.

    Root and quotient are estimates of 14 bits, improved by Newton's steps: by instructions they take three times as long. What a
    product on the way loses is put back by fma, so that only the last operation of each rounds. All steps are in relative terms, so
    that no part of one is too small or too great a number wherever the result is neither.

    Args:
        offset: 0, or a number from `ROOT_OFFSETS`.
    """
    root = _root(f, y)
    return _quotient(f, x, root + offset if offset else root)  # -0 + 0 would be 0


def _root(f, y):
    estimate = _estimate(f, "rsqrt14", y)
    root, half = y * estimate, estimate * 0.5
    lost = f.fma(y, estimate, -root)
    step = f.fma(lost, half, f.fma(-root, half, 0.5))
    return _fixed(f, f.fma(root, step, root), y, ROOTS)


def _quotient(f, x, y):
    estimate = _estimate(f, "rcp14", y)
    inverse = f.fma(f.fma(-y, estimate, 1.0), estimate, estimate)
    inverse = _fixed(f, inverse, y, INVERSES)
    found = x * inverse
    lost = f.fma(x, inverse, -found)
    rest = f.fma(found, f.fma(-y, inverse, 1.0), lost)
    return found + _fixed(f, rest, found, NOTHING)


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
