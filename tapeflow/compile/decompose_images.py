"""Ops on images taken apart: resizing, maximum pooling that says where, and its second derivative."""

import math

import numpy as np

from tapeflow.base.dtypes import INTEGERS as INTEGER_DTYPES
from tapeflow.base.dtypes import float32, float64, int64
from tapeflow.core.primitive import P
from tapeflow.core.tensor import wrap
from tapeflow.ops.resample import nearest_pixels, resize_table, weight_matrix
from tapeflow.ops.window import geometry, taps

WIDE = {float32, float64}
INTEGERS = set(INTEGER_DTYPES)
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


def _taps(x, *, ksize, strides, dilations, padding):
    """A function that gives for each place of the windows on `x` the elements there, of x or its like, and a number beyond the edge.

    None where the places are too many, or there are three dimensions, in which equal elements share.
    """
    if len(ksize) > 2 or math.prod(ksize) > MOST_PARTS:
        return None
    sizes, pads = geometry("MaxPool", x.dims[1:-1], ksize, strides, dilations, padding)
    pads = ((0, 0), *pads, (0, 0))
    keys = [
        tuple([(part.start, part.stop, part.step) for part in index]) for _, index in taps(ksize, strides, dilations, sizes)
    ]

    def of(x, value):
        x = P.pad(x, paddings=pads, value=value)
        return [P.strided_slice(x, key=key) for key in keys]

    return of


def _least(dtype):
    return -math.inf if dtype in WIDE else dtype.min


def max_pool_pick(builder, t, x, out, **window):
    """The element of `t` where each window of `x` has its maximum first: the places are tried from the last to the first."""
    if x._dtype not in WIDE or (places := _taps(x, **window)) is None:
        return None
    result = P.zeros_like(out)
    for part, value in reversed(list(zip(places(x, -math.inf), places(t, 0), strict=True))):
        result = P.where(P.equal(part, out), value, result)
    return result


def max_pool_argmax(builder, x, *, include_batch=False, dtype=int64, **window):
    """The maximum of each window, and where it stands first in the image: place by place, with the numbers of all elements."""
    if x._dtype not in WIDE | INTEGERS or (places := _taps(x, **window)) is None:
        return None
    image = math.prod(x.dims[1:])
    numbers = P.range(*[wrap(dtype.type(n)) for n in (0, image, 1)])
    numbers = P.reshape(numbers, shape=(1, *x.dims[1:]))
    (best, found), *rest = zip(places(x, _least(x._dtype)), places(numbers, 0), strict=True)
    found = P.broadcast_to(found, shape=best.dims)
    for part, number in rest:
        better = P.greater(part, best)
        best, found = P.where(better, part, best), P.where(better, number, found)
    if include_batch:
        first = P.range(*[wrap(dtype.type(n)) for n in (0, x.dims[0], 1)]) * wrap(dtype.type(image))
        found = found + P.reshape(first, shape=(x.dims[0], *(1,) * (len(x.dims) - 1)))
    return best, found


def max_pool(builder, x, **window):
    """Of integers as floats that hold them exactly; what is float stays."""
    if x._dtype in WIDE:
        return P.max_pool(x, **window)
    if x._dtype not in INTEGERS or x._dtype.size > 4:
        return None
    wide = float32 if x._dtype.size < 4 else float64
    return P.cast(P.max_pool(P.cast(x, dtype=wide), **window), dtype=x._dtype)


IMAGES = {
    "resample": resample,
    "resample_grad": resample_grad,
    "max_pool": max_pool,
    "max_pool_argmax": max_pool_argmax,
    "max_pool_pick": max_pool_pick,
}

__all__ = ["IMAGES"]
