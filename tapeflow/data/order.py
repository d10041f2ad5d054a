"""Datasets that choose among the elements of others: the first, every n-th, several times over, one dataset after the other."""

import itertools

from tapeflow.base import nest
from tapeflow.base.errors import FailedPreconditionError, invalid
from tapeflow.base.log import log
from tapeflow.data.dataset import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, UnaryDataset, as_int, method
from tapeflow.data.shuffle import ShuffleDataset
from tapeflow.data.stream import Stream
from tapeflow.data.structure import hashable


class _Sliced(UnaryDataset):
    """The elements, or their row numbers, of `itertools.islice`."""

    def _bounds(self):
        raise NotImplementedError

    def _in_rows(self):
        return self._source._in_rows()

    def _rows(self, run):
        table, numbers = self._source._rows(run)
        return table, itertools.islice(numbers, *self._bounds())

    def _elements(self, run):
        return SlicedStream(self._source._stream(run), *self._bounds())

    def _size(self):
        size = self._source._size()
        start, stop, step = self._bounds()
        if size == INFINITE_CARDINALITY and stop is not None:
            return len(range(start, stop, step))
        return size if size < 0 else len(range(size)[start:stop:step])


class SlicedStream(Stream):
    """Elements `start`, `start + step`, ... before `stop` of a stream, which is let go at the end."""

    __slots__ = ("_before", "_left", "_source", "_step")

    def __init__(self, source, start, stop, step):
        self._source, self._step = source, step
        self._before = start  # elements to pass over before the next one
        self._left = -1 if stop is None else len(range(start, stop, step))

    def __next__(self):
        if not self._left:
            self._source = None
        if self._source is None:
            raise StopIteration
        if self._before:
            self._source.skip(self._before)
            self._before = 0
        values = next(self._source)  # an error counts for nothing, as in TensorFlow
        self._before = self._step - 1
        self._left -= 1
        return values

    def skip(self, count):
        """Pass over `count` elements, or as many as there are."""
        if self._left >= 0:
            count = min(count, self._left)
        if count and self._source is not None:
            if self._before:
                self._source.skip(self._before)
                self._before = 0
            self._source.skip((count - 1) * self._step + 1)
            self._before = self._step - 1
            self._left -= count


class TakeDataset(_Sliced):
    """The first elements."""

    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _bounds(self):
        return 0, None if self._count < 0 else self._count, 1


@method("take")
def take(self, count, name=None):
    """At most the first `count` elements; all where it is negative.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(10).take(3)]
        [0, 1, 2]
    """
    return TakeDataset(self, as_int(count))


class SkipDataset(_Sliced):
    """The elements after the first."""

    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _bounds(self):
        return (0, 0, 1) if self._count < 0 else (self._count, None, 1)

    def _size(self):
        size = self._source._size()
        return size if size == INFINITE_CARDINALITY else super()._size()  # also where all is left out, as in TensorFlow


@method("skip")
def skip(self, count, name=None):
    """All but the first `count` elements; none where it is negative.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(5).skip(3)]
        [3, 4]
    """
    return SkipDataset(self, as_int(count))


class ShardDataset(_Sliced):
    """Every n-th element."""

    def __init__(self, source, num_shards, index):
        super().__init__(source)
        self._num_shards, self._index = num_shards, index

    def _bounds(self):
        return self._index, None, self._num_shards


@method("shard")
def shard(self, num_shards, index, name=None):
    """Every `num_shards`-th element, beginning with element `index`.

    Raises:
        InvalidArgumentError: the index is not in [0, num_shards).

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(10).shard(num_shards=3, index=1)]
        [1, 4, 7]
    """
    num_shards, index = as_int(num_shards), as_int(index)
    if num_shards < 1:
        raise invalid("shard", f"Number of shards must be greater than zero (currently num_shards = {num_shards}).")
    if not 0 <= index < num_shards:
        raise invalid("shard", f"Index must be between 0 and {num_shards - 1} (currently index = {index}).")
    return ShardDataset(self, num_shards, index)


# Several times over, one after the other


class RepeatDataset(UnaryDataset):
    """The elements several times over; for ever where the count is negative."""

    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _in_rows(self):
        return self._count != 0 and self._source._in_rows()

    def _rows(self, run):
        table, numbers = self._source._rows(run)
        return table, self._numbers(numbers, run)

    def _numbers(self, numbers, run):
        for epoch in itertools.count(1):
            empty = True
            for number in numbers:
                empty = False
                yield number
            if epoch == self._count or (empty and self._count < 0):
                break
            numbers = self._source._rows(run)[1]
        self._after(run)

    def _after(self, run):
        """What TensorFlow does at the end: it begins another pass, for which shuffles take seeds; not where it fuses the two."""
        if self._count > 0 and not isinstance(self._source, ShuffleDataset):
            self._source._stream(run)

    def _elements(self, run):
        return RepeatStream(self._source, self._count, run, lambda: self._after(run))

    def _size(self):
        size = self._source._size()
        if size == 0 or self._count == 0:
            return 0
        if self._count < 0:
            return INFINITE_CARDINALITY
        return size if size < 0 else size * self._count


class RepeatStream(Stream):
    """The elements of fresh streams of a dataset, one stream after the other."""

    __slots__ = ("_after", "_dataset", "_empty", "_left", "_run", "_source")

    def __init__(self, dataset, count, run, after):
        self._dataset, self._left, self._run, self._after = dataset, count, run, after
        self._source = None
        self._empty = False

    def __next__(self):
        while True:
            if self._source is None:
                if not self._left or (self._empty and self._left < 0):
                    after, self._after = self._after, None
                    if after is not None:
                        after()
                    raise StopIteration
                self._source = self._dataset._stream(self._run)
                self._left -= 1
                self._empty = True
            try:
                values = next(self._source)
            except StopIteration:
                self._source = None
                continue
            self._empty = False
            return values


@method("repeat")
def repeat(self, count=None, name=None):
    """The elements `count` times over; for ever where it is None or negative.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(2).repeat(3)]
        [0, 1, 0, 1, 0, 1]
    """
    return RepeatDataset(self, -1 if count is None else as_int(count))


class ConcatenateDataset(UnaryDataset):
    """The elements of two datasets, one after the other."""

    def __init__(self, source, other):
        super().__init__(source)
        self._inputs = (source, other)
        self._spec = common_spec(source.element_spec, other.element_spec)

    def _elements(self, run):
        return ChainedStream(
            [lambda i=i, dataset=dataset: dataset._stream(run.within(i)) for i, dataset in enumerate(self._inputs)]
        )

    def _size(self):
        sizes = [dataset._size() for dataset in self._inputs]
        if INFINITE_CARDINALITY in sizes:
            return INFINITE_CARDINALITY
        return UNKNOWN_CARDINALITY if UNKNOWN_CARDINALITY in sizes else sum(sizes)


def common_spec(first, second):
    """The nest of specs that describe the elements of both datasets."""
    try:
        nest.assert_same_structure(first, second)
        return nest.map_structure(lambda a, b: a.most_specific_compatible_type(b), first, second)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Incompatible dataset elements:\n  {first} vs.   {second}") from error


class ChainedStream(Stream):
    """The elements of the streams that some functions make, one stream after the other."""

    __slots__ = ("_makers", "_source")

    def __init__(self, makers):
        self._makers = iter(makers)
        self._source = next(self._makers)()

    def __next__(self):
        while self._source is not None:
            try:
                return next(self._source)
            except StopIteration:
                make = next(self._makers, None)
                self._source = None if make is None else make()
        raise StopIteration


@method("concatenate")
def concatenate(self, dataset, name=None):
    """The elements of this dataset, then those of another with the same structure.

    Raises:
        TypeError: the structures or dtypes differ.

    Example:
        >>> import tapeflow as tf
        >>> a, b = tf.data.Dataset.range(2), tf.data.Dataset.range(5, 7)
        >>> [int(x) for x in a.concatenate(b)]
        [0, 1, 5, 6]
    """
    return ConcatenateDataset(self, dataset)


# By what they are


class UniqueDataset(UnaryDataset):
    """The elements that have not come before."""

    def __init__(self, source):
        super().__init__(source)
        for spec in nest.flatten(source.element_spec):
            if getattr(spec, "dtype", None) is None or spec.dtype.name not in ("int32", "int64", "string"):
                raise TypeError(
                    "`tf.data.Dataset.unique` only supports inputs with a single `tf.int32`, `tf.int64`, or `tf.string` "
                    f"component: {source.element_spec}"
                )

    def _elements(self, run):
        return UniqueStream(self._source._stream(run))

    def _size(self):
        return UNKNOWN_CARDINALITY


class UniqueStream(Stream):
    """The elements of a stream that have not come before."""

    __slots__ = ("_seen", "_source")

    def __init__(self, source):
        self._source = source
        self._seen = set()

    def __next__(self):
        while True:
            values = next(self._source)
            key = tuple(map(hashable, values))
            if key not in self._seen:
                self._seen.add(key)
                return values


@method("unique")
def unique(self, name=None):
    """The elements without repetitions, each where it first comes.

    Raises:
        TypeError: the elements are no int32, int64 or string tensors.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.from_tensor_slices([1, 37, 2, 37, 2, 1]).unique()]
        [1, 37, 2]
    """
    return UniqueDataset(self)


class IgnoreErrorsDataset(UnaryDataset):
    """The elements that come without an error."""

    def __init__(self, source, log_warning):
        super().__init__(source)
        self._log_warning = log_warning

    def _elements(self, run):
        return IgnoreErrorsStream(self._source._stream(run), self._log_warning)

    def _size(self):
        return UNKNOWN_CARDINALITY


class IgnoreErrorsStream(Stream):
    """The elements of a stream that come without an error."""

    __slots__ = ("_log_warning", "_source")

    def __init__(self, source, log_warning):
        self._source, self._log_warning = source, log_warning

    def __next__(self):
        while True:
            try:
                return next(self._source)
            except StopIteration:
                raise
            except Exception as error:
                if self._log_warning:
                    log.warning("Error raised with error message %s", error)


@method("ignore_errors")
def ignore_errors(self, log_warning=False, name=None):
    """The elements whose computation raises no error.

    Args:
        log_warning: whether each error that is passed over is logged.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.from_tensor_slices([1.0, 0.0, 4.0])
        >>> dataset = dataset.map(lambda x: tf.debugging.check_numerics(1.0 / x, "inverse")).ignore_errors()
        >>> [float(x) for x in dataset]
        [1.0, 0.25]
    """
    return IgnoreErrorsDataset(self, log_warning)


class AssertCardinalityDataset(UnaryDataset):
    """The elements, of which there must be a certain number."""

    def __init__(self, source, count):
        super().__init__(source)
        self._count = count

    def _elements(self, run):
        return CountedStream(self._source._stream(run), self._count)

    def _size(self):
        return self._count


class CountedStream(Stream):
    """The elements of a stream, counted."""

    __slots__ = ("_given", "_source", "_wanted")

    def __init__(self, source, wanted):
        self._source, self._wanted, self._given = source, wanted, 0

    def __next__(self):
        try:
            values = next(self._source)
        except StopIteration:
            if self._wanted not in (self._given, UNKNOWN_CARDINALITY):
                raise self._error(f"contained only {_elements(self._given)}") from None
            raise
        self._given += 1
        if 0 <= self._wanted < self._given:
            raise self._error(f"contained at least {_elements(self._given)}")
        return values

    def _error(self, found):
        wanted = "an infinite number of elements" if self._wanted == INFINITE_CARDINALITY else _elements(self._wanted)
        return FailedPreconditionError(None, None, f"Input dataset was expected to contain {wanted} but {found}.")


def _elements(count):
    return f"{count} element" + ("" if count == 1 else "s")


@method("get_single_element")
def get_single_element(self, name=None):
    """The only element.

    Raises:
        InvalidArgumentError: there is not exactly one.

    Example:
        >>> import tapeflow as tf
        >>> int(tf.data.Dataset.range(5, 6).get_single_element())
        5
    """
    iterator = iter(self)
    element = next(iterator, _MISSING)
    if element is _MISSING:
        raise invalid("DatasetToSingleElement", "Dataset was empty.")
    if next(iterator, _MISSING) is not _MISSING:
        raise invalid("DatasetToSingleElement", "Dataset had more than one element.")
    return element


_MISSING = object()
