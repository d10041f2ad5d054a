"""Reductions over axes, and cumulative sums and products."""

import math

import ml_dtypes
import numpy as np

from tapeflow.base.dtypes import bool_, float64
from tapeflow.base.errors import invalid
from tapeflow.base.shape import normalize_axes
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.record import shape_of
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import NUMBERS, REALS


def reduced_dims(name, dims, axis, keepdims):
    """The shape after a reduction over `axis` (a tuple, or None for all)."""
    if dims is None:
        return () if axis is None and not keepdims else None
    axes = range(len(dims)) if axis is None else _axes(name, axis, len(dims))
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(dims))
    return tuple(n for i, n in enumerate(dims) if i not in axes)


def _axes(name, axis, rank):
    try:
        return normalize_axes(axis, rank)
    except ValueError as error:
        raise invalid(name, f"Invalid reduction dimension: {error}") from None


def spread(g, shape, axis, keepdims):
    """Broadcast a reduction's cotangent back to the shape that was reduced."""
    return P.broadcast_to(_kept(g, shape, axis, keepdims), shape=shape)


def _kept(g, shape, axis, keepdims):
    """`g` with the reduced axes put back as ones."""
    if keepdims:
        return g
    rank = len(shape) if isinstance(shape, tuple) else shape.dims[0]
    axes = range(rank) if axis is None else normalize_axes(axis, rank)
    if isinstance(shape, tuple):
        return P.reshape(g, shape=tuple(1 if i in axes else n for i, n in enumerate(shape)))
    return P.expand_dims(g, axis=tuple(sorted(axes)))


def batch_reduce(op, inputs, batched, attrs):
    """Reduce each example: the axes move behind the batch axis."""
    (x,) = inputs
    rank = len(x.dims) - 1
    axis = tuple(range(rank)) if attrs["axis"] is None else normalize_axes(attrs["axis"], rank)
    return op(x, **{**attrs, "axis": tuple(i + 1 for i in axis)})


def reduction(name, function, *, vjp=None, jvp=None, accepts=NUMBERS, result=None):
    """Register a reduction `function(x, axis=, keepdims=)`; its attrs are `axis` (a tuple or None) and `keepdims`."""

    def kernel(x, *, axis=None, keepdims=False):
        return function(x, axis=axis, keepdims=keepdims)

    def infer(x, *, axis=None, keepdims=False):
        return Spec(reduced_dims(name, x.shape, axis, keepdims), result or x.dtype)

    return Primitive(
        name, kernel, infer, vjp=vjp, jvp=jvp, batch=batch_reduce, lower="reduce", accepts=accepts
    )


def _narrow(function):
    """NumPy widens small integers when it sums; TensorFlow keeps the dtype. Half floats accumulate in float32."""

    def narrowed(x, axis, keepdims):
        if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
            return function(x.astype(np.float32), axis=axis, keepdims=keepdims).astype(x.dtype)
        return function(x, axis=axis, keepdims=keepdims, dtype=x.dtype)

    return narrowed


_total = _narrow(np.add.reduce)


def _mean(x, axis, keepdims):
    total = _total(x, axis, keepdims)
    count = x.size if axis is None else math.prod(x.shape[i] for i in axis)
    if x.dtype.kind in "iu":
        if not count:
            raise invalid("mean", "Integer division by zero")
        return (np.sign(total) * (np.abs(total) // count)).astype(x.dtype)
    return (total / np.asarray(count, total.dtype)).astype(x.dtype)


def _mean_vjp(g, x_shape, *, axis=None, keepdims=False):
    return P.truediv(spread(g, x_shape, axis, keepdims), P.cast(_count(x_shape, axis), dtype=g._dtype))


def _count(shape, axis):
    """How many elements one result was made of, as a 0-d tensor."""
    if isinstance(shape, tuple):
        axes = range(len(shape)) if axis is None else normalize_axes(axis, len(shape))
        return P.fill(shape=(), value=math.prod(shape[i] for i in axes), dtype=float64)
    if axis is not None:
        shape = P.gather(shape, P.constant(value=normalize_axes(axis, shape.dims[0])))
    return P.prod(shape, axis=None)


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
    _total,
    vjp=(lambda g, x_shape, *, axis=None, keepdims=False: spread(g, x_shape, axis, keepdims),),
    jvp="linear",
)
mean = reduction("mean", _mean, vjp=(_mean_vjp,), jvp="linear")
max = reduction("max", _empty_extreme(np.maximum.reduce, True), vjp=(_extreme_vjp,), jvp=(_extreme_jvp,), accepts=REALS)
min = reduction("min", _empty_extreme(np.minimum.reduce, False), vjp=(_extreme_vjp,), jvp=(_extreme_jvp,), accepts=REALS)
all = reduction("all", np.logical_and.reduce, accepts={bool_}, result=bool_)
any = reduction("any", np.logical_or.reduce, accepts={bool_}, result=bool_)


def _prod_vjp(g, x, *, axis=None, keepdims=False):
    """Each factor's cotangent is the product of all the others: no division, so zeros are no trouble."""
    rank = len(x.dims)
    axes = tuple(range(rank)) if axis is None else tuple(sorted(normalize_axes(axis, rank)))
    others = tuple(i for i in range(rank) if i not in axes)
    order = others + axes
    shape = shape_of(x)
    if not isinstance(shape, tuple):
        raise invalid("prod", f"the gradient of a product needs a known shape, got {x.shape}")
    moved = P.transpose(x, perm=order)
    flat = P.reshape(moved, shape=(*[shape[i] for i in others], math.prod(shape[i] for i in axes)))
    last = len(others)
    left = P.cumprod(flat, axis=last, exclusive=True, reverse=False)
    right = P.cumprod(flat, axis=last, exclusive=True, reverse=True)
    back = tuple(np.argsort(order).tolist())
    rest = P.transpose(P.reshape(left * right, shape=moved.dims), perm=back)
    return P.conj(rest) * _kept(g, shape, axis, keepdims) if x._dtype.is_complex else rest * _kept(g, shape, axis, keepdims)


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
        raise invalid("cumsum", f"Expected scan axis in the range [-{len(x.shape)}, {len(x.shape)}), but got {axis}")
    return x


def _batch_scan(op, inputs, batched, attrs):
    axis = attrs["axis"]
    return op(*inputs, **{**attrs, "axis": axis + 1 if axis >= 0 else axis})


def _cumprod_vjp(g, x, out, *, axis, exclusive=False, reverse=False):
    """The cotangent sum g_j out_j over later j, divided by x; zeros of x make nan, as in TensorFlow."""
    total = P.cumsum(g * (P.conj(out) if x._dtype.is_complex else out), axis=axis, exclusive=exclusive, reverse=not reverse)
    return total / (P.conj(x) if x._dtype.is_complex else x)


cumsum = Primitive(
    "cumsum",
    _scan(np.cumsum, 0),
    _scan_infer,
    vjp=(lambda g, *, axis, exclusive=False, reverse=False: P.cumsum(g, axis=axis, exclusive=exclusive, reverse=not reverse),),
    jvp="linear",
    batch=_batch_scan,
    accepts=NUMBERS,
)
cumprod = Primitive(
    "cumprod", _scan(np.cumprod, 1), _scan_infer, vjp=(_cumprod_vjp,), batch=_batch_scan, accepts=NUMBERS
)
