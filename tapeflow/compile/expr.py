"""Expressions of one element: what stands inside a loop. Equal expressions are one object."""

import numpy as np

from tapeflow.base.dtypes import bool_
from tapeflow.compile.affine import ZERO, NotAffine, rename, strides_of, total
from tapeflow.compile.scalars import FAILING, is_scalar
from tapeflow.compile.views import RESHAPES, VIEWS, broadcast_index, view
from tapeflow.core.tensor import Tensor

OUT_OF_RANGE = "indices = {value} is not in [0, {limit})"
# An inlined expression may not grow beyond so many operations: it is cut by storing a value.
LARGEST = 96


# Operations that read memory; their data begin with (value id or operand number, offset form).
MEMORY_OPS = ("load", "take")


class Expr:
    """One operation on elements.

    Attributes:
        op: "load", "take" (a load at an index that is computed: its first operand), "constant", "index", "inside", "value", or
            the name of a scalar primitive.
        args: the operands, expressions; the last one of a load may be the mask under which it may be read.
        data: what else says what it is: for a load (value id, offset form), for a take that and the stride of the index, for an
            index the form, for "inside" pairs (form, n) that must hold 0 <= form < n, for a value of the same kernel (its
            number, its loop variables as bits), for a primitive its attrs.
        dtype: the element's dtype.
        vars: the set of loop variables it depends on, as bits.
        cost: how many operations computing it takes.
    """

    __slots__ = ("args", "cost", "data", "dtype", "op", "vars")

    def __init__(self, op, args, data, dtype):
        self.op = op
        self.args = args
        self.data = data
        self.dtype = dtype
        self.vars = own_vars(op, data)
        self.cost = 1
        for x in args:
            self.vars |= x.vars
            self.cost += x.cost

    def __repr__(self):
        data = "" if self.data is None else f"[{self.data}]"
        return f"{self.op}{data}({', '.join(map(repr, self.args))})"


def own_vars(op, data):
    """The loop variables that an operation itself looks at, as bits."""
    if op == "value":
        return data[1]
    if op in MEMORY_OPS:
        forms = (data[1],)
    elif op == "index":
        forms = (data,)
    elif op == "inside":
        forms = [form for form, _ in data]
    else:
        return 0
    bits = 0
    for _, terms in forms:
        for v, _ in terms:
            bits |= 1 << v
    return bits


class MustStore(Exception):
    """A value cannot be computed where it is used: it has to be stored, and loaded from there."""

    def __init__(self, value):
        super().__init__(value.name)
        self.value = value


class Pool:
    """Makes expressions, each only once."""

    def __init__(self):
        self._made = {}

    def make(self, op, args=(), data=None, dtype=None):
        """The expression with these parts."""
        key = (op, args, data, dtype)
        try:
            return self._made[key]
        except KeyError:
            made = self._made[key] = Expr(op, args, data, dtype)
            return made

    def constant(self, number, dtype):
        """A number of a dtype; its key tells 0.0 from -0.0 and knows nan."""
        return self.make("constant", (), (repr(number), Number(number)), dtype)

    def replaced(self, expr, change, memo):
        """`expr` with `change(x)` in the place of each load and index x for which it is not None."""
        found = memo.get(expr)
        if found is None:
            found = change(expr)
            if found is None:
                args = tuple([self.replaced(x, change, memo) for x in expr.args])
                found = expr if args == expr.args else self.make(expr.op, args, expr.data, expr.dtype)
            memo[expr] = found
        return found

    def renamed(self, expr, names, memo):
        """`expr` with loop variable v called names[v]."""

        def change(x):
            match x.op:
                case "load" | "take":
                    args = tuple([self.renamed(a, names, memo) for a in x.args])
                    return self.make(x.op, args, (x.data[0], rename(x.data[1], names), *x.data[2:]), x.dtype)
                case "index":
                    return self.make("index", (), rename(x.data, names), x.dtype)
                case "inside":
                    return self.make("inside", (), tuple([(rename(form, names), n) for form, n in x.data]), x.dtype)
                case "value":
                    bits = sum(1 << new for v, new in names.items() if x.data[1] >> v & 1 and new is not None)
                    return self.make("value", (), (x.data[0], bits), x.dtype)
            return None

        return self.replaced(expr, change, memo)


class Number:
    """A Python number that equals every other in a key: the text beside it tells them apart."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return other.__class__ is Number

    def __hash__(self):
        return 0

    def __repr__(self):
        return repr(self.value)


class Reader:
    """Writes values of a graph as expressions of stored values.

    Args:
        producers: the node of each value's id; inputs have none.
        stored: the ids of the values that are in memory; changed by whoever groups.
        positions: the place of each node's id in the program.
        turns: whether the program runs in the turns of a loop.
    """

    def __init__(self, producers, stored, positions, turns):
        self.pool = Pool()
        self.producers = producers
        self.positions = positions
        self.turns = turns
        self.stored = stored
        self.values = {}  # id -> value, of everything that is loaded
        self.sizes = ()
        self._memo = {}

    def element(self, value, index, sizes, inside=False):
        """The element of `value` at `index`: loaded where it is stored, unless `inside` asks to compute it.

        Raises:
            MustStore: a value on the way has to be stored first.
        """
        self.sizes = sizes
        self._memo = {}
        if not inside:
            return self._at(value, index, None)
        node = self.producers[id(value)]
        return self._computed(node, value, index, None)

    def _at(self, value, index, mask):
        key = (id(value), index, mask)
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = self._find(value, index, mask)
            if found.cost > LARGEST and id(value) in self.producers:
                raise MustStore(value)
        return found

    def _find(self, value, index, mask):
        if value.__class__ is Tensor and value._value.size == 1:
            return self.pool.constant(value._value.item(), value._dtype)
        base = self.base(value)
        if base is not None:
            self.values[id(base)] = base
            data = (id(base), total(index, strides_of(value.dims)))
            return self.pool.make("load", () if mask is None else (mask,), data, value._dtype)
        return self._computed(self.producers[id(value)], value, index, mask)

    def base(self, value):
        """The stored value whose elements, in order, are those of `value`; None where there is none."""
        while id(value) not in self.stored and value.__class__ is not Tensor:
            node = self.producers.get(id(value))
            if node is None:
                return value
            if node.op.name not in RESHAPES:
                return None
            value = node.inputs[0]
        return value

    def _computed(self, node, value, index, mask):
        name = node.op.name
        pool = self.pool
        if name in VIEWS:
            try:
                inner, conditions = view(node, value.index, index, self.sizes)
            except NotAffine:
                raise MustStore(self._before_reshapes(node.inputs[0]) if name in RESHAPES else value) from None
            if not conditions:
                return self._at(node.inputs[0], inner, mask)
            inside = pool.make("inside", (), conditions, bool_)
            both = inside if mask is None else pool.make("logical_and", (mask, inside), None, bool_)
            filler = pool.constant(node.attrs.get("value", 0), value._dtype)
            return pool.make("where", (inside, self._at(node.inputs[0], inner, both), filler), None, value._dtype)
        if name == "fill":
            return pool.constant(node.attrs["value"], value._dtype)
        if name in ("zeros_like", "ones_like"):
            return pool.constant(int(name == "ones_like"), value._dtype)
        if name == "gather":
            return self._taken(node, value, index, mask)
        if not is_scalar(node):
            raise MustStore(value)
        args = tuple([self._at(x, broadcast_index(index, x.dims), mask) for x in node.inputs])
        attrs = tuple(sorted(node.attrs.items()))
        if name in FAILING:  # each has an error, with a line, of its own
            if mask is not None and not _is_safe(args):
                raise MustStore(value)  # where nothing is, nothing may fail
            attrs += (("position", self.positions[id(node)]),)
        return pool.make(name, args, attrs or None, value._dtype)

    def _taken(self, node, value, index, mask):
        """An element of `gather`: a load at an index that is an element itself, checked to be in range."""
        params, indices = node.inputs
        base = self.base(params)
        if base is None:
            raise MustStore(self._before_reshapes(params))
        self.values[id(base)] = base
        axis = node.attrs.get("axis", 0) % len(params.dims)
        batch = node.attrs.get("batch_dims", 0)
        end = axis + len(indices.dims) - batch
        place = self._at(indices, (*index[:batch], *index[axis:end]), mask)
        limit = params.dims[axis]
        if not (indices.__class__ is Tensor and np.all((indices._value >= 0) & (indices._value < limit))):
            attrs = (("limit", limit), ("message", OUT_OF_RANGE), ("position", self.positions[id(node)]))
            if mask is not None:
                place = self.pool.make("where", (mask, place, self.pool.constant(0, indices._dtype)), None, indices._dtype)
            place = self.pool.make("check_range", (place,), attrs, indices._dtype)
        strides = strides_of(params.dims)
        form = total((*index[:axis], ZERO, *index[end:]), strides)
        args = (place,) if mask is None else (place, mask)
        return self.pool.make("take", args, (id(base), form, strides[axis]), value._dtype)

    def _before_reshapes(self, value):
        while id(value) in self.producers and self.producers[id(value)].op.name in RESHAPES:
            value = self.producers[id(value)].inputs[0]
        return value


def _is_safe(args):
    """Whether an operation that may fail cannot: a division by a number that is not 0."""
    return len(args) == 2 and args[1].op == "constant" and bool(args[1].data[1].value)


def parts(exprs):
    """Every expression in some expressions, once."""
    seen, todo = set(), list(exprs)
    while todo:
        expr = todo.pop()
        if expr not in seen:
            seen.add(expr)
            todo += expr.args
            yield expr


def loads(expr):
    """All loads in an expression."""
    return [x for x in parts([expr]) if x.op in MEMORY_OPS]


def may_fail(exprs):
    """Whether an operation in expressions may find an error while it runs."""
    return any(x.op in FAILING and not _is_safe(x.args) for x in parts(exprs))


__all__ = ["Expr", "MustStore", "Pool", "Reader", "loads", "may_fail", "parts"]
