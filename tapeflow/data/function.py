"""`ElementFunction`: a user's function on elements. It is traced once, runs on one element, or on many at once."""

from tapeflow.autodiff.vectorize import Batch
from tapeflow.base import nest
from tapeflow.base.errors import OpError, OutOfRangeError
from tapeflow.base.specs import TensorSpec
from tapeflow.core.graph import SymbolicTensor
from tapeflow.core.primitive import bind, has_symbols
from tapeflow.core.record import user_line
from tapeflow.core.state import batching, paused, tracing
from tapeflow.core.tensor import Tensor
from tapeflow.data.structure import flat_values, packer, spec_of, to_tensors
from tapeflow.trace.func_graph import FuncGraph

# Besides elementwise ops and movements, ops that give the same bits for a batch as for each of its examples. A sum of floats
# does not: it may be added up in another order.
_EXACT = {
    "all",
    "any",
    "max",
    "min",
    "argmax",
    "argmin",
    "gather",
    "gather_nd",
    "string_lower",
    "string_upper",
    "string_strip",
}
_EXACT |= {"string_length", "regex_replace", "regex_full_match", "hash_fast", "hash_strong", "sort", "argsort"}
_MOST_SIZES = 8  # graphs for as many sizes of batches are kept


class ElementFunction:
    """A function of elements as a user wrote it, with the structure of what it takes and gives.

    Args:
        function: the Python function; the parts of an element that is a tuple are its arguments.
        spec: the nest of specs of the elements.
        name: what the user called, for messages: "Dataset.map()".

    Attributes:
        spec: the nest of specs of what it gives.

    Raises:
        TypeError: it gives what no element can hold.
    """

    def __init__(self, function, spec, name):
        self._function = function
        self.name = name
        self.line = user_line()
        self._input_spec = spec
        self._pack = packer(spec)
        self._unpacked = type(spec) is tuple
        self._batches = {}
        self._trace()

    def _trace(self):
        """Run the function on symbolic tensors: for the graph, or where datasets are involved for the specs only."""
        flat = nest.flatten(self._input_spec)
        with FuncGraph(self.name).as_default() as graph:
            parts = [_symbolic(spec, graph) for spec in flat]
            result = self._call(nest.pack_sequence_as(self._input_spec, parts))
        self.spec = spec_of(result)
        leaves = nest.flatten(result)
        self._graph = None
        if all(isinstance(part, SymbolicTensor) for part in parts) and all(isinstance(leaf, Tensor) for leaf in leaves):
            self._graph, self._leaves = graph, leaves

    def _call(self, element):
        """The function's result for an element; a list at the top is a tuple."""
        result = self._function(*element) if self._unpacked else self._function(element)
        try:
            return to_tensors(tuple(result) if isinstance(result, list) else result)
        except (TypeError, ValueError) as error:
            raise TypeError(f"Unsupported return value from function passed to {self.name}: {result}. {error}") from error

    def __call__(self, values):
        """The leaves of the result for the leaves of an element."""
        if self._graph is None:
            with tracing(None), paused():
                return flat_values(self._call(self._pack(values)))
        return flat_values(self._graph.run(values, self._leaves))

    def at(self, position, values):
        """The result for the element at a position; an error names both the element and the dataset's line."""
        try:
            return self(values)
        except Exception as error:
            self.locate(error, position)

    def locate(self, error, position):
        """Raise an error of the function once more, with the element and the line."""
        where = f"element {position} of {self.name}" + (f" at {self.line}" if self.line else "")
        if isinstance(error, OpError):
            raise type(error)(None, None, f"{error.message}\n\t [[{where}]]") from error
        if isinstance(error, StopIteration):  # it would pass for the end of the dataset
            raise OutOfRangeError(None, None, f"StopIteration: {error}\n\t [[{where}]]") from error
        error.add_note(f"[[{where}]]")
        raise error

    @property
    def pure(self):
        """Whether nothing but its results shows that it ran."""
        return self._graph is not None and not any(node.op.stateful for node in self._graph.nodes)

    @property
    def waits(self):
        """Whether it may spend its time outside of Python: in libraries, files or the user's own calls."""
        return self._graph is None or any(node.op.stateful or node.op.lower == "library" for node in self._graph.nodes)

    # Many elements at once

    @property
    def vectorized(self):
        """Whether running it on many elements at once cannot be told from running it on one after the other."""
        if self._graph is None or not all(_fixed(x) for x in (*self._graph.inputs, *self._leaves)):
            return False
        batched = set(map(id, self._graph.inputs))
        for node in self._graph.nodes:
            if node.op.stateful or has_symbols(node.attrs):
                return False
            if any(id(x) in batched for x in node.inputs):
                if not _exact(node):
                    return False
                batched.update(map(id, node.outputs))
        return True

    def batched(self, columns, count):
        """An array for each leaf with the results for `count` elements, whose leaves are stacked in `columns`."""
        found = self._batches.get(count)
        if found is None:
            found = self._batch_graph(count)
            if len(self._batches) < _MOST_SIZES:
                self._batches[count] = found
        graph, leaves = found
        return [x._value for x in graph.run(columns, leaves)]

    def _batch_graph(self, count):
        """The graph for `count` elements at once: each node by its batching rule."""
        with FuncGraph(self.name).as_default() as graph:
            batch = Batch(count, self.name, everyone=True)
            values = {}
            for x in self._graph.inputs:
                inner = graph.placeholder((count, *x.dims), x._dtype)
                values[id(x)] = batch._lifted(inner)
            for node in self._graph.nodes:
                inputs = tuple([values.get(id(x), x) for x in node.inputs])
                if any(batch.holds(x) for x in inputs):
                    with batching(batch):
                        outputs = bind(node.op, inputs, node.attrs)
                else:
                    outputs = bind(node.op, inputs, node.attrs)
                values.update(zip(map(id, node.outputs), outputs if node.op.multiple else (outputs,), strict=True))
            leaves = [batch.stacked(values.get(id(x), x)) for x in self._leaves]
        return graph, leaves


def _fixed(x):
    return x.dims is not None and None not in x.dims


def _exact(node):
    op = node.op
    if op.batch is None:
        return False
    if op.lower in ("scalar", "movement") or op.name in _EXACT:
        return True
    return op.name in ("sum", "prod") and node.inputs[0]._dtype.is_integer


def _symbolic(spec, graph):
    """What stands for a leaf of that spec while the function is traced."""
    if isinstance(spec, TensorSpec):
        return graph.placeholder(spec.shape._dims, spec.dtype)
    if hasattr(spec, "_placeholder"):
        return spec._placeholder()
    parts = nest.map_structure(lambda part: _symbolic(part, graph), spec._component_specs)
    return spec._from_components(parts)
