"""Ops that move elements and compute nothing: reshape, transpose, broadcast; and the constants that they move."""

import math

import numpy as np

from tapeflow.base.dtypes import as_dtype, int32
from tapeflow.base.errors import invalid
from tapeflow.base.shape import compatible, merge, num_elements
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.rules import shape_of
from tapeflow.core.tensor import Spec, Tensor
from tapeflow.ops.family import NUMBERS, sample

whole = np.s_[:]  # this package's `slice` is a primitive


def movement(name, kernel, infer, **rules):
    """Register a primitive that is linear in all its inputs together."""
    return Primitive(name, kernel, infer, lower="movement", jvp=rules.pop("jvp", "linear"), **rules)


def listed(dims):
    """A shape as TensorFlow's messages write it: `[2,?]`."""
    return "<unknown>" if dims is None else "[" + ",".join("?" if not isinstance(n, int) else str(n) for n in dims) + "]"


def rank_of(x):
    """The number of dimensions.

    Raises:
        ValueError: it is not known while tracing.
    """
    if x.dims is None:
        raise ValueError(f"The rank of {x!r} must be known here, but it is not. tf.ensure_shape sets it.")
    return len(x.dims)


def dims_of(x):
    """The dimensions as a tuple: ints where they are known, symbolic scalars where not. The rank must be known."""
    dims = x.dims
    rank_of(x)
    if None not in dims:
        return dims
    parts = P.unstack(P.shape(x), axis=0, num=len(dims))
    return tuple([part if n is None else n for n, part in zip(dims, parts, strict=True)])


def batch_size(x):
    """The length of the batch axis: an int, or a symbolic scalar."""
    return x.dims[0] if x.dims[0] is not None else dims_of(x)[0]


def shifted(op, inputs, batched, attrs):
    """Batch rule where `axis` (a tuple or an int) just moves behind the batch axis."""
    axis = attrs["axis"]
    moved = tuple(i + 1 if i >= 0 else i for i in axis) if isinstance(axis, tuple) else axis + 1 if axis >= 0 else axis
    return op(*inputs, **{**attrs, "axis": moved})


# shape: the one op that asks a tensor for its dimensions while tracing


shape = Primitive(
    "shape",
    lambda x, *, dtype=int32: np.array(x.shape, dtype.numpy_dtype),
    lambda x, *, dtype=int32: Spec((None if x.shape is None else len(x.shape),), dtype),
    samples=lambda: [((sample(2, 3),), {}), ((sample(),), {})],
)


# reshape


def _reshape_infer(x, *, shape):
    dims = known_dims(shape)
    if dims is None:
        return Spec(None, x.dtype)
    total = num_elements(x.shape)
    fixed = [n for n in dims if n is not None and n != -1]
    if dims.count(-1) > 1:
        first = dims.index(-1)
        raise invalid(
            "reshape",
            f"Only one input size may be -1, not both {first} and {dims.index(-1, first + 1)}: {listed(dims)}",
        )
    for i, n in enumerate(dims):
        if n is not None and n < -1:
            raise invalid("reshape", f"Size {i} must be non-negative, not {n}")
    if total is None or None in dims:
        return Spec(tuple(None if n == -1 else n for n in dims), x.dtype)
    size = math.prod(fixed)
    if -1 in dims and size == 0 and total == 0:
        return Spec(_empty_dims(x.shape, dims), x.dtype)
    if -1 in dims and size == 0:
        raise invalid("reshape", f"reshape cannot infer the missing input size of {listed(dims)} where another size is zero")
    if (-1 in dims and total % size) or (-1 not in dims and size != total):
        raise invalid(
            "reshape",
            f"Input to reshape is a tensor with {total} values, but the requested shape "
            f"{'requires a multiple of' if -1 in dims else 'has'} {size}: {listed(x.shape)} to {listed(dims)}",
        )
    return Spec(tuple(total // size if n == -1 else n for n in dims), x.dtype)


def _empty_dims(old, new):
    """The shape of an empty tensor reshaped to `new`, which has both 0 and -1: what is missing follows from the other sizes."""
    missing = math.prod(n for n in old if n) // math.prod(n for n in new if n > 0)
    return tuple(missing if n == -1 else n for n in new)


def _reshape_batch(op, inputs, batched, attrs):
    (x,) = inputs
    return op(x, shape=(batch_size(x), *attrs["shape"]))


def _reshaped_back(g, x_shape):
    return P.reshape(g, shape=x_shape)


def _reshape_kernel(x, *, shape):
    if shape and min(shape) < -1:  # NumPy takes any negative size for -1
        raise ValueError(shape)
    if 0 in shape and -1 in shape and not x.size and shape.count(-1) == 1:
        shape = _empty_dims(x.shape, shape)
    return x.reshape(shape)


reshape = movement(
    "reshape",
    _reshape_kernel,
    _reshape_infer,
    vjp=(_reshaped_back,),
    batch=_reshape_batch,
    samples=lambda: [
        ((sample(2, 3),), {"shape": (3, -1)}),
        ((sample(),), {"shape": (1, 1)}),
        ((sample(1),), {"shape": ()}),
    ],
)


def _expand_kernel(x, *, axis):
    if len(axis) == 1:
        (i,) = axis
        dims = x.shape
        i = i + len(dims) + 1 if i < 0 else i
        if 0 <= i <= len(dims):
            return x.reshape((*dims[:i], 1, *dims[i:]))
    return np.expand_dims(x, axis)


def _expand_infer(x, *, axis):
    if x.shape is None:
        return x
    rank = len(x.shape) + len(axis)
    for i in axis:
        if not -rank <= i < rank:
            raise invalid("expand_dims", f"Tried to expand dim index {i} for tensor with {len(x.shape)} dimensions.")
    new = {i % rank for i in axis}
    old = iter(x.shape)
    return Spec(tuple(1 if i in new else next(old) for i in range(rank)), x.dtype)


expand_dims = movement(
    "expand_dims",
    _expand_kernel,
    _expand_infer,
    vjp=(_reshaped_back,),
    batch=shifted,
    samples=lambda: (
        [((sample(2, 3),), {"axis": axis}) for axis in [(0,), (1,), (-1,), (0, 2)]] + [((sample(),), {"axis": (0,)})]
    ),
)


def _squeeze_infer(x, *, axis):
    if x.shape is None:
        return x
    rank = len(x.shape)
    for i in axis or ():
        if not -rank <= i < rank:
            raise invalid("squeeze", f"Tried to squeeze dim index {i} for tensor with {rank} dimensions.")
        if x.shape[i] not in (1, None):
            raise invalid("squeeze", f"Can not squeeze dim[{i}], expected a dimension of 1, got {x.shape[i]}")
    if axis is None:
        return Spec(None if None in x.shape else tuple(n for n in x.shape if n != 1), x.dtype)
    gone = {i % rank for i in axis}
    return Spec(tuple(n for i, n in enumerate(x.shape) if i not in gone), x.dtype)


def _squeeze_batch(op, inputs, batched, attrs):
    (x,) = inputs
    axis = attrs["axis"]
    if axis is None:
        axis = tuple(i for i, n in enumerate(x.dims[1:]) if n == 1)
    return op(x, axis=tuple(i + 1 if i >= 0 else i for i in axis))


squeeze = movement(
    "squeeze",
    lambda x, *, axis: x.squeeze(axis),
    _squeeze_infer,
    vjp=(_reshaped_back,),
    batch=_squeeze_batch,
    samples=lambda: [((sample(2, 1, 3, 1),), {"axis": axis}) for axis in [None, (1,), (-1, 1)]],
)


# transpose


def _transpose_infer(x, *, perm):
    if isinstance(perm, Tensor):
        return Spec(known_dims(perm) if x.shape is None else (None,) * len(x.shape), x.dtype)
    if x.shape is None:
        return Spec((None,) * len(perm), x.dtype)
    rank = len(x.shape)
    if len(perm) != rank:
        raise invalid(
            "transpose", f"transpose expects a vector of size {rank}. But input(1) is a vector of size {len(perm)}"
        )
    for i in perm:
        if not -rank <= i < rank:
            raise invalid("transpose", f"{i} is out of range [0 .. {rank})")
    counted = [i % rank for i in perm]
    for i in range(rank):
        if i not in counted:
            raise invalid("transpose", f"{i} is missing from {{{','.join(map(str, perm))}}}.")
    return Spec(tuple(x.shape[i] for i in perm), x.dtype)


def _transpose_vjp(g, *, perm):
    if isinstance(perm, Tensor):
        return P.transpose(g, perm=P.argsort(perm, axis=-1, descending=False))
    back = [0] * len(perm)
    for i, n in enumerate(perm):
        back[n] = i
    return P.transpose(g, perm=tuple(back))


transpose = movement(
    "transpose",
    lambda x, *, perm: x.transpose(perm),
    _transpose_infer,
    vjp=(_transpose_vjp,),
    batch=lambda op, inputs, batched, attrs: op(inputs[0], perm=(0, *[i + 1 if i >= 0 else i for i in attrs["perm"]])),
    samples=lambda: (
        [((sample(2, 3, 5),), {"perm": perm}) for perm in [(2, 0, 1), (0, 2, 1), (0, -1, 1)]] + [((sample(),), {"perm": ()})]
    ),
)


# broadcast_to, and sum_to, its transpose


def _broadcast_infer(x, *, shape):
    dims = known_dims(shape)
    for n in dims or ():
        if n is not None and n < 0:
            raise invalid("broadcast_to", f"Dimension {n} must be >= 0")
    if dims is None or x.shape is None:
        return Spec(dims, x.dtype)
    if len(x.shape) > len(dims):
        raise invalid(
            "broadcast_to",
            f"Rank of input ({len(x.shape)}) must be no greater than rank of output shape ({len(dims)}).",
        )
    if any(None not in (n, m) and n not in (1, m) for n, m in zip(x.shape[::-1], dims[::-1], strict=False)):
        raise invalid("broadcast_to", f"Incompatible shapes: {listed(x.shape)} vs. {listed(dims)}")
    return Spec(dims, x.dtype)


def _broadcast_kernel(x, *, shape):
    # Copying a small array costs less than NumPy's view, and contiguous arrays are quicker to compute with.
    if math.prod(shape) > 4096 or x.ndim > len(shape):
        return np.broadcast_to(x, shape)
    result = np.empty(shape, x.dtype)
    result[...] = x
    return result


def line_up(x, rank):
    """`x` of a batch with ones behind the batch axis until each example has `rank` dimensions."""
    missing = rank - (len(x.dims) - 1)
    return P.expand_dims(x, axis=tuple(range(1, missing + 1))) if missing > 0 else x


def _broadcast_batch(op, inputs, batched, attrs):
    (x,) = inputs
    return op(line_up(x, len(attrs["shape"])), shape=(batch_size(x), *attrs["shape"]))


broadcast_to = movement(
    "broadcast_to",
    _broadcast_kernel,
    _broadcast_infer,
    vjp=(lambda g, x_shape: P.sum_to(g, shape=x_shape),),
    batch=_broadcast_batch,
    samples=lambda: [((sample(*dims),), {"shape": (2, 3, 5)}) for dims in [(3, 1), (2, 1, 5), (), (5,)]],
)


def _sum_to_kernel(x, *, shape):
    shape = tuple(shape)
    dims = x.shape
    if dims == shape:
        return x
    extra = len(dims) - len(shape)
    if extra == 1 and dims[1:] == shape and x.dtype.kind == "f" and x.itemsize > 2:
        return np.add.reduce(x, 0)  # the usual case: the gradient of a bias
    axes = tuple(range(extra)) + tuple([i + extra for i, n in enumerate(shape) if n == 1 and dims[i + extra] != 1])
    wide = x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x
    return np.add.reduce(wide, axis=axes, dtype=wide.dtype).astype(x.dtype, copy=False).reshape(shape)


def _sum_to_batch(op, inputs, batched, attrs):
    (x,) = inputs
    extra = len(x.dims) - 1 - len(attrs["shape"])
    x = P.sum(x, axis=tuple(range(1, extra + 1)), keepdims=False) if extra else x
    return op(x, shape=(batch_size(x), *attrs["shape"]))


sum_to = movement(
    "sum_to",
    _sum_to_kernel,
    lambda x, *, shape: Spec(known_dims(shape), x.dtype),
    vjp=(lambda g, x_shape: P.broadcast_to(g, shape=x_shape),),
    batch=_sum_to_batch,
    samples=lambda: [((sample(2, 3, 5),), {"shape": dims}) for dims in [(3, 1), (2, 1, 5), (), (2, 3, 5)]],
)


# ensure_shape, bitcast


def _ensured_kernel(x, *, shape):
    if not compatible(x.shape, shape):
        raise _not_ensured(x, shape)
    return x


def _not_ensured(x, shape):
    return invalid(
        "ensure_shape",
        f"Shape of tensor input {listed(x.shape)} is not compatible with expected shape {listed(shape)}.",
    )


def _ensured_infer(x, *, shape):
    try:
        return Spec(merge(x.shape, shape), x.dtype)
    except ValueError:
        raise _not_ensured(x, shape) from None


ensure_shape = movement(
    "ensure_shape",
    _ensured_kernel,
    _ensured_infer,
    vjp=(lambda g: g,),
    batch=lambda op, inputs, batched, attrs: op(
        inputs[0], shape=None if attrs["shape"] is None else (inputs[0].dims[0], *attrs["shape"])
    ),
    samples=lambda: [((sample(2, 3),), {"shape": dims}) for dims in [(None, 3), (2, 3), None]],
)


def _bitcast_kernel(x, *, dtype):
    target = dtype.numpy_dtype
    small, large = sorted((x.dtype.itemsize, target.itemsize))
    x = np.ascontiguousarray(x).reshape(x.shape)
    if target.itemsize < x.dtype.itemsize:
        return x.reshape(-1).view(target).reshape(*x.shape, large // small)
    if small == large:
        return x.view(target)
    if not x.ndim or x.shape[-1] != large // small:
        raise ValueError(x.shape)
    return x.reshape(-1).view(target).reshape(x.shape[:-1])


def _bitcast_infer(x, *, dtype):
    if not dtype.bit & _CASTABLE:
        raise invalid(
            "bitcast", f"Value for attr 'type' of {dtype.name} is not in the list of allowed values: numeric dtypes"
        )
    ratio = (x.dtype.size or 1) / dtype.size
    if x.shape is None or ratio == 1:
        return Spec(x.shape, dtype)
    if ratio > 1:
        return Spec((*x.shape, int(ratio)), dtype)
    if not x.shape or x.shape[-1] not in (int(1 / ratio), None):
        raise invalid(
            "bitcast",
            f"Cannot bitcast from {x.dtype.name}{listed(x.shape)} to {dtype.name}: the last axis must be {int(1 / ratio)}",
        )
    return Spec(x.shape[:-1], dtype)


_CASTABLE = sum(dtype.bit for dtype in NUMBERS)
bitcast = Primitive(
    "bitcast",
    _bitcast_kernel,
    _bitcast_infer,
    batch=lambda op, inputs, batched, attrs: op(*inputs, **attrs),
    lower="movement",
    accepts=NUMBERS,
    samples=lambda: [((sample(2, 2),), {"dtype": as_dtype(name)}) for name in ["int64", "uint8", "complex128"]],
)

__all__ = ["batch_size", "dims_of", "line_up", "listed", "movement", "rank_of", "shape_of", "shifted"]
