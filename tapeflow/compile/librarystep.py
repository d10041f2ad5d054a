"""A library call in a plan: where its operands stand, and the elementwise work that it does as it writes its result."""

from tapeflow.compile.affine import coefficient
from tapeflow.compile.evaluate import Evaluator
from tapeflow.compile.expr import loads, parts
from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.group import place_in
from tapeflow.compile.kernels import Operands, collapsed, members_of
from tapeflow.compile.loops import Member
from tapeflow.compile.micro import slot, store_tile
from tapeflow.compile.text import INDEX, PTR

INLINE = 24  # instructions, about, that are written out for each vector of a tile


def weight(expr):
    """How many instructions an operation is, about."""
    return 25 if expr.op in FUNCTIONS and expr.op != "sqrt" else 1


class Library:
    """What a kind of library call tells the grouping.

    Attributes:
        operands: `operands(node, reader)`: an `Operand` for each input.
        takes_epilogue: `takes_epilogue(node)`: whether elementwise work on its result can be done in it.
        step: `step(group, reader, targets)`: the step of a group that it anchors.
        in_place: whether its result may be where the first operand is.
    """

    def __init__(self, operands, takes_epilogue, step, in_place=False):
        self.operands = operands
        self.takes_epilogue = takes_epilogue
        self.step = step
        self.in_place = in_place


class Operand:
    """An operand where it stands: the value in memory, an offset in elements, and strides as the library wants them."""

    def __init__(self, value, offset=0, strides=None):
        self.value = value
        self.offset = offset
        self.strides = strides


class LibraryStep:
    """A step that is a library call, with the group of roots that is its epilogue.

    Its first operands are those of the node, then comes the result.

    Args:
        group: the `Group` that the call anchors.
        emit: `emit(module, places, result, workspace, epilogue)` writes the functions and returns their `micro.Kernel`; places
            are functions `(f, table)` to an address. The epilogue is None where there is none to do.
        key: with the node's op: what calls have in common that are compiled once.
    """

    native = True
    may_fail = False  # whether it may find an error while it runs
    failures = None  # then the offset of the cells for the number of an error and a value
    copies = ()  # what is to be copied after it: (key, key, value); an epilogue writes to all places itself

    def __init__(self, group, reader, targets, emit, key):
        node = group.anchor.node
        out = node.outputs[0]
        self.group = group
        self.node = node
        self.emit = emit
        operands = Operands()
        self.offsets = []
        for i, x in enumerate(group.anchor.operands):  # two may be parts of one buffer
            operands.number(("value", id(x.value), i), x.value._dtype)
            self.offsets.append(x.offset * x.value._dtype.size)
        kept = targets(out)
        self.result = operands.number(kept[0], out._dtype) if kept else None
        if group.members:
            self.epilogue = self._epilogue(group, reader, targets, operands, out, kept)
        else:
            self.epilogue, self.copies = None, [(kept[0], key, out) for key in kept[1:]]
        self.keys = [key[:2] for key in operands.keys]
        self.key = (node.op.name, key, self.epilogue, self.result, len(self.keys))
        self.flops = 0

    def _epilogue(self, group, reader, targets, operands, out, kept):
        members = members_of(group, reader, targets, operands, given=(out,))
        dims = group.dims
        if kept:
            value = reader.pool.make("value", (), (0, (1 << len(dims)) - 1), out._dtype)
            places = [(operands.number(key, out._dtype), place_in(dims, range(len(dims)))) for key in kept]
            members.append(Member("full", value, None, places))
        last = len(dims) - 1  # the columns stay apart from the rows, as a reduced loop would
        dims, _, members = collapsed(dims, {last}, members, reader.pool)
        return Epilogue(tuple(dims), members, operands.dtypes)

    def write(self, module):
        """Write the functions; returns the `micro.Kernel`. The workspace is the operand after all others."""
        result = (lambda f, table: f.constant(PTR, 0)) if self.result is None else slot(self.result)
        places = [slot(i) for i in range(len(self.offsets))]
        return self.emit(module, places, result, slot(len(self.keys)), self.epilogue or store_tile)


class Epilogue:
    """What a call's tiles do with their sums before they are written.

    Args:
        dims: the loops of the result; the last one is that of the vectors.
        members: values computed of it, and of what else is loaded; value 0 is the sum.
        dtypes: of the operands.
    """

    def __init__(self, dims, members, dtypes):
        self.dims = dims
        self.members = members
        self.dtypes = tuple(dtypes)
        self.cost = sum(weight(x) for x in parts([m.expr for m in members]))
        self.key = (dims, tuple([(m.expr, tuple(m.stores)) for m in members]), self.dtypes)

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return isinstance(other, Epilogue) and self.key == other.key

    def __call__(self, tile):
        if self.cost > INLINE:
            self._loop(tile)
        else:
            self._inline(tile)

    def touched(self, tile):
        """The arrays that it reads and writes row by row: the address of the tile's first element, and bytes from row to row."""
        columns, rows = len(self.dims) - 1, len(self.dims) - 2
        places = [place for m in self.members for place in m.stores]
        places += [x.data[:2] for m in self.members for x in loads(m.expr) if x.op == "load"]
        places = [x for x in dict.fromkeys(places) if coefficient(x[1], rows) and coefficient(x[1], columns) == 1]
        e = self._evaluator(tile.f, tile.table, tile.lanes)
        with e.scope({**self._row_variables(tile.f, tile.row(0)), columns: tile.column(0)}):
            return [(e.address(*x, 0), coefficient(x[1], rows) * self.dtypes[x[0]].size) for x in places]

    def _loop(self, tile):
        """A loop over the rows of a tile, for its values from the stack: written out for all of them, much work would be much code."""
        f, vectors = tile.f, len(tile.values[0])
        type = tile.values[0][0].type
        size = type.lanes * type.bytes
        values = f.stack(len(tile.values) * vectors * size)
        for i, line in enumerate(tile.values):
            for j, value in enumerate(line):
                f.store(value, values + (i * vectors + j) * size)
        numbers = f.stack(len(tile.values) * INDEX.bytes)
        for i, number in enumerate(tile.row_numbers):
            f.store(f.index(number), numbers + i * INDEX.bytes)
        e = self._evaluator(f, tile.table, tile.lanes)
        exprs, vector = [m.expr for m in self.members], len(self.dims) - 1
        for j in range(vectors):
            with e.scope({vector: tile.column(j)}, 1, tile.mask(j)):
                e.hoist(exprs, 1 << vector)
                with f.loop(0, len(tile.values)) as loop:
                    row = tile.first_row + f.load(numbers + loop.index * INDEX.bytes, INDEX)
                    with e.scope(self._row_variables(f, row)):
                        self._element(e, f.load(values + (loop.index * (vectors * size) + j * size), type))

    def _evaluator(self, f, table, lanes):
        used = {operand for m in self.members for operand, _ in m.stores}
        used |= {x.data[0] for m in self.members for x in loads(m.expr)}
        pointers = {operand: f.load(table + 8 * operand, PTR) for operand in sorted(used)}
        return Evaluator(f, len(self.dims) - 1, lanes, pointers, self.dtypes)

    def _inline(self, tile):
        f = tile.f
        vector = len(self.dims) - 1
        e = self._evaluator(f, tile.table, tile.lanes)
        exprs = [m.expr for m in self.members]
        split = vector > 1  # the rows of a tile may lie in several matrices or images: each row by itself
        rows = {} if split else {0: tile.first_row}
        for j in range(len(tile.values[0])):
            with e.scope({**rows, vector: tile.column(j)}, 1, tile.mask(j)):
                e.hoist(exprs, 1 << vector)
                for i, line in enumerate(tile.values):
                    bound = self._row_variables(f, tile.row(i)) if split else {}
                    with e.scope(bound, shift={} if split else {0: tile.row_numbers[i]}):
                        self._element(e, line[j])

    def _row_variables(self, f, row):
        """The loop variables but the vector's, of a row counted through the batch."""
        found = {}
        for v in range(len(self.dims) - 2, 0, -1):
            found[v] = f.urem(row, self.dims[v])
            row = f.udiv(row, self.dims[v])
        found[0] = row
        return dict(sorted(found.items()))

    def _element(self, e, value):
        e.define(0, 0, value)
        for number, member in enumerate(self.members, 1):
            found = e.value(member.expr, 0)
            e.define(number, 0, found)
            for operand, place in member.stores:
                e.store(e.spread(found), operand, place, 0)


__all__ = ["Epilogue", "Library", "LibraryStep", "Operand"]
