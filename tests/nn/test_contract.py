"""Matrix products, tensordot and einsum against NumPy's own, and TensorFlow's errors for what does not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

rng = np.random.default_rng(0)
SIZES = dict(zip("abcdef", [2, 3, 4, 5, 2, 3], strict=True))


def random(*shape):
    return rng.normal(size=shape)


@st.composite
def equations(draw):
    """An equation with its operands' shapes; axes under an ellipsis may be of size 1."""
    operands, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        labels = "".join(draw(st.lists(st.sampled_from("abcdef"), max_size=3)))
        shape = [SIZES[label] for label in labels]
        if draw(st.booleans()):
            hidden = [draw(st.sampled_from([1, n])) for n in (3, 2)[draw(st.integers(0, 2)) :]]
            at = draw(st.integers(0, len(labels)))
            labels, shape = f"{labels[:at]}...{labels[at:]}", shape[:at] + hidden + shape[at:]
        operands.append(labels)
        shapes.append(shape)
    used = sorted(set("".join(operands)) - {"."})
    right = "".join(draw(st.permutations([label for label in used if draw(st.booleans())])))
    if any("." in labels for labels in operands):
        right = draw(st.sampled_from([f"...{right}", f"{right}..."]))
    return f"{','.join(operands)}->{right}", shapes


@settings(max_examples=150, deadline=None)
@given(equations())
def test_einsum_is_numpys(case):
    equation, shapes = case
    arrays = [random(*shape) for shape in shapes]
    found = tf.einsum(equation, *map(tf.constant, arrays))
    expected = np.einsum(equation, *arrays)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("equation", ["ij,jk", "ba", "ii", "i,j->ij", "ab,ab->", "bhqd,bhkd->bhqk", "aecd,abcd->acbe"])
def test_einsum_of_common_equations(equation):
    letters = dict(zip("abcdehijkq", [2, 3, 4, 5, 6, 2, 3, 3, 4, 5], strict=True))
    arrays = [random(*[letters[c] for c in part]) for part in equation.partition("->")[0].split(",")]
    np.testing.assert_allclose(tf.einsum(equation, *map(tf.constant, arrays)), np.einsum(equation, *arrays), atol=1e-12)


def test_the_gradient_of_einsum_is_the_other_factors():
    a, b, c = [tf.constant(random(*shape)) for shape in [(2, 3), (3, 4), (4, 5)]]
    with tf.GradientTape() as tape:
        tape.watch([a, b, c])
        y = tf.einsum("ab,bc,cd->ad", a, b, c)
    g = tf.constant(random(2, 5))
    da, db, dc = tape.gradient(y, [a, b, c], output_gradients=g)
    np.testing.assert_allclose(da, g.numpy() @ (b.numpy() @ c.numpy()).T, atol=1e-12)
    np.testing.assert_allclose(db, a.numpy().T @ g.numpy() @ c.numpy().T, atol=1e-12)
    np.testing.assert_allclose(dc, (a.numpy() @ b.numpy()).T @ g.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    "equation, shapes, error, text",
    [
        ("ij,jk->ik", [(2, 3)], ValueError, "Got 1 inputs for equation"),
        ("ij,jk->il", [(2, 3), (3, 4)], ValueError, "contain the label l not present in the input"),
        ("ij,jk->ikk", [(2, 3), (3, 4)], ValueError, "appearing more than once"),
        ("a1->a", [(2, 3)], ValueError, "incorrect format"),
        ("ij,jk->ik", [(2, 3), (4, 4)], tf.errors.InvalidArgumentError, "Expected dimension 3 at axis 0"),
        ("ij,ij->ij", [(3, 1), (3, 2)], tf.errors.InvalidArgumentError, "Expected dimension 1 at axis 1"),
        ("ijk->ij", [(3, 2)], tf.errors.InvalidArgumentError, "Expected input 0 to have rank 3 but got: 2"),
        ("ab...->a", [(2, 1, 3)], tf.errors.InvalidArgumentError, "no ellipsis"),
    ],
)
def test_einsum_refuses(equation, shapes, error, text):
    with pytest.raises(error, match=text):
        tf.einsum(equation, *[tf.ones(shape) for shape in shapes])


@pytest.mark.parametrize(
    "a, b, axes", [((2, 3), (3, 4), 1), ((2, 3, 4), (4, 3, 5), [[1, 2], [1, 0]]), ((2, 3), (4,), 0), ((2, 3), (2, 3), 2)]
)
def test_tensordot_is_numpys(a, b, axes):
    a, b = random(*a), random(*b)
    np.testing.assert_allclose(tf.tensordot(a, b, axes), np.tensordot(a, b, axes), atol=1e-12)
    if isinstance(axes, list):
        np.testing.assert_allclose(tf.tensordot(a, b, tf.constant(axes)), np.tensordot(a, b, axes), atol=1e-12)


@pytest.mark.parametrize(
    "axes, error, text",
    [
        (3, ValueError, "must not be larger than the number of dimensions"),
        (-1, ValueError, "at least 0"),
        ([[1]], ValueError, "integer or have length 2"),
        ([[1, 0], [0]], ValueError, "Different number of contraction axes"),
        ([[0], [0]], tf.errors.InvalidArgumentError, "Matrix size-incompatible"),
        ([[5], [0]], IndexError, "out of the range"),
    ],
)
def test_tensordot_refuses(axes, error, text):
    with pytest.raises(error, match=text):
        tf.tensordot(tf.ones([2, 3]), tf.ones([3, 4]), axes)


@pytest.mark.parametrize("shapes", [((2, 3), (3, 5)), ((4, 2, 3), (3, 5)), ((2, 3), (4, 3, 5)), ((4, 1, 2, 3), (7, 3, 5))])
@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True), (True, True)])
def test_matmul_and_its_gradients(shapes, flags):
    a, b = random(*shapes[0]), random(*shapes[1])
    g = random(*(a @ b).shape)
    given = [tf.constant(x.swapaxes(-1, -2) if flag else x) for x, flag in zip((a, b), flags, strict=True)]
    with tf.GradientTape() as tape:
        tape.watch(given)
        y = tf.matmul(*given, transpose_a=flags[0], transpose_b=flags[1])
    np.testing.assert_allclose(y, a @ b, atol=1e-12)
    found = tape.gradient(y, given, output_gradients=tf.constant(g))
    full = [g @ b.swapaxes(-1, -2), a.swapaxes(-1, -2) @ g]
    for x, flag, dx, wide in zip((a, b), flags, found, full, strict=True):
        extra = wide.ndim - x.ndim
        wide = wide.sum(tuple(range(extra)))
        wide = wide.sum(tuple(i for i in range(x.ndim) if x.shape[i] == 1 != wide.shape[i]), keepdims=True)
        np.testing.assert_allclose(dx.numpy().swapaxes(-1, -2) if flag else dx, wide, atol=1e-12)


def test_matmul_options():
    a = random(2, 3) + 1j * random(2, 3)
    np.testing.assert_allclose(tf.matmul(a, a, adjoint_b=True), a @ a.conj().T)
    small = tf.constant(np.full((2, 3), 100), tf.int8)
    assert tf.matmul(small, small, transpose_b=True, output_type=tf.int32).numpy().tolist() == [[30000] * 2] * 2
    half = tf.constant(np.full((1, 4096), 0.25), tf.float16)
    assert float(tf.matmul(half, half, transpose_b=True)[0, 0]) == 256  # a float16 sum would have stopped growing
    mixed = tf.matmul(tf.cast(tf.ones([2, 3]), tf.bfloat16), tf.ones([3, 2]), a_is_sparse=True)
    assert mixed.dtype is tf.float32
    assert tf.matmul(tf.zeros([2, 0]), tf.zeros([0, 3])).numpy().tolist() == [[0] * 3] * 2
    np.testing.assert_allclose(tf.linalg.matvec(tf.ones([5, 2, 3]), [1.0, 2.0, 3.0]), np.full((5, 2), 6.0))


@pytest.mark.parametrize(
    "call, error, text",
    [
        (
            lambda: tf.matmul(tf.ones([2, 3]), tf.ones([4, 5])),
            tf.errors.InvalidArgumentError,
            r"In\[0\]: \[2,3\], In\[1\]: \[4,5\]",
        ),
        (lambda: tf.matmul(tf.ones([2, 3]), tf.ones([3])), tf.errors.InvalidArgumentError, r"In\[1\] ndims must be >= 2"),
        (
            lambda: tf.matmul(tf.ones([2, 2, 3]), tf.ones([3, 3, 2])),
            tf.errors.InvalidArgumentError,
            "compatible batch dimensions",
        ),
        (
            lambda: tf.matmul(tf.ones([2, 3]), tf.ones([3, 2], tf.float64)),
            tf.errors.InvalidArgumentError,
            "expected to be a float",
        ),
        (
            lambda: tf.matmul(tf.ones([1, 1], tf.int8), tf.ones([1, 1], tf.int8)),
            tf.errors.InvalidArgumentError,
            "list of allowed",
        ),
        (lambda: tf.matmul(tf.ones([1, 1]), tf.ones([1, 1]), True, adjoint_a=True), ValueError, "Only one of `transpose_a`"),
    ],
)
def test_matmul_refuses(call, error, text):
    with pytest.raises(error, match=text):
        call()
