"""What public functions do alike with their arguments: one dtype for several tensors; axes, vectors and tables."""

import numbers

import numpy as np

from tapeflow.base.dtypes import string
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


def axis_number(axis, name="axis"):
    """An axis as an int; a tensor must be known while tracing.

    Raises:
        TypeError: it is no integer.
        ValueError: it is None, or not known yet.
    """
    if axis.__class__ is int:
        return axis
    if axis is None:
        raise ValueError(
            f"Attempt to convert a value ({axis}) with an unsupported type ({type(axis)}) to a Tensor: `{name}`."
        )
    if isinstance(axis, numbers.Integral):
        return int(axis)
    if isinstance(axis, numbers.Number):
        raise TypeError(f"Cannot convert {axis!r} to EagerTensor of dtype int32: `{name}` must be an integer")
    x = convert_to_tensor(axis)
    if x._dtype is string:
        raise InvalidArgumentError(
            None,
            None,
            f"Value for attr 'T{name}' of string is not in the list of allowed values: int32, int64, got {axis!r}",
        )
    if not x._dtype.is_integer:
        raise TypeError(f"Cannot convert {axis!r} to EagerTensor of dtype int32: `{name}` must be an integer")
    value = static_value(x)
    if value is None:
        raise ValueError(f"`{name}` must be known while the function is traced, but {x!r} is computed in it.")
    if value.size != 1:
        raise InvalidArgumentError(None, None, f"'{name}' must be a tensor with a single value, got {value.tolist()}")
    return int(value.reshape(()))


def axis_numbers(axis, name="axis"):
    """One axis or several as a tuple of ints."""
    if axis.__class__ is int:
        return (axis,)
    if isinstance(axis, (list, tuple)):
        return tuple([axis_number(i, name) for i in axis])
    if isinstance(axis, (numbers.Number, str)):
        return (axis_number(axis, name),)
    x = convert_to_tensor(axis)
    value = static_value(x)
    if value is None or not x._dtype.is_integer:
        axis_number(x, name)  # says what is wrong
    return tuple(value.reshape(-1).tolist())


def whole_number(value, name):
    """An int, or a scalar symbolic tensor where the value is not known while tracing."""
    if value.__class__ is int:
        return value
    x = convert_to_tensor(int(value) if value.__class__ is bool else value)
    if x._dtype is string:
        raise InvalidArgumentError(
            None,
            None,
            f"Value for attr 'T{name}' of string is not in the list of allowed values: int32, int64, got {value!r}",
        )
    if not x._dtype.is_integer:
        raise TypeError(f"Cannot convert {value!r} to EagerTensor of dtype int32: `{name}` must be an integer")
    if x.dims not in ((), None):
        raise InvalidArgumentError(None, None, f"{name} must be a scalar, but got: {list(x.dims)}")
    known = static_value(x)
    return x if known is None else int(known)


def vector(value, op, name):
    """A vector of integers for attrs, see `static_dims`; refuses scalars and matrices.

    Raises:
        InvalidArgumentError: not a vector, or not of integers.
    """
    if value.__class__ is int or (isinstance(value, (Tensor, np.ndarray)) and convert_to_tensor(value).dims == ()):
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
