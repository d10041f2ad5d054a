"""What public functions that ask for shapes do to ragged tensors instead: see `ragged_overrides`."""

from tapeflow.api.export import public
from tapeflow.api.ragged_reduce import axis_of
from tapeflow.api.ragged_rules import joined
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.core.convert import static_dims
from tapeflow.core.primitive import P


def tile(input, multiples, name=None):
    """The ragged tensor repeated along its axes."""
    counts = static_dims(multiples)
    if len(counts) != len(input.dims):
        raise ValueError(
            f"Expected multiples of length {len(input.dims)}, one for each axis, but got {len(counts)}: {counts}"
        )
    if any(n.__class__ is not int for n in counts):
        raise ValueError("tf.tile of a ragged tensor needs multiples that are known while tracing.")
    for axis, count in enumerate(counts):
        if count == 0:
            input = input[(*[slice(None)] * axis, slice(0, 0))]
        elif count > 1:
            input = joined([input] * count, axis)
    return input


def size(input, out_type=None, name=None):
    """The number of values."""
    return public("size")(input.flat_values, out_type)


def one_hot(indices, depth, on_value=None, off_value=None, axis=None, dtype=None, name=None):
    """The one-hot vector of each value."""
    if axis is not None and axis >= 0 and axis <= indices.ragged_rank:
        raise ValueError(f"axis ({axis}) must be greater than indices.ragged_rank ({indices.ragged_rank}).")
    inner = axis if axis is None or axis < 0 else axis - indices.ragged_rank
    return indices.with_flat_values(public("one_hot")(indices.flat_values, depth, on_value, off_value, inner, dtype))


def split(value, num_or_size_splits, axis=0, num=None, name="split"):
    """The rows cut into several ragged tensors."""
    axis = axis_of(axis, len(value.dims))
    if axis and value.dims[axis] is None:
        raise ValueError(f"Cannot split a ragged dimension. Got `value` with shape {value.shape} and `axis` {axis}.")
    length = value.dims[axis]
    if isinstance(num_or_size_splits, int):
        if length % num_or_size_splits:
            raise ValueError(f"{length} rows cannot be split into {num_or_size_splits} equal parts")
        sizes = [length // num_or_size_splits] * num_or_size_splits
    else:
        sizes = list(static_dims(num_or_size_splits))
        if -1 in sizes:
            sizes[sizes.index(-1)] = length - sum(n for n in sizes if n >= 0)
    if sum(sizes) != length:
        raise ValueError(f"The parts {sizes} do not add up to the {length} rows")
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [value[(*[slice(None)] * axis, slice(end - n, end))] for n, end in zip(sizes, ends, strict=True)]


def reduce_variance(input_tensor, axis=None, keepdims=False, name=None):
    """The mean of the squares less the square of the mean: rows of means would not line up with the rows themselves."""
    mean, square = [public("reduce_mean")(x, axis, keepdims) for x in (input_tensor, P.square(input_tensor))]
    return square - P.square(mean)


def reduce_std(input_tensor, axis=None, keepdims=False, name=None):
    """The root of the variance."""
    return P.sqrt(reduce_variance(input_tensor, axis, keepdims))


def dropout(x, rate, noise_shape=None, seed=None, name=None):
    """Dropout of each value."""
    if noise_shape is not None:
        raise ValueError("noise_shape is not supported yet for RaggedTensor x")
    return x.with_flat_values(public("nn.dropout")(x.flat_values, rate, seed=seed))


def stateless_dropout(x, rate, seed, rng_alg=None, noise_shape=None, name=None):
    """Dropout of each value, by a seed."""
    if noise_shape is not None:
        raise ValueError("noise_shape is not supported yet for RaggedTensor x")
    return x.with_flat_values(public("nn.experimental.stateless_dropout")(x.flat_values, rate, seed, rng_alg))


def bincount(arr, weights=None, minlength=None, maxlength=None, dtype=None, name=None, axis=None, binary_output=False):
    """Counts of all values, or (`axis=-1`) of those of each row."""
    if axis in (None, 0):
        flat = weights.flat_values if isinstance(weights, RaggedTensor) else weights
        given = {} if dtype is None else {"dtype": dtype}
        return public("math.bincount")(
            arr.flat_values, flat, minlength, maxlength, axis=axis, binary_output=binary_output, **given
        )
    counts = public("sparse.bincount")(arr, weights, axis, minlength, maxlength, binary_output)
    counts = public("sparse.to_dense")(counts)
    return counts if dtype is None or weights is not None else public("cast")(counts, dtype)
