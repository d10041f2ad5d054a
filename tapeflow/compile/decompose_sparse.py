"""Sparse tensors' ops taken apart: coordinates by quotients, products with matrices by gathers and sums of segments."""

import math

import numpy as np

from tapeflow.base.dtypes import INTEGERS, float32, float64, int64
from tapeflow.compile.internal import check_range
from tapeflow.compile.scalars import MACHINE
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.ops.movement import listed

SUMMED = {float32, float64, *INTEGERS}
SORTED = "Many sparse ops require sorted indices. Use `tf.sparse.reorder` to create a correctly ordered copy."


def _known(shape):
    return all(n.__class__ is int for n in shape) and 0 < math.prod(shape) < 1 << 63


def _column(indices, axis):
    return P.cast(P.strided_slice(indices, key=((None, None, None), axis)), dtype=int64)


def _linear(builder, name, indices, shape):
    """The row-major numbers of coordinates."""
    if not _known(shape) or len(indices.dims) != 2 or indices.dims[1] != len(shape) or not shape:
        return None
    found = None
    for axis, n in enumerate(shape):
        text = f"indices[..., {axis}] = {{value}} is out of bounds: need 0 <= index < {listed(shape)}"
        part = check_range(builder, _column(indices, axis), n, name, text)
        found = part if found is None else found * wrap(np.int64(n)) + part
    return found


def sparse_linear(builder, indices, *, shape):
    """Coordinates as numbers."""
    return _linear(builder, "sparse", indices, tuple(shape))


def sparse_coordinates(builder, linear, *, shape):
    """Numbers as coordinates."""
    shape = tuple(shape)
    if not _known(shape) or len(linear.dims) != 1 or not shape:
        return None
    total = math.prod(shape)
    text = f"place {{value}} is out of bounds: the shape {listed(shape)} has {total} places"
    rest, parts = check_range(builder, linear, total, "sparse", text), []
    for n in reversed(shape):
        parts.append(P.floormod(rest, wrap(np.int64(n))))
        rest = P.floordiv(rest, wrap(np.int64(n)))
    return P.stack(*reversed(parts), axis=1)


def sparse_to_dense(builder, indices, values, default, *, shape, validate):
    """One value everywhere, and others at their places; these are in order where that is asked for."""
    shape = tuple(shape)
    if values._dtype not in MACHINE or default.dims:
        return None
    linear = _linear(builder, "SparseToDense", indices, shape)
    if linear is None:
        return None
    count = indices.dims[0]
    if validate and count > 1:
        before, after = [P.strided_slice(linear, key=(part,)) for part in ((None, -1, None), (1, None, None))]
        places, zero = wrap(np.arange(1, count)), wrap(np.int64(0))
        for test, fault in ((P.equal, "repeated"), (P.less, "out of order")):
            wrong = P.where(test(after, before), places, zero)
            wrong = check_range(builder, wrong, 1, "SparseToDense", f"indices[{{value}}] is {fault}. {SORTED}")
            linear = linear + P.pad(wrong, paddings=((1, 0),), value=0)
    size, places = math.prod(shape), P.expand_dims(linear, axis=(1,))
    if validate and default.__class__ is Tensor and not default._value and values._dtype in SUMMED:
        found = P.scatter_nd(places, values, shape=(size,))  # each place once
    else:
        found = P.tensor_scatter(P.broadcast_to(default, shape=(size,)), places, values, how="update")
    return P.reshape(found, shape=shape)


def sparse_matmul(builder, indices, values, b, *, count, transpose=False):
    """Rows of the dense matrix times the values, added up where the values stand."""
    if b._dtype.is_complex or b._dtype not in MACHINE or count.__class__ is not int or count <= 0:
        return None
    parts = []
    for which, axis, end in ((0, int(transpose), count), (1, int(not transpose), b.dims[0])):
        text = f"{'mk'[which]} ({{value}}) from index[..., {which}] out of bounds (>={end})"
        parts.append(check_range(builder, _column(indices, axis), end, "SparseTensorDenseMatMul", text))
    rows, columns = parts
    products = P.expand_dims(values, axis=(1,)) * P.gather(b, columns, axis=0, batch_dims=0)
    return P.unsorted_segment_sum(products, rows, num=count)


SPARSE = {
    "sparse_coordinates": sparse_coordinates,
    "sparse_linear": sparse_linear,
    "sparse_matmul": sparse_matmul,
    "sparse_to_dense": sparse_to_dense,
}

__all__ = ["SPARSE"]
