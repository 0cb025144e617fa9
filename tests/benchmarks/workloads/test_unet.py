"""The U-Net's shape, and its measure of quality."""

import numpy as np
import pytest

from benchmarks import workloads
from benchmarks.data import Data
from benchmarks.workloads import unet


class Guess:
    """A trainer whose model finds what it is told."""

    def __init__(self, found):
        self.found = np.eye(unet.CLASSES, dtype=np.float32)[found]

    def evaluate(self, x, y, verbose):
        return {"accuracy": float(np.mean(self.found.argmax(-1) == y))}

    def predict(self, x):
        return self.found


def test_mean_iou_is_the_mean_over_classes():
    truth = np.array([[[0, 0], [1, 1]], [[2, 2], [3, 3]]])
    data = Data(truth, truth, truth, truth)
    assert workloads.get("unet").quality(Guess(truth), data)["mean_iou"] == pytest.approx(1.0)
    found = np.array([[[0, 0], [1, 0]], [[2, 2], [3, 3]]])  # 0: 2 of 3, 1: 1 of 2
    quality = workloads.get("unet").quality(Guess(found), data)
    assert quality["mean_iou"] == pytest.approx((2 / 3 + 1 / 2 + 1 + 1) / 4)
    assert quality["accuracy"] == pytest.approx(7 / 8)


def test_it_names_every_pixel_at_every_depth():
    model = workloads.get("unet", {"widths": (2, 3, 4)}).model()
    assert model(np.zeros([1, 8, 16, 3], np.float32)).shape == [1, 8, 16, unet.CLASSES]
