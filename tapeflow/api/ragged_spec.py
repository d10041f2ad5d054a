"""`tf.RaggedTensorSpec`: the type of a ragged tensor."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.ragged_partition import RowPartition, converted
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.base.dtypes import as_dtype, float32, int64
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap


@export("RaggedTensorSpec")
class RaggedTensorSpec(TypeSpec):
    """The type of a ragged tensor.

    Args:
        shape: its shape; ragged dimensions are None.
        dtype: the dtype of its values.
        ragged_rank: how many dimensions are partitioned into rows; all but the first by default.
        row_splits_dtype: int32 or int64.
        flat_values_spec: accepted where it agrees with `dtype`.

    Raises:
        ValueError: neither a ragged rank nor a rank is known, or they do not fit each other.

    Example:
        >>> import tapeflow as tf
        >>> tf.RaggedTensorSpec([None, None], tf.int32)
        RaggedTensorSpec(TensorShape([None, None]), tf.int32, 1, tf.int64)
    """

    __slots__ = ("_dtype", "_flat_values_spec", "_ragged_rank", "_row_splits_dtype", "_shape")

    def __init__(self, shape=None, dtype=float32, ragged_rank=None, row_splits_dtype=int64, flat_values_spec=None):
        self._shape = TensorShape(shape)
        self._dtype = as_dtype(dtype)
        self._row_splits_dtype = as_dtype(row_splits_dtype)
        self._flat_values_spec = flat_values_spec
        if flat_values_spec is not None and flat_values_spec.dtype is not self._dtype:
            raise ValueError("dtype must be the same as flat_values_spec.dtype")
        rank = self._shape.rank
        if ragged_rank is None:
            if rank is None:
                raise ValueError("Must specify ragged_rank or a shape with a known rank.")
            ragged_rank = max(rank - 1, 0)
        if not isinstance(ragged_rank, int):
            raise TypeError(f"Argument `ragged_rank` must be an int. Received {ragged_rank}.")
        if rank is not None and ragged_rank >= rank:
            raise ValueError(f"Argument `ragged_rank` ({ragged_rank}) must be less than rank ({rank}).")
        self._ragged_rank = ragged_rank

    shape = property(lambda self: self._shape, doc="The `TensorShape`.")
    dtype = property(lambda self: self._dtype, doc="The dtype of the values.")
    ragged_rank = property(lambda self: self._ragged_rank, doc="How many dimensions are partitioned into rows.")
    row_splits_dtype = property(lambda self: self._row_splits_dtype, doc="int32 or int64.")
    flat_values_spec = property(lambda self: self._flat_values_spec, doc="The spec of the innermost values, or None.")

    @property
    def value_type(self):
        """`RaggedTensor`, or `Tensor` where nothing is ragged."""
        return RaggedTensor if self._ragged_rank else Tensor

    @classmethod
    def from_value(cls, value):
        """The spec of a ragged tensor."""
        return value._type_spec

    def _serialize(self):
        parts = (self._shape, self._dtype, self._ragged_rank, self._row_splits_dtype)
        return parts if self._flat_values_spec is None else (*parts, self._flat_values_spec)

    def is_compatible_with(self, spec_or_value):
        """Whether a ragged tensor, or the spec of one, can be of this type; where nothing is ragged, also a tensor."""
        if self._ragged_rank == 0:
            flat = self._component_specs[0]
            if isinstance(spec_or_value, (Tensor, TensorSpec)):
                return flat.is_compatible_with(spec_or_value)
        return super().is_compatible_with(spec_or_value)

    @property
    def _component_specs(self):
        if self._ragged_rank == 0:
            return [TensorSpec(self._shape, self._dtype)]
        dims = None if self._shape.rank is None else self._shape.as_list()
        flat = TensorShape(None) if dims is None else TensorShape([None, *dims[self._ragged_rank + 1 :]])
        rows = None if dims is None or dims[0] is None else dims[0] + 1
        splits = [TensorSpec([rows if level == 0 else None], self._row_splits_dtype) for level in range(self._ragged_rank)]
        return [TensorSpec(flat, self._dtype), *splits]

    def _to_components(self, value):
        if isinstance(value, RaggedTensor):
            return [value.flat_values, *value.nested_row_splits]
        return [value]

    def _from_components(self, components):
        result = convert_to_tensor(components[0])
        dims = self._shape.as_list() if self._shape.rank is not None else [None] * (self._ragged_rank + 1)
        for level in range(self._ragged_rank - 1, -1, -1):
            splits = converted(components[level + 1], "row_splits")
            result = RaggedTensor(result, RowPartition(splits, dims[level + 1]), internal=True)
        return result

    def _batch(self, batch_size):
        """The spec of `batch_size` (None if it varies) such ragged tensors, stacked."""
        return RaggedTensorSpec(
            TensorShape([batch_size]) + self._shape, self._dtype, self._ragged_rank + 1, self._row_splits_dtype
        )

    def _unbatch(self):
        """The spec of one row."""
        return RaggedTensorSpec(self._shape[1:], self._dtype, max(self._ragged_rank - 1, 0), self._row_splits_dtype)

    def _stack(self, values):
        """Ragged tensors, or tensors, of this type side by side along a new axis."""
        from tapeflow.api.ragged import stack

        if not values:
            return self._batch(0)._empty()
        if self._ragged_rank == 0 and self._shape.rank:  # `stack` would make all their dimensions ragged
            values = [convert_to_tensor(value) for value in values]
            lengths = P.stack(*[P.strided_slice(P.shape(value), key=(0,)) for value in values], axis=0)
            lengths = P.cast(lengths, dtype=self._row_splits_dtype)
            return RaggedTensor.from_row_lengths(P.concat(*values, axis=0), lengths, validate=False)
        result = stack(values)
        return result.with_row_splits_dtype(self._row_splits_dtype) if isinstance(result, RaggedTensor) else result

    def _empty(self):
        """A ragged tensor of this type without rows."""
        inner = [] if self._shape.rank is None else [n or 0 for n in self._shape.as_list()[self._ragged_rank + 1 :]]
        splits = wrap(np.zeros(1, self._row_splits_dtype.numpy_dtype))
        return self._from_components([P.fill(shape=(0, *inner), value=0, dtype=self._dtype), *[splits] * self._ragged_rank])


RaggedTensor.spec_type = RaggedTensorSpec
