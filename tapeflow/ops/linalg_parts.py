"""Bands and diagonals of matrices, and what the rules of linear algebra share: adjoints, products, checks."""

import functools

import numpy as np

from tapeflow.base.dtypes import COMPLEX, bool_, float16, float32, float64
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import NUMBERS, sample
from tapeflow.ops.index import in_one_batch
from tapeflow.ops.movement import listed, rank_of

MATRICES = frozenset({float16, float32, float64}) | COMPLEX
ALIGNMENTS = ("LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT")


# What rules are written with


def swapped(x):
    """The transpose of the last two axes."""
    rank = rank_of(x)
    return P.transpose(x, perm=(*range(rank - 2), rank - 1, rank - 2))


def adjoint(x):
    """The conjugate transpose of the last two axes."""
    return P.conj(swapped(x)) if x._dtype.is_complex else swapped(x)


def product(a, b, adjoint_a=False, adjoint_b=False):
    """The matrix product of factors or their conjugate transposes."""
    a = P.conj(a) if adjoint_a and a._dtype.is_complex else a
    b = P.conj(b) if adjoint_b and b._dtype.is_complex else b
    return P.matmul(a, b, transpose_a=adjoint_a, transpose_b=adjoint_b)


def lower(x):
    """The lower triangle with the diagonal."""
    return P.band_part(x, lower=-1, upper=0)


def upper(x):
    """The upper triangle with the diagonal."""
    return P.band_part(x, lower=0, upper=-1)


def diagonal(x):
    """The main diagonal."""
    return P.diag_part(x, k=(0, 0), align="RIGHT_LEFT")


def column(x):
    """A vector as a column: it scales the rows of a matrix."""
    return P.expand_dims(x, axis=(-1,))


def row(x):
    """A vector as a row: it scales the columns of a matrix."""
    return P.expand_dims(x, axis=(-2,))


def without_diagonal(x):
    """`x` with zeros on the main diagonal."""
    return x - P.band_part(x, lower=0, upper=0)


def like(x, dtype):
    """`x` in a dtype: its real part where that is real."""
    return x if x._dtype is dtype else P.cast(x, dtype=dtype)


# What kernels and inference share


def wide(x):
    """float16 as float32: LAPACK has no half precision."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def check_matrix(name, spec, which=0):
    """Raise TensorFlow's error unless a spec is that of matrices."""
    if spec.shape is not None and len(spec.shape) < 2:
        raise invalid(name, f"Input tensor {which} must have rank >= 2, got {len(spec.shape)}")


def check_square(name, spec):
    """Raise TensorFlow's error unless a spec is that of square matrices."""
    check_matrix(name, spec)
    if spec.shape is not None and None not in spec.shape[-2:] and spec.shape[-1] != spec.shape[-2]:
        raise invalid(name, f"Input matrix must be square. Its shape is {listed(spec.shape)}.")


def refuse_flat(x, square=True):
    """Raise any error, for `infer` to explain, unless `x` holds (square) matrices."""
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ValueError(x.shape)


def batch_leading(op, inputs, batched, attrs):
    """Batch rule of ops that take any number of leading axes, the same for all inputs."""
    return op(*(inputs if all(batched) else in_one_batch(inputs, batched)), **attrs)


def well_conditioned(*dims, seed=0, dtype=np.float64):
    """A registry sample of square matrices that are far from singular."""
    return sample(*dims, seed=seed, dtype=dtype) + 4 * np.eye(dims[-1], dtype=dtype)


# band_part

_SMALL = 4096  # elements of the masks that are kept


@functools.lru_cache(maxsize=64)
def _small_mask(rows, columns, low, high):
    return _band_mask(rows, columns, low, high)


def _band_mask(rows, columns, low, high):
    distance = np.arange(columns) - np.arange(rows)[:, None]
    return ((low < 0) | (-distance <= low)) & ((high < 0) | (distance <= high))


def _band_kernel(x, *, lower, upper):
    refuse_flat(x, square=False)
    for name, bound, size in (("num_lower", lower, x.shape[-2]), ("num_upper", upper, x.shape[-1])):
        if bound > size:
            what = "rows" if name == "num_lower" else "columns"
            text = f"{name} must be negative or less or equal to number of {what} ({size}) got: {bound}"
            raise invalid("MatrixBandPart", text)
    rows, columns = x.shape[-2:]
    mask = (_small_mask if rows * columns <= _SMALL else _band_mask)(rows, columns, lower, upper)
    return np.where(mask, x, x.dtype.type(0))


def _band_infer(x, *, lower, upper):
    if x.shape is not None and len(x.shape) < 2:
        raise invalid("MatrixBandPart", f"input must be at least 2-dim, received shape: {listed(x.shape)}")
    return x


band_part = Primitive(
    "band_part",
    _band_kernel,
    _band_infer,
    vjp=(lambda g, *, lower, upper: P.band_part(g, lower=lower, upper=upper),),
    jvp="linear",
    batch=batch_leading,
    accepts=NUMBERS | {bool_},
    samples=lambda: [((sample(2, 3, 5),), {"lower": low, "upper": high}) for low, high in [(1, 0), (-1, 2), (0, -1)]],
)


# diag_part and set_diag


@functools.lru_cache(maxsize=64)
def _places(rows, columns, k, align):
    """Where the diagonals k[0]..k[1] of a matrix lie: arrays of (row of the packed form, place in it, row, column)."""
    longest = diagonal_length(rows, columns, k)
    packed = []
    for m, d in enumerate(range(k[1], k[0] - 1, -1)):
        length = max(min(rows + min(d, 0), columns - max(d, 0)), 0)
        side = align.split("_")[0 if d >= 0 else 1]
        start = longest - length if side == "RIGHT" else 0
        t = np.arange(length)
        packed.append((np.full(length, m), t + start, t - min(d, 0), t + max(d, 0)))
    return [np.concatenate(parts) for parts in zip(*packed, strict=True)]


def diagonal_length(rows, columns, k):
    """The length of the longest of some diagonals; None where it is not known."""
    if rows is None or columns is None:
        return None
    return max(min(rows + min(k[1], 0), columns - max(k[0], 0)), 0)


def _check_band(name, dims, k, align):
    if dims is not None and len(dims) < 2:
        raise invalid(name, f"input must be at least 2-dim, received shape: {listed(dims)}")
    if k[0] > k[1]:
        raise invalid(name, f"lower_diag_index must not be larger than upper_diag_index: {k[0]} > {k[1]}")
    if dims is not None and None not in dims[-2:]:
        for which, d in (("lower", k[0]), ("upper", k[1])):
            if d and not -dims[-2] < d < dims[-1]:
                bounds = f"It must be between {-dims[-2]} and {dims[-1]}"
                raise invalid(name, f"{which}_diag_index is out of bound: {d}. {bounds}")
    if align not in ALIGNMENTS:
        allowed = ", ".join(f'"{a}"' for a in ALIGNMENTS)
        raise invalid(name, f"Value for attr 'align' of \"{align}\" is not in the list of allowed values: {allowed}")


def _packed_dims(dims, k):
    """The shape of the packed diagonals of matrices of shape `dims`."""
    length = diagonal_length(*dims[-2:], k)
    return (*dims[:-2], length) if k[0] == k[1] else (*dims[:-2], k[1] - k[0] + 1, length)


def _diag_part_kernel(x, *, k, align):
    _check_band("MatrixDiagPartV3", x.shape, k, align)
    if k[0] == k[1]:
        return np.array(np.diagonal(x, k[0], -2, -1), order="C")
    m, place, i, j = _places(*x.shape[-2:], k, align)
    packed = np.full(_packed_dims(x.shape, k), b"" if x.dtype == object else 0, x.dtype)
    packed[..., m, place] = x[..., i, j]
    return packed


def _diag_part_infer(x, *, k, align):
    _check_band("MatrixDiagPartV3", x.shape, k, align)
    return Spec(None if x.shape is None else _packed_dims(x.shape, k), x.dtype)


def _diag_part_vjp(g, x_shape, *, k, align):
    return P.set_diag(P.fill(shape=x_shape, value=0, dtype=g._dtype), g, k=k, align=align)


# The diagonals k[0]..k[1], the highest first, in rows as long as the longest; what is left of a row is 0.
diag_part = Primitive(
    "diag_part",
    _diag_part_kernel,
    _diag_part_infer,
    vjp=(_diag_part_vjp,),
    jvp="linear",
    batch=batch_leading,
    samples=lambda: [
        ((sample(2, 3, 5),), {"k": k, "align": align})
        for k, align in [((0, 0), "RIGHT_LEFT"), ((-1, 2), "RIGHT_LEFT"), ((-2, 1), "LEFT_RIGHT"), ((1, 4), "LEFT_LEFT")]
    ],
)


def _set_diag_kernel(x, diagonal, *, k, align):
    _check_band("MatrixSetDiagV3", x.shape, k, align)
    if diagonal.shape != _packed_dims(x.shape, k):
        raise ValueError(diagonal.shape)
    m, place, i, j = _places(*x.shape[-2:], k, align)
    result = np.array(x)
    result[..., i, j] = diagonal[..., place] if k[0] == k[1] else diagonal[..., m, place]
    return result


def _set_diag_infer(x, diagonal, *, k, align):
    name = "MatrixSetDiagV3"
    _check_band(name, x.shape, k, align)
    if x.shape is None or diagonal.shape is None:
        return x
    expected = _packed_dims(x.shape, k)
    if len(expected) != len(diagonal.shape) or any(
        None not in (n, m) and n != m for n, m in zip(expected, diagonal.shape, strict=True)
    ):
        raise invalid(
            name,
            "Either first dimensions of diagonal don't match input.shape[:-2], or diagonal.shape[:-1] is not equal to "
            f"the longests diagonal in range [lower_diag_index:upper_diag_index]. Input shape: {listed(x.shape)} "
            f"Diagonal shape: {listed(diagonal.shape)} Expected diagonal shape: {listed(expected)}",
        )
    return x


def _set_diag_vjp(g, wanted, diagonal_shape, *, k, align):
    rest = P.fill(shape=diagonal_shape, value=0, dtype=g._dtype)
    dx = P.set_diag(g, rest, k=k, align=align) if wanted[0] else None
    return dx, P.diag_part(g, k=k, align=align) if wanted[1] else None


# `x` with other values on the diagonals k[0]..k[1], packed as `diag_part` packs them.
set_diag = Primitive(
    "set_diag",
    _set_diag_kernel,
    _set_diag_infer,
    vjp=_set_diag_vjp,
    jvp="linear",
    batch=batch_leading,
    samples=lambda: [
        ((sample(2, 3, 5), sample(2, 3, seed=1)), {"k": (1, 1), "align": "RIGHT_LEFT"}),
        ((sample(2, 3, 5), sample(2, 3, 3, seed=1)), {"k": (-1, 1), "align": "LEFT_RIGHT"}),
    ],
)
