"""`tf.data.experimental`: transformations as functions for `Dataset.apply`, and what has no method."""

from tapeflow.api import data  # noqa: F401 - it gives Dataset its methods
from tapeflow.api.export import export, export_value
from tapeflow.base import nest
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import OutOfRangeError
from tapeflow.core.primitive import P
from tapeflow.data.dataset import Dataset, as_int
from tapeflow.data.groups import GroupByReducerDataset, Reducer
from tapeflow.data.order import AssertCardinalityDataset
from tapeflow.data.shuffle import RandomDataset
from tapeflow.data.stream import Run
from tapeflow.data.structure import packer, to_tensors

export_value(RandomDataset, "data.experimental.RandomDataset")
export_value(Reducer, "data.experimental.Reducer")
export_value(-1, "data.experimental.SHARD_HINT")


def _applied(name, *args, **kwargs):
    """A function for `Dataset.apply` that calls a method."""
    return lambda dataset: getattr(dataset, name)(*args, **kwargs)


@export("data.experimental.assert_cardinality")
def assert_cardinality(expected_cardinality):
    """A transformation to the same elements, which says how many there are.

    Raises:
        FailedPreconditionError: (while iterating) there are fewer or more.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(9).filter(lambda x: x > 5)
        >>> len(dataset.apply(tf.data.experimental.assert_cardinality(3)))
        3
    """
    count = as_int(expected_cardinality)
    return lambda dataset: AssertCardinalityDataset(dataset, count)


@export("data.experimental.at")
def at(dataset, index):
    """The element at a position.

    Raises:
        OutOfRangeError: there are not so many.

    Example:
        >>> import tapeflow as tf
        >>> int(tf.data.experimental.at(tf.data.Dataset.range(5, 10), 3))
        8
    """
    position = as_int(index)
    stream = dataset._stream(Run(dataset.options()))
    stream.skip(max(position, 0))
    values = next(stream, None) if position >= 0 else None
    if values is None:
        raise OutOfRangeError(None, None, f"Index out of range [0, {int(dataset.cardinality())}): {position}")
    return packer(dataset.element_spec)(values)


@export("data.experimental.bucket_by_sequence_length")
def bucket_by_sequence_length(
    element_length_func,
    bucket_boundaries,
    bucket_batch_sizes,
    padded_shapes=None,
    padding_values=None,
    pad_to_bucket_boundary=False,
    no_padding=False,
    drop_remainder=False,
):
    """`Dataset.bucket_by_sequence_length` as a transformation."""
    return _applied(
        "bucket_by_sequence_length",
        element_length_func,
        bucket_boundaries,
        bucket_batch_sizes,
        padded_shapes,
        padding_values,
        pad_to_bucket_boundary,
        no_padding,
        drop_remainder,
    )


@export("data.experimental.choose_from_datasets")
def choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset=False):
    """`Dataset.choose_from_datasets`, which passes over ended datasets by default."""
    return Dataset.choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset)


@export("data.experimental.sample_from_datasets")
def sample_from_datasets(datasets, weights=None, seed=None, stop_on_empty_dataset=False):
    """`Dataset.sample_from_datasets`."""
    return Dataset.sample_from_datasets(datasets, weights, seed, stop_on_empty_dataset)


@export("data.experimental.copy_to_device")
def copy_to_device(target_device, source_device="/cpu:0"):
    """A transformation to the same elements: there is one device."""
    return lambda dataset: dataset


@export("data.experimental.prefetch_to_device")
def prefetch_to_device(device, buffer_size=None):
    """`Dataset.prefetch` as a transformation: there is one device."""
    return _applied("prefetch", -1 if buffer_size is None else buffer_size)


@export("data.experimental.Counter")
def counter(start=0, step=1, dtype=int64):
    """`Dataset.counter`."""
    return Dataset.counter(start, step, dtype)


@export("data.experimental.dense_to_ragged_batch")
def dense_to_ragged_batch(batch_size, drop_remainder=False, row_splits_dtype=int64):
    """`Dataset.ragged_batch` as a transformation."""
    return _applied("ragged_batch", batch_size, drop_remainder, row_splits_dtype)


@export("data.experimental.dense_to_sparse_batch")
def dense_to_sparse_batch(batch_size, row_shape):
    """`Dataset.sparse_batch` as a transformation."""
    return _applied("sparse_batch", batch_size, row_shape)


@export("data.experimental.enumerate_dataset")
def enumerate_dataset(start=0):
    """`Dataset.enumerate` as a transformation."""
    return _applied("enumerate", start)


@export("data.experimental.from_list")
def from_list(elements, name=None):
    """A dataset of the elements of a list, nests of one structure.

    Raises:
        ValueError: the list is empty.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.experimental.from_list([(1, "a"), (2, "b")])
        >>> [(int(x), y.numpy()) for x, y in dataset]
        [(1, b'a'), (2, b'b')]
    """
    if not elements:
        raise ValueError("Empty list provided to `from_list`: the structure of its elements would not be known.")
    elements = [to_tensors(element) for element in elements]
    columns = zip(*map(nest.flatten, elements), strict=True)
    stacked = [P.stack(*column, axis=0) for column in columns]
    return Dataset.from_tensor_slices(nest.pack_sequence_as(elements[0], stacked))


@export("data.experimental.group_by_reducer")
def group_by_reducer(key_func, reducer):
    """A transformation to one element for each key: the state of a reduction over the elements that have it.

    Args:
        key_func: a function of an element that gives an int64 scalar.
        reducer: a `tf.data.experimental.Reducer`.

    Example:
        >>> import tapeflow as tf
        >>> zero = tf.constant(0, tf.int64)
        >>> reducer = tf.data.experimental.Reducer(lambda key: zero, lambda state, x: state + x, lambda state: state)
        >>> dataset = tf.data.Dataset.range(6).apply(tf.data.experimental.group_by_reducer(lambda x: x % 2, reducer))
        >>> [int(x) for x in dataset]
        [6, 9]
    """
    return lambda dataset: GroupByReducerDataset(dataset, key_func, reducer)


@export("data.experimental.group_by_window")
def group_by_window(key_func, reduce_func, window_size=None, window_size_func=None):
    """`Dataset.group_by_window` as a transformation."""
    return _applied("group_by_window", key_func, reduce_func, window_size, window_size_func)


@export("data.experimental.ignore_errors")
def ignore_errors(log_warning=False):
    """`Dataset.ignore_errors` as a transformation."""
    return _applied("ignore_errors", log_warning)


@export("data.experimental.map_and_batch")
def map_and_batch(map_func, batch_size, num_parallel_batches=None, drop_remainder=False, num_parallel_calls=None):
    """`Dataset.map` and `Dataset.batch` as one transformation."""
    calls = num_parallel_calls if num_parallel_calls is not None else num_parallel_batches
    return lambda dataset: dataset.map(map_func, calls).batch(batch_size, drop_remainder)


@export("data.experimental.pad_to_cardinality")
def pad_to_cardinality(cardinality, mask_key="valid"):
    """A transformation of dicts: zeros are added until there are enough, and `mask_key` says which are real.

    Raises:
        ValueError: the dataset's size is not known, or larger, or its elements are no dicts.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.from_tensor_slices({"a": [1, 2]}).apply(tf.data.experimental.pad_to_cardinality(3))
        >>> [(int(x["a"]), bool(x["valid"])) for x in dataset]
        [(1, True), (2, True), (0, False)]
    """
    wanted = as_int(cardinality)

    def padded(dataset):
        size = int(dataset.cardinality())
        if size < 0:
            raise ValueError(
                f"The dataset passed into `pad_to_cardinality` must have a known cardinalty, but has cardinality {size}"
            )
        if size > wanted:
            raise ValueError(
                "The dataset passed into `pad_to_cardinality` must have a cardinalty less than the target cardinality "
                f"({wanted}), but has cardinality {size}"
            )
        if not isinstance(dataset.element_spec, dict):
            raise ValueError("`pad_to_cardinality` requires its input dataset to be a dictionary.")
        filler = {key: nest.map_structure(_zeros, spec) for key, spec in dataset.element_spec.items()}
        fillers = Dataset.from_tensors({**filler, mask_key: False}).repeat(wanted - size)
        return dataset.map(lambda element: {**element, mask_key: True}).concatenate(fillers)

    return padded


def _zeros(spec):
    value = b"" if spec.dtype.name == "string" else 0
    return P.fill(shape=tuple(spec.shape.as_list()), value=value, dtype=spec.dtype)


@export("data.experimental.parallel_interleave")
def parallel_interleave(
    map_func, cycle_length, block_length=1, sloppy=False, buffer_output_elements=None, prefetch_input_elements=None
):
    """`Dataset.interleave` with a thread for each open dataset, as a transformation."""
    return _applied("interleave", map_func, cycle_length, block_length, cycle_length, not sloppy)


@export("data.experimental.rejection_resample")
def rejection_resample(class_func, target_dist, initial_dist=None, seed=None):
    """`Dataset.rejection_resample` as a transformation."""
    return _applied("rejection_resample", class_func, target_dist, initial_dist, seed)


@export("data.experimental.scan")
def scan(initial_state, scan_func):
    """`Dataset.scan` as a transformation."""
    return _applied("scan", initial_state, scan_func)


@export("data.experimental.shuffle_and_repeat")
def shuffle_and_repeat(buffer_size, count=None, seed=None):
    """`Dataset.shuffle` and `Dataset.repeat` as one transformation."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


@export("data.experimental.take_while")
def take_while(predicate):
    """`Dataset.take_while` as a transformation."""
    return _applied("take_while", predicate)


@export("data.experimental.unbatch")
def unbatch():
    """`Dataset.unbatch` as a transformation."""
    return _applied("unbatch")


@export("data.experimental.unique")
def unique():
    """`Dataset.unique` as a transformation."""
    return _applied("unique")
