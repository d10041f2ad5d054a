"""Strings that hold other data: comma-separated values, raw numbers, base64, serialized tensors, compressed bytes."""

import re
import zlib

import numpy as np

from tapeflow.base.dtypes import (
    bfloat16,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    string,
    uint8,
    uint16,
)
from tapeflow.base.errors import DataLossError, invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.io import tensors, text
from tapeflow.io.messages import message
from tapeflow.ops.images import boxed, scalar_bytes
from tapeflow.ops.strings import filled, mapped

RAW = (float16, float32, float64, int32, uint16, uint8, int16, int8, int64, complex64, complex128, bool_, bfloat16)
CSV = (float32, float64, int32, int64, string)


# Comma-separated values


def _csv_kernel(records, *defaults, delimiter, quotes, na_value, columns):
    _check_defaults(defaults)
    rows = [_csv_row(item, i, len(defaults), delimiter, quotes, columns) for i, item in enumerate(np.ravel(records))]
    found = []
    for j, default in enumerate(defaults):
        column = [_csv_value(row[j], default, na_value, i, j) for i, row in enumerate(rows)]
        found.append(filled(column, np.shape(records), _CSV_DTYPES[default.dtype]))
    return tuple(found)


_CSV_DTYPES = {dtype.numpy_dtype: dtype for dtype in CSV}


def _no_csv(dtype):
    names = ", ".join(each.c_name for each in CSV)
    return invalid("DecodeCSV", f"Value for attr 'OUT_TYPE' of {dtype} is not in the list of allowed values: {names}")


def _check_defaults(defaults):
    for j, default in enumerate(defaults):
        if default.dtype not in _CSV_DTYPES:
            raise _no_csv(default.dtype)
        if np.size(default) > 1:
            raise invalid("DecodeCSV", f"There should only be 1 default per field but field {j} has {np.size(default)}")


def _csv_row(record, i, count, delimiter, quotes, columns):
    fields = text.csv_fields(record, delimiter, quotes)
    if columns:
        fields = [fields[j] for j in columns if j < len(fields)]
    if len(fields) != count:
        raise invalid("DecodeCSV", f"Expect {count} fields but have {len(fields)} in record {i}")
    return fields


_NUMBER = re.compile(rb"\s*[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|inf|infinity|nan)\s*", re.IGNORECASE)
_INTEGER = re.compile(rb"\s*[-+]?\d+\s*")


def _csv_value(field, default, na_value, i, j):
    """A field as the dtype of its default; the default where it is empty or `na_value`."""
    if not field or field == na_value:
        if not np.size(default):
            raise invalid("DecodeCSV", f"Field {j} is required but missing in record {i}!")
        return default[()] if np.ndim(default) == 0 else default[0]
    dtype = _CSV_DTYPES[default.dtype]
    if dtype is string:
        return field
    if dtype.is_floating:
        if _NUMBER.fullmatch(field):
            return float(field)
    elif _INTEGER.fullmatch(field) and dtype.min <= int(field) <= dtype.max:
        return int(field)
    raise invalid("DecodeCSV", f"Field {j} in record {i} is not a valid {dtype.c_name}: {field.decode(errors='replace')}")


def _csv_infer(records, *defaults, delimiter, quotes, na_value, columns):
    for j, default in enumerate(defaults):
        if default.dtype not in CSV:
            raise _no_csv(default.dtype.c_name)
        if default.shape is not None and None not in default.shape and int(np.prod(default.shape)) > 1:
            raise invalid("DecodeCSV", f"There should only be 1 default per field but field {j} has {default.shape[0]}")
    return tuple([Spec(records.shape, default.dtype) for default in defaults])


decode_csv = Primitive(
    "decode_csv",
    _csv_kernel,
    _csv_infer,
    accepts={string},
    uniform=False,
    multiple=True,
    samples=lambda: [
        (
            (np.array([b"1,a", b",b"], object), np.array([7], np.int32), np.array([b""], object)),
            {"delimiter": b",", "quotes": True, "na_value": b"", "columns": ()},
        )
    ],
)


# Raw numbers


def _raw_kernel(data, *, dtype, little, length):
    op = "DecodeRaw" if length is None else "DecodePaddedRaw"
    _check_raw(op, dtype, length)
    flat = np.ravel(data).tolist()
    if length is None:
        size = len(flat[0]) if flat else 0
        for i, item in enumerate(flat):
            if len(item) != size:
                raise invalid(
                    op,
                    "DecodeRaw requires input strings to all be the same size, but element "
                    f"{i} has size {len(item)} != {size}",
                )
        if size % dtype.size:
            raise invalid(
                op,
                f"Input to DecodeRaw has length {size} that is not a multiple of {dtype.size}, the size of {dtype.c_name}",
            )
    else:
        size = length
        flat = [item[:length].ljust(length, b"\0") for item in flat]
    values = np.frombuffer(b"".join(flat), dtype.numpy_dtype).reshape(*np.shape(data), size // dtype.size)
    return values.copy() if little or dtype.size == 1 else _swapped(values, dtype)


def _swapped(values, dtype):
    """The values with the bytes of each number (of each part of a complex one) the other way round."""
    parts = values.view(dtype.real_dtype.numpy_dtype) if dtype.is_complex else values
    return parts.view(f"u{parts.itemsize}").byteswap().view(dtype.numpy_dtype)


def _check_raw(op, dtype, length):
    if dtype not in RAW:
        names = ", ".join(each.c_name for each in RAW)
        raise invalid(op, f"Value for attr 'out_type' of {dtype.c_name} is not in the list of allowed values: {names}")
    if length is not None and (length <= 0 or length % dtype.size):
        raise invalid(op, f"fixed_length ({length}) must be a multiple of the size of out_type ({dtype.size}), and positive")


def _raw_infer(data, *, dtype, little, length):
    _check_raw("DecodeRaw" if length is None else "DecodePaddedRaw", dtype, length)
    if data.shape is None:
        return Spec(None, dtype)
    return Spec((*data.shape, None if length is None else length // dtype.size), dtype)


decode_raw = Primitive(
    "decode_raw",
    _raw_kernel,
    _raw_infer,
    accepts={string},
    samples=lambda: [
        ((np.array([b"abcd", b"efgh"], object),), {"dtype": int16, "little": little, "length": length})
        for little, length in ((True, None), (False, 6))
    ],
)


# Base64


def _decode_base64(s):
    body = s.rstrip(b"=") if len(s) % 4 == 0 and s[-3:].count(b"=") < 3 else s
    if len(body) % 4 == 1:
        raise invalid("DecodeBase64", "Base64 string length cannot be 1 modulo 4.")
    if not re.fullmatch(rb"[A-Za-z0-9_-]*", body):
        raise invalid("DecodeBase64", "Invalid character found in base64.")
    import base64  # it takes 1 % of the import of this package

    return base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))


def _encode_base64(s, *, pad):
    import base64

    encoded = base64.urlsafe_b64encode(s)
    return encoded if pad else encoded.rstrip(b"=")


encode_base64 = mapped(
    "encode_base64", _encode_base64, samples=lambda: [((np.array([b"hello?>", b""], object),), {"pad": False})]
)
decode_base64 = mapped("decode_base64", _decode_base64, samples=lambda: [((np.array([b"aGVsbG8_Pg", b""], object),), {})])


# Compressed bytes


WINDOW = {"ZLIB": zlib.MAX_WBITS, "GZIP": zlib.MAX_WBITS + 16}  # zlib's numbers for its own form, and for gzip's


def _decode_compressed(s, *, kind):
    if not kind:
        return s
    try:
        return zlib.decompress(s, WINDOW[kind])
    except zlib.error as error:
        raise DataLossError(None, None, f"inflate() failed with error: {error} [Op:DecodeCompressed]") from error


decode_compressed = mapped(
    "decode_compressed",
    _decode_compressed,
    samples=lambda: [((np.array([zlib.compress(b"abc")], object),), {"kind": "ZLIB"})],
)


# Examples as JSON


def _decode_json(s):
    from google.protobuf import json_format

    example = message("Example")()
    try:
        return json_format.Parse(s, example).SerializeToString()
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise invalid("DecodeJSONExample", f"Error while parsing JSON: {error}") from error


decode_json_example = mapped(
    "decode_json_example", _decode_json, samples=lambda: [((np.array([b"{}", b'{"features": {}}'], object),), {})]
)


# Serialized tensors


def _serialize_kernel(x, *, dtype):
    return boxed(tensors.serialized(x, dtype))


serialize_tensor = Primitive(
    "serialize_tensor",
    _serialize_kernel,
    lambda x, *, dtype: Spec((), string),
    samples=lambda: [((np.arange(6.0).reshape(2, 3),), {"dtype": float64})],
)


def _check_serialized(shape):
    if shape not in (None, ()):
        raise invalid("ParseTensor", f"Expected `serialized` to be a scalar, got shape: {list(shape)}")


def _parse_kernel(data, *, dtype):
    _check_serialized(np.shape(data))
    return tensors.parsed(scalar_bytes("ParseTensor", data), dtype)


def _parse_infer(data, *, dtype):
    _check_serialized(data.shape)
    return Spec(None, dtype)


parse_tensor = Primitive(
    "parse_tensor",
    _parse_kernel,
    _parse_infer,
    accepts={string},
    samples=lambda: [((boxed(tensors.serialized(np.arange(3.0), float64)),), {"dtype": float64})],
)
