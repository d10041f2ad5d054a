"""Arrays that own memory which begins at a cache line; in NumPy's own, which begins anywhere, every vector lies in two lines.

NumPy lets one choose who allocates (NEP 49): here the C library's `aligned_alloc`, behind the functions of `runtime`. Where NumPy
has no such thing, `aligned_copy` gives an ordinary array, and `begins_well` is content with any.
"""

import ctypes
import functools

import numpy as np

from tapeflow.compile import pool
from tapeflow.compile.pool_memory import LINE

LARGE = 1 << 13  # bytes of an array from which it matters
SET_HANDLER = 304  # in NumPy's table of functions
NAME, CAPSULE = b"tapeflow", b"mem_handler"
POINTER = ctypes.c_void_p


class _Handler(ctypes.Structure):
    """NumPy's `PyDataMem_Handler`."""

    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", POINTER)]
    _fields_ += [(name, POINTER) for name in ("malloc", "calloc", "realloc", "free")]


@functools.cache
def _switch():
    """(A function that sets NumPy's handler and gives the one before, ours); None where NumPy is otherwise."""
    try:
        from numpy._core import _multiarray_umath as core
        from numpy._core.multiarray import get_handler_name

        table = _call("PyCapsule_GetPointer", POINTER, ctypes.py_object, ctypes.c_char_p)(core._ARRAY_API, None)
    except (ImportError, AttributeError):
        return None
    _kept.append(_Handler(NAME, 1, None, *pool.allocator()))
    new = _call("PyCapsule_New", ctypes.py_object, POINTER, ctypes.c_char_p, POINTER)
    ours = new(ctypes.addressof(_kept[0]), CAPSULE, None)
    switch = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(POINTER.from_address(table + 8 * SET_HANDLER).value)
    before = switch(ours)
    probe = np.empty(LARGE, np.uint8)
    switch(before)
    right = get_handler_name(probe) == NAME.decode() and probe.ctypes.data % LINE == 0
    return (switch, ours) if right else None


_kept: list = []  # for ever: arrays may outlive all else


def _call(name, result, *arguments):
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


def begins_well(array):
    """Whether an array begins where vectors want it to, or cannot be made to."""
    return array.nbytes < LARGE or array.ctypes.data % LINE == 0 or _switch() is None


def aligned_copy(array):
    """A copy of an array in C order that owns its memory, which begins at a cache line if it is large."""
    found = _switch() if array.nbytes >= LARGE else None
    if found is None:
        return np.array(array, order="C")
    switch, ours = found
    before = switch(ours)
    try:
        return np.array(array, order="C")
    finally:
        switch(before)


__all__ = ["aligned_copy", "begins_well"]
