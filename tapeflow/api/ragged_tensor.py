"""`tf.RaggedTensor`: a tensor whose rows may differ in length, as values and where each row begins."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.ragged_partition import RowPartition, scalar_of
from tapeflow.api.tensor import OPERATORS
from tapeflow.base.dtypes import as_dtype, int64
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.base.shape import TensorShape
from tapeflow.core.composite import Composite
from tapeflow.core.convert import convert_to_tensor, operand
from tapeflow.core.primitive import NO_ATTRS, P, bind
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.ops.movement import dims_of


@export("RaggedTensor")
class RaggedTensor(Composite):
    """A tensor whose rows may differ in length: `rt[i]` is `values[row_splits[i]:row_splits[i + 1]]`.

    Rows of rows are a ragged tensor whose values are ragged. Made by `tf.ragged.constant` and by the `from_...` methods.
    Elementwise ops, reductions and many more take ragged tensors as they take tensors.

    Example:
        >>> import tapeflow as tf
        >>> rt = tf.RaggedTensor.from_row_lengths([3, 1, 4, 1, 5], [2, 0, 3])
        >>> rt
        <tf.RaggedTensor [[3, 1], [], [4, 1, 5]]>
        >>> tf.reduce_sum(rt * 2, axis=1).numpy().tolist()
        [8, 0, 20]
    """

    spec_type: type | None = None  # `RaggedTensorSpec`, which api/ragged_spec.py fills in

    def __init__(self, values, row_partition, internal=False):
        if not internal:
            raise ValueError(
                "RaggedTensor constructor is private; please use one of the factory methods instead (e.g., "
                "RaggedTensor.from_row_lengths())"
            )
        self._values = values
        self._partition = row_partition
        self._dtype = values._dtype

    # How it is made

    @classmethod
    def from_row_splits(cls, values, row_splits, name=None, validate=True):
        """Rows `values[row_splits[i]:row_splits[i + 1]]`.

        Args:
            values: a tensor [nvals, ...] or a ragged tensor.
            row_splits: integers [nrows + 1] that begin with 0, do not decrease, and end with nvals.
            validate: whether they are checked.

        Raises:
            InvalidArgumentError: they are not like that.

        Example:
            >>> import tapeflow as tf
            >>> tf.RaggedTensor.from_row_splits([3, 1, 4], [0, 2, 2, 3])
            <tf.RaggedTensor [[3, 1], [], [4]]>
        """
        values, count, dtype = _values_of(values)
        return _made(values, RowPartition.from_row_splits(row_splits, count, validate, dtype))

    @classmethod
    def from_row_lengths(cls, values, row_lengths, name=None, validate=True):
        """Rows of these lengths, which add up to the number of values."""
        values, count, dtype = _values_of(values)
        return _made(values, RowPartition.from_row_lengths(row_lengths, count, validate, dtype))

    @classmethod
    def from_value_rowids(cls, values, value_rowids, nrows=None, name=None, validate=True):
        """Each value in the row that `value_rowids`, which must not decrease, names for it."""
        values, count, dtype = _values_of(values)
        return _made(values, RowPartition.from_value_rowids(value_rowids, nrows, count, validate, dtype))

    @classmethod
    def from_row_starts(cls, values, row_starts, name=None, validate=True):
        """Rows that begin at these values."""
        values, count, dtype = _values_of(values)
        return _made(values, RowPartition.from_row_starts(row_starts, count, validate, dtype))

    @classmethod
    def from_row_limits(cls, values, row_limits, name=None, validate=True):
        """Rows that end before these values."""
        values, count, dtype = _values_of(values)
        return _made(values, RowPartition.from_row_limits(row_limits, count, validate, dtype))

    @classmethod
    def from_uniform_row_length(cls, values, uniform_row_length, nrows=None, validate=True, name=None):
        """Rows of one length; `nrows` is needed where that is 0."""
        values, count, dtype = _values_of(values)
        return _made(values, RowPartition.from_uniform_row_length(uniform_row_length, count, nrows, validate, dtype))

    @classmethod
    def from_nested_row_splits(cls, flat_values, nested_row_splits, name=None, validate=True):
        """Rows of rows: `from_row_splits` of the innermost splits, and so on outwards."""
        result = flat_values
        for splits in reversed(_listed(nested_row_splits, "nested_row_splits")):
            result = cls.from_row_splits(result, splits, validate=validate)
        return result

    @classmethod
    def from_nested_row_lengths(cls, flat_values, nested_row_lengths, name=None, validate=True):
        """Rows of rows: `from_row_lengths` of the innermost lengths, and so on outwards."""
        result = flat_values
        for lengths in reversed(_listed(nested_row_lengths, "nested_row_lengths")):
            result = cls.from_row_lengths(result, lengths, validate=validate)
        return result

    @classmethod
    def from_nested_value_rowids(cls, flat_values, nested_value_rowids, nested_nrows=None, name=None, validate=True):
        """Rows of rows: `from_value_rowids` of the innermost ids, and so on outwards."""
        ids = _listed(nested_value_rowids, "nested_value_rowids")
        counts = [None] * len(ids) if nested_nrows is None else _listed(nested_nrows, "nested_nrows")
        if len(counts) != len(ids):
            raise ValueError(
                f"Argument `nested_nrows` must have the same length as argument `nested_value_rowids`. len(nested_nrows) = "
                f"{len(counts)} vs. len(nested_values_rowids) = {len(ids)}."
            )
        result = flat_values
        for rowids, nrows in zip(reversed(ids), reversed(counts), strict=True):
            result = cls.from_value_rowids(result, rowids, nrows, validate=validate)
        return result

    @classmethod
    def from_tensor(cls, tensor, lengths=None, padding=None, ragged_rank=1, name=None, row_splits_dtype=int64):
        """The rows of a dense tensor, without their padding.

        Args:
            tensor: a tensor of a rank above `ragged_rank`.
            lengths: how long each row is, or a tuple of lengths for each ragged dimension.
            padding: the value that fills rows up; it is cut off their ends.
            ragged_rank: how many dimensions behind the first become ragged.
            row_splits_dtype: int32 or int64.

        Raises:
            ValueError: both `lengths` and `padding`, or a rank that is too small.

        Example:
            >>> import tapeflow as tf
            >>> tf.RaggedTensor.from_tensor([[5, 7, 0], [0, 3, 0]], padding=0)
            <tf.RaggedTensor [[5, 7], [0, 3]]>
        """
        from tapeflow.api.ragged_convert import from_tensor

        return from_tensor(tensor, lengths, padding, ragged_rank, as_dtype(row_splits_dtype))

    @classmethod
    def from_sparse(cls, st_input, name=None, row_splits_dtype=int64):
        """The rows of a sparse matrix each of which holds its elements at the left.

        Raises:
            ValueError: a rank other than 2.
            InvalidArgumentError: a row with a gap.

        Example:
            >>> import tapeflow as tf
            >>> tf.RaggedTensor.from_sparse(tf.sparse.from_dense([[5, 7], [3, 0]]))
            <tf.RaggedTensor [[5, 7], [3]]>
        """
        from tapeflow.api.ragged_convert import from_sparse

        return from_sparse(st_input, as_dtype(row_splits_dtype))

    # What it is

    values = property(lambda self: self._values, doc="The rows one behind the other: a tensor or a ragged tensor.")
    row_splits = property(lambda self: self._partition.splits, doc="Where each row begins, and the number of values.")
    ragged_rank = property(lambda self: len(self.partitions), doc="How many dimensions are partitioned into rows.")

    @property
    def partitions(self):
        """The `RowPartition`s, outermost first."""
        found, x = [], self
        while isinstance(x, RaggedTensor):
            found.append(x._partition)
            x = x._values
        return tuple(found)

    _nested_row_partitions = partitions

    @property
    def flat_values(self):
        """The innermost values, a tensor."""
        x = self._values
        while isinstance(x, RaggedTensor):
            x = x._values
        return x

    @property
    def nested_row_splits(self):
        """The row splits of every ragged dimension, outermost first."""
        return tuple([partition.splits for partition in self.partitions])

    @property
    def shape(self):
        """The `TensorShape`: ragged dimensions are None."""
        dims = self._values.dims
        rest = [] if dims is None else dims[1:]
        return TensorShape([self._partition.static_nrows, self._partition.static_uniform, *rest])

    def get_shape(self):
        """The `TensorShape`: ragged dimensions are None."""
        return self.shape

    @property
    def uniform_row_length(self):
        """The length of all rows where it is the same by construction, a scalar tensor; else None."""
        uniform = self._partition.uniform
        return scalar_of(uniform, self._partition.dtype) if uniform.__class__ is int else uniform

    @property
    def _type_spec(self):
        return self.spec_type(self.shape, self._dtype, self.ragged_rank, self._partition.dtype)

    def consumers(self):
        """No op is told of its consumers here."""
        return []

    def nrows(self, out_type=None, name=None):
        """The number of rows, a scalar integer."""
        return _cast(self._partition.nrows(), out_type)

    def row_lengths(self, axis=1, name=None):
        """The length of each row along `axis`, a tensor or (beyond axis 1) a ragged tensor.

        Raises:
            ValueError: there is no such axis.
        """
        rank = len(self.dims)
        if not -rank <= axis < rank:
            raise ValueError(f"axis={axis} out of bounds: expected {-rank}<=axis<{rank}")
        axis %= rank
        if axis == 0:
            return self.nrows()
        if axis == 1:
            return self._partition.lengths()
        if isinstance(self._values, RaggedTensor):
            return self.with_values(self._values.row_lengths(axis - 1))
        sizes = P.shape(self._values, dtype=self._partition.dtype)
        length = P.strided_slice(sizes, key=(axis - 1,))
        return self.with_values(P.broadcast_to(length, shape=dims_of(self._values)[: axis - 1]))

    def row_starts(self, name=None):
        """Where each row begins."""
        return self._partition.starts()

    def row_limits(self, name=None):
        """Where each row ends."""
        return self._partition.limits()

    def value_rowids(self, name=None):
        """The row of each value."""
        return self._partition.rowids()

    def nested_row_lengths(self, name=None):
        """The row lengths of every ragged dimension, outermost first."""
        return tuple([partition.lengths() for partition in self.partitions])

    def nested_value_rowids(self, name=None):
        """The rows of the values of every ragged dimension, outermost first."""
        return tuple([partition.rowids() for partition in self.partitions])

    def bounding_shape(self, axis=None, name=None, out_type=None):
        """The smallest dense shape that holds all rows: all of it, or along one or several axes.

        Example:
            >>> import tapeflow as tf
            >>> tf.ragged.constant([[1, 2, 3], [4]]).bounding_shape().numpy().tolist()
            [2, 3]
        """
        sizes = [self.nrows()]
        for partition in self.partitions:
            lengths = partition.lengths()
            longest = P.max(P.concat(wrap(np.zeros(1, lengths._dtype.numpy_dtype)), lengths, axis=0), axis=None)
            sizes.append(longest)
        inner = P.shape(self.flat_values, dtype=self._partition.dtype)
        shape = P.concat(P.stack(*sizes, axis=0), P.strided_slice(inner, key=((1, None, None),)), axis=0)
        if axis is not None:
            shape = P.gather(shape, convert_to_tensor(_wrapped(axis, len(self.dims))), axis=0, batch_dims=0)
        return _cast(shape, out_type)

    # Others like it

    def with_values(self, new_values):
        """The same rows of other values.

        Raises:
            ValueError: there are not as many.
        """
        values = _converted(new_values)
        old, new = (self._values.dims or (None,))[0], (values.dims or (None,))[0]
        if values.dims == () or (None not in (old, new) and old != new):
            raise ValueError(f"Shapes ({old},) and {TensorShape(values.dims[:1])} are incompatible")
        if isinstance(values, RaggedTensor) and values._partition.dtype is not self._partition.dtype:
            values = values.with_row_splits_dtype(self._partition.dtype)
        return RaggedTensor(values, self._partition, internal=True)

    def with_flat_values(self, new_values):
        """The same rows, also of rows, of other innermost values."""
        if isinstance(self._values, RaggedTensor):
            return RaggedTensor(self._values.with_flat_values(new_values), self._partition, internal=True)
        return self.with_values(new_values)

    def with_row_splits_dtype(self, dtype):
        """The same ragged tensor with int32 or int64 row splits."""
        dtype = as_dtype(dtype)
        values = self._values.with_row_splits_dtype(dtype) if isinstance(self._values, RaggedTensor) else self._values
        return RaggedTensor(values, self._partition.with_dtype(dtype), internal=True)

    def merge_dims(self, outer_axis, inner_axis):
        """The ragged tensor with the dimensions from `outer_axis` to `inner_axis` made one.

        Example:
            >>> import tapeflow as tf
            >>> tf.ragged.constant([[[1, 2], [3]], [[4]]]).merge_dims(1, 2)
            <tf.RaggedTensor [[1, 2, 3], [4]]>
        """
        from tapeflow.api.ragged_convert import merge_dims

        return merge_dims(self, outer_axis, inner_axis)

    # Conversion

    def to_tensor(self, default_value=None, name=None, shape=None):
        """A dense tensor, filled up with `default_value` (0, or the empty string).

        Args:
            default_value: a value that broadcasts to one element of `flat_values`.
            shape: the shape wanted, where None stands for what holds all rows; what does not fit is cut off.

        Raises:
            InvalidArgumentError: a shape of another rank.

        Example:
            >>> import tapeflow as tf
            >>> tf.ragged.constant([[1, 2, 3], [4]]).to_tensor(-1).numpy().tolist()
            [[1, 2, 3], [4, -1, -1]]
        """
        from tapeflow.api.ragged_convert import to_tensor

        return to_tensor(self, default_value, shape)

    def to_sparse(self, name=None):
        """A sparse tensor with an element for each value.

        Example:
            >>> import tapeflow as tf
            >>> tf.ragged.constant([[5], [], [7, 6]]).to_sparse().indices.numpy().tolist()
            [[0, 0], [2, 0], [2, 1]]
        """
        from tapeflow.api.ragged_convert import to_sparse

        return to_sparse(self)

    def to_list(self):
        """Nested Python lists of the values."""
        splits = self.row_splits._value
        rows = self._values.to_list() if isinstance(self._values, RaggedTensor) else self._values.numpy().tolist()
        return [rows[start:end] for start, end in zip(splits[:-1].tolist(), splits[1:].tolist(), strict=True)]

    def numpy(self):
        """A NumPy array; where rows differ in length, an array of objects: the rows."""
        if self.row_splits.__class__ is not Tensor:
            raise ValueError("RaggedTensor.numpy() is only supported in eager mode.")
        values, splits = self._values.numpy(), self.row_splits._value
        rows = np.split(values, splits[1:-1])
        if len(splits) == 1:
            return np.array([], values.dtype)
        if all(len(row) == len(rows[0]) for row in rows):
            return np.array(rows)
        result = np.empty(len(rows), object)
        result[:] = rows
        return result

    def __repr__(self):
        if self.row_splits.__class__ is not Tensor or self.flat_values.__class__ is not Tensor:
            return f"tf.RaggedTensor(values={self._values!s}, row_splits={self.row_splits!s})"
        with np.printoptions(formatter={"all": _text}):
            return f"<tf.RaggedTensor {_text(self.numpy())}>"

    # Python

    def __getitem__(self, key):
        from tapeflow.api.ragged_index import index

        return index(self, key)

    def __iter__(self):
        count = self._partition.static_nrows
        if count is None:
            raise TypeError("Cannot iterate over a ragged tensor whose number of rows is not known while tracing.")
        return (self[i] for i in range(count))

    def __bool__(self):
        raise TypeError("RaggedTensor may not be used as a boolean.")

    def __hash__(self):
        raise TypeError("RaggedTensor is unhashable.")

    def bind(self, op, inputs, attrs):
        """What a primitive does to ragged tensors: see `ragged_rules`."""
        from tapeflow.api.ragged_rules import apply

        return apply(op, inputs, attrs)

    def unstack(self):
        """The rows, as a list."""
        return list(self)

    def gradient_part(self):
        """The innermost values."""
        return self.flat_values

    def with_gradient_part(self, g):
        """The gradient of each value, in the same rows."""
        return self.with_flat_values(convert_to_tensor(g))


def _text(x):
    if isinstance(x, np.ndarray):
        return np.array2string(x, separator=", ") if x.size else str(x.tolist())
    return str(x)


def _equality(op, unequal):
    def method(self, other):
        if other is None:
            return unequal
        other = operand(other, self)
        if other is NotImplemented:
            return other
        try:
            return bind(op, (self, other), NO_ATTRS)
        except InvalidArgumentError:
            if self._dtype is not other._dtype:
                raise
            return unequal  # rows that do not line up are simply not equal

    return method


for _name, _method in {**OPERATORS, "__eq__": _equality(P.equal, False), "__ne__": _equality(P.not_equal, True)}.items():
    setattr(RaggedTensor, _name, _method)


def _converted(values):
    return values if isinstance(values, RaggedTensor) else convert_to_tensor(values)


def _values_of(values):
    """Values as a tensor or ragged tensor, how many they are (for an attr), and the dtype of their row splits, if any."""
    values = _converted(values)
    if isinstance(values, RaggedTensor):
        return values, values._partition.nrows_attr(), values._partition.dtype
    if values.dims == ():
        raise ValueError(f"Shape () must have rank at least 1: the values of a ragged tensor are rows, got {values!r}")
    if values.dims is None or values.dims[0] is None:
        return values, P.strided_slice(P.shape(values), key=(0,)), None
    return values, values.dims[0], None


def _made(values, partition):
    if isinstance(values, RaggedTensor) and values._partition.dtype is not partition.dtype:
        raise ValueError(
            f"values and row_partition must have the same row_splits dtype, got {values._partition.dtype.name} and "
            f"{partition.dtype.name}; rt.with_row_splits_dtype changes it."
        )
    return RaggedTensor(values, partition, internal=True)


def _listed(value, name):
    if isinstance(value, Tensor):
        raise TypeError(f"Argument `{name}` must be a list of Tensors. Received {value}")
    return list(value)


def _cast(x, dtype):
    return x if dtype is None or as_dtype(dtype) is x._dtype else P.cast(x, dtype=as_dtype(dtype))


def _wrapped(axis, rank):
    """Axes, which may be negative, as they are counted from the start."""
    if isinstance(axis, (list, tuple)):
        return [_wrapped(i, rank) for i in axis]
    return axis + rank if axis.__class__ is int and axis < 0 else axis
