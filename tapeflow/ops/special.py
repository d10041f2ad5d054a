"""The special functions as primitives with their derivatives; the formulas are in the `special_*` modules."""

import functools
import importlib
import math

import numpy as np

from tapeflow.base.dtypes import float32, float64
from tapeflow.core.primitive import P
from tapeflow.ops.family import FLOATS, elementwise, sample

_CHUNK = 4096  # elements that are computed together, so that what is between stays in the cache
_FEW = 64  # up to here Python's own function is quicker, element by element
WIDE = frozenset({float32, float64})


@functools.cache
def _formula(module, name):
    """The NumPy function, imported when it is first used."""
    return getattr(importlib.import_module(f"tapeflow.ops.special_{module}"), name)


def _kernel(module, name, python=None, single=None):
    """A kernel that computes in float64 and gives the inputs' dtype.

    Args:
        module, name: where the float64 formula is.
        python: a function of Python floats that does the same, for few elements.
        single: the name of a formula that is accurate enough for the narrower dtypes.
    """

    def kernel(*values):
        dtype = values[0].dtype
        if python is not None and values[0].size <= _FEW:
            return _each(python, values[0])
        formula = _formula(module, single if single and dtype != np.float64 else name)
        values = np.broadcast_arrays(*values)
        flat = [v.reshape(-1) for v in values]
        result = np.empty(flat[0].size, dtype)
        with np.errstate(all="ignore"):
            for start in range(0, result.size, _CHUNK):
                part = slice(start, start + _CHUNK)
                result[part] = formula(*[v[part].astype(np.float64) for v in flat])
        return result.reshape(values[0].shape)

    return kernel


def _each(python, x):
    """A Python function of one float, mapped over few elements."""
    if x.__class__ is not np.ndarray:
        return x.__class__(python(float(x)))
    return np.array([python(v) for v in x.reshape(-1).tolist()], x.dtype).reshape(x.shape)


def _between(low, high, count=1):
    """Registry samples with every input in an interval."""
    return lambda: [(tuple(sample(2, 3, low=low, high=high, seed=i) for i in range(count)), {})]


def _special(name, module, rule, *, accepts=FLOATS, python=None, single=None, low=0.3, high=1.7):
    """Register a special function of one input."""
    kernel = _kernel(module, name.removeprefix("bessel_"), python, single)
    return elementwise(name, kernel, rule, accepts=accepts, parameters=("x",), samples=_between(low, high))


# The error function

_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)

erf = _special("erf", "erf", lambda t, x: t * (_TWO_OVER_ROOT_PI * P.exp(-x * x)), python=math.erf, single="erf_single")
erfc = _special("erfc", "erf", lambda t, x: t * (-_TWO_OVER_ROOT_PI * P.exp(-x * x)), python=math.erfc)
erfinv = _special("erfinv", "erf", lambda t, out: t * (P.exp(out * out) / _TWO_OVER_ROOT_PI), low=-0.8, high=0.8)
erfcinv = _special("erfcinv", "erf", lambda t, out: t * (P.exp(out * out) / -_TWO_OVER_ROOT_PI), low=0.2)
ndtri = _special("ndtri", "erf", lambda t, out: t * (math.sqrt(2 * math.pi) * P.exp(out * out / 2)), low=0.1, high=0.9)

# Gamma functions. Derivatives in an order (of polygamma, zeta, betainc) are not defined here, as in TensorFlow.

lgamma = _special("lgamma", "gamma", lambda t, x: t * P.digamma(x))
digamma = _special("digamma", "gamma", lambda t, x: t * P.polygamma(P.ones_like(x), x))
polygamma = elementwise(
    "polygamma",
    _kernel("gamma", "polygamma"),
    None,
    lambda t, a, x: t * P.polygamma(a + 1, x),
    accepts=WIDE,
    parameters=("a", "x"),
    samples=lambda: [((np.array([[0.0], [1.0]]), sample(2, 3, low=0.5, high=3.0)), {})],
)
zeta = elementwise(
    "zeta",
    _kernel("gamma", "zeta"),
    None,
    lambda t, x, q: -t * x * P.zeta(x + 1, q),
    accepts=WIDE,
    parameters=("x", "q"),
    samples=_between(1.5, 3.0, 2),
)


def _gamma_density(a, x):
    return P.exp((a - 1) * P.log(x) - x - P.lgamma(a))


igamma = elementwise(
    "igamma",
    _kernel("incomplete", "igamma"),
    lambda t, a, x: t * P.igamma_grad_a(a, x),
    lambda t, a, x: t * _gamma_density(a, x),
    accepts=FLOATS,
    parameters=("a", "x"),
)
igammac = elementwise(
    "igammac",
    _kernel("incomplete", "igammac"),
    lambda t, a, x: -t * P.igamma_grad_a(a, x),
    lambda t, a, x: -t * _gamma_density(a, x),
    accepts=FLOATS,
    parameters=("a", "x"),
)


def _igamma_grad_aa(t, a, x):
    """A central difference of fourth order, as there is no formula: some 11 digits of float64."""
    h = P.stop_gradient(a) * 1e-3
    near = P.igamma_grad_a(a + h, x) - P.igamma_grad_a(a - h, x)
    far = P.igamma_grad_a(a + 2 * h, x) - P.igamma_grad_a(a - 2 * h, x)
    return t * (8 * near - far) / (12 * h)


igamma_grad_a = elementwise(
    "igamma_grad_a",
    _kernel("incomplete", "igamma_grad_a"),
    _igamma_grad_aa,
    lambda t, a, x: t * _gamma_density(a, x) * (P.log(x) - P.digamma(a)),
    accepts=FLOATS,
    parameters=("a", "x"),
)


def _no_second_slope(t):
    raise LookupError("gradient registry has no entry for: RandomGammaGrad: gamma samples have no second derivative here.")


random_gamma_grad = elementwise(
    "random_gamma_grad",
    _kernel("incomplete", "random_gamma_grad"),
    _no_second_slope,
    _no_second_slope,
    accepts=FLOATS,
    parameters=("alpha", "sample"),
    samples=lambda: [((sample(2, 3, low=0.5, high=5, dtype=np.float32), sample(3, low=0.2, high=9, dtype=np.float32)), {})],
)


def _betainc_dx(t, a, b, x):
    log_beta = P.lgamma(a) + P.lgamma(b) - P.lgamma(a + b)
    return t * P.exp(P.xlog1py(b - 1, -x) + P.xlogy(a - 1, x) - log_beta)


betainc = elementwise(
    "betainc",
    _kernel("incomplete", "betainc"),
    None,
    None,
    _betainc_dx,
    accepts=WIDE,
    parameters=("a", "b", "x"),
    samples=lambda: [((sample(3, low=0.5, high=3.0), sample(2, 1, low=0.5, high=3.0), sample(2, 3, low=0.2, high=0.8)), {})],
)

# Bessel functions


def _or_at_zero(x, value, limit):
    """`value`, but `limit` where x is 0."""
    return P.where(P.equal(x, P.zeros_like(x)), limit * P.ones_like(x), value)


bessel_i0 = _special("bessel_i0", "bessel", lambda t, x: t * P.bessel_i1(x))
bessel_i0e = _special("bessel_i0e", "bessel", lambda t, x, out: t * (P.bessel_i1e(x) - P.sign(x) * out))
bessel_i1 = _special("bessel_i1", "bessel", lambda t, x, out: t * (P.bessel_i0(x) - _or_at_zero(x, out / x, 0.5)))
bessel_i1e = _special(
    "bessel_i1e", "bessel", lambda t, x, out: t * (P.bessel_i0e(x) - P.sign(x) * out - _or_at_zero(x, out / x, 0.5))
)
bessel_j0 = _special("bessel_j0", "bessel", lambda t, x: -t * P.bessel_j1(x))
bessel_j1 = _special("bessel_j1", "bessel", lambda t, x, out: t * (P.bessel_j0(x) - _or_at_zero(x, out / x, 0.5)))
bessel_k0 = _special("bessel_k0", "bessel", lambda t, x: -t * P.bessel_k1(x))
bessel_k0e = _special("bessel_k0e", "bessel", lambda t, x, out: t * (out - P.bessel_k1e(x)))
bessel_k1 = _special("bessel_k1", "bessel", lambda t, x, out: -t * (P.bessel_k0(x) + out / x))
bessel_k1e = _special("bessel_k1e", "bessel", lambda t, x, out: t * (out * (1 - 1 / x) - P.bessel_k0e(x)))
bessel_y0 = _special("bessel_y0", "bessel", lambda t, x: -t * P.bessel_y1(x))
bessel_y1 = _special("bessel_y1", "bessel", lambda t, x, out: t * (P.bessel_y0(x) - out / x))

# Integrals


def _quarter_turns(x):
    return x * x * (math.pi / 2)


dawsn = _special("dawsn", "integrals", lambda t, x, out: t * (1 - 2 * x * out))
expint = _special("expint", "integrals", lambda t, x: t * P.exp(x) / x)
fresnel_cos = _special("fresnel_cos", "integrals", lambda t, x: t * P.cos(_quarter_turns(x)))
fresnel_sin = _special("fresnel_sin", "integrals", lambda t, x: t * P.sin(_quarter_turns(x)))
spence = _special(
    "spence",
    "integrals",
    lambda t, x: t * P.where(P.equal(x, P.ones_like(x)), -P.ones_like(x), P.log(x) / (1 - x)),
    low=1.2,
    high=3.0,
)
