"""Linear systems, inverses and determinants; kernels by NumPy's LAPACK, triangular and tridiagonal systems by their own."""

import numpy as np

from tapeflow.base import shape as shapes
from tapeflow.base.dtypes import as_dtype
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import sample
from tapeflow.ops.linalg_parts import (
    MATRICES,
    adjoint,
    batch_leading,
    check_matrix,
    check_square,
    column,
    like,
    product,
    refuse_flat,
    well_conditioned,
    wide,
)
from tapeflow.ops.movement import line_up, listed

# Determinants


def _det_infer(x):
    check_square("MatrixDeterminant", x)
    return Spec(None if x.shape is None else x.shape[:-2], x.dtype)


def _det_kernel(x):
    refuse_flat(x)
    return np.linalg.det(wide(x)).astype(x.dtype)


def _det_vjp(g, x, out):
    """Jacobi's formula; as in TensorFlow, the matrix must be invertible."""
    scale = g * (P.conj(out) if out._dtype.is_complex else out)
    return column(column(scale)) * adjoint(P.inverse(x))


det = Primitive(
    "det",
    _det_kernel,
    _det_infer,
    vjp=(_det_vjp,),
    batch=batch_leading,
    accepts=MATRICES,
    samples=lambda: [((well_conditioned(3, 3),), {}), ((well_conditioned(2, 3, 3),), {}), ((sample(0, 0),), {})],
)


def _slogdet_infer(x):
    check_square("LogMatrixDeterminant", x)
    out = Spec(None if x.shape is None else x.shape[:-2], x.dtype)
    return out, out


def _slogdet_kernel(x):
    refuse_flat(x)
    sign, log = np.linalg.slogdet(wide(x))
    return sign.astype(x.dtype), log.astype(x.dtype)


def _slogdet_vjp(g, wanted, x, outs):
    (sign, _), (g_sign, g_log) = outs, g
    if sign._dtype.is_complex:  # the logarithm is real, and the sign turns with the imaginary part of it
        scale = P.zeros_like(sign) if g_log is None else like(P.real(g_log), sign._dtype)
        if g_sign is not None:
            scale = P.complex(P.real(scale), -P.imag(P.conj(g_sign) * sign))
    elif g_log is None:
        return (None,)
    else:
        scale = g_log
    return (column(column(scale)) * adjoint(P.inverse(x)),)


slogdet = Primitive(
    "slogdet",
    _slogdet_kernel,
    _slogdet_infer,
    vjp=_slogdet_vjp,
    batch=batch_leading,
    accepts=MATRICES,
    multiple=True,
    partial=True,
    samples=lambda: [((well_conditioned(3, 3),), {}), ((well_conditioned(2, 3, 3),), {})],
)


# Inverses


def _inverse_kernel(x):
    refuse_flat(x)
    try:
        result = np.linalg.inv(wide(x))
    except np.linalg.LinAlgError:
        raise _not_invertible("MatrixInverse", x) from None
    if np.isnan(result).any() and np.isnan(x).any():
        raise _not_invertible("MatrixInverse", x)
    return result.astype(x.dtype, copy=False)


def _not_invertible(name, x):
    what = "a matrix with nan" if np.isnan(x).any() else f"the determinant is {np.linalg.det(wide(x)).tolist()}"
    return invalid(name, f"Input is not invertible. ({what})")


def _inverse_infer(x):
    check_square("MatrixInverse", x)
    return x


inverse = Primitive(
    "inverse",
    _inverse_kernel,
    _inverse_infer,
    vjp=(lambda g, out: -product(product(out, g, adjoint_a=True), out, adjoint_b=True),),
    batch=batch_leading,
    accepts=MATRICES,
    samples=lambda: [((well_conditioned(3, 3),), {}), ((well_conditioned(2, 3, 3),), {}), ((sample(0, 0),), {})],
)


def _pinv_kernel(a, rcond):
    refuse_flat(a, square=False)
    if a.dtype != rcond.dtype:
        raise TypeError(rcond.dtype)
    u, s, vh = np.linalg.svd(wide(a), full_matrices=False)
    cutoff = np.asarray(rcond)[..., None] * np.max(s, axis=-1, initial=0, keepdims=True)
    small = s <= cutoff
    inverse = np.where(small, 0, 1 / np.where(small, 1, s)).astype(s.dtype)
    swapped = np.conj(np.swapaxes(vh, -1, -2)) * inverse[..., None, :]
    return (swapped @ np.conj(np.swapaxes(u, -1, -2))).astype(a.dtype, copy=False)


def _pinv_infer(a, rcond):
    check_matrix("Pinv", a)
    if a.shape is None:
        return a
    if rcond.shape is not None:
        try:
            batch = shapes.broadcast(a.shape[:-2], rcond.shape)
        except ValueError:
            raise invalid("Pinv", f"Incompatible shapes: a {listed(a.shape)} vs. rcond {listed(rcond.shape)}") from None
    else:
        batch = a.shape[:-2]
    return Spec((*batch, a.shape[-1], a.shape[-2]), a.dtype)


def _pinv_vjp(g, a, out, a_shape):
    """G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems", 1973."""
    rows = product(a, out)
    columns = product(out, a)
    outer = product(out, out, adjoint_b=True)
    inner = product(out, out, adjoint_a=True)
    first = product(product(out, g, adjoint_a=True), out, adjoint_b=True)
    second = product(g, outer, adjoint_a=True)
    third = product(inner, g, adjoint_b=True)
    total = second - product(rows, second) + third - product(third, columns) - first
    return total if isinstance(a_shape, tuple) and total.dims == a_shape else P.sum_to(total, shape=a_shape)


pinv = Primitive(
    "pinv",
    _pinv_kernel,
    _pinv_infer,
    vjp=(_pinv_vjp, None),
    batch=None,
    accepts=MATRICES,
    samples=lambda: [((sample(*dims), np.float64(1e-8)), {}) for dims in [(5, 3), (2, 3, 5), (3, 3)]],
)


# Systems


def _solve_kernel(a, b):
    refuse_flat(a)
    if b.ndim != a.ndim or b.shape[:-1] != a.shape[:-1]:
        raise ValueError(b.shape)
    try:
        result = np.linalg.solve(wide(a), wide(b))
    except np.linalg.LinAlgError:
        raise _not_invertible("MatrixSolve", a) from None
    if np.isnan(result).any() and np.isnan(a).any():
        raise _not_invertible("MatrixSolve", a)
    return result.astype(b.dtype, copy=False)


def _solve_infer(a, b):
    name = "MatrixSolve"
    if a.shape is None or b.shape is None:
        return b
    if len(a.shape) != len(b.shape):
        text = "All input tensors must have the same rank."
        raise invalid(name, f"{text} They are {listed(a.shape)} and {listed(b.shape)}.")
    check_matrix(name, a)
    if None not in a.shape[-2:] and a.shape[-1] != a.shape[-2]:
        raise invalid(name, f"First input (lhs) must be a square matrix. Its shape is {listed(a.shape)}.")
    if any(None not in (n, m) and n != m for n, m in zip(a.shape[:-1], b.shape[:-1], strict=True)):
        raise invalid(name, f"Input matrix and rhs are incompatible: {listed(a.shape)} and {listed(b.shape)}.")
    return b


def _solve_vjp(g, wanted, a, out):
    db = P.solve(adjoint(a), g)
    return -product(db, out, adjoint_b=True) if wanted[0] else None, db if wanted[1] else None


solve = Primitive(
    "solve",
    _solve_kernel,
    _solve_infer,
    vjp=_solve_vjp,
    batch=batch_leading,
    accepts=MATRICES,
    samples=lambda: [
        ((well_conditioned(3, 3), sample(3, 2)), {}),
        ((well_conditioned(2, 3, 3), sample(2, 3, 5)), {}),
        ((sample(0, 0), sample(0, 2)), {}),
    ],
)


_BLOCK = 64  # rows that LAPACK solves at a time; what is left of them is a matrix product


def _triangular_kernel(a, b, *, lower, adjoint):
    refuse_flat(a)
    refuse_flat(b, square=False)
    if b.shape[-2] != a.shape[-1]:
        raise ValueError(b.shape)
    matrix, rhs = wide(a), wide(b)
    if adjoint:
        matrix, lower = np.conj(np.swapaxes(matrix, -1, -2)), not lower
    if lower:  # in reverse order, so that LAPACK, which looks for pivots below the diagonal, finds none
        result = _solve_upper(matrix[..., ::-1, ::-1], rhs[..., ::-1, :])[..., ::-1, :]
    else:
        result = _solve_upper(matrix, rhs)
    return np.ascontiguousarray(result).astype(b.dtype, copy=False)


def _solve_upper(a, b):
    """The solution of `a x = b` of which only the upper triangle of `a` is read."""
    n = a.shape[-1]
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = np.empty((*batch, n, b.shape[-1]), b.dtype)
    for stop in range(n, 0, -_BLOCK):
        start = max(stop - _BLOCK, 0)
        rest = b[..., start:stop, :]
        if stop < n:
            rest = rest - a[..., start:stop, stop:] @ x[..., stop:, :]
        block = np.triu(a[..., start:stop, start:stop])
        try:
            x[..., start:stop, :] = np.linalg.solve(block, rest)
        except np.linalg.LinAlgError:  # a zero on the diagonal: infinities, as in TensorFlow
            x[..., start:stop, :] = _substituted(block, rest)
    return x


def _substituted(a, b):
    x = np.array(np.broadcast_to(b, (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])))
    with np.errstate(all="ignore"):
        for i in range(a.shape[-1] - 1, -1, -1):
            x[..., i, :] -= (a[..., i, None, i + 1 :] @ x[..., i + 1 :, :])[..., 0, :]
            x[..., i, :] /= a[..., i, i, None]
    return x


def _triangular_infer(a, b, *, lower, adjoint):
    name = "MatrixTriangularSolve"
    for which, spec in enumerate((a, b)):
        if spec.shape is not None and len(spec.shape) < 2:
            raise invalid(name, f"In[{which}] ndims must be >= 2: {len(spec.shape)}")
    if a.shape is None or b.shape is None:
        return Spec(None, b.dtype)
    n, m = a.shape[-2:]
    if None not in (n, m) and n != m:
        raise invalid(name, f"In[0] matrices in the last dimensions must be square ({m} =/= {n})")
    if None not in (n, b.shape[-2]) and n != b.shape[-2]:
        shown = f"{listed(a.shape)} {listed(b.shape)} {int(lower)} {int(adjoint)}"
        raise invalid(name, f"In[0] mismatch In[1] shape: {n} vs. {b.shape[-2]}: {shown}")
    try:
        batch = shapes.broadcast(a.shape[:-2], b.shape[:-2])
    except ValueError:
        text = "In[0] and In[1] must have compatible batch dimensions"
        raise invalid(name, f"{text}: {listed(a.shape)} vs. {listed(b.shape)}") from None
    return Spec((*batch, *b.shape[-2:]), b.dtype)


def _triangular_vjp(g, wanted, a, out, shapes, *, lower, adjoint):
    db = P.triangular_solve(a, g, lower=lower, adjoint=not adjoint)
    da = None
    if wanted[0]:
        da = -(product(out, db, adjoint_b=True) if adjoint else product(db, out, adjoint_b=True))
        da = P.sum_to(P.band_part(da, lower=-1 if lower else 0, upper=0 if lower else -1), shape=shapes[0])
    return da, P.sum_to(db, shape=shapes[1]) if wanted[1] else None


def _batch_lined_up(op, inputs, batched, attrs):
    """Batch rule of ops whose batch dimensions broadcast."""
    rank = max(len(x.dims) - b for x, b in zip(inputs, batched, strict=True))
    return op(*[line_up(x, rank) if b else x for x, b in zip(inputs, batched, strict=True)], **attrs)


triangular_solve = Primitive(
    "triangular_solve",
    _triangular_kernel,
    _triangular_infer,
    vjp=_triangular_vjp,
    batch=_batch_lined_up,
    accepts=MATRICES,
    samples=lambda: [
        ((well_conditioned(*a), sample(*b)), {"lower": low, "adjoint": adj})
        for a, b, low, adj in [
            ((3, 3), (3, 2), True, False),
            ((2, 3, 3), (3, 5), False, False),
            ((3, 3), (2, 3, 5), True, True),
            ((2, 3, 3), (2, 3, 5), False, True),
        ]
    ],
)


# Tridiagonal systems: the rows of `diagonals` are the superdiagonal (its last element is not read), the diagonal, and the
# subdiagonal (its first element is not read)


def _tridiagonal_kernel(diagonals, rhs, *, pivoting, perturb):
    """Gaussian elimination of all systems at once, row by row."""
    if diagonals.shape[-2] != 3 or diagonals.shape[:-2] != rhs.shape[:-2] or diagonals.shape[-1] != rhs.shape[-2]:
        raise ValueError(rhs.shape)
    above, middle, below = np.moveaxis(diagonals, -2, 0)
    n = middle.shape[-1]
    # `second` is what pivoting puts two places right of the diagonal.
    u, first, second, x = np.array(middle), np.array(above), np.zeros_like(middle), np.array(rhs)
    with np.errstate(all="ignore"):
        for i in range(n - 1):
            under, diag = below[..., i + 1], u[..., i]
            swap = np.abs(under) > np.abs(diag) if pivoting else np.zeros(diag.shape, bool)
            top = np.stack([diag, first[..., i], second[..., i]])
            bottom = np.stack([under, u[..., i + 1], first[..., i + 1] if i + 2 < n else np.zeros_like(diag)])
            top, bottom = np.where(swap, bottom, top), np.where(swap, top, bottom)
            upper_x, lower_x = x[..., i, :], x[..., i + 1, :]
            upper_x, lower_x = (
                np.where(swap[..., None], lower_x, upper_x),
                np.where(swap[..., None], upper_x, lower_x),
            )
            factor = bottom[0] / top[0]
            u[..., i], first[..., i], second[..., i] = top
            u[..., i + 1] = bottom[1] - factor * top[1]
            if i + 2 < n:
                first[..., i + 1] = bottom[2] - factor * top[2]
            x[..., i, :] = upper_x
            x[..., i + 1, :] = lower_x - factor[..., None] * upper_x
        if perturb:
            least = np.finfo(u.dtype).eps * np.max(np.abs(diagonals), axis=(-1, -2), initial=0)[..., None]
            u = np.where(np.abs(u) < least, np.where(u.real < 0, -least, least), u)
        for i in range(n - 1, -1, -1):
            for j, factors in ((i + 1, first), (i + 2, second)):
                if j < n:
                    x[..., i, :] -= factors[..., i, None] * x[..., j, :]
            x[..., i, :] /= u[..., i, None]
    x[(u == 0).any(axis=-1)] = np.nan
    return x


def _tridiagonal_infer(diagonals, rhs, *, pivoting, perturb):
    name = "TridiagonalSolve"
    if diagonals.shape is not None and (len(diagonals.shape) < 2 or diagonals.shape[-2] not in (3, None)):
        raise ValueError(f"Expected 3 diagonals, got diagonals of shape {listed(diagonals.shape)}")
    if None in (diagonals.shape, rhs.shape):
        return rhs
    if len(rhs.shape) != len(diagonals.shape) or any(
        None not in (n, m) and n != m for n, m in zip(diagonals.shape[:-2], rhs.shape[:-2], strict=True)
    ):
        raise ValueError(f"Batch shapes {diagonals.shape[:-2]} and {rhs.shape[:-2]} are incompatible")
    n, m = diagonals.shape[-1], rhs.shape[-2]
    if None not in (n, m) and n != m:
        raise invalid(name, f"Expected number of left-hand sided and right-hand sides to be equal, got {n} and {m}")
    return rhs


def _tridiagonal_vjp(g, wanted, diagonals, out, *, pivoting, perturb):
    transposed = P.conj(_transposed(diagonals)) if diagonals._dtype.is_complex else _transposed(diagonals)
    db = P.tridiagonal_solve(transposed, g, pivoting=pivoting, perturb=perturb)
    if not wanted[0]:
        return None, db
    x = P.conj(out) if out._dtype.is_complex else out
    pairs = (_moved(x, -1), x, _moved(x, 1))
    da = P.stack(*[P.sum(db * part, axis=(-1,), keepdims=False) for part in pairs], axis=-2)
    return -da, db if wanted[1] else None


def _moved(x, by):
    """The rows of `x` moved down by 1 or up by -1, with zeros in the empty place."""
    ends = ((0, 0),) * (len(x.dims) - 2)
    if by > 0:
        return P.pad(x[..., :-1, :], paddings=(*ends, (1, 0), (0, 0)))
    return P.pad(x[..., 1:, :], paddings=(*ends, (0, 1), (0, 0)))


def _transposed(diagonals):
    """The diagonals of the transposed matrix."""
    above, middle, below = diagonals[..., 0, :], diagonals[..., 1, :], diagonals[..., 2, :]
    ends = ((0, 0),) * (len(middle.dims) - 1)
    new_above = P.pad(below[..., 1:], paddings=(*ends, (0, 1)))
    return P.stack(new_above, middle, P.pad(above[..., :-1], paddings=(*ends, (1, 0))), axis=-2)


tridiagonal_solve = Primitive(
    "tridiagonal_solve",
    _tridiagonal_kernel,
    _tridiagonal_infer,
    vjp=_tridiagonal_vjp,
    batch=batch_leading,
    accepts=MATRICES - {as_dtype("float16")},
    samples=lambda: [
        ((sample(*dims, 3, 5) + np.array([[0], [4], [0]]), sample(*dims, 5, 2)), {"pivoting": pivoting, "perturb": False})
        for dims, pivoting in [((), True), ((2,), False)]
    ],
)
