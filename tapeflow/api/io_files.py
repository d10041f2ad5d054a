"""Whole files as strings (`tf.io.read_file`, `tf.io.write_file`, `tf.io.matching_files`)."""

from tapeflow.api.arguments import matching
from tapeflow.api.export import export
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P


@export("io.read_file")
def read_file(filename, name=None):
    """The content of a file, a scalar string.

    Raises:
        NotFoundError: there is no such file.
        FailedPreconditionError: it is a folder.

    Example:
        >>> import tapeflow as tf, tempfile, os
        >>> path = os.path.join(tempfile.mkdtemp(), "a.txt")
        >>> tf.io.write_file(path, "hello")
        >>> tf.io.read_file(path).numpy()
        b'hello'
    """
    return P.read_file(convert_to_tensor(filename))


@export("io.write_file")
def write_file(filename, contents, name=None):
    """Write a scalar string as a file, which appears whole or not at all; missing folders are made.

    Raises:
        FailedPreconditionError, PermissionDeniedError: it cannot be written there.

    Example:
        >>> import tapeflow as tf, tempfile, os
        >>> tf.io.write_file(os.path.join(tempfile.mkdtemp(), "new", "a.txt"), "hello")
    """
    P.write_file(*matching((convert_to_tensor(filename), contents)))


@export("io.matching_files")
def matching_files(pattern, name=None):
    """The names of the files that match one of some patterns, sorted.

    Args:
        pattern: strings in which `*`, `?` and `[...]` stand for parts of a name.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> tf.io.matching_files(tempfile.mkdtemp() + "/*.png").shape
        TensorShape([0])
    """
    return P.matching_files(convert_to_tensor(pattern))
