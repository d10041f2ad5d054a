"""`GradientTape`: a list of records of what was computed from watched tensors, and the gradients read off it."""

import contextlib
import enum
import itertools

from tapeflow.autodiff.arguments import gradient_parts, handle_of, own_seeds, seeds_of, sources_of
from tapeflow.autodiff.history import History, steps_of
from tapeflow.base import nest
from tapeflow.base.log import log
from tapeflow.core.backward import add_cotangents, reachable, walk
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.record import add_watchers, own_mark, user_line
from tapeflow.core.state import next_serial, start, state, stop
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable

next_id = itertools.count(1).__next__
_warned: set[tuple] = set()


class UnconnectedGradients(enum.Enum):
    """What `gradient` gives for a source that the target does not depend on: None or zeros."""

    NONE = "none"
    ZERO = "zero"

    @classmethod
    def _missing_(cls, value):
        raise ValueError(f"Unknown value for unconnected_gradients: {value!r}; it is 'none' or 'zero'.")


NO_LEAF = (0, None)
NOT_CONNECTED = UnconnectedGradients.NONE


def warn_once(text, *args):
    """Log a warning the first time that it has these words."""
    if (text, *args) not in _warned:
        _warned.add((text, *args))
        log.warning(text, *args)


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
        self._persistent = persistent
        self._watch_accessed_variables = watch_accessed_variables
        self._records = []
        self._leaves = {}  # mark -> (the serial of the moment it was watched, the variable it is a reading of or None)
        self._asked = {}  # id(variable) -> variable, of those watched whatever their readings

    _watched = False  # whether `watch` was given a tensor: it may be a result, too
    _recording = False
    _entered = False
    _spent = True  # there is nothing to ask for: not recorded yet, or used
    _history = None  # what `explain` needs beyond the records

    def _clear(self):
        self._records, self._leaves, self._asked, self._history = [], {}, {}, None

    # Recording

    def __enter__(self):
        if self._entered:
            self._start()
        else:
            self._spent = False
            self._recording = self._entered = True
            start(self)
        return self

    def __exit__(self, *exc):
        if self._recording:
            self._recording = False
            stop(self)

    def _start(self):
        if self._recording:
            raise ValueError("Tape is still recording, This can happen if you try to re-enter an already-active tape.")
        if self._spent:
            if self._entered:
                self._clear()
            self._spent = False
        self._recording = self._entered = True
        start(self)
        if self._leaves:  # entered again: marks may have forgotten this tape in the meantime
            marks = list(self._leaves)
            marks += [mark for record in self._records for mark in record[3] if mark.watchers]
            for mark in marks:
                if self.id not in mark.watchers:
                    mark.watchers = (*mark.watchers, self.id)

    def _stop(self):
        if not self._recording:
            raise ValueError("Tape is not recording.")
        self._recording = False
        stop(self)

    def note(self, record, inputs, outputs):
        """Keep a record; `bind` calls it for ops on watched tensors."""
        self._records.append(record)

    def note_idle(self, op, origins, results, line):
        """Keep, while lines are tracked, what an op on unwatched tensors did: `explain` tells of it."""
        self._remember().idle.append((op, origins, results, line))

    def note_escape(self, tensor):
        """Note that the value of `tensor` was handed to Python; what comes of it there has no gradient."""
        if self.id in tensor._mark.watchers:
            self._remember().escapes.setdefault(id(tensor._mark), (tensor._mark, user_line() if state.lines else None))

    def _remember(self):
        if self._history is None:
            self._history = History()
        return self._history

    def watch(self, tensor):
        """Trace a tensor, a variable, or a nest of them.

        Raises:
            ValueError: something that is neither a tensor nor a variable.
        """
        for x in nest.flatten(gradient_parts(tensor), expand_composites=True):
            handle = handle_of(x)
            if not isinstance(handle, (Tensor, Variable)):
                raise ValueError(
                    f"Passed in object {x!r} of type {type(x).__name__!r}, not tf.Tensor or tf.Variable or ExtensionType."
                )
            if not handle.dtype.is_trainable:
                warn_once("The dtype of the watched tensor must be floating (e.g. tf.float32), got %r", handle.dtype)
            if isinstance(handle, Variable):
                handle._watchable = True
                self._asked[id(handle)] = handle
                handle._read()
            elif handle.dtype.is_trainable:
                self._watch(handle)

    def _watch(self, tensor):
        self._watched = True
        active = state.active
        add_watchers(self._add_leaf(tensor, active, None), (self.id,), active)

    def watch_variable(self, variable, tensor, active):
        """The mark of what was read from `variable`, if the tape watches it, else None; variables call it while it records."""
        if not (self._watch_accessed_variables and variable._trainable) and id(variable) not in self._asked:
            return None
        if not variable._dtype.is_trainable:
            self._asked[id(variable)] = variable
            return None
        mark = tensor._mark
        if mark is None or not mark.watchers or not active.plain:
            return self._add_leaf(tensor, active, variable)
        if mark not in self._leaves:  # `_add_leaf`, in line
            self._leaves[mark] = (next_serial(), variable)
            active.idle = None
        return mark

    def _add_leaf(self, tensor, active, variable):
        before = mark = tensor._mark
        if mark is None or not mark.watchers:
            mark = own_mark(tensor)
        if mark not in self._leaves:
            self._leaves[mark] = (next_serial(), variable)
            active.idle = None
            if not active.plain and state.lines:
                self._remember().watches[id(mark)] = (before, user_line())
        return mark

    def _variables(self):
        """A dict from id(variable) to (variable, the marks of its readings), of the variables watched so far."""
        found = {key: (variable, []) for key, variable in self._asked.items()}
        for mark, (_, variable) in self._leaves.items():
            if variable is not None:
                found.setdefault(id(variable), (variable, []))[1].append(mark)
        return found

    def watched_variables(self):
        """The variables watched so far, in the order in which they were made."""
        return tuple(sorted([variable for variable, _ in self._variables().values()], key=lambda v: v._serial))

    @contextlib.contextmanager
    def stop_recording(self):
        """Within the context the tape records nothing.

        Raises:
            RuntimeError: the tape never recorded.
            ValueError: the tape does not record now.
        """
        if not self._entered:
            raise RuntimeError("Trying to stop recording a tape which is not recording.")
        self._stop()
        try:
            yield
        finally:
            self._start()

    def reset(self):
        """Forget everything recorded and watched so far.

        Raises:
            ValueError: the tape does not record now.
        """
        self._stop()
        self._clear()
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
        zeros = unconnected_gradients is not NOT_CONNECTED and (
            UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO
        )
        if self._spent or self._recording or sources is None:
            self._check_use(sources)
        cotangents = seeds_of(target, output_gradients)
        cls = sources.__class__
        handles = sources if cls is list or cls is tuple else (sources,)
        marks = self._all_leaves(handles)
        if marks is not None:  # the usual case, without the cost of nests
            walk(self._records, cotangents, marks if self._watched else ())
            gradients = list(map(cotangents.get, marks))
        else:
            handles, pack = sources_of(sources)
            gradients = self._pull_back(cotangents, handles)
            # A target that is a source has its own cotangent, whatever the tape knows of it.
            for number, g in own_seeds(target, output_gradients, handles, self._counts):
                gradients[number] = total_of([g, gradients[number]])
        if not self._persistent:
            self._finish(gradients, handles)
        if zeros:
            gradients = [
                P.zeros_like(convert_to_tensor(x)) if g is None else g for g, x in zip(gradients, handles, strict=True)
            ]
        if marks is None:
            return pack(gradients)
        return gradients if cls is list else tuple(gradients) if cls is tuple else gradients[0]

    def _all_leaves(self, sources):
        """The marks of sources that are all that the tape watches, once each; None where they are more, less or else."""
        leaves = self._leaves
        if len(sources) != len(leaves):
            return None
        if len(leaves) == 1 and sources[0].__class__ is Variable:
            mark = sources[0]._tensor._mark
            return (mark,) if leaves.get(mark, NO_LEAF)[1] is sources[0] else None
        marks = {}
        for x in sources:
            if x.__class__ is not Variable:
                if x.__class__ is not Tensor:
                    x = handle_of(x)
                if x.__class__ is Tensor:
                    mark = x._mark
                    if mark not in leaves:
                        return None
                    marks[mark] = True
                    continue
                if x.__class__ is not Variable:
                    return None
            mark = x._tensor._mark
            if leaves.get(mark, NO_LEAF)[1] is not x:
                return None
            marks[mark] = True
        return marks if len(marks) == len(leaves) else None

    def _check_use(self, sources):
        if self._spent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients (or jacobians). "
                + ("One with persistent=True may be asked again." if self._entered else "This one never recorded.")
            )
        if sources is None:
            raise TypeError("Argument `sources` must be a tensor, a variable or a nest of them, got None.")
        if self._recording:
            if self._persistent:
                warn_once(
                    "Calling GradientTape.gradient on a persistent tape inside its context is slower and takes more memory "
                    "than outside: the gradient's ops are recorded too. Do so only for higher order derivatives."
                )
            else:
                self._stop()

    def _finish(self, gradients, handles):
        """Use the tape up, and remember for `explain` what was lost."""
        for g in gradients:
            if g is None:
                self._remember().outline = steps_of(self._records)
                lost = [handle for g, handle in zip(gradients, handles, strict=True) if g is None]
                variables = self._variables()
                self._history.lost = {id(mark) for handle in lost for mark in self._marks_of(handle, variables)}
                break
        self._records = []
        self._spent = True

    def jacobian(
        self,
        target,
        sources,
        unconnected_gradients=UnconnectedGradients.NONE,
        parallel_iterations=None,
        experimental_use_pfor=True,
    ):
        """The derivative of each element of `target` with respect to each element of each of `sources`.

        Args:
            target: a tensor.
            sources: a tensor or variable, or a nest of them, that the tape watched.
            unconnected_gradients: `UnconnectedGradients.NONE` or `ZERO`.
            parallel_iterations: how many elements of `target` are worked on at once; all of them by default.
            experimental_use_pfor: True walks the tape once, for all elements together; False walks it once for each element,
                for which an eager tape must be persistent.

        Returns:
            A nest like `sources` of tensors of shape `target.shape + source.shape`, or None where a source is not connected.

        Raises:
            RuntimeError: the tape was used up.
            ValueError: the walk could not be done for all elements together.

        Example:
            >>> import tapeflow as tf
            >>> x = tf.constant([1.0, 2.0])
            >>> with tf.GradientTape() as tape:
            ...     tape.watch(x)
            ...     y = x * x
            >>> tape.jacobian(y, x).numpy().tolist()
            [[2.0, 0.0], [0.0, 4.0]]
        """
        from tapeflow.autodiff.jacobian import jacobian

        return jacobian(self, target, sources, unconnected_gradients, parallel_iterations, experimental_use_pfor)

    def batch_jacobian(
        self,
        target,
        source,
        unconnected_gradients=UnconnectedGradients.NONE,
        parallel_iterations=None,
        experimental_use_pfor=True,
    ):
        """The jacobian of each example: of `target[i]` with respect to `source[i]`, on which alone it may depend.

        Args:
            target: a tensor of shape [b, ...].
            source: a tensor of shape [b, ...].
            unconnected_gradients: accepted; a source that is not connected gives zeros, as in TensorFlow.
            parallel_iterations: how many elements of an example are worked on at once; all of them by default.
            experimental_use_pfor: as in `jacobian`.

        Returns:
            A tensor of shape [b, *target.shape[1:], *source.shape[1:]].

        Raises:
            RuntimeError: the tape was used up.
            ValueError: the first dimensions differ, or a rank is below 2.

        Example:
            >>> import tapeflow as tf
            >>> x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
            >>> with tf.GradientTape() as tape:
            ...     tape.watch(x)
            ...     y = x * x
            >>> tape.batch_jacobian(y, x).numpy().tolist()
            [[[2.0, 0.0], [0.0, 4.0]], [[6.0, 0.0], [0.0, 8.0]]]
        """
        from tapeflow.autodiff.jacobian import batch_jacobian

        return batch_jacobian(self, target, source, unconnected_gradients, parallel_iterations, experimental_use_pfor)

    def explain(self, target, source):
        """Why `gradient(target, source)` is None or zero, or through which ops it flows, in words.

        It works before and after `gradient`; within `tapeflow.autodiff.track_lines()`, or with `DEBUG=1`, the tape keeps the
        lines of the program, and they are named.

        Args:
            target: a tensor or variable.
            source: a tensor or variable.

        Returns:
            A text of a few lines.

        Example:
            >>> import tapeflow as tf
            >>> x = tf.constant(3.0)
            >>> with tf.GradientTape() as tape:
            ...     y = x * x
            >>> print(tape.explain(y, x).splitlines()[0])
            The gradient is None: the tape does not watch the source.
        """
        from tapeflow.autodiff.explain import explain

        return explain(self, handle_of(target), handle_of(source))

    def _pull_back(self, cotangents, handles):
        """The cotangent of each source (a tensor or `Variable`), None where nothing reaches it, from those of the targets."""
        variables = self._variables()
        marks = [self._marks_of(handle, variables) for handle in handles]
        sources = {mark for some in marks for mark in some}
        cotangents = {mark: g for mark, g in cotangents.items() if mark not in sources or self._knows(mark)}
        # Everything recorded depends on what was watched: where that is all asked for, nothing needs to be left out.
        complete = len(sources) == len(self._leaves) and self._leaves.keys() >= sources
        walk(self._records, cotangents, sources, None if complete else reachable(self._records, sources))
        return [total_of([cotangents.get(mark) for mark in some]) for some in marks]

    def _marks_of(self, handle, variables):
        """The marks by which this tape may know a source."""
        if isinstance(handle, Variable):
            return variables.get(id(handle), (handle, ()))[1]
        return () if handle._mark is None else (handle._mark,)

    def _counts(self, handle, tensor):
        """Whether the cotangent of a target reaches it as a source by the mark of its tensor."""
        mark = tensor._mark
        if mark is None or not mark.watchers or not self._knows(mark):
            return False
        return not isinstance(handle, Variable) or mark in self._marks_of(handle, self._variables())

    def _knows(self, mark):
        """Whether the tape watched the tensor of `mark`, or recorded the op that made it."""
        return mark in self._leaves or any(mark is out for record in self._records for out in record[3])


def total_of(cotangents):
    """The sum of some cotangents; None where there is none."""
    total = None
    for g in cotangents:
        if g is not None:
            total = g if total is None else add_cotangents(total, g)
    return total
