"""Elementary functions in native code: at most 2 ulp from the exact value rounded, and NumPy's special values."""

import numpy as np
import pytest
from native_checks import elementwise

import tapeflow as tf
from tapeflow.compile import piecewise
from tapeflow.compile.functions import FUNCTIONS
from tapeflow.compile.vector_special import SPECIAL_FUNCTIONS
from tapeflow.core.primitive import PRIMITIVES

WIDE = {"float32": np.float64, "float64": np.longdouble}
ULP = 2.0
rng = np.random.default_rng(7)

pytestmark = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="long double is no wider than float64 here")


def _erfc_parts(x):
    """erf and erfc in long double: a series below 2, a continued fraction above."""
    x = np.asarray(x, np.longdouble)
    a = np.abs(x)
    pi = 4 * np.arctan(np.longdouble(1))
    tail = np.zeros_like(a)
    for k in range(160, 0, -1):
        tail = (k / np.longdouble(2)) / (a + tail)
    far = np.exp(-a * a) / np.sqrt(pi) / (a + tail)
    b = np.minimum(a, 2.5)
    total = term = b
    for n in range(1, 60):
        term = term * (-b * b) / n
        total = total + term / (2 * n + 1)
    near = total * 2 / np.sqrt(pi)
    erf = np.copysign(np.where(a < 2, near, 1 - far), x)
    erfc = np.where(a < 2, 1 - near, far)
    return np.where(np.isnan(x), x, erf), np.where(np.isnan(x), x, np.where(x < 0, 2 - erfc, erfc))


def _sigmoid(x):
    return np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x)))


EXACT = {
    "exp": np.exp, "expm1": np.expm1, "sigmoid": _sigmoid, "tanh": np.tanh, "sinh": np.sinh, "cosh": np.cosh,
    "log": np.log, "log1p": np.log1p, "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "erf": lambda x: _erfc_parts(x)[0], "erfc": lambda x: _erfc_parts(x)[1],
    "rsqrt": lambda x: 1 / np.sqrt(x), "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc,
    "rint": np.rint, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "pow": np.power, "atan2": np.arctan2,
}  # fmt: skip
BINARY = {"pow", "atan2"}
SPECIAL = [
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 2.5, 1e-40, -1e-40, 5e-324, -5e-324, 88.7, 89,
    -87.5, -103.9, -105, 709.7, 710.4, -708.5, -745.2, -746, 1e17, 16777215, 16777217, 0.99999994, 1.0000001, 3.4e38, -3.4e38,
    1.7e308, -1.7e308, 1.1e-38, 2.3e-308, 1e6, 1e9, -1e22,
]  # fmt: skip


def any_bits(dtype, count):
    """Numbers of every size, nan and infinities among them."""
    integer = np.uint32 if dtype == "float32" else np.uint64
    return rng.integers(0, np.iinfo(integer).max, count, dtype=integer).view(dtype)


def borders(rows):
    """The numbers around the starts of a table's intervals, where the sum with the offset may round to either."""
    start = int(np.float32(rows.offset).view(np.int32)) >> rows.shift
    starts = (np.arange(start, start + 32, dtype=np.int32) << rows.shift).view(np.float32) - np.float32(rows.offset)
    steps = np.concatenate([2.0 ** np.arange(-30, -18), [0.0], -(2.0 ** np.arange(-30, -18))])
    return (starts[:, None] + steps).ravel()


def samples(dtype, count):
    """Numbers of every size, and more where functions bend."""
    parts = [
        SPECIAL,
        any_bits(dtype, count),
        rng.standard_normal(count),
        rng.standard_normal(count) * 20,
        rng.uniform(-1, 1, count),
        1 + rng.standard_normal(count) * 0.1,
        2.0 ** rng.uniform(-40, 10, count) * rng.choice([-1, 1], count),
        np.arange(1, 300) * (np.pi / 2),  # where sines and cosines vanish
        borders(piecewise.TANH),
        borders(piecewise.ERF),
    ]
    with np.errstate(all="ignore"):
        return np.concatenate([np.asarray(part, dtype) for part in parts])


def ulps(got, exact, dtype):
    """The distance from the exact value in units in the last place; infinite where a special value differs."""
    rounded = exact.astype(dtype)
    unit = np.spacing(np.abs(rounded)).astype(exact.dtype)
    distance = np.abs(got.astype(exact.dtype) - exact) / unit
    same = (np.isnan(rounded) & np.isnan(got)) | ((rounded == got) & (np.signbit(rounded) == np.signbit(got)))
    zero = (rounded == 0) & (got == 0)
    return np.where(np.isfinite(rounded) & np.isfinite(got) & ~zero, distance, np.where(same, 0, np.inf))


@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("name", EXACT)
def test_within_two_ulp(name, dtype, isa):
    count = 20_000
    x = samples(dtype, count)
    values = [x]
    if name in BINARY:
        grid = np.asarray(SPECIAL).astype(dtype)
        y = np.concatenate([np.tile(grid, len(grid)), rng.permutation(x)])
        values = [np.concatenate([np.repeat(grid, len(grid)), x]), y]
    with np.errstate(all="ignore"):
        exact = EXACT[name](*[v.astype(WIDE[dtype]) for v in values])
        got = elementwise(FUNCTIONS[name], dtype, len(values))(*values)
        distance = ulps(got, exact, dtype)
    worst = int(np.argmax(distance))
    place = [v[worst] for v in values]
    assert distance[worst] <= ULP, f"{name}{place} = {got[worst]!r}, exactly {exact[worst]!r}: {distance[worst]} ulp"


@pytest.mark.parametrize("offset", [0.0, 1e-8, 1e-3])
def test_quotients_by_roots(offset):
    """As exact as three operations that are each rounded, half an ulp of at most twice the value; special values are theirs."""
    x, y = samples("float32", 200_000), rng.permutation(samples("float32", 200_000))
    grid = np.asarray(SPECIAL, np.float32)
    x, y = np.concatenate([np.repeat(grid, len(grid)), x]), np.concatenate([np.tile(grid, len(grid)), y])
    compiled = tf.function(lambda x, y: x / (tf.sqrt(y) + offset) if offset else x / tf.sqrt(y))
    got = compiled(tf.constant(x), tf.constant(y)).numpy()
    with np.errstate(all="ignore"):
        root = np.sqrt(y.astype(np.float64)) + np.float32(offset) if offset else np.sqrt(y.astype(np.float64))
        exact = x / root
        distance = ulps(got, exact, "float32")
    tiny = np.finfo(np.float32).tiny
    distance[(np.abs(exact) < tiny) & (np.abs(got) <= tiny)] = 0  # denormal results become 0
    worst = int(np.argmax(distance))
    roundings = 3 if offset else 2
    assert distance[worst] <= roundings, f"{x[worst]!r} / sqrt({y[worst]!r}) = {got[worst]!r}: {distance[worst]} ulp"


def test_every_function_is_tested():
    assert set(FUNCTIONS) == set(EXACT)


def test_a_wrong_coefficient_is_found():
    """The test can fail: a relative error of 1e-6 is 8 ulp of float32."""
    x = rng.uniform(0.5, 2, 1000).astype(np.float32)
    got = elementwise(lambda f, x: FUNCTIONS["exp"](f, x) * (1 + 1e-6), "float32")(x)
    assert ulps(got, np.exp(x.astype(np.float64)), "float32").max() > ULP


# Special functions, whose formulas are those of the NumPy kernels

# Roundings of the value, or of 1 where that is greater. A quantile has some 6 after a logarithm that is known to 1; between their
# poles lgamma and digamma are sums of terms up to 10 that cancel.
ROUNDINGS = {"digamma": 16, "lgamma": 16}


def arguments(dtype):
    """Numbers of every size, probabilities next to 0 and to 1, and the arguments of factorials."""
    small = 2.0 ** -rng.uniform(1, 300, 5000)
    parts = [
        rng.uniform(-1, 2, 5000),
        rng.uniform(-12, 12, 9000),
        rng.uniform(0, 1e4, 2000),
        small,
        1 - small,
        np.arange(-30, 30) / 2,
    ]
    with np.errstate(all="ignore"):
        return np.concatenate([samples(dtype, 3000), *[part.astype(dtype) for part in parts]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPECIAL_FUNCTIONS)
def test_special_functions_are_the_kernels(name, dtype, isa):
    """In float32 bit for bit, in float64 up to what their logarithms and sines differ by."""
    x = arguments(dtype)
    got, expected = elementwise(SPECIAL_FUNCTIONS[name], dtype)(x), PRIMITIVES[name].kernel(x)
    if dtype == "float32":
        np.testing.assert_array_equal(got, expected)
    else:
        bound = ROUNDINGS.get(name, 6) * np.finfo(dtype).eps
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))
        np.testing.assert_array_equal(got[~np.isfinite(got)], expected[~np.isfinite(got)])
        wrong = np.abs(got - expected) > bound * np.maximum(1, np.abs(expected))
        assert not wrong.any(), f"{name}({x[wrong][:3]}) = {got[wrong][:3]}, by NumPy {expected[wrong][:3]}"
