"""Images resized and warped (`tf.image.resize`, `tf.image.crop_and_resize`, ...)."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.image_geometry import pad_to_bounding_box
from tapeflow.api.image_shapes import batched, known
from tapeflow.base.dtypes import bool_, float32, float64, int32
from tapeflow.base.errors import OutOfRangeError, invalid
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of


@export("image.ResizeMethod")
class ResizeMethod:
    """The methods of `tf.image.resize`."""

    BILINEAR = "bilinear"
    NEAREST_NEIGHBOR = "nearest"
    BICUBIC = "bicubic"
    AREA = "area"
    LANCZOS3 = "lanczos3"
    LANCZOS5 = "lanczos5"
    GAUSSIAN = "gaussian"
    MITCHELLCUBIC = "mitchellcubic"


METHODS = {value for name, value in vars(ResizeMethod).items() if name.isupper()}
SHARP = {"area", "nearest"}  # what antialias does not change


@export("image.resize")
def resize(images, size, method="bilinear", preserve_aspect_ratio=False, antialias=False, name=None):
    """Images of another size.

    Args:
        images: [height, width, channels], or a batch of them.
        size: the new height and width, two integers.
        method: one of `ResizeMethod`: `"bilinear"`, `"nearest"`, `"bicubic"`, `"area"`, `"lanczos3"`, `"lanczos5"`,
            `"gaussian"` or `"mitchellcubic"`.
        preserve_aspect_ratio: whether the result is the largest of the image's own proportions that fits into `size`.
        antialias: whether a smaller image is smoothed by as much as it shrinks.

    Returns:
        float32 images; those of the method `"nearest"` keep their dtype.

    Raises:
        ValueError: images of another rank, a size that is not two integers, or an unknown method.
        InvalidArgumentError: a size that is not positive, or an empty image.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.resize([[[0.0], [10.0]]], [1, 4]).numpy().ravel().tolist()
        [0.0, 2.5, 7.5, 10.0]
    """
    x, restored = batched(images, "images")
    if method not in METHODS:
        raise ValueError(f"Resize method is not implemented: {method}")
    size = _size_pair(size)
    _, height, width, _ = dims_of(x)
    if preserve_aspect_ratio:
        size = _fitting(size, height, width)
    if method == "nearest":
        if x._dtype is bool_:
            raise invalid("ResizeNearestNeighbor", "Value for attr 'T' of bool is not in the list of allowed values")
        return restored(P.resample(x, size=size, method="nearest", antialias=False))
    if x._dtype is not float32:
        x = P.cast(x, dtype=float32)
    if known(height, width, *size) and (height, width) == size:
        return restored(x)
    return restored(P.resample(x, size=size, method=method, antialias=bool(antialias) and method not in SHARP))


def _size_pair(size):
    """The new height and width as ints, or symbolic scalars."""
    tensor = size if isinstance(size, (list, tuple)) and known(*size) else convert_to_tensor(size)
    if isinstance(tensor, Tensor):
        if not tensor._dtype.is_integer:
            raise ValueError(f"'size' must be a 1-D int32 Tensor, got {size!r}")
        if tensor.dims != (2,):
            raise ValueError(f"'size' must be a 1-D Tensor of 2 elements: new_height, new_width, got {size!r}")
    elif len(tensor) != 2:
        raise ValueError(f"'size' must be a 1-D Tensor of 2 elements: new_height, new_width, got {size!r}")
    return static_dims(tensor)


def _fitting(size, height, width):
    """The largest size of the image's proportions within `size`."""
    if known(*size, height, width):
        scale = min(np.float32(size[0]) / np.float32(height), np.float32(size[1]) / np.float32(width))
        return tuple([int(np.rint(np.float32(n) * scale)) for n in (height, width)])
    target = [P.cast(convert_to_tensor(n), dtype=float32) for n in size]
    own = [P.cast(convert_to_tensor(n), dtype=float32) for n in (height, width)]
    scale = P.minimum(target[0] / own[0], target[1] / own[1])
    return tuple([P.cast(P.rint(n * scale), dtype=int32) for n in own])


@export("image.resize_with_pad")
def resize_with_pad(image, target_height, target_width, method="bilinear", antialias=False):
    """Images resized without distortion to fit into the size that is given, and padded with zeros on both sides to it.

    Raises:
        ValueError: a size that is not positive, or images of another rank.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.resize_with_pad(tf.ones([2, 2, 1]), 2, 4).numpy()[0].ravel().tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    x, restored = batched(image)
    height, width = [static_dims(n)[0] for n in (target_height, target_width)]
    for n, which in ((width, "width"), (height, "height")):
        if known(n) and n <= 0:
            raise ValueError(f"target_{which} must be > 0. Got {n}.")
    _, rows, columns, _ = dims_of(x)
    if known(height, width, rows, columns):
        ratio = max(columns / width, rows / height)
        new_rows, new_columns = int(rows / ratio), int(columns / ratio)
        top, left = max((height - new_rows) // 2, 0), max((width - new_columns) // 2, 0)
    else:
        high, wide, own_high, own_wide = [
            P.cast(convert_to_tensor(n), dtype=float64) for n in (height, width, rows, columns)
        ]
        ratio = P.maximum(own_wide / wide, own_high / high)
        new_rows, new_columns = P.floor(own_high / ratio), P.floor(own_wide / ratio)
        top, left = [P.floor((most - new) / 2.0) for most, new in ((high, new_rows), (wide, new_columns))]
        new_rows, new_columns, top, left = [P.cast(n, dtype=int32) for n in (new_rows, new_columns, top, left)]
    resized = resize(x, (new_rows, new_columns), method, antialias=antialias)
    padded = pad_to_bounding_box(resized, top, left, height, width)
    if known(height, width) and None in padded.dims:
        padded = P.ensure_shape(padded, shape=(padded.dims[0], height, width, padded.dims[3]))
    return restored(padded)


@export("image.crop_and_resize")
def crop_and_resize(image, boxes, box_indices, crop_size, method="bilinear", extrapolation_value=0.0, name=None):
    """Parts of images, all resized to one size.

    Args:
        image: [batch, height, width, channels].
        boxes: [n, 4]: top, left, bottom, right of each part, as fractions of the image's height and width less one
            pixel. Parts may reach beyond the image, and be mirrored.
        box_indices: [n]: the image of each part.
        crop_size: the height and width of the results.
        method: `"bilinear"` or `"nearest"`.
        extrapolation_value: what stands where a part is beyond the image.

    Returns:
        float32 [n, height, width, channels].

    Raises:
        ValueError: another method.
        OutOfRangeError: a box of an image that is not there.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.crop_and_resize([[[[0.0], [10.0]]]], [[0.0, 0.0, 0.0, 1.0]], [0], [1, 3]).numpy().ravel().tolist()
        [0.0, 5.0, 10.0]
    """
    if method not in ("bilinear", "nearest"):
        raise ValueError(f"method must be 'bilinear' or 'nearest', got {method!r}")
    x = convert_to_tensor(image)
    if x.dims is None or len(x.dims) != 4:
        raise invalid("CropAndResize", f"input image must be 4-D, got shape {x.shape}")
    x = x if x._dtype is float32 else P.cast(x, dtype=float32)
    boxes = convert_to_tensor(boxes, dtype_hint=float32)
    which = convert_to_tensor(box_indices, dtype_hint=int32)
    if boxes.dims is not None and (len(boxes.dims) != 2 or boxes.dims[1] not in (4, None)):
        raise invalid("CropAndResize", f"boxes must be [n, 4], got shape {boxes.shape}")
    batch, height, width, _ = dims_of(x)
    if which.__class__ is Tensor and known(batch) and which.dims != (0,):
        wrong = np.asarray(which._value)
        if wrong.min() < 0 or wrong.max() >= batch:
            raise OutOfRangeError(
                None,
                None,
                f"box_index has values outside [0, batch_size): {wrong.tolist()}, batch {batch} [Op:CropAndResize]",
            )
    rows, columns = static_dims(crop_size)
    top, left, bottom, right = [P.expand_dims(part, axis=(1,)) for part in P.unstack(boxes, axis=1, num=4)]
    y = P.expand_dims(_along(top, bottom, height, rows), axis=(2,))  # [n, rows, 1]
    x_at = P.expand_dims(_along(left, right, width, columns), axis=(1,))  # [n, 1, columns]
    return _sampled(x, which, y, x_at, method, extrapolation_value)


def _along(start, end, size, count):
    """The positions in pixels of `count` samples between two fractions of an axis: [n, count]."""
    last = float(size - 1) if known(size) else P.cast(size - 1, dtype=float32)
    if count == 1:
        return 0.5 * (start + end) * last
    steps = convert_to_tensor(np.arange(count, dtype=np.float32))
    return start * last + steps * ((end - start) * last / float(count - 1))


def _sampled(x, which, y, x_at, method, outside_value):
    """The values of images at positions, bilinear or nearest; `outside_value` beyond the edges."""
    _, height, width, channels = dims_of(x)
    flat = P.reshape(x, shape=(-1, channels))
    inside = P.logical_and(
        P.logical_and(y >= 0, P.less_equal(y, _float(height - 1))),
        P.logical_and(x_at >= 0, P.less_equal(x_at, _float(width - 1))),
    )
    image = P.expand_dims(P.cast(which, dtype=int32), axis=(1, 2)) * (height * width)

    def at(row, column):
        row = P.cast(P.minimum(P.maximum(row, P.zeros_like(row)), _float(height - 1)), dtype=int32)
        column = P.cast(P.minimum(P.maximum(column, P.zeros_like(column)), _float(width - 1)), dtype=int32)
        return P.gather(flat, image + row * width + column, axis=0, batch_dims=0)

    if method == "nearest":
        result = at(P.floor(y + 0.5), P.floor(x_at + 0.5))
    else:
        top, left = P.floor(y), P.floor(x_at)
        bottom, right = P.ceil(y), P.ceil(x_at)
        down, across = P.expand_dims(y - top, axis=(3,)), P.expand_dims(x_at - left, axis=(3,))
        upper = at(top, left) + (at(top, right) - at(top, left)) * across
        lower = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * across
        result = upper + (lower - upper) * down
    ground = convert_to_tensor(float(outside_value), result._dtype)
    return P.where(P.expand_dims(inside, axis=(3,)), result, ground)


def _float(n):
    return convert_to_tensor(float(n)) if known(n) else P.cast(n, dtype=float32)


def warp_projective(images, transforms, output_shape, fill_value=0.0, interpolation="NEAREST", fill_mode="CONSTANT"):
    """Images mapped by projective transforms from the result's pixels to theirs; see
    `tf.raw_ops.ImageProjectiveTransformV3`.

    Args:
        images: [batch, height, width, channels].
        transforms: [batch or 1, 8]: (a0, a1, a2, b0, b1, b2, c0, c1); the result's pixel (x, y) is read at
            ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with k = c0 x + c1 y + 1.
        output_shape: the new height and width.
        interpolation: `"NEAREST"` or `"BILINEAR"`.
        fill_mode: what is beyond the image: `"CONSTANT"` (`fill_value`), `"REFLECT"`, `"WRAP"` or `"NEAREST"`.
    """
    if interpolation not in ("NEAREST", "BILINEAR"):
        raise invalid("ImageProjectiveTransformV3", f"Interpolation must be NEAREST or BILINEAR, got {interpolation!r}")
    if fill_mode not in ("CONSTANT", "REFLECT", "WRAP", "NEAREST"):
        raise invalid("ImageProjectiveTransformV3", f"Invalid mode {fill_mode!r}: it is CONSTANT, REFLECT, WRAP or NEAREST")
    fill = convert_to_tensor(fill_value)
    return P.warp(
        convert_to_tensor(images),
        convert_to_tensor(transforms, dtype_hint=float32),
        size=static_dims(output_shape),
        interpolation=interpolation,
        mode=fill_mode,
        fill=float(fill) if fill.__class__ is Tensor else fill,
    )


@export("raw_ops.ImageProjectiveTransformV3")
def image_projective_transform_v3(
    *, images, transforms, output_shape, fill_value, interpolation, fill_mode="CONSTANT", name=None
):
    """Images mapped by projective transforms; see `warp_projective`."""
    return warp_projective(images, transforms, output_shape, fill_value, interpolation, fill_mode)


@export("raw_ops.ImageProjectiveTransformV2")
def image_projective_transform_v2(*, images, transforms, output_shape, interpolation, fill_mode="CONSTANT", name=None):
    """Images mapped by projective transforms, 0 beyond their edges; see `warp_projective`."""
    return warp_projective(images, transforms, output_shape, 0.0, interpolation, fill_mode)
