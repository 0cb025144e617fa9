"""What a checkpoint would leave out is found in the traced step."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.checkpoint import guard
from trainer.loop import Loop, StepOutput
from trainer.sums import Sums


def _graphs(step):
    loop = Loop(step, lambda args, i, rows: tf.gather(args[0], i), 4)
    loop.trace((tf.constant(np.ones([3, 4, 2], "float32")),))
    return loop.graphs


@pytest.mark.parametrize("nested", [False, True], ids=["step", "tf.while_loop"])
def test_variables_that_the_walk_does_not_find(nested):
    kept, lost = tf.Variable(1.0, name="kept"), tf.Variable([1.0, 2.0], name="lost")

    def again(i):
        lost.assign_add([1.0, 1.0])
        return i + 1

    def step(batch, number):
        kept.assign_add(1.0)
        if nested:
            tf.while_loop(lambda i: i < 2, again, [0])
        else:
            lost.assign_add([1.0, 1.0])
        return StepOutput({"loss": Sums.of(batch)}, {}, ())

    graphs = _graphs(step)
    guard.check_variables(graphs, {id(kept), id(lost)})
    with pytest.raises(ValueError, match=r"cannot be found from the task: lost \(2,\)\."):
        guard.check_variables(graphs, {id(kept)})


def test_states_of_kernels_are_named():
    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float32, 0.0)

    def draws(batch, number):
        return StepOutput({"loss": Sums.of(batch + tf.random.normal([2]))}, {}, ())

    def writes(batch, number):
        table.insert([number], [1.0])
        return StepOutput({"loss": Sums.of(batch)}, {}, ())

    def exact(batch, number):
        noise = tf.random.stateless_normal([2], [1, 2])
        return StepOutput({"loss": Sums.of(batch + noise)}, {}, ())

    assert "RandomStandardNormal" in guard.inexact(_graphs(draws))[0]
    assert "lookup table" in guard.inexact(_graphs(writes))[0]
    assert guard.inexact(_graphs(exact)) == []
