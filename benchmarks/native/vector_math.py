"""Elementary functions: worst error and time of an element, beside NumPy: `python benchmarks/native/vector_math.py`."""

import ctypes
import math

import numpy as np
from timing import INDEX, POINTER, PTR, Module, alternately, compile_text, host

from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.text import F32, F64

COUNT = 1 << 14  # elements: both arrays stay in the second cache
NUMPY = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sinh": np.sinh, "cosh": np.cosh,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "sqrt": np.sqrt, "floor": np.floor,
    "erf": np.vectorize(math.erf, otypes=[float]), "erfc": np.vectorize(math.erfc, otypes=[float]),
}  # fmt: skip
DOMAINS = {"asin": (-1, 1), "acos": (-1, 1), "atanh": (-0.999, 0.999), "acosh": (1, 50), "log": (1e-3, 50), "sqrt": (0, 50)}
SLOW = {"erf", "erfc"}  # their NumPy counterpart is a Python loop, for the error alone


def kernel(name, element):
    """The function over an array, as a ctypes callable."""
    lanes = host().lanes(element.bytes)
    module = Module()
    with module.function("kernel", [("x", PTR), ("y", PTR), ("n", INDEX)]) as f:
        x, y, n = f.arguments
        with f.loop(0, n, lanes) as loop:
            at = loop.index * element.bytes
            f.store(FUNCTIONS[name](f, f.load(x + at, element.vector(lanes))), y + at)
    return compile_text(str(module), ["kernel"]).function("kernel", POINTER, POINTER, ctypes.c_int64)


def main():
    rng = np.random.default_rng(0)
    print(f"{'function':>9}  {'dtype':7}  {'ulp':>5}  {'ns':>6}  {'NumPy ns':>8}")
    for element, dtype, wide in ((F32, np.float32, np.float64), (F64, np.float64, np.longdouble)):
        for name, theirs in NUMPY.items():
            run = kernel(name, element)
            low, high = DOMAINS.get(name, (-8, 8))
            x = rng.uniform(low, high, COUNT).astype(dtype)
            y, other = np.empty_like(x), np.empty_like(x)
            run(x.ctypes.data, y.ctypes.data, COUNT)
            exact = theirs(x.astype(wide))
            ulp = np.abs(y.astype(wide) - exact) / np.spacing(np.abs(exact.astype(dtype)))
            functions = [lambda run=run, x=x, y=y: run(x.ctypes.data, y.ctypes.data, COUNT)]
            if name not in SLOW:
                functions.append(lambda theirs=theirs, x=x, other=other: theirs(x, other))
            times = [time / COUNT * 1e9 for time in alternately(functions, rounds=3, seconds=0.05)]
            print(
                f"{name:>9}  {x.dtype!s:7}  {ulp.max():>5.2f}  {times[0]:>6.2f}  {f'{times[1]:8.2f}' if times[1:] else ''}"
            )


if __name__ == "__main__":
    main()
