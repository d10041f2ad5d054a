"""Expressions to LLVM values: each computed once in the scope it belongs to, on scalars or on vectors as it needs."""

import contextlib
import math

import ml_dtypes

from tapeflow.base.dtypes import bool_
from tapeflow.compile.affine import coefficient
from tapeflow.compile.complex_math import Pair
from tapeflow.compile.expr import MEMORY_OPS
from tapeflow.compile.roots import over_root, root_below
from tapeflow.compile.scalars import CHOICES, MACHINE, MEMORY, RULES, SHORT, Call, rule_of
from tapeflow.compile.text import F32, I32, I64, INDEX, PTR, Value, first_lanes
from tapeflow.compile.vector_math import is_wide


def identity(name, dtype):
    """What a reduction begins with: combining it with x gives x, of -0.0 too."""
    if name in ("all", "any"):
        return int(name == "all")
    if name in ("sum", "prod"):
        return (-0.0 if dtype.is_floating else 0) if name == "sum" else 1
    if dtype.is_floating:
        return -math.inf if name == "max" else math.inf
    limits = ml_dtypes.iinfo(dtype.numpy_dtype)
    return int(limits.min if name == "max" else limits.max)


def combine(f, name, a, b, dtype):
    """One step of a reduction."""
    match name:
        case "sum":
            return a + b
        case "prod":
            return a * b
        case "all":
            return a & b
        case "any":
            return a | b
        case "max" | "min":
            rule = RULES["maximum" if name == "max" else "minimum"]
            return rule(Call(f, dtype, (dtype, dtype), {}, None), a, b)
    raise ValueError(name)


class Register:
    """A scalar that is kept in a register where others are in memory: `value` as memory would have it. It stands for an address."""

    def __init__(self, value=None):
        self.value = value

    def __add__(self, offset):
        assert offset == 0
        return self


class Evaluator:
    """Writes the values of expressions at the places where they are asked for.

    A vector holds neighbouring turns of one loop, the vector's. Where several vectors are computed side by side each is a
    copy, numbered from 0. What does not depend on the vector's loop is a scalar, and exists once.

    Attributes:
        copies: the numbers of the copies in the present scope.
        active: how many lanes of a vector are turns of the loop; None for all.
    """

    def __init__(self, f, vector, lanes, pointers, dtypes, fail=None):
        self.f = f
        self.vector = vector
        self.bit = 0 if vector is None else 1 << vector
        self.lanes = lanes
        self.pointers = pointers
        self.dtypes = dtypes
        self.fail = fail
        self.bound = {}
        self.shift = {}
        self.copies = range(1)
        self.active = None
        self._known = [{}]

    # Scopes

    @contextlib.contextmanager
    def scope(self, bound, copies=None, active=None, shift=None):
        """Within the context more loop variables have values; what is computed is known only there.

        Args:
            bound: the value of each loop variable that gets one.
            copies: how many vectors are computed side by side; None leaves it as it is.
            active: with `copies`: how many lanes are turns of the loop, None for all.
            shift: numbers to add to the values that variables have.
        """
        before = self.bound, self.copies, self.active, self.shift
        self.bound = {**self.bound, **bound}
        if shift is not None:
            self.shift = shift
        if copies is not None:
            self.copies, self.active = range(copies), active
        self._known.append({})
        try:
            yield
        finally:
            self._known.pop()
            self.bound, self.copies, self.active, self.shift = before

    def _find(self, key):
        for known in reversed(self._known):
            if key in known:
                return known[key]
        return None

    def _keep(self, key, value):
        self._known[-1][key] = value
        return value

    def hoist(self, exprs, bits=None):
        """Compute now whatever parts of `exprs` depend on the present loops only (or on those in `bits`), before an inner loop."""
        bits = sum(1 << v for v in self.bound) if bits is None else bits
        seen = set()

        def visit(expr):
            if expr in seen or expr.op == "constant":
                return
            seen.add(expr)
            if not expr.vars & ~bits:
                if not any(self._unknown_values(expr)):
                    for u in self.copies if expr.vars & self.bit else range(1):
                        self.value(expr, u)
                return
            if expr.op in MEMORY_OPS:
                self._row_pointer(expr.data[0], expr.data[1])
            for x in expr.args:
                visit(x)

        for expr in exprs:
            visit(expr)

    def _unknown_values(self, expr):
        """Values of this kernel that an expression reads and that are not computed yet."""
        seen, todo = set(), [expr]
        while todo:
            x = todo.pop()
            if x in seen:
                continue
            seen.add(x)
            todo += x.args
            if x.op == "value" and self._find((x.data[0], 0)) is None:
                yield x

    # Values

    def define(self, number, u, value):
        """Say what the kernel's value `number` is in a copy."""
        self._keep((number, u), value)

    def computed(self, number, u):
        """The kernel's value `number`."""
        found = self._find((number, u))
        return self._find((number, 0)) if found is None else found

    def value(self, expr, u=0):
        """The value of an expression in a copy."""
        if expr.op == "value":
            return self.computed(expr.data[0], u)
        key = (expr, u) if expr.vars & self.bit else expr
        found = self._find(key)
        return self._keep(key, self._make(expr, u)) if found is None else found

    def _make(self, expr, u):
        match expr.op:
            case "constant":
                return self._constant(expr.data[1].value, expr.dtype)  # it came from an array of the dtype
            case "load":
                return self._load(expr, u)
            case "index":
                return self._number(expr.data, u)
            case "take":
                return self._take(expr, u)
            case "inside":
                return self._inside(expr, u)
        if self.lanes == 16 and (root := root_below(expr)) and root[0].vars & self.bit:
            x, y = [self.spread(self.value(part, u)) for part in (expr.args[0], root[0])]
            if is_wide(self.f, x):
                return over_root(self.f, x, y, root[1])
        args = self.alike([self.value(x, u) for x in expr.args])
        attrs = dict(expr.data or ())
        position = attrs.pop("position", None)
        dtypes = [x.dtype for x in expr.args]
        call = Call(self.f, expr.dtype, dtypes, attrs, lambda *what: self._failing(position, *what))
        return self.rounded(rule_of(expr.op, (expr.dtype, *dtypes))(call, *args), expr)

    def _constant(self, number, dtype):
        type = MACHINE[dtype]
        if not dtype.is_complex:
            return self.f.constant(type, number)
        number = complex(number)
        return Pair(self.f.constant(type, number.real), self.f.constant(type, number.imag))

    def rounded(self, value, expr):
        """The value of an operation, as its dtype can hold it."""
        short = SHORT.get(expr.dtype)
        if short is None or expr.op in CHOICES:
            return value
        return self.f.convert(self.f.convert(value, short), F32)

    def alike(self, values):
        """All values as vectors if one of them is."""
        if any(x.type.lanes > 1 for x in values):
            return [self.spread(x) for x in values]
        return values

    def spread(self, x):
        """A value as a vector."""
        if x.__class__ is Pair:
            return x.map(self.spread)
        if x.type.lanes == self.lanes:
            return x
        key = ("spread", x.text, x.type.name)
        found = self._find(key)
        return self._keep(key, self._splat(x)) if found is None else found

    def _splat(self, x):
        if x.text[0] != "%":  # a literal
            return Value(self.f, x.type.vector(self.lanes), f"splat ({x.type} {x.text})")
        return self.f.splat(x, self.lanes)

    def only_active(self, value, other, type):
        """A value for an accumulator of `type`: `other` in the lanes that are no turns of the loop."""
        if type.lanes > 1:
            value = self.spread(value)
        if self.active is None or type.lanes == 1:
            return value
        return self.f.where(self._active_mask(), value, other)

    def _active_mask(self):
        mask_type = INDEX.vector(self.lanes).mask
        return Value(self.f, mask_type, first_lanes(self.lanes, self.active))

    def _failing(self, position, mask, message, value=None):
        if mask.type.lanes > 1 and self.active is not None:
            mask = mask & self._active_mask()
        self.fail(self.f, mask, (position, message), value)

    # Numbers

    def _scalar(self, form, u):
        """The value of a form at the first lane, as an int or an index value."""
        total = form[0] + sum(c * self.shift.get(v, 0) for v, c in form[1])
        for v, c in form[1]:
            number = self.bound[v]
            if v == self.vector and u:
                number = number + u * self.lanes
            total = number * c + total
        return total

    def _number(self, form, u):
        base = self._scalar(form, u)
        base = self.f.constant(I64, base) if isinstance(base, int) else Value(self.f, I64, base.text)
        step = 0 if self.vector is None else coefficient(form, self.vector)
        if not step:
            return base
        type = I64.vector(self.lanes)
        lanes = self.f.iota(type)
        return self.spread(base) + (lanes if step == 1 else lanes * step)

    def _inside(self, expr, u):
        found = None
        for form, n in expr.data:
            one = self.f.compare("ult", self._number(form, u), n)
            if found is not None:
                found, one = self.alike([found, one])
            found = one if found is None else found & one
        return found

    # Memory

    def _row_pointer(self, operand, form):
        """The address for the loops that are bound, all but the vector's; each loop adds to the address of the one around it."""
        terms = tuple([(v, c) for v, c in form[1] if v in self.bound and v != self.vector])
        order = {v: i for i, v in enumerate(self.bound)}
        terms = tuple(sorted(terms, key=lambda term: order[term[0]]))
        return self._prefix(operand, terms)

    def _prefix(self, operand, terms):
        if not terms:
            return self.pointers[operand]
        key = ("pointer", operand, terms)
        found = self._find(key)
        if found is None:
            v, c = terms[-1]
            found = self._keep(key, self._prefix(operand, terms[:-1]) + self.bound[v] * (c * self.dtypes[operand].size))
        return found

    def address(self, operand, form, u):
        """Where the element of the first lane is."""
        size = self.dtypes[operand].size
        pointer = self._row_pointer(operand, form)
        step = 0 if self.vector is None else coefficient(form, self.vector)
        offset = (form[0] + sum(c * self.shift.get(v, 0) for v, c in form[1])) * size
        if step:
            pointer = pointer + self.bound[self.vector] * (step * size)
            offset += u * self.lanes * step * size
        return pointer + offset

    def _load(self, expr, u):
        operand, form = expr.data
        step = 0 if self.vector is None else coefficient(form, self.vector)
        mask = self.value(expr.args[0], u) if expr.args else None
        pointer = self.address(operand, form, u)
        if mask is not None and mask.type.lanes > 1 and step != 1:
            return self._gather(pointer, expr.dtype, step, operand, mask)
        if not step:
            return self._one(pointer, expr.dtype, mask)
        if step == 1:
            return self._vector(pointer, expr.dtype, mask)
        return self._gather(pointer, expr.dtype, step, operand, mask)

    def _in_register(self, found, dtype):
        if dtype is bool_:
            return found.differs(0)
        return self.f.convert(found, F32) if dtype in SHORT else found

    def _take(self, expr, u):
        """A load at an index that is a value."""
        f = self.f
        operand, form, stride = expr.data
        step = 0 if self.vector is None else coefficient(form, self.vector)
        size = self.dtypes[operand].size
        place = f.convert(self.value(expr.args[0], u), I64, signed=not expr.args[0].dtype.is_unsigned)
        mask = self.value(expr.args[1], u) if len(expr.args) > 1 else None
        scalar = place.type.lanes == 1 and (mask is None or mask.type.lanes == 1)
        if scalar and step in (0, 1):
            pointer = self.address(operand, form, u) + Value(f, INDEX, (place * (stride * size)).text)
            return self._vector(pointer, expr.dtype, mask) if step else self._one(pointer, expr.dtype, mask)
        number, place = self.alike([self._number(form, u), self.spread(place)])
        offsets = (number + place * stride) * size
        return self._gathered(
            f.emit(PTR.vector(self.lanes), f"getelementptr i8, ptr {self.pointers[operand]}, {offsets!r}"), expr.dtype, mask
        )

    def _one(self, pointer, dtype, mask):
        if pointer.__class__ is Register:
            return self._in_register(pointer.value, dtype)
        if dtype.is_complex:
            part = dtype.real_dtype
            return Pair(self._one(pointer, part, mask), self._one(pointer + part.size, part, mask))
        memory = MEMORY.get(dtype) or MACHINE[dtype]
        if mask is None:
            return self._in_register(self.f.load(pointer, memory), dtype)
        return self._in_register(self.f.choose(mask, lambda: [self.f.load(pointer, memory)], lambda: [0])[0], dtype)

    def _vector(self, pointer, dtype, mask):
        f = self.f
        memory = MEMORY.get(dtype) or MACHINE[dtype]
        if mask is not None:
            mask = self.spread(mask)
            if self.active is not None:
                mask = mask & self._active_mask()
        if not dtype.is_complex:
            return self._in_register(
                f.load(pointer, memory.vector(self.lanes), self.active if mask is None else mask), dtype
            )
        if mask is not None:
            mask = f.shuffle(mask, None, _alternating(self.lanes, 0))
        elif self.active is not None:
            mask = 2 * self.active
        both = f.load(pointer, memory.vector(2 * self.lanes), mask)
        return Pair(*[f.shuffle(both, None, range(part, 2 * self.lanes, 2)) for part in (0, 1)])

    def _gather(self, pointer, dtype, step, operand, mask):
        """A load of lanes that lie apart."""
        return self._gathered(self._places(pointer, step * self.dtypes[operand].size), dtype, mask)

    def _gathered(self, places, dtype, mask):
        """A load of lanes by their addresses."""
        f = self.f
        if dtype.is_complex:
            part = dtype.real_dtype
            behind = f.emit(places.type, f"getelementptr i8, {places!r}, i64 {part.size}")
            return Pair(self._gathered(places, part, mask), self._gathered(behind, part, mask))
        type = (MEMORY.get(dtype) or MACHINE[dtype]).vector(self.lanes)
        mask = self._whole_mask(mask)
        name = f"llvm.masked.gather.{type.suffix}.v{self.lanes}p0"
        pointers = PTR.vector(self.lanes)
        f.module.declare(name, type, pointers, I32, type.mask, type)
        text = f"call {type} @{name}({places!r}, i32 {type.bytes}, {mask!r}, {type} zeroinitializer)"
        return self._in_register(f.emit(type, text), dtype)

    def _whole_mask(self, mask):
        if mask is None:
            return self._active_mask() if self.active is not None else self.f.constant(INDEX.vector(self.lanes).mask, 1)
        mask = self.spread(mask)
        return mask if self.active is None else mask & self._active_mask()

    def _places(self, pointer, step):
        """The addresses of all lanes."""
        type = I64.vector(self.lanes)
        offsets = ", ".join(f"i64 {lane * step}" for lane in range(self.lanes))
        return self.f.emit(PTR.vector(self.lanes), f"getelementptr i8, ptr {pointer}, {type} <{offsets}>")

    def store(self, value, operand, place, u):
        """Store a value at a place; only the active lanes of a vector."""
        f = self.f
        step = 0 if self.vector is None else coefficient(place, self.vector)
        pointer = self.address(operand, place, u)
        memory = MEMORY.get(self.dtypes[operand])
        if memory is not None:
            value = f.convert(value, memory)
        if pointer.__class__ is Register:
            pointer.value = value
        elif value.__class__ is Pair and step != 1:
            for part, behind in ((value.re, 0), (value.im, value.type.bytes)):
                self._store_part(part, pointer + behind, step, operand)
        elif value.__class__ is Pair:
            value = self.spread(value)
            both = f.shuffle(value.re, value.im, _alternating(self.lanes, self.lanes))
            f.store(both, pointer, None if self.active is None else 2 * self.active)
        else:
            self._store_part(value, pointer, step, operand)

    def _store_part(self, value, pointer, step, operand):
        if not step:
            self.f.store(value, pointer)
        elif step == 1:
            self.f.store(self.spread(value), pointer, self.active)
        else:
            self._scatter(self.spread(value), pointer, step, operand)

    def _scatter(self, value, pointer, step, operand):
        f, type = self.f, value.type
        name = f"llvm.masked.scatter.{type.suffix}.v{self.lanes}p0"
        f.module.declare(name, "void", type, PTR.vector(self.lanes), I32, type.mask)
        places = self._places(pointer, step * self.dtypes[operand].size)
        f.line(f"call void @{name}({value!r}, {places!r}, i32 {type.bytes}, {self._whole_mask(None)!r})")


def _alternating(lanes, behind):
    """Each lane number, and after it the one so many further on."""
    return [number for lane in range(lanes) for number in (lane, lane + behind)]


__all__ = ["Evaluator", "Register", "combine", "identity"]
