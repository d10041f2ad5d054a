"""PNG images to arrays and back (ISO 15948), by zlib alone.

Pillow, which reads other files, has no 16-bit colours.
"""

import struct
import zlib
from typing import NamedTuple

import numpy as np

from tapeflow.base.dtypes import uint16
from tapeflow.base.errors import UnimplementedError, invalid

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The colour types with as many channels.
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
MOST = 1 << 29  # bytes of an image: what claims more is damaged
_CHUNK = struct.Struct(">I4s")
_HEADER = struct.Struct(">IIBBBBB")
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}


def chunks(data):
    """The (type, content) of each chunk of a PNG file, as far as they are whole."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, kind = _CHUNK.unpack_from(data, at)
        if at + 12 + length > len(data):
            return
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


class Header(NamedTuple):
    """What the first chunk says: the size, the bits of a sample, the colour type, and whether rows are interlaced."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: int


def opened(data):
    """The header of a PNG file and its chunks by their type; the image data is joined.

    Raises:
        InvalidArgumentError: a damaged file.
    """
    try:
        if not data.startswith(SIGNATURE):
            raise ValueError("it does not start with the PNG signature")
        parts = list(chunks(data))
        width, height, depth, colour, _, _, interlaced = _HEADER.unpack(parts[0][1])
        if parts[-1][0] != b"IEND":
            raise ValueError("it is truncated")
        if not 0 < width * height * depth * CHANNELS[colour] <= 8 * MOST:
            raise ValueError(f"{height} x {width} pixels are none or too many")
        found = dict(parts)
        found[b"IDAT"] = b"".join([part for kind, part in parts if kind == b"IDAT"])
        return Header(width, height, depth, colour, interlaced), found
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise damaged(data, error) from error


def damaged(data, error):
    """The error of a damaged file."""
    return invalid("DecodePng", f"Invalid PNG data, size {len(data)}: {error}")


def decode(data):
    """The pixels [height, width, channels] of a PNG file, uint8 or uint16; palettes are looked up.

    Raises:
        InvalidArgumentError: a damaged file.
        UnimplementedError: an interlaced file.
    """
    header, found = opened(data)
    if header.interlaced:
        raise UnimplementedError(None, None, "Interlaced 16-bit PNG images are not supported. [Op:DecodePng]")
    bits = header.depth * CHANNELS[header.colour]
    stride = 1 + (header.width * bits + 7) // 8
    try:
        lines = zlib.decompressobj().decompress(found[b"IDAT"], header.height * stride)
        lines = np.frombuffer(lines, np.uint8).reshape(header.height, stride)
        rows = _unfiltered(lines[:, 0], lines[:, 1:].copy(), max(bits // 8, 1))
        pixels = _samples_of(rows, header.width, header.depth, CHANNELS[header.colour], header.colour)
        return _coloured(pixels, found) if header.colour == 3 else pixels
    except (zlib.error, ValueError, KeyError, IndexError) as error:
        raise damaged(data, error) from error


def _coloured(numbers, found):
    """The colours of a palette's numbers."""
    palette = np.frombuffer(found[b"PLTE"], np.uint8).reshape(-1, 3)
    if b"tRNS" in found:
        alpha = np.full((len(palette), 1), 255, np.uint8)
        alpha[: len(found[b"tRNS"]), 0] = np.frombuffer(found[b"tRNS"], np.uint8)
        palette = np.concatenate([palette, alpha], 1)
    return palette[numbers[..., 0]]


def _unfiltered(kinds, rows, step):
    """The bytes of the rows, in place; each row's filter says how it differs from its neighbours."""
    at = np.flatnonzero(kinds).tolist()
    for i, kind in zip(at, kinds[at].tolist(), strict=True):
        row, above = rows[i], rows[i - 1] if i else np.zeros_like(rows[0])
        match kind:
            case 1:
                pixels = row.reshape(-1, step)
                pixels.cumsum(axis=0, dtype=np.uint8, out=pixels)
            case 2:
                row += above
            case 3 | 4:
                _predicted(row, above, step, kind)
            case _:
                raise ValueError(f"unknown filter {kind}")
    return rows


def _predicted(row, above, step, kind):
    """Undo the filters that look at the pixels on the left and above, byte by byte."""
    values, upper = row.tolist(), above.tolist()
    # Before the first byte that is not 0 in both rows all guesses are 0.
    start = len(values) - len((row | above).tobytes().lstrip(b"\0"))
    for i in range(start, len(values)):
        left, corner = (values[i - step], upper[i - step]) if i >= step else (0, 0)
        up = upper[i]
        if kind == 3:
            guess = (left + up) >> 1
        else:  # Paeth: whichever of left, above and above left is nearest to left + above - above left
            a, b = up - corner, left - corner
            c = abs(a + b)
            a, b = abs(a), abs(b)
            guess = left if a <= b and a <= c else up if b <= c else corner
        values[i] = (values[i] + guess) & 255
    row[:] = values


def _samples_of(rows, width, depth, channels, colour):
    """Rows of bytes as samples; less than 8 bits are spread over 0 to 255, but for the numbers of a palette."""
    if depth == 16:
        return rows.view(">u2").astype(np.uint16).reshape(len(rows), width, channels)
    if depth < 8:
        shifts = np.arange(8 - depth, -1, -depth)
        rows = ((rows[..., None] >> shifts) & (2**depth - 1)).reshape(len(rows), -1)[:, :width]
        rows = rows if colour == 3 else rows * (255 // (2**depth - 1))
    return rows.astype(np.uint8, copy=False).reshape(len(rows), width, channels)


def converted(pixels, channels, dtype):
    """Pixels with a number of channels (0: their own) and a dtype that may be others than the file's."""
    if pixels.dtype != dtype.numpy_dtype:
        pixels = pixels.astype(np.uint16) * 257 if dtype is uint16 else (pixels >> 8).astype(np.uint8)
    own = pixels.shape[2]
    if channels in (0, own):
        return pixels
    most = np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:] if own in (2, 4) else np.full_like(pixels[..., :1], most)
    colours = pixels[..., : own - 1] if own in (2, 4) else pixels
    if channels >= 3 and colours.shape[2] == 1:
        colours = np.repeat(colours, 3, 2)
    if channels <= 2 and colours.shape[2] == 3:
        # libpng's integer weights for red and green; blue has the rest of 32768.
        wide = colours.astype(np.int64)
        colours = ((wide[..., :1] * 9798 + wide[..., 1:2] * 19235 + wide[..., 2:] * 3735) >> 15).astype(pixels.dtype)
    return np.concatenate([colours, alpha], 2) if channels in (2, 4) else colours


def encode(pixels, level):
    """A PNG file of [height, width, channels], uint8 or uint16, by filter 0."""
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    lines = np.zeros((height, 1 + width * channels * pixels.dtype.itemsize), np.uint8)
    lines[:, 1:] = pixels.astype(pixels.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    header = struct.pack(">IIBBBBB", width, height, depth, COLOURS[channels], 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), level)), (b"IEND", b"")]
    packed = [
        struct.pack(">I4s", len(part), kind) + part + struct.pack(">I", zlib.crc32(kind + part)) for kind, part in parts
    ]
    return SIGNATURE + b"".join(packed)
