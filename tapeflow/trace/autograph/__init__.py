"""AutoGraph: Python control flow over symbolic tensors, by diastatic-malt's source transformer and the operators of this folder.

`convert` is the entry. malt is imported when the first function is converted.
"""

import functools
import inspect

from tapeflow.trace.autograph.status import loop_options, overload, public, status


def convert(function, features=(), recursive=True):
    """A function that runs `function` converted, as all functions that it calls are.

    Args:
        function: any callable; what cannot be converted runs as it is, with one warning.
        features: the members of `tf.autograph.experimental.Feature` to use, one or several; None for none.
        recursive: whether to convert the functions that it calls too.

    Returns:
        A function with the same parameters. Errors that it raises show the user's own lines.
    """

    def converted(*args, **kwargs):
        from tapeflow.trace.autograph import calls, frames

        try:
            return calls.converted_call(function, args, kwargs, options=calls.options_of(features, recursive))
        except Exception as error:
            raise frames.explained(error)  # noqa: B904 - the same error

    if inspect.isroutine(function) or isinstance(function, functools.partial):
        functools.update_wrapper(converted, function)
    converted.autograph_info__ = None  # it is not converted again
    return converted


def converted_here(function):
    """`function` as converted code would call it: for functions that the user hands to an op, such as `tf.map_fn`.

    Within converted code that is `convert(function)`, elsewhere the function itself.
    """
    return convert(function) if status.enabled else function


def do_not_convert(func=None):
    """A decorator for a function whose Python code is to stay as it is.

    Example:
        >>> import tapeflow as tf
        >>> @tf.autograph.experimental.do_not_convert
        ... def double(x):
        ...     return 2 * x
        >>> double(3)
        6
    """
    if func is None:
        return do_not_convert

    def unconverted(*args, **kwargs):
        before, status.enabled = status.enabled, False
        try:
            return func(*args, **kwargs)
        finally:
            status.enabled = before

    if inspect.isroutine(func):
        functools.update_wrapper(unconverted, func)
    unconverted.autograph_info__ = None
    return unconverted


def to_graph(function, features=(), recursive=True):
    """The converted form of a Python function or method; a method takes its object as the first argument.

    Raises:
        ValueError: it cannot be converted.
    """
    from tapeflow.trace.autograph import calls
    from tapeflow.trace.autograph.source import Untransformable
    from tapeflow.trace.autograph.transpiler import TRANSPILER

    target = _python_function(function)
    try:
        factory = TRANSPILER.factory(target, calls.options_of(features, recursive))
    except Untransformable as error:
        raise _conversion_error(function, target, error) from None
    converted = factory.made(target)
    converted.__name__ = f"tf__{target.__name__}"
    return calls.artifact(converted)


def to_code(function, features=(), recursive=True):
    """The source of the converted form of a Python function.

    Raises:
        ValueError: it cannot be converted.
    """
    import ast

    from tapeflow.trace.autograph import calls
    from tapeflow.trace.autograph.source import Untransformable
    from tapeflow.trace.autograph.transpiler import TRANSPILER

    target = _python_function(function)
    try:
        tree, _ = TRANSPILER.tree(target, calls.options_of(features, recursive))
    except Untransformable as error:
        raise _conversion_error(function, target, error) from None
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


def _python_function(function):
    """The function that has the code, of a function or method."""
    target = getattr(function, "__func__", function)
    if not inspect.isfunction(target):
        raise ValueError(
            f"Cannot apply autograph to {function!r}, which does not expose a __code__ object. If this is a tf.function, try passing "
            "f.python_function instead."
        )
    return target


def _conversion_error(function, target, error):
    from tapeflow.trace.autograph.source import line_of

    place = line_of(target.__code__, error.line or target.__code__.co_firstlineno)
    mend = f"\nInstead, {error.mend}" if error.mend else ""
    return ValueError(f"converting {function}: {error.cause}\n{place}{mend}")


__all__ = [
    "convert",
    "converted_here",
    "do_not_convert",
    "loop_options",
    "overload",
    "public",
    "status",
    "to_code",
    "to_graph",
]
