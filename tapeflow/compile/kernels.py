"""Groups to kernels: operands numbered, loops that walk in step made one, values of earlier passes fetched again."""

from tapeflow.compile.affine import coefficient, rename
from tapeflow.compile.expr import parts
from tapeflow.compile.group import is_row, own_place, place_in
from tapeflow.compile.loops import Kernel, Member, forms_of, turns_of


class Operands:
    """Numbers the places in memory that a kernel reads and writes, in order of first use."""

    def __init__(self):
        self.keys = []
        self.dtypes = []
        self._numbers = {}

    def number(self, key, dtype):
        """The number of a place."""
        if key not in self._numbers:
            self._numbers[key] = len(self.keys)
            self.keys.append(key)
            self.dtypes.append(dtype)
        return self._numbers[key]


def kernel_of(group, reader, targets):
    """The `Kernel` of a group without library call, and the keys of its operands.

    Args:
        group: the `Group`.
        reader: the `Reader` whose expressions its roots have.
        targets: `targets(value)`: the keys of the places where a value is to be stored. A value is read from the key
            ("value", id).
    """
    operands = Operands()
    members = members_of(group, reader, targets, operands)
    dims, axes = group.dims, group.axes or ()
    if axes:
        members = _refetched(members, reader.pool)
    dims, axes, members = collapsed(dims, axes, members, reader.pool)
    return Kernel(dims, axes, members, operands.dtypes), operands.keys


def members_of(group, reader, targets, operands, given=()):
    """The members of a group's kernel; `given` are values that have the first numbers already."""
    pool = reader.pool
    dims, axes = group.dims, group.axes
    bits = {"full": sum(1 << v for v in range(len(dims)))}
    bits["row"] = bits["reduce"] = sum(1 << v for v in group.kept)
    here = {id(x): pool.make("value", (), (number, bits["full"]), x._dtype) for number, x in enumerate(given)}
    members = []
    for root, names in group.members:
        expr = pool.replaced(root.expr, lambda x, names=names: _placed(x, names, here, pool, operands), {})
        row = is_row(root, dims, axes)
        kind = "reduce" if root.axes is not None else "row" if row else "full"
        if root.place is not None:
            place = rename(root.place, names)
        elif kind == "full":
            place = own_place(root, names)
        else:
            place = place_in(dims, group.kept)
        stores = [(operands.number(key, root.value._dtype), place) for key in targets(root.value)]
        if root.place is None:
            here[id(root.value)] = pool.make("value", (), (len(given) + len(members), bits[kind]), root.value._dtype)
        members.append(Member(kind, expr, root.combine, stores))
    return members


def _placed(x, names, here, pool, operands):
    """A load or index in the kernel's loops; a load of what is computed in it becomes that value."""
    match x.op:
        case "load" | "take":
            if x.data[0] in here:
                return here[x.data[0]]
            number = operands.number(("value", x.data[0]), x.dtype)
            args = tuple([pool.replaced(a, lambda y: _placed(y, names, here, pool, operands), {}) for a in x.args])
            return pool.make(x.op, args, (number, rename(x.data[1], names), *x.data[2:]), x.dtype)
        case "index":
            return pool.make("index", (), rename(x.data, names), x.dtype)
        case "inside":
            return pool.make("inside", (), tuple([(rename(form, names), n) for form, n in x.data]), x.dtype)
    return None


def _refetched(members, pool):
    """Elements that an earlier pass computed are gone: they are loaded again where they were stored, or computed again."""
    done = []
    for member in members:
        while True:
            trial = [*done, member]
            turn = turns_of(trial)
            late = [
                x
                for x in parts([member.expr])
                if x.op == "value" and done[x.data[0]].kind == "full" and turn[x.data[0]] < turn[-1]
            ]
            if not late:
                break
            again = {x: _fetched(done[x.data[0]], x, pool) for x in late}
            member.expr = pool.replaced(member.expr, again.get, {})
        done.append(member)
    return done


def _fetched(member, x, pool):
    if member.stores:
        return pool.make("load", (), member.stores[0], x.dtype)
    return member.expr


def collapsed(dims, axes, members, pool):
    """Neighbouring loops through which every operand walks in step, as one loop."""
    dims, axes = list(dims), set(axes)
    forms = list(forms_of(members))
    sizes = tuple(dims)
    names = {v: v for v in range(len(dims))}
    for v in range(len(dims) - 2, -1, -1):
        if (v in axes) == (v + 1 in axes) and all(
            coefficient(form, v) == coefficient(form, v + 1) * sizes[v + 1] for form in forms
        ):
            names[v] = None
            dims[next(w for w in range(v + 1, len(dims)) if names[w] is not None)] *= dims[v]
    if None not in names.values():
        return dims, axes, members
    kept = [v for v in range(len(dims)) if names[v] is not None]
    names = {v: kept.index(v) if v in kept else None for v in range(len(dims))}
    memo = {}
    for member in members:
        member.expr = pool.renamed(member.expr, names, memo)
        member.stores = [(operand, rename(form, names)) for operand, form in member.stores]
    return [dims[v] for v in kept], {names[v] for v in axes if names[v] is not None}, members


__all__ = ["Operands", "collapsed", "kernel_of", "members_of"]
