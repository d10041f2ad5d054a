"""`tf.TensorArray`: a list of tensors that is written and read by index."""

import copy

from tapeflow.api.export import export
from tapeflow.base.dtypes import as_dtype, float32, int32
from tapeflow.base.errors import InvalidArgumentError, OutOfRangeError, invalid
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TypeSpec
from tapeflow.core.convert import convert_to_tensor, static_value
from tapeflow.core.primitive import P
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor
from tapeflow.trace.storage import TracedStorage
from tapeflow.trace.structure import Flow


class ListStorage:
    """The elements of a `TensorArray` as a Python list: eager execution, and traced code whose indices are known.

    `None` is an element that was never written, `CLEARED` one that may not be read again.
    """

    CLEARED = object()

    def __init__(self, dtype, size, element_shape, dynamic_size):
        self.dtype = dtype
        self.element_shape = element_shape
        self.dynamic_size = dynamic_size
        self.elements = [None] * max(size, 0)

    def size(self):
        """The number of elements."""
        return len(self.elements)

    def write(self, index, value):
        """Set an element; the list grows where it may."""
        if index < 0:
            raise OutOfRangeError(None, None, f"Writing to negative indices (index {index}) is not allowed.")
        if index >= len(self.elements):
            if not self.dynamic_size:
                raise OutOfRangeError(
                    None,
                    None,
                    f"Tried to write to index {index} but array is not resizeable and size is: {len(self.elements)}. "
                    "tf.TensorArray(..., dynamic_size=True) grows.",
                )
            self.elements.extend([None] * (index + 1 - len(self.elements)))
        self.elements[index] = value
        return self

    def read(self, index, clear):
        """An element; zeros where it was never written. `clear` forbids to read it again."""
        if index < 0:
            raise OutOfRangeError(None, None, f"Reading from negative indices (index {index}) is not allowed.")
        if index >= len(self.elements):
            raise OutOfRangeError(None, None, f"Tried to read from index {index} but array size is: {len(self.elements)}")
        value = self.elements[index]
        if value is self.CLEARED:
            raise InvalidArgumentError(
                None,
                None,
                f"Could not read index {index} twice because it was cleared after a previous read "
                "(perhaps try setting clear_after_read = false?)",
            )
        if value is None:
            value = self._zeros(index)
        self.elements[index] = self.CLEARED if clear else value
        return value

    def _zeros(self, index):
        if not self.element_shape.is_fully_defined():
            raise ValueError(
                f"Cannot convert a partially known TensorShape {self.element_shape} to a Tensor: element {index} of "
                "the TensorArray was never written, so that it would be zeros of an unknown shape. Give element_shape."
            )
        return P.fill(shape=tuple(self.element_shape.as_list()), value=0, dtype=self.dtype)

    def stack(self, indices):
        """The elements at `indices` (None: all) along a new first axis."""
        chosen = range(len(self.elements)) if indices is None else indices
        values = [self.read(i, False) for i in chosen]
        if values:
            return P.stack(*values, axis=0)
        dims = self.element_shape.as_list() if self.element_shape.is_fully_defined() else []
        return P.fill(shape=(0, *dims), value=0, dtype=self.dtype)

    def concat(self):
        """The elements joined along their first axis."""
        parts = [self.read(i, False) for i in range(self.size())]
        if not parts:
            raise invalid("ConcatV2", "There is nothing to join: the TensorArray has size 0")
        for i, part in enumerate(parts):
            if part.dims == ():
                raise InvalidArgumentError(
                    None, None, f"Concat saw a scalar shape at index {i} but requires at least vectors: use stack."
                )
        return P.concat(*parts, axis=0)

    def unstack(self, value):
        """Make the rows of `value` the elements."""
        count = value.dims[0]
        if count > self.size() and not self.dynamic_size:
            raise ValueError(f"Cannot unstack {count} tensors into a TensorArray of static size {self.size()} ")
        self.elements = list(P.unstack(value, axis=0, num=count)) if count else []
        return self

    def scatter(self, indices, value):
        """Set the elements at `indices` to the rows of `value`."""
        for index, row in zip(_indices(indices), P.unstack(value, axis=0, num=value.dims[0]), strict=False):
            self.write(index, row)
        return self

    def split(self, value, lengths):
        """Make the parts of `value`, of these lengths, the elements."""
        lengths = _indices(lengths)
        if sum(lengths) != value.dims[0]:
            raise InvalidArgumentError(
                None,
                None,
                "Expected sum of lengths to be equal to values.shape[0], but sum of lengths is "
                f"{sum(lengths)} and value's shape is: {list(value.dims)} ",
            )
        if len(lengths) != self.size() and not self.dynamic_size:
            raise InvalidArgumentError(
                None,
                None,
                "TensorArray's size is not equal to the size of lengths "
                f"({self.size()} vs. {len(lengths)}), and the TensorArray is not marked as dynamically resizeable.",
            )
        self.element_shape = TensorShape([None, *value.dims[1:]])  # the parts differ in length
        self.elements = list(P.split(value, sizes=tuple(lengths), axis=0))
        return self

    def flow(self):
        """The elements as a list tensor, for a graph."""
        flow = P.list_reserve(convert_to_tensor(self.size(), int32), dtype=self.dtype)
        for index, value in enumerate(self.elements):
            if isinstance(value, Tensor):
                flow = P.list_set(flow, convert_to_tensor(index, int32), value, grows=False)
        return flow


@export("TensorArray")
class TensorArray(Flow):
    """A list of tensors of one dtype; gradients flow through what is written and read.

    Use what `write`, `unstack`, `scatter` and `split` return.

    Args:
        dtype: the dtype of the elements.
        size: how many elements there are.
        dynamic_size: whether writing behind the end makes it grow.
        clear_after_read: whether an element can be read once only; True by default.
        tensor_array_name, handle, flow: not used when executing eagerly.
        infer_shape: whether all elements must have one shape.
        element_shape: that shape, as far as it is known.
        colocate_with_first_write_call: there is one device.

    Raises:
        ValueError: the size is missing, or a handle is given.
        OutOfRangeError: an index that is not in the array.
        InvalidArgumentError: an element of another dtype, or one that is read twice.

    Example:
        >>> import tapeflow as tf
        >>> squares = tf.TensorArray(tf.int32, size=3)
        >>> for i in range(3):
        ...     squares = squares.write(i, i * i)
        >>> squares.stack()
        <tf.Tensor: shape=(3,), dtype=int32, numpy=array([0, 1, 4], dtype=int32)>
    """

    _nest_atom = True

    def __init__(
        self,
        dtype,
        size=None,
        dynamic_size=None,
        clear_after_read=None,
        tensor_array_name=None,
        handle=None,
        flow=None,
        infer_shape=True,
        element_shape=None,
        colocate_with_first_write_call=True,
        name=None,
    ):
        if handle is not None:
            raise ValueError("TensorArray handles are not supported when eager execution is enabled.")
        if size is None:
            raise ValueError("Size must be declared for TensorArrays when eager execution is enabled.")
        self._dtype = as_dtype(dtype)
        self._dynamic_size = bool(dynamic_size)
        self._clear_after_read = True if clear_after_read is None else bool(clear_after_read)
        self._infer_shape = infer_shape
        size = _index(size)
        make = ListStorage if state.graph is None else TracedStorage.reserved
        self._storage = make(self._dtype, size, TensorShape(element_shape), self._dynamic_size)

    dtype = property(lambda self: self._dtype, doc="The dtype of the elements.")
    dynamic_size = property(lambda self: self._dynamic_size, doc="Whether it grows.")
    element_shape = property(lambda self: self._storage.element_shape, doc="What is known of the elements' shape.")
    handle = property(lambda self: None, doc="None: there is no handle when executing eagerly.")
    flow = property(lambda self: convert_to_tensor(0), doc="A scalar that orders ops in TensorFlow 1; zero here.")
    _type_spec = property(
        lambda self: TensorArraySpec(self.element_shape, self._dtype, self._dynamic_size, bool(self._infer_shape))
    )

    def identity(self):
        """This array."""
        return self

    def _to_flow(self):
        storage = self._traced()
        return storage.flow

    def _from_flow(self, flow):
        return self._with(self._traced().with_flow(flow))

    def _with(self, storage):
        """This array where it keeps its storage, else one of another storage: in a graph, writing changes nothing."""
        if storage is self._storage:
            return self
        array = copy.copy(self)
        array._storage = storage
        return array

    def _traced(self):
        """The storage for the graph that is being traced; this array keeps its own."""
        storage = self._storage
        if isinstance(storage, TracedStorage):
            return storage
        count = None if storage.dynamic_size else storage.size()
        return TracedStorage(storage.flow(), storage.element_shape, storage.dynamic_size, count)

    def _usable(self):
        return self._storage if state.graph is None else self._traced()

    def read(self, index, name=None):
        """The element at `index`, a scalar integer."""
        return self._usable().read(_index(index), self._clear_after_read)

    def write(self, index, value, name=None):
        """Set the element at `index`; returns the array.

        Raises:
            ValueError: the value's shape is not that of the other elements.
        """
        storage = self._usable()
        value = self._typed(value)
        self._check_element(storage.element_shape, value.shape)
        storage = storage.write(_index(index), value)
        return self._learnt(storage, value.shape)

    def _check_element(self, shape, found):
        if shape._dims != found._dims and not shape.is_compatible_with(found):
            raise ValueError(f"Incompatible shape for value ({found}), expected ({shape})")

    def _learnt(self, storage, shape):
        """This array with what a written value tells of the elements' shape."""
        if self._infer_shape and storage.element_shape._dims != shape._dims:
            storage.element_shape = storage.element_shape.merge_with(shape)
        return self._with(storage)

    def _typed(self, value):
        tensor = value if isinstance(value, Tensor) else convert_to_tensor(value, dtype_hint=self._dtype)
        if tensor.dtype is not self._dtype:
            kind = InvalidArgumentError if state.graph is None else None
            text = f"TensorArray dtype is {self._dtype.name} but Op is trying to write dtype {tensor.dtype.name} "
            raise ValueError(text) if kind is None else kind(None, None, text)
        return tensor

    def stack(self, name=None):
        """All elements along a new first axis; elements that were never written are zeros."""
        return self._usable().stack(None)

    def gather(self, indices, name=None):
        """The elements at `indices`, a vector, along a new first axis."""
        return self._usable().stack(_indices(indices) if state.graph is None else indices)

    def concat(self, name=None):
        """All elements joined along their first axis."""
        return self._usable().concat()

    def unstack(self, value, name=None):
        """Make the rows of `value` the elements; returns the array.

        Raises:
            ValueError: there are more rows than elements, and the array does not grow.
        """
        value = convert_to_tensor(value, dtype_hint=self._dtype)
        if value.dims == ():
            raise ValueError("Argument `axis` = 0 not in range [0, 0): a scalar cannot be unstacked.")
        storage = self._usable()
        row = value.shape[1:]
        self._check_element(storage.element_shape, row)
        return self._learnt(storage.unstack(value), row)

    def scatter(self, indices, value, name=None):
        """Set the elements at `indices` to the rows of `value`; returns the array."""
        value = convert_to_tensor(value, dtype_hint=self._dtype)
        storage = self._usable()
        row = value.shape[1:]
        self._check_element(storage.element_shape, row)
        return self._learnt(storage.scatter(convert_to_tensor(indices, dtype_hint=int32), value), row)

    def split(self, value, lengths, name=None):
        """Cut `value` along its first axis into elements of these lengths; returns the array.

        Raises:
            InvalidArgumentError: the lengths do not add up to that axis, or there are not as many as elements.
        """
        return self._with(self._usable().split(self._typed(value), lengths))

    def size(self, name=None):
        """The number of elements, an int32 scalar."""
        return convert_to_tensor(self._usable().size(), int32)

    def grad(self, source, flow=None, name=None):
        """Raise: gradients need nothing of the kind."""
        raise NotImplementedError(
            "TensorArray.grad is not supported when executing eagerly: tf.GradientTape follows what is written and read."
        )

    def close(self, name=None):
        """Drop all elements."""
        if isinstance(self._storage, ListStorage):
            self._storage.elements = []

    def mark_used(self):
        """Nothing: nobody warns of arrays that are not used."""


@export("TensorArraySpec")
class TensorArraySpec(TypeSpec):
    """What is known of a `tf.TensorArray`: the shape and dtype of its elements.

    Example:
        >>> import tapeflow as tf
        >>> tf.TensorArraySpec([2], tf.float32)
        TensorArraySpec(TensorShape([2]), tf.float32, False, True)
    """

    _nest_atom = True
    value_type = TensorArray

    def __init__(self, element_shape=None, dtype=float32, dynamic_size=False, infer_shape=True):
        self._element_shape = TensorShape(element_shape)
        self._dtype = as_dtype(dtype)
        self._dynamic_size = dynamic_size
        self._infer_shape = infer_shape

    @classmethod
    def from_value(cls, value):
        """The spec of a `tf.TensorArray`."""
        return value._type_spec

    def _serialize(self):
        return (self._element_shape, self._dtype, self._dynamic_size, self._infer_shape)


def _index(index):
    """An index as an int, or as a symbolic tensor."""
    if index.__class__ is int:
        return index
    tensor = convert_to_tensor(index)
    if not tensor.dtype.is_integer:
        raise TypeError(f"TensorArray indices and sizes must be integers, not {tensor.dtype.name}: {index!r}")
    value = static_value(tensor) if state.graph is not None else tensor._value
    return tensor if value is None else int(value)


def _indices(indices):
    """A vector of indices as ints."""
    tensor = convert_to_tensor(indices, dtype_hint=int32)
    value = tensor._value
    return [int(n) for n in value.ravel()]
