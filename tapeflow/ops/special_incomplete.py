"""The regularised incomplete gamma and beta functions on float64 NumPy arrays.

The formulas run on complex numbers with an infinitesimal imaginary part too, which then holds a derivative (see `lifted`).
"""

import functools
import math
from fractions import Fraction

import numpy as np

from tapeflow.ops.special_erf import erfc
from tapeflow.ops.special_gamma import digamma, lgamma, lgamma1p
from tapeflow.ops.special_tools import by_region, horner, lifted, log1p_rest, stirling_rest

_STEP = 1e-100  # the imaginary part that stands for an infinitesimal
_EPS = 2.0**-53
_TINY = 1e-300


def _settled(change, value):
    """Whether a sum or product changes no more; its derivative, in the imaginary part, too."""
    done = np.abs(change.real) <= 8 * _EPS * np.abs(value.real)
    if value.dtype.kind == "c":
        done &= np.abs(change.imag) <= 8 * _EPS * np.abs(value.imag)
    return bool(np.all(done))


def _steps(*parameters):
    """More steps than any of these expansions needs: they settle after a few times the root of the parameters."""
    return int(200 + 20 * math.sqrt(max(np.max(p.real) for p in parameters)))


# The incomplete gamma functions P = igamma and Q = igammac = 1 - P. Both are a factor
# D(a, x) = x**a exp(-x) / gamma(a + 1) times a sum (for P) or a fraction (for Q).


def _gamma_factor(a, x):
    """D(a, x); for large a by the distance of x from a, as its parts would overflow or cancel."""

    def small(a, x):
        log = a * np.log(x) - x - _lgamma1p(a)
        return np.exp(log)

    def large(a, x):
        m = (x - a) / a
        rest = lifted(m, log1p_rest(m.real, x / a.real), 1 / (1 + m.real) - 1)
        correction = lifted(a, stirling_rest(a.real), digamma(a.real) - np.log(a.real) + 0.5 / a.real)
        return np.exp(a * rest - correction) / np.sqrt(2 * np.pi * a)

    return by_region([(a.real < 10, small), (a.real >= 10, large)], a, x)


def _lgamma1p(a):
    """lgamma(1 + a)."""
    return lifted(a, lgamma1p(a.real), digamma(1 + a.real))


def _gamma_sum(a, x):
    """P / D = 1 + x / (a + 1) + x**2 / ((a + 1) (a + 2)) + ... (DLMF 8.11.4)."""
    term = np.ones_like(a)
    total = term.copy()
    for n in range(1, _steps(a)):
        term = term * (x / (a + n))
        total += term
        if _settled(term, total):
            break
    return total


def _gamma_fraction(a, x):
    """Q / D, the continued fraction DLMF 8.9.2 by Lentz's method, times a."""
    b = x + 1 - a
    c = np.full_like(a, 1 / _TINY)
    d = 1 / b
    value = d.copy()
    for n in range(1, _steps(a)):
        step = n * (a - n)
        b = b + 2
        d = step * d + b
        d = 1 / np.where(d == 0, _TINY, d)
        c = b + step / c
        c = np.where(c == 0, _TINY, c)
        change = c * d
        before, value = value, value * change
        if _settled(value - before, value):
            break
    return value * a


def _complement_near_zero(a, x):
    """Q for small x without the cancellation of 1 - P: 1 - x**a / gamma(1 + a) and the rest of the series."""
    log = a * np.log(x) - _lgamma1p(a)
    term = np.ones_like(a)
    rest = np.zeros_like(a)
    for n in range(1, 25):
        term = term * (-x / n)
        rest += term / (a + n)
    return -np.expm1(log) - np.exp(log) * a * rest


@functools.cache
def _uniform_coefficients():
    """The coefficients of the C_k, as polynomials in eta, of N. M. Temme's uniform expansion.

    "The asymptotic expansion of the incomplete gamma functions", SIAM Journal on Mathematical Analysis 10, 1979. With
    mu = x / a - 1 and eta**2 / 2 = mu - log(1 + mu): C_0 = 1 / mu - 1 / eta, and C_k is C_(k-1)' / eta plus that multiple of
    1 / mu which takes its pole at 0 away.
    """
    count = 24
    mu = [Fraction(0), Fraction(1)]  # from mu mu' = eta (1 + mu)
    for n in range(2, count):
        known = sum((k * mu[k] * mu[n + 1 - k] for k in range(2, n)), Fraction(0))
        mu.append((mu[n - 1] - known) / (n + 1))
    inverse = [Fraction(1)]  # eta / mu
    for n in range(1, count - 1):
        inverse.append(-sum((mu[k + 1] * inverse[n - k] for k in range(1, n + 1)), Fraction(0)))
    rows = [inverse[1:]]
    while len(rows) < 5:
        before = rows[-1]
        slope = [k * c for k, c in enumerate(before)][1:]  # C' = slope[0] + slope[1] eta + ...
        factor = -slope[0]
        rows.append([s + factor * i for s, i in zip(slope[1:], inverse[1:], strict=False)])
    return [[float(c) for c in row[: 17 - 3 * k]] for k, row in enumerate(rows)]


def _uniform(a, x, upper):
    """P, or Q where `upper`, for large a and x near it."""
    m = (x - a) / a
    half_square = -lifted(m, log1p_rest(m.real, x / a.real), -m.real / (1 + m.real))
    eta = np.where(m.real < 0, -1, 1) * np.sqrt(2 * half_square)
    rest = horner([0.0], eta)
    for row in _uniform_coefficients()[::-1]:
        rest = rest / a + horner(row[::-1], eta)
    rest = rest * np.exp(-a * half_square) / np.sqrt(2 * np.pi * a)
    z = eta * np.sqrt(a / 2) * (1 if upper else -1)
    tail = lifted(z, erfc(z.real), -2 / math.sqrt(math.pi) * np.exp(-(z.real**2)))
    return 0.5 * tail + (rest if upper else -rest)


def _gamma_regions(a, x, upper):
    """Where each formula applies, for positive finite a and x."""
    real = a.real
    usual = (real > 0) & (x > 0) & (real < np.inf) & (x < np.inf)
    uniform = usual & (real > 1e4) & (np.abs(x - real) < 0.3 * real)
    near_zero = usual & (x < 1.1) & upper
    summed = usual & ~uniform & ~near_zero & ((x < 1.1) | (x < real))
    return usual, uniform, near_zero, summed


def _incomplete_gamma(a, x, upper):
    usual, uniform, near_zero, summed = _gamma_regions(a, x, upper)

    def by_sum(a, x):
        lower = _gamma_factor(a, x) * _gamma_sum(a, x)
        return 1 - lower if upper else lower

    def by_fraction(a, x):
        above = _gamma_factor(a, x) * _gamma_fraction(a, x)
        return above if upper else 1 - above

    return by_region(
        [
            (uniform, lambda a, x: _uniform(a, x, upper)),
            (near_zero, _complement_near_zero),
            (summed, by_sum),
            (usual & ~uniform & ~near_zero & ~summed, by_fraction),
            (((a.real > 0) & (x == 0)) | ((a.real == np.inf) & (x >= 0)), lambda a, x: np.full_like(a, float(upper))),
            ((a.real >= 0) & (a.real < np.inf) & (x == np.inf), lambda a, x: np.full_like(a, float(not upper))),
        ],
        a,
        x,
    )


def igamma(a, x):
    """P(a, x), the share of the gamma distribution of shape a below x; nan for negative arguments."""
    return _incomplete_gamma(a, x, False)


def igammac(a, x):
    """Q(a, x) = 1 - P(a, x), accurate where it is small."""
    return _incomplete_gamma(a, x, True)


def igamma_grad_a(a, x):
    """The derivative of P(a, x) in a."""
    upper = x > a  # the smaller of the two has the smaller error
    lifted_a = a + 1j * _STEP
    lower_slope = _incomplete_gamma(lifted_a, x, False).imag
    return np.where(upper, -_incomplete_gamma(lifted_a, x, True).imag, lower_slope) / _STEP


def random_gamma_grad(a, x):
    """dx/da of a gamma sample x of shape a that is moved so that P(a, x) stays what it is.

    M. Figurnov, S. Mohamed and A. Mnih, "Implicit reparameterization gradients", 2018: -(dP/da) / (dP/dx). The density is
    D a / x, so that the factor D drops out and neither end underflows.
    """

    def low(a, x):
        total = _gamma_sum(a + 1j * _STEP, x)
        return -(total.imag / _STEP + total.real * (np.log(x) - digamma(a + 1))) * x / a

    def high(a, x):
        above = _gamma_fraction(a + 1j * _STEP, x)
        return (above.imag / _STEP + above.real * (np.log(x) - digamma(a + 1))) * x / a

    usual = (a > 0) & (x > 0) & (a < np.inf) & (x < np.inf)
    return by_region([(usual & ((x < 1.1) | (x < a)), low), (usual & (x >= 1.1) & (x >= a), high)], a, x)


# The incomplete beta function


def _beta_factor(a, b, x):
    """x**a (1 - x)**b / beta(a, b), by the distance of x from a / (a + b), so that large parts do not cancel."""
    s = a + b
    distance = (x * b - a * (1 - x)) / s
    log = a * log1p_rest(distance * s / a, x * s / a) + b * log1p_rest(-distance * s / b, (1 - x) * s / b)
    # sqrt(a b / (2 pi s)) and Stirling's corrections are what is left at x = a / s, where both are large.
    return np.exp(log + _stirling(s) - _stirling(a) - _stirling(b)) * np.sqrt(a / s * b / (2 * np.pi))


def _stirling(x):
    """`stirling_rest` for all x > 0."""

    def small(x):
        return lgamma(x) - ((x - 0.5) * np.log(x) - x + 0.5 * math.log(2 * math.pi))

    return by_region([(x >= 8, stirling_rest), (x < 8, small)], x)


def _beta_fraction(a, b, x):
    """a I_x(a, b) over `_beta_factor`: the continued fraction DLMF 8.17.22 by Lentz's method."""
    c = np.ones_like(x)
    d = 1 / (1 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, _steps(a, b)):
        before = value
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d = 1 + step * d
            d = 1 / np.where(d == 0, _TINY, d)
            c = 1 + step / c
            c = np.where(c == 0, _TINY, c)
            value = value * (c * d)
        if _settled(value - before, value):
            break
    return value


def _beta_usual(a, b, x):
    swapped = x > (a + 1) / (a + b + 2)
    a, b = np.where(swapped, b, a), np.where(swapped, a, b)
    x = np.where(swapped, 1 - x, x)
    result = _beta_factor(a, b, x) / a * _beta_fraction(a, b, x)
    return np.where(swapped, 1 - result, result)


def betainc(a, b, x):
    """I_x(a, b), the share of the beta distribution below x; nan unless a, b > 0 and 0 <= x <= 1."""
    valid = (a > 0) & (b > 0) & (a < np.inf) & (b < np.inf)
    return by_region(
        [
            (valid & (x > 0) & (x < 1), _beta_usual),
            (valid & ((x == 0) | (x == 1)), lambda a, b, x: x),
        ],
        a,
        b,
        x,
    )
