"""`tf.signal`: Fourier and cosine transforms."""

import math

from tapeflow.api.arguments import axis_numbers
from tapeflow.api.export import export, export_value
from tapeflow.base.dtypes import COMPLEX, complex64, float32, float64, int32
from tapeflow.base.errors import invalid
from tapeflow.base.shape import normalize_axes
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of, rank_of


def _count(x, axes):
    """How many elements a transform over `axes` takes, as a scalar that divides `x`."""
    sizes = [dims_of(x)[i] for i in axes]
    if all(isinstance(n, int) for n in sizes):
        return float(math.prod(sizes))
    count = convert_to_tensor(1)
    for n in sizes:
        count = count * n
    return P.cast(count, dtype=x._dtype)


def _complex_input(value):
    """A tensor; as in TensorFlow, Python's and NumPy's numbers become complex64."""
    return convert_to_tensor(value, dtype_hint=complex64)


def _complex(rank, inverse):
    """The public function of the complex transform of the last `rank` axes."""
    axes = tuple(range(-rank, 0))
    base = ("ifft" if inverse else "fft") + ("" if rank == 1 else f"{rank}d")

    def transform(input, name=None):
        x = _complex_input(input)
        if x.dims is not None and len(x.dims) < rank:
            raise invalid(base.upper(), f"Input must have rank of at least {rank} but got: {list(x.dims)}")
        y = P.fft(x, axes=axes, inverse=inverse)
        return y / _count(x, axes) if inverse else y

    what = "inverse discrete Fourier transform" if inverse else "discrete Fourier transform"
    over = "axis" if rank == 1 else f"{rank} axes"
    transform.__name__ = transform.__qualname__ = base
    transform.__doc__ = f"""The {what} over the last {over} of a complex tensor.

    Args:
        input: complex64 or complex128.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.ones([{", ".join("2" * rank)}], tf.complex64)
        >>> complex(tf.signal.{base}(x)[{", ".join("0" * rank)}])
        {complex(1 if inverse else 2**rank)}
    """
    export_value(transform, f"signal.{base}")


for _rank in (1, 2, 3):
    _complex(_rank, inverse=False)
    _complex(_rank, inverse=True)


# Real transforms, whose last axis holds half the places


def _real(value):
    x = convert_to_tensor(value, dtype_hint=float32)
    if x._dtype not in (float32, float64):
        raise ValueError(f"RFFT requires tf.float32 or tf.float64 inputs, got: {x}")
    return x


def _half(value):
    x = convert_to_tensor(value, dtype_hint=complex64)
    if x._dtype not in COMPLEX:
        raise ValueError(f"IRFFT requires tf.complex64 or tf.complex128 inputs, got: {x}")
    return x


def _lengths(fft_length, rank, name):
    """`fft_length` as a tuple of as many lengths as there are axes, or None."""
    if fft_length is None:
        return None
    lengths = static_dims(fft_length)
    if isinstance(lengths, Tensor) or len(lengths) != rank:
        raise invalid(name, f"fft_length must have shape [{rank}]: {fft_length!r}")
    for i, n in enumerate(lengths):
        if isinstance(n, int) and n < 0:
            raise invalid(name, f"fft_length[{i}] must >= 0, but got: {n}")
    return lengths


def _fitted(x, sizes, axes):
    """`x` cut off or filled up with zeros at the end of `axes`."""
    for i, size in zip(axes, sizes, strict=True):
        found = dims_of(x)[i]
        if found.__class__ is int and size.__class__ is int and found == size:
            continue
        behind = (slice(None),) * (-i - 1)
        if not (found.__class__ is int and size.__class__ is int and found < size):
            x = x[(..., slice(None, size), *behind)]
            found = dims_of(x)[i]
        if not (found.__class__ is int and size.__class__ is int and found == size):
            paddings = [(0, 0)] * rank_of(x)
            paddings[i] = (0, size - found)
            x = P.pad(x, paddings=tuple(paddings))
    return x


def _forward(x, lengths, axes):
    """The real transform over `axes` (negative, the last one being halved)."""
    if lengths is not None:
        x = _fitted(x, lengths, axes)
    last = axes[-1]
    y = P.rfft(x) if last == -1 else _swapped(P.rfft(_swapped(x, last)), last)
    return P.fft(y, axes=axes[:-1], inverse=False) if len(axes) > 1 else y


def _backward(x, lengths, axes):
    """The inverse of `_forward`."""
    if lengths is None:
        *rest, half = [dims_of(x)[i] for i in axes]
        lengths = (*rest, max(2 * (half - 1), 0) if isinstance(half, int) else 2 * (half - 1))
    x = _fitted(x, (*lengths[:-1], lengths[-1] // 2 + 1), axes)
    if len(axes) > 1:
        x = P.fft(x, axes=axes[:-1], inverse=True) / _count(x, axes[:-1])
    last = axes[-1]
    y = P.irfft(x, length=lengths[-1]) if last == -1 else _swapped(P.irfft(_swapped(x, last), length=lengths[-1]), last)
    return y / _count(y, (last,))


def _swapped(x, axis):
    """`x` with an axis and the last one swapped."""
    perm = list(range(rank_of(x)))
    perm[axis], perm[-1] = perm[-1], perm[axis]
    return P.transpose(x, perm=tuple(perm))


def _halved(rank, inverse):
    """The public function of the real transform of the last `rank` axes."""
    axes = tuple(range(-rank, 0))
    base = ("irfft" if inverse else "rfft") + ("" if rank == 1 else f"{rank}d")
    check, run = (_half, _backward) if inverse else (_real, _forward)

    def transform(input_tensor, fft_length=None, name=None):
        x = check(input_tensor)
        x.shape.with_rank_at_least(rank)
        return run(x, _lengths(fft_length, rank, base.upper()), axes)

    over = "axis" if rank == 1 else f"{rank} axes"
    sizes = "4" if rank == 1 else ", ".join("2" * (rank - 1)) + ", 4"
    takes = (
        f"the last {over} of half a transform, as `tf.signal.{base[1:]}` gives it"
        if inverse
        else f"the last {over} of real numbers"
    )
    given = f"tf.signal.{base[1:]}(x)" if inverse else "x"
    transform.__name__ = transform.__qualname__ = base
    transform.__doc__ = f"""The {"inverse " if inverse else ""}discrete Fourier transform over {takes}.

    Args:
        input_tensor: {"complex64 or complex128, [..., n // 2 + 1]" if inverse else "float32 or float64, [..., n]"}.
        fft_length: {"the size of the result" if inverse else "to what size to cut or pad the input"}, a list of {rank}.

    Returns:
        A {"real tensor [..., n]" if inverse else "complex tensor [..., n // 2 + 1]"}.

    Raises:
        ValueError: another dtype, or too low a rank.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.ones([{sizes}])
        >>> tf.signal.{base}({given}).shape
        TensorShape([{sizes if inverse else sizes[:-1] + "3"}])
    """
    export_value(transform, f"signal.{base}")


for _rank in (1, 2, 3):
    _halved(_rank, inverse=False)
    _halved(_rank, inverse=True)


# Transforms of any axes


def _any_axes(base, check, run):
    """The public function of a transform over given axes, with NumPy's scalings."""

    def transform(input_tensor, fft_length=None, axes=None, norm=None, name=None):
        x = check(input_tensor)
        rank = rank_of(x)
        axes = tuple(range(-rank, 0)) if axes is None else tuple(i - rank for i in normalize_axes(axis_numbers(axes), rank))
        if norm not in (None, "backward", "forward", "ortho"):
            raise ValueError(f"`norm` must be one of 'backward', 'forward' and 'ortho', got {norm!r}.")
        lengths = _lengths(fft_length, len(axes), base.upper())
        y = run(x, lengths, axes)
        if norm in (None, "backward"):
            return y
        count = _count(y if base.startswith("i") else x if lengths is None else _fitted(x, lengths, axes), axes)
        scale = count if norm == "forward" else P.sqrt(convert_to_tensor(count, y._dtype))
        return y * scale if base.startswith("i") else y / scale

    half = "" if "r" not in base else "; the last of them holds half the places"
    transform.__name__ = transform.__qualname__ = base
    inverse = "inverse " if base.startswith("i") else ""
    transform.__doc__ = f"""The {inverse}discrete Fourier transform over several axes{half}.

    Args:
        fft_length: the sizes of the transform along the axes, to which the input is cut or padded.
        axes: all by default.
        norm: "backward" (the default: inverses are divided by the number of elements), "forward" or "ortho".

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.{base}(tf.ones([2, 3, 4], tf.{"float32" if base == "rfftnd" else "complex64"}), axes=[0, 2]).shape
        TensorShape([2, 3, {dict(rfftnd=3, irfftnd=6).get(base, 4)}])
    """
    export_value(transform, f"signal.{base}")


def _forward_complex(x, lengths, axes):
    return P.fft(x if lengths is None else _fitted(x, lengths, axes), axes=axes, inverse=False)


def _backward_complex(x, lengths, axes):
    x = x if lengths is None else _fitted(x, lengths, axes)
    return P.fft(x, axes=axes, inverse=True) / _count(x, axes)


_any_axes("fftnd", _complex_input, _forward_complex)
_any_axes("ifftnd", _complex_input, _backward_complex)
_any_axes("rfftnd", _real, _forward)
_any_axes("irfftnd", _half, _backward)


def _rolled(x, axes, back):
    """`x` rolled by half its size along axes; rounded up where `back`."""
    x = convert_to_tensor(x)
    axes = range(rank_of(x)) if axes is None else axis_numbers(axes, "axes")
    for i in axes:
        size = dims_of(x)[i]
        at = size // 2 if back else size - size // 2
        behind = (slice(None),) * (rank_of(x) - 1 - i % rank_of(x))
        parts = x[(..., slice(at, None), *behind)], x[(..., slice(None, at), *behind)]
        x = P.concat(*parts, axis=i % rank_of(x))
    return x


@export("signal.fftshift")
def fftshift(x, axes=None, name=None):
    """`x` with the place 0 of axes moved to the middle.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.fftshift([0, 1, 2, -2, -1]).numpy().tolist()
        [-2, -1, 0, 1, 2]
    """
    return _rolled(x, axes, back=False)


@export("signal.ifftshift")
def ifftshift(x, axes=None, name=None):
    """The inverse of `fftshift`.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.ifftshift([-2, -1, 0, 1, 2]).numpy().tolist()
        [0, 1, 2, -2, -1]
    """
    return _rolled(x, axes, back=True)


# Cosine transforms


def _check_dct(x, type, n, axis, norm):
    if axis != -1:
        raise NotImplementedError(f"axis must be -1. Got: {axis}")
    if n is not None and n < 1:
        raise ValueError(f"n should be a positive integer or None, got {n}")
    if type not in (1, 2, 3, 4):
        raise ValueError(f"Types I, II, III and IV (I)DCT are supported. Got: {type}")
    if norm not in (None, "ortho"):
        raise ValueError(f"Unknown normalization. Expected None or 'ortho', got: {norm}")
    if type == 1 and norm == "ortho":
        raise ValueError("Normalization is not supported for the Type-I DCT.")
    if type == 1 and x.dims is not None and x.dims[-1] is not None and x.dims[-1] < 2:
        raise ValueError("Type-I DCT requires the dimension to be greater than one.")


@export("signal.dct")
def dct(input, type=2, n=None, axis=-1, norm=None, name=None):
    """The discrete cosine transform along the last axis, as `scipy.fftpack.dct` defines it.

    Args:
        input: float32 or float64, [..., samples].
        type: 1, 2, 3 or 4.
        n: to what size to cut or pad the input.
        axis: -1.
        norm: None, or "ortho" for an orthonormal transform.

    Raises:
        ValueError: another `type` or `norm`.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.dct([1.0, 2.0, 3.0]).numpy().round(3).tolist()
        [12.0, -3.4639999866485596, 0.0]
    """
    x = convert_to_tensor(input)
    _check_dct(x, type, n, axis, norm)
    return _dct(_real_samples(x), type, n, norm)


@export("signal.idct")
def idct(input, type=2, n=None, axis=-1, norm=None, name=None):
    """The inverse of `tf.signal.dct`, times 2 n unless `norm` is "ortho": the transform of type 3 for type 2, and so on.

    Example:
        >>> import tapeflow as tf
        >>> tf.signal.idct(tf.signal.dct([1.0, 2.0], norm="ortho"), norm="ortho").numpy().round(3).tolist()
        [1.0, 2.0]
    """
    x = convert_to_tensor(input)
    _check_dct(x, type, n, axis, norm)
    return _dct(_real_samples(x), {1: 1, 2: 3, 3: 2, 4: 4}[type], n, norm)


def _real_samples(x):
    if not x._dtype.is_floating:
        raise TypeError(f"A cosine transform takes float32 or float64, got {x._dtype.name}: {x!r}")
    return x


def _turns(count, dtype, sign):
    """2 exp(sign pi i k / (2 n)) for k = 0 .. n - 1, and n as a tensor."""
    n = convert_to_tensor(count, int32)
    k = P.cast(P.range(convert_to_tensor(0), n, convert_to_tensor(1)), dtype=dtype)
    n = P.cast(n, dtype=dtype)
    angle = k * (sign * 0.5 * math.pi) / n
    return P.complex(2 * P.cos(angle), 2 * P.sin(angle)), n


def _weights(count, first, rest):
    """`first` and then `count - 1` times `rest`."""
    whole = P.broadcast_to(P.reshape(rest, shape=(1,)), shape=(count - 1,))
    return P.concat(P.reshape(first, shape=(1,)), whole, axis=0)


def _dct(x, type, n, norm):
    """By a Fourier transform of twice the length (J. Makhoul, "A fast cosine transform in one and two dimensions", 1980)."""
    if n is not None:
        x = _fitted(x, (n,), (-1,))
    count = dims_of(x)[-1]
    if type == 1:
        return P.real(P.rfft(P.concat(x, x[..., -2:0:-1], axis=-1)))
    if type == 4:
        result = _dct(x, 2, 2 * count, None)[..., 1::2]
        if norm == "ortho":
            result = result * (math.sqrt(0.5) * P.rsqrt(_turns(count, x._dtype, 1)[1]))
        return result
    turns, size = _turns(count, x._dtype, -1 if type == 2 else 1)
    if type == 2:
        result = P.real(P.rfft(_fitted(x, (2 * count,), (-1,)))[..., :count] * turns)
        if norm == "ortho":
            first = 0.5 * P.rsqrt(size)
            result = result * _weights(count, first, first * math.sqrt(2.0))
        return result
    root = P.sqrt(size)
    x = x * (_weights(count, root, root * math.sqrt(0.5)) if norm == "ortho" else size)
    half = turns * P.complex(x, P.zeros_like(x))
    full = P.irfft(_fitted(half, (count + 1,), (-1,)), length=2 * count)
    return full[..., :count] / (2 * size)
