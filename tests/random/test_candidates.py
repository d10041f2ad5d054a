"""Candidate samplers: literals are what TensorFlow 2.21 draws after `tf.random.set_seed(5)` with `seed=7`."""

import numpy as np
import pytest

import tapeflow as tf

TRUE = tf.constant([[1, 2], [3, 0]], tf.int64)


@pytest.fixture(autouse=True)
def seeded():
    tf.random.set_seed(5)
    yield
    tf.random.set_seed(None)


@pytest.mark.parametrize(
    "name, unique, drawn, expected",
    [
        ("uniform", True, [5, 6, 1, 8], 0.44507107),
        ("uniform", False, [5, 6, 1, 5], 0.44444445),
        ("log_uniform", True, [2, 0, 3, 6], 0.6871943),
        ("log_uniform", False, [2, 0, 3, 0], 0.704365),
        ("learned_unigram", True, [1, 8, 0, 6], 0.61025566),
        ("learned_unigram", False, [1, 1, 1, 8], 0.44444445),
    ],
)
def test_draws(name, unique, drawn, expected):
    result = getattr(tf.random, f"{name}_candidate_sampler")(TRUE, 2, 4, unique, 9, seed=7)
    assert result.sampled_candidates.numpy().tolist() == drawn
    np.testing.assert_allclose(result.true_expected_count[0, 0], expected, rtol=1e-6)
    assert result.sampled_expected_count.shape.as_list() == [4]


def test_given_weights():
    sample = tf.random.fixed_unigram_candidate_sampler
    result = sample(TRUE, 2, 4, True, 5, unigrams=[1, 2, 3, 4, 5], seed=7)
    assert result.sampled_candidates.numpy().tolist() == [4, 2, 1, 3]
    np.testing.assert_allclose(result.true_expected_count, [[0.53333336, 0.8], [1.0666667, 0.26666668]], rtol=1e-6)
    result = sample(TRUE, 2, 4, False, 6, unigrams=[1, 2, 3, 4, 5], num_reserved_ids=1, distortion=0.5, seed=7)
    assert result.sampled_candidates.numpy().tolist() == [1, 2, 5, 5]
    assert result.true_expected_count[1, 1].numpy() == 0


def test_a_learned_sampler_learns():
    often = tf.constant([[2]] * 1000, tf.int64)
    counts = [
        tf.random.learned_unigram_candidate_sampler(often, 1, 1, False, 5, seed=3).true_expected_count[0, 0].numpy()
        for _ in range(2)
    ]
    np.testing.assert_allclose(counts, [1 / 5, 1001 / 1005], rtol=1e-6)


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((TRUE, 2, 9, True, 4), "Sampler's range is too small"),
        ((TRUE, 3, 2, True, 4), "true_classes must have num_true columns, expected: 2 was: 3"),
        ((TRUE[0], 2, 2, True, 4), "true_classes must be a matrix"),
        ((TRUE, 2, 0, True, 4), "must be at least minimum 1"),
        ((TRUE, 2, 2, True, 3), r"`true_candidate` out of range \[0, 3\), received 3"),
    ],
)
def test_errors(arguments, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        tf.random.uniform_candidate_sampler(*arguments)
