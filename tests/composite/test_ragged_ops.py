"""Ops on ragged tensors: elementwise with broadcasting, indexing, reductions, putting together, gathering, gradients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

C = tf.ragged.constant
RT = C([[3, 1, 4, 1], [], [5, 9, 2], [6], []])
R3 = C([[[1, 2], [3]], [], [[4, 5, 6], [7], []]])
RI = C([[[1, 2], [3, 4]], [], [[5, 6]]], inner_shape=(2,))
F = C([[1.0, 2.0], [3.0]])
U = tf.RaggedTensor.from_uniform_row_length(C([[1, 2], [3], [4, 5, 6], []]), 2)


def listed(x):
    return x.to_list() if isinstance(x, tf.RaggedTensor) else x.numpy().tolist()


ELEMENTWISE = [
    (lambda: 1 - RT, [[-2, 0, -3, 0], [], [-4, -8, -1], [-5], []]),
    (lambda: RT / 2, [[1.5, 0.5, 2.0, 0.5], [], [2.5, 4.5, 1.0], [3.0], []]),
    (lambda: RT + tf.constant([[1], [2], [3], [4], [5]]), [[4, 2, 5, 2], [], [8, 12, 5], [10], []]),
    (lambda: tf.constant([10]) + RT, [[13, 11, 14, 11], [], [15, 19, 12], [16], []]),
    (lambda: RI + tf.constant([10, 20]), [[[11, 22], [13, 24]], [], [[15, 26]]]),
    (lambda: RI + tf.constant([[[1]], [[2]], [[3]]]), [[[2, 3], [4, 5]], [], [[8, 9]]]),
    (lambda: R3 * C([[[10], [20]], [], [[1], [2], [3]]], ragged_rank=1), [[[10, 20], [60]], [], [[4, 5, 6], [14], []]]),
    (lambda: tf.RaggedTensor.from_uniform_row_length([1, 2], 1) + C([[1, 2], [3]]), [[2, 3], [5]]),
    (lambda: RT < 3, [[False, True, False, True], [], [False, False, True], [False], []]),
    (lambda: ~C([[True, False], [True]]), [[False, True], [False]]),
    (lambda: C([["a"], []]) + "x", [[b"ax"], []]),
    (lambda: tf.where(RT > 2, RT, 0), [[3, 0, 4, 0], [], [5, 9, 0], [6], []]),
    (lambda: tf.clip_by_value(RT, 2, 4), [[3, 2, 4, 2], [], [4, 4, 2], [4], []]),
    (lambda: tf.cast(F, tf.int32), [[1, 2], [3]]),
    (lambda: tf.ones_like(F, dtype=tf.int32), [[1, 1], [1]]),
    (lambda: tf.add_n([F, F, F]), [[3.0, 6.0], [9.0]]),
    (lambda: tf.math.squared_difference(F, 1.0), [[0.0, 1.0], [4.0]]),
    (lambda: tf.nn.dropout(F, 0.0), [[1.0, 2.0], [3.0]]),
    (lambda: tf.one_hot(C([[1], [0, 2]]), 3), [[[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]),
    (lambda: tf.cumsum(RT, axis=1, exclusive=True, reverse=True), [[6, 5, 1, 0], [], [11, 2, 0], [0], []]),
    (lambda: C([[1.0], [2.0]]) == F, False),
    (lambda: F != None, True),  # noqa: E711
]


@pytest.mark.parametrize("number", range(len(ELEMENTWISE)))
def test_elementwise(number):
    compute, expected = ELEMENTWISE[number]
    found = compute()
    assert (found if isinstance(found, bool) else listed(found)) == expected


@pytest.mark.parametrize("other", [tf.constant([1, 2, 3]), C([[1], [2]]), C([[10, 20, 30]])])
def test_rows_that_do_not_line_up(other):
    with pytest.raises(tf.errors.InvalidArgumentError, match="dimension size mismatch in dimension"):
        RT + other


INDEXED = [
    (RT, lambda x: x[0], [3, 1, 4, 1]),
    (RT, lambda x: x[-1], []),
    (RT, lambda x: x[1:4:2], [[], [6]]),
    (RT, lambda x: x[::-1], [[], [6], [5, 9, 2], [], [3, 1, 4, 1]]),
    (RT, lambda x: x[5:], []),
    (RT, lambda x: x[:, -1:], [[1], [], [2], [6], []]),
    (RT, lambda x: x[:, ::-2], [[1, 1], [], [2, 5], [6], []]),
    (RT, lambda x: x[:, tf.constant(1) :], [[1, 4, 1], [], [9, 2], [], []]),
    (RT, lambda x: x[tf.constant(2)], [5, 9, 2]),
    (RT, lambda x: x[2, 0], 5),
    (RT, lambda x: x[:, None, :1], [[[3]], [[]], [[5]], [[6]], [[]]]),
    (RT, lambda x: x[..., None][2], [[5], [9], [2]]),
    (R3, lambda x: x[1:3, :1], [[], [[4, 5, 6]]]),
    (R3, lambda x: x[2, :, 1:], [[5, 6], [], []]),
    (R3, lambda x: x[..., -1:], [[[2], [3]], [], [[6], [7], []]]),
    (R3, lambda x: x[None, 0], [[[1, 2], [3]]]),
    (RI, lambda x: x[:, :, 0], [[1, 3], [], [5]]),
    (U, lambda x: x[:, 0], [[1, 2], [4, 5, 6]]),
    (U, lambda x: x[:, 1:], [[[3]], [[]]]),
]


@pytest.mark.parametrize("number", range(len(INDEXED)))
def test_indexing(number):
    x, index, expected = INDEXED[number]
    assert listed(index(x)) == expected


def test_indexing_refuses():
    with pytest.raises(ValueError, match="Cannot index into an inner ragged dimension"):
        RT[:, 0]
    with pytest.raises(IndexError, match="Row key 9 out of bounds"):
        RT[9]
    with pytest.raises(tf.errors.InvalidArgumentError, match="out of bounds"):
        RT[-9]
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be non-zero"):
        RT[::0]
    with pytest.raises(TypeError, match="Only integers, slices"):
        RT["a"]
    assert U[:, 1:].shape.as_list() == [2, 1, None]


REDUCED = [
    (lambda: tf.reduce_sum(RT), 31),
    (lambda: tf.reduce_sum(RT, axis=0), [14, 10, 6, 1]),
    (lambda: tf.reduce_sum(RT, axis=1), [9, 0, 16, 6, 0]),
    (lambda: tf.reduce_max(RT, axis=1), [4, -2147483648, 9, 6, -2147483648]),
    (lambda: tf.reduce_prod(R3, axis=0), [[4, 10, 6], [21], []]),
    (lambda: tf.reduce_sum(R3, axis=1), [[4, 2], [], [11, 5, 6]]),
    (lambda: tf.reduce_sum(R3, axis=-1), [[3, 3], [], [15, 7, 0]]),
    (lambda: tf.reduce_sum(R3, axis=[0, 2]), [18, 10, 0]),
    (lambda: tf.reduce_min(RI, axis=1), [[1, 2], [2147483647, 2147483647], [5, 6]]),
    (lambda: tf.reduce_sum(RI, axis=2), [[3, 7], [], [11]]),
    (lambda: tf.reduce_sum(R3, axis=1, keepdims=True), [[[4, 2]], [[]], [[11, 5, 6]]]),
    (lambda: tf.reduce_mean(RT, axis=0), [14 / 3, 5.0, 3.0, 1.0]),
    (lambda: tf.reduce_mean(F), 2.0),
    (lambda: tf.reduce_any(C([[True, False], []]), axis=1), [True, False]),
    (lambda: tf.reduce_all(C([[True, False], []]), axis=1), [False, True]),
    (lambda: tf.math.reduce_variance(F, axis=0), [1.0, 0.0]),
    (lambda: tf.math.count_nonzero(RT - 1, axis=1), [2, 0, 3, 1, 0]),
    (lambda: tf.math.bincount(C([[1, 1], [2]]), axis=-1), [[0, 2, 0], [0, 0, 1]]),
    (lambda: tf.math.unsorted_segment_sum(RT, [0, 0, 1, 1, 1], 2), [[3, 1, 4, 1], [11, 9, 2]]),
    (lambda: tf.size(RT), 8),
    (lambda: tf.rank(R3), 3),
]


@pytest.mark.parametrize("number", range(len(REDUCED)))
def test_reductions(number):
    compute, expected = REDUCED[number]
    assert listed(compute()) == expected


def test_reductions_of_nothing_and_bad_axes():
    assert np.isnan(tf.reduce_mean(C([[1.0], []]), axis=1).numpy()[1])
    with pytest.raises(ValueError, match="axis=2 out of bounds: expected -2<=axis<2"):
        tf.reduce_sum(RT, axis=2)
    with pytest.raises(ValueError, match="argmax does not take a RaggedTensor"):
        tf.argmax(RT, axis=1)


TOGETHER = [
    (lambda: tf.concat([F, [[5.0, 7.0, 8.0]]], 0), [[1.0, 2.0], [3.0], [5.0, 7.0, 8.0]]),
    (lambda: tf.concat([F, [[5.0], [6.0]]], 1), [[1.0, 2.0, 5.0], [3.0, 6.0]]),
    (lambda: tf.concat([R3, R3], 2)[0], [[1, 2, 1, 2], [3, 3]]),
    (lambda: tf.stack([F, F], axis=1), [[[1.0, 2.0]] * 2, [[3.0]] * 2]),
    (lambda: tf.stack([F, F], axis=2), [[[1.0, 1.0], [2.0, 2.0]], [[3.0, 3.0]]]),
    (lambda: tf.expand_dims(F, 0), [[[1.0, 2.0], [3.0]]]),
    (lambda: tf.expand_dims(F, 1), [[[1.0, 2.0]], [[3.0]]]),
    (lambda: tf.expand_dims(F, -1), [[[1.0], [2.0]], [[3.0]]]),
    (lambda: tf.squeeze(tf.expand_dims(F, 1), 1), [[1.0, 2.0], [3.0]]),
    (lambda: tf.tile(F, [2, 2]), [[1.0, 2.0, 1.0, 2.0], [3.0, 3.0]] * 2),
    (lambda: tf.reverse(RT, [0, 1]), [[], [6], [2, 9, 5], [], [1, 4, 1, 3]]),
    (lambda: tf.gather(RT, [2, 0]), [[5, 9, 2], [3, 1, 4, 1]]),
    (lambda: tf.gather(RT, C([[2], [0, 3]])), [[[5, 9, 2]], [[3, 1, 4, 1], [6]]]),
    (lambda: tf.gather(tf.constant([10, 20, 30]), C([[2], [0, 1]])), [[30], [10, 20]]),
    (lambda: tf.gather(tf.constant([[1, 2], [3, 4]]), C([[1], [0, 1]]), axis=1), [[[2], [1, 2]], [[4], [3, 4]]]),
    (lambda: tf.gather(RT, C([[0, 3], [], [2], [0], []]), batch_dims=1), [[3, 1], [], [2], [6], []]),
    (lambda: tf.gather_nd(RT, [[0, 1], [2, 0]]), [1, 5]),
    (lambda: tf.where(RT > 2), [[0, 0], [0, 2], [2, 0], [2, 1], [3, 0]]),
    (lambda: tf.nn.embedding_lookup(tf.constant([[1.0], [3.0]]), C([[1], [0, 1]])), [[[3.0]], [[1.0], [3.0]]]),
    (lambda: tf.split(RT, [2, 3])[1], [[5, 9, 2], [6], []]),
    (lambda: tf.map_fn(lambda row: row * 2, RT), [[6, 2, 8, 2], [], [10, 18, 4], [12], []]),
    (
        lambda: tf.map_fn(tf.range, tf.constant([1, 2]), fn_output_signature=tf.RaggedTensorSpec([None], tf.int32)),
        [[0], [0, 1]],
    ),
    (
        lambda: tf.matmul(C([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]], ragged_rank=1), tf.ones([2, 2, 1])),
        [[[3.0], [7.0]], [[11.0]]],
    ),
]


@pytest.mark.parametrize("number", range(len(TOGETHER)))
def test_putting_together_and_taking_apart(number):
    compute, expected = TOGETHER[number]
    assert listed(compute()) == expected


def test_bad_indices_are_named():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[0\] = 9 is not in \[0, 5\)"):
        tf.gather(RT, [9])
    with pytest.raises(tf.errors.InvalidArgumentError, match="out of the bounds of its row"):
        tf.gather(RT, C([[4], [], [0], [0], []], ragged_rank=1), batch_dims=1)
    with pytest.raises(ValueError, match="Cannot split a ragged dimension"):
        tf.split(RT, 2, axis=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="incompatible shapes: 2 and 1 rows"):
        tf.concat([F, C([[1.0]])], 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not squeezable"):
        tf.squeeze(RT, 1)


def test_softmax_over_rows():
    found = tf.nn.softmax(F).flat_values.numpy()
    np.testing.assert_allclose(found, [0.26894142, 0.7310586, 1.0], rtol=1e-6)


def test_gradients():
    x = C([[[1.0, 2.0]], [[3.0], [4.0, 5.0]]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        square = tf.reduce_sum(x * x)
        highest = tf.reduce_max(x, axis=2)
        padded = x.to_tensor()
        second = tf.gather(x, [1, 1])
        tails = x[:, :, 1:]
        joined = tf.concat([x, x], 1)
        soft = tf.reduce_sum(tf.nn.softmax(x) * x)
    assert tape.gradient(square, x).to_list() == [[[2.0, 4.0]], [[6.0], [8.0, 10.0]]]
    assert tape.gradient(highest, x).to_list() == [[[0.0, 1.0]], [[1.0], [0.0, 1.0]]]
    assert tape.gradient(padded, x).to_list() == [[[1.0, 1.0]], [[1.0], [1.0, 1.0]]]
    assert tape.gradient(second, [x])[0].to_list() == [[[0.0, 0.0]], [[2.0], [2.0, 2.0]]]
    assert tape.gradient(tails, x).to_list() == [[[0.0, 1.0]], [[0.0], [0.0, 1.0]]]
    assert tape.gradient(joined, {"a": x})["a"].to_list() == [[[2.0, 2.0]], [[2.0], [2.0, 2.0]]]
    p = 1 / (1 + np.e)
    np.testing.assert_allclose(tape.gradient(soft, x).flat_values[:2], [p - p * (1 - p), 1 - p + p * (1 - p)], rtol=1e-5)
    assert tape.gradient(square, tf.constant(1.0)) is None


row_lists = st.lists(st.lists(st.integers(-9, 9), max_size=4), min_size=1, max_size=5)
bounds = st.one_of(st.none(), st.integers(-6, 6))


@settings(deadline=None, max_examples=60)
@given(row_lists, bounds, bounds, bounds, bounds, st.sampled_from([None, 1, 2, -1, -3]))
def test_slices_are_those_of_lists(rows, a, b, c, d, step):
    rt = C(rows, dtype=tf.int32, ragged_rank=1)
    assert rt[a:b:step].to_list() == rows[a:b:step]
    assert rt[:, c:d:step].to_list() == [row[c:d:step] for row in rows]
    assert rt[a:b, c:d:step].to_list() == [row[c:d:step] for row in rows[a:b]]


@settings(deadline=None, max_examples=40)
@given(row_lists, st.integers(0, 2**16))
def test_rows_behave_like_lists(rows, seed):
    rt = C(rows, dtype=tf.int32, ragged_rank=1)
    order = np.random.default_rng(seed).integers(0, len(rows), 3)
    assert tf.reduce_sum(rt, axis=1).numpy().tolist() == [sum(row) for row in rows]
    assert tf.gather(rt, order).to_list() == [rows[i] for i in order]
    assert tf.concat([rt, rt], 1).to_list() == [row + row for row in rows]
    assert tf.concat([rt, rt], 0).to_list() == rows + rows
    assert tf.reverse(rt, [1]).to_list() == [row[::-1] for row in rows]
    assert (rt + tf.reshape(tf.range(len(rows)), [-1, 1])).to_list() == [[x + i for x in row] for i, row in enumerate(rows)]
    width = max(len(row) for row in rows)
    columns = [sum(row[i] for row in rows if i < len(row)) for i in range(width)]
    assert tf.reduce_sum(rt, axis=0).numpy().tolist() == columns
    assert tf.ragged.boolean_mask(rt, rt > 0).to_list() == [[x for x in row if x > 0] for row in rows]
