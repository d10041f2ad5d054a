"""Datasets of files: names, lines, records, tables. What CSV files give is what TensorFlow 2.21 gives for them."""

import contextlib
import gzip
import os
import pathlib
import zlib

import numpy as np
import pytest
from waiting import eventually

import tapeflow as tf

Dataset = tf.data.Dataset


def texts(dataset):
    return [x.numpy().decode() for x in dataset]


@pytest.fixture
def folder(tmp_path):
    for name in (".hidden.txt", "a.txt", "b.txt", "c.py", "inner/d.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{name} 1\n{name} 2\r\n")
    return tmp_path


# Names


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.txt", [".hidden.txt", "a.txt", "b.txt"]),
        ("*", [".hidden.txt", "a.txt", "b.txt", "c.py", "inner"]),
        ("**/*.txt", ["inner/d.txt"]),
        ("[ab].txt", ["a.txt", "b.txt"]),
        ("?.py", ["c.py"]),
        ("a.txt", ["a.txt"]),
        (["*.py", "a*"], ["a.txt", "c.py"]),
    ],
)
def test_names_that_match(folder, pattern, found):
    patterns = [f"{folder}/{part}" for part in ([pattern] if isinstance(pattern, str) else pattern)]
    dataset = Dataset.list_files(patterns if len(patterns) > 1 else patterns[0], shuffle=False)
    assert texts(dataset) == [f"{folder}/{name}" for name in found] and len(dataset) == len(found)


def test_names_below_the_working_directory(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert texts(Dataset.list_files("*.py", shuffle=False)) == ["c.py"]
    assert texts(Dataset.list_files("./in*/*", shuffle=False)) == ["./inner/d.txt"]


def test_names_come_in_tensorflows_random_order(folder):
    tf.random.set_seed(None)
    dataset = Dataset.list_files(f"{folder}/*", seed=3)
    expected = [["inner", "c.py", "b.txt", "a.txt", ".hidden.txt"], ["c.py", "inner", "a.txt", "b.txt", ".hidden.txt"]]
    assert [[pathlib.Path(name).name for name in texts(dataset)] for _ in range(2)] == expected


def test_no_name_matches(folder):
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"No files matched pattern: .*nothing"):
        Dataset.list_files(f"{folder}/nothing*")


# Lines and records


def test_lines(folder):
    files = [f"{folder}/a.txt", f"{folder}/b.txt"]
    lines = ["a.txt 1", "a.txt 2", "b.txt 1", "b.txt 2"]
    for names in (files, tf.constant(files), Dataset.from_tensor_slices(files), [pathlib.Path(file) for file in files]):
        dataset = tf.data.TextLineDataset(names)
        assert texts(dataset) == lines
    assert dataset.element_spec == tf.TensorSpec([], tf.string) and int(dataset.cardinality()) == -2
    assert texts(tf.data.TextLineDataset(files, num_parallel_reads=2)) == ["a.txt 1", "b.txt 1", "a.txt 2", "b.txt 2"]
    assert texts(tf.data.TextLineDataset(files[0])) == lines[:2]


def test_lines_of_files_of_a_dataset(folder):
    names = Dataset.list_files(f"{folder}/[ab].txt", shuffle=False)
    assert texts(names.flat_map(tf.data.TextLineDataset)) == ["a.txt 1", "a.txt 2", "b.txt 1", "b.txt 2"]
    numbered = names.interleave(lambda name: tf.data.TextLineDataset(name).skip(1).map(lambda x: x + "!"), cycle_length=2)
    assert texts(numbered) == ["a.txt 2!", "b.txt 2!"]


@pytest.mark.parametrize(("kind", "compress"), [("GZIP", gzip.compress), ("ZLIB", zlib.compress)])
def test_compressed_lines(tmp_path, kind, compress):
    (tmp_path / "lines").write_bytes(compress(b"x\ny"))
    assert texts(tf.data.TextLineDataset(str(tmp_path / "lines"), kind)) == ["x", "y"]
    assert texts(tf.data.TextLineDataset(str(tmp_path / "lines"), tf.constant(kind), tf.constant(64))) == ["x", "y"]


def test_a_file_that_is_missing_is_an_error_that_passes(folder):
    dataset = tf.data.TextLineDataset([f"{folder}/none", f"{folder}/a.txt"])
    with pytest.raises(tf.errors.NotFoundError, match="none"):
        next(iter(dataset))
    assert texts(dataset.ignore_errors()) == ["a.txt 1", "a.txt 2"]


def test_names_that_are_no_strings():
    with pytest.raises(TypeError, match=r"`tf\.string`"):
        tf.data.TextLineDataset([1])
    with pytest.raises(TypeError, match=r"`tf\.string`"):
        tf.data.TextLineDataset(Dataset.range(3))


def test_records(tmp_path):
    paths = [str(tmp_path / name) for name in ("one", "two")]
    for path in paths:
        with tf.io.TFRecordWriter(path) as writer:
            for i in range(3):
                writer.write(f"{os.path.basename(path)} {i}".encode())
    assert texts(tf.data.TFRecordDataset(paths)) == [f"{name} {i}" for name in ("one", "two") for i in range(3)]
    turns = tf.data.TFRecordDataset(paths, num_parallel_reads=2)
    assert texts(turns) == [f"{name} {i}" for i in range(3) for name in ("one", "two")]


def test_a_damaged_record_names_file_and_offset(tmp_path):
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in range(3):
            writer.write(f"record {i}".encode())
    path.write_bytes(path.read_bytes()[:-3])
    iterator = iter(tf.data.TFRecordDataset(str(path)))
    assert next(iterator).numpy() == b"record 0" and next(iterator).numpy() == b"record 1"
    with pytest.raises(tf.errors.DataLossError, match=r"records.*48|48.*records"):
        next(iterator)


def test_records_of_one_length(tmp_path):
    (tmp_path / "fixed").write_bytes(b"HEADaabbccF")
    dataset = tf.data.FixedLengthRecordDataset(str(tmp_path / "fixed"), 2, 4, 1)
    assert texts(dataset) == ["aa", "bb", "cc"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="not an exact multiple of the record length"):
        next(iter(tf.data.FixedLengthRecordDataset(str(tmp_path / "fixed"), 4)))


def test_files_are_closed(folder):
    """By whoever reads one when its iterator is dropped: at once, or by a thread a moment later."""

    def opened():
        found = []
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):  # it has just been closed
                found.append(os.readlink(f"/proc/self/fd/{number}"))
        return [name for name in found if name.startswith(str(folder))]

    if not os.path.exists("/proc/self/fd"):
        pytest.skip("this system does not tell which files are open")
    kept = iter(tf.data.TextLineDataset(f"{folder}/a.txt"))
    next(kept)
    assert len(opened()) == 1
    for _ in range(20):
        next(iter(tf.data.TextLineDataset(f"{folder}/a.txt", num_parallel_reads=1)))
        next(iter(tf.data.TextLineDataset(f"{folder}/a.txt")))
    assert eventually(lambda: len(opened()) == 1)


# Tables


@pytest.fixture
def tables(tmp_path):
    (tmp_path / "a.csv").write_text('id,name,x\n1,"a, ""q""",1.5\n2,,\n3,c,3e5\n')
    (tmp_path / "b.csv").write_text("id,name,x\n4,d,4\n5,e,bad\n6,f\n7,g,7\n")
    return tmp_path


def rows(dataset):
    """Elements, or the last words of the errors in their place."""
    found, iterator = [], iter(dataset)
    while True:
        try:
            found.append(tf.nest.map_structure(lambda x: x.numpy(), next(iterator)))
        except StopIteration:
            return found
        except tf.errors.InvalidArgumentError as error:
            found.append(error.message)


def test_columns(tables):
    csv, file = tf.data.experimental.CsvDataset, str(tables / "a.csv")
    dataset = csv(file, [tf.int32, "", 0.5], header=True)
    assert dataset.element_spec == tuple(tf.TensorSpec([], dtype) for dtype in (tf.int32, tf.string, tf.float32))
    assert rows(dataset) == [(1, b'a, "q"', 1.5), (2, b"", 0.5), (3, b"c", 3e5)]
    required = csv(file, [tf.int32, tf.string, tf.float32], header=True)
    assert rows(required)[1] == "Field 1 is required but missing in record!"
    assert rows(csv(file, [tf.int64], header=True, select_cols=[0], na_value="2"))[1].startswith("Field 0 is required")


@pytest.mark.parametrize("choice", [{"select_cols": [0, 2]}, {"exclude_cols": [1]}])
def test_chosen_columns_and_bad_records(tables, choice):
    dataset = tf.data.experimental.CsvDataset([str(tables / "b.csv")], [tf.int32, tf.float32], header=True, **choice)
    assert rows(dataset) == [
        (4, 4.0),
        "Field 1 in record is not a valid float: bad",
        "Expect 2 fields but have 1 in record",
        (7, 7.0),
    ]


def test_csv_arguments():
    with pytest.raises(tf.errors.InvalidArgumentError, match="select_cols or exclude_cols"):
        tf.data.experimental.CsvDataset("x", [tf.int32], select_cols=[0], exclude_cols=[1])
    with pytest.raises(TypeError, match="complex64"):
        tf.data.experimental.CsvDataset("x", [tf.complex64])


def plain(value):
    return tf.nest.map_structure(lambda x: x.tolist(), value)


def test_a_table_by_column(tables):
    make, file = tf.data.experimental.make_csv_dataset, str(tables / "a.csv")
    dataset = make(file, 2, num_epochs=1, shuffle=False)
    assert [spec.dtype for spec in dataset.element_spec.values()] == [tf.int32, tf.string, tf.float32]
    assert plain(rows(dataset)) == [
        {"id": [1, 2], "name": [b'a, "q"', b""], "x": [1.5, 0.0]},
        {"id": [3], "name": [b"c"], "x": [3e5]},
    ]
    tf.random.set_seed(None)
    shuffled = make(file, 2, num_epochs=2, shuffle_seed=3, label_name="id", select_columns=["id", "x"])
    assert plain(rows(shuffled)) == [({"x": [1.5, 0.0]}, [1, 2]), ({"x": [3e5, 1.5]}, [3, 1]), ({"x": [3e5, 0.0]}, [3, 2])]
    forever = make(file, 3)
    assert forever.element_spec["id"] == tf.TensorSpec([3], tf.int32)
    assert len(list(forever.take(5))) == 5
    both = make(str(tables / "*.csv"), 2, [*"abc"], [tf.int32, tf.string, tf.float32], num_epochs=1, shuffle=False,
                ignore_errors=True, num_parallel_reads=2)  # fmt: skip
    assert plain(rows(both)) == [
        {"a": [1, 4], "b": [b'a, "q"', b"d"], "c": [1.5, 4.0]},
        {"a": [3, 7], "b": [b"c", b"g"], "c": [3e5, 7.0]},
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"header": False}, "Expected `column_names` or `header`"),
        ({"label_name": "none"}, "`label_name` provided must be one of the columns"),
        ({"column_names": ["a", "a", "b"]}, "duplicate column names: {'a'}"),
        ({"select_columns": ["none"]}, "must be of one of the columns"),
        ({"select_columns": [7]}, "Column index 7"),
        ({"select_columns": ["id"], "column_defaults": [tf.int32, tf.int32]}, "must have the same length"),
        ({"column_names": ["a", "b"]}, "Expected: 2"),
    ],
)
def test_table_arguments(tables, arguments, text):
    with pytest.raises(ValueError, match=text):
        tf.data.experimental.make_csv_dataset(str(tables / "a.csv"), 2, **arguments)


def test_memory_maps(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(12.0).reshape(4, 3))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    dataset = Dataset.from_tensor_slices({"x": rows, "i": [0, 1, 2, 3]})
    assert [x["x"].numpy().tolist() for x in dataset.batch(3)][1] == [[9.0, 10.0, 11.0]]
    assert any(np.shares_memory(leaf._value, rows) for leaf in dataset._leaves)  # nothing was read into memory


def test_a_dataset_is_written_as_records(tmp_path):
    path = str(tmp_path / "records")
    for compression in (None, "GZIP"):
        writer = tf.data.experimental.TFRecordWriter(path, compression)
        writer.write(tf.data.Dataset.from_tensor_slices(["a", "", "ccc"]))
        assert [x.numpy() for x in tf.data.TFRecordDataset(path, compression)] == [b"a", b"", b"ccc"]
    with pytest.raises(TypeError, match="scalar `tf.string` elements"):
        writer.write(tf.data.Dataset.range(3))
    with pytest.raises(TypeError, match="Expected a `tf.data.Dataset` object"):
        writer.write([b"a"])
