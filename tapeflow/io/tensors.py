"""Arrays as `tensorflow.TensorProto` messages and back."""

import math

import numpy as np

from tapeflow.base.dtypes import DType, as_dtype, bfloat16, complex64, complex128, float16, string
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.io.messages import message

# Which field holds the values of a dtype where `tensor_content` does not.
FIELDS = {
    "float32": "float_val",
    "float64": "double_val",
    "int32": "int_val",
    "uint8": "int_val",
    "int16": "int_val",
    "int8": "int_val",
    "uint16": "int_val",
    "string": "string_val",
    "complex64": "scomplex_val",
    "int64": "int64_val",
    "bool": "bool_val",
    "complex128": "dcomplex_val",
    "float16": "half_val",
    "bfloat16": "half_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
}


def to_proto(array, dtype):
    """The message of an array: its bytes, but for strings, as TensorFlow's kernels write it.

    Raises:
        InvalidArgumentError: a dtype that has no field.
    """
    proto = message("TensorProto")(dtype=dtype.as_datatype_enum)
    proto.tensor_shape.SetInParent()  # a scalar's shape is written, too
    for n in np.shape(array):
        proto.tensor_shape.dim.add(size=n)
    if dtype.name not in FIELDS:
        raise InvalidArgumentError(None, None, f"A tensor of dtype {dtype.name} cannot be serialized. [Op:SerializeTensor]")
    if dtype is string:
        proto.string_val.extend(np.ravel(array).tolist())
    else:
        proto.tensor_content = np.asarray(array).tobytes()
    return proto


def fill_field(proto, array, dtype):
    """Let a message hold its values in the dtype's own field, not as bytes; TensorFlow's Python does so for single ones."""
    flat = np.ravel(array)
    if dtype in (float16, bfloat16):
        flat = flat.view(np.uint16)
    elif dtype.is_complex:
        flat = flat.view(dtype.real_dtype.numpy_dtype)
    proto.ClearField("tensor_content")
    getattr(proto, FIELDS[dtype.name]).extend(flat.tolist())


def serialized(array, dtype):
    """The bytes of an array's message."""
    return to_proto(array, dtype).SerializeToString()


def parsed(data, dtype):
    """The array of a message's bytes.

    Raises:
        InvalidArgumentError: bytes that are no tensor, or one of another dtype.
    """
    from google.protobuf.message import DecodeError

    try:
        proto = message("TensorProto").FromString(data)
    except DecodeError as error:
        raise _invalid(f"Could not parse `serialized` as TensorProto, starts with {data[:50]!r}") from error
    if proto.dtype != dtype.as_datatype_enum:
        held = _dtype_of(proto)
        raise _invalid(
            f"Type mismatch between parsed tensor ({held.name if held else proto.dtype}) and dtype ({dtype.name})"
        )
    return from_proto(proto)


def _dtype_of(proto):
    try:
        return as_dtype(proto.dtype)
    except TypeError:
        return None


def _invalid(text):
    return InvalidArgumentError(None, None, f"{text} [Op:ParseTensor]")


def from_proto(proto):
    """The array of a message.

    Raises:
        InvalidArgumentError: an unknown dtype or shape, or values that do not fit the shape.
    """
    dtype = _dtype_of(proto)
    if dtype is None or dtype.name not in FIELDS:
        raise _invalid(f"Cannot parse tensor from proto of data type {proto.dtype}")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(n < 0 for n in shape):
        raise _invalid(f"Cannot parse tensor from proto with the shape {list(shape)}: it is not fully known")
    size = math.prod(shape)
    if proto.tensor_content and dtype is not string:
        if len(proto.tensor_content) != size * dtype.size:
            raise _invalid(f"Cannot parse tensor from proto: {len(proto.tensor_content)} bytes for the shape {list(shape)}")
        return np.frombuffer(proto.tensor_content, dtype.numpy_dtype).reshape(shape).copy()
    values = _values(getattr(proto, FIELDS[dtype.name]), dtype, shape)
    values = values[:size]  # more than the shape has are left out, as TensorFlow does
    if len(values) < size:  # the last value stands for those that are left out; none at all are zeros
        if size > 1 << 30:
            raise _invalid(f"Cannot parse tensor from proto: {len(values)} values for the shape {list(shape)}")
        blank = values[-1] if len(values) else b"" if dtype is string else 0
        values = np.concatenate([values, np.full(size - len(values), blank, dtype.numpy_dtype)])
    return values.reshape(shape)


def _values(field, dtype: DType, shape):
    if dtype is string:
        values = np.empty(len(field), object)
        values[:] = list(field)
        return values
    try:
        if dtype in (float16, bfloat16):  # their bits as integers
            return np.array(field, np.int32).astype(np.uint16).view(dtype.numpy_dtype)
        if dtype in (complex64, complex128):
            return np.array(field, dtype.real_dtype.numpy_dtype).view(dtype.numpy_dtype)
        return np.array(list(field), object).astype(dtype.numpy_dtype)
    except ValueError as error:  # half a complex number
        raise _invalid(f"Cannot parse tensor from proto of the shape {list(shape)}: {error}") from error
