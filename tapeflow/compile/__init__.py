"""Graphs to native code: passes, kernels, loops, LLVM text, machine code, threads."""

import importlib

from tapeflow.core import plan


def install():
    """Let traced functions run as native code. The compiler is loaded when the first of them runs."""
    plan.compiler = _runner


def _runner(graph, closed):
    return importlib.import_module("tapeflow.compile.executable").runner(graph, closed)
