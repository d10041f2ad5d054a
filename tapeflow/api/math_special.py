"""`tf.math`: the special functions, as tables; what needs more, below them."""

from tapeflow.api.export import export
from tapeflow.api.operands import is_tensor, matched, unary
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import NO_ATTRS, P, bind

# Public names below tf.math, primitive, what it computes, an example and what it prints.
UNARY = [
    ("erf", P.erf, "The error function.", "tf.math.erf([0.0, 1.0])", "[0.     0.8427]"),
    ("erfc", P.erfc, "1 - erf(x), accurate where it is small.", "tf.math.erfc([0.0, 1.0])", "[1.     0.1573]"),
    ("erfinv", P.erfinv, "The inverse of erf; nan outside [-1, 1].", "tf.math.erfinv([0.0, 0.5])", "[0.     0.4769]"),
    ("erfcinv", P.erfcinv, "The inverse of erfc; nan outside [0, 2].", "tf.math.erfcinv([0.5])", "[0.4769]"),
    ("ndtri", P.ndtri, "The quantile of the normal distribution.", "tf.math.ndtri([0.5, 0.975])", "[0.   1.96]"),
    ("lgamma", P.lgamma, "log(abs(gamma(x))).", "tf.math.lgamma([1.0, 5.0])", "[0.     3.1781]"),
    ("digamma", P.digamma, "The derivative of lgamma.", "tf.math.digamma([1.0, 2.0])", "[-0.5772  0.4228]"),
    ("special.bessel_j0", P.bessel_j0, "Bessel's function J of order 0.", "tf.math.special.bessel_j0([1.0])", "[0.7652]"),
    ("special.bessel_j1", P.bessel_j1, "Bessel's function J of order 1.", "tf.math.special.bessel_j1([1.0])", "[0.4401]"),
    ("special.bessel_y0", P.bessel_y0, "Bessel's function Y of order 0.", "tf.math.special.bessel_y0([1.0])", "[0.0883]"),
    ("special.bessel_y1", P.bessel_y1, "Bessel's function Y of order 1.", "tf.math.special.bessel_y1([1.0])", "[-0.7812]"),
    ("special.bessel_k0", P.bessel_k0, "Bessel's modified K of order 0.", "tf.math.special.bessel_k0([1.0])", "[0.421]"),
    ("special.bessel_k0e", P.bessel_k0e, "exp(x) K0(x).", "tf.math.special.bessel_k0e([1.0])", "[1.1445]"),
    ("special.bessel_k1", P.bessel_k1, "Bessel's modified K of order 1.", "tf.math.special.bessel_k1([1.0])", "[0.6019]"),
    ("special.bessel_k1e", P.bessel_k1e, "exp(x) K1(x).", "tf.math.special.bessel_k1e([1.0])", "[1.6362]"),
    ("special.dawsn", P.dawsn, "Dawson's integral.", "tf.math.special.dawsn([1.0])", "[0.5381]"),
    ("special.expint", P.expint, "The exponential integral Ei.", "tf.math.special.expint([1.0])", "[1.8951]"),
    ("special.fresnel_cos", P.fresnel_cos, "Fresnel's C(x).", "tf.math.special.fresnel_cos([1.0])", "[0.7799]"),
    ("special.fresnel_sin", P.fresnel_sin, "Fresnel's S(x).", "tf.math.special.fresnel_sin([1.0])", "[0.4383]"),
    ("special.spence", P.spence, "The dilogarithm of 1 - x.", "tf.math.special.spence([0.0, 1.0])", "[1.6449 0.    ]"),
]
# TensorFlow has two functions for each of these, tf.math.name and tf.math.special.name.
TWICE = [
    ("bessel_i0", P.bessel_i0, "Bessel's modified I of order 0.", "bessel_i0([1.0])", "[1.2661]"),
    ("bessel_i0e", P.bessel_i0e, "exp(-abs(x)) I0(x).", "bessel_i0e([1.0])", "[0.4658]"),
    ("bessel_i1", P.bessel_i1, "Bessel's modified I of order 1.", "bessel_i1([1.0])", "[0.5652]"),
    ("bessel_i1e", P.bessel_i1e, "exp(-abs(x)) I1(x).", "bessel_i1e([1.0])", "[0.2079]"),
]

_FUNCTIONS = [unary(op, f"math.{name}", *rest) for name, op, *rest in UNARY]
_FUNCTIONS += [
    unary(op, f"math.{name} math.special.{name}", text, f"tf.math.{call}", result) for name, op, text, call, result in TWICE
]
__test__ = {function.__name__: function for function in _FUNCTIONS}  # where doctest finds the examples of the tables


@export("math.polygamma")
def polygamma(a, x, name=None):
    """The derivative of order `a` of digamma, for whole numbers `a` (digamma itself for 0); nan for others.

    Args:
        a, x: float32 or float64, of one dtype, whose shapes broadcast.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.polygamma([1.0, 2.0], 1.0).numpy().round(4))
        [ 1.6449 -2.4041]
    """
    return bind(P.polygamma, matched(a, x), NO_ATTRS)


@export("math.zeta")
def zeta(x, q, name=None):
    """Hurwitz's zeta function, the sum of (q + n)**-x over n = 0, 1, ...; nan for x < 1.

    Args:
        x, q: float32 or float64, of one dtype, whose shapes broadcast.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.zeta([2.0, 4.0], 1.0).numpy().round(4))
        [1.6449 1.0823]
    """
    return bind(P.zeta, matched(x, q), NO_ATTRS)


@export("math.igamma")
def igamma(a, x, name=None):
    """The lower regularised incomplete gamma function P(a, x); nan where an argument is negative.

    Args:
        a, x: floats of one dtype, whose shapes broadcast. Both have gradients.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.igamma(2.0, [0.0, 2.0]).numpy().round(4))
        [0.    0.594]
    """
    return bind(P.igamma, matched(a, x), NO_ATTRS)


@export("math.igammac")
def igammac(a, x, name=None):
    """The upper regularised incomplete gamma function Q(a, x) = 1 - P(a, x), accurate where it is small.

    Args:
        a, x: floats of one dtype, whose shapes broadcast. Both have gradients.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.igammac(2.0, [0.0, 2.0]).numpy().round(4))
        [1.    0.406]
    """
    return bind(P.igammac, matched(a, x), NO_ATTRS)


@export("math.betainc")
def betainc(a, b, x, name=None):
    """The regularised incomplete beta function I_x(a, b); nan unless a, b > 0 and 0 <= x <= 1.

    Args:
        a, b, x: float32 or float64, of one dtype and shape; scalars broadcast. Only `x` has a gradient.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.betainc(2.0, 3.0, [0.5, 1.0]).numpy().round(4))
        [0.6875 1.    ]
    """
    first = next((v for v in (a, b, x) if is_tensor(v)), a)
    dtype = convert_to_tensor(first)._dtype
    a, b, x = [convert_to_tensor(v, None if is_tensor(v) else dtype) for v in (a, b, x)]
    shapes = dict.fromkeys(v.dims for v in (a, b, x) if v.dims and None not in v.dims)
    if len(shapes) > 1:
        raise invalid("betainc", f"Shapes of a, b and x are inconsistent: {' vs. '.join(map(str, map(list, shapes)))}")
    return P.betainc(a, b, x)


@export("math.lbeta")
def lbeta(x, name=None):
    """log(abs(beta(x))) along the last axis: the sum of lgamma less lgamma of the sum.

    Args:
        x: floats of shape [..., n].

    Returns:
        A tensor of shape [...].

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.lbeta([[1.0, 2.0], [3.0, 0.5]]).numpy().round(4))
        [-0.6931  0.0645]
    """
    x = convert_to_tensor(x)
    total = P.lgamma(P.sum(x, axis=(-1,), keepdims=False))
    return P.sum(P.lgamma(x), axis=(-1,), keepdims=False) - total
