"""Shuffles and draws from categories, in the order in which TensorFlow's CPU kernels read their Philox stream."""

import math
import os

import numpy as np

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.ops.random_bits import philox_blocks, stream_ints, units64

_STARTUP_CYCLES = 100_000  # Eigen's model of the cost of threads, in processor cycles
_THREAD_CYCLES = 100_000
_TASK_CYCLES = 40_000


def words(key, counter, n):
    """The first `n` words of a Philox stream: uint32 [n]."""
    key, counter = stream_ints(key, counter)
    return philox_blocks(key, counter, np.arange(-(-n // 4), dtype=np.uint64)).reshape(-1)[:n]


def permutation(n, key, counter):
    """The order in which `shuffle` takes `n` rows: an int64 array [n], by Fisher and Yates from the front."""
    order = list(range(n))
    if n > 1:
        steps = words(key, counter, n - 1) % np.arange(n, 1, -1, dtype=np.uint32)
        # One after another, because each swap depends on those before; 60 ns each.
        for i, j in enumerate((steps + np.arange(n - 1)).tolist()):
            order[i], order[j] = order[j], order[i]
    return np.array(order, np.int64)


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
    cost = int(50 * (num_samples * math.log(classes) / math.log(2) + classes))
    step = rows_per_task(batch, cost, threads)
    for start in range(0, batch, step):
        part = out[start : start + step]
        at = counter + start * (num_samples + 3) // 4
        blocks = philox_blocks(key, at, np.arange(-(-part.size // 2), dtype=np.uint64))
        units = units64(blocks).reshape(-1)[: part.size].reshape(part.shape)
        part[...] = _found(logits[start : start + step].astype(np.float64), units)
    return out


def _found(logits, units):
    """For each unit number of a row, the first class whose cumulative weight exceeds its part of the row's total."""
    finite = np.isfinite(logits)
    largest = np.max(logits, axis=1, where=finite, initial=-np.inf, keepdims=True)
    with np.errstate(all="ignore"):
        weights = np.where(finite, np.exp(logits - largest), 0.0)
    cumulative = np.cumsum(weights, axis=1)
    targets = units * cumulative[:, -1:]
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
