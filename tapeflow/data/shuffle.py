"""`Dataset.shuffle` and `Dataset.random`: the same order and the same numbers as TensorFlow's for the same seeds."""

import copy
import itertools
import sys

import numpy as np

from tapeflow.base.dtypes import int64
from tapeflow.base.errors import invalid
from tapeflow.base.specs import TensorSpec
from tapeflow.core.state import state
from tapeflow.data.dataset import (
    INFINITE_CARDINALITY,
    UNKNOWN_CARDINALITY,
    Dataset,
    UnaryDataset,
    as_int,
    constructor,
    method,
)
from tapeflow.data.stream import Plain, Stream
from tapeflow.ops import random as random_ops
from tapeflow.ops.random_stateful import PhiloxStream, stateful_bits

_FEWEST, _MOST = 64, 2048  # blocks of four words computed at a time


class SeedGenerator:
    """The seeds of the passes over a dataset: new ones for each pass, or the same for all.

    Args:
        seed: the op's seed, or None.
        fresh: whether each pass gets new ones.

    Attributes:
        position: how many have been drawn.
        traced: whether it was made while a function was traced: every run of the function then starts it anew.
    """

    def __init__(self, seed, fresh):
        self._given = random_ops.seeds.next(None if seed is None else as_int(seed))
        self._fresh = fresh
        self.traced = state.graph is not None
        self._start()

    def _start(self):
        stream = PhiloxStream(*self._given)  # makes seeds where there are none
        self._seeds = (stream._key, stream._counter >> 64)
        self.position = 0

    def anew(self):
        """A generator like this one, from the start."""
        other = copy.copy(self)
        other._start()
        return other

    def next(self):
        """The two seeds of the next pass."""
        if not self._fresh:
            return self._seeds
        words = stateful_bits(*self._seeds, 4, skip=self.position // 2).tolist()
        first = self.position % 2 * 2
        self.position += 1
        return words[first], words[first + 1]


def words(seed, seed2):
    """The 32-bit words, as ints, of the Philox stream of two seeds."""
    for block in word_blocks(seed, seed2):
        yield from block.tolist()


def word_blocks(seed, seed2):
    """The same as uint32 arrays, some hundred words at first."""
    start, count = 0, _FEWEST
    while True:
        yield stateful_bits(seed, seed2, 4 * count, skip=start)
        start, count = start + count, min(2 * count, _MOST)


class ShuffleDataset(UnaryDataset):
    """Each element is drawn from a buffer of the next ones."""

    def __init__(self, source, size, seed, reshuffle):
        super().__init__(source)
        self._buffer_size = size
        self._seeds = SeedGenerator(seed, reshuffle)

    def _in_rows(self):
        return self._source._in_rows()

    def _rows(self, run):
        table, numbers = self._source._rows(run)
        return table, _drawn(numbers, self._buffer_size, word_blocks(*run.seeds(self._seeds)))

    def _elements(self, run):
        return ShuffleStream(self._source._stream(run), self._buffer_size, words(*run.seeds(self._seeds)))


def _drawn(items, size, blocks):
    """The items in the order in which they are drawn from a buffer of the next `size` ones.

    The buffer is a ring that begins at `start`: a drawn item leaves its place to the first of the ring, and the next
    item that comes takes the first one's. The places are computed for a block of random words at a time.
    """
    items = iter(items)
    ring = list(itertools.islice(items, size))
    count, start = len(ring), 0
    block = next(blocks)
    if count == size:
        while True:
            more = list(itertools.islice(items, len(block)))
            used, block = block[: len(more)], block[len(more) :]
            firsts = np.arange(start, start + len(more))
            slots = (firsts + used % size) % size
            for item, slot, first in zip(more, slots.tolist(), (firsts % size).tolist(), strict=True):
                drawn = ring[slot]
                ring[slot] = ring[first]
                ring[first] = item
                yield drawn
            start += len(more)
            if len(block):  # there are no more items
                break
            block = next(blocks)
    while len(block) < count:
        block = np.concatenate([block, next(blocks)])
    firsts = np.arange(start, start + count)
    slots = (firsts + block[:count] % np.arange(count, 0, -1)) % max(count, 1)
    for slot, first in zip(slots.tolist(), (firsts % max(count, 1)).tolist(), strict=True):
        drawn = ring[slot]
        ring[slot] = ring[first]
        yield drawn


class ShuffleStream(Stream):
    """`_drawn` for a stream whose elements may fail: an error comes while the buffer is filled, and passes."""

    __slots__ = ("_count", "_draws", "_ring", "_size", "_source", "_start")

    def __init__(self, source, size, draws):
        self._source, self._size, self._draws = source, size, draws
        self._ring = []
        self._start = self._count = 0

    def __next__(self):
        if self._source is not None:
            self._fill()
        if not self._count:
            raise StopIteration
        ring, start = self._ring, self._start
        slot = (start + next(self._draws) % self._count) % len(ring)
        drawn, ring[slot], ring[start] = ring[slot], ring[start], None
        self._start = (start + 1) % len(ring)
        self._count -= 1
        return drawn

    def _fill(self):
        while self._count < self._size:
            try:
                item = next(self._source)
            except StopIteration:
                self._source = None
                return
            if len(self._ring) < self._size:
                self._ring.append(item)
            else:
                self._ring[(self._start + self._count) % self._size] = item
            self._count += 1


@method("shuffle")
def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True, name=None):
    """Elements in random order: each is drawn from a buffer of the next `buffer_size` ones.

    Args:
        buffer_size: the size of the buffer; with that of the dataset, or `tf.data.UNKNOWN_CARDINALITY`, every order is as likely.
        seed: makes the order that TensorFlow has for this seed, together with `tf.random.set_seed`.
        reshuffle_each_iteration: whether each iteration has another order.

    Raises:
        InvalidArgumentError: the buffer has no room.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.set_seed(5)
        >>> [int(x) for x in tf.data.Dataset.range(6).shuffle(3, seed=1)]
        [0, 2, 1, 5, 4, 3]
    """
    size = as_int(buffer_size)
    if size < 1 and size != UNKNOWN_CARDINALITY:
        raise invalid("shuffle", f"buffer_size must be greater than zero or UNKNOWN_CARDINALITY, got {size}")
    return ShuffleDataset(self, size if size > 0 else sys.maxsize, seed, reshuffle_each_iteration is not False)


class RandomDataset(Dataset):
    """Random 32-bit numbers, as int64, without an end.

    Args:
        seed: as for `Dataset.random`.
        rerandomize_each_iteration: whether each iteration has other numbers.
    """

    def __init__(self, seed=None, rerandomize_each_iteration=None, name=None):
        self._spec = TensorSpec([], int64)
        self._seeds = SeedGenerator(seed, bool(rerandomize_each_iteration))

    def _elements(self, run):
        return Plain([np.int64(word)] for word in words(*run.seeds(self._seeds)))

    def _size(self):
        return INFINITE_CARDINALITY


@constructor("random")
def random(seed=None, rerandomize_each_iteration=None, name=None):
    """Random numbers in [0, 2**32), as int64, without an end.

    Args:
        seed: makes the numbers that TensorFlow has for this seed, together with `tf.random.set_seed`.
        rerandomize_each_iteration: whether each iteration has other numbers.

    Example:
        >>> import tapeflow as tf
        >>> numbers = tf.data.Dataset.random(seed=4).take(3)
        >>> list(numbers.as_numpy_iterator()) == list(numbers.as_numpy_iterator())
        True
    """
    return RandomDataset(seed, rerandomize_each_iteration)
