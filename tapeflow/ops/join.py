"""Ops that put tensors together and take them apart along an axis: concat, stack, unstack, split."""

import itertools

import numpy as np

from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import sample
from tapeflow.ops.movement import batch_size, dims_of, listed, movement, shifted, whole

_Slice = type(whole)


def _concat_infer(*xs, axis):
    known = [(i, x.shape) for i, x in enumerate(xs) if x.shape is not None]
    if not known:
        return Spec(None, xs[0].dtype)
    rank = len(known[0][1])
    for i, dims in known:
        if len(dims) != rank:
            raise _concat_mismatch("Ranks of all input tensors should match", known[0], (i, dims))
    if not rank:
        raise invalid("concat", "ConcatOp : Can't concatenate scalars (use tf.stack instead)")
    if not -rank <= axis < rank:
        raise invalid(
            "concat", f"ConcatOp : Expected concatenating dimensions in the range [-{rank}, {rank}), but got {axis}"
        )
    axis %= rank
    result = []
    for d in range(rank):
        sizes = [dims[d] for _, dims in known]
        if d == axis:
            result.append(None if None in sizes or len(known) < len(xs) else sum(sizes))
            continue
        fixed = [pair for pair in known if pair[1][d] is not None]
        for pair in fixed:
            if pair[1][d] != fixed[0][1][d]:
                raise _concat_mismatch(f"Dimension {d} in both shapes must be equal", fixed[0], pair)
        result.append(fixed[0][1][d] if fixed else None)
    return Spec(tuple(result), xs[0].dtype)


def _concat_mismatch(what, first, second):
    return invalid(
        "concat",
        f"ConcatOp : {what}: shape[{first[0]}] = {listed(first[1])} vs. shape[{second[0]}] = {listed(second[1])}",
    )


def _concat_vjp(g, wanted, shapes, *, axis):
    axis %= len(g.dims)
    sizes = tuple([s[axis] if isinstance(s, tuple) else P.strided_slice(s, key=(axis,)) for s in shapes])
    return P.split(g, sizes=sizes, axis=axis)


def all_batched(op, inputs, batched, attrs):
    """Batch rule that gives every input the batch axis, then shifts `axis`."""
    size = next(batch_size(x) for x, b in zip(inputs, batched, strict=True) if b)
    inputs = [
        x if b else P.broadcast_to(P.expand_dims(x, axis=(0,)), shape=(size, *dims_of(x)))
        for x, b in zip(inputs, batched, strict=True)
    ]
    return shifted(op, inputs, batched, attrs)


concat = movement(
    "concat",
    lambda *xs, axis: np.concatenate(xs, axis),
    _concat_infer,
    vjp=_concat_vjp,
    batch=all_batched,
    samples=lambda: [
        ((sample(2, 3), sample(2, 3, seed=1)), {"axis": 0}),
        ((sample(2, 3), sample(2, 5), sample(2, 0)), {"axis": -1}),
    ],
)


def _stack_infer(*xs, axis):
    dims = xs[0].shape
    for i, x in enumerate(xs):
        if x.shape is None or dims is None:
            dims = dims or x.shape
            continue
        if len(dims) != len(x.shape) or any(None not in (n, m) and n != m for n, m in zip(dims, x.shape, strict=True)):
            raise invalid(
                "stack",
                f"Shapes of all inputs must match: values[0].shape = {listed(dims)} != "
                f"values[{i}].shape = {listed(x.shape)}",
            )
        dims = tuple(m if n is None else n for n, m in zip(dims, x.shape, strict=True))
    if dims is None:
        return Spec(None, xs[0].dtype)
    axis = place("stack", axis, len(dims) + 1)
    return Spec((*dims[:axis], len(xs), *dims[axis:]), xs[0].dtype)


def place(name, axis, rank):
    """`axis` counted from the front; raises where there is no such axis."""
    if not -rank <= axis < rank:
        raise invalid(name, f"axis = {axis} not in [-{rank}, {rank})")
    return axis % rank


def _stack_kernel(*xs, axis):
    dims, dtype = xs[0].shape, xs[0].dtype
    if not dims and dtype.kind != "O" and axis in (0, -1):
        return np.array(xs, dtype)
    result = np.empty((len(xs), *dims), dtype)
    for i, x in enumerate(xs):
        if x.shape != dims:
            raise ValueError(x.shape)
        result[i] = x if dims else x[()]
    if axis == 0:
        return result
    axis = place("stack", axis, len(dims) + 1)
    return np.ascontiguousarray(result.transpose((*range(1, axis + 1), 0, *range(axis + 1, len(dims) + 1))))


stack = movement(
    "stack",
    _stack_kernel,
    _stack_infer,
    vjp=lambda g, wanted, shapes, *, axis: P.unstack(g, axis=axis, num=len(shapes)),
    batch=all_batched,
    samples=lambda: (
        [((sample(2, 3), sample(2, 3, seed=1)), {"axis": axis}) for axis in [0, 1, -1]]
        + [((sample(), sample(seed=1), sample(seed=2)), {"axis": 0})]
    ),
)


def _unstack_infer(x, *, axis, num):
    if x.shape is None:
        return (Spec(None, x.dtype),) * num
    axis = place("unstack", axis, len(x.shape))
    if x.shape[axis] not in (None, num):
        raise invalid("unstack", f"Input shape axis {axis} must equal {num}, got shape {listed(x.shape)}")
    return (Spec(x.shape[:axis] + x.shape[axis + 1 :], x.dtype),) * num


def _unstack_kernel(x, *, axis, num):
    if x.shape[axis] != num:
        raise ValueError(num)
    if axis:
        axis %= x.ndim
        x = x.transpose((axis, *range(axis), *range(axis + 1, x.ndim)))
    return tuple(x)


unstack = movement(
    "unstack",
    _unstack_kernel,
    _unstack_infer,
    vjp=(lambda gs, *, axis: P.stack(*gs, axis=axis),),
    batch=shifted,
    multiple=True,
    samples=lambda: [((sample(2, 3, 5),), {"axis": axis, "num": num}) for axis, num in [(0, 2), (1, 3), (-1, 5)]],
)


def _filled(sizes, total):
    """Sizes with whatever remains of `total` for the -1."""
    return tuple([total - sum(sizes) - 1 if n == -1 else n for n in sizes])


def _split_infer(x, *, sizes, axis):
    if x.shape is None:
        return (Spec(None, x.dtype),) * len(sizes)
    rank = len(x.shape)
    if not -rank <= axis < rank:
        raise invalid("split", f"-input rank(-{rank}) <= split_dim < input rank ({rank}), but got {axis}")
    axis %= rank
    total, known = x.shape[axis], known_dims(sizes)
    if known.count(-1) > 1:
        raise invalid("split", "There can only be one -1 in the input.")
    if None not in known and total is not None:
        filled = _filled(known, total)
        if sum(filled) != total or min(filled) < 0:
            raise invalid(
                "split",
                "Determined shape must either match input shape along split_dim exactly if fully specified, or be less "
                "than the size of the input along split_dim if not fully specified.  Got: "
                f"{sum(known) + known.count(-1)} (sizes {list(known)}, axis {axis} of shape {listed(x.shape)})",
            )
        known = filled
    return tuple([Spec((*x.shape[:axis], None if n == -1 else n, *x.shape[axis + 1 :]), x.dtype) for n in known])


def _split_kernel(x, *, sizes, axis):
    if -1 in sizes:
        sizes = _filled(sizes, x.shape[axis])
    if min(sizes) < 0 or sum(sizes) != x.shape[axis]:
        raise ValueError(sizes)
    before = (whole,) * (axis % x.ndim)
    ends = list(itertools.accumulate(sizes))
    return tuple([x[(*before, _Slice(end - n, end))] for n, end in zip(sizes, ends, strict=True)])


split = movement(
    "split",
    _split_kernel,
    _split_infer,
    vjp=(lambda gs, *, axis: P.concat(*gs, axis=axis),),
    batch=shifted,
    multiple=True,
    samples=lambda: [
        ((sample(2, 5),), {"sizes": (1, 4), "axis": 1}),
        ((sample(5, 2),), {"sizes": (2, 0, -1), "axis": -2}),
    ],
)
