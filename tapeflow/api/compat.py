"""`tf.compat`: text and bytes, plain dimensions, and the few names of `tf.compat.v1` that libraries still use."""

import contextlib
import datetime
import numbers
import os

import numpy as np

from tapeflow.api.export import export, export_value
from tapeflow.base.log import log
from tapeflow.base.shape import Dimension, TensorShape
from tapeflow.core.state import state
from tapeflow.trace.func_graph import FuncGraph, Graph, placeholder

export_value((bytes, str), "compat.bytes_or_text_types")
export_value((numbers.Integral, np.integer), "compat.integral_types")
export_value((numbers.Real, np.integer, np.floating), "compat.real_types")
export_value((numbers.Complex, np.number), "compat.complex_types")

# What forward_compatible compares with: a program asks whether readers of its files are at least as new as a date.
_horizon = datetime.date(2026, 3, 1)


@export("compat.as_bytes")
def as_bytes(bytes_or_text, encoding="utf-8"):
    """`bytes` of a `str`, `bytes` or `bytearray`.

    Raises:
        TypeError: anything else.

    Example:
        >>> import tapeflow as tf
        >>> tf.compat.as_bytes("é")
        b'\\xc3\\xa9'
    """
    if isinstance(bytes_or_text, bytearray):
        return bytes(bytes_or_text)
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


@export("compat.as_text", "compat.as_str")
def as_text(bytes_or_text, encoding="utf-8"):
    """A `str` of a `str` or `bytes`.

    Raises:
        TypeError: anything else.

    Example:
        >>> import tapeflow as tf
        >>> tf.compat.as_text(b"abc")
        'abc'
    """
    if isinstance(bytes_or_text, str):
        return bytes_or_text
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text.decode(encoding)
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


@export("compat.as_str_any")
def as_str_any(value, encoding="utf-8"):
    """A `str` of anything: bytes are decoded, all else is given to `str`."""
    return as_text(value, encoding) if isinstance(value, bytes) else str(value)


@export("compat.path_to_str")
def path_to_str(path):
    """The `str` of a path object; anything else stays as it is."""
    return as_str_any(os.fspath(path)) if hasattr(path, "__fspath__") else path


@export("compat.dimension_value", "compat.v1.dimension_value")
def dimension_value(dimension):
    """The int (or None) of one dimension of a shape, whatever its class.

    Example:
        >>> import tapeflow as tf
        >>> tf.compat.dimension_value(tf.TensorShape([2, None])[0])
        2
    """
    return dimension.value if isinstance(dimension, Dimension) else dimension


@export("compat.dimension_at_index", "compat.v1.dimension_at_index")
def dimension_at_index(shape, index):
    """The `Dimension` at `index`; unknown where the rank is."""
    shape = TensorShape(shape)
    return Dimension(None) if shape.rank is None else Dimension(shape.as_list()[index])


@export("compat.forward_compatible")
def forward_compatible(year, month, day):
    """Whether what is written now may ask its readers to be as new as the given date."""
    return _horizon > datetime.date(year, month, day)


@export("compat.forward_compatibility_horizon")
@contextlib.contextmanager
def forward_compatibility_horizon(year, month, day):
    """A context in which `forward_compatible` compares with another date."""
    global _horizon
    before, _horizon = _horizon, datetime.date(year, month, day)
    try:
        yield
    finally:
        _horizon = before


# tf.compat.v1: shapes are inferred with placeholders of a graph; there are no sessions.

export_value(placeholder, "compat.v1.placeholder")
export_value(FuncGraph, "__internal__.FuncGraph")
export_value(Dimension, "compat.v1.Dimension")


def _speaker(level):
    def speak(msg, *args, **kwargs):
        getattr(log, level)(msg, *args, **kwargs)

    speak.__name__ = level
    return speak


for _level in ("debug", "info", "warning", "error", "fatal"):
    export_value(_speaker(_level), f"compat.v1.logging.{_level}")
_default_graph = Graph()


@export("compat.v1.get_default_graph")
def get_default_graph():
    """The graph that is being traced; an empty one, always the same, when executing eagerly."""
    return _default_graph if state.graph is None else state.graph


@export("compat.v1.executing_eagerly_outside_functions")
def executing_eagerly_outside_functions():
    """Whether ops outside of all functions run at once: False only within `with tf.Graph().as_default():`."""
    graph = state.graph
    while graph is not None and graph.building_function:
        graph = graph.outer
    return graph is None


@export("compat.v1.enable_eager_execution", "compat.v1.enable_v2_behavior", "compat.v1.enable_resource_variables")
def enable_v2_behavior(*args, **kwargs):
    """Nothing: this is how tapeflow works."""


@export("compat.v1.disable_eager_execution", "compat.v1.disable_v2_behavior")
def disable_v2_behavior():
    """Raise: there is no TensorFlow 1 mode."""
    raise NotImplementedError("tapeflow has no TensorFlow 1 mode: write functions, and tf.function where a graph is wanted.")


@export("compat.v1.reset_default_graph")
def reset_default_graph():
    """Nothing: outside a traced function there is no graph."""


def _assign(method):
    def assign(ref, value, validate_shape=None, use_locking=None, name=None):
        return getattr(ref, method)(value)

    return assign


for _name in ("assign", "assign_add", "assign_sub"):
    export_value(_assign(_name), f"compat.v1.{_name}")
