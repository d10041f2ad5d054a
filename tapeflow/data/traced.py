"""Iterators, datasets and optionals in graphs: each is one tensor, whose value is the Python object."""

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import bool_, variant
from tapeflow.base.errors import OutOfRangeError, invalid
from tapeflow.base.specs import TensorSpec
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Handle, Spec, Tensor, wrap
from tapeflow.trace.structure import Flow

HANDLE = Spec((), variant)
_MOST_ASKED = 256  # elements that Python takes one by one from an iterator while tracing


def handle_of(x):
    """The tensor whose value is a Python object."""
    return wrap(Handle(x))


def flat_specs(element_spec):
    """The spec of each tensor that an element is made of, as a tuple for attrs."""
    specs = []
    for spec in nest.flatten(element_spec, expand_composites=True):
        if isinstance(spec, TensorSpec):
            specs.append(Spec(spec.shape._dims, spec.dtype))
        elif issubclass(spec.value_type, Flow):
            specs.append(HANDLE)
    return tuple(specs)


def packed(element_spec, tensors):
    """An element of the tensors that it is made of."""
    tensors = iter(tensors)
    leaves = []
    for spec in nest.flatten(element_spec, expand_composites=True):
        if isinstance(spec, TensorSpec):
            leaves.append(next(tensors))
        else:
            leaves.append(spec._from_flow(next(tensors)) if issubclass(spec.value_type, Flow) else None)
    return nest.pack_sequence_as(element_spec, leaves, expand_composites=True)


def component_values(leaves):
    """The values of the tensors that an element is made of, from its leaves as they travel through a pipeline."""
    values = []
    for leaf in leaves:
        if leaf.__class__ is np.ndarray or isinstance(leaf, np.generic):
            values.append(leaf)
        elif isinstance(leaf, Flow):
            values.append(Handle(leaf))
        elif leaf is not None:
            values += [x._value for x in nest.flatten(leaf, expand_composites=True)]
    return tuple(values)


def _next_kernel(iterator, *, specs):
    try:
        return component_values(iterator.object._next_leaves())
    except StopIteration:
        raise OutOfRangeError(None, None, "End of sequence") from None


def _next_optional_kernel(iterator):
    try:
        return Handle(component_values(iterator.object._next_leaves()))
    except StopIteration:
        return Handle(None)


def _get_kernel(x, *, specs):
    if x.object is None:
        raise invalid("OptionalGetValue", "The given optional does not have a value.")
    return x.object


def _primitive(name, kernel, infer, **rules):
    return Primitive(name, kernel, infer, uniform=False, **rules)


_primitive("dataset_iterator", lambda dataset: Handle(iter(dataset.object)), lambda x: HANDLE, stateful=True)
_primitive("iterator_next", _next_kernel, lambda iterator, *, specs: specs, stateful=True, multiple=True)
_primitive("iterator_next_optional", _next_optional_kernel, lambda iterator: HANDLE, stateful=True)
_primitive("optional_of", lambda *values: Handle(values), lambda *specs: HANDLE, parameters=("values",))
_primitive("optional_present", lambda x: np.bool_(x.object is not None), lambda x: Spec((), bool_))
_primitive("optional_get", _get_kernel, lambda x, *, specs: specs, multiple=True)


class TracedIterator(Flow):
    """An iterator in a graph: every run of the graph moves it on.

    Args:
        flow: the tensor that it is.
        element_spec: the nest of specs of an element.
    """

    _nest_atom = True

    def __init__(self, flow, element_spec):
        self._flow = flow
        self.element_spec = element_spec
        self._asked = 0

    @property
    def _type_spec(self):
        from tapeflow.data.iterator import IteratorSpec

        return IteratorSpec(self.element_spec)

    def _to_flow(self):
        return self._flow

    def _from_flow(self, flow):
        return TracedIterator(flow, self.element_spec) if flow.__class__ is not Tensor else flow._value.object

    def __iter__(self):
        return self

    def get_next(self, name=None):
        """The next element; the graph raises OutOfRangeError at the end."""
        return packed(self.element_spec, P.iterator_next(self._flow, specs=flat_specs(self.element_spec)))

    def __next__(self):
        self._asked += 1
        if self._asked > _MOST_ASKED:
            raise ValueError(
                "An unusually high number of `Iterator.get_next()` calls was detected: a Python loop over a dataset never ends "
                "while a function is traced. Let AutoGraph convert the function (tf.function does so, unless autograph=False or a "
                "decorator forbids it), or use Dataset.reduce or tf.while_loop."
            )
        return self.get_next()

    def get_next_as_optional(self, name=None):
        """An `Optional` of the next element, empty at the end."""
        from tapeflow.data.optional import Optional

        return Optional.of_flow(P.iterator_next_optional(self._flow), self.element_spec)


__all__ = ["TracedIterator", "component_values", "flat_specs", "handle_of", "packed"]
