"""`tf.autograph`: what programs say to the conversion of Python control flow into graphs."""

import enum
import logging

from tapeflow.api.export import export

log = logging.getLogger("tapeflow.autograph")


@export("autograph.experimental.Feature")
class Feature(enum.Enum):
    """Optional parts of the conversion."""

    ALL = "ALL"
    AUTO_CONTROL_DEPS = "AUTO_CONTROL_DEPS"
    ASSERT_STATEMENTS = "ASSERT_STATEMENTS"
    BUILTIN_FUNCTIONS = "BUILTIN_FUNCTIONS"
    EQUALITY_OPERATORS = "EQUALITY_OPERATORS"
    LISTS = "LISTS"
    NAME_SCOPES = "NAME_SCOPES"


@export("autograph.experimental.do_not_convert")
def do_not_convert(func=None):
    """A decorator for a function whose Python code is to stay as it is; it gives the function itself.

    Example:
        >>> import tapeflow as tf
        >>> @tf.autograph.experimental.do_not_convert
        ... def double(x):
        ...     return 2 * x
        >>> double(3)
        6
    """
    return do_not_convert if func is None else func


@export("autograph.experimental.set_loop_options")
def set_loop_options(parallel_iterations=None, swap_memory=None, maximum_iterations=None, shape_invariants=None):
    """Options for the loop in which it stands, once that is converted; nothing when executing eagerly."""


@export("autograph.set_verbosity")
def set_verbosity(level, alsologtostdout=False):
    """Log how functions are converted: nothing at 0, more up to 10.

    Args:
        level: an int from 0 to 10.
        alsologtostdout: whether to print it too.
    """
    log.setLevel(logging.WARNING if level == 0 else logging.INFO if level < 3 else logging.DEBUG)
    if alsologtostdout and not log.handlers:
        log.addHandler(logging.StreamHandler())


@export("autograph.trace")
def trace(*args):
    """Print its arguments while a function is traced.

    Example:
        >>> import tapeflow as tf
        >>> tf.autograph.trace("shape", (2, 3))
        shape (2, 3)
    """
    print(*args)
