"""Strings: case, patterns, hashes, numbers, parts, joins and characters; facts obtained from TensorFlow."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.ops import hashing

S, C = tf.strings, tf.ragged.constant
TEXT = tf.constant(["Hello World", "", "ab c", "héLLo ß"])


def listed(x):
    if isinstance(x, tf.RaggedTensor):
        return x.to_list()
    value = x.numpy()
    return value if isinstance(value, bytes) else value.tolist()


CASES = [
    (lambda: S.join([["a", "b"], ["c", "d"]], separator="-"), [b"a-c", b"b-d"]),
    (lambda: S.join([]), b""),
    (lambda: S.length(TEXT, unit="UTF8_CHAR"), [11, 0, 4, 7]),
    (lambda: S.length(TEXT), [11, 0, 4, 9]),
    (lambda: S.lower(TEXT[0]), b"hello world"),
    (lambda: S.upper("hé"), "HéO".encode()[:1] + "é".encode()),
    (lambda: S.upper("ß", encoding="utf-8"), b"SS"),
    (lambda: S.strip(["  a b\t\n", "x"]), [b"a b", b"x"]),
    (lambda: S.split("a b  c"), [b"a", b"b", b"c"]),
    (lambda: S.split(["a,b,,c", "", ",x"], ","), [[b"a", b"b", b"", b"c"], [b""], [b"", b"x"]]),
    (lambda: S.split(["a b c d"], maxsplit=1), [[b"a", b"b c d"]]),
    (lambda: S.split(C([["a b"], ["c", "d e"]])), [[[b"a", b"b"]], [[b"c"], [b"d", b"e"]]]),
    (lambda: S.substr(["Hello", "World"], [0, -3], [1, 2]), [b"H", b"rl"]),
    (lambda: S.substr("héllo", 1, 2, unit="UTF8_CHAR"), "él".encode()),
    (lambda: S.substr("abc", 0, -1), b"abc"),
    (lambda: S.regex_replace("abc123", r"([a-z]+)(\d+)", r"\2-\1"), b"123-abc"),
    (lambda: S.regex_replace("abc", "", "-"), b"-a-b-c-"),
    (lambda: S.regex_replace("abbc", "b*", "-"), b"-a-c-"),
    (lambda: S.regex_replace("ab\n", "$", "E"), b"ab\nE"),
    (lambda: S.regex_replace("aéb", r"\pL", "x"), b"xxx"),
    (lambda: S.regex_replace("a, b!", "[[:punct:]]", ""), b"a b"),
    (lambda: S.regex_replace("all", "l", "L", replace_global=False), b"aLl"),
    (lambda: S.regex_full_match(["ab", "abc", "b"], "ab*"), [True, False, False]),
    (lambda: S.to_number(["1.5", "-2", "1e3", " 7 ", "0x10"]), [1.5, -2.0, 1000.0, 7.0, 16.0]),
    (lambda: S.to_number("12345678901", tf.int64), 12345678901),
    (lambda: S.as_string([1.5, 1e10, float("nan")]), [b"1.500000", b"10000000000.000000", b"nan"]),
    (lambda: S.as_string([5, -3], width=4, fill="0"), [b"0005", b"-003"]),
    (lambda: S.as_string([3.14159, 1e20], shortest=True), [b"3.14159", b"1e+20"]),
    (lambda: S.as_string([True, False]), [b"true", b"false"]),
    (lambda: S.as_string(C([[1], [2, 3]])), [[b"1"], [b"2", b"3"]]),
    (lambda: S.format("x: {} y: {}", (tf.constant([1, 2]), tf.constant(1.5))), b"x: [1 2] y: 1.5"),
    (lambda: S.format("{}", tf.reshape(tf.range(12), [4, 3]), summarize=1), b"[[0 ... 2]\n ...\n [9 ... 11]]"),
    (lambda: S.format("{}", tf.constant(["a", "b"])), b'["a" "b"]'),
    (lambda: S.to_hash_bucket(["Hello", "TF", ""], 1000003), [609107, 613300, 598820]),
    (lambda: S.bytes_split([["ab"], ["c"]]), [[[b"a", b"b"]], [[b"c"]]]),
    (lambda: S.unicode_split(["hé", "", "c"], "UTF-8"), [[b"h", "é".encode()], [], [b"c"]]),
    (lambda: S.unicode_decode([b"a\xffb"], "UTF-8"), [[97, 65533, 98]]),
    (lambda: S.unicode_decode([b"a\xffb"], "UTF-8", errors="ignore"), [[97, 98]]),
    (lambda: S.unicode_decode_with_offsets(["éa"], "UTF-8")[1], [[0, 2]]),
    (lambda: S.unicode_encode(C([[104, 233], []]), "UTF-8"), ["hé".encode(), b""]),
    (lambda: S.unicode_encode([104, 233], "UTF-16-BE"), b"\x00h\x00\xe9"),
    (lambda: S.unicode_transcode(["hé"], "UTF-8", "UTF-16-BE"), [b"\x00h\x00\xe9"]),
    (lambda: S.reduce_join([["a", "b"], ["c", "d"]]), b"abcd"),
    (lambda: S.reduce_join([["a", "b"], ["c", "d"]], axis=[0, 1]), b"acbd"),
    (lambda: S.reduce_join(C([["a", "b"], ["c"]]), axis=1, separator=" "), [b"a b", b"c"]),
    (lambda: S.unsorted_segment_join(["a", "b", "c"], [0, 1, 0], 2, separator=":"), [b"a:c", b"b"]),
    (
        lambda: S.ngrams([["a", "b", "c"], ["d", "e", "f"]], (1, 3)),
        [[b"a", b"b", b"c", b"a b c"], [b"d", b"e", b"f", b"d e f"]],
    ),
    (lambda: S.ngrams(["a", "b"], 3, pad_values=("<", ">")), [b"< < a", b"< a b", b"a b >", b"b > >"]),
    (lambda: S.ngrams(["a", "b"], 3, pad_values=("<", ">"), padding_width=1), [b"< a b", b"a b >"]),
    (lambda: S.ngrams(["a", "b"], 3, preserve_short_sequences=True), [b"a b"]),
    (lambda: S.ngrams(C([["a", "b", "c"], ["d"]]), 2), [[b"a b", b"b c"], []]),
    (lambda: tf.fingerprint(["a"]), [[227, 117, 223, 182, 101, 66, 69, 179]]),
    (lambda: tf.ragged.cross([C([["a"], ["b", "c"]]), C([["d"], ["e"]])]), [[b"a_X_d"], [b"b_X_e", b"c_X_e"]]),
    (lambda: tf.ragged.cross_hashed([C([["a"], ["b", "c"]]), C([["d"], ["e"]])], num_buckets=100), [[82], [61, 41]]),
    (
        lambda: tf.sparse.cross_hashed([tf.constant([[1], [2]]), tf.constant([["c"], ["d"]])], 100, 5).values,
        [77, 90],
    ),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_facts(number):
    compute, expected = CASES[number]
    assert listed(compute()) == expected


WRONG = [
    (lambda: S.join([["a", "b"], ["c"]]), tf.errors.InvalidArgumentError, r"Input shapes do not match: \[2\] vs. \[1\]"),
    (lambda: S.length("a", unit="x"), tf.errors.InvalidArgumentError, '"BYTE", "UTF8_CHAR"'),
    (lambda: S.length([1]), TypeError, "Cannot convert 1 to EagerTensor of dtype string"),
    (lambda: S.lower("a", encoding="latin1"), tf.errors.InvalidArgumentError, "only utf-8 or ''"),
    (lambda: S.substr(["Hello"], 9, 2), tf.errors.InvalidArgumentError, "pos 9 out of range for string b'Hello' at index 0"),
    (lambda: S.regex_replace("a", "(", "b"), tf.errors.InvalidArgumentError, r"Invalid pattern: \("),
    (lambda: S.regex_replace("a", "a", r"\1"), tf.errors.InvalidArgumentError, "only has 0 groups"),
    (lambda: S.to_number("x"), tf.errors.InvalidArgumentError, "could not correctly convert string: x"),
    (lambda: S.to_number("99999999999", tf.int32), tf.errors.InvalidArgumentError, "99999999999"),
    (lambda: S.as_string([5], precision=2), tf.errors.InvalidArgumentError, "precision not supported"),
    (lambda: S.format("{} {}", tf.constant(1)), ValueError, "expects 2 tensors, but the inputs only has 1"),
    (lambda: S.to_hash_bucket_fast(["a"], 0), tf.errors.InvalidArgumentError, "at least minimum 1"),
    (lambda: S.to_hash_bucket_strong(["a"], 3, [1]), tf.errors.InvalidArgumentError, "Key must have 2 elements"),
    (lambda: S.unicode_decode([b"\xff"], "UTF-8", errors="strict"), tf.errors.InvalidArgumentError, "Invalid formatting"),
    (lambda: S.reduce_join([["a"]], axis=5), tf.errors.OutOfRangeError, "Invalid reduction dimension 5"),
    (lambda: S.ngrams(["a"], 0), ValueError, "greater than 0"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_what_is_refused(number):
    compute, error, text = WRONG[number]
    with pytest.raises(error, match=text):
        compute()


def test_hashes_are_those_of_tensorflow():
    sizes = [1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 200, 300]
    found = S.to_hash_bucket_fast(["a" * n for n in sizes], 1000003).numpy().tolist()
    assert found == [
        291400, 557646, 689292, 110607, 628338, 177385, 522207, 216284, 686327, 951431,
        20243, 551195, 745537, 177372, 892817, 352575, 169092, 2666, 365703, 362671,
    ]  # fmt: skip
    # The vector of SipHash's reference implementation.
    assert hashing.siphash64(bytes(range(15)), (0x0706050403020100, 0x0F0E0D0C0B0A0908)) == 0xA129CA6149BE45E5
    assert S.to_hash_bucket_strong(["", "a", "aa"], 1000003, [123, 456]).numpy().tolist() == [804547, 12304, 239613]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_characters_survive(words):
    x = tf.constant([word.encode("utf-8", "replace") for word in words])
    points = S.unicode_decode(x, "UTF-8")
    assert points.to_list() == [[ord(c) for c in word.encode("utf-8", "replace").decode()] for word in words]
    assert S.unicode_encode(points, "UTF-8").numpy().tolist() == x.numpy().tolist()
    assert S.reduce_join(S.unicode_split(x, "UTF-8"), axis=1).numpy().tolist() == x.numpy().tolist()
    assert S.length(x, unit="UTF8_CHAR").numpy().tolist() == points.row_lengths().numpy().tolist()


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="ab.-1 ", max_size=12), st.sampled_from(["a+", "[^a]", "b?1", r"\d", "(a|b)-", "."]))
def test_patterns_agree_with_python(text, pattern):
    found = S.regex_replace(text, pattern, "<>").numpy().decode()
    expected, last = [], 0
    for match in re.finditer(pattern, text):
        expected += [text[last : match.start()], "<>"]
        last = match.end()
    assert found == "".join([*expected, text[last:]])
