"""Type specs: `TensorSpec` against TensorFlow's, and what `TypeSpec` gives a subclass."""

import copy
import doctest
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeflow.base import dtypes, nest, specs
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import BoundedTensorSpec, TensorSpec, TypeSpec, type_spec_from_value

float32, int32 = dtypes.float32, dtypes.int32


class FakeTensor:
    """Stands for the tensor class, which lives above this layer."""

    def __init__(self, shape, dtype=float32):
        self.shape, self.dtype = TensorShape(shape), dtype


class Pair:
    """A composite of two tensors of one shape."""

    def __init__(self, left, right):
        self.left, self.right = left, right

    @property
    def _type_spec(self):
        return PairSpec(self.left.shape, self.left.dtype)


class PairSpec(TypeSpec):
    """The spec of `Pair`; the label is an attribute without a subtype relation."""

    __slots__ = ("dtype", "label", "shape")
    value_type = Pair

    def __init__(self, shape, dtype=float32, label=None):
        self.shape, self.dtype, self.label = TensorShape(shape), dtype, label

    def _serialize(self):
        return (self.shape, self.dtype, self.label)

    @property
    def _component_specs(self):
        return (TensorSpec(self.shape, self.dtype), TensorSpec(self.shape, self.dtype))

    def _to_components(self, value):
        return (value.left, value.right)

    def _from_components(self, components):
        return Pair(*components)


class HoldingSpec(TypeSpec):
    """A spec whose only attribute is a nest."""

    def __init__(self, held):
        self.held = held

    def _serialize(self):
        return (self.held,)


@pytest.fixture(autouse=True)
def tensor_type(monkeypatch):
    def convert(value):
        if isinstance(value, (int, list)):
            return FakeTensor(np.shape(value), int32)
        raise TypeError("no tensor")

    monkeypatch.setattr(specs, "_tensor_type", FakeTensor)
    monkeypatch.setattr(specs, "_convert", convert)


def test_docstrings():
    assert doctest.testmod(specs).failed == 0


# TensorSpec.


def test_text():
    assert repr(TensorSpec([None, 3])) == "TensorSpec(shape=(None, 3), dtype=tf.float32, name=None)"
    assert repr(TensorSpec(None, int32, "x")) == "TensorSpec(shape=<unknown>, dtype=tf.int32, name='x')"


def test_arguments():
    spec = TensorSpec(shape=3, dtype="int8", name="x")
    assert (spec.shape, spec.dtype, spec.name, spec.value_type) == (TensorShape([3]), dtypes.int8, "x", FakeTensor)
    assert TensorSpec([2], np.float64).dtype is dtypes.float64
    with pytest.raises(TypeError, match="Cannot convert the argument `type_value`: 'foo' to a TensorFlow DType"):
        TensorSpec([2], "foo")
    with pytest.raises(TypeError, match="Failed to convert ''foo'' to a shape"):
        TensorSpec("foo")


def test_equality_and_hash():
    assert TensorSpec([3]) == TensorSpec([3])
    assert TensorSpec([3]) != TensorSpec([3], name="a")
    assert TensorSpec([3]) != TensorSpec([5])
    assert TensorSpec([3]) != TensorSpec([3], int32)
    assert TensorSpec([3]) != 3
    assert TensorSpec([3]) != BoundedTensorSpec([3], float32, 0, 1)
    assert hash(TensorSpec([3])) == hash(TensorSpec([3], name="a"))


@pytest.mark.parametrize("spec", [TensorSpec([None], int32, "q"), BoundedTensorSpec([3], int32, 0, [1, 2, 5], "q")])
def test_copies(spec):
    for again in (copy.copy(spec), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
        assert type(again) is type(spec)
        assert again == spec
        assert again.name == "q"


def test_is_compatible_with():
    spec = TensorSpec([None])
    assert spec.is_compatible_with(FakeTensor([3]))
    assert spec.is_compatible_with(TensorSpec([3], name="a"))
    assert not spec.is_compatible_with(FakeTensor([3], int32))
    assert not spec.is_compatible_with(FakeTensor([2, 3]))
    # TensorFlow accepts neither arrays nor numbers here.
    assert not spec.is_compatible_with(np.zeros(3, np.float32))
    assert not spec.is_compatible_with([1.0])


def test_is_subtype_of():
    spec = TensorSpec([3])
    assert spec.is_subtype_of(TensorSpec([None]))
    assert not TensorSpec([None]).is_subtype_of(spec)
    assert not spec.is_subtype_of(TensorSpec([3], int32))
    assert spec.is_subtype_of(TensorSpec([3], name="a"))
    assert not TensorSpec([3], name="a").is_subtype_of(spec)
    assert not spec.is_subtype_of(3)
    assert BoundedTensorSpec([3], float32, 0, 1).is_subtype_of(spec)


def test_most_specific_common_supertype():
    spec = TensorSpec([3])
    assert spec.most_specific_common_supertype([TensorSpec([5]), TensorSpec([3])]) == TensorSpec([None])
    assert spec.most_specific_common_supertype([TensorSpec(None)]) == TensorSpec(None)
    assert spec.most_specific_common_supertype([]) == spec
    assert spec.most_specific_common_supertype([TensorSpec([3], int32)]) is None
    assert spec.most_specific_common_supertype([3]) is None
    named = TensorSpec([3], name="a")
    assert named.most_specific_common_supertype([TensorSpec([5], name="a")]) == TensorSpec([None], name="a")
    assert named.most_specific_common_supertype([TensorSpec([5], name="b")]) is None


def test_most_specific_compatible_type():
    assert TensorSpec([3]).most_specific_compatible_type(TensorSpec([5])) == TensorSpec([None])
    with pytest.raises(ValueError, match=r"No TypeSpec is compatible with both TensorSpec\(shape=\(3,\).* and Tensor"):
        TensorSpec([3]).most_specific_compatible_type(TensorSpec([3], int32))


def test_from_spec():
    spec = TensorSpec([3], int32, "a")
    assert TensorSpec.from_spec(spec) == spec
    assert TensorSpec.from_spec(spec, "b") == TensorSpec([3], int32, "b")
    assert type(TensorSpec.from_spec(BoundedTensorSpec([3], int32, 0, 1))) is TensorSpec


def test_from_tensor():
    assert TensorSpec.from_tensor(FakeTensor([3])) == TensorSpec([3])
    assert TensorSpec.from_tensor(FakeTensor([3]), "a") == TensorSpec([3], name="a")
    symbolic = FakeTensor([None])
    symbolic.op = type("Op", (), {"name": "add"})
    assert TensorSpec.from_tensor(symbolic) == TensorSpec([None], name="add")
    with pytest.raises(ValueError, match=r"`tensor` should be a tf.Tensor, but got type <class 'numpy.ndarray'>"):
        TensorSpec.from_tensor(np.zeros(3))


def test_names_are_removed():
    assert TensorSpec([3], name="a")._without_tensor_names() == TensorSpec([3])


def test_batching():
    assert TensorSpec([3], int32, "a")._batch(None) == TensorSpec([None, 3], int32)
    assert TensorSpec([2, 3])._unbatch() == TensorSpec([3])
    assert TensorSpec(None)._unbatch() == TensorSpec(None)
    with pytest.raises(ValueError, match="Unbatching a tensor is only supported for rank >= 1"):
        TensorSpec([])._unbatch()


shapes = st.none() | st.lists(st.sampled_from([2, 3, None]), max_size=3)
tensor_specs = st.builds(TensorSpec, shapes, st.sampled_from([float32, int32]), st.sampled_from([None, "a"]))


@given(tensor_specs, tensor_specs)
def test_the_supertype_is_the_least_upper_bound(a, b):
    bound = a.most_specific_common_supertype([b])
    assert (bound is not None) == (a.dtype == b.dtype and a.name == b.name)
    if bound is not None:
        assert a.is_subtype_of(bound)
        assert b.is_subtype_of(bound)
        assert a.is_subtype_of(b) == (bound == b)


@given(tensor_specs, tensor_specs)
def test_a_subtype_is_compatible(a, b):
    assert a.is_compatible_with(b) == b.is_compatible_with(a)
    if a.is_subtype_of(b):
        assert a.is_compatible_with(b)


# BoundedTensorSpec.


def test_bounded_text():
    assert repr(BoundedTensorSpec([3], int32, 0, [1, 2, 5])) == (
        "BoundedTensorSpec(shape=(3,), dtype=tf.int32, name=None, minimum=array(0, dtype=int32), "
        "maximum=array([1, 2, 5], dtype=int32))"
    )


def test_bounds_are_read_only():
    spec = BoundedTensorSpec([3], int32, 0, [1, 2, 5])
    assert (spec.minimum.dtype, spec.minimum.flags.writeable, spec.maximum.flags.writeable) == (np.int32, False, False)


# minimum, maximum, text.
BAD_BOUNDS = [
    (None, 1, "`minimum` can not be None"),
    (0, None, "`maximum` can not be None"),
    ([0, 1], 1, r"`minimum` \[0, 1\] is not compatible with shape \(3,\)"),
    (0, [1, 2], r"`maximum` \[1, 2\] is not compatible with shape \(3,\)"),
]


@pytest.mark.parametrize(("minimum", "maximum", "text"), BAD_BOUNDS)
def test_bounds_are_checked(minimum, maximum, text):
    with pytest.raises(ValueError, match=text):
        BoundedTensorSpec([3], float32, minimum, maximum)


def test_bounds_are_compared():
    spec = BoundedTensorSpec([3], int32, 0, [1, 2, 5])
    assert spec == BoundedTensorSpec([3], int32, 0, [1, 2, 5])
    assert spec != BoundedTensorSpec([3], int32, 0, [1, 2, 3])
    assert hash(spec) == hash(BoundedTensorSpec([3], int32, 0, [1, 2, 3]))
    assert spec.most_specific_common_supertype([spec]) == spec
    assert spec.most_specific_common_supertype([BoundedTensorSpec([3], int32, 0, [1, 2, 3])]) is None


def test_bounds_of_a_plain_spec_are_the_dtypes():
    spec = BoundedTensorSpec.from_spec(TensorSpec([3], int32, "x"))
    assert (spec.minimum, spec.maximum, spec.name) == (-(2**31), 2**31 - 1, "x")
    assert BoundedTensorSpec.from_spec(BoundedTensorSpec([3], int32, 1, 2)).maximum == 2


# TypeSpec: what a subclass gets.


def test_a_subclass_prints_compares_and_pickles():
    spec = PairSpec([2, None], int32, "label")
    assert repr(spec) == "PairSpec(TensorShape([2, None]), tf.int32, 'label')"
    assert spec == PairSpec([2, None], int32, "label") != PairSpec([2, None], int32)
    assert hash(spec) == hash(PairSpec([2, None], int32, "label"))
    assert spec != 3
    assert pickle.loads(pickle.dumps(spec)) == copy.deepcopy(spec) == spec


def test_a_subclass_has_a_subtype_relation():
    spec = PairSpec([2, 3])
    assert spec.is_subtype_of(PairSpec([None, 3]))
    assert not PairSpec([None, 3]).is_subtype_of(spec)
    assert not spec.is_subtype_of(PairSpec([2, 3], int32))
    assert not spec.is_subtype_of(PairSpec([2, 3], label="a"))
    assert not spec.is_subtype_of(TensorSpec([2, 3]))
    assert spec.most_specific_common_supertype([PairSpec([5, 3])]) == PairSpec([None, 3])
    assert spec.most_specific_common_supertype([PairSpec([5, 3], int32)]) is None
    assert spec.most_specific_common_supertype([PairSpec([5, 3], label="a")]) is None
    assert spec.most_specific_common_supertype([TensorSpec([2, 3])]) is None


def test_a_subclass_is_compatible_by_its_attributes():
    spec = PairSpec([2, None])
    assert spec.is_compatible_with(PairSpec([None, 3]))
    assert spec.is_compatible_with(Pair(FakeTensor([2, 3]), FakeTensor([2, 3])))
    assert not spec.is_compatible_with(PairSpec([5, None]))
    assert not spec.is_compatible_with(PairSpec([2, None], label="a"))
    assert not spec.is_compatible_with(3)
    with pytest.raises(TypeError, match=r"Could not build a TypeSpec for .* of unsupported type <class 'object'>"):
        spec.is_compatible_with(object())


def test_nest_takes_a_subclass_apart():
    spec = PairSpec([2])
    pair = Pair(FakeTensor([2]), FakeTensor([2]))
    assert nest.flatten([pair], expand_composites=True) == [pair.left, pair.right]
    assert nest.flatten(spec, expand_composites=True) == spec._flat_tensor_specs == [TensorSpec([2])] * 2
    assert type(nest.pack_sequence_as(spec, [1, 2], expand_composites=True)) is Pair
    nest.assert_same_structure(pair, spec, expand_composites=True)


def test_attributes_may_be_nested():
    spec = HoldingSpec({"b": [TensorSpec([2], name="n")], "a": (1, np.array([1, 2]))})
    assert spec == copy.deepcopy(spec)
    assert hash(spec) == hash(copy.deepcopy(spec))
    assert spec != HoldingSpec({"b": [TensorSpec([2], name="n")], "a": (1, np.array([1, 3]))})
    assert spec != HoldingSpec({"b": (TensorSpec([2], name="n"),), "a": (1, np.array([1, 2]))})
    assert spec.is_subtype_of(spec) and spec.is_compatible_with(spec)
    assert spec._without_tensor_names().held["b"] == [TensorSpec([2])]
    with pytest.raises(ValueError, match="unsupported value of type <class 'object'>"):
        hash(HoldingSpec(object()))


def test_what_a_subclass_must_define():
    spec = TypeSpec()
    for call in (
        lambda: spec.value_type,
        lambda: spec._component_specs,
        spec._serialize,
        lambda: spec._to_components(1),
        lambda: spec._from_components(1),
    ):
        with pytest.raises(NotImplementedError, match=r"TypeSpec\._?[a-z_]+"):
            call()


# type_spec_from_value.


def test_specs_of_values():
    assert type_spec_from_value(FakeTensor([2])) == TensorSpec([2])
    assert type_spec_from_value(np.zeros([2, 3])) == TensorSpec([2, 3], dtypes.float64)
    assert type_spec_from_value(Pair(FakeTensor([2]), FakeTensor([2]))) == PairSpec([2])
    assert type_spec_from_value([FakeTensor([2]), FakeTensor([3])]) == TensorSpec([2, None])
    assert type_spec_from_value([1, 2, 3]) == TensorSpec([3], int32)
    with pytest.raises(TypeError, match="Could not build a TypeSpec for"):
        type_spec_from_value("a")


def test_specs_of_values_before_there_are_tensors(monkeypatch):
    monkeypatch.setattr(specs, "_tensor_type", ())
    monkeypatch.setattr(specs, "_convert", None)
    assert type_spec_from_value(np.zeros([2])) == TensorSpec([2], dtypes.float64)
    assert not TensorSpec([2]).is_compatible_with(3)
    with pytest.raises(TypeError, match="Could not build a TypeSpec for"):
        type_spec_from_value(3)


def test_register_tensor_type():
    specs.register_tensor_type(FakeTensor, None)  # the fixture takes it back
    assert TensorSpec([2]).value_type is FakeTensor
