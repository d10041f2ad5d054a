"""Whether there is anything to compile."""

import importlib

NAMES = {"matmul", "while_loop", "switch"}
# Where other ops stand that are work: much to load, and seldom asked.
TABLES = ("library", "ARRAY_OPS"), ("decompose", "DECOMPOSED"), ("spatial", "CONVOLUTIONS"), ("spatial", "POOLS")


def is_worth(nodes):
    """Whether any of some nodes is work that native code would do better."""
    if any(node.op.lower in ("scalar", "reduce") or node.op.name in NAMES for node in nodes):
        return True
    tables = [getattr(importlib.import_module(f"tapeflow.compile.{module}"), name) for module, name in TABLES]
    return any(node.op.name in table for node in nodes for table in tables)


__all__ = ["is_worth"]
