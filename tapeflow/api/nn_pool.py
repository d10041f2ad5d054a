"""Pooling and morphology (`tf.nn.max_pool`, `tf.nn.avg_pool`, `tf.nn.dilation2d`, ...)."""

from tapeflow.api.arguments import matching
from tapeflow.api.export import export
from tapeflow.api.nn_spatial import channels_first, from_last, full_tuple, spatial_padding, spatial_part, to_last
from tapeflow.base.dtypes import as_dtype, int64
from tapeflow.base.errors import UnimplementedError, invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P

TITLES = {"max_pool": "MaxPool", "avg_pool": "AvgPool"}


def _pool(op_name, count, input, ksize, strides, padding, data_format):
    """Pool over `count` spatial axes; a window over the channels makes them one more spatial axis."""
    title = TITLES[op_name] + ("" if count == 2 else f"{count}D")
    x = convert_to_tensor(input)
    if x.dims is not None and len(x.dims) != count + 2:
        raise invalid(title, f"Input must be {count + 2}-dimensional, got shape {list(x.dims)}")
    first = channels_first(data_format, count)
    sizes = full_tuple(ksize, count, first, "ksize")
    steps = full_tuple(strides, count, first, "strides")
    padding = spatial_padding(padding, count, first)
    if min(sizes) <= 0:
        raise invalid(
            title,
            f"Sliding window ksize must be positive. The specified or inferred ksize is: {','.join(map(str, sizes))}",
        )
    if isinstance(padding, tuple):
        _check_explicit(op_name, title, padding, spatial_part(sizes, first))
    if sizes[0] != 1 or steps[0] != 1:
        raise UnimplementedError(None, None, f"Pooling is not yet supported on the batch dimension: {sizes} [Op:{title}]")
    x = to_last(x, first)
    ksize, strides = spatial_part(sizes, first), spatial_part(steps, first)
    depth, depth_step = (sizes[1], steps[1]) if first else (sizes[-1], steps[-1])
    if depth != 1 or depth_step != 1:
        if max(ksize) > 1:
            raise UnimplementedError(
                None,
                None,
                f"{title} supports exactly one of pooling across depth or pooling across width/height, got ksize "
                f"{list(sizes)} [Op:{title}]",
            )
        y = getattr(P, op_name)(
            P.expand_dims(x, axis=(-1,)),
            ksize=(*ksize, depth),
            strides=(*strides, depth_step),
            dilations=(1,) * (count + 1),
            padding=padding,
        )
        return from_last(P.squeeze(y, axis=(-1,)), first)
    return from_last(getattr(P, op_name)(x, ksize=ksize, strides=strides, dilations=(1,) * count, padding=padding), first)


def _check_explicit(op_name, title, padding, ksize):
    if op_name == "avg_pool":
        raise TypeError(f"Expected string for argument 'padding' not {list(map(list, padding))}.")
    for pair, size, sides in zip(padding, ksize, (("Top", "Bottom"), ("Left", "Right"), ("Front", "Back")), strict=False):
        for n, side in zip(pair, sides, strict=True):
            if n >= size:
                raise invalid(title, f"{side} padding {n} needs to be smaller than the window size {size}")


def _any_pool(op_name, input, ksize, strides, padding, data_format):
    x = convert_to_tensor(input)
    rank = None if x.dims is None else len(x.dims)
    if rank is None and data_format is not None:
        rank = len(data_format)
    if rank not in (3, 4, 5):
        raise ValueError(f"`input.shape.rank` must be 3, 4 or 5. Received: input.shape={x.shape} of rank {rank}.")
    return _pool(op_name, rank - 2, x, ksize, strides, padding, data_format)


@export("nn.max_pool")
def max_pool(input, ksize, strides, padding, data_format=None, name=None):
    """The greatest element in each window over one, two or three spatial axes.

    Args:
        input: [batch, *spatial, channels], real ([batch, channels, *spatial] where `data_format` starts with `"NC"`).
        ksize: the window's size, an int or one for each spatial axis, or for each axis.
        strides: how far the window moves, likewise.
        padding: `"SAME"`, `"VALID"`, or [before, after] for each axis.

    Raises:
        ValueError: an input of another rank, or arguments of wrong lengths.
        InvalidArgumentError: a window that does not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.max_pool([[[1.0], [3.0], [2.0], [0.0]]], ksize=2, strides=2, padding="VALID").numpy().ravel().tolist()
        [3.0, 2.0]
    """
    return _any_pool("max_pool", input, ksize, strides, padding, data_format)


@export("nn.max_pool1d")
def max_pool1d(input, ksize, strides, padding, data_format="NWC", name=None):
    """`tf.nn.max_pool` of [batch, width, channels].

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.max_pool1d(tf.ones([1, 4, 3]), 2, 2, "VALID").shape
        TensorShape([1, 2, 3])
    """
    return _pool("max_pool", 1, input, ksize, strides, padding, data_format)


@export("nn.max_pool2d")
def max_pool2d(input, ksize, strides, padding, data_format="NHWC", name=None):
    """`tf.nn.max_pool` of [batch, height, width, channels].

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.max_pool2d(tf.ones([1, 4, 4, 3]), 2, 2, "VALID").shape
        TensorShape([1, 2, 2, 3])
    """
    return _pool("max_pool", 2, input, ksize, strides, padding, data_format)


@export("nn.max_pool3d")
def max_pool3d(input, ksize, strides, padding, data_format="NDHWC", name=None):
    """`tf.nn.max_pool` of [batch, depth, height, width, channels].

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.max_pool3d(tf.ones([1, 4, 4, 4, 3]), 2, 2, "VALID").shape
        TensorShape([1, 2, 2, 2, 3])
    """
    return _pool("max_pool", 3, input, ksize, strides, padding, data_format)


@export("nn.avg_pool")
def avg_pool(input, ksize, strides, padding, data_format=None, name=None):
    """The mean of each window over one, two or three spatial axes; padding does not count. See `tf.nn.max_pool`.

    Raises:
        TypeError: explicit padding.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.avg_pool([[[1.0], [3.0], [2.0], [0.0]]], ksize=2, strides=2, padding="VALID").numpy().ravel().tolist()
        [2.0, 1.0]
    """
    return _any_pool("avg_pool", input, ksize, strides, padding, data_format)


@export("nn.avg_pool1d")
def avg_pool1d(input, ksize, strides, padding, data_format="NWC", name=None):
    """`tf.nn.avg_pool` of [batch, width, channels].

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.avg_pool1d(tf.ones([1, 4, 3]), 2, 2, "VALID").shape
        TensorShape([1, 2, 3])
    """
    return _pool("avg_pool", 1, input, ksize, strides, padding, data_format)


@export("nn.avg_pool2d")
def avg_pool2d(input, ksize, strides, padding, data_format="NHWC", name=None):
    """`tf.nn.avg_pool` of [batch, height, width, channels].

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.avg_pool2d(tf.ones([1, 4, 4, 3]), 2, 2, "VALID").shape
        TensorShape([1, 2, 2, 3])
    """
    return _pool("avg_pool", 2, input, ksize, strides, padding, data_format)


@export("nn.avg_pool3d")
def avg_pool3d(input, ksize, strides, padding, data_format="NDHWC", name=None):
    """`tf.nn.avg_pool` of [batch, depth, height, width, channels].

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.avg_pool3d(tf.ones([1, 4, 4, 4, 3]), 2, 2, "VALID").shape
        TensorShape([1, 2, 2, 2, 3])
    """
    return _pool("avg_pool", 3, input, ksize, strides, padding, data_format)


@export("nn.pool")
def pool(input, window_shape, pooling_type, strides=None, padding="VALID", data_format=None, dilations=None, name=None):
    """Pooling with a window of as many spatial axes as `window_shape` has.

    Args:
        input: [batch, *spatial, channels], or with channels before the spatial axes where `data_format` starts with
            `"NC"`.
        window_shape: the window's size along each spatial axis.
        pooling_type: `"MAX"` or `"AVG"`.
        strides, dilations: an int for each spatial axis; one of the two must be 1.
        padding: `"SAME"` or `"VALID"`.

    Raises:
        ValueError: another pooling type, strides and dilations at once, or dilations with `"SAME"`.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.pool([[[1.0], [3.0], [2.0]]], window_shape=[2], pooling_type="AVG").numpy().ravel().tolist()
        [2.0, 2.5]
    """
    count = len(window_shape)
    if count not in (1, 2, 3):
        raise ValueError(f"`num_spatial_dims` must be 1, 2, or 3. Received: num_spatial_dims={count}.")
    if pooling_type not in ("MAX", "AVG"):
        raise ValueError(f"{count}-D {pooling_type} pooling is not supported.")
    op_name = f"{pooling_type.lower()}_pool"
    x = convert_to_tensor(input)
    if x.dims is not None and len(x.dims) != count + 2:
        raise ValueError(f"Shape {x.shape} must have rank {count + 2}")
    steps = (1,) * count if strides is None else tuple([int(n) for n in strides])
    rates = (1,) * count if dilations is None else tuple([int(n) for n in dilations])
    for name, value in (("strides", steps), ("dilations", rates)):
        if len(value) != count:
            raise ValueError(f"`len({name})` must be {count}. Received: {name}={list(value)} of length {len(value)}")
    if max(rates) == 1:
        return _pool(op_name, count, x, tuple(window_shape), steps, padding, data_format)
    if max(steps) > 1:
        raise ValueError(
            "`strides > 1` not supported in conjunction with `dilation_rate > 1`. "
            f"Received: strides={list(steps)} and dilation_rate={list(rates)}"
        )
    if padding != "VALID":
        raise ValueError(
            "pooling with 'SAME' padding is not implemented for `dilation_rate` > 1. "
            f"Received: padding={padding} and dilation_rate={list(rates)}"
        )
    first = channels_first(data_format, count)
    y = getattr(P, op_name)(to_last(x, first), ksize=tuple(window_shape), strides=steps, dilations=rates, padding=padding)
    return from_last(y, first)


@export("nn.max_pool_with_argmax")
def max_pool_with_argmax(
    input, ksize, strides, padding, data_format="NHWC", output_dtype=int64, include_batch_in_index=False, name=None
):
    """The greatest element of each window of [batch, height, width, channels], and where it is.

    Returns:
        The maxima, and for each its index in the flattened image (in the flattened batch where
        `include_batch_in_index`).

    Raises:
        ValueError: another data format.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.max_pool_with_argmax([[[[1.0], [3.0]], [[2.0], [0.0]]]], 2, 2, "VALID")[1].numpy().ravel().tolist()
        [1]
    """
    if data_format != "NHWC":
        raise ValueError(f"`data_format` values other  than 'NHWC' are not supported. Received: data_format={data_format}")
    sizes, steps = full_tuple(ksize, 2, False, "ksize"), full_tuple(strides, 2, False, "strides")
    return P.max_pool_argmax(
        convert_to_tensor(input),
        ksize=spatial_part(sizes, False),
        strides=spatial_part(steps, False),
        dilations=(1, 1),
        padding=padding,
        include_batch=bool(include_batch_in_index),
        dtype=as_dtype(output_dtype),
    )


# Morphology


@export("nn.dilation2d")
def dilation2d(input, filters, strides, padding, data_format, dilations, name=None):
    """Grayscale dilation: the greatest of input + filter in each window; padding is never the greatest.

    Args:
        input: [batch, height, width, channels], real.
        filters: [rows, columns, channels].
        strides, dilations: four ints.
        padding: `"SAME"` or `"VALID"`.
        data_format: `"NHWC"`.

    Raises:
        ValueError: another data format.
        InvalidArgumentError: channels, or a window and an input, that do not fit.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.constant([[[[1.0], [3.0]], [[2.0], [0.0]]]])
        >>> one = [1, 1, 1, 1]
        >>> float(tf.nn.dilation2d(x, tf.zeros([2, 2, 1]), one, "VALID", "NHWC", one)[0, 0, 0, 0])
        3.0
    """
    if data_format != "NHWC":
        raise ValueError(f"`data_format` values other  than 'NHWC' are not supported. Received: data_format={data_format}")
    x = convert_to_tensor(input)
    x, w = matching((x, filters))
    if x.dims is None or len(x.dims) != 4 or None in x.dims[1:3]:
        raise invalid("Dilation2D", f"input must be 4-dimensional, its height and width known: {x.shape}")
    if w.dims is None or len(w.dims) != 3 or None in w.dims[:2]:
        raise invalid("Dilation2D", f"filter must be 3-dimensional and of a known size: {w.shape}")
    if None not in (x.dims[3], w.dims[2]) and x.dims[3] != w.dims[2]:
        raise invalid("Dilation2D", f"input and filter must have the same depth: {x.dims[3]} vs {w.dims[2]}")
    from tapeflow.ops.window import geometry, taps

    steps, rates = spatial_part(tuple(strides), False), spatial_part(tuple(dilations), False)
    out, pads = geometry("Dilation2D", x.dims[1:3], w.dims[:2], steps, rates, padding)
    if any(map(any, pads)):
        x = P.pad(x, paddings=((0, 0), *pads, (0, 0)), value=_least(x._dtype))
    greatest = None
    for tap, index in taps(w.dims[:2], steps, rates, out):
        key = tuple([(part.start, part.stop, part.step) for part in index])
        shifted = P.strided_slice(x, key=key) + P.strided_slice(w, key=tap)
        # The first of equal elements takes the gradient, where a maximum would share it.
        greatest = shifted if greatest is None else P.where(P.greater(shifted, greatest), shifted, greatest)
    return greatest


def _least(dtype):
    return dtype.min if dtype.is_integer else float("-inf")


@export("nn.erosion2d")
def erosion2d(value, filters, strides, padding, data_format, dilations, name=None):
    """Grayscale erosion: the least of value - reversed filter in each window; minus the dilation of minus value.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.constant([[[[1.0], [3.0]], [[2.0], [5.0]]]])
        >>> one = [1, 1, 1, 1]
        >>> float(tf.nn.erosion2d(x, tf.zeros([2, 2, 1]), one, "VALID", "NHWC", one)[0, 0, 0, 0])
        1.0
    """
    x = convert_to_tensor(value)
    w = P.reverse(convert_to_tensor(filters, dtype_hint=x._dtype), axis=(0, 1))
    return -dilation2d(-x, w, strides, padding, data_format, dilations)
