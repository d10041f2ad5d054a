"""`tf.nest`: what is nested, and that taking apart and putting together agree with TensorFlow and with each other."""

import collections
import dataclasses
import doctest
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeflow.base import nest

Point = collections.namedtuple("Point", "x y")
Other = collections.namedtuple("Other", "x y")
SamePoint = collections.namedtuple("Point", "x y")


class SubPoint(Point):
    """A subclass of a namedtuple."""


class ListLike(list):
    """A list subclass, such as libraries use to track attributes."""


class TupleLike(tuple):
    """A tuple subclass that is no namedtuple."""


class FrozenMap(collections.abc.Mapping):
    """An immutable mapping, made from pairs."""

    def __init__(self, pairs):
        self.held = dict(pairs)

    def __getitem__(self, key):
        return self.held[key]

    def __iter__(self):
        return iter(self.held)

    def __len__(self):
        return len(self.held)

    def __eq__(self, other):
        return type(other) is FrozenMap and self.held == other.held

    __hash__ = None


@dataclasses.dataclass
class Plain:
    """A dataclass without TensorFlow's protocol: an atom."""

    x: object


@dataclasses.dataclass
class Masked:
    """A dataclass with TensorFlow's protocol."""

    mask: bool
    values: tuple

    def __tf_flatten__(self):
        return (self.mask,), tuple(self.values)

    @classmethod
    def __tf_unflatten__(cls, metadata, components):
        return cls(metadata[0], tuple(components))


class WithAttrs:
    """What an attrs class looks like to others."""

    __attrs_attrs__ = (types.SimpleNamespace(name="last"), types.SimpleNamespace(name="first"))

    def __init__(self, last, first):
        self.last, self.first = last, first

    def __eq__(self, other):
        return type(other) is WithAttrs and (self.last, self.first) == (other.last, other.first)

    __hash__ = None


class Pair:
    """A composite of two tensors, here any values."""

    def __init__(self, left, right, label="pair"):
        self.left, self.right, self.label = left, right, label

    @property
    def _type_spec(self):
        return PairSpec(self.label)


class PairSpec:
    """The part of a spec that `nest` asks for."""

    value_type = Pair
    _component_specs = ("left spec", "right spec")

    def __init__(self, label):
        self.label = label

    def _to_components(self, value):
        return (value.left, value.right)

    def _from_components(self, components):
        return Pair(*components, self.label)

    def _without_tensor_names(self):
        return self

    def most_specific_common_supertype(self, others):
        return self if all(self.label == other.label for other in others) else None

    def __str__(self):
        return f"PairSpec({self.label})"


class AtomicVariable:
    """Has a spec, but asks not to be taken apart, as variables do."""

    _nest_atom = True
    _type_spec = None


def defaultdict_of(pairs):
    made = collections.defaultdict(list)
    made.update(pairs)
    return made


keys = st.sampled_from("abc")
structures = st.recursive(
    st.integers() | st.none() | st.text(max_size=2),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(ListLike),
        st.dictionaries(keys, inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3).map(collections.OrderedDict),
        st.dictionaries(keys, inner, max_size=3).map(defaultdict_of),
        st.dictionaries(keys, inner, max_size=3).map(FrozenMap),
        st.tuples(inner, inner).map(lambda pair: Point(*pair)),
        st.tuples(inner, inner).map(lambda pair: WithAttrs(*pair)),
        st.tuples(st.booleans(), st.lists(inner, max_size=2).map(tuple)).map(lambda pair: Masked(*pair)),
    ),
    max_leaves=8,
)


def test_docstrings():
    assert doctest.testmod(nest).failed == 0


# Laws.


@given(structures)
def test_pack_undoes_flatten(structure):
    again = nest.pack_sequence_as(structure, nest.flatten(structure))
    assert type(again) is type(structure)
    assert again == structure


@given(structures)
def test_map_of_the_identity_is_the_identity(structure):
    again = nest.map_structure(lambda x: x, structure)
    assert type(again) is type(structure)
    assert again == structure


@given(structures)
def test_map_is_flatten_then_pack(structure):
    expected = [(x, x) for x in nest.flatten(structure)]
    for mapped in (
        nest.map_structure(lambda x: {x}, structure),  # a set is an atom
        nest.map_structure(lambda x, y: {x, y}, structure, structure),
        nest.map_structure_up_to(structure, lambda x: {x}, structure),
    ):
        assert nest.flatten(mapped) == [set(pair) for pair in expected]
        nest.assert_same_structure(mapped, structure)


@given(structures)
def test_paths_lead_to_leaves(structure):
    def follow(structure, key):
        if isinstance(structure, Masked):
            return structure.values[key]
        return getattr(structure, key) if isinstance(structure, (Point, WithAttrs)) else structure[key]

    pairs = nest.flatten_with_tuple_paths(structure)
    assert [path for path, _ in pairs] == list(nest.yield_flat_paths(structure))
    assert [leaf for _, leaf in pairs] == nest.flatten(structure)
    for path, leaf in pairs:
        found = structure
        for key in path:
            found = follow(found, key)
        assert found is leaf


@given(structures, structures)
def test_assert_same_structure_agrees_with_the_shapes(a, b):
    def drawn(structure):
        return nest.map_structure(lambda _: 0, structure)

    try:
        nest.assert_same_structure(a, b)
    except (TypeError, ValueError):
        assert type(a) is not type(b) or drawn(a) != drawn(b) or isinstance(a, Masked)
    else:
        assert len(nest.flatten(a)) == len(nest.flatten(b))
        nest.assert_same_structure(a, b, check_types=False)


# What is nested.

NESTED = [[], (), {}, Point(1, 2), SubPoint(1, 2), TupleLike(), ListLike(), range(3), FrozenMap([]), Masked(True, ())]
NESTED += [WithAttrs(1, 2), collections.deque(), collections.UserList(), collections.UserDict(), collections.ChainMap()]
NESTED += [{}.keys(), {}.values(), {}.items(), bytearray(b"a"), memoryview(b"a"), collections.OrderedDict()]
ATOMS = [1, None, "ab", b"ab", np.str_("ab"), {1}, frozenset(), np.zeros(2), iter([]), Plain([1]), Point, Masked, int]
ATOMS += [WithAttrs, Pair(1, 2), PairSpec("pair"), AtomicVariable()]


@pytest.mark.parametrize("structure", NESTED, ids=lambda s: type(s).__name__)
def test_nested(structure):
    assert nest.is_nested(structure)


@pytest.mark.parametrize("atom", ATOMS, ids=lambda s: type(s).__name__)
def test_atoms(atom):
    assert not nest.is_nested(atom)
    assert nest.flatten(atom) == [atom]
    assert nest.map_structure(lambda x: [x], atom) == [atom]


def test_flatten_takes_mappings_by_sorted_keys_and_views_as_they_come():
    pairs = [("b", 1), ("a", 2)]
    for mapping in (dict(pairs), collections.OrderedDict(pairs), FrozenMap(pairs), collections.UserDict(pairs)):
        assert nest.flatten(mapping) == [2, 1]
    assert nest.flatten(dict(pairs).values()) == [1, 2]
    assert nest.flatten(dict(pairs).items()) == ["b", 1, "a", 2]


def test_keys_that_cannot_be_sorted():
    for call in (nest.flatten, lambda s: nest.map_structure(str, s), lambda s: nest.pack_sequence_as(s, [1, 2])):
        with pytest.raises(TypeError, match=r"nest only supports dicts with sortable keys.*'<' not supported"):
            call({1: 1, "a": 2})


# What is mapped, and what comes out, as TensorFlow gives it.
REBUILT = [
    ({"b": 1, "a": 2}, {"b": 2, "a": 3}),
    (collections.OrderedDict(b=1, a=2), collections.OrderedDict(b=2, a=3)),
    (defaultdict_of({"b": 1}), defaultdict_of({"b": 2})),
    (FrozenMap({"b": 1}), FrozenMap({"b": 2})),
    (collections.UserDict(b=1), collections.UserDict(b=2)),
    (Point(1, 2), Point(2, 3)),
    (SubPoint(1, 2), SubPoint(2, 3)),
    (ListLike([1]), ListLike([2])),
    (TupleLike([1]), TupleLike([2])),
    (collections.deque([1]), collections.deque([2])),
    (range(3), [1, 2, 3]),
    ({"b": 1, "a": 2}.values(), [2, 3]),
    (Masked(True, (1, [2])), Masked(True, (2, [3]))),
    (WithAttrs(1, [2]), WithAttrs(2, [3])),
]


@pytest.mark.parametrize(("structure", "expected"), REBUILT, ids=lambda s: type(s).__name__)
def test_rebuilt(structure, expected):
    for made in (
        nest.map_structure(lambda x: x + 1, structure),
        nest.map_structure(lambda x, y: y + 1, structure, structure),
        nest.pack_sequence_as(structure, [x + 1 for x in nest.flatten(structure)]),
    ):
        assert type(made) is type(expected)
        assert made == expected


def test_rebuilding_keeps_the_order_of_keys_and_the_default_factory():
    made = nest.map_structure(str, {"b": 1, "a": 2})
    assert list(made) == ["b", "a"]
    assert nest.map_structure(str, defaultdict_of({"b": 1})).default_factory is list


def test_a_mapping_that_cannot_be_rebuilt():
    with pytest.raises(TypeError, match="Error creating an object of type <class 'mappingproxy'>"):
        nest.map_structure(str, types.MappingProxyType({"a": 1}))


def test_many_classes_do_not_fill_memory():
    from tapeflow.base.nest_kinds import PLAIN

    for i in range(1500):
        nest.flatten(type(f"Class{i}", (), {})())
    assert len(PLAIN) <= 1024
    assert nest.flatten([1, [2]]) == [1, 2]


# pack_sequence_as and map_structure: arguments.


def test_pack_takes_other_sequences():
    assert nest.pack_sequence_as([0, 0], (5, 6)) == [5, 6]
    assert nest.pack_sequence_as(0, (5,)) == 5
    assert nest.pack_sequence_as([0, 0], range(2)) == [0, 1]
    assert nest.pack_sequence_as([], []) == []


@pytest.mark.parametrize("leaves", [[], [1], [1, 2, 3]])
def test_pack_counts(leaves):
    with pytest.raises(ValueError, match=f"Structure had 2 atoms, but flat_sequence had {len(leaves)} items"):
        nest.pack_sequence_as([0, (0,)], leaves)


def test_pack_refuses():
    with pytest.raises(ValueError, match=r"(?s)target structure is of type `<class 'int'>`.*of length 2"):
        nest.pack_sequence_as(0, [1, 2])
    for leaves in (1, np.zeros(2), "ab"):
        with pytest.raises(TypeError, match=r"(?s)Attempted to pack value.*found incompatible type"):
            nest.pack_sequence_as([0, 0], leaves)
    with pytest.raises(TypeError, match=r"Attempted to pack value:\n  a{100}\.\.\.\n"):
        nest.pack_sequence_as([0, 0], "a" * 101)


def test_map_refuses():
    with pytest.raises(TypeError, match="func must be callable, got: 3"):
        nest.map_structure(3, [1])
    with pytest.raises(ValueError, match="Must provide at least one structure"):
        nest.map_structure(str)
    with pytest.raises(ValueError, match=r"Only valid keyword arguments are .*, not: `foo`, `bar`"):
        nest.map_structure(str, [1], foo=1, bar=2)
    with pytest.raises(ValueError, match="don't have the same number of elements"):
        nest.map_structure(lambda x, y: x, [1, 2], [3])


def test_map_of_different_types():
    assert nest.map_structure(lambda x, y: x + y, [1, 2], (3, 4), check_types=False) == [4, 6]
    assert nest.map_structure(lambda x, y: x + y, {"b": 1}, collections.OrderedDict(b=2)) == {"b": 3}
    assert nest.map_structure(lambda x, y: x + y, 1, 2) == 3


# assert_same_structure.

SAME = [
    (1, "a"),
    ([1, (2,)], ["a", (None,)]),
    ([1], ListLike([1])),
    ({"a": 1, "b": 2}, collections.OrderedDict(b=1, a=2)),
    ({"a": 1}, FrozenMap({"a": 2})),
    (Point(1, 2), SamePoint(1, 2)),
    (Masked(True, (1,)), Masked(False, (2,))),
]
# First, second, exception, text; the last column says whether check_types=False lets it pass.
DIFFERENT = [
    ([1, 2], [1], ValueError, r"number of elements\. First structure: type=list str=\[1, 2\]\. Second", False),
    ([1, [2]], [1, 2], ValueError, r'"type=list str=\[2\]" is a sequence, while substructure "type=int str=2"', False),
    (1, [1], ValueError, r'"type=list str=\[1\]" is a sequence, while substructure "type=int str=1" is not', False),
    (np.zeros(2), [1, 2], ValueError, 'while substructure "type=ndarray', False),
    ({"a": 1}, {"b": 1}, ValueError, r"set of keys\. First structure has keys type=list str=\['a'\], while", True),
    ({"a": 1}, {"a": 1, "b": 2}, ValueError, "set of keys", False),
    ([1, 2], (1, 2), TypeError, "don't have the same sequence type.* has type list, while .* has type tuple", True),
    ((1,), TupleLike([1]), TypeError, "don't have the same sequence type", True),
    (Point(1, 2), (1, 2), TypeError, "don't have the same sequence type", True),
    (Point(1, 2), Other(1, 2), TypeError, "two namedtuples don't have the same sequence type", True),
    (Point(1, 2), SubPoint(1, 2), TypeError, "two namedtuples don't have the same sequence type", True),
    ({"a": 1}, [1], TypeError, "don't have the same sequence type", True),
    (Masked(True, (1,)), (1,), TypeError, "don't have the same sequence type", True),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_same(a, b):
    nest.assert_same_structure(a, b)
    nest.assert_same_structure(b, a)


@pytest.mark.parametrize(("a", "b", "exception", "text", "passes_unchecked"), DIFFERENT)
def test_different(a, b, exception, text, passes_unchecked):
    with pytest.raises(exception, match=f"(?s)The two structures don't have the same nested structure.*{text}"):
        nest.assert_same_structure(a, b)
    if passes_unchecked:
        nest.assert_same_structure(a, b, check_types=False)
    else:
        with pytest.raises(ValueError):
            nest.assert_same_structure(a, b, check_types=False)


def test_the_message_shows_both_structures():
    with pytest.raises(ValueError) as caught:
        nest.assert_same_structure({"a": [1, 2], "b": 3}, {"a": [1], "b": 3})
    assert str(caught.value) == (
        "The two structures don't have the same nested structure.\n\n"
        "First structure: type=dict str={'a': [1, 2], 'b': 3}\n\n"
        "Second structure: type=dict str={'a': [1], 'b': 3}\n\n"
        "More specifically: The two structures don't have the same number of elements. "
        "First structure: type=list str=[1, 2]. Second structure: type=list str=[1]\n"
        "Entire first structure:\n{'a': [., .], 'b': .}\n"
        "Entire second structure:\n{'a': [.], 'b': .}"
    )


# Composites.


def test_composites_are_atoms_unless_expanded():
    pair = Pair(1, [2, 3])
    assert nest.flatten([pair]) == [pair]
    assert nest.flatten([pair, 4], expand_composites=True) == [1, 2, 3, 4]
    assert nest.flatten(PairSpec("pair"), expand_composites=True) == ["left spec", "right spec"]
    assert nest.is_nested_or_composite(pair)
    assert not nest.is_nested(pair)


def test_an_atom_may_have_a_spec():
    variable = AtomicVariable()
    assert nest.flatten([variable], expand_composites=True) == [variable]


def test_composites_are_rebuilt():
    made = nest.map_structure(lambda x: x + 1, [Pair(1, [2], "label")], expand_composites=True)[0]
    assert (type(made), made.left, made.right, made.label) == (Pair, 2, [3], "label")
    made = nest.pack_sequence_as([PairSpec("label")], [5, 6], expand_composites=True)[0]
    assert (type(made), made.left, made.right, made.label) == (Pair, 5, 6, "label")


def test_composites_inside_composites():
    inner = Pair(1, 2)
    assert nest.flatten(Pair(inner, 3), expand_composites=True) == [1, 2, 3]
    made = nest.map_structure(lambda x: x + 1, Pair(inner, 3), expand_composites=True)
    assert (made.left.left, made.left.right, made.right) == (2, 3, 4)


def test_paths_into_a_composite_and_its_spec_agree():
    expected = [(0, "Pair", 0), (0, "Pair", 1)]
    assert list(nest.yield_flat_paths([Pair(1, 2)], expand_composites=True)) == expected
    assert list(nest.yield_flat_paths([PairSpec("pair")], expand_composites=True)) == expected


def test_composites_have_the_same_structure_where_one_spec_describes_both():
    pair = Pair(1, 2)
    nest.assert_same_structure([pair], [Pair(3, 4)], expand_composites=True)
    nest.assert_same_structure(pair, PairSpec("pair"), expand_composites=True)
    nest.assert_same_structure(pair, Pair(1, 2, "other"))
    with pytest.raises(ValueError, match=r"Incompatible CompositeTensor TypeSpecs: type=PairSpec str=PairSpec\(pair\)"):
        nest.assert_same_structure(pair, Pair(1, 2, "other"), expand_composites=True)
    with pytest.raises(TypeError, match="don't have the same sequence type"):
        nest.assert_same_structure(pair, [1, 2], expand_composites=True)
    with pytest.raises(ValueError, match="is a sequence, while substructure"):
        nest.assert_same_structure(pair, 1, expand_composites=True)
    with pytest.raises(ValueError, match="Incompatible CompositeTensor TypeSpecs"):
        nest.assert_same_structure(pair, [1, 2], check_types=False, expand_composites=True)


def test_flatten_up_to_a_spec():
    assert nest.flatten_up_to(PairSpec("pair"), Pair(1, [2]), expand_composites=True) == [1, [2]]
    with pytest.raises(ValueError, match="Incompatible CompositeTensor TypeSpecs"):
        nest.flatten_up_to(PairSpec("pair"), Pair(1, 2, "other"), expand_composites=True)


# Paths, and flattening up to a shallower structure.


def test_joined_paths():
    structure = {"b": [1, (2,)], "a": Masked(True, (3,)), "c": WithAttrs(4, 5)}
    expected = [("a/0", 3), ("b/0", 1), ("b/1/0", 2), ("c/last", 4), ("c/first", 5)]
    assert nest.flatten_with_joined_string_paths(structure) == expected
    assert nest.flatten_with_joined_string_paths([[1]], separator=".") == [("0.0", 1)]
    assert nest.flatten_with_joined_string_paths(3) == [("", 3)]


def test_map_with_paths():
    a, b = {"b": [1, 2], "a": 3}, {"b": [10, 20], "a": 30}
    mapped = nest.map_structure_with_paths(lambda path, x, y: (path, x + y), a, b)
    assert mapped == {"b": [("b/0", 11), ("b/1", 22)], "a": ("a", 33)}
    assert nest.map_structure_with_tuple_paths(lambda path, x: (path, x), [1, [2]]) == [((0,), 1), [((1, 0), 2)]]
    assert nest.map_structure_with_paths(lambda path, x, extra: (path, x, extra), 3, extra=5) == ("", 3, 5)


def test_flatten_up_to():
    assert nest.flatten_up_to([0, [0]], [[1, 2], [(3, 4)]]) == [[1, 2], (3, 4)]
    assert nest.flatten_up_to(0, [0, 1]) == [[0, 1]]
    assert nest.flatten_up_to({"a": 0}, collections.OrderedDict(a=[1])) == [[1]]
    assert nest.flatten_up_to(Point(0, 0), SubPoint(1, 2)) == nest.flatten_up_to(Point(0, 0), SamePoint(1, 2)) == [1, 2]
    assert nest.flatten_up_to([0, 0], (1, 2), check_types=False) == [1, 2]
    assert nest.flatten_with_tuple_paths_up_to({"a": 0}, {"a": [1]}) == [(("a",), [1])]


# Shallow structure, input, exception, text.
UNLIKE = [
    ([0, 1], 0, TypeError, "If shallow structure is a sequence, input must also be a sequence. Input has type: <class"),
    ([0, 1], (0, 1), TypeError, "structure has type <class 'tuple'>, while shallow structure has type <class 'list'>"),
    (SubPoint(1, 2), Point(1, 2), TypeError, "don't have the same sequence type"),
    ([0, 1], [0, 1, 2], ValueError, "Input structure has length 3, while shallow structure has length 2"),
    ({"a": 1}, {"b": 1}, ValueError, r"keys that are not in the input_tree: \['a'\]"),
]


@pytest.mark.parametrize(("shallow", "tree", "exception", "text"), UNLIKE)
def test_flatten_up_to_refuses(shallow, tree, exception, text):
    with pytest.raises(exception, match=text):
        nest.flatten_up_to(shallow, tree)
    with pytest.raises(exception, match=text):
        nest.map_structure_up_to(shallow, str, tree)


def test_map_up_to():
    assert nest.map_structure_up_to([None, None], lambda x, y: (x, y), [1, [2]], [[3], 4]) == [(1, [3]), ([2], 4)]
    assert nest.map_structure_up_to([None], str, (1,), check_types=False) == ["1"]
    with pytest.raises(ValueError, match="Cannot map over no sequences"):
        nest.map_structure_up_to([None], str)
