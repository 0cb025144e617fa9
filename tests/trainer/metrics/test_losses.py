"""Means of losses: what is ignored does not count; Keras's values: catalogue."""

import numpy as np
import pytest

from trainer import metrics


def test_ignored_classes_do_not_count():
    scores = np.float32(np.random.default_rng(0).normal(size=(2, 3, 4)))
    labels = np.array([[1, 2, -1], [0, -1, -1]])
    weight = np.float32([1.0, 3.0])
    for cls in (metrics.SparseCategoricalCrossentropy, metrics.Perplexity):
        all_of_it = cls(from_logits=True, ignore_class=-1)
        kept = cls(from_logits=True)
        rows = np.repeat(weight, 3)[labels.reshape(-1) >= 0]
        wanted = kept.result(kept(labels[labels >= 0], scores[labels >= 0], rows))
        assert all_of_it.result(all_of_it(labels, scores, weight)) == pytest.approx(
            wanted, rel=1e-6
        )


def test_perplexity_of_guessing_is_the_number_of_classes():
    metric = metrics.Perplexity(from_logits=True)
    assert metric.result(metric([0, 3, 2], np.zeros([3, 5]))) == pytest.approx(5.0, rel=1e-6)
    assert np.isinf(metric.value(1e4, 1.0))


def test_directions():
    assert metrics.CosineSimilarity().direction == "max"
    assert metrics.Poisson().direction == "min"
