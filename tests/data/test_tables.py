"""Rows of databases, Arrow tables, Parquet files, and of examples in TFRecord files."""

import sqlite3

import numpy as np
import pytest

import tapeflow as tf

experimental = tf.data.experimental


def plain(dataset):
    return [tf.nest.map_structure(lambda x: np.asarray(x.numpy()).tolist(), element) for element in dataset]


# SQLite


@pytest.fixture
def database(tmp_path):
    path = str(tmp_path / "rows.db")
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (word text, count int, size real)")
        connection.execute("insert into t values ('a', 2, 0.5), (null, 3, null)")
    connection.close()
    return path


def test_rows_of_a_query(database):
    query = "select word, count, size from t order by count"
    dataset = experimental.SqlDataset("sqlite", database, query, (tf.string, tf.int64, tf.float64))
    assert dataset.element_spec[2] == tf.TensorSpec([], tf.float64)
    assert plain(dataset) == plain(dataset.prefetch(1)) == [(b"a", 2, 0.5), (b"", 3, 0.0)]


def test_what_a_database_refuses(database):
    with pytest.raises(tf.errors.InvalidArgumentError, match="not supported"):
        experimental.SqlDataset("mysql", database, "select 1", (tf.int32,))
    with pytest.raises(tf.errors.UnknownError, match="no such table"):
        plain(experimental.SqlDataset("sqlite", database, "select * from none", (tf.int32,)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"columns in query \(3\)"):
        plain(experimental.SqlDataset("sqlite", database, "select * from t", (tf.int32,)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="no value of dtype int32"):
        plain(experimental.SqlDataset("sqlite", database, "select word from t", (tf.int32,)))


# Arrow


@pytest.fixture
def table():
    arrow = pytest.importorskip("pyarrow")
    vectors = arrow.array([[1, 2], [3, 4], [5, 6]], arrow.list_(arrow.int64(), 2))
    return arrow.table({"x": [0.5, 1.5, 2.5], "name": ["a", "bb", ""], "flag": [True, False, True], "v": vectors})


ROWS = [
    {"flag": True, "name": b"a", "v": [1, 2], "x": 0.5},
    {"flag": False, "name": b"bb", "v": [3, 4], "x": 1.5},
    {"flag": True, "name": b"", "v": [5, 6], "x": 2.5},
]


def test_rows_of_a_table(table):
    dataset = experimental.from_arrow(table)
    assert dataset.element_spec["v"] == tf.TensorSpec([2], tf.int64) and len(dataset) == 3
    assert plain(dataset) == ROWS
    assert plain(dataset.batch(2))[1] == {"flag": [True], "name": [b""], "v": [[5, 6]], "x": [2.5]}
    assert plain(experimental.from_arrow(table, ["x"])) == [{"x": 0.5}, {"x": 1.5}, {"x": 2.5}]
    assert plain(experimental.from_arrow(table.slice(1))) == ROWS[1:]
    assert plain(experimental.from_arrow(table.to_batches()[0])) == ROWS


def test_rows_of_parquet_files(table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for i in range(2):
        parquet.write_table(table, tmp_path / f"{i}.parquet", row_group_size=2)
    files = tf.data.Dataset.list_files(f"{tmp_path}/*.parquet", shuffle=False)
    assert plain(experimental.from_parquet(files)) == ROWS + ROWS
    assert plain(experimental.from_parquet(str(tmp_path / "0.parquet"), ["name"]))[1] == {"name": b"bb"}
    (tmp_path / "0.parquet").write_bytes(b"no table")
    with pytest.raises(tf.errors.DataLossError, match=r"0\.parquet"):
        experimental.from_parquet(files)
    with pytest.raises(tf.errors.NotFoundError):
        experimental.from_parquet(str(tmp_path / "none"))


def test_columns_that_are_no_tensors(table):
    arrow = pytest.importorskip("pyarrow")
    with pytest.raises(TypeError, match="'s' is of Arrow's type"):
        experimental.from_arrow(arrow.table({"s": [{"a": 1}]}))
    with pytest.raises(tf.errors.InvalidArgumentError, match="'x' has 1 missing values"):
        experimental.from_arrow(arrow.table({"x": [1, None]}))
    with pytest.raises(ValueError, match="no column 'none'"):
        experimental.from_arrow(table, ["none"])


# Examples


@pytest.fixture
def records(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "examples")) as writer:
        for i in range(5):
            feature = {
                "x": tf.train.Feature(float_list=tf.train.FloatList(value=[i, i + 0.5])),
                "y": tf.train.Feature(int64_list=tf.train.Int64List(value=[i])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return str(tmp_path / "examples")


FEATURES = {"x": tf.io.FixedLenFeature([2], tf.float32), "y": tf.io.FixedLenFeature([], tf.int64)}


def test_batches_of_features(records):
    dataset = experimental.make_batched_features_dataset(
        records, 2, FEATURES, label_key="y", num_epochs=1, shuffle=False, drop_final_batch=True
    )
    assert dataset.element_spec[0]["x"] == tf.TensorSpec([2, 2], tf.float32)
    assert plain(dataset)[1] == ({"x": [[2.0, 2.5], [3.0, 3.5]]}, [2, 3])
    forever = experimental.make_batched_features_dataset(records, 3, FEATURES)
    assert sorted(y for batch in plain(forever.take(5)) for y in batch["y"]) == sorted([*range(5)] * 3)
    with pytest.raises(ValueError, match="must be one of the `features`"):
        experimental.make_batched_features_dataset(records, 2, FEATURES, label_key="none")


def test_messages_parsed_one_by_one(records):
    dataset = tf.data.TFRecordDataset(records).map(lambda message: tf.io.parse_single_example(message, FEATURES)["y"])
    assert plain(dataset) == [0, 1, 2, 3, 4]


def test_what_examples_need():
    with pytest.raises(ValueError, match="`features` is required"):
        experimental.parse_example_dataset(None)
    with pytest.raises(TypeError, match="vectors of strings"):
        tf.data.Dataset.range(3).apply(experimental.parse_example_dataset(FEATURES))


# Datasets as tensors


def test_a_dataset_as_a_tensor():
    dataset = tf.data.Dataset.range(3)
    variant = experimental.to_variant(dataset)
    assert variant.dtype is tf.variant and variant.shape.rank == 0
    assert plain(experimental.from_variant(variant, dataset.element_spec)) == [0, 1, 2]


def test_a_table_of_a_dataset():
    with pytest.raises(ValueError, match="pairs of scalars"):
        experimental.DatasetInitializer(tf.data.Dataset.range(3))
