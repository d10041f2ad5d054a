"""`tf.TensorArray`: reading, writing, growing, its errors and its gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf

f32 = tf.float32
INVALID, RANGE = tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError


def array(size, **options):
    return tf.TensorArray(f32, size, **options)


def listed(x):
    return x.numpy().tolist()


def test_write_and_stack():
    assert listed(array(2).write(0, tf.constant(1.0)).write(1, 2).stack()) == [1.0, 2.0]
    assert listed(array(2).write(1, [2.0, 3.0]).stack()) == [[0.0, 0.0], [2.0, 3.0]]  # what was not written is zeros
    assert listed(array(2, element_shape=[3]).stack()) == [[0.0] * 3] * 2
    assert array(0, element_shape=[2]).stack().shape == (0, 2)
    assert array(0).stack().shape == (0,)
    assert listed(array(1).write(0, 1.0).write(0, 2.0).stack()) == [2.0]
    assert tf.TensorArray("string", 1).write(0, "a").read(0).numpy() == b"a"


def test_dynamic_size():
    grown = array(2, dynamic_size=True).write(4, 1.0)
    assert (int(grown.size()), grown.size().dtype) == (5, tf.int32)
    assert listed(grown.stack()) == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert listed(array(0, dynamic_size=True).unstack([1.0, 2.0]).stack()) == [1.0, 2.0]
    with pytest.raises(RANGE, match="Tried to write to index 2 but array is not resizeable and size is: 2"):
        array(2).write(2, 1.0)
    with pytest.raises(RANGE, match=r"Writing to negative indices \(index -1\) is not allowed"):
        array(2).write(-1, 1.0)


def test_reading():
    once = array(1).write(tf.constant(0), 1.0)
    assert float(once.read(tf.constant(0))) == 1.0
    with pytest.raises(INVALID, match="Could not read index 0 twice because it was cleared"):
        once.read(0)
    kept = array(1, clear_after_read=False).write(0, 1.0)
    assert float(kept.read(0)) == float(kept.read(0)) == 1.0
    with pytest.raises(RANGE, match="Tried to read from index 3 but array size is: 1"):
        array(1).read(3)
    with pytest.raises(RANGE, match="Reading from negative indices"):
        array(1).read(-1)
    with pytest.raises(ValueError, match="Cannot convert a partially known TensorShape <unknown> to a Tensor"):
        array(1).read(0)
    with pytest.raises(TypeError, match="must be integers"):
        array(1).read(0.5)


def test_dtypes_and_shapes():
    with pytest.raises(INVALID, match="TensorArray dtype is float32 but Op is trying to write dtype int32"):
        array(1).write(0, tf.constant(1))
    with pytest.raises(ValueError, match=r"Incompatible shape for value \(\(1,\)\), expected \(\(\)\)"):
        array(2).write(0, 1.0).write(1, [1.0])
    with pytest.raises(ValueError, match=r"expected \(\(2,\)\)"):
        array(1, element_shape=[2]).write(0, [1.0])
    mixed = array(2, infer_shape=False).write(0, [1.0]).write(1, [2.0, 3.0])
    assert listed(mixed.concat()) == [1.0, 2.0, 3.0]
    with pytest.raises(INVALID, match="Shapes of all inputs must match"):
        mixed.stack()
    assert array(1).write(0, [1.0, 2.0]).element_shape == [2]
    assert array(1).element_shape.rank is None


def test_many_at_once():
    assert listed(array(3).unstack([1.0, 2.0, 3.0]).gather([2, 0])) == [3.0, 1.0]
    assert listed(array(2).scatter([1, 0], [[1.0], [2.0]]).stack()) == [[2.0], [1.0]]
    assert listed(array(2, dynamic_size=True).scatter([3], [1.0]).stack()) == [0.0, 0.0, 0.0, 1.0]
    assert listed(array(2).unstack([[1.0, 2.0], [3.0, 4.0]]).concat()) == [1.0, 2.0, 3.0, 4.0]
    assert listed(array(2).split([1.0, 2.0, 3.0], [1, 2]).read(1)) == [2.0, 3.0]
    with pytest.raises(ValueError, match="Cannot unstack 3 tensors into a TensorArray of static size 2"):
        array(2).unstack([1.0, 2.0, 3.0])
    with pytest.raises(INVALID, match="sum of lengths is 2 and value's shape is: \\[3\\]"):
        array(2).split([1.0, 2.0, 3.0], [1, 1])
    with pytest.raises(INVALID, match=r"TensorArray's size is not equal to the size of lengths \(2 vs. 1\)"):
        array(2).split([1.0, 2.0, 3.0], [3])
    with pytest.raises(INVALID, match="Concat saw a scalar shape at index 0"):
        array(2).unstack([1.0, 2.0]).concat()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=5), st.data())
def test_split_and_concat_are_inverse(lengths, data):
    values = np.arange(2.0 * sum(lengths), dtype=np.float32).reshape(-1, 2)
    parts = array(len(lengths), clear_after_read=False).split(values, lengths)
    assert listed(parts.concat()) == values.tolist()
    index = data.draw(st.integers(0, len(lengths) - 1))
    start = sum(lengths[:index])
    assert listed(parts.read(index)) == values[start : start + lengths[index]].tolist()


def test_gradients():
    x, weights = tf.constant([1.0, 2.0, 3.0]), tf.constant([1.0, 10.0, 100.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        stacked = array(3).unstack(x * x).stack() * weights
        kept = array(3, clear_after_read=False).unstack(x)
        read = kept.read(1) * kept.read(1) + kept.read(0)
        gathered = array(3).unstack(x).gather([2, 2, 0])
        part = array(2).split(x, [1, 2]).read(1)
        joined = array(2).write(0, x).write(1, x * 2).concat()
    assert [listed(tape.gradient(y, x)) for y in (stacked, read, gathered, part, joined)] == [
        [2.0, 40.0, 600.0],
        [1.0, 4.0, 0.0],
        [1.0, 0.0, 2.0],
        [0.0, 1.0, 1.0],
        [3.0, 3.0, 3.0],
    ]


def test_in_a_loop():
    _, squares = tf.while_loop(lambda i, array: i < 3, lambda i, array: (i + 1, array.write(i, float(i * i))), (0, array(3)))
    assert listed(squares.stack()) == [0.0, 1.0, 4.0]


def test_what_is_refused():
    with pytest.raises(ValueError, match="Size must be declared"):
        tf.TensorArray(f32)
    with pytest.raises(ValueError, match="handles are not supported"):
        tf.TensorArray(f32, 1, handle=tf.constant(1))
    with pytest.raises(TypeError):
        tf.TensorArray(None, 1)
    with pytest.raises(NotImplementedError, match=r"TensorArray\.grad is not supported"):
        array(1).grad("x")
    closed = array(2)
    closed.close()
    assert int(closed.size()) == 0


def test_specs():
    assert repr(tf.TensorArraySpec([2], f32)) == "TensorArraySpec(TensorShape([2]), tf.float32, False, True)"
    assert tf.type_spec_from_value(array(2, element_shape=[2])) == tf.TensorArraySpec([2], f32)
    assert tf.TensorArraySpec.from_value(array(1, dynamic_size=True)) == tf.TensorArraySpec(None, f32, True)
    assert len(tf.nest.flatten([array(2), 1], expand_composites=True)) == 2
