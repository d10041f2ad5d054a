"""Ops that read and write files."""

import numpy as np

from tapeflow.base.dtypes import string
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.io import files
from tapeflow.ops.images import boxed


def _scalar(op, what, shape):
    if shape not in (None, ()):
        raise invalid(op, f"Input {what} tensor must be scalar, but had shape: {list(shape)}")


def _read_kernel(filename):
    _scalar("ReadFile", "filename", filename.shape)
    return boxed(files.read_bytes(filename[()]))


def _read_infer(filename):
    _scalar("ReadFile", "filename", filename.shape)
    return Spec((), string)


read_file = Primitive("read_file", _read_kernel, _read_infer, accepts={string}, stateful=True, samples=lambda: [])


def _write_kernel(filename, contents):
    _write_infer(filename, contents)
    files.write_bytes(filename[()], contents[()])
    return ()


def _write_infer(filename, contents):
    _scalar("WriteFile", "filename", filename.shape)
    _scalar("WriteFile", "contents", contents.shape)
    return ()


write_file = Primitive(
    "write_file", _write_kernel, _write_infer, accepts={string}, multiple=True, stateful=True, samples=lambda: []
)


def _matching_kernel(pattern):
    found = sorted({name for item in np.ravel(pattern) for name in matches(item)})
    result = np.empty(len(found), object)
    result[:] = found
    return result


def matches(pattern):
    """The names of the files that match a pattern of `*`, `?` and `[...]`, as bytes."""
    import glob

    return [name.encode() for name in glob.glob(files.path_of(pattern), include_hidden=True)]


def _matching_infer(pattern):
    return Spec((None,), string)


matching_files = Primitive(
    "matching_files", _matching_kernel, _matching_infer, accepts={string}, stateful=True, samples=lambda: []
)

__all__ = ["matches", "matching_files", "read_file", "write_file"]
