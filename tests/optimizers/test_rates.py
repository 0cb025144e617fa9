"""Rates and decays that are set between calls of a compiled function, and what cannot be set."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import schedules
from optimizers.rates import once

MADE = {
    "Lion": lambda: optimizers.Lion(0.5, weight_decay=0.0),
    "AdamW": lambda: optimizers.AdamW(0.5, 0.0),  # by TensorFlow's kernel
    "Lamb": lambda: optimizers.Lamb(0.5, weight_decay=0.0, paper=True),
    "Muon": lambda: optimizers.Muon(0.5, weight_decay=0.0, adam_weight_decay=0.0),
    "EMA": lambda: optimizers.EMA(optimizers.SGD(0.5, weight_decay=0.0)),
    "Groups": lambda: optimizers.Groups({"...": optimizers.SGD(0.5, weight_decay=0.0)}),
}


def updated(name, late):
    """The weights after one update with a rate and a decay, set `late`: after a step was traced."""
    optimizer, weight = MADE[name](), tf.Variable([[1.0, 2.0], [3.0, -4.0]])
    optimizer.build([weight])
    traces, every = [], [weight, *optimizer.variables]

    @tf.function(jit_compile=name == "Lion", autograph=False)
    def step():
        traces.append(1)
        optimizer.apply([tf.constant([[1.0, 0.5], [0.0, -1.0]])], [weight])

    if late:
        before = [v.numpy() for v in every]
        step()
        for v, value in zip(every, before, strict=True):
            v.assign(value)
    optimizer.learning_rate, optimizer.weight_decay = 0.25, 0.5
    step()
    assert [float(optimizer.learning_rate), float(optimizer.weight_decay)] == [0.25, 0.5]
    assert len(traces) == 1
    optimizer.weight_decay = 0.0
    moved = weight.numpy()
    step()
    return moved, weight.numpy()


@pytest.mark.parametrize("name", MADE)
def test_a_new_rate_and_a_new_decay_need_no_retracing(name):
    """As if they had been there from the beginning; and the decay can be taken away again."""
    late, early = updated(name, True), updated(name, False)
    np.testing.assert_allclose(late, early, rtol=1e-6)
    free, weight = MADE[name](), tf.Variable([[1.0, 2.0], [3.0, -4.0]])
    free.learning_rate = 0.25
    free.apply([tf.constant([[1.0, 0.5], [0.0, -1.0]])], [weight])
    assert np.abs(weight.numpy() - late[0]).max() > 0.01


def test_muon_has_two_decays():
    matrix, vector = tf.Variable(tf.eye(2)), tf.Variable([1.0, 1.0])
    optimizer = optimizers.Muon(1.0, weight_decay=0.0, adam_weight_decay=0.0)
    optimizer.build([matrix, vector])
    step = tf.function(lambda: optimizer.apply([tf.zeros([2, 2]), tf.zeros([2])], [matrix, vector]))
    step()
    optimizer.adam_weight_decay = 0.5
    step()
    np.testing.assert_array_equal(matrix, np.eye(2))
    np.testing.assert_array_equal(vector, [0.5, 0.5])
    assert float(optimizer.adam_weight_decay) == 0.5
    assert [v.name for v in optimizer.variables[1:4]] == [
        "learning_rate:0",
        "weight_decay:0",
        "adam_weight_decay:0",
    ]


def test_what_was_set_is_in_a_checkpoint(tmp_path):
    first, second = optimizers.AdamW(0.1, 0.2), optimizers.AdamW()
    first.weight_decay = 0.3
    path = tf.train.Checkpoint(optimizer=first).save(str(tmp_path / "c"))
    tf.train.Checkpoint(optimizer=second).restore(path).assert_existing_objects_matched()
    np.testing.assert_allclose([second.learning_rate, second.weight_decay], [0.1, 0.3], rtol=1e-6)


def test_what_cannot_be_set():
    none = optimizers.Adam()
    assert none.weight_decay is None
    with pytest.raises(TypeError, match=r"weight_decay=0\.1 cannot be set: it was None"):
        none.weight_decay = 0.1
    with pytest.raises(TypeError, match="weight_decay cannot become None"):
        optimizers.AdamW().weight_decay = None
    scheduled = optimizers.AdamW(weight_decay=schedules.Linear(0.1, 0.0, 10))
    with pytest.raises(TypeError, match=r"weight_decay=0\.2 cannot replace the schedule Linear"):
        scheduled.weight_decay = 0.2
    np.testing.assert_allclose(scheduled.weight_decay, 0.1)


def test_what_is_made_of_a_rate_is_made_once():
    rate, other, made = tf.constant(2.0), tf.constant(2.0), {}
    half = lambda rate: rate / 2  # noqa: E731
    assert once(rate, made, half) is once(rate, made, half)
    assert once(other, made, half) is not once(rate, made, half)
    assert float(once(rate, made, half)) == 1.0
