"""The plan of a graph: its steps in order, where every value lives, and which of them become one native function."""

from tapeflow.compile.asserts import Assert, is_native_assert
from tapeflow.compile.control import Nested, State, with_states
from tapeflow.compile.group import Grouping
from tapeflow.compile.halving import Part, in_two
from tapeflow.compile.internal import EMPTY
from tapeflow.compile.kernels import kernel_of
from tapeflow.compile.library import library
from tapeflow.compile.memory import Arena, bytes_of
from tapeflow.compile.merge import merge
from tapeflow.compile.pipeline import run_passes
from tapeflow.compile.places import ARENA, WORKSPACE, Borrowed, Held, Output, Place, RowPlace
from tapeflow.compile.rebuild import operands
from tapeflow.compile.scalars import MACHINE
from tapeflow.compile.steps import Copy, Host, Loops, Unfit
from tapeflow.core.tensor import Tensor


class Plan:
    """What a graph of known shapes is compiled to, up to the machine code.

    Args:
        graph: the graph, after all passes.
        around: the plan of the graph around a nested one, or None.
        borrowed: for a nested graph: a key of `around` for the id of each of its inputs and states.
        turns: whether its graph is a loop's condition or body.

    Attributes:
        steps: `Loops`, `LibraryStep`, `Copy`, `Nested`, `Assert`, `Host`, in the order in which they run.
        places: key -> `Place`. Keys are ("value", id), ("output", number), ("variable", id).
        slots: how many slots the table has.
        arena: the bytes of the arena.
        constants: slot -> the array that a slot points to for ever.
        inputs: for each graph input its `Place`, None where no native code reads it.
        outputs: for each graph output how it is returned (`Output`).
        depth: how many plans are around it.
        turns: whether it runs in the turns of a loop.
        variables: `Held` variables that the graph reads or writes.
        chunk: where the arena of a nested plan begins in that of the plan around it.
    """

    def __init__(self, graph, around=None, borrowed=None, turns=False):
        self.graph = graph
        self.around = around
        self.root = self if around is None else around.root
        self.depth = 0 if around is None else around.depth + 1
        self.turns = turns or (around is not None and around.turns)
        self.borrowed = borrowed or {}
        self.chunk = 0
        self.rows = []  # the `RowPlace`s of a loop's body
        self.grouping = Grouping(graph, library, self.turns)
        self.groups, self._in_place = merge(self.grouping)
        self.reader = self.grouping.reader
        self.places = {}
        self.slots = WORKSPACE + 1
        self.constants = {}
        self._arena = Arena()
        self.values = {id(x): x for node in graph.nodes for x in node.outputs}
        self.values.update((id(x), x) for x in graph.inputs)
        self._fix_places()
        self.steps = self._make_steps()
        self._place_intermediates()
        self.arena = self._arena.size

    def release(self):
        """Forget, once the code is written, what leads from nested plans to those around them: it goes in circles."""
        self.root = self.around = None
        self.rows, self.borrowed = [], {}
        for step in self.steps:
            if isinstance(step, Nested):
                for plan in step.plans:
                    plan.release()
                    plan.places = {}

    # Fixed places: inputs, constants, variables, outputs

    @property
    def base(self):
        """Where its arena begins in that of the outermost plan."""
        return self.chunk + (0 if self.around is None else self.around.base)

    def locate(self, key):
        """(slot, offset from what the slot points to) of a key whose place is its own."""
        place = self.places[key]
        return place.slot, place.offset + (self.base if place.slot == ARENA else 0)

    def _slot(self):
        self.root.slots += 1
        return Place(self.root.slots - 1)

    def _home(self, value):
        """A place of its own for a value: a slot for an array, a cell of the arena for a scalar."""
        return self._slot() if value.dims else Place(ARENA, self._arena.take(value._dtype.size))

    def _fix_places(self):
        graph = self.graph
        self.inputs = []
        for x in graph.inputs:
            if self.around is not None:
                self.places["value", id(x)] = Borrowed(self.around, self.borrowed[id(x)])
            else:
                self.inputs.append(self._place_of(x) if _is_plain(x) else None)
        self._fix_variables()
        self._fix_outputs()

    def _place_of(self, value):
        key = ("value", id(value))
        if key not in self.places:
            self.places[key] = self._home(value)
        return self.places[key]

    def _fix_variables(self):
        self.variables = {}
        for node in self.graph.nodes:
            if node.op.name not in ("read_variable", "update_variable"):
                continue
            variable = node.attrs["variable"]
            value = node.outputs[0]
            held = self.variables.get(id(variable))
            if held is None:
                if not _is_plain(value):
                    continue
                held = self.variables[id(variable)] = Held(variable, self._variable_place(variable, value), value.spec)
                self.places["variable", id(variable)] = held.place
            if node.op.name == "update_variable":
                held.written = True
            self.places["value", id(value)] = held.place

    def _variable_place(self, variable, value):
        if self.around is None:
            return self._home(value)
        if id(variable) not in self.borrowed:
            raise Unfit("a variable")  # a real one: Python looks after those
        found = self.borrowed[id(variable)]
        if found.__class__ is RowPlace:
            self.rows.append(found)
            return found
        return Borrowed(self.around, found)

    def _fix_outputs(self):
        """Arrays that are returned are made anew for every run; native code writes right into them."""
        self.outputs = []
        self._output_of = {}  # id of a stored value -> its `Output`
        for x in self.graph.outputs:
            base = x if x.__class__ is Tensor else self.reader.base(x)
            output = self._output_of.get(id(base))
            if output is None:
                output = self._output_of[id(base)] = Output(base, len(self.outputs))
            self.outputs.append((output, x.dims))

    def _place_output(self, value):
        """Have native code make a value that the graph returns: its `Output`, None for other values."""
        output = self._output_of.get(id(value))
        if output is not None and output.place is None:
            output.place = self._home(value)
            self.places["output", output.number] = output.place
        return output

    # Steps

    def _make_steps(self):
        self._readers = self._count_readers()
        steps = []
        for group in self.groups:
            if group.anchor is None:
                kernel, keys = kernel_of(group, self.reader, lambda value, group=group: self._targets(value, group))
                kernels, parts = in_two(kernel, keys, self.reader.pool)
                self.values.update((id(part), part) for part in parts)
                for kernel, keys in kernels:
                    step = Loops(group, kernel, keys)
                    if kernel.may_fail:
                        step.failures = self.root._arena.take(16)
                    steps.append(step)
            elif group.anchor.operands is not None:
                targets = lambda value, group=group: self._targets(value, group)  # noqa: E731
                if not group.members and not any(map(targets, group.anchor.node.outputs)):
                    continue  # nobody reads it: what seemed to, needed its shape alone
                step = library(group.anchor.node).step(group, self.reader, targets)
                if step.may_fail:
                    step.failures = self.root._arena.take(16)
                steps += [step, *[Copy(*what) for what in step.copies]]
                self.values.update((id(x.value), x.value) for x in group.anchor.operands)
            else:
                steps += self._opaque_steps(group.anchor.node)
        return self._without_empty(steps)

    def _without_empty(self, steps):
        """The steps without those that make arrays that only native loops fill: these have them where their results are."""
        read = {key for step in steps if not _is_empty(step) for key in self._keys(step)}
        read |= {("value", id(output.value)) for output, _ in self.outputs}
        kept = [step for step in steps if not _is_empty(step) or ("value", id(step.node.outputs[0])) in read]
        if self.around is not None and any(map(_is_empty, kept)):
            raise Unfit("an array of unwritten rows")
        return kept

    def _count_readers(self):
        """For the id of each stored value the groups that read it from memory."""
        readers = {}
        for group in self.groups:
            for x in group.reads:
                readers.setdefault(x, set()).add(group.number)
        return readers

    def _targets(self, value, group):
        """The keys of the places that a kernel stores a value to."""
        keys = []
        variable = self._variable_of(value)
        if variable is not None:
            keys.append(("variable", variable))
        output = self._place_output(value)
        if output is not None:
            keys.append(("output", output.number))
        pieces = any(root.value is value and root.place is not None for root, _ in group.members)
        if not keys and (pieces or self._readers.get(id(value), set()) - {group.number}):
            keys.append(("value", id(value)))
        if keys and keys[0][0] != "value":
            self.places["value", id(value)] = self.places[keys[0]]
        return keys

    def _variable_of(self, value):
        """The id of the variable that a value is computed right into, or None."""
        return self._in_place.get(id(value))

    def _opaque_steps(self, node):
        why = None
        match node.op.name:
            case "read_variable" if id(node.attrs["variable"]) in self.variables:
                return []
            case "update_variable" if id(node.attrs["variable"]) in self.variables:
                variable, value = node.attrs["variable"], node.inputs[0]
                if self._variable_of(value) == id(variable):
                    return []
                target = ("variable", id(variable))
                return [Copy(self.key_of(value), target, value)]
            case "empty":
                return [Host(node)]
            case "assert_that" if is_native_assert(node):
                return [Assert(node, self)]
            case "while_loop" | "switch":
                found = self._nested(node)
                if found.__class__ is Nested:
                    for x in node.outputs:
                        output = None if self._variable_of(x) is not None else self._place_output(x)
                        if output is not None:
                            self.places["value", id(x)] = output.place
                    return [found]
                why = found
        if self.around is not None:
            raise Unfit(why or node.op.name)
        for x in node.outputs:
            self._in_place.pop(id(x), None)  # Python makes its results elsewhere
        return [Host(node, why)]

    def _nested(self, node):
        """The `Nested` step of a loop or a choice; where a part of it needs Python, what that is."""
        for x in (*node.inputs, *node.outputs):
            if not _is_plain(x):
                return f"a {x._dtype.name}" if x._dtype not in MACHINE else "a shape that depends on data"
        results = [("value", id(x)) for x in node.outputs]
        fresh = getattr(node.attrs.get("body"), "fresh", ())
        operands = [results[k] if k in fresh else self.key_of(x) for k, x in enumerate(node.inputs)]
        slots, constants, size = self.root.slots, dict(self.root.constants), self.root._arena.size
        for x in node.outputs:
            variable = self._variable_of(x)
            if variable is not None:
                self.places["value", id(x)] = self.places["variable", variable]
        try:
            plan_parts = self._plan_loop if node.op.name == "while_loop" else self._plan_switch
            return Nested(node, plan_parts(node.attrs, node, operands, results), operands, results)
        except Unfit as unfit:
            self.root.slots, self.root.constants = slots, constants
            self.root._arena.shrink(size)
            for x in node.outputs:
                if self._variable_of(x) is not None:
                    del self.places["value", id(x)]
            return unfit.why

    def _plan_loop(self, attrs, node, operands, results):
        count = attrs["count"]
        states = [State(x._spec, f"state {k}") for k, x in enumerate(node.outputs)]
        plans = []
        for part, writes in ((attrs["cond"], None), (attrs["body"], states)):
            graph, rows = with_states(part, dict(enumerate(states)), writes)
            graph = run_passes(graph)
            borrowed = {id(state): key for state, key in zip(states, results, strict=True)}
            borrowed.update((id(x), key) for x, key in zip(graph.inputs, operands[count:], strict=True))
            keys = [*results, *operands[count:]]
            if len({row.array for row in rows}) < len(rows):
                raise Unfit("an array by two counters")  # the rows may be one
            for row in rows:
                counter = states[row.counter].spec.dtype
                borrowed[id(row)] = RowPlace(self, keys[row.array], keys[row.counter], counter, bytes_of(Part(*row.spec)))
            plans.append(Plan(graph, self, borrowed, turns=True))
        return plans

    def _plan_switch(self, attrs, node, operands, results):
        states = [State(x._spec, f"result {k}") for k, x in enumerate(node.outputs)]
        updated = {id(self.places[key]): state for key, state in zip(results, states, strict=True) if key in self.places}
        reads = {}  # the operands that are the old values of variables that results are computed right into
        for i, key in enumerate(operands[1:]):
            if key in self.places and id(self.places[key]) in updated:
                reads[i] = updated[id(self.places[key])]
        others = [key for i, key in enumerate(operands[1:]) if i not in reads]
        plans = []
        for branch in attrs["branches"]:
            if any(x.spec != state.spec for x, state in zip(branch.outputs, states, strict=True)):
                raise Unfit("results of different shapes")
            graph = run_passes(with_states(branch, reads, states)[0])
            borrowed = {id(state): key for state, key in zip(states, results, strict=True)}
            borrowed.update((id(x), key) for x, key in zip(graph.inputs, others, strict=True))
            plans.append(Plan(graph, self, borrowed))
        return plans

    def key_of(self, value):
        """The key of a value that native code reads; constants get their slot here."""
        base = self.reader.base(value)
        key = ("value", id(base))
        if base.__class__ is Tensor:
            self.values[id(base)] = base
        return key

    # Intermediates

    def _place_intermediates(self):
        """Give what lives from one step to another its place in the arena, for as long as it lives."""
        last = {}
        for number, step in enumerate(self.steps):
            for key in self._keys(step):
                last[key] = number
        for output, _ in self.outputs:
            last["value", id(output.value)] = len(self.steps)  # read when all is done
        taken = {}
        for number, step in enumerate(self.steps):
            for key in self._keys(step):
                if key in self.places:
                    continue
                value = self.values[key[1]] if key[1] in self.values else self.reader.values[key[1]]
                if value.__class__ is Tensor:
                    self._keep_constant(key, value)
                elif isinstance(step, Host) or not value.dims:
                    self.places[key] = self._home(value)
                else:
                    self.places[key] = Place(ARENA, self._arena.take(bytes_of(value)))
                    taken[key] = value
            if isinstance(step, Nested):
                chunk = self._arena.take(step.bytes)
                step.settle(chunk)
                self._arena.give_back(chunk, step.bytes)
            for key in [k for k in taken if last[k] == number]:
                self._arena.give_back(self.places[key].offset, bytes_of(taken.pop(key)))

    def _keys(self, step):
        if isinstance(step, Host):
            yield from (
                ("value", id(self.reader.base(x))) for x in operands(step.node) if x.__class__ is not Tensor and _is_plain(x)
            )
            yield from (("value", id(x)) for x in step.node.outputs if _is_plain(x))
        else:
            yield from step.keys

    def _keep_constant(self, key, value):
        import numpy as np

        place = self._slot()
        self.root.constants[place.slot] = np.ascontiguousarray(value._value)
        self.places[key] = place


def _is_empty(step):
    return isinstance(step, Host) and step.node.op is EMPTY


def _is_plain(x):
    """Whether native code could read a value: its dtype has a machine form, its shape is known."""
    return x._dtype in MACHINE and x.dims is not None and None not in x.dims


__all__ = ["Plan"]
