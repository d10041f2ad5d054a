"""Rows of embedding tables by id, dense and sparse (`tf.nn.embedding_lookup`, ...)."""

from tapeflow.api.export import export
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor


def _table(params):
    """The table as one tensor: a list holds its parts, one behind the other."""
    if params is None:
        raise ValueError("params must be specified")
    if isinstance(params, (list, tuple)):
        if not params:
            raise ValueError("Length of params is currently 0. Need at least one param.")
        parts = [convert_to_tensor(part) for part in params]
        return parts[0] if len(parts) == 1 else P.concat(*parts, axis=0)
    return convert_to_tensor(params)


@export("nn.embedding_lookup")
def embedding_lookup(params, ids, max_norm=None, name=None):
    """The rows `params[ids]`; their gradient is `IndexedSlices`, so that only those rows are updated.

    Args:
        params: a table [rows, ...], or a list of tables that hold its parts one behind the other.
        ids: integers of any shape.
        max_norm: rows with a greater l2 norm are scaled down to it.

    Returns:
        A tensor of shape `ids.shape + params.shape[1:]`.

    Raises:
        ValueError: there is no table.
        InvalidArgumentError: an id that is not in [0, rows).

    Example:
        >>> import tapeflow as tf
        >>> tf.nn.embedding_lookup(tf.constant([[1.0, 2.0], [3.0, 4.0]]), [1, 1]).numpy().tolist()
        [[3.0, 4.0], [3.0, 4.0]]
    """
    table, ids = _table(params), convert_to_tensor(ids)
    rows = P.gather(table, ids, axis=0, batch_dims=0)
    return rows if max_norm is None else _clipped(rows, max_norm, range(len(ids.dims), len(rows.dims)))


def _clipped(rows, max_norm, axes):
    """Rows scaled down where their l2 norm over `axes` is above `max_norm`."""
    total = P.sum(rows * rows, axis=tuple(axes), keepdims=True)
    positive = total > 0
    # The square root has no slope at 0: it is taken of 1 there.
    norm = P.where(positive, P.sqrt(P.where(positive, total, P.ones_like(total))), total)
    limit = convert_to_tensor(max_norm, rows._dtype)
    return rows * limit / P.maximum(norm, limit)


@export("nn.embedding_lookup_sparse")
def embedding_lookup_sparse(params, sp_ids, sp_weights, combiner=None, max_norm=None, name=None, allow_fast_lookup=False):
    """For each row of `sp_ids` the weighted sum or mean of the embeddings of its ids.

    Args:
        params: a table [rows, ...], or a list of its parts.
        sp_ids: a `SparseTensor` [n, m] of ids, or a `RaggedTensor`.
        sp_weights: weights in the same places, or None for ones.
        combiner: `"sum"`, `"mean"` (by the weights, the default) or `"sqrtn"` (by the root of the squared weights'
            sum).
        max_norm: embeddings with a greater l2 norm are scaled down to it.

    Returns:
        A tensor of as many rows as the last row with an id needs; rows without ids are 0.

    Raises:
        TypeError: ids or weights of another type.
        ValueError: an unknown combiner.

    Example:
        >>> import tapeflow as tf
        >>> ids = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [0, 1, 1], [2, 2])
        >>> tf.nn.embedding_lookup_sparse(tf.constant([[1.0], [3.0]]), ids, None, combiner="mean").numpy().tolist()
        [[2.0], [3.0]]
    """
    rows, ids, weights = _places(sp_ids, sp_weights)
    if combiner not in (None, "mean", "sqrtn", "sum"):
        raise ValueError(f"combiner must be one of 'mean', 'sqrtn' or 'sum', got {combiner}")
    last = P.strided_slice(rows, key=(-1,)) + 1 if rows.dims != (0,) else 0
    return _combined(_table(params), rows, ids, weights, combiner or "mean", max_norm, as_size(last))


def _places(sp_ids, sp_weights):
    """The row of each id, the ids, and their weights or None."""
    if hasattr(sp_ids, "row_splits"):
        return sp_ids.value_rowids(), sp_ids.values, None if sp_weights is None else sp_weights.values
    if not hasattr(sp_ids, "dense_shape") or not hasattr(sp_ids, "indices"):
        raise TypeError(f"sp_ids must be SparseTensor, got {type(sp_ids)}")
    if sp_weights is not None and not hasattr(sp_weights, "dense_shape"):
        raise TypeError(f"sp_weights must be either None or SparseTensor, got {type(sp_weights)}")
    indices = convert_to_tensor(sp_ids.indices)
    rows = P.strided_slice(indices, key=((None, None, None), 0))
    return rows, convert_to_tensor(sp_ids.values), None if sp_weights is None else convert_to_tensor(sp_weights.values)


def as_size(n):
    """A count of rows for an attr: an int, or a symbolic scalar."""
    return int(n._value) if n.__class__ is Tensor else n


def _combined(table, rows, ids, weights, combiner, max_norm, count):
    """Sums of embeddings by row; a negative row is dropped."""
    embeddings = P.gather(table, ids, axis=0, batch_dims=0)
    if max_norm is not None:
        embeddings = _clipped(embeddings, max_norm, range(1, len(embeddings.dims)))
    inner = len(embeddings.dims) - 1
    if weights is None:
        weights = P.cast(P.ones_like(ids), dtype=embeddings._dtype)
    elif weights._dtype is not embeddings._dtype:
        weights = P.cast(weights, dtype=embeddings._dtype)
    spread = tuple(range(1, inner + 1))
    total = P.unsorted_segment_sum(embeddings * P.expand_dims(weights, axis=spread), rows, num=count)
    if combiner == "sum":
        return total
    share = P.unsorted_segment_sum(weights if combiner == "mean" else weights * weights, rows, num=count)
    share = P.expand_dims(share if combiner == "mean" else P.sqrt(share), axis=spread)
    return P.div_no_nan(total, share)


@export("nn.safe_embedding_lookup_sparse")
def safe_embedding_lookup_sparse(
    embedding_weights,
    sparse_ids,
    sparse_weights=None,
    combiner="mean",
    default_id=None,
    max_norm=None,
    name=None,
    allow_fast_lookup=False,
):
    """`embedding_lookup_sparse` that drops negative ids (and weights that are not positive) and has a row for every
    example.

    Args:
        embedding_weights: a table [rows, ...], or a list of its parts.
        sparse_ids: a `SparseTensor` [..., m] of ids.
        sparse_weights: weights in the same places, or None for ones.
        default_id: the embedding that an example without ids gets; None gives zeros.

    Returns:
        A tensor `sparse_ids.dense_shape[:-1] + embedding.shape[1:]`.

    Raises:
        ValueError: there is no table.

    Example:
        >>> import tapeflow as tf
        >>> ids = tf.SparseTensor([[0, 0], [1, 0]], [1, -1], [3, 2])
        >>> tf.nn.safe_embedding_lookup_sparse(tf.constant([[1.0], [3.0]]), ids).numpy().tolist()
        [[3.0], [0.0], [0.0]]
    """
    if embedding_weights is None:
        raise ValueError("Missing embedding_weights None.")
    if isinstance(embedding_weights, (list, tuple)) and not embedding_weights:
        raise ValueError("Missing embedding_weights [].")
    table = _table(embedding_weights)
    rows, ids, weights = _places(sparse_ids, sparse_weights)
    lead = P.strided_slice(convert_to_tensor(sparse_ids.dense_shape), key=((None, -1, None),))
    rank = lead.dims[0]
    sizes = P.unstack(lead, axis=0, num=rank)
    if rank > 1:  # the examples are numbered through
        indices = convert_to_tensor(sparse_ids.indices)
        for axis in range(1, rank):
            rows = rows * sizes[axis] + P.strided_slice(indices, key=((None, None, None), axis))
    count = sizes[0]
    for n in sizes[1:]:
        count = count * n
    keep = ids >= 0
    if weights is not None and combiner != "sum":
        keep = P.logical_and(keep, weights > 0)
    rows = P.where(keep, rows, -P.ones_like(rows))
    result = _combined(table, rows, P.maximum(ids, P.zeros_like(ids)), weights, combiner, max_norm, as_size(count))
    if default_id is not None:
        found = P.unsorted_segment_sum(P.cast(keep, dtype=ids._dtype), rows, num=as_size(count)) > 0
        found = P.expand_dims(found, axis=tuple(range(1, len(result.dims))))
        result = P.where(found, result, P.gather(table, convert_to_tensor([default_id]), axis=0, batch_dims=0))
    if rank > 1:
        result = P.reshape(result, shape=(*[as_size(n) for n in sizes], *result.dims[1:]))
    return result
