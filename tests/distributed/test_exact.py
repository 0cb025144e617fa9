"""Where Keras goes wrong over replicas: clipping and contrastive candidates see the whole batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from benchmarks.replicated.trainings import distance, train, weights
from trainer import LossScale, Precision, Task, Trainer


class Pull(Task):
    """The gradient of each row's loss is the row itself."""

    def __init__(self, optimizer):
        super().__init__()
        self.w = tf.Variable([0.0, 0.0])
        self.optimizer = optimizer

    def step(self, batch, ctx):
        def loss_fn(part):
            return tf.reduce_sum(part * self.w, axis=-1)

        return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, [self.w])}


ROWS = np.float32([[6.0, 0.0], [0.0, 8.0]])  # of a mean of [3, 4]


class Foreign(tf.Module):
    """An optimizer that knows nothing of replicas: clips, and keeps a slot."""

    def __init__(self):
        super().__init__()
        self.moved = tf.Variable(0.0)

    def apply(self, gradients, variables):
        clipped, _ = tf.clip_by_global_norm(gradients, 1.0)
        for gradient, variable in zip(clipped, variables, strict=True):
            variable.assign_sub(gradient)
        self.moved.assign_add(1.0)


@pytest.mark.parametrize("jit", [False, "step"])
@pytest.mark.parametrize("make", [lambda: optimizers.SGD(1.0, global_clipnorm=1.0), Foreign])
def test_gradients_are_clipped_once_they_are_those_of_the_batch(make, jit, mirrored):
    """A global norm of 5 is clipped to 1: one step of [-.6, -.8], by any optimizer."""
    task = Pull(make())
    trainer = Trainer(task, strategy=mirrored(2), jit=jit)
    trainer.fit(ROWS, batch_size=2, steps=1, shuffle=False, verbose=0)
    np.testing.assert_allclose(task.w.numpy(), [-0.6, -0.8], rtol=1e-6)
    if isinstance(task.optimizer, Foreign):
        assert float(task.optimizer.moved.numpy()) == 1.0  # once, not by each replica


def moved_by_keras(strategy, optimizer, gradients):
    """Where one update of a Keras optimizer takes [0, 0], each replica with its own gradient."""
    with strategy.scope():
        w = keras.Variable([0.0, 0.0])
        optimizer.build([w])

    @tf.function
    def run():
        def one():
            context = tf.distribute.get_replica_context()
            index = int(tf.get_static_value(context.replica_id_in_sync_group))
            optimizer.apply([tf.constant(gradients[index])], [w])

        strategy.run(one)

    run()
    return w.numpy()


def test_keras_clips_each_replicas_own(mirrored):
    """The documented divergence: two norms of 1 are added, [-1, -1]."""
    strategy = mirrored(2)
    with strategy.scope():
        optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
    moved = moved_by_keras(strategy, optimizer, [[3.0, 0.0], [0.0, 4.0]])
    np.testing.assert_allclose(moved, [-1.0, -1.0], rtol=1e-6)
    with pytest.raises(ValueError, match="after it has clipped each one's"):
        Trainer(Pull(optimizer), strategy=strategy)


def test_keras_cannot_update_outside_of_replicas_either(mirrored):
    """There it would be called once, with the gradients of the whole batch, as any other is."""
    strategy = mirrored(2)
    with strategy.scope():
        w = keras.Variable([0.0, 0.0])
        optimizer = keras.optimizers.SGD(1.0, global_clipnorm=1.0)
        optimizer.build([w])
        with pytest.raises(AttributeError, match="merge_call"):
            tf.function(lambda: optimizer.apply([tf.constant([3.0, 4.0])], [w]))()


@pytest.mark.parametrize("bad", [0, 1])
def test_a_gradient_that_is_not_finite_on_any_replica_leaves_the_update_out(bad, mirrored):
    """Keras looks at replica 0 alone, and writes what is infinite on replica 1 into the weights."""
    rows = np.tile(ROWS, [2, 1])
    rows[bad] = np.inf
    task = Pull(optimizers.SGD(1.0))
    scaled = Precision("float32", loss_scale=LossScale(8.0))
    trainer = Trainer(task, strategy=mirrored(2), precision=scaled, jit=False)
    trainer.fit(rows, batch_size=2, steps=1, shuffle=False, verbose=0)
    assert task.w.numpy().tolist() == [0.0, 0.0]
    assert task.optimizer.iterations.numpy() == 0
    found = trainer.overflows()
    assert found.scales == {"optimizer": 4.0}
    assert [(row.variable, row.times) for row in found.rows] == [("w", 1)]
    trainer.fit(rows, batch_size=2, steps=2, shuffle=False, verbose=0)  # the finite rows
    assert task.w.numpy().tolist() == [-3.0, -4.0]


@pytest.mark.parametrize("bad", [0, 1])
def test_keras_looks_at_replica_0_alone(bad, mirrored):
    """The documented divergence: what is infinite on replica 1 is written into the weights."""
    strategy = mirrored(2)
    with strategy.scope():
        optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1.0), initial_scale=8)
    gradients = [[8.0, 8.0], [8.0, 8.0]]
    gradients[bad] = [np.inf, 8.0]
    assert np.isfinite(moved_by_keras(strategy, optimizer, gradients)).all() == (bad == 0)


class Contrast(Task):
    """SimCLR and CLIP in small: all rows of the batch are candidates, wherever they are."""

    def __init__(self, loss):
        super().__init__()
        self.one, self.other = layers.Dense(3), layers.Dense(3)
        self.optimizer = optimizers.SGD(0.01)
        self.loss = loss

    def step(self, batch, ctx):
        def loss_fn(part):
            return self.loss(ctx, self.one(part["one"]), self.other(part["other"]))

        variables = [*self.one.trainable_variables, *self.other.trainable_variables]
        return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, variables)}


def info_nce(ctx, one, other):
    """Own rows against the candidates of all."""
    keys = ctx.gather(other)
    # At a temperature of 1: at 0.07 the last bits grow to 2e-6 within 20 steps.
    return losses.matching.info_nce(other, one, 1.0, keys=keys, offset=ctx.first_row)


def nt_xent(ctx, one, other):
    """The loss of the whole batch, of which each replica reports its own rows."""
    everyone = losses.matching.nt_xent(ctx.gather(one), ctx.gather(other))
    return everyone[ctx.first_row : ctx.first_row + one.shape[0]]


SCALED = Precision("float32", loss_scale=LossScale(2.0**10))


@pytest.mark.parametrize(
    ("loss", "parts", "precision"),
    # What flows to rows of another replica is scaled by one number: of 5 rows each has its share.
    [(info_nce, 1, None), (nt_xent, 1, SCALED), (info_nce, 2, SCALED)],
)
def test_candidates_of_all_replicas_are_compared_with(loss, parts, precision, mirrored):
    compare_with_one_device(loss, parts, precision, mirrored(2))


def test_candidates_of_replicas_that_are_traced_as_one(mirrored, as_one):
    compare_with_one_device(info_nce, 2, SCALED, mirrored(2))


def compare_with_one_device(loss, parts, precision, strategy):
    """Trains on both."""
    rng = np.random.default_rng(5)
    data = {key: rng.normal(size=(21, 4)).astype("float32") for key in ("one", "other")}
    found = []
    for where in (None, strategy):
        trainer = Trainer(
            Contrast(loss), strategy=where, accumulate=parts, jit=False, precision=precision
        )
        trainer.fit(data, batch_size=8 // parts, steps=20, verbose=0)
        found.append(weights(trainer))
    assert distance(*found) < 1e-6


@pytest.mark.parametrize("name", ["cnn", "gan"])
def test_parts_of_a_batch_are_shared_one_by_one(name, mirrored):
    _, _, want = train(name, accumulate=4)
    _, _, got = train(name, mirrored(2), accumulate=4)
    assert distance(got, want) < 1e-6


def test_xla_between_exchanges_refuses_an_exchange_amid_them(mirrored):
    with pytest.raises(ValueError, match="jit='step' compiles each replica's gradients"):
        train("cnn", mirrored(2), steps=1, jit="step")
