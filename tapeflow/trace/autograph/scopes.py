"""The body of a converted function as a context: how deep conversion goes, and whether every path returns."""

from tapeflow.core.graph import SymbolicTensor
from tapeflow.core.record import user_line
from tapeflow.trace.autograph.status import status
from tapeflow.trace.autograph.variables import UndefinedReturnValue


class FunctionScope:
    """What a converted function's body runs in.

    Args:
        function: the function's name.
        name: the variable that holds the scope in the converted code.
        options: malt's `ConversionOptions`.

    Attributes:
        callopts: the options of calls from the body.
        unreturned: which path has no return statement while another has one, in words; None as long as none is known.
    """

    def __init__(self, function, name, options):
        self.function = function
        self.name = name
        self.options = options
        self.callopts = options.call_options()
        self.unreturned = None

    def __enter__(self):
        self._enabled = status.enabled
        status.enabled = True
        status.scopes.append(self)
        return self

    def __exit__(self, *error):
        status.scopes.pop()
        status.enabled = self._enabled

    def ret(self, value, returned):
        """The function's result; `returned` says whether a return statement was met."""
        if isinstance(value, UndefinedReturnValue):
            return None
        if isinstance(returned, SymbolicTensor) and self.unreturned is not None:
            raise ValueError(
                f"{self.unreturned}, but {self.function} does not return one on every path. Return a value of the same dtype at the "
                f"end of {self.function}."
            )
        return value


def with_function_scope(body, name, options):
    """The result of a converted lambda, whose body is a function of the scope."""
    with FunctionScope("lambda_", name, options) as scope:
        return body(scope)


def note_unreturned(text):
    """Note in the running function that a value is returned on one path and not on another; `text` says so, the line follows."""
    if status.scopes and status.scopes[-1].unreturned is None:
        status.scopes[-1].unreturned = f"{text} {user_line()}"


__all__ = ["FunctionScope", "note_unreturned", "with_function_scope"]
