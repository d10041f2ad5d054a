"""`tf.SparseTensor`: a tensor of which only some elements are kept, as coordinates and values; and its spec."""

import collections
import itertools

import numpy as np

from tapeflow.api.export import export, export_value
from tapeflow.api.tensor import true_division
from tapeflow.base.dtypes import as_dtype, float32, int64
from tapeflow.base.errors import invalid
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec, TypeSpec
from tapeflow.core.composite import Composite, unsupported
from tapeflow.core.convert import UNKNOWN, convert_to_tensor, partial_value, static_dims
from tapeflow.core.primitive import P, bind
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.ops.movement import listed

# The primitives that keep 0 at 0, so that the values can be mapped alone.
MAPPED = {"abs", "neg", "sign", "square", "sqrt", "erf", "tanh", "cast", "identity", "stop_gradient", "real", "imag", "conj"}

SparseTensorValue = collections.namedtuple("SparseTensorValue", "indices values dense_shape")
export_value(SparseTensorValue, "compat.v1.SparseTensorValue")


@export("SparseTensor", "sparse.SparseTensor")
class SparseTensor(Composite):
    """A tensor of which only some elements are kept; the others are 0, or whatever an op takes for them.

    Most ops need the coordinates in row-major order: `tf.sparse.reorder` sorts them. Bounds are checked where they matter.

    Args:
        indices: int64 [n, rank], the coordinates.
        values: [n], of any dtype.
        dense_shape: int64 [rank].

    Raises:
        ValueError: ranks or lengths that do not fit each other.
        TypeError: coordinates that are no integers.

    Example:
        >>> import tapeflow as tf
        >>> x = tf.SparseTensor(indices=[[0, 1], [2, 0]], values=[1.0, 2.0], dense_shape=[3, 2])
        >>> tf.sparse.to_dense(x).numpy().tolist()
        [[0.0, 1.0], [0.0, 0.0], [2.0, 0.0]]
    """

    def __init__(self, indices, values, dense_shape):
        self._indices = _converted("indices", indices, int64)
        self._values = convert_to_tensor(values)
        self._dense_shape = _converted("dense_shape", dense_shape, int64)
        self._dtype = self._values._dtype
        self._static = None
        self._sizes = None
        _check(self._indices.dims, self._values.dims, self._dense_shape.dims)

    @classmethod
    def from_value(cls, sparse_tensor_value):
        """A sparse tensor of a `SparseTensorValue` or of a sparse tensor.

        Raises:
            TypeError: it is neither.
        """
        if not isinstance(sparse_tensor_value, (SparseTensor, SparseTensorValue)):
            raise TypeError(
                f"Argument sparse_tensor_value={sparse_tensor_value} is neither a SparseTensor nor SparseTensorValue."
            )
        x = sparse_tensor_value
        return cls(x.indices, x.values, x.dense_shape)

    indices = property(lambda self: self._indices, doc="The coordinates, int64 [n, rank].")
    values = property(lambda self: self._values, doc="The values, [n].")
    dense_shape = property(lambda self: self._dense_shape, doc="The shape as an int64 vector.")
    graph = property(lambda self: self._indices.graph)
    op = property(lambda self: self._values.op)

    @property
    def shape(self):
        """The `TensorShape`, as far as it is known."""
        if self._static is None:
            self._static = _static_shape(self._dense_shape)
        return self._static

    @property
    def sizes(self):
        """The shape for attrs: ints, and symbolic scalars where it is not known while tracing."""
        if self._sizes is None:
            dims = self.dims
            if dims is None or None in dims:
                sizes = static_dims(self._dense_shape)
                if dims is None or isinstance(sizes, Tensor):
                    return sizes
                return tuple([m if n is None else n for n, m in zip(dims, sizes, strict=True)])
            self._sizes = dims
        return self._sizes

    def get_shape(self):
        """The `TensorShape`, as far as it is known."""
        return self.shape

    def set_shape(self, shape):
        """Merge what the caller knows of the shape into `shape`.

        Raises:
            ValueError: it contradicts what is known.
        """
        self._static = self.shape.merge_with(shape)

    def with_values(self, new_values):
        """A sparse tensor of the same coordinates with other values, [n]."""
        result = SparseTensor(self._indices, new_values, self._dense_shape)
        result._static = self._static
        return result

    def eval(self, feed_dict=None, session=None):
        """The value as a `SparseTensorValue`; only symbolic tensors have one elsewhere."""
        if self._values.__class__ is Tensor:
            return self._indices.graph
        return SparseTensorValue(*[x.eval(feed_dict, session) for x in (self._indices, self._values, self._dense_shape)])

    def consumers(self):
        """No op is told of its consumers here."""
        return []

    def _numpy(self):
        """The dense value as an array."""
        return P.sparse_to_dense(self._indices, self._values, zero_of(self._dtype), shape=self.sizes, validate=False).numpy()

    @property
    def _type_spec(self):
        return SparseTensorSpec(self.shape, self._dtype)

    def __repr__(self):
        return f"SparseTensor(indices={self._indices!s}, values={self._values!s}, dense_shape={self._dense_shape!s})"

    # Ops

    def bind(self, op, inputs, attrs):
        """What a primitive does to a sparse tensor: those in `MAPPED` change its values, `mul` scales them; few others do."""
        if op.name in MAPPED:
            return self.with_values(bind(op, (self._values,), attrs))
        if op.name == "shape":
            return P.cast(self._dense_shape, **attrs) if attrs else P.cast(self._dense_shape, dtype=as_dtype("int32"))
        if op.name == "mul" and isinstance(inputs[0], Tensor):
            return inputs[1] * inputs[0]
        raise unsupported(self, op)

    def __mul__(self, other):
        return self.with_values(self._values * self._matching(other))

    def __truediv__(self, other):
        return self.with_values(true_division(self._values, self._matching(other)))

    __div__ = __truediv__

    def _matching(self, other):
        """The elements of a dense operand, which may broadcast, at the coordinates."""
        if isinstance(other, Composite):
            raise unsupported(other)
        x = convert_to_tensor(other, None if isinstance(other, Tensor) else self._dtype)
        if x._dtype is not self._dtype:
            raise ValueError(
                f"y: Tensor conversion requested dtype {self._dtype.name} for Tensor with dtype {x._dtype.name}: {x!r}"
            )
        if x.dims == ():
            return x
        dims, own = x.dims, self.dims
        extra = len(own) - len(dims)
        if extra < 0 or any(None not in (n, m) and n not in (1, m) for n, m in zip(dims, own[extra:], strict=True)):
            raise invalid(
                "SparseDenseCwise",
                "SparseDenseBinaryOpShared broadcasts dense to sparse only; got incompatible shapes: "
                f"{listed(own)} vs. {listed(dims)}",
            )
        places = P.strided_slice(self._indices, key=((None, None, None), (extra, None, None))) if extra else self._indices
        if 1 in dims:
            places = places * wrap(np.array([n != 1 for n in dims], np.int64))
        return P.gather_nd(x, places)

    def unstack(self):
        """The slices along the first axis, as a list."""
        x, count = in_order(self), self.sizes[0]
        of_row = column(x._indices, 0)
        ends = P.searchsorted(of_row, wrap(np.arange(count + 1)), side="left", dtype=int64).numpy().tolist()
        inner, sizes = columns(x._indices, range(1, len(self.sizes))), size_vector(self.sizes[1:])
        parts = [[P.strided_slice(part, key=(span,)) for part in (inner, x._values)] for span in _spans(ends)]
        return [SparseTensor(indices, values, sizes) for indices, values in parts]

    def gradient_part(self):
        """The values."""
        return self._values

    def with_gradient_part(self, g):
        """The gradient of each value, as a sparse tensor of the same coordinates."""
        return self.with_values(g)


def _spans(ends):
    """Slices (start, stop, step) between neighbouring ends."""
    return [(start, stop, None) for start, stop in itertools.pairwise(ends)]


def _converted(name, value, dtype):
    if value.__class__ is Tensor and value._dtype is dtype:
        return value
    try:
        return convert_to_tensor(value, dtype)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _check(indices, values, shape):
    """Raise where the shapes of coordinates, values and dense shape do not fit each other."""
    for dims, rank in ((indices, 2), (values, 1), (shape, 1)):
        if dims is not None and len(dims) != rank:
            raise ValueError(f"Shape {TensorShape(dims)} must have rank {rank}")
    if indices is None:
        return
    for n, m in ((indices[0], None if values is None else values[0]), (indices[1], None if shape is None else shape[0])):
        if None not in (n, m) and n != m:
            raise ValueError(f"Dimensions {n} and {m} are not compatible")


def _static_shape(dense_shape):
    known = partial_value(dense_shape)
    if known is not None:
        return TensorShape([None if n is UNKNOWN else int(n) for n in known])
    return TensorShape(None) if dense_shape.dims in (None, (None,)) else TensorShape([None] * dense_shape.dims[0])


def zero_of(dtype):
    """The 0 of a dtype, the empty string of strings, as a 0-d tensor."""
    return convert_to_tensor("") if dtype.name == "string" else P.fill(shape=(), value=0, dtype=dtype)


@export("SparseTensorSpec")
class SparseTensorSpec(TypeSpec):
    """The type of a sparse tensor: its shape and dtype.

    Example:
        >>> import tapeflow as tf
        >>> tf.SparseTensorSpec([None, 3], tf.int32)
        SparseTensorSpec(TensorShape([None, 3]), tf.int32)
    """

    __slots__ = ("_dtype", "_shape")

    def __init__(self, shape=None, dtype=float32):
        self._shape = TensorShape(shape)
        self._dtype = as_dtype(dtype)

    shape = property(lambda self: self._shape, doc="The `TensorShape`.")
    dtype = property(lambda self: self._dtype, doc="The dtype of the values.")
    value_type = property(lambda self: SparseTensor)

    @classmethod
    def from_value(cls, value):
        """The spec of a sparse tensor or `SparseTensorValue`."""
        return cls(value.shape if isinstance(value, SparseTensor) else value.dense_shape, value.values.dtype)

    def _serialize(self):
        return (self._shape, self._dtype)

    @property
    def _component_specs(self):
        rank = self._shape.rank
        return [TensorSpec([None, rank], int64), TensorSpec([None], self._dtype), TensorSpec([rank], int64)]

    def _to_components(self, value):
        return [value.indices, value.values, value.dense_shape]

    def _from_components(self, components):
        result = SparseTensor(*components)
        result.set_shape(self._shape)
        return result

    def _batch(self, batch_size):
        """The spec of `batch_size` (None if it varies) such tensors, stacked."""
        return SparseTensorSpec(TensorShape([batch_size]) + self._shape, self._dtype)

    def _unbatch(self):
        """The spec of one slice along the first dimension."""
        if self._shape.rank == 0:
            raise ValueError("Unbatching a tensor is only supported for rank >= 1")
        return SparseTensorSpec(self._shape[1:], self._dtype)

    def _stack(self, values):
        """Sparse tensors of this type side by side along a new axis."""
        from tapeflow.api.sparse import concat, expand_dims

        if not values:
            rank = self._shape.rank or 0
            return SparseTensor(
                wrap(np.zeros((0, rank + 1), np.int64)),
                P.broadcast_to(zero_of(self._dtype), shape=(0,)),
                wrap(np.zeros(rank + 1, np.int64)),
            )
        return concat(0, [expand_dims(x, 0) for x in values])


@export("compat.v1.sparse_placeholder")
def sparse_placeholder(dtype, shape=None, name=None):
    """A sparse tensor that is an input of the graph being traced.

    Args:
        dtype: the dtype of its values.
        shape: its shape; unknown dimensions are allowed.
        name: its name.

    Raises:
        RuntimeError: nothing is being traced.
    """
    from tapeflow.trace.func_graph import placeholder  # only graphs need it

    if state.graph is None:
        raise RuntimeError("`sparse_placeholder` is not compatible with eager execution.")
    shape = TensorShape(shape)
    known = shape.is_fully_defined()
    parts = [
        placeholder(int64, [None, shape.rank], None if name is None else f"{name}/indices"),
        placeholder(as_dtype(dtype), [None], None if name is None else f"{name}/values"),
        convert_to_tensor(shape.as_list(), int64) if known else placeholder(int64, [shape.rank], name and f"{name}/shape"),
    ]
    result = SparseTensor(*parts)
    result.set_shape(shape)
    return result


def sparse_input(value):
    """A sparse tensor of a function's argument.

    Raises:
        TypeError: it is none.
    """
    if isinstance(value, SparseTensor):
        return value
    if isinstance(value, SparseTensorValue):
        return SparseTensor.from_value(value)
    raise TypeError(f"Input must be a SparseTensor, got {type(value).__name__}: {value!r}")


# What the functions on sparse tensors share


def size_vector(sizes):
    """Dimensions (ints, and symbolic scalars) as an int64 vector."""
    if all(n.__class__ is int for n in sizes):
        return wrap(np.array(sizes, np.int64))
    return P.stack(*[convert_to_tensor(n, int64) if n.__class__ is int else P.cast(n, dtype=int64) for n in sizes], axis=0)


def column(indices, axis):
    """One coordinate of each element, int64 [n]."""
    return P.strided_slice(indices, key=((None, None, None), axis))


def columns(indices, axes):
    """Some coordinates of each element, in the order of `axes`."""
    return P.gather(indices, wrap(np.array(axes, np.int64)), axis=1, batch_dims=0)


def rows(x, places):
    """The rows of `x` at `places`. Unlike that of a plain gather, the cotangent is dense."""
    if not x._dtype.is_trainable:
        return P.gather(x, places, axis=0, batch_dims=0)
    return P.squeeze(P.gather(P.expand_dims(x, axis=(0,)), places, axis=1, batch_dims=0), axis=(0,))


def count_of(x):
    """The length of a tensor for an attr: an int, or a symbolic scalar."""
    n = x.dims[0]
    return n if n is not None else P.strided_slice(P.shape(x), key=(0,))


def places_of(x):
    """The row-major number of each element of a sparse tensor, int64 [n]."""
    return P.sparse_linear(x.indices, shape=x.sizes)


def at_places(places, values, sizes):
    """The sparse tensor whose elements have these row-major numbers."""
    return SparseTensor(P.sparse_coordinates(places, shape=tuple(sizes)), values, size_vector(sizes))


def in_order(x):
    """The sparse tensor with its elements in row-major order."""
    order = P.argsort(places_of(x), axis=-1, descending=False)
    result = SparseTensor(P.gather(x.indices, order, axis=0, batch_dims=0), rows(x.values, order), x.dense_shape)
    result._static = x._static
    return result


def same_sizes(op, a, b):
    """Raise where two sparse tensors differ in shape, as far as it is known."""
    da, db = a.dims, b.dims
    if da is None or db is None:
        return
    if len(da) != len(db):
        raise invalid(op, f"Operands do not have the same ranks; got shapes: {listed(da)} and {listed(db)}")
    for axis, (n, m) in enumerate(zip(da, db, strict=True)):
        if None not in (n, m) and n != m:
            raise invalid(op, f"Operands' shapes do not match: got {n} and {m} for dimension {axis}")
