"""LearningRateScheduler against Keras's, and what a resumed run must not do twice."""

import types

import keras
import numpy as np
import pytest

from trainer.callbacks import CallbackError, LambdaCallback, LearningRateScheduler, rates


@pytest.mark.parametrize(
    "schedule", [lambda epoch, rate: rate * 0.5, lambda epoch: 0.1 / (epoch + 1)]
)
def test_each_epoch_has_the_rate_that_keras_gives_it(fit, make_run, schedule):
    run, ours = make_run(), []
    look = LambdaCallback(lambda report: ours.append(rates.read(run, "optimizer")))
    fit([look, LearningRateScheduler(schedule)], run)  # looks before the next epoch's is set
    model = types.SimpleNamespace(optimizer=keras.optimizers.SGD(0.1))
    theirs, callback = [], keras.callbacks.LearningRateScheduler(schedule)
    callback.set_model(model)
    for epoch in range(3):
        callback.on_epoch_begin(epoch)
        theirs.append(float(model.optimizer.learning_rate))
        callback.on_epoch_end(epoch, {})
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert rates.read(run, "optimizer") == pytest.approx(theirs[-1])


def test_a_resumed_run_keeps_the_rate_of_its_open_epoch(make_run):
    run = make_run(step=14)  # start_step 0: resumed in its second epoch
    LearningRateScheduler(lambda epoch, rate: rate * 0.5).on_train_begin(run)
    assert rates.read(run, "optimizer") == pytest.approx(0.1)


def test_says_what_is_wrong(fit, make_run, capsys):
    with pytest.raises(TypeError, match="must be a function"):
        LearningRateScheduler(0.1)
    with pytest.raises(CallbackError, match="no finite number for epoch 1"):
        fit([LearningRateScheduler(lambda e: None if e else 0.1, verbose=1)], make_run())
    assert "sets optimizer to 0.1" in capsys.readouterr().out
