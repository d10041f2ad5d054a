"""`compile_graph`: what a traced function runs. A program for each set of input shapes, in a bounded cache."""

import collections
import importlib
import sys
import threading
import weakref

import numpy as np

from tapeflow.base import flags
from tapeflow.compile import pool, programs
from tapeflow.compile.native import Native
from tapeflow.compile.worth import is_worth
from tapeflow.core.graph import graphs_in
from tapeflow.core.plan import plan_of

# Programs kept for a graph with unknown dimensions; the one used longest ago goes first.
MOST_PROGRAMS = 16
FEW_NODES = 6


class Executable:
    """Runs a graph with native code.

    Args:
        graph: a closed `Graph`; its inputs may have unknown dimensions. Those that stand for variables are none of the
            executable's: it reads and writes the variables itself, and it gives no results of stateful nodes.
        closed: the values of variables are inputs like others, and the results of stateful nodes are outputs.

    Example:
        >>> import numpy as np
        >>> import tapeflow as tf
        >>> graph = tf.Graph()
        >>> with graph.as_default():
        ...     x = tf.compat.v1.placeholder(tf.float32, [None])
        ...     graph.outputs = (x * 2.0 + 1.0,)
        >>> compile_graph(graph).run([np.float32([1, 2, 3])])
        [array([3., 5., 7.], dtype=float32)]
    """

    def __init__(self, graph, closed=False):
        self._source = weakref.ref(graph) if closed else lambda: graph  # a closed graph has what runs it
        self.closed = closed
        self._graph = None
        self._programs = collections.OrderedDict()
        self._lock = threading.RLock()
        self._last = (None, None)

    @property
    def source(self):
        """The graph as it was given."""
        return self._source()

    @property
    def graph(self):
        """The graph before its shapes are known, without calls."""
        if self._graph is None:
            pipeline = importlib.import_module("tapeflow.compile.pipeline")
            self._graph = pipeline.run_passes(self.source, pipeline.FIRST[1:] if self.closed else pipeline.FIRST)
        return self._graph

    def run(self, values):
        """The values of the graph's outputs, as ndarrays and NumPy scalars, for a value of each input.

        Raises:
            OpError: what TensorFlow would raise, with the op and the line.
        """
        shapes = tuple([value.shape for value in values])
        last_shapes, program = self._last
        if shapes != last_shapes:
            program = self.program(shapes)
            self._last = (shapes, program)
        if flags.VALIDATE and _is_repeatable(self.source):
            return self._validated(program, values)
        return program.run(values)

    def entry(self):
        """A builtin function from tensors to tensors for the shapes of the last run; None where it takes more than one call."""
        _, program = self._last
        return program.entry() if isinstance(program, Native) and not flags.VALIDATE and not flags.DEBUG else None

    def interpret(self, values):
        """The same by the NumPy kernels."""
        graph = self.source
        if self.closed:
            return plan_of(graph)(*values)
        values = [*values, *[variable._tensor._value for variable in graph.variables]]
        results = plan_of(graph)(*values)
        return results[: len(results) - len(graph.saved)]

    def _validated(self, program, values):
        """The results of native code, after they were compared with those of the NumPy kernels."""
        before = [variable._tensor for variable in written_by(self.source)]
        expected = self.interpret(values)
        for variable, tensor in zip(written_by(self.source), before, strict=True):
            variable._tensor = tensor
        results = program.run(values)
        for number, (a, b) in enumerate(zip(results, expected, strict=True)):
            if not agree(a, b):
                print(f"VALIDATE: {self.source.name}: output {number} differs:\n{a}\n{b}", file=sys.stderr)
                raise AssertionError(f"{self.source.name}: native code and the NumPy kernels disagree in output {number}")
        return results

    def explain(self):
        """What became of the graph's nodes, for each set of shapes that was compiled, as text."""
        found = []
        for shapes in self._programs:
            found.append(self.planned(shapes).explain(f"{self.source.name} for {', '.join(map(str, map(list, shapes)))}"))
        return "\n".join(found) or f"{self.source.name}: not run yet"

    def program(self, shapes):
        """The `Program` for input shapes; compiled when it is first asked for."""
        with self._lock:
            program = self._programs.get(shapes)
            if program is None:
                program = self._compiled(shapes)
                self._remember(shapes, program)
            return program

    def _compiled(self, shapes):
        """The `Program` for input shapes, or what was kept of it by another process."""
        description = programs.describe(self.source, self.closed, shapes)
        program = programs.find(description)
        if program is None:
            program = self.planned(shapes)
            programs.keep(description, program)
        return program

    def planned(self, shapes):
        """The program for input shapes with its plan, which one that was kept has not."""
        program = self._programs.get(shapes)
        if program is None or program.__class__ is Native:
            pool.prepare()
            program = importlib.import_module("tapeflow.compile.build").build(self, shapes)
        return program

    def _remember(self, shapes, program):
        with self._lock:
            self._programs[shapes] = program
            self._programs.move_to_end(shapes)
            if len(self._programs) > MOST_PROGRAMS:
                self._programs.popitem(last=False)


def _is_repeatable(graph):
    """Whether a second run gives the same: it has no effects but on variables."""
    return all(
        not node.stateful or node.op.name in ("read_variable", "update_variable") or graphs_in(node.attrs)
        for node in graph.nodes
    )


def written_by(graph):
    """The variables that a graph assigns."""
    return list(graph.writes.values())


def agree(a, b, tolerance=1e-4):
    """Whether two results are the same but for rounding."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind not in "fc":
        return bool(np.array_equal(a, b)) if a.dtype.kind in "iub" else True
    scale = np.max(np.abs(np.where(np.isfinite(b), b, 0)), initial=0)
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True))


def compile_graph(graph, closed=False):
    """The `Executable` of a graph."""
    return Executable(graph, closed)


def runner(graph, closed):
    """What runs a traced function's graph, `run(values)`; None where native code would not be worth it."""
    if not flags.COMPILE or not (any(node.op.name == "call" for node in graph.nodes) or is_worth(graph.nodes)):
        return None
    if closed and len(graph.nodes) < FEW_NODES:
        return None  # the condition of a loop, and the like: a call of native code costs more
    return compile_graph(graph, closed).run


__all__ = ["Executable", "compile_graph", "runner"]
