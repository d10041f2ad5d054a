"""Walks the registry: every primitive passes every check on every sample, and the checks catch a rule that is 0.1 % wrong."""

import checks
import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core.primitive import PRIMITIVES
from tapeflow.core.rules import Rule

# Primitives whose results are not a function of their inputs alone, each with the reason.
UNCHECKED = {
    "read_variable": "reads a variable: tests/test_variable.py",
    "update_variable": "writes a variable: tests/test_variable.py",
    "assign_slice": "changes a variable: tests/array/test_variable_parts.py",
    "scatter_variable": "changes a variable: tests/array/test_variable_parts.py",
    "count_up_to": "changes a variable: tests/array/test_variable_parts.py",
    **{
        f"list_{name}": "takes or gives a list: tests/ops/test_lists.py"
        for name in ("reserve", "length", "get", "set", "only", "cleared", "padded", "from", "stack", "concat", "split")
    },
    **{f"list_{name}": "a list of a batch: tests/trace/test_programs.py" for name in ("width", "spread", "summed", "where")},
}

UNCHECKED |= {
    name: "takes or gives a Python object: tests/trace/test_iterators.py"
    for name in [
        "dataset_iterator",
        "iterator_next",
        "iterator_next_optional",
        "optional_of",
        "optional_present",
        "optional_get",
    ]
}
UNCHECKED |= {name: "runs graphs: tests/trace/test_programs.py" for name in ("call", "switch", "while_loop")}

# Single checks that a primitive is spared, each with the reason.
SPARED = {
    ("py_call", "jvp"): "Python code that a graph calls has no forward derivative: it raises UnimplementedError",
    ("ctc_loss", "function"): "its second result is its gradient, which has no derivative: tests/nn/test_ctc.py",
    ("ctc_loss", "vjp"): "its second result is its gradient, which has no derivative: tests/nn/test_ctc.py checks the first",
    ("ctc_loss", "second order"): "has no second derivative, as in TensorFlow: tests/nn/test_ctc.py",
    ("ctc_loss", "jvp"): "has no second derivative, from which the tangent would come: tests/nn/test_ctc.py",
}


def uniform(*shape, low=0.3, high=1.7):
    """Distinct values away from the points where common functions are not smooth."""
    rng = np.random.default_rng([5, *shape])
    return rng.permutation(np.linspace(low, high, int(np.prod(shape)) or 1))[: int(np.prod(shape))].reshape(shape)


def default_samples(op):
    """Samples for a family: elementwise ops broadcast, reductions have axes."""
    count = len(op.parameters)
    if op.lower == "scalar":
        if count == 1:
            return [((uniform(*shape),), {}) for shape in [(2, 3), (), (0, 3)]]
        if count == 2:
            pairs = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((0, 3), (1, 3)), ((), ())]
            return [((uniform(*a), uniform(*b, low=0.4, high=1.9)), {}) for a, b in pairs]
    if op.lower == "reduce":
        axes = [{"axis": None}, {"axis": (0,)}, {"axis": (1, -1)}, {"axis": (0, 2), "keepdims": True}]
        return [((uniform(2, 3, 5),), attrs) for attrs in axes] + [((uniform(),), {"axis": None})]
    return None


def converted(op, sample):
    """The sample in the first dtype that the op accepts: float64 where it can."""
    inputs, attrs = sample
    if op.samples is not None or op.accepts & tf.float64.bit:
        return sample
    dtype = next(d for d in (tf.bool, tf.int32, tf.string, tf.complex128) if op.accepts & d.bit)
    return tuple(np.asarray(x > 1 if dtype is tf.bool else x * 5).astype(dtype.numpy_dtype) for x in inputs), attrs


def cases():
    """(name, sample number, check) for the whole registry."""
    for name, op in sorted(PRIMITIVES.items()):
        if name in UNCHECKED:
            continue
        samples = op.samples() if op.samples is not None else default_samples(op)
        if samples is None:
            yield pytest.param(name, None, None, id=f"{name}-samples")
            continue
        for number, sample in enumerate(samples):
            for check in checks.CHECKS:
                if (name, check) in SPARED:
                    continue
                yield pytest.param(name, converted(op, sample), check, id=f"{name}-{number}-{check}")


@pytest.mark.parametrize("name, sample, check", cases())
def test_primitive(name, sample, check):
    assert sample is not None, f"the primitive {name} has no samples: give it `samples=`"
    inputs, attrs = sample
    checks.CHECKS[check](PRIMITIVES[name], inputs, attrs)


@pytest.mark.parametrize("name", ["mul", "sin", "matmul", "sum", "softmax", "gather"])
def test_a_rule_wrong_by_a_thousandth_is_found(name, monkeypatch):
    op = PRIMITIVES[name]
    samples = op.samples() if op.samples is not None else default_samples(op)

    def spoiled(rule):
        if rule is None:
            return None
        wrong = Rule.__new__(Rule)
        for slot in Rule.__slots__:
            setattr(wrong, slot, getattr(rule, slot))
        wrong.on_values = None
        wrong.call = lambda g, *args, **kwargs: _scaled(rule.call(g, *args, **kwargs))
        return wrong

    plans = tuple(map(spoiled, op.plans)) if isinstance(op.plans, tuple) else spoiled(op.plans)
    monkeypatch.setattr(op, "plans", plans)
    with pytest.raises(AssertionError):
        for inputs, attrs in samples:
            checks.check_vjp(op, inputs, attrs)


def _scaled(result):
    if isinstance(result, (tuple, list)):
        return [_scaled(g) for g in result]
    return None if result is None else tf.convert_to_tensor(result) * 1.001
