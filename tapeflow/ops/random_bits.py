"""Philox streams as TensorFlow's CPU kernels read them: bits, uniform numbers, integers, normals.

A stream is a 64-bit key and a 128-bit counter. Each value of the counter stands for a block of four 32-bit words,
hash(key, counter) (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011), so that any
part of a stream can be computed by itself. A sampler takes `(shape, key, counter)`, with `key` uint64 [1] and
`counter` uint64 [2], low half first, as `key_counter` makes them from a seed, and returns an ndarray of `shape`.

A ThreeFry stream (`alg=THREEFRY`, `counter` uint64 [1]) is read by `random_threefry`, as XLA does: TensorFlow's own
CPU kernels refuse it, and it runs there inside `tf.function(jit_compile=True)` only.
"""

import enum
import math

import ml_dtypes
import numpy as np

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.ops import random_libm, random_threefry

WORD = 0xFFFFFFFF
LONG = 0xFFFFFFFFFFFFFFFF

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_SCRAMBLE_KEY = 0x02461E293EC8F720

# The same, for arrays: rows are the two halves that a round works on.
_FACTORS = np.array(_MULTIPLIERS, np.uint64).reshape(2, 1)
_KEY_RAMP = np.arange(_ROUNDS, dtype=np.uint64).reshape(-1, 1, 1) * np.array(_KEY_STEPS, np.uint64).reshape(2, 1)
_MASK = np.uint64(WORD)
_HALF = np.uint64(32)

_FEW = 6  # blocks below which Python's integers are faster than NumPy's calls
CHUNK = 1 << 13  # blocks computed at a time: the working set stays in the second-level cache
_RAMP = np.arange(CHUNK, dtype=np.uint64)
_PAIRS = 1 << 12  # pairs of normals made at a time: their 20 temporaries stay in the first- and second-level caches
_SMALLEST = np.float32(1e-7)  # what Box and Muller take for a smaller number, whose logarithm would be too large


class Algorithm(enum.Enum):
    """`tf.random.Algorithm`: the generators, with TensorFlow's numbers."""

    PHILOX = 1
    THREEFRY = 2
    AUTO_SELECT = 3


PHILOX, THREEFRY, AUTO_SELECT = (algorithm.value for algorithm in Algorithm)


def algorithm_number(alg):
    """Returns PHILOX, THREEFRY or AUTO_SELECT for an algorithm given as a name, a number or an `Algorithm`."""
    if isinstance(alg, str):
        names = {"philox": PHILOX, "threefry": THREEFRY, "autoselect": AUTO_SELECT}
        number = names.get(alg.strip().lower().replace("-", "").replace("_", ""))
        known = "philox", "threefry", "auto_select"
    else:
        number = getattr(alg, "value", alg)
        known = PHILOX, THREEFRY, AUTO_SELECT
    if number not in (PHILOX, THREEFRY, AUTO_SELECT):
        raise ValueError(
            f"Argument `alg` got unsupported value {alg}. Supported values are {known[0]} for the Philox algorithm, "
            f"{known[1]} for the ThreeFry algorithm, and {known[2]} for auto-selection."
        )
    return number


# Blocks


def philox_block(key, counter):
    """Returns the four words at `counter` as ints; `key` and `counter` are ints of 64 and 128 bits."""
    k0, k1 = key & WORD, key >> 32
    c0, c1, c2, c3 = counter & WORD, counter >> 32 & WORD, counter >> 64 & WORD, counter >> 96 & WORD
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = p1 >> 32 ^ c1 ^ k0, p1 & WORD, p0 >> 32 ^ c3 ^ k1, p0 & WORD
        k0, k1 = k0 + _KEY_STEPS[0] & WORD, k1 + _KEY_STEPS[1] & WORD
    return c0, c1, c2, c3


def philox_blocks(key, counter, offsets):
    """Returns the words at `counter + offsets`, uint32 [n, 4], for ints `key`, `counter` and uint64 `offsets` [n]."""
    n = offsets.size
    if n < _FEW:
        return np.array([philox_block(key, counter + o) for o in offsets.tolist()], np.uint32).reshape(n, 4)
    low = offsets + np.uint64(counter & LONG)
    high = counter >> 64 & LONG
    # Words 0 and 2 of each counter are the rows of `even`, words 1 and 3 those of `odd`.
    even, odd, product = np.empty((3, 2, n), np.uint64)
    np.bitwise_and(low, _MASK, even[0])
    np.right_shift(low, _HALF, odd[0])
    even[1], odd[1] = high & WORD, high >> 32
    carried = low < offsets
    if carried.any():
        high = high + 1 & LONG
        even[1, carried], odd[1, carried] = high & WORD, high >> 32
    keys = _KEY_RAMP + np.array([[key & WORD], [key >> 32]], np.uint64) & _MASK
    for round_key in keys:
        np.multiply(even, _FACTORS, product)
        np.right_shift(product, _HALF, even)
        np.bitwise_xor(even[::-1], odd, odd)
        np.bitwise_xor(odd, round_key, even)
        np.bitwise_and(product[::-1], _MASK, odd)
    words = np.empty((n, 4), np.uint32)
    words[:, 0::2] = even.T
    words[:, 1::2] = odd.T
    return words


def stream_ints(key, counter):
    """Returns the ints (64-bit key, 128-bit counter) of a Philox stream given as uint64 arrays [1] and [2]."""
    key, counter = np.asarray(key), np.asarray(counter)
    if key.shape != (1,):
        raise InvalidArgumentError(None, None, f"key must have shape [1], not {list(key.shape)}.")
    if counter.ndim != 1 or counter.size < 2:
        raise InvalidArgumentError(
            None, None, f"counter must be a vector with length at least 2; got shape: {list(counter.shape)}."
        )
    return int(key[0]) & LONG, int(counter[0]) & LONG | (int(counter[1]) & LONG) << 64


def stream_arrays(key, counter):
    """Returns the uint64 arrays ([1], [2]) of a Philox stream given as ints of 64 and 128 bits."""
    return np.array([key], np.uint64), np.array([counter & LONG, counter >> 64 & LONG], np.uint64)


def advanced(counter, blocks):
    """Returns the 128-bit int `counter` moved on by `blocks` (a 64-bit int), as TensorFlow's `Skip` moves it.

    The low half of `blocks` carries once only: where it makes the high half overflow, that second carry is lost.
    """
    c0, rest = counter & WORD, counter >> 64
    c0 += blocks & WORD
    step = (blocks >> 32) + (c0 >> 32) & WORD
    c1 = (counter >> 32 & WORD) + step
    rest += c1 >> 32
    return (c0 & WORD) | (c1 & WORD) << 32 | (rest << 64) % (1 << 128)


# Seeds


def as_seed(seed):
    """Returns a seed as an int32 or int64 array [2]; Python ints are int32 where they fit, as in TensorFlow."""
    if not isinstance(seed, (np.ndarray, np.generic)):
        seed = np.asarray(seed)
        if seed.dtype == np.int64 and (seed == seed.astype(np.int32)).all():
            seed = seed.astype(np.int32)
    if seed.shape != (2,):
        raise InvalidArgumentError(None, None, f"seed must have shape [2], not {list(seed.shape)}")
    return seed


def key_counter(seed, *, alg=AUTO_SELECT):
    """Derives a stream from the seed of a stateless op.

    Args:
        seed: an int32 or int64 array [2].
        alg: an algorithm as `algorithm_number` takes it.

    Returns:
        `(key, counter)`: uint64 arrays [1] and [2]; for ThreeFry [1] and [1].

    Example:
        >>> key, counter = key_counter([1, 2])
        >>> uniform((3,), key, counter)
        array([0.8440604 , 0.19204533, 0.9962232 ], dtype=float32)
    """
    first, second = (int(word) for word in as_seed(seed))
    if algorithm_number(alg) == THREEFRY:
        return np.array([first & WORD | (second & WORD) << 32], np.uint64), np.zeros(1, np.uint64)
    mixed = philox_block(_SCRAMBLE_KEY, first & LONG | (second & LONG) << 64)
    return stream_arrays(mixed[0] | mixed[1] << 32, (mixed[2] | mixed[3] << 32) << 64)


def split(seed, num=2, *, alg=AUTO_SELECT):
    """Makes `num` new seeds from one: an array [num, 2] of the seed's dtype."""
    seed = as_seed(seed)
    return uniform_full_int((num, 2), *key_counter(seed, alg=alg), dtype=seed.dtype, alg=alg)


def fold_in(seed, data, *, alg=AUTO_SELECT):
    """Makes a new seed [2] from a seed and a scalar, such as a step's number; its dtype is that of `data`."""
    if not isinstance(data, (np.ndarray, np.generic)):
        data = np.asarray(data, np.int32 if -(1 << 31) <= data < 1 << 31 else np.int64)
    mixed = uniform_full_int((), *key_counter(seed, alg=alg), dtype=data.dtype, alg=alg)
    return np.stack([mixed, data])


# From words to numbers. Each takes uint32 [n, 4] and returns [n, 4] or, for types of 64 bits, [n, 2].

_MANTISSA = {np.dtype(np.float16): 10, np.dtype(ml_dtypes.bfloat16): 7, np.dtype(np.float32): 23}


def units32(words, mantissa=23):
    """Float32 numbers in [0, 1) from the low `mantissa` bits of each word."""
    fraction = words & np.uint32((1 << mantissa) - 1)
    return np.multiply(fraction.view(np.int32), np.float32(0.5**mantissa), dtype=np.float32)


def units64(words):
    """Float64 numbers in [0, 1): the first word of each pair gives the upper 20 bits of the fraction."""
    pairs = words.view(np.uint64)
    fraction = (pairs & np.uint64(0xFFFFF)) << _HALF | pairs >> _HALF
    return fraction.view(np.int64) * 0.5**52


def normals32(words):
    """Float32 normals by Box and Muller: a pair of words gives r sin(v), r cos(v)."""
    out = np.empty((words.size // 2, 2), np.float32)
    for start in range(0, len(out), _PAIRS):
        part = out[start : start + _PAIRS]
        u, v = units32(words.reshape(-1, 2)[start : start + _PAIRS]).T
        radius = random_libm.logf(np.maximum(u, _SMALLEST))
        radius *= np.float32(-2)
        np.sqrt(radius, radius)
        angle = np.multiply(v, 2 * math.pi, dtype=np.float64).astype(np.float32)
        sin, cos = random_libm.sincosf(angle)
        np.multiply(sin, radius, part[:, 0])
        np.multiply(cos, radius, part[:, 1])
    return out.reshape(words.shape)


def normals64(words):
    """Float64 normals by Box and Muller: a block gives r sin(v), r cos(v)."""
    u, v = units64(words).T
    v = v * (2 * math.pi)
    radius = np.sqrt(-2 * random_libm.log(np.maximum(u, 1e-7)))
    return np.stack([np.sin(v) * radius, np.cos(v) * radius], axis=-1)


def _float_dtype(dtype):
    dtype = np.dtype(dtype)
    if dtype not in _MANTISSA and dtype != np.float64:
        raise ValueError(f"Argument `dtype` got invalid value {dtype}: not float16, bfloat16, float32 or float64.")
    return dtype


def _fill(shape, key, counter, dtype, convert):
    """An array of `shape` filled with what `convert` makes of the stream's blocks in turn."""
    key, counter = stream_ints(key, counter)
    size = math.prod(shape)
    in_block = 16 // max(dtype.itemsize, 4)
    blocks = -(-size // in_block)
    out = np.empty((blocks, in_block), dtype)
    for start in range(0, blocks, CHUNK):
        part = out[start : start + CHUNK]
        part[...] = convert(philox_blocks(key, counter + start, _RAMP[: len(part)]))
    return out.reshape(-1)[:size].reshape(shape)


# Samplers


def uniform(shape, key, counter, *, dtype=np.float32, alg=PHILOX):
    """Uniform numbers in [0, 1) of `shape`: float16, bfloat16, float32 or float64."""
    dtype = _float_dtype(dtype)
    if algorithm_number(alg) == THREEFRY:
        return random_threefry.uniform(shape, key, counter, dtype=dtype)
    if dtype == np.float64:
        return _fill(shape, key, counter, dtype, units64)
    mantissa = _MANTISSA[dtype]
    return _fill(shape, key, counter, dtype, lambda words: units32(words, mantissa))


def uniform_full_int(shape, key, counter, *, dtype=np.int32, alg=PHILOX):
    """Integers of `shape`, equally likely over the whole range of int32, uint32, int64 or uint64."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu" or dtype.itemsize < 4:
        raise ValueError(f"Argument `dtype` got invalid value {dtype}: not int32, int64, uint32 or uint64.")
    if algorithm_number(alg) == THREEFRY:
        return random_threefry.uniform_full_int(shape, key, counter, dtype=dtype)
    return _fill(shape, key, counter, dtype, lambda words: words.view(dtype))


def uniform_int(shape, key, counter, minval, maxval, *, dtype=np.int32, alg=PHILOX):
    """Integers of `shape` in [minval, maxval), as the remainder of full-range ones; raises unless minval < maxval."""
    dtype = np.dtype(dtype)
    minval, maxval = int(minval), int(maxval)
    if 0 in shape:
        return np.empty(shape, dtype)
    if minval >= maxval:
        raise InvalidArgumentError(None, None, f"Need minval < maxval, got {minval} >= {maxval}")
    unsigned = np.dtype(f"u{dtype.itemsize}")
    out = uniform_full_int(shape, key, counter, dtype=unsigned, alg=alg)
    out %= unsigned.type(maxval - minval)
    out += unsigned.type(minval % (1 << 8 * dtype.itemsize))
    return out.view(dtype)


def normal(shape, key, counter, *, dtype=np.float32, alg=PHILOX):
    """Standard normal numbers of `shape`: float16, bfloat16, float32 or float64."""
    dtype = _float_dtype(dtype)
    if algorithm_number(alg) == THREEFRY:
        return random_threefry.normal(shape, key, counter, dtype=dtype)
    return _fill(shape, key, counter, dtype, normals64 if dtype == np.float64 else normals32)


def truncated_normal(shape, key, counter, *, dtype=np.float32, alg=PHILOX):
    """Standard normal numbers of `shape` within (-2, 2); others are dropped and drawn again.

    A group of outputs, as many as a block has, owns 64 blocks for each of them, and takes the first normals that fit.
    """
    dtype = _float_dtype(dtype)
    if algorithm_number(alg) == THREEFRY:
        return random_threefry.truncated_normal(shape, key, counter, dtype=dtype)
    key, counter = stream_ints(key, counter)
    size = math.prod(shape)
    normals, in_group = (normals64, 2) if dtype == np.float64 else (normals32, 4)
    groups = -(-size // in_group)
    out = np.empty((groups, in_group), dtype)
    for start in range(0, groups, CHUNK):
        part = out[start : start + CHUNK]
        base = np.arange(start, start + len(part), dtype=np.uint64) * np.uint64(64 * in_group)
        part[...] = _first_within_two(normals, key, counter, base, in_group)
    return out.reshape(-1)[:size].reshape(shape)


def _first_within_two(normals, key, counter, base, count):
    """The first `count` normals inside (-2, 2) of each stream that starts at `base` [n]: an array [n, count]."""
    out = normals(philox_blocks(key, counter, base))
    rows = np.flatnonzero((np.abs(out) >= 2).any(axis=1))
    drawn, base = out[rows], base[rows]
    while rows.size:
        base = base + np.uint64(1)
        drawn = np.concatenate([drawn, normals(philox_blocks(key, counter, base))], axis=1)
        fits = np.abs(drawn) < 2
        done = fits.sum(axis=1) >= count
        first = np.argsort(~fits[done], axis=1, kind="stable")[:, :count]
        out[rows[done]] = np.take_along_axis(drawn[done], first, axis=1)
        rows, drawn, base = rows[~done], drawn[~done], base[~done]
    return out
