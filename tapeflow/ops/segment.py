"""Segment reductions: rows of one id are reduced together. Also counting, and the checks that ids need."""

import numpy as np

from tapeflow.base import shape
from tapeflow.base.dtypes import INTEGERS, NUMBERS, int32, int64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import REALS, sample
from tapeflow.ops.movement import batch_size, dims_of

_BLOCK = 2**17
_FLAT_FROM = 1024  # elements from which it pays to index them one by one: ufunc.at is quick for vectors alone


def accumulate(ufunc, result, rows, values):
    """`result[rows[i]] = ufunc(result[rows[i]], values[i])` for every i in turn, in place."""
    if values.ndim == 1 or values.size < _FLAT_FROM:
        ufunc.at(result, rows, values)
        return
    flat, size = result.reshape(-1), values[0].size
    step = max(1, _BLOCK // size)  # the places of a block at a time: all at once would take more memory than the values
    for i in range(0, len(rows), step):
        places = rows[i : i + step, None].astype(np.intp) * size + np.arange(size)
        ufunc.at(flat, places.reshape(-1), values[i : i + step].reshape(-1))


def _check_segments(name, data, ids, num):
    if num.__class__ is not int and np.ndim(num):
        raise invalid(name, f"num_segments should be a scalar, not shape {list(np.shape(num))}")
    if num < 0:
        raise invalid(name, f"Input num_segments == {num} must not be negative")
    if ids.shape != data.shape[: ids.ndim]:
        raise ValueError(ids.shape)
    if ids.size and np.max(ids) >= num:
        where = np.argwhere(np.atleast_1d(ids) >= num)[0]
        value = np.atleast_1d(ids)[tuple(where)]
        raise invalid(name, f"segment_ids[{','.join(map(str, where))}] = {value} is out of range [0, {num})")


def _segment_kernel(name, ufunc, identity):
    """The kernel of one reduction; `identity(dtype)` is the result of a segment without rows."""

    def kernel(data, ids, *, num):
        _check_segments(name, data, ids, num)
        rest = data.shape[ids.ndim :]
        wide = np.float32 if data.dtype.itemsize == 2 and data.dtype.kind not in "iu" else data.dtype
        result = np.full((num, *rest), identity(data.dtype), wide)
        if ids.size and np.min(ids) < 0:  # negative ids are dropped
            data, ids = data[ids >= 0], ids[ids >= 0]
        if data.size:
            accumulate(ufunc, result, np.reshape(ids, -1), np.reshape(data, (-1, *rest)).astype(wide, copy=False))
        return result.astype(data.dtype, copy=False)

    return kernel


def _segment_infer(name):
    def infer(data, ids, *, num):
        (rows,) = known_dims((num,))
        if data.shape is None or ids.shape is None:
            return Spec(None, data.dtype)
        if not shape.compatible(data.shape[: len(ids.shape)], ids.shape):
            shapes = f"data.shape = {list(data.shape)} does not start with segment_ids.shape = {list(ids.shape)}"
            raise invalid(name, shapes)
        return Spec((rows, *data.shape[len(ids.shape) :]), data.dtype)

    return infer


def _take(results, ids):
    """The result of each row's own segment; zeros for rows that were dropped."""
    rows = P.gather(results, P.maximum(ids, P.zeros_like(ids)), axis=0, batch_dims=0)
    return P.where(spread_over(rows, P.greater_equal(ids, P.zeros_like(ids))), rows, P.zeros_like(rows))


def spread_over(rows, each):
    """`each`, one value a row, with trailing axes of 1 so that it broadcasts over the rows."""
    if rows.dims is not None and each.dims is not None:
        extra = len(rows.dims) - len(each.dims)
        return P.expand_dims(each, axis=tuple(range(-extra, 0))) if extra else each
    rank = P.strided_slice(P.shape(P.shape(each)), key=(0,))
    ones = P.ones_like(P.strided_slice(P.shape(rows), key=((rank, None, None),)))
    return P.reshape(each, shape=P.concat(P.shape(each), ones, axis=0))


def _share(data, ids, out, num):
    """How much of a segment's extreme each row holds: equal rows share it evenly."""
    hits = P.where(P.equal(data, _take(out, ids)), P.ones_like(data), P.zeros_like(data))
    return P.div_no_nan(hits, _take(P.unsorted_segment_sum(hits, ids, num=num), ids))


def _extreme_vjp(g, data, ids, out, *, num):
    return _share(data, ids, out, num) * _take(g, ids)


def _extreme_jvp(t, data, ids, out, *, num):
    return P.unsorted_segment_sum(_share(data, ids, out, num) * t, ids, num=num)


def _prod_vjp(g, data, ids, out, *, num):
    """The product of the other rows: the result over the row, but for a segment's only 0 the product of the rest."""
    is_zero = P.equal(data, P.zeros_like(data))
    zeros = P.unsorted_segment_sum(P.where(is_zero, P.ones_like(data), P.zeros_like(data)), ids, num=num)
    rest = P.unsorted_segment_prod(P.where(is_zero, P.ones_like(data), data), ids, num=num)
    rest = P.where(P.equal(zeros, P.ones_like(zeros)), rest, P.zeros_like(rest))
    others = P.where(is_zero, _take(rest, ids), P.div_no_nan(_take(out, ids), data))
    return (P.conj(others) if data._dtype.is_complex else others) * _take(g, ids)


def _segment_samples():
    ids = np.array([2, 0, -1, 1, 0])
    return [((sample(5, 3), ids), {"num": 3}), ((sample(2, 3, 5), np.array([[1, 0, 1], [0, 1, -1]])), {"num": 2})]


def _segment_batch(op, inputs, batched, attrs):
    """With the same ids for all, the batch is one more trailing axis; else each example gets segments of its own."""
    (data, ids), num = inputs, attrs["num"]
    size = batch_size(data if batched[0] else ids)
    if not batched[1]:
        count = len(ids.dims)
        forth = (*range(1, count + 1), 0, *range(count + 1, len(data.dims)))
        result = op(P.transpose(data, perm=forth), ids, num=num)
        return P.transpose(result, perm=(1, 0, *range(2, len(result.dims))))
    if not batched[0]:
        data = P.broadcast_to(P.expand_dims(data, axis=(0,)), shape=(size, *dims_of(data)))
    first = P.range(*[P.fill(shape=(), value=n, dtype=ids._dtype) for n in (0, size, 1)])
    first = P.reshape(first * num, shape=(size, *(1,) * (len(ids.dims) - 1)))
    ids = P.where(P.less(ids, P.zeros_like(ids)), ids, ids + first)  # negative ids stay what they are: dropped
    result = op(data, ids, num=size * num)
    return P.reshape(result, shape=(size, num, *dims_of(result)[1:]))


def _segment(name, ufunc, identity, accepts, vjp, jvp):
    """Register `name(data, ids, num=)`: result[i] is the reduction of the rows of data whose id is i."""
    return Primitive(
        name,
        _segment_kernel(name, ufunc, identity),
        _segment_infer(name),
        vjp=(vjp, None),
        jvp=None if jvp is None else (jvp, None),
        batch=_segment_batch,
        accepts=accepts,
        uniform=False,
        samples=_segment_samples,
    )


def _limit(which):
    def limit(dtype):
        info = np.iinfo(dtype) if dtype.kind in "iub" else np.finfo(dtype) if dtype.kind == "f" else _bfloat16_info()
        return getattr(info, which)

    return limit


def _bfloat16_info():
    import ml_dtypes

    return ml_dtypes.finfo(ml_dtypes.bfloat16)


unsorted_segment_sum = _segment(
    "unsorted_segment_sum",
    np.add,
    lambda dtype: 0,
    NUMBERS,
    lambda g, ids: _take(g, ids),
    lambda t, ids, *, num: P.unsorted_segment_sum(t, ids, num=num),
)
unsorted_segment_prod = _segment("unsorted_segment_prod", np.multiply, lambda dtype: 1, NUMBERS, _prod_vjp, None)
unsorted_segment_max = _segment("unsorted_segment_max", np.maximum, _limit("min"), REALS, _extreme_vjp, _extreme_jvp)
unsorted_segment_min = _segment("unsorted_segment_min", np.minimum, _limit("max"), REALS, _extreme_vjp, _extreme_jvp)


# Checks: the input itself, once its values have been looked at.


def _sorted_ids_kernel(ids, data):
    if ids.ndim != 1:
        raise ValueError(ids.shape)
    if not data.ndim or len(data) != len(ids):
        raise ValueError(data.shape)
    if len(ids) and ids[0] < 0:
        why = "possibly because 'segment_ids' input is not sorted"
        raise invalid("segment", f"Segment id {ids[0]} out of range [0, {len(ids)}), {why}.")
    falls = np.flatnonzero(ids[1:] < ids[:-1])
    if len(falls):
        i = int(falls[0])
        pair = f"segment_ids[{i}] = {ids[i]}, segment_ids[{i + 1}] = {ids[i + 1]}"
        raise invalid("segment", f"segment ids are not increasing: {pair}")
    return ids


def _sorted_ids_infer(ids, data):
    if ids.shape is not None and len(ids.shape) != 1:
        raise invalid("segment", f"segment_ids should be a vector, got the shape {list(ids.shape)}.")
    if data.shape == ():
        raise invalid("segment", "input must be at least rank 1, got a scalar")
    count, rows = [None if spec.shape is None else spec.shape[0] for spec in (ids, data)]
    if count is not None and rows is not None and count != rows:
        raise invalid("segment", f"segment_ids should be the same size as dimension 0 of input: {count} is not {rows}.")
    return ids


sorted_ids = Primitive(
    "sorted_ids",
    _sorted_ids_kernel,
    _sorted_ids_infer,
    accepts={int32, int64},
    uniform=False,
    samples=lambda: [((np.array([0, 0, 2]), sample(3, 2)), {})],
)


def _in_range_kernel(x, *, low, high, message):
    if x.size and (np.min(x) < low or (high is not None and np.max(x) >= high)):
        wrong = x[(x < low) | (x >= high)] if high is not None else x[x < low]
        raise invalid("in_range", f"{message}: {wrong.reshape(-1)[0]} is not in [{low}, {'inf' if high is None else high})")
    return x


# x itself, with an error that starts with `message` where an element is not in [low, high).
in_range = Primitive(
    "in_range",
    _in_range_kernel,
    lambda x, *, low, high, message: x,
    accepts=INTEGERS,
    samples=lambda: [((np.array([[0, 1, 2], [4, 0, 1]]),), {"low": 0, "high": 5, "message": "out of bound"})],
)


def _bincount_kernel(values, weights, *, size, binary):
    """Counts, or sums of weights, of each value below `size`; the others are left out."""
    if values.ndim > 2 or (weights.shape != (0,) and weights.shape != values.shape):
        raise ValueError(weights.shape)
    rows = values.reshape(1, -1) if values.ndim < 2 else values
    kept = rows < size
    places = (np.arange(len(rows))[:, None] * size + rows)[kept]
    result = np.zeros(len(rows) * size, weights.dtype)
    if binary:
        result[places] = 1
    elif weights.size:
        np.add.at(result, places, weights.reshape(rows.shape)[kept])
    else:
        result += np.bincount(places, minlength=len(result)).astype(weights.dtype)
    return result if values.ndim < 2 else result.reshape(len(rows), size)


def _bincount_infer(values, weights, *, size, binary):
    dims, given = values.shape, weights.shape
    if None not in (dims, given) and given not in ((0,), (None,)) and not shape.compatible(dims, given):
        raise invalid(
            "bincount",
            "`weights` must be the same shape as `arr` or a length-0 `Tensor`, in which case it acts as all weights equal "
            f"to 1. Received {list(given)} and {list(dims)}",
        )
    if dims is not None and len(dims) > 2:
        raise invalid("bincount", f"Shape must be at most rank 2 but is rank {len(dims)}: {list(dims)}")
    if dims is None:
        return Spec(None, weights.dtype)
    return Spec((*dims[:-1], *known_dims((size,))), weights.dtype)


bincount = Primitive(
    "bincount",
    _bincount_kernel,
    _bincount_infer,
    accepts=INTEGERS,
    uniform=False,
    samples=lambda: [
        ((np.array([1, 3, 1]), np.zeros(0, np.int32)), {"size": 5, "binary": False}),
        ((np.array([[1, 3, 1], [2, 2, 0]]), np.ones((2, 3), np.float32)), {"size": 3, "binary": False}),
        ((np.array([[1, 3, 1], [2, 2, 0]]), np.zeros(0, np.int32)), {"size": 4, "binary": True}),
    ],
)


def _invert_permutation_kernel(x):
    if x.ndim != 1:
        raise ValueError(x.shape)
    size = len(x)
    for value in x[(x < 0) | (x >= size)][:1]:
        raise invalid("invert_permutation", f"{value} is not between 0 and {size}")
    counts = np.bincount(x, minlength=size)
    for value in np.flatnonzero(counts > 1)[:1]:
        raise invalid("invert_permutation", f"{value} is duplicated in the input.")
    result = np.empty_like(x)
    result[x] = np.arange(size)
    return result


def _invert_permutation_infer(x):
    if x.shape is not None and len(x.shape) != 1:
        raise invalid("invert_permutation", f"invert_permutation expects a 1D vector, got the shape {list(x.shape)}.")
    return x


invert_permutation = Primitive(
    "invert_permutation",
    _invert_permutation_kernel,
    _invert_permutation_infer,
    accepts={int32, int64},
    samples=lambda: [((np.array([2, 0, 1]),), {})],
)

__all__ = ["accumulate", "spread_over"]
