"""Losses against Keras on drawn shapes, ranks, dtypes, weights and masks."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import losses

# name -> the targets and predictions it takes: of one shape, within these bounds.
BOUNDS = {
    "MeanSquaredError": (-5, 5),
    "MeanAbsoluteError": (-5, 5),
    "MeanAbsolutePercentageError": (0.5, 5),
    "MeanSquaredLogarithmicError": (0, 5),
    "Huber": (-3, 3),
    "LogCosh": (-5, 5),
    "CosineSimilarity": (0.1, 5),
    "Poisson": (0.1, 5),
    "KLDivergence": (0, 1),
    "BinaryCrossentropy": (0, 1),
    "BinaryFocalCrossentropy": (0, 1),
    "CategoricalCrossentropy": (0.01, 1),
    "CategoricalFocalCrossentropy": (0.01, 1),
    "Hinge": (-2, 2),
    "SquaredHinge": (-2, 2),
    "CategoricalHinge": (0, 1),
}
REDUCTIONS = ("sum_over_batch_size", "mean_with_sample_weight", "sum", "none")


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(BOUNDS)),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    k=st.integers(2, 5),
    dtypes=st.tuples(*[st.sampled_from(["float16", "bfloat16", "float32", "float64"])] * 2),
    reduction=st.sampled_from(REDUCTIONS),
    weighted=st.sampled_from([None, "examples", "values"]),
    masked=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_equals_keras(name, shape, k, dtypes, reduction, weighted, masked, seed):
    rng = np.random.default_rng(seed)
    # Rounded to the dtypes first: Keras computes in float32 what ours must compute in it too.
    y_true, y_pred = (tf.cast(rng.uniform(*BOUNDS[name], (*shape, k)), dtype) for dtype in dtypes)
    weights = {
        None: None,
        "examples": rng.uniform(size=shape[:1]).astype("f"),
        "values": rng.uniform(size=shape).astype("f"),
    }[weighted]
    if weighted == "examples" and len(shape) > 1:
        weights = weights.reshape([-1] + [1] * (len(shape) - 1))  # Keras needs the axes
    mask = tf.constant(rng.uniform(size=shape) < 0.7)

    def graded(module):
        loss = getattr(module, name)(reduction=reduction)
        source = tf.cast(y_pred, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(source)
            given = tf.identity(source)
            if masked:
                given._keras_mask = mask
            value = loss(tf.cast(y_true, tf.float32), given, sample_weight=weights)
        return value, tape.gradient(value, source)

    (value, gradient), (wanted, slope) = graded(losses), graded(keras.losses)
    if masked and not np.any(mask):  # ours is 0 where Keras may give NaN
        assert np.isfinite(value).all() and np.isfinite(gradient).all()
        return
    np.testing.assert_allclose(value, wanted, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(
        gradient, slope, rtol=1e-5, atol=1e-6 * max(1, np.max(np.abs(slope)))
    )
    in_its_dtype = getattr(losses, name)(reduction=reduction)(y_true, y_pred, weights)
    assert in_its_dtype.dtype == tf.float32
    if not masked:
        np.testing.assert_allclose(in_its_dtype, value, rtol=1e-6, atol=1e-6)
