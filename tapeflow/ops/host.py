"""Ops that reach outside of the computation: printing, checks that raise, Python functions, the clock."""

import time

import numpy as np

from tapeflow.base.dtypes import bool_, float64
from tapeflow.base.errors import InvalidArgumentError, UnimplementedError, invalid
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS, batch_elementwise


def _none(*specs, **attrs):
    """The specs of an op without results."""
    return ()


def _assert_kernel(condition, *data, texts, summarize):
    if condition:
        return ()
    data = iter(data)
    parts = [summary(next(data), summarize) if text is None else text for text in texts]
    raise InvalidArgumentError(None, None, "assertion failed: " + " ".join(f"[{part}]" for part in parts))


def summary(value, count):
    """The first `count` elements of a value in one line, all of them where `count` is negative."""
    flat = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in np.ravel(value).tolist()]
    shown = flat if count < 0 else flat[:count]
    return " ".join(map(str, shown)) + ("..." if len(shown) < len(flat) else "")


# Raises where `condition` is False; `texts` are the parts of the message, None standing for the next of `data`.
assert_that = Primitive(
    "assert_that",
    _assert_kernel,
    _none,
    accepts={bool_},
    uniform=False,
    multiple=True,
    stateful=True,
    samples=lambda: [((np.True_, np.arange(3.0)), {"texts": ("x", None), "summarize": 2})],
)


def _check_kernel(x, *, message):
    finite = np.isfinite(x)
    if np.all(finite):
        return x
    found = [kind for kind, test in (("Inf", np.isinf), ("NaN", np.isnan)) if np.any(test(x))]
    raise invalid("CheckNumerics", f"{message} : Tensor had {' and '.join(found)} values")


def _check_vjp(g, *, message):
    text = f"Not a number (NaN) or infinity (Inf) values detected in gradient. {message}"
    return P.check_numerics(g, message=text)


check_numerics = Primitive(
    "check_numerics",
    _check_kernel,
    lambda x, *, message: x,
    vjp=(_check_vjp,),
    jvp="linear",
    batch=batch_elementwise,
    accepts=FLOATS,
    stateful=True,
    samples=lambda: [((np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),), {"message": "sample"})],
)


# `write(*values)` prints them; it is made by `tf.print`.
print_ = Primitive(
    "print",
    lambda *values, write: write(*values) or (),
    _none,
    uniform=False,
    multiple=True,
    stateful=True,
    samples=lambda: [((np.arange(3.0),), {"write": lambda *values: None})],
)


def _py_call_vjp(g, wanted, inputs, *, back, **attrs):
    """Calls `back`, which takes the inputs and the cotangents and gives a cotangent for each input."""
    if back is None:
        return (None,) * len(inputs)
    specs = tuple(x.spec for x in inputs)
    return P.py_call(*inputs, *g, call=back, back=None, specs=specs)


def _py_call_jvp(tangents, inputs, out, **attrs):
    raise UnimplementedError(
        None, None, "py_call: Python code that is called from a graph has no forward derivative; use a tape."
    )


# `call(*values)` is Python code on NumPy values that gives a tuple of NumPy values; `specs` says what it will give.
py_call = Primitive(
    "py_call",
    lambda *values, call, back, specs: call(*values),
    lambda *inputs, call, back, specs: specs,
    vjp=_py_call_vjp,
    jvp=_py_call_jvp,
    uniform=False,
    multiple=True,
    stateful=True,
    samples=lambda: [
        (
            (np.arange(3.0),),
            {"call": lambda x: (x * 2,), "back": lambda x, g: (g * 2,), "specs": (Spec((3,), float64),)},
        )
    ],
)

timestamp = Primitive(
    "timestamp",
    lambda: np.float64(time.time()),
    lambda: Spec((), float64),
    stateful=True,
    parameters=(),
    samples=lambda: [],
)
