"""Gradients given by the user: `custom_gradient`, and what is made of it, `recompute_grad` and `grad_pass_through`."""

import copy
import functools
import inspect

from tapeflow.autodiff.forward import transposed
from tapeflow.autodiff.tape import GradientTape, UnconnectedGradients, next_id
from tapeflow.autodiff.vectorize import BatchTensor
from tapeflow.base import nest
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import batching, recording, state
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable


class VariableWatcher:
    """A recorder that notes which trainable variables are read."""

    _records = None  # it keeps none

    def __init__(self):
        self.id = next_id()
        self.variables = {}

    def watch_variable(self, variable, tensor, active):
        """Note a variable that was read."""
        if variable.trainable:
            self.variables.setdefault(id(variable), variable)

    def note(self, *_):
        """Nothing: ops are not recorded."""

    note_idle = note_escape = note


class _Gradient:
    """The gradient function of one call: cotangents of the flat results to cotangents of the flat inputs.

    Args:
        function: what the user's function returned beside its result.
        result: that result, whose structure the cotangents take.
        count: how many tensors the arguments are.
        variables: the variables that the function read beyond its arguments.
        batches: the batches that the call was within, innermost first.
    """

    def __init__(self, function, result, count, variables, batches):
        self.function = function
        self.result = nest.map_structure(_without_value, nest.flatten(result), expand_composites=True)
        self.count = count
        self.variables = variables
        self.batches = batches

    def within(self, batch):
        """This gradient for one example of a batch, which it may have been made outside of."""
        if batch in self.batches:
            return self
        made = copy.copy(self)
        made.batches = [batch, *self.batches]
        return made

    def __call__(self, cotangents):
        cotangents = nest.pack_sequence_as(self.result, list(cotangents), expand_composites=True)
        if self.variables:
            grads, variable_grads = self.function(*cotangents, variables=self.variables)
            variable_grads = nest.flatten(variable_grads)
            if len(variable_grads) != len(self.variables):
                raise ValueError(
                    "Must return gradient for each variable from @custom_gradient grad_fn. "
                    f"It returned {len(variable_grads)} for {len(self.variables)} variables."
                )
        else:
            grads, variable_grads = self.function(*cotangents), []
        flat = flat_gradients(grads)
        if len(flat) != self.count:
            raise ValueError(
                f"custom_gradient function expected to return {self.count} gradients, but returned {len(flat)} instead."
            )
        return [_as_gradient(g) for g in (*flat, *variable_grads)]


class _Lifted:
    """A gradient function that was made for one example of a batch, for the whole batch."""

    def __init__(self, gradient, batched, count):
        self.gradient = gradient
        self.batch, *self.batches = gradient.batches
        self.batched = batched[count:]

    def within(self, batch):
        """This gradient for one example of a further batch."""
        made = copy.copy(self)
        made.batches = [batch, *self.batches]
        return made

    def __call__(self, cotangents):
        batch, closed = self.batch, self.batch.closed
        batch.closed = False
        try:
            with batching(batch):
                grads = self.gradient(tuple([BatchTensor(g, batch) for g in cotangents]))
            stacked = [batch.stacked(g) for g in grads]
        finally:
            batch.closed = closed
        return [
            g if g is None or batched else P.sum(g, axis=(0,), keepdims=False)
            for g, batched in zip(stacked, self.batched, strict=True)
        ]


def _without_value(x):
    """A stand-in for a result: its structure is needed, its value is not to be kept alive."""
    return None


def flat_gradients(grads):
    """The gradients in a nest, in order; `IndexedSlices` and None stand for one each."""
    flat = []
    for g in nest.flatten(grads):
        whole = g is None or isinstance(g, IndexedSlices)
        flat += [g] if whole else nest.flatten(g, expand_composites=True)
    return flat


def _as_gradient(g):
    return g if g is None or isinstance(g, (Tensor, IndexedSlices)) else convert_to_tensor(g)


# The primitive takes the results as they were computed, then the inputs, and gives the results. So the ops within are an
# ordinary part of the program, and only where the reverse walk arrives here does it take the user's way to the inputs.


def _kernel(*xs, count, gradient, called):
    return xs[:count]


def _vjp(g, wanted, *, count, gradient):
    return (*(None,) * count, *gradient(g))


def _jvp(tangents, inputs, outputs, *, count, gradient, called):
    """The tangents of what was computed; where that is not differentiable, the gradient function transposed."""
    results = list(tangents[:count])
    if any(t is None for t in results):
        attrs = {"count": count, "gradient": gradient, "called": called}
        others = transposed(custom_gradient_op, inputs, outputs, (*(None,) * count, *tangents[count:]), attrs)
        results = [other if t is None else t for t, other in zip(results, others, strict=True)]
    return tuple(results)


def _batch(op, inputs, batched, attrs):
    count, gradient = attrs["count"], attrs["gradient"]
    size = next(x.dims[0] for x, b in zip(inputs, batched, strict=True) if b)
    outs = [
        x if b else P.broadcast_to(P.expand_dims(x, axis=(0,)), shape=(size, *x.dims))
        for x, b in zip(inputs[:count], batched[:count], strict=True)
    ]
    return op(*outs, *inputs[count:], **{**attrs, "gradient": _Lifted(gradient, batched, count)})


custom_gradient_op = Primitive(
    "custom_gradient",
    _kernel,
    lambda *specs, count, gradient, called: specs[:count],
    vjp=_vjp,
    jvp=_jvp,
    batch=_batch,
    multiple=True,
    uniform=False,
    parameters=("xs",),
    samples=lambda: [],
)


class CustomGradient:
    """A function whose gradient is its own: what `custom_gradient` makes; as an attribute of a class it is a method."""

    def __init__(self, function):
        functools.update_wrapper(self, function)
        self._function = function

    def __get__(self, instance, owner=None):
        return self if instance is None else CustomGradient(self._function.__get__(instance, owner))

    def __call__(self, *args, **kwargs):
        if state.graph is not None:  # as in TensorFlow: variables that are arguments are read before, not within
            args = nest.map_structure(_argument, args)
        result, gradient, variables = self._run(args, kwargs)
        outs = [convert_to_tensor(x) for x in nest.flatten(result, expand_composites=True)]
        flat = [convert_to_tensor(x) for x in nest.flatten(args, expand_composites=True)]
        inputs = [*flat, *[variable._read() for variable in variables]]
        if not outs:
            return result
        if state.graph is None and not any(_is_watched(x) for x in inputs):
            outs = [P.identity(x) for x in outs]
        else:
            gradient = _Gradient(gradient, result, len(flat), variables, _batches([*outs, *inputs]))
            outs = P.custom_gradient(*outs, *inputs, count=len(outs), gradient=gradient, called=self.__name__)
        return nest.pack_sequence_as(result, list(outs), expand_composites=True)

    def _run(self, args, kwargs):
        """The user's result and gradient function, and the variables that it read beyond its arguments."""
        watcher = VariableWatcher()
        with recording((*state.recorders, watcher)):
            result, gradient = self._function(*args, **kwargs)
        if not callable(gradient):
            raise TypeError(
                f"A function under @tf.custom_gradient returns a pair (result, grad_fn), but the second is {gradient!r} of "
                f"type {type(gradient).__name__!r}, which is not callable."
            )
        given = nest.flatten((args, kwargs))
        variables = [v for v in watcher.variables.values() if all(v is not x for x in given)]
        if variables and not _takes_variables(gradient):
            raise TypeError(
                "@tf.custom_gradient grad_fn must accept keyword argument 'variables', since function uses variables: "
                f"{variables}"
            )
        return result, gradient, variables


def _argument(x):
    """An argument with variables, and what acts as one, read."""
    acts_as_variable = isinstance(x, Variable) or getattr(x, "_should_act_as_resource_variable", None) is not None
    return convert_to_tensor(x) if acts_as_variable else x


def _takes_variables(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a callable that Python cannot look into
        return True
    return any(p.name == "variables" or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


def _is_watched(x):
    if isinstance(x, BatchTensor) and _is_watched(x.inner):
        return True
    return x._mark is not None and any(i in state.ids for i in x._mark.watchers)


def _batches(tensors):
    """The batches that some tensors are examples of, innermost first."""
    batches = {}
    for x in tensors:
        while isinstance(x, BatchTensor):
            batches[x.batch.level] = x.batch
            x = x.inner
    return [batches[level] for level in sorted(batches, reverse=True)]


def custom_gradient(f=None):
    """A decorator that gives a function its own gradient.

    Args:
        f: a function of tensors (and anything else) that returns `(result, grad_fn)`. `grad_fn(*cotangents)` takes one
            tensor for each tensor of the result and returns a gradient, or None, for each tensor of the positional
            arguments. Where `f` reads trainable variables, `grad_fn` must take `variables=`, and returns the gradients of
            the arguments and a list with those of the variables.

    Returns:
        A function like `f` that returns the result alone.

    Raises:
        TypeError: `f` reads variables, but `grad_fn` does not take `variables`.
        ValueError: `grad_fn` returns the wrong number of gradients.

    Example:
        >>> import tapeflow as tf
        >>> @tf.custom_gradient
        ... def clipped(x):
        ...     return x, lambda dy: tf.minimum(dy, 1.0)
        >>> x = tf.constant(3.0)
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = clipped(x) * 7.0
        >>> tape.gradient(y, x).numpy().item()
        1.0
    """
    return custom_gradient if f is None else CustomGradient(f)


def recompute_grad(f):
    """A function like `f` that keeps nothing for its gradient but its arguments: the reverse pass computes it again.

    Args:
        f: a function of tensors; the variables that it reads get their gradients, too.

    Example:
        >>> import tapeflow as tf
        >>> cube = tf.recompute_grad(lambda x: x * x * x)
        >>> x = tf.constant(2.0)
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = cube(x)
        >>> tape.gradient(y, x).numpy().item()
        12.0
    """

    @functools.wraps(f)
    def unrecorded(*args, **kwargs):
        watchers = [recorder for recorder in state.recorders if isinstance(recorder, VariableWatcher)]
        with recording(watchers):
            result = f(*args, **kwargs)

        def gradient(*cotangents, variables=None):
            variables = list(variables or ())
            with GradientTape() as tape:
                copies = nest.map_structure(_copied, args, expand_composites=True)
                sources = nest.flatten(copies, expand_composites=True)
                tape.watch([x for x in sources if isinstance(x, Tensor) and x.dtype.is_trainable])
                tape.watch(variables)
                again = f(*copies, **kwargs)
            grads = tape.gradient(
                again,
                [*sources, *variables],
                output_gradients=cotangents,
                unconnected_gradients=UnconnectedGradients.ZERO,
            )
            grads, variable_grads = grads[: len(sources)], grads[len(sources) :]
            return (grads, variable_grads) if variables else grads

        return result, gradient

    return custom_gradient(unrecorded)


def _copied(x):
    """A tensor of its own, so that the gradient of an argument is not mixed with that of its other uses."""
    return P.identity(convert_to_tensor(x))


def grad_pass_through(f):
    """A function like `f` whose gradient is one: cotangents go from its results to its arguments as they are.

    Args:
        f: a function with as many results as arguments; the variables that it reads get no gradient.

    Example:
        >>> import tapeflow as tf
        >>> rounded = tf.grad_pass_through(lambda x: tf.floor(x))
        >>> x = tf.constant(2.5)
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = rounded(x)
        >>> tape.gradient(y, x).numpy().item()
        1.0
    """

    @functools.wraps(f)
    def passed(*args, **kwargs):
        def gradient(*cotangents, variables=None):
            return cotangents if variables is None else (cotangents, [None] * len(variables))

        return f(*args, **kwargs), gradient

    return custom_gradient(passed)


__all__ = ["VariableWatcher", "custom_gradient", "grad_pass_through", "recompute_grad"]
