"""Images as files: PNG (`tf.io.decode_png`, `tf.io.encode_png`, `tf.io.decode_image`)."""

from tapeflow.api.export import export
from tapeflow.api.image_color import convert_image_dtype
from tapeflow.base.dtypes import as_dtype, bool_, uint8, uint16
from tapeflow.base.errors import UnimplementedError, invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.png import SIGNATURE

# What other files start with.
OTHERS = {b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP"}


@export("io.decode_png", "image.decode_png")
def decode_png(contents, channels=0, dtype=uint8, name=None):
    """The pixels of a PNG file.

    Args:
        contents: the file's bytes, a scalar string.
        channels: 0 as the file has them, 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
        dtype: uint8 or uint16.

    Returns:
        [height, width, channels].

    Raises:
        InvalidArgumentError: contents that are no PNG file, or an impossible number of channels.
        UnimplementedError: an interlaced file.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.decode_png(tf.io.encode_png(tf.constant([[[7]]], tf.uint8))).numpy().tolist()
        [[[7]]]
    """
    dtype = as_dtype(dtype)
    if dtype not in (uint8, uint16):
        raise invalid("DecodePng", f"Type must be UINT8 or UINT16, got {dtype.name}")
    if channels not in (None, 0, 1, 2, 3, 4):
        raise invalid("DecodePng", f"channels must be 0, 1, 2, 3 or 4, got {channels}")
    return P.decode_png(convert_to_tensor(contents), channels=int(channels or 0), dtype=dtype)


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


@export("io.decode_image", "image.decode_image")
def decode_image(contents, channels=None, dtype=uint8, name=None, expand_animations=True):
    """The pixels of an image file. PNG is the one format that is read here; see `decode_png`.

    Args:
        dtype: uint8, uint16, or float32 (values in [0, 1]).

    Raises:
        InvalidArgumentError: an unknown file.
        UnimplementedError: JPEG, GIF, BMP and WebP.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.decode_image(tf.io.encode_png(tf.constant([[[255]]], tf.uint8)), dtype=tf.float32).numpy().tolist()
        [[[1.0]]]
    """
    contents = convert_to_tensor(contents)
    if contents.__class__ is Tensor and contents.dims == ():
        data = bytes(contents._value[()])
        for start, kind in OTHERS.items():
            if data.startswith(start):
                raise UnimplementedError(
                    None, None, f"{kind} files are not read here: convert them to PNG, or use PIL. [Op:DecodeImage]"
                )
        if not data.startswith(SIGNATURE):
            raise invalid("DecodeImage", "Unknown image file format. One of JPEG, PNG, GIF, BMP required.")
    dtype = as_dtype(dtype)
    if dtype is bool_ or not (dtype.is_floating or dtype.is_integer):
        raise invalid("DecodeImage", f"dtype must be uint8, uint16 or float32, got {dtype.name}")
    wide = dtype in (uint8, uint16)
    pixels = decode_png(contents, channels or 0, dtype if wide else uint16)
    return pixels if wide else convert_image_dtype(pixels, dtype)


@export("io.is_jpeg", "image.is_jpeg")
def is_jpeg(contents, name=None):
    """Whether a file starts as JPEG files do.

    Example:
        >>> import tapeflow as tf
        >>> bool(tf.io.is_jpeg(b"PNG"))
        False
    """
    contents = convert_to_tensor(contents)
    return convert_to_tensor(bytes(contents._value[()]).startswith(b"\xff\xd8\xff"))
