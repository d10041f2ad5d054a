"""WAV files of 16-bit PCM sound."""

import struct

import numpy as np

from tapeflow.base.errors import InvalidArgumentError

_FORMAT = struct.Struct("<HHIIHH")  # kind, channels, samples a second, bytes a second, bytes a frame, bits a sample
_PCM = 1
_SCALE = 1 << 15


def _bad(op, text):
    return InvalidArgumentError(None, None, f"{text} [Op:{op}]")


def decode(data, channels=-1, samples=-1):
    """The sound of a WAV file.

    Args:
        data: the file's bytes.
        channels: how many are wanted: the last one again where there are fewer; -1 for those of the file.
        samples: how many are wanted: zeros at the end where there are fewer; -1 for those of the file.

    Returns:
        (float32 [samples, channels] in [-1, 1), samples a second).

    Raises:
        InvalidArgumentError: it is no such file.
    """
    _expect(data, 0, b"RIFF")
    _expect(data, 8, b"WAVE")
    sound, settings, at = None, None, 12
    while sound is None:
        name, length = _piece(data, at, 4), struct.unpack("<I", _piece(data, at + 4, 4))[0]
        body, at = at + 8, at + 8 + length + length % 2
        if name == b"fmt ":
            settings = _settings(_piece(data, body, _FORMAT.size))
        elif name == b"data":
            sound = _piece(data, body, length)
    if settings is None:
        raise _bad("DecodeWav", "Header mismatch: Expected fmt  but found data")
    count, rate = settings
    frames = np.frombuffer(sound, "<i2")[: len(sound) // (2 * count) * count].reshape(-1, count)
    frames = frames.astype(np.float32) / _SCALE
    if channels != -1:
        frames = frames[:, np.minimum(np.arange(channels), count - 1)]
    if samples != -1:
        missing = max(0, samples - len(frames))
        frames = np.concatenate([frames[:samples], np.zeros((missing, frames.shape[1]), np.float32)])
    return frames, rate


def _piece(data, at, length):
    if at + length > len(data):
        raise _bad("DecodeWav", "Data too short when trying to read string")
    return data[at : at + length]


def _expect(data, at, text):
    found = _piece(data, at, len(text))
    if found != text:
        raise _bad("DecodeWav", f"Header mismatch: Expected {text.decode()} but found {found.decode(errors='replace')}")


def _settings(header):
    kind, channels, rate, _, frame, bits = _FORMAT.unpack(header)
    if kind != _PCM:
        raise _bad("DecodeWav", f"Bad audio format for WAV: Expected 1 (PCM), but got{kind}")
    if bits != 16:
        raise _bad("DecodeWav", f"Can only read 16-bit WAV files, but received {bits}")
    if not channels or frame != 2 * channels:
        raise _bad("DecodeWav", f"Bad bytes per sample in WAV header: Expected {2 * channels} but got {frame}")
    return channels, rate


def encode(sound, rate):
    """A WAV file of float32 sound [samples, channels] in [-1, 1), cut off where it is louder.

    Raises:
        InvalidArgumentError: another shape, no channel, or a rate that is not positive.
    """
    if np.ndim(sound) != 2:
        raise _bad("EncodeWav", f"audio must be 2-dimensional{list(np.shape(sound))}")
    if np.ndim(rate):
        raise _bad("EncodeWav", f"Input sample_rate should be a scalar tensor, got {list(np.shape(rate))} instead.")
    rate, channels = int(rate), sound.shape[1]
    if rate <= 0:
        raise _bad("EncodeWav", f"sample_rate must be in (0, 2^32), got: {rate}")
    if not 0 < channels < 2**16:
        raise _bad("EncodeWav", f"num_channels must be in (0, 2^16), got: {channels}")
    scaled = np.asarray(sound, np.float32) * np.float32(_SCALE)
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))  # halves away from zero
    data = np.clip(rounded, -_SCALE, _SCALE - 1).astype("<i2").tobytes()
    settings = _FORMAT.pack(_PCM, channels, rate, rate * channels * 2, channels * 2, 16)
    form = b"WAVEfmt " + struct.pack("<I", len(settings)) + settings + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(form)) + form
