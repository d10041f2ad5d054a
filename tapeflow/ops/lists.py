"""Lists of tensors as values, what a `TensorArray` is in a graph: a write gives a new list, so gradients flow through it.

The cotangent of a list is a list of cotangents, which may be shorter: what is missing counts as 0. The attr `dims` is what is
known of the elements' shape, None for an unknown dimension; what was never written is read as zeros of that shape.
"""

import numpy as np

from tapeflow.base.dtypes import BY_NUMPY, INTEGERS, bool_, int32, int64, list_of, variant
from tapeflow.base.errors import InvalidArgumentError, OutOfRangeError, invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.core.tensor_list import TensorList


def _dtype_of(value):
    return list_of(value.dtype) if value.__class__ is TensorList else BY_NUMPY[value.dtype]


def _zeros(items, dims, dtype):
    """The zeros that stand for an element that was never written; for a list, one that ends before its first element."""
    if dtype.element is not None:
        return TensorList([], dtype.element)
    if dims is None or None in dims:
        dims = next((np.shape(item) for item in items if item is not None), None)
    if dims is None:
        raise invalid(
            "TensorListGetItem",
            "Trying to read an uninitialized tensor, but element_shape is not fully defined: no element of the TensorArray "
            "was written. Write it first, or give element_shape",
        )
    return np.zeros(dims, dtype.numpy_dtype)[()]


def _reserve_kernel(size, *, dtype):
    if size < 0:
        raise invalid("TensorListReserve", f"The num_elements to reserve must be a non negative number, but got {size}")
    return TensorList([None] * int(size), dtype)


list_reserve = Primitive("list_reserve", _reserve_kernel, lambda size, *, dtype: Spec((), list_of(dtype)), accepts=INTEGERS)
list_length = Primitive("list_length", lambda x: np.int32(len(x)), lambda x: Spec((), int32), accepts={variant})


# Batches: the elements of a list that stands for all examples hold these along their first axis


def _spread_kernel(x, *, size):
    items = [None if item is None else np.broadcast_to(item, (size, *np.shape(item))) for item in x.items()]
    return TensorList(items, x.dtype)


def _summed_kernel(x):
    return TensorList([None if item is None else np.sum(item, axis=0) for item in x.items()], x.dtype)


def _where_kernel(condition, x, y):
    mine, others = x.items(), y.items()
    count = max(len(mine), len(others))
    pairs = zip([*mine, *[None] * (count - len(mine))], [*others, *[None] * (count - len(others))], strict=True)
    return TensorList([_chosen(condition, a, b) for a, b in pairs], x.dtype)


def _chosen(condition, a, b):
    if a is None and b is None:
        return None
    a = np.zeros_like(b) if a is None else a
    b = np.zeros_like(a) if b is None else b
    return np.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)


# list_width(x): how many examples its elements hold, 0 where nothing was written.
list_width = Primitive(
    "list_width",
    lambda x: np.int32(next((len(item) for item in x.items() if item is not None), 0)),
    lambda x: Spec((), int32),
    accepts={variant},
)
list_spread = Primitive(
    "list_spread",
    _spread_kernel,
    lambda x, *, size: x,
    vjp=(lambda g: P.list_summed(g),),
    jvp=(lambda t, *, size: P.list_spread(t, size=size),),
    accepts={variant},
)
list_summed = Primitive(
    "list_summed",
    _summed_kernel,
    lambda x: x,
    vjp=(lambda g, x: P.list_spread(g, size=P.list_width(x)),),
    jvp=(lambda t: P.list_summed(t),),
    accepts={variant},
)
# list_where(condition, x, y): for each example the elements of one list or the other.
list_where = Primitive(
    "list_where",
    _where_kernel,
    lambda condition, x, y: x,
    vjp=(
        None,
        lambda g, condition: P.list_where(condition, g, P.zeros_like(g)),
        lambda g, condition: P.list_where(condition, P.zeros_like(g), g),
    ),
    jvp=(
        None,
        lambda t, condition: P.list_where(condition, t, P.zeros_like(t)),
        lambda t, condition: P.list_where(condition, P.zeros_like(t), t),
    ),
    uniform=False,
    accepts={bool_},
)


def _inner(dims, x):
    """The shape of elements that hold all examples."""
    return None if dims is None else (None, *dims)


def _batch_get(op, inputs, batched, attrs):
    x, index = inputs
    dims = attrs["dims"]
    if not batched[1]:
        return op(x, index, dims=_inner(dims, x))
    if not batched[0]:
        return P.gather(P.list_stack(x, dims=dims, count=None), index, axis=0, batch_dims=0)
    rows = P.list_stack(x, dims=_inner(dims, x), count=None)
    return P.gather(_swapped(rows), index, axis=1, batch_dims=1)


def _swapped(x):
    """The first two axes exchanged."""
    return P.transpose(x, perm=(1, 0, *range(2, len(x.dims))))


def _batch_set(op, inputs, batched, attrs):
    x, index, value = inputs
    if batched[1]:
        raise invalid(
            op.name, "examples of a batch that write to different indices of a TensorArray are not supported; use tf.map_fn"
        )
    if not batched[2]:
        value = P.broadcast_to(P.expand_dims(value, axis=(0,)), shape=(P.list_width(x), *value.dims))
    elif not batched[0]:
        x = P.list_spread(x, size=P.strided_slice(P.shape(value), key=(0,)))
    return op(x, index, value, **attrs)


def _batch_index(op, inputs, batched, attrs):
    """Of an op that treats the elements as they are, at an index."""
    if batched[op.parameters.index("index")]:
        return NotImplemented
    return op(*inputs, **attrs)


def _batch_stack(op, inputs, batched, attrs):
    return _swapped(op(*inputs, dims=_inner(attrs["dims"], inputs[0]), count=attrs["count"]))


# Reading and writing one element


def _get_kernel(x, index, *, dims):
    element = x.get(int(index))
    return _zeros(x.items(), dims, x.dtype) if element is None else element


def _set_kernel(x, index, value, *, grows):
    if index < 0 or (index >= len(x) and not grows):
        raise OutOfRangeError(
            None,
            None,
            f"Tried to write to index {index} but array is not resizeable and size is: {len(x)}. "
            "tf.TensorArray(..., dynamic_size=True) grows.",
        )
    return x.set(int(index), value)


def _set_jvp(tangents, inputs, out, *, grows):
    t, _, value_t = tangents
    if t is None:
        return P.list_only(inputs[1], value_t)
    value_t = P.zeros_like(inputs[2]) if value_t is None else value_t
    return P.list_set(t, inputs[1], value_t, grows=True)


list_get = Primitive(
    "list_get",
    _get_kernel,
    lambda x, index, *, dims: Spec(known_dims(dims) if dims is not None else None, x.dtype.element),
    vjp=(lambda g, index: P.list_only(index, g), None),
    batch=_batch_get,
    jvp=(lambda t, index, *, dims: P.list_get(P.list_padded(t, index), index, dims=dims), None),
    uniform=False,
    accepts={variant},
)
list_set = Primitive(
    "list_set",
    _set_kernel,
    lambda x, index, value, *, grows: x,
    vjp=(
        lambda g, index: P.list_cleared(g, index),
        None,
        lambda g, index, value_shape: P.list_get(P.list_padded(g, index), index, dims=value_shape),
    ),
    jvp=_set_jvp,
    batch=_batch_set,
    uniform=False,
    accepts={variant},
)
# list_only(index, value): a list that ends with its one element, the cotangent of a read.
list_only = Primitive(
    "list_only",
    lambda index, value: TensorList.only(int(index), value, _dtype_of(value)),
    lambda index, value: Spec((), list_of(value.dtype)),
    vjp=(None, lambda g, index, value_shape: P.list_get(P.list_padded(g, index), index, dims=value_shape)),
    jvp=(None, lambda t, index: P.list_only(index, t)),
    batch=_batch_index,
    uniform=False,
    accepts=INTEGERS,
)
# list_cleared(x, index): the list without the element at `index`.
list_cleared = Primitive(
    "list_cleared",
    lambda x, index: x.set(int(index), None),
    lambda x, index: x,
    vjp=(lambda g, index: P.list_cleared(g, index), None),
    jvp=(lambda t, index: P.list_cleared(t, index), None),
    batch=_batch_index,
    uniform=False,
    accepts={variant},
)
# list_padded(x, index): the list, at least so long that `index` is in it.
list_padded = Primitive(
    "list_padded",
    lambda x, index: x if index < len(x) else x.set(int(index), None),
    lambda x, index: x,
    vjp=(lambda g: g, None),
    jvp=(lambda t, index: P.list_padded(t, index), None),
    batch=_batch_index,
    uniform=False,
    accepts={variant},
)


# All elements at once


def _from_kernel(value):
    if not value.shape:
        raise invalid("TensorListFromTensor", "Tensor must be at least a vector, but saw shape: []")
    return TensorList(list(value), _dtype_of(value))


def _stack_kernel(x, *, dims, count):
    items = list(x.items())
    if count is not None:
        items = [*items, *[None] * (count - len(items))][:count]
    if not items:
        known = [] if dims is None or None in dims else dims
        return np.zeros((0, *known), x.dtype.numpy_dtype)
    if any(item is None for item in items):
        zeros = _zeros(items, dims, x.dtype)
        items = [zeros if item is None else item for item in items]
    shapes = {np.shape(item) for item in items}
    if len(shapes) > 1:
        raise invalid(
            "TensorListStack",
            f"Tried to stack list which contains elements of different shapes: {sorted(map(list, shapes))}. concat() joins them",
        )
    return np.stack(items)


def _stack_infer(x, *, dims, count):
    count = count if isinstance(count, int) else None
    return Spec(None if dims is None else (count, *known_dims(dims)), x.dtype.element)


def _row_dims(shape):
    """The length of the first axis and the shape of a row, of what `x_shape` gives a rule."""
    if isinstance(shape, tuple):
        return shape[0], shape[1:]
    return P.strided_slice(shape, key=(0,)), P.strided_slice(shape, key=((1, None, None),))


def _from_vjp(g, value_shape):
    count, dims = _row_dims(value_shape)
    return P.list_stack(g, dims=dims, count=count)


list_from = Primitive(
    "list_from",
    _from_kernel,
    lambda value: Spec((), list_of(value.dtype)),
    vjp=(_from_vjp,),
    jvp=(lambda t: P.list_from(t),),
    batch=lambda op, inputs, batched, attrs: op(_swapped(inputs[0])),
)
list_stack = Primitive(
    "list_stack",
    _stack_kernel,
    _stack_infer,
    vjp=(lambda g: P.list_from(g),),
    jvp=(lambda t, *, dims, count: P.list_stack(t, dims=dims, count=count),),
    batch=_batch_stack,
    accepts={variant},
)


def _concat_kernel(x, *, dims):
    items = [item for item in x.items() if item is not None]
    for i, item in enumerate(items):
        if not np.shape(item):
            raise InvalidArgumentError(
                None, None, f"Concat saw a scalar shape at index {i} but requires at least vectors: use stack."
            )
    lengths = np.array([0 if item is None else len(item) for item in x.items()], np.int64)
    if not items:
        return np.zeros((0, *[n or 0 for n in dims or ()][1:]), x.dtype.numpy_dtype), lengths
    return np.concatenate(items), lengths


def _split_kernel(value, lengths):
    if lengths.sum() != len(value):
        raise invalid(
            "TensorListSplit",
            "Expected sum of lengths to be equal to values.shape[0], but sum of lengths is "
            f"{lengths.sum()} and value's shape is: {list(value.shape)} ",
        )
    return TensorList(np.split(value, np.cumsum(lengths)[:-1]) if len(lengths) else [], _dtype_of(value))


list_concat = Primitive(
    "list_concat",
    _concat_kernel,
    lambda x, *, dims: (
        Spec(None if dims is None else (None, *known_dims(dims)[1:]), x.dtype.element),
        Spec((None,), int64),
    ),
    vjp=lambda g, wanted, outs: (P.list_split(g[0], outs[1]),),
    jvp=lambda tangents, inputs, outs, *, dims: (P.list_concat(tangents[0], dims=dims)[0], None),
    multiple=True,
    accepts={variant},
)
list_split = Primitive(
    "list_split",
    _split_kernel,
    lambda value, lengths: Spec((), list_of(value.dtype)),
    vjp=(lambda g, value_shape: P.list_concat(g, dims=value_shape)[0], None),
    jvp=(lambda t, lengths: P.list_split(t, lengths), None),
    uniform=False,
)
