"""Pictures: colors and places of a matrix, and what images of any dtype become."""

import numpy as np
import pytest

from trainer.callbacks.tensorboard import pictures


def test_a_matrix_is_colored_by_the_share_of_its_row():
    found = pictures.matrix(np.array([[9, 1], [0, 5]]))
    assert found.shape == (56, 56, 3)
    corner = found[2::28, 2::28].astype(int)  # of each cell, beside its number
    darkness = 765 - corner.sum(-1)
    assert darkness[1, 1] > darkness[0, 0] > darkness[0, 1] > darkness[1, 0]
    ink = (found[:28, :28] == 255).all(-1)[1:, 1:]
    assert ink.sum() == 4 * (12 + 12)  # "90": twelve pixels each, four times as large


def test_numbers_are_left_out_of_large_matrices():
    assert pictures.matrix(np.eye(100)).shape == (1000, 1000, 3)
    assert len(np.unique(pictures.matrix(np.eye(100)).reshape(-1, 3), axis=0)) == 2
    assert pictures.matrix(np.zeros((2, 2))).min() >= 247  # nothing was counted


@pytest.mark.parametrize(
    ("array", "want"),
    [
        (np.array([0, 255], np.uint8), [0, 255]),
        (np.array([0.0, 0.5, 1.0]), [0, 128, 255]),
        (np.array([0.0, 100.0, 255.0]), [0, 100, 255]),
        (np.array([-1.0, 0.0, 3.0]), [0, 64, 255]),
        (np.array([np.nan, 1.0]), [0, 255]),
    ],
)
def test_pixels(array, want):
    found = pictures.pixels(array.reshape(1, 1, -1))
    assert found.dtype == np.uint8
    assert found.shape == (1, 1, len(want), 1)
    np.testing.assert_array_equal(found.ravel(), want)


def test_frames_and_rows():
    gray, color = np.zeros([5, 6, 1], np.uint8), np.ones([5, 4, 3], np.uint8)
    assert pictures.enlarged(gray, 12).shape == (15, 18, 1)
    framed = pictures.framed(gray, (1, 2, 3))
    assert framed.shape == (13, 14, 3)
    assert framed[0, 0].tolist() == [1, 2, 3]
    assert pictures.beside([gray, color]).shape == (5, 6 + 4 + 4, 3)
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        pictures.pixels(np.zeros([2, 3]))
