"""Ops on complex numbers that are ops on their real and imaginary parts: sums, scatters and casts; a matrix product is four real ones.

What is elementwise or a movement needs none of this: there an element is a pair of registers (`complex_math.py`).
"""

import math

from tapeflow.base.shape import normalize_axes
from tapeflow.compile.rebuild import has_tensors, rebuilt
from tapeflow.core.primitive import P
from tapeflow.core.tensor import wrap

# Linear ones, and those that only choose elements.
LINEAR = {
    "sum",
    "mean",
    "sum_to",
    "cumsum",
    "gather_nd",
    "gather_grad",
    "scatter_nd",
    "tensor_scatter",
    "unsorted_segment_sum",
}


def by_parts(graph):
    """`graph` in which the ops of the table work on the parts of complex numbers."""
    if not any(_is_complex(x) for node in graph.nodes for x in (*node.inputs, *node.outputs)):
        return graph
    return rebuilt(graph, _visit)


def _is_complex(x):
    return x._dtype.is_complex


def _visit(builder, node, inputs, attrs):
    rule = RULES.get(node.op.name)
    if rule is None or has_tensors(attrs) or not any(map(_is_complex, (*inputs, *node.outputs))):
        return None
    if any(x.dims is None or None in x.dims or 0 in x.dims for x in (*inputs, *node.outputs)):
        return None
    with builder.tracing(node.line):
        return (rule(node.op, *inputs, **attrs),)


def _each(op, *inputs, **attrs):
    return P.complex(*[op(*[part(x) if _is_complex(x) else x for x in inputs], **attrs) for part in (P.real, P.imag)])


def _cast(op, x, *, dtype):
    """A real number has the imaginary part 0; of a complex one a real dtype takes the real part."""
    if not dtype.is_complex:
        return P.cast(P.real(x), dtype=dtype)
    part = dtype.real_dtype
    if _is_complex(x):
        return P.complex(P.cast(P.real(x), dtype=part), P.cast(P.imag(x), dtype=part))
    return P.complex(P.cast(x, dtype=part), wrap(part.type(0)))


def _matmul(op, a, b, **attrs):
    (a, a_im), (b, b_im) = [(P.real(x), P.imag(x)) for x in (a, b)]
    product = lambda x, y: P.matmul(x, y, **attrs)  # noqa: E731
    return P.complex(product(a, b) - product(a_im, b_im), product(a, b_im) + product(a_im, b))


def _prod(op, x, *, axis=None, keepdims=False):
    """The last of the cumulative products."""
    axes = normalize_axes(axis, len(x.dims))
    if not axes:
        return x
    rest = [i for i in range(len(x.dims)) if i not in axes]
    lines = P.transpose(x, perm=(*rest, *axes))
    lines = P.reshape(lines, shape=(*[x.dims[i] for i in rest], math.prod([x.dims[i] for i in axes])))
    found = P.strided_slice(P.cumprod(lines, axis=-1), key=(Ellipsis, -1))
    return P.reshape(found, shape=tuple([1 if i in axes else n for i, n in enumerate(x.dims)])) if keepdims else found


RULES = {**dict.fromkeys(LINEAR, _each), "cast": _cast, "matmul": _matmul, "prod": _prod}

__all__ = ["by_parts"]
