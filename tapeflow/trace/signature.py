"""What a traced function was called with: the tensors among its arguments, and a key under which its trace is found again."""

import inspect
import weakref

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import variant
from tapeflow.base.nest_kinds import EXPANDED
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Spec, Tensor
from tapeflow.core.variable import Variable
from tapeflow.trace.structure import Flow


class Same:
    """A key that finds an object again, without keeping it alive."""

    __slots__ = ("_hash", "_kind", "_ref")

    def __init__(self, x):
        self._kind = type(x)
        self._hash = id(x)
        try:
            self._ref = weakref.ref(x)
        except TypeError:
            self._ref = lambda: x

    def __eq__(self, other):
        if other.__class__ is not Same:
            return False
        mine = self._ref()
        return mine is not None and mine is other._ref()

    def __hash__(self):
        return self._hash

    def __repr__(self):
        return f"an object of {self._kind.__name__}"


class Call:
    """The arguments of one call, taken apart.

    Attributes:
        tensors: the tensors among the arguments, and those that composites are made of, in order.
        key: equal for calls that one trace serves, apart from the tensors' shapes.
        dims: the shape of each tensor, as a tuple or None.
        paths: a name for each leaf, for messages.
    """

    __slots__ = ("dims", "key", "leaves", "paths", "structure", "tensors")

    def __init__(self, structure):
        self.structure = structure
        self.leaves = nest.flatten(structure, expand_composites=True)
        self.tensors = []
        self.dims = []
        parts = [_shape_of_nest(structure)]
        for position, leaf in enumerate(self.leaves):
            parts.append(self._leaf(leaf, position))
        self.key = tuple(parts)

    def _leaf(self, x, position):
        if isinstance(x, TensorSpec):
            self.leaves[position] = x
            self.tensors.append(x)
            self.dims.append(x.shape._dims)
            return x.dtype
        if isinstance(x, (np.ndarray, np.generic)) and not isinstance(x, Tensor):
            x = self.leaves[position] = convert_to_tensor(x)
        if isinstance(x, Tensor):
            self.tensors.append(x)
            self.dims.append(x.dims)
            return x._dtype
        if isinstance(x, TypeSpec) and hasattr(x, "_from_flow"):  # it stands for an iterator or the like
            self.tensors.append(x)
            self.dims.append(())
            return (Flow, x)
        if isinstance(x, Flow):
            flow = x._to_flow()
            self.tensors.append(flow)
            self.dims.append(flow.dims)
            return (Flow, x._type_spec)
        return literal(x)

    def specs(self, dims):
        """The spec of each tensor, with these shapes."""
        return [Spec(shape, getattr(x, "dtype", variant)) for x, shape in zip(self.tensors, dims, strict=True)]

    def described(self, dims, names):
        """The arguments with specs, of these shapes and names, in the place of tensors."""
        specs = iter([TensorSpec(TensorShape(s), d, name) for (s, d), name in zip(self.specs(dims), names, strict=True)])

        def spec_of(leaf):
            parts = Call(leaf).tensors
            own = [next(specs) for _ in parts]
            if len(own) == 1 and (isinstance(leaf, (Tensor, TensorSpec)) or not hasattr(leaf, "_type_spec")):
                return own[0]
            return getattr(leaf, "_type_spec", leaf)

        return nest.map_structure(spec_of, self.structure)

    def rebuilt(self, tensors):
        """The arguments with other tensors in the place of theirs."""
        tensors = iter(tensors)
        leaves = []
        for leaf in self.leaves:
            if isinstance(leaf, (Tensor, TensorSpec)):
                leaves.append(next(tensors))
            elif isinstance(leaf, Flow) or hasattr(leaf, "_from_flow"):
                leaves.append(leaf._from_flow(next(tensors)))
            else:
                leaves.append(leaf)
        return nest.pack_sequence_as(self.structure, leaves, expand_composites=True)


def literal(x):
    """The key of a value that is no tensor: what it is for numbers and strings, else which object it is."""
    kind = x.__class__
    if kind in (int, float, bool, str, bytes, complex, type(None)):
        return (kind, x if x == x else "nan")
    if isinstance(x, (TypeSpec, TensorShape)) or (getattr(kind, "__eq__", None) is not object.__eq__ and _plain(kind)):
        return (kind, x)
    return Same(x)


def _plain(kind):
    """Whether instances of a class are compared by what they are and do not change: enums, dtypes, frozen dataclasses."""
    parameters = getattr(kind, "__dataclass_params__", None)
    return kind.__hash__ is not None and (parameters is None or parameters.frozen) and not issubclass(kind, Variable)


def _shape_of_nest(structure):
    """A key of how something is nested."""
    kind = EXPANDED[type(structure)]
    if kind is None:
        return None
    items = tuple([(key, _shape_of_nest(branch)) for key, branch in kind.items(structure)])
    return (type(structure), items)


# Binding arguments to parameters


class Signature:
    """The parameters of a Python function, and what the user declared of their tensors.

    Args:
        function: the Python function.
        input_signature: specs for the positional arguments, or None.
        bound: whether the first parameter is filled in by a method's object.
    """

    def __init__(self, function, input_signature=None, bound=False):
        self.name = getattr(function, "__name__", type(function).__name__)
        try:
            self.signature = inspect.signature(function)
        except (TypeError, ValueError):
            self.signature = None
        if self.signature is not None and bound:
            parameters = list(self.signature.parameters.values())
            self.signature = self.signature.replace(parameters=parameters[1:])
        self.declared = None if input_signature is None else _declared(input_signature, self.name)
        self.plain = self.signature is not None and all(
            p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in self.signature.parameters.values()
        )
        self.count = len(self.signature.parameters) if self.plain else None

    def bind(self, args, kwargs):
        """The pair (positional arguments, keyword-only ones), defaults filled in.

        Raises:
            TypeError: they do not fit the parameters, or not the declared signature.
        """
        if self.plain and not kwargs and len(args) == self.count:
            positional, named = args, {}
        elif self.signature is None:
            positional, named = args, kwargs
        else:
            try:
                bound = self.signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(
                    f"Binding inputs to tf.function failed due to `{error}`. Received args: {args} and kwargs: {kwargs} for "
                    f"signature: {self.signature}."
                ) from None
            bound.apply_defaults()
            positional, named = bound.args, bound.kwargs
        if self.declared is not None:
            positional = self._cast(positional, args, kwargs)
        return positional, named

    def _cast(self, positional, args, kwargs):
        """The arguments as the declared specs want them."""
        declared = self.declared
        given = positional[: len(declared)]
        if len(given) < len(declared):
            raise TypeError(f"{self.name} missing required arguments: {len(declared)} declared, got {len(given)}: {args}")
        casts = []
        for spec, value in zip(declared, given, strict=True):
            try:
                nest.assert_shallow_structure(spec, value, check_types=False)
                leaves = [_fit(one, x) for one, x in zip(nest.flatten(spec), nest.flatten_up_to(spec, value), strict=True)]
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"Binding inputs to tf.function failed due to `{error}`. Received args: {args} and kwargs: {kwargs} for "
                    f"signature: {self.declared}."
                ) from None
            casts.append(nest.pack_sequence_as(spec, leaves))
        if len(positional) > len(declared):
            rest = list(self.signature.parameters.values())[len(declared) :] if self.signature else []
            defaults = tuple([p.default for p in rest])
            if len(defaults) != len(positional) - len(declared) or any(
                a is not b for a, b in zip(defaults, positional[len(declared) :], strict=True)
            ):
                raise TypeError(
                    f"{self.name} has an input_signature of {len(declared)} arguments, got {len(positional)}: {args}. "
                    "Arguments beyond the signature keep their defaults."
                )
        return (*casts, *positional[len(declared) :])

    def shown(self):
        """The parameters as text."""
        return f"{self.name}{self.signature if self.signature is not None else '(...)'}"


def _declared(input_signature, name):
    if not isinstance(input_signature, (tuple, list)):
        raise TypeError(f"input_signature must be either a tuple or a list, got {type(input_signature)}.")
    for leaf in nest.flatten(input_signature):
        if not isinstance(leaf, TypeSpec) and not isinstance(leaf, Variable):
            raise TypeError(f"input_signature of {name} must be a nest of TensorSpec objects, got {leaf!r}.")
    return tuple(input_signature)


def _fit(spec, x):
    """A value as a spec wants it."""
    if not isinstance(spec, TensorSpec):
        if not spec.is_compatible_with(x):
            raise TypeError(f"Can not cast {x!r} to {spec}")
        return x
    if isinstance(x, TensorSpec):
        if x.dtype is not spec.dtype or not x.shape.is_subtype_of(spec.shape):
            raise TypeError(f"Can not cast {x} to {spec}")
        return spec
    tensor = x if isinstance(x, Tensor) else convert_to_tensor(x, dtype_hint=spec.dtype)
    if tensor.dtype is not spec.dtype or not TensorShape(tensor.dims).is_compatible_with(spec.shape):
        raise TypeError(f"Can not cast {TensorSpec(tensor.shape, tensor.dtype)} to {spec}")
    return tensor


__all__ = ["Call", "Same", "Signature", "literal"]
