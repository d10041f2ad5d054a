"""Draws from categories, as uniform numbers sought in the sums of the weights; shuffles, as rows gathered in a random order."""

import math

import numpy as np

from tapeflow.base.dtypes import bfloat16, float16, float32, float64, uint32
from tapeflow.compile.internal import PERMUTATION, SKIP_STREAM
from tapeflow.compile.scalars import MACHINE
from tapeflow.core.primitive import P
from tapeflow.core.tensor import wrap
from tapeflow.ops.random_bits import PHILOX
from tapeflow.ops.random_choices import rows_per_task, work_of_row

MOST_PARTS = 64  # of a batch


def _categorical(builder, stream, logits, *, num_samples, dtype):
    if stream.dims != (3,) or len(logits.dims) != 2 or num_samples.__class__ is not int or num_samples <= 0:
        return None
    batch, classes = logits.dims
    if logits._dtype not in (float16, bfloat16, float32, float64):
        return None
    step = rows_per_task(batch, work_of_row(num_samples, classes))
    if batch > step * MOST_PARTS:
        return None
    logits = P.cast(logits, dtype=float64)
    finite = P.is_finite(logits)
    largest = P.max(P.where(finite, logits, wrap(np.float64(-math.inf))), axis=(1,), keepdims=True)
    weights = P.where(finite, P.exp(logits - largest), wrap(np.float64(0)))
    sums = P.cumsum(weights, axis=1)
    units = P.concat(*[_units(builder, stream, i, min(step, batch - i), num_samples) for i in range(0, batch, step)], axis=0)
    targets = units * P.strided_slice(sums, key=((None, None, None), (classes - 1, None, None)))
    return P.searchsorted(sums, targets, side="right", dtype=dtype)


def _units(builder, stream, start, rows, num_samples):
    """Uniform numbers for some rows from the place in the stream where the kernel begins with them, as TensorFlow's threads do."""
    blocks = start * (num_samples + 3) // 4
    if blocks:
        (stream,) = builder.add(SKIP_STREAM, (stream,), {"blocks": blocks}, None)
    return P.random_uniform(stream, shape=(rows, num_samples), dtype=float64, alg=PHILOX)


def _random_shuffle(builder, stream, value):
    if stream.dims != (3,) or not value.dims or value.dims[0] >= 1 << 31 or value._dtype not in MACHINE:
        return None
    if value.dims[0] == 1:
        return value
    words = P.random_full_int(stream, shape=(value.dims[0] - 1,), dtype=uint32, alg=PHILOX)
    (order,) = builder.add(PERMUTATION, (words,), {}, None)
    return P.gather(value, order, axis=0, batch_dims=0)


DRAWS = {"categorical": _categorical, "random_shuffle": _random_shuffle}

__all__ = ["DRAWS"]
