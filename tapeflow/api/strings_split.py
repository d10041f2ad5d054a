"""`tf.strings`: strings taken apart into words, bytes and characters, and characters put together; n-grams."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.ragged_convert import from_tensor, to_tensor
from tapeflow.api.ragged_partition import RowPartition
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.strings import one_of, strings, text_attr
from tapeflow.base.dtypes import int32, int64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import wrap


def _exploded(x, explode):
    """What `explode` gives for a vector of strings, (row splits, values, ...), as one more ragged dimension behind those of `x`."""
    if isinstance(x, RaggedTensor):
        parts = _exploded(x.flat_values, explode)
        return [x.with_flat_values(part) for part in parts]
    if x.dims == ():
        return list(explode(P.expand_dims(x, axis=(0,)))[1:])
    if len(x.dims) > 1:
        rows = from_tensor(x, None, None, len(x.dims) - 1, int64)
        return [rows.with_flat_values(part) for part in _exploded(rows.flat_values, explode)]
    splits, *values = explode(x)
    return [RaggedTensor(part, RowPartition(splits), internal=True) for part in values]


@export("strings.split")
def split(input, sep=None, maxsplit=-1, name=None):
    """The words of each string, as Python's `bytes.split` gives them.

    Args:
        input: strings of any shape, also ragged.
        sep: what stands between the words; runs of white space by default.
        maxsplit: how often a string is split at most; -1 for no limit.

    Returns:
        A ragged tensor of one more dimension; a vector of a scalar.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.split(["hello world", "a b c"])
        <tf.RaggedTensor [[b'hello', b'world'], [b'a', b'b', b'c']]>
    """
    attrs = {"sep": b"" if sep is None else text_attr(sep, "sep"), "maxsplit": int(maxsplit)}
    return _exploded(strings(input), lambda x: P.string_split(x, **attrs))[0]


@export("compat.v1.string_split", "compat.v1.strings.split")
def string_split_v1(
    source=None, sep=None, skip_empty=True, delimiter=None, result_type="SparseTensor", input=None, maxsplit=-1, name=None
):
    """The words of each string of a vector, as a sparse tensor, or as a ragged one where `result_type` is "RaggedTensor"."""
    rows = split(source if source is not None else input, sep if sep is not None else delimiter, maxsplit)
    return rows if result_type == "RaggedTensor" else rows.to_sparse()


@export("strings.bytes_split")
def bytes_split(input, name=None):
    """The bytes of each string, as strings.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.bytes_split(["ab", ""])
        <tf.RaggedTensor [[b'a', b'b'], []]>
    """
    return _exploded(strings(input), P.bytes_split)[0]


# Characters


def _decode(input, encoding, errors, replacement, controls, op):
    """(code points, byte offsets), each a ragged tensor, or a vector for a scalar."""
    one_of(errors, ("strict", "replace", "ignore"), "errors", op)
    attrs = {"encoding": encoding, "errors": errors, "replacement": int(replacement), "controls": bool(controls)}
    return _exploded(strings(input), lambda x: P.unicode_decode(x, **attrs))


@export("strings.unicode_decode")
def unicode_decode(
    input, input_encoding, errors="replace", replacement_char=65533, replace_control_characters=False, name=None
):
    """The code points of each string, int32.

    Args:
        input: strings of any shape.
        input_encoding: such as "UTF-8", "UTF-16-BE", "US-ASCII".
        errors: "strict" raises for what is malformed, "replace" puts `replacement_char` there, "ignore" leaves it out.
        replace_control_characters: whether control characters are replaced too.

    Raises:
        InvalidArgumentError: malformed strings where `errors` is "strict".

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.unicode_decode(["hé", "c"], "UTF-8")
        <tf.RaggedTensor [[104, 233], [99]]>
    """
    return _decode(input, input_encoding, errors, replacement_char, replace_control_characters, "UnicodeDecode")[0]


@export("strings.unicode_decode_with_offsets")
def unicode_decode_with_offsets(
    input, input_encoding, errors="replace", replacement_char=65533, replace_control_characters=False, name=None
):
    """The code points of each string, and the byte at which each begins, int64; see `unicode_decode`.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.unicode_decode_with_offsets("éa", "UTF-8")[1].numpy().tolist()
        [0, 2]
    """
    points, offsets = _decode(input, input_encoding, errors, replacement_char, replace_control_characters, "UnicodeDecode")
    return points, offsets


@export("strings.unicode_split")
def unicode_split(input, input_encoding, errors="replace", replacement_char=65533, name=None):
    """The characters of each string, as strings of the same encoding; see `unicode_decode`.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.unicode_split(["hé", "c"], "UTF-8")
        <tf.RaggedTensor [[b'h', b'\\xc3\\xa9'], [b'c']]>
    """
    return unicode_split_with_offsets(input, input_encoding, errors, replacement_char)[0]


@export("strings.unicode_split_with_offsets")
def unicode_split_with_offsets(input, input_encoding, errors="replace", replacement_char=65533, name=None):
    """The characters of each string, and the byte at which each begins, int64; see `unicode_decode`.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.unicode_split_with_offsets("éa", "UTF-8")[1].numpy().tolist()
        [0, 2]
    """
    points, offsets = _decode(input, input_encoding, errors, replacement_char, False, "UnicodeDecode")
    flat = points.flat_values if isinstance(points, RaggedTensor) else points
    count = P.cast(P.strided_slice(P.shape(flat), key=(0,)), dtype=int64)
    each = P.range(P.zeros_like(count), count + 1, P.ones_like(count))
    characters = P.unicode_encode(flat, each, encoding=input_encoding, errors="replace", replacement=int(replacement_char))
    return (points.with_flat_values(characters) if isinstance(points, RaggedTensor) else characters), offsets


@export("strings.unicode_encode")
def unicode_encode(input, output_encoding, errors="replace", replacement_char=65533, name=None):
    """The strings that code points along the last axis spell.

    Args:
        input: integers of rank 1 or more, also ragged.
        output_encoding: "UTF-8", "UTF-16-BE" or "UTF-32-BE".
        errors: what is done with numbers that are no code points: see `unicode_decode`.

    Raises:
        InvalidArgumentError: such numbers where `errors` is "strict".

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.unicode_encode(tf.ragged.constant([[104, 233], [99]]), "UTF-8").numpy().tolist()
        [b'h\\xc3\\xa9', b'c']
    """
    one_of(output_encoding, ("UTF-8", "UTF-16-BE", "UTF-32-BE"), "output_encoding", "UnicodeEncode")
    one_of(errors, ("strict", "replace", "ignore"), "errors", "UnicodeEncode")
    points = convert_to_tensor(input)
    attrs = {"encoding": output_encoding, "errors": errors, "replacement": int(replacement_char)}
    if not isinstance(points, RaggedTensor):
        if len(points.dims) == 1:
            count = P.cast(P.shape(points), dtype=int64)
            encoded = P.unicode_encode(points, P.concat(P.zeros_like(count), count, axis=0), **attrs)
            return P.squeeze(encoded, axis=(0,))
        points = from_tensor(points, None, None, len(points.dims) - 1, int64)
        encoded = unicode_encode(points, output_encoding, errors, replacement_char)
        return to_tensor(encoded, None, None) if isinstance(encoded, RaggedTensor) else encoded
    if points.ragged_rank > 1:
        return points.with_values(unicode_encode(points.values, output_encoding, errors, replacement_char))
    if len(points.dims) > 2:
        return points.with_values(unicode_encode(points.values, output_encoding, errors, replacement_char))
    return P.unicode_encode(P.cast(points.values, dtype=int32), points.row_splits, **attrs)


@export("strings.unicode_transcode")
def unicode_transcode(
    input,
    input_encoding,
    output_encoding,
    errors="replace",
    replacement_char=65533,
    replace_control_characters=False,
    name=None,
):
    """The strings in another encoding; see `unicode_decode`.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.unicode_transcode("hé", "UTF-8", "UTF-16-BE").numpy()
        b'\\x00h\\x00\\xe9'
    """
    one_of(output_encoding, ("UTF-8", "UTF-16-BE", "UTF-32-BE"), "output_encoding", "UnicodeTranscode")
    one_of(errors, ("strict", "replace", "ignore"), "errors", "UnicodeTranscode")
    attrs = {"errors": errors, "replacement": int(replacement_char), "controls": bool(replace_control_characters)}
    return P.transcode(strings(input), source=input_encoding, target=output_encoding, **attrs)


# N-grams


@export("strings.ngrams")
def ngrams(data, ngram_width, separator=" ", pad_values=None, padding_width=None, preserve_short_sequences=False, name=None):
    """The n-grams of each row: runs of neighbouring strings, put together.

    Args:
        data: strings of rank 1 or more, also ragged.
        ngram_width: how many strings make up one, or a list of several such numbers.
        separator: what is put between them.
        pad_values: what rows are padded with at both ends, or a pair (left, right); None pads nothing.
        padding_width: how far at most; one less than the width by default.
        preserve_short_sequences: whether rows too short for an n-gram give one of what they have.

    Returns:
        A ragged tensor where `data` is ragged, else a tensor.

    Raises:
        ValueError: a width below 1.
        TypeError: padding that is no string or pair of strings.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.ngrams(["a", "b", "c"], 2).numpy().tolist()
        [b'a b', b'b c']
    """
    widths = tuple(ngram_width) if isinstance(ngram_width, (list, tuple)) else (int(ngram_width),)
    if any(width < 1 for width in widths):
        raise ValueError(f"All ngram_widths must be greater than 0. Received: ngram_width={ngram_width}")
    left, right = _padding(pad_values)
    if padding_width is not None and padding_width < 1:
        raise ValueError(f"padding_width must be greater than 0. Received: padding_width={padding_width}")
    pad = 0 if pad_values is None else -1 if padding_width is None else int(padding_width)
    attrs = {"widths": widths, "separator": text_attr(separator, "separator"), "left": left, "right": right, "pad": pad}
    x = strings(data)
    if isinstance(x, RaggedTensor):
        return _grams(x, attrs, bool(preserve_short_sequences))
    if x.dims == ():
        raise invalid("StringNGrams", "Data should have rank>=1, but is a scalar")
    if len(x.dims) == 1:
        count = P.cast(P.shape(x), dtype=int64)
        rows = RaggedTensor(x, RowPartition(P.concat(wrap(np.zeros(1, np.int64)), count, axis=0)), internal=True)
        return _grams(rows, attrs, bool(preserve_short_sequences)).values
    return to_tensor(
        _grams(from_tensor(x, None, None, len(x.dims) - 1, int64), attrs, bool(preserve_short_sequences)), "", None
    )


def _grams(rows, attrs, keep_short):
    if isinstance(rows.values, RaggedTensor):
        return rows.with_values(_grams(rows.values, attrs, keep_short))
    splits, grams = P.ngrams(rows.values, rows.row_splits, keep_short=keep_short, **attrs)
    splits = splits if rows.row_splits.dtype is int64 else P.cast(splits, dtype=rows.row_splits.dtype)
    return RaggedTensor(grams, RowPartition(splits), internal=True)


def _padding(pad_values):
    if pad_values is None:
        return b"", b""
    if isinstance(pad_values, (list, tuple)):
        if len(pad_values) != 2:
            raise ValueError("pad_values must be a string, tuple of two strings, or None.")
        return tuple([text_attr(value, "pad_values") for value in pad_values])
    if not isinstance(pad_values, (str, bytes)):
        raise TypeError(f"pad_values must be a string, tuple of two strings, or None. Received: pad_values={pad_values}")
    return (text_attr(pad_values, "pad_values"),) * 2
