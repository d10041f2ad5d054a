"""Special functions in the text: the float64 formulas of the NumPy kernels (`ops/special_*.py`), for all dtypes.

Sums and products are rounded as NumPy rounds them, not contracted: so results differ from the kernels' only by what logarithms and
sines differ. Where a kernel chooses elements by region, here all regions are computed and one is chosen.
"""

import math

from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.text import F64
from tapeflow.compile.vector_math import INF, NAN
from tapeflow.ops import special_erf, special_gamma, special_tools

EULER = 0.57721566490153286060651209008240243
log, log1p, sin, tan = [FUNCTIONS[name] for name in ("log", "log1p", "sin", "tan")]


def _horner(f, coefficients, x):
    """The polynomial with these coefficients, that of the highest power first."""
    value = f.constant(x.type, coefficients[0])
    for c in coefficients[1:]:
        value = value * x + c
    return value


def _ratio(f, table, x):
    return _horner(f, table[0], x) / _horner(f, table[1], x)


# Normal quantiles


def _quantile(f, p, from_half):
    """The normal quantile: `p` is the smaller tail, `from_half` the signed distance of the probability from 1/2."""
    q = from_half
    centre = q * _ratio(f, special_erf.CENTRE, 0.180625 - q * q)
    r = f.sqrt(-log(f, p))
    near, far = _ratio(f, special_erf.TAIL, r - 1.6), _ratio(f, special_erf.FAR_TAIL, f.minimum(28.0, r) - 5.0)
    tail = f.where(r <= 5.0, near, far)
    tail = f.copysign(f.where(p.equals(0.0), INF, tail), q)
    return f.where(f.compare("uge", p, 0.0), f.where(f.abs(q) <= 0.425, centre, tail), NAN)


def ndtri(f, p):
    """The normal quantile of probabilities; nan outside [0, 1]."""
    return _quantile(f, f.minimum(p, 1.0 - p), p - 0.5)


def erfinv(f, x):
    """The inverse of erf; nan outside [-1, 1]."""
    return _quantile(f, (1.0 - f.abs(x)) / 2.0, x / 2.0) / math.sqrt(2)


def erfcinv(f, x):
    """The inverse of erfc; nan outside [0, 2]."""
    return -_quantile(f, f.minimum(x, 2.0 - x) / 2.0, (x - 1.0) / 2.0) / math.sqrt(2)


# The gamma function


def lgamma(f, x):
    """log(abs(gamma(x))): below 10 step by step into [1.5, 2.5), above by Stirling's formula, of negative numbers by reflection."""
    negative = x < 0.0
    y = f.where(negative, 1.0 - x, x)
    small = y < 10.0
    steps = f.intrinsic("floor", y - 1.5)
    product = f.constant(x.type, 1.0)
    for i in range(1, 9):
        product = product * f.where(steps >= float(i), y - float(i), 1.0)
    two, one = steps.equals(-2.0), steps.equals(-1.0)  # so many steps up, not down
    e = y - (steps + 2.0)
    near = e * (e * _horner(f, special_gamma.lgamma_series()[::-1], e) + (1 - EULER))
    # log(y) by way of y - 1, so that no digit is lost near the zero at 1.
    by_log = log(f, f.where(two | ~small, y, product))
    by_log1p = log1p(f, f.where(two, y, f.where(one, y - 1.0, 0.0)))
    below = f.where(two, near - (by_log + by_log1p), f.where(one, near - by_log1p, near + by_log))
    inverse = 1.0 / (y * y)
    rest = _horner(f, special_tools.stirling_coefficients()[::-1], inverse) / y
    above = (y - 0.5) * (by_log - 1.0) + (rest + (0.5 * math.log(2 * math.pi) - 0.5))
    found = f.where(small, below, above)
    turn = log(f, f.abs(sin(f, (x - f.intrinsic("roundeven", x)) * math.pi)))
    found = f.where(negative, math.log(math.pi) - turn - found, found)
    return f.where(x.equals(0.0) | f.abs(x).equals(INF), INF, found)


def digamma(f, x):
    """The derivative of lgamma; nan at 0 and at negative whole numbers."""
    negative = x < 0.0
    y = f.where(negative, 1.0 - x, x)
    shift = f.constant(x.type, 0.0)
    for _ in range(10):
        low = y < 10.0
        shift = shift + f.where(low, 1.0 / y, 0.0)
        y = f.where(low, y + 1.0, y)
    inverse = 1.0 / (y * y)
    found = log(f, y) - 0.5 / y - inverse * _horner(f, special_gamma.digamma_series()[::-1], inverse) - shift
    rest = x - f.intrinsic("roundeven", x)
    turn = f.where(rest.equals(0.0), NAN, math.pi / tan(f, rest * math.pi))
    found = f.where(negative, found - turn, found)
    return f.where(x.equals(0.0) | x.equals(-INF), NAN, found)


def _in_float64(function):
    """A function of float64 for the other floats, too."""

    def emit(f, x):
        element = x.type.scalar
        return function(f, x) if element is F64 else f.convert(function(f, f.convert(x, F64)), element)

    emit.__doc__ = function.__doc__
    return emit


SPECIAL_FUNCTIONS = {function.__name__: _in_float64(function) for function in (digamma, erfcinv, erfinv, lgamma, ndtri)}

__all__ = ["SPECIAL_FUNCTIONS"]
