"""`Stream`: one pass over a dataset, element by element; `Run`: what the streams of one pass share."""

import collections
import copy

from tapeflow.data.options import Options


class Run:
    """One iteration of a whole pipeline.

    Attributes:
        options: the `Options` of the pipeline.
        drawn: the seeds that its shuffles have taken, in order: with them a saved iterator goes on where it was. An entry is the
            two seeds, how many the generator had drawn then, and its number.

    Args:
        seeds: what `drawn` was in the run that this one repeats.
        generators: the generators of seeds whose place in `generators` is their number; others have -1.
    """

    def __init__(self, options=None, seeds=(), generators=()):
        self.options = Options() if options is None else options
        self.drawn = []
        self._numbers = {id(generator): number for number, generator in enumerate(generators)}
        self._again = collections.defaultdict(collections.deque)
        for entry in seeds:
            self._again[entry[-1]].append(tuple(entry))
        self._place, self._random = (), {}

    def within(self, branch):
        """The same run for one of several inputs: a dataset that stands in two places has two states of its random ops."""
        other = copy.copy(self)
        other._place = (*self._place, branch)
        return other

    def streams(self, graph):
        """The streams of the random ops of a function's graph here: however often the function begins anew, they go on."""
        return self._random.setdefault((self._place, id(graph)), {})

    def seeds(self, generator):
        """The two seeds for one pass of a shuffle, from its `SeedGenerator`."""
        number = self._numbers.get(id(generator), -1)
        if self._again[number]:
            entry = self._again[number].popleft()
            generator.position = entry[2]
        else:
            entry = (*generator.next(), generator.position, number)
        self.drawn.append(entry)
        return entry[:2]

    @property
    def ordered(self):
        """Whether parallel functions give their results in order, where they do not say themselves."""
        found = self.options.deterministic
        return True if found is None else found

    def threads(self, wanted, most):
        """How many threads to start where `wanted` are asked for: no more than the options allow."""
        pool = self.options.threading.private_threadpool_size
        return max(1, min(wanted, pool or most))


class Stream:
    """An iterator of elements, each the flat list of its leaves.

    After an error it goes on with the next element, as TensorFlow's do: that is what `ignore_errors` stands on. A generator
    could not, so streams are classes.
    """

    __slots__ = ()

    def __iter__(self):
        return self

    def __next__(self):
        raise NotImplementedError

    def skip(self, count):
        """Pass over `count` elements, or as many as there are."""
        for _ in range(count):
            if next(self, None) is None:
                return


class Plain(Stream):
    """The elements of a Python iterator that never raises."""

    __slots__ = ("_next",)

    def __init__(self, items):
        self._next = iter(items).__next__

    def __next__(self):
        return self._next()


class Joined(Stream):
    """The elements of the streams that `_open` gives, one stream after the other, until it raises StopIteration."""

    __slots__ = ("_inner",)

    def __init__(self):
        self._inner = Plain(())

    def _open(self):
        raise NotImplementedError

    def __next__(self):
        while True:
            try:
                return next(self._inner)
            except StopIteration:
                self._inner = Plain(())  # where `_open` fails, the next call opens the next one
            self._inner = self._open()
