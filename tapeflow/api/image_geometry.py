"""Images flipped, turned, cropped and padded (`tf.image.flip_left_right`, `tf.image.central_crop`, ...)."""

from tapeflow.api.export import export
from tapeflow.api.image_shapes import batched, image_tensor, known, larger, smaller
from tapeflow.core.convert import static_dims
from tapeflow.core.primitive import P
from tapeflow.ops.movement import dims_of

RANKS = "must have either 3 or 4 dimensions."


def _flipped(image, axis):
    x = image_tensor(image)
    if x.dims is not None and len(x.dims) not in (3, 4):
        raise ValueError(f"'image' (shape {x.shape}) {RANKS}")
    return P.reverse(x, axis=(axis,))


@export("image.flip_left_right")
def flip_left_right(image):
    """[height, width, channels], or a batch of them, mirrored left to right.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.flip_left_right([[[1], [2]]]).numpy().tolist()
        [[[2], [1]]]
    """
    return _flipped(image, -2)


@export("image.flip_up_down")
def flip_up_down(image):
    """[height, width, channels], or a batch of them, turned upside down.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.flip_up_down([[[1]], [[2]]]).numpy().tolist()
        [[[2]], [[1]]]
    """
    return _flipped(image, -3)


def _exchanged(x):
    """Rows and columns exchanged."""
    rank = len(x.dims)
    return P.transpose(x, perm=(*range(rank - 3), rank - 2, rank - 3, rank - 1))


@export("image.transpose")
def transpose(image, name=None):
    """Rows and columns of [height, width, channels], or of a batch, exchanged.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.transpose([[[1], [2]]]).numpy().tolist()
        [[[1]], [[2]]]
    """
    x = image_tensor(image)
    if len(x.dims) not in (3, 4):
        raise ValueError(f"'image' (shape {x.shape}) {RANKS}")
    return _exchanged(x)


@export("image.rot90")
def rot90(image, k=1, name=None):
    """[height, width, channels], or a batch of them, turned counterclockwise by k times 90 degrees; k is known.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.rot90([[[1], [2]]]).numpy().tolist()
        [[[2]], [[1]]]
    """
    x = image_tensor(image)
    if len(x.dims) not in (3, 4):
        raise ValueError(f"'image' (shape {x.shape}) {RANKS}")
    turns = static_dims(k)[0] % 4
    match turns:
        case 0:
            return x
        case 1:
            return P.reverse(_exchanged(x), axis=(-3,))
        case 2:
            return P.reverse(x, axis=(-3, -2))
        case _:
            return _exchanged(P.reverse(x, axis=(-3,)))


@export("image.crop_to_bounding_box")
def crop_to_bounding_box(image, offset_height, offset_width, target_height, target_width):
    """The part of [height, width, channels], or of a batch, with the upper left corner and the size that are given.

    Raises:
        ValueError: the part is not inside the image.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.crop_to_bounding_box(tf.zeros([5, 7, 3]), 1, 2, 3, 4).shape
        TensorShape([3, 4, 3])
    """
    x, restored = batched(image, text=RANKS)
    top, left, height, width = _four(offset_height, offset_width, target_height, target_width)
    _, rows, columns, _ = dims_of(x)
    _require(left, lambda: left >= 0, "offset_width must be >= 0")
    _require(top, lambda: top >= 0, "offset_height must be >= 0")
    _require(width, lambda: width > 0, "target_width must be > 0")
    _require(height, lambda: height > 0, "target_height must be > 0")
    if known(columns, left, width) and columns < left + width:
        raise ValueError(f"width must be >= target + offset. The width is {columns}, target {width}, offset {left}.")
    if known(rows, top, height) and rows < top + height:
        raise ValueError(f"height must be >= target + offset. The height is {rows}, target {height}, offset {top}.")
    return restored(P.slice(x, begin=(0, top, left, 0), size=(-1, height, width, -1)))


def _four(*values):
    """Numbers as ints, or scalar symbolic tensors where unknown."""
    return [static_dims(value)[0] for value in values]


def _require(value, condition, text):
    if known(value) and not condition():
        raise ValueError(f"{text}. Got {value}.")


@export("image.pad_to_bounding_box")
def pad_to_bounding_box(image, offset_height, offset_width, target_height, target_width):
    """[height, width, channels], or a batch of them, on a black ground of the size that is given, `offset_height` from
    its top and `offset_width` from its left.

    Raises:
        ValueError: the image does not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.pad_to_bounding_box([[[5]]], 0, 1, 1, 3).numpy().tolist()
        [[[0], [5], [0]]]
    """
    x, restored = batched(image, text=RANKS)
    top, left, height, width = _four(offset_height, offset_width, target_height, target_width)
    _, rows, columns, _ = dims_of(x)
    bottom, right = height - top - rows, width - left - columns
    _require(top, lambda: top >= 0, "offset_height must be >= 0")
    _require(left, lambda: left >= 0, "offset_width must be >= 0")
    _require(right, lambda: right >= 0, "width must be <= target - offset")
    _require(bottom, lambda: bottom >= 0, "height must be <= target - offset")
    return restored(P.pad(x, paddings=((0, 0), (top, bottom), (left, right), (0, 0))))


@export("image.central_crop")
def central_crop(image, central_fraction):
    """The middle of [height, width, channels], or of a batch: `central_fraction` of the height and of the width.

    Raises:
        ValueError: the fraction is not in (0, 1].

    Example:
        >>> import tapeflow as tf
        >>> tf.image.central_crop(tf.zeros([8, 10, 3]), 0.5).shape
        TensorShape([4, 6, 3])
    """
    x = image_tensor(image)
    fraction = float(central_fraction)
    if not 0 < fraction <= 1:
        raise ValueError(f"central_fraction must be within (0, 1], got {central_fraction}")
    if fraction == 1:
        return x
    x, restored = batched(x)
    _, rows, columns, _ = dims_of(x)
    top, left = _margin(rows, fraction), _margin(columns, fraction)
    return restored(P.slice(x, begin=(0, top, left, 0), size=(-1, rows - 2 * top, columns - 2 * left, -1)))


def _margin(size, fraction):
    """What is cut off on each side."""
    if known(size):
        return int((size - size * fraction) / 2)
    from tapeflow.base.dtypes import float64, int32

    wide = P.cast(size, dtype=float64)
    return P.cast((wide - wide * fraction) / 2, dtype=int32)


@export("image.resize_with_crop_or_pad")
def resize_with_crop_or_pad(image, target_height, target_width):
    """[height, width, channels], or a batch of them, cropped at its middle or padded with zeros to the size that is
    given.

    Raises:
        ValueError: a size that is not positive.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.resize_with_crop_or_pad(tf.zeros([5, 7, 3]), 3, 9).shape
        TensorShape([3, 9, 3])
    """
    x, restored = batched(image, text=RANKS)
    height, width = _four(target_height, target_width)
    _require(width, lambda: width > 0, "target_width must be > 0")
    _require(height, lambda: height > 0, "target_height must be > 0")
    _, rows, columns, _ = dims_of(x)
    cropped = crop_to_bounding_box(
        x,
        larger((rows - height) // 2, 0),
        larger((columns - width) // 2, 0),
        smaller(height, rows),
        smaller(width, columns),
    )
    return restored(
        pad_to_bounding_box(cropped, larger((height - rows) // 2, 0), larger((width - columns) // 2, 0), height, width)
    )
