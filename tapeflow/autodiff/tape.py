"""`GradientTape`: a list of records of what was computed from watched tensors, and the gradients read off it."""

import contextlib
import enum
import itertools
import logging
import threading

from tapeflow.base import nest
from tapeflow.core.backward import add_cotangents, pull_back
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.state import Idle, Mark, active_ids, next_serial, start, state, stop
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable

log = logging.getLogger("tapeflow")
next_id = itertools.count(1).__next__
_marking = threading.Lock()


class UnconnectedGradients(enum.Enum):
    """What `gradient` gives for a source that the target does not depend on: None or zeros."""

    NONE = "none"
    ZERO = "zero"


def watch_tensor(tensor, recorder_id):
    """Mark `tensor` as watched; returns its `Mark`, which stays the same for as long as the tensor lives."""
    ids = state.ids
    with _marking:
        mark = tensor._mark
        if mark is None or mark.__class__ is Idle:
            mark = tensor._mark = Mark()
        watchers = [i for i in mark.watchers if i in active_ids]
        if recorder_id not in watchers:
            watchers.append(recorder_id)
        mark.watchers = ids if len(watchers) == len(ids) and set(watchers) == set(ids) else tuple(watchers)
    state.idle = None
    return mark


class GradientTape:
    """Records ops on watched tensors for automatic differentiation.

    Trainable variables are watched by themselves, tensors by `watch`. The tape owns what it recorded: a tensor that
    outlives it keeps nothing of the computation alive, and dropping the tape frees its memory at once.

    Args:
        persistent: whether `gradient` and `jacobian` may be called more than once.
        watch_accessed_variables: whether trainable variables are watched when they are read.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.constant(3.0)
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> tape.gradient(y, x)
        <tf.Tensor: shape=(), dtype=float32, numpy=6.0>
    """

    def __init__(self, persistent=False, watch_accessed_variables=True):
        self.id = next_id()
        self._recording = False
        self._persistent = persistent
        self._watch_accessed_variables = watch_accessed_variables
        self._used = False
        self._clear()

    def _clear(self):
        self._records = []
        self._leaves = {}  # id(mark) -> (mark, the serial of the moment it was watched)
        self._variables = {}  # id(variable) -> (variable, the marks of its readings)

    # Recording

    def __enter__(self):
        self._start()
        return self

    def __exit__(self, *exc):
        if self._recording:
            self._stop()

    def _start(self):
        if self._recording:
            raise ValueError("Tape is still recording, This can happen if you try to re-enter an already-active tape.")
        self._recording = True
        start(self)
        if self._leaves:  # entered again: marks may have forgotten this tape in the meantime
            marks = [mark for mark, _ in self._leaves.values()]
            marks += [mark for record in self._records for mark in record[3]]
            for mark in marks:
                if self.id not in mark.watchers:
                    mark.watchers = (*mark.watchers, self.id)

    def _stop(self):
        self._recording = False
        stop(self)

    def note(self, record, inputs, outputs):
        """Keep a record; `bind` calls it for ops on watched tensors."""
        self._records.append(record)

    def watch(self, tensor):
        """Trace a tensor, a variable, or a nest of them.

        Raises:
            ValueError: something that is neither a tensor nor a variable.
        """
        for x in nest.flatten(tensor, expand_composites=True):
            handle = _handle(x)
            if not isinstance(handle, (Tensor, Variable)):
                raise ValueError(
                    f"Passed in object {x!r} of type {type(x).__name__!r}, not tf.Tensor or tf.Variable or ExtensionType."
                )
            if not handle.dtype.is_trainable:
                log.warning("The dtype of the watched tensor must be floating (e.g. tf.float32), got %r", handle.dtype)
            elif isinstance(handle, Variable):
                handle._watchable = True
                self._variables.setdefault(id(handle), (handle, []))
                handle._read()
            else:
                self._watch(handle)

    def _watch(self, tensor):
        mark = watch_tensor(tensor, self.id)
        if id(mark) not in self._leaves:
            self._leaves[id(mark)] = (mark, next_serial())
        return mark

    def watch_variable(self, variable, tensor):
        """Note that `tensor` was read from `variable`; variables call it while the tape records."""
        entry = self._variables.get(id(variable))
        if entry is None:
            if not (self._watch_accessed_variables and variable.trainable):
                return
            entry = self._variables[id(variable)] = (variable, [])
        mark = tensor._mark
        if mark is None or self.id not in mark.watchers:
            mark = self._watch(tensor)
            entry[1].append(mark)

    def watched_variables(self):
        """The variables watched so far, in the order of their first reading."""
        return tuple(variable for variable, _ in self._variables.values())

    @contextlib.contextmanager
    def stop_recording(self):
        """Within the context the tape records nothing.

        Raises:
            RuntimeError: the tape is not recording.
        """
        if not self._recording:
            raise RuntimeError("Cannot stop recording: the tape is not recording.")
        self._stop()
        try:
            yield
        finally:
            self._start()

    def reset(self):
        """Forget everything recorded and watched so far."""
        recording = self._recording
        if recording:
            self._stop()
        self._clear()
        self._used = False
        if recording:
            self._start()

    # Gradients

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients=UnconnectedGradients.NONE):
        """The gradient of the sum of `target` with respect to each of `sources`.

        Args:
            target: a tensor or a nest of tensors.
            sources: a tensor or variable, or a nest of them, that the tape watched.
            output_gradients: for each target the cotangent to start from, or None for ones.
            unconnected_gradients: `UnconnectedGradients.NONE` or `ZERO`.

        Returns:
            A nest like `sources` of tensors of the sources' shapes, `IndexedSlices`, or None (see `explain`).

        Raises:
            RuntimeError: a tape that is not persistent was asked before.
            ValueError: a source is no tensor or variable, or `unconnected_gradients` is none of the two.
        """
        if unconnected_gradients.__class__ is not UnconnectedGradients:
            unconnected_gradients = UnconnectedGradients(unconnected_gradients)
        self._check_use(sources)
        targets = _targets(target)
        flat_sources = nest.flatten(sources, expand_composites=True)
        handles = [_checked_source(x) for x in flat_sources]
        seeds = _seeds(targets, _flat_output_gradients(output_gradients, target, targets))
        gradients = self._pull_back(seeds, handles)
        if unconnected_gradients is UnconnectedGradients.ZERO:
            gradients = [
                P.zeros_like(convert_to_tensor(x)) if g is None else g for g, x in zip(gradients, handles, strict=True)
            ]
        self._finish()
        return nest.pack_sequence_as(sources, gradients, expand_composites=True)

    def _check_use(self, sources):
        if self._used and not self._persistent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients (or jacobians). "
                "Make it with tf.GradientTape(persistent=True) to ask more than once."
            )
        if sources is None:
            raise TypeError("Argument `sources` must be a tensor, a variable or a nest of them, got None.")
        if self._recording:
            if self._persistent:
                log.warning(
                    "Calling GradientTape.gradient on a persistent tape inside its context is slower and takes more memory "
                    "than outside: the gradient's ops are recorded too. Do so only for higher order derivatives."
                )
            else:
                self._stop()

    def _finish(self):
        self._used = True
        if not self._persistent:
            self._records = []

    def _pull_back(self, seeds, handles):
        """The cotangent of each source (a tensor or `Variable`), None where nothing reaches it."""
        marks = [self._marks_of(handle) for handle in handles]
        cotangents = pull_back(self._records, seeds, [mark for some in marks for mark in some])
        return [_total([cotangents[id(mark)] for mark in some if id(mark) in cotangents]) for some in marks]

    def _marks_of(self, handle):
        """The marks by which this tape knows a source."""
        if isinstance(handle, Variable):
            return self._variables.get(id(handle), (None, ()))[1]
        mark = handle._mark
        if mark is None:
            return ()
        known = id(mark) in self._leaves or any(mark is out for record in self._records for out in record[3])
        return (mark,) if known else ()


def _total(cotangents):
    total = None
    for g in cotangents:
        total = g if total is None else add_cotangents(total, g)
    return total


def _handle(x):
    """The tensor, or the variable behind what acts as one (Keras's variables do)."""
    if isinstance(x, (Tensor, Variable)):
        return x
    return x.handle if getattr(x, "_should_act_as_resource_variable", None) is not None else x


def _checked_source(x):
    handle = _handle(x)
    if not isinstance(handle, (Tensor, Variable)):
        raise ValueError(
            f"Passed in object {x!r} of type {type(x).__name__!r}, not tf.Tensor or tf.Variable or ExtensionType: "
            "a gradient is taken with respect to these."
        )
    if not handle.dtype.is_trainable:
        log.warning("The dtype of the source tensor must be floating (e.g. tf.float32) when calling GradientTape.gradient, got %r", handle.dtype)
    return handle


def _targets(target):
    targets = []
    for x in nest.flatten(target, expand_composites=True):
        handle = _handle(x)
        if handle is None:
            raise TypeError("Argument `target` must be a tensor or a nest of tensors, got None.")
        tensor = handle._read() if isinstance(handle, Variable) else convert_to_tensor(handle)
        if not tensor.dtype.is_trainable:
            log.warning("The dtype of the target tensor must be floating (e.g. tf.float32) when calling GradientTape.gradient, got %r", tensor.dtype)
        targets.append(tensor)
    return targets


def _flat_output_gradients(output_gradients, target, targets):
    if output_gradients is None:
        return [None] * len(targets)
    flat = nest.flatten(output_gradients, expand_composites=True)
    if len(flat) != len(targets):
        raise ValueError(f"output_gradients has {len(flat)} tensors, target has {len(targets)}.")
    return flat


def _seeds(targets, output_gradients):
    """Pairs (mark, cotangent) of the targets that carry a gradient."""
    seeds = []
    for target, g in zip(targets, output_gradients, strict=True):
        if target._mark is None or not target.dtype.is_trainable:
            continue
        if g is None:
            seeds.append((target._mark, P.ones_like(target)))
            continue
        g = convert_to_tensor(g, target.dtype)
        if not g.shape.is_compatible_with(target.shape):
            raise ValueError(f"The output gradient has shape {g.shape}, its target {target.shape}.")
        seeds.append((target._mark, g))
    return seeds
