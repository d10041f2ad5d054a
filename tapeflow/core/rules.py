"""Derivative rules as recorders take them: which residuals each one keeps, and how it is computed on values alone."""

import inspect
import types
from typing import Any

from tapeflow.base.dtypes import FLOATS as FLOAT_TYPES
from tapeflow.core.tensor import Tensor

FLOATS = sum(dtype.bit for dtype in FLOAT_TYPES)


def same(g):
    """The derivative rule of an op whose slope is 1."""
    return g


def opposite(g):
    """The derivative rule of an op whose slope is -1."""
    return -g


class Rule:
    """A derivative rule with its plan: where each residual that its parameters name comes from.

    A parameter may be named `out` (the result), `x` (an input, by the kernel's name for it), `x_shape`, `x_dtype`, or
    `x_broadcast` (the shape of x where the result's differs, else None); `inputs` and `shapes` stand for all inputs.

    Attributes:
        call: the rule itself.
        sources: for each residual the expression that takes it, see `_source`.
        reads: how many residuals there are.
        take: `take(inputs, out)` gives the residuals.
        scales: the rule is an elementwise op's: it is to be conjugated for complex numbers, and summed over broadcast axes.
        on_values: the rule as a function of NumPy values (see `on_values`), or None.
    """

    __slots__ = ("attr_names", "call", "every_attr", "on_values", "reads", "scales", "sources", "take")

    def __init__(self, call, names, skip, scales=False):
        self.call = {1: same, -1: opposite}.get(call, call)
        self.scales = scales
        residuals, attr_names, self.every_attr = rule_parameters(self.call)
        self.attr_names = frozenset(attr_names)
        self.sources = tuple([_source(name, names) for name in residuals[skip:]])
        self.reads = len(self.sources)
        self.take = _taker(self.sources)
        self.on_values = None

    def attrs(self, attrs):
        """The attrs that the rule takes."""
        if self.every_attr or attrs.keys() <= self.attr_names:
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


def on_values(op, rule):
    """An elementwise op's rule as a function of NumPy values, which computes the same bits without a tensor for each step.

    It is the rule's own code, in which `P.name` and operators made by `on_two` stand for the kernels; a rule that does anything
    else than arithmetic and elementwise ops on its arguments has no such form, and None is returned.
    """
    from tapeflow.core.primitive import PRIMITIVES  # the registry needs this module first

    call = rule.call
    code = getattr(call, "__code__", None)
    if not rule.scales or call is same or code is None or code.co_freevars or code.co_kwonlyargcount:
        return None
    if any(not source.startswith(("inputs", "out")) or "." in source for source in rule.sources):
        return None
    kernels = {}
    names = {"__name__": __name__}  # of a module of ours, so that NumPy's floating point warnings are filtered
    for name in code.co_names:
        found = PRIMITIVES.get(name) or getattr(call.__globals__.get(name), "op", None)
        if name == "P":
            names[name] = types.SimpleNamespace()
        elif found is None or found.lower != "scalar" or op.accepts & FLOATS & ~found.accepts:
            return None
        else:
            kernels[name] = found.kernel
    names.update(kernels)
    if "P" in names:
        vars(names["P"]).update(kernels)
    return types.FunctionType(code, names)


def _source(name, names):
    """The expression that takes one residual from an op's `inputs` and `out`."""
    if name in names:  # first: the derivative of an op may take that op's result as an input named `out`
        return f"inputs[{names.index(name)}]"
    if name in ("out", "outs"):
        return "out"
    if name == "inputs":
        return "inputs"
    if name == "shapes":
        return "tuple([shape_of(x) for x in inputs])"
    base, _, kind = name.rpartition("_")
    if base in names and kind in ("shape", "dtype", "broadcast"):
        x = f"inputs[{names.index(base)}]"
        return {"shape": f"shape_of({x})", "dtype": f"{x}._dtype", "broadcast": f"broadcast_from({x}, out)"}[kind]
    raise TypeError(f"A derivative rule asks for {name!r}; the op's inputs are {', '.join(names)}.")


_takers: dict[tuple, Any] = {}


def _taker(sources):
    """A function of (inputs, out) that gives the residuals: compiled, as it runs once for each recorded op."""
    taker = _takers.get(sources)
    if taker is None:
        taker = _takers[sources] = eval(f"lambda inputs, out: {tuple_text(sources)}", RESIDUALS)
    return taker


def tuple_text(parts):
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def plan_residuals(names, rules, skip=1, scales=False):
    """`Rule`s for a tuple of rules (None stays), for one joint rule, or None."""
    if rules is None:
        return None
    if isinstance(rules, tuple):
        return tuple([None if rule is None else Rule(rule, names, skip, scales) for rule in rules])
    return Rule(rules, names, skip + 1)


def broadcast_from(x, out):
    """The shape that a cotangent of `out` is to be summed to for `x`; None where the shapes are the same."""
    if x.__class__ is Tensor and out.__class__ is Tensor and x._value.shape == out._value.shape:
        return None
    dims = x.dims
    return None if dims == out.dims and known(dims) else shape_of(x)


def known(dims):
    return dims is not None and None not in dims


def shape_of(x):
    """The shape as a tuple of ints, or as a symbolic tensor where a dimension is unknown."""
    dims = x.dims
    if known(dims):
        return dims
    from tapeflow.core.primitive import P  # the registry needs this module first

    return P.shape(x)


RESIDUALS = {"shape_of": shape_of, "broadcast_from": broadcast_from}


__all__ = [
    "RESIDUALS",
    "Rule",
    "broadcast_from",
    "known",
    "on_values",
    "plan_residuals",
    "rule_parameters",
    "same",
    "shape_of",
    "tuple_text",
]
