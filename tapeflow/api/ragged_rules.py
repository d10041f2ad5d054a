"""What each primitive does to ragged tensors: one table, which `bind` asks where an input is ragged."""

from tapeflow.api.ragged_convert import as_ragged, from_tensor, to_tensor
from tapeflow.api.ragged_gather import gather, gather_nd, nonzero
from tapeflow.api.ragged_index import _row as row_at
from tapeflow.api.ragged_index import gather_rows, slice_rows, with_outer_axis, with_unit_axis
from tapeflow.api.ragged_partition import RowPartition, require_same, scalar_of, splits_of
from tapeflow.api.ragged_reduce import REDUCTIONS, axis_of, segment_reduction, segments
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.core.composite import Composite, unsupported
from tapeflow.core.convert import static_dims
from tapeflow.core.primitive import P, bind
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of


def apply(op, inputs, attrs):
    """What `op` gives for inputs some of which are ragged.

    Raises:
        ValueError: the primitive does not take ragged tensors.
    """
    rule = RULES.get(op.name)
    if rule is not None:
        return rule(op, inputs, attrs)
    if op.lower == "scalar":
        return elementwise(op, inputs, attrs)
    raise unsupported(next(x for x in inputs if isinstance(x, Composite)), op)


# Elementwise


def elementwise(op, inputs, attrs):
    """`op` of the innermost values; rows of length 1 by construction, and dense inputs, broadcast."""
    first = next(x for x in inputs if isinstance(x, RaggedTensor))
    flat_rank = len(first.flat_values.dims)
    flat = []
    for x in inputs:
        if x is first:
            flat.append(first.flat_values)
        elif isinstance(x, RaggedTensor):
            if not _same_rows(first, x):
                return broadcast(op, list(inputs), attrs)
            flat.append(x.flat_values)
        elif isinstance(x, Tensor) and x.dims is not None and _fits_inside(x, flat_rank):
            flat.append(x)
        elif isinstance(x, Tensor):
            return broadcast(op, list(inputs), attrs)
        else:
            raise unsupported(x, op)
    return first.with_flat_values(bind(op, tuple(flat), attrs))


def _same_rows(a, b):
    """Whether two ragged tensors are known to have the same rows."""
    a, b = a.partitions, b.partitions
    return len(a) == len(b) and all(x.is_same_as(y) for x, y in zip(a, b, strict=True))


def _fits_inside(x, flat_rank):
    """Whether a tensor broadcasts over the innermost values as it is: it does not reach their first axis."""
    return len(x.dims) < flat_rank or (len(x.dims) == flat_rank and x.dims[0] == 1)


def broadcast(op, inputs, attrs, axis=0):
    """`op` elementwise, the outermost dimension after the other: rows are lined up, then their values."""
    if not any(isinstance(x, RaggedTensor) for x in inputs):
        return bind(op, tuple(inputs), attrs)
    rank = max(len(x.dims) for x in inputs)
    flat_rank = rank - max(x.ragged_rank for x in inputs if isinstance(x, RaggedTensor))
    aligned = [not (isinstance(x, Tensor) and _fits_inside(x, flat_rank)) for x in inputs]
    full = [_of_rank(x, rank) if align else x for x, align in zip(inputs, aligned, strict=True)]
    full = _lined_up([x for x, align in zip(full, aligned, strict=True) if align], axis)
    partitions = [_partition(x) for x in full]
    wide = [p for p in partitions if p.static_uniform != 1] or partitions
    rows = next((p for p in wide if p.uniform is None), wide[0])
    values = [_spread(x, p, rows, axis + 1) for x, p in zip(full, partitions, strict=True)]
    values = iter(values)
    inner = [next(values) if align else x for x, align in zip(inputs, aligned, strict=True)]
    return RaggedTensor(broadcast(op, inner, attrs, axis + 1), rows, internal=True)


def _of_rank(x, rank):
    """`x` with leading axes of size 1 so that it has the rank."""
    while len(x.dims) < rank:
        x = with_outer_axis(x)
    return x


def _lined_up(xs, axis):
    """Inputs of one number of rows: single rows are repeated."""
    counts = [x.dims[0] for x in xs]
    wide = next((i for i, n in enumerate(counts) if n != 1), 0)
    for n in counts:
        if None not in (n, counts[wide]) and n not in (1, counts[wide]):
            raise invalid(
                "broadcast", f"Unable to broadcast: dimension size mismatch in dimension {axis}: {n} vs. {counts[wide]} rows"
            )
    if counts[wide] == 1:
        return xs
    n = xs[wide]._partition.nrows_attr() if isinstance(xs[wide], RaggedTensor) else dims_of(xs[wide])[0]
    zeros = P.fill(shape=(n,), value=0, dtype=int64)
    return [gather_rows(x, zeros) if count == 1 else x for x, count in zip(xs, counts, strict=True)]


def _partition(x):
    """How the second dimension of `x` divides its values into rows."""
    if isinstance(x, RaggedTensor):
        return x._partition
    n, width = dims_of(x)[:2]
    count = n * width
    return RowPartition.from_uniform_row_length(
        width if width.__class__ is int else P.cast(width, dtype=int64), count, n, validate=False
    )


def _spread(x, partition, rows, axis):
    """The values of `x`, one for each value of `rows`."""
    values = x.values if isinstance(x, RaggedTensor) else P.reshape(x, shape=(_merged(x), *dims_of(x)[2:]))
    if partition is rows:
        return values
    if partition.static_uniform == 1 and rows.static_uniform != 1:
        return gather_rows(values, rows.rowids())
    require_same(partition, rows, axis)
    return values


def _merged(x):
    n, width = dims_of(x)[:2]
    return n * width


# Putting together and taking apart


def concat(op, inputs, attrs):
    """Ragged and dense tensors put one behind the other along an axis."""
    rank = len(inputs[0].dims)
    for x in inputs:
        if len(x.dims) != rank:
            raise ValueError(
                f"Shape {x.shape} must have rank {rank}: tensors of one rank are put together, the first is {inputs[0].shape}"
            )
    return joined(list(inputs), axis_of(attrs["axis"], rank))


def joined(xs, axis):
    """`concat` along a normalized axis."""
    depth = max((x.ragged_rank for x in xs if isinstance(x, RaggedTensor)), default=0)
    if not depth:
        return P.concat(*xs, axis=axis)
    xs = [as_ragged(x, depth) for x in xs]
    if axis > 1:
        for x in xs[1:]:
            require_same(xs[0]._partition, x._partition)
        return xs[0].with_values(joined([x.values for x in xs], axis - 1))
    if axis == 1:
        counts = [x.dims[0] for x in xs]
        for i, n in enumerate(counts):
            if None not in (n, counts[0]) and n != counts[0]:
                raise InvalidArgumentError(
                    None,
                    None,
                    f"Input tensors at index 0 (=x) and {i} (=y) have incompatible shapes: {counts[0]} and {n} rows",
                )
    values = joined([x.values for x in xs], 0)
    together = RaggedTensor(values, RowPartition(splits_of(P.concat(*[x.row_lengths() for x in xs], axis=0))), internal=True)
    if axis == 0:
        return together
    # Row i of each input, one behind the other: the rows in another order, of which every len(xs) are one.
    rows, count = xs[0]._partition.nrows_attr(), len(xs)
    total = together._partition.nrows()
    numbers = P.range(P.zeros_like(total), total, P.ones_like(total))
    order = P.reshape(P.transpose(P.reshape(numbers, shape=(count, rows)), perm=(1, 0)), shape=(-1,))
    woven = gather_rows(together, order)
    return RaggedTensor(
        woven.values, RowPartition(P.strided_slice(woven.row_splits, key=((None, None, count),))), internal=True
    )


def stack(op, inputs, attrs):
    """Ragged and dense tensors put side by side along a new axis."""
    rank = len(inputs[0].dims)
    axis = axis_of(attrs["axis"], rank + 1)
    return joined([expanded(x, axis) for x in inputs], axis)


def expand_dims(op, inputs, attrs):
    """A new axis of size 1."""
    (x,) = inputs
    for axis in attrs["axis"]:
        x = expanded(x, axis_of(axis, len(x.dims) + 1))
    return x


def expanded(x, axis):
    """`x` with a new axis of size 1 at a normalized `axis`."""
    if not isinstance(x, RaggedTensor):
        return P.expand_dims(x, axis=(axis,))
    if axis == 0:
        return with_outer_axis(x)
    return with_unit_axis(x) if axis == 1 else x.with_values(expanded(x.values, axis - 1))


def squeeze(op, inputs, attrs):
    """Without some axes of size 1."""
    (x,) = inputs
    if attrs["axis"] is None:
        raise ValueError("Ragged.squeeze must have an axis argument.")
    for axis in sorted({axis_of(i, len(x.dims)) for i in attrs["axis"]}, reverse=True):
        x = _squeezed(x, axis, axis)
    return x


def _squeezed(x, axis, named):
    if not isinstance(x, RaggedTensor):
        return P.squeeze(x, axis=(axis,))
    if axis > 1:
        return x.with_values(_squeezed(x.values, axis - 1, named))
    if axis == 0:
        if x._partition.static_nrows not in (1, None):
            raise invalid(
                "squeeze", f"the given axis (axis = {named}) is not squeezable: there are {x._partition.static_nrows} rows"
            )
        return row_at(x, 0)
    lengths = x.row_lengths()
    if x._partition.static_uniform != 1:
        same = P.all(P.equal(lengths, P.ones_like(lengths)), axis=None)
        P.assert_that(
            same, lengths, texts=(f"the given axis (axis = {named}) is not squeezable! lengths:", None), summarize=6
        )
    return x.values


def reverse(op, inputs, attrs):
    """The order along some axes turned round."""
    (x,) = inputs
    for axis in attrs["axis"]:
        x = _reversed(x, axis_of(axis, len(x.dims)))
    return x


def _reversed(x, axis):
    if not isinstance(x, RaggedTensor):
        return P.reverse(x, axis=(axis,))
    if axis == 0:
        total = x._partition.nrows()
        one = P.ones_like(total)
        return gather_rows(x, P.range(total - one, -one, -one))
    return slice_rows(x, (None, None, -1)) if axis == 1 else x.with_values(_reversed(x.values, axis - 1))


# Others


def dynamic_partition(op, inputs, attrs):
    """The values by partition; both inputs have the same rows."""
    data, partitions = inputs
    if not (isinstance(data, RaggedTensor) and isinstance(partitions, RaggedTensor)):
        raise unsupported(data if isinstance(data, RaggedTensor) else partitions, op)
    for a, b in zip(data.partitions, partitions.partitions, strict=False):
        require_same(a, b)
    return bind(op, (data.flat_values, partitions.flat_values), attrs)


def shape(op, inputs, attrs):
    """The `DynamicRaggedShape`."""
    from tapeflow.api.ragged_shape import DynamicRaggedShape

    return DynamicRaggedShape.from_tensor(inputs[0], attrs.get("dtype"))


def softmax(op, inputs, attrs):
    """The softmax along an axis, which may be ragged."""
    (x,) = inputs
    axis = axis_of(attrs.get("axis", -1), len(x.dims))
    if axis > x.ragged_rank:
        return x.with_flat_values(bind(op, (x.flat_values,), {**attrs, "axis": axis - x.ragged_rank}))
    shifted = x - P.stop_gradient(P.max(x, axis=(axis,), keepdims=True))
    if op.name == "log_softmax":
        return shifted - P.log(P.sum(P.exp(shifted), axis=(axis,), keepdims=True))
    scaled = P.exp(shifted)
    return scaled / P.sum(scaled, axis=(axis,), keepdims=True)


def cumsum(op, inputs, attrs):
    """Cumulative sums, along any axis: of the padded tensor, from which the values are taken again."""
    (x,) = inputs
    rank = x.ragged_rank + 1
    sums = bind(op, (to_tensor(x, None, None),), attrs)
    sizes = dims_of(sums)
    slots = P.ragged_slots(*x.nested_row_splits, shape=sizes[:rank])
    return x.with_flat_values(gather_rows(P.reshape(sums, shape=(-1, *sizes[rank:])), slots))


def matmul(op, inputs, attrs):
    """Batches of matrices of various sizes: the product of the padded ones, without the padding."""
    a, b = inputs
    product = bind(op, tuple([to_tensor(x, None, None) if isinstance(x, RaggedTensor) else x for x in inputs]), attrs)
    flip_a, flip_b = [attrs.get(f"transpose_{side}") or attrs.get(f"adjoint_{side}") for side in "ab"]
    heights = _sizes(a, bool(flip_a), product, -2)
    widths = _sizes(b, not flip_b, product, -1)
    rows = from_tensor(product, heights, None, 1, int64)
    if not (isinstance(b, RaggedTensor) and b.ragged_rank > 1):
        return rows
    return rows.with_values(
        from_tensor(rows.values, P.gather(widths, rows.value_rowids(), axis=0, batch_dims=0), None, 1, int64)
    )


def _sizes(x, columns, product, axis):
    """How many rows (or columns) each matrix of a batch has."""
    if not isinstance(x, RaggedTensor):
        count, n = dims_of(product)[0], dims_of(product)[axis]
        return P.broadcast_to(scalar_of(n, int64), shape=(count,))
    if not columns:
        return x.row_lengths()
    if x.ragged_rank > 1:
        return P.max(x.row_lengths(axis=2), axis=(1,), keepdims=False)
    return P.broadcast_to(scalar_of(dims_of(x.values)[-1], int64), shape=(x._partition.nrows_attr(),))


def reduce_join(op, inputs, attrs):
    """The strings of the innermost rows put together."""
    (x,) = inputs
    axis = axis_of(attrs["axis"], len(x.dims))
    join = {"separator": attrs["separator"]}
    result = _joined_strings(x, axis, join)
    return expanded(result, axis) if attrs["keepdims"] else result


def _joined_strings(x, axis, join):
    if not isinstance(x, RaggedTensor):
        return P.string_reduce_join(x, axis=axis, keepdims=False, **join)
    if axis > 1:
        return x.with_values(_joined_strings(x.values, axis - 1, join))
    partition = x._partition
    if axis == 0:
        ids, num = partition.offsets(), static_dims(P.max(partition.lengths(), axis=None))[0]
    else:
        ids, num = partition.rowids(), partition.nrows_attr()
    return segments(lambda data, ids, num: P.string_segment_join(data, ids, num=num, **join), x.values, ids, num)


def _flat(op, inputs, attrs):
    """Ops of one input that keep its shape."""
    return inputs[0].with_flat_values(bind(op, (inputs[0].flat_values, *inputs[1:]), attrs))


def _checked(op, inputs, attrs):
    """What is printed or asserted: the values."""
    return bind(op, tuple([x.flat_values if isinstance(x, RaggedTensor) else x for x in inputs]), attrs)


# Ops of one input that change its elements alone, but are not among the elementwise ones.
_FLAT = (
    "bitcast check_numerics string_lower string_upper string_strip string_length regex_replace regex_full_match hash_fast"
)
FLAT = (_FLAT + " hash_strong hash_legacy transcode string_to_number as_string").split()
RULES = {
    "concat": concat,
    "stack": stack,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "reverse": reverse,
    "gather": gather,
    "gather_nd": gather_nd,
    "nonzero": nonzero,
    "dynamic_partition": dynamic_partition,
    "shape": shape,
    "softmax": softmax,
    "log_softmax": softmax,
    "cumsum": cumsum,
    "matmul": matmul,
    "string_reduce_join": reduce_join,
    **dict.fromkeys(("string_join", "substr"), elementwise),
    **dict.fromkeys(FLAT, _flat),
    "assert_that": _checked,
    **REDUCTIONS,
    **{f"unsorted_segment_{name}": segment_reduction for name in ("sum", "prod", "max", "min")},
}
