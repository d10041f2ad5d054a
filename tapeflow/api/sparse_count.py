"""`tf.sparse.bincount`: how often integers occur."""

from tapeflow.api.export import export
from tapeflow.api.sparse_tensor import SparseTensor, at_places, count_of
from tapeflow.base.dtypes import int32, int64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor, static_dims, static_value
from tapeflow.core.primitive import P
from tapeflow.ops.movement import dims_of, listed


@export("sparse.bincount")
def bincount(values, weights=None, axis=0, minlength=None, maxlength=None, binary_output=False, name=None):
    """How often each integer occurs, as a sparse tensor: of all values, or of each row.

    Args:
        values: integers that are not negative: a vector or matrix, a sparse or ragged matrix.
        weights: of the same shape: what each value counts; 1 by default.
        axis: 0 counts all values together, -1 those of each row.
        minlength: the least size of the last dimension, which otherwise is one more than the largest value.
        maxlength: values from this one on are left out.
        binary_output: whether 1 stands for any count.

    Raises:
        ValueError: another axis.
        InvalidArgumentError: negative values, or weights of another shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.to_dense(tf.sparse.bincount([[1, 1, 3], [0, 0, 0]], axis=-1)).numpy().tolist()
        [[0, 2, 0, 1], [3, 0, 0, 0]]
    """
    if axis not in (0, -1):
        raise ValueError(f"Unsupported value for argument axis={axis}. Only 0 and -1 are currently supported.")
    ids, flat, lead = _rows_of_values(values)
    if axis == 0:
        ids, lead = None, ()
    amounts = None if weights is None else _rows_of_values(weights)[1]
    if amounts is not None and amounts.dims != flat.dims and None not in (*amounts.dims, *flat.dims):
        raise invalid(
            "CountSparseOutput",
            f"Weights and data must have the same shape. Weight shape: {listed(amounts.dims)}; data shape: {listed(flat.dims)}",
        )
    places = P.in_range(P.cast(flat, dtype=int64), low=0, high=None, message="Input values must all be non-negative")
    size = P.maximum(P.max(places, axis=None), P.fill(shape=(), value=-1, dtype=int64)) + 1
    if minlength is not None:
        size = P.maximum(size, convert_to_tensor(minlength, int64))
    if maxlength is not None:
        limit = convert_to_tensor(maxlength, int64)
        keep = P.less(places, limit)
        places, size = P.boolean_mask(places, keep, axis=0), P.minimum(size, limit)
        ids = None if ids is None else P.boolean_mask(ids, keep, axis=0)
        amounts = None if amounts is None else P.boolean_mask(amounts, keep, axis=0)
    known = static_value(size)
    width = size if known is None else int(known)
    places, which = P.sorted_unique(places if ids is None else P.cast(ids, dtype=int64) * size + places)
    if amounts is None:
        amounts = P.ones_like(P.cast(which, dtype=int64 if flat.dtype is int64 else int32))
    counts = P.unsorted_segment_sum(amounts, which, num=count_of(places))
    return at_places(places, P.ones_like(counts) if binary_output else counts, (*lead, width))


def _rows_of_values(values):
    """(the row of each value or None where there is one row, the values as a vector, the number of rows as a tuple)."""
    if isinstance(values, SparseTensor):
        if len(values.sizes) == 1:
            return None, values.values, ()
        return P.strided_slice(values.indices, key=((None, None, None), 0)), values.values, values.sizes[:1]
    if hasattr(values, "row_splits"):
        (rows_,) = static_dims(values.nrows())
        return values.value_rowids(), values.values, (rows_,)
    x = convert_to_tensor(values)
    dims = dims_of(x)
    if len(dims) == 1:
        return None, x, ()
    if len(dims) != 2:
        raise invalid("DenseCountSparseOutput", f"Input must be a 1 or 2-dimensional tensor. Got: {listed(dims)}")
    ids = P.reshape(P.broadcast_to(P.expand_dims(numbers(dims[0]), axis=(1,)), shape=dims), shape=(-1,))
    return ids, P.reshape(x, shape=(-1,)), dims[:1]


def numbers(count):
    """0, 1, ... below `count`, int64."""
    zero, one = [P.fill(shape=(), value=n, dtype=int64) for n in (0, 1)]
    return P.range(zero, P.cast(convert_to_tensor(count), dtype=int64), one)
