"""Ops that move elements and compute nothing: reshape, transpose, broadcast, slices, concatenation, padding."""

import math

import numpy as np

from tapeflow.base.dtypes import as_dtype, int32, string
from tapeflow.base.errors import invalid
from tapeflow.base.shape import num_elements
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.record import shape_of
from tapeflow.core.tensor import Spec, Tensor


def movement(name, kernel, infer, **rules):
    """Register a primitive that is linear in all its inputs together."""
    return Primitive(name, kernel, infer, lower="movement", jvp=rules.pop("jvp", "linear"), **rules)


# shape: the one op that asks a tensor for its dimensions while tracing

shape = Primitive(
    "shape",
    lambda x, *, dtype=int32: np.array(x.shape, dtype.numpy_dtype),
    lambda x, *, dtype=int32: Spec((None if x.shape is None else len(x.shape),), dtype),
)


# reshape


def _reshape_infer(x, *, shape):
    dims = known_dims(shape)
    if dims is None:
        return Spec(None, x.dtype)
    total = num_elements(x.shape)
    fixed = [n for n in dims if n is not None and n != -1]
    if dims.count(-1) > 1:
        raise invalid("reshape", f"Only one input size may be -1, not both, in the shape {list(dims)}")
    if any(n < 0 for n in fixed):
        raise invalid("reshape", f"Size {next(n for n in fixed if n < 0)} must be non-negative, in the shape {list(dims)}")
    if total is None or None in dims:
        return Spec(tuple(None if n == -1 else n for n in dims), x.dtype)
    size = math.prod(fixed)
    if (-1 in dims and (size == 0 or total % size)) or (-1 not in dims and size != total):
        raise invalid(
            "reshape",
            f"Input to reshape is a tensor with {total} values (shape {list(x.shape)}), but the requested shape "
            f"{list(dims)} {'requires a multiple of' if -1 in dims else 'has'} {size}",
        )
    return Spec(tuple(total // size if n == -1 else n for n in dims), x.dtype)


def _reshape_batch(op, inputs, batched, attrs):
    (x,) = inputs
    return op(x, shape=(batch_size(x), *attrs["shape"]))


def batch_size(x):
    """The length of the batch axis: an int, or a symbolic scalar."""
    return x.dims[0] if x.dims[0] is not None else P.unstack(shape_of(x), axis=0, num=len(x.dims))[0]


reshape = movement(
    "reshape",
    lambda x, *, shape: x.reshape(shape),
    _reshape_infer,
    vjp=(lambda g, x_shape: P.reshape(g, shape=x_shape),),
    batch=_reshape_batch,
)


def _expand_kernel(x, *, axis):
    return np.expand_dims(x, axis)


def _expand_infer(x, *, axis):
    if x.shape is None:
        return x
    rank = len(x.shape) + len(axis)
    for i in axis:
        if not -rank <= i < rank:
            raise invalid("expand_dims", f"Tried to expand dim index {i} for tensor with {len(x.shape)} dimensions")
    new = {i % rank for i in axis}
    old = iter(x.shape)
    return Spec(tuple(1 if i in new else next(old) for i in range(rank)), x.dtype)


def _shifted(op, inputs, batched, attrs):
    """Batch rule where `axis` (tuple or int) just moves behind the batch axis."""
    axis = attrs["axis"]
    moved = tuple(i + 1 if i >= 0 else i for i in axis) if isinstance(axis, tuple) else axis + 1 if axis >= 0 else axis
    return op(*inputs, **{**attrs, "axis": moved})


expand_dims = movement(
    "expand_dims",
    _expand_kernel,
    _expand_infer,
    vjp=(lambda g, x_shape: P.reshape(g, shape=x_shape),),
    batch=_shifted,
)


def _squeeze_infer(x, *, axis):
    if x.shape is None:
        return x
    rank = len(x.shape)
    for i in axis or ():
        if not -rank <= i < rank:
            raise invalid("squeeze", f"Tried to squeeze dim index {i} for tensor with {rank} dimensions")
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
    lambda x, *, axis: np.squeeze(x, axis),
    _squeeze_infer,
    vjp=(lambda g, x_shape: P.reshape(g, shape=x_shape),),
    batch=_squeeze_batch,
)


# transpose


def _transpose_infer(x, *, perm):
    if x.shape is None:
        return Spec((None,) * len(perm), x.dtype)
    if sorted(perm) != list(range(len(x.shape))):
        raise invalid("transpose", f"perm {list(perm)} is not a permutation of the {len(x.shape)} axes of shape {x.shape}")
    return Spec(tuple(x.shape[i] for i in perm), x.dtype)


transpose = movement(
    "transpose",
    lambda x, *, perm: np.transpose(x, perm),
    _transpose_infer,
    vjp=(lambda g, *, perm: P.transpose(g, perm=tuple(np.argsort(perm).tolist())),),
    batch=lambda op, inputs, batched, attrs: op(inputs[0], perm=(0, *[i + 1 for i in attrs["perm"]])),
)


# broadcast_to, and sum_to, its transpose


def _broadcast_infer(x, *, shape):
    dims = known_dims(shape)
    if dims is None or x.shape is None:
        return Spec(dims, x.dtype)
    if len(x.shape) > len(dims) or any(
        n not in (1, None) and m not in (n, None) for n, m in zip(x.shape[::-1], dims[::-1], strict=False)
    ):
        raise invalid("broadcast_to", f"Incompatible shapes: {list(x.shape)} cannot be broadcast to {list(dims)}")
    return Spec(dims, x.dtype)


def _line_up(x, rank):
    """`x` of a batch with ones behind the batch axis until each example has `rank` dimensions."""
    missing = rank - (len(x.dims) - 1)
    return P.expand_dims(x, axis=tuple(range(1, missing + 1))) if missing > 0 else x


def _broadcast_batch(op, inputs, batched, attrs):
    (x,) = inputs
    return op(_line_up(x, len(attrs["shape"])), shape=(batch_size(x), *attrs["shape"]))


broadcast_to = movement(
    "broadcast_to",
    lambda x, *, shape: np.broadcast_to(x, shape),
    _broadcast_infer,
    vjp=(lambda g, x_shape: P.sum_to(g, shape=x_shape),),
    batch=_broadcast_batch,
)


def _sum_to_kernel(x, *, shape):
    shape = tuple(shape)
    if x.shape == shape:
        return x
    extra = x.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        i + extra for i, n in enumerate(shape) if n == 1 and x.shape[i + extra] != 1
    )
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
)


# fill: a constant of a shape; constant: a value that is known while tracing


def _fill_kernel(*, shape, value, dtype):
    if not shape and dtype is not string:
        return dtype.type(value)
    return np.full(shape, value, dtype.numpy_dtype)


def _fill_infer(*, shape, value, dtype):
    dims = known_dims(shape)
    if dims is not None and any(n is not None and n < 0 for n in dims):
        raise invalid("fill", f"Dimensions must be >= 0, got {list(dims)}")
    return Spec(dims, dtype)


fill = Primitive("fill", _fill_kernel, _fill_infer, lower="movement", parameters=())
constant = Primitive(
    "constant",
    lambda *, value, dtype=int32: np.array(value, as_dtype(dtype).numpy_dtype),
    lambda *, value, dtype=int32: Spec(np.shape(value), as_dtype(dtype)),
    parameters=(),
)


# concat, stack, unstack, split


def _concat_infer(*xs, axis):
    known = [x for x in xs if x.shape is not None]
    if not known:
        return Spec(None, xs[0].dtype)
    rank = len(known[0].shape)
    if any(len(x.shape) != rank for x in known):
        raise invalid("concat", f"Ranks of all input tensors should match: {[list(x.shape) for x in known]}")
    if not -rank <= axis < rank:
        raise invalid("concat", f"Expected concatenating dimensions in the range [-{rank}, {rank}), but got {axis}")
    axis %= rank
    dims = []
    for i in range(rank):
        sizes = [x.shape[i] for x in known]
        if i == axis:
            dims.append(None if None in sizes or len(known) < len(xs) else sum(sizes))
            continue
        fixed = {n for n in sizes if n is not None}
        if len(fixed) > 1:
            raise invalid("concat", f"Dimension {i} in both shapes must be equal: {[list(x.shape) for x in known]}")
        dims.append(fixed.pop() if fixed else None)
    return Spec(tuple(dims), xs[0].dtype)


def _concat_vjp(g, wanted, shapes, *, axis):
    axis %= len(g.dims)
    sizes = tuple(s[axis] if isinstance(s, tuple) else P.unstack(s, axis=0, num=s.dims[0])[axis] for s in shapes)
    return P.split(g, sizes=sizes, axis=axis)


def _all_batched(op, inputs, batched, attrs):
    """Give every input the batch axis, then shift `axis`."""
    size = next(batch_size(x) for x, b in zip(inputs, batched, strict=True) if b)
    inputs = [
        x if b else P.broadcast_to(P.expand_dims(x, axis=(0,)), shape=(size, *_dims(x)))
        for x, b in zip(inputs, batched, strict=True)
    ]
    return _shifted(op, inputs, batched, attrs)


def _dims(x):
    shape = shape_of(x)
    return shape if isinstance(shape, tuple) else P.unstack(shape, axis=0, num=len(x.dims))


concat = movement(
    "concat",
    lambda *xs, axis: np.concatenate(xs, axis),
    _concat_infer,
    vjp=_concat_vjp,
    batch=_all_batched,
)


def _stack_infer(*xs, axis):
    dims = xs[0].shape
    for x in xs:
        if x.shape is not None and dims is not None:
            if len(dims) != len(x.shape) or any(None not in (n, m) and n != m for n, m in zip(dims, x.shape, strict=True)):
                raise invalid("stack", f"Shapes of all inputs must match: {list(dims)} != {list(x.shape)}")
            dims = tuple(m if n is None else n for n, m in zip(dims, x.shape, strict=True))
        else:
            dims = dims or x.shape
    if dims is None:
        return Spec(None, xs[0].dtype)
    rank = len(dims) + 1
    if not -rank <= axis < rank:
        raise invalid("stack", f"axis = {axis} not in [-{rank}, {rank})")
    axis %= rank
    return Spec((*dims[:axis], len(xs), *dims[axis:]), xs[0].dtype)


stack = movement(
    "stack",
    lambda *xs, axis: np.stack(xs, axis),
    _stack_infer,
    vjp=lambda g, wanted, shapes, *, axis: P.unstack(g, axis=axis, num=len(shapes)),
    batch=_all_batched,
)


def _unstack_infer(x, *, axis, num):
    if x.shape is None:
        return (Spec(None, x.dtype),) * num
    rank = len(x.shape)
    if not -rank <= axis < rank:
        raise invalid("unstack", f"axis = {axis} not in [-{rank}, {rank})")
    axis %= rank
    if x.shape[axis] not in (None, num):
        raise invalid("unstack", f"num = {num} differs from the size {x.shape[axis]} of axis {axis} of shape {list(x.shape)}")
    return (Spec(x.shape[:axis] + x.shape[axis + 1 :], x.dtype),) * num


def _unstack_kernel(x, *, axis, num):
    if x.shape[axis] != num:
        raise ValueError(num)
    return tuple(np.moveaxis(x, axis, 0))


unstack = movement(
    "unstack",
    _unstack_kernel,
    _unstack_infer,
    vjp=(lambda gs, *, axis: P.stack(*gs, axis=axis),),
    batch=_shifted,
    multiple=True,
)


def _split_infer(x, *, sizes, axis):
    if x.shape is None:
        return (Spec(None, x.dtype),) * len(sizes)
    rank = len(x.shape)
    if not -rank <= axis < rank:
        raise invalid("split", f"axis = {axis} not in [-{rank}, {rank})")
    axis %= rank
    known = known_dims(sizes)
    if None not in known and x.shape[axis] is not None and sum(known) != x.shape[axis]:
        raise invalid("split", f"the sizes {list(known)} do not add up to the size {x.shape[axis]} of axis {axis}")
    return tuple(Spec((*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype) for n in known)


def _split_kernel(x, *, sizes, axis):
    if min(sizes, default=0) < 0 or sum(sizes) != x.shape[axis]:
        raise ValueError(sizes)
    return tuple(np.split(x, np.cumsum(sizes[:-1]), axis)) if len(sizes) > 1 else (x,)


split = movement(
    "split",
    _split_kernel,
    _split_infer,
    vjp=(lambda gs, *, axis: P.concat(*gs, axis=axis),),
    batch=_shifted,
    multiple=True,
)


# reverse, pad


def _reverse_infer(x, *, axis):
    if x.shape is not None and any(not -len(x.shape) <= i < len(x.shape) for i in axis):
        raise invalid("reverse", f"axes {list(axis)} are out of the range of the {len(x.shape)} axes")
    return x


reverse = movement(
    "reverse",
    lambda x, *, axis: np.flip(x, axis),
    _reverse_infer,
    vjp=(lambda g, *, axis: P.reverse(g, axis=axis),),
    batch=_shifted,
)


def _pad_infer(x, *, paddings, value=0):
    if x.shape is None:
        return Spec((None,) * len(paddings), x.dtype)
    if len(paddings) != len(x.shape):
        raise invalid("pad", f"paddings has {len(paddings)} rows, the input {len(x.shape)} dimensions")
    if any(isinstance(n, int) and n < 0 for row in paddings for n in row):
        raise invalid("pad", f"Paddings must be non-negative: {[list(row) for row in paddings]}")
    return Spec(
        tuple(
            None if n is None or any(isinstance(m, Tensor) for m in row) else n + row[0] + row[1]
            for n, row in zip(x.shape, paddings, strict=True)
        ),
        x.dtype,
    )


def _pad_vjp(g, x_shape, *, paddings, value=0):
    begin = tuple(row[0] for row in paddings)
    size = x_shape if isinstance(x_shape, tuple) else P.unstack(x_shape, axis=0, num=len(paddings))
    return P.slice(g, begin=begin, size=tuple(size))


def _pad_kernel(x, *, paddings, value=0):
    return np.pad(x, paddings, constant_values=b"" if x.dtype == object and value == 0 else value)


pad = movement(
    "pad",
    _pad_kernel,
    _pad_infer,
    vjp=(_pad_vjp,),
    jvp=(lambda t, *, paddings: P.pad(t, paddings=paddings),),
    batch=lambda op, inputs, batched, attrs: op(inputs[0], **{**attrs, "paddings": ((0, 0), *attrs["paddings"])}),
)


# slice (begin, size) and strided_slice (Python's own indexing, without arrays)


def _slice_infer(x, *, begin, size):
    if x.shape is None:
        return Spec((None,) * len(size), x.dtype)
    if not len(begin) == len(size) == len(x.shape):
        raise invalid("slice", f"begin {list(begin)} and size {list(size)} must have the {len(x.shape)} entries of the shape")
    dims = []
    for i, (b, s, n) in enumerate(zip(begin, size, x.shape, strict=True)):
        if isinstance(s, Tensor) or (s == -1 and (n is None or isinstance(b, Tensor))):
            dims.append(None)
            continue
        s = n - b if s == -1 else s
        if not isinstance(b, Tensor) and n is not None and (b < 0 or s < 0 or b + s > n):
            raise invalid("slice", f"Expected size[{i}] in [0, {n - b}], but got {s} (begin[{i}] is {b}, the size {n})")
        dims.append(s)
    return Spec(tuple(dims), x.dtype)


def _slice_kernel(x, *, begin, size):
    if len(begin) != x.ndim or len(size) != x.ndim:
        raise ValueError(begin)
    ends = [n if s == -1 else b + s for b, s, n in zip(begin, size, x.shape, strict=True)]
    if any(b < 0 or e < b or e > n for b, e, n in zip(begin, ends, x.shape, strict=True)):
        raise ValueError(size)
    return x[tuple(map(slice_of, begin, ends))]


def slice_of(begin, end):
    """`begin:end` as a slice object (this file's `slice` is a primitive)."""
    return _slice_type(begin, end)


_slice_type = type(np.s_[0:1])


def _slice_vjp(g, x_shape, *, begin, size):
    dims = x_shape if isinstance(x_shape, tuple) else P.unstack(x_shape, axis=0, num=len(begin))
    kept = shape_of(g)
    kept = kept if isinstance(kept, tuple) else P.unstack(kept, axis=0, num=len(begin))
    return P.pad(g, paddings=tuple((b, n - b - k) for b, n, k in zip(begin, dims, kept, strict=True)))


slice = movement(
    "slice",
    _slice_kernel,
    _slice_infer,
    vjp=(_slice_vjp,),
    batch=lambda op, inputs, batched, attrs: op(inputs[0], begin=(0, *attrs["begin"]), size=(-1, *attrs["size"])),
)


def _resolve(key):
    """A key of plain data (see `strided_slice`) as what NumPy indexes with."""
    return tuple(_slice_type(*part) if isinstance(part, tuple) else part for part in key)


def _strided_infer(x, *, key):
    if x.shape is None:
        return Spec(None, x.dtype)
    dims, axis = [], 0
    rank = len(x.shape)
    used = builtin_sum(1 for part in key if part is not None and part is not Ellipsis)
    if used > rank:
        raise invalid("strided_slice", f"Index out of range using input dim {rank}; input has only {rank} dims")
    for part in key:
        if part is None:
            dims.append(1)
        elif part is Ellipsis:
            dims += x.shape[axis : axis + rank - used]
            axis += rank - used
        elif isinstance(part, tuple):
            if part[2] == 0:
                raise invalid("strided_slice", "strides must be non-zero")
            symbolic = x.shape[axis] is None or any(isinstance(n, Tensor) for n in part)
            whole = part == (None, None, None)
            dims.append(x.shape[axis] if whole else None if symbolic else len(range(*_slice_type(*part).indices(x.shape[axis]))))
            axis += 1
        else:
            n = x.shape[axis]
            if isinstance(part, int) and n is not None and not -n <= part < n:
                raise invalid("strided_slice", f"slice index {part} of dimension {axis} out of bounds (size {n})")
            axis += 1
    return Spec((*dims, *x.shape[axis:]), x.dtype)


builtin_sum = sum


def _strided_batch(op, inputs, batched, attrs):
    return op(inputs[0], key=((None, None, None), *attrs["key"]))


def _strided_vjp(g, x_shape, *, key):
    return P.strided_slice_grad(g, shape=x_shape, key=key)


# The key is a tuple of ints, (start, stop, step) tuples, None for a new axis, and Ellipsis.
strided_slice = movement(
    "strided_slice",
    lambda x, *, key: x[_resolve(key)],
    _strided_infer,
    vjp=(_strided_vjp,),
    batch=_strided_batch,
)


def _strided_grad_kernel(g, *, shape, key):
    result = np.zeros(shape, g.dtype)
    result[_resolve(key)] = g
    return result


strided_slice_grad = movement(
    "strided_slice_grad",
    _strided_grad_kernel,
    lambda g, *, shape, key: Spec(known_dims(shape), g.dtype),
    vjp=(lambda g, *, key: P.strided_slice(g, key=key),),
    batch=lambda op, inputs, batched, attrs: op(
        inputs[0], shape=(batch_size(inputs[0]), *attrs["shape"]), key=((None, None, None), *attrs["key"])
    ),
)
