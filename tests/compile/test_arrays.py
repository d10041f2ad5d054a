"""Native code on whole arrays: scans, sorts, scatters, random numbers. The NumPy kernels say what they compute, bit for bit."""

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_checks import run_kernel
from test_registry import default_samples

import tapeflow as tf
from compiled import as_inputs, compare, configured, graph_of, native, specs_of
from tapeflow.base import flags
from tapeflow.compile.arrays import Array, Call, fits
from tapeflow.compile.executable import compile_graph
from tapeflow.compile.internal import SKIP_STREAM
from tapeflow.compile.library import ARRAY_OPS
from tapeflow.compile.steps import Host
from tapeflow.core.primitive import PRIMITIVES, P

FLOATS = [np.float32, np.float64]
NUMBERS = [*FLOATS, np.int32, np.int64, np.uint8, np.int8]
SHORT = [np.float16]
WITHIN = {"cumulative_logsumexp": 2}  # ulp, where there are elementary functions


def samples():
    for name in sorted(ARRAY_OPS):
        if name not in PRIMITIVES:
            continue
        op = PRIMITIVES[name]
        for number, (inputs, attrs) in enumerate(op.samples() if op.samples is not None else default_samples(op)):
            yield pytest.param(name, inputs, attrs, id=f"{name}-{number}")


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("name, inputs, attrs", list(samples()))
def test_nothing_outside_is_touched(name, inputs, attrs, at_end, isa):
    op = PRIMITIVES[name]
    inputs = as_inputs(inputs)
    graph = graph_of(lambda *xs: op(*xs, **attrs), specs_of(inputs))
    node = graph.nodes[-1]
    if fits(node, ARRAY_OPS) is None:
        pytest.skip("no native code for this sample")
    arrays = [np.array(x) for x in inputs]
    results = [np.zeros(x.dims, x._dtype.numpy_dtype) for x in node.outputs]
    count = len(arrays) + len(results)

    def write(module):
        ins = [Array(x, i) for i, x in enumerate(node.inputs)]
        outs = [Array(x, len(ins) + i) for i, x in enumerate(node.outputs)]
        call = Call(module, node, ins, outs, count)
        ARRAY_OPS[name].emit(call)
        return call.kernel

    found = run_kernel(write, [*arrays, *results], "float64", at_end)
    expected = op.kernel(*inputs, **attrs)
    found = [x.reshape(out.dims) for x, out in zip(found[len(arrays) :], node.outputs, strict=True)]
    compare(found, expected if op.multiple else [expected], WITHIN.get(name, 0))


# Sorts and scans


@st.composite
def lines(draw):
    """An array with nan, infinities, both zeros and equal elements, and one of its axes."""
    dtype = np.dtype(draw(st.sampled_from(NUMBERS + SHORT)))
    dims = draw(st.sampled_from([(1,), (5,), (3, 17), (40,), (2, 49), (2, 3, 7), (300,), (3, 1000), (1000, 3)]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = (rng.standard_normal(dims) * draw(st.sampled_from([2, 100]))).astype(dtype)
    if dtype.kind == "f":
        for value in (np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0):
            x[rng.random(dims) < 0.05] = value
    return x, draw(st.integers(-len(dims), len(dims) - 1))


@configured(60)
@given(lines(), st.booleans())
def test_sorts(line, down):
    x, axis = line

    def function(x):
        return P.sort(x, axis=axis, descending=down), P.argsort(x, axis=axis, descending=down)

    native(function, x)


@configured(40)
@given(lines(), st.integers(1, 40) | st.sampled_from([100, 299, 700, 999]))
def test_top_k(line, k):
    x, _ = line
    k = min(k, x.shape[-1])
    native(lambda x: tf.math.top_k(x, k), x)
    native(lambda x: tf.math.top_k(x, k).indices, x)


def test_many_bytes_are_sorted():
    x = np.random.default_rng(2).integers(-128, 128, 70_000).astype(np.int8)
    native(lambda x: (P.sort(x), P.sort(x, descending=True)), x)


@configured(60)
@given(lines(), st.booleans(), st.booleans(), st.sampled_from([P.cumsum, P.cumprod]))
def test_scans(line, exclusive, reverse, scan):
    x, axis = line
    native(lambda x: scan(x, axis=axis, exclusive=exclusive, reverse=reverse), x)


@configured(40)
@given(lines(), lines(), st.sampled_from(["left", "right"]))
def test_searches(line, other, side):
    row, values = np.sort(line[0].reshape(-1)), other[0].astype(line[0].dtype).reshape(-1)
    native(lambda row, x: P.searchsorted(row, x, side=side), row, values)
    rows = np.stack([row, row])
    native(lambda row, x: P.searchsorted(row, x, side=side), rows, np.stack([values, values[::-1]]))


@configured(40)
@given(
    st.tuples(*[st.sampled_from([1, 2, 3, 17, 40])] * 3),
    st.sampled_from([((), ()), ((2,), (2,)), ((2, 3), (3,)), ((3,), (2, 1)), ((2, 1), (1, 3))]),
    st.tuples(st.booleans(), st.booleans()),
    st.sampled_from([np.int32, np.int64, np.uint8]),
)
def test_products_of_integers(sizes, batches, flags, dtype):
    m, n, k = sizes
    rng = np.random.default_rng(m * n * k)
    a = rng.integers(-99, 99, (*batches[0], *((k, m) if flags[0] else (m, k)))).astype(dtype)
    b = rng.integers(-99, 99, (*batches[1], *((n, k) if flags[1] else (k, n)))).astype(dtype)
    native(lambda a, b: P.matmul(a, b, transpose_a=flags[0], transpose_b=flags[1]), a, b)


# Scatters


@st.composite
def scatters(draw):
    """(target, coordinates, updates, batch_dims), with coordinates that come twice."""
    dtype = np.dtype(draw(st.sampled_from([*NUMBERS, *SHORT, ml_dtypes.bfloat16])))
    rank = draw(st.integers(1, 3))
    dims = tuple(draw(st.sampled_from([1, 2, 3, 7, 33, 300])) for _ in range(rank))
    batch_dims = draw(st.integers(0, rank - 1))
    depth = draw(st.integers(1, rank - batch_dims))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    outer = (*dims[:batch_dims], draw(st.sampled_from([1, 2, 5, 60])))
    parts = [rng.integers(0, n, outer) for n in dims[batch_dims : batch_dims + depth]]
    indices = np.stack(parts, -1).astype(draw(st.sampled_from([np.int32, np.int64])))
    updates = (rng.standard_normal(outer + dims[batch_dims + depth :]) * 9).astype(dtype)
    return (rng.standard_normal(dims) * 9).astype(dtype), indices, updates, batch_dims


HOWS = ["update", "add", "sub", "mul", "min", "max"]


@configured(60)
@given(scatters(), st.sampled_from(HOWS))
def test_scatters(case, how):
    x, indices, updates, batch_dims = case
    native(lambda x, i, u: P.tensor_scatter(x, i, u, how=how, batch_dims=batch_dims), x, indices, updates)
    native(lambda i, u: P.scatter_nd(i, u, shape=x.shape, batch_dims=batch_dims), indices, updates)
    native(lambda x, i: P.gather_nd(x, i, batch_dims=batch_dims), x, indices)


@configured(40)
@given(scatters(), st.sampled_from(["sum", "prod", "max", "min"]))
def test_segments(case, how):
    x = case[0]
    ids = np.random.default_rng(x.size).integers(-2, 5, x.shape[:1])
    native(lambda x, ids: getattr(P, f"unsorted_segment_{how}")(x, ids, num=5), x, ids)


@configured(40)
@given(scatters())
def test_the_gradient_of_gather(case):
    x = case[0]
    axis = x.ndim - 1
    indices = np.random.default_rng(x.size).integers(0, x.shape[axis], (*x.shape[:axis], 4))
    for batch_dims in {0, axis}:
        rest = indices if batch_dims else indices.reshape(-1)[:4]
        g = P.gather.kernel(x, rest, axis=axis, batch_dims=batch_dims)
        native(lambda g, i, b=batch_dims: P.gather_grad(g, i, shape=x.shape, axis=axis, batch_dims=b), g, rest)


@pytest.mark.parametrize(
    "function, words",
    [
        (lambda x, i: tf.tensor_scatter_nd_add(x, i[:, None], x[: len(i)]), "does not index into shape"),
        (lambda x, i: tf.scatter_nd(tf.stack([i, i], 1), x[:2, 0], x.shape), "does not index into shape"),
        (lambda x, i: tf.gather_nd(x, i[:, None]), "does not index into param shape"),
        (lambda x, i: tf.math.unsorted_segment_sum(x[:2], i, 3), "is out of range"),
    ],
)
@pytest.mark.parametrize("wrong", [3, 1 << 30])
def test_wrong_indices_are_errors(function, words, wrong):
    f = tf.function(lambda x, i: function(x * 1.0, i) * 1.0)
    x = tf.ones([3, 5])
    f(x, tf.constant([0, 2]))
    f(x, tf.constant([0, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        f(x, tf.constant([0, wrong]))
    assert f(x, tf.constant([0, 2])).shape.rank is not None


def test_rows_of_a_variable_are_changed_where_they_are():
    table = tf.Variable(np.arange(15, dtype=np.float32).reshape(5, 3))

    @tf.function
    def step(x, i):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(table, i) * x)
        g = tape.gradient(loss, table)
        table.scatter_sub(tf.IndexedSlices(0.5 * g.values, g.indices))
        return loss

    x, i = tf.ones([3, 3]), tf.constant([4, 0, 4])
    expected = table.numpy()
    for _ in range(4):
        before = id(table._tensor._value)
        step(x, i)
        np.subtract.at(expected, [4, 0, 4], np.float32(0.5))
    assert before == id(table._tensor._value)
    np.testing.assert_array_equal(table.numpy(), expected)


def test_the_order_of_segment_ids_is_checked():
    @tf.function
    def means(data, ids):
        return tf.math.segment_mean(data * 2.0, ids)

    data = tf.constant(np.arange(8.0).reshape(4, 2))
    np.testing.assert_array_equal(means(data, tf.constant([0, 0, 2, 2])), [[2, 4], [0, 0], [10, 12]])
    native(lambda ids, data: P.sorted_ids(ids, data), np.array([0, 3, 3, 7]), np.ones((4, 2)))
    for ids, words in (
        ([0, 2, 1, 1], "not increasing"),
        ([0, 0, 0, -1], "not increasing"),
        ([-1, 0, 1, 1], "id -1 out of range"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            means(data, tf.constant(ids))


# Random numbers

SIZES = [(), (1,), (3,), (7, 5), (4, 1031), (100003,)]
DTYPES = [tf.float16, tf.bfloat16, tf.float32, tf.float64]


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_random_numbers_have_the_kernels_bits(shape, dtype, isa):
    stream = np.array([-3, 7, 1 << 62])  # the counter's low half overflows on the way

    def function(stream):
        found = [P.random_uniform(stream, shape=shape, dtype=dtype)]
        if dtype is not tf.float64:
            found.append(P.random_normal(stream, shape=shape, dtype=dtype))
            found.append(P.truncated_normal(stream, shape=shape, dtype=dtype))
        return found

    native(function, stream)


@pytest.mark.parametrize("rows, classes, draws", [(1, 1, 1), (6, 9, 5), (40, 300, 1), (3, 5, 200)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_draws_from_categories_are_the_kernels(rows, classes, draws, dtype):
    logits = np.random.default_rng(rows).standard_normal((rows, classes)).astype(dtype)
    logits[0, 0], logits[-1, -1], logits[rows // 2, classes // 2] = np.inf, -np.inf, np.nan
    native(lambda s, x: P.categorical(s, x, num_samples=draws, dtype=tf.int32), np.array([5, -1, 9]), logits)


@pytest.mark.parametrize("shape", [(1,), (2,), (7, 5), (4097, 3), (100, 2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.bool_, np.complex64])
def test_shuffles_are_the_kernels(shape, dtype):
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    native(lambda s, x: P.random_shuffle(s, x), np.array([5, -1, 9]), x)


@pytest.mark.parametrize("dtype", [tf.int32, tf.int64, tf.uint32, tf.uint64])
def test_random_integers_have_the_kernels_bits(dtype, isa):
    stream = np.array([5, -1, 9])
    native(lambda s: [P.random_full_int(s, shape=shape, dtype=dtype) for shape in SIZES], stream)


@configured(80)
@given(
    st.lists(st.sampled_from([1, 2, 3, 5, 8, 17, 33, 130]), max_size=3),
    st.sampled_from([*DTYPES, tf.int32, tf.int64, tf.uint32, tf.uint64]),
    st.integers(-(1 << 63), (1 << 63) - 1),
)
def test_threefry_numbers_have_the_kernels_bits(shape, dtype, counter):
    def function(stream):
        attrs = {"shape": tuple(shape), "dtype": dtype, "alg": 2}
        return P.random_uniform(stream, **attrs) if dtype.is_floating else P.random_full_int(stream, **attrs)

    native(function, np.array([counter, 0x123456789ABCDEF]))
    if dtype in (tf.int32, tf.int64):
        low, high = tf.constant(-3, dtype), tf.constant(1000, dtype)
        native(lambda s: P.random_uniform_int(s, low, high, shape=tuple(shape), alg=2), np.array([counter, 7]))


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("low, high", [(0, 10), (-5, 3), (-(1 << 31), (1 << 31) - 1)])
def test_random_integers_between_bounds(dtype, low, high, isa):
    function = lambda s, a, b: P.random_uniform_int(s, a, b, shape=(4, 9))  # noqa: E731
    native(function, np.array([5, -1, 9]), dtype(low), dtype(high))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Need minval < maxval"):
        graph = graph_of(function, [((3,), tf.int64), *[((), tf.as_dtype(dtype))] * 2])
        compile_graph(graph).run([np.array([1, 2, 3]), dtype(high), dtype(low)])


@configured(60)
@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=3, max_size=3), st.integers(0, 1 << 70))
def test_streams_move_on(state, blocks):
    state = np.array(state)
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.int64, [3])
    graph.outputs = graph.add(SKIP_STREAM, (x,), {"blocks": blocks}, [x.spec], None).outputs
    np.testing.assert_array_equal(compile_graph(graph).run([state])[0], SKIP_STREAM.kernel(state, blocks=blocks))
    for alg in (2, 3):
        native(lambda seed, alg=alg: P.seed_stream(seed, alg=alg), state[:2])


def draws(x, generator):
    keep = tf.nn.dropout(x, 0.3)
    total = tf.zeros_like(x)
    for _ in tf.range(3):
        total += tf.random.normal(x.shape) + tf.nn.dropout(x, 0.5)
    chosen = tf.cond(x[0, 0] > 0.0, lambda: tf.random.uniform(x.shape), lambda: x)
    own = generator.uniform(x.shape) + tf.cast(generator.uniform([], maxval=9, dtype=tf.int32), tf.float32)
    return keep, total, chosen, own, tf.random.stateless_uniform(x.shape, [1, 2]), tf.random.normal(x.shape, seed=4)


def test_functions_draw_the_same_with_and_without_native_code():
    found = []
    for level in (0, 1):
        with flags.using(COMPILE=level):
            generator = tf.random.Generator.from_seed(3)
            function = tf.function(draws)
            results = []
            for _ in range(2):
                tf.random.set_seed(5)
                results += [x.numpy() for _ in range(4) for x in function(tf.fill([5, 7], 2.0), generator)]
            found.append([*results, generator.state.numpy()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
    first, second = found[1][:24], found[1][24:48]
    for k in (0, 1, 2, 5):  # a seed starts the function's own streams again, the generator's goes on
        np.testing.assert_array_equal(first[k], second[k])
        assert not np.array_equal(first[k], first[k + 6])
    assert not np.array_equal(first[3], second[3])


def test_dropout_in_a_step_is_native():
    w = tf.Variable(np.ones((3, 5), np.float32))

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.nn.dropout(x @ w, 0.5))
        w.assign_sub(tape.gradient(loss, w))
        return loss

    for _ in range(2):
        step(tf.ones([2, 3]))
    program = step.get_concrete_function(tf.ones([2, 3]))._native.__self__._last[1]
    assert not [x for x in program.plan.steps if isinstance(x, Host)]
    assert math.isfinite(float(step(tf.ones([2, 3]))))
