"""Ops that pick and place elements by index: gather, scatter, segments."""

import numpy as np

from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import Spec, Tensor, wrap


def check_indices(name, indices, size):
    """Raise TensorFlow's InvalidArgumentError where an index is not in [0, size)."""
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        wrong = np.argwhere(np.atleast_1d((indices < 0) | (indices >= size)))[0]
        at = ",".join(map(str, wrong)) if indices.ndim else ""
        value = indices[tuple(wrong)] if indices.ndim else indices
        raise invalid(name, f"indices[{at}] = {value} is not in [0, {size})")


def _gather_kernel(params, indices, *, axis=0, batch_dims=0):
    check_indices("gather", indices, params.shape[axis])
    if not batch_dims:
        return np.take(params, indices, axis)
    # Batch axes are indexed by their own positions, which broadcast along the rest of the indices.
    grids = [
        np.arange(n).reshape((1,) * i + (n,) + (1,) * (indices.ndim - i - 1)) for i, n in enumerate(indices.shape[:batch_dims])
    ]
    if indices.shape[:batch_dims] != params.shape[:batch_dims]:
        raise ValueError(indices.shape)
    between = params.ndim and axis - batch_dims
    moved = np.moveaxis(params, axis, batch_dims)
    taken = moved[(*grids, indices)]
    # The axes between the batch and `axis` come before those of the indices.
    source = range(indices.ndim, indices.ndim + between)
    return np.moveaxis(taken, source, range(batch_dims, batch_dims + between)) if between else taken


def _gather_infer(params, indices, *, axis=0, batch_dims=0):
    if params.shape is None or indices.shape is None:
        return Spec(None, params.dtype)
    rank = len(params.shape)
    if not -rank <= axis < rank:
        raise invalid("gather", f"Expected axis in the range [-{rank}, {rank}), but got {axis}")
    if batch_dims > min(axis, len(indices.shape)) or batch_dims < 0:
        raise invalid("gather", f"batch_dims ({batch_dims}) must be at most axis ({axis}) and the rank of indices")
    for n, m in zip(params.shape[:batch_dims], indices.shape[:batch_dims], strict=True):
        if None not in (n, m) and n != m:
            raise invalid("gather", f"batch dimensions differ: params {list(params.shape)}, indices {list(indices.shape)}")
    return Spec(params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis + 1 :], params.dtype)


def _gather_vjp(g, indices, params_shape, *, axis=0, batch_dims=0):
    if axis == 0 and batch_dims == 0:
        rows = _listed_dims(params_shape)
        values = P.reshape(g, shape=(-1 if 0 not in _static(rows[1:]) else _count(indices), *rows[1:]))
        return IndexedSlices(values, P.reshape(indices, shape=(-1,)), _as_tensor(params_shape))
    return P.gather_grad(g, indices, shape=params_shape, axis=axis, batch_dims=batch_dims)


def _static(dims):
    return [n for n in dims if isinstance(n, int)]


def _count(indices):
    return int(np.prod(indices.dims))


def _listed_dims(shape):
    return shape if isinstance(shape, tuple) else P.unstack(shape, axis=0, num=shape.dims[0])


def _as_tensor(shape):
    return wrap(np.array(shape, np.int32)) if isinstance(shape, tuple) else shape


def _gather_batch(op, inputs, batched, attrs):
    axis, batch_dims = attrs.get("axis", 0), attrs.get("batch_dims", 0)
    params, indices = inputs
    if batched == (True, False) and not batch_dims:
        return op(params, indices, axis=axis + 1, batch_dims=0)
    if batched == (False, True) and not batch_dims and axis == 0:
        return op(params, indices, axis=0, batch_dims=0)
    size = next(x.dims[0] for x, b in zip(inputs, batched, strict=True) if b)
    params, indices = [
        x if b else P.broadcast_to(P.expand_dims(x, axis=(0,)), shape=(size, *x.dims)) for x, b in zip(inputs, batched, strict=True)
    ]
    return op(params, indices, axis=axis + 1, batch_dims=batch_dims + 1)


gather = Primitive(
    "gather",
    _gather_kernel,
    _gather_infer,
    vjp=(_gather_vjp, None),
    jvp=(lambda t, indices, *, axis=0, batch_dims=0: P.gather(t, indices, axis=axis, batch_dims=batch_dims), None),
    batch=_gather_batch,
    uniform=False,
)


def _gather_grad_kernel(g, indices, *, shape, axis, batch_dims):
    """Add each gathered cotangent back where it was taken from."""
    result = np.zeros(shape, g.dtype)
    flat = np.arange(result.size).reshape(shape)
    where = _gather_kernel(flat, indices, axis=axis, batch_dims=batch_dims)
    np.add.at(result.reshape(-1), where.ravel(), g.ravel())
    return result


gather_grad = Primitive(
    "gather_grad",
    _gather_grad_kernel,
    lambda g, indices, *, shape, axis, batch_dims: Spec(known_dims(shape), g.dtype),
    vjp=(lambda g, indices, *, axis, batch_dims: P.gather(g, indices, axis=axis, batch_dims=batch_dims), None),
    jvp=(
        lambda t, indices, *, shape, axis, batch_dims: P.gather_grad(
            t, indices, shape=shape, axis=axis, batch_dims=batch_dims
        ),
        None,
    ),
    uniform=False,
)


def _segment_sum_kernel(data, ids, *, num):
    if ids.shape != data.shape[: ids.ndim]:
        raise ValueError(ids.shape)
    check_upper("unsorted_segment_sum", ids, num)
    result = np.zeros((num, *data.shape[ids.ndim :]), data.dtype)
    if ids.size and ids.min() < 0:  # negative ids are dropped
        keep = ids >= 0
        data, ids = data[keep], ids[keep]
    np.add.at(result, ids, data)
    return result


def check_upper(name, ids, num):
    """Raise where a segment id is not below `num`."""
    if ids.size and ids.max() >= num:
        raise invalid(name, f"segment_ids: {ids.max()} is not in [0, {num})")


def _segment_infer(data, ids, *, num):
    rows = num if isinstance(num, (int, np.integer)) else None
    if data.shape is None or ids.shape is None:
        return Spec(None, data.dtype)
    if any(None not in (n, m) and n != m for n, m in zip(data.shape, ids.shape, strict=False)) or len(ids.shape) > len(data.shape):
        raise invalid("unsorted_segment_sum", f"data.shape = {list(data.shape)} does not start with segment_ids.shape = {list(ids.shape)}")
    return Spec((rows, *data.shape[len(ids.shape) :]), data.dtype)


def _segment_sum_vjp(g, ids):
    """Rows of dropped (negative) ids get nothing."""
    zero = P.zeros_like(ids)
    rows = P.gather(g, P.maximum(ids, zero), axis=0, batch_dims=0)
    kept = P.greater_equal(ids, zero)
    extra = len(rows.dims) - len(ids.dims)
    kept = P.expand_dims(kept, axis=tuple(range(-extra, 0))) if extra else kept
    return P.where(kept, rows, P.zeros_like(rows))


unsorted_segment_sum = Primitive(
    "unsorted_segment_sum",
    _segment_sum_kernel,
    _segment_infer,
    vjp=(_segment_sum_vjp, None),
    jvp=(lambda t, ids, *, num: P.unsorted_segment_sum(t, ids, num=num), None),
    uniform=False,
)


def _slices_to_dense(slices):
    shape = slices.dense_shape
    rows = P.unstack(shape, axis=0, num=shape.dims[0])[0]
    count = int(rows._value) if type(rows) is Tensor else rows
    return P.unsorted_segment_sum(slices.values, slices.indices, num=count)


IndexedSlices.to_dense = staticmethod(_slices_to_dense)
IndexedSlices.concat = staticmethod(lambda parts: P.concat(*parts, axis=0))

__all__ = ["gather", "gather_grad", "unsorted_segment_sum"]
