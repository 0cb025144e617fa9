"""Where Keras keeps or loses something: optimizers' slots and averages, a backup, TensorBoard."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import optimizers
from trainer import Callback, Checkpoint, Every, Trainer
from trainer.callbacks import TensorBoard

ROWS, BATCH = 48, 8  # six steps an epoch


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 4)).astype(np.float32)
    return x, x[:, :1] - x[:, 1:2]


def model():
    """Built, with the same weights each time."""
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])


def compiled():
    made = model()
    made.compile(keras.optimizers.SGD(0.01), "mse", jit_compile=False)
    return made


def test_second_moment_of_adafactor():
    """Of a [40, 30] matrix, Keras keeps 40 + 30 numbers and the 40 x 30 that these replace."""
    weight = np.zeros([40, 30], np.float32)
    of_keras = keras.optimizers.Adafactor(0.1)
    of_keras.build([keras.Variable(weight)])
    assert sum(int(np.prod(v.shape)) for v in of_keras.variables) > 40 * 30 + 40 + 30
    ours = optimizers.Adafactor(0.1)
    ours.build([tf.Variable(weight)])
    assert 40 + 30 <= sum(int(np.prod(v.shape)) for v in ours.variables) < 40 + 30 + 10


def test_weights_to_evaluate_of_schedule_free():
    """The method is about an average x; Keras leaves the point y, at which gradients are taken."""
    gradients = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    of_keras, theirs = keras.optimizers.ScheduleFreeAdamW(0.1), keras.Variable([1.0, 2.0])
    ours, weight = optimizers.ScheduleFreeAdamW(0.1), tf.Variable([1.0, 2.0])
    of_keras.build([theirs])
    ours.build([weight])
    for gradient in gradients:
        of_keras.apply([tf.constant(gradient)], [theirs])
        ours.apply([tf.constant(gradient)], [weight])
    trained = theirs.numpy()
    of_keras.finalize_variable_values([theirs])  # where `use_ema` puts its averages in place
    np.testing.assert_array_equal(theirs, trained)
    own = set(dir(keras.optimizers.ScheduleFreeAdamW)) - set(dir(keras.optimizers.Optimizer))
    assert not [name for name in own if not name.startswith("_")]
    before = weight.numpy()
    with ours.evaluating():
        assert np.abs(weight.numpy() - before).max() > 1e-3
    np.testing.assert_array_equal(weight, before)


class Killed(Exception):
    """Stands for a kill."""


def test_backup_in_mid_epoch(rows, tmp_path):
    """Killed after 4 of 6 steps: Keras makes these 4 again, which are then 10; ours go on."""

    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise Killed

    backup = {"backup_dir": str(tmp_path / "keras"), "save_freq": 1}
    how = {"batch_size": BATCH, "epochs": 1, "shuffle": False, "verbose": 0}
    with pytest.raises(Killed):
        compiled().fit(*rows, **how, callbacks=[keras.callbacks.BackupAndRestore(**backup), Kill()])
    again = compiled()
    again.fit(*rows, **how, callbacks=[keras.callbacks.BackupAndRestore(**backup)])
    assert int(again.optimizer.iterations) == 4 + 6
    straight = compiled()
    straight.fit(*rows, **how)
    assert np.abs(again.get_weights()[0] - straight.get_weights()[0]).max() > 1e-4

    class KillOurs(Callback):
        when = Every(steps=4)

        def __call__(self, report):
            raise Killed

    def ours(checkpoint):
        return Trainer(
            model(), loss="mse", optimizer=optimizers.SGD(0.01), checkpoint=checkpoint, jit=False
        )

    checkpoint = Checkpoint(tmp_path / "ours", when=Every(steps=1))
    with pytest.raises(Exception, match="Killed"):
        ours(checkpoint).fit(*rows, **how, callbacks=[KillOurs()])
    resumed, straight = ours(checkpoint), ours(None)
    resumed.fit(*rows, **how)
    straight.fit(*rows, **how)
    assert resumed.step == 6
    for a, b in zip(
        resumed.task.model.get_weights(), straight.task.model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def files(folder):
    """What each event file of a folder holds, in the order of their writing."""
    paths = sorted(folder.iterdir(), key=lambda path: path.name)
    return [EventAccumulator(str(path)).Reload() for path in paths]


def test_tensorboard_of_two_fits(rows, tmp_path):
    """Keras writes no step's graph, and begins its axis at 0 again in the second call."""
    of_keras = compiled()
    for _ in range(2):
        board = keras.callbacks.TensorBoard(str(tmp_path / "keras"))
        of_keras.fit(*rows, batch_size=BATCH, epochs=2, verbose=0, callbacks=[board])
    trainer = Trainer(model(), loss="mse", optimizer=optimizers.SGD(0.01), jit=False)
    for _ in range(2):
        board = TensorBoard(tmp_path / "ours")
        trainer.fit(*rows, batch_size=BATCH, epochs=2, verbose=0, callbacks=[board])
    first, second = files(tmp_path / "keras" / "train")
    assert not first.Tags()["graph"] and not second.Tags()["graph"]
    for found in (first, second):
        assert [event.step for event in found.Tensors("epoch_loss")] == [0, 1]
    first, second = files(tmp_path / "ours" / "train")
    assert first.Tags()["graph"]
    assert [event.step for event in first.Scalars("loss")] == list(range(1, 13))
    assert [event.step for event in second.Scalars("loss")] == list(range(13, 25))
