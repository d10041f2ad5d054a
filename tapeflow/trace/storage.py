"""`TracedStorage`: the elements of a `TensorArray` in a graph, one tensor that is a list; writing gives another storage."""

from tapeflow.base.dtypes import int32
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor


class TracedStorage:
    """The elements of a `TensorArray` as a list tensor.

    Args:
        flow: the list tensor.
        element_shape: what is known of the elements' shape, a `TensorShape`.
        dynamic_size: whether writing behind the end makes it grow.
        count: the number of elements where it is known and does not change, else None.
    """

    def __init__(self, flow, element_shape, dynamic_size, count):
        self.flow = flow
        self.element_shape = element_shape
        self.dynamic_size = dynamic_size
        self.count = count

    @classmethod
    def reserved(cls, dtype, size, element_shape, dynamic_size):
        """A storage of `size` elements (an int or an integer scalar) that were not written yet."""
        count = size if isinstance(size, int) and not dynamic_size else None
        return cls(P.list_reserve(convert_to_tensor(size, int32), dtype=dtype), element_shape, dynamic_size, count)

    def with_flow(self, flow, element_shape=None):
        """A storage like this one of another list."""
        return TracedStorage(flow, element_shape or self.element_shape, self.dynamic_size, self.count)

    @property
    def dims(self):
        """The elements' shape as a tuple, or None."""
        return self.element_shape._dims

    def size(self):
        """The number of elements, an int where it is known, else a scalar tensor."""
        return P.list_length(self.flow) if self.count is None else self.count

    def write(self, index, value):
        """The storage with an element set; an index that is known and too large is refused at once."""
        return self.with_flow(P.list_set(self.flow, _index(index), value, grows=self.dynamic_size))

    def read(self, index, clear):
        """An element."""
        return P.list_get(self.flow, _index(index), dims=self.dims)

    def stack(self, indices):
        """The elements at `indices` (None: all) along a new first axis."""
        rows = P.list_stack(self.flow, dims=self.dims, count=self.count)
        if indices is None:
            return rows
        return P.gather(rows, convert_to_tensor(indices, dtype_hint=int32), axis=0, batch_dims=0)

    def concat(self):
        """The elements joined along their first axis."""
        return P.list_concat(self.flow, dims=self.dims)[0]

    def unstack(self, value):
        """A storage of the rows of `value`."""
        dims = value.dims
        shape = TensorShape(None if dims is None else dims[1:])
        count = None if self.dynamic_size or dims is None else dims[0]
        return TracedStorage(P.list_from(value), self.element_shape.merge_with(shape), self.dynamic_size, count)

    def scatter(self, indices, value):
        """The storage with the elements at `indices`, a vector of known length, set to the rows of `value`."""
        storage = self
        count = indices.dims[0] if value.dims is None or value.dims[0] is None else value.dims[0]
        for row in range(count):
            storage = storage.write(indices[row], value[row])
        return storage

    def split(self, value, lengths):
        """A storage of the parts of `value`."""
        shape = TensorShape(None if value.dims is None else [None, *value.dims[1:]])
        return TracedStorage(P.list_split(value, convert_to_tensor(lengths)), shape, self.dynamic_size, None)


def _index(index):
    return index if isinstance(index, Tensor) else convert_to_tensor(index, int32)


__all__ = ["TracedStorage"]
