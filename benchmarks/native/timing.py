"""Tools of the benchmarks of native code: minima over short windows, aligned arrays, the machine's peak."""

import ctypes
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tapeflow.base import flags
from tapeflow.compile import pool, runtime
from tapeflow.compile.host import host
from tapeflow.compile.jit import compile_text
from tapeflow.compile.text import F32, INDEX, PTR, Module

POINTER = ctypes.c_void_p


def best(function, seconds=0.3, window=1e-4):
    """The least time of a call, over windows of about 100 us: a neighbour on the core spoils some of them, not the minimum.

    Work of more than a few ms always meets a neighbour on a busy machine: choose smaller work.
    """
    clock = time.perf_counter
    function()
    start = clock()
    function()
    calls = max(1, int(window / max(clock() - start, 1e-7)))
    least, end = float("inf"), clock() + seconds
    while clock() < end:
        start = clock()
        for _ in range(calls):
            function()
        least = min(least, (clock() - start) / calls)
    return least


def alternately(functions, rounds=6, seconds=0.15):
    """The `best` of each of several functions, measured in turns, so that all meet the same neighbours."""
    least = [float("inf")] * len(functions)
    for _ in range(rounds):
        least = [min(time, best(function, seconds)) for time, function in zip(least, functions, strict=True)]
    return least


def normal(shape, seed=0):
    """Random float32 at a cache line's start."""
    size = int(np.prod(shape))
    block = np.zeros(size * 4 + 64, np.uint8)
    start = -block.ctypes.data % 64
    array = block[start : start + size * 4].view(np.float32).reshape(shape)
    array[...] = np.random.default_rng(seed).standard_normal(shape)
    return array


class Peak:
    """A loop of multiply-adds that does nothing else: measured beside other work, it tells the machine's peak at that time."""

    def __init__(self):
        lanes, chains, turns = host().lanes(4), 12 if host().registers == 16 else 24, 4000
        module = Module()
        type = F32.vector(lanes)
        with module.function("peak", [("x", PTR), ("n", INDEX)]) as f:
            x, n = f.arguments
            value = f.load(x, type)
            with f.loop(0, n, carry=[value] * chains) as loop:
                loop.next = [f.fma(value, value, total) for total in loop.values]
            total = loop.results[0]
            for other in loop.results[1:]:
                total = total + other
            f.store(total, x)
        run = compile_text(str(module), ["peak"]).function("peak", POINTER, ctypes.c_int64)
        x = normal((64,)) * 0
        self.flops = 2 * turns * chains * lanes
        self.run = lambda: run(x.ctypes.data, turns)


def on_pool(write, buffers):
    """A function without arguments that runs a kernel on the pool, its time to compile, and the `Kernel`.

    Args:
        write: `write(module)`; its slots are the buffers in their order, then the workspace.
        buffers: arrays.
    """
    start = time.perf_counter()
    module = Module()
    kernel = write(module)
    with module.function("run", [("table", PTR)]) as f:
        team = runtime.begin(f, kernel.scratch)
        runtime.run_kernel(f, team, kernel, f.arguments[0])
        runtime.end(f, team)
    with flags.using(TAPEFLOW_CACHE=""):
        code = compile_text(str(module), ["run"], pool.imports())
    pool.reserve(kernel.scratch)
    workspace = normal((kernel.workspace // 4 + 16,))
    arrays = [*buffers, workspace]
    table = (ctypes.c_uint64 * len(arrays))(*[array.ctypes.data for array in arrays])
    native, address = code.function("run", POINTER), ctypes.addressof(table)

    def run(keep=(arrays, table)):
        native(address)

    return run, time.perf_counter() - start, kernel


def with_threads(count):
    """Use so many threads from now on."""
    pool.set_thread_count(count)
    pool.ensure()
