"""`tf.__internal__`: what Keras takes from there."""

from tapeflow.api.export import EXPORTS, export
from tapeflow.core.composite import Composite
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import tracing
from tapeflow.core.tensor import Tensor


@export("__internal__.types.Tensor")
class TensorType:
    """A base class for what is to count as a tensor without being a `tf.Tensor`: `tf.is_tensor` is true of it."""


class _OnlyEager(type):
    def __instancecheck__(cls, x):
        return x.__class__ is Tensor


@export("__internal__.EagerTensor")
class EagerTensor(metaclass=_OnlyEager):
    """What `isinstance` tells eager tensors by: symbolic ones are none."""


class _AnyComposite(type):
    def __instancecheck__(cls, x):
        return isinstance(x, (Composite, IndexedSlices)) or super().__instancecheck__(x)


@export("__internal__.CompositeTensor")
class CompositeTensor(metaclass=_AnyComposite):
    """What `isinstance` tells structures of tensors by that act as one value; each has a `_type_spec`."""


@export("__internal__.smart_cond.smart_cond")
def smart_cond(pred, true_fn=None, false_fn=None, name=None):
    """`true_fn()` or `false_fn()` where `pred` is known, else `tf.cond`."""
    known = pred if isinstance(pred, (bool, int)) else EXPORTS["get_static_value"](pred)
    if known is None:
        return EXPORTS["cond"](pred, true_fn, false_fn)
    return true_fn() if known else false_fn()


@export("__internal__.decorator.unwrap")
def unwrap(maybe_tf_decorator):
    """The decorators around a function, outermost first, and the function."""
    layers = []
    while hasattr(maybe_tf_decorator, "__wrapped__"):
        layers.append(maybe_tf_decorator)
        maybe_tf_decorator = maybe_tf_decorator.__wrapped__
    return layers, maybe_tf_decorator


@export("__internal__.eager_context.eager_mode")
def eager_mode():
    """A context in which ops run eagerly."""
    return tracing(None)


@export("__internal__.eager_context.get_config")
def get_config():
    """No configuration."""
    return None
