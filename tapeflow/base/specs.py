"""Type specs: what is known of a value without having it. `TypeSpec` for all of them, `TensorSpec` for tensors."""

import contextlib

import numpy as np

from tapeflow.base import nest
from tapeflow.base.dtypes import DType, as_dtype, float32
from tapeflow.base.shape import TensorShape, as_dims, broadcast

# The tensor class, and the function that converts values to it: they live above this layer, which is told of them.
_tensor_type = ()
_convert = None


def register_tensor_type(tensor_type, convert=None):
    """Tells this module which class `TensorSpec` describes, and what converts other values to it.

    Args:
        tensor_type: the class; its instances have `shape` and `dtype`.
        convert: value to tensor; raises `TypeError` or `ValueError` for what has no tensor.
    """
    global _tensor_type, _convert
    _tensor_type = tensor_type
    _convert = convert


class TypeSpec:
    """What is known of the values of some type: `tf.TypeSpec`.

    A subclass for a composite type defines `value_type`, `_serialize`, `_component_specs`, `_to_components` and
    `_from_components`; comparing, hashing, printing, pickling and `tf.nest` then follow. What `_serialize()` gives is
    compared by its own subtype relation where it has one (shapes, dtypes, specs); all else must be equal.

    Example:
        >>> class PairSpec(TypeSpec):
        ...     value_type = tuple
        ...     def __init__(self, first, second):
        ...         self.first, self.second = first, second
        ...     def _serialize(self):
        ...         return (self.first, self.second)
        >>> pair = PairSpec(TensorSpec([2]), "left")
        >>> pair.most_specific_common_supertype([PairSpec(TensorSpec([3]), "left")])
        PairSpec(TensorSpec(shape=(None,), dtype=tf.float32, name=None), 'left')
    """

    __slots__ = ("_cached_cmp_key",)

    @property
    def value_type(self):
        """The Python type of the values."""
        raise NotImplementedError(f"{type(self).__name__}.value_type")

    @property
    def _component_specs(self):
        """A nest of specs, which describe what `_to_components` gives."""
        raise NotImplementedError(f"{type(self).__name__}._component_specs")

    def _to_components(self, value):
        """A nest of tensors and composites from which `_from_components` makes `value` again; calls no op."""
        raise NotImplementedError(f"{type(self).__name__}._to_components()")

    def _from_components(self, components):
        """The value made of these components; calls no op."""
        raise NotImplementedError(f"{type(self).__name__}._from_components()")

    def _serialize(self):
        """The constructor's arguments: a tuple of shapes, dtypes, specs, numbers, strings, arrays and nests of them."""
        raise NotImplementedError(f"{type(self).__name__}._serialize()")

    @classmethod
    def _deserialize(cls, serialization):
        return cls(*serialization)

    @property
    def _flat_tensor_specs(self):
        """The specs of the tensors that a value is made of, as a list."""
        return nest.flatten(self._component_specs, expand_composites=True)

    def is_compatible_with(self, spec_or_value):
        """Whether some value is described both by this spec and by `spec_or_value`, or by its spec if it is a value.

        Raises:
            TypeError: there is no spec for `spec_or_value`.
        """
        other = spec_or_value
        if not isinstance(other, TypeSpec):
            other = type_spec_from_value(other)
        return type(self) is type(other) and _compatible(self._serialize(), other._serialize())

    def is_subtype_of(self, other):
        """Whether `other` is a spec of the same type that describes every value that this one describes."""
        if type(self) is not type(other):
            return False
        mine, others = self._serialize(), other._serialize()
        try:
            nest.assert_same_structure(mine, others)
        except (TypeError, ValueError):
            return False
        return all(map(_is_subtype, nest.flatten(mine), nest.flatten(others)))

    def most_specific_common_supertype(self, others):
        """The most specific spec of which this one and all of `others` are subtypes, or None."""
        if any(type(self) is not type(other) for other in others):
            return None
        try:
            merged = nest.map_structure(_supertype, self._serialize(), *[other._serialize() for other in others])
        except (TypeError, ValueError):  # `_NoSupertype` is a ValueError
            return None
        return self._deserialize(merged)

    def most_specific_compatible_type(self, other):
        """`most_specific_common_supertype([other])`; `ValueError` where there is none."""
        merged = self.most_specific_common_supertype([other])
        if merged is None:
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        return merged

    def _without_tensor_names(self):
        """This spec with the names of all tensor specs in it removed."""

        def unnamed(value):
            return value._without_tensor_names() if isinstance(value, TypeSpec) else value

        return self._deserialize(nest.map_structure(unnamed, self._serialize()))

    def _cmp_key(self):
        try:
            return self._cached_cmp_key
        except AttributeError:
            self._cached_cmp_key = key = _hashable(self._serialize(), self)
            return key

    def __eq__(self, other):
        return type(other) is type(self) and self._cmp_key() == other._cmp_key()

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return hash((type(self), self._cmp_key()))

    def __reduce__(self):
        return type(self), self._serialize()

    def __repr__(self):
        return f"{type(self).__name__}{self._serialize()!r}"


class _NoSupertype(ValueError):
    """Two attributes of specs have no common supertype."""


def _equal(a, b):
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return bool(a == b)


def _is_subtype(a, b):
    return a.is_subtype_of(b) if hasattr(a, "is_subtype_of") else _equal(a, b)


def _supertype(first, *others):
    """The supertype of attributes of specs."""
    if hasattr(first, "most_specific_common_supertype"):
        merged = first.most_specific_common_supertype(others)
        if merged is None:
            raise _NoSupertype
        return merged
    if not all(_equal(first, other) for other in others):
        raise _NoSupertype
    return first


def _compatible(a, b):
    """Whether two attributes of specs agree: by their own relation where they have one, otherwise by being equal."""
    if isinstance(a, TypeSpec):
        return a.is_compatible_with(b)
    if nest.is_namedtuple(a) and nest.is_namedtuple(b):
        if not nest.same_namedtuples(a, b):
            return False
    elif type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_compatible, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_compatible(a[key], b[key]) for key in a)
    if isinstance(a, (TensorShape, DType)):
        return a.is_compatible_with(b)
    return _equal(a, b)


def _hashable(value, spec):
    """`value`, from the serialization of `spec`, as something that can be hashed."""
    if isinstance(value, dict):
        return tuple([(_hashable(key, spec), _hashable(value[key], spec)) for key in sorted(value)])
    if isinstance(value, tuple):
        return tuple([_hashable(v, spec) for v in value])
    if isinstance(value, list):
        return (list, tuple([_hashable(v, spec) for v in value]))
    if isinstance(value, np.ndarray):
        return (np.ndarray, value.shape, tuple(value.ravel().tolist()))
    if value is None or isinstance(value, (int, float, str, bytes, np.generic, DType, TypeSpec, TensorShape)):
        return value
    raise ValueError(
        f"Cannot generate a hashable key for {spec} because the _serialize() method returned an unsupported value of "
        f"type {type(value)}"
    )


class DenseSpec(TypeSpec):
    """What is known of something with a shape, a dtype and perhaps a name; the base of `TensorSpec`."""

    __slots__ = ("_dtype", "_name", "_shape")
    _nest_atom = True

    def __init__(self, shape, dtype=float32, name=None):
        self._shape = TensorShape.of(as_dims(shape))
        self._dtype = as_dtype(dtype)
        self._name = name

    shape = property(lambda self: self._shape, doc="The `TensorShape`.")
    dtype = property(lambda self: self._dtype, doc="The dtype of the elements.")
    name = property(lambda self: self._name, doc="The name, or None.")
    _component_specs = property(lambda self: self)

    def is_compatible_with(self, spec_or_value):
        """Whether `spec_or_value`, a dense spec or a value of `value_type`, has this dtype and a compatible shape."""
        return (
            isinstance(spec_or_value, (DenseSpec, self.value_type))
            and self._dtype == spec_or_value.dtype
            and self._shape.is_compatible_with(spec_or_value.shape)
        )

    def __eq__(self, other):
        return (
            type(self) is type(other)
            and self._shape == other._shape
            and self._dtype == other._dtype
            and self._name == other._name
        )

    def __hash__(self):
        return hash((self._shape, self._dtype))

    def _serialize(self):
        return (self._shape, self._dtype, self._name)

    def __repr__(self):
        return f"{type(self).__name__}(shape={self._shape}, dtype={self._dtype!r}, name={self._name!r})"


class TensorSpec(DenseSpec):
    """What is known of a tensor: `tf.TensorSpec`.

    Args:
        shape: anything that `tf.TensorShape` accepts; None for an unknown rank.
        dtype: anything that `tf.as_dtype` accepts.
        name: a name for the tensor, or None.

    Raises:
        TypeError: `shape` is no shape, or `dtype` no dtype.

    Example:
        >>> spec = TensorSpec([None, 3], "int32")
        >>> spec, TensorSpec([2, 3], "int32").is_subtype_of(spec)
        (TensorSpec(shape=(None, 3), dtype=tf.int32, name=None), True)
    """

    __slots__ = ()

    value_type = property(lambda self: _tensor_type, doc="`tf.Tensor`.")

    @classmethod
    def from_spec(cls, spec, name=None):
        """The `TensorSpec` with the shape, dtype and name of another spec; `name` takes the place of its name."""
        return cls(spec.shape, spec.dtype, name or spec.name)

    @classmethod
    def from_tensor(cls, tensor, name=None):
        """The `TensorSpec` of `tensor`; a symbolic tensor gives its op's name too. `ValueError` for anything else."""
        if not isinstance(tensor, _tensor_type):
            raise ValueError(f"`tensor` should be a tf.Tensor, but got type {type(tensor)}.")
        op = getattr(tensor, "op", None)  # an eager tensor has none
        return TensorSpec(tensor.shape, tensor.dtype, name or getattr(op, "name", None))

    def is_subtype_of(self, other):
        """Whether `other` is a `TensorSpec` of this dtype that describes this shape; a name must be its name too."""
        return (
            isinstance(other, TensorSpec)
            and (not self._name or self._name == other._name)
            and self._shape.is_subtype_of(other._shape)
            and self._dtype == other._dtype
        )

    def _to_components(self, value):
        return value

    def _from_components(self, components):
        return components

    def _without_tensor_names(self):
        return self if self._name is None else TensorSpec(self._shape, self._dtype)

    def _batch(self, batch_size):
        """The spec of `batch_size` (None if it varies) such tensors, stacked."""
        return TensorSpec(TensorShape([batch_size]) + self._shape, self._dtype)

    def _unbatch(self):
        """The spec of one slice along the first dimension."""
        if self._shape.rank == 0:
            raise ValueError("Unbatching a tensor is only supported for rank >= 1")
        return TensorSpec(self._shape[1:], self._dtype)


def _bound(name, value, spec):
    """`value` as the read-only array that is a bound, called `name`, of the bounded spec `spec`."""
    if value is None:
        raise ValueError(f"`{name}` can not be None.")
    try:
        broadcast(np.shape(value), as_dims(spec.shape))
    except ValueError as error:
        raise ValueError(f"`{name}` {value} is not compatible with shape {spec.shape}.") from error
    array = np.array(value, dtype=spec.dtype.as_numpy_dtype)
    array.setflags(write=False)
    return array


class BoundedTensorSpec(TensorSpec):
    """A `TensorSpec` with the smallest and largest values that the elements may have.

    Args:
        shape, dtype, name: as for `TensorSpec`.
        minimum, maximum: inclusive bounds; must broadcast to `shape`.

    Raises:
        ValueError: a bound is None or does not broadcast to `shape`.

    Example:
        >>> BoundedTensorSpec([3], "int32", 0, [1, 2, 5]).maximum
        array([1, 2, 5], dtype=int32)
    """

    __slots__ = ("_maximum", "_minimum")

    def __init__(self, shape, dtype, minimum, maximum, name=None):
        super().__init__(shape, dtype, name)
        self._minimum = _bound("minimum", minimum, self)
        self._maximum = _bound("maximum", maximum, self)

    minimum = property(lambda self: self._minimum, doc="The lower bounds, a read-only array.")
    maximum = property(lambda self: self._maximum, doc="The upper bounds, a read-only array.")

    @classmethod
    def from_spec(cls, spec):
        """The spec with the shape, dtype, name and bounds of `spec`; without bounds, those of its dtype."""
        dtype = as_dtype(spec.dtype)
        minimum = spec.minimum if hasattr(spec, "minimum") else dtype.min
        maximum = spec.maximum if hasattr(spec, "maximum") else dtype.max
        return cls(spec.shape, dtype, minimum, maximum, spec.name)

    def __eq__(self, other):
        return (
            super().__eq__(other)
            and np.allclose(self._minimum, other._minimum)
            and np.allclose(self._maximum, other._maximum)
        )

    __hash__ = DenseSpec.__hash__

    def _serialize(self):
        return (self._shape, self._dtype, self._minimum, self._maximum, self._name)

    def __repr__(self):
        return f"{super().__repr__()[:-1]}, minimum={self._minimum!r}, maximum={self._maximum!r})"


def type_spec_from_value(value):
    """The spec of a tensor, a composite, an array, or anything that converts to a tensor: `tf.type_spec_from_value`.

    Raises:
        TypeError: `value` is none of these.

    Example:
        >>> type_spec_from_value(np.zeros([2, 3]))
        TensorSpec(shape=(2, 3), dtype=tf.float64, name=None)
    """
    spec = _known_spec(value)
    if spec is None and _convert is not None:
        with contextlib.suppress(TypeError, ValueError):
            spec = _known_spec(_convert(value))
    if spec is None:
        raise TypeError(f"Could not build a TypeSpec for {value} of unsupported type {type(value)}.")
    return spec


def _known_spec(value):
    """The spec of a value whose type tells it, or of a list of such values that batch; otherwise None."""
    if isinstance(value, (_tensor_type, np.ndarray)):
        return TensorSpec(value.shape, value.dtype)
    if hasattr(type(value), "_type_spec"):
        return value._type_spec
    if isinstance(value, list) and value:
        specs = [_known_spec(v) for v in value]
        if hasattr(specs[0], "_batch"):
            merged = specs[0].most_specific_common_supertype(specs[1:])
            return None if merged is None else merged._batch(len(specs))
    return None
