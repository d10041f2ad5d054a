"""`vectorized_map`: a function written for one example runs once, on tensors that hold all examples of a batch."""

import contextlib

import numpy as np

from tapeflow.base import flags, nest
from tapeflow.base.dtypes import int32
from tapeflow.base.errors import InvalidArgumentError, OperatorNotAllowedInGraphError, invalid
from tapeflow.base.log import log
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P, bind, infer_specs, symbols_in
from tapeflow.core.record import note
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import batching, next_level, recording, settle, state
from tapeflow.core.tensor import Spec, Tensor, wrap
from tapeflow.core.variable import Variable

_told: set[str] = set()  # the ops that were named for having no batch rule


class BatchTensor(Tensor):
    """A tensor of one example, which stands for all of them: `inner` holds the examples along axis 0."""

    __slots__ = ("batch", "inner")

    def __init__(self, inner, batch):
        self.inner = inner
        self.batch = batch
        self._dtype = inner._dtype
        self._mark = None

    interpreter = property(lambda self: self.batch, doc="The `Batch` that ops on this tensor are run by.")
    level = property(lambda self: self.batch.level)
    name = property(lambda self: f"example of a {self.batch.what}")
    spec = property(lambda self: Spec(self.dims, self._dtype))
    shape = property(lambda self: TensorShape(self.dims))

    @property
    def dims(self):
        dims = self.inner.dims
        return None if dims is None else dims[1:]

    @property
    def _value(self):
        raise NotImplementedError(
            f"Cannot convert a tensor inside {self.batch.what} to a NumPy value: it stands for all {self.batch.size} "
            f"examples at once ({self!r}), so there is no single value to read. Use tf functions, or tf.map_fn, which runs "
            "one by one."
        )

    def __bool__(self):
        raise OperatorNotAllowedInGraphError(
            f"Using a symbolic `tf.Tensor` as a Python `bool` is not allowed inside {self.batch.what}: {self!r} stands for "
            f"all {self.batch.size} examples, which may differ. Use tf.where or tf.cond, or tf.map_fn, which runs one by "
            "one."
        )

    def __float__(self):
        raise TypeError(f"float() argument must be a number, not a tensor that stands for {self.batch.size} examples.")

    __int__ = __complex__ = __float__

    def __repr__(self):
        return f"<tf.Tensor '{self.name}' shape={self.shape} dtype={self._dtype.name}>"

    __str__ = __repr__


class Batch:
    """The examples that one `vectorized_map` or `jacobian` works on at once, and the interpreter of its `BatchTensor`s.

    Ops with a batch rule run once for all examples, others one example at a time. What runs is ops on the inner tensors,
    one level below: those are what tapes record, or graphs take, that were there before the batch.

    Args:
        size: the number of examples, an int or a symbolic scalar.
        what: the function that made it, for messages.
        fallback: whether ops without a batch rule may run one example at a time.
        everyone: no recorder is inside the batch, also if it is started later.
    """

    def __init__(self, size, what="tf.vectorized_map", fallback=True, everyone=False):
        self.level = next_level()
        self.size = size
        self.what = what
        self.fallback = fallback
        self.closed = False
        self.everyone = everyone
        self._outside = None if everyone else state.ids
        self._scope = state.scope

    def bind(self, op, inputs, attrs):
        """Run `op` for all examples."""
        if self.closed:
            raise TypeError(
                f"A tensor inside {self.what} is out of scope and cannot be used here: it stood for one of {self.size} "
                "examples while the function ran. Return it from the function."
            )
        infer_specs(op, inputs, attrs)  # refuses what is wrong for one example, though a batch axis might make it fit
        batched = tuple([self.holds(x) for x in inputs])
        values = [x.inner if b else x for x, b in zip(inputs, batched, strict=True)]
        with self._below():
            outputs = self._run(op, values, batched, attrs)
        if op.multiple:
            return tuple([self._lifted(out) for out in outputs])
        return self._lifted(outputs)

    def note(self, op, inputs, attrs, outputs):
        """Tell the recorders that were started inside the batch; those outside have recorded what ran below."""
        if self._outside is None or state.ids == self._outside:
            return
        inside = [recorder for recorder in state.recorders if recorder.id not in self._outside]
        if inside:
            with recording(inside):
                note(op, inputs, attrs, outputs)

    def holds(self, x):
        """Whether `x` is a tensor of this batch."""
        return x.__class__ is BatchTensor and x.batch is self

    @contextlib.contextmanager
    def _below(self):
        """Within the context ops run as they did before the batch was there."""
        scope, recorders = state.scope, state.recorders
        state.scope = self._scope
        try:
            if self._outside is None or state.ids == self._outside:
                yield
            else:
                with recording([recorder for recorder in recorders if recorder.id in self._outside]):
                    yield
        finally:
            state.scope = scope
            settle()

    def _run(self, op, values, batched, attrs):
        symbols = any(self.holds(x) for x in symbols_in(attrs.values()))
        if op.name == "shape" and not symbols:
            return _Plain(_example_shape(values[0], attrs))
        if op.name in ("list_length", "list_width"):
            return _Plain(op(*values))
        if op.name == "read_variable":
            return _Plain(bind(op, values, attrs))
        if "variable" in attrs:
            raise ValueError(
                f"A variable cannot be assigned inside {self.what}: {attrs['variable'].name} would get {self.size} values "
                "at once."
            )
        if op.name == "custom_gradient":
            attrs = {**attrs, "gradient": attrs["gradient"].within(self)}
        if op.batch is not None and any(batched) and not symbols:
            outputs = op.batch(op, values, batched, attrs)
            if outputs is not NotImplemented:
                return outputs
        return self._one_by_one(op, values, batched, attrs)

    def _one_by_one(self, op, values, batched, attrs):
        """Run `op` on one example after the other and stack the results."""
        if not self.fallback:
            raise ValueError(
                f"No pfor vectorization defined for {op.name}: it can only run one example at a time, which "
                "fallback_to_while_loop=True allows."
            )
        if flags.DEBUG and op.name not in _told and not op.stateful:
            _told.add(op.name)
            log.warning("%s: %s has no batch rule for this call and runs one example at a time.", self.what, op.name)
        count = self._count(op.name)
        parts = [P.unstack(x, axis=0, num=count) if b else [x] * count for x, b in zip(values, batched, strict=True)]
        if not count:
            return self._empty(op, values, batched, attrs)
        results = [
            op(*[part[i] for part in parts], **{name: self._one(attr, i) for name, attr in attrs.items()})
            for i in range(count)
        ]
        if op.multiple:
            return tuple([self._stacked(op, column) for column in zip(*results, strict=True)])
        return self._stacked(op, results)

    def _count(self, name):
        if not isinstance(self.size, int):
            raise ValueError(
                f"{self.what}: {name} has no batch rule for this call, and the number of examples is not known while the "
                "function is traced. Give the batch dimension a size."
            )
        return self.size

    def _one(self, attr, i):
        """The attr of example `i`: numbers for tensors of the batch."""
        if isinstance(attr, (tuple, list)):
            return tuple([self._one(item, i) for item in attr])
        if not isinstance(attr, Tensor) or not self.holds(attr):
            return attr
        x = P.strided_slice(attr.inner, key=(i,))
        return (x._value.tolist() if x.dims == () else tuple(x._value.tolist())) if x.__class__ is Tensor else x

    def _stacked(self, op, results):
        dims = results[0].dims
        for i, x in enumerate(results):
            if x.dims != dims:
                raise InvalidArgumentError(
                    None,
                    None,
                    f"{self.what}: results of {op.name} differ in shape: {list(dims)} for example 0, {list(x.dims)} for "
                    f"example {i}. Shapes must not depend on values; use tf.map_fn with ragged results. [Op:{op.name}]",
                )
        return P.stack(*results, axis=0)

    def _empty(self, op, values, batched, attrs):
        specs = [Spec(x.dims[1:], x._dtype) if b else x.spec for x, b in zip(values, batched, strict=True)]
        specs = op.infer(*specs, **attrs)
        outputs = [
            wrap(np.empty((0, *[n or 0 for n in spec.shape or ()]), spec.dtype.numpy_dtype))
            for spec in (specs if op.multiple else (specs,))
        ]
        return tuple(outputs) if op.multiple else outputs[0]

    def _lifted(self, x):
        return x.tensor if x.__class__ is _Plain else BatchTensor(x, self)

    def stacked(self, x):
        """The results of all examples as one tensor, for what the function returned: a tensor, a number, slices or None."""
        if x is None:
            return None
        if isinstance(x, IndexedSlices):
            x = x.dense()
        x = convert_to_tensor(x)
        if self.holds(x):
            return x.inner
        dims = x.dims if None not in x.dims else P.unstack(P.shape(x), axis=0, num=len(x.dims))
        return P.broadcast_to(P.expand_dims(x, axis=(0,)), shape=(self.size, *dims))


class _Plain:
    """A result that is the same for all examples."""

    __slots__ = ("tensor",)

    def __init__(self, tensor):
        self.tensor = tensor


def _example_shape(x, attrs):
    if x.dims is not None and None not in x.dims[1:]:
        return P.constant(value=x.dims[1:], dtype=attrs.get("dtype", int32))
    return P.strided_slice(P.shape(x, **attrs), key=((1, None, None),))


def vectorized_map(fn, elems, fallback_to_while_loop=True, warn=True):
    """`fn` of each example of `elems`, stacked; `fn` itself runs once, for all examples together.

    Args:
        fn: a function of one example, a nest like `elems` without the first axis; it returns a nest of tensors, whose shapes
            must not depend on values. Random ops in it draw anew for each example.
        elems: a tensor or nest of tensors of shape [n, ...]; those of shape [1, ...] serve all examples.
        fallback_to_while_loop: whether ops that cannot work on a batch may run one example at a time.
        warn: accepted; `DEBUG=1` names each op that runs one example at a time, once.

    Returns:
        The nest that `fn` returns, each tensor of shape [n, ...].

    Raises:
        InvalidArgumentError: the tensors of `elems` differ in their first dimension.
        ValueError: an op cannot work on a batch and may not fall back; or `elems` is empty.
        OperatorNotAllowedInGraphError: `fn` uses a tensor as a Python bool.

    Example:
        >>> import tapeflow as tf
        >>> tf.vectorized_map(lambda row: row * row[0], tf.constant([[1., 2.], [3., 4.]])).numpy().tolist()
        [[1.0, 2.0], [9.0, 12.0]]
    """
    elems = nest.map_structure(lambda x: convert_to_tensor(x._read() if isinstance(x, Variable) else x), elems)
    size = _batch_size(nest.flatten(elems))
    batch = Batch(size, fallback=fallback_to_while_loop)
    examples = nest.map_structure(lambda x: _example(x, batch), elems)
    try:
        with batching(batch):
            results = fn(examples)
        return nest.map_structure(batch.stacked, results)
    finally:
        batch.closed = True


def _batch_size(tensors):
    if not tensors:
        raise ValueError("tf.vectorized_map needs at least one tensor to map over, got an empty structure.")
    for x in tensors:
        if x.dims == ():
            raise IndexError(f"tf.vectorized_map maps over the first axis, but an element is a scalar: {x!r}")
        if x.dims is None:
            raise ValueError(f"tf.vectorized_map needs elements of known rank, got {x!r}")
    several = {x.dims[0] for x in tensors} - {1, None}
    if len(several) > 1:
        raise invalid("vectorized_map", f"The elements have different numbers of examples: {sorted(several)} along axis 0")
    if several:
        return several.pop()
    unknown = [x for x in tensors if x.dims[0] is None]
    return P.unstack(P.shape(unknown[0]), axis=0, num=len(unknown[0].dims))[0] if unknown else 1


def _example(x, batch):
    """One example of a tensor."""
    if x.dims is not None and x.dims[0] == 1 and batch.size != 1:
        return P.strided_slice(x, key=(0,))
    return BatchTensor(x, batch)


__all__ = ["Batch", "BatchTensor", "vectorized_map"]
