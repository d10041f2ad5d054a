"""Matrix products: which strides their operands have, and the elementwise work that their tiles take on as they are written."""

from tapeflow.base.dtypes import float32, float64
from tapeflow.compile.affine import ZERO, coefficient, strides_of, total, variable
from tapeflow.compile.evaluate import Evaluator
from tapeflow.compile.expr import MustStore, loads
from tapeflow.compile.gemm import Matmul
from tapeflow.compile.group import place_in
from tapeflow.compile.kernels import Operands, members_of
from tapeflow.compile.scalars import MACHINE
from tapeflow.compile.text import PTR
from tapeflow.core.tensor import Tensor


def is_product(node):
    """Whether a node is a product of matrices that we generate code for."""
    if node.op.name != "matmul" or node.outputs[0]._dtype not in (float32, float64):
        return False
    return all(x.dims is not None and None not in x.dims and 0 not in x.dims for x in (*node.inputs, *node.outputs))


def takes_epilogue(node):
    """Whether elementwise work can join a product: each element of the result is at a row and a column of vectors."""
    return node.outputs[0].dims[-1] > 1 and node.outputs[0].dims[-2] > 1


class Operand:
    """A matrix operand where it stands: the value in memory, an offset in elements, and the strides of batch axes, rows, columns."""

    def __init__(self, value, offset, batch, row, column):
        self.value = value
        self.offset = offset
        self.batch = batch
        self.row = row
        self.column = column


def operands_of(node, reader):
    """The two `Operand`s of a product: views of what is in memory.

    Raises:
        MustStore: an operand is no view of a stored value, so it has to be stored.
    """
    out = node.outputs[0].dims
    return [
        _operand(x, out, reader, node.attrs.get(flag, False))
        for x, flag in zip(node.inputs, ("transpose_a", "transpose_b"), strict=True)
    ]


def _operand(x, out, reader, transposed):
    dims = x.dims
    batch = len(out) - 2
    own = len(dims) - 2
    sizes = (*out[:batch], *dims[-2:])
    index = [ZERO if n == 1 else variable(batch - own + i) for i, n in enumerate(dims[:own])]
    index += [ZERO if n == 1 else variable(batch + i) for i, n in enumerate(dims[-2:])]
    if x.__class__ is Tensor:
        reader.values[id(x)] = x
        form = total(index, strides_of(dims))
        value = x
    else:
        expr = reader.element(x, tuple(index), sizes)
        if expr.op != "load" or expr.args:
            raise MustStore(x)
        value, form = reader.values[expr.data[0]], expr.data[1]
    steps = [coefficient(form, v) for v in range(batch)]
    rows, columns = [coefficient(form, batch + i) for i in range(2)]
    if dims[-1] == 1:
        columns = 1
    if dims[-2] == 1:
        rows = dims[-1]
    if transposed:
        rows, columns = columns, rows
    return Operand(value, form[0], steps, rows, columns)


def spec_of(node, a, b):
    """The `Matmul` of a product; batch axes along which only A moves become rows where it is contiguous."""
    out = node.outputs[0].dims
    element = MACHINE[node.outputs[0]._dtype]
    size = element.bytes
    m, n = out[-2:]
    k = node.inputs[0].dims[-2 if node.attrs.get("transpose_a") else -1]
    axes = []
    step = m * n
    for count, x, y in list(zip(out[:-2], a.batch, b.batch, strict=True))[::-1]:
        if count != 1:
            axes.append((count, x, y, step))
        step *= count
    while axes and axes[0][2] == 0 and axes[0][1] == a.row * m and axes[0][3] == m * n:
        m *= axes.pop(0)[0]
    batch = tuple([(count, x * size, y * size, z * size) for count, x, y, z in axes[::-1]])
    return Matmul(m, n, k, element, (a.row * size, a.column * size), (b.row * size, b.column * size), n * size, batch)


class Product:
    """A step that is a product of matrices, with the group of roots that is its epilogue.

    Its first operands are A, B, the result, and the workspace.
    """

    native = True

    def __init__(self, group, reader, targets, a, b):
        node = group.anchor.node
        out = node.outputs[0]
        self.group = group
        self.node = node
        self.spec = spec_of(node, a, b)
        self.offsets = (a.offset * out._dtype.size, b.offset * out._dtype.size)
        operands = Operands()
        operands.number(("value", id(a.value), "a"), out._dtype)
        operands.number(("value", id(b.value), "b"), out._dtype)
        kept = targets(out)
        self.result = operands.number(kept[0], out._dtype) if kept else None
        self.copies = kept[1:]
        self.epilogue = None
        if group.members or kept:
            members = members_of(group, reader, targets, operands, given=(out,))
            dims = group.dims if group.members else tuple([n for n in out.dims if n != 1])
            places = [(operands.number(key, out._dtype), place_in(dims, range(len(dims)))) for key in kept]
            if members:
                self.epilogue = Epilogue(dims, members, places, operands.dtypes)
        self.keys = [key[:2] for key in operands.keys]  # A and B may be one buffer, at two offsets
        self.description = (self.spec, self.epilogue, self.result)


class Epilogue:
    """What a product's tiles do with their sums before they are written: `emit_matmul` calls it.

    Args:
        dims: the loops of the result; the last one is that of the vectors.
        members: values computed of it, and of what else is loaded; value 0 is the sum.
        places: (operand number, place) of each place where the sum itself is stored.
        dtypes: of the operands.
    """

    def __init__(self, dims, members, places, dtypes):
        self.dims = dims
        self.members = members
        self.places = places
        self.dtypes = tuple(dtypes)
        described = tuple([(m.expr, tuple(m.stores)) for m in members])
        self.key = (dims, described, tuple(places), self.dtypes)

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return isinstance(other, Epilogue) and self.key == other.key

    def __call__(self, tile):
        f = tile.f
        vector = len(self.dims) - 1
        used = {operand for m in self.members for operand, _ in m.stores} | {operand for operand, _ in self.places}
        used |= {x.data[0] for m in self.members for x in loads(m.expr)}
        pointers = {operand: f.load(tile.table + 8 * operand, PTR) for operand in sorted(used)}
        e = Evaluator(f, vector, tile.lanes, pointers, self.dtypes)
        rows = self._row_variables(f, tile.first_row)
        exprs = [m.expr for m in self.members]
        split = len(rows) > 1  # the rows of a tile may lie in several matrices of the batch: each row by itself
        for j in range(len(tile.values[0])):
            with e.scope({vector: tile.column(j)} if split else {vector: tile.column(j), **rows}, 1, tile.mask(j)):
                e.hoist(exprs, 1 << vector)
                for i, line in enumerate(tile.values):
                    bound = self._row_variables(f, tile.row(i)) if split else {}
                    with e.scope(bound, shift={} if split else {0: i}):
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
        for operand, place in self.places:
            e.store(value, operand, place, 0)
        for number, member in enumerate(self.members, 1):
            found = e.value(member.expr, 0)
            e.define(number, 0, found)
            for operand, place in member.stores:
                e.store(e.spread(found), operand, place, 0)


__all__ = ["Epilogue", "Operand", "Product", "is_product", "operands_of", "takes_epilogue"]
