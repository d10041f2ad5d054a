"""Pooling over spatial windows of [batch, *spatial, channels]: greatest and mean elements, with gradients of any
order."""

import functools

import numpy as np

from tapeflow.base import dtypes
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS, REALS, sample
from tapeflow.ops.nn import widened
from tapeflow.ops.window import batch_merged, blocks, geometry, inside, padded, taps


def _pool_infer(name):
    def infer(x, *, ksize, strides, dilations, padding):
        if x.shape is None:
            return Spec((None,) * (len(ksize) + 2), x.dtype)
        if len(x.shape) != len(ksize) + 2:
            raise invalid(name, f"tensor_in must be {len(ksize) + 2}-dimensional: its shape is {list(x.shape)}")
        if min(ksize) <= 0:
            raise invalid(name, f"Sliding window ksize must be positive: {list(ksize)}")
        out, _ = geometry(name, x.shape[1:-1], ksize, strides, dilations, padding)
        return Spec((x.shape[0], *out, x.shape[-1]), x.dtype)

    return infer


def _frame(name, x_shape, ksize, strides, dilations, padding):
    """The size of the result and the padding; raises for what `infer` refuses."""
    if len(x_shape) != len(ksize) + 2 or min(ksize) <= 0:
        raise ValueError(x_shape)
    return geometry(name, x_shape[1:-1], ksize, strides, dilations, padding)


# The greatest element. Which one it was decides where a cotangent goes: the first in the window's order.


def _least(dtype):
    """The number that no maximum is less than."""
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    return -np.inf


def _max_kernel(x, *, ksize, strides, dilations, padding):
    out, pads = _frame("MaxPool", x.shape, ksize, strides, dilations, padding)
    source = padded(x, pads, _least(x.dtype))
    result = np.empty((len(x), *out, x.shape[-1]), x.dtype)
    if result.size:
        for images, _ in blocks(len(x), 1, source[0].nbytes):
            block, target = source[images], result[images]
            for number, (_, index) in enumerate(taps(ksize, strides, dilations, out)):
                if number:
                    np.maximum(target, block[index], out=target)
                else:
                    target[...] = block[index]
    return result


def _hits(x, out, ksize, strides, dilations, padding):
    """For each tap its index in the padded input, and a mask of the windows whose greatest element stands there."""
    sizes, pads = _frame("MaxPoolGrad", x.shape, ksize, strides, dilations, padding)
    if out.shape != (len(x), *sizes, x.shape[-1]):
        raise ValueError(out.shape)
    source = padded(x, pads, _least(x.dtype))
    open_ = np.ones(out.shape, bool)
    if not out.size:
        return
    for _, index in taps(ksize, strides, dilations, sizes):
        hit = source[index] == out
        if len(ksize) < 3:  # in three dimensions TensorFlow's gradient goes to all of equal elements
            hit &= open_
            open_ ^= hit
        yield index, hit


def _max_grad_kernel(g, x, out, *, ksize, strides, dilations, padding):
    if g.shape != out.shape:
        raise ValueError(g.shape)
    _, pads = _frame("MaxPoolGrad", x.shape, ksize, strides, dilations, padding)
    spatial = x.shape[1:-1]
    result = np.zeros((len(x), *[n + a + b for n, (a, b) in zip(spatial, pads, strict=True)], x.shape[-1]), g.dtype)
    # A product with the mask is four times quicker than a masked sum, but would spread an infinity as nan.
    finite = bool(np.isfinite(g).all())
    for index, hit in _hits(x, out, ksize, strides, dilations, padding):
        if finite:
            result[index] += g * hit
        else:
            np.add(result[index], g, out=result[index], where=hit)
    return np.ascontiguousarray(result[inside(pads, spatial)])


def _max_pick_kernel(t, x, out, *, ksize, strides, dilations, padding):
    if t.shape != x.shape:
        raise ValueError(t.shape)
    _, pads = _frame("MaxPoolGradGrad", x.shape, ksize, strides, dilations, padding)
    source = padded(t, pads)
    result = np.zeros(out.shape, t.dtype)
    for index, hit in _hits(x, out, ksize, strides, dilations, padding):
        np.add(result, source[index], out=result, where=hit)
    return result


def _argmax_kernel(x, *, ksize, strides, dilations, padding, include_batch=False, dtype=dtypes.int64):
    out, pads = _frame("MaxPoolWithArgmax", x.shape, ksize, strides, dilations, padding)
    source = padded(x, pads, _least(x.dtype))
    image = x[0].size if len(x) else 0
    places = padded(np.arange(image).reshape(1, *x.shape[1:]), pads)
    result = np.empty((len(x), *out, x.shape[-1]), x.dtype)
    found = np.zeros(result.shape, dtype.numpy_dtype)
    if result.size:
        for number, (_, index) in enumerate(taps(ksize, strides, dilations, out)):
            better = source[index] > result if number else np.ones(result.shape, bool)
            np.copyto(result, source[index], where=better)
            np.copyto(found, places[index], where=better, casting="same_kind")
        if include_batch:
            found += (np.arange(len(x)) * image).astype(found.dtype).reshape(-1, *(1,) * (x.ndim - 1))
    return result, found


def _argmax_infer(x, *, ksize, strides, dilations, padding, include_batch=False, dtype=dtypes.int64):
    spec = _pool_infer("MaxPoolWithArgmax")(x, ksize=ksize, strides=strides, dilations=dilations, padding=padding)
    return spec, Spec(spec.shape, dtype)


def _argmax_vjp(g, wanted, x, out, *, ksize, strides, dilations, padding):
    return (P.max_pool_grad(g[0], x, out[0], ksize=ksize, strides=strides, dilations=dilations, padding=padding),)


def _argmax_jvp(tangents, inputs, out, *, include_batch=False, dtype=dtypes.int64, **attrs):
    return P.max_pool_pick(tangents[0], inputs[0], out[0], **attrs), None


# The mean; padding does not count


@functools.lru_cache(maxsize=256)
def _counts(spatial, ksize, strides, dilations, padding, dtype):
    """How many elements of the input each window has: [1, *out, 1]."""
    out, pads = geometry("AvgPool", spatial, ksize, strides, dilations, padding)
    total = np.ones((1,) * (len(out) + 2), dtype)
    for axis, (n, k, s, d, size, (before, _)) in enumerate(zip(spatial, ksize, strides, dilations, out, pads, strict=True)):
        at = np.arange(size)[:, None] * s + np.arange(k) * d - before
        count = np.count_nonzero((at >= 0) & (at < n), axis=1)
        total = total * count.reshape(-1, *(1,) * (len(out) - axis)).astype(dtype)
    return total


def _avg_kernel(x, *, ksize, strides, dilations, padding):
    out, pads = _frame("AvgPool", x.shape, ksize, strides, dilations, padding)
    source = padded(widened(x), pads)
    result = np.zeros((len(x), *out, x.shape[-1]), source.dtype)
    if result.size:
        counts = _counts(x.shape[1:-1], ksize, strides, dilations, padding, source.dtype)
        for images, _ in blocks(len(x), 1, source[0].nbytes):
            block, target = source[images], result[images]
            for _, index in taps(ksize, strides, dilations, out):
                target += block[index]
            target /= counts
    return result.astype(x.dtype, copy=False)


def _avg_grad_kernel(g, *, shape, ksize, strides, dilations, padding):
    shape = tuple(shape)
    out, pads = _frame("AvgPoolGrad", shape, ksize, strides, dilations, padding)
    if g.shape != (shape[0], *out, shape[-1]):
        raise ValueError(g.shape)
    spatial = shape[1:-1]
    wide = widened(g)
    result = np.zeros((shape[0], *[n + a + b for n, (a, b) in zip(spatial, pads, strict=True)], shape[-1]), wide.dtype)
    if g.size:
        share = wide / _counts(spatial, ksize, strides, dilations, padding, wide.dtype)
        for _, index in taps(ksize, strides, dilations, out):
            result[index] += share
    return np.ascontiguousarray(result[inside(pads, spatial)].astype(g.dtype, copy=False))


# Registration


def _max_samples():
    x = np.random.default_rng(3).permutation(np.linspace(-2, 2, 180)).reshape(2, 5, 6, 3)
    window = {"ksize": (2, 3), "strides": (1, 2), "dilations": (1, 1)}
    return [
        (x, {**window, "padding": "SAME"}),
        (x, {**window, "padding": "VALID"}),
        (x[:, 0], {"ksize": (2,), "strides": (2,), "dilations": (2,), "padding": ((1, 0),)}),
    ]


def _max_grad_samples(first):
    """Samples of the ops that take a cotangent or tangent, the input and the result."""

    def make():
        found = []
        for x, attrs in _max_samples():
            out = _max_kernel(x, **attrs)
            found.append(((sample(*(out if first == "out" else x).shape), x, out), attrs))
        return found

    return make


def _window(attrs):
    return {name: attrs[name] for name in ("ksize", "strides", "dilations", "padding")}


def _max_rule(op_name):
    """A rule that routes a cotangent or tangent by where the maxima are."""

    def rule(t, x, out, *, ksize, strides, dilations, padding):
        return getattr(P, op_name)(t, x, out, ksize=ksize, strides=strides, dilations=dilations, padding=padding)

    return rule


_to_input, _from_input = _max_rule("max_pool_grad"), _max_rule("max_pool_pick")

max_pool = Primitive(
    "max_pool",
    _max_kernel,
    _pool_infer("MaxPool"),
    vjp=(_to_input,),
    jvp=(_from_input,),
    batch=batch_merged,
    accepts=REALS,
    samples=lambda: [((x,), attrs) for x, attrs in _max_samples()],
)
max_pool_grad = Primitive(
    "max_pool_grad",
    _max_grad_kernel,
    lambda g, x, out, **attrs: x,
    vjp=(_from_input, None, None),
    jvp=(_to_input, None, None),
    batch=batch_merged,
    accepts=REALS,
    samples=_max_grad_samples("out"),
)
max_pool_pick = Primitive(
    "max_pool_pick",
    _max_pick_kernel,
    lambda t, x, out, **attrs: out,
    vjp=(_to_input, None, None),
    jvp=(_from_input, None, None),
    batch=batch_merged,
    accepts=REALS,
    samples=_max_grad_samples("x"),
)
max_pool_argmax = Primitive(
    "max_pool_argmax",
    _argmax_kernel,
    _argmax_infer,
    vjp=_argmax_vjp,
    jvp=_argmax_jvp,
    accepts=REALS,
    multiple=True,
    partial=True,
    samples=lambda: [((x,), attrs) for x, attrs in _max_samples()],
)
avg_pool = Primitive(
    "avg_pool",
    _avg_kernel,
    _pool_infer("AvgPool"),
    vjp=(
        lambda g, x_shape, *, ksize, strides, dilations, padding: P.avg_pool_grad(
            g, shape=x_shape, ksize=ksize, strides=strides, dilations=dilations, padding=padding
        ),
    ),
    jvp="linear",
    batch=batch_merged,
    accepts=FLOATS,
    samples=lambda: [((x,), attrs) for x, attrs in _max_samples()],
)
avg_pool_grad = Primitive(
    "avg_pool_grad",
    _avg_grad_kernel,
    lambda g, *, shape, **attrs: Spec(known_dims(shape), g.dtype),
    vjp=(
        lambda t, *, ksize, strides, dilations, padding: P.avg_pool(
            t, ksize=ksize, strides=strides, dilations=dilations, padding=padding
        ),
    ),
    jvp="linear",
    batch=batch_merged,
    accepts=FLOATS,
    samples=lambda: [
        ((sample(*_avg_kernel(x, **attrs).shape),), {"shape": x.shape, **attrs}) for x, attrs in _max_samples()
    ],
)

__all__ = ["avg_pool", "avg_pool_grad", "max_pool", "max_pool_argmax", "max_pool_grad", "max_pool_pick"]
