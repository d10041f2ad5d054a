"""How each elementwise primitive is computed on one element, or on a vector of them: the table of `scalar` lowerings.

An entry is `rule(c, x, y, ...)` over `text.Value`s; c is the `Call`: the function being written, the dtypes, the attrs. NaN,
infinities and signed zeros come out as from the primitive's NumPy kernel. Complex numbers have a table of their own
(`complex_math.py`).
"""

from tapeflow.base import dtypes
from tapeflow.base.dtypes import bfloat16, bool_, complex64, complex128, float16, float32, float64
from tapeflow.compile import complex_math
from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.text import BF16, F16, F32, F64, I1, I8, I16, I32, I64
from tapeflow.compile.vector_special import SPECIAL_FUNCTIONS
from tapeflow.ops.nn import SELU_ALPHA, SELU_SCALE

# What an element is in a register. Short floats are computed in float32, and rounded after each operation; a complex number is
# a `Pair` of registers.
MACHINE = {
    complex64: F32,
    complex128: F64,
    float32: F32,
    float64: F64,
    float16: F32,
    bfloat16: F32,
    bool_: I1,
    **{dtype: (I8, I16, I32, I64)[dtype.size.bit_length() - 1] for dtype in dtypes.INTEGERS},
}


# What it is in memory, where that is something else. A bool is a byte.
MEMORY = {bool_: I8, float16: F16, bfloat16: BF16}
SHORT = {float16: F16, bfloat16: BF16}
# Rules that give one of their operands as it is, so that there is nothing to round.
CHOICES = {
    "maximum",
    "minimum",
    "where",
    "relu",
    "neg",
    "abs",
    "clip_by_value",
    "copy",
    "conj",
    "floor",
    "ceil",
    "rint",
    "trunc",
    "relu6",
}


class Call:
    """What a rule knows besides its operands.

    Attributes:
        f: the `text.Function` being written.
        dtype: the result's dtype.
        inputs: the operands' dtypes.
        attrs: the primitive's attrs.
        fail: `fail(mask, message, value)` notes a run-time error where a mask (i1, or a vector of it) holds; the value, an
            integer, takes the place of {value} in the message.
    """

    __slots__ = ("attrs", "dtype", "f", "fail", "inputs")

    def __init__(self, f, dtype, inputs, attrs, fail):
        self.f = f
        self.dtype = dtype
        self.inputs = inputs
        self.attrs = attrs
        self.fail = fail

    @property
    def signed(self):
        """Whether the first operand is a signed number."""
        return not self.inputs[0].is_unsigned and self.inputs[0] is not bool_


def is_scalar(node):
    """Whether a node has a rule here, for the dtypes that it has."""
    if any(x._dtype.is_complex for x in (*node.inputs, *node.outputs)):
        return node.op.name in complex_math.RULES
    rule = RULES.get(node.op.name)
    if rule is None or node.outputs[0]._dtype not in MACHINE:
        return False
    kinds = KINDS.get(node.op.name)
    if node.op.name == "bitcast" and (
        node.inputs[0]._dtype.size != node.outputs[0]._dtype.size
        or {node.inputs[0]._dtype, node.outputs[0]._dtype} & SHORT.keys()
    ):
        return False
    return all(x._dtype in MACHINE and (kinds is None or x._dtype in kinds) for x in node.inputs)


def rule_of(name, dtypes):
    """The rule of a primitive for the dtypes of its operands and its result."""
    return (complex_math.RULES if any(dtype.is_complex for dtype in dtypes) else RULES)[name]


def _test(name):
    """A comparison: ordered for floats, signed or not for integers."""
    floats = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}[name]

    def rule(c, x, y):
        if x.type.floating:
            return c.f.compare(floats, x, y)
        signed = name if name in ("eq", "ne") else ("s" if c.signed else "u") + name
        return c.f.compare(signed, x, y)

    return rule


def _extreme(word):
    def rule(c, x, y):
        if x.type.floating or c.signed:
            return getattr(c.f, word)(x, y)
        return c.f.where(c.f.compare("ugt" if word == "maximum" else "ult", x, y), x, y)

    return rule


def _cast(c, x):
    source, target = c.inputs[0], c.dtype
    if source is target:
        return x
    if target is bool_:
        return x.differs(0)
    machine = MACHINE[target]
    if not x.type.floating or machine.floating:
        return c.f.convert(x, machine, signed=source is not bool_ and not source.is_unsigned)
    if machine.bits < 32:
        return c.f.convert(c.f.convert(x, I32), machine)
    return _unsigned(c.f, x, machine) if target.is_unsigned else c.f.convert(x, machine)


def _unsigned(f, x, machine):
    """A float as an unsigned integer of 32 or 64 bits; what is negative becomes its two's complement, as in C compilers' code."""
    if x.type.bytes < 4:
        x = f.convert(x, F32)
    half = 1 << (machine.bits - 1)
    high = f.convert(x - float(half), machine) ^ half
    return f.where(f.compare("ult", x, float(half)), f.convert(x, machine), high)


def _sign(c, x):
    if x.type.floating:  # nan stays nan, -0 stays -0
        return c.f.where(x.equals(0) | c.f.compare("uno", x, x), x, c.f.copysign(c.f.constant(x.type, 1.0), x))
    if not c.signed:
        return c.f.where(x.equals(0), x, 1)
    return c.f.where(x > 0, 1, c.f.where(x < 0, c.f.constant(x.type, -1), 0))


def _relu(c, x):
    if x.type.floating:  # a test that is true of nan, and not of -0
        return c.f.where(c.f.compare("ugt", x, 0), x, 0)
    return c.f.maximum(0, x) if c.signed else x


def _relu6(c, x):
    x = _relu(c, x)
    return c.f.minimum(6, x) if x.type.floating or c.signed else c.f.where(c.f.compare("ugt", x, 6), 6, x)


def _gate(c, t, x):
    shown = x > 0 if x.type.floating or c.signed else x.differs(0)
    if t.type.floating:  # a product, not a choice: nan where t is infinite and the gate shut
        return t * c.f.where(shown, c.f.constant(t.type, 1.0), 0.0)
    return c.f.where(shown, t, 0)


def _clip(c, x, low, high):
    return _extreme("maximum")(c, _extreme("minimum")(c, x, high), low)


def _literal(x):
    """The number that an integer is written as in the text, or None."""
    text = x.text.removeprefix("splat (").removesuffix(")").rpartition(" ")[2]
    return int(text) if text.lstrip("-").isdigit() else None


def _guarded(c, x, y, divide):
    """An integer division by way of a divisor that cannot trap: 0 is an error, and -1 may overflow."""
    f = c.f
    number = _literal(y)
    if number not in (None, 0, -1):
        return (divide(x, y), f.constant(x.type.mask, 0)) if c.signed else divide(x, y)
    zero = y.equals(0)
    c.fail(zero, "Integer division by zero")
    if not c.signed:
        return divide(x, f.where(zero, 1, y))
    minus = y.equals(-1)
    return divide(x, f.where(zero | minus, 1, y)), minus


def _truncated(c, x, y):
    f = c.f
    if x.type.floating:
        return f.intrinsic("trunc", x / y)
    if not c.signed:
        return _guarded(c, x, y, f.udiv)
    quotient, minus = _guarded(c, x, y, lambda a, b: a // b)
    return f.where(minus, 0 - x, quotient)


def _floored(c, x, y):
    f = c.f
    if x.type.floating:
        return f.intrinsic("floor", x / y)
    if not c.signed:
        return _guarded(c, x, y, f.udiv)
    number = _literal(y) or 0
    if number > 0 and number.bit_count() == 1:
        return x >> number.bit_length() - 1
    quotient = _truncated(c, x, y)
    if number > 0:
        return f.where(x < quotient * y, quotient - 1, quotient)
    inexact = (quotient * y).differs(x) & ((x < 0) ^ (y < 0))
    return f.where(inexact, quotient - 1, quotient)


def _modulo(c, x, y):
    """The remainder with the sign of the divisor."""
    f = c.f
    if x.type.floating:
        remainder = x % y
        other_side = remainder.differs(0) & ((y < 0) ^ (remainder < 0))
        remainder = f.where(other_side, remainder + y, remainder)
        return f.where(remainder.equals(0), f.copysign(remainder, y), remainder)
    if not c.signed:
        return _guarded(c, x, y, f.urem)
    number = _literal(y) or 0
    if number > 0 and number.bit_count() == 1:
        return x & (number - 1)
    remainder, minus = _guarded(c, x, y, lambda a, b: a % b)
    if number > 0:
        return f.where(remainder < 0, remainder + y, remainder)
    remainder = f.where(minus, 0, remainder)
    return f.where(remainder.differs(0) & ((x < 0) ^ (y < 0)), remainder + y, remainder)


def _remainder(c, x, y):
    """The remainder with the sign of the dividend."""
    if x.type.floating:
        return x % y
    if not c.signed:
        return _guarded(c, x, y, c.f.urem)
    remainder, minus = _guarded(c, x, y, lambda a, b: a % b)
    return c.f.where(minus, 0, remainder)


def _unless_zero(guard, rule):
    """`rule`, but 0 where its operand number `guard` is 0."""

    def guarded(c, x, y):
        return c.f.where((x, y)[guard].equals(0), c.f.constant(x.type, 0), rule(c, x, y))

    return guarded


def _add_n(c, *xs):
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def _finite(c, x):
    return c.f.compare("olt", c.f.abs(x), float("inf"))


def _leaky(c, x):
    return c.f.where(x > 0, x, x * c.attrs["alpha"])


def _leaky_gate(c, t, x):
    return c.f.where(x > 0, t, t * c.attrs["alpha"])


def _rounding(word):
    return lambda c, x: c.f.intrinsic(word, x) if x.type.floating else x


def _shift(word):
    """A shift whose amount is held to [0, bits - 1]: past that LLVM leaves the result undefined."""

    def rule(c, x, y):
        if c.signed:
            y = c.f.maximum(0, y)
        most = x.type.bits - 1
        y = c.f.where(c.f.compare("ugt", y, most), most, y)
        if word == "left":
            return x << y
        return x >> y if c.signed else c.f.lshr(x, y)

    return rule


def _function(name):
    return lambda c, *xs: FUNCTIONS[name](c.f, *xs)


def _elu(c, x):
    return c.f.where(x < 0, FUNCTIONS["expm1"](c.f, c.f.minimum(0, x)), x)


def _selu(c, x):
    f = c.f
    return f.where(x < 0, FUNCTIONS["expm1"](f, f.minimum(0, x)) * (SELU_SCALE * SELU_ALPHA), x * SELU_SCALE)


def _whole_pow(c, x, y):
    """Squares, for as long as an exponent has bits."""
    f, one = c.f, c.f.constant(x.type, 1)
    number = _literal(y)
    if number is not None and number > 0:
        found = x
        for bit in f"{number:b}"[1:]:
            found = found * found * x if bit == "1" else found * found
        return found
    c.fail(y < 0, "Integers to negative integer powers are not allowed")
    with f.forever([one, x, y]) as loop:
        found, square, left = loop.values
        loop.leave_unless(f.any(left.differs(0)))
        loop.next = [f.where((left & 1).differs(0), found * square, found), square * square, f.lshr(left, 1)]
    return loop.results[0]


def _pow_slope(c, x, y):
    return c.f.where(y.equals(0), c.f.constant(x.type, 0), y * FUNCTIONS["pow"](c.f, x, y - 1.0))


def _next_after(c, x, y):
    """One float further: away from 0 the bits, as an integer, count up."""
    f = c.f
    bits = {F32: I32, F64: I64}[x.type.scalar]
    away = (x < y) ^ (x < 0)
    number = f.bits(x, bits) + f.where(away, 1, f.constant(bits.vector(x.type.lanes), -1))
    least = f.copysign(f.bits(f.constant(bits.vector(x.type.lanes), 1), x.type.scalar), y)
    found = f.where(x.equals(y), y, f.where(x.equals(0), least, f.bits(number, x.type.scalar)))
    return f.where(f.compare("uno", x, y), x + y, found)


def _check_order(c, x, before):
    c.fail(before > x, "segment ids are not increasing: {value} stands behind a greater one", x)
    why = "possibly because 'segment_ids' input is not sorted"
    c.fail(x < 0, f"Segment id {{value}} out of range [0, {c.attrs['count']}), {why}.", x)
    return x


def _check_range(c, x):
    """The element itself, or 0 where it is an error, so that what it points to can be read."""
    wrong = c.f.compare("uge", x, c.attrs["limit"])
    c.fail(wrong, c.attrs["message"].replace("{limit}", str(c.attrs["limit"])), x)
    return c.f.where(wrong, 0, x)


def _check_numerics(c, x):
    c.fail(c.f.compare("oeq", c.f.abs(x), float("inf")), f"{c.attrs['message']} : Tensor had Inf values")
    c.fail(c.f.compare("uno", x, x), f"{c.attrs['message']} : Tensor had NaN values")
    return x


RULES = {
    "check_order": _check_order,
    "check_range": _check_range,
    "checked_numerics": _check_numerics,
    "copy": lambda c, x: x,
    "conj": lambda c, x: x,
    "add": lambda c, x, y: x + y,
    "sub": lambda c, x, y: x - y,
    "mul": lambda c, x, y: x * y,
    "neg": lambda c, x: -x,
    "add_n": _add_n,
    "truediv": lambda c, x, y: x / y,
    "floordiv": _floored,
    "floormod": _modulo,
    "truncatediv": _truncated,
    "truncatemod": _remainder,
    "maximum": _extreme("maximum"),
    "minimum": _extreme("minimum"),
    "clip_by_value": _clip,
    "mul_no_nan": _unless_zero(1, lambda c, x, y: x * y),
    "div_no_nan": _unless_zero(1, lambda c, x, y: x / y),
    "xdivy": _unless_zero(0, lambda c, x, y: x / y),
    "square": lambda c, x: x * x,
    "reciprocal": lambda c, x: 1.0 / x,
    "sqrt": lambda c, x: c.f.sqrt(x),
    "rsqrt": lambda c, x: 1.0 / c.f.sqrt(x),
    "abs": lambda c, x: c.f.abs(x) if x.type.floating or c.signed else x,
    "sign": _sign,
    "relu": _relu,
    "gate": _gate,
    "relu6": _relu6,
    "leaky_relu": _leaky,
    "leaky_gate": _leaky_gate,
    "softsign": lambda c, x: x / (c.f.abs(x) + 1.0),
    "floor": _rounding("floor"),
    "ceil": _rounding("ceil"),
    "rint": _rounding("rint"),
    "trunc": _rounding("trunc"),
    "is_nan": lambda c, x: c.f.compare("uno", x, x),
    "is_inf": lambda c, x: c.f.compare("oeq", c.f.abs(x), float("inf")),
    "is_finite": _finite,
    "less": _test("lt"),
    "less_equal": _test("le"),
    "greater": _test("gt"),
    "greater_equal": _test("ge"),
    "equal": _test("eq"),
    "not_equal": _test("ne"),
    "logical_and": lambda c, x, y: x & y,
    "logical_or": lambda c, x, y: x | y,
    "logical_xor": lambda c, x, y: x ^ y,
    "logical_not": lambda c, x: ~x,
    "bitwise_and": lambda c, x, y: x & y,
    "bitwise_or": lambda c, x, y: x | y,
    "bitwise_xor": lambda c, x, y: x ^ y,
    "bitwise_invert": lambda c, x: ~x,
    "population_count": lambda c, x: c.f.convert(c.f.intrinsic("ctpop", x), I8),
    "nextafter": _next_after,
    "left_shift": _shift("left"),
    "right_shift": _shift("right"),
    "elu": _elu,
    "selu": _selu,
    "pow_slope": _pow_slope,
    "whole_pow": _whole_pow,
    "xlogy": _unless_zero(0, lambda c, x, y: x * FUNCTIONS["log"](c.f, y)),
    "xlog1py": _unless_zero(0, lambda c, x, y: x * FUNCTIONS["log1p"](c.f, y)),
    "where": lambda c, condition, x, y: c.f.where(condition, x, y),
    "cast": _cast,
    "bitcast": lambda c, x: c.f.bits(x, MACHINE[c.dtype]),
}

# The dtypes of the operands for which a rule holds, where not for all of MACHINE.
INTEGERS = frozenset(dtypes.INTEGERS)
FLOATS = frozenset({float32, float64, float16, bfloat16})
KINDS = {
    "pow_slope": FLOATS,
    "bitcast": INTEGERS | FLOATS,
    "checked_numerics": FLOATS,
    **dict.fromkeys(FUNCTIONS | SPECIAL_FUNCTIONS, FLOATS),
}
RULES |= {name: _function(name) for name in FUNCTIONS if name not in RULES}
RULES |= {name: lambda c, x, emit=emit: emit(c.f, x) for name, emit in SPECIAL_FUNCTIONS.items()}

# Ops that may find an error while they run.
FAILING = {"checked_numerics", "check_order", "check_range", "floordiv", "floormod", "truncatediv", "truncatemod"}
FAILING |= {"whole_pow"}

__all__ = ["Call", "FAILING", "FLOATS", "INTEGERS", "CHOICES", "MACHINE", "MEMORY", "SHORT", "RULES", "is_scalar", "rule_of"]
