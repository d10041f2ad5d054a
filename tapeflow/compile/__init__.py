"""Graphs to native code: passes, kernels, loops, LLVM text, machine code, threads."""

import importlib
import time

BEGAN = time.time()  # before any other module of the compiler is read

from tapeflow.compile import eager  # noqa: E402
from tapeflow.core import plan  # noqa: E402


def install():
    """Let traced functions run as native code, and eager ops that do much work. LLVM is loaded when the first of them does."""
    plan.compiler = _runner
    eager.set_steady(False)


def _runner(graph, closed):
    return importlib.import_module("tapeflow.compile.executable").runner(graph, closed)
