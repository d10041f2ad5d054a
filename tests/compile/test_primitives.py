"""Every primitive of the registry, in every dtype it takes, compiled: the same as its NumPy kernel."""

import numpy as np
import pytest
from test_registry import UNCHECKED, default_samples

import tapeflow as tf
from compiled import as_inputs, compare, graph_of, native, specs_of
from tapeflow.base.errors import OpError
from tapeflow.compile.executable import compile_graph
from tapeflow.core.primitive import PRIMITIVES

# Effects and draws: another run gives other values.
UNREPEATABLE = {name for name, op in PRIMITIVES.items() if op.stateful}
DTYPES = [tf.float32, tf.float64, tf.int32, tf.int64, tf.uint8, tf.int8, tf.bool, tf.float16, tf.bfloat16, tf.complex64]
# In ulp: float16 and bfloat16 are few digits, and rounding the same number down or up is one of them.
WITHIN = 4
# Sums of many terms: their order, and so their rounding, is the library's.
SUMS = {
    *("matmul", "conv", "conv_input", "conv_filter", "avg_pool", "avg_pool_grad", "max_pool_grad", "sum_to"),
    *("softmax", "log_softmax", "dense_xent", "sparse_xent", "ctc_loss"),
}


def in_dtype(op, inputs, dtype):
    """A sample's first input, and whatever has its dtype, in another one; None where the op takes it not."""
    first = np.asarray(inputs[0]).dtype if inputs else None
    if first is None or not op.accepts & dtype.bit or first.kind == "O":
        return None
    scale = 1 if dtype.is_floating or dtype.is_complex else 3
    cast = lambda x: (np.asarray(x) * scale).astype(dtype.numpy_dtype) if np.asarray(x).dtype == first else x  # noqa: E731
    with np.errstate(all="ignore"):
        return tuple(map(cast, inputs))


def cases():
    for name, op in sorted(PRIMITIVES.items()):
        if name in UNCHECKED or name in UNREPEATABLE:
            continue
        samples = op.samples() if op.samples is not None else default_samples(op)
        for number, (inputs, attrs) in enumerate(samples or ()):
            if op.samples is not None:
                yield pytest.param(name, inputs, attrs, id=f"{name}-{number}-given")
            for dtype in DTYPES:
                cast = in_dtype(op, inputs, dtype)
                if cast is not None:
                    yield pytest.param(name, cast, attrs, id=f"{name}-{number}-{dtype.name}")


@pytest.mark.parametrize("name, inputs, attrs", list(cases()))
def test_compiled_is_the_kernel(name, inputs, attrs):
    op = PRIMITIVES[name]
    inputs = as_inputs(inputs)
    try:
        graph = graph_of(lambda *xs: op(*xs, **attrs), specs_of(inputs))
        expected = [x._value for x in graph.run(inputs, graph.outputs)]
    except OpError:
        pytest.skip("the sample in this dtype is an error of its own")
    got = compile_graph(graph).run(inputs)
    reduces = op.lower == "reduce" or name in SUMS
    compare(got, expected, WITHIN, 1e-2 if reduces and expected[0].dtype.itemsize == 2 else 1e-5 if reduces else None)


@pytest.mark.parametrize("target", [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)])
@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
def test_floats_become_integers(source, target):
    """What is negative becomes an unsigned integer's two's complement; small integers are cut from those of 32 bits."""
    dtype = tf.as_dtype(target)
    bits = 8 * dtype.size
    low, high = -(2.0 ** (max(bits, 32) - 1)), 2.0 ** (bits if dtype.is_unsigned and bits >= 32 else max(bits, 32) - 1)
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(low, high, 300), rng.normal(0, 300, 300), [-0.5, 0.5, -1, -0.0, low]])
    x = np.clip(x, -65504, 65504) if source == "float16" else x
    native(lambda x: tf.cast(x, dtype), x.astype(source))
