"""x**y as a polynomial in the text; see `vector_math`.

The logarithm must be known to 2**-64 of its size, for the exponential multiplies its error by up to 709: float64 carries it
in two numbers, float32 in a float64.
"""

from tapeflow.compile import polynomials as table
from tapeflow.compile.text import F32, F64
from tapeflow.compile.vector_math import (
    FORMATS,
    INF,
    NAN,
    exp_parts,
    fast_two_sum,
    horner,
    normal,
    power_of_two,
    scaled,
    split,
    two_product,
    two_sum,
)


def pow(f, x, y):
    """x**y, with C's special values, which are NumPy's."""
    type = x.type
    one = f.constant(type, 1.0)
    a = f.abs(x)
    unusual = a.equals(0.0) | a.equals(INF)
    # An exponent beyond 2**80 gives 0, 1 or infinity as that one does.
    limited = f.copysign(f.minimum(2.0**80, f.abs(y)), y)
    power = (_power_narrow if type.scalar is F32 else _power_wide)(f, f.where(unusual, one, a), limited)
    grows = a.equals(INF) ^ (y < 0.0)
    power = f.where(unusual, f.where(grows, f.constant(type, INF), 0.0), power)

    whole = f.intrinsic("trunc", y).equals(y)
    half = y * 0.5
    odd = whole & f.intrinsic("trunc", half).differs(half)
    power = f.where(odd, f.copysign(power, x), power)
    power = f.where((x < 0.0) & a.differs(INF) & ~whole, NAN, power)
    power = f.where(f.compare("uno", x, y), NAN, power)
    return f.where(x.equals(1.0) | y.equals(0.0), one, power)


def _power_narrow(f, a, y):
    """a**y of float32, by float64 polynomials of 2**-34."""
    a, y = f.convert(a, F64), f.convert(y, F64)
    k = FORMATS[F64]
    exponent, bits = split(f, a)
    fraction = f.bits(bits, F64) - 1.0
    square = fraction * fraction
    y_log = horner(f, fraction, table.LOG_SHORT) * fraction * square
    log = f.fma(exponent, table.LN2[0], f.fma(square, -0.5, y_log) + fraction)
    x = f.maximum(-200.0, f.minimum(200.0, y * log))
    rounded = f.fma(x, table.LOG2_E, k.magic)
    r = f.fma(rounded - k.magic, -table.LN2[0], x)
    p = f.fma(r * r, horner(f, r, table.EXP_SHORT), r) + 1.0
    return f.convert(p * power_of_two(f, f.bits(rounded, k.integer) - k.magic_bits, k), F32)


def _power_wide(f, a, y):
    """a**y of float64."""
    high, low = _log_in_two(f, a)
    product, rest = two_product(f, y, high)
    rest = f.where(f.abs(product) < 1000.0, f.fma(y, low, rest), 0.0)
    n, r, p = exp_parts(f, product, rest)
    return scaled(f, (p + r) + 1.0, n)


def _log_in_two(f, a):
    """log(a) as two float64: 2 atanh(s) of s = (m - 1) / (m + 1), its first two terms in twice the precision."""
    k = FORMATS[F64]
    scaled, extra = normal(f, a)
    exponent, bits = split(f, scaled)
    exponent = exponent + extra
    m = f.bits(bits, F64)
    fraction = m - 1.0
    over, over_low = two_sum(f, m, f.constant(m.type, 1.0))
    s = fraction / over
    product, lost = two_product(f, s, over)
    s_low = (((fraction - product) - lost) - s * over_low) / over

    square, lost = two_product(f, s, s)
    square_low = f.fma(s * 2.0, s_low, lost)
    cube, lost = two_product(f, s, square)
    cube_low = f.fma(s, square_low, f.fma(s_low, square, lost))
    third, lost = two_product(f, cube, f.constant(m.type, table.TWO_THIRDS[0]))
    third_low = f.fma(cube, table.TWO_THIRDS[1], f.fma(cube_low, table.TWO_THIRDS[0], lost))
    tail = cube * square * horner(f, square, table.POW_LOG)

    total, lost = two_sum(f, exponent * k.ln2_high, s * 2.0)  # the product is exact
    total, lost_too = two_sum(f, total, third)
    low = f.fma(exponent, k.ln2_low, f.fma(s_low, 2.0, (third_low + tail) + (lost + lost_too)))
    return fast_two_sum(total, low)
