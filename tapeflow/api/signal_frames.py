"""`tf.signal`: frames of signals, short-time transforms, mel scale."""

import math

from tapeflow.api.arguments import axis_number, whole_number
from tapeflow.api.export import export, public
from tapeflow.api.signal import _fitted as fitted
from tapeflow.api.signal import dct
from tapeflow.api.signal_windows import floats_to, hann_window, range_to, vorbis_window
from tapeflow.base.dtypes import as_dtype, float32, int32
from tapeflow.core.convert import convert_to_tensor, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of, rank_of

irfft, rfft = public("signal.irfft"), public("signal.rfft")  # made of a table in api/signal.py


def _scalar(value, name):
    """An int, or a symbolic scalar.

    Raises:
        ValueError: not a scalar.
    """
    x = convert_to_tensor(value)
    x.shape.assert_has_rank(0)
    return whole_number(x, name)


@export("signal.frame")
def frame(signal, frame_length, frame_step, pad_end=False, pad_value=0, axis=-1, name=None):
    """Overlapping frames of a signal.

    Args:
        signal: a tensor [..., samples, ...].
        frame_length: the size of a frame.
        frame_step: how far a frame begins behind the one before.
        pad_end: whether frames may reach beyond the end, where `pad_value` stands.
        axis: which axis holds the samples.

    Returns:
        A tensor [..., frames, frame_length, ...]: there are 1 + (samples - frame_length) // frame_step frames, or
        ceil(samples / frame_step) where `pad_end`.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.frame([1, 2, 3, 4, 5], 3, 2).numpy().tolist()
        [[1, 2, 3], [3, 4, 5]]
    """
    signal = convert_to_tensor(signal)
    signal.shape.with_rank_at_least(1)
    length, step = _scalar(frame_length, "frame_length"), _scalar(frame_step, "frame_step")
    axis = axis_number(axis) % rank_of(signal)
    samples = dims_of(signal)[axis]
    if isinstance(step, int) and step == 0:
        step = P.floordiv(convert_to_tensor(samples), convert_to_tensor(0))  # raises what a division by zero raises
    if pad_end:
        count = -(-samples // step)
        missing = _positive(length + step * (count - 1) - samples)
        paddings = [(0, 0)] * rank_of(signal)
        paddings[axis] = (0, missing)
        padding = convert_to_tensor(pad_value, signal._dtype)
        padding.shape.assert_has_rank(0)
        signal = _padded(signal, paddings, padding)
    else:
        count = _positive(1 + (samples - length) // step)
    places = P.expand_dims(range_to(count) * step, axis=(1,)) + range_to(length)
    return P.gather(signal, places, axis=axis, batch_dims=0)


def _positive(n):
    """`n`, or 0 where it is negative."""
    return max(n, 0) if isinstance(n, int) else P.maximum(n, P.zeros_like(n))


def _padded(signal, paddings, value):
    """`signal` with `value` added at the ends."""
    from tapeflow.api.export import EXPORTS

    return EXPORTS["pad"](signal, paddings, constant_values=value)


@export("signal.overlap_and_add")
def overlap_and_add(signal, frame_step, name=None):
    """The sum of frames that begin `frame_step` samples one behind the other: the transpose of `tf.signal.frame`.

    Args:
        signal: a tensor [..., frames, frame_length].

    Returns:
        A tensor [..., (frames - 1) * frame_step + frame_length].

    Raises:
        ValueError: a lower rank, or a step that is no integer.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.overlap_and_add([[1, 2, 3], [10, 20, 30]], 2).numpy().tolist()
        [1, 2, 13, 20, 30]
    """
    x = convert_to_tensor(signal)
    x.shape.with_rank_at_least(2)
    step = convert_to_tensor(frame_step)
    step.shape.assert_has_rank(0)
    if not step._dtype.is_integer:
        raise ValueError(f"frame_step must be an integer. Got {step._dtype}")
    step = whole_number(step, "frame_step")
    *outer, frames, length = dims_of(x)
    parts = -(-length // step)
    x = fitted(x, (frames + parts, parts * step), (-2, -1))
    # Parts of `step` samples: part j of frame i belongs to place i + j. Written part by part, each row one place longer
    # than it is read again, part j moves on by j places.
    rank = rank_of(x)
    x = P.reshape(x, shape=(*outer, frames + parts, parts, step))
    x = P.transpose(x, perm=(*range(rank - 2), rank - 1, rank - 2, rank))
    x = P.reshape(x, shape=(*outer, (frames + parts) * parts, step))
    x = x[..., : (frames + parts - 1) * parts, :]
    x = P.sum(P.reshape(x, shape=(*outer, parts, frames + parts - 1, step)), axis=(-3,), keepdims=False)
    return P.reshape(x, shape=(*outer, (frames + parts - 1) * step))[..., : (frames - 1) * step + length]


# Short-time transforms


def _power_of_two(n):
    """The smallest power of two that is not smaller."""
    if isinstance(n, int):
        return 1 << max(n - 1, 0).bit_length()
    exponent = P.ceil(P.log(P.cast(n, dtype=float32)) / math.log(2.0))
    return P.cast(P.pow(convert_to_tensor(2.0), exponent), dtype=int32)


def _times_window(frames, window_fn, length, dtype):
    return frames if window_fn is None else frames * window_fn(convert_to_tensor(length), dtype=dtype)


@export("signal.stft")
def stft(signals, frame_length, frame_step, fft_length=None, window_fn=hann_window, pad_end=False, name=None):
    """The short-time Fourier transform: the spectra of overlapping frames.

    Args:
        signals: float32 or float64, [..., samples].
        frame_length: the size of a frame.
        frame_step: how far a frame begins behind the one before.
        fft_length: the size of the transforms; by default the smallest power of two that holds a frame.
        window_fn: a function of a length and `dtype=` that gives the window; None for none.
        pad_end: whether frames may reach beyond the end.

    Returns:
        A complex tensor [..., frames, fft_length // 2 + 1].

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.stft(tf.ones([2, 20]), frame_length=8, frame_step=4).shape
        TensorShape([2, 4, 5])
    """
    signals = convert_to_tensor(signals)
    signals.shape.with_rank_at_least(1)
    length, step = _scalar(frame_length, "frame_length"), _scalar(frame_step, "frame_step")
    size = _power_of_two(length) if fft_length is None else _scalar(fft_length, "fft_length")
    frames = frame(signals, length, step, pad_end=pad_end)
    return rfft(_times_window(frames, window_fn, length, frames._dtype), [size])


@export("signal.inverse_stft_window_fn")
def inverse_stft_window_fn(frame_step, forward_window_fn=hann_window, name=None):
    """The window function with which `tf.signal.inverse_stft` gives back what `tf.signal.stft` transformed.

    Args:
        frame_step: the step of both.
        forward_window_fn: the window function of `stft`.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.inverse_stft_window_fn(2)(4, dtype=tf.float32).numpy().round(3).tolist()
        [0.0, 1.0, 1.0, 1.0]
    """

    def window_fn(frame_length, dtype):
        step, length = _scalar(frame_step, "frame_step"), _scalar(frame_length, "frame_length")
        window = forward_window_fn(convert_to_tensor(length), dtype=dtype)
        count = -(-length // step)
        squares = P.reshape(fitted(window * window, (count * step,), (-1,)), shape=(count, step))
        total = P.broadcast_to(P.sum(squares, axis=(0,), keepdims=True), shape=(count, step))
        return P.div_no_nan(window, P.reshape(total, shape=(count * step,))[:length])

    return window_fn


@export("signal.inverse_stft")
def inverse_stft(stfts, frame_length, frame_step, fft_length=None, window_fn=hann_window, name=None):
    """The signals whose short-time transforms `tf.signal.stft` gave, up to the windows.

    Args:
        stfts: complex, [..., frames, fft_length // 2 + 1].
        window_fn: `tf.signal.inverse_stft_window_fn(frame_step)` gives back the signal itself, except at its ends.

    Returns:
        A real tensor [..., (frames - 1) * frame_step + frame_length].

    Example:
        >>> import tapeflow as tf
        >>> transforms = tf.signal.stft(tf.ones([20]), 8, 4)
        >>> x = tf.signal.inverse_stft(transforms, 8, 4, window_fn=tf.signal.inverse_stft_window_fn(4))
        >>> x[4:8].numpy().round(3).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    stfts = convert_to_tensor(stfts)
    stfts.shape.with_rank_at_least(2)
    length, step = _scalar(frame_length, "frame_length"), _scalar(frame_step, "frame_step")
    size = _power_of_two(length) if fft_length is None else _scalar(fft_length, "fft_length")
    frames = fitted(irfft(stfts, [size]), (length,), (-1,))
    return overlap_and_add(_times_window(frames, window_fn, length, frames._dtype), step)


@export("signal.mdct")
def mdct(signals, frame_length, window_fn=vorbis_window, pad_end=False, norm=None, name=None):
    """The modified discrete cosine transform of frames that overlap by half.

    Args:
        signals: float32 or float64, [..., samples].
        frame_length: the size of a frame, a multiple of 4.
        window_fn: a function of a length and `dtype=` that gives the window; None for 1 / sqrt(2).
        norm: None or "ortho", as for `tf.signal.dct`.

    Returns:
        A tensor [..., frames, frame_length // 2].

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.mdct(tf.ones([20]), frame_length=8).shape
        TensorShape([4, 4])
    """
    signals = convert_to_tensor(signals)
    signals.shape.with_rank_at_least(1)
    length = _scalar(frame_length, "frame_length")
    if isinstance(length, int) and length % 4:
        raise ValueError(f"The frame length must be a multiple of 4. Got {length}")
    frames = frame(signals, length, length // 2, pad_end=pad_end)
    window = window_fn or _flat_window
    a, b, c, d = P.split(_times_window(frames, window, length, frames._dtype), axis=-1, sizes=_quarters(frames))
    return dct(P.concat(-_reversed(c) - d, a - _reversed(b), axis=-1), type=4, norm=norm)


def _quarters(frames):
    return (dims_of(frames)[-1] // 4,) * 4


def _flat_window(length, dtype):
    return P.fill(shape=(whole_number(length, "window_length"),), value=math.sqrt(0.5), dtype=dtype)


def _reversed(x):
    return x[..., ::-1]


@export("signal.inverse_mdct")
def inverse_mdct(mdcts, window_fn=vorbis_window, norm=None, name=None):
    """The signals whose transforms `tf.signal.mdct` gave with the same window and norm, except at their ends.

    Args:
        mdcts: a tensor [..., frames, frame_length // 2].

    Returns:
        A tensor [..., (frames + 1) * frame_length // 2].

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.inverse_mdct(tf.signal.mdct(tf.ones([12]), 8))[4:8].numpy().round(3).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    mdcts = convert_to_tensor(mdcts)
    mdcts.shape.with_rank_at_least(2)
    half = dims_of(mdcts)[-1]
    values = dct(mdcts, type=4, norm=norm)
    if norm is None:
        values = values * 0.5 / P.cast(convert_to_tensor(half), dtype=values._dtype)
    a, b = values[..., : half // 2], values[..., half // 2 :]
    frames = P.concat(b, -_reversed(b), -_reversed(a), -a, axis=-1)
    return overlap_and_add(_times_window(frames, window_fn or _flat_window, 2 * half, frames._dtype), half)


# The mel scale


def _mel(hertz):
    """Mels, as the Hidden Markov Model Toolkit defines them."""
    return 1127.0 * P.log(1.0 + hertz / 700.0)


@export("signal.linear_to_mel_weight_matrix")
def linear_to_mel_weight_matrix(
    num_mel_bins=20,
    num_spectrogram_bins=129,
    sample_rate=8000,
    lower_edge_hertz=125.0,
    upper_edge_hertz=3800.0,
    dtype=float32,
    name=None,
):
    """The matrix [num_spectrogram_bins, num_mel_bins] that turns spectra into mel spectra: triangles on the mel scale.

    Args:
        sample_rate: samples a second; the spectrum reaches up to half of it.
        lower_edge_hertz, upper_edge_hertz: the range of the mel spectrum.
        dtype: a floating point dtype.

    Raises:
        ValueError: no bins, edges out of order or beyond half the sample rate, or another dtype.

    Example:
        >>> import tapeflow as tf
        >>> tf.matmul(tf.ones([3, 129]), tf.signal.linear_to_mel_weight_matrix()).shape
        TensorShape([3, 20])
    """
    dtype = as_dtype(dtype)
    if isinstance(sample_rate, Tensor):
        known = static_value(sample_rate)
        sample_rate = sample_rate if known is None else known[()]
    _check_mel(num_mel_bins, sample_rate, lower_edge_hertz, upper_edge_hertz, dtype)
    bins, bands = _scalar(num_spectrogram_bins, "num_spectrogram_bins"), _scalar(num_mel_bins, "num_mel_bins")
    nyquist = P.cast(convert_to_tensor(sample_rate), dtype=dtype) / 2
    low, high = [_mel(convert_to_tensor(edge, dtype)) for edge in (lower_edge_hertz, upper_edge_hertz)]
    # The spectrum's place 0 has no mels.
    hertz = floats_to(bins, dtype) * (nyquist / P.cast(convert_to_tensor(bins - 1), dtype=dtype))
    places = P.expand_dims(_mel(hertz[1:]), axis=(1,))
    edges = low + floats_to(bands + 2, dtype) * ((high - low) / P.cast(convert_to_tensor(bands + 1), dtype=dtype))
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    slopes = P.minimum((places - left) / (centre - left), (right - places) / (right - centre))
    return P.pad(P.maximum(slopes, P.zeros_like(slopes)), paddings=((1, 0), (0, 0)))


def _check_mel(bands, rate, low, high, dtype):
    if bands <= 0:
        raise ValueError(f"num_mel_bins must be positive. Got: {bands}")
    if low < 0.0:
        raise ValueError(f"lower_edge_hertz must be non-negative. Got: {low}")
    if low >= high:
        raise ValueError(f"lower_edge_hertz {low} >= upper_edge_hertz {high}")
    if not isinstance(rate, Tensor):
        if rate <= 0.0:
            raise ValueError(f"sample_rate must be positive. Got: {rate}")
        if high > rate / 2:
            raise ValueError(
                "upper_edge_hertz must not be larger than the Nyquist frequency (sample_rate / 2). "
                f"Got {high} for sample_rate: {rate}"
            )
    if not dtype.is_floating:
        raise ValueError(f"dtype must be a floating point type. Got: {dtype}")


@export("signal.mfccs_from_log_mel_spectrograms")
def mfccs_from_log_mel_spectrograms(log_mel_spectrograms, name=None):
    """Mel-frequency cepstral coefficients: the cosine transform of logarithmic mel spectra [..., bins].

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.mfccs_from_log_mel_spectrograms(tf.ones([3, 20]))[..., :13].shape
        TensorShape([3, 13])
    """
    x = convert_to_tensor(log_mel_spectrograms)
    bins = dims_of(x)[-1]
    if isinstance(bins, int) and bins == 0:
        raise ValueError(f"num_mel_bins must be positive. Got: {x}")
    return dct(x, type=2) * P.rsqrt(2.0 * P.cast(convert_to_tensor(bins), dtype=x._dtype))
