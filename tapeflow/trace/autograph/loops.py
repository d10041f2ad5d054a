"""Loops as converted code writes them: Python's where Python can run them, `tf.while_loop` over tensors while a graph is traced."""

from tapeflow.autodiff import vectorize_control
from tapeflow.base import nest
from tapeflow.base.dtypes import int32
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.base.shape import TensorShape
from tapeflow.core.composite import Composite
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.graph import SymbolicTensor
from tapeflow.core.primitive import P
from tapeflow.core.record import user_line
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable
from tapeflow.trace import control
from tapeflow.trace.autograph.branches import choose, if_stmt, like, scalar_condition, symbolic
from tapeflow.trace.autograph.checks import check_iteration, check_start, shapes_of
from tapeflow.trace.autograph.rows import rows_of
from tapeflow.trace.autograph.scopes import note_unreturned
from tapeflow.trace.autograph.status import overload_of
from tapeflow.trace.autograph.variables import (
    Undefined,
    UndefinedReturnValue,
    as_value,
    is_internal,
    is_missing,
    is_value,
    leaves_of,
)
from tapeflow.trace.func_graph import FuncGraph
from tapeflow.trace.structure import Flow

UNROLL_LIMIT = 1000  # iterations of a Python loop that a condition without a value may leave


def while_stmt(test, body, get_state, set_state, names, options):
    """A while statement.

    Args:
        test: a function that gives the condition.
        body: a function that runs an iteration.
        get_state, set_state: read and write the variables that the loop assigns, as a tuple.
        names: the names of these variables.
        options: what `set_loop_options` says, by name.
    """
    if state.scope is None:
        while test():
            body()
        return
    go_on = _first_test(test)
    while not isinstance(go_on, (Tensor, Variable)):
        if not go_on:
            return
        body()
        go_on = test()
    Loop(test, body, get_state, set_state, names, options).run()  # it computes the condition again


def _first_test(test):
    """The condition before the loop, computed aside."""
    if state.graph is None:
        return test()
    with FuncGraph("test").as_default():
        return test()


def for_stmt(iterable, extra_test, body, get_state, set_state, names, options):
    """A for statement.

    Args:
        iterable: what it iterates over.
        extra_test: None, or a function that says whether to go on, where there is a `break` or `return`.
        body: a function that runs the iteration for one value.
        get_state, set_state, names, options: as for `while_stmt`.
    """
    loop = overload_of("for", iterable)
    if loop is not None and state.graph is not None:
        loop(iterable, extra_test, body, get_state, set_state, names, options)
        return
    rows = rows_of(iterable) if state.graph is not None else None
    if rows is not None:
        _for_rows(rows, extra_test, body, get_state, set_state, names, options)
        return
    if extra_test is None:
        for value in iterable:
            body(value)
    else:
        _python_loop(iterable, extra_test, body, get_state, set_state, names)


def _python_loop(iterable, extra_test, body, get_state, set_state, names):
    """A Python loop with `break` or `return`. Once that depends on a tensor without a value, each iteration is a branch."""
    branches = 0
    if symbolic(extra_test()) is None and not extra_test():
        return
    for value in iterable:
        go_on = extra_test()
        if symbolic(go_on) is not None:
            branches += 1
            if branches > UNROLL_LIMIT:
                raise NotImplementedError(
                    "break and return statements which depend on a TF condition are not supported in Python for loops of more than "
                    f"{UNROLL_LIMIT} iterations ({user_line()}). Did you intend to make it a TF loop? Iterate over a tensor: "
                    "`for i in tf.range(n)` in place of `for i in range(n)`."
                )
            if_stmt(go_on, lambda: body(value), lambda: None, get_state, set_state, names, len(names))  # noqa: B023
            continue
        if not go_on:
            return
        body(value)
        go_on = extra_test()
        if symbolic(go_on) is None and not go_on:
            return  # before the next value is taken


def _for_rows(rows, extra_test, body, get_state, set_state, names, options):
    """The loop over what can be indexed: it counts."""
    count = rows.count()
    index = convert_to_tensor(0, int32)

    def get_all():
        variables = get_state()
        if rows.start is not None:  # as in Python, the variable of an empty loop stays; a graph needs some value for it
            variables = tuple(
                [
                    rows.start if name == options["iterate_names"] and isinstance(value, Undefined) else value
                    for name, value in zip(names, variables, strict=True)
                ]
            )
        return (index, *variables)

    def set_all(values):
        nonlocal index
        index, *variables = values
        set_state(tuple(variables))

    def step():
        nonlocal index
        body(rows.item(index))
        index = index + 1

    def test():
        return going_on(index < count, extra_test)

    loop = Loop(test, step, get_all, set_all, ("<the iteration>", *names), options)
    loop.runs_at_least_once = isinstance(count, int) and count > 0
    loop.run()


def going_on(main, extra_test):
    """The condition of a for loop that also ends with a `break` or `return`."""
    extra = True if extra_test is None else extra_test()
    if extra is True:
        return main
    return P.logical_and(convert_to_tensor(main), convert_to_tensor(extra))


def for_iterator(iterator, extra_test, body, get_state, set_state, names, options):
    """The loop over an iterator of a dataset, which ends where there is no next element."""
    has_next = convert_to_tensor(True)

    def get_all():
        return (has_next, *get_state())

    def set_all(values):
        nonlocal has_next
        has_next, *variables = values
        set_state(tuple(variables))

    def step():
        nonlocal has_next
        if loop.aside:  # one iteration for its types
            body(iterator.get_next())
            return
        element = iterator.get_next_as_optional()
        has_next = element.has_value()
        before = get_all()

        def some():
            body(element.get_value())
            after = get_all()
            loop.check(before, after)
            return loop.flat(after)

        set_all(loop.packed(choose(has_next, some, lambda: loop.flat(before))))

    loop = Loop(lambda: going_on(has_next, extra_test), step, get_all, set_all, ("<the iterator>", *names), options)
    loop.run()


class Loop:
    """A loop that becomes `tf.while_loop`.

    Args:
        test, body, get_state, set_state, names, options: as for `while_stmt`.

    Attributes:
        runs_at_least_once: whether that is known.
        aside: whether the body is being traced for its types alone.
    """

    runs_at_least_once = False
    aside = False

    def __init__(self, test, body, get_state, set_state, names, options):
        self.test = test
        self.body = body
        self.get_state = get_state
        self.set_state = set_state
        self.names = names
        self.limit = options.get("maximum_iterations")
        self.original = self.start = get_state()
        self.invariants = self._invariants(options.get("shape_invariants", ()))
        self.failure = ""
        self.must_run = False  # where a variable has no value without an iteration

    def run(self):
        """Trace the loop and set the variables to what they are after it."""
        try:
            self._define_missing()
            for name, value, invariant in zip(self.names, self.start, self.invariants, strict=True):
                check_start(name, value, invariant, self.names, self.failure)
            self._loop()
        except BaseException as error:
            self.set_state(self.original)
            self._tell_of_numbers(error)
            raise

    def _tell_of_numbers(self, error):
        """Note in an error about dtypes which variables were Python numbers: in the loop they are tensors."""
        if not isinstance(error, (TypeError, InvalidArgumentError)) or getattr(error, "__notes__", None):
            return
        for name, value in zip(self.names, self.original, strict=True):
            dtype = as_value(value).dtype.name if isinstance(value, (int, float)) and not isinstance(value, bool) else None
            if dtype is not None and dtype in str(error):
                error.add_note(
                    f"In the loop at {user_line()} '{name}', which is {value!r} before it, is a tensor of dtype {dtype}. Start with "
                    "a number of the dtype that it is to have."
                )

    def _loop(self):
        """The loop variables are the values of `start`, and whether there was an iteration if some variable had none before."""
        flag = [convert_to_tensor(False)] if self.must_run else []
        kept = len(flag)

        def test(*values):
            self.set_state(self.packed(values[kept:]))
            return scalar_condition(self._as_condition(self.test()), "while loop")

        def body(*values):
            entry = self.packed(values[kept:])
            self.set_state(entry)
            self.body()
            after = tuple(self.get_state())
            self.check(entry, after)
            return [*[convert_to_tensor(True) for _ in flag], *self.flat(after)]

        values = [*flag, *self.flat(self.start)]
        if not values:  # a loop for its effects alone still needs a variable
            test, body, values = _with_dummy(test, body)
        results = self._while_loop(test, body, values, kept)
        if flag:
            self._require_iteration(results[0])
        self.set_state(self.packed(results[kept:]))
        self._settle_return()

    def _settle_return(self):
        """After `while True` with no way out but `return` it is known that the function has returned."""
        after = self.get_state()
        known = [
            isinstance(x, SymbolicTensor) and name.startswith("do_return") for name, x in zip(self.names, after, strict=True)
        ]
        if not any(known) or self.limit is not None:
            return
        self.set_state(tuple([False if found else x for x, found in zip(after, known, strict=True)]))
        endless = _first_test(self.test) is True
        self.set_state(tuple([True if found and endless else x for x, found in zip(after, known, strict=True)]))

    @staticmethod
    def _as_condition(value):
        found = symbolic(value)
        return convert_to_tensor(value) if found is None else found

    def _while_loop(self, test, body, values, kept):
        if state.graph is None or state.scope is not state.graph:
            limit = None if self.limit is None else int(self.limit)
            return vectorize_control.while_loop(test, body, values, limit)
        shapes = None
        if any(invariant is not None for invariant in self.invariants):
            shapes = [None] * kept + self._flat_invariants()
            shapes += [None] * (len(values) - len(shapes))
            shapes = [
                x.shape if shape is None and isinstance(x, Tensor) else shape
                for x, shape in zip(values, shapes, strict=True)
            ]
        return list(control.while_loop(test, body, values, shapes, self.limit))

    # Variables as a flat list of values

    def flat(self, variables):
        """The values among the leaves of the variables."""
        found = []
        for value, start in zip(variables, self.start, strict=True):
            carried = self._carried(start)
            found += [as_value(leaf) for leaf, keep in zip(leaves_of(value), carried, strict=True) if keep]
        return found

    def packed(self, values):
        """Variables nested as before the loop, with these values; other leaves stay what they were."""
        values = iter(values)
        result = []
        for start in self.start:
            if is_missing(start):
                result.append(start)
                continue
            leaves = [
                next(values) if keep else leaf for leaf, keep in zip(nest.flatten(start), self._carried(start), strict=True)
            ]
            result.append(nest.pack_sequence_as(start, leaves))
        return tuple(result)

    @staticmethod
    def _carried(start):
        return [is_value(leaf) for leaf in leaves_of(start)]

    # Variables without a value before the loop

    def _define_missing(self):
        """Give variables that the first iteration sets a value of that shape and dtype, so that they can be loop variables."""
        missing = [value is None or is_missing(value) for value in self.start]
        if not any(missing):
            return
        first = self._first_iteration()
        start = []
        for name, value, after, absent in zip(self.names, self.start, first or self.start, missing, strict=True):
            if not absent or after is None or is_missing(after):
                start.append(value)
                continue
            start.append(like(after))
            if isinstance(value, UndefinedReturnValue):
                note_unreturned("a return statement must also follow the loop: a value is returned within the loop at")
            self._widen(len(start) - 1, after)
            if not is_internal(name) and not self.runs_at_least_once:
                self.must_run = True
        self.start = tuple(start)

    def _widen(self, position, after):
        """Zeros stand for dimensions that are not known: the loop must not take them for the variable's shape."""
        parts = nest.flatten(after, expand_composites=True)
        if self.invariants[position] is None and any(
            isinstance(x, Tensor) and (x.dims is None or None in x.dims) for x in parts
        ):
            self.invariants[position] = nest.map_structure(_own_invariant, after)

    def _first_iteration(self):
        """The variables after one iteration, traced aside; None where that fails, which `failure` then explains."""
        self.failure = ""
        self.aside = True
        with FuncGraph("iteration").as_default() as graph:
            try:
                self.set_state(tuple([_stand_in(graph, *pair) for pair in zip(self.start, self.invariants, strict=True)]))
                self.body()
                return tuple(self.get_state())
            except (UnboundLocalError, TypeError, ValueError, KeyError) as error:
                self.failure = (
                    f"\nNote: AutoGraph tried to define it automatically, but ran into a {type(error).__name__}: {error}"
                )
            finally:
                self.aside = False
                self.set_state(self.original)
        return None

    def _require_iteration(self, ran):
        absent = [
            name
            for name, value in zip(self.names, self.original, strict=True)
            if (value is None or is_missing(value)) and not is_internal(name)
        ]
        P.assert_that(
            ran, texts=(f"loop must iterate at least once to initialize {', '.join(absent)} ({user_line()})",), summarize=3
        )

    def check(self, before, after):
        """Compare the variables before and after an iteration."""
        for item in zip(self.names, self.start, before, after, self.invariants, strict=True):
            check_iteration(*item)

    # Shape invariants

    def _invariants(self, pairs):
        """The user's invariant for each variable; they name variables by their values before the loop."""
        given = {id(value): shape for value, shape in pairs}
        return [given.get(id(value)) for value in self.start]

    def _flat_invariants(self):
        flat = []
        for start, invariant in zip(self.start, self.invariants, strict=True):
            shapes = [None] * len(leaves_of(start)) if invariant is None else shapes_of(invariant)
            flat += [shape for shape, keep in zip(shapes, self._carried(start), strict=True) if keep]
        return flat


def _with_dummy(test, body):
    def dummy_body(i):
        body()
        return [i]

    return (lambda i: test()), dummy_body, [convert_to_tensor(0, int32)]


def _own_invariant(x):
    """What is known of a leaf's shape, as a shape invariant."""
    return x.shape if isinstance(x, Tensor) else x._type_spec if isinstance(x, Composite) else None


def _stand_in(graph, value, invariant):
    """A loop variable as the loop will see it: without a value."""
    if is_missing(value):
        return value
    leaves = nest.flatten(value)
    shapes = [None] * len(leaves) if invariant is None else shapes_of(invariant)
    stand_ins = [_placeholder(graph, leaf, shape) for leaf, shape in zip(leaves, shapes, strict=True)]
    return nest.pack_sequence_as(value, stand_ins)


def _placeholder(graph, x, shape=None):
    if not is_value(x):
        return x
    x = as_value(x)
    if isinstance(x, Tensor):
        return graph.placeholder(x.dims if shape is None else TensorShape(getattr(shape, "shape", shape))._dims, x.dtype)
    if isinstance(x, Flow):
        return x._from_flow(_placeholder(graph, x._to_flow()))
    parts = nest.flatten(x, expand_composites=True)
    return nest.pack_sequence_as(x, [_placeholder(graph, part) for part in parts], expand_composites=True)


__all__ = ["Loop", "for_iterator", "for_stmt", "while_stmt"]
