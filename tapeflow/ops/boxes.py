"""Choosing among overlapping boxes: the greedy non-maximum suppression of object detection."""

import heapq
import math

import numpy as np

from tapeflow.base.dtypes import int32
from tapeflow.base.errors import invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS


def overlaps(boxes):
    """The area of the intersection by that of the union of every two boxes [n, 4]; corners may come in any order."""
    low = np.minimum(boxes[:, :2], boxes[:, 2:])
    high = np.maximum(boxes[:, :2], boxes[:, 2:])
    area = np.prod(high - low, 1)
    inner = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    both = np.prod(np.maximum(inner, 0), 2)
    union = area[:, None] + area - both
    return np.divide(both, union, out=np.zeros_like(both), where=(area[:, None] > 0) & (area > 0))


def _kernel(boxes, scores, *, limit, threshold, least, sigma, matrix):
    if scores.ndim != 1 or boxes.ndim != 2 or len(boxes) != len(scores) or boxes.shape[1] != (len(scores) if matrix else 4):
        raise ValueError(boxes.shape)
    if limit < 0:
        raise invalid("NonMaxSuppression", f"max_output_size must be non-negative, got {limit}")
    if not 0 <= threshold <= 1 and not matrix:
        raise invalid("NonMaxSuppression", f"iou_threshold must be in [0, 1], got {threshold}")
    likeness = (boxes if matrix else overlaps(boxes)).tolist()
    # Entries: minus the score, the box, and how many of the chosen boxes it has been compared with.
    queue = [(-score, i, 0) for i, score in enumerate(scores.tolist()) if score > least]
    heapq.heapify(queue)
    chosen, kept = [], []
    while queue and len(chosen) < limit:
        score, i, compared = heapq.heappop(queue)
        before = score = -score
        for j in reversed(chosen[compared:]):
            likely = likeness[i][j]
            if sigma:
                score *= math.exp(-0.5 / sigma * likely * likely)
            elif likely > threshold:
                score = -math.inf
            if score <= least:
                break
        if score == before:
            chosen.append(i)
            kept.append(score)
        elif score > least:
            heapq.heappush(queue, (-score, i, len(chosen)))
    return np.array(chosen, np.int32), np.array(kept, scores.dtype)


def _infer(boxes, scores, *, limit, threshold, least, sigma, matrix):
    for name, spec, rank in (("boxes", boxes, 2), ("scores", scores, 1)):
        if spec.shape is not None and len(spec.shape) != rank:
            raise invalid("NonMaxSuppression", f"{name} must be {rank}-D, got shape {list(spec.shape)}")
    if boxes.shape is not None and scores.shape is not None:
        if None not in (boxes.shape[0], scores.shape[0]) and boxes.shape[0] != scores.shape[0]:
            raise invalid(
                "NonMaxSuppression", f"scores has incompatible shape: {list(scores.shape)}, boxes {list(boxes.shape)}"
            )
        if not matrix and boxes.shape[1] not in (4, None):
            raise invalid("NonMaxSuppression", f"boxes must have 4 columns, got shape {list(boxes.shape)}")
    return Spec((None,), int32), Spec((None,), scores.dtype)


def _samples():
    boxes = np.array([[0.0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3], [0, 0.1, 1, 1]])
    attrs = {"limit": 1, "threshold": 0.5, "least": -math.inf, "sigma": 0.0, "matrix": False}
    return [((boxes, np.array([0.9, 0.8, 0.7, 0.95])), attrs)]


# With `matrix` the first input is [n, n]: how much the boxes overlap.
nms = Primitive("nms", _kernel, _infer, accepts=FLOATS, multiple=True, samples=_samples)

__all__ = ["nms", "overlaps"]
