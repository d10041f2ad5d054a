"""Elements drawn at random from several datasets, or so that classes come as often as wished."""

import numpy as np

from tapeflow.api.export import public
from tapeflow.base.dtypes import float32, float64, int64
from tapeflow.base.log import log
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.data.dataset import Dataset, constructor, method
from tapeflow.data.nested import DirectedInterleaveDataset

_ESTIMATED_AT_ONCE = 32  # elements after which the estimate of a distribution is brought up to date
_SEEN_BEFORE = 10  # of each class: so many are taken to have been seen at the beginning


@constructor("sample_from_datasets")
def sample_from_datasets(datasets, weights=None, seed=None, stop_on_empty_dataset=False, rerandomize_each_iteration=None):
    """Elements of several datasets, each from one that is drawn at random.

    Args:
        datasets: a list of datasets of one structure.
        weights: how likely each is to be drawn: a list, a float vector, or a dataset of such; equally likely by default.
        seed: makes the draws that TensorFlow has for this seed.
        stop_on_empty_dataset: whether it ends with the first dataset that ends, or passes over ended ones.
        rerandomize_each_iteration: whether each iteration draws anew.

    Raises:
        ValueError: there is no dataset, or the number of weights is another.
        TypeError: the structures differ, or the weights are no floats.

    Example:
        >>> import tapeflow as tf
        >>> a, b = tf.data.Dataset.range(3), tf.data.Dataset.range(100, 103)
        >>> tf.random.set_seed(1)
        >>> drawn = tf.data.Dataset.sample_from_datasets([a, b], weights=[0.5, 0.5], seed=2)
        >>> sorted(int(x) for x in drawn)
        [0, 1, 2, 100, 101, 102]
    """
    if not datasets:
        raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
    if isinstance(weights, Dataset):
        logits = weights.map(lambda *parts: P.log(convert_to_tensor(parts)))
    else:
        datasets, chances = _checked(list(datasets), weights)
        if len(datasets) == 1:
            return datasets[0]
        logits = Dataset.from_tensors(P.expand_dims(P.log(chances), axis=(0,)) if weights is not None else chances).repeat()
    seeds = Dataset.random(seed=seed, rerandomize_each_iteration=rerandomize_each_iteration).batch(2)
    choices = Dataset.zip((logits, seeds)).map(_draw)
    return DirectedInterleaveDataset(choices, datasets, stop_on_empty_dataset)


def _checked(datasets, weights):
    """The datasets that can be drawn and their weights; without weights, equal log-probabilities as a matrix."""
    if weights is None:
        return datasets, convert_to_tensor([[1.0] * len(datasets)])
    if isinstance(weights, Tensor):
        if weights.dims not in ((len(datasets),), None):
            raise ValueError(
                "Invalid `weights`. The shape of `weights` should be compatible with `[len(datasets)]` but is "
                f"{weights.shape}."
            )
    else:
        if len(datasets) != len(weights):
            raise ValueError(
                "Invalid `weights`. `weights` should have the same length as `datasets` but got "
                f"`len(weights)={len(weights)}` vs. `len(datasets)={len(datasets)}`."
            )
        pairs = [(dataset, weight) for dataset, weight in zip(datasets, weights, strict=True) if weight > 0]
        datasets, weights = map(list, zip(*pairs, strict=True)) if pairs else ([datasets[0].take(0)], [1.0])
    weights = convert_to_tensor(weights)
    if weights.dtype not in (float32, float64):
        raise TypeError(
            f"Invalid `weights`. `weights` type must be either `tf.float32` or `tf.float64` but is {weights.dtype}."
        )
    return datasets, weights


def _draw(logits, seed):
    """The number of a dataset: one draw of a categorical distribution."""
    return public("random.stateless_categorical")(logits, 1, seed)[0, 0]


@method("rejection_resample")
def rejection_resample(self, class_func, target_dist, initial_dist=None, seed=None, name=None):
    """Pairs (class, element), some elements left out so that the classes come as often as wished.

    Args:
        class_func: a function of an element that gives its class, an integer scalar.
        target_dist: how often each class is to come, floats that add up to 1.
        initial_dist: how often they come in this dataset; estimated along the way where it is None.
        seed: of the draws that decide.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.from_tensor_slices([0, 1] + [0] * 98).repeat()
        >>> balanced = dataset.rejection_resample(lambda x: x, target_dist=[0.5, 0.5], initial_dist=[0.99, 0.01], seed=1)
        >>> 30 < sum(int(x) for _, x in balanced.take(100)) < 70
        True
    """
    target = P.cast(convert_to_tensor(target_dist), dtype=float32)
    if initial_dist is None:
        initial = _estimated(self.map(class_func), target)
        both = initial.map(lambda found: _acceptance(found, target))
        acceptance, originals = both.map(lambda accepted, original: accepted), both.map(lambda accepted, original: original)
    else:
        known = P.cast(convert_to_tensor(initial_dist), dtype=float32)
        accepted, original = _acceptance(known, target)
        _warn(accepted, known)
        acceptance, originals = Dataset.from_tensors(accepted).repeat(), Dataset.from_tensors(original).repeat()
    filtered = _filtered(self, acceptance, class_func, seed).prefetch(3)
    labelled = self.map(lambda *parts: (class_func(*parts), parts if len(parts) > 1 else parts[0]))
    if initial_dist is not None:
        static = np.min(target._value / known._value)
        if static == 1:
            return labelled
        if static == 0:
            return filtered
    weights = originals.map(lambda chance: P.stack(chance, 1.0 - chance, axis=0))
    return Dataset.sample_from_datasets([labelled, filtered], weights=weights, seed=seed, stop_on_empty_dataset=True)


def _acceptance(initial, target):
    """With which probability each class is kept in what is filtered, and that of taking an element that is not filtered.

    If `m` is the least ratio of wished to found, `m` of the result may come from the dataset as it is; the rest from
    elements that are kept in proportion to what their class lacks beyond that.
    """
    ratio = target / (initial + np.finfo(np.float32).tiny)
    least, most = (reduce(ratio, axis=None) for reduce in (P.min, P.max))
    return (ratio - least) / (most - least), least


def _warn(accepted, initial):
    rejected = float(P.sum((1.0 - accepted) * initial, axis=None))
    if rejected >= 0.5:
        log.warning("Proportion of examples rejected by sampler is high: %.3g", rejected)


def _filtered(dataset, acceptance, class_func, seed):
    """Pairs (class, element) of the elements that a draw keeps."""

    def with_chance(chances, data):
        label = class_func(*data) if isinstance(data, tuple) else class_func(data)
        return label, P.gather(chances, convert_to_tensor(label), axis=0, batch_dims=0), data

    def kept(label, chance, data):
        return public("random.uniform")([], seed=seed) < chance

    labelled = Dataset.zip((acceptance, dataset)).map(with_chance)
    return labelled.filter(kept).map(lambda label, chance, data: (label, data))


def _estimated(classes, target):
    """A dataset with an estimate of the distribution of classes for each element: of what has been seen so far."""
    count = target.dims[0]

    def seen(counts, labels):
        hits = P.equal(P.expand_dims(P.cast(labels, dtype=int64), axis=(1,)), P.range(0, count, 1, dtype=int64))
        counts = counts + P.sum(P.cast(hits, dtype=int64), axis=(0,))
        found = P.cast(P.cast(counts, dtype=float64) / P.cast(P.sum(counts, axis=None), dtype=float64), dtype=float32)
        return counts, P.broadcast_to(P.expand_dims(found, axis=(0,)), shape=(_ESTIMATED_AT_ONCE, count))

    start = np.full(count, _SEEN_BEFORE, np.int64)
    return classes.batch(_ESTIMATED_AT_ONCE).scan(start, seen).unbatch()
