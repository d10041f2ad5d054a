"""Datasets that a traced function makes: templates, which each run of the graph fills with the values of tensors.

A dataset that is made while a function is traced may hold tensors without a value: a batch size, the tensors to slice, what
the function of a `map` has captured. In the graph it is one op on these tensors, whose result is a dataset like it.
"""

import copy

from tapeflow.base import nest
from tapeflow.core.graph import SymbolicTensor
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Handle, Tensor, wrap
from tapeflow.data.dataset import Dataset, PlaceholderDataset, SomeInt
from tapeflow.data.function import ElementFunction
from tapeflow.data.shuffle import SeedGenerator
from tapeflow.data.traced import HANDLE


class _Search:
    """Finds the tensors without a value in a dataset, and whether a run has to make it anew for another reason."""

    def __init__(self):
        self.symbols = {}
        self.fresh = False

    def tensor(self, x):
        self.symbols[id(x)] = x
        return x

    def seeds(self, x):
        self.fresh |= x.traced
        return x


class _Filling:
    """Puts values in the place of tensors: `values` by the ids of these."""

    def __init__(self, values):
        self.values = values

    def tensor(self, x):
        return wrap(self.values[id(x)])

    def seeds(self, x):
        return x.anew() if x.traced else x


def _walked(x, visit):
    """A dataset, or what one holds, after `visit` has seen every tensor without a value in it, and every source of seeds."""
    if isinstance(x, SymbolicTensor):
        return visit.tensor(x)
    if isinstance(x, SomeInt):
        return x if x.tensor is None else _number(visit.tensor(x.tensor), x)
    if isinstance(x, PlaceholderDataset):
        flow = visit.tensor(x._flow)
        return flow._value.object if flow.__class__ is Tensor else x
    if isinstance(x, SeedGenerator):
        return visit.seeds(x)
    if isinstance(x, Dataset):
        return _copied(x, vars(x), visit)
    if isinstance(x, ElementFunction):
        return _copied(x, {"_captured": x._captured}, visit) if x._captured else x
    if type(x) in (tuple, list):
        items = type(x)([_walked(item, visit) for item in x])
        return x if all(a is b for a, b in zip(items, x, strict=True)) else items
    if getattr(x, "_type_spec", None) is not None and not isinstance(x, Tensor):
        return _composite(x, visit)
    return x


def _number(x, number):
    return int(x._value) if x.__class__ is Tensor else number


def _copied(x, attributes, visit):
    walked = {name: _walked(value, visit) for name, value in attributes.items()}
    if all(walked[name] is value for name, value in attributes.items()):
        return x
    result = copy.copy(x)
    vars(result).update(walked)
    return result


def _composite(x, visit):
    parts = nest.flatten(x, expand_composites=True)
    if not any(isinstance(part, SymbolicTensor) for part in parts):
        return x
    return nest.pack_sequence_as(x, [_walked(part, visit) for part in parts], expand_composites=True)


def flow_of(dataset):
    """The tensor that a dataset is in the graph that is being traced."""
    search = _Search()
    _walked(dataset, search)
    if not search.symbols and not search.fresh:
        return wrap(Handle(dataset))
    return P.dataset(*search.symbols.values(), template=dataset, symbols=tuple(search.symbols))


def _fill(*values, template, symbols):
    return Handle(_walked(template, _Filling(dict(zip(symbols, values, strict=True)))))


Primitive(
    "dataset",
    _fill,
    lambda *specs, template, symbols: HANDLE,
    parameters=("values",),
    uniform=False,
    stateful=True,
    samples=lambda: [],
)
