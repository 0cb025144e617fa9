"""PRCurve: its values stand in the catalogue; here what it refuses and where it bends."""

import numpy as np
import pytest

from trainer import metrics


def test_runs_from_everything_to_nothing():
    metric = metrics.PRCurve(5)
    y, p = np.array([1, 0, 1, 0], "f"), np.array([0.9, 0.6, 0.3, 0.1], "f")
    tp, fp, tn, fn, precision, recall = metric.result(metric(y, p))
    np.testing.assert_array_equal(tp, [2, 2, 1, 1, 0])
    np.testing.assert_array_equal(fp, [2, 1, 1, 0, 0])
    np.testing.assert_array_equal(tp + fn, 2)
    np.testing.assert_array_equal(fp + tn, 2)
    np.testing.assert_array_equal(recall, [1, 1, 0.5, 0.5, 0])
    np.testing.assert_allclose(precision, [0.5, 2 / 3, 0.5, 1, 0])


@pytest.mark.parametrize("n", [0, 2, True])
def test_refuses(n):
    with pytest.raises(ValueError, match="num_thresholds="):
        metrics.PRCurve(n)
