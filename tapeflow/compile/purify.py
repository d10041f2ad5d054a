"""Branches and loops that assign variables, as ones without effects that take the variables' values and give new ones."""

from tapeflow.base.dtypes import string
from tapeflow.compile.clean import lift_variables
from tapeflow.compile.effects import OWN, is_blind, is_static_update
from tapeflow.compile.rebuild import Builder, rebuilt
from tapeflow.core.graph import graphs_in
from tapeflow.core.primitive import P


def variables_as_values(graph):
    """`graph` in which a branch or a loop that assigns variables, and has no other effect, is a pure one.

    What its graphs read and assign is read before it and assigned after it. Where nothing reads the old value later, the plan
    lets the node work on the variable itself again (`merge.py`).
    """
    if not any(map(_is_hiding, graph.nodes)):
        return graph
    return rebuilt(graph, _visit)


def _visit(builder, node, inputs, attrs):
    if not _is_hiding(node):
        return None
    return (_pure_loop if node.op.name == "while_loop" else _pure_switch)(builder, node, inputs, attrs)


def _is_hiding(node):
    return node.op.name in ("switch", "while_loop") and not is_blind(node) and all(map(_is_clear, graphs_in(node.attrs)))


def _is_clear(graph):
    """Whether all that a graph does is to read variables and to assign them values of their shapes, and no part is Python's."""
    return not any(_is_object(x) for x in graph.inputs) and all(
        (is_blind(node) or node.op.name == "read_variable" or is_static_update(node) or _is_hiding(node))
        and not any(map(_is_object, node.outputs))
        for node in graph.nodes
    )


def _is_object(x):
    """Whether a value is an object of Python: what works on such values is quicker with the variables where they are."""
    return x._dtype is string or (x._dtype.numpy_dtype is None and x._dtype.element is None)


def _pure_switch(builder, node, inputs, attrs):
    branches = [lift_variables(variables_as_values(branch)) for branch in attrs["branches"]]
    read, written = _variables_of(branches)
    kept = [*written, *read]
    new = tuple([_closed(branch, len(branch.inputs), kept, (), written) for branch in branches])
    operands = (*inputs, *_readings(builder, kept, node.line))
    outputs = builder.add(node.op, operands, {**attrs, "branches": new, "saved": 0}, node.line)
    return _assigned(builder, outputs, written, node)


def _pure_loop(builder, node, inputs, attrs):
    count = attrs["count"]
    parts = [lift_variables(variables_as_values(attrs[part])) for part in ("cond", "body")]
    read, written = _variables_of(parts)
    cond, body = [_closed(part, count, written, read, results) for part, results in zip(parts, ((), written), strict=True)]
    operands = (
        *inputs[:count],
        *_readings(builder, written, node.line),
        *inputs[count:],
        *_readings(builder, read, node.line),
    )
    attrs = {**attrs, "cond": cond, "body": body, "count": count + len(written), "saved": 0}
    specs = [*[x._spec for x in node.outputs], *map(_spec, written)]
    return _assigned(builder, builder.add(node.op, operands, attrs, node.line, specs), written, node)


def _variables_of(graphs):
    """The variables that some graphs only read, and those that they assign."""
    read, written = {}, {}
    for graph in graphs:
        for node in graph.nodes:
            if node.op.name in OWN:
                found = written if node.op.name == "update_variable" else read
                found[id(node.attrs["variable"])] = node.attrs["variable"]
    return [variable for key, variable in read.items() if key not in written], list(written.values())


def _spec(variable):
    return P.read_variable.infer(variable=variable)


def _readings(builder, variables, line):
    return [builder.add(P.read_variable, (), {"variable": v}, line, [_spec(v)])[0] for v in variables]


def _assigned(builder, outputs, written, node):
    """Assign the last results of a pure node; returns the others."""
    count = len(node.outputs)
    for variable, value in zip(written, outputs[count:], strict=True):
        builder.add(P.update_variable, (value,), {"variable": variable, "how": "assign"}, node.line)
    return outputs[:count]


def _closed(graph, place, carried, others, results):
    """A lifted graph with the values of variables as inputs and results.

    Args:
        graph: it reads each variable once, and assigns it at the end.
        place: the number of the input before which those of `carried` come; those of `others` are the last.
        results: the variables whose values are given behind the other results.
    """
    builder = Builder(graph.name)
    values = {}

    def take(variables):
        for variable in variables:
            values[id(variable)] = builder.placeholder(_spec(variable), variable.name)

    for x in graph.inputs[:place]:
        builder.new[id(x)] = builder.placeholder(x._spec, x.name)
    take(carried)
    for x in graph.inputs[place:]:
        builder.new[id(x)] = builder.placeholder(x._spec, x.name)
    take(others)
    for node in graph.nodes:
        inputs = tuple([builder.value(x) for x in node.inputs])
        match node.op.name:
            case "read_variable":
                outputs = (values[id(node.attrs["variable"])],)
            case "update_variable":
                outputs = inputs
                values[id(node.attrs["variable"])] = inputs[0]
            case _:
                outputs = builder.copy(node, inputs, builder.attrs(node.attrs))
        builder.keep(node, outputs)
    outputs = [builder.value(x) for x in graph.outputs]
    builder.graph.outputs = (*outputs, *[values[id(variable)] for variable in results])
    return builder.graph


__all__ = ["variables_as_values"]
