"""Convolution over any number of spatial axes, channels last, and its two transposes: each is linear in each input.

x is [batch, *spatial, channels], w [*kernel, channels / groups, features], g like the result [batch, *out, features];
the number of groups follows from the channels. Each of the three ops is the gradient of the others, so they close
under differentiation.
"""

import math

import numpy as np

from tapeflow.base.dtypes import int32
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS, sample
from tapeflow.ops.movement import dims_of
from tapeflow.ops.nn import widened
from tapeflow.ops.window import blocks, geometry, inside, padded, source_rows, spatial_size, taps, windows, with_batch


def _groups(name, channels, w_shape):
    """The number of groups; raises where channels and features cannot be divided into them."""
    depth, features = w_shape[-2:]
    if 0 in w_shape:
        raise invalid(
            name, f"filter must not have zero elements (i.e. all dimensions must be non-zero), got {list(w_shape)}"
        )
    if channels is None or depth is None:
        return None
    if channels % depth:
        raise invalid(name, f"input depth must be evenly divisible by filter depth: {channels} vs {depth}")
    groups = channels // depth
    if features is not None and features % max(groups, 1):
        raise invalid(name, f"output depth must be evenly divisible by number of groups: {features} vs {groups}")
    return groups


def _check_ranks(name, x_shape, w_shape):
    rank = len(x_shape)
    if len(w_shape) != rank:
        raise invalid(name, f"filter must be {rank}-dimensional: {list(w_shape)} (the input is {list(x_shape)})")
    if rank < 3:
        raise invalid(name, f"input must have a batch axis, spatial axes and channels, got shape {list(x_shape)}")


def _by_group(groups, x, w, g):
    """The parts of the operands (None stays) that belong to each group."""
    for i in range(groups):
        yield tuple(
            [
                None if part is None else part[..., i * (part.shape[-1] // groups) : (i + 1) * (part.shape[-1] // groups)]
                for part in (x, w, g)
            ]
        )


# Forward


def _conv_kernel(x, w, *, strides, dilations, padding):
    name = f"Conv{w.ndim - 2}D"
    _check_ranks(name, x.shape, w.shape)
    kernel = w.shape[:-2]
    groups = _groups(name, x.shape[-1], w.shape)
    out, pads = geometry(name, x.shape[1:-1], kernel, strides, dilations, padding)
    wide_x, wide_w = widened(x), widened(w)
    result = np.empty((x.shape[0], *out, w.shape[-1]), wide_x.dtype)
    if not result.size:
        return result.astype(x.dtype)
    if groups > 1 and w.shape[-2] == 1:
        _depthwise(wide_x, wide_w, result, kernel, strides, dilations, pads)
    elif groups > 1:
        for part, weights, target in _by_group(groups, wide_x, wide_w, result):
            _dense(part, weights, target, kernel, strides, dilations, pads)
    else:
        _dense(wide_x, wide_w, result, kernel, strides, dilations, pads)
    return result.astype(x.dtype, copy=False)


def _dense(x, w, result, kernel, strides, dilations, pads):
    """Copy windows to rows of a matrix, a block at a time, and multiply it with the weights."""
    out, (depth, features) = result.shape[1:-1], w.shape[-2:]
    matrix = w.reshape(-1, features)
    source = padded(x, pads)
    if spatial_size(kernel) == 1:
        steps = (slice(None), *[slice(None, (n - 1) * s + 1, s) for n, s in zip(out, strides, strict=True)])
        result[...] = np.matmul(source[steps].reshape(-1, depth), matrix).reshape(result.shape)
        return
    for images, rows in blocks(len(x), out[0], math.prod(out[1:]) * matrix.shape[0] * x.itemsize):
        columns = _columns(source, images, rows, kernel, strides, dilations, out)
        result[images, rows] = np.matmul(columns, matrix).reshape(result[images, rows].shape)


def _columns(source, images, rows, kernel, strides, dilations, out):
    """A matrix with a row for each window of a block: [images * rows * ..., kernel * channels]."""
    shape = (rows.stop - rows.start, *out[1:])
    block = source[images, source_rows(rows, kernel, strides, dilations)]
    if not block.flags.c_contiguous:
        block = np.ascontiguousarray(block)
    count, channels = images.stop - images.start, source.shape[-1]
    if channels < 4:
        # Few channels: a row of windows, element by element, makes longer runs to copy than window by window.
        columns = np.empty((count, *shape, *kernel, channels), source.dtype)
        lead = (slice(None),) * (1 + len(shape))
        for tap, index in taps(kernel, strides, dilations, shape):
            for channel in range(channels):
                columns[(*lead, *tap, channel)] = block[(*index, channel)]
    else:
        columns = windows(block, kernel, strides, dilations, shape)
    return columns.reshape(count * math.prod(shape), spatial_size(kernel) * channels)


def _depthwise(x, w, result, kernel, strides, dilations, pads):
    """One channel a group: no matrix product, but a sum of shifted images, each scaled by its tap."""
    channels = x.shape[-1]
    source = padded(x, pads)
    weights = w.reshape(*kernel, channels, -1)
    target = result.reshape(*result.shape[:-1], channels, -1)
    out = result.shape[1:-1]
    for images, _ in blocks(len(x), 1, result[0].nbytes * 4):
        part, block = target[images], source[images]
        product = np.empty_like(part)
        for number, (tap, index) in enumerate(taps(kernel, strides, dilations, out)):
            np.multiply(block[index][..., None], weights[tap], out=product if number else part)
            if number:
                part += product


def _conv_infer(x, w, *, strides, dilations, padding):
    if x.shape is None or w.shape is None:
        return Spec(None if x.shape is None else (x.shape[0], *(None,) * (len(x.shape) - 1)), x.dtype)
    name = f"Conv{len(w.shape) - 2}D"
    _check_ranks(name, x.shape, w.shape)
    _groups(name, x.shape[-1], w.shape)
    out, _ = geometry(name, x.shape[1:-1], w.shape[:-2], strides, dilations, padding)
    return Spec((x.shape[0], *out, w.shape[-1]), x.dtype)


# The gradient in the input


def _input_kernel(g, w, *, shape, strides, dilations, padding):
    shape = tuple(shape)
    _check_ranks("ConvBackpropInput", shape, w.shape)
    kernel = w.shape[:-2]
    groups = _groups("ConvBackpropInput", shape[-1], w.shape)
    out, pads = geometry("ConvBackpropInput", shape[1:-1], kernel, strides, dilations, padding)
    if g.shape != (shape[0], *out, w.shape[-1]):
        raise ValueError(g.shape)
    wide_g, wide_w = widened(g), widened(w)
    spatial = [n + a + b for n, (a, b) in zip(shape[1:-1], pads, strict=True)]
    result = np.zeros((shape[0], *spatial, shape[-1]), wide_g.dtype)
    if g.size:
        if groups > 1 and w.shape[-2] == 1:
            _depthwise_input(wide_g, wide_w, result, kernel, strides, dilations)
        elif groups > 1:
            for target, weights, part in _by_group(groups, result, wide_w, wide_g):
                _dense_input(part, weights, target, kernel, strides, dilations)
        else:
            _dense_input(wide_g, wide_w, result, kernel, strides, dilations)
    result = result[inside(pads, shape[1:-1])]
    return np.ascontiguousarray(result.astype(g.dtype, copy=False))


def _dense_input(g, w, result, kernel, strides, dilations):
    """Multiply with the transposed weights, and add what each window gets back to where it was read."""
    features = w.shape[-1]
    matrix = np.ascontiguousarray(w.reshape(-1, features).T)
    out = g.shape[1:-1]
    for images, rows in blocks(len(g), out[0], math.prod(out[1:]) * matrix.shape[1] * g.itemsize):
        part = g[images, rows]
        columns = np.matmul(part.reshape(-1, features), matrix).reshape(*part.shape[:-1], *kernel, -1)
        target = result[images, source_rows(rows, kernel, strides, dilations)]
        lead = (slice(None),) * (part.ndim - 1)
        channels = range(target.shape[-1]) if target.shape[-1] < 4 else (slice(None),)  # see `_columns`
        for tap, index in taps(kernel, strides, dilations, part.shape[1:-1]):
            for channel in channels:
                target[(*index, channel)] += columns[(*lead, *tap, channel)]


def _depthwise_input(g, w, result, kernel, strides, dilations):
    channels = result.shape[-1]
    weights = w.reshape(*kernel, channels, -1)
    parts = g.reshape(*g.shape[:-1], channels, -1)
    single = weights.shape[-1] == 1
    for tap, index in taps(kernel, strides, dilations, g.shape[1:-1]):
        scaled = parts * weights[tap]
        result[index] += scaled[..., 0] if single else np.add.reduce(scaled, axis=-1)


def _input_infer(g, w, *, shape, strides, dilations, padding):
    dims = known_dims(shape)
    if dims is None or w.shape is None:
        return Spec(dims, g.dtype)
    _check_ranks("ConvBackpropInput", dims, w.shape)
    _groups("ConvBackpropInput", dims[-1], w.shape)
    out, _ = geometry("ConvBackpropInput", dims[1:-1], w.shape[:-2], strides, dilations, padding)
    if g.shape is not None:
        wanted = (dims[0], *out, w.shape[-1])
        if len(g.shape) != len(wanted) or any(None not in (n, m) and n != m for n, m in zip(g.shape, wanted, strict=True)):
            raise invalid(
                "ConvBackpropInput",
                f"Size of out_backprop doesn't match computed: an output of shape {list(dims)} and a filter of shape "
                f"{list(w.shape)} (strides {list(strides)}, padding {padding!r}) need an input of shape "
                f"{list(wanted)}, got "
                f"{list(g.shape)}",
            )
    return Spec(dims, g.dtype)


# The gradient in the weights


def _filter_kernel(x, g, *, shape, strides, dilations, padding):
    shape = tuple(shape)
    _check_ranks("ConvBackpropFilter", x.shape, shape)
    kernel = shape[:-2]
    groups = _groups("ConvBackpropFilter", x.shape[-1], shape)
    out, pads = geometry("ConvBackpropFilter", x.shape[1:-1], kernel, strides, dilations, padding)
    if g.shape != (x.shape[0], *out, shape[-1]):
        raise ValueError(g.shape)
    source, wide_g = padded(widened(x), pads), widened(g)
    result = np.zeros(shape, source.dtype)
    if g.size:
        if groups > 1 and shape[-2] == 1:
            _depthwise_filter(source, wide_g, result, kernel, strides, dilations)
        elif groups > 1:
            for part, target, cotangent in _by_group(groups, source, result, wide_g):
                _dense_filter(np.ascontiguousarray(part), cotangent, target, kernel, strides, dilations)
        else:
            _dense_filter(source, wide_g, result, kernel, strides, dilations)
    return result.astype(x.dtype, copy=False)


def _dense_filter(source, g, result, kernel, strides, dilations):
    out, features = g.shape[1:-1], g.shape[-1]
    total = np.zeros((spatial_size(kernel) * source.shape[-1], features), result.dtype)
    for images, rows in blocks(len(g), out[0], math.prod(out[1:]) * total.shape[0] * g.itemsize):
        columns = _columns(source, images, rows, kernel, strides, dilations, out)
        total += np.matmul(columns.T, g[images, rows].reshape(-1, features))
    result += total.reshape(result.shape)


def _depthwise_filter(source, g, result, kernel, strides, dilations):
    channels = source.shape[-1]
    parts = g.reshape(*g.shape[:-1], channels, -1)
    target = result.reshape(*kernel, channels, -1)
    axes = tuple(range(g.ndim - 1))
    for tap, index in taps(kernel, strides, dilations, g.shape[1:-1]):
        target[tap] = np.add.reduce(source[index][..., None] * parts, axis=axes)


def _filter_infer(x, g, *, shape, strides, dilations, padding):
    dims = known_dims(shape)
    if dims is None or x.shape is None:
        return Spec(dims, g.dtype)
    _check_ranks("ConvBackpropFilter", x.shape, dims)
    _groups("ConvBackpropFilter", x.shape[-1], dims)
    out, _ = geometry("ConvBackpropFilter", x.shape[1:-1], dims[:-2], strides, dilations, padding)
    wanted = (x.shape[0], *out, dims[-1])
    if g.shape is not None and (
        len(g.shape) != len(wanted) or any(None not in (n, m) and n != m for n, m in zip(g.shape, wanted, strict=True))
    ):
        raise invalid(
            "ConvBackpropFilter",
            f"Size of out_backprop doesn't match computed: an input of shape {list(x.shape)} and a filter of shape "
            f"{list(dims)} "
            f"give {list(wanted)}, got {list(g.shape)}",
        )
    return Spec(dims, g.dtype)


# Registration

_WINDOW = ("strides", "dilations", "padding")


def _conv_dx(g, w, x_shape, *, strides, dilations, padding):
    return P.conv_input(g, w, shape=x_shape, strides=strides, dilations=dilations, padding=padding)


def _conv_dw(g, x, w_shape, *, strides, dilations, padding):
    return P.conv_filter(x, g, shape=w_shape, strides=strides, dilations=dilations, padding=padding)


def _input_dg(t, w, *, strides, dilations, padding):
    return P.conv(t, w, strides=strides, dilations=dilations, padding=padding)


def _input_dw(t, g, w_shape, *, strides, dilations, padding):
    return P.conv_filter(t, g, shape=w_shape, strides=strides, dilations=dilations, padding=padding)


def _filter_dx(t, g, x_shape, *, strides, dilations, padding):
    return P.conv_input(g, t, shape=x_shape, strides=strides, dilations=dilations, padding=padding)


def _filter_dg(t, x, *, strides, dilations, padding):
    return P.conv(x, t, strides=strides, dilations=dilations, padding=padding)


def _attrs(rank, stride=1, dilation=1, padding="SAME"):
    return {"strides": (stride,) * rank, "dilations": (dilation,) * rank, "padding": padding}


def _samples(kind):
    """Inputs over ranks, strides, dilations, paddings and groups; `kind` picks the operands of one of the three ops."""

    def make():
        cases = [
            ((2, 5, 3), (3, 3, 2), _attrs(1)),
            ((2, 5, 6, 3), (3, 2, 3, 2), _attrs(2, padding="VALID")),
            ((2, 5, 6, 2), (3, 3, 2, 3), _attrs(2, stride=2)),
            ((2, 6, 5, 4), (2, 3, 2, 6), _attrs(2, padding=((1, 0), (2, 1)))),
            ((2, 6, 5, 3), (3, 2, 1, 6), _attrs(2, dilation=2)),
            ((2, 3, 4, 5, 2), (2, 2, 2, 2, 3), _attrs(3, stride=2, padding="VALID")),
            ((2, 5, 6, 3), (1, 1, 3, 2), _attrs(2, stride=2)),
        ]
        found = []
        for x_shape, w_shape, attrs in cases:
            out, _ = geometry("Conv", x_shape[1:-1], w_shape[:-2], **attrs)
            x, w, g = sample(*x_shape), sample(*w_shape), sample(x_shape[0], *out, w_shape[-1])
            if kind == "conv":
                found.append(((x, w), attrs))
            else:
                found.append(
                    ((g, w), {"shape": x_shape, **attrs}) if kind == "input" else ((x, g), {"shape": w_shape, **attrs})
                )
        return found

    return make


def _batch(op, inputs, batched, attrs):
    """Examples of images alone are more images; otherwise each example is a group of channels of its own."""
    if batched == (True, False) and op is not conv_filter:
        return _more_images(op, inputs, attrs)
    inputs, size = with_batch(inputs, batched)
    folded = []
    for x in inputs:
        dims, rank = dims_of(x), len(x.dims)
        x = P.transpose(x, perm=(*range(1, rank - 1), 0, rank - 1))
        folded.append(P.reshape(x, shape=(*dims[1:-1], size * dims[-1])))
    if "shape" in attrs:
        attrs = {**attrs, "shape": (*attrs["shape"][:-1], size * attrs["shape"][-1])}
    y = op(*folded, **attrs)
    dims, rank = dims_of(y), len(y.dims)
    y = P.reshape(y, shape=(*dims[:-1], size, dims[-1] // size))
    return P.transpose(y, perm=(rank - 1, *range(rank - 1), rank))


def _more_images(op, inputs, attrs):
    x, w = inputs
    size, images, *rest = dims_of(x)
    if "shape" in attrs:
        attrs = {**attrs, "shape": (size * attrs["shape"][0], *attrs["shape"][1:])}
    y = op(P.reshape(x, shape=(size * images, *rest)), w, **attrs)
    return P.reshape(y, shape=(size, images, *dims_of(y)[1:]))


conv = Primitive(
    "conv",
    _conv_kernel,
    _conv_infer,
    vjp=(_conv_dx, _conv_dw),
    jvp="multilinear",
    accepts=FLOATS | {int32},
    samples=_samples("conv"),
)
conv_input = Primitive(
    "conv_input",
    _input_kernel,
    _input_infer,
    vjp=(_input_dg, _input_dw),
    jvp="multilinear",
    accepts=FLOATS | {int32},
    samples=_samples("input"),
)
conv_filter = Primitive(
    "conv_filter",
    _filter_kernel,
    _filter_infer,
    vjp=(_filter_dx, _filter_dg),
    jvp="multilinear",
    batch=_batch,
    accepts=FLOATS | {int32},
    samples=_samples("filter"),
)

__all__ = ["conv", "conv_filter", "conv_input"]
