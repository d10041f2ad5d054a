"""Ops on images taken apart: resizing, and the second derivative of maximum pooling."""

import math

import numpy as np

from tapeflow.base.dtypes import float32, float64
from tapeflow.core.primitive import P
from tapeflow.core.tensor import wrap
from tapeflow.ops.resample import nearest_pixels, resize_table, weight_matrix
from tapeflow.ops.window import geometry, taps

WIDE = {float32, float64}
MOST_PARTS = 16  # pixels that a new one is made of, places of a window: more are more text than they save


def resample(builder, x, *, size, method, antialias):
    """The sum of the pixels that each new one is made of, by a gather for each, along one axis and then the other."""
    if not _is_known(size) or 0 in size:
        return None
    if method == "nearest":
        for axis, target in ((1, size[0]), (2, size[1])):
            x = _taken(x, nearest_pixels(x.dims[axis], target), axis)
        return x
    if x._dtype not in WIDE:
        return None
    tables = [resize_table(x.dims[axis], target, method, antialias) for axis, target in ((1, size[0]), (2, size[1]))]
    if any(places.shape[1] > MOST_PARTS for places, _ in tables):
        return None
    for axis, (places, weights) in zip((1, 2), tables, strict=True):
        weights = weights.astype(x._dtype.numpy_dtype).reshape(*weights.shape, *(1,) * (3 - axis))
        parts = [_taken(x, places[:, k], axis) * wrap(weights[:, k]) for k in range(places.shape[1])]
        x = parts[0]
        for part in parts[1:]:
            x = x + part
    return x


def _is_known(size):
    return all(n.__class__ is int for n in size)


def _taken(x, places, axis):
    return P.gather(x, wrap(np.ascontiguousarray(places, np.int32)), axis=axis, batch_dims=0)


def resample_grad(builder, g, *, shape, method, antialias):
    """Products with the transposed tables of weights."""
    if g._dtype not in WIDE or not _is_known(shape) or 0 in shape:
        return None
    batch, height, width, channels = shape
    dtype = g._dtype.numpy_dtype
    rows = wrap(weight_matrix(height, g.dims[1], method, antialias, dtype))
    columns = wrap(weight_matrix(width, g.dims[2], method, antialias, dtype))
    partial = P.matmul(rows, P.reshape(g, shape=(batch, g.dims[1], g.dims[2] * channels)))
    return P.matmul(columns, P.reshape(partial, shape=(batch, height, g.dims[2], channels)))


def max_pool_pick(builder, t, x, out, *, ksize, strides, dilations, padding):
    """The element of `t` where each window of `x` has its maximum first: the places are tried from the last to the first."""
    if x._dtype not in WIDE or len(ksize) > 2 or math.prod(ksize) > MOST_PARTS:
        return None
    sizes, pads = geometry("MaxPoolGradGrad", x.dims[1:-1], ksize, strides, dilations, padding)
    paddings = ((0, 0), *pads, (0, 0))
    x, t = P.pad(x, paddings=paddings, value=-math.inf), P.pad(t, paddings=paddings, value=0)
    result = P.zeros_like(out)
    for _, index in reversed(list(taps(ksize, strides, dilations, sizes))):
        key = tuple([(part.start, part.stop, part.step) for part in index])
        result = P.where(P.equal(P.strided_slice(x, key=key), out), P.strided_slice(t, key=key), result)
    return result


IMAGES = {"resample": resample, "resample_grad": resample_grad, "max_pool_pick": max_pool_pick}

__all__ = ["IMAGES"]
