"""Projective warps of images taken apart: the positions as elementwise ops, the pixels as gathers, their gradient as scatters."""

import math

import numpy as np

from tapeflow.base.dtypes import float32, float64, int32, int64
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap


def _number(value):
    return wrap(np.float32(value))


def _range(n, dtype, *dims):
    """0, 1, ..., n - 1 in a shape."""
    return P.reshape(P.range(*[wrap(dtype.type(i)) for i in (0, n, 1)]), shape=dims)


def _clipped(at, last):
    return P.minimum(P.maximum(at, _number(0)), _number(last))


def _folded(at, size, mode):
    """Positions beyond the image brought back into it, as `ops/resample.py` does it."""
    last = size - 1
    if mode == "CONSTANT":
        return at
    if mode == "NEAREST" or size <= 1:
        return _clipped(at, last)
    if mode == "WRAP":
        below = at + _number(size) * (P.trunc(-at / _number(last)) + _number(1))
        above = at - _number(size) * P.trunc(at / _number(last))
    else:  # REFLECT
        double = _number(2 * size)
        below = P.where(P.less(at, double), double * P.trunc(-at / double) + at, at)
        below = P.where(P.less(below, _number(-size)), below + double, -below - _number(1))
        above = at - double * P.trunc(at / double)
        above = P.where(P.greater_equal(above, _number(size)), double - above - _number(1), above)
    inner = P.where(P.greater(at, _number(last)), above, at)
    return _clipped(P.where(P.less(at, _number(0)), below, inner), last)


def _corners(shape, transforms, size, interpolation, mode):
    """For each pixel of the result those that it is made of: (number in the batch, weight, whether it is inside), [n, *size]."""
    batch, height, width, _ = shape
    transforms = P.cast(transforms, dtype=float32)
    parts = [P.strided_slice(transforms, key=((None, None, None), (i, i + 1, None))) for i in range(8)]
    a0, a1, a2, b0, b1, b2, c0, c1 = [P.reshape(part, shape=(transforms.dims[0], 1, 1)) for part in parts]
    y, x = _range(size[0], float32, size[0], 1), _range(size[1], float32, size[1])
    k = c0 * x + c1 * y + _number(1)
    defined = P.not_equal(k, _number(0))
    k = P.where(defined, k, _number(1))
    column = _folded((a0 * x + a1 * y + a2) / k, width, mode)
    row = _folded((b0 * x + b1 * y + b2) / k, height, mode)
    if interpolation == "NEAREST":
        steps = [(_rounded(row), _rounded(column), P.ones_like(row))]
    else:
        top, left = P.floor(row), P.floor(column)
        (up, down), (before, behind) = [(_number(1) - share, share) for share in (row - top, column - left)]
        steps = [(top + _number(i), left + _number(j), (up, down)[i] * (before, behind)[j]) for i in (0, 1) for j in (0, 1)]
    dtype = int32 if batch * height * width < 1 << 31 else int64
    image = _range(batch, dtype, batch, 1, 1) * wrap(dtype.type(height))
    for at_row, at_column, weight in steps:
        inside = defined
        for at, size_ in ((at_row, height), (at_column, width)):
            inside = P.logical_and(inside, P.greater_equal(at, _number(0)))
            inside = P.logical_and(inside, P.less(at, _number(size_)))
        i, j = [P.cast(P.where(inside, at, _number(0)), dtype=dtype) for at in (at_row, at_column)]
        yield (image + i) * wrap(dtype.type(width)) + j, weight, inside


def _rounded(x):
    """To the nearest integer, halves away from zero."""
    size = P.floor(P.abs(x) + _number(0.5))
    return P.where(P.less(x, _number(0)), -size, size)


def _for_channels(x):
    return P.expand_dims(x, axis=(-1,))


def warp(builder, x, transforms, *, size, interpolation, mode, fill=0.0):
    """Each pixel of the result as the weighted sum of up to four."""
    if not all(n.__class__ is int for n in size) or isinstance(fill, Tensor):
        return None
    pixels = P.reshape(x, shape=(math.prod(x.dims[:3]), x.dims[3]))
    wide = x._dtype if interpolation == "NEAREST" else float64 if x._dtype is float64 else float32
    beyond = wrap(np.asarray(fill).astype(wide.numpy_dtype)[()])
    total = None
    for number, weight, inside in _corners(x.dims, transforms, size, interpolation, mode):
        found = P.cast(P.gather(pixels, number, axis=0, batch_dims=0), dtype=wide)
        found = P.where(_for_channels(inside), found, beyond)
        if interpolation != "NEAREST":
            found = P.cast(_for_channels(weight), dtype=wide) * found
        total = found if total is None else total + found
    return P.cast(total, dtype=x._dtype)


def warp_grad(builder, g, transforms, *, shape, interpolation, mode):
    """Each pixel's cotangent is added to those that it was made of, corner by corner."""
    if not all(n.__class__ is int for n in shape) or 0 in shape:
        return None
    wide = float64 if g._dtype is float64 else float32
    count, channels = math.prod(g.dims[:3]), g.dims[3]
    total = None
    for number, weight, inside in _corners(shape, transforms, g.dims[1:3], interpolation, mode):
        part = P.cast(_for_channels(weight * P.cast(inside, dtype=float32)), dtype=wide) * P.cast(g, dtype=wide)
        rows, part = P.reshape(number, shape=(count, 1)), P.reshape(part, shape=(count, channels))
        if total is None:
            total = P.scatter_nd(rows, part, shape=(math.prod(shape[:3]), channels))
        else:
            total = P.tensor_scatter(total, rows, part, how="add")
    return P.cast(P.reshape(total, shape=tuple(shape)), dtype=g._dtype)


WARPS = {"warp": warp, "warp_grad": warp_grad}

__all__ = ["WARPS"]
