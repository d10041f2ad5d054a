"""Ragged tensors from dense and sparse ones and back, and dimensions of theirs made one."""

import numpy as np

from tapeflow.api.ragged_partition import RowPartition, converted, splits_of
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.sparse_tensor import SparseTensor, column, size_vector, zero_of
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.base.shape import TensorShape, normalize_axis
from tapeflow.core.convert import convert_to_tensor, static_dims, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.ops.movement import dims_of, listed

# To dense


def to_tensor(rt, default_value, shape):
    """See `RaggedTensor.to_tensor`."""
    sizes = _dense_sizes(rt, shape)
    rank = rt.ragged_rank + 1
    flat = rt.flat_values
    inner = tuple(dims_of(flat)[1:])
    for axis, (n, m) in enumerate(zip(inner, sizes[rank:], strict=True), rank):
        if n.__class__ is int and m.__class__ is int and n != m:
            raise invalid(
                "RaggedTensorToTensor",
                f"rt_input.shape and shape={listed(sizes)} are incompatible: rt_input.shape[{axis}] = {n} but shape[{axis}] = {m}",
            )
    slots = P.ragged_slots(*rt.nested_row_splits, shape=sizes[:rank])
    places = P.boolean_mask(slots, fits := P.greater_equal(slots, P.zeros_like(slots)), axis=0)
    kept = P.boolean_mask(flat, fits, axis=0)
    total = 1
    for n in sizes[:rank]:
        total = total * n
    if default_value is None:
        default = zero_of(flat._dtype)
    else:
        default = convert_to_tensor(default_value, flat._dtype)
    dense = P.broadcast_to(default, shape=(total, *inner))
    dense = P.tensor_scatter(dense, P.expand_dims(places, axis=(1,)), kept, how="update")
    return P.reshape(dense, shape=(*sizes[:rank], *inner))


def _dense_sizes(rt, shape):
    """The dense shape: what is wanted, and what holds all rows where nothing is."""
    rank = len(rt.dims)
    wanted = [None] * rank
    if shape is not None:
        if isinstance(shape, Tensor):
            wanted = [None if n.__class__ is int and n < 0 else n for n in static_dims(shape)]
        else:
            shape = TensorShape(shape)
            wanted = [None] * rank if shape.rank is None else [None if n is None or n < 0 else n for n in shape.as_list()]
        if len(wanted) != rank:
            raise invalid(
                "RaggedTensorToTensor",
                f"rt_input.shape and shape={listed(wanted)} are incompatible: rt_input.rank = {rank} but shape.rank = {len(wanted)}",
            )
    if None not in wanted:
        return tuple(wanted)
    bounds = static_dims(rt.bounding_shape())
    return tuple([m if n is None else n for n, m in zip(wanted, bounds, strict=True)])


def to_sparse(rt):
    """See `RaggedTensor.to_sparse`."""
    sizes = static_dims(rt.bounding_shape(out_type=int64))
    rank = rt.ragged_rank + 1
    slots = P.ragged_slots(*rt.nested_row_splits, shape=sizes[:rank])
    if len(sizes) > rank:
        inner = 1
        for n in sizes[rank:]:
            inner = inner * n
        within = P.range(
            *[convert_to_tensor(n, int64) if n.__class__ is int else P.cast(n, dtype=int64) for n in (0, inner, 1)]
        )
        (width,) = size_vector((inner,))
        slots = P.reshape(P.expand_dims(slots, axis=(1,)) * width + within, shape=(-1,))
    values = P.reshape(rt.flat_values, shape=(-1,))
    return SparseTensor(P.sparse_coordinates(slots, shape=sizes), values, size_vector(sizes))


# From dense and sparse


def from_tensor(tensor, lengths, padding, ragged_rank, dtype):
    """See `RaggedTensor.from_tensor`."""
    if lengths is not None and padding is not None:
        raise ValueError("Specify argument `lengths` or `padding`, but not both.")
    if not isinstance(ragged_rank, int):
        raise TypeError(f"Argument `ragged_rank` must be an int. Received {ragged_rank}.")
    if ragged_rank <= 0:
        raise ValueError(f"Argument `ragged_rank` must be greater than 0. Received {ragged_rank}.")
    x = convert_to_tensor(tensor)
    dims = dims_of(x)
    if len(dims) < 2:
        raise ValueError(
            "The rank of a RaggedTensor must be greater than 1, i.e., a list of scalars won't have ragged dimensions. Received "
            f"argument `tensor` with rank {len(dims)}."
        )
    if len(dims) <= ragged_rank:
        raise ValueError(f"Shape {x.shape} must have rank at least {ragged_rank + 1}")
    if isinstance(lengths, (list, tuple)) and lengths and not isinstance(lengths[0], (int, float, np.integer)):
        return _from_nested_lengths(x, lengths, dtype)
    if ragged_rank > 1:  # the outer dimensions are uniform: only the last one loses its padding
        count = 1
        for n in dims[:ragged_rank]:
            count = count * n
        inner = P.reshape(x, shape=(count, *dims[ragged_rank:]))
        result = from_tensor(inner, lengths, padding, 1, dtype)
        for axis in range(ragged_rank - 1, 0, -1):
            result = RaggedTensor.from_uniform_row_length(
                result, _length(dims[axis], dtype), _outer(dims, axis, dtype), validate=False
            )
        return result
    merged = (
        -1 if dims[0].__class__ is int and dims[1].__class__ is int and dims[0] and dims[1] else dims[0] * dims[1],
        *dims[2:],
    )
    if lengths is None and padding is None:
        return RaggedTensor.from_uniform_row_length(
            P.reshape(x, shape=merged), _length(dims[1], dtype), _length(dims[0], dtype)
        )
    if padding is not None:
        lengths = _unpadded_lengths(x, padding, dtype)
    else:
        lengths = converted(lengths, "lengths", dtype)
        lengths = P.minimum(P.maximum(lengths, P.zeros_like(lengths)), _as(_length(dims[1], dtype), lengths._dtype))
    columns = P.range(*[_as(n, lengths._dtype) for n in (0, _length(dims[1], dtype), 1)])
    mask = P.less(columns, P.expand_dims(lengths, axis=(1,)))
    partition = RowPartition(splits_of(P.cast(lengths, dtype=dtype)))
    return RaggedTensor(P.boolean_mask(x, mask, axis=0), partition, internal=True)


def _length(n, dtype):
    return wrap(dtype.type(n)) if n.__class__ is int else P.cast(n, dtype=dtype)


def _outer(dims, axis, dtype):
    count = 1
    for n in dims[:axis]:
        count = count * n
    return _length(count, dtype)


def _as(n, dtype):
    return wrap(dtype.type(n)) if n.__class__ is int else n if n._dtype is dtype else P.cast(n, dtype=dtype)


def _from_nested_lengths(x, lengths, dtype):
    """Lengths for several dimensions: the values that they leave, outermost first, in rows of these lengths."""
    rows = None
    first, *rest = lengths
    rows = from_tensor(x, converted(first, "lengths", dtype), None, 1, dtype)
    for part in rest:
        rows = rows_of(rows, part, dtype)
    return rows


def rows_of(rows, lengths, dtype):
    """A ragged tensor whose innermost values lost what is beyond `lengths`."""
    return rows.with_flat_values(from_tensor(rows.flat_values, converted(lengths, "lengths", dtype), None, 1, dtype))


def _unpadded_lengths(x, padding, dtype):
    """How long each row is without the padding at its end."""
    padding = convert_to_tensor(padding, x._dtype)
    if padding.dims is not None and x.dims is not None and len(padding.dims) != len(x.dims) - 2:
        raise ValueError(f"padding.shape {padding.shape} must be the shape of the values in a row, {x.shape[2:]}")
    differs = P.not_equal(x, padding)
    if len(x.dims) > 2:
        differs = P.any(differs, axis=tuple(range(2, len(x.dims))), keepdims=False)
    ones = P.cast(differs, dtype=dtype)
    zero, one = wrap(dtype.type(0)), wrap(dtype.type(1))
    numbers = P.range(one, P.cast(P.strided_slice(P.shape(x), key=(1,)), dtype=dtype) + 1, one)
    return P.maximum(P.max(ones * numbers, axis=(1,), keepdims=False), zero)


def from_sparse(st_input, dtype):
    """See `RaggedTensor.from_sparse`."""
    if not isinstance(st_input, SparseTensor):
        raise TypeError(f"Argument `st_input` must be of type SparseTensor, but is of type {type(st_input).__name__}.")
    if len(st_input.sizes) != 2:
        raise ValueError("rank(st_input) must be 2.")
    rows, columns = [P.cast(column(st_input.indices, axis), dtype=dtype) for axis in (0, 1)]
    partition = RowPartition.from_value_rowids(
        rows, P.cast(size_vector(st_input.sizes[:1])[0], dtype=dtype), rows.dims[0], validate=False
    )
    right = P.all(P.equal(columns, P.cast(_within_rows(rows), dtype=dtype)), axis=None)
    known = static_value(right)
    if known is None:
        P.assert_that(
            right, columns, texts=("SparseTensor is not right-ragged", "SparseTensor.indices =", None), summarize=6
        )
    elif not known:
        found = st_input.indices.numpy().tolist()
        raise InvalidArgumentError(
            None, None, f"SparseTensor is not right-ragged: a row has a gap in SparseTensor.indices = {found}"
        )
    return RaggedTensor(st_input.values, partition, internal=True)


def _within_rows(rows):
    """0, 1, ... within each run of one row."""
    zero, one = wrap(rows._dtype.type(0)), wrap(rows._dtype.type(1))
    numbers = P.range(zero, P.strided_slice(P.shape(rows, dtype=rows._dtype), key=(0,)), one)
    return numbers - P.searchsorted(rows, rows, side="left", dtype=rows._dtype)


def as_ragged(x, depth):
    """`x` with `depth` ragged dimensions."""
    if not isinstance(x, RaggedTensor):
        return from_tensor(x, None, None, depth, int64)
    if x.ragged_rank < depth:
        return x.with_values(as_ragged(x.values, depth - 1))
    return x


# Merging


def merge_dims(value, outer_axis, inner_axis):
    """See `RaggedTensor.merge_dims`; also of a tensor."""
    rank = len(value.dims)
    outer, inner = normalize_axis(outer_axis, rank), normalize_axis(inner_axis, rank)
    if outer > inner:
        raise ValueError(f"Expected outer_axis ({outer_axis}) to be less than or equal to inner_axis ({inner_axis}).")
    if outer == inner:
        return value
    if not isinstance(value, RaggedTensor):
        dims = dims_of(value)
        count = 1
        for n in dims[outer : inner + 1]:
            count = count * n
        return P.reshape(value, shape=(*dims[:outer], count, *dims[inner + 1 :]))
    if outer > 1:
        return value.with_values(merge_dims(value.values, outer - 1, inner - 1))
    if outer == 0:
        return merge_dims(value.values, 0, inner - 1) if inner > 1 else value.values
    below = value.values
    if not isinstance(below, RaggedTensor):  # the last merged dimension is uniform: the splits count its elements
        dims = dims_of(below)
        width = 1
        for n in dims[1:inner]:
            width = width * n
        splits = value.row_splits * _as(_length(width, value.row_splits.dtype), value.row_splits.dtype)
        count = dims[0] * width
        return RaggedTensor(P.reshape(below, shape=(count, *dims[inner:])), RowPartition(splits), internal=True)
    merged = RaggedTensor(
        below.values, RowPartition(P.gather(below.row_splits, value.row_splits, axis=0, batch_dims=0)), internal=True
    )
    return merge_dims(merged, 1, inner - 1) if inner > 2 else merged
