"""Formats: comma-separated values, raw numbers, base64, serialized tensors, compressed bytes."""

import gzip
import zlib

import numpy as np
from calls import EVERY, Array, Case, Raw, array, call, filled, pick, program, shapes
from hypothesis import strategies as st

PIECES = [
    "0",
    "1",
    "-2",
    "7.5",
    "1e3",
    "inf",
    "x",
    ",",
    ",",
    ",",
    '"',
    '""',
    " ",
    "\n",
    "",
    "99999999999",
    "+3",
    ".5",
    "0x10",
    "_",
]
RAW = (
    "uint8",
    "int8",
    "int16",
    "uint16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "bool",
    "bfloat16",
)


def strings(draw, pool, shape):
    """An input of strings of a pool's pieces."""
    words = draw(st.lists(st.lists(st.sampled_from(pool), max_size=6).map("".join), min_size=1, max_size=4))
    return Array(filled(shape, [word.encode() for word in words], "string"))


def decode_csv(draw):
    defaults = draw(
        st.lists(
            st.sampled_from([[0], [0.5], [""], ["d"], Raw("tf.constant([], tf.int32)"), [1, 2]]), min_size=1, max_size=3
        )
    )
    records = strings(draw, PIECES, draw(shapes(2)))
    options = {} if draw(st.booleans()) else {"use_quote_delim": draw(st.booleans()), "na_value": pick(draw, "", "x", "0")}
    return call("tf.io.decode_csv", records, defaults, order=0, **options)


def decode_raw(draw):
    size = pick(draw, 0, 2, 4, 8, 16, 3)
    pieces = [draw(st.binary(min_size=size, max_size=size)) for _ in range(3)]
    data = Array(filled(draw(shapes(2)), pieces, "string"))
    dtype = pick(draw, *RAW, "string", "uint32")
    options = pick(draw, {}, {"little_endian": False}, {"fixed_length": 8}, {"fixed_length": 3})
    return call("tf.io.decode_raw", data, Raw(f"tf.{dtype}"), order=0, **options)


def encode_base64(draw):
    pieces = draw(st.lists(st.binary(max_size=7), min_size=1, max_size=4))
    return call("tf.io.encode_base64", Array(filled(draw(shapes(2)), pieces, "string")), pad=draw(st.booleans()), order=0)


def decode_base64(draw):
    text = strings(draw, ["ab", "c", "-", "_", "=", "==", "9", "+", " ", "YWI"], draw(shapes(1)))
    return call("tf.io.decode_base64", text, order=0)


def serialize_tensor(draw):
    return call("tf.io.serialize_tensor", array(draw, pick(draw, *EVERY, "string"), draw(shapes())), order=0)


def parse_tensor(draw):
    dtype, other = pick(draw, *EVERY, "string"), pick(draw, "float32", "int64", "string")
    wanted = dtype if draw(st.integers(0, 3)) else other
    x = array(draw, dtype, draw(shapes()))
    return program(f"tf.io.parse_tensor(tf.io.serialize_tensor(x), tf.{wanted})", x=x)


def parse_changed_tensor(draw):
    """A serialized tensor of which a byte is another."""
    data = pick(
        draw,
        b"\x08\x01\x12\x04\x12\x02\x08\x02*\x08\x00\x00\xc0?\x00\x00\x00@",
        b"\x08\x03\x12\x04\x12\x02\x08\x03:\x02\x01\x02",
    )
    at = draw(st.integers(0, len(data) - 1))
    changed = data[:at] + bytes([draw(st.integers(0, 15))]) + data[at + 1 :]
    return call("tf.io.parse_tensor", Array(np.array(changed, object)), Raw(f"tf.{pick(draw, 'float32', 'int32')}"), order=0)


def proto(draw):
    x = array(draw, pick(draw, *EVERY, "string"), draw(shapes()), kind="numpy")
    return program("tf.make_ndarray(tf.make_tensor_proto(x))", x=x)


def decode_compressed(draw):
    pack = pick(draw, zlib.compress, gzip.compress, bytes)
    data = pack(draw(st.binary(max_size=20)))
    return call("tf.io.decode_compressed", Array(np.array(data, object)), pick(draw, "ZLIB", "GZIP", "", "LZ4"), order=0)


CASES = [
    Case("tf.io.decode_csv", decode_csv, "exact", share=4),
    Case("tf.io.decode_raw", decode_raw, "exact", share=2),
    Case("tf.io.encode_base64", encode_base64, "exact"),
    Case("tf.io.decode_base64", decode_base64, "exact"),
    Case("tf.io.serialize_tensor", serialize_tensor, "exact"),
    Case("tf.io.parse_tensor", parse_tensor, "exact", bad=False),
    Case("tf.io.parse_tensor of changed bytes", parse_changed_tensor, "exact", bad=False),
    Case("tf.make_tensor_proto", proto, "exact", bad=False),
    Case("tf.io.decode_compressed", decode_compressed, "exact"),
]
