"""What makes tensors of plain values, and the constants of the public API: dtypes, specs, shapes, errors."""

import functools

from tapeflow.api.export import export, export_value
from tapeflow.autodiff.tape import GradientTape, UnconnectedGradients
from tapeflow.base import dtypes, errors
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec, register_tensor_type, type_spec_from_value
from tapeflow.core import convert
from tapeflow.core.composite import Composite, unsupported
from tapeflow.core.convert import register_tensor_conversion_function, static_dims
from tapeflow.core.primitive import P
from tapeflow.core.slices import IndexedSlices, IndexedSlicesSpec
from tapeflow.core.tensor import Tensor

for _dtype in dtypes.ALL:
    if not _dtype.name.startswith(("float8", "int4", "uint4")):
        export_value(_dtype, _dtype.name, f"dtypes.{_dtype.name}")
    else:
        export_value(_dtype, f"dtypes.experimental.{_dtype.name}")
export_value(dtypes.half, "half", "dtypes.half")
export_value(dtypes.double, "double", "dtypes.double")
export_value(dtypes.DType, "DType", "dtypes.DType")
export_value(dtypes.as_dtype, "as_dtype", "dtypes.as_dtype")
export_value(TensorShape, "TensorShape")
export_value(TensorSpec, "TensorSpec")
export_value(TypeSpec, "TypeSpec")
export_value(type_spec_from_value, "type_spec_from_value")
register_tensor_type(Tensor, convert.convert_to_tensor)
export_value(IndexedSlices, "IndexedSlices")
export_value(IndexedSlicesSpec, "IndexedSlicesSpec")
export_value(GradientTape, "GradientTape", "autodiff.GradientTape")
export_value(UnconnectedGradients, "UnconnectedGradients")
export_value(register_tensor_conversion_function, "register_tensor_conversion_function")
export_value(None, "newaxis")
for _name, _error in vars(errors).items():
    if (isinstance(_error, type) and issubclass(_error, Exception)) or (isinstance(_error, int) and _name.isupper()):
        export_value(_error, f"errors.{_name}")


@export("convert_to_tensor")
@functools.wraps(convert.convert_to_tensor)
def convert_to_tensor(value, dtype=None, dtype_hint=None, name=None):
    if value.__class__ is Tensor and dtype is None:
        return value
    x = convert.convert_to_tensor(value, dtype, dtype_hint)
    if isinstance(x, Composite):
        raise unsupported(x)
    return x


@export("constant")
def constant(value, dtype=None, shape=None, name="Const"):
    """A tensor of `value`, broadcast to `shape` where one is given.

    Example:
        >>> import tapeflow as tf
        >>> tf.constant(7.0, shape=[2])
        <tf.Tensor: shape=(2,), dtype=float32, numpy=array([7., 7.], dtype=float32)>
    """
    tensor = convert_to_tensor(value, dtype)
    if shape is None:
        return tensor
    dims = static_dims(shape)
    if tensor.dims == dims:
        return tensor
    count = tensor.shape.num_elements()
    size = TensorShape(dims).num_elements()
    if count == size:
        return P.reshape(tensor, shape=dims)
    if count == 1 and len(tensor.dims) > 1:
        raise errors.invalid("Fill", f"value must represent a scalar, got shape {list(tensor.dims)}")
    if count == 1:
        return P.broadcast_to(P.reshape(tensor, shape=()), shape=dims)
    raise TypeError(
        f"Eager execution of tf.constant with unsupported shape. Tensor {tensor!r} (converted from {value!r}) has {count} "
        f"elements, but got `shape` {dims} with {size} elements)."
    )
