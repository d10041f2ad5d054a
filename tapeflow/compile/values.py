"""Types and SSA values of LLVM text: values have Python's operators, each of which emits an instruction."""

import functools
import struct

import ml_dtypes
import numpy as np

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


def literal(type, number):
    """A constant in LLVM's words; a vector has it in every lane."""
    if number == 0:  # 0.0 and -0.0 are one key of a cache
        return _written(type, number)
    return _literal(type, number)


@functools.cache
def _literal(type, number):
    return _written(type, number)


def _written(type, number):
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
