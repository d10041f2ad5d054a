"""`tf.sparse`: conversion, order, shape, parts and selections of sparse tensors."""

import numpy as np

from tapeflow.api.arguments import axis_number
from tapeflow.api.export import export
from tapeflow.api.sparse_tensor import (
    SparseTensor,
    at_places,
    column,
    columns,
    count_of,
    in_order,
    places_of,
    size_vector,
    sparse_input,
    zero_of,
)
from tapeflow.base.dtypes import as_dtype, bool_, float32, int64
from tapeflow.base.errors import invalid
from tapeflow.base.shape import normalize_axis
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import wrap
from tapeflow.ops.movement import dims_of, listed

# To and from dense


@export("sparse.from_dense")
def from_dense(tensor, name=None):
    """The sparse tensor of the elements that are not 0 (not empty, of strings).

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.from_dense([[0, 5], [7, 0]]).indices.numpy().tolist()
        [[0, 1], [1, 0]]
    """
    x = convert_to_tensor(tensor)
    mask = x if x._dtype is bool_ else P.not_equal(x, zero_of(x._dtype))
    return SparseTensor(P.nonzero(mask), P.boolean_mask(x, mask, axis=0), size_vector(dims_of(x)))


@export("sparse.to_dense")
def to_dense(sp_input, default_value=None, validate_indices=True, name=None):
    """The dense tensor, with `default_value` (0, or the empty string) where there is no element.

    Args:
        sp_input: a sparse tensor.
        default_value: a scalar of its dtype.
        validate_indices: whether coordinates must be in order and distinct.

    Raises:
        TypeError: no sparse tensor.
        InvalidArgumentError: coordinates out of bounds, out of order or repeated.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.to_dense(tf.SparseTensor([[1]], [7], [3]), default_value=-1).numpy().tolist()
        [-1, 7, -1]
    """
    x = sparse_input(sp_input)
    default = zero_of(x.dtype) if default_value is None else convert_to_tensor(default_value, x.dtype)
    return P.sparse_to_dense(x.indices, x.values, default, shape=x.sizes, validate=bool(validate_indices))


@export("sparse.to_indicator")
def to_indicator(sp_input, vocab_size, name=None):
    """Bools [..., vocab_size] that say which values occur in each last row.

    Args:
        sp_input: a sparse tensor of integers.
        vocab_size: one more than the largest value allowed.

    Raises:
        TypeError: no sparse tensor, or no integers.
        InvalidArgumentError: a value that is not in [0, vocab_size).

    Example:
        >>> import tapeflow as tf
        >>> x = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [2, 0, 1], [2, 2])
        >>> tf.sparse.to_indicator(x, 3).numpy().tolist()
        [[True, False, True], [False, True, False]]
    """
    x = sparse_input(sp_input)
    if not x.dtype.is_integer:
        raise TypeError(f"sp_input must be integers, got dtype {x.dtype.name}")
    kept = columns(x.indices, range(len(x.sizes) - 1))
    indices = P.concat(kept, P.expand_dims(P.cast(x.values, dtype=int64), axis=(1,)), axis=1)
    sizes = (*x.sizes[:-1], *static_dims(vocab_size))
    values = P.fill(shape=(count_of(indices),), value=True, dtype=bool_)
    return P.sparse_to_dense(indices, values, zero_of(bool_), shape=sizes, validate=False)


@export("sparse.eye")
def eye(num_rows, num_columns=None, dtype=float32, name=None):
    """The identity matrix, sparse.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.eye(2, 3).dense_shape.numpy().tolist()
        [2, 3]
    """
    down = int(convert_to_tensor(num_rows))
    across = down if num_columns is None else int(convert_to_tensor(num_columns))
    diagonal = np.arange(min(down, across), dtype=np.int64)
    ones = P.fill(shape=(len(diagonal),), value=1, dtype=as_dtype(dtype))
    return SparseTensor(wrap(np.stack([diagonal, diagonal], 1)), ones, size_vector((down, across)))


# Order and shape


@export("sparse.reorder")
def reorder(sp_input, name=None):
    """The sparse tensor with its elements in row-major order.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.reorder(tf.SparseTensor([[1], [0]], [7, 5], [2])).values.numpy().tolist()
        [5, 7]
    """
    return in_order(sparse_input(sp_input))


@export("sparse.reshape")
def reshape(sp_input, shape, name=None):
    """The same elements in another shape; one size may be -1: whatever remains.

    Raises:
        InvalidArgumentError: the shape does not hold as many places.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.reshape(tf.SparseTensor([[1, 0]], [7], [2, 3]), [3, -1]).indices.numpy().tolist()
        [[1, 1]]
    """
    x = sparse_input(sp_input)
    sizes = _filled(x.sizes, static_dims(shape))
    return at_places(places_of(x), x.values, sizes)


def _filled(old, new):
    """The new sizes with -1 replaced; raises where they do not hold the old ones' places."""
    holes = [i for i, n in enumerate(new) if n.__class__ is int and n == -1]
    if len(holes) > 1:
        raise invalid("SparseReshape", f"only one output dimension may be -1, not both {holes[0]} and {holes[1]}")
    total = _product(old)
    if holes:
        rest = _product([n for i, n in enumerate(new) if i != holes[0]])
        if total.__class__ is int and rest.__class__ is int and (not rest or total % rest):
            raise invalid(
                "SparseReshape",
                f"Input to reshape is a SparseTensor with {total} dense values, but the requested shape requires a multiple of "
                f"{rest}. input_shape={listed(old)} output_shape={listed(new)}",
            )
        new = tuple([total // rest if i == holes[0] else n for i, n in enumerate(new)])
    wanted = _product(new)
    if total.__class__ is int and wanted.__class__ is int and total != wanted:
        raise invalid(
            "SparseReshape",
            f"Input to reshape is a tensor with {total} dense values, but the requested shape has {wanted}. "
            f"input_shape={listed(old)} output_shape={listed(new)}",
        )
    return tuple(new)


def _product(sizes):
    result = 1
    for n in sizes:
        result = result * (n if n.__class__ is int else P.cast(n, dtype=int64))
    return result


@export("sparse.transpose")
def transpose(sp_input, perm=None, name=None):
    """The sparse tensor with its axes in the order `perm`, reversed by default; its elements in row-major order.

    Raises:
        ValueError: not one number for each axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.transpose(tf.SparseTensor([[0, 1]], [7], [2, 3])).indices.numpy().tolist()
        [[1, 0]]
    """
    x = sparse_input(sp_input)
    rank = len(x.sizes)
    order = tuple(reversed(range(rank))) if perm is None else static_dims(perm)
    if len(order) != rank:
        raise ValueError(f"Dimensions {len(order)} and {rank} are not compatible")
    if sorted(normalize_axis(i, rank) for i in order) != list(range(rank)):
        raise invalid("sparse_transpose", f"perm {list(order)} is no permutation of the {rank} axes")
    order = [i % rank for i in order]
    return in_order(SparseTensor(columns(x.indices, order), x.values, size_vector([x.sizes[i] for i in order])))


@export("sparse.expand_dims")
def expand_dims(sp_input, axis=None, name=None):
    """The sparse tensor with a new dimension of size 1 at `axis`, last by default.

    Raises:
        InvalidArgumentError: there is no such axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.expand_dims(tf.SparseTensor([[2]], [7], [3]), 0).indices.numpy().tolist()
        [[0, 2]]
    """
    x = sparse_input(sp_input)
    rank = len(x.sizes)
    axis = -1 if axis is None else axis_number(axis)
    if not -rank - 1 <= axis <= rank:
        raise invalid("sparse_expand_dims", f"Expected axis in [{-rank - 1}, {rank}], but got {axis}")
    axis = axis + rank + 1 if axis < 0 else axis
    zeros = P.fill(shape=(count_of(x.indices), 1), value=0, dtype=int64)
    before, after = columns(x.indices, range(axis)), columns(x.indices, range(axis, rank))
    return SparseTensor(P.concat(before, zeros, after, axis=1), x.values, size_vector((*x.sizes[:axis], 1, *x.sizes[axis:])))


@export("sparse.reset_shape")
def reset_shape(sp_input, new_shape=None):
    """The same elements in a larger shape, or in the smallest that holds them.

    Raises:
        ValueError: the new shape is smaller than the old one, or of another rank.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.reset_shape(tf.SparseTensor([[1]], [7], [5])).dense_shape.numpy().tolist()
        [2]
    """
    x = sparse_input(sp_input)
    if new_shape is None:
        highest = P.max(x.indices, axis=(0,), keepdims=False)
        low = P.fill(shape=(), value=-1, dtype=int64)
        return SparseTensor(x.indices, x.values, P.maximum(highest, low) + 1)
    sizes = static_dims(new_shape)
    if len(sizes) != len(x.sizes):
        raise ValueError(f"Dimensions {len(sizes)} and {len(x.sizes)} are not compatible")
    for n, m in zip(sizes, x.sizes, strict=True):
        if n.__class__ is int and m.__class__ is int and n < m:
            raise ValueError(
                f"Requested new_shape should have dimension sizes >= sp_input.shape.  Found new_shape ({listed(sizes)}), "
                f"sp_input.shape ({listed(x.sizes)})."
            )
    return SparseTensor(x.indices, x.values, size_vector(sizes))


# Putting together and taking apart


@export("sparse.concat")
def concat(axis, sp_inputs, expand_nonconcat_dims=False, name=None):
    """Sparse tensors put one behind the other along an axis; the elements in row-major order.

    Args:
        axis: an int, negative counted from the end.
        sp_inputs: a list of sparse tensors of one dtype and rank.
        expand_nonconcat_dims: whether other dimensions may differ: the largest is the result's.

    Raises:
        InvalidArgumentError: ranks or other dimensions differ, or there is no such axis.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.SparseTensor([[0, 1]], [7], [1, 2])
        >>> tf.sparse.concat(1, [x, x]).indices.numpy().tolist()
        [[0, 1], [0, 3]]
    """
    parts = [sparse_input(x) for x in (sp_inputs if isinstance(sp_inputs, (list, tuple)) else [sp_inputs])]
    if len(parts) == 1:
        return parts[0]
    rank = len(parts[0].sizes)
    if not -rank <= axis < rank:
        raise invalid("SparseConcat", f"Concat dimension must be in range [{-rank}, {rank}), got {axis}")
    axis %= rank
    sizes = list(parts[0].sizes)
    indices, start = [parts[0].indices], sizes[axis]
    for number, part in enumerate(parts[1:], 1):
        if len(part.sizes) != rank:
            raise invalid(
                "SparseConcat",
                f"Ranks of all input tensors must match: expected {rank} but got {len(part.sizes)} at position {number}",
            )
        for i, (n, m) in enumerate(zip(sizes, part.sizes, strict=True)):
            if i == axis or n is m:
                continue
            if expand_nonconcat_dims:
                sizes[i] = max(n, m) if n.__class__ is int and m.__class__ is int else P.maximum(*size_vector_pair(n, m))
            elif n.__class__ is int and m.__class__ is int and n != m:
                raise invalid(
                    "SparseConcat",
                    f"Input shapes must match: expected {n} for dimension {i} but got {m} at position {number}",
                )
        indices.append(part.indices + size_vector([start if i == axis else 0 for i in range(rank)]))
        start = start + part.sizes[axis]
    sizes[axis] = start
    return in_order(
        SparseTensor(P.concat(*indices, axis=0), P.concat(*[x.values for x in parts], axis=0), size_vector(sizes))
    )


def size_vector_pair(n, m):
    """Two dimensions as int64 scalars."""
    return [convert_to_tensor(x, int64) if x.__class__ is int else P.cast(x, dtype=int64) for x in (n, m)]


@export("compat.v1.sparse_concat")
def sparse_concat(axis, sp_inputs, name=None, expand_nonconcat_dim=False, concat_dim=None, expand_nonconcat_dims=None):
    """`tf.sparse.concat` under its first name."""
    return concat(axis if axis is not None else concat_dim, sp_inputs, bool(expand_nonconcat_dims or expand_nonconcat_dim))


@export("sparse.slice")
def slice(sp_input, start, size, name=None):
    """The part that begins at the coordinates `start` and is of shape `size`, as far as it lies within.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.slice(tf.SparseTensor([[1], [3]], [5, 7], [4]), [2], [9]).indices.numpy().tolist()
        [[1]]
    """
    x = sparse_input(sp_input)
    first = static_dims(start)
    sizes = [_clipped(n - i, m) for n, i, m in zip(x.sizes, first, static_dims(size), strict=True)]
    corner = size_vector(first)
    moved = x.indices - corner
    low = P.fill(shape=(), value=0, dtype=int64)
    inside = P.logical_and(P.greater_equal(moved, low), P.less(moved, size_vector(sizes)))
    keep = P.all(inside, axis=(1,), keepdims=False)
    return SparseTensor(P.boolean_mask(moved, keep, axis=0), P.boolean_mask(x.values, keep, axis=0), size_vector(sizes))


def _clipped(rest, wanted):
    if rest.__class__ is int and wanted.__class__ is int:
        return max(0, min(rest, wanted))
    return P.maximum(P.minimum(*size_vector_pair(rest, wanted)), P.fill(shape=(), value=0, dtype=int64))


@export("sparse.split")
def split(sp_input=None, num_split=None, axis=None, name=None):
    """A sparse tensor cut along an axis into `num_split` parts; the first ones are larger where it does not go even.

    Raises:
        ValueError: an argument is missing.
        InvalidArgumentError: more parts than the axis is long.

    Example:
        >>> import tapeflow as tf
        >>> [x.values.numpy().tolist() for x in tf.sparse.split(tf.SparseTensor([[0], [2]], [5, 7], [3]), 2, 0)]
        [[5], [7]]
    """
    for value, what in ((sp_input, "sp_input"), (num_split, "num_split"), (axis, "axis")):
        if value is None:
            raise ValueError(f"tf.sparse.split needs `{what}`.")
    x = sparse_input(sp_input)
    axis = normalize_axis(axis_number(axis), len(x.sizes))
    length = x.sizes[axis]
    if length.__class__ is not int:
        raise ValueError(f"tf.sparse.split needs a known size of axis {axis} while tracing, got the shape {x.shape}")
    if not 1 <= num_split <= length:
        raise invalid(
            "SparseSplit",
            f"Input num_split should be between 1 and the splitting dimension size ({length}), got {num_split}",
        )
    parts, at = [], 0
    for number in range(num_split):
        width = length // num_split + (number < length % num_split)
        start = [at if i == axis else 0 for i in range(len(x.sizes))]
        parts.append(slice(x, start, [width if i == axis else n for i, n in enumerate(x.sizes)]))
        at += width
    return parts


# Selections


@export("sparse.retain")
def retain(sp_input, to_retain):
    """The sparse tensor with only those of its elements for which a bool of `to_retain` is true.

    Raises:
        ValueError: not one bool for each element.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.retain(tf.SparseTensor([[0], [2]], [5, 7], [3]), [False, True]).values.numpy().tolist()
        [7]
    """
    x = sparse_input(sp_input)
    keep = convert_to_tensor(to_retain, bool_)
    if (
        keep.dims is not None
        and x.values.dims is not None
        and None not in (n := (x.values.dims[0], keep.dims[0]))
        and n[0] != n[1]
    ):
        raise ValueError(f"Dimensions {n[0]} and {n[1]} are not compatible")
    result = SparseTensor(P.boolean_mask(x.indices, keep, axis=0), P.boolean_mask(x.values, keep, axis=0), x.dense_shape)
    result._static = x._static
    return result


@export("sparse.mask")
def mask(a, mask_indices, name=None):
    """The `IndexedSlices` without the slices whose index is one of `mask_indices`.

    Example:
        >>> import tapeflow as tf
        >>> s = tf.IndexedSlices(tf.constant([[1.0], [2.0]]), tf.constant([4, 5]))
        >>> tf.sparse.mask(s, [5]).indices.numpy().tolist()
        [4]
    """
    dropped = convert_to_tensor(mask_indices, a.indices.dtype)
    found = P.equal(P.expand_dims(a.indices, axis=(1,)), P.expand_dims(dropped, axis=(0,)))
    keep = P.logical_not(P.any(found, axis=(1,), keepdims=False))
    return IndexedSlices(P.boolean_mask(a.values, keep, axis=0), P.boolean_mask(a.indices, keep, axis=0), a.dense_shape)


@export("sparse.fill_empty_rows")
def fill_empty_rows(sp_input, default_value, name=None):
    """The sparse tensor with `default_value` in the first place of every row that has no element.

    Returns:
        The sparse tensor, and bools [rows] that say which rows had no element.

    Example:
        >>> import tapeflow as tf
        >>> filled, empty = tf.sparse.fill_empty_rows(tf.SparseTensor([[1, 2]], [7], [2, 3]), 0)
        >>> filled.indices.numpy().tolist(), empty.numpy().tolist()
        ([[0, 0], [1, 2]], [True, False])
    """
    x = sparse_input(sp_input)
    default = convert_to_tensor(default_value, x.dtype)
    of_row = column(x.indices, 0)
    counts = P.unsorted_segment_sum(P.ones_like(of_row), of_row, num=x.sizes[0])
    empty = P.equal(counts, P.zeros_like(counts))
    first = P.nonzero(empty)
    missing = count_of(first)
    corners = P.concat(first, P.fill(shape=(missing, len(x.sizes) - 1), value=0, dtype=int64), axis=1)
    filler = P.broadcast_to(default, shape=(missing,))
    filled = SparseTensor(P.concat(x.indices, corners, axis=0), P.concat(x.values, filler, axis=0), x.dense_shape)
    filled._static = x._static
    return in_order(filled), empty
