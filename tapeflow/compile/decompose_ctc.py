"""Connectionist temporal classification taken apart: probabilities and sums as ops, the paths as one of their own."""

import math

import numpy as np

from tapeflow.base.dtypes import float32, float64, int64
from tapeflow.compile.internal import CTC_PATHS, check_range
from tapeflow.core.primitive import P
from tapeflow.core.tensor import wrap
from tapeflow.ops.ctc import FORBIDDEN

LANES = 8  # the states are so many, or twice as many, ...: those behind the last have the probability 0


def _log_sum(x):
    """log(sum(exp(x))) over the last axis, kept."""
    top = P.max(x, axis=(-1,), keepdims=True)
    return top + P.log(P.sum(P.exp(x - top), axis=(-1,), keepdims=True))


def ctc_loss(builder, logits, labels, label_length, logit_length, *, blank=0):
    """The loss and its gradient, as the kernel computes them."""
    frames, batch, classes = logits.dims
    width = labels.dims[1]
    if logits._dtype not in (float32, float64) or not -classes <= blank < classes:
        return None
    check = lambda x, limit, text: check_range(builder, P.cast(x, dtype=int64), limit, "CTCLoss", text)  # noqa: E731
    number = lambda value: wrap(np.float64(value))  # noqa: E731
    text = f"logit_length must be in [0, {frames}], the number of frames, got {{value}}"
    frame_count = check(logit_length, frames + 1, text)
    text = f"label_length must be in [0, {width}], the width of labels, got {{value}}"
    count = P.expand_dims(check(label_length, width + 1, text), axis=(1,))
    used = P.less(wrap(np.arange(width)), count)
    none = wrap(np.int64(blank % classes))
    text = f"labels must be in [0, {classes}), the classes of the logits, got {{value}}"
    labels = check(P.where(used, P.cast(labels, dtype=int64), none), classes, text)

    # The states of an example: a blank, label 1, a blank, label 2, ..., a blank.
    size = -(-(2 * width + 1) // LANES) * LANES
    places = np.arange(size)
    is_label = wrap((places % 2 == 1) & (places < 2 * width))
    states = P.gather(labels, wrap(np.minimum(places // 2, width - 1)), axis=1, batch_dims=0)
    states = P.where(is_label, states, none)
    before = P.pad(P.strided_slice(states, key=(Ellipsis, (None, size - 2, None))), paddings=((0, 0), (2, 0)), value=0)
    follows = P.logical_and(wrap((places % 2 == 1) & (places > 2)), P.not_equal(states, before))
    skips = P.where(follows, number(0), number(-math.inf))  # whether a state may follow the one before the last
    ends = wrap(places)
    final = P.logical_or(
        P.equal(ends, count * wrap(np.int64(2))), P.equal(ends, count * wrap(np.int64(2)) - wrap(np.int64(1)))
    )
    there = wrap(places <= 2 * width)
    final = P.where(there, P.where(final, number(0), number(FORBIDDEN)), number(-math.inf))

    scores = P.cast(logits, dtype=float64)
    log_p = scores - _log_sum(scores)
    first = wrap((np.arange(frames * batch) * classes).reshape(frames, batch, 1))
    numbers = states + first
    emitted = P.gather(P.reshape(log_p, shape=(frames * batch * classes,)), numbers, axis=0, batch_dims=0)
    emitted = P.where(there, emitted, number(-math.inf))
    forward, backward = builder.add(CTC_PATHS, (emitted, skips, final, frame_count), {}, None)
    last = P.strided_slice(forward, key=(frames - 1,)) + final
    total = _log_sum(last)
    posterior = P.exp(forward + backward - total)
    flat = lambda x: P.reshape(x, shape=(frames * batch * size,))  # noqa: E731
    by_class = P.unsorted_segment_sum(flat(posterior), flat(numbers), num=frames * batch * classes)
    live = P.less(wrap(np.arange(frames).reshape(-1, 1)), frame_count)
    gradient = P.exp(log_p) - P.reshape(by_class, shape=(frames, batch, classes))
    gradient = P.where(P.expand_dims(live, axis=(2,)), gradient, number(0))
    loss = P.where(P.greater(frame_count, wrap(np.int64(0))), -P.squeeze(total, axis=(1,)), number(0))
    return P.cast(loss, dtype=logits._dtype), P.cast(gradient, dtype=logits._dtype)


__all__ = ["ctc_loss"]
