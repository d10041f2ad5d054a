"""`tf.compat`, initializers and the other small things around."""

import pathlib
import pickle
import types

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.api.export import EXPORTS, LATER

compat = tf.compat


def test_text_and_bytes():
    assert [compat.as_bytes(x) for x in ("aé", b"a", bytearray(b"q"))] == [b"a\xc3\xa9", b"a", b"q"]
    assert [compat.as_text(x) for x in ("aé", b"a\xc3\xa9")] == ["aé", "aé"]
    assert compat.as_bytes("é", "latin-1") == b"\xe9"
    assert [compat.as_str_any(x) for x in (5, b"a", None)] == ["5", "a", "None"]
    assert compat.path_to_str(pathlib.PurePosixPath("/a/b")) == "/a/b"
    assert compat.path_to_str(5) == 5
    for function in (compat.as_bytes, compat.as_text, compat.as_str):
        with pytest.raises(TypeError, match="Expected binary or unicode string, got 5"):
            function(5)
    with pytest.raises(UnicodeDecodeError):
        compat.as_text(b"\xff")


def test_dimensions():
    assert [compat.dimension_value(x) for x in (3, None, compat.v1.Dimension(4))] == [3, None, 4]
    assert repr(compat.dimension_at_index(tf.TensorShape([2, None]), 1)) == "Dimension(None)"
    assert repr(compat.dimension_at_index(tf.TensorShape(None), 5)) == "Dimension(None)"


def test_forward_compatibility():
    assert compat.forward_compatible(2020, 1, 1)
    assert not compat.forward_compatible(2200, 1, 1)
    with compat.forward_compatibility_horizon(2300, 1, 1):
        assert compat.forward_compatible(2200, 1, 1)
    assert not compat.forward_compatible(2200, 1, 1)


def test_there_is_no_tensorflow_1_mode():
    compat.v1.enable_eager_execution()
    assert compat.v1.executing_eagerly_outside_functions()
    with pytest.raises(NotImplementedError, match="no TensorFlow 1 mode"):
        compat.v1.disable_v2_behavior()


def test_zeros_and_ones():
    assert tf.zeros_initializer()([2]).numpy().tolist() == [0.0, 0.0]
    assert tf.ones_initializer()((2,), tf.bool).numpy().tolist() == [True, True]
    assert tf.ones_initializer()([4, 2], partition_shape=(1, 2), partition_offset=(3, 0)).shape == (1, 2)
    with pytest.raises(ValueError, match="expected to be numeric or boolean"):
        tf.zeros_initializer()([2], tf.string)
    with pytest.raises(TypeError, match="Keyword argument should be one of"):
        tf.zeros_initializer()([2], foo=1)


def test_constants():
    assert tf.constant_initializer([1, 2, 3, 4])([2, 2]).numpy().tolist() == [[1, 2], [3, 4]]
    assert tf.constant_initializer(3)([2], tf.float64).dtype is tf.float64
    assert tf.constant_initializer(np.ones((2, 2)))([2, 2]).dtype is tf.float64
    assert tf.constant_initializer("a")([2], tf.string).numpy().tolist() == [b"a", b"a"]
    assert tf.constant_initializer([1, 2])([2]).dtype is tf.int32
    partitioned = tf.constant_initializer([1, 2, 3], support_partition=True)
    assert partitioned([3], partition_shape=(2,), partition_offset=(1,)).numpy().tolist() == [2, 3]
    with pytest.raises(TypeError, match="has 4 elements, but got `shape`"):
        tf.constant_initializer([1, 2, 3, 4])([2, 3])
    with pytest.raises(TypeError, match="Invalid type for initial value: dict"):
        tf.constant_initializer({})
    with pytest.raises(ValueError, match="doesn't support partition"):
        tf.constant_initializer(1)([2], partition_shape=(1,))


def test_random_initializers():
    for make in (tf.random_uniform_initializer, tf.random_normal_initializer):
        initializer = make(seed=1)
        again = make.from_config(initializer.get_config())
        x, y = initializer([2, 3]), again([2, 3])
        assert x.dtype is tf.float32
        assert x.numpy().tolist() == y.numpy().tolist()
    uniform = tf.random_uniform_initializer(0, 5, seed=1)([50], tf.int32).numpy()
    assert set(uniform) <= set(range(5))
    with pytest.raises(ValueError, match="expected to be floating point"):
        tf.random_normal_initializer()([2], tf.int32)


def test_random_initializers_draw_tensorflows_numbers():
    x = tf.random_uniform_initializer(seed=1)([2]).numpy()
    assert x.tolist() == pytest.approx([0.03784882, -0.00400198], rel=1e-5)
    x = tf.random_normal_initializer(seed=1)([2]).numpy()
    assert x.tolist() == pytest.approx([0.00633252, -0.02465083], rel=1e-5)


def test_libraries_in_c():
    with pytest.raises(tf.errors.NotFoundError, match="cannot open shared object file"):
        tf.load_op_library("/no/such/file")
    with pytest.raises(tf.errors.UnimplementedError, match="C\\+\\+ interface"):
        tf.load_op_library(__file__)


def test_error_codes_are_public():
    assert (tf.errors.OK, tf.errors.INVALID_ARGUMENT, tf.errors.OUT_OF_RANGE) == (0, 3, 11)


def test_autograph_names():
    def f(x):
        return x

    assert tf.autograph.experimental.do_not_convert(f)(1) == 1
    assert tf.autograph.experimental.do_not_convert()(f)(1) == 1
    assert tf.autograph.experimental.Feature.ALL.value == "ALL"
    assert isinstance(tf.constant(1), tf.types.experimental.TensorLike)


def test_names_of_tensorflow_1_that_mean_the_same_are_todays():
    v1 = compat.v1
    assert (
        v1.nn.relu is tf.nn.relu and v1.train.latest_checkpoint is tf.train.latest_checkpoint and v1.Variable is tf.Variable
    )
    assert v1.reduce_sum([[1.0, 2.0]], reduction_indices=1, keep_dims=True).numpy().tolist() == [[3.0]]
    assert v1.reduce_max([[1.0, 2.0]], 1, None).numpy().tolist() == [2.0]
    assert v1.squeeze([[1.0]], squeeze_dims=[0]).shape == v1.expand_dims(1.0, dim=0).shape == (1,)
    assert v1.zeros_like([1.0], optimize=False).numpy().tolist() == [0.0]
    assert v1.nn.max_pool(value=tf.ones([1, 2, 2, 1]), ksize=2, strides=2, padding="SAME").shape == (1, 1, 1, 1)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda v1: v1.nn.dropout, AttributeError, "differs from today's tf.nn.dropout"),
        (lambda v1: v1.Session, AttributeError, "has no attribute 'Session'"),
        (lambda v1: v1.argmax([1], 0, "name"), TypeError, "takes 2 arguments by position"),
        (lambda v1: v1.where([True], [[1, 2]]), ValueError, "x and y must both"),
        (lambda v1: v1.where([[True]], [1, 2], [3, 4]), tf.errors.InvalidArgumentError, "must have the same shape"),
    ],
)
def test_other_names_of_tensorflow_1_are_refused(call, error, text):
    with pytest.raises(error, match=text):
        call(compat.v1)


def test_where_of_tensorflow_1_picks_rows():
    x, y = tf.reshape(tf.range(6), [2, 3]), -tf.ones([2, 3], tf.int32)
    assert compat.v1.where([True, False], x, y).numpy().tolist() == [[0, 1, 2], [-1, -1, -1]]
    assert compat.v1.where(x > 2, x, y).numpy().tolist() == [[-1, -1, -1], [3, 4, 5]]


def test_public_functions_are_pickled_by_name():
    functions = [value for value in EXPORTS.values() if value.__class__ is types.FunctionType]
    assert len(functions) > 700
    for function in (tf.tanh, tf.nn.relu, tf.math.unsorted_segment_max, tf.signal.rfft, *functions):
        if function.__module__.startswith("tapeflow.api.") and function.__module__ in LATER.values():
            continue  # made by a module whose names come when one of them is asked for
        assert pickle.loads(pickle.dumps(function)) is function


def test_parts_of_keras_have_names_here():
    assert tf.optimizers is tf.keras.optimizers and tf.losses.MeanSquaredError is tf.keras.losses.MeanSquaredError


def test_xla():
    assert tf.xla.experimental.compile(lambda x, y: (x * y, x), [tf.constant(2.0), 3.0])[0].numpy() == 6
    with pytest.raises(TypeError, match="inputs must be a list or tuple, got int: 5"):
        tf.xla.experimental.compile(lambda: 1.0, 5)
    with pytest.raises(RuntimeError, match="not supported when eager"), tf.xla.experimental.jit_scope():
        pass
