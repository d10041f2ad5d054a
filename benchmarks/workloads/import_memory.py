"""The memory of a fresh process, the interpreter's included, after the import."""

import importlib

from measure import resident_megabytes
from row import Row

ROW = Row("import, resident memory", unit="MB", peer="tensorflow", limit=60, rounds=5, median=True)


def any_library(name):
    importlib.import_module(name)
    return resident_megabytes()
