"""What each thread is doing right now: who records, which graph is being traced, whether lines are tracked."""

import contextlib
import functools
import itertools
import threading
from collections.abc import Callable

from tapeflow.base import flags

next_serial = itertools.count(1).__next__
next_level = itertools.count(1).__next__  # of what takes ops over: graphs and batches, the innermost has the highest


class Active:
    """Who records in a thread: one object, replaced whenever anything of it changes, so that ops ask the thread only once.

    Attributes:
        recorders: the active tapes and accumulators, outermost first.
        ids: their ids; a `Mark` made while they are active shares this tuple.
        plain: nothing is traced or batched, and no lines are tracked.
        keep: the function that keeps a record for all recorders, where that is all they do with an op (their `_records` are
            not None), and `plain`; else None.
        leaves: for each recorder the dict of what it watches, where they are all tapes that watch what is read and `keep` is
            not None; else None.
        idle: the mark for results of ops on nothing watched (see `Idle`); None, to be made anew, when what is watched changes.
        outer: what was active before the innermost recorder started and is to be active again when it stops, if that is known.
    """

    __slots__ = ("idle", "ids", "keep", "leaves", "outer", "plain", "recorders")  # and no __init__, see `Mark`
    recorders: tuple
    ids: tuple
    plain: bool
    keep: Callable | None
    leaves: tuple | None
    idle: "Idle | None"
    outer: "Active | None"


def active_of(recorders, plain):
    """The `Active` of some recorders, outermost first."""
    if plain and not recorders:
        return NOBODY
    active = Active()
    active.recorders = recorders
    active.ids = tuple([recorder.id for recorder in recorders])
    active.plain = plain
    appends = [recorder._records.append for recorder in recorders if recorder._records is not None]
    active.keep = functools.reduce(_both, appends) if plain and len(appends) == len(recorders) else None
    active.leaves = None
    if active.keep is not None and all(recorder._watch_accessed_variables for recorder in recorders):
        active.leaves = tuple([recorder._leaves for recorder in recorders])
    active.idle = active.outer = None
    return active


def _both(first, second):
    return functools.partial(_keep, first, second)


def _keep(first, second, record):
    first(record)
    second(record)


NOBODY = Active()  # the usual case; shared by all threads
NOBODY.recorders = NOBODY.ids = ()
NOBODY.plain = True
NOBODY.keep = NOBODY.leaves = NOBODY.idle = NOBODY.outer = None


class _State(threading.local):
    """The interpreter state of one thread.

    Attributes:
        active: who records.
        graph: the `Graph` being traced, or None when eager.
        scope: what takes stateful ops and ops with symbols in their attrs: the innermost of the graph being traced and the
            batches being mapped; None when eager.
        lines: whether records keep the user's file and line.
        scopes: the open name scopes.
        creators: the open `tf.variable_creator_scope`s, outermost first.
    """

    def __init__(self):
        self.thread = object()  # stands for this thread in `ongoing`
        self.active = active_of((), not self.lines)

    graph = None
    scope = None
    lines = flags.DEBUG > 0
    scopes = ()
    creators = ()
    recorders = property(lambda self: self.active.recorders, doc="The active tapes and accumulators, outermost first.")
    ids = property(lambda self: self.active.ids, doc="The ids of `recorders`.")


state = _State()


class Mark:
    """What recorders know a tensor by; it holds no data, so that a record keeps no tensor alive.

    Attributes:
        watchers: ids of the recorders that watch the tensor (those active when it was last marked).
    """

    __slots__ = ("watchers",)  # and no __init__: one is made for each recorded op, and calling Python doubles the cost


def new_mark(watchers=()):
    """A `Mark` with these watchers."""
    mark = Mark()
    mark.watchers = watchers
    return mark


class Idle(Mark):
    """The mark of tensors computed, while recorders were active, from nothing that they watch.

    Attributes:
        ids: the ids of the recorders that were active.
        serial: grows with every change of what is watched: it tells a use before a watch from one after it.
    """

    __slots__ = ("ids", "serial")

    def __init__(self):
        self.watchers = ()
        self.ids = state.ids
        self.serial = next_serial()


# The mark of constants: of those that many operands share (see `constant` in convert.py), and of those that were made while a
# function is traced, by which they are told from tensors from outside. Nobody watches them.
CONSTANT = Idle()

# What is going on in any thread: the ids of the recorders that were started (a mark may forget all others), and an object for
# each thread that traces or maps. While it is empty, ops need not ask any further.
ongoing: set[object] = set()
scoped: set[object] = set()  # of these, the threads that trace or map


def within_trace():
    """Whether a function is being traced, which takes tensors from outside as inputs, not as constants."""
    graph = state.graph
    return graph is not None and graph.by_reference


def set_recorders(recorders):
    """Make `recorders` (a tuple, outermost first) the active ones of this thread."""
    state.active = active_of(tuple(recorders), state.active.plain)


def settle():
    """Bring the state up to date after `scope` or `lines` was set."""
    state.active = active_of(state.active.recorders, state.scope is None and not state.lines)
    if state.scope is not None:
        ongoing.add(state.thread)
        scoped.add(state.thread)
    else:
        ongoing.discard(state.thread)
        scoped.discard(state.thread)


def start(recorder):
    """Add the innermost recorder."""
    outer, records = state.active, recorder._records
    ongoing.add(recorder.id)
    active = Active()  # `active_of`, in line
    active.keep = active.leaves = active.idle = None
    active.outer = outer
    if outer is NOBODY:
        active.recorders = (recorder,)
        active.ids = (recorder.id,)
        active.plain = True
        if records is not None:
            active.keep = records.append
            if recorder._watch_accessed_variables:
                active.leaves = (recorder._leaves,)
    else:
        active.recorders = (*outer.recorders, recorder)
        active.ids = (*outer.ids, recorder.id)
        active.plain = outer.plain
        if records is not None and outer.keep is not None:
            active.keep = functools.partial(_keep, outer.keep, records.append)
            if outer.leaves is not None and recorder._watch_accessed_variables:
                active.leaves = (*outer.leaves, recorder._leaves)
    state.active = active


def stop(recorder):
    """Take a recorder out; it may be any of the active ones."""
    active = state.active
    if active.outer is not None and active.recorders[-1] is recorder:
        state.active = active.outer
    else:
        state.active = active_of(tuple([other for other in active.recorders if other is not recorder]), active.plain)
    ongoing.discard(recorder.id)


@contextlib.contextmanager
def recording(recorders):
    """Within the context exactly `recorders` are active."""
    before, token = state.recorders, object()
    ongoing.add(token)  # these may never have been started
    set_recorders(tuple(recorders))
    try:
        yield
    finally:
        set_recorders(before)
        ongoing.discard(token)


def paused():
    """Within the context nothing records."""
    return recording(())


@contextlib.contextmanager
def tracing(graph):
    """Within the context ops are added to `graph`; None makes the context eager."""
    before = state.graph, state.scope
    state.graph = state.scope = graph
    settle()
    try:
        yield graph
    finally:
        state.graph, state.scope = before
        settle()


@contextlib.contextmanager
def batching(batch):
    """Within the context stateful ops run once for each example of `batch`."""
    before = state.scope
    state.scope = batch
    settle()
    try:
        yield batch
    finally:
        state.scope = before
        settle()


@contextlib.contextmanager
def tracking_lines(track=True):
    """Within the context every record keeps the user's file and line (slower recording)."""
    before = state.lines
    state.lines = track
    settle()
    try:
        yield
    finally:
        state.lines = before
        settle()
