"""A schedule at many steps, eagerly and compiled, against values."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from optimizers import schedules


@pytest.fixture
def follows():
    """follows(schedule, wanted): at the steps 0, 1, ... it has these values, float32 scalars."""

    def check(schedule, wanted, rtol=1e-6):
        steps = np.arange(len(wanted), dtype=np.int64)
        plain = [schedule(tf.constant(s)) for s in steps]
        assert all(rate.dtype == tf.float32 and rate.shape == [] for rate in plain)
        np.testing.assert_allclose(plain, wanted, rtol=rtol, atol=1e-8)
        every = tf.function(
            lambda: tf.vectorized_map(schedule, tf.constant(steps)), jit_compile=True
        )
        np.testing.assert_allclose(every(), wanted, rtol=10 * rtol, atol=1e-7 * max(wanted))
        np.testing.assert_allclose(schedule(3), wanted[3], rtol=rtol)

    return check


@pytest.fixture
def equals_keras(follows):
    """equals_keras(name, args, config): the schedule of that name, at 50 steps."""

    def check(name, args, config):
        theirs = getattr(keras.optimizers.schedules, name)(*args, **config)
        wanted = [float(theirs(tf.constant(s, tf.int64))) for s in range(50)]
        follows(getattr(schedules, name)(*args, **config), wanted)

    return check
