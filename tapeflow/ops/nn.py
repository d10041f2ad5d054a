"""Fused ops of neural networks: activations, softmax, and the cross entropies that give loss and gradient in one go."""

import numpy as np

from tapeflow.base.dtypes import int32, int64
from tapeflow.base.errors import invalid
from tapeflow.base.shape import listed
from tapeflow.core.primitive import P, Primitive, bind
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS, elementwise, sample
from tapeflow.ops.window import with_batch

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
FLOAT_NAMES = "half, bfloat16, float, double"


# Activations


def _slope_by_sign(negative, other):
    """A rule that scales a tangent by one factor where the result is negative and by another elsewhere."""

    def rule(t, out):
        return P.where(out < 0, negative(t, out), other(t))

    return rule


elu = elementwise(
    "elu",
    lambda x: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    _slope_by_sign(lambda t, out: t * (out + 1), lambda t: t),
    accepts=FLOATS,
)
selu = elementwise(
    "selu",
    lambda x: np.where(
        x < 0, _rounded(SELU_SCALE * SELU_ALPHA, x) * np.expm1(np.minimum(x, 0)), _rounded(SELU_SCALE, x) * x
    ),
    _slope_by_sign(lambda t, out: t * (out + SELU_SCALE * SELU_ALPHA), lambda t: t * SELU_SCALE),
    accepts=FLOATS,
)
relu6 = elementwise(
    "relu6",
    lambda x: np.minimum(np.maximum(x, x.dtype.type(0)), x.dtype.type(6)),
    lambda t, out: P.gate(P.gate(t, out), 6 - out),
)


def _leaky_kernel(x, *, alpha):
    return np.where(x > 0, x, _rounded(alpha, x) * x)


def _rounded(number, like):
    return like.dtype.type(number)


leaky_relu = elementwise(
    "leaky_relu",
    _leaky_kernel,
    lambda t, x, *, alpha: P.leaky_gate(t, x, alpha=alpha),
    accepts=FLOATS,
    samples=lambda: [((sample(2, 3),), {"alpha": 0.2}), ((sample(2, 3),), {"alpha": 1.5})],
)


# leaky_gate(t, x) is t where x is positive, else alpha t: the derivative of leaky_relu, itself linear in t.
leaky_gate = elementwise(
    "leaky_gate",
    lambda t, x, *, alpha: np.where(x > 0, t, _rounded(alpha, t) * t),
    lambda d, x, *, alpha: P.leaky_gate(d, x, alpha=alpha),
    lambda d: P.zeros_like(d),
    accepts=FLOATS,
    parameters=("t", "x"),
    samples=lambda: [((sample(2, 3), sample(2, 3, seed=1)), {"alpha": 0.2})],
)

softsign = elementwise(
    "softsign",
    lambda x: x / (1 + np.abs(x)),
    lambda t, x: t / P.square(1 + P.abs(x)),
    accepts=FLOATS,
)


# Softmax


# Up to this many classes it pays to copy logits to columns: NumPy reduces few long columns faster than many short rows.
FEW = 64


def widened(x):
    """Half floats as float32, in which they are computed; everything else as it is."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def _scores(logits, axis):
    """Logits less their greatest, so that `exp` cannot overflow: a new array, its class axis, and whether it is
    columns.

    Where there are few classes the result is [classes, rows].
    """
    logits = widened(logits)
    if logits.ndim > 1 and logits.shape[axis] <= FEW and axis in (-1, logits.ndim - 1):
        columns = logits.reshape(-1, logits.shape[-1]).T.copy()
        columns -= np.maximum.reduce(columns, axis=0)
        return columns, 0, True
    return logits - np.maximum.reduce(logits, axis=axis, keepdims=True), axis, False


def _restored(scores, columns, like):
    """`_scores`, or what was made of them in place, in the shape and dtype of the logits."""
    if columns:
        scores = np.ascontiguousarray(scores.T).reshape(like.shape)
    return scores.astype(like.dtype, copy=False)


def _softmax_kernel(logits, *, axis=-1):
    if not logits.size:
        return logits
    if not logits.ndim:
        raise ValueError(axis)
    scores, axis, columns = _scores(logits, axis)
    np.exp(scores, out=scores)
    scores /= np.add.reduce(scores, axis=axis, keepdims=True)
    return _restored(scores, columns, logits)


def _log_softmax_kernel(logits, *, axis=-1):
    if not logits.size:
        return logits
    if not logits.ndim:
        raise ValueError(axis)
    scores, axis, columns = _scores(logits, axis)
    scores -= np.log(np.add.reduce(np.exp(scores), axis=axis, keepdims=True))
    return _restored(scores, columns, logits)


def _softmax_infer(logits, *, axis=-1):
    rank = logits.rank
    if rank is not None and not -rank <= axis < rank:
        if not rank:
            raise invalid("Softmax", "logits must have >= 1 dimension, got []")
        raise invalid(
            "Softmax",
            f"`axis` must be in the range [{-rank}, {rank}) where {rank} is the number of dimensions, got {axis}",
        )
    return logits


def _softmax_rule(t, out, *, axis=-1):
    """The Jacobian of softmax is symmetric: the same product serves vjp and jvp."""
    return out * (t - P.sum(t * out, axis=(axis,), keepdims=True))


def _log_softmax_vjp(g, out, *, axis=-1):
    return g - P.exp(out) * P.sum(g, axis=(axis,), keepdims=True)


def _log_softmax_jvp(t, out, *, axis=-1):
    return t - P.sum(P.exp(out) * t, axis=(axis,), keepdims=True)


def _batch_softmax(op, inputs, batched, attrs):
    axis = attrs.get("axis", -1)
    return op(*inputs, axis=axis + 1 if axis >= 0 else axis)


def _softmax_samples():
    return [((sample(2, 3, 5),), {"axis": axis}) for axis in (-1, 0, 1)] + [((sample(3),), {})]


softmax = Primitive(
    "softmax",
    _softmax_kernel,
    _softmax_infer,
    vjp=(_softmax_rule,),
    jvp=(_softmax_rule,),
    batch=_batch_softmax,
    accepts=FLOATS,
    samples=_softmax_samples,
)
log_softmax = Primitive(
    "log_softmax",
    _log_softmax_kernel,
    _softmax_infer,
    vjp=(_log_softmax_vjp,),
    jvp=(_log_softmax_jvp,),
    batch=_batch_softmax,
    accepts=FLOATS,
    samples=_softmax_samples,
)


UNSIGNED = {4: np.dtype(np.uint32), 8: np.dtype(np.uint64)}

# Cross entropies of logits [..., classes]: the loss [...] and its gradient in the logits, which the tape then keeps


def _sparse_kernel(logits, labels):
    if labels.shape != logits.shape[:-1] or labels.dtype not in (np.int32, np.int64):
        raise ValueError(labels.shape)
    classes = logits.shape[-1]
    if not logits.size:
        if not classes:
            raise ValueError(logits.shape)
        return np.zeros(labels.shape, logits.dtype), logits
    picked = np.atleast_1d(labels).reshape(-1)
    # A negative label, read as unsigned, is too large as well: one pass finds both.
    if np.maximum.reduce(picked.view(UNSIGNED[picked.itemsize])) >= classes:
        wrong = picked[(picked < 0) | (picked >= classes)][0]
        raise invalid(
            "SparseSoftmaxCrossEntropyWithLogits",
            f"Received a label value of {wrong} which is outside the valid range of [0, {classes}).  Label values: "
            f"{' '.join(map(str, picked[:100]))}",
        )
    scores, axis, columns = _scores(logits.reshape(-1, classes), 1)
    rows = len(picked)
    places = picked * np.int64(rows) + np.arange(rows) if columns else np.arange(0, scores.size, classes) + picked
    loss = scores.take(places)
    np.exp(scores, out=scores)
    total = np.add.reduce(scores, axis)
    np.subtract(np.log(total), loss, out=loss)
    scores /= total if columns else total[:, None]
    scores.reshape(-1)[places] -= 1
    return loss.reshape(labels.shape).astype(logits.dtype, copy=False), _restored(scores, columns, logits)


def _sparse_infer(logits, labels):
    if labels.dtype not in (int32, int64):
        raise invalid(
            "SparseSoftmaxCrossEntropyWithLogits",
            f"Value for attr 'Tlabels' of {labels.dtype.c_name} is not in the list of allowed values: int32, int64",
        )
    if logits.shape is None:
        return Spec(labels.shape, logits.dtype), logits
    if not logits.shape or logits.shape[-1] == 0:
        raise invalid(
            "SparseSoftmaxCrossEntropyWithLogits",
            f"Must have at least one class, but got logits shape {listed(logits.shape)}",
        )
    rows = logits.shape[:-1]
    if labels.shape is not None:
        if len(rows) != len(labels.shape) or any(
            None not in (n, m) and n != m for n, m in zip(rows, labels.shape, strict=True)
        ):
            raise invalid(
                "SparseSoftmaxCrossEntropyWithLogits",
                f"logits and labels must have the same first dimensions, got logits shape {listed(logits.shape)} and "
                "labels "
                f"shape {listed(labels.shape)}",
            )
        rows = tuple(m if n is None else n for n, m in zip(rows, labels.shape, strict=True))
    return Spec(rows, logits.dtype), logits


def _backprop(g, out, logits):
    """The cotangent of the logits: `g` holds those of the loss and of the gradient, None where nothing reached one.

    The gradient's own derivative is that of softmax: the labels are constant.
    """
    of_loss, of_gradient = g
    total = None
    if of_loss is not None:
        total = _as_column(of_loss) * out[1]
    if of_gradient is not None:
        second = _softmax_rule(of_gradient, P.softmax(logits))
        total = second if total is None else total + second
    return total


def _as_column(g):
    dims = g.dims
    if dims is None or None in dims:
        return P.expand_dims(g, axis=(-1,))
    return bind(P.reshape, (g,), {"shape": (*dims, 1)})  # quicker


def _sparse_vjp(g, wanted, out, logits):
    return _backprop(g, out, logits), None


def _sparse_jvp(tangents, inputs, out):
    (t, _), (logits, _) = tangents, inputs
    return P.sum(t * out[1], axis=(-1,), keepdims=False), _softmax_rule(t, P.softmax(logits))


def _batch_xent(op, inputs, batched, attrs):
    """The ops take any number of leading axes: an input without the batch axis gets it."""
    return op(*with_batch(inputs, batched)[0])


sparse_xent = Primitive(
    "sparse_xent",
    _sparse_kernel,
    _sparse_infer,
    vjp=_sparse_vjp,
    jvp=_sparse_jvp,
    batch=_batch_xent,
    accepts=FLOATS,
    uniform=False,
    multiple=True,
    partial=True,
    samples=lambda: [
        ((sample(3, 5), np.array([0, 4, 2])), {}),
        ((sample(2, 3, 5), np.array([[0, 4, 2], [1, 1, 3]], np.int32)), {}),
    ],
)


def _dense_kernel(logits, labels):
    if labels.shape != logits.shape or not logits.ndim:
        raise ValueError(labels.shape)
    if not logits.size:
        return np.zeros(logits.shape[:-1], logits.dtype), logits
    scores, axis, columns = _scores(logits, -1)
    labels = widened(labels)
    targets = labels.reshape(-1, labels.shape[-1]).T if columns else labels
    exps = np.exp(scores)
    total = np.add.reduce(exps, axis=axis, keepdims=True)
    np.subtract(np.log(total), scores, out=scores)
    scores *= targets
    loss = np.add.reduce(scores, axis=axis).reshape(logits.shape[:-1])
    exps /= total
    exps -= targets
    return loss.astype(logits.dtype, copy=False), _restored(exps, columns, logits)


def _dense_infer(logits, labels):
    if logits.shape is None:
        return Spec(None, logits.dtype), logits
    if labels.shape is not None and (
        len(labels.shape) != len(logits.shape)
        or any(None not in (n, m) and n != m for n, m in zip(labels.shape, logits.shape, strict=True))
    ):
        raise invalid(
            "SoftmaxCrossEntropyWithLogits",
            f"logits and labels must be broadcastable: logits_size={listed(logits.shape)} "
            f"labels_size={listed(labels.shape)}",
        )
    if not logits.shape:
        raise invalid("SoftmaxCrossEntropyWithLogits", "logits must have at least one dimension, the classes, got a scalar")
    return Spec(logits.shape[:-1], logits.dtype), logits


def _dense_vjp(g, wanted, out, logits, labels):
    """As in TensorFlow the labels are taken to sum to one; their own cotangent is minus the log probabilities."""
    of_loss, of_gradient = g
    for_labels = None
    if wanted[1]:
        if of_loss is not None:
            for_labels = -(_as_column(of_loss) * P.log_softmax(logits))
        if of_gradient is not None:
            for_labels = -of_gradient if for_labels is None else for_labels - of_gradient
    return _backprop(g, out, logits) if wanted[0] else None, for_labels


def _dense_jvp(tangents, inputs, out):
    (t, t_labels), (logits, _) = tangents, inputs
    loss = gradient = None
    if t is not None:
        loss, gradient = P.sum(t * out[1], axis=(-1,), keepdims=False), _softmax_rule(t, P.softmax(logits))
    if t_labels is not None:
        own = -P.sum(t_labels * P.log_softmax(logits), axis=(-1,), keepdims=False)
        loss, gradient = (own, -t_labels) if loss is None else (loss + own, gradient - t_labels)
    return loss, gradient


def _probabilities(*shape):
    x = np.exp(sample(*shape, seed=1))
    return x / x.sum(-1, keepdims=True)


dense_xent = Primitive(
    "dense_xent",
    _dense_kernel,
    _dense_infer,
    vjp=_dense_vjp,
    jvp=_dense_jvp,
    batch=_batch_xent,
    accepts=FLOATS,
    multiple=True,
    partial=True,
    samples=lambda: [((sample(3, 5), _probabilities(3, 5)), {})],
)

__all__ = ["dense_xent", "elu", "leaky_relu", "log_softmax", "relu6", "selu", "softmax", "sparse_xent", "widened"]
