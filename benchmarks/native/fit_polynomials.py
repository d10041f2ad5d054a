"""Compute the tables of `tapeflow/compile/polynomials.py` again: `pip install mpmath; python benchmarks/native/fit_polynomials.py`.

Each polynomial is the minimax one in the measure that its function's algorithm needs, by the Remez exchange in 50 digits,
its coefficients rounded to the format. The error is printed as a power of two, before and after rounding.
"""

import struct

import mpmath as mp

mp.mp.dps = 50
TINY = mp.mpf(10) ** -12
HALF_LN2 = mp.log(2) / 2 * mp.mpf("1.005")


def remez(function, weight, low, high, degree, turns=12):
    """Coefficients, ascending, of the polynomial with the least greatest weighted error, and that error."""
    terms = degree + 1
    low, high = mp.mpf(low), mp.mpf(high)

    def spread(count, shift):
        return [low + (high - low) * (1 - mp.cos(mp.pi * (i + shift) / count)) / 2 for i in range(count + (not shift))]

    nodes = spread(terms + 1, mp.mpf(1) / 2)
    grid = spread(24 * terms, 0)
    values, weights = [function(x) for x in grid], [weight(x) for x in grid]
    for _ in range(turns):
        matrix, right = mp.matrix(terms + 1, terms + 1), mp.matrix(terms + 1, 1)
        for row, x in enumerate(nodes):
            for power in range(terms):
                matrix[row, power] = weight(x) * x**power
            matrix[row, terms] = (-1) ** row
            right[row] = weight(x) * function(x)
        solution = mp.lu_solve(matrix, right)
        coefficients = [solution[i] for i in range(terms)]
        errors = [w * (mp.polyval(coefficients[::-1], x) - v) for x, v, w in zip(grid, values, weights, strict=True)]
        extrema = _extrema(errors)
        if len(extrema) <= terms:
            break
        while len(extrema) > terms + 1:  # the ends with the lesser errors go
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        nodes = [grid[i] for i in extrema]
    return coefficients, max(abs(e) for e in errors)


def _extrema(errors):
    """Where the error is greatest between changes of its sign."""
    found = [0]
    for i, error in enumerate(errors):
        if mp.sign(error) != mp.sign(errors[found[-1]]) and error != 0:
            found.append(i)
        elif abs(error) > abs(errors[found[-1]]):
            found[-1] = i
    return found


def rounded(x, name):
    """A coefficient in the format."""
    return struct.unpack("f", struct.pack("f", float(x)))[0] if name == "F32" else float(x)


def fit(title, name, function, weight, low, high, degree):
    """Fit, round, measure and print one row."""
    exact, ideal = remez(function, weight, low, high, degree)
    row = [rounded(c, name) for c in exact]
    places = [mp.mpf(low) + (mp.mpf(high) - low) * i / 3000 for i in range(3001)]
    error = max(abs(weight(x) * (mp.polyval([mp.mpf(c) for c in row[::-1]], x) - function(x))) for x in places if x != 0)
    print(
        f"{title} {name}, degree {degree}: 2**{float(mp.log(ideal, 2)):.1f}, rounded 2**{float(mp.log(error, 2)):.1f}\n    {row}"
    )
    return exact


def near_zero(function, limit):
    """A function whose formula cancels at 0, with its series there."""
    return lambda x: limit(x) if abs(x) < TINY else function(x)


def by_root(function, limit):
    """A function of x, given as one of its square."""
    return near_zero(lambda z: function(mp.sqrt(z)), limit)


EXP = near_zero(lambda r: (mp.expm1(r) - r) / r**2, lambda r: mp.mpf(1) / 2 + r / 6)
LOG = near_zero(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, lambda f: mp.mpf(1) / 3 - f / 4)
SIN = by_root(lambda x: (mp.sin(x) / x - 1) / x**2, lambda z: -mp.mpf(1) / 6 + z / 120)
COS = by_root(lambda x: (mp.cos(x) - 1 + x * x / 2) / x**4, lambda z: mp.mpf(1) / 24 - z / 720)
ATAN = by_root(lambda x: (mp.atan(x) / x - 1) / x**2, lambda z: -mp.mpf(1) / 3 + z / 5)
ASIN = by_root(lambda x: (mp.asin(x) / x - 1) / x**2, lambda z: mp.mpf(1) / 6 + z * 3 / 40)
ERF = by_root(lambda x: mp.erf(x) / x - 1, lambda z: 2 / mp.sqrt(mp.pi) * (1 - z / 3) - 1)
POW_LOG = by_root(lambda s: (2 * mp.atanh(s) - 2 * s - 2 * s**3 / 3) / s**5, lambda z: mp.mpf(2) / 5 + z * 2 / 7)
EPSILON = mp.mpf(10) ** -6


def erfc_of(t, centre=3):
    x = centre * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def main():
    root = mp.sqrt(2)
    fraction = (1 / root - 1) * mp.mpf("1.001"), (root - 1) * mp.mpf("1.001")
    octant, lean = (mp.pi / 4 * mp.mpf("1.001")) ** 2, (mp.mpf(7) / 16 * mp.mpf("1.001")) ** 2
    for name, exp, log, sin, cos, atan, erf in (("F32", 5, 8, 2, 2, 4, 6), ("F64", 10, 18, 5, 5, 10, 11)):
        fit("EXP", name, EXP, lambda r: abs(r) + EPSILON, -HALF_LN2, HALF_LN2, exp)
        fit("LOG", name, LOG, lambda f: f * f + EPSILON, *fraction, log)
        fit("SIN", name, SIN, lambda z: z + EPSILON / 100, 0, octant, sin)
        fit("COS", name, COS, lambda z: z * z + EPSILON / 100, 0, octant, cos)
        fit("ATAN", name, ATAN, lambda z: z + EPSILON / 100, 0, lean, atan)
        fit("ERF", name, ERF, lambda z: mp.mpf(1), 0, mp.mpf("1.002"), erf)
    fit("ASIN", "F64", ASIN, lambda z: z + EPSILON / 100, 0, mp.mpf("0.2505"), 11)
    fit("EXP_NEAR", "F32", EXP, lambda r: r * r + EPSILON, -HALF_LN2 / 32, HALF_LN2 / 32, 1)
    fit("EXP_SHORT", "F64", EXP, lambda r: r * r + EPSILON, -HALF_LN2, HALF_LN2, 5)
    fit("LOG_SHORT", "F64", LOG, lambda f: f * f + EPSILON, *fraction, 12)
    fit("POW_LOG", "F64", POW_LOG, lambda z: 1 / POW_LOG(z), 0, mp.mpf("0.02945"), 7)
    fit("ERF_TAIL", "F32", lambda a: -mp.log(mp.erfc(a)), lambda a: mp.erfc(a) / mp.erf(a), mp.mpf("0.99"), 4, 6)
    low = mp.mpf("0.495")
    ends = (low - 3) / (low + 3), mp.mpf(25) / 31
    constant = fit("ERFC", "F64", erfc_of, lambda t: 1 / erfc_of(t), *ends, 22)[0]
    print(f"    ERFC_CONSTANT ({float(constant)}, {float(constant - mp.mpf(float(constant)))})")


if __name__ == "__main__":
    main()
