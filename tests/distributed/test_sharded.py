"""Sharded slots train as one device does, hold each slot once, and leave the same checkpoints."""

import collections

import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from benchmarks.replicated.trainings import distance, train
from trainer import LossScale, Precision, Replication, Task, Trainer, state

WAYS = [
    ("mlp", {}),  # Adam, clipped by the norm of all gradients
    ("text", {"precision": Precision("float32", loss_scale=LossScale(2.0**10))}),  # averages
    ("mlp", {"jit": "step"}),
    ("gan", {"accumulate": 2}),
]


def sharded(mirrored, count):
    return Replication(mirrored(count), slots="sharded")


@pytest.mark.parametrize(("name", "settings"), WAYS)
def test_sharded_slots_train_as_one_device_does(name, settings, mirrored):
    _, _, want = train(name, **settings)
    _, _, got = train(name, sharded(mirrored, 4), **settings)
    assert distance(got, want) < 1e-6


def test_each_device_holds_its_share_of_the_slots(mirrored):
    """Adam's two slots of 4 x 64 x 64 numbers: a device holds 2, where it would hold all 8."""
    strategy = mirrored(4)

    class Wide(Task):
        def __init__(self):
            super().__init__()
            self.model = L.Sequential([L.Dense(64, use_bias=False) for _ in range(4)])
            self.optimizer = optimizers.Adam()

        def step(self, batch, ctx):
            def loss_fn(part):
                return tf.reduce_sum(self.model(part), axis=-1)

            variables = self.model.trainable_variables
            return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, variables)}

    held = {}
    for slots in ("replica", "sharded"):
        task = Wide()
        trainer = Trainer(task, strategy=Replication(strategy, slots=slots), jit=False)
        trainer.fit(np.ones([8, 64], "float32"), batch_size=8, steps=1, verbose=0)
        found = collections.Counter()
        for slot in [*task.optimizer.slots["momentum"], *task.optimizer.slots["velocity"]]:
            for copy in strategy.experimental_local_results(slot):
                found[copy.device] += copy.shape.num_elements()
        held[slots] = sorted(found.values())
    assert held == {"replica": [8 * 64 * 64] * 4, "sharded": [2 * 64 * 64] * 4}


def test_a_checkpoint_does_not_say_where_slots_lived(mirrored, tmp_path):
    _, _, want = train("mlp", steps=30)
    for steps, strategy in ((7, sharded(mirrored, 2)), (15, None), (30, sharded(mirrored, 4))):
        trainer, _, got = train("mlp", strategy, steps, checkpoint=str(tmp_path))
        assert trainer.step == steps
    assert distance(got, want) < 1e-6
    assert state.variables(trainer.task).keys() == want.keys()


def test_optimizers_that_cannot_share_out_their_slots_are_refused(mirrored):
    task = Task()
    task.optimizer = optimizers.Lookahead(optimizers.Adam())
    with pytest.raises(ValueError, match="'optimizer' is a Lookahead, whose slots cannot be"):
        Trainer(task, strategy=sharded(mirrored, 2))
