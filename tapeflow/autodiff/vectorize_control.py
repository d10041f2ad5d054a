"""`tf.cond` and `tf.while_loop` inside `vectorized_map`, where examples may take different branches."""

from tapeflow.autodiff.vectorize import BatchTensor
from tapeflow.base import nest
from tapeflow.base.errors import OperatorNotAllowedInGraphError
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor


def cond(pred, true_fn, false_fn):
    """Both branches, for all examples; each example takes the results of its own.

    Args:
        pred: a boolean scalar `BatchTensor`.
        true_fn: a function without arguments.
        false_fn: a function without arguments that returns the same nest of tensors.
    """
    return _chosen(pred, true_fn(), false_fn())


def while_loop(condition, body, loop_vars, limit):
    """The loop for all examples until none goes on; an example whose condition was false keeps its variables.

    Args:
        condition: a function of the loop variables that returns a boolean scalar.
        body: a function of the loop variables that returns their next values.
        loop_vars: a list or tuple of the loop variables.
        limit: the largest number of repetitions, or None.
    """
    loop_vars = nest.map_structure(_converted, loop_vars)
    count = 0
    while limit is None or count < limit:
        go_on = condition(*loop_vars)
        batched = isinstance(go_on, BatchTensor)
        if not (_anyone(go_on) if batched else go_on):
            break
        result = body(*loop_vars)
        result = (result,) if len(loop_vars) == 1 and not isinstance(result, (list, tuple)) else result
        nest.assert_same_structure(list(loop_vars), list(result))
        result = nest.map_structure(_converted, result)
        loop_vars = _chosen(go_on, list(result), list(loop_vars)) if batched else result
        count += 1
    return loop_vars


def _converted(x):
    return x if hasattr(x, "_type_spec") else convert_to_tensor(x)


def _chosen(pred, one, other):
    """`one` for the examples for which `pred` is true, `other` for the rest."""
    nest.assert_same_structure(one, other)
    return nest.map_structure(
        lambda a, b: a if a is b else P.where(pred, convert_to_tensor(a), convert_to_tensor(b)), one, other
    )


def _anyone(go_on):
    """Whether the condition is true for any example."""
    x = go_on
    while isinstance(x, BatchTensor):
        x = x.inner
    if x.__class__ is not Tensor:
        raise OperatorNotAllowedInGraphError(
            f"tf.while_loop: the condition {go_on!r} differs between the examples of {go_on.batch.what}, and has no value "
            "while the function is traced. Call tf.vectorized_map outside of tf.function, or use tf.map_fn."
        )
    return bool(P.any(x, axis=None, keepdims=False))


__all__ = ["cond", "while_loop"]
