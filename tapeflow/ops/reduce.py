"""Reductions over axes, and cumulative sums and products."""

import functools
import math

import ml_dtypes
import numpy as np

from tapeflow.base.dtypes import bool_, int32
from tapeflow.base.errors import invalid
from tapeflow.base.shape import normalize_axes
from tapeflow.core.primitive import P, Primitive, bind
from tapeflow.core.rules import shape_of
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS, NUMBERS, REALS, sample


def reduced_dims(name, dims, axis, keepdims):
    """The shape after a reduction over `axis` (a tuple, or None for all)."""
    if dims is None:
        return () if axis is None and not keepdims else None
    axes = range(len(dims)) if axis is None else _axes(name, axis, len(dims))
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(dims))
    return tuple(n for i, n in enumerate(dims) if i not in axes)


def _axes(name, axis, rank):
    found = []
    for i in axis:
        if not -rank <= i < rank:
            raise invalid(name, f"Invalid reduction dimension ({i} for input with {rank} dimension(s))")
        if i % rank in found:
            raise invalid(name, f"Invalid reduction arguments: Axes contains duplicate dimension: {i % rank}")
        found.append(i % rank)
    return found


def spread(g, shape, axis, keepdims):
    """Broadcast a reduction's cotangent back to the shape that was reduced."""
    return bind(P.broadcast_to, (_kept(g, shape, axis, keepdims),), {"shape": shape})


def _kept(g, shape, axis, keepdims):
    """`g` with the reduced axes put back as ones, or as it is where it broadcasts so anyhow."""
    if keepdims or axis is None:
        return g
    if isinstance(shape, tuple):
        axes = normalize_axes(axis, len(shape))
        return P.reshape(g, shape=tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return P.expand_dims(g, axis=axis)


def batch_reduce(op, inputs, batched, attrs):
    """Reduce each example: the axes move behind the batch axis."""
    (x,) = inputs
    rank = len(x.dims) - 1
    axis = tuple(range(rank)) if attrs["axis"] is None else normalize_axes(attrs["axis"], rank)
    return op(x, **{**attrs, "axis": tuple(i + 1 for i in axis)})


def reduction(name, function, *, vjp=None, jvp=None, accepts=NUMBERS, result=None, samples=None):
    """Register a reduction `function(x, axis=, keepdims=)`; its attrs are `axis` (a tuple or None) and `keepdims`."""

    def kernel(x, *, axis=None, keepdims=False):
        return function(x, axis=axis, keepdims=keepdims)

    def infer(x, *, axis=None, keepdims=False):
        return Spec(reduced_dims(name, x.shape, axis, keepdims), result or x.dtype)

    return Primitive(
        name, kernel, infer, vjp=vjp, jvp=jvp, batch=batch_reduce, lower="reduce", accepts=accepts, samples=samples
    )


def _is_half(dtype):
    return dtype.itemsize == 2 and dtype.kind not in "iu"


def _narrow(function):
    """NumPy widens small integers when it sums; TensorFlow keeps the dtype. Half floats accumulate in float32."""

    def narrowed(x, axis, keepdims):
        if _is_half(x.dtype):
            return function(x.astype(np.float32), axis=axis, keepdims=keepdims).astype(x.dtype)
        return function(x, axis=axis, keepdims=keepdims, dtype=x.dtype)

    return narrowed


def _mean(x, axis, keepdims):
    """The mean; of integers rounded toward zero, and 0 where there are none."""
    count = x.size if axis is None else math.prod([x.shape[i] for i in axis])
    if x.dtype.kind in "iu":
        total = np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=np.int64 if x.dtype.kind == "i" else np.uint64)
        return (np.sign(total) * (np.abs(total) // np.maximum(count, 1).astype(total.dtype))).astype(x.dtype)
    total = np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=np.float32 if _is_half(x.dtype) else x.dtype)
    mean = total / total.dtype.type(count)
    return mean if mean.dtype is x.dtype else mean.astype(x.dtype)


def _mean_vjp(g, x_shape, *, axis=None, keepdims=False):
    return spread(g / _count(x_shape, axis, g._dtype), x_shape, axis, keepdims)


def _count(shape, axis, dtype):
    """How many elements one result was made of: an int, or a 0-d tensor of `dtype`."""
    if isinstance(shape, tuple):
        return math.prod(shape if axis is None else [shape[i] for i in axis])
    if axis is None:
        count = P.prod(shape, axis=None, keepdims=False)
    else:
        count = functools.reduce(P.mul, [P.strided_slice(shape, key=(i,)) for i in axis], P.constant(value=1))
    return P.cast(count, dtype=dtype)


def _extreme_vjp(g, x, out, *, axis=None, keepdims=False):
    """Equal extremes share the cotangent evenly, as in TensorFlow."""
    hits = P.cast(P.equal(x, _kept(out, shape_of(x), axis, keepdims)), dtype=x._dtype)
    share = P.truediv(hits, P.sum(hits, axis=axis, keepdims=True))
    return share * _kept(g, shape_of(x), axis, keepdims)


def _extreme_jvp(t, x, out, *, axis=None, keepdims=False):
    hits = P.cast(P.equal(x, _kept(out, shape_of(x), axis, keepdims)), dtype=x._dtype)
    share = P.truediv(hits, P.sum(hits, axis=axis, keepdims=True))
    return P.sum(share * t, axis=axis, keepdims=keepdims)


def _empty_extreme(function, lowest):
    """`function` with the identity for empty axes: infinities for floats, the dtype's limits for integers."""

    def kernel(x, axis, keepdims):
        limits = ml_dtypes.iinfo(x.dtype) if x.dtype.kind in "iu" else None
        initial = (limits.min if lowest else limits.max) if limits else (-np.inf if lowest else np.inf)
        if x.size:
            return function(x, axis=axis, keepdims=keepdims)
        return function(x, axis=axis, keepdims=keepdims, initial=x.dtype.type(initial))

    return kernel


sum = reduction(
    "sum",
    _narrow(np.add.reduce),
    vjp=(lambda g, x_shape, *, axis=None, keepdims=False: spread(g, x_shape, axis, keepdims),),
    jvp="linear",
)
mean = reduction("mean", _mean, vjp=(_mean_vjp,), jvp="linear")
max = reduction("max", _empty_extreme(np.maximum.reduce, True), vjp=(_extreme_vjp,), jvp=(_extreme_jvp,), accepts=REALS)
min = reduction("min", _empty_extreme(np.minimum.reduce, False), vjp=(_extreme_vjp,), jvp=(_extreme_jvp,), accepts=REALS)


def _logsumexp(x, axis, keepdims):
    """log(sum(exp(x))) by way of the largest element; where that is infinite nothing is taken off."""
    wide = x.astype(np.float32) if _is_half(x.dtype) else x
    high = np.maximum.reduce(wide, axis=axis, keepdims=True, initial=-np.inf)
    high = np.where(np.isfinite(high), high, wide.dtype.type(0))
    result = np.log(np.add.reduce(np.exp(wide - high), axis=axis, keepdims=True)) + high
    return (result if keepdims else np.squeeze(result, axis)).astype(x.dtype, copy=False)


def _softmax(x, out, axis, keepdims):
    return P.exp(x - _kept(out, shape_of(x), axis, keepdims))


logsumexp = reduction(
    "logsumexp",
    _logsumexp,
    vjp=(
        lambda g, x, out, *, axis=None, keepdims=False: (
            _kept(g, shape_of(x), axis, keepdims) * _softmax(x, out, axis, keepdims)
        ),
    ),
    jvp=(
        lambda t, x, out, *, axis=None, keepdims=False: P.sum(
            t * _softmax(x, out, axis, keepdims), axis=axis, keepdims=keepdims
        ),
    ),
    accepts=FLOATS,
)
all = reduction("all", np.logical_and.reduce, accepts={bool_}, result=bool_)
any = reduction("any", np.logical_or.reduce, accepts={bool_}, result=bool_)


def _prod_vjp(g, x, *, axis=None, keepdims=False):
    """Each factor's cotangent is the product of all the others: no division, so zeros are no trouble."""
    if x.dims is None and axis is None:
        others = P.reshape(_product_of_others(P.reshape(x, shape=(-1,)), (0,)), shape=shape_of(x))
    elif x.dims is None:
        raise invalid("prod", f"the gradient of a product over axis {axis} needs a known rank, got the shape {x.shape}")
    else:
        others = _product_of_others(x, normalize_axes(axis, len(x.dims)))
    return (P.conj(others) if x._dtype.is_complex else others) * _kept(g, shape_of(x), axis, keepdims)


def _product_of_others(x, axes):
    """For each element the product of all others that share a reduction over `axes` with it."""
    if not axes:
        return P.ones_like(x)
    *rest, last = axes
    before = P.cumprod(x, axis=last, exclusive=True, reverse=False)
    others = before * P.cumprod(x, axis=last, exclusive=True, reverse=True)
    return others * _product_of_others(P.prod(x, axis=(last,), keepdims=True), rest) if rest else others


prod = reduction("prod", _narrow(np.multiply.reduce), vjp=(_prod_vjp,))


def _scan(function, identity):
    def kernel(x, *, axis, exclusive=False, reverse=False):
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(axis)
        y = np.flip(x, axis) if reverse else x
        wide = y.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else y
        result = function(wide, axis=axis, dtype=wide.dtype).astype(x.dtype, copy=False)
        if exclusive:
            result = np.roll(result, 1, axis)
            first = [slice(None)] * x.ndim
            first[axis] = slice(0, 1)
            result[tuple(first)] = identity
        return np.ascontiguousarray(np.flip(result, axis)) if reverse else result

    return kernel


def _scan_infer(x, *, axis, exclusive=False, reverse=False):
    if x.shape is not None and not -len(x.shape) <= axis < len(x.shape):
        rank = len(x.shape)
        raise invalid("cumsum", f"ScanOp: Expected scan axis in the range [{-rank}, {rank}), but got {axis}")
    return x


def _batch_scan(op, inputs, batched, attrs):
    axis = attrs["axis"]
    return op(*inputs, **{**attrs, "axis": axis + 1 if axis >= 0 else axis})


def _cumprod_vjp(g, x, out, *, axis, exclusive=False, reverse=False):
    """The sum of g_j out_j over the later j, divided by x: by 1 at the first zero, which is also taken for 1 in out.

    TensorFlow gives 0 wherever x is 0, although the products up to the next zero do grow with the first.
    """
    out, conj_x = (P.conj(out), P.conj(x)) if x._dtype.is_complex else (out, x)

    def later(products):
        return P.cumsum(g * products, axis=axis, exclusive=exclusive, reverse=not reverse)

    is_zero = P.equal(x, P.zeros_like(x))
    before = P.cumsum(P.cast(is_zero, dtype=int32), axis=axis, exclusive=True, reverse=reverse)
    first = P.logical_and(is_zero, P.equal(before, P.zeros_like(before)))
    skipping = P.cumprod(P.where(first, P.ones_like(x), conj_x), axis=axis, exclusive=exclusive, reverse=reverse)
    return P.where(first, later(skipping), P.div_no_nan(later(out), conj_x))


def _logaddexp_scan(x, axis, dtype):
    """Sums of exponentials of what came before, in logarithms; in float64, as rounding errors accumulate."""
    return np.logaddexp.accumulate(x, axis=axis, dtype=np.float64)


def _logsumexp_vjp(g, x, out, *, axis, exclusive=False, reverse=False):
    """exp(x) times the sum of g exp(-out) over the later elements; each sign of g in logarithms, so nothing overflows."""

    def part(g):
        safe = P.where(P.greater(g, P.zeros_like(g)), g, P.zeros_like(g))
        scaled = P.where(P.is_finite(out), P.log(safe) - out, P.log(P.zeros_like(g)))
        return P.exp(P.cumulative_logsumexp(scaled, axis=axis, exclusive=exclusive, reverse=not reverse) + x)

    return part(g) - part(-g)


def _scan_samples():
    flags = [{"exclusive": exclusive, "reverse": reverse} for exclusive in (False, True) for reverse in (False, True)]
    return [((sample(2, 3, 5),), {"axis": axis, **flag}) for axis, flag in zip((0, 1, -1, -2), flags, strict=True)]


def _cumsum_vjp(g, *, axis, exclusive=False, reverse=False):
    return P.cumsum(g, axis=axis, exclusive=exclusive, reverse=not reverse)


cumsum = Primitive(
    "cumsum",
    _scan(np.cumsum, 0),
    _scan_infer,
    vjp=(_cumsum_vjp,),
    jvp="linear",
    batch=_batch_scan,
    accepts=NUMBERS,
    samples=_scan_samples,
)
cumprod = Primitive(
    "cumprod",
    _scan(np.cumprod, 1),
    _scan_infer,
    vjp=(_cumprod_vjp,),
    batch=_batch_scan,
    accepts=NUMBERS,
    samples=_scan_samples,
)
cumulative_logsumexp = Primitive(
    "cumulative_logsumexp",
    _scan(_logaddexp_scan, -np.inf),
    _scan_infer,
    vjp=(_logsumexp_vjp,),
    batch=_batch_scan,
    accepts=FLOATS,
    # Exclusive scans begin with -inf, which differences cannot see through.
    samples=lambda: [entry for entry in _scan_samples() if not entry[1]["exclusive"]],
)
