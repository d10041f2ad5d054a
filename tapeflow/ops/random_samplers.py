"""Samplers that reject, count or search, on Philox streams, in the order in which TensorFlow's CPU kernels draw.

Every sampler takes `(shape, key, counter, parameters...)` as those of `random_bits` do. Most give each output its own
piece of the stream, so that outputs are drawn together: one step of the algorithm for all that are not done yet.
"""

import math

import ml_dtypes
import numpy as np

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.ops import random_libm
from tapeflow.ops.random_bits import normals64, philox_blocks, stream_ints, units64

_RESERVED = 256  # blocks from the start of one output's piece of the stream to that of the next
_RESERVED_GEOMETRIC = 42
_OUTPUTS = 1 << 14  # outputs drawn together


class _Streams:
    """One piece of a Philox stream for each output, each read at its own pace."""

    def __init__(self, key, counter, index):
        self.key, self.counter = key, counter
        self.index = index.astype(np.uint64)
        self.next = self.index * np.uint64(_RESERVED)

    def blocks(self, rows):
        words = philox_blocks(self.key, self.counter, self.next[rows])
        self.next[rows] += np.uint64(1)
        return words


class _Buffer:
    """Numbers made from the blocks of `streams`; those of one block come out last first, as in TensorFlow's kernels."""

    def __init__(self, streams, convert):
        self.streams, self.convert = streams, convert
        self.left = np.zeros(streams.next.size, np.intp)
        self.numbers = None

    def draw(self, rows):
        """The next number of each stream in `rows`."""
        empty = rows[self.left[rows] == 0]
        if empty.size:
            made = self.convert(self.streams.blocks(empty))
            if self.numbers is None:
                self.numbers = np.empty((self.left.size, made.shape[1]), made.dtype)
            self.numbers[empty] = made
            self.left[empty] = made.shape[1]
        self.left[rows] -= 1
        return self.numbers[rows, self.left[rows]]


def _sample(shape, key, counter, parameters, draw):
    """Draws an array of `shape`, whose last dimensions are the parameters', parameter by parameter.

    `draw(streams, *parameters)` gets a stream and a value of each parameter for every output, and returns the outputs.
    """
    key, counter = stream_ints(key, counter)
    parameters = np.broadcast_arrays(*parameters)
    wide = parameters[0].shape
    shape = tuple(int(length) for length in shape)
    if shape[len(shape) - len(wide) :] != wide:
        message = f"Shape passed in must end with broadcasted shape: {list(shape)} does not end with {list(wide)}."
        raise InvalidArgumentError(None, None, message)
    flat = [parameter.reshape(-1) for parameter in parameters]
    size = math.prod(shape)
    each = size // max(flat[0].size, 1)
    out = np.empty(size)
    for start in range(0, size, _OUTPUTS):
        index = np.arange(start, min(start + _OUTPUTS, size))
        with np.errstate(all="ignore"):
            out[index] = draw(_Streams(key, counter, index), *(parameter[index // each] for parameter in flat))
    return np.ascontiguousarray(out.reshape(-1, each).T).reshape(shape) if size else out.reshape(shape)


# Gamma: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.


def gamma(shape, key, counter, alpha):
    """Gamma samples of scale 1 and of `alpha`'s dtype; `alpha` has the last dimensions of `shape`.

    NaN where `alpha` is negative or NaN, where TensorFlow may not return.
    """
    alpha = np.asarray(alpha)
    dtype = alpha.dtype
    out = _sample(shape, key, counter, (alpha.astype(np.float64),), _draw_gamma)
    # The kernel runs with subnormal results flushed to 0, and reaches the smaller types by way of float32.
    out[out < np.finfo(np.float64 if dtype == np.float64 else np.float32).tiny] = 0
    return out if dtype == np.float64 else out.astype(np.float32).astype(dtype, copy=False)


def _draw_gamma(streams, alpha):
    uniforms, normals = _Buffer(streams, units64), _Buffer(streams, normals64)
    out = np.full(alpha.size, np.nan)
    rows = np.flatnonzero(alpha == 1)
    if rows.size:
        out[rows] = -random_libm.each(math.log1p, -uniforms.draw(rows))
    small = alpha < 1
    d = alpha + np.where(small, 2.0 / 3, -1.0 / 3)
    c = 1.0 / 3 / np.sqrt(d)
    rows = np.flatnonzero((alpha >= 0) & (alpha != 1))
    finished = np.zeros(alpha.size, bool)
    while rows.size:
        x = normals.draw(rows)
        v = 1 + c[rows] * x
        positive = v > 0
        tried, x, v = rows[positive], x[positive], v[positive]
        v = v * v * v
        u = uniforms.draw(tried)
        fits = u < 1 - 0.0331 * (x * x) * (x * x)
        fits |= np.log(u) < 0.5 * x * x + d[tried] * (1 - v + np.log(v))
        done = tried[fits]
        finished[done] = True
        out[done] = d[done] * v[fits]
        lifted = done[small[done]]
        if lifted.size:
            out[lifted] *= random_libm.each(math.pow, uniforms.draw(lifted), 1 / alpha[lifted])
        rows = rows[~finished[rows]]
    return out


# Poisson: Knuth's product of uniforms, and Hörmann, "The transformed rejection method for generating Poisson random
# variables", 1993, for rates from 10 on.


def poisson(shape, key, counter, rate, *, dtype=np.float32):
    """Poisson samples of `dtype`; `rate` has the last dimensions of `shape`. All is computed in float64.

    An infinite rate gives infinity, or 0 for integers; NaN gives NaN, where TensorFlow does not return.
    """
    dtype = np.dtype(dtype)
    highest = float((np.iinfo if dtype.kind in "iu" else ml_dtypes.finfo)(dtype).max)

    def draw(streams, rate):
        return _draw_poisson(streams, rate, highest)

    out = _sample(shape, key, counter, (np.asarray(rate, np.float64),), draw)
    if dtype.kind in "iu":
        out[~np.isfinite(out)] = 0
    return out.astype(dtype)


def _draw_poisson(streams, rate, highest):
    uniforms = _Buffer(streams, units64)
    out = np.where(rate == np.inf, np.inf, np.nan)
    _draw_poisson_knuth(uniforms, rate, np.flatnonzero(rate < 10), out)
    _draw_poisson_rejection(uniforms, rate, np.flatnonzero((rate >= 10) & (rate < np.inf)), highest, out)
    return out


def _draw_poisson_knuth(uniforms, rate, rows, out):
    limit = np.exp(-rate)
    product = np.ones_like(rate)
    count = 0
    while rows.size:
        product[rows] *= uniforms.draw(rows)
        done = product[rows] <= limit[rows]
        out[rows[done]] = count
        rows = rows[~done]
        count += 1


def _draw_poisson_rejection(uniforms, rate, rows, highest, out):
    while rows.size:
        rate_ = rate[rows]
        b = 0.931 + 2.53 * np.sqrt(rate_)
        a = -0.059 + 0.02483 * b
        u = uniforms.draw(rows) - 0.5
        v = uniforms.draw(rows)
        us = 0.5 - np.abs(u)
        k = np.floor((2 * a / us + b) * u + rate_ + 0.43)
        inside = (us >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
        possible = (k >= 0) & ~((us < 0.013) & (v > us))
        log_ratio = np.log(v * (1.1239 + 1.1328 / (b - 3.4)) / (a / (us * us) + b))
        bound = -rate_ + k * np.log(rate_) - _log_factorial(k)
        fits = (k <= highest) & (inside | (possible & (log_ratio <= bound)))
        out[rows[fits]] = k[fits]
        rows = rows[~fits]


# The logarithm of gamma, for x >= 8: (x - 1/2) (log(x) - 1) + w(1 / x), with the coefficients of fdlibm.
_LGAMMA = (
    4.18938533204672725052e-01, 8.33333333333329678849e-02, -2.77777777728775536470e-03, 7.93650558643019558500e-04,
    -5.95187557450339963135e-04, 8.36339918996282139126e-04, -1.63092934096575273989e-03,
)  # fmt: skip
_LOG_FACTORIALS = np.log([1.0, 1.0, 2.0, 6.0, 24.0, 120.0, 720.0])


def _log_factorial(k):
    """The logarithm of k! for float64 whole numbers k >= 0; others give any value."""
    x = np.maximum(k, 0) + 1
    z = 1 / x
    y = z * z
    tail = np.polyval(_LGAMMA[:0:-1], y)
    large = (x - 0.5) * (np.log(x) - 1) + (_LGAMMA[0] + z * tail)
    return np.where(x < 8, _LOG_FACTORIALS[np.minimum(x, 7).astype(np.intp) - 1], large)


# Binomial: sums of geometric variables where few successes are expected, else Hörmann, "The generation of binomial
# random variates", 1993 (BTRS). Both for a probability of at most 1/2, and mirrored above.

_STIRLING_TAIL = np.array(
    [0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509, 0.0166446911898211,
     0.0138761288230707, 0.0118967099458917, 0.0104112652619720, 0.00925546218271273, 0.00833056343336287]
)  # fmt: skip


def binomial(shape, key, counter, counts, probs, *, dtype=np.int32):
    """Binomial samples of `dtype`; `counts` and `probs` together have the last dimensions of `shape`.

    0 where `counts` or `probs` is not positive; NaN, or any integer, where one is NaN or `counts` is infinite.
    """
    counts, probs = np.asarray(counts), np.asarray(probs)
    out = _sample(shape, key, counter, (counts, probs), _draw_binomial)
    with np.errstate(invalid="ignore"):
        return out.astype(dtype)


def _draw_binomial(streams, counts, probs):
    one = probs.dtype.type(1)
    mirrored = probs > probs.dtype.type(0.5)
    smaller = np.where(mirrored, one - probs, probs)
    many = counts * smaller >= probs.dtype.type(10)
    streams.next = streams.index * np.where(many, _RESERVED, _RESERVED_GEOMETRIC).astype(np.uint64)
    uniforms = _Buffer(streams, units64)
    count, prob = counts.astype(np.float64), smaller.astype(np.float64)
    drawn = (count > 0) & (count < np.inf) & (probs > 0) & (probs < one)
    out = np.where((count > 0) & (probs >= one), count, 0.0)
    out[(count > 0) & np.isnan(probs) | np.isnan(count) | (count == np.inf)] = np.nan
    _draw_binomial_geometric(uniforms, count, prob, np.flatnonzero(drawn & ~many), out)
    _draw_binomial_rejection(uniforms, count, prob, np.flatnonzero(drawn & many), out)
    return np.where(drawn & mirrored, count - out, out)


def _draw_binomial_geometric(uniforms, count, prob, rows, out):
    log_miss = np.log1p(-prob)
    tries = np.zeros_like(count)
    successes = 0
    while rows.size:
        tries[rows] += np.ceil(np.log(uniforms.draw(rows)) / log_miss[rows])
        done = tries[rows] > count[rows]
        out[rows[done]] = successes
        rows = rows[~done]
        successes += 1


def _draw_binomial_rejection(uniforms, count, prob, rows, out):
    while rows.size:
        n, p = count[rows], prob[rows]
        stddev = np.sqrt(n * p * (1 - p))
        b = 1.15 + 2.53 * stddev
        a = -0.0873 + 0.0248 * b + 0.01 * p
        r = p / (1 - p)
        m = np.floor((n + 1) * p)
        u = uniforms.draw(rows) - 0.5
        v = uniforms.draw(rows)
        us = 0.5 - np.abs(u)
        k = np.floor((2 * a / us + b) * u + (n * p + 0.5))
        inside = (us >= 0.07) & (v <= 0.92 - 4.2 / b)
        log_ratio = np.log(v * ((2.83 + 5.1 / b) * stddev) / (a / (us * us) + b))
        bound = (
            (m + 0.5) * np.log((m + 1) / (r * (n - m + 1)))
            + (n + 1) * np.log((n - m + 1) / (n - k + 1))
            + (k + 0.5) * np.log(r * (n - k + 1) / (k + 1))
            + _stirling_tail(m)
            + _stirling_tail(n - m)
            - _stirling_tail(k)
            - _stirling_tail(n - k)
        )
        fits = inside | ((k >= 0) & (k <= n) & (log_ratio <= bound))
        out[rows[fits]] = k[fits]
        rows = rows[~fits]


def _stirling_tail(k):
    """What Stirling's formula for log(k!) leaves out; beyond 9 by its series."""
    next_squared = (k + 1) * (k + 1)
    series = (1 / 12 - (1 / 360 + 1 / 1260 / next_squared) / next_squared) / (k + 1)
    return np.where(k <= 9, _STIRLING_TAIL[np.clip(k, 0, 9).astype(np.intp)], series)
