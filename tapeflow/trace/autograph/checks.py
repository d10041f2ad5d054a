"""Loop variables before a loop and over its iterations: the errors where they cannot be a graph's."""

from tapeflow.base import nest
from tapeflow.base.shape import TensorShape
from tapeflow.core.composite import Composite
from tapeflow.core.record import user_line
from tapeflow.core.tensor import Tensor
from tapeflow.trace.autograph.variables import (
    Undefined,
    UndefinedReturnValue,
    as_value,
    described,
    is_missing,
    is_value,
    leaves_of,
    quoted,
)


def shapes_of(invariant):
    """The leaves of a shape invariant, which may be a list of dimensions itself."""
    if isinstance(invariant, (list, tuple)) and all(n is None or isinstance(n, int) for n in invariant):
        return [TensorShape(invariant)]
    return nest.flatten(invariant)


def _shape(invariant):
    """The shape that an invariant, which may be a spec, says."""
    return TensorShape(getattr(invariant, "shape", invariant))


def check_start(name, value, invariant, names, failure):
    """Check a variable as it is before the loop.

    Args:
        name: its name.
        value: its value, or what stands for none.
        invariant: the user's shape invariant for it, or None.
        names: the names of all variables.
        failure: why it was not possible to find out its type from an iteration, to be added to the message.
    """
    if isinstance(value, UndefinedReturnValue):
        if any(x.startswith("do_return") for x in names) and not failure:
            return  # a bare `return`
        raise NotImplementedError(
            "a return statement cannot be placed inside this TensorFlow loop; this may happen if a return statement depends on "
            f"a static Python condition such as a hyperparameter ({user_line()}). Assign the result to a variable, use `break`, "
            f"and return it after the loop.{failure}"
        )
    if isinstance(value, Undefined):
        raise ValueError(
            f"{quoted(name)} must be defined before the loop: the loop at {user_line()} is a TensorFlow loop, whose variables need a "
            f"shape and a dtype. Set '{name}' to a tensor before it.{failure}"
        )
    if invariant is None:
        return
    for leaf, wanted in zip(leaves_of(value), map(_shape, shapes_of(invariant)), strict=True):
        if is_value(leaf) and not wanted.is_compatible_with(as_value(leaf).shape):
            raise ValueError(
                f"{quoted(name)} has shape {as_value(leaf).shape} before the loop, which does not conform with the shape invariant "
                f"{wanted} ({user_line()})."
            )


def check_iteration(name, start, entry, end, invariant):
    """Compare a variable before the loop, at the start and at the end of an iteration."""
    if is_missing(start) and is_missing(end):
        return
    if is_missing(end):
        raise ValueError(f"{quoted(name)} has no value at the end of the iteration ({user_line()}): do not `del` it.")
    try:
        nest.assert_same_structure(entry, end)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{quoted(name)} does not have the same nested structure after one iteration of the loop at {user_line()}.\n\n{error}"
        ) from None
    shapes = [None] * len(nest.flatten(entry)) if invariant is None else shapes_of(invariant)
    for leaves in zip(nest.flatten(start), nest.flatten(entry), nest.flatten(end), shapes, strict=True):
        _check_leaf(name, *leaves)


def _check_leaf(name, start, entry, end, invariant):
    where = f"({user_line()})"
    if not is_value(entry):
        if end is not entry:
            raise TypeError(
                f"{quoted(name)} is {described(entry)} before the loop, but {described(end)} after one iteration {where}. Only "
                "tensors can change in a TensorFlow loop: start with a tensor."
            )
        return
    if end is None:
        raise ValueError(
            f"{quoted(name)} is None at the end of the iteration. It is {described(start)} before the loop {where}: give it a tensor."
        )
    if not is_value(end):
        raise TypeError(
            f"{quoted(name)} is {described(start)} before the loop, but {described(end)} after one iteration {where}."
        )
    a, b = as_value(entry), as_value(end)
    if not isinstance(a, (Tensor, Composite)) or not isinstance(b, (Tensor, Composite)):
        return
    if a.dtype is not b.dtype:
        raise TypeError(
            f"{quoted(name)} has dtype {a.dtype.name} before the loop, but dtype {b.dtype.name} after one iteration {where}. Start "
            f"with tf.constant(..., tf.{b.dtype.name}), or use tf.cast in the loop."
        )
    _check_shape(name, a.shape, b.shape, invariant, where)


def _check_shape(name, entry, end, invariant, where):
    if end.is_subtype_of(entry if invariant is None else _shape(invariant)):
        return
    if invariant is not None:
        raise ValueError(
            f"{quoted(name)} has shape {end} after one iteration, which does not conform with the shape invariant {_shape(invariant)} "
            f"{where}."
        )
    relaxed = entry.most_specific_common_supertype([end])
    raise ValueError(
        f"{quoted(name)} has shape {entry} before the loop, but shape {end} after one iteration. Use "
        f"tf.autograph.experimental.set_loop_options to set shape invariants {where}: as the first statement of the loop, "
        f"tf.autograph.experimental.set_loop_options(shape_invariants=[({name}, "
        f"tf.TensorShape({None if relaxed.rank is None else relaxed.as_list()}))])."
    )


__all__ = ["check_iteration", "check_start", "shapes_of"]
