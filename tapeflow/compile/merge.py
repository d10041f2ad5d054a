"""Merging of groups: which roots are computed in one kernel, and the order that data and effects impose.

First what follows a library call joins it, then producers and consumers join, then groups that read the same values; at last what
is small and in a loop.
"""

import heapq

from tapeflow.compile.affine import rename, size, strides_of
from tapeflow.compile.control import works_in_place
from tapeflow.compile.effects import asserts, assigned_by, is_barrier
from tapeflow.compile.expr import loads, may_fail
from tapeflow.compile.group import Group, Opaque, is_row, loops_of, own_place, place_in

# A kernel with more operands than this has more pointers than registers.
MOST_OPERANDS = 28
MOST_COST = 400
FEW_ROWS, LONG_ROWS = 16, 1 << 15
SMALL = 1 << 14  # elements
# So many groups are looked at for a path that forbids to merge two; beyond that they stay apart.
FARTHEST = 2000


def merge(grouping):
    """The groups of a `Grouping`'s items.

    Returns:
        The groups, in an order in which they can run; and for the id of each value that is computed right into a variable the
        variable's id.
    """
    board = _Board(grouping)
    for phase in (board.join_anchors, board.join_consumers, board.join_sharers, board.join_small_in_turns):
        phase()
    return board.ordered(), board.in_place


class _Board:
    """All groups while they are being merged, and the order that data imposes on them."""

    def __init__(self, grouping):
        self.grouping = grouping
        self.by_number = {}
        self.readers = {}  # id of a value in memory -> the numbers of the groups that read it
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
        """Set what comes directly before each group: by data, and by the order of effects. Items are in program order."""
        previous = None
        for number, group in self.by_number.items():
            for x in group.reads:
                group.previous.update(writer for writer in self.owner.get(x, ()) if writer != number)
                self.readers.setdefault(x, set()).add(number)
            if group.anchor is not None and group.anchor.node.stateful:
                if previous is not None:
                    group.previous.add(previous)
                previous = number
        for number, group in self.by_number.items():
            for other in group.previous:
                self.by_number[other].next.add(number)
        self._write_in_place()
        self._rank()

    def _rank(self):
        """Number the groups so that whatever is before a group has a lower rank."""
        for rank, group in enumerate(self.ordered()):
            group.rank = rank

    def _leads(self, first, second):
        """Whether a path leads from one group to another, before they have ranks."""
        todo, seen = list(first.next), set(first.next)
        while todo:
            number = todo.pop()
            if number == second.number:
                return True
            new = self.by_number[number].next - seen
            seen |= new
            todo += new
        return False

    def _between(self, low, high):
        """The groups after `low` whose ranks are below that of `high`; None where a path leads to it over one of them."""
        found, todo = set(), [n for n in low.next if n != high.number]
        while todo:
            number = todo.pop()
            if number == high.number or len(found) > FARTHEST:
                return None
            if number not in found and self.by_number[number].rank < high.rank:
                found.add(number)
                todo += self.by_number[number].next
        return found

    def _rerank(self, merged, low_rank, high, after):
        """Ranks for the groups between two that were merged: what leads to them first, then they, then what follows.

        After D. Pearce and P. Kelly, "A dynamic topological sort algorithm for directed acyclic graphs", 2007.
        """
        before, todo = set(), [n for n in high if n != merged.number]
        while todo:
            number = todo.pop()
            if number not in before and self.by_number[number].rank > low_rank:
                before.add(number)
                todo += self.by_number[number].previous
        groups = [self.by_number[n] for n in before | after]
        ranks = sorted([low_rank, merged.rank, *[g.rank for g in groups]])
        key = lambda n: self.by_number[n].rank  # noqa: E731
        order = [*sorted(before, key=key), merged.number, *sorted(after, key=key)]
        for number, rank in zip(order, ranks, strict=False):
            self.by_number[number].rank = rank

    def _write_in_place(self):
        """Find the assigned values that can be computed right into their variable: nothing reads its old value later.

        `in_place` has the variable's id for the id of such a value, `olds` the id of the variable's old value.
        """
        self.in_place, self.olds = {}, {}
        old = {}  # id(variable) -> the value that was read
        effect = None  # the last barrier or assertion, before which nothing may be assigned that is assigned after it
        for node in self.grouping.graph.nodes:
            if is_barrier(node) or asserts(node):
                effect = next(g for g in self.by_number.values() if g.anchor is not None and g.anchor.node is node)
                self._precede_readers(old, assigned_by(node), effect)
            elif node.op.name == "read_variable":
                old[id(node.attrs["variable"])] = node.outputs[0]
            elif node.op.name == "update_variable":
                value, before = node.inputs[0], old.get(id(node.attrs["variable"]))
                fresh = before is None and effect is None
                if (fresh and self._is_in_pieces(value, node)) or (
                    self._is_whole(value, before, node) and self._reserve(value, before, effect)
                ):
                    self.in_place[id(value)] = id(node.attrs["variable"])
                    self.olds[id(value)] = None if before is None else id(before)
                elif before is not None:
                    for number in self.readers.get(id(before), ()):
                        self._precede(self.by_number[number], self.by_number[self.owner[id(node.outputs[0])][0]])

    def _precede_readers(self, old, assigned, effect):
        """Let whatever reads the old values of variables come before a barrier that assigns them (None for any)."""
        for variable, value in old.items():
            if assigned is None or variable in assigned:
                for number in self.readers.get(id(value), ()):
                    self._precede(self.by_number[number], effect)

    def _is_whole(self, value, before, update):
        """Whether a value is made by one group, which could make it in the place of the variable's old value, `before`."""
        owners = self.owner.get(id(value), ())
        if len(owners) != 1 or id(value) in self.in_place or value.dims != update.outputs[0].dims:
            return False
        if id(update.outputs[0]) not in self.grouping.changes.final:
            return False  # another change follows, and the value may be read after it
        group = self.by_number[owners[0]]
        if group.members:
            return group.members[0][0].place is None and self._reads_in_place(group.members[0][0], before)
        library = self.grouping.library(group.anchor.node)
        if library is not None and not library.in_place:
            return id(before) not in group.reads
        return works_in_place(group.anchor.node, value, before, self.grouping.reader, library is not None)

    def _reads_in_place(self, root, before):
        """Whether each element of a root needs only the old value's element at the same place."""
        dense = place_in(root.dims, range(len(root.dims)))
        return not any(
            x.data[0] == id(before) and (x.op == "take" or x.data[1] != dense or root.axes is not None)
            for x in loads(root.expr)
        )

    def _is_in_pieces(self, value, update):
        """Whether kernels write parts of a value; they may write them into a variable that nobody has read."""
        if id(value) in self.in_place or value.dims != update.outputs[0].dims:
            return False
        if id(update.outputs[0]) not in self.grouping.changes.final:
            return False
        members = [self.by_number[n].members for n in self.owner.get(id(value), ())]
        return bool(members) and all(m and m[0][0].place is not None for m in members)

    def _reserve(self, value, before, effect):
        """Whether a value can take its variable's place; then whatever reads the old value comes before it."""
        writer = self.by_number[self.owner[id(value)][0]]
        if effect is not None:
            if self._leads(writer, effect):
                return False
            self._precede(effect, writer)
        if before is None:
            return True
        readers = [self.by_number[n] for n in self.readers.get(id(before), ()) if n != writer.number]
        if any(self._leads(writer, g) for g in readers):
            return False
        for g in readers:
            self._precede(g, writer)
        return True

    def _precede(self, first, second):
        """Let one group come before another."""
        if first is not second:
            first.next.add(second.number)
            second.previous.add(first.number)

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
        tried = set()
        while True:
            numbers = sorted(
                n for x in group.writes for n in self.readers.get(x, ()) if n not in tried and n != group.number
            )
            if not numbers:
                return
            tried.update(numbers)
            merged = False
            for number in numbers:
                other = self.by_number.get(number)
                if other is not None and other.anchor is None and other.is_open and accept(other):
                    merged |= self._try(group, other)
            if merged:
                tried.clear()

    def join_sharers(self):
        """Groups over the same loops that read the same values join; so do all scalar computations that can."""
        for group in list(self.by_number.values()):
            if group.number not in self.by_number or not group.is_open:
                continue
            numbers = {n for x in group.reads for n in self.readers.get(x, ())}
            if not group.dims:
                numbers |= {n for n, other in self.by_number.items() if not other.dims and other.is_open}
            for number in sorted(numbers):
                other = self.by_number.get(number)
                if other is None or number <= group.number or other.anchor is not None or not other.is_open:
                    continue
                if group.dims == other.dims:
                    self._try(group, other)

    def join_small_in_turns(self):
        """In a loop small elementwise groups over the same loops join: they are one phase for its threads then."""
        if not self.grouping.reader.turns:
            return
        alike = {}  # the loops -> the groups so far
        for group in list(self.by_number.values()):
            if group.anchor is None and group.axes is None and group.is_open and size(group.dims) <= SMALL:
                others = alike.setdefault(group.dims, [])
                if not any(self._try(other, group) for other in others):
                    others.append(group)

    def _try(self, first, second):
        """Merge `second` into `first` if the loops agree and the order allows it."""
        joining = second.members
        loops = common_loops(first, second)
        if loops is None and (turned := turned_loops(first, second)):
            loops = first.dims, None
            joining = [(root, {v: turned[w] for v, w in names.items()}) for root, names in joining]
        if loops is None or len(first.reads | second.reads | first.writes | second.writes) > MOST_OPERANDS:
            return False
        if first.cost + second.cost > MOST_COST:
            return False
        low, high = sorted((first, second), key=lambda group: group.rank)
        after = self._between(low, high)
        if after is None:
            return False
        mine, theirs = _renamed(first.dims, first.members, loops), _renamed(second.dims, joining, loops)
        members = mine + theirs if low is first else theirs + mine
        if not self._agree(members, loops, first, second):
            return False
        first.dims, first.axes = loops
        first.members = members
        first.reads |= second.reads
        first.writes |= second.writes
        first.cost += second.cost
        first.position = max(first.position, second.position)
        del self.by_number[second.number]
        low_rank, leading = low.rank, [n for n in high.previous if n != low.number]
        first.rank = high.rank
        self._rewire(first, second)
        self._rerank(first, low_rank, leading, after)
        return True

    def _rewire(self, first, second):
        """Let what was before and after `second` be so of `first`."""
        mine, gone = first.number, second.number
        for number in second.previous:
            self.by_number[number].next.discard(gone)
            if number != mine:
                self.by_number[number].next.add(mine)
                first.previous.add(number)
        for number in second.next:
            self.by_number[number].previous.discard(gone)
            if number != mine:
                self.by_number[number].previous.add(mine)
                first.next.add(number)
        first.next.discard(gone)
        first.previous.discard(gone)
        for x in second.reads:
            self.readers[x].discard(gone)
            self.readers[x].add(mine)

    def _agree(self, members, loops, first, second):
        """Whether each value that is both written and read here is read at the place where it was just computed."""
        dims, axes = loops
        anchor = first.anchor
        if anchor is not None and may_fail(root.expr for root, _ in members):
            return False  # an epilogue cannot tell of an error
        full = place_in(dims, range(len(dims)))
        rows = place_in(dims, [v for v in range(len(dims)) if axes is None or v not in axes])
        level = {id(out): full for out in anchor.node.outputs} if anchor else {}
        level.update([(self.olds[x], full) for x in level if x in self.olds])
        for root, names in members:
            own = rows if is_row(root, dims, axes) and root.place is None else own_place(root, names)
            level[id(root.value)] = own or "nowhere"
            old = self.olds.get(id(root.value))
            if old is not None:
                level[old] = level[id(root.value)]
                if anchor is not None and old in anchor.reads:
                    return False
        if axes is not None and not self._keeps_old(members, loops):
            return False
        for root, names in members:
            computed_on_row = is_row(root, dims, axes) and root.axes is None
            for x in loads(root.expr):
                place = level.get(x.data[0])
                if place is None:
                    continue
                if x.op == "take" or rename(x.data[1], names) != place or (computed_on_row and place != rows):
                    return False
        return True

    def _keeps_old(self, members, loops):
        """Whether no old value is read after the stage that writes in its place: a pass over a row, or what comes before it."""
        turn, stage, reach = {}, {}, {}  # id of a value -> the pass and the stage that compute it, and all that it reads from memory
        for root, _ in members:
            mine, reads = 0, set()
            for key in {x.data[0] for x in loads(root.expr)}:
                if key in turn:
                    reduced, last = turn[key]
                    mine = max(mine, last + reduced)
                    reads |= set() if reduced else reach[key]  # an element of an earlier pass is computed again
                else:
                    reads.add(key)
            before = is_row(root, *loops) and root.axes is None  # a value of the row, computed before the pass
            turn[id(root.value)], reach[id(root.value)] = (root.axes is not None, mine), reads
            stage[id(root.value)] = 2 * mine + (not before)
        return all(
            stage[reader] <= last
            for value, last in stage.items()
            for reader, reads in reach.items()
            if self.olds.get(value) in reads
        )

    def ordered(self):
        """The groups in an order that the data allows, as near to the program's as may be."""
        waiting = {number: len(group.previous) for number, group in self.by_number.items()}
        ready = [(group.position, n) for n, group in self.by_number.items() if not waiting[n]]
        heapq.heapify(ready)
        result = []
        while ready:
            group = self.by_number[heapq.heappop(ready)[1]]
            result.append(group)
            for number in group.next:
                waiting[number] -= 1
                if not waiting[number]:
                    heapq.heappush(ready, (self.by_number[number].position, number))
        if len(result) < len(self.by_number):
            raise AssertionError("groups wait for each other")
        return result


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


def turned_loops(first, second):
    """The loops of a library call by those of elementwise roots that read its result with axes before the last in another order.

    The roots write where they belong, so that heads of attention are joined without a copy. None where it is otherwise.
    """
    if first.anchor is None or first.axes is not None or second.axes is not None:
        return None
    results = {id(out) for out in first.anchor.node.outputs}
    strides, last = strides_of(first.dims), len(first.dims) - 1
    for root, names in second.members:
        for x in loads(root.expr):
            if x.op == "load" and x.data[0] in results:
                turned = {v: strides.index(c) for v, c in rename(x.data[1], names)[1] if c in strides}
                fits = all(second.dims[v] == first.dims[w] for v, w in turned.items())
                if fits and turned.get(last) == last and len(set(turned.values())) == len(turned) == last + 1:
                    return turned
    return None


def _renamed(own, members, loops):
    """A group's members, in terms of the loops it is going to run in; `own` are its dims."""
    dims, axes = loops
    if axes is None or own == dims:
        return members
    kept = [v for v in range(len(dims)) if v not in axes]
    return [(root, {v: kept[name] for v, name in names.items()}) for root, names in members]


__all__ = ["merge"]
