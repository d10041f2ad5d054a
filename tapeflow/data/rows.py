"""Tables: elements that are the rows of arrays, so that whatever chooses or orders them handles row numbers alone.

A dataset made of slices, and of choices among them and of pure functions on them, is a `Table` and an iterator of row
numbers. A shuffle then moves ints, and a batch gathers its rows at once and runs each function once for all of them.
"""

import itertools

import numpy as np

from tapeflow.data.stream import Stream
from tapeflow.data.structure import row

LARGEST_BLOCK = 32  # rows that are computed ahead where one at a time is asked for


class ArrayTable:
    """The rows of some arrays."""

    __slots__ = ("_arrays",)

    computed = False

    def __init__(self, arrays):
        self._arrays = arrays

    def row(self, i):
        """The leaves of row `i`."""
        return [row(array, i) for array in self._arrays]

    def gather(self, chosen):
        """An array for each leaf, with the rows of the list `chosen` along its first axis."""
        return [array.take(chosen, 0) for array in self._arrays]


class NumberTable:
    """The row numbers themselves, each times `step` and plus `start`."""

    __slots__ = ("_dtype", "_start", "_step", "_type")

    computed = False

    def __init__(self, start, step, dtype):
        self._start, self._step = start, step
        self._dtype, self._type = dtype.numpy_dtype, dtype.type

    def row(self, i):
        """The leaves of row `i`."""
        return [self._type(self._start + self._step * i)]

    def gather(self, chosen):
        """An array with the rows of the list `chosen`."""
        return [(self._start + self._step * np.array(chosen, np.int64)).astype(self._dtype)]


class ZippedTable:
    """Tables side by side; a row number is a tuple with one for each."""

    __slots__ = ("_tables", "computed")

    def __init__(self, tables):
        self._tables = tables
        self.computed = any(table.computed for table in tables)

    def row(self, i):
        """The leaves of row `i`."""
        return [leaf for table, number in zip(self._tables, i, strict=True) for leaf in table.row(number)]

    def gather(self, chosen):
        """An array for each leaf, with the rows of the list `chosen` along its first axis."""
        numbers = zip(*chosen, strict=True)
        return [array for table, part in zip(self._tables, numbers, strict=True) for array in table.gather(part)]


class MappedTable:
    """The results of a function on the rows of a table: a pure one that cannot fail."""

    __slots__ = ("_function", "_table")

    computed = True

    def __init__(self, table, function):
        self._table, self._function = table, function

    def row(self, i):
        """The leaves of row `i`."""
        return self._function(self._table.row(i))

    def gather(self, chosen):
        """An array for each leaf, with the results for the list `chosen` along its first axis."""
        return self._function.batched(self._table.gather(chosen), len(chosen))


class RowStream(Stream):
    """The rows of a table, one by one; where they are computed, in blocks that grow."""

    __slots__ = ("_block", "_numbers", "_ready", "_table")

    def __init__(self, table, numbers):
        self._table, self._numbers = table, numbers
        self._ready = []  # rows computed ahead, the next one last
        self._block = 1

    def __next__(self):
        if not self._table.computed:
            return self._table.row(next(self._numbers))
        if not self._ready:
            self._fill()
        return self._ready.pop()

    def _fill(self):
        chosen = list(itertools.islice(self._numbers, self._block))
        if not chosen:
            raise StopIteration
        self._block = min(2 * self._block, LARGEST_BLOCK)
        self._ready = unstacked(self._table.gather(chosen))[::-1] if len(chosen) > 1 else [self._table.row(chosen[0])]

    def skip(self, count):
        """Pass over `count` elements, or as many as there are."""
        ready = min(count, len(self._ready))
        del self._ready[len(self._ready) - ready :]
        next(itertools.islice(self._numbers, count - ready, count - ready), None)


class RowBatches(Stream):
    """The rows of a table, `size` at a time."""

    __slots__ = ("_drop", "_numbers", "_size", "_table")

    def __init__(self, table, numbers, size, drop):
        self._table, self._numbers = table, numbers
        self._size, self._drop = size, drop

    def __next__(self):
        chosen = list(itertools.islice(self._numbers, self._size))
        if not chosen or (self._drop and len(chosen) < self._size):
            raise StopIteration
        return self._table.gather(chosen)

    def skip(self, count):
        """Pass over `count` elements, or as many as there are."""
        next(itertools.islice(self._numbers, count * self._size, count * self._size), None)


def unstacked(columns):
    """The rows of some arrays, as a list of elements that keep nothing else of the arrays alive."""
    parts = []
    for column in columns:
        if column.ndim == 1 and column.dtype != object:
            parts.append(list(column))
        else:
            parts.append([row(column, i).copy() for i in range(len(column))])
    return [list(leaves) for leaves in zip(*parts, strict=True)]


def kept_rows(table, numbers, predicate):
    """The row numbers for whose rows a pure predicate is true, asked in blocks that grow."""
    size = 1
    while chosen := list(itertools.islice(numbers, size)):
        (kept,) = (
            predicate.batched(table.gather(chosen), len(chosen)) if len(chosen) > 1 else predicate(table.row(chosen[0]))
        )
        yield from itertools.compress(chosen, np.atleast_1d(kept).tolist())
        size = min(2 * size, LARGEST_BLOCK)
