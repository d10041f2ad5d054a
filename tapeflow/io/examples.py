"""Serialized `tensorflow.Example` and `SequenceExample` messages to arrays, column by column."""

import dataclasses
import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from tapeflow.base.dtypes import DType, float32, int64, string
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.io.messages import message

FIELDS = {int64: "int64_list", float32: "float_list", string: "bytes_list"}
WORDS = {"int64_list": "int64", "float_list": "float", "bytes_list": "string"}


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """What is read of one feature; no tuple, which would be taken apart as an attr.

    Attributes:
        key: the feature's name.
        kind: "dense" (a fixed shape), "sequence" (any number of rows of a fixed shape, padded in a batch), "sparse" or
            "ragged" (any number of values).
        dtype: int64, float32 or string.
        shape: of a dense value, or of a row of a sequence.
        default: the flat values where the feature is missing, or None; one padding value of a sequence.
        required: of a sequence within a feature list: whether it must be there.
    """

    key: str
    kind: str
    dtype: DType
    shape: tuple = ()
    default: tuple | None = None
    required: bool = False


def parsed(serialized, names, columns):
    """The columns of one serialized example (bytes), or of a list of them, as a flat list of arrays.

    A dense column and a sequence give one array, a sparse column (indices, values, shape), a ragged column its values and,
    in a batch, its row splits (int64).

    Raises:
        InvalidArgumentError: bytes that are no example, a missing feature, or one of another type or size.
    """
    if isinstance(serialized, list):
        rows = [_features(data, _name(names, i, len(serialized))) for i, data in enumerate(serialized)]
        return [array for column in columns for array in BATCHED[column.kind](column, rows)]
    features = _features(serialized, "")
    return [array for column in columns for array in SINGLE[column.kind](column, features)]


def _name(names, i, count):
    """What messages say of the example at a position: its name, where it has one."""
    if len(names) == 0:
        return "Name: <unknown>, "
    if len(names) != count:
        raise _invalid(f"Expected len(names) == len(serialized), but got {len(names)} vs. {count}")
    return f"Name: {names[i].decode(errors='replace')}, "


class Features(NamedTuple):
    feature: object  # the map
    where: str  # how messages begin


def _features(data, where):
    example, failure = _example()
    try:
        return Features(example.FromString(data).features.feature, where)
    except failure as error:
        shown = repr(data[:100])[1:] + ("..." if len(data) > 100 else "")
        raise _invalid(f"{where}Could not parse example input, value: {shown}") from error


@functools.cache
def _example():
    """The class of the message, and the error of bytes that are none."""
    from google.protobuf.message import DecodeError

    return message("Example"), DecodeError


def _invalid(text):
    return InvalidArgumentError(None, None, f"{text} [Op:ParseExampleV2]")


def values_of(features, column):
    """The values of a feature, or None where it is missing.

    Raises:
        InvalidArgumentError: the feature holds another type.
    """
    feature = features.feature.get(column.key)
    if feature is None:
        return None
    values = getattr(feature, FIELDS[column.dtype]).value
    if values:
        return values
    return checked_values(feature, column.dtype, f"{features.where}Key: {column.key}. ")


def checked_values(feature, dtype, where):
    """The values of a feature message, or None where it holds none; `where` begins the message about another type."""
    field = FIELDS[dtype]
    values = getattr(feature, field).value
    if not values:
        kind = feature.WhichOneof("kind")
        if kind is None:
            return None
        if kind != field:
            raise _invalid(f"{where} Data types don't match. Expected type: {dtype.c_name}, Actual type: {WORDS[kind]}")
    return values


def array_of(values, dtype, shape):
    """Values as an array of a shape; a NumPy scalar where it has no dimension and is no string."""
    if dtype is string:
        array = np.empty(shape if shape == () else len(values), object)
        array[...] = values[0] if shape == () else values
        return array.reshape(shape)
    return dtype.type(values[0]) if shape == () else np.array(values, dtype.numpy_dtype).reshape(shape)


def _dense_values(column, features):
    values = values_of(features, column)
    if values is not None and len(values) == 1 and not column.shape:
        return values
    if values is None:
        values = column.default
        if values is None:
            raise _invalid(
                f"{features.where}Feature: {column.key} (data type: {column.dtype.c_name}) is required but could not be found."
            )
    if len(values) != math.prod(column.shape):
        raise _invalid(
            f"{features.where}Key: {column.key}.  Can't parse serialized Example: Number of {column.dtype.c_name} values != "
            f"expected.  Values size: {len(values)} but output shape: {list(column.shape)}"
        )
    return values


def _dense(column, features):
    return (array_of(_dense_values(column, features), column.dtype, column.shape),)


def _dense_batch(column, rows):
    flat = list(itertools.chain.from_iterable(_dense_values(column, row) for row in rows))
    return (array_of(flat, column.dtype, (len(rows), *column.shape)),)


def _any_values(column, features):
    return values_of(features, column) or ()


def _sequence_values(column, features):
    values, size = _any_values(column, features), math.prod(column.shape)
    if len(values) % size:
        raise _invalid(
            f"{features.where}Error while parsing feature with key {column.key}: number of elements should be divisible by "
            f"{size}, found {len(values)} instead"
        )
    return values


def _sequence(column, features):
    return (array_of(_sequence_values(column, features), column.dtype, (-1, *column.shape)),)


def _sequence_batch(column, rows):
    return (padded([_sequence_values(column, row) for row in rows], column),)


def padded(rows, column):
    """Rows of flat values, each filled up to the longest: [rows, longest, *shape]."""
    size = math.prod(column.shape)
    longest = max(map(len, rows), default=0)
    blank = column.default[0] if column.default else b"" if column.dtype is string else 0
    result = np.full((len(rows), longest), blank, column.dtype.numpy_dtype)
    for row, values in zip(result, rows, strict=True):
        row[: len(values)] = values
    return result.reshape(len(rows), longest // size, *column.shape)


def _sparse(column, features):
    values = _any_values(column, features)
    count = len(values)
    return np.arange(count)[:, None], array_of(values, column.dtype, (count,)), np.array([count])


def _sparse_batch(column, rows):
    parts = [_any_values(column, row) for row in rows]
    lengths = np.array([len(part) for part in parts], np.int64)
    indices = np.stack([np.repeat(np.arange(len(parts)), lengths), positions(lengths)], axis=1)
    values = array_of(list(itertools.chain.from_iterable(parts)), column.dtype, (-1,))
    return indices, values, np.array([len(parts), max(lengths, default=0)], np.int64)


def positions(lengths):
    """0, 1, ... within each of some rows, one after the other.

    Example:
        >>> positions(np.array([2, 0, 3])).tolist()
        [0, 1, 0, 1, 2]
    """
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(np.sum(lengths))) - np.repeat(starts, lengths)


def _ragged(column, features):
    values = _any_values(column, features)
    return (array_of(values, column.dtype, (len(values),)),)


def _ragged_batch(column, rows):
    parts = [_any_values(column, row) for row in rows]
    values = array_of(list(itertools.chain.from_iterable(parts)), column.dtype, (-1,))
    return values, splits_of(map(len, parts))


def splits_of(lengths):
    """The row splits of rows of some lengths."""
    return np.array(list(itertools.accumulate(lengths, initial=0)), np.int64)


SINGLE = {"dense": _dense, "sequence": _sequence, "sparse": _sparse, "ragged": _ragged}
BATCHED = {"dense": _dense_batch, "sequence": _sequence_batch, "sparse": _sparse_batch, "ragged": _ragged_batch}
