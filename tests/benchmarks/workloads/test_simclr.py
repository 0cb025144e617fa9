"""SimCLR's views, and its examination."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.data import Data
from benchmarks.workloads import simclr
from trainer.random import Seeds


def test_a_view_that_changes_nothing_is_the_image(monkeypatch):
    """Zoom 1, no offset, the same light, no noise: linear interpolation at the pixels is exact."""
    middle = {(0.8, 1.25): 1.0, (-4.0, 4.0): 0.0, (0.5, 1.5): 1.0}
    monkeypatch.setattr(
        tf.random,
        "stateless_uniform",
        lambda shape, seed, low, high: middle[low, high] + tf.zeros(shape),
    )
    monkeypatch.setattr(tf.random, "stateless_normal", lambda shape, seed: tf.zeros(shape))
    images = np.random.default_rng(0).random([2, simclr.SIDE, simclr.SIDE], np.float32)
    np.testing.assert_allclose(simclr.view(images, Seeds(0, 0).next), images, atol=1e-6)


def test_a_view_moves_the_image_by_whole_pixels(monkeypatch):
    """NumPy: an offset of 2 shows at (i, j) what was at (i + 2, j + 2)."""
    drawn = {(0.8, 1.25): 1.0, (-4.0, 4.0): 2.0, (0.5, 1.5): 0.5}
    monkeypatch.setattr(
        tf.random,
        "stateless_uniform",
        lambda shape, seed, low, high: drawn[low, high] + tf.zeros(shape),
    )
    monkeypatch.setattr(tf.random, "stateless_normal", lambda shape, seed: tf.zeros(shape))
    images = np.random.default_rng(0).random([2, simclr.SIDE, simclr.SIDE], np.float32)
    expected = np.zeros_like(images)
    expected[:, :-2, :-2] = 0.5 * images[:, 2:, 2:]
    np.testing.assert_allclose(simclr.view(images, Seeds(0, 0).next), expected, atol=1e-6)


def test_views_differ_from_each_other_and_come_again():
    images = tf.ones([2, simclr.SIDE, simclr.SIDE])

    def views():
        seeds = Seeds(0, 5)
        return simclr.view(images, seeds.next), simclr.view(images, seeds.next)

    (one, other), (again, _) = views(), views()
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.1
    assert np.abs(one[0] - one[1]).max() > 0.1


def test_digits_keep_their_pixels_and_lie_anywhere():
    digits = 0.1 + np.random.default_rng(0).random([200, 8, 8], np.float32)
    placed = simclr.place(digits, np.random.default_rng(0))
    np.testing.assert_allclose(placed.sum((1, 2)), digits.sum((1, 2)), rtol=1e-5)
    assert placed.any((0, 2)).all() and placed.any((0, 1)).all()


def test_the_nearest_by_direction_tell_the_label():
    directions = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    x = np.repeat(directions, 5, axis=0)
    labels = np.repeat([3, 7], 5)
    data = Data(
        x, labels, np.array([[9.0, 1.0], [0.1, 0.2], [2.0, 1.0]], np.float32), np.array([3, 7, 7])
    )
    assert simclr.nearest_tell(lambda x: x, data) == pytest.approx(2 / 3)
