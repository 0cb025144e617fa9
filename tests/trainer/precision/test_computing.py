"""A precision at work: built once, in force while traced, looked after once a mode."""

from contextlib import nullcontext

import numpy as np
import pytest
import tensorflow as tf

import layers
import optimizers
from trainer import LossScale, Precision, Task, Trainer
from trainer.precision.computing import Computing


class Two(Task):
    def __init__(self):
        super().__init__()
        self.model = layers.Dense(2)
        self.model(tf.ones([1, 3]))
        self.optimizers = {"a": optimizers.SAM(optimizers.SGD()), "b": optimizers.Adam()}


def _computing(precision, said=None):
    task = Two()
    warn = (lambda text: None) if said is None else said.append
    return task, Computing(task, precision, nullcontext, warn)


def test_each_outermost_optimizer_gets_one_scale_and_keeps_it():
    task, computing = _computing(Precision("float16", loss_scale=LossScale(8.0)))
    computing.build()
    first = computing.scalers.of(task.optimizers["a"])
    computing.build()
    assert computing.scalers.of(task.optimizers["a"]) is first
    paths = {path.rsplit("/", 1)[0] for path in computing.scalers.variables}
    assert paths == {"loss_scale/optimizers/a", "loss_scale/optimizers/b"}


@pytest.mark.parametrize("precision", [None, Precision(), Precision("bfloat16")])
def test_no_scale_where_none_is_needed(precision):
    task, computing = _computing(precision)
    computing.build()
    assert computing.scalers.of(task.optimizers["a"]) is None
    assert computing.scalers.variables == {}
    assert "not scaled" in str(computing.scalers.overflows)


def test_a_mode_is_looked_at_once():
    said = []
    _, computing = _computing(Precision("bfloat16"), said)
    spec = tf.TensorSpec([2, 2])
    graph = tf.function(tf.matmul).get_concrete_function(spec, spec).graph
    for mode in ("graph", "graph"):
        computing.look(graph, mode)
    assert len(said) == 1
    assert "float32 MatMul" in said[0]


def test_an_output_dtype_of_ones_own_is_left_as_it_was():
    task, computing = _computing(Precision("bfloat16"))
    task.model.output_dtype = "float64"
    with computing.in_force():
        assert task.model(tf.ones([1, 3])).dtype == tf.float64
    assert task.model.output_dtype == "float64"


class Frozen(Task):
    """Trains what is not marked as trainable."""

    def __init__(self):
        super().__init__()
        self.w, self.optimizer = tf.Variable(1.0, trainable=False), optimizers.SGD()

    def step(self, batch, ctx):
        return {"loss": ctx.minimize(lambda x: self.w * x, batch, self.optimizer, [self.w])}


def test_an_overflow_of_a_variable_that_is_not_counted_is_skipped_all_the_same():
    trainer = Trainer(Frozen(), precision="mixed_float16", jit=False)
    trainer.fit(np.full(8, np.inf, "float32"), batch_size=8, verbose=0)
    assert trainer.task.w == 1.0
    assert "1" in str(trainer.overflows())


@pytest.mark.parametrize("overflows_on", [0, 1])
@pytest.mark.parametrize("own", [True, False])
def test_an_overflow_on_any_replica_leaves_the_update_out_on_all(own, overflows_on, sgd):
    """Keras looks at replica 0 alone and writes infinities. Two replicas equal one device: scale,
    counters and weights, also with an optimizer that updates outside of the replicas.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 3)).astype("float32"), rng.normal(size=(32, 2)).astype("float32")
    x[8 + 4 * overflows_on] *= 1e5  # the second batch of 8, in the share of one replica

    def train(strategy):
        trainer = Trainer(
            layers.Dense(2, kernel_initializer="ones"),
            loss="mse",
            optimizer=optimizers.SGD(0.01) if own else sgd(0.01),
            precision=Precision("float16", loss_scale=LossScale(2.0**8, dynamic_growth_steps=2)),
            strategy=strategy,
            jit=False,
        )
        history = trainer.fit(x, y, batch_size=8, shuffle=False, verbose=0)
        return history.steps, trainer

    one, alone = train(None)
    two, spread = train(
        tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice())
    )
    np.testing.assert_array_equal(one["skipped"], [0, 1, 0, 0])
    np.testing.assert_array_equal(two["skipped"], one["skipped"])
    np.testing.assert_array_equal(two["loss_scale"], one["loss_scale"])
    assert str(spread.overflows()) == str(alone.overflows())
    for a, b in zip(alone.task.model.weights, spread.task.model.weights, strict=True):
        np.testing.assert_allclose(b.numpy(), a, rtol=2e-3)
