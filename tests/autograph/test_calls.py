"""What is converted when converted code calls it, and how arguments, closures and classes come through."""

import contextlib
import functools
import gc
import logging
import os
import subprocess
import sys
import types
import weakref

import numpy as np
import pytest
from autograph_programs import function_of

import tapeflow as tf
from tapeflow.trace import autograph
from tapeflow.trace.autograph import convert


def positive(x):
    if x < 0:
        x = -x
    return x


def traced(function, *args):
    """The result of the function in a graph, as Python values; the inputs are tensors without values there."""
    result = tf.function(function)(*[tf.constant(x) for x in args])
    return tf.nest.map_structure(lambda x: x.numpy().tolist(), result)


def test_functions_are_converted_all_the_way_down():
    def doubled(x):
        return 2 * positive(x)

    def run(x):
        return doubled(x) + 1

    assert traced(run, -3) == 7


def test_recursion():
    def factorial(n):
        if n <= 1:
            return 1
        return n * factorial(n - 1)

    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    assert convert(factorial)(5) == 120
    assert traced(lambda x: power(positive(x), 4), -2) == 16


def test_several_lambdas_in_one_line():
    f, g = lambda x: x + 1 if x > 0 else x - 1, lambda x: x + 2 if x > 0 else x - 2
    assert traced(f, 3) == 4 and traced(g, 3) == 5 and traced(g, -3) == -5
    pair = [lambda x, k=k: (x if x > k else
                            k - x) for k in (1, 10)]  # fmt: skip
    assert [traced(h, 5) for h in pair] == [5, 5]
    assert [traced(h, 0) for h in pair] == [1, 10]
    nested = lambda x: (lambda y: y if y > 0 else -y)(x)  # noqa: E731
    assert traced(nested, -3) == 3
    assert convert(lambda: 7)() == 7


def test_arguments():
    def many(a, /, b, *rest, c=3, **more):
        if a > 0:
            a = a + sum(rest)
        return a + b + c + more.get("d", 0)

    def run(x):
        return many(x, 1), many(x, 1, 2, 3, c=0), many(x, b=1, d=100), many(*[x, 1], **{"c": 5})

    assert traced(run, 1) == (5, 7, 105, 7)
    defaults = many.__kwdefaults__
    many.__kwdefaults__ = {"c": 10}
    assert traced(run, 1)[0] == 12
    many.__kwdefaults__ = defaults


def test_annotations_and_docstrings():
    class Local:
        pass

    def f(x: Local, *, y: "Nowhere" = 1) -> Local:  # noqa: F821
        """What it does."""
        z: int = y
        if x > 0:
            z = x
        return z

    assert traced(f, 3) == 3 and traced(lambda x: f(x, y=5), -3) == 5


def test_partial():
    def scaled(factor, x, *, plus=0):
        if x > 0:
            return factor * x + plus
        return x

    assert traced(functools.partial(scaled, 3), 2) == 6
    twice = functools.partial(functools.partial(scaled, 3, plus=1), plus=2)
    assert traced(lambda x: twice(x) + twice(x=x), 2) == 16


def test_decorated_functions():
    def plus_one(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            result = function(*args, **kwargs)
            if result > 2:
                result = result + 1
            return result

        return wrapper

    @plus_one
    @plus_one
    def f(x):
        if x > 0:
            x = x + 1
        return x

    assert traced(f, 2) == 5 and traced(f, -2) == -2

    @contextlib.contextmanager
    def nothing():
        yield

    @nothing()
    def g(x):
        return x if x > 0 else -x

    assert traced(lambda x: g(x), -2) == 2


class Base:
    factor = 2

    def scaled(self, x):
        if x > 0:
            return self.factor * x
        return x

    @classmethod
    def made(cls, x):
        return x if x > cls.factor else -x

    @staticmethod
    def plain(x):
        return x if x > 1 else -x

    @property
    def three(self):
        return 3


class Derived(Base):
    factor = 5

    def __init__(self):
        self.__secret = 7
        self.calls = 0

    def scaled(self, x):
        self.calls += 1
        if x > 10:
            return x
        return super().scaled(x) + super(Derived, self).scaled(x)  # noqa: UP008 - both forms

    def __call__(self, x):
        while x < self.__secret:
            x += 1
        return sum([x + self.__secret for _ in range(1)])

    def inner(self, x):
        def within():
            if x > 0:
                return self.__secret + super(Derived, self).scaled(x)
            return x

        return within()


def test_methods():
    thing = Derived()
    assert traced(thing.scaled, 1) == 10
    assert traced(lambda x: thing.scaled(x), 11) == 11
    assert thing.calls == 2
    assert traced(lambda x: Base.scaled(thing, x), 1) == 5
    assert traced(Derived.made, 6) == 6 and traced(lambda x: thing.made(x), 1) == -1
    assert traced(thing.plain, 2) == 2 and traced(Base.plain, 0) == 0
    assert traced(lambda x: x * thing.three, 2) == 6
    assert traced(thing, 1) == 14 and traced(lambda x: thing(x), 1) == 14
    assert traced(thing.inner, 1) == 12
    assert thing._Derived__secret == 7


def test_constructors_run_as_they_are():
    class Point:
        def __init__(self, x):
            self.x = x if isinstance(x, tf.Tensor) else None

    assert traced(lambda x: Point(x).x, 2) == 2


total = 0


def test_closures_nonlocal_and_global():
    count = 0

    def run(x):
        global total
        nonlocal count
        step = 1

        def add(y):
            nonlocal step
            if y > 0:
                step = step + y
            return step

        count += 1
        total = total + 1
        add(x)
        return add(x) + count

    assert traced(run, 2) == 6
    assert (count, total) == (1, 1)
    assert traced(run, -2) == 3
    assert (count, total) == (2, 2)


def test_late_closures_see_later_values():
    def run(x):
        if x > 0:
            return offset + x
        return x

    offset = 1
    assert convert(run)(2) == 3
    offset = 10
    assert convert(run)(2) == 12


def test_generators_and_comprehensions_stay_python():
    def numbers(n):
        for i in range(n):
            if i != 1:
                yield i

    def run(x):
        return sum(numbers(4)) + sum([i for i in range(3) if i > 1]) + x

    assert traced(run, 1) == 8


def test_library_code_is_called_as_it_is(caplog):
    def run(x):
        order = sorted([3, 1, 2], key=lambda v: -v)
        text = "-".join(map(str, order))
        return x + int(np.sum(order)) + len(text) + tf.nn.relu(x) + functools.reduce(lambda a, b: a * b, order)

    assert traced(run, 1) == 19
    assert not caplog.records


def test_a_function_of_a_library_is_converted_where_it_is_asked_for_itself():
    def larger(x, y):
        if x > y:
            return x
        return y

    library = types.FunctionType(larger.__code__, {**globals(), "__name__": "keras.src.some"})
    assert traced(library, 1, 2) == 2
    numbers = tf.data.Dataset.range(3).map(lambda x: (x, 3 - x)).map(library)
    assert [int(x) for x in numbers] == [3, 2, 2]
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError, match="AutoGraph leaves the library keras as it is"):
        traced(lambda x: library(x, 2), 1)


def test_do_not_convert():
    @tf.autograph.experimental.do_not_convert
    def kept(x):
        return isinstance(x > 0, tf.Tensor) and positive.__name__

    assert kept.__name__ == "kept"
    assert convert(lambda x: kept(x))(tf.constant(1)) == "positive"

    @tf.autograph.experimental.do_not_convert
    def refused(x):
        return x if x > 0 else -x

    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError, match="do_not_convert"):
        traced(lambda x: refused(x), 1)
    # what it calls is not converted either, nor is what it hands to another function
    inner = tf.autograph.experimental.do_not_convert(lambda x, f: f(x))
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError):
        traced(lambda x: inner(x, positive), 1)
    assert tf.autograph.experimental.do_not_convert()(positive)(-1) == 1


def test_functions_handed_to_operations():
    converted = []

    def run(x):
        converted.append(autograph.converted_here(positive))
        return x

    assert autograph.converted_here(positive) is positive
    convert(run)(1)
    assert converted[0] is not positive and converted[0](-2) == 2
    assert autograph.converted_here(positive) is positive


def test_introspection_within_converted_code():
    def run(x):
        y = x + 1
        if x > 0:
            y = y + 1
        return sorted(locals())[-2:], "positive" in globals(), eval("x + y")

    assert convert(run)(1) == (["x", "y"], True, 4)


def test_exceptions_within_converted_code():
    def run(x):
        try:
            if x > 0:
                raise KeyError("gone")
            return "nothing"
        except (KeyError, ValueError) as error:
            caught = error
            return f"{type(caught).__name__} {error}"
        finally:
            seen.append(x)

    seen = []
    assert convert(run)(1) == "KeyError 'gone'"
    assert convert(run)(-1) == "nothing"
    assert seen == [1, -1]


def test_with_statements_and_deletion():
    def run(x):
        with tf.name_scope("a"), contextlib.nullcontext(3) as three:
            if x > 0:
                return x + three
        y = 1
        del y
        return x

    assert traced(run, 1) == 4 and traced(run, -1) == -1


def test_conversion_is_cached_by_code_and_not_by_closure():
    def make(k):
        def f(x):
            if x > k:
                return k
            return x

        return f

    from tapeflow.trace.autograph import calls
    from tapeflow.trace.autograph.transpiler import TRANSPILER

    one, two = make(1), make(2)
    options = calls.options_of()
    assert TRANSPILER.factory(one, options) is TRANSPILER.factory(two, options)
    assert (convert(one)(5), convert(two)(5)) == (1, 2)


def test_functions_with_the_same_text_keep_their_own_namespace():
    source = "def program(x):\n    if x > limit:\n        return limit\n    return x\n"
    one, two = function_of(source, limit=1), function_of(source, limit=2)
    assert (convert(one)(5), convert(two)(5)) == (1, 2)


def test_nothing_is_kept_alive():
    from tapeflow.trace.autograph.transpiler import TRANSPILER

    class Thing:
        pass

    def make():
        thing = Thing()
        namespace = {"thing": thing}
        f = function_of("def program(x):\n    while x > 0:\n        x -= 1\n    return thing, x\n", **namespace)
        assert convert(f)(2)[1] == 0
        tf.autograph.to_graph(f)
        return weakref.ref(thing), weakref.ref(f), id(f.__code__)

    gc.collect()
    thing, function, code = make()
    gc.collect()
    assert thing() is None and function() is None
    assert code not in TRANSPILER._factories


def test_no_source(caplog):
    namespace = {}
    exec("def hidden(x):\n    return x + 1", namespace)
    assert convert(namespace["hidden"])(1) == 2
    exec(compile("def gone(x):\n    return x if x > 0 else -x", "nowhere.py", "exec"), namespace)
    with caplog.at_level(logging.WARNING, "tapeflow.autograph"):
        assert convert(namespace["gone"])(-1) == 1
        assert convert(namespace["gone"])(-1) == 1
    (record,) = caplog.records
    assert "could not transform <function gone" in record.getMessage()
    assert "its source code is not available" in record.getMessage()
    with pytest.raises(
        tf.errors.OperatorNotAllowedInGraphError, match="could not convert gone: its source code is not available"
    ):
        traced(namespace["gone"], 1)


def test_malt_is_loaded_late():
    import subprocess

    code = "import sys, tapeflow as tf; tf.function(lambda x: x); assert 'malt' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_to_code_and_to_graph():
    code = tf.autograph.to_code(positive)
    assert code.startswith("def tf__positive(x):\n") and "ag__.if_stmt(ag__.ld(x) < 0, if_body, else_body" in code
    converted = tf.autograph.to_graph(positive)
    assert converted.__name__ == "tf__positive" and int(converted(tf.constant(-2))) == 2
    assert tf.autograph.to_graph(Base.scaled)(Base(), 4) == 8
    assert "lambda x" in tf.autograph.to_code(lambda x: x)
    with pytest.raises(ValueError, match="does not expose a __code__ object"):
        tf.autograph.to_code(np.sin)

    def loop(x):
        while x > 0:
            x -= 1
        else:
            x = 5
        return x

    with pytest.raises(ValueError, match="while/else is not supported"):
        tf.autograph.to_graph(loop)


def test_without_recursion():
    def run(x):
        return positive(x)

    assert int(tf.autograph.to_graph(run, recursive=False)(tf.constant(-1))) == 1
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.int32, [])
        with pytest.raises(tf.errors.OperatorNotAllowedInGraphError):
            tf.autograph.to_graph(run, recursive=False)(x)


PACKAGE = """
import sys
import tapeflow as tf

@tf.function
def halved(n):
    while n > 1:
        n = n // 2
    return n

before = "{first}" and __import__("malt").convert
assert int(halved(tf.constant(6))) == 1
assert ("malt.impl.api" in sys.modules) == bool(before)
import malt
from malt import to_graph as found
assert found is malt.to_graph
assert malt.convert is sys.modules["malt.impl.api"].convert and malt.core.converter.Feature and not hasattr(malt, "nothing")
assert int(halved(tf.constant(9))) == 1
"""


@pytest.mark.parametrize("first", ["malt", ""])
def test_malt_is_whole_for_who_imports_it(tmp_path, first):
    """Though the conversion leaves most of it out."""
    (tmp_path / "program.py").write_text(PACKAGE.format(first=first))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, tmp_path / "program.py"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
