"""Ways of running a metric, and what Keras says of the same batch."""

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(params=["plain", "compiled", "xla"])
def sums_of(request):
    """`sums_of(metric, y_true, y_pred, weight=None)`: its sums as float64 arrays."""

    compiled = {}

    def run(metric, y_true, y_pred, weight=None):
        args = [None if a is None else tf.constant(a) for a in (y_true, y_pred, weight)]
        fn = metric
        if request.param != "plain":
            if metric not in compiled:
                compiled[metric] = tf.function(
                    metric,
                    autograph=False,
                    jit_compile=request.param == "xla",
                    reduce_retracing=True,  # the second size is traced with the batch unknown
                )
            fn = compiled[metric]
        return tf.nest.map_structure(lambda t: np.asarray(t, np.float64), fn(*args))

    return run


@pytest.fixture
def keras_value():
    """`keras_value(metric, y_true, y_pred, weight=None)`: the value Keras gives."""

    def value(metric, y_true, y_pred, weight=None):
        metric.update_state(y_true, y_pred, weight)
        return float(metric.result())

    return value


@pytest.fixture
def row():
    """`row(sums)`: the sums of one step as rows of a window, `[1, ...]`."""
    return lambda sums: tf.nest.map_structure(lambda x: np.asarray(x)[np.newaxis], sums)
