"""`tf.types.experimental`: abstract classes by which programs name functions, their types and what is like a tensor."""

import abc
import inspect
import typing

import numpy as np

from tapeflow.api.export import export, export_value
from tapeflow.core.tensor import Tensor

TensorLike = typing.Union[Tensor, int, float, bool, str, bytes, complex, tuple, list, np.ndarray, np.generic]  # noqa: UP007
export_value(TensorLike, "types.experimental.TensorLike")


@export("types.experimental.Callable")
class Callable(abc.ABC):
    """What can be called with tensors and has a known type."""

    @property
    @abc.abstractmethod
    def function_type(self):
        """The `FunctionType` of its arguments and results."""

    @abc.abstractmethod
    def __call__(self, *args, **kwargs):
        """Call it."""


@export("types.experimental.AtomicFunction")
class AtomicFunction(Callable):
    """A graph that is called with flat tensors."""

    @abc.abstractmethod
    def call_with_captures(self, args, kwargs, captures):
        """Call it with the values that it captures given."""


@export("types.experimental.ConcreteFunction")
class ConcreteFunction(Callable):
    """A function traced for one set of argument types."""

    @property
    @abc.abstractmethod
    def inference_fn(self):
        """The `AtomicFunction` without derivatives."""


@export("types.experimental.PolymorphicFunction", "types.experimental.GenericFunction")
class PolymorphicFunction(Callable):
    """A function that is traced anew for new argument types: what `tf.function` gives."""

    @abc.abstractmethod
    def get_concrete_function(self, *args, **kwargs):
        """The `ConcreteFunction` for these arguments or specs."""

    def experimental_get_compiler_ir(self, *args, **kwargs):
        """A function that gives the compiler's form of the graph."""
        raise NotImplementedError(f"{type(self).__name__}.experimental_get_compiler_ir")


@export("types.experimental.FunctionType")
class FunctionType(inspect.Signature):
    """A signature whose annotations are `TraceType`s."""


@export("types.experimental.TraceType")
class TraceType(abc.ABC):
    """What a function's argument is to tracing: equal types share a trace."""

    @abc.abstractmethod
    def is_subtype_of(self, other):
        """Whether a trace for `other` serves this type too."""

    @abc.abstractmethod
    def most_specific_common_supertype(self, others):
        """The narrowest type that serves this one and all of `others`, or None."""

    @abc.abstractmethod
    def placeholder_value(self, placeholder_context):
        """The value that stands for the argument while tracing."""

    @abc.abstractmethod
    def __eq__(self, other):
        """Whether it is the same type."""

    @abc.abstractmethod
    def __hash__(self):
        """A hash that equal types share."""

    def to_tensors(self, value):
        """The tensors within a value of this type, as a list."""
        raise NotImplementedError(f"{type(self).__name__}.to_tensors")

    def from_tensors(self, tensors):
        """The value made of these tensors."""
        raise NotImplementedError(f"{type(self).__name__}.from_tensors")

    def flatten(self):
        """The types of the tensors within, as a list."""
        raise NotImplementedError(f"{type(self).__name__}.flatten")

    def cast(self, value, cast_context):
        """`value` as a value of this type."""
        if value != self:
            raise AssertionError(f"Can not cast {value!r} to type {self!r}")
        return value


@export("types.experimental.SupportsTracingProtocol")
@typing.runtime_checkable
class SupportsTracingProtocol(typing.Protocol):
    """An object that tells its own `TraceType`."""

    def __tf_tracing_type__(self, context):
        """The `TraceType`."""


class DistributedValues:
    """One value for each replica; there is one replica."""


@export("types.experimental.distributed.PerReplica")
class PerReplica(DistributedValues):
    """Values that differ between replicas."""


@export("types.experimental.distributed.Mirrored")
class Mirrored(DistributedValues):
    """Values that are the same on all replicas."""
