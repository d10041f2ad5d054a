"""Colours and dtypes of images (`tf.image.convert_image_dtype`, `tf.image.rgb_to_hsv`, `tf.image.adjust_contrast`,
...)."""

from tapeflow.api.export import export
from tapeflow.api.image_shapes import image_tensor
from tapeflow.api.math_reduce import reduce_mean
from tapeflow.base.dtypes import as_dtype, float16, float32
from tapeflow.base.errors import FailedPreconditionError, invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.ops.movement import dims_of

# The colour spaces of television: rows are red, green and blue.
TO_YUV = [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]]
FROM_YUV = [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]]
TO_YIQ = [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617], [0.114, -0.32134392, 0.31119955]]
FROM_YIQ = [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]]
GRAY = [0.2989, 0.587, 0.114]


@export("image.convert_image_dtype")
def convert_image_dtype(image, dtype, saturate=False, name=None):
    """Images of another dtype with values scaled to its range: [0, 1] of floats, up to the greatest value of integers.

    Args:
        saturate: whether values beyond the range become its ends, where they wrap around otherwise.

    Raises:
        AttributeError: a dtype that is neither floating point nor integer.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.convert_image_dtype(tf.constant([0, 255], tf.uint8), tf.float32).numpy().tolist()
        [0.0, 1.0]
    """
    x = convert_to_tensor(image)
    dtype = as_dtype(dtype)
    own = x._dtype
    if not (dtype.is_floating or dtype.is_integer):
        raise AttributeError(f"dtype must be either floating point or integer, got {dtype.name}")
    if not (own.is_floating or own.is_integer):
        raise AttributeError(f"image dtype must be either floating point or integer, got {own.name}")
    if dtype is own:
        return x
    cast = _saturating if saturate else lambda value, target: P.cast(value, dtype=target)
    if own.is_integer and dtype.is_integer:
        return _integers(x, own, dtype, cast)
    if own.is_floating and dtype.is_floating:
        return P.cast(x, dtype=dtype)
    if own.is_integer:
        return P.cast(x, dtype=dtype) * (1.0 / own.max)
    # Half a step more than the greatest value gives every integer the same share of [0, 1].
    return cast(x * (float(dtype.max) + 0.5), dtype)


def _integers(x, own, dtype, cast):
    if own.max > dtype.max:
        return cast(P.floordiv(x, convert_to_tensor((own.max + 1) // (dtype.max + 1), own)), dtype)
    factor = (dtype.max + 1) // (own.max + 1)
    return cast(x, dtype) * convert_to_tensor(factor, dtype)


def _saturating(x, dtype):
    """A cast that stops at the ends of the range."""
    low, high = max(dtype.min, x._dtype.min), min(dtype.max, x._dtype.max)
    if x._dtype.is_floating:
        low, high = float(low), float(high)
    clipped = P.minimum(P.maximum(x, convert_to_tensor(low, x._dtype)), convert_to_tensor(high, x._dtype))
    return P.cast(clipped, dtype=dtype)


def _in_floats(function, image, name=None):
    """`function` of the image as floats in [0, 1], converted back to the image's dtype with saturation."""
    x = convert_to_tensor(image)
    if x._dtype in (float16, float32):
        return function(x)
    return convert_image_dtype(function(convert_image_dtype(x, float32)), x._dtype, saturate=True)


# Colour spaces


def _mixed(images, table, op_name):
    """The last axis, three channels, times a matrix."""
    x = convert_to_tensor(images)
    return _times(x, convert_to_tensor(table, x._dtype))


def _times(x, table):
    rank = len(x.dims)
    if rank == 1:
        return P.squeeze(P.matmul(P.expand_dims(x, axis=(0,)), table), axis=(0,))
    return P.matmul(x, table)


def _colour_function(name, table, text):
    def function(images):
        return _mixed(images, table, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{text}

    Args:
        images: [..., 3], floating point; RGB is in [0, 1].

    Example:
        >>> import tapeflow as tf
        >>> tf.image.{name}(tf.zeros([2, 2, 3])).shape
        TensorShape([2, 2, 3])
    """
    return export(f"image.{name}")(function)


rgb_to_yuv = _colour_function("rgb_to_yuv", TO_YUV, "RGB as YUV: luminance, and two differences of colour.")
yuv_to_rgb = _colour_function("yuv_to_rgb", FROM_YUV, "YUV as RGB, the inverse of `rgb_to_yuv`.")
rgb_to_yiq = _colour_function("rgb_to_yiq", TO_YIQ, "RGB as YIQ, the colours of American television.")
yiq_to_rgb = _colour_function("yiq_to_rgb", FROM_YIQ, "YIQ as RGB, the inverse of `rgb_to_yiq`.")


@export("image.rgb_to_grayscale")
def rgb_to_grayscale(images, name=None):
    """[..., 3] as [..., 1]: 0.2989 red + 0.587 green + 0.114 blue, in the dtype of the images.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.image.rgb_to_grayscale([[1.0, 1.0, 1.0]])[0, 0]), 4)
        0.9999
    """
    x = convert_to_tensor(images)
    wide = convert_image_dtype(x, float32)
    gray = _times(wide, convert_to_tensor([[weight] for weight in GRAY], float32))
    return convert_image_dtype(gray, x._dtype)


@export("image.grayscale_to_rgb")
def grayscale_to_rgb(images, name=None):
    """[..., 1] as [..., 3]: the channel three times.

    Raises:
        ValueError: the last axis is not of size 1.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.grayscale_to_rgb([[5]]).numpy().tolist()
        [[5, 5, 5]]
    """
    x = convert_to_tensor(images)
    if x.dims is not None and len(x.dims) < 2:
        raise ValueError(f"A grayscale image (shape {x.shape}) must be at least two-dimensional.")
    if x.dims is not None and x.dims[-1] not in (1, None):
        raise ValueError(f"Last dimension of a grayscale image should be size 1. Its shape is {x.shape}.")
    return P.concat(x, x, x, axis=len(x.dims) - 1)


def _channels(images, name):
    x = convert_to_tensor(images)
    if not x._dtype.is_floating:
        raise invalid(
            name,
            f"Value for attr 'T' of {x._dtype.c_name} is not in the list of allowed values: half, bfloat16, float, double",
        )
    if not x.dims or x.dims[-1] not in (3, None):
        channels = x.dims[-1] if x.dims else 0
        raise FailedPreconditionError(
            None, None, f"input must have 3 channels but input only has {channels} channels. [Op:{name}]"
        )
    return P.unstack(x, axis=len(x.dims) - 1, num=3)


@export("image.rgb_to_hsv")
def rgb_to_hsv(images, name=None):
    """RGB as hue, saturation and value, all in [0, 1] where RGB is.

    Args:
        images: [..., 3], floating point.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.rgb_to_hsv([0.5, 0.0, 0.0]).numpy().tolist()
        [0.0, 1.0, 0.5]
    """
    red, green, blue = _channels(images, "RGBToHSV")
    value = P.maximum(P.maximum(red, green), blue)
    spread = value - P.minimum(P.minimum(red, green), blue)
    zero, one = P.zeros_like(value), P.ones_like(value)
    positive, coloured = value > 0, spread > 0
    saturation = P.where(positive, spread / P.where(positive, value, one), zero)
    sixth = 1 / (6 * P.where(coloured, spread, one))
    hue = P.where(
        P.equal(red, value),
        sixth * (green - blue),
        P.where(P.equal(green, value), sixth * (blue - red) + 2 / 6, sixth * (red - green) + 4 / 6),
    )
    hue = P.where(coloured, hue, zero)
    return P.stack(P.where(hue < 0, hue + 1, hue), saturation, value, axis=len(value.dims))


@export("image.hsv_to_rgb")
def hsv_to_rgb(images, name=None):
    """Hue, saturation and value in [0, 1] as RGB.

    Args:
        images: [..., 3], floating point.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.hsv_to_rgb([0.0, 1.0, 0.5]).numpy().tolist()
        [0.5, 0.0, 0.0]
    """
    hue, saturation, value = _channels(images, "HSVToRGB")
    angle = hue * 6
    one, zero = P.ones_like(value), P.zeros_like(value)

    def channel(share):
        share = P.minimum(P.maximum(share, zero), one)
        return ((1 - saturation) + saturation * share) * value

    parts = [P.abs(angle - 3) - 1, 2 - P.abs(angle - 2), 2 - P.abs(angle - 4)]
    return P.stack(*[channel(part) for part in parts], axis=len(value.dims))


# Adjustments


@export("image.adjust_brightness")
def adjust_brightness(image, delta):
    """`image + delta`, where delta is in the range of float images, [0, 1], also for integers.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.adjust_brightness([0.25], 0.5).numpy().tolist()
        [0.75]
    """

    def moved(x):
        delta_ = convert_to_tensor(delta)
        return x + (delta_ if delta_._dtype is x._dtype else P.cast(delta_, dtype=x._dtype))

    return _in_floats(moved, image)


@export("image.adjust_contrast")
def adjust_contrast(images, contrast_factor):
    """(images - mean) * contrast_factor + mean, with the mean of each channel of each image.

    Args:
        images: [..., height, width, channels].

    Example:
        >>> import tapeflow as tf
        >>> tf.image.adjust_contrast([[[1.0], [3.0]]], 2.0).numpy().ravel().tolist()
        [0.0, 4.0]
    """

    def spread(x):
        if len(x.dims) < 3:
            raise invalid("AdjustContrastv2", f"input must be at least 3-D, got shape{list(x.dims)}")
        mean = reduce_mean(x, (-3, -2), keepdims=True)
        return (x - mean) * _like(contrast_factor, x) + mean

    return _in_floats(spread, images)


def _like(number, x):
    """A number, or a tensor of any dtype, in the dtype of `x`."""
    tensor = convert_to_tensor(number)
    return tensor if tensor._dtype is x._dtype else P.cast(tensor, dtype=x._dtype)


@export("image.adjust_saturation")
def adjust_saturation(image, saturation_factor, name=None):
    """RGB images whose saturation is multiplied by a factor, and stays within [0, 1].

    Example:
        >>> import tapeflow as tf
        >>> tf.image.adjust_saturation([[[1.0, 0.5, 0.5]]], 0.0).numpy().ravel().tolist()
        [1.0, 1.0, 1.0]
    """

    def adjusted(x):
        hue, saturation, value = _channels(rgb_to_hsv(x), "AdjustSaturation")
        saturation = saturation * _like(saturation_factor, x)
        saturation = P.minimum(P.maximum(saturation, P.zeros_like(saturation)), P.ones_like(saturation))
        return hsv_to_rgb(P.stack(hue, saturation, value, axis=len(hue.dims)))

    return _in_floats(adjusted, image)


@export("image.adjust_hue")
def adjust_hue(image, delta, name=None):
    """RGB images whose hue is turned by `delta` of the colour circle.

    Raises:
        ValueError: delta is not in [-1, 1].

    Example:
        >>> import tapeflow as tf
        >>> tf.image.adjust_hue([[[1.0, 0.0, 0.0]]], 1 / 3).numpy().round(4).ravel().tolist()
        [0.0, 1.0, 0.0]
    """
    if isinstance(delta, (int, float)) and not -1 <= delta <= 1:
        raise ValueError(f"delta must be in the interval [-1, 1], got {delta}")

    def turned(x):
        hue, saturation, value = _channels(rgb_to_hsv(x), "AdjustHue")
        hue = hue + _like(delta, x)
        return hsv_to_rgb(P.stack(hue - P.floor(hue), saturation, value, axis=len(hue.dims)))

    return _in_floats(turned, image)


@export("image.adjust_gamma")
def adjust_gamma(image, gamma=1, gain=1):
    """gain * image ** gamma of images in [0, 1].

    Raises:
        ValueError: gamma is negative.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.adjust_gamma([0.5], gamma=2).numpy().tolist()
        [0.25]
    """
    if isinstance(gamma, (int, float)) and gamma < 0:
        raise ValueError(f"Gamma should be a non-negative real number. Got {gamma}.")
    return _in_floats(lambda x: _like(gain, x) * P.pow(x, _like(gamma, x)), image)


@export("image.per_image_standardization")
def per_image_standardization(image):
    """(image - mean) / max(deviation, 1 / sqrt(elements)): each image with mean 0 and variance 1, as float32.

    Args:
        image: [..., height, width, channels].

    Example:
        >>> import tapeflow as tf
        >>> tf.image.per_image_standardization([[[1.0], [3.0]]]).numpy().ravel().tolist()
        [-1.0, 1.0]
    """
    x = image_tensor(image)
    x = P.cast(x, dtype=float32) if x._dtype not in (float16, float32) else x
    axes = (-3, -2, -1)
    mean = reduce_mean(x, axes, keepdims=True)
    distance = x - mean
    deviation = P.sqrt(reduce_mean(distance * distance, axes, keepdims=True))
    count = 1
    for n in dims_of(x)[-3:]:
        count = count * n
    least = P.rsqrt(_like(count, x))
    return distance / P.maximum(deviation, least)
