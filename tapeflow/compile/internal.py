"""Ops that only compiled graphs have; they are made by passes, and no user calls them."""

import numpy as np

from tapeflow.base.dtypes import int32
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Spec
from tapeflow.ops import ctc, random_generator


class Internal:
    """An op that passes put into graphs: what the compiler asks of a primitive, outside the registry.

    Args:
        name: its name in printed graphs.
        kernel: its NumPy function.
        infer: specs to spec.
        multiple: whether it has several results.
    """

    stateful = False
    lower = "scalar"
    accepts = -1

    def __init__(self, name, kernel, infer, multiple=False):
        self.name = name
        self.multiple = multiple
        self.kernel = kernel
        self.infer = infer

    def __repr__(self):
        return f"<internal op {self.name}>"


def _checked(x, *, limit, op, message):
    wrong = x[(x < 0) | (x >= limit)]
    if wrong.size:
        raise invalid(op, message.format(value=wrong.flat[0], limit=limit))
    return x


# Integers as they are; an error where one is not in [0, limit).
CHECK_RANGE = Internal("check_range", _checked, lambda x, **attrs: x)


# The ids of segments as they are, beside those before them; an error where one is less, or negative.
CHECK_ORDER = Internal("check_order", lambda x, before, **attrs: P.sorted_ids.kernel(x, x), lambda x, before, **attrs: x)


# Integers to the power of integers; an error where an exponent is negative.
WHOLE_POW = Internal("whole_pow", lambda x, y: P.pow.kernel(x, y), lambda x, y: P.pow.infer(x, y))


# The same elements in memory of their own: never taken out of a graph.
COPY = Internal("copy", lambda x: x, lambda x: x)


# An array whose elements are all written before any is read.
EMPTY = Internal(
    "empty", lambda *, shape, dtype: np.zeros(shape, dtype.numpy_dtype), lambda *, shape, dtype: Spec(shape, dtype)
)


def _with_row(array, index, row):
    result = array.copy()
    result[index] = row
    return result


# An array's row by an index, and the array with another row; the index is known to be in range.
ROW = Internal("row", lambda array, index: array[index], lambda array, index: Spec(array.shape[1:], array.dtype))
ROW_SET = Internal("row_set", _with_row, lambda array, index, row: array)


def _with_slice(array, value, *indices, places, op):
    numbers = iter(indices)
    result = array.copy()
    key = [
        int(next(numbers)) if start is None else range(start, start + count * step, step) for start, step, count in places
    ]
    result[np.ix_(*[[k] if k.__class__ is int else k for k in key])] = value
    return result


# An array with another value in places: for each axis (start, step, count), where start is None for an index that is an operand.
SLICE_SET = Internal("slice_set", _with_slice, lambda array, *others, **attrs: array)


# A tensor as it is; an error where an element is infinite or nan. It stays although nobody reads it.
CHECK_NUMERICS = Internal(
    "checked_numerics", lambda x, *, message: P.check_numerics.kernel(x, message=message), lambda x, **attrs: x
)


# The stream of a random op, so many blocks on.
SKIP_STREAM = Internal(
    "skip_stream", lambda state, *, blocks: random_generator.moved(state, blocks), lambda state, **attrs: state
)


def _permutation(words):
    order = list(range(len(words) + 1))
    for i, word in enumerate(words.tolist()):
        j = i + word % (len(order) - i)
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int32)


# A permutation by one random word for each element but the last, which changes places with itself or one behind it.
PERMUTATION = Internal("permutation", _permutation, lambda words: Spec((words.shape[0] + 1,), int32))


def _ctc_paths(emitted, skips, final, lengths):
    live = (np.arange(len(emitted))[:, None] < lengths)[:, :, None]
    return ctc.forward_paths(emitted, skips == 0, live), ctc.backward_paths(emitted, skips == 0, live, final)


# The log probabilities of beginnings and ends of paths, [frames, batch, states] both, of those of each state, whether it may
# follow the one before the last (0, or -infinity), those of the ends, and the numbers of frames.
CTC_PATHS = Internal("ctc_paths", _ctc_paths, lambda emitted, *others: (emitted, emitted), multiple=True)


def check_range(builder, x, limit, op, message, line=None):
    """`x` by way of a check that its elements are in [0, limit).

    Args:
        builder: the `Builder` of the graph.
        x: integers.
        op: the name of the op that the error names.
        message: its text, with {value} and {limit}.
    """
    return builder.add(CHECK_RANGE, (x,), {"limit": limit, "op": op, "message": message}, line)[0]


__all__ = [
    "CHECK_NUMERICS",
    "CHECK_ORDER",
    "CHECK_RANGE",
    "CTC_PATHS",
    "COPY",
    "EMPTY",
    "PERMUTATION",
    "ROW",
    "ROW_SET",
    "SKIP_STREAM",
    "SLICE_SET",
    "WHOLE_POW",
    "Internal",
    "check_range",
]
