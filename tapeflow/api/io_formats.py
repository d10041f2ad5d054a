"""Strings that hold other data, and the other way round (`tf.io.decode_csv`, `tf.io.serialize_tensor`, ...)."""

import itertools

import numpy as np

from tapeflow.api.arguments import axis_number
from tapeflow.api.export import export
from tapeflow.api.sparse_tensor import SparseTensor
from tapeflow.base.dtypes import as_dtype, int64, string
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P


def _strings(value):
    """A tensor of strings; an empty list is one, too."""
    return convert_to_tensor(value, string if isinstance(value, (list, tuple)) and not value else None)


@export("io.decode_csv")
def decode_csv(records, record_defaults, field_delim=",", use_quote_delim=True, na_value="", select_cols=None, name=None):
    """The columns of CSV records (RFC 4180), a list of tensors of the shape of `records`.

    Args:
        records: strings, each one record without its line's end.
        record_defaults: for each column a tensor of one value, which stands for empty fields, or of none, where they must
            be there. Its dtype (float32, float64, int32, int64, string) is the column's.
        field_delim: one character.
        use_quote_delim: whether fields may stand in double quotes.
        na_value: what counts as empty, too.
        select_cols: the numbers of the columns wanted, in ascending order.

    Raises:
        InvalidArgumentError: another number of fields, a field that is no such number or is missing, stray quotes.
        ValueError: columns out of order, or another number of them than of defaults.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().tolist() for x in tf.io.decode_csv(["1,a", ',"b,c"'], [[7], [""]])]
        [[1, 7], [b'a', b'b,c']]
    """
    if select_cols is not None:
        if any(a >= b for a, b in itertools.pairwise(select_cols)):
            raise ValueError("select_cols is not strictly increasing.")
        if select_cols and select_cols[0] < 0:
            raise ValueError("select_cols contains negative values.")
        if len(select_cols) != len(record_defaults):
            raise ValueError("Length of select_cols and record_defaults do not match.")
    delimiter = str(field_delim).encode()
    if len(delimiter) != 1:
        raise invalid("DecodeCSV", "field_delim should be only 1 char")
    if delimiter in (b'"', b"\n", b"\r"):
        raise invalid("DecodeCSV", f"field_delim must not be a quote or a line's end, got {field_delim!r}")
    if not len(record_defaults):
        raise invalid("DecodeCSV", "Length for attr 'OUT_TYPE' of 0 must be at least minimum 1: record_defaults is empty")
    defaults = [convert_to_tensor(x) for x in record_defaults]
    columns = tuple(select_cols or ())
    return list(
        P.decode_csv(
            _strings(records),
            *defaults,
            delimiter=delimiter,
            quotes=bool(use_quote_delim),
            na_value=str(na_value).encode(),
            columns=columns,
        )
    )


@export("io.decode_raw")
def decode_raw(input_bytes, out_type, little_endian=True, fixed_length=None, name=None):
    """The bytes of strings as numbers, along a new last axis.

    Args:
        input_bytes: strings, all of one length unless `fixed_length` is given.
        out_type: the numbers' dtype.
        little_endian: the order of their bytes.
        fixed_length: how many bytes of each are read; shorter ones are filled with zeros.

    Raises:
        InvalidArgumentError: lengths that differ, or are no multiple of the dtype's size.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.decode_raw(["\\x01\\x00\\x02\\x00"], tf.int16).numpy().tolist()
        [[1, 2]]
    """
    length = None if fixed_length is None else axis_number(fixed_length, "fixed_length", takes="int32")
    return P.decode_raw(_strings(input_bytes), dtype=as_dtype(out_type), little=bool(little_endian), length=length)


@export("io.encode_base64")
def encode_base64(input, pad=False, name=None):
    """Strings in web-safe base64 (RFC 4648, with - and _), padded by = to a multiple of 4 where `pad`.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.encode_base64("hello?>").numpy()
        b'aGVsbG8_Pg'
    """
    return P.encode_base64(_strings(input), pad=bool(pad))


@export("io.decode_base64")
def decode_base64(input, name=None):
    """The strings that web-safe base64 stands for; padding may be left out.

    Raises:
        InvalidArgumentError: another character, or an impossible length.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.decode_base64("aGVsbG8_Pg").numpy()
        b'hello?>'
    """
    return P.decode_base64(_strings(input))


@export("io.decode_compressed")
def decode_compressed(bytes, compression_type="", name=None):
    """Strings decompressed.

    Args:
        compression_type: "" (not compressed), "ZLIB" or "GZIP".

    Raises:
        DataLossError: damaged data.
        InvalidArgumentError: another compression.

    Example:
        >>> import tapeflow as tf, zlib
        >>> tf.io.decode_compressed(zlib.compress(b"abc"), "ZLIB").numpy()
        b'abc'
    """
    kind = "" if compression_type is None else str(compression_type)
    if kind not in ("", "ZLIB", "GZIP"):
        raise invalid("DecodeCompressed", "Only ZLIB, GZIP or NONE are supported compressions")
    return P.decode_compressed(_strings(bytes), kind=kind)


@export("io.decode_json_example")
def decode_json_example(json_examples, name=None):
    """JSON texts of `tf.train.Example` messages as their bytes.

    Raises:
        InvalidArgumentError: a text that is no such message.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.decode_json_example('{"features": {"feature": {"a": {"int64List": {"value": ["7"]}}}}}').numpy()
        b'\\n\\x0c\\n\\n\\n\\x01a\\x12\\x05\\x1a\\x03\\n\\x01\\x07'
    """
    return P.decode_json_example(_strings(json_examples))


@export("io.serialize_tensor")
def serialize_tensor(tensor, name=None):
    """The bytes of the tensor's `TensorProto` message, a scalar string.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.parse_tensor(tf.io.serialize_tensor([1, 2]), tf.int32).numpy().tolist()
        [1, 2]
    """
    x = convert_to_tensor(tensor)
    return P.serialize_tensor(x, dtype=x._dtype)


@export("io.parse_tensor")
def parse_tensor(serialized, out_type, name=None):
    """The tensor of the bytes of a `TensorProto` message.

    Raises:
        InvalidArgumentError: bytes that are no tensor, or one of another dtype.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.parse_tensor(tf.io.serialize_tensor(["a"]), tf.string).numpy().tolist()
        [b'a']
    """
    return P.parse_tensor(convert_to_tensor(serialized, string), dtype=as_dtype(out_type))


# Sparse tensors: a row of three serialized tensors


def _check_sparse(sp_input, out_type):
    if not isinstance(sp_input, SparseTensor):
        raise TypeError(f"Input must be a SparseTensor, got {type(sp_input).__name__}.")
    if as_dtype(out_type) is not string:
        raise invalid("SerializeSparse", f"out_type must be tf.string, got {as_dtype(out_type).name}")


def _serialized_row(indices, values, shape):
    return P.stack(*[serialize_tensor(x) for x in (indices, values, shape)], axis=0)


@export("io.serialize_sparse")
def serialize_sparse(sp_input, out_type=string, name=None):
    """A sparse tensor as three strings: its serialized indices, values and shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.serialize_sparse(tf.sparse.from_dense([0, 7])).shape
        TensorShape([3])
    """
    _check_sparse(sp_input, out_type)
    return _serialized_row(sp_input.indices, sp_input.values, sp_input.dense_shape)


@export("io.serialize_many_sparse")
def serialize_many_sparse(sp_input, out_type=string, name=None):
    """Each of the examples along the first axis of a sparse tensor as three strings, [examples, 3].

    Raises:
        InvalidArgumentError: a sparse tensor without a second axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.io.serialize_many_sparse(tf.sparse.from_dense([[0, 7], [8, 0]])).shape
        TensorShape([2, 3])
    """
    _check_sparse(sp_input, out_type)
    dims = sp_input.dense_shape.numpy()
    if len(dims) < 2:
        raise invalid("SerializeManySparse", f"Rank of input SparseTensor should be > 1, but saw rank: {len(dims)}")
    places, values = sp_input.indices.numpy(), sp_input.values
    rows = []
    for i in range(dims[0]):
        own = np.flatnonzero(places[:, 0] == i)
        picked = P.gather(values, convert_to_tensor(own), axis=0, batch_dims=0)
        rows.append(_serialized_row(places[own, 1:], picked, dims[1:]))
    return P.stack(*rows, axis=0) if rows else convert_to_tensor(np.empty((0, 3), object), string)


@export("io.deserialize_many_sparse")
def deserialize_many_sparse(serialized_sparse, dtype, rank=None, name=None):
    """The sparse tensor of some serialized ones, along a new first axis; its shape is the largest of theirs.

    Args:
        serialized_sparse: [examples, 3] strings, as `serialize_many_sparse` gives them.
        dtype: the dtype of the values.
        rank: the rank of each, which is not needed here.

    Raises:
        InvalidArgumentError: strings of another shape, tensors of another dtype, or ranks that differ.

    Example:
        >>> import tapeflow as tf
        >>> rows = tf.io.serialize_many_sparse(tf.sparse.from_dense([[0, 7], [8, 0]]))
        >>> tf.sparse.to_dense(tf.io.deserialize_many_sparse(rows, tf.int32)).numpy().tolist()
        [[0, 7], [8, 0]]
    """
    rows = convert_to_tensor(serialized_sparse, string)
    if rows.dims is None or len(rows.dims) != 2 or rows.dims[1] != 3:
        raise invalid("DeserializeManySparse", f"Serialized sparse should be a matrix of 3 columns, got shape {rows.shape}")
    parts = [
        [P.parse_tensor(cell, dtype=kind) for cell, kind in zip(P.unstack(row, axis=0, num=3), kinds, strict=True)]
        for row in P.unstack(rows, axis=0, num=rows.dims[0])
        for kinds in [(int64, as_dtype(dtype), int64)]
    ]
    ranks = {len(shape.numpy()) for _, _, shape in parts}
    if len(ranks) != 1:
        raise invalid("DeserializeManySparse", f"Inconsistent rank across SparseTensors: {sorted(ranks)}")
    indices = np.concatenate([np.insert(places.numpy(), 0, i, axis=1) for i, (places, _, _) in enumerate(parts)])
    values = P.concat(*[values for _, values, _ in parts], axis=0) if len(parts) > 1 else parts[0][1]
    largest = np.max([shape.numpy() for _, _, shape in parts], axis=0)
    return SparseTensor(indices, values, np.concatenate([[len(parts)], largest]))
