"""Public names of automatic differentiation beyond the tape."""

from tapeflow.api.export import export, export_value
from tapeflow.autodiff.check import compute_gradient
from tapeflow.autodiff.custom import custom_gradient, grad_pass_through, recompute_grad
from tapeflow.autodiff.forward import ForwardAccumulator
from tapeflow.autodiff.symbolic import gradients, hessians
from tapeflow.autodiff.vectorize import vectorized_map

export_value(ForwardAccumulator, "autodiff.ForwardAccumulator")
export_value(compute_gradient, "test.compute_gradient")
for _function in (custom_gradient, grad_pass_through, gradients, hessians, recompute_grad, vectorized_map):
    export_value(_function, _function.__name__)

# The gradient functions of op types that a program declares; no op here is of such a type.
_registered: dict[str, object] = {}


def _register(op_type, function):
    if not isinstance(op_type, str):
        raise TypeError(f"op_type must be a string, got {op_type!r} of type {type(op_type).__name__!r}.")
    if op_type in _registered:
        raise KeyError(f"Registering two gradient with name {op_type!r}!")
    _registered[op_type] = function


@export("RegisterGradient")
class RegisterGradient:
    """A decorator that registers a gradient function for the ops of a type, which only TensorFlow's custom ops have.

    Args:
        op_type: the type's name.

    Raises:
        TypeError: the name is no string.
        KeyError: the name has a gradient function already.
    """

    def __init__(self, op_type):
        if not isinstance(op_type, str):
            raise TypeError(f"op_type must be a string, got {op_type!r} of type {type(op_type).__name__!r}.")
        self._op_type = op_type

    def __call__(self, f):
        """Register `f`, and return it."""
        _register(self._op_type, f)
        return f


@export("no_gradient")
def no_gradient(op_type):
    """Declare that the ops of a type, which only TensorFlow's custom ops have, have no gradient.

    Raises:
        TypeError: the name is no string.
        KeyError: the name has a gradient function already.
    """
    _register(op_type, None)
