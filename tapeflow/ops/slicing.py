"""Ops that take and place regular parts: reverse, roll, pad, slice, Python's own indexing, boolean masks."""

import numpy as np

from tapeflow.base.dtypes import bool_
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec, Tensor
from tapeflow.ops.family import sample
from tapeflow.ops.movement import batch_size, dims_of, listed, movement, shifted, whole

_Slice = type(whole)


# reverse, roll


def _reverse_infer(x, *, axis):
    if x.shape is None:
        return x
    rank = len(x.shape)
    if rank == 0:  # as TensorFlow, which looks at no axis then
        return x
    for i, d in enumerate(axis):
        if not -rank <= d < rank:
            raise invalid("reverse", f"'axis'[{i}] = {d} is out of valid range [0, {rank - 1}]")
        if d % rank in [e % rank for e in axis[:i]]:
            raise invalid("reverse", f"axis {d % rank} specified more than once.")
    return x


def _reverse_kernel(x, *, axis):
    if not x.ndim:
        return x
    key = [whole] * x.ndim
    for i in axis:
        if key[i] is not whole:
            raise ValueError(axis)
        key[i] = _BACKWARD
    return x[tuple(key)]


_BACKWARD = np.s_[::-1]
reverse = movement(
    "reverse",
    _reverse_kernel,
    _reverse_infer,
    vjp=(lambda g, *, axis: P.reverse(g, axis=axis),),
    batch=shifted,
    samples=lambda: [((sample(2, 3, 5),), {"axis": axis}) for axis in [(0,), (1, -1), ()]],
)


def _roll_infer(x, *, shift, axis):
    if x.shape == ():
        raise invalid("roll", "input must be 1-D or higher")
    for i in axis:
        if x.shape is not None and not -len(x.shape) <= i < len(x.shape):
            raise invalid("roll", f"axis {i} is out of range of the {len(x.shape)} dimensions")
    return x


def _roll_kernel(x, *, shift, axis):
    if not x.ndim:
        raise ValueError(shift)
    for by, i in zip(shift, axis, strict=True):
        n = x.shape[i]
        by = by % n if n else 0
        if by:
            before = (whole,) * (i % x.ndim)
            x = np.concatenate((x[(*before, _Slice(n - by, n))], x[(*before, _Slice(0, n - by))]), i)
    return x


roll = movement(
    "roll",
    _roll_kernel,
    _roll_infer,
    vjp=(lambda g, *, shift, axis: P.roll(g, shift=tuple([-n for n in shift]), axis=axis),),
    batch=shifted,
    samples=lambda: [
        ((sample(3, 5),), {"shift": (2,), "axis": (1,)}),
        ((sample(3, 5),), {"shift": (-1, 7), "axis": (0, -1)}),
    ],
)


# pad


def _pad_infer(x, *, paddings, value=0):
    if x.shape is None:
        return Spec((None,) * len(paddings), x.dtype)
    if len(paddings) != len(x.shape):
        rows = listed((len(paddings), 2))
        raise invalid("pad", f"The first dimension of paddings must be the rank of inputs{rows} {listed(x.shape)}")
    for row in paddings:
        if any(isinstance(n, int) and n < 0 for n in row):
            raise invalid("pad", f"Paddings must be non-negative: {' '.join(map(str, row))}")
    return Spec(
        tuple(
            None if n is None or any(isinstance(m, Tensor) for m in row) else n + row[0] + row[1]
            for n, row in zip(x.shape, paddings, strict=True)
        ),
        x.dtype,
    )


def _pad_kernel(x, *, paddings, value=0):
    dims, key = [], []
    for n, (before, after) in zip(x.shape, paddings, strict=True):
        if before < 0 or after < 0:
            raise ValueError(paddings)
        dims.append(before + n + after)
        key.append(_Slice(before, before + n))
    if x.dtype == object:
        result = np.full(dims, value or b"", object)
    elif value:
        result = np.empty(dims, x.dtype)
        result.fill(value)
    else:
        result = np.zeros(dims, x.dtype)
    result[tuple(key)] = x
    return result


def _pad_vjp(g, x_shape, *, paddings, value=0):
    size = x_shape if isinstance(x_shape, tuple) else tuple(P.unstack(x_shape, axis=0, num=len(paddings)))
    return P.slice(g, begin=tuple([row[0] for row in paddings]), size=size)


pad = movement(
    "pad",
    _pad_kernel,
    _pad_infer,
    vjp=(_pad_vjp,),
    jvp=(lambda t, *, paddings: P.pad(t, paddings=paddings),),
    batch=lambda op, inputs, batched, attrs: op(inputs[0], **{**attrs, "paddings": ((0, 0), *attrs["paddings"])}),
    samples=lambda: [
        ((sample(2, 3),), {"paddings": ((1, 0), (2, 3))}),
        ((sample(2, 3),), {"paddings": ((0, 1), (1, 1)), "value": 7}),
    ],
)


# slice: begin and size


def _slice_infer(x, *, begin, size):
    if x.shape is None:
        return Spec((None,) * len(size), x.dtype)
    if not len(begin) == len(size) == len(x.shape):
        raise invalid(
            "slice",
            f"Expected begin and size arguments to be 1-D tensors of size {len(x.shape)}, but got shapes "
            f"[{len(begin)}] and [{len(size)}] instead.",
        )
    dims = []
    for i, (b, s, n) in enumerate(zip(begin, size, x.shape, strict=True)):
        if isinstance(s, Tensor) or (s == -1 and (n is None or isinstance(b, Tensor))):
            dims.append(None)
            continue
        if not isinstance(b, Tensor) and n is not None:
            if not 0 <= b <= n:
                raise invalid("slice", f"Expected begin[{i}] in [0, {n}], but got {b}")
            s = n - b if s == -1 else s
            if not 0 <= s <= n - b:
                raise invalid("slice", f"Expected size[{i}] in [0, {n - b}], but got {s}")
        dims.append(s)
    return Spec(tuple(dims), x.dtype)


def _slice_kernel(x, *, begin, size):
    key = []
    for b, s, n in zip(begin, size, x.shape, strict=True):
        end = n if s == -1 else b + s
        if b < 0 or end < b or end > n:
            raise ValueError(size)
        key.append(_Slice(b, end))
    return x[tuple(key)]


def _slice_vjp(g, x_shape, *, begin, size):
    dims = x_shape if isinstance(x_shape, tuple) else P.unstack(x_shape, axis=0, num=len(begin))
    return P.pad(g, paddings=tuple([(b, n - b - k) for b, n, k in zip(begin, dims, dims_of(g), strict=True)]))


slice_ = movement(
    "slice",
    _slice_kernel,
    _slice_infer,
    vjp=(_slice_vjp,),
    batch=lambda op, inputs, batched, attrs: op(inputs[0], begin=(0, *attrs["begin"]), size=(-1, *attrs["size"])),
    samples=lambda: [
        ((sample(3, 5),), {"begin": (1, 0), "size": (-1, 2)}),
        ((sample(3, 5),), {"begin": (0, 5), "size": (2, 0)}),
    ],
)


# strided_slice: Python's own indexing, without arrays. The key is a tuple of ints, (start, stop, step) tuples, None for
# a new axis, and Ellipsis.


def resolve(key):
    """A key as what NumPy indexes with."""
    return tuple([_Slice(*part) if part.__class__ is tuple else part for part in key])


def _strided_infer(x, *, key):
    if len([part for part in key if part is Ellipsis]) > 1:  # count() would compare symbolic tensors with it
        raise invalid("strided_slice", "Multiple ellipses in slice spec not allowed")
    if x.shape is None:
        return Spec(None, x.dtype)
    rank = len(x.shape)
    used = len([part for part in key if part is not None and part is not Ellipsis])
    if not rank and used:
        raise invalid("strided_slice", "Attempting to slice scalar input.")
    if used > rank:
        raise invalid("strided_slice", f"Index out of range using input dim {rank}; input has only {rank} dims")
    dims, axis = [], 0
    for i, part in enumerate(key):
        if part is None:
            dims.append(1)
        elif part is Ellipsis:
            dims += x.shape[axis : axis + rank - used]
            axis += rank - used
        else:
            dims += _part_dims(x.shape[axis], axis, i, part)
            axis += 1
    return Spec((*dims, *x.shape[axis:]), x.dtype)


def _part_dims(n, axis, position, part):
    """The dimensions that one part of a key leaves of an axis of size `n`: none for an index, one for a slice."""
    if not isinstance(part, tuple):
        if isinstance(part, int) and n is not None and not -n <= part < n:
            raise invalid(
                "strided_slice", f"slice index {part} of dimension {axis} out of bounds. The dimension has {n} elements"
            )
        return []
    if not isinstance(part[2], Tensor) and part[2] == 0:
        raise invalid("strided_slice", f"strides[{position}] must be non-zero")
    if part == (None, None, None):
        return [n]
    if n is None or any(isinstance(m, Tensor) for m in part):
        return [None]
    return [len(range(*_Slice(*part).indices(n)))]


def _in_batch(key):
    return ((None, None, None), *key)


strided_slice = movement(
    "strided_slice",
    lambda x, *, key: x[resolve(key)],
    _strided_infer,
    vjp=(lambda g, x_shape, *, key: P.strided_slice_grad(g, shape=x_shape, key=key),),
    batch=lambda op, inputs, batched, attrs: op(inputs[0], key=_in_batch(attrs["key"])),
    samples=lambda: [
        ((sample(2, 3, 5),), {"key": key})
        for key in [(1,), (Ellipsis, -1), ((None, None, -1), None, 2), (1, (0, 2, 1), (4, 0, -2)), (1, 2, 3)]
    ],
)


def _strided_grad_kernel(g, *, shape, key):
    result = np.zeros(shape, g.dtype)
    result[resolve(key)] = g
    return result


strided_slice_grad = movement(
    "strided_slice_grad",
    _strided_grad_kernel,
    lambda g, *, shape, key: Spec(known_dims(shape), g.dtype),
    vjp=(lambda g, *, key: P.strided_slice(g, key=key),),
    batch=lambda op, inputs, batched, attrs: op(
        inputs[0], shape=(batch_size(inputs[0]), *attrs["shape"]), key=_in_batch(attrs["key"])
    ),
    samples=lambda: [
        ((sample(3, 5),), {"shape": (2, 3, 5), "key": (1,)}),
        ((sample(2, 3),), {"shape": (2, 3, 5), "key": (Ellipsis, -1)}),
        ((sample(2, 1, 2),), {"shape": (2, 3, 5), "key": ((None, None, -1), None, 1, (0, 4, 2))}),
        ((sample(2, 3, 2),), {"shape": (2, 3, 5), "key": ((None, None, None), (None, None, None), (4, None, -3))}),
    ],
)


# boolean_mask


def _mask_kernel(x, mask, *, axis=0):
    if mask.dtype != bool or not mask.ndim or x.shape[axis : axis + mask.ndim] != mask.shape:
        raise ValueError(mask.shape)
    return x[(*(whole,) * axis, mask)]


def _mask_infer(x, mask, *, axis=0):
    if mask.dtype is not bool_:
        raise invalid("boolean_mask", f"the mask must be of dtype bool, got {mask.dtype.name}")
    if mask.shape == ():
        raise ValueError("mask cannot be scalar.")
    if x.shape is None or mask.shape is None:
        return Spec(None, x.dtype)
    covered = x.shape[axis : axis + len(mask.shape)]
    if len(covered) != len(mask.shape) or any(
        None not in (n, m) and n != m for n, m in zip(covered, mask.shape, strict=True)
    ):
        raise ValueError(f"Shapes {covered} and {mask.shape} are incompatible")
    return Spec((*x.shape[:axis], None, *x.shape[axis + len(mask.shape) :]), x.dtype)


def _mask_samples():
    mask = np.array([[True, False, True], [False, True, True]])
    return [
        ((sample(2, 3, 5), mask), {"axis": 0}),
        ((sample(5, 2, 3), mask), {"axis": 1}),
        ((sample(3, 2), mask[0]), {"axis": 0}),
    ]


boolean_mask = Primitive(
    "boolean_mask",
    _mask_kernel,
    _mask_infer,
    vjp=(lambda g, mask, x_shape, *, axis=0: P.boolean_mask_grad(g, mask, shape=x_shape, axis=axis), None),
    jvp=(lambda t, mask, *, axis=0: P.boolean_mask(t, mask, axis=axis), None),
    uniform=False,
    samples=_mask_samples,
)


def _mask_grad_kernel(g, mask, *, shape, axis):
    result = np.zeros(shape, g.dtype)
    result[(*(whole,) * axis, mask)] = g
    return result


boolean_mask_grad = Primitive(
    "boolean_mask_grad",
    _mask_grad_kernel,
    lambda g, mask, *, shape, axis: Spec(known_dims(shape), g.dtype),
    vjp=(lambda g, mask, *, axis: P.boolean_mask(g, mask, axis=axis), None),
    jvp=(lambda t, mask, *, shape, axis: P.boolean_mask_grad(t, mask, shape=shape, axis=axis), None),
    uniform=False,
    samples=lambda: [
        ((_mask_kernel(x, mask, **attrs), mask), {"shape": x.shape, **attrs}) for (x, mask), attrs in _mask_samples()
    ],
)
