"""Branches as converted code writes them: Python where the condition has a value, `tf.cond` where it is a symbolic tensor."""

from tapeflow.autodiff import vectorize_control
from tapeflow.autodiff.vectorize import BatchTensor
from tapeflow.base import nest
from tapeflow.base.dtypes import bool_
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.graph import SymbolicTensor
from tapeflow.core.primitive import P
from tapeflow.core.record import user_line
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable
from tapeflow.trace import control
from tapeflow.trace.autograph.scopes import note_unreturned
from tapeflow.trace.autograph.variables import (
    UndefinedReturnValue,
    as_value,
    described,
    is_internal,
    is_missing,
    is_value,
    leaves_of,
    quoted,
)
from tapeflow.trace.replay import unused
from tapeflow.trace.structure import Flow


def symbolic(x):
    """`x` as a tensor without a value, or None where Python can tell its truth."""
    if isinstance(x, Tensor):
        return None if x.__class__ is Tensor else x
    if isinstance(x, Variable) and state.graph is not None:
        return convert_to_tensor(x)
    return None


def scalar_condition(x, what):
    """A symbolic condition, checked.

    Raises:
        ValueError: it is not a boolean scalar.
    """
    extra = "to check for None, use `is not None`"
    if x.dtype is not bool_:
        raise ValueError(
            f"condition of {what} expected to be `tf.bool` scalar, got {x}; to use as boolean Tensor, use `tf.cast`; {extra} "
            f"({user_line()})."
        )
    if x.dims is None or x.dims != ():
        if x.dims is not None and any(n is not None and n != 1 for n in x.dims):
            raise ValueError(
                f"condition of {what} expected to be `tf.bool` scalar, got {x}; {extra}; to ask whether it holds for all or for "
                f"any element, use tf.reduce_all or tf.reduce_any ({user_line()})."
            )
        return P.reshape(x, shape=())
    return x


def choose(pred, true_fn, false_fn):
    """`tf.cond` of a symbolic scalar."""
    where = vectorize_control if isinstance(pred, BatchTensor) else control
    return where.cond(pred, true_fn, false_fn)


def if_stmt(test, body, orelse, get_state, set_state, names, count):
    """An if statement.

    Args:
        test: the condition.
        body, orelse: functions that run the branches.
        get_state, set_state: read and write the variables that the branches assign, as a tuple.
        names: the names of these variables.
        count: how many of them, the first ones, are read after the statement.
    """
    pred = symbolic(test)
    if pred is None:
        body() if test else orelse()
        return
    pred = scalar_condition(pred, "if statement")
    before = get_state()

    flags = _negated_flags(pred, names, before)

    def branch(run, truth):
        def outcome():
            set_state(tuple([truth if flag else value for value, flag in zip(before, flags, strict=True)]))
            run()
            return get_state()[:count]

        return outcome

    try:
        after = Branches(pred, branch(body, False), branch(orelse, True), names[:count]).result()
    except BaseException:
        set_state(before)
        raise
    set_state((*after, *before[count:]))


def _negated_flags(pred, names, before):
    """For each variable whether the condition is `not` of it and it is a flag of the conversion, which both branches then know."""
    node = pred.node if isinstance(pred, SymbolicTensor) and pred._graph() is not None else None
    if node is None or node.op is not P.logical_not:
        return [False] * len(names)
    (flag,) = node.inputs
    return [
        is_internal(name) and isinstance(x, SymbolicTensor) and (x is flag or pred.graph.own(x) is flag)
        for name, x in zip(names, before, strict=True)
    ]


def if_exp(test, if_true, if_false, text):
    """A conditional expression; `text` is the source of its condition."""
    pred = symbolic(test)
    if pred is None:
        return if_true() if test else if_false()
    pred = scalar_condition(pred, "conditional expression")
    return Branches(pred, lambda: (if_true(),), lambda: (if_false(),), (text,)).result()[0]


class _Again(Exception):
    """The branch that was traced first is traced again, with values for what it lacks, now that the other tells of them."""


class Branches:
    """Two branches of a symbolic condition that end with values for the same variables.

    A branch that returns need not have a value for every variable, as nothing reads them after it: zeros stand there.

    Args:
        pred: the condition.
        main, other: functions without arguments that run a branch and return the values, as a tuple.
        names: the names of the variables.
    """

    def __init__(self, pred, main, other, names):
        self.pred = pred
        self.runs = {"main": main, "else": other}
        self.names = names
        self.ends = {}
        self.zeros = {}  # by name, for what the branch that is traced first lacks

    def result(self):
        """The variables after the statement, as a tuple."""
        try:
            computed = iter(self._choose())
        except _Again:
            self.ends = {}
            computed = iter(self._choose())
        return tuple(
            [self._merged(*ends, computed) for ends in zip(self.names, self.ends["main"], self.ends["else"], strict=True)]
        )

    def _choose(self):
        return choose(self.pred, lambda: self._traced("main"), lambda: self._traced("else"))

    def _traced(self, which):
        """Run one branch; returns the tensors at its end. The branch that is traced second is compared with the first."""
        ends = [
            self.zeros.get(name, end) if is_missing(end) else end
            for name, end in zip(self.names, self.runs[which](), strict=True)
        ]
        self.ends[which] = ends
        if len(self.ends) == 2:
            self._level(which)
            for name, main, orelse in zip(self.names, self.ends["main"], self.ends["else"], strict=True):
                if not is_missing(main) and not is_missing(orelse):
                    self._check(name, main, orelse)
        return [as_value(leaf) for end in ends for leaf in leaves_of(end) if is_value(leaf)]

    def _level(self, second):
        """Give each branch a value for what only the other has, where nothing can read it."""
        first = "else" if second == "main" else "main"
        for position, name in enumerate(self.names):
            ends = {which: self.ends[which][position] for which in (first, second)}
            lacking = [which for which in (first, second) if is_missing(ends[which])]
            if len(lacking) != 1 or None in ends.values():  # a bare `return` returns None, as no return at all does
                continue
            (which,) = lacking
            if isinstance(ends[which], UndefinedReturnValue):
                note_unreturned(
                    f"the {which} branch must also have a return statement: a value is returned in the other branch of the "
                    "condition at"
                )
            elif not self._has_returned(which):
                self._refuse_missing(name, which)
            zeros = like(ends[first if which == second else second])
            if which == second:
                self.ends[second][position] = zeros
            else:
                self.zeros[name] = zeros
        if self.zeros and any(
            is_missing(end) and name in self.zeros for name, end in zip(self.names, self.ends[first], strict=True)
        ):
            raise _Again

    def _has_returned(self, which):
        return any(
            name.startswith("do_return") and end is True for name, end in zip(self.names, self.ends[which], strict=True)
        )

    def _refuse_missing(self, name, branch):
        opposite = "else" if branch == "main" else "main"
        raise ValueError(
            f"{quoted(name)} must also be initialized in the {branch} branch: the condition at {user_line()} is a tensor, so that "
            f"both branches are traced, and only the {opposite} branch sets '{name}'. Set it there too, or before."
        )

    def _check(self, name, main, orelse):
        self._check_structure(name, main, orelse)
        for a, b in zip(nest.flatten(main), nest.flatten(orelse), strict=True):
            self._check_leaf(name, a, b)

    def _check_structure(self, name, main, orelse):
        try:
            nest.assert_same_structure(main, orelse)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{quoted(name)} must have the same nested structure in the main and else branches of the condition at {user_line()}:"
                f"\n\n{error}"
            ) from None

    def _check_leaf(self, name, main, orelse):
        if main is orelse:
            return
        for value, branch in ((main, "main"), (orelse, "else")):
            if value is None:
                other = described(orelse if branch == "main" else main)
                raise ValueError(
                    f"{quoted(name)} is None at the end of the {branch} branch. It is {other} at the end of the other, and the "
                    f"condition at {user_line()} is a tensor: give it a tensor in both branches."
                )
        if not is_value(main) or not is_value(orelse):
            raise TypeError(
                f"{quoted(name)} is {described(main)} in the main branch, but {described(orelse)} in the else branch of the condition "
                f"at {user_line()}, which is a tensor: only tensors can depend on it."
            )
        a, b = as_value(main), as_value(orelse)
        if getattr(a, "dtype", None) is not getattr(b, "dtype", None):
            raise TypeError(
                f"{quoted(name)} has dtype {a.dtype.name} in the main branch, but dtype {b.dtype.name} in the else branch of the "
                f"condition at {user_line()}. Use tf.cast in one of them."
            )

    def _merged(self, name, main, orelse, computed):
        """A variable after the statement; `computed` gives the results of the condition for its leaves."""
        if is_missing(main):
            return main
        parts = []
        for a, b in zip(nest.flatten(main), nest.flatten(orelse), strict=True):
            result = next(computed) if is_value(a) else a
            same = a is b and (not isinstance(a, (int, float, str)) or is_internal(name))
            parts.append(a if same else result)
        return nest.pack_sequence_as(main, parts)


def like(value):
    """Zeros in the place of a value that nothing reads."""
    return nest.map_structure(_zeros, value)


def _zeros(x):
    if not is_value(x):
        return x
    x = as_value(x)
    if isinstance(x, Tensor):
        return unused(x.spec)
    if isinstance(x, Flow):
        return x._from_flow(unused(x._to_flow().spec))
    parts = nest.flatten(x, expand_composites=True)
    return nest.pack_sequence_as(x, [_zeros(part) for part in parts], expand_composites=True)


def not_(x):
    """`not x`."""
    value = symbolic(x)
    return not x if value is None else P.logical_not(value)


def and_(a, b):
    """`a() and b()`; `b` is not called where `a()` is false."""
    left = a()
    pred = symbolic(left)
    if pred is None:
        return left and b()
    return _lazy(pred, b, lambda: pred, "and")


def or_(a, b):
    """`a() or b()`; `b` is not called where `a()` is true."""
    left = a()
    pred = symbolic(left)
    if pred is None:
        return left or b()
    return _lazy(pred, lambda: pred, b, "or")


def _lazy(pred, main, orelse, word):
    pred = scalar_condition(pred, f"`{word}`")
    return Branches(pred, lambda: (main(),), lambda: (orelse(),), (f"the result of `{word}`",)).result()[0]


def eq(a, b):
    """`a == b`, element by element for tensors."""
    return a == b


def not_eq(a, b):
    """`a != b`, element by element for tensors."""
    return a != b


def assert_stmt(test, message):
    """An assert statement; `message` is a function that gives what to say."""
    condition = symbolic(test)
    if condition is None:
        assert test, message()
        return
    text = message()
    parts = text if isinstance(text, (list, tuple)) else [text]
    values = [as_value(part) for part in parts if isinstance(part, (Tensor, Variable))]
    texts = tuple([None if isinstance(part, (Tensor, Variable)) else str(part) for part in parts])
    P.assert_that(scalar_condition(condition, "assert statement"), *values, texts=texts, summarize=3)


__all__ = [
    "Branches", "and_", "assert_stmt", "choose", "eq", "if_exp", "if_stmt", "like", "not_", "not_eq", "or_",
    "scalar_condition", "symbolic",
]  # fmt: skip
