"""A graph as text, by which the disk cache knows its program: two graphs have one text only where one program is right for both.

What differs from process to process has numbers in the order in which it is met: values, variables, the user's lines. All else
stands in the text as it is: ops, attrs, shapes, dtypes, the bytes of constants, the graphs of branches and loops.
"""

import functools
import hashlib
import os
import sys
from pathlib import Path

import numpy as np

from tapeflow.base.dtypes import DType
from tapeflow.compile import BEGAN, llvm
from tapeflow.compile.cache import key_of
from tapeflow.compile.host import host
from tapeflow.core.graph import Graph, SymbolicTensor
from tapeflow.core.primitive import PRIMITIVES
from tapeflow.core.tensor import Spec, Tensor
from tapeflow.core.tensor_list import TensorList
from tapeflow.core.variable import Variable
from tapeflow.ops.random import NodeStream

LARGEST = 1 << 20  # bytes of a constant: it would have to be read at every start
SETTLED = 2.0  # seconds for which the sources must not have changed when the process began: some of them it had read by then


class Undescribed(Exception):
    """A graph holds what has no text: a Python function, an iterator, ..."""


class Description:
    """A graph for some input shapes.

    Args:
        graph: the graph, before any pass.
        closed: whether the values of its variables are inputs like others; see `Executable`.
        shapes: the shapes of the inputs.

    Attributes:
        key: of the graph, and of all else that its program depends on.
        variables: the variables, in the order of their numbers.
        lines: the user's lines, in the order of their numbers.

    Raises:
        Undescribed: something in the graph has no text.
    """

    def __init__(self, graph, closed, shapes):
        self._values = {}  # id of a value -> its number
        self._variables = {}
        self._lines = {}
        self._parts = [f"{closed} {shapes}"]
        self._graph(graph)
        self.key = key_of(surroundings(), "\n".join(self._parts))
        self.variables = [variable for _, variable in self._variables.values()]
        self.lines = list(self._lines)

    def _graph(self, graph):
        add = self._parts.append
        add(f"graph {self._all(graph.variables)} {len(graph.saved)}")
        for x in graph.inputs:
            add(f"input {self._new(x)}")
        for node in graph.nodes:
            op = node.op
            if PRIMITIVES.get(op.name) is not op or not op.infer.__module__.startswith("tapeflow."):
                raise Undescribed(op.name)  # what it means stands in none of our sources
            inputs = self._all(node.inputs)
            attrs = [f"{key}={self._text(attr)}" for key, attr in node.attrs.items()] if node.attrs else ""
            line = self._lines.setdefault(node.line, len(self._lines)) if node.line else ""
            add(f"{op.name} {inputs} {attrs} {[self._new(x) for x in node.outputs]} {line}")
        add(f"return {self._all(graph.outputs)}")

    def _new(self, x):
        self._values[id(x)] = len(self._values)
        return _spec(x._spec)

    def _all(self, things):
        return f"({','.join(map(self._text, things))})"

    def _text(self, thing):
        """The text of a thing; no two kinds of things begin alike."""
        kind = thing.__class__
        write = _WRITERS.get(kind)
        if write is not None:
            return write(thing)
        if kind is SymbolicTensor:
            number = self._values.get(id(thing))
            if number is None:
                raise Undescribed("a value of another graph")
            return f"%{number}"
        if kind is Tensor:
            return f"constant {_dtype(thing._dtype)} {_value(thing._value)}"
        if kind is tuple or kind is list:
            return f"{kind.__name__}{self._all(thing)}"
        if kind is Variable or kind is NodeStream:
            return self._variable(thing)
        if kind is Graph:
            self._graph(thing)  # among the lines, before that of the node
            return "graph"
        if isinstance(thing, np.generic):
            return f"number {thing.dtype.name} {_bytes(thing)}"
        raise Undescribed(kind.__name__)

    def _variable(self, thing):
        variable = thing.variable if thing.__class__ is NodeStream else thing
        number, _ = self._variables.setdefault(id(variable), (len(self._variables), variable))
        return f"{thing.__class__.__name__} {number} {_dtype(variable._dtype)} {variable._shape._dims}"


def _dtype(dtype):
    """A dtype's name; those of lists have one name, whatever is in them."""
    return dtype.name if dtype.element is None else f"list of {_dtype(dtype.element)}"


def _spec(spec):
    return f"{_dtype(spec[1])}{spec[0]}"


def _value(value):
    if value.__class__ is TensorList:
        return f"list [{','.join(['None' if x is None else _value(x) for x in value.items()])}]"
    return _bytes(value)


def _bytes(value):
    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.hasobject or value.nbytes > LARGEST:
        raise Undescribed("a constant")
    return f"{value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"


_WRITERS = {
    int: str,
    bool: str,
    type(None): str,
    type(...): str,
    str: lambda text: f"text {text!r}",
    bytes: lambda data: f"bytes {data!r}",
    float: lambda number: f"float {np.float64(number).tobytes().hex()}",
    complex: lambda number: f"complex {np.complex128(number).tobytes().hex()}",
    DType: lambda dtype: f"dtype {_dtype(dtype)}",
    Spec: lambda spec: f"spec {_spec(spec)}",
}


# What programs depend on besides their graphs


def surroundings():
    """The text of what every program depends on: the machine, the versions, tapeflow's own sources.

    Raises:
        Undescribed: the sources may not be what this process has read of them.
    """
    sources = _sources()
    if sources is None:
        raise Undescribed("sources that have just changed")
    return f"{host()} {llvm.version()} numpy {np.__version__} python {sys.version} {sources}"


@functools.cache
def _sources():
    """The names, sizes and times of tapeflow's sources: by these Python, too, tells whether what it made of one is still right."""
    try:
        found = sorted(_files(Path(__file__).parent.parent))
    except OSError:  # they are in no folder
        return None
    if not found or max(changed for *_, changed in found) > BEGAN - SETTLED:
        return None
    return key_of(*[f"{name} {size} {time}" for name, size, time, _ in found])


def _files(folder):
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            elif entry.name.endswith(".py"):
                state = entry.stat()
                yield entry.path, state.st_size, state.st_mtime_ns, max(state.st_mtime, state.st_ctime)


__all__ = ["Description", "Undescribed", "surroundings"]
