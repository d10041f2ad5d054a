"""Matrix decompositions: Cholesky, QR, LU, singular values; kernels by NumPy's LAPACK.

Residuals are the results themselves, so that the rules hold to any order. Their sources: I. Murray, "Differentiation of
the Cholesky decomposition", 2016; S. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions with
application in optimum experimental design", 2010 (QR, LU); J. Townsend, "Differentiating the singular value
decomposition", 2016, and Z. Wan and S. Zhang, "Automatic differentiation for complex valued SVD", 2019.
"""

import math

import numpy as np

from tapeflow.base.dtypes import as_dtype, int32, int64
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec, wrap
from tapeflow.ops.family import sample
from tapeflow.ops.linalg_parts import (
    MATRICES,
    adjoint,
    batch_leading,
    check_matrix,
    check_square,
    column,
    diagonal,
    like,
    lower,
    product,
    refuse_flat,
    row,
    upper,
    well_conditioned,
    wide,
    without_diagonal,
)
from tapeflow.ops.movement import rank_of


def _square_infer(name):
    """Inference of an op from square matrices to the same."""

    def infer(x):
        check_square(name, x)
        return x

    return infer


def _float32(*dims, seed=0):
    return sample(*dims, seed=seed, dtype=np.float32)


# Cholesky


def _cholesky_kernel(x):
    refuse_flat(x)
    y = wide(x)
    try:
        result = np.linalg.cholesky(y)
    except np.linalg.LinAlgError:  # one of them is not positive definite: its triangle is nan
        result = np.stack([_cholesky_or_nan(a) for a in y.reshape(-1, *y.shape[-2:])]).reshape(y.shape)
    return result.astype(x.dtype, copy=False)


def _cholesky_or_nan(a):
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return np.tril(np.full_like(a, np.nan))


def _cholesky_vjp(g, out):
    """The symmetric one of the cotangents that fit, as in TensorFlow, though only the lower triangle is read."""
    middle = lower(product(out, g, adjoint_a=True))
    middle = middle - 0.5 * P.band_part(middle, lower=0, upper=0)
    left = P.triangular_solve(out, middle, lower=True, adjoint=True)
    whole = adjoint(P.triangular_solve(out, adjoint(left), lower=True, adjoint=True))
    return 0.5 * (whole + adjoint(whole))


cholesky = Primitive(
    "cholesky",
    _cholesky_kernel,
    _square_infer("Cholesky"),
    vjp=(_cholesky_vjp,),
    batch=batch_leading,
    accepts=MATRICES,
    # In float32, as differences would move single elements: the vjp is checked in tests/linalg.
    samples=lambda: [((4 * np.eye(3, dtype=np.float32) + np.float32(0.5),), {}), ((np.zeros((0, 2, 2), np.float32),), {})],
)


# QR


def _qr_kernel(x, *, full_matrices):
    refuse_flat(x, square=False)
    q, r = np.linalg.qr(wide(x), "complete" if full_matrices else "reduced")
    return q.astype(x.dtype, copy=False), r.astype(x.dtype, copy=False)


def _inner_dims(x, full):
    """The leading dimensions, rows, columns, and the smaller of these two (each None where unknown)."""
    *batch, rows, columns = x.shape
    least = None if None in (rows, columns) else min(rows, columns)
    return tuple(batch), rows, columns, least


def _qr_infer(x, *, full_matrices):
    check_matrix("Qr", x)
    if x.shape is None:
        return Spec(None, x.dtype), Spec(None, x.dtype)
    batch, rows, columns, least = _inner_dims(x, full_matrices)
    inner = rows if full_matrices else least
    return Spec((*batch, rows, inner), x.dtype), Spec((*batch, inner, columns), x.dtype)


def _qr_vjp(g, wanted, outs, *, full_matrices):
    q, r = outs
    gq, gr = g
    rows, columns = q.dims[-2], r.dims[-1]
    if rows is None or columns is None:
        raise NotImplementedError("QrGrad not implemented with dynamic shapes.")
    if rows > columns and full_matrices:
        if gq is not None:
            raise NotImplementedError(
                "QrGrad not implemented when nrows > ncols and full_matrices is true: the added columns of q are not "
                f"determined by the input. Received r.shape={r.shape}."
            )
        q, r = q[..., :columns], r[..., :columns, :]
        gr = gr[..., :columns, :]
    gq = P.zeros_like(q) if gq is None else gq
    gr = P.zeros_like(r) if gr is None else gr
    if rows >= columns:
        return (_qr_tall_vjp(q, r, gq, gr),)
    # A = [X, Y] = Q [U, V]: X = QU as above, and Y = QV.
    u, v = r[..., :rows], r[..., rows:]
    gu, gv = gr[..., :rows], gr[..., rows:]
    gx = _qr_tall_vjp(q, u, gq + product(product(q, v), gv, adjoint_b=True), gu)
    return (P.concat(gx, product(q, gv), axis=-1),)


def _qr_tall_vjp(q, r, gq, gr):
    x = upper(product(gr, r, adjoint_b=True) - product(q, gq, adjoint_a=True))
    symmetric = x + adjoint(x)
    halves = P.band_part(symmetric, lower=0, upper=0) * 0.5  # real, being the sum of a number and its conjugate
    inner = gq + product(q, symmetric - halves)
    return adjoint(P.triangular_solve(r, adjoint(inner), lower=False, adjoint=False))


qr = Primitive(
    "qr",
    _qr_kernel,
    _qr_infer,
    vjp=_qr_vjp,
    batch=batch_leading,
    accepts=MATRICES,
    multiple=True,
    partial=True,
    samples=lambda: (
        [
            ((sample(*dims),), {"full_matrices": full})
            for dims, full in [((5, 3), False), ((2, 3, 5), False), ((3, 3), True), ((0, 2), False)]
        ]
        + [((_float32(5, 3),), {"full_matrices": True})]
    ),
)


# LU


def _lu_kernel(x, *, dtype):
    refuse_flat(x)
    if dtype not in (int32, int64):
        raise TypeError(dtype)
    n = x.shape[-1]
    y = np.array(wide(x)).reshape(math.prod(x.shape[:-2]), n, n)
    order = np.tile(np.arange(n), (len(y), 1))
    width = 32
    for start in range(0, n, width):
        stop = min(start + width, n)
        _factor_panel(y, order, start, stop)
        if stop < n:
            for i in range(start + 1, stop):  # the rows of U right of the panel
                y[:, i, stop:] -= (y[:, i, None, start:i] @ y[:, start:i, stop:])[:, 0]
            y[:, stop:, stop:] -= y[:, stop:, start:stop] @ y[:, start:stop, stop:]
    return y.reshape(x.shape).astype(x.dtype, copy=False), order.reshape(x.shape[:-1]).astype(dtype.numpy_dtype)


def _factor_panel(y, order, start, stop):
    """Factor the columns start..stop of the matrices `y` in place, with partial pivoting."""
    which = np.arange(len(y))
    for j in range(start, stop):
        pivot = j + np.argmax(np.abs(y[:, j:, j]), axis=1)
        for rows in (y, order):
            rows[which, j], rows[which, pivot] = rows[which, pivot], rows[which, j]
        diagonal = y[:, j, j, None]
        if not np.all(np.abs(diagonal) > 0):  # nan too
            raise invalid("Lu", f"Input is not invertible: its pivot in column {j} is {diagonal.ravel()[0]}.")
        y[:, j + 1 :, j] /= diagonal
        y[:, j + 1 :, j + 1 : stop] -= y[:, j + 1 :, j, None] * y[:, j, None, j + 1 : stop]


def _lu_infer(x, *, dtype):
    check_square("Lu", x)
    if dtype not in (int32, int64):
        text = f"Value for attr 'output_idx_type' of {dtype.c_name} is not in the list of allowed values: int32, int64"
        raise invalid("Lu", text)
    return x, Spec(None if x.shape is None else x.shape[:-1], dtype)


def _lu_vjp(g, wanted, outs, *, dtype):
    g, (lu, order) = g[0], outs
    if g is None:
        return (None,)
    # With PA = LU: A's cotangent is P^H L^-H (tril(L^H gL, -1) + triu(gU U^H)) U^-H.
    unit = lower(lu)
    unit = P.set_diag(unit, P.ones_like(diagonal(lu)), k=(0, 0), align="RIGHT_LEFT")
    high = upper(lu)
    left = product(unit, lower(without_diagonal(g)), adjoint_a=True)
    middle = P.band_part(left, lower=-1, upper=0)
    middle = without_diagonal(middle) + upper(product(upper(g), high, adjoint_b=True))
    middle = P.triangular_solve(unit, middle, lower=True, adjoint=True)
    back = adjoint(P.triangular_solve(high, adjoint(middle), lower=False, adjoint=False))
    inverse = P.argsort(order, axis=-1, descending=False)
    rank = rank_of(back)
    return (P.gather(back, inverse, axis=rank - 2, batch_dims=rank - 2),)


lu = Primitive(
    "lu",
    _lu_kernel,
    _lu_infer,
    vjp=_lu_vjp,
    batch=batch_leading,
    accepts=MATRICES,
    multiple=True,
    partial=True,
    samples=lambda: [((x,), {"dtype": int32}) for x in (well_conditioned(3, 3), well_conditioned(2, 3, 3), sample(0, 0))],
)


# Singular values: x = u diag(s) v^H


def _svd_kernel(x, *, full_matrices):
    refuse_flat(x, square=False)
    try:
        u, s, vh = np.linalg.svd(wide(x), full_matrices=full_matrices)
    except np.linalg.LinAlgError:  # nan, or (hardly ever) no convergence
        u, s, vh = [np.full(spec.shape, np.nan, spec.dtype.numpy_dtype) for spec in _nan_specs(x, full_matrices)]
    real = np.dtype(x.dtype.char.lower()) if x.dtype.kind == "c" else x.dtype
    v = np.ascontiguousarray(np.conj(np.swapaxes(vh, -1, -2)))
    return s.astype(real, copy=False), u.astype(x.dtype, copy=False), v.astype(x.dtype, copy=False)


def _nan_specs(x, full):
    s, u, v = _svd_infer(Spec(x.shape, as_dtype(wide(x).dtype)), full_matrices=full)
    return u, s, Spec((*v.shape[:-2], v.shape[-1], v.shape[-2]), v.dtype)


def _svd_infer(x, *, full_matrices):
    check_matrix("Svd", x)
    real = x.dtype.real_dtype
    if x.shape is None:
        return Spec(None, real), Spec(None, x.dtype), Spec(None, x.dtype)
    batch, rows, columns, least = _inner_dims(x, full_matrices)
    inner_u, inner_v = (rows, columns) if full_matrices else (least, least)
    return Spec((*batch, least), real), Spec((*batch, rows, inner_u), x.dtype), Spec((*batch, columns, inner_v), x.dtype)


def _svd_vjp(g, wanted, outs, *, full_matrices):
    s, u, v = outs
    gs, gu, gv = g
    rows, columns = u.dims[-2], v.dims[-2]
    if rows is None or columns is None:
        raise NotImplementedError("SVD gradient has not been implemented for input with unknown inner matrix shape.")
    least = min(rows, columns)
    if gu is None and gv is None:
        u, v = u[..., :least], v[..., :least]
        return (product(u * row(like(gs, u._dtype)), v, adjoint_b=True),)
    if full_matrices and rows != columns:
        if abs(rows - columns) > 1:
            raise NotImplementedError(
                "svd gradient is not implemented for abs(m - n) > 1 when full_matrices is True: the added vectors are not "
                f"determined by the input. Received shape [{rows}, {columns}]."
            )
        return (_svd_bordered_vjp(s, u, v, gs, gu, gv, rows, columns),)
    gs = P.zeros_like(s) if gs is None else gs
    gu = P.zeros_like(u) if gu is None else gu
    gv = P.zeros_like(v) if gv is None else gv
    return (_svd_thin_vjp(s, u, v, gs, gu, gv, rows, columns),)


def _svd_thin_vjp(s, u, v, gs, gu, gv, rows, columns):
    """Wan and Zhang, equation 8."""
    squares = s * s
    gaps = row(squares) - column(squares)
    f = like(P.div_no_nan(P.ones_like(gaps), gaps), u._dtype)
    sigma = like(s, u._dtype)
    j = f * product(u, gu, adjoint_a=True)
    k = f * product(v, gv, adjoint_a=True)
    middle = (j + adjoint(j)) * row(sigma) + column(sigma) * (k + adjoint(k))
    middle = P.set_diag(middle, like(gs, u._dtype), k=(0, 0), align="RIGHT_LEFT")
    if u._dtype.is_complex:  # the phases of u and v are tied to each other
        turn = diagonal(product(v, gv, adjoint_a=True))
        middle = middle + P.set_diag(
            P.zeros_like(middle), P.div_no_nan(P.conj(turn) - turn, 2 * sigma), k=(0, 0), align="RIGHT_LEFT"
        )
    total = product(product(u, middle), v, adjoint_b=True)
    if rows > columns:
        scaled = gu / row(sigma)
        total = total + product(scaled - product(u, product(u, scaled, adjoint_a=True)), v, adjoint_b=True)
    if columns > rows:
        scaled = gv / row(sigma)
        total = total + product(u, scaled - product(v, product(v, scaled, adjoint_a=True)), adjoint_b=True)
    return total


def _svd_bordered_vjp(s, u, v, gs, gu, gv, rows, columns):
    """With one vector more on one side: as for a square matrix, with a row or column and a singular value 0 added."""
    gs = P.zeros_like(s) if gs is None else gs
    gu = P.zeros_like(u) if gu is None else gu
    gv = P.zeros_like(v) if gv is None else gv
    end = ((0, 0),) * (rank_of(s) - 1) + ((0, 1),)
    corner = ((0, 0),) * (rank_of(s) - 1) + ((0, 1), (0, 1))
    s, gs = P.pad(s, paddings=end), P.pad(gs, paddings=end)
    size = max(rows, columns)
    if columns < rows:
        v, gv = P.pad(v, paddings=corner), P.pad(gv, paddings=corner)
        v = _with_last_one(v)
    else:
        u, gu = P.pad(u, paddings=corner), P.pad(gu, paddings=corner)
        u = _with_last_one(u)
    return _svd_thin_vjp(s, u, v, gs, gu, gv, size, size)[..., :rows, :columns]


def _with_last_one(x):
    """`x` plus 1 in the last place of its diagonal."""
    size = x.dims[-1]
    corner = np.zeros((size, size), x._dtype.numpy_dtype)
    corner[-1, -1] = 1
    return x + wrap(corner)


svd = Primitive(
    "svd",
    _svd_kernel,
    _svd_infer,
    vjp=_svd_vjp,
    batch=batch_leading,
    accepts=MATRICES,
    multiple=True,
    partial=True,
    samples=lambda: [
        ((sample(*dims),), {"full_matrices": full})
        for dims, full in [((5, 3), False), ((2, 3, 5), False), ((3, 3), True), ((3, 2), True), ((2, 3), True)]
    ],
)


def _singular_values_infer(x):
    return _svd_infer(x, full_matrices=False)[0]


def _singular_values_kernel(x):
    refuse_flat(x, square=False)
    try:
        s = np.linalg.svd(wide(x), compute_uv=False)
    except np.linalg.LinAlgError:
        return _svd_kernel(x, full_matrices=False)[0]
    return s.astype(np.float16) if x.dtype == np.float16 else s


def _singular_values_vjp(g, x):
    _, u, v = P.svd(x, full_matrices=False)
    return product(u * row(like(g, u._dtype)), v, adjoint_b=True)


singular_values = Primitive(
    "singular_values",
    _singular_values_kernel,
    _singular_values_infer,
    vjp=(_singular_values_vjp,),
    batch=batch_leading,
    accepts=MATRICES,
    samples=lambda: [((sample(*dims),), {}) for dims in [(5, 3), (2, 3, 5)]],
)
