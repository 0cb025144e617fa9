"""GIoU by hand on boxes that can be drawn on squared paper."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import losses

# A square of 2 by 2 against: itself, one shifted by 1 and 1, one apart, one without an area.
BOX = np.array([[0.0, 0, 2, 2]] * 4)
OTHERS = np.array([[0.0, 0, 2, 2], [1, 1, 3, 3], [3, 0, 5, 2], [1, 1, 1, 1]])


def test_by_hand():
    np.testing.assert_allclose(losses.giou(BOX, OTHERS, "iou"), [0, 1 - 1 / 7, 1, 1], atol=1e-7)
    np.testing.assert_allclose(
        losses.giou(BOX, OTHERS), [0, 1 - 1 / 7 + 2 / 9, 1 + 2 / 10, 1], atol=1e-6
    )
    assert losses.giou(BOX.reshape(2, 2, 4), OTHERS.reshape(2, 2, 4)).shape == [2, 2]


def test_boxes_apart_still_pull():
    box = tf.constant(OTHERS[2:3])
    with tf.GradientTape() as tape:
        tape.watch(box)
        value = losses.GIoU()(BOX[2:3], box)
    assert np.abs(tape.gradient(value, box)).max() > 0.01


def test_refusals():
    with pytest.raises(ValueError, match=r"boxes are \[..., 4\]"):
        losses.giou(BOX[:, :3], OTHERS[:, :3])
    with pytest.raises(ValueError, match="mode='diou' is unknown"):
        losses.GIoU("diou")
