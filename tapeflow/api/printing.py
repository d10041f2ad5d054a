"""`tf.print`, and tensors as text the way it shows them: `[[1 2 3]\\n [4 5 6]]`, without the middle of long axes."""

import sys

import numpy as np

from tapeflow.api.export import export
from tapeflow.base import nest
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable

LOGGING = ("info", "warning", "error")  # the functions of `logging` that may be a stream
HOLE = "'\0\0'"  # as wide as the mark that TensorFlow lays nested structures out with


class _Hole:
    """Stands for a tensor while a nested structure is laid out."""

    def __repr__(self):
        return HOLE


@export("print")
def print_(*inputs, **kwargs):
    """Print tensors and Python values, in a traced function each time it runs.

    Args:
        *inputs: strings, tensors, other values, or nests of them.
        output_stream: `sys.stderr` (the default), `sys.stdout`, an open text file, a function of `logging` such as
            `logging.info`, or `"file://<path>"`, to whose end is written.
        summarize: how many elements to show at both ends of every axis; 3 by default, -1 shows all.
        sep: what stands between two inputs, a space by default.
        end: what stands behind, a newline by default.

    Raises:
        ValueError: another keyword argument, or an unknown stream.

    Example:
        >>> import sys
        >>> import tapeflow as tf
        >>> tf.print("ids:", tf.range(8), {"loss": tf.constant(0.5)}, output_stream=sys.stdout)
        ids: [0 1 2 ... 5 6 7] {'loss': 0.5}
    """
    output_stream = kwargs.pop("output_stream", sys.stderr)
    summarize = kwargs.pop("summarize", 3)
    sep, end = kwargs.pop("sep", " "), kwargs.pop("end", "\n")
    kwargs.pop("name", None)
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {kwargs}")
    for key, value in (("sep", sep), ("end", end)):
        if not isinstance(value, str):
            raise TypeError(f"Expected string for argument '{key}' not {value!r}.")
    emit = _writer(output_stream, end)
    tensors = []
    text = sep.join([_layout(x, tensors) for x in inputs])
    pieces = text.split(HOLE)
    ends = sys.maxsize if summarize is None or summarize < 0 else summarize

    def write(*values):
        shown = [tensor_text(value, ends) for value in values]
        emit("".join([pieces[0], *[part for pair in zip(shown, pieces[1:], strict=True) for part in pair]]))

    P.print(*tensors, write=write)


def _layout(value, tensors):
    """The text of one input with a hole for each tensor in it, which is added to `tensors`."""
    import pprint  # not needed to import the package

    if isinstance(value, str):
        return value
    if not nest.is_nested(value):
        hole = _hole(value, tensors)
        return repr(hole) if isinstance(hole, _Hole) else hole if isinstance(hole, str) else pprint.pformat(hole)
    return pprint.pformat(nest.map_structure(lambda leaf: _hole(leaf, tensors), value))


def _hole(leaf, tensors):
    if isinstance(leaf, (Tensor, Variable)):
        tensors.append(convert_to_tensor(leaf))
        return _Hole()
    if getattr(leaf, "_type_spec", None) is None:
        return leaf
    if hasattr(leaf, "dense_shape"):
        tensors.extend([leaf.indices, leaf.values, leaf.dense_shape])
        return f"SparseTensor(indices={HOLE}, values={HOLE}, shape={HOLE})"
    return _Plain(_ragged_text(leaf.to_list())) if hasattr(leaf, "to_list") else leaf


class _Plain:
    """Text that is laid out as it is."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def _ragged_text(value):
    if isinstance(value, list):
        return "[" + ", ".join(map(_ragged_text, value)) + "]"
    return element_text(np.float64(value) if isinstance(value, float) else value, nested=True)


def _writer(stream, end):
    """A function that writes a text, and `end` behind it, to what `output_stream` stands for."""
    if isinstance(stream, str) and stream.startswith("file://"):

        def write(text):
            with open(stream[len("file://") :], "a") as file:
                file.write(text + end)

        return write
    if hasattr(stream, "write"):
        chosen = "stdout" if stream is sys.stdout else "stderr" if stream is sys.stderr else None
        # The standard streams are looked up when printing, as a notebook or a test may have replaced them.
        return lambda text: print(text, end=end, file=getattr(sys, chosen) if chosen else stream, flush=True)
    if callable(stream) and getattr(stream, "__name__", None) in LOGGING:
        return lambda text: stream(text)
    raise ValueError(
        f"Unsupported output stream, logging level, or file. {stream!r}: supported streams are sys.stdout, sys.stderr, "
        "open files, logging.info, logging.warning and logging.error. File needs to be in the form of 'file://<filepath>'."
    )


def tensor_text(value, ends=3):
    """A NumPy value as `tf.print` shows it.

    Args:
        value: an ndarray or NumPy scalar.
        ends: how many elements of an axis are shown at its beginning and at its end.

    Example:
        >>> tensor_text(np.arange(10), 2)
        '[0 1 ... 8 9]'
    """
    value = np.asarray(value)
    if value.ndim == 0:
        return element_text(value[()], nested=False)
    return _axis_text(value, ends, 0, value.ndim)


def _axis_text(value, ends, depth, rank):
    separator = " " if depth == rank - 1 else "\n" * (rank - depth - 1) + " " * (depth + 1)
    count = len(value)
    if value.size == 0:
        return "[]"
    chosen = [*range(ends), None, *range(count - ends, count)] if count > 2 * ends else range(count)
    parts = []
    for i in chosen:
        if i is None:
            parts.append("...")
        else:
            parts.append(element_text(value[i], True) if depth == rank - 1 else _axis_text(value[i], ends, depth + 1, rank))
    return "[" + separator.join(parts) + "]"


def element_text(value, nested):
    """One element: the shortest of the two precisions that gives the number back, as C's `%g` writes it."""
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        return f'"{text}"' if nested else text
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, (complex, np.complexfloating)):
        real = value.real.dtype.type if isinstance(value, np.complexfloating) else np.float64
        return f"({element_text(real(value.real), True)},{element_text(real(value.imag), True)})"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    kind, digits = (np.float64, (15, 17)) if isinstance(value, np.float64) else (np.float32, (6, 9))
    number = kind(value)
    text = f"{float(number):.{digits[0]}g}"
    if number == number and kind(text) != number:
        text = f"{float(number):.{digits[1]}g}"
    return text


__all__ = ["element_text", "print_", "tensor_text"]
