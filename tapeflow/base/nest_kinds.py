"""What counts as a nested structure, and how each kind is taken apart and put together: the table under `nest`.

A structure is a list, tuple, namedtuple, dict or other mapping (in the order of its sorted keys), a view of a mapping,
any other `collections.abc.Sequence` but `str` and `bytes`, an instance of an attrs class, or an object with the methods
`__tf_flatten__` and `__tf_unflatten__`. Everything else is an atom, and so a leaf: tensors, arrays, sets, None.

Where composites are expanded the following are structures too, unless their class sets `_nest_atom = True`:

- a composite, whose class has a `_type_spec`; its one branch is `_type_spec._to_components(value)`;
- the spec of a composite, whose class has `_component_specs`; its one branch is that.
"""

import collections
import collections.abc


class Kind:
    """How one kind of structure is taken apart and put together.

    Attributes:
        values: structure to an iterable of its branches, in order.
        items: structure to an iterable of (key, branch); the keys make up paths.
        rebuild: (structure, list of branches) to a structure like the first, with these branches.
    """

    __slots__ = ("items", "rebuild", "values")

    def __init__(self, values, items, rebuild):
        self.values = values
        self.items = items
        self.rebuild = rebuild


def _sorted_keys(mapping):
    try:
        return sorted(mapping)
    except TypeError as error:
        raise TypeError(f"nest only supports dicts with sortable keys: {error}") from None


def _rebuild_mapping(like, branches):
    cls = type(like)
    values = dict(zip(_sorted_keys(like), branches, strict=True))
    if cls is dict:
        return {key: values[key] for key in like}  # in the order of `like`, which may not be sorted
    made = cls(like.default_factory) if cls is collections.defaultdict else cls()
    for key in like:
        made[key] = values[key]
    return made


def _rebuild_frozen_mapping(like, branches):
    values = dict(zip(_sorted_keys(like), branches, strict=True))
    try:
        return type(like)((key, values[key]) for key in like)
    except TypeError as error:
        raise TypeError(
            f"Error creating an object of type {type(like)} like {like}. Note that it must accept a single positional "
            f"argument representing an iterable of key-value pairs, in addition to self. Cause: {error}"
        ) from error


def _attr_items(structure):
    return [(attr.name, getattr(structure, attr.name)) for attr in type(structure).__attrs_attrs__]


def _custom_values(structure):
    return structure.__tf_flatten__()[1]


def _composite_items(value):
    spec = value._type_spec
    return [(spec.value_type.__name__, spec._to_components(value))]


SEQUENCE = Kind(iter, enumerate, lambda like, branches: type(like)(branches))
# Neither a range nor a view of a mapping can hold new values: both become lists.
LISTED = Kind(iter, enumerate, lambda like, branches: list(branches))
NAMEDTUPLE = Kind(
    lambda structure: [getattr(structure, field) for field in structure._fields],
    lambda structure: [(field, getattr(structure, field)) for field in structure._fields],
    lambda like, branches: type(like)(*branches),
)
MAPPING = Kind(
    lambda mapping: [mapping[key] for key in _sorted_keys(mapping)],
    lambda mapping: [(key, mapping[key]) for key in _sorted_keys(mapping)],
    _rebuild_mapping,
)
FROZEN_MAPPING = Kind(MAPPING.values, MAPPING.items, _rebuild_frozen_mapping)
ATTRS = Kind(
    lambda structure: [value for _, value in _attr_items(structure)],
    _attr_items,
    lambda like, branches: type(like)(*branches),
)
CUSTOM = Kind(
    _custom_values,
    lambda structure: enumerate(_custom_values(structure)),
    lambda like, branches: like.__tf_unflatten__(like.__tf_flatten__()[0], tuple(branches)),
)
COMPOSITE = Kind(
    lambda value: [value._type_spec._to_components(value)],
    _composite_items,
    lambda like, branches: like._type_spec._from_components(branches[0]),
)
SPEC = Kind(
    lambda spec: [spec._component_specs],
    # The same key as its values have, so that their paths agree.
    lambda spec: [(spec.value_type.__name__, spec._component_specs)],
    lambda like, branches: like._from_components(branches[0]),
)


def is_namedtuple_class(cls):
    """Whether `cls` was made by `collections.namedtuple` or `typing.NamedTuple`, or derives from such a class."""
    fields = getattr(cls, "_fields", None)
    return issubclass(cls, tuple) and isinstance(fields, tuple) and all(isinstance(f, str) for f in fields)


def _classify(cls, composites):
    """The `Kind` of the instances of `cls`, or None where they are atoms."""
    if composites and not getattr(cls, "_nest_atom", False):
        if hasattr(cls, "_component_specs"):
            return SPEC
        if hasattr(cls, "_type_spec"):
            return COMPOSITE
    if is_namedtuple_class(cls):
        return NAMEDTUPLE
    if hasattr(cls, "__attrs_attrs__"):
        return ATTRS
    if issubclass(cls, (str, bytes)):
        return None
    for base, kind in (
        (list, SEQUENCE),
        (tuple, SEQUENCE),
        (collections.abc.MutableMapping, MAPPING),
        (collections.abc.Mapping, FROZEN_MAPPING),
        (collections.abc.MappingView, LISTED),
        (range, LISTED),
    ):
        if issubclass(cls, base):
            return kind
    if hasattr(cls, "__tf_flatten__") and hasattr(cls, "__tf_unflatten__"):
        return CUSTOM
    return SEQUENCE if issubclass(cls, collections.abc.Sequence) else None


class Kinds(dict):
    """The `Kind` of each class seen so far, None for atoms: `kinds[type(x)]` is one lookup for the usual classes."""

    def __init__(self, composites):
        self.composites = composites

    def __missing__(self, cls):
        if len(self) >= 1024:  # a program that makes classes as it runs must not fill memory
            self.clear()
        kind = self[cls] = _classify(cls, self.composites)
        return kind


PLAIN = Kinds(composites=False)
EXPANDED = Kinds(composites=True)
