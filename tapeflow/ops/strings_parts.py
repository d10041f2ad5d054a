"""Ops that take strings apart and put them together: parts, words, characters, joins, n-grams, text, crosses of features."""

import itertools

import numpy as np

from tapeflow.base.dtypes import int32, int64, string
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import broadcast_specs
from tapeflow.ops.movement import listed
from tapeflow.ops.strings import WORDS, filled

# Parts of strings


def _substr_kernel(x, pos, length, *, unit):
    shape = np.broadcast_shapes(np.shape(x), np.shape(pos), np.shape(length))
    rows = [np.broadcast_to(part, shape).ravel().tolist() for part in (x, pos, length)]
    return filled([_part(s, start, n, unit, i) for i, (s, start, n) in enumerate(zip(*rows, strict=True))], shape, string)


def _part(s, start, n, unit, at):
    whole = s if unit == "BYTE" else s.decode("utf-8", "surrogateescape")
    if not -len(whole) <= start <= len(whole):
        raise invalid("Substr", f"pos {start} out of range for string b'{s.decode(errors='replace')}' at index {at}")
    start = start + len(whole) if start < 0 else start
    part = whole[start:] if n < 0 else whole[start : start + n]
    return part if unit == "BYTE" else part.encode("utf-8", "surrogateescape")


def _substr_infer(x, pos, length, *, unit):
    if pos.dtype is not length.dtype:
        raise invalid("Substr", f"pos is {pos.dtype.name} and len {length.dtype.name}: they must have one dtype")
    return Spec(broadcast_specs("Substr", (x, pos, length)), string)


substr = Primitive(
    "substr",
    _substr_kernel,
    _substr_infer,
    accepts={string},
    uniform=False,
    parameters=("x", "pos", "length"),
    samples=lambda: [((WORDS[[0, 2]], np.int32(1), np.int32(3)), {"unit": "BYTE"})],
)


def _exploded(function):
    """The kernel that gives all parts of all strings, one behind the other, and where those of each string begin."""

    def kernel(x, **attrs):
        rows = [function(item, **attrs) for item in x.tolist()]
        splits = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(row) for row in rows], dtype=np.int64)])
        return splits, filled([part for row in rows for part in row], (-1,), string)

    return kernel


def _parts_infer(x, **attrs):
    if x.shape is not None and len(x.shape) != 1:
        raise invalid("StringSplit", f"a vector of strings is split, not the shape {listed(x.shape)}")
    return Spec((None if x.shape is None or x.shape[0] is None else x.shape[0] + 1,), int64), Spec((None,), string)


def _split(s, *, sep, maxsplit):
    return s.split(sep or None, maxsplit)


string_split = Primitive(
    "string_split",
    _exploded(_split),
    _parts_infer,
    accepts={string},
    multiple=True,
    parameters=("x",),
    samples=lambda: [((WORDS,), {"sep": b"", "maxsplit": -1}), ((WORDS,), {"sep": b"l", "maxsplit": 1})],
)
bytes_split = Primitive(
    "bytes_split",
    _exploded(lambda s: [s[i : i + 1] for i in range(len(s))]),
    _parts_infer,
    accepts={string},
    multiple=True,
    parameters=("x",),
    samples=lambda: [((WORDS,), {})],
)


def _decode_kernel(x, *, encoding, errors, replacement, controls):
    from tapeflow.ops import characters

    rows = [characters.decoded(item, encoding, errors, replacement, controls, "UnicodeDecode") for item in x.tolist()]
    splits = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(points) for points, _ in rows], dtype=np.int64)])
    return (
        splits,
        np.array([point for points, _ in rows for point in points], np.int32),
        np.array([offset for _, offsets in rows for offset in offsets], np.int64),
    )


# unicode_decode(strings): row splits, the code points of all strings, and at which byte each begins
unicode_decode = Primitive(
    "unicode_decode",
    _decode_kernel,
    lambda x, **attrs: (_parts_infer(x)[0], Spec((None,), int32), Spec((None,), int64)),
    accepts={string},
    multiple=True,
    parameters=("x",),
    samples=lambda: [((WORDS,), {"encoding": "UTF-8", "errors": "replace", "replacement": 65533, "controls": False})],
)


def _encode_kernel(points, splits, *, encoding, errors, replacement):
    from tapeflow.ops import characters

    flat, ends = points.tolist(), splits.tolist()
    rows = [flat[a:b] for a, b in itertools.pairwise(ends)]
    return filled([characters.encoded(row, encoding, errors, replacement, "UnicodeEncode") for row in rows], (-1,), string)


# unicode_encode(code points, row splits): a string of each row
unicode_encode = Primitive(
    "unicode_encode",
    _encode_kernel,
    lambda points, splits, **attrs: Spec(
        (None if splits.shape is None or splits.shape[0] is None else splits.shape[0] - 1,), string
    ),
    accepts={int32},
    uniform=False,
    parameters=("points", "splits"),
    samples=lambda: [
        (
            (np.array([104, 233], np.int32), np.array([0, 2, 2])),
            {"encoding": "UTF-8", "errors": "replace", "replacement": 65533},
        )
    ],
)


# Joining


def _join_kernel(*inputs, separator):
    shape = next((np.shape(x) for x in inputs if np.ndim(x)), ())
    for x in inputs:
        if np.ndim(x) and np.shape(x) != shape:
            raise ValueError(shape)
    rows = [np.broadcast_to(x, shape).ravel().tolist() for x in inputs]
    return filled([separator.join(parts) for parts in zip(*rows, strict=True)], shape, string)


def _join_infer(*specs, separator):
    shapes = [spec.shape for spec in specs if spec.shape != ()]
    for dims in shapes[1:]:
        if None not in (dims, shapes[0]) and (
            len(dims) != len(shapes[0]) or any(None not in (n, m) and n != m for n, m in zip(dims, shapes[0], strict=True))
        ):
            raise invalid("StringJoin", f"Input shapes do not match: {listed(shapes[0])} vs. {listed(dims)}")
    return Spec(shapes[0] if shapes else (), string)


string_join = Primitive(
    "string_join", _join_kernel, _join_infer, accepts={string}, samples=lambda: [((WORDS, WORDS), {"separator": b"-"})]
)


def _reduce_join_kernel(x, *, axis, keepdims, separator):
    moved = np.moveaxis(x, axis, -1)
    outer = moved.shape[:-1]
    rows = moved.reshape((-1, moved.shape[-1])).tolist() if x.size else [[]] * int(np.prod(outer))
    result = filled([separator.join(row) for row in rows], outer, string)
    return np.expand_dims(result, axis) if keepdims else result


def _reduce_join_infer(x, *, axis, keepdims, separator):
    if x.shape is None:
        return Spec(None, string)
    axis %= len(x.shape)
    return Spec(x.shape[:axis] + (1,) * keepdims + x.shape[axis + 1 :], string)


string_reduce_join = Primitive(
    "string_reduce_join",
    _reduce_join_kernel,
    _reduce_join_infer,
    accepts={string},
    samples=lambda: [
        ((np.array([[b"a", b"b", b"c"], [b"d", b"", b"e"]], object),), {"axis": 0, "keepdims": False, "separator": b"+"})
    ],
)


def _segment_join_kernel(x, ids, *, num, separator):
    if ids.shape != x.shape[: ids.ndim]:
        raise ValueError(ids.shape)
    rows = x.reshape((ids.size, -1)) if ids.size else x.reshape((0, int(np.prod(x.shape[ids.ndim :]))))
    groups = [[[] for _ in range(rows.shape[1])] for _ in range(num)]
    for row, i in zip(rows.tolist(), ids.ravel().tolist(), strict=True):
        if i >= num:
            raise invalid("UnsortedSegmentJoin", f"segment_ids = {i} is out of range [0, {num})")
        if i >= 0:
            for place, item in zip(groups[i], row, strict=True):
                place.append(item)
    items = [separator.join(place) for group in groups for place in group]
    return filled(items, (num, *x.shape[ids.ndim :]), string)


string_segment_join = Primitive(
    "string_segment_join",
    _segment_join_kernel,
    lambda x, ids, *, num, separator: Spec(
        None if x.shape is None or ids.shape is None else (*known_dims((num,)), *x.shape[len(ids.shape) :]), string
    ),
    accepts={string},
    uniform=False,
    samples=lambda: [((WORDS, np.array([1, 0, 1])), {"num": 2, "separator": b":"})],
)


def _ngrams_kernel(x, splits, *, widths, separator, left, right, pad, keep_short):
    flat, ends = x.tolist(), splits.tolist()
    rows = []
    for start, end in itertools.pairwise(ends):
        row = flat[start:end]
        grams = []
        for width in widths:
            side = width - 1 if pad < 0 else min(pad, width - 1)
            padded = [left] * side + row + [right] * side
            grams += [separator.join(padded[i : i + width]) for i in range(len(padded) - width + 1)]
        if keep_short and not grams and row:
            side = max(pad, 0)
            grams = [separator.join([left] * side + row + [right] * side)]
        rows.append(grams)
    counts = np.cumsum([len(row) for row in rows], dtype=np.int64)
    return np.concatenate([np.zeros(1, np.int64), counts]), filled([gram for row in rows for gram in row], (-1,), string)


# ngrams(strings, row splits): row splits and the n-grams of each row
ngrams = Primitive(
    "ngrams",
    _ngrams_kernel,
    lambda x, splits, **attrs: (Spec(splits.shape, int64), Spec((None,), string)),
    accepts={string},
    uniform=False,
    multiple=True,
    parameters=("x", "splits"),
    samples=lambda: [
        (
            (WORDS, np.array([0, 2, 3])),
            {"widths": (2,), "separator": b" ", "left": b"<", "right": b">", "pad": -1, "keep_short": False},
        )
    ],
)


# Text of tensors


def _format_kernel(*values, template, placeholder, summarize):
    parts = template.split(placeholder)
    texts = [shown(value, summarize) for value in values]
    return filled([b"".join([parts[0], *[t + p for t, p in zip(texts, parts[1:], strict=True)]])], (), string)


def shown(value, summarize):
    """A value in one text: the first and last elements along each axis."""
    return _shown(np.asarray(value), summarize, 0).encode("utf-8", "surrogateescape")


def _shown(x, summarize, depth):
    if not isinstance(x, np.ndarray):
        return _element(x)
    if not x.ndim:
        return _element(x[()])
    count = len(x)
    if summarize < 0 or count <= 2 * summarize:
        items = [_shown(row, summarize, depth + 1) for row in x]
    else:
        first = [_shown(row, summarize, depth + 1) for row in x[:summarize]]
        items = [*first, "...", *[_shown(row, summarize, depth + 1) for row in x[count - summarize :]]]
    gap = " " if x.ndim == 1 else "\n" * (x.ndim - 1) + " " * (depth + 1)
    return f"[{gap.join(items)}]"


def _element(item):
    if isinstance(item, bytes):
        return '"' + item.decode("utf-8", "surrogateescape") + '"'
    if isinstance(item, (bool, np.bool_)):
        return str(int(item))
    if np.issubdtype(type(item), np.floating):
        short = f"{float(item):.6g}"
        return short if type(item)(short) == item or item != item else f"{float(item):.{9 if item.itemsize == 4 else 17}g}"
    return str(item)


string_format = Primitive(
    "string_format",
    _format_kernel,
    lambda *specs, template, placeholder, summarize: Spec((), string),
    uniform=False,
    samples=lambda: [((np.arange(10), np.float32(1.5)), {"template": b"{} and {}", "placeholder": b"{}", "summarize": 3})],
)


# Crossing


def _cross_kernel(*columns, num_buckets, hash_key, separator):
    """The hash, or the joined text, of the features that stand side by side in `columns`, vectors of one length."""
    from tapeflow.ops.hashing import fingerprint64, joined_fingerprint

    rows = zip(*[column.tolist() for column in columns], strict=True)
    if separator is not None:
        return filled(
            [separator.join([x if isinstance(x, bytes) else str(x).encode() for x in row]) for row in rows], (-1,), string
        )
    found = []
    for row in rows:
        value = hash_key
        for x in row:
            value = joined_fingerprint(value, fingerprint64(x) if isinstance(x, bytes) else x & (2**64 - 1))
        found.append(value % (num_buckets or 2**63 - 1))
    return np.array(found, np.int64)


feature_cross = Primitive(
    "feature_cross",
    _cross_kernel,
    lambda *columns, num_buckets, hash_key, separator: Spec(
        (columns[0].shape[0] if columns[0].shape else None,), string if separator is not None else int64
    ),
    uniform=False,
    samples=lambda: [
        ((WORDS, np.arange(3)), {"num_buckets": 100, "hash_key": 5, "separator": None}),
        ((WORDS, WORDS), {"num_buckets": 0, "hash_key": 0, "separator": b"_X_"}),
    ],
)


def _fingerprint_kernel(x):
    from tapeflow.ops.hashing import fingerprint64

    if x.dtype == object:
        rows = [
            b"".join([fingerprint64(item).to_bytes(8, "little") for item in np.ravel(row)]) if np.ndim(row) else row
            for row in x
        ]
    else:
        rows = [np.ascontiguousarray(row).tobytes() for row in x]
    return np.array([list(fingerprint64(row).to_bytes(8, "little")) for row in rows], np.uint8).reshape((len(x), 8))


def _fingerprint_infer(x):
    from tapeflow.base.dtypes import uint8

    if x.shape == ():
        raise invalid("Fingerprint", "`data` should have at least one dimension")
    return Spec((None if x.shape is None else x.shape[0], 8), uint8)


fingerprint = Primitive(
    "fingerprint",
    _fingerprint_kernel,
    _fingerprint_infer,
    samples=lambda: [((WORDS,), {}), ((np.arange(6).reshape(2, 3),), {})],
)
