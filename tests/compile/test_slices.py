"""Slices at places that are tensors, gradients of slices, and assignments to parts of variables, without a step of Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_checks import run_kernel

import tapeflow as tf
from compiled import as_inputs, both, close, configured, graph_of, specs_of
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.compile.arrays import Array, Call
from tapeflow.compile.explain import fallbacks
from tapeflow.compile.internal import SLICE_SET
from tapeflow.compile.library import ARRAY_OPS

DTYPES = [np.float32, np.float64, np.int32, np.int8, np.float16]


@st.composite
def keys(draw):
    """A shape and a key for it: indices, slices, new axes, an ellipsis."""
    dims = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    key, some = [], draw(st.integers(0, len(dims)))
    for n in dims[:some]:
        if draw(st.booleans()):
            key.append(draw(st.integers(-n, n - 1)))
        else:
            first, last = sorted([draw(st.integers(0, n)), draw(st.integers(0, n))])
            step = draw(st.sampled_from([1, 2, 3, -1, -2]))
            key.append(slice(first, last, step) if step > 0 else slice(last, first - 1 if first else None, step))
        if draw(st.integers(0, 4)) == 0:
            key.append(None)
    if draw(st.booleans()):
        key.append(Ellipsis)
    return tuple(dims), tuple(key)


def indices_of(key):
    """The indices in a key, as arguments, and a function from these to the key."""
    numbers = [np.int32(part) for part in key if isinstance(part, int)]

    def with_numbers(given):
        rest = iter(given)
        return tuple([next(rest) if isinstance(part, int) else part for part in key])

    return numbers, with_numbers


def native(function, *values):
    """Compare with the kernels; no step may be Python's."""
    graph = graph_of(function, specs_of(values))
    expected, got, executable = both(graph, values)
    close(got, expected, 1e-12)
    if all(0 not in x.shape for x in expected):
        assert not fallbacks(executable.planned(tuple([x.shape for x in as_inputs(values)])).plan)


@configured(80)
@given(keys())
def test_indices_that_are_tensors(case):
    dims, key = case
    numbers, with_numbers = indices_of(key)
    x = np.random.default_rng(len(key)).standard_normal(dims)
    native(lambda x, *given: x[with_numbers(given)] * 2.0, x, *numbers)
    if x[key].size:

        def gradient(x, *given):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(x[with_numbers(given)] ** 2)
            return tape.gradient(y, x)

        native(gradient, x, *numbers)
        native(lambda x: gradient(x, *numbers), x)


@configured(40)
@given(st.data())
def test_slices_that_begin_at_tensors(data):
    dims = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    size = [data.draw(st.integers(1, n)) for n in dims]
    begin = [np.int32(data.draw(st.integers(0, n - k))) for n, k in zip(dims, size, strict=True)]
    x = np.random.default_rng(3).standard_normal(dims)
    native(lambda x, *begin: tf.slice(x, begin, size) + 1.0, x, *begin)

    def gradients(x, *begin):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(tf.slice(x, begin, size) ** 3)
            g = tape.gradient(y, x)
            z = tf.reduce_sum(g * g)
        return g, outer.gradient(z, x)

    native(gradients, x, *begin)
    graph = graph_of(gradients, specs_of([x, *begin]))
    eager = gradients(tf.constant(x), *[int(b) for b in begin])
    for found, expected in zip(graph.run([x, *begin], graph.outputs), eager, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@configured(100)
@given(keys(), st.sampled_from(DTYPES), st.booleans(), st.booleans())
def test_assignments_are_numpys(case, dtype, tensors, scalar):
    dims, key = case
    rng = np.random.default_rng(len(dims))
    before = rng.integers(-99, 99, dims).astype(dtype)
    numbers, with_numbers = indices_of(key)
    value = rng.integers(-99, 99, () if scalar else before[key].shape).astype(dtype)
    variable = tf.Variable(before)

    @tf.function
    def change(value, *given):
        old = variable * 1
        variable[with_numbers(given) if tensors else key].assign(value)
        return old, variable.value()

    expected = before.copy()
    expected[key] = value
    for old in (before, expected):
        results = change(value, *map(tf.constant, numbers))
        np.testing.assert_array_equal(results[0], old)
        np.testing.assert_array_equal(results[1], expected)
        np.testing.assert_array_equal(variable, expected)
    if before[key].size:
        assert "NumPy kernel" not in change.explain()


def test_a_value_that_is_a_part_of_the_variable():
    variable = tf.Variable(tf.range(6.0))

    @tf.function
    def moved():
        variable[1:].assign(variable[:-1])
        variable[::2].assign(variable[::2][::-1])

    moved()
    np.testing.assert_array_equal(variable, [3, 0, 1, 2, 0, 4])


def test_a_ring_in_a_loop():
    ring = tf.Variable(tf.zeros([5, 3]))

    @tf.function
    def turn(n):
        for i in tf.range(n):
            ring[i % 5].assign(ring[(i + 4) % 5] + tf.cast(i, tf.float32))
        return tf.reduce_sum(ring)

    expected = np.zeros((5, 3), np.float32)
    for i in range(12):
        expected[i % 5] = expected[(i + 4) % 5] + i
    assert turn(tf.constant(12)) == expected.sum()
    np.testing.assert_array_equal(ring, expected)
    assert "NumPy kernel" not in turn.explain()


@pytest.mark.parametrize("index", [5, -6, 99])
def test_what_is_out_of_range(index):
    variable = tf.Variable(tf.zeros([5, 3]))

    @tf.function
    def read(x, i):
        return x[i] * 2.0

    @tf.function
    def write(i):
        variable[i].assign(tf.ones([3]))
        return variable * 2.0

    for function in (lambda i: read(tf.zeros([5, 3]), i), write):
        with pytest.raises(InvalidArgumentError, match=f"slice index {index} of dimension 0 out of bounds"):
            function(tf.constant(index))
    np.testing.assert_array_equal(variable, np.zeros((5, 3)))


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize(
    "places",
    [((1, 1, 2), (None, 1, 1), (0, 1, 5)), ((2, -1, 3), (3, -2, 2), (1, 1, 3)), ((0, 1, 3), (0, 1, 4), (0, 1, 5))],
)
def test_nothing_outside_is_touched(places, at_end, isa):
    array = np.arange(60.0).reshape(3, 4, 5)
    value = -np.arange(1.0, 1 + np.prod([count for _, _, count in places])).reshape([count for _, _, count in places])
    inputs = [array, value, *[np.array(2, np.int32)] * (places[1][0] is None)]
    graph = graph_of(lambda *xs: xs[0], specs_of(inputs))
    attrs = {"places": places, "op": "strided_slice"}
    graph.add(SLICE_SET, tuple(graph.inputs), attrs, [graph.inputs[0].spec], None)
    node = graph.nodes[-1]

    def write(module):
        arrays = [Array(x, i) for i, x in enumerate((*node.inputs, *node.outputs))]
        call = Call(module, node, arrays[:-1], arrays[-1:], len(arrays))
        ARRAY_OPS["slice_set"].emit(call)
        return call.kernel

    found = run_kernel(write, [*inputs, np.zeros_like(array)], "float64", at_end)[-1]
    np.testing.assert_array_equal(found.reshape(array.shape), SLICE_SET.kernel(*inputs, **attrs))
