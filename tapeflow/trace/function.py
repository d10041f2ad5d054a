"""`function`: a Python function that is traced into a graph for each kind of arguments, and run as that graph."""

import collections
import functools
import itertools
import threading
import weakref

from tapeflow.base import nest
from tapeflow.base.log import log
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec
from tapeflow.core.graph import Graph, SymbolicTensor
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor
from tapeflow.trace.autograph import convert
from tapeflow.trace.autograph.frames import trimmed
from tapeflow.trace.concrete import ConcreteFunction
from tapeflow.trace.initial import value_in_call
from tapeflow.trace.must_compile import check_compilable
from tapeflow.trace.retraces import closest, described, reason
from tapeflow.trace.signature import Call, Signature
from tapeflow.trace.structure import flatten
from tapeflow.trace.tracing import close, outside, trace_into

MOST_TRACES = 256  # kept for each function; the one that was not used for the longest time goes first
TOLD_AFTER = 3  # retraces
_number = itertools.count(1).__next__
CREATED_LATE = (
    "tf.function only supports singleton tf.Variables created on the first call. Make sure the tf.Variable is only created once or "
    "created outside tf.function. See https://www.tensorflow.org/guide/function#creating_tfvariables for more information."
)


class _Mode:
    """How all functions are called."""

    eager = False


class Function:
    """A Python function that runs as graphs: what `tf.function` makes.

    Each kind of arguments (dtypes and shapes of tensors, Python values, other objects by identity) is traced once, the first time
    that it is called with, into a `ConcreteFunction`. As an attribute of a class it is a method, with traces for each object.
    """

    def __init__(
        self,
        python_function,
        input_signature=None,
        autograph=True,
        jit_compile=None,
        reduce_retracing=False,
        experimental_autograph_options=None,
        owner=None,
    ):
        functools.update_wrapper(self, python_function)
        self._python_function = python_function
        self._input_signature = input_signature
        self._autograph = autograph
        self._jit_compile = jit_compile
        self._reduce_retracing = reduce_retracing
        self._options = experimental_autograph_options
        self._owner = owner  # of a method: a weak reference to its object
        self._signature = Signature(python_function, input_signature, bound=owner is not None)
        if owner is not None and self._signature.signature is not None:
            self.__signature__ = self._signature.signature  # what `inspect` tells libraries: a bound method takes no object
        self._lock = threading.RLock()
        self._fast = {}  # (dtype, shape, ...) of calls with tensors alone -> ConcreteFunction
        self._exact = collections.OrderedDict()  # (key, shapes) -> ConcreteFunction
        self._kinds = {}  # key -> list of (shapes, ConcreteFunction)
        self._traces = 0
        self._seen = []  # what each trace was for, as `described` gives it
        self._retraces = []
        self._created = False  # whether the first trace made variables
        self._methods = None

    # Calling

    def __call__(self, *args, **kwargs):
        """Call the function; what it returns, with tensors for numbers and arrays."""
        if not kwargs:
            key = []
            for x in args:
                if x.__class__ is not Tensor:
                    break
                key.append(x._dtype)
                key.append(x._value.shape)
            else:
                concrete = self._fast.get(tuple(key))
                if concrete is not None and not _Mode.eager:
                    return concrete.call_flat(args)
                return self._call(args, kwargs, tuple(key))
        return self._call(args, kwargs, None)

    def _call(self, args, kwargs, fast):
        if _Mode.eager:
            return self._python_function(*self._object(), *args, **kwargs)
        call = Call(self._signature.bind(args, kwargs))
        try:
            concrete = self._concrete(call)
        except Exception as error:
            raise error.with_traceback(trimmed(error.__traceback__))  # noqa: B904 - the same error
        if fast is not None and self._signature.declared is None and len(call.tensors) == len(args):
            if len(self._fast) >= MOST_TRACES:
                self._fast.clear()
            if not concrete._traced.is_bound:
                self._fast[fast] = concrete
        return concrete.call_flat(call.tensors)

    def _object(self):
        """The object of a method as the first argument."""
        if self._owner is None:
            return ()
        owner = self._owner()
        if owner is None:
            raise ReferenceError(f"The object whose method {self._signature.name} is has been deleted.")
        return (owner,)

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        if self._methods is None:
            self._methods = {}
        found = self._methods.get(id(instance))
        if found is None:
            found = self._bound(instance)
        return found

    def _bound(self, instance):
        """The method of one object; it goes when the object does."""
        key, methods = id(instance), self._methods
        reference = weakref.ref(instance, lambda _: methods.pop(key, None))
        method = methods[key] = Function(
            self._python_function,
            self._input_signature,
            self._autograph,
            self._jit_compile,
            self._reduce_retracing,
            self._options,
            owner=reference,
        )
        return method

    def _decorate(self, decorator):
        """Put `decorator(function)` in the Python function's place; libraries have their modules' methods enter a name scope so.

        Raises:
            ValueError: the function has been traced.
        """
        if self._traces:
            raise ValueError(f"{self.__name__} cannot be decorated: it has been traced.")
        self._python_function = decorator(self._python_function)

    # Traces

    def _concrete(self, call):
        """The trace for a call, made where there is none."""
        dims = self._shapes(call)
        key = (call.key, tuple(dims))
        with self._lock:
            concrete = self._exact.get(key)
            if concrete is not None:
                self._exact.move_to_end(key)
                return concrete
            for shapes, known in self._kinds.get(call.key, ()):
                if all(TensorShape(own).is_subtype_of(TensorShape(shape)) for own, shape in zip(dims, shapes, strict=True)):
                    concrete = known
                    break
            else:
                dims = self._relaxed(call.key, dims)
                concrete = self._traced(call, dims)
                if concrete._traced.is_bound:
                    return concrete  # what it captured exists only in the function that is being traced around it
                self._kinds.setdefault(call.key, []).append((dims, concrete))
            self._remember(key, concrete)
            return concrete

    def _shapes(self, call):
        """The shapes of a call's tensors; as declared, where they are."""
        if self._signature.declared is None:
            return call.dims
        declared = self._declared_shapes(call)
        return [own if shape is None else shape for own, shape in zip(call.dims, declared, strict=True)]

    def _declared_shapes(self, call):
        specs = [x for x in nest.flatten(self._signature.declared, expand_composites=True) if isinstance(x, TensorSpec)]
        shapes = [spec.shape._dims for spec in specs]
        return [*shapes, *call.dims[len(shapes) :]]

    def _remember(self, key, concrete):
        self._exact[key] = concrete
        if len(self._exact) > MOST_TRACES:
            _, oldest = self._exact.popitem(last=False)
            if oldest not in self._exact.values():
                for kind in list(self._kinds):
                    self._kinds[kind] = [pair for pair in self._kinds[kind] if pair[1] is not oldest]
                self._fast.clear()

    def _relaxed(self, key, dims):
        """Shapes that serve what was traced before too, where retracing is to be reduced."""
        if not self._reduce_retracing:
            return dims
        for shapes, _ in self._kinds.get(key, ())[-1:]:
            dims = [_common(own, shape) for own, shape in zip(dims, shapes, strict=True)]
        return dims

    def _traced(self, call, dims):
        self._explain(call)
        concrete = self._trace(call, dims, may_create=not self._created and not self._traces)
        if self._created and self._traces == 1:  # variables are made by the first trace; it must do without making them
            concrete = self._trace(call, dims, may_create=False)
        return concrete

    def _trace(self, call, dims, may_create):
        """Run the Python function over placeholders."""
        name = self._signature.name
        graph = Graph(name, by_reference=True)
        graph.arguments = call.tensors
        placeholders = [
            graph.placeholder(spec.shape, spec.dtype, f"{label}:0")
            for spec, label in zip(call.specs(dims), self._labels(call), strict=True)
        ]
        arguments = call.rebuilt(placeholders)
        function = convert(self._python_function, features=self._features()) if self._autograph else self._python_function
        creators = state.creators
        self._traces += 1
        state.creators = (*creators, functools.partial(self._create, may_create))
        try:
            positional, named = arguments
            pair = trace_into(graph, lambda: function(*self._object(), *positional, **named), self._flat_results)
            if self._jit_compile:
                check_compilable(graph)
        except BaseException:
            self._traces -= 1
            raise
        finally:
            state.creators = creators
            graph.arguments = ()
        specs = call.described(dims, self._labels(call))
        return ConcreteFunction(f"__inference_{name}_{_number()}", close([pair])[0], call, specs, self._signature)

    def _flat_results(self, result):
        """The tensors in what the function returned."""
        try:
            return flatten(result)
        except (TypeError, ValueError) as error:
            raise TypeError(
                "To be compatible with tf.function, Python functions must return zero or more Tensors or ExtensionTypes or None "
                f"values; in compilation of {self._python_function!r}, found return value of type {type(result).__name__}, which is "
                f"not a Tensor or ExtensionType: {result!r}. {error}"
            ) from None

    def _features(self):
        """The optional parts of AutoGraph's conversion, as a tuple."""
        options = self._options
        return () if options is None else tuple(options) if isinstance(options, (tuple, list, set)) else (options,)

    def _labels(self, call):
        """A name for each tensor among the arguments."""
        positional, named = call.structure
        parameters = list(self._signature.signature.parameters) if self._signature.signature is not None else []
        labels = []
        for i, x in enumerate((*positional, *named.values())):
            count = len(Call(x).tensors)
            name = (
                (parameters[i] if i < len(parameters) else f"arg_{i}")
                if i < len(positional)
                else list(named)[i - len(positional)]
            )
            spec = x.name if isinstance(x, TensorSpec) and x.name else None
            labels += [spec or (name if count == 1 else f"{name}_{k}") for k in range(count)]
        return labels

    def _create(self, may_create, next_creator, **kwargs):
        """Make a variable for the function that is being traced: outside of its graph, and the first time only."""
        if not may_create:
            raise ValueError(CREATED_LATE)
        self._created = True
        value = kwargs["initial_value"]
        with outside():
            value = value() if callable(value) else value
        if isinstance(value, SymbolicTensor):
            value = value_in_call(value)
        kwargs["initial_value"] = value
        with outside():
            return next_creator(**kwargs)

    # Retraces

    def _explain(self, call):
        """Note why this call needs another trace; say so from the third time on."""
        now = described(call.structure)
        if self._seen:
            names = list(self._signature.signature.parameters) if self._signature.signature is not None else []
            text = reason(names, closest(self._seen, now), now)
            self._retraces.append(text)
            if len(self._retraces) == TOLD_AFTER:
                log.warning(
                    "%s is traced for the %dth time, which takes long: %s. explain_retraces() tells of all.",
                    self._signature.name,
                    len(self._seen) + 1,
                    text,
                )
        self._seen.append(now)
        del self._seen[:-MOST_TRACES]

    def explain_retraces(self):
        """Why the function was traced again each time after the first: a list of texts that name the argument that changed."""
        return list(self._retraces)

    # What TensorFlow's functions tell of themselves

    python_function = property(lambda self: self._python_function, doc="The Python function.")
    input_signature = property(lambda self: self._signature.declared, doc="The declared specs, or None.")
    function_spec = property(lambda self: self._signature, doc="The parameters of the function.")
    jit_compile = property(lambda self: self._jit_compile, doc="Whether it must run as native code.")

    def experimental_get_tracing_count(self):
        """How often the function was traced."""
        return self._traces

    def get_concrete_function(self, *args, **kwargs):
        """The `ConcreteFunction` for such arguments; `tf.TensorSpec`s may stand for tensors.

        Without arguments, that of the declared signature.
        """
        if self._signature.declared is not None and not args and not kwargs:
            args = self._signature.declared
        return self._concrete(Call(self._signature.bind(args, kwargs)))

    def explain(self):
        """What became of each node of each trace, as text: kernels with loops, FLOPs, bytes and times, library calls, fallbacks.

        Times are those of runs with `DEBUG=2`.
        """
        concretes = [concrete for kind in self._kinds.values() for _, concrete in kind]
        return "\n\n".join(concrete.explain() for concrete in concretes) or f"{self.__name__}: not traced yet"

    def pretty_printed_concrete_signatures(self, verbose=True):
        """The arguments and results of each trace, as text."""
        concretes = [concrete for kind in self._kinds.values() for _, concrete in kind]
        return "\n\n".join(concrete.pretty_printed_signature(verbose) for concrete in concretes)

    def __repr__(self):
        return f"<tapeflow function {self._signature.name} at 0x{id(self):X}>"


def _common(a, b):
    """The shape that describes both."""
    return TensorShape(a).most_specific_common_supertype([TensorShape(b)])._dims


def function(
    func=None,
    input_signature=None,
    autograph=True,
    jit_compile=None,
    reduce_retracing=False,
    experimental_implements=None,
    experimental_autograph_options=None,
    experimental_attributes=None,
    experimental_relax_shapes=None,
    experimental_compile=None,
    experimental_follow_type_hints=None,
):
    """A function that is traced into a graph, once for each kind of arguments, and runs as that graph.

    Args:
        func: the Python function; None makes a decorator.
        input_signature: a list of `tf.TensorSpec`s (or nests of them) for the positional arguments: one trace serves all calls.
        autograph: whether Python's control flow over tensors becomes part of the graph.
        jit_compile: whether it must run as native code. What is Python's work by nature (strings, files, printing, Python
            functions) then raises InvalidArgumentError when it is traced. Ops on numbers that have no native code yet run on their
            NumPy kernels all the same; `DEBUG=1` names them.
        reduce_retracing: whether dimensions that differ between calls become unknown ones.
        experimental_implements, experimental_attributes: accepted.
        experimental_autograph_options: optional parts of the conversion, `tf.autograph.experimental.Feature`s.
        experimental_relax_shapes: an old name of `reduce_retracing`.
        experimental_compile: an old name of `jit_compile`.
        experimental_follow_type_hints: accepted.

    Returns:
        A `Function`, or a decorator that makes one.

    Example:
        >>> import tapeflow as tf
        >>> @tf.function
        ... def double(x):
        ...     return x + x
        >>> int(double(tf.constant(3)))
        6
    """
    if input_signature is not None:
        Signature(lambda *args: None, input_signature)

    def decorated(python_function):
        if isinstance(python_function, (staticmethod, classmethod)):
            return type(python_function)(decorated(python_function.__func__))
        if not callable(python_function):
            raise TypeError(f"{python_function!r} is not a callable object: tf.function takes a function.")
        inner = python_function
        if isinstance(inner, Function):
            inner = inner._python_function
        return Function(
            inner,
            input_signature,
            autograph,
            experimental_compile if jit_compile is None else jit_compile,
            reduce_retracing or bool(experimental_relax_shapes),
            experimental_autograph_options,
        )

    return decorated if func is None else decorated(func)


def run_functions_eagerly(run_eagerly):
    """Let every `tf.function` run as plain Python (True), or as graphs again (False); for looking into a function.

    Example:
        >>> import tapeflow as tf
        >>> tf.config.run_functions_eagerly(True)
        >>> tf.function(lambda: tf.executing_eagerly())()
        True
        >>> tf.config.run_functions_eagerly(False)
    """
    _Mode.eager = bool(run_eagerly)


def functions_run_eagerly():
    """Whether functions run as plain Python."""
    return _Mode.eager


__all__ = ["Function", "function", "functions_run_eagerly", "run_functions_eagerly"]
