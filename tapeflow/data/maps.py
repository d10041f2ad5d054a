"""Functions on elements: `map`, `filter`, `take_while`, `scan`, `reduce`; and `prefetch`."""

import os

from tapeflow.base import nest
from tapeflow.base.dtypes import bool_
from tapeflow.base.errors import invalid
from tapeflow.base.specs import TensorSpec
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.state import state
from tapeflow.core.tensor import wrap
from tapeflow.data.ahead import Ahead, WhenSlow
from tapeflow.data.dataset import AUTOTUNE, UNKNOWN_CARDINALITY, UnaryDataset, as_int, method
from tapeflow.data.function import ElementFunction
from tapeflow.data.rows import MappedTable, kept_rows
from tapeflow.data.stream import Run, Stream
from tapeflow.data.structure import flat_values, packer, small, spec_of, to_tensors
from tapeflow.data.traced import component_values, flat_specs, packed
from tapeflow.trace.structure import flatten

CPUS = os.cpu_count() or 1
AUTOTUNED_BUFFER = 2  # elements that `prefetch(AUTOTUNE)` keeps ready


class MapDataset(UnaryDataset):
    """The results of a function."""

    def __init__(self, source, function, threads=0, ordered=None):
        super().__init__(source)
        self._function = ElementFunction(function, source.element_spec, "Dataset.map()")
        self._threads = threads
        self._ordered = ordered
        self._vectorized = self._function.vectorized
        self._spec = self._function.spec

    def _in_rows(self):
        # an error is to come where its element would, not where its row is asked for
        return self._vectorized and self._function.total and self._source._in_rows()

    def _rows(self, run):
        table, numbers = self._source._rows(run)
        return MappedTable(table, self._function), numbers

    def _elements(self, run):
        source = self._source._stream(run)
        function = self._function.started(run)
        threads, automatic = self._threads, self._threads == AUTOTUNE
        if automatic:
            threads = CPUS if function.waits else 0
        if not threads:
            return MapStream(source, function)
        threads = run.threads(threads, threads)
        ordered = run.ordered if self._ordered is None else self._ordered

        def ahead(given):
            return Ahead(source, lambda number, values: function.at(given + number, values), threads, threads, ordered)

        return WhenSlow(MapStream(source, function), ahead) if automatic else ahead(0)


class MapStream(Stream):
    """The results of a function on the elements of a stream."""

    __slots__ = ("_function", "_position", "_source")

    def __init__(self, source, function):
        self._source, self._function = source, function
        self._position = -1

    def __next__(self):
        values = next(self._source)
        self._position += 1
        return self._function.at(self._position, values)

    def skip(self, count):
        """Pass over `count` elements, or as many as there are; the function runs on them only where that shows."""
        if self._function.pure and self._function.total:
            self._position += count
            self._source.skip(count)
        else:
            super().skip(count)


@method("map")
def map_(
    self,
    map_func,
    num_parallel_calls=None,
    deterministic=None,
    synchronous=None,
    use_unbounded_threadpool=False,
    name=None,
):
    """The results of a function on each element.

    The function is traced once, as `tf.function` does it. Where it is made of ops that give the same for many elements at
    once, and the elements are slices or go into a batch, it runs on many at once.

    Args:
        map_func: a function of an element, or of the parts of an element that is a tuple.
        num_parallel_calls: how many threads compute results ahead; `tf.data.AUTOTUNE` starts them where they are of use.
        deterministic: whether parallel results keep their order; `tf.data.Options.deterministic` says it by default.
        synchronous: no threads.
        use_unbounded_threadpool: accepted.

    Raises:
        TypeError: the function gives what no element can hold.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(1, 4).map(lambda x: x * x)]
        [1, 4, 9]
    """
    threads = 0 if num_parallel_calls is None or synchronous else as_int(num_parallel_calls)
    if threads < 1 and threads != AUTOTUNE and num_parallel_calls is not None and not synchronous:
        raise invalid("map", f"num_parallel_calls must be greater than zero, got {threads}")
    return MapDataset(self, map_func, threads, deterministic)


# Choices


class FilterDataset(UnaryDataset):
    """The elements for which a function is true; the first ones only where they end at the first for which it is false."""

    def __init__(self, source, predicate, name, until=False):
        super().__init__(source)
        self._until = until
        self._predicate = ElementFunction(predicate, source.element_spec, name)
        spec = self._predicate.spec
        if not (isinstance(spec, TensorSpec) and spec.is_compatible_with(TensorSpec([], bool_))):
            raise ValueError(
                f"Invalid `predicate`. `predicate` must return a `tf.bool` scalar tensor, but its return type is {spec}."
            )

    def _in_rows(self):
        asked = self._predicate
        return not self._until and asked.vectorized and asked.total and self._source._in_rows() and small(self.element_spec)

    def _rows(self, run):
        table, numbers = self._source._rows(run)
        return table, kept_rows(table, numbers, self._predicate)

    def _elements(self, run):
        return FilterStream(self._source._stream(run), self._predicate.started(run), self._until)

    def _size(self):
        return UNKNOWN_CARDINALITY


class FilterStream(Stream):
    """The elements of a stream for which a function is true."""

    __slots__ = ("_position", "_predicate", "_source", "_until")

    def __init__(self, source, predicate, until):
        self._source, self._predicate, self._until = source, predicate, until
        self._position = -1

    def __next__(self):
        while self._source is not None:
            values = next(self._source)
            self._position += 1
            if self._predicate.at(self._position, values)[0]:
                return values
            if self._until:
                self._source = None
        raise StopIteration


@method("filter")
def filter_(self, predicate, name=None):
    """The elements for which `predicate` is true.

    Raises:
        ValueError: `predicate` gives no boolean scalar.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(5).filter(lambda x: x % 2 == 0)]
        [0, 2, 4]
    """
    return FilterDataset(self, predicate, "Dataset.filter()")


@method("take_while")
def take_while(self, predicate, name=None):
    """The elements before the first for which `predicate` is false.

    Raises:
        ValueError: `predicate` gives no boolean scalar.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(10).take_while(lambda x: x < 3)]
        [0, 1, 2]
    """
    return FilterDataset(self, predicate, "Dataset.take_while()", until=True)


# States


def stateful_function(function, before, spec, name, split):
    """The `ElementFunction` of a state and an element. Shapes of the state that change from step to step become unknown.

    Args:
        function: a Python function.
        before: the nest of specs of the initial state.
        spec: the spec of the elements.
        name: what the user called.
        split: from the spec of what it gives to the spec of the next state.

    Raises:
        TypeError: the next state has another structure or dtype.
    """
    while True:
        found = ElementFunction(function, (before, spec), name)
        after = split(found.spec)
        wrong = f"The element types for the new state must match the initial state. Expected {before}, got {after}."
        try:
            if len(nest.flatten(before)) != len(nest.flatten(after)):
                raise invalid(name[:-2], wrong)
            nest.assert_same_structure(before, after)
            merged = nest.map_structure(lambda a, b: a.most_specific_compatible_type(b), before, after)
        except (TypeError, ValueError) as error:
            raise TypeError(wrong) from error
        if merged == before:
            return found
        before = merged


class ScanDataset(UnaryDataset):
    """The outputs of a function that hands a state from element to element."""

    def __init__(self, source, initial_state, function):
        super().__init__(source)
        initial = to_tensors(initial_state)
        self._initial = nest.flatten(initial)
        self._function = stateful_function(function, spec_of(initial), source.element_spec, "Dataset.scan()", _scanned_state)
        self._spec = self._function.spec[1]

    def _elements(self, run):
        return ScanStream(self._source._stream(run), flat_values(self._initial), self._function.started(run))


def _scanned_state(spec):
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise TypeError(
            "Invalid `scan_func`. `scan_func` should return a pair consisting of new state and the output value but its "
            f"return type is {spec}."
        )
    return spec[0]


class ScanStream(Stream):
    """The outputs of a function that hands a state from element to element of a stream."""

    __slots__ = ("_function", "_position", "_source", "_state")

    def __init__(self, source, state, function):
        self._source, self._state, self._function = source, state, function
        self._position = -1

    def __next__(self):
        values = next(self._source)
        self._position += 1
        result = self._function.at(self._position, [*self._state, *values])
        self._state = result[: len(self._state)]
        return result[len(self._state) :]


@method("scan")
def scan(self, initial_state, scan_func, name=None):
    """The outputs of `state, output = scan_func(state, element)` for every element.

    Args:
        initial_state: a nest of tensors.
        scan_func: a function that gives the next state and an output.

    Raises:
        TypeError: the function gives no pair, or a state of another structure or dtype.

    Example:
        >>> import tapeflow as tf
        >>> total = tf.constant(0, tf.int64)
        >>> [int(x) for x in tf.data.Dataset.range(5).scan(total, lambda state, x: (state + x, state + x))]
        [0, 1, 3, 6, 10]
    """
    return ScanDataset(self, initial_state, scan_func)


@method("reduce")
def reduce(self, initial_state, reduce_func, name=None):
    """The state after `state = reduce_func(state, element)` for every element.

    Args:
        initial_state: a nest of tensors.
        reduce_func: a function that gives the next state.

    Raises:
        TypeError: the function gives a state of another structure or dtype.

    Example:
        >>> import tapeflow as tf
        >>> int(tf.data.Dataset.range(5).reduce(tf.constant(0, tf.int64), lambda state, x: state + x))
        10
    """
    initial = to_tensors(initial_state)
    function = stateful_function(reduce_func, spec_of(initial), self.element_spec, "Dataset.reduce()", lambda spec: spec)
    if state.graph is not None:
        found = P.dataset_reduce(self._to_flow(), *flatten(initial), *function._captured, function=function)
        return packed(function.spec, found)
    values = flat_values(initial)
    for position, element in enumerate(self._stream(Run(self.options()))):
        values = function.at(position, [*values, *element])
    return packer(function.spec)(values)


def _reduce_kernel(dataset, *values, function):
    count = len(values) - len(function._captured)
    function, values = function.closed_over(values[count:]), values[:count]
    leaves = flat_values(packed(function.spec, map(wrap, values)))
    for position, element in enumerate(dataset.object._stream(Run(dataset.object.options()))):
        leaves = function.at(position, [*leaves, *element])
    return component_values(leaves)


Primitive(
    "dataset_reduce",
    _reduce_kernel,
    lambda dataset, *specs, function: flat_specs(function.spec),
    uniform=False,
    multiple=True,
    stateful=True,
    samples=lambda: [],
)


# Working ahead


class PrefetchDataset(UnaryDataset):
    """The same elements, computed by a thread before they are asked for; where the size is automatic, only slow ones."""

    def __init__(self, source, size):
        super().__init__(source)
        self._buffer_size = size

    def _elements(self, run):
        source = self._source._stream(run)
        if self._buffer_size == AUTOTUNE:
            return WhenSlow(source, lambda given: Ahead(source, None, 1, AUTOTUNED_BUFFER))
        return Ahead(source, None, 1, self._buffer_size) if self._buffer_size else source


@method("prefetch")
def prefetch(self, buffer_size, name=None):
    """The same elements, computed by a thread while the consumer is at work.

    Args:
        buffer_size: how many are ready at most; `tf.data.AUTOTUNE` for a few, and only where an element takes long enough.

    Raises:
        InvalidArgumentError: the size is negative.

    Example:
        >>> import tapeflow as tf
        >>> [int(x) for x in tf.data.Dataset.range(3).prefetch(2)]
        [0, 1, 2]
    """
    size = as_int(buffer_size)
    if size < AUTOTUNE:
        raise invalid("prefetch", f"buffer_size must be >= 0 or set buffer_size to be -1 for auto-tuning, got {size}")
    return PrefetchDataset(self, size)
