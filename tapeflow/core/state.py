"""What each thread is doing right now: who records, which graph is being traced, whether lines are tracked."""

import contextlib
import itertools
import threading

from tapeflow.base import flags

next_serial = itertools.count(1).__next__
next_level = itertools.count(1).__next__  # of what takes ops over: graphs and batches, the innermost has the highest


class _State(threading.local):
    """The interpreter state of one thread.

    Attributes:
        busy: False when nothing records and nothing is traced, so that `bind` asks one question only.
        recorders: the active tapes and accumulators, outermost first.
        ids: the ids of `recorders`; a `Mark` made while they are active shares this tuple.
        graph: the `Graph` being traced, or None when eager.
        scope: what takes stateful ops and ops with symbols in their attrs: the innermost of the graph being traced and the
            batches being mapped; None when eager.
        lines: whether records keep the user's file and line.
        scopes: the open name scopes.
        creators: the open `tf.variable_creator_scope`s, outermost first.
        idle: the mark for results of ops on nothing watched (see `Idle`); None, to be made anew, when what is watched changes.
    """

    def __init__(self):
        self.thread = object()  # stands for this thread in `busy_threads`

    busy = False
    recorders = ()
    ids = ()
    graph = None
    scope = None
    lines = flags.DEBUG > 0
    scopes = ()
    creators = ()
    idle = None


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


# Ids of the recorders started in any thread: a mark may forget all others.
active_ids: set[int] = set()


def set_recorders(recorders):
    """Make `recorders` (a tuple, outermost first) the active ones of this thread."""
    state.recorders = recorders
    state.ids = tuple([recorder.id for recorder in recorders])
    state.idle = None
    settle()


# The threads in which something records or is traced: while it is empty, operators need not ask any further.
busy_threads: set[object] = set()


def settle():
    """Bring `busy` up to date after `recorders` or `scope` was set."""
    state.busy = busy = bool(state.recorders) or state.scope is not None
    if busy:
        busy_threads.add(state.thread)
    else:
        busy_threads.discard(state.thread)


def start(recorder):
    """Add the innermost recorder."""
    state.recorders += (recorder,)
    state.ids += (recorder.id,)
    state.idle = None
    state.busy = True
    busy_threads.add(state.thread)
    active_ids.add(recorder.id)


def stop(recorder):
    """Take a recorder out; it may be any of the active ones."""
    set_recorders(tuple([other for other in state.recorders if other is not recorder]) if len(state.ids) > 1 else ())
    active_ids.discard(recorder.id)


@contextlib.contextmanager
def recording(recorders):
    """Within the context exactly `recorders` are active."""
    before = state.recorders
    set_recorders(tuple(recorders))
    try:
        yield
    finally:
        set_recorders(before)


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
    try:
        yield
    finally:
        state.lines = before
