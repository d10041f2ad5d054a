"""Eigenvalues and eigenvectors; kernels by NumPy's LAPACK.

Residuals are the results themselves, so that the rules hold to any order. Their source: S. Walter and L. Lehmann,
"Algorithmic differentiation of linear algebra functions with application in optimum experimental design", 2010.
"""

import numpy as np

from tapeflow.base.dtypes import COMPLEX, complex64, complex128, float64
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import sample
from tapeflow.ops.linalg_parts import (
    MATRICES,
    adjoint,
    batch_leading,
    check_square,
    column,
    diagonal,
    like,
    lower,
    product,
    refuse_flat,
    row,
    wide,
)

# Of self-adjoint matrices, of which only the lower triangle is read


def _eigh_failed(error):
    text = "Self-adjoint eigen decomposition was not successful. The input might not be valid."
    return invalid("SelfAdjointEigV2", f"{text} ({error})")


def _eigh_kernel(x):
    refuse_flat(x)
    try:
        e, v = np.linalg.eigh(wide(x))
    except np.linalg.LinAlgError as error:
        raise _eigh_failed(error) from None
    _refuse_nan(x)
    return e.astype(x.dtype), v.astype(x.dtype, copy=False)


def _refuse_nan(x):
    if not np.isfinite(np.tril(x)).all():
        raise _eigh_failed("it holds nan or infinity")


def _eigh_infer(x):
    check_square("SelfAdjointEigV2", x)
    return Spec(None if x.shape is None else x.shape[:-1], x.dtype), x


def _eigh_vjp(g, wanted, outs):
    e, v = outs
    ge, gv = g
    if gv is None:
        whole = product(v * row(ge), v, adjoint_b=True)
    else:
        gaps = row(e) - column(e)
        middle = P.div_no_nan(P.ones_like(gaps), gaps) * product(v, gv, adjoint_a=True)
        if ge is not None:
            middle = P.set_diag(middle, ge, k=(0, 0), align="RIGHT_LEFT")
        whole = product(product(v, middle), v, adjoint_b=True)
    return (_of_lower_triangle(whole),)


def _of_lower_triangle(g):
    """The cotangent of a matrix of which only the lower triangle is read, from that of the whole."""
    folded = lower(g + adjoint(g))
    return folded - 0.5 * P.band_part(folded, lower=0, upper=0)


eigh = Primitive(
    "eigh",
    _eigh_kernel,
    _eigh_infer,
    vjp=_eigh_vjp,
    batch=batch_leading,
    accepts=MATRICES,
    multiple=True,
    partial=True,
    samples=lambda: [((sample(*dims) + np.diag(np.arange(3.0)),), {}) for dims in [(3, 3), (2, 3, 3)]],
)


def _eigvalsh_kernel(x):
    refuse_flat(x)
    try:
        e = np.linalg.eigvalsh(wide(x))
    except np.linalg.LinAlgError as error:
        raise _eigh_failed(error) from None
    _refuse_nan(x)
    return e.astype(x.dtype)


def _eigvalsh_vjp(g, x):
    _, v = P.eigh(x)
    return _of_lower_triangle(product(v * row(g), v, adjoint_b=True))


eigvalsh = Primitive(
    "eigvalsh",
    _eigvalsh_kernel,
    lambda x: _eigh_infer(x)[0],
    vjp=(_eigvalsh_vjp,),
    batch=batch_leading,
    accepts=MATRICES,
    samples=lambda: [((sample(*dims) + np.diag(np.arange(3.0)),), {}) for dims in [(3, 3), (2, 3, 3)]],
)


# Of any square matrices


def _complex_of(dtype):
    return dtype if dtype in COMPLEX else complex128 if dtype is float64 else complex64


def _complex_numpy(dtype):
    return np.dtype(np.complex128 if dtype in (np.float64, np.complex128) else np.complex64)


def _eig_failed(error):
    return invalid("Eig", f"Eigen decomposition was not successful. The input might not be valid. ({error})")


def _eig_kernel(x):
    refuse_flat(x)
    try:
        e, v = np.linalg.eig(wide(x))
    except np.linalg.LinAlgError as error:
        raise _eig_failed(error) from None
    return e.astype(_complex_numpy(x.dtype)), v.astype(_complex_numpy(x.dtype))


def _eig_infer(x):
    check_square("Eig", x)
    dtype = _complex_of(x.dtype)
    return Spec(None if x.shape is None else x.shape[:-1], dtype), Spec(x.shape, dtype)


def _eig_vjp(g, wanted, outs, x_dtype):
    """The eigenvectors have length 1, and phases that do not matter."""
    e, v = outs
    ge, gv = g
    if gv is None:
        middle = P.set_diag(P.zeros_like(v), ge, k=(0, 0), align="RIGHT_LEFT")
    else:
        gaps = P.conj(row(e) - column(e))
        inner = product(v, gv, adjoint_a=True)
        lengths = like(P.real(diagonal(inner)), v._dtype)
        inner = inner - product(v, v, adjoint_a=True) * row(lengths)
        middle = P.div_no_nan(P.ones_like(gaps), gaps) * inner
        if ge is not None:
            middle = P.set_diag(middle, ge, k=(0, 0), align="RIGHT_LEFT")
    whole = P.solve(adjoint(v), product(middle, v, adjoint_b=True))
    return (like(whole, x_dtype),)


eig = Primitive(
    "eig",
    _eig_kernel,
    _eig_infer,
    vjp=_eig_vjp,
    batch=batch_leading,
    accepts=MATRICES,
    multiple=True,
    partial=True,
    samples=lambda: [((sample(*dims),), {}) for dims in [(3, 3), (2, 3, 3)]],
)


def _eigvals_kernel(x):
    refuse_flat(x)
    try:
        e = np.linalg.eigvals(wide(x))
    except np.linalg.LinAlgError as error:
        raise _eig_failed(error) from None
    return e.astype(_complex_numpy(x.dtype))


def _eigvals_vjp(g, x):
    _, v = P.eig(x)
    middle = P.set_diag(P.zeros_like(v), g, k=(0, 0), align="RIGHT_LEFT")
    return like(P.solve(adjoint(v), product(middle, v, adjoint_b=True)), x._dtype)


eigvals = Primitive(
    "eigvals",
    _eigvals_kernel,
    lambda x: _eig_infer(x)[0],
    vjp=(_eigvals_vjp,),
    batch=batch_leading,
    accepts=MATRICES,
    samples=lambda: [((sample(*dims),), {}) for dims in [(3, 3), (2, 3, 3)]],
)
