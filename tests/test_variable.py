"""Variables: reading, assigning, and the promise that a tensor that was read never changes."""

import copy
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.core.graph import Graph
from tapeflow.core.state import tracing

UPDATES = st.lists(st.sampled_from(["assign", "assign_add", "assign_sub", "read", "view", "slice"]), min_size=1, max_size=12)


@given(UPDATES)
def test_tensors_that_were_read_never_change(updates):
    v = tf.Variable(np.arange(6.0).reshape(2, 3))
    expected, readings = np.arange(6.0).reshape(2, 3), []
    for update in updates:
        match update:
            case "read":
                readings.append((v.read_value(), expected.copy()))
            case "view":
                readings.append((tf.reshape(v, [3, 2]), expected.reshape(3, 2).copy()))
            case "slice":
                readings.append((v[1], expected[1].copy()))
            case "assign":
                expected = expected * 2
                v.assign(expected)
            case "assign_add":
                expected = expected + 1
                v.assign_add(tf.ones([2, 3], tf.float64))
            case "assign_sub":
                expected = expected - 3
                v.assign_sub(tf.fill([2, 3], tf.constant(3.0, tf.float64)))
        np.testing.assert_array_equal(v.numpy(), expected)
        for tensor, value in readings:
            np.testing.assert_array_equal(tensor.numpy(), value)


def test_two_variables_made_of_one_tensor_do_not_share():
    start = tf.constant([1.0, 2.0])
    a, b = tf.Variable(start), tf.Variable(start)
    del start
    a.assign_add([1.0, 1.0])
    assert a.numpy().tolist() == [2, 3] and b.numpy().tolist() == [1, 2]
    b.assign(a)
    a.assign_sub([1.0, 1.0])
    assert b.numpy().tolist() == [2, 3]


def test_an_array_given_or_taken_is_a_copy():
    array = np.ones(3, np.float32)
    v = tf.Variable(array)
    array[:] = 7
    taken = v.numpy()
    taken[:] = 9
    np.asarray(v)[:] = 5
    assert v.numpy().tolist() == [1, 1, 1]


def test_an_update_without_readers_keeps_its_buffer():
    v = tf.Variable(np.zeros((50, 20), np.float32))
    v.assign_add(tf.ones([50, 20]))
    before = v._tensor._value.ctypes.data
    v.assign_sub(tf.ones([50, 20]))
    assert v._tensor._value.ctypes.data == before


@pytest.mark.parametrize("method", ["assign", "assign_add", "assign_sub"])
def test_a_failing_assignment_changes_nothing(method):
    v = tf.Variable([1.0, 2.0], name="weights")
    kind = ValueError if method == "assign" else tf.errors.InvalidArgumentError  # as TensorFlow has it
    with pytest.raises(kind, match=r"(?s)(?=.*weights)(?=.*\(2,\)).*\(3,\)"):
        getattr(v, method)([1.0, 2.0, 3.0])
    with pytest.raises((TypeError, ValueError)):
        getattr(v, method)("text")
    assert v.numpy().tolist() == [1, 2]


def test_declared_shape_allows_what_it_leaves_open():
    v = tf.Variable([[1.0, 2.0]], shape=[None, 2])
    v.assign([[1.0, 2.0], [3.0, 4.0]])
    assert v.shape.as_list() == [None, 2] and tf.shape(v).numpy().tolist() == [2, 2]
    with pytest.raises(ValueError, match="Shape mismatch"):
        v.assign([[1.0, 2.0, 3.0]])
    anything = tf.Variable(1.0, shape=tf.TensorShape(None))
    anything.assign([1.0, 2.0])
    assert anything.shape.rank is None


def test_initial_values():
    assert tf.Variable(lambda: tf.ones([2]), dtype=tf.float32).numpy().tolist() == [1, 1]
    assert tf.Variable(3).dtype is tf.int32 and tf.Variable(3, dtype=tf.int64).dtype is tf.int64
    with pytest.raises(ValueError, match="initial_value"):
        tf.Variable()
    with pytest.raises(ValueError, match="not compatible"):
        tf.Variable([1.0, 2.0], shape=[3])
    assert not tf.Variable(1.0, synchronization=tf.VariableSynchronization.ON_READ).trainable
    assert tf.Variable(1.0, aggregation=tf.VariableAggregation.MEAN).aggregation is tf.VariableAggregation.MEAN


def test_copies_and_pickles_are_their_own():
    v = tf.Variable([1.0, 2.0], name="w", trainable=False)
    for twin in (copy.deepcopy(v), pickle.loads(pickle.dumps(v))):
        twin.assign_add([1.0, 1.0])
        assert v.numpy().tolist() == [1, 2] and twin.numpy().tolist() == [2, 3]
        assert twin.name == "w:0" and not twin.trainable


def test_traced_reads_and_updates_run_in_order():
    v, graph = tf.Variable(1.0), Graph("updates")
    with tracing(graph):
        before = v + 0.0
        v.assign_add(2.0)
        after = v * 10.0
    assert v.numpy() == 1.0
    first, second = graph.run([], [before, after])
    assert (first.numpy(), second.numpy(), v.numpy()) == (1.0, 30.0, 3.0)


def test_threads_that_only_read_see_whole_values():
    v, seen, stop = tf.Variable(np.zeros(1000)), [], threading.Event()

    def reader():
        while not stop.is_set():
            value = v.read_value().numpy()
            seen.append(value.min() == value.max())

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    for n in range(200):
        v.assign(np.full(1000, float(n)))
    stop.set()
    for thread in threads:
        thread.join()
    assert seen and all(seen)


def test_a_graph_that_fails_says_what_eager_code_says():
    graph = Graph("gather")
    with tracing(graph):
        index = graph.placeholder((), tf.int32)
        picked = tf.gather(tf.constant([1, 2, 3]), index)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"7 is not in \[0, 3\)"):
        graph.run([np.int32(7)], [picked])


@pytest.mark.parametrize("sign", ["+", "-", "*", "/", "**"])
def test_operators_in_place_are_refused(sign):
    v = tf.Variable([1.0, 2.0])
    with pytest.raises(RuntimeError, match="is not supported. Use `variable.assign"):
        exec(f"v {sign}= 2.0", {}, {"v": v})
    assert v.numpy().tolist() == [1.0, 2.0]


def test_a_shallow_copy_is_the_same_state():
    v = tf.Variable(1.0)
    assert copy.copy(v) is v
    deep = copy.deepcopy(v)
    v.assign(2.0)
    assert deep.numpy() == 1.0


def test_set_shape_narrows_what_may_be_assigned():
    v = tf.Variable([1.0, 2.0], shape=[None])
    v.set_shape([2])
    assert v.shape == [2]
    with pytest.raises(ValueError, match="Shape mismatch"):
        v.assign([1.0])
    with pytest.raises(ValueError, match="not compatible"):
        v.set_shape([3])


def test_methods_of_old():
    v = tf.Variable([1.0])
    v.load([5.0])
    assert v.read_value_no_copy().numpy().tolist() == [5.0]
    for function in (lambda: v.initial_value, v.to_proto):
        with pytest.raises(RuntimeError, match="not supported when eager execution is enabled"):
            function()
    with pytest.raises(NotImplementedError):
        tf.Variable.from_proto(None)
