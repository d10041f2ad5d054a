"""The windows of `tf.signal`: weights that let frames of a signal fade in and out."""

import math

from tapeflow.api.arguments import whole_number
from tapeflow.api.export import export
from tapeflow.base.dtypes import as_dtype, bool_, float32, int32
from tapeflow.core.convert import convert_to_tensor, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor


def range_to(n):
    """0, 1, ..., n - 1 as int32; `n` is an int or a symbolic scalar."""
    return P.range(convert_to_tensor(0), convert_to_tensor(n, int32), convert_to_tensor(1))


def _window_length(window_length, dtype):
    """The length as an int or a symbolic scalar, and the dtype.

    Raises:
        ValueError: a length that is no scalar, or a dtype that is not floating point.
    """
    dtype = as_dtype(dtype)
    if not dtype.is_floating:
        raise ValueError(f"dtype must be a floating point type. Found {dtype}")
    length = convert_to_tensor(window_length, None if isinstance(window_length, Tensor) else int32)
    length.shape.assert_has_rank(0)
    return whole_number(length, "window_length"), dtype


def floats_to(n, dtype):
    """0, 1, ..., n - 1 in a floating point dtype."""
    return P.cast(range_to(n), dtype=dtype)


def _raised_cosine(window_length, periodic, dtype, a):
    length, dtype = _window_length(window_length, dtype)
    if isinstance(length, int) and length == 1:
        return P.fill(shape=(1,), value=1, dtype=dtype)
    # As in TensorFlow, windows of odd length are symmetric also where they are said to be periodic.
    periodic = static_value(P.cast(convert_to_tensor(periodic, None), dtype=bool_))
    period = length + (1 - length % 2 if periodic else 0) - 1
    angle = floats_to(length, dtype) * (2 * math.pi) / P.cast(convert_to_tensor(period), dtype=dtype)
    return a - (1 - a) * P.cos(angle)


@export("signal.hann_window")
def hann_window(window_length, periodic=True, dtype=float32, name=None):
    """The Hann window 0.5 - 0.5 cos(2 pi k / n).

    Args:
        window_length: its length.
        periodic: whether a window of even length is one period (for spectra), or symmetric (for filters).
        dtype: a floating point dtype.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.hann_window(4).numpy().round(3).tolist()
        [0.0, 0.5, 1.0, 0.5]
    """
    return _raised_cosine(window_length, periodic, dtype, 0.5)


@export("signal.hamming_window")
def hamming_window(window_length, periodic=True, dtype=float32, name=None):
    """The Hamming window 0.54 - 0.46 cos(2 pi k / n); see `tf.signal.hann_window`.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.hamming_window(4).numpy().round(2).tolist()
        [0.07999999821186066, 0.5400000214576721, 1.0, 0.5400000214576721]
    """
    return _raised_cosine(window_length, periodic, dtype, 0.54)


@export("signal.kaiser_window")
def kaiser_window(window_length, beta=12.0, dtype=float32, name=None):
    """The Kaiser window, i0(beta sqrt(1 - x**2)) / i0(beta) for x from -1 to 1.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.kaiser_window(3, beta=0.0).numpy().tolist()
        [1.0, 1.0, 1.0]
    """
    length, dtype = _window_length(window_length, dtype)
    if isinstance(length, int) and length == 1:
        return P.fill(shape=(1,), value=1, dtype=dtype)
    beta = P.cast(convert_to_tensor(beta), dtype=dtype)
    middle = P.cast(convert_to_tensor(length - 1), dtype=dtype) / 2
    x = (floats_to(length, dtype) - middle) / middle
    inside = 1 - x * x
    root = beta * P.sqrt(P.maximum(inside, P.zeros_like(inside)))
    return P.exp(root - beta) * (P.bessel_i0e(root) / P.bessel_i0e(beta))


@export("signal.kaiser_bessel_derived_window")
def kaiser_bessel_derived_window(window_length, beta=12.0, dtype=float32, name=None):
    """The Kaiser-Bessel-derived window, whose squares, half a window apart, add up to 1.

    Example:
        >>> import tapeflow as tf
        >>> (tf.signal.kaiser_bessel_derived_window(4) ** 2).numpy().round(3).tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    length, dtype = _window_length(window_length, dtype)
    sums = P.cumsum(kaiser_window(length // 2 + 1, beta, dtype), axis=0, exclusive=False, reverse=False)
    half = P.sqrt(sums[:-1] / sums[-1])
    return P.concat(half, half[::-1], axis=0)


@export("signal.vorbis_window")
def vorbis_window(window_length, dtype=float32, name=None):
    """The Vorbis window, sin(pi / 2 sin(pi (k + 1/2) / n)**2), whose squares, half a window apart, add up to 1.

    Example:
        >>> import tapeflow as tf
        >>> (tf.signal.vorbis_window(4) ** 2).numpy().round(3).tolist()
        [0.052000001072883606, 0.9480000138282776, 0.9480000138282776, 0.052000001072883606]
    """
    length, dtype = _window_length(window_length, dtype)
    sine = P.sin((floats_to(length, dtype) + 0.5) * math.pi / P.cast(convert_to_tensor(length), dtype=dtype))
    return P.sin(0.5 * math.pi * (sine * sine))
