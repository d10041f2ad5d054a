"""`tf.experimental.ExtensionType`: classes of tensors that act as one value, written like dataclasses."""

import functools
import inspect
import typing

from tapeflow.api.export import export
from tapeflow.api.extension_fields import check_annotation, convert
from tapeflow.base import nest
from tapeflow.base.specs import TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor

RESERVED = {"Spec", "_type_spec", "self"}


class _Fields:
    """What an extension type and its `Spec` share: fields that only the constructor sets."""

    def __setattr__(self, name, value):
        if "_building" not in self.__dict__ or name not in type(self)._fields_:
            raise _immutable(name)
        self.__dict__[name] = value

    def __delattr__(self, name):
        raise _immutable(name)

    @classmethod
    def _annotations(cls):
        """The annotation of each field; names of classes in them are looked up when first needed."""
        hints = cls.__dict__.get("_hints_")
        if hints is None:
            owner = getattr(cls, "value_type", cls)
            hints = typing.get_type_hints(owner, localns={owner.__name__: owner})
            cls._hints_ = hints
        return hints

    def _finish(self, specs):
        missing = set(self._fields_) - set(self.__dict__)
        if missing:
            raise ValueError(f"Missing required fields: {missing}")
        hints = self._annotations()
        for name in self._fields_:
            self.__dict__[name] = convert(name, hints[name], self.__dict__[name], specs)

    def __repr__(self):
        fields = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self._fields_)
        return f"{type(self).__qualname__.rpartition('<locals>.')[2]}({fields})"


def _immutable(name):
    return AttributeError(f"Cannot mutate attribute `{name}` outside the custom constructor of ExtensionType.")


def _built(init, specs):
    """A constructor around `init`: within it fields can be set, behind it they are converted and checked."""

    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        if "_building" in self.__dict__:  # called by a subclass's constructor
            init(self, *args, **kwargs)
            return
        self.__dict__["_building"] = True
        try:
            init(self, *args, **kwargs)
            self._finish(specs)
        finally:
            del self.__dict__["_building"]
        if not specs:
            self.__validate__()

    return __init__


def _default_init(cls):
    """A constructor that takes the fields, with their defaults."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter("self", kind)]
    parameters += [inspect.Parameter(name, kind, default=default) for name, default in cls._fields_.items()]
    signature = inspect.Signature(parameters)

    def __init__(self, *args, **kwargs):
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        for name in self._fields_:
            setattr(self, name, bound.arguments[name])

    __init__.__signature__ = signature
    return __init__


@export("experimental.ExtensionTypeSpec")
class ExtensionTypeSpec(_Fields, TypeSpec):
    """The spec of an extension type: its fields, with specs where values have tensors."""

    _fields_: dict = {}
    value_type = None

    def __init__(self, *args, **kwargs):
        raise TypeError("ExtensionTypeSpec is abstract: use the `Spec` of an extension type.")

    def _serialize(self):
        return tuple([self.__dict__[name] for name in self._fields_])

    def _cmp_key(self):
        if "_key" not in self.__dict__:
            self.__dict__["_key"] = repr(self._serialize())
        return self.__dict__["_key"]

    def _leaves(self):
        return nest.flatten(self._serialize())

    @property
    def _component_specs(self):
        return tuple([leaf for leaf in self._leaves() if isinstance(leaf, TypeSpec)])

    def _to_components(self, value):
        leaves = nest.flatten([getattr(value, name) for name in self._fields_])
        return tuple([leaf for leaf in leaves if isinstance(leaf, Tensor) or getattr(leaf, "_type_spec", None) is not None])

    def _from_components(self, components):
        components = iter(components)
        leaves = [next(components) if isinstance(leaf, TypeSpec) else leaf for leaf in self._leaves()]
        values = nest.pack_sequence_as(self._serialize(), leaves)
        made = object.__new__(self.value_type)
        made.__dict__.update(zip(self._fields_, values, strict=True), _building=True)
        made._finish(False)
        del made.__dict__["_building"]
        return made

    def _mapped(self, function):
        leaves = [function(leaf) if isinstance(leaf, TypeSpec) else leaf for leaf in self._leaves()]
        return self._deserialize(nest.pack_sequence_as(self._serialize(), leaves))

    @classmethod
    def from_value(cls, value):
        """The spec of a value."""
        return value._type_spec


class BatchableExtensionTypeSpec(ExtensionTypeSpec):
    """The spec of a batchable extension type: a batch of values is one value whose tensors have one axis more."""

    def _batch(self, batch_size):
        return self._mapped(lambda spec: spec._batch(batch_size))

    def _unbatch(self):
        return self._mapped(lambda spec: spec._unbatch())


def _fields_of(cls):
    """The fields of a class by name, with their defaults: those of its bases first."""
    fields = {}
    for base in reversed(cls.__mro__):
        if not issubclass(base, ExtensionType) or base in (ExtensionType, BatchableExtensionType):
            continue
        for name, annotation in inspect.get_annotations(base).items():
            if typing.get_origin(annotation) is typing.ClassVar:
                continue
            if name in RESERVED:
                raise ValueError(f"The field annotations for {cls.__name__} are invalid. Field '{name}' is reserved.")
            check_annotation(name, annotation)
            fields[name] = base.__dict__.get(name, inspect.Parameter.empty)
    return fields


@export("experimental.ExtensionType")
class ExtensionType(_Fields):
    """A base class for values made of tensors: a subclass annotates its fields.

    Values are immutable, and tensors within them are found by `tf.nest` with `expand_composites`, by functions and by
    gradients. The constructor, `==`, printing and the nested class `Spec` are made from the fields; the method
    `__validate__` is called behind the constructor. Annotations may be `tf.Tensor`, extension types, Python's scalars,
    `tf.TensorShape`, `tf.DType`, `tuple[...]`, `Mapping[str, ...]` and unions of them.

    Raises:
        TypeError: an annotation or a value of another kind.
        AttributeError: a field is set outside the constructor.

    Example:
        >>> import tapeflow as tf
        >>> class Masked(tf.experimental.ExtensionType):
        ...     values: tf.Tensor
        ...     mask: tf.Tensor
        >>> Masked([1, 2], [True, False]).values
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>
    """

    _fields_: dict = {}
    _spec_base = ExtensionTypeSpec

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "_spec_base" in cls.__dict__:  # another kind of extension type, not one of them
            return
        cls._fields_ = _fields_of(cls)
        cls.__init__ = _built(cls.__dict__.get("__init__") or _default_init(cls), specs=False)
        _add_spec(cls)

    def __validate__(self):
        """Check the fields: subclasses raise what is wrong with them."""

    @property
    def _type_spec(self):
        spec = self.__dict__.get("_cached_spec")
        if spec is None:
            spec = object.__new__(type(self).Spec)
            spec.__dict__.update({name: self.__dict__[name] for name in self._fields_}, _building=True)
            spec._finish(True)
            del spec.__dict__["_building"]
            self.__dict__["_cached_spec"] = spec
        return spec

    def __eq__(self, other):
        if type(self) is not type(other):
            return False
        spec = self._type_spec
        if spec._serialize() != other._type_spec._serialize():
            return convert_to_tensor(False)
        mine, others = (nest.flatten(x, expand_composites=True) for x in (self, other))
        pairs = zip(mine, others, strict=True)
        return P.all(P.stack(convert_to_tensor(True), *[P.all(P.equal(x, y)) for x, y in pairs], axis=0))

    def __ne__(self, other):
        equal = self == other
        return not equal if isinstance(equal, bool) else P.logical_not(equal)

    __hash__ = None  # type: ignore[assignment]  # `==` gives a tensor


@export("experimental.BatchableExtensionType")
class BatchableExtensionType(ExtensionType):
    """An `ExtensionType` that can be batched: `tf.map_fn` takes it apart along the first axis of its tensors."""

    _spec_base = BatchableExtensionTypeSpec


def _add_spec(cls):
    """Make `cls.Spec`, with what a class `Spec` in its body defines."""
    body = cls.__dict__.get("Spec")
    own = {} if body is None else {key: v for key, v in vars(body).items() if key not in ("__dict__", "__weakref__")}
    own.update(value_type=cls, _fields_=cls._fields_, __module__=cls.__module__, __qualname__=f"{cls.__qualname__}.Spec")
    spec = type(f"{cls.__name__}.Spec", (cls._spec_base,), own)
    spec.__init__ = _built(own.get("__init__") or _default_init(cls), specs=True)
    cls.Spec = spec


@export("experimental.ExtensionTypeBatchEncoder")
class ExtensionTypeBatchEncoder:
    """How a batchable extension type is batched; a subclass may encode its values as other tensors."""

    def batch(self, spec, batch_size):
        """The spec of a batch of values."""
        return spec._batch(batch_size)

    def unbatch(self, spec):
        """The spec of one value of a batch."""
        return spec._unbatch()

    def encode(self, spec, value, minimum_rank=0):
        """The tensors of a value."""
        return spec._to_components(value)

    def decode(self, spec, encoded_value):
        """The value of some tensors."""
        return spec._from_components(encoded_value)

    def encoding_specs(self, spec):
        """The specs of the tensors."""
        return spec._component_specs


@export("experimental.extension_type.as_dict")
def as_dict(value):
    """The fields of an extension type's value, by name."""
    return {name: getattr(value, name) for name in value._fields_}
