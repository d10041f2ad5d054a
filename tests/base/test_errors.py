"""`tf.errors`: TensorFlow's classes, codes, constructor and pickling."""

import copy
import doctest
import pickle

import pytest

from tapeflow.base import errors

# Name, code: as listed by TensorFlow 2.21.
CODED = [
    ("CancelledError", "CANCELLED", 1),
    ("UnknownError", "UNKNOWN", 2),
    ("InvalidArgumentError", "INVALID_ARGUMENT", 3),
    ("DeadlineExceededError", "DEADLINE_EXCEEDED", 4),
    ("NotFoundError", "NOT_FOUND", 5),
    ("AlreadyExistsError", "ALREADY_EXISTS", 6),
    ("PermissionDeniedError", "PERMISSION_DENIED", 7),
    ("ResourceExhaustedError", "RESOURCE_EXHAUSTED", 8),
    ("FailedPreconditionError", "FAILED_PRECONDITION", 9),
    ("AbortedError", "ABORTED", 10),
    ("OutOfRangeError", "OUT_OF_RANGE", 11),
    ("UnimplementedError", "UNIMPLEMENTED", 12),
    ("InternalError", "INTERNAL", 13),
    ("UnavailableError", "UNAVAILABLE", 14),
    ("DataLossError", "DATA_LOSS", 15),
    ("UnauthenticatedError", "UNAUTHENTICATED", 16),
]


def test_docstrings():
    assert doctest.testmod(errors).failed == 0


@pytest.mark.parametrize(("name", "code_name", "code"), CODED)
def test_each_class_has_its_code_and_only_op_error_as_base(name, code_name, code):
    cls = getattr(errors, name)
    error = cls(None, None, "message")
    assert cls.__bases__ == (errors.OpError,)
    assert error.error_code == code == getattr(errors, code_name)
    assert (error.node_def, error.op, error.message, error.experimental_payloads) == (None, None, "message", {})
    assert str(error) == "message"
    assert error.args == ()


def test_ok_is_a_code_without_a_class():
    assert errors.OK == 0


def test_bases():
    assert errors.OpError.__bases__ == (Exception,)
    assert errors.OperatorNotAllowedInGraphError.__bases__ == (TypeError,)
    assert errors.InaccessibleTensorError.__bases__ == (ValueError,)


def test_constructor_takes_keywords_and_payloads():
    error = errors.NotFoundError(node_def="node", op="op", message="m")
    assert (error.node_def, error.op, error.message) == ("node", "op", "m")
    assert errors.AbortedError(None, None, "m", {"key": b"1"}).experimental_payloads == {"key": b"1"}
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        errors.NotFoundError("message")


def test_op_error_takes_its_code():
    error = errors.OpError(None, None, "m", 5)
    assert (error.error_code, error.message) == (5, "m")


def test_a_message_that_is_no_string_can_be_printed():
    assert str(errors.OutOfRangeError(None, None, None)) == "None"


class FewerArgumentsError(errors.NotFoundError):
    """A user's subclass with a constructor of its own."""

    def __init__(self, path):
        super().__init__(None, None, f"no {path}")
        self.path = path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_everything(protocol):
    error = errors.InvalidArgumentError("node", "op", "m", {"key": b"1"})
    error.add_note("a note")
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is errors.InvalidArgumentError
    assert (again.node_def, again.op, again.message, again.error_code) == ("node", "op", "m", 3)
    assert again.experimental_payloads == {"key": b"1"}
    assert again.__notes__ == ["a note"]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies(again):
    assert again(errors.OpError(None, None, "m", 5)).error_code == 5
    assert again(errors.OperatorNotAllowedInGraphError("m")).args == ("m",)
    made = again(FewerArgumentsError("a.txt"))
    assert (type(made), made.path, made.message, made.error_code) == (FewerArgumentsError, "a.txt", "no a.txt", 5)


def test_invalid_names_the_op():
    error = errors.invalid("MatMul", "inner dimensions differ: 3 != 5")
    assert type(error) is errors.InvalidArgumentError
    assert error.message == "inner dimensions differ: 3 != 5 [Op:MatMul]"
