"""What each thread is doing right now: who records, which graph is being traced, whether lines are tracked."""

import contextlib
import itertools
import threading

from tapeflow.base import flags

next_serial = itertools.count(1).__next__


class Active:
    """Who records in a thread: one object, replaced whenever anything of it changes, so that ops ask the thread only once.

    Attributes:
        recorders: the active tapes and accumulators, outermost first.
        ids: their ids; a `Mark` made while they are active shares this tuple.
        plain: nothing is traced or batched, and no lines are tracked.
        keepers: how each recorder keeps a record, where that is all it does (see `keep` of recorders), and `plain`; else None.
        idle: the mark for results of ops on nothing watched (see `Idle`); None, to be made anew, when what is watched changes.
    """

    __slots__ = ("idle", "ids", "keepers", "plain", "recorders")

    def __init__(self, recorders, plain):
        self.recorders = recorders
        self.plain = plain
        self.idle = None
        if len(recorders) == 1:  # the usual case, without the cost of comprehensions
            (recorder,) = recorders
            self.ids = (recorder.id,)
            self.keepers = (recorder.keep,) if plain and recorder.keep is not None else None
        else:
            self.ids = tuple([recorder.id for recorder in recorders])
            keepers = tuple([recorder.keep for recorder in recorders])
            self.keepers = keepers if plain and keepers and None not in keepers else None


NOBODY = Active((), True)  # the usual case; what threads share is never changed


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
        self.active = Active((), False) if self.lines else NOBODY

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

    __slots__ = ("watchers",)

    def __init__(self, watchers=()):
        self.watchers = watchers


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


# The mark of constants that many operands share (see `constant` in convert.py): nobody can watch them.
CONSTANT = Idle()

# What is going on in any thread: the ids of the recorders that were started (a mark may forget all others), and an object for
# each thread that traces or maps. While it is empty, ops need not ask any further.
ongoing: set[object] = set()


def set_recorders(recorders):
    """Make `recorders` (a tuple, outermost first) the active ones of this thread."""
    state.active = Active(recorders, state.active.plain)


def settle():
    """Bring the state up to date after `scope` or `lines` was set."""
    state.active = Active(state.active.recorders, state.scope is None and not state.lines)
    if state.scope is not None:
        ongoing.add(state.thread)
    else:
        ongoing.discard(state.thread)


def start(recorder):
    """Add the innermost recorder."""
    active = state.active
    ongoing.add(recorder.id)
    state.active = Active((*active.recorders, recorder), active.plain)


def stop(recorder):
    """Take a recorder out; it may be any of the active ones."""
    ongoing.discard(recorder.id)
    active = state.active
    recorders = active.recorders
    if recorders == (recorder,) and active.plain:
        state.active = NOBODY
    else:
        state.active = Active(tuple([other for other in recorders if other is not recorder]), active.plain)


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
