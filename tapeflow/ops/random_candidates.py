"""Candidate sampling: classes drawn for `tf.nn.nce_loss` and its kin, with TensorFlow's own bits.

A sampler draws from a fixed distribution over 0, ..., range_max - 1, one class after the other, from a stream of words.
"""

import math

import numpy as np

from tapeflow.base.dtypes import float32, int64
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.movement import listed
from tapeflow.ops.random_bits import LONG, WORD, philox_block, stream_ints

_WORDS_EACH = 2048  # what TensorFlow reserves of a stream for one class


class Words:
    """The words of a stream, one after the other."""

    def __init__(self, key, counter):
        self._key, self._counter = stream_ints(key, counter)
        self._block = ()

    def next(self):
        """The next 32 bits, as an int."""
        if not self._block:
            self._block = philox_block(self._key, self._counter)
            self._counter += 1
        word, *self._block = self._block
        return word

    def below(self, n, wide=False):
        """An int from 0 to n - 1, all equally likely, made of 32 bits or 64."""
        most = LONG if wide else WORD
        while True:
            number = self.next() | self.next() << 32 if wide else self.next()
            if not n & (n - 1):
                return number & (n - 1)
            if number > most % n:  # the lowest numbers would make the lowest classes likelier
                return number % n

    def unit(self):
        """A float in [0, 1) of 52 bits."""
        high = self.next() & 0xFFFFF
        return (high << 32 | self.next()) * 0.5**52

    def single_unit(self):
        """A float in [0, 1) of 23 bits."""
        return (self.next() & 0x7FFFFF) * 0.5**23


class Uniform:
    """All classes are equally likely."""

    def __init__(self, size):
        self.size = size

    def draw(self, words):
        """The next class."""
        return words.below(self.size, wide=True)

    def probability(self, classes):
        """The probabilities of some classes, an array."""
        return np.full(classes.shape, 1 / self.size)

    def update(self, classes):
        """Learn that these classes occurred."""


class LogUniform(Uniform):
    """Class k has a probability of log((k + 2) / (k + 1)) / log(size + 1): Zipf's law."""

    def draw(self, words):
        return (int(math.exp(words.unit() * math.log1p(self.size))) - 1) % self.size

    def probability(self, classes):
        return np.log((classes + 2.0) / (classes + 1.0)) / math.log1p(self.size)


class LearnedUnigram(Uniform):
    """Class k is as likely as it has occurred among the true classes so far, and once more."""

    def __init__(self, size):
        super().__init__(size)
        self._counts = np.ones(size, np.int64)

    def draw(self, words):
        ends = np.cumsum(self._counts)
        return int(np.searchsorted(ends, words.below(int(ends[-1])), side="right"))

    def probability(self, classes):
        return self._counts[classes] / self._counts.sum()

    def update(self, classes):
        np.add.at(self._counts, classes, 1)


class FixedUnigram(Uniform):
    """Classes have given weights. Drawn by A. J. Walker's alias method, 1977."""

    def __init__(self, weights):
        super().__init__(len(weights))
        self._weights = np.asarray(weights, np.float32)
        scaled = self._weights.astype(np.float64) * self.size / self._weights.astype(np.float64).sum()
        self._alias = list(range(self.size))
        low = [i for i, p in enumerate(scaled) if p < 1]
        high = [i for i, p in enumerate(scaled) if p >= 1]
        while low and high:
            small, large = low.pop(), high.pop()
            self._alias[small] = large
            scaled[large] -= 1 - scaled[small]
            (low if scaled[large] < 1 else high).append(large)
        scaled[low + high] = 1
        self._share = scaled.astype(np.float32)

    def draw(self, words):
        unit = words.single_unit()
        i = words.below(self.size)
        return i if unit < self._share[i] else self._alias[i]

    def probability(self, classes):
        return self._weights[classes] / self._weights.sum()


def _expected(probability, count, tries):
    """How often a class of some probability is expected among `count` ones drawn in `tries` tries."""
    probability = probability.astype(np.float32).astype(np.float64)
    if tries == count:
        return (probability * count).astype(np.float32)
    return -np.expm1(tries * np.log1p(-probability)).astype(np.float32)


def _candidates_kernel(true_classes, *, source, sampler, num_true, num_sampled, unique):
    _check(true_classes.shape, num_true, num_sampled, unique, sampler.size)
    if true_classes.dtype != np.int64:
        raise TypeError(true_classes.dtype)
    outside = true_classes[(true_classes < 0) | (true_classes >= sampler.size)]
    if outside.size:
        raise invalid("CandidateSampler", f"`true_candidate` out of range [0, {sampler.size}), received {outside[0]}")
    words = Words(*source.reserve(num_sampled * _WORDS_EACH // 4))
    drawn, tries = [], 0
    taken = set()
    while len(drawn) < num_sampled:
        tries += 1
        candidate = sampler.draw(words)
        if unique and candidate in taken:
            continue
        taken.add(candidate)
        drawn.append(candidate)
    drawn = np.array(drawn, np.int64)
    counts = [_expected(sampler.probability(classes), num_sampled, tries) for classes in (true_classes, drawn)]
    sampler.update(true_classes.ravel())
    return drawn, *counts


def _check(dims, num_true, num_sampled, unique, size):
    name = "CandidateSampler"
    if dims is not None and len(dims) != 2:
        raise invalid(name, f"true_classes must be a matrix, got shape {listed(dims)}")
    if dims is not None and dims[1] not in (num_true, None):
        raise invalid(name, f"true_classes must have num_true columns, expected: {dims[1]} was: {num_true}")
    if num_sampled < 1:
        raise invalid(name, f"Value for attr 'num_sampled' of {num_sampled} must be at least minimum 1")
    if unique and num_sampled > size:
        raise invalid(name, f"Sampler's range is too small: {num_sampled} unique classes of {size}")


def _candidates_infer(true_classes, *, source, sampler, num_true, num_sampled, unique):
    _check(true_classes.shape, num_true, num_sampled, unique, sampler.size)
    return Spec((num_sampled,), int64), Spec(true_classes.shape, float32), Spec((num_sampled,), float32)


sample_candidates = Primitive(
    "sample_candidates",
    _candidates_kernel,
    _candidates_infer,
    accepts={int64},
    multiple=True,
    stateful=True,
    samples=lambda: [],
)
