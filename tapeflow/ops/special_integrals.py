"""Dawson's, Fresnel's and the exponential integral, and the dilogarithm, on float64 NumPy arrays."""

import functools
import math

import numpy as np

from tapeflow.ops.special_tools import bernoulli, by_region, horner

# Dawson's integral exp(-x**2) times the integral of exp(t**2) from 0 to x


def _dawsn_near(x):
    """x - 2/3 x**3 + 4/15 x**5 - ... (DLMF 7.6.3)."""
    coefficients = [1.0]
    for k in range(1, 25):
        coefficients.append(-2 * coefficients[-1] / (2 * k + 1))
    return x * horner(coefficients[::-1], x * x)


def _dawsn_middle(x):
    """G. B. Rybicki, "Dawson's integral and the sampling theorem", Computers in Physics 3, 1989."""
    step = 0.2
    n = np.arange(-99.0, 100.0, 2)
    return np.exp(-((x[:, None] - n * step) ** 2)) @ (1 / n) / math.sqrt(math.pi)


def _dawsn_far(x):
    """1 / (2 x) (1 + 1 / (2 x**2) + 3 / (2 x**2)**2 + ...)."""
    coefficients = [1.0]
    for k in range(1, 20):
        coefficients.append(coefficients[-1] * (2 * k - 1))
    return horner(coefficients[::-1], 1 / (2 * x * x)) / (2 * x)


def dawsn(x):
    """Dawson's integral."""
    size = np.abs(x)
    return by_region([(size < 1, _dawsn_near), ((size >= 1) & (size < 12), _dawsn_middle), (size >= 12, _dawsn_far)], x)


# The exponential integral Ei


def _expint_near(x):
    """log(x) + Euler's constant + the sum of x**k / (k k!) (DLMF 6.6.2)."""
    total, term = np.zeros_like(x), np.ones_like(x)
    for k in range(1, int(60 + 3 * np.max(x))):
        term = term * (x / k)
        total += term / k
    return np.log(x) + np.euler_gamma + total


def _expint_far(x):
    """exp(x) / x times the sum of k! / x**k (DLMF 6.12.2); exp in two halves, as it overflows a little earlier."""
    half = np.exp(np.minimum(x, 1e4) / 2)
    return horner([float(math.factorial(k)) for k in range(39, -1, -1)], 1 / x) / np.minimum(x, 1e4) * half * half


def expint(x):
    """Ei(x) for x > 0, the principal value of the integral of exp(t) / t below x; -infinite at 0 and nan below."""
    return by_region(
        [((x > 0) & (x <= 40), _expint_near), (x > 40, _expint_far), (x == 0, lambda x: np.full_like(x, -np.inf))], x
    )


# Fresnel's integrals of cos and sin of pi t**2 / 2 from 0 to x


def _fresnel_near(first, x):
    """The series DLMF 7.6.4 (first 0: the cosine's) and 7.6.6 (first 1: the sine's)."""
    coefficients = [
        (-1) ** k * (math.pi / 2) ** (2 * k + first) / (math.factorial(2 * k + first) * (4 * k + 2 * first + 1))
        for k in range(14)
    ]
    y = x * x
    return x * y**first * horner(coefficients[::-1], y * y)


def _fresnel_auxiliary(x):
    """f and g of DLMF 7.7.10 and 11, with t = v**2 / x**2, by the trapezoidal rule, which converges exponentially."""
    step = 0.125
    v = np.arange(0.0, 5.2, step)
    weights = np.exp(-np.pi * v * v / 2) * np.where(v == 0, step / 2, step) * (math.sqrt(2) / np.pi)
    kernel = 1 / (1 + (v / x[:, None]) ** 4)
    return kernel @ weights / x, kernel @ (weights * v * v) / x**3


def _phase(x):
    """pi x**2 / 2 up to whole turns: of x = n + r the squares are taken apart, so that large x keep their digits."""
    n = np.round(x)
    r = x - n
    return np.pi / 2 * np.fmod(np.fmod(n, 2) ** 2 + np.fmod(2 * n * r, 4) + r * r, 4)


def _fresnel_far(first, x):
    f, g = _fresnel_auxiliary(x)
    angle = _phase(np.minimum(x, 1e300))
    sine, cosine = np.sin(angle), np.cos(angle)
    return 0.5 + (f * sine - g * cosine if first == 0 else -f * cosine - g * sine)


def _fresnel(first, x):
    size = np.abs(x)
    value = by_region(
        [(size < 1.2, lambda x: _fresnel_near(first, x)), (size >= 1.2, lambda x: _fresnel_far(first, x))], size
    )
    return np.copysign(value, x)


def fresnel_cos(x):
    """C(x), the integral of cos(pi t**2 / 2) from 0 to x."""
    return _fresnel(0, x)


def fresnel_sin(x):
    """S(x), the integral of sin(pi t**2 / 2) from 0 to x."""
    return _fresnel(1, x)


# Spence's function, the integral of log(t) / (1 - t) from 1 to x: the dilogarithm of 1 - x


@functools.cache
def _dilogarithm_series():
    """B_k / (k + 1)!: Li2(z) is their sum times u**(k + 1) with u = -log(1 - z)."""
    return [float(b / math.factorial(k + 1)) for k, b in enumerate(bernoulli(28))]


def _by_log(u):
    return u * horner(_dilogarithm_series()[::-1], u)


def _spence_low(x):
    """Li2(1 - x) = pi**2 / 6 - log(x) log(1 - x) - Li2(x) (DLMF 25.12.6)."""
    inner = np.log1p(-x)
    return math.pi**2 / 6 - np.where(x == 0, 0.0, np.log(np.where(x == 0, 1.0, x)) * inner) - _by_log(-inner)


def _spence_high(x):
    """Li2(1 - x) = -log(x)**2 / 2 - Li2(1 - 1 / x)."""
    return -0.5 * np.log(x) ** 2 - _spence_low(1 / x)


def spence(x):
    """Li2(1 - x); nan for x < 0."""
    return by_region(
        [
            ((x >= 0) & (x < 0.5), _spence_low),
            ((x >= 0.5) & (x <= 2), lambda x: _by_log(0.0 - np.log(x))),
            (x > 2, _spence_high),
        ],
        x,
    )
