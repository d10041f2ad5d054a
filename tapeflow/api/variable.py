"""The methods of `tf.Variable` beyond reading and assigning: Python's operators, slices and scatter updates."""

import functools

from tapeflow.api.export import export_value
from tapeflow.api.tensor import METHODS, OPERATORS, UNARY, Reference, index_key
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P, bind
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable, VariableAggregation, VariableSynchronization

export_value(Variable, "Variable")
export_value(VariableAggregation, "VariableAggregation")
export_value(VariableSynchronization, "VariableSynchronization")


def _on_value(name):
    """The tensor's operator applied to what the variable holds."""
    method = OPERATORS.get(name) or METHODS[name]
    if name in OPERATORS and name not in UNARY:
        return lambda self, other: method(self._read(), other)

    def operator(self, *args, **options):
        return method(self._read(), *[x._read() if isinstance(x, Variable) else x for x in args], **options)

    return operator


for _name in [
    *OPERATORS,
    "__iter__",
    "__len__",
    "__bool__",
    "__float__",
    "__int__",
    "__complex__",
    "__index__",
    "__array__",
]:
    setattr(Variable, _name, _on_value(_name))


def _hash(self):
    raise TypeError("Variable is unhashable. Instead, use variable.ref() as the key.")


def _index(self, key):
    """A slice of the value, a tensor whose method `assign` replaces that part of the variable."""
    tensor = METHODS["__getitem__"](self._read(), key)
    tensor.assign = functools.partial(_assign_slice, self, key)
    return tensor


def _assign_slice(variable, key, value, use_locking=False, name=None, read_value=True):
    """Replace the slice `variable[key]`; the value broadcasts to it. Returns the variable."""
    value = convert_to_tensor(value, variable.dtype)
    bind(P.assign_slice, (value,), {"variable": variable, "key": index_key(key)})
    return variable


# Scatter updates: `scatter_x` takes IndexedSlices, `scatter_nd_x` coordinates and updates


def _scatter(how, what):
    def scatter(self, sparse_delta, use_locking=False, name=None):
        if not isinstance(sparse_delta, IndexedSlices):
            raise TypeError(f"Argument `sparse_delta` must be a `tf.IndexedSlices`. Received arg: {sparse_delta}")
        updates = convert_to_tensor(sparse_delta.values, self.dtype)
        attrs = {"variable": self, "how": how, "nd": False}
        bind(P.scatter_variable, (convert_to_tensor(sparse_delta.indices), updates), attrs)
        return self

    scatter.__doc__ = f"""{what} for each of the slices `sparse_delta` (`tf.IndexedSlices`). Returns the variable.

        Raises:
            TypeError: `sparse_delta` is no `tf.IndexedSlices`.
            InvalidArgumentError: an index outside, or values of another shape than the rows.
        """
    return scatter


def _scatter_nd(how, what):
    def scatter_nd(self, indices, updates, name=None):
        updates = convert_to_tensor(updates, self.dtype)
        attrs = {"variable": self, "how": how, "nd": True}
        bind(P.scatter_variable, (convert_to_tensor(indices), updates), attrs)
        return self

    scatter_nd.__doc__ = f"""{what} at coordinates, see `tf.scatter_nd`. Returns the variable.

        Raises:
            InvalidArgumentError: coordinates outside, or updates of another shape than what they name.
        """
    return scatter_nd


_SCATTERS = {
    "add": "Add to the value",
    "sub": "Subtract from the value",
    "mul": "Multiply the value",
    "div": "Divide the value",
    "min": "Lower the value to the update where that is smaller",
    "max": "Raise the value to the update where that is larger",
    "update": "Replace the value",
}


def _batch_scatter_update(self, sparse_delta, use_locking=False, name=None):
    """Replace rows of each example of a batch: value[b, indices[b, i]] = updates[b, i]. Returns the variable.

    Raises:
        TypeError: `sparse_delta` is no `tf.IndexedSlices`.
        InvalidArgumentError: an index outside, or values of another shape.
    """
    if not isinstance(sparse_delta, IndexedSlices):
        raise TypeError(f"Argument `sparse_delta` must be a `tf.IndexedSlices`. Received arg: {sparse_delta}")
    indices = convert_to_tensor(sparse_delta.indices)
    updates = convert_to_tensor(sparse_delta.values, self.dtype)
    places = P.expand_dims(indices, axis=(-1,))
    batch_dims = max(0, len(indices.dims) - 1)
    return self.assign(P.tensor_scatter(self._read(), places, updates, how="update", batch_dims=batch_dims))


def _sparse_read(self, indices, name=None):
    """Rows of the value, as by `tf.gather`."""
    return P.gather(self._read(), convert_to_tensor(indices), axis=0, batch_dims=0)


def _gather_nd(self, indices, name=None):
    """Elements or slices of the value at coordinates, as by `tf.gather_nd`."""
    return P.gather_nd(self._read(), convert_to_tensor(indices))


def _count_up_to(self, limit):
    """Add 1 to a scalar integer variable; returns the value before.

    Raises:
        OutOfRangeError: the value has reached `limit`.
    """
    return bind(P.count_up_to, (), {"variable": self, "limit": limit})


def _set_shape(self, shape):
    """Narrow the declared shape to what it and `shape` have in common.

    Raises:
        ValueError: the shapes are not compatible.
    """
    self._shape = self._shape.merge_with(shape)


def _read_value_no_copy(self):
    """The value, as by `read_value`."""
    return self._read()


def _load(self, value, session=None):
    """Replace the value, as by `assign`; nothing is returned."""
    self.assign(value)


def _initial_value(self):
    """Raises RuntimeError: eager variables do not remember what they began with."""
    raise RuntimeError("This property is not supported when eager execution is enabled: a variable keeps its value alone.")


def _to_proto(self, export_scope=None):
    """Raises RuntimeError: it is for TensorFlow 1's graphs."""
    raise RuntimeError("This operation is not supported when eager execution is enabled.")


def _from_proto(variable_def, import_scope=None):
    """Raises NotImplementedError: it is for TensorFlow 1's graphs."""
    raise NotImplementedError("Variables are not made of protocol buffers when eager execution is enabled.")


def _refused_in_place(sign, mend):
    """An operator such as `+=`, which would make the name stand for a tensor, unlike the user means."""

    def operator(self, other):
        raise RuntimeError(
            f"`variable {sign}= value` with `tf.Variable`s is not supported. Use `{mend}` to modify the variable, or "
            f"`out = variable {sign} value` if you need to get a new output Tensor."
        )

    return operator


_METHODS = {
    "__hash__": _hash,
    "__copy__": lambda self: self,  # as in TensorFlow, where a shallow copy is the same state
    "__iadd__": _refused_in_place("+", "variable.assign_add(value)"),
    "__isub__": _refused_in_place("-", "variable.assign_sub(value)"),
    "__imul__": _refused_in_place("*", "variable.assign(variable * value)"),
    "__itruediv__": _refused_in_place("/", "variable.assign(variable / value)"),
    "__ipow__": _refused_in_place("**", "variable.assign(variable ** value)"),
    "set_shape": _set_shape,
    "read_value_no_copy": _read_value_no_copy,
    "load": _load,
    "initial_value": property(_initial_value),
    "to_proto": _to_proto,
    "from_proto": staticmethod(_from_proto),
    "__getitem__": _index,
    "ref": lambda self: Reference(self),
    "experimental_ref": lambda self: Reference(self),
    "ndim": property(lambda self: self.shape.rank),
    "batch_scatter_update": _batch_scatter_update,
    "sparse_read": _sparse_read,
    "gather_nd": _gather_nd,
    "count_up_to": _count_up_to,
}
for _name, _method in _METHODS.items():
    setattr(Variable, _name, _method)
for _how, _what in _SCATTERS.items():
    setattr(Variable, f"scatter_{_how}", _scatter(_how, _what))
    if _how not in ("mul", "div"):
        setattr(Variable, f"scatter_nd_{_how}", _scatter_nd(_how, _what))

__all__ = ["Tensor", "convert_to_tensor"]
