"""What AutoGraph says to the user."""

from tapeflow.base.log import autograph_log as log
from tapeflow.trace.autograph.source import line_of


def warn(function, error):
    """Say that a function cannot be converted: where, why, and what to write instead."""
    place = line_of(function.__code__, error.line or function.__code__.co_firstlineno)
    mend = f"\nInstead, {error.mend}" if error.mend else ""
    log.warning(
        "AutoGraph could not transform %s and will run it as-is.\nCause: %s\n%s%s\n"
        "To silence this warning, decorate the function with @tf.autograph.experimental.do_not_convert",
        function, error.cause, place, mend,
    )  # fmt: skip


__all__ = ["log", "warn"]
