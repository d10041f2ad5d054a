"""Affine index arithmetic: where an element of a view lies in the buffer behind it, as a function of the loop variables.

An affine form is a pair (constant, terms); terms is a tuple of (variable, coefficient), sorted, without zeros. Variables are small
integers; `sizes[v]` is how many values variable v takes, from 0 up.
"""

import math

ZERO = (0, ())


class NotAffine(Exception):
    """An index cannot be written as an affine form of the loop variables."""


def variable(v):
    """The form that is variable `v` itself."""
    return (0, ((v, 1),))


def constant(n):
    """The form that is a number."""
    return (n, ())


def add(a, b):
    """a + b."""
    if not a[1]:
        return (a[0] + b[0], b[1])
    if not b[1]:
        return (a[0] + b[0], a[1])
    terms = dict(a[1])
    for v, c in b[1]:
        terms[v] = terms.get(v, 0) + c
    return (a[0] + b[0], tuple(sorted([(v, c) for v, c in terms.items() if c])))


def scale(a, n):
    """a * n."""
    if n == 1:
        return a
    return (a[0] * n, tuple([(v, c * n) for v, c in a[1]])) if n else ZERO


def total(index, strides):
    """The sum of index * stride."""
    form = ZERO
    for a, n in zip(index, strides, strict=True):
        form = add(form, scale(a, n))
    return form


def strides_of(dims):
    """The strides, in elements, of a contiguous array."""
    strides, n = [], 1
    for d in reversed(dims):
        strides.append(n)
        n *= d
    return tuple(reversed(strides))


def bounds(a, sizes):
    """The least and the greatest value of a form."""
    low = high = a[0]
    for v, c in a[1]:
        if c > 0:
            high += c * (sizes[v] - 1)
        else:
            low += c * (sizes[v] - 1)
    return low, high


def divide(a, n, sizes):
    """The quotient and the remainder of a form by a positive number, as forms.

    Raises:
        NotAffine: a variable would carry from the remainder into the quotient.
    """
    if n == 1:
        return a, ZERO
    quotient = (a[0] // n, tuple([(v, c // n) for v, c in a[1] if c % n == 0]))
    remainder = (a[0] % n, tuple([(v, c) for v, c in a[1] if c % n]))
    low, high = bounds(remainder, sizes)
    if low < 0 or high >= n:
        raise NotAffine
    return quotient, remainder


def rename(a, names):
    """A form with variable v renamed to names[v]; where that is None its term is dropped."""
    return (a[0], tuple(sorted([(names[v], c) for v, c in a[1] if names[v] is not None])))


def coefficient(a, v):
    """What `v` is multiplied by."""
    for w, c in a[1]:
        if w == v:
            return c
    return 0


def reshaped(index, dims, old, sizes):
    """The index into an array of shape `old`, reshaped to `dims`, that belongs to an index into the result.

    Runs of axes with equal products are treated apart, so that untouched axes keep any index.
    """
    result = []
    i = j = 0
    while i < len(old) or j < len(dims):
        i0, j0 = i, j
        left = old[i] if i < len(old) else 1
        right = dims[j] if j < len(dims) else 1
        i, j = min(i + 1, len(old)), min(j + 1, len(dims))
        while left != right:
            if (left < right and i < len(old)) or j >= len(dims):
                left *= old[i]
                i += 1
            else:
                right *= dims[j]
                j += 1
        result += _run(index[j0:j], dims[j0:j], old[i0:i], sizes)
    return tuple(result)


def _run(index, dims, old, sizes):
    kept = [a for a, n in zip(index, dims, strict=True) if n != 1]
    wanted = [n for n in old if n != 1]
    if [n for n in dims if n != 1] == wanted:
        rest = iter(kept)
        return [ZERO if n == 1 else next(rest) for n in old]
    flat = total(index, strides_of(dims))
    found = []
    for n in reversed(old[1:]):
        flat, remainder = divide(flat, n, sizes)
        found.append(remainder)
    return [flat, *reversed(found)]


def size(dims):
    """The number of elements."""
    return math.prod(dims)


__all__ = [
    "NotAffine",
    "ZERO",
    "add",
    "bounds",
    "coefficient",
    "constant",
    "divide",
    "rename",
    "reshaped",
    "scale",
    "size",
    "strides_of",
    "total",
    "variable",
]
