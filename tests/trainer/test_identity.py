"""A trainer in a line: what is trained, how far it is, how it computes; and that it is one."""

import copy
import pickle

import numpy as np
import pytest

import layers
import optimizers
from trainer import Sums, Task, Trainer

X, Y = np.ones([8, 3], np.float32), np.ones([8, 1], np.float32)


def test_a_model_before_and_after():
    model = layers.Sequential([layers.Dense(4), layers.Dense(1)])
    trainer = Trainer(
        model, loss="mse", optimizer=optimizers.Adam(), jit=False, precision="mixed_bfloat16"
    )
    assert repr(trainer) == "Trainer(Sequential, not built yet, Adam, step 0, epoch 0, in bfloat16)"
    trainer.fit(X, Y, batch_size=4, verbose=0)
    size = 3 * 4 + 4 + 4 + 1
    assert repr(trainer) == (
        f"Trainer(Sequential, {size} trainable parameters, Adam, step 2, epoch 1, "
        "a TensorFlow graph, in bfloat16)"
    )


def test_a_task_of_two_optimizers_and_none():
    class Two(Task):
        def __init__(self):
            super().__init__()
            self.a, self.b = layers.Dense(2), layers.Dense(1)
            self.first, self.second = optimizers.SGD(0.1), optimizers.Lion()

        def step(self, batch, ctx):
            return {"loss": Sums.of(self.b(self.a(batch[0])))}

    trainer = Trainer(Two(), jit=False)
    trainer.fit(X, Y, verbose=0)
    size = 3 * 2 + 2 + 2 + 1
    assert repr(trainer).startswith(f"Trainer(Two, {size} trainable parameters, SGD, Lion, step 1,")
    alone = Trainer(layers.Dense(1), loss="mse")
    assert repr(alone) == "Trainer(Dense, not built yet, step 0, epoch 0)"


@pytest.mark.parametrize("verb", [copy.deepcopy, pickle.dumps])
def test_neither_copied_nor_pickled(verb):
    with pytest.raises(TypeError, match=r"cannot be (copied|pickled).*save_weights.*checkpoint="):
        verb(Trainer(layers.Dense(1), loss="mse"))
