"""ThreeFry streams as XLA reads them; TensorFlow runs ThreeFry nowhere else.

ThreeFry2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw, SC 2011) hashes a 64-bit counter to two 32-bit words. The key
is uint64 [1], the counter uint64 [1]. Numbers of 64 bits take a block each. For smaller ones the two words of a block
go to neighbours along one axis: the first axis of even length or, if all are odd, the longest, whose last block then
gives one word only. A scalar takes the first word of a block.

Integers and uniform numbers are XLA's. Normals agree with XLA's to a few units in the last place, because XLA has its
own polynomials; in float16, for which it rounds every step, to two or three digits.
"""

import math

import numpy as np

_PARITY = np.uint32(0x1BD11BDA)
_ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)
_TRUNCATE = 2.0

# Wichura, "Algorithm AS 241: the percentage points of the normal distribution", 1988: numerators and denominators for
# |p - 1/2| <= 0.425, and for the tails nearer than, and beyond, r = sqrt(-log(p)) = 5.
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_TAIL = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip


def threefry_blocks(key, counter, n):
    """Returns the words of the blocks at `counter`, `counter + 1`, ...: uint32 [2, n]; key and counter are ints."""
    k0, k1 = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    keys = k0, k1, k0 ^ k1 ^ _PARITY
    counters = np.arange(n, dtype=np.uint64) + np.uint64(counter)
    x = counters.astype(np.uint32)
    y = (counters >> np.uint64(32)).astype(np.uint32)
    x += keys[0]
    y += keys[1]
    left, right = np.empty((2, n), np.uint32)
    for step in range(5):
        for rotation in _ROTATIONS[step % 2]:
            x += y
            np.left_shift(y, np.uint32(rotation), left)
            np.right_shift(y, np.uint32(32 - rotation), right)
            np.bitwise_or(left, right, y)
            y ^= x
        x += keys[(step + 1) % 3]
        y += keys[(step + 2) % 3]
        y += np.uint32(step + 1)
    return np.stack([x, y])


def _stream_ints(key, counter):
    key, counter = np.asarray(key).reshape(-1), np.asarray(counter).reshape(-1)
    return int(key[0]) & 0xFFFFFFFFFFFFFFFF, int(counter[0]) & 0xFFFFFFFFFFFFFFFF


def _split_axis(shape):
    even = (axis for axis, length in enumerate(shape) if length % 2 == 0)
    return next(even, int(np.argmax(shape)))


def _paired(first, second, shape, axis):
    """Lays two arrays of `shape`, halved along `axis` (rounded up), out as neighbours along it."""
    whole = np.stack([first, second], axis=axis + 1)
    whole = whole.reshape(*shape[:axis], 2 * first.shape[axis], *shape[axis + 1 :])
    return whole[(slice(None),) * axis + (slice(shape[axis]),)]


def _half_shape(shape, axis):
    return *shape[:axis], -(-shape[axis] // 2), *shape[axis + 1 :]


def words32(shape, key, counter):
    """Uint32 words of `shape`, in XLA's order."""
    key, counter = _stream_ints(key, counter)
    shape = tuple(int(length) for length in shape)
    if not shape:
        return threefry_blocks(key, counter, 1)[0].reshape(())
    axis = _split_axis(shape)
    half = _half_shape(shape, axis)
    first, second = threefry_blocks(key, counter, math.prod(half)).reshape(2, *half)
    return _paired(first, second, shape, axis)


def words64(shape, key, counter):
    """Uint64 words of `shape`: one block each, its first word below its second."""
    low, high = threefry_blocks(*_stream_ints(key, counter), math.prod(shape)).astype(np.uint64)
    return (high << np.uint64(32) | low).reshape(shape)


def _units(shape, key, counter, dtype):
    """Uniform numbers in [0, 1) that have the precision of `dtype`, as float64, or float32 for the smaller types."""
    if dtype == np.float64:
        return (words64(shape, key, counter) >> np.uint64(12)).view(np.int64) * 0.5**52
    words = words32(shape, key, counter)
    if dtype == np.float16:
        return (words & np.uint32(0x3FF)).astype(np.float32) * np.float32(0.5**10)
    return (words >> np.uint32(9)).astype(np.float32) * np.float32(0.5**23)


def _rounded(values, dtype):
    """Values in `dtype`; for bfloat16, which XLA computes in float32, by cutting off the lower half of each."""
    if dtype.itemsize == 2 and dtype != np.float16:
        return (np.asarray(values, np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(dtype)
    return values.astype(dtype)


def uniform(shape, key, counter, *, dtype):
    """Uniform numbers in [0, 1)."""
    return _rounded(_units(shape, key, counter, dtype), dtype)


def uniform_full_int(shape, key, counter, *, dtype):
    """Integers over the whole range of int32, uint32, int64 or uint64."""
    words = words64 if dtype.itemsize == 8 else words32
    return words(shape, key, counter).view(dtype)


def normal(shape, key, counter, *, dtype):
    """Standard normal numbers by Box and Muller, from uniform numbers in pairs, a new axis after the split one."""
    shape = tuple(int(length) for length in shape)
    wide = shape or (1,)
    axis = _split_axis(wide)
    half = _half_shape(wide, axis)
    pairs = _units((*half[: axis + 1], 2, *half[axis + 1 :]), key, counter, dtype)
    u, v = np.moveaxis(pairs, axis + 1, 0)
    radius, angle = np.sqrt(-2 * np.log(np.maximum(u, u.dtype.type(1e-7)))), v * u.dtype.type(2 * math.pi)
    values = _paired(radius * np.sin(angle), radius * np.cos(angle), wide, axis)
    return _rounded(values.reshape(shape), dtype)


def truncated_normal(shape, key, counter, *, dtype):
    """Standard normal numbers within (-2, 2), as the inverse of the distribution function at uniform numbers."""
    tail = math.erfc(_TRUNCATE / math.sqrt(2)) / 2
    units = _units(shape, key, counter, dtype).astype(np.float64)
    return _rounded(_normal_quantile(tail + (1 - 2 * tail) * units), dtype)


def _normal_quantile(p):
    q = p - 0.5
    r = 0.180625 - q * q
    centre = q * np.polyval(_CENTRE[0][::-1], r) / np.polyval(_CENTRE[1][::-1], r)
    r = np.sqrt(-np.log(np.minimum(p, 1 - p))) - 1.6
    tail = np.copysign(np.polyval(_TAIL[0][::-1], r) / np.polyval(_TAIL[1][::-1], r), q)
    return np.where(np.abs(q) <= 0.425, centre, tail)
