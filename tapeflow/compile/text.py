"""LLVM text by Python expressions: typed SSA values with operators, loops as `with` blocks.

    module = Module()
    with module.function("scale", [("x", PTR), ("n", INDEX)]) as f:
        x, n = f.arguments
        with f.loop(0, n) as loop:
            place = x + loop.index * 4
            f.store(f.load(place, F32) * 2.0, place)

Python numbers take the type of the value they meet. What one writes is what LLVM gets: there is no optimiser between,
so a generator hoists and unrolls by itself. f-strings are several times quicker than llvmlite's own builder.
"""

import contextlib
import functools
import struct

import ml_dtypes
import numpy as np

from tapeflow.compile.host import host

FLOATS = {"half": 16, "bfloat": 16, "float": 32, "double": 64}
INTRINSIC = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64"}


class Type:
    """An LLVM type: an element, and how many of them a vector has (1: a scalar)."""

    __slots__ = ("bits", "element", "floating", "lanes", "name", "suffix", "text")

    def __init__(self, name, lanes):
        self.name = name
        self.lanes = lanes
        self.element = {"index": "i64"}.get(name, name)  # an index is an i64 whose arithmetic never overflows
        self.floating = name in FLOATS
        self.bits = FLOATS.get(name) or (64 if name in ("ptr", "index") else int(name[1:]))
        self.text = self.element if lanes == 1 else f"<{lanes} x {self.element}>"
        self.suffix = ("" if lanes == 1 else f"v{lanes}") + INTRINSIC.get(self.element, self.element)

    def vector(self, lanes):
        """The type with so many lanes of the same element."""
        return type_of(self.name, lanes)

    def like(self, element):
        """The type with the same lanes of another element, which is given as a scalar type."""
        return type_of(element.name, self.lanes)

    @property
    def scalar(self):
        """The type of one element."""
        return self if self.lanes == 1 else type_of(self.name)

    @property
    def bytes(self):
        """The size of one element in memory."""
        return max(1, self.bits // 8)

    @property
    def mask(self):
        """The type of a comparison of such values."""
        return type_of("i1", self.lanes)

    def __str__(self):
        return self.text

    __repr__ = __str__


_types: dict[tuple, Type] = {}


def type_of(name, lanes=1):
    """The one `Type` of a name and a number of lanes: types are compared by identity."""
    found = _types.get((name, lanes))
    if found is None:
        found = _types[name, lanes] = Type(name, lanes)
    return found


I1, I8, I16, I32, I64 = (type_of(f"i{bits}") for bits in (1, 8, 16, 32, 64))
F16, BF16, F32, F64 = (type_of(name) for name in FLOATS)
PTR, INDEX = type_of("ptr"), type_of("index")


@functools.cache
def literal(type, number):
    """A constant in LLVM's words; a vector has it in every lane."""
    match type.element:
        case "float" | "double":  # LLVM writes both as the 64 bits of the double
            number = float(np.float32(number)) if type.element == "float" else float(number)
            text = f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
        case "half":
            text = f"0xH{np.float16(number).view(np.uint16):04X}"
        case "bfloat":
            text = f"0xR{np.asarray(number, ml_dtypes.bfloat16).view(np.uint16):04X}"
        case "i1":
            text = "true" if number else "false"
        case "ptr":
            text = "null" if not number else f"inttoptr (i64 {int(number)} to ptr)"
        case _:
            text = str(int(number))
    return text if type.lanes == 1 else f"splat ({type.element} {text})"


def first_lanes(lanes, count):
    """The constant mask of the first lanes of a vector."""
    return "<" + ", ".join(f"i1 {'true' if lane < count else 'false'}" for lane in range(lanes)) + ">"


def _binary(float_op, int_op):
    def forward(self, other):
        return self.function.binary(float_op, int_op, self, other)

    def backward(self, other):
        return self.function.binary(float_op, int_op, self.function.constant(self.type, other), self)

    return forward, backward


def _comparison(float_test, int_test):
    def compare(self, other):
        return self.function.compare(float_test if self.type.floating else int_test, self, other)

    return compare


class Value:
    """One SSA value. Operators emit an instruction into its function; `pointer + bytes` is an address."""

    __slots__ = ("function", "text", "type")

    def __init__(self, function, type, text):
        self.function = function
        self.type = type
        self.text = text

    def __str__(self):
        return self.text

    def __repr__(self):
        return f"{self.type} {self.text}"

    __add__, __radd__ = _binary("fadd", "add")
    __sub__, __rsub__ = _binary("fsub", "sub")
    __mul__, __rmul__ = _binary("fmul", "mul")
    __truediv__, __rtruediv__ = _binary("fdiv", None)
    __and__, __rand__ = _binary(None, "and")
    __or__, __ror__ = _binary(None, "or")
    __xor__, __rxor__ = _binary(None, "xor")
    __lshift__, _ = _binary(None, "shl")
    __rshift__, _ = _binary(None, "ashr")  # f.lshr is the one that brings in zeros
    __floordiv__, __rfloordiv__ = _binary(None, "sdiv")  # towards zero, as LLVM and C have it
    __mod__, __rmod__ = _binary("frem", "srem")
    del _

    # As NumPy has them: false where an operand is nan, save that nan differs from everything.
    __lt__ = _comparison("olt", "slt")
    __le__ = _comparison("ole", "sle")
    __gt__ = _comparison("ogt", "sgt")
    __ge__ = _comparison("oge", "sge")
    equals = _comparison("oeq", "eq")
    differs = _comparison("une", "ne")

    def __neg__(self):
        return self.function.emit(self.type, f"fneg {self!r}") if self.type.floating else 0 - self

    def __invert__(self):
        return self ^ -1

    def __bool__(self):
        raise TypeError(f"{self!r} is known only when the code runs: use f.where, f.when or f.choose.")


class Module:
    """Functions and declarations that become one object file."""

    def __init__(self):
        self.target = host()
        self._declared = {}
        self._parts = []
        self._made = {}
        self._names = {}

    def declare(self, name, result, *arguments, variadic=False):
        """Declare an outside function or an intrinsic, once."""
        if name not in self._declared:
            types = [str(type) for type in arguments] + ["..."] * variadic
            self._declared[name] = f"declare {result} @{name}({', '.join(types)})"

    def fresh(self, name):
        """A name of a function that the module does not have yet: `name`, then `name.1`, ..."""
        number = self._names[name] = self._names.get(name, -1) + 1
        return f"{name}.{number}" if number else name

    def once(self, key, make):
        """What `make()` returned the first time that the module was asked for `key`: equal kernels exist once."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def add(self, text):
        """Append LLVM text as it is (globals, hand-written functions)."""
        self._parts.append(text)

    @contextlib.contextmanager
    def function(self, name, arguments, result=None, *, internal=False, attributes="nounwind"):
        """A function, written in the block; others may be written while it is open.

        Args:
            name: its name, unique in the module (`fresh`).
            arguments: (name, `Type`) of each, or (name, `Type`, attributes such as "noalias readonly").
            result: its `Type`, or None; then the end of the block returns.
            internal: seen by this module alone.
            attributes: LLVM's; "noinline nounwind" keeps kernels apart, which keeps code generation linear.
        """
        made = Function(self, arguments, result)
        yield made
        if result is None:
            made.line("ret void")
        declared = ", ".join(f"{type} {' '.join(rest)} %{word}" for word, type, *rest in arguments)
        head = f"define {'internal ' if internal else ''}{result or 'void'} @{name}({declared}) {attributes} {{"
        self._parts.append("\n".join([head, "entry:", *made.head, *made.lines, "}\n"]))

    def __str__(self):
        return "\n".join([*self._declared.values(), *self._parts])


class Function:
    """One function being written. Values that belong to it know it, so that operators reach it."""

    def __init__(self, module, arguments, result=None):
        self.module = module
        self.result = result
        self.head = []  # stack slots stand in the entry block, where they are allocated once
        self.lines = []
        self.arguments = [Value(self, type, f"%{name}") for name, type, *_ in arguments]
        self.block = "entry"
        self._count = 0

    # Instructions

    def line(self, text):
        """An instruction without a result."""
        self.lines.append(" " + text)

    def name(self, stem="v"):
        """A fresh name, without the sigil."""
        self._count += 1
        return f"{stem}{self._count}"

    def emit(self, type, text):
        """An instruction with a result."""
        self._count += 1
        name = f"%v{self._count}"
        self.lines.append(f" {name} = {text}")
        return Value(self, type, name)

    def constant(self, type, number):
        """A constant of a type; a `Value` stays what it is."""
        return number if number.__class__ is Value else Value(self, type, literal(type, number))

    def index(self, number):
        """An index value of a Python int or a value."""
        return self.constant(INDEX, number)

    def binary(self, float_op, int_op, a, b):
        """An arithmetic instruction; index arithmetic with 0 and 1 folds, and a pointer takes bytes."""
        type = a.type
        if b.__class__ is not Value:
            if type is INDEX and _neutral(int_op, b):
                return a
            if type is PTR:
                return self.offset(a, b if int_op == "add" else -b)
            b = Value(self, type, literal(type, b))
        elif type is PTR:
            return self.offset(a, b)
        elif b.type is not type:
            raise TypeError(f"{float_op or int_op}: {a!r} and {b!r} are of different types")
        op = float_op if type.floating else int_op
        if type is INDEX and op in ("add", "sub", "mul"):
            op += " nsw"
        return self.emit(type, f"{op} {type.text} {a.text}, {b.text}")

    def offset(self, pointer, count):
        """The address so many bytes on."""
        if count.__class__ is not Value and count == 0:
            return pointer
        return self.emit(PTR, f"getelementptr i8, ptr {pointer}, i64 {count}")

    def compare(self, test, a, b):
        """A comparison by LLVM's predicate ("olt", "ult", "slt", ...)."""
        b = self.constant(a.type, b)
        kind = "fcmp" if a.type.floating else "icmp"
        return self.emit(a.type.mask, f"{kind} {test} {a.type} {a}, {b}")

    def where(self, condition, a, b):
        """`a` where the condition holds, `b` elsewhere, lane by lane; the numbers take the value's type."""
        type = a.type if a.__class__ is Value else b.type
        a, b = self.constant(type, a), self.constant(type, b)
        return self.emit(type, f"select {condition!r}, {type} {a}, {type} {b}")

    def lshr(self, a, count):
        """Shift right, bringing in zeros."""
        return self.emit(a.type, f"lshr {a!r}, {self.constant(a.type, count)}")

    def udiv(self, a, b):
        """The quotient of unsigned integers."""
        return self.emit(a.type, f"udiv {a!r}, {self.constant(a.type, b)}")

    def urem(self, a, b):
        """The remainder of unsigned integers."""
        return self.emit(a.type, f"urem {a!r}, {self.constant(a.type, b)}")

    def convert(self, a, element, signed=True):
        """The value as another element type: floats are rounded or widened, integers cut or extended.

        A float that no integer of the type is near gives an undefined integer (poison), as LLVM has it.
        """
        type = a.type.like(element)
        source, wider = a.type, type.bits > a.type.bits
        if source.element == type.element:
            return Value(self, type, a.text)
        if source.floating and type.floating:
            if source.bits == type.bits:  # half and bfloat
                return self.convert(self.convert(a, F32), element)
            op = "fpext" if wider else "fptrunc"
        elif source.floating:
            op = "fptosi" if signed else "fptoui"
        elif type.floating:
            op = "sitofp" if signed and source.element != "i1" else "uitofp"
        elif wider:
            op = "sext" if signed and source.element != "i1" else "zext"
        else:
            op = "trunc"
        return self.emit(type, f"{op} {a!r} to {type}")

    def bits(self, a, element):
        """The same bits as another element type of the same size."""
        return self.emit(a.type.like(element), f"bitcast {a!r} to {a.type.like(element)}")

    # Calls

    def call(self, name, result, *arguments):
        """Call a function of this module or a declared one."""
        written = ", ".join(map(repr, arguments))
        if result is None:
            self.line(f"call void @{name}({written})")
            return None
        return self.emit(result, f"call {result} @{name}({written})")

    def intrinsic(self, name, a, *rest):
        """An LLVM intrinsic whose operands all have the type of the first, as has its result."""
        rest = [self.constant(a.type, other) for other in rest]
        full = f"llvm.{name}.{a.type.suffix}"
        self.module.declare(full, a.type, *[a.type] * (1 + len(rest)))
        return self.call(full, a.type, a, *rest)

    def fma(self, a, b, c):
        """a b + c, rounded once where the host can; where it cannot, twice, for the exact one would be a library call."""
        value = next(x for x in (a, b, c) if x.__class__ is Value)
        a, b, c = (self.constant(value.type, x) for x in (a, b, c))
        return self.intrinsic("fma" if self.module.target.fma else "fmuladd", a, b, c)

    def sqrt(self, a):
        """The square root, correctly rounded."""
        return self.intrinsic("sqrt", a)

    def abs(self, a):
        """The magnitude of floats (the sign bit cleared, of nan too) or of signed integers (the least stays itself)."""
        return self.intrinsic("fabs", a) if a.type.floating else self.where(a < 0, 0 - a, a)

    def copysign(self, a, sign):
        """The magnitude of one value with the sign of another."""
        return self.intrinsic("copysign", a, sign)

    def minimum(self, a, b):
        """The lesser; nan if either is (as `np.minimum`)."""
        return self._extremum("olt", "slt", a, b)

    def maximum(self, a, b):
        """The greater; nan if either is (as `np.maximum`)."""
        return self._extremum("ogt", "sgt", a, b)

    def _extremum(self, float_test, int_test, a, b):
        if a.__class__ is not Value:  # a number is never nan: one test, which x86 does in one instruction
            a = self.constant(b.type, a)
            return self.where(self.compare(float_test if b.type.floating else int_test, a, b), a, b)
        if not a.type.floating or b.__class__ is not Value:
            b = self.constant(a.type, b)
            return self.where(self.compare(float_test if a.type.floating else int_test, b, a), b, a)
        better = self.where(self.compare(float_test, a, b), a, b)
        return self.where(self.compare("uno", a, a), a, better)

    # Vectors

    def splat(self, a, lanes):
        """A scalar in every lane."""
        if lanes == 1:
            return a
        type = a.type.vector(lanes)
        first = self.emit(type, f"insertelement {type} poison, {a!r}, i64 0")
        return self.emit(type, f"shufflevector {type} {first}, {type} poison, <{lanes} x i32> zeroinitializer")

    def shuffle(self, a, b, lanes):
        """A vector of chosen lanes of two vectors, counted through; `b` may be None."""
        type = a.type.vector(len(lanes))
        chosen = "<" + ", ".join(f"i32 {lane}" for lane in lanes) + ">"
        return self.emit(
            type, f"shufflevector {a!r}, {a.type} {'poison' if b is None else b}, <{len(lanes)} x i32> {chosen}"
        )

    def lane(self, a, number):
        """One lane as a scalar."""
        if a.type.lanes == 1:
            return a
        return self.emit(a.type.vector(1), f"extractelement {a!r}, i64 {number}")

    def insert(self, a, scalar, number):
        """The vector with one lane replaced."""
        return self.emit(a.type, f"insertelement {a!r}, {scalar!r}, i64 {number}")

    def iota(self, type):
        """The vector 0, 1, 2, ... of a type."""
        numbers = ", ".join(f"{type.element} {literal(type.vector(1), lane)}" for lane in range(type.lanes))
        return Value(self, type, f"<{numbers}>") if type.lanes > 1 else self.constant(type, 0)

    def any(self, mask):
        """Whether a comparison holds in any lane, as a scalar."""
        if mask.type.lanes == 1:
            return mask
        bits = type_of(f"i{mask.type.lanes}")
        return self.emit(bits, f"bitcast {mask!r} to {bits}").differs(0)

    def reduce(self, a, combine):
        """All lanes combined into a scalar, halves first: the order is the same on every host of one vector width."""
        lanes = a.type.lanes
        while lanes > 1:
            lanes //= 2
            if lanes == 1:
                a = combine(self.lane(a, 0), self.lane(a, 1))
            else:
                a = combine(self.shuffle(a, None, range(lanes)), self.shuffle(a, None, range(lanes, 2 * lanes)))
        return Value(self, a.type.vector(1), a.text)

    # Memory. Alignment is that of the element: user arrays promise no more, and an aligned address is as quick either way.

    def load(self, pointer, type, mask=None):
        """Read a value.

        Args:
            pointer: where.
            type: of what is read.
            mask: None; or how many lanes to read, an int; or a vector of i1. The other lanes are 0.
        """
        mask = self._mask(type, mask)
        if mask is None:
            return self.emit(type, f"load {type}, ptr {pointer}, align {type.bytes}")
        name = f"llvm.masked.load.{type.suffix}.p0"
        self.module.declare(name, type, PTR, I32, type.mask, type)
        zero = "zeroinitializer"
        return self.emit(type, f"call {type} @{name}(ptr {pointer}, i32 {type.bytes}, {type.mask} {mask}, {type} {zero})")

    def store(self, value, pointer, mask=None):
        """Write a value, or the lanes of it that the mask has (as in `load`)."""
        type = value.type
        mask = self._mask(type, mask)
        if mask is None:
            self.line(f"store {value!r}, ptr {pointer}, align {type.bytes}")
            return
        name = f"llvm.masked.store.{type.suffix}.p0"
        self.module.declare(name, "void", type, PTR, I32, type.mask)
        self.line(f"call void @{name}({value!r}, ptr {pointer}, i32 {type.bytes}, {type.mask} {mask})")

    def _mask(self, type, mask):
        if mask.__class__ is not int:
            return mask
        return None if mask >= type.lanes else first_lanes(type.lanes, mask)

    def stack(self, size, align=64):
        """The address of so many bytes that live until the function returns."""
        name = f"%{self.name('stack')}"
        self.head.append(f" {name} = alloca [{size} x i8], align {align}")
        return Value(self, PTR, name)

    def copy(self, target, source, size):
        """Copy bytes between places that do not overlap."""
        self.module.declare("llvm.memcpy.p0.p0.i64", "void", PTR, PTR, I64, I1)
        self.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")

    def clear(self, target, size):
        """Set bytes to 0."""
        self.module.declare("llvm.memset.p0.i64", "void", PTR, I8, I64, I1)
        self.line(f"call void @llvm.memset.p0.i64(ptr {target}, i8 0, i64 {size}, i1 false)")

    # Control

    def label(self, name):
        """Begin a block."""
        self.lines.append(f"{name}:")
        self.block = name

    def jump(self, name):
        """End the block by going to another."""
        self.line(f"br label %{name}")

    def branch(self, condition, yes, no):
        """End the block by going to one of two."""
        self.line(f"br i1 {condition}, label %{yes}, label %{no}")

    def phi(self, type, *sources):
        """A value by the block that control came from: (value, block) of each."""
        return self.emit(type, f"phi {type} {', '.join(f'[ {value}, %{block} ]' for value, block in sources)}")

    def ret(self, value):
        """Return a value."""
        self.line(f"ret {self.constant(self.result, value)!r}")

    @contextlib.contextmanager
    def when(self, condition):
        """The block runs where a scalar condition holds."""
        yes, end = self.name("when"), self.name("end")
        self.branch(condition, yes, end)
        self.label(yes)
        yield
        self.jump(end)
        self.label(end)

    def choose(self, condition, yes, no):
        """Run one of two Python functions' code by a scalar condition; the lists of values that they return are merged."""
        names = self.name("yes"), self.name("no"), self.name("end")
        self.branch(condition, *names[:2])
        ends = []
        for name, write in zip(names, (yes, no), strict=False):
            self.label(name)
            values = list(write() or ())
            ends.append((values, self.block))
            self.jump(names[2])
        self.label(names[2])
        (first, first_block), (second, second_block) = ends
        return [
            self.phi(
                a.type if a.__class__ is Value else b.type, (self._text(a, b), first_block), (self._text(b, a), second_block)
            )
            for a, b in zip(first, second, strict=True)
        ]

    def _text(self, a, other):
        return a if a.__class__ is Value else literal(other.type, a)

    def loop(self, start, stop, step=1, carry=()):
        """`for index in range(start, stop, step)`, as a block.

        The block reads `loop.index` and `loop.values`, and sets `loop.next` to the values for the next turn;
        `loop.results` has the last ones afterwards. A loop of exactly one turn that is known now is written without a
        loop, so the index may be a Python int.

        Args:
            start, stop: ints or index values.
            step: a positive int.
            carry: the first of the values that a turn hands to the next.

        Example:
            >>> from tapeflow.compile.text import F32, INDEX, PTR, Module
            >>> module = Module()
            >>> with module.function("total", [("x", PTR), ("n", INDEX)], F32) as f:
            ...     x, n = f.arguments
            ...     with f.loop(0, n, carry=[f.constant(F32, 0)]) as loop:
            ...         loop.next = [loop.values[0] + f.load(x + loop.index * 4, F32)]
            ...     f.ret(loop.results[0])
        """
        return Loop(self, start, stop, step, carry)

    def forever(self, carry):
        """`while True`, as a block that says `loop.leave_unless(condition)` once; `loop.values` and `next` as in `loop`."""
        return Forever(self, carry)


def _neutral(op, number):
    return (number == 0 and op in ("add", "sub")) or (number == 1 and op in ("mul", "sdiv"))


class Carried:
    """What both kinds of loops have: phis whose second source is known only at the end of the block."""

    def __init__(self, function, carry):
        self.function = function
        self.first = list(carry)
        self.next = None

    def _open(self):
        f = self.function
        self.before = f.block
        self.head = f.name("loop")
        f.jump(self.head)
        f.label(self.head)
        self._place = len(f.lines)
        f.lines.extend([""] * len(self.first))
        self.values = [Value(f, x.type, f"%{f.name('c')}") for x in self.first]
        self.next = self.values

    def _close(self):
        f = self.function
        for number, (value, first, last) in enumerate(zip(self.values, self.first, self.next, strict=True)):
            if last.type is not value.type:
                raise TypeError(f"loop value {number} begins as {first!r} and goes on as {last!r}")
            sources = f"[ {first}, %{self.before} ], [ {last}, %{f.block} ]"
            f.lines[self._place + number] = f" {value} = phi {value.type} {sources}"


class Loop(Carried):
    """A counted loop, tested at its end; where the count is not known now, a test stands before it."""

    def __init__(self, function, start, stop, step, carry):
        super().__init__(function, carry)
        self.start, self.stop, self.step = start, stop, step
        self.static = not isinstance(start, Value) and not isinstance(stop, Value)
        self.single = self.static and start < stop <= start + step

    def __enter__(self):
        f = self.function
        if self.single:
            self.index, self.values, self.next = self.start, self.first, self.first
            return self
        self.after = f.name("after")
        self.guard = None
        if not (self.static and self.start < self.stop):
            body, self.guard = f.name("enter"), f.block
            f.branch(f.index(self.start) < self.stop, body, self.after)
            f.label(body)
        self.first.append(f.index(self.start))
        self._open()
        *self.values, self.index = self.values
        self.next = self.values
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            return False
        f = self.function
        if self.single:
            self.results = self.next
            return False
        following = self.index + self.step
        again = following < self.stop
        self.next = [*self.next, following]
        self.values = [*self.values, self.index]
        self._close()
        end = f.block
        f.branch(again, self.head, self.after)
        f.label(self.after)
        self.results = self.next[:-1]
        if self.guard is not None:
            pairs = zip(self.first, self.results, strict=False)
            self.results = [f.phi(last.type, (first, self.guard), (last, end)) for first, last in pairs]
        return False


class Forever(Carried):
    """A loop that is left by a test somewhere in it."""

    def __enter__(self):
        self._open()
        self.after = self.function.name("after")
        return self

    def leave_unless(self, condition):
        """Go on only where a scalar condition holds; `results` are the values of this turn."""
        inside = self.function.name("go")
        self.function.branch(condition, inside, self.after)
        self.function.label(inside)

    def __exit__(self, kind, *_):
        if kind is None:
            self._close()
            self.function.jump(self.head)
            self.function.label(self.after)
            self.results = self.values
        return False


__all__ = [
    "BF16",
    "F16",
    "F32",
    "F64",
    "I1",
    "I8",
    "I16",
    "I32",
    "I64",
    "INDEX",
    "PTR",
    "Function",
    "Module",
    "Type",
    "Value",
    "first_lanes",
    "literal",
    "type_of",
]
