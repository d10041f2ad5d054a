"""Ops that order and search: sort, argsort, top_k, argmax, unique, searchsorted, nonzero."""

import math

import numpy as np

from tapeflow.base.dtypes import bfloat16, bool_, int32, int64, string
from tapeflow.base.errors import invalid
from tapeflow.base.shape import num_elements
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec, Tensor
from tapeflow.ops.family import NUMBERS, REALS, sample
from tapeflow.ops.index import check_indices, in_one_batch
from tapeflow.ops.movement import listed, shifted

# sort, argsort


def _check_axis(name, x, axis):
    if x.shape is not None and not -len(x.shape) <= axis < len(x.shape):
        rank = len(x.shape)
        raise invalid(name, f"Expected dimension in the range [-{rank}, {rank}), but got {axis}")


def sortable(x):
    """The same values in a dtype that NumPy sorts: its bfloat16 has no place for nan, and leaves what is beside it unsorted."""
    return x.astype(np.float32) if x.dtype == bfloat16.numpy_dtype else x


def _sort_kernel(x, *, axis=-1, descending=False):
    result = np.sort(sortable(x), axis).astype(x.dtype, copy=False)
    return result[(*(np.s_[:],) * (axis % x.ndim), np.s_[::-1])] if descending else result


def _sort_infer(x, *, axis=-1, descending=False):
    _check_axis("sort", x, axis)
    return x


def along(x, indices, axis):
    """`x` with its elements along `axis` taken in the order of `indices`, a tensor of argsort's or top_k's kind."""
    rank = len(x.dims)
    last = rank - 1
    if axis % rank == last:
        return P.gather(x, indices, axis=last, batch_dims=last) if last else P.gather(x, indices, axis=0, batch_dims=0)
    order = tuple([i for i in range(rank) if i != axis % rank] + [axis % rank])
    back = tuple([order.index(i) for i in range(rank)])
    moved = along(P.transpose(x, perm=order), P.transpose(indices, perm=order), last)
    return P.transpose(moved, perm=back)


def _put_back(g, indices, axis):
    """The transpose of `along`: indices are a permutation along the axis, so it is `along` with the inverse."""
    return along(g, P.argsort(indices, axis=axis, descending=False), axis)


sort = Primitive(
    "sort",
    _sort_kernel,
    _sort_infer,
    vjp=(lambda g, x, *, axis=-1, descending=False: _put_back(g, P.argsort(x, axis=axis, descending=descending), axis),),
    jvp=(lambda t, x, *, axis=-1, descending=False: along(t, P.argsort(x, axis=axis, descending=descending), axis),),
    batch=shifted,
    accepts=REALS,
    samples=lambda: [((sample(3, 5),), {"axis": axis, "descending": down}) for axis in (0, -1) for down in (False, True)],
)


def descending_order(x, axis=-1):
    """The stable order that sorts descending: of equal elements the first comes first."""
    backward = (*(np.s_[:],) * (axis % x.ndim), np.s_[::-1])
    return x.shape[axis] - 1 - sortable(x)[backward].argsort(axis, kind="stable")[backward]


def picked(x, order):
    """Elements of the last axis in the order given for each row."""
    rows = order.size // order.shape[-1] if order.shape[-1] else 0
    start = (np.arange(rows) * x.shape[-1]).reshape(*order.shape[:-1], 1) if x.ndim > 1 and rows else 0
    return x.reshape(-1).take(order + start)


def _argsort_kernel(x, *, axis=-1, descending=False):
    if not x.ndim:
        raise ValueError(axis)
    order = descending_order(x, axis) if descending else np.argsort(sortable(x), axis, kind="stable")
    return order.astype(np.int32)


def _argsort_infer(x, *, axis=-1, descending=False):
    _check_axis("argsort", x, axis)
    return Spec(x.shape, int32)


argsort = Primitive(
    "argsort",
    _argsort_kernel,
    _argsort_infer,
    batch=shifted,
    accepts=REALS,
    samples=lambda: [((sample(3, 5),), {"axis": axis, "descending": down}) for axis in (0, -1) for down in (False, True)],
)


# top_k


def _top_k_kernel(x, *, k, dtype=int32):
    n = x.shape[-1]
    if not 0 <= k <= n:
        raise ValueError(k)
    keys = sortable(x)
    order = _few_largest(keys, k) if n > 256 and 0 < k < n // 8 else None
    if order is None:
        order = descending_order(keys)[..., :k]
    return picked(x, order), order.astype(dtype.numpy_dtype)


def _few_largest(x, k):
    """The order of the k largest without sorting the rest; None where equal elements leave a choice."""
    chosen = np.sort(np.argpartition(x, x.shape[-1] - k, -1)[..., -k:], -1)
    values = picked(x, chosen)
    least = values.min(-1, keepdims=True)
    if ((x == least).sum(-1) != (values == least).sum(-1)).any() or (least != least).any():
        return None
    return picked(chosen, descending_order(values))


def _top_k_infer(x, *, k, dtype=int32):
    known = None if isinstance(k, Tensor) else k
    if known is not None and known < 0:
        raise invalid("top_k", f"Need k >= 0, got {k}")
    if x.shape is None:
        return Spec(None, x.dtype), Spec(None, dtype)
    if not x.shape:
        raise invalid("top_k", f"input must be >= 1-D, got shape {listed(x.shape)}")
    if None not in (known, x.shape[-1]) and known > x.shape[-1]:
        raise invalid("top_k", f"input must have at least k columns. Had {x.shape[-1]}, needed {k}")
    return Spec((*x.shape[:-1], known), x.dtype), Spec((*x.shape[:-1], known), dtype)


def _top_k_vjp(gs, x_shape, out):
    g, indices = gs[0], out[1]
    last = len(g.dims) - 1
    return P.gather_grad(g, indices, shape=x_shape, axis=last, batch_dims=last)


def _top_k_jvp(tangents, inputs, out, **attrs):
    return along(tangents[0], out[1], -1), None


top_k = Primitive(
    "top_k",
    _top_k_kernel,
    _top_k_infer,
    vjp=(_top_k_vjp,),
    jvp=_top_k_jvp,
    batch=lambda op, inputs, batched, attrs: op(*inputs, **attrs),
    accepts=REALS,
    multiple=True,
    samples=lambda: [((sample(3, 5),), {"k": 2}), ((sample(5),), {"k": 5})],
)


# argmax, argmin


def _arg_extreme(name, method, worst):
    def kernel(x, *, axis=0, dtype=int64):
        if not x.ndim or (not x.shape[axis] and x.size == 0 and 0 not in x.shape[:axis] + x.shape[axis:][1:]):
            raise ValueError(x.shape)
        if x.dtype.kind in "fV" and x.size and np.isnan(np.max(x)):
            x = np.where(np.isnan(x), x.dtype.type(worst), x)  # NumPy would give the first NaN, TensorFlow passes over them
        return getattr(x, method)(axis).astype(dtype.numpy_dtype)

    def infer(x, *, axis=0, dtype=int64):
        _check_axis(name, x, axis)
        if x.shape is None:
            return Spec(None, dtype)
        axis %= len(x.shape)
        rest = x.shape[:axis] + x.shape[axis + 1 :]
        if x.shape[axis] == 0 and 0 not in rest:
            raise invalid(name, f"Reduction axis {axis} is empty in shape {listed(x.shape)}")
        return Spec(rest, dtype)

    return Primitive(
        name,
        kernel,
        infer,
        batch=shifted,
        lower="reduce",
        accepts=NUMBERS | {bool_},
        samples=lambda: [((sample(2, 3, 5),), {"axis": axis}) for axis in (0, -1)],
    )


argmax = _arg_extreme("argmax", "argmax", -np.inf)
argmin = _arg_extreme("argmin", "argmin", np.inf)


# unique, nonzero


def _unique_kernel(x, *, dtype=int32):
    if x.ndim != 1:
        raise ValueError(x.shape)
    values, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    order = np.argsort(first, kind="stable")  # TensorFlow keeps the order of appearance
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    index = dtype.numpy_dtype
    return values[order], rank[inverse.reshape(-1)].astype(index), counts[order].astype(index)


def _unique_infer(x, *, dtype=int32):
    if x.shape is not None and len(x.shape) != 1:
        raise invalid("unique", f"unique expects a 1D vector, got shape {listed(x.shape)}.")
    return Spec((None,), x.dtype), Spec(x.shape, dtype), Spec((None,), dtype)


unique = Primitive(
    "unique",
    _unique_kernel,
    _unique_infer,
    accepts=NUMBERS | {bool_, string},
    multiple=True,
    samples=lambda: [((np.array([3.0, 1.0, 3.0, 2.0, 1.0]),), {})],
)


def _nonzero_kernel(x):
    if not x.ndim:
        raise ValueError(x.shape)
    return np.argwhere(x)


def _nonzero_infer(x):
    if x.shape == ():
        raise invalid("where", "WhereOp : Unhandled input dimensions: 0")
    return Spec((None, None if x.shape is None else len(x.shape)), int64)


nonzero = Primitive(
    "nonzero",
    _nonzero_kernel,
    _nonzero_infer,
    accepts=NUMBERS | {bool_},
    samples=lambda: [((np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]),), {})],
)


# searchsorted, unravel_index, and the small integer helpers of repeat and broadcast_dynamic_shape


def _search_kernel(row, values, *, side="left", dtype=int32):
    if row.ndim == values.ndim == 1:
        return np.searchsorted(row, values, side).astype(dtype.numpy_dtype)
    if math.prod(row.shape[:-1]) != math.prod(values.shape[:-1]):
        raise ValueError(values.shape)
    count = math.prod(row.shape[:-1])
    flat, wanted = row.reshape(count, row.shape[-1]), values.reshape(count, values.shape[-1])
    found = [np.searchsorted(a, b, side) for a, b in zip(flat, wanted, strict=True)]
    return np.array(found, dtype.numpy_dtype).reshape(values.shape)


def _search_infer(row, values, *, side="left", dtype=int32):
    if None not in (row.shape, values.shape):
        counts = [num_elements(x.shape[:-1]) for x in (row, values)]
        if () in (row.shape, values.shape) or (None not in counts and counts[0] != counts[1]):
            raise invalid(
                "searchsorted",
                "Leading dim_size of both tensors must match: "
                f"sorted_sequence {listed(row.shape)}, values {listed(values.shape)}",
            )
    return Spec(values.shape, dtype)


searchsorted = Primitive(
    "searchsorted",
    _search_kernel,
    _search_infer,
    batch=lambda op, inputs, batched, attrs: op(*in_one_batch(inputs, batched), **attrs),
    accepts=REALS,
    samples=lambda: [
        ((np.sort(sample(5)), sample(3)), {"side": "right"}),
        ((np.sort(sample(2, 5)), sample(2, 3)), {}),
    ],
)


def _unravel_kernel(indices, dims):
    if indices.dtype != dims.dtype or dims.ndim != 1:
        raise TypeError(dims.dtype)
    total = int(np.prod(dims))
    if not total and np.size(indices):
        raise invalid("unravel_index", f"dims cannot contain a dim of zero: {dims.tolist()}")
    check_indices("unravel_index", indices, total, "index is out of bound as with dims: indices")
    found = np.unravel_index(indices, tuple(dims.tolist())) if dims.size else ()
    return np.array(found, indices.dtype).reshape((len(dims), *np.shape(indices)))


def _unravel_infer(indices, dims):
    if indices.dtype is not dims.dtype:
        raise invalid(
            "unravel_index", f"indices are {indices.dtype.name}, dims {dims.dtype.name}: both must be one integer dtype"
        )
    if dims.shape is not None and len(dims.shape) != 1:
        raise invalid("unravel_index", f"The dims can only be 1-D, got shape {listed(dims.shape)}")
    if indices.shape is None:
        return Spec(None, indices.dtype)
    return Spec(((None,) if dims.shape is None else dims.shape) + indices.shape, indices.dtype)


def _unravel_batch(op, inputs, batched, attrs):
    if batched[1]:
        indices, dims = in_one_batch(inputs, batched)
        examples = [P.unstack(x, axis=0, num=x.dims[0]) for x in (indices, dims)]
        return P.stack(*[op(*pair) for pair in zip(*examples, strict=True)], axis=0)
    found = op(*inputs)
    return P.transpose(found, perm=(1, 0, *range(2, len(found.dims))))


unravel_index = Primitive(
    "unravel_index",
    _unravel_kernel,
    _unravel_infer,
    batch=_unravel_batch,
    accepts={int32, int64},
    samples=lambda: [((np.array([2, 5, 7], np.int32), np.array([3, 4], np.int32)), {})],
)


def _repeat_kernel(repeats):
    if repeats.size and repeats.min() < 0:
        raise invalid("repeat", f"repeats must be non-negative, got {repeats.tolist()}")
    return np.repeat(np.arange(len(repeats), dtype=np.int32), repeats)


# repeat_indices([1, 0, 2]) is [0, 2, 2]
repeat_indices = Primitive(
    "repeat_indices",
    _repeat_kernel,
    lambda repeats: Spec((None,), int32),
    accepts={int32, int64},
    samples=lambda: [((np.array([1, 0, 2], np.int32),), {})],
)


def _broadcast_shape_kernel(a, b):
    try:
        return np.array(np.broadcast_shapes(tuple(a.tolist()), tuple(b.tolist())), a.dtype)
    except ValueError:
        raise invalid("broadcast_shape", f"Incompatible shapes: {listed(a.tolist())} vs. {listed(b.tolist())}") from None


def _broadcast_shape_infer(a, b):
    if None in (a.shape, b.shape):
        return Spec((None,), a.dtype)
    return Spec((None if None in (a.shape[0], b.shape[0]) else max(a.shape[0], b.shape[0]),), a.dtype)


broadcast_shape = Primitive(
    "broadcast_shape",
    _broadcast_shape_kernel,
    _broadcast_shape_infer,
    accepts={int32, int64},
    samples=lambda: [((np.array([1, 1], np.int32), np.array([3], np.int32)), {})],
)
