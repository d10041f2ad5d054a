"""Complex numbers in native code: the NumPy kernels' values, near in the plane; no step of Python where none is needed."""

import numpy as np
import pytest
from complex_programs import gradients, run
from hypothesis import given
from hypothesis import strategies as st
from program_strategies import matrix_programs

import tapeflow as tf
from compiled import as_inputs, both, close, configured, graph_of, specs_of
from tapeflow.compile.complex_math import RULES
from tapeflow.compile.explain import fallbacks
from tapeflow.core.primitive import PRIMITIVES, P

DTYPES = [np.complex64, np.complex128]
WIDER = {np.complex64: np.complex128, np.complex128: np.clongdouble}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -3.0, np.inf, -np.inf, np.nan, 1e-3, 100.0, -90.0, 1e15, 1.001]
OF_ONE = sorted(name for name in RULES if name in PRIMITIVES and len(PRIMITIVES[name].parameters) == 1 and name != "add_n")
OF_TWO = ["add", "sub", "mul", "truediv", "mul_no_nan", "div_no_nan", "xdivy", "xlogy", "xlog1py", "equal", "not_equal"]
PERIODIC = {"sin", "sinh", "cos", "cosh", "tan", "tanh"}  # the sign of what belongs to an infinite angle is anything
ROUNDED = {"log1p", "xlog1py"}  # whose kernel adds 1 in the dtype


def native(function, *values):
    """The results of NumPy's kernels and of native code, which has no step of Python."""
    graph = graph_of(function, specs_of(values))
    with np.errstate(all="ignore"):
        expected, got, executable = both(graph, values)
    program = executable.planned(tuple([x.shape for x in as_inputs(values)]))
    assert not fallbacks(program.plan)
    return expected, got


def exact(name, dtype, *values):
    """The kernel's results in a wider dtype, rounded."""
    with np.errstate(all="ignore"):
        found = PRIMITIVES[name].kernel(*[x.astype(WIDER[dtype]) for x in values])
        return found.astype(np.finfo(dtype).dtype if found.dtype.kind == "f" else dtype)


def distance(got, expected):
    """How far numbers lie apart, in rounding errors of the expected one's magnitude; infinite where the one is finite alone."""
    if expected.dtype.kind == "b":
        return 0 if np.array_equal(got, expected) else np.inf
    a, b = got.astype(np.complex128), expected.astype(np.complex128)
    for part in (np.real, np.imag):
        odd = ~np.isfinite(part(b)) | ~np.isfinite(part(a))
        if not np.array_equal(part(a)[odd], part(b)[odd], equal_nan=True):
            return np.inf
    a, b = [np.nan_to_num(x, nan=0, posinf=0, neginf=0) for x in (a, b)]
    info = np.finfo(expected.dtype)  # what is denormal in one part is 0
    return np.max(np.abs(a - b) / (np.abs(b) * info.eps + 2 * info.tiny), initial=0)


def plane(numbers, dtype):
    """Every pair of some numbers, as complex ones."""
    found = np.empty(len(numbers) ** 2, dtype)
    found.real, found.imag = np.repeat(numbers, len(numbers)), np.tile(numbers, len(numbers))
    return found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OF_ONE)
def test_functions(name, dtype):
    rng = np.random.default_rng(1)
    scale = np.repeat([1e-3, 1.0, 30.0], 100)
    values = (scale * (rng.standard_normal(300) + 1j * rng.standard_normal(300))).astype(dtype)
    (expected,), (got,) = native(PRIMITIVES[name], values)
    true = exact(name, dtype, values)
    assert distance(got, true) < max(4, 1.5 * distance(expected, true)), name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OF_ONE)
def test_special_values(name, dtype):
    values = plane(SPECIAL, dtype)
    if name in PERIODIC:
        values = values[np.isfinite(values)]
    (expected,), (got,) = native(PRIMITIVES[name], values)
    expected = exact(name, dtype, values) if name in ROUNDED else expected
    assert distance(got, expected) < 8, name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OF_TWO)
def test_of_two(name, dtype):
    values = plane([x for x in SPECIAL if name not in ROUNDED or np.isfinite(x)], dtype)
    x, y = np.repeat(values, len(values)), np.tile(values, len(values))
    (expected,), (got,) = native(PRIMITIVES[name], x, y)
    expected = exact(name, dtype, x, y) if name in ROUNDED else expected
    assert distance(got, expected) < 8, name


@pytest.mark.parametrize("dtype", DTYPES)
def test_magnitudes_do_not_overflow(dtype):
    info = np.finfo(dtype)
    values = plane([float(info.max) / 2, float(info.tiny) * 3, -float(info.max) / 3, float(info.tiny) * -2], dtype)
    for op in (tf.abs, tf.math.log, tf.sqrt):
        (expected,), (got,) = native(op, values)
        assert distance(got, expected) < 4
    (expected,), (got,) = native(lambda x, y: x / y, values, values[::-1].copy())
    assert distance(got, expected) < 8


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_and_quotients_have_the_bits_of_numpy(dtype):
    rng = np.random.default_rng(2)
    x, y = [(rng.standard_normal(1000) + 1j * rng.standard_normal(1000)).astype(dtype) for _ in range(2)]
    (expected,), (got,) = native(lambda x, y: x / y, x, y)
    np.testing.assert_array_equal(got, expected)
    (expected,), (got,) = native(lambda x, y: x * y, x, y)
    assert distance(got, expected) < 1.5  # its vectors have fma where the machine does


@configured(40)
@given(matrix_programs(), st.sampled_from(DTYPES))
def test_programs(program, dtype):
    shape, steps = program
    rng = np.random.default_rng(len(steps))
    inputs = [(rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype) for _ in range(2)]
    expected, got = native(lambda x, y: run(steps, x, y)[-5:], *inputs)
    close(got, expected, 1e-9 if dtype is np.complex128 else 2e-3)


@configured(30)
@given(matrix_programs())
def test_gradients(program):
    shape, steps = program
    rng = np.random.default_rng(len(steps))
    inputs = [rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for _ in range(2)]
    expected, got = native(lambda x, y: gradients(steps, x, y), *inputs)
    close(got, expected, 1e-7)


@configured(30)
@given(st.data())
def test_views(data):
    """Rows, columns, steps and transposes of arrays of every length, whose last pair is at the end."""
    dims = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 40)))
    start, step = data.draw(st.integers(0, 2)), data.draw(st.sampled_from([1, 2, 3, -1]))
    x = (np.arange(dims[0] * dims[1]) * (1 + 0.5j)).reshape(dims).astype(data.draw(st.sampled_from(DTYPES)))

    def function(x):
        part = x[:, start::step] if step > 0 else x[:, ::step]
        padded = tf.pad(part, [[1, 0], [0, 2]], constant_values=2 - 1j)
        return part * 2.0, tf.transpose(part) + 1j, padded, tf.gather(x, [0, dims[0] - 1]), tf.concat([x, x * 1j], 1)

    if not dims[1] > start:
        return
    expected, got = native(function, x)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_variables_loops_and_branches():
    def results():
        v = tf.Variable(np.arange(12).reshape(3, 4) * (1 + 2j))
        scalar = tf.Variable(1 + 1j, dtype=tf.complex64)

        @tf.function
        def step(x, n):
            v.assign(v * x)
            v.scatter_add(tf.IndexedSlices(tf.ones([1, 4], tf.complex128) * 1j, tf.constant([1])))
            scalar.assign(scalar * tf.cast(x, tf.complex64) + 1j)
            z = x
            while tf.abs(z) < 100.0 and n > 0:
                z = z * z + 1.0
                n -= 1
            w = tf.zeros([3, 4], tf.complex128)
            for _ in tf.range(3):
                w = w * w + v
            spectrum = tf.signal.fft(w) * 2.0
            return tf.cond(n > 2, lambda: z, lambda: tf.math.conj(z)), w, spectrum, n

        found = [step(tf.constant(0.5 + 0.5j, tf.complex128), tf.constant(n)) for n in (9, 2)]
        return [x.numpy() for x in (*found[0], *found[1], v, scalar)]

    got = results()
    tf.config.run_functions_eagerly(True)
    try:
        expected = results()
    finally:
        tf.config.run_functions_eagerly(False)
    close(got, expected, 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_loops_of_scalars(dtype):
    """Newton's iteration, with a branch; all of it stays in registers."""

    def step(z, count):
        w = z - (z * z * z - 1.0) / (3.0 * z * z)
        return tf.cond(tf.abs(w) > 0.9, lambda: (w, count + 1), lambda: (1.1j * w, count))

    def newton(z, n):
        count = tf.constant(0)
        for _ in tf.range(n):
            z, count = step(z, count)
        return z, count, tf.math.conj(z)

    inputs = [tf.constant(0.3 + 0.7j, tf.as_dtype(dtype)), tf.constant(7)]
    function = tf.function(newton)
    for found, expected in zip(function(*inputs), newton(*inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert "NumPy kernel" not in function.explain()


def test_a_complex_variable_is_updated_where_it_is():
    v = tf.Variable(tf.ones([5], tf.complex64))

    @tf.function
    def double():
        v.assign(v * (1 + 1j))

    double()
    before = v.numpy().copy()
    double()
    np.testing.assert_array_equal(v.numpy(), before * np.complex64(1 + 1j))
    assert "copy" not in double.explain()


@configured(20)
@given(st.data())
def test_products(data):
    m, k, n = [data.draw(st.sampled_from([1, 2, 3, 7, 33])) for _ in range(3)]
    batch = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    flags = {name: data.draw(st.booleans()) for name in ("adjoint_a", "transpose_b")}
    rng = np.random.default_rng(m * k * n)
    a, b = [
        rng.standard_normal((*batch, *dims)) + 1j * rng.standard_normal((*batch, *dims))
        for dims in ((k, m) if flags["adjoint_a"] else (m, k), (n, k) if flags["transpose_b"] else (k, n))
    ]
    expected, got = native(lambda a, b: tf.matmul(a, b, **flags), a, b)
    close(got, expected, 1e-13)


@configured(40)
@given(
    st.sampled_from([(1,), (5,), (3, 17), (2, 3, 7), (4, 40)]),
    st.booleans(),
    st.booleans(),
    st.integers(-1, 0),
    st.sampled_from(DTYPES),
)
def test_products_along_an_axis(shape, exclusive, reverse, axis, dtype):
    rng = np.random.default_rng(len(shape))
    x = np.exp(1j * rng.standard_normal(shape)).astype(dtype)
    x.reshape(-1)[-1] = 3 - 2j
    expected, got = native(
        lambda x: (
            tf.math.cumprod(x, axis=axis, exclusive=exclusive, reverse=reverse),
            tf.reduce_prod(x, axis=axis, keepdims=reverse),
            tf.reduce_prod(x),
        ),
        x,
    )
    for a, b in zip(got, expected, strict=True):
        assert distance(a, b) < 40  # factors in turn, each with a rounding


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers(dtype):
    """Whole ones by products, as NumPy has them; others as near as it is, or nearer."""
    rng = np.random.default_rng(3)
    x, y = [(rng.standard_normal(600) + 1j * rng.standard_normal(600)).astype(dtype) * 2 for _ in range(2)]
    y[:200] = rng.integers(-7, 8, 200)
    y[200:400] = y[200:400].real
    x[::50], y[::70] = 0, 0
    for op in (P.pow, P.pow_slope):
        with np.errstate(all="ignore"):
            (expected,), (got,) = native(op, x, y)
        true = exact(op.name, dtype, x, y)
        assert distance(got, true) < max(8, 1.5 * distance(expected, true))
    for power in (2, 3, -2, 0.5, 1j):
        (expected,), (got,) = native(lambda x, power=power: x**power, x[1:50])
        assert distance(got, expected) < 30  # the kernel's error, which is that of a logarithm times the power
