"""`Tensor`, the immutable value that ops take and give, and `Spec`, what is known before it is computed."""

import numpy as np

from tapeflow.base.dtypes import BY_NUMPY, list_of, string, variant
from tapeflow.base.shape import TensorShape
from tapeflow.core.tensor_list import TensorList

ndarray = np.ndarray
BY_CLASS = {dtype.type: dtype for dtype in BY_NUMPY.values() if dtype is not string}


class Tensor:
    """An n-dimensional array of one dtype whose value never changes.

    The value is an ndarray, or a NumPy scalar where there is no dimension (0-d arrays are 15 times slower to compute
    with); a 0-d string tensor is a 0-d object array of `bytes`. Use `tf.constant` or `tf.convert_to_tensor` to make one.
    """

    # __dict__ costs nothing until a library hangs its own attributes on a tensor, as Keras does.
    __slots__ = ("__dict__", "__weakref__", "_dtype", "_mark", "_value")
    __array_priority__ = 100

    @property
    def dtype(self):
        """The `DType` of the elements."""
        return self._dtype

    @property
    def shape(self):
        """The `TensorShape`."""
        return TensorShape.of(self._value.shape)

    @property
    def dims(self):
        """The shape as a plain tuple; None stands for an unknown dimension, or for an unknown rank."""
        return self._value.shape

    @property
    def spec(self):
        """The `Spec` (shape tuple and dtype) that inference rules take."""
        return Spec(self._value.shape, self._dtype)


class Spec(tuple):
    """What is known of a value before it is computed: its shape (a tuple, None where unknown) and its dtype."""

    __slots__ = ()

    def __new__(cls, shape, dtype):
        return tuple.__new__(cls, (shape, dtype))

    shape = property(lambda self: self[0])
    dtype = property(lambda self: self[1])

    @property
    def rank(self):
        """The number of dimensions, or None."""
        return None if self[0] is None else len(self[0])

    def __repr__(self):
        return f"Spec({self[0]}, {self[1].name})"


class Handle:
    """A Python object as the value of a tensor, such as an iterator that a graph is to move on."""

    __slots__ = ("object",)
    shape = ()

    def __init__(self, object):
        self.object = object

    def __repr__(self):
        return f"Handle({self.object!r})"


new_tensor = Tensor.__new__


def wrap(value):
    """A `Tensor` of an ndarray or NumPy scalar, which from now on belongs to the tensor.

    Raises:
        TypeError: the value's dtype is none of ours (a primitive's kernel is wrong).
    """
    tensor = Tensor()
    if value.__class__ is ndarray:
        dtype = BY_NUMPY[value.dtype]
        if value.ndim == 0 and dtype is not string:
            value = value[()]
    else:
        dtype = BY_CLASS.get(value.__class__)
        if dtype is None:
            if value.__class__ is TensorList:
                dtype = list_of(value.dtype)
            elif value.__class__ is Handle:
                dtype = variant
            else:
                return wrap(_as_array(value))
    tensor._value = value
    tensor._dtype = dtype
    tensor._mark = None
    return tensor


def _as_array(value):
    """An ndarray of our dtypes for what else a kernel may return (an ndarray subclass, `bytes`, a foreign byte order)."""
    if isinstance(value, bytes):
        array = np.empty((), object)
        array[()] = value
        return array
    array = np.asarray(value)
    dtype = BY_NUMPY.get(array.dtype.newbyteorder("="))
    if dtype is None:
        raise TypeError(f"No dtype for a value of type {type(value).__name__} ({array.dtype}).")
    return np.array(array, dtype.numpy_dtype, copy=None, order="C")
