"""The short ways of recording do what the general one does, and what many share is never handed out."""

import threading

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core import convert
from tapeflow.core.primitive import P
from tapeflow.core.state import ongoing, tracking_lines

FUNCTIONS = {
    "two inputs": lambda x, y: x * y,
    "one of two watched": lambda x, y: x * tf.constant([[3.0]]) - y,
    "numbers": lambda x, y: 2.0 * x**3 + y**2 / 3.0,
    "broadcast": lambda x, y: x[0] + y * x[:, :1],
    "one input": lambda x, y: tf.exp(x) + tf.nn.relu(-y),
    "attrs": lambda x, y: tf.reduce_mean(x, axis=1) + tf.reduce_sum(tf.transpose(y), axis=0),
    "matrices": lambda x, y: tf.matmul(x, y, transpose_b=True),
    "one tensor twice": lambda x, y: x * x + y * y,
    "three inputs": lambda x, y: tf.where(x > y, x * y, x / y),
    "integers between": lambda x, y: x * tf.cast(tf.cast(y, tf.int32), tf.float32),
}


def gradients(function, general):
    x = tf.Variable([[1.0, -2.0, 3.0], [0.5, 1.5, -0.5]])
    y = tf.constant([[2.0, 1.0, 0.5], [-1.5, 3.0, 1.0]])
    with (
        tracking_lines(general),
        tf.GradientTape(persistent=True) as tape,
    ):  # tracked lines make every op take the general way
        tape.watch(y)
        z = function(x, y)
    return [(record[0].name, len(record[1]), [edge is not None for edge in record[2] or ()]) for record in tape._records], [
        None if g is None else g.numpy().tolist() for g in tape.gradient(z, [x, y])
    ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_written_notes_record_what_the_general_one_does(name):
    assert gradients(FUNCTIONS[name], False) == gradients(FUNCTIONS[name], True)


def test_the_note_of_an_op_is_written_once():
    x = tf.Variable([1.0])
    with tf.GradientTape():
        tf.nn.softplus(x)
        written = P.softplus.note
        tf.nn.softplus(x)
    assert P.softplus.note is written and written.__name__ == "record"


def test_tapes_that_watch_different_things():
    x, y = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape() as outer, tf.GradientTape(watch_accessed_variables=False) as inner:
        inner.watch(y)
        z = x * y + x**2
    assert inner.gradient(z, x) is None
    with tf.GradientTape(watch_accessed_variables=False) as inner:
        inner.watch(y)
        z = x * y + x**2
    assert [g.numpy().item() for g in (inner.gradient(z, y),)] == [2.0]
    with tf.GradientTape() as tape, tf.GradientTape(watch_accessed_variables=False) as inner:
        inner.watch(y)
        z = x * y + x**2
    assert [g.numpy().item() for g in tape.gradient(z, [x, y])] == [7.0, 2.0]
    assert [id(v) for v in outer.watched_variables()] == [id(x), id(y)]


def test_a_tape_knows_its_leaves_where_a_mark_has_forgotten_it():
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        x._mark.watchers = (0,)  # as if another thread had watched it at the same moment
        y = x * x
    assert tape.gradient(y, x).numpy() == 4.0


def test_a_variable_read_by_tapes_of_two_threads_at_once():
    v = tf.Variable(3.0)
    entered, found = threading.Barrier(2), {}

    def work(k):
        with tf.GradientTape() as tape:
            entered.wait()
            y = v * float(k)
            entered.wait()
            y = y * v
        found[k] = tape.gradient(y, v).numpy().item()

    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {1: 6.0, 2: 12.0}


def test_all_sources_and_some_of_them():
    a, b, c = tf.Variable(2.0), tf.Variable(3.0), tf.constant(5.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(c)
        y = a * b * c
    assert [g.numpy() for g in tape.gradient(y, [a, b, c])] == [15.0, 10.0, 6.0]
    assert [g.numpy() for g in tape.gradient(y, (c, a, b))] == [6.0, 15.0, 10.0]
    assert [g.numpy() for g in tape.gradient(y, [a, a, b])] == [15.0, 15.0, 10.0]
    assert [g.numpy() for g in tape.gradient(y, [b])] == [10.0]
    assert tape.gradient(y, {"a": a, "c": c})["c"].numpy() == 6.0
    assert isinstance(tape.gradient(y, (c, a, b)), tuple)


def test_a_watched_result_among_all_sources():
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        tape.watch(y)
        z = y * y
    assert [g.numpy() for g in tape.gradient(z, [x, y])] == [32.0, 8.0]


def test_a_variable_assigned_between_its_readings():
    v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = v * v
        v.assign(5.0)
        y = y + v
    assert tape.gradient(y, v).numpy() == 5.0


# Constants


def test_numbers_are_shared_as_operands_only():
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x + 1.0
        ones = tape.gradient(y, x)
        tape.watch(ones)
        z = x + 1.0
    assert tape.gradient(z, ones) is None
    assert ones is not tape.gradient(y, x)


def test_zeros_keep_their_sign():
    x = tf.constant(1.0)
    assert [np.signbit((x * zero).numpy()) for zero in (0.0, -0.0, 0.0, 0, -0.0)] == [False, True, False, False, True]


def test_a_known_float_is_no_integer():
    assert (tf.constant(1.0) + 3).numpy() == 4.0 and (tf.constant(1) + 3).numpy() == 4
    with pytest.raises((TypeError, ValueError)):
        tf.constant(1) * 3.5
    with pytest.raises((TypeError, ValueError)):
        tf.constant(1) * 3.0


def test_few_constants_are_kept():
    x = tf.constant(1.0)
    for number in range(1000):
        x * (number + 0.5)
    assert len(convert.CONSTANTS[np.float32]) <= convert.MOST_CONSTANTS


def test_nothing_goes_on_after_the_tapes():
    before = set(ongoing)
    with tf.GradientTape() as outer, tf.GradientTape() as inner:
        inner.watch(tf.constant(1.0))
        with outer.stop_recording():
            pass
    with pytest.raises(KeyError), tf.GradientTape():
        raise KeyError
    assert set(ongoing) == before


# Attributes that tensors have not


@pytest.mark.parametrize("name", ["T", "astype", "size", "name", "op", "graph"])
def test_absent_attributes_give_advice(name):
    x = tf.constant([1.0])
    assert not hasattr(x, name) and not hasattr(tf.Tensor, name)
    with pytest.raises(AttributeError, match="numpy|eager"):
        getattr(x, name)
    setattr(x, name, 7)  # a library may hang its own on a tensor
    assert getattr(x, name) == 7


def test_unknown_attributes():
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nonsense'"):
        tf.constant(1.0).nonsense  # noqa: B018


# Updating


def test_updates_where_numpys_warnings_are_errors():
    v = tf.Variable(np.full(1000, 3e38, np.float32))
    with np.errstate(all="raise"):
        v.assign_add(np.full(1000, 3e38, np.float32))
    assert np.isinf(v.numpy()).all()
    v = tf.Variable(3e38)
    with np.errstate(all="raise"):
        v.assign_add(3e38)
    assert np.isinf(v.numpy())


def test_a_tape_that_does_not_record_watches_for_itself_alone():
    x = tf.constant(2.0)
    idle = tf.GradientTape()
    with tf.GradientTape() as tape:
        idle.watch(x)
        y = x * x
    assert tape.gradient(y, x) is None
