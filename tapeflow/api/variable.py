"""The methods of `tf.Variable` beyond reading and assigning: Python's operators and scatter updates."""

from tapeflow.api.export import export_value
from tapeflow.api.tensor import METHODS, OPERATORS, Reference
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable, VariableAggregation, VariableSynchronization

export_value(Variable, "Variable")
export_value(VariableAggregation, "VariableAggregation")
export_value(VariableSynchronization, "VariableSynchronization")


def _on_value(name):
    """The tensor's operator applied to what the variable holds."""
    method = OPERATORS.get(name) or METHODS[name]

    def operator(self, *args):
        return method(self._read(), *[x._read() if isinstance(x, Variable) else x for x in args])

    return operator


for _name in [*OPERATORS, "__iter__", "__len__", "__bool__", "__float__", "__int__", "__complex__", "__index__", "__array__"]:
    setattr(Variable, _name, _on_value(_name))


def _hash(self):
    raise TypeError("Variable is unhashable. Instead, use variable.ref() as the key.")


Variable.__hash__ = _hash
Variable.ref = lambda self: Reference(self)
Variable.ndim = property(lambda self: self.shape.rank)


def _index(self, key):
    """A slice of the value; its `assign`, `assign_add` and `assign_sub` update that part of the variable."""
    tensor = METHODS["__getitem__"](self._read(), key)
    tensor.__dict__.update(
        assign=lambda value, **_: _assign_slice(self, key, "assign", value),
        assign_add=lambda value, **_: _assign_slice(self, key, "add", value),
        assign_sub=lambda value, **_: _assign_slice(self, key, "sub", value),
    )
    return tensor


def _assign_slice(variable, key, how, value):
    raise NotImplementedError


Variable.__getitem__ = _index
__all__ = ["Tensor", "convert_to_tensor"]
