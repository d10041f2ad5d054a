"""Why a function was traced again: what differs between the arguments of two calls, and how to avoid it."""

from tapeflow.base import nest
from tapeflow.base.shape import TensorShape
from tapeflow.core.tensor import Tensor
from tapeflow.trace.signature import literal


def described(arguments):
    """What a trace depends on: for each leaf of the arguments its name, a text, and what kind of thing it is."""
    positional, named = arguments
    leaves = nest.flatten_with_tuple_paths(
        {**{str(i): x for i, x in enumerate(positional)}, **named}, expand_composites=True
    )
    return {path: _leaf(x) for path, x in leaves}


def _leaf(x):
    if isinstance(x, Tensor) or hasattr(x, "_dtype"):
        return "tensor", f"{x.dtype.name}{TensorShape(getattr(x, 'dims', None) or x.shape)}", x.dtype.name
    kind, value = (type(x), x) if literal(x).__class__ is tuple else (type(x), None)
    return "value" if value is not None or x is None else "object", repr(x)[:60], kind.__name__


def reason(names, before, now):
    """The first thing that differs between two calls, in words, or None where nothing does.

    Args:
        names: the names of the positional parameters.
        before, now: what `described` gives for the earlier and the later call.
    """
    if before.keys() != now.keys():
        return "the arguments are nested differently"
    for path, (kind, text, detail) in now.items():
        old_kind, old_text, old_detail = before[path]
        if (kind, text) == (old_kind, old_text) and kind != "object":
            continue
        if (kind, text, detail) == (old_kind, old_text, old_detail) and kind == "object":
            continue
        return (
            f"argument `{_name(names, path)}` changed from {old_text} to {text}{_mend(kind, old_kind, detail, old_detail)}"
        )
    return "an argument is another object of the same type: pass tensors, or keep one object and pass it every time"


def _name(names, path):
    first = str(path[0])
    name = names[int(first)] if first.isdigit() and int(first) < len(names) else first
    return name + "".join(f"[{part!r}]" for part in path[1:])


def _mend(kind, old_kind, detail, old_detail):
    if kind == old_kind == "tensor":
        if detail == old_detail:
            return ". input_signature with None for that dimension, or reduce_retracing=True, lets one trace serve all sizes"
        return ". tf.cast gives it one dtype"
    if kind == old_kind == "value":
        return ". Every Python value has a trace of its own: pass a tensor, tf.constant(value)"
    return ". Pass the same kind of value every time"


def closest(earlier, now):
    """The earlier call that differs in the fewest leaves."""
    return min(
        earlier,
        key=lambda before: sum(before.get(path) != leaf for path, leaf in now.items()) + (before.keys() != now.keys()),
    )


__all__ = ["closest", "described", "reason"]
