"""What the primitives of one family share: inference, derivative and batching rules derived from a line each."""

import numpy as np

from tapeflow.base import dtypes, shape
from tapeflow.base.errors import invalid
from tapeflow.base.shape import listed
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec

NUMBERS = dtypes.NUMBERS
REALS = dtypes.FLOATS | dtypes.INTEGERS
INEXACT = dtypes.FLOATS | dtypes.COMPLEX
FLOATS = dtypes.FLOATS
SIGNED = frozenset(dtype for dtype in REALS if not dtype.is_unsigned)


def elementwise(name, kernel, *rules, accepts=NUMBERS, result=None, parameters=None, samples=None, uniform=True, batch=None):
    """Register an elementwise primitive with broadcasting.

    Args:
        kernel: a NumPy function of as many values as there are `rules`.
        rules: for each input how a tangent is scaled: `lambda t, x, y, out: t * <partial derivative>` with the residuals it
            names, 1 or -1 for a constant derivative, or None. The Jacobian is diagonal, so one rule serves vjp and jvp.
        accepts: the dtypes of the inputs.
        result: the result's dtype, or a function of the input dtype; the input's own by default.

    Returns:
        The `Primitive`.
    """
    parameters = parameters or ("x", "y", "z")[: len(rules)]

    def infer(*specs, **attrs):
        dtype = specs[0].dtype if result is None else result if isinstance(result, dtypes.DType) else result(specs[0].dtype)
        return Spec(broadcast_specs(name, specs), dtype)

    rules = None if all(rule is None for rule in rules) else rules
    return Primitive(
        name,
        kernel,
        infer,
        vjp=rules,
        jvp=rules,
        scales=True,
        batch=batch or batch_elementwise,
        lower="scalar",
        accepts=accepts,
        uniform=uniform,
        samples=samples,
        parameters=parameters,
    )


def broadcast_specs(name, specs):
    """The broadcast shape of some specs; raises TensorFlow's InvalidArgumentError where they do not fit."""
    dims = specs[0].shape
    for spec in specs[1:]:
        try:
            dims = shape.broadcast(dims, spec.shape)
        except ValueError:
            raise invalid(name, f"Incompatible shapes: {listed(dims)} vs. {listed(spec.shape)}") from None
    return dims


def batch_elementwise(op, inputs, batched, attrs):
    """Line the batch axis (first) up before broadcasting: shorter examples get ones between it and their own axes."""
    if inputs[0]._dtype.element is not None:
        return op(*_all_batched(inputs, batched), **attrs)
    rank = max(len(x.dims) - is_batched for x, is_batched in zip(inputs, batched, strict=True))
    lined = []
    for x, is_batched in zip(inputs, batched, strict=True):
        missing = rank - (len(x.dims) - 1) if is_batched else 0
        if missing:
            dims = P.shape(x) if None in x.dims else x.dims
            x = P.reshape(x, shape=(dims[0], *(1,) * missing, *[dims[i] for i in range(1, len(x.dims))]))
        lined.append(x)
    return op(*lined, **attrs)


def _all_batched(lists, batched):
    """Lists of which each stands for all examples."""
    size = P.list_width(lists[batched.index(True)])
    return [x if flag else P.list_spread(x, size=size) for x, flag in zip(lists, batched, strict=True)]


def sample(*shape_, low=-2.0, high=2.0, seed=0, dtype=np.float64):
    """An array of uniform values for registry samples."""
    return np.random.default_rng([seed, *shape_]).uniform(low, high, shape_).astype(dtype)
