"""`tf.audio`: sound as WAV files."""

import collections

from tapeflow.api.export import export
from tapeflow.base.dtypes import float32, int32
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P

DecodeWav = collections.namedtuple("DecodeWav", "audio sample_rate")


@export("audio.decode_wav")
def decode_wav(contents, desired_channels=-1, desired_samples=-1, name=None):
    """The sound of a WAV file of 16-bit samples.

    Args:
        contents: the file's bytes, a scalar string.
        desired_channels: how many channels are wanted: the last one again where there are fewer; -1 for those of the file.
        desired_samples: how many samples are wanted: zeros at the end where there are fewer; -1 for those of the file.

    Returns:
        A pair: float32 [samples, channels] in [-1, 1), and the number of samples a second, an int32 scalar.

    Raises:
        InvalidArgumentError: contents that are no such file.

    Example:
        >>> import tapeflow as tf
        >>> sound, rate = tf.audio.decode_wav(tf.audio.encode_wav([[0.5], [-0.25]], 8000))
        >>> sound.numpy().tolist(), int(rate)
        ([[0.5], [-0.25]], 8000)
    """
    return DecodeWav(
        *P.decode_wav(convert_to_tensor(contents), channels=int(desired_channels), samples=int(desired_samples))
    )


@export("audio.encode_wav")
def encode_wav(audio, sample_rate, name=None):
    """A WAV file of 16-bit samples.

    Args:
        audio: float32 [samples, channels] in [-1, 1); louder sound is cut off.
        sample_rate: the number of samples a second.

    Returns:
        The file's bytes, a scalar string.

    Raises:
        InvalidArgumentError: sound of another shape, or a rate that is not positive.
    """
    return P.encode_wav(convert_to_tensor(audio, float32), convert_to_tensor(sample_rate, int32))
