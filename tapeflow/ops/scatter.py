"""Ops that place elements by index: scatter_nd, tensor_scatter, dynamic_stitch and dynamic_partition."""

import math

import numpy as np

from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import sample
from tapeflow.ops.index import (
    add_rows,
    batch_coordinates,
    check_coordinates,
    check_indices,
    coordinate_samples,
    linear_rows,
    refuse_index_dtype,
)
from tapeflow.ops.movement import dims_of, listed
from tapeflow.ops.segment import accumulate

# scatter_nd, the transpose of gather_nd


def _scatter_nd_kernel(indices, updates, *, shape, batch_dims=0, drop=False):
    shape = tuple(shape)
    rows, data = rows_and_data("scatter_nd", shape, indices, updates, batch_dims, drop)
    outer = batch_dims + indices.shape[-1]
    if data.dtype.kind in "bO":
        result = np.full((math.prod(shape[:outer]), data.shape[1]), b"" if data.dtype == object else False, data.dtype)
        np.add.at(result, rows, data) if data.dtype == object else np.logical_or.at(result, rows, data)
        return result.reshape(shape)
    return add_rows(rows, data, math.prod(shape[:outer])).reshape(shape)


def rows_and_data(name, shape, indices, updates, batch_dims, drop):
    """Flat rows and the updates as a matrix of such rows; dropped ones left out."""
    rows = linear_rows(name, indices, shape, batch_dims, "shape", drop)
    inner = shape[batch_dims + indices.shape[-1] :]
    if updates.shape != rows.shape + inner:
        raise ValueError(updates.shape)
    rows = rows.reshape(-1)
    data = updates.reshape(rows.size, math.prod(inner))
    if drop:
        data, rows = data[rows >= 0], rows[rows >= 0]
    return rows, data


def check_scatter(name, dims, indices, updates, batch_dims):
    """Raise where updates (a spec) do not fit the indices and the shape that they are scattered into."""
    refuse_index_dtype(name, indices)
    if indices.shape is None or updates.shape is None or dims is None or indices.shape[-1:] == (None,):
        return
    if not indices.shape:
        raise invalid(name, "indices must be at least a vector, got a scalar")
    depth, outer = indices.shape[-1], len(indices.shape) - 1
    inner = dims[batch_dims + depth :]
    if batch_dims + depth > len(dims) or not _alike(updates.shape[outer:], inner):
        raise invalid(
            name,
            "Inner dimensions of output shape must match inner dimensions of updates shape. "
            f"Dimensions [{batch_dims + depth},{len(dims)}) of input[shape={listed(dims)}] must match dimensions "
            f"[{outer},{len(updates.shape)}) of updates[shape={listed(updates.shape)}] "
            f"Output: {listed(dims)} updates: {listed(updates.shape)}",
        )
    if not _alike(updates.shape[:outer], indices.shape[:-1]):
        raise invalid(
            name,
            f"Dimensions [0,{outer}) of indices[shape={listed(indices.shape)}] must match dimensions [0,{outer}) of "
            f"updates[shape={listed(updates.shape)}]",
        )


def _alike(a, b):
    return len(a) == len(b) and all(None in (n, m) or n == m for n, m in zip(a, b, strict=True))


def _scatter_nd_infer(indices, updates, *, shape, batch_dims=0, drop=False):
    dims = known_dims(shape)
    check_scatter("scatter_nd", dims, indices, updates, batch_dims)
    return Spec(dims, updates.dtype)


scatter_nd = Primitive(
    "scatter_nd",
    _scatter_nd_kernel,
    _scatter_nd_infer,
    vjp=(
        None,
        lambda g, indices, *, batch_dims=0, drop=False: P.gather_nd(g, indices, batch_dims=batch_dims, drop=drop),
    ),
    jvp=(
        None,
        lambda t, indices, *, shape, batch_dims=0, drop=False: P.scatter_nd(
            indices, t, shape=shape, batch_dims=batch_dims, drop=drop
        ),
    ),
    batch=batch_coordinates,
    uniform=False,
    samples=lambda: [((i, _taken(x, i, b)), {"shape": x.shape, "batch_dims": b}) for x, i, b in coordinate_samples()],
)


def _taken(x, indices, batch_dims):
    return P.gather_nd.kernel(x, indices, batch_dims=batch_dims) + 0.5


# tensor_scatter: a tensor with some of its elements changed. `how` names the function that combines old and new.

COMBINE = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "min": np.minimum,
    "max": np.maximum,
}


def scatter_into(target, rows, data, how):
    """Change rows of the [n, width] array `target` in place; what is scattered to one row twice counts twice."""
    if how == "update":
        target[rows] = data
    elif how == "div" and not np.all(data):
        raise invalid("ResourceScatterDiv", "updates must not contain 0")
    elif how == "div" and target.dtype.kind in "iu":
        for row, divisor in zip(rows.tolist(), data, strict=True):
            target[row] = P.truncatediv.kernel(target[row], divisor)
    else:
        accumulate(COMBINE[how], target, rows, data)


def _tensor_scatter_kernel(tensor, indices, updates, *, how, batch_dims=0, drop=False):
    if tensor.dtype != updates.dtype:
        raise TypeError(updates.dtype)
    rows, data = rows_and_data("tensor_scatter", tensor.shape, indices, updates, batch_dims, drop)
    result = np.array(tensor, order="C")
    outer = math.prod(tensor.shape[: batch_dims + indices.shape[-1]])
    scatter_into(result.reshape(outer, data.shape[1]), rows, data, how)
    return result


def _tensor_scatter_infer(tensor, indices, updates, *, how, batch_dims=0, drop=False):
    if updates.dtype is not tensor.dtype:
        raise invalid(
            "tensor_scatter",
            "cannot compute tensor_scatter as input #2(zero-based) was expected to be a "
            f"{tensor.dtype.c_name} tensor but is a {updates.dtype.c_name} tensor",
        )
    check_coordinates("tensor_scatter", Spec(None, tensor.dtype), indices)
    check_scatter("tensor_scatter", tensor.shape, indices, updates, batch_dims)
    return tensor


def _tensor_scatter_dx(g, tensor, indices, updates, out, *, how, batch_dims=0, drop=False):
    match how:
        case "add" | "sub":
            return g
        case "update":
            zeros = P.zeros_like(updates)
            return P.tensor_scatter(g, indices, zeros, how="update", batch_dims=batch_dims, drop=drop)
        case "min" | "max":
            kept = P.cast(P.equal(tensor, out), dtype=g._dtype)
            return g * kept / _extremes(g, tensor, indices, updates, out, batch_dims)
        case _:
            raise LookupError(f"tensor_scatter: {how!r} has no gradient.")


def _extremes(g, tensor, indices, updates, out, batch_dims):
    """How many values, old and new, share each extreme: equal extremes share the cotangent evenly."""
    hits = _hits(g, indices, updates, out, batch_dims)
    counted = P.scatter_nd(indices, hits, shape=dims_of(tensor), batch_dims=batch_dims)
    return P.cast(P.equal(tensor, out), dtype=g._dtype) + counted


def _hits(g, indices, updates, out, batch_dims):
    return P.cast(P.equal(updates, P.gather_nd(out, indices, batch_dims=batch_dims)), dtype=g._dtype)


def _tensor_scatter_du(g, tensor, indices, updates, out, *, how, batch_dims=0, drop=False):
    match how:
        case "add" | "update":
            return P.gather_nd(g, indices, batch_dims=batch_dims, drop=drop)
        case "sub":
            return -P.gather_nd(g, indices, batch_dims=batch_dims, drop=drop)
        case "min" | "max":
            share = g / _extremes(g, tensor, indices, updates, out, batch_dims)
            return P.gather_nd(share, indices, batch_dims=batch_dims) * _hits(g, indices, updates, out, batch_dims)
        case _:
            raise LookupError(f"tensor_scatter: {how!r} has no gradient.")


tensor_scatter = Primitive(
    "tensor_scatter",
    _tensor_scatter_kernel,
    _tensor_scatter_infer,
    vjp=(_tensor_scatter_dx, None, _tensor_scatter_du),
    batch=batch_coordinates,
    uniform=False,
    samples=lambda: [
        ((x, i, _taken(x, i, b)), {"how": how, "batch_dims": b})
        for x, i, b in coordinate_samples()
        for how in ("add", "sub", "update", "max")
    ],
)


# dynamic_stitch and dynamic_partition


def starts_with(dims, prefix):
    """Whether a shape may start with another, as far as both are known."""
    return len(prefix) <= len(dims) and all(None in (n, m) or n == m for n, m in zip(dims, prefix, strict=False))


def _stitch_kernel(indices, data):
    if indices.ndim != 1 or indices.shape != data.shape[:1]:
        raise ValueError(indices.shape)
    if indices.size and indices.min() < 0:
        raise invalid("dynamic_stitch", f"indices[{int(indices.argmin())}] is out of range: {indices.min()}")
    empty = b"" if data.dtype == object else 0
    result = np.full((int(indices.max(initial=-1)) + 1, *data.shape[1:]), empty, data.dtype)
    result[indices] = data
    return result


def _stitch_infer(indices, data):
    if indices.shape is not None and data.shape is not None and not starts_with(data.shape, indices.shape):
        raise invalid(
            "dynamic_stitch",
            f"data[0].shape = {listed(data.shape)} does not start with indices[0].shape = {listed(indices.shape)}",
        )
    return Spec(None if data.shape is None else (None, *data.shape[1:]), data.dtype)


# stitch(indices, data): row indices[i] of the result is data[i]; the last wins.
stitch = Primitive(
    "stitch",
    _stitch_kernel,
    _stitch_infer,
    vjp=(None, lambda g, indices: P.gather(g, indices, axis=0, batch_dims=0)),
    jvp=(None, lambda t, indices: P.stitch(indices, t)),
    uniform=False,
    samples=lambda: [((np.array([2, 0, 1], np.int32), sample(3, 5)), {})],
)


def _partition_kernel(data, partitions, *, num):
    if partitions.shape != data.shape[: partitions.ndim]:
        raise ValueError(partitions.shape)
    check_indices("dynamic_partition", partitions, num, "partitions")
    ids = partitions.reshape(-1)
    rows = data.reshape((ids.size, *data.shape[partitions.ndim :]))[np.argsort(ids, kind="stable")]
    ends = np.cumsum(np.bincount(ids, minlength=num))
    return tuple([rows[start:end] for start, end in zip([0, *ends], ends, strict=False)])


def _partition_infer(data, partitions, *, num):
    if partitions.dtype.is_integer is False:
        refuse_index_dtype("dynamic_partition", partitions)
    if data.shape is None or partitions.shape is None:
        return (Spec(None, data.dtype),) * num
    if not starts_with(data.shape, partitions.shape):
        raise invalid(
            "dynamic_partition",
            f"data.shape must start with partitions.shape, got data.shape = {listed(data.shape)}, partitions.shape = "
            f"{listed(partitions.shape)}",
        )
    return (Spec((None, *data.shape[len(partitions.shape) :]), data.dtype),) * num


def _partition_vjp(gs, partitions, data_shape, *, num):
    """Number the rows, partition the numbers the same way, and stitch the cotangents together by them."""
    ones = P.reshape(P.ones_like(partitions), shape=(-1,))
    numbers = P.cumsum(ones, axis=0, exclusive=True)
    where = P.dynamic_partition(numbers, P.reshape(partitions, shape=(-1,)), num=num)
    return P.reshape(P.stitch(P.concat(*where, axis=0), P.concat(*gs, axis=0)), shape=data_shape)


dynamic_partition = Primitive(
    "dynamic_partition",
    _partition_kernel,
    _partition_infer,
    vjp=(_partition_vjp, None),
    jvp=(lambda t, partitions, *, num: P.dynamic_partition(t, partitions, num=num), None),
    uniform=False,
    multiple=True,
    samples=lambda: [
        ((sample(4, 3), np.array([1, 0, 1, 2], np.int32)), {"num": 3}),
        ((sample(2, 3), np.array([[1, 0, 1], [0, 0, 1]], np.int32)), {"num": 2}),
    ],
)
