"""Loops and choices in native code: states in registers and in place, products before and after loops, lists as arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf
from compiled import both, check, kinds, program_of
from tapeflow.base import flags
from tapeflow.compile.control import Nested
from tapeflow.compile.expr import parts
from tapeflow.compile.librarystep import LibraryStep
from tapeflow.compile.steps import Copy, Host, Loops

pytestmark = pytest.mark.usefixtures("isa")
rng = np.random.default_rng(7)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_a_loop_is_native():
    function = lambda n: tf.while_loop(lambda i, s: i < n, lambda i, s: (i + 1, s + i * i), [0, 0])[1]  # noqa: E731
    assert kinds(check(function, np.int32(100))) == [Nested]


@tf.function(autograph=True)
def _steps_of_gcd(a, b):
    """Loops and choices inside of a loop, all of scalars."""
    count = 0
    while b != 0:
        a, b = b, a % tf.maximum(b, 1)
        if a > b:
            count += 1
        else:
            count -= 2
        k = tf.constant(0.5)
        while k < tf.cast(a, tf.float32):
            k = k * 2.0
        count += tf.cast(k, tf.int32)
    return a, count


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_loop_of_scalars_stays_in_registers(a, b):
    graph = _steps_of_gcd.get_concrete_function(tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32)).graph
    expected, got, executable = both(graph, (np.int32(a), np.int32(b)))
    assert [int(x) for x in got] == [int(x) for x in expected]
    assert got[0] == np.gcd(a, b)
    program = executable.planned(((), ()))
    assert kinds(program) == [Nested]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20),
    st.integers(-(2**31), 2**31 - 1).filter(bool) | st.sampled_from([2**n for n in range(31)]),
)
def test_division_by_a_constant(numbers, divisor):
    x = np.array(numbers, np.int32)
    if divisor == -1:
        x = np.maximum(x, -(2**31) + 1)
    check(lambda x: (x // divisor, x % divisor, tf.truncatediv(x, divisor)), x)


def test_a_loop_whose_values_change_places():
    function = lambda a, b: tf.while_loop(lambda i, a, b: i < 5, lambda i, a, b: (i + 1, b, a + b), [0, a, b])[1:]  # noqa: E731
    assert kinds(check(function, floats(3), floats(3))) == [Nested]
    body = lambda i, a, b: (i + 1, tf.tanh(b) * 0.5, a + tf.tanh(b))  # noqa: E731
    function = lambda a, b: tf.while_loop(lambda i, a, b: i < 5, body, [0, a, b])[1:]  # noqa: E731
    assert kinds(check(function, floats(3), floats(3), rtol=1e-5)) == [Nested]


def test_small_work_of_a_turn_is_one_kernel():
    body = lambda i, a, b: (i + 1, tf.tanh(a), tf.exp(-b))  # noqa: E731
    function = lambda a, b: tf.while_loop(lambda i, a, b: i < 5, body, [0, a, b])[1:]  # noqa: E731
    program = check(function, floats(3, 7), floats(3, 7), rtol=1e-5)
    (loop,) = program.plan.steps
    assert [step.kernel.dims for step in loop.plans[1].steps if step.kernel.dims] == [(21,)]


def test_a_choice_is_native():
    function = lambda x, y: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * y, lambda: x - y)  # noqa: E731
    for sign in (1, -1):
        assert Host not in kinds(check(function, sign * np.abs(floats(3, 5)), floats(3, 5)))


def test_the_gradient_of_a_loop_is_native():
    def function(x, w):
        with tf.GradientTape() as tape:
            tape.watch(w)
            body = lambda i, h: (i + 1, tf.tanh(x[i] + h @ w))  # noqa: E731
            _, h = tf.while_loop(lambda i, h: i < 6, body, [0, tf.zeros([3, 5])])
            loss = tf.reduce_sum(tf.square(h))
        return loss, tape.gradient(loss, w)

    program = check(function, floats(6, 3, 5), floats(5, 5), rtol=1e-5)
    assert Host not in kinds(program) and kinds(program).count(Nested) == 2


def test_products_of_a_loop_are_made_before_and_after_it():
    """A recurrent layer: its input's product comes before the loop, its weights' and its bias's gradients after it."""

    def function(x, w, u, b):
        with tf.GradientTape() as tape:
            tape.watch([w, u, b])
            body = lambda i, h: (i + 1, tf.tanh(x[i] @ w + h @ u + b))  # noqa: E731
            _, h = tf.while_loop(lambda i, h: i < 6, body, [0, tf.zeros([3, 5])])
            loss = tf.reduce_sum(tf.square(h))
        return loss, *tape.gradient(loss, [w, u, b])

    program = check(function, floats(6, 3, 4), floats(4, 5), floats(5, 5), floats(5), rtol=1e-5)
    forward, backward = [step for step in program.plan.steps if isinstance(step, Nested)]
    assert sum(isinstance(step, LibraryStep) for step in forward.plans[1].steps) == 1
    turn = backward.plans[1].steps
    assert sum(isinstance(step, LibraryStep) for step in turn) == 1 and not any(isinstance(step, Copy) for step in turn)
    assert not any(step.kernel.axes for step in turn if isinstance(step, Loops))


def test_sums_of_rows_that_no_product_stores_stay_in_their_loop():
    def function(x):
        body = lambda i, total, h: (i + 1, total + tf.reduce_sum(h, 0), tf.tanh(h + x[i]))  # noqa: E731
        return tf.while_loop(lambda i, *_: i < 6, body, [0, tf.ones([5]), tf.ones([3, 5])])[1]

    (loop,) = [step for step in check(function, floats(6, 3, 5), rtol=1e-5).plan.steps if isinstance(step, Nested)]
    assert any(step.kernel.axes for step in loop.plans[1].steps if isinstance(step, Loops))


@pytest.mark.parametrize(
    ("start", "limit", "step", "inside"), [(0, 6, 1, 1), (5, -1, -1, 1), (0, 4, 1, 2), (0, 6, 2, 3), (1, 6, 1, 3)]
)
def test_sums_of_products_over_some_turns(start, limit, step, inside):
    """Where every row has its turn `x @ w` is one product; where the turns count from 0 the sum is one; else they stay inside."""

    def function(x, w):
        goes_on = (lambda i, *_: i < limit) if step > 0 else (lambda i, *_: i > limit)

        def body(i, total, h):
            return i + step, total + tf.matmul(x[i], h, transpose_a=True), tf.matmul(h, w, transpose_b=True) + x[i] @ w

        return tf.while_loop(goes_on, body, [start, tf.ones([4, 4]), tf.ones([3, 4])])[1:]

    program = check(function, floats(6, 3, 4), floats(4, 4), rtol=1e-4)
    (loop,) = [step for step in program.plan.steps if isinstance(step, Nested)]
    assert sum(isinstance(inner, LibraryStep) for inner in loop.plans[1].steps) == inside


def test_sums_of_products_by_counters_that_run_against_each_other():
    """Rows belong together by their turns: where a turn takes different rows of two arrays, the arrays are no operands."""

    def function(x, y, w):
        def body(i, j, backwards, crossed, forwards, h):
            one = lambda a, b: tf.matmul(a, b, transpose_a=True)  # noqa: E731
            sums = backwards + one(y[j], h), crossed + one(x[i], y[j]), forwards + one(x[i], h)
            return i + 1, j - 1, *sums, tf.tanh(h @ w + x[i])

        zeros = tf.zeros([4, 4])
        return tf.while_loop(lambda i, *_: i < 6, body, [0, 5, zeros, zeros, zeros, tf.ones([3, 4])])[2:]

    program = check(function, floats(6, 3, 4), floats(6, 3, 4), floats(4, 4), rtol=1e-4)
    (loop,) = [step for step in program.plan.steps if isinstance(step, Nested)]
    assert sum(isinstance(inner, LibraryStep) for inner in loop.plans[1].steps) == 2  # the crossed sum, and h @ w


def functions_in(nested):
    """The names of all that the kernels of a loop's body compute, those after a product among them."""
    steps = nested.plans[1].steps
    kernels = [step.kernel for step in steps if isinstance(step, Loops)]
    kernels += [step.epilogue for step in steps if isinstance(step, LibraryStep) and step.epilogue]
    return {x.op for kernel in kernels for x in parts([member.expr for member in kernel.members])}


def test_a_gradient_reads_what_its_loop_has_computed():
    """The products and the activations of a gated layer are kept, sums and the like are not."""

    def function(x, w, u):
        def body(i, h):
            z = x[i] @ w + h @ u
            return i + 1, tf.sigmoid(z) * tf.tanh(z * 2.0 + h)

        with tf.GradientTape() as tape:
            tape.watch([w, u])
            _, h = tf.while_loop(lambda i, h: i < 6, body, [0, tf.zeros([3, 5])])
            loss = tf.reduce_sum(tf.square(h))
        return loss, *tape.gradient(loss, [w, u])

    program = check(function, floats(6, 3, 4), floats(4, 5), floats(5, 5), rtol=1e-5)
    forward, backward = [step for step in program.plan.steps if isinstance(step, Nested)]
    assert functions_in(forward) >= {"sigmoid", "tanh"}
    assert not functions_in(backward) & {"sigmoid", "tanh"}
    assert sum(out.dims == (6, 3, 5) for out in forward.node.outputs) == 3  # h, and two activations
    assert kinds(program).count(LibraryStep) == 3  # x @ w before the first loop, the gradients after the second


@pytest.mark.parametrize(
    ("start", "step", "other", "again"),
    [(0, 1, False, False), (5, -1, False, False), (5, -1, True, True), (0, 1, True, False)],
)
def test_what_a_later_loop_reads_by_other_turns_is_computed(start, step, other, again):
    """Only in the turn in which both loops have the same rows they compute the same."""

    def function(x, y):
        def keep(i, rows, total):
            a = tf.tanh(x[i] * y[i])
            return i + 1, rows.write(i, a * total), total + a

        rows = tf.TensorArray(tf.float32, 6, element_shape=[3])
        _, rows, total = tf.while_loop(lambda i, *_: i < 6, keep, [0, rows, tf.ones([3])], maximum_iterations=6)
        rows = rows.stack()

        def use(k, i, j, total):
            return k + 1, i + step, j + 1, total + tf.tanh(x[j if other else i] * y[i]) * rows[i]

        begin = [0, start, 0, tf.zeros([3])]
        return total, tf.while_loop(lambda k, *_: k < 6, use, begin, maximum_iterations=6)[3]

    program = check(function, floats(6, 3), floats(6, 3), rtol=1e-5)
    _, late = [step for step in program.plan.steps if isinstance(step, Nested)]
    assert ("tanh" in functions_in(late)) == again


@pytest.mark.parametrize("sequences", [True, False])
def test_a_recurrent_layer_that_fills_a_tensor_array(sequences):
    """As Keras writes it: all outputs by the counter, or the last one again and again in the one place that there is."""

    def function(x, w, u):
        with tf.GradientTape() as tape:
            tape.watch([w, u])
            steps = tf.TensorArray(tf.float32, 6).unstack(x)

            def body(i, outputs, h):
                h = tf.tanh(steps.read(i) @ w + h @ u)
                return i + 1, outputs.write(i if sequences else 0, h), h

            outputs = tf.TensorArray(tf.float32, 6 if sequences else 1, element_shape=[3, 5])
            start = tf.constant(0), outputs, tf.zeros([3, 5])
            _, outputs, h = tf.while_loop(lambda i, *_: i < 6, body, start, maximum_iterations=6)
            found = outputs.stack()
            loss = tf.reduce_sum(tf.square(found)) + tf.reduce_sum(h)
        return found, *tape.gradient(loss, [w, u])

    program = check(function, floats(6, 3, 4), floats(4, 5), floats(5, 5), rtol=1e-5)
    assert Host not in kinds(program) and kinds(program).count(Nested) == 2


@pytest.mark.parametrize("most", [4, 6, 9])
def test_a_loop_of_at_most_so_many_turns(most):
    def function(x, w):
        body = lambda i, h: (i + 1, tf.tanh(x[i] @ w + h))  # noqa: E731
        return tf.while_loop(lambda i, h: i < 6, body, [0, tf.zeros([3, 5])], maximum_iterations=most)[1]

    program = check(function, floats(6, 3, 4), floats(4, 5), rtol=1e-5)
    (loop,) = [step for step in program.plan.steps if isinstance(step, Nested)]
    assert any(isinstance(step, LibraryStep) for step in loop.plans[1].steps) == (most < 6)  # else it is before the loop


def test_a_tensor_array_that_a_loop_fills():
    def function(x):
        array = tf.TensorArray(tf.float32, 4)
        return tf.while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, a.write(i, x[i] * 2.0)), [0, array])[1].stack()

    check(function, floats(4, 3), within=0)


@pytest.mark.parametrize("most", [0, 3, 5, 9])
def test_a_loop_over_arrays_with_two_limits_is_native(most):
    """As Keras writes its recurrent layers; of the array's length nothing is known while it is traced."""

    def function(x):
        length = tf.shape(x)[0]
        given = tf.TensorArray(tf.float32, size=length).unstack(x)

        def step(i, taken, state):
            state = tf.tanh(given.read(i) + 0.5 * state)
            return i + 1, taken.write(i, state), state

        start = (tf.constant(0), tf.TensorArray(tf.float32, size=length), tf.zeros([3]))
        limit = tf.minimum(length, most)
        _, taken, state = tf.while_loop(lambda i, *_: i < length, step, start, maximum_iterations=limit)
        return tf.reduce_sum(taken.stack(), 0) + state if most >= 5 else state

    function = tf.function(function, input_signature=[tf.TensorSpec([None, 3])])
    x = tf.constant(floats(5, 3))
    program = program_of(function, x)
    assert not [step for step in program.plan.steps if isinstance(step, Host)]
    state, total = np.zeros(3, np.float32), np.zeros(3, np.float32)
    for row in x.numpy()[:most]:
        state = np.tanh(row + np.float32(0.5) * state)
        total += state
    np.testing.assert_allclose(function(x), total + state if most >= 5 else state, rtol=1e-5, atol=1e-6)


def test_what_keeps_a_loop_in_python_is_named_once(capsys, monkeypatch):
    monkeypatch.setattr("tapeflow.compile.program._named", set())

    def function(x):
        for _ in tf.range(3):
            x = tf.linalg.expm(x) * 0.1
        return x

    function = tf.function(function, input_signature=[tf.TensorSpec([None, None])])
    with flags.using(DEBUG=1):
        for n in (2, 3, 2, 3):
            function(tf.zeros([n, n]))
    said = capsys.readouterr().err
    assert said.count("while_loop, for what is in it: expm") == 1
    assert "while_loop on its NumPy kernel, for what is in it: expm" in function.explain()
    assert "test_loops.py:" in function.explain()


def _layer(x, w, backwards=False):
    """A recurrent layer as Keras writes it: rows read of one list, written to another."""
    count = x.shape[0]
    x = x[::-1] if backwards else x
    given, taken = tf.TensorArray(tf.float32, size=count).unstack(x), tf.TensorArray(tf.float32, size=count)

    def turn(i, taken, state):
        state = tf.tanh(given.read(i) + state @ w)
        return i + 1, taken.write(i, state), state

    start = (tf.constant(0), taken, tf.zeros([x.shape[1], w.shape[0]]))
    _, taken, state = tf.while_loop(lambda i, *_: i < count, turn, start, maximum_iterations=count)
    return taken.stack(), state


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("sequences", [True, False])
def test_the_gradient_of_recurrent_layers_on_each_other(layers, sequences, backwards):
    """The input of each has a cotangent, a list to which the turns add; the sequence of the last may have none."""

    def function(x, *weights):
        with tf.GradientTape() as tape:
            tape.watch([x, *weights])
            y = x
            for w in weights:
                y, state = _layer(y, w, backwards)
            loss = tf.reduce_sum((y if sequences else state) ** 2)
        return tape.gradient(loss, [x, *weights])

    program = check(function, floats(6, 3, 5), *[floats(5, 5) / 2 for _ in range(layers)], rtol=1e-5)
    assert not [step.node.op.name for step in program.plan.steps if isinstance(step, Host)]
    assert kinds(program).count(Nested) == 2 * layers


def test_a_list_that_two_loops_read():
    """Its cotangents of both come together outside."""

    def function(x, w):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            given = tf.TensorArray(tf.float32, size=4).unstack(x)
            total = tf.zeros([3])
            for by in (1.0, 2.0):
                step = lambda i, s, by=by: (i + 1, tf.tanh(s @ w + given.read(i) * by))  # noqa: E731
                total += tf.while_loop(lambda i, s: i < 4, step, (0, tf.zeros([1, 3])))[1][0]
            loss = tf.reduce_sum(total**2)
        return tape.gradient(loss, [x, w])

    check(function, floats(4, 1, 3), floats(3, 3), rtol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "function",
    [
        lambda x, reverse: tf.scan(lambda a, b: a * 0.5 + b, x, reverse=reverse),
        lambda x, reverse: tf.scan(lambda a, b: a * 0.5 + b, x, tf.ones_like(x[0]), reverse=reverse),
        lambda x, reverse: (tf.foldr if reverse else tf.foldl)(lambda a, b: a * 0.5 + b, x),
        lambda x, reverse: tf.map_fn(lambda a: a * a, x),
    ],
)
def test_functions_of_elements_in_turn(function, reverse):
    """Lists of which one element is written or read outside of the loop."""
    program = check(lambda x: function(x, reverse), floats(6, 3))
    assert reverse or not [step.node.op.name for step in program.plan.steps if isinstance(step, Host)]

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(function(x, reverse) ** 2)
        return tape.gradient(loss, x)

    check(gradient, floats(6, 3), rtol=1e-5)


def test_a_list_with_some_elements():
    """What a loop does not write is what was written before it, or nothing."""

    def function(x):
        written = tf.TensorArray(tf.float32, size=6, element_shape=[3]).write(1, x)
        return tf.while_loop(lambda i, _: i < 5, lambda i, w: (i + 1, w.write(i, x * tf.cast(i, tf.float32))), (2, written))[
            1
        ].stack()

    check(function, floats(3))
