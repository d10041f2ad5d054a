"""Shapes that may be partly unknown: plain tuples for inference rules, and `TensorShape`, which wraps one for users.

A shape is a tuple of ints, with None for a dimension that is not known; a shape of unknown rank is None.
"""

import math
import operator


def _dimension(value):
    """`value` as an int, or None where it is unknown."""
    if value is None:
        return None
    if isinstance(value, Dimension):
        return value.value
    if not hasattr(value, "__index__"):
        raise TypeError(
            "Dimension value must be integer or None or have an __index__ method, "
            f"got value '{value!r}' with type '{type(value)!r}'"
        )
    value = int(operator.index(value))  # True stays a bool without int()
    if value < 0:
        raise ValueError(f"Dimension {value} must be >= 0")
    return value


def as_dims(shape):
    """The plain tuple for whatever names a shape; None for an unknown rank.

    Args:
        shape: a `TensorShape`, a list, tuple or array of dimensions (ints, `Dimension`s or None), one int, or None.

    Raises:
        TypeError: `shape` is none of these.
        ValueError: a dimension is negative.

    Example:
        >>> as_dims([2, None]), as_dims(3), as_dims(TensorShape([5])), as_dims(None)
        ((2, None), (3,), (5,), None)
    """
    if isinstance(shape, (tuple, list)):
        return tuple([d if d.__class__ is int and d >= 0 else _dimension(d) for d in shape])
    if shape is None:
        return None
    if isinstance(shape, TensorShape):
        return shape._dims
    try:
        dims = list(shape)
    except TypeError:  # nothing to iterate over: one dimension
        return (_dimension(shape),)
    for d in dims:
        if not (d is None or hasattr(d, "__index__")):
            raise TypeError(
                f"Failed to convert '{shape!r}' to a shape: '{d!r}' could not be converted to a dimension. A shape "
                "should either be single dimension (e.g. 10), or an iterable of dimensions (e.g. [1, 10, None])."
            )
    return tuple([_dimension(d) for d in dims])


def show(dims):
    """`dims` as TensorFlow's messages write it.

    Example:
        >>> show((2, None)), show((3,)), show(None)
        ('(2, None)', '(3,)', '<unknown>')
    """
    return "<unknown>" if dims is None else str(dims)


def listed(dims):
    """`dims` as the messages of TensorFlow's kernels write it.

    Example:
        >>> listed((2, None)), listed(())
        ('[2,?]', '[]')
    """
    return "[" + ",".join("?" if n is None else str(n) for n in dims) + "]"


def num_elements(dims):
    """The number of elements, or None while any dimension is unknown.

    Example:
        >>> num_elements((2, 3)), num_elements(()), num_elements((2, None))
        (6, 1, None)
    """
    if dims is None or None in dims:
        return None
    return math.prod(dims)


def broadcast(a, b):
    """The shape that `a` and `b` broadcast to.

    An unknown dimension beside one greater than 1 must turn out equal to it, or 1; beside 0 or 1 it stays unknown.

    Raises:
        ValueError: no values of the unknown dimensions make the two compatible.

    Example:
        >>> broadcast((2, 1, 5), (3, 1)), broadcast((None, 1), (3, None)), broadcast((2,), None)
        ((2, 3, 5), (3, None), None)
    """
    if a == b:
        return a
    if a is None or b is None:
        return None
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    lead = len(longer) - len(shorter)
    out = list(longer[:lead])
    for x, y in zip(longer[lead:], shorter, strict=True):
        if x == y or y == 1:
            out.append(x)
        elif x == 1:
            out.append(y)
        elif x is None or y is None:
            known = y if x is None else x
            out.append(known if known > 1 else None)
        else:
            raise ValueError(
                "Incompatible shapes for broadcasting. Two shapes are compatible if for each dimension pair they are "
                f"either equal or one of them is 1. Received: {show(a)} and {show(b)}."
            )
    return tuple(out)


def compatible(a, b):
    """Whether some fully known shape is described by both `a` and `b`.

    Example:
        >>> compatible((2, None), (None, 3)), compatible((2,), (3,)), compatible((2,), None)
        (True, False, True)
    """
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(x is None or y is None or x == y for x, y in zip(a, b, strict=True))


def merge(a, b):
    """The shape that knows what `a` and `b` know together.

    Raises:
        ValueError: they contradict each other.

    Example:
        >>> merge((2, None), (None, 3)), merge(None, (2,))
        ((2, 3), (2,))
    """
    if a is None:
        return b
    if b is None:
        return a
    if not compatible(a, b):
        raise ValueError(f"Shapes {show(a)} and {show(b)} are not compatible")
    return tuple([y if x is None else x for x, y in zip(a, b, strict=True)])


def generalize(a, b):
    """The most specific shape that describes all that `a` and all that `b` describe.

    Example:
        >>> generalize((2, 3), (5, 3)), generalize((2,), (2, 3))
        ((None, 3), None)
    """
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple([x if x == y else None for x, y in zip(a, b, strict=True)])


def normalize_axis(axis, rank):
    """`axis` counted from the front: an int in [0, rank).

    Raises:
        ValueError: `axis` is outside [-rank, rank), or is negative while the rank is unknown.

    Example:
        >>> normalize_axis(-1, 3), normalize_axis(1, 3)
        (2, 1)
    """
    axis = operator.index(axis)
    if rank is None:
        if axis < 0:
            raise ValueError(f"axis={axis} may only be negative if ndims is statically known.")
        return axis
    if not -rank <= axis < rank:
        raise ValueError(f"axis={axis} out of bounds: expected {-rank}<=axis<{rank}")
    return axis + rank if axis < 0 else axis


def normalize_axes(axes, rank):
    """`axes` (an int, or a sequence of ints; None for every axis) counted from the front, in the order given.

    Raises:
        ValueError: an axis is outside [-rank, rank) or is named twice, or `axes` is None while the rank is unknown.

    Example:
        >>> normalize_axes([-1, 0], 3), normalize_axes(1, 3), normalize_axes(None, 3)
        ((2, 0), (1,), (0, 1, 2))
    """
    if axes is None:
        if rank is None:
            raise ValueError("axis=None means every axis, which can only be told if ndims is statically known.")
        return tuple(range(rank))
    if hasattr(axes, "__iter__") and getattr(axes, "ndim", 1):  # NumPy's 0-d arrays have __iter__, which raises
        found = tuple([normalize_axis(axis, rank) for axis in axes])
    else:
        found = (normalize_axis(axes, rank),)
    if len(set(found)) != len(found):
        raise ValueError(f"axis={axes} names a dimension twice, for rank {rank}")
    return found


def _arithmetic(function, reflected=False):
    """A method of `Dimension` that computes `function` of the two values; unknown where either is."""

    def method(self, other):
        try:
            other = _dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or other is None:
            return Dimension(None)
        return Dimension(function(other, self._value) if reflected else function(self._value, other))

    return method


def _comparison(function):
    """A method of `Dimension` that compares the two values; None, which counts as false, where either is unknown."""

    def method(self, other):
        try:
            other = _dimension(other)
        except (TypeError, ValueError):
            return NotImplemented
        return None if self._value is None or other is None else function(self._value, other)

    return method


class Dimension:
    """One dimension, known or not: `tf.compat.v1.Dimension`, which `TensorShape.dims` still gives.

    Example:
        >>> Dimension(3) * 2, Dimension(None) + 1, Dimension(3) == 3, Dimension(None) == 3
        (Dimension(6), Dimension(None), True, None)
    """

    __slots__ = ("_value",)

    def __init__(self, value):
        self._value = _dimension(value)

    value = property(lambda self: self._value, doc="The int, or None.")

    def is_compatible_with(self, other):
        """Whether the two are equal, or either is unknown."""
        other = _dimension(other)
        return self._value is None or other is None or self._value == other

    def assert_is_compatible_with(self, other):
        """Raises `ValueError` unless `is_compatible_with(other)`."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {self} and {other} are not compatible")

    def merge_with(self, other):
        """The dimension that knows what both know; `ValueError` where they differ."""
        self.assert_is_compatible_with(other)
        return Dimension(other if self._value is None else self._value)

    __add__ = __radd__ = _arithmetic(operator.add)
    __mul__ = __rmul__ = _arithmetic(operator.mul)
    __sub__, __rsub__ = _arithmetic(operator.sub), _arithmetic(operator.sub, reflected=True)
    __floordiv__, __rfloordiv__ = _arithmetic(operator.floordiv), _arithmetic(operator.floordiv, reflected=True)
    __mod__, __rmod__ = _arithmetic(operator.mod), _arithmetic(operator.mod, reflected=True)
    __eq__, __ne__ = _comparison(operator.eq), _comparison(operator.ne)
    __lt__, __le__ = _comparison(operator.lt), _comparison(operator.le)
    __gt__, __ge__ = _comparison(operator.gt), _comparison(operator.ge)
    __hash__ = None  # type: ignore[assignment]  # an unknown dimension equals nothing, itself included

    def __truediv__(self, other):
        kind = type(other).__name__
        raise TypeError(f"unsupported operand type(s) for /: 'Dimension' and '{kind}', please use // instead")

    def __rtruediv__(self, other):
        kind = type(other).__name__
        raise TypeError(f"unsupported operand type(s) for /: '{kind}' and 'Dimension', please use // instead")

    def __bool__(self):
        return bool(self._value)

    def __index__(self):
        return self._value

    __int__ = __index__

    def __reduce__(self):
        return Dimension, (self._value,)

    def __repr__(self):
        return f"Dimension({self._value})"

    def __str__(self):
        return "?" if self._value is None else str(self._value)


def as_shape(shape):
    """`shape` as a `TensorShape`."""
    return shape if isinstance(shape, TensorShape) else TensorShape(shape)


def unknown_shape(rank=None):
    """A `TensorShape` of which at most the rank is known.

    Example:
        >>> unknown_shape(), unknown_shape(2)
        (TensorShape(None), TensorShape([None, None]))
    """
    return TensorShape.of(None if rank is None else (None,) * rank)


class TensorShape:
    """The shape of a tensor: `tf.TensorShape`. Iterating and indexing give ints, or None where unknown.

    Args:
        dims: a list, tuple or array of dimensions, one int, another shape, or None for an unknown rank.

    Raises:
        TypeError: `dims` is none of these.
        ValueError: a dimension is negative.

    Example:
        >>> shape = TensorShape([None, 3]) + [5]
        >>> shape, shape[0], shape[1:], shape.rank, shape == [None, 3, 5], str(shape)
        (TensorShape([None, 3, 5]), None, TensorShape([3, 5]), 3, True, '(None, 3, 5)')
    """

    __slots__ = ("_dims",)

    def __init__(self, dims):
        self._dims = as_dims(dims)

    @staticmethod
    def of(dims):
        """The shape of `dims`, which must be a tuple of ints and None, or None: the quick way, which checks nothing."""
        shape = _new(TensorShape)
        shape._dims = dims
        return shape

    @property
    def rank(self):
        """The number of dimensions, or None."""
        return None if self._dims is None else len(self._dims)

    ndims = rank

    @property
    def dims(self):
        """A list of `Dimension`s, or None for an unknown rank. Prefer `as_list`."""
        return None if self._dims is None else [Dimension(d) for d in self._dims]

    def as_list(self):
        """A list of ints and None; `ValueError` for an unknown rank."""
        if self._dims is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self._dims)

    def num_elements(self):
        """The number of elements, or None while any dimension is unknown."""
        return num_elements(self._dims)

    def is_fully_defined(self):
        """Whether every dimension is known."""
        return self._dims is not None and None not in self._dims

    def assert_is_fully_defined(self):
        """Raises `ValueError` unless every dimension is known."""
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def is_compatible_with(self, other):
        """Whether some fully known shape is described by both."""
        return compatible(self._dims, as_dims(other))

    def assert_is_compatible_with(self, other):
        """Raises `ValueError` unless `is_compatible_with(other)`."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are incompatible")

    def is_subtype_of(self, other):
        """Whether `other` is a `TensorShape` that describes every shape that this one describes."""
        if not isinstance(other, TensorShape):
            return False
        return other._dims is None or (self.rank == other.rank and generalize(self._dims, other._dims) == other._dims)

    def merge_with(self, other):
        """The shape that knows what both know; `ValueError` where they contradict each other."""
        return TensorShape.of(merge(self._dims, as_dims(other)))

    def most_specific_compatible_shape(self, other):
        """The most specific shape that describes all that either describes."""
        return TensorShape.of(generalize(self._dims, as_dims(other)))

    def most_specific_common_supertype(self, others):
        """The most specific shape of which this one and all of `others` are subtypes; None unless all are shapes."""
        dims = self._dims
        for other in others:
            if not isinstance(other, TensorShape):
                return None
            dims = generalize(dims, other._dims)
        return TensorShape.of(dims)

    def assert_same_rank(self, other):
        """Raises `ValueError` where both ranks are known and differ."""
        other = as_shape(other)
        if None not in (self.rank, other.rank) and self.rank != other.rank:
            raise ValueError(f"Shapes {self} and {other} must have the same rank")

    def assert_has_rank(self, rank):
        """Raises `ValueError` where the rank is known and is not `rank`."""
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def with_rank(self, rank):
        """This shape, or `rank` unknown dimensions for an unknown rank; `ValueError` for another rank."""
        self.assert_has_rank(rank)
        return unknown_shape(rank) if self._dims is None else self

    def with_rank_at_least(self, rank):
        """This shape; `ValueError` where its rank is known and smaller."""
        if self._dims is not None and len(self._dims) < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank):
        """This shape; `ValueError` where its rank is known and larger."""
        if self._dims is not None and len(self._dims) > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}")
        return self

    def concatenate(self, other):
        """The dimensions of this shape, then those of `other`; unknown where either rank is."""
        other = as_dims(other)
        return TensorShape.of(None if self._dims is None or other is None else self._dims + other)

    __add__ = __concat__ = concatenate

    def __radd__(self, other):
        return TensorShape(other).concatenate(self)

    def __getitem__(self, key):
        if self._dims is not None:
            found = self._dims[key]
            return TensorShape.of(found) if isinstance(key, slice) else found
        if not isinstance(key, slice):
            return None
        if key.step is not None:
            raise ValueError("Steps are not yet handled")
        start, stop = key.start or 0, key.stop
        if stop is None or start < 0 or stop < 0:
            return unknown_shape()
        return unknown_shape(max(stop - start, 0))

    def __len__(self):
        if self._dims is None:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        return len(self._dims)

    def __iter__(self):
        if self._dims is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter(self._dims)

    def __bool__(self):
        return self._dims is not None

    def __eq__(self, other):
        if other.__class__ is TensorShape:
            return self._dims == other._dims
        try:
            return self._dims == as_dims(other)
        except TypeError:
            return NotImplemented

    def __hash__(self):
        return hash(self._dims)

    def __reduce__(self):
        return TensorShape, (self._dims,)

    def __repr__(self):
        return f"TensorShape({None if self._dims is None else list(self._dims)})"

    def __str__(self):
        return show(self._dims)


_new = object.__new__
