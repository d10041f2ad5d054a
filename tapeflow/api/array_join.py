"""Tensors put together and taken apart along an axis: concat, stack, unstack, split."""

import numbers

from tapeflow.api.arguments import axis_number, matching
from tapeflow.api.export import export
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of


@export("concat")
def concat(values, axis, name="concat"):
    """Tensors put one behind the other along an axis.

    Args:
        values: a list of tensors of one dtype that differ in size along `axis` only.

    Raises:
        InvalidArgumentError: ranks, other dimensions or dtypes differ, or there is no such axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.concat([[[1, 2]], [[3, 4]]], 1)
        <tf.Tensor: shape=(1, 4), dtype=int32, numpy=array([[1, 2, 3, 4]], dtype=int32)>
    """
    if axis.__class__ is not int:
        axis = axis_number(axis)
    if not isinstance(values, (list, tuple)):
        values = [values]
    if not values:
        raise invalid("concat", "tf.concat needs at least one tensor, got an empty list")
    if len(values) == 1:
        return P.identity(convert_to_tensor(values[0]))
    return P.concat(*matching(values), axis=axis)


@export("stack")
def stack(values, axis=0, name="stack"):
    """Tensors of one shape put side by side along a new axis.

    Raises:
        ValueError: there is no such axis.
        InvalidArgumentError: shapes or dtypes differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.stack([[1, 2], [3, 4]], axis=1).numpy().tolist()
        [[1, 3], [2, 4]]
    """
    if axis and (values is None or isinstance(values, numbers.Number)):
        raise TypeError(
            f"tf.stack takes a list of tensors, got {values!r}, which is {type(values).__name__!r} and not subscriptable"
        )
    if not isinstance(values, (list, tuple)):
        values = unstack(values) if axis else [convert_to_tensor(values)]
        if not axis:
            return values[0]
    if not values:
        return convert_to_tensor([])
    if axis == 0 and not any(isinstance(x, Tensor) or hasattr(x, "__tf_tensor__") for x in values):
        try:
            return convert_to_tensor(values)
        except (TypeError, ValueError):
            pass  # the op says better what is wrong
    xs = matching(values)
    dims = xs[0].dims
    if dims is not None and not -len(dims) - 1 <= axis <= len(dims):
        raise ValueError(f"Argument `axis` = {axis} not in range [{-len(dims) - 1}, {len(dims) + 1})")
    return P.stack(*xs, axis=axis)


@export("parallel_stack")
def parallel_stack(values, name="parallel_stack"):
    """`stack` along axis 0.

    Example:
        >>> import tapeflow as tf
        >>> tf.parallel_stack([[1, 2], [3, 4]]).shape
        TensorShape([2, 2])
    """
    return stack(values)


@export("unstack")
def unstack(value, num=None, axis=0, name="unstack"):
    """The parts of a tensor along an axis, a list of tensors without that axis.

    Args:
        num: how many; needed only where the size is unknown while tracing.

    Raises:
        ValueError: there is no such axis, or its size is unknown.
        InvalidArgumentError: `num` is not the size.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().tolist() for x in tf.unstack([[1, 2], [3, 4]], axis=1)]
        [[1, 3], [2, 4]]
    """
    x = convert_to_tensor(value)
    dims = x.dims
    if dims is not None and not -len(dims) <= axis < len(dims):
        raise ValueError(f"Argument `axis` = {axis} not in range [{-len(dims)}, {len(dims)})")
    if num is None:
        num = None if dims is None else dims[axis]
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {x.shape}")
    return list(P.unstack(x, axis=axis, num=num))


@export("split")
def split(value, num_or_size_splits, axis=0, num=None, name="split"):
    """A tensor cut along an axis into a list of tensors.

    Args:
        num_or_size_splits: the number of equal parts, or the sizes of the parts, one of which may be -1.
        num: the number of sizes, where they are a tensor of unknown length.

    Raises:
        InvalidArgumentError: the parts do not add up to the size of the axis.
        ValueError: a number of parts that is not a Python integer.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().tolist() for x in tf.split([1, 2, 3, 4], [1, -1])]
        [[1], [2, 3, 4]]
    """
    x = convert_to_tensor(value)
    axis = axis_number(axis, takes="int32")
    if isinstance(num_or_size_splits, numbers.Integral):
        return list(P.split(x, sizes=_equal_sizes(x, int(num_or_size_splits), axis), axis=axis))
    given = num_or_size_splits if isinstance(num_or_size_splits, (list, tuple)) else convert_to_tensor(num_or_size_splits)
    if isinstance(given, Tensor) and given.dims == ():
        raise ValueError(
            "Rank-0 tensors are not supported as the num_or_size_splits argument to split. Argument provided: "
            f"{num_or_size_splits}"
        )
    sizes = static_dims(given)
    if isinstance(sizes, Tensor):
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {sizes.shape}")
        sizes = tuple(P.unstack(sizes, axis=0, num=num))
    if num is not None and num != len(sizes):
        raise invalid(
            "split",
            "size of the split_tensor must be 1-D and have the same elements as outputs got "
            f"{len(sizes)} elements, not {num}",
        )
    if not sizes:
        raise invalid("split", "Value for attr 'num_split' of 0 must be at least minimum 1")
    return list(P.split(x, sizes=sizes, axis=axis))


def _equal_sizes(x, count, axis):
    if count < 1:
        raise invalid("split", f"Value for attr 'num_split' of {count} must be at least minimum 1")
    dims = x.dims
    if dims is None or not -len(dims) <= axis < len(dims):
        return (1,) * count  # infer says what is wrong
    if dims[axis] is None:
        return (dims_of(x)[axis] // count,) * count
    if dims[axis] % count:
        raise invalid(
            "split",
            "Number of ways to split should evenly divide the split dimension, but got split_dim "
            f"{axis} (size = {dims[axis]}) and num_split {count}",
        )
    return (dims[axis] // count,) * count
