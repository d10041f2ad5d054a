"""What tapes keep and for how long: no cycles, no intermediates that outlive their tape."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import tapeflow as tf


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def persistent_tape(x):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x + x
    return tape.gradient(y, x)


def nested_tapes(x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(x)
            y = x * x * x
        slope = inner.gradient(y, x)
    return outer.gradient(slope, x)


def no_gradient(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.stop_gradient(x)
    return tape.gradient(y, x), tape.explain(y, x)


def accumulator(x):
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as acc:
        y = x * x
    return acc.jvp(y)


def own_gradient(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.custom_gradient(lambda x: (x * x, lambda dy: dy * x))(x)
    return tape.gradient(y, x)


def mapped(x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.vectorized_map(lambda r: r * r, x)
    return tape.jacobian(y, x)


@pytest.mark.parametrize("work", [persistent_tape, nested_tapes, no_gradient, accumulator, own_gradient, mapped])
def test_nothing_waits_for_the_collector(work, no_collector):
    x = tf.constant(np.zeros(100))
    for _ in range(3):
        work(x)
    gc.collect()
    for _ in range(20):
        work(x)
    assert gc.collect() == 0


def test_a_hundred_thousand_persistent_tapes(no_collector):
    x = tf.constant(3.0)

    def tapes(count):
        for _ in range(count):
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                x * x

    tapes(10)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tapes(1000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 5000
    objects = len(gc.get_objects())
    tapes(99_000)
    assert len(gc.get_objects()) - objects < 100


def test_a_loss_that_is_kept_holds_no_intermediates(no_collector):
    v = tf.Variable(np.ones(1000))
    kept, intermediates = [], []
    for _ in range(5):
        with tf.GradientTape() as tape:
            h = tf.exp(v)
            kept.append(tf.reduce_sum(h * h))
        tape.gradient(kept[-1], v)
        intermediates.append(weakref.ref(h))
        del h
    assert [reference() for reference in intermediates] == [None] * 5
    del tape
    assert len(kept) == 5


def test_a_dropped_tape_frees_its_records(no_collector):
    x = tf.constant([1.0, 2.0])
    for persistent in (False, True):
        with tf.GradientTape(persistent=persistent) as tape:
            tape.watch(x)
            h = tf.exp(x)
            y = h * h
        held = weakref.ref(h)
        del h
        assert held() is not None  # the tape keeps what the rules read
        if persistent:
            del tape
        else:
            tape.gradient(y, x)
        assert held() is None


def test_rules_keep_only_what_they_read(no_collector):
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        h = tf.exp(x)
        y = tf.reduce_sum(h + h)
    held = weakref.ref(y)
    del y
    assert held() is None


def test_tracked_lines_keep_no_tensors(no_collector):
    from tapeflow.autodiff import track_lines

    x = tf.constant([1.0, 2.0])
    with track_lines(), tf.GradientTape(persistent=True) as tape:
        h = x * x
        tape.watch(x)
        y = h + x
    held = weakref.ref(h), weakref.ref(y)
    del h, y
    assert [reference() for reference in held] == [None, None]
