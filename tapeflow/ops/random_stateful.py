"""The random ops that keep their own state (`tf.random.uniform` and its kin): their seeds, their streams, their draws.

Every kernel of such an op owns a Philox stream, which its two integer seeds start and each call moves on. In eager mode
kernels are cached by op, seeds and attributes: an op called twice with one seed goes on where it stopped, and
`set_seed` drops the cache. In a graph every node has its own kernel.

Example:
    >>> seeds = EagerSeeds()
    >>> seeds.set_seed(5)
    >>> stream = seeds.stream("RandomStandardNormal", 1, "float32", "int32")
    >>> normal(stream, (2, 2))
    array([[-1.3768897 , -0.01258316],
           [-0.169515  ,  1.0824056 ]], dtype=float32)
"""

import math
import os
import threading

import numpy as np

from tapeflow.ops import random_bits, random_choices, random_samplers
from tapeflow.ops.random_bits import LONG, philox_blocks, stream_arrays

DEFAULT_GRAPH_SEED = 87654321
_LARGEST = 2**31 - 1
_RESERVED = 256


class PhiloxStream:
    """The state of one kernel: a Philox stream, and how far it has been read. Threads may share it.

    Args:
        seed, seed2: the key, and the upper half of the counter. None for both, or 0, starts it anywhere.
    """

    def __init__(self, seed, seed2):
        if not seed and not seed2:
            seed, seed2 = (int.from_bytes(os.urandom(8), "little") for _ in range(2))
        self._key = seed & LONG
        self._counter = (seed2 & LONG) << 64
        self._lock = threading.Lock()

    def reserve(self, blocks):
        """Returns the stream's uint64 arrays `key` [1] and `counter` [2], and moves on by `blocks`."""
        with self._lock:
            counter = self._counter
            self._counter = random_bits.advanced(counter, blocks & LONG)
        return stream_arrays(self._key, counter)


def seed_pair(global_seed, op_seed):
    """The two seeds of a kernel (`random_seed.get_seed`), from the global and the op's seed, where None is none."""
    if global_seed is None and op_seed is None:
        return None, None
    first = DEFAULT_GRAPH_SEED if global_seed is None else int(global_seed) % _LARGEST
    second = int(op_seed) % _LARGEST
    # (0, 0) would mean to the kernel that it may start anywhere.
    return (first, second) if first or second else (0, _LARGEST)


class EagerSeeds:
    """The global seed of eager mode, the op seeds that follow from it, and the cached kernels' streams."""

    def __init__(self):
        self.global_seed = None
        self._op_seeds = None
        self._streams = {}

    def set_seed(self, seed):
        """Sets the global seed (None for none), and starts everything again that follows from it."""
        self.global_seed = seed
        import random  # it takes 1 % of the import of this package

        # As TensorFlow does; the generator refuses NumPy's scalars.
        self._op_seeds = random.Random(seed if isinstance(seed, (int, float, str, bytes, type(None))) else int(seed))
        self._streams = {}

    def next(self, op_seed=None):
        """Returns the pair of seeds of the next op, which are (None, None) if there is neither global nor op seed."""
        if op_seed is None and self.global_seed is not None:
            op_seed = self._op_seeds.randint(0, _LARGEST)
        return seed_pair(self.global_seed, op_seed)

    def stream(self, op, op_seed, *attributes):
        """Returns the stream of the kernel that an op uses; `attributes` are all but the seeds, such as dtypes.

        TensorFlow's attributes include the dtype of the `shape` argument: int32 unless it was an int64 array. A kernel
        without op seed is not kept: it would be found again only if chance gave another call the same seed.
        """
        if op_seed is None:
            return PhiloxStream(*self.next())
        kernel = (op, op_seed, *attributes)
        stream = self._streams.get(kernel)
        # setdefault, for two threads that ask at once.
        return stream or self._streams.setdefault(kernel, PhiloxStream(*self.next(op_seed)))


class GraphSeeds:
    """The seeds of the ops in one graph: op seeds not given count from 0 in the order of the nodes."""

    def __init__(self, global_seed):
        self.global_seed = global_seed
        self._nodes = 0

    def next(self, op_seed=None):
        """Returns the pair of seeds of the next node."""
        if op_seed is None and self.global_seed is not None:
            op_seed = self._nodes
            self._nodes += 1
        return seed_pair(self.global_seed, op_seed)


def stateful_bits(seed, seed2, n, *, skip=0):
    """The first `n` words, uint32 [n], that a kernel with two seeds reads, after `skip` blocks."""
    offsets = np.arange(skip, skip + -(-n // 4), dtype=np.uint64)
    return philox_blocks(seed & LONG, (seed2 & LONG) << 64, offsets).reshape(-1)[:n]


# Draws. Each moves `stream` on by as much as TensorFlow's kernel does.


def _drawn(sampler, stream, shape, *arguments, **options):
    return sampler(shape, *stream.reserve(math.prod(shape) * _RESERVED), *arguments, **options)


def uniform(stream, shape, *, dtype=np.float32):
    """Uniform numbers in [0, 1)."""
    return _drawn(random_bits.uniform, stream, shape, dtype=dtype)


def uniform_int(stream, shape, minval, maxval, *, dtype=np.int32):
    """Integers in [minval, maxval)."""
    return _drawn(random_bits.uniform_int, stream, shape, minval, maxval, dtype=dtype)


def normal(stream, shape, *, dtype=np.float32):
    """Standard normal numbers."""
    return _drawn(random_bits.normal, stream, shape, dtype=dtype)


def truncated_normal(stream, shape, *, dtype=np.float32):
    """Standard normal numbers within (-2, 2)."""
    return _drawn(random_bits.truncated_normal, stream, shape, dtype=dtype)


def gamma(stream, shape, alpha):
    """Gamma samples of scale 1: `shape` of them for each element of `alpha`, an array [*shape, *alpha.shape]."""
    return _drawn(random_samplers.gamma, stream, (*shape, *np.shape(alpha)), alpha)


def poisson(stream, shape, rate, *, dtype=np.float32):
    """Poisson samples: `shape` of them for each element of `rate`, an array [*shape, *rate.shape]."""
    return _drawn(random_samplers.poisson, stream, (*shape, *np.shape(rate)), rate, dtype=dtype)


def categorical(stream, logits, num_samples, *, dtype=np.int64, threads=None):
    """Class numbers [batch, num_samples], as `random_choices.categorical` draws them."""
    # Two words make one number, and a row is counted as a multiple of four numbers.
    numbers = len(logits) * 2 * (-(-num_samples // 4) * 4)
    return random_choices.categorical(
        logits, num_samples, *stream.reserve(numbers * _RESERVED), dtype=dtype, threads=threads
    )


def shuffle(stream, value):
    """The rows (first dimension) of `value` in random order."""
    value = np.asarray(value)
    if value.size <= 1 or value.shape[0] <= 1:
        return value.copy()
    return random_choices.shuffle(value, *stream.reserve(-(-(value.shape[0] - 1) // 4)))
