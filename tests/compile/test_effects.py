"""Programs that assign variables in branches, loops and Python code: compiled, they do what they do run line by line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf
from compiled import close, configured
from tapeflow.base import flags
from tapeflow.compile.control import Nested
from tapeflow.compile.librarystep import LibraryStep
from tapeflow.compile.steps import Copy, Host, Loops

SHAPE = (3, 5)
TURN = np.linalg.qr(np.random.default_rng(2).standard_normal((5, 5)))[0]
EXPRESSIONS = [
    lambda x, y: x + 0.5 * y,
    lambda x, y: tf.tanh(x) * y,
    lambda x, y: x - tf.reduce_mean(y, axis=0),
    lambda x, y: tf.reverse(x, [0]) - y,
    lambda x, y: tf.transpose(tf.reshape(x, [5, 3])) * 0.5 + tf.nn.relu(y),
    lambda x, y: tf.matmul(x, y, transpose_b=True)[:, :1] * 0.1 + x,
    lambda x, y: tf.maximum(x, tf.reduce_sum(y) * 0.1),
    lambda x, y: tf.matmul(x, TURN),
    lambda x, y: tf.math.lgamma(tf.abs(x) + 1.0) - y,  # no native code: it keeps branches and loops in Python
    lambda x, y: x,
]
INDEX = st.integers(0, 3)


def blocks(depth):
    """A list of statements: tuples of their kind and what they need."""
    value = (st.integers(0, len(EXPRESSIONS) - 1), INDEX, INDEX)
    kinds = [
        st.tuples(st.just("let"), INDEX, *value),
        st.tuples(st.just("assign"), st.integers(0, 1), *value),
        st.tuples(st.just("add"), st.integers(0, 1), *value),
        st.tuples(st.just("keep"), st.integers(0, 1), INDEX),
        st.tuples(st.just("slice"), st.integers(0, 1), INDEX),
        st.tuples(st.just("row"), st.integers(0, 1), INDEX),
        st.tuples(st.just("rows"), st.integers(0, 1), INDEX),
        st.tuples(st.just("python"), st.integers(0, 1), INDEX),
        st.tuples(st.just("count")),
        st.tuples(st.just("assert"), INDEX),
    ]
    if depth:
        kinds += [
            st.tuples(st.just("cond"), st.integers(0, 1), blocks(depth - 1), blocks(depth - 1)),
            st.tuples(st.just("loop"), st.integers(0, 3), blocks(depth - 1)),
        ] * 2
    return st.lists(st.one_of(kinds), min_size=1, max_size=5)


class World:
    """What the statements work on: two arrays, a counter, and four values of the program."""

    def __init__(self):
        rng = np.random.default_rng(1)
        self.arrays = [tf.Variable(rng.standard_normal(SHAPE)) for _ in range(2)]
        self.number = tf.Variable(0)

    def run(self, block, locals_):
        """Run statements; returns the new values."""
        locals_ = list(locals_)
        for kind, *what in block:
            locals_ = getattr(self, f"_{kind}")(locals_, *what)
        return locals_

    def _value(self, locals_, expression, i, j):
        x, y = [self.arrays[k].value() if k < 2 else locals_[k] for k in (i, j)]
        found = EXPRESSIONS[expression](x, y)
        return found / (1.0 + tf.reduce_max(tf.abs(found)))

    def _let(self, locals_, target, *value):
        locals_[target] = self._value(locals_, *value)
        return locals_

    def _assign(self, locals_, target, *value):
        self.arrays[target].assign(self._value(locals_, *value))
        return locals_

    def _add(self, locals_, target, *value):
        self.arrays[target].assign_add(self._value(locals_, *value))
        return locals_

    def _keep(self, locals_, source, target):
        locals_[target] = self.arrays[source].read_value()
        return locals_

    def _slice(self, locals_, target, source):
        self.arrays[target][1:, ::2].assign(locals_[source][:2, :3])
        return locals_

    def _row(self, locals_, target, source):
        self.arrays[target][self.number % 3, 1:].assign(locals_[source][self.number % 2, :4])
        return locals_

    def _rows(self, locals_, target, source):
        self.arrays[target].scatter_add(tf.IndexedSlices(locals_[source][:2], tf.constant([2, 0])))
        return locals_

    def _python(self, locals_, target, source):
        def change(x):
            self.arrays[target].assign_sub(0.25 * x)
            return self.arrays[target] * 1.0 + tf.cast(self.number, tf.float64)

        locals_[source] = tf.ensure_shape(tf.py_function(change, [locals_[source]], tf.float64), SHAPE)
        return locals_

    def _count(self, locals_):
        self.number.assign_add(1)
        return locals_

    def _assert(self, locals_, source):
        tf.debugging.assert_all_finite(locals_[source], "must be finite")
        tf.debugging.assert_less(tf.abs(self.arrays[source % 2] * 1.0), tf.constant(1e6, tf.float64))
        return locals_

    def _cond(self, locals_, parity, yes, no):
        test = tf.equal(self.number % 2, parity)
        return tf.cond(test, lambda: self.run(yes, locals_), lambda: self.run(no, locals_))

    def _loop(self, locals_, turns, block):
        step = lambda i, xs: (i + 1, self.run(block, xs))  # noqa: E731
        return tf.while_loop(lambda i, xs: i < turns, step, (0, locals_))[1]


def outcome(block, eagerly, calls=3):
    """All results and variables of some calls of a function that runs a block."""
    world = World()
    rng = np.random.default_rng(2)
    function = lambda *xs: [*world.run(block, xs), world.arrays[0] * 1.0, world.arrays[1].value()]  # noqa: E731
    function = function if eagerly else tf.function(function)
    found = []
    for _ in range(calls):
        found += function(*[tf.constant(rng.standard_normal(SHAPE)) for _ in range(4)])
        found += [x.read_value() for x in (*world.arrays, world.number)]
    return [x.numpy() for x in found]


@configured(60)
@given(blocks(2))
def test_compiled_is_line_by_line(block):
    close(outcome(block, False), outcome(block, True), 1e-9)


def steps_of(function, *args):
    """The steps of the program for some arguments, after two calls."""
    for _ in range(2):
        function(*args)
    concrete = function.get_concrete_function(*args)
    return concrete._native.__self__._last[1].plan.steps


def all_steps(steps):
    for step in steps:
        yield step
        if isinstance(step, Nested):
            for plan in step.plans:
                yield from all_steps(plan.steps)


def test_an_update_in_a_branch_is_done_in_place():
    w = tf.Variable(np.ones((3, 5), np.float32))
    slot = tf.Variable(np.zeros((3, 5), np.float32))

    def update(gradient):
        slot.assign(0.9 * slot + gradient)
        w.assign_sub(0.1 * slot)

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(x @ w))
        gradient = tape.gradient(loss, w)
        tf.cond(tf.reduce_all(tf.math.is_finite(gradient)), lambda: update(gradient), lambda: None)
        return loss

    found = list(all_steps(steps_of(step, tf.ones([2, 3]))))
    assert {type(x) for x in found} == {Loops, LibraryStep, Nested}
    before = id(w._tensor._value), w.numpy()
    step(tf.fill([2, 3], np.inf))
    assert before[0] == id(w._tensor._value) and np.array_equal(before[1], w.numpy())


@pytest.mark.parametrize(("reads", "copies"), [("nothing", 0), ("before", 0), ("after", 1), ("itself", 1), ("result", 1)])
def test_a_product_is_written_into_a_variable(reads, copies):
    """Where its operands and whatever comes later do not want the old value."""
    v = tf.Variable(np.arange(15.0).reshape(SHAPE))
    old = tf.Variable(np.ones((5, 3)))

    @tf.function
    def step(x):
        if reads == "before":
            old.assign(tf.transpose(v) + x[0, 0])
        product = tf.matmul(v if reads == "itself" else x, TURN)
        if reads == "after":
            old.assign(tf.transpose(v + product))
        v.assign(product)
        return product if reads == "result" else None

    x = np.random.default_rng(3).standard_normal(SHAPE)
    expected = np.arange(15.0).reshape(SHAPE)
    for _ in range(3):
        before, expected = expected, (expected if reads == "itself" else x) @ TURN
        result = step(tf.constant(x))
        np.testing.assert_allclose(v, expected, rtol=1e-12, atol=1e-12)
        if reads in ("before", "after"):
            np.testing.assert_allclose(tf.transpose(old), before + (x[0, 0] if reads == "before" else expected), rtol=1e-12)
        if reads == "result":
            np.testing.assert_array_equal(result, v)
    found = [type(x) for x in steps_of(step, tf.constant(x))]
    assert found.count(LibraryStep) == 1 and found.count(Copy) == copies and Host not in found


def test_a_loop_updates_variables_in_place():
    w = tf.Variable(np.ones((3, 5), np.float32))

    @tf.function
    def steps(x):
        for _ in tf.range(4):
            w.assign_sub(0.1 * tf.matmul(x, x @ w, transpose_a=True))
        return tf.reduce_sum(w)

    found = list(all_steps(steps_of(steps, tf.ones([2, 3]))))
    assert not [x for x in found if isinstance(x, (Copy, Host))]


def test_what_follows_python_code_is_native():
    v = tf.Variable(np.ones(SHAPE, np.float32))

    def change():
        v.assign_add(tf.ones(SHAPE))

    @tf.function
    def step(x):
        y = v * 2.0
        tf.py_function(change, [], [])
        return y + x * v

    found = steps_of(step, tf.ones(SHAPE))
    assert [type(x) for x in found] == [Loops, Host, Loops]
    v.assign(tf.ones(SHAPE))
    np.testing.assert_array_equal(step(tf.ones(SHAPE)), np.full(SHAPE, 4.0))


def test_results_that_only_gradients_want_are_not_made():
    v = tf.Variable(np.ones(SHAPE, np.float32))

    @tf.function
    def step(x):
        return tf.cond(x[0, 0] > 0.0, lambda: v.assign(v * x + 1.0) * 2.0, lambda: x)

    (nested,) = [x for x in steps_of(step, tf.ones(SHAPE)) if isinstance(x, Nested)]
    assert len(nested.results) == 2  # the value, and the variable's


@pytest.mark.parametrize("inside", [tf.math.lgamma, tf.strings.as_string])
def test_a_loop_over_an_iterator_assigns_in_branches(inside):
    found = []
    for eagerly in (True, False):
        v = tf.Variable(tf.ones([2], tf.float64))

        def update(x, v=v):
            v.assign_add(x)
            v.assign_add(tf.fill([2], tf.cast(tf.size(inside(x)), tf.float64) * 0.5))
            return tf.reduce_sum(v)

        def function(iterator, update=update):
            total = tf.constant(0.0, tf.float64)
            for i in tf.range(4):
                total += tf.cond(i % 2 == 0, lambda: update(next(iterator)), lambda: tf.constant(0.5, tf.float64))
            return total

        function = function if eagerly else tf.function(function)
        data = tf.data.Dataset.from_tensor_slices(np.arange(24.0).reshape(12, 2))
        iterator = iter(data)
        found.append([x.numpy() for _ in range(3) for x in (function(iterator), v.value())])
    close(found[1], found[0], 1e-12)


@pytest.mark.parametrize("turns", [0, 1, 4])
def test_gradients_through_a_loop_that_assigns(turns):
    found = []
    for eagerly in (True, False):
        v = tf.Variable(tf.constant([1.0, 2.0], tf.float64))

        def function(x, v=v):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = x
                for _ in tf.range(turns):
                    v.assign_add(tf.stop_gradient(y))
                    y = y * v
                loss = tf.reduce_sum(y)
            return tape.gradient(loss, x), v * 1.0

        function = function if eagerly else tf.function(function)
        found.append([x.numpy() for _ in range(3) for x in function(tf.constant([0.3, -0.2], tf.float64))])
    close(found[1], found[0], 1e-12)


@pytest.mark.parametrize("wrong", [9.0, 4.5, 3.0])
def test_assertions_are_native_and_stop_what_follows(wrong):
    outcomes = []
    for native in (0, 1):
        v = tf.Variable(tf.zeros([3]))

        @tf.function
        def function(x, v=v):
            tf.debugging.assert_less(x, 5.0, message="too large")
            v.assign_add(x)
            for i in tf.range(3):
                tf.debugging.Assert(tf.reduce_all(x < 4.0), ["in a loop", i, x], summarize=2)
                v.assign_add(x)
            tf.debugging.Assert(tf.reduce_max(v) < 12.0, [v])
            return v * 2.0

        with flags.using(COMPILE=native):
            for _ in range(2):
                function(tf.ones([3]))
            if native:
                assert not [x for x in all_steps(steps_of(function, tf.zeros([3]))) if isinstance(x, Host)]
            with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed") as found:
                function(tf.constant([1.0, wrong, 2.0]))
            outcomes.append((str(found.value), found.value.__notes__, v.numpy().tolist()))
    assert outcomes[0] == outcomes[1]
