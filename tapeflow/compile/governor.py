"""Whether a step runs on all threads or alone, decided by the clock while the program runs.

Where other programs keep the cores busy, a thread that holds a tile may wait for a slice of the scheduler and the whole
step with it: 1000 us instead of 105, when one thread alone takes 376. A step keeps its times in windows of a few calls.
When a window on all threads is slow beside the best one so far, the next runs alone, and where that was quicker so do the
following ones: one, and twice as many each time that all threads have lost again, for one late thread may spoil a window. On
a quiet machine one window is ever tried alone. The results are the same bits either way.
"""

import sys

from tapeflow.compile.text import I32, I64, PTR

# A governor's words, 64 bits each
ALONE, SUM, CALLS, MEAN_TOGETHER, MEAN_ALONE, BEST, HOLD, BACKOFF = range(0, 64, 8)
SIZE = 64

WINDOW_CALLS, WINDOW_TIME = 16, 2_000_000  # a window ends after so many calls or nanoseconds
LONG = 5_000_000  # ns of a step that is surely worth sharing: it is not tried alone without a reason
PATIENCE = 32  # most windows before the way that lost is tried again
MONOTONIC = 6 if sys.platform == "darwin" else 1


def clock(f):
    """Nanoseconds of a clock that never goes back."""
    f.module.declare("clock_gettime", I32, I32, PTR)
    time = f.stack(16)
    f.call("clock_gettime", I32, f.constant(I32, MONOTONIC), time)
    return f.load(time, I64) * 1_000_000_000 + f.load(time + 8, I64)


def account(f, governor, elapsed):
    """Add one call's time to the window, and decide where it is full."""

    def word(offset):
        return f.load(governor + offset, I64)

    total, calls = word(SUM) + elapsed, word(CALLS) + 1
    f.store(total, governor + SUM)
    f.store(calls, governor + CALLS)
    with f.when((calls >= WINDOW_CALLS) | (total > WINDOW_TIME)):
        mean = total // calls
        f.store(f.constant(I64, 0), governor + SUM)
        f.store(f.constant(I64, 0), governor + CALLS)
        f.choose(
            word(ALONE).equals(0),
            lambda: _after_together(f, governor, word, mean),
            lambda: _after_alone(f, governor, word, mean),
        )


def _after_together(f, governor, word, mean):
    best, hold = word(BEST), word(HOLD)
    best = f.where(best.equals(0) | (mean < best), mean, best)
    alone = word(MEAN_ALONE)
    slow = (mean * 2 > best * 3) | (alone.differs(0) & (mean * 4 > alone * 5))
    untried = alone.equals(0) & (mean < LONG)
    try_alone = (slow | untried) & (hold <= 0)
    f.store(mean, governor + MEAN_TOGETHER)
    f.store(best, governor + BEST)
    f.store(f.where(try_alone, f.constant(I64, 0), hold - 1), governor + HOLD)
    f.store(f.where(slow, word(BACKOFF), 1), governor + BACKOFF)
    f.store(f.where(try_alone, f.constant(I64, 1), 0), governor + ALONE)


def _after_alone(f, governor, word, mean):
    f.store(mean, governor + MEAN_ALONE)
    hold, backoff = word(HOLD) + 1, f.maximum(word(BACKOFF), f.constant(I64, 1))
    won = mean * 5 < word(MEAN_TOGETHER) * 4
    stay = won & (hold < backoff)
    f.store(f.where(stay, f.constant(I64, 1), 0), governor + ALONE)
    f.store(f.where(won, f.where(stay, hold, 0), f.constant(I64, PATIENCE)), governor + HOLD)
    longer = f.minimum(backoff * 2, f.constant(I64, PATIENCE))
    f.store(f.where(won, f.where(stay, backoff, longer), f.constant(I64, 1)), governor + BACKOFF)
