"""The assertions of `tf.debugging` about what is known without values: dtypes, ranks and shapes."""

from collections.abc import Iterable

import numpy as np

from tapeflow.api.debugging import Assert
from tapeflow.api.export import export
from tapeflow.base.dtypes import as_dtype, float32
from tapeflow.core.convert import convert_to_tensor, static_value
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable


def _prefix(message):
    return f"{message}.  " if message else ""


# Dtypes


@export("debugging.is_numeric_tensor")
def is_numeric_tensor(tensor):
    """Whether `tensor` is a tensor of numbers.

    Example:
        >>> import tapeflow as tf
        >>> tf.debugging.is_numeric_tensor(tf.constant(1)), tf.debugging.is_numeric_tensor(tf.constant("a"))
        (True, False)
    """
    return isinstance(tensor, Tensor) and tensor.dtype.is_numeric


@export("debugging.assert_integer")
def assert_integer(x, message=None, name=None):
    """Raise TypeError unless `x` has an integer dtype."""
    dtype = convert_to_tensor(x).dtype
    if not dtype.is_integer:
        raise TypeError(f'{_prefix(message)}Expected "x" to be integer type.  Found: tensor of dtype {dtype}')


@export("debugging.assert_type")
def assert_type(tensor, tf_type, message=None, name=None):
    """Raise TypeError unless `tensor` has dtype `tf_type`."""
    wanted = as_dtype(tf_type)
    dtype = tensor.dtype if hasattr(tensor, "dtype") and hasattr(tensor, "_type_spec") else convert_to_tensor(tensor).dtype
    if dtype is not wanted:
        raise TypeError(f"{_prefix(message)}tensor must be of type {wanted!r}; got {dtype!r}")


@export("debugging.assert_same_float_dtype")
def assert_same_float_dtype(tensors=None, dtype=None):
    """The one floating point dtype of `tensors`: `dtype` where it is given, float32 where there is no tensor.

    Raises:
        ValueError: a tensor has another dtype, or the dtype is not floating point.
    """
    expected = None if dtype is None else as_dtype(dtype)
    first = None
    for tensor in tensors or ():
        if tensor is None:
            continue
        if expected is None:
            expected, first = tensor.dtype, tensor
        elif tensor.dtype is not expected:
            like = "" if first is None else f" as {first!s}"
            raise ValueError(f"{tensor!s}, type={tensor.dtype}, must be of the same type ({expected}){like}.")
    expected = float32 if expected is None else expected
    if not expected.is_floating:
        raise ValueError(f"Expected floating point type, got {expected}.")
    return expected


@export("debugging.assert_proper_iterable")
def assert_proper_iterable(values):
    """Raise TypeError unless `values` is iterable, and neither a tensor, an array nor a string."""
    if isinstance(values, (Tensor, Variable, np.ndarray, bytes, str)) or getattr(values, "_type_spec", None) is not None:
        raise TypeError(f'Expected argument "values" to be a "proper" iterable.  Found: {type(values)}')
    if not isinstance(values, Iterable):
        raise TypeError(f'Expected argument "values" to be iterable.  Found: {type(values)}')


# Ranks


def _whole_rank(rank):
    """A rank argument as an int, or as a scalar tensor that is not known yet."""
    tensor = convert_to_tensor(rank)
    if tensor.dtype.name not in ("int32", "int64"):
        raise TypeError(f"tensor must be of type tf.int32; got {tensor.dtype!r}")
    if tensor.dims not in (None, ()):
        raise ValueError(f"Rank must be a scalar, got {rank!r}.")
    value = static_value(tensor)
    return tensor if value is None else int(value)


def _assert_rank(x, ranks, holds, wanted, message):
    """Raise ValueError where the rank of `x` is known and does not hold; check at run time where it is not."""
    prefix = _prefix(message)
    x = x if hasattr(x, "shape") else convert_to_tensor(x)
    rank = x.shape.rank if hasattr(x.shape, "rank") else len(x.shape)
    if rank is not None and all(isinstance(n, int) for n in ranks):
        if not any(holds(rank, n) for n in ranks):
            raise ValueError(f"{prefix}Tensor  must have {wanted}.  Received rank {rank}, shape {x.shape}")
        return
    actual = P.reshape(P.shape(P.shape(x)), shape=()) if rank is None else convert_to_tensor(rank)
    held = [holds(actual, convert_to_tensor(n)) for n in ranks]
    condition = held[0]
    for other in held[1:]:
        condition = P.logical_or(condition, other)
    Assert(condition, [f"{prefix}Tensor must have {wanted}. Received rank:", actual])


@export("debugging.assert_rank", "assert_rank")
def assert_rank(x, rank, message=None, name=None):
    """Raise ValueError unless `x` has `rank` dimensions.

    Example:
        >>> import tapeflow as tf
        >>> tf.debugging.assert_rank([1, 2], 2)
        Traceback (most recent call last):
        ...
        ValueError: Tensor  must have rank 2.  Received rank 1, shape (2,)
    """
    rank = _whole_rank(rank)
    _assert_rank(x, [rank], lambda actual, n: actual == n, f"rank {rank}", message)


@export("debugging.assert_rank_at_least")
def assert_rank_at_least(x, rank, message=None, name=None):
    """Raise ValueError unless `x` has `rank` dimensions or more."""
    rank = _whole_rank(rank)
    _assert_rank(x, [rank], lambda actual, n: actual >= n, f"rank at least {rank}", message)


@export("debugging.assert_rank_in")
def assert_rank_in(x, ranks, message=None, name=None):
    """Raise ValueError unless the number of dimensions of `x` is one of `ranks`."""
    ranks = tuple([_whole_rank(rank) for rank in ranks])
    _assert_rank(x, ranks, lambda actual, n: actual == n, f"rank in {ranks}", message)


@export("debugging.assert_scalar")
def assert_scalar(tensor, message=None, name=None):
    """Raise ValueError unless `tensor` has no dimension."""
    shape = convert_to_tensor(tensor).shape
    if shape.rank != 0:
        what = (
            "Expected scalar shape, saw unknown shape"
            if shape.rank is None
            else f"Expected scalar shape, saw shape: {shape}"
        )
        raise ValueError(f"{_prefix(message)}{what}.")


# Shapes


@export("debugging.assert_shapes")
def assert_shapes(shapes, data=None, summarize=None, message=None, name=None):
    """Raise ValueError unless tensors have the shapes that are written down for them.

    Args:
        shapes: a list of (tensor, shape). A shape is a sequence of sizes; a string in it names a size that must be the
            same wherever the name stands, None or `"."` allows any size, and `...` or `"*"` at its beginning any axes.
        message: what to say first.

    Raises:
        ValueError: a rank or size differs, or `...` stands elsewhere.

    Example:
        >>> import tapeflow as tf
        >>> x, w = tf.ones([2, 3]), tf.ones([4, 5])
        >>> tf.debugging.assert_shapes([(x, ("N", "K")), (w, ("K", "M"))])
        Traceback (most recent call last):
        ...
        ValueError: Specified by tensor shape=(2, 3) dtype=float32 dimension 1.  Tensor shape=(4, 5) dtype=float32
        dimension 0 must have size 3.  Received size 4, shape (4, 5)
    """
    sizes = {}
    for tensor, symbols in shapes.items() if isinstance(shapes, dict) else shapes:
        tensor = tensor if hasattr(tensor, "shape") and hasattr(tensor, "dtype") else convert_to_tensor(tensor)
        told = f"shape={tensor.shape} dtype={as_dtype(tensor.dtype).name}"
        symbols, open_ended = _symbols(symbols, told, message)
        count = len(symbols)
        if open_ended and count > 1:
            _assert_rank(tensor, [count], lambda n, m: n >= m, f"rank at least {count}", message)
        elif not open_ended:  # a scalar stands for one element
            ranks = [count] if count > 1 else [0, 1]
            wanted = f"rank {count}" if count > 1 else "rank in (0, 1)"
            _assert_rank(tensor, ranks, lambda n, m: n == m, wanted, message)
        _assert_sizes(tensor, symbols if symbols or open_ended else [1], open_ended, told, sizes, message)


def _symbols(symbols, told, message):
    """The sizes asked for, without `...` at the beginning, and whether it was there."""
    if not isinstance(symbols, Iterable):
        raise ValueError(
            f"{_prefix(message)}Tensor {told}.  Specified shape must be an iterable.  An iterable has the attribute "
            f"`__iter__` or `__getitem__`.  Received specified shape: {symbols}"
        )
    symbols = list(symbols)
    for index, symbol in enumerate(symbols):
        if index and _is_rest(symbol):
            raise ValueError(
                f"{_prefix(message)}Tensor {told} specified shape index {index}.  Symbol `...` or `*` for a variable "
                "number of unspecified dimensions is only allowed as the first entry"
            )
    open_ended = bool(symbols) and _is_rest(symbols[0])
    return symbols[open_ended:], open_ended


def _is_rest(symbol):
    return symbol is Ellipsis or (isinstance(symbol, str) and symbol in ("*", "..."))


def _assert_sizes(tensor, symbols, open_ended, told, sizes, message):
    if getattr(tensor.shape, "rank", 0) is None:
        return
    for index, symbol in enumerate(symbols):
        axis = index - len(symbols) if open_ended else index
        if symbol is None or (isinstance(symbol, str) and symbol == "."):
            continue
        size = tensor.shape[axis] if len(tensor.shape) else 1
        try:
            wanted, source = int(symbol), "Specified explicitly"
        except (TypeError, ValueError):
            known = sizes.setdefault(symbol, (size, f"Specified by tensor {told} dimension {axis}"))
            wanted, source = known
        if size is not None and wanted is not None and size != wanted:
            raise ValueError(
                f"{_prefix(message)}{source}.  Tensor {told} dimension {axis} must have size {wanted}.  "
                f"Received size {size}, shape {tensor.shape}"
            )
