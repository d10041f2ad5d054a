"""Converted functions against what TensorFlow gives for them, and what only tapeflow does."""

import functools
import itertools
import json
import pathlib

import pytest

import tapeflow as tf
from tapeflow import compat

compat.install_as_tensorflow()

import autograph_cases as cases  # noqa: E402 - it imports tensorflow

EXPECTED = json.loads(pathlib.Path(__file__).with_name("expected.json").read_text())


@pytest.mark.parametrize("function, inputs", cases.CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_as_tensorflow(function, inputs):
    assert [cases.outcome(function, values) for values in inputs] == EXPECTED[function.__name__]


@pytest.mark.parametrize("function, inputs", cases.CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_with_tensors_that_have_a_value(function, inputs):
    """Converted code runs eagerly too, and gives the same."""
    for values, expected in zip(inputs, EXPECTED[function.__name__], strict=True):
        if function.__name__ in ("limited", "growing", "counted", "calls_of_builtins", "structures"):
            continue  # Python's own `range`, `float` and loops without options, and numbers instead of tensors
        result = tf.autograph.to_graph(function)(*cases.as_tensors(values))
        found = [tf.convert_to_tensor(x) for x in tf.nest.flatten(result)]
        assert [cases._plain(x.numpy()) for x in found] == [value for _, value in expected]


def traced(function, *args):
    result = tf.function(function)(*[tf.constant(x) for x in args])
    return tf.nest.map_structure(lambda x: x.numpy().tolist() if isinstance(x, tf.Tensor) else x, result)


# Further than TensorFlow


def test_return_in_a_loop():
    def first_above(x, limit):
        for v in x:
            if v > limit:
                return v
        return -1.0

    assert traced(first_above, [1.0, 5.0, 7.0], 3.0) == 5.0
    assert traced(first_above, [1.0, 5.0, 7.0], 9.0) == -1.0

    def search(n):
        i = 0
        while True:
            for j in tf.range(i):
                if j * i > n:
                    return i, j
            i += 1
            if i > 10:
                break
        return -1, -1

    assert traced(search, 5) == (3, 2)
    assert traced(search, 1000) == (-1, -1)


def test_return_deep_in_branches():
    def f(x, y):
        if x > 0:
            if y > 0:
                return x
            z = x * 10
        else:
            z = y
            if y > 5:
                return z * 100
        return z + 1

    for x, y in [(1, 1), (1, -1), (-1, 3), (-1, 6)]:
        assert traced(f, x, y) == f(x, y)


def test_return_in_the_else_branch_alone():
    def f(x):
        if x > 0:
            x = x + 1
        else:
            return x * 2
        return x

    assert traced(f, 1) == 2 and traced(f, -1) == -2


def test_no_value_on_both_branches():
    log = tf.Variable(0)

    def f(x):
        y = 1
        if x > 0:
            y = None
            log.assign_add(1)
        else:
            y = None
            log.assign_sub(1)
        assert y is None
        if x > 5:
            log.assign_add(10)
            return
        log.assign_add(100)

    assert traced(f, 1) is None and int(log) == 101
    assert traced(f, 7) is None and int(log) == 112
    assert traced(f, -1) is None and int(log) == 211


def test_objects_that_are_no_tensors_pass_through_branches_and_loops():
    class Thing:
        pass

    thing = Thing()

    def f(x):
        held, name = thing, "a"
        while x > 0:
            held = thing
            x -= 1
        if x < 0:
            held = thing
            x += 1
        return x if held is thing and name == "a" else x + 100

    assert traced(f, 3) == 0


def test_loops_over_tensors_are_loops_of_the_graph():
    calls = []

    def f(x):
        for i in tf.range(100):
            calls.append(i)
            x = x + i
        for v in tf.constant([1, 2, 3]):
            x = x + v
        n = tf.constant(50)
        while n > 0:
            n -= 1
            x = x + 1
        return x

    concrete = tf.function(f).get_concrete_function(tf.TensorSpec([], tf.int32))
    assert len(calls) == 1
    assert int(concrete(tf.constant(0))) == 4950 + 6 + 50
    assert len(concrete.graph.nodes) < 20


def test_loop_options_under_another_name():
    options = tf.autograph.experimental.set_loop_options

    def f(n):
        i = 0
        while i < n:
            options(maximum_iterations=4)
            i += 1
        for _ in tf.range(n):
            options(maximum_iterations=2, parallel_iterations=1)
            i += 10
        return i

    assert traced(f, 9) == 24 and traced(f, 1) == 11

    def misplaced(n):
        while n > 0:
            n -= 1
            tf.autograph.experimental.set_loop_options(maximum_iterations=4)
        return n

    with pytest.raises(ValueError, match="must be the first statement in the loop block"):
        tf.autograph.to_graph(misplaced)


def test_python_conditions_make_no_ops():
    def f(x, flag, n):
        y = x
        if flag:
            y = y + 1
        for _ in range(n):
            y = y * 2
        while n > 0 and not (flag and n > 5):
            n -= 1
        return y if n == 0 else None

    concrete = tf.function(f).get_concrete_function(tf.TensorSpec([], tf.int32), True, 2)
    assert [node.name for node in concrete.graph.nodes] == ["add", "mul", "mul"]


def test_enumerate_zip_and_map_over_tensors():
    def f(x, y):
        total = 0
        for i, (a, b) in enumerate(zip(x, y, strict=False), 1):
            total += i * a * b
        for a, b in zip(x, [10, 20, 30], strict=True):
            total += a * b
        for v in map(lambda v: v * v, x):
            total += v
        for i, v in enumerate(["a", "b"]):
            total += i + len(v)
        return total

    assert traced(f, [1, 2, 3], [4, 5]) == (4 + 20) + (10 + 40 + 90) + 14 + 3


def test_python_loops_that_a_tensor_ends():
    def f(x, n):
        seen = []
        for k in [1, 2, 3, 4]:
            seen.append(k)
            if x > 10:
                break
            if x == 5:
                continue
            x = x * k
        i = 0
        while i < 10:
            i = i + n
        while True:
            x = x + 1
            if x % 7 == 0:
                return x, i, len(seen)

    for x in (1, 5, 7, 11):
        assert traced(f, x, 4)[:2] == f(x, 4)[:2]
    assert traced(f, 1, 4)[2] == 4


def test_endless_python_loops_are_refused(monkeypatch):
    monkeypatch.setattr("tapeflow.trace.autograph.loops.UNROLL_LIMIT", 20)

    def f(x):
        for k in itertools.count():
            x = x + k
            if x > 100:
                break
        return x

    with pytest.raises(NotImplementedError, match="break and return statements which depend on a TF condition"):
        traced(f, 1)


@pytest.mark.parametrize("shape", [[3, 2], [None, 2], None])
def test_gradients_of_rows(shape):
    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def f(x):
        total = tf.zeros([2])
        for i, (row, other) in enumerate(zip(x, x * x, strict=True)):
            if i == 1:
                continue
            total = total * row + other
        return tf.reduce_sum(total)

    x = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert float(y) == (1 * 5 + 25) + (4 * 6 + 36)
    assert tape.gradient(y, x).numpy().tolist() == [[10.0, 24.0], [0.0, 0.0], [11.0, 16.0]]


def test_zip_stops_at_the_shortest_unknown_length():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int32)])
    def f(x, y):
        total = 0
        for a, b in zip(x, y, strict=False):
            total += a * b
        return total, len(x)

    assert [int(v) for v in f(tf.constant([1, 2, 3]), tf.constant([4, 5]))] == [14, 3]
    assert [int(v) for v in f(tf.constant([], tf.int32), tf.constant([4, 5]))] == [0, 0]


def test_ranges_of_any_sign_and_dtype():
    @tf.function
    def collected(start, limit, delta):
        found = tf.TensorArray(start.dtype, size=0, dynamic_size=True)
        for v in tf.range(start, limit, delta):
            found = found.write(found.size(), v)
        return found.stack()

    for args in [(0, 7, 3), (7, 0, -3), (2, 2, 1), (-3, 3, 2)]:
        for dtype in (tf.int32, tf.int64, tf.float32):
            start, limit, delta = [tf.constant(v, dtype) for v in args]
            assert collected(start, limit, delta).numpy().tolist() == list(range(*args))
    assert collected(tf.constant(0.0), tf.constant(1.0), tf.constant(0.3)).numpy().tolist() == pytest.approx(
        [0.0, 0.3, 0.6, 0.9]
    )


def test_ragged_rows():
    def f(values, lengths):
        total, count = 0, 0
        for row in tf.RaggedTensor.from_row_lengths(values, lengths):
            count += 1
            for v in row:
                total += v * count
        return total, count

    assert traced(f, [1, 2, 3, 4], [1, 0, 3]) == (1 + 9 * 3, 3)


def test_ragged_and_sparse_tensors_in_branches_and_loops():
    @tf.function
    def f(r, s, n):
        total = 0
        for i, row in enumerate(r):
            total += i * tf.size(row)
            for v in row:
                total += 10 * v
        if n > 2:
            r, s = r * 2, s * 2
        while n > 0:
            r = r * 3
            s = s * 3
            made = tf.RaggedTensor.from_row_lengths(tf.range(n + 1), [1, n])
            n -= 1
        return total, r, tf.sparse.to_dense(s), made

    r, s = tf.ragged.constant([[1, 2], [3], []]), tf.sparse.from_dense([[1, 0], [0, 2]])
    total, r2, s2, made = f(r, s, tf.constant(3))
    assert (int(total), r2.to_list(), s2.numpy().tolist()) == (61, [[54, 108], [162], []], [[54, 0], [0, 108]])
    assert made.to_list() == [[0], [1]]
    assert f(r, s, tf.constant(1))[1].to_list() == [[3, 6], [9], []]


def test_datasets_and_iterators_as_arguments():
    def f(ds):
        total = tf.constant(0, tf.int64)
        for i, x in enumerate(ds):
            for y in ds:
                if y > x:
                    continue
                total += i * y
        for a, b in zip(ds, ds, strict=False):
            total += a * b
        for x in map(lambda v: v + 1, ds):
            total += x
        for x in filter(lambda v: v > 2, ds):
            total += 100 * x
        for x in ds:
            last = x
        return total, last, any(ds.map(lambda v: v > 3)), all(ds.map(lambda v: v > 3))

    ds = tf.data.Dataset.range(5)
    expected = sum(i * y for i in range(5) for y in range(i + 1)) + 30 + 15 + 700
    assert [x.numpy() for x in tf.function(f)(ds)] == [expected, 4, True, False]

    @tf.function
    def drained(iterator):
        total = next(iterator) * 10
        for x in iterator:
            if x > 3:
                break
            total += x
        return total

    iterator = iter(tf.data.Dataset.range(1, 8))
    assert int(drained(iterator)) == 10 + 2 + 3
    assert int(drained(iterator)) == 50
    assert int(next(iterator)) == 7
    assert drained.experimental_get_tracing_count() == 1


def test_functions_handed_to_control_flow():
    def positive(x):
        return x if x > 0 else -x

    def step(i, x):
        if x > 3:
            x = x - 1
        return i + 1, x

    @tf.function
    def f(x, v):
        return (
            tf.cond(x > 100, lambda: x, functools.partial(positive, x)),
            tf.while_loop(lambda i, x: i < 2, step, (0, x))[1],
            tf.map_fn(positive, v),
            tf.switch_case(x, [functools.partial(positive, x)]),
            tf.foldl(lambda a, b: a + positive(b), v),
        )

    found = [x.numpy().tolist() for x in f(tf.constant(-7), tf.constant([1, -2, 3]))]
    assert found == [7, -7, [1, 2, 3], 7, 6]


def test_builtins_over_tensors():
    def f(x):
        return (
            max(x), min(x), any(x > 2), all(x > 2), sorted(x), sorted(x, reverse=True), max(x[0], 5), min(x[0], x[1], 9),
            float("1.5"), int("7"), len([1, 2]), abs(-2),
        )  # fmt: skip

    assert traced(f, [3, -1, 2]) == (3, -1, True, False, [-1, 2, 3], [3, 2, -1], 5, -1, 1.5, 7, 2, 2)
    assert traced(lambda s: (int(s), float(s)), "42") == (42, 42.0)


def test_printing(capsys):
    features = (tf.autograph.experimental.Feature.BUILTIN_FUNCTIONS,)

    def f(x):
        print("now", x)
        return x

    graph_print = tf.function(f, experimental_autograph_options=features)
    graph_print(tf.constant(1))
    graph_print(tf.constant(2))
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["now 1", "now 2"]
    tf.function(f)(tf.constant(3))
    assert "Tensor" in capsys.readouterr().out  # without the feature it prints while it is traced


def test_lists():
    features = tf.autograph.experimental.Feature.LISTS

    def f(n):
        found = tf.TensorArray(tf.int32, size=0, dynamic_size=True)
        for i in tf.range(n):
            found.append(i * i)
        x = tf.zeros([3], tf.int32) + n
        x[1] = 7
        x[2] += 5
        parts = [1, 2, 3]
        parts.append(4)
        last = parts.pop()
        parts[0] = 10
        return found.stack(), found[2], x, last, parts

    result = tf.function(f, experimental_autograph_options=features)(tf.constant(4))
    assert [tf.convert_to_tensor(x).numpy().tolist() for x in result] == [[0, 1, 4, 9], 4, [4, 7, 9], 4, [10, 2, 3]]


def test_variables_as_conditions():
    flag, count = tf.Variable(True), tf.Variable(3)

    def f():
        steps = 0
        while count > 0:
            count.assign_sub(1)
            steps += 1
        if flag:
            return steps
        return -steps

    function = tf.function(f)
    assert int(function()) == 3 and int(function()) == 0
    flag.assign(False)
    count.assign(2)
    assert int(function()) == -2


def test_within_vectorized_map():
    def f(x):
        y = x
        if x > 0:
            y = y * 10
        while y < 5:
            y = y + 3
        return y

    result = tf.vectorized_map(tf.autograph.to_graph(f), tf.constant([1, -4, 7]))
    assert result.numpy().tolist() == [10, 5, 70]


def test_assert_runs_with_the_graph():
    @tf.function
    def f(x):
        assert x > 0, f"wrong {1 + 1}"
        return x

    assert int(f(tf.constant(1))) == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="wrong 2"):
        f(tf.constant(-1))
    with pytest.raises(AssertionError, match="three"):
        tf.function(lambda: _asserting(3))()


def _asserting(n):
    assert n < 3, "three"
    assert n


def test_loop_variables_that_only_an_iteration_defines():
    @tf.function
    def f(n):
        for i in tf.range(n):
            last = i * 2
        return last

    assert int(f(tf.constant(3))) == 4
    with pytest.raises(tf.errors.InvalidArgumentError, match="loop must iterate at least once to initialize last"):
        f(tf.constant(0))


def test_second_order_gradients_through_control_flow():
    @tf.function
    def f(x, n):
        y = x
        for _ in tf.range(n):
            if y < 100:
                y = y * x
        return y

    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = f(x, tf.constant(3))
        first = inner.gradient(y, x)
    assert (float(y), float(first), float(outer.gradient(first, x))) == (16.0, 32.0, 48.0)
