"""Sound as files."""

import numpy as np

from tapeflow.base.dtypes import float32, int32, string
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.io import wav

SOUND = np.array([[0.5, -0.25], [0.125, 0.0], [-1.0, 0.75]], np.float32)


def _text(data):
    result = np.empty((), object)
    result[()] = data
    return result


def _scalar(contents):
    if np.ndim(contents):
        raise invalid("DecodeWav", f"contents must be scalar, got shape {list(np.shape(contents))}")
    return contents[()]


def _decode_kernel(contents, *, channels, samples):
    sound, rate = wav.decode(_scalar(contents), channels, samples)
    return sound, np.int32(rate)


def _decode_infer(contents, *, channels, samples):
    dims = tuple(None if n == -1 else n for n in (samples, channels))
    return Spec(dims, float32), Spec((), int32)


decode_wav = Primitive(
    "decode_wav",
    _decode_kernel,
    _decode_infer,
    accepts={string},
    multiple=True,
    samples=lambda: [((_text(wav.encode(SOUND, 8000)),), {"channels": -1, "samples": -1})],
)

encode_wav = Primitive(
    "encode_wav",
    lambda sound, rate: _text(wav.encode(sound, rate)),
    lambda sound, rate: Spec((), string),
    accepts={float32},
    uniform=False,
    samples=lambda: [((SOUND, np.int32(8000)), {})],
)
