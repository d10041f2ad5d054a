"""What an earlier loop has computed is read by a later one, not computed again.

A gradient's loop reads the rows in which its function's loop has kept its states, and computes from them what that loop computed in
the same turn. Where this is a product or an activation, the earlier loop keeps it, too, and the later one reads it.
"""

from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.group import kind_of
from tapeflow.compile.grown import Turns, grown
from tapeflow.compile.internal import ROW, ROW_SET
from tapeflow.compile.memory import bytes_of
from tapeflow.compile.numbering import number_of, numbered, operand
from tapeflow.compile.rebuild import operands, rebuilt, users_of

MOST_BYTES = 256 << 20  # that one loop keeps for later ones


def recall(graph):
    """`graph` in which loops of known turns also keep what later loops would compute again."""
    loops = [_Loop(node) for node in graph.nodes if node.op.name == "while_loop" and not node.stateful]
    if len(loops) < 2:
        return graph
    loops = {id(loop.made): loop for loop in loops}
    makers = {id(out): loop for loop in loops.values() for out in loop.made.outputs}
    for late in loops.values():
        for early in dict.fromkeys(makers[id(x)] for x in late.inputs[late.count :] if id(x) in makers):
            if early.turns and late.turns:
                _Pair(early, late).recall()
    if not any(loop.kept for loop in loops.values()):
        return graph

    def visit(builder, node, inputs, attrs):
        loop = loops.get(id(node))
        return loop.written(builder, inputs, attrs) if loop is not None and (loop.kept or loop.recalled) else None

    return rebuilt(graph, visit)


class _Loop(Turns):
    """A loop of which later ones read rows.

    Attributes:
        made: the `while_loop`.
        rows: position of each result that has a row of each turn -> (the value that is the row, the position of its counter).
        kept: what it keeps besides, and the position of the counter.
        recalled: the id of each value of the body that it reads -> (the loop that keeps it, its number there, its own counter).
        arrays: what it keeps, in the new graph.
    """

    def __init__(self, node):
        super().__init__(node.inputs, node.attrs)
        self.made = node
        self.rows, self.kept, self.recalled, self.arrays = {}, [], {}, ()
        for k, out in enumerate(self.body.outputs[: self.count]):
            setter = self.node(out)
            if setter is None or setter.op is not ROW_SET or setter.inputs[0] is not self.body.inputs[k]:
                continue
            if self.is_counter(setter.inputs[1]) and out.dims[0] == self.turns:
                self.rows[k] = setter.inputs[2], setter.inputs[1].index

    def keep(self, value, counter):
        """The number of the array in which the loop keeps a value; None where that is too much."""
        known = [number for number, (other, by) in enumerate(self.kept) if other is value and by == counter]
        if known:
            return known[0]
        if not self.fits(value) or self.turns * sum(bytes_of(x) for x in (value, *[x for x, _ in self.kept])) > MOST_BYTES:
            return None
        self.kept.append((value, counter))
        return len(self.kept) - 1

    def written(self, builder, inputs, attrs):
        """The loop's results in the new graph."""
        sources = list(dict.fromkeys((early, number) for early, number, _ in self.recalled.values()))

        def visit(inner, node, more):
            if not any(id(out) in self.recalled for out in node.outputs):
                return None
            found = list(inner.copy(node, tuple(map(inner.value, node.inputs)), inner.attrs(node.attrs)))
            for i, out in enumerate(node.outputs):
                if id(out) in self.recalled:
                    early, number, counter = self.recalled[id(out)]
                    row = more[sources.index((early, number))], inner.new[id(self.body.inputs[counter])]
                    (found[i],) = inner.add(ROW, row, {}, node.line)
            return found

        invariants = [early.arrays[number] for early, number in sources]
        found = grown(builder, Turns(inputs, attrs), self.made, invariants, self.kept, visit, self.body.outputs)
        self.arrays = found[self.count :]
        return found[: self.count]


class _Pair:
    """A loop, and a later one that reads rows of it."""

    def __init__(self, early, late):
        self.early, self.late = early, late

    def recall(self):
        """Decide what the early loop keeps for the late one."""
        found = self._counters()
        if found is None:
            return
        mine, theirs = self._numbers(*found)
        values = {mine[id(out)]: out for node in self.early.body.nodes for out in node.outputs}
        known = {id(out) for out, _ in self._rows(*found)}
        users = users_of(self.late.body.nodes)
        given = {id(x) for x in self.late.body.outputs}
        work = {}  # whether a value that both compute takes work beyond what is kept
        shared = [
            node
            for node in self.late.body.nodes
            if id(node.outputs[0]) not in known and all(theirs[id(out)] in values for out in node.outputs)
        ]
        ours = {id(node) for node in shared}
        for node in shared:
            much = _is_work(node) or any(work.get(id(x)) for x in operands(node))
            for out in node.outputs:
                read = id(out) in given or any(id(user) not in ours for user in users.get(id(out), ()))
                work[id(out)] = much
                number = self.early.keep(values[theirs[id(out)]], found[0]) if much and read else None
                if number is not None:
                    self.late.recalled[id(out)] = self.early, number, found[1]
                    work[id(out)] = False

    def _reads(self):
        """The values of the late body that are rows of what the early loop kept: (value, result of the early loop, counter)."""
        results = {id(out): k for k, out in enumerate(self.early.made.outputs) if k in self.early.rows}
        for node in self.late.body.nodes:
            row = self.late.row(node.outputs[0])
            if row is not None and id(self.late.inputs[row[0]]) in results:
                yield node.outputs[0], results[id(self.late.inputs[row[0]])], row[1]

    def _counters(self):
        """The positions of the counters by which the early loop wrote rows that the late one reads, in both, or None."""
        return next(((self.early.rows[k][1], counter) for _, k, counter in self._reads()), None)

    def _rows(self, early, late):
        """The values of the late body that are rows by these counters, each with what the early one wrote there."""
        wrote, reads = self.early.counters[early], self.late.counters[late]
        return [
            (out, self.early.rows[k][0])
            for out, k, counter in self._reads()
            if self.early.counters[self.early.rows[k][1]] == wrote and self.late.counters[counter] == reads
        ]

    def _numbers(self, early, late):
        """What the values of both bodies compute in the turns in which the counters are the same."""
        names, found = {}, []
        for loop, counter in (self.early, early), (self.late, late):
            same = {k for k, other in loop.counters.items() if other == loop.counters[counter]}
            what = [("counter",) if k in same else ("own", id(loop), k) for k in range(loop.count)]
            what += [operand(x) for x in loop.inputs[loop.count :]]
            rows = {} if not found else {id(out): number_of(x, found[0]) for out, x in self._rows(early, late)}
            found.append(numbered(loop.body, what, names, rows))
        return found


def _is_work(node):
    """Whether computing a node again takes longer than to keep its result."""
    if node.op is ROW:
        return False
    return node.op.name in FUNCTIONS or kind_of(node) in ("opaque", "reduce")


__all__ = ["recall"]
