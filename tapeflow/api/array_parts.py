"""Parts of arrays: reversed, rolled, padded, sliced and masked."""

import numbers

import numpy as np

from tapeflow.api.arguments import axis_number, axis_numbers, integers, matching, table, vector
from tapeflow.api.export import export
from tapeflow.base.dtypes import bool_, string
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor, operand
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of, rank_of

# Moving along axes


@export("reverse")
def reverse(tensor, axis, name=None):
    """`tensor` with the order of its elements reversed along some axes.

    Args:
        axis: a list of axes.

    Raises:
        InvalidArgumentError: an axis that is not there, or named twice.

    Example:
        >>> import tapeflow as tf
        >>> tf.reverse([[1, 2], [3, 4]], [1]).numpy().tolist()
        [[2, 1], [4, 3]]
    """
    if isinstance(axis, numbers.Integral) or (isinstance(axis, (Tensor, np.ndarray)) and np.ndim(axis) == 0):
        raise invalid("reverse", f"'dims' must be 1-dimension, not 0: give a list of axes, such as [{axis}]")
    return P.reverse(convert_to_tensor(tensor), axis=axis_numbers(axis))


@export("reverse_sequence")
def reverse_sequence(input, seq_lengths, seq_axis=None, batch_axis=None, name=None):
    """For each example i along `batch_axis` the first `seq_lengths[i]` elements along `seq_axis` reversed.

    Raises:
        InvalidArgumentError: a length beyond the axis, or not one for each example.

    Example:
        >>> import tapeflow as tf
        >>> tf.reverse_sequence([[1, 2, 3], [4, 5, 6]], [2, 3], seq_axis=1, batch_axis=0).numpy().tolist()
        [[2, 1, 3], [6, 5, 4]]
    """
    x, lengths = convert_to_tensor(input), convert_to_tensor(seq_lengths)
    if seq_axis is None:
        raise TypeError("Expected int for argument 'seq_dim' not None.")
    seq_axis, batch_axis = (
        axis_number(seq_axis, "seq_axis"),
        0 if batch_axis is None else axis_number(batch_axis, "batch_axis"),
    )
    rank = rank_of(x)
    for what, i in (("seq_dim", seq_axis), ("batch_dim", batch_axis)):
        if not -rank <= i < rank:
            raise invalid("reverse_sequence", f"{what} must be < input rank ( {i} vs. {rank})")
    seq_axis, batch_axis = seq_axis % rank, batch_axis % rank
    if seq_axis == batch_axis:
        raise invalid("reverse_sequence", f"batch_dim == seq_dim == {seq_axis}")
    dims = dims_of(x)
    count, length = dims[batch_axis], dims[seq_axis]
    if (
        lengths.dims is not None
        and None not in (*lengths.dims, x.dims[batch_axis])
        and lengths.dims != (x.dims[batch_axis],)
    ):
        raise invalid("reverse_sequence", f"Length of seq_lengths != input.dims({batch_axis}), ({lengths.dims} vs. {count})")
    lengths = P.in_range(lengths, low=0, high=length + 1, message=f"seq_lens > input.dims({seq_axis}), or negative")
    place = P.range(*[P.cast(convert_to_tensor(n), dtype=lengths._dtype) for n in (0, length, 1)])
    ends = P.expand_dims(lengths, axis=(1,))
    order = P.where(P.less(place, ends), ends - operand(1, ends) - place, place)
    perm = (batch_axis, seq_axis, *[i for i in range(rank) if i not in (batch_axis, seq_axis)])
    moved = P.gather(P.transpose(x, perm=perm), order, axis=1, batch_dims=1)
    return P.transpose(moved, perm=tuple([perm.index(i) for i in range(rank)]))


@export("roll")
def roll(input, shift, axis, name=None):
    """`input` with its elements moved by `shift` along `axis`; what leaves at one end enters at the other.

    Args:
        shift, axis: an integer each, or as many of each.

    Raises:
        InvalidArgumentError: an axis that is not there, or another number of shifts than of axes.

    Example:
        >>> import tapeflow as tf
        >>> tf.roll([1, 2, 3, 4], shift=1, axis=0)
        <tf.Tensor: shape=(4,), dtype=int32, numpy=array([4, 1, 2, 3], dtype=int32)>
    """
    x = convert_to_tensor(input)
    axes = axis_numbers(axis, takes="integers")
    by = integers(shift, "shift")
    if isinstance(by, Tensor):
        by = tuple(P.unstack(by, axis=0, num=len(axes)))
    if len(axes) != len(by) or np.ndim(axis) != (0 if isinstance(shift, int) else len(convert_to_tensor(shift).dims)):
        raise invalid("roll", f"shift and axis must have the same size, got shift {shift} and axis {axis}")
    return P.roll(x, shift=by, axis=axes)


@export("pad")
def pad(tensor, paddings, mode="CONSTANT", constant_values=0, name=None):
    """`tensor` with elements added before and behind each axis.

    Args:
        paddings: [rank, 2] integers: how many before and how many behind.
        mode: "CONSTANT", "REFLECT" (mirrored without the edge) or "SYMMETRIC" (mirrored with it).
        constant_values: the scalar that CONSTANT adds.

    Raises:
        ValueError: another mode.
        InvalidArgumentError: a negative padding, more mirrored elements than there are, or paddings of another shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.pad([1, 2, 3], [[2, 1]], "REFLECT")
        <tf.Tensor: shape=(6,), dtype=int32, numpy=array([3, 2, 1, 2, 3, 2], dtype=int32)>
    """
    x = convert_to_tensor(tensor)
    kind = mode.upper()
    if kind not in ("CONSTANT", "REFLECT", "SYMMETRIC"):
        raise ValueError(
            f'Value of argument `mode` expected to be one of "CONSTANT", "REFLECT", or "SYMMETRIC". Received `mode` = {mode}'
        )
    rows = table(paddings, "pad", "paddings", None if x.dims is None else len(x.dims))
    if kind != "CONSTANT":
        return _mirror(x, rows, kind == "REFLECT")
    if constant_values.__class__ is int and constant_values == 0:
        return P.pad(x, paddings=rows)
    value = (
        convert_to_tensor(constant_values, x._dtype)
        if not isinstance(constant_values, (int, float))
        else matching([x, constant_values])[1]
    )
    return P.pad(x, paddings=rows, value=value._value if value.__class__ is Tensor else value)


def _mirror(x, rows, reflect):
    """Mirrored paddings, axis by axis: the start and the end reversed, around the whole."""
    if len(rows) != len(dims_of(x)):
        P.pad(x, paddings=rows)  # says what is wrong
    for axis, (before, after) in enumerate(rows):
        if before.__class__ is int and after.__class__ is int:
            if not before and not after:
                continue
            _check_mirror(x.dims[axis], before, after, reflect)
        edge = int(reflect)
        left = P.strided_slice(x, key=_at(axis, (edge, before + edge, None)))
        right = P.strided_slice(x, key=_at(axis, (-1 - edge, -1 - edge - after, -1)))
        x = P.concat(P.reverse(left, axis=(axis,)), x, right, axis=axis)
    return x


def _at(axis, part):
    """The key that indexes one axis."""
    return (*((None, None, None),) * axis, part)


def _check_mirror(n, before, after, reflect):
    if min(before, after) < 0:
        raise invalid("pad", f"Paddings must be non-negative: {before} {after}")
    if n is not None and max(before, after) > n - reflect:
        rule, broken = ("less than", "not less than") if reflect else ("no greater than", "greater than")
        raise invalid("pad", f"paddings must be {rule} the dimension size: {before}, {after} {broken} {n}")


# Taking regular parts


@export("slice")
def slice(input_, begin, size, name=None):
    """The part of a tensor that starts at `begin` and has the given size; a size of -1 is all that remains.

    Raises:
        InvalidArgumentError: the part is not within the tensor.

    Example:
        >>> import tapeflow as tf
        >>> tf.slice([[1, 2, 3], [4, 5, 6]], [0, 1], [-1, 2]).numpy().tolist()
        [[2, 3], [5, 6]]
    """
    x = convert_to_tensor(input_)
    begin, size = [_unstacked(vector(v, "slice", w), x) for v, w in ((begin, "begin"), (size, "size"))]
    return P.slice(x, begin=begin, size=size)


def _unstacked(dims, x):
    return dims if dims.__class__ is tuple else tuple(P.unstack(dims, axis=0, num=rank_of(x)))


@export("strided_slice")
def strided_slice(
    input_,
    begin,
    end,
    strides=None,
    begin_mask=0,
    end_mask=0,
    ellipsis_mask=0,
    new_axis_mask=0,
    shrink_axis_mask=0,
    var=None,
    name=None,
):
    """`input_[begin[0]:end[0]:strides[0], ...]`: Python's slicing by vectors.

    Args:
        begin, end, strides: integer vectors of one length; strides are 1 by default.
        begin_mask, end_mask: bit `i` set: entry `i` of begin (end) is left out, as in `x[:end]`.
        ellipsis_mask, new_axis_mask: bit `i` set: entry `i` is `...` (a new axis).
        shrink_axis_mask: bit `i` set: entry `i` is the index begin[i], which takes the axis away.

    Raises:
        InvalidArgumentError: vectors of different lengths, an index outside, or a stride of 0.

    Example:
        >>> import tapeflow as tf
        >>> tf.strided_slice([1, 2, 3, 4, 5], [0], [5], [2])
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([1, 3, 5], dtype=int32)>
    """
    x = convert_to_tensor(input_)
    begin, end = [_unstacked(vector(v, "strided_slice", w), x) for v, w in ((begin, "begin"), (end, "end"))]
    strides = (1,) * len(begin) if strides is None else _unstacked(vector(strides, "strided_slice", "strides"), x)
    if not len(begin) == len(end) == len(strides):
        raise invalid(
            "strided_slice",
            "Expected begin, end, and strides to be 1D equal size tensors, but got shapes "
            f"[{len(begin)}], [{len(end)}], and [{len(strides)}] instead.",
        )
    key = []
    for i, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << i
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            if s.__class__ is int and s <= 0:
                raise invalid("strided_slice", f"only stride 1 allowed on non-range indexing, got {s} for axis {i}")
            key.append(b)
        else:
            key.append((None if begin_mask & bit else b, None if end_mask & bit else e, s))
    return P.strided_slice(x, key=tuple(key))


@export("boolean_mask")
def boolean_mask(tensor, mask, axis=None, name="boolean_mask"):
    """The elements where `mask` is True: its axes, from `axis` on, become one.

    Args:
        mask: bools (numbers count as True unless 0) of the shape of the axes they cover.

    Raises:
        ValueError: a scalar mask, or one of another shape than the axes.

    Example:
        >>> import tapeflow as tf
        >>> tf.boolean_mask([[1, 2], [3, 4], [5, 6]], [True, False, True]).numpy().tolist()
        [[1, 2], [5, 6]]
    """
    x, mask = convert_to_tensor(tensor), convert_to_tensor(mask)
    if mask._dtype is string and mask.dims != ():
        raise invalid("boolean_mask", "Value for attr 'T' of string is not in the list of allowed values: a mask is bools")
    if mask._dtype is not bool_:
        mask = P.not_equal(mask, P.zeros_like(mask))
    axis = 0 if axis is None else axis_number(axis)
    return P.boolean_mask(x, mask, axis=axis if axis >= 0 else axis + rank_of(x))
