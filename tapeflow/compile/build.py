"""From a graph and the shapes of its inputs to a program: specialised, passed through the pipeline, planned, written."""

import weakref

import numpy as np

from tapeflow.base.errors import OpError
from tapeflow.base.log import log
from tapeflow.compile.executable import Executable
from tapeflow.compile.pipeline import run_passes
from tapeflow.compile.program import Program
from tapeflow.compile.specialise import specialise
from tapeflow.compile.stages import cut
from tapeflow.core.tensor import Spec


def build(executable, shapes):
    """The program of an `Executable` for input shapes; what runs the NumPy kernels where there can be none."""
    try:
        inputs = zip(shapes, executable.graph.inputs, strict=True)
        with np.errstate(all="ignore"):
            graph = run_passes(specialise(executable.graph, [Spec(shape, x._dtype) for shape, x in inputs]))
            parts = cut(graph)
            return Program(graph) if parts is None else Staged(*parts)
    except OpError:  # these shapes do not fit, in a branch that is perhaps not taken: it is the run that tells
        return OnKernels(executable)
    except Exception as error:
        log.warning(
            "%s cannot be compiled and runs on the NumPy kernels: %s: %s. Please report it.",
            executable.source.name,
            type(error).__name__,
            error,
        )
        return OnKernels(executable)


class OnKernels:
    """In the place of a program where a graph cannot be compiled for some shapes."""

    def __init__(self, executable):
        self._executable = weakref.ref(executable)  # which holds this

    def run(self, values):
        """The graph's outputs for some input values."""
        return self._executable().interpret(values)

    def explain(self, name):
        """What became of the nodes."""
        return f"{name}: on the NumPy kernels, it cannot be compiled for these shapes"


class Staged:
    """A graph in two parts: the second is compiled for the shapes that the first gives."""

    def __init__(self, first, second):
        self.first = Program(first)
        self.second = Executable(second)

    def run(self, values):
        """The graph's outputs for some input values."""
        return self.second.run(self.first.run(values))

    def explain(self, name):
        """What became of the nodes."""
        return f"{self.first.explain(name)}\nthen, for the shapes that this gives:\n{self.second.explain()}"


__all__ = ["OnKernels", "Staged", "build"]
