"""Waiting for what other threads do."""

import time


def eventually(condition, seconds=10):
    """Whether `condition()` comes true; threads take a moment to end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False
