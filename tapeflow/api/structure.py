"""Nested structures (`tf.nest`), and what is known of a value: is it a tensor, what is it while tracing."""

import numpy as np

from tapeflow.api.export import export, export_value
from tapeflow.api.internal import TensorType
from tapeflow.base import nest
from tapeflow.core.composite import Composite
from tapeflow.core.convert import UNKNOWN, partial_value, static_value
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable

export_value(nest.flatten, "nest.flatten")
export_value(nest.map_structure, "nest.map_structure")
export_value(nest.pack_sequence_as, "nest.pack_sequence_as")
export_value(nest.assert_same_structure, "nest.assert_same_structure")
export_value(nest.flatten_up_to, "__internal__.nest.flatten_up_to")
export_value(nest.map_structure_up_to, "__internal__.nest.map_structure_up_to")
export_value(nest.yield_flat_paths, "__internal__.nest.yield_flat_paths")

_TENSORS = (Tensor, TensorType, Variable, IndexedSlices, Composite)


@export("nest.is_nested")
def is_nested(seq):
    """Whether `seq` is a structure that `tf.nest` looks into, and not a leaf.

    Example:
        >>> import tapeflow as tf
        >>> tf.nest.is_nested([1]), tf.nest.is_nested(1), tf.nest.is_nested("abc")
        (True, False, False)
    """
    return nest.is_nested(seq)


@export("is_tensor")
def is_tensor(x):
    """Whether `x` is a tensor, a variable, or made of tensors as a ragged tensor is.

    Example:
        >>> import tapeflow as tf
        >>> tf.is_tensor(tf.constant(1)), tf.is_tensor(1)
        (True, False)
    """
    return isinstance(x, _TENSORS)


@export("get_static_value")
def get_static_value(tensor, partial=False):
    """The value of a tensor where it is known, also while tracing, else None.

    Args:
        partial: whether an array with None for unknown elements is wanted rather than None altogether.

    Example:
        >>> import tapeflow as tf
        >>> tf.get_static_value(tf.constant([1, 2]))
        array([1, 2], dtype=int32)
    """
    if not isinstance(tensor, Tensor):
        return None if isinstance(tensor, Variable) else tensor
    if tensor.__class__ is Tensor:
        value = tensor._value
        return value.copy() if value.__class__ is np.ndarray and value.ndim else value[()]
    value = static_value(tensor)
    if value is not None:
        return value if value.ndim else value[()]
    value = partial_value(tensor) if partial else None
    if value is None:
        return None
    result = np.empty(value.shape, object)
    result.ravel()[:] = [None if item is UNKNOWN else int(item) for item in value.ravel()]
    return result
