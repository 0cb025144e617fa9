"""Pictures in characters."""

import numpy as np

from benchmarks.pictures import side_by_side


def test_two_images_stand_beside_each_other():
    left = np.array([[0.0, 1.0], [0.5, 0.0]])
    right = np.array([[1.0, 1.0], [0.0, 0.0]])
    # 0.5 of nine steps is 4.5, which rounds to the even 4.
    assert side_by_side(np.stack([left, right])) == "  @@  @@@@\n=="


def test_what_lies_outside_is_cut():
    assert side_by_side(np.array([[[-1.0, 2.0]]])) == "  @@"
