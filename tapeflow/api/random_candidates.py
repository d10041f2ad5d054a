"""`tf.random.*_candidate_sampler`: a few classes drawn instead of all, and how often each was to be expected."""

import collections

import numpy as np

from tapeflow.api.export import export
from tapeflow.base.dtypes import float32, int64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import wrap
from tapeflow.ops import random_candidates as samplers
from tapeflow.ops.random import op_source

_FIELDS = ["sampled_candidates", "true_expected_count", "sampled_expected_count"]


def _sampled(name, make, true_classes, num_true, num_sampled, unique, seed, *attributes):
    """Draw with a sampler, which lives, as its stream does, for as long as the op's kernel in TensorFlow."""
    true_classes = convert_to_tensor(true_classes, dtype_hint=int64)
    attributes = (num_true, num_sampled, bool(unique), *attributes)
    source = op_source(name, None if seed is None else int(seed), *attributes)
    sampler = getattr(source, "sampler", None)
    if sampler is None:
        sampler = source.sampler = make()
    result = P.sample_candidates(
        true_classes, source=source, sampler=sampler, num_true=num_true, num_sampled=num_sampled, unique=bool(unique)
    )
    return collections.namedtuple(name, _FIELDS)(*result)


@export("random.uniform_candidate_sampler")
def uniform_candidate_sampler(true_classes, num_true, num_sampled, unique, range_max, seed=None, name=None):
    """Classes that are all equally likely.

    Args:
        true_classes: int64 [batch, num_true].
        num_sampled: how many classes to draw.
        unique: whether no class may be drawn twice.
        range_max: the number of classes.
        seed: an int; see `tf.random.set_seed`.

    Returns:
        A namedtuple (sampled_candidates, true_expected_count, sampled_expected_count): int64 [num_sampled], and how often
        each true and each sampled class is expected among the drawn ones, float32 [batch, num_true] and [num_sampled].

    Raises:
        InvalidArgumentError: more unique classes are wanted than there are, or the true classes have another shape.

    Example:
        >>> import tapeflow as tf
        >>> drawn = tf.random.uniform_candidate_sampler(tf.constant([[3]], tf.int64), 1, 4, True, range_max=4)
        >>> sorted(drawn.sampled_candidates.numpy().tolist())
        [0, 1, 2, 3]
    """
    kernel = "UniformCandidateSampler"
    return _sampled(
        kernel, lambda: samplers.Uniform(range_max), true_classes, num_true, num_sampled, unique, seed, range_max
    )


@export("random.log_uniform_candidate_sampler")
def log_uniform_candidate_sampler(true_classes, num_true, num_sampled, unique, range_max, seed=None, name=None):
    """Classes by Zipf's law: k has a probability of log((k + 2) / (k + 1)) / log(range_max + 1).

    See `tf.random.uniform_candidate_sampler`.

    Example:
        >>> import tapeflow as tf
        >>> drawn = tf.random.log_uniform_candidate_sampler(tf.constant([[0]], tf.int64), 1, 2, False, range_max=3)
        >>> drawn.true_expected_count.numpy().tolist()
        [[1.0]]
    """
    kernel = "LogUniformCandidateSampler"
    return _sampled(
        kernel, lambda: samplers.LogUniform(range_max), true_classes, num_true, num_sampled, unique, seed, range_max
    )


@export("random.learned_unigram_candidate_sampler")
def learned_unigram_candidate_sampler(true_classes, num_true, num_sampled, unique, range_max, seed=None, name=None):
    """Classes as they have occurred in the true classes of the calls before, which needs a `seed` when called eagerly.

    See `tf.random.uniform_candidate_sampler`.

    Example:
        >>> import tapeflow as tf
        >>> drawn = tf.random.learned_unigram_candidate_sampler(tf.constant([[0]], tf.int64), 1, 2, False, range_max=4)
        >>> drawn.true_expected_count.numpy().tolist()
        [[0.5]]
    """
    kernel = "LearnedUnigramCandidateSampler"
    return _sampled(
        kernel, lambda: samplers.LearnedUnigram(range_max), true_classes, num_true, num_sampled, unique, seed, range_max
    )


@export("random.fixed_unigram_candidate_sampler")
def fixed_unigram_candidate_sampler(
    true_classes,
    num_true,
    num_sampled,
    unique,
    range_max,
    vocab_file="",
    distortion=1.0,
    num_reserved_ids=0,
    num_shards=1,
    shard=0,
    unigrams=(),
    seed=None,
    name=None,
):
    """Classes with given weights.

    Args:
        vocab_file: a file with a line for each class, whose last field behind a comma is the weight.
        distortion: the power to which weights are raised.
        num_reserved_ids: how many classes with weight 0 come first.
        num_shards, shard: of all classes take every `num_shards`th, beginning with `shard`.
        unigrams: the weights, where there is no file.

    See `tf.random.uniform_candidate_sampler` for the others.

    Example:
        >>> import tapeflow as tf
        >>> drawn = tf.random.fixed_unigram_candidate_sampler(
        ...     tf.constant([[0]], tf.int64), 1, 2, False, range_max=2, unigrams=[3.0, 1.0])
        >>> drawn.true_expected_count.numpy().tolist()
        [[1.5]]
    """
    kernel = "FixedUnigramCandidateSampler"

    def make():
        if bool(vocab_file) == bool(len(unigrams)):
            raise invalid(kernel, "Must provide either vocab_file or unigrams, and not both.")
        given = _weights_of(vocab_file) if vocab_file else unigrams
        weights = [0.0] * num_reserved_ids + [float(np.float32(w) ** np.float32(distortion)) for w in given]
        weights = weights[shard::num_shards]
        if len(weights) != range_max:
            raise invalid(kernel, f"range is {range_max} must be equal to weights size {len(weights)}")
        return samplers.FixedUnigram(weights)

    attributes = (range_max, vocab_file, distortion, num_reserved_ids, num_shards, shard, tuple(unigrams))
    return _sampled(kernel, make, true_classes, num_true, num_sampled, unique, seed, *attributes)


def _weights_of(path):
    with open(path) as lines:
        return [float(line.rsplit(",", 1)[-1]) for line in lines if line.strip()]


@export("random.all_candidate_sampler")
def all_candidate_sampler(true_classes, num_true, num_sampled, unique, seed=None, name=None):
    """All classes 0, ..., num_sampled - 1, for tests; each is expected once.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.all_candidate_sampler(tf.constant([[0]], tf.int64), 1, 3, True).sampled_candidates.numpy().tolist()
        [0, 1, 2]
    """
    true_classes = convert_to_tensor(true_classes, dtype_hint=int64)
    ones = P.ones_like(P.cast(true_classes, dtype=float32))
    result = wrap(np.arange(num_sampled)), ones, wrap(np.ones(num_sampled, np.float32))
    return collections.namedtuple("AllCandidateSampler", _FIELDS)(*result)
