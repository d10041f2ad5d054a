"""Variables as converted code reads them, and the values that stand for a variable without one."""

from tapeflow.base import nest
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable
from tapeflow.trace.autograph.malt import Undefined, UndefinedReturnValue, ld, ldu
from tapeflow.trace.structure import Flow

PYTHON_VALUES = (bool, int, float, complex, str, bytes)


def is_missing(value):
    """Whether a variable has no value."""
    return isinstance(value, (Undefined, UndefinedReturnValue))


def is_internal(name):
    """Whether a variable was made by the conversion: the flags of `return`, `break` and `continue`."""
    return name.rstrip("0123456789").rstrip("_") in ("do_return", "retval", "break", "continue")


def is_value(x):
    """Whether a leaf of a variable can be the result of a branch or the variable of a loop."""
    return isinstance(x, (Tensor, Flow, *PYTHON_VALUES)) or hasattr(x, "_type_spec") or hasattr(x, "__array__")


def as_value(x):
    """A leaf as what a graph computes: a tensor, or a composite of several."""
    if isinstance(x, Flow) or (hasattr(x, "_type_spec") and not isinstance(x, (Tensor, Variable))):
        return x
    return convert_to_tensor(x)


def quoted(name):
    """A variable in a message."""
    return f"'{name}' (what the function returns)" if name.startswith("retval_") else f"'{name}'"


def leaves_of(value):
    """The leaves of a variable; a missing one has none."""
    return [] if is_missing(value) else nest.flatten(value)


def described(x):
    """A leaf in a few words, for messages."""
    if isinstance(x, Tensor):
        return f"a tensor of dtype {x.dtype.name} and shape {x.shape}"
    return "None" if x is None else f"{x!r}" if isinstance(x, PYTHON_VALUES) else f"a {type(x).__name__}"


__all__ = [
    "Undefined",
    "UndefinedReturnValue",
    "as_value",
    "described",
    "is_internal",
    "is_missing",
    "is_value",
    "ld",
    "ldu",
    "leaves_of",
    "quoted",
]
