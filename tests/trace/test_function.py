"""`tf.function`: signatures, caches, structures, effects, retraces and what it leaves behind. Expected values are TensorFlow's."""

import functools
import gc
import logging
import threading
import weakref

import numpy as np
import pytest

import tapeflow as tf

SCALAR = tf.TensorSpec([], tf.float32)


def values(nest):
    return tf.nest.map_structure(lambda x: None if x is None else np.asarray(x).tolist(), nest)


# Arguments and results


def test_structures_pass():
    f = tf.function(lambda x, y=2: {"a": x * y, "b": (x, None)})
    assert values(f(tf.constant(3))) == {"a": 6, "b": (3, None)}
    assert values(f(x=np.int32(3), y=4)) == {"a": 12, "b": (3, None)}
    with pytest.raises(TypeError, match="Binding inputs to tf.function failed due to `missing a required argument: 'x'`"):
        f()
    with pytest.raises(TypeError, match="too many positional arguments"):
        f(1, 2, 3)


def test_composites_pass():
    ragged = tf.ragged.constant([[1, 2], [3]])
    assert tf.function(lambda r: r * 2)(ragged).to_list() == [[2, 4], [6]]
    sparse = tf.sparse.from_dense([[1, 2], [0, 3]])
    assert values(tf.sparse.to_dense(tf.function(tf.sparse.transpose)(sparse))) == [[1, 0], [2, 3]]
    slices = tf.function(lambda: tf.IndexedSlices(tf.constant([1.0]), tf.constant([0])))()
    assert values(slices.values) == [1.0]
    array = tf.function(lambda: tf.TensorArray(tf.float32, 2).unstack([1.0, 2.0]))()
    assert values(array.stack()) == [1.0, 2.0]


def test_results_must_be_tensors():
    with pytest.raises(TypeError, match="must return zero or more Tensors or ExtensionTypes or None values"):
        tf.function(lambda: object())()
    with pytest.raises(TypeError, match="3 is not a callable object"):
        tf.function(3)


def test_input_signature():
    f = tf.function(lambda x: x * 2, input_signature=[tf.TensorSpec([None], tf.float32)])
    assert values(f([1.0, 2.0])) == [2.0, 4.0]
    assert values(f(np.ones(3, np.float32))) == [2.0, 2.0, 2.0]
    assert f.experimental_get_tracing_count() == 1
    with pytest.raises(TypeError, match=r"Can not cast TensorSpec\(shape=\(1, 1\).* to TensorSpec\(shape=\(None,\)"):
        f(tf.constant([[1.0]]))
    with pytest.raises(TypeError, match="must be either a tuple or a list"):
        tf.function(lambda x: x, input_signature=tf.TensorSpec([]))


def test_python_arguments_have_traces_of_their_own():
    seen = []

    @tf.function
    def power(x, n):
        seen.append(n)
        return x**n

    x = tf.constant(3.0)
    assert [float(power(x, n)) for n in (2, 3, 2, 3)] == [9.0, 27.0, 9.0, 27.0]
    assert seen == [2, 3]
    assert float(tf.function(functools.partial(lambda a, b: a - b, 1.0))(tf.constant(3.0))) == -2.0


def test_concrete_functions():
    f = tf.function(lambda x, scale=2: x * scale)
    concrete = f.get_concrete_function(tf.TensorSpec([None], tf.int32, name="values"))
    assert concrete.structured_input_signature == ((tf.TensorSpec([None], tf.int32, name="values"), 2), {})
    assert concrete.structured_outputs.shape.as_list() == [None]
    assert values(concrete(tf.constant([1, 2]))) == [2, 4]
    assert values(concrete(values=tf.constant([5]))) == [10]
    assert "values" in concrete.pretty_printed_signature()
    with pytest.raises(tf.errors.InvalidArgumentError, match="input #0.zero-based. was expected to be a int32 tensor"):
        concrete(tf.constant([1.0]))
    names = [node.op for node in concrete.graph.as_graph_def().node]
    assert names == ["Placeholder", "mul"]


def test_methods_have_traces_for_each_object_and_keep_none_alive():
    class Model(tf.Module):
        def __init__(self):
            self.w = tf.Variable(2.0)
            self.count = 0

        @tf.function
        def scaled(self, x):
            self.count += 1
            return x * self.w

    first, second = Model(), Model()
    x = tf.constant(3.0)
    assert [float(m.scaled(x)) for m in (first, first, second)] == [6.0, 6.0, 6.0]
    assert (first.count, second.count) == (1, 1)
    gc.disable()
    try:
        reference = weakref.ref(first)
        del first
        assert reference() is None
    finally:
        gc.enable()


# State


def test_variables_are_made_by_the_first_trace_only():
    class Counter:
        def __init__(self):
            self.v = None

        @tf.function
        def __call__(self, x):
            if self.v is None:
                self.v = tf.Variable(tf.ones([]) * 2.0)
            return self.v.assign_add(x)

    counter = Counter()
    assert [float(counter(tf.constant(3.0))) for _ in range(2)] == [5.0, 8.0]

    @tf.function
    def careless(x):
        return tf.Variable(1.0) * x

    with pytest.raises(ValueError, match="only supports singleton tf.Variables created on the first call"):
        careless(tf.constant(1.0))


def test_effects_happen_in_order(capfd):
    v = tf.Variable(1.0)

    @tf.function
    def f(x):
        tf.print("x is", x)
        v.assign(x)
        y = v + 1.0
        v.assign_add(10.0)
        return y, v.read_value()

    assert values(f(tf.constant(5.0))) == (6.0, 15.0)
    assert float(v) == 15.0
    assert "x is 5" in capfd.readouterr().err


def test_branches_assign():
    v = tf.Variable(1.0)
    f = tf.function(lambda x: tf.cond(x > 0, lambda: v.assign_add(x), lambda: v.assign_sub(1.0)))
    assert [float(f(tf.constant(x))) for x in (2.0, -1.0)] == [3.0, 2.0]


def test_random_ops_draw_anew_and_follow_the_seed():
    f = tf.function(lambda: tf.random.uniform([]))
    tf.random.set_seed(3)
    first = [float(f()) for _ in range(2)]
    assert first[0] != first[1]


def test_gradients_of_variables_read_between_assignments():
    """The gradient of a variable is that of all its readings."""
    v = tf.Variable(2.0)

    @tf.function
    def f(x):
        y = v * x
        v.assign_add(1.0)
        return y + v * v

    for expected in (5.0 + 2 * 3.0, 5.0 + 2 * 4.0):
        with tf.GradientTape() as tape:
            y = f(tf.constant(5.0))
        assert float(tape.gradient(y, v)) == expected


def test_dropout_has_one_mask_for_both_directions():
    """What was drawn at random when a function ran is what its gradient sees, in loops and branches too."""
    tf.random.set_seed(None)  # with one, ops at the same place of different graphs draw the same, as in TensorFlow
    x = tf.ones([1000])

    @tf.function
    def f(x):
        y = tf.nn.dropout(x, 0.5)
        y = tf.cond(tf.reduce_sum(x) > 0, lambda: tf.nn.dropout(y, 0.5), lambda: y)
        return tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, tf.nn.dropout(y, 0.3)), (0, y))[1]

    @tf.function
    def inside(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return y, tape.gradient(y, x)

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    for value, slope in ((y, tape.gradient(y, x)), inside(x)):
        np.testing.assert_array_equal(value, slope)  # y = mask * x at x = 1
        assert 0 < np.count_nonzero(value) < 300


def test_captured_tensors_are_differentiated():
    x = tf.constant(3.0)
    f = tf.function(lambda: x * x)
    f()  # traced before anything is watched
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f()
    assert float(tape.gradient(y, x)) == 6.0


def test_tf_gradients():
    v = tf.Variable(2.0)
    f = tf.function(lambda x: tf.gradients(x * x * v, [x, v]))
    assert values(f(tf.constant(3.0))) == [12.0, 9.0]


def test_python_functions():
    f = tf.function(lambda x: tf.py_function(lambda z: z * float(z), [x], tf.float32) + 1.0)
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert (float(y), float(tape.gradient(y, x))) == (10.0, 3.0)


# Modes


def test_scopes():
    @tf.function
    def f():
        with tf.init_scope():
            outside = tf.executing_eagerly()
        return outside, tf.executing_eagerly(), tf.inside_function()

    assert values(f()) == (True, False, True)
    tf.config.run_functions_eagerly(True)
    try:
        assert values(f()) == (True, True, False)
    finally:
        tf.config.run_functions_eagerly(False)


def test_threads_share_a_function():
    f = tf.function(lambda x: x * 2)
    found = []

    def call(k):
        found.append(int(f(tf.fill([k % 3 + 1], k))[0]))

    threads = [threading.Thread(target=call, args=(k,)) for k in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [2 * k for k in range(24)]
    assert f.experimental_get_tracing_count() == 3


# Retraces


def test_retraces_are_explained(caplog):
    @tf.function
    def f(x, n):
        return x * float(n)

    with caplog.at_level(logging.WARNING, "tapeflow"):
        for n in range(4):
            f(tf.constant(1.0), n)
    assert caplog.text.count("f is traced for the 4th time") == 1
    f(tf.zeros([2]), 3)
    f(tf.constant(1.0, tf.float64), 3)
    reasons = f.explain_retraces()
    assert reasons[0].startswith(
        "argument `n` changed from 0 to 1. Every Python value has a trace of its own: pass a tensor"
    )
    assert "argument `x` changed from float32() to float32(2,)" in reasons[3]
    assert "reduce_retracing=True" in reasons[3]
    assert "changed from float32() to float64(). tf.cast" in reasons[4]


def test_reduce_retracing():
    f = tf.function(tf.reduce_sum, reduce_retracing=True)
    assert [float(f(tf.ones([n, 3]))) for n in range(1, 6)] == [3.0, 6.0, 9.0, 12.0, 15.0]
    assert f.experimental_get_tracing_count() == 2
    assert "shape=(None, 3)" in f.pretty_printed_concrete_signatures()


# What is left behind


def test_dropped_functions_free_their_graphs():
    def made():
        w = tf.Variable([1.0, 2.0])

        @tf.function
        def f(x):
            return tf.while_loop(
                lambda y: tf.reduce_sum(y) < 5.0, lambda y: (tf.cond(x > 0, lambda: y * w, lambda: y),), [x * w]
            )

        with tf.GradientTape() as tape:
            (y,) = f(tf.constant(2.0))
        tape.gradient(y, w)
        return [weakref.ref(part) for part in (f, f.get_concrete_function(SCALAR).graph, w)]

    gc.collect()
    gc.disable()
    try:
        assert [reference() for reference in made()] == [None, None, None]
    finally:
        gc.enable()


def test_a_failing_trace_leaves_nothing():
    @tf.function
    def f(x, fail):
        with tf.GradientTape(), tf.name_scope("inner"):
            y = x + 1.0
            if fail:
                raise KeyError("on purpose")
            return y

    with pytest.raises(KeyError, match="on purpose"):
        f(tf.constant(1.0), True)
    assert tf.executing_eagerly()
    assert tf.get_current_name_scope() == ""
    assert f.experimental_get_tracing_count() == 0
    assert float(f(tf.constant(1.0), False)) == 2.0


def test_leaked_tensors_are_refused():
    leaked = []

    @tf.function
    def leak(x):
        leaked.append(x + 1.0)
        return x

    leak(tf.constant(1.0))
    for use in (lambda: leaked[0] + 1.0, lambda: tf.function(lambda x: x + leaked[0])(tf.constant(1.0))):
        with pytest.raises(TypeError, match="is out of scope and cannot be used here"):
            use()


def test_errors_name_the_line():
    @tf.function
    def f(x, i):
        return tf.gather(x, i)

    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[0\] = 7 is not in \[0, 3\)") as caught:
        f(tf.ones([3]), tf.constant([7]))
    assert "gather, in a graph, comes from" in caught.value.__notes__[0]
    assert "test_function.py" in caught.value.__notes__[0]


def test_variables_that_branches_and_loops_assign_are_read_anew():
    v = tf.Variable(1.0)
    inner = tf.function(lambda x: v.assign_add(x))

    @tf.function
    def f(x):
        before = v + 0.0
        tf.cond(x > 0, lambda: v.assign_add(x), lambda: v.assign_sub(1.0))
        between = v + 0.0
        tf.while_loop(lambda i: i < 2, lambda i: (v.assign_add(10.0), i + 1)[1:], [0])
        later = v + 0.0
        inner(x)
        return before, between, later, v.read_value()

    assert values(f(tf.constant(5.0))) == (1.0, 6.0, 26.0, 31.0)
    assert values(f(tf.constant(-1.0))) == (31.0, 30.0, 50.0, 49.0)
    assert float(v) == 49.0


def test_effects_without_results_happen(capfd):
    v = tf.Variable(0)

    @tf.function
    def f(x):
        if x > 0:
            v.assign_add(100)
            tf.print("yes")
        else:
            v.assign_sub(1)

    for x, expected in ((1, 100), (0, 99), (1, 199)):
        assert f(tf.constant(x)) is None
        assert int(v) == expected
    assert capfd.readouterr().err.count("yes") == 2


def test_equal_loops_that_draw_at_random_stay_two():
    tf.random.set_seed(None)

    @tf.function
    def drawn(x):
        return tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y + tf.random.uniform([])), (0, x))[1]

    f = tf.function(lambda x: (drawn(x), drawn(x)))
    for _ in range(2):
        first, second = f(tf.constant(0.0))
        assert float(first) != float(second)


def test_functions_without_arguments_run_each_time(capfd):
    tf.random.set_seed(None)
    inner = tf.function(lambda: (tf.print("inner"), tf.random.uniform([]))[1])
    f = tf.function(lambda: inner())
    assert len({float(f()) for _ in range(3)}) == 3
    assert capfd.readouterr().err.count("inner") == 3


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("back_prop", [False, True])
def test_back_prop(traced, back_prop):
    def f(x):
        return tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * x), (0, x), back_prop=back_prop)[1]

    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = (tf.function(f) if traced else f)(x)
    gradient = tape.gradient(y, x)
    assert (float(y), None if gradient is None else float(gradient)) == (27.0, 27.0 if back_prop else None)


def test_back_prop_of_loops_over_rows():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        stopped = [
            tf.map_fn(lambda row: row * row, x, back_prop=False),
            tf.foldl(lambda a, row: a * row, x, back_prop=False),
            tf.scan(lambda a, row: a * row, x, None, 10, False),
        ]
        carried = tf.map_fn(lambda row: row * row, x)
    assert [tape.gradient(y, x) for y in stopped] == [None, None, None]
    assert values(tape.gradient(carried, x)) == [2.0, 4.0]


class Lazy(tf.Module):
    """Makes its variable from the first input that it sees."""

    v = None

    def __init__(self, start):
        super().__init__()
        self.start = start

    @tf.function
    def __call__(self, x):
        if self.v is None:
            self.v = tf.Variable(self.start(x))
        return self.v.assign_add(x) * 2.0


def test_a_variable_starts_with_what_the_first_call_gives():
    x = tf.constant([1.0, 3.0])
    module = Lazy(lambda x: tf.zeros_like(x) + tf.reduce_mean(x))
    assert module(x).numpy().tolist() == [6.0, 10.0] and module(x).numpy().tolist() == [8.0, 16.0]
    outer = Lazy(lambda x: x * 10.0)  # within another function
    assert tf.function(lambda x: outer(x + 1.0))(x).numpy().tolist() == [44.0, 88.0]
    assert outer.v.numpy().tolist() == [22.0, 44.0]


def test_a_variable_starts_with_what_a_shape_alone_tells():
    module = Lazy(lambda x: tf.ones_like(x * 2.0) + 1.0)
    concrete = type(module).__call__.__get__(module).get_concrete_function(tf.TensorSpec([2]))
    assert module.v.numpy().tolist() == [2.0, 2.0]
    assert concrete(tf.constant([1.0, 2.0])).numpy().tolist() == [6.0, 8.0]


def test_a_variable_cannot_start_with_what_is_not_known():
    module = Lazy(lambda x: x * 2.0)
    with pytest.raises(
        ValueError, match="depends on x:0, of which only shape and dtype are known. Call the function with tensors"
    ):
        type(module).__call__.__get__(module).get_concrete_function(tf.TensorSpec([2]))


def test_functions_are_decorated_until_they_are_traced():
    function = tf.function(lambda x: x + 1.0)
    function._decorate(lambda inner: lambda x: inner(x) * 2.0)
    assert function(1.0).numpy() == 4
    with pytest.raises(ValueError, match="cannot be decorated: it has been traced"):
        function._decorate(lambda inner: inner)


def test_what_a_function_returns_none_for_has_no_shape():
    concrete = tf.function(lambda x: (x, None)).get_concrete_function(tf.TensorSpec([2]))
    assert concrete.output_shapes == (tf.TensorShape([2]), tf.TensorShape(None)) and concrete.output_dtypes == (
        tf.float32,
        None,
    )


def test_an_index_may_depend_on_one_that_is_not_known():
    @tf.function
    def total(x, n):
        rows, sum = tf.TensorArray(tf.float32, n).unstack(x), 0.0
        for i in tf.range(1, n):
            sum += rows.read(i)
        return sum

    assert total(tf.constant([1.0, 2.0, 3.0]), tf.constant(3)).numpy() == 5
