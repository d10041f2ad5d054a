"""`ForwardAccumulator`: Jacobian-vector products, computed beside the program from the tangents of its inputs."""

import weakref

from tapeflow.autodiff.arguments import handle_of
from tapeflow.autodiff.tape import GradientTape, UnconnectedGradients, next_id, warn_once
from tapeflow.autodiff.vectorize import Batch, BatchTensor
from tapeflow.base import nest
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.core.backward import pull_back
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.record import add_watchers, make_record, own_mark
from tapeflow.core.rules import shape_of
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import new_mark, recording, start, state, stop
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable


class ForwardAccumulator:
    """Computes the Jacobian of what follows times a vector, while it is computed ("forward mode").

    Each op within the context also computes the tangent of its result from those of its inputs, so that memory does not
    grow with the length of the program. Accumulators and tapes may be nested in any order: a tape within an accumulator
    gives Hessian-vector products.

    Args:
        primals: a tensor or variable, or a nest of them.
        tangents: the vector: a nest like `primals` of tensors of their shapes and dtypes.

    Raises:
        ValueError: a primal stands there twice, or a tangent has another structure, shape or dtype.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.constant([2.0, 3.0])
        >>> with tf.autodiff.ForwardAccumulator(x, tf.constant([1.0, 0.0])) as acc:
        ...     y = x * x
        >>> acc.jvp(y).numpy().tolist()
        [4.0, 0.0]
    """

    _records = None  # it keeps none: an op is more to it than a record

    def __init__(self, primals, tangents):
        self._clear()
        flat = nest.flatten(primals)
        if len({id(primal) for primal in flat}) < len(flat):
            twice = next(primal for i, primal in enumerate(flat) if any(primal is other for other in flat[:i]))
            raise ValueError(
                f"Tensor {twice!r} was specified as a primal multiple times. This may indicate an error. If it was "
                "intended, please sum the corresponding tangents."
            )
        nest.map_structure(self._watch, primals, tangents)

    def _clear(self):
        self.id = next_id()
        self._recording = False
        self._tangents = {}  # id(tensor) -> (weak reference to the tensor, its mark, its tangent)
        self._variables = {}  # id(variable) -> (variable, its tangent)

    @classmethod
    def _batch_accumulator(cls, primals, tangents):
        """An accumulator of several products at once: tangents, and what `jvp` gives, have one more axis, the first."""
        self = cls.__new__(cls)
        self._clear()
        sizes = {convert_to_tensor(tangent).dims[0] for tangent in nest.flatten(tangents)}
        if len(sizes) != 1:
            raise ValueError(f"Tangents must have one batch size along axis 0, got {sorted(sizes)}.")
        batch = Batch(sizes.pop(), what="a batch accumulator", everyone=True)
        lifted = nest.map_structure(lambda tangent: BatchTensor(convert_to_tensor(tangent), batch), tangents)
        nest.map_structure(self._watch, primals, lifted)
        return self

    # Recording

    def __enter__(self):
        if self._recording:
            raise ValueError("Accumulator is already recording.")
        self._recording = True
        start(self)
        for _, mark, _ in list(self._tangents.values()):  # marks may have forgotten this accumulator in the meantime
            if self.id not in mark.watchers:
                mark.watchers = (*mark.watchers, self.id)
        return self

    def __exit__(self, *exc):
        if self._recording:
            self._recording = False
            stop(self)

    def _watch(self, primal, tangent):
        primal = handle_of(primal)
        if not isinstance(primal, (Tensor, Variable)):
            raise ValueError(f"A primal must be a tensor or a variable, got {primal!r} of type {type(primal).__name__!r}.")
        if not primal.dtype.is_floating and primal.dtype.element is None:
            warn_once("The dtype of the watched primal must be floating (e.g. tf.float32), got %r", primal.dtype)
        tangent = convert_to_tensor(tangent, primal.dtype)
        if not tangent.shape.is_compatible_with(primal.shape):
            tangent = _spread(tangent, primal)
        if isinstance(primal, Variable):
            primal._watchable = True
            self._variables[id(primal)] = (primal, tangent)
        else:
            self._hold(primal, tangent)

    def _hold(self, tensor, tangent):
        """Keep the tangent of a tensor for as long as the tensor lives."""
        mark = tensor._mark
        if mark is None or self.id not in mark.watchers:
            mark = own_mark(tensor)
            add_watchers(mark, (self.id,), state.active)
        key, owner = id(tensor), weakref.ref(self)

        # The callback must not refer to this accumulator, nor to what it holds: that would be a cycle.
        def forget(reference):
            accumulator = owner()
            if accumulator is not None:
                accumulator._tangents.pop(key, None)

        self._tangents[key] = (weakref.ref(tensor, forget), mark, tangent)

    def _tangent(self, tensor):
        """The tangent of a tensor, or None."""
        entry = self._tangents.get(id(tensor))
        # A variable that is updated in place keeps its tensor, but the mark is a new one.
        return None if entry is None or entry[1] is not tensor._mark else entry[2]

    def watch_variable(self, variable, tensor, active):
        """Give what was read from a primal its tangent; variables call it while the accumulator records. Returns its mark."""
        entry = self._variables.get(id(variable))
        if entry is None:
            return None
        if self._tangent(tensor) is None:
            self._hold(tensor, entry[1])
        return tensor._mark

    def note(self, record, inputs, outputs):
        """Compute the tangents of an op's results; `bind` calls it for ops on tensors that have one."""
        op = record[0]
        outs = outputs if op.multiple else (outputs,)
        tangents = [self._tangent(x) if x._dtype.is_trainable else None for x in inputs]
        if all(t is None for t in tangents) or not any(out._dtype.is_trainable for out in outs):
            return
        if op.plans is None and op.jvp is None:  # no derivative: its results do not depend smoothly on anything
            return
        # Only the recorders around this one see how tangents are computed.
        outside = state.recorders[: state.recorders.index(self)]
        with recording(outside):
            results = push_forward(op, inputs, outputs, tangents, record[5])
        for out, tangent in zip(outs, results, strict=True):
            if tangent is not None and out._dtype.is_trainable:
                self._hold(out, tangent)

    def note_idle(self, op, origins, results, line):
        """Nothing: an op on tensors without tangents."""

    def note_escape(self, tensor):
        """Nothing: only tapes explain themselves."""

    # Products

    def jvp(self, primals, unconnected_gradients=UnconnectedGradients.NONE):
        """The tangents of `primals`: the Jacobian of each with respect to the accumulator's primals, times their tangents.

        Args:
            primals: a tensor or variable, or a nest of them.
            unconnected_gradients: `UnconnectedGradients.NONE` or `ZERO`, for those that depend on no primal.

        Returns:
            A nest like `primals`.

        Raises:
            ValueError: something that is neither a tensor nor a variable.
        """
        zero = UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO
        return nest.map_structure(lambda x: self._jvp(handle_of(x), zero), primals)

    def _jvp(self, x, zero):
        """The tangent of one tensor, variable or `IndexedSlices`; zeros for None where `zero`."""
        if isinstance(x, IndexedSlices):
            values = self._jvp(x.values, zero)
            return None if values is None else IndexedSlices(values, x.indices, x.dense_shape)
        if not isinstance(x, (Tensor, Variable)):
            raise ValueError(f"A jvp is of tensors or variables, got {x!r} of type {type(x).__name__!r}.")
        tangent = self._variables.get(id(x), (x, None))[1] if isinstance(x, Variable) else self._tangent(x)
        if tangent is None and zero:
            return P.zeros_like(convert_to_tensor(x))
        return tangent.batch.stacked(tangent) if tangent.__class__ is BatchTensor and tangent.batch.everyone else tangent


def _spread(tangent, primal):
    """A tangent broadcast to the shape of its primal."""
    try:
        return P.broadcast_to(tangent, shape=tuple(primal.shape.as_list()))
    except InvalidArgumentError:
        raise ValueError(f"A tangent must have the shape of its primal: got {tangent.shape} for {primal.shape}.") from None


def push_forward(op, inputs, outputs, tangents, attrs):
    """The tangents of an op's results.

    Args:
        op: the primitive.
        inputs: its input tensors.
        outputs: its result, or the tuple of its results.
        tangents: the tangent of each input, or None.
        attrs: its attrs.

    Returns:
        A tuple with a tangent, or None, for each result.
    """
    if op.jvp == "linear":
        filled = [P.zeros_like(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)]
        result = op(*filled, **attrs)
    elif op.jvp == "multilinear":
        terms = [op(*inputs[:i], t, *inputs[i + 1 :], **attrs) for i, t in enumerate(tangents) if t is not None]
        result = _sum(terms, op.multiple)
    elif op.jvp_plans is not None:
        terms = [
            _shaped(rule.call(t, *rule.take(inputs, outputs), **rule.attrs(attrs)), outputs, op.multiple)
            for t, rule in zip(tangents, op.jvp_plans, strict=True)
            if t is not None and rule is not None
        ]
        result = _sum(terms, op.multiple)
    elif op.jvp is not None:
        result = op.jvp(tangents, inputs, outputs, **attrs)
    else:
        return transposed(op, inputs, outputs, tangents, attrs)
    if op.multiple:
        return (None,) * len(outputs) if result is None else result
    return (result,)


def _shaped(t, out, multiple):
    """A tangent broadcast to the result's shape: a rule scales the tangent of one input, which may be smaller."""
    return t if multiple or t.dims == out.dims else P.broadcast_to(t, shape=shape_of(out))


def _sum(terms, multiple):
    total = None
    for term in terms:
        if total is None:
            total = term
        elif multiple:
            total = tuple([P.add(a, b) for a, b in zip(total, term, strict=True)])
        else:
            total = P.add(total, term)
    return total


def transposed(op, inputs, outputs, tangents, attrs):
    """The tangents by transposing the reverse rule, which is linear in the cotangents, with a second reverse walk."""
    outs = outputs if op.multiple else (outputs,)
    record = make_record(op, inputs, attrs, outputs, tuple([new_mark() for _ in outs]))
    tape = GradientTape(watch_accessed_variables=False)
    with tape:
        cotangents = [P.ones_like(out) for out in outs]  # their values do not matter
        for g in cotangents:
            if g._dtype.is_trainable:
                tape._watch(g)
        seeds = list(zip(record[3], cotangents, strict=True))
        wanted = [mark for mark, t in zip(record[1], tangents, strict=True) if t is not None]
        pulled = pull_back([record], seeds, wanted)
        ends = {}
        for mark, t in zip(record[1], tangents, strict=True):
            result = pulled.get(id(mark)) if t is not None else None
            if result is not None:
                result = result.dense() if isinstance(result, IndexedSlices) else result
                ends[id(mark)] = (result._mark, t)
    seeds = [(mark, t) for mark, t in ends.values() if mark is not None and mark.watchers]
    found = pull_back(tape._records, seeds, [g._mark for g in cotangents])
    results = [found.get(id(g._mark)) for g in cotangents]
    return tuple([t.dense() if isinstance(t, IndexedSlices) else t for t in results])


__all__ = ["ForwardAccumulator", "push_forward", "transposed"]
