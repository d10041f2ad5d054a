"""Whether there is anything to compile."""

import importlib

NAMES = {"matmul", "conv", "while_loop", "switch"}


def is_worth(nodes):
    """Whether any of some nodes is work that native code would do better."""
    if any(node.op.lower in ("scalar", "reduce") or node.op.name in NAMES for node in nodes):
        return True
    library = importlib.import_module("tapeflow.compile.library")  # much to load, and seldom asked
    return any(node.op.name in library.ARRAY_OPS for node in nodes)


__all__ = ["is_worth"]
