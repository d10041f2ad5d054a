"""`IndexedSlices`: the rows of a tensor that a gather touched, the form in which its cotangent stays small."""

from typing import Any

from tapeflow.base.dtypes import as_dtype, float32, int64
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec


class IndexedSlices:
    """A set of slices of a larger tensor: `dense[indices[i]] += values[i]`.

    Args:
        values: tensor of shape [n, ...].
        indices: 1-D integer tensor of shape [n].
        dense_shape: 1-D integer tensor, the shape of the dense tensor, or None.

    Example:
        >>> import tapeflow as tf
        >>> s = tf.IndexedSlices(tf.constant([[1., 2.]]), tf.constant([2]), tf.constant([4, 2]))
        >>> tf.convert_to_tensor(s).numpy().tolist()
        [[0.0, 0.0], [0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    """

    # What core needs of the ops above it; ops/index.py fills them in.
    to_dense: Any = None
    concat: Any = None

    def __init__(self, values, indices, dense_shape=None):
        self._values = values
        self._indices = indices
        self._dense_shape = dense_shape

    values = property(lambda self: self._values, doc="Tensor of shape [n, ...].")
    indices = property(lambda self: self._indices, doc="1-D integer tensor of shape [n].")
    dense_shape = property(lambda self: self._dense_shape, doc="The shape of the dense tensor as a 1-D tensor, or None.")
    dtype = property(lambda self: self._values.dtype, doc="The dtype of `values`.")
    name = property(lambda self: getattr(self._values, "name", None))
    device = property(lambda self: getattr(self._values, "device", ""))

    @property
    def shape(self):
        """The shape of the dense tensor, as far as it is known."""
        if self._dense_shape is None:
            return TensorShape(None)
        from tapeflow.core.convert import convert_to_tensor, static_value  # converts need tensors, which need slices

        value = static_value(convert_to_tensor(self._dense_shape))
        return TensorShape(None) if value is None else TensorShape([int(n) for n in value])

    @property
    def _type_spec(self):
        indices = TensorSpec(self._indices.shape, self._indices.dtype)
        known = None if self._dense_shape is None else self._dense_shape.dtype
        return IndexedSlicesSpec(self.shape, self.dtype, indices.dtype, known, indices.shape)

    def dense(self):
        """The dense tensor; slices of one index add up."""
        return IndexedSlices.to_dense(self)

    def concatenated(self, other):
        """The slices of both, whose dense form is the sum."""
        values = IndexedSlices.concat([self._values, other._values])
        return IndexedSlices(values, IndexedSlices.concat([self._indices, other._indices]), self._dense_shape)

    def consumers(self):
        """No op is told of its consumers here."""
        return []

    def __neg__(self):
        return IndexedSlices(-self._values, self._indices, self._dense_shape)

    def __repr__(self):
        shape = "" if self._dense_shape is None else f", dense_shape={self._dense_shape!s}"
        return f"IndexedSlices(indices={self._indices!s}, values={self._values!s}{shape})"


class IndexedSlicesSpec(TypeSpec):
    """The type of an `IndexedSlices`."""

    __slots__ = ("_dense_shape_dtype", "_dtype", "_indices_dtype", "_indices_shape", "_shape")

    def __init__(self, shape=None, dtype=float32, indices_dtype=int64, dense_shape_dtype=None, indices_shape=None):
        self._shape = TensorShape(shape)
        self._dtype = as_dtype(dtype)
        self._indices_dtype = as_dtype(indices_dtype)
        self._dense_shape_dtype = dense_shape_dtype
        self._indices_shape = TensorShape(indices_shape)

    shape = property(lambda self: self._shape)
    dtype = property(lambda self: self._dtype)
    value_type = property(lambda self: IndexedSlices)

    def _serialize(self):
        return (self._shape, self._dtype, self._indices_dtype, self._dense_shape_dtype, self._indices_shape)

    @property
    def _component_specs(self):
        count = self._indices_shape.dims[0] if self._indices_shape.rank else None
        specs = [TensorSpec([count, *(self._shape.as_list()[1:] if self._shape.rank else [])], self._dtype)]
        specs.append(TensorSpec([count], self._indices_dtype))
        if self._dense_shape_dtype is not None:
            specs.append(TensorSpec([self._shape.rank], self._dense_shape_dtype))
        return tuple(specs)

    def _to_components(self, value):
        parts = (value.values, value.indices)
        return parts if value.dense_shape is None else (*parts, value.dense_shape)

    def _from_components(self, components):
        return IndexedSlices(*components)
