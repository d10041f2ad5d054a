"""Ops on strings: most of them a Python function of `bytes`, mapped over the elements; the others split and join."""

import numpy as np

from tapeflow.base.dtypes import bool_, float32, int32, int64, string
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec

WORDS = np.array([b"Hello World", b"", b"ab c"], object)


def filled(items, shape, dtype):
    """An array of some items in a shape; an object array of strings."""
    array = np.empty(len(items), dtype.numpy_dtype)
    array[:] = items
    return array.reshape(shape)


def mapped(name, function, result=string, accepts=(string,), samples=None):
    """Register a primitive that maps `function(element, **attrs)` over a tensor.

    Args:
        function: gives an element of the result.
        result: its dtype.
        samples: attrs with which the registry test runs it on words.
    """

    def kernel(x, **attrs):
        return filled([function(item, **attrs) for item in np.ravel(x)], np.shape(x), result)

    return Primitive(
        name,
        kernel,
        lambda x, **attrs: Spec(x.shape, result),
        batch=lambda op, inputs, batched, attrs: op(*inputs, **attrs),
        accepts=accepts,
        parameters=("x",),
        samples=samples or (lambda: [((WORDS,), {}), ((WORDS[0:0],), {})]),
    )


# One string to one string, number or bool


def _cased(ascii_case, text_case):
    def function(s, *, utf8=False):
        return getattr(s.decode("utf-8", "replace"), text_case)().encode() if utf8 else getattr(s, ascii_case)()

    return function


def _regex_replace(s, *, pattern, rewrite, everywhere):
    from tapeflow.ops import regex

    found = regex.compiled("RegexReplace", pattern)
    rewrite = regex.text_of(rewrite)
    regex.check_rewrite("RegexReplace", found, rewrite)
    return regex.bytes_of(regex.replaced(found, rewrite, regex.text_of(s), everywhere))


def _regex_full_match(s, *, pattern):
    from tapeflow.ops import regex

    return regex.compiled("RegexFullMatch", pattern).fullmatch(regex.text_of(s)) is not None


def _hash_fast(s, *, num_buckets):
    from tapeflow.ops.hashing import fingerprint64

    return fingerprint64(s) % num_buckets


def _hash_strong(s, *, num_buckets, key):
    from tapeflow.ops.hashing import siphash64

    return siphash64(s, key) % num_buckets


def _hash(s, *, num_buckets):
    from tapeflow.ops.hashing import murmur64

    return murmur64(s) % num_buckets


def _length(s, *, unit):
    if unit == "BYTE":
        return len(s)
    return sum((byte & 0xC0) != 0x80 for byte in s)  # all but the bytes that continue a character


string_lower = mapped("string_lower", _cased("lower", "lower"), samples=lambda: [((WORDS,), {"utf8": False})])
string_upper = mapped("string_upper", _cased("upper", "upper"), samples=lambda: [((WORDS,), {"utf8": True})])
string_strip = mapped("string_strip", lambda s: s.strip())
string_length = mapped("string_length", _length, int32, samples=lambda: [((WORDS,), {"unit": "BYTE"})])
regex_replace = mapped(
    "regex_replace",
    _regex_replace,
    samples=lambda: [((WORDS,), {"pattern": b"l+", "rewrite": b"<\\0>", "everywhere": True})],
)
regex_full_match = mapped("regex_full_match", _regex_full_match, bool_, samples=lambda: [((WORDS,), {"pattern": b"ab.*"})])
hash_fast = mapped("hash_fast", _hash_fast, int64, samples=lambda: [((WORDS,), {"num_buckets": 7})])
hash_strong = mapped("hash_strong", _hash_strong, int64, samples=lambda: [((WORDS,), {"num_buckets": 7, "key": (1, 2)})])
hash_legacy = mapped("hash_legacy", _hash, int64, samples=lambda: [((WORDS,), {"num_buckets": 7})])


def _transcode(s, *, source, target, errors, replacement, controls):
    from tapeflow.ops import characters

    points = characters.decoded(s, source, errors, replacement, controls, "UnicodeTranscode")[0]
    return characters.encoded(points, target, "replace", replacement, "UnicodeTranscode")


transcode = mapped(
    "transcode",
    _transcode,
    samples=lambda: [
        ((WORDS,), {"source": "UTF-8", "target": "UTF-16-BE", "errors": "replace", "replacement": 65533, "controls": False})
    ],
)


# Numbers to strings and back


def _number_kernel(x, *, dtype):
    return filled([_number(item, dtype) for item in np.ravel(x)], np.shape(x), dtype)


def _number(s, dtype):
    try:
        text = s.decode().strip()
        if "_" in text:
            raise ValueError(text)
        if dtype.is_floating:
            return float.fromhex(text) if "x" in text.lower() else float(text)
        value = int(text)
    except ValueError:
        value = None
    if value is None or not dtype.min <= value <= dtype.max:
        shown = s.decode(errors="replace")
        raise invalid("StringToNumber", f"StringToNumberOp could not correctly convert string: {shown}")
    return value


string_to_number = Primitive(
    "string_to_number",
    _number_kernel,
    lambda x, *, dtype: Spec(x.shape, dtype),
    accepts={string},
    samples=lambda: [
        ((np.array([b"1.5", b"-2"], object),), {"dtype": float32}),
        ((np.array([b"7"], object),), {"dtype": int64}),
    ],
)


def _as_string_kernel(x, *, form, bool_words=True):
    if x.dtype == object:
        return x
    flat = np.ravel(x)
    if flat.dtype.kind == "b":
        items = [b"true" if item else b"false" for item in flat.tolist()]
    elif flat.dtype.kind == "c":
        items = [f"({form % item.real},{form % item.imag})".encode() for item in flat.tolist()]
    else:
        items = [(form % item).encode() for item in flat.tolist()]
    return filled(items, np.shape(x), string)


as_string = Primitive(
    "as_string",
    _as_string_kernel,
    lambda x, *, form, bool_words=True: Spec(x.shape, string),
    samples=lambda: [((np.array([[1.5, -2.0]]),), {"form": "%f"}), ((np.array([7, 5]),), {"form": "%4d"})],
)
