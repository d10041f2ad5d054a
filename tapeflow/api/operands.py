"""What the public elementwise functions share: how operands are converted, and functions made of a table's row."""

from tapeflow.api.export import export_value
from tapeflow.base.dtypes import COMPLEX, FLOATS, INTEGERS, bool_, int32
from tapeflow.core.convert import convert_to_tensor, operand
from tapeflow.core.primitive import NO_ATTRS, bind
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable

# The ops that keep 0 at 0, so that a sparse tensor's values can be mapped alone.
KEEPS_ZERO = {"abs", "neg", "sign", "square", "sqrt", "erf", "tanh"}


def is_tensor(value):
    """Whether a value has a dtype of its own that decides for the other operands: a tensor or a variable."""
    return isinstance(value, (Tensor, Variable)) or hasattr(value, "__tf_tensor__")


def matched(x, y):
    """Two operands as tensors; what is no tensor takes the dtype of the first that is, or of `x`.

    Raises:
        TypeError: a Python value that the dtype cannot hold.
    """
    if x.__class__ is Tensor:
        if y.__class__ is float or y.__class__ is int:
            return x, operand(y, x)  # quicker than `convert_to_tensor`
        return x, y if y.__class__ is Tensor else convert_to_tensor(y, None if is_tensor(y) else x._dtype)
    if is_tensor(y) and not is_tensor(x):
        y = convert_to_tensor(y)
        return convert_to_tensor(x, y._dtype), y
    x = convert_to_tensor(x)
    return x, convert_to_tensor(y, None if is_tensor(y) else x._dtype)


def hinted(x, y):
    """Two operands as tensors; `y` takes the dtype of `x` where it can."""
    if x.__class__ is not Tensor:
        x = convert_to_tensor(x)
    if (y.__class__ is float or y.__class__ is int) and x._dtype.is_floating:
        return x, operand(y, x)
    return x, y if y.__class__ is Tensor else convert_to_tensor(y, dtype_hint=x._dtype)


def unary(op, names, text, call, result):
    """The public function of an elementwise primitive of one input.

    Args:
        op: the primitive.
        names: its public names, separated by blanks.
        text: what it computes, in one sentence.
        call, result: an example, and what it prints, rounded to 4 digits where the op is one of floats alone.
    """
    bools = op.accepts == bool_.bit

    def function(x, name=None):
        if x.__class__ is not Tensor:
            if hasattr(x, "with_values") and (op.name in KEEPS_ZERO or hasattr(x, "row_splits")):
                return x.with_values(function(x.values))  # a ragged or sparse tensor
            x = convert_to_tensor(x, bool_ if bools and not is_tensor(x) else None)
        return bind(op, (x,), NO_ATTRS)

    return _finished(function, op, names, text, call, result)


def binary(op, names, text, call, result):
    """The public function of an elementwise primitive of two inputs; see `unary`."""
    bools = op.accepts == bool_.bit

    def function(x, y, name=None):
        if x.__class__ is not Tensor or y.__class__ is not Tensor:
            if bools:
                x, y = [convert_to_tensor(v, None if is_tensor(v) else bool_) for v in (x, y)]
            else:
                x, y = matched(x, y)
        return bind(op, (x, y), NO_ATTRS)

    return _finished(function, op, names, text, call, result, two=True)


def _finished(function, op, names, text, call, result, two=False):
    function.__name__ = function.__qualname__ = names.split()[0].rpartition(".")[2]
    digits = ".round(4)" if "." in result and not op.accepts & int32.bit else ""
    function.__doc__ = f"""{text}

    Args:
        {"`x` and `y`" if two else "`x`"}: {_kinds(op)}{", of one dtype, whose shapes broadcast" if two else ""}.

    Raises:
        InvalidArgumentError: another dtype{", or shapes that do not broadcast" if two else ""}.

    Example:
        >>> import tapeflow as tf
        >>> print({call}.numpy(){digits})
        {result}
    """
    export_value(function, *names.split())
    return function


def _kinds(op):
    """The dtypes that an op takes, in words."""
    kinds = {"floats": FLOATS, "complex numbers": COMPLEX, "integers": INTEGERS, "bools": {bool_}}
    return " or ".join(word for word, dtypes in kinds.items() if any(op.accepts & dtype.bit for dtype in dtypes))
