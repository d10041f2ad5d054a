"""Fused primitives taken apart into elementwise ops and reductions, which the compiler fuses again its own way.

Each function of the table computes what the primitive's kernel does, written in ops; None where it is better left whole.
Its first argument is the `Builder` of the graph that the ops join.
"""

import math

import numpy as np

from tapeflow.base.dtypes import INTEGERS, bfloat16, bool_, float16, float32, float64, int8, int64, uint64
from tapeflow.base.shape import normalize_axes
from tapeflow.compile.decompose_ctc import ctc_loss
from tapeflow.compile.decompose_images import IMAGES
from tapeflow.compile.decompose_random import DRAWS
from tapeflow.compile.decompose_slices import SLICES
from tapeflow.compile.decompose_sparse import SPARSE
from tapeflow.compile.decompose_warp import WARPS
from tapeflow.compile.internal import CHECK_NUMERICS, CHECK_ORDER, WHOLE_POW, check_range
from tapeflow.compile.rebuild import rebuilt
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap

WIDE = {float32, float64}
MAY_BE_EMPTY = {"bincount"}  # which has no weights, then
SHORT = {float16, bfloat16}
# Ops whose kernels compute short floats in float32 throughout, or only choose some of them.
WIDENED = {"mean", "softmax", "log_softmax", "logsumexp", "sparse_xent", "dense_xent", "matmul"}
WIDENED |= {"conv", "conv_input", "conv_filter", "avg_pool", "avg_pool_grad", "max_pool", "max_pool_grad", "max_pool_pick"}
WIDENED |= {"ctc_loss", "max_pool_argmax"}
WIDENED |= {"gather_grad", "scatter_nd", "unsorted_segment_sum", "unsorted_segment_prod"}
WIDENED |= {"argmax", "argmin", "resample", "resample_grad", "sparse_matmul"}


def decompose(graph):
    """`graph` with the primitives of the table taken apart, where all shapes are known."""
    return rebuilt(graph, _decomposed)


def _decomposed(builder, node, inputs, attrs):
    rule = DECOMPOSED.get(node.op.name)
    short = node.op.name in WIDENED and any(x._dtype in SHORT for x in inputs)
    if (rule is None and not short) or any(x.dims is None or None in x.dims for x in inputs):
        return None
    if node.op.name not in MAY_BE_EMPTY and any(0 in x.dims for x in inputs):
        return None
    with builder.tracing(node.line):
        if short:
            results = _widened(rule or (lambda builder, *xs, **attrs: node.op(*xs, **attrs)), builder, inputs, attrs)
        else:
            results = rule(builder, *inputs, **attrs)
    return results if results is None or results.__class__ is tuple else (results,)


def _widened(rule, builder, inputs, attrs):
    """The op in float32, as its kernel computes short floats, and the results in their dtype."""
    dtype = next(x._dtype for x in inputs if x._dtype in SHORT)
    wide = [P.cast(x, dtype=float32) if x._dtype is dtype else x for x in inputs]
    results = rule(builder, *wide, **attrs)
    if results is None:
        return None
    results = results if results.__class__ is tuple else (results,)
    return tuple([P.cast(x, dtype=dtype) if x._dtype is float32 else x for x in results])


def _mean(builder, x, *, axis=None, keepdims=False):
    if x._dtype not in WIDE and x._dtype not in INTEGERS:
        return None
    axes = normalize_axes(axis, len(x.dims))
    count = math.prod([x.dims[i] for i in axes])
    if x._dtype in INTEGERS:  # rounded toward zero
        wide = uint64 if x._dtype.is_unsigned else int64
        total = P.sum(P.cast(x, dtype=wide), axis=axes, keepdims=keepdims)
        return P.cast(P.truncatediv(total, wrap(wide.type(count))), dtype=x._dtype)
    return P.sum(x, axis=axes, keepdims=keepdims) / wrap(x._dtype.type(count))


def _scores(x, axis):
    return x - P.max(x, axis=(axis,), keepdims=True)


def _softmax(builder, logits, *, axis=-1):
    if logits._dtype not in WIDE:
        return None
    e = P.exp(_scores(logits, axis))
    return e / P.sum(e, axis=(axis,), keepdims=True)


def _log_softmax(builder, logits, *, axis=-1):
    if logits._dtype not in WIDE:
        return None
    scores = _scores(logits, axis)
    return scores - P.log(P.sum(P.exp(scores), axis=(axis,), keepdims=True))


def _logsumexp(builder, x, *, axis=None, keepdims=False):
    if x._dtype not in WIDE:
        return None
    axes = normalize_axes(axis, len(x.dims))
    high = P.max(x, axis=axes, keepdims=True)
    high = P.where(P.is_finite(high), high, P.zeros_like(high))
    total = P.log(P.sum(P.exp(x - high), axis=axes, keepdims=True)) + high
    return total if keepdims else P.squeeze(total, axis=axes)


def _sparse_xent(builder, logits, labels):
    """The loss [...] of logits [..., classes] and its gradient; the label's place is found by comparing."""
    if logits._dtype not in WIDE:
        return None
    classes = logits.dims[-1]
    labels = check_range(builder, labels, classes, "SparseSoftmaxCrossEntropyWithLogits", LABEL)
    hit = P.equal(P.expand_dims(labels, axis=(-1,)), P.range(*[wrap(labels._dtype.type(n)) for n in (0, classes, 1)]))
    scores = _scores(logits, -1)
    e = P.exp(scores)
    total = P.sum(e, axis=(-1,), keepdims=True)
    picked = P.sum(P.where(hit, scores, P.zeros_like(scores)), axis=(-1,), keepdims=False)
    loss = P.log(P.squeeze(total, axis=(-1,))) - picked
    return loss, e / total - P.cast(hit, dtype=logits._dtype)


LABEL = "Received a label value of {value} which is outside the valid range of [0, {limit})."


def _dense_xent(builder, logits, labels):
    if logits._dtype not in WIDE:
        return None
    scores = _scores(logits, -1)
    e = P.exp(scores)
    total = P.sum(e, axis=(-1,), keepdims=True)
    loss = P.sum(labels * (P.log(total) - scores), axis=(-1,), keepdims=False)
    return loss, e / total - labels


def _arg_extreme(reduce, worst):
    def rule(builder, x, *, axis=0, dtype=int64):
        """The first place of the extreme element; nan is passed over, as TensorFlow does."""
        if x._dtype is bool_:
            x = P.cast(x, dtype=int8)
        if x._dtype not in WIDE and x._dtype not in INTEGERS:
            return None
        n = x.dims[axis]
        if x._dtype in WIDE:
            x = P.where(P.is_nan(x), wrap(x._dtype.type(worst)), x)
        best = getattr(P, reduce)(x, axis=(axis,), keepdims=True)
        places = P.range(*[wrap(np.int32(i)) for i in (0, n, 1)])
        behind = len(x.dims) - 1 - axis % len(x.dims)
        places = P.reshape(places, shape=(n, *(1,) * behind))
        found = P.where(P.equal(x, best), places, wrap(np.int32(n)))
        return P.cast(P.min(found, axis=(axis,), keepdims=False), dtype=dtype)

    return rule


# Parts of matrices, by comparing the numbers of rows and columns


def _numbers(n, column=False):
    """0, 1, ..., n - 1, as a column or as a row."""
    found = P.range(*[wrap(np.int32(i)) for i in (0, n, 1)])
    return P.reshape(found, shape=(n, 1)) if column else found


def _band_part(builder, x, *, lower, upper):
    rows, columns = x.dims[-2:]
    if lower > rows or upper > columns:
        return None  # the kernel's error
    above = _numbers(columns) - _numbers(rows, column=True)
    for bound, distance in ((lower, -above), (upper, above)):
        if bound >= 0:
            x = P.where(P.less_equal(distance, wrap(np.int32(bound))), x, P.zeros_like(x))
    return x


def _diag_part(builder, x, *, k, align):
    """One diagonal, as every columns + 1 th element."""
    if k[0] != k[1]:
        return None
    *batch, rows, columns = x.dims
    length = min(rows + min(k[0], 0), columns - max(k[0], 0))
    if length <= 0:
        return None
    start = max(k[0], 0) - min(k[0], 0) * columns
    stop = start + (length - 1) * (columns + 1) + 1
    return P.strided_slice(P.reshape(x, shape=(*batch, rows * columns)), key=(Ellipsis, (start, stop, columns + 1)))


def _set_diag(builder, x, diagonal, *, k, align):
    if k[0] != k[1] or x._dtype is not diagonal._dtype:
        return None
    rows, columns = x.dims[-2:]
    before = max(-k[0], 0)
    after = rows - before - diagonal.dims[-1]
    padded = P.pad(diagonal, paddings=(*((0, 0),) * (len(diagonal.dims) - 1), (before, after)), value=0)
    hit = P.equal(_numbers(columns) - _numbers(rows, column=True), wrap(np.int32(k[0])))
    return P.where(hit, P.expand_dims(padded, axis=(-1,)), x)


def _roll(builder, x, *, shift, axis):
    for by, i in zip(shift, axis, strict=True):
        n = x.dims[i]
        before = ((None, None, None),) * (i % len(x.dims))
        if by % n:
            cut = n - by % n
            x = P.concat(*[P.strided_slice(x, key=(*before, (a, b, None))) for a, b in ((cut, n), (0, cut))], axis=i)
    return x


def _cumulative_logsumexp(builder, x, *, axis, **flags):
    """Along the first axis, so that the lines stand side by side in vectors."""
    last = len(x.dims) - 1
    if axis % len(x.dims) != last or not last:
        return None
    turned = P.transpose(x, perm=(last, *range(last)))
    return P.transpose(P.cumulative_logsumexp(turned, axis=0, **flags), perm=(*range(1, last + 1), 0))


# Counting


def _in_range(builder, x, *, low, high, message):
    most = x._dtype.max
    if low or x._dtype.is_unsigned or (high is not None and (high.__class__ is not int or high > most)):
        return None
    text = f"{message}: {{value}} is not in [0, {'inf' if high is None else high})"
    return check_range(builder, x, most + 1 if high is None else high, "in_range", text)


def _bincount(builder, values, weights, *, size, binary):
    """Segments of ones, or of weights; each row of a matrix has segments of its own."""
    if size.__class__ is not int or not size or 0 in values.dims or len(values.dims) > 2:
        return None
    ids = P.cast(values, dtype=int64)
    ids = P.where(P.less(ids, wrap(np.int64(size))), ids, wrap(np.int64(-1)))
    rows = values.dims[0] if len(values.dims) == 2 else 1
    if rows > 1:
        first = P.cast(_numbers(rows, column=True), dtype=int64) * wrap(np.int64(size))
        ids = P.where(P.less(ids, P.zeros_like(ids)), ids, ids + first)
    data = P.fill(shape=values.dims, value=1, dtype=weights._dtype) if weights.dims == (0,) or binary else weights
    found = P.unsorted_segment_sum(data, ids, num=rows * size)
    if binary:
        found = P.minimum(found, P.ones_like(found))
    return P.reshape(found, shape=(*values.dims[:-1], size)) if len(values.dims) == 2 else found


def _sorted_ids(builder, ids, data):
    if len(ids.dims) != 1 or not data.dims or data.dims[0] != ids.dims[0]:
        return None
    before = P.pad(P.strided_slice(ids, key=((None, -1, None),)), paddings=((1, 0),), value=ids._dtype.min)
    return builder.add(CHECK_ORDER, (ids, before), {"op": "segment", "count": ids.dims[0]}, None)[0]


def _pow(builder, x, y):
    """Of integers an op of its own, which may fail; a constant that does is left to the kernel."""
    if x._dtype not in INTEGERS or (y.__class__ is Tensor and np.any(y._value < 0)):
        return None
    return builder.add(WHOLE_POW, (x, y), {}, None)[0]


def _check_numerics(builder, x, *, message):
    return builder.add(CHECK_NUMERICS, (x,), {"message": message}, None)[0] if x._dtype in WIDE else None


DECOMPOSED = {
    **DRAWS,
    **IMAGES,
    **SLICES,
    **SPARSE,
    **WARPS,
    "check_numerics": _check_numerics,
    "argmax": _arg_extreme("max", -math.inf),
    "argmin": _arg_extreme("min", math.inf),
    "band_part": _band_part,
    "ctc_loss": ctc_loss,
    "cumulative_logsumexp": _cumulative_logsumexp,
    "bincount": _bincount,
    "diag_part": _diag_part,
    "in_range": _in_range,
    "mean": _mean,
    "pow": _pow,
    "roll": _roll,
    "set_diag": _set_diag,
    "softmax": _softmax,
    "sorted_ids": _sorted_ids,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "sparse_xent": _sparse_xent,
    "dense_xent": _dense_xent,
}

__all__ = ["DECOMPOSED", "decompose"]
