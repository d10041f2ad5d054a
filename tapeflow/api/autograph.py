"""`tf.autograph`: what programs say to the conversion of Python control flow into graphs."""

import enum
import sys

from tapeflow.api.array_index import tensor_scatter_nd_update
from tapeflow.api.array_make import range as range_
from tapeflow.api.array_order import sort
from tapeflow.api.debugging import is_traceback_filtering_enabled
from tapeflow.api.export import export, export_value
from tapeflow.api.printing import print_
from tapeflow.api.strings import substr, to_number
from tapeflow.api.tensor_array import TensorArray
from tapeflow.trace import autograph
from tapeflow.trace.autograph.log import log

autograph.public.filters_tracebacks = is_traceback_filtering_enabled
autograph.public.range = range_
autograph.public.TensorArray = TensorArray
autograph.public.print = print_
autograph.public.sort = sort
autograph.public.substr = substr
autograph.public.to_number = to_number
autograph.public.scatter = tensor_scatter_nd_update


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

    @classmethod
    def all(cls):
        """All features."""
        return tuple(cls)

    @classmethod
    def all_but(cls, exclude):
        """All features but one, or but some."""
        excluded = exclude if isinstance(exclude, (list, tuple, set)) else (exclude,)
        return tuple([feature for feature in cls if feature not in excluded and feature is not cls.ALL])


export_value(autograph.do_not_convert, "autograph.experimental.do_not_convert")
export_value(autograph.loop_options, "autograph.experimental.set_loop_options")


@export("autograph.to_graph")
def to_graph(entity, recursive=True, experimental_optional_features=None):
    """The converted form of a Python function: it can be called while a graph is traced, and eagerly.

    Args:
        entity: a function or a method; the converted form of a method takes its object as the first argument.
        recursive: whether to convert the functions that it calls too.
        experimental_optional_features: a `tf.autograph.experimental.Feature`, or several.

    Raises:
        ValueError: it cannot be converted; the message says which line, and what to write instead.

    Example:
        >>> import tapeflow as tf
        >>> def positive(x):
        ...     if x < 0:
        ...         x = -x
        ...     return x
        >>> tf.autograph.to_graph(positive)(tf.constant(-2))
        <tf.Tensor: shape=(), dtype=int32, numpy=2>
    """
    return autograph.to_graph(entity, experimental_optional_features, recursive)


@export("autograph.to_code")
def to_code(entity, recursive=True, experimental_optional_features=None):
    """The source code of the converted form of a Python function.

    Args:
        entity: a function or a method.
        recursive: whether the functions that it calls are to be converted too.
        experimental_optional_features: a `tf.autograph.experimental.Feature`, or several.

    Raises:
        ValueError: it cannot be converted; the message says which line, and what to write instead.

    Example:
        >>> import tapeflow as tf
        >>> def positive(x):
        ...     return -x if x < 0 else x
        >>> print(tf.autograph.to_code(positive).splitlines()[0])
        def tf__positive(x):
    """
    return autograph.to_code(entity, experimental_optional_features, recursive)


@export("autograph.set_verbosity")
def set_verbosity(level, alsologtostdout=False):
    """Log how functions are converted: nothing at 0, more up to 10.

    Args:
        level: an int from 0 to 10.
        alsologtostdout: whether to print it too.
    """
    import logging  # not needed to import the package

    log.setLevel(logging.WARNING if level == 0 else logging.INFO if level < 3 else logging.DEBUG)
    if alsologtostdout and not log.handlers:
        log.addHandler(logging.StreamHandler(sys.stdout))


@export("autograph.trace")
def trace(*args):
    """Print its arguments while a function is traced.

    Example:
        >>> import tapeflow as tf
        >>> tf.autograph.trace("shape", (2, 3))
        shape (2, 3)
    """
    print(*args)
