"""Tables and tensor bundles: what is written is read, any damage is told, a failed writing leaves what was there."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.io import bundle, sstable
from tapeflow.io.bundle import BundleReader, write_bundle

TABLES = st.dictionaries(st.binary(max_size=12), st.binary(max_size=40), max_size=80)


@settings(deadline=None)
@given(TABLES)
def test_a_table_gives_what_was_put_in(table):
    assert sstable.decoded(sstable.encoded(sorted(table.items())), "x") == table


def test_large_tables_have_many_blocks():
    table = {f"key/{i:06d}".encode(): bytes(1000) for i in range(1000)}
    data = sstable.encoded(sorted(table.items()))
    assert sstable.decoded(data, "x") == table
    assert len(data) < 1.01 * 1000 * 1000 + 48000


@given(st.integers(0, 2**64 - 1))
def test_numbers_of_variable_length(n):
    assert sstable.read_varint(sstable.varint(n) + b"rest", 0) == (n, len(sstable.varint(n)))


@settings(deadline=None)
@given(TABLES, st.data())
def test_no_damaged_table_is_read(table, data):
    file = bytearray(sstable.encoded(sorted(table.items())))
    place = data.draw(st.integers(0, len(file) - 1))
    file[place] ^= data.draw(st.integers(1, 255))
    try:
        found = sstable.decoded(bytes(file), "x.index")
    except tf.errors.DataLossError as error:
        assert "x.index" in error.message
    else:  # the empty metaindex block, and the padding of the footer, say nothing
        assert found == table


@settings(deadline=None)
@given(TABLES, st.integers(0, 200))
def test_no_truncated_table_is_read(table, missing):
    data = sstable.encoded(sorted(table.items()))
    with pytest.raises(tf.errors.DataLossError):
        sstable.decoded(data[: -1 - missing], "x.index")


def tensors():
    strings = np.array([b"", b"abc", b"\0" * 300], object)
    return {
        "a": (tf.float32, np.arange(6, dtype=np.float32).reshape(2, 3)),
        "b/c": (tf.string, strings),
        "scalar": (tf.int64, np.int64(-5)),
        "empty": (tf.bool, np.zeros((0, 3), bool)),
        "none": (tf.string, np.zeros((0,), object)),
        "half": (tf.bfloat16, np.array([1, 2], tf.bfloat16.as_numpy_dtype)),
    }


def test_a_bundle_gives_what_was_put_in(tmp_path):
    write_bundle(tmp_path / "new" / "x", tensors())
    reader = BundleReader(tmp_path / "new" / "x")
    assert reader.names() == sorted(tensors())
    for name, (dtype, array) in tensors().items():
        assert reader.dtype(name) is dtype and reader.shape(name) == np.shape(array)
        found = reader.array(name)
        assert found.dtype == np.asarray(array).dtype and found.tolist() == np.asarray(array).tolist()
    assert sorted(os.listdir(tmp_path / "new")) == ["x.data-00000-of-00001", "x.index"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damaged_tensor_is_read(tmp_path_factory, data):
    prefix = tmp_path_factory.getbasetemp() / "damaged"
    write_bundle(prefix, tensors())
    path = bundle.data_name(prefix)
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        file.seek(0)
        file.write(content)
    reader, failed = BundleReader(prefix), 0
    for name, (_, array) in tensors().items():
        try:
            assert reader.array(name).tolist() == np.asarray(array).tolist()
        except tf.errors.DataLossError as error:
            failed += 1
            assert path in error.message and name in error.message
    assert failed == 1


def test_a_truncated_file_is_told_with_the_place(tmp_path):
    write_bundle(tmp_path / "x", tensors())
    path = bundle.data_name(tmp_path / "x")
    os.truncate(path, os.path.getsize(path) - 1)
    with pytest.raises(
        tf.errors.DataLossError, match="truncated tensor scalar of 8 bytes at [0-9]+ of .*data-00000-of-00001"
    ):
        BundleReader(tmp_path / "x").array("scalar")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(tf.errors.NotFoundError, match="Failed to find any matching files for .*nothing"):
        BundleReader(tmp_path / "nothing")
    write_bundle(tmp_path / "x", tensors())
    with pytest.raises(tf.errors.NotFoundError, match="Key zz not found in checkpoint"):
        BundleReader(tmp_path / "x").array("zz")
    os.unlink(bundle.data_name(tmp_path / "x"))
    with pytest.raises(tf.errors.NotFoundError, match="data-00000-of-00001"):
        BundleReader(tmp_path / "x").array("a")


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failed_writing_leaves_no_files(tmp_path, monkeypatch, failing):
    calls = []

    def replace(source, target):
        calls.append(target)
        if len(calls) > failing:
            raise OSError(28, "No space left on device")
        os.rename(source, target)

    monkeypatch.setattr(bundle.os, "replace", replace)
    with pytest.raises(tf.errors.ResourceExhaustedError, match="No space left"):
        write_bundle(tmp_path / "x", tensors())
    assert not [name for name in os.listdir(tmp_path) if name.endswith((".index", ".tmp"))]


def test_what_cannot_be_saved_changes_nothing(tmp_path):
    write_bundle(tmp_path / "x", {"a": (tf.int32, np.int32(1))})
    with pytest.raises(tf.errors.InvalidArgumentError, match="variant cannot be saved: b"):
        write_bundle(tmp_path / "x", {"a": (tf.int32, np.int32(2)), "b": (tf.variant, np.array([object()]))})
    assert BundleReader(tmp_path / "x").array("a") == 1 and len(os.listdir(tmp_path)) == 2
