"""SwapEMAWeights: validation and files have the averages; training never sees them."""

import keras
import numpy as np
import pytest

import layers
import optimizers
from trainer import Trainer
from trainer.callbacks import LambdaCallback, ModelCheckpoint, SwapEMAWeights

WAYS = {
    "around": lambda: optimizers.EMA(optimizers.SGD(0.1), momentum=0.5),
    "ours": lambda: optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
    "keras": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
}


def train(data, optimizer, tmp_path, *callbacks):
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizer, jit=False)

    options = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False}
    saver = ModelCheckpoint(tmp_path / "{step}.npz")
    history = trainer.fit(*data, validation_data=data, callbacks=[*callbacks, saver], **options)
    return trainer, history


@pytest.mark.parametrize("way", WAYS)
def test_validates_and_saves_the_averages_and_trains_on_the_weights(data, tmp_path, way):
    x, y = data
    (tmp_path / "plain").mkdir()
    (tmp_path / "swapped").mkdir()
    plain, plain_history = train(data, WAYS[way](), tmp_path / "plain")
    averages = []

    def look(report):
        """The averages by hand, and their loss in float64."""
        model, optimizer = report.run.task.model, report.run.task.optimizer
        before = model.get_weights()
        optimizer.finalize_variable_values(model.trainable_variables)
        w, b = model.get_weights()
        averages.append((w, np.mean((x.astype(float) @ w + b - y) ** 2)))
        model.set_weights(before)

    swap = [SwapEMAWeights(), LambdaCallback(look)]
    swapped, history = train(data, WAYS[way](), tmp_path / "swapped", *swap)
    np.testing.assert_array_equal(history.steps["loss"], plain_history.steps["loss"])
    ours, theirs = (t.task.model.get_weights() for t in (swapped, plain))
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(history.history["val_loss"], [v for _, v in averages], rtol=1e-5)
    assert not np.allclose(history.history["val_loss"], plain_history.history["val_loss"])
    swapped.load_weights(tmp_path / "swapped" / "21.npz")
    np.testing.assert_array_equal(swapped.task.model.get_weights()[0], averages[-1][0])


def test_weights_are_back_after_an_error_in_validation(data):
    swap = SwapEMAWeights()
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=WAYS["around"](), jit=False)
    trainer.fit(*data, verbose=0, callbacks=[swap])
    before = trainer.task.model.get_weights()
    with pytest.raises(KeyboardInterrupt), swap.evaluating(None):
        assert not np.array_equal(trainer.task.model.get_weights()[0], before[0])
        raise KeyboardInterrupt
    np.testing.assert_array_equal(trainer.task.model.get_weights()[0], before[0])


def test_refuses_where_nothing_is_averaged(data):
    for optimizer in (optimizers.SGD(0.1), keras.optimizers.SGD(0.1)):
        trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizer, jit=False)
        with pytest.raises(ValueError, match=r"none of the task's optimizers .*keeps averages"):
            trainer.fit(*data, verbose=0, callbacks=[SwapEMAWeights()])
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=WAYS["ours"](), jit=False)
    with pytest.raises(ValueError, match="optimizer='g'"):
        trainer.fit(*data, verbose=0, callbacks=[SwapEMAWeights("g")])
