"""What the special functions share: choosing a formula by region, polynomials, Bernoulli numbers, a complex step."""

import functools
import math
from fractions import Fraction

import numpy as np


def by_region(regions, *args):
    """An array whose elements come from the formula of the region they are in, nan outside all.

    Args:
        regions: pairs (mask, formula); a formula is called with the arguments' elements in its region alone.
        args: arrays of one shape.
    """
    result = np.full(args[0].shape, np.nan, np.result_type(*args))
    for mask, formula in regions:
        if mask.any():
            result[mask] = formula(*[x[mask] for x in args])
    return result


def horner(coefficients, x):
    """The polynomial with these coefficients, that of the highest power first."""
    result = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        result *= x
        result += c
    return result


def bernoulli(count):
    """The Bernoulli numbers B_0, B_1 = -1/2, B_2, ... as exact fractions."""
    found = [Fraction(1)]
    for n in range(1, count):
        found.append(-sum((math.comb(n + 1, k) * found[k] for k in range(n)), Fraction(0)) / (n + 1))
    return found


@functools.cache
def stirling_coefficients():
    """B_2k / (2k (2k - 1)): the coefficients of 1/x, 1/x**3, ... in what Stirling's formula leaves out."""
    numbers = bernoulli(22)
    return [float(numbers[2 * k] / (2 * k * (2 * k - 1))) for k in range(1, 11)]


def stirling_rest(x):
    """log(gamma(x)) - ((x - 1/2) log(x) - x + log(2 pi) / 2) for x >= 8, a number near 1 / (12 x)."""
    y = 1 / (x * x)
    return horner(stirling_coefficients()[::-1], y) / x


def log1p_rest(x, ratio):
    """log(1 + x) - x without cancellation, for `ratio` = 1 + x (which is known better than x near -1).

    Near 0 by the series of the inverse hyperbolic tangent: with r = x / (2 + x), log(1 + x) = 2 (r + r**3 / 3 + ...) and
    2 r - x = -x r.
    """
    r = x / (2 + x)
    near = 2 * r**3 * horner([1 / k for k in range(33, 1, -2)], r * r) - x * r
    return np.where(np.abs(x) < 0.5, near, np.log(ratio) - x)


def lifted(z, value, slope):
    """`value` at a real `z`; where z carries an infinitesimal imaginary part, the slope times it is added.

    Squire and Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40, 1998: a function
    computed at z + ih has its derivative in the imaginary part, without cancellation.
    """
    return value + 1j * (z.imag * slope) if z.dtype.kind == "c" else value
