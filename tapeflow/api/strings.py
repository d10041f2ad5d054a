"""`tf.strings`: strings to strings and numbers, parts of strings, joining and text of tensors."""

import numpy as np

from tapeflow.api.arguments import axis_number
from tapeflow.api.export import export
from tapeflow.api.operands import is_tensor
from tapeflow.base.dtypes import as_dtype, float32, string
from tapeflow.base.errors import InvalidArgumentError, OutOfRangeError, invalid
from tapeflow.core.convert import convert_to_tensor, static_dims, static_value
from tapeflow.core.primitive import P


def strings(x):
    """A string tensor, or a composite of strings, of an argument."""
    return convert_to_tensor(x, None if is_tensor(x) else string)


def text_attr(x, name):
    """A scalar string argument as bytes for an attr."""
    if isinstance(x, (str, bytes)):
        return x.encode() if isinstance(x, str) else x
    value = static_value(strings(x))
    if value is None or value.shape != ():
        raise InvalidArgumentError(None, None, f"`{name}` must be one string that is known while tracing, got {x!r}")
    return value[()]


def one_of(value, allowed, name, op):
    """Raise where an argument is none of the values allowed."""
    if value not in allowed:
        listed = ", ".join(f'"{item}"' for item in allowed)
        raise invalid(op, f"Value for attr '{name}' of \"{value}\" is not in the list of allowed values: {listed}")
    return value


# Case, length, patterns


def _encoding(encoding, op):
    if encoding not in ("", "utf-8"):
        raise invalid(op, f"only utf-8 or '' (no encoding) is supported, received {encoding}")
    return encoding == "utf-8"


@export("strings.lower")
def lower(input, encoding="", name=None):
    """The strings in lower case; other letters than a to z only where `encoding` is "utf-8".

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.lower("ABC").numpy()
        b'abc'
    """
    return P.string_lower(strings(input), utf8=_encoding(encoding, "StringLower"))


@export("strings.upper")
def upper(input, encoding="", name=None):
    """The strings in upper case; other letters than a to z only where `encoding` is "utf-8".

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.upper("abc").numpy()
        b'ABC'
    """
    return P.string_upper(strings(input), utf8=_encoding(encoding, "StringUpper"))


@export("strings.strip")
def strip(input, name=None):
    """The strings without white space at their ends.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.strip("  a b ").numpy()
        b'a b'
    """
    return P.string_strip(strings(input))


@export("strings.length")
def length(input, unit="BYTE", name=None):
    """The length of each string, int32, in bytes or (`unit="UTF8_CHAR"`) in characters.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.length("hé", unit="UTF8_CHAR").numpy().item()
        2
    """
    return P.string_length(strings(input), unit=one_of(unit, ("BYTE", "UTF8_CHAR"), "unit", "StringLength"))


@export("strings.regex_replace")
def regex_replace(input, pattern, rewrite, replace_global=True, name=None):
    r"""The strings with the matches of a regular expression (of RE2's syntax) rewritten; \\1 stands for a group, \\0 for the match.

    Raises:
        InvalidArgumentError: the pattern is no regular expression.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.regex_replace("Text with tags", "[aeiou]", "-").numpy()
        b'T-xt w-th t-gs'
    """
    attrs = {"pattern": text_attr(pattern, "pattern"), "rewrite": text_attr(rewrite, "rewrite")}
    return P.regex_replace(strings(input), everywhere=bool(replace_global), **attrs)


@export("strings.regex_full_match")
def regex_full_match(input, pattern, name=None):
    """Whether a regular expression (of RE2's syntax) matches the whole of each string.

    Raises:
        InvalidArgumentError: the pattern is no regular expression.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.regex_full_match(["tape", "tapes"], "[a-e]?t.*e").numpy().tolist()
        [True, False]
    """
    return P.regex_full_match(strings(input), pattern=text_attr(pattern, "pattern"))


# Hashes


def _buckets(n, op):
    n = int(n)
    if n < 1:
        raise invalid(op, f"Value for attr 'num_buckets' of {n} must be at least minimum 1")
    return n


@export("strings.to_hash_bucket_fast")
def to_hash_bucket_fast(input, num_buckets, name=None):
    """A number below `num_buckets` for each string, the same on every machine: FarmHash's Fingerprint64.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.to_hash_bucket_fast(["Hello", "TensorFlow", "2.x"], 3).numpy().tolist()
        [0, 2, 2]
    """
    return P.hash_fast(strings(input), num_buckets=_buckets(num_buckets, "StringToHashBucketFast"))


@export("strings.to_hash_bucket_strong")
def to_hash_bucket_strong(input, num_buckets, key, name=None):
    """A number below `num_buckets` for each string that cannot be guessed without the key: SipHash.

    Args:
        key: two integers.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.to_hash_bucket_strong(["Hello", "TF"], 3, [1, 2]).numpy().tolist()
        [2, 0]
    """
    key = tuple([int(k) for k in key])
    if len(key) != 2:
        raise invalid("StringToHashBucketStrong", f"Key must have 2 elements, got {len(key)}: {key}")
    return P.hash_strong(strings(input), num_buckets=_buckets(num_buckets, "StringToHashBucketStrong"), key=key)


@export("strings.to_hash_bucket")
def to_hash_bucket(input, num_buckets, name=None):
    """A number below `num_buckets` for each string; `to_hash_bucket_fast` is the one to use in new programs.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.to_hash_bucket(["Hello", "TF"], 100).numpy().tolist()
        [41, 66]
    """
    return P.hash_legacy(strings(input), num_buckets=_buckets(num_buckets, "StringToHashBucket"))


@export("fingerprint")
def fingerprint(data, method="farmhash64", name=None):
    """Eight bytes (uint8 [n, 8]) for each row of a tensor, the same on every machine.

    Raises:
        InvalidArgumentError: a scalar, or another method.

    Example:
        >>> import tapeflow as tf
        >>> tf.fingerprint(["a"]).numpy().tolist()
        [[227, 117, 223, 182, 101, 66, 69, 179]]
    """
    if method != "farmhash64":
        raise invalid("Fingerprint", f"Unsupported fingerprint method: {method}")
    return P.fingerprint(convert_to_tensor(data))


# Numbers

_NUMBERS = ("float32", "float64", "int32", "int64", "uint32", "uint64")


@export("strings.to_number")
def to_number(input, out_type=float32, name=None):
    """The numbers that strings spell.

    Raises:
        InvalidArgumentError: a string that spells none, or one that the dtype cannot hold.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.to_number("1.55").numpy().item()
        1.5499999523162842
    """
    dtype = as_dtype(out_type)
    if dtype.name not in _NUMBERS:
        raise invalid(
            "StringToNumber",
            f"Value for attr 'out_type' of {dtype.c_name} is not in the list of allowed values: float, double, int32, int64, "
            "uint32, uint64",
        )
    return P.string_to_number(strings(input), dtype=dtype)


@export("strings.as_string", "as_string")
def as_string(input, precision=-1, scientific=False, shortest=False, width=-1, fill="", name=None):
    """Numbers and bools as strings, in the manner of C's printf.

    Args:
        input: numbers, bools or strings.
        precision: the digits behind the point, of floats; 6 by default.
        scientific, shortest: whether floats are written with an exponent, or in the shorter of both ways.
        width: the least length; `fill` (a blank, "0", "-" for left-aligned, "+" or " ") says how it is reached.

    Raises:
        InvalidArgumentError: options that do not fit the dtype.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.as_string([1.5, 3.14159], precision=2).numpy().tolist()
        [b'1.50', b'3.14']
    """
    x = convert_to_tensor(input)
    return P.as_string(x, form=_form(x.dtype, precision, scientific, shortest, width, fill))


def _form(dtype, precision, scientific, shortest, width, fill):
    """The format of a number for Python's `%`."""
    inexact = dtype.is_floating or dtype.is_complex
    if not inexact:
        for value, what in (
            (precision > -1, "precision"),
            (scientific, "scientific and shortest"),
            (shortest, "scientific and shortest"),
        ):
            if value and dtype is not string:
                raise invalid("AsString", f"{what} not supported for datatype {dtype.c_name}")
    elif scientific and shortest:
        raise invalid("AsString", "Cannot select both scientific and shortest notation")
    if len(fill) > 1:
        raise invalid("AsString", f"Fill string must be one or fewer characters, got {fill!r}")
    if fill not in ("", " ", "+", "-", "0", "#"):
        raise invalid("AsString", f'Fill argument not supported: "{fill}"')
    form = f"%{fill}" + (str(width) if width > -1 else "")
    if not inexact:
        return form + "d"
    return form + (f".{precision}" if precision > -1 else "") + ("e" if scientific else "g" if shortest else "f")


# Parts and joining


@export("strings.substr")
def substr(input, pos, len, unit="BYTE", name=None):
    """A part of each string, from `pos` (negative from the end) and of `len` bytes or characters, as far as it goes.

    Args:
        pos, len: integers of one dtype, that broadcast with the strings.
        unit: "BYTE" or "UTF8_CHAR".

    Raises:
        InvalidArgumentError: a position outside of its string.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.substr(["Hello", "World"], 1, 3).numpy().tolist()
        [b'ell', b'orl']
    """
    start = convert_to_tensor(pos)
    size = convert_to_tensor(len, None if is_tensor(len) else start.dtype)
    return P.substr(strings(input), start, size, unit=one_of(unit, ("BYTE", "UTF8_CHAR"), "unit", "Substr"))


@export("strings.join")
def join(inputs, separator="", name=None):
    """The strings of several tensors put together elementwise.

    Args:
        inputs: a list of string tensors of one shape; scalars go with any.
        separator: what is put between them.

    Raises:
        InvalidArgumentError: other shapes.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.join([["a", "b"], "x"], separator="-").numpy().tolist()
        [b'a-x', b'b-x']
    """
    parts = [strings(x) for x in inputs]
    if not parts:
        return convert_to_tensor("")
    return P.string_join(*parts, separator=text_attr(separator, "separator"))


@export("strings.reduce_join")
def reduce_join(inputs, axis=None, keepdims=False, separator="", name=None):
    """All strings along axes put together; along several axes in the order in which they are named, along all from the last.

    Raises:
        OutOfRangeError: there is no such axis.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.reduce_join([["a", "b"], ["c", "d"]], axis=1, separator="+").numpy().tolist()
        [b'a+b', b'c+d']
    """
    x = strings(inputs)
    rank = len(x.dims)
    text = text_attr(separator, "separator")
    if axis is None:
        order = list(range(rank - 1, -1, -1))
    else:
        order = (
            [axis_number(axis)]
            if not isinstance(axis, (list, tuple, np.ndarray)) and np.ndim(axis) == 0
            else list(static_dims(axis))
        )
    for i in order:
        if not -rank <= i < rank:
            raise OutOfRangeError(
                None, None, f"Invalid reduction dimension {i} for input with {rank} dimension(s) [Op:ReduceJoin]"
            )
    order = [i % rank for i in order]
    for i in order:
        x = P.string_reduce_join(x, axis=i, keepdims=True, separator=text)
    return x if keepdims or not order else P.squeeze(x, axis=tuple(order))


@export("strings.unsorted_segment_join")
def unsorted_segment_join(inputs, segment_ids, num_segments, separator="", name=None):
    """The strings of each segment put together.

    Args:
        inputs: strings whose shape begins with that of `segment_ids`.
        segment_ids: integers below `num_segments`; strings of negative ids are left out.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.unsorted_segment_join(["a", "b", "c"], [0, 1, 0], 2, separator=":").numpy().tolist()
        [b'a:c', b'b']
    """
    (num,) = static_dims(num_segments)
    return P.string_segment_join(
        strings(inputs), convert_to_tensor(segment_ids), num=num, separator=text_attr(separator, "separator")
    )


@export("strings.format")
def format(template, inputs, placeholder="{}", summarize=3, name=None):
    """A string with the text of tensors in place of placeholders.

    Args:
        template: a Python string.
        inputs: a tensor, or a list of as many tensors as there are placeholders.
        summarize: how many elements are shown at each end of an axis; -1 shows all.

    Raises:
        ValueError: not one tensor for each placeholder.

    Example:
        >>> import tapeflow as tf
        >>> tf.strings.format("x: {}", tf.range(10)).numpy()
        b'x: [0 1 2 ... 7 8 9]'
    """
    tensors = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    count = template.count(placeholder)
    if count != len(tensors):
        raise ValueError(
            f"The template expects {count} tensors, but the inputs only has {len(tensors)}. Please ensure the number of "
            "placeholders in template matches inputs length."
        )
    attrs = {"template": template.encode(), "placeholder": placeholder.encode(), "summarize": int(summarize)}
    values = [convert_to_tensor(x) for x in tensors]
    return P.string_format(*[convert_to_tensor(repr(x)) if hasattr(x, "row_splits") else x for x in values], **attrs)
