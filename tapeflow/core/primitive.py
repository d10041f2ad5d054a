"""`Primitive`: one op with all its rules in one place, and `bind`, the one door through which every op passes."""

import functools
import inspect
from typing import Any

import numpy as np

from tapeflow.base import dtypes
from tapeflow.base.errors import InternalError, InvalidArgumentError, OpError, ResourceExhaustedError
from tapeflow.core.composite import Composite
from tapeflow.core.record import recorder_of
from tapeflow.core.rules import plan_residuals
from tapeflow.core.state import CONSTANT, ongoing, scoped, state, within_trace
from tapeflow.core.tensor import BY_CLASS, Spec, Tensor, ndarray, wrap


class _Registry:
    """Every primitive as an attribute: rules call each other as `P.name`, whatever file they live in."""


P: Any = _Registry()
PRIMITIVES: dict[str, "Primitive"] = vars(P)
NO_ATTRS: dict = {}
LARGE = 1 << 11  # elements from which native code is quicker than a call of NumPy


class Primitive:
    """One op. Calling it with tensors (and attrs by keyword) binds it.

    Rules are written in ops, never in NumPy, except the kernel; see docs/add_an_op.md.

    Args:
        name: unique name; also the op's name in messages.
        kernel: `kernel(*values, **attrs)`, NumPy values to a NumPy value (or a tuple where `multiple`). The meaning of the op.
            It must raise for whatever `infer` refuses, or compute what TensorFlow would.
        infer: `infer(*specs, **attrs)`: specs to a spec (or a tuple); unknown dimensions are None. Raises the user's error.
        vjp: a tuple with one rule for each input (None: not differentiable) or one joint function. The parameter names of a
            rule are what it keeps: `rule(g, x, out, y_shape, *, axis)` keeps input x, the result and the shape of y.
            A joint rule is `rule(g, wanted, ...)` and returns a cotangent (or None) for each input.
        jvp: None (derived), "linear" (the op is linear in all inputs together), "multilinear" (in each input), a tuple of rules
            `rule(t, ...)` for each input with residuals as in vjp, or a function `jvp(tangents, inputs, out, **attrs)`.
        batch: `batch(op, inputs, batched, attrs)` for `vectorized_map`, or None (where it returns NotImplemented, too): one
            example at a time.
        lower: how the compiler treats it: "scalar", "movement", "reduce" or "library".
        accepts: the dtypes of the inputs that are checked.
        uniform: all inputs must have one dtype.
        multiple: the kernel returns a tuple.
        partial: the joint vjp of an op with several results takes None, not zeros, for a result without cotangent.
        stateful: it has an effect or reads state: it is never folded, merged or reordered.
        parameters: the names of the inputs, where the kernel does not tell them (ufuncs).
        scales: the rules in vjp and jvp scale a tangent by a partial derivative (1 and -1 stand for constant ones); the same
            rules serve both ways.
        samples: a function giving a list of (inputs, attrs) with which the registry test runs the op.
    """

    runs_graphs = False  # see `tapeflow.trace.call.Structured`
    hot = None  # hot(inputs, attrs) gives the results where a compiler has made native code of the op, else None
    light = False  # whether `hot` is asked only where an input has `LARGE` elements or more
    heat = None  # heat() is called when a result has so many: it may set `hot`

    def __init__(
        self,
        name,
        kernel,
        infer,
        *,
        vjp=None,
        jvp=None,
        batch=None,
        lower="library",
        accepts=None,
        uniform=True,
        multiple=False,
        partial=False,
        stateful=False,
        samples=None,
        parameters=None,
        scales=False,
    ):
        if name in PRIMITIVES:
            raise ValueError(f"There is a primitive named {name!r} already.")
        self.name = name
        self.kernel = kernel
        self.infer = infer
        self.vjp = vjp
        self.jvp = jvp
        self.batch = batch
        self.lower = lower
        self.accepts = -1 if accepts is None else dtype_bits(accepts)
        self.uniform = uniform
        self.multiple = multiple
        self.partial = partial
        self.stateful = stateful
        self.samples = samples
        self.parameters = parameters or input_names(kernel)
        self.plans = plan_residuals(self.parameters, vjp, scales=scales)
        self.jvp_plans = plan_residuals(self.parameters, jvp) if isinstance(jvp, tuple) else None
        self.forget_written()
        PRIMITIVES[name] = self

    def forget_written(self):
        """Let what is written for the op be written when it is next needed: after some kernel was replaced.

        That is `note(inputs, attrs, out)`, which tells the recorders of a run of the op, and its rules on values.
        """
        self.note = functools.partial(_first_note, self)

    def __call__(self, *inputs, **attrs):
        return bind(self, inputs, attrs)

    def __repr__(self):
        return f"<primitive {self.name}>"

    def __reduce__(self):
        return _primitive_named, (self.name,)


def _first_note(op, inputs, attrs, out):
    op.note = recorder_of(op)
    op.note(inputs, attrs, out)


def _primitive_named(name):
    return PRIMITIVES[name]


def dtype_bits(accepted):
    """The bit set of some dtypes, the cheap form of a membership test."""
    bits = 0
    for dtype in accepted:
        bits |= dtype.bit
    return bits


def input_names(kernel):
    """The names of a kernel's tensor inputs; a single starred name means any number of them."""
    code = kernel.__code__
    starred = code.co_argcount + code.co_kwonlyargcount
    if code.co_flags & inspect.CO_VARARGS:
        return (*code.co_varnames[: code.co_argcount], code.co_varnames[starred])
    return code.co_varnames[: code.co_argcount]


def bind(op, inputs, attrs=NO_ATTRS):
    """Run `op` on `inputs` (tensors) in whatever mode is on: eager, recorded by tapes, traced into a graph, batched.

    Returns:
        A tensor, or a tuple of tensors where `op.multiple`.

    Raises:
        OpError: what the op's `infer` or kernel says is wrong with the inputs.
    """
    if scoped and state.scope is not None and (op.stateful or has_symbols(attrs) or _joins_graph(op, inputs)):
        return _interpret(op, inputs, attrs)
    if op.hot is not None and (not op.light or any_large(inputs)):
        outputs = op.hot(inputs, attrs)
        if outputs is not None:
            if ongoing:
                if scoped:
                    _note(op, inputs, attrs, outputs)
                else:
                    op.note(inputs, attrs, outputs)
            return outputs
    if len(inputs) == 2:  # the usual cases, without the cost of loops and of unpacking
        x, y = inputs
        if x.__class__ is not Tensor or y.__class__ is not Tensor:
            return _interpret(op, inputs, attrs)
        dtype = x._dtype
        if (y._dtype is not dtype and op.uniform) or not op.accepts & dtype.bit:
            _refuse_dtypes(op, inputs)
        try:
            result = op.kernel(x._value, y._value, **attrs) if attrs else op.kernel(x._value, y._value)
        except Exception as error:
            result = _recover(op, inputs, attrs, error)
    elif len(inputs) == 1:
        (x,) = inputs
        if x.__class__ is not Tensor:
            return _interpret(op, inputs, attrs)
        dtype = x._dtype
        if not op.accepts & dtype.bit:
            _refuse_dtypes(op, inputs)
        try:
            result = op.kernel(x._value, **attrs) if attrs else op.kernel(x._value)
        except Exception as error:
            result = _recover(op, inputs, attrs, error)
    else:
        for x in inputs:
            if x.__class__ is not Tensor:
                return _interpret(op, inputs, attrs)
        _check_dtypes(op, inputs)
        dtype = inputs[0]._dtype if inputs else None
        try:
            result = op.kernel(*[x._value for x in inputs], **attrs)
        except Exception as error:
            result = _recover(op, inputs, attrs, error)
    if op.multiple:
        outputs = tuple([wrap(value) for value in result])
    else:
        outputs = Tensor()  # `wrap`, in line for the usual results: an array of the input's dtype, a scalar
        if result.__class__ is not ndarray or not result.ndim or dtype is None or result.dtype is not dtype.numpy_dtype:
            dtype = BY_CLASS.get(result.__class__)
        elif op.heat is not None and result.size >= LARGE:
            op.heat()
        if dtype is None:
            outputs = wrap(result)
        else:
            outputs._value = result
            outputs._dtype = dtype
            outputs._mark = None
    if ongoing:
        if scoped:
            _note(op, inputs, attrs, outputs)
        else:
            op.note(inputs, attrs, outputs)
    return outputs


def is_large(value):
    """Whether a NumPy value has `LARGE` elements or more."""
    return value.__class__ is ndarray and value.size >= LARGE


def any_large(inputs):
    """Whether a tensor among some inputs has so many."""
    for x in inputs:  # noqa: SIM110 - `any` takes three times as long
        if x.__class__ is Tensor and x._value.__class__ is ndarray and x._value.size >= LARGE:
            return True
    return False


def _note(op, inputs, attrs, outputs):
    """Mark the results of an op, and tell the recorders of it, while some thread traces or maps."""
    if within_trace():  # computed from constants: one more of them
        for out in outputs if op.multiple else (outputs,):
            out._mark = CONSTANT
    else:
        op.note(inputs, attrs, outputs)


def _joins_graph(op, inputs):
    """Whether an op on tensors with values is a node of the function that is being traced, not a constant: it runs graphs, which
    may have effects, or an input is from outside, and gradients may be asked for."""
    if not within_trace():
        return False
    return op.runs_graphs or any(x.__class__ is Tensor and x._dtype.is_trainable and x._mark is not CONSTANT for x in inputs)


def _interpret(op, inputs, attrs):
    """Bind `op` where an input or an attr is not a plain tensor: its class says which interpreter takes it."""
    graph = state.graph
    if graph is not None and graph.replays:
        inputs = tuple([graph.alias(x) for x in inputs])
        attrs = {key: map_symbols(attr, graph.alias) for key, attr in attrs.items()} if has_symbols(attrs) else attrs
    tracer = None
    for x in (*inputs, *symbols_in(attrs.values())):
        if not isinstance(x, Tensor):
            if isinstance(x, Composite):
                return x.bind(op, inputs, attrs)
            raise TypeError(f"{op.name}: inputs must be tensors, got {type(x).__name__}: {x!r}")
        if x.__class__ is not Tensor and (tracer is None or x.level > tracer.level):
            tracer = x
    _check_dtypes(op, inputs)
    if tracer is None:
        interpreter = state.scope if op.stateful or has_symbols(attrs) else graph
    else:
        interpreter = tracer.interpreter
    if graph is not None and graph.level > interpreter.level:
        interpreter = graph  # it was opened within the batch that an input is an example of
    outputs = interpreter.bind(op, inputs, attrs)
    if state.recorders:
        interpreter.note(op, inputs, attrs, outputs)
    return outputs


def has_symbols(attrs):
    """Whether an attr holds a tensor, whose value may not be known yet."""
    return any(True for _ in symbols_in(attrs.values())) if attrs else False


def symbols_in(values):
    """The tensors among some attrs, however deep in tuples."""
    for value in values:
        if value.__class__ is tuple or value.__class__ is list:
            yield from symbols_in(value)
        elif isinstance(value, Tensor):
            yield value


def map_symbols(attr, function):
    """An attr with `function` of each tensor in it."""
    if isinstance(attr, Tensor):
        return function(attr)
    if attr.__class__ is tuple or attr.__class__ is list:
        return type(attr)([map_symbols(item, function) for item in attr])
    return attr


def infer_specs(op, inputs, attrs):
    """The spec (or tuple of specs) of the op's result."""
    return op.infer(*[x.spec for x in inputs], **attrs)


def _check_dtypes(op, inputs):
    if not inputs:
        return
    dtype = inputs[0]._dtype
    if not op.accepts & dtype.bit:
        _refuse_dtypes(op, inputs)
    if op.uniform:
        for x in inputs:
            if x._dtype is not dtype:
                _refuse_dtypes(op, inputs)


def _refuse_dtypes(op, inputs):
    first = inputs[0]._dtype
    for position, x in enumerate(inputs):
        if op.uniform and x._dtype is not first:
            raise InvalidArgumentError(
                None,
                None,
                f"cannot compute {op.name} as input #{position}(zero-based) was expected to be a {first.c_name} tensor but is "
                f"a {x._dtype.c_name} tensor: {_briefly(inputs[0])} and {_briefly(x)}. tf.cast makes the dtypes equal. "
                f"[Op:{op.name}]",
            )
    allowed = dict.fromkeys(dtype.c_name for dtype in dtypes.ALL if op.accepts & dtype.bit)
    raise InvalidArgumentError(
        None,
        None,
        f"Value for attr 'T' of {first.c_name} is not in the list of allowed values: {', '.join(allowed)}. "
        f"{op.name} was given {_briefly(inputs[0])}; tf.cast changes its dtype. [Op:{op.name}]",
    )


def _briefly(x):
    return f"{x._dtype.name}{list(x.dims) if x.dims is not None else ''}"


def _recover(op, inputs, attrs, error):
    """The result where only NumPy's floating point warnings were made errors; otherwise raise the error for people."""
    if isinstance(error, (RuntimeWarning, FloatingPointError)):
        with np.errstate(all="ignore"):
            return op.kernel(*[x._value for x in inputs], **attrs)
    if isinstance(error, OpError):
        raise error
    if isinstance(error, MemoryError):
        raise ResourceExhaustedError(
            None, None, f"OOM when computing {op.name} of {', '.join(map(_briefly, inputs))}: {error} [Op:{op.name}]"
        ) from error
    infer_specs(op, inputs, attrs)
    kind = InvalidArgumentError if isinstance(error, (ValueError, TypeError, IndexError, OverflowError)) else InternalError
    raise kind(None, None, f"{op.name} of {', '.join(map(_briefly, inputs))}: {error} [Op:{op.name}]") from error


__all__ = [
    "NO_ATTRS",
    "P",
    "PRIMITIVES",
    "Primitive",
    "Spec",
    "Tensor",
    "any_large",
    "bind",
    "dtype_bits",
    "has_symbols",
    "infer_specs",
    "is_large",
    "map_symbols",
    "symbols_in",
]
