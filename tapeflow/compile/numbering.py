"""What the values of nested graphs compute, as numbers: equal numbers compute the same, in one graph or in two."""

from tapeflow.compile.clean import attr_key, tensor_key
from tapeflow.core.tensor import Tensor


def numbered(graph, inputs, names, known=None):
    """The number of each value of a graph, by its id.

    Args:
        graph: the graph.
        inputs: for each of its inputs something hashable that says what that is.
        names: what has a number already, and its number; shared by the graphs that are compared.
        known: by id the numbers of values that are something else, whatever computes them.
    """
    keys = {id(x): names.setdefault(what, len(names)) for x, what in zip(graph.inputs, inputs, strict=True)}
    known = known or {}
    for node in graph.nodes:
        if node.stateful:
            described = ("effect", id(node))
        else:
            attrs = tuple([(name, _attr(value, keys)) for name, value in sorted(node.attrs.items())])
            described = (node.op.name, tuple([number_of(x, keys) for x in node.inputs]), attrs)
        for out in node.outputs:
            number = known.get(id(out))
            keys[id(out)] = names.setdefault((described, out.index), len(names)) if number is None else number
    return keys


def number_of(x, keys):
    """A value's number, or what a constant is."""
    return ("constant", tensor_key(x)) if x.__class__ is Tensor else keys[id(x)]


def operand(x):
    """What an operand is that two loops may have."""
    return ("operand", tensor_key(x))


def _attr(value, keys):
    if isinstance(value, Tensor):
        return number_of(value, keys)
    if isinstance(value, (tuple, list)):
        return tuple([_attr(item, keys) for item in value])
    return attr_key(value)


__all__ = ["number_of", "numbered", "operand"]
