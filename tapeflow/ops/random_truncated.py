"""Truncated normals with any bounds, in the order in which TensorFlow's CPU kernel reads its Philox stream.

Robert, "Simulation of truncated normal variables", 1995: normals, uniform numbers or an exponential distribution are
proposed, whichever suits the bounds. Outputs take from one stream in turn, as many blocks as they need.
"""

import math

import numpy as np

from tapeflow.base.errors import InternalError, InvalidArgumentError
from tapeflow.ops import random_libm
from tapeflow.ops.random_bits import normals32, normals64, philox_blocks, stream_ints, units32, units64
from tapeflow.ops.random_choices import rows_per_task

_MOST_ROUNDS = 1000
# How far beyond the mean one bound must be for normals to be proposed.
_INSIDE = 1.3
# TensorFlow's estimate of the cycles that one output costs, which decides how it is shared out to threads.
_CYCLES = {np.dtype(np.float16): 214, np.dtype(np.float32): 187, np.dtype(np.float64): 258}


def parameterized_truncated_normal(shape, key, counter, means, stddevs, minvals, maxvals, *, threads=None):
    """Normal numbers within bounds.

    Args:
        shape: the shape of the result.
        key, counter: a Philox stream.
        means, stddevs, minvals, maxvals: float16, float32 or float64 arrays, which together have the last dimensions of
            `shape`. One of a pair of bounds may be infinite.
        threads: how many threads TensorFlow would have, on which large results depend; as many as this process
            may use, if None.

    Returns:
        An array of `shape` and of the parameters' dtype.

    Raises:
        InvalidArgumentError: a standard deviation is not positive, or bounds are not in order.
    """
    key, counter = stream_ints(key, counter)
    parameters = np.broadcast_arrays(*map(np.asarray, (means, stddevs, minvals, maxvals)))
    dtype, wide = np.result_type(*parameters), parameters[0].shape
    shape = tuple(int(length) for length in shape)
    if shape[len(shape) - len(wide) :] != wide:
        raise InvalidArgumentError(None, None, "Shape passed in must end with broadcasted shape.")
    if dtype not in _CYCLES:
        raise ValueError(f"parameterized_truncated_normal: {dtype} is not float16, float32 or float64.")
    size = math.prod(shape)
    out = np.empty(size, dtype)
    if not size:
        return out.reshape(shape)
    proposals = [_proposal(*row) for row in zip(*(p.astype(dtype).reshape(-1) for p in parameters), strict=True)]
    each = size // len(proposals)
    in_block = 2 if dtype == np.float64 else 4
    task = rows_per_task(size, _CYCLES[dtype], threads)
    for start in range(0, size, task):
        stop = min(start + task, size)
        at = counter + start * 2 * _MOST_ROUNDS // in_block
        while start < stop:
            end = min((start // each + 1) * each, stop)
            out[start:end], blocks = proposals[start // each].draw(key, at, end - start)
            at += blocks
            start = end
    return np.ascontiguousarray(out.reshape(-1, each).T).reshape(shape)


class _Proposal:
    """Proposes blocks full of numbers, of which some fit; those, scaled, are the samples.

    `candidates(words)` takes uint32 [n * blocks, 4], and returns numbers [n, m] and which of them fit.
    """

    def __init__(self, mean, stddev, candidates, blocks=1):
        self.mean, self.stddev, self.candidates, self.blocks = mean, stddev, candidates, blocks

    def draw(self, key, counter, count):
        """Returns the first `count` samples from `counter` on, and how many blocks they took."""
        drawn = []
        used = since = 0
        while count:
            rounds = min(count, 1 << 12) + 1
            offsets = np.arange(used, used + rounds * self.blocks, dtype=np.uint64)
            with np.errstate(all="ignore"):
                numbers, fit = self.candidates(philox_blocks(key, counter, offsets))
            found = np.flatnonzero(fit)[:count]
            since = 0 if found.size else since + numbers.size
            if since > _MOST_ROUNDS:
                raise InternalError(None, None, "TruncatedNormal rejection sampler accepts none of 1000 numbers.")
            drawn.append(numbers.reshape(-1)[found] * self.stddev + self.mean)
            count -= found.size
            used += (rounds if count else int(found[-1]) // numbers.shape[1] + 1) * self.blocks
        return np.concatenate(drawn), used


def _units(words, real):
    if real is np.float64:
        return units64(words)
    return units32(words) if real is np.float32 else units32(words, 10).astype(real)


def _log(x):
    """The logarithm of numbers in [0, 1), with the C library's bits; that of 0 is -inf."""
    if x.dtype == np.float16:
        return np.log(x)
    log = random_libm.logf if x.dtype == np.float32 else random_libm.log
    out = np.full(x.shape, -np.inf, x.dtype)
    out[x > 0] = log(x[x > 0])
    return out


def _proposal(mean, stddev, low, high):
    """The cheapest way to draw a normal of `mean` and `stddev` in (low, high); all are scalars of one dtype."""
    if not (stddev > 0 and low < high and (np.isfinite(low) or np.isfinite(high))):
        given = f"mean {mean}, stddev {stddev}, minval {low}, maxval {high}"
        raise InvalidArgumentError(None, None, f"Invalid parameters: stddev > 0 and minval < maxval must hold, got {given}")
    if low == -np.inf or high < mean:
        low, high, stddev = high, low, -stddev
    real = mean.dtype.type
    # The bounds for the standard normal, turned about if need be: so the lower is finite, and positive if both can be.
    a, b = (low - mean) / stddev, (high - mean) / stddev
    root = np.sqrt(a * a + real(4))
    with np.errstate(all="ignore"):
        cutoff = real(2) * np.exp(real(0.5) + a * (a - root) / real(4)) / (a + root)

    def normals(words):
        z = (normals64 if real is np.float64 else normals32)(words).astype(real, copy=False)
        return z, (z >= a) & (z <= b)

    def uniforms(words):
        numbers = _units(words, real)
        numbers = numbers.reshape(-1, 2, numbers.shape[1])
        z = numbers[:, 0] * (b - a) + a
        top = real(0) if a < 0 else a * a
        return z, numbers[:, 1] <= np.exp((top - z * z) / real(2))

    def exponentials(words):
        rate = (a + root) / real(2)
        numbers = _units(words, real)
        z = -_log(numbers[:, 0::2]) / rate + a
        gap = z - rate
        return z, (numbers[:, 1::2] <= np.exp(-gap * gap / real(2))) & (z < b)

    inside = real(_INSIDE)
    if (a < -inside and b >= 0) or (b > inside and a <= 0):
        return _Proposal(mean, stddev, normals)
    if b - a < cutoff:
        return _Proposal(mean, stddev, uniforms, blocks=2)
    return _Proposal(mean, stddev, exponentials)
