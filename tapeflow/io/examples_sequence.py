"""Serialized `tensorflow.SequenceExample` messages to arrays: a context of features, and lists of features by step."""

import functools
import itertools
import math

import numpy as np

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.io import examples
from tapeflow.io.messages import message


def parsed_sequences(serialized, names, context, lists):
    """The columns of one serialized sequence example (bytes), or of a list of them, as a flat list of arrays.

    Those of the context are as `examples.parsed` gives them. Of the feature lists, a sequence gives its steps
    [steps, *shape] (in a batch padded, and how many steps each example has), a sparse column (indices, values, shape) with
    the steps as an axis before the last, a ragged column its values, the splits of the steps and, in a batch, of the examples.

    Raises:
        InvalidArgumentError: bytes that are no sequence example, a missing feature list, or one of another type or size.
    """
    batched = isinstance(serialized, list)
    rows = serialized if batched else [serialized]
    if len(names) not in (0, len(rows)):
        raise _invalid(f"Expected len(names) == len(serialized), but got {len(names)} vs. {len(rows)}")
    parsed = [
        (_message(data), names[i].decode(errors="replace") if len(names) else "<unknown>") for i, data in enumerate(rows)
    ]
    features = [examples.Features(row.context.feature, f"Name: {name}, ") for row, name in parsed]
    if batched:
        found = [array for column in context for array in examples.BATCHED[column.kind](column, features)]
    else:
        found = [array for column in context for array in examples.SINGLE[column.kind](column, features[0])]
    for column in lists:
        steps = [_steps(row.feature_lists.feature_list, name, column) for row, name in parsed]
        found += _LISTS[column.kind](column, steps, batched)
    return found


@functools.cache
def _sequence_example():
    return message("SequenceExample")


def _message(data):
    from google.protobuf.message import DecodeError

    try:
        return _sequence_example().FromString(data)
    except DecodeError as error:
        raise _invalid(f"Could not parse sequence example input, value: {data[:100]!r}") from error


def _invalid(text):
    return InvalidArgumentError(None, None, f"{text} [Op:ParseSequenceExampleV2]")


def _steps(lists, name, column):
    """For each step the values of a feature list."""
    found = lists.get(column.key)
    if found is None:
        if column.required:
            raise _invalid(
                f"Name: {name}, Feature list '{column.key}' is required but could not be found.  Did you mean to include it in "
                "feature_list_dense_missing_assumed_empty or feature_list_dense_defaults?"
            )
        return []
    steps = []
    for i, feature in enumerate(found.feature):
        where = f"Name: {name}, Feature list: {column.key}, Index: {i}. "
        values = examples.checked_values(feature, column.dtype, where) or ()
        if column.kind == "sequence" and len(values) != math.prod(column.shape):
            raise _invalid(
                f"Name: {name}, Key: {column.key}, Index: {i}.  Number of values != expected.  values size: {len(values)} but "
                f"output shape: {list(column.shape)}"
            )
        steps.append(values)
    return steps


def _flat(nested):
    return list(itertools.chain.from_iterable(nested))


def _sequence_lists(column, rows, batched):
    if not batched:
        return [examples.array_of(_flat(rows[0]), column.dtype, (len(rows[0]), *column.shape))]
    return [examples.padded([_flat(steps) for steps in rows], column), np.array([len(steps) for steps in rows], np.int64)]


def _sparse_lists(column, rows, batched):
    counts = np.array([len(steps) for steps in rows], np.int64)
    steps = _flat(rows)
    lengths = np.array([len(values) for values in steps], np.int64)
    axes = [np.repeat(np.repeat(np.arange(len(rows)), counts), lengths)] if batched else []
    axes += [np.repeat(examples.positions(counts), lengths), examples.positions(lengths)]
    shape = [len(rows)] if batched else []
    shape += [max(counts, default=0), max(lengths, default=0)]
    values = examples.array_of(_flat(steps), column.dtype, (-1,))
    return [np.stack(axes, axis=1), values, np.array(shape, np.int64)]


def _ragged_lists(column, rows, batched):
    steps = _flat(rows)
    found = [examples.array_of(_flat(steps), column.dtype, (-1,)), examples.splits_of(map(len, steps))]
    return [*found, examples.splits_of(map(len, rows))] if batched else found


_LISTS = {"sequence": _sequence_lists, "sparse": _sparse_lists, "ragged": _ragged_lists}
