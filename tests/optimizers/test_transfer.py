"""Slots of one optimizer for another, and variables that come later."""

from __future__ import annotations

import numpy as np
import pytest
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


def built(name, weights, **config):
    optimizer, ones = getattr(optimizers, name)(**config), [tf.ones_like(w) for w in weights]
    optimizer.build(weights)
    for _ in range(2):
        if name == "Sophia":
            optimizer.update_hessian(ones, weights)
        optimizer.apply(ones, weights)
    return optimizer


@pytest.mark.parametrize(
    ("source", "target", "slot"),
    [
        ("Adam", "SGD", "w/momentum"),  # a mean of gradients; a step that is added
        ("SGD", "Adam", "w/momentum"),
        ("ScheduleFreeAdamW", "AdamW", "w/momentum"),  # the weights themselves
        ("Prodigy", "Adam", "w/velocity"),  # in units of d
        ("AdaBelief", "Adam", "w/velocity"),  # of the differences
        ("Adagrad", "Ftrl", "w/accumulator"),
    ],
)
def test_what_means_something_else_is_not_copied(source, target, slot):
    weights = [tf.Variable([[1.0, 2.0]], name="w")]
    config = {"momentum": 0.9} if "SGD" in (source, target) else {}
    old = built(source, weights, **(config if source == "SGD" else {}))
    new = built(target, weights, **(config if target == "SGD" else {}))
    before = new.slot(slot.split("/")[1], weights[0]).numpy()
    report = optimizers.adopt_slots(new, old)
    assert slot in report.unlike and slot not in report.copied
    assert "of another meaning" in str(report)
    np.testing.assert_array_equal(new.slot(slot.split("/")[1], weights[0]), before)


@pytest.mark.parametrize("name", optimizers.names())
def test_one_of_the_same_class_goes_on_as_the_other(name):
    first, second = (tf.Variable([[1.0, 2.0], [3.0, 4.0]], name="w") for _ in range(2))
    old, new = built(name, [first]), getattr(optimizers, name)()
    new.build([second])
    second.assign(first)
    report = optimizers.adopt_slots(new, old)
    assert not (report.fresh or report.unfit or report.unused or report.unlike)
    for optimizer, weight in ((old, first), (new, second)):
        optimizer.apply([tf.constant([[0.5, -1.0], [2.0, 0.1]])], [weight])
    np.testing.assert_array_equal(first, second)


def test_what_belongs_to_the_rule_is_told():
    weights = [tf.Variable([1.0, 2.0], name="w")]
    nadam, adam = built("Nadam", weights), built("Adam", weights)
    assert "u_product" in str(optimizers.adopt_slots(nadam, adam).fresh)
    assert "u_product" in str(optimizers.adopt_slots(adam, nadam).unused)


def test_misuse():
    weights = [tf.Variable([1.0], name="w")]
    adam = built("Adam", weights)
    for other in (optimizers.EMA(optimizers.Adam()), optimizers.Groups({"...": optimizers.Adam()})):
        with pytest.raises(TypeError, match=r"target=.*give the optimizer within"):
            optimizers.adopt_slots(other, adam)
        with pytest.raises(TypeError, match=r"source=.*give the optimizer within"):
            optimizers.adopt_slots(adam, other)
    with pytest.raises(ValueError, match="source='sgd' is not built"):
        optimizers.adopt_slots(adam, optimizers.SGD())
    assert int(adam.iterations) == 2
