"""Keras callbacks: those that work by epochs do what they do in Keras; others are refused."""

import keras
import numpy as np
import pytest

import layers
import optimizers
from trainer import Trainer
from trainer.callbacks import Callbacks, KerasCallback


class Notes(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append((epoch, sorted(logs)))

    def on_train_end(self, logs=None):
        self.calls.append("end")


def test_is_called_in_the_order_of_keras(data, tmp_path):
    ours, theirs = Notes(), Notes()
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    trainer.fit(*data, epochs=2, verbose=0, validation_data=data, callbacks=[ours])
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(*data, epochs=2, verbose=0, validation_data=data, callbacks=[theirs])
    theirs.calls = [
        (c[0], [*c[1][:0], *sorted({*c[1], "learning_rate"})]) if isinstance(c[1], list) else c
        for c in theirs.calls
    ]
    assert ours.calls == theirs.calls


def test_those_of_keras_work_on_any_model(data, tmp_path):
    stopping = keras.callbacks.EarlyStopping("loss", min_delta=1e9, restore_best_weights=True)
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    seen = []
    functions = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    table = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizers.SGD(0.1), jit=False)
    history = trainer.fit(*data, epochs=5, verbose=0, callbacks=[stopping, halve, functions, table])
    assert history.stopped == "EarlyStopping set stop_training"
    assert seen == [0, 1]
    np.testing.assert_allclose(history.history["learning_rate"], [0.05, 0.025], rtol=1e-6)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("make", "method"),
    [
        (lambda: keras.callbacks.ModelCheckpoint("a.keras"), "on_train_batch_end"),
        (keras.callbacks.TerminateOnNaN, "on_batch_end"),
        (lambda: keras.callbacks.LambdaCallback(on_train_batch_end=print), "on_train_batch_end"),
        (keras.callbacks.SwapEMAWeights, "on_test_begin"),
    ],
    ids=["ModelCheckpoint", "TerminateOnNaN", "LambdaCallback", "SwapEMAWeights"],
)
def test_what_cannot_be_honest_is_refused_with_the_reason(make, method):
    with pytest.raises(TypeError, match=f"{method}.*many batches run in one compiled call"):
        Callbacks([make()])


def test_two_optimizers_are_none_in_particular(make_run, fake_optimizer):
    run = make_run(optimizers={"g": fake_optimizer(0.1), "d": fake_optimizer(0.1)})
    callback = KerasCallback(Notes())
    callback.on_train_begin(run)
    with pytest.raises(AttributeError, match=r"2 optimizers \(g, d\)"):
        _ = callback.callback.model.optimizer
