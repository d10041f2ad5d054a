"""`GradientTape.explain`: why a gradient is None or zero, in words, from what the tape keeps of the program."""

import numpy as np

from tapeflow.autodiff.history import History, Step, ancestors, chain, path, reach, steps_of
from tapeflow.core.backward import pull_back
from tapeflow.core.primitive import P
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import Idle, paused, state
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable

# Why an op's derivative may be zero everywhere.
ZERO_SLOPES = {
    "relu": "its input is not positive",
    "relu6": "its input is not between 0 and 6",
    "gate": "its input is not positive",
    "abs": "its input is 0",
    "sign": "it is flat between its steps",
    "floor": "it is flat between its steps",
    "ceil": "it is flat between its steps",
    "rint": "it is flat between its steps",
    "where": "the other branch was chosen",
    "maximum": "the other operand is larger",
    "minimum": "the other operand is smaller",
    "clip_by_value": "its input lies outside the limits",
    "mul": "the other factor is 0",
    "matmul": "the other factor is 0",
    "pow": "the base or the exponent is 0",
    "square": "its input is 0",
    "tanh": "it is saturated",
    "sigmoid": "it is saturated",
    "softmax": "it is saturated, or its cotangent is the same for all classes: the sum of a softmax is always 1",
    "gather": "the elements picked are others",
    "strided_slice": "the elements picked are others",
    "slice": "the elements picked are others",
}


def explain(tape, target, source):
    """The text of `GradientTape.explain`."""
    for what, x in (("target", target), ("source", source)):
        if not isinstance(x, (Tensor, Variable)):
            raise ValueError(f"The {what} must be one tensor or variable, got {x!r} of type {type(x).__name__!r}.")
    return "\n".join(_Explanation(tape, target, source).lines())


class _Explanation:
    """The search for the cause: each method returns the lines of a text, or None where another cause is to be sought."""

    def __init__(self, tape, target, source):
        self.tape, self.target, self.source = tape, target, source
        self.history = tape._history or History()
        self.variables = tape._variables()
        self.steps = steps_of(tape._records) if tape._records else self.history.outline or []
        self.known = {id(mark) for mark in tape._leaves}
        self.known |= {id(out) for step in self.steps for out in step.outputs if out.watchers}
        self.sources = [mark for mark in self.marks_of(source) if id(mark) in self.known]
        self.targets = self.marks_of(target)

    def marks_of(self, x):
        """The marks by which the tape may know a tensor or variable."""
        if isinstance(x, Variable):
            return self.variables.get(id(x), (None, ()))[1]
        return [] if x._mark is None else [x._mark]

    def lines(self):
        """The whole text."""
        if not self.tape._entered:
            return [
                "The gradient is None: the tape never recorded. Compute the target within `with tf.GradientTape() as tape:`."
            ]
        if self.target is self.source:
            return ["The gradient is not None: the target is the source itself, so each of its elements has slope 1."]
        for find in (self.wrong_dtype, self.unwatched_source, self.used_up, self.connected, self.broken, self.apart):
            text = find()
            if text:
                return text
        raise AssertionError("The last cause always has a text.")

    def wrong_dtype(self):
        for what, x in (("source", self.source), ("target", self.target)):
            if not x.dtype.is_trainable:
                made = self.made_by(x)
                return [
                    f"The gradient is None: the {what} has dtype {x.dtype.name}; only floats and complex numbers carry one.",
                    *([f"It is a result of {made}."] if made else []),
                ]
        return None

    def made_by(self, x):
        """The recorded step that a tensor is a result of."""
        mark = None if isinstance(x, Variable) else x._mark
        return next((step for step in self.steps if any(out is mark for out in step.outputs)), None)

    # The source is not watched

    def unwatched_source(self):
        if self.sources:
            return None
        head = "The gradient is None: the tape does not watch the source."
        if isinstance(self.source, Variable):
            return [head, *self.why_variable()]
        mark = self.source._mark
        if mark is not None and mark.watchers:
            text = ["The source was computed, or watched, under another tape while this one did not record."]
        elif mark is not None and mark.__class__ is not Idle:
            made = self.made_by(self.source)
            text = [f"It was computed from a result{f' of {made}' if made else ''} where the gradient ends."]
        elif mark is not None and self.tape.id in mark.ids and (not self.history.idle or self.idle_step(mark)):
            by = f" by {self.idle_step(mark)}" if self.idle_step(mark) else ""
            text = [f"It was computed{by}, while the tape recorded, from tensors that are not watched."]
        else:
            text = ["It is a constant to the tape. Call tape.watch(source) inside the context, before its first use."]
        same = [v for v, _ in self.variables.values() if v.dtype is self.source.dtype and v._tensor.dims == self.source.dims]
        if same:
            text.append(
                f"The tape watches the variable {same[0].name!r} of this shape: was the source that variable once? "
                "`v = v - x` makes a tensor of it; `v.assign_sub(x)` keeps it a variable."
            )
        return [head, *text, *self.watched()]

    def idle_step(self, mark):
        """The unrecorded op, known while lines are tracked, that a mark is a result of."""
        return next(
            (
                Step(op.name, (), (), outs, line)
                for op, _, outs, line in self.history.idle
                if any(out is mark for out in outs)
            ),
            None,
        )

    def why_variable(self):
        v = self.source
        if id(v) in self.variables:
            return [f"The variable {v.name!r} was not read since it was watched."]
        if not v.trainable:
            return [f"The variable {v.name!r} was made with trainable=False; tape.watch(v) watches it all the same."]
        if not self.tape._watch_accessed_variables:
            return [
                f"The tape was made with watch_accessed_variables=False and {v.name!r} was not watched by tape.watch(v)."
            ]
        return [f"The variable {v.name!r} was not read while the tape recorded.", *self.watched()]

    def watched(self):
        """One line about what the tape does watch."""
        names = [variable.name for variable, _ in self.variables.values()]
        tensors = len(self.tape._leaves) - sum(len(marks) for _, marks in self.variables.values())
        parts = [f"the variable{'s' * (len(names) > 1)} {', '.join(map(repr, names[:5]))}"] if names else []
        parts += [f"{tensors} tensor{'s' * (tensors > 1)}"] if tensors > 0 else []
        return [f"It watches {' and '.join(parts)}." if parts else "It watches nothing."]

    def used_up(self):
        if self.tape._records or self.history.outline is not None or not self.tape._spent:
            return None
        return [
            "The tape was used and has dropped its records: it gave a gradient for every source that it was asked for.",
            "Make it with persistent=True, or call explain before gradient, to see where the gradient comes from.",
        ]

    # The source is watched

    def connected(self):
        if any(mark is source for mark in self.targets for source in self.sources):
            return ["The gradient exists and is one: the target is the source itself."]
        parents = reach([id(mark) for mark in self.sources], self.steps, ruled=True)
        found = [mark for mark in self.targets if id(mark) in parents]
        if not found:
            return None
        flow = path(parents, id(found[0]))
        text = [f"The gradient exists. It flows from the target through {chain(flow)} to the source."]
        if self.tape._records:
            return self.values(text, flow)
        if any(id(mark) in self.history.lost for mark in self.sources):
            return [
                "The gradient is None: a gradient function on the way gave None.",
                f"The way from the target to the source goes through {chain(flow)}.",
            ]
        return [*text, "The tape has dropped its records; whether it is zero was not looked at."]

    def values(self, text, flow):
        """Follow the cotangent back along the path: where does it turn to zero, or to NaN?"""
        if isinstance(self.target, Variable) or self.target.__class__ is not Tensor:
            return text
        useful = {id(mark): mark for step in self.steps for mark in (*step.inputs, *step.outputs) if mark is not None}
        with paused():
            seeds = [(mark, P.ones_like(self.target)) for mark in self.targets]
            cotangents = pull_back(self.tape._records, seeds, [*useful.values(), *self.sources])
        found = [cotangents[id(mark)] for mark in self.sources if id(mark) in cotangents]
        if not found:
            return [
                "The gradient is None: a gradient function on the way gave None.",
                *[f"{step} gave None." for step in self.turning(cotangents, lambda g: g is None)[:3]],
                f"The way from the target to the source goes through {chain(flow)}.",
            ]
        if all(_is_zero(g) for g in found):
            culprits = self.turning(cotangents, _is_zero) or [flow[0]]
            return [
                "The gradient exists but is all zeros.",
                *[f"It becomes zero in {step}{_because(step)}." for step in culprits[:3]],
                f"It flows from the target through {chain(flow)} to the source.",
            ]
        if any(not _is_finite(g) for g in found):
            culprits = self.turning(cotangents, lambda g: not _is_finite(g)) or [flow[0]]
            text.append(f"It is not finite: infinity or NaN comes from {culprits[0]}.")
        return text

    def turning(self, cotangents, bad):
        """The steps, last first, whose results have a good cotangent and an input on the way to the source a bad one."""
        onward = reach([id(mark) for mark in self.sources], self.steps, ruled=True)
        turning = []
        for step in reversed(self.steps):
            out = [cotangents[id(mark)] for mark in step.outputs if id(mark) in cotangents]
            if not out or all(bad(g) for g in out):
                continue
            ways = [mark for mark, ruled in zip(step.inputs, step.ruled, strict=True) if ruled and id(mark) in onward]
            if ways and all(bad(cotangents.get(id(mark))) for mark in ways):
                turning.append(step)
        return turning

    def broken(self):
        """The target was computed from the source, but some step lets no gradient through."""
        ruled = reach([id(mark) for mark in self.sources], self.steps, ruled=True)
        causes = []
        for step in self.steps:
            if any(id(out) in ruled for out in step.outputs):
                continue
            if any(id(mark) in ruled for mark in step.inputs):
                onward = reach([id(out) for out in step.outputs], self.steps, ruled=False)
                if any(id(mark) in onward for mark in self.targets):
                    causes.append(_obstacle(step))
        if not causes:
            return None
        return [
            "The gradient is None: it is lost on the way from the target to the source.",
            *dict.fromkeys(causes[:5]),
        ]

    def apart(self):
        """The target does not depend on the source by anything that the tape recorded."""
        head = "The gradient is None: the target does not depend on the source by anything that the tape recorded."
        text = self.tracked_break() or self.unrecorded() or self.other_sources()
        spilled = reach([id(mark) for mark in self.sources], self.steps, ruled=False)
        for mark, line in self.history.escapes.values():
            if id(mark) in spilled:
                which = (
                    "The source's value" if any(mark is own for own in self.sources) else "A value computed from the source"
                )
                text.append(f"{which} left the tape by numpy(){_at(line)}; what Python or NumPy makes of it is a constant.")
        if state.lines or any(step.line for step in self.steps):
            return [head, *text]
        return [
            head,
            *text,
            "Run it within tapeflow.autodiff.track_lines(), or with DEBUG=1, to see the lines of the program.",
        ]

    def unrecorded(self):
        """The target, or what it was computed from, was not recorded."""
        if any(mark.watchers and id(mark) in self.known for mark in self.targets):
            return None
        mark = self.targets[0] if self.targets else None
        if isinstance(self.target, Variable):
            return [
                f"The target is the variable {self.target.name!r}: assigning to it is not recorded, a variable has no past."
            ]
        if mark is None or (mark.__class__ is Idle and self.tape.id not in mark.ids) or mark.watchers:
            return [
                "The target was computed while the tape did not record (before or after its context, or in stop_recording), "
                "or it is a constant."
            ]
        watched_at = min(
            [serial for leaf, (serial, _) in self.tape._leaves.items() if any(leaf is own for own in self.sources)],
            default=0,
        )
        if mark.__class__ is Idle and mark.serial < watched_at:
            return [
                "The target, or what it comes from, was computed before the source was watched: "
                "call tape.watch(source) before its first use."
            ]
        return [
            "The target was computed, while the tape recorded, from unwatched tensors only: constants, values of NumPy, or "
            "what was computed while the tape did not record."
        ]

    def other_sources(self):
        """The target depends on other watched tensors."""
        text = []
        behind = ancestors([id(mark) for mark in self.targets], self.steps)
        names = [v.name for v, marks in self.variables.values() if any(id(mark) in behind for mark in marks)]
        if names:
            plural = "s" * (len(names) > 1)
            text.append(
                f"It depends on the variable{plural} {', '.join(map(repr, names[:5]))}; "
                "what is assigned to one is not followed."
            )
        made = self.made_by(self.source)
        if made is not None:
            text.append(
                f"The source is the result of {made}, not what was watched, and the target was computed without it. "
                "Was a name bound anew, as in `x = x * 2`? Keep the watched tensor under a name of its own."
            )
        mixed = [str(step) for step in self.steps if None in step.inputs and any(id(out) in behind for out in step.outputs)]
        if mixed and self.target_watched_late():
            text.append(
                f"Unwatched values went into {', '.join(mixed[:3])}: what was computed from the source before "
                "tape.watch(source) counts as constant."
            )
        made = self.made_by(self.target)
        if made is not None:
            text.append(f"The target is a result of {made}.")
        return text or ["The target is watched itself: it is where recording starts, not what came of the source."]

    def target_watched_late(self):
        """Whether ops had run, or other tensors been watched, before the source was."""
        serials = [serial for serial, _ in self.tape._leaves.values()]
        own = [serial for mark, (serial, _) in self.tape._leaves.items() if any(mark is source for source in self.sources)]
        return bool(own) and min(own) > min(serials)

    def tracked_break(self):
        """While lines are tracked all ops are known: follow them from the source, watched or not, to the target."""
        steps = [
            *self.steps,
            *[Step(op.name, ins, (False,) * len(ins), outs, line) for op, ins, outs, line in self.history.idle],
        ]
        starts = [id(mark) for mark in self.sources]
        watches = [self.history.watches[key] for key in starts if key in self.history.watches]
        starts += [id(before) for before, _ in watches if before is not None]
        parents = reach(starts, steps, ruled=False)
        found = [mark for mark in self.targets if id(mark) in parents]
        if not found:
            return None
        first = path(parents, id(found[0]))[-1]
        return [f"The source was used by {first} before it was watched{_at(watches[0][1] if watches else None)}."]


def _obstacle(step):
    if step.name == "stop_gradient":
        return f"{step} stops it on purpose."
    if any(step.ruled) and any(not out.watchers for out in step.outputs):
        return f"{step} gives integers, which carry no gradient."
    return f"{step} has no derivative with respect to this input."


def _because(step):
    reason = ZERO_SLOPES.get(step.name)
    return f": {reason}" if reason else ": its derivative is 0 for these values"


def _at(line):
    return f" at {line}" if line else ""


def _value(g):
    return g.values if isinstance(g, IndexedSlices) else g


def _is_zero(g):
    return g is not None and _value(g).__class__ is Tensor and not bool(_value(g)._value.any())


def _is_finite(g):
    x = _value(g)
    return x is None or x.__class__ is not Tensor or bool(np.isfinite(x._value).all())


__all__ = ["explain"]
