"""The error function and its relatives on NumPy arrays."""

import math

import numpy as np

from tapeflow.ops.special_tools import by_region, horner

# W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23, 1969: numerators
# and denominators for erf on [0, 0.46875], and for erfc on [0.46875, 4] and above 4.
_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1, 2.98635138197400131e2,
        8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
_FAR = (
    (
        1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
        1.60837851487422766e-2, 6.58749161529837803e-4,
    ),
    (
        1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
        2.33520497626869185e-3,
    ),
)  # fmt: skip


def _ratio(table, x):
    return horner(table[0], x) / horner(table[1], x)


def _exp_minus_square(x):
    """exp(-x * x), with x cut to 4 binary digits so that the larger square is exact."""
    cut = np.trunc(x * 16) / 16
    return np.exp(-cut * cut) * np.exp(-(x - cut) * (x + cut))


def _erf_near(x):
    return x * _ratio(_NEAR, x * x)


def _erfc_middle(x):
    return _exp_minus_square(x) * _ratio(_MIDDLE, x)


def _erfc_far(x):
    y = 1 / (x * x)
    return _exp_minus_square(x) * (1 / math.sqrt(math.pi) - y * _ratio(_FAR, y)) / x


def _erfc_positive(x):
    """erfc for x > 0.46875; it is 0 from 28 on."""
    x = np.minimum(x, 28.0)
    return by_region([(x <= 4, _erfc_middle), (x > 4, _erfc_far)], x)


def erf(x):
    """The error function of float64 values."""
    size = np.abs(x)
    return by_region(
        [(size <= 0.46875, _erf_near), (size > 0.46875, lambda x: np.copysign(1 - _erfc_positive(np.abs(x)), x))], x
    )


def erfc(x):
    """1 - erf(x) of float64 values, accurate where it is small."""
    return by_region(
        [
            (np.abs(x) <= 0.46875, lambda x: 1 - _erf_near(x)),
            (x > 0.46875, _erfc_positive),
            (x < -0.46875, lambda x: 2 - _erfc_positive(-x)),
        ],
        x,
    )


# A fit of erf(x) = x P(x * x) / Q(x * x) on [-3.925, 3.925] to 2e-8 of its value, for float32; beyond, float32 has +-1.
_SINGLE = (
    (2.04592836e-6, 2.84804201e-4, 3.77162871e-3, 5.27663956e-2, 1.90574837e-1, 1.12837915),
    (3.8044694e-5, 1.16359962e-3, 1.49813685e-2, 1.14174537e-1, 5.02225288e-1, 1.0),
)


def erf_single(x):
    """The error function of float64 values to the digits of float32, several times as fast."""
    x = np.clip(x, -3.925, 3.925)
    return x * _ratio(_SINGLE, x * x)


# M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37, 1988: for
# |p - 1/2| <= 0.425, and in the tails for r = sqrt(-log(min(p, 1 - p))) up to 5 and above.
CENTRE = (
    (
        2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
        1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
        5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0,
    ),
)  # fmt: skip
TAIL = (
    (
        7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
        3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
        6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0,
    ),
)  # fmt: skip
FAR_TAIL = (
    (
        2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
        2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
        1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
    ),
)  # fmt: skip


def _quantile(p, from_half):
    """The normal quantile: `p` is the smaller tail, `from_half` the signed distance of the probability from 1/2."""

    def centre(p, q):
        return q * _ratio(CENTRE, 0.180625 - q * q)

    def tail(p, q):
        r = np.sqrt(-np.log(p))
        return np.copysign(np.where(r <= 5, _ratio(TAIL, r - 1.6), _ratio(FAR_TAIL, np.minimum(r, 28.0) - 5)), q)

    def end(p, q):
        return np.copysign(np.inf, q)

    middle = np.abs(from_half) <= 0.425
    return by_region([(middle, centre), (~middle & (p > 0), tail), (p == 0, end)], p, from_half)


def ndtri(p):
    """The normal quantile of float64 probabilities; nan outside [0, 1]."""
    return _quantile(np.minimum(p, 1 - p), p - 0.5)


def erfinv(x):
    """The inverse of erf of float64 values; nan outside [-1, 1]."""
    return _quantile((1 - np.abs(x)) / 2, x / 2) / math.sqrt(2)


def erfcinv(x):
    """The inverse of erfc of float64 values; nan outside [0, 2]."""
    return -_quantile(np.minimum(x, 2 - x) / 2, (x - 1) / 2) / math.sqrt(2)
