"""Indexing of ragged tensors, and the rows of a ragged tensor in another order."""

from tapeflow.api.ragged_partition import RowPartition
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.sparse_tensor import rows as dense_rows
from tapeflow.api.tensor import index_key
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap

ALL = (None, None, None)


def index(rt, key):
    """`rt[key]`: integers, slices, `...`, `tf.newaxis` and scalar integer tensors; an integer only where rows are of one length."""
    return _index(rt, _expanded(index_key(key), len(rt.dims)))


def _expanded(keys, rank):
    """The keys with slices of everything in place of the ellipses."""
    if not any(part is Ellipsis for part in keys):
        return keys
    at = next(i for i, part in enumerate(keys) if part is Ellipsis)
    rest = [part for part in keys[at + 1 :] if part is not Ellipsis]
    taken = sum(part is not None for part in (*keys[:at], *rest))
    return (*keys[:at], *[ALL] * (rank - taken), *rest)


def _index(x, keys):
    """`x[keys]`, where the first key picks rows."""
    if not keys:
        return x
    if not isinstance(x, RaggedTensor):
        return P.strided_slice(x, key=tuple(keys))
    first, *rest = keys
    if first is None:
        return with_outer_axis(_index(x, rest))
    if first.__class__ is tuple:
        return _within(_rows(x, first), rest)
    return _index(_row(x, first), rest)


def with_outer_axis(x):
    """`x` as the only row of a new first axis."""
    if not isinstance(x, RaggedTensor):
        return P.expand_dims(x, axis=(0,))
    partition = x._partition
    count = partition.nrows()
    splits = P.stack(P.zeros_like(count), count, axis=0)
    return RaggedTensor(x, RowPartition(splits, partition.nrows_attr()), internal=True)


def with_unit_axis(x):
    """`x` with a new axis of size 1 behind its first."""
    if not isinstance(x, RaggedTensor):
        return P.expand_dims(x, axis=(1,))
    count = x._partition.nrows()
    one = P.ones_like(count)
    return RaggedTensor(x, RowPartition(P.range(P.zeros_like(count), count + one, one), 1), internal=True)


def _row(x, i):
    """One row, a tensor or ragged tensor."""
    splits, count = x.row_splits, x._partition.static_nrows
    if i.__class__ is int:
        if count is not None and i >= count:
            raise IndexError(f"Row key {i} out of bounds")
        if count is not None and i < -count:
            raise invalid("strided_slice", f"slice index {i} of dimension 0 out of bounds: there are {count} rows")
        ends = (i, i + 1) if i >= 0 else (i - 1, i)
    else:
        i = P.cast(i, dtype=splits._dtype)
        i = P.where(P.less(i, P.zeros_like(i)), i + x._partition.nrows(), i)
        ends = (i, i + 1)
    start, end = [_plain(P.strided_slice(splits, key=(at,))) for at in ends]
    return _span(x.values, start, end)


def _plain(x):
    """A scalar for the key of an index: an int, or a symbolic tensor."""
    return int(x._value) if x.__class__ is Tensor else x


def _span(x, start, end):
    """Rows `start` to `end`."""
    if not isinstance(x, RaggedTensor):
        return P.strided_slice(x, key=((start, end, None),))
    if start.__class__ is int and end.__class__ is int:
        splits = P.strided_slice(x.row_splits, key=((start, end + 1, None),))
    else:
        one = P.ones_like(end) if isinstance(end, Tensor) else 1
        splits = P.strided_slice(x.row_splits, key=((start, end + one, None),))
    first = P.strided_slice(splits, key=(0,))
    values = _span(x.values, _plain(first), _plain(P.strided_slice(splits, key=(-1,))))
    return RaggedTensor(values, RowPartition(splits - first, x._partition.uniform), internal=True)


def _rows(x, part):
    """A slice of the rows."""
    if part == ALL:
        return x
    count = x._partition.static_nrows
    if count is not None and all(n is None or n.__class__ is int for n in part) and part[2] in (None, 1):
        start, end, _ = slice(*part).indices(count)
        return _span(x, start, max(start, end))
    if part[2].__class__ is int and part[2] == 0:
        raise invalid("strided_slice", "strides[0] must be non-zero")
    total = x._partition.nrows()
    numbers = P.range(P.zeros_like(total), total, P.ones_like(total))
    return gather_rows(x, P.strided_slice(numbers, key=(part,)))


def gather_rows(x, places):
    """The rows of a tensor or ragged tensor at `places`, a vector."""
    if not isinstance(x, RaggedTensor):
        return dense_rows(x, places)
    partition = x._partition
    starts, limits = [P.gather(ends, places, axis=0, batch_dims=0) for ends in (partition.starts(), partition.limits())]
    return _taken(x, starts, limits, P.ones_like(starts), partition.uniform)


def _taken(x, starts, limits, steps, uniform=None):
    """The rows that consist of the values from `starts` to `limits`."""
    splits, places = P.ragged_range(starts, limits, steps)
    if x.row_splits._dtype is not int64:
        splits = P.cast(splits, dtype=x.row_splits._dtype)
    return RaggedTensor(gather_rows(x.values, places), RowPartition(splits, uniform), internal=True)


def _within(x, keys):
    """`x[:, *keys]`."""
    if not keys:
        return x
    if not isinstance(x, RaggedTensor):
        return P.strided_slice(x, key=(ALL, *keys))
    first, *rest = keys
    if first is None:
        return with_unit_axis(_within(x, rest))
    if first.__class__ is tuple:
        rows = x if first == ALL else slice_rows(x, first)
        return rows.with_values(_within(rows.values, rest)) if rest else rows
    uniform = x._partition.uniform
    if uniform is None:
        raise ValueError("Cannot index into an inner ragged dimension.")
    if first.__class__ is int and uniform.__class__ is int and not -uniform <= first < uniform:
        raise invalid("strided_slice", f"slice index {first} of dimension 1 out of bounds: rows have {uniform} values")
    if first.__class__ is int:
        column = uniform + first if first < 0 else first
    else:
        column = P.where(P.less(first, P.zeros_like(first)), first + uniform, first)
    starts = x._partition.starts()
    column = wrap(starts._dtype.type(column)) if column.__class__ is int else P.cast(column, dtype=starts._dtype)
    return _within(gather_rows(x.values, starts + column), rest)


def slice_rows(x, part):
    """Every row sliced by (start, stop, step), as Python slices lists."""
    start, stop, step = part
    step = 1 if step is None else step
    if step.__class__ is not int or step == 0:
        raise invalid("strided_slice", f"strides[1] must be non-zero, and known while tracing, got {step}")
    partition = x._partition
    lengths = partition.lengths()
    low = wrap(lengths._dtype.type(0 if step > 0 else -1))
    high = lengths + low

    def bound(n, default):
        if n is None:
            return default
        n = wrap(lengths._dtype.type(n)) if n.__class__ is int else P.cast(n, dtype=lengths._dtype)
        n = P.where(P.less(n, P.zeros_like(n)), n + lengths, P.broadcast_to(n, shape=(partition.nrows_attr(),)))
        return P.maximum(P.minimum(n, high), low)

    ends = (P.zeros_like(lengths), lengths) if step > 0 else (lengths - 1, -P.ones_like(lengths))
    starts = partition.starts()
    steps = P.broadcast_to(wrap(lengths._dtype.type(step)), shape=(partition.nrows_attr(),))
    uniform = partition.static_uniform
    if uniform is not None and all(n is None or n.__class__ is int for n in (start, stop)):
        uniform = len(range(*slice(start, stop, step).indices(uniform)))
    else:
        uniform = None
    return _taken(x, starts + bound(start, ends[0]), starts + bound(stop, ends[1]), steps, uniform)
