"""Shapes: asking for them and changing them, up to repeating elements."""

import math

import numpy as np

from tapeflow.api.arguments import axis_number, axis_numbers, of_rank, vector
from tapeflow.api.export import export
from tapeflow.base.dtypes import as_dtype, int32, int64
from tapeflow.base.errors import InvalidArgumentError, OpError, invalid
from tapeflow.base.shape import TensorShape, as_shape, broadcast, normalize_axis
from tapeflow.core.convert import convert_to_tensor, operand, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.ops.movement import dims_of, rank_of

# Asking for the shape


def _integer_dtype(dtype):
    dtype = int32 if dtype is None else as_dtype(dtype)
    if dtype is not int32 and dtype is not int64:
        raise InvalidArgumentError(
            None,
            None,
            f"Value for attr 'out_type' of {dtype.c_name} is not in the list of allowed values: int32, int64",
        )
    return dtype


@export("shape")
def shape(input, out_type=None, name=None):
    """The shape as a vector of integers; known while tracing where it can be.

    Example:
        >>> import tapeflow as tf
        >>> tf.shape([[1, 2, 3], [4, 5, 6]])
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([2, 3], dtype=int32)>
    """
    x = input if input.__class__ is Tensor else convert_to_tensor(input)
    dtype = int32 if out_type is None else _integer_dtype(out_type)
    dims = x.dims
    if dims is None or None in dims:
        return P.shape(x, dtype=dtype)
    return wrap(np.array(dims, dtype.numpy_dtype))


@export("shape_n")
def shape_n(input, out_type=int32, name=None):
    """A list of the shapes of several tensors; see `shape`.

    Example:
        >>> import tapeflow as tf
        >>> [s.numpy().tolist() for s in tf.shape_n([[1, 2], [[3]]])]
        [[2], [1, 1]]
    """
    return [shape(x, out_type) for x in input]


@export("size")
def size(input, out_type=None, name=None):
    """The number of elements, a scalar integer.

    Example:
        >>> import tapeflow as tf
        >>> tf.size([[1, 2, 3], [4, 5, 6]])
        <tf.Tensor: shape=(), dtype=int32, numpy=6>
    """
    x = convert_to_tensor(input)
    dtype = _integer_dtype(out_type)
    if x.dims is None or None in x.dims:
        return P.prod(P.shape(x, dtype=dtype), axis=None)
    return wrap(dtype.type(math.prod(x.dims)))


@export("rank")
def rank(input, name=None):
    """The number of dimensions, a scalar int32.

    Example:
        >>> import tapeflow as tf
        >>> tf.rank([[1, 2, 3], [4, 5, 6]])
        <tf.Tensor: shape=(), dtype=int32, numpy=2>
    """
    x = convert_to_tensor(input)
    if x.dims is None:
        return P.strided_slice(P.shape(P.shape(x)), key=(0,))
    return wrap(np.int32(len(x.dims)))


@export("broadcast_static_shape")
def broadcast_static_shape(shape_x, shape_y):
    """The `TensorShape` that two shapes broadcast to.

    Raises:
        ValueError: they do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.broadcast_static_shape(tf.TensorShape([2, 1]), tf.TensorShape([3]))
        TensorShape([2, 3])
    """
    return TensorShape(broadcast(as_shape(shape_x)._dims, as_shape(shape_y)._dims))


@export("broadcast_dynamic_shape")
def broadcast_dynamic_shape(shape_x, shape_y):
    """The shape, an integer vector, that two shapes (integer vectors) broadcast to.

    Raises:
        InvalidArgumentError: they do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.broadcast_dynamic_shape([2, 1], [3])
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([2, 3], dtype=int32)>
    """
    x, y = [convert_to_tensor(s, int32 if isinstance(s, (list, tuple)) and not len(s) else None) for s in (shape_x, shape_y)]
    if x._dtype is not y._dtype:
        x, y = P.cast(x, dtype=int64), P.cast(y, dtype=int64)
    return P.broadcast_shape(x, y)


# Changing the shape


@export("reshape")
def reshape(tensor, shape, name=None):
    """The same elements in another shape; one size may be -1: whatever remains.

    Raises:
        InvalidArgumentError: the shape does not hold the elements.

    Example:
        >>> import tapeflow as tf
        >>> tf.reshape([1, 2, 3, 4], [2, -1]).numpy().tolist()
        [[1, 2], [3, 4]]
    """
    if tensor.__class__ is not Tensor:
        tensor = convert_to_tensor(tensor)
    return P.reshape(tensor, shape=static_dims(shape))


@export("expand_dims")
def expand_dims(input, axis, name=None):
    """`input` with a new dimension of size 1 at `axis` of the result.

    Raises:
        InvalidArgumentError: there is no such axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.expand_dims([1, 2], 0)
        <tf.Tensor: shape=(1, 2), dtype=int32, numpy=array([[1, 2]], dtype=int32)>
    """
    if axis.__class__ is not int:
        axis = axis_number(axis, "dim")
    return P.expand_dims(input if input.__class__ is Tensor else convert_to_tensor(input), axis=(axis,))


@export("squeeze")
def squeeze(input, axis=None, name=None):
    """`input` without dimensions of size 1: all of them, or those at `axis`.

    Raises:
        InvalidArgumentError: a dimension at `axis` is not 1.

    Example:
        >>> import tapeflow as tf
        >>> tf.squeeze([[[1], [2]]], axis=0).numpy().tolist()
        [[1], [2]]
    """
    x = convert_to_tensor(input)
    if isinstance(axis, str):
        raise TypeError(f"Expected int for argument 'axis' not {axis!r}.")
    if isinstance(axis, float) and axis.is_integer():
        axis = int(axis)
    axes = None if axis is None else axis_numbers(axis)
    if axes and len(axes) > 1 and x.dims is not None:
        axes = tuple(dict.fromkeys([i if i < 0 or i >= len(x.dims) else i - len(x.dims) for i in axes]))
    return P.squeeze(x, axis=axes or None)


@export("transpose")
def transpose(a, perm=None, conjugate=False, name="transpose"):
    """`a` with its axes in the order `perm`; reversed by default.

    Args:
        perm: axis `i` of the result is axis `perm[i]` of `a`.
        conjugate: whether complex elements are conjugated.

    Raises:
        InvalidArgumentError: `perm` is no permutation of the axes.

    Example:
        >>> import tapeflow as tf
        >>> tf.transpose([[1, 2, 3], [4, 5, 6]]).numpy().tolist()
        [[1, 4], [2, 5], [3, 6]]
    """
    x = a if a.__class__ is Tensor else convert_to_tensor(a)
    if perm is None:
        perm = tuple(range(len(x.dims) - 1, -1, -1)) if x.dims is not None else _reversed_axes(x)
    else:
        perm, given = static_dims(perm), perm
        if perm.__class__ is not tuple or any(isinstance(i, Tensor) for i in perm):
            perm = convert_to_tensor(given)
        elif isinstance(given, (Tensor, np.ndarray)) and np.ndim(given) != 1:
            raise invalid("transpose", f"perm must be rank 1, got shape {list(np.shape(given))}")
    if conjugate and x._dtype.is_complex:
        x = P.conj(x)
    return P.transpose(x, perm=perm)


def _reversed_axes(x):
    count, one = rank(x), operand(1, rank(x))
    return P.range(count - one, -one, -one)


@export("broadcast_to")
def broadcast_to(input, shape, name=None):
    """`input` repeated along new leading axes and axes of size 1 until it has the shape.

    Raises:
        InvalidArgumentError: it does not broadcast to the shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.broadcast_to([1, 2], [2, 2]).numpy().tolist()
        [[1, 2], [1, 2]]
    """
    return P.broadcast_to(convert_to_tensor(input), shape=vector(shape, "broadcast_to", "shape"))


@export("tile")
def tile(input, multiples, name=None):
    """`input` put behind itself `multiples[i]` times along each axis `i`.

    Raises:
        InvalidArgumentError: a negative multiple, or not one for each axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.tile([1, 2], [2])
        <tf.Tensor: shape=(4,), dtype=int32, numpy=array([1, 2, 1, 2], dtype=int32)>
    """
    x = convert_to_tensor(input)
    counts = vector(multiples, "tile", "multiples")
    if counts.__class__ is not tuple:
        counts = tuple(P.unstack(counts, axis=0, num=rank_of(x)))
    x = of_rank(x, len(counts))
    dims = dims_of(x)
    if len(counts) != len(dims):
        raise invalid(
            "tile", f"Expected multiples argument to be a vector of length {len(dims)} but got length {len(counts)}"
        )
    for i, m in enumerate(counts):
        if m.__class__ is int and m < 0:
            raise invalid("tile", f"Expected multiples[{i}] >= 0, but got {m}")
    before, spread, after = [], [], []
    for n, m in zip(dims, counts, strict=True):
        if m.__class__ is int and m == 1:
            before.append(n)
            spread.append(n)
            after.append(n)
        else:
            before += [1, n]
            spread += [m, n]
            after.append(n * m)
    if len(before) == len(dims):
        return P.identity(x)
    spread = P.broadcast_to(P.reshape(x, shape=tuple(before)), shape=tuple(spread))
    return P.reshape(spread, shape=tuple(after))


@export("repeat")
def repeat(input, repeats, axis=None, name=None):
    """Each element along `axis` repeated, `repeats` times or `repeats[i]` times.

    Args:
        axis: an axis; None repeats the elements of the flattened input.

    Raises:
        ValueError: there is no such axis, or not one number for each element along it.
        InvalidArgumentError: a negative number of repeats.

    Example:
        >>> import tapeflow as tf
        >>> tf.repeat(["a", "b"], [2, 1]).numpy().tolist()
        [b'a', b'a', b'b']
    """
    x = convert_to_tensor(input)
    if axis is None:
        x, axis = P.reshape(x, shape=(-1,)), 0
    if x.dims == ():
        x = P.expand_dims(x, axis=(0,))
    rank = rank_of(x)
    if axis.__class__ is not int or not 0 <= axis < rank:
        axis = normalize_axis(_repeat_axis(axis), rank)
    if repeats.__class__ is int:
        return _repeat_all(x, axis, repeats)
    counts = convert_to_tensor(repeats, int32 if repeats.__class__ is list and not repeats else None)
    if not counts._dtype.is_integer:
        raise TypeError(f"Argument `repeats` must be of type integer. Received {counts!r} of dtype: {counts._dtype}")
    if counts.dims is not None and len(counts.dims) > 1:
        raise ValueError(f"Shape {counts.shape} must have rank at most 1")
    if counts.dims in ((), (1,)):
        return _repeat_all(x, axis, static_dims(counts)[0])
    size = x.dims[axis]
    if None not in (size, counts.dims[0]) and size != counts.dims[0]:
        raise ValueError(f"Dimensions {size} and {counts.dims[0]} are not compatible")
    if axis:
        return P.gather(x, P.repeat_indices(counts), axis=axis, batch_dims=0)
    # The cotangent of a gather along axis 0 is IndexedSlices, that of a repeat is dense.
    return P.squeeze(P.gather(P.expand_dims(x, axis=(0,)), P.repeat_indices(counts), axis=1, batch_dims=0), axis=(0,))


def _repeat_axis(axis):
    """The axis as an int; tf.repeat alone has a TypeError for whatever is none."""
    try:
        return axis_number(axis)
    except (ValueError, OpError):
        raise TypeError(f"Argument `axis` must be an int. Received `axis` = {axis} of type {type(axis).__name__}") from None


def _repeat_all(x, axis, count):
    if count.__class__ is int and count < 0:
        raise invalid("repeat", f"Expected repeats >= 0, but got {count}")
    dims = dims_of(x)
    spread = P.broadcast_to(P.expand_dims(x, axis=(axis + 1,)), shape=(*dims[: axis + 1], count, *dims[axis + 1 :]))
    return P.reshape(spread, shape=(*dims[:axis], dims[axis] * count, *dims[axis + 1 :]))


@export("ensure_shape")
def ensure_shape(x, shape, name=None):
    """`x`, with what `shape` says about its shape known while tracing, and checked when it runs.

    Raises:
        InvalidArgumentError: the shape is another.

    Example:
        >>> import tapeflow as tf
        >>> tf.ensure_shape([1, 2], [None]).shape
        TensorShape([2])
    """
    return P.ensure_shape(convert_to_tensor(x), shape=as_shape(shape)._dims)


@export("bitcast")
def bitcast(input, type, name=None):
    """The bits of `input` read as another dtype; where its size differs, the last axis appears or goes.

    Raises:
        InvalidArgumentError: the last axis does not make up one element.

    Example:
        >>> import tapeflow as tf
        >>> hex(tf.bitcast(1.0, tf.uint32).numpy())
        '0x3f800000'
    """
    return P.bitcast(convert_to_tensor(input), dtype=as_dtype(type))
