"""A `while_loop` made anew with more operands, of which each turn stores rows: what passes do to loops of known turns."""

from tapeflow.compile.internal import EMPTY, ROW, ROW_SET
from tapeflow.compile.memory import bytes_of
from tapeflow.compile.rebuild import Builder
from tapeflow.compile.scalars import MACHINE
from tapeflow.compile.trips import counters_of, turns_of
from tapeflow.core.tensor import Tensor

MOST_BYTES = 64 << 20  # of an array that is made for it


class Turns:
    """A loop, and how it turns.

    Attributes:
        inputs: its operands.
        turns: how often it turns, None where that is not known.
        counters: by position those that take each number from 0 to the number of turns once.
    """

    def __init__(self, inputs, attrs):
        self.inputs, self.attrs = inputs, attrs
        self.body, self.count = attrs["body"], attrs["count"]
        counters = counters_of(inputs, attrs)
        self.turns, self.counters = turns_of(inputs, attrs, counters), {}
        if self.turns:
            last = self.turns - 1
            self.counters = {k: c for k, c in counters.items() if abs(c.step) == 1 and {c.start, c.after(last)} == {0, last}}

    def node(self, x):
        """The node of the body that makes a value, or None."""
        return None if x.__class__ is Tensor or x.position is None else self.body.nodes[x.position]

    def is_invariant(self, x):
        """Whether a value of the body is the same in every turn."""
        return x.__class__ is Tensor or (x.position is None and x.index >= self.count)

    def row(self, x):
        """The positions of the array and the counter of which a value is a row, if each turn has its own."""
        node = self.node(x)
        if node is None or node.op is not ROW:
            return None
        array, counter = node.inputs
        if not self.is_invariant(array) or array.__class__ is Tensor or array.dims[0] != self.turns:
            return None
        return (array.index, counter.index) if self.is_counter(counter) else None

    def is_counter(self, x):
        """Whether a value of the body is one of the counters."""
        return x.__class__ is not Tensor and x.position is None and x.index in self.counters

    def fits(self, x):
        """Whether each turn may keep a value."""
        known = x._dtype in MACHINE and x.dims is not None and None not in x.dims  # no list, no string
        return known and self.turns * bytes_of(x) <= MOST_BYTES


def grown(builder, loop, node, invariants, stored, visit, outputs):
    """The results of a loop with more operands, those of the new arrays at the end.

    Args:
        builder: the `Builder` of the graph around it.
        loop: its `Turns`.
        node: the `while_loop`.
        invariants: more values that the body reads.
        stored: values of the body with the position of a counter; each turn stores them as rows of new arrays.
        visit: `visit(inner, node, more)` as for `rebuilt`, with the placeholders of the new invariants.
        outputs: the values of the body that its states become.
    """
    count, turns = loop.count, loop.turns
    states, rest = list(loop.inputs[:count]), [*loop.inputs[count:], *invariants]
    for x, _ in stored:
        states += builder.add(EMPTY, (), {"shape": (turns, *x.dims), "dtype": x._dtype}, node.line)
    specs = [x.spec for x in (*states, *rest)]
    added = len(states) - count

    def begun(graph):
        inner = Builder(graph.name)
        new = [inner.placeholder(spec, "") for spec in specs]
        kept = new[:count] + new[len(states) :]
        inner.new.update((id(old), x) for old, x in zip(graph.inputs, kept, strict=False))
        return inner, new

    cond, _ = begun(loop.attrs["cond"])
    _copy(cond, loop.attrs["cond"], lambda inner: None)
    cond.graph.outputs = tuple(map(cond.value, loop.attrs["cond"].outputs))
    body, new = begun(loop.body)
    more = new[len(new) - len(invariants) :]
    _copy(body, loop.body, lambda inner: visit(body, inner, more))
    results = list(map(body.value, outputs))
    for array, (x, counter) in zip(new[count : count + added], stored, strict=True):
        results += body.add(ROW_SET, (array, new[counter], body.value(x)), {}, None)
    body.graph.outputs = tuple(results)
    body.graph.fresh = getattr(loop.body, "fresh", set()) | set(range(count, count + added))
    attrs = {**loop.attrs, "cond": cond.graph, "body": body.graph, "count": len(states)}
    return builder.add(node.op, (*states, *rest), attrs, node.line, [x.spec for x in states])


def _copy(inner, graph, visit):
    for node in graph.nodes:
        found = visit(node)
        if found is None:
            found = inner.copy(node, tuple(map(inner.value, node.inputs)), inner.attrs(node.attrs))
        inner.keep(node, found)


__all__ = ["Turns", "grown"]
