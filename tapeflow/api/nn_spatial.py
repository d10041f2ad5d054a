"""What the arguments of convolutions and pools mean: data formats, strides, sizes and paddings, as tuples over spatial
axes."""

import numbers

from tapeflow.base.errors import InvalidArgumentError, UnimplementedError
from tapeflow.core.convert import static_dims
from tapeflow.core.primitive import P
from tapeflow.ops.movement import dims_of

FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def channels_first(data_format, count):
    """Whether the channels are axis 1; raises where the format is not one of `count` spatial axes."""
    if data_format is None:
        return False
    last, first = FORMATS[count]
    if data_format not in (last, first) and not (count == 1 and data_format in FORMATS[2]):
        raise InvalidArgumentError(
            None,
            None,
            f'Value for attr \'data_format\' of "{data_format}" is not in the list of allowed values: "{last}", "{first}"',
        )
    return data_format.startswith("NC")


def full_tuple(value, count, first, name):
    """An argument such as strides as a tuple with an entry for every axis, in the order of the data format.

    Raises:
        ValueError: it has neither 1, nor `count`, nor `count + 2` entries.
    """
    if value is None:
        value = (1,)
    elif isinstance(value, str):
        raise TypeError(f"Expected int for argument {name!r} not {value!r}.")
    elif isinstance(value, numbers.Number) or not hasattr(value, "__len__"):
        value = (int(value),)
    if len(value) not in (1, count, count + 2):
        raise ValueError(
            f"{name} should be of length 1, {count} or {count + 2}. Received: {name}={list(value)} of length {len(value)}"
        )
    value = tuple([int(n) for n in value])
    if len(value) == count + 2:
        return value
    if len(value) == 1:
        value = value * count
    return (1, 1, *value) if first else (1, *value, 1)


def spatial_part(full, first):
    """The entries of the spatial axes."""
    return full[2:] if first else full[1:-1]


def spatial_tuple(value, count, first, name, op_name):
    """An argument such as strides for the spatial axes; batch and channels must have 1.

    Raises:
        UnimplementedError: the batch or the channels have another entry than 1.
    """
    full = full_tuple(value, count, first, name)
    part = spatial_part(full, first)
    if full[0] != 1 or full[1 if first else -1] != 1:
        raise UnimplementedError(
            None,
            None,
            f"Current implementation does not yet support {name} in the batch and depth dimensions: {list(full)} "
            f"[Op:{op_name}]",
        )
    return part


def spatial_padding(padding, count, first):
    """`"SAME"`, `"VALID"`, or explicit pairs for the spatial axes.

    Raises:
        ValueError: a list without a pair for each axis.
    """
    if isinstance(padding, str):
        return padding
    if not isinstance(padding, (list, tuple)):
        raise TypeError(f"padding must be 'SAME', 'VALID' or a list of pairs, got {padding!r}")
    if len(padding) != count + 2:
        raise ValueError(
            f"When padding is a list, it must be of size {count + 2}. Received: padding={padding} of size {len(padding)}"
        )
    pairs = tuple([static_dims(pair) for pair in padding])
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"When padding is a list, each element must be a list of size 2. Received: padding={padding}")
    return spatial_part(pairs, first)


def to_last(x, first):
    """`x` with its channels as the last axis."""
    if not first:
        return x
    rank = len(x.dims)
    return P.transpose(x, perm=(0, *range(2, rank), 1))


def from_last(x, first):
    """`x`, whose channels are the last axis, with the channels where the data format wants them."""
    if not first:
        return x
    rank = len(x.dims)
    return P.transpose(x, perm=(0, rank - 1, *range(1, rank - 1)))


def shape_to_last(dims, first):
    """A shape in the data format's order with the channels last."""
    return (dims[0], *dims[2:], dims[1]) if first else tuple(dims)


def merge_leading(x, count):
    """`x` with all axes before the last `count` as one, and a function that gives a result those axes back."""
    rank = len(x.dims)
    if rank == count + 1:
        return x, lambda y: y
    dims = dims_of(x)
    size = 1
    for n in dims[:-count]:
        size = size * n
    merged = P.reshape(x, shape=(size, *dims[-count:]))

    def split(y):
        return P.reshape(y, shape=(*dims[:-count], *dims_of(y)[1:]))

    return merged, split
