"""`tf.math`: reductions, cumulative sums and products, sums of several tensors, and the norms and tests made of them."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.operands import is_tensor
from tapeflow.base.dtypes import as_dtype, bool_, float32, float64, int32, int64, string
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor, static_value
from tapeflow.core.primitive import P, bind
from tapeflow.core.slices import IndexedSlices


def axes(axis, name="axis"):
    """A reduction's `axis` argument (an int, a sequence, a tensor or None) as a tuple of ints, or None for all axes.

    Raises:
        TypeError: something that is no whole number.
        InvalidArgumentError: a tensor whose value is not known while tracing.
    """
    if axis is None:
        return None
    if axis.__class__ is int:
        return (axis,)
    if axis.__class__ in (list, tuple) and all(i.__class__ is int for i in axis):
        return tuple(axis)
    if isinstance(axis, str):
        text = f"Value for attr 'Tidx' of string is not in the list of allowed values: int32, int64; `{name}` is {axis!r}"
        raise InvalidArgumentError(None, None, text)
    tensor = convert_to_tensor(axis, None if is_tensor(axis) or isinstance(axis, np.ndarray) else int32)
    if not tensor._dtype.is_integer:
        raise TypeError(f"Argument `{name}` must be integers, got dtype {tensor._dtype.name}: {axis!r}")
    value = static_value(tensor)
    if value is None:
        raise InvalidArgumentError(None, None, f"Argument `{name}` must be known while tracing, got {tensor!r}")
    return tuple(value.reshape(-1).tolist())


def one_axis(axis):
    """The `axis` argument of an op along one axis as an int."""
    if axis.__class__ is int:
        return axis
    found = axes(axis)
    if found is None:
        raise ValueError(f"Attempt to convert a value (None) with an unsupported type ({type(None)}) to a Tensor: `axis`.")
    if len(found) != 1:
        raise InvalidArgumentError(None, None, f"Argument `axis` must be one whole number, got {axis!r}")
    return found[0]


def _reduce(op, x, axis, keepdims):
    if axis is not None and axis.__class__ is not tuple:
        axis = (axis,) if axis.__class__ is int else axes(axis)
    return bind(op, (x,), {"axis": axis, "keepdims": bool(keepdims)})


@export("reduce_sum", "math.reduce_sum")
def reduce_sum(input_tensor, axis=None, keepdims=False, name=None):
    """The sum over axes. 0 where there is nothing to add.

    Args:
        input_tensor: numbers.
        axis: an int, a list of ints or an integer tensor, negative counted from the end; None stands for all axes.
        keepdims: whether the axes stay, with length 1.

    Returns:
        A tensor of the same dtype; integers wrap around.

    Raises:
        InvalidArgumentError: an axis does not exist, or is named twice.

    Example:
        >>> import tapeflow as tf
        >>> tf.reduce_sum([[1, 2, 3], [4, 5, 6]], axis=0).numpy().tolist()
        [5, 7, 9]
    """
    return _reduce(P.sum, convert_to_tensor(input_tensor), axis, keepdims)


@export("reduce_mean", "math.reduce_mean")
def reduce_mean(input_tensor, axis=None, keepdims=False, name=None):
    """The mean over axes: of integers rounded toward zero, of nothing nan. Arguments as in `reduce_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.reduce_mean([[1.0, 2.0], [5.0, 8.0]], axis=1).numpy().tolist()
        [1.5, 6.5]
    """
    return _reduce(P.mean, convert_to_tensor(input_tensor), axis, keepdims)


@export("reduce_prod", "math.reduce_prod")
def reduce_prod(input_tensor, axis=None, keepdims=False, name=None):
    """The product over axes, 1 where there is nothing to multiply. Arguments as in `reduce_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.reduce_prod([[1, 2, 3], [4, 5, 6]], axis=1).numpy().tolist()
        [6, 120]
    """
    return _reduce(P.prod, convert_to_tensor(input_tensor), axis, keepdims)


@export("reduce_max", "math.reduce_max")
def reduce_max(input_tensor, axis=None, keepdims=False, name=None):
    """The maximum over axes; NaN where there is one, of nothing the dtype's lowest value. Arguments as in `reduce_sum`.

    Equal maxima share the gradient evenly.

    Example:
        >>> import tapeflow as tf
        >>> tf.reduce_max([[1, 7, 3], [4, 5, 6]], axis=1).numpy().tolist()
        [7, 6]
    """
    return _reduce(P.max, convert_to_tensor(input_tensor), axis, keepdims)


@export("reduce_min", "math.reduce_min")
def reduce_min(input_tensor, axis=None, keepdims=False, name=None):
    """The minimum over axes; NaN where there is one, of nothing the dtype's highest value. Arguments as in `reduce_sum`.

    Equal minima share the gradient evenly.

    Example:
        >>> import tapeflow as tf
        >>> tf.reduce_min([[1, 7, 3], [4, 5, 6]], axis=1).numpy().tolist()
        [1, 4]
    """
    return _reduce(P.min, convert_to_tensor(input_tensor), axis, keepdims)


def _bools(x):
    return convert_to_tensor(x, None if is_tensor(x) else bool_)


@export("reduce_all", "math.reduce_all")
def reduce_all(input_tensor, axis=None, keepdims=False, name=None):
    """Whether all of some bools are true, over axes. Arguments as in `reduce_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.reduce_all([[True, False], [True, True]], axis=1).numpy().tolist()
        [False, True]
    """
    return _reduce(P.all, _bools(input_tensor), axis, keepdims)


@export("reduce_any", "math.reduce_any")
def reduce_any(input_tensor, axis=None, keepdims=False, name=None):
    """Whether any of some bools is true, over axes. Arguments as in `reduce_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.reduce_any([[True, False], [False, False]], axis=1).numpy().tolist()
        [True, False]
    """
    return _reduce(P.any, _bools(input_tensor), axis, keepdims)


@export("reduce_logsumexp", "math.reduce_logsumexp")
def reduce_logsumexp(input_tensor, axis=None, keepdims=False, name=None):
    """log(sum(exp(x))) over axes of floats, without overflow. Arguments as in `reduce_sum`.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.reduce_logsumexp([1000.0, 1000.0])), 3)
        1000.693
    """
    return _reduce(P.logsumexp, convert_to_tensor(input_tensor), axis, keepdims)


@export("math.reduce_variance")
def reduce_variance(input_tensor, axis=None, keepdims=False, name=None):
    """The variance over axes, the mean squared distance from the mean; a real number also of complex ones.

    Arguments as in `reduce_sum`.

    Raises:
        TypeError: integers.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.reduce_variance([[1.0, 3.0], [2.0, 8.0]], axis=1).numpy().tolist()
        [1.0, 9.0]
    """
    x = convert_to_tensor(input_tensor)
    if x._dtype in (string, bool_):
        raise invalid(
            "reduce_variance", f"Value for attr 'T' of {x._dtype.c_name} is not in the list of allowed values: numbers"
        )
    if not x._dtype.is_trainable:
        raise TypeError(f"Input must be either real or complex. Received integer type {x._dtype}.")
    axis = axes(axis)
    distance = x - P.mean(x, axis=axis, keepdims=True)
    square = P.real(distance * P.conj(distance)) if x._dtype.is_complex else P.square(distance)
    return P.mean(square, axis=axis, keepdims=bool(keepdims))


@export("math.reduce_std")
def reduce_std(input_tensor, axis=None, keepdims=False, name=None):
    """The standard deviation over axes, the root of `reduce_variance`. Arguments as in `reduce_sum`.

    Raises:
        TypeError: integers.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.reduce_std([[1.0, 3.0], [2.0, 8.0]], axis=1).numpy().tolist()
        [1.0, 3.0]
    """
    return P.sqrt(reduce_variance(input_tensor, axis, keepdims))


@export("math.reduce_euclidean_norm")
def reduce_euclidean_norm(input_tensor, axis=None, keepdims=False, name=None):
    """The root of the sum of squares over axes, of integers rounded down. Arguments as in `reduce_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.reduce_euclidean_norm([[3.0, 4.0], [5.0, 12.0]], axis=1).numpy().tolist()
        [5.0, 13.0]
    """
    x = convert_to_tensor(input_tensor)
    if x._dtype.is_integer:
        norm = reduce_euclidean_norm(P.cast(x, dtype=float64), axis, keepdims)
        return P.cast(norm, dtype=x._dtype)
    square = x * P.conj(x) if x._dtype.is_complex else P.square(x)
    return P.sqrt(_reduce(P.sum, square, axis, keepdims))


@export("math.count_nonzero")
def count_nonzero(input, axis=None, keepdims=None, dtype=int64, name=None):
    """How many elements are not 0 (not empty, of strings), over axes. Arguments as in `reduce_sum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.count_nonzero([[0, 1, 7], [0, 0, 3]], axis=1).numpy().tolist()
        [2, 1]
    """
    x = convert_to_tensor(input)
    zero = convert_to_tensor("" if x._dtype is string else x._dtype.type(0))
    ones = P.cast(P.not_equal(x, zero), dtype=int64)
    return P.cast(_reduce(P.sum, ones, axis, keepdims), dtype=as_dtype(dtype))


@export("math.zero_fraction", "nn.zero_fraction")
def zero_fraction(value, name=None):
    """The fraction of elements that are 0, a float32; nan of nothing.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.math.zero_fraction([0, 1, 0, 3]))
        0.5
    """
    x = convert_to_tensor(value)
    return P.mean(P.cast(P.equal(x, P.zeros_like(x)), dtype=float32), axis=None, keepdims=False)


# Cumulative


@export("cumsum", "math.cumsum")
def cumsum(x, axis=0, exclusive=False, reverse=False, name=None):
    """The sums of all elements up to each one along an axis.

    Args:
        x: numbers of rank 1 or more.
        axis: an int, negative counted from the end.
        exclusive: whether an element is left out of its own sum.
        reverse: whether the sums run from the end.

    Raises:
        InvalidArgumentError: the axis does not exist.

    Example:
        >>> import tapeflow as tf
        >>> tf.cumsum([1, 2, 3]).numpy().tolist(), tf.cumsum([1, 2, 3], exclusive=True, reverse=True).numpy().tolist()
        ([1, 3, 6], [5, 3, 0])
    """
    return P.cumsum(convert_to_tensor(x), axis=one_axis(axis), exclusive=bool(exclusive), reverse=bool(reverse))


@export("math.cumprod")
def cumprod(x, axis=0, exclusive=False, reverse=False, name=None):
    """The products of all elements up to each one along an axis. Arguments as in `cumsum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.cumprod([1, 2, 3]).numpy().tolist()
        [1, 2, 6]
    """
    return P.cumprod(convert_to_tensor(x), axis=one_axis(axis), exclusive=bool(exclusive), reverse=bool(reverse))


@export("math.cumulative_logsumexp")
def cumulative_logsumexp(x, axis=0, exclusive=False, reverse=False, name=None):
    """log(cumsum(exp(x))) of floats, without overflow. Arguments as in `cumsum`.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.cumulative_logsumexp([0.0, 1000.0]).numpy().tolist()
        [0.0, 1000.0]
    """
    attrs = {"axis": one_axis(axis), "exclusive": bool(exclusive), "reverse": bool(reverse)}
    return P.cumulative_logsumexp(convert_to_tensor(x), **attrs)


# Sums of several tensors


@export("add_n", "math.add_n")
def add_n(inputs, name=None):
    """The sum of tensors, variables or `IndexedSlices` of one shape and dtype.

    Raises:
        ValueError: an empty list.
        InvalidArgumentError: the shapes or dtypes differ; nothing is broadcast.

    Example:
        >>> import tapeflow as tf
        >>> tf.add_n([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]).numpy().tolist()
        [9.0, 12.0]
    """
    inputs = list(inputs)
    if not inputs:
        raise ValueError("Inputs must be an iterable of at least one Tensor/IndexedSlices with the same dtype and shape.")
    dtype = next((x.dtype for x in inputs if is_tensor(x) or isinstance(x, IndexedSlices)), None)
    tensors = [convert_to_tensor(x, None if is_tensor(x) or isinstance(x, IndexedSlices) else dtype) for x in inputs]
    return tensors[0] if len(tensors) == 1 else P.add_n(*tensors)


@export("math.accumulate_n")
def accumulate_n(inputs, shape=None, tensor_dtype=None, name=None):
    """The sum of tensors of one shape and dtype, which `shape` and `tensor_dtype` must fit.

    Raises:
        ValueError: an empty list, or a shape that does not fit.
        TypeError: another dtype than `tensor_dtype`.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.accumulate_n([tf.constant([1, 2]), tf.constant([3, 4])]).numpy().tolist()
        [4, 6]
    """
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise ValueError("inputs must be a list of at least one Tensor with the same dtype and shape")
    tensors = [convert_to_tensor(x) for x in inputs]
    if tensor_dtype is not None and as_dtype(tensor_dtype) is not tensors[0]._dtype:
        raise TypeError(
            f"The `tensor_dtype` argument is {as_dtype(tensor_dtype)}, but `input` is of type {tensors[0]._dtype}. These "
            "must be equal. Try casting the input to the desired type."
        )
    for x in tensors:
        if shape is not None and not x.shape.is_compatible_with(shape):
            raise ValueError(f"Shapes {TensorShape(shape)} and {x.shape} are not compatible")
    return add_n(tensors)


@export("scalar_mul", "math.scalar_mul")
def scalar_mul(scalar, x, name=None):
    """`x`, a tensor or `IndexedSlices`, times one number.

    Raises:
        ValueError: `scalar` has dimensions.

    Example:
        >>> import tapeflow as tf
        >>> tf.scalar_mul(2, tf.constant([1.0, 2.0])).numpy().tolist()
        [2.0, 4.0]
    """
    x = x if isinstance(x, IndexedSlices) else convert_to_tensor(x)
    scalar = convert_to_tensor(scalar, x.dtype)
    if scalar.dims:
        raise ValueError(f"The input scalar must be a 0-D value. Received shape {scalar.shape}.")
    if isinstance(x, IndexedSlices):
        return IndexedSlices(x.values * scalar, x.indices, x.dense_shape)
    return P.mul(scalar, x)


# Made of the above


@export("math.l2_normalize", "nn.l2_normalize", "linalg.l2_normalize")
def l2_normalize(x, axis=None, epsilon=1e-12, name=None, dim=None):
    """`x` divided by its Euclidean norm over axes, or by the root of `epsilon` where that is larger.

    Args:
        x: floats or complex numbers.
        axis: an int, a list of ints or None, as in `reduce_sum`; `dim` is its old name.
        epsilon: the least squared norm.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.l2_normalize([[3.0, 4.0], [0.0, 0.0]], axis=1).numpy().round(4))
        [[0.6 0.8]
         [0.  0. ]]
    """
    x = convert_to_tensor(x)
    square = P.real(x * P.conj(x)) if x._dtype.is_complex else P.square(x)
    total = P.sum(square, axis=axes(dim if axis is None else axis), keepdims=True)
    scale = P.rsqrt(P.maximum(total, convert_to_tensor(epsilon, total._dtype)))
    return x * (P.cast(scale, dtype=x._dtype) if x._dtype.is_complex else scale)


@export("math.polyval")
def polyval(coeffs, x, name=None):
    """The polynomial `coeffs[0] x**(n-1) + ... + coeffs[n-1]`, by Horner's rule.

    Raises:
        ValueError: `coeffs` is no list.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.math.polyval([2.0, 1.0, -3.0], 3.0))  # 2 * 9 + 3 - 3
        18.0
    """
    if not isinstance(coeffs, list):
        raise ValueError(f"Argument coeffs must be list type. Received type {type(coeffs)}.")
    x = convert_to_tensor(x)
    if not coeffs:
        return P.zeros_like(x)
    terms = [convert_to_tensor(c) for c in coeffs]
    total = terms[0]
    for term in terms[1:]:
        total = term + total * x
    return total


def _pairs(x):
    """All elements but the last, and all but the first, of a tensor read row by row."""
    flat = P.reshape(convert_to_tensor(x), shape=(-1,))
    return flat[:-1], flat[1:]


@export("math.is_non_decreasing")
def is_non_decreasing(x, name=None):
    """Whether no element, read row by row, is less than the one before it: a bool tensor of shape ().

    Example:
        >>> import tapeflow as tf
        >>> bool(tf.math.is_non_decreasing([1, 1, 2])), bool(tf.math.is_non_decreasing([2, 1]))
        (True, False)
    """
    before, after = _pairs(x)
    return P.all(P.less_equal(before, after), axis=None, keepdims=False)


@export("math.is_strictly_increasing")
def is_strictly_increasing(x, name=None):
    """Whether every element, read row by row, is larger than the one before it: a bool tensor of shape ().

    Example:
        >>> import tapeflow as tf
        >>> bool(tf.math.is_strictly_increasing([1, 2])), bool(tf.math.is_strictly_increasing([1, 1]))
        (True, False)
    """
    before, after = _pairs(x)
    return P.all(P.less(before, after), axis=None, keepdims=False)
