"""Sparse tensors: construction, conversion, arithmetic, reductions, sets; against NumPy and facts of TensorFlow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf


def sparse(indices, values, shape):
    return tf.SparseTensor(indices, values, shape)


def dense(x):
    return tf.sparse.to_dense(tf.sparse.reorder(x)).numpy()


def parts(x):
    return x.indices.numpy().tolist(), x.values.numpy().tolist(), x.dense_shape.numpy().tolist()


A = sparse([[0, 1], [2, 0]], [1.0, 2.0], [3, 4])
B = sparse([[0, 1], [1, 3]], [-1.0, 5.0], [3, 4])


def test_construction_converts_and_checks():
    assert A.shape == tf.TensorShape([3, 4])
    assert A.dtype is tf.float32
    assert A.indices.dtype is tf.int64
    with pytest.raises(ValueError, match=r"Shape \(2,\) must have rank 2"):
        sparse([0, 1], [1.0], [3])
    with pytest.raises(ValueError, match="Dimensions 1 and 2 are not compatible"):
        sparse([[0, 1]], [1.0, 2.0], [3, 2])
    with pytest.raises(ValueError, match="Dimensions 2 and 1 are not compatible"):
        sparse([[0, 1]], [1.0], [3])
    with pytest.raises(TypeError, match=r"Cannot convert 0\.5"):
        sparse([[0.5, 1]], [1.0], [3, 3])
    with pytest.raises(ValueError, match="indices: Tensor conversion requested dtype int64"):
        sparse(tf.constant([[0, 1]]), [1.0], [3, 3])
    with pytest.raises(TypeError, match="neither a SparseTensor nor SparseTensorValue"):
        tf.SparseTensor.from_value(3)


def test_it_is_no_tensor_but_counts_as_one():
    assert not isinstance(A, tf.Tensor)
    assert tf.is_tensor(A)
    for convert in (tf.convert_to_tensor, tf.constant, tf.Variable):
        with pytest.raises(ValueError, match="unsupported type"):
            convert(A)
    with pytest.raises(ValueError, match="exp does not take a SparseTensor"):
        tf.exp(A)
    assert tf.size(A).numpy() == 12
    assert tf.shape(A).numpy().tolist() == [3, 4]
    assert tf.rank(A).numpy() == 2


def test_printing():
    assert repr(A).startswith("SparseTensor(indices=tf.Tensor(\n[[0 1]\n [2 0]], shape=(2, 2), dtype=int64), values=")


def test_set_shape_merges():
    x = sparse([[0, 1]], [1.0], [3, 4])
    x.set_shape([3, None])
    assert x.shape == [3, 4]
    with pytest.raises(ValueError, match="not compatible"):
        x.set_shape([2, None])


def test_spec_takes_apart_and_puts_together():
    spec = A._type_spec
    assert spec == tf.SparseTensorSpec([3, 4], tf.float32)
    flat = tf.nest.flatten(A, expand_composites=True)
    assert [x.dtype for x in flat] == [tf.int64, tf.float32, tf.int64]
    assert parts(tf.nest.pack_sequence_as(spec, flat, expand_composites=True)) == parts(A)
    assert spec._batch(5).shape == [5, 3, 4]
    assert spec._unbatch().shape == [4]


def test_to_dense_names_what_is_wrong():
    for indices, fault in (
        ([[2, 0], [0, 1]], "out of order"),
        ([[0, 1], [0, 1]], "repeated"),
        ([[0, 1], [0, 9]], "out of bounds"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=fault):
            tf.sparse.to_dense(sparse(indices, [1.0, 2.0], [3, 4]))
    unsorted = sparse([[2, 0], [0, 1]], [1.0, 2.0], [3, 4])
    assert tf.sparse.to_dense(unsorted, validate_indices=False).numpy()[2, 0] == 1.0
    with pytest.raises(TypeError, match="Input must be a SparseTensor"):
        tf.sparse.to_dense(tf.ones([2]))
    assert tf.sparse.to_dense(sparse([[0]], ["a"], [2])).numpy().tolist() == [b"a", b""]


def test_operators_with_dense():
    ones = tf.ones([3, 4])
    assert parts(A * (ones * 2))[1] == [2.0, 4.0]
    assert parts((ones * 3) * A)[1] == [3.0, 6.0]
    assert parts(A * tf.constant([1.0, 5.0, 1.0, 1.0]))[1] == [5.0, 2.0]
    assert parts(A / tf.constant([[1.0], [2.0], [4.0]]))[1] == [1.0, 0.5]
    assert (sparse([[0, 1]], [3], [3, 3]) / 2).dtype is tf.float64
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"broadcasts dense to sparse only.*\[3,4\] vs. \[2,3\]"):
        A * tf.ones([2, 3])
    with pytest.raises(ValueError, match="requested dtype float32"):
        A * tf.constant(2)
    with pytest.raises(TypeError):
        A + 1.0


def test_zero_keeping_ops_map_the_values():
    assert parts(tf.abs(B))[1] == [1.0, 5.0]
    assert tf.cast(A, tf.int32).dtype is tf.int32
    assert parts(tf.identity(A)) == parts(A)
    assert parts(tf.square(B))[1] == [1.0, 25.0]


def test_add_and_extremes():
    assert parts(tf.sparse.add(A, B)) == ([[0, 1], [1, 3], [2, 0]], [0.0, 5.0, 2.0], [3, 4])
    assert parts(tf.sparse.add(A, B, threshold=0.1))[0] == [[1, 3], [2, 0]]
    assert parts(tf.sparse.maximum(A, B))[1] == [1.0, 5.0, 2.0]
    assert parts(tf.sparse.minimum(A, B))[1] == [-1.0, 0.0, 0.0]
    np.testing.assert_array_equal(tf.sparse.add(tf.ones([3, 4]), A), 1 + dense(A))
    with pytest.raises(TypeError, match=r"do you mean to use tf.add\(\)"):
        tf.sparse.add(tf.ones([2]), tf.ones([2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="shapes do not match: got 4 and 5 for dimension 1"):
        tf.sparse.add(A, sparse([[0, 1]], [1.0], [3, 5]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="different ranks"):
        tf.sparse.add(A, tf.ones([4]))


def test_structure():
    assert parts(tf.sparse.slice(A, [1, 0], [9, 9])) == ([[1, 0]], [2.0], [2, 4])
    assert [parts(x)[2] for x in tf.sparse.split(A, 3, 1)] == [[3, 2], [3, 1], [3, 1]]
    assert parts(tf.sparse.expand_dims(A, -2))[2] == [3, 1, 4]
    assert parts(tf.sparse.reset_shape(A))[2] == [3, 2]
    filled, empty = tf.sparse.fill_empty_rows(A, 7.0)
    assert parts(filled)[1] == [1.0, 7.0, 2.0]
    assert empty.numpy().tolist() == [False, True, False]
    bigger = sparse([[0, 1]], [1.0], [3, 5])
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 4 for dimension 1 but got 5 at position 1"):
        tf.sparse.concat(0, [A, bigger])
    assert parts(tf.sparse.concat(0, [A, bigger], expand_nonconcat_dims=True))[2] == [6, 5]
    with pytest.raises(tf.errors.InvalidArgumentError, match="12 dense values, but the requested shape has 10"):
        tf.sparse.reshape(A, [5, 2])


def test_reductions_keep_to_what_is_there():
    assert tf.sparse.reduce_max(B, 1).numpy().tolist() == [-1.0, 5.0, 0.0]
    assert parts(tf.sparse.reduce_sum(A, 1, output_is_sparse=True)) == ([[0], [2]], [1.0, 2.0], [3])
    assert parts(tf.sparse.reduce_sum(A, keepdims=True, output_is_sparse=True)) == ([[0, 0]], [3.0], [1, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid reduction dimension 5, for input with 2 dimensions"):
        tf.sparse.reduce_sum(A, 5)


def test_matmul_checks_and_names_dimensions():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"inner dimension does not match: 4 vs\. 3"):
        tf.sparse.sparse_dense_matmul(A, tf.ones([3, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="out of bounds"):
        tf.sparse.sparse_dense_matmul(sparse([[0, 9]], [1.0], [3, 4]), tf.ones([4, 2]))


def test_map_values_needs_equal_coordinates():
    assert parts(tf.sparse.map_values(tf.add, A, 1.0))[1] == [2.0, 3.0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Mismatched indices"):
        tf.sparse.map_values(tf.add, A, B)
    with pytest.raises(ValueError, match="No SparseTensor"):
        tf.sparse.map_values(tf.abs, tf.ones(2))


def test_bincount():
    assert parts(tf.sparse.bincount([[1, 1, 3], [0, 0, 0]], axis=-1)) == ([[0, 1], [0, 3], [1, 0]], [2, 1, 3], [2, 4])
    assert parts(tf.sparse.bincount([1, 1, 3], minlength=6, maxlength=2)) == ([[1]], [2], [2])
    assert parts(tf.sparse.bincount([1, 1, 3], weights=[1.0, 2.0, 3.0]))[1] == [3.0, 3.0]
    assert parts(tf.sparse.bincount(tf.ragged.constant([[1, 1], [], [2]]), axis=-1)) == ([[0, 1], [2, 2]], [2, 1], [3, 3])
    with pytest.raises(tf.errors.InvalidArgumentError, match="non-negative"):
        tf.sparse.bincount([-1])


def test_sets():
    a, b = tf.constant([[1, 2, 3], [4, 5, 6]]), tf.constant([[2, 9, 3], [6, 7, 4]])
    assert parts(tf.sets.intersection(a, b)) == ([[0, 0], [0, 1], [1, 0], [1, 1]], [2, 3, 4, 6], [2, 2])
    assert parts(tf.sets.union(a[:1], b[:1]))[1] == [1, 2, 3, 9]
    assert parts(tf.sets.difference(a, b, aminusb=False))[1] == [9, 7]
    assert tf.sets.size(tf.sparse.from_dense([[1, 2, 3], [4, 0, 0]])).numpy().tolist() == [3, 1]
    assert parts(tf.sets.union([["b", "a"]], [["c", "a"]]))[1] == [b"a", b"b", b"c"]


def test_gradients_reach_the_values_and_the_dense_side():
    values, b = tf.Variable([1.0, 2.0, -3.0]), tf.Variable(tf.reshape(tf.range(8.0), [4, 2]))
    where = [[0, 1], [2, 0], [2, 3]]
    with tf.GradientTape(persistent=True) as tape:
        x = sparse(where, values, [3, 4])
        product = tf.sparse.sparse_dense_matmul(x, b)
        loss = tf.reduce_sum(product * product)
        soft = tf.reduce_sum(tf.sparse.softmax(x).values * [1.0, 5.0, 7.0])
        again = tf.sparse.add(tf.sparse.reorder(tf.sparse.transpose(x)), tf.sparse.transpose(x))
    m = dense(sparse(where, values, [3, 4]))
    expected = 2 * (m @ b.numpy()) @ b.numpy().T
    np.testing.assert_allclose(tape.gradient(loss, values), [expected[tuple(i)] for i in where], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, b), 2 * m.T @ (m @ b.numpy()), rtol=1e-6)
    assert isinstance(tape.gradient(loss, b), tf.Tensor)
    p = np.exp([2.0, -3.0]) / np.exp([2.0, -3.0]).sum()
    np.testing.assert_allclose(tape.gradient(soft, values), [0, -2 * p[0] * p[1], 2 * p[0] * p[1]], rtol=1e-4)
    assert tape.gradient(again.values, values).numpy().tolist() == [2.0, 2.0, 2.0]


def test_a_tape_takes_a_sparse_source():
    with tf.GradientTape() as tape:
        tape.watch(A)
        y = tf.sparse.reduce_sum(A * 3.0)
    g = tape.gradient(y, A)
    assert isinstance(g, tf.SparseTensor)
    assert parts(g) == ([[0, 1], [2, 0]], [3.0, 3.0], [3, 4])


matrices = st.lists(st.lists(st.integers(-2, 2), min_size=4, max_size=4), min_size=1, max_size=5)


@settings(deadline=None, max_examples=40)
@given(matrices, st.integers(0, 2**16))
def test_everything_agrees_with_dense(rows, seed):
    m = np.array(rows, np.float64)
    x = tf.sparse.from_dense(m)
    rng = np.random.default_rng(seed)
    n = m.shape[0]
    np.testing.assert_array_equal(dense(x), m)
    np.testing.assert_array_equal(dense(tf.sparse.transpose(x)), m.T)
    np.testing.assert_array_equal(dense(tf.sparse.reshape(x, [2, -1])), m.reshape(2, -1))
    np.testing.assert_array_equal(dense(tf.sparse.concat(0, [x, x])), np.concatenate([m, m]))
    np.testing.assert_array_equal(tf.sparse.reduce_sum(x, 0), m.sum(0))
    np.testing.assert_array_equal(
        dense(tf.sparse.reduce_sum(x, [1], keepdims=True, output_is_sparse=True)), m.sum(1, keepdims=True)
    )
    other = rng.integers(-1, 2, m.shape).astype(float)
    np.testing.assert_array_equal(dense(tf.sparse.add(x, tf.sparse.from_dense(other))), m + other)
    np.testing.assert_array_equal(dense(tf.sparse.maximum(x, tf.sparse.from_dense(other))), np.maximum(m, other))
    b = rng.normal(size=(4, 3))
    np.testing.assert_allclose(tf.sparse.sparse_dense_matmul(x, b), m @ b, atol=1e-12)
    np.testing.assert_allclose(tf.sparse.sparse_dense_matmul(x, b.T, adjoint_b=True), m @ b, atol=1e-12)
    left = rng.normal(size=(2, n))
    np.testing.assert_allclose(tf.sparse.sparse_dense_matmul(left, x), left @ m, atol=1e-12)
    order = rng.permutation(len(x.values))
    mixed = sparse(x.indices.numpy()[order], x.values.numpy()[order], m.shape)
    np.testing.assert_array_equal(dense(mixed), m)
    np.testing.assert_allclose(tf.sparse.sparse_dense_matmul(mixed, b), m @ b, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**16), st.booleans())
def test_products_of_sparse_matrices(seed, batched):
    from tapeflow.api.sparse_math import sparse_sparse_matmul

    rng = np.random.default_rng(seed)
    lead = (2,) if batched else ()
    a, b = [rng.normal(size=(*lead, *dims)) * (rng.random((*lead, *dims)) < 0.4) for dims in ((3, 4), (4, 5))]
    found = sparse_sparse_matmul(tf.sparse.from_dense(a), tf.sparse.from_dense(b))
    np.testing.assert_allclose(dense(found), a @ b, atol=1e-12)
