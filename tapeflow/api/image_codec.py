"""Images as files (`tf.io.decode_png`, `tf.io.encode_jpeg`, `tf.io.decode_image`, ...); Pillow reads and writes them."""

import functools

from tapeflow.api.export import export, public
from tapeflow.api.image_color import convert_image_dtype
from tapeflow.base.dtypes import as_dtype, bool_, float32, int32, int64, uint8, uint16
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.io.images import DCT_METHODS, PLAIN_JPEG
from tapeflow.ops.images import PLAIN_FILE


def _decoded(op, contents, *crop, channels=0, dtype=uint8, expand=True, jpeg=PLAIN_JPEG):
    return P.decode_image(
        convert_to_tensor(contents), *crop, op=op, channels=int(channels or 0), dtype=dtype, expand=expand, jpeg=tuple(jpeg)
    )


def _jpeg_settings(op, ratio, fancy_upscaling, try_recover_truncated, dct_method):
    if ratio not in (1, 2, 4, 8):
        raise invalid(op, f"ratio must be 1, 2, 4, or 8, got {ratio}")
    if dct_method not in DCT_METHODS:
        raise invalid(op, f"dct_method must be one of {{'', 'INTEGER_FAST', 'INTEGER_ACCURATE'}}, got {dct_method!r}")
    return int(ratio), bool(fancy_upscaling), bool(try_recover_truncated), dct_method


@export("io.decode_png", "image.decode_png")
def decode_png(contents, channels=0, dtype=uint8, name=None):
    """The pixels of a PNG file (a JPEG file, or a GIF file of one frame, will do).

    Args:
        contents: the file's bytes, a scalar string.
        channels: 0 as the file has them, 1 gray, 3 RGB, 4 RGB and alpha.
        dtype: uint8 or uint16.

    Returns:
        [height, width, channels].

    Raises:
        InvalidArgumentError: contents that are no such file, or another number of channels.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.decode_png(tf.io.encode_png(tf.constant([[[7]]], tf.uint8))).numpy().tolist()
        [[[7]]]
    """
    dtype = as_dtype(dtype)
    if dtype not in (uint8, uint16):
        raise invalid(
            "DecodePng", f"Value for attr 'dtype' of {dtype.c_name} is not in the list of allowed values: uint8, uint16"
        )
    return _decoded("DecodePng", contents, channels=channels, dtype=dtype)


@export("io.decode_jpeg", "image.decode_jpeg")
def decode_jpeg(
    contents,
    channels=0,
    ratio=1,
    fancy_upscaling=True,
    try_recover_truncated=False,
    acceptable_fraction=1,
    dct_method="",
    name=None,
):
    """The pixels of a JPEG file, uint8 [height, width, channels] (a PNG file, or a GIF file of one frame, will do).

    TensorFlow's fast method of the cosine transform and fancy upscaling exclude each other here: where the file has subsampled
    colours, and both are asked for (the default), the accurate method is taken, and values differ by a few levels.

    Args:
        contents: the file's bytes, a scalar string.
        channels: 0 as the file has them, 1 gray, 3 RGB.
        ratio: 1, 2, 4 or 8: the image is scaled down while it is decoded.
        fancy_upscaling: whether subsampled colours are interpolated.
        try_recover_truncated: whether a truncated file gives what it has of the image, the rest being gray.
        acceptable_fraction: accepted; whatever is there of a truncated file is taken.
        dct_method: `""`, `"INTEGER_FAST"` or `"INTEGER_ACCURATE"`.

    Raises:
        InvalidArgumentError: contents that are no such file, or an argument that is not allowed.

    Example:
        >>> import tapeflow as tf
        >>> file = tf.io.encode_jpeg(tf.fill([8, 8, 3], tf.constant(100, tf.uint8)))
        >>> tf.io.decode_jpeg(file, ratio=2).shape
        TensorShape([4, 4, 3])
    """
    settings = _jpeg_settings("DecodeJpeg", ratio, fancy_upscaling, try_recover_truncated, dct_method)
    return _decoded("DecodeJpeg", contents, channels=channels, jpeg=settings)


@export("io.decode_and_crop_jpeg", "image.decode_and_crop_jpeg")
def decode_and_crop_jpeg(
    contents,
    crop_window,
    channels=0,
    ratio=1,
    fancy_upscaling=True,
    try_recover_truncated=False,
    acceptable_fraction=1,
    dct_method="",
    name=None,
):
    """A window of the pixels of a JPEG file; arguments as in `decode_jpeg`.

    Args:
        crop_window: int32 [4]: top, left, height and width.

    Raises:
        InvalidArgumentError: a window that is not within the image.

    Example:
        >>> import tapeflow as tf
        >>> file = tf.io.encode_jpeg(tf.fill([8, 8, 3], tf.constant(100, tf.uint8)))
        >>> tf.io.decode_and_crop_jpeg(file, [1, 2, 3, 5]).shape
        TensorShape([3, 5, 3])
    """
    settings = _jpeg_settings("DecodeAndCropJpeg", ratio, fancy_upscaling, try_recover_truncated, dct_method)
    window = convert_to_tensor(crop_window, int32)
    return _decoded("DecodeAndCropJpeg", contents, window, channels=channels, jpeg=settings)


@export("io.decode_gif", "image.decode_gif")
def decode_gif(contents, name=None):
    """The frames of a GIF file, uint8 [frames, height, width, 3] (a PNG or JPEG file is one frame).

    Raises:
        InvalidArgumentError: contents that are no such file.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.decode_gif(tf.io.encode_png(tf.zeros([2, 3, 3], tf.uint8))).shape
        TensorShape([1, 2, 3, 3])
    """
    return _decoded("DecodeGif", contents)


@export("io.decode_bmp", "image.decode_bmp")
def decode_bmp(contents, channels=0, name=None):
    """The pixels of a BMP file, uint8 [height, width, channels].

    Args:
        channels: 0 as the file has them, 3 RGB, 4 RGB and alpha.

    Raises:
        InvalidArgumentError: contents that are no such file, or another number of channels.

    Example:
        >>> import tapeflow as tf, io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (3, 2), (7, 8, 9)).save(file, "BMP")
        >>> tf.io.decode_bmp(file.getvalue())[0, 0].numpy().tolist()
        [7, 8, 9]
    """
    return _decoded("DecodeBmp", contents, channels=channels)


@export("io.decode_webp", "image.decode_webp")
def decode_webp(contents, channels=0, dtype=uint8, name=None):
    """The frames of a WebP file, uint8 [frames, height, width, channels].

    Args:
        channels: 0 as the file has them, 3 RGB, 4 RGB and alpha.
        dtype: uint8.

    Raises:
        InvalidArgumentError: contents that are no such file, or have another number of channels.
        UnimplementedError: Pillow was built without WebP.

    Example:
        >>> import tapeflow as tf, io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (3, 2), (7, 8, 9)).save(file, "WEBP", lossless=True)
        >>> tf.io.decode_webp(file.getvalue()).shape
        TensorShape([1, 2, 3, 3])
    """
    if as_dtype(dtype) is not uint8:
        raise invalid(
            "DecodeWebP", f"Value for attr 'dtype' of {as_dtype(dtype).c_name} is not in the list of allowed values: uint8"
        )
    return _decoded("DecodeWebP", contents, channels=channels)


@export("io.decode_image", "image.decode_image")
def decode_image(contents, channels=None, dtype=uint8, name=None, expand_animations=True):
    """The pixels of an image file: JPEG, PNG, GIF, BMP or WebP.

    Args:
        contents: the file's bytes, a scalar string.
        channels: 0 or None as the file has them, 1 gray, 3 RGB, 4 RGB and alpha, where the format has them.
        dtype: of integers, which span the dtype's range, or floats in [0, 1].
        expand_animations: whether a GIF or WebP file gives all its frames, along a new first axis.

    Raises:
        InvalidArgumentError: contents that are no such file, or channels that the format does not have.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.decode_image(tf.io.encode_png(tf.constant([[[255]]], tf.uint8)), dtype=tf.float32).numpy().tolist()
        [[[1.0]]]
    """
    dtype = as_dtype(dtype)
    if dtype is bool_ or not (dtype.is_floating or dtype.is_integer):
        raise invalid("DecodeImage", f"dtype must be of integers or floats, got {dtype.name}")
    own = dtype if dtype in (uint8, uint16, float32) else uint16
    pixels = _decoded("DecodeImage", contents, channels=channels, dtype=own, expand=bool(expand_animations))
    return pixels if own is dtype else convert_image_dtype(pixels, dtype)


@export("io.is_jpeg", "image.is_jpeg")
def is_jpeg(contents, name=None):
    """Whether a file starts as JPEG files do.

    Example:
        >>> import tapeflow as tf
        >>> bool(tf.io.is_jpeg(b"PNG"))
        False
    """
    return P.is_jpeg(convert_to_tensor(contents))


@export("io.extract_jpeg_shape", "image.extract_jpeg_shape")
def extract_jpeg_shape(contents, output_type=int32, name=None):
    """The height, width and channels of a JPEG file, of which only the header is read.

    Args:
        output_type: int32 or int64.

    Raises:
        InvalidArgumentError: contents that are no JPEG file.

    Example:
        >>> import tapeflow as tf
        >>> file = tf.io.encode_jpeg(tf.fill([2, 5, 3], tf.constant(100, tf.uint8)))
        >>> tf.io.extract_jpeg_shape(file).numpy().tolist()
        [2, 5, 3]
    """
    dtype = as_dtype(output_type)
    if dtype not in (int32, int64):
        raise invalid("ExtractJpegShape", f"output_type must be int32 or int64, got {dtype.name}")
    dims = P.jpeg_shape(convert_to_tensor(contents))
    return dims if dtype is int32 else P.cast(dims, dtype=dtype)


@export("io.encode_png", "image.encode_png")
def encode_png(image, compression=-1, name=None):
    """A PNG file of [height, width, channels], uint8 or uint16, with 1 to 4 channels; of a batch, one for each image.

    Args:
        compression: zlib's level, 0 to 9, or -1 for its default.

    Raises:
        InvalidArgumentError: an image of another shape or dtype.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.encode_png(tf.zeros([2, 3, 1], tf.uint8)).numpy()[1:4]
        b'PNG'
    """
    if not -1 <= compression <= 9:
        raise invalid("EncodePng", f"compression should be in [-1,9], got {compression}")
    image = convert_to_tensor(image)
    if image.dims is not None and len(image.dims) > 3 and None not in image.dims:
        flat = P.reshape(image, shape=(-1, *image.dims[-3:]))
        files = [P.encode_png(part, level=compression) for part in P.unstack(flat, axis=0, num=flat.dims[0])]
        return P.reshape(P.stack(*files, axis=0), shape=image.dims[:-3])
    return P.encode_png(image, level=int(compression))


@export("io.encode_jpeg", "image.encode_jpeg")
def encode_jpeg(
    image,
    format="",
    quality=95,
    progressive=False,
    optimize_size=False,
    chroma_downsampling=True,
    density_unit="in",
    x_density=300,
    y_density=300,
    xmp_metadata="",
    name=None,
):
    """A JPEG file of [height, width, 1 or 3], uint8.

    Args:
        format: `""`, `"grayscale"` or `"rgb"`, which the channels must be.
        quality: 0 to 100.
        progressive: whether the file gets sharper as it is loaded.
        optimize_size: whether the file is made smaller, with more work.
        chroma_downsampling: whether colours have half the resolution.
        density_unit: `"in"` or `"cm"`, of the densities.
        x_density, y_density: pixels to the unit.
        xmp_metadata: what the file says of itself, XMP.

    Raises:
        InvalidArgumentError: an image of another shape or dtype, or an argument that is not allowed.

    Example:
        >>> import tapeflow as tf
        >>> bool(tf.io.is_jpeg(tf.io.encode_jpeg(tf.zeros([2, 3, 1], tf.uint8))))
        True
    """
    op = "EncodeJpeg"
    for what, value, allowed in (("format", format, ("", "grayscale", "rgb")), ("density_unit", density_unit, ("in", "cm"))):
        if value not in allowed:
            names = ", ".join(f'"{each}"' for each in allowed)
            raise invalid(op, f"Value for attr '{what}' of \"{value}\" is not in the list of allowed values: {names}")
    if not 0 <= quality <= 100:
        raise invalid(op, f"quality must be in [0,100], got {quality}")
    image = convert_to_tensor(image)
    if format and image.dims is not None and image.dims[-1:] not in ((1 if format == "grayscale" else 3,), (None,)):
        raise invalid(op, f"format {format} expects {1 if format == 'grayscale' else 3} channels, got {list(image.dims)}")
    return P.encode_jpeg(
        image,
        quality=int(quality),
        progressive=bool(progressive),
        optimize=bool(optimize_size),
        downsampling=bool(chroma_downsampling),
        unit=density_unit,
        density=(int(x_density), int(y_density)),
        xmp=xmp_metadata.encode() if isinstance(xmp_metadata, str) else bytes(xmp_metadata),
    )


@export("image.adjust_jpeg_quality")
def adjust_jpeg_quality(image, jpeg_quality, dct_method="", name=None):
    """The image as it is after it was a JPEG file of some quality, in its own dtype.

    Args:
        image: [height, width, 1 or 3], integers or floats in [0, 1].
        jpeg_quality: 0 to 100, an int or an int32 tensor.
        dct_method: as in `decode_jpeg`.

    Raises:
        InvalidArgumentError: another quality.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.adjust_jpeg_quality(tf.ones([2, 3, 3]), 75).shape
        TensorShape([2, 3, 3])
    """
    image = convert_to_tensor(image)
    channels = image.dims[-1] if image.dims else None
    pixels = convert_image_dtype(image, uint8, saturate=True)
    quality = P.cast(convert_to_tensor(jpeg_quality), dtype=int32)
    file = P.encode_jpeg(pixels, quality, **{**PLAIN_FILE, "quality": None})
    decoded = decode_jpeg(file, channels=channels or 0, dct_method=dct_method)
    return convert_image_dtype(decoded, image._dtype, saturate=True)


def _random_quality(low, high, draw):
    """A quality in [low, high)."""
    if low < 0 or high < 0 or low > 100 or high > 100:
        raise ValueError(f"jpeg encoding range must be between 0 and 100, got {low} and {high}.")
    if low >= high:
        raise ValueError(f"`min_jpeg_quality` must be less than `max_jpeg_quality`, got {low} and {high}.")
    return draw([], minval=low, maxval=high, dtype=int32)


@export("image.random_jpeg_quality")
def random_jpeg_quality(image, min_jpeg_quality, max_jpeg_quality, seed=None):
    """`adjust_jpeg_quality` to a random quality, drawn from the global generator.

    Args:
        min_jpeg_quality, max_jpeg_quality: the qualities are in [min, max).
        seed: an int.

    Raises:
        ValueError: no such range within 0 to 100.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.random_jpeg_quality(tf.ones([2, 3, 3]), 75, 95).shape
        TensorShape([2, 3, 3])
    """
    draw = functools.partial(public("random.uniform"), seed=seed)
    return adjust_jpeg_quality(image, _random_quality(min_jpeg_quality, max_jpeg_quality, draw))


@export("image.stateless_random_jpeg_quality")
def stateless_random_jpeg_quality(image, min_jpeg_quality, max_jpeg_quality, seed):
    """`adjust_jpeg_quality` to a random quality, drawn from the seed alone.

    Args:
        min_jpeg_quality, max_jpeg_quality: the qualities are in [min, max).
        seed: two integers.

    Raises:
        ValueError: no such range within 0 to 100.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.stateless_random_jpeg_quality(tf.ones([2, 3, 3]), 75, 95, seed=(1, 2)).shape
        TensorShape([2, 3, 3])
    """
    draw = functools.partial(public("random.stateless_uniform"), seed=seed)
    return adjust_jpeg_quality(image, _random_quality(min_jpeg_quality, max_jpeg_quality, draw))
