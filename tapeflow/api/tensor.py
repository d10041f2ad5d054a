"""The methods of `tf.Tensor`: operators, indexing, conversion to Python and NumPy, printing."""

import numbers

import numpy as np

from tapeflow.api.export import export_value
from tapeflow.api.tensor_text import (
    Reference,
    formatted,
    repr_text,
    str_text,
    symbolic_formatted,
    symbolic_repr_text,
    symbolic_str_text,
)
from tapeflow.base.dtypes import bool_, float32, float64, int16, int32, int64
from tapeflow.base.errors import InvalidArgumentError, OperatorNotAllowedInGraphError, invalid
from tapeflow.base.shape import TensorShape
from tapeflow.core.composite import Composite
from tapeflow.core.convert import CONSTANTS, convert_to_tensor, operand
from tapeflow.core.graph import SymbolicTensor
from tapeflow.core.operators import on_two
from tapeflow.core.primitive import NO_ATTRS, P, bind
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor, ndarray, wrap
from tapeflow.core.variable import Variable

export_value(Tensor, "Tensor")

# Operators


def _addend(value, like):
    """The right side of +: what does not fit the tensor's dtype keeps its own, and the op refuses it by both names."""
    try:
        return operand(value, like)
    except TypeError:
        return convert_to_tensor(value)


def _factor(value, like):
    """The right side of *: beside bools a number of any kind will do."""
    if like._dtype is bool_ and not isinstance(value, Composite):
        return convert_to_tensor(value)
    return operand(value, like)


def _product(op, inputs, attrs):
    """The product where a factor is of bools: bools, of the factors as integers, as in TensorFlow."""
    x, y = inputs
    if x._dtype is bool_ or y._dtype is bool_:
        return P.cast(P.mul(P.cast(x, dtype=int32), P.cast(y, dtype=int32)), dtype=bool_)
    return bind(op, inputs, attrs)


CONVERT = {"add": _addend, "mul": _factor}
OTHERWISE = {"mul": _product}


def _binary(name):
    op = getattr(P, name)
    method = on_two(op, CONVERT.get(name, operand), OTHERWISE.get(name, bind))

    def reflected(self, other):
        cls = other.__class__
        known = CONSTANTS[self._dtype.type].get((cls, other)) if cls is int or cls is float else None
        other = operand(other, self) if known is None else known
        return other if other is NotImplemented else method(other, self)

    return method, reflected


def true_division(x, y):
    """Integers divide as float64 (float32 for 8 and 16 bits), as in TensorFlow."""
    if x._dtype is not y._dtype:
        raise TypeError(f"`x` and `y` must have the same dtype, got {x._dtype!r} != {y._dtype!r}.")
    if x._dtype.is_integer:
        wide = float32 if x._dtype.size <= 2 else float64
        x, y = P.cast(x, dtype=wide), P.cast(y, dtype=wide)
    elif not x._dtype.is_trainable:
        raise TypeError(f"Invalid dtype {x._dtype!r} in __truediv__. Expected a number: tf.cast makes one.")
    return bind(P.truediv, (x, y), NO_ATTRS)


_truediv = on_two(P.truediv, otherwise=lambda op, inputs, attrs: true_division(*inputs))


def _rtruediv(self, other):
    other = operand(other, self)
    return other if other is NotImplemented else true_division(other, self)


def _matmul(self, other):
    if other.__class__ is Variable:
        other = other._read()
    elif other.__class__ is not Tensor:
        other = convert_to_tensor(other, dtype_hint=self._dtype)
    return bind(P.matmul, (self, other), NO_ATTRS)


def _rmatmul(self, other):
    return P.matmul(convert_to_tensor(other, dtype_hint=self._dtype), self)


def _logical(boolean, bitwise):
    """`&`, `|`, `^` are logical on bools and bitwise on integers."""

    def choose(x):
        return getattr(P, boolean if x._dtype is bool_ else bitwise)

    def method(self, other):
        return choose(self)(self, convert_to_tensor(other, dtype_hint=self._dtype))

    def reflected(self, other):
        return choose(self)(convert_to_tensor(other, dtype_hint=self._dtype), self)

    return method, reflected


def _invert(self):
    return P.logical_not(self) if self._dtype is bool_ else P.bitwise_invert(self)


def _compare(op_name, unequal):
    op = getattr(P, op_name)

    def method(self, other):
        if other.__class__ is not Tensor:
            if other is None:
                return unequal
            other = _comparand(other, self)
            if other is NotImplemented:
                return other
        try:
            return bind(op, (self, other), NO_ATTRS)
        except InvalidArgumentError:
            if self._dtype is not other._dtype:
                raise
            return convert_to_tensor(unequal)  # shapes that do not fit are simply not equal

    return method


def _order(op_name):
    op = getattr(P, op_name)

    def method(self, other):
        if other.__class__ is not Tensor:
            other = _comparand(other, self)
            if other is NotImplemented:
                return other
        return bind(op, (self, other), NO_ATTRS)

    return method


def _comparand(value, like):
    """The other side of a comparison: a plain value must fit the tensor's dtype, or it is a TypeError."""
    tensor = operand(value, like)
    if tensor is NotImplemented or isinstance(value, (Tensor, Variable)) or tensor._dtype is like._dtype:
        return tensor
    return convert_to_tensor(value, like._dtype)


def _hash(self):
    raise TypeError("Tensor is unhashable. Instead, use tensor.ref() as the key.")


UNARY = {"__neg__", "__pos__", "__abs__", "__invert__"}
OPERATORS = {
    "__neg__": lambda self: bind(P.neg, (self,), NO_ATTRS),
    "__pos__": lambda self: self,
    "__abs__": lambda self: P.abs(self),
    "__invert__": _invert,
    "__truediv__": _truediv,
    "__rtruediv__": _rtruediv,
    "__matmul__": _matmul,
    "__rmatmul__": _rmatmul,
    "__eq__": _compare("equal", False),
    "__ne__": _compare("not_equal", True),
}
for _python, _primitive in {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "floordiv": "floordiv",
    "mod": "floormod",
    "pow": "pow",
}.items():
    OPERATORS[f"__{_python}__"], OPERATORS[f"__r{_python}__"] = _binary(_primitive)
for _python, _primitive in {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}.items():
    OPERATORS[f"__{_python}__"] = _order(_primitive)
for _python, _names in {
    "and": ("logical_and", "bitwise_and"),
    "or": ("logical_or", "bitwise_or"),
    "xor": ("logical_xor", "bitwise_xor"),
}.items():
    OPERATORS[f"__{_python}__"], OPERATORS[f"__r{_python}__"] = _logical(*_names)


# Indexing


def _index(self, key):
    """`tensor[key]`: integers, slices, `...`, `tf.newaxis`, scalar integer tensors, or a boolean mask."""
    if key.__class__ is int:
        return bind(P.strided_slice, (self,), {"key": (key,)})
    if _is_mask(key):
        return P.boolean_mask(self, convert_to_tensor(key))
    key = index_key(key)
    if state.scope is not state.graph:
        self, key = _by_example(self, key)
    return P.strided_slice(self, key=key)


def _by_example(x, key):
    """Indices that differ from one example of a `vectorized_map` to the next become gathers, and 0 in the key."""
    parts = []
    for i, part in enumerate(key):
        if isinstance(part, Tensor) and not isinstance(part, SymbolicTensor):
            behind = len([p for p in key[i:] if p is not None and p is not Ellipsis])
            axis = len(x.dims) - behind if Ellipsis in key[:i] else len([p for p in key[:i] if p is not None])
            at = part if x.dims[axis] is None else P.where(P.less(part, operand(0, part)), part + x.dims[axis], part)
            x, part = P.gather(x, P.expand_dims(at, axis=(0,)), axis=axis, batch_dims=0), 0
        parts.append(part)
    return x, tuple(parts)


def _is_mask(key):
    if isinstance(key, (Tensor, Variable)):
        return key.dtype is bool_
    return key.__class__ is bool or (isinstance(key, ndarray) and key.dtype == bool)


def index_key(key):
    """What indexes a tensor, as the key of `strided_slice`: plain data, and scalar symbolic tensors.

    Raises:
        TypeError: something that is no index.
    """
    parts = key if isinstance(key, (tuple, list)) else (key,)
    return tuple([part if part.__class__ is int else _part(part) for part in parts])


def _part(part):
    if isinstance(part, slice):
        return (_whole(part.start), _whole(part.stop), _whole(part.step))
    if part is None or part is Ellipsis:
        return part
    if part.__class__ is bool:
        raise invalid(
            "strided_slice",
            f"Value for attr 'Index' of bool is not in the list of allowed values: int16, int32, int64: {part}",
        )
    return _whole(part)


def _whole(n):
    """An int, or a symbolic scalar, of one index."""
    if n is None or n.__class__ is int:
        return n
    if isinstance(n, numbers.Integral) and n.__class__ is not bool:
        return int(n)
    if isinstance(n, (Tensor, Variable, ndarray)) or hasattr(n, "__tf_tensor__"):
        x = convert_to_tensor(n)
        if x.dims in ((), None) and x._dtype in (int32, int64, int16):
            return int(x._value) if x.__class__ is Tensor else x
    raise _bad_index(n)


def _bad_index(part):
    return TypeError(
        "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar tf.int32/tf.int64 tensors are valid "
        f"indices, got {part!r}"
    )


# Python and NumPy


def _numpy(self):
    """A NumPy copy of the value: a scalar where there is no dimension, `bytes` for a 0-d string."""
    if state.recorders:
        _note_escape(self)
    value = self._value
    if value.__class__ is ndarray:
        return value.copy() if value.ndim else value[()]
    return value


def _note_escape(self):
    """Tell the tapes that the value is handed to Python: what comes of it there has no gradient."""
    if self._mark is not None:
        for recorder in state.recorders:
            recorder.note_escape(self)


def _array(self, dtype=None, copy=None):
    if state.recorders:
        _note_escape(self)
    return np.array(self._value, dtype)


def _len(self):
    if not self.dims:
        raise TypeError(
            "Scalar tensor has no `len()`" if self.dims == () else f"len() of a tensor of unknown rank: {self!r}"
        )
    if self.dims[0] is None:
        raise TypeError(
            f"len is not well defined for a symbolic Tensor ({self.name}). Please call `x.shape` rather than `len(x)` for shape "
            "information, or tf.shape(x)[0]."
        )
    return self.dims[0]


def _iterate(self):
    if self.dims is None or self.dims == () or self.dims[0] is None:
        if self.dims == ():
            raise TypeError("Cannot iterate over a scalar tensor.")
        raise OperatorNotAllowedInGraphError(
            f"Iterating over a symbolic `tf.Tensor` is not allowed: the first dimension of {self.name} is unknown while the "
            "function is traced. Loop over tf.range(tf.shape(x)[0]), or use tf.map_fn or tf.scan."
        )
    return (P.strided_slice(self, key=(i,)) for i in range(self.dims[0]))


def _python_number(convert):
    def method(self):
        if self.__class__ is not Tensor:
            raise TypeError(
                f"{convert.__name__}() argument must be a string or a real number, not {type(self).__name__!r}: {self.name} has "
                "no value while the function is traced. Use tf.cast."
            )
        if state.recorders:
            _note_escape(self)
        return convert(self._value)

    return method


def _bool(self):
    if isinstance(self, SymbolicTensor):
        self.refuse_bool()
    value = self._value
    return bool(value) if value.__class__ is not ndarray else bool(value.size > 0 and value)


def _as_index(self):
    if self.__class__ is not Tensor:
        raise TypeError(f"The symbolic tensor {self.name} cannot be used as a Python index or integer: it has no value yet.")
    if not self._dtype.is_integer or self.dims != ():
        raise TypeError("only integer scalar arrays can be converted to a scalar index")
    return int(self._value)


def _no_pickle(self, protocol=None):
    raise TypeError(f"cannot pickle {type(self).__name__!r} object: {self.name} has no value while the function is traced.")


def _buffer(self, flags=0):
    """What `memoryview(tensor)` reads, from Python 3.12 on; before, only C code could offer it: use `np.asarray`."""
    return memoryview(np.asarray(self._value)).toreadonly()


def _dlpack(self, *, stream=None, **options):
    return np.asarray(self._value).__dlpack__(**options)


class _Absent:
    """An attribute that tensors have not, but for which there is a word of advice.

    It is a descriptor for each name, not one `__getattr__` for all: a class that has one is four times slower at reading its
    other attributes, and the hot paths do little else.
    """

    def __init__(self, name, advice):
        self.name = name
        self.advice = advice

    def __get__(self, tensor, owner):
        raise AttributeError(self.advice.format(owner=owner.__name__, name=self.name))


_NOT_NUMPY = (
    "{owner} object has no attribute {name!r}. If you are looking for numpy-related methods, please run "
    "tf.experimental.numpy.experimental_enable_numpy_behavior() first, or use x.numpy()."
)
_NOT_EAGER = "Tensor.{name} is undefined when eager execution is enabled."
ABSENT = {
    **dict.fromkeys(("T", "astype", "ravel", "transpose", "reshape", "clip", "size", "tolist", "data"), _NOT_NUMPY),
    **dict.fromkeys(("name", "op", "graph", "value_index"), _NOT_EAGER),
}


def _eval(self, feed_dict=None, session=None):
    if self.__class__ is not Tensor:
        raise ValueError(
            f"Cannot evaluate the symbolic tensor {self.name}: there are no sessions. Call a tf.function instead."
        )
    raise NotImplementedError("eval is not supported when eager execution is enabled, is .numpy() what you're looking for?")


def _consumers(self):
    raise NotImplementedError("Tensor.consumers is undefined when eager execution is enabled.")


def _get_shape(self):
    """The `TensorShape`."""
    return self.shape


def _set_shape(self, shape):
    """Check that `shape` fits the tensor's own.

    Raises:
        ValueError: it does not.
    """
    if not self.shape.is_compatible_with(shape):
        raise ValueError(f"Tensor's shape {self.shape} is not compatible with supplied shape {TensorShape(shape)}.")


METHODS = {
    "__getitem__": _index,
    "__len__": _len,
    "__iter__": _iterate,
    "__bool__": _bool,
    "__array__": _array,
    "__float__": _python_number(float),
    "__int__": _python_number(int),
    "__complex__": _python_number(complex),
    "__index__": _as_index,
    "__format__": formatted,
    "__hash__": _hash,
    "__repr__": repr_text,
    "__str__": str_text,
    "__buffer__": _buffer,
    "__bytes__": lambda self: np.asarray(self._value).tobytes(),
    "__dlpack__": _dlpack,
    "__dlpack_device__": lambda self: (1, 0),
    "__copy__": lambda self: self,
    "__deepcopy__": lambda self, memo: self,
    "__reduce__": lambda self: (_rebuild, (np.asarray(self._value),)),
    "__round__": lambda self, digits=0: P.rint(self),
    "numpy": _numpy,
    "get_shape": _get_shape,
    "set_shape": _set_shape,
    "ref": lambda self: Reference(self),
    "eval": _eval,
    "consumers": _consumers,
    "ndim": property(lambda self: None if self.dims is None else len(self.dims)),
    "device": property(
        lambda self: "" if self.__class__ is SymbolicTensor else "/job:localhost/replica:0/task:0/device:CPU:0"
    ),
    "backing_device": property(lambda self: "/job:localhost/replica:0/task:0/device:CPU:0"),
    "is_cpu": True,
    "_id": property(id),
    "_numpy": _numpy,
    "_shape_tuple": lambda self: self.dims,
    "_shape_as_list": lambda self: None if self.dims is None else list(self.dims),
    "_rank": lambda self: None if self.dims is None else len(self.dims),
    "_num_elements": lambda self: self.shape.num_elements(),
    "cpu": lambda self: self,
    "gpu": lambda self, index=0: _no_gpu(),
    "experimental_ref": lambda self: Reference(self),
}


def _rebuild(array):
    return wrap(array)


def _no_gpu():
    raise invalid("gpu", "There is no GPU: tapeflow computes on the CPU")


for _name, _method in {**OPERATORS, **METHODS}.items():
    setattr(Tensor, _name, _method)
for _name, _advice in ABSENT.items():
    setattr(Tensor, _name, _Absent(_name, _advice))
_SYMBOLIC = {
    "__repr__": symbolic_repr_text,
    "__str__": symbolic_str_text,
    "__format__": symbolic_formatted,
    "__reduce__": _no_pickle,
    "__reduce_ex__": _no_pickle,
    "numpy": _Absent("numpy", "{owner!r} object has no attribute {name!r}: it has no value while the function is traced."),
    "_numpy": _Absent("_numpy", "{owner!r} object has no attribute {name!r}"),
    "value_index": property(lambda self: self.index),
}
for _name, _method in _SYMBOLIC.items():
    setattr(SymbolicTensor, _name, _method)
