"""Protocol buffers as public names: `tf.train.Example` and its parts, tensors as messages."""

import numpy as np

from tapeflow.api.export import export, export_value
from tapeflow.api.io import MESSAGES
from tapeflow.base.dtypes import string
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor
from tapeflow.io import tensors
from tapeflow.io.messages import message

for _name in MESSAGES.split():
    export_value(message(_name), f"train.{_name}")


@export("make_tensor_proto")
def make_tensor_proto(values, dtype=None, shape=None, verify_shape=False, allow_broadcast=False):
    """A `TensorProto` message of some values.

    Args:
        values: numbers, strings, lists of them, or an array.
        dtype: the dtype; that of `tf.constant` by default.
        shape: the shape; one value may fill it.
        verify_shape: whether the values must have that very shape.
        allow_broadcast: whether values of another shape may be broadcast to it (TensorFlow's two flags exclude each other).

    Raises:
        TypeError, ValueError: values that have no dtype in common, or do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.make_tensor_proto([1, 2]).tensor_content
        b'\\x01\\x00\\x00\\x00\\x02\\x00\\x00\\x00'
    """
    if allow_broadcast and verify_shape:
        raise ValueError("allow_broadcast and verify_shape are not both allowed.")
    tensor = convert_to_tensor(values, dtype)
    array, dtype = np.asarray(tensor.numpy(), tensor._dtype.numpy_dtype), tensor._dtype
    proto = tensors.to_proto(array, dtype)
    if array.size == 1 and dtype is not string:
        tensors.fill_field(proto, array, dtype)
    if shape is not None:
        dims = TensorShape(shape).as_list()
        if dims != list(array.shape):
            _check_shape(dims, array.shape, verify_shape, allow_broadcast)
            del proto.tensor_shape.dim[:]
            for n in dims:
                proto.tensor_shape.dim.add(size=n)
    return proto


def _check_shape(dims, own, verify, broadcast):
    size, held = int(np.prod(dims)), int(np.prod(own))
    if verify:
        raise TypeError(f"Expected Tensor's shape: {tuple(dims)}, but got {tuple(own)}.")
    if broadcast:
        np.broadcast_shapes(own, tuple(dims))
    if held > size or held == 0 < size:
        raise ValueError(
            f"Too many elements provided. Takes at most {size}, but got {held}: shape {dims} for values of {list(own)}"
        )


@export("make_ndarray")
def make_ndarray(tensor):
    """The array of a `TensorProto` message.

    Raises:
        InvalidArgumentError: an unknown dtype or shape, or values that do not fit the shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.make_ndarray(tf.make_tensor_proto(7, shape=[2, 2])).tolist()
        [[7, 7], [7, 7]]
    """
    return tensors.from_proto(tensor)
