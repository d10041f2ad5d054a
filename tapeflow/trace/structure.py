"""Nested results of traced functions as flat lists of tensors, and back: what graphs take and give."""

from tapeflow.base import nest
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable


class Flow:
    """The base of objects that are one tensor in a graph, such as a `TensorArray`, which is a list of tensors.

    A subclass has `_to_flow()`, that tensor, and `_from_flow(tensor)`, an object like it of another one.
    """


def flatten(structure):
    """The tensors in a nest: composites are taken apart, numbers and arrays converted, None left out."""
    return [as_tensor(leaf) for leaf in leaves_of(structure) if leaf is not None]


def leaves_of(structure):
    """The leaves of a nest, with composites taken apart."""
    return nest.flatten(structure, expand_composites=True)


def as_tensor(leaf):
    """A leaf as one tensor."""
    if isinstance(leaf, Tensor):
        return leaf
    if isinstance(leaf, Flow):
        return leaf._to_flow()
    if isinstance(leaf, Variable):
        return leaf._read()
    return convert_to_tensor(leaf)


def converted(structure):
    """The nest with numbers and arrays, but not composites and flows, as tensors; None stays."""
    return nest.map_structure(_converted, structure)


def _converted(leaf):
    if leaf is None or isinstance(leaf, (Tensor, Flow)) or hasattr(leaf, "_type_spec"):
        return leaf
    return leaf._read() if isinstance(leaf, Variable) else convert_to_tensor(leaf)


def pack(structure, tensors):
    """A nest like `structure` with `tensors` in the place of its tensors: what `flatten` undoes."""
    tensors = iter(tensors)
    leaves = []
    for leaf in leaves_of(structure):
        if leaf is None:
            leaves.append(None)
        elif isinstance(leaf, Flow):
            leaves.append(leaf._from_flow(next(tensors)))
        else:
            leaves.append(next(tensors))
    return nest.pack_sequence_as(structure, leaves, expand_composites=True)


def is_symbolic(x):
    """Whether `x` is a tensor without a value."""
    return isinstance(x, Tensor) and x.__class__ is not Tensor


__all__ = ["Flow", "as_tensor", "converted", "flatten", "is_symbolic", "leaves_of", "pack"]
