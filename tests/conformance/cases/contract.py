"""Products of matrices, sums over indices, and linear algebra."""

import numpy as np
from calls import COMPLEX, FLOATS, INEXACT, NUMBERS, WIDE, Array, Case, call, pick, shapes, spread
from hypothesis import strategies as st

BOTH = WIDE + COMPLEX


def matmul(draw):
    dtype = pick(draw, *FLOATS, *COMPLEX, "int32", "int64")
    m, k, n = (draw(st.sampled_from([2, 3, 1, 5, 0])) for _ in "mkn")
    batch = draw(shapes(2, empty=False))
    other = batch[draw(st.integers(0, len(batch))) :]
    flags = {
        flag: draw(st.booleans())
        for flag in ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b")
        if draw(st.integers(0, 3)) == 0
    }
    a = (k, m) if flags.get("transpose_a") or flags.get("adjoint_a") else (m, k)
    b = (n, k) if flags.get("transpose_b") or flags.get("adjoint_b") else (k, n)
    return call("tf.matmul", spread(draw, dtype, batch + a), spread(draw, dtype, other + b), order=2, **flags)


def matvec(draw):
    dtype, batch = pick(draw, *FLOATS, *COMPLEX), draw(shapes(1, empty=False))
    flags = {"transpose_a": True} if draw(st.booleans()) else {}
    a = (3, 2) if flags else (2, 3)
    return call("tf.linalg.matvec", spread(draw, dtype, batch + a), spread(draw, dtype, (3,)), **flags)


def tensordot(draw):
    dtype = pick(draw, *INEXACT, "int32")
    axes = pick(draw, 0, 1, 2, [[1], [0]], [[0, 1], [1, 0]], [[-1], [0]], [[], []])
    a, b = ((2, 3), (3, 2)) if axes != 2 else ((4, 2, 3), (2, 3, 5))
    return call("tf.tensordot", spread(draw, dtype, a), spread(draw, dtype, b), axes)


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 5)),
    ("ij,jk", (2, 3), (3, 5)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("ij->ji", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("ij->", (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("...ij,...jk->...ik", (2, 2, 3), (3, 5)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ijk,jl->kil", (2, 3, 4), (3, 5)),
    ("i,i->", (3,), (3,)),
    ("abc,cd->abd", (2, 3, 4), (4, 5)),
    ("ba", (2, 3)),
    ("i...->...", (2, 3)),
    ("aab,bc->ac", (2, 2, 3), (3, 2)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    (" i j , j k -> i k ", (2, 3), (3, 5)),
]


def einsum(draw):
    equation, *operands = pick(draw, *EINSUMS)
    dtype = pick(draw, *FLOATS, *COMPLEX, "int32")
    return call("tf.einsum", equation, *[spread(draw, dtype, shape) for shape in operands], order=2)


def matrix(draw, dtype, batch, n, m=None, positive=False):
    """Well-conditioned matrices; with `positive` Hermitian and positive definite."""
    x = spread(draw, dtype, (*batch, n, m or n)).value
    if positive:
        x = x @ np.conj(np.swapaxes(x, -1, -2)) / 2
    if m is None or m == n:
        x = x + np.eye(n, dtype=x.dtype) * 3
    return Array(np.ascontiguousarray(x))


def on_matrix(name, positive=False, dtypes=BOTH, order=1, **options):
    def build(draw):
        kwargs = {key: pick(draw, *values) for key, values in options.items() if draw(st.booleans())}
        x = matrix(
            draw,
            pick(draw, *dtypes),
            draw(shapes(1)),
            draw(st.integers(0 if draw(st.integers(0, 5)) == 0 else 1, 4)),
            positive=positive,
        )
        return call(name, x, order=order, **kwargs)

    return build


def solve(name, triangular=False, positive=False, **options):
    def build(draw):
        dtype, batch, n = pick(draw, *BOTH), draw(shapes(1)), draw(st.integers(1, 4))
        a = matrix(draw, dtype, batch, n, positive=positive)
        if triangular:
            a.value = np.tril(a.value) if name.endswith("cholesky_solve") else a.value
        kwargs = {key: pick(draw, *values) for key, values in options.items() if draw(st.booleans())}
        return call(name, a, matrix(draw, dtype, batch, n, draw(st.integers(1, 3))), **kwargs)

    return build


def on_any_matrix(name, order=1, **options):
    def build(draw):
        kwargs = {key: pick(draw, *values) for key, values in options.items() if draw(st.booleans())}
        return call(
            name,
            matrix(draw, pick(draw, *BOTH), draw(shapes(1)), draw(st.integers(1, 4)), draw(st.integers(1, 4))),
            order=order,
            **kwargs,
        )

    return build


def singular_values(draw):
    x = matrix(draw, pick(draw, *BOTH), draw(shapes(1)), draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return call("tf.linalg.svd", x, compute_uv=False)


def cross(draw):
    dtype, shape = pick(draw, *NUMBERS), (*draw(shapes(2)), 3)
    return call("tf.linalg.cross", spread(draw, dtype, shape), spread(draw, dtype, shape), order=2)


def any_tensor(name, dtypes=NUMBERS, rank=2, **options):
    def build(draw):
        kwargs = {key: pick(draw, *values) for key, values in options.items() if draw(st.booleans())}
        return call(name, spread(draw, pick(draw, *dtypes), draw(shapes(3, rank))), **kwargs)

    return build


def tridiagonal(draw):
    dtype = pick(draw, *BOTH)
    diagonals, rhs = spread(draw, dtype, (3, 4)), spread(draw, dtype, (4, 2))
    diagonals.value[1] += 5
    return call("tf.linalg.tridiagonal_solve", diagonals, rhs)


def lstsq(draw):
    dtype = pick(draw, *WIDE)
    a, b = matrix(draw, dtype, draw(shapes(1)), 4, 2), None
    b = spread(draw, dtype, (*a.value.shape[:-1], 3))
    return call("tf.linalg.lstsq", a, b, fast=True)


def global_norm(draw):
    dtype = pick(draw, *FLOATS)
    parts = [spread(draw, dtype, draw(shapes(2))) for _ in range(draw(st.integers(1, 3)))]
    name = pick(draw, "tf.linalg.global_norm", "tf.clip_by_global_norm")
    return call(name, parts, *([pick(draw, 1.0, 100.0)] if name.endswith("clip_by_global_norm") else []))


def random_bad(name):
    return on_any_matrix(name, order=0)


CASES = [
    Case("tf.matmul", matmul, "norm", 16, share=3),
    Case("tf.linalg.matvec", matvec, "norm", 16),
    Case("tf.tensordot", tensordot, "norm", 16),
    Case("tf.einsum", einsum, "norm", 16, share=3),
    Case("tf.linalg.inv", on_matrix("tf.linalg.inv", adjoint=(True, False)), "norm", 256),
    Case("tf.linalg.det", on_matrix("tf.linalg.det"), "norm", 256),
    Case("tf.linalg.slogdet", on_matrix("tf.linalg.slogdet"), "norm", 256),
    Case("tf.linalg.logdet", on_matrix("tf.linalg.logdet", True), "norm", 256),
    Case("tf.linalg.cholesky", on_matrix("tf.linalg.cholesky", True), "norm", 256),
    Case("tf.linalg.eigvalsh", on_matrix("tf.linalg.eigvalsh", True), "norm", 256),
    Case("tf.linalg.svd values", singular_values, "norm", 256),
    Case("tf.linalg.expm", on_matrix("tf.linalg.expm", order=0), "norm", 4096),  # TensorFlow is 600 ulp off
    Case("tf.linalg.sqrtm", on_matrix("tf.linalg.sqrtm", True), "norm", 512),
    Case("tf.linalg.pinv", on_matrix("tf.linalg.pinv", dtypes=WIDE, order=0), "norm", 512),
    Case("tf.linalg.trace", any_tensor("tf.linalg.trace"), "norm", 16),
    Case("tf.linalg.adjoint", any_tensor("tf.linalg.adjoint", INEXACT), "exact"),
    Case("tf.linalg.matrix_transpose", any_tensor("tf.linalg.matrix_transpose"), "exact"),
    Case("tf.linalg.matrix_rank", on_any_matrix("tf.linalg.matrix_rank", order=0), "exact"),
    Case("tf.linalg.solve", solve("tf.linalg.solve", adjoint=(True, False)), "norm", 256),
    Case(
        "tf.linalg.triangular_solve", solve("tf.linalg.triangular_solve", lower=(True, False), adjoint=(True,)), "norm", 4096
    ),
    Case("tf.linalg.cholesky_solve", solve("tf.linalg.cholesky_solve", True, True), "norm", 512),
    Case("tf.linalg.lstsq", lstsq, "norm", 4096),
    Case("tf.linalg.tridiagonal_solve", tridiagonal, "norm", 256),
    Case("tf.linalg.cross", cross, "norm", 16),
    Case("tf.linalg.global_norm", global_norm, "norm", 16),
    Case("tf.linalg.tensor_diag", any_tensor("tf.linalg.tensor_diag", rank=1), "exact"),
    Case("tf.linalg.normalize", any_tensor("tf.linalg.normalize", FLOATS, axis=(-1, 0)), "norm", 16),
    Case("tf.linalg.lu", on_matrix("tf.linalg.lu", order=0), "norm", 256),
    Case("tf.linalg.qr of bad", random_bad("tf.linalg.qr"), "norm", 512),
    Case("tf.linalg.logm", on_matrix("tf.linalg.logm", dtypes=COMPLEX, order=0), "norm", 2048),
]
