"""What calls and threads cost: `python benchmarks/native/calls.py`."""

import ctypes
import time

import numpy as np
from timing import INDEX, PTR, Module, best, compile_text, pool, runtime, with_threads

import tapeflow as tf
from tapeflow.compile.entry import Argument, Result, make_entry

ROUNDS = 10_000


def fast_calls():
    """The fast call with a step that does nothing, less the cost of calling a Python function."""
    code = compile_text("define void @nothing(ptr %table) { ret void }", ["nothing"])
    cells, table = np.zeros(2, np.int64), np.zeros(8, np.int64)
    scalar = {"dtype": np.dtype("f4"), "shape": (), "cell": cells.ctypes.data}
    matrix = {"dtype": np.dtype("f4"), "shape": (4, 8)}
    x, a = tf.constant(1.0), tf.constant(np.ones((4, 8), np.float32))
    six = [Argument(**matrix, slot=slot) for slot in range(6)]
    rows = [
        ("scalar to scalar", [Argument(**scalar)], [Result(**scalar)], (x,)),
        ("6 matrices to scalar", six, [Result(**scalar)], (a,) * 6),
        ("matrix to matrix", six[:1], [Result(**matrix, slot=1)], (a,)),
        ("refused: another dtype", [Argument(**scalar)], [Result(**scalar)], (tf.constant(1),)),
    ]
    nothing = best(lambda: None)
    for name, arguments, results, values in rows:
        entry = make_entry(code["nothing"], table.ctypes.data, arguments, results, keep=(code, cells, table))
        print(f"fast call, {name:<24} {(best(lambda entry=entry, values=values: entry(*values)) - nothing) * 1e9:7.0f} ns")


def phases():
    """A phase of two tiles that do nothing, when the workers wait, and when they sleep."""
    module = Module()
    with module.function("tile", [("table", PTR), ("tile", INDEX), ("scratch", PTR)]):
        pass
    with module.function("step", [("phases", INDEX)]) as f:
        team = runtime.begin(f, 0)
        with f.loop(0, f.arguments[0]):
            runtime.run(f, team, "tile", "null", 2)
        runtime.end(f, team)
    code = compile_text(str(module), ["step"], pool.imports())
    for threads in (1, 2, 4):
        with_threads(threads)
        times = []
        for _ in range(20):  # a new step each: its governor has not yet seen that two empty tiles are not worth sharing
            step = compile_text(str(module) + f"; {time.perf_counter_ns()}", ["step"], pool.imports())
            step = step.function("step", ctypes.c_int64)
            start = time.perf_counter()
            step(ROUNDS)
            times.append((time.perf_counter() - start) / ROUNDS)
        print(f"phase on {threads} threads {min(times) * 1e9:31.0f} ns")
    call = code.function("step", ctypes.c_int64)
    print(f"step by ctypes, no phase {best(lambda: call(0)) * 1e9:28.0f} ns")


if __name__ == "__main__":
    fast_calls()
    phases()
