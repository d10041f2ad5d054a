"""Blocks of images and batches: space to depth and batch and back, patches; tensors of diagonals."""

import math

import numpy as np

from tapeflow.api.arguments import of_dtype, of_rank, table
from tapeflow.api.export import export
from tapeflow.base.dtypes import int32, string
from tapeflow.base.errors import UnimplementedError, invalid
from tapeflow.core.convert import convert_to_tensor, operand, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.ops.movement import dims_of, rank_of


def _to_nhwc(op, x, block_size, data_format):
    """The order of axes that leads to NHWC (None where `data_format` is that); raises for what is no image batch."""
    if data_format not in ("NHWC", "NCHW"):
        raise invalid(
            op,
            f'Value for attr \'data_format\' of "{data_format}" is not in the list of allowed values: "NHWC", "NCHW"',
        )
    if block_size < 2:
        raise invalid(op, f"Value for attr 'block_size' of {block_size} must be at least minimum 2")
    if x.dims is not None and len(x.dims) != 4:
        raise invalid(op, f"Input rank should be: 4 instead of: {len(x.dims)}")
    return (0, 2, 3, 1) if data_format == "NCHW" else None


@export("nn.space_to_depth")
def space_to_depth(input, block_size, data_format="NHWC", name=None):
    """Each block of block_size x block_size pixels becomes one pixel with as many times the depth.

    Args:
        input: [batch, height, width, depth], or with the depth second for "NCHW".

    Raises:
        InvalidArgumentError: height or width is no multiple of `block_size`.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.space_to_depth(tf.reshape(tf.range(4), [1, 2, 2, 1]), 2).numpy().tolist()
        [[[[0, 1, 2, 3]]]]
    """
    x = convert_to_tensor(input)
    order = _to_nhwc("space_to_depth", x, block_size, data_format)
    if order:
        return P.transpose(space_to_depth(P.transpose(x, perm=order), block_size), perm=(0, 3, 1, 2))
    x = of_rank(x, 4)
    batch, height, width, depth = dims_of(x)
    for n in (height, width):
        if n.__class__ is int and n % block_size:
            raise invalid(
                "space_to_depth",
                f"Image width {width} and height {height} should be divisible by block_size: {block_size}",
            )
    rows, columns = height // block_size, width // block_size
    x = P.reshape(x, shape=(batch, rows, block_size, columns, block_size, depth))
    x = P.transpose(x, perm=(0, 1, 3, 2, 4, 5))
    return P.reshape(x, shape=(batch, rows, columns, depth * block_size**2))


@export("nn.depth_to_space")
def depth_to_space(input, block_size, data_format="NHWC", name=None):
    """The inverse of `space_to_depth`.

    Raises:
        InvalidArgumentError: the depth is no multiple of block_size * block_size.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.depth_to_space([[[[0, 1, 2, 3]]]], 2).shape
        TensorShape([1, 2, 2, 1])
    """
    x = convert_to_tensor(input)
    order = _to_nhwc("depth_to_space", x, block_size, data_format)
    if order:
        return P.transpose(depth_to_space(P.transpose(x, perm=order), block_size), perm=(0, 3, 1, 2))
    x = of_rank(x, 4)
    batch, height, width, depth = dims_of(x)
    if depth.__class__ is int and depth % block_size**2:
        raise invalid("depth_to_space", f"Input depth dimension {depth} should be divisible by: {block_size**2}")
    rest = depth // block_size**2
    x = P.reshape(x, shape=(batch, height, width, block_size, block_size, rest))
    x = P.transpose(x, perm=(0, 1, 3, 2, 4, 5))
    return P.reshape(x, shape=(batch, height * block_size, width * block_size, rest))


def _blocks(op, x, block_shape, rows, what):
    """Block sizes as a tuple, and the table of paddings or crops, one row a block axis."""
    blocks = static_dims(block_shape)
    rows = table(rows, op, what)
    if len(rows) == 1 and block_shape.__class__ is int and rank_of(x) > 2:
        blocks = blocks * 2
    if len(rows) != len(blocks):
        raise invalid(op, f"{what} should have shape [{len(blocks)}, 2] instead of [{len(rows)},2]")
    for n in blocks:
        if n.__class__ is int and n < 1:
            raise invalid(op, f"All values in block_shape must be positive, got value, {n}")
    return blocks, rows


def _check_rank(op, x, spatial):
    if rank_of(x) < spatial + 1:
        raise invalid(op, f"input rank should be >= {spatial + 1} instead of {rank_of(x)}")


@export("space_to_batch", "nn.space_to_batch", "space_to_batch_nd")
def space_to_batch(input, block_shape, paddings, name=None):
    """The axes behind the batch, padded with zeros, cut into blocks whose elements become examples of the batch.

    Args:
        input: [batch, spatial axes..., rest...].
        block_shape: the size of a block along each spatial axis.
        paddings: [spatial axes, 2] integers.

    Raises:
        InvalidArgumentError: a padded axis is no multiple of its block.

    Example:
        >>> import tapeflow as tf
        >>> tf.space_to_batch([[1, 2, 3, 4]], [2], [[0, 0]]).numpy().tolist()
        [[1, 3], [2, 4]]
    """
    x = convert_to_tensor(input)
    blocks, rows = _blocks("space_to_batch", x, block_shape, paddings, "paddings")
    rank, spatial = rank_of(x), len(blocks)
    _check_rank("space_to_batch", x, spatial)
    if any(n.__class__ is not int or n for row in rows for n in row):
        x = P.pad(x, paddings=((0, 0), *rows, *((0, 0),) * (rank - 1 - spatial)))
    batch, *dims = dims_of(x)
    for i, (n, block) in enumerate(zip(dims, blocks, strict=False)):
        if n.__class__ is int and block.__class__ is int and n % block:
            raise invalid("space_to_batch", f"padded_shape[{i}]={n} is not divisible by block_shape[{i}]={block}")
    counts = [n // block for n, block in zip(dims, blocks, strict=False)]
    cut = [n for pair in zip(counts, blocks, strict=True) for n in pair]
    x = P.reshape(x, shape=(batch, *cut, *dims[spatial:]))
    inner = [2 * i + 2 for i in range(spatial)]
    x = P.transpose(x, perm=(*inner, 0, *[i - 1 for i in inner], *range(2 * spatial + 1, len(x.dims))))
    return P.reshape(x, shape=(batch * math.prod(blocks), *counts, *dims[spatial:]))


@export("batch_to_space")
def batch_to_space(input, block_shape, crops, name=None):
    """The inverse of `space_to_batch`: examples put back as blocks, then `crops` cut off.

    Raises:
        InvalidArgumentError: the batch is no multiple of a block.

    Example:
        >>> import tapeflow as tf
        >>> tf.batch_to_space([[1, 3], [2, 4]], [2], [[0, 0]]).numpy().tolist()
        [[1, 2, 3, 4]]
    """
    x = convert_to_tensor(input)
    blocks, rows = _blocks("batch_to_space", x, block_shape, crops, "crops")
    spatial = len(blocks)
    _check_rank("batch_to_space", x, spatial)
    batch, *dims = dims_of(x)
    size = math.prod(blocks)
    if batch.__class__ is int and size.__class__ is int and batch % size:
        raise invalid(
            "batch_to_space", f"Input batch dimension ({batch}) is not divisible by product of block sizes ({size})"
        )
    x = P.reshape(x, shape=(*blocks, batch // size, *dims))
    pairs = [i for n in range(spatial) for i in (spatial + 1 + n, n)]
    x = P.transpose(x, perm=(spatial, *pairs, *range(2 * spatial + 1, len(x.dims))))
    whole = [n * block for n, block in zip(dims, blocks, strict=False)]
    x = P.reshape(x, shape=(batch // size, *whole, *dims[spatial:]))
    key = [(start, n - end, None) for n, (start, end) in zip(whole, rows, strict=True)]
    return P.strided_slice(x, key=((None, None, None), *key))


@export("required_space_to_batch_paddings")
def required_space_to_batch_paddings(input_shape, block_shape, base_paddings=None, name=None):
    """The paddings that make each axis a multiple of its block, and the crops that undo what is beyond `base_paddings`.

    Returns:
        (paddings, crops), int32 tensors [spatial axes, 2].

    Example:
        >>> import tapeflow as tf
        >>> paddings, crops = tf.required_space_to_batch_paddings([5], [2])
        >>> paddings.numpy().tolist(), crops.numpy().tolist()
        ([[0, 1]], [[0, 1]])
    """
    shape, block = [of_dtype("required_space_to_batch_paddings", 0, x, int32) for x in (input_shape, block_shape)]
    if block.dims is not None and len(block.dims) != 1:
        raise ValueError(f"Shape {block.shape} of block_shape must have rank 1")
    if not shape.shape.is_compatible_with(block.shape):
        if block.dims == (0,):
            shape = shape[:0]  # no block, no spatial axis
        else:
            raise ValueError(f"Shapes {shape.shape} of input_shape and {block.shape} of block_shape are incompatible")
    if base_paddings is None:
        start = end = P.zeros_like(shape)
    else:
        paddings = of_dtype("required_space_to_batch_paddings", 2, base_paddings, int32)
        if not paddings.shape.is_compatible_with((block.shape[0], 2)):
            raise ValueError(f"Shapes {paddings.shape} of base_paddings and {[block.shape[0], 2]} are incompatible")
        start, end = P.unstack(paddings, axis=1, num=2)
    extra = P.floormod(block - P.floormod(shape + start + end, block), block)
    return P.stack(start, end + extra, axis=1), P.stack(P.zeros_like(extra), extra, axis=1)


# Patches: one gather an axis picks [count, size] positions, and a transpose puts the patch axes last.


def _largest(a, b):
    if a.__class__ is int and b.__class__ is int:
        return max(a, b)
    return P.maximum(*[n if isinstance(n, Tensor) else convert_to_tensor(n) for n in (a, b)])


def _patch_grid(n, size, stride, rate, same):
    """(how many patches, zeros before, zeros behind) along an axis of `n` elements."""
    extent = (size - 1) * rate + 1
    if not same:
        return _largest((n - extent + stride) // stride, 0), 0, 0
    count = (n + stride - 1) // stride
    missing = _largest((count - 1) * stride + extent - n, 0)
    return count, missing // 2, missing - missing // 2


def _positions(count, size, stride, rate):
    """[count, size] positions."""
    if count.__class__ is int:
        return wrap((np.arange(count)[:, None] * stride + np.arange(size) * rate).astype(np.int32))
    zero, one = operand(0, count), operand(1, count)
    starts = P.expand_dims(P.range(zero, count, one), axis=(1,)) * stride
    return starts + wrap((np.arange(size) * rate).astype(np.int32))


def _patches(op, x, sizes, strides, rates, padding):
    """Patches of the axes between the batch and the depth, flattened into the depth."""
    spatial = len(x.dims) - 2
    if padding not in ("SAME", "VALID"):
        raise invalid(op, f'Value for attr \'padding\' of "{padding}" is not in the list of allowed values: "SAME", "VALID"')
    batch, *dims, depth = dims_of(x)
    grids = [_patch_grid(*row, padding == "SAME") for row in zip(dims, sizes, strides, rates, strict=True)]
    if any(n.__class__ is not int or n for _, *row in grids for n in row):
        x = P.pad(x, paddings=((0, 0), *[(before, after) for _, before, after in grids], (0, 0)))
    for i, (size, stride, rate, (count, _, _)) in enumerate(zip(sizes, strides, rates, grids, strict=True)):
        x = P.gather(x, _positions(count, size, stride, rate), axis=1 + 2 * i, batch_dims=0)
    outer = [1 + 2 * i for i in range(spatial)]
    x = P.transpose(x, perm=(0, *outer, *[i + 1 for i in outer], 2 * spatial + 1))
    return P.reshape(x, shape=(batch, *[count for count, _, _ in grids], math.prod(sizes) * depth))


def _spatial(op, what, values, rank):
    values = static_dims(values)
    if len(values) != rank:
        raise invalid(op, f"{what} must have length {rank}, got {list(values)}")
    if values[0] != 1 or values[-1] != 1:
        raise UnimplementedError(None, None, f"Only support {what} across space, got {list(values)} [Op:{op}]")
    return values[1:-1]


@export("image.extract_patches")
def extract_patches(images, sizes, strides, rates, padding, name=None):
    """The patches of images, each flattened into the depth of one pixel of the result.

    Args:
        images: [batch, height, width, depth].
        sizes: [1, rows, columns, 1] of a patch.
        strides: [1, down, right, 1] from one patch to the next.
        rates: [1, down, right, 1] from one pixel of a patch to the next.
        padding: "VALID" or "SAME" (with zeros around the images).

    Returns:
        [batch, patches down, patches right, rows * columns * depth].

    Raises:
        InvalidArgumentError: images that are not 4-D, or another padding.

    Example:
        >>> import tapeflow as tf
        >>> images = tf.reshape(tf.range(9), [1, 3, 3, 1])
        >>> ones = [1, 1, 1, 1]
        >>> tf.image.extract_patches(images, [1, 2, 2, 1], ones, ones, "VALID")[0, 0, 0].numpy().tolist()
        [0, 1, 3, 4]
    """
    x = of_rank(convert_to_tensor(images), 4)
    if len(x.dims) != 4:
        raise invalid("extract_patches", f"input must be 4-dimensional{list(x.dims)}")
    parts = [
        _spatial("extract_patches", what, v, 4) for what, v in (("ksizes", sizes), ("strides", strides), ("rates", rates))
    ]
    return _patches("extract_patches", x, *parts, padding)


@export("extract_volume_patches")
def extract_volume_patches(input, ksizes, strides, padding, name=None):
    """The patches of volumes [batch, depth, rows, columns, channels]; see `tf.image.extract_patches`.

    Example:
        >>> import tapeflow as tf
        >>> tf.extract_volume_patches(tf.ones([1, 2, 2, 2, 3]), [1, 2, 2, 2, 1], [1, 1, 1, 1, 1], "VALID").shape
        TensorShape([1, 1, 1, 1, 24])
    """
    x = of_rank(convert_to_tensor(input), 5)
    if len(x.dims) != 5:
        raise invalid("extract_volume_patches", f"input must be 5-dimensional{list(x.dims)}")
    sizes, strides = [
        _spatial("extract_volume_patches", what, v, 5) for what, v in (("ksizes", ksizes), ("strides", strides))
    ]
    return _patches("extract_volume_patches", x, sizes, strides, (1, 1, 1), padding)


@export("linalg.tensor_diag")
def tensor_diag(diagonal, name=None):
    """The tensor of twice the rank with `diagonal` where both halves of the coordinates agree, else 0.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.tensor_diag([1, 2]).numpy().tolist()
        [[1, 0], [0, 2]]
    """
    x = convert_to_tensor(diagonal)
    if x._dtype is string:
        raise invalid("tensor_diag", "Value for attr 'T' of string is not in the list of allowed values: numbers and bools")
    dims = dims_of(x)
    if not dims:
        raise invalid("tensor_diag", "Input must be at least rank 1, got 0")
    flat = P.reshape(x, shape=(-1,))
    count = dims_of(flat)[0]
    # A row of the diagonal's element and as many zeros as there are elements, n times, without the last zeros.
    spaced = P.reshape(P.pad(P.expand_dims(flat, axis=(1,)), paddings=((0, 0), (0, count))), shape=(-1,))
    spaced = P.slice(spaced, begin=(0,), size=(count * count,))
    return P.reshape(spaced, shape=(*dims, *dims))


@export("linalg.tensor_diag_part")
def tensor_diag_part(input, name=None):
    """The inverse of `tensor_diag`: the elements where both halves of the coordinates agree.

    Raises:
        InvalidArgumentError: the rank is odd or 0, or the two halves of the shape differ.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.tensor_diag_part([[1, 0], [0, 2]])
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>
    """
    x = convert_to_tensor(input)
    dims = dims_of(x)
    half = len(dims) // 2
    if not dims or len(dims) % 2:
        raise invalid("tensor_diag_part", f"The rank of the tensor should be even and positive, got shape {list(dims)}")
    for i in range(half):
        if x.dims[i] != x.dims[half + i] and None not in (x.dims[i], x.dims[half + i]):
            raise invalid("tensor_diag_part", f"Invalid shape {list(dims)}: dimensions {i} and {half + i} do not match.")
    count = math.prod(dims[:half])
    return P.reshape(P.strided_slice(P.reshape(x, shape=(-1,)), key=((None, None, count + 1),)), shape=dims[:half])
