"""What a step of each verb is: a function of variables, batch and number, eagerly or compiled."""

import numpy as np
import pytest
import tensorflow as tf

import layers
import optimizers
from trainer import Sums, Task, Trainer
from trainer.loop import StepOutput


@pytest.fixture
def made(data):
    """A trainer whose model drops at random, and one batch."""
    model = layers.Sequential([layers.Dense(16), layers.Dropout(0.5), layers.Dense(2)])
    trainer = Trainer(model, loss="mse", optimizer=optimizers.SGD(0.1), precision="mixed_bfloat16")
    source = trainer.prepare(*data, batch_size=8, shuffle=False)
    batch = source.fetch(source.reader(0).take(1).args, tf.constant(0), 8)
    source.close()
    return trainer, batch


def _loss(trainer, verb, batch, number, compiled=False):
    step = trainer.programs.steps.of(verb)
    with trainer.scratch():  # as it was before each step
        out = (tf.function(step) if compiled else step)(batch, tf.constant(number, tf.int64))
        return float(out.sums["loss"].value)


def test_a_step_is_a_function_of_its_number(made):
    trainer, batch = made
    for compiled in (False, True):
        first, again, other = (_loss(trainer, "train", batch, n, compiled) for n in (3, 3, 4))
        assert first == again != other
    np.testing.assert_allclose(first, _loss(trainer, "train", batch, 3), rtol=1e-2)  # bfloat16


def test_a_step_of_another_verb_drops_nothing_and_updates_nothing(made):
    trainer, batch = made
    before = [v.numpy() for v in trainer.task.model.variables]
    assert _loss(trainer, "evaluate", batch, 3) == _loss(trainer, "evaluate", batch, 4)
    out = trainer.programs.steps.of("predict")(batch, tf.constant(0, tf.int64))
    assert isinstance(out, StepOutput)
    assert (out.sums, out.outputs.dtype, out.outputs.shape) == ({}, tf.float32, (8, 2))
    for old, variable in zip(before, trainer.task.model.variables, strict=True):
        np.testing.assert_array_equal(old, variable)


def test_evaluation_draws_from_a_stream_of_its_own(linear):
    """A task that draws in both steps never evaluates on what it has just trained with."""

    class Draws(Task):
        def __init__(self):
            super().__init__()
            self.drawn = tf.Variable(0.0)

        def step(self, batch, ctx):
            drawn = tf.random.stateless_normal([tf.shape(batch["x"])[0]], ctx.seed())
            return {"drawn": Sums.of(drawn)}

        eval_step = step

    trainer, batch = Trainer(Draws()), {"x": tf.zeros([3, 1])}
    values = [
        trainer.programs.steps.of(verb)(batch, tf.constant(7, tf.int64)).sums["drawn"].value
        for verb in ("train", "train", "evaluate", "evaluate")
    ]
    assert values[0] == values[1] != values[2] == values[3]
