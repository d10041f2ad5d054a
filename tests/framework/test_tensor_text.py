"""How tensors and variables print, format, pickle and convert: literals are what TensorFlow 2.21 gives."""

import copy
import pickle

import numpy as np
import pytest

import tapeflow as tf

ZERO_D = {
    "float16": ("0.0999755859375", "0.1", "0.099975586"),
    "float32": ("0.10000000149011612", "0.1", "0.10000000149011612"),
    "float64": ("0.1", "0.1", "0.1"),
    "bfloat16": ("0.10009765625", "0.100098", None),
}


@pytest.mark.parametrize("dtype", ZERO_D)
def test_scalar_text(dtype):
    x = tf.constant(0.1, dtype)
    in_repr, in_str, _ = ZERO_D[dtype]
    assert repr(x) == f"<tf.Tensor: shape=(), dtype={dtype}, numpy={in_repr}>"
    assert str(x) == f"tf.Tensor({in_str}, shape=(), dtype={dtype})"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "<tf.Tensor: shape=(), dtype=int32, numpy=1>"),
        (True, "<tf.Tensor: shape=(), dtype=bool, numpy=True>"),
        (1j, "<tf.Tensor: shape=(), dtype=complex128, numpy=1j>"),
        ("é\n", r"<tf.Tensor: shape=(), dtype=string, numpy=b'\xc3\xa9\n'>"),
        (["a", "bb"], "<tf.Tensor: shape=(2,), dtype=string, numpy=array([b'a', b'bb'], dtype=object)>"),
        ([1.0, 2.0], "<tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>"),
        (
            [[1, 2], [3, 4]],
            "<tf.Tensor: shape=(2, 2), dtype=int32, numpy=\narray([[1, 2],\n       [3, 4]], dtype=int32)>",
        ),
        (np.zeros((0, 3)), "<tf.Tensor: shape=(0, 3), dtype=float64, numpy=array([], shape=(0, 3), dtype=float64)>"),
    ],
)
def test_repr(value, text):
    assert repr(tf.constant(value)) == text


def test_str_puts_matrices_on_lines_of_their_own():
    assert str(tf.constant([[1, 2], [3, 4]])) == "tf.Tensor(\n[[1 2]\n [3 4]], shape=(2, 2), dtype=int32)"
    assert str(tf.constant([1, 2])) == "tf.Tensor([1 2], shape=(2,), dtype=int32)"
    assert str(tf.constant("a")) == "tf.Tensor(b'a', shape=(), dtype=string)"
    assert str(tf.constant(np.zeros(2000, np.float32))) == (
        "tf.Tensor([0. 0. 0. ... 0. 0. 0.], shape=(2000,), dtype=float32)"
    )


def test_format_is_numpys():
    assert f"{tf.constant(3.14159):.2f}" == "3.14"
    assert f"{tf.constant([1, 2])}" == "[1 2]"
    assert f"{tf.constant('a')}" == "b'a'"
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{tf.constant([1.0, 2.0]):.2f}"


def test_variable_text():
    v = tf.Variable([[1.0], [2.0]], name="v")
    assert repr(v) == ("<tf.Variable 'v:0' shape=(2, 1) dtype=float32, numpy=\narray([[1.],\n       [2.]], dtype=float32)>")
    assert f"{tf.Variable(3)}" == "<tf.Variable 'Variable:0' shape=() dtype=int32, numpy=3>"
    with pytest.raises(TypeError):
        f"{tf.Variable(3.0):.2f}"


@pytest.mark.parametrize("value", [1, [1.5, 2.5], "a", [["a", "b"]], [], True, np.zeros((0, 2)), [1 + 2j]])
def test_pickle_and_copies(value):
    x = tf.constant(value)
    for other in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x)):
        assert repr(other) == repr(x)
    assert copy.deepcopy(x) is x  # a tensor never changes, and so the gradient reaches it


def test_pickle_keeps_bfloat16():
    x = tf.constant([0.1, 2.0], tf.bfloat16)
    assert pickle.loads(pickle.dumps(x)).dtype is tf.bfloat16


def test_hash_and_references():
    x = tf.constant([1, 2])
    with pytest.raises(TypeError, match=r"Tensor is unhashable. Instead, use tensor.ref\(\) as the key."):
        hash(x)
    assert x.ref() == x.ref()
    assert hash(x.ref()) == hash(x.ref())
    assert x.ref().deref() is x
    assert x.ref() != tf.constant([1, 2]).ref()
    with pytest.raises(TypeError, match="Cannot compare wrapped object with unwrapped object"):
        x.ref() == x  # noqa: B015


def test_truth():
    assert not tf.constant([])
    assert tf.constant([3])
    with pytest.raises(ValueError, match="more than one element is ambiguous"):
        bool(tf.constant([1, 2]))


def test_numbers():
    assert int(tf.constant(3.7)) == 3
    assert float(tf.constant(2)) == 2.0
    assert complex(tf.constant(2.0)) == 2 + 0j
    assert [10, 20, 30][tf.constant(1)] == 20
    with pytest.raises(TypeError, match="only integer scalar arrays"):
        [10, 20][tf.constant([1])]
    with pytest.raises(TypeError, match="only 0-dimensional arrays"):
        int(tf.constant([1, 2]))


def test_iteration():
    assert [int(x) for x in tf.constant([1, 2])] == [1, 2]
    assert [x.shape.as_list() for x in reversed(tf.constant([[1], [2]]))] == [[1], [1]]
    with pytest.raises(TypeError, match="Cannot iterate over a scalar tensor"):
        iter(tf.constant(1)).__next__()
    with pytest.raises(TypeError, match=r"Scalar tensor has no `len\(\)`"):
        len(tf.constant(1))


def test_comparison_with_what_does_not_fit():
    x = tf.constant([1.0, 2.0, 3.0])
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert bool(x == tf.constant([1.0, 2.0])) is False  # shapes that do not broadcast
    assert bool(x != tf.constant([1.0, 2.0])) is True
    with pytest.raises(TypeError, match="Cannot convert 'a' to EagerTensor of dtype float"):
        x == "a"  # noqa: B015
    with pytest.raises(ValueError, match="unsupported type"):
        x == object()  # noqa: B015
    with pytest.raises(tf.errors.InvalidArgumentError):
        x == tf.constant([1, 2, 3])  # noqa: B015
    assert (tf.constant([1, 2]) == np.array([1.0, 2.0])).numpy().tolist() == [True, True]
    with pytest.raises(TypeError, match=r"`x` and `y` must have the same dtype, got tf.float32 != tf.int32"):
        x / tf.constant([1, 2, 3])


@pytest.mark.parametrize("name", ["T", "astype", "ravel", "transpose", "reshape", "clip", "size", "tolist", "data"])
def test_numpy_names_are_explained(name):
    with pytest.raises(AttributeError, match="experimental_enable_numpy_behavior"):
        getattr(tf.constant([1.0]), name)


@pytest.mark.parametrize("name", ["name", "op", "graph", "value_index"])
def test_graph_names(name):
    assert not hasattr(tf.constant(1), name)
    with pytest.raises(AttributeError, match=f"Tensor.{name} is undefined when eager execution is enabled."):
        getattr(tf.constant(1), name)


def test_eval_says_what_to_use():
    with pytest.raises(NotImplementedError, match=r"is \.numpy\(\) what you're looking for"):
        tf.constant(1).eval()
    with pytest.raises(AttributeError, match="has no attribute 'foo'"):
        tf.constant(1).foo  # noqa: B018


def test_memory_is_shared_only_where_it_cannot_be_written_by_python():
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert bytes(x) == np.array([1.0, 2.0, 3.0, 4.0], np.float32).tobytes()
    assert np.from_dlpack(x).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert x.__dlpack_device__() == (1, 0)
    array = x.numpy()
    array[0] = 9
    assert x.numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    np.asarray(x)[0] = 9
    assert x.numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_dlpack_functions():
    x = tf.constant([1, 2, 3])
    y = tf.experimental.dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(x))
    assert y.dtype is tf.int32
    assert y.numpy().tolist() == [1, 2, 3]
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be a TF tensor"):
        tf.experimental.dlpack.to_dlpack([1])
    with pytest.raises(TypeError):
        tf.experimental.dlpack.from_dlpack(5)
