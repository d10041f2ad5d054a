"""Elements that belong together, from wherever they stand: `group_by_window`, `bucket_by_sequence_length`, and resampling."""

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import invalid
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.data.dataset import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, DatasetSpec, UnaryDataset, method
from tapeflow.data.function import ElementFunction
from tapeflow.data.maps import stateful_function
from tapeflow.data.nested import ListDataset
from tapeflow.data.stream import Joined, Stream
from tapeflow.trace.autograph import convert

KEY = TensorSpec([], int64)
_TOO_LONG = "When pad_to_bucket_boundary=True, elements must have length < max(bucket_boundaries)."


class GroupByWindowDataset(UnaryDataset):
    """What a function makes of windows of elements with one key."""

    def __init__(self, source, key_func, reduce_func, window_size_func):
        super().__init__(source)
        name = "Dataset.group_by_window()"
        spec = source.element_spec
        self._key = ElementFunction(_int64_of(key_func), spec, name)
        self._window_size = ElementFunction(_int64_of(window_size_func), KEY, name)
        for what, function in (("key_func", self._key), ("window_size_func", self._window_size)):
            if not (isinstance(function.spec, TensorSpec) and function.spec.is_compatible_with(KEY)):
                raise ValueError(
                    f"Invalid `{what}`. `{what}` must return a single `tf.int64` scalar tensor but its return type is "
                    f"{function.spec}."
                )
        self._reduce = ElementFunction(reduce_func, (KEY, DatasetSpec(spec)), name)
        if not isinstance(self._reduce.spec, DatasetSpec):
            raise TypeError(
                "Invalid `reduce_func`. `reduce_func` must return a single `tf.data.Dataset` object but its return type is "
                f"{self._reduce.spec}."
            )
        self._spec = self._reduce.spec.element_spec

    def _elements(self, run):
        functions = [function.started(run) for function in (self._key, self._window_size, self._reduce)]
        return GroupStream(self._source._stream(run), *functions, self._source.element_spec, run)

    def _size(self):
        return INFINITE_CARDINALITY if self._source._size() == INFINITE_CARDINALITY else UNKNOWN_CARDINALITY


def _int64_of(function):
    return lambda *args: convert_to_tensor(function(*args), int64)


class GroupStream(Joined):
    """The elements of what a function makes of each full window, and at the end of the others in the order of their keys."""

    __slots__ = ("_groups", "_key", "_position", "_reduce", "_run", "_sizes", "_source", "_spec", "_window_size")

    def __init__(self, source, key, window_size, reduce, spec, run):
        super().__init__()
        self._source, self._key, self._window_size, self._reduce = source, key, window_size, reduce
        self._spec, self._run = spec, run
        self._groups, self._sizes = {}, {}
        self._position = -1

    def _open(self):
        return self._window(*self._next_group())

    def _next_group(self):
        """The next full window with its key; of those that are left at the end, the one with the least key."""
        while self._source is not None:
            try:
                values = next(self._source)
            except StopIteration:
                self._source = None
                break
            self._position += 1
            key = int(self._key.at(self._position, values)[0])
            if key not in self._sizes:
                size = int(self._window_size.at(self._position, [np.int64(key)])[0])
                if size <= 0:
                    raise invalid("GroupByWindow", f"Window size must be greater than zero, but got {size}.")
                self._sizes[key] = size
            group = self._groups.setdefault(key, [])
            group.append(values)
            if len(group) == self._sizes[key]:
                del self._groups[key], self._sizes[key]
                return key, group
        if not self._groups:
            raise StopIteration
        key = min(self._groups)
        return key, self._groups.pop(key)

    def _window(self, key, group):
        (dataset,) = self._reduce.at(self._position, [np.int64(key), ListDataset(group, self._spec)])
        return dataset._stream(self._run)


@method("group_by_window")
def group_by_window(self, key_func, reduce_func, window_size=None, window_size_func=None, name=None):
    """What `reduce_func` makes of windows of elements that have one key.

    Args:
        key_func: a function of an element that gives an int64 scalar.
        reduce_func: a function of a key and a dataset, the window, that gives a dataset.
        window_size: how many elements of one key make a window.
        window_size_func: a function of a key that gives this number.

    Raises:
        ValueError: not exactly one of the two sizes is given, or a function gives no int64 scalar.
        TypeError: `reduce_func` gives no dataset.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(7).group_by_window(lambda x: x % 2, lambda key, group: group.batch(2), window_size=2)
        >>> [x.numpy().tolist() for x in dataset]
        [[0, 2], [1, 3], [4, 6], [5]]
    """
    if (window_size is None) == (window_size_func is None):
        raise ValueError("Either the `window_size` argument or the `window_size_func` argument must be specified.")
    if window_size_func is None:
        window_size_func = lambda key: convert_to_tensor(window_size, int64)  # noqa: E731
    return GroupByWindowDataset(self, convert(key_func), reduce_func, convert(window_size_func))


@method("bucket_by_sequence_length")
def bucket_by_sequence_length(
    self,
    element_length_func,
    bucket_boundaries,
    bucket_batch_sizes,
    padded_shapes=None,
    padding_values=None,
    pad_to_bucket_boundary=False,
    no_padding=False,
    drop_remainder=False,
    name=None,
):
    """Batches of elements of similar length, padded.

    Args:
        element_length_func: a function of an element that gives its length, an int32 scalar.
        bucket_boundaries: the lengths, rising, that part the buckets.
        bucket_batch_sizes: the batch size of each bucket: one more than there are boundaries.
        padded_shapes, padding_values: as for `padded_batch`.
        pad_to_bucket_boundary: whether unknown dimensions are padded to the bucket's largest length.
        no_padding: whether batches are not padded, but stacked.
        drop_remainder: whether smaller batches are left out.

    Raises:
        ValueError: the numbers of boundaries and sizes do not fit.
        InvalidArgumentError: (while iterating, with `pad_to_bucket_boundary`) an element is longer than all boundaries.

    Example:
        >>> import tapeflow as tf
        >>> lengths = tf.data.Dataset.from_tensor_slices([2, 1, 3, 5])
        >>> dataset = lengths.map(tf.range).bucket_by_sequence_length(tf.size, [3], [2, 2])
        >>> [x.numpy().tolist() for x in dataset]
        [[[0, 1], [0, 0]], [[0, 1, 2, 0, 0], [0, 1, 2, 3, 4]]]
    """
    if len(bucket_batch_sizes) != len(bucket_boundaries) + 1:
        raise ValueError(
            f"`len(bucket_batch_sizes)` must equal `len(bucket_boundaries) + 1` but `len(bucket_batch_sizes)="
            f"{len(bucket_batch_sizes)}` and `len(bucket_boundaries)={len(bucket_boundaries)}`."
        )
    boundaries = convert_to_tensor(list(bucket_boundaries) or np.zeros(0), int64)
    sizes = convert_to_tensor(list(bucket_batch_sizes), int64)

    element_length_func = convert(element_length_func)

    def bucket(*args):
        length = P.cast(convert_to_tensor(element_length_func(*args)), dtype=int64)
        return P.sum(
            P.cast(P.greater_equal(P.expand_dims(length, axis=(0,)), boundaries), dtype=int64), axis=(0,), keepdims=False
        )

    def size_of(key):
        return P.gather(sizes, key, axis=0, batch_dims=0)

    def batches(key, group):
        size = size_of(key)
        if no_padding:
            return group.batch(size, drop_remainder=drop_remainder)
        filler = None
        if pad_to_bucket_boundary:
            last = P.less(key, convert_to_tensor(len(bucket_boundaries), int64))
            P.assert_that(last, texts=(_TOO_LONG,), summarize=3)
            filler = P.gather(boundaries, key, axis=0, batch_dims=0) - 1
        shapes = nest.map_structure(lambda spec: spec.shape, group.element_spec) if padded_shapes is None else padded_shapes
        return group.padded_batch(size, _filled(shapes, filler), padding_values, drop_remainder=drop_remainder)

    return self.group_by_window(bucket, batches, window_size_func=size_of)


def _filled(shapes, filler):
    """The shapes with `filler` for what is unknown."""
    if isinstance(shapes, dict):
        return {key: _filled(part, filler) for key, part in shapes.items()}
    if isinstance(shapes, tuple):
        return tuple([_filled(part, filler) for part in shapes])
    return [filler if n is None else n for n in TensorShape(shapes).as_list()]


class Reducer:
    """What a reduction over the elements of one key does.

    Args:
        init_func: from the key to the first state.
        reduce_func: from a state and an element to the next state.
        finalize_func: from the last state to the result.
    """

    def __init__(self, init_func, reduce_func, finalize_func):
        self._functions = init_func, reduce_func, finalize_func

    init_func = property(lambda self: self._functions[0], doc="From the key to the first state.")
    reduce_func = property(lambda self: self._functions[1], doc="From a state and an element to the next state.")
    finalize_func = property(lambda self: self._functions[2], doc="From the last state to the result.")


class GroupByReducerDataset(UnaryDataset):
    """One element for each key: what a reduction over the elements with that key gives."""

    def __init__(self, source, key_func, reducer):
        super().__init__(source)
        name = "tf.data.experimental.group_by_reducer()"
        spec = source.element_spec
        self._key = ElementFunction(key_func, spec, name)
        if not (isinstance(self._key.spec, TensorSpec) and self._key.spec.is_compatible_with(KEY)):
            raise ValueError(
                f"Invalid `key_func`. Expected `key_func` to return a scalar tf.int64 tensor, but instead it gives {self._key.spec}."
            )
        self._init = ElementFunction(reducer.init_func, KEY, name)
        self._reduce = stateful_function(reducer.reduce_func, self._init.spec, spec, name, lambda state: state)
        state = self._reduce.input_spec[0]
        self._finalize = ElementFunction(reducer.finalize_func, state, name)
        self._spec = self._finalize.spec

    def _elements(self, run):
        functions = [function.started(run) for function in (self._key, self._init, self._reduce, self._finalize)]
        return ReducerStream(self._source._stream(run), *functions)

    def _size(self):
        return UNKNOWN_CARDINALITY


class ReducerStream(Stream):
    """One element for each key of a stream's elements, in the order of the keys."""

    __slots__ = ("_finalize", "_init", "_key", "_position", "_reduce", "_source", "_states")

    def __init__(self, source, key, init, reduce, finalize):
        self._source, self._key, self._init, self._reduce, self._finalize = source, key, init, reduce, finalize
        self._states = {}
        self._position = -1

    def __next__(self):
        while self._source is not None:
            try:
                values = next(self._source)
            except StopIteration:
                self._source = None
                break
            self._position += 1
            (key,) = self._key.at(self._position, values)
            state = self._states.get(int(key))
            if state is None:
                state = self._init.at(self._position, [key])
            self._states[int(key)] = self._reduce.at(self._position, [*state, *values])
        if not self._states:
            raise StopIteration
        return self._finalize.at(self._position, self._states.pop(min(self._states)))
