"""The dtypes: one `DType` object for each element type, and the maps from NumPy's dtypes and from names to it."""

import ml_dtypes
import numpy as np

ObjectDType = np.dtype(object)


class DType:
    """An element type of tensors, such as `tf.float32`.

    There is one object for each type, so `is` compares them; `==` also accepts whatever `as_dtype` does.

    Example:
        >>> from tapeflow.base import dtypes
        >>> dtypes.float32.size, dtypes.float32 == "float32", dtypes.complex64.real_dtype
        (4, True, tf.float32)
    """

    __slots__ = (
        "__weakref__",
        "as_datatype_enum",
        "bit",
        "element",
        "is_complex",
        "is_floating",
        "is_integer",
        "is_quantized",
        "is_trainable",
        "is_unsigned",
        "name",
        "numpy_dtype",
        "size",
        "type",
    )

    def __init__(self, name, enum, numpy_dtype=None, kind=""):
        self.name = name
        self.element = None  # of the dtype of a list: the dtype of its elements
        self.as_datatype_enum = enum
        self.bit = 1 << enum  # dtypes in a bit set: the cheapest membership test
        self.numpy_dtype = None if numpy_dtype is None else np.dtype(numpy_dtype)
        # The scalar type; calling it makes a tensor's 0-d value, which is 15 times cheaper to compute with than an array.
        self.type = None if numpy_dtype is None else self.numpy_dtype.type
        # `in (None, ...)` would not do: NumPy takes None for float64.
        self.size = 0 if self.numpy_dtype is None or self.numpy_dtype is ObjectDType else self.numpy_dtype.itemsize
        self.is_floating = kind == "float"
        self.is_complex = kind == "complex"
        self.is_integer = kind in ("int", "uint")
        self.is_unsigned = kind == "uint"
        self.is_quantized = kind == "quantized"
        # Only these carry gradients.
        self.is_trainable = kind in ("float", "complex")

    @property
    def as_numpy_dtype(self):
        """NumPy's scalar type, as TensorFlow gives it (`object` for strings)."""
        if self.numpy_dtype is None:
            raise KeyError(self.as_datatype_enum)
        return object if self.numpy_dtype is ObjectDType else self.type

    @property
    def c_name(self):
        """The name that TensorFlow's messages use."""
        return {"float16": "half", "float32": "float", "float64": "double"}.get(self.name, self.name)

    @property
    def base_dtype(self):
        """The dtype itself: there are no reference dtypes here."""
        return self

    @property
    def real_dtype(self):
        """The dtype of the real part."""
        return {"complex64": float32, "complex128": float64}.get(self.name, self)

    @property
    def is_bool(self):
        """Whether this is `tf.bool`."""
        return self is bool_

    @property
    def is_numeric(self):
        """Whether arithmetic is defined."""
        return self.is_floating or self.is_integer or self.is_complex

    @property
    def is_numpy_compatible(self):
        """Whether NumPy can hold values of this dtype."""
        return self.numpy_dtype is not None

    @property
    def min(self):
        """The smallest finite value; `TypeError` where there is none."""
        return self._limit("min", "minimum")

    @property
    def max(self):
        """The largest finite value; `TypeError` where there is none."""
        return self._limit("max", "maximum")

    def _limit(self, which, word):
        if self.is_floating:
            if self in (float32, float64, float16):
                return getattr(np.finfo(self.type), which)
            return float(getattr(ml_dtypes.finfo(self.type), which))
        if self.is_integer:
            return int(getattr(ml_dtypes.iinfo(self.type), which))
        raise TypeError(f"Cannot find {word} value of {self} with type {self}.")

    @property
    def limits(self):
        """The pair (low, high) that images of this dtype span: 0 to 1 for floats, the dtype's range for integers.

        Raises:
            ValueError: the dtype is none that images have.
        """
        if self.is_bool:
            return (0, True)
        if self is float32 or self is float64:
            return (0, 1)
        if not self.is_integer:
            raise ValueError(f"{self!r} does not have defined limits.")
        return (0, self.max)

    def is_compatible_with(self, other):
        """Whether `other` names this same dtype."""
        return self is as_dtype(other)

    def is_subtype_of(self, other):
        """Whether `other` names this same dtype: dtypes have no hierarchy."""
        return self == other

    def most_specific_common_supertype(self, others):
        """This dtype where all of `others` equal it, otherwise None."""
        return self if all(self == other for other in others) else None

    def __eq__(self, other):
        if self is other:
            return True
        if other.__class__ is str:
            return other == self.name or _BY_KEY.get(other) is self
        if other is None or other.__class__ is DType:
            return False
        try:
            return self is as_dtype(other)
        except TypeError:
            return False

    def __ne__(self, other):
        return not self == other

    def __hash__(self):
        return self.as_datatype_enum

    def __reduce__(self):
        return as_dtype, (self.name,)

    def __int__(self):
        return self.as_datatype_enum

    def __str__(self):
        return f"<dtype: '{self.name}'>"

    def __repr__(self):
        return f"tf.{self.name}"


float32 = DType("float32", 1, np.float32, "float")
float64 = double = DType("float64", 2, np.float64, "float")
int32 = DType("int32", 3, np.int32, "int")
uint8 = DType("uint8", 4, np.uint8, "uint")
int16 = DType("int16", 5, np.int16, "int")
int8 = DType("int8", 6, np.int8, "int")
string = DType("string", 7, object)
complex64 = DType("complex64", 8, np.complex64, "complex")
int64 = DType("int64", 9, np.int64, "int")
bool_ = DType("bool", 10, np.bool_)
qint8 = DType("qint8", 11, kind="quantized")
quint8 = DType("quint8", 12, kind="quantized")
qint32 = DType("qint32", 13, kind="quantized")
bfloat16 = DType("bfloat16", 14, ml_dtypes.bfloat16, "float")
qint16 = DType("qint16", 15, kind="quantized")
quint16 = DType("quint16", 16, kind="quantized")
uint16 = DType("uint16", 17, np.uint16, "uint")
complex128 = DType("complex128", 18, np.complex128, "complex")
float16 = half = DType("float16", 19, np.float16, "float")
resource = DType("resource", 20)
variant = DType("variant", 21)
uint32 = DType("uint32", 22, np.uint32, "uint")
uint64 = DType("uint64", 23, np.uint64, "uint")
float8_e5m2 = DType("float8_e5m2", 24, ml_dtypes.float8_e5m2, "float")
float8_e4m3fn = DType("float8_e4m3fn", 25, ml_dtypes.float8_e4m3fn, "float")
float8_e4m3fnuz = DType("float8_e4m3fnuz", 26, ml_dtypes.float8_e4m3fnuz, "float")
float8_e4m3b11fnuz = DType("float8_e4m3b11fnuz", 27, ml_dtypes.float8_e4m3b11fnuz, "float")
float8_e5m2fnuz = DType("float8_e5m2fnuz", 28, ml_dtypes.float8_e5m2fnuz, "float")
int4 = DType("int4", 29, ml_dtypes.int4, "int")
uint4 = DType("uint4", 30, ml_dtypes.uint4, "uint")

ALL = [value for value in list(globals().values()) if isinstance(value, DType)]
BY_NUMPY = {dtype.numpy_dtype: dtype for dtype in ALL if dtype.numpy_dtype is not None}
_BY_KEY = {
    **{dtype.name: dtype for dtype in ALL},
    **{f"{dtype.name}_ref": dtype for dtype in ALL},
    **{dtype.as_datatype_enum: dtype for dtype in ALL},
    **{dtype.type: dtype for dtype in ALL if dtype.type is not None},
    "float": float32,
    "half": float16,
    "double": float64,
    float: float32,
    bool: bool_,
    object: string,
    np.str_: string,
    np.bytes_: string,
}


_LISTS: dict[DType, DType] = {}


def list_of(dtype):
    """The dtype of a list of tensors of one dtype: `tf.variant`, but it knows its elements' and carries gradients if they do."""
    found = _LISTS.get(dtype)
    if found is None:
        found = _LISTS[dtype] = DType("variant", variant.as_datatype_enum)
        found.element = dtype
        found.is_trainable = dtype.is_trainable
    return found


FLOATS = frozenset({float16, bfloat16, float32, float64})
COMPLEX = frozenset({complex64, complex128})
INTEGERS = frozenset({int8, int16, int32, int64, uint8, uint16, uint32, uint64})
NUMBERS = FLOATS | COMPLEX | INTEGERS


def as_dtype(type_value):
    """The `DType` for a DType, its name or number, a NumPy dtype or scalar type, `float` or `bool`.

    Raises:
        TypeError: `type_value` names no dtype (Python's `int` is refused: it has no one size).

    Example:
        >>> as_dtype("half"), as_dtype(np.int8), as_dtype(float)
        (tf.float16, tf.int8, tf.float32)
    """
    if type_value.__class__ is DType:
        return type_value
    try:
        found = _BY_KEY.get(type_value)
        if found is None and isinstance(type_value, np.dtype):
            found = string if type_value.kind in "SU" else BY_NUMPY.get(type_value.newbyteorder("="))
        if found is None:
            dtype = getattr(type_value, "dtype", None)
            found = dtype if isinstance(dtype, DType) else BY_NUMPY.get(dtype)
    except TypeError:  # an unhashable value
        found = None
    if found is None:
        raise TypeError(f"Cannot convert the argument `type_value`: {type_value!r} to a TensorFlow DType.")
    return found
