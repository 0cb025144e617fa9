"""Optimizers as text: what they were made with."""

import tensorflow as tf

import optimizers


def test_what_was_set_is_shown():
    adam = optimizers.Adam(3e-4, weight_decay=0.01, name="mine")
    assert repr(adam) == "Adam(learning_rate=0.0003, weight_decay=0.01)"
    adam.learning_rate = 0.5
    assert repr(adam) == "Adam(learning_rate=0.5, weight_decay=0.01)"
    inside = tf.function(lambda: tf.constant(repr(adam)))
    assert inside().numpy().startswith(b"Adam(learning_rate='learning_rate:0', ")


def test_what_is_as_by_default_is_not():
    """Nor an attribute that is called as an argument and holds something else (`clip`)."""
    assert repr(optimizers.ADOPT()) == "ADOPT(learning_rate=0.001)"
    assert repr(optimizers.Muon()) == "Muon(learning_rate=0.001)"


def test_schedules_wrappers_and_groups():
    rate = optimizers.schedules.CosineDecay(0.1, 100)
    falling = optimizers.SGD(rate, weight_decay=rate)
    assert repr(falling) == f"SGD(learning_rate={rate!r}, weight_decay={rate!r})"
    ema = optimizers.EMA(optimizers.SGD(0.1, momentum=0.9), momentum=0.5)
    assert repr(ema) == "EMA(SGD(learning_rate=0.1, momentum=0.9), momentum=0.5)"
    groups = optimizers.Groups({"head": 0.1, "...": optimizers.SGD(0.1)})
    assert repr(groups) == "Groups({'head': 0.1, '...': SGD(learning_rate=0.1)})"
