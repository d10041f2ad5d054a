"""Matrix products and the contractions made of them: `tf.matmul`, `tf.linalg.matvec`, `tf.tensordot`, `tf.einsum`."""

from tapeflow.api.einsum import contract
from tapeflow.api.export import export
from tapeflow.base import dtypes
from tapeflow.base.dtypes import as_dtype
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor, static_value
from tapeflow.core.primitive import NO_ATTRS, P, bind


@export("matmul", "linalg.matmul")
def matmul(
    a,
    b,
    transpose_a=False,
    transpose_b=False,
    adjoint_a=False,
    adjoint_b=False,
    a_is_sparse=False,
    b_is_sparse=False,
    output_type=None,
    grad_a=False,
    grad_b=False,
    name=None,
):
    """The matrix product `a @ b` of the last two axes; the axes before them broadcast.

    Args:
        a: a numeric tensor [..., m, k].
        b: a tensor [..., k, n] of the same dtype.
        transpose_a, transpose_b: whether a factor is given transposed.
        adjoint_a, adjoint_b: the same, with the complex conjugate.
        a_is_sparse, b_is_sparse: promises of many zeros in matrices; they only let bfloat16 meet float32.
        output_type: the dtype of the result, such as int32 for int8 factors.

    Returns:
        A tensor [..., m, n].

    Raises:
        ValueError: a factor is to be transposed and adjoint at once.
        InvalidArgumentError: ranks below 2, or sizes or dtypes that do not fit.

    Example:
        >>> import tapeflow as tf
        >>> tf.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy().tolist()
        [[11.0]]
    """
    a = convert_to_tensor(a)
    b = convert_to_tensor(b, dtype_hint=a._dtype)
    if adjoint_a or adjoint_b or a_is_sparse or b_is_sparse or output_type is not None:
        a, b, transpose_a, transpose_b = _prepared(
            a, b, transpose_a, transpose_b, adjoint_a, adjoint_b, a_is_sparse or b_is_sparse, output_type
        )
    if transpose_a or transpose_b:
        return P.matmul(a, b, transpose_a=bool(transpose_a), transpose_b=bool(transpose_b))
    return bind(P.matmul, (a, b), NO_ATTRS)


def _prepared(a, b, transpose_a, transpose_b, adjoint_a, adjoint_b, is_sparse, output_type):
    """The factors and the transpose flags of a product with any of the rarer options."""
    for which, transpose, adjoint in (("a", transpose_a, adjoint_a), ("b", transpose_b, adjoint_b)):
        if transpose and adjoint:
            raise ValueError(
                f"Only one of `transpose_{which}` and `adjoint_{which}` can be True. Received "
                f"`transpose_{which}`=True, "
                f"`adjoint_{which}`=True."
            )
    if is_sparse:
        for which, x in (("a", a), ("b", b)):
            if x.dims is not None and len(x.dims) != 2:
                raise invalid("SparseMatMul", f"{which} is not a matrix: its shape is {x.shape}")
        if {a._dtype, b._dtype} == {dtypes.float32, dtypes.bfloat16}:
            a, b = P.cast(a, dtype=dtypes.float32), P.cast(b, dtype=dtypes.float32)
    if output_type is not None:
        a, b = [x if x._dtype is as_dtype(output_type) else P.cast(x, dtype=as_dtype(output_type)) for x in (a, b)]
    a = P.conj(a) if adjoint_a and a._dtype.is_complex else a
    b = P.conj(b) if adjoint_b and b._dtype.is_complex else b
    return a, b, transpose_a or adjoint_a, transpose_b or adjoint_b


@export("linalg.matvec")
def matvec(a, b, transpose_a=False, adjoint_a=False, a_is_sparse=False, b_is_sparse=False, name=None):
    """The product of matrices [..., m, k] and vectors [..., k]: a tensor [..., m]. See `tf.matmul` for the options.

    Example:
        >>> import tapeflow as tf
        >>> tf.linalg.matvec([[1, 2], [3, 4]], [5, 6]).numpy().tolist()
        [17, 39]
    """
    a = convert_to_tensor(a)
    b = P.expand_dims(convert_to_tensor(b, dtype_hint=a._dtype), axis=(-1,))
    product = matmul(a, b, transpose_a, False, adjoint_a, False, a_is_sparse, b_is_sparse)
    return P.squeeze(product, axis=(-1,))


@export("tensordot", "linalg.tensordot")
def tensordot(a, b, axes, name=None):
    """Sum products over axes of `a` paired with axes of `b`; what is left of `a`'s axes comes before `b`'s.

    Args:
        a, b: numeric tensors of one dtype.
        axes: a number n (the last n axes of `a` meet the first n of `b`), or a pair of axes or of lists of axes.

    Raises:
        ValueError: axes that are no pair, differ in number, or are more than there are.
        InvalidArgumentError: paired axes differ in size.

    Example:
        >>> import tapeflow as tf
        >>> tf.tensordot([[1, 2], [3, 4]], [5, 6], axes=[[0], [0]]).numpy().tolist()
        [23, 34]
    """
    a = convert_to_tensor(a)
    b = convert_to_tensor(b)
    if a.dims is None or b.dims is None:
        raise ValueError(f"tf.tensordot needs tensors of known rank, got shapes {a.shape} and {b.shape}.")
    axes_a, axes_b = _paired_axes(axes, len(a.dims), len(b.dims), a)
    labels_a = [f"a{i}" for i in range(len(a.dims))]
    labels_b = [f"b{i}" for i in range(len(b.dims))]
    for i, j in zip(axes_a, axes_b, strict=True):
        n, m = a.dims[i], b.dims[j]
        if None not in (n, m) and n != m:
            raise invalid(
                "MatMul",
                f"Matrix size-incompatible: tensordot pairs axis {i} of In[0] (size {n}, shape {a.shape}) with axis "
                f"{j} of "
                f"In[1] (size {m}, shape {b.shape})",
            )
        labels_b[j] = labels_a[i]
    rest = [label for label in labels_a if label not in labels_b] + [label for label in labels_b if label not in labels_a]
    return contract(a, labels_a, b, labels_b, rest)


def _paired_axes(axes, rank_a, rank_b, a):
    """The axes of a `tensordot` as two equally long lists of non-negative ints."""
    value = axes
    if not isinstance(axes, (int, list, tuple)):
        value = static_value(convert_to_tensor(axes))
        if value is None:
            raise ValueError(f"The `axes` of tf.tensordot must be known while tracing, got {axes!r}.")
        value = value.tolist()
    if isinstance(value, int):
        if value < 0:
            raise ValueError(f"`axes` must be at least 0. Received: {value}.")
        if value > min(rank_a, rank_b):
            raise ValueError(
                f"`axes` must not be larger than the number of dimensions of tensor {a}.  Received {value}, vs tensor "
                f"dimensions {min(rank_a, rank_b)}."
            )
        return list(range(rank_a - value, rank_a)), list(range(value))
    if len(value) != 2:
        raise ValueError(f"`axes` must be an integer or have length 2. Received {axes}.")
    pair = [[part] if isinstance(part, int) else [int(n) for n in part] for part in value]
    if len(pair[0]) != len(pair[1]):
        raise ValueError(f"Different number of contraction axes `a` and `b`, {len(pair[0])} != {len(pair[1])}.")
    for part, rank in zip(pair, (rank_a, rank_b), strict=True):
        for n in part:
            if not -rank <= n < rank:
                raise IndexError(f"tf.tensordot: axis {n} of `axes` {axes} is out of the range of a tensor of rank {rank}.")
    return [n % rank_a for n in pair[0]], [n % rank_b for n in pair[1]]
