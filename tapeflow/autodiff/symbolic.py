"""`tf.gradients` and `tf.hessians`: gradients read off the graph that is being traced, without a tape."""

import math

from tapeflow.autodiff.arguments import handle_of
from tapeflow.autodiff.jacobian import one_hot
from tapeflow.autodiff.tape import UnconnectedGradients, total_of
from tapeflow.autodiff.vectorize import Batch, BatchTensor
from tapeflow.base import nest
from tapeflow.base.dtypes import float32
from tapeflow.core.backward import pull_back
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.record import make_record
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import batching, new_mark, state
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable


def records_of(nodes, marks):
    """The records of those nodes that depend on marked tensors, as if a tape had watched these.

    Args:
        nodes: the nodes of a graph in program order.
        marks: a dict from id(tensor) to the tensor's `Mark`; the results of the recorded nodes are added, but what stands
            in it already (such as a source within the graph) keeps its mark.

    Returns:
        A list of records for `pull_back`.
    """
    records = []
    for node in nodes:
        if not any(id(x) in marks for x in node.inputs):
            continue
        outs = []
        for out in node.outputs:
            mark = marks.get(id(out)) or new_mark((0,) if out.dtype.is_trainable else ())
            outs.append(mark)
            if mark.watchers:
                marks[id(out)] = mark
        results = node.outputs if node.op.multiple else node.outputs[0]
        inputs = [marks.get(id(x)) for x in node.inputs]
        records.append(make_record(node.op, node.inputs, node.attrs, results, tuple(outs), inputs))
    return records


class _Walk:
    """The reverse walks over the graph that is being traced, from some targets to some sources."""

    def __init__(self, xs, stops=()):
        self.xs = xs
        self.marks = {}
        self.sources = [self._marked(x) for x in xs]
        # What a stop marks has no past: the node that made it is given another mark.
        self.stops = {id(x) for x in stops}
        nodes = [node for node in state.graph.nodes if not any(id(out) in self.stops for out in node.outputs)]
        self.records = records_of(nodes, self.marks)

    def _marked(self, x):
        """The marks of a source: of a variable, one for each of its readings."""
        if not isinstance(x, Variable):
            return [self.marks.setdefault(id(x), new_mark((0,)))] if x.dtype.is_trainable else []
        readings = [
            node.outputs[0] for node in state.graph.nodes if node.op.name == "read_variable" and node.attrs["variable"] is x
        ]
        return [self.marks.setdefault(id(reading), new_mark((0,))) for reading in readings]

    def back(self, seeds):
        """The gradients of the sources from pairs (target, cotangent)."""
        marked = [(self.marks[id(y)], g) for y, g in seeds if id(y) in self.marks]
        found = pull_back(self.records, marked, [mark for marks in self.sources for mark in marks])
        totals = []
        for marks in self.sources:
            some = [found[id(mark)] for mark in marks if id(mark) in found]
            totals.append(total_of(some))
        return totals


def _listed(values):
    return list(values) if isinstance(values, (list, tuple)) else [values]


def _checked(values, what):
    handles = [handle_of(x) for x in nest.flatten(_listed(values))]
    for x in handles:
        if not isinstance(x, (Tensor, Variable)):
            raise TypeError(f"tf.gradients: `{what}` must be tensors or variables, got {x!r} of type {type(x).__name__!r}.")
    return handles


def gradients(
    ys,
    xs,
    grad_ys=None,
    name="gradients",
    gate_gradients=False,
    aggregation_method=None,
    stop_gradients=None,
    unconnected_gradients=UnconnectedGradients.NONE,
):
    """The gradients of the sum of `ys` with respect to each of `xs`, in the graph that is being traced.

    Args:
        ys: a tensor or a list of tensors.
        xs: a tensor or variable, or a list of them.
        grad_ys: for each of `ys` the cotangent to start from, or None for ones.
        name: accepted.
        gate_gradients: accepted.
        aggregation_method: accepted.
        stop_gradients: tensors that are taken as constants.
        unconnected_gradients: `UnconnectedGradients.NONE` or `ZERO`.

    Returns:
        A list with a tensor, `IndexedSlices` or None for each of `xs`.

    Raises:
        RuntimeError: nothing is being traced: eager code uses `tf.GradientTape`.
        ValueError: `grad_ys` and `ys` differ in length.

    Example:
        >>> import tapeflow as tf
        >>> with tf.Graph().as_default() as graph:
        ...     x = tf.compat.v1.placeholder(tf.float32, [])
        ...     (slope,) = tf.gradients(x * x, x)
        >>> slope.shape
        TensorShape([])
    """
    if state.graph is None:
        raise RuntimeError("tf.gradients is not supported when eager execution is enabled. Use tf.GradientTape instead.")
    unconnected_gradients = UnconnectedGradients(unconnected_gradients)
    ys = [y._read() if isinstance(y, Variable) else y for y in _checked(ys, "ys")]
    xs = _checked(xs, "xs")
    cotangents = [None] * len(ys) if grad_ys is None else _listed(grad_ys)
    if len(cotangents) != len(ys):
        raise ValueError(f"Length mismatch. Passed {len(cotangents)} grad_ys for {len(ys)} ys")
    walk = _Walk(xs, _checked(stop_gradients or [], "stop_gradients"))
    seeds = [
        (y, P.ones_like(y) if g is None else convert_to_tensor(g, y.dtype))
        for y, g in zip(ys, cotangents, strict=True)
        if y.dtype.is_trainable
    ]
    results = walk.back(seeds)
    if unconnected_gradients is UnconnectedGradients.ZERO:
        results = [P.zeros_like(convert_to_tensor(x)) if g is None else g for g, x in zip(results, xs, strict=True)]
    return results


def hessians(ys, xs, gate_gradients=False, aggregation_method=None, name="hessians"):
    """The second derivatives of the sum of `ys` with respect to each of `xs`, in the graph that is being traced.

    Args:
        ys: a tensor or a list of tensors.
        xs: a tensor or a list of tensors of known shapes.
        gate_gradients: accepted.
        aggregation_method: accepted.
        name: accepted.

    Returns:
        A list with a tensor of shape [*x.shape, *x.shape] for each of `xs`.

    Raises:
        RuntimeError: nothing is being traced.
        ValueError: a shape is not known.

    Example:
        >>> import tapeflow as tf
        >>> with tf.Graph().as_default() as graph:
        ...     x = tf.compat.v1.placeholder(tf.float32, [3])
        ...     (curvature,) = tf.hessians(x * x, x)
        >>> curvature.shape
        TensorShape([3, 3])
    """
    xs = _checked(xs, "xs")
    results = []
    for x, g in zip(xs, gradients(ys, xs), strict=True):
        dims = tuple(x.shape.as_list())
        if None in dims:
            raise ValueError(f"tf.hessians needs known shapes, got {x.shape}.")
        if g is None:
            raise ValueError(f"tf.hessians: `ys` do not depend on {x!r}.")
        size = math.prod(dims)
        batch = Batch(size, what="tf.hessians")
        seed = BatchTensor(one_hot(size, dims, g.dtype if g.dtype else float32), batch)
        with batching(batch):
            (rows,) = _Walk([x]).back([(g.dense() if isinstance(g, IndexedSlices) else g, seed)])
        rows = P.fill(shape=(size, *dims), value=0, dtype=x.dtype) if rows is None else batch.stacked(rows)
        results.append(P.reshape(rows, shape=(*dims, *dims)))
        batch.closed = True
    return results


__all__ = ["gradients", "hessians", "records_of"]
