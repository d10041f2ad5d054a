"""Merging of groups: which roots are computed in one kernel, and the order that data and effects impose.

First what follows a library call joins it, then producers and consumers join, then groups that read the same values.
"""

from tapeflow.compile.affine import rename, size
from tapeflow.compile.expr import loads
from tapeflow.compile.group import Group, Opaque, is_row, loops_of, place_in

# A kernel with more operands than this has more pointers than registers.
MOST_OPERANDS = 28
MOST_COST = 400
FEW_ROWS, LONG_ROWS = 16, 1 << 15


def merge(grouping):
    """The groups of a `Grouping`'s items.

    Returns:
        The groups, in an order in which they can run; and for the id of each value that is computed right into a variable the
        variable's id.
    """
    board = _Board(grouping)
    for phase in (board.join_anchors, board.join_consumers, board.join_sharers):
        phase()
    return board.ordered(), board.in_place


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
        effect = None  # the last effect of other code, which must not see what is assigned after it
        for node in self.grouping.graph.nodes:
            if node.op.stateful and node.op.name not in ("read_variable", "update_variable"):
                effect = next(g for g in self.by_number.values() if g.anchor is not None and g.anchor.node is node)
            elif node.op.name == "read_variable":
                old[id(node.attrs["variable"])] = node.outputs[0]
            elif node.op.name == "update_variable":
                value, before = node.inputs[0], old.get(id(node.attrs["variable"]))
                if self._is_root(value, node) and self._reserve(value, before, effect):
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

    def _reserve(self, value, before, effect):
        """Whether a value can take its variable's place; then whatever reads the old value comes before it."""
        writer = self.by_number[self.owner[id(value)][0]]
        if effect is not None:
            if effect.before >> writer.number & 1:
                return False
            self._precede(effect, writer)
        if before is None:
            return True
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
                alike = other.number in self.by_number and other.anchor is None and group.dims == other.dims
                if alike and (not group.dims or group.reads & other.reads):
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


__all__ = ["merge"]
