"""IoU: weights that are real numbers, and refusals; its values against Keras: catalogue."""

import keras
import numpy as np
import pytest

from trainer import metrics


def test_weights_are_not_rounded_down_as_in_keras():
    y, p, w = np.array([0, 1, 1]), np.array([0, 1, 0]), np.float32([0.5, 0.5, 0.25])
    ours = metrics.MeanIoU(2)
    assert ours.result(ours(y, p, w)) == pytest.approx((0.5 / 0.75 + 0.5 / 0.75) / 2, rel=1e-6)
    theirs = keras.metrics.MeanIoU(2)
    with pytest.warns(UserWarning, match="incorrect weight"):
        theirs.update_state(y, p, w)
    assert float(theirs.result()) == 0.0


def test_dice_is_two_iou_over_one_and_iou():
    y, p = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0])
    for k in range(2):
        iou = metrics.IoU(2, [k])
        overlap = iou.result(iou(y, p))
        f1 = metrics.F1Score()
        assert f1.result(f1(np.eye(2)[y], np.eye(2)[p]))[k] == pytest.approx(
            2 * overlap / (1 + overlap), rel=1e-5
        )


def test_refusals():
    with pytest.raises(ValueError, match=r"must name classes in \[0, 2\)"):
        metrics.IoU(2, [2])
