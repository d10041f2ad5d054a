"""Damaged files and bytes: never a crash, always the right exception, with the file and the offset."""

import base64
import gzip
import json
import pathlib
import struct
import tempfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.io.checksums import masked
from tapeflow.io.records import RecordReader
from tapeflow.io.text import FixedLengthReader, LineReader

SETTINGS = settings(max_examples=150, deadline=None)
GOLDEN = json.loads((pathlib.Path(__file__).parent / "golden.json").read_text())
RECORDS = {name: base64.b64decode(data) for name, data in GOLDEN["records"].items()}
IMAGES = {name: base64.b64decode(data) for name, data in GOLDEN["images"].items()}


def written(data):
    path = pathlib.Path(tempfile.mkdtemp()) / "file.tfrecord"
    path.write_bytes(data)
    return path


def damaged(draw, data):
    """The data with a few bytes changed, cut off, or put in."""
    at = draw(st.integers(0, len(data) - 1))
    kind = draw(st.sampled_from(["cut", "change", "insert", "zeros"]))
    if kind == "cut":
        return data[:at]
    if kind == "insert":
        return data[:at] + draw(st.binary(min_size=1, max_size=9)) + data[at:]
    new = bytes(8) if kind == "zeros" else draw(st.binary(min_size=1, max_size=4))
    return data[:at] + new + data[at + len(new) :]


@SETTINGS
@given(st.data(), st.sampled_from(sorted(RECORDS)))
def test_records(data, compression):
    whole = [base64.b64decode(record) for record in GOLDEN["written"]]
    path = written(damaged(data.draw, RECORDS[compression]))
    found = []
    try:
        with RecordReader(path, compression) as reader:
            for record in reader:
                found.append(record)
    except tf.errors.DataLossError as error:
        assert str(path) in error.message and f"at {reader.offset}" in error.message
    assert found == whole[: len(found)]


@pytest.mark.parametrize(
    "at, text", [(3, "truncated record at 0"), (20, "truncated record at 16"), (30, "of 1 bytes at 16")]
)
def test_truncated_records(at, text):
    reader = RecordReader(written(RECORDS[""][:at]))
    with pytest.raises(tf.errors.DataLossError, match=rf"{text} of .*file\.tfrecord"):
        list(reader)
    assert list(reader) == []


def test_a_file_may_end_behind_each_record():
    assert list(RecordReader(written(RECORDS[""][:16]))) == [b""]


def test_corrupt_records():
    data = bytearray(RECORDS[""])
    data[28] ^= 1  # the only byte of the second record
    with pytest.raises(
        tf.errors.DataLossError, match=r"corrupted record of 1 bytes: its checksum is wrong at 16 of .*tfrecord"
    ):
        list(RecordReader(written(bytes(data))))
    with pytest.raises(tf.errors.DataLossError, match="Is this even a TFRecord file"):
        list(RecordReader(written(b"some text that is long enough")))


def test_a_huge_length_asks_for_no_memory():
    length = struct.pack("<Q", 1 << 60)
    data = length + struct.pack("<I", masked(length)) + b"rest"
    with pytest.raises(tf.errors.DataLossError, match="truncated record of 1152921504606846976 bytes at 0"):
        list(RecordReader(written(data)))


def test_other_compressions():
    for compression in ("GZIP", "ZLIB"):
        with pytest.raises(tf.errors.DataLossError, match=r"damaged compressed data .* at 0 of .*tfrecord"):
            list(RecordReader(written(RECORDS[""]), compression))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unsupported compression_type: LZ4"):
        RecordReader(written(b""), "LZ4")
    with pytest.raises(tf.errors.NotFoundError, match="/no/such/file; No such file"):
        RecordReader("/no/such/file")


def test_other_readers_name_the_file():
    cut = gzip.compress(b"one\ntwo\n")[:-9]
    with pytest.raises(tf.errors.DataLossError, match=r"damaged compressed data .* of .*tfrecord"):
        list(LineReader(written(cut), "GZIP"))
    cut = zlib.compress(b"0123456789")[:-5]
    with pytest.raises(tf.errors.DataLossError, match=r"damaged compressed data .* of .*tfrecord"):
        list(FixedLengthReader(written(cut), 5, compression_type="ZLIB"))
    with pytest.raises(tf.errors.DataLossError, match="truncated header of 9 bytes"):
        list(FixedLengthReader(written(zlib.compress(b"0123")), 5, header_bytes=9, compression_type="ZLIB"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="record_bytes must be positive"):
        FixedLengthReader(written(b""), 0)


@SETTINGS
@given(st.data(), st.sampled_from(sorted(IMAGES)))
def test_images(data, name):
    file = damaged(data.draw, IMAGES[name])
    try:
        pixels = tf.io.decode_image(file)
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        return
    assert pixels.dtype is tf.uint8 and len(pixels.shape) in (3, 4)


def test_truncated_jpeg_can_be_recovered():
    cut = IMAGES["J444"][:-150]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid JPEG data"):
        tf.io.decode_jpeg(cut)
    whole = tf.io.decode_jpeg(IMAGES["J444"]).numpy()
    found = tf.io.decode_jpeg(cut, try_recover_truncated=True).numpy()
    np.testing.assert_array_equal(found[:8], whole[:8])
    assert found.shape == whole.shape and not np.array_equal(found, whole)


def test_images_that_claim_to_be_huge():
    header = struct.pack(">IIBBBBB", 1 << 30, 1 << 30, 8, 2, 0, 0, 0)
    file = IMAGES["P"][:8] + struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(tf.errors.InvalidArgumentError, match="too many"):
        tf.io.decode_png(file + IMAGES["P"][33:])


@SETTINGS
@given(st.data())
def test_examples(data):
    example = tf.train.Example()
    example.features.feature["i"].int64_list.value.extend([1, 2, 3])
    example.features.feature["b"].bytes_list.value.append(b"xyz")
    file = damaged(data.draw, example.SerializeToString())
    features = {"i": tf.io.VarLenFeature(tf.int64), "b": tf.io.FixedLenFeature([], tf.string, "")}
    try:
        found = tf.io.parse_single_example(file, features)
    except tf.errors.InvalidArgumentError:
        return
    assert found["i"].values.dtype is tf.int64


@SETTINGS
@given(st.data(), st.sampled_from(["int32", "string", "complex64"]))
def test_tensors(data, dtype):
    value = tf.constant(["ab", "c"]) if dtype == "string" else tf.cast([1, 2], dtype)
    file = damaged(data.draw, tf.io.serialize_tensor(value).numpy())
    try:
        found = tf.io.parse_tensor(file, dtype)
    except tf.errors.InvalidArgumentError:
        return
    assert found.dtype.name == dtype


def test_a_huge_tensor_of_no_values():
    proto = tf.make_tensor_proto([1, 2])
    proto.tensor_shape.dim[0].size = 1 << 50
    proto.ClearField("tensor_content")
    with pytest.raises(tf.errors.InvalidArgumentError, match="0 values for the shape"):
        tf.io.parse_tensor(proto.SerializeToString(), tf.int32)


def test_a_damaged_image_leaves_nothing_behind():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4, 1)
    file = tf.io.encode_png(pixels).numpy()
    start = file.index(b"IDAT") + 4
    length = int.from_bytes(file[start - 8 : start - 4], "big")
    short = zlib.compress(zlib.decompress(file[start : start + length])[:7])
    cut = file[: start - 8] + struct.pack(">I", len(short)) + b"IDAT" + short + b"\0" * 4 + file[start + length + 4 :]
    tf.io.decode_png(file)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid PNG data"):
        tf.io.decode_png(cut)
    np.testing.assert_array_equal(tf.io.decode_png(file), pixels)
    found = tf.io.decode_png(tf.io.encode_png(pixels + 100))
    np.testing.assert_array_equal(tf.io.decode_png(file), pixels)
    np.testing.assert_array_equal(found, pixels + 100)
