"""`tf.experimental.Optional`: a value that may be absent, as the last element of an iterator is."""

import numpy as np

from tapeflow.base.errors import invalid
from tapeflow.base.specs import TypeSpec
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.data.structure import spec_of, to_tensors
from tapeflow.data.traced import flat_specs, handle_of, packed
from tapeflow.trace.structure import Flow, flatten


class Optional(Flow):
    """A structure of tensors, or nothing in its place.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.experimental.Optional.from_value((tf.constant(2), tf.constant([3.0])))
        >>> bool(x.has_value()), x.element_spec[0]
        (True, TensorSpec(shape=(), dtype=tf.int32, name=None))
    """

    _nest_atom = True

    def __init__(self, value, element_spec, present):
        self._value_or_none = value
        self._element_spec = element_spec
        self._present = present
        self._flow = None  # in a graph the tensor that it is

    @staticmethod
    def of_flow(flow, element_spec):
        """The optional that a tensor is."""
        if flow.__class__ is not Tensor:
            optional = Optional(None, element_spec, None)
            optional._flow = flow
            return optional
        values = flow._value.object
        if values is None:
            return Optional.empty(element_spec)
        return Optional(packed(element_spec, list(map(wrap, values))), element_spec, True)

    def _to_flow(self):
        if self._flow is not None:
            return self._flow
        return P.optional_of(*flatten(self._value_or_none)) if self._present else handle_of(None)

    def _from_flow(self, flow):
        return Optional.of_flow(flow, self._element_spec)

    @staticmethod
    def from_value(value):
        """An optional that holds `value`, a nest of tuples and dicts with tensors, or what converts to them."""
        value = to_tensors(value)
        return Optional(value, spec_of(value), True)

    @staticmethod
    def empty(element_spec):
        """An optional that holds nothing, where values described by `element_spec` could be."""
        return Optional(None, element_spec, False)

    @property
    def element_spec(self):
        """The nest of specs of the value."""
        return self._element_spec

    @property
    def _type_spec(self):
        return OptionalSpec(self._element_spec)

    def has_value(self, name=None):
        """Whether there is a value: a scalar bool tensor."""
        if self._flow is not None:
            return P.optional_present(self._flow)
        return wrap(np.bool_(self._present))

    def get_value(self, name=None):
        """The value.

        Raises:
            InvalidArgumentError: there is none.
        """
        if self._flow is not None:
            return packed(self._element_spec, P.optional_get(self._flow, specs=flat_specs(self._element_spec)))
        if not self._present:
            raise invalid("OptionalGetValue", "The given optional does not have a value.")
        return self._value_or_none


class OptionalSpec(TypeSpec):
    """The type of an `Optional`.

    Args:
        element_spec: the nest of specs of its value.
    """

    __slots__ = ("_element_spec",)
    _nest_atom = True

    def __init__(self, element_spec):
        self._element_spec = element_spec

    value_type = property(lambda self: Optional)

    def _from_flow(self, flow):
        return Optional.of_flow(flow, self._element_spec)

    def _serialize(self):
        return (self._element_spec,)

    @staticmethod
    def from_value(value):
        """The spec of an `Optional`."""
        return OptionalSpec(value.element_spec)
