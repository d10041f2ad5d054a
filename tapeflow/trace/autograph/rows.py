"""What a loop over tensors counts through: a number of rows, and the row at an index that has no value yet."""

import math

import numpy as np

from tapeflow.base.dtypes import int32
from tapeflow.base.errors import OperatorNotAllowedInGraphError
from tapeflow.core.composite import Composite
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.graph import SymbolicTensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap


class Rows:
    """The rows of a tensor or of a ragged tensor.

    Attributes:
        start: what stands for a row where there is none; None if that cannot be told.
    """

    start = None

    def __init__(self, x):
        self.x = x
        # The gradient of a list is a list; that of an index is a whole tensor, in each iteration.
        self.list = P.list_from(x) if isinstance(x, SymbolicTensor) and x.dtype.is_trainable and x.dims != () else None

    def count(self):
        """How many rows there are: an int where it is known, else an int32 scalar."""
        return row_count(self.x)

    def item(self, index):
        """The row at `index`, an int32 scalar."""
        if self.list is None:
            return self.x[index]
        return P.list_get(self.list, index, dims=None if self.x.dims is None else self.x.dims[1:])


def row_count(x):
    """The first dimension of a tensor or of a ragged tensor: an int where it is known, else an int32 scalar."""
    if x.dims == ():
        raise TypeError("Cannot iterate over a scalar tensor.")
    if x.dims is not None and x.dims[0] is not None:
        return x.dims[0]
    return _cast(x.nrows(), int32) if isinstance(x, Composite) else P.shape(x, dtype=int32)[0]


def _cast(x, dtype):
    return x if x.dtype is dtype else P.cast(x, dtype=dtype)


class Range(Rows):
    """The numbers of a `tf.range`, which is not made."""

    def __init__(self, start, limit, delta):
        self.start, self.limit, self.delta = start, limit, delta

    def count(self):
        start, limit, delta = self.start, self.limit, self.delta
        values = [x._value if x.__class__ is Tensor else None for x in (start, limit, delta)]
        if None not in values:
            return max(0, math.ceil((values[1] - values[0]) / values[2]))
        if start.dtype.is_integer:
            # ceil(a / b) of integers of any sign is -(-a // b)
            steps = -((start - limit) // delta)
        else:
            steps = P.ceil((limit - start) / delta)
        return _cast(P.maximum(steps, convert_to_tensor(0, steps.dtype)), int32)

    def item(self, index):
        index = _cast(convert_to_tensor(index), self.start.dtype)
        one = self.delta.__class__ is Tensor and self.delta._value == 1
        step = index if one else index * self.delta
        return step if self.start.__class__ is Tensor and self.start._value == 0 else self.start + step


class Enumerated(Rows):
    """`enumerate(rows, start)`."""

    def __init__(self, rows, first):
        self.rows, self.first = rows, first

    def count(self):
        return self.rows.count()

    def item(self, index):
        return index + self.first, self.rows.item(index)

    def __iter__(self):
        raise_not_iterable("enumerate")


class Zipped(Rows):
    """`zip(...)` of several rows: as many as the shortest has; with `strict` their numbers, where they are known, must agree."""

    def __init__(self, parts, strict=False):
        self.parts = parts
        self.strict = strict

    def count(self):
        counts = [part.count() for part in self.parts]
        known = [n for n in counts if isinstance(n, int)]
        if self.strict and len(set(known)) > 1:
            raise ValueError(f"zip(strict=True): the arguments have {' and '.join(map(str, known))} rows.")
        unknown = [n for n in counts if not isinstance(n, int)]
        shortest = min(known) if known else None
        for n in unknown:
            shortest = n if shortest is None else P.minimum(convert_to_tensor(shortest, int32), n)
        return shortest

    def item(self, index):
        return tuple([part.item(index) for part in self.parts])

    def __iter__(self):
        raise_not_iterable("zip")


class Mapped(Rows):
    """`map(function, ...)` over several rows."""

    def __init__(self, function, parts):
        self.function = function
        self.zipped = Zipped(parts)

    def count(self):
        return self.zipped.count()

    def item(self, index):
        return self.function(*self.zipped.item(index))

    def __iter__(self):
        raise_not_iterable("map")


def raise_not_iterable(name):
    """Raise the error for `list(zip(...))` and the like over symbolic tensors."""
    raise OperatorNotAllowedInGraphError(
        f"Iterating over a symbolic `tf.Tensor` is not allowed: {name}(...) of tensors without a value can be the iterable of a "
        "for statement only."
    )


def rows_of(x):
    """The `Rows` of what a loop iterates over, or None where Python is to iterate."""
    if isinstance(x, Rows):
        return x
    if isinstance(x, SymbolicTensor):
        node = x.node if x._graph() is not None else None
        return Range(*node.inputs) if node is not None and node.op is P.range else Rows(x)
    if x.__class__ is Tensor:
        return _progression(x) or Rows(x)
    if isinstance(x, Composite) and hasattr(x, "row_splits"):
        return Rows(x)
    return None


def _progression(x):
    """The `Range` of integers that ascend or descend evenly, as the result of `tf.range` with known arguments does."""
    value = x._value
    if x.dims is None or len(x.dims) != 1 or not x.dtype.is_integer or len(value) < 2:
        return None
    steps = np.diff(value)
    if steps[0] == 0 or not (steps == steps[0]).all():
        return None
    limit = value[-1] + steps[0]
    return Range(wrap(value[0]), wrap(value.dtype.type(limit)), wrap(steps[0]))


__all__ = ["Enumerated", "Mapped", "Range", "Rows", "Zipped", "row_count", "rows_of"]
