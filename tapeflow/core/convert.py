"""Python, NumPy and foreign values to tensors, by TensorFlow's rules of dtype."""

import contextlib
import itertools
import numbers
from typing import Any

import numpy as np

from tapeflow.base import dtypes
from tapeflow.base.dtypes import as_dtype, string
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.base.shape import TensorShape
from tapeflow.core.primitive import P, has_symbols
from tapeflow.core.state import CONSTANT, scoped, within_trace
from tapeflow.core.tensor import BY_CLASS, Tensor, wrap

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
MOST_CONSTANTS = 256
FLOAT32_MAX = float(np.finfo(np.float32).max)
# The dtypes that a Python bool may take: TensorFlow has the others only for numbers.
FROM_BOOLS = {dtypes.bool_, dtypes.int32, dtypes.int64, dtypes.uint64, dtypes.float16, dtypes.float32, dtypes.float64}
FROM_BOOLS.add(dtypes.complex128)

# NumPy's scalar type -> (class, Python number) -> the tensor that stands for it as an operand. What is found here needs no
# more checks: it passed those of `operand` before.
CONSTANTS: dict[type | None, dict] = {dtype.type: {} for dtype in dtypes.ALL}

# Class -> function: what is read like a tensor, without further checks (variables).
READERS: dict[type, Any] = {}

# (class, function(value, dtype, as_ref) -> tensor or NotImplemented), asked in order of registration.
_CONVERSIONS: list = []


def register_tensor_conversion_function(base_type, conversion_func, priority=100):
    """Let `conversion_func(value, dtype=None, name=None, as_ref=False)` convert values of `base_type`."""
    types = base_type if isinstance(base_type, tuple) else (base_type,)
    _CONVERSIONS.append((priority, len(_CONVERSIONS), types, conversion_func))
    _CONVERSIONS.sort(key=lambda entry: entry[:2])


def scalar(value, dtype):
    """A 0-d tensor of a Python number, without checks."""
    tensor = Tensor()
    tensor._value = dtype.type(value)
    tensor._dtype = dtype
    tensor._mark = CONSTANT if scoped and within_trace() else None
    return tensor


def constant(value, dtype):
    """`scalar`, but one tensor for each number: programs use few, and making one costs more than computing with it.

    It is for operands only: what is returned to the user has to be a tensor of its own.
    """
    known = CONSTANTS[dtype.type]
    key = value.__class__, value
    tensor = known.get(key)
    if tensor is None:
        tensor = scalar(value, dtype)
        tensor._mark = CONSTANT
        if value or value.__class__ is int:  # 0.0 and -0.0 would be one key
            if len(known) >= MOST_CONSTANTS:
                known.clear()
            known[key] = tensor
    return tensor


def convert_to_tensor(value, dtype=None, dtype_hint=None, name=None):
    """A tensor of `value`.

    Python floats become float32 and ints int32 (int64 where they do not fit) unless `dtype` says otherwise; NumPy values
    keep their dtype; lists may hold tensors, which are stacked. NumPy arrays are copied: a tensor never changes.

    Args:
        value: a tensor, variable, number, string, array, nested list, or an object with `__tf_tensor__` or `__array__`.
        dtype: the dtype wanted.
        dtype_hint: a dtype used where the value allows it.

    Raises:
        ValueError: a tensor of another dtype, a ragged list, mixed types, or an unsupported type.
        TypeError: a Python value that the dtype cannot hold.

    Example:
        >>> import tapeflow as tf
        >>> tf.convert_to_tensor([1, 2.5])
        <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1. , 2.5], dtype=float32)>
    """
    cls = value.__class__
    if cls is Tensor and (dtype is None or value._dtype is dtype):  # the usual cases
        return value
    if dtype is not None:
        dtype = as_dtype(dtype)
    if cls in READERS and (dtype is None or value._dtype is dtype):
        return READERS[cls](value)
    if dtype is None and dtype_hint is not None and not isinstance(value, Tensor) and not hasattr(cls, "__tf_tensor__"):
        try:
            return convert_to_tensor(value, as_dtype(dtype_hint))
        except (TypeError, ValueError, InvalidArgumentError):
            pass
    if cls is float and (dtype.is_floating if dtype is not None else -FLOAT32_MAX <= value <= FLOAT32_MAX):
        return scalar(value, dtype or dtypes.float32)
    if cls is int and (dtype is None or dtype.is_floating or dtype is dtypes.int32) and INT32_MIN <= value <= INT32_MAX:
        return scalar(value, dtype or dtypes.int32)
    if isinstance(value, Tensor):
        if dtype is not None and value._dtype is not dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype {value._dtype.name}: {value!r}"
            )
        return value
    return _convert(value, dtype)


def _made(array):
    """The tensor of an array that was made for it; a constant while a function is traced."""
    tensor = wrap(array)
    if scoped and within_trace():
        tensor._mark = CONSTANT
    return tensor


def _convert(value, dtype):
    if isinstance(value, (np.ndarray, np.generic)):
        return _from_numpy(value, dtype)
    convert = getattr(value, "__tf_tensor__", None)
    if convert is not None:
        result = convert(dtype, None)
        return result if result is value else convert_to_tensor(result, dtype)  # a composite passes as it is
    if isinstance(value, (list, tuple)) and _holds_tensor(value):
        return _stack(value, dtype)
    for _, _, types, function in _CONVERSIONS:
        if isinstance(value, types):
            result = function(value, dtype=dtype, name=None, as_ref=False)
            if result is not NotImplemented:
                return convert_to_tensor(result, dtype)
    if isinstance(value, (list, tuple, numbers.Number, str, bytes, range)):
        return _made(_array_of_python(value, dtype))
    if isinstance(value, TensorShape):
        return _made(_array_of_shape(value, dtype))
    if hasattr(value, "__array__") or hasattr(value, "__array_interface__"):
        return _from_numpy(np.asarray(value), dtype)
    if hasattr(value, "__len__") and hasattr(value, "__getitem__") and not isinstance(value, dict):
        return convert_to_tensor(list(value), dtype)
    raise ValueError(f"Attempt to convert a value ({value!r}) with an unsupported type ({type(value)}) to a Tensor.")


def _from_numpy(value, dtype):
    array = np.asarray(value)
    if array.dtype.kind in "SUO":
        array = _bytes_array(array)
    if dtype is not None and dtype.numpy_dtype != array.dtype:
        if dtype is string and not array.size:
            return _made(np.empty(array.shape, object))
        if (dtype is string) != (array.dtype == object):
            raise ValueError(f"Cannot convert a NumPy array of dtype {array.dtype} to a tensor of dtype {dtype.name}.")
        return _made(array.astype(dtype.numpy_dtype))
    if array.dtype.kind in "mMV" and array.dtype not in dtypes.BY_NUMPY:
        raise ValueError(f"Failed to convert a NumPy array to a Tensor (Unsupported numpy dtype {array.dtype}).")
    return _made(np.array(array, order="C"))


def _bytes_array(array):
    """An object array of `bytes` for an array of strings or objects; tensors within it are numbers again."""
    leaves = array.ravel().tolist()
    if array.dtype.kind == "O" and not all(isinstance(leaf, (str, bytes)) for leaf in leaves):
        if all(isinstance(leaf, (numbers.Number, np.generic)) for leaf in leaves):
            return np.array(leaves).reshape(array.shape)
        strange = next(leaf for leaf in leaves if not isinstance(leaf, (str, bytes)))
        raise ValueError(f"Failed to convert a NumPy array to a Tensor (Unsupported object type {type(strange).__name__}).")
    result = np.empty(array.shape, object)
    result.ravel()[:] = [leaf.encode() if isinstance(leaf, str) else bytes(leaf) for leaf in leaves]
    return result


def _holds_tensor(value):
    for item in value:
        if isinstance(item, Tensor) or hasattr(item, "__tf_tensor__"):
            return True
        if isinstance(item, (list, tuple)) and _holds_tensor(item):
            return True
    return False


def _stack(value, dtype):
    found = next((x.dtype for x in _leaves(value) if isinstance(x, Tensor) or hasattr(x, "__tf_tensor__")), None)
    found = None if found is None else as_dtype(found)
    wished = None if found is dtype else dtype  # where the first tensor has it, the others must have it too
    dtype = dtype or found
    return P.stack(*[_item(item, dtype, wished) for item in value], axis=0)


def _item(item, dtype, wished):
    """An item of a list that holds tensors: a tensor is cast to a dtype that was asked for, and stays as it is else."""
    if not isinstance(item, Tensor) and not hasattr(item, "__tf_tensor__"):
        return convert_to_tensor(item, dtype)
    tensor = convert_to_tensor(item)
    return tensor if wished is None or tensor._dtype is wished else P.cast(tensor, dtype=wished)


def _leaves(value):
    for item in value:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def _array_of_shape(value, dtype):
    if not value.is_fully_defined():
        raise ValueError(f"Cannot convert a partially known TensorShape {value} to a Tensor.")
    if dtype not in (None, dtypes.int32, dtypes.int64):
        text = "Allowed dtypes are tf.int32 and tf.int64."
        raise TypeError(f"Cannot convert TensorShape {tuple(value.as_list())} to dtype {dtype!r}. {text}")
    dims = value.as_list()
    return np.array(dims, (dtype.numpy_dtype if dtype else np.int64 if max(dims, default=0) > INT32_MAX else np.int32))


def _array_of_python(value, dtype):
    """An array of Python numbers or strings, nested in lists."""
    nested = isinstance(value, (list, tuple, range))
    leaves = list(_leaves(value)) if nested else [value]
    kinds = set(map(type, leaves))
    for kind, leaf in ((kind, leaf) for leaf in leaves if (kind := type(leaf)) is type(None)):
        raise ValueError(f"Attempt to convert a value ({leaf}) with an unsupported type ({kind}) to a Tensor.")
    if kinds & {str, bytes, np.str_, np.bytes_}:
        return _strings(value, leaves, kinds, dtype)
    try:
        array = np.array(value)
    except (ValueError, OverflowError) as error:
        raise ValueError("Can't convert non-rectangular Python sequence to Tensor.") from error
    if array.dtype == object and dtype in (dtypes.float16, dtypes.float32, dtypes.float64):
        with contextlib.suppress(TypeError, ValueError, OverflowError):  # integers of more than 64 bits
            array = array.astype(np.float64)
    if array.dtype == object:
        if all(isinstance(leaf, numbers.Integral) for leaf in leaves):
            raise ValueError(f"Attempt to convert an integer that does not fit 64 bits to a Tensor: {max(leaves, key=abs)}")
        raise ValueError(f"Can't convert Python sequence with mixed types to Tensor: {sorted(k.__name__ for k in kinds)}.")
    if dtype is None:
        return array.astype(_dtype_of_leaves(array, kinds, leaves).numpy_dtype, copy=False)
    return _cast_python(array, leaves, kinds, dtype)


def _dtype_of_leaves(array, kinds, leaves):
    """The dtype that TensorFlow gives to Python values without a wish."""
    widths = [leaf.dtype for leaf in leaves if isinstance(leaf, (np.generic, np.ndarray)) and leaf.dtype.kind not in "iubc"]
    if widths:  # NumPy floats within a list keep their width; NumPy integers become int32, as Python's
        return BY_CLASS[np.result_type(*widths).type]
    if bool in kinds and len(kinds) > 1 and leaves[0].__class__ is bool:  # after a number, True counts as 1
        raise ValueError(f"Can't convert Python sequence with mixed types to Tensor: {sorted(k.__name__ for k in kinds)}.")
    match array.dtype.kind:
        case "f":
            if np.any(np.isfinite(array) & (np.abs(array) > FLOAT32_MAX)):
                raise ValueError(
                    f"Can't convert Python sequence with a value out of range for a float32: {max(leaves, key=abs)}. "
                    "dtype=tf.float64 holds it."
                )
            return dtypes.float32
        case "c":
            return dtypes.complex128
        case "b":
            return dtypes.bool_
        case "i" if array.size and (array.min() < INT32_MIN or array.max() > INT32_MAX):
            return dtypes.int64
        case "i":
            return dtypes.int32
        case "u":
            raise ValueError(
                f"Can't convert Python sequence with out-of-range integer to Tensor: {max(leaves)}. dtype=tf.uint64 holds it."
            )
        case kind:
            raise ValueError(f"Attempt to convert Python values of kind {kind!r} to a Tensor.")


def _cast_python(array, leaves, kinds, dtype):
    kind = array.dtype.kind
    fits = (
        array.size == 0
        or (kind == "b" and dtype in FROM_BOOLS)
        or (kind in "fiu" and dtype.is_floating)
        or (kind in "fiuc" and dtype.is_complex)
        or (kind in "iu" and dtype.is_integer)
    )
    if not fits:
        wrong = leaves[0] if leaves else array
        raise TypeError(f"Cannot convert {wrong!r} to EagerTensor of dtype {dtype.c_name}")
    if kind == "u" and all(leaf.__class__ is int for leaf in leaves) and not (dtype is dtypes.uint64 or dtype.is_floating):
        raise ValueError(
            f"Can't convert Python sequence with out-of-range integer to Tensor: {max(leaves)} as {dtype.name}."
        )
    if dtype in (dtypes.int32, dtypes.int64) and array.size and kind != "b":
        limits = np.iinfo(dtype.numpy_dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise ValueError(f"Cannot convert {max(leaves, key=abs)} to a tensor of dtype {dtype.name}: it is out of range.")
    return array.astype(dtype.numpy_dtype)


def _strings(value, leaves, kinds, dtype):
    if dtype not in (None, string):
        raise TypeError(f"Cannot convert {leaves[0]!r} to EagerTensor of dtype {dtype.c_name}")
    if kinds - {str, bytes, np.str_, np.bytes_}:
        raise ValueError(f"Can't convert Python sequence with mixed types to Tensor: {sorted(k.__name__ for k in kinds)}.")
    shape = []
    level = value
    while isinstance(level, (list, tuple)):
        shape.append(len(level))
        level = level[0] if level else None
    array = np.empty(tuple(shape), object)
    if array.size != len(leaves) or not _rectangular(value, shape):
        raise ValueError("Can't convert non-rectangular Python sequence to Tensor.")
    array.ravel()[:] = [leaf.encode() if isinstance(leaf, str) else bytes(leaf) for leaf in leaves]
    return array


def _rectangular(value, shape):
    if not shape:
        return not isinstance(value, (list, tuple))
    return isinstance(value, (list, tuple)) and len(value) == shape[0] and all(_rectangular(v, shape[1:]) for v in value)


def operand(value, like):
    """The other operand of a Python operator: numbers and arrays take the tensor's dtype where they can.

    Returns:
        A tensor, or NotImplemented where `value` should try its own operator.
    """
    dtype = like._dtype
    cls = value.__class__
    if cls is int or cls is float:
        tensor = CONSTANTS[dtype.type].get((cls, value))
        if tensor is not None:
            return tensor
    if (cls is float and dtype.is_floating) or (
        cls is int and (dtype.is_floating or dtype is dtypes.int32) and INT32_MIN <= value <= INT32_MAX
    ):
        return constant(value, dtype)
    if cls in READERS:
        return READERS[cls](value)
    if isinstance(value, Tensor):
        return value
    if getattr(value, "_type_spec", None) is not None and not hasattr(value, "__tf_tensor__"):
        return NotImplemented  # ragged and sparse tensors have operators of their own
    return convert_to_tensor(value, None if hasattr(value, "__tf_tensor__") else dtype)


class Unknown:
    """A number that is not known while tracing; whatever is computed from it is unknown too."""

    def _same(self, *_):
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __rfloordiv__ = __neg__ = _same
    __mod__ = __rmod__ = _same
    __lt__ = __gt__ = __le__ = __ge__ = __eq__ = _same
    __hash__ = None  # type: ignore[assignment]


UNKNOWN = Unknown()
# The ops through which a shape is followed while tracing; their kernels work on object arrays as they are.
_FOLLOWED = {
    "stack",
    "concat",
    "strided_slice",
    "reshape",
    "gather",
    "expand_dims",
    "squeeze",
    "identity",
    "add",
    "sub",
    "mul",
}
_FOLLOWED |= {"floordiv", "floormod", "prod", "unstack", "split", "slice", "reverse"}


def partial_value(x):
    """An array of what is known of a tensor's value while tracing (`UNKNOWN` where nothing is), or None."""
    if x.__class__ is Tensor:
        return np.asarray(x._value)
    node = getattr(x, "node", None)
    if node is None:
        return None
    if node.op.name == "shape":
        dims = node.inputs[0].dims
        if dims is None:
            return None
        array = np.empty(len(dims), object)
        array[:] = [UNKNOWN if n is None else n for n in dims]
        return array
    if node.op.name == "cast":
        return partial_value(node.inputs[0])
    if node.op.name not in _FOLLOWED or x.dims is None or None in x.dims or has_symbols(node.attrs):
        return None
    parts = [partial_value(part) for part in node.inputs]
    if any(part is None for part in parts):
        return None
    try:
        result = node.op.kernel(*[part.astype(object) for part in parts], **node.attrs)
    except (TypeError, ValueError):
        return None
    return np.asarray(result[x.index] if node.op.multiple else result)


def static_value(x):
    """The tensor's value as an ndarray where it is known (always when eager), else None."""
    value = partial_value(x)
    if value is None or (value.dtype == object and any(item is UNKNOWN for item in value.ravel())):
        return None
    return value if x._dtype is string else value.astype(x._dtype.numpy_dtype, copy=False)


def static_dims(value):
    """A shape argument (tensor, list, TensorShape, int) as a tuple for attrs: ints, and scalar symbolic tensors where unknown.

    A symbolic vector whose length is unknown is returned as it is.
    """
    cls = value.__class__
    if cls is tuple or cls is list:
        for n in value:
            if n.__class__ is not int:
                break
        else:
            return tuple(value)
    if isinstance(value, TensorShape):
        return tuple(_array_of_shape(value, None).tolist())
    if isinstance(value, (int, np.integer)):
        return (int(value),)
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, (list, tuple)) for item in value):
            convert_to_tensor(value)  # refuses ragged lists
        items = [_static_dim(item) for item in value]
        return tuple(itertools.chain.from_iterable(items))
    x = convert_to_tensor(value)
    if not x._dtype.is_integer and x.dims != (0,):
        if value.__class__ is float:
            raise TypeError(f"Cannot convert {value!r} to EagerTensor of dtype int32: a shape must be integers")
        raise InvalidArgumentError(None, None, f"A shape must be integers, got dtype {x._dtype.name}: {x!r}")
    if x.dims is not None and len(x.dims) > 1:
        raise InvalidArgumentError(
            None, None, f"A shape must be a vector: sizes input must be 1-D, not {list(x.dims)}: {x!r}"
        )
    known = partial_value(x)
    if known is not None and not any(item is UNKNOWN for item in known.ravel()):
        return tuple(int(n) for n in known.ravel())
    if x.dims is None or None in x.dims:
        return x
    parts = P.unstack(x, axis=0, num=x.dims[0]) if len(x.dims) else (x,)
    if known is None:
        return tuple(parts)
    return tuple(part if n is UNKNOWN else int(n) for n, part in zip(known.ravel(), parts, strict=True))


def _static_dim(item):
    if item.__class__ is int:
        return (item,)
    if item is None:
        raise ValueError(
            "Attempt to convert a value (None) with an unsupported type (<class 'NoneType'>) to a Tensor. A shape argument must be "
            "fully known integers; use tf.shape(x) for unknown dimensions."
        )
    if isinstance(item, (list, tuple)) or (item.dims not in ((), None) if isinstance(item, Tensor) else np.ndim(item)):
        raise InvalidArgumentError(None, None, f"A shape must be a vector: sizes input must be 1-D, but it holds {item!r}")
    if item.__class__ is Tensor and item.dims == ():
        return (int(item._value),)  # also of a float: TensorFlow casts the tensors in a list to the dtype that it wants
    if isinstance(item, Tensor) and item._dtype.is_floating:
        item = P.cast(item, dtype=dtypes.int32)
    if item.__class__ is float:
        raise InvalidArgumentError(None, None, f"A shape must be integers, got the float {item}")
    return static_dims(item)


def known_dims(dims):
    """A shape attr for inference: symbolic dimensions become None."""
    if isinstance(dims, Tensor):
        return None if dims.dims is None or None in dims.dims else (None,) * dims.dims[0]
    return tuple(None if isinstance(n, Tensor) else n for n in dims)
