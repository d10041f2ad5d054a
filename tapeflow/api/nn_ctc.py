"""Connectionist temporal classification (`tf.nn.ctc_loss` and its decoders)."""

from tapeflow.api.export import export, public
from tapeflow.api.nn_embedding import as_size
from tapeflow.base.dtypes import int32, int64
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P


@export("nn.ctc_loss")
def ctc_loss(labels, logits, label_length, logit_length, logits_time_major=True, unique=None, blank_index=None, name=None):
    """-log of the probability that a path through the frames spells the labels (Graves et al. 2006).

    A path gives each frame a class; repeats are merged, then blanks dropped. Labels that do not fit their frames get a
    loss above 700, not infinity.

    Args:
        labels: integers [batch, width], a `SparseTensor`, or a `RaggedTensor`.
        logits: unscaled log probabilities [time, batch, classes] ([batch, time, classes] unless `logits_time_major`).
        label_length: how many labels of each row count; None where labels are sparse or ragged.
        logit_length: how many frames of each example count.
        unique: ignored: it only saves time in TensorFlow.
        blank_index: the class of the blank, negative from the last; 0 by default.

    Returns:
        The losses [batch].

    Raises:
        ValueError: sparse labels without `blank_index`.
        InvalidArgumentError: lengths or labels that are out of range.

    Example:
        >>> import tapeflow as tf
        >>> loss = tf.nn.ctc_loss([[1]], tf.zeros([2, 1, 3]), label_length=[1], logit_length=[2])
        >>> round(float(tf.exp(-loss)[0]) * 9)  # of 9 paths those are: 1 1, 1 blank, blank 1
        3
    """
    logits = convert_to_tensor(logits)
    if hasattr(labels, "dense_shape") or hasattr(labels, "row_splits"):
        if blank_index is None:
            raise ValueError("Argument `blank_index` must be provided when `labels` is a `SparseTensor` or `RaggedTensor`.")
        labels, label_length = _dense_labels(labels)
    labels = convert_to_tensor(labels)
    lengths = [convert_to_tensor(length) for length in (label_length, logit_length)]
    if not logits_time_major:
        logits = P.transpose(logits, perm=(1, 0, 2))
    return P.ctc_loss(logits, labels, *lengths, blank=0 if blank_index is None else int(blank_index))[0]


def _dense_labels(labels):
    """Sparse or ragged labels as a padded table, and their lengths."""
    if hasattr(labels, "row_splits"):
        return labels.to_tensor(), labels.row_lengths()
    rows = P.strided_slice(convert_to_tensor(labels.indices), key=((None, None, None), 0))
    count = P.strided_slice(convert_to_tensor(labels.dense_shape), key=(0,))
    return public("sparse.to_dense")(labels), P.unsorted_segment_sum(P.ones_like(rows), rows, num=as_size(count))


def _decoded(parts):
    """Sparse tensors from (indices, values, shape) after (indices, values, shape)."""
    sparse = public("sparse.SparseTensor")
    return [sparse(*parts[i : i + 3]) for i in range(0, len(parts), 3)]


@export("nn.ctc_greedy_decoder")
def ctc_greedy_decoder(inputs, sequence_length, merge_repeated=True, blank_index=None):
    """The labels that the likeliest class of each frame spells.

    Args:
        inputs: logits [time, batch, classes].
        sequence_length: how many frames of each example count [batch].
        merge_repeated: whether one class in frames that follow each other is one label.
        blank_index: the class of the blank, negative from the last; the last by default.

    Returns:
        A list with one `SparseTensor` [batch, longest] of int64 labels, and [batch, 1]: minus the sum of the greatest
        logits.

    Raises:
        FailedPreconditionError: lengths that are not one for each example, or longer than the frames.

    Example:
        >>> import tapeflow as tf
        >>> logits = tf.math.log([[[0.1, 0.8, 0.1]], [[0.1, 0.8, 0.1]], [[0.7, 0.2, 0.1]]])
        >>> tf.nn.ctc_greedy_decoder(logits, [3])[0][0].values.numpy().tolist()
        [1, 0]
    """
    inputs = convert_to_tensor(inputs)
    lengths = convert_to_tensor(sequence_length, dtype_hint=int32)
    blank = -1 if blank_index is None else int(blank_index)
    *parts, score = P.ctc_greedy(inputs, lengths, merge_repeated=bool(merge_repeated), blank=blank)
    return _decoded(parts), score


@export("nn.ctc_beam_search_decoder")
def ctc_beam_search_decoder(inputs, sequence_length, beam_width=100, top_paths=1):
    """The likeliest labels over all their paths, as far as a beam of `beam_width` candidates finds them.

    Args:
        inputs: logits [time, batch, classes]; the last class is the blank.
        sequence_length: how many frames of each example count [batch].

    Returns:
        A list of `top_paths` `SparseTensor`s [batch, longest] of int64 labels, and their log probabilities [batch,
        top_paths].

    Raises:
        InvalidArgumentError: `top_paths` is greater than `beam_width`.
        FailedPreconditionError: lengths that are not one for each example, or longer than the frames.

    Example:
        >>> import tapeflow as tf
        >>> logits = tf.math.log([[[0.4, 0.6]], [[0.4, 0.6]]])  # "0" has probability 0.64, no label 0.36
        >>> tf.nn.ctc_beam_search_decoder(logits, [2])[0][0].values.numpy().tolist()
        [0]
    """
    inputs = convert_to_tensor(inputs)
    lengths = convert_to_tensor(sequence_length, dtype_hint=int32)
    *parts, log_p = P.ctc_beam(inputs, lengths, beam_width=int(beam_width), top_paths=int(top_paths))
    return _decoded(parts), log_p


@export("nn.ctc_unique_labels")
def ctc_unique_labels(labels, name=None):
    """For each row of labels its distinct values in the order of their first appearance, padded with 0, and for each
    label its place among them.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().tolist() for x in tf.nn.ctc_unique_labels([[3, 3, 1]])]
        [[[3, 1, 0]], [[0, 0, 1]]]
    """
    labels = P.cast(convert_to_tensor(labels), dtype=int64)
    width = labels.dims[1]
    same = P.equal(
        P.expand_dims(labels, axis=(2,)), P.expand_dims(labels, axis=(1,))
    )  # [row, label, earlier or later label]
    first = P.argmax(P.cast(same, dtype=int32), axis=2, dtype=int32)
    places = public("range")(width)
    is_first = P.equal(first, places)
    rank = P.cumsum(P.cast(is_first, dtype=int32), axis=1, exclusive=True)
    index = P.gather(rank, first, axis=1, batch_dims=1)
    spots = P.cast(P.equal(P.expand_dims(index, axis=(2,)), places), dtype=int64)
    chosen = P.expand_dims(P.where(is_first, labels, P.zeros_like(labels)), axis=(2,)) * spots
    return [P.sum(chosen, axis=(1,), keepdims=False), index]


@export("nn.collapse_repeated")
def collapse_repeated(labels, seq_length, name=None):
    """Each row of labels with repeats merged, padded with 0, and the new lengths.

    Example:
        >>> import tapeflow as tf
        >>> [x.numpy().tolist() for x in tf.nn.collapse_repeated([[1, 1, 2, 0]], [3])]
        [[[1, 2]], [2]]
    """
    labels, lengths = convert_to_tensor(labels), convert_to_tensor(seq_length)
    width = labels.dims[1]
    places = public("range")(width)
    new = P.not_equal(labels, P.concat(labels[:, :1], labels[:, :-1], axis=1))
    keep = P.logical_and(P.logical_or(new, P.equal(places, 0 * places[:1])), places < P.expand_dims(lengths, axis=(1,)))
    counts = P.cast(keep, dtype=int32)
    spots = P.equal(P.expand_dims(P.cumsum(counts, axis=1, exclusive=True), axis=(2,)), places)
    chosen = P.where(keep, labels, P.zeros_like(labels))
    total = P.sum(counts, axis=(1,), keepdims=False)
    packed = P.sum(P.expand_dims(chosen, axis=(2,)) * P.cast(spots, dtype=labels._dtype), axis=(1,), keepdims=False)
    longest = P.max(total, axis=None, keepdims=False)
    return P.strided_slice(packed, key=((None, None, None), (0, as_size(longest), None))), P.cast(
        total, dtype=lengths._dtype
    )
