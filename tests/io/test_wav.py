"""WAV files, against bytes and values of TensorFlow 2.21."""

import numpy as np
import pytest

import tapeflow as tf

SOUND = np.array([[0.5, -0.25], [1.5, -2.0], [1e-5, 0.9999], [-0.00002, 0.00005]], np.float32)
FILE = bytes.fromhex(
    "524946463400000057415645666d74201000000001000200401f0000007d0000040010006461746110000000004000e0ff7f00800000fd7fffff0200"
)
DECODED = [[0.5, -0.25], [0.999969482421875, -1.0], [0.0, 0.999908447265625], [-3.0517578125e-05, 6.103515625e-05]]


def test_there_and_back():
    assert tf.audio.encode_wav(SOUND, 8000).numpy() == FILE
    sound, rate = tf.audio.decode_wav(FILE)
    assert sound.numpy().tolist() == DECODED and sound.dtype is tf.float32
    assert int(rate) == 8000 and rate.dtype is tf.int32


def test_other_numbers_of_channels_and_samples():
    assert tf.audio.decode_wav(FILE, desired_channels=1).audio.numpy().tolist() == [[a] for a, _ in DECODED]
    assert tf.audio.decode_wav(FILE, desired_channels=3).audio.numpy().tolist() == [[a, b, b] for a, b in DECODED]
    assert tf.audio.decode_wav(FILE, desired_samples=2).audio.numpy().tolist() == DECODED[:2]
    assert tf.audio.decode_wav(FILE, desired_samples=6).audio.numpy().tolist() == [*DECODED, [0, 0], [0, 0]]


def test_shapes_in_a_graph():
    concrete = tf.function(lambda data: tf.audio.decode_wav(data, 1)).get_concrete_function(tf.TensorSpec([], tf.string))
    assert concrete.output_shapes.audio.as_list() == [None, 1] and concrete.output_shapes.sample_rate.rank == 0


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "Data too short"),
        (b"xxxx" + FILE[4:], "Expected RIFF but found xxxx"),
        (FILE[:30], "Data too short"),
        (FILE[:-3], "Data too short"),
        (FILE[:20] + b"\2" + FILE[21:], "Bad audio format for WAV"),
        (FILE[:34] + b"\x08" + FILE[35:], "Can only read 16-bit WAV files, but received 8"),
        (FILE[:12] + FILE[36:], "Expected fmt"),
    ],
)
def test_files_that_are_no_sound(data, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        tf.audio.decode_wav(data)


@pytest.mark.parametrize(
    ("sound", "rate", "text"),
    [
        (np.zeros(3), 1, "audio must be 2-dimensional"),
        (np.zeros((3, 1)), -1, "sample_rate must be in"),
        (np.zeros((3, 1)), [1, 2], "Input sample_rate should be a scalar"),
        (np.zeros((3, 0)), 1, "num_channels must be in"),
    ],
)
def test_sound_that_makes_no_file(sound, rate, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        tf.audio.encode_wav(sound.astype(np.float32), rate)
