"""Ragged tensors: how they are made, what they say of themselves, and conversions; facts obtained from TensorFlow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf

R = tf.RaggedTensor
V = [3, 1, 4, 1, 5, 9, 2, 6]
ROWS = [[3, 1, 4, 1], [], [5, 9, 2], [6], []]
RT = tf.ragged.constant(ROWS)
R3 = tf.ragged.constant([[[1, 2], [3]], [], [[4, 5, 6]]])
RI = tf.ragged.constant([[[1, 2], [3, 4]], [], [[5, 6]]], inner_shape=(2,))


def test_every_way_to_make_one():
    for made in (
        R.from_row_splits(V, [0, 4, 4, 7, 8, 8]),
        R.from_row_lengths(V, [4, 0, 3, 1, 0]),
        R.from_value_rowids(V, [0, 0, 0, 0, 2, 2, 2, 3], nrows=5),
        R.from_row_starts(V, [0, 4, 4, 7, 8]),
        R.from_row_limits(V, [4, 4, 7, 8, 8]),
    ):
        assert made.to_list() == ROWS
        assert made.shape.as_list() == [5, None]
        assert made.row_splits.dtype is tf.int64
    assert R.from_row_splits(V, tf.constant([0, 4, 8])).row_splits.dtype is tf.int32
    nested = [[[3, 1, 4, 1], []], [[5, 9, 2, 6]]]
    assert R.from_nested_row_splits(V, [[0, 2, 3], [0, 4, 4, 8]]).to_list() == nested
    assert R.from_nested_row_lengths(V, [[2, 1], [4, 0, 4]]).to_list() == nested
    assert R.from_nested_value_rowids(V, [[0, 0, 1], [0] * 4 + [2] * 4], [2, 3]).to_list() == nested


def test_uniform_rows():
    u = R.from_uniform_row_length(V, 4)
    assert u.shape == [2, 4]
    assert u.uniform_row_length.numpy() == 4
    assert u.row_splits.numpy().tolist() == [0, 4, 8]
    assert R.from_uniform_row_length([], 0, nrows=3).shape == [3, 0]
    with pytest.raises(ValueError, match="uniform_row_length=3 times nrows=2 must equal nvals=8"):
        R.from_uniform_row_length(V, 3)


INVALID = [
    (lambda: R.from_row_splits(V, [1, 4, 8]), tf.errors.InvalidArgumentError, "zero"),
    (lambda: R.from_row_splits(V, [0, 5, 4, 8]), tf.errors.InvalidArgumentError, "monotonic"),
    (lambda: R.from_row_splits(V, [0, 5]), tf.errors.InvalidArgumentError, "5 is not 8"),
    (lambda: R.from_row_splits(V, []), ValueError, "row_splits tensor may not be empty"),
    (lambda: R.from_row_splits(V, [[0, 8]]), ValueError, "rank 1"),
    (lambda: R.from_row_splits(V, [0.0, 8.0]), ValueError, "row_splits must have dtype int32 or int64"),
    (lambda: R.from_row_lengths(V, [4]), tf.errors.InvalidArgumentError, "4 is not 8"),
    (lambda: R.from_row_lengths(V, [-4, 12]), tf.errors.InvalidArgumentError, "negative"),
    (lambda: R.from_value_rowids(V, [0] * 3), ValueError, r"Shapes \(8,\) and \(3,\)"),
    (lambda: R.from_value_rowids(V, [0, 0, 0, 1, 1, 0, 0, 0]), tf.errors.InvalidArgumentError, "not increasing"),
    (lambda: R.from_value_rowids(V, [0, 0, 0, 0, 2, 2, 2, 3], nrows=2), ValueError, r"nrows=2, value_rowids\[-1\]=3"),
    (lambda: R.from_value_rowids(V, [0] * 8, nrows=-1), ValueError, "Expected nrows >= 0; got -1"),
    (lambda: R(tf.constant(V), [0, 8]), ValueError, "RaggedTensor constructor is private"),
    (lambda: R.from_nested_row_splits(V, tf.constant([[0, 2]])), TypeError, "must be a list of Tensors"),
    (lambda: R.from_tensor([[1, 2]], lengths=[1], padding=0), ValueError, "`lengths` or `padding`, but not both"),
    (lambda: R.from_tensor([1, 2]), ValueError, "rank of a RaggedTensor must be greater than 1"),
    (lambda: R.from_sparse(tf.SparseTensor([[0, 1]], [1], [2, 2])), tf.errors.InvalidArgumentError, "not right-ragged"),
    (lambda: tf.ragged.constant([1, [2]]), ValueError, "all scalar values must have the same nesting depth"),
    (lambda: tf.ragged.constant([[1], [2, 3]], ragged_rank=2), ValueError, "requires scalar value depth greater than 2"),
    (lambda: RT.with_values([1] * 7), ValueError, r"Shapes \(8,\) and \(7,\)"),
    (lambda: RT.row_lengths(axis=2), ValueError, "axis=2 out of bounds"),
    (lambda: RT.to_tensor(shape=[1, 2, 3]), tf.errors.InvalidArgumentError, "rt_input.rank = 2 but shape.rank = 3"),
    (lambda: RI.to_tensor(shape=[4, 3, 4]), tf.errors.InvalidArgumentError, r"rt_input.shape\[2\] = 2 but shape\[2\] = 4"),
    (lambda: tf.RaggedTensorSpec(), ValueError, "Must specify ragged_rank or a shape"),
    (lambda: tf.RaggedTensorSpec([None, 3], ragged_rank=2), ValueError, r"must be less than rank \(2\)"),
]


@pytest.mark.parametrize("make, error, text", INVALID)
def test_what_cannot_be(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_what_it_says_of_itself():
    assert RT.row_lengths().numpy().tolist() == [4, 0, 3, 1, 0]
    assert RT.row_starts().numpy().tolist() == [0, 4, 4, 7, 8]
    assert RT.row_limits().numpy().tolist() == [4, 4, 7, 8, 8]
    assert RT.value_rowids().numpy().tolist() == [0, 0, 0, 0, 2, 2, 2, 3]
    assert RT.nrows(tf.int32).dtype is tf.int32
    assert RT.bounding_shape().numpy().tolist() == [5, 4]
    assert R3.bounding_shape(axis=[0, 1]).numpy().tolist() == [3, 2]
    assert R3.ragged_rank == 2
    assert R3.row_lengths(axis=2).to_list() == [[2, 1], [], [3]]
    assert RI.row_lengths(axis=2).to_list() == [[2, 2], [], [2]]
    assert RI.shape.as_list() == [3, None, 2]
    assert [x.numpy().tolist() for x in R3.nested_value_rowids()] == [[0, 0, 2], [0, 0, 1, 2, 2, 2]]
    assert R3.merge_dims(0, 1).to_list() == [[1, 2], [3], [4, 5, 6]]
    assert R3.merge_dims(1, 2).to_list() == [[1, 2, 3], [], [4, 5, 6]]
    assert R3.merge_dims(0, 2).numpy().tolist() == [1, 2, 3, 4, 5, 6]
    assert RI.merge_dims(1, 2).to_list() == [[1, 2, 3, 4], [], [5, 6]]


def test_text():
    assert repr(RT) == str(RT) == "<tf.RaggedTensor [[3, 1, 4, 1], [], [5, 9, 2], [6], []]>"
    assert repr(tf.ragged.constant([["abc", "d'x"], []])) == """<tf.RaggedTensor [[b'abc', b"d'x"], []]>"""
    assert repr(tf.ragged.constant([[1.5, 2.25, 1e10], []])) == "<tf.RaggedTensor [[1.5, 2.25, 1e+10], []]>"
    assert repr(tf.ragged.constant([[]])) == "<tf.RaggedTensor [[]]>"
    assert repr(RI) == "<tf.RaggedTensor [[[1, 2],\n  [3, 4]], [], [[5, 6]]]>"


def test_python_and_numpy():
    assert [row.numpy().tolist() for row in RT] == ROWS
    assert RT.numpy().dtype == object
    assert tf.ragged.constant([[1, 2], [3, 4]]).numpy().shape == (2, 2)
    for wrong, text in ((bool, "may not be used as a boolean"), (hash, "unhashable"), (len, r"has no len\(\)")):
        with pytest.raises(TypeError, match=text):
            wrong(RT)
    assert not isinstance(RT, tf.Tensor)
    assert tf.is_tensor(RT)
    for convert in (tf.convert_to_tensor, tf.constant, tf.Variable, tf.transpose, tf.sort):
        with pytest.raises(ValueError, match="to_tensor"):
            convert(RT)


def test_constants():
    for pylist, kwargs, dims in (
        ([], {}, [0]),
        ([1, 2], {}, [2]),
        (3, {}, []),
        ([[], []], {}, [2, None]),
        ([[1, 2], [3, 4]], {"ragged_rank": 0}, [2, 2]),
        ([[[1, 2]], [[3, 4], [5, 6]]], {}, [2, None, None]),
        ([[[1, 2]], [[3, 4], [5, 6]]], {"ragged_rank": 1}, [2, None, 2]),
        ([[[]], []], {}, [2, None, None]),
        ([np.array([1, 2]), np.array([3])], {}, [2, None]),
    ):
        assert tf.ragged.constant(pylist, **kwargs).shape.as_list() == dims
    assert tf.ragged.constant([[1], [2, 3]], row_splits_dtype=tf.int32).row_splits.dtype is tf.int32
    assert tf.ragged.constant([[2**40]]).dtype is tf.int64


PADDED = [[5, 7, 0], [0, 3, 0], [6, 0, 0]]


def test_from_tensor():
    assert R.from_tensor(PADDED).shape == [3, 3]
    assert R.from_tensor(PADDED, lengths=[1, 0, 3]).to_list() == [[5], [], [6, 0, 0]]
    assert R.from_tensor(PADDED, padding=0).to_list() == [[5, 7], [0, 3], [6]]
    deep = R.from_tensor([PADDED, PADDED], ragged_rank=2, padding=0)
    assert deep.to_list() == [[[5, 7], [0, 3], [6]]] * 2
    assert deep.shape.as_list() == [2, 3, None]
    nested = R.from_tensor([[[1, 0], [2, 3]], [[4, 0], [0, 0]]], lengths=([2, 1], [1, 2, 1]))
    assert nested.to_list() == [[[1], [2, 3]], [[4]]]
    assert R.from_tensor([["a", ""], ["", "b"]], padding="").to_list() == [[b"a"], [b"", b"b"]]
    assert R.from_sparse(tf.sparse.from_dense([[1, 2, 0], [3, 0, 0], [0, 0, 0]])).to_list() == [[1, 2], [3], []]


def test_to_tensor():
    assert R3.to_tensor(9).numpy().tolist() == [[[1, 2, 9], [3, 9, 9]], [[9] * 3] * 2, [[4, 5, 6], [9] * 3]]
    assert R3.to_tensor(shape=[2, None, 2]).numpy().tolist() == [[[1, 2], [3, 0]], [[0, 0], [0, 0]]]
    assert R3.to_tensor(shape=[4, 3, 4]).shape == [4, 3, 4]
    assert RI.to_tensor(default_value=[7, 8]).numpy()[1].tolist() == [[7, 8], [7, 8]]
    assert R3.to_sparse().indices.numpy().tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0], [2, 0, 0], [2, 0, 1], [2, 0, 2]]
    assert RI.to_sparse().values.numpy().tolist() == [1, 2, 3, 4, 5, 6]


def test_specs():
    spec = R3._type_spec
    assert repr(spec) == "RaggedTensorSpec(TensorShape([3, None, None]), tf.int32, 2, tf.int64)"
    flat = tf.nest.flatten(R3, expand_composites=True)
    assert [x.numpy().tolist() for x in flat] == [[1, 2, 3, 4, 5, 6], [0, 2, 2, 3], [0, 2, 3, 6]]
    assert tf.nest.pack_sequence_as(R3, flat, expand_composites=True).to_list() == R3.to_list()
    assert spec._batch(5) == tf.RaggedTensorSpec([5, 3, None, None], tf.int32, 3)
    assert spec._unbatch() == tf.RaggedTensorSpec([None, None], tf.int32, 1)
    assert tf.RaggedTensorSpec([None, None, None], tf.int32).is_compatible_with(R3)
    assert tf.RaggedTensorSpec([None], tf.int32, 0).is_compatible_with(tf.constant([1]))
    uniform = R.from_uniform_row_length(V, 4)
    again = tf.nest.map_structure(tf.identity, uniform, expand_composites=True)
    assert again.shape == [2, 4]


def test_functions_of_the_module():
    assert tf.ragged.range([0, 5, 8], [3, 3, 12], 2).to_list() == [[0, 2], [], [8, 10]]
    assert tf.ragged.range(5, 0, -2).to_list() == [[5, 3, 1]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Requires delta != 0"):
        tf.ragged.range([5], [0], 0)
    assert tf.ragged.stack([RT, tf.ragged.constant([[1]])]).to_list() == [ROWS, [[1]]]
    assert tf.ragged.stack([tf.constant([1, 2]), tf.constant([3, 4])], axis=1).numpy().tolist() == [[1, 3], [2, 4]]
    assert tf.ragged.map_flat_values(tf.one_hot, RT, depth=2).shape.as_list() == [5, None, 2]
    with pytest.raises(ValueError, match="same outer-dimension size"):
        tf.ragged.map_flat_values(tf.reduce_sum, RT)
    with pytest.raises(tf.errors.InvalidArgumentError, match="row splits"):
        tf.ragged.map_flat_values(tf.add, tf.ragged.constant([[1], [2]]), tf.ragged.constant([[1, 2], []]))
    assert tf.ragged.boolean_mask(RT, RT > 2).to_list() == [[3, 4], [], [5, 9], [6], []]
    assert tf.ragged.boolean_mask(RT, [True, False, True, False, False]).to_list() == [[3, 1, 4, 1], [5, 9, 2]]
    assert tf.ragged.boolean_mask([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], [[True, False], [True, True]]).shape.as_list() == [
        2,
        None,
        2,
    ]
    assert tf.ragged.row_splits_to_segment_ids([0, 3, 3, 5]).numpy().tolist() == [0, 0, 0, 2, 2]
    assert tf.ragged.segment_ids_to_row_splits([0, 2], num_segments=5).numpy().tolist() == [0, 1, 1, 2, 2, 2]
    assert tf.ragged.stack_dynamic_partitions([1, 2, 3], [2, 0, 2], 3).to_list() == [[2], [], [1, 3]]


def test_shape_of_a_ragged_tensor():
    shape = tf.shape(RT)
    assert repr(shape) == "<DynamicRaggedShape lengths=[5, (4, 0, 3, 1, 0)] num_row_partitions=1>"
    assert shape[0].numpy() == 5
    assert tf.shape(RI)[-1].numpy() == 2
    with pytest.raises(ValueError, match="Index 1 is not uniform"):
        shape[1]
    made = tf.experimental.DynamicRaggedShape.from_lengths([2, (3, 0), 5])
    assert made.static_lengths() == [2, (3, 0), 5]
    assert made.rank == 3


row_lists = st.lists(st.lists(st.integers(-9, 9), max_size=4), min_size=1, max_size=5)


@settings(deadline=None, max_examples=40)
@given(row_lists)
def test_round_trips(rows):
    rt = tf.ragged.constant(rows, dtype=tf.int32, ragged_rank=1)
    lengths = [len(row) for row in rows]
    assert rt.to_list() == rows
    assert R.from_row_lengths(rt.values, rt.row_lengths()).to_list() == rows
    assert R.from_value_rowids(rt.values, rt.value_rowids(), rt.nrows()).to_list() == rows
    assert R.from_row_starts(rt.values, rt.row_starts()).to_list() == rows
    assert R.from_tensor(rt.to_tensor(), lengths=lengths).to_list() == rows
    assert R.from_sparse(rt.to_sparse()).to_list() == rows
    width = max(lengths)
    padded = [row + [99] * (width - len(row)) for row in rows]
    assert rt.to_tensor(99).numpy().tolist() == padded
    assert R.from_tensor(padded, padding=99).to_list() == rows
    flat = tf.nest.flatten(rt, expand_composites=True)
    assert tf.nest.pack_sequence_as(rt._type_spec, flat, expand_composites=True).to_list() == rows
