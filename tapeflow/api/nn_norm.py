"""Moments, normalization and dropout (`tf.nn.moments`, `tf.nn.batch_normalization`, `tf.nn.dropout`, ...)."""

import functools
import math
import numbers

from tapeflow.api.arguments import matching
from tapeflow.api.export import export, public
from tapeflow.api.math_reduce import reduce_mean, reduce_sum
from tapeflow.base.dtypes import float16, float32
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of


@export("nn.moments")
def moments(x, axes, shift=None, keepdims=False, name=None):
    """The mean and the variance of `x` over axes; float16 is computed in float32.

    Args:
        axes: an int or a list of them.
        shift: ignored, as in TensorFlow.
        keepdims: whether the axes stay, of size 1.

    Returns:
        A pair of tensors (mean, variance).

    Example:
        >>> import tapeflow as tf
        >>> [float(v) for v in tf.nn.moments(tf.constant([1.0, 3.0]), axes=[0])]
        [2.0, 1.0]
    """
    x = convert_to_tensor(x)
    y = P.cast(x, dtype=float32) if x._dtype is float16 else x
    mean = reduce_mean(y, axes, keepdims=True)
    distance = y - P.stop_gradient(mean)  # the gradient through the mean is zero
    variance = reduce_mean(distance * distance, axes, keepdims=True)
    if not keepdims:
        mean, variance = [_dropped(v, axes) for v in (mean, variance)]
    if x._dtype is float16:
        mean, variance = [P.cast(v, dtype=float16) for v in (mean, variance)]
    return mean, variance


def _dropped(x, axes):
    """`x` without the axes of size 1 that a reduction left."""
    rank = len(x.dims)
    if axes is None:
        return P.squeeze(x, axis=tuple(range(rank)))
    return P.squeeze(x, axis=tuple(sorted({n % rank for n in static_dims(axes)}))) if static_dims(axes) else x


@export("nn.weighted_moments")
def weighted_moments(x, axes, frequency_weights, keepdims=False, name=None):
    """The mean and the variance of `x` over axes, where each element counts as often as its weight says.

    Args:
        frequency_weights: non-negative weights that broadcast with `x`.

    Returns:
        A pair of tensors (mean, variance).

    Example:
        >>> import tapeflow as tf
        >>> mean, variance = tf.nn.weighted_moments(tf.constant([1.0, 5.0]), 0, tf.constant([3.0, 1.0]))
        >>> float(mean), float(variance)
        (2.0, 3.0)
    """
    x = convert_to_tensor(x)
    weights = convert_to_tensor(frequency_weights)
    narrow = x._dtype is float16
    if narrow:
        x = P.cast(x, dtype=float32)
    if weights._dtype is not x._dtype:
        weights = P.cast(weights, dtype=x._dtype)
    share = 1 / reduce_sum(weights + P.zeros_like(x), axes, keepdims=True)
    mean = reduce_sum(weights * x, axes, keepdims=True) * share
    distance = x - mean
    variance = reduce_sum(weights * (distance * distance), axes, keepdims=True) * share
    if not keepdims:
        mean, variance = [_dropped(v, axes) for v in (mean, variance)]
    if narrow:
        mean, variance = [P.cast(v, dtype=float16) for v in (mean, variance)]
    return mean, variance


@export("nn.sufficient_statistics")
def sufficient_statistics(x, axes, shift=None, keepdims=False, name=None):
    """What `normalize_moments` makes moments of: the count, the sum and the sum of squares over axes.

    Args:
        shift: a number near the mean that is taken off first, so that digits are kept.

    Returns:
        (count, sum, sum of squares, shift as a tensor or None).

    Example:
        >>> import tapeflow as tf
        >>> [float(v) for v in tf.nn.sufficient_statistics(tf.constant([1.0, 3.0]), [0])[:3]]
        [2.0, 4.0, 10.0]
    """
    x = convert_to_tensor(x)
    axes = list(static_dims(axes))
    counts = _count(x, axes)
    if shift is None:
        return counts, reduce_sum(x, axes, keepdims), reduce_sum(x * x, axes, keepdims), None
    shift = convert_to_tensor(shift, x._dtype)
    distance = x - shift
    return counts, reduce_sum(distance, axes, keepdims), reduce_sum(distance * distance, axes, keepdims), shift


def _count(x, axes):
    """How many elements of `x` one sum over axes has, in its dtype."""
    sizes = [None] if x.dims is None else [x.dims[axis] for axis in axes]
    if None not in sizes:
        return convert_to_tensor(float(math.prod(sizes)), x._dtype)
    return P.cast(P.prod(P.gather(P.shape(x), convert_to_tensor(axes)), axis=None, keepdims=False), dtype=x._dtype)


@export("nn.normalize_moments")
def normalize_moments(counts, mean_ss, variance_ss, shift, name=None):
    """The mean and the variance from the results of `sufficient_statistics`.

    Example:
        >>> import tapeflow as tf
        >>> [float(v) for v in tf.nn.normalize_moments(tf.constant(2.0), tf.constant(4.0), tf.constant(10.0), None)]
        [2.0, 1.0]
    """
    share = 1 / convert_to_tensor(counts)
    shifted = share * mean_ss
    mean = shifted if shift is None else shifted + shift
    return mean, share * variance_ss - shifted * shifted


@export("nn.batch_normalization")
def batch_normalization(x, mean, variance, offset, scale, variance_epsilon, name=None):
    """scale * (x - mean) / sqrt(variance + variance_epsilon) + offset (Ioffe and Szegedy 2015).

    Args:
        mean, variance, offset, scale: tensors that broadcast with `x`; offset and scale may be None.
        variance_epsilon: a small number against division by zero.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.batch_normalization([1.0, 3.0], 2.0, 1.0, None, None, 0.0).numpy().tolist()
        [-1.0, 1.0]
    """
    x = convert_to_tensor(x)
    variance = convert_to_tensor(variance)
    inverse = P.rsqrt(variance + convert_to_tensor(variance_epsilon, variance._dtype))
    if scale is not None:
        inverse = inverse * scale
    mean = matching((inverse, mean))[1]
    rest = -mean * inverse if offset is None else offset - mean * inverse
    if inverse._dtype is not x._dtype:
        inverse = P.cast(inverse, dtype=x._dtype)
    if rest._dtype is not x._dtype:
        rest = P.cast(rest, dtype=x._dtype)
    return x * inverse + rest


@export("nn.batch_norm_with_global_normalization")
def batch_norm_with_global_normalization(
    input, mean, variance, beta, gamma, variance_epsilon, scale_after_normalization, name=None
):
    """`batch_normalization` of [batch, height, width, channels] with statistics for each channel; gamma counts only
    where `scale_after_normalization`.

    Example:
        >>> import tapeflow as tf
        >>> one = tf.ones([3])
        >>> tf.nn.batch_norm_with_global_normalization(tf.ones([1, 2, 2, 3]), one, one, one, one, 0.1, True).shape
        TensorShape([1, 2, 2, 3])
    """
    return batch_normalization(input, mean, variance, beta, gamma if scale_after_normalization else None, variance_epsilon)


@export("compat.v1.nn.fused_batch_norm")
def fused_batch_norm(
    x,
    scale,
    offset,
    mean=None,
    variance=None,
    epsilon=0.001,
    data_format="NHWC",
    is_training=True,
    name=None,
    exponential_avg_factor=1.0,
):
    """`batch_normalization` over all axes but the channels', by the batch's own moments in training.

    Args:
        x: floats of 4 or 5 dimensions; half floats are computed in float32, the dtype of the other tensors.
        scale, offset: [channels].
        mean, variance: [channels]; what is normalized by if not `is_training`, else what the moving averages were before.
        data_format: `"NHWC"`, `"NCHW"`, `"NDHWC"` or `"NCDHW"`.
        exponential_avg_factor: how much of the batch's moments the moving averages take.

    Returns:
        The result, and the moving averages of mean and variance. The batch's variance counts n / (n - 1) times in them.

    Raises:
        ValueError: another data format.
    """
    y, mean, variance, *_ = fused_batch_norm_v3(
        x=x,
        scale=scale,
        offset=offset,
        mean=0.0 if mean is None else mean,
        variance=0.0 if variance is None else variance,
        epsilon=max(epsilon, 1.001e-5),
        exponential_avg_factor=exponential_avg_factor,
        data_format=data_format,
        is_training=is_training,
    )
    return y, mean, variance


@export("raw_ops.FusedBatchNormV3")
def fused_batch_norm_v3(
    x,
    scale,
    offset,
    mean,
    variance,
    epsilon=0.0001,
    exponential_avg_factor=1,
    data_format="NHWC",
    is_training=True,
    name=None,
):
    """See `fused_batch_norm`; after the moving averages come the batch's mean and variance, and a tensor of nothing."""
    x, scale, offset = convert_to_tensor(x), convert_to_tensor(scale), convert_to_tensor(offset)
    mean, variance = convert_to_tensor(mean, scale._dtype), convert_to_tensor(variance, scale._dtype)
    if data_format not in ("NHWC", "NCHW", "NDHWC", "NCDHW"):
        raise ValueError(f"data_format must be NHWC, NCHW, NDHWC or NCDHW, got {data_format!r}")
    axes = [i for i, letter in enumerate(data_format) if letter != "C"]
    wide = P.cast(x, dtype=scale._dtype) if x._dtype is not scale._dtype else x
    if is_training:
        own_mean, own_variance = moments(wide, axes)
        count = _count(wide, axes)
        unbiased = own_variance * (count / P.maximum(count - 1, P.ones_like(count)))
        if exponential_avg_factor != 1:
            kept = 1 - exponential_avg_factor
            mean, variance = (
                mean * kept + own_mean * exponential_avg_factor,
                variance * kept + unbiased * exponential_avg_factor,
            )
        else:
            mean, variance = own_mean, unbiased
    else:
        own_mean, own_variance = mean, variance
    shape = [-1 if letter == "C" else 1 for letter in data_format]
    parts = [P.reshape(part, shape=tuple(shape)) for part in (own_mean, own_variance, offset, scale)]
    y = batch_normalization(wide, *parts, epsilon)
    y = P.cast(y, dtype=x._dtype) if y._dtype is not x._dtype else y
    return y, mean, variance, own_mean, own_variance, convert_to_tensor([], scale._dtype)


@export("raw_ops.FusedBatchNorm", "raw_ops.FusedBatchNormV2")
@functools.wraps(fused_batch_norm_v3)
def fused_batch_norm_v2(*args, **kwargs):
    """See `fused_batch_norm_v3`, without the tensor of nothing."""
    return fused_batch_norm_v3(*args, **kwargs)[:5]


@export("nn.local_response_normalization", "nn.lrn")
def local_response_normalization(input, depth_radius=5, bias=1, alpha=1, beta=0.5, name=None):
    """input / (bias + alpha * sum of squares of the channels within depth_radius) ** beta (Krizhevsky et al. 2012).

    Args:
        input: [batch, height, width, channels], floating point.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.lrn(tf.ones([1, 1, 1, 2]), depth_radius=1, bias=2, beta=1.0).numpy().ravel().tolist()
        [0.25, 0.25]
    """
    x = convert_to_tensor(input)
    if x.dims is not None and len(x.dims) != 4:
        raise invalid("LRN", f"in must be 4-dimensional, got shape {list(x.dims)}")
    radius = int(depth_radius)
    padded = P.pad(x * x, paddings=((0, 0), (0, 0), (0, 0), (radius, radius)))
    depth = dims_of(x)[-1]
    total = None
    for start in range(2 * radius + 1):
        part = P.strided_slice(padded, key=(Ellipsis, (start, start + depth, None)))
        total = part if total is None else total + part
    return x * P.pow(float(bias) + float(alpha) * total, convert_to_tensor(-float(beta), x._dtype))


# Dropout


@export("nn.dropout")
def dropout(x, rate, noise_shape=None, seed=None, name=None):
    """Elements of `x` set to zero with probability `rate`, the others scaled by 1 / (1 - rate) (Srivastava et al.
    2014).

    Args:
        x: a floating point tensor.
        rate: a number in [0, 1), or a scalar tensor.
        noise_shape: a shape that broadcasts to x's: elements along its axes of size 1 are kept or dropped together.
        seed: an int; see `tf.random.set_seed`.

    Raises:
        ValueError: `rate` is no number in [0, 1), or `x` is not floating point.

    Example:
        >>> import tapeflow as tf
        >>> sorted(set(tf.nn.dropout(tf.ones([100]), rate=0.5, seed=1).numpy().tolist()))
        [0.0, 2.0]
    """
    uniform = public("random.uniform")
    return _dropout(x, rate, lambda shape, dtype: uniform(shape=shape, dtype=dtype, seed=seed), noise_shape, False)


@export("nn.experimental.stateless_dropout")
def stateless_dropout(x, rate, seed, rng_alg=None, noise_shape=None, name=None):
    """`tf.nn.dropout` whose choice depends on nothing but `seed`, two integers.

    Example:
        >>> import tapeflow as tf
        >>> one, two = [tf.nn.experimental.stateless_dropout(tf.ones([100]), 0.5, seed=[3, 7]) for _ in range(2)]
        >>> bool(tf.reduce_all(one == two))
        True
    """
    uniform = public("random.stateless_uniform")
    alg = "auto_select" if rng_alg is None else rng_alg
    return _dropout(x, rate, lambda shape, dtype: uniform(shape=shape, seed=seed, dtype=dtype, alg=alg), noise_shape, True)


@export("nn.experimental.general_dropout")
def general_dropout(x, rate, uniform_sampler, noise_shape=None, name=None):
    """`tf.nn.dropout` with random numbers in [0, 1) from `uniform_sampler(shape, dtype)`.

    Example:
        >>> import tapeflow as tf
        >>> sampler = lambda shape, dtype: tf.constant([0.1, 0.7])
        >>> tf.nn.experimental.general_dropout(tf.ones([2]), 0.5, sampler).numpy().tolist()
        [0.0, 2.0]
    """
    return _dropout(x, rate, uniform_sampler, noise_shape, True)


def _dropout(x, rate, sampler, noise_shape, always):
    """Dropout with any source of random numbers; `always` draws them even where the rate is 0."""
    fixed = isinstance(rate, numbers.Real)
    if fixed and not 0 <= rate < 1:
        raise ValueError(f"`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate={rate}")
    x = convert_to_tensor(x)
    dtype = x._dtype
    if not dtype.is_floating:
        raise ValueError(f"`x.dtype` must be a floating point tensor as `x` will be scaled. Received: x_dtype={dtype}")
    if fixed and rate == 0 and not always:
        return x
    shape = _noise_shape(x, noise_shape)
    if fixed:
        kept = x * (1 / (1 - rate))
        keep = sampler(shape=shape, dtype=dtype) >= rate
    else:
        rate = _rate_tensor(rate, dtype)
        keep = sampler(shape=shape, dtype=dtype) >= rate
        kept = x / (1 - rate)
    return P.where(keep, kept, P.zeros_like(x))


def _rate_tensor(rate, dtype):
    tensor = rate
    if not isinstance(rate, Tensor):
        if not hasattr(rate, "__tf_tensor__") and not hasattr(rate, "__array__"):
            raise ValueError(f"`rate` must be a scalar or scalar tensor. Received: rate={rate}")
        tensor = convert_to_tensor(rate)
    if tensor.dims not in ((), None):
        raise ValueError(f"`rate` must be a scalar tensor. Received: rate of shape {tensor.shape}")
    if tensor._dtype is not dtype:
        if not tensor._dtype.is_compatible_with(dtype):
            raise ValueError(
                f"`x.dtype` must be compatible with `rate.dtype`. Received: x.dtype={dtype} and rate.dtype={tensor._dtype}"
            )
        tensor = P.cast(tensor, dtype=dtype)
    return tensor


def _noise_shape(x, noise_shape):
    """The shape of the random numbers; None in it stands for x's own size."""
    if noise_shape is None:
        return x.dims if x.dims is not None and None not in x.dims else P.shape(x)
    if isinstance(noise_shape, (list, tuple)) and None in noise_shape:
        if len(noise_shape) != len(x.dims):
            return noise_shape
        return tuple([n if m is None else m for n, m in zip(x.dims, noise_shape, strict=True)])
    return noise_shape
