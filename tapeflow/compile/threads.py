"""How many threads the user wants; `pool` makes them when the first step runs. Light, for it is loaded with the API."""

import ctypes


class Settings:
    """What the user asked for, and what follows from it."""

    def __init__(self):
        self.threads = 0  # 0: one for each core
        self.scratch = 0  # bytes that any program so far wants for each thread
        self.stale = ctypes.c_int64(1)  # not 0: there is no pool of these settings in this process; fast calls read it


settings = Settings()


def set_thread_count(number):
    """Use so many threads from now on; 0 for one on each core. Results are the same bits for any number.

    Raises:
        ValueError: a negative number.
    """
    if number < 0:
        raise ValueError(f"The number of threads must not be negative, got {number}.")
    if number != settings.threads:
        settings.threads = number
        settings.stale.value = 1
