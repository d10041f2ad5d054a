"""What public functions do alike with their arguments: one dtype for several tensors; axes, vectors and tables."""

import numbers

import numpy as np

from tapeflow.base.dtypes import int32, string
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.core.convert import convert_to_tensor, static_dims, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor


def matching(values):
    """Tensors of `values`: Python and NumPy values take the dtype of the first tensor, or of the first value.

    Tensors of another dtype stay as they are: the op says what is wrong with them.
    """
    for x in values:
        if x.__class__ is not Tensor:
            break
    else:
        return values
    found = [x for x in values if isinstance(x, Tensor) or hasattr(x, "__tf_tensor__")]
    dtype = convert_to_tensor(found[0] if found else values[0])._dtype if values else None
    converted = [
        convert_to_tensor(x) if isinstance(x, Tensor) or hasattr(x, "__tf_tensor__") else _plain(x, dtype) for x in values
    ]
    return converted


def _plain(value, dtype):
    """A Python or NumPy value as a tensor of a dtype that was settled by others."""
    try:
        return convert_to_tensor(value, dtype)
    except ValueError:
        if value is None:
            raise
        raise TypeError(f"Cannot convert {value!r} to EagerTensor of dtype {dtype.name}") from None


def axis_number(axis, name="axis", takes=None):
    """An axis as an int; a tensor must be known while tracing.

    Args:
        takes: which class of error a value of another dtype has. TensorFlow's ops take int32 (`"int32"`: TypeError for
            whatever is none), or any integers (`"integers"`: InvalidArgumentError, a bool is none), or int32 unless a
            tensor says otherwise (None: TypeError, but InvalidArgumentError for a string).

    Raises:
        TypeError, InvalidArgumentError: it is no integer, or not a single one.
        ValueError: it is None, or not known yet.
    """
    if axis.__class__ is int:
        return axis
    if takes is not None:
        _check_kind(axis, name, takes)
    if axis is None:
        raise ValueError(
            f"Attempt to convert a value ({axis}) with an unsupported type ({type(axis)}) to a Tensor: `{name}`."
        )
    if isinstance(axis, numbers.Integral):
        return int(axis)
    if isinstance(axis, numbers.Number):
        raise _no_int32(axis, name)
    x = _integers(axis, name)
    value = static_value(x)
    if value is None:
        raise ValueError(f"`{name}` must be known while the function is traced, but {x!r} is computed in it.")
    if value.size != 1:
        raise InvalidArgumentError(None, None, f"'{name}' must be a tensor with a single value, got {value.tolist()}")
    return int(value.reshape(()))


def _no_int32(value, name):
    return TypeError(f"Cannot convert {value!r} to EagerTensor of dtype int32: `{name}` must be an integer")


def _no_attr(value, name, dtype):
    text = f"Value for attr 'T{name}' of {dtype.c_name} is not in the list of allowed values: int32, int64, got {value!r}"
    return InvalidArgumentError(None, None, text)


def _check_kind(value, name, takes):
    """Raise the error that an op which `takes` so has for a value of another dtype."""
    if isinstance(value, (numbers.Number, str)) and not isinstance(value, bool) and takes == "int32":
        if not isinstance(value, numbers.Integral):
            raise _no_int32(value, name)
    elif takes == "integers" and value is not None:
        dtype = convert_to_tensor(value)._dtype
        if not dtype.is_integer:
            raise _no_attr(value, name, dtype)


def _integers(value, name):
    """A tensor of integers; nothing at all counts as no integers."""
    x = convert_to_tensor(value, dtype_hint=int32 if isinstance(value, (list, tuple)) and not value else None)
    if x._dtype is string:
        raise _no_attr(value, name, x._dtype)
    if not x._dtype.is_integer:
        raise _no_int32(value, name)
    return x


def axis_numbers(axis, name="axis", takes=None):
    """One axis or several as a tuple of ints; see `axis_number`."""
    if axis.__class__ is int:
        return (axis,)
    if takes is not None:
        _check_kind(axis, name, takes)
    if isinstance(axis, (list, tuple)):
        return tuple([axis_number(i, name) for i in axis])
    if isinstance(axis, (numbers.Number, str)):
        return (axis_number(axis, name),)
    x = convert_to_tensor(axis)
    value = static_value(x)
    if value is None or not x._dtype.is_integer:
        axis_number(x, name)  # says what is wrong
    return tuple(value.reshape(-1).tolist())


def whole_number(value, name, takes=None):
    """An int, or a scalar symbolic tensor where the value is not known while tracing; see `axis_number` for `takes`."""
    if value.__class__ is int:
        return value
    if takes is not None:
        _check_kind(value, name, takes)
    x = _integers(int(value) if value.__class__ is bool else value, name)
    if x.dims not in ((), None):
        raise InvalidArgumentError(None, None, f"{name} must be a scalar, but got: {list(x.dims)}")
    known = static_value(x)
    return x if known is None else int(known)


def integers(value, name):
    """An integer or several for attrs, see `static_dims`, where a value of another dtype is InvalidArgumentError."""
    if value.__class__ is not int:
        _check_kind(value, name, "integers")
    return static_dims(value)


def vector(value, op, name):
    """A vector of integers for attrs, see `static_dims`; refuses scalars and matrices.

    Raises:
        InvalidArgumentError: not a vector, or not of integers.
    """
    if isinstance(value, int) or (isinstance(value, (Tensor, np.ndarray)) and convert_to_tensor(value).dims == ()):
        raise invalid(op, f"{name} must be a vector of {{int32,int64}}, got shape []")
    return static_dims(value)


def table(value, op, name, rows=None):
    """A matrix [rows, 2] of integers, such as paddings, as a tuple of pairs; entries may be scalar symbolic tensors.

    Args:
        rows: how many are expected, for a matrix of unknown shape.
    """
    columns = 2
    if isinstance(value, (list, tuple)):
        rows = tuple([_row(row) for row in value])
        if len({row if row.__class__ is int else len(row) for row in rows}) > 1:
            convert_to_tensor(value)  # refuses ragged lists
    else:
        x = convert_to_tensor(value)
        if not x._dtype.is_integer:
            raise invalid(
                op, f"Value for attr 'T{name}' of {x._dtype.c_name} is not in the list of allowed values: int32, int64"
            )
        rows = rows if x.dims is None or x.dims[:1] in ((), (None,)) else x.dims[0]
        if rows is None or (x.dims is not None and (len(x.dims) != 2 or x.dims[1] not in (columns, None))):
            raise invalid(op, f"{name} must be a matrix with {columns} columns: {list(x.dims or ())}")
        known = static_value(x)
        if known is not None:
            return tuple(map(tuple, known.tolist()))
        rows = tuple([tuple(P.unstack(row, axis=0, num=columns)) for row in P.unstack(x, axis=0, num=rows)])
    if any(row.__class__ is not tuple or len(row) != columns for row in rows):
        raise invalid(op, f"{name} must be a matrix with {columns} columns: {value!r}")
    return rows


def _row(row):
    return row if row.__class__ is int else static_dims(row)


def of_dtype(op, position, value, dtype):
    """A tensor of the one dtype that an op takes at a position.

    Raises:
        InvalidArgumentError: a tensor of another dtype.
        TypeError: a Python value that the dtype cannot hold.
    """
    if isinstance(value, Tensor):
        if value._dtype is not dtype:
            raise invalid(
                op,
                f"cannot compute {op} as input #{position}(zero-based) was expected to be a {dtype.c_name} tensor but is a "
                f"{value._dtype.c_name} tensor",
            )
        return value
    return _plain(value, dtype)


def of_rank(x, rank):
    """`x`, known to be of the given rank where its own is not known while tracing."""
    return x if x.dims is not None else P.ensure_shape(x, shape=(None,) * rank)


def direction(value):
    """Whether `value` says descending.

    Raises:
        ValueError: it is neither "ASCENDING" nor "DESCENDING".
    """
    if value not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"Argument `direction` should be one of ASCENDING, DESCENDING. Received: direction={value}")
    return value == "DESCENDING"
