"""Contractions: matrix products and what is made of them."""

import math

import numpy as np

from tapeflow.base import dtypes
from tapeflow.base import shape as shapes
from tapeflow.base.errors import invalid
from tapeflow.base.shape import listed
from tapeflow.core.primitive import P, Primitive, bind
from tapeflow.core.tensor import Spec
from tapeflow.ops.blas import product
from tapeflow.ops.family import NUMBERS, sample


def _matmul_kernel(a, b, *, transpose_a=False, transpose_b=False):
    if a.ndim < 2 or b.ndim < 2:
        raise ValueError(a.shape)
    if transpose_a:
        a = a.swapaxes(-1, -2)
    if transpose_b:
        b = b.swapaxes(-1, -2)
    if a.dtype.itemsize == 2 and a.dtype.kind not in "iu":  # half floats accumulate in float32
        return _product(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return _product(a, b)


def _product(a, b):
    """`a @ b`; a stack of matrices times one matrix is one large product of their rows, not many small ones."""
    if a.ndim > 2 and b.ndim == 2 and a.flags.c_contiguous:
        return product(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[-1])
    return product(a, b)


def _matmul_infer(a, b, *, transpose_a=False, transpose_b=False):
    if a.shape is None or b.shape is None:
        return Spec(None, a.dtype)
    for which, dims in (("In[0]", a.shape), ("In[1]", b.shape)):
        if len(dims) < 2:
            raise invalid("matmul", f"{which} ndims must be >= 2, got shape {listed(dims)}. Did you mean tf.linalg.matvec?")
    rows, inner_a = a.shape[-2:][::-1] if transpose_a else a.shape[-2:]
    inner_b, columns = b.shape[-2:][::-1] if transpose_b else b.shape[-2:]
    if None not in (inner_a, inner_b) and inner_a != inner_b:
        swapped = b.shape[-2] if transpose_b else b.shape[-1]
        hint = f" Did you mean transpose_b={not transpose_b}?" if swapped == inner_a else ""
        raise invalid(
            "matmul",
            f"Matrix size-incompatible: In[0]: {listed(a.shape)}, In[1]: {listed(b.shape)}: "
            f"the inner dimensions differ ({inner_a} != {inner_b}).{hint}",
        )
    try:
        batch = shapes.broadcast(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise invalid(
            "matmul",
            f"In[0] and In[1] must have compatible batch dimensions: {listed(a.shape)} vs. {listed(b.shape)}",
        ) from None
    return Spec((*batch, rows, columns), a.dtype)


# The rules call `bind` itself: a call of a primitive by keywords takes a third as long as a small product.


def _matmul_da(g, b, a_shape, *, transpose_a=False, transpose_b=False):
    if b._dtype.is_complex:
        b = P.conj(b)
    if transpose_a:
        da = bind(matmul, (b, g), {"transpose_a": transpose_b, "transpose_b": True})
    else:
        da = bind(matmul, (g, b), {"transpose_a": False, "transpose_b": not transpose_b})
    return da if _is_matrix(g) else _to_shape(da, a_shape)


def _matmul_db(g, a, b_shape, *, transpose_a=False, transpose_b=False):
    if a._dtype.is_complex:
        a = P.conj(a)
    matrix = _is_matrix(g)
    single = matrix or (len(b_shape) if b_shape.__class__ is tuple else b_shape.dims[0]) == 2
    if single and not matrix and not transpose_a and _stacked(a, g):
        # One product over all rows: the sum over the stack is part of it.
        a, g = [P.reshape(x, shape=(-1, x.dims[-1])) for x in (a, g)]
    if transpose_b:
        db = bind(matmul, (g, a), {"transpose_a": True, "transpose_b": transpose_a})
    else:
        db = bind(matmul, (a, g), {"transpose_a": not transpose_a, "transpose_b": False})
    return db if matrix or (single and len(db.dims) == 2) else _to_shape(db, b_shape)


def _is_matrix(g):
    """Whether the result was one matrix, and the operands with it."""
    dims = g.dims
    return dims is not None and len(dims) == 2


def _stacked(a, g):
    """Whether `a` and `g` are stacks of matrices whose rows may be put together."""
    return a.dims is not None and g.dims is not None and len(g.dims) == len(a.dims) > 2 and bool(a.dims[-1] and g.dims[-1])


def _to_shape(g, dims):
    return g if dims.__class__ is tuple and g.dims == dims else P.sum_to(g, shape=dims)


def _matmul_batch(op, inputs, batched, attrs):
    """Batched matrices need nothing, once the batch axes line up."""
    rank = max(len(x.dims) - b for x, b in zip(inputs, batched, strict=True))
    lined = []
    for x, is_batched in zip(inputs, batched, strict=True):
        missing = rank - (len(x.dims) - 1) if is_batched else 0
        lined.append(P.expand_dims(x, axis=tuple(range(1, missing + 1))) if missing else x)
    return op(*lined, **attrs)


def _matmul_samples():
    shapes = [((2, 3), (3, 5), {}), ((3, 2), (3, 5), {"transpose_a": True}), ((2, 3), (5, 3), {"transpose_b": True})]
    shapes += [((3, 2), (5, 3), {"transpose_a": True, "transpose_b": True}), ((7, 2, 3), (3, 5), {})]
    shapes += [((2, 1, 2, 3), (4, 3, 5), {}), ((0, 3), (3, 5), {})]
    return [((sample(*a, seed=1), sample(*b, seed=2)), attrs) for a, b, attrs in shapes]


matmul = Primitive(
    "matmul",
    _matmul_kernel,
    _matmul_infer,
    vjp=(_matmul_da, _matmul_db),
    jvp="multilinear",
    batch=_matmul_batch,
    accepts=NUMBERS - {dtypes.int8, dtypes.int16},
    samples=_matmul_samples,
)

__all__ = ["matmul"]
