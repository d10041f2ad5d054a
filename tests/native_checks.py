"""What the tests of native code share: kernels called on arrays, and arrays between guard pages."""

import ctypes
import mmap

import numpy as np

from tapeflow.compile.host import host
from tapeflow.compile.jit import compile_text
from tapeflow.compile.text import F32, F64, INDEX, PTR, Module

TYPES = {"float32": F32, "float64": F64}
POINTER = ctypes.c_void_p
PAGE = mmap.PAGESIZE


def elementwise(emit, dtype, arity=1):
    """A Python function of arrays from one that emits code for vectors; lengths are padded to whole vectors."""
    element = TYPES[np.dtype(dtype).name]
    lanes = host().lanes(element.bytes)
    type = element.vector(lanes)
    module = Module()
    names = [f"x{i}" for i in range(arity)]
    with module.function("kernel", [(name, PTR) for name in names] + [("out", PTR), ("n", INDEX)]) as f:
        *sources, out, n = f.arguments
        with f.loop(0, n, lanes) as loop:
            at = loop.index * element.bytes
            f.store(emit(f, *[f.load(source + at, type) for source in sources]), out + at)
    code = compile_text(str(module), ["kernel"]).function("kernel", *[POINTER] * (arity + 1), ctypes.c_int64)

    def run(*arrays):
        size = len(arrays[0])
        padded = [np.pad(np.asarray(x, dtype), (0, -size % lanes), constant_values=0.5) for x in arrays]
        result = np.empty_like(padded[0])
        code(*[x.ctypes.data for x in padded], result.ctypes.data, len(result))
        return result[:size]

    return run


_libc = ctypes.CDLL(None, use_errno=True)


class Guarded:
    """An array whose last (or first) byte is next to a page that nobody may touch: one element too far kills the process."""

    def __init__(self, array, at_end=True):
        array = np.ascontiguousarray(array)
        pages = -(-max(1, array.nbytes) // PAGE)
        self._map = mmap.mmap(-1, (pages + 2) * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        for guard in (start, start + (pages + 1) * PAGE):
            assert _libc.mprotect(POINTER(guard), PAGE, 0) == 0
        offset = PAGE + (pages * PAGE - array.nbytes if at_end else 0)
        self.array = np.frombuffer(self._map, array.dtype, array.size, offset).reshape(array.shape)
        self.array[...] = array
        self.address = start + offset
