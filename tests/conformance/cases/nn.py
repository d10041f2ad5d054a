"""Convolution, pooling, normalization and losses."""

from calls import FLOATS, INEXACT, REALS, WIDE, Case, array, axis_of, call, pick, shapes, spread
from hypothesis import strategies as st


def conv(rank, transpose=False):
    def build(draw):
        dtype = pick(draw, *WIDE, "float16", "bfloat16")
        space = [draw(st.integers(3, 6)) for _ in range(rank)]
        window = [draw(st.integers(1, 3)) for _ in range(rank)]
        x = spread(draw, dtype, (draw(st.integers(1, 2)), *space, 2))
        strides = pick(draw, 1, 2, [1] * rank, [2] * rank)
        padding = pick(draw, "SAME", "VALID")
        kwargs = {"dilations": pick(draw, 1, 2)} if strides in (1, [1] * rank) and draw(st.booleans()) else {}
        return call(f"tf.nn.conv{rank}d", x, spread(draw, dtype, (*window, 2, 3)), strides, padding, order=2, **kwargs)

    return build


def conv_transpose(draw):
    dtype = pick(draw, *WIDE)
    stride, padding = draw(st.integers(1, 2)), pick(draw, "SAME", "VALID")
    size = 3 * stride if padding == "SAME" else 3 * stride + max(3 - stride, 0)
    x, w = spread(draw, dtype, (2, 3, 3, 2)), spread(draw, dtype, (3, 3, 4, 2))
    return call("tf.nn.conv2d_transpose", x, w, [2, size, size, 4], stride, padding)


def depthwise(draw):
    dtype = pick(draw, *WIDE)
    x, w = spread(draw, dtype, (2, 5, 6, 3)), spread(draw, dtype, (2, 3, 3, 2))
    return call("tf.nn.depthwise_conv2d", x, w, [1, 1, 1, 1], pick(draw, "SAME", "VALID"))


def separable(draw):
    x, d, p = (spread(draw, "float32", shape) for shape in ((1, 5, 6, 3), (2, 2, 3, 2), (1, 1, 6, 4)))
    return call("tf.nn.separable_conv2d", x, d, p, [1, 1, 1, 1], pick(draw, "SAME", "VALID"))


def pool(name, rank):
    def build(draw):
        x = spread(draw, pick(draw, *WIDE, "float16"), (2, *[draw(st.integers(3, 6)) for _ in range(rank)], 2))
        return call(name, x, pick(draw, 2, 3, [2] * rank), pick(draw, 1, 2, [2] * rank), pick(draw, "SAME", "VALID"))

    return build


def general_pool(draw):
    x = spread(draw, "float32", (2, 5, 6, 2))
    kwargs = {"padding": pick(draw, "SAME", "VALID"), "pooling_type": pick(draw, "MAX", "AVG")}
    return call("tf.nn.pool", x, [2, 3], strides=pick(draw, [1, 1], [2, 1]), **kwargs)


def argmax_pool(draw):
    x = spread(draw, "float32", (2, 4, 5, 2))
    return call(
        "tf.nn.max_pool_with_argmax", x, 2, 2, pick(draw, "SAME", "VALID"), include_batch_in_index=draw(st.booleans())
    )


def dilation(draw):
    x, w = spread(draw, "float32", (1, 5, 6, 3)), spread(draw, "float32", (2, 2, 3))
    return call("tf.nn.dilation2d", x, w, [1, 1, 1, 1], pick(draw, "SAME", "VALID"), "NHWC", [1, 1, 1, 1])


def on_axis(name, dtypes=FLOATS):
    def build(draw):
        shape = draw(shapes(3, 1))
        x = spread(draw, pick(draw, *dtypes), shape, 2.0)
        kwargs = {"axis": axis_of(draw, len(shape), none=False)} if draw(st.booleans()) else {}
        return call(name, x, order=2, **kwargs)

    return build


def two(name, integers=False):
    """A loss of labels and logits of one shape."""

    def build(draw):
        dtype, shape = pick(draw, *FLOATS), draw(shapes(2, 1))
        keys = ("log_input", "targets") if "poisson" in name else ("logits", "labels")
        kwargs = dict(zip(keys, (spread(draw, dtype, shape), spread(draw, dtype, shape)), strict=True))
        if "poisson" in name:
            kwargs["compute_full_loss"] = draw(st.booleans())
        if "weighted" in name:
            kwargs["pos_weight"] = 2.5
        return call(name, order=2, **dict(reversed(kwargs.items())))

    return build


def sparse_loss(draw):
    n = draw(st.integers(1, 4))
    labels = array(draw, pick(draw, "int32", "int64"), (n,), special=False, positive=True)
    labels.value %= 5
    if draw(st.integers(0, 6)) == 0:
        labels.value[0] = 7
    return call(
        "tf.nn.sparse_softmax_cross_entropy_with_logits",
        labels=labels,
        logits=spread(draw, pick(draw, *FLOATS), (n, 5)),
        order=2,
    )


def bias_add(draw):
    dtype, shape = pick(draw, *INEXACT, "int32"), draw(shapes(4, 2))
    kwargs = {"data_format": pick(draw, "NHWC", "N...C", "NCHW", "NC..")} if draw(st.booleans()) else {}
    channel = shape[1] if kwargs.get("data_format", "N...C").startswith("NC") else shape[-1]
    return call("tf.nn.bias_add", spread(draw, dtype, shape), spread(draw, dtype, (channel,)), order=2, **kwargs)


def batch_normalization(draw):
    dtype = pick(draw, *WIDE)
    parts = [spread(draw, dtype, (3,)) if draw(st.booleans()) else None for _ in range(2)]
    variance = spread(draw, dtype, (3,))
    variance.value[...] = abs(variance.value) + 0.5
    return call(
        "tf.nn.batch_normalization", spread(draw, dtype, (2, 3)), spread(draw, dtype, (3,)), variance, *parts, 1e-3, order=2
    )


def moments(draw):
    shape = draw(shapes(3, 1, empty=False))
    axes = draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1))
    return call("tf.nn.moments", spread(draw, pick(draw, *FLOATS), shape), axes, keepdims=draw(st.booleans()), order=2)


def simple(name, dtypes=FLOATS, rank=0, **options):
    def build(draw):
        kwargs = {key: pick(draw, *values) for key, values in options.items() if draw(st.booleans())}
        return call(name, spread(draw, pick(draw, *dtypes), draw(shapes(4, rank))), order=2, **kwargs)

    return build


def lrn(draw):
    return call(
        "tf.nn.local_response_normalization",
        spread(draw, "float32", (2, 3, 2, 5)),
        pick(draw, 1, 5),
        1.0,
        0.5,
        pick(draw, 0.5, 0.75),
    )


CASES = [
    Case("tf.nn.conv1d", conv(1), "norm", 32),
    Case("tf.nn.conv2d", conv(2), "norm", 64, share=2),
    Case("tf.nn.conv3d", conv(3), "norm", 64, share=0.5),
    Case("tf.nn.conv2d_transpose", conv_transpose, "norm", 64),
    Case("tf.nn.depthwise_conv2d", depthwise, "norm", 64),
    Case("tf.nn.separable_conv2d", separable, "norm", 64),
    Case("tf.nn.max_pool1d", pool("tf.nn.max_pool1d", 1), "norm"),
    Case("tf.nn.max_pool2d", pool("tf.nn.max_pool2d", 2), "norm"),
    Case("tf.nn.max_pool3d", pool("tf.nn.max_pool3d", 3), "norm", share=0.5),
    Case("tf.nn.avg_pool1d", pool("tf.nn.avg_pool1d", 1), "norm"),
    Case("tf.nn.avg_pool2d", pool("tf.nn.avg_pool2d", 2), "norm"),
    Case("tf.nn.avg_pool3d", pool("tf.nn.avg_pool3d", 3), "norm", share=0.5),
    Case("tf.nn.pool", general_pool, "norm"),
    Case("tf.nn.max_pool_with_argmax", argmax_pool, "norm"),
    Case("tf.nn.dilation2d", dilation, "norm"),
    Case("tf.nn.softmax", on_axis("tf.nn.softmax"), "norm", 16),
    Case("tf.nn.log_softmax", on_axis("tf.nn.log_softmax"), "norm", 16),
    Case("tf.nn.crelu", on_axis("tf.nn.crelu", WIDE), "norm"),
    Case("tf.nn.softmax_cross_entropy_with_logits", two("tf.nn.softmax_cross_entropy_with_logits"), "norm", 32),
    Case("tf.nn.sigmoid_cross_entropy_with_logits", two("tf.nn.sigmoid_cross_entropy_with_logits"), "norm", 32),
    Case("tf.nn.weighted_cross_entropy_with_logits", two("tf.nn.weighted_cross_entropy_with_logits"), "norm", 128),
    Case("tf.nn.log_poisson_loss", two("tf.nn.log_poisson_loss"), "norm", 32),
    Case("tf.nn.sparse_softmax_cross_entropy_with_logits", sparse_loss, "norm", 32),
    Case("tf.nn.bias_add", bias_add, "norm"),
    Case("tf.nn.batch_normalization", batch_normalization, "norm", 32),
    Case("tf.nn.moments", moments, "norm", 32),
    Case("tf.nn.l2_loss", simple("tf.nn.l2_loss"), "norm", 32),
    Case("tf.nn.leaky_relu alpha", simple("tf.nn.leaky_relu", alpha=(0.1, 0.5, 0)), "norm"),
    Case("tf.nn.gelu approximate", simple("tf.nn.gelu", ("float32",), approximate=(True, False)), "norm", 32),
    Case("tf.nn.silu beta", simple("tf.nn.silu", beta=(1.0, 0.5)), "norm", 32),
    Case("tf.nn.zero_fraction", simple("tf.nn.zero_fraction", REALS), "norm"),
    Case("tf.nn.local_response_normalization", lrn, "norm", 64),
]
