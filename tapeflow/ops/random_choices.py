"""Shuffles and draws from categories, in the order in which TensorFlow's CPU kernels read their Philox stream."""

import functools
import math
import os

import numpy as np

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.ops.random_bits import philox_blocks, stream_ints, units64

_FEW_ROWS = 4096  # up to which one swap after the other is faster
_STARTUP_CYCLES = 100_000  # Eigen's model of the cost of threads, in processor cycles
_THREAD_CYCLES = 100_000
_TASK_CYCLES = 40_000


def words(key, counter, n):
    """The first `n` words of a Philox stream: uint32 [n]."""
    key, counter = stream_ints(key, counter)
    return philox_blocks(key, counter, np.arange(-(-n // 4), dtype=np.uint64)).reshape(-1)[:n]


def permutation(n, key, counter):
    """The order in which `shuffle` takes `n` rows: an int64 array [n], by Fisher and Yates from the front."""
    steps = np.arange(max(n - 1, 0))
    partners = steps + words(key, counter, steps.size) % (n - steps).astype(np.uint32)
    if n > _FEW_ROWS:
        return _swapped(n, partners)
    order = list(range(n))
    for i, j in enumerate(partners.tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order, np.int64)


def _swapped(n, partners):
    """Swaps i and `partners[i]` >= i for each i in turn: those together, in rounds, that no earlier swap concerns.

    Shun, Gu, Blelloch, Fineman, Gibbons, "Sequential random permutation, list contraction and tree contraction are
    highly parallel", 2015: about log(n) rounds, which are 10 times faster than one swap after the other.
    """
    order = np.arange(n)
    first = np.full(n, n)  # the first of the waiting swaps whose partner an element is
    waiting = np.arange(0)
    started, most = 0, max(n // 8, _FEW_ROWS)
    while waiting.size or started < partners.size:
        stop = min(started + most - waiting.size, partners.size)
        waiting = np.concatenate([waiting, np.arange(started, stop)])
        started = stop
        there = partners[waiting]
        first[there[::-1]] = waiting[::-1]  # of several values for one element, the last stays
        free = (first[waiting] >= waiting) & (first[there] == waiting)
        first[there] = n
        i, j = waiting[free], there[free]
        order[i], order[j] = order[j], order[i]
        waiting = waiting[~free]
    return order


def shuffle(value, key, counter):
    """The rows (first dimension) of `value` in random order."""
    value = np.asarray(value)
    if value.size <= 1 or value.shape[0] <= 1:
        return value.copy()
    return value[permutation(value.shape[0], key, counter)]


def categorical(logits, num_samples, key, counter, *, dtype=np.int64, threads=None):
    """Draws `num_samples` classes for each row of unnormalised log-probabilities.

    Args:
        logits: floats [batch, classes]; classes with infinite or NaN logits are never drawn.
        num_samples: the number of draws a row.
        key, counter: a Philox stream.
        dtype: int32 or int64.
        threads: where TensorFlow shares a large batch out to threads, what a row gets depends on how many there
            are; as many as this process may use, if None.

    Returns:
        Class numbers [batch, num_samples].
    """
    logits = np.asarray(logits)
    if logits.ndim != 2:
        raise InvalidArgumentError(None, None, f"logits should be a matrix, got shape {list(logits.shape)}")
    if num_samples < 0:
        raise InvalidArgumentError(None, None, f"num_samples should be nonnegative, got {num_samples}")
    batch, classes = logits.shape
    if batch and num_samples and not classes:
        raise InvalidArgumentError(None, None, f"num_classes should be positive, got {classes}")
    out = np.empty((batch, num_samples), dtype)
    if not out.size:
        return out
    key, counter = stream_ints(key, counter)
    step = rows_per_task(batch, work_of_row(num_samples, classes), threads)
    for start in range(0, batch, step):
        part = out[start : start + step]
        at = counter + start * (num_samples + 3) // 4
        blocks = philox_blocks(key, at, np.arange(-(-part.size // 2), dtype=np.uint64))
        units = units64(blocks).reshape(-1)[: part.size].reshape(part.shape)
        part[...] = _found(logits[start : start + step].astype(np.float64), units)
    return out


def work_of_row(num_samples, classes):
    """TensorFlow's estimate of the cycles that one row's draws cost."""
    return int(50 * (num_samples * math.log(classes) / math.log(2) + classes))


def _found(logits, units):
    """For each unit number of a row, the first class whose cumulative weight exceeds its part of the row's total."""
    finite = np.isfinite(logits)
    largest = np.max(logits, axis=1, where=finite, initial=-np.inf, keepdims=True)
    with np.errstate(all="ignore"):
        weights = np.where(finite, np.exp(logits - largest), 0.0)
    cumulative = np.cumsum(weights, axis=1)
    targets = units * cumulative[:, -1:]
    if units.shape[1] == 1:
        return np.sum(cumulative <= targets, axis=1, keepdims=True)
    rows = zip(cumulative, targets, strict=True)
    return np.stack([np.searchsorted(row, target, side="right") for row, target in rows])


def rows_per_task(total, cost, threads=None):
    """How many of `total` units of work, of `cost` cycles each, Eigen's thread pool gives to one task.

    Fewer tasks are tried as long as they keep the threads as busy, up to twice the first size.
    """
    if threads is None:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    useful = int((total * cost - _STARTUP_CYCLES) / _THREAD_CYCLES + 0.9)
    if total <= 1 or min(threads, useful) <= 1:
        return max(total, 1)
    size = min(total, max(-(-total // (4 * threads)), int(_TASK_CYCLES / cost)))
    largest = min(total, 2 * size)
    count = tried = -(-total // size)
    busy = count / (-(-count // threads) * threads)
    while busy < 1 and tried > 1:
        coarser = -(-total // (tried - 1))
        if coarser > largest:
            break
        tried = -(-total // coarser)
        coarser_busy = tried / (-(-tried // threads) * threads)
        if coarser_busy + 0.01 >= busy:
            size, busy = coarser, max(busy, coarser_busy)
    return size


# One index of a permutation at a time: the block cipher Simon (Beaulieu et al., "The Simon and Speck families of
# lightweight block ciphers", 2013) on blocks as small as max_index allows, repeated until it stays in range.

_SIMON_CONSTANT = 0xFFFFFFFC
_SIMON_SEQUENCE = 0x7369F885192C0EF5
_FIRST_KEY = 498247692
_FEW_INDICES = 1 << 14


def index_shuffle(index, seed, max_index, *, rounds=4):
    """Where `index` goes in the permutation of 0, ..., `max_index` that `seed` stands for.

    Args:
        index: integers from 0 to `max_index`: a scalar or [n].
        seed: two integers, or [n, 2]; three integers are the cipher's whole key.
        max_index: an integer, or [n].
        rounds: how often the cipher mixes: an even number from 4 on.

    Returns:
        Integers of `index`'s dtype: a scalar if all arguments are for one index, else [n].
    """
    index, seed, max_index = np.asarray(index), np.asarray(seed), np.asarray(max_index)
    if rounds < 4 or rounds % 2:
        raise InvalidArgumentError(None, None, f"index_shuffle: rounds must be an even number >= 4, got {rounds}.")
    if seed.ndim == 1 and max_index.ndim == 0:
        return _shuffled(index, seed, int(max_index), rounds)
    n = max(part.shape[0] for part, rank in ((index, 0), (seed, 1), (max_index, 0)) if part.ndim > rank)
    index, max_index = np.broadcast_to(index, n), np.broadcast_to(max_index, n)
    rows = zip(index, np.broadcast_to(seed, (n, seed.shape[-1])), max_index.tolist(), strict=True)
    return np.array([_shuffled(i, pair, most, rounds) for i, pair, most in rows], index.dtype)


def _shuffled(index, seed, max_index, rounds):
    if index.size and int(index.max()) > max_index:
        raise InvalidArgumentError(None, None, f"index_shuffle: index {index.max()} is beyond max_index {max_index}.")
    # The logarithm in float64, as in the kernel, which takes no notice of a few bits beyond 2**53.
    width = max(16, math.ceil(math.log2(max(max_index, 1))) + 1) // 2
    keys = _simon_keys((_FIRST_KEY, *seed.tolist())[-3:], rounds, width)
    if max_index < _FEW_INDICES:
        return _few_places(keys, max_index)[index].astype(index.dtype)
    out = index.astype(np.uint64).reshape(-1)
    outside = np.arange(out.size)
    while outside.size:
        out[outside] = _simon(out[outside], keys, width)
        outside = outside[out[outside] > max_index]
    return out.reshape(index.shape).astype(index.dtype)


@functools.lru_cache(maxsize=16)
def _few_places(keys, max_index):
    """All places at once, because from the smallest block, of 16 bits, few steps lead back into a small range."""
    step = _simon(np.arange(1 << 16, dtype=np.uint64), keys, 8).astype(np.intp)
    while (step[: max_index + 1] > max_index).any():
        step = np.where(step <= max_index, step, step[step])  # twice as many steps each time
    return step[: max_index + 1]


def _simon_keys(key, rounds, width):
    mask = (1 << width) - 1
    keys = [word & mask for word in key]
    for i in range(3, rounds):
        last = keys[-1] << width | keys[-1]  # twice over: a shift of it is a rotation
        bit = (_SIMON_SEQUENCE & mask) >> (i - 3) & 1
        keys.append((_SIMON_CONSTANT ^ bit ^ keys[-3] ^ last >> 3 ^ last >> 4) & mask)
    return tuple(np.uint64(word) for word in keys)


def _simon(blocks, keys, width):
    half, mask = np.uint64(width), np.uint64((1 << width) - 1)
    one, two, eight = (np.uint64(step) for step in (1, 2, 8))

    def mixed(x):
        twice = x << half | x
        return (twice >> (half - one) & twice >> (half - eight) ^ twice >> (half - two)) & mask

    left, right = blocks >> half, blocks & mask
    for i in range(0, len(keys), 2):
        left ^= mixed(right) ^ keys[i]
        right ^= mixed(left) ^ keys[i + 1]
    return left << half | right
