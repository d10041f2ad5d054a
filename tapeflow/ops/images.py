"""Image files to tensors and back."""

import numpy as np

from tapeflow.base.dtypes import bool_, int32, string, uint8, uint16
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.io import images, png
from tapeflow.ops.strings import mapped


def scalar_bytes(op, contents):
    """The bytes of a scalar string."""
    if np.ndim(contents):
        raise invalid(op, f"`contents` must be scalar but got shape{list(np.shape(contents))}")
    return bytes(contents[()])


def check_scalar(op, contents):
    """Raise where a spec is that of no scalar."""
    if contents.shape not in (None, ()):
        raise invalid(op, f"`contents` must be scalar but got shape{list(contents.shape)}")


def boxed(value):
    """A string as a 0-d array."""
    result = np.empty((), object)
    result[()] = value
    return result


def _decode_kernel(contents, *crop, op, channels, dtype, expand, jpeg):
    window = None
    if crop:
        if crop[0].shape != (4,):
            raise invalid(op, f"crop_size must have four elements {list(crop[0].shape)}")
        window = tuple(crop[0].tolist())
    return images.decode(scalar_bytes(op, contents), op, channels, dtype, expand, jpeg, window)


def _decode_infer(contents, *crop, op, channels, dtype, expand, jpeg):
    check_scalar(op, contents)
    dims = (None, None, channels or None)
    if op == "DecodeGif":
        return Spec((None, None, None, 3), dtype)
    if op == "DecodeWebP":
        return Spec((None, *dims), dtype)
    return Spec(None if op == "DecodeImage" and expand else dims, dtype)


def _png_sample():
    return boxed(png.encode(np.arange(30, dtype=np.uint8).reshape(2, 5, 3), -1))


# An optional second input is the window (top, left, height, width) to which a JPEG file is cut.
decode_image = Primitive(
    "decode_image",
    _decode_kernel,
    _decode_infer,
    accepts={string},
    uniform=False,
    samples=lambda: [
        (
            (_png_sample(),),
            {"op": "DecodePng", "channels": channels, "dtype": uint8, "expand": True, "jpeg": (1, True, False, "")},
        )
        for channels in (0, 1, 4)
    ],
)


def _encode_png_kernel(image, *, level):
    _check_image("EncodePng", np.shape(image), png.COLOURS)
    return boxed(png.encode(image, level))


def _check_image(op, shape, channels):
    if shape is not None and (len(shape) != 3 or shape[2] not in (None, *channels) or 0 in shape):
        raise invalid(
            op, f"image must have {' or '.join(map(str, channels))} channels and be 3-dimensional, got {list(shape)}"
        )


def _encode_png_infer(image, *, level):
    _check_image("EncodePng", image.shape, png.COLOURS)
    return Spec((), string)


encode_png = Primitive(
    "encode_png",
    _encode_png_kernel,
    _encode_png_infer,
    accepts={uint8, uint16},
    samples=lambda: [((np.arange(30, dtype=np.uint8).reshape(2, 5, 3),), {"level": -1})],
)


def _encode_jpeg_kernel(image, *given, quality, progressive, optimize, downsampling, unit, density, xmp):
    _check_image("EncodeJpeg", np.shape(image), (1, 3))
    if given:
        quality = int(given[0])
        if not 0 <= quality <= 100:
            raise invalid("EncodeJpegVariableQuality", f"quality must be in [0,100], got {quality}")
    return boxed(images.encode_jpeg(image, quality, progressive, optimize, downsampling, unit, density, xmp))


def _encode_jpeg_infer(image, *given, **attrs):
    _check_image("EncodeJpeg", image.shape, (1, 3))
    return Spec((), string)


# The settings of a JPEG file that TensorFlow has by default.
PLAIN_FILE = {
    "quality": 95,
    "progressive": False,
    "optimize": False,
    "downsampling": True,
    "unit": "in",
    "density": (300, 300),
    "xmp": b"",
}
# An optional second input is the quality, int32, where it is computed.
encode_jpeg = Primitive(
    "encode_jpeg",
    _encode_jpeg_kernel,
    _encode_jpeg_infer,
    accepts={uint8},
    uniform=False,
    samples=lambda: [((np.arange(30, dtype=np.uint8).reshape(2, 5, 3),), PLAIN_FILE)],
)


is_jpeg = mapped("is_jpeg", lambda s: s.startswith(b"\xff\xd8\xff"), bool_)


def _jpeg_shape_kernel(contents):
    return np.array(images.jpeg_shape(scalar_bytes("ExtractJpegShape", contents), "ExtractJpegShape"), np.int32)


def _jpeg_shape_infer(contents):
    check_scalar("ExtractJpegShape", contents)
    return Spec((3,), int32)


jpeg_shape = Primitive(
    "jpeg_shape",
    _jpeg_shape_kernel,
    _jpeg_shape_infer,
    accepts={string},
    samples=lambda: [((boxed(_encode_jpeg_kernel(np.zeros((2, 5, 3), np.uint8), **PLAIN_FILE)[()]),), {})],
)

__all__ = [
    "PLAIN_FILE",
    "boxed",
    "check_scalar",
    "decode_image",
    "encode_jpeg",
    "encode_png",
    "is_jpeg",
    "jpeg_shape",
    "scalar_bytes",
]
