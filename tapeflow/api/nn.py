"""Neural networks: activations, softmax and biases (`tf.nn`)."""

from tapeflow.api.arguments import axis_number, matching
from tapeflow.api.export import export, export_later
from tapeflow.base.errors import InvalidArgumentError, invalid
from tapeflow.base.shape import listed
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import NO_ATTRS, P, bind


@export("nn.relu")
def relu(features, name=None):
    """max(features, 0), elementwise; nan stays nan.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.relu([-2.0, 0.0, 3.0]).numpy().tolist()
        [0.0, 0.0, 3.0]
    """
    return bind(P.relu, (convert_to_tensor(features),), NO_ATTRS)


@export("nn.relu6")
def relu6(features, name=None):
    """min(max(features, 0), 6), elementwise.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.relu6([-2.0, 3.0, 7.0]).numpy().tolist()
        [0.0, 3.0, 6.0]
    """
    return P.relu6(convert_to_tensor(features))


@export("nn.crelu")
def crelu(features, axis=-1, name=None):
    """`relu(features)` and `relu(-features)`, one behind the other along `axis`.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.crelu([-2.0, 3.0]).numpy().tolist()
        [0.0, 3.0, 2.0, 0.0]
    """
    features = convert_to_tensor(features)
    return P.relu(P.concat(features, -features, axis=axis_number(axis)))


@export("nn.elu")
def elu(features, name=None):
    """exp(features) - 1 where features are negative, else features (Clevert et al. 2015).

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.elu([0.0, 2.0]).numpy().tolist()
        [0.0, 2.0]
    """
    return P.elu(convert_to_tensor(features))


@export("nn.selu")
def selu(features, name=None):
    """scale * (alpha * (exp(features) - 1)) where features are negative, else scale * features (Klambauer et al. 2017).

    The constants, alpha = 1.6733 and scale = 1.0507, keep mean and variance fixed through deep networks.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.nn.selu(1.0)), 4)
        1.0507
    """
    return P.selu(convert_to_tensor(features))


@export("nn.leaky_relu")
def leaky_relu(features, alpha=0.2, name=None):
    """features where they are positive, else alpha * features (Maas et al. 2013). Integers become float32.

    Raises:
        TypeError: alpha is not a Python number.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.leaky_relu([-2.0, 3.0], alpha=0.5).numpy().tolist()
        [-1.0, 3.0]
    """
    features = convert_to_tensor(features)
    if features._dtype.is_integer:
        features = P.cast(features, dtype=_float32())
    if not isinstance(alpha, (int, float)):
        number = getattr(alpha, "item", None)  # a NumPy scalar is as good
        if number is None:
            raise TypeError(f"Expected float for argument 'alpha' not {alpha!r}.")
        alpha = number()
    return P.leaky_relu(features, alpha=float(alpha))


def _float32():
    from tapeflow.base.dtypes import float32

    return float32


@export("nn.gelu")
def gelu(features, approximate=False, name=None):
    """features * Phi(features) with the normal distribution's Phi (Hendrycks and Gimpel 2016), or its tanh
    approximation.

    Raises:
        ValueError: features are not floating point.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.nn.gelu(1.0)), 4)
        0.8413
    """
    x = convert_to_tensor(features)
    if not x._dtype.is_floating:
        raise ValueError(f"`features.dtype` must be a floating point tensor. Received: features.dtype={x._dtype}")
    if approximate:
        return 0.5 * x * (1.0 + P.tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x))))  # sqrt(2 / pi)
    return 0.5 * x * (1.0 + P.erf(x * 0.7071067811865476))


@export("nn.silu", "nn.swish")
def silu(features, beta=1.0):
    """features * sigmoid(beta * features), elementwise (Elfwing et al. 2017).

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.nn.silu(1.0)), 4)
        0.7311
    """
    x = convert_to_tensor(features)
    return x * P.sigmoid(x if beta.__class__ is float and beta == 1.0 else convert_to_tensor(beta, x._dtype) * x)


@export("nn.softsign", "math.softsign")
def softsign(features, name=None):
    """features / (1 + |features|), elementwise.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.softsign([-1.0, 3.0]).numpy().tolist()
        [-0.5, 0.75]
    """
    return P.softsign(convert_to_tensor(features))


# Softmax


@export("nn.softmax", "math.softmax")
def softmax(logits, axis=None, name=None):
    """exp(logits) / sum(exp(logits)) along `axis` (the last by default): positive numbers that sum to one.

    Args:
        logits: a floating point tensor of at least one dimension.

    Raises:
        InvalidArgumentError: `axis` is out of range, or logits are a scalar or not floating point.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.softmax([0.0, 0.0]).numpy().tolist()
        [0.5, 0.5]
    """
    logits = convert_to_tensor(logits)
    if axis is None or axis == -1:
        return bind(P.softmax, (logits,), NO_ATTRS)
    return P.softmax(logits, axis=_checked_axis(axis, logits))


@export("nn.log_softmax", "math.log_softmax")
def log_softmax(logits, axis=None, name=None):
    """logits - log(sum(exp(logits))) along `axis` (the last by default): the logarithm of softmax, without its
    underflow.

    Raises:
        InvalidArgumentError: `axis` is out of range, or logits are a scalar or not floating point.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.log_softmax([0.0, -1e4]).numpy().tolist()
        [0.0, -10000.0]
    """
    logits = convert_to_tensor(logits)
    if axis is None or axis == -1:
        return bind(P.log_softmax, (logits,), NO_ATTRS)
    return P.log_softmax(logits, axis=_checked_axis(axis, logits))


def _checked_axis(axis, logits):
    axis = axis_number(axis, "dim", takes="int32")
    rank = None if logits.dims is None else len(logits.dims)
    if rank and not -rank <= axis < rank:
        raise InvalidArgumentError(
            None,
            None,
            f"`dim` must be in the range [{-rank}, {rank}) where {rank} is the number of dimensions in the input. "
            f"Received: dim={axis}",
        )
    return axis


@export("nn.bias_add")
def bias_add(value, bias, data_format=None, name=None):
    """`value + bias` with a bias for each channel.

    Args:
        value: a numeric tensor of two dimensions or more.
        bias: a vector of value's dtype, as long as value's channel axis.
        data_format: `"N...C"` (or None, `"NHWC"`): channels are the last axis; `"NC..."` (`"NCHW"`): they are axis 1.

    Raises:
        ValueError: an unknown `data_format`.
        InvalidArgumentError: ranks, lengths or dtypes that do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.bias_add([[1.0, 2.0]], [10.0, 20.0]).numpy().tolist()
        [[11.0, 22.0]]
    """
    value = convert_to_tensor(value)
    value, bias = matching((value, bias))
    first = False
    if data_format is not None:
        if data_format[:2] not in ("NC", "N.") and not data_format.endswith("C"):
            raise ValueError(f"`data_format` must be of the form `N...C` or `NC...`. Received: data_format={data_format}")
        first = data_format.startswith("NC")
    dims, length = value.dims, bias.dims
    if dims is not None and length is not None:
        if len(dims) < 2:
            raise invalid("BiasAdd", f"Input tensor must be at least 2D: {listed(dims)}")
        if len(length) != 1:
            raise invalid("BiasAdd", f"Biases must be 1D: {listed(length)}")
        n = dims[1 if first else -1]
        if length[0] != n and None not in (n, length[0]):
            which = "channel" if first else "last"
            raise invalid(
                "BiasAdd",
                f"Must provide as many biases as the {which} dimension of the input tensor: {listed(length)} vs. "
                f"{listed(dims)}",
            )
        if first and len(dims) > 2:
            bias = P.reshape(bias, shape=(-1, *(1,) * (len(dims) - 2)))
    return bind(P.add, (value, bias), NO_ATTRS)


def _check_floating(name, x):
    """Raise for a dtype that the ops behind a composite would let pass."""
    if not x._dtype.is_floating:
        raise invalid(
            name,
            f"Value for attr 'T' of {x._dtype.c_name} is not in the list of allowed values: half, bfloat16, float, double",
        )


CTC = "ctc_loss ctc_greedy_decoder ctc_beam_search_decoder ctc_unique_labels collapse_repeated"

export_later(
    "tapeflow.api.nn_embedding", "nn.embedding_lookup", "nn.embedding_lookup_sparse", "nn.safe_embedding_lookup_sparse"
)
export_later("tapeflow.api.nn_ctc", *[f"nn.{name}" for name in CTC.split()])
