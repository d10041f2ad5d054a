"""The libraries that are measured: their interpreters, and the environment of their processes."""

import argparse
import os
import sys
from pathlib import Path

from row import LIBRARIES

ROOT = Path(__file__).resolve().parents[1]
NAMES = {"tapeflow": "tapeflow", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}


def add_argument(parser):
    """The option that names interpreters; `find_interpreters` takes what it gives."""
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        type=parse_peer,
        help=f"the interpreter that has one of {', '.join(LIBRARIES)}; may be repeated",
    )


def parse_peer(text):
    name, separator, python = text.partition("=")
    if not separator or name not in LIBRARIES:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PYTHON with a NAME of {', '.join(LIBRARIES)}")
    return name, python


def find_interpreters(given):
    """The interpreter of every library that is here: the one given, or the one that `make bench-peers` made."""
    places = {name: ROOT / ".venv-peers" / name / "bin" / "python" for name in LIBRARIES}
    places |= {"tapeflow": sys.executable, **dict(given)}
    return {name: str(python) for name, python in places.items() if Path(python).exists()}


def environment(library):
    """The variables of a library's process."""
    variables = os.environ | QUIET
    if library == "tapeflow":  # this checkout, installed or not
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return variables


def last_words(stderr, status):
    """Why a process ended, as far as its output tells."""
    return (stderr.strip().splitlines() or [f"exit status {status}"])[-1]
