"""RE2's regular expressions, which TensorFlow takes, as Python's: on text, with ASCII classes, leftmost first."""

import functools
import re
import sys
import unicodedata
import warnings

from tapeflow.base.errors import invalid

POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7F",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1F\\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}


def text_of(value):
    """Bytes as text in which any byte survives."""
    return value.decode("utf-8", "surrogateescape")


def bytes_of(text):
    """The bytes of such text."""
    return text.encode("utf-8", "surrogateescape")


@functools.lru_cache(256)
def compiled(op, pattern):
    """The compiled pattern; `pattern` is bytes.

    Raises:
        InvalidArgumentError: it is no regular expression.
    """
    text = text_of(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # RE2 has no nested sets either
            return re.compile(_translated(text), re.ASCII)
    except (re.error, LookupError, OverflowError) as error:
        raise invalid(op, f"Invalid pattern: {text}, error: {error}") from None


def _translated(text):
    """The pattern in Python's syntax."""
    out, at, inside = [], 0, False
    multiline = text.startswith("(?m") or text.startswith("(?sm") or text.startswith("(?im")
    while at < len(text):
        c = text[at]
        if c == "\\" and at + 1 < len(text):
            piece, at = _escape(text, at, inside)
            out.append(piece)
            continue
        if inside and text.startswith("[:", at) and ":]" in text[at:]:
            end = text.index(":]", at)
            name = text[at + 2 : end]
            if name.startswith("^"):
                raise LookupError(f"the negated class [:{name}:] is not supported")
            out.append(POSIX[name] if name in POSIX else _unknown(name))
            at = end + 2
            continue
        if c == "[" and not inside:
            inside = True
            out.append(c)
            at += 1
            for first in ("^", "]"):  # a bracket that comes first stands for itself
                if text.startswith(first, at):
                    out.append("\\]" if first == "]" else first)
                    at += 1
            continue
        if c == "]" and inside:
            inside = False
        elif c == "[" and inside:
            c = "\\["
        elif c == "$" and not inside and not multiline:
            c = "\\Z"  # Python's $ also matches before a last newline
        out.append(c)
        at += 1
    return "".join(out)


def _unknown(name):
    raise LookupError(f"invalid character class [:{name}:]")


def _escape(text, at, inside):
    """The escape that stands at `at` in Python's syntax, and where it ends."""
    c = text[at + 1]
    if c in "pP":
        if text.startswith("{", at + 2):
            end = text.index("}", at) + 1
            name = text[at + 3 : end - 1]
        else:
            end, name = at + 3, text[at + 2 : at + 3]
        negated = (c == "P") != name.startswith("^")
        chars = _category(name.lstrip("^"))
        if inside and negated:
            raise LookupError(f"\\P{{{name}}} within a class is not supported")
        return (chars if inside else f"[{'^' if negated else ''}{chars}]"), end
    if c == "z":
        return "\\Z", at + 2
    if c == "Q":
        end = text.find("\\E", at)
        end = len(text) if end < 0 else end
        return re.escape(text[at + 2 : end]), end + 2
    if c == "x" and text.startswith("{", at + 2):
        end = text.index("}", at)
        return re.escape(chr(int(text[at + 3 : end], 16))), end + 1
    if c == "C":
        return "(?s:.)", at + 2
    return text[at : at + 2], at + 2


@functools.lru_cache(64)
def _category(name):
    """The characters of a Unicode general category, as ranges of a class."""
    if not name or name[0] not in "CLMNPSZ" or len(name) > 2:
        raise LookupError(f"invalid or unsupported character class \\p{{{name}}}: only general categories are known")
    ranges, start = [], None
    for code in range(sys.maxunicode + 2):
        hit = code <= sys.maxunicode and unicodedata.category(chr(code)).startswith(name)
        if hit and start is None:
            start = code
        elif not hit and start is not None:
            ranges.append(f"\\U{start:08x}" + (f"-\\U{code - 1:08x}" if code - 1 > start else ""))
            start = None
    return "".join(ranges)


def replaced(pattern, rewrite, value, everywhere):
    """`value`, text, with the matches of a compiled pattern (all, or the first) rewritten; \\0 to \\9 stand for groups."""
    parts, end, last = [], 0, -1
    for match in pattern.finditer(value):
        if match.start() == match.end() == last:
            continue  # RE2 takes no empty match right behind another
        parts += [value[end : match.start()], _rewritten(rewrite, match)]
        end = last = match.end()
        if not everywhere:
            break
    return "".join([*parts, value[end:]])


def _rewritten(rewrite, match):
    if "\\" not in rewrite:
        return rewrite
    return re.sub(r"\\(\d|\\)", lambda m: "\\" if m[1] == "\\" else match[int(m[1])] or "", rewrite)


def check_rewrite(op, pattern, rewrite):
    """Raise where a rewrite names a group that the pattern does not have."""
    for found in re.finditer(r"\\(.?)", rewrite, re.DOTALL):
        name = found[1]
        if not (name.isdigit() or name == "\\"):
            raise invalid(op, f"Rewrite schema error: '\\' must be followed by a digit or '\\': {rewrite}")
        if name.isdigit() and int(name) > pattern.groups:
            raise invalid(
                op, f"Rewrite schema {rewrite} requests {name} matches, but the regexp only has {pattern.groups} groups"
            )
