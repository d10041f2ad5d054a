"""What became of a graph: for people, as text."""

import math

from tapeflow.compile.asserts import Assert
from tapeflow.compile.control import Nested
from tapeflow.compile.librarystep import LibraryStep
from tapeflow.compile.plan import Copy, Host, Loops
from tapeflow.core.tensor import Tensor


def explain(program, name):
    """The steps of a `Program`, one a line, with what they compute, their loops, FLOPs, bytes, and measured time if any.

    Times are those of the last run with `DEBUG=2` or more.
    """
    plan = program.plan
    lines = [f"{name}: {len(plan.graph.nodes)} nodes, {len(plan.steps)} steps, arena {plan.arena} bytes"]
    if program.code is not None:
        lines.append(f"  machine code: {program.code.size} bytes, made in {program.code.seconds * 1e3:.0f} ms")
    _list(plan, lines, "  ", program.times)
    return "\n".join(lines)


def _list(plan, lines, indent, times):
    for number, step in enumerate(plan.steps):
        time = times.get(id(step))
        took = "" if time is None else f", {time * 1e6:.1f} us"
        lines.append(f"{indent}{number}: {describe(plan, step)}{took}")
        if isinstance(step, Nested):
            for part in step.plans:
                lines.append(f"{indent}   {part.graph.name}")
                _list(part, lines, indent + "     ", times)


def describe(plan, step):
    """One step in a line."""
    match step:
        case Loops():
            kernel = step.kernel
            loops = "x".join(map(str, kernel.dims)) or "scalar"
            reduced = f", reduced over {sorted(kernel.axes)}" if kernel.axes else ""
            return f"loops {loops}{reduced}: {_names(step.group)}; {_work(kernel.operations, _bytes(plan, step))}"
        case LibraryStep():
            shapes = " by ".join(str(list(x.dims)) for x in step.node.inputs)
            rest = f", then {_names(step.group)}" if step.group.members else ""
            return f"{step.node.op.name} {shapes}{rest}; {_work(step.flops, _bytes(plan, step))}{_line(step.node)}"
        case Nested():
            return f"{step.node.op.name} in native code{_line(step.node)}"
        case Assert():
            return f"assertion{_line(step.node)}"
        case Copy():
            return f"copy of {step.count} bytes"
        case Host():
            return f"{step.node.op.name} on its NumPy kernel{_reason(step)}{_line(step.node)}"
    raise TypeError(type(step))


def _reason(step):
    return "" if step.why is None else f", for what is in it: {step.why}"


def _line(node):
    return f"  ({node.line})" if node.line else ""


def _names(group):
    """What a group computes: the ops of its roots' expressions."""
    found = []
    for root, _ in group.members:
        names = sorted(_ops(root.expr, set()))
        what = f"{root.combine} of " if root.axes is not None else ""
        found.append(what + "+".join(names) if names else what + "copy")
    return ", ".join(found)


def _ops(expr, names):
    if expr.op not in ("load", "constant", "index", "inside", "value"):
        names.add(expr.op)
    for x in expr.args:
        _ops(x, names)
    return names


def _bytes(plan, step):
    """The bytes of all its operands, each once."""
    total = 0
    for key in step.keys:
        if key[0] != "value":
            continue
        value = plan.values.get(key[1], plan.reader.values.get(key[1]))
        if value is not None and value.__class__ is not Tensor:
            total += math.prod(value.dims) * value._dtype.size
    return total


def _work(flops, size):
    return f"{_short(flops)}FLOP, {_short(size)}B"


def _short(number):
    for unit in ("", "K", "M", "G"):
        if number < 1000 or unit == "G":
            return f"{number:.3g} {unit}"
        number /= 1000
    raise ValueError(number)


def fallbacks(plan):
    """The ops that run on their NumPy kernels though they are no work of Python by nature, as text, each with its line."""
    found = [step for step in plan.steps if isinstance(step, Host) and not step.node.stateful]
    return list(dict.fromkeys([f"{step.node.op.name}{_reason(step)}{_line(step.node)}" for step in found]))


__all__ = ["describe", "explain", "fallbacks"]
