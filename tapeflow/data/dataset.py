"""`tf.data.Dataset`: lazy pipelines of elements, each a nest of values described by `element_spec`.

A dataset is a chain of nodes. Every node can make a fresh stream of elements (`_elements`), where an element is a flat
list of NumPy values; the nest is put around them, and tensors are made, only where the user sees them. Nodes that only
choose among the rows of arrays can also give the chosen row numbers (`_rows`): a batch of such rows is one `take` an array.
"""

import itertools

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import as_dtype, int64
from tapeflow.base.errors import InvalidArgumentError, OutOfRangeError, invalid
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.ops.random import numpy_seed

AUTOTUNE = -1
INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2


def to_tensors(value):
    """A structure with tensors as leaves; in tf.data a list is a tensor, only tuples and dicts are structure."""
    if isinstance(value, dict):
        return type(value)((key, to_tensors(item)) for key, item in value.items())
    if isinstance(value, tuple):
        items = [to_tensors(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if value is None or getattr(value, "_type_spec", None) is not None or isinstance(value, Dataset):
        return value
    return convert_to_tensor(value)


def spec_of(structure):
    """The nest of specs of a nest of tensors."""
    return nest.map_structure(lambda x: x._type_spec if hasattr(x, "_type_spec") else TensorSpec(x.shape, x.dtype), structure)


def flat_values(structure):
    """The NumPy values of a nest of tensors, composites taken apart."""
    return [x._value if x.__class__ is Tensor else x for x in nest.flatten(structure, expand_composites=True)]


def _as_int(value, what):
    number = int(convert_to_tensor(value, dtype_hint=int64)._value)
    if what and number < 1:
        raise invalid(what, f"{what} must be greater than zero, got {number}")
    return number


class Dataset:
    """A stream of elements that can be iterated over any number of times.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(5).map(lambda x: x * x).batch(2)
        >>> [batch.numpy().tolist() for batch in dataset]
        [[0, 1], [4, 9], [16]]
    """

    # What a node provides: _spec or element_spec, _elements(), _size() and, where it only chooses rows, _rows().

    _spec = None

    @property
    def element_spec(self):
        """The nest of specs of an element."""
        return self._spec

    def _elements(self):
        raise NotImplementedError

    def _rows(self):
        """(arrays, a fresh iterator of row numbers) where every element is a row of `arrays`, else None."""
        return None

    def _size(self):
        return UNKNOWN_CARDINALITY

    def _pack(self, values):
        tensors = [wrap(value) if not isinstance(value, (Tensor, Dataset)) else value for value in values]
        return nest.pack_sequence_as(self.element_spec, tensors, expand_composites=True)

    # Iteration

    def __iter__(self):
        return Iterator(self)

    def __len__(self):
        size = self._size()
        if size == INFINITE_CARDINALITY:
            raise TypeError("The dataset is infinite.")
        if size == UNKNOWN_CARDINALITY:
            raise TypeError("The dataset length is unknown.")
        return size

    def __bool__(self):
        return True

    def cardinality(self):
        """The number of elements as an int64 tensor; -1 when infinite, -2 when unknown."""
        return convert_to_tensor(self._size(), int64)

    def as_numpy_iterator(self):
        """An iterator over elements with NumPy values in place of tensors."""
        for element in self:
            yield nest.map_structure(lambda x: x.numpy() if isinstance(x, Tensor) else x, element)

    def get_single_element(self, name=None):
        """The only element; raises InvalidArgumentError where there is not exactly one."""
        found = list(itertools.islice(self._elements(), 2))
        if len(found) != 1:
            raise InvalidArgumentError(None, None, "Dataset was empty." if not found else "Dataset had more than one element.")
        return self._pack(found[0])

    def reduce(self, initial_state, reduce_func, name=None):
        """The state after `state = reduce_func(state, element)` for every element."""
        state = to_tensors(initial_state)
        for element in self:
            state = to_tensors(reduce_func(state, element))
        return state

    # Sources

    @staticmethod
    def from_tensors(tensors, name=None):
        """A dataset of one element."""
        return _FromTensors(tensors)

    @staticmethod
    def from_tensor_slices(tensors, name=None):
        """A dataset of the slices along the first axis of every tensor in a nest."""
        return _FromTensorSlices(tensors)

    @staticmethod
    def range(*args, output_type=int64, name=None):
        """The integers of Python's `range(*args)`, as int64 by default."""
        return _Range(*args, output_type=output_type)

    @staticmethod
    def zip(*args, datasets=None, name=None):
        """Elements are nests of the datasets' elements; the shortest one ends it."""
        if datasets is not None:
            args = (datasets,)
        return _Zip(args[0] if len(args) == 1 and not isinstance(args[0], Dataset) else args)

    # Transformations

    def map(self, map_func, num_parallel_calls=None, deterministic=None, synchronous=None, use_unbounded_threadpool=False, name=None):
        """The results of `map_func` on each element (on its parts, where an element is a tuple)."""
        return _Map(self, map_func)

    def flat_map(self, map_func, name=None):
        """The elements of the datasets that `map_func` returns, one dataset after the other."""
        return _FlatMap(self, map_func)

    def filter(self, predicate, name=None):
        """The elements for which `predicate` is true."""
        return _Filter(self, predicate)

    def batch(self, batch_size, drop_remainder=False, num_parallel_calls=None, deterministic=None, name=None):
        """Consecutive elements stacked; the last batch is smaller unless `drop_remainder`."""
        return _Batch(self, _as_int(batch_size, "batch_size"), bool(drop_remainder))

    def unbatch(self, name=None):
        """The slices along the first axis of each element."""
        return _FlatMap(self, lambda *parts: Dataset.from_tensor_slices(parts[0] if len(parts) == 1 else parts))

    def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True, name=None):
        """Elements in random order: each is drawn from a buffer of the next `buffer_size` ones."""
        return _Shuffle(self, _as_int(buffer_size, "buffer_size"), seed, reshuffle_each_iteration is not False)

    def repeat(self, count=None, name=None):
        """The elements `count` times over; for ever where it is None or -1."""
        return _Repeat(self, -1 if count is None else _as_int(count, None))

    def take(self, count, name=None):
        """At most the first `count` elements; all where it is -1."""
        return _Take(self, _as_int(count, None))

    def skip(self, count, name=None):
        """All but the first `count` elements; none where it is -1."""
        return _Skip(self, _as_int(count, None))

    def concatenate(self, dataset, name=None):
        """The elements of this dataset, then those of another with the same structure."""
        return _Concatenate(self, dataset)

    def enumerate(self, start=0, name=None):
        """Pairs (index, element)."""
        return Dataset.zip((_Count(start), self))

    def prefetch(self, buffer_size, name=None):
        """The same elements."""
        return _Same(self)

    def cache(self, filename="", name=None):
        """The same elements, computed in the first complete iteration and kept in memory."""
        if filename:
            raise NotImplementedError("Dataset.cache keeps elements in memory only; a file name is not supported yet.")
        return _Cache(self)

    def with_options(self, options, name=None):
        """The same elements; options that concern speed are remembered only."""
        same = _Same(self)
        same._options = self.options().merge(options)
        return same

    def options(self):
        """The options set so far."""
        return getattr(self, "_options", None) or Options()

    def apply(self, transformation_func, name=None):
        """`transformation_func(self)`."""
        result = transformation_func(self)
        if not isinstance(result, Dataset):
            raise TypeError(f"`transformation_func` must return a Dataset, got {type(result)}.")
        return result

    def __repr__(self):
        return f"<{type(self).__name__} element_spec={self.element_spec}>"


class Iterator:
    """One pass over a dataset."""

    def __init__(self, dataset):
        self._dataset = dataset
        self._stream = dataset._elements()

    @property
    def element_spec(self):
        """The nest of specs of an element."""
        return self._dataset.element_spec

    def __iter__(self):
        return self

    def __next__(self):
        return self._dataset._pack(next(self._stream))

    def get_next(self):
        """The next element; raises OutOfRangeError at the end."""
        try:
            return next(self)
        except StopIteration:
            raise OutOfRangeError(None, None, "End of sequence") from None


class Options:
    """Options of a dataset: they change how fast it runs, never what it yields, so they are only remembered."""

    def __init__(self):
        object.__setattr__(self, "_values", {})

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name in _OPTION_GROUPS:
            return self._values.setdefault(name, Options())
        return self._values.get(name)

    def __setattr__(self, name, value):
        self._values[name] = value

    def merge(self, options):
        """The options of both; those of `options` count where both set one."""
        merged = Options()
        merged._values.update(self._values)
        merged._values.update(options._values)
        return merged


_OPTION_GROUPS = {"autotune", "experimental_distribute", "experimental_optimization", "threading", "experimental_threading"}


# Sources


class _FromTensors(Dataset):
    def __init__(self, tensors):
        tensors = to_tensors(tensors)
        self._spec = spec_of(tensors)
        self._values = flat_values(tensors)

    def _elements(self):
        yield self._values

    def _size(self):
        return 1


class _FromTensorSlices(Dataset):
    def __init__(self, tensors):
        tensors = to_tensors(tensors)
        specs = spec_of(tensors)
        flat = nest.flatten(tensors)
        if not flat:
            raise ValueError("`tensors` holds no tensor to slice.")
        if any(spec.shape.rank == 0 for spec in nest.flatten(specs)):
            raise ValueError("Unbatching a tensor is only supported for rank >= 1")
        self._count = flat[0].shape[0]
        for x in flat[1:]:
            if x.shape[0] != self._count:
                raise ValueError(f"Dimensions {self._count} and {x.shape[0]} are not compatible")
        self._spec = nest.map_structure(lambda spec: spec._unbatch(), specs)
        self._plain = all(isinstance(x, Tensor) for x in flat)
        self._tensors = tensors
        self._arrays = flat_values(tensors) if self._plain else None

    def _elements(self):
        if self._plain:
            for i in range(self._count):
                yield [row(array, i) for array in self._arrays]
            return
        for i in range(self._count):
            yield flat_values(nest.map_structure(lambda x, i=i: x[i], self._tensors))

    def _rows(self):
        return (self._arrays, iter(range(self._count))) if self._plain else None

    def _size(self):
        return self._count


def row(array, i):
    """Row `i`; a 0-d string stays an array."""
    return array[i, ...] if array.dtype == object else array[i]


class _Range(Dataset):
    def __init__(self, *args, output_type):
        if not 1 <= len(args) <= 3:
            raise ValueError(f"Dataset.range takes 1 to 3 numbers, got {len(args)}.")
        self._range = range(*[_as_int(arg, None) for arg in args])
        self._type = as_dtype(output_type)
        self._spec = TensorSpec([], self._type)

    def _elements(self):
        for i in self._range:
            yield [self._type.type(i)]

    def _size(self):
        return len(self._range)


class _Count(Dataset):
    def __init__(self, start):
        self._start = _as_int(start, None)
        self._spec = TensorSpec([], int64)

    def _elements(self):
        for i in itertools.count(self._start):
            yield [np.int64(i)]

    def _size(self):
        return INFINITE_CARDINALITY


class _Zip(Dataset):
    def __init__(self, datasets):
        self._flat = nest.flatten(datasets)
        for dataset in self._flat:
            if not isinstance(dataset, Dataset):
                raise TypeError(f"The argument to Dataset.zip must be a nest of datasets, got {type(dataset)}.")
        self._spec = nest.map_structure(lambda dataset: dataset.element_spec, datasets)

    def _elements(self):
        for parts in zip(*[dataset._elements() for dataset in self._flat], strict=False):
            yield list(itertools.chain.from_iterable(parts))

    def _size(self):
        sizes = [dataset._size() for dataset in self._flat]
        finite = [size for size in sizes if size >= 0]
        if UNKNOWN_CARDINALITY in sizes:
            return UNKNOWN_CARDINALITY
        return min(finite) if finite else INFINITE_CARDINALITY


# Transformations


class _Unary(Dataset):
    def __init__(self, source):
        self._source = source
        self._options = source.options()

    @property
    def element_spec(self):
        return self._source.element_spec

    def _size(self):
        return self._source._size()


class _Same(_Unary):
    def _elements(self):
        return self._source._elements()

    def _rows(self):
        return self._source._rows()


def call_on_element(function, element):
    """`function` on an element: a tuple's parts become its arguments."""
    return function(*element) if type(element) is tuple else function(element)


class _Map(_Unary):
    """Runs the function eagerly on each element; its spec is that of the first result."""

    def __init__(self, source, function):
        super().__init__(source)
        self._function = function
        self._spec = None

    @property
    def element_spec(self):
        if self._spec is None:
            first = next(self._results(), None)
            if first is None:
                raise ValueError("The element_spec of a mapped dataset without elements is not known.")
        return self._spec

    def _results(self):
        for values in self._source._elements():
            result = call_on_element(self._function, self._source._pack(values))
            if isinstance(result, list):
                result = tuple(result)
            result = to_tensors(result)
            if self._spec is None:
                self._spec = spec_of(result)
            yield result

    def _elements(self):
        for result in self._results():
            yield flat_values(result)


class _FlatMap(_Unary):
    def __init__(self, source, function):
        super().__init__(source)
        self._function = function
        self._spec = None

    @property
    def element_spec(self):
        if self._spec is None and next(self._datasets(), None) is None:
            raise ValueError("The element_spec of a flat-mapped dataset without elements is not known.")
        return self._spec

    def _datasets(self):
        for values in self._source._elements():
            dataset = call_on_element(self._function, self._source._pack(values))
            if not isinstance(dataset, Dataset):
                raise TypeError(f"The `map_func` of flat_map must return a Dataset, got {type(dataset)}.")
            if self._spec is None:
                self._spec = dataset.element_spec
            yield dataset

    def _elements(self):
        for dataset in self._datasets():
            yield from dataset._elements()

    def _size(self):
        return UNKNOWN_CARDINALITY


class _Filter(_Unary):
    def __init__(self, source, predicate):
        super().__init__(source)
        self._predicate = predicate

    def _elements(self):
        for values in self._source._elements():
            if bool(call_on_element(self._predicate, self._source._pack(values))):
                yield values

    def _size(self):
        return UNKNOWN_CARDINALITY


class _Batch(_Unary):
    def __init__(self, source, size, drop_remainder):
        super().__init__(source)
        self._batch_size = size
        self._drop = drop_remainder
        self._spec = None

    @property
    def element_spec(self):
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
        stream = self._source._elements()
        while elements := list(itertools.islice(stream, self._batch_size)):
            if len(elements) == self._batch_size or not self._drop:
                yield [_stacked(parts) for parts in zip(*elements, strict=True)]

    def _size(self):
        size = self._source._size()
        if size < 0:
            return size
        return size // self._batch_size if self._drop else -(-size // self._batch_size)


def _stacked(parts):
    shapes = {np.shape(part) for part in parts}
    if len(shapes) > 1:
        first, other = list(shapes)[:2]
        raise invalid("batch", f"Cannot batch tensors with different shapes: {list(first)} and {list(other)}")
    return np.stack(parts)


class _Shuffle(_Unary):
    def __init__(self, source, size, seed, reshuffle):
        super().__init__(source)
        self._buffer_size = size
        self._reshuffle = reshuffle
        self._seeds = np.random.SeedSequence(numpy_seed(seed))

    def _generator(self):
        return np.random.Generator(np.random.PCG64(self._seeds.spawn(1)[0] if self._reshuffle else self._seeds))

    def _elements(self):
        rows = self._rows()
        if rows is not None:
            arrays, numbers = rows
            return ([row(array, i) for array in arrays] for i in numbers)
        return _drawn(self._source._elements(), self._buffer_size, self._generator())

    def _rows(self):
        rows = self._source._rows()
        return None if rows is None else (rows[0], _drawn(rows[1], self._buffer_size, self._generator()))


def _drawn(items, size, generator):
    """The items in the order in which they are drawn from a buffer of the next `size` ones."""
    buffer = list(itertools.islice(items, size))
    while True:
        coming = list(itertools.islice(items, 4096))
        if not coming:
            break
        for slot, item in zip(generator.integers(0, len(buffer), len(coming)).tolist(), coming, strict=True):
            yield buffer[slot]
            buffer[slot] = item
    for i in generator.permutation(len(buffer)):
        yield buffer[i]


class _Repeat(_Unary):
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


class _Take(_Unary):
    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _cut(self, items):
        return items if self._count < 0 else itertools.islice(items, self._count)

    def _elements(self):
        return iter(self._cut(self._source._elements()))

    def _rows(self):
        rows = self._source._rows()
        return None if rows is None else (rows[0], iter(self._cut(rows[1])))

    def _size(self):
        size = self._source._size()
        if self._count < 0 or size == UNKNOWN_CARDINALITY:
            return size
        return self._count if size < 0 else min(size, self._count)


class _Skip(_Unary):
    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _cut(self, items):
        return iter(()) if self._count < 0 else itertools.islice(items, self._count, None)

    def _elements(self):
        return self._cut(self._source._elements())

    def _rows(self):
        rows = self._source._rows()
        return None if rows is None else (rows[0], self._cut(rows[1]))

    def _size(self):
        size = self._source._size()
        if self._count < 0:
            return 0
        return size if size < 0 else max(0, size - self._count)


class _Concatenate(_Unary):
    def __init__(self, source, other):
        super().__init__(source)
        nest.assert_same_structure(source.element_spec, other.element_spec)
        self._other = other
        self._common = nest.map_structure(
            lambda a, b: a.most_specific_compatible_type(b), source.element_spec, other.element_spec
        )

    @property
    def element_spec(self):
        return self._common

    def _elements(self):
        return itertools.chain(self._source._elements(), self._other._elements())

    def _size(self):
        sizes = (self._source._size(), self._other._size())
        if INFINITE_CARDINALITY in sizes:
            return INFINITE_CARDINALITY
        return UNKNOWN_CARDINALITY if UNKNOWN_CARDINALITY in sizes else sum(sizes)


class _Cache(_Unary):
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

