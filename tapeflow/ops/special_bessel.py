"""The Bessel functions of orders 0 and 1 on float64 NumPy arrays.

Small arguments use the power series, large ones the asymptotic series; between them J and Y come from a recurrence and K
from an integral.
"""

import functools
import math

import numpy as np

from tapeflow.ops.special_tools import by_region, horner

_FAR = 25.0  # from here on the asymptotic series have all digits


@functools.cache
def _series():
    """Coefficients of y**k, y = x * x / 4, highest first: 1 / k!**2, 1 / (k! (k+1)!) and each times its digamma values."""
    digamma = -np.euler_gamma + np.concatenate([[0.0], np.cumsum(1 / np.arange(1.0, 60.0))])  # of 1, 2, ...
    zero = [1 / math.factorial(k) ** 2 for k in range(46)]
    one = [1 / (math.factorial(k) * math.factorial(k + 1)) for k in range(46)]
    zero_log = [c * digamma[k] for k, c in enumerate(zero)]
    one_log = [c * (digamma[k] + digamma[k + 1]) for k, c in enumerate(one)]
    return [np.array(row[::-1]) for row in (zero, one, zero_log, one_log)]


def _terms(row, y, count=46):
    return horner(_series()[row][-count:].tolist(), y)


@functools.cache
def _asymptotic(order):
    """a_k of DLMF 10.17.1, the coefficients of 1 / x**k."""
    found = [1.0]
    for k in range(1, 26):
        found.append(found[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k))
    return found


# Modified Bessel functions


def _ie(order, x):
    """exp(-|x|) I of either order, for x >= 0."""

    def near(x):
        y = x * x / 4
        return np.exp(-x) * (_terms(0, y) if order == 0 else x / 2 * _terms(1, y))

    def far(x):
        signed = [c * (-1) ** k for k, c in enumerate(_asymptotic(order))]
        return horner(signed[::-1], 1 / x) / np.sqrt(2 * np.pi * x)

    return by_region([((x >= 0) & (x <= _FAR), near), (x > _FAR, far)], x)


def i0e(x):
    """exp(-|x|) I0(x)."""
    return _ie(0, np.abs(x))


def i1e(x):
    """exp(-|x|) I1(x)."""
    return np.copysign(_ie(1, np.abs(x)), x)


def _grown(scaled, x):
    """exp(x) times what was scaled by exp(-x), in two halves: exp(x) overflows a little earlier than the product."""
    half = np.exp(np.minimum(x, 1e4) / 2)
    return np.where(x >= 1e4, np.copysign(np.inf, scaled), scaled * half * half)


def i0(x):
    """The modified Bessel function of the first kind and order 0."""
    return _grown(i0e(x), np.abs(x))


def i1(x):
    """The modified Bessel function of the first kind and order 1."""
    return _grown(i1e(x), np.abs(x))


def _k_near(order, x):
    """K for 0 < x <= 1 (DLMF 10.31.1 and 2)."""
    y = x * x / 4
    log = np.log(x / 2)
    if order == 0:
        return _terms(2, y, 12) - log * _terms(0, y, 12)
    return 1 / x + x / 2 * (log * _terms(1, y, 12) - _terms(3, y, 12) / 2)


def _ke_middle(order, x):
    """exp(x) K as the integral of exp(-x (cosh t - 1)) cosh(order t) over t > 0 (DLMF 10.32.9).

    The trapezoidal rule converges exponentially: L. N. Trefethen and J. A. C. Weideman, SIAM Review 56, 2014.
    """
    step = 0.125
    t = np.arange(0.0, 4.5, step)
    weights = np.cosh(order * t) * np.where(t == 0, step / 2, step)
    return np.exp(-x[:, None] * (2 * np.sinh(t / 2) ** 2)) @ weights


def _ke_far(order, x):
    return horner(_asymptotic(order)[::-1], 1 / x) * np.sqrt(np.pi / (2 * x))


def _ke(order, x):
    return by_region(
        [
            ((x > 0) & (x <= 1), lambda x: np.exp(x) * _k_near(order, x)),
            ((x > 1) & (x <= _FAR), lambda x: _ke_middle(order, x)),
            (x > _FAR, lambda x: _ke_far(order, x)),
            (x <= 0, lambda x: np.full_like(x, np.inf)),
        ],
        x,
    )


def k0e(x):
    """exp(x) K0(x); infinite for x <= 0."""
    return _ke(0, x)


def k1e(x):
    """exp(x) K1(x); infinite for x <= 0."""
    return _ke(1, x)


def k0(x):
    """The modified Bessel function of the second kind and order 0; infinite for x <= 0."""
    return np.exp(-np.maximum(x, 0)) * _ke(0, x)


def k1(x):
    """The modified Bessel function of the second kind and order 1; infinite for x <= 0."""
    return np.exp(-np.maximum(x, 0)) * _ke(1, x)


# Bessel functions

_NEAR = 2.0  # up to here the power series have all digits


def _jy_near(x):
    """J0, J1, Y0, Y1 by their series (DLMF 10.2.2, 10.8.1 and 2)."""
    y = -x * x / 4
    log = np.log(x / 2)
    j0, j1 = _terms(0, y, 16), x / 2 * _terms(1, y, 16)
    y0 = 2 / np.pi * (log * j0 - _terms(2, y, 16))
    y1 = 2 / np.pi * (log * j1 - 1 / x) - x / (2 * np.pi) * _terms(3, y, 16)
    return j0, j1, y0, y1


def _jy_middle(x):
    """J of all orders by Miller's backward recurrence, and Y by Neumann's sums of them (Abramowitz and Stegun 9.1.88)."""
    high, low = np.zeros_like(x), np.full_like(x, 1e-200)
    total, even, odd = [np.zeros_like(x) for _ in range(3)]
    for k in range(72, 0, -1):
        # low is J of order k, up to one factor for all orders
        sign = -1 if k // 2 % 2 else 1
        if k % 2 == 0:
            total += 2 * low
            even += sign * low / (k // 2)
        elif k > 1:
            odd += sign * low * k / (k // 2 * (k // 2 + 1))
        high, low = low, 2 * k / x * low - high
    scale = 1 / (total + low)
    j0, j1 = low * scale, high * scale
    log = np.log(x / 2) + np.euler_gamma
    y0 = 2 / np.pi * (log * j0 - 2 * even * scale)
    y1 = 2 / np.pi * ((log - 1) * j1 - j0 / x - odd * scale)
    return j0, j1, y0, y1


def _jy_far(x):
    """Hankel's expansions (DLMF 10.17.3 and 4)."""
    sine, cosine = np.sin(x), np.cos(x)
    root = 1 / np.sqrt(np.pi * x)
    y = -1 / (x * x)
    results = []
    for order in (0, 1):
        a = _asymptotic(order)
        p, q = horner(a[0:24:2][::-1], y), horner(a[1:24:2][::-1], y) / x
        # sqrt(2) times the cosine and sine of x - pi / 4 or x - 3 pi / 4
        c, s = (cosine + sine, sine - cosine) if order == 0 else (sine - cosine, -sine - cosine)
        results.append((root * (p * c - q * s), root * (p * s + q * c)))
    (j0, y0), (j1, y1) = results
    return j0, j1, y0, y1


def _jy(which, x):
    """One of J0, J1, Y0, Y1 for x > 0."""
    return by_region(
        [
            ((x > 0) & (x <= _NEAR), lambda x: _jy_near(x)[which]),
            ((x > _NEAR) & (x <= _FAR), lambda x: _jy_middle(x)[which]),
            (x > _FAR, lambda x: _jy_far(x)[which]),
        ],
        x,
    )


def j0(x):
    """The Bessel function of the first kind and order 0."""
    return np.where(x == 0, 1.0, _jy(0, np.abs(x)))


def j1(x):
    """The Bessel function of the first kind and order 1."""
    return np.where(x == 0, x, np.where(x < 0, -1, 1) * _jy(1, np.abs(x)))


def y0(x):
    """The Bessel function of the second kind and order 0; -infinite for x <= 0."""
    return np.where(x <= 0, -np.inf, _jy(2, x))


def y1(x):
    """The Bessel function of the second kind and order 1; -infinite for x <= 0."""
    return np.where(x <= 0, -np.inf, _jy(3, x))
