"""Loop kernels: an outer nest over rows, in each row passes over the reduced axes, written as LLVM text with vectors.

The order in which a reduction adds up depends on its shape and the vector width alone, not on the number of threads.
"""

from tapeflow.compile.affine import coefficient
from tapeflow.compile.evaluate import Evaluator, combine, identity
from tapeflow.compile.expr import may_fail, parts
from tapeflow.compile.scalars import MACHINE
from tapeflow.compile.text import I64, INDEX, PTR

# One operation on one element takes about this long (ns), and moving a byte: what the cut into tiles is reckoned by.
OPERATION, BYTE = 0.06, 0.08
TILE = 4000.0  # ns of work in a tile, at least; what a thread takes to join in is a tenth of it
MOST_TILES = 64
ABREAST, HEAVY = 4, 24  # vectors that a reduction takes at a time, and the cost of an element from which it takes one


class Member:
    """One value of a kernel.

    Attributes:
        kind: "full" (an element of every turn), "row" (one of each row), "reduce" (the same, of a reduction).
        expr: the element; values computed in this kernel are `value` expressions with (number, loop variables).
        combine: the reduction's name.
        stores: where it goes: (operand number, offset form) of each place.
    """

    def __init__(self, kind, expr, combine, stores):
        self.kind = kind
        self.expr = expr
        self.combine = combine
        self.stores = stores


class Kernel:
    """What a loop kernel is, without the addresses: equal kernels have equal `key`s and are compiled once.

    Attributes:
        dims: the sizes of the loops; axes: the reduced ones, empty if none.
        members: the values, in an order in which they can be computed.
        dtypes: the dtype of each operand in memory.
    """

    def __init__(self, dims, axes, members, dtypes):
        self.dims = tuple(dims)
        self.axes = frozenset(axes or ())
        self.members = members
        self.dtypes = dtypes
        self.vector = self._choose_vector()

    @property
    def key(self):
        """What equal kernels have in common."""
        members = tuple([(m.kind, m.expr, m.combine, tuple(m.stores)) for m in self.members])
        return (self.dims, tuple(sorted(self.axes)), members, tuple([d.name for d in self.dtypes]))

    @property
    def may_fail(self):
        """Whether it may find an error while it runs."""
        return may_fail(m.expr for m in self.members)

    # Loops

    def forms(self):
        """Every affine form in the kernel."""
        return forms_of(self.members)

    def _expressions(self):
        return parts([m.expr for m in self.members])

    def _choose_vector(self):
        """The loop whose turns are the lanes of a vector: the one along which most operands are contiguous."""
        best, chosen = -1, None
        forms = list(self.forms())
        for v in range(len(self.dims)):
            score = sum(2 if coefficient(form, v) == 1 else 1 if coefficient(form, v) == 0 else 0 for form in forms)
            score += 2 * (self.dims[v] >= 8)
            if score >= best:
                best, chosen = score, v
        return chosen

    @property
    def rows(self):
        """The loops that are not reduced, outermost first; the vector's loop is the last of its kind."""
        return self._order([v for v in range(len(self.dims)) if v not in self.axes])

    @property
    def inner(self):
        """The reduced loops, outermost first."""
        return self._order([v for v in range(len(self.dims)) if v in self.axes])

    def _order(self, loops):
        return [v for v in loops if v != self.vector] + [v for v in loops if v == self.vector]

    # Work

    @property
    def turns(self):
        """How often the innermost body runs, for single elements."""
        turns = 1
        for n in self.dims:
            turns *= n
        return turns

    @property
    def operations(self):
        """Operations on elements, all in all."""
        return self.turns * sum(m.expr.cost for m in self.members)

    def lanes(self, target):
        """The width of its vectors."""
        if self.vector is None:
            return 1
        widest = max((MACHINE[e.dtype].bytes for e in self._expressions() if MACHINE[e.dtype].floating), default=0)
        widest = widest or max(MACHINE[e.dtype].bytes for e in self._expressions())
        lanes = target.vector_bytes // max(widest, 4)
        while lanes > 1 and lanes // 2 >= self.dims[self.vector]:
            lanes //= 2
        return lanes

    def tiling(self, lanes):
        """How the outermost loop is cut for threads: (turns of a tile, number of tiles)."""
        if not self.rows:
            return 0, 1
        n = self.dims[self.rows[0]]
        time = self.operations * OPERATION + self.turns * BYTE * sum(d.size for d in self.dtypes)
        tiles = max(1, min(MOST_TILES, n, int(time / TILE)))
        tiles = 1 << (tiles - 1).bit_length()  # two or four threads have equal shares
        turns = -(-n // tiles)
        if self.rows[0] == self.vector:
            vectors = 8 if not self.axes else self.abreast if n >= 4 * self.abreast * lanes else 1
            turns = -(-turns // (vectors * lanes)) * vectors * lanes
        return turns, -(-n // turns)

    @property
    def abreast(self):
        """How many vectors of columns a reduction over rows takes at a time: one alone would read a line of each, far apart."""
        return ABREAST if max(m.expr.cost for m in self.members if m.kind != "row") <= HEAVY else 1


def write_scalars(f, kernel, pointers):
    """Write a kernel without loops, which cannot fail, into a function."""
    _Writer(f, kernel, 1, pointers, None).write(None, 0, 1)


def write_kernel(module, kernel, name):
    """Add a function `name(ptr operands, i64 tile, ptr scratch)` that runs one tile of a kernel.

    Returns:
        The number of tiles, and the messages of its errors.
    """
    lanes = kernel.lanes(module.target)
    turns, tiles = kernel.tiling(lanes)
    arguments = [("operands", PTR), ("tile", INDEX), ("scratch", PTR)]
    with module.function(name, arguments, internal=True, attributes="nounwind noinline") as f:
        operands, tile, _ = f.arguments
        pointers = [f.load(operands + 8 * i, PTR) for i in range(len(kernel.dtypes))]
        failures = Failures(operands, len(kernel.dtypes))
        _Writer(f, kernel, lanes, pointers, failures).write(tile, turns, tiles)
    return tiles, failures.messages


class Failures:
    """The run-time errors of a kernel: it sets a bit for each kind that happened, and writes a value, in two cells.

    The cells' address is the operand after all others.
    """

    def __init__(self, operands, place):
        self.operands = operands
        self.place = place
        self.messages = []

    def __call__(self, f, mask, message, value=None):
        """Note an error where a mask holds, with one of the values that are wrong."""
        self.messages.append(message)
        with f.when(f.any(mask)):
            cell = f.load(self.operands + 8 * self.place, PTR)
            f.store(f.load(cell, I64) | (1 << (len(self.messages) - 1)), cell)
            if value is not None:
                low = -(1 << (value.type.bits - 1))
                worst = f.reduce(f.where(mask, value, low), f.maximum)
                f.store(f.convert(worst, I64), cell + 8)


def forms_of(members):
    """Every affine form in some members."""
    for expr in parts([m.expr for m in members]):
        match expr.op:
            case "load" | "take":
                yield expr.data[1]
            case "index":
                yield expr.data
            case "inside":
                yield from (form for form, _ in expr.data)
    for member in members:
        yield from (form for _, form in member.stores)


class _Writer:
    """Writes one kernel."""

    def __init__(self, f, kernel, lanes, pointers, failures):
        self.f = f
        self.kernel = kernel
        self.lanes = lanes
        self.vector = kernel.vector if lanes > 1 else None
        self.e = Evaluator(f, self.vector, lanes, pointers, kernel.dtypes, failures)
        self.passes = _passes(kernel)

    def write(self, tile, turns, tiles):
        rows = self.kernel.rows
        if not rows:
            return self._row()
        n = self.kernel.dims[rows[0]]
        if tiles == 1:
            return self._rows(rows, (0, n, None))
        start = tile * turns
        if n % turns == 0:
            return self._rows(rows, (start, start + turns, None))
        stop = self.f.minimum(n, start + turns)
        return self._rows(rows, (start, stop, tile.equals(tiles - 1)))

    def _rows(self, rows, span):
        """The outer loops; `span` is the part of the first one that this tile has: (start, stop, whether it is the last)."""
        if not rows:
            return self._row()
        v, *rest = rows
        start, stop, last = (0, self.kernel.dims[v], None) if span is None else span
        if v == self.vector:
            unroll = self.kernel.abreast if self.kernel.axes else 1
            return self._blocks(v, start, stop, last, unroll, self._row)
        self.e.hoist(self._roots())
        with self.f.loop(start, stop) as loop, self.e.scope({v: loop.index}):
            self._rows(rest, None)
        return None

    def _roots(self):
        return [m.expr for m in self.kernel.members]

    def _blocks(self, v, start, stop, last, unroll, body):
        """The vector's loop: blocks of `unroll` vectors, then single ones, then the lanes that are left."""
        f, lanes, n = self.f, self.lanes, self.kernel.dims[v]
        self.e.hoist(self._roots())
        left = n % lanes
        whole = n - left
        if n < lanes * unroll:
            unroll = 1
        if isinstance(stop, int):
            middle = (whole - start) // (lanes * unroll) * (lanes * unroll) + start
            spans = [(start, middle, unroll), (middle, whole, 1)]
        else:
            end = stop if not left else f.minimum(whole, stop)
            if unroll == 1:
                spans = [(start, end, 1)]
            else:
                count = f.udiv(end - start, lanes * unroll) * (lanes * unroll)
                spans = [(start, start + count, unroll), (start + count, end, 1)]
        for low, high, width in spans:
            if isinstance(low, int) and isinstance(high, int) and low >= high:
                continue
            with f.loop(low, high, lanes * width) as loop, self.e.scope({v: loop.index}, width):
                body()
        if left:
            if last is None:
                with self.e.scope({v: whole}, 1, left):
                    body()
            else:
                with f.when(last), self.e.scope({v: whole}, 1, left):
                    body()

    # One row, or one block of rows

    def _row(self):
        for rows, inner in self.passes:
            for number in rows:
                self._finish(number)
            if inner:
                self._pass(inner)
        return None

    def _finish(self, number):
        """A value of the row itself: computed, kept and stored."""
        member = self.kernel.members[number]
        for u in self.e.copies:
            self.e.define(number, u, self.e.value(member.expr, u))
            self._store(member, number, u)

    def _store(self, member, number, u):
        for operand, place in member.stores:
            self.e.store(self.e.computed(number, u), operand, place, u)

    def _pass(self, numbers):
        """One walk over the reduced loops: reductions add up, elements are stored."""
        inner = self.kernel.inner
        sums = [number for number in numbers if self.kernel.members[number].kind == "reduce"]
        by_lane = bool(inner) and inner[-1] == self.vector
        wide = self.vector is not None and (by_lane or self.vector in self.kernel.rows)
        unroll = 1
        if by_lane and self.kernel.dims[self.vector] >= ABREAST * self.lanes and self._pass_cost(numbers) <= HEAVY:
            unroll = ABREAST
        width = unroll if by_lane else len(self.e.copies)
        first = []
        for number in sums:
            member = self.kernel.members[number]
            type = MACHINE[member.expr.dtype].vector(self.lanes if wide else 1)
            first += [self.f.constant(type, identity(member.combine, member.expr.dtype))] * width
        found = self._inner(inner, numbers, sums, first, unroll)
        for place, number in enumerate(sums):
            member = self.kernel.members[number]
            parts = found[place * width : (place + 1) * width]
            if by_lane:
                parts = [self._together(parts, member)]
            for u, part in zip(self.e.copies, parts, strict=True):
                self.e.define(number, u, part)
                self._store(member, number, u)

    def _pass_cost(self, numbers):
        return sum(self.kernel.members[number].expr.cost for number in numbers)

    def _together(self, parts, member):
        """The accumulators of a row, and their lanes, combined: halves first."""

        def both(a, b):
            return combine(self.f, member.combine, a, b, member.expr.dtype)

        while len(parts) > 1:
            half = len(parts) // 2
            parts = [both(a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
        return self.f.reduce(parts[0], both)

    def _inner(self, inner, numbers, sums, carry, unroll):
        """The loops of one pass; returns the accumulators' last values."""
        exprs = [self.kernel.members[number].expr for number in numbers]
        if not inner:
            return self._body(numbers, sums, carry)
        v, *rest = inner
        n = self.kernel.dims[v]
        self.e.hoist(exprs)
        if v == self.vector:
            return self._lanes(v, n, numbers, sums, carry, unroll)
        with self.f.loop(0, n, carry=carry) as loop, self.e.scope({v: loop.index}):
            loop.next = self._inner(rest, numbers, sums, loop.values, unroll)
        return loop.results

    def _lanes(self, v, n, numbers, sums, carry, unroll):
        left = n % self.lanes
        whole = n - left
        middle = whole // (self.lanes * unroll) * (self.lanes * unroll)
        for low, high, width in ((0, middle, unroll), (middle, whole, 1)):
            if low < high:
                with self.f.loop(low, high, self.lanes * width, carry=carry) as loop, self.e.scope({v: loop.index}, width):
                    loop.next = self._body(numbers, sums, loop.values, unroll)
                carry = loop.results
        if left:
            with self.e.scope({v: whole}, 1, left):
                carry = self._body(numbers, sums, carry, unroll)
        return carry

    def _body(self, numbers, sums, carry, unroll=None):
        """The elements of one turn; `carry` has, for each reduction, an accumulator for each copy."""
        after = list(carry)
        width = unroll or len(self.e.copies)
        for u in self.e.copies:
            for number in numbers:
                member = self.kernel.members[number]
                value = self.e.value(member.expr, u)
                if number in sums:
                    place = sums.index(number) * width + u
                    value = self.e.only_active(value, identity(member.combine, member.expr.dtype), after[place].type)
                    after[place] = combine(self.f, member.combine, after[place], value, member.expr.dtype)
                else:
                    self.e.define(number, u, value)
                    self._store(member, number, u)
        return after


def _passes(kernel):
    """For each pass (values of the row to compute before it, values to compute in it)."""
    if not kernel.axes:
        return [(list(range(len(kernel.members))), [])]
    turn = turns_of(kernel.members)
    result = []
    for p in range(1 + max(turn)):
        here = [number for number, t in enumerate(turn) if t == p]
        rows = [number for number in here if kernel.members[number].kind == "row"]
        result.append((rows, [number for number in here if number not in rows]))
    return result


def turns_of(members):
    """The pass in which each member is computed: what it reads of reductions is known after theirs."""
    turn = []
    for member in members:
        needs = [turn[x.data[0]] + (members[x.data[0]].kind == "reduce") for x in parts([member.expr]) if x.op == "value"]
        turn.append(max(needs, default=0))
    return turn


__all__ = ["Kernel", "Member", "forms_of", "turns_of", "write_kernel", "write_scalars"]
