"""Compute `compile/piecewise.py` again: `pip install mpmath numpy; python benchmarks/native/fit_piecewise.py > FILE`.

The positive half of a float32 odd function that ends at 1 is cut into 32 intervals, so many to an octave of x + `offset`: they are
of one width near 0, and wider where the function ends. On each it is a polynomial about a point at which its value is very nearly a
float32, so that the constant term costs no accuracy; on the first one, about 0, what it has more than x is one. Beyond the end the
polynomial is the number 1.
"""

import itertools

import mpmath as mp
import numpy as np

mp.mp.dps = 30
WIDTH = 8  # numbers in a line
INTERVALS, DEGREE = 32, 4

HEADER = '''"""Tables of functions that are a polynomial on each of 32 intervals.

`benchmarks/native/fit_piecewise.py` computes them again.
"""

from typing import NamedTuple


class Table(NamedTuple):
    """An odd float32 function that ends at 1: on interval i it is the polynomial of x - centres[i], on the first one x more.

    Attributes:
        first: the end of the first interval.
        offset: interval i begins at the number whose bits are those of `offset` and i more, counted from bit `shift` on, less it.
        shift: how many bits of x + offset do not matter.
        end: from here on the function rounds to 1.
        centres: a point of each interval.
        coefficients: of each power, ascending, one for each interval.
    """

    first: float
    offset: float
    shift: int
    end: float
    centres: tuple
    coefficients: tuple


'''


def edges(offset, shift, end):
    """The starts of the intervals, and the end of the last."""
    start = int(np.float32(offset).view(np.int32)) >> shift
    found = [0.0]
    while found[-1] < end:
        found.append(float(np.int32(start + len(found) << shift).view(np.float32)) - offset)
    return [*found[:-1], end]


def centre_of(function, low, high):
    """A float32 in the middle half where the function's value is closest to a float32."""
    points = [np.float32(low + (high - low) * (0.25 + i / 1200)) for i in range(600)]
    miss = lambda x: abs(function(mp.mpf(float(x))) / mp.mpf(float(np.float32(float(function(mp.mpf(float(x))))))) - 1)  # noqa: E731
    return float(min(points, key=miss))


def polynomial(function, low, high, centre):
    """Coefficients, ascending, of the function about a point."""
    value, slope = function(mp.mpf(centre)), mp.diff(function, centre)
    rate = lambda y: (function(centre + y) - value) / y if y else slope  # noqa: E731
    rest = mp.chebyfit(rate, [mp.mpf(low) - centre, mp.mpf(high) - centre], DEGREE)
    return [float(np.float32(float(c))) for c in (value, *rest[::-1])]


def fit(name, function, offset, shift, end):
    cuts = edges(offset, shift, end)
    count = len(cuts) - 1
    assert count <= INTERVALS
    rows = []
    for low, high in itertools.pairwise(cuts):
        centre = centre_of(function, low, high) if low else 0.0
        rows.append((centre, *polynomial(function if low else lambda x: function(x) - x, low, high, centre)))
    rows += [(float(end), 1.0, *[0.0] * DEGREE)] * (INTERVALS - count)
    columns = list(zip(*rows, strict=True))
    print(f"{name} = Table(\n    {cuts[1]}, {offset}, {shift}, {end!r},")
    for i, column in enumerate(columns):
        numbers = [f"{np.float32(c)!s}" for c in column]
        lines = [", ".join(numbers[at : at + WIDTH]) for at in range(0, INTERVALS, WIDTH)]
        opening = "    (" if i != 1 else "    (\n        ("
        indent = "     " if i == 0 else "         "
        print((opening if i < 2 else "        (") + (",\n" + indent).join(lines) + "),")
    print("    ),\n)  # fmt: skip")


def main():
    print(HEADER, end="")
    fit("TANH", mp.tanh, 0.625, 20, 9.125)
    fit("ERF", mp.erf, 1.5, 19, 4.0)


if __name__ == "__main__":
    main()
