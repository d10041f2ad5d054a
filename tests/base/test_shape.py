"""Shapes: `TensorShape` against TensorFlow's, and the functions over plain tuples against their definitions."""

import copy
import doctest
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeflow.base import shape
from tapeflow.base.shape import Dimension, TensorShape, as_dims, broadcast, merge, normalize_axes, normalize_axis

SIZES = [0, 1, 2, 3, 5]
dims = st.lists(st.sampled_from([*SIZES, None]), max_size=3).map(tuple)
shapes = st.none() | dims
known = st.lists(st.sampled_from(SIZES), max_size=3).map(tuple)


def instances(dims):
    """Every fully known shape that `dims` describes, with the sizes above."""
    return set(itertools.product(*[SIZES if d is None else [d] for d in dims]))


def test_docstrings():
    assert doctest.testmod(shape).failed == 0


# What names a shape.

NAMES = [
    (None, None),
    ([], ()),
    ([2, None], (2, None)),
    ((2, 3), (2, 3)),
    (3, (3,)),
    (np.int64(3), (3,)),
    (np.array([2, 3]), (2, 3)),
    (np.array(3), (3,)),
    ([np.int32(2), np.uint8(5)], (2, 5)),
    ([Dimension(3), Dimension(None)], (3, None)),
    (Dimension(4), (4,)),
    (TensorShape([2]), (2,)),
    (TensorShape(None), None),
    (range(3), (0, 1, 2)),
    ({2: "a"}, (2,)),
]


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=repr)
def test_as_dims_accepts(name, expected):
    found = as_dims(name)
    assert found == expected == TensorShape(name)._dims
    assert found is None or all(d is None or type(d) is int for d in found)


def test_as_dims_accepts_an_iterator():
    assert as_dims(x for x in [2, 3]) == (2, 3)


@pytest.mark.parametrize("name", [[1.5], ["a"], 1.5, [[1]]], ids=repr)
def test_as_dims_refuses_what_is_no_dimension(name):
    with pytest.raises(TypeError, match="Dimension value must be integer or None or have an __index__ method, got"):
        as_dims(name)


@pytest.mark.parametrize("name", ["ab", np.array([1.5])], ids=repr)
def test_as_dims_refuses_what_holds_no_dimensions(name):
    with pytest.raises(TypeError, match=r"Failed to convert .* A shape should either be single dimension"):
        as_dims(name)


@pytest.mark.parametrize("name", [[-1], -1, np.array([-1])], ids=repr)
def test_as_dims_refuses_negative_dimensions(name):
    with pytest.raises(ValueError, match="Dimension -1 must be >= 0"):
        as_dims(name)


# Functions over plain tuples.


@given(known, known)
def test_broadcast_of_known_shapes_is_numpys(a, b):
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(ValueError, match="Incompatible shapes for broadcasting"):
            broadcast(a, b)
    else:
        assert broadcast(a, b) == expected


@given(dims, dims)
def test_broadcast_of_unknown_dimensions_describes_every_case(a, b):
    def outcome(x, y):
        try:
            return np.broadcast_shapes(x, y)
        except ValueError:
            return None

    outcomes = {outcome(x, y) for x in instances(a) for y in instances(b)} - {None}
    if outcomes:
        found = broadcast(a, b)
        assert all(shape.compatible(found, case) for case in outcomes)
    else:
        with pytest.raises(ValueError):
            broadcast(a, b)


# As TensorFlow 2.21 infers them for x + y in a traced function.
BROADCASTS = [
    ((None,), (0,), (None,)),
    ((0,), (None,), (None,)),
    ((None,), (1,), (None,)),
    ((None,), (3,), (3,)),
    ((None,), (None,), (None,)),
    (None, (3,), None),
    ((None, 2), (None,), (None, 2)),
    ((0,), (1,), (0,)),
    ((2, 1), (3,), (2, 3)),
]


@pytest.mark.parametrize(("a", "b", "expected"), BROADCASTS)
def test_broadcast(a, b, expected):
    assert broadcast(a, b) == expected
    assert broadcast(b, a) == expected


def test_broadcast_error_shows_both_shapes():
    with pytest.raises(ValueError, match=r"Received: \(2, None, 3\) and \(2,\)"):
        broadcast((2, None, 3), (2,))


@given(dims, dims)
def test_merge_describes_what_both_describe(a, b):
    both = instances(a) & instances(b)
    assert shape.compatible(a, b) == bool(both)
    if both:
        assert instances(merge(a, b)) == both
    else:
        with pytest.raises(ValueError, match=r"Shapes \(.*\) and \(.*\) are not compatible"):
            merge(a, b)


@given(shapes, shapes)
def test_generalize_is_the_least_upper_bound(a, b):
    a, b = TensorShape(a), TensorShape(b)
    bound = a.most_specific_common_supertype([b])
    assert a.is_subtype_of(bound)
    assert b.is_subtype_of(bound)
    assert (bound == b) == a.is_subtype_of(b)


@given(known)
def test_num_elements(sizes):
    assert shape.num_elements(sizes) == np.zeros(sizes).size
    assert shape.num_elements((*sizes, None)) is None


def test_normalize_axis():
    assert [normalize_axis(a, 3) for a in (-3, -1, 0, 2)] == [0, 2, 0, 2]
    assert normalize_axis(np.int64(-1), 2) == 1
    assert normalize_axis(5, None) == 5


@pytest.mark.parametrize("axis", [3, -4])
def test_normalize_axis_refuses(axis):
    with pytest.raises(ValueError, match=f"axis={axis} out of bounds: expected -3<=axis<3"):
        normalize_axis(axis, 3)
    with pytest.raises(ValueError, match=f"axis={axis} out of bounds: expected -3<=axis<3"):
        normalize_axes([0, axis], 3)


def test_normalize_axis_refuses_a_negative_axis_of_unknown_rank():
    with pytest.raises(ValueError, match="axis=-1 may only be negative if ndims is statically known"):
        normalize_axis(-1, None)
    with pytest.raises(TypeError):
        normalize_axis(1.0, 3)


@pytest.mark.parametrize("axes", [[2, -3], (2, 0), np.array([2, 0]), iter([-1, 0])])
def test_normalize_axes(axes):
    assert normalize_axes(axes, 3) == (2, 0)


def test_normalize_axes_of_one_axis_and_of_all():
    assert normalize_axes(-1, 3) == normalize_axes(np.array(2), 3) == (2,)
    assert normalize_axes([], 3) == ()
    assert normalize_axes(None, 3) == (0, 1, 2)


def test_normalize_axes_refuses():
    with pytest.raises(ValueError, match=r"axis=\[1, -2\] names a dimension twice, for rank 3"):
        normalize_axes([1, -2], 3)
    with pytest.raises(ValueError, match="statically known"):
        normalize_axes(None, None)


# TensorShape.


def test_text():
    assert repr(TensorShape([2, None])) == "TensorShape([2, None])"
    assert repr(TensorShape(None)) == "TensorShape(None)"
    texts = [str(TensorShape(s)) for s in ([2, None], [2], [], None)]
    assert texts == ["(2, None)", "(2,)", "()", "<unknown>"]


def test_as_a_sequence():
    s = TensorShape([2, None, 5])
    assert (len(s), list(s), tuple(s), s.as_list()) == (3, [2, None, 5], (2, None, 5), [2, None, 5])
    assert (s[0], s[1], s[-1], s[np.int64(2)]) == (2, None, 5, 5)
    assert type(s[1:]) is TensorShape
    assert (s[1:], s[::-1]) == (TensorShape([None, 5]), TensorShape([5, None, 2]))
    assert np.array(TensorShape([2, 3])).tolist() == [2, 3]
    with pytest.raises(IndexError):
        s[3]


# Indexing an unknown rank, as TensorFlow does it.
UNKNOWN_SLICES = [
    (slice(1, None), None),
    (slice(1, 3), [None, None]),
    (slice(None, 2), [None, None]),
    (slice(None, -1), None),
    (slice(-2, 3), None),
    (slice(3, 1), []),
]


@pytest.mark.parametrize(("key", "expected"), UNKNOWN_SLICES)
def test_slices_of_an_unknown_rank(key, expected):
    assert TensorShape(None)[key] == TensorShape(expected)


def test_unknown_rank():
    s = TensorShape(None)
    assert (s.rank, s.ndims, s.dims, s.num_elements(), s[0], bool(s)) == (None, None, None, None, None, False)
    assert not s.is_fully_defined()
    with pytest.raises(ValueError, match="Cannot take the length of shape with unknown rank"):
        len(s)
    with pytest.raises(ValueError, match="Cannot iterate over a shape with unknown rank"):
        iter(s)
    with pytest.raises(ValueError, match="not defined on an unknown TensorShape"):
        s.as_list()
    with pytest.raises(ValueError, match="Steps are not yet handled"):
        s[::2]


def test_truth_is_a_known_rank():
    assert TensorShape([])
    assert not TensorShape(None)


def test_equality_converts():
    assert TensorShape([2, None]) == [2, None]
    assert [2] == TensorShape([2])  # noqa: SIM300 - the reflected comparison
    assert TensorShape([2]) == (2,)
    assert TensorShape([2]) == 2
    assert TensorShape(None) == None  # noqa: E711 - the conversion is what is tested
    assert TensorShape([2]) != [3]
    for other in ("ab", 1.5, object(), [object()]):
        assert TensorShape([2]) != other


def test_hash_is_the_tuples():
    assert hash(TensorShape([2, None])) == hash((2, None))
    assert {TensorShape([2]): "found"}[(2,)] == "found"


@given(shapes)
def test_copies(dims):
    s = TensorShape(dims)
    for again in (copy.copy(s), copy.deepcopy(s), pickle.loads(pickle.dumps(s)), TensorShape(s), TensorShape.of(dims)):
        assert type(again) is TensorShape
        assert again == s


def test_concatenate():
    two, three = TensorShape([2]), TensorShape([3])
    for other in (three, [3], (3,), 3):
        assert type(two + other) is type(two.concatenate(other)) is TensorShape
        assert two + other == two.concatenate(other) == [2, 3]
    for other in (two, [2], (2,), 2):
        assert type(other + three) is TensorShape
        assert other + three == [2, 3]
    assert two + None == None + two == TensorShape(None)


def test_dims_are_dimensions():
    found = TensorShape([2, None]).dims
    assert [type(d) for d in found] == [Dimension, Dimension]
    assert [d.value for d in found] == [2, None]


def test_merge_with():
    assert TensorShape([2, None]).merge_with([None, 3]) == [2, 3]
    assert TensorShape(None).merge_with([2]) == TensorShape([2]).merge_with(None) == [2]
    with pytest.raises(ValueError, match=r"Shapes \(2, 3\) and \(2, 5\) are not compatible"):
        TensorShape([2, 3]).merge_with([2, 5])


def test_most_specific():
    assert TensorShape([2, 3]).most_specific_compatible_shape([2, 5]) == [2, None]
    assert TensorShape([2, 3]).most_specific_compatible_shape([2]) == TensorShape(None)
    others = [TensorShape([2, 2]), TensorShape([2, 3])]
    assert TensorShape([None, 2]).most_specific_common_supertype(others) == [None, None]
    assert TensorShape([2]).most_specific_common_supertype([]) == [2]
    assert TensorShape([2]).most_specific_common_supertype([[2]]) is None


def test_is_subtype_of():
    assert TensorShape([2, 3]).is_subtype_of(TensorShape([None, 3]))
    assert not TensorShape([None, 3]).is_subtype_of(TensorShape([2, 3]))
    assert not TensorShape(None).is_subtype_of(TensorShape([2]))
    assert not TensorShape([2]).is_subtype_of([2])


def test_with_rank():
    s = TensorShape([2, None])
    assert s.with_rank(2) == s.with_rank_at_least(1) == s.with_rank_at_most(2) == s
    assert TensorShape(None).with_rank(2) == [None, None]
    assert TensorShape(None).with_rank_at_least(2) == TensorShape(None)


# Call, text of the ValueError.
REFUSALS = [
    (lambda s: s.with_rank(3), r"Shape \(2, None\) must have rank 3"),
    (lambda s: s.assert_has_rank(3), r"Shape \(2, None\) must have rank 3"),
    (lambda s: s.with_rank_at_least(3), r"Shape \(2, None\) must have rank at least 3"),
    (lambda s: s.with_rank_at_most(1), r"Shape \(2, None\) must have rank at most 1"),
    (lambda s: s.assert_same_rank([2]), r"Shapes \(2, None\) and \(2,\) must have the same rank"),
    (lambda s: s.assert_is_fully_defined(), r"Shape \(2, None\) is not fully defined"),
    (lambda s: s.assert_is_compatible_with([3, 5]), r"Shapes \(2, None\) and \[3, 5\] are incompatible"),
]


@pytest.mark.parametrize(("call", "text"), REFUSALS)
def test_refusals(call, text):
    with pytest.raises(ValueError, match=text):
        call(TensorShape([2, None]))


def test_assertions_pass_quietly():
    TensorShape([2, 3]).assert_is_fully_defined()
    TensorShape([2]).assert_same_rank(None)
    TensorShape(None).assert_has_rank(3)
    TensorShape([2]).assert_is_compatible_with([None])


# Dimension.


def test_dimension_arithmetic():
    d = Dimension
    found = [d(7) + 2, 2 + d(7), d(7) - 2, 9 - d(7), d(7) * 2, 2 * d(7), d(7) // 2, 7 // d(2), d(7) % 4, 7 % d(4)]
    assert [x.value for x in found] == [9, 9, 5, 2, 14, 14, 3, 3, 3, 3]
    assert all(type(x) is d for x in found)
    assert (d(None) + 1).value is None
    assert (3 - d(None)).value is None
    with pytest.raises(ValueError, match="Dimension -2 must be >= 0"):
        d(3) - 5
    with pytest.raises(TypeError):
        d(3) + "a"


def test_dimension_division_is_refused_with_advice():
    with pytest.raises(TypeError, match="'Dimension' and 'int', please use // instead"):
        Dimension(3) / 2
    with pytest.raises(TypeError, match="'int' and 'Dimension', please use // instead"):
        2 / Dimension(3)


def test_dimension_comparison_with_unknown_is_none():
    assert Dimension(3) == 3
    assert Dimension(3) != 2
    assert Dimension(3) < 4 and Dimension(3) <= 3 and Dimension(3) > 2 and Dimension(3) >= 3
    assert (Dimension(3) == None) is None  # noqa: E711
    assert (Dimension(None) != 3) is None
    assert (Dimension(3) > Dimension(None)) is None
    assert (Dimension(3) == "a") is False
    with pytest.raises(TypeError):
        assert Dimension(3) < "a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Dimension(3))


def test_dimension_conversions():
    assert (int(Dimension(3)), [5, 6, 7][Dimension(1)]) == (3, 6)
    assert (bool(Dimension(3)), bool(Dimension(0)), bool(Dimension(None))) == (True, False, False)
    assert (repr(Dimension(3)), str(Dimension(3)), str(Dimension(None))) == ("Dimension(3)", "3", "?")
    assert pickle.loads(pickle.dumps(Dimension(3))).value == 3
    with pytest.raises(TypeError):
        int(Dimension(None))


def test_dimension_merge_with():
    assert Dimension(3).merge_with(None).value == Dimension(None).merge_with(3).value == 3
    assert Dimension(3).is_compatible_with(None)
    with pytest.raises(ValueError, match="Dimensions 3 and 5 are not compatible"):
        Dimension(3).merge_with(5)


def test_unknown_shape():
    assert shape.unknown_shape() == TensorShape(None)
    assert shape.unknown_shape(2) == [None, None]
