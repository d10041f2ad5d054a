"""TensorFlow's exceptions (`tf.errors`): the same classes, bases, codes and constructor."""

import copyreg

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
DATA_LOSS = 15
UNAUTHENTICATED = 16


class OperatorNotAllowedInGraphError(TypeError):
    """A symbolic tensor was used where Python needs its value: as a `bool`, or as something to iterate over."""


class InaccessibleTensorError(ValueError):
    """A symbolic tensor was used outside the graph that it belongs to."""


class OpError(Exception):
    """The base of the errors that ops raise; a subclass says what kind of error it is.

    Args:
        node_def: the description of the node that failed, or None.
        op: the operation that failed, or None; always None in eager execution.
        message: what is wrong, for the user to read.
        error_code: one of this module's integer codes.
        *args: at most one dictionary of further details, found again as `experimental_payloads`.

    Example:
        >>> error = NotFoundError(None, None, "no such file: a.txt")
        >>> str(error), error.error_code == NOT_FOUND, isinstance(error, OpError)
        ('no such file: a.txt', True, True)
    """

    def __init__(self, node_def, op, message, error_code, *args):
        super().__init__()
        self._node_def = node_def
        self._op = op
        self._message = message
        self._error_code = error_code
        self._experimental_payloads = args[0] if args else {}

    @property
    def node_def(self):
        """The description of the node that failed, or None."""
        return self._node_def

    @property
    def op(self):
        """The operation that failed, or None."""
        return self._op

    @property
    def message(self):
        """What is wrong."""
        return self._message

    @property
    def error_code(self):
        """The integer code of this kind of error."""
        return self._error_code

    @property
    def experimental_payloads(self):
        """A dictionary of further details."""
        return self._experimental_payloads

    def __str__(self):
        return str(self._message)

    def __repr__(self):
        return f"{type(self).__name__}({self._message!r})"

    def __reduce__(self):
        # Restores the state without calling the constructor: subclasses may take other arguments, or fewer.
        return copyreg.__newobj__, (type(self),), self.__dict__


def _constructor(code):
    """The `__init__` of the subclass of `OpError` whose error code is `code`."""

    def __init__(self, node_def, op, message, *args):
        OpError.__init__(self, node_def, op, message, code, *args)

    return __init__


class CancelledError(OpError):
    """An operation was cancelled, such as an iteration whose dataset was closed."""

    __init__ = _constructor(CANCELLED)


class UnknownError(OpError):
    """An error that fits no other class, such as one that comes from outside without a code."""

    __init__ = _constructor(UNKNOWN)


class InvalidArgumentError(OpError):
    """An op was given an argument that it can never accept: a wrong shape, dtype or value."""

    __init__ = _constructor(INVALID_ARGUMENT)


class DeadlineExceededError(OpError):
    """A deadline passed before the operation was done."""

    __init__ = _constructor(DEADLINE_EXCEEDED)


class NotFoundError(OpError):
    """A file, resource or variable that was asked for does not exist."""

    __init__ = _constructor(NOT_FOUND)


class AlreadyExistsError(OpError):
    """Something that was to be created exists already."""

    __init__ = _constructor(ALREADY_EXISTS)


class PermissionDeniedError(OpError):
    """The caller may not do this, such as reading a protected file."""

    __init__ = _constructor(PERMISSION_DENIED)


class UnauthenticatedError(OpError):
    """The caller did not prove who it is."""

    __init__ = _constructor(UNAUTHENTICATED)


class ResourceExhaustedError(OpError):
    """Memory, disk space or another quota ran out."""

    __init__ = _constructor(RESOURCE_EXHAUSTED)


class FailedPreconditionError(OpError):
    """The system is not in the state that the operation needs, such as a variable that has no value yet."""

    __init__ = _constructor(FAILED_PRECONDITION)


class AbortedError(OpError):
    """An operation was given up, usually because of another one that runs at the same time."""

    __init__ = _constructor(ABORTED)


class OutOfRangeError(OpError):
    """An iteration or a read went past the end."""

    __init__ = _constructor(OUT_OF_RANGE)


class UnimplementedError(OpError):
    """The operation does not support these arguments, though they make sense."""

    __init__ = _constructor(UNIMPLEMENTED)


class InternalError(OpError):
    """Something that tapeflow relies on does not hold: a defect of tapeflow, not of the program."""

    __init__ = _constructor(INTERNAL)


class UnavailableError(OpError):
    """A service cannot be reached just now."""

    __init__ = _constructor(UNAVAILABLE)


class DataLossError(OpError):
    """A file is truncated, damaged or in another format."""

    __init__ = _constructor(DATA_LOSS)


def invalid(op_name, message):
    """The `InvalidArgumentError` of op `op_name`, for the caller to raise; its message ends in the op's name.

    Args:
        op_name: the op's name in TensorFlow, such as `"AddV2"`.
        message: what is wrong, with the values that show it.

    Example:
        >>> raise invalid("AddV2", "Incompatible shapes: [2] vs. [3]")
        Traceback (most recent call last):
        ...
        tapeflow.base.errors.InvalidArgumentError: Incompatible shapes: [2] vs. [3] [Op:AddV2]
    """
    return InvalidArgumentError(None, None, f"{message} [Op:{op_name}]")
