"""Samplers that reject, count or search, on Philox streams, in the order in which TensorFlow's CPU kernels draw.

Every sampler takes `(shape, key, counter, parameters...)` as those of `random_bits` do. Most give each output its own
piece of the stream, so that outputs are drawn together: one step of the algorithm for all that are not done yet.
"""

import math
import os

import numpy as np

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.ops import random_libm
from tapeflow.ops.random_bits import normals32, normals64, philox_blocks, stream_ints, units32, units64

_BLOCKS_PER_OUTPUT = 256
_OUTPUTS = 1 << 14  # outputs drawn together


class _Streams:
    """One piece of a Philox stream for each output, each read at its own pace."""

    def __init__(self, key, counter, first):
        self.key, self.counter, self.next = key, counter, first

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


def _sample(shape, key, counter, parameters, dtype, draw):
    """Draws an array of `shape`, whose last dimensions are the parameters', parameter by parameter.

    `draw(streams, *parameters)` gets a stream and a value of each parameter for every output, and returns the outputs.
    """
    key, counter = stream_ints(key, counter)
    parameters = np.broadcast_arrays(*parameters)
    wide = parameters[0].shape
    shape = tuple(int(length) for length in shape)
    if shape[len(shape) - len(wide) :] != wide:
        raise InvalidArgumentError(
            None, None, f"Shape passed in must end with broadcasted shape: {list(shape)} does not end with {list(wide)}."
        )
    flat = [parameter.reshape(-1) for parameter in parameters]
    size = math.prod(shape)
    each = size // max(flat[0].size, 1)
    out = np.empty(size, dtype)
    for start in range(0, size, _OUTPUTS):
        index = np.arange(start, min(start + _OUTPUTS, size))
        streams = _Streams(key, counter, index.astype(np.uint64) * np.uint64(_BLOCKS_PER_OUTPUT))
        with np.errstate(all="ignore"):
            out[index] = draw(streams, *(parameter[index // each] for parameter in flat))
    return np.ascontiguousarray(out.reshape(-1, each).T).reshape(shape) if size else out.reshape(shape)


# Gamma: Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.


def gamma(shape, key, counter, alpha):
    """Gamma samples of scale 1 and of `alpha`'s dtype; `alpha` has the last dimensions of `shape`.

    NaN where `alpha` is negative or NaN, for which TensorFlow does not return.
    """
    alpha = np.asarray(alpha)
    dtype = alpha.dtype
    # By way of float32, as the kernel's cast to the smaller types goes.
    out = _sample(shape, key, counter, (alpha.astype(np.float64),), np.float64, _draw_gamma)
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
        out[done] = d[done] * v[fits]
        lifted = done[small[done]]
        if lifted.size:
            out[lifted] *= random_libm.each(math.pow, uniforms.draw(lifted), 1 / alpha[lifted])
        rows = np.setdiff1d(rows, done, assume_unique=True)
    return out


# Poisson: Knuth's product of uniforms, and Hörmann, "The transformed rejection method for generating Poisson random
# variables", 1993, for rates from 10 on.


def poisson(shape, key, counter, rate, *, dtype=np.float32):
    """Poisson samples of `dtype`; `rate` has the last dimensions of `shape`.

    TensorFlow computes in the dtype of `rate`: in float64 for integers, in float32 for the smaller floats.
    """
    rate = np.asarray(rate)
    dtype = np.dtype(dtype)
    small = rate.dtype.itemsize < 4 or rate.dtype == np.float32
    highest = float(np.iinfo(dtype).max) if dtype.kind in "iu" else math.inf
    rate = rate.astype(np.float32 if small else np.float64)

    def draw(streams, rate):
        return _draw_poisson(streams, rate, rate.dtype.type(highest))

    return _sample(shape, key, counter, (rate,), rate.dtype, draw).astype(dtype)


def _draw_poisson(streams, rate, highest):
    uniforms = _Buffer(streams, units32 if rate.dtype == np.float32 else units64)
    out = np.full(rate.size, np.nan, rate.dtype)
    _draw_poisson_knuth(uniforms, rate, np.flatnonzero((rate < 10) & (rate >= 0)), highest, out)
    out[rate == np.inf] = np.inf
    rows = np.flatnonzero((rate >= 10) & (rate < np.inf))
    if rows.size:
        _draw_poisson_rejection(uniforms, rate, rows, highest, out)
    return out


def _draw_poisson_knuth(uniforms, rate, rows, highest, out):
    # Rounded once from float64: the C library's expf is that nearly always.
    limit = np.exp(-rate.astype(np.float64)).astype(rate.dtype)
    product = np.ones_like(rate)
    count = 0
    while rows.size:
        product[rows] *= uniforms.draw(rows)
        done = product[rows] <= limit[rows]
        out[rows[done]] = count
        rows = rows[~done]
        count += 1


def _draw_poisson_rejection(uniforms, rate, rows, highest, out):
    real = rate.dtype.type
    log_rate = _log(rate)
    b = real(0.931) + real(2.53) * np.sqrt(rate)
    a = real(-0.059) + real(0.02483) * b
    inverse_alpha = real(1.1239) + real(1.1328) / (b - real(3.4))
    v_r = real(0.9277) - real(3.6224) / (b - real(2))
    while rows.size:
        u = uniforms.draw(rows) - real(0.5)
        v = uniforms.draw(rows)
        us = real(0.5) - np.abs(u)
        a_, b_, rate_ = a[rows], b[rows], rate[rows]
        k = np.floor((real(2) * a_ / us + b_) * u + rate_ + real(0.43))
        inside = (us >= real(0.07)) & (v <= v_r[rows])
        possible = (k >= 0) & ~((us < real(0.013)) & (v > us))
        s = _log(v * inverse_alpha[rows] / (a_ / (us * us) + b_))
        t = -rate_ + k * log_rate[rows] - _log_factorial(k)
        fits = (k <= highest) & (inside | (possible & (s <= t)))
        out[rows[fits]] = k[fits]
        rows = rows[~fits]


def _log(x):
    """The logarithm of non-negative numbers in their own dtype, with the C library's bits."""
    if x.dtype == np.float64:
        return np.log(x)
    out = np.full(x.shape, -np.inf, np.float32)
    normal = (x >= np.finfo(np.float32).tiny) & (x < np.inf)
    out[normal] = random_libm.logf(x[normal])
    return out


# lgamma(x) = (x - 1/2) (log(x) - 1) + w(1 / x) for x >= 8, as in fdlibm and the C library.
_LGAMMA = {
    np.dtype(np.float64): (
        4.18938533204672725052e-01, 8.33333333333329678849e-02, -2.77777777728775536470e-03,
        7.93650558643019558500e-04, -5.95187557450339963135e-04, 8.36339918996282139126e-04, -1.63092934096575273989e-03,
    ),
    np.dtype(np.float32): (
        4.1893854737e-01, 8.3333335817e-02, -2.7777778450e-03,
        7.9365057172e-04, -5.9518753551e-04, 8.3633989561e-04, -1.6309292987e-03,
    ),
}  # fmt: skip
_LOG_FACTORIALS = np.log([1.0, 1.0, 2.0, 6.0, 24.0, 120.0, 720.0, 5040.0])


def _log_factorial(k):
    """The C library's lgamma(k + 1) of whole numbers k >= 0, in their own dtype; others give anything."""
    x = np.maximum(k, 0) + k.dtype.type(1)
    w0, w1, *more = (x.dtype.type(w) for w in _LGAMMA[x.dtype])
    z = 1 / x
    y = z * z
    tail = more[-1]
    for w in more[-2::-1]:
        tail = w + y * tail
    w = w0 + z * (w1 + y * tail)
    out = (x - x.dtype.type(0.5)) * (_log(x) - x.dtype.type(1)) + w
    few = x < 8
    if few.any():
        out[few] = _LOG_FACTORIALS[x[few].astype(np.intp) - 1]
    return out
