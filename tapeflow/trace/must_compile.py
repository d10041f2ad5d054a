"""What `jit_compile=True` refuses: ops that are Python's or the system's work by nature, as XLA refuses them."""

from tapeflow.base.dtypes import string
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.core.graph import graphs_in

# Why an op can be no part of native code, where that is not to be seen from its dtypes.
REASONS = {
    "py_call": "it calls Python",
    "print": "it prints",
    "timestamp": "it reads the clock",
    **dict.fromkeys(("read_file", "write_file", "matching_files"), "it works on files"),
    **dict.fromkeys([f"table_{what}" for what in ("find", "insert", "remove", "size", "export")], "its table is Python's"),
}


def check_compilable(graph):
    """Refuse a graph that holds work of Python.

    Ops on numbers without native code of their own are not refused: they run on their NumPy kernels, and `DEBUG=1` names them.

    Raises:
        InvalidArgumentError: with each such op and the line that it comes from.
    """
    found = list(_unsupported(graph))
    if found:
        ops = ", ".join(dict.fromkeys([f"{node.op.name} ({reason})" for node, reason in found]))
        lines = "\n".join(dict.fromkeys([f"  {node.op.name}: {node.line or 'unknown'}" for node, _ in found]))
        raise InvalidArgumentError(
            None,
            None,
            f"Detected unsupported operations when trying to compile graph {graph.name}: {ops}.\nThe op is created at:\n{lines}\n"
            "Move it out of the function, or leave out jit_compile=True.",
        )


def _unsupported(graph):
    """Pairs (node, reason)."""
    for node in graph.nodes:
        graphs = graphs_in(node.attrs)
        if graphs:
            for inner in graphs:
                yield from _unsupported(inner)
            continue
        reason = REASONS.get(node.op.name) or next(filter(None, map(_reason, (*node.inputs, *node.outputs))), None)
        if reason is not None and node.op.name != "assert_that":  # its text is no part of what is computed
            yield node, reason


def _reason(x):
    dtype = x._dtype
    if dtype is string:
        return "strings are Python's"
    if dtype.numpy_dtype is None and dtype.element is None:
        return f"a {dtype.name} is Python's"
    return None


__all__ = ["check_compilable"]
