"""List idioms on `tf.TensorArray` and on tensors without a value, for code converted with `Feature.LISTS`."""

import operator

from tapeflow.core.convert import convert_to_tensor
from tapeflow.trace.autograph.branches import symbolic
from tapeflow.trace.autograph.malt import GetItemOpts, ListPopOpts, ListStackOpts
from tapeflow.trace.autograph.status import public

UPDATES = {"add": operator.add, "sub": operator.sub, "mult": operator.mul, "div": operator.truediv, "pow": operator.pow}


def new_list(elements=()):
    """`[...]`."""
    return list(elements)


def list_append(target, x):
    """`target.append(x)`; returns the target."""
    if isinstance(target, public.TensorArray):
        return target.write(target.size(), x)
    target.append(x)
    return target


def list_pop(target, index, opts):
    """`target.pop(index)`; returns the target and the element."""
    if isinstance(target, public.TensorArray):
        raise ValueError("TensorArray does not support item removal")
    element = target.pop() if index is None else target.pop(index)
    return target, element


def list_stack(target, opts):
    """`stack(target)`, whatever function of that name was called."""
    return target.stack() if isinstance(target, public.TensorArray) else opts.original_call(target)


def get_item(target, index, opts):
    """`target[index]`; a character of a string that has no value yet."""
    if isinstance(target, public.TensorArray):
        return target.read(index)
    value = symbolic(target)
    if value is not None and value.dtype.name == "string" and value.dims == ():
        return public.substr(value, index, 1)
    return target[index]


def set_item(target, index, x):
    """`target[index] = x`; returns the target, which is another tensor where it was one without a value."""
    if isinstance(target, public.TensorArray):
        return target.write(index, x)
    value = symbolic(target)
    if value is None:
        target[index] = x
        return target
    return public.scatter(value, [[index]], [convert_to_tensor(x, value.dtype)])


def update_item_with_op(target, index, x, op):
    """`target[index] += x` and the like; returns the target."""
    return set_item(target, index, UPDATES[op](target[index], x))


__all__ = [
    "GetItemOpts", "ListPopOpts", "ListStackOpts", "get_item", "list_append", "list_pop", "list_stack", "new_list", "set_item",
    "update_item_with_op",
]  # fmt: skip
