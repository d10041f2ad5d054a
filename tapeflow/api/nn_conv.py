"""Convolutions and their transposes (`tf.nn.conv2d`, `tf.nn.conv_transpose`, `tf.nn.depthwise_conv2d`, ...)."""

from tapeflow.api.arguments import matching
from tapeflow.api.export import export
from tapeflow.api.nn_spatial import (
    channels_first,
    from_last,
    merge_leading,
    shape_to_last,
    spatial_padding,
    spatial_tuple,
    to_last,
)
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.ops.movement import dims_of

UNDILATED, UNDILATED_3D = [1, 1, 1, 1], [1, 1, 1, 1, 1]


def _convolve(op_name, count, input, filters, strides, padding, data_format, dilations):
    """Convolution over `count` spatial axes; axes before the batch axis are taken as more batch axes."""
    x = convert_to_tensor(input)
    x, w = matching((x, filters))
    if x.dims is None or w.dims is None:
        raise ValueError(f"{op_name} needs an input and filters of known rank, got shapes {x.shape} and {w.shape}.")
    if len(w.dims) != count + 2:
        raise invalid(op_name, f"filter must be {count + 2}-dimensional: {list(w.dims)}")
    if len(x.dims) < count + 2:
        raise invalid(op_name, f"input must be at least {count + 2}-dimensional: {list(x.dims)}")
    first = channels_first(data_format, count)
    strides = spatial_tuple(strides, count, first, "strides", op_name)
    dilations = spatial_tuple(dilations, count, first, "dilations", op_name)
    padding = spatial_padding(padding, count, first)
    x, restored = merge_leading(x, count + 1)
    y = P.conv(to_last(x, first), w, strides=strides, dilations=dilations, padding=padding)
    return restored(from_last(y, first))


@export("nn.conv1d")
def conv1d(input, filters, stride, padding, data_format="NWC", dilations=None, name=None):
    """Convolution along one axis.

    Args:
        input: [..., width, channels], floating point ([..., channels, width] for `"NCW"`).
        filters: [size, channels / groups, features].
        stride, dilations: ints.
        padding: `"SAME"` or `"VALID"`.

    Returns:
        [..., new width, features].

    Raises:
        InvalidArgumentError: channels, or a window and an input, that do not fit.

    Example:
        >>> import tapeflow as tf
        >>> x, two = tf.constant([[[1.0], [2.0], [3.0]]]), tf.ones([2, 1, 1])
        >>> tf.nn.conv1d(x, two, stride=1, padding="VALID").numpy().ravel().tolist()
        [3.0, 5.0]
    """
    return _convolve("Conv1D", 1, input, filters, stride, padding, data_format, dilations)


@export("nn.conv2d")
def conv2d(input, filters, strides, padding, data_format="NHWC", dilations=None, name=None):
    """Convolution over height and width.

    Args:
        input: [..., height, width, channels], floating point or int32 ([..., channels, height, width] for `"NCHW"`).
        filters: [rows, columns, channels / groups, features]; with fewer channels than the input has, groups are
            convolved.
        strides, dilations: an int, or 1, 2 or 4 of them.
        padding: `"SAME"`, `"VALID"`, or [before, after] for each of the four axes.

    Returns:
        [..., new height, new width, features].

    Raises:
        InvalidArgumentError: channels, or a window and an input, that do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.conv2d(tf.ones([1, 5, 5, 2]), tf.ones([3, 3, 2, 7]), strides=2, padding="SAME").shape
        TensorShape([1, 3, 3, 7])
    """
    return _convolve("Conv2D", 2, input, filters, strides, padding, data_format, dilations)


@export("nn.conv3d")
def conv3d(input, filters, strides, padding, data_format="NDHWC", dilations=None, name=None):
    """Convolution over depth, height and width: `input` [..., depth, height, width, channels], `filters` [three sizes,
    channels, features]; see `tf.nn.conv2d`.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.conv3d(tf.ones([1, 4, 5, 6, 2]), tf.ones([2, 2, 2, 2, 3]), [1, 1, 1, 1, 1], "VALID").shape
        TensorShape([1, 3, 4, 5, 3])
    """
    return _convolve("Conv3D", 3, input, filters, strides, padding, data_format, dilations)


@export("nn.convolution")
def convolution(input, filters, strides=None, padding="VALID", data_format=None, dilations=None, name=None):
    """Convolution over one, two or three spatial axes, as many as `filters` has besides channels and features.

    Args:
        input: [..., *spatial, channels], or with the channels before the spatial axes where `data_format` starts with
            `"NC"`.
        filters: [*sizes, channels / groups, features].
        strides, dilations: an int or one for each spatial axis; one of the two must be 1.
        padding: `"SAME"`, `"VALID"`, or [before, after] for each axis.

    Raises:
        ValueError: not one to three spatial axes, or strides and dilations at once.
        InvalidArgumentError: channels, or a window and an input, that do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.convolution(tf.ones([1, 5, 2]), tf.ones([3, 2, 7]), padding="SAME").shape
        TensorShape([1, 5, 7])
    """
    w = convert_to_tensor(filters)
    count = _spatial_count(w)
    first = data_format is not None and data_format.startswith("NC")
    steps = spatial_tuple(strides, count, first, "strides", "Convolution")
    rates = spatial_tuple(dilations, count, first, "dilations", "Convolution")
    if any(n <= 0 for n in rates):
        raise ValueError(f"all values of `dilation_rate` must be positive. Received: dilation_rate={list(rates)}")
    if max(steps) > 1 and max(rates) > 1:
        raise ValueError(
            "`strides > 1` not supported in conjunction with `dilation_rate > 1`. "
            f"Received: strides={list(steps)} and dilation_rate={list(rates)}"
        )
    return _convolve(f"Conv{count}D", count, input, w, steps, padding, data_format, rates)


def _spatial_count(w):
    if w.dims is None:
        raise ValueError("rank of filters must be known")
    count = len(w.dims) - 2
    if count not in (1, 2, 3):
        raise ValueError(f"`num_spatial_dims` must be 1, 2, or 3. Received: num_spatial_dims={count}.")
    return count


@export("nn.atrous_conv2d")
def atrous_conv2d(value, filters, rate, padding, name=None):
    """Convolution of [batch, height, width, channels] with holes: taps lie `rate` pixels apart.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.atrous_conv2d(tf.ones([1, 7, 7, 2]), tf.ones([3, 3, 2, 5]), rate=2, padding="VALID").shape
        TensorShape([1, 3, 3, 5])
    """
    return convolution(value, filters, 1, padding, None, [rate, rate])


# Transposes


def _transposed(op_name, count, input, filters, output_shape, strides, padding, data_format, dilations):
    """The gradient of a convolution in its input, as an op of its own."""
    g = convert_to_tensor(input)
    w = convert_to_tensor(filters, dtype_hint=g._dtype)
    first = channels_first(data_format, count)
    shape = static_dims(output_shape)
    if isinstance(shape, tuple):
        if len(shape) != count + 2:
            raise ValueError(f"`output_shape` must be of length {count + 2}, got {list(shape)} of length {len(shape)}.")
        shape = shape_to_last(shape, first)
    strides = spatial_tuple(strides, count, first, "strides", op_name)
    dilations = spatial_tuple(dilations, count, first, "dilations", op_name)
    padding = spatial_padding(padding, count, first)
    y = P.conv_input(to_last(g, first), w, shape=shape, strides=strides, dilations=dilations, padding=padding)
    return from_last(y, first)


@export("nn.conv1d_transpose")
def conv1d_transpose(input, filters, output_shape, strides, padding="SAME", data_format="NWC", dilations=None, name=None):
    """The transpose of `tf.nn.conv1d`: input [batch, width, features], filters [size, channels, features].

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.conv1d_transpose(tf.ones([1, 3, 7]), tf.ones([3, 2, 7]), [1, 6, 2], strides=2).shape
        TensorShape([1, 6, 2])
    """
    return _transposed("Conv1DTranspose", 1, input, filters, output_shape, strides, padding, data_format, dilations)


@export("nn.conv2d_transpose")
def conv2d_transpose(input, filters, output_shape, strides, padding="SAME", data_format="NHWC", dilations=None, name=None):
    """The transpose of `tf.nn.conv2d` ("deconvolution"): a result of `output_shape` whose convolution has input's
    shape.

    Args:
        input: [batch, height, width, features].
        filters: [rows, columns, channels, features].
        output_shape: the shape of the result, [batch, new height, new width, channels].
        strides, padding, data_format, dilations: those of the convolution that is transposed.

    Raises:
        InvalidArgumentError: a convolution of `output_shape` would not give input's shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.conv2d_transpose(tf.ones([1, 2, 2, 7]), tf.ones([3, 3, 5, 7]), [1, 4, 4, 5], strides=2).shape
        TensorShape([1, 4, 4, 5])
    """
    return _transposed("Conv2DTranspose", 2, input, filters, output_shape, strides, padding, data_format, dilations)


@export("nn.conv3d_transpose")
def conv3d_transpose(input, filters, output_shape, strides, padding="SAME", data_format="NDHWC", dilations=None, name=None):
    """The transpose of `tf.nn.conv3d`; see `tf.nn.conv2d_transpose`.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.conv3d_transpose(tf.ones([1, 2, 2, 2, 7]), tf.ones([3, 3, 3, 5, 7]), [1, 4, 4, 4, 5], strides=2).shape
        TensorShape([1, 4, 4, 4, 5])
    """
    return _transposed("Conv3DTranspose", 3, input, filters, output_shape, strides, padding, data_format, dilations)


@export("nn.conv_transpose")
def conv_transpose(input, filters, output_shape, strides, padding="SAME", data_format=None, dilations=None, name=None):
    """The transpose of `tf.nn.convolution`, for as many spatial axes as `output_shape` has besides batch and channels.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.conv_transpose(tf.ones([1, 3, 7]), tf.ones([3, 2, 7]), [1, 6, 2], strides=2).shape
        TensorShape([1, 6, 2])
    """
    w = convert_to_tensor(filters)
    shape = static_dims(output_shape)
    count = len(shape) - 2 if isinstance(shape, tuple) else len(w.dims) - 2
    if count not in (1, 2, 3):
        raise ValueError(
            f"`output_shape` must be of length 3, 4 or 5. Received: output_shape={output_shape} of length {count + 2}."
        )
    return _transposed("ConvTranspose", count, input, w, shape, strides, padding, data_format, dilations)


@export("nn.atrous_conv2d_transpose")
def atrous_conv2d_transpose(value, filters, output_shape, rate, padding, name=None):
    """The transpose of `tf.nn.atrous_conv2d`.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.atrous_conv2d_transpose(tf.ones([1, 3, 3, 5]), tf.ones([3, 3, 2, 5]), [1, 7, 7, 2], 2, "VALID").shape
        TensorShape([1, 7, 7, 2])
    """
    return _transposed("AtrousConv2DTranspose", 2, value, filters, output_shape, 1, padding, "NHWC", rate)


# Depthwise and separable


def _grouped(op_name, w, channels):
    """Depthwise filters [rows, columns, channels, multiplier] as those of a convolution with a group for each
    channel."""
    if w.dims is None or len(w.dims) != 4:
        raise invalid(op_name, f"filter must be 4-dimensional: {w.shape}")
    if None not in (channels, w.dims[2]) and channels != w.dims[2]:
        raise invalid(op_name, f"input depth must be evenly divisible by filter depth: {channels} vs {w.dims[2]}")
    rows, columns, depth, multiplier = dims_of(w)
    return P.reshape(w, shape=(rows, columns, 1, depth * multiplier))


def _listed_strides(strides, name):
    if isinstance(strides, int):
        raise TypeError(f"Expected list for 'strides' argument to '{name}' Op, not {strides}.")
    return strides


@export("nn.depthwise_conv2d")
def depthwise_conv2d(input, filter, strides, padding, data_format=None, dilations=None, name=None):
    """Each channel convolved with filters of its own: channel c gives the features c * multiplier to (c + 1) *
    multiplier - 1.

    Args:
        input: [batch, height, width, channels].
        filter: [rows, columns, channels, multiplier].
        strides: four ints.
        padding: `"SAME"`, `"VALID"`, or [before, after] for each of the four axes.
        dilations: two ints.

    Returns:
        [batch, new height, new width, channels * multiplier].

    Raises:
        InvalidArgumentError: channels, or a window and an input, that do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.depthwise_conv2d(tf.ones([1, 5, 5, 2]), tf.ones([3, 3, 2, 3]), [1, 1, 1, 1], "SAME").shape
        TensorShape([1, 5, 5, 6])
    """
    x = convert_to_tensor(input)
    if x.dims is not None and len(x.dims) < 3:
        raise ValueError(f"`input.shape.rank` must be at least 3. Received: input.shape={x.shape} with rank {len(x.dims)}")
    w = convert_to_tensor(filter, dtype_hint=x._dtype)
    first = channels_first(data_format, 2)
    channels = None if x.dims is None or len(x.dims) != 4 else x.dims[1 if first else 3]
    w = _grouped("DepthwiseConv2dNative", w, channels)
    return _convolve(
        "DepthwiseConv2dNative",
        2,
        x,
        w,
        _listed_strides(strides, "depthwise_conv2d_native"),
        padding,
        data_format,
        dilations,
    )


@export("nn.separable_conv2d")
def separable_conv2d(
    input, depthwise_filter, pointwise_filter, strides, padding, data_format=None, dilations=None, name=None
):
    """A depthwise convolution, then one of 1 x 1 pixels that mixes the channels.

    Args:
        input: [batch, height, width, channels].
        depthwise_filter: [rows, columns, channels, multiplier].
        pointwise_filter: [1, 1, channels * multiplier, features].

    Raises:
        ValueError: the pointwise filter is not 1 x 1.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.separable_conv2d(
        ...     tf.ones([1, 5, 5, 2]), tf.ones([3, 3, 2, 3]), tf.ones([1, 1, 6, 7]), [1, 1, 1, 1], "VALID"
        ... ).shape
        TensorShape([1, 3, 3, 7])
    """
    pointwise = convert_to_tensor(pointwise_filter)
    if pointwise.dims is not None and len(pointwise.dims) != 4:
        raise ValueError(f"Shape {pointwise.shape} must have rank 4: pointwise_filter")
    for n in pointwise.dims[:2]:
        if n not in (1, None):
            raise ValueError(f"Dimensions {n} and 1 are not compatible: pointwise_filter has shape {pointwise.shape}")
    y = depthwise_conv2d(input, depthwise_filter, strides, padding, data_format, dilations)
    depth, wanted = y.dims[1 if channels_first(data_format, 2) else 3], pointwise.dims[2]
    if None not in (depth, wanted) and depth != wanted:
        raise invalid("Conv2D", f"input depth must be evenly divisible by filter depth: {depth} vs {wanted}")
    return _convolve("Conv2D", 2, y, pointwise, 1, "VALID", data_format, None)


@export("nn.depthwise_conv2d_backprop_input", "compat.v1.nn.depthwise_conv2d_native_backprop_input")
def depthwise_conv2d_backprop_input(
    input_sizes, filter, out_backprop, strides, padding, data_format="NHWC", dilations=UNDILATED, name=None
):
    """The gradient of `tf.nn.depthwise_conv2d` in its input, of shape `input_sizes`.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.depthwise_conv2d_backprop_input(
        ...     [1, 5, 5, 2], tf.ones([3, 3, 2, 3]), tf.ones([1, 5, 5, 6]), [1, 1, 1, 1], "SAME"
        ... ).shape
        TensorShape([1, 5, 5, 2])
    """
    g = convert_to_tensor(out_backprop)
    w = _grouped("DepthwiseConv2dNativeBackpropInput", convert_to_tensor(filter, dtype_hint=g._dtype), None)
    return _transposed("DepthwiseConv2dNativeBackpropInput", 2, g, w, input_sizes, strides, padding, data_format, dilations)


@export("nn.depthwise_conv2d_backprop_filter", "compat.v1.nn.depthwise_conv2d_native_backprop_filter")
def depthwise_conv2d_backprop_filter(
    input, filter_sizes, out_backprop, strides, padding, data_format="NHWC", dilations=UNDILATED, name=None
):
    """The gradient of `tf.nn.depthwise_conv2d` in its filter, of shape `filter_sizes`.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.depthwise_conv2d_backprop_filter(
        ...     tf.ones([1, 5, 5, 2]), [3, 3, 2, 3], tf.ones([1, 5, 5, 6]), [1, 1, 1, 1], "SAME"
        ... ).shape
        TensorShape([3, 3, 2, 3])
    """
    rows, columns, channels, multiplier = shape = static_dims(filter_sizes)
    flat = (rows, columns, 1, channels * multiplier)
    w = _filter_gradient(input, flat, out_backprop, strides, padding, data_format, dilations, 2)
    return P.reshape(w, shape=shape)


def _filter_gradient(input, shape, out_backprop, strides, padding, data_format, dilations, count):
    x = convert_to_tensor(input)
    g = convert_to_tensor(out_backprop, dtype_hint=x._dtype)
    first = channels_first(data_format, count)
    return P.conv_filter(
        to_last(x, first),
        to_last(g, first),
        shape=static_dims(shape),
        strides=spatial_tuple(strides, count, first, "strides", "ConvBackpropFilter"),
        dilations=spatial_tuple(dilations, count, first, "dilations", "ConvBackpropFilter"),
        padding=spatial_padding(padding, count, first),
    )


@export("compat.v1.nn.conv2d_backprop_input")
def conv2d_backprop_input(
    input_sizes=None,
    filter=None,
    out_backprop=None,
    strides=None,
    padding=None,
    use_cudnn_on_gpu=True,
    data_format="NHWC",
    dilations=UNDILATED,
    name=None,
    filters=None,
):
    """The gradient of `tf.nn.conv2d` in its input, of shape `input_sizes`."""
    w = filter if filters is None else filters
    return _transposed("Conv2DBackpropInput", 2, out_backprop, w, input_sizes, strides, padding, data_format, dilations)


@export("compat.v1.nn.conv2d_backprop_filter")
def conv2d_backprop_filter(
    input,
    filter_sizes,
    out_backprop,
    strides,
    padding,
    use_cudnn_on_gpu=True,
    data_format="NHWC",
    dilations=UNDILATED,
    name=None,
):
    """The gradient of `tf.nn.conv2d` in its filter, of shape `filter_sizes`."""
    return _filter_gradient(input, filter_sizes, out_backprop, strides, padding, data_format, dilations, 2)


@export("compat.v1.nn.conv3d_backprop_filter", "compat.v1.nn.conv3d_backprop_filter_v2")
def conv3d_backprop_filter(
    input, filter_sizes, out_backprop, strides, padding, data_format="NDHWC", dilations=UNDILATED_3D, name=None
):
    """The gradient of `tf.nn.conv3d` in its filter, of shape `filter_sizes`."""
    return _filter_gradient(input, filter_sizes, out_backprop, strides, padding, data_format, dilations, 3)
