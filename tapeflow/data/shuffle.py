"""`Dataset.shuffle`: the same order as TensorFlow's for the same seeds."""

import itertools

from tapeflow.data.dataset import UnaryDataset
from tapeflow.data.structure import row
from tapeflow.ops import random
from tapeflow.ops.random_stateful import PhiloxStream, stateful_bits

_CHUNK = 256  # blocks of four words computed at a time


class ShuffleDataset(UnaryDataset):
    """Each element is drawn from a buffer of the next ones."""

    def __init__(self, source, size, seed, reshuffle):
        super().__init__(source)
        self._buffer_size = size
        seeds = random.seeds.next(None if seed is None else int(seed))
        stream = PhiloxStream(*seeds)  # makes seeds where there are none
        self._seeds = (stream._key, stream._counter >> 64)
        self._more_seeds = _words(*self._seeds) if reshuffle else None

    def _next_words(self):
        """The random words of the next iteration."""
        if self._more_seeds is None:
            return _words(*self._seeds)
        return _words(next(self._more_seeds), next(self._more_seeds))

    def _elements(self):
        rows = self._rows()
        if rows is None:
            return _drawn(self._source._elements(), self._buffer_size, self._next_words())
        arrays, numbers = rows
        return ([row(array, i) for array in arrays] for i in numbers)

    def _rows(self):
        rows = self._source._rows()
        return None if rows is None else (rows[0], _drawn(rows[1], self._buffer_size, self._next_words()))


def _words(seed, seed2):
    """The 32-bit words, as ints, of the Philox stream of two seeds."""
    for block in itertools.count(0, _CHUNK):
        yield from stateful_bits(seed, seed2, 4 * _CHUNK, skip=block).tolist()


def _drawn(items, size, words):
    """The items in the order in which they are drawn from a buffer of the next `size` ones.

    The buffer is a ring that begins at `start`: a drawn item leaves its place to the first of the ring, and the next
    item that comes takes the first one's.
    """
    items = iter(items)
    ring = list(itertools.islice(items, size))
    count, start, end = len(ring), 0, object()
    while count == size:
        slot = (start + next(words) % size) % size
        drawn, ring[slot] = ring[slot], ring[start]
        yield drawn
        item = next(items, end)
        if item is end:
            count -= 1
        else:
            ring[start] = item
        start = (start + 1) % size
    for left in range(count, 0, -1):
        slot = (start + next(words) % left) % len(ring)
        drawn, ring[slot] = ring[slot], ring[start]
        start = (start + 1) % len(ring)
        yield drawn
