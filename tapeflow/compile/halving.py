"""A reduction of many elements to few, in two kernels: parts of the sum for tiles that threads can share, then their sum.

The parts follow from the shape alone, so the result has the same bits for any number of threads.
"""

from tapeflow.compile.affine import size
from tapeflow.compile.expr import parts
from tapeflow.compile.group import place_in
from tapeflow.compile.kernels import Operands
from tapeflow.compile.loops import Kernel, Member, turns_of

WORK = 1 << 16  # operations below which one thread is as quick
PARTS = range(16, 129)  # how many parts there may be
ALONG, DOWN = 64, 16  # about how many where lanes add up, and where columns do: of those each part writes all
WIDE = 256  # so many results keep the threads busy by themselves, where a thread's share lies together


class Part:
    """Memory for the parts of a reduction: what the planning of memory asks of a value."""

    def __init__(self, dims, dtype):
        self.dims = dims
        self._dtype = dtype


def in_two(kernel, keys, pool):
    """The kernels that do what `kernel` does: itself, or two.

    Returns:
        A list of (kernel, operand keys), and the `Part`s that the first stores for the second.
    """
    v = _where(kernel)
    if v is None:
        return [(kernel, keys)], []
    about = ALONG if kernel.vector in kernel.axes else DOWN
    count = next(t for t in sorted(PARTS, key=lambda t: abs(t - about)) if kernel.dims[v] % t == 0)
    rest = kernel.dims[v] // count
    return _split(kernel, keys, pool, v, count, rest)


def _where(kernel):
    """The reduced loop to cut, or None."""
    members = kernel.members
    rows = [n for v, n in enumerate(kernel.dims) if v not in kernel.axes]
    if not kernel.axes or kernel.operations < WORK:
        return None
    turn = turns_of(members)
    for m, t in zip(members, turn, strict=True):
        if m.kind == "row":
            continue
        if t or any(x.op == "value" and members[x.data[0]].kind == "row" for x in parts([m.expr])):
            return None  # it takes several passes, which have to see all of the sum
    for v in kernel.inner:
        if v > 0 and size(rows) >= WIDE:
            continue
        long = v != kernel.vector or kernel.dims[v] >= 4096
        if long and any(kernel.dims[v] % t == 0 and kernel.dims[v] // t >= 8 for t in PARTS):
            return v
    return None


def _split(kernel, keys, pool, v, count, rest):
    dims = (*kernel.dims[:v], count, rest, *kernel.dims[v + 1 :])
    axes = {a if a < v else a + 1 for a in kernel.axes} - {v} | {v + 1}
    kept = [w for w in range(len(dims)) if w not in axes]
    first, second = Operands(), Operands()
    found, makers = [], []
    rows = tuple([dims[w] for w in kept if w != v])
    numbers = {}  # of the members that the first kernel has
    later = {}  # number of a reduction -> its number in the second kernel
    late = []
    for number, member in enumerate(kernel.members):
        if member.kind == "row":
            continue
        expr = _cut(member.expr, pool, v, rest, keys, kernel.dtypes, first, numbers, len(dims))
        if member.kind == "full":
            stores = [(first.number(keys[o], kernel.dtypes[o]), _cut_form(form, v, rest)) for o, form in member.stores]
        else:
            part = Part((count, *rows), expr.dtype)
            found.append(part)
            order = [v, *[w for w in kept if w != v]]
            strides = place_in([dims[w] for w in order], range(len(order)))
            place = (0, tuple(sorted([(order[i], c) for i, c in strides[1]])))
            stores = [(first.number(("value", id(part)), expr.dtype), place)]
            load = pool.make("load", (), (second.number(("value", id(part)), expr.dtype), strides), expr.dtype)
            later[number] = len(late)
            late.append(Member("reduce", load, member.combine, _moved(member.stores, kernel, keys, second)))
        numbers[number] = len(makers)
        makers.append(Member(member.kind, expr, member.combine, stores))
    for number, member in enumerate(kernel.members):
        if member.kind == "row":
            expr = _in_second(member.expr, kernel, keys, pool, second, later)
            later[number] = len(late)
            late.append(Member("row", expr, None, _moved(member.stores, kernel, keys, second)))
    one = Kernel(dims, axes, makers, first.dtypes)
    two = Kernel((count, *rows), {0}, late, second.dtypes)
    return [(one, first.keys), (two, second.keys)], found


def _cut_form(form, v, rest):
    """A form in which loop v is a loop over parts, v, and one within a part, v + 1."""
    terms = []
    for w, c in form[1]:
        terms += [(v, c * rest), (v + 1, c)] if w == v else [(w if w < v else w + 1, c)]
    return (form[0], tuple(sorted(terms)))


def _cut(expr, pool, v, rest, keys, dtypes, operands, numbers, count):
    def change(x):
        match x.op:
            case "load" | "take":
                args = tuple([pool.replaced(a, change, {}) for a in x.args])
                number = operands.number(keys[x.data[0]], dtypes[x.data[0]])
                return pool.make(x.op, args, (number, _cut_form(x.data[1], v, rest), *x.data[2:]), x.dtype)
            case "index":
                return pool.make("index", (), _cut_form(x.data, v, rest), x.dtype)
            case "inside":
                return pool.make("inside", (), tuple([(_cut_form(form, v, rest), n) for form, n in x.data]), x.dtype)
            case "value":
                return pool.make("value", (), (numbers[x.data[0]], (1 << count) - 1), x.dtype)
        return None

    return pool.replaced(expr, change, {})


def _row_names(kernel):
    """What the loops over rows are called in the second kernel, whose loop 0 is that over parts."""
    rows = [w for w in range(len(kernel.dims)) if w not in kernel.axes]
    return {w: i + 1 for i, w in enumerate(rows)}


def _renamed(form, names):
    return (form[0], tuple(sorted([(names[w], c) for w, c in form[1]])))


def _moved(stores, kernel, keys, operands):
    names = _row_names(kernel)
    return [(operands.number(keys[o], kernel.dtypes[o]), _renamed(form, names)) for o, form in stores]


def _in_second(expr, kernel, keys, pool, operands, later):
    names = _row_names(kernel)
    bits = sum(1 << i for i in names.values())

    def change(x):
        match x.op:
            case "load" | "take":
                args = tuple([pool.replaced(a, change, {}) for a in x.args])
                number = operands.number(keys[x.data[0]], kernel.dtypes[x.data[0]])
                return pool.make(x.op, args, (number, _renamed(x.data[1], names), *x.data[2:]), x.dtype)
            case "index":
                return pool.make("index", (), _renamed(x.data, names), x.dtype)
            case "inside":
                return pool.make("inside", (), tuple([(_renamed(form, names), n) for form, n in x.data]), x.dtype)
            case "value":
                return pool.make("value", (), (later[x.data[0]], bits), x.dtype)
        return None

    return pool.replaced(expr, change, {})


__all__ = ["Part", "in_two"]
