"""What makes arrays: zeros, ones, ranges, grids, one-hot rows and masks; and what passes a tensor on as it is."""

import builtins

import numpy as np

from tapeflow.api.arguments import axis_number, whole_number
from tapeflow.api.export import export
from tapeflow.base import nest
from tapeflow.base.dtypes import as_dtype, bfloat16, bool_, float16, float32, float64, int8, int16, int32, int64, string
from tapeflow.base.errors import OpError, invalid
from tapeflow.core.composite import Composite
from tapeflow.core.convert import convert_to_tensor, operand, static_dims, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.ops.movement import dims_of, rank_of


def _shape(shape):
    """A shape argument of a maker of constants."""
    if isinstance(shape, (float, str)) or (
        isinstance(shape, (list, tuple)) and any(isinstance(n, (float, str)) for n in shape)
    ):
        raise TypeError(f"Cannot convert {shape!r} to EagerTensor of dtype int32")
    return static_dims(shape)


@export("zeros")
def zeros(shape, dtype=float32, name=None, layout=None):
    """A tensor of zeros (False, or empty strings).

    Args:
        shape: integers: a list, a tensor, a `TensorShape`, or one number.

    Raises:
        InvalidArgumentError: a negative dimension.

    Example:
        >>> import tapeflow as tf
        >>> tf.zeros([2], tf.int32)
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([0, 0], dtype=int32)>
    """
    return P.fill(shape=_shape(shape), value=0, dtype=as_dtype(dtype))


@export("ones")
def ones(shape, dtype=float32, name=None, layout=None):
    """A tensor of ones (True); see `zeros`.

    Example:
        >>> import tapeflow as tf
        >>> tf.ones([2])
        <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 1.], dtype=float32)>
    """
    dtype = as_dtype(dtype)
    if dtype is string:
        raise TypeError("Cannot convert 1 to EagerTensor of dtype string")
    return P.fill(shape=_shape(shape), value=1, dtype=dtype)


@export("fill")
def fill(dims, value, name=None, layout=None):
    """A tensor of shape `dims` whose elements are all the scalar `value`.

    Raises:
        InvalidArgumentError: a negative dimension, or a `value` that is no scalar.

    Example:
        >>> import tapeflow as tf
        >>> tf.fill([3], 7)
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([7, 7, 7], dtype=int32)>
    """
    dims = _shape(dims)
    x = convert_to_tensor(value)
    if x.dims not in ((), None):
        raise invalid("fill", f"value must represent a scalar, got shape {list(x.dims)}")
    if value.__class__ in (int, float, bool):
        return P.fill(shape=dims, value=value, dtype=x._dtype)
    if dims.__class__ is tuple:
        for n in dims:
            if n.__class__ is int and n < 0:
                raise invalid("fill", f"Dimension {n} must be >= 0")
    return P.broadcast_to(x, shape=dims)


@export("zeros_like")
def zeros_like(input, dtype=None, name=None, layout=None):
    """Zeros of the shape (and, unless `dtype` is given, of the dtype) of `input`.

    Example:
        >>> import tapeflow as tf
        >>> tf.zeros_like([1.5, 2.5])
        <tf.Tensor: shape=(2,), dtype=float32, numpy=array([0., 0.], dtype=float32)>
    """
    x = convert_to_tensor(input)
    dtype = x._dtype if dtype is None else as_dtype(dtype)
    return P.zeros_like(x) if dtype is x._dtype else _filled(x, 0, dtype)


@export("ones_like")
def ones_like(input, dtype=None, name=None, layout=None):
    """Ones of the shape (and, unless `dtype` is given, of the dtype) of `input`.

    Example:
        >>> import tapeflow as tf
        >>> tf.ones_like([1.5, 2.5], dtype=tf.int32)
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 1], dtype=int32)>
    """
    x = convert_to_tensor(input)
    dtype = x._dtype if dtype is None else as_dtype(dtype)
    if dtype is string:
        raise invalid("ones_like", "Value for attr 'T' of string is not in the list of allowed values: numbers and bool")
    return P.ones_like(x) if dtype is x._dtype else _filled(x, 1, dtype)


def _filled(x, value, dtype):
    if isinstance(x, Composite):
        return P.cast(P.ones_like(x) if value else P.zeros_like(x), dtype=dtype)
    return P.fill(shape=x.dims if x.dims is not None and None not in x.dims else P.shape(x), value=value, dtype=dtype)


@export("eye", "linalg.eye")
def eye(num_rows, num_columns=None, batch_shape=None, dtype=float32, name=None):
    """An identity matrix [num_rows, num_columns], or a batch of them.

    Example:
        >>> import tapeflow as tf
        >>> tf.eye(2, dtype=tf.int32).numpy().tolist()
        [[1, 0], [0, 1]]
    """
    dtype = as_dtype(dtype)
    rows = _eye_size(num_rows, "num_rows")
    columns = rows if num_columns is None else _eye_size(num_columns, "num_columns")
    if rows.__class__ is int and columns.__class__ is int:
        if min(rows, columns) < 0:
            raise invalid("eye", f"Dimension {min(rows, columns)} must be >= 0")
        matrix = wrap(np.eye(rows, columns, dtype=dtype.numpy_dtype))
    else:
        down = P.expand_dims(range(P.cast(convert_to_tensor(rows), dtype=int32)), axis=(1,))
        matrix = P.cast(P.equal(down, range(P.cast(convert_to_tensor(columns), dtype=int32))), dtype=dtype)
    if batch_shape is None:
        return matrix
    batch = static_dims(batch_shape)
    return P.broadcast_to(matrix, shape=(*batch, rows, columns))


def _eye_size(value, name):
    try:
        return whole_number(value, name)
    except (ValueError, OpError):
        if isinstance(value, Tensor):
            raise
        raise TypeError(
            f"Arguments `num_rows` and `num_columns` must be positive integer values. Received: {name}={value}"
        ) from None


# Of several the dtype of a range is the last in this order.
_RANGE_DTYPES = (int8, int16, int32, int64, float16, bfloat16, float32, float64)
_RANGE_ORDER = {dtype: place for place, dtype in enumerate(_RANGE_DTYPES)}


@export("range")
def range(start, limit=None, delta=1, dtype=None, name="range"):
    """The numbers start, start + delta, ... before `limit`; `range(limit)` starts from 0.

    Args:
        start, limit, delta: scalars. The widest of their dtypes (int32, int64, float32, float64) is the result's.

    Raises:
        InvalidArgumentError: `delta` is 0 or leads away from `limit`, or an argument is no scalar.

    Example:
        >>> import tapeflow as tf
        >>> tf.range(3, 10, 3)
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([3, 6, 9], dtype=int32)>
    """
    if limit is None:
        start, limit = 0, start
    if dtype is None and start.__class__ is int and limit.__class__ is int and delta.__class__ is int:
        ends_in_order = (delta > 0 and start <= limit) or (delta < 0 and limit <= start)
        if ends_in_order and max(abs(start), abs(limit)) < 2**31:
            return wrap(np.arange(start, limit, delta, np.int32))
    dtype = None if dtype is None else as_dtype(dtype)
    parts = [x if isinstance(x, Tensor) else convert_to_tensor(x, dtype) for x in (start, limit, delta)]
    if dtype is None:
        for x in parts:
            if x._dtype is string or x._dtype is bool_ or x._dtype.is_complex:
                raise TypeError(f"tf.range takes real numbers, got dtype {x._dtype.name}: {x!r}")
        dtype = max([x._dtype for x in parts], key=lambda d: _RANGE_ORDER.get(d, len(_RANGE_ORDER)))
    if dtype.is_unsigned:  # -1 would stand for a limit of billions
        raise invalid("range", f"Value for attr 'Tidx' of {dtype.c_name} is not in the list of allowed values")
    parts = [x if x._dtype is dtype else P.cast(x, dtype=dtype) for x in parts]
    known = [static_value(x) for x in parts]
    if any(value is None for value in known):
        return P.range(*parts)
    return P.range(*[wrap(value) for value in known])


@export("linspace")
def linspace(start, stop, num, name=None, axis=0):
    """`num` numbers evenly from `start` to `stop`, both included, along a new axis.

    Args:
        start, stop: tensors of one dtype that broadcast; integers become float64.
        num: how many; an integer.
        axis: where the new axis is in the result.

    Raises:
        TypeError: `num` is no integer.
        InvalidArgumentError: `num` is negative.

    Example:
        >>> import tapeflow as tf
        >>> tf.linspace(0.0, 1.0, 3)
        <tf.Tensor: shape=(3,), dtype=float32, numpy=array([0. , 0.5, 1. ], dtype=float32)>
    """
    start = convert_to_tensor(start)
    stop = convert_to_tensor(stop, start._dtype)
    if start._dtype.is_integer:
        start, stop = P.cast(start, dtype=float64), P.cast(stop, dtype=float64)
    if isinstance(num, float):
        raise TypeError(f"Argument `num` must be an integer, got {num}: `tensor` must be of type integer")
    num = whole_number(num, "num")
    if num.__class__ is int and num < 0:
        raise invalid("linspace", f"Requires num >= 0, got {num}")
    if start.dims != stop.dims:
        zero = P.zeros_like(start - stop)
        start, stop = start + zero, stop + zero
    axis = axis_number(axis)
    axis = axis if axis >= 0 else axis + rank_of(start) + 1
    first, last = P.expand_dims(start, axis=(axis,)), P.expand_dims(stop, axis=(axis,))
    if num.__class__ is int:
        steps = wrap(np.arange(1, max(num - 1, 1)).astype(start._dtype.numpy_dtype))
        gaps = operand(float(max(num - 1, 1)), start)
    else:
        steps = P.cast(range(1, P.maximum(num - 1, operand(1, num))), dtype=start._dtype)
        gaps = P.cast(P.maximum(num - 1, operand(1, num)), dtype=start._dtype)
    steps = P.reshape(steps, shape=(-1, *(1,) * (len(start.dims) - axis)))
    between = first + (last - first) / gaps * steps
    return P.strided_slice(P.concat(first, between, last, axis=axis), key=(*((None, None, None),) * axis, (None, num, None)))


@export("identity")
def identity(input, name=None):
    """A tensor equal to `input`.

    Example:
        >>> import tapeflow as tf
        >>> tf.identity(3.0)
        <tf.Tensor: shape=(), dtype=float32, numpy=3.0>
    """
    if (
        input.__class__ is not Tensor
        and getattr(input, "_type_spec", None) is not None
        and not hasattr(input, "__tf_tensor__")
    ):
        return nest.map_structure(lambda x: P.identity(convert_to_tensor(x)), input, expand_composites=True)
    return P.identity(convert_to_tensor(input))


@export("identity_n")
def identity_n(input, name=None):
    """A list of tensors equal to those of `input`.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().item() for x in tf.identity_n([1.5, 2])]
        [1.5, 2]
    """
    return [P.identity(convert_to_tensor(x)) for x in input]


@export("stop_gradient")
def stop_gradient(input, name=None):
    """`input`, through which no gradient flows back.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.Variable(3.0)
        >>> with tf.GradientTape() as tape:
        ...     y = x * tf.stop_gradient(x)
        >>> tape.gradient(y, x)
        <tf.Tensor: shape=(), dtype=float32, numpy=3.0>
    """
    return P.stop_gradient(convert_to_tensor(input))


@export("guarantee_const")
def guarantee_const(input, name=None):
    """`input`; graphs need no such promise here."""
    return P.identity(convert_to_tensor(input))


@export("one_hot")
def one_hot(indices, depth, on_value=None, off_value=None, axis=None, dtype=None, name=None):
    """`on_value` (1) at each index of a new axis of size `depth`, elsewhere `off_value` (0).

    Args:
        indices: integers; those outside [0, depth) give `off_value` throughout.
        depth: a scalar integer.
        on_value, off_value: scalars of one dtype.
        axis: where the new axis is; last by default.
        dtype: the result's dtype; that of the values, or float32.

    Raises:
        TypeError: values of different dtypes.
        InvalidArgumentError: a negative depth, an axis that is not there, or indices that are no integers.

    Example:
        >>> import tapeflow as tf
        >>> tf.one_hot([2, 0], 3).numpy().tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    x = convert_to_tensor(indices, int32 if indices.__class__ is list and not indices else None)
    if isinstance(indices, (float, complex)):
        raise TypeError(f"Cannot convert {indices!r} to EagerTensor of dtype int64: one_hot takes integers")
    if not x._dtype.is_integer:
        raise invalid(
            "one_hot",
            f"Value for attr 'TI' of {x._dtype.c_name} is not in the list of allowed values: uint8, int8, int32, int64",
        )
    depth = whole_number(depth, "depth", takes="int32")
    if depth.__class__ is int and depth < 0:
        raise invalid("one_hot", f"depth must be non-negative, got: {depth}")
    on, off, dtype = _on_off(on_value, off_value, None if dtype is None else as_dtype(dtype))
    axis = -1 if axis is None else axis_number(axis)
    if axis < -1 or (x.dims is not None and axis > len(x.dims)):
        raise invalid("one_hot", f"Expected axis to be -1 or between [0, {rank_of(x) + 1}).  But received: {axis}")
    if x._dtype is not int32 and x._dtype is not int64:
        x = P.cast(x, dtype=int64 if x._dtype.size > 2 else int32)
    if depth.__class__ is int:
        numbers = wrap(np.arange(depth, dtype=x._dtype.numpy_dtype))
    else:
        numbers = range(0, depth, dtype=x._dtype)
    if axis != -1:
        numbers = P.reshape(numbers, shape=(-1, *(1,) * (rank_of(x) - axis)))
    hits = P.equal(P.expand_dims(x, axis=(axis,)), numbers)
    return P.cast(hits, dtype=dtype) if on is None else P.where(hits, on, off)


def _on_off(on_value, off_value, dtype):
    """The two values as tensors (None, None where they are 1 and 0), and their dtype."""
    if on_value is None and off_value is None:
        dtype = dtype or float32
        if dtype is bool_:
            raise TypeError("Cannot convert 1 to EagerTensor of dtype bool: tf.one_hot needs on_value and off_value here")
        return (None, None, dtype) if dtype is not string else _on_off("", "", dtype)
    given = [None if value is None else convert_to_tensor(value, dtype) for value in (on_value, off_value)]
    found = [x._dtype for x in given if x is not None]
    if len(found) == 2 and found[0] is not found[1]:
        raise TypeError(f"dtype {found[0]} of on_value does not match dtype {found[1]} of off_value")
    on, off = [convert_to_tensor(default, found[0]) if x is None else x for x, default in zip(given, (1, 0), strict=True)]
    return P.stop_gradient(on), P.stop_gradient(off), found[0]


@export("meshgrid")
def meshgrid(*args, **kwargs):
    """For N vectors N tensors of rank N that hold the coordinates of the grid they span.

    Args:
        *args: tensors, which are flattened.
        indexing: "xy" (the first two axes swapped, as in plots) or "ij".

    Raises:
        ValueError: another `indexing`.
        TypeError: another keyword.

    Example:
        >>> import tapeflow as tf
        >>> x, y = tf.meshgrid([1, 2, 3], [4, 5])
        >>> x.numpy().tolist(), y.numpy().tolist()
        ([[1, 2, 3], [1, 2, 3]], [[4, 4, 4], [5, 5, 5]])
    """
    indexing = kwargs.pop("indexing", "xy")
    kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"'{next(iter(kwargs))}' is an invalid keyword argument for this function")
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Argument `indexing` parameter must be either 'xy' or 'ij', got '{indexing}'")
    if args and args[0] is None:
        raise TypeError("tf.meshgrid takes tensors, got None: a 'NoneType' object is not subscriptable")
    vectors = [P.reshape(convert_to_tensor(x), shape=(-1,)) for x in args]
    for i, x in enumerate(vectors):
        if x._dtype is not vectors[0]._dtype:
            dtypes = f"{vectors[0]._dtype.name} and {x._dtype.name}"
            raise invalid("meshgrid", f"all arguments must have one dtype: arguments 0 and {i} are {dtypes}")
    places = list(builtins.range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        places[:2] = [1, 0]
    sizes = [dims_of(x)[0] for x in vectors]
    dims = tuple([sizes[places.index(i)] for i in builtins.range(len(vectors))])
    grids = []
    for x, place in zip(vectors, places, strict=True):
        lined = P.reshape(x, shape=(-1, *(1,) * (len(vectors) - place - 1)))
        grids.append(P.broadcast_to(lined, shape=dims))
    return grids


@export("sequence_mask")
def sequence_mask(lengths, maxlen=None, dtype=bool_, name=None):
    """For each length the mask of its first positions: [..., maxlen] with True where the position is below the length.

    Args:
        lengths: integers.
        maxlen: the size of the new last axis; the largest length by default.
        dtype: the result's dtype.

    Raises:
        ValueError: `maxlen` is no scalar.

    Example:
        >>> import tapeflow as tf
        >>> tf.sequence_mask([1, 3], dtype=tf.int32).numpy().tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    lengths = convert_to_tensor(lengths)
    if maxlen is None:
        empty = 0 in (lengths.dims or ())
        maxlen = operand(0, lengths) if empty else P.maximum(P.max(lengths, axis=None), operand(0, lengths))
    elif maxlen.__class__ is not int:
        maxlen = convert_to_tensor(maxlen)
        if maxlen.dims not in ((), None):
            shape = f"{maxlen} with shape '{maxlen.shape}'"
            raise ValueError(f"Argument `maxlen` must be scalar for sequence_mask, received `maxlen` = {shape} instead")
    positions = range(0, maxlen, 1)
    mask = P.less(positions, P.expand_dims(P.cast(lengths, dtype=positions._dtype), axis=(-1,)))
    dtype = as_dtype(dtype)
    return mask if dtype is bool_ else P.cast(mask, dtype=dtype)
