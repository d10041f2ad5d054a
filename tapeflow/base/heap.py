"""Freed memory stays in the process for the next array.

glibc gives large blocks back to the system when they are freed, and the next op has to touch new pages again: 0.2 us for
each KiB here. Three ops on 100,000 numbers took 570 us so, and 190 us with the limits below.
"""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
KEPT = 256 << 20  # bytes at the end of the heap that are kept
LARGEST = 32 << 20  # bytes of a block that comes from the heap; glibc takes no larger limit
SETTINGS = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"}


def keep_freed_memory():
    """Set the limits, where the C library has them and the user's environment sets none."""
    if not sys.platform.startswith("linux") or not SETTINGS.isdisjoint(os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, KEPT)


__all__ = ["keep_freed_memory"]
