"""Graphs that a `with` statement fills: `tf.Graph`, and `FuncGraph`, in which ops are traced for their shapes."""

import contextlib

from tapeflow.base.dtypes import as_dtype
from tapeflow.base.shape import TensorShape
from tapeflow.core import graph as core
from tapeflow.core.state import paused, state, tracing


class Graph(core.Graph):
    """A graph that ops join within `with graph.as_default():`; its tensors have shapes and dtypes, but no values.

    Example:
        >>> import tapeflow as tf
        >>> graph = tf.Graph()
        >>> with graph.as_default():
        ...     x = tf.compat.v1.placeholder(tf.float32, [None, 3], name="x")
        ...     y = x + 1.0
        >>> y.shape
        TensorShape([None, 3])
    """

    building_function = False

    def __init__(self):
        super().__init__()
        self.finalized = False
        self.seed = None
        self.collections = {}

    @contextlib.contextmanager
    def as_default(self):
        """Within the context ops join this graph; no tape outside records them, and name scopes start anew."""
        scopes = state.scopes
        state.scopes = ()
        try:
            with paused(), tracing(self):
                yield self
        finally:
            state.scopes = scopes

    def bind(self, op, inputs, attrs):
        """Add a node for `op`; its results are symbolic."""
        if self.finalized:
            raise RuntimeError(f"Graph is finalized and cannot be modified: {op.name} cannot be added.")
        return super().bind(op, inputs, attrs)

    def placeholder(self, shape, dtype, name=None):
        """A new input of the graph, under a name of its own."""
        scoped = "/".join([*state.scopes, name or "Placeholder"])
        return super().placeholder(shape, dtype, f"{self.unique_name(scoped)}:0")

    def finalize(self):
        """Let no more ops join."""
        self.finalized = True

    def get_tensor_by_name(self, name):
        """The tensor of that name.

        Raises:
            KeyError: there is none.
        """
        for x in (*self.inputs, *[out for node in self.nodes for out in node.outputs]):
            if x.name == name:
                return x
        raise KeyError(f"The name {name!r} refers to a Tensor which does not exist in the graph {self.name}.")

    def add_to_collection(self, name, value):
        """Keep `value` in the collection of that name."""
        self.collections.setdefault(name, []).append(value)

    def get_collection(self, name, scope=None):
        """The values of the collection of that name, as a list."""
        return list(self.collections.get(name, ()))


class FuncGraph(Graph):
    """The graph of a function: an init scope leaves it. Keras traces a model in one to learn the shapes of its results.

    Args:
        name: the function's name.
        collections: a dict of collections to share.
        capture_by_value: accepted; values from outside are always used as they are.
        structured_input_signature: kept for the caller.
        structured_outputs: kept for the caller.
    """

    building_function = True

    def __init__(
        self, name, collections=None, capture_by_value=None, structured_input_signature=None, structured_outputs=None
    ):
        super().__init__()
        self.name = name
        self.collections = {} if collections is None else collections
        self.structured_input_signature = structured_input_signature
        self.structured_outputs = structured_outputs
        self.outputs = []

    @property
    def outer_graph(self):
        """The graph that was being traced when this one was made, or None."""
        return self.outer


def placeholder(dtype, shape=None, name=None):
    """A new input of the graph that is being traced.

    Args:
        dtype: its dtype.
        shape: its shape; None where even the rank is unknown.
        name: its name.

    Raises:
        RuntimeError: nothing is being traced.
    """
    if state.graph is None:
        raise RuntimeError(
            "tf.placeholder() is not compatible with eager execution: call it within `with graph.as_default():`."
        )
    return state.graph.placeholder(TensorShape(shape)._dims, as_dtype(dtype), name)


__all__ = ["FuncGraph", "Graph", "placeholder"]
