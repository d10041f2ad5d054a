"""The logarithm of the gamma function, its derivatives, and Hurwitz's zeta function, on float64 NumPy arrays."""

import functools
import math

import numpy as np

from tapeflow.ops.special_tools import bernoulli, by_region, horner, stirling_rest

_LOWEST_ZETA = -(2.0**20)  # below, the terms of zeta up to 0 are too many to add


@functools.cache
def lgamma_series():
    """(zeta(k) - 1) (-1)**k / k for k = 2 to 28: the series of lgamma(2 + e) from e**2 on (DLMF 5.7.3)."""
    k = np.arange(2.0, 29.0)
    return (zeta(k, np.full_like(k, 2.0)) * np.where(k % 2 == 0, 1, -1) / k).tolist()


def _lgamma_near_two(e):
    """lgamma(2 + e) for |e| <= 1/2, accurate next to its zeros at -1 and 0 of e."""
    return e * ((1 - np.euler_gamma) + e * horner(lgamma_series()[::-1], e))


def lgamma1p(a):
    """lgamma(1 + a) for a > 0, accurate next to 0."""
    near = np.minimum(a, 0.5)
    return np.where(a < 0.5, _lgamma_near_two(near) - np.log1p(near), lgamma(1 + a))


def _lgamma_small(x):
    """For 0 < x < 10: step by step into [1.5, 2.5)."""
    steps = np.floor(x - 1.5)
    product = np.ones_like(x)
    for i in range(1, 9):
        product *= np.where(steps >= i, x - i, 1.0)
    below = np.maximum(-steps, 0)  # 1 or 2 steps up
    # log(x) by way of x - 1, so that no digit is lost near the zero at 1.
    down = np.where(below == 2, np.log(x) + np.log1p(x), np.where(below == 1, np.log1p(x - 1), 0.0))
    return _lgamma_near_two(x - (2 + steps)) + np.log(product) - down


def _lgamma_large(x):
    return (x - 0.5) * (np.log(x) - 1) + (0.5 * math.log(2 * math.pi) - 0.5 + stirling_rest(x))


def sin_pi(x):
    """sin(pi x), exact at whole numbers."""
    nearest = np.round(x)
    return np.sin(np.pi * (x - nearest)) * np.where(nearest % 2 == 0, 1, -1)


def _lgamma_negative(x):
    """By reflection; infinite at whole numbers."""
    return np.log(np.pi) - np.log(np.abs(sin_pi(x))) - lgamma(1 - x)


def lgamma(x):
    """log(abs(gamma(x))): infinite at 0, at negative whole numbers and at both infinities."""
    finite = np.abs(x) < np.inf
    return by_region(
        [
            ((x > 0) & (x < 10), _lgamma_small),
            ((x >= 10) & finite, _lgamma_large),
            ((x < 0) & finite, _lgamma_negative),
            ((x == 0) | (np.abs(x) == np.inf), lambda x: np.full_like(x, np.inf)),
        ],
        x,
    )


@functools.cache
def digamma_series():
    """B_2k / (2k): the coefficients of 1/x**2, 1/x**4, ... in log(x) - 1/(2x) - digamma(x)."""
    numbers = bernoulli(18)
    return [float(numbers[2 * k] / (2 * k)) for k in range(1, 9)]


def _digamma_positive(x):
    """The recurrence up to 10 or more, then the asymptotic series (DLMF 5.11.2)."""
    shift = np.zeros_like(x)
    for _ in range(10):
        low = x < 10
        shift += np.where(low, 1 / x, 0.0)
        x = np.where(low, x + 1, x)
    y = 1 / (x * x)
    return np.log(x) - 0.5 / x - y * horner(digamma_series()[::-1], y) - shift


def _digamma_negative(x):
    rest = x - np.round(x)
    return _digamma_positive(1 - x) - np.pi / np.where(rest == 0, np.nan, np.tan(np.pi * rest))


def digamma(x):
    """The derivative of lgamma; nan at 0 and at negative whole numbers."""
    return by_region(
        [
            ((x > 0) & (x < np.inf), _digamma_positive),
            ((x < 0) & (x > -np.inf), _digamma_negative),
            (x == np.inf, lambda x: x),
        ],
        x,
    )


@functools.cache
def _zeta_tail():
    """B_2k / (2k)!, the coefficients of the Euler-Maclaurin formula."""
    numbers = bernoulli(26)
    return [float(numbers[2 * k] / math.factorial(2 * k)) for k in range(1, 13)]


def _zeta_sum(x, q):
    """Terms until q + k is 12 or more and at least 12 of them, then the Euler-Maclaurin formula (DLMF 25.11.5)."""
    total = np.zeros_like(x)
    a = q.copy()
    for k in range(max(12, math.ceil(12 - float(np.min(q))))):
        more = (a < 12) | (k < 12)
        total += np.where(more, np.power(a, -x), 0.0)
        a = np.where(more, a + 1, a)
    power = np.power(a, -x)
    total += power * a / (x - 1) + 0.5 * power
    factor = x * power / a
    for k, c in enumerate(_zeta_tail()):
        total += c * factor
        factor = factor * (x + 2 * k + 1) * (x + 2 * k + 2) / (a * a)
    return total


def zeta(x, q):
    """The sum of (q + k)**-x over k = 0, 1, ...: infinite for x = 1, nan for x < 1.

    Infinite where q is 0 or a negative whole number; other negative q need a whole x.
    """
    pole = (x > 1) & (q <= 0) & (q == np.floor(q)) & (q > -np.inf)
    infinite = (x == 1) | pole
    vanishes = (((x == np.inf) & (q > 1)) | ((q == np.inf) & (x > 1))) & ~pole
    whole = (q > 0) | (x == np.floor(x))
    usual = (x > 1) & (x < np.inf) & (q < np.inf) & (q > _LOWEST_ZETA) & whole & ~pole
    return by_region(
        [
            (infinite & ~np.isnan(q), lambda x, q: np.full_like(x, np.inf)),
            (vanishes, lambda x, q: np.zeros_like(x)),
            (usual, _zeta_sum),
        ],
        x,
        q,
    )


def polygamma(n, x):
    """The nth derivative of digamma; nan where n is no whole number or negative."""

    def derivative(n, x):
        return np.where(n % 2 == 0, -1, 1) * np.exp(lgamma(n + 1)) * zeta(n + 1, x)

    return by_region([(n == 0, lambda n, x: digamma(x)), ((n > 0) & (n == np.floor(n)), derivative)], n, x)
