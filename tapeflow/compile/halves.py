"""Conversions to and from the short floats in integer instructions, where LLVM would call a library or flush denormals.

float64 becomes float16 through float32 rounded to odd: the last bit says that something was lost, so that the second
rounding is right. To bfloat16 it is rounded twice, as ml_dtypes does it, whose results are the measure.
"""

from tapeflow.compile.text import BF16, F16, F32, F64, I16, I32

INFINITY_32, INFINITY_16 = 0x7F800000, 0x7C00
LEAST_NORMAL_16 = 113 << 23  # 2**-14 as float32
OVERFLOW_16 = 143 << 23  # 2**16
# Adding this float to a number below 2**-14 leaves float16's denormal bits at its end, rounded by the adder.
DENORMAL_16 = 126 << 23


def narrow(f, x, element):
    """float32 or float64 as float16 or bfloat16, rounded to nearest even."""
    if x.type.scalar is F64:
        x = f.convert(x, F32) if element is BF16 else _rounded_to_odd(f, x)
    bits = f.bits(x, I32)
    result = _bfloat(f, x, bits) if element is BF16 else _half(f, bits)
    return f.bits(f.convert(result, I16), element)


def widen(f, x):
    """float16 as float32."""
    bits = f.convert(f.bits(x, I16), I32, signed=False)
    magnitude = (bits & 0x7FFF) << 13
    exponent = magnitude & (INFINITY_16 << 13)
    moved = magnitude + (112 << 23)
    special = moved + (112 << 23)
    denormal = f.bits(f.bits(moved + (1 << 23), F32) - f.bits(f.constant(bits.type, LEAST_NORMAL_16), F32), I32)
    value = f.where(exponent.equals(INFINITY_16 << 13), special, f.where(exponent.equals(0), denormal, moved))
    return f.bits(value | ((bits & 0x8000) << 16), F32)


def _rounded_to_odd(f, x):
    near = f.convert(x, F32)
    back = f.convert(near, F64)
    over = f.abs(back) > f.abs(x)
    bits = f.bits(near, I32)
    bits = f.where(over, bits - 1, bits)  # towards zero
    lost = back.differs(x) & x.equals(x)
    return f.bits(f.where(lost, bits | 1, bits), F32)


def _bfloat(f, x, bits):
    rounded = f.lshr(bits + ((f.lshr(bits, 16) & 1) + 0x7FFF), 16)
    return f.where(x.equals(x), rounded, f.lshr(bits, 16) | 0x40)  # a nan stays one, and quiet


def _half(f, bits):
    sign = f.lshr(bits, 16) & 0x8000
    a = bits & 0x7FFFFFFF
    normal = f.lshr(a - (112 << 23) + ((f.lshr(a, 13) & 1) + 0xFFF), 13)
    magic = f.constant(bits.type, DENORMAL_16)
    denormal = f.bits(f.bits(a, F32) + f.bits(magic, F32), I32) - magic
    value = f.where(a < LEAST_NORMAL_16, denormal, f.where(a >= OVERFLOW_16, INFINITY_16, normal))
    nan = f.lshr(a, 13) | 0x7E00
    return f.where(a > INFINITY_32, nan & 0x7FFF, value) | sign


def is_hardware(target, source, wanted):
    """Whether LLVM makes instructions of the conversion, with the right results."""
    if wanted is BF16:
        return False
    if F16 in (source, wanted):
        return F64 not in (source, wanted) and (target.vector_bytes > 16 or target.arch == "aarch64")
    return True
