"""Pooling against NumPy's sliding windows, where its gradients go, and TensorFlow's errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

import tapeflow as tf

rng = np.random.default_rng(3)


def windows(x, size, stride, padding):
    """[batch, rows, columns, channels, window]; nan where a window is beyond the image."""
    frame = [(0, 0)]
    for n in x.shape[1:3]:
        total = max((-(-n // stride) - 1) * stride + size - n, 0) if padding == "SAME" else 0
        frame.append((total // 2, total - total // 2))
    x = np.pad(x, [*frame, (0, 0)], constant_values=np.nan)
    view = sliding_window_view(x, (size, size), (1, 2))[:, ::stride, ::stride]
    return view.reshape(*view.shape[:4], -1)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from(["SAME", "VALID"]), st.integers(3, 7))
def test_pools_are_reductions_of_windows(size, stride, padding, height):
    x = rng.normal(size=(2, height, 6, 3))
    view = windows(x, size, stride, padding)
    np.testing.assert_allclose(tf.nn.max_pool2d(x, size, stride, padding), np.nanmax(view, -1))
    np.testing.assert_allclose(tf.nn.avg_pool2d(x, size, stride, padding), np.nanmean(view, -1))
    values, where = tf.nn.max_pool_with_argmax(x, size, stride, padding, include_batch_in_index=True)
    np.testing.assert_array_equal(x.ravel()[where.numpy()], values)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_ranks_formats_and_general_forms(rank, kind):
    x = rng.normal(size=(2, *[5, 6, 4][:rank], 3))
    own = getattr(tf.nn, f"{kind}_pool{rank}d")(x, 2, 2, "SAME")
    np.testing.assert_allclose(getattr(tf.nn, f"{kind}_pool")(x, 2, 2, "SAME"), own)
    np.testing.assert_allclose(tf.nn.pool(x, [2] * rank, kind.upper(), [2] * rank, "SAME"), own)
    first = {1: "NCW", 2: "NCHW", 3: "NCDHW"}[rank]
    moved = getattr(tf.nn, f"{kind}_pool")(np.moveaxis(x, -1, 1), 2, 2, "SAME", data_format=first)
    np.testing.assert_allclose(np.moveaxis(moved, 1, -1), own)
    by_hand = x
    for axis in range(1, rank + 1):
        parts = np.split(by_hand, range(2, by_hand.shape[axis], 2), axis)
        if kind == "max":
            by_hand = np.concatenate([part.max(axis, keepdims=True) for part in parts], axis)
    if kind == "max":
        np.testing.assert_allclose(own, by_hand)


def test_equal_maxima_give_the_gradient_to_the_first():
    x = tf.ones([1, 3, 3, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.max_pool2d(x, 2, 1, "VALID")
    assert tape.gradient(y, x).numpy()[0, :, :, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_infinite_cotangents_stay_where_they_belong():
    x = tf.reshape(tf.range(9.0), [1, 3, 3, 1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.max_pool2d(x, 2, 1, "VALID")
    g = tape.gradient(y, x, output_gradients=tf.fill([1, 2, 2, 1], np.inf)).numpy().ravel()
    assert g.tolist() == [0, 0, 0, 0, np.inf, np.inf, 0, np.inf, np.inf]


def test_padding_and_depth_and_dilation():
    x = -np.abs(rng.normal(size=(2, 5, 6, 6)))
    found = tf.nn.max_pool2d(x, [2, 3], 1, [[0, 0], [1, 0], [2, 1], [0, 0]])
    frame = np.pad(x, [(0, 0), (1, 0), (2, 1), (0, 0)], constant_values=-np.inf)
    np.testing.assert_allclose(found, sliding_window_view(frame, (2, 3), (1, 2)).max((-1, -2)))
    deep = tf.nn.max_pool2d(x, [1, 1, 1, 3], [1, 1, 1, 3], "VALID")
    np.testing.assert_allclose(deep, x.reshape(2, 5, 6, 2, 3).max(-1))
    holes = tf.nn.pool(x, [2, 2], "MAX", dilations=[2, 1])
    np.testing.assert_allclose(holes, np.stack([x[:, i : i + 3, j : j + 5] for i in (0, 2) for j in (0, 1)]).max(0))
    assert tf.nn.max_pool2d(tf.constant(rng.integers(0, 9, (1, 4, 4, 1)), tf.uint8), 2, 2, "VALID").dtype is tf.uint8
    assert tf.nn.max_pool2d(tf.zeros([0, 5, 6, 3]), 2, 2, "SAME").shape == (0, 3, 3, 3)


def test_morphology():
    x, w = rng.normal(size=(1, 5, 6, 2)), rng.normal(size=(2, 3, 2))
    one = [1, 1, 1, 1]
    taps = [x[:, i : i + 4, j : j + 4] + w[i, j] for i in range(2) for j in range(3)]
    np.testing.assert_allclose(tf.nn.dilation2d(x, w, one, "VALID", "NHWC", one), np.max(taps, 0))
    taps = [x[:, i : i + 4, j : j + 4] - w[1 - i, 2 - j] for i in range(2) for j in range(3)]
    np.testing.assert_allclose(tf.nn.erosion2d(x, w, one, "VALID", "NHWC", one), np.min(taps, 0))
    assert tf.nn.dilation2d(x, w, one, "SAME", "NHWC", one).shape == x.shape


INVALID = tf.errors.InvalidArgumentError


@pytest.mark.parametrize(
    "shape, ksize, strides, padding, error, text",
    [
        ((2, 5, 6, 3), 0, 1, "SAME", INVALID, "ksize must be positive"),
        ((2, 5, 6, 3), 2, 0, "SAME", INVALID, "Stride must be > 0"),
        ((2, 5, 6, 3), 9, 1, "VALID", INVALID, "output size would be negative: -3"),
        ((2, 5, 6, 3), [2, 2, 2], 1, "SAME", ValueError, "ksize should be of length 1, 2 or 4"),
        ((2, 5, 6, 3), [2, 1, 1, 1], 1, "SAME", tf.errors.UnimplementedError, "batch dimension"),
        ((2, 5, 6, 3), [1, 2, 2, 3], 1, "SAME", tf.errors.UnimplementedError, "exactly one of"),
        ((2, 5, 6, 3), 2, 1, "same", INVALID, "list of allowed values"),
        ((2, 5, 6, 3), 2, 1, [[1, 0], [0, 1]], ValueError, "must be of size 4"),
        ((2, 5, 6, 3), 2, 1, [[0, 0], [3, 0], [0, 1], [0, 0]], INVALID, "Top padding 3 needs to be smaller"),
        ((2, 5), 2, 1, "SAME", ValueError, "rank"),
    ],
)
def test_max_pool_refuses(shape, ksize, strides, padding, error, text):
    with pytest.raises(error, match=text):
        tf.nn.max_pool(tf.ones(shape), ksize, strides, padding)


def test_pool_refuses():
    x = tf.ones([2, 5, 6, 3])
    with pytest.raises(ValueError, match="2-D FOO pooling is not supported"):
        tf.nn.pool(x, [2, 2], "FOO")
    with pytest.raises(ValueError, match="not implemented for `dilation_rate` > 1"):
        tf.nn.pool(x, [2, 2], "MAX", dilations=[2, 2], padding="SAME")
    with pytest.raises(TypeError, match="Expected string for argument 'padding'"):
        tf.nn.avg_pool2d(x, 2, 1, [[0, 0], [1, 0], [0, 1], [0, 0]])
    with pytest.raises(INVALID, match="list of allowed values"):
        tf.nn.avg_pool2d(tf.ones([1, 4, 4, 1], tf.int32), 2, 2, "SAME")
