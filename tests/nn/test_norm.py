"""Moments, normalization, dropout and embeddings against NumPy."""

import numpy as np
import pytest

import tapeflow as tf

rng = np.random.default_rng(5)


def test_moments():
    x = rng.normal(size=(2, 3, 4))
    for axes, keepdims in [([0, 1], False), (0, True), ([-1], False), (None, False)]:
        numpy_axes = tuple(axes) if isinstance(axes, list) else axes
        mean, variance = tf.nn.moments(x, axes, keepdims=keepdims)
        np.testing.assert_allclose(np.squeeze(mean), np.squeeze(x.mean(numpy_axes, keepdims=keepdims)), atol=1e-12)
        np.testing.assert_allclose(np.squeeze(variance), np.squeeze(x.var(numpy_axes, keepdims=keepdims)), atol=1e-12)
    assert tf.nn.moments(tf.ones([2, 3], tf.float16), [0])[0].dtype is tf.float16


def test_moments_in_parts():
    x, weights = rng.normal(size=(3, 4, 5)), rng.uniform(0.5, 2, size=(3, 4, 1))
    mean, variance = tf.nn.weighted_moments(x, [0, 1], weights)
    expected = np.average(x, (0, 1), np.broadcast_to(weights, x.shape))
    np.testing.assert_allclose(mean, expected)
    np.testing.assert_allclose(variance, np.average((x - expected) ** 2, (0, 1), np.broadcast_to(weights, x.shape)))
    for shift in (None, 0.5):
        mean, variance = tf.nn.normalize_moments(*tf.nn.sufficient_statistics(x, [0, 2], shift=shift))
        np.testing.assert_allclose([mean, variance], [x.mean((0, 2)), x.var((0, 2))], atol=1e-12)


def test_batch_normalization():
    x, (mean, variance, offset, scale) = rng.normal(size=(6, 3)), rng.uniform(0.5, 2, size=(4, 3))
    expected = (x - mean) / np.sqrt(variance + 0.01)
    np.testing.assert_allclose(tf.nn.batch_normalization(x, mean, variance, None, None, 0.01), expected)
    found = tf.nn.batch_normalization(x, mean, variance, offset, scale, 0.01)
    np.testing.assert_allclose(found, expected * scale + offset)
    assert tf.nn.batch_normalization(tf.ones([2, 3], tf.float16), *tf.unstack(tf.ones([4, 3])), 0.1).dtype is tf.float16


def test_local_response_normalization():
    x = rng.normal(size=(1, 2, 3, 7))
    squares = np.stack([(x[..., max(c - 2, 0) : c + 3] ** 2).sum(-1) for c in range(7)], -1)
    np.testing.assert_allclose(tf.nn.lrn(x, 2, 0.7, 0.3, 0.8), x / (0.7 + 0.3 * squares) ** 0.8)


def test_dropout():
    x = tf.ones([100, 200])
    y = tf.nn.dropout(x, 0.25, seed=1).numpy()
    assert set(np.unique(y)) == {0, np.float32(4 / 3)} and abs((y == 0).mean() - 0.25) < 0.02
    rows = tf.nn.dropout(x, 0.5, noise_shape=[100, 1], seed=1).numpy()
    assert (rows == rows[:, :1]).all() and 0 < rows.mean() < 2
    assert tf.nn.dropout(x, 0.0) is x
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.dropout(x, 0.5)
    np.testing.assert_array_equal(tape.gradient(y, x), y)
    one, two = [tf.nn.experimental.stateless_dropout(x, tf.constant(0.4), seed=[1, 2]).numpy() for _ in range(2)]
    np.testing.assert_array_equal(one, two)
    # the first values of TensorFlow 2.21
    found = tf.nn.experimental.stateless_dropout(tf.ones([4]), 0.4, seed=[1, 2], rng_alg="philox")
    np.testing.assert_allclose(tf.nn.experimental.stateless_dropout(tf.ones([8]), 0.4, [1, 2])[:4], [5 / 3, 0, 5 / 3, 0])
    assert found.shape == (4,)


@pytest.mark.parametrize("rate", [1.0, -0.1, 1.5, "a", tf.constant(0.5, tf.float64), tf.constant([0.5])])
def test_dropout_refuses(rate):
    with pytest.raises(ValueError, match="rate"):
        tf.nn.dropout(tf.ones([3]), rate)
    with pytest.raises(ValueError, match="floating point"):
        tf.nn.dropout(tf.ones([3], tf.int32), 0.5)


# Embeddings


def test_lookup_has_a_sparse_gradient():
    table = tf.Variable(rng.normal(size=(5, 3)))
    with tf.GradientTape() as tape:
        rows = tf.nn.embedding_lookup(table, [[0, 4], [4, 1]])
    gradient = tape.gradient(rows, table)
    assert isinstance(gradient, tf.IndexedSlices)
    assert tf.convert_to_tensor(gradient).numpy().tolist() == [[n] * 3 for n in (1, 1, 0, 0, 2)]
    parts = [tf.ones([2, 3]), 2 * tf.ones([3, 3])]
    assert tf.nn.embedding_lookup(parts, [1, 2]).numpy().tolist() == [[1] * 3, [2] * 3]
    clipped = tf.nn.embedding_lookup(tf.constant([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]), [0, 1, 2], max_norm=1.0)
    np.testing.assert_allclose(clipped, [[0.6, 0.8], [0.3, 0.4], [0, 0]], rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[1\] = 5 is not in \[0, 5\)"):
        tf.nn.embedding_lookup(table, [0, 5])
    with pytest.raises(ValueError, match="at least one param"):
        tf.nn.embedding_lookup([], [0])


@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_lookup_combines_rows(combiner, weighted):
    table, rows, ids = rng.normal(size=(5, 3)), [0, 0, 2], [1, 4, 2]
    weights = [0.5, 2.0, 3.0] if weighted else [1.0] * 3
    places = [[0, 0], [0, 3], [2, 1]]
    expected = np.zeros((3, 3))
    for row in (0, 2):
        own = [i for i in range(3) if rows[i] == row]
        total = sum(weights[i] * table[ids[i]] for i in own)
        share = {"sum": 1, "mean": sum(weights[i] for i in own), "sqrtn": np.sqrt(sum(weights[i] ** 2 for i in own))}
        expected[row] = total / share[combiner]
    sp_ids = tf.SparseTensor(places, ids, [4, 4])
    sp_weights = tf.SparseTensor(places, tf.constant(weights, tf.float64), [4, 4]) if weighted else None
    np.testing.assert_allclose(tf.nn.embedding_lookup_sparse(table, sp_ids, sp_weights, combiner), expected)
    safe = tf.nn.safe_embedding_lookup_sparse(table, sp_ids, sp_weights, combiner)
    np.testing.assert_allclose(safe, np.concatenate([expected, np.zeros((1, 3))]))


def test_safe_lookup_drops_bad_ids_and_fills_empty_rows():
    table = tf.constant(rng.normal(size=(5, 3)))
    ids = tf.SparseTensor([[0, 0], [0, 1], [2, 0]], [1, -1, 4], [4, 2])
    found = tf.nn.safe_embedding_lookup_sparse(table, ids, default_id=3).numpy()
    np.testing.assert_allclose(found, table.numpy()[[1, 3, 4, 3]])
    deep = tf.SparseTensor([[0, 1, 0], [1, 0, 0]], [2, 3], [2, 2, 3])
    assert tf.nn.safe_embedding_lookup_sparse(table, deep).shape == (2, 2, 3)
    with pytest.raises(ValueError, match="combiner must be one of"):
        tf.nn.embedding_lookup_sparse(table, ids, None, combiner="foo")
    with pytest.raises(TypeError, match="sp_ids must be SparseTensor"):
        tf.nn.embedding_lookup_sparse(table, [1], None)


def normalized(x, scale, offset, mean, variance, epsilon):
    return (x - mean) / np.sqrt(variance + epsilon) * scale + offset


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("factor", [1.0, 0.25])
@pytest.mark.parametrize("is_training", [True, False])
def test_fused_batch_norm(dtype, factor, is_training):
    rng = np.random.default_rng(3)
    x = rng.normal(2, 3, (2, 4, 5, 3)).astype(dtype)
    scale, offset, mean, variance = rng.uniform(0.5, 1.5, (4, 3)).astype("float32")
    settings = {"exponential_avg_factor": factor, "is_training": is_training}
    found = tf.compat.v1.nn.fused_batch_norm(x, scale, offset, mean, variance, 0.01, **settings)
    wide = x.astype("float64").reshape(-1, 3)
    own = (wide.mean(0), wide.var(0)) if is_training else (mean, variance)
    averages = [mean, variance]
    if is_training:
        averages = [(1 - factor) * a + factor * b for a, b in zip(averages, (own[0], wide.var(0, ddof=1)), strict=True)]
    np.testing.assert_allclose(
        found[0], normalized(x, scale, offset, *own, 0.01), rtol=2e-3, atol=2e-3 if dtype == "float16" else 1e-5
    )
    np.testing.assert_allclose(found[1:], averages, rtol=1e-5)
    channels_first = tf.raw_ops.FusedBatchNormV3(
        x=x.transpose(0, 3, 1, 2),
        scale=scale,
        offset=offset,
        mean=mean,
        variance=variance,
        epsilon=0.01,
        data_format="NCHW",
        **settings,
    )
    np.testing.assert_allclose(tf.transpose(channels_first[0], [0, 2, 3, 1]), found[0], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(channels_first[3:5], own, rtol=1e-5)
    assert len(tf.raw_ops.FusedBatchNormV2(x=x, scale=scale, offset=offset, mean=mean, variance=variance)) == 5
