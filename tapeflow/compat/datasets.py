"""MNIST without a network: `keras.datasets.mnist.load_data` falls back to the copy that tapeflow carries."""

import functools
import os
import queue
import sys
import threading
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

ANSWER_SECONDS = 3.0
CARRIED_COPY = Path(__file__).parents[1] / "assets" / "mnist.npz"


def install(mnist: ModuleType) -> None:
    """Lets `load_data` of Keras's `mnist` module use the carried copy where Keras can find or fetch no file of its own.

    Keras's cache and its download come first and stay Keras's. The carried file has the same arrays in another
    container, so it is read where it lies and never put into Keras's cache, whose checksum it would fail.

    Args:
      mnist: the module `keras.src.datasets.mnist`; its `load_data` looks `get_file` up by name at each call.
    """
    if not hasattr(mnist.get_file, "__wrapped__"):
        mnist.get_file = _with_carried_copy(mnist.get_file)  # type: ignore[attr-defined]


def _with_carried_copy(get_file):
    @functools.wraps(get_file)
    def get_file_or_carried_copy(fname: str | os.PathLike, origin: str, file_hash: str, **options: Any) -> str:
        fetch = functools.partial(get_file, fname=fname, origin=origin, file_hash=file_hash, **options)
        # Keras refuses a path in place of a name. Asking it when its cached file is bad and the network is down would
        # delete that file, and without an answer from the network it would wait for minutes.
        if os.sep in os.fspath(fname) or _is_cached(fname, file_hash):
            return fetch()
        failure = _why_unreachable(origin)
        if failure is None:
            try:
                return fetch()
            except Exception as error:  # Keras raises a plain Exception for a failed download
                failure = error
        print(f"tapeflow: MNIST cannot be downloaded ({failure}); its own copy is used", file=sys.stderr)
        return str(CARRIED_COPY)

    return get_file_or_carried_copy


def _is_cached(fname: str | os.PathLike, file_hash: str) -> bool:
    from keras.src.backend import config
    from keras.src.utils.file_utils import validate_file

    path = os.path.join(os.path.expanduser(config.keras_home()), "datasets", fname)
    return os.path.isfile(path) and validate_file(path, file_hash)


def _why_unreachable(origin: str) -> Exception | str | None:
    """The reason why `origin` gives no answer within ANSWER_SECONDS, or None where it does."""
    answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            request = urllib.request.Request(origin, method="HEAD")
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):
                answers.put(None)
        except Exception as error:
            answers.put(getattr(error, "reason", error))  # urllib wraps the system's error

    # In a thread, because the time-out bounds neither the look-up of the name nor a list of silent addresses.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        return f"no answer within {ANSWER_SECONDS:g} s"
