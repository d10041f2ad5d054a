"""What recorders keep of an op: its rules, their residuals and the marks of what went in and came out; never more."""

import functools
import inspect
import os
import re
import sys
import threading

from tapeflow.core.rules import RESIDUALS, broadcast_from, known, on_values, tuple_text
from tapeflow.core.state import CONSTANT, Idle, Mark, next_serial, ongoing, state
from tapeflow.core.tensor import Tensor, ndarray

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def user_line():
    """The user's own `file:line`, the nearest frame outside this package."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


# A record is one recorded op, a flat tuple: (op, marks, saved, outs, specs, attrs, line).
#   marks: for each input its Mark, or None where no gradient is wanted for it.
#   saved: a tuple with, for each input, (mark, rule, the shape to sum its cotangent to or None, residuals), or None; a list
#     [rule, residuals] where the rule is joint; None where there is no rule.
#   outs: the marks of the results. specs: what zeros stand for results without cotangent (None for a single result).


def note(op, inputs, attrs, outputs):
    """Tell the active recorders that `op` took `inputs` and gave `outputs`, where they watch an input."""
    active = state.active
    ids = active.ids
    if not ids:
        if outputs.__class__ is Tensor:
            outputs._mark = None
        return
    marks, seen_by = [], ()
    for x in inputs:
        mark = x._mark
        if mark is not None:
            seen = mark.watchers
            if seen is not ids:
                seen = _watching(mark, active) if seen else ()
            if not seen:
                mark = None
            elif seen_by is not ids:
                seen_by = ids if seen is ids else (*seen_by, *seen)
        marks.append(mark)
    if not seen_by:
        _note_unwatched(op, inputs, outputs, active)
        return
    watchers = _those_of(ids, seen_by)
    out_watchers = () if op.plans is None else watchers
    if op.multiple:
        out_marks = tuple([_marked(out, out_watchers) for out in outputs])
    else:
        outputs._mark = mark = Mark()  # `_marked`, in line
        mark.watchers = out_watchers if outputs._dtype.is_trainable else ()
        out_marks = (mark,)
    record = make_record(op, inputs, attrs, outputs, out_marks, marks)
    if watchers is ids and active.keep is not None:
        active.keep(record)
        return
    if state.lines:
        record = (*record[:-1], _tracked_line(inputs))
    for recorder in active.recorders:
        if recorder.id in watchers:
            recorder.note(record, inputs, outputs)


def recorder_of(op):
    """`note` for one op on plain tensors, as a function `(inputs, attrs, out)` that is written for it.

    Recording is most of what a tape costs, and most of recording would be loops over one or two inputs. What is written here
    is `note` and `make_record` without the loops; for `mul` on x0 and x1 it is

        mark0 = x0._mark, or None where no recorder watches it; mark1 likewise
        saved = ((mark0, rule0, shape to sum to, (x1,)) or None, (mark1, rule1, shape to sum to, (x0,)) or None)
        active.keep((op, (mark0, mark1), saved, (mark of the result,), None, attrs, None))

    Whatever is not the usual case (recorders that are more than tapes or watch different inputs, nothing watched, results that
    are not real floats) is left to `note`, and so are ops of any number of inputs.
    """
    rules, names = op.plans, op.parameters
    joint = rules.__class__ is not tuple
    if rules is None or (joint and not _takes(op.kernel, len(names))) or (not joint and len(rules) != len(names)):
        return functools.partial(note, op)
    xs = [f"x{i}" for i in range(len(names))]
    marks = [f"mark{i}" for i in range(len(names))]
    lines = [
        "def record(inputs, attrs, out):",
        "    active = state.active",
        "    ids = active.ids",
        f"    {', '.join(xs)}, = inputs",
    ]
    for x, mark in zip(xs, marks, strict=True):
        lines += [
            f"    {mark} = {x}._mark",
            f"    if {mark} is not None and {mark}.watchers is not ids:",
            f"        if not {mark}.watchers:",
            f"            {mark} = None",
            f"        elif len(ids) != 1 or ids[0] not in {mark}.watchers:",
            "            return note(op, inputs, attrs, out)",
        ]
    unusual = [" and ".join(f"{mark} is None" for mark in marks), "active.keep is None"]
    if not op.multiple:
        unusual.append("not out._dtype.is_floating")
    lines += [f"    if {' or '.join(unusual)}:", "        return note(op, inputs, attrs, out)"]
    if joint:
        lines += ["    rules = op.plans", f"    saved = [rules, {_written_residuals(rules)}]"]
    else:
        lines += _written_edges(op, xs, marks)
    if op.multiple:
        lines += [
            "    outs = tuple([marked(one, ids) for one in out])",
            f"    specs = {'()' if op.partial else 'tuple([one.spec for one in out])'}",
        ]
    else:
        lines += ["    out._mark = mark = Mark()", "    mark.watchers = ids", "    outs, specs = (mark,), None"]
    lines += [f"    active.keep((op, {tuple_text(marks)}, saved, outs, specs, attrs, None))"]
    names = {"op": op, "state": state, "note": note, "marked": _marked, "ndarray": ndarray, "Mark": Mark, **RESIDUALS}
    exec(compile("\n".join(lines), f"{PACKAGE}core/<record of {op.name}>", "exec"), names)
    return names["record"]


def _takes(kernel, count):
    """Whether a kernel is known to take so many inputs, always."""
    code = getattr(kernel, "__code__", None)
    return code is not None and code.co_argcount == count and not code.co_flags & inspect.CO_VARARGS


def _written_edges(op, xs, marks):
    """The lines that make `saved` of a record, where there is a rule for each input."""
    rules = op.plans
    plans = [f"rule{i}" for i in range(len(rules))]
    lines = [f"    {', '.join(plans)}, = op.plans"]
    if any(rule is not None and rule.scales for rule in rules):
        lines += ["    value = out._value", "    shape = value.shape if value.__class__ is ndarray else None"]
    edges = []
    for x, mark, name, rule in zip(xs, marks, plans, rules, strict=True):
        if rule is None:
            edges.append("None")
            continue
        rule.on_values = on_values(op, rule)
        dims = f"None if shape is None or {x}._value.shape == shape else {x}._value.shape" if rule.scales else "None"
        edges.append(f"None if {mark} is None else ({mark}, {name}, {dims}, {_written_residuals(rule)})")
    return [*lines, f"    saved = {tuple_text(edges)}"]


def _written_residuals(rule):
    """The expression that takes a rule's residuals from plain tensors."""
    written = [re.sub(r"inputs\[(\d+)\]", r"x\1", source) for source in rule.sources]
    return tuple_text([re.sub(r"^shape_of\((x\d+)\)$", r"\1._value.shape", source) for source in written])


def _watching(mark, active):
    """The ids of the active recorders that watch what `mark` marks; `active.ids` itself where all do.

    A mark may have forgotten a tape, when another thread watched the same tensor at the same moment: the tape's leaves decide.
    """
    seen = [r.id for r in active.recorders if r.id in mark.watchers or (r._records is not None and mark in r._leaves)]
    return _those_of(active.ids, seen)


def _those_of(ids, some):
    """Those of `ids` that are among `some`; `ids` itself where all are."""
    found = tuple([i for i in ids if i in some])
    return ids if found == ids else found


def _marked(out, watchers):
    """Give a result its mark; integers are watched by nothing."""
    out._mark = mark = Mark()
    mark.watchers = watchers if out._dtype.is_trainable else ()
    return mark


def own_mark(tensor):
    """The mark of a tensor that is about to be watched; it stays the same for as long as the tensor lives."""
    mark = tensor._mark
    if mark is None or not mark.watchers:  # a mark that nothing watches may be that of several tensors
        _marking.acquire()  # another thread must not give it another mark; `with` would take four times as long
        try:
            mark = tensor._mark
            if mark is None or not mark.watchers:
                mark = Mark()
                mark.watchers = (0,)  # an id that no recorder has
                tensor._mark = mark
        finally:
            _marking.release()
    return mark


def add_watchers(mark, new, active):
    """Note that recorders whose ids are `new` watch what `mark` marks."""
    with _marking:
        watchers = (*[i for i in mark.watchers if i in ongoing and i not in new], *new)
        mark.watchers = active.ids if set(watchers) == set(active.ids) else watchers


_marking = threading.Lock()


def watch_reading(variable, tensor, active):
    """Let the active recorders that want to watch the tensor that was read from a variable."""
    ids = active.ids
    if active.leaves is not None and len(ongoing) == len(ids) and variable._trainable and variable._dtype.is_trainable:
        # The usual case: tapes that watch what is read; nobody else records, and what has watched it before has ended.
        mark = tensor._mark
        if mark is None or not mark.watchers:
            mark = own_mark(tensor)
        leaf = next_serial(), variable
        for leaves in active.leaves:
            leaves.setdefault(mark, leaf)
        active.idle = None
        mark.watchers = ids
        return
    new = []
    for recorder in active.recorders:
        mark = recorder.watch_variable(variable, tensor, active)
        if mark is not None:
            new.append(recorder.id)
    if len(new) == len(ids) == len(ongoing):  # as above
        tensor._mark.watchers = ids
    elif new:
        add_watchers(tensor._mark, new, active)


def _note_unwatched(op, inputs, outputs, active):
    """Mark the results of an op on tensors that no active recorder watches."""
    outs = outputs if op.multiple else (outputs,)
    mark = _origin(inputs, active)
    for out in outs:
        out._mark = mark
    if state.lines:
        _note_idle(op, inputs, outs)


def _origin(inputs, active):
    """The mark of results of unwatched tensors. It tells `explain` how they lost the gradient: it is that of a result where
    the gradient ended (an integer, an op without derivative), or of the first that was computed before a watch, if any."""
    origin = None
    for x in inputs:
        mark = x._mark
        if mark is not None and mark is not CONSTANT and not mark.watchers:
            if mark.__class__ is not Idle:
                return mark
            if origin is None or mark.serial < origin.serial:
                origin = mark
    if origin is not None:
        return origin
    if active.idle is None:
        active.idle = Idle()
    return active.idle


class Line(str):
    """The user's `file:line` of a record, with the marks of all its inputs, unwatched ones too."""

    __slots__ = ("origins",)


def _tracked_line(inputs):
    line = Line(user_line() or "")
    line.origins = _own_marks(inputs)
    return line


def _own_marks(tensors):
    """The mark of each tensor; those without one of their own get it, so that paths of unwatched tensors can be followed."""
    for x in tensors:
        if x._mark is None:
            x._mark = Idle()
    return tuple([x._mark for x in tensors])


def _note_idle(op, inputs, outs):
    """Tell the recorders, while lines are tracked, of an op on unwatched tensors."""
    origins = _own_marks(inputs)
    for out in outs:
        if out._mark.__class__ is Idle:
            out._mark = Idle()
    line = user_line()
    for recorder in state.recorders:
        recorder.note_idle(op, origins, tuple([out._mark for out in outs]), line)


def make_record(op, inputs, attrs, outputs, out_marks, marks=None):
    """The record of an op whose results have been marked; `marks` are those of the inputs, by default their own."""
    rules = op.plans
    saved = None
    if marks is None:
        marks = []
        for x in inputs:
            mark = x._mark
            marks.append(mark if mark is not None and mark.watchers else None)
    if rules.__class__ is tuple:
        saved = []
        # Where the result is a scalar, so are the inputs: nothing was broadcast.
        value = outputs._value if outputs.__class__ is Tensor else None
        shape = value.shape if value.__class__ is ndarray else None
        broadcasts = shape is not None or value is None
        for rule, mark, x in zip(rules, marks, inputs):  # noqa: B905 - checked when the op was registered; strict costs
            if rule is None or mark is None:
                saved.append(None)
                continue
            dims = None
            if broadcasts and rule.scales and (x.__class__ is not Tensor or x._value.shape != shape):
                dims = broadcast_from(x, outputs)
            saved.append((mark, rule, dims, rule.take(inputs, outputs)))
        saved = tuple(saved)
    elif rules is not None:
        saved = [rules, rules.take(inputs, outputs)]
    specs = tuple([out.spec if known(out.dims) else out for out in outputs]) if op.multiple else None
    return (op, marks, saved, out_marks, specs, attrs, None)


__all__ = [
    "add_watchers",
    "make_record",
    "note",
    "own_mark",
    "recorder_of",
    "user_line",
    "watch_reading",
]
