"""Contractions: matrix products and what is made of them."""

import numpy as np

from tapeflow.base import shape as shapes
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import NUMBERS


def _matmul_kernel(a, b, *, transpose_a=False, transpose_b=False):
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(a.shape)
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    if a.dtype.itemsize == 2 and a.dtype.kind not in "iu":  # half floats accumulate in float32
        return np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return np.matmul(a, b)


def _matmul_infer(a, b, *, transpose_a=False, transpose_b=False):
    if a.shape is None or b.shape is None:
        return Spec(None, a.dtype)
    for which, dims in (("a", a.shape), ("b", b.shape)):
        if len(dims) < 2:
            raise invalid("matmul", f"{which} must have at least 2 dimensions, got shape {list(dims)}. Did you mean tf.linalg.matvec?")
    rows, inner_a = a.shape[-2:][::-1] if transpose_a else a.shape[-2:]
    inner_b, columns = b.shape[-2:][::-1] if transpose_b else b.shape[-2:]
    if None not in (inner_a, inner_b) and inner_a != inner_b:
        swapped = b.shape[-2] if transpose_b else b.shape[-1]
        hint = f" Did you mean transpose_b={not transpose_b}?" if swapped == inner_a else ""
        raise invalid(
            "matmul",
            f"Matrix size-incompatible: In[0]: {_listed(a.shape)}, In[1]: {_listed(b.shape)}: "
            f"the inner dimensions differ ({inner_a} != {inner_b}).{hint}",
        )
    try:
        batch = shapes.broadcast(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise invalid(
            "matmul", f"In[0] and In[1] must have compatible batch dimensions: {_listed(a.shape)} vs. {_listed(b.shape)}"
        ) from None
    return Spec((*batch, rows, columns), a.dtype)


def _listed(dims):
    return "[" + ",".join("?" if n is None else str(n) for n in dims) + "]"


def _conj(x):
    return P.conj(x) if x._dtype.is_complex else x


def _matmul_da(g, b, a_shape, *, transpose_a=False, transpose_b=False):
    b = _conj(b)
    if transpose_a:
        da = P.matmul(b, g, transpose_a=transpose_b, transpose_b=True)
    else:
        da = P.matmul(g, b, transpose_a=False, transpose_b=not transpose_b)
    return _to_shape(da, a_shape)


def _matmul_db(g, a, b_shape, *, transpose_a=False, transpose_b=False):
    a = _conj(a)
    if transpose_b:
        db = P.matmul(g, a, transpose_a=True, transpose_b=transpose_a)
    else:
        db = P.matmul(a, g, transpose_a=not transpose_a, transpose_b=False)
    return _to_shape(db, b_shape)


def _to_shape(g, dims):
    return g if g.dims == dims else P.sum_to(g, shape=dims)


def _matmul_batch(op, inputs, batched, attrs):
    """Batched matrices need nothing, once the batch axes line up."""
    rank = max(len(x.dims) - b for x, b in zip(inputs, batched, strict=True))
    lined = []
    for x, is_batched in zip(inputs, batched, strict=True):
        missing = rank - (len(x.dims) - 1) if is_batched else 0
        lined.append(P.expand_dims(x, axis=tuple(range(1, missing + 1))) if missing else x)
    return op(*lined, **attrs)


matmul = Primitive(
    "matmul",
    _matmul_kernel,
    _matmul_infer,
    vjp=(_matmul_da, _matmul_db),
    jvp="multilinear",
    batch=_matmul_batch,
    accepts=NUMBERS,
)

__all__ = ["matmul"]
