"""Whether this thread is within converted code, and what stands for it in other layers."""

import threading
import types


class Status(threading.local):
    """The conversion in this thread.

    Attributes:
        scopes: the `FunctionScope`s of the converted functions that are running, outermost first.
        enabled: True within a converted function, False within one that must not be converted, None elsewhere.
    """

    def __init__(self):
        self.scopes = []

    enabled = None


status = Status()

# What operators need of the layers above: `tapeflow.api.autograph` puts the public functions here.
public = types.SimpleNamespace()

# Operators on types of the layers above: (name of the operator or builtin, type) -> function.
OVERLOADS: dict[tuple, object] = {}


def overload(name, kind):
    """A decorator: the function does the operator or builtin `name` (`"for"`, `"len"`, ...) for instances of `kind`."""

    def register(function):
        OVERLOADS[name, kind] = function
        return function

    return register


def overload_of(name, value):
    """The function registered for the operator `name` and the class of `value`, or None."""
    for kind in type(value).__mro__:
        found = OVERLOADS.get((name, kind))
        if found is not None:
            return found
    return None


def loop_options(parallel_iterations=None, swap_memory=None, maximum_iterations=None, shape_invariants=None):
    """Options for the loop in which the call stands as the first statement; conversion takes it out.

    Args:
        parallel_iterations, swap_memory: accepted.
        maximum_iterations: an upper bound of the number of iterations.
        shape_invariants: a list of pairs (variable, shape) for variables whose shape changes from one iteration to the next.

    Example:
        >>> import tapeflow as tf
        >>> def ones(n):
        ...     v = tf.zeros([0])
        ...     for _ in tf.range(n):
        ...         tf.autograph.experimental.set_loop_options(shape_invariants=[(v, tf.TensorShape([None]))])
        ...         v = tf.concat([v, [1.0]], 0)
        ...     return v
        >>> ones(2).numpy().tolist()
        [1.0, 1.0]
    """


__all__ = ["OVERLOADS", "loop_options", "overload", "overload_of", "public", "status"]
