"""Functions of composites traced over placeholders, with known and unknown dimensions, give what they give eagerly."""

import pytest
from composite_tracing import check

import tapeflow as tf
from tapeflow.core.graph import Graph
from tapeflow.core.state import tracing

S, R, C = tf.sparse, tf.RaggedTensor, tf.ragged.constant
A = tf.SparseTensor([[0, 1], [2, 0], [2, 3]], [1.0, 2.0, -3.0], [3, 4])
B = tf.SparseTensor([[0, 1], [1, 3]], [-1.0, 5.0], [3, 4])
IDS = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [1, 3, 0], [2, 3])
RT, F = C([[3, 1, 4, 1], [], [5, 9, 2], [6], []]), C([[1.0, 2.0], [3.0]])
R3, RI = C([[[1.0, 2], [3]], [], [[4, 5, 6], [7], []]]), C([[[1, 2], [3, 4]], [], [[5, 6]]], inner_shape=(2,))
WORDS = C([["a b", "c"], ["d"]])

CASES = {
    "from_dense": (S.from_dense, [[0, 1], [2, 0]]),
    "to_dense": (S.to_dense, A),
    "sparse add": (S.add, A, B),
    "sparse add dense": (S.add, A, tf.ones([3, 4])),
    "sparse threshold": (lambda a, b: S.add(a, b, threshold=2.5), A, B),
    "sparse maximum": (S.maximum, A, B),
    "matmul": (S.sparse_dense_matmul, A, tf.ones([4, 2])),
    "matmul of the adjoint": (lambda a, b: S.sparse_dense_matmul(a, b, adjoint_a=True), A, tf.ones([3, 2])),
    "matmul from the left": (S.sparse_dense_matmul, tf.ones([2, 3]), A),
    "sparse reshape": (lambda a: S.reshape(a, [2, -1]), A),
    "sparse transpose": (S.transpose, A),
    "sparse concat": (lambda a, b: S.concat(1, [a, b]), A, B),
    "sparse slice": (lambda a: S.slice(a, [0, 1], [9, 2]), A),
    "sparse sum": (lambda a: S.reduce_sum(a, 1), A),
    "sparse sum, sparse": (lambda a: S.reduce_sum(a, [0], keepdims=True, output_is_sparse=True), A),
    "sparse max": (lambda a: S.reduce_max(a, 1), A),
    "sparse softmax": (S.softmax, A),
    "retain": (lambda a: S.retain(a, a.values > 0), A),
    "fill_empty_rows": (lambda a: S.fill_empty_rows(a, 7.0), A),
    "map_values": (lambda a: S.map_values(tf.add, a, a), A),
    "to_indicator": (lambda a: S.to_indicator(a, 5), IDS),
    "sparse bincount": (lambda a: S.bincount(a, axis=-1), IDS),
    "sets": (lambda a: tf.sets.intersection(a, a), IDS),
    "sparse times dense": (lambda a, b: a * b, A, tf.constant([1.0, 2.0, 3.0, 4.0])),
    "embedding_lookup_sparse": (lambda a: tf.nn.embedding_lookup_sparse(tf.ones([5, 2]), a, None, combiner="sum"), IDS),
    "ragged add": (lambda x: x + x, RT),
    "ragged times scalar": (lambda x: 2 * x, RT),
    "ragged plus inner": (lambda x, y: x + y, RI, tf.constant([10, 20])),
    "sum of rows": (lambda x: tf.reduce_sum(x, 1), RT),
    "sum of columns": (lambda x: tf.reduce_sum(x, 0), R3),
    "mean": (lambda x: tf.reduce_mean(x, 1, keepdims=True), F),
    "to_tensor": (lambda x: x.to_tensor(9.0), R3),
    "to_tensor of a shape": (lambda x: x.to_tensor(shape=[None, 2]), RT),
    "to_sparse": (lambda x: x.to_sparse(), RI),
    "from_tensor with padding": (lambda x: R.from_tensor(x, padding=0), [[1, 0], [3, 4]]),
    "from_tensor": (lambda x: R.from_tensor(x, ragged_rank=2), [[[1, 2], [3, 4]]]),
    "from_row_lengths": (R.from_row_lengths, [1, 2, 3], tf.constant([2, 1])),
    "from_value_rowids": (R.from_value_rowids, [1, 2, 3], tf.constant([0, 0, 2])),
    "a row": (lambda x: x[1], R3),
    "rows": (lambda x: x[::-1, :2], RT),
    "a chosen row": (lambda x, i: x[i], RT, tf.constant(2)),
    "tails": (lambda x: x[..., 1:], R3),
    "concat of rows": (lambda x: tf.concat([x, x], 1), RT),
    "stack": (lambda x: tf.stack([x, x], 1), F),
    "expand_dims": (lambda x: tf.expand_dims(x, 1), RT),
    "gather": (lambda x: tf.gather(x, [2, 0]), RT),
    "gather by ragged indices": (lambda x: tf.gather(tf.constant([10, 20, 30, 40]), x), C([[2], [0, 1]])),
    "where": (lambda x: tf.where(x > 2), RT),
    "tile": (lambda x: tf.tile(x, [2, 2]), RT),
    "reverse": (lambda x: tf.reverse(x, [0]), RT),
    "softmax": (tf.nn.softmax, F),
    "cumsum": (lambda x: tf.cumsum(x, axis=1), RT),
    "ragged range": (lambda x: tf.ragged.range(x), [2, 3]),
    "boolean_mask": (lambda x: tf.ragged.boolean_mask(x, x > 2), RT),
    "merge_dims": (lambda x: x.merge_dims(1, 2), RI),
    "split": (tf.strings.split, WORDS),
    "reduce_join": (lambda x: tf.strings.reduce_join(x, axis=1), WORDS),
    "ngrams": (lambda x: tf.strings.ngrams(x, 2), WORDS),
    "unicode_split": (lambda x: tf.strings.unicode_split(x, "UTF-8"), ["ab", "c"]),
}


@pytest.mark.parametrize("name", CASES)
def test_traced(name):
    function, *args = CASES[name]
    check(function, *args)


def test_sparse_placeholder():
    graph = Graph("test")
    with tracing(graph):
        x = tf.compat.v1.sparse_placeholder(tf.float32, [None, 3], name="x")
        assert x.shape.as_list() == [None, 3]
        assert x.dtype is tf.float32
        y = tf.sparse.to_dense(x)
        assert y.shape.as_list() == [None, 3]
    assert len(graph.inputs) == 3
    with pytest.raises(RuntimeError, match="not compatible with eager execution"):
        tf.compat.v1.sparse_placeholder(tf.float32)
