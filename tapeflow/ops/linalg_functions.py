"""Functions of matrices: exponential, logarithm, square root.

The derivative of a function f at A along E stands in the upper right block of f([[A, E], [0, A]]) (N. Higham, "Functions
of matrices", 2008, equation 3.16), so that these rules use the function itself and hold to any order.
"""

import math

import numpy as np

from tapeflow.base.dtypes import COMPLEX, int32
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import wrap
from tapeflow.ops.family import sample
from tapeflow.ops.linalg_parts import MATRICES, adjoint, batch_leading, check_square, refuse_flat, well_conditioned, wide
from tapeflow.ops.movement import dims_of


def _infer(name):
    def infer(x):
        check_square(name, x)
        return x

    return infer


def _one_by_one(function):
    """A kernel that calls `function` on each matrix."""

    def kernel(x):
        refuse_flat(x)
        y = wide(x).reshape(math.prod(x.shape[:-2]), *x.shape[-2:])
        with np.errstate(all="ignore"):
            results = [function(a) for a in y] if x.shape[-1] else []
        return np.stack(results).reshape(x.shape).astype(x.dtype, copy=False) if results else np.array(x)

    return kernel


def _block_vjp(name):
    """The cotangent of a matrix function by the function itself at twice the size."""

    def vjp(g, x):
        base = adjoint(x)
        n = dims_of(x)[-1]
        top, bottom = P.concat(base, g, axis=-1), P.concat(P.zeros_like(base), base, axis=-1)
        return getattr(P, name)(P.concat(top, bottom, axis=-2))[..., :n, n:]

    return vjp


# The exponential: N. Higham, "The scaling and squaring method for the matrix exponential revisited", 2005.

_PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip
_LARGEST = 5.37  # the 1-norm up to which the Padé approximation of degree 13 is exact to float64


def _expm_kernel(x):
    refuse_flat(x)
    y = wide(x)
    with np.errstate(all="ignore"):
        norms = np.max(np.abs(y).sum(-2), axis=-1, initial=0)
        finite = np.isfinite(norms)
        squarings = np.where(finite, np.ceil(np.log2(np.maximum(norms, _LARGEST) / _LARGEST)), 0).astype(int)[
            ..., None, None
        ]
        result = _pade(np.where(finite[..., None, None], y, 0) / (2.0**squarings).astype(y.dtype))
        for n in range(np.max(squarings, initial=0)):
            result = np.where(n < squarings, result @ result, result)
        result = np.where(finite[..., None, None], result, np.nan)
    return result.astype(x.dtype, copy=False)


def _pade(a):
    b = np.array(_PADE, a.dtype)
    one = np.eye(a.shape[-1], dtype=a.dtype)
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    odd = a @ odd
    return np.linalg.solve(even - odd, even + odd)


expm = Primitive(
    "expm",
    _expm_kernel,
    _infer("MatrixExponential"),
    vjp=(_block_vjp("expm"),),
    batch=batch_leading,
    accepts=MATRICES,
    samples=lambda: [((sample(*dims),), {}) for dims in [(3, 3), (2, 3, 3), (0, 0)]],
)


# The square root and the logarithm, by way of the Schur form A = Q T Q^H


def _schur(a):
    """A unitary q and an upper triangular t with `a = q t q^H`, all complex."""
    a = a.astype(np.result_type(a.dtype, np.complex64))
    q, _ = np.linalg.qr(np.linalg.eig(a)[1])
    t = np.conj(q.T) @ a @ q
    if np.max(np.abs(np.tril(t, -1)), initial=0) <= 10 * len(a) * np.finfo(a.dtype).eps * np.linalg.norm(a):
        return q, np.triu(t)
    # The eigenvectors do not span the space: take one at a time, and go on in what is orthogonal to it.
    q, t = np.eye(len(a), dtype=a.dtype), a
    for i in range(len(a) - 1):
        vector = np.linalg.eig(t[i:, i:])[1][:, :1]
        turn, _ = np.linalg.qr(vector, "complete")
        t = t.copy()
        t[i:] = np.conj(turn.T) @ t[i:]
        t[:, i:] = t[:, i:] @ turn
        q[:, i:] = q[:, i:] @ turn
    return q, np.triu(t)


def _triangular_root(t):
    """Å. Björck and S. Hammarling, "A Schur method for the square root of a matrix", 1983."""
    root = np.diag(np.sqrt(np.diag(t)))
    for j in range(1, len(t)):
        for i in range(j - 1, -1, -1):
            rest = t[i, j] - root[i, i + 1 : j] @ root[i + 1 : j, j]
            root[i, j] = rest / (root[i, i] + root[j, j]) if rest else 0
    return root


def _sqrtm(a):
    """The principal root; nan where a real matrix has none that is real."""
    q, t = _schur(a)
    values = np.diag(t)
    tiny = np.abs(values.imag) <= np.sqrt(np.finfo(a.dtype).eps) * np.abs(values)
    if a.dtype.kind == "f" and np.any((values.real < 0) & tiny):
        return np.full_like(a, np.nan)
    result = q @ _triangular_root(t) @ np.conj(q.T)
    return result.real if a.dtype.kind == "f" else result


def _sqrtm_vjp(g, out):
    """The solution s of r^H s + s r^H = g, as one linear system."""
    n = dims_of(out)[-1]
    one = _identity(n, out._dtype)
    left, right = adjoint(out), P.conj(out) if out._dtype.is_complex else out
    batch = dims_of(out)[:-2]
    system = P.reshape(_outer(left, one) + _outer(one, right), shape=(*batch, n * n, n * n))
    return P.reshape(P.solve(system, P.reshape(g, shape=(*batch, n * n, 1))), shape=(*batch, n, n))


def _identity(n, dtype):
    """The identity matrix of a size that may be symbolic."""
    if isinstance(n, int):
        return wrap(np.eye(n, dtype=dtype.numpy_dtype))
    numbers = P.range(P.constant(value=0), P.cast(n, dtype=int32), P.constant(value=1))
    return P.cast(P.equal(P.expand_dims(numbers, axis=(1,)), numbers), dtype=dtype)


def _outer(a, b):
    """The products a_ij b_kl as [..., i, k, j, l]."""
    return a[..., :, None, :, None] * b[..., None, :, None, :]


sqrtm = Primitive(
    "sqrtm",
    _one_by_one(_sqrtm),
    _infer("MatrixSquareRoot"),
    vjp=(_sqrtm_vjp,),
    batch=batch_leading,
    accepts=MATRICES,
    samples=lambda: [((well_conditioned(*dims),), {}) for dims in [(3, 3), (2, 3, 3)]],
)

_NEAR_ONE = 0.3


def _logm(a):
    """Inverse scaling and squaring: roots until the matrix is near 1, then the integral of x (1 + t x)^-1 by Gauss."""
    q, t = _schur(a)
    one = np.eye(len(a), dtype=t.dtype)
    roots = 0
    while roots < 100 and not np.linalg.norm(t - one) < _NEAR_ONE:
        t = _triangular_root(t)
        roots += 1
    nodes, weights = np.polynomial.legendre.leggauss(16)
    x = t - one
    log = sum(w / 2 * np.linalg.solve(one + (p + 1) / 2 * x, x) for p, w in zip(nodes, weights, strict=True))
    return 2.0**roots * (q @ log @ np.conj(q.T))


logm = Primitive(
    "logm",
    _one_by_one(_logm),
    _infer("MatrixLogarithm"),
    vjp=(_block_vjp("logm"),),
    batch=batch_leading,
    accepts=COMPLEX,
    samples=lambda: [((well_conditioned(*dims).astype(np.complex128),), {}) for dims in [(3, 3), (2, 3, 3)]],
)
