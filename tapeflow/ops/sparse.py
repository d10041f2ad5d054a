"""What sparse tensors need: coordinates as numbers and back, sorted unique numbers, scattering to dense, the matrix product."""

import math

import numpy as np

from tapeflow.base.dtypes import INTEGERS, int32, int64, string
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import NUMBERS, sample
from tapeflow.ops.movement import listed
from tapeflow.ops.segment import accumulate

# Coordinates [n, rank] as numbers [n] in row-major order, and back.


def linear_index(name, indices, shape):
    """The row-major numbers of coordinates; raises where one is out of bounds."""
    if indices.ndim != 2 or indices.shape[1] != len(shape):
        raise ValueError(indices.shape)
    if math.prod(shape) >= 2**63:
        raise invalid(name, f"A sparse tensor of shape {listed(shape)} has more than 2**63 places")
    linear = np.zeros(len(indices), np.int64)
    for axis, n in enumerate(shape):
        part = indices[:, axis]
        if part.size and (part.min() < 0 or part.max() >= n):
            at = int(np.flatnonzero((part < 0) | (part >= n))[0])
            place = ",".join(map(str, indices[at].tolist()))
            raise invalid(name, f"indices[{at}] = [{place}] is out of bounds: need 0 <= index < {listed(shape)}")
        linear = linear * n + part
    return linear


def _linear_infer(indices, *, shape):
    dims = known_dims(shape)
    if indices.shape is None:
        return Spec((None,), int64)
    if len(indices.shape) != 2 or (dims is not None and indices.shape[1] not in (None, len(dims))):
        raise invalid(
            "sparse", f"coordinates must be a matrix [n, {len(dims or ())}], got the shape {listed(indices.shape)}"
        )
    return Spec((indices.shape[0],), int64)


sparse_linear = Primitive(
    "sparse_linear",
    lambda indices, *, shape: linear_index("sparse", indices, tuple(shape)),
    _linear_infer,
    accepts={int64},
    samples=lambda: [((np.array([[0, 2], [1, 0], [2, 4]]),), {"shape": (3, 5)})],
)


def _coordinates_kernel(linear, *, shape):
    if linear.ndim != 1:
        raise ValueError(linear.shape)
    shape = tuple(shape)
    if not linear.size:
        return np.zeros((0, len(shape)), np.int64)
    total = math.prod(shape)
    if linear.min() < 0 or linear.max() >= total:
        raise invalid("sparse", f"place {linear.max()} is out of bounds: the shape {listed(shape)} has {total} places")
    return np.stack(np.unravel_index(linear, shape), 1).astype(np.int64) if shape else np.zeros((len(linear), 0), np.int64)


sparse_coordinates = Primitive(
    "sparse_coordinates",
    _coordinates_kernel,
    lambda linear, *, shape: Spec((linear.shape[0] if linear.shape else None, _rank(shape)), int64),
    accepts={int64},
    samples=lambda: [((np.array([2, 5, 14]),), {"shape": (3, 5)})],
)


def _rank(shape):
    dims = known_dims(shape)
    return None if dims is None else len(dims)


def _sorted_unique_kernel(x):
    if x.ndim != 1:
        raise ValueError(x.shape)
    values, inverse = np.unique(x, return_inverse=True)
    return values, inverse.reshape(-1).astype(np.int64)


# sorted_unique([5, 2, 5]) is ([2, 5], [1, 0, 1]): the distinct numbers in order, and where each one is among them
sorted_unique = Primitive(
    "sorted_unique",
    _sorted_unique_kernel,
    lambda x: (Spec((None,), x.dtype), Spec(x.shape, int64)),
    accepts=INTEGERS | {string},
    multiple=True,
    samples=lambda: [((np.array([5, 2, 5, 3]),), {})],
)


# To dense


def _to_dense_kernel(indices, values, default, *, shape, validate):
    shape = tuple(shape)
    if indices.ndim != 2 or values.shape != indices.shape[:1] or np.ndim(default):
        raise ValueError(values.shape)
    linear = linear_index("SparseToDense", indices, shape)
    if validate and len(linear) > 1 and not np.all(linear[1:] > linear[:-1]):
        at = int(np.flatnonzero(linear[1:] <= linear[:-1])[0]) + 1
        place, fault = (
            ",".join(map(str, indices[at].tolist())),
            "repeated" if linear[at] == linear[at - 1] else "out of order",
        )
        raise invalid(
            "SparseToDense",
            f"indices[{at}] = [{place}] is {fault}. Many sparse ops require sorted indices. Use `tf.sparse.reorder` to create "
            "a correctly ordered copy.",
        )
    dense = np.full(math.prod(shape), default, values.dtype)
    dense[linear] = values
    return dense.reshape(shape)


def _to_dense_infer(indices, values, default, *, shape, validate):
    if None not in (indices.shape, values.shape) and (len(indices.shape) != 2 or len(values.shape) != 1):
        shapes = f"indices {listed(indices.shape)}, values {listed(values.shape)}"
        raise invalid("SparseToDense", f"indices must be a matrix and values a vector, got {shapes}")
    if default.dtype is not values.dtype:
        raise invalid("SparseToDense", f"values are {values.dtype.name}, the default value is {default.dtype.name}")
    _linear_infer(indices, shape=shape)
    return Spec(known_dims(shape), values.dtype)


def _default_vjp(g, indices):
    return P.sum(g, axis=None) - P.sum(P.gather_nd(g, indices), axis=None)


# sparse_to_dense(indices, values, default): `default` everywhere but at the coordinates
sparse_to_dense = Primitive(
    "sparse_to_dense",
    _to_dense_kernel,
    _to_dense_infer,
    vjp=(None, lambda g, indices: P.gather_nd(g, indices), _default_vjp),
    jvp=(
        None,
        lambda t, indices, *, shape, validate: P.sparse_to_dense(
            indices, t, P.fill(shape=(), value=0, dtype=t._dtype), shape=shape, validate=False
        ),
        lambda t, indices, values, *, shape, validate: P.sparse_to_dense(
            indices, P.zeros_like(values), t, shape=shape, validate=False
        ),
    ),
    accepts={int64},
    uniform=False,
    samples=lambda: [
        ((np.array([[0, 2], [1, 0], [2, 4]]), sample(3), np.float64(0.5)), {"shape": (3, 5), "validate": True}),
    ],
)


# The product with a dense matrix

_BLOCK = 2**20


def _product_kernel(indices, values, b, *, count, transpose=False):
    if (
        indices.ndim != 2
        or indices.shape[1] != 2
        or values.shape != indices.shape[:1]
        or b.ndim != 2
        or values.dtype != b.dtype
    ):
        raise ValueError(b.shape)
    rows, columns = (indices[:, 1], indices[:, 0]) if transpose else (indices[:, 0], indices[:, 1])
    for part, end, which in ((rows, count, 0), (columns, len(b), 1)):
        if part.size and (part.min() < 0 or part.max() >= end):
            at = int(np.flatnonzero((part < 0) | (part >= end))[0])
            raise invalid(
                "SparseTensorDenseMatMul", f"{'mk'[which]} ({part[at]}) from index[{at},{which}] out of bounds (>={end})"
            )
    wide = np.float32 if b.dtype.itemsize == 2 and b.dtype.kind not in "iu" else b.dtype
    result = np.zeros((count, b.shape[1]), wide)
    step = max(1, _BLOCK // max(1, b.shape[1]))  # the products of a block at a time
    for i in range(0, len(rows), step):
        part = rows[i : i + step]
        products = values[i : i + step, None].astype(wide) * b[columns[i : i + step]]
        if np.all(part[1:] >= part[:-1]):
            starts = np.flatnonzero(np.diff(part, prepend=-1))
            result[part[starts]] += np.add.reduceat(products, starts, axis=0)
        else:
            accumulate(np.add, result, part, products)
    return result.astype(b.dtype, copy=False)


def _product_infer(indices, values, b, *, count, transpose=False):
    if values.dtype is not b.dtype:
        raise invalid("SparseTensorDenseMatMul", f"the sparse matrix is {values.dtype.name}, b is {b.dtype.name}")
    if indices.shape is not None and (len(indices.shape) != 2 or indices.shape[1] not in (2, None)):
        raise invalid(
            "SparseTensorDenseMatMul", f"Tensor 'a_indices' must be a matrix with 2 columns: {listed(indices.shape)}"
        )
    if b.shape is not None and len(b.shape) != 2:
        raise invalid("SparseTensorDenseMatMul", f"Tensor 'b' is not a matrix: {listed(b.shape)}")
    return Spec((*known_dims((count,)), None if b.shape is None else b.shape[1]), b.dtype)


def _product_values_vjp(g, indices, b, *, transpose=False):
    """Each value meets the row of g that it went to and the row of b that it came from."""
    to, of = (1, 0) if transpose else (0, 1)
    rows = [P.strided_slice(indices, key=((None, None, None), axis)) for axis in (to, of)]
    taken = P.gather(g, rows[0], axis=0, batch_dims=0) * P.conj(P.gather(b, rows[1], axis=0, batch_dims=0))
    return P.sum(taken, axis=(1,))


# sparse_matmul(indices, values, b): the matrix of `count` rows (its transpose's where `transpose`) with these values, times b
sparse_matmul = Primitive(
    "sparse_matmul",
    _product_kernel,
    _product_infer,
    vjp=(
        None,
        _product_values_vjp,
        lambda g, indices, values, b_shape, *, transpose=False: P.sparse_matmul(
            indices, P.conj(values), g, count=b_shape[0], transpose=not transpose
        ),
    ),
    jvp=(
        None,
        lambda t, indices, b, *, count, transpose=False: P.sparse_matmul(indices, t, b, count=count, transpose=transpose),
        lambda t, indices, values, *, count, transpose=False: P.sparse_matmul(
            indices, values, t, count=count, transpose=transpose
        ),
    ),
    accepts={int64},
    uniform=False,
    samples=lambda: [
        ((np.array([[0, 2], [1, 0], [1, 2]]), sample(3), sample(3, 5)), {"count": 2}),
        ((np.array([[0, 2], [2, 0], [1, 2]]), sample(3), sample(3, 2)), {"count": 5, "transpose": True}),
    ],
)


# Slots of rows: where the values of rows of various lengths stand


def _range_kernel(starts, limits, deltas):
    if not starts.ndim == limits.ndim == deltas.ndim == 1 or not len(starts) == len(limits) == len(deltas):
        raise ValueError(starts.shape)
    if deltas.size and not np.all(deltas):
        raise invalid("RaggedRange", "Requires delta != 0")
    if starts.dtype.kind in "iu":
        sizes = np.maximum(-((starts - limits) // deltas), 0)
    else:
        sizes = np.maximum(np.ceil((limits - starts) / deltas), 0).astype(np.int64)
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)])
    steps = np.arange(splits[-1]) - np.repeat(splits[:-1], sizes)
    return splits, (np.repeat(starts, sizes) + steps * np.repeat(deltas, sizes)).astype(starts.dtype)


def _range_infer(starts, limits, deltas):
    for x in (starts, limits, deltas):
        if x.shape is not None and len(x.shape) != 1:
            raise invalid("RaggedRange", f"starts, limits and deltas must be vectors, got the shape {listed(x.shape)}")
    known = {x.shape[0] for x in (starts, limits, deltas) if x.shape and x.shape[0] is not None}
    if len(known) > 1:
        raise invalid("RaggedRange", f"starts, limits, and deltas must have the same shape, got {sorted(known)} elements")
    return Spec((None if not known else known.pop() + 1,), int64), Spec((None,), starts.dtype)


# ragged_range([0, 5], [2, 8], [1, 2]) is (row splits [0, 2, 4], values [0, 1, 5, 7])
ragged_range = Primitive(
    "ragged_range",
    _range_kernel,
    _range_infer,
    accepts=NUMBERS,
    multiple=True,
    samples=lambda: [((np.array([0, 5, 3]), np.array([2, 8, 3]), np.array([1, 2, 1])), {})],
)


def _slots_kernel(*splits, shape):
    """The number, in a dense array of `shape`, of each value's slot; -1 where it does not fit in."""
    slots = np.arange(len(splits[0]) - 1)
    inside = slots < shape[0]
    for split, width in zip(splits, shape[1:], strict=True):
        lengths = np.diff(split)
        column = np.arange(split[-1]) - np.repeat(split[:-1], lengths)
        inside = np.repeat(inside, lengths) & (column < width)
        slots = np.repeat(slots, lengths) * width + column
    return np.where(inside, slots, -1)


# ragged_slots(outer splits, ..., inner splits, shape=(2, 3)): where each flat value of a ragged tensor stands in a dense one
ragged_slots = Primitive(
    "ragged_slots",
    _slots_kernel,
    lambda *splits, shape: Spec((None,), int64),
    accepts={int32, int64},
    samples=lambda: [
        ((np.array([0, 2, 2, 5]),), {"shape": (3, 2)}),
        ((np.array([0, 1, 3]), np.array([0, 2, 2, 5])), {"shape": (2, 2, 3)}),
    ],
)


def _checked_splits_kernel(splits, *, count, what):
    if splits.ndim != 1 or not len(splits):
        raise ValueError(splits.shape)
    fault = None
    if splits[0] != 0:
        fault = f"zero: row_splits[0] must be 0, got {splits[0]}"
    elif np.any(splits[1:] < splits[:-1]):
        at = int(np.flatnonzero(splits[1:] < splits[:-1])[0]) + 1
        fault = f"monotonic: row_splits[{at}] = {splits[at]} is less than row_splits[{at - 1}] = {splits[at - 1]}"
    elif splits[-1] != count:
        fault = f"row_splits[-1] must be the number of values: {splits[-1]} is not {count}"
    if fault is not None:
        raise invalid(what, f"Arguments to {what} do not form a valid RaggedTensor:{fault}")
    return splits


def _checked_splits_infer(splits, *, count, what):
    if splits.shape is not None and len(splits.shape) != 1:
        raise ValueError(f"Shape {listed(splits.shape)} must have rank 1: row_splits is a vector")
    if splits.shape == (0,):
        raise ValueError("row_splits tensor may not be empty.")
    return splits


# The splits themselves, with an error where they do not divide `count` values into rows.
checked_splits = Primitive(
    "checked_splits",
    _checked_splits_kernel,
    _checked_splits_infer,
    accepts={int32, int64},
    samples=lambda: [((np.array([0, 2, 2, 5]),), {"count": 5, "what": "sample"})],
)
