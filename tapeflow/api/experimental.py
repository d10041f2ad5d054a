"""`tf.experimental` in its smaller parts: DLPack, dtypes, execution modes, and libraries of C++ ops (refused)."""

import contextlib
import os

import numpy as np

from tapeflow.api.export import export, export_value
from tapeflow.base import dtypes
from tapeflow.base.errors import InvalidArgumentError, NotFoundError, UnimplementedError
from tapeflow.core.tensor import Tensor, wrap

for _dtype in dtypes.ALL:
    if _dtype.name.startswith(("float8", "float4", "int4", "uint4", "int2", "uint2")):
        export_value(_dtype, f"experimental.{_dtype.name}")

# DLPack


@export("experimental.dlpack.to_dlpack")
def to_dlpack(tf_tensor):
    """A DLPack capsule that shares the memory of a tensor: nobody may write into it.

    Raises:
        InvalidArgumentError: something else than a tensor, or a dtype that DLPack does not know.
    """
    if not isinstance(tf_tensor, Tensor):
        raise InvalidArgumentError(
            None, None, f"The argument to `to_dlpack` must be a TF tensor, not Python object: {tf_tensor!r}"
        )
    try:
        return tf_tensor.__dlpack__()
    except BufferError as error:
        raise InvalidArgumentError(None, None, f"{tf_tensor.dtype.name} is not supported by dlpack: {error}") from error


class _Capsule:
    """A capsule as NumPy takes it."""

    def __init__(self, capsule):
        self._capsule = capsule

    def __dlpack__(self, **options):
        return self._capsule

    def __dlpack_device__(self):
        return (1, 0)


@export("experimental.dlpack.from_dlpack")
def from_dlpack(dlcapsule):
    """A tensor of a DLPack capsule, or of an object that offers one; its memory is copied, as a tensor never changes.

    Raises:
        TypeError: something else.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.constant([1.0, 2.0])
        >>> tf.experimental.dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(x))
        <tf.Tensor: shape=(2,), dtype=float32, numpy=array([1., 2.], dtype=float32)>
    """
    if hasattr(dlcapsule, "__dlpack__"):
        return wrap(np.array(np.from_dlpack(dlcapsule)))
    if type(dlcapsule).__name__ != "PyCapsule":
        raise TypeError(f"from_dlpack takes a DLPack capsule, or an object with `__dlpack__`, got {dlcapsule!r}.")
    return wrap(np.array(np.from_dlpack(_Capsule(dlcapsule))))


# Execution


@export("experimental.async_scope")
@contextlib.contextmanager
def async_scope():
    """A context that allows ops to run later than their calls; they do not."""
    yield


@export("experimental.async_clear_error")
def async_clear_error():
    """Nothing: errors are raised by the call that makes them."""


@export("experimental.function_executor_type")
@contextlib.contextmanager
def function_executor_type(executor_type):
    """A context that asks for a way to run graphs; there is one."""
    yield


@export("experimental.enable_strict_mode")
def enable_strict_mode():
    """Nothing: there are no deprecated names to refuse."""


# Libraries


def _refuse(path, kind):
    if not os.path.exists(path):
        raise kind(f"{path}: cannot open shared object file: No such file or directory")
    raise UnimplementedError(
        None,
        None,
        f"{path} cannot be loaded: it is compiled for TensorFlow's C++ interface. Write the op in Python instead.",
    )


@export("load_op_library")
def load_op_library(library_filename):
    """Raise: ops compiled for TensorFlow's C++ interface do not run here.

    Raises:
        NotFoundError: there is no such file.
        UnimplementedError: there is.
    """
    _refuse(library_filename, lambda text: NotFoundError(None, None, text))


@export("load_library")
def load_library(library_location):
    """Raise: kernels compiled for TensorFlow's C++ interface do not run here.

    Raises:
        FileNotFoundError: there is no such file.
        UnimplementedError: there is.
    """
    _refuse(library_location, FileNotFoundError)


@export("experimental.register_filesystem_plugin")
def register_filesystem_plugin(plugin_location):
    """Raise: plugins compiled for TensorFlow's C++ interface do not run here."""
    _refuse(plugin_location, FileNotFoundError)
