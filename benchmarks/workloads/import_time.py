"""How long the import takes in a fresh process, its files being in the system's cache."""

import importlib
import time

from row import Row

ROW = Row("import, time", unit="s", peer="tensorflow", limit=0.15, rounds=5, median=True)


def any_library(name):
    start = time.perf_counter()
    importlib.import_module(name)
    return time.perf_counter() - start
