"""One program in one library: tells its first call, then the time of a call for each number of seconds that it reads.

`python compiled_child.py mlp32 JAX`; every answer is a line of JSON.
"""

import importlib
import json
import os
import sys
import time

import numpy as np

from compiled_programs import PACKAGES, PROGRAMS
from measure import best_microseconds


def main(name, library):
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    step, answer = peak() if name == "peak" else first_calls(PROGRAMS[name], library)
    answers.write(json.dumps(answer) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(best_microseconds(step, seconds=float(line))) + "\n")


def first_calls(program, library):
    """The step; the time of its first call in ms, what the first calls gave, and the library's version."""
    package = PACKAGES[library]
    code = importlib.import_module("compiled_tensorflow" if package == "tapeflow" else f"compiled_{package}")
    step = code.build(program.code, library, *program.inputs())
    start = time.perf_counter()
    results = [step()]
    first = (time.perf_counter() - start) * 1e3
    results += [step() for _ in range(program.calls - 1)]
    values = [float(np.abs(np.asarray(result, np.float64)).mean()) for result in results]
    return step, {"first": first, "values": values, "version": importlib.import_module(package).__version__}


def peak():
    """A loop of multiply-adds on one core and its operations."""
    from native.timing import Peak

    loop = Peak()
    return loop.run, {"flops": loop.flops}


if __name__ == "__main__":
    main(*sys.argv[1:])
