"""Elementary functions as polynomials in the text, for vectors of any width and for scalars, float32 and float64.

Each is written as `name(f, *values)`, which emits it; `functions.FUNCTIONS` is the table by primitive name. Results are
within 2 ulp of the exact value rounded, over the whole range, and nan, infinities, denormals and signed zeros are as
NumPy has them. Where a polynomial on an interval of reduced arguments carries the function, the reduction is written so
that its own error is far below an ulp: that, and not the polynomial, is where accuracy is lost.
"""

import struct

from tapeflow.compile import piecewise
from tapeflow.compile import polynomials as table
from tapeflow.compile.polynomials import FORMATS, LOG2_E
from tapeflow.compile.text import F32, F64, I32, type_of

INF = float("inf")
NAN = float("nan")


def horner(f, x, coefficients):
    """The polynomial of `x`; coefficients ascend."""
    value = coefficients[-1]
    for c in coefficients[-2::-1]:
        value = f.fma(x, value, c)
    return value


def format_of(x):
    """The `Format` of a value's element type."""
    return FORMATS[x.type.scalar]


def by_type(rows, x):
    """The row of a value's element type."""
    return rows[x.type.scalar]


def two_sum(f, a, b):
    """a + b as a sum and its rounding error, exactly."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def fast_two_sum(a, b):
    """The same where |a| is the greater."""
    total = a + b
    return total, b - (total - a)


def two_product(f, a, b):
    """a b as a product and its rounding error, exactly (below 2**996 where the host has no fused multiply-add)."""
    product = a * b
    if f.module.target.fma:
        return product, f.fma(a, b, -product)
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _halves(a):
    """A float64 as the sum of two of at most 27 bits, whose products are exact."""
    scaled = a * 134217729.0
    high = scaled - (scaled - a)
    return high, a - high


# Exponentials


def power_of_two(f, n, k):
    """2**n of integers, as long as it is a normal number."""
    return f.bits((n + k.bias) << k.mantissa, k.type)


def _reduced(f, x):
    """n, and r in two parts, with x = n ln(2) + r and |r| <= ln(2) / 2; n is a `_Whole`."""
    k = format_of(x)
    n = _Whole(f, x, k)
    high = f.fma(n.value, -k.ln2_high, x)  # exact
    low = n.value * k.ln2_low
    r = high - low
    return n, r, (high - r) - low


class _Whole:
    """The nearest integer of x / ln(2), as a float and as an integer."""

    def __init__(self, f, x, k):
        self.f, self.k = f, k
        self._rounded = f.fma(x, LOG2_E, k.magic)
        self.value = self._rounded - k.magic

    @property
    def integer(self):
        """It as an integer."""
        return self.f.bits(self._rounded, self.k.integer) - self.k.magic_bits


def scaled(f, p, n, less=0):
    """p 2**(n - less) of a `_Whole` n, correctly rounded where the result is denormal."""
    if f.module.target.vector_bytes == 64 and p.type.lanes * p.type.bits == 512:
        return _scaled_by_instruction(f, p, n.value - float(less) if less else n.value)
    whole = n.integer - less if less else n.integer
    half = whole >> 1  # in two steps, for the power alone may be out of range where the result is not
    return (p * power_of_two(f, half, n.k)) * power_of_two(f, whole - half, n.k)


def _scaled_by_instruction(f, p, n):
    """The same in one instruction of AVX-512."""
    type, lanes = p.type, p.type.lanes
    name = f"llvm.x86.avx512.mask.scalef.{'ps' if type.bits == 32 else 'pd'}.512"
    mask = type_of(f"i{lanes}")
    f.module.declare(name, type, type, type, type, mask, I32)
    present_rounding = f.constant(I32, 4)
    return f.call(name, type, p, n, f.constant(type, 0), f.constant(mask, -1), present_rounding)


def exp(f, x):
    """e**x"""
    return at_full_width(f, _exp_by_table, x) if is_wide(f, x) else _exp_by_polynomial(f, x)


def _exp_by_polynomial(f, x):
    """The same to 0.6 ulp."""
    k = format_of(x)
    x = f.maximum(k.exp_low, f.minimum(k.exp_high, x))
    n = _Whole(f, x, k)
    r = f.fma(n.value, -k.ln2_low, f.fma(n.value, -k.ln2_high, x))
    # Summed up from the constant on it would be an operation less, but each would wait for the one before.
    return scaled(f, f.fma(r * r, horner(f, r, by_type(table.EXP, x)), r) + 1.0, n)


def _exp_by_table(f, x):
    """The same to 1.0 ulp, with the nearest multiple of 1 / 32 in the place of the whole number: what is left is short."""
    k = format_of(x)
    magic = k.magic / 32
    rounded = f.fma(x, LOG2_E, magic)
    n = rounded - magic
    r = _short(f, f.fma(n, -k.ln2_low, f.fma(n, -k.ln2_high, x)))
    power = _looked_up(f, f.bits(rounded, I32), table.POWERS)
    grown = f.fma(r * r, horner(f, r, table.EXP_NEAR), r)
    return _scaled_by_instruction(f, f.fma(power, grown, power), n)  # of n it takes the whole part


def _short(f, r):
    """r, or 1/2 where it is longer or nan: where n alone decides, the rest must be a number."""
    name = "llvm.x86.avx512.mask.range.ps.512"
    mask = type_of(f"i{r.type.lanes}")
    f.module.declare(name, r.type, r.type, r.type, I32, r.type, mask, I32)
    nearer, present_rounding = f.constant(I32, 0b0110), f.constant(I32, 4)
    return f.call(
        name, r.type, r, f.constant(r.type, 0.5), nearer, f.constant(r.type, 0), f.constant(mask, -1), present_rounding
    )


def exp_parts(f, x, low):
    """n, r, p with 2**n (1 + r + p) = e**(x + low) of a small second part; p is the smaller of r and p."""
    k = format_of(x)
    n, r, rest = _reduced(f, f.maximum(k.exp_low, f.minimum(k.exp_high, x)))
    r, rest = fast_two_sum(r, rest + low)  # low may be many ulps of r, so it must not stay out of the polynomial
    return n, r, f.fma(r * r, horner(f, r, by_type(table.EXP, x)), rest)


def _expm1(f, x):
    """e**x - 1, without the special cases: |x| > small, within the range of exp."""
    k = format_of(x)
    n, r, rest = _reduced(f, x)
    e = r + f.fma(r * r, horner(f, r, by_type(table.EXP, x)), rest)
    power = power_of_two(f, n.integer - 1, k)  # of n - 1, for 2**n may be out of range
    return f.fma(power, e, power - 0.5) * 2.0


def expm1(f, x):
    """e**x - 1, accurate near 0."""
    k = format_of(x)
    value = _expm1(f, f.maximum(k.expm1_low, f.minimum(k.exp_high, x)))
    return f.where(f.abs(x) < k.small, x, value)


def sigmoid(f, x):
    """1 / (1 + e**-x), accurate in both tails."""
    e = _exp_by_polynomial(f, -f.abs(x))
    total, lost = fast_two_sum(f.constant(x.type, 1.0), e)
    negative = x < 0.0
    q = f.where(negative, e, 1.0) / total
    # q is e / total or 1 / total, so 1 / total is at hand to put back what the sum lost (2.3 ulp without)
    return f.fma(-(q * lost), f.where(negative, 1.0 - q, q), q)


def tanh(f, x):
    """(e**2x - 1) / (e**2x + 1)"""
    if is_wide(f, x):
        return at_full_width(f, by_table, x, piecewise.TANH)
    k = format_of(x)
    t = _expm1(f, f.minimum(-k.expm1_low, f.abs(x) * 2.0))
    total = t + 2.0
    lost = f.where(t < 4.0, t - (total - 2.0), 0.0)  # beyond 4 it is too small a part of the result to matter
    q = t / total
    q = f.fma(-(q * lost) * 0.5, 1.0 - q, q)  # 1 - q = 2 / total, as in sigmoid
    return f.where(f.abs(x) < k.small, x, f.copysign(q, x))


def sinh(f, x):
    """(e**x - e**-x) / 2"""
    k = format_of(x)
    a = f.abs(x)
    t = _expm1(f, f.minimum(1.0, a))
    half = _half_exp(f, a)
    value = f.where(a < 0.6, t - t * t / (t + t + 2.0), half - 0.25 / half)
    return f.where(a < k.small, x, f.copysign(value, x))


def cosh(f, x):
    """(e**x + e**-x) / 2"""
    half = _half_exp(f, f.abs(x))
    return half + 0.25 / half


def _half_exp(f, a):
    """e**a / 2 of a >= 0, finite for as long as it can be."""
    k = format_of(a)
    n, r, rest = _reduced(f, f.minimum(k.exp_high + 1.0, a))
    w = f.fma(r * r, horner(f, r, by_type(table.EXP, a)), rest) + r
    return scaled(f, w + 1.0, n, less=1)


# Logarithms


def split(f, x):
    """The exponent e as a float, and the bits of m, with x = m 2**e and sqrt(1/2) <= m < sqrt(2); x is a normal number."""
    k = format_of(x)
    shifted = f.bits(x, k.integer) + (k.one_bits - k.sqrt_half_bits)
    # The integer as a float without a conversion, which AVX2 has not for 64 bits: it becomes a mantissa.
    base = 2.0**k.mantissa
    exponent = f.bits(f.lshr(shifted, k.mantissa) | ((k.bias + k.mantissa) << k.mantissa), k.type) - (base + k.bias)
    return exponent, (shifted & ((1 << k.mantissa) - 1)) + k.sqrt_half_bits


def normal(f, x):
    """x, scaled up where it is denormal, and what that adds to its exponent."""
    k = format_of(x)
    small = x < k.tiny
    return f.where(small, x * 2.0**k.mantissa, x), f.where(small, f.constant(x.type, -float(k.mantissa)), 0.0)


def _log_specials(f, x, value):
    """log's values where there is no logarithm: of 0, infinity, nan and negative numbers."""
    value = f.where(x.equals(INF), INF, value)
    value = f.where(x.equals(0.0), -INF, value)
    return f.where(f.compare("ult", x, 0.0), NAN, value)


def _log_sum(f, fraction, exponent, correction=None):
    """log(1 + fraction) + exponent ln(2), the small terms first."""
    k = format_of(fraction)
    square = fraction * fraction
    y = horner(f, fraction, by_type(table.LOG, fraction)) * fraction * square
    y = f.fma(exponent, k.ln2_low, y)
    if correction is not None:
        y = y + correction
    y = f.fma(square, -0.5, y) + fraction
    return f.fma(exponent, k.ln2_high, y)


def log(f, x):
    """The natural logarithm."""
    k = format_of(x)
    scaled, extra = normal(f, x)
    exponent, bits = split(f, scaled)
    return _log_specials(f, x, _log_sum(f, f.bits(bits, k.type) - 1.0, exponent + extra))


def log1p(f, x, low=None):
    """log(1 + x), accurate near 0; of x + low where a small second part is given."""
    k = format_of(x)
    u = x + 1.0
    lost = f.where(x < 1.0, x - (u - 1.0), 1.0 - (u - x))  # u + lost = 1 + x
    lost = lost if low is None else lost + low
    exponent, bits = split(f, u)
    fraction = f.bits(bits, k.type) - 1.0
    # lost / u = lost 2**-e / m; three terms of 1 / m do, for lost is half an ulp of u.
    power = f.bits(f.bits(u, k.integer) - bits, k.integer)
    scale = f.bits(f.maximum(0, k.one_bits - power), k.type)
    correction = lost * scale * f.fma(fraction, fraction, 1.0 - fraction)
    near = exponent.equals(0.0)  # then x itself is the fraction
    fraction = f.where(near, x, fraction)
    correction = f.where(near, 0.0 if low is None else low, correction)
    value = _log_sum(f, fraction, exponent, correction)
    value = f.where(f.abs(x) < k.small, x, value)
    return _log_specials(f, f.where(x.equals(INF), x, u), value)


def softplus(f, x):
    """log(1 + e**x)"""
    return f.maximum(0.0, x) + log1p(f, _exp_by_polynomial(f, -f.abs(x)))


def asinh(f, x):
    """The inverse of sinh: log(x + sqrt(x**2 + 1))."""
    a = f.abs(x)
    k = format_of(x)
    huge = a > 2.0 ** (k.mantissa // 2 + 4)  # the square may overflow there, and 1 is nothing beside it
    b = f.where(huge, f.constant(x.type, 1.0), a)
    low = b * b / (f.sqrt(f.fma(b, b, 1.0)) + 1.0)
    total, rest = two_sum(f, b, low)
    value = f.where(huge, log(f, a) + LOG_2, log1p(f, total, rest))
    return f.where(a < k.small, x, f.copysign(value, x))


LOG_2 = table.LN2[0]


def acosh(f, x):
    """The inverse of cosh; nan below 1."""
    k = format_of(x)
    huge = x > 2.0 ** (k.mantissa // 2 + 4)
    t = f.where(huge, f.constant(x.type, 1.0), x) - 1.0
    total, rest = two_sum(f, f.sqrt(f.fma(t, t, t * 2.0)), t)
    value = f.where(huge, log(f, x) + LOG_2, log1p(f, total, rest))
    return f.where(f.compare("ult", x, 1.0), NAN, value)


def atanh(f, x):
    """The inverse of tanh; infinite at 1, nan beyond."""
    k = format_of(x)
    a = f.abs(x)
    value = log1p(f, (a + a) / (1.0 - a)) * 0.5
    value = f.where(a.equals(1.0), INF, value)
    return f.where(a < k.small, x, f.copysign(value, x))


# The error function


def erf(f, x):
    """2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x."""
    if is_wide(f, x):
        return at_full_width(f, by_table, x, piecewise.ERF)
    a = f.abs(x)
    near = f.fma(x, horner(f, x * x, by_type(table.ERF, x)), x)
    if x.type.scalar is F32:
        tail = _erfc_by_logarithm(f, f.minimum(4.0, a))
    else:
        tail = _erfc_far(f, f.maximum(0.5, f.minimum(6.0, a)))
    return f.where(a > 1.0, f.copysign(1.0 - tail, x), near)


def _erfc_by_logarithm(f, a):
    """erfc of a float32 in [1, 4], for 1 - erfc(a): one exponential, no division, and nothing denormal."""
    k = format_of(a)
    x = -horner(f, a, table.ERF_TAIL)
    n, r, _ = _reduced(f, x)
    p = f.fma(r * r, horner(f, r, by_type(table.EXP, x)), r) + 1.0
    return f.bits(f.bits(p, k.integer) + (n.integer << k.mantissa), k.type)


def _erfc_far(f, a):
    """erfc of a float64 >= 1/2: exp(-a**2) P(t) / (1 + 2 a), every factor in two parts."""
    c = table.ERFC_CENTRE
    t = (a - c) / (a + c)
    constant, rest = table.ERFC_CONSTANT
    p, p_low = two_sum(f, t * horner(f, t, table.ERFC), f.constant(a.type, constant))
    p_low = p_low + rest
    d, d_low = two_sum(f, a + a, f.constant(a.type, 1.0))
    inverse = 1.0 / d
    q = p * inverse
    product, lost = two_product(f, q, d)
    q_low = (((p - product) - lost) + f.fma(-q, d_low, p_low)) * inverse
    high, low = two_product(f, a, a)
    n, r, rest = exp_parts(f, -high, -low)
    return scaled(f, f.fma(q, r, f.fma(q, rest, q_low)) + q, n)


def erfc(f, x):
    """1 - erf(x), accurate where it is small."""
    if x.type.scalar is F32:
        return f.convert(erfc(f, f.convert(x, F64)), F32)
    a = f.abs(x)
    far = _erfc_far(f, f.maximum(0.5, f.minimum(28.0, a)))
    far = f.where(x < 0.0, 2.0 - far, far)
    near = f.fma(-x, horner(f, x * x, table.ERF[F64]), 1.0 - x)
    return f.where(a > 0.5, far, near)


# Where an instruction looks up 16 of 32 numbers: half the work of the formulas


def is_wide(f, x):
    """Whether a value is of float32 where AVX-512 is."""
    target = f.module.target
    return x.type.scalar is F32 and target.vector_bytes == 64 and target.arch == "x86_64"


def at_full_width(f, function, x, *rest):
    """`function(f, x, *rest)` of 16 lanes. Fewer are computed as 16, so that all have the same bits."""
    lanes = x.type.lanes
    if lanes == 16:
        return function(f, x, *rest)
    wide = f.splat(x, 16) if lanes == 1 else f.shuffle(x, None, [i % lanes for i in range(16)])
    found = function(f, wide, *rest)
    return f.lane(found, 0) if lanes == 1 else f.shuffle(found, None, range(lanes))


def by_table(f, x, rows):
    """The odd function of a `piecewise.Table`, which ends at 1."""
    a = f.minimum(rows.end, f.abs(x))
    moved = a + rows.offset
    row = f.lshr(f.bits(moved, I32), rows.shift)
    first = int.from_bytes(struct.pack(">f", rows.offset)) >> rows.shift
    turned = -first % 32
    constant, *rest, centre = [
        _looked_up(f, row, numbers[turned:] + numbers[:turned]) for numbers in (*rows.coefficients, rows.centres)
    ]
    y = a - centre
    return f.copysign(f.fma(y, horner(f, y, rest), f.where(moved < rows.first + rows.offset, a, constant)), x)


def _looked_up(f, row, numbers):
    """The number of each lane's row among 32, of which the last 5 bits alone count."""
    name = "llvm.x86.avx512.vpermi2var.ps.512"
    low, high = (f.vector(F32, numbers[i : i + 16]) for i in (0, 16))
    f.module.declare(name, low.type, low.type, row.type, low.type)
    return f.call(name, low.type, low, row, high)


# What one instruction does


def rsqrt(f, x):
    """1 / sqrt(x)"""
    return 1.0 / f.sqrt(x)
