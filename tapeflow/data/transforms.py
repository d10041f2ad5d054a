"""Datasets made of another dataset: functions on its elements, batches, choices, repetitions."""

import itertools

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import bool_
from tapeflow.base.errors import invalid
from tapeflow.base.specs import TensorSpec
from tapeflow.data.dataset import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, UnaryDataset
from tapeflow.data.structure import flat_values, packer, slices, spec_of, stacked, to_tensors
from tapeflow.trace.func_graph import FuncGraph


class OptionsDataset(UnaryDataset):
    """The same elements."""

    def _elements(self):
        return self._source._elements()

    def _rows(self):
        return self._source._rows()


class PrefetchDataset(OptionsDataset):
    """The same elements; nothing is computed ahead."""


# Functions on elements


def call_on_element(function, element):
    """`function` on an element: a tuple's parts become its arguments."""
    return function(*element) if type(element) is tuple else function(element)


def traced_spec(function, spec):
    """The specs of what `function` gives for a symbolic element, or None where that cannot be known so."""
    flat = nest.flatten(spec)
    if not all(isinstance(part, TensorSpec) for part in flat):
        return None
    try:
        with FuncGraph("map").as_default() as graph:
            inputs = [graph.placeholder(part.shape._dims, part.dtype) for part in flat]
            return spec_of(_result(call_on_element(function, nest.pack_sequence_as(spec, inputs))))
    except Exception:  # the function needs values; what is wrong with it shows when an element is asked for
        return None


def _result(value):
    """What a mapped function returned as an element; a list at the top is a tuple."""
    try:
        return to_tensors(tuple(value) if isinstance(value, list) else value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Unsupported return value from function passed to Dataset.map(): {value}. {error}") from error


class MapDataset(UnaryDataset):
    """The results of a function, which runs eagerly on each element."""

    def __init__(self, source, function):
        super().__init__(source)
        self._function = function

    @property
    def element_spec(self):
        """The nest of specs of an element: from a symbolic run of the function, else from the first element."""
        if self._spec is None:
            self._spec = traced_spec(self._function, self._source.element_spec)
        if self._spec is None:
            first = next(self._results(), None)
            if first is None:
                raise ValueError("The element_spec of this mapped dataset is not known: it has no element to learn it from.")
            self._spec = spec_of(first[0])
        return self._spec

    def _results(self):
        pack = packer(self._source.element_spec)
        for values in self._source._elements():
            yield (_result(call_on_element(self._function, pack(values))),)

    def _elements(self):
        for (result,) in self._results():
            if self._spec is None:
                self._spec = traced_spec(self._function, self._source.element_spec) or spec_of(result)
            yield flat_values(result)


class FlatMapDataset(UnaryDataset):
    """The elements of the datasets that a function returns."""

    def __init__(self, source, function):
        super().__init__(source)
        self._function = function

    @property
    def element_spec(self):
        """The nest of specs of an element, known from the first dataset."""
        if self._spec is None and next(self._datasets(), None) is None:
            raise ValueError(
                "The element_spec of this flat-mapped dataset is not known: it has no element to learn it from."
            )
        return self._spec

    def _datasets(self):
        pack = packer(self._source.element_spec)
        for values in self._source._elements():
            dataset = call_on_element(self._function, pack(values))
            if not isinstance(dataset, Dataset):
                raise TypeError(f"The `map_func` argument must return a `Dataset` object. Got {type(dataset)}.")
            if self._spec is None:
                self._spec = dataset.element_spec
            yield dataset

    def _elements(self):
        for dataset in self._datasets():
            yield from dataset._elements()

    def _size(self):
        return UNKNOWN_CARDINALITY


class FilterDataset(UnaryDataset):
    """The elements for which a function is true."""

    def __init__(self, source, predicate):
        super().__init__(source)
        self._predicate = predicate

    def _elements(self):
        pack = packer(self._source.element_spec)
        for values in self._source._elements():
            kept = to_tensors(call_on_element(self._predicate, pack(values)))
            if getattr(kept, "dtype", None) is not bool_ or kept.dims != ():
                raise ValueError(
                    "Invalid `predicate`. `predicate` must return a `tf.bool` scalar tensor, but its return type is "
                    f"{spec_of(kept)}."
                )
            if kept:
                yield values

    def _size(self):
        return UNKNOWN_CARDINALITY


# Batches


class BatchDataset(UnaryDataset):
    """Consecutive elements stacked."""

    def __init__(self, source, size, drop_remainder):
        super().__init__(source)
        self._batch_size = size
        self._drop = drop_remainder

    @property
    def element_spec(self):
        """The nest of specs of a batch; its first dimension is known where no smaller batch can come."""
        if self._spec is None:
            size = self._batch_size if self._drop else None
            self._spec = nest.map_structure(lambda spec: spec._batch(size), self._source.element_spec)
        return self._spec

    def _elements(self):
        rows = self._source._rows()
        if rows is not None:
            arrays, numbers = rows
            while chosen := list(itertools.islice(numbers, self._batch_size)):
                if len(chosen) == self._batch_size or not self._drop:
                    yield [array.take(chosen, 0) for array in arrays]
            return
        specs = nest.flatten(self._source.element_spec)
        stream = self._source._elements()
        while elements := list(itertools.islice(stream, self._batch_size)):
            if len(elements) == self._batch_size or not self._drop:
                yield [_batched(parts, spec) for parts, spec in zip(zip(*elements, strict=True), specs, strict=True)]

    def _size(self):
        size = self._source._size()
        if size < 0:
            return size
        return size // self._batch_size if self._drop else -(-size // self._batch_size)


def _batched(parts, spec):
    if isinstance(spec, TensorSpec):
        first = np.shape(parts[0])
        for part in parts:
            if np.shape(part) != first:
                raise invalid(
                    "batch",
                    "Cannot add tensor to the batch: number of elements does not match. Shapes are: "
                    f"[tensor]: {_listed(part)}, [batch]: {_listed(parts[0])}",
                )
    return stacked(parts, spec)


def _listed(part):
    return "[" + ",".join(map(str, np.shape(part))) + "]"


class UnbatchDataset(UnaryDataset):
    """The slices of each element."""

    def __init__(self, source):
        super().__init__(source)
        self._flat_specs = nest.flatten(source.element_spec)
        if any(spec.shape.rank == 0 for spec in self._flat_specs if hasattr(spec, "shape")):
            raise ValueError("Cannot unbatch an input with scalar components.")
        self._spec = nest.map_structure(lambda spec: spec._unbatch(), source.element_spec)

    @property
    def element_spec(self):
        """The nest of specs of a slice."""
        return self._spec

    def _elements(self):
        for values in self._source._elements():
            lengths = {len(value) for value in values if isinstance(value, np.ndarray)}
            if len(lengths) > 1:
                raise invalid("unbatch", f"Input tensors have different sizes along the first axis: {sorted(lengths)}")
            parts = [slices(value, spec) for value, spec in zip(values, self._flat_specs, strict=True)]
            yield from map(list, zip(*parts, strict=False))

    def _size(self):
        dims = [spec.shape[0] for spec in self._flat_specs if getattr(spec, "shape", None) and spec.shape.rank]
        size = self._source._size()
        known = next((n for n in dims if n is not None), None)
        return UNKNOWN_CARDINALITY if known is None and size else size if size < 0 else size * (known or 0)


# Choices and repetitions


class RepeatDataset(UnaryDataset):
    """The elements several times over."""

    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _elements(self):
        for _ in itertools.count() if self._count < 0 else range(self._count):
            empty = True
            for values in self._source._elements():
                empty = False
                yield values
            if empty and self._count < 0:
                return

    def _size(self):
        size = self._source._size()
        if size == 0 or self._count == 0:
            return 0
        if self._count < 0:
            return INFINITE_CARDINALITY
        return size if size < 0 else size * self._count


class _Slice(UnaryDataset):
    """The elements, or their row numbers, of `itertools.islice`."""

    def _bounds(self):
        raise NotImplementedError

    def _elements(self):
        return itertools.islice(self._source._elements(), *self._bounds())

    def _rows(self):
        rows = self._source._rows()
        return None if rows is None else (rows[0], itertools.islice(rows[1], *self._bounds()))

    def _size(self):
        size = self._source._size()
        start, stop, step = self._bounds()
        if size == INFINITE_CARDINALITY and stop is not None:
            return len(range(start, stop, step))
        return size if size < 0 else len(range(size)[start:stop:step])


class TakeDataset(_Slice):
    """The first elements."""

    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _bounds(self):
        return 0, None if self._count < 0 else self._count, 1


class SkipDataset(_Slice):
    """The elements after the first."""

    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _bounds(self):
        return (0, 0, 1) if self._count < 0 else (self._count, None, 1)


class ShardDataset(_Slice):
    """Every n-th element."""

    def __init__(self, source, num_shards, index):
        super().__init__(source)
        self._num_shards, self._index = num_shards, index

    def _bounds(self):
        return self._index, None, self._num_shards


class ConcatenateDataset(UnaryDataset):
    """The elements of two datasets, one after the other."""

    def __init__(self, source, other):
        super().__init__(source)
        self._other = other
        try:
            nest.assert_same_structure(source.element_spec, other.element_spec)
            self._spec = nest.map_structure(
                lambda a, b: a.most_specific_compatible_type(b), source.element_spec, other.element_spec
            )
        except (TypeError, ValueError) as error:
            raise TypeError(f"Incompatible dataset elements:\n  {source.element_spec} vs.   {other.element_spec}") from error

    @property
    def element_spec(self):
        """The nest of specs that describe the elements of both."""
        return self._spec

    def _elements(self):
        return itertools.chain(self._source._elements(), self._other._elements())

    def _size(self):
        sizes = (self._source._size(), self._other._size())
        if INFINITE_CARDINALITY in sizes:
            return INFINITE_CARDINALITY
        return UNKNOWN_CARDINALITY if UNKNOWN_CARDINALITY in sizes else sum(sizes)


class CacheDataset(UnaryDataset):
    """The elements of the first complete pass, kept."""

    def __init__(self, source):
        super().__init__(source)
        self._kept = None

    def _elements(self):
        if self._kept is not None:
            yield from self._kept
            return
        kept = []
        for values in self._source._elements():
            kept.append(values)
            yield values
        self._kept = kept
