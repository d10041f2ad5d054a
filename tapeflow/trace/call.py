"""`call`: a graph as one op. Its derivatives are graphs again, which it calls."""

from typing import NamedTuple

from tapeflow.core.plan import runner_of
from tapeflow.core.primitive import P, Primitive, symbols_in
from tapeflow.core.state import state
from tapeflow.trace.derive import (
    Derived,
    batch_size,
    batched,
    flat,
    gradients_through,
    part_of,
    pullback,
    pushforward,
    specs_of,
    structure_of,
)
from tapeflow.trace.replay import replay, zeros_for
from tapeflow.trace.tracing import trace


class Structured(Primitive):
    """A primitive that runs graphs.

    Args:
        again: `again(inputs, attrs, saved)`: the results without the effects, which an earlier run had; `saved` is what its
            stateful nodes gave then.
    """

    runs_graphs = True

    def __init__(self, name, kernel, infer, *, again, **rules):
        super().__init__(name, kernel, infer, multiple=True, partial=True, uniform=False, **rules)
        self.again = again


def split_saved(outs, saved):
    """The results and what stateful nodes gave, of the results of a structured op."""
    return outs[: len(outs) - saved], outs[len(outs) - saved :]


def _kernel(*values, graph, saved, back):
    return runner_of(graph)(*values)


def _infer(*specs, graph, saved, back):
    return tuple([x.spec for x in graph.outputs])


def _vjp(g, wanted, inputs, outs, *, graph, saved, back):
    if back is not None and all(x is None for k, x in enumerate(g) if k not in back.seeded):
        return back.cotangents(g, wanted, outs, len(inputs))
    positions = tuple([i for i, want in enumerate(wanted) if want and inputs[i].dtype.is_trainable])
    seeded = tuple([k for k, x in enumerate(g) if x is not None])
    found = pullback(graph, positions, seeded)((*inputs, *split_saved(outs, saved)[1], *[g[k] for k in seeded]))
    results = dict(zip(positions, found, strict=True))
    return tuple([results.get(i) for i in range(len(inputs))])


def _jvp(tangents, inputs, outs, *, graph, saved, back):
    given = tuple([i for i, t in enumerate(tangents) if t is not None])
    kept = split_saved(outs, saved)[1]
    return tuple(pushforward(graph, given)((*inputs, *kept, *[tangents[i] for i in given])))


def _batch(op, inputs, flags, attrs):
    graph, size = attrs["graph"], batch_size(inputs, flags)

    def examples(*xs):
        return [x if flag else spread(x, size) for x, flag in batched(graph, xs, flags, size)]

    key = ("batched", flags, size) if isinstance(size, int) else None
    found = graph.derived.get(key)
    if found is None:
        found = trace(examples, specs_of(inputs), f"{graph.name}, batched")
        if key is not None and not found.is_bound:
            graph.derived[key] = found
    saved = len(found.graph.saved)
    results = P.call(*found.operands(inputs), graph=found.graph, saved=saved, back=None)
    return results[: len(results) - saved]


def spread(x, size):
    """A tensor that is the same for all examples, once for each of them."""
    if x._dtype.element is not None:
        return P.list_spread(x, size=size)
    dims = x.dims if None not in x.dims else P.unstack(P.shape(x), axis=0, num=len(x.dims))
    return P.broadcast_to(P.expand_dims(x, axis=(0,)), shape=(size, *dims))


def _again(inputs, attrs, saved):
    pure = without_effects(attrs["graph"])
    return P.call(*pure.operands((*inputs, *saved)), graph=pure.graph, saved=0, back=None)


def without_effects(graph):
    """A graph that takes, behind its operands, what the stateful nodes of `graph` gave, and has none itself."""
    found = graph.derived.get("without effects")
    if found is None:
        count = len(graph.inputs)
        found = graph.derived["without effects"] = trace(
            lambda *xs: replay(graph, xs[:count], xs[count:])[0],
            [*specs_of(graph.inputs), *specs_of(graph.saved)],
            graph.name,
        )
    return found


call = Structured("call", _kernel, _infer, vjp=_vjp, jvp=_jvp, batch=_batch, again=_again, parameters=("operands",))


# What an eager tape records of a call


class Backward(NamedTuple):
    """The second half of a graph and its gradient: from what the first half computed to the cotangents of its operands.

    Attributes:
        seeded: the positions of the results whose cotangents it takes.
        wanted: the positions of the operands whose cotangents it gives.
        kept: where its other operands are: positions of the first half's results.
        half: the `Derived` that it calls.
    """

    seeded: tuple
    wanted: tuple
    kept: tuple
    half: Derived

    def cotangents(self, g, wanted, outs, count):
        """A cotangent, or None, for each of `count` operands."""
        seeds = [zeros_for(outs[k], outs[k].spec) if g[k] is None else g[k] for k in self.seeded]
        found = self.half((*[outs[k] for k in self.kept], *seeds))
        results = dict(zip(self.wanted, found, strict=True))
        return tuple([results.get(i) if wanted[i] else None for i in range(count)])


def recorded(graph, wanted):
    """A graph in two halves, so that its gradient computes nothing again that it has computed.

    Args:
        graph: a closed graph.
        wanted: the positions of the operands that are watched.

    Returns:
        A pair: the first half, whose results are those of `graph` and then all that the second half reads, as `Traced`, and
        the second half, a `Backward`.
    """
    key = ("recorded", wanted)
    found = graph.derived.get(key)
    if found is None:
        found = graph.derived[key] = _halves(graph, wanted)
    return found


def _halves(graph, wanted):
    count = len(graph.inputs)
    users = len(graph.outputs) - len(graph.saved)
    seeded = tuple([k for k in range(users) if graph.outputs[k].dtype.is_trainable])
    structure = []

    def both(*xs):
        results, grads = gradients_through(graph, xs[:count], None, wanted, seeded, xs[count:])
        structure[:] = grads
        return [*results[:users], *flat(grads)]

    specs = [*specs_of(graph.inputs), *specs_of([graph.outputs[k] for k in seeded])]
    joint = trace(both, specs, graph.name).graph
    own = len(joint.outputs) - len(joint.saved)
    seeds = joint.inputs[count : count + len(seeded)]
    late = {id(x) for x in seeds}
    first, second = [], []
    for node in joint.nodes:
        depends = any(id(x) in late for x in (*node.inputs, *symbols_in(node.attrs.values())))
        (second if depends else first).append(node)
        if depends:
            late.update([id(out) for out in node.outputs])
    results, grads = joint.outputs[:users], joint.outputs[users:own]
    residuals = _read_by(second, grads, late)
    forward = part_of(joint, joint.inputs[:count], first, (*results, *residuals), graph.name)
    half = part_of(joint, (*residuals, *seeds), second, grads, f"gradient of {graph.name}")
    kept = tuple(range(users, users + len(residuals)))
    return forward, Backward(seeded, wanted, kept, Derived(half, structure_of(structure)))


def _read_by(nodes, outputs, late):
    """The values from before that some nodes, or the outputs, read."""
    found = {}
    for x in (*[x for node in nodes for x in (*node.inputs, *symbols_in(node.attrs.values()))], *outputs):
        if id(x) not in late and hasattr(x, "position"):
            found[id(x)] = x
    return list(found.values())


def call_graph(graph, operands):
    """Call a closed graph on tensors, in whatever mode is on; returns the tuple of its results.

    Where an eager tape records, it is called in halves (see `recorded`).
    """
    count = len(graph.outputs) - len(graph.saved)
    if state.scope is None and state.recorders:
        wanted = tuple([i for i, x in enumerate(operands) if x._dtype.is_trainable and is_watched(x)])
        if wanted:
            forward, back = recorded(graph, wanted)
            found = P.call(*forward.operands(operands), graph=forward.graph, saved=len(forward.graph.saved), back=back)
            return found[:count]
    return P.call(*operands, graph=graph, saved=len(graph.saved), back=None)[:count]


def is_watched(x):
    """Whether an active recorder watches a tensor."""
    return x._mark is not None and any(i in state.ids for i in x._mark.watchers)


__all__ = ["Structured", "call", "call_graph", "is_watched", "recorded", "split_saved", "spread", "without_effects"]
