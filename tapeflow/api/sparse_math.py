"""`tf.sparse`: arithmetic, products, reductions and segments of sparse tensors."""

import math

from tapeflow.api.export import export
from tapeflow.api.math_reduce import axes
from tapeflow.api.math_segment import _mean_in_dtype, _sqrt_n, _sum
from tapeflow.api.sparse_tensor import (
    SparseTensor,
    at_places,
    column,
    columns,
    count_of,
    in_order,
    places_of,
    rows,
    same_sizes,
    size_vector,
    sparse_input,
)
from tapeflow.base.dtypes import float32, int64
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.rules import shape_of
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import listed

# Elementwise


def _united(op, a, b):
    """(places, values of a, values of b) at the coordinates of either; what one of them lacks is 0 there."""
    same_sizes(op, a, b)
    if a.dtype is not b.dtype:
        raise invalid(
            op,
            f"cannot compute {op} as input #4(zero-based) was expected to be a {a.dtype.c_name} tensor but is a "
            f"{b.dtype.c_name} tensor",
        )
    places, which = P.sorted_unique(P.concat(places_of(a), places_of(b), axis=0))
    count = count_of(a.values)
    split = (P.strided_slice(which, key=((None, count, None),)), P.strided_slice(which, key=((count, None, None),)))
    total = count_of(places)
    return places, *[P.unsorted_segment_sum(x.values, ids, num=total) for x, ids in zip((a, b), split, strict=True)]


@export("sparse.add")
def add(a, b, threshold=0):
    """The sum of two tensors, at least one of which is sparse; the sum is sparse where both are.

    Args:
        a, b: tensors of one shape and dtype.
        threshold: sums of a smaller absolute value are left out; 0 keeps all.

    Raises:
        TypeError: none of them is sparse.
        InvalidArgumentError: shapes or dtypes differ.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.sparse.add(tf.SparseTensor([[0]], [5], [3]), tf.SparseTensor([[2]], [7], [3]))
        >>> tf.sparse.to_dense(x).numpy().tolist()
        [5, 0, 7]
    """
    if not isinstance(a, SparseTensor) and not isinstance(b, SparseTensor):
        raise TypeError("At least one input should be SparseTensor; do you mean to use tf.add()?")
    if isinstance(a, SparseTensor) and isinstance(b, SparseTensor):
        places, x, y = _united("SparseAdd", a, b)
        result = at_places(places, x + y, a.sizes)
        result._static = a.shape.merge_with(b.shape)
        if threshold.__class__ is int and threshold == 0:
            return result
        size = P.abs(result.values)
        keep = P.greater_equal(size, convert_to_tensor(threshold, size._dtype))
        return SparseTensor(
            P.boolean_mask(result.indices, keep, axis=0), P.boolean_mask(result.values, keep, axis=0), result.dense_shape
        )
    sparse, dense = (a, b) if isinstance(a, SparseTensor) else (b, a)
    dense = convert_to_tensor(dense, None if isinstance(dense, Tensor) else sparse.dtype)
    if None not in (dense.dims, sparse.dims) and len(dense.dims) != len(sparse.dims):
        raise invalid(
            "SparseTensorDenseAdd", f"Two operands have different ranks; received: {len(sparse.dims)} and {len(dense.dims)}"
        )
    if not sparse.shape.is_compatible_with(dense.shape):
        raise invalid("SparseTensorDenseAdd", f"Operands' shapes do not match: got {sparse.shape} and {dense.shape}")
    return P.tensor_scatter(dense, sparse.indices, sparse.values, how="add")


def _extreme(op, name, sp_a, sp_b):
    a, b = sparse_input(sp_a), sparse_input(sp_b)
    places, x, y = _united(name, a, b)
    result = at_places(places, op(x, y), a.sizes)
    result._static = a.shape.merge_with(b.shape)
    return result


@export("sparse.maximum")
def maximum(sp_a, sp_b, name=None):
    """The larger of two sparse tensors, elementwise; what one of them lacks counts as 0.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.maximum(tf.SparseTensor([[0]], [5], [3]), tf.SparseTensor([[2]], [-7], [3])).values.numpy().tolist()
        [5, 0]
    """
    return _extreme(P.maximum, "SparseSparseMaximum", sp_a, sp_b)


@export("sparse.minimum")
def minimum(sp_a, sp_b, name=None):
    """The smaller of two sparse tensors, elementwise; what one of them lacks counts as 0.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.minimum(tf.SparseTensor([[0]], [5], [3]), tf.SparseTensor([[2]], [-7], [3])).values.numpy().tolist()
        [0, -7]
    """
    return _extreme(P.minimum, "SparseSparseMinimum", sp_a, sp_b)


@export("sparse.map_values")
def map_values(op, *args, **kwargs):
    """`op` of the values of sparse tensors that have the same coordinates, put back at those.

    Args:
        op: called with the values in place of the sparse tensors among the arguments; gives a value for each of them.

    Raises:
        ValueError: no argument is sparse, or the result is not one value for each element.
        InvalidArgumentError: the coordinates differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.map_values(tf.add, tf.SparseTensor([[2]], [7], [3]), 1).values.numpy().tolist()
        [8]
    """
    found = []

    def values_of(x):
        if isinstance(x, SparseTensor):
            found.append(x)
            return x.values
        return type(x)(map(values_of, x)) if x.__class__ in (list, tuple) else x

    inner_args = [values_of(x) for x in args]
    inner_kwargs = {key: values_of(x) for key, x in kwargs.items()}
    if not found:
        raise ValueError("No SparseTensor in argument list of map_values")
    for other in found[1:]:
        _same_coordinates(found[0], other)
    return found[0].with_values(op(*inner_args, **inner_kwargs))


def _same_coordinates(a, b):
    for x, y, what in ((a.dense_shape, b.dense_shape, "shapes"), (a.indices, b.indices, "indices")):
        if x is y:
            continue
        if state.graph is None and x.dims != y.dims:
            raise InvalidArgumentError(None, None, f"Mismatched {what}! {x!r} and {y!r}")
        same = P.all(P.equal(x, y), axis=None)
        P.assert_that(same, x, y, texts=(f"Mismatched {what}!", None, None), summarize=6)


# Products


@export("sparse.sparse_dense_matmul")
def sparse_dense_matmul(sp_a, b, adjoint_a=False, adjoint_b=False, name=None):
    """The product of a sparse and a dense matrix, in either order; a dense matrix.

    Args:
        sp_a, b: one sparse matrix and one dense matrix of the same dtype.
        adjoint_a, adjoint_b: whether the matrix is transposed and conjugated first.

    Raises:
        InvalidArgumentError: the inner dimensions, the ranks or the dtypes do not fit.

    Example:
        >>> import tapeflow as tf
        >>> a = tf.SparseTensor([[0, 1], [1, 0]], [2.0, 3.0], [2, 2])
        >>> tf.sparse.sparse_dense_matmul(a, [[1.0], [5.0]]).numpy().tolist()
        [[10.0], [3.0]]
    """
    if isinstance(b, SparseTensor):  # a b is the adjoint of (b* a*)
        product = sparse_dense_matmul(b, sp_a, adjoint_a=not adjoint_b, adjoint_b=not adjoint_a)
        return _adjoint(product)
    a = sparse_input(sp_a)
    b = convert_to_tensor(b)
    if adjoint_b:
        b = _adjoint(b)
    if len(a.sizes) != 2:
        raise invalid("SparseTensorDenseMatMul", "Tensor 'a_shape' must have 2 elements")
    inner, count = (a.sizes[0], a.sizes[1]) if adjoint_a else (a.sizes[1], a.sizes[0])
    given = None if b.dims is None or len(b.dims) != 2 else b.dims[0]
    if inner.__class__ is int and given is not None and inner != given:
        raise invalid(
            "SparseTensorDenseMatMul",
            f"Cannot multiply A and B because inner dimension does not match: {inner} vs. {given}.  Did you forget a "
            f"transpose?  Dimensions of A: {listed(a.sizes)}.  Dimensions of B: {listed(b.dims)}",
        )
    values = P.conj(a.values) if adjoint_a and a.dtype.is_complex else a.values
    return P.sparse_matmul(a.indices, values, b, count=count, transpose=bool(adjoint_a))


def _adjoint(x):
    x = P.transpose(convert_to_tensor(x), perm=(1, 0))
    return P.conj(x) if x._dtype.is_complex else x


def sparse_sparse_matmul(a, b):
    """The product of two sparse matrices [..., m, k] and [..., k, n], sparse: elements of a meet the rows their columns name."""
    rank = len(a.sizes)
    if a.sizes[-1].__class__ is int and b.sizes[-2].__class__ is int and a.sizes[-1] != b.sizes[-2]:
        raise invalid("SparseMatMul", f"inner dimensions differ: a is {listed(a.sizes)}, b is {listed(b.sizes)}")
    b = in_order(b)
    b_rows = P.sparse_linear(columns(b.indices, range(rank - 1)), shape=b.sizes[:-1])
    a_rows = P.sparse_linear(columns(a.indices, range(rank - 1)), shape=a.sizes[:-1])
    met = P.sparse_linear(columns(a.indices, [*range(rank - 2), rank - 1]), shape=(*a.sizes[:-2], a.sizes[-1]))
    starts, limits = [P.searchsorted(b_rows, met, side=side, dtype=int64) for side in ("left", "right")]
    _, of_b = P.ragged_range(starts, limits, P.ones_like(starts))
    of_a = P.repeat_indices(limits - starts)
    products = rows(a.values, of_a) * rows(b.values, of_b)
    (width,) = size_vector(b.sizes[-1:])
    places = P.gather(a_rows, of_a, axis=0, batch_dims=0) * width
    places, which = P.sorted_unique(places + P.gather(column(b.indices, rank - 1), of_b, axis=0, batch_dims=0))
    return at_places(places, P.unsorted_segment_sum(products, which, num=count_of(places)), (*a.sizes[:-1], b.sizes[-1]))


def _both(indices):
    return P.unstack(indices, axis=1, num=2)


@export("sparse.sampled_addmm")
def sampled_addmm(indices, values, dense_shape, mat1, mat2, beta=1.0, alpha=1.0, output_type=float32):
    """`alpha * mat1 @ mat2 + beta * values`, computed only at some coordinates.

    Returns:
        The coordinates, the values there, and the dense shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.sampled_addmm([[1, 0]], [5.0], [2, 2], [[1.0], [2.0]], [[3.0, 4.0]])[1].numpy().tolist()
        [11.0]
    """
    indices, values = convert_to_tensor(indices), convert_to_tensor(values)
    left, right = convert_to_tensor(mat1), P.transpose(convert_to_tensor(mat2), perm=(1, 0))
    down, across = _both(indices)
    dots = P.sum(rows(left, down) * rows(right, across), axis=(1,))
    return indices, P.cast(dots * float(alpha) + values * float(beta), dtype=output_type), convert_to_tensor(dense_shape)


# Reductions


def _grouped(op, x, axis):
    """(the kept axes, the row-major number among them of each element's group)."""
    rank = len(x.sizes)
    given = axes(axis)
    if given is not None and any(not -rank <= i < rank for i in given):
        wrong = next(i for i in given if not -rank <= i < rank)
        raise invalid(op, f"Invalid reduction dimension {wrong}, for input with {rank} dimensions.")
    reduced = set(range(rank)) if given is None else {i % rank for i in given}
    kept = [i for i in range(rank) if i not in reduced]
    return kept, P.sparse_linear(columns(x.indices, kept), shape=tuple(x.sizes[i] for i in kept))


def _reduce(name, op, sp_input, axis, keepdims, sparse):
    x = sparse_input(sp_input)
    kept, places = _grouped(name, x, axis)
    sizes = tuple(x.sizes[i] if i in kept else 1 for i in range(len(x.sizes)) if keepdims or i in kept)
    if sparse:
        places, which = P.sorted_unique(places)
        return at_places(places, op(x.values, which, num=count_of(places)), sizes)
    total = math.prod(sizes) if all(n.__class__ is int for n in sizes) else P.prod(size_vector(sizes), axis=None)
    result = op(x.values, places, num=total)
    if op is not P.unsorted_segment_sum:  # groups without elements are 0
        counts = P.unsorted_segment_sum(P.ones_like(places), places, num=total)
        result = P.where(P.greater(counts, P.zeros_like(counts)), result, P.zeros_like(result))
    return P.reshape(result, shape=sizes)


@export("sparse.reduce_sum")
def reduce_sum(sp_input, axis=None, keepdims=None, output_is_sparse=False, name=None):
    """The sum over axes of a sparse tensor.

    Args:
        sp_input: a sparse tensor.
        axis: an int or a list of ints, negative counted from the end; None stands for all.
        keepdims: whether the axes stay, with length 1.
        output_is_sparse: whether the result is sparse: sums where there was no element are then left out.

    Raises:
        InvalidArgumentError: an axis does not exist.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.reduce_sum(tf.SparseTensor([[0, 1], [0, 2]], [5, 7], [2, 3]), axis=1).numpy().tolist()
        [12, 0]
    """
    return _reduce("SparseReduceSum", P.unsorted_segment_sum, sp_input, axis, keepdims, output_is_sparse)


@export("sparse.reduce_max")
def reduce_max(sp_input, axis=None, keepdims=None, output_is_sparse=False, name=None):
    """The maximum over axes of the elements that a sparse tensor has; 0 where it has none. Arguments as in `reduce_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.reduce_max(tf.SparseTensor([[0, 1], [0, 2]], [-5, -7], [2, 3]), axis=1).numpy().tolist()
        [-5, 0]
    """
    return _reduce("SparseReduceMax", P.unsorted_segment_max, sp_input, axis, keepdims, output_is_sparse)


@export("sparse.softmax")
def softmax(sp_input, name=None):
    """The softmax over the elements that each last row of a sparse tensor has, of floats.

    Raises:
        InvalidArgumentError: of a rank below 2.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.softmax(tf.SparseTensor([[0, 0], [0, 2]], [1.0, 1.0], [1, 3])).values.numpy().tolist()
        [0.5, 0.5]
    """
    x = sparse_input(sp_input)
    if len(x.sizes) < 2:
        raise invalid("SparseSoftmax", f"Input should have rank >= 2, but received shape: {', '.join(map(str, x.sizes))}")
    _, places = _grouped("SparseSoftmax", x, len(x.sizes) - 1)
    places, which = P.sorted_unique(places)
    count = count_of(places)
    highest = P.stop_gradient(P.unsorted_segment_max(x.values, which, num=count))
    scaled = P.exp(x.values - rows(highest, which))
    return x.with_values(scaled / rows(P.unsorted_segment_sum(scaled, which, num=count), which))


# Segments


def _segments(reduce, data, indices, segment_ids, num_segments, sparse_gradient):
    data, indices, ids = convert_to_tensor(data), convert_to_tensor(indices), convert_to_tensor(segment_ids)
    if None not in (indices.dims, ids.dims) and None not in (n := indices.dims + ids.dims) and n[:1] != n[1:]:
        raise invalid(
            "SparseSegment", f"segment_ids and indices should have same size: {list(indices.dims)} is not {list(ids.dims)}."
        )
    if sparse_gradient:
        taken = P.gather(data, indices, axis=0, batch_dims=0)
    else:
        dense = P.reshape(data, shape=shape_of(data))  # its gradient is dense, as the gather's is not
        taken = P.gather(dense, indices, axis=0, batch_dims=0)
    ids = P.sorted_ids(ids, taken)
    if num_segments is None:
        num_segments = P.maximum(P.max(ids, axis=None), P.fill(shape=(), value=-1, dtype=ids._dtype)) + 1
    (num,) = static_dims(num_segments)
    return reduce(taken, ids, num)


@export("sparse.segment_sum")
def segment_sum(data, indices, segment_ids, num_segments=None, name=None, sparse_gradient=False):
    """The sums of the rows `data[indices]` of each segment.

    Args:
        data: a tensor [n, ...].
        indices: integers [m]: rows of data.
        segment_ids: integers [m] that do not decrease: the segment of each of them.
        num_segments: how many segments; one more than the last id by default.
        sparse_gradient: whether the gradient of data is `tf.IndexedSlices`.

    Raises:
        InvalidArgumentError: a row that does not exist, or ids that decrease.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.segment_sum([1.0, 2.0, 4.0], [0, 2, 1], [0, 0, 1]).numpy().tolist()
        [5.0, 2.0]
    """
    return _segments(_sum, data, indices, segment_ids, num_segments, sparse_gradient)


@export("sparse.segment_mean")
def segment_mean(data, indices, segment_ids, num_segments=None, name=None, sparse_gradient=False):
    """The means of the rows `data[indices]` of each segment; 0 where it has none. Arguments as in `segment_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.segment_mean([1.0, 2.0, 4.0], [0, 2, 1], [0, 0, 1]).numpy().tolist()
        [2.5, 2.0]
    """
    return _segments(_mean_in_dtype, data, indices, segment_ids, num_segments, sparse_gradient)


@export("sparse.segment_sqrt_n")
def segment_sqrt_n(data, indices, segment_ids, num_segments=None, name=None, sparse_gradient=False):
    """The sums of the rows of each segment over the root of their count. Arguments as in `segment_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.segment_sqrt_n([1.0, 2.0, 3.0, 4.0, 5.0], [0, 1, 3, 4], [0, 0, 0, 0]).numpy().tolist()
        [6.0]
    """
    return _segments(_sqrt_n, data, indices, segment_ids, num_segments, sparse_gradient)
