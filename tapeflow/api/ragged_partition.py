"""`RowPartition`: how the values of a ragged tensor are divided into rows; row splits, and what follows from them."""

import numpy as np

from tapeflow.base.dtypes import INTEGERS, int32, int64
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.core.convert import convert_to_tensor, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap


def converted(value, name, dtype=None):
    """A partitioning tensor: int32 or int64; Python integers are int64, or `dtype`.

    Raises:
        ValueError: of another dtype.
    """
    if isinstance(value, Tensor) or hasattr(value, "__tf_tensor__") or hasattr(value, "dtype"):
        x = convert_to_tensor(value)
    else:
        try:
            x = convert_to_tensor(value, dtype or int64)
        except (TypeError, ValueError):
            x = convert_to_tensor(value)
    if x._dtype not in (int32, int64):
        if x._dtype in INTEGERS:
            return P.cast(x, dtype=dtype or int64)
        raise ValueError(f"{name} must have dtype int32 or int64, got {x._dtype.name}")
    return x


def scalar_of(n, dtype):
    """A count (an int or a symbolic scalar) as a 0-d tensor."""
    return wrap(dtype.type(n)) if n.__class__ is int else P.cast(n, dtype=dtype)


class RowPartition:
    """How values are divided into rows.

    Attributes:
        splits: where each row begins, and the number of values: a vector [nrows + 1].
        uniform: the length of all rows where it is the same by construction, an int or a scalar tensor; else None.
    """

    __slots__ = ("_lengths", "_rowids", "splits", "uniform")

    def __init__(self, splits, uniform=None, lengths=None, rowids=None):
        self.splits = splits
        self.uniform = uniform
        self._lengths = lengths
        self._rowids = rowids

    # How it is made; `count` is the number of values, an int or a symbolic scalar.

    @classmethod
    def from_row_splits(cls, row_splits, count, validate=True, dtype=None):
        """The partition with these splits."""
        splits = converted(row_splits, "row_splits", dtype)
        if splits.dims is not None and (len(splits.dims) != 1 or splits.dims == (0,)):
            validate = True  # infer says what is wrong
        return cls(P.checked_splits(splits, count=count, what="from_row_splits") if validate else splits)

    @classmethod
    def from_row_lengths(cls, row_lengths, count, validate=True, dtype=None):
        """The partition with rows of these lengths."""
        lengths = _vector(converted(row_lengths, "row_lengths", dtype), "row_lengths")
        if validate:
            text = "Arguments to from_row_lengths do not form a valid RowPartition: row_lengths must not be negative"
            lengths = P.in_range(lengths, low=0, high=None, message=text)
        splits = splits_of(lengths)
        if validate:
            splits = P.checked_splits(splits, count=count, what="from_row_lengths")
        return cls(splits, lengths=lengths)

    @classmethod
    def from_value_rowids(cls, value_rowids, nrows, count, validate=True, dtype=None):
        """The partition in which each value is in the row that `value_rowids` names."""
        ids = _vector(converted(value_rowids, "value_rowids", dtype), "value_rowids")
        if ids.dims is not None and None not in (ids.dims[0],) and count.__class__ is int and ids.dims[0] != count:
            raise ValueError(
                f"Shapes ({count},) and ({ids.dims[0]},) are incompatible: there must be one of value_rowids for each value"
            )
        if validate:
            ids = P.sorted_ids(ids, ids)
        last = P.strided_slice(P.concat(wrap(np.array([-1], ids._dtype.numpy_dtype)), ids, axis=0), key=(-1,)) + 1
        if nrows is not None:
            last = _checked_nrows(converted(nrows, "nrows", ids._dtype), last, ids)
        (rows,) = _sizes(last)
        counts = P.unsorted_segment_sum(P.ones_like(ids), ids, num=rows)
        return cls(splits_of(counts), lengths=counts, rowids=ids)

    @classmethod
    def from_row_starts(cls, row_starts, count, validate=True, dtype=None):
        """The partition whose rows begin at these values."""
        starts = _vector(converted(row_starts, "row_starts", dtype), "row_starts")
        end = P.expand_dims(scalar_of(count, starts._dtype), axis=(0,))
        splits = P.concat(starts, end, axis=0)
        return cls(P.checked_splits(splits, count=count, what="from_row_starts") if validate else splits)

    @classmethod
    def from_row_limits(cls, row_limits, count, validate=True, dtype=None):
        """The partition whose rows end before these values."""
        limits = _vector(converted(row_limits, "row_limits", dtype), "row_limits")
        splits = P.concat(wrap(np.zeros(1, limits._dtype.numpy_dtype)), limits, axis=0)
        return cls(P.checked_splits(splits, count=count, what="from_row_limits") if validate else splits)

    @classmethod
    def from_uniform_row_length(cls, uniform_row_length, count, nrows=None, validate=True, dtype=None):
        """The partition into rows of one length."""
        length = converted(uniform_row_length, "uniform_row_length", dtype)
        known = static_value(length)
        if known is not None and known < 0:
            raise ValueError(f"uniform_row_length must be >= 0, got {int(known)}")
        dtype = length._dtype
        values = scalar_of(count, dtype)
        if nrows is None:
            rows = P.where(
                P.greater(length, P.zeros_like(length)),
                values // P.maximum(length, P.ones_like(length)),
                P.zeros_like(length),
            )
        else:
            rows = converted(nrows, "nrows", dtype)
        if rows._dtype is not dtype:
            rows = P.cast(rows, dtype=dtype)
        known_rows = static_value(rows)
        if (
            validate
            and known is not None
            and known_rows is not None
            and count.__class__ is int
            and known * known_rows != count
        ):
            raise ValueError(f"uniform_row_length={int(known)} times nrows={int(known_rows)} must equal nvals={count}")
        steps = P.range(P.zeros_like(rows), rows + 1, P.ones_like(rows))
        return cls(steps * length, uniform=length if known is None else int(known))

    # What follows from the splits

    dtype = property(lambda self: self.splits._dtype, doc="int32 or int64.")

    @property
    def static_nrows(self):
        """The number of rows, None where it is not known while tracing."""
        dims = self.splits.dims
        return None if dims is None or dims[0] is None else dims[0] - 1

    @property
    def static_uniform(self):
        """The length of all rows where it is the same by construction and known, else None."""
        return self.uniform if self.uniform.__class__ is int else None

    def nrows(self):
        """The number of rows as a scalar tensor."""
        known = self.static_nrows
        if known is not None:
            return wrap(self.dtype.type(known))
        return P.strided_slice(P.shape(self.splits, dtype=self.dtype), key=(0,)) - 1

    def nrows_attr(self):
        """The number of rows for an attr: an int, or a symbolic scalar."""
        known = self.static_nrows
        return self.nrows() if known is None else known

    def nvals(self):
        """The number of values as a scalar tensor."""
        return P.strided_slice(self.splits, key=(-1,))

    def starts(self):
        """Where each row begins."""
        return P.strided_slice(self.splits, key=((None, -1, None),))

    def limits(self):
        """Where each row ends."""
        return P.strided_slice(self.splits, key=((1, None, None),))

    def lengths(self):
        """The length of each row."""
        if self._lengths is None:
            self._lengths = self.limits() - self.starts()
        return self._lengths

    def rowids(self):
        """The row of each value."""
        if self._rowids is None:
            ids = P.repeat_indices(self.lengths())
            self._rowids = ids if ids._dtype is self.dtype else P.cast(ids, dtype=self.dtype)
        return self._rowids

    def offsets(self):
        """The position of each value in its row."""
        zero, one = wrap(self.dtype.type(0)), wrap(self.dtype.type(1))
        return P.range(zero, self.nvals(), one) - P.gather(self.splits, self.rowids(), axis=0, batch_dims=0)

    def with_dtype(self, dtype):
        """The partition in int32 or int64."""
        if dtype is self.dtype:
            return self
        uniform = P.cast(self.uniform, dtype=dtype) if isinstance(self.uniform, Tensor) else self.uniform
        return RowPartition(P.cast(self.splits, dtype=dtype), uniform)

    def is_same_as(self, other):
        """Whether two partitions are known to be equal: in eager mode by their values, while tracing only as one object."""
        a, b = self.splits, other.splits
        if a is b:
            return True
        return a.__class__ is Tensor and b.__class__ is Tensor and np.array_equal(a._value, b._value)

    def __repr__(self):
        return f"RowPartition(row_splits={self.splits!r})"


def require_same(a, b, axis=1):
    """Raise where two partitions differ; while tracing the graph checks it."""
    if a.dtype is not b.dtype:
        a, b = a.with_dtype(int64), b.with_dtype(int64)
    if a.is_same_as(b):
        return
    x, y = a.splits, b.splits
    text = (
        f"Unable to broadcast: dimension size mismatch in dimension {axis}: Condition x == y did not hold for the row splits"
    )
    if x.__class__ is Tensor and y.__class__ is Tensor:
        raise InvalidArgumentError(None, None, f"{text} {x._value.tolist()} and {y._value.tolist()}")
    P.assert_that(P.all(P.equal(x, y), axis=None), x, y, texts=(text, None, None), summarize=10)


def splits_of(lengths):
    """Row splits of row lengths."""
    return P.concat(
        wrap(np.zeros(1, lengths._dtype.numpy_dtype)), P.cumsum(lengths, axis=0, exclusive=False, reverse=False), axis=0
    )


def _vector(x, name):
    if x.dims is not None and len(x.dims) != 1:
        raise ValueError(f"Shape {x.shape} must have rank 1: {name} is a vector")
    return x


def _sizes(n):
    known = static_value(n)
    return (n if known is None else int(known),)


def _checked_nrows(nrows, needed, ids):
    if nrows._dtype is not ids._dtype:
        nrows = P.cast(nrows, dtype=ids._dtype)
    rows, least = static_value(nrows), static_value(needed)
    if rows is not None and rows < 0:
        raise ValueError(f"Expected nrows >= 0; got {int(rows)}")
    if rows is not None and least is not None and rows < least:
        raise ValueError(f"Expected nrows >= value_rowids[-1] + 1; got nrows={int(rows)}, value_rowids[-1]={int(least) - 1}")
    if nrows.dims not in ((), None):
        raise invalid("from_value_rowids", f"nrows must be a scalar, got the shape {nrows.shape}")
    return nrows
