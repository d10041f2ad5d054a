"""The environment variables that tapeflow reads, each with its meaning in one row, and their values.

Other modules read `flags.DEBUG`; a test or a notebook changes a value for a while with `flags.using(DEBUG=2)`.
"""

import contextlib
import os
from collections.abc import Callable
from typing import NamedTuple


class Flag(NamedTuple):
    """One environment variable: its name, how its text is read, its value where it is not set, and what it does."""

    name: str
    read: Callable
    default: object
    meaning: str


def level(text):
    """A number of a ladder; other programs read `DEBUG` too, and write words into it."""
    return int(text) if text.strip().isdigit() else 0


TABLE = (
    Flag(
        "DEBUG",
        level,
        0,
        "1: traces and fallbacks, 2: kernel times, 3: the graph around each pass, 4: LLVM, 5: assembly",
    ),
    Flag("COMPILE", level, 1, "0: functions run on the NumPy kernels, node by node"),
    Flag(
        "VALIDATE", level, 0, "1: functions run both on the NumPy kernels and as native code, and the results are compared"
    ),
    Flag("TAPEFLOW_CACHE", str, "~/.cache/tapeflow", "the folder of compiled code; empty: none is kept"),
    Flag("TAPEFLOW_ISA", str, "", "avx512, avx2 or sse: compile for no more than this instruction set"),
    Flag("TEST_TMPDIR", str, "", "the folder below which tf.test.TestCase makes its temporary folders"),
)

DEBUG: int
COMPILE: int
VALIDATE: int
TAPEFLOW_CACHE: str
TAPEFLOW_ISA: str
TEST_TMPDIR: str


def load(environ=os.environ):
    """Read every flag of the table from the environment.

    Example:
        >>> from tapeflow.base import flags
        >>> flags.load({"DEBUG": "2"})
        >>> flags.DEBUG
        2
        >>> flags.load()
    """
    for flag in TABLE:
        text = environ.get(flag.name)
        globals()[flag.name] = flag.default if text is None else flag.read(text)


@contextlib.contextmanager
def using(**values):
    """Within the context some flags have other values.

    Example:
        >>> from tapeflow.base import flags
        >>> with flags.using(DEBUG=3):
        ...     flags.DEBUG
        3
    """
    before = {name: globals()[name] for name in values}
    globals().update(values)
    try:
        yield
    finally:
        globals().update(before)


load()
