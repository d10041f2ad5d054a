"""`GradientTape` itself: what it watches, when it records, what it raises; the values are those of TensorFlow 2.21."""

import logging
import threading

import numpy as np
import pytest

import tapeflow as tf


def number(x):
    return None if x is None else np.asarray(x).tolist()


def gradient_of(function, *values, **options):
    xs = [tf.constant(value) for value in values]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        y = function(*xs)
    return [number(g) for g in tape.gradient(y, xs, **options)]


def test_gradient_of_the_sum_of_a_vector():
    assert gradient_of(lambda x: x * x * x, [1.0, 2.0, 3.0]) == [[3.0, 12.0, 27.0]]


def test_a_target_that_is_a_source():
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    assert number(tape.gradient(x, x)) == 1.0
    assert [number(g) for g in tape.gradient(z, [x, y, z])] == [32.0, 8.0, 1.0]
    assert [number(g) for g in tape.gradient([z, y, x], [x, y])] == [37.0, 9.0]
    assert number(tape.gradient([y, y], x)) == 8.0
    assert [number(g) for g in tape.gradient(y, [x, x])] == [4.0, 4.0]


def test_nests_of_targets_and_sources():
    x = tf.constant(2.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = {"a": x * x, "b": [x * 3.0]}
    result = tape.gradient(y, {"q": x, "r": (x,)})
    assert number(result["q"]) == 7.0
    assert number(result["r"][0]) == 7.0
    assert isinstance(result["r"], tuple)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lambda: tf.constant([10.0, 20.0]), [20.0, 80.0]),
        (lambda: np.array([1.0, 2.0], np.float32), [2.0, 8.0]),
        (lambda: tf.Variable([3.0, 4.0]), [6.0, 16.0]),
        (lambda: tf.constant(3.0), [6.0, 12.0]),
        (lambda: [tf.constant([1.0, 0.0])], [2.0, 0.0]),
        (lambda: None, [2.0, 4.0]),
    ],
)
def test_output_gradients(given, expected):
    assert gradient_of(lambda x: x * x, [1.0, 2.0], output_gradients=given()) == [expected]


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (lambda: tf.constant([1.0, 2.0, 3.0]), tf.errors.InvalidArgumentError, r"\(3,\).*\(2,\)"),
        (lambda: tf.constant([1.0, 2.0], tf.float64), tf.errors.InvalidArgumentError, "float.*double"),
        (lambda: [tf.constant([1.0, 2.0])] * 2, ValueError, "2.*1"),
    ],
)
def test_output_gradients_that_do_not_fit(given, error, text):
    with pytest.raises(error, match=text):
        gradient_of(lambda x: x * x, [1.0, 2.0], output_gradients=given())


def test_unconnected_gradients():
    x, w, v = tf.constant(2.0), tf.constant([1.0, 2.0]), tf.Variable([[1.0, 2.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, w])
        y = x * x
    assert tape.gradient(y, w) is None
    for zero in ("zero", tf.UnconnectedGradients.ZERO):
        assert [number(g) for g in tape.gradient(y, [x, w, v], unconnected_gradients=zero)] == [
            4.0,
            [0.0, 0.0],
            [[0.0, 0.0]],
        ]
    with pytest.raises(ValueError, match="Unknown value for unconnected_gradients: 'nonsense'"):
        tape.gradient(y, x, unconnected_gradients="nonsense")


def test_bad_targets_and_sources():
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
    for target in (None, 3.0, [y, "text"]):
        with pytest.raises(TypeError, match="`target` should be a list or nested structure of Tensors"):
            tape.gradient(target, x)
    for source, error in ((None, TypeError), ([x, None], TypeError), (3.0, ValueError), ("text", ValueError)):
        with pytest.raises(error):
            tape.gradient(y, source)
    for watched in (3.0, np.ones(3), None):
        with pytest.raises(ValueError, match=r"not tf\.Tensor or tf\.Variable or ExtensionType"):
            tape.watch(watched)


# Recording


def test_a_tape_that_never_recorded_or_was_used_up():
    x = tf.constant(2.0)
    for persistent in (False, True):
        with pytest.raises(RuntimeError, match="can only be used to compute one set of gradients"):
            tf.GradientTape(persistent=persistent).gradient(x, x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)


def test_a_used_tape_may_be_entered_anew():
    x = tf.constant(2.0)
    tape = tf.GradientTape()
    with tape:
        tape.watch(x)
        y = x * x
    assert number(tape.gradient(y, x)) == 4.0
    with tape:
        tape.watch(x)
        z = x * x * x
    assert number(tape.gradient(z, x)) == 12.0


def test_entering_again_goes_on():
    x = tf.constant(2.0)
    tape = tf.GradientTape(persistent=True)
    with tape:
        tape.watch(x)
        y = x * x
    w = y * y
    with tape:
        z = y * x + w
    assert [number(tape.gradient(t, x)) for t in (z, y, w)] == [12.0, 4.0, None]


def test_entering_twice_at_once_is_an_error():
    tape = tf.GradientTape()
    with tape, pytest.raises(ValueError, match="Tape is still recording"), tape:
        pass


def test_stop_recording():
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        with tape.stop_recording():
            z = x * y
        w = z * x + y
    assert tape.gradient(z, x) is None
    assert number(tape.gradient(w, x)) == 33.0
    with pytest.raises(ValueError, match="Tape is not recording"), tape.stop_recording():
        pass
    with pytest.raises(RuntimeError, match="not recording"), tf.GradientTape().stop_recording():
        pass


def test_integers_stay_unwatched_after_a_pause():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        n = tf.cast(x, tf.int32)
        with tape.stop_recording():
            pass
        y = tf.cast(n, tf.float32) * 2.0
    assert tape.gradient(y, x) is None


def test_reset():
    x = tf.constant(3.0)
    v = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x * v
        tape.reset()
        assert tape.watched_variables() == ()
        tape.watch(x)
        z = x * x * x + y
    assert number(tape.gradient(z, x)) == 27.0
    with pytest.raises(ValueError, match="not recording"):
        tape.reset()


def test_an_exception_leaves_no_tape_behind():
    x = tf.constant(1.0)
    with pytest.raises(KeyError), tf.GradientTape():
        raise KeyError
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    assert number(tape.gradient(y, x)) == 2.0


def test_watching_again_in_the_middle_and_late():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        early = x * x
        tape.watch(x)
        tape.watch(x)
        y = x * x
        tape.watch(y)
        z = y * y + early * x
    assert [number(g) for g in tape.gradient(z, [x, y])] == [117.0, 18.0]


# Higher orders


def test_second_derivative():
    x = tf.constant(3.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = x * x * x
        slope = inner.gradient(y, x)
    assert (number(slope), number(outer.gradient(slope, x))) == (27.0, 18.0)


def test_tapes_that_overlap_without_nesting():
    x = tf.constant(3.0)
    first, second = tf.GradientTape(), tf.GradientTape(persistent=True)
    first.__enter__()
    second.__enter__()
    first.watch(x)
    second.watch(x)
    y = x * x * x
    first.__exit__(None, None, None)
    z = y * x
    slope = second.gradient(z, x)
    second.__exit__(None, None, None)
    assert [number(g) for g in (slope, first.gradient(y, x), second.gradient(slope, x))] == [108.0, 27.0, 108.0]


def test_a_persistent_tape_inside_its_own_context(caplog):
    x = tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x * x
        first = tape.gradient(y, x)
        second = tape.gradient(first, x)
    assert [number(g) for g in (first, second, tape.gradient(second, x))] == [27.0, 18.0, 6.0]


def test_a_tape_asked_inside_its_context_stops():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        slope = tape.gradient(x * x, x)
        assert not tape._recording
    assert number(slope) == 6.0


def test_an_inner_tape_does_not_watch_what_the_outer_one_does():
    x = tf.constant(3.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            y = x * x
    assert inner.gradient(y, x) is None
    assert number(outer.gradient(y, x)) == 6.0


# Variables


def test_a_variable_before_and_after_an_assignment():
    v = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        y = v * v
        v.assign(5.0)
        z = v * v
        v.assign_add(1.0)
        w = y * z * v
    assert [number(tape.gradient(t, v)) for t in (y, z, w)] == [4.0, 10.0, 4.0 * 25 * 6 + 10.0 * 4 * 6 + 100.0]


def test_readings_are_distinct_sources():
    v = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        a, b = v.read_value(), v.read_value()
        y = a * b
        z = v * a
    assert a is not b
    assert [number(g) for g in tape.gradient(y, [a, b, v])] == [2.0, 2.0, 4.0]
    assert [number(g) for g in tape.gradient(z, [a, v])] == [2.0, 4.0]


def test_a_variable_is_its_own_gradient():
    v = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        y = v * v
    assert number(tape.gradient(v, v)) == 1.0
    assert [number(g) for g in tape.gradient([v, y], [v])] == [5.0]


def test_what_is_watched_by_itself():
    a, frozen, b = tf.Variable(1.0), tf.Variable(2.0, trainable=False), tf.Variable(3.0)
    whole = tf.Variable(4)
    with tf.GradientTape(persistent=True) as tape:
        y = b * a * frozen
        whole + 1
    assert [id(v) for v in tape.watched_variables()] == [id(a), id(b), id(whole)]
    assert [number(g) for g in tape.gradient(y, [a, frozen, b, whole])] == [6.0, None, 2.0, None]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(frozen)
        y = a * frozen
    assert [number(g) for g in tape.gradient(y, [a, frozen])] == [None, 1.0]


def test_assigned_values_are_not_followed():
    v, w = tf.Variable(3.0), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        w.assign(v * v)
        y = w * v
    assert [number(g) for g in tape.gradient(y, [v, w])] == [9.0, 3.0]


def test_threads_share_variables():
    v = tf.Variable(2.0)
    found = {}

    def work(k):
        for _ in range(50):
            with tf.GradientTape() as tape:
                y = v * float(k) * v
            found.setdefault(k, set()).add(number(tape.gradient(y, v)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {k: {4.0 * k} for k in range(5)}


# Sparse gradients


@pytest.mark.parametrize("make", [tf.Variable, tf.constant])
def test_gather_gives_slices(make):
    x = make([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.gather(x, [0, 2, 0])
        z = tf.reduce_sum(y) + tf.reduce_sum(x)
        through = tf.gather(x * 2.0, [0, 2, 0])
    g = tape.gradient(y, x)
    assert isinstance(g, tf.IndexedSlices)
    assert (number(g.indices), number(g.dense_shape), number(g.values)) == ([0, 2, 0], [3, 2], [[1.0, 1.0]] * 3)
    assert number(tape.gradient(z, x)) == [[3.0, 3.0], [1.0, 1.0], [2.0, 2.0]]
    assert number(tape.gradient(through, x)) == [[4.0, 4.0], [0.0, 0.0], [2.0, 2.0]]


def test_second_order_through_slices():
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = tf.gather(v, [0, 1, 0]) ** 3.0
        g = tf.convert_to_tensor(inner.gradient(y, v))
    second = outer.gradient(g, v)
    assert number(tf.convert_to_tensor(second)) == [[12.0, 24.0], [18.0, 24.0]]


# Dtypes


def test_integers_warn_once(caplog):
    n = tf.constant(1, tf.int16)
    with caplog.at_level(logging.WARNING, "tapeflow"), tf.GradientTape() as tape:
        tape.watch(n)
        tape.watch(n)
    assert tape.gradient(n * n, n) is None
    assert len([record for record in caplog.records if "must be floating" in record.message]) <= 1


def test_strings_have_no_gradient():
    x = tf.constant(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
    assert tape.gradient(tf.constant("a"), x) is None
    assert tape.gradient(x, tf.constant("a")) is None


def test_complex_numbers():
    assert gradient_of(lambda x: x * x, np.complex64(1 + 2j)) == [2 - 4j]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (tf.floor, None),
        (tf.round, None),
        (tf.sign, [0.0, 0.0]),
        (lambda x: tf.cast(tf.argmax(x), tf.float32), None),
        (tf.stop_gradient, None),
        (lambda x: tf.stop_gradient(x) * x, [1.25, 2.75]),
        (tf.zeros_like, None),
        (lambda x: tf.zeros_like(x) * x + tf.ones_like(x), [0.0, 0.0]),
        (lambda x: tf.floor(x) * x, [1.0, 2.0]),
    ],
)
def test_none_or_zero(function, expected):
    assert gradient_of(function, [1.25, 2.75]) == [expected]


def test_a_target_that_is_a_source_has_its_own_cotangent():
    """As in TensorFlow (checked with 2.21), whatever the tape has seen of it."""
    v, w, still = tf.Variable([1.0, 2.0]), tf.Variable(1.0), tf.Variable(1.0, trainable=False)
    c = tf.constant(3.0)

    def gradient(target, sources, body=lambda: None, **options):
        with tf.GradientTape() as tape:
            body()
        found = tape.gradient(target, sources, **options)
        return tf.nest.map_structure(lambda g: g if g is None else g.numpy().tolist(), found)

    assert gradient(v, v) == gradient(v, v, lambda: v * 2.0) == [1.0, 1.0]
    assert gradient([v], [v, w]) == [[1.0, 1.0], None]
    assert gradient([v, v], v) == [2.0, 2.0]
    assert gradient(v, v, output_gradients=tf.constant([3.0, 4.0])) == [3.0, 4.0]
    assert gradient(still, still) == gradient(c, c) == 1.0
    assert gradient([c, c], [c, c]) == [2.0, 2.0]
    assert gradient(v, c) is None and gradient(tf.identity(c), c) is None
    with tf.GradientTape() as tape:
        z = v * 2.0
    v.assign_add([1.0, 1.0])
    assert tape.gradient([z, v], v).numpy().tolist() == [3.0, 3.0]
    with tf.GradientTape() as tape:
        pass
    assert tape.jacobian(v, v).numpy().tolist() == [[1.0, 0.0], [0.0, 1.0]]
    with tf.GradientTape() as tape:
        pass
    assert "the target is the source" in tape.explain(v, v)


def test_a_traced_target_that_is_a_source():
    v = tf.Variable([1.0, 2.0])

    @tf.function
    def f(x):
        with tf.GradientTape(persistent=True) as tape:
            pass
        return tape.gradient(v, v), tape.gradient(x, x), tape.gradient(x, v)

    ones, one, none = f(tf.constant(5.0))
    assert ones.numpy().tolist() == [1.0, 1.0] and one.numpy() == 1.0 and none is None
