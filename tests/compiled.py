"""What the compiler's tests share: graphs of functions, and the comparison of compiled runs with the NumPy kernels."""

import os

import ml_dtypes
import numpy as np
from hypothesis import HealthCheck, Phase, settings

import tapeflow as tf
from tapeflow.compile.executable import compile_graph
from tapeflow.compile.steps import Host
from tapeflow.core.graph import SymbolicTensor
from tapeflow.core.primitive import bind

FUZZ = int(os.environ.get("FUZZ", "0"))  # how many programs `make fuzz` runs, of another seed each time


def configured(examples):
    """The settings of a test: few programs, always the same, or many random ones, the failing one with its seed."""
    return settings(
        max_examples=FUZZ or examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=not FUZZ,
        print_blob=True,
        phases=[Phase.explicit, Phase.generate],
    )


def graph_of(function, specs):
    """The graph of `function` over placeholders of (shape, dtype) specs; `outputs` are its results."""
    graph = tf.Graph()
    with graph.as_default():
        inputs = [tf.compat.v1.placeholder(dtype, shape) for shape, dtype in specs]
        results = function(*inputs)
        results = results if isinstance(results, (tuple, list)) else (results,)
        graph.outputs = tuple([tf.convert_to_tensor(x) for x in results])
    return graph


def specs_of(values, unknown=False):
    """The specs of some NumPy values, with unknown dimensions if asked for."""
    return [((None,) * np.ndim(x) if unknown else np.shape(x), tf.as_dtype(np.asarray(x).dtype)) for x in values]


def as_inputs(values):
    """NumPy values as a traced function is given them: scalars where there is no dimension."""
    arrays = [np.asarray(x) for x in values]
    return [x if x.ndim or x.dtype == object else x[()] for x in arrays]


def both(graph, values):
    """The graph's outputs by the NumPy kernels and by native code, as two lists of arrays, and the `Executable`."""
    values = as_inputs(values)
    expected = [x._value for x in graph.run(values, graph.outputs)]
    executable = compile_graph(graph)
    results = executable.run(values)
    if not graph.stateful:  # another finds the program on the disk
        for one, other in zip(compile_graph(graph).run(values), results, strict=True):
            assert np.asarray(one).tobytes() == np.asarray(other).tobytes() or np.asarray(one).dtype == object
    return expected, results, executable


def ulps(got, expected):
    """The greatest distance between floats in units of the last place of the expected ones; equal specials are 0 apart."""
    got, expected = [np.atleast_1d(np.asarray(x)) for x in (got, expected)]
    if expected.dtype.kind not in "fc" and expected.dtype not in (ml_dtypes.bfloat16, np.float16):
        return 0 if np.array_equal(got, expected) else np.inf
    if expected.dtype.kind == "c":
        return max(ulps(got.real, expected.real), ulps(got.imag, expected.imag))
    wide = np.float64
    a, b = got.astype(wide), expected.astype(wide)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not np.array_equal(np.isfinite(a) | same, np.ones_like(same)) or not np.array_equal(
        np.isfinite(b) | same, np.ones_like(same)
    ):
        return np.inf
    step = np.abs(np.spacing(expected)).astype(wide)
    with np.errstate(all="ignore"):
        return float(np.max(np.where(same, 0, np.abs(a - b) / step), initial=0))


def check(function, *values, unknown=False, within=4, rtol=None):
    """Compile `function` for the shapes of some values and compare with its NumPy run; returns the `Program`, with its plan.

    Args:
        unknown: whether its dimensions are unknown while it is traced.
        within: how many ulp the results may lie apart.
        rtol: instead of `within`, the allowed error relative to the greatest magnitude of a result.
    """
    graph = graph_of(function, specs_of(values, unknown))
    expected, got, executable = both(graph, values)
    compare(got, expected, within, rtol)
    return executable.planned(tuple([x.shape for x in as_inputs(values)]))


def native(function, *values, within=0, rtol=None):
    """Compare a function's native results with those of the kernels; no step of it may run in Python."""
    program = check(function, *values, within=within, rtol=rtol)
    assert not [step.node.op.name for step in program.plan.steps if isinstance(step, Host)]


def compare(got, expected, within=4, rtol=None):
    """Raise AssertionError where results differ by more than allowed."""
    assert len(got) == len(expected)
    for g, e in zip(got, expected, strict=True):
        g, e = np.asarray(g), np.asarray(e)
        assert g.shape == e.shape and g.dtype == e.dtype, (g.shape, g.dtype, e.shape, e.dtype)
        if e.dtype == object or rtol is None:
            error = 0 if e.dtype == object and np.array_equal(g, e) else ulps(g, e)
            assert error <= within, f"{error} ulp apart:\n{g}\n{e}"
        else:
            scale = np.max(np.abs(np.where(np.isfinite(e), e, 0)), initial=0)
            np.testing.assert_allclose(g, e, rtol=rtol, atol=rtol * scale)


SUMS = ("sum", "mean", "sum_to", "cumsum", "matmul", "add_n")  # rounded as often as they have terms, in any order


def within_rounding(graph, values):
    """Compile a graph and compare: each element may lie as far from the NumPy kernels' as rounding alone takes it.

    How far that is, runs of the kernels tell in which every node's floats are moved at random by up to 2 ulp, those of sums by up
    to a rounding for each term (N. J. Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
    """
    expected, got, _ = both(graph, values)
    rng = np.random.default_rng(0)
    spread = [np.zeros(np.shape(x)) for x in expected]
    for _ in range(12):
        for far, moved, x in zip(spread, _moved(graph, values, rng), expected, strict=True):
            np.maximum(far, np.abs(np.subtract(moved, x, dtype=np.float64)), out=far)
    for g, e, far in zip(got, expected, spread, strict=True):
        g, e = np.asarray(g), np.asarray(e)
        assert g.shape == e.shape and g.dtype == e.dtype
        error, bound = np.abs(g.astype(np.float64) - e), 2 * far + 2 * np.abs(np.spacing(e))
        assert np.all(error <= bound), f"{np.max(error / bound)} times what rounding explains:\n{g}\n{e}"


def _moved(graph, values, rng):
    """The graph's outputs by the NumPy kernels where every node rounds at random."""
    found = {id(x): tf.constant(value) for x, value in zip(graph.inputs, as_inputs(values), strict=True)}

    def known(x):
        return found[id(x)] if isinstance(x, SymbolicTensor) else x

    for node in graph.nodes:
        inputs = [known(x) for x in node.inputs]
        result = bind(node.op, tuple(inputs), node.attrs)
        for out, x in zip(node.outputs, result if node.op.multiple else (result,), strict=True):
            found[id(out)] = _rounded(node, inputs, x, rng) if x.dtype.is_floating else x
    return [known(x).numpy() for x in graph.outputs]


def _rounded(node, inputs, x, rng):
    value = x.numpy()
    if np.isin(np.abs(value), np.abs(np.concatenate([np.ravel(i.numpy()) for i in inputs]))).all():
        return x  # moved or chosen, not computed
    step = 2 * np.abs(np.spacing(value))
    if node.op.name in SUMS:
        terms = bind(node.op, tuple([tf.abs(i) if i.dtype.is_floating else i for i in inputs]), node.attrs).numpy()
        step = step + sum(np.size(i) for i in inputs) / max(1, np.size(value)) * np.finfo(value.dtype).eps * terms
    return tf.constant(value + (step * rng.uniform(-1, 1, value.shape)).astype(value.dtype))


def close(got, expected, tolerance):
    """Raise AssertionError where results differ by more than a part of their greatest magnitude, or of 1."""
    for g, e in zip(got, expected, strict=True):
        scale = np.max(np.abs(e), initial=1.0)
        np.testing.assert_allclose(g, e, rtol=tolerance, atol=tolerance * scale)


def kinds(program):
    """The classes of a program's steps."""
    return [type(step) for step in program.plan.steps]


def program_of(function, *args):
    """Run a `tf.function` until it is native, and return its `Program`."""
    for _ in range(2):
        function(*args)
    executable = function.get_concrete_function(*args)._native.__self__
    return executable.planned(list(executable._programs)[-1])
