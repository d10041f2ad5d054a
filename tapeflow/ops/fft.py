"""Discrete Fourier transforms by NumPy. Nothing is scaled here: a transform and its inverse multiply by the length."""

import numpy as np

from tapeflow.base.dtypes import COMPLEX, complex64, complex128, float32, float64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec, wrap
from tapeflow.ops.family import sample

COMPLEX_OF = {float32: complex64, float64: complex128}


def _check_rank(name, spec, count):
    if spec.shape is not None and len(spec.shape) < count:
        raise invalid(name, f"Input must have rank of at least {count} but got: {list(spec.shape)}")


def _fft_kernel(x, *, axes, inverse):
    if not x.size:
        return np.array(x)
    transform = np.fft.ifftn if inverse else np.fft.fftn
    return transform(x, axes=axes, norm="forward" if inverse else "backward").astype(x.dtype, copy=False)


def _fft_infer(x, *, axes, inverse):
    _check_rank("FFT", x, -min(axes))
    return x


def _leading(op, inputs, batched, attrs):
    return op(*inputs, **attrs)


# The sums of x[n] exp(-2 pi i n k / N) over `axes` (negative numbers); of x[n] exp(2 pi i n k / N) where `inverse`.
fft = Primitive(
    "fft",
    _fft_kernel,
    _fft_infer,
    vjp=(lambda g, *, axes, inverse: P.fft(g, axes=axes, inverse=not inverse),),
    jvp="linear",
    batch=_leading,
    accepts=COMPLEX,
    samples=lambda: [
        ((sample(2, 3, 5) + 1j * sample(2, 3, 5, seed=1),), {"axes": axes, "inverse": inverse})
        for axes, inverse in [((-1,), False), ((-2,), True), ((-3, -1), False)]
    ],
)


def _rfft_kernel(x):
    dtype = np.complex128 if x.dtype == np.float64 else np.complex64
    if not x.size:
        return np.zeros((*x.shape[:-1], x.shape[-1] // 2 + 1), dtype)
    return np.fft.rfft(x).astype(dtype, copy=False)


def _rfft_infer(x):
    _check_rank("RFFT", x, 1)
    if x.shape is None:
        return Spec(None, COMPLEX_OF[x.dtype])
    n = x.shape[-1]
    return Spec((*x.shape[:-1], None if n is None else n // 2 + 1), COMPLEX_OF[x.dtype])


def _rfft_vjp(g, x_shape):
    length = x_shape[-1] if isinstance(x_shape, tuple) else P.strided_slice(x_shape, key=(-1,))
    return P.irfft(g * _shares(length, 0.5, g._dtype), length=length)


# The first half of the transform of real numbers along the last axis; the other half is its conjugate.
rfft = Primitive(
    "rfft",
    _rfft_kernel,
    _rfft_infer,
    vjp=(_rfft_vjp,),
    jvp="linear",
    batch=_leading,
    accepts={float32, float64},
    samples=lambda: [((sample(2, 3, 6),), {}), ((sample(2, 5),), {}), ((sample(1),), {}), ((sample(0, 4),), {})],
)


def _irfft_kernel(x, *, length):
    if x.shape[-1] != length // 2 + 1:
        raise ValueError(x.shape)
    if not x.size or not length:
        return np.zeros((*x.shape[:-1], length), x.real.dtype)
    return np.fft.irfft(x, length, norm="forward").astype(x.real.dtype, copy=False)


def _irfft_infer(x, *, length):
    _check_rank("IRFFT", x, 1)
    (n,) = known_dims((length,))
    if x.shape is None:
        return Spec(None, x.dtype.real_dtype)
    if None not in (n, x.shape[-1]) and x.shape[-1] != n // 2 + 1:
        raise invalid(
            "IRFFT", f"Input dimension -1 must have length of {n // 2 + 1} for fft_length {n} but got: {x.shape[-1]}"
        )
    return Spec((*x.shape[:-1], n), x.dtype.real_dtype)


def _irfft_vjp(g, x_dtype, *, length):
    return P.rfft(g) * _shares(length, 2.0, x_dtype)


# The inverse of rfft for real results of a length.
irfft = Primitive(
    "irfft",
    _irfft_kernel,
    _irfft_infer,
    vjp=(_irfft_vjp,),
    jvp="linear",
    batch=_leading,
    accepts=COMPLEX,
    samples=lambda: [((sample(2, 4) + 1j * sample(2, 4, seed=1),), {"length": length}) for length in (6, 7)],
)


def _shares(length, inner, dtype):
    """How often the places of half a transform count: 1 at the ends, which are their own conjugates, else `inner`."""
    if isinstance(length, int):
        shares = np.full(length // 2 + 1, inner, dtype.numpy_dtype)
        shares[0] = 1
        if length % 2 == 0:
            shares[-1] = 1
        return wrap(shares)
    zero, one, two = [wrap(np.int32(n)) for n in range(3)]
    length = P.cast(length, dtype=zero._dtype)
    place = P.range(zero, P.floordiv(length, two) + 1, one)
    end = P.logical_or(P.equal(place, zero), P.equal(place * 2, length))
    ones = P.cast(P.ones_like(place), dtype=dtype)
    return P.where(end, ones, ones * inner)
