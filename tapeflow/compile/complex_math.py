"""Complex numbers in registers, as pairs of floats, and how each elementwise primitive is computed on them.

An entry of `RULES` is `rule(c, x, y, ...)`, as in `scalars.RULES`, where complex operands are `Pair`s. The formulas are those of
NumPy's kernels: products by fma, Smith's quotients, magnitudes that do not overflow, and the C library's values for infinities,
nan and signed zeros.
"""

import functools
import math

from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.text import F32, F64, I32
from tapeflow.compile.vector_math import INF, NAN, format_of, log1p, two_product, two_sum

LN2 = math.log(2)


class Pair:
    """A complex number, or a vector of them: its real and its imaginary parts."""

    __slots__ = ("im", "re")

    def __init__(self, re, im):
        self.re = re
        self.im = im

    @property
    def type(self):
        """The type of a part."""
        return self.re.type

    def map(self, function):
        """The pair of what a function makes of each part."""
        return Pair(function(self.re), function(self.im))


def flat(values):
    """Registers, with both parts in the place of a pair."""
    return [part for x in values for part in ((x.re, x.im) if x.__class__ is Pair else (x,))]


def paired(parts, values):
    """Registers as pairs where there are pairs in `values`: the inverse of `flat`."""
    rest = iter(parts)
    return [Pair(next(rest), next(rest)) if x.__class__ is Pair else next(rest) for x in values]


def _parts(word):
    """A rule that is the same for both parts."""
    return lambda c, *xs: Pair(*[functools.reduce(word, part) for part in ([x.re for x in xs], [x.im for x in xs])])


def where(f, condition, x, y):
    """Choose by lane; for pairs too."""
    if x.__class__ is Pair:
        return Pair(f.where(condition, x.re, y.re), f.where(condition, x.im, y.im))
    return f.where(condition, x, y)


def _finite(f, x):
    return f.compare("olt", f.abs(x), INF)


def _infinite(f, x):
    return f.compare("oeq", f.abs(x), INF)


# Arithmetic


def mul(f, x, y):
    """x y, with one rounding less in each part than the formula has, as NumPy's vectors have it."""
    return Pair(f.fma(x.re, y.re, -(x.im * y.im)), f.fma(x.re, y.im, x.im * y.re))


def div(f, x, y):
    """x / y, by R. Smith, "Algorithm 116: Complex division", 1962: no part overflows on the way."""
    flat = f.compare("oge", f.abs(y.re), f.abs(y.im))
    zero = flat & y.re.equals(0)
    big, small = f.where(flat, y.re, y.im), f.where(flat, y.im, y.re)
    ratio = small / big
    # Where 1 / y is denormal, and so 0, it is taken of less than y.
    less = f.where(f.abs(big) > 2.0 ** (format_of(y).bias - 8), 2.0**-16, f.constant(x.type, 1.0))
    scale = f.where(zero, INF, 1.0 / ((big + small * ratio) * less))
    a, b = f.where(flat, x.re, x.im), f.where(flat, x.im, x.re)
    turned = a * ratio
    re, im = a + b * ratio, f.where(flat, b - turned, turned - b)
    return Pair(f.where(zero, x.re, re) * scale * less, f.where(zero, x.im, im) * scale * less)


def _one_by(f, x):
    one = f.constant(x.type, 1.0)
    return div(f, Pair(one, f.constant(x.type, 0.0)), x)


def _is_zero(x):
    return x.re.equals(0) & x.im.equals(0)


def _unless_zero(guard, rule):
    """`rule`, but 0 where its operand number `guard` is 0."""

    def guarded(c, x, y):
        zero = c.f.constant(x.type, 0.0)
        return where(c.f, _is_zero((x, y)[guard]), Pair(zero, zero), rule(c.f, x, y))

    return guarded


# Magnitudes


def _scales(f, big):
    """Powers of 2 with the product 1, the first of which takes a magnitude to about 1; neither is denormal or infinite."""
    k = format_of(big)
    ones = (1 << (k.type.bits - 1 - k.mantissa)) - 1  # the exponent of infinity
    up = f.bits(big, k.integer) & (ones << k.mantissa)
    up = f.minimum(f.maximum(up, 1 << k.mantissa), (ones - 2) << k.mantissa)
    return f.bits(((ones - 1) << k.mantissa) - up, k.type), f.bits(up, k.type)


def hypot(f, x, y):
    """The magnitude of x + i y; infinite where a part is, whatever the other."""
    big = f.maximum(f.abs(x), f.abs(y))
    down, up = _scales(f, big)
    x, y = x * down, y * down
    found = f.sqrt(f.fma(x, x, y * y)) * up
    return f.where(_infinite(f, x) | _infinite(f, y), INF, found)


def _in_range(f, z):
    """`z` by a power of 4 that keeps its magnitude in range; then the logarithm of the reciprocal of that power, and its root."""
    k = format_of(z)
    big = f.maximum(f.abs(z.re), f.abs(z.im))
    shift = (k.mantissa + 1) // 2 * 2
    large, small = big > 2.0 ** (k.bias - 2), big < k.tiny * 2.0**shift
    chosen = lambda up, down, none: f.where(large, down, f.where(small, up, f.constant(z.type, none)))  # noqa: E731
    scale = chosen(2.0**shift, 0.25, 1.0)
    return z.map(lambda x: x * scale), chosen(-shift * LN2, 2 * LN2, 0.0), chosen(2.0 ** -(shift // 2), 2.0, 1.0)


def _sign(f, z):
    """z / |z|; where that is infinite the direction, of 0 itself."""
    size = hypot(f, z.re, z.im)
    sides = z.map(lambda x: f.copysign(f.constant(z.type, 1.0), x))
    endless = _infinite(f, z.re)
    zero = f.where(endless & _infinite(f, z.im), NAN, f.constant(z.type, 0.0))
    far = Pair(f.where(endless, sides.re + zero, 0.0), f.where(endless, zero, sides.im))
    found = z.map(lambda x: f.where(size.equals(0), 0.0, x / size))
    return where(f, size.equals(INF), far, found)


# Functions


def exp(f, z):
    """e**z: where e**x is out of range, a small part of it may not be."""
    most = 88.0 if z.type.scalar is F32 else 709.0
    over = z.re > most
    e = FUNCTIONS["exp"](f, f.where(over, z.re - most, z.re))
    times = f.where(over, math.exp(most), f.constant(z.type, 1.0))
    sin, cos = _direction(f, z)
    sin = f.where(z.re.equals(-INF) & ~_finite(f, z.im), 0.0, sin)
    return Pair(e * cos * times, f.where(z.im.equals(0), z.im, e * sin * times))


def _direction(f, z):
    """sin y and cos y; where no angle is known, an infinite x has an infinite function: 1 in the place of cos y."""
    cos = f.where(_infinite(f, z.re) & ~_finite(f, z.im), 1.0, FUNCTIONS["cos"](f, z.im))
    return FUNCTIONS["sin"](f, z.im), cos


def _expm1(f, z):
    half = FUNCTIONS["sin"](f, z.im * 0.5)
    re = FUNCTIONS["expm1"](f, z.re) * FUNCTIONS["cos"](f, z.im) - half * half * 2.0
    return Pair(re, FUNCTIONS["exp"](f, z.re) * FUNCTIONS["sin"](f, z.im))


def log(f, z):
    """log |z|, and the angle."""
    big = f.maximum(f.abs(z.re), f.abs(z.im))
    near = (big > 0.25) & (big < 4.0)
    size = f.where(near, _half_log1p(f, f.constant(z.type, -1.0), z), _log_size(f, z))
    return Pair(size, FUNCTIONS["atan2"](f, z.im, z.re))


def _log1p(f, z):
    near = f.maximum(f.abs(z.re), f.abs(z.im)) < 0.5
    far = log(f, Pair(z.re + 1.0, z.im))
    return Pair(f.where(near, _half_log1p(f, z.re * 2.0, z), far.re), far.im)


def _half_log1p(f, x, z):
    """log(1 + x + |z|**2) / 2; the terms may all but cancel, so they are summed up without rounding."""
    (p, p_low), (q, q_low) = [two_product(f, part, part) for part in (z.re, z.im)]
    total, lost = two_sum(f, x, p)
    total, more = two_sum(f, total, q)
    total, lost = two_sum(f, total, lost + more + (p_low + q_low))
    return log1p(f, total, lost) * 0.5


def _log_size(f, z):
    scaled, power, _ = _in_range(f, z)
    return FUNCTIONS["log"](f, hypot(f, scaled.re, scaled.im)) + power


def sqrt(f, z):
    """The root with a real part that is not negative, on the side of the imaginary part's sign."""
    scaled, _, root = _in_range(f, z)
    x, y = scaled.re, f.abs(scaled.im)
    great = f.sqrt((hypot(f, x, y) + f.abs(x)) * 0.5)
    less = f.where(great.equals(0), y, y * 0.5 / great)
    left = x < 0.0
    re, im = f.where(left, less, great) * root, f.where(left, great, less) * root
    endless = _infinite(f, z.im)
    return Pair(f.where(endless, INF, re), f.copysign(f.where(endless, INF, im), z.im))


def _hyperbolic(f, z):
    """sinh and cosh of the real part, sin and cos of the imaginary one, and a factor for sinh and cosh where they are too great."""
    most = 88.0 if z.type.scalar is F32 else 709.0
    size = f.abs(z.re)
    over = size > most
    e = FUNCTIONS["exp"](f, size - most)
    sinh = f.where(over, f.copysign(e, z.re), FUNCTIONS["sinh"](f, z.re))
    cosh = f.where(over, e, FUNCTIONS["cosh"](f, z.re))
    times = f.where(over, math.exp(most) / 2, f.constant(z.type, 1.0))
    return sinh, cosh, *_direction(f, z), times


def sinh(f, z):
    """sinh x cos y + i cosh x sin y"""
    sinh, cosh, sin, cos, times = _hyperbolic(f, z)
    re = f.where(z.re.equals(0) & ~_finite(f, z.im), z.re, sinh * cos * times)
    return Pair(re, f.where(z.im.equals(0), z.im, cosh * sin * times))


def cosh(f, z):
    """cosh x cos y + i sinh x sin y"""
    sinh, cosh, sin, cos, times = _hyperbolic(f, z)
    zero, one = f.constant(z.type, 0.0), f.constant(z.type, 1.0)
    nothing = z.im.equals(0) | (z.re.equals(0) & ~_finite(f, z.im))
    im = f.copysign(zero, z.im) * f.copysign(one, z.re)
    return Pair(cosh * cos * times, f.where(nothing, im, sinh * sin * times))


def tanh(f, z):
    """(sinh x cosh x + i sin y cos y) / (sinh**2 x + cos**2 y); beyond the limit 1, and 0 in the imaginary part."""
    limit = 44.0 if z.type.scalar is F32 else 355.0
    far = (f.abs(z.re) > limit) & (_finite(f, z.im) | _infinite(f, z.re))
    x = f.maximum(-limit, f.minimum(limit, z.re))
    sinh, cosh = FUNCTIONS["sinh"](f, x), FUNCTIONS["cosh"](f, x)
    sin, cos = FUNCTIONS["sin"](f, z.im), FUNCTIONS["cos"](f, z.im)
    below = f.fma(sinh, sinh, cos * cos)
    turn = sin * cos
    re, im = sinh * cosh / below, turn / below
    one, zero = f.constant(z.type, 1.0), f.constant(z.type, 0.0)
    re, im = f.where(far, f.copysign(one, z.re), re), f.where(far, f.copysign(zero, turn), im)
    return Pair(f.where(z.re.equals(0), z.re, re), f.where(z.im.equals(0), z.im, im))


def _turned(function):
    """f(z) = -i g(i z): sin of sinh, tan of tanh."""

    def emit(f, z):
        found = function(f, Pair(-z.im, z.re))
        return Pair(found.im, -found.re)

    return emit


def _sigmoid(f, z):
    e = exp(f, z.map(lambda x: -x))
    return _one_by(f, Pair(e.re + 1.0, e.im))


def pow(f, x, y):
    """x**y: up to 100 by products where y is whole, else e**(y log x), in float64; of 0 it is 0, or nan where y is not positive."""
    one, zero = f.constant(x.type, 1.0), f.constant(x.type, 0.0)
    size = f.abs(y.re)
    whole = y.im.equals(0) & f.intrinsic("trunc", size).equals(size) & (size < 100.0)
    wide = [z.map(lambda part: f.convert(part, F64)) for z in (x, y)]
    found = exp(f, mul(f, wide[1], log(f, wide[0]))).map(lambda part: f.convert(part, x.type))
    number = f.convert(f.where(whole, size, 0.0), I32)
    with f.forever([one, zero, x.re, x.im, number]) as loop:
        *parts, left = loop.values
        power, square = Pair(*parts[:2]), Pair(*parts[2:])
        loop.leave_unless(f.any(left.differs(0)))
        power, again = where(f, (left & 1).differs(0), _times(power, square), power), _times(square, square)
        loop.next = [power.re, power.im, again.re, again.im, f.lshr(left, 1)]
    power = Pair(*loop.results[:2])
    found = where(f, whole, where(f, y.re < 0.0, _one_by(f, power), power), found)
    nothing = f.where(y.re > 0.0, zero, NAN)
    found = where(f, _is_zero(x), Pair(nothing, nothing), found)
    return where(f, _is_zero(y), Pair(one, zero), found)


def _times(x, y):
    """A product with all of its roundings."""
    return Pair(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)


def _pow_slope(f, x, y):
    """y x**(y - 1); 0 where y is 0."""
    zero = f.constant(x.type, 0.0)
    return where(f, _is_zero(y), Pair(zero, zero), mul(f, y, pow(f, x, Pair(y.re - 1.0, y.im))))


FUNCTIONS_OF_ONE = {
    "exp": exp,
    "expm1": _expm1,
    "log": log,
    "log1p": _log1p,
    "sqrt": sqrt,
    "rsqrt": lambda f, z: _one_by(f, sqrt(f, z)),
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
    "sin": _turned(sinh),
    "cos": lambda f, z: cosh(f, Pair(-z.im, z.re)),
    "tan": _turned(tanh),
    "sigmoid": _sigmoid,
    "reciprocal": _one_by,
    "sign": _sign,
    "square": lambda f, z: mul(f, z, z),
}
RULES: dict = {name: lambda c, z, function=function: function(c.f, z) for name, function in FUNCTIONS_OF_ONE.items()}
RULES |= {
    "complex": lambda c, x, y: Pair(x, y),
    "real": lambda c, z: z.re,
    "imag": lambda c, z: z.im,
    "conj": lambda c, z: Pair(z.re, -z.im),
    "copy": lambda c, z: z,
    "neg": lambda c, z: z.map(lambda x: -x),
    "add": _parts(lambda x, y: x + y),
    "sub": _parts(lambda x, y: x - y),
    "add_n": _parts(lambda x, y: x + y),
    "mul": lambda c, x, y: mul(c.f, x, y),
    "truediv": lambda c, x, y: div(c.f, x, y),
    "pow": lambda c, x, y: pow(c.f, x, y),
    "pow_slope": lambda c, x, y: _pow_slope(c.f, x, y),
    "mul_no_nan": _unless_zero(1, mul),
    "div_no_nan": _unless_zero(1, div),
    "xdivy": _unless_zero(0, div),
    "xlogy": _unless_zero(0, lambda f, x, y: mul(f, x, log(f, y))),
    "xlog1py": _unless_zero(0, lambda f, x, y: mul(f, x, _log1p(f, y))),
    "abs": lambda c, z: hypot(c.f, z.re, z.im),
    "angle": lambda c, z: FUNCTIONS["atan2"](c.f, z.im, z.re),
    "equal": lambda c, x, y: x.re.equals(y.re) & x.im.equals(y.im),
    "not_equal": lambda c, x, y: x.re.differs(y.re) | x.im.differs(y.im),
    "where": lambda c, condition, x, y: where(c.f, condition, x, y),
}

__all__ = ["RULES", "Pair", "flat", "paired"]
