"""`switch`: one of several graphs, chosen when it runs. A `cond` is a switch of two."""

from tapeflow.base.errors import invalid
from tapeflow.base.shape import TensorShape
from tapeflow.core.graph import Graph
from tapeflow.core.plan import runner_of
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Spec
from tapeflow.trace.call import Structured, split_saved, spread
from tapeflow.trace.derive import batch_size, batched, dense, gradients_through, specs_of, tangents_through
from tapeflow.trace.replay import replay, unused, zeros_for
from tapeflow.trace.tracing import close, trace_into


def choose(index, operands, functions, specs, names):
    """Trace functions as branches on the same operands, and switch between them.

    Args:
        index: an int32 scalar; one that is out of range chooses the last branch.
        operands: tensors, the arguments of the functions.
        functions: each takes a tensor for each operand, and returns a list of tensors.
        specs: the specs of the operands.
        names: the names of the branches.

    Returns:
        The tuple of results.
    """
    pairs = []
    for function, name in zip(functions, names, strict=True):
        graph = Graph(name, by_reference=True)
        arguments = [graph.placeholder(spec.shape, spec.dtype) for spec in specs]
        pairs.append(trace_into(graph, lambda: function(*arguments)))  # noqa: B023 - called at once
    branches = close(pairs)
    count = len(branches[0].graph.outputs) - len(branches[0].graph.saved)
    _level([branch.graph for branch in branches], count)
    saved = len(branches[0].graph.outputs) - count
    found = P.switch(
        index, *branches[0].operands(operands), branches=tuple([branch.graph for branch in branches]), saved=saved
    )
    return found[:count]


def _level(graphs, count):
    """Give every branch a result for each that any of them saved: its own, or nothing of use."""
    offset = 0
    layout = [(graph, graph.saved) for graph in graphs]
    for graph, _ in layout:
        graph.outputs = graph.outputs[:count]
    for graph, saved in layout:
        graph.offset = offset
        offset += len(saved)
        for other, _ in layout:
            other.outputs += saved if other is graph else tuple([unused(x.spec) for x in saved])


def _kernel(index, *values, branches, saved):
    return runner_of(branches[_inside(index, branches)])(*values)


def _inside(index, branches):
    return index if 0 <= index < len(branches) else len(branches) - 1


def merged(specs, op="switch"):
    """The spec that describes the same result of every branch."""
    dtype = specs[0].dtype
    if any(spec.dtype is not dtype for spec in specs):
        raise invalid(op, f"branches give different dtypes: {', '.join(spec.dtype.name for spec in specs)}")
    shape = TensorShape(specs[0].shape)
    for spec in specs[1:]:
        shape = shape.most_specific_common_supertype([TensorShape(spec.shape)])
    return Spec(shape._dims, dtype)


def _infer(index, *specs, branches, saved):
    columns = zip(*[specs_of(branch.outputs) for branch in branches], strict=True)
    return tuple([merged(column) for column in columns])


def _vjp(g, wanted, inputs, outs, *, branches, saved):
    positions = tuple([i for i, want in enumerate(wanted[1:]) if want and inputs[i + 1].dtype.is_trainable])
    seeded = tuple([k for k, x in enumerate(g) if x is not None])
    operands, kept, seeds = inputs[1:], split_saved(outs, saved)[1], [g[k] for k in seeded]
    count = len(operands)

    def gradient(branch):
        def function(*xs):
            own = xs[count : count + saved][branch.offset : branch.offset + len(branch.saved)]
            grads = gradients_through(branch, xs[:count], own, positions, seeded, xs[count + saved :])[1]
            return [
                zeros_for(xs[i], branch.inputs[i].spec) if g is None else dense(g)
                for i, g in zip(positions, grads, strict=True)
            ]

        return function

    xs = (*operands, *kept, *seeds)
    names = [f"gradient of {branch.name}" for branch in branches]
    found = choose(inputs[0], xs, [gradient(branch) for branch in branches], specs_of(xs), names)
    results = dict(zip(positions, found, strict=True))
    return (None, *[results.get(i) for i in range(count)])


def _jvp(tangents, inputs, outs, *, branches, saved):
    given = tuple([i for i, t in enumerate(tangents[1:]) if t is not None])
    operands, kept = inputs[1:], split_saved(outs, saved)[1]
    along = [tangents[i + 1] for i in given]
    count = len(operands)
    wanted = [k for k, out in enumerate(outs) if out.dtype.is_trainable]

    def forward(branch):
        def function(*xs):
            own = xs[count : count + saved][branch.offset : branch.offset + len(branch.saved)]
            results, found = tangents_through(branch, xs[:count], own, given, xs[count + saved :])
            return [zeros_for(results[k], results[k].spec) if found[k] is None else found[k] for k in wanted]

        return function

    xs = (*operands, *kept, *along)
    names = [f"forward derivative of {branch.name}" for branch in branches]
    found = choose(inputs[0], xs, [forward(branch) for branch in branches], specs_of(xs), names)
    results = dict(zip(wanted, found, strict=True))
    return tuple([results.get(k) for k in range(len(outs))])


def _batch(op, inputs, flags, attrs):
    branches, size = attrs["branches"], batch_size(inputs, flags)

    def examples(branch):
        def function(*xs):
            pairs = batched(branch, xs, flags[1:], size)
            return [x if flag else spread(x, size) for x, flag in pairs]

        return function

    operands = inputs[1:]
    if not flags[0]:
        names = [f"{branch.name}, batched" for branch in branches]
        return choose(inputs[0], operands, [examples(branch) for branch in branches], specs_of(operands), names)
    results = examples(branches[-1])(*operands)
    for number, branch in enumerate(branches[:-1]):
        own = P.equal(inputs[0], P.constant(value=number))
        results = [select(own, x, y) for x, y in zip(examples(branch)(*operands), results, strict=True)]
    return tuple(results)


def select(pred, x, y):
    """For each example `x` or `y`, by a vector of bools."""
    if x._dtype.element is not None:
        return P.list_where(pred, x, y)
    return P.where(P.reshape(pred, shape=(-1, *(1,) * (len(x.dims) - 1))), x, y)


def _again(inputs, attrs, saved):
    branches = attrs["branches"]
    operands = (*inputs[1:], *saved)
    count = len(inputs) - 1

    def without(branch):
        def function(*xs):
            own = xs[count:][branch.offset : branch.offset + len(branch.saved)]
            return replay(branch, xs[:count], own)[0]

        return function

    names = [branch.name for branch in branches]
    return choose(inputs[0], operands, [without(branch) for branch in branches], specs_of(operands), names)


switch = Structured(
    "switch", _kernel, _infer, vjp=_vjp, jvp=_jvp, batch=_batch, again=_again, parameters=("index", "operands")
)

__all__ = ["choose", "merged", "select", "switch"]
