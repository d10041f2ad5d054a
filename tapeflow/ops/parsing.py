"""Serialized examples to tensors, column by column."""

import numpy as np

from tapeflow.base.dtypes import int64, string
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.io.examples import Column, parsed
from tapeflow.io.examples_sequence import parsed_sequences
from tapeflow.io.messages import message
from tapeflow.ops.images import boxed


def _serialized(op, data):
    """The bytes of a scalar, or a list of those of a vector."""
    if data.ndim == 0:
        return bytes(data[()])
    _check_rank(op, data.shape)
    return data.tolist()


def _check_rank(op, shape):
    if shape is not None and len(shape) > 1:
        raise invalid(op, f"Expected serialized to be a scalar or vector, got shape: {list(shape)}")


def _example_kernel(serialized, names, *, columns):
    return tuple(parsed(_serialized("ParseExampleV2", serialized), names, columns))


def _example_infer(serialized, names, *, columns):
    _check_rank("ParseExampleV2", serialized.shape)
    if serialized.shape is None:
        raise invalid("ParseExampleV2", "serialized must be known to be a scalar or a vector while tracing")
    return tuple([spec for column in columns for spec in _specs(column, serialized.shape)])


def _specs(column, batch):
    """The specs of a column of one example, where `batch` is (), or of a vector of them."""
    match column.kind:
        case "dense":
            return (Spec((*batch, *column.shape), column.dtype),)
        case "sequence":
            return (Spec((*batch, None, *column.shape), column.dtype),)
        case "sparse":
            rank = 1 + len(batch)
            return Spec((None, rank), int64), Spec((None,), column.dtype), Spec((rank,), int64)
        case "ragged":
            return Spec((None,), column.dtype), *[Spec((None if n is None else n + 1,), int64) for n in batch]
        case _:
            raise ValueError(column.kind)


def _sample():
    example = message("Example")()
    example.features.feature["i"].int64_list.value.extend([1, 2, 3])
    example.features.feature["b"].bytes_list.value.append(b"x")
    return example.SerializeToString()


_COLUMNS = (
    Column("i", "dense", int64, (3,)),
    Column("b", "sparse", string),
    Column("i", "ragged", int64),
    Column("i", "sequence", int64, (3,)),
)
_NO_NAMES = np.empty(0, object)


def _several(data):
    result = np.empty(2, object)
    result[:] = [data, data]
    return result


# `names` are those of the examples, for messages; none at all will do.
parse_example = Primitive(
    "parse_example",
    _example_kernel,
    _example_infer,
    accepts={string},
    multiple=True,
    samples=lambda: [
        ((boxed(_sample()), _NO_NAMES), {"columns": _COLUMNS}),
        ((_several(_sample()), _NO_NAMES), {"columns": _COLUMNS}),
    ],
)


def _sequence_kernel(serialized, names, *, context, lists):
    return tuple(parsed_sequences(_serialized("ParseSequenceExampleV2", serialized), names, context, lists))


def _sequence_infer(serialized, names, *, context, lists):
    _check_rank("ParseSequenceExampleV2", serialized.shape)
    if serialized.shape is None:
        raise invalid("ParseSequenceExampleV2", "serialized must be known to be a scalar or a vector while tracing")
    batch = serialized.shape
    found = [spec for column in context for spec in _specs(column, batch)]
    for column in lists:
        match column.kind:
            case "sequence":
                found += [Spec((*batch, None, *column.shape), column.dtype), *[Spec((n,), int64) for n in batch]]
            case "sparse":
                rank = 2 + len(batch)
                found += [Spec((None, rank), int64), Spec((None,), column.dtype), Spec((rank,), int64)]
            case _:
                found += [Spec((None,), column.dtype), Spec((None,), int64)]
                found += [Spec((None if n is None else n + 1,), int64) for n in batch]
    return tuple(found)


def _sequence_sample():
    example = message("SequenceExample")()
    example.context.feature["c"].int64_list.value.append(7)
    for step in ([1], [2]):
        example.feature_lists.feature_list["l"].feature.add().int64_list.value.extend(step)
    return example.SerializeToString()


_LISTS = tuple([Column("l", kind, int64) for kind in ("sequence", "sparse", "ragged")])
parse_sequence_example = Primitive(
    "parse_sequence_example",
    _sequence_kernel,
    _sequence_infer,
    accepts={string},
    multiple=True,
    samples=lambda: [
        ((boxed(_sequence_sample()), _NO_NAMES), {"context": (Column("c", "dense", int64),), "lists": _LISTS}),
        ((_several(_sequence_sample()), _NO_NAMES), {"context": (Column("c", "sparse", int64),), "lists": _LISTS}),
    ],
)

__all__ = ["parse_example", "parse_sequence_example"]
