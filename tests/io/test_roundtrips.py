"""What is written is read back, over generated contents."""

import csv
import gzip
import io
import pathlib
import tempfile
import zlib

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tapeflow as tf
from tapeflow.io.files import open_compressed
from tapeflow.io.records import RecordReader
from tapeflow.io.text import CsvReader, FixedLengthReader, LineReader, csv_fields

SETTINGS = settings(max_examples=40, deadline=None)
BYTES = st.binary(max_size=40)
DTYPES = [
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "complex64",
]


def written(data):
    """A new file with some content."""
    path = pathlib.Path(tempfile.mkdtemp()) / "file"
    path.write_bytes(data)
    return path


@SETTINGS
@given(st.lists(BYTES, max_size=8), st.sampled_from(["", "GZIP", "ZLIB"]), st.integers(1, 100))
def test_records(records, compression, buffer_size):
    path = pathlib.Path(tempfile.mkdtemp()) / "records"
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    with RecordReader(path, compression, buffer_size) as reader:
        assert list(reader) == records
        assert list(reader) == []


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_a_writer_that_is_dropped_ends_its_file(tmp_path, compression):
    path = tmp_path / "records"
    tf.io.TFRecordWriter(str(path), compression).write(b"only")
    assert list(RecordReader(path, compression)) == [b"only"]


def test_records_are_read_once_they_are_flushed(tmp_path):
    path = tmp_path / "records"
    writer = tf.io.TFRecordWriter(str(path))
    writer.write(b"first")
    writer.flush()
    with RecordReader(path) as reader:
        assert next(reader) == b"first"
    writer.close()
    writer.close()
    with pytest.raises(tf.errors.FailedPreconditionError, match="closed"):
        writer.write(b"second")


@pytest.mark.parametrize(
    "options", [{"compression_level": 9}, {"window_bits": 9}, {"mem_level": 1, "compression_strategy": 2}]
)
@pytest.mark.parametrize("compression", ["GZIP", "ZLIB"])
def test_record_options(tmp_path, compression, options):
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression, **options)) as writer:
        writer.write(b"x" * 1000)
    assert len(path.read_bytes()) < 500
    assert list(RecordReader(path, compression)) == [b"x" * 1000]


@SETTINGS
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=4).filter(lambda row: row != [""]))
def test_csv(row):
    file = io.StringIO()
    broken = any(set(field) & set("\r\n") for field in row)  # Python leaves a lone carriage return unquoted
    csv.writer(file, lineterminator="", quoting=csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL).writerow(row)
    fields = [field.encode() for field in row]
    assert csv_fields(file.getvalue().encode()) == fields
    defaults = [[""]] * len(row)
    found = [x.numpy() for x in tf.io.decode_csv(file.getvalue(), defaults)]
    assert found == fields


@SETTINGS
@given(st.lists(st.lists(st.text(st.sampled_from('ab,"\n'), max_size=5), min_size=2, max_size=3), max_size=5))
def test_csv_files(rows):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    path = written(file.getvalue().encode())
    with CsvReader(path) as reader:
        assert [csv_fields(record) for record in reader] == [[field.encode() for field in row] for row in rows]


@SETTINGS
@given(
    st.lists(st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")), max_size=6), st.booleans()
)
def test_lines(lines, windows):
    end = b"\r\n" if windows else b"\n"
    data = b"".join(line + end for line in lines)
    with LineReader(written(data)) as reader:
        assert list(reader) == lines
    with LineReader(written(gzip.compress(data)), "GZIP") as reader:
        assert list(reader) == lines


@SETTINGS
@given(st.binary(max_size=30), st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_fixed_lengths(data, length, header, footer):
    body = data[: len(data) // length * length]
    content = b"h" * header + body + b"f" * footer
    records = [body[i : i + length] for i in range(0, len(body), length)]
    for compression, packed in (("", content), ("ZLIB", zlib.compress(content)), ("GZIP", gzip.compress(content))):
        with FixedLengthReader(written(packed), length, header, footer, compression_type=compression) as reader:
            assert list(reader) == records
    if length > 1:
        with pytest.raises(tf.errors.InvalidArgumentError, match="not an exact multiple"):
            list(FixedLengthReader(written(content + b"x"), length, header, footer))
        with pytest.raises(tf.errors.InvalidArgumentError, match="not an exact multiple"):
            list(FixedLengthReader(written(zlib.compress(content + b"x")), length, header, footer, compression_type="ZLIB"))


@SETTINGS
@given(BYTES, st.booleans())
def test_base64(data, pad):
    assert tf.io.decode_base64(tf.io.encode_base64(data, pad=pad)).numpy() == data


@SETTINGS
@given(
    st.sampled_from(DTYPES).flatmap(
        lambda name: arrays.arrays(name, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0))
    )
)
def test_tensors(array):
    tensor = tf.constant(array)
    found = tf.io.parse_tensor(tf.io.serialize_tensor(tensor), tensor.dtype)
    assert found.dtype is tensor.dtype
    assert found.numpy().tobytes() == array.tobytes() and found.shape == array.shape
    again = tf.make_ndarray(tf.make_tensor_proto(array))
    assert again.dtype == array.dtype and again.tobytes() == array.tobytes() and again.shape == array.shape


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_tensors(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype) / 4
    tensor = tf.constant(array)
    assert tf.io.parse_tensor(tf.io.serialize_tensor(tensor), tensor.dtype).numpy().tobytes() == array.tobytes()
    assert tf.make_ndarray(tf.make_tensor_proto(array[0, 0])).tobytes() == array[0, 0].tobytes()


@SETTINGS
@given(
    st.lists(BYTES, max_size=4),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    st.lists(st.floats(width=32), max_size=4),
)
def test_examples(strings, integers, floats):
    T = tf.train
    features = {
        "s": T.Feature(bytes_list=T.BytesList(value=strings)),
        "i": T.Feature(int64_list=T.Int64List(value=integers)),
        "f": T.Feature(float_list=T.FloatList(value=floats)),
    }
    data = T.Example(features=T.Features(feature=features)).SerializeToString()
    assert T.Example.FromString(data).features.feature["i"].int64_list.value == integers
    spec = {"s": tf.string, "i": tf.int64, "f": tf.float32}
    dense = tf.io.parse_single_example(data, {key: tf.io.RaggedFeature(dtype) for key, dtype in spec.items()})
    sparse = tf.io.parse_example([data, data], {key: tf.io.VarLenFeature(dtype) for key, dtype in spec.items()})
    for key, values in (("s", strings), ("i", integers), ("f", floats)):
        np.testing.assert_array_equal(dense[key].numpy(), np.array(values, dense[key].numpy().dtype))
        np.testing.assert_array_equal(sparse[key].values.numpy(), np.array(values * 2, dense[key].numpy().dtype))
        assert sparse[key].dense_shape.numpy().tolist() == [2, len(values)]


@SETTINGS
@given(
    st.sampled_from([np.uint8, np.uint16]).flatmap(
        lambda dtype: arrays.arrays(dtype, st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 2, 3, 4])))
    ),
    st.integers(-1, 9),
)
def test_png(pixels, level):
    found = tf.io.decode_png(tf.io.encode_png(pixels, compression=level), dtype=pixels.dtype.name)
    np.testing.assert_array_equal(found, pixels)


def test_names(tmp_path):
    path = tmp_path / "a.txt"
    for name in (str(path), str(path).encode(), path, f"file://{path}"):
        tf.io.write_file(str(name) if name is path else name, "x")
        with tf.io.gfile.GFile(name) as file:
            assert file.read() == "x"
        path.unlink()


def test_gfile_writes_and_reads(tmp_path):
    path = str(tmp_path / "a.txt")
    with tf.io.gfile.GFile(path, "w") as file:
        file.write("Grüße\n")
        assert file.tell() == 8
    with tf.io.gfile.GFile(path, "a") as file:
        file.write("two")
    with tf.io.gfile.GFile(path, "r+") as file:
        assert file.readlines() == ["Grüße\n", "two"]
        file.seek(2)
        assert file.read(2) == "ü"
    assert tf.io.gfile.GFile(path, "rb").read() == "Grüße\ntwo".encode()


def test_write_file_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    tf.io.write_file(str(path), "old")
    monkeypatch.setattr("os.replace", lambda *names: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(tf.errors.ResourceExhaustedError, match=r"a\.txt; No space left"):
        tf.io.write_file(str(path), "new")
    assert [name.name for name in tmp_path.iterdir()] == ["a.txt"] and path.read_text() == "old"


def test_buffers_do_not_change_what_is_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(zlib.compress(bytes(range(256)) * 50))
    for size in (1, 7, None):
        with open_compressed(path, "ZLIB", size) as file:
            assert file.read() == bytes(range(256)) * 50


def test_gzip_files_of_several_members(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"one\n") + b"\0" * 9 + gzip.compress(b"") + gzip.compress(b"two\n") + b"\0")
    with LineReader(path, "GZIP") as reader:
        assert list(reader) == [b"one", b"two"]
