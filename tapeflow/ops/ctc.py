"""Connectionist temporal classification (Graves et al. 2006): the loss with its gradient, and two decoders.

Logits are [time, batch, classes]. A path gives each frame a class; dropping repeats and then blanks leaves the labels
that it spells.
"""

import numpy as np

from tapeflow.base.dtypes import int64
from tapeflow.base.errors import FailedPreconditionError, invalid
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.family import FLOATS, sample

# The log probability of a step that no path may take. It is finite, as in TensorFlow: labels that do not fit the
# frames get a large loss and a gradient, not infinity and nan.
FORBIDDEN = -707.0


def _log_softmax(logits):
    scores = logits.astype(np.float64)
    scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
    scores -= np.log(np.add.reduce(np.exp(scores), axis=-1, keepdims=True))
    return scores


def _log_sum(x):
    """log(sum(exp(x))) over the last axis, kept."""
    top = np.maximum.reduce(x, axis=-1, keepdims=True)
    return top + np.log(np.add.reduce(np.exp(x - top), axis=-1, keepdims=True))


def _check_loss(logits, labels, label_length, logit_length, blank):
    steps, batch, classes = logits.shape
    if labels.shape[:1] != (batch,) or label_length.shape != (batch,) or logit_length.shape != (batch,):
        raise ValueError(labels.shape)
    if not -classes <= blank < classes:
        raise invalid("CTCLoss", f"blank_index = {blank} is not one of the {classes} classes")
    if batch and (logit_length.max() > steps or logit_length.min() < 0):
        raise invalid("CTCLoss", f"logit_length must be in [0, {steps}], the number of frames, got {logit_length.tolist()}")
    if batch and (label_length.max() > labels.shape[1] or label_length.min() < 0):
        raise invalid(
            "CTCLoss",
            f"label_length must be in [0, {labels.shape[1]}], the width of labels, got {label_length.tolist()}",
        )
    used = np.arange(labels.shape[1]) < label_length[:, None]
    wrong = labels[used & ((labels < 0) | (labels >= classes))]
    if wrong.size:
        raise invalid("CTCLoss", f"labels must be in [0, {classes}), the classes of the logits, got {wrong[0]}")
    return np.where(used, labels, blank % classes)


def _loss_kernel(logits, labels, label_length, logit_length, *, blank=0):
    labels = _check_loss(logits, labels, label_length, logit_length, blank)
    steps, batch, classes = logits.shape
    if not logits.size:
        return np.zeros(batch, logits.dtype), logits
    # The states of an example: a blank, label 1, a blank, label 2, ..., a blank.
    states = np.full((batch, 2 * labels.shape[1] + 1), blank % classes)
    states[:, 1::2] = labels
    skips = np.zeros(states.shape, bool)  # whether a state may follow the one before the last: a new label, past a blank
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    ends = np.arange(states.shape[1])
    final = np.where((ends == 2 * label_length[:, None]) | (ends == 2 * label_length[:, None] - 1), 0.0, FORBIDDEN)
    log_p = _log_softmax(logits)
    emitted = np.take_along_axis(log_p, np.broadcast_to(states, (steps, *states.shape)), 2)
    live = (np.arange(steps)[:, None] < logit_length)[:, :, None]
    forward = forward_paths(emitted, skips, live)
    backward = backward_paths(emitted, skips, live, final)
    total = _log_sum(forward[-1] + final)
    posterior = np.exp(forward + backward - total)
    places = (np.arange(steps * batch).reshape(steps, batch, 1) * classes + states).ravel()
    by_class = np.bincount(places, posterior.ravel(), steps * batch * classes).reshape(logits.shape)
    gradient = np.where(live, np.exp(log_p) - by_class, 0)
    loss = np.where(logit_length > 0, -total[:, 0], 0)
    return loss.astype(logits.dtype), gradient.astype(logits.dtype)


def _shifted(x, by):
    """`x` moved along the states by `by` places, with nothing where nothing came from."""
    moved = np.full_like(x, -np.inf)
    if by > 0:
        moved[:, by:] = x[:, :-by]
    else:
        moved[:, :by] = x[:, -by:]
    return moved


def _step(x, first, second):
    """Stay, move one state, or move two where allowed; every other move is forbidden, not impossible."""
    return np.logaddexp(np.logaddexp(x, _log_sum(x) + FORBIDDEN), np.logaddexp(first, second))


def forward_paths(emitted, skips, live):
    """For each frame and state the log probability of all beginnings of paths that are there; after an example's end
    it stays."""
    result = np.empty_like(emitted)
    start = np.full(emitted.shape[1:], FORBIDDEN)
    start[:, :2] = 0
    current = result[0] = start + emitted[0]
    for t in range(1, len(emitted)):
        moved = _step(current, _shifted(current, 1), np.where(skips, _shifted(current, 2), -np.inf)) + emitted[t]
        current = result[t] = np.where(live[t], moved, current)
    return result


def backward_paths(emitted, skips, live, final):
    """For each frame and state the log probability of all ends of paths after that frame."""
    result = np.empty_like(emitted)
    current = result[-1] = final
    for t in range(len(emitted) - 2, -1, -1):
        ahead = current + emitted[t + 1]
        moved = _step(ahead, _shifted(ahead, -1), _shifted(np.where(skips, ahead, -np.inf), -2))
        current = result[t] = np.where(live[t + 1], moved, final)
    return result


def _loss_infer(logits, labels, label_length, logit_length, *, blank=0):
    if logits.shape is None:
        return Spec((None,), logits.dtype), logits
    if len(logits.shape) != 3:
        raise invalid("CTCLoss", f"logits must be [time, batch, classes], got shape {list(logits.shape)}")
    batch = logits.shape[1]
    for name, spec, rank in (
        ("labels", labels, 2),
        ("label_length", label_length, 1),
        ("logit_length", logit_length, 1),
    ):
        if spec.shape is None:
            continue
        if len(spec.shape) != rank or (None not in (batch, spec.shape[0]) and spec.shape[0] != batch):
            raise invalid(
                "CTCLoss",
                f"{name} must have {rank} axes, the first of the batch's size {batch}, got shape {list(spec.shape)}",
            )
    return Spec((batch,), logits.dtype), logits


def _loss_vjp(g, wanted, out):
    of_loss, of_gradient = g
    if of_gradient is not None:
        raise LookupError("ctc_loss has no second derivative: take its gradient outside of the outer tape.")
    return P.reshape(of_loss, shape=(1, -1, 1)) * out[1], None, None, None


def _loss_samples():
    labels = np.array([[1, 2, 2], [3, 1, 0]])
    return [
        ((sample(7, 2, 4), labels, np.array([3, 2]), np.array([7, 5])), {"blank": 0}),
        ((sample(5, 2, 4), labels % 3, np.array([2, 3]), np.array([5, 5])), {"blank": -1}),
    ]


ctc_loss = Primitive(
    "ctc_loss",
    _loss_kernel,
    _loss_infer,
    vjp=_loss_vjp,
    accepts=FLOATS,
    uniform=False,
    multiple=True,
    partial=True,
    samples=_loss_samples,
)


# Decoders: the results are (indices, values, shape) of a sparse tensor of labels for each path, and scores


def _check_decoder(name, logits, lengths):
    if logits.ndim != 3:
        raise invalid(name, f"inputs is not a 3-Tensor: its shape is {list(logits.shape)}")
    steps, batch, _ = logits.shape
    if lengths.shape != (batch,):
        raise FailedPreconditionError(
            None,
            None,
            f"len(sequence_length) != batch_size.  len(sequence_length):  {lengths.size} batch_size: {batch} [Op:{name}]",
        )
    for i, n in enumerate(lengths.tolist()):
        if not 0 <= n <= steps:
            raise FailedPreconditionError(None, None, f"sequence_length({i}) <= {steps}, got {n} [Op:{name}]")


def _as_sparse(sequences):
    """Lists of labels, one for each example, as the parts of a sparse tensor."""
    places = [(row, column) for row, labels in enumerate(sequences) for column in range(len(labels))]
    values = [label for labels in sequences for label in labels]
    shape = (len(sequences), max(map(len, sequences), default=0))
    return np.array(places, np.int64).reshape(-1, 2), np.array(values, np.int64), np.array(shape, np.int64)


def _greedy_kernel(logits, lengths, *, merge_repeated=True, blank=-1):
    _check_decoder("CTCGreedyDecoder", logits, lengths)
    classes = logits.shape[2]
    if not -classes <= blank < classes:
        raise invalid("CTCGreedyDecoder", f"blank_index expected to be between {-classes} and {classes - 1}, got {blank}")
    best = logits.argmax(2)
    live = np.arange(len(logits))[:, None] < lengths
    keep = live & (best != blank % classes)
    if merge_repeated:
        keep[1:] &= best[1:] != best[:-1]
    score = -np.where(live, np.maximum.reduce(logits, axis=2), 0).sum(0, dtype=logits.dtype)
    decoded = [best[keep[:, i], i].tolist() for i in range(logits.shape[1])]
    return *_as_sparse(decoded), score.reshape(-1, 1)


def _greedy_infer(logits, lengths, *, merge_repeated=True, blank=-1):
    batch = logits.shape[1] if logits.shape is not None and len(logits.shape) == 3 else None
    return Spec((None, 2), int64), Spec((None,), int64), Spec((2,), int64), Spec((batch, 1), logits.dtype)


def _flat_logits():
    """Equal logits: the shapes of what is decoded are those of any other example."""
    return np.zeros((6, 2, 4))


ctc_greedy = Primitive(
    "ctc_greedy",
    _greedy_kernel,
    _greedy_infer,
    accepts=FLOATS,
    uniform=False,
    multiple=True,
    samples=lambda: [((_flat_logits(), np.array([6, 4])), {"blank": blank}) for blank in (0, -1)],
)


def _beam_kernel(logits, lengths, *, beam_width, top_paths):
    _check_decoder("CTCBeamSearchDecoder", logits, lengths)
    if top_paths > beam_width:
        raise invalid(
            "CTCBeamSearchDecoder",
            f"requested more paths than the beam width: top_paths {top_paths}, beam_width {beam_width}",
        )
    scores = _log_softmax(logits)
    found = [_beam_search(scores[:n, i], beam_width)[:top_paths] for i, n in enumerate(lengths.tolist())]
    if any(len(paths) < top_paths for paths in found):
        raise invalid("CTCBeamSearchDecoder", f"Less leaves in the beam search than requested: top_paths is {top_paths}")
    parts = [part for k in range(top_paths) for part in _as_sparse([paths[k][0] for paths in found])]
    log_p = np.array([[total for _, total in paths] for paths in found], logits.dtype).reshape(len(found), top_paths)
    return *parts, log_p


def _beam_search(scores, width):
    """The likeliest labels of one example with their log probabilities, best first; the last class is the blank."""
    blank = scores.shape[1] - 1
    beam = {(): (0.0, -np.inf)}  # labels: the log probabilities of their paths that end in a blank, and in the last label
    for frame in scores.tolist():
        grown = {}

        def add(labels, in_blank, in_label, grown=grown):
            before = grown.get(labels, (-np.inf, -np.inf))
            grown[labels] = (np.logaddexp(before[0], in_blank), np.logaddexp(before[1], in_label))

        for labels, (in_blank, in_label) in beam.items():
            either = np.logaddexp(in_blank, in_label)
            add(labels, either + frame[blank], in_label + frame[labels[-1]] if labels else -np.inf)
            for label in range(blank):
                # The same label again is another one only past a blank.
                start = in_blank if labels and labels[-1] == label else either
                add((*labels, label), -np.inf, start + frame[label])
        best = sorted(grown.items(), key=lambda item: -np.logaddexp(*item[1]))[:width]
        beam = dict(best)
    return [(labels, np.logaddexp(*parts)) for labels, parts in beam.items()]


def _beam_infer(logits, lengths, *, beam_width, top_paths):
    batch = logits.shape[1] if logits.shape is not None and len(logits.shape) == 3 else None
    path = (Spec((None, 2), int64), Spec((None,), int64), Spec((2,), int64))
    return *path * top_paths, Spec((batch, top_paths), logits.dtype)


ctc_beam = Primitive(
    "ctc_beam",
    _beam_kernel,
    _beam_infer,
    accepts=FLOATS,
    uniform=False,
    multiple=True,
    samples=lambda: [((_flat_logits(), np.array([4, 2])), {"beam_width": 5, "top_paths": 2})],
)

__all__ = ["ctc_beam", "ctc_greedy", "ctc_loss"]
