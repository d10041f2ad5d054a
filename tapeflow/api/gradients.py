"""Public names of automatic differentiation beyond the tape."""

from tapeflow.api.export import export_value
from tapeflow.autodiff.check import compute_gradient
from tapeflow.autodiff.custom import custom_gradient, grad_pass_through, recompute_grad
from tapeflow.autodiff.forward import ForwardAccumulator
from tapeflow.autodiff.symbolic import gradients, hessians
from tapeflow.autodiff.vectorize import vectorized_map

export_value(ForwardAccumulator, "autodiff.ForwardAccumulator")
export_value(compute_gradient, "test.compute_gradient")
for _function in (custom_gradient, grad_pass_through, gradients, hessians, recompute_grad, vectorized_map):
    export_value(_function, _function.__name__)
