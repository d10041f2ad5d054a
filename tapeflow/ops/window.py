"""Sliding windows over the spatial axes of [batch, *spatial, channels]: the geometry that convolution and pooling
share."""

import functools
import itertools
import math

import numpy as np

from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import batch_size, dims_of

# What the copied windows of one block of images may take: more would leave the cache, and memory must stay bounded.
BLOCK_BYTES = 1 << 19


@functools.lru_cache(maxsize=1024)
def geometry(name, spatial, kernel, strides, dilations, padding):
    """The spatial size of the result and the (before, after) padding of each axis; None where the size is unknown.

    Raises:
        InvalidArgumentError: a stride, dilation or padding that is none, or a window that is larger than the input.
    """
    if not len(spatial) == len(kernel) == len(strides) == len(dilations):
        raise invalid(
            name,
            f"{len(spatial)} spatial axes need as many strides ({strides}), dilations ({dilations}) and sizes ({kernel})",
        )
    out, pads = [], []
    for axis, (n, k, stride, dilation) in enumerate(zip(spatial, kernel, strides, dilations, strict=True)):
        if stride <= 0 or dilation <= 0:
            what, value = ("Stride", stride) if stride <= 0 else ("Dilated rates", dilation)
            raise invalid(name, f"{what} must be > 0, but got {value} (axis {axis})")
        reach = None if k is None else (k - 1) * dilation + 1
        before, after, size = _axis(name, n, reach, stride, padding if isinstance(padding, str) else padding[axis])
        if size is not None and size < 0:
            raise invalid(
                name,
                f"Computed output size would be negative: {size} [input_size: {n + before + after}, "
                "effective_filter_size: "
                f"{reach}, stride: {stride}]",
            )
        out.append(size)
        pads.append((before, after))
    return tuple(out), tuple(pads)


def _axis(name, n, reach, stride, padding):
    """Padding before and after one axis, and the number of windows along it."""
    if padding == "SAME":
        if n is None or reach is None:
            return None, None, None if n is None else -(-n // stride)
        size = -(-n // stride)
        total = max((size - 1) * stride + reach - n, 0)
        return total // 2, total - total // 2, size
    if isinstance(padding, str) and padding != "VALID":
        raise invalid(
            name,
            f'Value for attr \'padding\' of "{padding}" is not in the list of allowed values: "SAME", "VALID", "EXPLICIT"',
        )
    before, after = (0, 0) if isinstance(padding, str) else padding
    if before < 0 or after < 0:
        raise invalid(name, f"All elements of explicit_paddings must be nonnegative, got {(before, after)}")
    if n is None or reach is None or isinstance(n, Tensor):
        return before, after, None
    return before, after, (n + before + after - reach) // stride + 1


def padded(x, pads, value=0):
    """`x` with its spatial axes padded; `x` itself (contiguous) where there is nothing to pad."""
    if not any(map(any, pads)):
        return np.ascontiguousarray(x)
    spatial = x.shape[1:-1]
    shape = (x.shape[0], *[n + a + b for n, (a, b) in zip(spatial, pads, strict=True)], x.shape[-1])
    result = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
    result[inside(pads, spatial)] = x
    return result


def inside(pads, spatial):
    """The index of the unpadded part of a padded array."""
    return (slice(None), *[slice(a, a + n) for n, (a, _) in zip(spatial, pads, strict=True)])


def taps(kernel, strides, dilations, out):
    """For each position in the window: the position, and the index of the elements that all windows have there."""
    for tap in itertools.product(*map(range, kernel)):
        steps = [slice(k * d, k * d + (n - 1) * s + 1, s) for k, d, n, s in zip(tap, dilations, out, strides, strict=True)]
        yield tap, (slice(None), *steps)


def windows(x, kernel, strides, dilations, out):
    """A view [batch, *out, *kernel, channels] of every window of the padded, contiguous `x`."""
    batch, *steps, channel = x.strides
    return np.ndarray(
        (x.shape[0], *out, *kernel, x.shape[-1]),
        x.dtype,
        x,
        strides=(
            batch,
            *[n * s for n, s in zip(steps, strides, strict=True)],
            *[n * d for n, d in zip(steps, dilations, strict=True)],
            channel,
        ),
    )


def blocks(batch, rows, bytes_per_row):
    """Slices (images, rows of the first spatial axis of the result) that cover the work a cache full at a time."""
    per_image = max(rows * bytes_per_row, 1)
    if per_image <= BLOCK_BYTES:
        step = BLOCK_BYTES // per_image
        for start in range(0, batch, step):
            yield slice(start, min(start + step, batch)), slice(0, rows)
        return
    step = max(BLOCK_BYTES // bytes_per_row, 1)
    for image, start in itertools.product(range(batch), range(0, rows, step)):
        yield slice(image, image + 1), slice(start, min(start + step, rows))


def source_rows(rows, kernel, strides, dilations):
    """The rows of the padded input that some rows of the result read."""
    return slice(rows.start * strides[0], (rows.stop - 1) * strides[0] + (kernel[0] - 1) * dilations[0] + 1)


def spatial_size(kernel):
    """The number of elements in a window."""
    return math.prod(kernel)


def with_batch(inputs, batched):
    """Every input with the batch axis, and the batch's size."""
    size = next(batch_size(x) for x, is_batched in zip(inputs, batched, strict=True) if is_batched)
    inputs = [
        x if is_batched else P.broadcast_to(P.expand_dims(x, axis=(0,)), shape=(size, *dims_of(x)))
        for x, is_batched in zip(inputs, batched, strict=True)
    ]
    return inputs, size


def batch_merged(op, inputs, batched, attrs):
    """Batch rule of ops on images [images, ...]: the examples' images are put one behind the other."""
    inputs, size = with_batch(inputs, batched)
    merged = [P.reshape(x, shape=(size * dims[1], *dims[2:])) for x, dims in ((x, dims_of(x)) for x in inputs)]
    if "shape" in attrs:
        attrs = {**attrs, "shape": (size * attrs["shape"][0], *attrs["shape"][1:])}
    y = op(*merged, **attrs)
    return P.reshape(y, shape=(size, dims_of(inputs[0])[1], *dims_of(y)[1:]))
