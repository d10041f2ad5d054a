"""`while_loop`: a graph repeated while another says so, as one op.

Its gradient runs the loop once more, keeping in lists what the gradient of the body reads of each step, and then walks the steps
backward. That the two forward loops can be one is seen later (`tapeflow.trace.simplify`).
"""

import numpy as np

from tapeflow.core.graph import Graph
from tapeflow.core.plan import runner_of
from tapeflow.core.primitive import P, symbols_in
from tapeflow.core.tensor import Spec, wrap
from tapeflow.trace.call import Structured, split_saved, spread
from tapeflow.trace.derive import batch_size, batched, dense, pullback, specs_of, tangents_through
from tapeflow.trace.replay import replay, unused, zeros_for
from tapeflow.trace.switch import select
from tapeflow.trace.tracing import close, trace_into

ZERO, ONE = wrap(np.int32(0)), wrap(np.int32(1))


def repeat(condition, body, values, specs, name="while"):
    """Trace a condition and a body, and loop.

    Args:
        condition: takes a tensor for each value, returns a list of one boolean scalar.
        body: takes the same, returns a list of the next values.
        values: tensors, the values to begin with.
        specs: the specs that they keep throughout.
        name: the name of the loop.

    Returns:
        The tuple of the last values.
    """
    cond, step = _traced(condition, body, specs, name)
    operands = step.operands(values)
    if step.graph.saved:
        found = _keeping(cond.graph, step.graph, operands, len(values))
    else:
        found = P.while_loop(*operands, cond=cond.graph, body=step.graph, count=len(values), saved=0)
    return found[: len(values)]


def _traced(condition, body, specs, name):
    """The two graphs of a loop, as `Traced`, on the same operands. What a condition draws at random is not kept."""
    pairs = []
    for function, part in ((condition, "condition"), (body, "body")):
        graph = Graph(f"{part} of {name}", by_reference=True)
        arguments = [graph.placeholder(*spec) for spec in specs]
        pairs.append(trace_into(graph, lambda: function(*arguments)))  # noqa: B023 - called at once
    cond, step = close(pairs)
    cond.graph.outputs, cond.graph.saved = cond.graph.outputs[:1], ()
    return cond, step


def _keeping(cond, step, operands, count):
    """A loop that also keeps what the stateful nodes of each step give.

    Behind the values of the loop it has the number of steps and a list for each of `step.saved`. Its body knows `step` as its
    `inner` graph.
    """
    kinds = [x.dtype for x in step.saved]
    first = count + 1 + len(kinds)

    def condition(*xs):
        return replay(cond, (*xs[:count], *xs[first:]))[0]

    def body(*xs):
        found = replay(step, (*xs[:count], *xs[first:]))[0]
        pushed = [
            P.list_set(x, xs[count], value, grows=True)
            for x, value in zip(xs[count + 1 : first], found[count:], strict=True)
        ]
        return [*found[:count], P.add(xs[count], ONE), *pushed, *xs[first:]]

    lists = [P.list_reserve(ZERO, dtype=kind) for kind in kinds]
    values = (*operands[:count], ZERO, *lists, *operands[count:])
    specs = specs_of(step.inputs)
    traced = _traced(condition, body, [*specs[:count], *specs_of((ZERO, *lists)), *specs[count:]], step.name)
    graphs = [part.graph for part in traced]
    graphs[1].outputs, graphs[1].saved = graphs[1].outputs[:first], ()
    graphs[1].inner = step
    return P.while_loop(*traced[1].operands(values), cond=graphs[0], body=graphs[1], count=first, saved=1 + len(kinds))


class _Loop:
    """A `while_loop` taken apart, for its rules.

    Attributes:
        step: the graph of one step, from the values and the invariants to the next values; `saved` are what stateful nodes gave.
        cond: the condition, from the same; None where the number of steps is known.
        steps: the number of steps, where it is known.
        lists: for each of `step.saved` the list of what it was in each step.
        values: the values at the beginning. invariants: the other operands of `step`.
    """

    def __init__(self, inputs, kept, cond, body, count, saved):
        self.count = count - saved
        self.values = inputs[: self.count]
        if saved:
            self.step, self.cond = body.inner, None
            self.steps, self.lists = kept[0], kept[1:]
            self.invariants = inputs[count : count + len(self.step.inputs) - self.count]
        else:
            self.step, self.cond = body, cond
            self.steps, self.lists = None, ()
            self.invariants = inputs[count:]
        self.specs = specs_of(self.step.inputs)[: self.count]

    def saved_at(self, lists, number):
        """What the stateful nodes gave in one step."""
        return [P.list_get(x, number, dims=own.dims) for x, own in zip(lists, self.step.saved, strict=True)]

    def run(self, function, more, specs, name):
        """Repeat the loop, with more values beside its own.

        Args:
            function: `function(state, own, invariants, saved, number)`, where `state` are the loop's values, `own` the other
                ones and `saved` what stateful nodes gave in this step; returns the next state and the next of its own.
            more: these, at the beginning.
            specs: their specs.

        Returns:
            The number of steps, the last state, and the last of the other values.
        """
        n, m = self.count, len(more)
        extra = () if self.steps is None else (self.steps, *self.lists)
        values = (ZERO, *self.values, *more, *self.invariants, *extra)
        specs = [ZERO.spec, *self.specs, *specs]
        size = len(specs)

        def condition(number, *xs):
            state, invariants, rest = xs[:n], xs[n + m : n + m + len(self.invariants)], xs[n + m + len(self.invariants) :]
            if self.cond is None:
                return [P.less(number, rest[0])]
            return replay(self.cond, (*state, *invariants))[0]

        def body(number, *xs):
            state, own, rest = xs[:n], xs[n : n + m], xs[n + m + len(self.invariants) :]
            invariants = xs[n + m : n + m + len(self.invariants)]
            saved = self.saved_at(rest[1:], number) if rest else ()
            state, own = function(state, own, invariants, saved, number)
            return [P.add(number, ONE), *state, *own]

        found = repeat_some(condition, body, values, [*specs, *specs_of(values[size:])], size, name)
        return found[0], found[1 : 1 + n], found[1 + n :]


def _kernel(*values, cond, body, count, saved):
    goes_on, step = runner_of(cond), runner_of(body)
    invariants = values[count:]
    values = values[:count]
    while goes_on(*values, *invariants)[0]:
        values = step(*values, *invariants)
    return values


def _infer(*specs, cond, body, count, saved):
    return tuple(specs_of(body.inputs[:count]))


# Derivatives


def _vjp(g, wanted, inputs, outs, *, cond, body, count, saved):
    users, kept = split_saved(outs, saved)
    loop = _Loop(inputs, kept, cond, body, count, saved)
    n = loop.count
    carried = [k for k in range(n) if users[k].dtype.is_trainable]
    first = 0 if not saved else count - n  # the invariants are further back among the inputs of a loop that keeps lists
    fixed = [i for i, x in enumerate(loop.invariants, n) if wanted[i + first] and x.dtype.is_trainable]
    positions = tuple([*carried, *fixed])
    back = pullback(loop.step, positions, tuple(carried))
    read = _read_of_state(back, loop, carried)

    def keep(state, own, invariants, saved_now, number):
        pushed = [P.list_set(x, number, state[k], grows=True) for k, x in zip(read, own, strict=True)]
        return replay(loop.step, (*state, *invariants), saved_now)[0][:n], pushed

    lists = [P.list_reserve(ZERO, dtype=loop.values[k].dtype) for k in read]
    steps, _, stacks = loop.run(keep, lists, specs_of(lists), f"states of {body.name}")
    totals = [zeros_for(users[k], users[k].spec) if g[k] is None else g[k] for k in carried]
    totals += [zeros_for(loop.invariants[i - n], loop.invariants[i - n].spec) for i in fixed]
    found = _walk_back(loop, back, steps, dict(zip(read, stacks, strict=True)), carried, fixed, totals)
    results = {k: x for k, x in zip(carried, found, strict=False) if wanted[k]}
    results.update({i + first: x for i, x in zip(fixed, found[len(carried) :], strict=True)})
    return tuple([results.get(i) for i in range(len(inputs))])


def _read_of_state(back, loop, carried):
    """The positions of the values whose past the gradient of a step reads."""
    graph = back.traced.graph
    used = {id(x) for x in graph.outputs}
    for node in graph.nodes:
        used.update([id(x) for x in (*node.inputs, *symbols_in(node.attrs.values()))])
    lost = {
        k
        for k, spec in zip(carried, back.structure, strict=False)
        if spec is None and None in (loop.specs[k].shape or (None,))
    }
    return [k for k in range(loop.count) if k in lost or id(graph.inputs[k]) in used]


def _walk_back(loop, back, steps, stacks, carried, fixed, totals):
    """The cotangents of the values at the beginning (`carried`) and of invariants (`fixed`), from those at the end."""
    n = loop.count
    held = (*stacks.values(), *loop.lists, *loop.invariants)
    specs = [Spec((), ZERO.dtype), *[loop.specs[k] for k in carried], *[loop.invariants[i - n].spec for i in fixed]]

    def condition(number, *xs):
        return [P.greater_equal(number, ZERO)]

    def body(number, *xs):
        found, rest = xs[: len(totals)], xs[len(totals) :]
        past, kept, invariants = (
            rest[: len(stacks)],
            rest[len(stacks) :][: len(loop.lists)],
            rest[len(stacks) + len(loop.lists) :],
        )
        state = [unused(spec) for spec in loop.specs]
        for k, x in zip(stacks, past, strict=True):
            state[k] = P.list_get(x, number, dims=loop.specs[k].shape)
        grads = back((*state, *invariants, *loop.saved_at(kept, number), *found[: len(carried)]))
        following = [
            zeros_for(state[k], loop.specs[k]) if d is None else dense(d) for k, d in zip(carried, grads, strict=False)
        ]
        for total, d in zip(found[len(carried) :], grads[len(carried) :], strict=True):
            following.append(total if d is None else P.add(total, dense(d)))
        return [P.sub(number, ONE), *following]

    values = (P.sub(steps, ONE), *totals, *held)
    found = repeat_some(condition, body, values, [*specs, *specs_of(held)], len(specs), f"gradient of {loop.step.name}")
    return found[1:]


def repeat_some(condition, body, values, specs, count, name):
    """As `repeat`, but only the first `count` values change: `body` returns these alone."""
    cond, step = _traced(condition, body, specs, name)
    step.graph.outputs, step.graph.saved = step.graph.outputs[:count], ()
    return P.while_loop(*step.operands(values), cond=cond.graph, body=step.graph, count=count, saved=0)


def _jvp(tangents, inputs, outs, *, cond, body, count, saved):
    users, kept = split_saved(outs, saved)
    loop = _Loop(inputs, kept, cond, body, count, saved)
    n = loop.count
    first = 0 if not saved else count - n
    carried = [k for k in range(n) if users[k].dtype.is_trainable]
    fixed = [i for i in range(n, n + len(loop.invariants)) if tangents[i + first] is not None]
    start = [zeros_for(inputs[k], loop.specs[k]) if tangents[k] is None else tangents[k] for k in carried]
    given = tuple([*carried, *fixed])

    def step(state, own, invariants, saved_now, number):
        results, found = tangents_through(
            loop.step, (*state, *invariants), saved_now, given, (*own, *[tangents[i + first] for i in fixed])
        )
        return results[:n], [zeros_for(results[k], loop.specs[k]) if found[k] is None else found[k] for k in carried]

    _, _, found = loop.run(step, start, [loop.specs[k] for k in carried], f"forward derivative of {body.name}")
    results = dict(zip(carried, found, strict=True))
    return tuple([results.get(k) for k in range(len(outs))])


def _again(inputs, attrs, saved):
    loop = _Loop(inputs, saved, **attrs)

    def step(state, own, invariants, saved_now, number):
        return replay(loop.step, (*state, *invariants), saved_now)[0][: loop.count], []

    return (*loop.run(step, [], [], loop.step.name)[1], *saved)


# Batches


def _batch(op, inputs, flags, attrs):
    """The loop for all examples; where they do not all go on equally long, each keeps its values once it has stopped."""
    cond, body, count, saved = attrs["cond"], attrs["body"], attrs["count"], attrs["saved"]
    size = batch_size(inputs, flags)
    flags, before = list(flags), flags
    while True:  # until it is known which values depend on the example
        form = _BatchForm(cond, body, count, tuple(flags), size)
        specs = [_for_all(spec, size) if flag else spec for spec, flag in zip(specs_of(body.inputs), flags, strict=True)]
        traced = _traced(form.condition, form.step, specs, f"{body.name}, batched")
        if form.found == flags[:count]:
            break
        flags[:count] = form.found
    values = [spread(x, size) if flag and not own else x for x, flag, own in zip(inputs, flags, before, strict=True)]
    step = traced[1].graph
    step.outputs, step.saved = step.outputs[:count], ()
    found = P.while_loop(*traced[1].operands(values), cond=traced[0].graph, body=step, count=count, saved=saved)
    return tuple([x if flag else spread(x, size) for x, flag in zip(found, flags, strict=False)])


def _for_all(spec, size):
    return Spec(None if spec.shape is None else (size if isinstance(size, int) else None, *spec.shape), spec.dtype)


class _BatchForm:
    """The condition and the body of a loop for all examples, given which values hold all of them.

    Attributes:
        found: after tracing, which values the body makes depend on the example.
    """

    def __init__(self, cond, body, count, flags, size):
        self.cond, self.body, self.count, self.flags, self.size = cond, body, count, flags, size
        self.masked = False

    def condition(self, *xs):
        """Whether any example goes on."""
        go_on, self.masked = batched(self.cond, xs, self.flags, self.size)[0]
        return [P.any(go_on, axis=None, keepdims=False) if self.masked else go_on]

    def step(self, *xs):
        """The next values."""
        pairs = batched(self.body, xs, self.flags, self.size)[: self.count]
        self.found = [flag or before or self.masked for (_, flag), before in zip(pairs, self.flags, strict=False)]
        values = [x if flag or not want else spread(x, self.size) for (x, flag), want in zip(pairs, self.found, strict=True)]
        if not self.masked or self.found != list(self.flags[: self.count]):
            return values
        go_on = batched(self.cond, xs, self.flags, self.size)[0][0]
        return [select(go_on, x, before) for x, before in zip(values, xs, strict=False)]


while_loop = Structured(
    "while_loop", _kernel, _infer, vjp=_vjp, jvp=_jvp, batch=_batch, again=_again, parameters=("operands",)
)

__all__ = ["repeat", "repeat_some", "while_loop"]
