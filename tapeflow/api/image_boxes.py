"""Choosing among overlapping boxes (`tf.image.non_max_suppression` and its kin)."""

import math

from tapeflow.api.export import export
from tapeflow.base.dtypes import float32, int32
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor, static_dims, static_value
from tapeflow.core.primitive import P


def _number(value, name):
    """A Python number of an argument that may be a tensor."""
    if isinstance(value, (int, float)):
        return value
    known = static_value(convert_to_tensor(value))
    if known is None or known.ndim:
        raise invalid("NonMaxSuppression", f"{name} must be a scalar that is known, got {value!r}")
    return known.item()


def _chosen(boxes, scores, limit, threshold, least, sigma=0.0, matrix=False):
    return P.nms(
        convert_to_tensor(boxes, dtype_hint=float32),
        convert_to_tensor(scores, dtype_hint=float32),
        limit=int(_number(limit, "max_output_size")),
        threshold=float(_number(threshold, "iou_threshold")),
        least=float(_number(least, "score_threshold")),
        sigma=float(_number(sigma, "soft_nms_sigma")),
        matrix=matrix,
    )


@export("image.non_max_suppression")
def non_max_suppression(boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=-math.inf, name=None):
    """The boxes with the best scores that do not overlap a better one by more than a threshold.

    Args:
        boxes: [n, 4]: two opposite corners (y, x) of each.
        scores: [n].
        max_output_size: at most so many are chosen.
        iou_threshold: the greatest intersection by union of two chosen boxes.
        score_threshold: boxes whose score is not above it are left out.

    Returns:
        int32 [m]: the chosen boxes, best first.

    Raises:
        InvalidArgumentError: shapes or thresholds that make no sense.

    Example:
        >>> import tapeflow as tf
        >>> boxes = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9], [2.0, 2.0, 3.0, 3.0]]
        >>> tf.image.non_max_suppression(boxes, [0.8, 0.9, 0.7], max_output_size=3).numpy().tolist()
        [1, 2]
    """
    return _chosen(boxes, scores, max_output_size, iou_threshold, score_threshold)[0]


@export("image.non_max_suppression_with_scores")
def non_max_suppression_with_scores(
    boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=-math.inf, soft_nms_sigma=0.0, name=None
):
    """`non_max_suppression` that returns scores too, and where `soft_nms_sigma` is positive lowers the scores of boxes
    that overlap better ones instead of leaving them out (Bodla et al. 2017).

    Returns:
        A pair (int32 [m], scores [m]).

    Example:
        >>> import tapeflow as tf
        >>> boxes = [[0.0, 0.0, 1.0, 1.0], [2.0, 2.0, 3.0, 3.0]]
        >>> tf.image.non_max_suppression_with_scores(boxes, [0.5, 0.75], 2)[1].numpy().tolist()
        [0.75, 0.5]
    """
    return _chosen(boxes, scores, max_output_size, iou_threshold, score_threshold, soft_nms_sigma)


@export("image.non_max_suppression_overlaps")
def non_max_suppression_overlaps(
    overlaps, scores, max_output_size, overlap_threshold=0.5, score_threshold=-math.inf, name=None
):
    """`non_max_suppression` by a given table [n, n] of how much boxes overlap.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.non_max_suppression_overlaps([[1.0, 0.9], [0.9, 1.0]], [0.8, 0.9], 2).numpy().tolist()
        [1]
    """
    return _chosen(overlaps, scores, max_output_size, overlap_threshold, score_threshold, matrix=True)[0]


@export("image.non_max_suppression_padded")
def non_max_suppression_padded(
    boxes,
    scores,
    max_output_size,
    iou_threshold=0.5,
    score_threshold=-math.inf,
    pad_to_max_output_size=False,
    name=None,
    sorted_input=False,
    canonicalized_coordinates=False,
    tile_size=512,
):
    """`non_max_suppression` of one set of boxes, or of a batch of them, with how many were chosen.

    Args:
        boxes: [..., n, 4].
        scores: [..., n].
        pad_to_max_output_size: whether the result has `max_output_size` entries, zeros at the end; True for a batch.

    Returns:
        A pair (int32 [..., m], int32 [...]): the chosen boxes, and their number.

    Raises:
        ValueError: a batch without padding.

    Example:
        >>> import tapeflow as tf
        >>> boxes = [[0.0, 0.0, 1.0, 1.0]]
        >>> chosen, count = tf.image.non_max_suppression_padded(boxes, [0.9], 2, pad_to_max_output_size=True)
        >>> chosen.numpy().tolist(), int(count)
        ([0, 0], 1)
    """
    boxes = convert_to_tensor(boxes, dtype_hint=float32)
    scores = convert_to_tensor(scores, dtype_hint=float32)
    if len(scores.dims) > 1:
        if not pad_to_max_output_size:
            raise ValueError(
                f"'pad_to_max_output_size' (value {pad_to_max_output_size}) must be True for batched input of shape "
                f"{boxes.shape}"
            )
        parts = [
            non_max_suppression_padded(b, s, max_output_size, iou_threshold, score_threshold, True)
            for b, s in zip(
                P.unstack(boxes, axis=0, num=boxes.dims[0]), P.unstack(scores, axis=0, num=scores.dims[0]), strict=True
            )
        ]
        return tuple([P.stack(*column, axis=0) for column in zip(*parts, strict=True)])
    chosen = non_max_suppression(boxes, scores, max_output_size, iou_threshold, score_threshold)
    count = P.squeeze(P.shape(chosen), axis=(0,))
    if pad_to_max_output_size:
        missing = static_dims(convert_to_tensor(int(_number(max_output_size, "max_output_size")), int32) - count)[0]
        chosen = P.pad(chosen, paddings=((0, missing),))
    return chosen, count
