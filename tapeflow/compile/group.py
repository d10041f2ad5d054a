"""Grouping: which values are stored, and which of them are computed together in one kernel.

A `Root` is a stored value with the expression of its elements; everything between roots is computed where it is used. Roots
with one space of loops join in a `Group`, a kernel to be. What a reduction gives is known only after the loop over the reduced
axes, so a group may take several passes over them for each of its rows (softmax: the greatest, the sum, the quotient).
"""

from tapeflow.compile.affine import ZERO, add, constant, rename, size, strides_of, total, variable
from tapeflow.compile.expr import MustStore, Reader, loads
from tapeflow.compile.rebuild import operands
from tapeflow.compile.scalars import MACHINE, is_scalar
from tapeflow.compile.views import PADS, RESHAPES, VIEWS, axes_of, pieces
from tapeflow.core.tensor import Tensor

REDUCERS = {"sum", "prod", "max", "min", "all", "any"}
CHEAP = {"cast", "zeros_like", "ones_like", "identity", "stop_gradient"}
PIECES = {"concat", "stack"}
# A kernel with more operands than this has more pointers than registers.
MOST_OPERANDS = 28
MOST_COST = 400
FEW_ROWS, LONG_ROWS = 16, 1 << 15


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
        members: pairs (root, names): loop variable v of the root is called names[v] here.
        anchor: an `Opaque` whose result the roots take element by element, or None.
        reads: ids of the values that are read from memory, those computed here included.
        number, before, after: its bit, and those of all groups that must come before and after.
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
        self.before = 0
        self.after = 0
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
        groups: in an order in which they can run.
    """

    def __init__(self, graph, library):
        """`library(node)`: the `Library` that has code for a node, or None."""
        self.graph = graph
        self.library = library
        self.producers = {id(out): node for node in graph.nodes for out in node.outputs}
        self.positions = {id(node): i for i, node in enumerate(graph.nodes)}
        self.stored = {id(x) for x in graph.inputs}
        self.reader = Reader(self.producers, self.stored, self.positions)
        self._choose_stored()
        self.items = self._make_items()
        self.groups = merge(self)

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
                        self._need(self._behind_views(x))
                    elif kind == "opaque":
                        self._need(x)
                    else:
                        users.setdefault(id(x), set()).add(id(node))
                continue
            for out in node.outputs:
                mine = users.get(id(out), set())
                if id(out) not in self.stored and kind == "point" and len(mine) > 1 and node.op.name not in CHEAP:
                    self.stored.add(id(out))
                if id(out) in self.stored:
                    mine = {id(out)}
                for x in node.inputs:
                    users.setdefault(id(x), set()).update(mine)

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
    if node.op.stateful or not all(_known(x) for x in (*node.inputs, *outs)) or any(0 in out.dims for out in outs):
        return "opaque"
    if any(out._dtype not in MACHINE for out in outs) or any(x._dtype not in MACHINE for x in node.inputs):
        return "opaque"
    if any(0 in x.dims for x in node.inputs):
        return "opaque"
    if name in VIEWS or name == "fill":
        return "view"
    if name in ("zeros_like", "ones_like") or is_scalar(node):
        return "point"
    if name in REDUCERS:
        return "reduce"
    if name in PIECES:
        return "pieces"
    return "opaque"


def _known(x):
    return x.dims is not None and None not in x.dims


# Merging


def merge(grouping):
    """Groups of the items: first what follows a library call joins it, then producers and consumers, then what shares reads."""
    board = _Board(grouping)
    for phase in (board.join_anchors, board.join_consumers, board.join_sharers):
        phase()
    grouping.in_place = board.in_place
    return board.ordered()


class _Board:
    """All groups while they are being merged, and the order that data imposes on them."""

    def __init__(self, grouping):
        self.grouping = grouping
        self.by_number = {}
        self.owner = {}  # id of a stored value -> the groups that write it (several for the pieces of one)
        for number, item in enumerate(grouping.items):
            group = Group(number, item.position)
            self.by_number[number] = group
            if isinstance(item, Opaque):
                group.anchor = item
                group.reads = set(item.reads)
                group.writes = {id(out) for out in item.node.outputs}
                library = grouping.library(item.node)
                group.is_open = library is not None and library.takes_epilogue(item.node)
                if group.is_open:
                    group.dims, _ = loops_of(item.node.outputs[0].dims)
            else:
                group.dims, group.axes = item.dims, item.axes
                group.members = [(item, {v: v for v in range(len(item.dims))})]
                found = loads(item.expr)
                group.reads = {x.data[0] for x in found}
                group.writes = {id(item.value)}
                group.cost = item.expr.cost
                group.is_open = True
            for x in group.writes:
                self.owner.setdefault(x, []).append(number)
        self._order()

    def _order(self):
        """Set `before` and `after`: data, the order of effects, and reads of a variable before it is written in place."""
        previous = None
        for number, group in self.by_number.items():
            for x in group.reads:
                for writer in self.owner.get(x, ()):
                    if writer != number:
                        group.before |= self.by_number[writer].before | 1 << writer
            if group.anchor is not None and group.anchor.node.op.stateful:
                if previous is not None:
                    group.before |= self.by_number[previous].before | 1 << previous
                previous = number
        for number, group in self.by_number.items():
            for other in bits_of(group.before):
                self.by_number[other].after |= 1 << number
        self._write_in_place()

    def _write_in_place(self):
        """Find the assigned values that can be computed right into their variable: nothing reads its old value later.

        `in_place` has the variable's id for the id of such a value, `olds` the id of the variable's old value.
        """
        self.in_place, self.olds = {}, {}
        old = {}  # id(variable) -> the value that was read
        for node in self.grouping.graph.nodes:
            if node.op.name == "read_variable":
                old[id(node.attrs["variable"])] = node.outputs[0]
            elif node.op.name == "update_variable":
                value, before = node.inputs[0], old.get(id(node.attrs["variable"]))
                if self._is_root(value, node) and self._reserve(value, before):
                    self.in_place[id(value)] = id(node.attrs["variable"])
                    self.olds[id(value)] = None if before is None else id(before)
                elif before is not None:
                    for g in [g for g in self.by_number.values() if id(before) in g.reads]:
                        self._precede(g, self.by_number[self.owner[id(node.outputs[0])][0]])

    def _is_root(self, value, update):
        owners = self.owner.get(id(value), ())
        if len(owners) != 1 or id(value) in self.in_place or value.dims != update.outputs[0].dims:
            return False
        members = self.by_number[owners[0]].members
        return bool(members) and members[0][0].place is None

    def _reserve(self, value, before):
        """Whether a value can take its variable's place; then whatever reads the old value comes before it."""
        if before is None:
            return True
        writer = self.by_number[self.owner[id(value)][0]]
        root = writer.members[0][0]
        dense = place_in(root.dims, range(len(root.dims)))
        if any(x.data[0] == id(before) and (x.data[1] != dense or root.axes is not None) for x in loads(root.expr)):
            return False
        readers = [g for g in self.by_number.values() if id(before) in g.reads and g is not writer]
        if any(g.before >> writer.number & 1 for g in readers) or id(before) in {id(x) for x in self.grouping.graph.outputs}:
            return False
        for g in readers:
            self._precede(g, writer)
        return True

    def _precede(self, first, second):
        """Let `first`, and all before it, come before `second` and all after it."""
        earlier = first.before | 1 << first.number
        later = second.after | 1 << second.number
        for number in bits_of(later):
            self.by_number[number].before |= earlier
        for number in bits_of(earlier):
            self.by_number[number].after |= later

    # Merging

    def join_anchors(self):
        """Elementwise roots of a library call's result become its epilogue."""
        for group in list(self.by_number.values()):
            if group.anchor is not None and group.is_open and group.number in self.by_number:
                self._absorb(group, lambda other: other.axes is None)

    def join_consumers(self):
        """Roots join the group that computes what they read."""
        for group in list(self.by_number.values()):
            if group.number in self.by_number and group.is_open:
                self._absorb(group, lambda other: True)

    def _absorb(self, group, accept):
        """Merge the readers of what `group` writes into it, and their readers in turn, as long as it can be done."""
        again = True
        while again:
            again = False
            for other in list(self.by_number.values()):
                if other is group or other.anchor is not None or not other.is_open or not accept(other):
                    continue
                if not (other.reads & group.writes):
                    continue
                merged = self._try(group, other)
                if merged:
                    again = True

    def join_sharers(self):
        """Groups over the same loops that read the same values join."""
        groups = [g for g in self.by_number.values() if g.is_open]
        for i, group in enumerate(groups):
            if group.number not in self.by_number:
                continue
            for other in groups[i + 1 :]:
                if other.number in self.by_number and other.anchor is None and group.dims == other.dims:
                    if not group.dims or group.reads & other.reads:
                        self._try(group, other)

    def _try(self, first, second):
        """Merge `second` into `first` if the loops agree and the order allows it."""
        loops = common_loops(first, second)
        if loops is None or len(first.reads | second.reads | first.writes | second.writes) > MOST_OPERANDS:
            return False
        if first.cost + second.cost > MOST_COST:
            return False
        between = (first.after & second.before) | (second.after & first.before)
        if between & ~(1 << first.number | 1 << second.number):
            return False
        members = _renamed(first, loops) + _renamed(second, loops)
        if not self._agree(members, loops, first, second):
            return False
        first.dims, first.axes = loops
        first.members = members
        first.reads |= second.reads
        first.writes |= second.writes
        first.cost += second.cost
        first.position = max(first.position, second.position)
        del self.by_number[second.number]
        self._rewire(first, second)
        return True

    def _rewire(self, first, second):
        mine, gone = 1 << first.number, 1 << second.number
        before = (first.before | second.before) & ~(mine | gone)
        after = (first.after | second.after) & ~(mine | gone)
        first.before, first.after = before, after
        for number, group in self.by_number.items():
            bit = 1 << number
            if before & bit:
                group.after = (group.after | after | mine) & ~gone
            if after & bit:
                group.before = (group.before | before | mine) & ~gone
            group.before = group.before & ~gone
            group.after = group.after & ~gone

    def _agree(self, members, loops, first, second):
        """Whether each value that is both written and read here is read at the place where it was just computed."""
        dims, axes = loops
        anchor = first.anchor
        full = place_in(dims, range(len(dims)))
        rows = place_in(dims, [v for v in range(len(dims)) if axes is None or v not in axes])
        level = {id(out): full for out in anchor.node.outputs} if anchor else {}
        for root, _ in members:
            level[id(root.value)] = "nowhere" if root.place is not None else rows if is_row(root, dims, axes) else full
            old = self.olds.get(id(root.value))
            if old is not None:
                level[old] = level[id(root.value)]
                if anchor is not None and old in anchor.reads:
                    return False
        for root, names in members:
            computed_on_row = is_row(root, dims, axes) and root.axes is None
            for x in loads(root.expr):
                place = level.get(x.data[0])
                if place is None:
                    continue
                if rename(x.data[1], names) != place or (computed_on_row and place != rows):
                    return False
        return True

    def ordered(self):
        """The groups in an order that the data allows, as near to the program's as may be."""
        left = dict(self.by_number)
        done = 0
        result = []
        while left:
            ready = [g for g in left.values() if not g.before & ~done]
            group = min(ready, key=lambda g: g.position)
            result.append(group)
            done |= 1 << group.number
            del left[group.number]
        return result


def is_row(root, dims, axes):
    """Whether a root's result is one element for each row of the loops, not for each element."""
    return axes is not None and (root.axes is not None or len(root.dims) < len(dims))


def bits_of(bits):
    """The numbers of the bits that are set."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def common_loops(first, second):
    """The loops in which two groups can run together, as (dims, axes), or None."""
    if first.axes is None and second.axes is None:
        return (first.dims, None) if first.dims == second.dims else None
    if first.axes is not None and second.axes is not None:
        return (first.dims, first.axes) if (first.dims, first.axes) == (second.dims, second.axes) else None
    plain, reducing = (first, second) if first.axes is None else (second, first)
    if plain.anchor is not None:
        return None
    rows = tuple([reducing.dims[v] for v in reducing.kept])
    if plain.dims == rows:
        return reducing.dims, reducing.axes
    if plain.dims != reducing.dims or (size(rows) < FEW_ROWS and size(reducing.dims) > LONG_ROWS):
        return None  # a few long rows keep few threads busy: apart, the elementwise part can use them all
    return reducing.dims, reducing.axes


def _renamed(group, loops):
    """The group's members, in terms of the loops it is going to run in."""
    dims, axes = loops
    if group.dims == dims:
        return group.members
    kept = [v for v in range(len(dims)) if v not in axes]
    return [(root, {v: kept[name] for v, name in names.items()}) for root, names in group.members]


__all__ = ["Group", "Grouping", "Opaque", "REDUCERS", "Root", "is_row", "kind_of"]
