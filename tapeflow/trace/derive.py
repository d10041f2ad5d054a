"""What is made of a graph by replaying it: its gradient, its forward derivative, its form for a batch; each traced once."""

from typing import NamedTuple

from tapeflow.autodiff.forward import ForwardAccumulator
from tapeflow.autodiff.tape import GradientTape, total_of
from tapeflow.autodiff.vectorize import Batch, BatchTensor
from tapeflow.base import nest
from tapeflow.core.graph import Graph
from tapeflow.core.primitive import P
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import batching
from tapeflow.trace.replay import replay
from tapeflow.trace.tracing import Traced, trace


class Derived(NamedTuple):
    """A graph and what its results are: for each a spec, or None where there is none."""

    traced: Traced
    structure: list

    def __call__(self, operands):
        """Call the graph on its operands; a list of tensors, `IndexedSlices` and Nones."""
        graph = self.traced.graph
        leaves = iter(P.call(*self.traced.operands(operands), graph=graph, saved=len(graph.saved), back=None))
        return [_packed(spec, leaves) for spec in self.structure]


def _packed(spec, leaves):
    if spec is None:
        return None
    return nest.pack_sequence_as(spec, [next(leaves) for _ in nest.flatten(spec, True)], expand_composites=True)


def flat(parts):
    """The tensors of a list of tensors, `IndexedSlices` and Nones."""
    return [x for part in parts if part is not None for x in nest.flatten(part, expand_composites=True)]


def structure_of(parts):
    """What `Derived` knows such a list by."""
    return [
        part._type_spec if isinstance(part, IndexedSlices) else None if part is None else part.spec.dtype for part in parts
    ]


def _cached(graph, key, function, specs, name):
    """The `Derived` of a function that returns a list of tensors, `IndexedSlices` and Nones, kept with `graph`."""
    found = graph.derived.get(key)
    if found is None:
        traced = trace(function, specs, f"{name} of {graph.name}", flat)
        found = Derived(traced._replace(result=None), structure_of(traced.result))
        if not traced.is_bound:  # what it captured exists only where it was traced
            graph.derived[key] = found
    return found


def specs_of(tensors):
    """The specs of some tensors."""
    return [x.spec for x in tensors]


def sources_of(graph, operands, readings, positions):
    """For each operand position the tensors that stand for it: itself and, of a variable, what was read of it in between."""
    first = len(graph.inputs) - len(graph.variables)
    found = []
    for i in positions:
        variable = graph.variables[i - first] if i >= first else None
        found.append([operands[i], *readings.get(id(variable), ())])
    return found


def gradients_through(graph, operands, saved, wanted, seeded, seeds):
    """The results of a graph, and the cotangents of operands, for those of results.

    Args:
        graph: a closed graph.
        operands: a tensor for each of its inputs; distinct tensors, that nothing else is computed from.
        saved: as for `replay`.
        wanted: the positions of the operands whose cotangents are asked for.
        seeded: the positions of the results that have a cotangent.
        seeds: these cotangents.
    """
    with GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([operands[i] for i in wanted])
        results, readings = replay(graph, operands, saved, on_read=_watcher(tape))
    groups = sources_of(graph, operands, readings, wanted)
    found = tape.gradient([results[k] for k in seeded], [x for group in groups for x in group], output_gradients=list(seeds))
    grads = iter(found)
    return results, [total_of([next(grads) for _ in group]) for group in groups]


def _watcher(tape):
    return lambda tensor: tape.watch(tensor) if tensor.dtype.is_trainable else None


def pullback(graph, wanted, seeded):
    """The gradient of a graph, as a `Derived` from its operands, what it saved, and the cotangents of some results.

    Args:
        wanted: positions of operands; the results are their cotangents, None where nothing reaches them.
        seeded: positions of the results whose cotangents are given.
    """
    count, saved = len(graph.inputs), len(graph.saved)

    def back(*xs):
        operands, kept, seeds = xs[:count], xs[count : count + saved], xs[count + saved :]
        return gradients_through(graph, operands, kept, wanted, seeded, seeds)[1]

    specs = [*specs_of(graph.inputs), *specs_of(graph.saved), *specs_of([graph.outputs[k] for k in seeded])]
    return _cached(graph, ("pullback", wanted, seeded), back, specs, "gradient")


def tangents_through(graph, operands, saved, given, tangents):
    """The results of a graph, and their tangents (None where there is none).

    Args:
        graph: a closed graph.
        operands: a tensor for each of its inputs.
        saved: what its stateful nodes gave.
        given: the positions of the operands that have a tangent.
        tangents: these tangents.
    """
    primals, along = [], []
    for group, tangent in zip(sources_of(graph, operands, _readings(graph, saved), given), tangents, strict=True):
        primals += group
        along += [tangent] * len(group)
    with ForwardAccumulator(primals, along) as accumulator:
        results, _ = replay(graph, operands, saved)
    return results, [accumulator.jvp(x) if x.dtype.is_trainable else None for x in results]


def pushforward(graph, given):
    """The forward derivative of a graph, as a `Derived` from its operands, what it saved, and tangents of some operands.

    Args:
        given: positions of the operands that have a tangent.

    Its results are the tangents of the graph's results, None for those that have none.
    """
    count, saved = len(graph.inputs), len(graph.saved)

    def forward(*xs):
        operands, kept, tangents = xs[:count], xs[count : count + saved], xs[count + saved :]
        return tangents_through(graph, operands, kept, given, tangents)[1]

    specs = [*specs_of(graph.inputs), *specs_of(graph.saved), *specs_of([graph.inputs[i] for i in given])]
    return _cached(graph, ("pushforward", given), forward, specs, "forward derivative")


def _readings(graph, saved):
    """What was read of the variables that the graph assigns, by id."""
    given = dict(zip(map(id, graph.saved), saved, strict=True))
    readings = {}
    for node in graph.nodes:
        if node.op.name == "read_variable" and id(node.outputs[0]) in given:
            readings.setdefault(id(node.attrs["variable"]), []).append(given[id(node.outputs[0])])
    return readings


def batched(graph, operands, flags, size):
    """The results of a graph for all examples of a batch.

    Args:
        operands: a tensor for each input.
        flags: for each whether it holds all examples, along its first axis, or is the same for all.
        size: the number of examples.

    Returns:
        For each result a pair: a tensor, and whether it holds all examples.
    """
    batch = Batch(size)
    try:
        with batching(batch):
            examples = [BatchTensor(x, batch) if flag else x for x, flag in zip(operands, flags, strict=True)]
            results, _ = replay(graph, examples)
        return [(x.inner, True) if batch.holds(x) else (x, False) for x in results]
    finally:
        batch.closed = True


def batch_size(inputs, flags):
    """The number of examples that some operands hold: an int, or a symbolic scalar."""
    held = [x for x, flag in zip(inputs, flags, strict=True) if flag]
    x = next((x for x in held if x._dtype.element is None), None)
    if x is None:
        return P.list_width(held[0])
    if x.dims is not None and x.dims[0] is not None:
        return x.dims[0]
    return P.strided_slice(P.shape(x), key=(0,))


def dense(g):
    """A cotangent as a tensor."""
    return g.dense() if isinstance(g, IndexedSlices) else g


def part_of(graph, inputs, nodes, outputs, name):
    """A graph of some of a graph's nodes, retraced: closed and clean."""
    part = Graph(name, by_reference=True)
    part.inputs, part.nodes, part.outputs = list(inputs), list(nodes), tuple(outputs)
    part.closures = graph.closures
    part.captures = graph.captures
    part.aliases = graph.aliases
    return trace(lambda *xs: replay(part, xs)[0], specs_of(inputs), name)


__all__ = [
    "Derived",
    "batch_size",
    "batched",
    "dense",
    "flat",
    "gradients_through",
    "part_of",
    "pullback",
    "pushforward",
    "specs_of",
    "structure_of",
    "tangents_through",
]
