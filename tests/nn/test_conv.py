"""Convolutions against plain sums over windows, their transposes against the adjoint identity, and TensorFlow's errors."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

rng = np.random.default_rng(2)


def random(*shape):
    return rng.normal(size=shape)


def pads(sizes, kernel, strides, dilations, padding):
    """(before, after) for each spatial axis."""
    if padding == "VALID":
        return [(0, 0)] * len(sizes)
    if padding != "SAME":
        return padding
    found = []
    for n, k, s, d in zip(sizes, kernel, strides, dilations, strict=True):
        total = max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0)
        found.append((total // 2, total - total // 2))
    return found


def plain(x, w, strides, dilations, padding):
    """Convolution as its definition says: a sum for every pixel, with as many groups as the channels ask for."""
    kernel = w.shape[:-2]
    x = np.pad(x, [(0, 0), *pads(x.shape[1:-1], kernel, strides, dilations, padding), (0, 0)])
    groups = x.shape[-1] // w.shape[-2]
    out = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], kernel, strides, dilations, strict=True)]
    y = np.zeros((len(x), *out, w.shape[-1]))
    for place in itertools.product(*map(range, out)):
        for tap in itertools.product(*map(range, kernel)):
            pixel = x[(slice(None), *[p * s + t * d for p, s, t, d in zip(place, strides, tap, dilations, strict=True)])]
            for part in range(groups):
                features = slice(part * w.shape[-1] // groups, (part + 1) * w.shape[-1] // groups)
                channels = slice(part * w.shape[-2], (part + 1) * w.shape[-2])
                y[(slice(None), *place, features)] += pixel[:, channels] @ w[tap][:, features]
    return y


@st.composite
def cases(draw):
    rank = draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(4, 6), min_size=rank, max_size=rank))
    kernel = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    steps = draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank))
    holes = [1] * rank if max(steps) > 1 else draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank))
    groups, depth, features = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding = draw(st.sampled_from(["SAME", "VALID", [(1, 0)] * rank]))
    if padding == "VALID":
        kernel = [min(k, (n - 1) // d + 1) for k, n, d in zip(kernel, sizes, holes, strict=True)]
    return (2, *sizes, groups * depth), (*kernel, depth, groups * features), steps, holes, padding


@settings(max_examples=60, deadline=None)
@given(cases())
def test_convolution_is_its_definition(case):
    x_shape, w_shape, strides, dilations, padding = case
    x, w = random(*x_shape), random(*w_shape)
    full = padding if isinstance(padding, str) else [[0, 0], *map(list, padding), [0, 0]]
    found = tf.nn.convolution(x, w, strides, full, dilations=dilations)
    np.testing.assert_allclose(found, plain(x, w, strides, dilations, padding), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_gradients_are_adjoint(case):
    """<conv(x, w), g> = <x, dx> = <w, dw>, as convolution is linear in each."""
    x_shape, w_shape, strides, dilations, padding = case
    x, w = tf.constant(random(*x_shape)), tf.constant(random(*w_shape))
    full = padding if isinstance(padding, str) else [[0, 0], *map(list, padding), [0, 0]]
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = tf.nn.convolution(x, w, strides, full, dilations=dilations)
    g = random(*y.shape)
    dx, dw = tape.gradient(y, [x, w], output_gradients=tf.constant(g))
    expected = np.sum(y.numpy() * g)
    np.testing.assert_allclose([np.sum(x.numpy() * dx.numpy()), np.sum(w.numpy() * dw.numpy())], expected, atol=1e-9)


def test_large_images_are_cut_into_blocks():
    x, w = random(3, 70, 40, 24), random(3, 3, 24, 5)
    np.testing.assert_allclose(
        tf.nn.conv2d(x, w, 1, "SAME")[1, 20:23, 7], plain(x[1:2, 18:25], w, (1, 1), (1, 1), "VALID")[0, 1:4, 6]
    )


def test_channels_first_is_a_transpose():
    x, w = random(2, 5, 6, 3), random(3, 2, 3, 4)
    last = tf.nn.conv2d(x, w, [1, 2, 1, 1], [[0, 0], [1, 0], [0, 2], [0, 0]])
    first = tf.nn.conv2d(x.transpose(0, 3, 1, 2), w, [1, 1, 2, 1], [[0, 0], [0, 0], [1, 0], [0, 2]], data_format="NCHW")
    np.testing.assert_allclose(first.numpy().transpose(0, 2, 3, 1), last)
    up = tf.nn.conv2d_transpose(random(2, 4, 5, 6), random(3, 3, 7, 4), [2, 7, 10, 12], 2, data_format="NCHW")
    assert up.shape == (2, 7, 10, 12)


def test_more_batch_axes():
    x, w = random(7, 2, 5, 6, 3), random(3, 3, 3, 4)
    found = tf.nn.conv2d(x, w, 1, "SAME")
    np.testing.assert_allclose(found[3], tf.nn.conv2d(x[3], w, 1, "SAME"))
    np.testing.assert_allclose(tf.nn.conv1d(x[0], w[0], 1, "SAME")[1], tf.nn.conv1d(x[0, 1], w[0], 1, "SAME"))


def test_depthwise_and_separable():
    x, w, point = random(2, 5, 6, 3), random(3, 3, 3, 2), random(1, 1, 6, 4)
    found = tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME")
    for channel in range(3):
        own = plain(x[..., channel : channel + 1], w[:, :, channel : channel + 1], (1, 1), (1, 1), "SAME")
        np.testing.assert_allclose(found[..., 2 * channel : 2 * channel + 2], own, atol=1e-12)
    mixed = tf.nn.separable_conv2d(x, w, point, [1, 1, 1, 1], "SAME")
    np.testing.assert_allclose(mixed, found.numpy() @ point[0, 0], atol=1e-12)


def test_transposes_and_gradients_by_name():
    x, w, g = random(2, 7, 6, 3), random(3, 3, 3, 4), random(2, 4, 3, 4)
    y = plain(x, w, (2, 2), (1, 1), "SAME")
    dx = tf.nn.conv2d_transpose(g, w, [2, 7, 6, 3], 2)
    np.testing.assert_allclose(np.sum(dx.numpy() * x), np.sum(y * g))
    np.testing.assert_allclose(tf.nn.conv_transpose(g, w, [2, 7, 6, 3], [2, 2]), dx)
    v1 = tf.compat.v1.nn
    np.testing.assert_allclose(v1.conv2d_backprop_input([2, 7, 6, 3], w, g, [1, 2, 2, 1], "SAME"), dx)
    dw = v1.conv2d_backprop_filter(x, [3, 3, 3, 4], g, [1, 2, 2, 1], "SAME")
    np.testing.assert_allclose(np.sum(dw.numpy() * w), np.sum(y * g))
    deep, gd = random(3, 3, 3, 2), random(2, 4, 3, 6)
    yd = tf.nn.depthwise_conv2d(x, deep, [1, 2, 2, 1], "SAME").numpy()
    dxd = tf.nn.depthwise_conv2d_backprop_input([2, 7, 6, 3], deep, gd, [1, 2, 2, 1], "SAME")
    dwd = tf.nn.depthwise_conv2d_backprop_filter(x, [3, 3, 3, 2], gd, [1, 2, 2, 1], "SAME")
    np.testing.assert_allclose([np.sum(dxd.numpy() * x), np.sum(dwd.numpy() * deep)], np.sum(yd * gd))
    holes = tf.nn.atrous_conv2d(x, w, 2, "VALID")
    np.testing.assert_allclose(holes, plain(x, w, (1, 1), (2, 2), "VALID"), atol=1e-12)


def test_dtypes():
    x, w = rng.integers(-5, 5, (2, 5, 5, 3)), rng.integers(-5, 5, (3, 3, 3, 4))
    expected = plain(x, w, (1, 1), (1, 1), "SAME")
    for dtype in (tf.int32, tf.float16, tf.bfloat16, tf.float64):
        found = tf.nn.conv2d(tf.cast(x, dtype), tf.cast(w, dtype), 1, "SAME")
        assert found.dtype is dtype
        np.testing.assert_allclose(np.asarray(found).astype(float), expected, rtol=1e-2)
    assert tf.nn.conv2d(tf.zeros([0, 5, 6, 3]), tf.zeros([3, 3, 3, 4]), 1, "VALID").shape == (0, 3, 4, 4)


INVALID = tf.errors.InvalidArgumentError


@pytest.mark.parametrize(
    "x, w, options, error, text",
    [
        ((2, 5, 6, 3), (3, 3, 2, 4), {}, INVALID, "evenly divisible by filter depth: 3 vs 2"),
        ((2, 5, 6, 4), (3, 3, 2, 3), {}, INVALID, "divisible by number of groups: 3 vs 2"),
        ((2, 5, 6, 3), (7, 7, 3, 4), {"padding": "VALID"}, INVALID, "output size would be negative: -1"),
        ((2, 5, 6, 3), (3, 3, 3, 4), {"strides": 0}, INVALID, "Stride must be > 0, but got 0"),
        ((2, 5, 6, 3), (3, 3, 3, 4), {"strides": [1, 2, 2]}, ValueError, "length 1, 2 or 4"),
        ((2, 5, 6, 3), (3, 3, 3, 4), {"strides": [2, 1, 1, 1]}, tf.errors.UnimplementedError, "batch and depth"),
        ((2, 5, 6, 3), (3, 3, 3, 4), {"padding": "same"}, INVALID, "list of allowed values"),
        ((2, 5, 6, 3), (3, 3, 3, 4), {"padding": [[1, 2], [3, 0]]}, ValueError, "must be of size 4"),
        ((2, 5, 6, 3), (3, 3, 3, 4), {"data_format": "foo"}, INVALID, "data_format"),
        ((2, 5, 6, 3), (3, 3, 4), {}, INVALID, "filter must be 4-dimensional"),
        ((2, 5, 6, 3), (3, 3, 3, 0), {}, INVALID, "must not have zero elements"),
        ((5, 6, 3), (3, 3, 3, 4), {}, INVALID, "input must be at least 4-dimensional"),
    ],
)
def test_conv2d_refuses(x, w, options, error, text):
    with pytest.raises(error, match=text):
        tf.nn.conv2d(tf.ones(x), tf.ones(w), **{"strides": 1, "padding": "SAME", **options})


def test_other_refusals():
    x, w = tf.ones([2, 5, 6, 3]), tf.ones([3, 3, 3, 4])
    with pytest.raises(ValueError, match="not supported in conjunction"):
        tf.nn.convolution(x, w, strides=2, padding="SAME", dilations=2)
    with pytest.raises(INVALID, match=r"need an input of shape \[2, 6, 6, 4\]"):
        tf.nn.conv2d_transpose(tf.ones([2, 5, 6, 4]), w, [2, 11, 12, 3], 2)
    with pytest.raises(ValueError, match="Dimensions 2 and 1"):
        tf.nn.separable_conv2d(x, tf.ones([3, 3, 3, 2]), tf.ones([1, 2, 6, 4]), [1, 1, 1, 1], "SAME")
    with pytest.raises(ValueError, match="`num_spatial_dims`"):
        tf.nn.convolution(tf.ones([5, 3]), tf.ones([3, 4]))
