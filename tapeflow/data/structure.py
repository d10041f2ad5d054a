"""Elements of datasets: nests of tuples, namedtuples and dicts whose leaves are tensors or other values with a spec.

In tf.data a list is a tensor, not a structure. Within a pipeline an element is the flat list of its leaves: a tensor is
its NumPy value, anything else (a sparse or ragged tensor, an Optional, a dataset, None) is itself.
"""

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import BY_NUMPY
from tapeflow.base.specs import TensorSpec, TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor, ndarray, wrap
from tapeflow.core.variable import Variable

# How sparse and ragged tensors are taken apart along their first axis, and put together: class of the spec to
# (value -> its slices, slices -> value). The public layer above fills it in.
COMPOSITES: dict = {}
# What makes ragged and sparse tensors: "spec", "sparse_spec" and "sparse" (indices, values, dense shape); likewise.
RAGGED: dict = {}
_SMALL_BYTES = 1 << 16


class NoneTensorSpec(TypeSpec):
    """The spec of None, which an element may hold in place of a tensor."""

    __slots__ = ()
    _nest_atom = True
    value_type = property(lambda self: type(None))

    def _serialize(self):
        return ()

    def _batch(self, batch_size):
        return self

    def _unbatch(self):
        return self


def to_tensors(value):
    """The structure `value` with tensors as leaves; variables are read."""
    if isinstance(value, Variable):
        return convert_to_tensor(value)
    if isinstance(value, dict):
        made = type(value)() if hasattr(value, "default_factory") else None
        items = [(key, to_tensors(item)) for key, item in value.items()]
        return type(value)(items) if made is None else dict(items)
    if isinstance(value, tuple):
        items = [to_tensors(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if value is None or isinstance(value, Tensor) or getattr(value, "_type_spec", None) is not None:
        return value
    if isinstance(value, np.memmap) and value.dtype in BY_NUMPY and value.ndim:
        return wrap(value.view(ndarray))  # stays in its file: it may be larger than memory
    return convert_to_tensor(value)


def leaf_spec(x):
    """The spec of one leaf."""
    if x is None:
        return NoneTensorSpec()
    found = getattr(x, "_type_spec", None)
    return TensorSpec(x.shape, x.dtype) if found is None or isinstance(x, Tensor) else found


def spec_of(structure):
    """The nest of specs of a structure of tensors."""
    return nest.map_structure(leaf_spec, structure)


def flat_values(structure):
    """The leaves of a structure of tensors, as they travel through a pipeline."""
    return [x._value if x.__class__ is Tensor else x for x in nest.flatten(structure)]


def as_leaf(value):
    """What the user sees of one leaf."""
    return wrap(value) if value.__class__ is ndarray or isinstance(value, np.generic) else value


def packer(spec):
    """The function that makes an element of the flat list of its leaves."""
    if isinstance(spec, TensorSpec):
        return lambda values: as_leaf(values[0])
    if type(spec) is tuple and all(isinstance(part, TensorSpec) for part in spec):
        return lambda values: tuple(map(as_leaf, values))
    return lambda values: nest.pack_sequence_as(spec, list(map(as_leaf, values)))


def row(array, i):
    """Row `i`; a 0-d string stays an array."""
    return array[i, ...] if array.dtype == object else array[i]


def slices(value, spec):
    """The slices of one leaf along its first axis, as leaves; None gives None for ever."""
    if value is None:
        while True:
            yield None
    if value.__class__ is ndarray:
        for i in range(len(value)):
            yield row(value, i)
        return
    take_apart, _ = _rules(spec)
    for x in take_apart(value):
        yield x._value if x.__class__ is Tensor else x


def stacked(values, spec):
    """Leaves of one component of consecutive elements as one leaf with a further axis."""
    first = values[0]
    if first is None:
        return None
    if isinstance(spec, TensorSpec):
        return np.stack(values)
    _, put_together = _rules(spec)
    return put_together([as_leaf(value) for value in values], spec)


def _rules(spec):
    found = COMPOSITES.get(type(spec))
    if found is None:
        raise TypeError(f"Elements of type {type(spec).__name__} have no slices: they can be neither batched nor unbatched.")
    return found


def hashable(value):
    """A key that equal leaves share."""
    if value.__class__ is ndarray:
        return (value.shape, tuple(value.ravel().tolist()) if value.dtype == object else value.tobytes())
    return value


def batch_spec(spec, size):
    """The spec of `size` (None if it varies) values of that spec, stacked."""
    if not hasattr(spec, "_batch"):
        raise TypeError(f"Elements of type {type(spec).__name__} cannot be batched.")
    return spec._batch(size)


def unbatch_spec(spec):
    """The spec of one slice of a value along its first axis."""
    if not hasattr(spec, "_unbatch"):
        raise TypeError(f"Elements of type {type(spec).__name__} cannot be unbatched.")
    return spec._unbatch()


def ragged_stack(parts, spec):
    """Arrays of different sizes as one ragged tensor, of which `spec` describes a row."""
    _, put_together = _rules(spec)
    return put_together([as_leaf(part) for part in parts], spec)


def fixed(specs):
    """Whether all leaves are tensors of a known shape."""
    return all(isinstance(spec, TensorSpec) and spec.shape.is_fully_defined() for spec in specs)


def small(spec):
    """Whether elements have a known shape, and are so small that it does not matter how often they are copied."""
    parts = nest.flatten(spec)
    return fixed(parts) and sum(part.shape.num_elements() * (part.dtype.size or 1) for part in parts) <= _SMALL_BYTES
