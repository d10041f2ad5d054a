"""Where CPython's and NumPy's objects have what the fast call reads: offsets from their headers, checked on real objects.

Where anything is otherwise (another interpreter, a build without the lock, another NumPy) `AVAILABLE` is false.
"""

import ctypes
import sys
import sysconfig

import numpy as np

from tapeflow.core.tensor import Tensor, wrap

POINTER = ctypes.c_void_p

# Offsets in objects
COUNT, TYPE = 0, 8  # references, the type
DATA, RANK, DIMS, DESCR, FLAGS = 16, 24, 32, 56, 64  # of an ndarray
PAYLOAD = 16  # of a NumPy scalar
BYTES = 32  # of the first byte of a `bytes` object
USABLE = 0x1 | 0x100  # C order, aligned
CHANGEABLE = USABLE | 0x4 | 0x400  # and owning its data, and writable


class Owner(bytes):
    """An entry's constants, which its builtin function has as `self`."""

    kept: tuple


def _slot_offset(name):
    """Where a slot of `Tensor` is in the object: the member descriptor knows."""
    member = POINTER.from_address(id(Tensor.__dict__[name]) + 40).value
    return ctypes.c_ssize_t.from_address(member + 16).value


def _word(address):
    return POINTER.from_address(address).value or 0


def _find_offsets():
    """The offsets of `Tensor`'s slots, or None where any object is not laid out as the code takes it."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED") or ctypes.sizeof(POINTER) != 8:
        return None
    offsets = {name: _slot_offset(name) for name in ("_value", "_dtype", "_mark")}
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = wrap(array)
    real, small, constants = np.float64(2.5), np.int8(-3), Owner(b"constants")
    dims = _word(id(array) + DIMS)
    flags = [ctypes.c_int.from_address(id(x) + FLAGS).value & USABLE for x in (array, array[:, ::2])]
    right = (
        all(_word(id(tensor) + offset) == id(getattr(tensor, name)) for name, offset in offsets.items())
        and _word(id(tensor) + TYPE) == id(Tensor)
        and _word(id(array) + DATA) == array.ctypes.data
        and ctypes.c_int.from_address(id(array) + RANK).value == 2
        and [_word(dims), _word(dims + 8)] == [2, 3]
        and _word(id(array) + DESCR) == id(array.dtype) == id(np.dtype("f4"))
        and flags == [USABLE, USABLE & ~1]
        and ctypes.c_double.from_address(id(real) + PAYLOAD).value == 2.5
        and ctypes.c_int8.from_address(id(small) + PAYLOAD).value == -3
        and ctypes.string_at(id(constants) + BYTES, 9) == b"constants"
    )
    return offsets if right else None


try:
    OFFSETS = _find_offsets() or {}
except (AttributeError, KeyError, TypeError, ValueError):
    OFFSETS = {}
AVAILABLE = bool(OFFSETS)
