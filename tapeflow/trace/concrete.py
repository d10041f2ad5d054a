"""`ConcreteFunction`: one trace of a function, for arguments of one kind, and how it is called."""

from tapeflow.base import nest
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec
from tapeflow.core import plan as plans
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.plan import plan_of
from tapeflow.core.state import NOBODY, ongoing, state
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.trace.call import call_graph
from tapeflow.trace.structure import Flow, pack


class ConcreteFunction:
    """One graph of a `tf.function`, with what it was traced for and what its results are nested like.

    Args:
        name: the function's name.
        traced: the graph with what it captured, as `Traced`; its result is the nest that the function returned.
        call: the `Call` that it was traced for.
        arguments: the pair (positional arguments, keyword-only ones) with specs in the place of tensors.
        signature: the `Signature` of the Python function.
    """

    def __init__(self, name, traced, call, arguments, signature):
        self.name = name
        self.graph = traced.graph
        self._traced = traced._replace(result=None)
        self._structure = _outline(traced.result)
        self._single = self._structure.__class__ is int
        self._native = None  # what runs the graph as native code
        self._asked = False
        self._entry = None  # the same from tensors to tensors, where there is such a function
        self._calls = 0
        self._call = call
        self._arguments = arguments
        self._signature = signature
        self._count = len(self.graph.outputs) - len(self.graph.saved)

    # Calling

    def __call__(self, *args, **kwargs):
        """Call it with arguments like those it was traced for, or with its tensors alone, in order."""
        return self.call_flat(self._tensors(args, kwargs))

    def call_flat(self, tensors):
        """Call it on the tensors among its arguments; returns the nest that the function returned."""
        if not ongoing or state.active is NOBODY:
            entry = self._entry
            if entry is not None:
                found = entry(*tensors, *self._traced.captures)
                if found is not NotImplemented:
                    return found if self._single else self._packed(found)
            results = self.run([x._value for x in tensors])
            if self._single:
                return wrap(results[0])
            return self._packed([wrap(value) for value in results])
        return self._packed(call_graph(self.graph, self._traced.operands(tensors)))

    def run(self, values):
        """The values of the results, for the values of the tensors among the arguments; nothing records."""
        if self._traced.captures:
            values = [*values, *[x._value for x in self._traced.captures]]
        run = self._native
        if run is None and not self._asked:
            self._asked = True
            run = self._native = None if plans.compiler is None else plans.compiler(self.graph, False)
        if run is not None:
            results = run(values)
            self._calls += 1
            if self._calls == 4 and hasattr(run, "__self__"):  # it stays: worth a call of its own
                self._entry = run.__self__.entry()
            return results
        values = [*values, *[variable._tensor._value for variable in self.graph.variables]]
        return plan_of(self.graph)(*values)[: self._count]

    def explain(self):
        """What became of each node of the graph, as text: kernels, library calls, what runs on NumPy."""
        if self._native is None:
            return f"{self.name}: {len(self.graph.nodes)} nodes, run by the NumPy kernels"
        return self._native.__self__.explain()

    def _packed(self, flat):
        return pack(self._structure, flat)

    def _tensors(self, args, kwargs):
        """The tensors among arguments of this trace's kind."""
        flat = self._flat_arguments(args, kwargs)
        if flat is None:
            args, kwargs = self._signature.bind(args, kwargs)
            call = type(self._call)((args, kwargs))
            if call.key != self._call.key:
                raise TypeError(
                    f"ConcreteFunction {self.pretty_printed_signature(verbose=False)} was called with other arguments than it was "
                    f"traced for: args={args}, kwargs={kwargs}"
                )
            flat = call.tensors
        specs = self._call.specs(self._dims())
        return [_fitting(x, spec, self, i) for i, (x, spec) in enumerate(zip(flat, specs, strict=True))]

    def _flat_arguments(self, args, kwargs):
        """The tensors, where the call gives them alone: by position or by the names of their specs."""
        count = len(self._call.tensors)
        names = [spec.name for spec in nest.flatten(self._arguments, expand_composites=True) if isinstance(spec, TensorSpec)]
        if kwargs and len(args) + len(kwargs) == count and all(name in names for name in kwargs):
            return [*args, *[kwargs[name] for name in names[len(args) :]]]
        if kwargs or len(args) != count or any(nest.is_nested(x) and not hasattr(x, "_type_spec") for x in args):
            return None
        return list(args)

    def _dims(self):
        return [x.dims for x in self.graph.inputs[: len(self._call.tensors)]]

    # What it is

    @property
    def structured_input_signature(self):
        """The pair (positional arguments, keyword-only ones) with specs for tensors."""
        return self._arguments

    @property
    def structured_outputs(self):
        """The nest that it returns, with the graph's symbolic tensors."""
        return self._packed(self.graph.outputs[: self._count])

    @property
    def output_dtypes(self):
        """The nest that it returns, with dtypes for tensors."""
        return nest.map_structure(lambda x: getattr(x, "dtype", None), self.structured_outputs)

    @property
    def output_shapes(self):
        """The nest that it returns, with shapes for tensors, unknown ones for None."""
        return nest.map_structure(lambda x: getattr(x, "shape", TensorShape(None)), self.structured_outputs)

    @property
    def inputs(self):
        """The graph's placeholders: of arguments, of what was captured, of variables."""
        return list(self.graph.inputs)

    @property
    def outputs(self):
        """The graph's results."""
        return list(self.graph.outputs[: self._count])

    @property
    def captured_inputs(self):
        """The tensors and variables from outside that the last inputs stand for."""
        return [*self._traced.captures, *self.graph.variables]

    @property
    def variables(self):
        """The variables that it reads or assigns."""
        found = {id(v): v for v in self.graph.variables}
        found.update(self.graph.writes)
        return tuple(found.values())

    @property
    def trainable_variables(self):
        """Those of its variables that are trainable."""
        return tuple([v for v in self.variables if v.trainable])

    def pretty_printed_signature(self, verbose=True):
        """The arguments and, where `verbose`, the results, as text."""
        args, kwargs = self._arguments
        shown = [_shown(x) for x in args] + [f"{key}={_shown(x)}" for key, x in kwargs.items()]
        text = f"{self.name}({', '.join(shown)})"
        outputs = self._packed([TensorSpec(x.shape, x.dtype) for x in self.graph.outputs[: self._count]])
        return f"{text} -> {_shown(outputs)}" if verbose else text

    def __repr__(self):
        return f"<ConcreteFunction {self.pretty_printed_signature()} at 0x{id(self):X}>"


def _outline(structure):
    """A nest with specs in the place of composites, and 0 in that of tensors: it keeps nothing alive."""
    return nest.map_structure(_outlined, structure)


def _outlined(leaf):
    if leaf is None or isinstance(leaf, Flow):
        return leaf
    return 0 if isinstance(leaf, Tensor) else getattr(leaf, "_type_spec", 0)


def _fitting(x, spec, function, position):
    """An argument as a trace wants it."""
    tensor = x if isinstance(x, Tensor) else convert_to_tensor(x, dtype_hint=spec.dtype)
    if tensor.dtype is not spec.dtype or not TensorShape(spec.shape).is_compatible_with(TensorShape(tensor.dims)):
        raise InvalidArgumentError(
            None,
            None,
            f"cannot compute {function.name} as input #{position}(zero-based) was expected to be a {spec.dtype.name} tensor of shape "
            f"{TensorShape(spec.shape)} but is a {tensor.dtype.name} tensor of shape {tensor.shape}.",
        )
    return tensor


def _shown(x):
    if isinstance(x, TensorSpec):
        return f"TensorSpec(shape={x.shape}, dtype={x.dtype!r}, name={x.name!r})"
    if isinstance(x, (list, tuple)):
        return f"({', '.join(map(_shown, x))})"
    return repr(x)
