"""The steps of a plan as LLVM text: one function for each stretch of native steps, kernels beside it."""

from tapeflow.compile.control import Nested
from tapeflow.compile.gemm import emit_matmul
from tapeflow.compile.loops import write_kernel
from tapeflow.compile.memory import bytes_of
from tapeflow.compile.micro import slot, store_tile
from tapeflow.compile.plan import ARENA, SCRATCH, WORKSPACE, Copy
from tapeflow.compile.product import Product
from tapeflow.compile.scalars import MACHINE
from tapeflow.compile.text import I8, PTR, Module


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
            with module.function(stretch.name, [("table", PTR)]) as f:
                writer = StepWriter(module, f, written)
                for step in stretch.steps:
                    writer.step(plan, step)
        written.text = str(module)
    return written


class Written:
    """What came of writing.

    Attributes:
        text: the module.
        messages: offset in the arena of a kernel's cells for errors -> their (node, message) pairs.
        workspace, scratch: the bytes that library calls work in: for all threads together, and for each.
    """

    def __init__(self):
        self.text = ""
        self.messages = {}
        self.workspace = 0
        self.scratch = 0


class StepWriter:
    """Writes steps into a function.

    Args:
        module: the module, which gets the kernels.
        f: the function, whose argument is the table of pointers.
        written: what the writing leaves behind.
    """

    def __init__(self, module, f, written):
        self.module = module
        self.f = f
        self.written = written
        self.arena = f.load(f.arguments[0], PTR)

    def step(self, plan, step):
        """One step of a plan."""
        if isinstance(step, Nested):
            self._loop(plan, step) if step.node.op.name == "while_loop" else self._switch(plan, step)
        elif isinstance(step, Copy):
            source, target = [self.pointer(plan, key) for key in step.keys]
            self.f.copy(target, source, step.count)
        elif isinstance(step, Product):
            self._product(plan, step)
        else:
            self._kernel(plan, step)

    def pointer(self, plan, key):
        """The address of a key's place."""
        slot, offset = plan.locate(key)
        if slot == ARENA:
            return self.arena + offset
        return self.f.load(self.f.arguments[0] + 8 * slot, PTR)

    def _kernel(self, plan, step):
        pointers = [self.pointer(plan, key) for key in step.keys]
        name, tiles, messages = self.module.once(step.kernel.key, lambda: self._new_kernel(step.kernel))
        if messages:
            pointers.append(self.arena + step.failures)
            self.written.messages[step.failures] = [(plan.graph.nodes[position], text) for position, text in messages]
        self._run([(name, tiles)], pointers)

    def _run(self, phases, pointers):
        """Run functions `(operands, tile, scratch)` for all their tiles, one function after another."""
        operands = self.f.stack(8 * max(1, len(pointers)))
        for i, pointer in enumerate(pointers):
            self.f.store(pointer, operands + 8 * i)
        scratch = self.f.load(self.f.arguments[0] + 8 * SCRATCH, PTR)
        for name, tiles in phases:
            with self.f.loop(0, tiles) as loop:
                self.f.call(name, None, operands, self.f.index(loop.index), scratch)

    def _product(self, plan, step):
        pointers = [self.pointer(plan, key) for key in step.keys]
        for i, offset in enumerate(step.offsets):
            pointers[i] = pointers[i] + offset
        place = len(pointers)
        pointers.append(self.f.load(self.f.arguments[0] + 8 * WORKSPACE, PTR))
        kernel = self.module.once(("product", *step.description, place), lambda: self._new_product(step, place))
        self.written.workspace = max(self.written.workspace, kernel.workspace)
        self.written.scratch = max(self.written.scratch, kernel.scratch)
        self._run([(phase.function, phase.tiles) for phase in kernel.phases], pointers)

    def _new_product(self, step, place):
        result = (lambda f, table: f.constant(PTR, 0)) if step.result is None else slot(step.result)
        epilogue = step.epilogue or store_tile
        return emit_matmul(
            self.module, step.spec, a=slot(0), b=slot(1), c=result, workspace=slot(place), epilogue=epilogue
        )

    def _new_kernel(self, kernel):
        name = self.module.fresh("kernel")
        tiles, messages = write_kernel(self.module, kernel, name)
        return name, tiles, messages

    # Loops and choices

    def _loop(self, plan, step):
        cond, body = step.plans
        f = self.f
        for x, source, target in zip(step.node.outputs, step.operands, step.results, strict=False):
            f.copy(self.pointer(plan, target), self.pointer(plan, source), bytes_of(x))
        with f.forever([]) as loop:
            for inner in cond.steps:
                self.step(cond, inner)
            loop.leave_unless(self._scalar(cond, cond.graph.outputs[0], I8).differs(0))
            for inner in body.steps:
                self.step(body, inner)

    def _switch(self, plan, step):
        index = step.node.inputs[0]
        number = self.f.load(self.pointer(plan, step.operands[0]), MACHINE[index._dtype])
        self._choose(step.plans, number, 0)

    def _choose(self, plans, number, first):
        def run(plan):
            for inner in plan.steps:
                self.step(plan, inner)

        if first == len(plans) - 1:
            return run(plans[first])
        self.f.choose(number.equals(first), lambda: run(plans[first]), lambda: self._choose(plans, number, first + 1))
        return None

    def _scalar(self, plan, value, type):
        key = ("output", 0) if ("output", 0) in plan.places else plan.key_of(value)
        return self.f.load(self.pointer(plan, key), type)


__all__ = ["StepWriter", "Stretch", "write"]
