"""The fields of extension types: which annotations they may have, and what values become by them."""

import collections.abc
import types
import typing

from tapeflow.base.dtypes import DType, as_dtype
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import Tensor
from tapeflow.core.variable import Variable

PLAIN = (bool, int, float, str, bytes)
UNIONS = (typing.Union, types.UnionType)
MAPPINGS = (collections.abc.Mapping, dict)


class ImmutableDict(collections.abc.Mapping):
    """A dict that cannot be changed: what mappings in fields become."""

    def __init__(self, *args, **kwargs):
        self._items = dict(*args, **kwargs)

    def __getitem__(self, key):
        return self._items[key]

    def __iter__(self):
        return iter(self._items)

    def __len__(self):
        return len(self._items)

    def __hash__(self):
        return hash(tuple(sorted(self._items.items())))

    def __repr__(self):
        return f"ImmutableDict({self._items})"


def check_annotation(name, annotation):
    """Raise TypeError unless fields may be annotated so."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, (str, typing.ForwardRef)) or annotation in (
        None,
        type(None),
        Tensor,
        TensorShape,
        DType,
        *PLAIN,
    ):
        return
    if (
        origin is None
        and isinstance(annotation, type)
        and (hasattr(annotation, "_type_spec") or hasattr(annotation, "_fields_"))
    ):
        return
    inner = None
    if origin is tuple:
        inner = [arg for arg in args if arg is not Ellipsis]
    elif origin in UNIONS:
        inner = args
    elif origin is collections.abc.Mapping and args and args[0] in PLAIN:
        inner = args[1:]
    if inner is None:
        text = f"{annotation.__name__!r}" if isinstance(annotation, type) and origin is None else f"{annotation}"
        raise TypeError(f"In field {name!r}: Unsupported type annotation {text}")
    for arg in inner:
        check_annotation(name, arg)


def convert(name, annotation, value, specs=False):
    """`value` as a field's annotation wants it.

    Args:
        name: where the value stands, for messages.
        annotation: a type.
        value: the value.
        specs: whether tensors are described by specs: the fields of the type's `Spec`.

    Raises:
        TypeError: the value is of another type.
    """
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return _convert_tuple(name, args, value, specs)
    if origin in UNIONS:
        return _convert_union(name, annotation, args, value, specs)
    if origin in MAPPINGS:
        if not isinstance(value, collections.abc.Mapping):
            raise _expected(name, "mapping", value)
        pairs = [
            (convert(f"{name}.keys()", args[0], k, specs), convert(f"{name}[{k!r}]", args[1], v, specs))
            for k, v in value.items()
        ]
        return dict(pairs) if specs else ImmutableDict(pairs)
    if annotation is None or annotation is type(None):
        if value is not None:
            raise _expected(name, "None", value)
        return None
    if annotation is Tensor:
        return _convert_tensor(name, value, specs)
    if annotation is TensorShape:
        return TensorShape(value)
    if annotation is DType:
        return as_dtype(value)
    if specs and isinstance(value, TypeSpec) and value.value_type is annotation:
        return value
    if not isinstance(value, annotation):
        raise _expected(name, annotation.__name__, value)
    return value._type_spec if specs and hasattr(value, "_type_spec") else value


def _expected(name, wanted, value):
    return TypeError(f"{name}: expected {wanted!r}, got {type(value).__name__!r}: {value!r}")


def _convert_tensor(name, value, specs):
    if specs:
        if isinstance(value, TypeSpec):
            return value
        tensor = _convert_tensor(name, value, False)
        return TensorSpec(tensor.shape, tensor.dtype)
    if isinstance(value, (Tensor, Variable, TypeSpec)):
        return value
    try:
        return convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: expected a Tensor, got {type(value).__name__!r}: {value!r}") from error


def _convert_tuple(name, args, value, specs):
    if not isinstance(value, (list, tuple)):
        raise _expected(name, "tuple", value)
    if len(args) == 2 and args[1] is Ellipsis:
        args = (args[0],) * len(value)
    if len(args) != len(value):
        raise TypeError(f"{name}: expected a tuple of {len(args)} items, got {len(value)}: {value!r}")
    return tuple([convert(f"{name}[{i}]", arg, item, specs) for i, (arg, item) in enumerate(zip(args, value, strict=True))])


def _convert_union(name, annotation, args, value, specs):
    # An exact type first, so that an int in Union[Tensor, int] stays an int.
    for arg in args:
        if isinstance(arg, type) and isinstance(value, arg):
            return convert(name, arg, value, specs)
    for arg in args:
        try:
            return convert(name, arg, value, specs)
        except (TypeError, ValueError):
            continue
    raise TypeError(f"{name}: expected {annotation}, got {type(value).__name__!r}: {value!r}")
