"""Code points of encoded strings and back, with TensorFlow's treatment of what is malformed."""

import codecs
import unicodedata

from tapeflow.base.errors import invalid


def decoded(value, encoding, errors, replacement, controls, op):
    """(the code points of bytes, at which byte each begins).

    Args:
        errors: "strict", "replace" (what is malformed by `replacement`) or "ignore".
        controls: whether control characters are replaced too.

    Raises:
        InvalidArgumentError: malformed bytes where `errors` is "strict", or an unknown encoding.
    """
    codec = lookup(encoding, op)
    points, offsets, start = [], [], 0
    while start < len(value):
        try:
            text, fault = codec.decode(value[start:], "strict")[0], None
        except UnicodeDecodeError as error:
            fault = (start + error.start, start + error.end)
            text = codec.decode(value[start : fault[0]], "strict")[0]
        for c in text:
            points.append(ord(c))
            offsets.append(start)
            start += len(codec.encode(c, "surrogatepass")[0]) if ord(c) > 127 or codec.name != "utf-8" else 1
        if fault is None:
            break
        if errors == "strict":
            raise invalid(op, "Invalid formatting on input string")
        if errors == "replace":
            points.append(replacement)
            offsets.append(fault[0])
        start = fault[1]
    if controls:
        points = [replacement if unicodedata.category(chr(p)) == "Cc" and p not in (9, 10, 13) else p for p in points]
    return points, offsets


def encoded(points, encoding, errors, replacement, op):
    """The bytes of code points.

    Raises:
        InvalidArgumentError: a number that is no code point where `errors` is "strict", or an unknown encoding.
    """
    codec = lookup(encoding, op)
    found = []
    for point in points:
        if not 0 <= point <= 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            if errors == "strict":
                raise invalid(op, f"Code point is out of range for Unicode, or a noncharacter: {point}")
            if errors == "ignore":
                continue
            point = replacement
        found.append(chr(point))
    return codec.encode("".join(found), "strict")[0]


def lookup(encoding, op):
    """Python's codec of a name that TensorFlow takes."""
    try:
        return codecs.lookup(encoding)
    except LookupError:
        raise invalid(op, f"Could not create converter for input encoding: {encoding}") from None
