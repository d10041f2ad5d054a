"""Branches and loops, eagerly: values, nests, gradients, and TensorFlow's errors."""

import collections

import numpy as np
import pytest

import tapeflow as tf

c = tf.constant
Pair = collections.namedtuple("Pair", "a b")


def test_cond():
    assert tf.cond(True, lambda: 1, lambda: 2) == 1
    assert tf.cond(c(0.0), lambda: 1, lambda: 2) == 2
    assert tf.cond(tf.Variable(True), lambda: {"a": 1}, lambda: None) == {"a": 1}
    assert tf.cond(c([True]), lambda: 1, lambda: 2) == 1
    with pytest.raises(TypeError, match="'true_fn' must be callable"):
        tf.cond(True, 1, lambda: 2)
    with pytest.raises(TypeError, match="'false_fn' must be callable"):
        tf.cond(True, lambda: 1)
    with pytest.raises(ValueError, match="unsupported type"):
        tf.cond(None, lambda: 1, lambda: 2)
    with pytest.raises(ValueError, match="ambiguous"):
        tf.cond(c([True, False]), lambda: 1, lambda: 2)


def test_cond_has_the_gradient_of_its_branch():
    x = c(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.cond(x > 2, lambda: x * x, lambda: x)
    assert float(tape.gradient(y, x)) == 6.0


def test_case():
    yes, no = c(True), c(False)
    assert tf.case([(no, lambda: 1), (yes, lambda: 2), (yes, lambda: 3)]) == 2
    assert tf.case([(no, lambda: 1)], default=lambda: 9) == 9
    with pytest.raises(tf.errors.InvalidArgumentError, match="None of conditions evaluated as True"):
        tf.case([(no, lambda: 1)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="More than one condition evaluated as True"):
        tf.case([(yes, lambda: 1), (yes, lambda: 2)], exclusive=True)
    for wrong, text in (
        (5, "must be a list, tuple, or dict"),
        ([yes], "must be a 2-tuple"),
        ([(True, lambda: 1)], "pred must be a Tensor"),
        ([(yes, 5)], "must be callable"),
        ([(c(1), lambda: 1)], "boolean"),
    ):
        with pytest.raises(TypeError, match=text):
            tf.case(wrong)


def test_switch_case():
    branches = [lambda: "a", lambda: "b"]
    assert [tf.switch_case(c(i), branches) for i in (-1, 0, 1, 7)] == ["b", "a", "b", "b"]
    assert tf.switch_case(c(-5), branches, default=lambda: "z") == "z"
    assert tf.switch_case(c(2), {2: lambda: "two", 0: lambda: "zero", 1: lambda: "one"}) == "two"
    assert tf.switch_case(c(1, tf.int64), [(1, lambda: 4), (0, lambda: 5)]) == 4
    for index, wrong, error, text in (
        (1, branches, TypeError, "'branch_index' must be a Tensor"),
        (c(1.0), branches, TypeError, "must be an integer Tensor"),
        (c(0), [], ValueError, "Must provide at least one item"),
        (c(0), 5, TypeError, "must be a list, tuple, or dict"),
        (c(0), [1], TypeError, "must be a 2-tuple"),
        (c(0), {"a": branches[0]}, TypeError, "key must be a Python `int`"),
        (c(0), {0: 5}, TypeError, "fn for key 0 must be callable"),
        (c(0), {0: branches[0], 3: branches[1]}, ValueError, r"contiguous range of \[0 to 2\) but found {0,3}"),
        (c([0]), branches, tf.errors.InvalidArgumentError, "must be a scalar"),
    ):
        with pytest.raises(error, match=text):
            tf.switch_case(index, wrong)


def test_while_loop():
    i, x = tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, 1.0))
    assert (i.dtype, int(i), float(x)) == (tf.int32, 3, 8.0)
    assert [int(n) for n in tf.while_loop(lambda i: i < 3, lambda i: [i + 1], [c(0)])] == [3]
    assert int(tf.while_loop(lambda i: i < 3, lambda i: i + 1, [c(0)])[0]) == 3
    assert int(tf.while_loop(lambda i: True, lambda i: [i + 1], [c(0)], maximum_iterations=4)[0]) == 4
    assert tf.while_loop(lambda i: False, lambda i: [i], [5])[0].dtype is tf.int32
    _, d = tf.while_loop(lambda i, d: i < 3, lambda i, d: (i + 1, {"a": d["a"] + 2}), [c(0), {"a": c(0)}])
    assert int(d["a"]) == 6
    grown = tf.while_loop(
        lambda i, x: i < 2,
        lambda i, x: (i + 1, tf.stack([x, x])),
        [c(0), c(1.0)],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape(None)],
    )
    assert grown[1].shape == (2, 2)


@pytest.mark.parametrize(
    ("cond", "body", "loop_vars", "options", "error", "text"),
    [
        (1, lambda i: i, [0], {}, TypeError, "'cond' must be callable"),
        (lambda i: True, 1, [0], {}, TypeError, "'body' must be callable"),
        (lambda i: True, lambda i: i, [], {}, ValueError, "'loop_vars' must be provided"),
        (lambda i: True, lambda i: i, c(0), {}, ValueError, "'loop_vars' must be provided"),
        (lambda i: True, lambda i: i, [0], {"parallel_iterations": 0}, TypeError, "must be a positive integer"),
        (lambda i: i < 3, lambda i: (i + 1, i), [c(0)], {}, ValueError, "don't have the same nested structure"),
        (lambda i, d: True, lambda i, d: (i, [d]), [c(0), {"a": c(0)}], {}, TypeError, "same nested structure"),
        (lambda i, j: True, lambda i, j: i, [c(0), c(1)], {}, TypeError, "must return 2 loop variables"),
        (lambda n: True, lambda n: Pair(n.a, n.b), [Pair(c(0), c(1))], {}, ValueError, "same nested structure"),
    ],
)
def test_loops_that_are_refused(cond, body, loop_vars, options, error, text):
    with pytest.raises(error, match=text):
        tf.while_loop(cond, body, loop_vars, **options)


def test_gradient_through_a_loop():
    x = c(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v * x), (0, c(1.0)))[1]
    assert float(tape.gradient(y, x)) == 27.0


def test_map_fn():
    x = c([1, 2, 3])
    assert tf.map_fn(lambda v: v * 2, x).numpy().tolist() == [2, 4, 6]
    assert tf.map_fn(lambda v: tf.stack([v, v]), x).shape == (3, 2)
    mapped = tf.map_fn(lambda p: p[0] + p[1], (x, c([4, 5, 6])), fn_output_signature=tf.int32)
    assert mapped.numpy().tolist() == [5, 7, 9]
    pair = tf.map_fn(lambda v: (v, -v), x, fn_output_signature=(tf.int32, tf.int32))
    assert [part.numpy().tolist() for part in pair] == [[1, 2, 3], [-1, -2, -3]]
    assert tf.map_fn(lambda d: d["a"], {"a": x, "b": x}, fn_output_signature=tf.int32).shape == (3,)
    assert tf.map_fn(lambda v: 5, x).numpy().tolist() == [5, 5, 5]
    assert tf.map_fn(lambda v: "a", x, fn_output_signature=tf.string).dtype is tf.string
    assert tf.map_fn(lambda v: v, np.zeros((0, 2)), fn_output_signature=tf.TensorSpec([2], tf.float64)).shape == (0, 2)
    assert tf.map_fn(lambda v: v, x, dtype=tf.TensorSpec([], tf.int32)).shape == (3,)


@pytest.mark.parametrize(
    ("fn", "elems", "signature", "error", "text"),
    [
        (1, [1], None, TypeError, "not callable"),
        (lambda v: v, c(1), None, ValueError, r"must be 1\+ dimensional Tensors, not scalars"),
        (lambda v: v, [], None, ValueError, "does not contain any Tensors"),
        (lambda v: v, (c([1, 2]), c([1, 2, 3])), None, ValueError, "Dimensions 2 and 3 are not compatible"),
        (
            lambda v: v,
            c([1, 2]),
            tf.float32,
            tf.errors.InvalidArgumentError,
            "TensorArray dtype is float32 but Op is trying",
        ),
        (lambda v: [v, v], c([1, 2]), (tf.int32, tf.int32), TypeError, "same sequence type"),
        (lambda v: (v, v), c([1, 2]), None, ValueError, "same nested structure"),
        (lambda v: None, c([1, 2]), None, ValueError, "unsupported type"),
        (lambda v: np.zeros(int(v), np.int32), c([1, 2]), None, ValueError, r"Incompatible shape for value \(\(2,\)\)"),
        (lambda v: v, c([1, 2]), tf.TensorSpec([3], tf.int32), ValueError, r"expected \(\(3,\)\)"),
    ],
)
def test_map_fn_refuses(fn, elems, signature, error, text):
    with pytest.raises(error, match=text):
        tf.map_fn(fn, elems, fn_output_signature=signature)


def test_folds():
    x = c([1, 2, 3, 4])
    assert int(tf.foldl(lambda a, v: a - v, x)) == 1 - 2 - 3 - 4
    assert int(tf.foldr(lambda a, v: a - v, x)) == 4 - 3 - 2 - 1
    assert int(tf.foldl(lambda a, v: a - v, x, initializer=c(10))) == 0
    pair = tf.foldl(lambda a, v: (a[0] + v, a[1] * v), x, initializer=(c(0), c(1)))
    assert [int(n) for n in pair] == [10, 24]
    assert float(tf.foldl(lambda a, v: a + v, c([1.0, 2.0]), initializer=10)) == 13.0
    assert float(tf.foldr(lambda a, v: a + v, np.zeros(0, np.float32), initializer=c(1.0))) == 1.0
    with pytest.raises(tf.errors.OutOfRangeError):
        tf.foldl(lambda a, v: a, c([]))
    with pytest.raises(ValueError, match="same nested structure"):
        tf.foldl(lambda a, v: (a, a), x)
    with pytest.raises(TypeError, match="positive integer"):
        tf.foldl(lambda a, v: a, x, parallel_iterations=0)


def test_scan():
    x = c([1, 2, 3])
    assert tf.scan(lambda a, v: a + v, x).numpy().tolist() == np.cumsum([1, 2, 3]).tolist()
    assert tf.scan(lambda a, v: a + v, x, initializer=c(10)).numpy().tolist() == [11, 13, 16]
    assert tf.scan(lambda a, v: a + v, x, reverse=True).numpy().tolist() == [6, 5, 3]
    assert tf.scan(lambda a, v: a + v, x, reverse=True, initializer=c(10)).numpy().tolist() == [16, 15, 13]
    sums, products = tf.scan(lambda a, v: (a[0] + v, a[1] * v), x, initializer=(c(0), c(1)))
    assert (sums.numpy().tolist(), products.numpy().tolist()) == ([1, 3, 6], [1, 2, 6])
    assert tf.scan(lambda a, v: a + v, np.zeros((0, 2)), initializer=np.zeros(2)).shape == (0, 2)
    with pytest.raises(tf.errors.OutOfRangeError):
        tf.scan(lambda a, v: a, np.zeros((0, 2)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="trying to write dtype"):
        tf.scan(lambda a, v: 1.5, x)


@pytest.mark.parametrize(
    ("loop", "gradient"),
    [
        (lambda x: tf.map_fn(lambda v: v * v, x), [2.0, 4.0, 6.0]),
        (lambda x: tf.scan(lambda a, v: a * v, x), [9.0, 4.0, 2.0]),
        (lambda x: tf.foldl(lambda a, v: a * v, x), [6.0, 3.0, 2.0]),
        (lambda x: tf.foldr(lambda a, v: a * v, x), [6.0, 3.0, 2.0]),
    ],
)
def test_gradients_of_loops_over_rows(loop, gradient):
    x = c([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = loop(x)
    assert tape.gradient(y, x).numpy().tolist() == gradient


def test_py_function():
    x = c(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.py_function(lambda v: v * v, [x], tf.float32)
    assert float(tape.gradient(y, x)) == 6.0
    assert tf.py_function(lambda: 1, [], tf.int32).dtype is tf.int32
    assert tf.py_function(lambda v: None, [x], []) == []
    two = tf.py_function(lambda v: (v, v + 1), [x], [tf.float32, tf.float32])
    assert [float(v) for v in two] == [3.0, 4.0]

    @tf.py_function(Tout=tf.float32)
    def double(v):
        return 2 * v

    assert float(double(x)) == 6.0


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (ValueError, tf.errors.InvalidArgumentError),
        (TypeError, tf.errors.InvalidArgumentError),
        (StopIteration, tf.errors.OutOfRangeError),
        (MemoryError, tf.errors.ResourceExhaustedError),
        (NotImplementedError, tf.errors.UnimplementedError),
        (KeyError, tf.errors.UnknownError),
    ],
)
def test_errors_of_python_functions(error, becomes):
    def fail(x):
        raise error("why")

    with pytest.raises(becomes, match=f"{error.__name__}: '?why"):
        tf.py_function(fail, [c(1.0)], tf.float32)
    with pytest.raises(error):
        tf.numpy_function(fail, [c(1.0)], tf.float32)


def test_py_function_refuses():
    for arguments, error, text in (
        ((5, [1.0], tf.float32), ValueError, "Expected func to be callable"),
        ((abs, None, tf.float32), TypeError, "Missing argument `inp`"),
        ((abs, [1.0], None), TypeError, "'Tout'"),
        (
            (lambda v: v, [c(1.0)], [tf.float32] * 2),
            tf.errors.InvalidArgumentError,
            "returns 1 values, but expects to see 2",
        ),
        ((lambda v: v, [c(1.0)], tf.int32), tf.errors.InvalidArgumentError, "requested dtype int32"),
    ):
        with pytest.raises(error, match=text):
            tf.py_function(*arguments)


def test_numpy_function():
    assert tf.numpy_function(lambda v: type(v).__name__, [c(1.0)], tf.string).numpy() == b"ndarray"
    assert tf.numpy_function(np.sort, [c([3, 1, 2])], tf.int32).numpy().tolist() == [1, 2, 3]
    assert isinstance(tf.numpy_function(lambda v: (v, v), [c(1.0)], [tf.float32] * 2), list)
    x = c(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.numpy_function(lambda v: v * v, [x], tf.float32)
    assert tape.gradient(y, x) is None


def test_python_functions_in_a_graph():
    calls = []
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [2])
        y = tf.py_function(lambda v: calls.append(1) or v * v, [x], tf.TensorSpec([2], tf.float32))
        z = tf.numpy_function(np.cumsum, [y], tf.float32)
        assert (y.shape.as_list(), z.shape.rank, calls) == ([2], None, [])
    assert graph.run([np.array([2.0, 3.0], np.float32)], [z])[0].numpy().tolist() == [4.0, 13.0]
    assert calls == [1]


def test_symbolic_control_flow_has_one_place_to_go():
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None])
        assert tf.cond(True, lambda: 1, lambda: 2) == 1
        for build in (
            lambda: tf.while_loop(lambda i: i < 3, lambda i: [i + 1], [c(0)]),
            lambda: tf.map_fn(lambda v: v, x),
        ):
            try:
                build()
            except NotImplementedError as error:
                assert "not traced yet" in str(error)
