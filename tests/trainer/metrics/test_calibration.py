"""Calibration error of predictions whose calibration is known; by bins: catalogue."""

import numpy as np
import pytest

from trainer import metrics


def value(metric, *args):
    return metric.result(metric(*args))


def test_by_hand():
    # Both say 0.8; one of two is right.
    assert value(metrics.ExpectedCalibrationError(), [0, 1], [[0.8, 0.2], [0.8, 0.2]]) == (
        pytest.approx(0.3)
    )
    # Sure and right, sure and wrong.
    assert value(metrics.ExpectedCalibrationError(), [1, 1], [[0.0, 1.0], [0.0, 1.0]]) == 0.0
    assert value(metrics.ExpectedCalibrationError(), [0, 0], [[0.0, 1.0], [0.0, 1.0]]) == 1.0


def test_one_number_one_hot_and_logits_say_the_same():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.01, 0.99, 200)
    y = (rng.uniform(size=200) < p).astype(int)
    both = np.stack([1 - p, p], 1)
    plain, logits = (metrics.ExpectedCalibrationError(10, from_logits=f) for f in (False, True))
    wanted = value(plain, y, both)
    assert 0 < wanted < 0.2
    for found in (
        value(plain, np.eye(2)[y], both),
        value(plain, y, p),
        value(plain, y, p[:, None]),
        value(logits, y, np.log(both)),
        value(logits, y, np.log(p / (1 - p))),
    ):
        assert found == pytest.approx(wanted, rel=1e-5)


def test_refusals():
    with pytest.raises(ValueError, match="num_bins=0"):
        metrics.ExpectedCalibrationError(0)
