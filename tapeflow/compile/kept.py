"""Plain data in the disk cache, by keys of what it was made of rather than by what it is; object code is what it leads to."""

import contextlib
import json

from tapeflow.base import flags
from tapeflow.compile import jit
from tapeflow.compile.cache import cache, key_of
from tapeflow.compile.description import Undescribed, surroundings


def code_of(name, make, names):
    """The `Code` of a text that the sources alone decide: of `make()`, where it is not kept by its name."""
    key = None
    if not flags.DEBUG:
        with contextlib.suppress(Undescribed):
            key = key_of(surroundings(), name)
    found = key and read(key)
    code = jit.load(found, names) if found else None
    if code is None:
        code = jit.compile_text(make(), names)
        if key:
            write(key, code.keys)
    return code


def read(key):
    """The data of a key, or None."""
    store = cache()
    data = store and store.get(key)
    return data and json.loads(data)


def write(key, found):
    """Keep data: numbers, texts, lists and dicts of them."""
    store = cache()
    if store:
        store.put(key, json.dumps(found, default=int).encode())


__all__ = ["code_of", "read", "write"]
