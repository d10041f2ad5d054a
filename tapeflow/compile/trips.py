"""How often a loop turns, where that is known now: counters that begin at a constant and go on by a constant."""

from typing import NamedTuple

from tapeflow.core.tensor import Tensor

# Turns that are counted; a loop of more does not pay to have its states kept anyway.
MOST = 1 << 20
GOES_ON = {
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "not_equal": lambda a, b: a != b,
}


class Counter(NamedTuple):
    """A loop value that is start, start + step, ... in turn after turn."""

    start: int
    step: int

    def after(self, turns):
        """Its value after so many turns."""
        return self.start + self.step * turns

    def stays_in(self, size, turns):
        """Whether it is an index into `size` elements, None where that is not known, in each of these turns."""
        return turns == 0 or (size is not None and 0 <= self.start < size and 0 <= self.after(turns - 1) < size)


def counters_of(operands, attrs):
    """The `Counter` of each loop value that is one, by position.

    Args:
        operands: those of a `while_loop`, constants where they are known.
        attrs: its attrs.
    """
    body, found = attrs["body"], {}
    for k in range(attrs["count"]):
        start, out = _number(operands[k]), body.outputs[k]
        if start is None or out.__class__ is Tensor or out.position is None:
            continue
        node = body.nodes[out.position]
        if node.op.name in ("add", "sub") and node.inputs[0] is body.inputs[k]:
            step = _number(_resolved(node.inputs[1], body, operands))
            if step is not None:
                found[k] = Counter(start, step if node.op.name == "add" else -step)
    return found


def turns_of(operands, attrs, counters):
    """How often the loop turns, or None."""
    return _turns(attrs["cond"].outputs[0], operands, attrs["cond"], counters)


def _turns(test, operands, cond, counters):
    """How often a test of counters holds before it fails; of several that must hold, the first to fail counts."""
    if test.__class__ is Tensor or test.position is None:
        return None
    node = cond.nodes[test.position]
    if node.op.name == "logical_and":  # as with `maximum_iterations`
        found = [_turns(x, operands, cond, counters) for x in node.inputs]
        return None if None in found else min(found)
    goes_on = GOES_ON.get(node.op.name)
    if goes_on is None:
        return None
    first, second = node.inputs
    limit = _number(_resolved(second, cond, operands))
    if limit is None or first.__class__ is Tensor or first.position is not None or first.index not in counters:
        return None
    counter = counters[first.index]
    turns = 0
    while turns < MOST and goes_on(counter.after(turns), limit):
        turns += 1
    return turns if turns < MOST else None


def _resolved(x, graph, operands):
    """A value of a nested graph, or the operand that it is."""
    if x.__class__ is not Tensor and x.position is None and x is graph.inputs[x.index]:
        return operands[x.index]
    return x


def _number(x):
    if x.__class__ is not Tensor or x.dims != () or not x._dtype.is_integer:
        return None
    return int(x._value)


__all__ = ["Counter", "counters_of", "turns_of"]
