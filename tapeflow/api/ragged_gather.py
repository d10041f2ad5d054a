"""Gathering from ragged tensors, and by ragged indices; where elements are not 0."""

from tapeflow.api.ragged_convert import as_ragged, to_sparse
from tapeflow.api.ragged_index import _row as row_at
from tapeflow.api.ragged_index import gather_rows
from tapeflow.api.ragged_partition import RowPartition, require_same, scalar_of
from tapeflow.api.ragged_reduce import axis_of
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of


def gather(op, inputs, attrs):
    """Rows, or along a later axis values of each row, by index; the indices may be ragged too."""
    params, indices = inputs
    batch_dims = attrs["batch_dims"]
    axis = axis_of(attrs["axis"], len(params.dims))
    if not indices._dtype.is_integer:
        raise invalid(
            "gather",
            f"Value for attr 'Tindices' of {indices._dtype.c_name} is not in the list of allowed values: int32, int64",
        )
    if batch_dims:
        return _batch_gather(params, indices, axis, batch_dims)
    if axis == 0:
        return picked(params, indices)
    if not isinstance(params, RaggedTensor):
        return _inner_gather(params, indices, axis)
    if axis > 1:
        return params.with_values(gather(op, (params.values, indices), {"axis": axis - 1, "batch_dims": 0}))
    every_row = P.broadcast_to(P.expand_dims(indices, axis=(0,)), shape=(params._partition.nrows_attr(), *dims_of(indices)))
    return _batch_gather(params, every_row, 1, 1)


def _inner_gather(params, indices, axis):
    """Ragged indices along a later axis of a tensor: its outer dimensions are numbered through, and each gets the indices."""
    dims = dims_of(params)
    outer, width = _product(dims[:axis]), dims[axis]
    flat = P.in_range(indices.flat_values, low=0, high=width, message="indices")
    rows, copies = indices._partition.nrows_attr(), _numbers(outer, flat._dtype)
    starts = copies * scalar_of(width, flat._dtype)
    places = P.reshape(P.expand_dims(starts, axis=(1,)) + P.expand_dims(flat, axis=(0,)), shape=(-1,))
    again = P.broadcast_to(P.expand_dims(_numbers(rows, int64), axis=(0,)), shape=(outer, rows))
    repeated = gather_rows(indices, P.reshape(again, shape=(-1,))).with_flat_values(places)
    result = picked(P.reshape(params, shape=(outer * width, *dims[axis + 1 :])), repeated)
    for level in range(axis, 0, -1):
        result = _uniform_rows(result, (*dims[:axis], rows), level)
    return result


def _product(dims):
    result = 1
    for n in dims:
        result = result * n
    return result


def _numbers(count, dtype):
    """0, 1, ... below `count`."""
    zero, end, one = [scalar_of(n, dtype) for n in (0, count, 1)]
    return P.range(zero, end, one)


def picked(params, indices):
    """The rows of `params` at indices of any shape."""
    if isinstance(indices, RaggedTensor):
        return indices.with_values(picked(params, indices.values))
    if not isinstance(params, RaggedTensor):
        return P.gather(params, indices, axis=0, batch_dims=0)
    rank = len(indices.dims)
    if rank == 0:
        return row_at(params, int(indices._value) if indices.__class__ is Tensor else indices)
    result = gather_rows(params, P.reshape(indices, shape=(-1,)) if rank > 1 else indices)
    for axis in range(rank - 1, 0, -1):
        result = _uniform_rows(result, dims_of(indices), axis)
    return result


def _uniform_rows(values, dims, axis):
    """`values` in rows of the length `dims[axis]`."""
    rows = _product(dims[:axis])
    length, count = [n if n.__class__ is int else P.cast(n, dtype=int64) for n in (dims[axis], rows)]
    dtype = values._partition.dtype if isinstance(values, RaggedTensor) else None
    partition = RowPartition.from_uniform_row_length(length, rows * dims[axis], count, validate=False, dtype=dtype)
    return RaggedTensor(values, partition, internal=True)


def _batch_gather(params, indices, axis, batch_dims):
    if axis != batch_dims:
        raise ValueError(
            f"tf.gather of ragged tensors needs axis == batch_dims, got axis={axis} and batch_dims={batch_dims}"
        )
    if not isinstance(params, RaggedTensor):
        params = as_ragged(params, 1)
    if not isinstance(indices, RaggedTensor):
        indices = as_ragged(indices, 1)
    if batch_dims > 1:
        require_same(params._partition, indices._partition)
        return indices.with_values(_batch_gather(params.values, indices.values, axis - 1, batch_dims - 1))
    rows, dtype = indices.value_rowids(), params.row_splits._dtype
    flat = indices.values
    if isinstance(flat, RaggedTensor):
        raise ValueError("tf.gather with batch_dims takes indices of one ragged dimension.")
    shape = dims_of(flat)
    spread = tuple(range(1, len(shape)))
    starts, lengths = [
        P.expand_dims(P.gather(x, rows, axis=0, batch_dims=0), axis=spread)
        if spread
        else P.gather(x, rows, axis=0, batch_dims=0)
        for x in (params.row_starts(), params.row_lengths())
    ]
    places = flat if flat._dtype is dtype else P.cast(flat, dtype=dtype)
    inside = P.logical_and(P.greater_equal(places, P.zeros_like(places)), P.less(places, lengths))
    P.assert_that(
        P.all(inside, axis=None),
        places,
        texts=("tf.gather: an index is out of the bounds of its row, indices:", None),
        summarize=10,
    )
    return indices.with_values(picked(params.values, places + starts))


def gather_nd(op, inputs, attrs):
    """The elements or rows at coordinates [..., k]."""
    params, indices = inputs
    if attrs.get("batch_dims"):
        raise ValueError("batch_dims != 0 is not supported for ragged gather yet.")
    if isinstance(indices, RaggedTensor):
        return indices.with_values(gather_nd(op, (params, indices.values), attrs))
    if not isinstance(params, RaggedTensor):
        return P.gather_nd(params, indices, **attrs)
    first = P.strided_slice(indices, key=(Ellipsis, 0))
    depth = indices.dims[-1]
    if depth == 1:
        return picked(params, first)
    rest = P.strided_slice(indices, key=(Ellipsis, (1, None, None)))
    second = P.strided_slice(rest, key=(Ellipsis, 0))
    starts, lengths = [P.gather(x, first, axis=0, batch_dims=0) for x in (params.row_starts(), params.row_lengths())]
    second = P.cast(second, dtype=starts._dtype)
    inside = P.logical_and(P.greater_equal(second, P.zeros_like(second)), P.less(second, lengths))
    P.assert_that(
        P.all(inside, axis=None),
        indices,
        texts=("tf.gather_nd: an index is out of the bounds of its row, indices:", None),
        summarize=10,
    )
    places = P.expand_dims(starts + second, axis=(-1,))
    if depth > 2:
        places = P.concat(
            places, P.cast(P.strided_slice(rest, key=(Ellipsis, (1, None, None))), dtype=starts._dtype), axis=-1
        )
    return (
        gather_nd(op, (params.values, places), attrs)
        if depth > 2 or isinstance(params.values, RaggedTensor)
        else P.gather_nd(params.values, places)
    )


def nonzero(op, inputs, attrs):
    """The coordinates of the elements that are not 0."""
    x = to_sparse(inputs[0])
    found = x.values if x.values._dtype.name == "bool" else P.not_equal(x.values, P.zeros_like(x.values))
    return P.boolean_mask(x.indices, found, axis=0)
