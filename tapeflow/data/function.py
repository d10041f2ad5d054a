"""`ElementFunction`: a user's function on elements. It is traced once, as `tf.function` does it, and runs on one element or many."""

import copy
import functools
import math

import numpy as np

from tapeflow.autodiff.vectorize import Batch
from tapeflow.base import nest
from tapeflow.base.errors import OpError, OutOfRangeError
from tapeflow.base.specs import TensorSpec
from tapeflow.core.graph import graphs_in
from tapeflow.core.plan import plan_of, runner_of
from tapeflow.core.primitive import has_symbols
from tapeflow.core.record import user_line
from tapeflow.core.tensor import Spec, Tensor, wrap
from tapeflow.data.structure import flat_values, spec_of, to_tensors
from tapeflow.data.traced import component_values, flat_specs, packed
from tapeflow.ops.random import own_streams
from tapeflow.trace.autograph import convert
from tapeflow.trace.replay import replay
from tapeflow.trace.structure import flatten
from tapeflow.trace.tracing import trace

# Besides elementwise ops and movements, ops that give the same bits for a batch as for each of its examples. A sum of floats
# does not: it may be added up in another order.
EXACT = {"all", "any", "max", "min", "argmax", "argmin", "sort", "argsort", "gather", "gather_nd"}
EXACT |= {"string_lower", "string_upper", "string_strip", "string_length", "regex_replace", "regex_full_match"}
EXACT |= {"hash_fast", "hash_strong", "hash_legacy"}
# Of all these, the ones that may fail: where an index is out of range, or an integer divided by zero.
DIVISIONS = {"floordiv", "floormod", "truncatediv", "truncatemod"}
FAILING = {"gather", "gather_nd", "pow"} | DIVISIONS
_MOST_SIZES = 8  # graphs for as many sizes of batches are kept
_NATIVE_WORK = 10_000  # elements that all ops read together, from which native code is worth its call and its making


class ElementFunction:
    """A function of elements as a user wrote it, traced.

    Args:
        function: the Python function; the parts of an element that is a tuple are its arguments.
        spec: the nest of specs of the elements.
        name: what the user called, for messages: "Dataset.map()".

    Attributes:
        input_spec, spec: the nests of specs of what it takes and gives.

    Raises:
        TypeError: it gives what no element can hold.
    """

    def __init__(self, function, spec, name):
        self.name = name
        self.line = user_line()
        self.input_spec = spec
        converted = convert(function)

        def on_tensors(*tensors):
            element = packed(spec, tensors)
            return self._checked(converted(*element) if type(spec) is tuple else converted(element))

        traced = trace(on_tensors, flat_specs(spec), name, flatten)
        self.spec = spec_of(traced.result)
        self._graph = traced.graph
        self._count = len(traced.graph.outputs) - len(traced.graph.saved)
        self._captured = traced.captures  # tensors of a function that is being traced around this one
        self._plain = plain(spec), plain(self.spec)
        self._batches = {}
        self._random = any(node.op.name == "op_stream" for node in all_nodes(self._graph))
        self._streams = None  # of the random ops in one iteration

    def _checked(self, result):
        """What the function returned, as an element; a list at the top is a tuple."""
        try:
            return to_tensors(tuple(result) if isinstance(result, list) else result)
        except (TypeError, ValueError) as error:
            raise TypeError(f"Unsupported return value from function passed to {self.name}: {result}. {error}") from error

    def __call__(self, values):
        """The leaves of the result for the leaves of an element."""
        plain_in, plain_out = self._plain
        if not plain_in:
            values = component_values(values)
        if self._streams is None:
            results = self._run(*values, *self._operands())[: self._count]
        else:
            with own_streams(self._streams):
                results = self._run(*values, *self._operands())[: self._count]
        return results if plain_out else flat_values(packed(self.spec, map(wrap, results)))

    @functools.cached_property
    def _run(self):
        """What runs the graph on one element. Which it is depends on the graph alone, so that all elements get the same bits."""
        native = self.pure and not self._captured and not self.vectorized and _work(self._graph) >= _NATIVE_WORK
        return runner_of(self._graph) if native else plan_of(self._graph)

    def _operands(self):
        variables = self._graph.variables
        if not variables and not self._captured:
            return ()
        return [*[x._value for x in self._captured], *[variable._read()._value for variable in variables]]

    def closed_over(self, values):
        """The same function where the tensors that it has captured have these values."""
        if not self._captured:
            return self
        other = copy.copy(self)
        other._captured = tuple(map(wrap, values))
        return other

    def at(self, position, values):
        """The result for the element at a position; an error names both the element and the dataset's line."""
        try:
            return self(values)
        except Exception as error:
            self._locate(error, position)

    def _locate(self, error, position):
        where = f"element {position} of {self.name}" + (f" at {self.line}" if self.line else "")
        if isinstance(error, OpError):
            raise type(error)(None, None, f"{error.message}\n\t [[{where}]]") from error
        if isinstance(error, StopIteration):  # it would pass for the end of the dataset
            raise OutOfRangeError(None, None, f"StopIteration: {error}\n\t [[{where}]]") from error
        error.add_note(f"[[{where}]]")
        raise error

    def started(self, run):
        """The same function in one run of a pipeline, in which random ops begin with their first numbers."""
        if not self._random:
            return self
        other = copy.copy(self)
        other._streams = run.streams(self._graph)
        return other

    @property
    def pure(self):
        """Whether nothing but its results shows that it ran, and when."""
        return not self._graph.stateful and not self._graph.variables

    @property
    def waits(self):
        """Whether it may spend its time outside of Python: in libraries, files or the user's own calls."""
        return self._graph.stateful or any(node.op.lower == "library" for node in self._graph.nodes)

    @property
    def total(self):
        """Whether it cannot fail on any element."""
        return not any(map(_may_fail, self._graph.nodes))

    # Many elements at once

    @property
    def vectorized(self):
        """Whether running it on many elements at once cannot be told from running it on one after the other."""
        graph = self._graph
        leaves = graph.outputs[: self._count]
        if not self.pure or self._captured or not all(self._plain) or not all(map(_fixed, (*graph.inputs, *leaves))):
            return False
        batched = set(map(id, graph.inputs))
        for node in graph.nodes:
            if has_symbols(node.attrs):
                return False
            if any(id(x) in batched for x in node.inputs):
                if not _exact(node):
                    return False
                batched.update(map(id, node.outputs))
        return True

    def batched(self, columns, count):
        """An array for each leaf with the results for `count` elements, whose leaves are stacked in `columns`."""
        graph = self._batches.get(count)
        if graph is None:
            graph = self._batch_graph(count)
            if len(self._batches) < _MOST_SIZES:
                self._batches[count] = graph
        return list(plan_of(graph)(*columns))

    def _batch_graph(self, count):
        """The graph for `count` elements at once: each node by its batching rule."""

        def on_columns(*columns):
            batch = Batch(count, self.name, everyone=True)
            results, _ = replay(self._graph, [batch._lifted(x) for x in columns])
            return [batch.stacked(x) for x in results[: self._count]]

        return trace(on_columns, [Spec((count, *x.dims), x._dtype) for x in self._graph.inputs], self.name).graph


def all_nodes(graph):
    """The nodes of a graph and of the graphs in them."""
    for node in graph.nodes:
        yield node
        for inner in graphs_in(node.attrs):
            yield from all_nodes(inner)


def plain(spec):
    """Whether the leaves of an element are tensors, each its own only component."""
    return all(isinstance(part, TensorSpec) for part in nest.flatten(spec))


def _may_fail(node):
    name, inputs = node.op.name, node.inputs
    if name not in FAILING or (name in DIVISIONS and not inputs[0]._dtype.is_integer):
        return False
    divisor = inputs[1]._value if name in DIVISIONS and inputs[1].__class__ is Tensor else 0
    return not np.all(divisor)


def _work(graph):
    """How many elements the ops read together; 0 where a shape is unknown: native code is made for each shape anew."""
    values = [x for node in graph.nodes for x in node.inputs]
    return sum(math.prod(x.dims) for x in values) if all(map(_fixed, (*values, *graph.inputs))) else 0


def _fixed(x):
    return x.dims is not None and None not in x.dims


def _exact(node):
    op = node.op
    if op.batch is None:
        return False
    if op.lower in ("scalar", "movement") or op.name in EXACT:
        return True
    return op.name in ("sum", "prod") and node.inputs[0]._dtype.is_integer
