"""The steps of a plan as LLVM text: one function for each stretch of native steps, kernels beside it."""

from tapeflow.compile import runtime
from tapeflow.compile.asserts import Assert
from tapeflow.compile.control import Nested
from tapeflow.compile.denormals import flush_denormals, restore_mode
from tapeflow.compile.evaluate import Register
from tapeflow.compile.host import cores
from tapeflow.compile.librarystep import LibraryStep
from tapeflow.compile.loops import write_kernel, write_scalars
from tapeflow.compile.memory import bytes_of
from tapeflow.compile.places import ARENA, WORKSPACE, Borrowed, RowPlace
from tapeflow.compile.scalars import MACHINE, MEMORY
from tapeflow.compile.steps import Copy, Loops
from tapeflow.compile.text import INDEX, PTR, Module

PIECE = 100_000  # characters of text from which two threads are quicker at it than one: 30 ms of work


class Stretch:
    """Native steps in a row, one function."""

    def __init__(self, name):
        self.name = name
        self.steps = []


def write(stretches, plan):
    """The text of a module with a function `name(ptr table)` for each stretch.

    Returns:
        `Written`.
    """
    written = Written()
    if stretches:
        module = Module()
        for stretch in stretches:
            _write_stretch(module, stretch, plan, written)
        written.texts = module.pieces(min(cores(), 1 + len(str(module)) // PIECE))
    return written


def _write_stretch(module, stretch, plan, written):
    """The steps in a function of their own, for what a team is to be given is known only when they are written."""
    body = f"{stretch.name}.steps"
    with module.function(body, [("table", PTR), ("team", PTR)], internal=True, attributes="nounwind noinline") as f:
        writer = StepWriter(module, f, written)
        for step in stretch.steps:
            writer.step(plan, step)
    with module.function(stretch.name, [("table", PTR)]) as f:
        written.shared |= writer.shared
        team = runtime.begin(f, written.scratch) if writer.shared else f.constant(PTR, 0)
        mode = flush_denormals(f)
        f.call(body, None, f.arguments[0], team)
        restore_mode(f, mode)
        if writer.shared:
            runtime.end(f, team)


class Written:
    """What came of writing.

    Attributes:
        texts: the module; in pieces where it is large.
        messages: offset in the arena of a kernel's cells for errors -> their (node, message) pairs; of an `Assert`, itself.
        shared: whether threads share a step of it.
        workspace, scratch: the bytes that library calls work in: for all threads together, and for each.
    """

    def __init__(self):
        self.texts = []
        self.messages = {}
        self.workspace = 0
        self.scratch = 0
        self.shared = False


class StepWriter:
    """Writes steps into a function.

    Args:
        module: the module, which gets the kernels.
        f: the function, whose arguments are the table of pointers and the team of threads.
        written: what the writing leaves behind.
    """

    def __init__(self, module, f, written):
        self.module = module
        self.f = f
        self.written = written
        self.registers = None  # inside of a loop of scalars: id of a place -> the `Register` that stands for it
        self.depth = 0  # of the plan that the loop of scalars stands in
        self.counters = {}  # (id of a plan, key of a counter) -> its value in the present turn of a loop
        self.shared = False  # whether a step wants the thread pool
        self.arena = f.load(f.arguments[0], PTR)
        self.team = f.arguments[1]

    def step(self, plan, step):
        """One step of a plan."""
        if isinstance(step, Nested):
            self._loop(plan, step) if step.node.op.name == "while_loop" else self._switch(plan, step)
        elif isinstance(step, Copy):
            source, target = [self.pointer(plan, key) for key in step.keys]
            if self.registers is None:
                self.f.copy(target, source, step.count)
            else:
                self._write(target, self._read(source, step.value._dtype))
        elif isinstance(step, Assert):
            step.write(self.f, [self.pointer(plan, key) for key in step.keys], self.arena)
            self.written.messages[step.failures] = step
        elif isinstance(step, LibraryStep):
            self._library(plan, step)
        else:
            self._kernel(plan, step)

    def pointer(self, plan, key):
        """The address of a key's place, or the `Register` that stands for it."""
        plan, key, place = _home(plan, key)
        if isinstance(place, RowPlace):
            return self.pointer(place.plan, place.array) + self.counters[id(place.plan), place.counter] * place.size
        slot, offset = plan.locate(key)
        if slot != ARENA:
            return self.f.load(self.f.arguments[0] + 8 * slot, PTR)
        if self.registers is not None:
            if plan.depth > self.depth:  # what the loop's own plans compute
                return self.registers.setdefault(id(place), Register())
            if id(place) in self.registers:
                return self.registers[id(place)]
        return self.arena + offset

    def _read(self, place, dtype):
        """A scalar as it is in memory."""
        return place.value if place.__class__ is Register else self.f.load(place, MEMORY.get(dtype) or MACHINE[dtype])

    def _write(self, place, value):
        if place.__class__ is Register:
            place.value = value
        else:
            self.f.store(value, place)

    def _kernel(self, plan, step):
        pointers = [self.pointer(plan, key) for key in step.keys]
        if not step.kernel.dims and not step.kernel.may_fail:
            write_scalars(self.f, step.kernel, pointers)
            return
        name, tiles, messages = self.module.once(step.kernel.key, lambda: self._new_kernel(step.kernel))
        if messages:
            pointers.append(self.arena + step.failures)
            self.written.messages[step.failures] = [(plan.graph.nodes[position], text) for position, text in messages]
        self._run([(name, tiles)], pointers)

    def _run(self, phases, pointers, scratch=0):
        """Run functions `(operands, tile, scratch)` for all their tiles, one function after another, on all threads."""
        operands = self.f.stack(8 * max(1, len(pointers)))
        for i, pointer in enumerate(pointers):
            self.f.store(pointer, operands + 8 * i)
        for name, tiles in phases:
            if tiles == 1 and not scratch:
                self.f.call(name, None, operands, self.f.index(0), self.f.constant(PTR, 0))
            else:
                self.shared = True
                runtime.run(self.f, self.team, name, operands, tiles)

    def _library(self, plan, step):
        pointers = [self.pointer(plan, key) for key in step.keys]
        for i, offset in enumerate(step.offsets):
            pointers[i] = pointers[i] + offset
        pointers.append(self.f.load(self.f.arguments[0] + 8 * WORKSPACE, PTR))
        kernel = self.module.once(step.key, lambda: step.write(self.module))
        if step.may_fail:
            pointers.append(self.arena + step.failures)
            self.written.messages[step.failures] = [(step.node, text) for text in kernel.messages]
        step.flops = kernel.flops
        self.written.workspace = max(self.written.workspace, kernel.workspace)
        self.written.scratch = max(self.written.scratch, kernel.scratch)
        self._run([(phase.function, phase.tiles) for phase in kernel.phases], pointers, kernel.scratch)

    def _new_kernel(self, kernel):
        name = self.module.fresh("kernel")
        tiles, messages = write_kernel(self.module, kernel, name)
        return name, tiles, messages

    # Loops and choices

    def _loop(self, plan, step):
        if _is_scalar(step):
            return self._scalar_loop(plan, step)
        cond, body = step.plans
        f = self.f
        for x, source, target in zip(step.node.outputs, step.operands, step.results, strict=False):
            if plan.places[source] is plan.places[target]:
                continue
            f.copy(self.pointer(plan, target), self.pointer(plan, source), bytes_of(x))
        with f.forever([]) as loop:
            for inner in cond.steps:
                self.step(cond, inner)
            loop.leave_unless(self._output(cond).differs(0))
            for row in (*cond.rows, *body.rows):  # now, for the body moves the counters on
                place = self.pointer(row.plan, row.counter)
                self.counters[id(row.plan), row.counter] = f.convert(f.load(place, MACHINE[row.dtype]), INDEX)
            for inner in body.steps:
                self.step(body, inner)
        return None

    def _scalar_loop(self, plan, step):
        """A loop whose values are all scalars keeps them in registers: through memory, each turn would wait for the one before."""
        f = self.f
        cond, body = step.plans
        dtypes = [x._dtype for x in step.node.outputs]
        first = [self._read(self.pointer(plan, key), dtype) for dtype, key in zip(dtypes, step.operands, strict=False)]
        outermost = self.registers is None
        if outermost:
            self.registers, self.depth = {}, plan.depth
        homes = [_home(plan, key)[2] for key in step.results]
        states = [self.registers.setdefault(id(home), Register()) for home in homes]
        with f.forever(first) as loop:
            for state, value in zip(states, loop.values, strict=True):
                state.value = value
            for inner in cond.steps:
                self.step(cond, inner)
            loop.leave_unless(self._output(cond).differs(0))
            for inner in body.steps:
                self.step(body, inner)
            loop.next = [state.value for state in states]
        for state, value in zip(states, loop.results, strict=True):
            state.value = value
        if outermost:
            self.registers = None
            for key, state in zip(step.results, states, strict=True):
                f.store(state.value, self.pointer(plan, key))

    def _switch(self, plan, step):
        number = self._read(self.pointer(plan, step.operands[0]), step.node.inputs[0]._dtype)
        registers = []
        if self.registers is not None:
            for key in step.results:
                self.pointer(plan, key)  # makes its register
            registers = list(self.registers.values())
        for register, value in zip(registers, self._choose(step.plans, number, 0, registers), strict=True):
            register.value = value

    def _choose(self, plans, number, first, registers):
        """Run the plan of a number; the values that registers have after it."""

        def run(plan):
            before = [register.value for register in registers]
            for inner in plan.steps:
                self.step(plan, inner)
            after = [register.value for register in registers]
            for register, value in zip(registers, before, strict=True):  # for the next branch
                register.value = value
            return after

        if first == len(plans) - 1:
            return run(plans[first])
        rest = lambda: self._choose(plans, number, first + 1, registers)  # noqa: E731
        return self.f.choose(number.equals(first), lambda: run(plans[first]), rest)

    def _output(self, plan):
        """The one output of a condition."""
        key = ("output", 0) if ("output", 0) in plan.places else plan.key_of(plan.graph.outputs[0])
        return self._read(self.pointer(plan, key), plan.graph.outputs[0]._dtype)


def _home(plan, key):
    """The plan, key and place of what a key stands for."""
    place = plan.places[key]
    while isinstance(place, Borrowed):
        plan, key = place.plan, place.key
        place = plan.places[key]
    return plan, key, place


def _is_scalar(step):
    """Whether a step computes scalars alone, and cannot fail."""
    if isinstance(step, Nested):
        values = (*step.node.inputs, *step.node.outputs)
        if any(x.dims or x._dtype.is_complex for x in values) or any(plan.rows for plan in step.plans):
            return False
        return all(_is_scalar(inner) for plan in step.plans for inner in plan.steps)
    if isinstance(step, Copy):
        return not step.value.dims and not step.value._dtype.is_complex
    if not isinstance(step, Loops) or step.kernel.dims or step.kernel.may_fail:
        return False
    return not any(dtype.is_complex for dtype in step.kernel.dtypes)


__all__ = ["StepWriter", "Stretch", "write"]
