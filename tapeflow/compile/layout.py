"""What running a program needs to know of its plan: plain data, which the disk cache can keep in the place of the plan."""

from typing import NamedTuple

from tapeflow.compile.places import ARENA
from tapeflow.core.tensor import Spec, Tensor


class Layout:
    """What a program has in memory.

    Attributes:
        slots: how many slots the table has.
        arena, workspace, scratch: the bytes of the intermediates, of what library calls work in, of the same for each thread.
        shared: whether threads share a step.
        constants: slot -> the array that a slot points to for ever.
        inputs: for each input of the graph its spec and its `Place`, None where no native code reads it.
        held: the `Held` variables.
        results: for each output of the graph its `Result`.
        failures: offset in the arena of a step's cells for errors -> its `Failure`s, by number; of an `Assert`, itself.
    """

    def __init__(self, *, slots, arena, workspace, scratch, shared, constants, inputs, held, results, failures):
        self.slots = slots
        self.arena = arena
        self.workspace = workspace
        self.scratch = scratch
        self.shared = shared
        self.constants = constants
        self.inputs = inputs
        self.held = held
        self.results = results
        self.failures = failures


class Result(NamedTuple):
    """How an output of the graph is found after a run.

    Attributes:
        number: outputs that are one value have one number.
        spec: of the value.
        dims: the shape in which it is returned; unknown dimensions are what they are.
        kind: where it is. "new": in an array made for it, at slot `place`. "cell": a scalar, at the offset `place` of the arena.
            "input", "held": that number among inputs, variables. "constant": the array `place`. "step": Python has made the
            graph's value `place`.
        place: as `kind` says.
    """

    number: int
    spec: Spec
    dims: tuple | None
    kind: str
    place: object = None


class Failure(NamedTuple):
    """What a step may find wrong.

    Attributes:
        node: the number of its node among those that may fail.
        name: the name of the node's op.
        op: what the error calls it.
        message: the text, with {value} for the value that is wrong.
        line: the user's line.
    """

    node: int
    name: str
    op: str
    message: str
    line: str | None


# What errors call ops that have another name in TensorFlow.
NAMES = {"checked_numerics": "CheckNumerics"}


def layout_of(plan, written):
    """The `Layout` of a plan whose steps are written."""
    return Layout(
        slots=plan.slots,
        arena=plan.arena,
        workspace=written.workspace,
        scratch=written.scratch,
        shared=written.shared,
        constants=plan.constants,
        inputs=[(x.spec, place) for x, place in zip(plan.graph.inputs, plan.inputs, strict=True)],
        held=list(plan.variables.values()),
        results=[Result(output.number, output.value.spec, dims, *_found(plan, output)) for output, dims in plan.outputs],
        failures=_failures(written.messages),
    )


def _found(plan, output):
    """Where an output is: kind and place of its `Result`."""
    value = output.value
    if output.place is not None and output.place.slot != ARENA:
        return "new", output.place.slot
    if value.__class__ is Tensor:
        return "constant", value._value
    for number, x in enumerate(plan.graph.inputs):
        if x is value:
            return "input", number
    place = plan.places.get(("value", id(value)))
    for number, held in enumerate(plan.variables.values()):
        if held.place is place and place.slot != ARENA:
            return "held", number
    if place is not None and place.slot == ARENA and not value.dims:
        return "cell", place.offset
    return "step", value


def _failures(messages):
    nodes, found = {}, {}
    for offset, pairs in messages.items():
        if pairs.__class__ is not list:
            found[offset] = pairs
            continue
        found[offset] = failures = []
        for node, message in pairs:
            name = node.op.name
            op = NAMES.get(name) or node.attrs.get("op", name)
            failures.append(Failure(nodes.setdefault(id(node), len(nodes)), name, op, message, node.line))
    return found


__all__ = ["Failure", "Layout", "Result", "layout_of"]
