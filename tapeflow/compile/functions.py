"""The table of elementary functions that compiled code has, by the name of the primitive.

    FUNCTIONS["exp"](f, x) -> the value of exp(x), emitted into the function `f` being written

Values are floats of any number of lanes; float16 and bfloat16 are computed in float32.
"""

from tapeflow.compile import vector_math, vector_pow, vector_trig
from tapeflow.compile.polynomials import FORMATS
from tapeflow.compile.text import F32


def _in_float32(function):
    """A function of float32 and float64, for the short floats too."""

    def emit(f, *values):
        element = values[0].type.scalar
        if element in FORMATS:
            return function(f, *values)
        return f.convert(function(f, *[f.convert(x, F32) for x in values]), element)

    emit.__doc__ = function.__doc__
    return emit


def _intrinsic(name):
    return lambda f, x: f.intrinsic(name, x)


SOURCES = {
    vector_math: "exp expm1 sigmoid tanh sinh cosh log log1p softplus asinh acosh atanh erf erfc rsqrt",
    vector_trig: "sin cos tan asin acos atan atan2",
    vector_pow: "pow",
}
# What is one instruction, or nearly; exact in every type.
INTRINSICS = {"sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "roundeven"}

FUNCTIONS = {name: _in_float32(getattr(module, name)) for module, names in SOURCES.items() for name in names.split()}
FUNCTIONS |= {name: _in_float32(_intrinsic(intrinsic)) for name, intrinsic in INTRINSICS.items()}
