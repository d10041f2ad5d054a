"""Crosses of features: every combination of one feature of each input, as text or as a hash."""

import itertools

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.ragged_convert import from_tensor
from tapeflow.api.ragged_partition import RowPartition, splits_of
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.sparse_tensor import SparseTensor
from tapeflow.base.dtypes import int64, string
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap

DEFAULT_KEY = 0xDECAFCAFFE


@export("sparse.cross_hashed")
def sparse_cross_hashed(inputs, num_buckets=0, hash_key=None, name=None):
    """The hashes of all crosses of the features in each row, int64, as a sparse tensor.

    Args:
        inputs: a list of tensors [rows, m] or sparse tensors of integers or strings.
        num_buckets: the hashes are below it; 0 for no bound.
        hash_key: a number that the hashes depend on.

    Raises:
        TypeError: an input that is neither a tensor nor a sparse tensor.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.cross_hashed([tf.constant([["a"]]), tf.constant([["c"]])], num_buckets=100).values.numpy().tolist()
        [66]
    """
    return _crossed(_sparse_rows(inputs), num_buckets, DEFAULT_KEY if hash_key is None else int(hash_key), None).to_sparse()


@export("sparse.cross")
def sparse_cross(inputs, name=None, separator=None):
    """The text of all crosses of the features in each row, joined by `separator` ("_X_"), as a sparse tensor; see `cross_hashed`.

    Example:
        >>> import tapeflow as tf
        >>> tf.sparse.cross([tf.constant([["a", "b"]]), tf.constant([["c"]])]).values.numpy().tolist()
        [b'a_X_c', b'b_X_c']
    """
    text = "_X_" if separator is None else separator
    return _crossed(_sparse_rows(inputs), 0, 0, text.encode() if isinstance(text, str) else text).to_sparse()


@export("ragged.cross_hashed")
def ragged_cross_hashed(inputs, num_buckets=0, hash_key=None, name=None):
    """The hashes of all crosses of the features in each row, int64, as a ragged tensor; inputs may be ragged, sparse or dense.

    Example:
        >>> import tapeflow as tf
        >>> a, b = tf.ragged.constant([["a"], ["b", "c"]]), tf.ragged.constant([["d"], ["e"]])
        >>> tf.ragged.cross_hashed([a, b], num_buckets=100)
        <tf.RaggedTensor [[82], [61, 41]]>
    """
    return _crossed(_ragged_rows(inputs), num_buckets, DEFAULT_KEY if hash_key is None else int(hash_key), None)


@export("ragged.cross")
def ragged_cross(inputs, name=None):
    """The text of all crosses of the features in each row, joined by "_X_", as a ragged tensor; see `cross_hashed`.

    Example:
        >>> import tapeflow as tf
        >>> tf.ragged.cross([tf.ragged.constant([["a"], ["b", "c"]]), tf.ragged.constant([["d"], ["e"]])])
        <tf.RaggedTensor [[b'a_X_d'], [b'b_X_e', b'c_X_e']]>
    """
    return _crossed(_ragged_rows(inputs), 0, 0, b"_X_")


def _sparse_rows(inputs):
    if not all(isinstance(x, (Tensor, SparseTensor)) for x in inputs):
        raise TypeError("All inputs must be Tensor or SparseTensor.")
    return _ragged_rows(inputs)


def _ragged_rows(inputs):
    """The features of each input in rows; integers as int64."""
    found = []
    for x in inputs:
        if isinstance(x, SparseTensor):
            (count,) = x.sizes[:1]
            rows = P.strided_slice(x.indices, key=((None, None, None), 0))
            x = RaggedTensor.from_value_rowids(x.values, rows, count)
        elif not isinstance(x, RaggedTensor):
            x = from_tensor(convert_to_tensor(x), None, None, 1, int64)
        values = x.flat_values
        if values.dtype is not string:
            if not values.dtype.is_integer:
                raise TypeError(f"Unexpected dtype for inputs: features are integers or strings, not {values.dtype.name}")
            values = P.cast(values, dtype=int64)
        found.append(x.with_flat_values(values))
    counts = {x.dims[0] for x in found if x.dims[0] is not None}
    if len(counts) > 1:
        raise ValueError(f"Expected all inputs to have the same number of rows, got {sorted(counts)}")
    return found


def _crossed(columns, num_buckets, hash_key, separator):
    """Every combination of one feature of each column, row by row; the last column changes fastest."""
    if any(x.row_splits.__class__ is not Tensor for x in columns):
        raise NotImplementedError("Features are crossed outside of traced functions only: their number is not known there.")
    splits = [x.row_splits._value for x in columns]
    picks, counts = [[] for _ in columns], []
    for row in range(len(splits[0]) - 1):
        before = len(picks[0])
        for combination in itertools.product(*[range(s[row], s[row + 1]) for s in splits]):
            for pick, place in zip(picks, combination, strict=True):
                pick.append(place)
        counts.append(len(picks[0]) - before)
    values = [
        P.gather(x.flat_values, wrap(np.array(p, np.int64)), axis=0, batch_dims=0)
        for x, p in zip(columns, picks, strict=True)
    ]
    crosses = P.feature_cross(*values, num_buckets=int(num_buckets), hash_key=hash_key, separator=separator)
    return RaggedTensor(crosses, RowPartition(splits_of(wrap(np.array(counts, np.int64)))), internal=True)
