"""What a tape keeps for `explain` beyond its records, and the paths from results back to sources."""

from collections import deque
from typing import NamedTuple

LONGEST_PATH = 12


class History:
    """What a tape keeps for `explain` beyond its records; empty unless lines are tracked or something goes wrong.

    Attributes:
        idle: ops on unwatched tensors, as (op, input marks, result marks, line); only while lines are tracked.
        escapes: id(mark) -> (mark, line) of tensors whose value was handed to Python.
        watches: id(mark) -> (the mark before, line) of watched tensors; only while lines are tracked.
        outline: the steps of the records that a used tape has dropped, where some gradient was None.
        lost: the ids of the marks of those sources whose gradient was None then.
    """

    __slots__ = ("escapes", "idle", "lost", "outline", "watches")

    def __init__(self):
        self.idle = []
        self.escapes = {}
        self.watches = {}
        self.outline = None
        self.lost = set()


class Step(NamedTuple):
    """One recorded op without its data."""

    name: str
    inputs: tuple  # the marks of the inputs
    ruled: tuple  # for each input whether a rule carries the gradient to it
    outputs: tuple
    line: str

    def __str__(self):
        return f"{self.name} ({short(self.line)})" if self.line else self.name


def steps_of(records):
    """The steps of some records."""
    steps = []
    for op, marks, saved, outs, _, attrs, line in records:
        ruled = (
            tuple([edge is not None for edge in saved]) if saved.__class__ is tuple else (saved is not None,) * len(marks)
        )
        inputs = tuple(marks) if line is None else line.origins
        steps.append(Step(attrs.get("called", op.name), inputs, ruled, outs, line))
    return steps


def short(line):
    return line.rsplit("/", 1)[-1]


def reach(starts, steps, ruled):
    """The ids of the marks that depend on `starts`, each with the (step, id of the mark before) by which it was reached."""
    parents = dict.fromkeys(starts)
    users = {}
    for step in steps:
        for mark, rule in zip(step.inputs, step.ruled, strict=True):
            if mark is not None and (rule or not ruled):
                users.setdefault(id(mark), []).append(step)
    queue = deque(starts)
    while queue:
        key = queue.popleft()
        for step in users.get(key, ()):
            for out in step.outputs:
                if id(out) not in parents and (out.watchers or not ruled):
                    parents[id(out)] = (step, key)
                    queue.append(id(out))
    return parents


def ancestors(ends, steps):
    """The ids of the marks that `ends` depend on."""
    found = set(ends)
    for step in reversed(steps):
        if any(id(out) in found for out in step.outputs):
            found.update([id(mark) for mark in step.inputs if mark is not None])
    return found


def path(parents, key):
    """The steps from a mark back to where the search started."""
    steps = []
    while parents[key] is not None:
        step, key = parents[key]
        steps.append(step)
    return steps


def chain(steps):
    if len(steps) > LONGEST_PATH:
        half = LONGEST_PATH // 2
        skipped = len(steps) - 2 * half
        return f"{', '.join(map(str, steps[:half]))}, ... ({skipped} more) ..., {', '.join(map(str, steps[-half:]))}"
    return ", ".join(map(str, steps))


__all__ = ["History", "Step", "ancestors", "chain", "path", "reach", "steps_of"]
