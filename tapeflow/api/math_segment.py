"""`tf.math`: segment reductions, counts, confusion matrices and other functions of indices."""

from tapeflow.api.arguments import of_dtype
from tapeflow.api.export import export, export_value
from tapeflow.api.tensor import true_division
from tapeflow.base.dtypes import as_dtype, float32, int32, int64
from tapeflow.base.errors import invalid
from tapeflow.base.shape import listed
from tapeflow.core.convert import convert_to_tensor, static_dims, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.segment import spread_over


def _scalar_attr(x, what):
    """A scalar integer as an attr: an int, or the tensor itself where its value is not known while tracing."""
    x = convert_to_tensor(x)
    if x.dims:
        raise invalid(what, f"{what} should be a scalar, not shape {list(x.dims)}")
    (n,) = static_dims(x)
    return n


def _rows(ids, num, dtype):
    """How many rows each segment has."""
    return P.unsorted_segment_sum(P.ones_like(P.cast(ids, dtype=dtype)), ids, num=num)


def _sum(data, ids, num):
    return P.unsorted_segment_sum(data, ids, num=num)


def _prod(data, ids, num):
    return P.unsorted_segment_prod(data, ids, num=num)


def _max(data, ids, num):
    return P.unsorted_segment_max(data, ids, num=num)


def _min(data, ids, num):
    return P.unsorted_segment_min(data, ids, num=num)


def _or_zero(reduce):
    """`reduce`, with 0 where a segment has no rows."""

    def reduced(data, ids, num):
        results = reduce(data, ids, num)
        counts = spread_over(results, _rows(ids, num, int32))
        return P.where(P.greater(counts, P.zeros_like(counts)), results, P.zeros_like(results))

    return reduced


def _mean_in_dtype(data, ids, num):
    """The mean of integers is an integer."""
    total = _sum(data, ids, num)
    counts = spread_over(total, P.cast(_at_least_one(ids, num), dtype=data._dtype))
    return P.truncatediv(total, counts) if data._dtype.is_integer else total / counts


def _at_least_one(ids, num):
    counts = _rows(ids, num, int32)
    return P.maximum(counts, P.ones_like(counts))


def _mean(data, ids, num):
    total = _sum(data, ids, num)
    return true_division(total, spread_over(total, P.cast(_at_least_one(ids, num), dtype=data._dtype)))


def _sqrt_n(data, ids, num):
    total = _sum(data, ids, num)
    return total / P.sqrt(spread_over(total, P.cast(_at_least_one(ids, num), dtype=data._dtype)))


# name, reduction, what it computes, and the result of the rows 1, 2, 4 with the ids 0, 1, 1.
SORTED = [
    ("sum", _sum, "The sums of the rows of each segment; 0 where it has none.", "[1. 6.]"),
    ("prod", _prod, "The products of the rows of each segment; 1 where it has none.", "[1. 8.]"),
    ("mean", _mean_in_dtype, "The means of the rows of each segment; 0 where it has none.", "[1. 3.]"),
    ("max", _or_zero(_max), "The maxima of the rows of each segment; 0 where it has none.", "[1. 4.]"),
    ("min", _or_zero(_min), "The minima of the rows of each segment; 0 where it has none.", "[1. 2.]"),
]
UNSORTED = [
    ("sum", _sum, "The sums of the rows of each segment; 0 where it has none.", "[1. 6.]"),
    ("prod", _prod, "The products of the rows of each segment; 1 where it has none.", "[1. 8.]"),
    ("mean", _mean, "The means of the rows of each segment; 0 where it has none.", "[1. 3.]"),
    ("sqrt_n", _sqrt_n, "The sums of the rows of each segment over the root of their count.", "[1.     4.2426]"),
    ("max", _max, "The maxima of the rows of each segment; the dtype's lowest number where it has none.", "[1. 4.]"),
    ("min", _min, "The minima of the rows of each segment; the dtype's highest number where it has none.", "[1. 2.]"),
]


def _sorted_function(name, reduce, text, result):
    def function(data, segment_ids, name=None):
        data = convert_to_tensor(data)
        ids = P.sorted_ids(convert_to_tensor(segment_ids), data)
        last = P.max(ids, axis=None, keepdims=False)
        return reduce(data, ids, _scalar_attr(P.maximum(last, -P.ones_like(last)) + 1, "num_segments"))

    function.__doc__ = f"""{text}

    Args:
        data: a tensor of shape [n, ...].
        segment_ids: integers of shape [n], not negative and not decreasing: the segment of each row.

    Returns:
        A tensor of shape [last id + 1, ...].

    Raises:
        InvalidArgumentError: the ids decrease, or are not as many as the rows.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.segment_{name}([1.0, 2.0, 4.0], [0, 1, 1]).numpy())
        {result}
    """
    return _named(function, f"segment_{name}")


def _unsorted_function(name, reduce, text, result):
    def function(data, segment_ids, num_segments, name=None):
        num = _scalar_attr(num_segments, "num_segments")
        return reduce(convert_to_tensor(data), convert_to_tensor(segment_ids), num)

    function.__doc__ = f"""{text}

    Args:
        data: a tensor whose shape begins with the shape of `segment_ids`.
        segment_ids: integers below `num_segments`: the segment of each row; rows of negative ids are left out.
        num_segments: the number of segments.

    Returns:
        A tensor of shape [num_segments, ...].

    Raises:
        InvalidArgumentError: an id is too large, or the shapes do not fit.

    Example:
        >>> import tapeflow as tf
        >>> print(tf.math.unsorted_segment_{name}([1.0, 2.0, 4.0], [0, 1, 1], 2).numpy().round(4))
        {result}
    """
    return _named(function, f"unsorted_segment_{name}")


def _named(function, name):
    function.__name__ = function.__qualname__ = name
    export_value(function, f"math.{name}")
    return function


_FUNCTIONS = [_sorted_function(*row) for row in SORTED] + [_unsorted_function(*row) for row in UNSORTED]
__test__ = {function.__name__: function for function in _FUNCTIONS}  # where doctest finds the examples of the tables


@export("math.bincount")
def bincount(arr, weights=None, minlength=None, maxlength=None, dtype=int32, name=None, axis=None, binary_output=False):
    """How often each whole number occurs, or the sums of weights.

    Args:
        arr: integers, not negative; anything else is cast to int32.
        weights: a tensor of arr's shape: its elements are added up, not counted.
        minlength, maxlength: the least and the greatest length of the result; larger numbers are left out.
        dtype: the dtype of counts; weights keep their own.
        axis: None or 0 counts over all of `arr`; -1 counts each row of a matrix.
        binary_output: whether to say 1 for what occurs, however often.

    Returns:
        A tensor of shape [n], or [rows, n].

    Raises:
        InvalidArgumentError: a negative number, or weights of another shape.
        ValueError: another axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.bincount([1, 1, 3]).numpy().tolist()
        [0, 2, 0, 1]
    """
    if axis not in (None, 0, -1):
        raise ValueError(f"Unsupported value for argument axis={axis}. Only 0 and -1 are currently supported.")
    values = convert_to_tensor(arr)
    values = values if values._dtype.is_integer else P.cast(values, dtype=int32)
    values = P.in_range(values, low=0, high=None, message="Input arr must be non-negative!")
    if weights is None:
        weights = P.fill(shape=(0,), value=0, dtype=as_dtype(dtype))
    weights = convert_to_tensor(weights)
    if axis != -1 and values.dims != () and (values.dims is None or len(values.dims) > 1):
        values = P.reshape(values, shape=(-1,))
        weights = weights if weights.dims == (0,) else P.reshape(weights, shape=(-1,))
    least, most = [None if n is None else convert_to_tensor(n, values._dtype) for n in (minlength, maxlength)]
    known = [None if n is None else static_value(n) for n in (least, most)]
    if None not in known and 0 <= known[0] == known[1]:
        size = most  # whatever the numbers are
    else:
        size = P.max(values, axis=None, keepdims=False)
        size = P.maximum(size, -P.ones_like(size)) + 1
        size = size if least is None else P.maximum(size, least)
        size = size if most is None else P.minimum(size, most)
    return P.bincount(values, weights, size=_scalar_attr(size, "size"), binary=bool(binary_output))


@export("math.confusion_matrix")
def confusion_matrix(labels, predictions, num_classes=None, weights=None, dtype=int32, name=None):
    """How often each label was met by each prediction: row i, column j counts label i with prediction j.

    Args:
        labels, predictions: class numbers of shape [n]; one of them may be [n, 1].
        num_classes: the number of classes; by default the largest number plus 1.
        weights: of shape [n]: added up in place of counting.
        dtype: the dtype of the result.

    Returns:
        A tensor of shape [num_classes, num_classes].

    Raises:
        InvalidArgumentError: a class number is negative or too large.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.confusion_matrix([0, 1, 1], [0, 0, 1]).numpy().tolist()
        [[1, 0], [1, 1]]
    """
    dtype = as_dtype(dtype)
    labels, predictions = _squeezed(convert_to_tensor(labels), convert_to_tensor(predictions))
    if () in (labels.dims, predictions.dims):
        raise ValueError("Argument `axis` = 1 not in range [-1, 1): labels and predictions must be vectors, got scalars")
    if not labels.shape.is_compatible_with(predictions.shape):
        text = "Shapes of all inputs must match: labels.shape = {} != predictions.shape = {}"
        raise invalid("confusion_matrix", text.format(*[listed(x.dims) for x in (labels, predictions)]))
    classes = {"labels": P.cast(labels, dtype=int64), "predictions": P.cast(predictions, dtype=int64)}
    classes = {
        what: P.in_range(x, low=0, high=None, message=f"`{what}` contains negative values.  ") for what, x in classes.items()
    }
    if num_classes is None:
        highest = P.maximum(*[P.max(x, axis=None, keepdims=False) for x in classes.values()])
        count = P.maximum(highest, -P.ones_like(highest)) + 1
    else:
        count = P.cast(convert_to_tensor(num_classes), dtype=int64)
        high = _scalar_attr(count, "num_classes")
        classes = {what: P.in_range(x, low=0, high=high, message=f"`{what}` out of bound") for what, x in classes.items()}
    cells = P.add(P.mul(classes["labels"], count), classes["predictions"])
    if weights is None:
        weights = P.fill(shape=(0,), value=0, dtype=dtype)
    else:
        weights = P.cast(convert_to_tensor(weights), dtype=dtype)
        if not weights.shape.is_compatible_with(predictions.shape):
            raise ValueError(f"Shapes {predictions.shape} and {weights.shape} are incompatible")
    n = _scalar_attr(count, "num_classes")
    counts = P.bincount(cells, weights, size=_scalar_attr(count * count, "size"), binary=False)
    return P.reshape(counts, shape=(n, n))


def _squeezed(labels, predictions):
    """Labels and predictions, without a last axis of 1 that one of them has alone."""
    if labels.dims is None or predictions.dims is None:
        return labels, predictions
    more = len(predictions.dims) - len(labels.dims)
    if more == 1 and predictions.dims[-1] == 1:
        return labels, P.squeeze(predictions, axis=(-1,))
    if more == -1 and labels.dims[-1] == 1:
        return P.squeeze(labels, axis=(-1,)), predictions
    return labels, predictions


@export("math.in_top_k", "nn.in_top_k")
def in_top_k(targets, predictions, k, name=None):
    """Whether the target class of each example is among its `k` largest predictions; ties count as being among them.

    Args:
        targets: class numbers of shape [batch]; those that do not exist give False.
        predictions: float32 of shape [batch, classes]; rows that are not finite give False.
        k: a number.

    Returns:
        Bools of shape [batch].

    Raises:
        InvalidArgumentError: the shapes do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.in_top_k([1, 0], [[0.1, 0.7, 0.2], [0.1, 0.7, 0.2]], k=1).numpy().tolist()
        [True, False]
    """
    scores = of_dtype("in_top_k", 0, predictions, float32)
    targets = convert_to_tensor(targets, dtype_hint=int32 if isinstance(targets, list) and not targets else None)
    if targets._dtype not in (int32, int64):
        named = f"Value for attr 'T' of {targets._dtype.c_name} is not in the list of allowed values: int32, int64"
        raise invalid("in_top_k", named)
    if scores.dims is not None and len(scores.dims) != 2:
        raise invalid("in_top_k", f"predictions must be 2-dimensional, got shape {list(scores.dims)}")
    if targets.dims is not None and len(targets.dims) != 1:
        raise invalid("in_top_k", f"targets must be 1-dimensional, got shape {list(targets.dims)}")
    rows, length = [None if x.dims is None else x.dims[0] for x in (scores, targets)]
    if rows is not None and length is not None and rows != length:
        raise invalid("in_top_k", f"First dimension of predictions {rows} must match length of targets {length}")
    classes = P.cast(P.shape(scores)[1], dtype=targets._dtype)
    exists = P.logical_and(P.greater_equal(targets, P.zeros_like(targets)), P.less(targets, classes))
    places = P.expand_dims(P.where(exists, targets, P.zeros_like(targets)), axis=(1,))
    own = P.gather(scores, places, axis=1, batch_dims=1)
    better = P.sum(P.cast(P.greater(scores, own), dtype=int32), axis=(1,), keepdims=False)
    finite = P.all(P.is_finite(scores), axis=(1,), keepdims=False)
    k = P.cast(k, dtype=int32) if isinstance(k, Tensor) and k._dtype.is_integer else of_dtype("in_top_k", 2, k, int32)
    if k.dims not in ((), None):
        raise invalid("in_top_k", f"k must be 0-D, got shape {list(k.dims)}")
    among = P.less(better, k)
    return P.logical_and(P.logical_and(exists, finite), among)


@export("math.invert_permutation")
def invert_permutation(x, name=None):
    """The permutation y with `y[x[i]] == i`.

    Args:
        x: int32 or int64 of shape [n], a permutation of 0 to n - 1.

    Raises:
        InvalidArgumentError: x is no permutation.

    Example:
        >>> import tapeflow as tf
        >>> tf.math.invert_permutation([2, 0, 1]).numpy().tolist()
        [1, 2, 0]
    """
    return P.invert_permutation(convert_to_tensor(x, dtype_hint=int32 if isinstance(x, list) and not x else None))
