"""`while_loop` and `switch` in native code: their graphs are planned like any other, and their steps stand inside loops and branches.

What a loop carries, and what branches give, are states: places that the nested graph reads and writes as it would a variable, so
that a value is computed right into its state where nothing reads the old one later.
"""

from tapeflow.compile.effects import is_blind
from tapeflow.compile.internal import COPY, ROW, ROW_SET
from tapeflow.compile.memory import ALIGN
from tapeflow.compile.rebuild import Builder
from tapeflow.compile.views import RESHAPES
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor


def works_in_place(node, value, before, reader, native):
    """Whether a node can have a result where a variable's old value is, `before` (None where nobody read it).

    It is a branch, a loop, or `native` code whose result may be where its first operand is.

    Then the operands that are the old value and the result are one state, so nothing else may be a view of it.
    """
    if not native and (node.op.name not in ("switch", "while_loop") or not is_blind(node)):
        return False
    if before is None:
        return True
    same = [x is before for x in node.inputs]
    if any(reader.base(x) is before and not one for x, one in zip(node.inputs, same, strict=True)):
        return False
    if native:
        return not any(same[1:])
    return node.op.name == "switch" or not any(same) or (same[value.index] and not any(same[node.attrs["count"] :]))


class State:
    """A place that a nested graph reads and writes: it takes the part of a variable there."""

    def __init__(self, spec, name):
        self.spec = spec
        self.name = name
        self._shape = _Dims(spec.shape)
        self._dtype = spec.dtype

    def __repr__(self):
        return self.name


class RowState(State):
    """A row of an array that a loop has, by one of its counters: the array's and the counter's positions among its operands."""

    def __init__(self, spec, array, counter):
        super().__init__(spec, f"row {counter} of {array}")
        self.array = array
        self.counter = counter


class _Dims:
    """A shape as passes ask a variable for it."""

    def __init__(self, dims):
        self._dims = dims


def with_states(graph, reads, writes):
    """A graph whose first inputs are read from states, and whose results are written to states.

    Args:
        graph: a specialised graph.
        reads: input number -> its `State`; the other inputs stay.
        writes: a `State` for each of the first results, or None; then the results stay.

    Returns:
        The graph, and the `RowState`s in it.
    """
    builder = Builder(graph.name)
    rows = {}
    for i, x in enumerate(graph.inputs):
        if i in reads:
            (new,) = builder.add(P.read_variable, (), {"variable": reads[i]}, None, [x._spec])
        else:
            new = builder.placeholder(x._spec, x.name)
        builder.new[id(x)] = new

    def row(node, spec):
        """The row that a node reads or writes, where its array and its index are the loop's."""
        array, index = node.inputs[:2]
        if any(x.__class__ is Tensor or x.position is not None for x in (array, index)) or index.index not in reads:
            return None
        key = (array.index, index.index)
        return rows.setdefault(key, RowState(spec, *key))

    for node in graph.nodes:
        state = row(node, node.outputs[0]._spec) if node.op is ROW else None
        if state is not None:
            builder.keep(node, builder.add(P.read_variable, (), {"variable": state}, node.line, [state.spec]))
            continue
        inputs = tuple([builder.value(x) for x in node.inputs])
        builder.keep(node, builder.copy(node, inputs, builder.attrs(node.attrs)))
    if writes is None:
        builder.graph.outputs = tuple([builder.value(x) for x in graph.outputs])
        return builder.graph, list(rows.values())
    for i, (state, x) in enumerate(zip(writes, graph.outputs, strict=False)):
        if x.__class__ is not Tensor and x.position is None and reads.get(x.index) is state:
            continue  # it stays as it is
        node = None if x.__class__ is Tensor or x.position is None else graph.nodes[x.position]
        if node is not None and node.op is ROW_SET and i in reads and node.inputs[0] is graph.inputs[i]:
            target = row(node, node.inputs[2]._spec)
            if target is not None:
                state, x = target, node.inputs[2]
        value = builder.value(x)
        if not _is_computed(graph, x):  # states may change places: each is copied before any is written
            (value,) = builder.add(COPY, (value,), {}, None)
        builder.add(P.update_variable, (value,), {"variable": state, "how": "assign"}, None, [state.spec])
    builder.graph.outputs = ()
    return builder.graph, list(rows.values())


def _is_computed(graph, x):
    """Whether a value is more than an input, or a reshape of one."""
    while x.__class__ is not Tensor:
        if x.position is None:
            return False
        node = graph.nodes[x.position]
        if node.op.name not in RESHAPES:
            return True
        x = node.inputs[0]
    return False


class Nested:
    """A step that runs plans of its own.

    Attributes:
        node: the `while_loop` or `switch`.
        plans: those of the condition and the body, or of the branches.
        operands: the keys of the node's inputs; results: those of its outputs.
        chunk: where in the arena of the plan around it the plans have theirs.
    """

    native = True

    def __init__(self, node, plans, operands, results):
        self.node = node
        self.plans = plans
        self.operands = operands
        self.results = results
        self.keys = [*operands, *results]
        self.chunk = None

    @property
    def bytes(self):
        """How much of the arena the plans need; they never run at the same time, but a loop's condition and body alternate."""
        return sum(-(-plan.arena // ALIGN) * ALIGN for plan in self.plans)

    def settle(self, chunk):
        """Tell the plans where in the arena around them they are."""
        self.chunk = chunk
        for plan in self.plans:
            plan.chunk = chunk
            chunk += -(-plan.arena // ALIGN) * ALIGN


__all__ = ["Nested", "RowState", "State", "with_states"]
