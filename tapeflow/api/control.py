"""Branches and loops: plain Python when eager; over tensors without a value they go to `tapeflow.trace.control`."""

import functools

from tapeflow.api.debugging import Assert
from tapeflow.api.export import export
from tapeflow.autodiff.vectorize import Batch, BatchTensor
from tapeflow.base import nest
from tapeflow.base.dtypes import bool_, int32
from tapeflow.base.errors import invalid
from tapeflow.base.specs import type_spec_from_value
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor
from tapeflow.trace.autograph import converted_here
from tapeflow.trace.structure import is_symbolic


def _check_callable(**functions):
    for name, function in functions.items():
        if not callable(function):
            raise TypeError(f"'{name}' must be callable, got {function!r}.")


# Branches


@export("cond")
def cond(pred, true_fn=None, false_fn=None, name=None):
    """`true_fn()` where `pred` is true, else `false_fn()`.

    Args:
        pred: a boolean scalar.
        true_fn, false_fn: functions without arguments; in a graph both must return the same nest of tensors.

    Raises:
        TypeError: one of the two is not callable.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.constant(3.0)
        >>> tf.cond(x > 2, lambda: x * x, lambda: x)
        <tf.Tensor: shape=(), dtype=float32, numpy=9.0>
    """
    _check_callable(true_fn=true_fn, false_fn=false_fn)
    true_fn, false_fn = converted_here(true_fn), converted_here(false_fn)
    if isinstance(pred, BatchTensor):
        from tapeflow.autodiff import vectorize_control

        return vectorize_control.cond(pred, true_fn, false_fn)
    if is_symbolic(pred):
        from tapeflow.trace import control

        return control.cond(pred, true_fn, false_fn)
    if pred is None:
        raise ValueError(
            "Attempt to convert a value (None) with an unsupported type (<class 'NoneType'>) to a Tensor: `pred`."
        )
    return true_fn() if pred else false_fn()


@export("case")
def case(pred_fn_pairs, default=None, exclusive=False, strict=False, name="case"):
    """What the function beside the first true predicate returns.

    Args:
        pred_fn_pairs: a list of pairs (boolean scalar tensor, function without arguments).
        default: the function to call where none is true.
        exclusive: whether at most one predicate may be true.
        strict: accepted.

    Raises:
        InvalidArgumentError: no predicate is true and there is no default, or more than one is true with `exclusive`.
        TypeError: the pairs are not as above.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.constant(5)
        >>> tf.case([(x < 3, lambda: "low"), (x < 10, lambda: "middle")], default=lambda: "high")
        'middle'
    """
    if not isinstance(pred_fn_pairs, (list, tuple, dict)):
        raise TypeError(f"'pred_fn_pairs' must be a list, tuple, or dict. Received: {type(pred_fn_pairs)}")
    pairs = list(pred_fn_pairs.items()) if isinstance(pred_fn_pairs, dict) else list(pred_fn_pairs)
    _check_pairs(pairs)
    if default is not None:
        _check_callable(default=default)
    preds = [pred for pred, _ in pairs]
    if exclusive:
        count = P.add_n(*[P.cast(pred, dtype=int32) for pred in preds])
        Assert(count <= 1, ["More than one condition evaluated as True but exclusive=True.  Conditions:", *preds])
    if default is None:
        default = _no_default(preds, pairs[-1][1])
    result = default
    for pred, function in reversed(pairs):
        result = _branch(pred, function, result)
    return result()


def _branch(pred, function, otherwise):
    return lambda: cond(pred, function, otherwise)


def _no_default(preds, last):
    """The function where no predicate is true: it raises. In a graph it ends as the last one, whose results it must have."""

    def fail():
        none = functools.reduce(P.logical_or, preds)
        Assert(none, ["Input error: None of conditions evaluated as True:", *preds], summarize=len(preds))
        return last()

    return fail


def _check_pairs(pairs):
    if not pairs:
        raise ValueError("'pred_fn_pairs' is empty: give at least one pair of a predicate and a function.")
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"Each entry in 'pred_fn_pairs' must be a 2-tuple. Received {pair}.")
        pred, function = pair
        if not isinstance(pred, Tensor):
            raise TypeError(f"pred must be a Tensor, got: {pred!r}")
        if pred.dtype is not bool_:
            raise TypeError(f"pred must be a boolean Tensor, got dtype {pred.dtype.name}: {pred!r}")
        if not callable(function):
            raise TypeError(f"fn for pred {pred!r} must be callable, got {function!r}.")


@export("switch_case")
def switch_case(branch_index, branch_fns, default=None, name="switch_case"):
    """What the function at `branch_index` returns.

    Args:
        branch_index: an int32 scalar tensor.
        branch_fns: a list of functions, or a list or dict that gives each int from 0 on a function.
        default: the function for an index that is out of range; the last function by default.

    Raises:
        TypeError: the index is no integer tensor, or an entry is not callable.
        ValueError: there is no function, or the ints are not 0, 1, 2, ...

    Example:
        >>> import tapeflow as tf
        >>> tf.switch_case(tf.constant(1), [lambda: "a", lambda: "b"])
        'b'
    """
    if not isinstance(branch_index, Tensor):
        raise TypeError(f"'branch_index' must be a Tensor, got {type(branch_index)}")
    if not branch_index.dtype.is_integer:
        raise TypeError(f"'branch_index' must be an integer Tensor, got {branch_index.dtype}")
    functions = [converted_here(function) for function in _branch_list(branch_fns)]
    if default is not None:
        _check_callable(default=default)
    otherwise = functions[-1] if default is None else converted_here(default)
    if is_symbolic(branch_index):
        from tapeflow.trace import control

        return control.switch_case(branch_index, functions, otherwise)
    if branch_index.dims != ():
        raise invalid("switch_case", f"'branch_index' must be a scalar, got shape {branch_index.shape}")
    index = int(branch_index)
    return functions[index]() if 0 <= index < len(functions) else otherwise()


def _branch_list(branch_fns):
    """The functions in the order of their indices."""
    if not isinstance(branch_fns, (list, tuple, dict)):
        raise TypeError("'branch_fns' must be a list, tuple, or dict")
    entries = list(branch_fns.items()) if isinstance(branch_fns, dict) else list(branch_fns)
    if not entries:
        raise ValueError("Must provide at least one item in 'branch_fns'")
    if all(callable(entry) for entry in entries):
        return entries
    for entry in entries:
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise TypeError(f"Each entry in 'branch_fns' must be a 2-tuple. Received {entry}.")
        key, function = entry
        if not isinstance(key, int):
            raise TypeError(f"key must be a Python `int`, got {type(key)}")
        if not callable(function):
            raise TypeError(f"fn for key {key} must be callable.")
    keys = sorted(key for key, _ in entries)
    if keys != list(range(len(keys))):
        found = ",".join(map(str, keys))
        raise ValueError(f"branch indices (keys) must form contiguous range of [0 to {len(keys)}) but found {{{found}}}")
    return [function for _, function in sorted(entries, key=lambda entry: entry[0])]


# Loops


@export("while_loop")
def while_loop(
    cond,
    body,
    loop_vars,
    shape_invariants=None,
    parallel_iterations=10,
    back_prop=True,
    swap_memory=False,
    maximum_iterations=None,
    name=None,
):
    """Repeat `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` is true.

    Args:
        cond: a function of the loop variables that returns a boolean scalar.
        body: a function of the loop variables that returns their next values, nested in the same way.
        loop_vars: a list or tuple of tensors, `tf.TensorArray`s or nests of them.
        shape_invariants: shapes that the variables keep in a graph; not needed when executing eagerly.
        parallel_iterations, swap_memory: accepted.
        back_prop: False stops gradients at the results.
        maximum_iterations: an upper bound of the number of repetitions.

    Returns:
        The last loop variables, as tensors.

    Raises:
        TypeError: `cond` or `body` is not callable.
        ValueError: there are no loop variables, or `body` returns them nested differently.

    Example:
        >>> import tapeflow as tf
        >>> i, total = tf.while_loop(lambda i, s: i < 4, lambda i, s: (i + 1, s + i), (tf.constant(0), tf.constant(0)))
        >>> int(total)
        6
    """
    _check_callable(cond=cond, body=body)
    cond, body = converted_here(cond), converted_here(body)
    if isinstance(parallel_iterations, int) and parallel_iterations < 1:
        raise TypeError("'parallel_iterations' must be a positive integer.")
    if isinstance(loop_vars, Tensor) or not loop_vars:
        raise ValueError(f"'loop_vars' must be provided: a list or tuple of at least one variable, got {loop_vars!r}.")
    if not isinstance(loop_vars, (list, tuple)):
        raise TypeError(f"'loop_vars' must be a list or tuple, got {loop_vars!r}.")
    result = _loop(cond, body, loop_vars, shape_invariants, maximum_iterations)
    return result if back_prop else without_gradient(result)


def _loop(cond, body, loop_vars, shape_invariants, maximum_iterations):
    if state.graph is not None:
        from tapeflow.trace import control

        return control.while_loop(cond, body, loop_vars, shape_invariants, maximum_iterations)
    limit = None if maximum_iterations is None else int(convert_to_tensor(maximum_iterations))
    if isinstance(state.scope, Batch):
        from tapeflow.autodiff import vectorize_control

        return vectorize_control.while_loop(cond, body, loop_vars, limit)
    return _eager_loop(cond, body, loop_vars, limit)


def without_gradient(nested):
    """A nest whose tensors carry no gradient back: what `back_prop=False` asks of a loop."""
    return nest.map_structure(lambda x: P.stop_gradient(x) if isinstance(x, Tensor) else x, nested, expand_composites=True)


def _eager_loop(cond, body, loop_vars, limit):
    # Specs are compared, not values: they say the shapes and dtypes in the message.
    expected = nest.map_structure(type_spec_from_value, list(loop_vars))
    count = 0
    while (limit is None or count < limit) and cond(*loop_vars):
        result = body(*loop_vars)
        if not isinstance(result, (list, tuple)):
            result = (result,) if len(loop_vars) == 1 else result
            if not isinstance(result, tuple):
                raise TypeError(f"body must return {len(loop_vars)} loop variables as a list or tuple, got {result!r}.")
        nest.assert_same_structure(expected, list(result))
        loop_vars = result
        count += 1
    return nest.map_structure(_loop_result, loop_vars)


def _loop_result(x):
    if hasattr(x, "_type_spec"):
        return x
    return convert_to_tensor(x)
