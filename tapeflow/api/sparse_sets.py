"""`tf.sets`: the rows of two tensors as sets."""

from tapeflow.api.export import export
from tapeflow.api.sparse_count import numbers
from tapeflow.api.sparse_tensor import SparseTensor, SparseTensorValue, columns, count_of, size_vector, sparse_input
from tapeflow.base.dtypes import bool_, float32, float64, int32, int64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.ops.movement import dims_of, listed


def _members(x):
    """(the number of the row of each member, the members as a vector, the shape of the rows)."""
    if isinstance(x, SparseTensor):
        lead = x.sizes[:-1]
        return P.sparse_linear(columns(x.indices, range(len(lead))), shape=lead), x.values, lead
    dims = dims_of(x)
    flat = P.reshape(x, shape=(-1,))
    return numbers(count_of(flat)) // P.cast(convert_to_tensor(dims[-1]), dtype=int64), flat, dims[:-1]


def _operation(name, a, b, wanted):
    """The members of `wanted(in a, in b)`, which takes bools, of each row; in order."""
    a, b = [x if isinstance(x, SparseTensor) else _converted(x) for x in (a, b)]
    if a.dtype is not b.dtype:
        raise TypeError(f"a's dtype {a.dtype.name} and b's dtype {b.dtype.name} must be the same")
    if a.dtype in (float32, float64, bool_):
        raise TypeError(f"Invalid dtype {a.dtype.name}: sets are of integers or strings")
    (rows_a, flat_a, lead), (rows_b, flat_b, other) = _members(a), _members(b)
    if any(n.__class__ is int and m.__class__ is int and n != m for n, m in zip(lead, other, strict=False)) or len(
        lead
    ) != len(other):
        raise invalid(
            name, f"Mismatched group shapes {listed(lead)} and {listed(other)}: the first n - 1 dimensions must be equal"
        )
    members, codes = P.sorted_unique(P.concat(flat_a, flat_b, axis=0))
    kinds = P.maximum(P.cast(convert_to_tensor(count_of(members)), dtype=int64), P.fill(shape=(), value=1, dtype=int64))
    places, which = P.sorted_unique(P.concat(rows_a, rows_b, axis=0) * kinds + codes)
    count, total = count_of(flat_a), count_of(places)
    parts = (P.strided_slice(which, key=((None, count, None),)), P.strided_slice(which, key=((count, None, None),)))
    counts = [P.unsorted_segment_sum(P.ones_like(part), part, num=total) for part in parts]
    places = P.boolean_mask(places, wanted(*[P.greater(n, P.zeros_like(n)) for n in counts]), axis=0)
    return _packed(places // kinds, P.gather(members, places - places // kinds * kinds, axis=0, batch_dims=0), lead)


def _converted(x):
    if isinstance(x, SparseTensorValue):
        return sparse_input(x)
    x = convert_to_tensor(x)
    if x.dims is not None and len(x.dims) < 1:
        raise ValueError("Shape () must have rank at least 1")
    return x


def _packed(row, members, lead):
    """The sparse tensor [*lead, most members in a row] whose rows hold their members from the left."""
    position = numbers(count_of(row)) - P.searchsorted(row, row, side="left", dtype=int64)
    width = P.max(P.concat(position, P.fill(shape=(1,), value=-1, dtype=int64), axis=0), axis=None) + 1
    indices = P.concat(P.sparse_coordinates(row, shape=lead), P.expand_dims(position, axis=(1,)), axis=1)
    shape = P.concat(size_vector(lead), P.expand_dims(width, axis=(0,)), axis=0) if lead else P.expand_dims(width, axis=(0,))
    return SparseTensor(indices, members, shape)


@export("sets.intersection")
def intersection(a, b, validate_indices=True):
    """What the last rows of both tensors have in common, as a sparse tensor with the members in order.

    Args:
        a, b: tensors of integers or strings, dense or sparse, equal in all dimensions but the last.
        validate_indices: accepted; the order of coordinates does not matter here.

    Raises:
        TypeError: other dtypes, or dtypes that differ.
        InvalidArgumentError: other dimensions differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.sets.intersection([[1, 2, 3]], [[3, 9, 2]]).values.numpy().tolist()
        [2, 3]
    """
    return _operation("SetIntersection", a, b, P.logical_and)


@export("sets.union")
def union(a, b, validate_indices=True):
    """What the last rows of one or both of two tensors have; see `intersection`.

    Example:
        >>> import tapeflow as tf
        >>> tf.sets.union([[1, 2]], [[3, 2]]).values.numpy().tolist()
        [1, 2, 3]
    """
    return _operation("SetUnion", a, b, P.logical_or)


@export("sets.difference")
def difference(a, b, aminusb=True, validate_indices=True):
    """What the last rows of `a` have and those of `b` have not, or the other way round; see `intersection`.

    Example:
        >>> import tapeflow as tf
        >>> tf.sets.difference([[1, 2]], [[3, 2]]).values.numpy().tolist()
        [1]
    """
    a, b = (a, b) if aminusb else (b, a)
    return _operation("SetDifference", a, b, lambda x, y: P.logical_and(x, P.logical_not(y)))


@export("sets.size")
def size(a, validate_indices=True):
    """How many different members each last row of a sparse tensor has, int32.

    Raises:
        TypeError: no sparse tensor.

    Example:
        >>> import tapeflow as tf
        >>> tf.sets.size(tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [5, 7, 5], [2, 2])).numpy().tolist()
        [2, 1]
    """
    if not isinstance(a, SparseTensor):
        raise TypeError(f"Expected `SparseTensor`, got {a}.")
    sets = _operation("SetSize", a, a, P.logical_and)
    lead = a.sizes[:-1]
    row = P.sparse_linear(columns(sets.indices, range(len(lead))), shape=lead)
    count = 1
    for n in lead:
        count = count * n
    return P.reshape(P.unsorted_segment_sum(P.cast(P.ones_like(row), dtype=int32), row, num=count), shape=lead)
