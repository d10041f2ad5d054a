"""Convolutions and pooling against the NumPy kernels in float64, every buffer between guard pages."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from native_checks import TYPES, run_kernel, same_bits_on_any_threads

import tapeflow as tf
from tapeflow.base import flags
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.compile.conv import Conv, emit_conv, emit_conv_input
from tapeflow.compile.conv_filter import emit_conv_filter
from tapeflow.compile.host import host
from tapeflow.compile.micro import slot
from tapeflow.compile.pooling import emit_max_pool, emit_max_pool_input, emit_mean_pool, emit_mean_pool_input
from tapeflow.core.primitive import P
from tapeflow.ops.window import geometry

EPSILON = {"float32": 2.0**-24, "float64": 2.0**-53}
rng = np.random.default_rng(5)


def sizes(images, spatial, window, channels, features, strides, dilations, padding, groups, dtype):
    out, pads = geometry("conv", spatial, window, strides, dilations, padding)
    before = tuple(first for first, _ in pads)
    return Conv(
        images, spatial, window, tuple(out), channels, features, TYPES[dtype], strides, dilations, before, groups
    )  # fmt: skip


def normal(shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def blank(shape, dtype):
    return np.full(shape, np.nan, dtype)


def close(result, exact, size, dtype, terms):
    """The error bound of a sum of `terms` products, of which `size` is the sum of the magnitudes."""
    assert result.shape == exact.shape
    error = np.abs(result.astype(float) - exact)
    assert (error <= (terms + 2) * EPSILON[dtype] * (size + 1e-300)).all(), error.max()


def wide(*arrays):
    return [tf.constant(array.astype(np.float64)) for array in arrays]


def check_conv(images, spatial, window, channels, features, strides, dilations, padding, groups, dtype, at_end=True):
    conv = sizes(images, spatial, window, channels, features, strides, dilations, padding, groups, dtype)
    attrs = {"strides": strides, "dilations": dilations, "padding": padding}
    x = normal((images, *spatial, channels), dtype)
    w = normal((*window, channels // groups, features), dtype)
    g = normal((images, *conv.out, features), dtype)
    first, second, third = ({"x": slot(0), "w": slot(1), "y": slot(2)}, {"g": slot(0), "w": slot(1), "dx": slot(2)},
                            {"x": slot(0), "g": slot(1), "dw": slot(2)})  # fmt: skip
    for name, emit, places, operands, shape, terms in (
        ("conv", emit_conv, first, (x, w), g.shape, x[0].size),
        ("conv_input", emit_conv_input, second, (g, w), x.shape, g[0].size),
        ("conv_filter", emit_conv_filter, third, (x, g), w.shape, g.size),
    ):
        extra = {} if name == "conv" else {"shape": shape}
        op = getattr(P, name)
        exact = op(*wide(*operands), **attrs, **extra).numpy()
        size = op(*wide(*map(np.abs, operands)), **attrs, **extra).numpy()
        result = run_kernel(
            lambda m, emit=emit, places=places: emit(m, conv, workspace=slot(3), **places),
            [*operands, blank(shape, dtype)], dtype, at_end,
        )[2]  # fmt: skip
        close(result, exact, size, dtype, terms)


CONVOLUTIONS = [
    (2, (7, 9), (3, 3), 5, 7, (1, 1), (1, 1), "SAME", 1),
    (2, (8, 8), (3, 3), 4, 20, (2, 2), (1, 1), "SAME", 1),
    (3, (11, 6), (2, 3), 4, 6, (1, 2), (2, 1), "VALID", 2),
    (2, (28, 28), (5, 5), 1, 32, (1, 1), (1, 1), "SAME", 1),
    (2, (7, 7), (3, 3), 32, 70, (1, 1), (1, 1), "SAME", 1),
    (2, (13,), (4,), 3, 5, (3,), (1,), "SAME", 1),
    (2, (5, 6, 7), (2, 3, 2), 3, 4, (1, 2, 1), (1, 1, 2), "SAME", 1),
    (2, (9, 8), (3, 3), 37, 37, (2, 1), (1, 1), "SAME", 37),
    (2, (9, 8), (1, 1), 8, 16, (2, 2), (1, 1), "VALID", 1),
    (1, (6, 6), (2, 2), 3, 4, (3, 3), (1, 1), "VALID", 1),
    (2, (6, 5), (3, 2), 2, 3, (1, 1), (1, 1), ((2, 0), (1, 3)), 1),
    (1, (1, 1), (3, 3), 2, 2, (1, 1), (1, 1), "SAME", 1),
    (17, (4, 4), (4, 4), 16, 33, (1, 1), (1, 1), "VALID", 1),
]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions_and_their_gradients(case, dtype, isa):
    for at_end in (True, False):
        check_conv(*case, dtype, at_end)


@pytest.mark.parametrize("level", ["", "avx2", "sse"])
@settings(max_examples=15, deadline=None)
@given(data=st.data(), rank=st.integers(1, 3), dtype=st.sampled_from(sorted(TYPES)), at_end=st.booleans())
def test_any_convolution(level, data, rank, dtype, at_end):
    if host().arch != "x86_64" and level:
        pytest.skip("no such instructions here")

    def ints(low, high):
        return data.draw(st.tuples(*[st.integers(low, high)] * rank))

    spatial, window, strides, dilations = ints(1, 9), ints(1, 4), ints(1, 3), ints(1, 2)
    padding = data.draw(st.sampled_from(["SAME", "VALID", tuple((i % 3, (i + 1) % 2) for i in range(rank))]))
    groups = data.draw(st.sampled_from([1, 1, 2, 3]))
    channels, features = groups * data.draw(st.integers(1, 20)), groups * data.draw(st.integers(1, 20))
    try:
        out, _ = geometry("conv", spatial, window, strides, dilations, padding)
    except InvalidArgumentError:
        assume(False)
    assume(min(out) > 0)
    with flags.using(TAPEFLOW_ISA=level):
        images = data.draw(st.integers(1, 3))
        check_conv(images, spatial, window, channels, features, strides, dilations, padding, groups, dtype, at_end)


@pytest.mark.parametrize("case", [CONVOLUTIONS[i] for i in (0, 1, 3, 7)], ids=str)
def test_the_same_bits_on_any_number_of_threads(case):
    dtype = "float32"
    conv = sizes(*case, dtype)
    x = normal((conv.images, *conv.spatial, conv.channels), dtype)
    w = normal((*conv.window, conv.channels // conv.groups, conv.features), dtype)
    g = normal((conv.images, *conv.out, conv.features), dtype)
    for emit, buffers in (
        (lambda m: emit_conv(m, conv, x=slot(0), w=slot(1), y=slot(2), workspace=slot(3)), [x, w, g]),
        (lambda m: emit_conv_input(m, conv, g=slot(0), w=slot(1), dx=slot(2), workspace=slot(3)), [g, w, x]),
        (lambda m: emit_conv_filter(m, conv, x=slot(0), g=slot(1), dw=slot(2), workspace=slot(3)), [x, g, w]),
    ):
        same_bits_on_any_threads(emit, buffers, dtype)


POOLINGS = [
    (2, (8, 8), (2, 2), 5, (2, 2), (1, 1), "VALID"),
    (2, (9, 7), (3, 3), 20, (2, 2), (1, 1), "SAME"),
    (3, (11, 6), (2, 3), 4, (1, 2), (2, 1), "SAME"),
    (2, (28, 28), (2, 2), 32, (2, 2), (1, 1), "SAME"),
    (2, (13,), (4,), 3, (3,), (1,), "SAME"),
    (2, (5, 6, 7), (2, 3, 2), 3, (1, 2, 1), (1, 1, 1), "SAME"),
    (2, (7, 7), (7, 7), 18, (1, 1), (1, 1), "VALID"),
    (2, (10, 10), (2, 2), 18, (3, 3), (1, 1), "VALID"),
]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("case", POOLINGS, ids=str)
def test_pooling_and_its_gradients(case, dtype, isa):
    images, spatial, window, channels, strides, dilations, padding = case
    conv = sizes(images, spatial, window, channels, channels, strides, dilations, padding, channels, dtype)
    attrs = {"ksize": window, "strides": strides, "dilations": dilations, "padding": padding}
    x = np.round(normal((images, *spatial, channels), dtype), 1)  # with equal elements in a window
    g = normal((images, *conv.out, channels), dtype)
    y = P.max_pool(tf.constant(x), **attrs).numpy()
    at = {"g": slot(0), "x": slot(1), "y": slot(2), "dx": slot(3)}
    cases = (
        (lambda m: emit_max_pool(m, conv, x=slot(0), y=slot(1)), [x], y),
        (lambda m: emit_mean_pool(m, conv, x=slot(0), y=slot(1)), [x], P.avg_pool(*wide(x), **attrs).numpy()),
        (
            lambda m: emit_mean_pool_input(m, conv, g=slot(0), dx=slot(1), workspace=slot(2)),
            [g],
            P.avg_pool_grad(*wide(g), shape=x.shape, **attrs).numpy(),
        ),
        (
            lambda m: emit_max_pool_input(m, conv, first_only=len(spatial) < 3, **at),
            [g, x, y],
            P.max_pool_grad(*wide(g, x, y), **attrs).numpy(),
        ),
    )
    for at_end in (True, False):
        for emit, buffers, exact in cases:
            result = run_kernel(emit, [*buffers, blank(exact.shape, dtype)], dtype, at_end)[-1]
            close(result, exact, np.abs(exact) + 10, dtype, np.prod(window))


def test_pooling_of_nan_and_infinities():
    x = np.array([[1, np.nan, 3, -np.inf, -np.inf, np.inf, 2, 5]], np.float32).reshape(1, 8, 1)
    conv = sizes(1, (8,), (2,), 1, 1, (2,), (1,), "VALID", 1, "float32")
    result = run_kernel(lambda m: emit_max_pool(m, conv, x=slot(0), y=slot(1)), [x, blank((1, 4, 1), "f4")], "f4")[1]
    np.testing.assert_array_equal(result.ravel(), [np.nan, 3, np.inf, 5])
