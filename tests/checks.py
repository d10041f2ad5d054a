"""The checks that every primitive must pass, as functions that raise AssertionError, so that they can be tested themselves.

Each takes a primitive and one sample (inputs as arrays, attrs). Derivatives are held against central differences in float64
along random directions: a rule that is 0.1 % wrong fails.
"""

import numpy as np

import tapeflow as tf
from tapeflow.autodiff.forward import ForwardAccumulator
from tapeflow.base import dtypes, flags
from tapeflow.core.backward import on_arrays
from tapeflow.core.graph import Graph
from tapeflow.core.primitive import bind
from tapeflow.core.rules import on_values
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import tracing
from tapeflow.core.tensor import Spec, wrap

STEP = 1e-5
RELATIVE = 2e-5


def tensors(inputs):
    """Tensors of a sample's arrays."""
    return [wrap(np.array(x) if not isinstance(x, np.generic) else x) for x in inputs]


def outputs_of(op, xs, attrs):
    """The results as a tuple."""
    result = bind(op, tuple(xs), attrs)
    return result if op.multiple else (result,)


def dense(g):
    """A cotangent as an array."""
    return np.asarray((g.dense() if isinstance(g, IndexedSlices) else g)._value)


def check_inference(op, inputs, attrs):
    """`infer` says what the kernel does; with unknown dimensions it says nothing that is wrong."""
    xs = tensors(inputs)
    results = outputs_of(op, xs, attrs)
    known = op.infer(*[x.spec for x in xs], **attrs)
    for spec, out in zip(known if op.multiple else (known,), results, strict=True):
        assert spec.dtype is out.dtype, f"{op.name}: infer says {spec.dtype}, the kernel {out.dtype}"
        assert spec.shape == out.dims or _unknown_fits(spec.shape, out.dims), f"{op.name}: {spec.shape} is not {out.dims}"
    loose = op.infer(*[Spec((None,) * len(x.dims), x.dtype) for x in xs], **attrs)
    for spec, out in zip(loose if op.multiple else (loose,), results, strict=True):
        assert _unknown_fits(spec.shape, out.dims), (
            f"{op.name}: inferred {spec.shape} from unknown dimensions, it is {out.dims}"
        )


def _unknown_fits(dims, actual):
    return dims is None or (len(dims) == len(actual) and all(n is None or n == m for n, m in zip(dims, actual, strict=True)))


def check_trace(op, inputs, attrs):
    """A traced graph, also with unknown dimensions, gives the eager values."""
    xs = tensors(inputs)
    expected = outputs_of(op, xs, attrs)
    for unknown in (False, True):
        graph = Graph("check")
        with tracing(graph):
            placeholders = [graph.placeholder((None,) * len(x.dims) if unknown else x.dims, x.dtype) for x in xs]
            results = outputs_of(op, placeholders, attrs)
        found = graph.run([x._value for x in xs], results)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a._value), np.asarray(b._value), err_msg=op.name)


def differentiable(op, xs, outs):
    """The positions of the inputs that the op's vjp gives cotangents for."""
    if op.plans is None or not any(out.dtype.is_trainable for out in outs):
        return []
    rules = op.plans if isinstance(op.plans, tuple) else (op.plans,) * len(xs)
    return [i for i, (x, rule) in enumerate(zip(xs, rules, strict=True)) if rule is not None and x.dtype is dtypes.float64]


def _direction(rng, x):
    return rng.uniform(0.5, 1.5, x.dims) * rng.choice([-1.0, 1.0], x.dims)


def check_vjp(op, inputs, attrs, order=1):
    """vjp against central differences along random directions; order 2 checks the derivative of the vjp itself."""
    rng = np.random.default_rng(7)
    xs = tensors(inputs)
    outs = outputs_of(op, xs, attrs)
    wrt = differentiable(op, xs, outs)
    if not any(out.dtype is dtypes.float64 for out in outs) or not wrt or any(np.size(xs[i]._value) == 0 for i in wrt):
        return
    weights = [wrap(rng.uniform(0.5, 1.5, out.dims)) if out.dtype is dtypes.float64 else None for out in outs]

    def scalar(points):
        total = None
        for out, weight in zip(outputs_of(op, points, attrs), weights, strict=True):
            if weight is not None:
                term = tf.reduce_sum(out * weight)
                total = term if total is None else total + term
        return total

    if order == 1:
        _check_slope(op, scalar, xs, wrt, rng)
        return
    bends = [wrap(_direction(rng, xs[i])) for i in wrt]

    def slope(points):
        with tf.GradientTape() as tape:
            for i in wrt:
                tape.watch(points[i])
            y = scalar(points)
        gradients = tape.gradient(y, [points[i] for i in wrt])
        terms = [tf.reduce_sum(tf.convert_to_tensor(g) * b) for g, b in zip(gradients, bends, strict=True) if g is not None]
        return tf.add_n(terms)

    _check_slope(op, slope, xs, wrt, rng, step=1e-4, tolerance=2e-4)


def _check_slope(op, function, xs, wrt, rng, step=STEP, tolerance=RELATIVE):
    with tf.GradientTape() as tape:
        for i in wrt:
            tape.watch(xs[i])
        y = function(xs)
    gradients = tape.gradient(y, [xs[i] for i in wrt])
    for i, g in zip(wrt, gradients, strict=True):
        direction = _direction(rng, xs[i])

        def moved(amount, i=i, direction=direction):
            points = list(xs)
            points[i] = wrap(np.asarray(xs[i]._value) + amount * direction)
            return float(function(points)._value)

        slope = (moved(step) - moved(-step)) / (2 * step)
        exact = 0.0 if g is None else float(np.sum(dense(g) * direction))
        scale = max(1.0, abs(slope), abs(exact))
        assert abs(slope - exact) <= tolerance * scale, f"{op.name}: input {i}: vjp gives {exact}, differences give {slope}"


def check_jvp(op, inputs, attrs):
    """<cotangent, jvp(tangent)> equals <vjp(cotangent), tangent>."""
    rng = np.random.default_rng(11)
    xs = tensors(inputs)
    outs = outputs_of(op, xs, attrs)
    wrt = differentiable(op, xs, outs)
    if not wrt:
        return
    tangents = [wrap(_direction(rng, xs[i])) for i in wrt]
    with tf.GradientTape() as tape, ForwardAccumulator([xs[i] for i in wrt], tangents) as accumulator:
        for i in wrt:
            tape.watch(xs[i])
        outs = outputs_of(op, xs, attrs)
    floating = [out for out in outs if out.dtype is dtypes.float64]
    weights = [wrap(_direction(rng, out)) for out in floating]
    forward = 0.0
    for out, weight in zip(floating, weights, strict=True):
        tangent = accumulator.jvp(out)
        forward += 0.0 if tangent is None else float(np.sum(np.asarray(tangent._value) * np.asarray(weight._value)))
    gradients = tape.gradient(floating, [xs[i] for i in wrt], output_gradients=weights)
    backward = 0.0
    for g, t in zip(gradients, tangents, strict=True):
        backward += 0.0 if g is None else float(np.sum(dense(g) * np.asarray(t._value)))
    assert abs(forward - backward) <= 1e-8 * max(1.0, abs(backward)), f"{op.name}: jvp gives {forward}, vjp {backward}"


def check_batch(op, inputs, attrs):
    """`vectorized_map` over each input (and over all) gives what a loop gives."""
    if not inputs or op.stateful:
        return
    rng = np.random.default_rng(13)
    copies = [np.stack([x, _shuffled(rng, x), x]) for x in map(np.asarray, inputs)]
    choices = [{i} for i in range(len(inputs))] + ([set(range(len(inputs)))] if len(inputs) > 1 else [])
    for chosen in choices:
        elems = [wrap(copies[i]) for i in sorted(chosen)]

        def run(parts, chosen=chosen):
            parts = iter(parts)
            xs = [next(parts) if i in chosen else wrap(np.array(x)) for i, x in enumerate(inputs)]
            return outputs_of(op, xs, attrs)

        batched = tf.vectorized_map(run, elems)
        for n in range(3):
            single = run([wrap(copies[i][n]) for i in sorted(chosen)])
            for a, b in zip(batched, single, strict=True):
                if b.dtype is dtypes.string:
                    assert np.array_equal(np.asarray(a._value)[n], np.asarray(b._value)), op.name
                    continue
                np.testing.assert_allclose(
                    np.asarray(a._value)[n],
                    np.asarray(b._value),
                    rtol=1e-9,
                    atol=1e-9,
                    err_msg=f"{op.name} batched over {chosen}",
                )


def _shuffled(rng, x):
    """Other floats of the same kind; indices stay as they are, since not any will do."""
    return rng.permutation(x.ravel()).reshape(x.shape) if x.size and x.dtype.kind in "fc" else x


def check_function(op, inputs, attrs):
    """A traced function gives the eager values and gradients: alone, with unknown dimensions, and inside another function."""
    xs = tensors(inputs)
    outs = outputs_of(op, xs, attrs)
    wrt = differentiable(op, xs, outs)

    def function(*points):
        return outputs_of(op, points, attrs)

    def results(call, differentiated=True):
        # Native code rounds in other places: tests/compile holds it against the kernels.
        with flags.using(COMPILE=0), tf.GradientTape() as tape:
            tape.watch([xs[i] for i in wrt] if differentiated else [])
            found = call(*xs)
        targets = [out for out in found if out.dtype is dtypes.float64]
        return found, tape.gradient(targets, [xs[i] for i in wrt]) if targets and wrt else [None] * len(wrt)

    loose = [tf.TensorSpec([None] * len(x.dims), x.dtype) for x in xs]
    traced = tf.function(function, autograph=False)
    modes = {
        "traced": traced,
        "unknown dimensions": tf.function(function, input_signature=loose, autograph=False),
        "nested": tf.function(lambda *points: traced(*points), autograph=False),
    }
    expected, gradients = results(function)
    for name, mode in modes.items():
        # TensorFlow has no gradient of these for unknown inner dimensions either.
        undefined = name == "unknown dimensions" and op.name in ("qr", "svd")
        found, own = results(mode, not undefined)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a._value), np.asarray(b._value), err_msg=f"{op.name}, {name}")
        for a, b in zip(own, [] if undefined else gradients, strict=not undefined):
            assert (a is None) == (b is None), f"{op.name}, {name}: gradients {a} and {b}"
            if a is not None:
                np.testing.assert_allclose(
                    dense(a), dense(b), rtol=1e-12, atol=1e-12, err_msg=f"gradient of {op.name}, {name}"
                )


def check_rules_on_values(op, inputs, attrs):
    """A derivative rule that is computed on values alone gives the bits of the rule itself, in every dtype of floats."""
    if op.lower != "scalar" or op.plans.__class__ is not tuple:
        return
    for dtype in (tf.float64, tf.float32, tf.bfloat16, tf.float16):
        if not op.accepts & dtype.bit or attrs:
            continue
        xs = [wrap(np.array(x, dtype.numpy_dtype) if np.asarray(x).dtype.kind == "f" else np.array(x)) for x in inputs]
        (out,) = outputs_of(op, xs, attrs)
        g = tf.cast(tf.reshape(tf.range(1.0, 1.0 + tf.size(out).numpy()), out.shape) / 3.0, out.dtype)
        for rule in op.plans:
            written = rule and on_values(op, rule)
            if written:
                residuals = rule.take(xs, out)
                slow, quick = rule.call(g, *residuals), on_arrays(written, g, residuals)
                assert quick is None or (quick.dtype is slow.dtype and quick.dims == slow.dims)
                assert quick is None or quick.numpy().tobytes() == slow.numpy().tobytes(), f"{op.name} in {dtype.name}"


CHECKS = {
    "infer": check_inference,
    "trace": check_trace,
    "function": check_function,
    "vjp": check_vjp,
    "second order": lambda op, inputs, attrs: check_vjp(op, inputs, attrs, order=2),
    "jvp": check_jvp,
    "batch": check_batch,
    "rules on values": check_rules_on_values,
}
