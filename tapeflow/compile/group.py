"""Grouping: which values are stored, and which of them are computed together in one kernel.

A `Root` is a stored value with the expression of its elements; everything between roots is computed where it is used. Roots
with one space of loops join in a `Group`, a kernel to be. What a reduction gives is known only after the loop over the reduced
axes, so a group may take several passes over them for each of its rows (softmax: the greatest, the sum, the quotient).
"""

from tapeflow.compile.affine import ZERO, add, constant, rename, strides_of, total, variable
from tapeflow.compile.effects import Changes
from tapeflow.compile.expr import MustStore, Reader
from tapeflow.compile.internal import CHECK_NUMERICS
from tapeflow.compile.rebuild import has_tensors, operands
from tapeflow.compile.scalars import MACHINE, is_scalar
from tapeflow.compile.views import PADS, RESHAPES, VIEWS, axes_of, pieces
from tapeflow.core.tensor import Tensor

REDUCERS = {"sum", "prod", "max", "min", "all", "any"}
CHEAP = {"cast", "zeros_like", "ones_like", "identity", "stop_gradient"}
PIECES = {"concat", "stack"}


def loops_of(dims):
    """The loops over an array: (sizes, index); axes of one element need none."""
    sizes, index = [], []
    for n in dims:
        index.append(ZERO if n == 1 else variable(len(sizes)))
        if n != 1:
            sizes.append(n)
    return tuple(sizes), tuple(index)


def place_in(sizes, chosen):
    """The offset in a contiguous array over some of the loops."""
    return total([variable(v) for v in chosen], strides_of([sizes[v] for v in chosen]))


class Root:
    """A value that is computed element by element and stored.

    Attributes:
        value: the graph's value.
        dims: the sizes of the loop variables 0, 1, ...
        axes: the variables that are reduced; None for a value that is just computed.
        combine: the reduction's name.
        expr: an element, in these variables.
        place: the offset of an element in the value's buffer; None where it is dense in the order of the loops.
        position: where in the program it stands.
        node: the node that computes it.
    """

    def __init__(self, value, dims, expr, position, node, axes=None, combine=None, place=None):
        self.value = value
        self.dims = dims
        self.axes = axes
        self.combine = combine
        self.expr = expr
        self.position = position
        self.node = node
        self.place = place


class Opaque:
    """A node that is no loop of ours: a library call, or its own NumPy kernel.

    Attributes:
        operands: how a library call reads its operands where they stand, as the library says; None for a NumPy kernel.
        reads: the ids of the values in memory that it reads.
    """

    def __init__(self, node, position, operands, reads):
        self.node = node
        self.position = position
        self.operands = operands
        self.reads = reads


class Group:
    """Roots computed in one kernel, and perhaps the library call that they are the epilogue of.

    Attributes:
        dims: the sizes of the loops; axes: which of them are reduced, None where no root is a reduction.
        members: pairs (root, names): loop variable v of the root is called names[v] here. They are in an order in which they can
            be computed: what reads the old value of a variable before what is computed in its place.
        anchor: an `Opaque` whose result the roots take element by element, or None.
        reads: ids of the values that are read from memory, those computed here included.
        number: what it is called; previous, next: the numbers of groups that must come directly before and after.
        rank: its place in an order of all.
    """

    def __init__(self, number, position, dims=(), axes=None, anchor=None):
        self.number = number
        self.position = position
        self.dims = dims
        self.axes = axes
        self.anchor = anchor
        self.members = []
        self.reads = set()
        self.writes = set()
        self.previous = set()
        self.next = set()
        self.rank = 0
        self.cost = 0

    @property
    def kept(self):
        """The loop variables that are not reduced."""
        return tuple([v for v in range(len(self.dims)) if self.axes is None or v not in self.axes])


class Grouping:
    """The groups of a graph whose shapes are all known.

    Attributes:
        reader: the `Reader`, with all values that are loaded.
        stored: the ids of the values in memory.
        items: a `Root` for each value that is computed element by element, an `Opaque` for each other node, in program order.
    """

    def __init__(self, graph, library, turns):
        """`library(node)`: the `Library` that has code for a node, or None; `turns`: whether the graph runs in a loop."""
        self.graph = graph
        self.library = library
        self.producers = {id(out): node for node in graph.nodes for out in node.outputs}
        self.positions = {id(node): i for i, node in enumerate(graph.nodes)}
        self.stored = {id(x) for x in graph.inputs}
        self.reader = Reader(self.producers, self.stored, self.positions, turns)
        self.changes = Changes(graph)
        self._store_old()
        self._choose_stored()
        self.items = self._make_items()

    # What is stored

    def _choose_stored(self):
        """Walk backwards: a value is stored where something reads it whole, or where several roots would compute it anew."""
        self._users = users = {}  # id(value) -> the roots that compute it inline
        for x in self.graph.outputs:
            self._need(x)
        for node in reversed(self.graph.nodes):
            kind = kind_of(node)
            if kind in ("opaque", "pieces", "reduce"):
                self.stored.update(id(out) for out in node.outputs)
                strided = kind == "opaque" and self.library(node) is not None
                for x in operands(node) if kind == "opaque" else node.inputs:
                    if strided:
                        self._need(self._behind_views(x) if node.op.name == "matmul" else x)
                    elif kind == "opaque":
                        self._need(x)
                    else:
                        users.setdefault(id(x), set()).add(id(node))
                continue
            if node.op is CHECK_NUMERICS and not users.get(id(node.outputs[0])):
                self._need(node.outputs[0])
            for out in node.outputs:
                mine = users.get(id(out), set())
                if id(out) not in self.stored and kind == "point" and len(mine) > 1 and not _is_cheap(node):
                    self.stored.add(id(out))
                if id(out) in self.stored:
                    mine = {id(out)}
                for x in node.inputs:
                    users.setdefault(id(x), set()).update(mine)

    def _store_old(self):
        """Store what is computed of a variable's old value before a barrier, where the variable changes, and read after it."""
        until = dict(self.changes.barrier)
        if not until:
            return
        for position, node in enumerate(self.graph.nodes):
            for x in operands(node):
                if until.get(id(x), position) < position:
                    self._need(x)
            if kind_of(node) in ("point", "view"):
                places = [until[id(x)] for x in node.inputs if id(x) in until and id(x) not in self.stored]
                if places:
                    until.update((id(out), min(places)) for out in node.outputs)
        for x in self.graph.outputs:
            if id(x) in until:
                self._need(x)

    def _need(self, x):
        """`x` is read whole: it, or what it is a reshape of, is stored."""
        while x.__class__ is not Tensor and id(x) not in self.stored:
            node = self.producers.get(id(x))
            if node is None or node.op.name not in RESHAPES:
                self.stored.add(id(x))
                return
            x = node.inputs[0]

    def _behind_views(self, x):
        """The value that `x` is a view of: a library reads through strides."""
        while x.__class__ is not Tensor and id(x) not in self.stored:
            node = self.producers.get(id(x))
            if node is None or kind_of(node) != "view" or node.op.name == "fill" or node.op.name in PADS:
                break
            x = node.inputs[0]
        return x

    # Roots

    def _make_items(self):
        """A root for each stored value, an `Opaque` for each node that is none of ours, in program order."""
        while True:
            try:
                return [item for i, node in enumerate(self.graph.nodes) for item in self._items_of(i, node)]
            except MustStore as found:
                if id(found.value) in self.stored:
                    raise
                self._need(found.value)

    def _items_of(self, position, node):
        match kind_of(node):
            case "opaque":
                yield self._opaque(position, node)
            case "reduce":
                yield self._reduction(position, node)
            case "pieces":
                yield from self._pieces(position, node)
            case _:
                for out in node.outputs:
                    if id(out) in self.stored:
                        sizes, index = loops_of(out.dims)
                        yield Root(out, sizes, self.reader.element(out, index, sizes, inside=True), position, node)

    def _opaque(self, position, node):
        library = self.library(node)
        if library is None:
            reads = {id(self.reader.base(x)) for x in operands(node) if x.__class__ is not Tensor}
            return Opaque(node, position, None, reads)
        found = library.operands(node, self.reader)
        return Opaque(node, position, found, {id(x.value) for x in found if x.value.__class__ is not Tensor})

    def _reduction(self, position, node):
        x = node.inputs[0]
        sizes, index = loops_of(x.dims)
        expr = self.reader.element(x, index, sizes)
        axes = tuple([index[i][1][0][0] for i in sorted(axes_of(node)) if x.dims[i] != 1])
        if not axes:
            return Root(node.outputs[0], sizes, expr, position, node)
        return Root(node.outputs[0], sizes, expr, position, node, axes, node.op.name)

    def _pieces(self, position, node):
        out = node.outputs[0]
        strides = strides_of(out.dims)
        for x, (offset, axis, is_new) in zip(node.inputs, pieces(node), strict=True):
            sizes, index = loops_of(x.dims)
            place = total(index, strides[:axis] + strides[axis + 1 :] if is_new else strides)
            expr = self.reader.element(x, index, sizes)
            yield Root(out, sizes, expr, position, node, place=add(place, constant(offset * strides[axis])))


def kind_of(node):
    """How a node is treated: "point", "view", "reduce", "pieces" or "opaque"."""
    name = node.op.name
    outs = node.outputs
    if (
        node.stateful
        or has_tensors(node.attrs)
        or not all(_known(x) for x in (*node.inputs, *outs))
        or any(0 in out.dims for out in outs)
    ):
        return "opaque"
    if any(out._dtype not in MACHINE for out in outs) or any(x._dtype not in MACHINE for x in node.inputs):
        return "opaque"
    if any(0 in x.dims for x in node.inputs):
        return "opaque"
    if name in VIEWS or name == "fill":
        return "view"
    if name in ("zeros_like", "ones_like", "gather") or is_scalar(node):
        return "point"
    if name in REDUCERS and not outs[0]._dtype.is_complex:
        return "reduce"
    if name in PIECES:
        return "pieces"
    return "opaque"


def _is_cheap(node):
    """Whether a value is rather computed again, by each that reads it, than stored: an operation with a number is."""
    if node.op.name in CHEAP:
        return True
    numbers = [x.__class__ is Tensor and x._value.size == 1 for x in node.inputs]
    return node.op.name in ("add", "sub", "mul") and any(numbers)


def _known(x):
    return x.dims is not None and None not in x.dims


def own_place(root, names):
    """The offset of an element in the buffer of a root's value, in the loops of its group; None where its roots are several."""
    return rename(place_in(root.dims, range(len(root.dims))), names) if root.place is None else None


def is_row(root, dims, axes):
    """Whether a root's result is one element for each row of the loops, not for each element."""
    return axes is not None and (root.axes is not None or len(root.dims) < len(dims))


__all__ = ["Group", "Grouping", "Opaque", "REDUCERS", "Root", "is_row", "kind_of", "loops_of", "own_place", "place_in"]
