"""`Ahead`: threads that work ahead of the consumer, with a bounded number of results waiting. Prefetch, parallel map and
parallel interleave are this.

The threads know the `_Work` that they share with the stream, not the stream: a consumer that walks away drops the stream,
which tells them to stop, and nobody waits for them.
"""

import threading
import time

from tapeflow.data.stream import Stream

SLOW = (
    5e-4  # seconds; to hand an element over, from a thread that wakes and takes the interpreter, costs about a fifth of that
)
PATIENCE = 3  # slow elements in a row, for the first of all prepares and compiles


class _Work:
    """What an `Ahead` and its threads share.

    Attributes:
        source: the stream that elements come from; one thread reads it at a time.
        function: what is done with each, given its number too, or None.
        room: how many elements may be taken up that the consumer has not had yet.
        taken, given: how many have been taken from the source and given to the consumer.
        results: by number of the element, (value, error).
        ended: the number of elements in all, once it is known.
        stopped: nobody wants any more.
    """

    def __init__(self, source, function, room):
        self.source, self.function, self.room = source, function, room
        self.taken = self.given = 0
        self.results = {}
        self.ended = None
        self.stopped = False
        self.reading = threading.Lock()
        self.changed = threading.Condition()

    def stop(self):
        """Tell the threads that nobody wants any more; what they hold goes with them."""
        with self.changed:
            self.stopped = True
            self.results.clear()
            self.changed.notify_all()

    def take(self):
        """The number of the next element and the element or its error, or None where there is nothing more to do."""
        with self.reading:
            with self.changed:
                while not self.stopped and self.ended is None and self.taken - self.given >= self.room:
                    self.changed.wait()
                if self.stopped or self.ended is not None:
                    return None
                number = self.taken
                self.taken += 1
            try:
                return number, next(self.source), None
            except StopIteration:
                self.finish(number)
                return None
            except BaseException as error:
                return number, None, error

    def finish(self, number):
        """There are `number` elements."""
        with self.changed:
            self.ended = number
            self.source = None
            self.changed.notify_all()

    def put(self, number, value, error):
        """The result for an element is there."""
        with self.changed:
            if not self.stopped:
                self.results[number] = value, error
                self.changed.notify_all()


def _work_on(work):
    """What each thread does."""
    while (taken := work.take()) is not None:
        number, value, error = taken
        if error is None and work.function is not None:
            try:
                value = work.function(number, value)
            except BaseException as raised:
                value, error = None, raised
        work.put(number, value, error)
        del taken, value, error  # nothing of the last element stays while waiting for the next
    if work.stopped:
        with work.reading:  # another thread may still be reading it
            work.source = None


class Ahead(Stream):
    """The results of a function on the elements of a stream, computed by threads before they are asked for.

    Args:
        source: a stream.
        function: of the number of an element and its leaves, or None.
        threads: how many.
        room: how many results may be there or under way that the consumer has not had.
        ordered: whether results come in the order of the elements; otherwise as they are ready.
    """

    __slots__ = ("__weakref__", "_ordered", "_threads", "_work")

    def __init__(self, source, function, threads, room, ordered=True):
        self._work = _Work(source, function, room)
        self._threads = threads
        self._ordered = ordered

    def start(self):
        """Start the threads, where they are not at work yet."""
        for i in range(self._threads):
            threading.Thread(target=_work_on, args=(self._work,), name=f"tf.data {i}", daemon=True).start()
        self._threads = 0

    def __next__(self):
        if self._threads:
            self.start()
        work = self._work
        with work.changed:
            while True:
                number = work.given if self._ordered else next(iter(work.results), None)
                if number in work.results:
                    value, error = work.results.pop(number)
                    work.given += 1
                    work.changed.notify_all()
                    break
                if work.ended is not None and work.given >= work.ended:
                    raise StopIteration
                work.changed.wait()
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        return value

    def __del__(self):
        self._work.stop()


class WhenSlow(Stream):
    """A stream that threads work ahead for once its elements are slow; quick ones would wait for the interpreter in vain.

    Args:
        stream: the elements, computed as they are asked for.
        ahead: of the number of elements that have been asked for, the stream of the others by threads.
    """

    __slots__ = ("_ahead", "_given", "_slow", "_stream")

    def __init__(self, stream, ahead):
        self._stream, self._ahead = stream, ahead
        self._given = self._slow = 0

    def __next__(self):
        if self._ahead is None:
            return next(self._stream)
        self._given += 1  # before: an element that fails has its number, too
        start = time.perf_counter()
        value = next(self._stream)
        self._slow = self._slow + 1 if time.perf_counter() - start > SLOW else 0
        if self._slow == PATIENCE:
            self._stream, self._ahead = self._ahead(self._given), None
        return value
