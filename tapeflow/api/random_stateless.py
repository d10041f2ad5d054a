"""`tf.random.stateless_*`: random ops whose numbers depend on nothing but their arguments."""

from tapeflow.api.arguments import vector, whole_number
from tapeflow.api.export import export
from tapeflow.api.random import UNIFORM, between, class_dtype, gamma_parameters, sample_count, scaled
from tapeflow.base.dtypes import as_dtype, float32, int32, int64, uint32, uint64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.ops.random_bits import AUTO_SELECT, algorithm_number


def stream_of(seed, alg=AUTO_SELECT):
    """The stream that a seed of two integers stands for, and the number of the algorithm that reads it."""
    alg = AUTO_SELECT if alg is None else algorithm_number(alg)
    seed = convert_to_tensor(seed)
    if seed._dtype not in (int32, int64):
        raise invalid(
            "StatelessRandomGetKeyCounter",
            f"Value for attr 'Tseed' of {seed._dtype.c_name} is not in the list of allowed values: int32, int64",
        )
    return P.seed_stream(seed, alg=alg), alg


@export("random.stateless_uniform")
def stateless_uniform(shape, seed, minval=0, maxval=None, dtype=float32, name=None, alg="auto_select"):
    """`tf.random.uniform` whose numbers depend on `seed` alone.

    Args:
        shape: the shape of the result.
        seed: two integers, int32 or int64.
        minval, maxval: the range, as for `tf.random.uniform`; both None for integers over the dtype's whole range.
        dtype: float16, bfloat16, float32, float64, int32 or int64; for the whole range also uint32 or uint64.
        alg: "philox", "threefry" (which TensorFlow only has on other devices) or "auto_select".

    Example:
        >>> import tapeflow as tf
        >>> tf.random.stateless_uniform([2], seed=[1, 2]).numpy()
        array([0.8440604 , 0.19204533], dtype=float32)
    """
    dtype = as_dtype(dtype)
    accepted = (*UNIFORM, uint32, uint64)
    if dtype not in accepted:
        raise ValueError(f"Argument `dtype` got invalid value {dtype}. Accepted dtypes are {accepted}.")
    if dtype.is_integer:
        if (minval is None) != (maxval is None):
            raise ValueError(
                f"For integer `dtype` argument {dtype}, argument `minval` and `maxval` must be both None or not None. "
                f"Got `minval`={minval} and `maxval`={maxval}."
            )
        if minval is not None and dtype.is_unsigned:
            raise ValueError(
                f"Argument `dtype` got invalid value {dtype} when argument `minval` is not None. "
                "Please don't use unsigned integers in this case."
            )
    dims = vector(shape, "StatelessRandomUniformV2", "shape")
    return uniform_of(lambda: stream_of(seed, alg), dims, minval, maxval, dtype)


def uniform_of(stream, dims, minval, maxval, dtype):
    """Uniform numbers of a stream; `stream` is a function that gives it and its algorithm."""
    if not dtype.is_integer:

        def values():
            source, alg = stream()
            return P.random_uniform(source, shape=dims, dtype=dtype, alg=alg)

        return between(values, minval, 1 if maxval is None else maxval, dtype)
    if minval is None:
        source, alg = stream()
        return P.random_full_int(source, shape=dims, dtype=dtype, alg=alg)
    bounds = [convert_to_tensor(bound, dtype) for bound in (minval, maxval)]
    source, alg = stream()
    return P.random_uniform_int(source, *bounds, shape=dims, alg=alg)


@export("random.stateless_normal")
def stateless_normal(shape, seed, mean=0.0, stddev=1.0, dtype=float32, name=None, alg="auto_select"):
    """`tf.random.normal` whose numbers depend on `seed`, two integers, alone.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.stateless_normal([2], seed=[1, 2]).numpy()
        array([0.5441101 , 0.20738031], dtype=float32)
    """
    dims = vector(shape, "StatelessRandomNormalV2", "shape")
    return normal_of(P.random_normal, lambda: stream_of(seed, alg), dims, mean, stddev, as_dtype(dtype))


@export("random.stateless_truncated_normal")
def stateless_truncated_normal(shape, seed, mean=0.0, stddev=1.0, dtype=float32, name=None, alg="auto_select"):
    """`tf.random.truncated_normal` whose numbers depend on `seed`, two integers, alone.

    Example:
        >>> import tapeflow as tf
        >>> bool(tf.reduce_all(tf.abs(tf.random.stateless_truncated_normal([100], seed=[1, 2])) < 2.0))
        True
    """
    dims = vector(shape, "StatelessTruncatedNormalV2", "shape")
    return normal_of(P.truncated_normal, lambda: stream_of(seed, alg), dims, mean, stddev, as_dtype(dtype))


def normal_of(sampler, stream, dims, mean, stddev, dtype):
    """Scaled normal numbers of a stream; `stream` is a function that gives it and its algorithm."""

    def values():
        source, alg = stream()
        return sampler(source, shape=dims, dtype=dtype, alg=alg)

    return scaled(values, mean, stddev, dtype)


@export("random.stateless_gamma")
def stateless_gamma(shape, seed, alpha, beta=None, dtype=float32, name=None):
    """Gamma samples that depend on `seed`, two integers, and the parameters alone; gradients reach `alpha` and `beta`.

    Args:
        shape: the shape of the result, which ends with that of `alpha + beta` (unlike that of `tf.random.gamma`).

    Example:
        >>> import tapeflow as tf
        >>> tf.random.stateless_gamma([3, 2], seed=[12, 34], alpha=[0.5, 1.5]).shape
        TensorShape([3, 2])
    """
    dims = vector(shape, "StatelessRandomGammaV3", "shape")
    alpha, beta, tiny = gamma_parameters(alpha, beta, as_dtype(dtype))
    return P.maximum(P.random_gamma(stream_of(seed)[0], alpha, shape=dims) / beta, tiny)


@export("random.stateless_poisson")
def stateless_poisson(shape, seed, lam, dtype=int32, name=None):
    """Poisson samples that depend on `seed`, two integers, and the rates alone.

    Args:
        shape: the shape of the result, which ends with that of `lam` (unlike that of `tf.random.poisson`).

    Example:
        >>> import tapeflow as tf
        >>> tf.random.stateless_poisson([3, 2], seed=[1, 2], lam=[5, 15]).numpy().tolist()
        [[7, 25], [5, 11], [8, 18]]
    """
    dims = vector(shape, "StatelessRandomPoisson", "shape")
    return P.random_poisson(stream_of(seed)[0], convert_to_tensor(lam), shape=dims, dtype=as_dtype(dtype))


@export("random.stateless_binomial")
def stateless_binomial(shape, seed, counts, probs, output_dtype=int32, name=None):
    """Binomial samples that depend on `seed`, two integers, and the parameters alone.

    Args:
        shape: the shape of the result, which ends with what those of `counts` and `probs` broadcast to.
        counts: how often each experiment is tried.
        probs: its probability of success.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.stateless_binomial([2], seed=[1, 2], counts=[10.0, 20.0], probs=[0.8]).numpy().tolist()
        [7, 14]
    """
    dims = vector(shape, "StatelessRandomBinomial", "shape")
    probs = convert_to_tensor(probs, dtype_hint=float32)
    counts = convert_to_tensor(counts, dtype_hint=probs._dtype)
    return P.random_binomial(stream_of(seed)[0], counts, probs, shape=dims, dtype=as_dtype(output_dtype))


@export("random.stateless_categorical")
def stateless_categorical(logits, num_samples, seed, dtype=int64, name=None):
    """`tf.random.categorical` whose choices depend on `seed`, two integers, and the logits alone.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.stateless_categorical([[1.0, 2.0]], 5, seed=[1, 2]).numpy().tolist()
        [[1, 1, 0, 1, 1]]
    """
    logits, dtype, count = convert_to_tensor(logits), class_dtype(dtype), sample_count(num_samples)
    return P.categorical(stream_of(seed)[0], logits, num_samples=count, dtype=dtype)


@export("random.stateless_parameterized_truncated_normal")
def stateless_parameterized_truncated_normal(shape, seed, means=0.0, stddevs=1.0, minvals=-2.0, maxvals=2.0, name=None):
    """Normally distributed numbers between bounds.

    Args:
        shape: the shape of the result, which ends with what those of the parameters broadcast to.
        seed: two integers.
        means, stddevs: of the normal distribution.
        minvals, maxvals: the bounds; one of each pair may be infinite.

    Raises:
        InvalidArgumentError: a deviation that is not positive, or bounds that are not in order.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.stateless_parameterized_truncated_normal([2], [1, 2], 0.0, 1.0, -1.0, [1.0, 3.0]).numpy()
        array([0.68812084, 0.65125775], dtype=float32)
    """
    dims = vector(shape, "StatelessParameterizedTruncatedNormal", "shape")
    means = convert_to_tensor(means)
    rest = [convert_to_tensor(x, dtype_hint=means._dtype) for x in (stddevs, minvals, maxvals)]
    return P.parameterized_truncated_normal(stream_of(seed)[0], means, *rest, shape=dims)


@export("random.experimental.stateless_shuffle")
def stateless_shuffle(value, seed, alg="auto_select", name=None):
    """`tf.random.shuffle` whose order depends on `seed`, two integers, alone.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.experimental.stateless_shuffle([1, 2, 3], seed=[8, 9]).numpy().tolist()
        [3, 1, 2]
    """
    return P.random_shuffle(stream_of(seed, alg)[0], convert_to_tensor(value))


@export("random.split", "random.experimental.stateless_split")
def split(seed, num=2, alg="auto_select"):
    """`num` new seeds made of one, of its dtype: a tensor [num, 2].

    Example:
        >>> import tapeflow as tf
        >>> tf.random.split([1, 2], num=3).numpy().tolist()
        [[1105988140, 1738052849], [-335576002, 370444179], [10670227, -246211131]]
    """
    seed = convert_to_tensor(seed)
    return stateless_uniform((whole_number(num, "num"), 2), seed, None, None, seed._dtype, alg=alg)


@export("random.fold_in", "random.experimental.stateless_fold_in")
def fold_in(seed, data, alg="auto_select"):
    """A new seed [2] made of a seed and an integer, such as the number of a step; its dtype is that of `data`.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.fold_in([1, 2], 3).numpy().tolist()
        [1105988140, 3]
    """
    data = convert_to_tensor(data)
    return P.stack(stateless_uniform((), seed, None, None, data._dtype, alg=alg), data, axis=0)


@export("random.experimental.index_shuffle")
def index_shuffle(index, seed, max_index):
    """Where `index` goes in a random permutation of 0, ..., `max_index` that is never written out.

    Args:
        index: an integer scalar or vector.
        seed: integers [2], or [n, 2] for a permutation of its own for each index.
        max_index: an integer scalar or vector of index's dtype.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.experimental.index_shuffle(tf.range(4), seed=[5, 9], max_index=3).numpy().tolist()
        [2, 0, 1, 3]
    """
    index = convert_to_tensor(index)
    max_index = convert_to_tensor(max_index, dtype_hint=index._dtype)
    return P.random_index_shuffle(index, convert_to_tensor(seed), max_index, rounds=4)


@export("random_index_shuffle")
def random_index_shuffle(index, seed, max_index, rounds=4, name=None):
    """`tf.random.experimental.index_shuffle` with the whole key of the cipher: `seed` is three integers, or [n, 3].

    Example:
        >>> import tapeflow as tf
        >>> tf.random_index_shuffle(1, [5, 9, 7], 3).numpy()
        np.int32(3)
    """
    index, seed = convert_to_tensor(index), convert_to_tensor(seed)
    if seed.dims is not None and seed.dims[-1:] not in ((3,), (None,)):
        raise invalid(
            "RandomIndexShuffle",
            f"Seed must be a vector of size [3] or a matrix of size [n, 3] but got {list(seed.dims)}.",
        )
    return P.random_index_shuffle(index, seed, convert_to_tensor(max_index, dtype_hint=index._dtype), rounds=rounds)
