"""Python's builtin functions as converted code calls them: over tensors without a value they are ops."""

import builtins
import sys

from tapeflow.base.dtypes import float32, int32, string
from tapeflow.core.convert import convert_to_tensor, operand
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.trace.autograph.branches import symbolic
from tapeflow.trace.autograph.rows import Enumerated, Mapped, Rows, Zipped, row_count, rows_of
from tapeflow.trace.autograph.status import overload_of, public


def _any_symbolic(values):
    return any(symbolic(x) is not None for x in values)


def abs_(x):
    """`abs(x)`."""
    return abs(x)


def int_(x=0, *base):
    """`int(x)`: an int32 tensor for a tensor without a value."""
    value = symbolic(x)
    if value is None:
        return int(x, *base)
    if base and base[0] != 10:
        raise NotImplementedError(f"base {base[0]} not supported for int of a symbolic tensor: use base 10.")
    return public.to_number(value, int32) if value.dtype is string else P.cast(value, dtype=int32)


def float_(x=0.0):
    """`float(x)`: a float32 tensor for a tensor without a value."""
    value = symbolic(x)
    if value is None:
        return float(x)
    return public.to_number(value, float32) if value.dtype is string else P.cast(value, dtype=float32)


def len_(x):
    """`len(x)`: the first dimension, as an int where it is known."""
    if isinstance(x, public.TensorArray):
        return x.size()
    value = symbolic(x)
    if value is None:
        return len(x)
    if value.dims == ():
        raise ValueError("len requires a non-scalar tensor, got one of shape []")
    return row_count(value)


def range_(*args):
    """`range(...)`: a tensor where an argument is a tensor without a value; empty where it would run backwards."""
    if not _any_symbolic(args):
        return range(*args)
    if len(args) == 3:
        return public.range(*args)
    start, stop = args if len(args) == 2 else (0, args[0])
    like = next(x for x in map(symbolic, args) if x is not None)
    start, stop = operand(start, like), operand(stop, like)
    return public.range(start, P.maximum(start, stop))


def enumerate_(iterable, start=0):
    """`enumerate(iterable, start)`; over tensors without a value, something for a loop to iterate over."""
    rows = _symbolic_rows(iterable)
    return enumerate(iterable, start) if rows is None else Enumerated(rows, start)


def zip_(*iterables, strict=False):
    """`zip(*iterables)`; over tensors without a value, something for a loop to iterate over."""
    if all(_symbolic_rows(x) is None for x in iterables):
        return zip(*iterables, strict=strict)
    return Zipped([rows_of(x) or rows_of(_as_rows(x)) for x in iterables], strict)


def map_(function, *iterables):
    """`map(function, *iterables)`; over tensors without a value, something for a loop to iterate over."""
    if all(_symbolic_rows(x) is None for x in iterables):
        return map(function, *iterables)
    return Mapped(function, [rows_of(x) or rows_of(_as_rows(x)) for x in iterables])


def _symbolic_rows(x):
    """The rows of what has no value, or None."""
    if isinstance(x, Rows):
        return x
    rows = rows_of(x)
    return rows if rows is not None and _any_symbolic([x, getattr(x, "values", None)]) else None


def _as_rows(x):
    """A Python sequence beside tensors as a tensor."""
    return x if isinstance(x, Tensor) else convert_to_tensor(list(x))


def filter_(function, iterable):
    """`filter(function, iterable)`."""
    return filter(function, iterable)


def any_(iterable):
    """`any(iterable)`."""
    value = symbolic(iterable)
    return any(iterable) if value is None else P.any(value, axis=None, keepdims=False)


def all_(iterable):
    """`all(iterable)`."""
    value = symbolic(iterable)
    return all(iterable) if value is None else P.all(value, axis=None, keepdims=False)


def sorted_(iterable, *, key=None, reverse=False):
    """`sorted(iterable)`: a tensor sorted along its first axis where it has no value yet."""
    value = symbolic(iterable)
    if value is None:
        return sorted(iterable, key=key, reverse=reverse)
    if key is not None:
        raise NotImplementedError(
            "sorted with a key is not supported for a symbolic tensor: use tf.gather(x, tf.argsort(key(x)))."
        )
    return public.sort(value, axis=0, direction="DESCENDING" if reverse else "ASCENDING")


def max_(*args, **options):
    """`max(...)`."""
    return _extreme(max, P.max, P.maximum, args, options)


def min_(*args, **options):
    """`min(...)`."""
    return _extreme(min, P.min, P.minimum, args, options)


def _extreme(python, reduce, pairwise, args, options):
    if not _any_symbolic(args):
        return python(*args, **options)
    name = python.__name__
    if options:
        raise ValueError(
            f"These keyword arguments are currently not supported for symbolic tensors in {name}: {tuple(options)}"
        )
    if len(args) == 1:
        if args[0].shape.rank != 1:
            raise ValueError(
                f"{name}(x) of a symbolic tensor takes a vector, not shape {args[0].shape}: use tf.reduce_{name}."
            )
        return reduce(args[0], axis=(0,), keepdims=False)
    like = next(x for x in map(symbolic, args) if x is not None)
    result, *rest = [operand(x, like) for x in args]
    for x in (result, *rest):
        if x.shape.rank not in (0, None):
            raise ValueError(f"{name}(a, b, ...) takes scalar tensors, not shape {x.shape}: use tf.{pairwise.name}.")
    for x in rest:
        result = pairwise(result, x)
    return result


def print_(*values, sep=" ", end="\n", file=None, flush=False):
    """`print(...)`: at every run of the graph where a value is a tensor without a value."""
    if _any_symbolic(values):
        public.print(*values, sep=sep, end=end, output_stream=file or sys.stdout)
    else:
        print(*values, sep=sep, end=end, file=file, flush=flush)


def next_(iterator, *default):
    """`next(iterator)`."""
    return next(iterator, *default)


OWN = {
    abs: abs_, all: all_, any: any_, enumerate: enumerate_, filter: filter_, float: float_, int: int_, len: len_, map: map_,
    max: max_, min: min_, next: next_, print: print_, range: range_, sorted: sorted_, zip: zip_,
}  # fmt: skip


def call_builtin(function, args, kwargs):
    """Call a builtin function, or what does it for the arguments' classes."""
    own = OWN.get(function) if function.__module__ == "builtins" else None
    if own is None:
        return function(*args, **kwargs)
    name = function.__name__
    # map and filter take a function first
    for value in args[1:] if function in (builtins.map, builtins.filter) else args:
        found = overload_of(name, value)
        if found is not None:
            return found(*args, **kwargs)
    return own(*args, **kwargs)


__all__ = ["call_builtin"]
