"""Branches and loops without the results that nobody reads, and without what only those need."""

from tapeflow.compile.clean import drop_dead
from tapeflow.compile.rebuild import Builder, operands, rebuilt
from tapeflow.core.graph import graphs_in


def drop_unread(graph):
    """`graph` in which branches and loops give only what is read of them; what gradients would have asked for goes."""
    if not any(graphs_in(node.attrs) for node in graph.nodes):
        return graph
    read = {id(x) for x in graph.outputs}
    for node in graph.nodes:
        read.update(id(x) for x in operands(node))

    def visit(builder, node, inputs, attrs):
        rule = RULES.get(node.op.name)
        if rule is None:
            return None
        live = [k for k, out in enumerate(node.outputs) if id(out) in read]
        inputs, attrs, live = rule(inputs, attrs, live)
        found = builder.add(node.op, inputs, {**attrs, "saved": 0}, node.line, [node.outputs[k]._spec for k in live])
        results = dict(zip(live, found, strict=True))
        return tuple([results.get(k) for k in range(len(node.outputs))])

    return rebuilt(graph, visit)


def _switch(inputs, attrs, live):
    branches = [
        drop_unread(drop_dead(_part(branch, branch.inputs, [branch.outputs[k] for k in live])))
        for branch in attrs["branches"]
    ]
    reads = set().union(*map(_read_in, branches))
    kept = [i for i in range(len(inputs) - 1) if i in reads]
    new = tuple([_part(branch, [branch.inputs[i] for i in kept], branch.outputs) for branch in branches])
    return (inputs[0], *[inputs[i + 1] for i in kept]), {**attrs, "branches": new}, live


def _loop(inputs, attrs, live):
    """A value of a loop is needed where it is read later, or where one that is needed reads it."""
    count, parts = attrs["count"], [attrs["cond"], attrs["body"]]
    live = set(live)
    while True:
        body = drop_dead(_part(parts[1], parts[1].inputs, [parts[1].outputs[k] for k in sorted(live)]))
        reads = _read_in(body) | _read_in(parts[0])
        more = {k for k in reads if k < count} - live
        if not more:
            break
        live |= more
    live = sorted(live)
    body = drop_unread(body)
    rest = [i for i in range(count, len(inputs)) if i in reads]
    kept = [*live, *rest]
    cond, body = [_part(part, [part.inputs[i] for i in kept], part.outputs) for part in (parts[0], body)]
    fresh = getattr(parts[1], "fresh", ())
    body.fresh = {number for number, k in enumerate(live) if k in fresh}
    return tuple([inputs[i] for i in kept]), {**attrs, "cond": cond, "body": body, "count": len(live)}, live


def _read_in(graph):
    """The numbers of the inputs that a graph reads or gives."""
    read = {id(x) for x in graph.outputs}
    for node in graph.nodes:
        read.update(id(x) for x in operands(node))
    return {i for i, x in enumerate(graph.inputs) if id(x) in read}


def _part(graph, inputs, outputs):
    """A graph with some of its inputs and results."""
    builder = Builder(graph.name)
    for x in inputs:
        builder.new[id(x)] = builder.placeholder(x._spec, x.name)
    for node in graph.nodes:
        builder.keep(node, builder.copy(node, tuple([builder.value(x) for x in node.inputs]), builder.attrs(node.attrs)))
    builder.graph.outputs = tuple([builder.value(x) for x in outputs])
    return builder.graph


RULES = {"switch": _switch, "while_loop": _loop}

__all__ = ["drop_unread"]
