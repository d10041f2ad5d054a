"""Ops that pick elements by index: gather and gather_nd, and what carries their cotangents back."""

import math

import numpy as np

from tapeflow.base.dtypes import as_dtype
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor, known_dims, register_tensor_conversion_function
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import Spec, Tensor, ndarray, wrap
from tapeflow.ops.family import sample
from tapeflow.ops.movement import dims_of, listed, rank_of
from tapeflow.ops.segment import accumulate

# Seen as unsigned, a negative index is a huge one: one comparison finds both kinds of wrong index.
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def outside(indices, size):
    """Whether an index (an integer array or NumPy scalar) is not in [0, size)."""
    if indices.__class__ is not ndarray:
        return not 0 <= indices < size
    if not indices.size:
        return False
    if indices.dtype.kind == "i":
        indices = indices.view(_UNSIGNED[indices.dtype.itemsize])
    return bool(np.maximum.reduce(indices, axis=None) >= size)


def check_indices(name, indices, size, what="indices"):
    """Raise TensorFlow's InvalidArgumentError where an index is not in [0, size)."""
    if indices.dtype.kind not in "iu":
        raise TypeError(indices.dtype)
    if outside(indices, size):
        wrong = np.argwhere(np.atleast_1d((indices < 0) | (indices >= size)))[0]
        at = f"[{','.join(map(str, wrong))}]" if np.ndim(indices) else ""
        value = indices[tuple(wrong)] if np.ndim(indices) else indices
        raise invalid(name, f"{what}{at} = {value} is not in [0, {size})")


def refuse_index_dtype(name, indices):
    """Raise where the indices (a spec) are no integers."""
    if not indices.dtype.is_integer:
        raise invalid(
            name,
            f"Value for attr 'Tindices' of {indices.dtype.c_name} is not in the list of allowed values: int16, int32, int64",
        )


# gather


def _gather_parts(dims, axis, batch_dims):
    """How many batches, axes between the batch and `axis` (multiplied), and elements of `axis` there are."""
    axis = axis % len(dims)
    return math.prod(dims[:batch_dims]), math.prod(dims[batch_dims:axis]), dims[axis]


def _flat_rows(indices, batches, between, size):
    """For each (batch, position between, index) the row in the array flattened up to the gathered axis."""
    count = indices.size // batches if batches else 0
    start = np.arange(batches * between).reshape(batches, between, 1) * size
    return (start + indices.reshape(batches, 1, count)).ravel()


def _gather_kernel(params, indices, *, axis=0, batch_dims=0):
    if indices.dtype == object:  # a shape is followed while tracing, see `partial_value`
        indices = indices.astype(np.int64)
    check_indices("gather", indices, params.shape[axis])
    if not batch_dims:
        return params.take(indices, axis)
    axis %= params.ndim
    if indices.shape[:batch_dims] != params.shape[:batch_dims] or batch_dims > axis:
        raise ValueError(indices.shape)
    batches, between, size = _gather_parts(params.shape, axis, batch_dims)
    after = params.shape[axis + 1 :]
    rows = params.reshape((batches * between * size, *after)).take(_flat_rows(indices, batches, between, size), 0)
    return rows.reshape(params.shape[:axis] + indices.shape[batch_dims:] + after)


def _gather_infer(params, indices, *, axis=0, batch_dims=0):
    refuse_index_dtype("gather", indices)
    if params.shape is None or indices.shape is None:
        return Spec(None, params.dtype)
    rank = len(params.shape)
    if not rank:
        raise invalid("gather", "params must be at least 1 dimensional")
    if not -rank <= axis < rank:
        raise invalid(
            "gather",
            f"Shape must be at least rank {axis + 1 if axis >= 0 else -axis} but is rank {rank}: "
            f"Expected axis in the range [-{rank}, {rank}), but got {axis}",
        )
    axis %= rank
    most = min(axis, len(indices.shape))
    if not 0 <= batch_dims <= most:
        raise invalid("gather", f"Expected batch_dims in the range [0, {most}], but got {batch_dims}")
    for i, (n, m) in enumerate(zip(params.shape[:batch_dims], indices.shape[:batch_dims], strict=True)):
        if None not in (n, m) and n != m:
            raise invalid("gather", f"params.shape[{i}]: {n} should be equal to indices.shape[{i}]: {m}")
    return Spec(params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis + 1 :], params.dtype)


def _gather_vjp(g, indices, params_shape, *, axis=0, batch_dims=0):
    if axis == 0 and batch_dims == 0:
        inner = dims_of(g)[rank_of(indices) :]
        count = math.prod(indices.dims) if None not in indices.dims else P.prod(P.shape(indices), axis=None)
        values = P.reshape(g, shape=(count, *inner))
        return IndexedSlices(values, P.reshape(indices, shape=(-1,)), as_vector(params_shape))
    return P.gather_grad(g, indices, shape=params_shape, axis=axis, batch_dims=batch_dims)


def as_vector(shape):
    """A shape residual as an int32 vector."""
    return wrap(np.array(shape, np.int32)) if isinstance(shape, tuple) else shape


def in_one_batch(inputs, batched):
    """The inputs, each given the batch axis where it has none."""
    size = next(dims_of(x)[0] for x, b in zip(inputs, batched, strict=True) if b)
    return [
        x if b else P.broadcast_to(P.expand_dims(x, axis=(0,)), shape=(size, *dims_of(x)))
        for x, b in zip(inputs, batched, strict=True)
    ]


def _gather_batch(op, inputs, batched, attrs):
    axis, batch_dims = attrs.get("axis", 0), attrs.get("batch_dims", 0)
    params, indices = inputs
    axis = axis if axis >= 0 else axis + len(params.dims) - batched[0]
    if batched == (True, False) and not batch_dims:
        return op(params, indices, axis=axis + 1, batch_dims=0)
    if batched == (False, True) and not batch_dims and axis == 0:
        return op(params, indices, axis=0, batch_dims=0)
    return op(*in_one_batch(inputs, batched), axis=axis + 1, batch_dims=batch_dims + 1)


def _gather_samples():
    matrix, cube = sample(3, 5), sample(2, 3, 5)
    pairs = np.array([[0, 2], [1, 1]], np.int32)
    return [
        ((matrix, np.array([2, 0, 2], np.int32)), {"axis": 0, "batch_dims": 0}),
        ((matrix, np.int32(1)), {"axis": 0, "batch_dims": 0}),
        ((matrix, pairs), {"axis": 1, "batch_dims": 0}),
        ((cube, pairs), {"axis": 1, "batch_dims": 1}),
        ((cube, pairs), {"axis": -1, "batch_dims": 1}),
    ]


gather = Primitive(
    "gather",
    _gather_kernel,
    _gather_infer,
    vjp=(_gather_vjp, None),
    jvp=(lambda t, indices, *, axis=0, batch_dims=0: P.gather(t, indices, axis=axis, batch_dims=batch_dims), None),
    batch=_gather_batch,
    uniform=False,
    samples=_gather_samples,
)


def _gather_grad_kernel(g, indices, *, shape, axis, batch_dims):
    """Add each gathered cotangent back where it was taken from."""
    batches, between, size = _gather_parts(shape, axis, batch_dims)
    after = math.prod(shape[axis % len(shape) + 1 :])
    rows = _flat_rows(indices, batches, between, size)
    return add_rows(rows, g.reshape(rows.size, after), batches * between * size).reshape(shape)


def _gather_grad_batch(op, inputs, batched, attrs):
    shape, axis = attrs["shape"], attrs["axis"]
    g, indices = in_one_batch(inputs, batched)
    axis = axis + 1 if axis >= 0 else axis
    return op(g, indices, shape=(dims_of(g)[0], *shape), axis=axis, batch_dims=attrs["batch_dims"] + 1)


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
    batch=_gather_grad_batch,
    uniform=False,
    samples=lambda: [
        ((_gather_kernel(x, indices, **attrs), indices), {"shape": x.shape, **attrs})
        for (x, indices), attrs in _gather_samples()
    ],
)


def add_rows(rows, data, count):
    """The [count, width] array to whose row `rows[i]` each `data[i]` was added; half floats add up in float32."""
    wide = np.float32 if data.dtype.itemsize == 2 and data.dtype.kind not in "iu" else data.dtype
    result = np.zeros((count, data.shape[1]), wide)
    accumulate(np.add, result, rows, data.astype(wide, copy=False))
    return result.astype(data.dtype, copy=False)


# gather_nd: the last axis of the indices holds coordinates


def linear_rows(name, indices, dims, batch_dims, what, drop=False):
    """Coordinates as rows of the array of shape `dims` whose leading axes are flattened.

    Args:
        indices: [*batch, ..., k] integers: coordinates into the k axes behind the batch.
        drop: whether wrong coordinates give -1 instead of raising.

    Returns:
        int64 rows of shape [*batch, ...].
    """
    if not indices.ndim or indices.dtype.kind not in "iu" or indices.shape[:batch_dims] != dims[:batch_dims]:
        raise ValueError(indices.shape)
    depth = indices.shape[-1]
    sizes = dims[batch_dims : batch_dims + depth]
    if len(sizes) < depth:
        raise ValueError(sizes)
    rows = wrong = None
    for i, size in enumerate(sizes):
        part = indices[..., i]
        if outside(part, size):
            bad = (part < 0) | (part >= size)
            wrong = bad if wrong is None else wrong | bad
        rows = part.astype(np.int64) if rows is None else rows * size + part
    if rows is None:
        rows = np.zeros(indices.shape[:-1], np.int64)
    if wrong is not None and not drop:
        first = tuple(np.argwhere(np.atleast_1d(wrong))[0])
        at, coordinates = (first, indices[first]) if np.ndim(wrong) else ((0,), indices)
        raise invalid(
            name,
            f"indices[{','.join(map(str, at))}] = {coordinates.tolist()} does not index into {what} {listed(dims)}",
        )
    if batch_dims:
        start = np.arange(math.prod(dims[:batch_dims])) * math.prod(sizes)
        rows = rows + start.reshape(dims[:batch_dims] + (1,) * (rows.ndim - batch_dims))
    if wrong is not None:
        rows = np.where(wrong, -1, rows)
    return rows


def check_coordinates(name, params, indices, batch_dims=0):
    """The depth of coordinates (specs) into `params`, None where it is unknown; raises where they cannot fit."""
    refuse_index_dtype(name, indices)
    if indices.shape is None:
        return None
    if len(indices.shape) <= batch_dims:
        raise invalid(
            name, f"indices must be at least a vector, got shape {listed(indices.shape)} (batch_dims={batch_dims})"
        )
    for i, (n, m) in enumerate(
        zip(params.shape[:batch_dims], indices.shape[:batch_dims], strict=True) if params.shape else ()
    ):
        if None not in (n, m) and n != m:
            raise invalid(name, f"params.shape[{i}]: {n} should be equal to indices.shape[{i}]: {m}")
    depth = indices.shape[-1]
    if depth is not None and params.shape is not None and depth > len(params.shape) - batch_dims:
        raise invalid(
            name,
            f"index innermost dimension length must be <= params rank; saw: {depth} vs. {len(params.shape) - batch_dims}",
        )
    return depth


def _gather_nd_kernel(params, indices, *, batch_dims=0, drop=False):
    rows = linear_rows("gather_nd", indices, params.shape, batch_dims, "param shape", drop)
    rest = params.shape[batch_dims + indices.shape[-1] :]
    flat = params.reshape((math.prod(params.shape[: batch_dims + indices.shape[-1]]), *rest))
    if drop and rows.size and rows.min() < 0:
        taken = np.zeros(rows.shape + rest, params.dtype)
        taken[rows >= 0] = flat[rows[rows >= 0]]
        return taken
    return flat.take(rows, 0)


def _gather_nd_infer(params, indices, *, batch_dims=0, drop=False):
    depth = check_coordinates("gather_nd", params, indices, batch_dims)
    if params.shape is None or depth is None:
        return Spec(None, params.dtype)
    return Spec(indices.shape[:-1] + params.shape[batch_dims + depth :], params.dtype)


def _gather_nd_vjp(g, indices, params_shape, *, batch_dims=0, drop=False):
    if indices.dims is not None and len(indices.dims) == 2 and indices.dims[1] == 1 and not batch_dims and not drop:
        return IndexedSlices(g, P.squeeze(indices, axis=(1,)), P.cast(as_vector(params_shape), dtype=indices._dtype))
    return P.scatter_nd(indices, g, shape=params_shape, batch_dims=batch_dims, drop=drop)


def batch_coordinates(op, inputs, batched, attrs):
    """Batch rule of ops on coordinates: one more batch axis."""
    attrs = {**attrs, "batch_dims": attrs.get("batch_dims", 0) + 1}
    inputs = in_one_batch(inputs, batched)
    if "shape" in attrs:
        attrs["shape"] = (dims_of(inputs[0])[0], *attrs["shape"])
    return op(*inputs, **attrs)


def coordinate_samples():
    """(params, indices, batch_dims) for the ops on coordinates."""
    return [
        (sample(3, 5), np.array([[2, 1], [0, 2]], np.int32), 0),
        (sample(3, 5), np.array([[2], [0]], np.int32), 0),
        (sample(2, 3, 5), np.array([[[2, 1]], [[0, 2]]], np.int32), 1),
        (sample(3, 5), np.array([1, 2], np.int64), 0),
    ]


gather_nd = Primitive(
    "gather_nd",
    _gather_nd_kernel,
    _gather_nd_infer,
    vjp=(_gather_nd_vjp, None),
    jvp=(
        lambda t, indices, *, batch_dims=0, drop=False: P.gather_nd(t, indices, batch_dims=batch_dims, drop=drop),
        None,
    ),
    batch=batch_coordinates,
    uniform=False,
    samples=lambda: [((x, i), {"batch_dims": b}) for x, i, b in coordinate_samples()],
)


def _slices_to_dense(slices):
    if slices.dense_shape is None:
        raise ValueError(f"Tensor conversion requested for IndexedSlices without dense_shape: {slices!r}")
    rows = P.strided_slice(convert_to_tensor(slices.dense_shape), key=(0,))
    count = int(rows._value) if rows.__class__ is Tensor else rows
    return P.unsorted_segment_sum(convert_to_tensor(slices.values), convert_to_tensor(slices.indices), num=count)


IndexedSlices.to_dense = staticmethod(_slices_to_dense)
IndexedSlices.concat = staticmethod(lambda parts: P.concat(*parts, axis=0))


def _convert_slices(value, dtype=None, name=None, as_ref=False):
    """`IndexedSlices` as a tensor, wherever one is expected."""
    if dtype is not None and as_dtype(dtype) != value.dtype:
        raise ValueError(
            f"Incompatible tensor conversion requested to `dtype` {as_dtype(dtype).name} for IndexedSlices ({value!r}) "
            f"with dtype {as_dtype(value.dtype).name}"
        )
    return value.dense()


register_tensor_conversion_function(IndexedSlices, _convert_slices)
