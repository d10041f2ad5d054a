"""Serialized `tf.train.Example` messages as tensors (`tf.io.parse_example` and its features)."""

from collections import namedtuple

import numpy as np

from tapeflow.api.array_join import concat
from tapeflow.api.export import export
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.sparse_tensor import SparseTensor
from tapeflow.base.dtypes import as_dtype, float32, int32, int64, string
from tapeflow.base.errors import invalid
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.io.examples import Column


@export("io.FixedLenFeature")
class FixedLenFeature(namedtuple("FixedLenFeature", "shape dtype default_value", defaults=(None,))):
    """A feature of a fixed number of values: a tensor of `shape`.

    Args:
        shape: the shape of the value.
        dtype: int64, float32 or string.
        default_value: what a missing feature is; without one it must be there.
    """

    __slots__ = ()


@export("io.FixedLenSequenceFeature")
class FixedLenSequenceFeature(
    namedtuple("FixedLenSequenceFeature", "shape dtype allow_missing default_value", defaults=(False, None))
):
    """A feature of any number of rows of a fixed shape: a tensor [rows, *shape], in a batch padded to the longest.

    Args:
        shape: the shape of a row.
        dtype: int64, float32 or string.
        allow_missing: whether a missing feature is no rows; it must be True but in a feature list.
        default_value: what the padding is, 0 or "" by default.
    """

    __slots__ = ()


@export("io.VarLenFeature")
class VarLenFeature(namedtuple("VarLenFeature", "dtype")):
    """A feature of any number of values: a sparse tensor.

    Args:
        dtype: int64, float32 or string.
    """

    __slots__ = ()


@export("io.SparseFeature")
class SparseFeature(namedtuple("SparseFeature", "index_key value_key dtype size already_sorted", defaults=(False,))):
    """A sparse tensor whose indices and values are features of their own.

    Args:
        index_key: the key of the indices along the only axis, or a list with one for each axis.
        value_key: the key of the values.
        dtype: int64, float32 or string.
        size: the size of each axis, an int or a list.
        already_sorted: whether the indices are in order.
    """

    __slots__ = ()


_PARTITIONS = {
    "RowSplits": "key",
    "RowLengths": "key",
    "RowStarts": "key",
    "RowLimits": "key",
    "ValueRowIds": "key",
    "UniformRowLength": "length",
}


@export("io.RaggedFeature")
class RaggedFeature(
    namedtuple("RaggedFeature", "dtype value_key partitions row_splits_dtype validate", defaults=(None, (), int32, False))
):
    """A feature of any number of values: a ragged tensor (of one example without partitions: a vector).

    Args:
        dtype: int64, float32 or string.
        value_key: the key of the values, by default that of this feature.
        partitions: how the values are cut into rows, from the outermost: `RaggedFeature.RowLengths(key)` and the like name
            the feature with the numbers, `RaggedFeature.UniformRowLength(length)` gives one length.
        row_splits_dtype: int32 or int64.
        validate: whether the partitions are checked.
    """

    __slots__ = ()

    RowSplits, RowLengths, RowStarts, RowLimits, ValueRowIds, UniformRowLength = [
        namedtuple(name, field) for name, field in _PARTITIONS.items()
    ]

    def __new__(cls, dtype, value_key=None, partitions=(), row_splits_dtype=int32, validate=False):
        row_splits_dtype = as_dtype(row_splits_dtype)
        if row_splits_dtype not in (int32, int64):
            raise ValueError(f"Argument `row_splits_dtype` must be int32 or int64, got {row_splits_dtype.name}")
        if not isinstance(partitions, (list, tuple)):
            raise TypeError(f"Argument `partitions` must be a list or tuple. Received {partitions}.")
        for partition in partitions:
            if type(partition).__name__ not in _PARTITIONS:
                raise TypeError(
                    f"Argument `partitions` must be a list of partition objects {list(_PARTITIONS)}, got {partition}."
                )
        if not isinstance(validate, bool):
            raise TypeError(f"Argument `validate` must be a bool. Received {validate}.")
        return super().__new__(cls, as_dtype(dtype), value_key, tuple(partitions), row_splits_dtype, validate)


# Features to columns


def _dtype(feature):
    dtype = as_dtype(feature.dtype)
    if dtype not in (int64, float32, string):
        raise invalid(
            "ParseExampleV2",
            f"Value for attr 'dtype' of {dtype.c_name} is not in the list of allowed values: float, int64, string",
        )
    return dtype


def _shape(key, feature):
    dims = TensorShape(feature.shape)
    if dims.rank is None:
        raise ValueError(f"First dimension of shape for feature {key} unknown. Consider using FixedLenSequenceFeature.")
    dims = tuple(dims.as_list())
    if None in dims[:1]:
        raise ValueError(
            f"First dimension of shape for feature {key} unknown. Consider using FixedLenSequenceFeature. Received "
            f"feature={feature}."
        )
    if None in dims:
        raise ValueError(f"All dimensions of shape for feature {key} need to be known but received {list(dims)}.")
    return dims


def _default(value, dtype, shape):
    """A default as flat values; None where there is none."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        value = value.numpy()
    given = convert_to_tensor(value, dtype).numpy()
    given = np.asarray(given, object) if dtype is string else np.asarray(given)
    return tuple(np.reshape(given, shape).ravel().tolist() if given.size == int(np.prod(shape)) else _misfit(given, shape))


def _misfit(given, shape):
    raise invalid(
        "Reshape",
        f"Input to reshape is a tensor with {given.size} values, but the requested shape has {int(np.prod(shape))}",
    )


def _column(key, feature, in_list=False):
    """The column of a feature that is one column."""
    dtype = _dtype(feature)
    match feature:
        case VarLenFeature():
            return Column(key, "sparse", dtype)
        case FixedLenFeature():
            if in_list:
                raise ValueError(f"Unsupported feature type: FixedLenFeature is no feature of a list, for key {key}")
            shape = _shape(key, feature)
            return Column(key, "dense", dtype, shape, _default(feature.default_value, dtype, shape))
        case FixedLenSequenceFeature():
            if not feature.allow_missing and not in_list:
                raise ValueError("Unsupported: FixedLenSequenceFeature requires allow_missing to be True.")
            shape = _shape(key, feature)
            if 0 in shape:
                raise ValueError(f"The shape of a row must not be empty, got {list(shape)} for feature {key}")
            blank = _default(feature.default_value, dtype, ())
            return Column(key, "sequence", dtype, shape, blank, required=in_list and not feature.allow_missing)
        case _:
            raise ValueError(f"Unsupported {type(feature).__name__} {feature} for key {key!r}")


class _Plan:
    """The columns that some features need, each once, and how the features are made of what they give."""

    def __init__(self, features, in_list=False):
        self.columns = []
        self.in_list = in_list
        self._places = {}
        self.parts = {}
        for key, feature in features.items():
            self.parts[key] = feature, self._columns_of(key, feature)

    def _columns_of(self, key, feature):
        if isinstance(feature, SparseFeature):
            if self.in_list:
                raise ValueError(f"Unsupported feature type: SparseFeature is no feature of a list, for key {key}")
            keys = [feature.index_key] if isinstance(feature.index_key, str) else list(feature.index_key)
            sizes = [feature.size] if np.ndim(feature.size) == 0 else list(feature.size)
            if len(keys) != len(sizes):
                raise ValueError(f"SparseFeature of {len(keys)} index keys has {len(sizes)} sizes: {feature}")
            indices = [self._place(Column(name, "sparse", int64)) for name in keys]
            return [*indices, self._place(Column(feature.value_key, "sparse", _dtype(feature)))]
        if isinstance(feature, RaggedFeature):
            if self.in_list and feature.partitions:
                raise ValueError(f"A RaggedFeature of a feature list has no partitions here, got {feature} for key {key!r}")
            values = self._place(Column(feature.value_key or key, "ragged", _dtype(feature)))
            keys = [getattr(partition, "key", None) for partition in feature.partitions]
            return [values, *[None if name is None else self._place(Column(name, "ragged", int64)) for name in keys]]
        if not hasattr(feature, "dtype"):
            raise ValueError(f"Unsupported {type(feature).__name__} {feature} for key {key!r}")
        return [self._place(_column(key, feature, self.in_list))]

    def _place(self, column):
        if column not in self._places:
            self._places[column] = len(self.columns)
            self.columns.append(column)
        return self._places[column]

    def results(self, groups, batched):
        """{key: tensor} of the arrays that each column gave."""
        found = {}
        for key, (feature, places) in self.parts.items():
            parts = [None if place is None else groups[place] for place in places]
            found[key] = _result(feature, parts, batched, self.in_list)
        return found


def _result(feature, parts, batched, in_list):
    match feature:
        case VarLenFeature():
            return SparseTensor(*parts[0])
        case SparseFeature():
            return _sparse(feature, parts, batched)
        case RaggedFeature():
            return _ragged_list(feature, parts[0]) if in_list else _ragged(feature, parts, batched)
        case _:
            return parts[0][0]


def _sparse(feature, parts, batched):
    """A sparse tensor of the values of some columns as its indices along each axis."""
    *axes, (places, values, shape) = parts
    sizes = [feature.size] if np.ndim(feature.size) == 0 else list(feature.size)
    for _, positions, _ in axes:
        if positions.shape.is_fully_defined() and not positions.shape.is_compatible_with(values.shape):
            raise ValueError(f"Dimensions {positions.shape[0]} and {values.shape[0]} are not compatible")
    columns = [P.expand_dims(positions, axis=(1,)) for _, positions, _ in axes]
    dense_shape = convert_to_tensor(sizes, int64)
    if batched:
        columns.insert(0, places[:, :1])
        dense_shape = P.concat(shape[:1], dense_shape, axis=0)
    indices = P.concat(*columns, axis=1) if len(columns) > 1 else columns[0]
    result = SparseTensor(indices, values, dense_shape)
    if feature.already_sorted:
        return result
    from tapeflow.api.sparse import reorder

    return reorder(result)


def _splits(x, dtype):
    return x if x._dtype is dtype else P.cast(x, dtype=dtype)


def _ragged(feature, parts, batched):
    """Ragged values, cut by the partitions of each example."""
    dtype = feature.row_splits_dtype
    values, partitions = parts[0], list(zip(feature.partitions, parts[1:], strict=True))
    if not batched:
        result = values[0]
        for partition, numbers in reversed(partitions):
            result = _partitioned(result, partition, None if numbers is None else _splits(numbers[0], dtype), dtype)
        return result
    flat, splits = values[0], _splits(values[1], dtype)
    if not partitions:
        return RaggedTensor.from_row_splits(flat, splits, validate=feature.validate)
    return _ragged_batch(feature, flat, splits, partitions, dtype)


MAKERS = {
    "RowSplits": RaggedTensor.from_row_splits,
    "RowLengths": RaggedTensor.from_row_lengths,
    "RowStarts": RaggedTensor.from_row_starts,
    "RowLimits": RaggedTensor.from_row_limits,
    "ValueRowIds": RaggedTensor.from_value_rowids,
}


def _partitioned(values, partition, numbers, dtype):
    """Values cut into rows by one partition of an example."""
    if numbers is None:
        if isinstance(values, RaggedTensor):
            return RaggedTensor.from_uniform_row_length(values, convert_to_tensor(partition.length, dtype), validate=False)
        return P.reshape(values, shape=(-1, partition.length, *values.dims[1:]))
    kind = type(partition).__name__
    if kind in ("RowStarts", "ValueRowIds", "RowLimits"):
        return MAKERS[kind](values, numbers, validate=False)
    # Values behind the last row are left out, as TensorFlow does.
    count = numbers[-1] if kind == "RowSplits" else P.sum(numbers, axis=None, keepdims=False)
    return MAKERS[kind](values[: P.cast(count, dtype=int64)], numbers, validate=False)


def _ragged_batch(feature, flat, splits, partitions, dtype):
    """Partitions of the values of many examples: each level's rows of all examples, and how many rows each example has.

    From the innermost level outwards, `ends` are the row splits, by example, of what the level has as its values.
    """
    result, ends = flat, splits
    for partition, numbers in reversed(partitions):
        if numbers is None:
            length = convert_to_tensor(partition.length, dtype)
            result = RaggedTensor.from_uniform_row_length(result, length, validate=False)
            ends = P.floordiv(ends, length)
            continue
        lengths = _row_lengths(type(partition).__name__, _splits(numbers[0], dtype), _splits(numbers[1], dtype), ends, dtype)
        result = RaggedTensor.from_row_lengths(result, lengths.values, validate=feature.validate)
        ends = lengths.row_splits
    return RaggedTensor.from_row_splits(result, ends, validate=feature.validate)


def _row_lengths(kind, numbers, splits, ends, dtype):
    """The lengths of the rows of each example, ragged [examples, rows], of its numbers in another form."""
    rows = RaggedTensor.from_row_splits(numbers, splits, validate=False)
    match kind:
        case "RowLengths":
            return rows
        case "RowSplits":
            return rows[:, 1:] - rows[:, :-1]
        case "RowLimits":
            starts = RaggedTensor.from_tensor(P.zeros_like(splits[1:])[:, None], row_splits_dtype=dtype)
            return rows - concat([starts, rows[:, :-1]], 1)
        case "RowStarts":
            sizes = RaggedTensor.from_tensor((ends[1:] - ends[:-1])[:, None], row_splits_dtype=dtype)
            return concat([rows[:, 1:], sizes], 1) - rows
        case _:
            return _counted(rows, dtype)


def _counted(rows, dtype):
    """How often each example has each of its row numbers, ragged [examples, rows]."""
    examples, count = P.cast(rows.value_rowids(), dtype=dtype), P.cast(rows.nrows(), dtype=int64)
    last = P.unsorted_segment_max(rows.values, examples, num=_attr(count))
    counts = P.maximum(last, -P.ones_like(last)) + 1
    starts = P.cumsum(counts, axis=0, exclusive=True, reverse=False)
    places = rows.values + P.gather(starts, examples, axis=0, batch_dims=0)
    total = P.cast(P.sum(counts, axis=None, keepdims=False), dtype=int64)
    lengths = P.unsorted_segment_sum(P.ones_like(places), places, num=_attr(total))
    return RaggedTensor.from_row_lengths(lengths, counts, validate=False)


def _attr(count):
    """A number as an attr: an int where it is known."""
    return int(count) if count.__class__ is Tensor else count


def _ragged_list(feature, parts):
    dtype = feature.row_splits_dtype
    result = parts[0]
    for splits in parts[1:]:
        result = RaggedTensor.from_row_splits(result, _splits(splits, dtype), validate=feature.validate)
    return result


# The functions


def _checked(features):
    if features is None:
        raise ValueError("Invalid argument: features cannot be None.")
    if not features:
        raise ValueError("Invalid argument: features cannot be empty.")
    return features


def _names(names):
    return convert_to_tensor([] if names is None else names, string)


def _parsed(serialized, features, names):
    plan = _Plan(_checked(features))
    arrays = iter(P.parse_example(serialized, names, columns=tuple(plan.columns)))
    batched = serialized.dims is not None and len(serialized.dims) == 1
    groups = [_group(column, arrays, batched) for column in plan.columns]
    return plan.results(groups, batched)


def _group(column, arrays, batched, in_list=False):
    """The arrays that one column gives."""
    match column.kind:
        case "sparse":
            count = 3
        case "ragged":
            count = 1 + batched + in_list
        case "sequence":
            count = 1 + (batched and in_list)
        case _:
            count = 1
    return [next(arrays) for _ in range(count)]


@export("io.parse_example")
def parse_example(serialized, features, example_names=None, name=None):
    """The features of serialized `tf.train.Example` messages.

    Args:
        serialized: a vector of strings; a scalar is parsed as `parse_single_example` does.
        features: {key: feature}, of `FixedLenFeature`, `VarLenFeature`, `SparseFeature`, `RaggedFeature` and
            `FixedLenSequenceFeature`.
        example_names: the names of the examples, for messages.

    Returns:
        {key: tensor}, dense, sparse or ragged; the examples are the first axis.

    Raises:
        InvalidArgumentError: bytes that are no example, a missing feature, or one of another type or size.
        ValueError: features that are none.

    Example:
        >>> import tapeflow as tf
        >>> T = tf.train
        >>> feature = T.Feature(int64_list=T.Int64List(value=[1, 2]))
        >>> example = T.Example(features=T.Features(feature={"a": feature})).SerializeToString()
        >>> tf.io.parse_example([example, example], {"a": tf.io.FixedLenFeature([2], tf.int64)})["a"].numpy().tolist()
        [[1, 2], [1, 2]]
    """
    return _parsed(convert_to_tensor(serialized, string), features, _names(example_names))


@export("io.parse_single_example")
def parse_single_example(serialized, features, example_names=None, name=None):
    """The features of one serialized `tf.train.Example` message; see `parse_example`.

    Args:
        serialized: a scalar string.

    Raises:
        ValueError: no scalar.

    Example:
        >>> import tapeflow as tf
        >>> T = tf.train
        >>> feature = T.Feature(bytes_list=T.BytesList(value=[b"x"]))
        >>> example = T.Example(features=T.Features(feature={"a": feature})).SerializeToString()
        >>> tf.io.parse_single_example(example, {"a": tf.io.FixedLenFeature([], tf.string)})["a"].numpy()
        b'x'
    """
    _checked(features)
    serialized = convert_to_tensor(serialized, string)
    if serialized.dims != ():
        if serialized.dims is not None:
            raise ValueError("Input serialized must be a scalar")
        serialized = P.ensure_shape(serialized, shape=())
    return _parsed(serialized, features, _names(example_names))


def _sequences(serialized, context_features, sequence_features, names):
    if not context_features and not sequence_features:
        raise ValueError(
            "Both `context_features` and `sequence_features` argument are None, but at least one should have values."
        )
    context, lists = _Plan(context_features or {}), _Plan(sequence_features or {}, in_list=True)
    batched = serialized.dims is not None and len(serialized.dims) == 1
    arrays = iter(P.parse_sequence_example(serialized, names, context=tuple(context.columns), lists=tuple(lists.columns)))
    found = [_group(column, arrays, batched) for column in context.columns]
    steps = [_group(column, arrays, batched, in_list=True) for column in lists.columns]
    lengths = {}
    if batched:
        for key, (_, (place, *_)) in lists.parts.items():
            if lists.columns[place].kind == "sequence":
                lengths[key] = steps[place][1]
    return context.results(found, batched), lists.results(steps, batched), lengths


@export("io.parse_sequence_example")
def parse_sequence_example(serialized, context_features=None, sequence_features=None, example_names=None, name=None):
    """The features of serialized `tf.train.SequenceExample` messages: a context, and lists with a feature for each step.

    Args:
        serialized: a vector of strings.
        context_features: {key: feature} of the context, as in `parse_example`.
        sequence_features: {key: feature} of the lists: `VarLenFeature`, `RaggedFeature` or `FixedLenSequenceFeature` (the
            shape of a step).
        example_names: the names of the examples, for messages.

    Returns:
        Three dicts: the context, the lists (steps are the axis behind the examples), and for each list of a
        `FixedLenSequenceFeature` how many steps each example has.

    Raises:
        InvalidArgumentError: bytes that are no example, a missing feature, or one of another type or size.
        ValueError: no features at all.

    Example:
        >>> import tapeflow as tf
        >>> example = tf.train.SequenceExample()
        >>> for step in ([1], [2, 3]):
        ...     example.feature_lists.feature_list["a"].feature.add().int64_list.value.extend(step)
        >>> _, lists, _ = tf.io.parse_sequence_example(
        ...     [example.SerializeToString()], sequence_features={"a": tf.io.RaggedFeature(tf.int64)}
        ... )
        >>> lists["a"].to_list()
        [[[1], [2, 3]]]
    """
    serialized = convert_to_tensor(serialized, string)
    return _sequences(serialized, context_features, sequence_features, _names(example_names))


@export("io.parse_single_sequence_example")
def parse_single_sequence_example(serialized, context_features=None, sequence_features=None, example_name=None, name=None):
    """The features of one serialized `tf.train.SequenceExample` message; see `parse_sequence_example`.

    Returns:
        Two dicts: the context and the lists.

    Example:
        >>> import tapeflow as tf
        >>> example = tf.train.SequenceExample()
        >>> example.context.feature["c"].int64_list.value.append(7)
        >>> context, _ = tf.io.parse_single_sequence_example(
        ...     example.SerializeToString(), {"c": tf.io.FixedLenFeature([], tf.int64)}
        ... )
        >>> int(context["c"])
        7
    """
    serialized = convert_to_tensor(serialized, string)
    if serialized.dims != ():
        if serialized.dims is not None:
            raise ValueError("Input serialized must be a scalar")
        serialized = P.ensure_shape(serialized, shape=())
    names = _names(None if example_name is None else [example_name])
    return _sequences(serialized, context_features, sequence_features, names)[:2]
