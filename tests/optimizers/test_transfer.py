"""Slots of one optimizer for another, and variables that come later."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

import optimizers


def test_what_fits_is_copied_and_all_is_told():
    weights = [tf.Variable(tf.ones([3, 2]), name="kernel"), tf.Variable(tf.ones([2]), name="bias")]
    adam, factored = optimizers.Adam(), optimizers.Adafactor()
    for _ in range(2):
        adam.apply([tf.ones_like(w) for w in weights], weights)
    factored.build(weights)
    report = optimizers.adopt_slots(factored, adam)
    assert report.copied == ["bias/velocity"]
    assert report.fresh == ["kernel/row", "kernel/column"]
    assert report.unused == ["kernel/momentum", "bias/momentum", "kernel/velocity"]
    assert report.unfit == [] and int(factored.iterations) == 2
    np.testing.assert_array_equal(
        factored.slot("velocity", weights[1]), adam.slot("velocity", weights[1])
    )
    assert "1 copied: bias/velocity" in str(report) and "3 not in the target" in str(report)


def test_variables_of_another_model_are_matched_by_name():
    old = [tf.Variable([1.0, 2.0], name="a"), tf.Variable([1.0], name="b")]
    new = [tf.Variable([1.0, 2.0], name="a"), tf.Variable([1.0, 2.0], name="b")]
    source, target = optimizers.SGD(0.1, 0.9), optimizers.SGD(0.1, 0.5)
    source.apply([tf.ones([2]), tf.ones([1])], old)
    target.build(new)
    report = optimizers.adopt_slots(target, source)
    assert report.copied == ["a/momentum"] and report.unfit == ["b/momentum (1,) -> (2,)"]
    np.testing.assert_allclose(target.slot("momentum", new[0]), [-0.1, -0.1], rtol=1e-6)
