"""Graphs to native code: passes, kernels, loops, LLVM text, machine code, threads."""
