"""Batch renormalisation against Keras, several steps, clipped and not."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L


@pytest.mark.parametrize("clipping", [None, {"rmin": 0.9, "rmax": 1.1, "dmax": 0.2}])
@pytest.mark.parametrize("scale", [True, False])
def test_keras(clipping, scale):
    ours = L.BatchRenormalization(renorm_clipping=clipping, scale=scale, renorm_momentum=0.8)
    theirs = keras.layers.BatchNormalization(
        renorm=True, renorm_clipping=clipping, scale=scale, renorm_momentum=0.8
    )
    rng = np.random.default_rng(0)
    for _ in range(4):
        x = tf.constant(rng.normal(1.0, 2.0, [6, 4, 3]), tf.float32)
        outs = []
        for layer in (ours, theirs):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
                loss = tf.reduce_sum(tf.sin(y))
            outs.append((y, tape.gradient(loss, x)))
        for a, b in zip(*outs, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours(x), theirs(x), atol=2e-5)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"renorm_clipping takes .* got \['rmean'\]"):
        L.BatchRenormalization(renorm_clipping={"rmean": 1.0})
    with pytest.raises(ValueError, match="renorm_momentum must be in"):
        L.BatchRenormalization(renorm_momentum=2.0)
