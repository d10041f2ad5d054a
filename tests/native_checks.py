"""What the tests of native code share: kernels called on arrays, and arrays between guard pages."""

import ctypes
import mmap

import numpy as np

from tapeflow.compile import pool, runtime
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


def serial_driver(module, kernels):
    """Write `run(table, scratch)`, which calls every tile of some kernels one after another."""
    with module.function("run", [("table", PTR), ("scratch", PTR)]) as f:
        table, scratch = f.arguments
        for kernel in kernels:
            for function, tiles in kernel.phases:
                with f.loop(0, tiles) as loop:
                    f.call(function, None, table, f.index(loop.index), scratch)


def run_kernel(write, buffers, dtype, at_end=True):
    """Write a kernel, and run it on buffers between guard pages.

    Args:
        write: `write(module)` gives the `Kernel`; its slots are the buffers in their order, then the workspace.
        buffers: arrays; a kernel may change them.
        dtype: of scratch memory and workspace, which are filled with nan.
        at_end: whether the guard page follows each buffer, or goes before it.

    Returns:
        the arrays afterwards.
    """
    module = Module()
    kernel = write(module)
    serial_driver(module, [kernel])
    code = compile_text(str(module), ["run"])
    size = np.dtype(dtype).itemsize
    spare = [np.full(max(1, -(-count // size)), np.nan, dtype) for count in (kernel.workspace, kernel.scratch)]
    guarded = [Guarded(array, at_end) for array in (*buffers, *spare)]
    table = (ctypes.c_uint64 * len(guarded))(*[item.address for item in guarded])
    code.function("run", POINTER, POINTER)(ctypes.addressof(table), guarded[-1].address)
    return [item.array.copy() for item in guarded[: len(buffers)]]


def pool_driver(module, kernel):
    """Write `run(table)`, which runs a kernel on the pool."""
    with module.function("run", [("table", PTR)]) as f:
        team = runtime.begin(f, kernel.scratch)
        runtime.run_kernel(f, team, kernel, f.arguments[0])
        runtime.end(f, team)
    pool.reserve(kernel.scratch)
    return compile_text(str(module), ["run"], pool.imports()).function("run", POINTER)


def same_bits_on_any_threads(write, buffers, dtype, counts=(1, 2, 3, 4)):
    """The last buffer after a kernel has run on several numbers of threads, each time with the same bits."""
    module = Module()
    kernel = write(module)
    run = pool_driver(module, kernel)
    workspace = np.empty(kernel.workspace // np.dtype(dtype).itemsize + 1, dtype)
    before, results = pool.settings.threads, []
    try:
        for threads in counts:
            pool.set_thread_count(threads)
            pool.ensure()
            arrays = [array.copy() for array in buffers]
            workspace[:] = np.nan
            table = (ctypes.c_uint64 * (len(arrays) + 1))(*[array.ctypes.data for array in (*arrays, workspace)])
            run(ctypes.addressof(table))
            results.append(arrays[-1])
    finally:
        pool.set_thread_count(before)
        pool.ensure()
    for result in results[1:]:
        np.testing.assert_array_equal(result.view(np.uint8), results[0].view(np.uint8))
    return results[0]
