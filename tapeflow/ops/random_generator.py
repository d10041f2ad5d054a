"""`tf.random.Generator` on bare arrays: functions from a state to numbers and the next state.

A state is int64 [3] for Philox (the two halves of the counter, low first, then the key) and int64 [2] for ThreeFry
(counter, key). Whatever an op draws, it moves the counter by 256 for each number, so that no two draws overlap.
States are never changed in place. `alg` is a name, a number or an `Algorithm`; auto-selection means Philox.
"""

import math
import os

import numpy as np

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.ops import random_bits, random_samplers
from tapeflow.ops.random_bits import LONG, PHILOX, THREEFRY, algorithm_number

_RESERVED = 256  # as much as the greediest sampler may need for one number


def state_size(alg):
    """The number of int64 elements in a state."""
    return 2 if algorithm_number(alg) == THREEFRY else 3


def seeded_state(seed, *, alg=PHILOX):
    """The state made from a seed: an int, cut into 64-bit pieces from below, or integers, with zeros put before them.

    Example:
        >>> seeded_state(1234), seeded_state([12, 34], alg="threefry")
        (array([1234,    0,    0]), array([12, 34]))
    """
    size = state_size(alg)
    if isinstance(seed, int):
        pieces = [seed >> 64 * i & LONG for i in range(size)]
    else:
        pieces = [int(piece) & LONG for piece in np.asarray(seed).reshape(-1)[:size]]
    return _int64([0] * (size - len(pieces)) + pieces)


def key_counter_state(key, counter, *, alg):
    """The state with the given key (an integer) and counter (integers [2], or [1] for ThreeFry)."""
    return checked_state(_int64([*np.asarray(counter).reshape(-1), key]), alg=alg)


def fresh_state(*, alg=PHILOX):
    """A state that no one can foresee, from the operating system's entropy."""
    return np.frombuffer(os.urandom(8 * state_size(alg)), np.int64).copy()


def checked_state(state, *, alg):
    """`state` as an int64 array; raises ValueError if its length is not the algorithm's."""
    state = _int64(np.asarray(state).reshape(-1)) if np.ndim(state) == 1 else np.asarray(state)
    if state.shape != (state_size(alg),):
        raise ValueError(f"Shape {state.shape} is incompatible with the generator's state shape ({state_size(alg)},).")
    return state


def _int64(integers):
    return np.array([int(integer) & LONG for integer in integers], np.uint64).view(np.int64)


def skipped(state, delta, *, alg=PHILOX):
    """The state after `delta` numbers have been drawn; `delta` is taken modulo 2**64."""
    return moved(state, int(delta) * _RESERVED, alg=alg)


def moved(state, blocks, *, alg=PHILOX):
    """The state `blocks` on."""
    words = [int(word) & LONG for word in state]
    blocks &= LONG
    if algorithm_number(alg) == THREEFRY:
        return _int64([words[0] + blocks, words[1]])
    counter = random_bits.advanced(words[0] | words[1] << 64, blocks)
    return _int64([counter, counter >> 64, words[2]])


def key_counter(state):
    """The stream at which a state stands: uint64 arrays `key` [1] and `counter` [2] (for ThreeFry [1])."""
    words = np.asarray(state).view(np.uint64)
    return words[-1:], words[:-1]


def _drawn(sampler, state, shape, *arguments, alg, **options):
    values = sampler(shape, *key_counter(state), *arguments, alg=alg, **options)
    return values, skipped(state, math.prod(shape), alg=alg)


def uniform(state, shape, *, dtype=np.float32, alg=PHILOX):
    """Returns uniform numbers in [0, 1) of `shape`, and the next state."""
    return _drawn(random_bits.uniform, state, shape, dtype=dtype, alg=alg)


def uniform_int(state, shape, minval, maxval, *, dtype=np.int32, alg=PHILOX):
    """Returns integers in [minval, maxval) of `shape`, and the next state."""
    return _drawn(random_bits.uniform_int, state, shape, minval, maxval, dtype=dtype, alg=alg)


def uniform_full_int(state, shape, *, dtype=np.uint64, alg=PHILOX):
    """Returns integers over the whole range of `dtype`, and the next state."""
    return _drawn(random_bits.uniform_full_int, state, shape, dtype=dtype, alg=alg)


def normal(state, shape, *, dtype=np.float32, alg=PHILOX):
    """Returns standard normal numbers of `shape`, and the next state."""
    return _drawn(random_bits.normal, state, shape, dtype=dtype, alg=alg)


def truncated_normal(state, shape, *, dtype=np.float32, alg=PHILOX):
    """Returns standard normal numbers within (-2, 2) of `shape`, and the next state."""
    return _drawn(random_bits.truncated_normal, state, shape, dtype=dtype, alg=alg)


def binomial(state, shape, counts, probs, *, dtype=np.int32, alg=PHILOX):
    """Returns binomial samples as `random_samplers.binomial` draws them, and the next state; Philox only."""
    if algorithm_number(alg) == THREEFRY:
        raise InvalidArgumentError(None, None, "binomial: the generator's algorithm must be Philox, got ThreeFry.")
    counts, probs = np.asarray(counts), np.asarray(probs)
    values = random_samplers.binomial(shape, *key_counter(state), counts, probs, dtype=dtype)
    batches = math.prod(np.broadcast_shapes(counts.shape, probs.shape))
    each = math.prod(shape) // max(batches, 1)
    # This op counts in its own way: 200 numbers for each sample, and some more.
    return values, skipped(state, batches * 200 * (each + 3) // 4, alg=alg)


def make_seeds(state, count=1, *, alg=PHILOX):
    """Returns seeds for stateless ops, the columns of an int64 array [2, count], and the next state."""
    keys, state = uniform_full_int(state, (count,), dtype=np.int64, alg=alg)
    return np.stack([keys, np.zeros_like(keys)]), state


def split(state, count=1, *, alg=PHILOX):
    """Returns a list of `count` states whose streams do not overlap, and the next state."""
    keys, state = uniform_full_int(state, (count,), dtype=np.int64, alg=alg)
    return [_int64([0] * (state_size(alg) - 1) + [key]) for key in keys], state
