"""Slices at places that are known only when the code runs, as gathers; and the gradients of slices with steps or at such places."""

import itertools
import math

import numpy as np

from tapeflow.base.dtypes import int64
from tapeflow.compile.internal import check_range
from tapeflow.compile.rebuild import has_tensors
from tapeflow.compile.views import key_parts
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap

WHOLE = (None, None, None)


def explicit(key, rank):
    """A key with a part for each axis, and None for each new one."""
    used = len([part for part in key if part is not None and part is not Ellipsis])
    found = []
    for part in key if any(part is Ellipsis for part in key) else (*key, Ellipsis):
        found += [WHOLE] * (rank - used) if part is Ellipsis else [part]
    return found


def is_clear(key):
    """Whether the tensors in a key are scalar indices, at least one, so that the result's shape is known."""
    parts = [part for part in key if part is not None and part is not Ellipsis]
    indices = [part for part in parts if isinstance(part, Tensor)]
    bounds = [x for part in parts if isinstance(part, tuple) for x in part]
    return bool(indices) and all(x.dims == () for x in indices) and not any(isinstance(x, Tensor) for x in bounds)


def index_of(builder, part, n, axis):
    """An index of an axis of `n` elements as int64 from the front, checked where it is a tensor."""
    if not isinstance(part, Tensor):
        return wrap(np.int64(part % n))
    part = P.cast(part, dtype=int64)
    zero, size = wrap(np.int64(0)), wrap(np.int64(n))
    negative = P.logical_and(P.less(part, zero), P.greater_equal(part, wrap(np.int64(-n))))
    part = P.where(negative, part + size, part)
    message = f"slice index {{value}} of dimension {axis} out of bounds. The dimension has {n} elements"
    return check_range(builder, part, n, "strided_slice", message)


def _strided_slice(builder, x, *, key):
    """Indices that stand side by side choose one row of their axes, taken as one."""
    if not is_clear(key):
        return None
    key = explicit(key, len(x.dims))
    axes = [part for part in key if part is not None]
    taken = set()
    stop = len(axes)
    while stop:
        start = stop
        while start and not isinstance(axes[start - 1], tuple):
            start -= 1
        if any(isinstance(part, Tensor) for part in axes[start:stop]):
            taken.update(range(start, stop))
            row = wrap(np.int64(0))
            for axis in range(start, stop):
                row = row * wrap(np.int64(x.dims[axis])) + index_of(builder, axes[axis], x.dims[axis], axis)
            rows = P.reshape(x, shape=(*x.dims[:start], math.prod(x.dims[start:stop]), *x.dims[stop:]))
            x = P.gather(rows, row, axis=start, batch_dims=0)
        stop = max(start - 1, 0)
    numbers = itertools.count()
    rest = tuple([part for part in key if part is None or next(numbers) not in taken])
    return P.strided_slice(x, key=rest) if any(part != WHOLE for part in rest) else x


def _slice(builder, x, *, begin, size):
    if not any(isinstance(b, Tensor) for b in begin) or any(isinstance(n, Tensor) for n in size):
        return None
    for axis, (b, n) in enumerate(zip(begin, size, strict=True)):
        if isinstance(b, Tensor) and (n == -1 or not 0 < n <= x.dims[axis] or b.dims != ()):
            return None
    begin = list(begin)
    for axis, (b, n) in enumerate(zip(begin, size, strict=True)):
        if isinstance(b, Tensor):
            most = x.dims[axis] - n
            message = f"Expected begin[{axis}] in [0, {most}], but got {{value}} (size[{axis}] is {n})"
            first = check_range(builder, P.cast(b, dtype=int64), most + 1, "slice", message)
            x = P.gather(x, first + P.range(*[wrap(np.int64(i)) for i in (0, n, 1)]), axis=axis, batch_dims=0)
            begin[axis] = 0
    return P.slice(x, begin=tuple(begin), size=size)


def _strided_grad(builder, g, *, shape, key):
    """Zeros, with what a slice took in its places: at an index that is a tensor by comparing it with each number."""
    if any(isinstance(n, Tensor) for n in shape):
        return None
    if not is_clear(key):
        return None if has_tensors({"key": key}) else _spread(g, shape, key)
    key = explicit(key, len(shape))
    axes = [part for part in key if part is not None]
    found = {axis: part for axis, part in enumerate(axes) if isinstance(part, Tensor)}
    small = tuple([1 if axis in found else n for axis, n in enumerate(shape)])
    static = tuple([0 if isinstance(part, Tensor) else part for part in key])
    x = _spread(g, small, static)
    if x is None:
        x = P.strided_slice_grad(g, shape=small, key=static)
    for axis, part in found.items():
        n = shape[axis]
        numbers = P.reshape(P.range(*[wrap(np.int64(i)) for i in (0, n, 1)]), shape=(n, *(1,) * (len(shape) - axis - 1)))
        x = P.where(P.equal(numbers, index_of(builder, part, n, axis)), x, P.zeros_like(x))
    return x


def _spread(g, shape, key):
    """Of a slice with steps: zeros behind each element first, then those around all of them. None where one pad does."""
    parts = [part for part in key_parts(key, shape) if part is not None]
    if all(abs(step) < 2 for _, step, _ in parts):
        return None
    kept = iter([n for n, part in zip(g.dims, [p for p in key_parts(key, shape) if p is None or p[2]], strict=True) if part])
    dims = [next(kept) if stays else 1 for _, _, stays in parts]
    x, paddings = P.reshape(g, shape=tuple(dims)), []
    for axis, ((start, step, _), n) in enumerate(zip(parts, list(dims), strict=True)):
        width = abs(step)
        span = (n - 1) * width + 1
        if step < 0:
            x, start = P.reverse(x, axis=(axis,)), start - span + 1
        if width > 1:
            around = ((0, 0),) * (len(dims) - axis - 1)
            x = P.pad(
                P.expand_dims(x, axis=(axis + 1,)), paddings=((0, 0),) * (axis + 1) + ((0, width - 1),) + around, value=0
            )
            dims[axis] = n * width
            x = P.strided_slice(P.reshape(x, shape=tuple(dims)), key=((None, None, None),) * axis + ((0, span, None),))
            dims[axis] = span
        paddings.append((start, shape[axis] - start - dims[axis]))
    return P.pad(x, paddings=tuple(paddings), value=0)


SLICES = {"slice": _slice, "strided_slice": _strided_slice, "strided_slice_grad": _strided_grad}

__all__ = ["SLICES", "explicit", "index_of", "is_clear"]
