"""`tf.data.Dataset`: lazy pipelines of elements, each a nest of values described by `element_spec`.

A dataset is a chain of nodes. Every node can make a fresh stream of elements (`_elements`), where an element is the flat
list of its leaves (see `structure`); the nest is put around them only where the user sees them. Nodes that only choose
among the rows of arrays can also give the chosen row numbers (`_rows`): a batch of such rows is one `take` an array.
"""

import itertools
import sys

from tapeflow.base import nest
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import OutOfRangeError, invalid
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor
from tapeflow.data.optional import Optional
from tapeflow.data.options import Options
from tapeflow.data.structure import packer, spec_of, to_tensors

AUTOTUNE = -1
INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2


def as_int(value):
    """An int of what converts to an int64 scalar."""
    return int(convert_to_tensor(value, int64)._value)


class Dataset:
    """A stream of elements that can be iterated over any number of times.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(5).map(lambda x: x * x).batch(2)
        >>> [batch.numpy().tolist() for batch in dataset]
        [[0, 1], [4, 9], [16]]
    """

    # What a node provides: _spec or element_spec, _elements(), _size() and, where it only chooses rows, _rows().

    _nest_atom = True
    _spec = None
    _set_options = None

    @property
    def element_spec(self):
        """The nest of specs of an element."""
        return self._spec

    @property
    def _type_spec(self):
        return DatasetSpec(self.element_spec)

    def _elements(self):
        raise NotImplementedError

    def _rows(self):
        """(arrays, a fresh iterator of row numbers) where every element is a row of `arrays`, else None."""
        return None

    def _size(self):
        return UNKNOWN_CARDINALITY

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

    def cardinality(self, name=None):
        """The number of elements as an int64 tensor; -1 when infinite, -2 when unknown."""
        return convert_to_tensor(self._size(), int64)

    def as_numpy_iterator(self):
        """An iterator over elements with NumPy values in place of tensors.

        Raises:
            TypeError: elements hold datasets or other values that have no `numpy()`.
        """
        for spec in nest.flatten(self.element_spec):
            if isinstance(spec, DatasetSpec):
                raise TypeError(
                    "`tf.data.Dataset.as_numpy_iterator()` is not supported for datasets that produce values of type "
                    f"{spec.value_type}"
                )
        return NumpyIterator(self)

    def get_single_element(self, name=None):
        """The only element; raises InvalidArgumentError where there is not exactly one."""
        found = list(itertools.islice(self._elements(), 2))
        if len(found) != 1:
            raise invalid("get_single_element", "Dataset was empty." if not found else "Dataset had more than one element.")
        return packer(self.element_spec)(found[0])

    def reduce(self, initial_state, reduce_func, name=None):
        """The state after `state = reduce_func(state, element)` for every element.

        Raises:
            InvalidArgumentError: the function gives a state of another structure.
            TypeError: it gives another dtype.
        """
        state = to_tensors(initial_state)
        specs = spec_of(state)
        dtypes = [getattr(spec, "dtype", None) for spec in nest.flatten(specs)]
        for element in self:
            state = to_tensors(reduce_func(state, element))
            found = spec_of(state)
            if len(nest.flatten(found)) != len(dtypes):
                raise invalid("reduce", f"The initial state is {specs}, but `reduce_func` returned {found}")
            if [getattr(spec, "dtype", None) for spec in nest.flatten(found)] != dtypes:
                raise TypeError(
                    f"The element types for the new state must match the initial state. Expected {specs}; got {found}."
                )
        return state

    # Sources

    @staticmethod
    def from_tensors(tensors, name=None):
        """A dataset of one element."""
        return sources.TensorDataset(tensors)

    @staticmethod
    def from_tensor_slices(tensors, name=None):
        """A dataset of the slices along the first axis of every tensor in a nest."""
        return sources.TensorSliceDataset(tensors)

    @staticmethod
    def range(*args, output_type=int64, name=None):
        """The integers of Python's `range(*args)`, as int64 by default."""
        return sources.RangeDataset(*args, output_type=output_type)

    @staticmethod
    def from_generator(generator, output_types=None, output_shapes=None, args=None, output_signature=None, name=None):
        """What `generator(*args)` yields, converted to the types of a nest of specs.

        Args:
            generator: a callable that returns something to iterate over, once for each iteration of the dataset.
            output_types: a nest of dtypes, where there is no `output_signature`.
            output_shapes: a nest of shapes to go with them; unknown where it is None.
            args: values that become tensors, whose NumPy values the generator is called with.
            output_signature: a nest of specs.

        Raises:
            TypeError: `generator` is no callable, or nothing says what it yields.
            InvalidArgumentError: (while iterating) an element does not fit its spec.
        """
        return sources.from_generator(generator, output_types, output_shapes, args, output_signature)

    @staticmethod
    def zip(*args, datasets=None, name=None):
        """Elements are nests of the datasets' elements; the shortest one ends it."""
        if datasets is not None:
            args = (datasets,)
        if not args:
            raise TypeError("Must pass at least one dataset to `zip`.")
        return sources.ZipDataset(args[0] if len(args) == 1 else args)

    # Transformations

    def map(
        self,
        map_func,
        num_parallel_calls=None,
        deterministic=None,
        synchronous=None,
        use_unbounded_threadpool=False,
        name=None,
    ):
        """The results of `map_func` on each element (on its parts, where an element is a tuple)."""
        return transforms.MapDataset(self, map_func)

    def flat_map(self, map_func, name=None):
        """The elements of the datasets that `map_func` returns, one dataset after the other."""
        return transforms.FlatMapDataset(self, map_func)

    def filter(self, predicate, name=None):
        """The elements for which `predicate` is true."""
        return transforms.FilterDataset(self, predicate)

    def batch(self, batch_size, drop_remainder=False, num_parallel_calls=None, deterministic=None, name=None):
        """Consecutive elements stacked; the last batch is smaller unless `drop_remainder`."""
        size = as_int(batch_size)
        if size < 1:
            raise invalid("batch", f"Batch size must be greater than zero, got {size}")
        return transforms.BatchDataset(self, size, bool(drop_remainder))

    def unbatch(self, name=None):
        """The slices along the first axis of each element."""
        return transforms.UnbatchDataset(self)

    def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True, name=None):
        """Elements in random order: each is drawn from a buffer of the next `buffer_size` ones."""
        size = as_int(buffer_size)
        if size < 1 and size != UNKNOWN_CARDINALITY:
            raise invalid("shuffle", f"buffer_size must be greater than zero or UNKNOWN_CARDINALITY, got {size}")
        return shuffle.ShuffleDataset(self, size if size > 0 else sys.maxsize, seed, reshuffle_each_iteration is not False)

    def repeat(self, count=None, name=None):
        """The elements `count` times over; for ever where it is None or negative."""
        return transforms.RepeatDataset(self, -1 if count is None else as_int(count))

    def take(self, count, name=None):
        """At most the first `count` elements; all where it is negative."""
        return transforms.TakeDataset(self, as_int(count))

    def skip(self, count, name=None):
        """All but the first `count` elements; none where it is negative."""
        return transforms.SkipDataset(self, as_int(count))

    def shard(self, num_shards, index, name=None):
        """Every `num_shards`-th element, beginning with element `index`."""
        num_shards, index = as_int(num_shards), as_int(index)
        if num_shards < 1:
            raise invalid("shard", f"Number of shards must be greater than zero (currently num_shards = {num_shards}).")
        if not 0 <= index < num_shards:
            raise invalid("shard", f"Index must be between 0 and {num_shards - 1} (currently index = {index}).")
        return transforms.ShardDataset(self, num_shards, index)

    def concatenate(self, dataset, name=None):
        """The elements of this dataset, then those of another with the same structure."""
        return transforms.ConcatenateDataset(self, dataset)

    def enumerate(self, start=0, name=None):
        """Pairs (index, element)."""
        return Dataset.zip((sources.CountDataset(start), self))

    def prefetch(self, buffer_size, name=None):
        """The same elements."""
        size = as_int(buffer_size)
        if size < AUTOTUNE:
            raise invalid("prefetch", f"buffer_size must be >= 0 or set buffer_size to be -1 for auto-tuning, got {size}")
        return transforms.PrefetchDataset(self)

    def cache(self, filename="", name=None):
        """The same elements, computed in the first complete iteration and kept in memory."""
        if filename:
            raise NotImplementedError("Dataset.cache keeps elements in memory only; a file name is not supported yet.")
        return transforms.CacheDataset(self)

    def with_options(self, options, name=None):
        """The same elements; options that concern speed are remembered only."""
        if not isinstance(options, Options):
            raise TypeError(f"`options` must be a tf.data.Options, got {type(options)}.")
        same = transforms.OptionsDataset(self)
        same._set_options = self.options().merge(options)
        return same

    def options(self):
        """The options set so far."""
        return self._set_options or Options()

    def apply(self, transformation_func, name=None):
        """`transformation_func(self)`."""
        result = transformation_func(self)
        if not isinstance(result, Dataset):
            raise TypeError(f"`transformation_func` must return a `tf.data.Dataset` object. Got {type(result)}.")
        return result

    def __repr__(self):
        return f"<_{type(self).__name__} element_spec={self.element_spec}>"


class UnaryDataset(Dataset):
    """A node with one input dataset, whose spec and size are the input's unless it says otherwise."""

    def __init__(self, source):
        self._source = source
        self._set_options = source._set_options

    @property
    def element_spec(self):
        """The nest of specs of an element."""
        return self._source.element_spec

    def _size(self):
        return self._source._size()


class Iterator:
    """One pass over a dataset."""

    _nest_atom = True

    def __init__(self, dataset):
        self._dataset = dataset
        self._stream = dataset._elements()
        self._pack = None

    @property
    def element_spec(self):
        """The nest of specs of an element."""
        return self._dataset.element_spec

    def __iter__(self):
        return self

    def __next__(self):
        values = next(self._stream)
        if self._pack is None:
            self._pack = packer(self._dataset.element_spec)
        return self._pack(values)

    def get_next(self, name=None):
        """The next element; raises OutOfRangeError at the end."""
        try:
            return next(self)
        except StopIteration:
            raise OutOfRangeError(None, None, "End of sequence") from None

    def get_next_as_optional(self):
        """An `Optional` of the next element, empty at the end."""
        try:
            return Optional.from_value(next(self))
        except StopIteration:
            return Optional.empty(self.element_spec)


class NumpyIterator:
    """One pass over a dataset, with NumPy values in place of tensors."""

    def __init__(self, dataset):
        self._iterator = iter(dataset)

    def __iter__(self):
        return self

    def __next__(self):
        return nest.map_structure(
            lambda x: x.numpy() if isinstance(x, Tensor) or hasattr(x, "numpy") else x, next(self._iterator)
        )


class DatasetSpec(TypeSpec):
    """The type of a `Dataset`.

    Args:
        element_spec: the nest of specs of its elements.
        dataset_shape: the shape of a tensor of datasets; only scalars exist here.
    """

    __slots__ = ("_dataset_shape", "_element_spec")
    _nest_atom = True

    def __init__(self, element_spec, dataset_shape=()):
        self._element_spec = element_spec
        self._dataset_shape = TensorShape(dataset_shape)

    value_type = property(lambda self: Dataset)
    element_spec = property(lambda self: self._element_spec, doc="The nest of specs of the elements.")

    def _serialize(self):
        return (self._element_spec, self._dataset_shape)


# The nodes derive from the classes above.
from tapeflow.data import shuffle, sources, transforms  # noqa: E402
