"""The DCGAN's measure of quality."""

import numpy as np

from benchmarks.workloads import dcgan


def test_the_distance_of_a_set_to_itself_is_nothing():
    images = np.random.default_rng(0).random([200, 8, 8], np.float32)
    assert abs(dcgan.frechet(images, images)) < 1e-6


def test_the_distance_is_that_of_two_gaussians(monkeypatch):
    """Dowson and Landau 1982: with covariances that commute, `|m - n|^2 + |C^1/2 - D^1/2|^2`."""
    monkeypatch.setattr(dcgan, "features", lambda x: x)
    rng = np.random.default_rng(0)
    x = rng.normal(size=[500, 3])
    x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T  # identity covariance
    y = x * [1.0, 2.0, 4.0] + [0.0, 3.0, 0.0]
    np.testing.assert_allclose(dcgan.frechet(x, y), 9.0 + 1.0 + 9.0, rtol=1e-6)


def test_features_are_drawn_once_and_for_all():
    images = np.random.default_rng(0).random([3, 8, 8], np.float32)
    found = dcgan.features(images)
    assert found.shape == (3, dcgan.FEATURES) and (found >= 0).all() and (found > 0).any()
    np.testing.assert_array_equal(found, dcgan.features(images))
