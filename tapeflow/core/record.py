"""What recorders keep of an op: its rules, their residuals and the marks of what went in and came out; never more."""

import inspect
import os
import sys

from tapeflow.core.state import Mark, state

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Rule:
    """A derivative rule with its plan: where each residual that its parameters name comes from.

    A parameter may be named `out` (the result), `x` (an input, by the kernel's name for it), `x_shape`, `x_dtype`, or
    `x_broadcast` (the shape of x where the result's differs, else None); `inputs` and `shapes` stand for all inputs.
    """

    __slots__ = ("attr_names", "call", "every_attr", "plan")

    def __init__(self, call, names, skip):
        self.call = call
        residuals, self.attr_names, self.every_attr = rule_parameters(call)
        self.plan = tuple([_source(name, names) for name in residuals[skip:]])

    def residuals(self, inputs, out):
        """What the rule will read, taken from the op's inputs and result."""
        kept = []
        for kind, index in self.plan:
            if kind == "input":
                kept.append(inputs[index])
            elif kind == "out":
                kept.append(out)
            elif kind == "broadcast":
                dims = inputs[index].dims
                kept.append(None if dims == out.dims and _known(dims) else shape_of(inputs[index]))
            elif kind == "shape":
                kept.append(shape_of(inputs[index]))
            elif kind == "dtype":
                kept.append(inputs[index]._dtype)
            elif kind == "inputs":
                kept.append(inputs)
            else:
                kept.append(tuple([shape_of(x) for x in inputs]))
        return kept

    def attrs(self, attrs):
        """The attrs that the rule takes."""
        if self.every_attr:
            return attrs
        return {name: attrs[name] for name in self.attr_names if name in attrs}


def rule_parameters(call):
    """The positional and keyword names of a rule, and whether it takes every attr; read from its code, as imports must be quick."""
    declared = getattr(call, "rule_parameters", None)
    if declared is not None:
        return declared
    code = call.__code__
    positional = code.co_varnames[: code.co_argcount]
    keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return positional, keyword, bool(code.co_flags & inspect.CO_VARKEYWORDS)


def _source(name, names):
    if name in ("out", "outs"):
        return ("out", 0)
    if name in ("inputs", "shapes"):
        return (name, 0)
    if name in names:
        return ("input", names.index(name))
    base, _, kind = name.rpartition("_")
    if base in names and kind in ("shape", "dtype", "broadcast"):
        return (kind, names.index(base))
    raise TypeError(f"A derivative rule asks for {name!r}; the op's inputs are {', '.join(names)}.")


def plan_residuals(names, rules, skip=1):
    """`Rule`s for a tuple of rules (None stays), for one joint rule, or None."""
    if rules is None:
        return None
    if isinstance(rules, tuple):
        return tuple(None if rule is None else Rule(rule, names, skip) for rule in rules)
    return Rule(rules, names, skip + 1)


def _known(dims):
    return dims is not None and None not in dims


def shape_of(x):
    """The shape as a tuple of ints, or as a symbolic tensor where a dimension is unknown."""
    dims = x.dims
    if _known(dims):
        return dims
    from tapeflow.core.primitive import P  # the registry needs this module first

    return P.shape(x)


def user_line():
    """The user's own `file:line`, the nearest frame outside this package."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return None if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


# A record is one recorded op, a flat tuple: (op, marks, saved, outs, specs, attrs, line).
#   marks: for each input its Mark, or None where no gradient is wanted for it.
#   saved: for each input (rule, residuals) or None; one such pair where the rule is joint; None where there is no rule.
#   outs: the marks of the results. specs: what zeros stand for results without cotangent (None for a single result).


def note(op, inputs, attrs, outputs):
    """Tell the active recorders that `op` took `inputs` and gave `outputs`, where they watch an input."""
    ids = state.ids
    watchers = ()
    for x in inputs:
        mark = x._mark
        if mark is not None and mark.watchers is not watchers and mark.watchers:
            if mark.watchers is ids:
                watchers = ids
                break
            watchers = tuple([i for i in ids if i in mark.watchers or i in watchers])
    outs = outputs if op.multiple else (outputs,)
    if not watchers:
        for out in outs:
            out._mark = state.idle
        return
    if watchers == ids:
        watchers = ids
    out_marks = []
    for out in outs:
        out._mark = mark = Mark(watchers if out._dtype.is_trainable else ())
        out_marks.append(mark)
    record = make_record(op, inputs, attrs, outputs, out_marks)
    for recorder in state.recorders:
        if recorder.id in watchers:
            recorder.note(record, inputs, outputs)


def make_record(op, inputs, attrs, outputs, out_marks):
    """The record of an op whose results have been marked."""
    rules = op.plans
    marks = tuple([x._mark if x._mark is not None and x._mark.watchers else None for x in inputs])
    if rules is None:
        saved = None
    elif rules.__class__ is Rule:
        saved = (rules, rules.residuals(inputs, outputs))
    else:
        saved = tuple(
            [
                None if rule is None or mark is None else (rule, rule.residuals(inputs, outputs))
                for rule, mark in zip(rules, marks, strict=True)
            ]
        )
    specs = tuple([out.spec if _known(out.dims) else out for out in outputs]) if op.multiple else None
    line = user_line() if state.lines else None
    return (op, marks, saved, tuple(out_marks), specs, attrs, line)


__all__ = ["Rule", "rule_parameters", "make_record", "note", "plan_residuals", "shape_of", "user_line"]
