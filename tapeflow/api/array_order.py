"""Ordering and searching: sort, top_k, argmax, unique, searchsorted, histograms."""

from collections import namedtuple

from tapeflow.api.arguments import axis_number, direction, of_dtype, whole_number
from tapeflow.api.export import export
from tapeflow.api.operands import is_tensor
from tapeflow.base.dtypes import as_dtype, int32, int64
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.core.convert import convert_to_tensor, operand, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor

TopKV2 = namedtuple("TopKV2", ["values", "indices"])
Unique = namedtuple("Unique", ["y", "idx"])
UniqueWithCounts = namedtuple("UniqueWithCounts", ["y", "idx", "count"])


@export("sort")
def sort(values, axis=-1, direction="ASCENDING", name=None):
    """`values` sorted along an axis; nan counts as the largest.

    Args:
        direction: "ASCENDING" or "DESCENDING".

    Raises:
        ValueError: another direction.
        InvalidArgumentError: there is no such axis, or the dtype has no order.

    Example:
        >>> import tapeflow as tf
        >>> tf.sort([3, 1, 2], direction="DESCENDING")
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([3, 2, 1], dtype=int32)>
    """
    descending = _descending(direction)
    return P.sort(convert_to_tensor(values), axis=_sorted_axis(axis), descending=descending)


_descending = direction


@export("argsort")
def argsort(values, axis=-1, direction="ASCENDING", stable=False, name=None):
    """The int32 indices that sort `values` along an axis; equal elements keep their order.

    Raises:
        ValueError: a direction other than "ASCENDING" and "DESCENDING".
        InvalidArgumentError: there is no such axis, or the dtype has no order.

    Example:
        >>> import tapeflow as tf
        >>> tf.argsort([3, 1, 2])
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([1, 2, 0], dtype=int32)>
    """
    descending = _descending(direction)
    return P.argsort(convert_to_tensor(values), axis=_sorted_axis(axis), descending=descending)


@export("math.top_k", "nn.top_k")
def top_k(input, k=1, sorted=True, index_type=int32, name=None):
    """The `k` largest elements along the last axis, largest first, and their indices; equal ones keep their order.

    Args:
        sorted: False allows any order; they are sorted all the same.
        index_type: int16, int32 or int64.

    Returns:
        `TopKV2(values, indices)`, tensors of shape input.shape[:-1] + [k].

    Raises:
        InvalidArgumentError: `k` is negative or larger than the last axis, or the input a scalar.

    Example:
        >>> import tapeflow as tf
        >>> values, indices = tf.math.top_k([1, 5, 3], 2)
        >>> values.numpy().tolist(), indices.numpy().tolist()
        ([5, 3], [1, 2])
    """
    return TopKV2(*P.top_k(convert_to_tensor(input), k=whole_number(k, "k"), dtype=as_dtype(index_type)))


def _sorted_axis(axis):
    """The axis as an int; a sort has a ValueError for whatever is none."""
    try:
        return axis_number(axis)
    except InvalidArgumentError:
        raise ValueError(f"Argument `axis` must be a constant scalar. Received: axis={axis}.") from None


def _arg_extreme(op, input, axis, output_type):
    dtype = as_dtype(output_type)
    if not dtype.is_integer:
        raise invalid(
            op.name,
            f"Value for attr 'output_type' of {dtype.c_name} is not in the list of allowed values: "
            "int16, uint16, int32, int64",
        )
    if isinstance(axis, (str, list, tuple)) or (isinstance(axis, Tensor) and not axis._dtype.is_integer):
        raise TypeError(f"axis must be int or Tensor with integer datatype, got {axis!r}")
    return op(convert_to_tensor(input), axis=0 if axis is None else axis_number(axis), dtype=dtype)


@export("argmax", "math.argmax")
def argmax(input, axis=None, output_type=int64, name=None):
    """The index of the largest element along an axis (0 by default); the first one where several are equal.

    Raises:
        InvalidArgumentError: there is no such axis, or it is empty.

    Example:
        >>> import tapeflow as tf
        >>> tf.argmax([[1, 9, 3], [4, 5, 6]], axis=1)
        <tf.Tensor: shape=(2,), dtype=int64, numpy=array([1, 2])>
    """
    return _arg_extreme(P.argmax, input, axis, output_type)


@export("argmin", "math.argmin")
def argmin(input, axis=None, output_type=int64, name=None):
    """The index of the smallest element along an axis (0 by default); the first one where several are equal.

    Raises:
        InvalidArgumentError: there is no such axis, or it is empty.

    Example:
        >>> import tapeflow as tf
        >>> tf.argmin([[1, 9, 3], [4, 5, 6]], axis=1)
        <tf.Tensor: shape=(2,), dtype=int64, numpy=array([0, 0])>
    """
    return _arg_extreme(P.argmin, input, axis, output_type)


@export("unique")
def unique(x, out_idx=int32, name=None):
    """The different elements of a vector in the order in which they appear, and for each element of it which one it is.

    Returns:
        `Unique(y, idx)` with x[i] = y[idx[i]].

    Raises:
        InvalidArgumentError: `x` is no vector.

    Example:
        >>> import tapeflow as tf
        >>> y, idx = tf.unique([7, 3, 7])
        >>> y.numpy().tolist(), idx.numpy().tolist()
        ([7, 3], [0, 1, 0])
    """
    return Unique(*P.unique(convert_to_tensor(x), dtype=as_dtype(out_idx))[:2])


@export("unique_with_counts")
def unique_with_counts(x, out_idx=int32, name=None):
    """As `unique`, with how often each element appears.

    Example:
        >>> import tapeflow as tf
        >>> tf.unique_with_counts([7, 3, 7]).count
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([2, 1], dtype=int32)>
    """
    return UniqueWithCounts(*P.unique(convert_to_tensor(x), dtype=as_dtype(out_idx)))


@export("searchsorted")
def searchsorted(sorted_sequence, values, side="left", out_type=int32, name=None):
    """Where each value would be inserted to keep a sequence sorted.

    Args:
        sorted_sequence: sorted along the last axis.
        values: of the same rank; leading axes are those of the sequence.
        side: "left" of equal elements, or "right".

    Raises:
        ValueError: another side.
        InvalidArgumentError: leading axes differ, or the dtypes do.

    Example:
        >>> import tapeflow as tf
        >>> tf.searchsorted([1, 3, 5], [3, 4])
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>
    """
    if side not in ("left", "right"):
        raise ValueError(f"Argument `side` must be either 'right' or 'left'. Received: `side` = '{side}'.")
    return P.searchsorted(convert_to_tensor(sorted_sequence), convert_to_tensor(values), side=side, dtype=as_dtype(out_type))


@export("unravel_index")
def unravel_index(indices, dims, name=None):
    """Coordinates, [rank, ...], of flat indices into an array of shape `dims`.

    Raises:
        InvalidArgumentError: an index outside, or different dtypes.

    Example:
        >>> import tapeflow as tf
        >>> tf.unravel_index([2, 5], [3, 3]).numpy().tolist()
        [[0, 1], [2, 2]]
    """
    indices = convert_to_tensor(indices)
    return P.unravel_index(indices, convert_to_tensor(dims, None if is_tensor(dims) else indices._dtype))


@export("histogram_fixed_width_bins")
def histogram_fixed_width_bins(values, value_range, nbins=100, dtype=int32, name=None):
    """For each value the number of its bin, of `nbins` even ones over [low, high); values outside go to the ends.

    Args:
        value_range: [low, high] of the values' dtype, low < high.

    Raises:
        InvalidArgumentError: `nbins` is not positive.

    Example:
        >>> import tapeflow as tf
        >>> tf.histogram_fixed_width_bins([-1.0, 1.5, 9.0], [0.0, 5.0], nbins=5)
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([0, 1, 4], dtype=int32)>
    """
    x = convert_to_tensor(values)
    ends = convert_to_tensor(value_range, x._dtype)
    count = whole_number(nbins, "nbins", takes="int32")
    if count.__class__ is int and count <= 0:
        raise invalid("histogram_fixed_width", f"nbins should be a positive number, but got '{count}'")
    low, high = P.unstack(ends, axis=0, num=2)
    wide = x._dtype if x._dtype.is_floating else as_dtype("float64")
    x, low, high = [P.cast(part, dtype=wide) for part in (x, low, high)]
    bins = P.cast(convert_to_tensor(count), dtype=wide)
    places = (x - low) / (high - low) * bins
    places = P.minimum(P.maximum(places, P.zeros_like(bins)), bins - operand(1, bins))  # before the cast: it may not fit
    return P.cast(places, dtype=as_dtype(dtype))


@export("histogram_fixed_width")
def histogram_fixed_width(values, value_range, nbins=100, dtype=int32, name=None):
    """How many values fall into each of `nbins` even bins over [low, high); see `histogram_fixed_width_bins`.

    Raises:
        InvalidArgumentError: low is not below high, or `nbins` is not positive.

    Example:
        >>> import tapeflow as tf
        >>> tf.histogram_fixed_width([-1.0, 1.5, 9.0, 0.5], [0.0, 5.0], nbins=5)
        <tf.Tensor: shape=(5,), dtype=int32, numpy=array([2, 1, 0, 0, 1], dtype=int32)>
    """
    values = convert_to_tensor(values)
    value_range = of_dtype("histogram_fixed_width", 1, value_range, values._dtype)
    ends = static_value(value_range)
    if value_range.dims is not None and value_range.dims not in ((2,), (None,)):
        raise invalid("histogram_fixed_width", f"value_range should be a vector of 2 elements: {value_range.shape}")
    if ends is not None and not ends[0] < ends[1]:
        raise invalid(
            "histogram_fixed_width",
            f"value_range should satisfy value_range[0] < value_range[1], but got '{ends.tolist()}'",
        )
    places = histogram_fixed_width_bins(values, value_range, nbins)
    ones = P.cast(P.ones_like(places), dtype=as_dtype(dtype))
    return P.unsorted_segment_sum(ones, places, num=whole_number(nbins, "nbins"))
