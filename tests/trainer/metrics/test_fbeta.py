"""F scores: refusals, and zeros; their values against Keras: catalogue."""

import numpy as np
import pytest

from trainer import metrics


def test_a_row_of_zeros_answers_nothing():
    metric = metrics.F1Score()
    sums = metric(np.eye(3), np.array([[0.9, 0.1, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.2]]))
    np.testing.assert_array_equal(sums[1], [1, 0, 1])
    np.testing.assert_allclose(metric.result(sums), [1, 0, 1], atol=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="average='mean' is unknown"):
        metrics.FBetaScore("mean")
    with pytest.raises(ValueError, match="beta=0 must be above 0"):
        metrics.FBetaScore(beta=0)
    with pytest.raises(ValueError, match=r"threshold=1\.5 must lie"):
        metrics.F1Score(threshold=1.5)
    with pytest.raises(ValueError, match=r"must be \[batch, classes\]"):
        metrics.F1Score()([1.0, 0.0], [0.2, 0.3])
