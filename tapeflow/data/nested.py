"""Datasets of datasets: `flat_map`, `interleave`, `window`, and what is drawn from several datasets at once."""

import collections
import threading

from tapeflow.base import nest
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import invalid
from tapeflow.base.specs import TensorSpec
from tapeflow.data.ahead import Ahead
from tapeflow.data.dataset import (
    AUTOTUNE,
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    Dataset,
    DatasetSpec,
    UnaryDataset,
    as_int,
    constructor,
    method,
)
from tapeflow.data.function import ElementFunction
from tapeflow.data.maps import CPUS
from tapeflow.data.stream import Joined, Plain, Stream


class FlatMapDataset(UnaryDataset):
    """The elements of the datasets that a function gives, `cycle` datasets by turns."""

    def __init__(self, source, function, name):
        super().__init__(source)
        self._function = ElementFunction(function, source.element_spec, name)
        if not isinstance(self._function.spec, DatasetSpec):
            raise TypeError(f"The `map_func` argument must return a `Dataset` object. Got {self._function.spec!r}.")
        self._spec = self._function.spec.element_spec

    def _elements(self, run):
        return FlatMapStream(self._source._stream(run), self._function, run)

    def _size(self):
        return UNKNOWN_CARDINALITY


class DatasetStreams(Stream):
    """Fresh streams of the datasets that a function gives for the elements of a stream."""

    __slots__ = ("_function", "_position", "_run", "_source")

    def __init__(self, source, function, run):
        self._source, self._function, self._run = source, function.started(run), run
        self._position = -1

    def __next__(self):
        values = next(self._source)
        self._position += 1
        (dataset,) = self._function.at(self._position, values)
        return dataset._stream(self._run)


class FlatMapStream(Joined):
    """The elements of the datasets that a function gives, one dataset after the other."""

    __slots__ = ("_streams",)

    def __init__(self, source, function, run):
        super().__init__()
        self._streams = DatasetStreams(source, function, run)

    def _open(self):
        return next(self._streams)


@method("flat_map")
def flat_map(self, map_func, name=None):
    """The elements of the datasets that `map_func` gives, one dataset after the other.

    Raises:
        TypeError: `map_func` gives no dataset.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.from_tensor_slices([[1, 2], [3, 4]])
        >>> [int(x) for x in dataset.flat_map(tf.data.Dataset.from_tensor_slices)]
        [1, 2, 3, 4]
    """
    return FlatMapDataset(self, map_func, "Dataset.flat_map()")


class InterleaveDataset(FlatMapDataset):
    """The elements of the datasets that a function gives, some datasets by turns."""

    def __init__(self, source, function, cycle_length, block_length, threads):
        super().__init__(source, function, "Dataset.interleave()")
        self._cycle, self._block, self._threads = cycle_length, block_length, threads

    def _elements(self, run):
        streams = DatasetStreams(self._source._stream(run), self._function, run)
        if not self._threads:
            return InterleaveStream(streams, self._cycle, self._block)
        threads = self._cycle if self._threads == AUTOTUNE else run.threads(self._threads, self._threads)
        return ParallelInterleaveStream(streams, self._cycle, self._block, min(threads, self._cycle))


class InterleaveStream(Stream):
    """The elements of some streams by turns, `block` of each; an ended one makes room for the next."""

    __slots__ = ("_at", "_block", "_done", "_open", "_streams", "_waiting")

    def __init__(self, streams, cycle, block):
        self._streams, self._block = streams, block
        self._waiting = collections.deque()  # streams that were opened before their turn
        self._open = [None] * cycle
        self._at = self._done = 0  # whose turn it is, and how many of its block it has given

    def __next__(self):
        while self._streams is not None or self._waiting or any(stream is not None for stream in self._open):
            if self._open[self._at] is None:
                self._refill(self._at)
            stream = self._open[self._at]
            if stream is not None:
                self._done += 1
                try:
                    return next(stream)
                except StopIteration:
                    self._open[self._at] = None
                    self._done = self._block
                finally:
                    if self._done >= self._block:
                        self._turn()
            else:
                self._turn()
        raise StopIteration

    def _turn(self):
        self._at, self._done = (self._at + 1) % len(self._open), 0

    def _refill(self, place):
        if self._waiting:
            self._open[place] = self._waiting.popleft()
        elif self._streams is not None:
            try:
                self._open[place] = next(self._streams)
            except StopIteration:
                self._streams = None


class ParallelInterleaveStream(InterleaveStream):
    """The same, where a thread for each stream computes its next elements ahead; as many streams wait to take a turn."""

    __slots__ = ("_limit",)

    def __init__(self, streams, cycle, block, threads):
        super().__init__(streams, cycle, block)
        self._limit = threading.Semaphore(threads)

    def __next__(self):
        if self._streams is not None:
            self._fill()
        return super().__next__()

    def _fill(self):
        missing = 2 * len(self._open) - len(self._waiting) - sum(stream is not None for stream in self._open)
        for _ in range(missing):
            try:
                stream = Ahead(LimitedStream(next(self._streams), self._limit), None, 1, self._block)
                stream.start()
            except StopIteration:
                self._streams = None
                return
            except Exception as error:
                stream = FailedStream(error)
            self._waiting.append(stream)


class FailedStream(Stream):
    """An error, in the place of a stream that could not be opened; then the end."""

    __slots__ = ("_error",)

    def __init__(self, error):
        self._error = error

    def __next__(self):
        error, self._error = self._error, None
        raise error or StopIteration


class LimitedStream(Stream):
    """A stream that computes its elements only while it is one of the few that may."""

    __slots__ = ("_limit", "_source")

    def __init__(self, source, limit):
        self._source, self._limit = source, limit

    def __next__(self):
        with self._limit:
            return next(self._source)


@method("interleave")
def interleave(self, map_func, cycle_length=None, block_length=None, num_parallel_calls=None, deterministic=None, name=None):
    """The elements of the datasets that `map_func` gives, from several datasets by turns.

    Args:
        map_func: a function of an element that gives a dataset.
        cycle_length: how many datasets are open at once; the number of processors by default.
        block_length: how many elements come from one at its turn, 1 by default.
        num_parallel_calls: how many datasets are read at the same time, by threads.
        deterministic: accepted; the order is that of the turns.

    Raises:
        TypeError: `map_func` gives no dataset.
        InvalidArgumentError: a length is not positive.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(1, 4)
        >>> repeated = dataset.interleave(lambda x: tf.data.Dataset.from_tensors(x).repeat(3), cycle_length=2, block_length=2)
        >>> [int(x) for x in repeated]
        [1, 1, 2, 2, 1, 2, 3, 3, 3]
    """
    cycle = AUTOTUNE if cycle_length is None else as_int(cycle_length)
    block = 1 if block_length is None else as_int(block_length)
    if cycle < 1 and cycle != AUTOTUNE:
        raise invalid("interleave", f"`cycle_length` must be > 0, got {cycle}")
    if block < 1:
        raise invalid("interleave", f"`block_length` must be > 0, got {block}")
    threads = 0 if num_parallel_calls is None else as_int(num_parallel_calls)
    return InterleaveDataset(self, map_func, CPUS if cycle == AUTOTUNE else cycle, block, threads)


# Windows


class WindowDataset(UnaryDataset):
    """Nests of datasets with a few consecutive elements each."""

    def __init__(self, source, size, shift, stride, drop):
        super().__init__(source)
        self._window = (size, shift, stride, drop)
        self._spec = nest.map_structure(lambda spec: DatasetSpec(spec), source.element_spec)
        self._flat_specs = nest.flatten(source.element_spec)

    def _elements(self, run):
        return WindowStream(self._source._stream(run), self._flat_specs, *self._window)

    def _size(self):
        count = self._source._size()
        size, shift, stride, drop = self._window
        if count < 0:
            return count
        if drop:
            return max(0, (count - (size - 1) * stride - 1) // shift + 1) if count > (size - 1) * stride else 0
        return -(-count // shift)


class WindowStream(Stream):
    """Windows over a stream: `size` elements, `stride` apart; the next window begins `shift` elements later.

    The error of an element is that of every window which it is in.
    """

    __slots__ = ("_buffer", "_drop", "_pending", "_shift", "_size", "_source", "_span", "_specs", "_stride")

    def __init__(self, source, specs, size, shift, stride, drop):
        self._source, self._specs = source, specs
        self._size, self._shift, self._stride, self._drop = size, shift, stride, drop
        self._span = (size - 1) * stride + 1
        self._buffer = []
        self._pending = 0  # elements to pass over, where the shift is larger than the window

    def __next__(self):
        if self._pending and self._source is not None:
            pending, self._pending = self._pending, 0
            for _ in range(pending):
                if self._source is not None:
                    self._take()
        taken = True
        while taken and len(self._buffer) < self._span and self._source is not None:
            taken = self._take()
            if taken:
                self._buffer.append(taken)
        if not self._buffer or (self._drop and len(self._buffer) < self._span):
            self._source, self._buffer = None, []
            raise StopIteration
        window = self._buffer[: self._span : self._stride]
        self._pending = max(0, self._shift - len(self._buffer))
        self._buffer = self._buffer[self._shift :]
        for _, error in window:
            if error is not None:
                raise error
        parts = zip(*[values for values, _ in window], strict=True)
        return [ListDataset([[leaf] for leaf in part], spec) for part, spec in zip(parts, self._specs, strict=True)]

    def _take(self):
        """(element, None) or (None, its error) of the source, or None where it has ended."""
        try:
            return next(self._source), None
        except StopIteration:
            self._source = None
            return None
        except Exception as error:
            return None, error


class ListDataset(Dataset):
    """Elements that are there already, as lists of leaves."""

    def __init__(self, elements, spec):
        self._items = elements
        self._spec = spec

    def _elements(self, run):
        return Plain(self._items)

    def _size(self):
        return len(self._items)


@method("window")
def window(self, size, shift=None, stride=1, drop_remainder=False, name=None):
    """Nests of datasets, each a window of consecutive elements.

    Args:
        size: how many elements a window has.
        shift: how many elements further the next window begins; `size` by default.
        stride: the distance of the elements in a window.
        drop_remainder: whether the last windows are left out where they are smaller.

    Raises:
        InvalidArgumentError: one of the numbers is not positive.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(5).window(3, shift=1, drop_remainder=True)
        >>> [[int(x) for x in part] for part in dataset]
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    """
    numbers = {"size": as_int(size), "shift": as_int(size if shift is None else shift), "stride": as_int(stride)}
    for what, number in numbers.items():
        if number < 1:
            raise invalid("window", f"Window {what} must be greater than zero, got {number}.")
    return WindowDataset(self, *numbers.values(), bool(drop_remainder))


# Several datasets at once


class DirectedInterleaveDataset(Dataset):
    """Elements of several datasets; another dataset says from which the next one comes."""

    def __init__(self, choices, datasets, stop_on_empty):
        self._choices, self._datasets, self._stop = choices, list(datasets), stop_on_empty
        self._inputs = (choices, *datasets)
        spec = datasets[0].element_spec
        for i, dataset in enumerate(datasets[1:]):
            try:
                nest.assert_same_structure(spec, dataset.element_spec)
                spec = nest.map_structure(lambda a, b: a.most_specific_compatible_type(b), spec, dataset.element_spec)
            except (TypeError, ValueError) as error:
                raise TypeError(
                    "Invalid `datasets`. `datasets` must have compatible element specs.\n Dataset 0 "
                    f"element_spec={datasets[0].element_spec}.\nDataset {i + 1} element_spec={dataset.element_spec}."
                ) from error
        self._spec = spec

    def _elements(self, run):
        streams = [dataset._stream(run.within(i)) for i, dataset in enumerate(self._datasets)]
        return DirectedStream(self._choices._stream(run), streams, self._stop)

    def _size(self):
        sizes = [dataset._size() for dataset in self._datasets]
        return INFINITE_CARDINALITY if INFINITE_CARDINALITY in sizes else UNKNOWN_CARDINALITY  # as TensorFlow has it


class DirectedStream(Stream):
    """Elements of several streams, as a stream of their numbers directs."""

    __slots__ = ("_choices", "_stop", "_streams")

    def __init__(self, choices, streams, stop):
        self._choices, self._streams, self._stop = choices, streams, stop

    def __next__(self):
        while any(stream is not None for stream in self._streams):
            choice = int(next(self._choices)[0])
            if not 0 <= choice < len(self._streams):
                raise invalid("DirectedInterleave", f"Selector index out of range: {choice} >= {len(self._streams)}")
            if self._streams[choice] is None:
                continue
            try:
                return next(self._streams[choice])
            except StopIteration:
                self._streams = [None] * len(self._streams) if self._stop else self._without(choice)
        raise StopIteration

    def _without(self, choice):
        return [None if i == choice else stream for i, stream in enumerate(self._streams)]


@constructor("choose_from_datasets")
def choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset=True):
    """Elements of several datasets; the elements of `choice_dataset` say from which the next one comes.

    Args:
        datasets: a list of datasets of one structure.
        choice_dataset: a dataset of int64 scalars.
        stop_on_empty_dataset: whether it ends with the first dataset that ends, or passes over ended ones.

    Raises:
        TypeError: the structures differ, or `choice_dataset` has no int64 scalars.
        ValueError: there is no dataset.

    Example:
        >>> import tapeflow as tf
        >>> datasets = [tf.data.Dataset.from_tensors(word).repeat() for word in ("a", "b", "c")]
        >>> choice = tf.data.Dataset.range(3).repeat(2)
        >>> [x.numpy().decode() for x in tf.data.Dataset.choose_from_datasets(datasets, choice)]
        ['a', 'b', 'c', 'a', 'b', 'c']
    """
    if not datasets:
        raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
    if not isinstance(choice_dataset, Dataset):
        raise TypeError(
            f"Invalid `choice_dataset`. `choice_dataset` should be a `tf.data.Dataset` but is {type(choice_dataset)}."
        )
    spec = choice_dataset.element_spec
    if not (isinstance(spec, TensorSpec) and spec.is_compatible_with(TensorSpec([], int64))):
        raise TypeError(
            f"Invalid `choice_dataset`. Elements of `choice_dataset` must be scalar `tf.int64` tensors but are {spec}."
        )
    return DirectedInterleaveDataset(choice_dataset, datasets, stop_on_empty_dataset)
