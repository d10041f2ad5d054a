"""`compile_graph`: what a traced function runs. A program for each set of input shapes, in a bounded cache."""

import collections
import threading

import numpy as np

from tapeflow.compile.pipeline import FIRST, run_passes
from tapeflow.compile.program import Program
from tapeflow.compile.specialise import specialise
from tapeflow.core.tensor import Spec

# Programs kept for a graph with unknown dimensions; the one used longest ago goes first.
MOST_PROGRAMS = 16


class Executable:
    """Runs a graph with native code.

    Args:
        graph: a closed `Graph`; its inputs may have unknown dimensions. Those that stand for variables are none of the
            executable's: it reads and writes the variables itself.

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

    def __init__(self, graph):
        self.graph = run_passes(graph, FIRST)
        self._programs = collections.OrderedDict()
        self._lock = threading.Lock()
        self._last = (None, None)

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
        return program.run(values)

    def program(self, shapes):
        """The `Program` for input shapes; compiled when it is first asked for."""
        with self._lock:
            program = self._programs.get(shapes)
            if program is None:
                specs = [Spec(shape, x._dtype) for shape, x in zip(shapes, self.graph.inputs, strict=True)]
                with np.errstate(all="ignore"):
                    program = Program(run_passes(specialise(self.graph, specs)))
                self._programs[shapes] = program
                if len(self._programs) > MOST_PROGRAMS:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(shapes)
            return program


def compile_graph(graph):
    """The `Executable` of a graph."""
    return Executable(graph)


__all__ = ["Executable", "compile_graph"]
