"""Random programs with nested control flow: Python, converted Python, and the traced graph give the same."""

import logging
import re

import pytest
from autograph_programs import function_of, programs
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf
from compiled import configured
from tapeflow.trace.autograph import convert

ints = st.integers(-4, 4)
triples = st.lists(st.tuples(ints, ints, ints), min_size=3, max_size=3)


@pytest.fixture(autouse=True, scope="module")
def no_fallback():
    """A program that runs unconverted would prove nothing."""

    class Refuse(logging.Handler):
        def emit(self, record):
            raise AssertionError(record.getMessage())

    handler = Refuse()
    logging.getLogger("tapeflow.autograph").addHandler(handler)
    yield
    logging.getLogger("tapeflow.autograph").removeHandler(handler)


@configured(25)
@given(programs(), triples)
def test_python_values_stay_python(source, inputs):
    function = function_of(source)
    for values in inputs:
        assert convert(function)(*values) == function(*values)


@configured(25)
@given(programs("rows"), triples)
def test_graphs_compute_what_python_does(source, inputs):
    python = function_of(source, rows=range)
    traced = tf.function(function_of(source, rows=tf.range))
    for values in inputs:
        assert int(traced(*[tf.constant(value) for value in values])) == python(*values)


@configured(25)
@given(programs("rows"), triples)
def test_python_loops_with_conditions_of_tensors(source, inputs):
    python = function_of(source, rows=range)
    traced = tf.function(function_of(source, rows=range))
    for values in inputs:
        assert int(traced(*[tf.constant(value) for value in values])) == python(*values)


@configured(25)
@given(programs("rows", returns=False), triples)
def test_gradients_are_those_of_eager_code(source, inputs):
    source = re.sub(r"\((-?\d+)\)", r"(\1.0)", source)
    eager = function_of(source, rows=tf.range)
    traced = tf.function(eager)

    def gradients(function, values):
        xs = [tf.constant(float(value)) for value in values]
        with tf.GradientTape() as tape:
            tape.watch(xs)
            a, b, c = [tf.convert_to_tensor(x) for x in function(*xs)]
            y = a * a + 2 * b + 3 * c
        return [0.0 if g is None else float(g) for g in tape.gradient(y, xs)]

    for values in inputs:
        assert gradients(traced, values) == gradients(eager, values)
