"""Every optimizer: slots that replicas share out are, bit for bit, those of one device."""

import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from trainer import Trainer

SHAPES = {"kernel": (4, 3), "bias": (3,), "head": (3, 2)}
SETTINGS = {"use_ema": True, "global_clipnorm": 1.0}
MAKE = {  # two of three variables in a group, so that both replicas keep some of it
    "Groups": lambda: optimizers.Groups({"bias": optimizers.SGD(0.1), "...": optimizers.Muon()})
}
AT_ONCE = {"Prodigy"}  # looks at all variables at once: nothing to share out


def made(name, strategy=None):
    """An optimizer and its variables; on replicas with slots that are shared out."""
    rng = np.random.default_rng(1)
    values = {path: rng.normal(size=shape).astype("float32") for path, shape in SHAPES.items()}
    with strategy.scope() if strategy else tf.name_scope("alone"):
        weights = [tf.Variable(value, name=path) for path, value in values.items()]
        optimizer = MAKE.get(name, lambda: getattr(optimizers, name)(**SETTINGS))()
        if strategy and name not in AT_ONCE:
            optimizer.shard(strategy)
        optimizer.build(weights)
    return optimizer, weights


@pytest.mark.parametrize("name", [*optimizers.names(), *MAKE])
def test_slots_of_replicas_are_those_of_one_device(name, mirrored):
    strategy = mirrored(2)
    alone, single = made(name)
    shared, weights = made(name, strategy)

    def everywhere(*gradients):
        shared.apply(gradients, weights)
        shared.spread(weights)

    one = tf.function(lambda *gradients: alone.apply(gradients, single), autograph=False)
    both = tf.function(lambda *gradients: strategy.run(everywhere, gradients), autograph=False)
    rng = np.random.default_rng(2)
    for _ in range(3):
        gradients = [tf.constant(rng.normal(size=s).astype("float32")) for s in SHAPES.values()]
        one(*gradients)
        both(*gradients)
    pairs = zip([*weights, *shared.variables], [*single, *alone.variables], strict=True)
    for got, want in pairs:
        for copy in strategy.experimental_local_results(got):
            np.testing.assert_array_equal(copy.numpy(), want.numpy(), err_msg=want.name)


def test_both_gradients_of_sam_on_every_replica(mirrored):
    """Replicas run in turns between two exchanges, and each goes to and fro by itself."""
    x = np.float32(np.random.default_rng(3).normal(size=(8, 2)))
    y = np.float32(x @ [[1.0], [-2.0]])
    found = []
    for strategy in (None, mirrored(2)):
        trainer = Trainer(
            layers.Dense(1),
            loss=losses.MeanSquaredError(),
            optimizer=optimizers.SAM(optimizers.SGD(0.1, 0.9), 0.2),
            strategy=strategy,
            seed=1,
        )
        trainer.fit(x, y, batch_size=8, epochs=4, verbose=0)
        found.append([v.numpy() for v in trainer.task.model.trainable_variables])
    for alone, shared in zip(*found, strict=True):
        np.testing.assert_allclose(shared, alone, rtol=1e-5, atol=1e-7)
