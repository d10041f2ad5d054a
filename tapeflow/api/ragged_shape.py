"""`tf.experimental.DynamicRaggedShape`: the shape of a ragged tensor with the lengths of its rows."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.ragged_partition import RowPartition
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.base.dtypes import as_dtype, int64
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap


@export("experimental.DynamicRaggedShape")
class DynamicRaggedShape:
    """The shape of a ragged tensor: what `tf.shape` gives for one.

    Args:
        row_partitions: the `RowPartition`s of the ragged dimensions, outermost first.
        inner_shape: the shape of the innermost values, a vector of integers.
        dtype: int32 or int64.
        validate, static_inner_shape: accepted.

    Example:
        >>> import tapeflow as tf
        >>> shape = tf.shape(tf.ragged.constant([[1, 2], [3]]))
        >>> shape
        <DynamicRaggedShape lengths=[2, (2, 1)] num_row_partitions=1>
        >>> shape[0].numpy().item()
        2
    """

    def __init__(self, row_partitions, inner_shape, dtype=None, validate=False, static_inner_shape=None):
        self._dtype = int64 if dtype is None else as_dtype(dtype)
        self._partitions = tuple([partition.with_dtype(self._dtype) for partition in row_partitions])
        inner = (
            convert_to_tensor(inner_shape)
            if isinstance(inner_shape, Tensor)
            else convert_to_tensor(inner_shape, self._dtype)
        )
        self._inner = inner if inner._dtype is self._dtype else P.cast(inner, dtype=self._dtype)

    @classmethod
    def from_tensor(cls, t, dtype=None):
        """The shape of a tensor or ragged tensor."""
        if not isinstance(t, RaggedTensor):
            return cls((), P.shape(convert_to_tensor(t), dtype=as_dtype(dtype or int64)), dtype)
        return cls(
            t.partitions, P.shape(t.flat_values, dtype=as_dtype(dtype or t.row_splits.dtype)), dtype or t.row_splits.dtype
        )

    @classmethod
    def from_row_partitions(cls, row_partitions, dtype=None):
        """The shape whose innermost values are scalars."""
        last = row_partitions[-1]
        return cls(row_partitions, P.expand_dims(last.nvals(), axis=(0,)), dtype or last.dtype)

    @classmethod
    def from_lengths(cls, lengths, num_row_partitions=None, dtype=int64):
        """The shape with these lengths: a number for each uniform dimension, a list of numbers for each ragged one."""
        lengths = list(lengths)
        ragged = [i for i, n in enumerate(lengths) if isinstance(n, (list, tuple))]
        depth = max(ragged, default=0) if num_row_partitions is None else num_row_partitions
        count, partitions = lengths[0], []
        for n in lengths[1 : depth + 1]:
            rows = [n] * count if isinstance(n, int) else list(n)
            if len(rows) != count:
                raise ValueError(f"In lengths={lengths} there are {len(rows)} rows where {count} are expected")
            splits = wrap(np.concatenate([[0], np.cumsum(rows)]).astype(as_dtype(dtype).numpy_dtype))
            partitions.append(RowPartition(splits, n if isinstance(n, int) else None))
            count = sum(rows)
        return cls(partitions, [count, *lengths[depth + 1 :]], dtype)

    dtype = property(lambda self: self._dtype, doc="int32 or int64.")
    row_partitions = property(lambda self: self._partitions, doc="The partitions of the ragged dimensions.")
    num_row_partitions = property(lambda self: len(self._partitions), doc="How many dimensions are partitioned.")
    inner_shape = property(lambda self: self._inner, doc="The shape of the innermost values.")

    @property
    def inner_rank(self):
        """The number of dimensions of the innermost values."""
        return self._inner.dims[0]

    @property
    def rank(self):
        """The number of dimensions."""
        return len(self._partitions) + self._inner.dims[0]

    def is_uniform(self, axis):
        """Whether a dimension has one length by construction."""
        return not 0 < axis <= len(self._partitions) or self._partitions[axis - 1].uniform is not None

    def static_lengths(self, ragged_lengths=True):
        """The lengths as far as they are known: numbers, and tuples of the lengths of rows."""
        if not self._partitions:
            return self._inner_lengths()
        found = [self._partitions[0].static_nrows]
        for partition in self._partitions:
            if partition.static_uniform is not None:
                found.append(partition.static_uniform)
            elif ragged_lengths and partition.splits.__class__ is Tensor:
                found.append(tuple(np.diff(partition.splits._value).tolist()))
            else:
                found.append(None)
        return [*found, *self._inner_lengths()[1:]]

    def _inner_lengths(self):
        return [n if n.__class__ is int else None for n in static_dims(self._inner)]

    def __getitem__(self, index):
        if isinstance(index, slice):
            parts = range(*index.indices(self.rank))
            if all(self.is_uniform(i) for i in parts):
                return P.stack(*[self[i] for i in parts], axis=0)
            raise ValueError(f"Slicing of a DynamicRaggedShape across ragged dimensions is not supported: {index}")
        rank = self.rank
        if not -rank <= index < rank:
            raise IndexError(f"Index {index} is out of the {rank} dimensions")
        axis = index % rank
        if not self._partitions or axis > len(self._partitions):
            return P.strided_slice(self._inner, key=(axis - len(self._partitions),))
        if axis == 0:
            return self._partitions[0].nrows()
        uniform = self._partitions[axis - 1].uniform
        if uniform is None:
            raise ValueError(f"Index {axis} is not uniform")
        return wrap(self._dtype.type(uniform)) if uniform.__class__ is int else P.cast(uniform, dtype=self._dtype)

    def with_dtype(self, dtype):
        """The shape in int32 or int64."""
        return DynamicRaggedShape(self._partitions, self._inner, dtype)

    def _to_tensor_shape(self):
        return TensorShape([None if isinstance(n, tuple) else n for n in self.static_lengths()])

    def __repr__(self):
        lengths = ", ".join("None" if n is None else str(n) for n in self.static_lengths())
        return f"<DynamicRaggedShape lengths=[{lengths}] num_row_partitions={self.num_row_partitions}>"
