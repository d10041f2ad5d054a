"""The logarithm, sine and cosine of the C library, so that normal samples come out with TensorFlow's own bits.

TensorFlow's kernels call `logf` and `sincosf`. glibc computes them in double precision with short polynomials
(ARM optimized routines, since glibc 2.27), and rounds once; so does this module, in NumPy. All 2**23 inputs that
a uniform float32 sample can feed to either were compared with glibc 2.36: every result has the same bits.
In double precision NumPy's `sin` and `cos` are the C library's. Its `log` is not, where the processor has wide vectors:
the C library's is called through `math`.
"""

import math

import numpy as np

_hex = float.fromhex

# logf: x = 2**k * z with z in [OFFSET, 2 * OFFSET); the interval is cut in 16, each with a centre c near 1:
# log(x) = k * log(2) + log(c) + log1p(z / c - 1). Rows: 1 / c, log(c).
_LOG_TABLE = """
    0x1.661ec79f8f3bep+0 -0x1.57bf7808caadep-2   0x1.571ed4aaf883dp+0 -0x1.2bef0a7c06ddbp-2
    0x1.49539f0f010bp+0  -0x1.01eae7f513a67p-2   0x1.3c995b0b80385p+0 -0x1.b31d8a68224e9p-3
    0x1.30d190c8864a5p+0 -0x1.6574f0ac07758p-3   0x1.25e227b0b8eap+0  -0x1.1aa2bc79c81p-3
    0x1.1bb4a4a1a343fp+0 -0x1.a4e76ce8c0e5ep-4   0x1.12358f08ae5bap+0 -0x1.1973c5a611cccp-4
    0x1.0953f419900a7p+0 -0x1.252f438e10c1ep-5   0x1p+0                0x0p+0
    0x1.e608cfd9a47acp-1  0x1.aa5aa5df25984p-5   0x1.ca4b31f026aap-1   0x1.c5e53aa362eb4p-4
    0x1.b2036576afce6p-1  0x1.526e57720db08p-3   0x1.9c2d163a1aa2dp-1  0x1.bc2860d22477p-3
    0x1.886e6037841edp-1  0x1.1058bc8a07ee1p-2   0x1.767dcf5534862p-1  0x1.4043057b6ee09p-2"""
INVERSE_CENTRE, LOG_CENTRE = np.array([_hex(word) for word in _LOG_TABLE.split()]).reshape(16, 2).T.copy()
LOG_POLY = _hex("-0x1.00ea348b88334p-2"), _hex("0x1.5575b0be00b6ap-2"), _hex("-0x1.ffffef20a4123p-2")
LOG_OFFSET = np.uint32(0x3F330000)
_EXPONENT = np.uint32(0xFF800000)

# sincosf on [-pi/4, pi/4]: sin = x + S1 x^3 + S2 x^5 + S3 x^7, cos = 1 + C1 x^2 + C2 x^4 + C3 x^6 + C4 x^8.
S1, S2, S3 = map(_hex, ("-0x1.555545995a603p-3", "0x1.1107605230bc4p-7", "-0x1.994eb3774cf24p-13"))
C1, C2 = map(_hex, ("-0x1.ffffffd0c621cp-2", "0x1.55553e1068f19p-5"))
C3, C4 = map(_hex, ("-0x1.6c087e89a359dp-10", "0x1.99343027bf8c3p-16"))
HALF_PI = math.pi / 2
QUADRANTS = _hex("0x1.45F306DC9C883p+23")  # 2 / pi, scaled by 2**24
_SIN_SIGN = np.array([1.0, -1.0, -1.0, 1.0])
_COS_SIGN = np.array([1.0, 1.0, -1.0, -1.0])


def logf(x):
    """The natural logarithm of positive, normal, finite float32 numbers [n], rounded as glibc's `logf` rounds."""
    bits = x.view(np.uint32)
    above = bits - LOG_OFFSET
    k = above.view(np.int32) >> 23
    row = (above >> np.uint32(19)) & np.uint32(15)
    above &= _EXPONENT
    z = (bits - above).view(np.float32)
    r = np.multiply(z, INVERSE_CENTRE[row], dtype=np.float64)
    r -= 1.0
    y0 = k * math.log(2.0)
    y0 += LOG_CENTRE[row]
    y0 += r
    r2 = r * r
    r *= LOG_POLY[1]
    r += LOG_POLY[2]
    y = LOG_POLY[0] * r2
    y += r
    y *= r2
    y += y0
    return y.astype(np.float32)


def sincosf(x):
    """The sine and cosine of float32 numbers [n] in [0, 2 pi], rounded as glibc's `sincosf` rounds."""
    x = x.astype(np.float64)
    quadrant = (x * QUADRANTS).astype(np.int32)
    quadrant += 0x800000
    quadrant >>= 24
    odd = quadrant & 1
    # Two exact steps: 3 * (pi / 2) in one would be rounded, where the C code has a fused multiply-add.
    x -= (quadrant - odd) * HALF_PI
    x -= odd * HALF_PI
    quadrant &= 3
    x2 = x * x
    x *= _SIN_SIGN[quadrant]
    x3 = x2 * x
    x4 = x2 * x2
    sin = x3 * S1
    sin += x
    x3 *= x2
    x3 *= S2 + x2 * S3
    sin += x3
    cos = x2 * C1
    cos += 1.0
    cos += x4 * C2
    x4 *= x2
    x4 *= C3 + x2 * C4
    cos += x4
    cos *= _COS_SIGN[quadrant]
    odd = odd.astype(bool)
    return np.where(odd, cos, sin).astype(np.float32), np.where(odd, sin, cos).astype(np.float32)


def each(function, *arguments):
    """Applies a function of `math` to every element of float64 arrays [n]: 70 ns each, for the C library's own bits."""
    columns = (argument.tolist() for argument in arguments)
    return np.fromiter(map(function, *columns), np.float64, count=arguments[0].size)


def log(x):
    """The natural logarithm of positive float64 numbers [n], by the C library's `log`."""
    return each(math.log, x)
