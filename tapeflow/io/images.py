"""Image files to arrays [height, width, channels] and back, by Pillow; 16-bit PNG files by `tapeflow.io.png`.

JPEG files are decoded by the same library (libjpeg-turbo) as TensorFlow's, and to the same bytes where Pillow lets the
method be chosen: with `dct_method="INTEGER_ACCURATE"`, and for files without subsampled colours or with
`fancy_upscaling=False`. TensorFlow's default, the fast method with fancy upscaling, is the accurate one here for files with
subsampled colours, which differs by a few levels.
"""

import contextlib
import functools
import io
import struct
import threading
from typing import NamedTuple

import numpy as np

from tapeflow.base.dtypes import float32, uint8, uint16
from tapeflow.base.errors import InvalidArgumentError, UnimplementedError
from tapeflow.io import png

STARTS = {png.SIGNATURE: "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP", b"RIFF": "WebP"}
KEPT = 1 << 16  # pixels of an image that is used again
DCT_METHODS = ("", "INTEGER_FAST", "INTEGER_ACCURATE")


def invalid(op, text):
    """An `InvalidArgumentError` with the op's name."""
    return InvalidArgumentError(None, None, f"{text} [Op:{op}]")


def kind_of(data, op):
    """The format of a file's bytes, by how they start.

    Raises:
        InvalidArgumentError: another file.
    """
    if not data:
        raise invalid(op, "Input is empty.")
    for start, kind in STARTS.items():
        if data.startswith(start):
            return kind
    raise invalid(op, "Unknown image file format. One of JPEG, JPEG XL, PNG, GIF, BMP, WebP required.")


# What Pillow raises for damaged files.
FAILURES = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, MemoryError, struct.error)


@contextlib.contextmanager
def _named(op, text):
    """What Pillow raises for damaged files becomes an `InvalidArgumentError`."""
    try:
        yield
    except (*FAILURES, _pillow().DecompressionBombError) as error:
        raise invalid(op, f"{text}: {error or type(error).__name__}") from error


def _check_size(op, size, channels=4):
    width, height = size
    if width < 1 or height < 1 or width * height * channels > png.MOST:
        raise invalid(op, f"Image of {height} x {width} pixels is too large, or empty")


def _array(image):
    """The pixels of an image."""
    image.load()
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        clear = image.mode in ("P", "PA") and ("transparency" in image.info or image.mode == "PA")
        image = image.convert("RGBA" if clear else "L" if image.mode in ("1", "I", "I;16") else "RGB")
    return np.frombuffer(image.tobytes(), np.uint8).reshape(image.size[1], image.size[0], len(image.getbands()))


# Pillow's names of the modes of a PNG file with 8 bits a sample, by its colour type.
PNG_MODES = {0: "L", 2: "RGB", 4: "LA", 6: "RGBA"}


def decode_png(data, op, channels=0, dtype=uint8):
    """The pixels of a PNG file, uint8 or uint16."""
    # The depth stands in the header: signature, length, "IHDR", width, height.
    if dtype is uint16 or data[24:25] == b"\x10":
        return png.converted(png.decode(data), channels, dtype)
    header, found = png.opened(data)
    mode = PNG_MODES.get(header.colour)
    try:
        if header.depth == 8 and mode and not header.interlaced and b"tRNS" not in found:
            # Opening the file would take most of the time of a small image.
            image = _canvas(mode, header[:2])
            image.frombytes(found[b"IDAT"], "zip", (mode, 0))
            pixels = np.frombuffer(image.tobytes("raw", mode), np.uint8).reshape(header.height, header.width, len(mode))
        else:
            pixels = _array(_opened_png(data))
    except FAILURES as error:
        raise png.damaged(data, error) from error
    return png.converted(pixels, channels, uint8)


_LAST = threading.local()


def _canvas(mode, size):
    """An image to decode into, which writes all of it or raises: that of before, where it fits, for each thread."""
    image = getattr(_LAST, "image", None)
    if image is None or image.mode != mode or image.size != size:
        image = _pillow().new(mode, size)
        if size[0] * size[1] <= KEPT:
            _LAST.image = image
    return image


@functools.cache
def _pillow():
    from PIL import Image

    return Image


def _opened_png(data):
    from PIL.PngImagePlugin import PngImageFile

    return PngImageFile(io.BytesIO(data))


def _open_jpeg(data, op):
    from PIL.JpegImagePlugin import JpegImageFile

    image = JpegImageFile(io.BytesIO(data))
    _check_size(op, image.size)
    return image


def jpeg_shape(data, op):
    """(height, width, channels) of a JPEG file, of which only the header is read."""
    with _named(op, f"Invalid JPEG data, size {len(data)}"):
        image = _open_jpeg(data, op)
        return image.size[1], image.size[0], len(image.getbands())


class JpegSettings(NamedTuple):
    """How a JPEG file is decoded.

    Attributes:
        ratio: by how much it is scaled down: 1, 2, 4 or 8.
        fancy: whether subsampled colours are interpolated.
        recover: whether a truncated file gives the rows that it has.
        method: of the inverse cosine transform, one of `DCT_METHODS`.
    """

    ratio: int = 1
    fancy: bool = True
    recover: bool = False
    method: str = ""


PLAIN_JPEG = JpegSettings()


def decode_jpeg(data, op, channels=0, settings=PLAIN_JPEG, crop=None):
    """The pixels of a JPEG file, cut to `crop` (top, left, height, width)."""
    settings = JpegSettings(*settings)
    if channels == 4:
        raise invalid(op, "JPEG does not support 4 channels")
    with _named(op, "jpeg::Uncompress failed. Invalid JPEG data or crop window."):
        # libjpeg takes an end mark where data is missing, and leaves the rest of the image gray.
        image = _open_jpeg(data + b"\xff\xd9" if settings.recover else data, op)
        subsampled = any(layer[1:3] != image.layer[0][1:3] for layer in image.layer)
        if channels == 1 and image.mode == "RGB":
            image.draft("L", None)  # the luminance as the file has it
        tile = image.tile[0]
        if settings.ratio > 1:
            image._size = tuple([-(-n // settings.ratio) for n in image.size])
            tile = tile._replace(extents=(0, 0, *image._size))
            image.tile = [tile]
        fancy = settings.fancy and subsampled and image.mode != "L"
        # Pillow couples the fast method with plain upscaling.
        image.decoderconfig = (settings.ratio, int(settings.method != "INTEGER_ACCURATE" and not fancy))
        pixels = png.converted(_array(image), channels, uint8)
    return pixels if crop is None else _cropped(pixels, crop, op)


def _cropped(pixels, crop, op):
    top, left, height, width = crop
    rows, columns = pixels.shape[:2]
    if min(top, left) < 0 or min(height, width) < 1 or top + height > rows or left + width > columns:
        raise invalid(
            op, f"jpeg::Uncompress failed. Invalid JPEG data or crop window. The window {crop} of {rows} x {columns}"
        )
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def decode_gif(data, op):
    """The frames [frames, height, width, 3] of a GIF file."""
    from PIL import ImageSequence
    from PIL.GifImagePlugin import GifImageFile

    with _named(op, f"Invalid GIF data (size {len(data)})"):
        image = GifImageFile(io.BytesIO(data))
        _check_size(op, image.size, 3)
        frames = []
        for frame in ImageSequence.Iterator(image):
            frames.append(np.asarray(frame.convert("RGB")))
            _check_size(op, image.size, 3 * len(frames))
        return np.stack(frames)


def decode_bmp(data, op, channels=0):
    """The pixels of a BMP file, with 1, 3 or 4 channels."""
    if channels not in (0, 3, 4):
        raise invalid(op, f"`channels` must be 0, 3 or 4 for BMP, but got {channels}")
    from PIL.BmpImagePlugin import BmpImageFile

    with _named(op, f"Invalid BMP data (size {len(data)}). Input size should match the header"):
        image = BmpImageFile(io.BytesIO(data))
        _check_size(op, image.size)
        return png.converted(_array(image), channels, uint8)


def decode_webp(data, op, channels=0):
    """The frames [frames, height, width, 3 or 4] of a WebP file."""
    if channels not in (0, 3, 4):
        raise invalid(op, f"`channels` must be 0, 3 or 4 for WebP, but got {channels}")
    from PIL import ImageSequence, features

    if not features.check("webp"):
        raise UnimplementedError(None, None, f"This Pillow was built without WebP. [Op:{op}]")
    from PIL.WebPImagePlugin import WebPImageFile

    with _named(op, "Failed to decode WebP image."):
        image = WebPImageFile(io.BytesIO(data))
        _check_size(op, image.size)
        frames = [
            np.asarray(frame.convert(frame.mode if frame.mode == "RGBA" else "RGB"))
            for frame in ImageSequence.Iterator(image)
        ]
    pixels = np.stack(frames)
    if channels not in (0, pixels.shape[3]):
        raise invalid(op, "Number of channels requested does not match input")
    return pixels


def decode(data, op, channels=0, dtype=uint8, expand=True, jpeg=PLAIN_JPEG, crop=None):
    """The pixels of an image file, as TensorFlow's op `op` reads it: which formats it takes, and what a GIF file gives.

    Args:
        data: the file's bytes.
        op: "DecodeImage" (any format), "DecodePng", "DecodeJpeg" or "DecodeAndCropJpeg" (PNG, JPEG, or one GIF frame),
            "DecodeGif" (these as a single frame, too), "DecodeBmp" or "DecodeWebP".
        channels: 0 for those that the file has.
        dtype: uint8, uint16 or float32 (values in [0, 1]).
        expand: whether a GIF or WebP file gives all its frames, along a new first axis.
        jpeg: how a JPEG file is decoded: what `JpegSettings` holds.
        crop: the window of a JPEG file.

    Raises:
        InvalidArgumentError: a damaged file, one of another format, or channels that the format does not have.
    """
    kind = kind_of(data, op)
    own = {"DecodeBmp": "BMP", "DecodeWebP": "WebP"}.get(op)
    if op != "DecodeImage" and (kind != own if own else kind in ("BMP", "WebP")):
        better = f"decode_{kind.lower()}"
        raise invalid(
            op, f"Trying to decode {kind} format using a wrong op. Use `{better}` or `decode_image` instead. Op used: {op}"
        )
    if own is None and channels not in (0, 1, 3, 4):
        raise invalid(op, f"`channels` must be 0, 1, 3 or 4 but got {channels}")
    match kind:
        case "JPEG":
            pixels = decode_jpeg(data, op, channels, jpeg, crop)
        case "PNG":
            pixels = decode_png(data, op, channels, uint8 if dtype is uint8 else uint16)
        case "GIF":
            pixels = _gif_as(decode_gif(data, op), op, channels, expand)
        case "BMP":
            pixels = decode_bmp(data, op, channels)
        case _:
            frames = decode_webp(data, op, channels)
            pixels = frames if expand else frames[0]
    if op == "DecodeGif" and pixels.ndim == 3:
        pixels = pixels[None]
    return _as(pixels, dtype)


def _as(pixels, dtype):
    """Samples as uint8, uint16 or float32 in [0, 1]; TensorFlow spreads 8 bits over 16 by a shift."""
    if dtype is float32:
        return pixels * np.float32(1 / np.iinfo(pixels.dtype).max)
    if dtype is uint16 and pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) << 8
    return pixels


def _gif_as(frames, op, channels, expand):
    """The frames of a GIF file, or the only one, as an op gives them."""
    if channels not in (0, 3):
        raise invalid(op, f"channels must be 0 or 3 for GIF, got {channels}")
    if op in ("DecodeGif", "DecodeImage"):
        return frames if expand or op == "DecodeGif" else frames[0]
    if len(frames) > 1:
        text = f"Got {len(frames)} frames, but animated gifs can only be decoded by tf.io.decode_gif or tf.io.decode_image"
        raise invalid(op, text)
    return frames[0]


def encode_jpeg(pixels, quality, progressive, optimize, downsampling, unit, density, xmp):
    """A JPEG file of [height, width, 1 or 3], uint8."""
    from PIL import Image

    # Pillow takes a density in inches.
    scale = 1 if unit == "in" else 2.54
    settings = {"xmp": xmp} if xmp else {}
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(
        file,
        "JPEG",
        quality=quality,
        progressive=progressive,
        optimize=optimize,
        subsampling=2 if downsampling else 0,
        dpi=(round(density[0] * scale), round(density[1] * scale)),
        **settings,
    )
    return file.getvalue()
