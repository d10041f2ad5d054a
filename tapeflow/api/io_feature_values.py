"""The tensors of features, dense, sparse and ragged, made of the arrays that parsing gave for their columns."""

import numpy as np

from tapeflow.api.array_join import concat
from tapeflow.api.io_features import RaggedFeature, SparseFeature, VarLenFeature
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.sparse_tensor import SparseTensor
from tapeflow.base.dtypes import int64
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor


def results(plan, groups, batched):
    """{key: tensor} of the features of a plan.

    Args:
        plan: a `Plan`.
        groups: for each column the arrays that it gave.
        batched: whether the examples are the first axis.
    """
    found = {}
    for key, (feature, places) in plan.parts.items():
        parts = [None if place is None else groups[place] for place in places]
        found[key] = _result(feature, parts, batched, plan.in_list)
    return found


def _result(feature, parts, batched, in_list):
    match feature:
        case VarLenFeature():
            return SparseTensor(*parts[0])
        case SparseFeature():
            return _sparse(feature, parts, batched)
        case RaggedFeature():
            return _ragged_list(feature, parts[0]) if in_list else _ragged(feature, parts, batched)
        case _:
            return parts[0][0]


def _sparse(feature, parts, batched):
    """A sparse tensor of the values of some columns as its indices along each axis."""
    *axes, (places, values, shape) = parts
    sizes = [feature.size] if np.ndim(feature.size) == 0 else list(feature.size)
    for _, positions, _ in axes:
        if positions.shape.is_fully_defined() and not positions.shape.is_compatible_with(values.shape):
            raise ValueError(f"Dimensions {positions.shape[0]} and {values.shape[0]} are not compatible")
    columns = [P.expand_dims(positions, axis=(1,)) for _, positions, _ in axes]
    dense_shape = convert_to_tensor(sizes, int64)
    if batched:
        columns.insert(0, places[:, :1])
        dense_shape = P.concat(shape[:1], dense_shape, axis=0)
    indices = P.concat(*columns, axis=1) if len(columns) > 1 else columns[0]
    result = SparseTensor(indices, values, dense_shape)
    if feature.already_sorted:
        return result
    from tapeflow.api.sparse import reorder

    return reorder(result)


def _splits(x, dtype):
    return x if x._dtype is dtype else P.cast(x, dtype=dtype)


def _ragged(feature, parts, batched):
    """Ragged values, cut by the partitions of each example."""
    dtype = feature.row_splits_dtype
    values, partitions = parts[0], list(zip(feature.partitions, parts[1:], strict=True))
    if not batched:
        result = values[0]
        for partition, numbers in reversed(partitions):
            result = _partitioned(result, partition, None if numbers is None else _splits(numbers[0], dtype), dtype)
        return result
    flat, splits = values[0], _splits(values[1], dtype)
    if not partitions:
        return RaggedTensor.from_row_splits(flat, splits, validate=feature.validate)
    return _ragged_batch(feature, flat, splits, partitions, dtype)


MAKERS = {
    "RowSplits": RaggedTensor.from_row_splits,
    "RowLengths": RaggedTensor.from_row_lengths,
    "RowStarts": RaggedTensor.from_row_starts,
    "RowLimits": RaggedTensor.from_row_limits,
    "ValueRowIds": RaggedTensor.from_value_rowids,
}


def _partitioned(values, partition, numbers, dtype):
    """Values cut into rows by one partition of an example."""
    if numbers is None:
        if isinstance(values, RaggedTensor):
            return RaggedTensor.from_uniform_row_length(values, convert_to_tensor(partition.length, dtype), validate=False)
        return P.reshape(values, shape=(-1, partition.length, *values.dims[1:]))
    kind = type(partition).__name__
    if kind in ("RowStarts", "ValueRowIds", "RowLimits"):
        return MAKERS[kind](values, numbers, validate=False)
    # Values behind the last row are left out, as TensorFlow does.
    count = numbers[-1] if kind == "RowSplits" else P.sum(numbers, axis=None, keepdims=False)
    return MAKERS[kind](values[: P.cast(count, dtype=int64)], numbers, validate=False)


def _ragged_batch(feature, flat, splits, partitions, dtype):
    """Partitions of the values of many examples: each level's rows of all examples, and how many rows each example has.

    From the innermost level outwards, `ends` are the row splits, by example, of what the level has as its values.
    """
    result, ends = flat, splits
    for partition, numbers in reversed(partitions):
        if numbers is None:
            length = convert_to_tensor(partition.length, dtype)
            result = RaggedTensor.from_uniform_row_length(result, length, validate=False)
            ends = P.floordiv(ends, length)
            continue
        lengths = _row_lengths(type(partition).__name__, _splits(numbers[0], dtype), _splits(numbers[1], dtype), ends, dtype)
        result = RaggedTensor.from_row_lengths(result, lengths.values, validate=feature.validate)
        ends = lengths.row_splits
    return RaggedTensor.from_row_splits(result, ends, validate=feature.validate)


def _row_lengths(kind, numbers, splits, ends, dtype):
    """The lengths of the rows of each example, ragged [examples, rows], of its numbers in another form."""
    rows = RaggedTensor.from_row_splits(numbers, splits, validate=False)
    match kind:
        case "RowLengths":
            return rows
        case "RowSplits":
            return rows[:, 1:] - rows[:, :-1]
        case "RowLimits":
            starts = RaggedTensor.from_tensor(P.zeros_like(splits[1:])[:, None], row_splits_dtype=dtype)
            return rows - concat([starts, rows[:, :-1]], 1)
        case "RowStarts":
            sizes = RaggedTensor.from_tensor((ends[1:] - ends[:-1])[:, None], row_splits_dtype=dtype)
            return concat([rows[:, 1:], sizes], 1) - rows
        case _:
            return _counted(rows, dtype)


def _counted(rows, dtype):
    """How often each example has each of its row numbers, ragged [examples, rows]."""
    examples, count = P.cast(rows.value_rowids(), dtype=dtype), P.cast(rows.nrows(), dtype=int64)
    last = P.unsorted_segment_max(rows.values, examples, num=_attr(count))
    counts = P.maximum(last, -P.ones_like(last)) + 1
    starts = P.cumsum(counts, axis=0, exclusive=True, reverse=False)
    places = rows.values + P.gather(starts, examples, axis=0, batch_dims=0)
    total = P.cast(P.sum(counts, axis=None, keepdims=False), dtype=int64)
    lengths = P.unsorted_segment_sum(P.ones_like(places), places, num=_attr(total))
    return RaggedTensor.from_row_lengths(lengths, counts, validate=False)


def _attr(count):
    """A number as an attr: an int where it is known."""
    return int(count) if count.__class__ is Tensor else count


def _ragged_list(feature, parts):
    dtype = feature.row_splits_dtype
    result = parts[0]
    for splits in parts[1:]:
        result = RaggedTensor.from_row_splits(result, _splits(splits, dtype), validate=feature.validate)
    return result
