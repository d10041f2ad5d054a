"""Trigonometric functions and their inverses as polynomials in the text; see `vector_math`.

Angles below 2**20 are reduced here, by subtracting multiples of pi / 2 in pieces. A vector that holds a greater one goes to
libm's function, lane by lane: correct reduction of 1e300 takes a table of 1200 bits of 2 / pi, for angles that no program
of this library has on a hot path.
"""

import math

import numpy as np

from tapeflow.compile import polynomials as table
from tapeflow.compile.polynomials import FORMATS
from tapeflow.compile.text import F32, F64, PTR
from tapeflow.compile.vector_math import INF, NAN, by_type, fast_two_sum, format_of, horner, two_product, two_sum

LIMIT = 2.0**20


def _reduced(f, x):
    """The quadrant, as an integer, and the rest in two parts: x = quadrant pi / 2 + rest, |rest| <= pi / 4.

    A float32 is reduced in float64, where two pieces of pi do, and has no second part.
    """
    wide = f.convert(x, F64)
    k = FORMATS[F64]
    rounded = f.fma(wide, 2.0 / math.pi, k.magic)
    n = rounded - k.magic
    quadrant = f.bits(rounded, k.integer)
    if x.type.scalar is F32:
        first, second = table.HALF_PI_SHORT
        rest = f.fma(n, -second, f.fma(n, -first, wide))
        return f.convert(quadrant, FORMATS[F32].integer), f.convert(rest, F32), None
    rest, low = wide, f.constant(wide.type, 0.0)
    *pieces, last = table.HALF_PI_PIECES
    for piece in pieces:  # n * piece is exact, so each difference and what it loses are all there is
        rest, lost = two_sum(f, rest, n * -piece)
        low = low + lost
    return quadrant, *two_sum(f, rest, f.fma(n, -last, low))


def _sine(f, x, low):
    """sin of a reduced angle, as a greater and a small part."""
    square = x * x
    p = x * square * horner(f, square, by_type(table.SIN, x))
    if low is not None:
        p = f.fma(low, f.fma(square, -0.5, 1.0), p)
    return x, p


def _cosine(f, x, low):
    """cos of a reduced angle, as a greater and a small part."""
    square = x * x
    half = square * 0.5
    one = 1.0 - half
    p = f.fma(square * square, horner(f, square, by_type(table.COS, x)), (1.0 - one) - half)
    if low is not None:
        p = p - x * low
    return one, p


def _turned(name, quarter):
    """sin turned by so many right angles."""

    def emit(f, x):
        k = format_of(x)
        quadrant, rest, low = _reduced(f, x)
        quadrant = quadrant + quarter
        even = (quadrant & 1).equals(0)
        big, small = (f.where(even, a, b) for a, b in zip(_sine(f, rest, low), _cosine(f, rest, low), strict=True))
        value = big + small
        flip = (quadrant & 2) << (k.type.bits - 2)  # bit 1 becomes the sign
        value = f.bits(f.bits(value, k.integer) ^ flip, k.type)
        if not quarter:
            value = f.where(f.abs(x) < k.small, x, value)
        return _checked(f, name, x, value)

    emit.__doc__ = f"{name} of an angle in radians."
    return emit


def tan(f, x):
    """The tangent of an angle in radians."""
    if x.type.scalar is F32:  # the quotient of two float32 would be 2.3 ulp off
        return f.convert(tan(f, f.convert(x, F64)), F32)
    k = format_of(x)
    quadrant, rest, low = _reduced(f, x)
    sine, sine_low = fast_two_sum(*_sine(f, rest, low))
    cosine, cosine_low = fast_two_sum(*_cosine(f, rest, low))
    odd = (quadrant & 1).differs(0)
    over, over_low = f.where(odd, -cosine, sine), f.where(odd, -cosine_low, sine_low)
    under, under_low = f.where(odd, sine, cosine), f.where(odd, sine_low, cosine_low)
    value = over / under
    value = value + f.fma(-value, under_low, over_low) / under
    return _checked(f, "tan", x, f.where(f.abs(x) < k.small, x, value))


def _checked(f, name, x, value):
    """The value, from libm where a lane's angle is large; nan and infinity are left, for no reduction gives a number."""
    large = f.compare("oge", f.abs(x), LIMIT)
    (value,) = f.choose(f.any(large), lambda: [_by_libm(f, name, x, value)], lambda: [value])
    return value


def _by_libm(f, name, x, value):
    """libm's function in the lanes whose angle is large."""
    size = x.type.lanes * x.type.bytes
    source, target = f.stack(size), f.stack(size)
    f.store(x, source)
    f.store(value, target)
    f.call(_lane_loop(f.module, name, x.type), None, source, target)
    return f.load(target, x.type)


def _lane_loop(module, name, type):
    """The module's function that does it; its own, so that the kernel around stays small."""

    def make():
        made = module.fresh(f"large_{name}_{type.suffix}")
        module.declare(name, F64, F64)
        arguments = [("x", PTR), ("y", PTR)]
        with module.function(made, arguments, internal=True, attributes="nounwind noinline cold") as f:
            source, target = f.arguments
            with f.loop(0, type.lanes) as loop:
                place = loop.index * type.bytes
                x = f.load(source + place, type.scalar)
                with f.when(f.compare("oge", f.abs(x), LIMIT)):
                    result = f.call(name, F64, f.convert(x, F64))
                    f.store(f.convert(result, type.scalar), target + place)
        return made

    return module.once(("libm", name, type), make)


# The inverses


# Angles of known tangents, each as a float64 and what that lacks: atan(1/2), atan(1), atan(3/2), atan(infinity).
ANGLES = (
    (0.4636476090008061, 2.2698777452961687e-17),
    (table.HALF_PI[0] / 2, table.HALF_PI[1] / 2),
    (0.982793723247329, 1.3903311031230998e-17),
    table.HALF_PI,
)


def _atan_of_quotient(f, y, x):
    """atan(y / x) of two that are not negative.

    tan(a - b) = (tan(a) - tan(b)) / (1 + tan(a) tan(b)), with b of the nearest known tangent, leaves at most 7/16.
    """
    high, low = _angle(f, x.type, ANGLES[3])
    over, under = -x, y
    for tangent, limit, angle in ((1.5, 2.4375, ANGLES[2]), (1.0, 1.1875, ANGLES[1]), (0.5, 0.6875, ANGLES[0])):
        nearer = (*_angle(f, x.type, angle), f.fma(x, -tangent, y), f.fma(y, tangent, x))
        closer = y < x * limit
        high, low, over, under = (f.where(closer, a, b) for a, b in zip(nearer, (high, low, over, under), strict=True))
    closer = y < x * 0.4375
    over, under = f.where(closer, y, over), f.where(closer, x, under)
    t = over / under
    square = t * t
    p = t * square * horner(f, square, by_type(table.ATAN, t))
    return f.where(closer, t + p, high + ((p + low) + t))


def _angle(f, type, angle):
    """An angle as two constants of a type."""
    high = angle[0] if type.scalar is F64 else float(np.float32(angle[0]))
    return f.constant(type, high), f.constant(type, angle[0] - high + angle[1])


def atan(f, x):
    """The angle of a tangent."""
    k = format_of(x)
    a = f.abs(x)
    value = _atan_of_quotient(f, f.minimum(2.0 ** (k.mantissa + 10), a), f.constant(x.type, 1.0))
    return f.where(a < k.small, x, f.copysign(value, x))


def atan2(f, y, x):
    """The angle of the point (x, y), by the signs of both."""
    if x.type.scalar is F32:
        return f.convert(atan2(f, f.convert(y, F64), f.convert(x, F64)), F32)
    a, b = f.abs(y), f.abs(x)
    # Scaled so that no product overflows and no quotient of denormals is lost.
    largest = f.maximum(a, b)
    scale = f.where(largest > 2.0**1000, 2.0**-100, f.where(largest < 2.0**-900, 2.0**100, f.constant(x.type, 1.0)))
    both = a.equals(b)  # both 0, both infinite, or the diagonal
    zero = largest.equals(0.0)
    a = f.where(both, f.where(zero, f.constant(x.type, 0.0), 1.0), a * scale)
    b = f.where(both, 1.0, b * scale)
    a, b = f.where(b.equals(INF), 0.0, a), f.where(b.equals(INF), 1.0, f.minimum(2.0**1000, b))
    a = f.minimum(2.0**1020, a)
    angle = _atan_of_quotient(f, a, b)
    left = f.compare("slt", f.bits(x, FORMATS[F64].integer), 0)  # of -0 too
    angle = f.where(left, (table.PI[1] - angle) + table.PI[0], angle)
    return f.where(f.compare("uno", x, y), NAN, f.copysign(angle, y))


def _asin_poly(f, x, square):
    """asin(x) - x of |x| <= 1/2."""
    return x * square * horner(f, square, table.ASIN)


def _half_angle(f, a):
    """sqrt((1 - a) / 2) in two parts, and its square."""
    square = (1.0 - a) * 0.5  # exact for a >= 1/2
    root = f.sqrt(square)
    safe = f.where(root > 0.0, root, 1.0)
    product, lost = two_product(f, root, root)
    return root, ((square - product) - lost) / (safe * 2.0), square


def asin(f, x):
    """The angle in [-pi/2, pi/2] of a sine; nan beyond 1."""
    if x.type.scalar is F32:
        return f.convert(asin(f, f.convert(x, F64)), F32)
    k = format_of(x)
    a = f.abs(x)
    root, rest, square = _half_angle(f, a)
    far_poly = _asin_poly(f, root, square) + rest
    far = (table.HALF_PI[1] - 2.0 * far_poly) + (table.HALF_PI[0] - 2.0 * root)
    near = a + _asin_poly(f, a, a * a)
    value = f.where(a > 0.5, far, near)
    return f.where(a < k.small, x, f.copysign(value, x))


def acos(f, x):
    """The angle in [0, pi] of a cosine; nan beyond 1."""
    if x.type.scalar is F32:
        return f.convert(acos(f, f.convert(x, F64)), F32)
    a = f.abs(x)
    root, rest, square = _half_angle(f, a)
    small = 2.0 * (root + (_asin_poly(f, root, square) + rest))
    far = f.where(x < 0.0, (table.PI[1] - small) + table.PI[0], small)
    near = table.HALF_PI[0] - (x - (table.HALF_PI[1] - _asin_poly(f, x, x * x)))
    return f.where(a > 0.5, far, near)


sin = _turned("sin", 0)
cos = _turned("cos", 1)
