"""What Python's operators on tensors call: the shortest way through an op of two inputs."""

from tapeflow.base.dtypes import string
from tapeflow.core.convert import CONSTANTS, READERS, operand
from tapeflow.core.primitive import LARGE, NO_ATTRS, any_large, bind
from tapeflow.core.state import ongoing, scoped
from tapeflow.core.tensor import Tensor, ndarray


def on_two(op, convert=operand, otherwise=bind):
    """A function `(x, y)` that binds `op`, whose result has the dtype of its inputs, to a tensor and an operand.

    It is `bind`, unrolled for two eager tensors of one dtype; whatever else is, is left to `bind`.

    Args:
        op: a primitive without attrs.
        convert: `convert(y, x)` makes a tensor of what is none, or NotImplemented.
        otherwise: what takes the place of `bind`.
    """
    accepts = op.accepts & ~string.bit  # 0-d strings are no scalars: their result needs `wrap`

    def operator(x, y):
        dtype = x._dtype
        if y.__class__ is not Tensor:
            cls = y.__class__
            if cls is int or cls is float:
                known = CONSTANTS[dtype.type].get((cls, y))
                y = convert(y, x) if known is None else known
            else:
                y = READERS[cls](y) if cls in READERS else convert(y, x)
            if y is NotImplemented:
                return y
        if y._dtype is dtype and accepts & dtype.bit and not scoped:
            if op.hot is not None and any_large((x, y)):
                return otherwise(op, (x, y), NO_ATTRS)
            try:
                value = op.kernel(x._value, y._value)  # a tensor that has no value yet raises when it is asked for it
            except Exception:
                return otherwise(op, (x, y), NO_ATTRS)
            if value.__class__ is ndarray and op.heat is not None and value.size >= LARGE:
                op.heat()
            result = Tensor()
            result._value = value
            result._dtype = dtype
            if ongoing:
                op.note((x, y), NO_ATTRS, result)
            else:
                result._mark = None
            return result
        return otherwise(op, (x, y), NO_ATTRS)

    operator.op = op  # type: ignore[attr-defined]  # see `on_values` in rules.py
    return operator


__all__ = ["on_two"]
