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

from tapeflow.compile.flow import Control
from tapeflow.compile.host import host
from tapeflow.compile.values import (
    BF16,
    F16,
    F32,
    F64,
    I1,
    I8,
    I16,
    I32,
    I64,
    INDEX,
    PTR,
    Type,
    Value,
    first_lanes,
    literal,
    type_of,
)

INTERNAL = "internal "


class Module:
    """Functions and declarations that become one object file."""

    def __init__(self):
        self.target = host()
        self._declared = {}
        self._parts = []  # (its declaration, its text) of each function; (None, text) of what else there is
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
        """Append LLVM text as it is: constants, or a variable that one function uses."""
        self._parts.append((None, text))

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
        head = f"define {INTERNAL if internal else ''}{result or 'void'} @{name}({declared}) {attributes} {{"
        declaration = f"declare {result or 'void'} @{name}({', '.join([str(type) for _, type, *_ in arguments])})"
        self._parts.append((declaration, "\n".join([head, "entry:", *made.head, *made.lines, "}\n"])))

    def __str__(self):
        return "\n".join([*self._declared.values(), *[text for _, text in self._parts]])

    def pieces(self, count):
        """The module as so many texts of about the same size, which are linked together: each can be compiled by itself."""
        total = sum(len(text) for _, text in self._parts)
        pieces = [[*self._declared.values()] for _ in range(count)]
        before = 0
        for declaration, text in self._parts:
            home = min(count - 1, (before + len(text) // 2) * count // max(1, total))
            before += len(text)
            for number, piece in enumerate(pieces):
                if declaration is None:
                    piece.append(text)
                elif number == home:
                    piece.append(text.replace(INTERNAL, "", 1))
                else:
                    piece.append(declaration)
        return ["\n".join(piece) for piece in pieces]


class Function(Control):
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

        A float that no integer of the type is near gives what the machine makes of it, some integer.
        """
        type = a.type.like(element)
        source, wider = a.type, type.bits > a.type.bits
        if source.element == type.element:
            return Value(self, type, a.text)
        if {source.element, type.element} & {"half", "bfloat"}:
            return self._convert_short(a, type.scalar, signed)
        if source.floating and type.floating:
            op = "fpext" if wider else "fptrunc"
        elif source.floating:
            op = "fptosi" if signed else "fptoui"
        elif type.floating:
            op = "sitofp" if signed and source.element != "i1" else "uitofp"
        elif wider:
            op = "sext" if signed and source.element != "i1" else "zext"
        else:
            op = "trunc"
        result = self.emit(type, f"{op} {a!r} to {type}")
        # LLVM may take such an integer for any, and for another at each use, unless it is frozen.
        return self.emit(type, f"freeze {result!r}") if op.startswith("fpto") else result

    def _convert_short(self, a, element, signed):
        """The same from or to the short floats: every way leads over float32, and some in integer instructions."""
        from tapeflow.compile import halves

        source = a.type.scalar
        wide = F64 if source is F64 else F32
        if element in (F16, BF16) and source not in (F32, F64):
            return self.convert(self.convert(a, F32, signed), element)
        if source in (F16, BF16) and element is not F32:
            return self.convert(self.convert(a, F32), element, signed)
        if not halves.is_hardware(self.module.target, source, element):
            return halves.narrow(self, a, element) if wide is source else halves.widen(self, a)
        type = a.type.like(element)
        return self.emit(type, f"{'fpext' if type.bits > a.type.bits else 'fptrunc'} {a!r} to {type}")

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

    def vector(self, element, numbers):
        """A vector of constants."""
        written = ", ".join(f"{element.element} {literal(element, number)}" for number in numbers)
        return Value(self, element.vector(len(numbers)), f"<{written}>")

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
                return combine(self.lane(a, 0), self.lane(a, 1))
            a = combine(self.shuffle(a, None, range(lanes)), self.shuffle(a, None, range(lanes, 2 * lanes)))
        return a

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

    def prefetch(self, pointer, level):
        """Ask for the line of an address, which need not be anybody's: into the first cache or the second, by `level`."""
        self.module.declare("llvm.prefetch.p0", "void", PTR, I32, I32, I32)
        self.line(f"call void @llvm.prefetch.p0(ptr {pointer}, i32 0, i32 {4 - level}, i32 1)")

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


def _neutral(op, number):
    return (number == 0 and op in ("add", "sub")) or (number == 1 and op in ("mul", "sdiv"))


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
