"""`tf.random`: the ops that keep their own state, which `tf.random.set_seed` sets."""

import numpy as np

from tapeflow.api.arguments import vector, whole_number
from tapeflow.api.export import export, export_value
from tapeflow.base.dtypes import as_dtype, bfloat16, float16, float32, float64, int32, int64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops import random as draws
from tapeflow.ops.movement import dims_of
from tapeflow.ops.random_bits import Algorithm

export_value(Algorithm, "random.Algorithm", "random.experimental.Algorithm")
UNIFORM = (float16, bfloat16, float32, float64, int32, int64)


@export("random.set_seed")
def set_seed(seed):
    """Set the global seed: the random ops that follow give the same numbers as after the last call with this seed.

    It also starts the random ops of traced functions again. `tf.random.Generator` and the stateless ops do not depend
    on it.

    Args:
        seed: an int; None for numbers that no one can foresee.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.set_seed(5)
        >>> tf.random.normal([2], seed=1).numpy()
        array([-1.3768897 , -0.01258316], dtype=float32)
    """
    draws.set_seed(seed)


def _index_dtype(shape):
    """The dtype that TensorFlow gives a shape argument: one kernel, and so one stream, belongs to each."""
    if shape.__class__ is list or shape.__class__ is tuple:
        return "int32"
    return "int64" if getattr(shape, "dtype", None) in (np.dtype(np.int64), int64) else "int32"


def _stream(op, shape, seed, *attributes, numbers=None, each=256):
    """The stream for the next call of `op`."""
    source = draws.op_source(op, None if seed is None else int(seed), *attributes)
    return P.op_stream(source=source, shape=shape if numbers is None else (numbers,), each=each)


def scaled(values, mean, stddev, dtype):
    """`values * stddev + mean`; both parameters are converted to `dtype`."""
    if mean.__class__ is float and stddev.__class__ is float and mean == 0 and stddev == 1 and dtype.is_floating:
        return values()
    mean, stddev = convert_to_tensor(mean, dtype), convert_to_tensor(stddev, dtype)
    return values() * stddev + mean


def between(values, minval, maxval, dtype):
    """Values in [0, 1) spread over [minval, maxval)."""
    if minval.__class__ is int and maxval.__class__ is int and minval == 0 and maxval == 1:
        return values()
    minval, maxval = convert_to_tensor(minval, dtype), convert_to_tensor(maxval, dtype)
    return values() * (maxval - minval) + minval


@export("random.uniform")
def uniform(shape, minval=0, maxval=None, dtype=float32, seed=None, name=None):
    """Uniformly distributed numbers in [minval, maxval).

    Args:
        shape: the shape of the result.
        minval, maxval: the range; for floats they broadcast to `shape` and `maxval` is 1 by default, for integers they
            are scalars. Integers are slightly biased unless the range is a power of two.
        dtype: float16, bfloat16, float32, float64, int32 or int64.
        seed: an int; see `tf.random.set_seed`.

    Raises:
        ValueError: another dtype, or no `maxval` for integers.
        InvalidArgumentError: a negative dimension, or integers without minval < maxval.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.set_seed(5)
        >>> tf.random.uniform([], maxval=3, dtype=tf.int32, seed=10).numpy()
        np.int32(2)
    """
    dtype = as_dtype(dtype)
    if dtype not in UNIFORM:
        raise ValueError(f"Argument `dtype` got invalid value {dtype}. Accepted dtypes are {UNIFORM}.")
    if maxval is None:
        if dtype.is_integer:
            raise ValueError(f"Must specify maxval for integer dtype {dtype!r}")
        maxval = 1
    dims = vector(shape, "RandomUniform", "shape")
    if dtype.is_integer:
        bounds = [convert_to_tensor(bound, dtype) for bound in (minval, maxval)]
        stream = _stream("RandomUniformInt", dims, seed, dtype.name, _index_dtype(shape))
        return P.random_uniform_int(stream, *bounds, shape=dims)

    def values():
        stream = _stream("RandomUniform", dims, seed, dtype.name, _index_dtype(shape))
        return P.random_uniform(stream, shape=dims, dtype=dtype)

    return between(values, minval, maxval, dtype)


@export("random.normal")
def normal(shape, mean=0.0, stddev=1.0, dtype=float32, seed=None, name=None):
    """Normally distributed numbers; gradients reach `mean` and `stddev`.

    Args:
        shape: the shape of the result.
        mean, stddev: broadcast to `shape`.
        dtype: float16, bfloat16, float32 or float64.
        seed: an int; see `tf.random.set_seed`.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.normal([2, 3], mean=4.0, stddev=0.1).shape
        TensorShape([2, 3])
    """
    return _normal("RandomStandardNormal", P.random_normal, shape, mean, stddev, dtype, seed)


@export("random.truncated_normal")
def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=float32, seed=None, name=None):
    """Normally distributed numbers within two standard deviations of the mean: others are drawn again.

    Args:
        shape: the shape of the result.
        mean, stddev: broadcast to `shape`.
        dtype: float16, bfloat16, float32 or float64.
        seed: an int; see `tf.random.set_seed`.

    Example:
        >>> import tapeflow as tf
        >>> bool(tf.reduce_all(tf.abs(tf.random.truncated_normal([100])) < 2.0))
        True
    """
    return _normal("TruncatedNormal", P.truncated_normal, shape, mean, stddev, dtype, seed)


def _normal(op, sampler, shape, mean, stddev, dtype, seed):
    dtype = as_dtype(dtype)
    dims = vector(shape, op, "shape")

    def values():
        return sampler(_stream(op, dims, seed, dtype.name, _index_dtype(shape)), shape=dims, dtype=dtype)

    return scaled(values, mean, stddev, dtype)


def _followed_by(shape, x):
    """`shape` and then the shape of `x`, for an attr."""
    if not isinstance(shape, Tensor) and x.dims is not None:
        return (*shape, *dims_of(x))
    shape = P.cast(convert_to_tensor(shape, None if isinstance(shape, Tensor) else int32), dtype=int32)
    return P.concat(shape, P.shape(x), axis=0)


def gamma_parameters(alpha, beta, dtype):
    """alpha (broadcast with beta), beta, and the smallest normal number of `dtype`, to which samples of 0 are lifted.

    Raises:
        ValueError: `dtype` is none of NumPy's own floats.
    """
    alpha = convert_to_tensor(alpha, dtype)
    beta = convert_to_tensor(1 if beta is None else beta, dtype)
    tiny = np.finfo(dtype.as_numpy_dtype).tiny
    if beta.dims != ():
        alpha = alpha + P.zeros_like(beta)
    return alpha, beta, convert_to_tensor(tiny)


@export("random.gamma")
def gamma(shape, alpha, beta=None, dtype=float32, seed=None, name=None):
    """Gamma samples, `shape` of them for each pair of parameters; gradients reach `alpha` and `beta`.

    The gradient of alpha is implicit (Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", 2018).

    Args:
        shape: how many samples to draw for each pair of parameters.
        alpha: the shape parameters.
        beta: the rates, which broadcast with `alpha`; 1 by default.
        dtype: float16, float32 or float64.
        seed: an int; see `tf.random.set_seed`.

    Returns:
        A tensor of shape `shape` + the shape of `alpha + beta`.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.gamma([7, 5], alpha=[0.5, 1.5]).shape
        TensorShape([7, 5, 2])
    """
    dtype = as_dtype(dtype)
    alpha, beta, tiny = gamma_parameters(alpha, beta, dtype)
    dims = _followed_by(vector(shape, "RandomGamma", "shape"), alpha)
    stream = _stream("RandomGamma", dims, seed, dtype.name)
    return P.maximum(P.random_gamma(stream, alpha, shape=dims) / beta, tiny)


@export("random.poisson")
def poisson(shape, lam, dtype=float32, seed=None, name=None):
    """Poisson samples, `shape` of them for each rate.

    Args:
        shape: how many samples to draw for each rate.
        lam: the rates.
        dtype: float16, float32, float64, int32 or int64.
        seed: an int; see `tf.random.set_seed`.

    Returns:
        A tensor of shape `shape` + the shape of `lam`.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.poisson([7, 5], lam=[0.5, 12.5]).shape
        TensorShape([7, 5, 2])
    """
    dtype = as_dtype(dtype)
    rate = convert_to_tensor(lam)
    dims = _followed_by(vector(shape, "RandomPoissonV2", "shape"), rate)
    return P.random_poisson(
        _stream("RandomPoissonV2", dims, seed, rate._dtype.name, dtype.name), rate, shape=dims, dtype=dtype
    )


@export("random.shuffle")
def shuffle(value, seed=None, name=None):
    """The slices of `value` along its first dimension in random order.

    Example:
        >>> import tapeflow as tf
        >>> sorted(tf.random.shuffle([1, 2, 3]).numpy().tolist())
        [1, 2, 3]
    """
    value = convert_to_tensor(value)
    rows = dims_of(value)[0] if value.dims else 1  # each four rows take a block, but for the first
    stream = _stream("RandomShuffle", (), seed, value._dtype.name, numbers=(rows + 2) // 4 * _any(value), each=1)
    return P.random_shuffle(stream, value)


def _any(value):
    """1 where a tensor is known to have more than one element, or where nothing is known; else 0."""
    dims = value.dims
    return 1 if dims is None or None in dims else int(np.prod(dims) > 1 and dims[0] > 1)


@export("random.categorical")
def categorical(logits, num_samples, dtype=None, seed=None, name=None):
    """Class numbers drawn with probabilities softmax(logits).

    Args:
        logits: unnormalised log-probabilities, a float tensor [batch, classes].
        num_samples: how many to draw for each row.
        dtype: int32 or int64 (the default).
        seed: an int; see `tf.random.set_seed`.

    Returns:
        A tensor [batch, num_samples].

    Example:
        >>> import tapeflow as tf
        >>> tf.random.categorical(tf.math.log([[0.0, 1.0]]), 3).numpy().tolist()
        [[1, 1, 1]]
    """
    logits = convert_to_tensor(logits)
    dtype = class_dtype(dtype)
    count = sample_count(num_samples)
    if logits.dims is not None and len(logits.dims) != 2:
        raise invalid("Multinomial", f"logits should be a matrix, got shape {list(logits.dims)}")
    # Two words make one number, and a row is counted as a multiple of four numbers.
    numbers = dims_of(logits)[0] * 2 * ((count + 3) // 4 * 4)
    stream = _stream("Multinomial", (), seed, logits._dtype.name, dtype.name, numbers=numbers)
    return P.categorical(stream, logits, num_samples=count, dtype=dtype)


def sample_count(num_samples):
    """`num_samples` as an int, or a symbolic scalar."""
    count = whole_number(num_samples, "num_samples")
    if count.__class__ is int and count < 0:
        raise invalid("Multinomial", f"num_samples should be non-negative, got {count}")
    return count


def class_dtype(dtype):
    """The dtype of class numbers.

    Raises:
        ValueError: neither int32 nor int64.
    """
    dtype = as_dtype(dtype) if dtype else int64
    if dtype not in (int32, int64):
        raise ValueError(f"Argument `dtype` got invalid value {dtype}. Accepted dtypes are {(int32, int64)}.")
    return dtype
