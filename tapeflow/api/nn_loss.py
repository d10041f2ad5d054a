"""Losses of neural networks: cross entropies of logits, and averages over batches and replicas (`tf.nn`)."""

import math

from tapeflow.api.export import export
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P, bind


def _check_floating(name, x):
    """Raise where `x` holds no floats."""
    if not x._dtype.is_floating:
        raise invalid(name, f"Value for attr 'T' of {x._dtype.c_name} is not in the list of allowed values: floats")


@export("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy_with_logits(labels, logits, name=None):
    """-log softmax(logits)[label] for each example: the cross entropy where exactly one class is right.

    Args:
        labels: class numbers [...], int32 or int64.
        logits: unscaled log probabilities [..., classes], floating point.

    Returns:
        The losses [...], in the dtype of the logits.

    Raises:
        ValueError: the shape of labels is not that of logits without the last axis.
        InvalidArgumentError: a label that is not in [0, classes), or a wrong dtype.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1], logits=[[0.0, 1000.0]]).numpy().tolist()
        [0.0]
    """
    if labels is None or logits is None:
        raise _missing("sparse_softmax_cross_entropy_with_logits", labels, logits)
    labels = convert_to_tensor(labels)
    logits = convert_to_tensor(logits)
    rows, dims = labels.dims, logits.dims
    if dims is not None and rows is not None and rows != dims[:-1]:
        _check_labels(labels, logits)
    elif dims == ():
        raise ValueError(f"`logits` cannot be a scalar. Received logits={logits}")
    return bind(P.sparse_xent, (logits, labels))[0]


def _missing(name, labels, logits):
    return ValueError(
        f"Both `labels` and `logits` must be provided for {name}. Received: labels={labels} and logits={logits}"
    )


def _check_labels(labels, logits):
    rows, dims = labels.dims, logits.dims
    if not dims:
        raise ValueError(f"`logits` cannot be a scalar. Received logits={logits}")
    if len(rows) != len(dims) - 1:
        raise ValueError(
            f"`labels.shape.rank` must equal `logits.shape.rank - 1`. Received: labels.shape={labels.shape} of rank "
            f"{len(rows)} and logits.shape={logits.shape} of rank {len(dims)}"
        )
    if any(None not in (n, m) and n != m for n, m in zip(rows, dims[:-1], strict=True)):
        raise ValueError(
            "`labels.shape` must equal `logits.shape` except for the last dimension. Received: "
            f"labels.shape={labels.shape} and logits.shape={logits.shape}"
        )


@export("nn.softmax_cross_entropy_with_logits")
def softmax_cross_entropy_with_logits(labels, logits, axis=-1, name=None):
    """-sum(labels * log softmax(logits)) along `axis`: the cross entropy of two distributions over classes.

    Gradients flow into both; wrap labels in `tf.stop_gradient` where they must not.

    Args:
        labels: probabilities of the classes, each row a distribution; its dtype is cast to that of logits.
        logits: unscaled log probabilities, floating point.

    Returns:
        The losses: the shape without `axis`, the dtype of logits.

    Raises:
        InvalidArgumentError: shapes that do not broadcast, or a wrong axis.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.nn.softmax_cross_entropy_with_logits(labels=[0.5, 0.5], logits=[0.0, 0.0])), 4)
        0.6931
    """
    if labels is None or logits is None:
        raise _missing("softmax_cross_entropy_with_logits", labels, logits)
    logits = convert_to_tensor(logits)
    labels = convert_to_tensor(labels, dtype_hint=logits._dtype)
    if labels._dtype is not logits._dtype:
        labels = P.cast(labels, dtype=logits._dtype)
    if axis not in (-1, None):
        rank = len(logits.dims)
        if not -rank <= axis < rank:
            raise invalid(
                "SoftmaxCrossEntropyWithLogits",
                f"axis = {axis} is not in [{-rank}, {rank}), the axes of logits {logits.shape}",
            )
        logits, labels = _axis_last(logits, axis), _axis_last(labels, axis)
    if labels.dims != logits.dims and None not in (labels.dims, logits.dims):
        logits, labels = _broadcast_classes(logits, labels)
    return bind(P.dense_xent, (logits, labels))[0]


def _axis_last(x, axis):
    rank = len(x.dims)
    if not -rank <= axis < rank or axis in (-1, rank - 1):
        return x
    order = [i for i in range(rank) if i != axis % rank]
    return P.transpose(x, perm=(*order, axis % rank))


def _broadcast_classes(logits, labels):
    """Both as rows [n, classes] where only their numbers of axes differ; rows and classes of one broadcast."""
    if () in (labels.dims, logits.dims):
        raise invalid(
            "SoftmaxCrossEntropyWithLogits", f"logits and labels need an axis of classes: {logits.shape} and {labels.shape}"
        )
    if len(labels.dims) != len(logits.dims):
        classes = labels.dims[-1] if labels.dims else 1
        one = None not in labels.dims and math.prod(labels.dims[:-1]) == 1
        outer = (1,) * (len(logits.dims) - 1) if one else logits.dims[:-1]
        labels = P.reshape(labels, shape=(-1, classes) if None in outer else (*outer, classes))
    dims = []
    for n, m in zip(logits.dims, labels.dims, strict=True):
        if n is None or m is None or not (n == m or 1 in (n, m)):
            return logits, labels  # the op itself says what does not fit
        dims.append(m if n == 1 else n)
    if logits.dims != tuple(dims):
        logits = P.broadcast_to(logits, shape=tuple(dims))
    if labels.dims != tuple(dims):
        labels = P.broadcast_to(labels, shape=tuple(dims))
    return logits, labels


@export("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy_with_logits(labels=None, logits=None, name=None):
    """The cross entropy of independent yes-no questions, elementwise: max(x, 0) - x * z + log(1 + exp(-|x|)).

    Args:
        labels: z, the probabilities of yes, of the shape and dtype of logits.
        logits: x, the log odds.

    Raises:
        ValueError: labels or logits are missing, or their shapes differ.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.nn.sigmoid_cross_entropy_with_logits(labels=1.0, logits=0.0)), 4)
        0.6931
    """
    if labels is None or logits is None:
        raise _missing("sigmoid_cross_entropy_with_logits", labels, logits)
    x = convert_to_tensor(logits)
    z = convert_to_tensor(labels)
    _check_same_shape("logits", x, "labels", z)
    # softplus(x) - x * z is the same number, and its slope sigmoid(x) - z is smooth at 0.
    return P.softplus(x) - x * z


def _check_same_shape(first, x, second, z):
    if x.shape.is_compatible_with(z.shape):
        return
    raise ValueError(f"`{first}` and `{second}` must have the same shape, received ({x.shape} vs {z.shape}).")


@export("nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy_with_logits(labels, logits, pos_weight, name=None):
    """Sigmoid cross entropy in which the loss of a yes counts `pos_weight` times: above one it trades precision for
    recall.

    Raises:
        ValueError: the shapes of labels and logits differ.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.nn.weighted_cross_entropy_with_logits(labels=1.0, logits=0.0, pos_weight=2.0)), 4)
        1.3863
    """
    x = convert_to_tensor(logits)
    z = convert_to_tensor(labels)
    _check_same_shape("logits", x, "labels", z)
    weight = 1 + (pos_weight - 1) * z
    return (1 - z) * x + weight * P.softplus(-x)


@export("nn.l2_loss")
def l2_loss(t, name=None):
    """sum(t ** 2) / 2, a scalar.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.nn.l2_loss([3.0, 4.0]))
        12.5
    """
    t = convert_to_tensor(t)
    _check_floating("L2Loss", t)
    return P.sum(t * t, axis=None, keepdims=False) * 0.5


@export("nn.log_poisson_loss")
def log_poisson_loss(targets, log_input, compute_full_loss=False, name=None):
    """exp(log_input) - log_input * targets: minus the log likelihood of Poisson counts, up to a constant in the input.

    Args:
        targets: the counts, of the shape and dtype of `log_input`.
        log_input: the logarithm of the rate.
        compute_full_loss: whether Stirling's approximation of log(targets!) is added (where targets > 1).

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.nn.log_poisson_loss(2.0, 0.0))
        1.0
    """
    c = convert_to_tensor(log_input)
    z = convert_to_tensor(targets)
    _check_same_shape("log_input", c, "targets", z)
    loss = P.exp(c) - c * z
    if compute_full_loss:
        stirling = z * P.log(z) - z + 0.5 * P.log((2 * math.pi) * z)
        loss = loss + P.where(P.logical_and(z >= 0, z <= 1), P.zeros_like(z), stirling)
    return loss


@export("nn.compute_average_loss")
def compute_average_loss(per_example_loss, sample_weight=None, global_batch_size=None):
    """The sum of weighted losses divided by the number of examples: by the size of axis 0 unless it is given.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.nn.compute_average_loss([1.0, 2.0, 3.0]))
        2.0
    """
    losses = convert_to_tensor(per_example_loss)
    if losses.dims == ():
        raise ValueError(
            "Invalid value passed for `per_example_loss`. Expected a tensor with at least rank 1. Received "
            f"per_example_loss={per_example_loss} with rank 0: pass the loss of each example."
        )
    if sample_weight is not None:
        weights = P.cast(convert_to_tensor(sample_weight), dtype=losses._dtype)
        losses = losses * _spread_weights(weights, losses)
    if global_batch_size is None:
        count = convert_to_tensor(losses.dims[0]) if losses.dims[0] is not None else P.shape(losses)[0]
    else:
        count = convert_to_tensor(global_batch_size)
        if count.dims not in ((), None):
            raise ValueError(f"`global_batch_size` must be scalar, got shape {count.shape}")
        if not count._dtype.is_integer:
            raise TypeError(f"`global_batch_size` must be an int, got {global_batch_size!r}")
    return P.sum(losses, axis=None, keepdims=False) / P.cast(count, dtype=losses._dtype)


def _spread_weights(weights, losses):
    """Weights of one axis less than the losses, or more by one of size 1, are lined up at the left, as Keras does."""
    missing = len(losses.dims) - len(weights.dims)
    if missing == 1:
        return P.expand_dims(weights, axis=(-1,))
    if missing == -1 and weights.dims[-1] == 1:
        return P.squeeze(weights, axis=(-1,))
    return weights


@export("nn.scale_regularization_loss")
def scale_regularization_loss(regularization_loss):
    """The sum of a regularization loss divided by the number of replicas, which is one here.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.nn.scale_regularization_loss([1.0, 2.0]))
        3.0
    """
    return P.sum(convert_to_tensor(regularization_loss), axis=None, keepdims=False)
