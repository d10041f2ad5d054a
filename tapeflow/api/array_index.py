"""Picking and placing elements by index or condition: where, gather, scatter, partition and stitch."""

import operator

import numpy as np

from tapeflow.api.arguments import axis_number, matching, of_dtype
from tapeflow.api.export import export
from tapeflow.base.dtypes import bool_, int32
from tapeflow.base.errors import NotFoundError, invalid
from tapeflow.core.convert import convert_to_tensor, static_dims, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of, rank_of


@export("where")
def where(condition, x=None, y=None, name=None):
    """Elements of `x` where the condition holds, of `y` elsewhere; without both, where the condition is not zero.

    Args:
        condition: bools; all three broadcast together. Without `x` and `y` also numbers.

    Returns:
        A tensor like `x`, or an int64 tensor [count, rank] with the coordinates of each non-zero element.

    Raises:
        ValueError: only one of `x` and `y` is given.
        InvalidArgumentError: the shapes do not broadcast.

    Example:
        >>> import tapeflow as tf
        >>> tf.where([True, False], [1, 2], 0)
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 0], dtype=int32)>
        >>> tf.where([[1, 0], [0, 2]]).numpy().tolist()
        [[0, 0], [1, 1]]
    """
    if (x is None) != (y is None):
        raise ValueError("x and y must both be non-None or both be None.")
    if x is None:
        return P.nonzero(convert_to_tensor(condition))
    if condition.__class__ is not Tensor:
        condition = convert_to_tensor(condition, bool_)
    x, y = matching((x, y))
    return P.where(condition, x, y)


@export("compat.v1.where")
def where_v1(condition, x=None, y=None, name=None):
    """`where` as it was: `x` and `y` have one shape, and the condition has it, too, or is a vector that picks rows.

    Raises:
        ValueError: only one of `x` and `y` is given.
        InvalidArgumentError: other shapes.

    Example:
        >>> import tapeflow as tf
        >>> tf.compat.v1.where([True, False], [[1, 2], [3, 4]], [[5, 6], [7, 8]]).numpy().tolist()
        [[1, 2], [7, 8]]
    """
    if x is None or y is None:
        return where(condition, x, y)
    condition = convert_to_tensor(condition, bool_)
    x, y = matching((x, y))
    if rank_of(condition) == 1 and (rank_of(x) or 0) > 1:
        condition = P.reshape(condition, shape=(-1, *[1] * (rank_of(x) - 1)))
    elif None not in (condition.dims, x.dims) and len(condition.dims) not in (0, len(x.dims)):
        raise invalid("Select", f"Inputs must have the same shape, got condition {condition.dims} and x {x.dims}")
    return P.where(condition, x, y)


@export("gather")
def gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name=None):
    """Slices of `params` along an axis, picked by integers.

    Args:
        indices: int16, int32 or int64 tensor of any shape, each in [0, size of the axis).
        axis: the axis; `batch_dims` by default.
        batch_dims: how many leading axes `params` and `indices` have in common: example i is picked from by indices[i].

    Returns:
        A tensor of shape params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis + 1:]. The gradient of a
        gather along axis 0 is an `IndexedSlices`.

    Raises:
        InvalidArgumentError: an index outside, indices that are no integers, or an axis that is not there.

    Example:
        >>> import tapeflow as tf
        >>> tf.gather(["a", "b", "c"], [2, 0]).numpy().tolist()
        [b'c', b'a']
        >>> tf.gather([[1, 2], [3, 4]], [[1], [0]], batch_dims=1).numpy().tolist()
        [[2], [3]]
    """
    if params.__class__ is not Tensor:
        params = convert_to_tensor(params)
    if indices.__class__ is not Tensor:
        indices = convert_to_tensor(indices)
    axis = batch_dims if axis is None else axis_number(axis, takes="integers")
    if batch_dims < 0:
        rank = rank_of(indices)
        if batch_dims < -rank:
            raise invalid("gather", f"Expected batch_dims in the range [{-rank}, {rank}], but got {batch_dims}")
        batch_dims += rank
    if axis < 0 and params.dims is not None and axis >= -len(params.dims):
        axis += len(params.dims)
    return P.gather(params, indices, axis=axis, batch_dims=batch_dims)


def _drops(policy):
    """Whether a `bad_indices_policy` leaves wrong indices out, rather than raising."""
    if policy not in ("", "DEFAULT", "ERROR", "IGNORE"):
        raise NotFoundError(None, None, f"bad_indices_policy must be '', 'DEFAULT', 'ERROR' or 'IGNORE', got {policy!r}")
    return policy == "IGNORE"


@export("gather_nd")
def gather_nd(params, indices, batch_dims=0, name=None, bad_indices_policy=""):
    """Elements or slices of `params` at coordinates.

    Args:
        indices: integers of shape [..., k]: k coordinates into the first axes of `params` (behind the batch).
        batch_dims: how many leading axes `params` and `indices` have in common.
        bad_indices_policy: "IGNORE" gives zeros for coordinates outside, which otherwise raise.

    Returns:
        A tensor of shape indices.shape[:-1] + params.shape[batch_dims + k:].

    Raises:
        InvalidArgumentError: coordinates outside, or more of them than `params` has axes.

    Example:
        >>> import tapeflow as tf
        >>> tf.gather_nd([[1, 2], [3, 4]], [[0, 1], [1, 0]])
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([2, 3], dtype=int32)>
    """
    drop = _drops(bad_indices_policy)
    return P.gather_nd(convert_to_tensor(params), convert_to_tensor(indices), batch_dims=batch_dims, drop=drop)


@export("scatter_nd")
def scatter_nd(indices, updates, shape, bad_indices_policy="", name=None):
    """Zeros of the given shape to which each update is added at its coordinates.

    Args:
        indices: integers of shape [..., k].
        updates: a tensor of shape indices.shape[:-1] + shape[k:].

    Raises:
        InvalidArgumentError: coordinates outside, or updates of another shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.scatter_nd([[1], [3], [1]], [10, 20, 30], [5])
        <tf.Tensor: shape=(5,), dtype=int32, numpy=array([ 0, 40,  0, 20,  0], dtype=int32)>
    """
    if isinstance(shape, str) or (isinstance(shape, (list, tuple)) and any(isinstance(n, float) for n in shape)):
        raise TypeError(f"Cannot convert {shape!r} to EagerTensor of dtype int32")
    drop = _drops(bad_indices_policy)
    return P.scatter_nd(convert_to_tensor(indices), convert_to_tensor(updates), shape=static_dims(shape), drop=drop)


def _tensor_scatter(how, tensor, indices, updates, policy=""):
    tensor, updates = matching((tensor, updates))
    return P.tensor_scatter(tensor, convert_to_tensor(indices), updates, how=how, drop=_drops(policy))


@export("tensor_scatter_nd_add")
def tensor_scatter_nd_add(tensor, indices, updates, bad_indices_policy="", name=None):
    """`tensor` with each update added at its coordinates; see `scatter_nd` for the shapes.

    Example:
        >>> import tapeflow as tf
        >>> tf.tensor_scatter_nd_add([1, 1, 1], [[0], [0]], [5, 6])
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([12,  1,  1], dtype=int32)>
    """
    return _tensor_scatter("add", tensor, indices, updates, bad_indices_policy)


@export("tensor_scatter_nd_sub")
def tensor_scatter_nd_sub(tensor, indices, updates, bad_indices_policy="", name=None):
    """`tensor` with each update subtracted at its coordinates; see `scatter_nd` for the shapes.

    Example:
        >>> import tapeflow as tf
        >>> tf.tensor_scatter_nd_sub([1, 1, 1], [[0], [0]], [5, 6])
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([-10,   1,   1], dtype=int32)>
    """
    return _tensor_scatter("sub", tensor, indices, updates, bad_indices_policy)


@export("tensor_scatter_nd_update")
def tensor_scatter_nd_update(tensor, indices, updates, name=None):
    """`tensor` with each update in the place of what was at its coordinates; see `scatter_nd` for the shapes.

    Example:
        >>> import tapeflow as tf
        >>> tf.tensor_scatter_nd_update([1, 1, 1], [[0], [2]], [5, 6])
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([5, 1, 6], dtype=int32)>
    """
    return _tensor_scatter("update", tensor, indices, updates)


@export("tensor_scatter_nd_max")
def tensor_scatter_nd_max(tensor, indices, updates, bad_indices_policy="", name=None):
    """`tensor` with each update where it is the larger; see `scatter_nd` for the shapes.

    Example:
        >>> import tapeflow as tf
        >>> tf.tensor_scatter_nd_max([1, 1, 1], [[0], [2]], [5, -6])
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([5, 1, 1], dtype=int32)>
    """
    return _tensor_scatter("max", tensor, indices, updates, bad_indices_policy)


@export("tensor_scatter_nd_min")
def tensor_scatter_nd_min(tensor, indices, updates, bad_indices_policy="", name=None):
    """`tensor` with each update where it is the smaller; see `scatter_nd` for the shapes.

    Example:
        >>> import tapeflow as tf
        >>> tf.tensor_scatter_nd_min([1, 1, 1], [[0], [2]], [5, -6])
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([ 1,  1, -6], dtype=int32)>
    """
    return _tensor_scatter("min", tensor, indices, updates, bad_indices_policy)


@export("dynamic_partition")
def dynamic_partition(data, partitions, num_partitions, name=None):
    """`data` dealt out to `num_partitions` tensors.

    Args:
        data: a tensor whose shape starts with that of `partitions`.
        partitions: integers in [0, num_partitions): where each row of `data` goes.

    Raises:
        InvalidArgumentError: a partition outside, or shapes that do not fit.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().tolist() for x in tf.dynamic_partition([10, 20, 30], [1, 0, 1], 2)]
        [[20], [10, 30]]
    """
    data, partitions = convert_to_tensor(data), of_dtype("dynamic_partition", 1, partitions, int32)
    count = operator.index(num_partitions)
    if count < 1:
        raise invalid("dynamic_partition", f"Value for attr 'num_partitions' of {count} must be at least minimum 1")
    return list(P.dynamic_partition(data, partitions, num=count))


@export("dynamic_stitch")
def dynamic_stitch(indices, data, name=None):
    """One tensor of the rows of many: row indices[m][i] of the result is data[m][i]; the last one wins.

    Args:
        indices: a list of integer tensors.
        data: a list of tensors; the shape of data[m] starts with that of indices[m] and ends alike in all.

    Raises:
        InvalidArgumentError: shapes that do not fit, or a negative index.

    Example:
        >>> import tapeflow as tf
        >>> tf.dynamic_stitch([[0, 2], [1]], [["a", "c"], ["b"]]).numpy().tolist()
        [b'a', b'b', b'c']
    """
    for what, value in (("indices", indices), ("data", data)):
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"Expected list for '{what}' argument to 'dynamic_stitch' Op, not {value!r}.")
    if not indices:
        raise invalid("dynamic_stitch", "Value for attr 'N' of 0 must be at least minimum 1: there is nothing to stitch")
    places, parts = [of_dtype("dynamic_stitch", 0, x, int32) for x in indices], matching(list(data))
    inner = None
    for m, (at, x) in enumerate(zip(places, parts, strict=True)):
        rank_of(at), rank_of(x)  # they must be known
        if x.dims[: len(at.dims)] != at.dims and None not in (*x.dims, *at.dims):
            raise invalid(
                "dynamic_stitch",
                f"data[{m}].shape = {list(x.dims)} does not start with indices[{m}].shape = {list(at.dims)}",
            )
        rest = x.dims[len(at.dims) :]
        inner = rest if inner is None else inner
        if rest != inner and None not in (*rest, *inner):
            raise invalid(
                "dynamic_stitch",
                f"Need data[0].shape[{len(places[0].dims)}:] = data[{m}].shape[{len(at.dims)}:], got data[0].shape = "
                f"{list(parts[0].dims)}, data[{m}].shape = {list(x.dims)}",
            )
    flat = [P.reshape(at, shape=(-1,)) for at in places]
    rows = [P.reshape(x, shape=(_count(at), *dims_of(x)[len(at.dims) :])) for at, x in zip(places, parts, strict=True)]
    joined = [x[0] if len(x) == 1 else P.concat(*x, axis=0) for x in (flat, rows)]
    stitched = P.stitch(*joined)
    known = static_value(joined[0])
    if stitched.__class__ is Tensor or known is None:
        return stitched
    return P.ensure_shape(stitched, shape=(int(known.max(initial=-1)) + 1, *stitched.dims[1:]))


def _count(at):
    return int(np.prod(at.dims)) if None not in at.dims else P.prod(P.shape(at), axis=None)
