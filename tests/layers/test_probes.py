"""What the conformance suite looks with sees what it should."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers import probes


def test_close_measures_by_the_largest_value():
    probes.close([100.0], [100.001], 2e-5, "near")
    with pytest.raises(AssertionError, match="far"):
        probes.close([100.0], [100.01], 2e-5, "far")
    probes.close([1e-6], [0.0], 2e-6, "absolute below 1")


def test_slope_of_a_parabola():
    x, step = np.array([3.0, -2.0]), 1e-5 * np.array([1.0, 0.5])
    above, below = np.sum((x + step) ** 2), np.sum((x - step) ** 2)
    probes.slope(above, below, 2 * step, 2 * x, "right")
    with pytest.raises(AssertionError, match="wrong"):
        probes.slope(above, below, 2 * step, 2.001 * x, "wrong")


def test_refused_wants_the_kind_and_the_words():
    probes.refused(ValueError, "invalid literal", int, "x")
    with pytest.raises(AssertionError, match="should say"):
        probes.refused(ValueError, "other words", int, "x")
    with pytest.raises(AssertionError, match="no ValueError"):
        probes.refused(ValueError, "x", int, "3")


def test_a_step_and_a_loop_of_steps():
    layer = L.Dense(2)
    x = tf.constant([[1.0, 2.0], [3.0, 5.0]])
    layer(x)
    y, grads, by_x = once = probes.weighed_step(layer, False, x)
    assert (
        y.shape == (2, 2) and by_x.shape == x.shape and [g.shape for g in grads] == [(2, 2), (2,)]
    )
    # No two rows have the same slope: what sums over rows cannot hide.
    assert not np.allclose(by_x[0], by_x[1])
    zeros = tf.nest.map_structure(tf.zeros_like, once)
    thrice = probes.looped(lambda x: probes.weighed_step(layer, False, x))(x, tf.constant(3), zeros)
    probes.close(thrice, tf.nest.map_structure(lambda t: 3 * t, once), 1e-6, "sums")


def test_walks():
    model = L.Sequential([L.Dense(2), L.Residual(L.Dense(2))])
    assert len(probes.parts_of(model)) == 4
    probes.compute_in(model, "float16")
    assert {part.compute_dtype for part in probes.parts_of(model)} == {"float16"}
    model(tf.zeros([1, 2]))
    probes.assign(model, [np.full(v.shape, 2.0) for v in model.weights])
    assert all((w == 2).all() for w in model.get_weights())
    assert probes.same_seed().dtype == tf.int32
    assert probes.two_replica_strategy().num_replicas_in_sync == 2
