"""Tables: fixed and changing ones, read from files, asked by tensors and composites; facts obtained from TensorFlow."""

import pytest

import tapeflow as tf

LINE, WHOLE = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE


@pytest.fixture
def table():
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b", "c"], [1, 2, 3]), -1)


def test_a_fixed_table(table):
    assert table.lookup(tf.constant([["a"], ["z"]])).numpy().tolist() == [[1], [-1]]
    assert table[tf.constant("b")].numpy() == 2
    assert table.size().numpy() == 3
    assert [x.numpy().tolist() for x in table.export()] == [[b"a", b"b", b"c"], [1, 2, 3]]
    assert table.lookup(tf.ragged.constant([["a"], ["q", "c"]])).to_list() == [[1], [-1, 3]]
    assert table.lookup(tf.SparseTensor([[1]], ["b"], [3])).values.numpy().tolist() == [2]
    with pytest.raises(TypeError, match=r"must be <dtype: 'string'>, received: <dtype: 'int32'>"):
        table.lookup(tf.constant([1]))


def test_what_cannot_fill_a_table():
    fill = tf.lookup.KeyValueTensorInitializer
    with pytest.raises(tf.errors.FailedPreconditionError, match="Key a has 1 and trying to add value 2"):
        tf.lookup.StaticHashTable(fill(["a", "a"], [1, 2]), -1)
    assert tf.lookup.StaticHashTable(fill(["a", "a"], [1, 1]), -1).size().numpy() == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Expected shape \[2\] for value, got \[1\]"):
        tf.lookup.StaticHashTable(fill(["a", "b"], [1]), -1)
    with pytest.raises(TypeError, match="Cannot convert 'x'"):
        tf.lookup.StaticHashTable(fill(["a"], [1]), "x")


def test_files(tmp_path):
    lines, pairs = tmp_path / "lines.txt", tmp_path / "pairs.txt"
    lines.write_text("x\ny\nz\n")
    pairs.write_text("x 5\ny 6\n")

    def found(keys, *args, default=-1, **kwargs):
        init = tf.lookup.TextFileInitializer(*args, **kwargs)
        return tf.lookup.StaticHashTable(init, default).lookup(tf.constant(keys, init.key_dtype)).numpy().tolist()

    assert found(["y", "q"], str(lines), tf.string, WHOLE, tf.int64, LINE) == [1, -1]
    assert found(["y"], str(lines), tf.string, WHOLE, tf.int64, LINE, value_index_offset=10) == [11]
    assert found(["y"], str(pairs), tf.string, 0, tf.int64, 1, delimiter=" ") == [6]
    assert found([1, 9], str(lines), tf.int64, LINE, tf.string, WHOLE, default="") == [b"y", b""]
    assert found(["z"], str(lines), tf.string, WHOLE, tf.int64, LINE, vocab_size=2) == [-1]
    with pytest.raises(tf.errors.NotFoundError, match="No such file or directory"):
        found(["x"], str(tmp_path / "none"), tf.string, WHOLE, tf.int64, LINE)
    with pytest.raises(ValueError, match="`key_dtype` must be int64 if `key_index` is -1"):
        tf.lookup.TextFileInitializer(str(lines), tf.string, LINE, tf.int64, LINE)


def test_vocabulary_with_further_ids():
    fill = tf.lookup.KeyValueTensorInitializer
    words = tf.lookup.StaticVocabularyTable(fill(["a", "b"], tf.constant([0, 1], tf.int64)), 3)
    assert words.lookup(tf.constant(["a", "zz", "q", "zz"])).numpy().tolist() == [0, 3, 4, 3]
    assert words.size().numpy() == 5
    numbers = tf.lookup.StaticVocabularyTable(fill(tf.constant([5, 6], tf.int64), tf.constant([0, 1], tf.int64)), 3)
    assert numbers.lookup(tf.constant([5, 7, 8], tf.int64)).numpy().tolist() == [0, 3, 3]
    with pytest.raises(ValueError, match="must be > 0"):
        tf.lookup.StaticVocabularyTable(fill(["a"], tf.constant([0], tf.int64)), 0)


def test_tables_that_change():
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    table.insert(tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64))
    table.insert(["a"], [5])
    assert table.lookup(tf.constant(["a", "q"])).numpy().tolist() == [5, -1]
    table.remove(["a", "q"])
    assert table.size().numpy() == 1
    assert table.lookup(tf.constant(["a", "b"]), dynamic_default_values=tf.constant([7, 8], tf.int64)).numpy().tolist() == [
        7,
        2,
    ]
    with pytest.raises(ValueError, match="keys: Tensor conversion requested dtype string"):
        table.insert(tf.constant([1]), [1])
    rows = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, [0.0, 0.0])
    rows.insert(["a"], [[1.0, 2.0]])
    assert rows.lookup(tf.constant(["a", "b"])).numpy().tolist() == [[1.0, 2.0], [0.0, 0.0]]
    dense = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, -1, empty_key=0, deleted_key=-1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="empty_key"):
        dense.insert([0], [4])


def test_buckets():
    assert tf.raw_ops.Bucketize(input=[-5, 10, 150, 10], boundaries=[0, 10, 100]).numpy().tolist() == [0, 2, 3, 2]
    assert tf.raw_ops.Bucketize(input=[[0.5]], boundaries=[]).numpy().tolist() == [[0]]
