"""Convolutions of [batch, *spatial, channels] and the gradient of their input, as correlations.

The gradient of the input is the same correlation: of the output's gradient with the turned filter. With strides, the input's
pixels fall into classes (even and odd ones for a stride of 2) that each meet some taps of the filter alone; each class is an
ordinary correlation without strides, and no zero is multiplied.
"""

import itertools
import math
from dataclasses import dataclass

from tapeflow.compile.correlate import Axis, Correlation, emit_correlations
from tapeflow.compile.micro import store_tile
from tapeflow.compile.text import Type


@dataclass(frozen=True)
class Conv:
    """A convolution's sizes.

    Args:
        images: the length of the batch.
        spatial: the input's sizes of the spatial axes, one to three.
        window: the filter's.
        out: the output's.
        channels, features: of input and output, all groups together.
        element: the `Type` of an element.
        strides, dilations: for each spatial axis.
        before: zeros before the input, for each spatial axis.
        groups: channels and features fall into so many groups that do not meet.
    """

    images: int
    spatial: tuple
    window: tuple
    out: tuple
    channels: int
    features: int
    element: Type
    strides: tuple
    dilations: tuple
    before: tuple
    groups: int = 1

    @property
    def depthwise(self):
        """Whether each channel has a filter of its own and gives one feature."""
        return self.groups == self.channels == self.features


def forward_axis(conv, i):
    """The axis of the convolution itself."""
    return Axis(
        conv.out[i], 0, 1, conv.window[i], 0, 1, -conv.before[i], conv.strides[i], conv.dilations[i], conv.spatial[i]
    )  # fmt: skip


def input_axes(conv, i):
    """The axes of the input's gradient, one for each class of input places: place = rest + stride t.

    Input place p meets tap k at output (p + before - dilation k) / stride, where that is whole.
    """
    stride, dilation = conv.strides[i], conv.dilations[i]
    common = math.gcd(stride, dilation)
    for rest in range(min(stride, conv.spatial[i])):
        count = -(-(conv.spatial[i] - rest) // stride)
        taps = [k for k in range(conv.window[i]) if (rest + conv.before[i] - dilation * k) % stride == 0]
        if not taps:
            yield Axis(count, rest, stride, 0, 0, 1, 0, 1, 1, conv.out[i])
            continue
        reach = dilation // common
        first = (rest + conv.before[i] - dilation * taps[-1]) // stride
        step = -(stride // common)  # backwards, so that the source is read forwards
        yield Axis(count, rest, stride, len(taps), taps[-1], step, first, 1, reach, conv.out[i])


def _filter_steps(conv):
    """Bytes in the filter [*window, channels of a group, features] from tap to tap."""
    size = conv.element.bytes * conv.channels // conv.groups * conv.features
    return tuple(size * math.prod(conv.window[i + 1 :]) for i in range(len(conv.window)))


def forward(conv):
    """The `Correlation` of the convolution itself."""
    size = conv.element.bytes
    inner, outer = conv.channels // conv.groups, conv.features // conv.groups
    axes = tuple(forward_axis(conv, i) for i in range(len(conv.window)))
    return Correlation(
        conv.images, axes, inner, outer, conv.groups, conv.element, conv.channels * size, conv.out,
        _filter_steps(conv), conv.features * size, size, outer * size,
    )  # fmt: skip


def backward(conv):
    """The `Correlation`s of the input's gradient, which together write all of it."""
    size = conv.element.bytes
    inner, outer = conv.features // conv.groups, conv.channels // conv.groups
    for axes in itertools.product(*[tuple(input_axes(conv, i)) for i in range(len(conv.window))]):
        yield Correlation(
            conv.images, axes, inner, outer, conv.groups, conv.element, conv.features * size, conv.spatial,
            _filter_steps(conv), size, conv.features * size, inner * size,
        )  # fmt: skip


def emit_conv(module, conv, *, x, w, y, workspace=None, epilogue=store_tile, name="conv"):
    """Write a convolution: y [images, *out, features] of x [images, *spatial, channels] and w [*window, channels / groups,
    features].

    Args and result: as `emit_matmul`; a row is an output pixel, counted through the images, a column a feature.
    """
    return emit_correlations(module, [forward(conv)], x, w, y, workspace, epilogue, name, conv.depthwise)


def emit_conv_input(module, conv, *, g, w, dx, workspace=None, epilogue=store_tile, name="conv_input"):
    """Write the gradient of a convolution's input from g, the gradient of its output; a row is an input pixel."""
    return emit_correlations(module, list(backward(conv)), g, w, dx, workspace, epilogue, name, conv.depthwise)
