"""`tf.experimental.ExtensionType`: fields, specs, nests and loops."""

import pickle
import typing

import pytest

import tapeflow as tf

ExtensionType = tf.experimental.ExtensionType


class Masked(ExtensionType):
    values: tf.Tensor
    mask: tf.Tensor


class Settings(ExtensionType):
    x: int
    y: float = 2.5
    t: tuple[int, ...] = ()
    d: typing.Mapping[str, tf.Tensor] = {}
    o: tf.Tensor | None = None
    u: int | str = 3
    shape: tf.TensorShape = tf.TensorShape([1])
    dtype: tf.DType = tf.float32


class Scaled(ExtensionType):
    x: tf.Tensor

    def __init__(self, x, scale=1):
        self.x = tf.constant(x) * scale

    def __validate__(self):
        if self.x.shape.rank != 1:
            raise ValueError("x must be a vector")


class Tree(ExtensionType):
    value: tf.Tensor
    children: tuple["Tree", ...] = ()


class Point(tf.experimental.BatchableExtensionType):
    x: tf.Tensor


m = Masked(values=[1, 2], mask=[True, False])


def test_fields():
    assert repr(m) == (
        "Masked(values=<tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>, "
        "mask=<tf.Tensor: shape=(2,), dtype=bool, numpy=array([ True, False])>)"
    )
    for change in (lambda: setattr(m, "values", 1), lambda: setattr(m, "new", 1), lambda: delattr(m, "mask")):
        with pytest.raises(AttributeError, match="Cannot mutate attribute"):
            change()
    with pytest.raises(TypeError, match="missing a required argument: 'mask'"):
        Masked([1])
    with pytest.raises(TypeError, match="values: expected a Tensor, got 'object'"):
        Masked(object(), [True])
    with pytest.raises(TypeError, match="unhashable"):
        hash(m)
    assert repr(pickle.loads(pickle.dumps(m))) == repr(m)
    assert list(tf.experimental.extension_type.as_dict(m)) == ["values", "mask"]


def test_conversion():
    s = Settings(1, t=[1, 2], d={"k": 1}, o=3, u="s", shape=[1, None], dtype="int32")
    assert (s.t, s.u, s.shape.as_list(), s.dtype) == ((1, 2), "s", [1, None], tf.int32)
    assert int(s.d["k"]) == 1
    assert int(s.o) == 3
    with pytest.raises(TypeError):
        s.d["new"] = 1
    for wrong, text in (
        ({"x": "a"}, "x: expected 'int', got 'str'"),
        ({"x": 1, "y": 1}, "y: expected 'float', got 'int'"),
        ({"x": 1, "t": (1, "a")}, r"t\[1\]: expected 'int', got 'str'"),
        ({"x": 1, "u": 2.5}, "u: expected"),
    ):
        with pytest.raises(TypeError, match=text):
            Settings(**wrong)


def test_constructors():
    assert Scaled([1], 3).x.numpy().tolist() == [3]
    with pytest.raises(ValueError, match="x must be a vector"):
        Scaled(1)

    class Forgetful(ExtensionType):
        x: tf.Tensor

        def __init__(self):
            pass

    with pytest.raises(ValueError, match="Missing required fields"):
        Forgetful()

    class More(Masked):
        extra: int = 4

    assert More([1], [True]).extra == 4


@pytest.mark.parametrize("annotation", [list, typing.List[int], object, dict, complex, tf.Variable, tuple, typing.Any])  # noqa: UP006
def test_annotations_that_are_refused(annotation):
    with pytest.raises(TypeError, match="In field 'x': Unsupported type annotation"):
        type("X", (ExtensionType,), {"__annotations__": {"x": annotation}})
    with pytest.raises(ValueError, match="Field 'Spec' is reserved"):
        type("X", (ExtensionType,), {"__annotations__": {"Spec": int}})


def test_equality():
    assert bool(m == Masked([1, 2], [True, False]))
    assert not bool(m == Masked([1, 3], [True, False]))
    assert not bool(m == Masked([1], [True]))
    assert not bool(m != Masked([1, 2], [True, False]))
    assert (m == 5) is False


def test_specs():
    spec = tf.type_spec_from_value(m)
    assert repr(spec) == (
        "Masked.Spec(values=TensorSpec(shape=(2,), dtype=tf.int32, name=None), "
        "mask=TensorSpec(shape=(2,), dtype=tf.bool, name=None))"
    )
    loose = Masked.Spec(tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.bool))
    assert loose.is_compatible_with(m)
    assert spec.is_subtype_of(loose)
    assert not loose.is_subtype_of(spec)
    assert spec == tf.type_spec_from_value(Masked([3, 4], [True, True]))
    assert spec.most_specific_common_supertype([tf.type_spec_from_value(Masked([1], [True]))]) == loose


def test_nests():
    assert tf.nest.flatten(m) == [m]
    values, mask = tf.nest.flatten(m, expand_composites=True)
    assert (values is m.values, mask is m.mask) == (True, True)
    doubled = tf.nest.map_structure(lambda x: x, m, expand_composites=True)
    assert repr(doubled) == repr(m)
    tree = Tree(1, (Tree(2), Tree(3, (Tree(4),))))
    assert [int(x) for x in tf.nest.flatten(tree, expand_composites=True)] == [1, 2, 3, 4]


def test_gradients_and_loops():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        held = Masked(x * 2, [True, False])
        y = held.values * held.values
    assert tape.gradient(y, x).numpy().tolist() == [8.0, 16.0]
    _, last = tf.while_loop(lambda i, m: i < 2, lambda i, m: (i + 1, Masked(m.values + 1, m.mask)), (0, m))
    assert last.values.numpy().tolist() == [3, 4]
    points = Point([[1], [2]])
    assert tf.map_fn(lambda p: Point(p.x * 2), points).x.numpy().tolist() == [[2], [4]]
    assert tf.map_fn(lambda p: p.x * 2, points, fn_output_signature=tf.int32).numpy().tolist() == [[2], [4]]
    spec = Point.Spec(tf.TensorSpec([2]))
    assert spec._batch(3)._unbatch() == spec
