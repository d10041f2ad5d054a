"""`tf.signal` against NumPy's transforms and against values that TensorFlow 2.21 gives."""

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core.graph import Graph
from tapeflow.core.state import tracing

X = np.random.default_rng(0).uniform(-1, 1, (3, 4, 6))
Z = X + 1j * X[::-1]


def close(x, expected, tol=1e-9):
    np.testing.assert_allclose(np.asarray(x), expected, rtol=tol, atol=tol)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transforms_are_numpys(rank, dtype):
    suffix = "" if rank == 1 else f"{rank}d"
    axes = tuple(range(-rank, 0))
    tol = 1e-5 if dtype == np.float32 else 1e-12
    x, z = X.astype(dtype), Z.astype(np.complex64 if dtype == np.float32 else np.complex128)
    functions = {name: getattr(tf.signal, name + suffix) for name in ("fft", "ifft", "rfft", "irfft")}
    # Of NumPy arrays, as of Python's numbers, TensorFlow takes 32 bits.
    call = {name: lambda x, *rest, f=f: f(tf.constant(x), *rest) for name, f in functions.items()}
    assert call["fft"](z).dtype.numpy_dtype == z.dtype and call["irfft"](z).dtype.numpy_dtype == dtype
    close(call["fft"](z), np.fft.fftn(z, axes=axes), tol)
    close(call["ifft"](z), np.fft.ifftn(z, axes=axes), tol)
    close(call["rfft"](x), np.fft.rfftn(x, axes=axes), tol)
    close(call["irfft"](z), np.fft.irfftn(z, axes=axes), tol)
    lengths = [2, 3, 7][-rank:]
    close(call["rfft"](x, lengths), np.fft.rfftn(x, lengths, axes=axes), tol)
    close(call["irfft"](z, lengths), np.fft.irfftn(z, lengths, axes=axes), tol)


@pytest.mark.parametrize("norm", [None, "forward", "ortho"])
@pytest.mark.parametrize("axes, lengths", [(None, None), ([2], None), ([0, 2], [2, 9]), ([-1, 0], [4, 5])])
def test_transforms_of_any_axes(axes, lengths, norm):
    for name, x in [("fft", Z), ("ifft", Z), ("rfft", X), ("irfft", Z)]:
        found = getattr(tf.signal, name + "nd")(tf.constant(x), fft_length=lengths, axes=axes, norm=norm)
        close(found, getattr(np.fft, name + "n")(x, lengths, range(3) if axes is None else axes, norm))


def test_shifts():
    for axes in (None, 1, [0, 2]):
        close(tf.signal.fftshift(X, axes=axes), np.fft.fftshift(X, axes))
        close(tf.signal.ifftshift(X[..., :5], axes=axes), np.fft.ifftshift(X[..., :5], axes))


def cosines(x, type):
    """The definitions of the four transforms."""
    n = x.shape[-1]
    k, j = np.arange(n)[:, None], np.arange(n)
    match type:
        case 1:
            ends = np.where((j == 0) | (j == n - 1), 1, 2)
            return x @ (ends * np.cos(np.pi * j * k / (n - 1))).T
        case 2:
            return x @ (2 * np.cos(np.pi * k * (2 * j + 1) / (2 * n))).T
        case 3:
            return x @ (np.where(j == 0, 1, 2) * np.cos(np.pi * j * (2 * k + 1) / (2 * n))).T
        case 4:
            return x @ (2 * np.cos(np.pi * (2 * k + 1) * (2 * j + 1) / (4 * n))).T


@pytest.mark.parametrize("type", [1, 2, 3, 4])
def test_cosine_transforms(type):
    close(tf.signal.dct(X, type=type), cosines(X, type))
    close(tf.signal.dct(X, type=type, n=4), cosines(X[..., :4], type))
    close(tf.signal.dct(X, type=type, n=8), cosines(np.pad(X, [(0, 0), (0, 0), (0, 2)]), type))
    scale = 2 * (X.shape[-1] - (type == 1))
    close(tf.signal.idct(tf.signal.dct(X, type=type), type=type) / scale, X)
    if type > 1:
        close(tf.signal.idct(tf.signal.dct(X, type=type, norm="ortho"), type=type, norm="ortho"), X)
        close(np.linalg.norm(tf.signal.dct(X, type=type, norm="ortho")), np.linalg.norm(X))


def test_frames_and_their_sum():
    v = np.arange(1, 8)
    assert tf.signal.frame(v, 3, 2).numpy().tolist() == [[1, 2, 3], [3, 4, 5], [5, 6, 7]]
    assert tf.signal.frame(v, 3, 2, pad_end=True, pad_value=9)[-1].numpy().tolist() == [7, 9, 9]
    assert tf.signal.frame(v, 9, 2).shape.as_list() == [0, 9]
    assert tf.signal.frame(X, 2, 1, axis=1).shape.as_list() == [3, 3, 2, 6]
    for step in (1, 2, 4, 5, 6, 9):
        total = np.zeros((3, 3 * step + 6))
        for i in range(4):
            total[:, i * step : i * step + 6] += X[:, i]
        close(tf.signal.overlap_and_add(X, step), total)


@pytest.mark.parametrize(
    "window, expected",
    [
        (lambda s: s.hann_window(6), [0.0, 0.25, 0.75, 1.0, 0.75, 0.25]),
        (lambda s: s.hann_window(7), [0.0, 0.25, 0.75, 1.0, 0.75, 0.25, 0.0]),
        (lambda s: s.hann_window(6, periodic=False), [0.0, 0.3455, 0.9045, 0.9045, 0.3455, 0.0]),
        (lambda s: s.hann_window(1), [1.0]),
        (lambda s: s.hamming_window(5), [0.08, 0.54, 1.0, 0.54, 0.08]),
        (lambda s: s.kaiser_window(6, beta=3.0), [0.2049, 0.6247, 0.9522, 0.9522, 0.6247, 0.2049]),
        (lambda s: s.kaiser_bessel_derived_window(6), [0.0071, 0.7071, 1.0, 1.0, 0.7071, 0.0071]),
        (lambda s: s.vorbis_window(6), [0.105, 0.7071, 0.9945, 0.9945, 0.7071, 0.105]),
        (
            lambda s: s.inverse_stft_window_fn(3)(8, dtype=tf.float32),
            [0.0, 0.1404, 0.511, 0.8723, 0.9589, 0.8723, 0.511, 0.1404],
        ),
    ],
)
def test_windows(window, expected):
    close(window(tf.signal), expected, 1e-4)


def test_short_time_transforms_go_back():
    signal = np.random.default_rng(1).uniform(-1, 1, (2, 40))
    transforms = tf.signal.stft(signal, 8, 4, pad_end=True)
    assert transforms.shape.as_list() == [2, 10, 5]
    back = tf.signal.inverse_stft(transforms, 8, 4, window_fn=tf.signal.inverse_stft_window_fn(4))
    close(back[:, 4:36], signal[:, 4:36])
    assert tf.signal.stft(signal, 7, 4, fft_length=10).shape.as_list() == [2, 9, 6]
    for norm in (None, "ortho"):
        for window in (tf.signal.vorbis_window, tf.signal.kaiser_bessel_derived_window, None):
            mdct = tf.signal.mdct(signal, 8, window_fn=window, norm=norm)
            close(tf.signal.inverse_mdct(mdct, window_fn=window, norm=norm)[:, 4:36], signal[:, 4:36], 1e-7)


def test_mel_scale():
    expected = [[0, 0, 0, 0], [0.3527, 0.6473, 0, 0], [0, 0.3745, 0.6255, 0], [0, 0, 0.7083, 0.2917], [0, 0, 0.2025, 0.7975]]
    close(tf.signal.linear_to_mel_weight_matrix(4, 9, 16000.0, 80.0, 7600.0)[:5], expected, 1e-4)
    x = np.random.default_rng(2).uniform(0, 1, (3, 20))
    close(tf.signal.mfccs_from_log_mel_spectrograms(x), cosines(x, 2) / np.sqrt(40))


@pytest.mark.parametrize(
    "function, x",
    [
        (lambda x: tf.signal.rfft2d(x, [3, 9]), X),
        (lambda x: tf.signal.irfft2d(x, [3, 9]), Z),
        (lambda x: tf.signal.ifft3d(x), Z),
        (lambda x: tf.signal.dct(x, type=2, norm="ortho"), X),
        (lambda x: tf.signal.dct(x, type=3), X),
        (lambda x: tf.signal.stft(x, 4, 2), X),
        (lambda x: tf.signal.inverse_stft(x, 8, 4, fft_length=10), Z),
        (lambda x: tf.signal.overlap_and_add(x, 4), X),
        (lambda x: tf.signal.frame(x, 3, 2, pad_end=True), X),
    ],
)
def test_gradients_of_linear_functions(function, x):
    """A linear function is its own derivative: <g, f(t)> equals <gradient, t>."""
    rng = np.random.default_rng(3)
    t = rng.uniform(-1, 1, x.shape) + (1j * rng.uniform(-1, 1, x.shape) if np.iscomplexobj(x) else 0)
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    g = rng.uniform(-1, 1, y.shape) + (1j * rng.uniform(-1, 1, y.shape) if y.dtype.is_complex else 0)
    gradient = tape.gradient(y, x, output_gradients=tf.constant(g)).numpy()
    close(np.sum(np.real(np.conj(gradient) * t)), np.sum(np.real(np.conj(g) * function(tf.constant(t)).numpy())))


def test_unknown_sizes():
    graph = Graph("signals")
    with tracing(graph):
        x = graph.placeholder((None, None), tf.float32)
        outs = [
            tf.signal.stft(x, 8, 4),
            tf.signal.inverse_stft(tf.signal.stft(x, 8, 4), 8, 4),
            tf.signal.dct(x, norm="ortho"),
            tf.signal.irfft(tf.signal.rfft(x)),
            tf.signal.fft2d(tf.cast(x, tf.complex64)),
        ]
        slope = tf.gradients(outs[0], x)[0] if hasattr(tf, "gradients") else x
    value = np.random.default_rng(4).uniform(-1, 1, (2, 20)).astype(np.float32)
    results = graph.run([value], [*outs, slope])
    close(results[0], tf.signal.stft(value, 8, 4), 1e-6)
    close(results[1], tf.signal.inverse_stft(tf.signal.stft(value, 8, 4), 8, 4), 1e-6)
    close(results[2], tf.signal.dct(value, norm="ortho"), 1e-6)
    close(results[3], value, 1e-6)
    close(results[4], np.fft.fft2(value), 1e-5)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (
            lambda s: s.fft(tf.constant(X)),
            "InvalidArgumentError",
            "is not in the list of allowed values: complex64, complex128",
        ),
        (lambda s: s.fft2d(Z[0, 0]), "InvalidArgumentError", "Input must have rank of at least 2 but got: [6]"),
        (lambda s: s.rfft(tf.constant(Z)), "ValueError", "RFFT requires tf.float32 or tf.float64 inputs, got:"),
        (lambda s: s.irfft(tf.constant(X)), "ValueError", "IRFFT requires tf.complex64 or tf.complex128 inputs, got:"),
        (lambda s: s.rfft2d(X[0, 0]), "ValueError", "Shape (6,) must have rank at least 2"),
        (lambda s: s.rfft(X, [-1]), "InvalidArgumentError", "fft_length[0] must >= 0, but got: -1"),
        (lambda s: s.dct(X, type=5), "ValueError", "Types I, II, III and IV (I)DCT are supported."),
        (lambda s: s.dct(X, axis=0), "NotImplementedError", "axis must be -1. Got: 0"),
        (lambda s: s.dct(X, norm="x"), "ValueError", "Unknown normalization. Expected None or 'ortho', got: x"),
        (lambda s: s.dct(X, n=0), "ValueError", "n should be a positive integer or None"),
        (lambda s: s.frame(1.0, 2, 1), "ValueError", "Shape () must have rank at least 1"),
        (lambda s: s.frame(X, 3, 0), "InvalidArgumentError", "Integer division by zero"),
        (lambda s: s.overlap_and_add(X, 2.0), "ValueError", "frame_step must be an integer. Got"),
        (lambda s: s.hann_window(5, dtype=tf.int32), "ValueError", "dtype must be a floating point type. Found"),
        (lambda s: s.mdct(X, 6), "ValueError", "The frame length must be a multiple of 4."),
        (
            lambda s: s.linear_to_mel_weight_matrix(4, 9, 8000, 125.0, 5000.0),
            "ValueError",
            "must not be larger than the Nyquist",
        ),
    ],
)
def test_errors(call, error, text):
    kinds = {"ValueError": ValueError, "NotImplementedError": NotImplementedError}
    with pytest.raises(kinds.get(error) or getattr(tf.errors, error)) as found:
        call(tf.signal)
    assert text in str(found.value)
