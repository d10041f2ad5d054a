"""Reductions of ragged tensors: over rows, over columns, and of segments whose rows are ragged themselves."""

import numpy as np

from tapeflow.api.ragged_partition import RowPartition, splits_of
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.tensor import true_division
from tapeflow.base.dtypes import bool_, int32
from tapeflow.core.convert import static_dims
from tapeflow.core.primitive import P, bind
from tapeflow.core.tensor import wrap

# For each reduction the segment reduction that does the same to rows of one id.
SEGMENTS = {
    "sum": P.unsorted_segment_sum,
    "prod": P.unsorted_segment_prod,
    "max": P.unsorted_segment_max,
    "min": P.unsorted_segment_min,
}


def axis_of(axis, rank, name="axis"):
    """An axis counted from the start.

    Raises:
        ValueError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise ValueError(f"{name}={axis} out of bounds: expected {-rank}<={name}<{rank}")
    return axis % rank


def reduce(op, inputs, attrs):
    """A reduction over one axis, several axes, or all of them."""
    (x,) = inputs
    axes, keepdims, rank = attrs.get("axis"), attrs.get("keepdims", False), len(x.dims)
    if axes is None:
        result = bind(op, (x.flat_values,), {"axis": None, "keepdims": False})
        return P.reshape(result, shape=(1,) * rank) if keepdims else result
    found = sorted(
        {axis_of(i, rank, "axis" if len(axes) == 1 else f"axis[{at}]") for at, i in enumerate(axes)}, reverse=True
    )
    for axis in found:
        x = _over(op, x, axis, keepdims)
    return x


def _over(op, x, axis, keepdims):
    """A reduction over one normalized axis."""
    if not isinstance(x, RaggedTensor):
        return bind(op, (x,), {"axis": (axis,), "keepdims": keepdims})
    if axis > 1:
        return x.with_values(_over(op, x.values, axis - 1, keepdims))
    partition = x._partition
    if axis == 0:
        lengths = partition.lengths()
        ids, num = partition.offsets(), _longest(lengths)
    else:
        ids, num = partition.rowids(), partition.nrows_attr()
    result = segments(SEGMENTS[op.name], x.values, ids, num)
    if not keepdims:
        return result
    from tapeflow.api.ragged_rules import expanded  # which is made of reductions too

    return expanded(result, axis)


def _longest(lengths):
    """The greatest length, 0 where there is none, for an attr."""
    longest = P.max(P.concat(wrap(np.zeros(1, lengths._dtype.numpy_dtype)), lengths, axis=0), axis=None)
    return _attr(longest)


def _attr(x):
    return static_dims(x)[0]


def segments(op, data, ids, num):
    """A segment reduction of rows, which may be ragged: the first values of all rows of a segment are reduced, the second, ..."""
    if not isinstance(data, RaggedTensor):
        return op(data, ids, num=num)
    lengths = data.row_lengths()
    rows = P.unsorted_segment_max(lengths, ids, num=num)
    rows = P.maximum(rows, P.zeros_like(rows))  # a segment without rows is an empty row
    splits = splits_of(rows)
    places = (
        P.gather(P.gather(splits, ids, axis=0, batch_dims=0), data.value_rowids(), axis=0, batch_dims=0)
        + data._partition.offsets()
    )
    values = segments(op, data.values, places, _attr(P.strided_slice(splits, key=(-1,))))
    return RaggedTensor(values, RowPartition(splits, lengths=rows), internal=True)


def segment_reduction(op, inputs, attrs):
    """`unsorted_segment_...` of ragged rows by ids."""
    data, ids = inputs
    if isinstance(ids, RaggedTensor):
        if not isinstance(data, RaggedTensor):
            raise ValueError(f"segment_ids are ragged, so data must be: {data!r}")
        return segment_reduction(op, (data.values, ids.values), attrs)
    return segments(op, data, ids, attrs["num"])


def mean(op, inputs, attrs):
    """The mean: the sum over the count; a float64 of integers, nan of nothing."""
    (x,) = inputs
    total = reduce(P.sum, inputs, attrs)
    return true_division(total, reduce(P.sum, (P.ones_like(x),), attrs))


def logsumexp(op, inputs, attrs):
    """log(sum(exp(x))) without overflow."""
    (x,) = inputs
    if attrs.get("axis") is None:
        return reduce(op, inputs, attrs)
    highest = P.stop_gradient(reduce(P.max, inputs, {**attrs, "keepdims": True}))
    shift = P.where(P.is_finite(highest), highest, P.zeros_like(highest))
    total = P.log(reduce(P.sum, (P.exp(x - shift),), attrs))
    return total + (shift if attrs.get("keepdims") else P.squeeze(shift, axis=attrs["axis"]))


def _of_bools(number_op):
    def rule(op, inputs, attrs):
        return P.cast(reduce(number_op, (P.cast(inputs[0], dtype=int32),), attrs), dtype=bool_)

    return rule


REDUCTIONS = {
    **dict.fromkeys(SEGMENTS, reduce),
    "mean": mean,
    "logsumexp": logsumexp,
    "all": _of_bools(P.prod),
    "any": _of_bools(P.sum),
}
