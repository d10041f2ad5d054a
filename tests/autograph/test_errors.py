"""What the user reads when converted code goes wrong: the text, and his own file, line and variable."""

import logging
import pathlib
import re
import traceback

import pytest
from autograph_programs import function_of

import tapeflow as tf
from tapeflow.trace.autograph import convert

X = tf.TensorSpec([], tf.float32)
N = tf.TensorSpec([], tf.int32)
V = tf.TensorSpec([3], tf.float32)


def raised(source, *specs, **namespace):
    """The error of tracing the function that `source` defines: (its class, its text with `FILE` for the file)."""
    function = function_of(source, tf=tf, **namespace)
    with pytest.raises(Exception) as info:
        tf.function(function).get_concrete_function(*specs)
    text = str(info.value).replace(function.__code__.co_filename, "FILE")
    return type(info.value), text


# A variable without a value


def test_variable_undefined_in_one_branch():
    source = """\
def program(x):
    if x > 0:
        y = x
    return y
"""
    assert raised(source, X) == (
        ValueError,
        "'y' must also be initialized in the else branch: the condition at FILE:2 is a tensor, so that both branches are traced, "
        "and only the main branch sets 'y'. Set it there too, or before.",
    )
    kind, text = raised(source.replace("y = x\n", "pass\n    else:\n        y = x\n"), X)
    assert kind is ValueError
    assert text.startswith("'y' must also be initialized in the main branch: the condition at FILE:2 is a tensor")


def test_variable_undefined_before_a_loop():
    source = """\
def program(n):
    while n > 0:
        s = s + n
        n -= 1
    return s
"""
    assert raised(source, N) == (
        ValueError,
        "'s' must be defined before the loop: the loop at FILE:2 is a TensorFlow loop, whose variables need a shape and a dtype. "
        "Set 's' to a tensor before it.\nNote: AutoGraph tried to define it automatically, but ran into a UnboundLocalError: 's' is "
        "used before assignment",
    )


def test_variable_that_was_deleted():
    source = """\
def program(x):
    y = 1
    del y
    if x > 0:
        x = x + y
    return x
"""
    assert raised(source, X) == (UnboundLocalError, "'y' is used before assignment")


def test_return_on_one_path_only():
    source = """\
def program(x):
    if x > 0:
        return x
"""
    assert raised(source, X) == (
        ValueError,
        "the else branch must also have a return statement: a value is returned in the other branch of the condition at FILE:2, but "
        "program does not return one on every path. Return a value of the same dtype at the end of program.",
    )
    source = """\
def program(n):
    for i in tf.range(n):
        if i > 2:
            return i
"""
    kind, text = raised(source, N)
    assert kind is ValueError and "must also have a return statement" in text and "FILE:3" in text
    assert raised("def program(n):\n    for i in tf.range(n):\n        return i\n", N) == (
        ValueError,
        "a return statement must also follow the loop: a value is returned within the loop at FILE:2, but program does not return "
        "one on every path. Return a value of the same dtype at the end of program.",
    )


# Branches that differ


def test_none_in_one_branch():
    source = """\
def program(x):
    y = None
    if x > 0:
        y = x
    return y
"""
    assert raised(source, X) == (
        ValueError,
        "'y' is None at the end of the else branch. It is a tensor of dtype float32 and shape () at the end of the other, and the "
        "condition at FILE:3 is a tensor: give it a tensor in both branches.",
    )


def test_dtypes_of_branches():
    source = """\
def program(x):
    if x > 0:
        y = 1
    else:
        y = 2.0
    return y
"""
    assert raised(source, X) == (
        TypeError,
        "'y' has dtype int32 in the main branch, but dtype float32 in the else branch of the condition at FILE:2. Use tf.cast in "
        "one of them.",
    )
    assert raised("def program(x):\n    return 1 if x > 0 else 2.0\n", X) == (
        TypeError,
        "'x > 0' has dtype int32 in the main branch, but dtype float32 in the else branch of the condition at FILE:2. Use tf.cast "
        "in one of them.",
    )


def test_dtypes_of_what_is_returned():
    source = "def program(x):\n    if x > 0:\n        return 1\n    return x\n"
    assert raised(source, X) == (
        TypeError,
        "'retval_' (what the function returns) has dtype int32 in the main branch, but dtype float32 in the else branch of the "
        "condition at FILE:2. Use tf.cast in one of them.",
    )


def test_structures_of_branches():
    source = """\
def program(x):
    if x > 0:
        y = (x, x)
    else:
        y = [x]
    return y
"""
    kind, text = raised(source, X)
    assert kind is TypeError
    assert text.startswith(
        "'y' must have the same nested structure in the main and else branches of the condition at FILE:2:\n\n"
    )
    assert "Entire first structure:\n(., .)\nEntire second structure:\n[.]" in text


def test_objects_of_branches():
    source = """\
def program(x):
    if x > 0:
        y = one
    else:
        y = x
    return y
"""
    kind, text = raised(source, X, one=object())
    assert kind is TypeError
    assert text == (
        "'y' is a object in the main branch, but a tensor of dtype float32 and shape () in the else branch of the condition at "
        "FILE:2, which is a tensor: only tensors can depend on it."
    )


# Iterations that differ


def test_dtypes_of_iterations():
    source = """\
def program(n):
    s = 0
    while n > 0:
        s = tf.cast(n, tf.float32)
        n -= 1
    return s
"""
    assert raised(source, N) == (
        TypeError,
        "'s' has dtype int32 before the loop, but dtype float32 after one iteration (FILE:3). Start with tf.constant(..., "
        "tf.float32), or use tf.cast in the loop.",
    )


def test_python_number_that_became_a_tensor_of_its_dtype():
    source = """\
def program(n):
    s = 0
    for i in tf.range(n):
        s = s + 0.5
    return s
"""
    function = function_of(source, tf=tf)
    with pytest.raises((TypeError, tf.errors.InvalidArgumentError)) as info:
        tf.function(function).get_concrete_function(N)
    (note,) = info.value.__notes__
    assert note.replace(function.__code__.co_filename, "FILE") == (
        "In the loop at FILE:3 's', which is 0 before it, is a tensor of dtype int32. Start with a number of the dtype that it "
        "is to have."
    )


def test_shapes_of_iterations():
    source = """\
def program(n):
    s = tf.zeros([1, 2])
    for i in tf.range(n):
        s = tf.concat([s, s], 0)
    return s
"""
    assert raised(source, N) == (
        ValueError,
        "'s' has shape (1, 2) before the loop, but shape (2, 2) after one iteration. Use "
        "tf.autograph.experimental.set_loop_options to set shape invariants (FILE:3): as the first statement of the loop, "
        "tf.autograph.experimental.set_loop_options(shape_invariants=[(s, tf.TensorShape([None, 2]))]).",
    )
    invariant = source.replace(
        "        s =", "        tf.autograph.experimental.set_loop_options(shape_invariants=[(s, {})])\n        s ="
    )
    assert raised(invariant.format("[3, 2]"), N) == (
        ValueError,
        "'s' has shape (1, 2) before the loop, which does not conform with the shape invariant (3, 2) (FILE:3).",
    )
    assert raised(invariant.format("tf.TensorShape([1, None])"), N) == (
        ValueError,
        "'s' has shape (2, None) after one iteration, which does not conform with the shape invariant (1, None) (FILE:3).",
    )
    function = tf.function(function_of(invariant.format("tf.TensorShape([None, 2])"), tf=tf))
    assert function(tf.constant(2)).shape == [4, 2]


def test_structures_of_iterations():
    source = """\
def program(n):
    s = (n,)
    while n > 0:
        s = (n, n)
        n -= 1
    return s
"""
    kind, text = raised(source, N)
    assert kind is TypeError
    assert text.startswith("'s' does not have the same nested structure after one iteration of the loop at FILE:3.\n\n")


def test_none_after_an_iteration():
    source = """\
def program(n):
    s = n
    for i in tf.range(n):
        s = None
    return s
"""
    assert raised(source, N) == (
        ValueError,
        "'s' is None at the end of the iteration. It is a tensor of dtype int32 and shape () before the loop (FILE:3): give it a "
        "tensor.",
    )


def test_objects_that_change_in_a_loop():
    source = """\
def program(n):
    s = object()
    while n > 0:
        s = object()
        n -= 1
    return n
"""
    assert raised(source.replace("return n", "return (n, s)[0]"), N) == (
        TypeError,
        "'s' is a object before the loop, but a object after one iteration (FILE:3). Only tensors can change in a TensorFlow loop: "
        "start with a tensor.",
    )


# Conditions


def test_conditions_that_are_no_boolean_scalars():
    source = "def program(v):\n    if v > 0:\n        v = -v\n    return v\n"
    kind, text = raised(source, V)
    assert kind is ValueError
    assert re.fullmatch(
        r"condition of if statement expected to be `tf.bool` scalar, got Tensor\(.*, shape=\(3,\), dtype=bool\); to check for None, "
        r"use `is not None`; to ask whether it holds for all or for any element, use tf.reduce_all or tf.reduce_any \(FILE:2\)\.",
        text,
    )
    kind, text = raised("def program(n):\n    while n:\n        n -= 1\n    return n\n", N)
    assert kind is ValueError
    assert re.fullmatch(
        r"condition of while loop expected to be `tf.bool` scalar, got Tensor\(.*, shape=\(\), dtype=int32\); to use as boolean "
        r"Tensor, use `tf.cast`; to check for None, use `is not None` \(FILE:2\)\.",
        text,
    )


# Symbolic tensors where Python needs a value


def test_bool_where_autograph_does_not_convert():
    kind, text = raised("def program(x):\n    return bool(x > 0)\n", X)
    assert kind is tf.errors.OperatorNotAllowedInGraphError
    assert text.startswith("Using a symbolic `tf.Tensor` as a Python `bool` is not allowed")
    assert (
        "\nThe value is needed at FILE:2\n    return bool(x > 0)\nAutoGraph converted program, but it converts statements (if, "
        "while, for), and, or, not and conditional expressions only" in text
    )


def test_bool_in_what_could_not_be_converted(caplog):
    source = """\
def program(n):
    while n > 0:
        n -= 1
    else:
        n = 5
    return n
"""
    function = function_of(source)
    path = function.__code__.co_filename
    with caplog.at_level(logging.WARNING, "tapeflow.autograph"):
        for _ in range(2):
            with pytest.raises(tf.errors.OperatorNotAllowedInGraphError) as info:
                tf.function(function).get_concrete_function(N)
    assert str(info.value).endswith(
        f"\nThe value is needed at {path}:2\n    while n > 0:\nAutoGraph could not convert program: while/else is not supported. "
        "Instead, set a flag before `break` and test it after the loop, in place of `else`."
    )
    (record,) = caplog.records  # one warning, however often it runs
    assert record.getMessage().replace(str(function), "F").replace(path, "FILE") == (
        "AutoGraph could not transform F and will run it as-is.\n"
        "Cause: while/else is not supported\n"
        "FILE:5\n"
        "    n = 5\n"
        "Instead, set a flag before `break` and test it after the loop, in place of `else`.\n"
        "To silence this warning, decorate the function with @tf.autograph.experimental.do_not_convert"
    )


@pytest.mark.parametrize(
    "lines, cause, line",
    [
        ("for i in [1]:\n    x = x\nelse:\n    x = 2", "for/else is not supported", 5),
        ("match x:\n    case 1:\n        x = 2", "match is not supported", 2),
        ("y = 1\nwhile (y := y - 1) > 0:\n    x = x", ":= is not supported", 3),
        ("y = x or (z := 3)", ":= is not supported", 2),
        ("try:\n    x = x\nexcept* ValueError:\n    x = 1", "except* is not supported", 2),
    ],
)
def test_unsupported_constructs_run_as_they_are(lines, cause, line, caplog):
    body = "".join(f"    {text}\n" for text in lines.splitlines())
    function = function_of(f"def program(x):\n{body}    return x\n")
    with caplog.at_level(logging.WARNING, "tapeflow.autograph"):
        assert convert(function)(3) == function(3)
    (record,) = caplog.records
    assert f"Cause: {cause}\n{function.__code__.co_filename}:{line}\n" in record.getMessage()
    assert "\nInstead, " in record.getMessage()


def test_bool_in_library_code():
    kind, text = raised("def program(x, y):\n    return max([x, y], key=lambda v: v)\n", X, X)
    assert kind is tf.errors.OperatorNotAllowedInGraphError and "AutoGraph converted program" in text
    kind, text = raised("def program(x):\n    return bisect.insort([1.0], x)\n", X, bisect=__import__("bisect"))
    assert kind is tf.errors.OperatorNotAllowedInGraphError
    import statistics

    kind, text = raised("def program(x):\n    return textwrap.fill('a b', x)\n", X, textwrap=__import__("textwrap"))
    assert "AutoGraph leaves the library textwrap as it is" in text and statistics


def test_layers_that_keras_calls():
    """As in TensorFlow with Keras 3, Keras calls `call` without converting it; the error says what to do."""
    layers = tf.keras.layers

    class Half(layers.Layer):
        def call(self, x):
            if tf.reduce_sum(x) > 0:
                return x / 2
            return x

    layer = Half()
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError) as info:
        tf.function(lambda x: layer(x))(tf.ones([2]))
    assert "AutoGraph did not convert" in str(info.value) and "Decorate it with @tf.function" in str(info.value)
    Half.call = tf.function(Half.call)  # what it says
    model = tf.keras.Sequential([layers.Input((2,)), Half()])
    assert model(tf.constant([[1.0, 2.0]])).numpy().tolist() == [[0.5, 1.0]]
    assert model.predict(tf.constant([[-1.0, -2.0]]), verbose=0).tolist() == [[-1.0, -2.0]]
    # called by converted code it is converted, as any method
    assert tf.function(lambda x: layer.call(x))(tf.ones([2])).numpy().tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "expression, text",
    [
        ("[1, 2, 3][n]", "cannot be used as a Python index or integer"),
        ("'%d' % n", None),
    ],
)
def test_indices_and_numbers(expression, text):
    kind, found = raised(f"def program(n):\n    return {expression}\n", N)
    assert kind in (TypeError, ValueError, NotImplementedError)
    assert text is None or text in found
    assert f"The value is needed at FILE:2\n    return {expression}\nAutoGraph converted program, but" in found


def test_unconverted_range_and_int():
    plain = tf.autograph.experimental.do_not_convert
    for function in (range, int, float):
        kind, text = raised(
            "def program(n):\n    return plain(n)\n", N, plain=plain(lambda m, function=function: function(m))
        )
        assert kind is TypeError and "do_not_convert" in text and "The value is needed at" in text


def test_iteration_in_a_comprehension():
    source = "def program(v):\n    return [2 * x for x in v]\n"
    kind, text = raised(source, tf.TensorSpec([None], tf.float32))
    assert kind is tf.errors.OperatorNotAllowedInGraphError
    assert text.startswith("Iterating over a symbolic `tf.Tensor` is not allowed")
    assert "The value is needed at FILE:2\n    return [2 * x for x in v]\nAutoGraph converted program" in text
    kind, text = raised("def program(v):\n    return list(enumerate(v))\n", tf.TensorSpec([None], tf.float32))
    assert kind is tf.errors.OperatorNotAllowedInGraphError and "enumerate(...) of tensors without a value" in text


# Tensors that leave their trace


def test_tensors_that_leak_out_of_a_loop_a_branch_or_a_function():
    loop = """\
def program(n):
    found = []
    for i in tf.range(n):
        found.append(
            i * 2)
    return found
"""
    kind, text = raised(loop, N)
    assert issubclass(kind, ValueError) and issubclass(kind, TypeError)
    assert re.fullmatch(
        r"<tf.Tensor '.*' shape=\(\) dtype=int32> is out of scope and cannot be used here. Use return values, explicit Python locals "
        r"or TensorFlow collections to access it: it was made at FILE:5 and belongs to a function, branch or loop whose tracing has "
        r"ended. Return it from the function, assign it to a variable of the branch or loop, or keep it in a tf.Variable, or in a "
        r"tf.TensorArray where a loop makes one in each iteration.",
        text,
    )
    branch = "def program(n):\n    found = []\n    if n > 0:\n        found.append(n * 2)\n    return found[0] + 1\n"
    assert "it was made at FILE:4 and belongs to" in raised(branch, N)[1]
    kept = []
    function = function_of("def program(n):\n    kept.append(n * 2)\n    return n\n", kept=kept)
    tf.function(function)(tf.constant(1))
    path = function.__code__.co_filename
    for use in (lambda: kept[0] + 1, lambda: tf.function(lambda: kept[0] + 1)(), lambda: tf.negative(kept[0])):
        with pytest.raises(TypeError, match=re.escape(f"it was made at {path}:2")):
            use()


# Tracebacks


class Custom(Exception):
    def __init__(self, code, detail):
        super().__init__(code)
        self.detail = detail


def _deep(x):
    for i in range(3):
        if i == 1:
            raise Custom(7, i)
    return x


def _middle(x):
    while x > 0:
        x = _deep(
            x,
        )
    return x


def _outer(x):
    if x > 0:
        return [_middle(x)]
    return []


def _lines(error):
    """(function, source line) of the frames in this file."""
    return [(frame.name, frame.line) for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]


def test_tracebacks_hold_the_users_frames():
    with pytest.raises(Custom) as info:
        tf.function(_outer)(tf.constant(1.0))
    error = info.value
    assert (error.args, error.detail) == ((7,), 1)
    assert _lines(error)[1:] == [
        ("_outer", "if x > 0:"),
        ("_outer", "return [_middle(x)]"),
        ("_middle", "while x > 0:"),
        ("_middle", "x = _deep("),
        ("_deep", "for i in range(3):"),
        ("_deep", "if i == 1:"),
        ("_deep", "raise Custom(7, i)"),
    ]
    frames = traceback.extract_tb(error.__traceback__)
    inside = [
        frame for frame in frames if pathlib.Path(frame.filename).parent.name == "autograph" and frame.filename != __file__
    ]
    assert len(inside) <= 1  # the entry; nothing of the operators


def test_tracebacks_can_be_whole():
    tf.debugging.disable_traceback_filtering()
    try:
        with pytest.raises(Custom) as info:
            tf.function(_outer)(tf.constant(1.0))
    finally:
        tf.debugging.enable_traceback_filtering()
    assert "if_stmt" in [frame.name for frame in traceback.extract_tb(info.value.__traceback__)]


def test_errors_of_ops_show_the_line():
    source = (
        "def program(v):\n    y = v\n    if tf.reduce_sum(y) > 0:\n        y = tf.matmul(y, tf.ones([2, 2]))\n    return y\n"
    )
    function = function_of(source, tf=tf)
    with pytest.raises(Exception) as info:
        tf.function(function).get_concrete_function(V)
    path = function.__code__.co_filename
    found = [
        (frame.name, frame.lineno) for frame in traceback.extract_tb(info.value.__traceback__) if frame.filename == path
    ]
    assert found == [("program", 3), ("program", 4)]


def test_a_line_that_spans_lines():
    source = "def program(x):\n    return boom(\n        x,\n        3,\n    ) + 1\n"

    def boom(x, y):
        raise KeyError("a\nb")

    function = function_of(source, boom=boom)
    with pytest.raises(KeyError) as info:
        convert(function)(1)
    (line,) = [
        f.lineno for f in traceback.extract_tb(info.value.__traceback__) if f.filename == function.__code__.co_filename
    ]
    assert line == 2


def test_errors_leave_nothing_behind():
    from tapeflow.core.state import state
    from tapeflow.trace.autograph.status import status

    with pytest.raises(Custom):
        tf.function(_outer)(tf.constant(1.0))
    assert status.scopes == [] and status.enabled is None and state.graph is None
