"""`tf.linalg`: linear systems, least squares, tridiagonal and banded matrices."""

import collections

import numpy as np

from tapeflow.api.export import EXPORTS, export
from tapeflow.api.linalg import as_matrix
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.ops.linalg_parts import adjoint as adjoint_of
from tapeflow.ops.linalg_parts import diagonal, product, swapped
from tapeflow.ops.movement import dims_of, listed, rank_of


@export("linalg.solve")
def solve(matrix, rhs, adjoint=False, name=None):
    """The solution x of `matrix @ x = rhs`.

    Args:
        matrix: invertible matrices [..., n, n].
        rhs: a tensor [..., n, k] with the same leading axes.
        adjoint: whether `adjoint(matrix)` is meant.

    Raises:
        InvalidArgumentError: a matrix is not invertible, or the shapes do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [[6.0], [8.0]]).numpy().tolist()
        [[3.0], [2.0]]
    """
    matrix = convert_to_tensor(matrix)
    rhs = convert_to_tensor(rhs, dtype_hint=matrix._dtype)
    return P.solve(adjoint_of(matrix) if adjoint else matrix, rhs)


@export("linalg.triangular_solve")
def triangular_solve(matrix, rhs, lower=True, adjoint=False, name=None):
    """The solution x of `matrix @ x = rhs` for triangular matrices [..., n, n]; leading axes broadcast.

    Args:
        rhs: a tensor [..., n, k].
        lower: whether the lower triangle is read, or the upper one.
        adjoint: whether the adjoint of that triangular matrix is meant.

    Returns:
        A tensor [..., n, k]; infinite or nan where the diagonal has a 0.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.triangular_solve([[2.0, 0.0], [1.0, 4.0]], [[2.0], [9.0]]).numpy().tolist()
        [[1.0], [2.0]]
    """
    matrix = convert_to_tensor(matrix)
    rhs = convert_to_tensor(rhs, dtype_hint=matrix._dtype)
    return P.triangular_solve(matrix, rhs, lower=bool(lower), adjoint=bool(adjoint))


@export("linalg.cholesky_solve")
def cholesky_solve(chol, rhs, name=None):
    """The solution x of `a @ x = rhs`, given the Cholesky factor `chol` of `a`.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.cholesky_solve([[2.0, 0.0], [1.0, 3.0]], [[8.0], [22.0]]).numpy().tolist()
        [[1.0], [2.0]]
    """
    chol = convert_to_tensor(chol)
    rhs = convert_to_tensor(rhs, dtype_hint=chol._dtype)
    y = P.triangular_solve(chol, rhs, lower=True, adjoint=False)
    return P.triangular_solve(chol, y, lower=True, adjoint=True)


@export("linalg.lstsq")
def lstsq(matrix, rhs, l2_regularizer=0.0, fast=True, name=None):
    """The x of least squares: it minimizes |matrix @ x - rhs|**2 + l2_regularizer |x|**2.

    Args:
        matrix: matrices [..., m, n].
        rhs: a tensor [..., m, k].
        l2_regularizer: a number; without it the smallest solution is taken where there are several (m < n).
        fast: whether to use the Cholesky decomposition of the Gramian, which needs full rank and squares the condition
            number; else the pseudo-inverse, without the regularizer, as in TensorFlow.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [[1.0], [3.0], [5.0]]).numpy().round(3).tolist()
        [[1.0], [2.0]]
    """
    matrix = as_matrix(matrix, "MatrixSolveLs")
    rhs = convert_to_tensor(rhs, dtype_hint=matrix._dtype)
    rows, columns = dims_of(matrix)[-2:]
    if not fast:
        eps = float(np.finfo(matrix._dtype.numpy_dtype).eps)
        least = min(n for n in (rows, columns) if isinstance(n, int))
        return product(P.pinv(matrix, convert_to_tensor(eps * least, matrix._dtype)), rhs)
    tall = not isinstance(rows, int) or not isinstance(columns, int) or rows >= columns
    gramian = product(matrix, matrix, adjoint_a=tall, adjoint_b=not tall)
    if l2_regularizer.__class__ is not float or l2_regularizer:
        shift = P.cast(convert_to_tensor(l2_regularizer, matrix._dtype.real_dtype), dtype=matrix._dtype)
        gramian = P.set_diag(gramian, diagonal(gramian) + shift, k=(0, 0), align="RIGHT_LEFT")
    chol = P.cholesky(gramian)
    if tall:
        return cholesky_solve(chol, product(matrix, rhs, adjoint_a=True))
    return product(matrix, cholesky_solve(chol, rhs), adjoint_a=True)


# Tridiagonal and banded matrices


def _compact(diagonals, form):
    """Tridiagonal matrices as [..., 3, n]: the diagonals from the highest to the lowest, aligned with the rows.

    Args:
        form: "compact" (already so), "sequence" (three tensors; the outer ones may leave out the element that is not
            there) or "matrix".
    """
    if form == "compact":
        x = convert_to_tensor(diagonals)
        if x.dims is not None and (len(x.dims) < 2 or x.dims[-2] not in (3, None)):
            raise ValueError(f"Expected 3 diagonals got {x.dims[-2] if len(x.dims) > 1 else 1}: shape {x.shape}")
        return x
    if form == "sequence":
        if len(diagonals) != 3:
            raise ValueError(f"Expected diagonals to be a sequence of length 3: got {len(diagonals)}.")
        above, middle, below = [convert_to_tensor(d) for d in diagonals]
        size = dims_of(middle)[-1]
        ends = ((0, 0),) * (rank_of(middle) - 1)
        above = above if dims_of(above)[-1] == size else P.pad(above, paddings=(*ends, (0, 1)))
        below = below if dims_of(below)[-1] == size else P.pad(below, paddings=(*ends, (1, 0)))
        return P.stack(above, middle, below, axis=-2)
    if form == "matrix":
        x = convert_to_tensor(diagonals)
        if x.dims is None or len(x.dims) < 2 or x.dims[-1] != x.dims[-2]:
            raise ValueError(f"Expected last two dimensions of diagonals to be same, got {x.shape}")
        return P.diag_part(x, k=(-1, 1), align="LEFT_RIGHT")
    raise ValueError(f"Unrecognized diagonals_format: {form}")


@export("linalg.tridiagonal_solve")
def tridiagonal_solve(
    diagonals,
    rhs,
    diagonals_format="compact",
    transpose_rhs=False,
    conjugate_rhs=False,
    name=None,
    partial_pivoting=True,
    perturb_singular=False,
):
    """The solution x of `a @ x = rhs` for tridiagonal matrices, in a time proportional to their size n.

    Args:
        diagonals: the matrices: [..., 3, n] ("compact": superdiagonal, diagonal, subdiagonal, whose last and first elements
            are not read), three tensors ("sequence"), or [..., n, n] ("matrix").
        rhs: a tensor [..., n] or [..., n, k].
        transpose_rhs: whether `rhs` is given as [..., k, n].
        conjugate_rhs: whether its conjugate is meant.
        partial_pivoting: whether rows may change places, for accuracy.
        perturb_singular: whether a pivot of 0 counts as a tiny number.

    Returns:
        A tensor [..., n] or [..., n, k]; nan where a matrix is singular.

    Raises:
        ValueError: shapes that do not fit, or an unknown format.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.tridiagonal_solve(tf.constant([[1.0, 0.0], [2.0, 2.0], [0.0, 1.0]]), [4.0, 5.0]).numpy().tolist()
        [1.0, 2.0]
    """
    if perturb_singular and not partial_pivoting:
        raise ValueError("partial_pivoting must be True if perturb_singular is True.")
    diagonals = _compact(diagonals, diagonals_format)
    rhs = convert_to_tensor(rhs, dtype_hint=diagonals._dtype)
    rank = rank_of(diagonals)
    if rank_of(rhs) not in (rank - 1, rank):
        raise ValueError(f"Expected the rank of rhs to be {rank - 1} or {rank}, got {rank_of(rhs)}")
    vector = rank_of(rhs) == rank - 1
    if conjugate_rhs and rhs._dtype.is_complex:
        rhs = P.conj(rhs)
    if vector:
        rhs = P.expand_dims(rhs, axis=(-1,))
    elif transpose_rhs:
        rhs = swapped(rhs)
    _check_sizes(diagonals, rhs)
    x = P.tridiagonal_solve(diagonals, rhs, pivoting=bool(partial_pivoting), perturb=bool(perturb_singular))
    return P.squeeze(x, axis=(-1,)) if vector else x


def _check_sizes(diagonals, rhs):
    if not diagonals.shape[:-2].is_compatible_with(rhs.shape[:-2]):
        raise ValueError(f"Batch shapes {diagonals.shape[:-2]} and {rhs.shape[:-2]} are incompatible")
    n, m = diagonals.dims[-1], rhs.dims[-2]
    if None not in (n, m) and n != m:
        raise ValueError(f"Expected number of left-hand sided and right-hand sides to be equal, got {n} and {m}")


@export("linalg.tridiagonal_matmul")
def tridiagonal_matmul(diagonals, rhs, diagonals_format="compact", name=None):
    """The product of tridiagonal matrices, given as for `tf.linalg.tridiagonal_solve`, and matrices [..., n, k].

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.tridiagonal_matmul(tf.constant([[1.0, 0.0], [2.0, 2.0], [0.0, 1.0]]), [[1.0], [2.0]]).numpy().tolist()
        [[4.0], [5.0]]
    """
    diagonals = _compact(diagonals, diagonals_format)
    rhs = convert_to_tensor(rhs, dtype_hint=diagonals._dtype)
    if rank_of(rhs) != rank_of(diagonals):
        text = "All input tensors must have the same rank."
        raise invalid("TridiagonalMatMul", f"{text} They are {listed(diagonals.dims)} and {listed(rhs.dims)}.")
    if None not in (diagonals.dims[-1], rhs.dims[-2]) and diagonals.dims[-1] != rhs.dims[-2]:
        shapes = f"{listed(diagonals.dims)} and {listed(rhs.dims)}"
        raise invalid("TridiagonalMatMul", f"Invalid superdiagonal shape. The shapes are {shapes}.")
    above, middle, below = [P.expand_dims(diagonals[..., i, :], axis=(-1,)) for i in range(3)]
    ends = ((0, 0),) * (rank_of(rhs) - 2)
    high = P.pad(above[..., :-1, :] * rhs[..., 1:, :], paddings=(*ends, (0, 1), (0, 0)))
    low = P.pad(below[..., 1:, :] * rhs[..., :-1, :], paddings=(*ends, (1, 0), (0, 0)))
    return middle * rhs + high + low


@export("linalg.banded_triangular_solve")
def banded_triangular_solve(bands, rhs, lower=True, adjoint=False, name=None):
    """The solution x of `a @ x = rhs` for triangular matrices of which some diagonals are not 0.

    Args:
        bands: [..., b, n]: the diagonals from the highest to the lowest, subdiagonals aligned to the right and
            superdiagonals to the left.
        rhs: a tensor [..., n, k]; leading axes broadcast.
        lower: whether the lowest rows of `bands` lie below the diagonal, or all but the lowest above it.
        adjoint: whether the adjoint of the matrix is meant.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.banded_triangular_solve([[2.0, 4.0], [0.0, 1.0]], [[2.0], [9.0]]).numpy().tolist()
        [[1.0], [2.0]]
    """
    bands = convert_to_tensor(bands)
    rhs = convert_to_tensor(rhs, dtype_hint=bands._dtype)
    for which, x in enumerate((bands, rhs)):
        if x.dims is not None and len(x.dims) < 2:
            raise invalid("BandedTriangularSolve", f"In[{which}] ndims must be >= 2: {len(x.dims)}")
    *batch, count, size = dims_of(bands)
    if not isinstance(count, int):
        raise ValueError("tf.linalg.banded_triangular_solve: the number of bands must be known while tracing.")
    if None not in (bands.dims[-1], rhs.dims[-2]) and bands.dims[-1] != rhs.dims[-2]:
        shapes = f"{listed(bands.dims)} {listed(rhs.dims)} {int(lower)} {int(adjoint)}"
        mismatch = f"In[0] mismatch In[1] shape: {bands.dims[-1]} vs. {rhs.dims[-2]}: {shapes}"
        raise invalid("BandedTriangularSolve", mismatch)
    k = (1 - count, 0) if lower else (0, count - 1)
    packed = P.squeeze(bands, axis=(-2,)) if count == 1 else bands
    matrix = P.fill(shape=(*batch, size, size), value=0, dtype=bands._dtype)
    matrix = P.set_diag(matrix, packed, k=k, align="LEFT_RIGHT")
    return P.triangular_solve(matrix, rhs, lower=bool(lower), adjoint=bool(adjoint))


@export("linalg.eigh_tridiagonal")
def eigh_tridiagonal(alpha, beta, eigvals_only=True, select="a", select_range=None, tol=None, name=None):
    """The eigenvalues, ascending, of self-adjoint tridiagonal matrices.

    Args:
        alpha: the diagonal [n].
        beta: the superdiagonal [n - 1].
        eigvals_only: whether to leave out the eigenvectors.
        select: "a" for all eigenvalues, "v" for those in the interval `select_range`, "i" for those with the numbers
            select_range[0]..select_range[1].
        tol: accepted; eigenvalues are as accurate as the dtype allows.

    Returns:
        The eigenvalues, or a tuple of them and, as columns, the eigenvectors.

    Raises:
        ValueError: another `select`.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.eigh_tridiagonal([2.0, 2.0], [1.0]).numpy().round(4).tolist()
        [1.0, 3.0]
    """
    if select not in ("a", "i", "v"):
        raise ValueError("'select must have a value in {'a', 'i', 'v'}, got " + repr(select))
    alpha = convert_to_tensor(alpha)
    np.finfo(alpha._dtype.numpy_dtype)  # refuses integers as TensorFlow does
    beta = convert_to_tensor(beta, alpha._dtype)
    n, m = alpha.dims[-1], beta.dims[-1]
    if None not in (n, m) and m != n - 1:
        raise invalid("EighTridiagonal", f"Incompatible shapes: alpha {listed(alpha.dims)}, beta {listed(beta.dims)}")
    size = dims_of(alpha)[-1]
    matrix = P.fill(shape=(*dims_of(alpha), size), value=0, dtype=alpha._dtype)
    matrix = P.set_diag(matrix, alpha, k=(0, 0), align="RIGHT_LEFT")
    below = P.conj(beta) if beta._dtype.is_complex else beta
    matrix = P.set_diag(matrix, below, k=(-1, -1), align="RIGHT_LEFT")
    e, v = (P.eigvalsh(matrix), None) if eigvals_only else P.eigh(matrix)
    e = P.real(e) if e._dtype.is_complex else e
    if select == "i":
        first, last = select_range
        e, v = e[..., first : last + 1], None if v is None else v[..., first : last + 1]
    elif select == "v":
        low, high = [convert_to_tensor(bound, e._dtype) for bound in select_range]
        inside = P.logical_and(P.greater(e, low), P.less_equal(e, high))
        e = P.boolean_mask(e, inside)
        v = None if v is None else swapped(P.boolean_mask(swapped(v), inside))
    return e if eigvals_only else (e, v)


# Iterations

CGState = collections.namedtuple("CGState", ["i", "x", "r", "p", "gamma"])


@export("linalg.experimental.conjugate_gradient")
def conjugate_gradient(operator, rhs, preconditioner=None, x=None, tol=1e-05, max_iter=20, name="conjugate_gradient"):
    """The solution of `a x = rhs` for a self-adjoint positive definite operator, by conjugate gradients.

    Args:
        operator: a `LinearOperator`, or any object with `matvec`, `is_self_adjoint` and `is_positive_definite`.
        rhs: vectors [..., n].
        preconditioner: an operator like the inverse of `operator`.
        x: where to begin; 0 by default.
        tol: the iteration ends when the residual's norm is that small, relative to the first.
        max_iter: or after as many steps.

    Returns:
        A namedtuple (i, x, r, p, gamma): the number of steps, the solution, the residual, the last direction, and the
        product of the residual with the preconditioned residual.

    Raises:
        ValueError: the operator is not said to be self-adjoint and positive definite.
    """
    if not (operator.is_self_adjoint and operator.is_positive_definite):
        raise ValueError("Expected a self-adjoint, positive definite operator.")
    norm = EXPORTS["norm"]
    rhs = convert_to_tensor(rhs)
    start = P.zeros_like(rhs) if x is None else convert_to_tensor(x)
    r = rhs if x is None else rhs - operator.matvec(start)
    tol = tol * norm(r, axis=-1)

    def dot(a, b):
        return P.sum((P.conj(a) if a._dtype.is_complex else a) * b, axis=(-1,), keepdims=False)

    def going(i, state):
        far = P.any(P.greater(norm(state.r, axis=-1), tol), axis=None, keepdims=False)
        return P.logical_and(P.less(i, convert_to_tensor(max_iter)), far)

    def step(i, state):
        z = operator.matvec(state.p)
        alpha = P.expand_dims(state.gamma / dot(state.p, z), axis=(-1,))
        x = state.x + alpha * state.p
        r = state.r - alpha * z
        q = r if preconditioner is None else preconditioner.matvec(r)
        gamma = dot(r, q)
        p = q + P.expand_dims(gamma / state.gamma, axis=(-1,)) * state.p
        return i + 1, CGState(i + 1, x, r, p, gamma)

    p = r if preconditioner is None else preconditioner.matvec(r)
    zero = convert_to_tensor(0)
    state = CGState(zero, start, r, p, dot(r, p))
    return EXPORTS["while_loop"](going, step, [zero, state])[1]
