"""The features of `tf.io.parse_example`, and the columns that parsing gives for them."""

from collections import namedtuple

import numpy as np

from tapeflow.api.export import export
from tapeflow.base.dtypes import as_dtype, float32, int32, int64, string
from tapeflow.base.errors import invalid
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor
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


class Plan:
    """The columns that some features need, each once.

    Attributes:
        columns: the columns.
        in_list: whether the features are those of the steps of a list.
        parts: for each key its feature, and the places of its columns among them; None for what needs none.
    """

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
