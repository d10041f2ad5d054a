"""`tf.linalg`: bands and diagonals of matrices, transposes, traces, cross products, norms."""

import numbers

import numpy as np

from tapeflow.api.arguments import axis_numbers, matching, whole_number
from tapeflow.api.export import export
from tapeflow.base.errors import FailedPreconditionError, invalid
from tapeflow.base.shape import normalize_axes
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.linalg_parts import diagonal as main_diagonal
from tapeflow.ops.linalg_parts import swapped
from tapeflow.ops.movement import dims_of, listed, rank_of


@export("linalg.band_part")
def band_part(input, num_lower, num_upper, name=None):
    """Matrices [..., m, n] with zeros outside a band around the diagonal.

    Args:
        num_lower: how many subdiagonals to keep; all where it is negative.
        num_upper: how many superdiagonals to keep; all where it is negative.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.band_part([[1, 2], [3, 4]], -1, 0).numpy().tolist()
        [[1, 0], [3, 4]]
    """
    x = convert_to_tensor(input)
    return P.band_part(x, lower=whole_number(num_lower, "num_lower"), upper=whole_number(num_upper, "num_upper"))


def _range(k):
    """The diagonals that `k`, an int or a pair, stands for, as a pair."""
    parts = axis_numbers(k, "k")
    if len(parts) not in (1, 2):
        raise invalid("MatrixDiagV3", f"diag_index must be a scalar or a vector with one or two elements, got {parts}")
    if parts[0] > parts[-1]:
        text = "lower_diag_index must not be larger than upper_diag_index"
        raise invalid("MatrixDiagV3", f"{text}: {parts[0]} > {parts[-1]}")
    return parts[0], parts[-1]


def _padding(value, dtype):
    return convert_to_tensor(bool(value) if dtype.is_bool and not isinstance(value, Tensor) else value, dtype)


@export("linalg.diag")
def diag(diagonal, name="diag", k=0, num_rows=-1, num_cols=-1, padding_value=0, align="RIGHT_LEFT"):
    """Matrices with given diagonals.

    Args:
        diagonal: [..., d], or [..., number of diagonals, d], the highest first.
        k: which diagonal, or the lowest and the highest; positive above the main diagonal.
        num_rows, num_cols: the size; the smallest square that holds them by default.
        padding_value: what stands elsewhere.
        align: where shorter super- and subdiagonals stand in the rows of `diagonal`, such as "RIGHT_LEFT".

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.diag([1, 2], k=1).numpy().tolist()
        [[0, 1, 0], [0, 0, 2], [0, 0, 0]]
    """
    x, k = convert_to_tensor(diagonal), _range(k)
    several = k[1] > k[0]
    if rank_of(x) < 1 + several:
        raise invalid("MatrixDiagV3", f"diagonal must be at least {1 + several}-dim, received shape: {listed(x.dims)}")
    *batch, longest = dims_of(x)
    if several:
        count = batch.pop()
        if count != k[1] - k[0] + 1:
            text = "The number of diagonals provided in the input does not match the lower_diag_index and "
            raise invalid("MatrixDiagV3", f"{text}upper_diag_index range: {count} diagonals, k = {k}")
    rows, columns = _matrix_size(longest, k, whole_number(num_rows, "num_rows"), whole_number(num_cols, "num_cols"))
    matrix = P.broadcast_to(_padding(padding_value, x._dtype), shape=(*batch, rows, columns))
    if longest.__class__ is int and longest == 0 and k != (0, 0):
        return matrix  # an empty diagonal may begin outside of the matrix
    return P.set_diag(matrix, x, k=k, align=align)


def _matrix_size(longest, k, rows, columns):
    """The size of the matrix whose diagonals `k` have a longest of `longest`; -1 where it is to be found."""
    low, high = -min(k[1], 0), max(k[0], 0)
    given = rows != -1, columns != -1
    if not any(given):
        return (longest + max(low, high),) * 2
    least = longest + low, longest + high
    rows, columns = rows if given[0] else least[0], columns if given[1] else least[1]
    if any(not isinstance(n, int) for n in (rows, columns, longest)):
        return rows, columns
    for what, n, m in (("rows", rows, least[0]), ("columns", columns, least[1])):
        if n < m:
            raise invalid("MatrixDiagV3", f"The number of {what} is too small: {n}, the diagonals need {m}.")
    if rows != least[0] and columns != least[1]:
        text = "The number of rows or columns is not consistent with the specified d_lower, d_upper, and diagonal"
        raise invalid("MatrixDiagV3", f"{text}: {rows} rows, {columns} columns, k = {k}, longest diagonal {longest}")
    return rows, columns


@export("linalg.diag_part")
def diag_part(input, name="diag_part", k=0, padding_value=0, align="RIGHT_LEFT"):
    """The diagonals of matrices [..., m, n].

    Args:
        k: which diagonal, or the lowest and the highest.
        padding_value: what fills the rows of shorter diagonals.
        align: to which side shorter super- and subdiagonals are moved, such as "RIGHT_LEFT".

    Returns:
        A tensor [..., d] for one diagonal; [..., number of diagonals, longest], the highest first, for a range.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.diag_part([[1, 2, 3], [4, 5, 6]], k=(-1, 0)).numpy().tolist()
        [[1, 5], [4, 0]]
    """
    x, k = convert_to_tensor(input), _range(k)
    part = P.diag_part(x, k=k, align=align)
    if padding_value.__class__ is int and padding_value == 0:
        return part
    padding = _padding(padding_value, x._dtype)
    if k[0] == k[1]:
        return part
    inside = P.diag_part(P.equal(P.zeros_like(x), P.zeros_like(x)), k=k, align=align)
    return P.where(inside, part, padding)


@export("linalg.set_diag")
def set_diag(input, diagonal, name="set_diag", k=0, align="RIGHT_LEFT"):
    """Matrices [..., m, n] with other values on some diagonals, which are given as `tf.linalg.diag_part` returns them.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.set_diag([[1, 2], [3, 4]], [7, 8]).numpy().tolist()
        [[7, 2], [3, 8]]
    """
    x = convert_to_tensor(input)
    return P.set_diag(
        x, convert_to_tensor(diagonal, None if isinstance(diagonal, Tensor) else x._dtype), k=_range(k), align=align
    )


@export("linalg.trace")
def trace(x, name=None):
    """The sums of the diagonals of matrices [..., m, n]: a tensor [...].

    Example:
        >>> import tapeflow as tf
        >>> int(tf.linalg.trace([[1, 2], [3, 4]]))
        5
    """
    return P.sum(main_diagonal(convert_to_tensor(x)), axis=(-1,), keepdims=False)


@export("linalg.matrix_transpose")
def matrix_transpose(a, name="matrix_transpose", conjugate=False):
    """The last two axes of `a` swapped, and the elements conjugated where `conjugate`.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.matrix_transpose([[1, 2, 3]]).numpy().tolist()
        [[1], [2], [3]]
    """
    x = convert_to_tensor(a)
    if x.dims is not None and len(x.dims) < 2:
        raise ValueError(
            f"Argument `a` should be a (batch) matrix with rank >= 2.  Received `a` = {a} with shape: {x.shape}"
        )
    transposed = swapped(x)
    return P.conj(transposed) if conjugate and x._dtype.is_complex else transposed


@export("linalg.adjoint")
def adjoint(matrix, name=None):
    """The conjugate transposes of matrices [..., m, n].

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.adjoint([[1j, 2.0]]).numpy().tolist()
        [[-1j], [(2-0j)]]
    """
    return matrix_transpose(matrix, conjugate=True)


@export("linalg.cross")
def cross(a, b, name=None):
    """The cross products of vectors [..., 3].

    Raises:
        FailedPreconditionError: the last axis is not of size 3.
        InvalidArgumentError: the shapes differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.cross([1, 0, 0], [0, 1, 0]).numpy().tolist()
        [0, 0, 1]
    """
    a, b = matching((a, b))
    if not a.shape.is_compatible_with(b.shape):
        raise invalid("Cross", f"Both inputs must be of same shape: {listed(a.dims)} vs. {listed(b.dims)}")
    if a.dims is not None and (not a.dims or a.dims[-1] not in (3, None)):
        text = "Cross-products are only defined for 3-element vectors."
        raise FailedPreconditionError(None, None, f"{text} The shape is {listed(a.dims)}. [Op:Cross]")
    (x, y, z), (u, v, w) = [P.unstack(t, axis=-1, num=3) for t in (a, b)]
    return P.stack(y * w - z * v, z * u - x * w, x * v - y * u, axis=-1)


# Norms


@export("norm", "linalg.norm")
def norm(tensor, ord="euclidean", axis=None, keepdims=None, name=None):
    """The norm of vectors, matrices, or of all elements together.

    Args:
        tensor: floats or complex numbers.
        ord: "euclidean", 1, 2, `np.inf` or any positive number for vectors; "euclidean" or "fro", 1 (largest column sum),
            2 (largest singular value) or `np.inf` (largest row sum) for matrices.
        axis: None for all elements as one vector, an int for vectors, two ints for matrices.
        keepdims: whether the axes stay, of size 1.

    Raises:
        ValueError: another `ord` or `axis`.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.norm([3.0, 4.0])), float(tf.norm([[1.0, -2.0], [3.0, 4.0]], ord=1, axis=[0, 1]))
        (5.0, 6.0)
    """
    matrix = _checked_norm(ord, axis)
    x = convert_to_tensor(tensor)
    axes = None if axis is None else axis_numbers(axis)
    if matrix and ord == 2:
        return _spectral_norm(x, axes, keepdims)
    if ord in ("fro", "euclidean", 2):
        squares = x * P.conj(x) if x._dtype.is_complex else x * x
        result = P.sqrt(P.sum(squares, axis=axes, keepdims=True))
    elif ord == 1:
        result = P.sum(P.abs(x), axis=axes[:1] if matrix else axes, keepdims=True)
        result = P.max(result, axis=axes[1:], keepdims=True) if matrix else result
    elif ord == np.inf:
        result = P.sum(P.abs(x), axis=axes[1:], keepdims=True) if matrix else P.abs(x)
        result = P.max(result, axis=axes[:1] if matrix else axes, keepdims=True)
    else:
        power = convert_to_tensor(ord, x._dtype.real_dtype)
        result = P.pow(P.sum(P.pow(P.abs(x), power), axis=axes, keepdims=True), 1 / power)
    if keepdims:
        return result
    return P.reshape(result, shape=()) if axes is None else P.squeeze(result, axis=axes)


def _checked_norm(ord, axis):
    """Whether a matrix norm is meant."""
    matrix = isinstance(axis, (tuple, list))
    if matrix and (len(axis) != 2 or axis[0] == axis[1]):
        shown = tuple(axis) if len(axis) == 2 else axis
        raise ValueError(f"'axis' must be None, an integer, or a tuple of 2 unique integers, got {shown}")
    if (
        not matrix
        and axis is not None
        and (isinstance(axis, str) or not isinstance(axis, (numbers.Integral, Tensor, np.ndarray)))
    ):
        raise ValueError(f"'axis' must be None, an integer, or a tuple of 2 unique integers, got {axis}")
    if matrix:
        supported = ["euclidean", "fro", 1, 2, np.inf]
        if isinstance(ord, Tensor) or ord not in supported:
            raise ValueError(f"'ord' must be a supported matrix norm in {supported}, got {ord}")
    elif ord != "euclidean" and (isinstance(ord, str) or not ord > 0):
        raise ValueError(f"'ord' must be a supported vector norm, got {ord}")
    return matrix


def _spectral_norm(x, axes, keepdims):
    """The largest singular value of the matrices that two axes make."""
    rank = rank_of(x)
    axes = normalize_axes(axes, rank)
    rest = [i for i in range(rank) if i not in axes]
    largest = P.max(P.singular_values(P.transpose(x, perm=(*rest, *axes))), axis=(-1,), keepdims=False)
    return P.expand_dims(largest, axis=tuple(sorted(axes))) if keepdims else largest


@export("linalg.normalize")
def normalize(tensor, ord="euclidean", axis=None, name=None):
    """`tensor` divided by its norm, and the norm, whose axes stay, of size 1; see `tf.norm`.

    Example:
        >>> import tapeflow as tf
        >>> x, length = tf.linalg.normalize([3.0, 4.0])
        >>> x.numpy().round(4).tolist(), length.numpy().tolist()
        ([0.6000000238418579, 0.800000011920929], [5.0])
    """
    x = convert_to_tensor(tensor)
    length = norm(x, ord=ord, axis=axis, keepdims=True)
    if x._dtype.is_complex and not length._dtype.is_complex:
        length = P.cast(length, dtype=x._dtype)
    return x / length, length
