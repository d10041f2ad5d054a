"""`tf.linalg`: decompositions against the identities that define them, derivatives against differences."""

import numpy as np
import pytest

import tapeflow as tf

SPD = np.array([[4.0, 2.0, 0.5], [2.0, 3.0, 1.0], [0.5, 1.0, 5.0]])


def matrix(*dims, seed=1, shift=0.0, complex_=False):
    rng = np.random.default_rng([seed, *dims])
    a = rng.uniform(-1, 1, dims)
    if complex_:
        a = a + 1j * rng.uniform(-1, 1, dims)
    return a + shift * np.eye(*dims[-2:]) if shift else a


def adjoint(a):
    return np.conj(np.swapaxes(a, -1, -2))


def close(x, expected, tol=1e-9):
    np.testing.assert_allclose(np.asarray(x), expected, rtol=tol, atol=tol)


def weighted(outs):
    """A real number from tensors: their elements times fixed weights."""
    total = 0.0
    for i, out in enumerate(outs if isinstance(outs, (tuple, list)) else (outs,)):
        if out.dtype.is_integer:
            continue
        weight = tf.constant(matrix(*out.shape, seed=50 + i, complex_=out.dtype.is_complex), out.dtype)
        product = out * tf.math.conj(weight) if out.dtype.is_complex else out * weight
        total = total + tf.reduce_sum(tf.math.real(product) if out.dtype.is_complex else product)
    return total


def check_gradients(function, *arrays, tol=1e-6, second=True):
    """First derivatives, and second ones along a direction, against central differences."""
    bends = [matrix(*a.shape, seed=70, complex_=np.iscomplexobj(a)) for a in arrays]

    def slope(values):
        xs = [tf.constant(v) for v in values]
        with tf.GradientTape() as tape:
            tape.watch(xs)
            y = weighted(function(*xs))
        grads = tape.gradient(y, xs)
        return weighted_sum(grads, bends), xs, grads

    def weighted_sum(grads, directions):
        total = 0.0
        for g, d in zip(grads, directions, strict=True):
            product = g * tf.math.conj(tf.constant(d))
            total = total + tf.reduce_sum(tf.math.real(product) if g.dtype.is_complex else product)
        return total

    def along(step, which, of):
        moved = [
            a + (step * matrix(*a.shape, seed=80, complex_=np.iscomplexobj(a)) if i == which else 0)
            for i, a in enumerate(arrays)
        ]
        return float(of(moved))

    exact = slope(arrays)[2]
    for i, a in enumerate(arrays):
        direction = matrix(*a.shape, seed=80, complex_=np.iscomplexobj(a))
        found = float(np.sum(np.real(np.conj(exact[i].numpy()) * direction)))

        def value(xs):
            return weighted(function(*[tf.constant(x) for x in xs]))

        expected = (along(1e-6, i, value) - along(-1e-6, i, value)) / 2e-6
        assert abs(found - expected) <= tol * max(1, abs(expected)), f"input {i}: {found}, differences give {expected}"
    if not second:
        return
    xs = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(xs)
        with tf.GradientTape() as tape:
            tape.watch(xs)
            y = weighted(function(*xs))
        first = weighted_sum(tape.gradient(y, xs), bends)
    exact = outer.gradient(first, xs, unconnected_gradients="zero")
    for i, a in enumerate(arrays):
        direction = matrix(*a.shape, seed=80, complex_=np.iscomplexobj(a))
        found = float(np.sum(np.real(np.conj(exact[i].numpy()) * direction)))
        expected = (along(1e-5, i, lambda v: slope(v)[0]) - along(-1e-5, i, lambda v: slope(v)[0])) / 2e-5
        assert abs(found - expected) <= 1e-4 * max(1, abs(expected)), f"input {i}: {found}, differences give {expected}"


# Decompositions


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("dims", [(3, 3), (2, 4, 4), (5, 2, 3, 3)])
def test_decompositions_multiply_back(dims, complex_):
    a = matrix(*dims, complex_=complex_, shift=2.0)
    spd = a @ adjoint(a)
    chol = tf.linalg.cholesky(spd).numpy()
    close(chol @ adjoint(chol), spd)
    q, r = tf.linalg.qr(a)
    close(q @ r, a)
    close(tf.matmul(q, q, adjoint_a=True), np.broadcast_to(np.eye(dims[-1]), dims))
    s, u, v = tf.linalg.svd(a)
    close((u.numpy() * s.numpy()[..., None, :]) @ adjoint(v.numpy()), a)
    e, w = tf.linalg.eigh(spd)
    close((w.numpy() * e.numpy()[..., None, :]) @ adjoint(w.numpy()), spd)
    close(tf.linalg.eigvalsh(spd), e)
    e, w = tf.linalg.eig(a)
    close(a @ w.numpy(), w.numpy() * e.numpy()[..., None, :])
    close(tf.linalg.lu_reconstruct(*tf.linalg.lu(a)), a)
    close(tf.linalg.sqrtm(spd).numpy() @ tf.linalg.sqrtm(spd).numpy(), spd, 1e-8)
    logarithm = tf.linalg.logm(spd.astype(complex))
    close(tf.linalg.expm(logarithm), spd, 1e-8)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 70])
def test_lu_pivots_across_panels(n):
    a = matrix(2, n, n)
    packed, order = tf.linalg.lu(a, output_idx_type=tf.int64)
    assert order.dtype is tf.int64
    low = np.tril(packed.numpy(), -1) + np.eye(n)
    assert np.abs(low).max() <= 1  # partial pivoting
    close(low @ np.triu(packed.numpy()), np.take_along_axis(a, order.numpy()[..., None], 1))
    b = matrix(2, n, 3, seed=4)
    close(tf.linalg.lu_solve(packed, order, b), np.linalg.solve(a, b), 1e-7)
    close(tf.linalg.lu_matrix_inverse(packed, order), np.linalg.inv(a), 1e-7)


@pytest.mark.parametrize(
    "dims, full", [((5, 3), False), ((5, 3), True), ((3, 5), False), ((3, 5), True), ((3, 0), True), ((0, 3), False)]
)
def test_shapes_of_rectangular_decompositions(dims, full):
    a = matrix(*dims)
    rows, columns = dims
    inner_u, inner_v = (rows, columns) if full else (min(dims), min(dims))
    q, r = tf.linalg.qr(a, full_matrices=full)
    assert q.shape.as_list() == [rows, inner_u] and r.shape.as_list() == [inner_u, columns]
    s, u, v = tf.linalg.svd(a, full_matrices=full)
    assert (s.shape.as_list(), u.shape.as_list(), v.shape.as_list()) == ([min(dims)], [rows, inner_u], [columns, inner_v])
    close(q @ r, a)


def test_functions_of_defective_matrices():
    jordan = np.array([[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 2.0]])
    close(tf.linalg.sqrtm(jordan).numpy() @ tf.linalg.sqrtm(jordan).numpy(), jordan, 1e-7)
    log = np.log(2) * np.eye(3) + np.array([[0, 0.5, -0.125], [0, 0, 0.5], [0, 0, 0]])
    close(tf.linalg.logm(jordan.astype(complex)), log, 1e-7)
    close(tf.linalg.expm(log), jordan, 1e-9)
    assert np.isnan(tf.linalg.sqrtm([[1.0, 2.0], [3.0, 4.0]]).numpy()).all()  # an eigenvalue is negative
    close(tf.linalg.sqrtm([[0.0, -1.0], [1.0, 0.0]]), np.sqrt(0.5) * np.array([[1, -1], [1, 1]]), 1e-6)


def test_large_exponentials():
    a = np.array([[10.0, 20.0], [30.0, 40.0]])
    e, v = np.linalg.eig(a)
    close(tf.linalg.expm(a) / np.exp(e.max()), (v * np.exp(e - e.max())) @ np.linalg.inv(v))


# Solving


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("adj", [True, False])
@pytest.mark.parametrize("dims, rhs", [((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((3, 3), (4, 3, 1)), ((130, 130), (130, 2))])
def test_triangular_solve(dims, rhs, lower, adj):
    a, b = matrix(*dims, shift=4.0, complex_=True), matrix(*rhs, complex_=True)
    triangle = np.tril(a) if lower else np.triu(a)
    x = tf.linalg.triangular_solve(a, b, lower=lower, adjoint=adj)
    close((adjoint(triangle) if adj else triangle) @ x.numpy(), np.broadcast_to(b, x.shape))


def test_triangular_solve_divides_by_zero_as_tensorflow_does():
    x = tf.linalg.triangular_solve([[1.0, 2.0], [2.0, 0.0]], [[1.0, 2.0], [4.0, 5.0]]).numpy()
    assert x.tolist() == [[1.0, 2.0], [np.inf, np.inf]]


@pytest.mark.parametrize("fast", [True, False])
def test_least_squares(fast):
    tall, wide = matrix(5, 3), matrix(2, 3, 5)
    close(tf.linalg.lstsq(tall, np.ones((5, 2)), fast=fast), np.linalg.pinv(tall) @ np.ones((5, 2)), 1e-8)
    close(tf.linalg.lstsq(wide, np.ones((2, 3, 1)), fast=fast), np.linalg.pinv(wide) @ np.ones((2, 3, 1)), 1e-8)
    ridge = np.linalg.solve(tall.T @ tall + 0.3 * np.eye(3), tall.T @ np.ones((5, 2)))
    close(tf.linalg.lstsq(tall, np.ones((5, 2)), l2_regularizer=0.3), ridge)


def test_pseudo_inverse_and_rank():
    a = np.array([[1.0, 2.0], [2.0, 4.0]], np.float32)
    close(tf.linalg.pinv(a), [[0.04, 0.08], [0.08, 0.16]], 1e-6)
    assert tf.linalg.matrix_rank(a).numpy() == 1 and tf.linalg.matrix_rank(a, tol=10.0).numpy() == 0
    close(tf.linalg.pinv(matrix(2, 5, 3)), np.linalg.pinv(matrix(2, 5, 3)))


DIAGONALS = np.array([[1.0, 2.0, 9.0], [4.0, 5.0, 6.0], [9.0, 7.0, 8.0]])
DENSE = np.array([[4.0, 1.0, 0.0], [7.0, 5.0, 2.0], [0.0, 8.0, 6.0]])


@pytest.mark.parametrize("form", ["compact", "sequence", "short sequence", "matrix"])
def test_tridiagonal(form):
    given = {
        "compact": DIAGONALS,
        "sequence": tuple(DIAGONALS),
        "short sequence": (DIAGONALS[0, :2], DIAGONALS[1], DIAGONALS[2, 1:]),
        "matrix": DENSE,
    }[form]
    b = matrix(3, 2)
    form = form.removeprefix("short ")
    close(tf.linalg.tridiagonal_solve(given, b, form), np.linalg.solve(DENSE, b))
    close(tf.linalg.tridiagonal_solve(given, b[:, 0], form), np.linalg.solve(DENSE, b[:, 0]))
    close(tf.linalg.tridiagonal_solve(given, b.T, form, transpose_rhs=True), np.linalg.solve(DENSE, b))
    close(tf.linalg.tridiagonal_matmul(given, b, form), DENSE @ b)


def test_tridiagonal_pivots():
    needs = np.array([[1.0, 2, 0], [0, 5, 6], [0, 7, 8]])
    close(tf.linalg.tridiagonal_solve(needs, np.ones(3)), [-0.23809524, 1.0, -1.1666667], 1e-7)
    assert np.isnan(tf.linalg.tridiagonal_solve(needs, np.ones(3), partial_pivoting=False).numpy()).all()
    singular = np.array([[[1.0, 2, 0], [0, 0, 0], [0, 7, 8]], DIAGONALS])
    x = tf.linalg.tridiagonal_solve(singular, np.ones((2, 3)))
    assert np.isnan(x[0].numpy()).all()
    close(x[1], np.linalg.solve(DENSE, np.ones(3)))


def test_banded_and_tridiagonal_eigenvalues():
    bands = tf.constant([[4.0, 5.0, 6.0], [0.0, 7.0, 8.0]], tf.float64)
    low = np.diag([4.0, 5.0, 6.0]) + np.diag([7.0, 8.0], -1)
    close(tf.linalg.banded_triangular_solve(bands, np.ones((3, 1))), np.linalg.solve(low, np.ones((3, 1))))
    close(tf.linalg.banded_triangular_solve(bands, np.ones((3, 1)), adjoint=True), np.linalg.solve(low.T, np.ones((3, 1))))
    e = [-4.3708, 1.7855, 8.5853]
    alpha, beta = [1.0, 2.0, 3.0], [4.0, 5.0]
    close(tf.linalg.eigh_tridiagonal(alpha, beta), e, 1e-4)
    close(tf.linalg.eigh_tridiagonal(alpha, beta, select="i", select_range=(0, 1)), e[:2], 1e-4)
    close(tf.linalg.eigh_tridiagonal(alpha, beta, select="v", select_range=(-10.0, 3.0)), e[:2], 1e-4)


def test_conjugate_gradient():
    class Operator:
        is_self_adjoint = is_positive_definite = True

        def matvec(self, x):
            return tf.linalg.matvec(tf.constant(SPD), x)

    b = np.array([1.0, 2.0, 3.0])
    state = tf.linalg.experimental.conjugate_gradient(Operator(), b, tol=1e-10)
    close(state.x, np.linalg.solve(SPD, b), 1e-8)
    assert state.i.numpy() == 3


# Derivatives


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize(
    "name, function",
    [
        ("cholesky", lambda x: tf.linalg.cholesky(x @ tf.linalg.adjoint(x) + tf.eye(3, dtype=x.dtype))),
        ("logdet", lambda x: tf.linalg.logdet(x @ tf.linalg.adjoint(x) + tf.eye(3, dtype=x.dtype))),
        ("det", tf.linalg.det),
        ("slogdet", tf.linalg.slogdet),
        ("inv", lambda x: tf.linalg.inv(x, adjoint=True)),
        ("qr", lambda x: list(tf.linalg.qr(x))),
        ("lu", lambda x: tf.linalg.lu(x)[0]),
        ("expm", tf.linalg.expm),
        ("sqrtm", tf.linalg.sqrtm),
        ("logm", lambda x: tf.linalg.logm(tf.cast(x, tf.complex128))),
        ("eigh", lambda x: tf.linalg.eigh(x)[0]),
        ("lu_inverse", lambda x: tf.linalg.lu_matrix_inverse(*tf.linalg.lu(x))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_derivatives(name, function, complex_):
    check_gradients(function, matrix(3, 3, shift=3.0, complex_=complex_))


def projectors(v):
    """What eigenvectors say whatever their phases: a weighted sum of the projectors on them."""
    weights = tf.cast(tf.range(1, v.shape[-1] + 1), v.dtype)
    return (v * weights) @ tf.linalg.adjoint(v)


@pytest.mark.parametrize("complex_", [False, True])
def test_derivatives_of_eigenvectors_and_singular_vectors(complex_):
    spread = matrix(3, 3, complex_=complex_) + np.diag([0.0, 3.0, 6.0])
    check_gradients(lambda x: (tf.linalg.eigh(x)[0], projectors(tf.linalg.eigh(x)[1])), spread)

    def general(x):
        e, v = tf.linalg.eig(x)
        order = tf.argsort(tf.math.real(e))
        return tf.gather(e, order), projectors(tf.gather(v, order, axis=-1))

    check_gradients(general, spread)

    def singular(full):
        def function(x):
            s, u, v = tf.linalg.svd(x, full_matrices=full)
            least = s.shape[-1]
            together = (u[:, :least] * tf.cast(s, u.dtype) ** 2) @ tf.linalg.adjoint(v[:, :least])
            return s, projectors(u), projectors(v), together

        return function

    for dims, full in [((4, 3), False), ((3, 5), False), ((3, 3), True), ((4, 3), True), ((2, 3), True)]:
        check_gradients(singular(full), matrix(*dims, complex_=complex_))


@pytest.mark.parametrize("complex_", [False, True])
def test_derivatives_of_solvers(complex_):
    a, b = matrix(3, 3, shift=4.0, complex_=complex_), matrix(3, 2, complex_=complex_)
    check_gradients(lambda a, b: tf.linalg.solve(a, b, adjoint=True), a, b)
    check_gradients(lambda a, b: tf.linalg.triangular_solve(a, b, lower=False, adjoint=True), a, b)
    check_gradients(tf.linalg.cholesky_solve, a, b)
    check_gradients(tf.linalg.triangular_solve, matrix(2, 3, 3, shift=4.0, complex_=complex_), b)
    tall = matrix(4, 3, complex_=complex_)
    check_gradients(lambda a, b: tf.linalg.lstsq(a, b, fast=False), tall, matrix(4, 2, complex_=complex_))
    check_gradients(lambda a, b: tf.linalg.lstsq(a, b, l2_regularizer=0.1), tall, matrix(4, 2, complex_=complex_))
    diagonals = matrix(3, 4, complex_=complex_) + np.array([[0], [4], [0]])
    check_gradients(tf.linalg.tridiagonal_solve, diagonals, matrix(4, 2, complex_=complex_))
    check_gradients(tf.linalg.tridiagonal_matmul, diagonals, matrix(4, 2, complex_=complex_))
    check_gradients(tf.linalg.banded_triangular_solve, matrix(2, 4, complex_=complex_) + 3, matrix(4, 2, complex_=complex_))


def test_gradients_that_are_tensorflows_by_convention():
    """Of the cotangents that fit a self-adjoint input, cholesky gives the symmetric one and eigh the triangular one."""
    x = tf.constant(SPD)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, e = tf.reduce_sum(tf.linalg.cholesky(x)), tf.linalg.eigh(x)[0][0]
    g = tape.gradient(y, x).numpy()
    close(g, g.T)
    close(np.triu(tape.gradient(e, x).numpy(), 1), np.zeros((3, 3)))


def test_what_is_not_determined_has_no_gradient():
    x = tf.constant(matrix(5, 3))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        q = tf.reduce_sum(tf.linalg.qr(x, full_matrices=True)[0])
        u = tf.reduce_sum(tf.linalg.svd(x, full_matrices=True)[1])
    with pytest.raises(NotImplementedError, match="QrGrad not implemented when nrows > ncols"):
        tape.gradient(q, x)
    with pytest.raises(NotImplementedError, match="svd gradient is not implemented for abs"):
        tape.gradient(u, x)


# Errors, each TensorFlow's


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda t: t.cholesky(np.ones((2, 3))), "InvalidArgumentError", "Input matrix must be square."),
        (lambda t: t.cholesky([1.0]), "InvalidArgumentError", "Input tensor 0 must have rank >= 2, got 1"),
        (
            lambda t: t.cholesky([[1]]),
            "InvalidArgumentError",
            "Value for attr 'T' of int32 is not in the list of allowed values",
        ),
        (lambda t: t.inv([[1.0, 2.0], [2.0, 4.0]]), "InvalidArgumentError", "Input is not invertible."),
        (lambda t: t.lu([[1.0, 2.0], [2.0, 4.0]]), "InvalidArgumentError", "Input is not invertible"),
        (lambda t: t.solve(np.eye(2), [1.0, 2.0]), "InvalidArgumentError", "All input tensors must have the same rank."),
        (
            lambda t: t.solve(np.ones((2, 3)), np.ones((2, 3))),
            "InvalidArgumentError",
            "First input (lhs) must be a square matrix.",
        ),
        (lambda t: t.solve(np.eye(2), np.ones((3, 1))), "InvalidArgumentError", "Input matrix and rhs are incompatible"),
        (lambda t: t.solve(np.ones((2, 2)), np.ones((2, 1))), "InvalidArgumentError", "Input is not invertible."),
        (
            lambda t: t.triangular_solve(np.eye(2), np.ones((3, 1))),
            "InvalidArgumentError",
            "In[0] mismatch In[1] shape: 2 vs. 3",
        ),
        (lambda t: t.triangular_solve(np.eye(2), np.ones(2)), "InvalidArgumentError", "In[1] ndims must be >= 2: 1"),
        (lambda t: t.eigh(np.full((2, 2), np.nan)), "InvalidArgumentError", "The input might not be valid."),
        (lambda t: t.pinv([[1]]), "TypeError", "Input `a` must have `float`-like `dtype` (saw int32)."),
        (lambda t: t.matrix_rank([1.0]), "ValueError", "Input `a` must have at least 2 dimensions (saw: 1)."),
        (lambda t: t.expm([[1]]), "ValueError", "tf.linalg.expm does not support matrices of type"),
        (lambda t: t.lu_solve(*t.lu(np.eye(2)), np.ones(2)), "ValueError", "Input `rhs` must have at least 2 dimensions."),
        (lambda t: t.tridiagonal_solve(np.ones((2, 3)), np.ones(3)), "ValueError", "Expected 3 diagonals got 2"),
        (lambda t: t.tridiagonal_solve(np.ones((3, 3)), np.ones(4)), "ValueError", "to be equal, got 3 and 4"),
        (lambda t: t.tridiagonal_solve(np.ones((3, 3)), np.ones(3), "x"), "ValueError", "Unrecognized diagonals_format: x"),
    ],
)
def test_errors(call, error, text):
    kind = getattr(tf.errors, error, None) or {"ValueError": ValueError, "TypeError": TypeError}[error]
    with pytest.raises(kind) as found:
        call(tf.linalg)
    assert text in str(found.value)


def test_cholesky_of_what_is_not_positive_definite_is_nan():
    both = tf.linalg.cholesky([[[4.0, 9.0], [2.0, 10.0]], [[1.0, 2.0], [2.0, 1.0]]]).numpy()
    assert both[0].tolist() == [[2.0, 0.0], [1.0, 3.0]]  # only the lower triangle was read
    assert np.isnan(both[1]).tolist() == [[True, False], [True, True]] and both[1, 0, 1] == 0
