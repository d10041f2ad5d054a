"""Resampling of images [batch, height, width, channels]: resizing by a table of weights for each axis, and projective
warps."""

import functools
import math

import numpy as np

from tapeflow.base.dtypes import int32, int64, uint8
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS, REALS, sample
from tapeflow.ops.nn import widened
from tapeflow.ops.window import batch_merged

# Weights of resizing


def _lanczos(radius):
    def kernel(x):
        y = np.maximum(x, 1e-3)
        value = radius * np.sin(np.pi * y) * np.sin(np.pi * y / radius) / (np.pi * y) ** 2
        return np.where(x > radius, 0.0, np.where(x <= 1e-3, 1.0, value))

    return kernel


def _cubic(x):
    """Keys' cubic with a = -1/2."""
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x >= 2, 0.0, np.where(x >= 1, far, near))


def _mitchell(x):
    near = ((7 / 6 * x - 2) * x) * x + 8 / 9
    far = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x >= 2, 0.0, np.where(x >= 1, far, near))


# The methods that weigh by a kernel of the distance: its radius, and the kernel.
KERNELS = {
    "bilinear": (1.0, lambda x: np.maximum(0.0, 1 - x)),
    "bicubic": (2.0, _cubic),
    "lanczos3": (3.0, _lanczos(3.0)),
    "lanczos5": (5.0, _lanczos(5.0)),
    "gaussian": (1.5, lambda x: np.where(x >= 1.5, 0.0, np.exp(-2 * x * x))),
    "mitchellcubic": (2.0, _mitchell),
}


@functools.lru_cache(maxsize=64)
def resize_table(size, target, method, antialias):
    """For each of `target` pixels along an axis of `size` the pixels that it is made of, and their weights: both
    [target, k]."""
    if method == "nearest":
        return nearest_pixels(size, target)[:, None], np.ones((target, 1))
    if method == "area":
        return _area(size, target)
    if method == "bilinear" and not antialias:
        return _bilinear(size, target)
    if method == "bicubic" and not antialias:
        return _bicubic(size, target)
    radius, kernel = KERNELS[method]
    # In float32, as TensorFlow computes them: it decides which pixels are within the radius.
    step = np.float32(1) / (np.float32(target) / np.float32(size))
    scale = max(step, np.float32(1)) if antialias else np.float32(1)
    centers = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * step
    reach = np.float32(radius) * scale
    start = np.clip(np.ceil(centers - reach - np.float32(0.5)), 0, size - 1).astype(int)
    end = np.clip(np.floor(centers + reach - np.float32(0.5)), 0, size - 1).astype(int) + 1
    places = start[:, None] + np.arange((end - start).max())
    distance = np.abs(places.astype(np.float32) + np.float32(0.5) - centers[:, None]) / scale
    weights = kernel(distance.astype(np.float64)) * (places < end[:, None])
    return _normalized(np.minimum(places, size - 1), weights)


def _normalized(places, weights):
    """Weights that sum to one, as pixels beyond the edges have none."""
    total = weights.sum(1, keepdims=True)
    return places, np.divide(weights, total, out=np.zeros_like(weights), where=np.abs(total) > 1e-35)


def _positions(size, target):
    """Where the centres of the new pixels lie among the old ones, in float32 as TensorFlow computes it."""
    scale = np.float32(size) / np.float32(target)
    return (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)


def _bilinear(size, target):
    at = _positions(size, target)
    low = np.floor(at)
    places = np.stack([np.maximum(low, 0), np.minimum(np.ceil(at), size - 1)], 1).astype(int)
    share = (at - low).astype(np.float64)
    return places, np.stack([1 - share, share], 1)


def _bicubic(size, target):
    at = _positions(size, target)
    low = np.floor(at)
    # TensorFlow looks the weights up in a table of 1024 steps.
    share = np.rint((at - low) * 1024)[:, None] / 1024
    places = low.astype(int)[:, None] + np.arange(-1, 3)
    weights = _cubic(np.abs(share - np.arange(-1, 3))) * ((places >= 0) & (places < size))
    return _normalized(np.clip(places, 0, size - 1), weights)


def _area(size, target):
    scale = size / target
    begin = np.arange(target) * scale
    places = np.floor(begin).astype(int)[:, None] + np.arange(math.ceil(scale) + 1)
    covered = np.minimum(places + 1, (begin + scale)[:, None]) - np.maximum(places, begin[:, None])
    return np.minimum(places, size - 1), np.maximum(covered, 0) / scale


def nearest_pixels(size, target):
    """For each of `target` pixels along an axis of `size` the nearest one."""
    scale = np.float32(size) / np.float32(target)
    at = np.floor((np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale).astype(np.int32)
    return np.minimum(at, size - 1)


# resample: linear in the image


def _check_sizes(x, size):
    if x.ndim != 4:
        raise ValueError(x.shape)
    if min(size) <= 0:
        raise invalid("Resize", f"output dimensions must be positive, got {list(size)}")
    if 0 in x.shape[1:]:
        raise invalid("Resize", f"input image must be of non-zero size, got {list(x.shape)}")


def _resample_kernel(x, *, size, method, antialias):
    _check_sizes(x, size)
    if method == "nearest":
        return x.take(nearest_pixels(x.shape[1], size[0]), 1).take(nearest_pixels(x.shape[2], size[1]), 2)
    result = widened(x)
    for axis, target in ((1, size[0]), (2, size[1])):
        places, weights = resize_table(x.shape[axis], target, method, antialias)
        weights = weights.astype(result.dtype).reshape(*weights.shape, *(1,) * (3 - axis))
        total = None
        for k in range(places.shape[1]):
            part = np.take(result, places[:, k], axis)
            part *= weights[:, k]
            total = part if total is None else np.add(total, part, out=total)
        result = total
    return result.astype(x.dtype, copy=False)


def _resample_infer(x, *, size, method, antialias):
    height, width = known_dims(size)
    if x.shape is None:
        return Spec((None, height, width, None), x.dtype)
    if len(x.shape) != 4:
        raise invalid("Resize", f"input must be 4-dimensional, got shape {list(x.shape)}")
    return Spec((x.shape[0], height, width, x.shape[3]), x.dtype)


def weight_matrix(size, target, method, antialias, dtype):
    """The weights of one axis as a matrix [size, target]."""
    places, weights = resize_table(size, target, method, antialias)
    matrix = np.zeros((size, target))
    np.add.at(matrix, (places, np.arange(target)[:, None]), weights)
    return matrix.astype(dtype)


def _resample_grad_kernel(g, *, shape, method, antialias):
    batch, height, width, channels = shape
    if g.ndim != 4 or (g.shape[0], g.shape[3]) != (batch, channels):
        raise ValueError(g.shape)
    wide = np.ascontiguousarray(widened(g))
    rows = weight_matrix(height, g.shape[1], method, antialias, wide.dtype)
    columns = weight_matrix(width, g.shape[2], method, antialias, wide.dtype)
    partial = np.matmul(rows, wide.reshape(batch, g.shape[1], -1)).reshape(batch, height, g.shape[2], channels)
    return np.matmul(columns, partial).astype(g.dtype, copy=False)


def _resample_samples():
    methods = [
        ("bilinear", False),
        ("bilinear", True),
        ("bicubic", False),
        ("area", False),
        ("lanczos3", True),
        ("gaussian", False),
        ("nearest", False),
    ]
    return [((sample(2, 5, 3, 2),), {"size": (3, 7), "method": m, "antialias": a}) for m, a in methods]


resample = Primitive(
    "resample",
    _resample_kernel,
    _resample_infer,
    vjp=(lambda g, x_shape, *, method, antialias: P.resample_grad(g, shape=x_shape, method=method, antialias=antialias),),
    jvp="linear",
    batch=batch_merged,
    accepts=REALS,  # integers by the method "nearest" alone
    samples=_resample_samples,
)
resample_grad = Primitive(
    "resample_grad",
    _resample_grad_kernel,
    lambda g, *, shape, method, antialias: Spec(known_dims(shape), g.dtype),
    vjp=(
        lambda t, g_shape, *, method, antialias: P.resample(t, size=_spatial(g_shape), method=method, antialias=antialias),
    ),
    jvp="linear",
    batch=batch_merged,
    accepts=FLOATS,
    samples=lambda: [
        ((sample(2, 3, 7, 2),), {"shape": (2, 5, 3, 2), "method": method, "antialias": True})
        for method in ("bilinear", "mitchellcubic", "lanczos5")
    ],
)


def _spatial(shape):
    return shape[1:3] if isinstance(shape, tuple) else tuple(P.unstack(shape, axis=0, num=4)[1:3])


# warp: a projective transform; linear in the image but for what is filled in


def _folded(at, size, mode):
    """Positions beyond the image brought back into it, as the mode says."""
    last = np.float32(size - 1)
    if mode == "CONSTANT":
        return at
    if mode == "NEAREST" or size <= 1:
        return np.clip(at, 0, last)
    if mode == "WRAP":
        below = at + size * (np.trunc(-at / last) + 1)
        above = at - size * np.trunc(at / last)
    else:  # REFLECT: the edge pixels occur twice
        double = np.float32(2 * size)
        below = np.where(at < double, double * np.trunc(-at / double) + at, at)
        below = np.where(below < -size, below + double, -below - 1)
        above = at - double * np.trunc(at / double)
        above = np.where(above >= size, double - above - 1, above)
    return np.clip(np.where(at < 0, below, np.where(at > last, above, at)), 0, last)


def _corners(shape, transforms, size, interpolation, mode):
    """For each pixel of the result the pixels it is made of: (row, column, weight, whether it is inside), all [n,
    *size].

    A transform (a0, a1, a2, b0, b1, b2, c0, c1) maps the result's (x, y) to ((a0 x + a1 y + a2) / k, (b0 x + b1 y +
    b2) / k) of the image, where k = c0 x + c1 y + 1.
    """
    _, height, width, _ = shape
    y, x = np.arange(size[0], dtype=np.float32)[:, None], np.arange(size[1], dtype=np.float32)
    a0, a1, a2, b0, b1, b2, c0, c1 = transforms.astype(np.float32).T[:, :, None, None]
    k = c0 * x + c1 * y + 1
    defined = k != 0
    k = np.where(defined, k, 1)
    column = _folded((a0 * x + a1 * y + a2) / k, width, mode)
    row = _folded((b0 * x + b1 * y + b2) / k, height, mode)
    if interpolation == "NEAREST":
        steps = [(_rounded(row), _rounded(column), np.ones_like(row))]
    else:
        top, left = np.floor(row), np.floor(column)
        down, right = row - top, column - left
        steps = [
            (top + i, left + j, (down if i else 1 - down) * (right if j else 1 - right)) for i in (0, 1) for j in (0, 1)
        ]
    for at_row, at_column, weight in steps:
        inside = defined & (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
        yield (
            np.where(inside, at_row, 0).astype(np.intp),
            np.where(inside, at_column, 0).astype(np.intp),
            weight,
            inside,
        )


def _rounded(x):
    """To the nearest integer, halves away from zero."""
    return np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)


def _check_warp(x_shape, transforms, size):
    if len(x_shape) != 4 or transforms.ndim != 2 or transforms.shape[1] != 8 or transforms.shape[0] not in (1, x_shape[0]):
        raise ValueError(transforms.shape)
    if min(size) <= 0:
        raise invalid("ImageProjectiveTransformV3", f"new dimensions must be positive: {list(size)}")


def _warp_kernel(x, transforms, *, size, interpolation, mode, fill=0.0):
    _check_warp(x.shape, transforms, size)
    image = np.arange(len(x))[:, None, None]
    if interpolation == "NEAREST":
        ((row, column, _, inside),) = _corners(x.shape, transforms, size, interpolation, mode)
        return np.where(inside[..., None], x[image, row, column], np.asarray(fill).astype(x.dtype))
    total = np.zeros(
        (len(x), *size, x.shape[3]),
        np.result_type(np.float32, widened(x).dtype if x.dtype.kind not in "iu" else np.float32),
    )
    for row, column, weight, inside in _corners(x.shape, transforms, size, interpolation, mode):
        total += weight[..., None] * np.where(inside[..., None], x[image, row, column].astype(total.dtype), fill)
    return total.astype(x.dtype)


def _warp_infer(x, transforms, *, size, interpolation, mode, fill=0.0):
    if x.shape is not None and len(x.shape) != 4:
        raise invalid("ImageProjectiveTransformV3", f"Input images must have rank 4, got shape {list(x.shape)}")
    rows = transforms.shape
    if rows is not None and (len(rows) != 2 or rows[1] not in (8, None)):
        raise invalid("ImageProjectiveTransformV3", f"Input transform should be num_images x 8 or 1 x 8, got {list(rows)}")
    batch, channels = (None, None) if x.shape is None else (x.shape[0], x.shape[3])
    if None not in (batch, rows) and rows[0] not in (1, batch, None):
        raise invalid(
            "ImageProjectiveTransformV3",
            f"Input transform should be num_images x 8 or 1 x 8, got {list(rows)} for {batch} images",
        )
    return Spec((batch, *known_dims(size), channels), x.dtype)


def _warp_grad_kernel(g, transforms, *, shape, interpolation, mode):
    shape = tuple(shape)
    _check_warp(shape, transforms, g.shape[1:3])
    wide = widened(g)
    result = np.zeros(shape, wide.dtype)
    image = np.arange(shape[0])[:, None, None]
    for row, column, weight, inside in _corners(shape, transforms, g.shape[1:3], interpolation, mode):
        part = wide * (weight * inside)[..., None].astype(wide.dtype)
        np.add.at(
            result,
            (np.broadcast_to(image, part.shape[:3]), *[np.broadcast_to(i, part.shape[:3]) for i in (row, column)]),
            part,
        )
    return result.astype(g.dtype, copy=False)


def _warp_samples(ops_input):
    def make():
        transforms = np.array([[1.0, 0.1, -1.3, 0.2, 1.0, 1.0, 0.02, 0.01]], np.float32)
        found = []
        for mode in ("CONSTANT", "REFLECT", "WRAP", "NEAREST"):
            for interpolation in ("BILINEAR", "NEAREST"):
                attrs = {"interpolation": interpolation, "mode": mode}
                if ops_input == "x":
                    found.append(((sample(2, 4, 5, 3), transforms), {"size": (3, 6), **attrs}))
                else:
                    found.append(((sample(2, 3, 6, 3), transforms), {"shape": (2, 4, 5, 3), **attrs}))
        return found

    return make


warp = Primitive(
    "warp",
    _warp_kernel,
    _warp_infer,
    vjp=(
        lambda g, transforms, x_shape, *, interpolation, mode: P.warp_grad(
            g, transforms, shape=x_shape, interpolation=interpolation, mode=mode
        ),
        None,
    ),
    jvp=(
        lambda t, transforms, *, size, interpolation, mode: P.warp(
            t, transforms, size=size, interpolation=interpolation, mode=mode
        ),
        None,
    ),
    accepts=FLOATS | {uint8, int32, int64},
    uniform=False,
    samples=_warp_samples("x"),
)
warp_grad = Primitive(
    "warp_grad",
    _warp_grad_kernel,
    lambda g, transforms, *, shape, interpolation, mode: Spec(known_dims(shape), g.dtype),
    vjp=(
        lambda t, transforms, g_shape, *, interpolation, mode: P.warp(
            t, transforms, size=_spatial(g_shape), interpolation=interpolation, mode=mode
        ),
        None,
    ),
    jvp=(
        lambda t, transforms, *, shape, interpolation, mode: P.warp_grad(
            t, transforms, shape=shape, interpolation=interpolation, mode=mode
        ),
        None,
    ),
    accepts=FLOATS,
    uniform=False,
    samples=_warp_samples("g"),
)

__all__ = ["nearest_pixels", "resample", "resample_grad", "resize_table", "warp", "warp_grad"]
