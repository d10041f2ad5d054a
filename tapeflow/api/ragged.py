"""`tf.ragged`: ragged tensors of Python lists and ranges, stacked, mapped, masked and grouped."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.ragged_convert import as_ragged
from tapeflow.api.ragged_index import gather_rows
from tapeflow.api.ragged_partition import RowPartition, converted, require_same, splits_of
from tapeflow.api.ragged_reduce import axis_of
from tapeflow.api.ragged_rules import expanded, joined
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.base.dtypes import as_dtype, bool_, float32, int32, int64
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap


@export("ragged.constant")
def constant(pylist, dtype=None, ragged_rank=None, inner_shape=None, name=None, row_splits_dtype=int64):
    """A ragged tensor of nested lists; a tensor where nothing can be ragged.

    Args:
        pylist: nested lists, tuples or arrays; all values are equally deep.
        dtype: the dtype of the values; as in `tf.constant` by default.
        ragged_rank: how many dimensions are ragged; all behind the first by default.
        inner_shape: the shape of the innermost values, which are dense.
        row_splits_dtype: int32 or int64.

    Raises:
        ValueError: values of different depths, or a ragged rank that is too great.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.constant([[1, 2], [], [3]])
        <tf.RaggedTensor [[1, 2], [], [3]]>
    """
    pylist = _listed(pylist)
    scalar_depth, depth = _depths(pylist)
    if scalar_depth is not None and depth > scalar_depth:
        raise ValueError(f"Invalid pylist={pylist}: empty list nesting is greater than scalar value nesting")
    inner = (
        None if inner_shape is None else (static_dims(inner_shape) if not isinstance(inner_shape, int) else (inner_shape,))
    )
    if ragged_rank is None:
        least = 1 if scalar_depth is None and depth > 1 else 0
        ragged_rank = max(least, depth - 1 - len(inner or ()))
    elif not ragged_rank >= 0:
        raise ValueError(f"Invalid ragged_rank={ragged_rank}: must be nonnegative")
    elif scalar_depth is not None and ragged_rank >= scalar_depth:
        raise ValueError(
            f"Invalid pylist={pylist}: pylist has scalar values depth {scalar_depth}, but ragged_rank={ragged_rank} requires "
            f"scalar value depth greater than {ragged_rank}"
        )
    level, nested = pylist, []
    for _ in range(ragged_rank):
        nested.append([len(row) for row in level])
        level = [item for row in level for item in row]
    result = _flat_values(level, dtype, inner)
    index = as_dtype(row_splits_dtype)
    for lengths in reversed(nested):
        splits = np.concatenate([[0], np.cumsum(lengths)]).astype(index.numpy_dtype)
        result = RaggedTensor(result, RowPartition(wrap(splits)), internal=True)
    return result


def _listed(value):
    """Nested lists of nested lists, tuples and arrays."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_listed(item) for item in value] if isinstance(value, (list, tuple)) else value


def _depths(value):
    """(how deep the values are, None where there is none; how deep the lists are)."""
    if not isinstance(value, list):
        return 0, 0
    scalar_depth, depth = None, 1
    for item in value:
        found, below = _depths(item)
        depth = max(depth, below + 1)
        if found is not None:
            if scalar_depth is not None and scalar_depth != found + 1:
                raise ValueError("all scalar values must have the same nesting depth")
            scalar_depth = found + 1
    return scalar_depth, depth


def _flat_values(level, dtype, inner):
    if not isinstance(level, list):
        return convert_to_tensor(level, dtype)
    if not level:
        return (
            P.fill(shape=(0, *(inner or ())), value=0, dtype=as_dtype(dtype or float32))
            if _number(dtype)
            else convert_to_tensor(level, dtype)
        )
    values = convert_to_tensor(level, dtype)
    if inner is not None and not TensorShape([None, *inner]).is_compatible_with(values.shape):
        raise ValueError(f"Values of shape {values.shape[1:]} are not of the inner_shape {tuple(inner)}")
    return values


def _number(dtype):
    return dtype is None or as_dtype(dtype).name != "string"


@export("ragged.range")
def range_(starts, limits=None, deltas=1, dtype=None, name=None, row_splits_dtype=int64):
    """A row of numbers for each of some starts, limits and steps; `range(limits)` starts from 0.

    Args:
        starts, limits, deltas: vectors, or scalars that stand for all rows.
        dtype: the dtype of the numbers.
        row_splits_dtype: int32 or int64.

    Raises:
        InvalidArgumentError: a step of 0, or vectors of different lengths.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.range([0, 5], [3, 7])
        <tf.RaggedTensor [[0, 1, 2], [5, 6]]>
    """
    if limits is None:
        starts, limits = 0, starts
    dtype = None if dtype is None else as_dtype(dtype)
    parts = [convert_to_tensor(x, None if isinstance(x, Tensor) else dtype) for x in (starts, limits, deltas)]
    order = [int32, int64, float32]
    widest = dtype or max([x._dtype for x in parts], key=lambda d: order.index(d) if d in order else len(order))
    parts = [x if x._dtype is widest else P.cast(x, dtype=widest) for x in parts]
    if all(x.dims == () for x in parts):
        parts = [P.expand_dims(x, axis=(0,)) for x in parts]
    vector = next(x for x in parts if x.dims != ())
    parts = [x if x.dims != () else x + P.zeros_like(vector) for x in parts]
    splits, values = P.ragged_range(*parts)
    index = as_dtype(row_splits_dtype)
    return RaggedTensor(values, RowPartition(splits if index is int64 else P.cast(splits, dtype=index)), internal=True)


range_.__name__ = range_.__qualname__ = "range"


@export("ragged.stack")
def stack(values, axis=0, name=None):
    """Tensors, ragged or not and of any lengths, put side by side along a new axis.

    Raises:
        ValueError: ranks differ, or there is no such axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.stack([[1, 2], [3]])
        <tf.RaggedTensor [[1, 2], [3]]>
    """
    xs = [
        x if isinstance(x, RaggedTensor) else convert_to_tensor(x)
        for x in (values if isinstance(values, (list, tuple)) else [values])
    ]
    if not xs:
        raise ValueError("rt_inputs may not be empty.")
    rank = len(xs[0].dims)
    for x in xs:
        if len(x.dims) != rank:
            raise ValueError(f"Shape {x.shape} must have rank {rank}: tensors of one rank are stacked")
    axis = axis_of(axis, rank + 1)
    if not any(isinstance(x, RaggedTensor) for x in xs):
        if rank == 1 and axis == 0:
            lengths = P.stack(*[P.strided_slice(P.shape(x), key=(0,)) for x in xs], axis=0)
            return RaggedTensor(P.concat(*xs, axis=0), RowPartition(splits_of(lengths)), internal=True)
        if rank == 0 or axis:
            return P.stack(*xs, axis=axis)
        xs = [as_ragged(x, 1) for x in xs]
    return joined([expanded(x, axis) for x in xs], axis)


@export("ragged.map_flat_values")
def map_flat_values(op, *args, **kwargs):
    """`op` of the innermost values of ragged tensors that have the same rows, put back into those.

    Args:
        op: called with the values in place of the ragged tensors among the arguments, also within lists; gives a value
            (of any shape) for each of them.

    Raises:
        ValueError: not one value for each.
        InvalidArgumentError: the rows differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.map_flat_values(tf.add, tf.ragged.constant([[1, 2], [3]]), 10)
        <tf.RaggedTensor [[11, 12], [13]]>
    """
    found = []

    def flat(x):
        if isinstance(x, RaggedTensor):
            found.append(x)
            return x.flat_values
        return type(x)(map(flat, x)) if x.__class__ in (list, tuple) else x

    inner_args, inner_kwargs = [flat(x) for x in args], {key: flat(x) for key, x in kwargs.items()}
    if not found:
        return op(*args, **kwargs)
    first = found[0]
    for other in found[1:]:
        if other.ragged_rank != first.ragged_rank:
            raise ValueError("All ragged inputs must have the same ragged_rank.")
        for a, b in zip(first.partitions, other.partitions, strict=True):
            require_same(a, b)
    result = op(*inner_args, **inner_kwargs)
    if not isinstance(result, RaggedTensor):
        result = convert_to_tensor(result)
    expected = first.flat_values.dims[0]
    if result.dims is not None and (
        not result.dims or (None not in (expected, result.dims[0]) and expected != result.dims[0])
    ):
        raise ValueError(
            "tf.ragged.map_flat_values requires that the output of `op` have the same outer-dimension size as flat_values of any "
            f"ragged inputs. (output shape: {result.shape}; expected outer dimension size: {expected})"
        )
    return first.with_flat_values(result)


@export("ragged.boolean_mask")
def boolean_mask(data, mask, name=None):
    """What `mask` holds true for; the rows of the mask stay rows.

    Args:
        data: a tensor or ragged tensor whose first dimensions are those of the mask.
        mask: bools, a tensor or ragged tensor of rank 1 or more.

    Raises:
        ValueError: a mask without dimensions.
        InvalidArgumentError: rows that differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.boolean_mask([[1, 2], [3, 4]], [[True, False], [True, True]])
        <tf.RaggedTensor [[1], [3, 4]]>
    """
    data = data if isinstance(data, RaggedTensor) else convert_to_tensor(data)
    mask = mask if isinstance(mask, RaggedTensor) else convert_to_tensor(mask, None if isinstance(mask, Tensor) else bool_)
    if mask._dtype is not bool_:
        raise TypeError(f"The mask must be of bools, got dtype {mask._dtype.name}")
    if mask.dims == ():
        raise ValueError("mask cannot be scalar.")
    return _masked(data, mask)


def _masked(data, mask):
    if len(mask.dims) == 1:
        if isinstance(data, RaggedTensor):
            return gather_rows(data, P.squeeze(P.nonzero(mask), axis=(1,)))
        return P.boolean_mask(data, mask, axis=0)
    mask, data = as_ragged(mask, 1), as_ragged(data, 1)
    require_same(data._partition, mask._partition)
    values = _masked(data.values, mask.values)
    if len(mask.dims) > 2:
        return data.with_values(values)
    kept = P.cast(mask.values, dtype=mask.row_splits._dtype)
    lengths = P.unsorted_segment_sum(kept, mask.value_rowids(), num=mask._partition.nrows_attr())
    partition = RowPartition(splits_of(lengths))
    if isinstance(values, RaggedTensor):
        partition = partition.with_dtype(values.row_splits._dtype)
    return RaggedTensor(values, partition, internal=True)


@export("ragged.row_splits_to_segment_ids")
def row_splits_to_segment_ids(splits, name=None, out_type=None):
    """The row of each value, of row splits.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.row_splits_to_segment_ids([0, 3, 3, 5]).numpy().tolist()
        [0, 0, 0, 2, 2]
    """
    splits = converted(splits, "splits")
    if splits.dims == (0,):
        raise ValueError("Invalid row_splits: []")
    ids = RowPartition(splits).rowids()
    return ids if out_type is None else P.cast(ids, dtype=as_dtype(out_type))


@export("ragged.segment_ids_to_row_splits")
def segment_ids_to_row_splits(segment_ids, num_segments=None, out_type=None, name=None):
    """Row splits, of the row of each value.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.segment_ids_to_row_splits([0, 0, 0, 2, 2]).numpy().tolist()
        [0, 3, 3, 5]
    """
    ids = converted(segment_ids, "segment_ids")
    count = ids.dims[0] if ids.dims[0] is not None else P.strided_slice(P.shape(ids), key=(0,))
    splits = RowPartition.from_value_rowids(ids, num_segments, count).splits
    return splits if out_type is None else P.cast(splits, dtype=as_dtype(out_type))


@export("ragged.stack_dynamic_partitions")
def stack_dynamic_partitions(data, partitions, num_partitions, name=None):
    """Data as a ragged tensor with a row for each partition.

    Args:
        data: a tensor or ragged tensor whose first dimensions are those of `partitions`.
        partitions: integers in [0, num_partitions).
        num_partitions: a scalar integer.

    Raises:
        InvalidArgumentError: a partition out of range.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.stack_dynamic_partitions(["a", "b", "c"], [2, 0, 2], 3)
        <tf.RaggedTensor [[b'b'], [], [b'a', b'c']]>
    """
    data = data if isinstance(data, RaggedTensor) else convert_to_tensor(data)
    ids = partitions if isinstance(partitions, RaggedTensor) else convert_to_tensor(partitions)
    if isinstance(ids, RaggedTensor):
        if not isinstance(data, RaggedTensor):
            raise ValueError("partitions is ragged, so data must be.")
        require_same(data._partition, ids._partition)
        return stack_dynamic_partitions(data.values, ids.values, num_partitions)
    if len(ids.dims) > 1:
        data = (
            data.merge_dims(0, len(ids.dims) - 1)
            if isinstance(data, RaggedTensor)
            else P.reshape(data, shape=(-1, *data.dims[len(ids.dims) :]))
        )
        ids = P.reshape(ids, shape=(-1,))
    (num,) = static_dims(num_partitions)
    ids = P.in_range(ids, low=0, high=num, message="partitions") if num.__class__ is int else ids
    order = P.argsort(ids, axis=-1, descending=False)
    lengths = P.unsorted_segment_sum(P.ones_like(ids), ids, num=num)
    rows = gather_rows(data, order)
    partition = RowPartition(splits_of(lengths))
    if isinstance(rows, RaggedTensor):
        partition = partition.with_dtype(rows.row_splits._dtype)
    return RaggedTensor(rows, partition, internal=True)
