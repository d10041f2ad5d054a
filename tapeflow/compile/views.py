"""Movement ops as index maps: which element of its input an element of the result is.

Each function of the table takes a node, the number of the result, an index (a tuple of affine forms, one for each axis of the
result) and the sizes of the loop variables. It returns the index into the node's first input, and conditions: pairs (form, n)
that hold where 0 <= form < n; elsewhere the element is the node's filler.
"""

import itertools

from tapeflow.base.shape import normalize_axes
from tapeflow.compile.affine import ZERO, NotAffine, add, constant, divide, reshaped, scale


def _reshape(node, number, index, sizes):
    return reshaped(index, node.outputs[0].dims, node.inputs[0].dims, sizes), ()


def _transpose(node, number, index, sizes):
    found = [ZERO] * len(index)
    for i, axis in enumerate(node.attrs["perm"]):
        found[axis] = index[i]
    return tuple(found), ()


def broadcast_index(index, dims):
    """The index into an array of shape `dims` that is broadcast to where `index` points."""
    return tuple([ZERO if n == 1 else a for a, n in zip(index[len(index) - len(dims) :], dims, strict=True)])


def _broadcast(node, number, index, sizes):
    return broadcast_index(index, node.inputs[0].dims), ()


def _slice(node, number, index, sizes):
    return tuple([add(a, constant(b)) for a, b in zip(index, node.attrs["begin"], strict=True)]), ()


def key_parts(key, dims):
    """For each axis of an array that `key` indexes: (start, step, whether the axis stays in the result); None for a new axis."""
    used = len([part for part in key if part is not None and part is not Ellipsis])
    axis = 0
    for part in (*key, Ellipsis) if Ellipsis not in key else key:
        if part is None:
            yield None
        elif part is Ellipsis:
            for _ in range(len(dims) - used):
                yield 0, 1, True
                axis += 1
        elif isinstance(part, tuple):
            start, _, step = slice(*part).indices(dims[axis])
            yield start, step, True
            axis += 1
        else:
            yield (part if part >= 0 else part + dims[axis]), 0, False
            axis += 1


def _strided_slice(node, number, index, sizes):
    rest = iter(index)
    found = []
    for part in key_parts(node.attrs["key"], node.inputs[0].dims):
        if part is None:
            next(rest)
            continue
        start, step, stays = part
        found.append(add(constant(start), scale(next(rest), step)) if stays else constant(start))
    return tuple(found), ()


def _reverse(node, number, index, sizes):
    dims = node.inputs[0].dims
    axes = {i % len(dims) for i in node.attrs["axis"]} if dims else ()
    return tuple(
        [add(constant(n - 1), scale(a, -1)) if i in axes else a for i, (a, n) in enumerate(zip(index, dims, strict=True))]
    ), ()


def _same(node, number, index, sizes):
    return index, ()


def _split(node, number, index, sizes):
    axis = node.attrs["axis"] % len(index)
    start = sum(out.dims[axis] for out in node.outputs[:number])
    return (*index[:axis], add(index[axis], constant(start)), *index[axis + 1 :]), ()


def _unstack(node, number, index, sizes):
    axis = node.attrs["axis"] % (len(index) + 1)
    return (*index[:axis], constant(number), *index[axis:]), ()


def _pad(node, number, index, sizes):
    dims = node.inputs[0].dims
    found, conditions = [], []
    for a, n, (before, after) in zip(index, dims, node.attrs["paddings"], strict=True):
        a = add(a, constant(-before))
        found.append(a)
        if before or after:
            conditions.append((a, n))
    return tuple(found), tuple(conditions)


def _strided_grad(node, number, index, sizes):
    """Zeros with the input at the places that the key names: defined where the place divides by the step."""
    dims = node.outputs[0].dims
    given = iter(node.inputs[0].dims)
    found, conditions = [], []
    places = iter(index)
    for part in key_parts(node.attrs["key"], dims):
        if part is None:
            next(given)
            found.append(ZERO)
            continue
        start, step, stays = part
        a = add(next(places), constant(-start))
        if not stays:
            conditions.append((a, 1))
            continue
        n = next(given)
        if step == -1:
            a = scale(a, -1)
        elif step != 1:
            a, remainder = divide(a, step, sizes) if step > 0 else _refuse()
            if remainder != ZERO:
                _refuse()
        found.append(a)
        conditions.append((a, n))
    return tuple(found), tuple(conditions)


def _refuse():
    raise NotAffine


VIEWS = {
    "reshape": _reshape,
    "expand_dims": _reshape,
    "squeeze": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast,
    "slice": _slice,
    "strided_slice": _strided_slice,
    "reverse": _reverse,
    "ensure_shape": _same,
    "identity": _same,
    "stop_gradient": _same,
    "split": _split,
    "unstack": _unstack,
    "pad": _pad,
    "strided_slice_grad": _strided_grad,
}
RESHAPES = {"reshape", "expand_dims", "squeeze", "ensure_shape", "identity", "stop_gradient"}
PADS = {"pad", "strided_slice_grad"}


def view(node, number, index, sizes):
    """The index into a movement node's input, and the conditions under which it holds."""
    return VIEWS[node.op.name](node, number, index, sizes)


def pieces(node):
    """For `concat` and `stack`: for each input (offset along the axis, axis, whether the axis is new)."""
    rank = len(node.outputs[0].dims)
    axis = node.attrs["axis"] % rank
    if node.op.name == "stack":
        return [(i, axis, True) for i in range(len(node.inputs))]
    ends = itertools.accumulate([x.dims[axis] for x in node.inputs])
    return [(end - x.dims[axis], axis, False) for end, x in zip(ends, node.inputs, strict=True)]


def axes_of(node):
    """The axes that a reduction node reduces, counted from the front."""
    return normalize_axes(node.attrs.get("axis"), len(node.inputs[0].dims))


__all__ = ["PADS", "RESHAPES", "VIEWS", "axes_of", "broadcast_index", "key_parts", "pieces", "view"]
