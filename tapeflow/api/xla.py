"""`tf.xla`: what there was before `tf.function(jit_compile=True)`."""

import contextlib

from tapeflow.api.export import EXPORTS, export
from tapeflow.base import nest
from tapeflow.trace.function import function


@export("xla.experimental.compile")
def compile(computation, inputs=None):
    """The results of `computation(*inputs)`, as native code throughout; in a tuple where there is one alone.

    Raises:
        TypeError: the inputs are no list or tuple.
        InvalidArgumentError: a part of the computation has no native code.

    Example:
        >>> import tapeflow as tf
        >>> tf.xla.experimental.compile(lambda x: x + 1.0, [tf.constant(1.0)])[0].numpy()
        np.float32(2.0)
    """
    if inputs is not None and not isinstance(inputs, (list, tuple)):
        raise TypeError(f"inputs must be a list or tuple, got {type(inputs).__name__}: {inputs!r}")
    results = function(computation, jit_compile=True)(*(inputs or ()))
    return results if nest.is_nested(results) else (results,)


@export("xla.experimental.jit_scope")
@contextlib.contextmanager
def jit_scope(compile_ops=True, separate_compiled_gradients=False):
    """A context whose ops may be compiled together: all functions are, so that it changes nothing.

    Raises:
        RuntimeError: outside of a function.
    """
    if EXPORTS["executing_eagerly"]():
        raise RuntimeError("xla.experimental.jit_scope is not supported when eager execution is enabled. Use tf.function.")
    yield
