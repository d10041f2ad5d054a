"""Activations, softmax and the losses, against their formulas in NumPy and facts of TensorFlow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tapeflow as tf

rng = np.random.default_rng(1)
ROWS = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 80)), elements=st.floats(-30, 30))


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_softmax_and_its_logarithm(x):
    np.testing.assert_allclose(tf.nn.log_softmax(x), log_softmax(x), atol=1e-12)
    np.testing.assert_allclose(tf.nn.softmax(x), np.exp(log_softmax(x)), atol=1e-12)
    np.testing.assert_allclose(tf.nn.softmax(x.T, axis=0), np.exp(log_softmax(x)).T, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 2**31))
def test_sparse_and_dense_cross_entropy_agree(x, seed):
    labels = np.random.default_rng(seed).integers(0, x.shape[1], len(x))
    expected = -log_softmax(x)[np.arange(len(x)), labels]
    one_hot = np.eye(x.shape[1])[labels]
    np.testing.assert_allclose(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x), expected, atol=1e-12)
    np.testing.assert_allclose(tf.nn.softmax_cross_entropy_with_logits(one_hot, x), expected, atol=1e-12)


@pytest.mark.parametrize("classes", [5, 70])
def test_the_hessian_of_cross_entropy_is_that_of_softmax(classes):
    x = tf.constant(rng.normal(size=(1, classes)))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits([2], x)
        gradient = inner.gradient(loss, x)
    p = np.exp(log_softmax(x.numpy()))[0]
    np.testing.assert_allclose(gradient[0], p - np.eye(classes)[2], atol=1e-12)
    hessian = np.reshape(outer.jacobian(gradient, x), (classes, classes))
    np.testing.assert_allclose(hessian, np.diag(p) - np.outer(p, p), atol=1e-12)


def test_dense_labels_get_a_gradient_of_their_own():
    x, labels = tf.constant(rng.normal(size=(2, 3))), tf.constant([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([x, labels])
        loss = tf.nn.softmax_cross_entropy_with_logits(labels, x)
    dx, dlabels = tape.gradient(loss, [x, labels])
    np.testing.assert_allclose(dx, np.exp(log_softmax(x.numpy())) - labels.numpy(), atol=1e-12)
    np.testing.assert_allclose(dlabels, -log_softmax(x.numpy()), atol=1e-12)


@pytest.mark.parametrize(
    "labels, logits, error, text",
    [
        ([0, 3], [[1.0, 2, 3], [4, 5, 7]], tf.errors.InvalidArgumentError, r"label value of 3 .* range of \[0, 3\)"),
        ([0, -1], [[1.0, 2, 3], [4, 5, 7]], tf.errors.InvalidArgumentError, r"label value of -1 .* range of \[0, 3\)"),
        ([0], [[1.0, 2, 3], [4, 5, 7]], ValueError, "except for the last dimension"),
        ([[0], [1]], [[1.0, 2, 3], [4, 5, 7]], ValueError, "rank 2"),
        ([0.0, 1.0], [[1.0, 2, 3], [4, 5, 7]], tf.errors.InvalidArgumentError, "Tlabels"),
        (1, 1.0, ValueError, "cannot be a scalar"),
        (None, [1.0], ValueError, "must be provided"),
    ],
)
def test_sparse_cross_entropy_refuses(labels, logits, error, text):
    with pytest.raises(error, match=text):
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def test_empty_and_half_logits():
    assert tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros([0], tf.int32), tf.zeros([0, 5])).shape == (0,)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one class"):
        tf.nn.sparse_softmax_cross_entropy_with_logits([0, 0], tf.zeros([2, 0]))
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits([0, 1], tf.ones([2, 3], tf.float16))
    assert loss.dtype is tf.float16 and loss.numpy().tolist() == [np.float16(np.log(3))] * 2
    assert tf.nn.softmax(tf.zeros([3, 0])).shape == (3, 0)


@pytest.mark.parametrize(
    "name, expected",  # of [-1, 0, 2]: values of TensorFlow 2.21
    [
        ("relu", [0.0, 0.0, 2.0]),
        ("relu6", [0.0, 0.0, 2.0]),
        ("elu", [-0.63212055, 0.0, 2.0]),
        ("selu", [-1.1113307, 0.0, 2.101402]),
        ("leaky_relu", [-0.2, 0.0, 2.0]),
        ("gelu", [-0.15865526, 0.0, 1.9544997]),
        ("silu", [-0.26894143, 0.0, 1.7615942]),
        ("softsign", [-0.5, 0.0, 0.6666667]),
    ],
)
def test_activations(name, expected):
    function = getattr(tf.nn, name)
    np.testing.assert_allclose(function([-1.0, 0.0, 2.0]), expected, rtol=1e-6)
    assert np.isnan(function(tf.constant(np.nan)).numpy())
    at = np.array([-1.3, -0.2, 0.4, 2.1])
    x = tf.constant(at)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    slope = (function(at + 1e-6).numpy() - function(at - 1e-6).numpy()) / 2e-6
    np.testing.assert_allclose(tape.gradient(y, x), slope, atol=1e-8)


def test_slopes_at_the_kinks_are_tensorflows():
    x = tf.constant([-1.0, 0.0, 6.0, 7.0])
    for function, expected in [
        (tf.nn.relu, [0, 0, 1, 1]),
        (tf.nn.relu6, [0, 0, 0, 0]),
        (tf.nn.leaky_relu, [0.2, 0.2, 1, 1]),
    ]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        np.testing.assert_allclose(tape.gradient(y, x), np.float32(expected))


def test_crelu_and_approximate_gelu():
    assert tf.nn.crelu([[-1.0, 2.0]], axis=0).numpy().tolist() == [[0, 2], [1, 0]]
    np.testing.assert_allclose(tf.nn.gelu([-1.0, 2.0], approximate=True), [-0.158808, 1.9545977], rtol=1e-6)
    np.testing.assert_allclose(tf.nn.silu([-1.0, 2.0], beta=2.0), [-0.11920292, 1.9640275], rtol=1e-6)
    with pytest.raises(ValueError, match="floating point"):
        tf.nn.gelu([1])
    with pytest.raises(TypeError, match="alpha"):
        tf.nn.leaky_relu([1.0], alpha=tf.constant(0.3))


def test_sigmoid_losses_survive_large_logits():
    x, z = np.array([1.0, -3.0, 1000.0, -1000.0]), np.array([0.0, 1.0, 0.0, 1.0])
    found = tf.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x)
    np.testing.assert_allclose(found, [1.31326169, 3.04858735, 1000, 1000])
    weighted = tf.nn.weighted_cross_entropy_with_logits(z, x, 2.0)
    np.testing.assert_allclose(weighted, [1.31326169, 6.0971747, 1000, 2000])
    with pytest.raises(ValueError, match="must have the same shape"):
        tf.nn.sigmoid_cross_entropy_with_logits(labels=[0.0], logits=[1.0, 2.0])


def test_smaller_losses():
    assert float(tf.nn.l2_loss([1.0, 2.0])) == 2.5
    np.testing.assert_allclose(tf.nn.log_poisson_loss([1.0, 2.0], [0.5, 3.0]), [1.1487212, 14.085537], rtol=1e-6)
    full = tf.nn.log_poisson_loss([1.0, 2.0, 0.0], [0.5, 3.0, 1.0], compute_full_loss=True)
    np.testing.assert_allclose(full, [1.1487212, 14.737344, 2.7182817], rtol=1e-6)
    assert float(tf.nn.compute_average_loss([1.0, 2.0, 3.0], global_batch_size=10)) == pytest.approx(0.6)
    assert float(tf.nn.compute_average_loss([1.0, 2.0, 3.0], sample_weight=[1.0, 0.0, 1.0])) == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    "value, bias, options, text",
    [
        ([2, 3], [4], {}, r"as many biases as the last dimension .*\[4\] vs. \[2,3\]"),
        ([2, 3], [1], {}, "as many biases"),
        ([3], [3], {}, "at least 2D"),
        ([2, 3], [1, 3], {}, "Biases must be 1D"),
    ],
)
def test_bias_add_refuses(value, bias, options, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        tf.nn.bias_add(tf.ones(value), tf.ones(bias), **options)


def test_bias_add_of_channels():
    x, bias = rng.normal(size=(2, 3, 4)), rng.normal(size=3)
    np.testing.assert_allclose(tf.nn.bias_add(x, bias, data_format="NCHW"), x + bias[:, None])
    np.testing.assert_allclose(tf.nn.bias_add(x.swapaxes(1, 2), bias), x.swapaxes(1, 2) + bias)
    with pytest.raises(ValueError, match="data_format"):
        tf.nn.bias_add(x, bias, data_format="foo")
