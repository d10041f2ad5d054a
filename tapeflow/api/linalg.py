"""`tf.linalg`: decompositions of matrices, their eigenvalues, determinants and functions."""

import collections

import numpy as np

from tapeflow.api.export import EXPORTS, export
from tapeflow.base.dtypes import as_dtype, float32, int32, string
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.linalg_parts import MATRICES, adjoint, diagonal, product
from tapeflow.ops.movement import dims_of, rank_of

Qr = collections.namedtuple("Qr", ["q", "r"])
Lu = collections.namedtuple("Lu", ["lu", "p"])
LogMatrixDeterminant = collections.namedtuple("LogMatrixDeterminant", ["sign", "log_abs_determinant"])


def as_matrix(value, name):
    """A tensor, refused here where its dtype is none that decompositions take, so that composites name their op."""
    x = convert_to_tensor(value)
    if x._dtype not in MATRICES:
        allowed = "double, float, half, complex64, complex128"
        raise invalid(name, f"Value for attr 'T' of {x._dtype.c_name} is not in the list of allowed values: {allowed}")
    return x


@export("linalg.cholesky")
def cholesky(input, name=None):
    """The lower triangular `l` with positive diagonal for which `input = l @ adjoint(l)`.

    Args:
        input: self-adjoint positive definite matrices [..., n, n], of which only the lower triangle is read.

    Returns:
        A tensor [..., n, n]; nan where a matrix is not positive definite.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.cholesky([[4.0, 2.0], [2.0, 10.0]]).numpy().tolist()
        [[2.0, 0.0], [1.0, 3.0]]
    """
    return P.cholesky(convert_to_tensor(input))


@export("linalg.qr")
def qr(input, full_matrices=False, name=None):
    """The decomposition `input = q @ r` into orthonormal columns and an upper triangular matrix.

    Args:
        input: matrices [..., m, n].
        full_matrices: whether q is [..., m, m] and r [..., m, n]; by default both have only min(m, n) columns or rows.

    Returns:
        A namedtuple (q, r).

    Example:
        >>> import tapeflow as tf
        >>> q, r = tf.linalg.qr([[3.0, 1.0], [4.0, 2.0]])
        >>> tf.abs(r).numpy().round(4).tolist()
        [[5.0, 2.200000047683716], [0.0, 0.4000000059604645]]
    """
    return Qr(*P.qr(convert_to_tensor(input), full_matrices=bool(full_matrices)))


@export("linalg.svd")
def svd(tensor, full_matrices=False, compute_uv=True, name=None):
    """The singular value decomposition `tensor = u @ diag(s) @ adjoint(v)`.

    Args:
        tensor: matrices [..., m, n]; p is the smaller of m and n.
        full_matrices: whether u is [..., m, m] and v [..., n, n] instead of [..., m, p] and [..., n, p].
        compute_uv: whether to compute u and v.

    Returns:
        A tuple (s, u, v), or s alone: real tensors [..., p], the largest first.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.svd([[3.0, 0.0], [0.0, -4.0]], compute_uv=False).numpy().tolist()
        [4.0, 3.0]
    """
    x = convert_to_tensor(tensor)
    return P.svd(x, full_matrices=bool(full_matrices)) if compute_uv else P.singular_values(x)


@export("linalg.eigh")
def eigh(tensor, name=None):
    """The eigenvalues (ascending) and, as columns, the eigenvectors of self-adjoint matrices [..., n, n].

    Only the lower triangle is read.

    Returns:
        A tuple (e [..., n], v [..., n, n]) of the matrices' dtype.

    Example:
        >>> import tapeflow as tf
        >>> e, v = tf.linalg.eigh([[2.0, 1.0], [1.0, 2.0]])
        >>> e.numpy().round(4).tolist()
        [1.0, 3.0]
    """
    return P.eigh(convert_to_tensor(tensor))


@export("linalg.eigvalsh")
def eigvalsh(tensor, name=None):
    """The eigenvalues of self-adjoint matrices [..., n, n], ascending.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.eigvalsh([[2.0, 1.0], [1.0, 2.0]]).numpy().round(4).tolist()
        [1.0, 3.0]
    """
    return P.eigvalsh(convert_to_tensor(tensor))


@export("linalg.eig")
def eig(tensor, name=None):
    """The eigenvalues and, as columns of length 1, the eigenvectors of square matrices [..., n, n].

    Returns:
        A tuple (e [..., n], v [..., n, n]) of complex tensors, in no particular order.

    Example:
        >>> import tapeflow as tf
        >>> e, v = tf.linalg.eig([[0.0, 1.0], [-1.0, 0.0]])
        >>> e.numpy().round(4).tolist()
        [1j, -1j]
    """
    return P.eig(as_matrix(tensor, "Eig"))


@export("linalg.eigvals")
def eigvals(tensor, name=None):
    """The eigenvalues of square matrices [..., n, n]: a complex tensor [..., n], in no particular order.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.eigvals([[2.0, 1.0], [0.0, 3.0]]).numpy().tolist()
        [(2+0j), (3+0j)]
    """
    return P.eigvals(as_matrix(tensor, "Eig"))


# LU


@export("linalg.lu")
def lu(input, output_idx_type=int32, name=None):
    """The decomposition with partial pivoting: the rows of `input` in the order `p` are `l @ u`.

    Args:
        input: invertible matrices [..., n, n].
        output_idx_type: the dtype of `p`, int32 or int64.

    Returns:
        A namedtuple (lu, p): [..., n, n] with u in the upper triangle and l, without its diagonal of ones, below it; and
        the row numbers [..., n].

    Raises:
        InvalidArgumentError: a matrix is not invertible.

    Example:
        >>> import tapeflow as tf
        >>> lu, p = tf.linalg.lu([[1.0, 2.0], [4.0, 4.0]])
        >>> lu.numpy().tolist(), p.numpy().tolist()
        ([[4.0, 4.0], [0.25, 1.0]], [1, 0])
    """
    return Lu(*P.lu(convert_to_tensor(input), dtype=as_dtype(output_idx_type)))


def _unit_lower(lower_upper):
    lower = P.band_part(lower_upper, lower=-1, upper=0)
    return P.set_diag(lower, P.ones_like(diagonal(lower)), k=(0, 0), align="RIGHT_LEFT")


def _rows(x, order):
    """The rows of matrices in another order, given for each batch."""
    rank = rank_of(order)
    return P.gather(x, order, axis=-2, batch_dims=rank - 1)


@export("linalg.lu_reconstruct")
def lu_reconstruct(lower_upper, perm, validate_args=False, name=None):
    """The matrices [..., n, n] whose decomposition `tf.linalg.lu` gave.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.lu_reconstruct(*tf.linalg.lu([[3.0, 4.0], [1.0, 2.0]])).numpy().round(4).tolist()
        [[3.0, 4.0], [1.0, 2.0]]
    """
    lower_upper, perm = convert_to_tensor(lower_upper), convert_to_tensor(perm)
    permuted = product(_unit_lower(lower_upper), P.band_part(lower_upper, lower=0, upper=-1))
    if rank_of(perm) == 1:
        return P.gather(permuted, EXPORTS["math.invert_permutation"](perm), axis=0, batch_dims=0)
    return _rows(permuted, P.argsort(perm, axis=-1, descending=False))


@export("linalg.lu_solve")
def lu_solve(lower_upper, perm, rhs, validate_args=False, name=None):
    """The solution x of `a @ x = rhs` for the decomposition of `a` that `tf.linalg.lu` gave.

    Args:
        rhs: a tensor [..., n, k]; leading axes broadcast.

    Raises:
        ValueError: `rhs` is no matrix.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.lu_solve(*tf.linalg.lu([[3.0, 4.0], [1.0, 2.0]]), [[11.0], [5.0]]).numpy().round(4).tolist()
        [[1.0], [2.0]]
    """
    lower_upper, perm = convert_to_tensor(lower_upper), convert_to_tensor(perm)
    rhs = convert_to_tensor(rhs, dtype_hint=lower_upper._dtype)
    if rhs.dims is not None and len(rhs.dims) < 2:
        raise ValueError(f"Input `rhs` must have at least 2 dimensions. Its shape is {rhs.shape}.")
    if rank_of(perm) == 1:
        permuted = P.gather(rhs, perm, axis=-2, batch_dims=0)
    else:
        if rank_of(rhs) != rank_of(lower_upper) or dims_of(rhs)[:-2] != dims_of(perm)[:-1]:
            rhs = P.zeros_like(lower_upper)[..., :1] + rhs
            perm = perm + P.cast(P.zeros_like(rhs[..., 0]), dtype=perm._dtype)
        permuted = _rows(rhs, perm)
    y = P.triangular_solve(_unit_lower(lower_upper), permuted, lower=True, adjoint=False)
    return P.triangular_solve(lower_upper, y, lower=False, adjoint=False)


@export("linalg.lu_matrix_inverse")
def lu_matrix_inverse(lower_upper, perm, validate_args=False, name=None):
    """The inverse of the matrices whose decomposition `tf.linalg.lu` gave.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.lu_matrix_inverse(*tf.linalg.lu([[2.0, 0.0], [0.0, 4.0]])).numpy().tolist()
        [[0.5, 0.0], [0.0, 0.25]]
    """
    lower_upper = convert_to_tensor(lower_upper)
    one = P.set_diag(P.zeros_like(lower_upper), P.ones_like(diagonal(lower_upper)), k=(0, 0), align="RIGHT_LEFT")
    return lu_solve(lower_upper, perm, one)


# Determinants and inverses


@export("linalg.det")
def det(input, name=None):
    """The determinants [...] of matrices [..., n, n].

    Example:
        >>> import tapeflow as tf
        >>> float(tf.linalg.det([[2.0, 1.0], [0.0, 3.0]]))
        6.0
    """
    return P.det(convert_to_tensor(input))


@export("linalg.slogdet")
def slogdet(input, name=None):
    """The signs (for complex matrices phases) and the logarithms of the absolute values of determinants.

    Returns:
        A namedtuple (sign, log_abs_determinant) of tensors [...] of the matrices' dtype.

    Example:
        >>> import tapeflow as tf
        >>> sign, log = tf.linalg.slogdet([[0.0, 1.0], [1.0, 0.0]])
        >>> float(sign), float(log)
        (-1.0, 0.0)
    """
    return LogMatrixDeterminant(*P.slogdet(convert_to_tensor(input)))


@export("linalg.logdet")
def logdet(matrix, name=None):
    """The logarithms of the determinants of self-adjoint positive definite matrices, by way of Cholesky; real.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.linalg.logdet([[4.0, 2.0], [2.0, 10.0]])), 4)  # log(36)
        3.5835
    """
    roots = diagonal(P.cholesky(convert_to_tensor(matrix)))
    roots = P.real(roots) if roots._dtype.is_complex else roots
    return 2.0 * P.sum(P.log(roots), axis=(-1,), keepdims=False)


@export("linalg.inv")
def inv(input, adjoint=False, name=None):
    """The inverses of matrices [..., n, n], or of their adjoints.

    Raises:
        InvalidArgumentError: a matrix is not invertible.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.inv([[2.0, 0.0], [0.0, 4.0]]).numpy().tolist()
        [[0.5, 0.0], [0.0, 0.25]]
    """
    inverse = P.inverse(convert_to_tensor(input))
    return _adjoint(inverse) if adjoint else inverse


_adjoint = adjoint


def real_matrix(value, name, hint=None):
    """A tensor of real matrices.

    Args:
        hint: the dtype of what is not a tensor, where it can be that.

    Raises:
        TypeError: not floats.
        ValueError: fewer than 2 dimensions.
    """
    a = convert_to_tensor(value, dtype_hint=hint)
    if not a._dtype.is_floating:
        raise TypeError(f"Input `{name}` must have `float`-like `dtype` (saw {a._dtype.name}).")
    if a.dims is not None and len(a.dims) < 2:
        raise ValueError(f"Input `{name}` must have at least 2 dimensions (saw: {len(a.dims)}).")
    return a


def _larger(x):
    """The larger of the last two dimensions, as a tensor of the dtype of `x`."""
    rows, columns = dims_of(x)[-2:]
    if isinstance(rows, Tensor) or isinstance(columns, Tensor):
        larger = P.maximum(*[convert_to_tensor(n, int32) for n in (rows, columns)])
        return P.cast(larger, dtype=x._dtype)
    return convert_to_tensor(float(max(rows, columns)), x._dtype)


@export("linalg.pinv")
def pinv(a, rcond=None, validate_args=False, name=None):
    """The Moore-Penrose inverses [..., n, m] of real matrices [..., m, n].

    Args:
        rcond: singular values up to this times the largest count as 0: a tensor [...]; 10 max(m, n) eps by default.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.pinv([[2.0, 0.0], [0.0, 0.0]]).numpy().tolist()
        [[0.5, 0.0], [0.0, 0.0]]
    """
    a = real_matrix(a, "a")
    if rcond is None:
        rcond = _larger(a) * (10.0 * float(np.finfo(a._dtype.numpy_dtype).eps))
    return P.pinv(a, convert_to_tensor(rcond, a._dtype))


@export("linalg.matrix_rank")
def matrix_rank(a, tol=None, validate_args=False, name=None):
    """The ranks of real matrices [..., m, n]: how many singular values exceed `tol`, an int32 tensor [...].

    Args:
        tol: a tensor that broadcasts with the singular values [..., min(m, n)]; eps max(m, n) times the largest of
            them by default.

    Example:
        >>> import tapeflow as tf
        >>> int(tf.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
        1
    """
    a = real_matrix(a, "a", float32)
    s = P.singular_values(a)
    if tol is None:
        scale = _larger(a) * float(np.finfo(a._dtype.numpy_dtype).eps)
        tol = P.max(s, axis=(-1,), keepdims=True) * scale
    else:
        tol = convert_to_tensor(tol, a._dtype)
    return P.sum(P.cast(P.greater(s, tol), dtype=int32), axis=(-1,), keepdims=False)


# Functions of matrices


@export("linalg.expm")
def expm(input, name=None):
    """The exponentials of matrices [..., n, n]: 1 + x + x @ x / 2 + ...

    Raises:
        ValueError: `input` is neither floating point nor complex.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.expm([[0.0, 1.0], [0.0, 0.0]]).numpy().tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    x = convert_to_tensor(input)
    if x._dtype is string:
        raise invalid(
            "MatrixExponential", "Value for attr 'T' of string is not in the list of allowed values: float, double, ..."
        )
    if x._dtype not in MATRICES:
        raise ValueError(f"tf.linalg.expm does not support matrices of type {x._dtype}")
    return P.expm(x)


@export("linalg.logm")
def logm(input, name=None):
    """The principal logarithms of invertible complex matrices [..., n, n] without negative real eigenvalues.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.linalg.logm(tf.constant([[1.0, 1.0], [0.0, 1.0]], tf.complex128))
        >>> tf.math.real(x).numpy().round(6).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    return P.logm(convert_to_tensor(input))


@export("linalg.sqrtm", "matrix_square_root")
def sqrtm(input, name=None):
    """The principal square roots of invertible matrices [..., n, n]; nan where a real matrix has no real one.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.sqrtm([[4.0, 0.0], [0.0, 9.0]]).numpy().tolist()
        [[2.0, 0.0], [0.0, 3.0]]
    """
    return P.sqrtm(convert_to_tensor(input))
