"""Time and memory of the process that runs a workload."""

import os
import resource
import timeit


def best_microseconds(step, names=None, seconds=1.0):
    """The least time that one `step` took, over windows of 2 to 4 ms.

    The least and not the mean: all windows do the same work, and what makes some of them longer is the machine's.
    They are short, so that some pass undisturbed on a busy machine too.

    Args:
      step: a callable, or a statement that is timed without the cost of a call.
      names: the names that a statement uses.
      seconds: how long to go on measuring; a step that takes longer is measured once.
    """
    # timeit switches the garbage collector off; its work is part of what an object with cycles costs.
    timer = timeit.Timer(step, setup="import gc; gc.enable()", globals=names or {})
    calls = 1
    while (elapsed := timer.timeit(calls)) < 0.002:
        calls *= 2
    return min([elapsed, *timer.repeat(int(seconds / elapsed), calls)]) / calls * 1e6


def resident_megabytes():
    """The memory of this process that is in RAM."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except FileNotFoundError:  # not Linux: the peak, in KiB on BSD and bytes on macOS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1e6 if os.uname().sysname == "Darwin" else peak * 1024 / 1e6
