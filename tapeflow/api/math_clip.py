"""`tf.clip_by_*`: values held between limits, and gradients held to a norm."""

from collections.abc import Sequence

from tapeflow.api.export import export
from tapeflow.api.math_reduce import axes as reduction_axes
from tapeflow.api.operands import is_tensor
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import NO_ATTRS, P, bind
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import Tensor


def _on_values(function, x):
    """`function` of a tensor's values, or of the values of `IndexedSlices`."""
    if isinstance(x, IndexedSlices):
        return IndexedSlices(function(x.values), x.indices, x.dense_shape)
    return function(convert_to_tensor(x))


@export("clip_by_value")
def clip_by_value(t, clip_value_min, clip_value_max, name=None):
    """`t` with what is below the lower limit or above the upper one replaced by that limit.

    Args:
        t: a tensor of real numbers, or `IndexedSlices`.
        clip_value_min, clip_value_max: the limits, whose shapes broadcast to that of `t`. The lower wins where they cross.

    Raises:
        ValueError: a limit has more elements than `t`.

    Example:
        >>> import tapeflow as tf
        >>> tf.clip_by_value([-1.0, 0.5, 7.0], 0.0, 1.0).numpy().tolist()
        [0.0, 0.5, 1.0]
    """

    def clipped(x):
        low, high = [
            v if v.__class__ is Tensor else convert_to_tensor(v, None if is_tensor(v) else x._dtype)
            for v in (clip_value_min, clip_value_max)
        ]
        result = bind(P.clip_by_value, (x, low, high), NO_ATTRS)
        if result.dims != x.dims and not result.shape.is_compatible_with(x.shape):
            raise ValueError(f"Shapes {x.shape} and {result.shape} are incompatible: the limits must broadcast to `t`.")
        return result

    return _on_values(clipped, t)


@export("clip_by_norm")
def clip_by_norm(t, clip_norm, axes=None, name=None):
    """`t` scaled down where its Euclidean norm is above `clip_norm`.

    Args:
        t: a tensor of floats, or `IndexedSlices`.
        clip_norm: the largest norm.
        axes: the axes of which the norm is taken; all by default.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.clip_by_norm([3.0, 4.0], 2.0).numpy().round(4))
        [1.2 1.6]
    """
    along = reduction_axes(axes, "axes")

    def clipped(x):
        limit = convert_to_tensor(clip_norm, None if is_tensor(clip_norm) else x._dtype)
        if not x._dtype.is_complex:
            limit = P.maximum(limit, P.zeros_like(limit))  # a negative limit counts as 0
        square = P.sum(x * x, axis=along, keepdims=True)
        positive = P.greater(square, P.zeros_like(square))
        # The root has no slope at 0, so there 1 stands for the norm.
        norm = P.where(positive, P.sqrt(P.where(positive, square, P.ones_like(square))), square)
        return x * limit / P.maximum(norm, limit)

    return _on_values(clipped, t)


def _checked_list(t_list):
    if not isinstance(t_list, Sequence) or isinstance(t_list, str):
        raise TypeError(f"`t_list` should be a sequence of tensors. Received {type(t_list)}.")
    return list(t_list)


@export("linalg.global_norm")
def global_norm(t_list, name=None):
    """The root of the sum of the squares of all elements of several tensors; None entries are left out.

    Args:
        t_list: a list of tensors of floats, `IndexedSlices` or None.

    Raises:
        TypeError: `t_list` is no list.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.linalg.global_norm([tf.constant([3.0]), None, tf.constant([[4.0]])]))
        5.0
    """
    tensors = [x for x in _checked_list(t_list) if x is not None]
    values = [x.values if isinstance(x, IndexedSlices) else convert_to_tensor(x) for x in tensors]
    if not values:
        return convert_to_tensor(0.0)
    squares = [P.sum(P.square(x), axis=None, keepdims=False) for x in values]
    return P.sqrt(P.add_n(*squares))


@export("clip_by_global_norm")
def clip_by_global_norm(t_list, clip_norm, use_norm=None, name=None):
    """Tensors scaled down together where the norm of all their elements is above `clip_norm`.

    Args:
        t_list: a list of tensors of floats, `IndexedSlices` or None, such as gradients.
        clip_norm: the largest norm.
        use_norm: the norm, where it is known already.

    Returns:
        The scaled list, and the norm before. Where the norm is not finite all elements become nan.

    Raises:
        TypeError: `t_list` is no list.

    Example:
        >>> import tapeflow as tf
        >>> clipped, norm = tf.clip_by_global_norm([tf.constant([3.0, 4.0]), tf.constant(12.0)], 6.5)
        >>> [x.numpy().tolist() for x in clipped], float(norm)
        ([[1.5, 2.0], 6.0], 13.0)
    """
    tensors = _checked_list(t_list)
    norm = global_norm(tensors) if use_norm is None else convert_to_tensor(use_norm)
    limit = convert_to_tensor(clip_norm, None if is_tensor(clip_norm) else norm._dtype)
    scale = P.minimum(limit / norm, P.ones_like(norm))
    scale = scale + (norm - norm)  # nan where the norm is infinite or nan
    clipped = [x if x is None else _on_values(lambda v: v * P.cast(scale, dtype=v._dtype), x) for x in tensors]
    return clipped, norm


@export("compat.v1.clip_by_average_norm")
def clip_by_average_norm(t, clip_norm, name=None):
    """`t` scaled down where its Euclidean norm, divided by its number of elements, is above `clip_norm`.

    Example:
        >>> import tapeflow as tf
        >>> tf.compat.v1.clip_by_average_norm([6.0, 8.0], 2.5).numpy().tolist()
        [3.0, 4.0]
    """
    x = convert_to_tensor(t)
    limit = convert_to_tensor(clip_norm, x._dtype)
    count = P.cast(P.prod(P.shape(x), axis=None, keepdims=False), dtype=x._dtype)
    inverse = P.rsqrt(P.sum(x * x, axis=None, keepdims=False))
    return x * limit * P.minimum(inverse * count, 1.0 / limit)
