"""The assertions of `tf.debugging`: which pass, and what the others say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf

debugging = tf.debugging
INVALID = tf.errors.InvalidArgumentError
OPERATORS = {
    "equal": (np.equal, "=="),
    "none_equal": (np.not_equal, "!="),
    "less": (np.less, "<"),
    "less_equal": (np.less_equal, "<="),
    "greater": (np.greater, ">"),
    "greater_equal": (np.greater_equal, ">="),
}


def raised(error, function, *args, **kwargs):
    with pytest.raises(error) as info:
        function(*args, **kwargs)
    return str(info.value)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=4), st.sampled_from(sorted(OPERATORS)))
def test_comparisons_agree_with_numpy(pairs, name):
    x, y = np.array(pairs, np.int32).reshape(-1, 2).T
    function = getattr(debugging, f"assert_{name}")
    compare, symbol = OPERATORS[name]
    if compare(x, y).all():
        assert function(x, y) is None
    else:
        assert f"Condition x {symbol} y did not hold." in raised(INVALID, function, x, y)


def test_comparison_text():
    x, y = tf.constant([1, 2, 3]), tf.constant([1, 5, 6])
    assert raised(INVALID, debugging.assert_equal, x, y, message="my msg") == (
        "my msg\nCondition x == y did not hold.\nIndices of first 2 different values:\n[[1]\n [2]]\n"
        "Corresponding x values:\n[2 3]\nCorresponding y values:\n[5 6]\n"
        "First 3 elements of x:\n[1 2 3]\nFirst 3 elements of y:\n[1 5 6]"
    )
    assert raised(INVALID, debugging.assert_equal, 1, 2) == (
        "Condition x == y did not hold.\nFirst 1 elements of x:\n[1]\nFirst 1 elements of y:\n[2]"
    )
    text = raised(INVALID, debugging.assert_less, np.arange(8.0), np.zeros(8), summarize=-1)
    assert "Indices of first 8 different values" in text
    assert "First 8 elements of x:\n[0. 1. 2. 3. 4. 5. 6. 7.]" in text
    text = raised(INVALID, debugging.assert_greater, [[1, 2], [3, 4]], [1, 2])  # broadcast: no indices
    assert text == "Condition x > y did not hold.\nFirst 3 elements of x:\n[1 2 3]\nFirst 2 elements of y:\n[1 2]"


def test_comparison_of_what_does_not_fit():
    assert "Incompatible shapes: [2] vs. [3]" in raised(INVALID, debugging.assert_equal, [1, 2], [1, 2, 3])
    assert "was expected to be a float tensor but is a int32 tensor" in raised(
        INVALID, debugging.assert_equal, tf.constant(1.0), tf.constant(1)
    )
    raised(ValueError, debugging.assert_less, None, 1)
    debugging.assert_equal([], [])
    debugging.assert_equal("a", "a")
    debugging.assert_equal(tf.Variable(1), 1)


@pytest.mark.parametrize(
    ("name", "symbol", "passes", "fails"),
    [
        ("negative", "<", -1.0, 0.0),
        ("positive", ">", 1.0, 0.0),
        ("non_negative", ">=", 0.0, -1.0),
        ("non_positive", "<=", 0.0, 1.0),
    ],
)
def test_signs(name, symbol, passes, fails):
    function = getattr(debugging, f"assert_{name}")
    function([passes, 2 * passes])
    text = raised(INVALID, function, [passes, fails], message="M")
    assert text == (
        f"M.  \nCondition x {symbol} 0 did not hold element-wise:\nx (shape=(2,) dtype=float32) = \n['{passes}', '{fails}']"
    )
    raised(INVALID, function, [np.nan])
    assert "'...']" in raised(INVALID, function, [fails] * 5)


def test_near():
    debugging.assert_near([1.0, 2.0], [1.0, 2.0000001])
    debugging.assert_near(1.0, 1.1, rtol=0.2)
    text = raised(INVALID, debugging.assert_near, [1.0, 2.0], [1.0, 2.1], message="M")
    assert "x and y not equal to tolerance rtol = tf.Tensor(1.1920929e-06, shape=(), dtype=float32)" in text
    raised(INVALID, debugging.assert_near, np.float32("nan"), np.float32("nan"))
    raised(ValueError, debugging.assert_near, 1, 1)


def test_ranks():
    debugging.assert_rank([1], 1)
    debugging.assert_rank_at_least([[1]], 1)
    debugging.assert_rank_in([1], (1, 3))
    assert raised(ValueError, debugging.assert_rank, [1], 2, message="M") == (
        "M.  Tensor  must have rank 2.  Received rank 1, shape (1,)"
    )
    assert "must have rank in (2, 3)" in raised(ValueError, debugging.assert_rank_in, [1], (2, 3))
    assert "must have rank at least 2" in raised(ValueError, debugging.assert_rank_at_least, [1], 2)
    assert "Rank must be a scalar" in raised(ValueError, debugging.assert_rank, [1], [1, 2])
    assert "must be of type tf.int32; got tf.float32" in raised(TypeError, debugging.assert_rank, [1], 1.5)
    assert raised(ValueError, debugging.assert_scalar, [1]) == "Expected scalar shape, saw shape: (1,)."


def test_dtypes():
    debugging.assert_integer([1])
    debugging.assert_type(tf.constant(1.0), tf.float32)
    assert "Found: tensor of dtype <dtype: 'float32'>" in raised(TypeError, debugging.assert_integer, [1.0])
    assert raised(TypeError, debugging.assert_type, tf.constant(1.0), tf.int32) == (
        "tensor must be of type tf.int32; got tf.float32"
    )
    one, two = tf.constant(1.0), tf.constant(1.0, tf.float64)
    assert debugging.assert_same_float_dtype([one, None]) is tf.float32
    assert "must be of the same type" in raised(ValueError, debugging.assert_same_float_dtype, [one, two])
    assert "Expected floating point type" in raised(ValueError, debugging.assert_same_float_dtype, [tf.constant(1)])
    assert [debugging.is_numeric_tensor(x) for x in (one, tf.constant("a"), tf.constant(True), 1)] == [
        True,
        False,
        False,
        False,
    ]
    debugging.assert_proper_iterable([1])
    for wrong in (tf.constant([1]), "ab", np.ones(2)):
        assert '"proper" iterable' in raised(TypeError, debugging.assert_proper_iterable, wrong)
    assert "to be iterable" in raised(TypeError, debugging.assert_proper_iterable, 5)


X, W, S = tf.constant(np.ones((2, 3), np.float32)), tf.constant(np.ones((3, 5), np.float32)), tf.constant(1.0)


@pytest.mark.parametrize(
    "shapes",
    [
        [(X, ("N", "K")), (W, ("K", "M")), (S, ())],
        [(X, (None, 3))],
        [(X, (".", 3))],
        [(X, (..., 3))],
        [(X, ("*", "K")), (W, ("K", "M"))],
        [(X, "NK")],
        [(X, ("2", "3"))],
        [(S, ("N",)), (S, (1,)), (S, (..., "N"))],
        [],
    ],
)
def test_shapes_that_hold(shapes):
    assert debugging.assert_shapes(shapes) is None


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        (
            [(X, ("N", "K")), (W, ("N", "M"))],
            "Specified by tensor shape=(2, 3) dtype=float32 dimension 0.  Tensor shape=(3, 5) dtype=float32 dimension "
            "0 must have size 2.  Received size 3, shape (3, 5)",
        ),
        ([(X, (2, 4))], "Specified explicitly.  Tensor shape=(2, 3) dtype=float32 dimension 1 must have size 4."),
        ([(X, (..., 4))], "dimension -1 must have size 4."),
        ([(X, ("N", ...))], "is only allowed as the first entry"),
        ([(X, ("N",))], "must have rank in (0, 1).  Received rank 2"),
        ([(S, 1)], "Specified shape must be an iterable."),
        ([(X, ("N", "N"))], "dimension 1 must have size 2.  Received size 3"),
    ],
)
def test_shapes_that_do_not(shapes, text):
    assert text in raised(ValueError, debugging.assert_shapes, shapes)


def test_assert():
    debugging.Assert(tf.constant(True), [])
    tf.Assert([True, False], [1])  # Python's truth, as in TensorFlow
    assert raised(INVALID, debugging.Assert, False, ["msg", tf.constant([1, 2])]) == (
        "Expected 'False' to be true. Summarized data: b'msg'\n1, 2"
    )
    text = raised(INVALID, debugging.Assert, tf.constant(1) > 2, [np.arange(9)], summarize=2)
    assert text.startswith("Expected 'tf.Tensor(False, shape=(), dtype=bool)' to be true.")
    raised(TypeError, debugging.Assert, False, 1)


@pytest.mark.parametrize(
    ("value", "what"),
    [([1.0, np.nan], "NaN"), ([1.0, -np.inf], "Inf"), ([np.inf, np.nan], "Inf and NaN")],
)
def test_check_numerics(value, what):
    assert f"msg : Tensor had {what} values" in raised(INVALID, debugging.check_numerics, value, "msg")
    assert f"msg : Tensor had {what} values" in raised(INVALID, debugging.assert_all_finite, value, "msg")


def test_check_numerics_is_the_identity_with_a_checked_gradient():
    x = tf.constant([4.0, 9.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = debugging.check_numerics(x, "x") * x
    assert tape.gradient(y, x).numpy().tolist() == [8.0, 18.0]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = debugging.check_numerics(x, "x")
    with pytest.raises(INVALID, match="detected in gradient"):
        tape.gradient(y, x, output_gradients=[tf.constant([np.inf, 1.0])])


def test_enable_check_numerics():
    one, zero = tf.constant(1.0), tf.constant(0.0)
    debugging.enable_check_numerics()
    try:
        text = raised(INVALID, lambda: one / zero)
        assert "!!! Detected Infinity or NaN in output 0" in text
        assert "Tensor had Inf values" in text
        assert float(one + one) == 2.0
    finally:
        debugging.disable_check_numerics()
    assert np.isinf(one / zero)


def test_check_numerics_sees_operators_and_gradients():
    big, root = tf.constant(3e38), tf.Variable(0.0)
    with tf.GradientTape(persistent=True) as tape:
        y = root**0.5
    debugging.enable_check_numerics()
    try:
        for function in (lambda: big * big, lambda: big + big, lambda: -big - big, lambda: tape.gradient(y, root)):
            assert "Tensor had Inf values" in raised(INVALID, function)
    finally:
        debugging.disable_check_numerics()
    assert np.isinf(big * big) and np.isinf(tape.gradient(y, root))


def test_assertions_join_a_graph():
    graph = tf.__internal__.FuncGraph("f") if hasattr(tf.__internal__, "FuncGraph") else tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [3])
        debugging.assert_positive(x, message="M")
        debugging.assert_equal(x, x + 0.0)
        y = x * 2.0
    assert [value.numpy().tolist() for value in graph.run([np.array([1, 2, 3], np.float32)], [y])] == [[2.0, 4.0, 6.0]]
    with pytest.raises(INVALID, match=r"assertion failed: .*Condition x > 0 did not hold"):
        graph.run([np.array([1, -2, 3], np.float32)], [y])
