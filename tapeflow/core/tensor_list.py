"""`TensorList`: the value behind a `TensorArray` in a graph, a list of values that never changes for whoever holds it."""

from tapeflow.base.errors import OutOfRangeError

ABSENT = object()  # what stands at an index in an earlier version of a list that was shorter


class TensorList:
    """A list of ndarrays and NumPy scalars, None where nothing was written yet.

    Versions of a list share one Python list: the newest has it, an older one knows what is different in the one after it
    (H. Baker, "Shallow binding makes functional arrays fast", 1991). So a loop that writes element after element costs a
    store for each, and whoever kept an earlier version still finds it as it was.

    Args:
        items: the elements; the list belongs to this object from now on.
        dtype: the `DType` of the elements.

    Example:
        >>> from tapeflow.base.dtypes import float32
        >>> first = TensorList([None, None], float32)
        >>> second = first.set(0, 7.0)
        >>> second.get(0), first.get(0)
        (7.0, None)
    """

    __slots__ = ("_items", "_newer", "_only", "dtype")
    shape = ()

    def __init__(self, items, dtype):
        self._items = items
        self._newer = None  # (index, the element here, the version after this one) where that one has the items
        self._only = None  # (index, element) of a list that holds nothing else
        self.dtype = dtype

    @classmethod
    def only(cls, index, value, dtype):
        """A list that ends with its one element."""
        single = cls(None, dtype)
        single._only = (index, value)
        return single

    def items(self):
        """The elements, not to be changed."""
        if self._items is None:
            if self._only is not None:
                self._items = [*[None] * self._only[0], self._only[1]]
                self._only = None
            else:
                self._reroot()
        return self._items

    def _reroot(self):
        """Take the list over from the newest version."""
        path = [self]
        while path[-1]._newer is not None:
            path.append(path[-1]._newer[2])
        for newer, older in zip(path[:0:-1], path[-2::-1], strict=True):
            index, element, _ = older._newer
            items = newer._items
            newer._newer = (index, _exchange(items, index, element), older)
            newer._items = None
            older._items, older._newer = items, None

    def __len__(self):
        return len(self.items())

    def get(self, index):
        """The element at `index`, None where it was never written.

        Raises:
            OutOfRangeError: there is no such index.
        """
        items = self.items()
        if not 0 <= index < len(items):
            raise OutOfRangeError(None, None, f"Tried to read from index {index} but array size is: {len(items)}")
        return items[index]

    def set(self, index, value):
        """A list with `value` at `index`; one behind the end makes it longer."""
        items = self.items()
        if index > len(items):
            return self.set(len(items), None).set(index, value)
        newer = TensorList(items, self.dtype)
        self._newer = (index, _exchange(items, index, value), newer)
        self._items = None
        return newer

    def zeros(self):
        """A list of the same length in which nothing was written."""
        return TensorList([None] * len(self), self.dtype)

    def __add__(self, other):
        """The sum, element by element; what was never written, or is behind the end of one, counts as 0."""
        if other._only is not None:
            index, value = other._only
            before = self.items()[index] if index < len(self) else None
            return self.set(index, value if before is None else before + value)
        mine = list(self.items())  # `other` may be a version of the same list, and take it over
        others = other.items()
        shorter, longer = (mine, others) if len(mine) < len(others) else (others, mine)
        sums = [b if a is None else a if b is None else a + b for a, b in zip(shorter, longer, strict=False)]
        return TensorList([*sums, *longer[len(shorter) :]], self.dtype)

    def __repr__(self):
        return f"TensorList({self.items()!r})"


def _exchange(items, index, element):
    """Put `element` at `index`; returns what was there. `ABSENT` stands for what is behind the end."""
    if element is ABSENT:
        return items.pop()
    if index == len(items):
        items.append(element)
        return ABSENT
    before, items[index] = items[index], element
    return before


__all__ = ["TensorList"]
