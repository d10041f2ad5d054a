"""Errors out of converted code, as the user should see them: his own frames, and why a condition was not converted."""

import os
import types

from tapeflow.base.errors import OperatorNotAllowedInGraphError
from tapeflow.trace.autograph.source import line_of
from tapeflow.trace.autograph.status import public

HIDDEN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # tracing and conversion
PACKAGE = os.path.dirname(os.path.dirname(HIDDEN)) + os.sep


def explained(error):
    """The same error without the frames of tracing; it says why a symbolic tensor had to be a Python value."""
    if _lacks_value(error):
        _say_why(error)
    return error.with_traceback(trimmed(error.__traceback__))


def _lacks_value(error):
    """Whether Python asked a symbolic tensor for its value."""
    if isinstance(error, (TypeError, AttributeError, NotImplementedError)):
        return (
            isinstance(error, OperatorNotAllowedInGraphError)
            or "symbolic tensor" in str(error)
            or "SymbolicTensor" in str(error)
        )
    return False


def trimmed(traceback):
    """A traceback without the frames of tracing and conversion, in which the user's own frames stay."""
    if not public.filters_tracebacks():
        return traceback
    kept = [entry for entry in _entries(traceback) if not _hidden(entry.tb_frame.f_code.co_filename)]
    result = None
    for entry in reversed(kept):
        if result is None or _place(entry) != _place(result):  # the parts of a statement are functions of their own
            result = types.TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result


def _place(entry):
    code = entry.tb_frame.f_code
    return code.co_filename, code.co_name, entry.tb_lineno


def _entries(traceback):
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _hidden(path):
    return path.startswith(HIDDEN) or f"{os.sep}malt{os.sep}operators{os.sep}" in path


def _say_why(error):
    """Add to an error why AutoGraph did not convert the line that needed the value of a symbolic tensor."""
    frames = [entry for entry in _entries(error.__traceback__) if not entry.tb_frame.f_code.co_filename.startswith(PACKAGE)]
    if not frames or getattr(error, "explained", False):
        return
    code, line = frames[-1].tb_frame.f_code, frames[-1].tb_lineno
    error.explained = True
    error.args = (f"{error}\nThe value is needed at {line_of(code, line)}\n{_reason(frames[-1].tb_frame)}",)


def _reason(frame):
    from tapeflow.trace.autograph import calls  # it needs malt

    code = frame.f_code
    if id(code) in calls.failures:
        cause = calls.failures[id(code)][1]
        mend = f" Instead, {cause.mend}" if cause.mend else ""
        return f"AutoGraph could not convert {code.co_qualname}: {cause.cause}.{mend}"
    if "ag__" in frame.f_locals or "ag__" in code.co_freevars:
        return (
            f"AutoGraph converted {code.co_qualname}, but it converts statements (if, while, for), and, or, not and conditional "
            "expressions only: not comprehensions, unpacking, `in`, bool(x) or what a library does. Use tf.where, tf.cond, tf.map_fn, "
            "tf.unstack or a for statement there."
        )
    library = calls.left_alone(frame.f_globals.get("__name__") or "")
    if library is not None:
        return f"AutoGraph leaves the library {library} as it is: it needs tensors with values. Call a TensorFlow function instead."
    if code.co_flags & calls.GENERATORS:
        return f"AutoGraph does not convert generators and coroutines, as {code.co_qualname} is one: write a function with loops."
    return (
        f"AutoGraph did not convert {code.co_qualname}: it was called by code that AutoGraph does not convert (a library, as Keras "
        "calls the call() of a layer), or is decorated with tf.autograph.experimental.do_not_convert. Decorate it with @tf.function."
    )


__all__ = ["explained", "trimmed"]
