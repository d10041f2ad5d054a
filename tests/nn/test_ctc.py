"""CTC against sums over all paths."""

import itertools

import numpy as np
import pytest

import tapeflow as tf

rng = np.random.default_rng(4)


def spelled(path, blank):
    """What a path spells: repeats merged, then blanks dropped."""
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def probabilities(logits):
    x = np.exp(logits - logits.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def all_labels(logits, blank):
    """The probability of everything that paths through the frames [time, classes] can spell."""
    p, found = probabilities(logits), {}
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        labels = spelled(path, blank)
        found[labels] = found.get(labels, 0) + np.prod(p[np.arange(len(p)), path])
    return found


@pytest.mark.parametrize("blank", [0, 1, -1])
def test_the_loss_sums_all_paths(blank):
    logits = rng.normal(size=(4, 3, 3))
    lengths = [4, 3, 4]
    label = 1 if blank % 3 != 1 else 2
    other = next(i for i in range(3) if i not in (label, blank % 3))
    labels, label_lengths = [[label, other], [label, label], [0, 0]], [2, 2, 0]
    loss = tf.nn.ctc_loss(labels, logits, label_lengths, lengths, blank_index=blank).numpy()
    for i in range(3):
        known = all_labels(logits[: lengths[i], i], blank % 3)
        assert loss[i] == pytest.approx(-np.log(known[tuple(labels[i][: label_lengths[i]])]))


def test_its_gradient_is_the_slope():
    logits, labels = rng.normal(size=(5, 2, 4)), [[1, 2, 2], [3, 1, 0]]

    def loss(x):
        return tf.reduce_sum(tf.nn.ctc_loss(labels, x, [3, 2], [5, 4]) * [1.0, 2.0])

    x = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.nn.ctc_loss(labels, x, [3, 2], [5, 4]) * tf.constant([1.0, 2.0], tf.float64))
    gradient = tape.gradient(y, x).numpy()
    assert not gradient[4, 1].any()
    for at in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[at] = 1e-6
        high, low = [tf.nn.ctc_loss(labels, logits + s, [3, 2], [5, 4]).numpy() @ [1.0, 2.0] for s in (step, -step)]
        assert gradient[at] == pytest.approx((high - low) / 2e-6, abs=1e-7)


def test_the_second_derivative_is_refused():
    x = tf.constant(rng.normal(size=(4, 1, 3)))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            loss = tf.nn.ctc_loss([[1]], x, [1], [4])
        gradient = inner.gradient(loss, x)
    with pytest.raises(LookupError, match="ctc_loss has no second derivative"):
        outer.gradient(gradient, x)


def test_labels_that_do_not_fit_have_a_finite_loss_and_gradient():
    x = tf.constant(rng.normal(size=(2, 1, 3)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.nn.ctc_loss([[1, 1]], x, [2], [2])  # two equal labels need a blank between them
    assert 700 < float(loss[0]) < 720
    assert np.isfinite(tape.gradient(loss, x)).all()


def test_sparse_ragged_and_batch_major():
    logits, dense = rng.normal(size=(5, 2, 4)).astype("f"), [[1, 2, 2], [3, 1, 0]]
    expected = tf.nn.ctc_loss(dense, logits, [3, 2], [5, 4])
    sparse = tf.SparseTensor([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1]], [1, 2, 2, 3, 1], [2, 3])
    np.testing.assert_allclose(tf.nn.ctc_loss(sparse, logits, None, [5, 4], blank_index=0), expected)
    moved = tf.nn.ctc_loss(dense, logits.swapaxes(0, 1), [3, 2], [5, 4], logits_time_major=False)
    np.testing.assert_allclose(moved, expected)
    with pytest.raises(ValueError, match="`blank_index` must be provided"):
        tf.nn.ctc_loss(sparse, logits, None, [5, 4])
    for labels, label_length, logit_length in [
        ([[9], [1]], [1, 1], [5, 4]),
        ([[1], [1]], [2, 1], [5, 4]),
        ([[1], [1]], [1, 1], [9, 4]),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError):
            tf.nn.ctc_loss(labels, logits, label_length, logit_length)


def test_beam_search_finds_the_likeliest_labels():
    logits = rng.normal(size=(4, 2, 3))
    paths, scores = tf.nn.ctc_beam_search_decoder(logits, [4, 3], beam_width=60, top_paths=3)
    for i, length in enumerate([4, 3]):
        best = sorted(all_labels(logits[:length, i], 2).items(), key=lambda item: -item[1])[:3]
        np.testing.assert_allclose(np.exp(scores[i]), [p for _, p in best])
        for path, (labels, _) in zip(paths, best, strict=True):
            assert tuple(path.values.numpy()[path.indices.numpy()[:, 0] == i]) == labels


def test_greedy_decoder():
    logits = rng.normal(size=(6, 3, 4)).astype("f")
    (found,), score = tf.nn.ctc_greedy_decoder(logits, [6, 4, 0], blank_index=0)
    for i, length in enumerate([6, 4, 0]):
        best = logits[:length, i].argmax(-1)
        assert tuple(found.values.numpy()[found.indices.numpy()[:, 0] == i]) == spelled(best, 0)
        assert float(score[i, 0]) == pytest.approx(-logits[:length, i].max(-1).sum(), abs=1e-5)
    with pytest.raises(tf.errors.FailedPreconditionError, match=r"sequence_length\(0\) <= 6"):
        tf.nn.ctc_greedy_decoder(logits, [9, 1, 1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="more paths than the beam width"):
        tf.nn.ctc_beam_search_decoder(logits, [6, 6, 6], beam_width=2, top_paths=3)


def test_repeats_and_distinct_labels():
    merged, lengths = tf.nn.collapse_repeated([[1, 1, 2, 2, 1], [1, 1, 1, 1, 1]], [5, 3])
    assert merged.numpy().tolist() == [[1, 2, 1], [1, 0, 0]] and lengths.numpy().tolist() == [3, 1]
    distinct, index = tf.nn.ctc_unique_labels([[1, 2, 2, 1], [3, 3, 3, 1]])
    assert distinct.numpy().tolist() == [[1, 2, 0, 0], [3, 1, 0, 0]] and index.numpy().tolist() == [
        [0, 1, 1, 0],
        [0, 0, 0, 1],
    ]
