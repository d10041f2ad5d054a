"""Public functions that ask for shapes, and so treat ragged tensors in their own way: one table, looked at for those alone."""

import functools

from tapeflow.api import array, array_make, math_reduce, math_segment, nn_norm
from tapeflow.api.export import EXPORTS
from tapeflow.api.ragged_tensor import RaggedTensor

DEFINED_IN = (array, array_make, math_reduce, math_segment, nn_norm)  # imported first: what they export is wrapped here
# Public names; the functions in `ragged_functions` have their last parts.
NAMES = "tile size one_hot split math.reduce_variance math.reduce_std math.bincount nn.dropout"
NAMES += " nn.experimental.stateless_dropout"


def _overridden(function, name):
    """`function`, which leaves ragged first arguments to its namesake in `ragged_functions`."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        first = args[0] if args else next(iter(kwargs.values()), None)
        if not isinstance(first, RaggedTensor):
            return function(*args, **kwargs)
        from tapeflow.api import ragged_functions  # only ragged tensors need it

        return getattr(ragged_functions, name)(*args, **kwargs)

    return call


for _name in NAMES.split():
    if _name in EXPORTS:
        EXPORTS[_name] = _overridden(EXPORTS[_name], _name.rpartition(".")[2])
