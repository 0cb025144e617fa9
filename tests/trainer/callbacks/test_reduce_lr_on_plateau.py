"""ReduceLROnPlateau against Keras's on the same values."""

import types

import keras
import numpy as np
import pytest

from trainer.callbacks import ReduceLROnPlateau, Validated, rates

CURVES = {
    "flat": [1.0] * 9,
    "falls": [5, 4, 3, 2, 1, 0.5, 0.2],
    "turns": [5, 4, 3, 3.5, 3.2, 3.1, 2.9, 5, 6, 7, 8, 9],
    "slow": [1, 0.99, 0.98, 0.97, 0.5, 0.49, 0.48, 0.47, 0.46],
}


def keras_rates(curve, **options):
    """The rate after each epoch with Keras's callback."""
    callback = keras.callbacks.ReduceLROnPlateau(**options)
    model = types.SimpleNamespace(optimizer=keras.optimizers.SGD(0.1), metrics=[])
    callback.set_model(model)
    callback.on_train_begin()
    found = []
    for epoch, value in enumerate(curve):
        callback.on_epoch_end(epoch, {options["monitor"]: value})
        found.append(float(model.optimizer.learning_rate))
    return found


def our_rates(fit, make_run, curve, **options):
    run = make_run(epochs=len(curve), total_steps=10 * len(curve))
    found = []
    callback = ReduceLROnPlateau(**options)

    class Seen(ReduceLROnPlateau):
        def __call__(self, report):
            super().__call__(report)
            found.append(rates.read(run, "optimizer"))

    callback = Seen(**options)
    fit([callback], run, lambda step: {options["monitor"]: float(curve[step // 10 - 1])})
    return found


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES.keys())
@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1},
        {"patience": 2, "factor": 0.5},
        {"patience": 2, "cooldown": 2},
        {"patience": 0, "cooldown": 1},
        {"patience": 1, "min_delta": 0.3},
        {"patience": 1, "min_lr": 0.03},
        {"patience": 1, "mode": "max"},
    ],
    ids=str,
)
def test_reduces_when_keras_does(fit, make_run, curve, options):
    options = {"monitor": "val_loss", "mode": "min", **options}
    ours = our_rates(fit, make_run, curve, **options)
    np.testing.assert_allclose(ours, keras_rates(curve, **options), rtol=1e-6)


def test_nan_is_no_improvement_and_a_missing_value_no_check(fit, make_run):
    found = our_rates(fit, make_run, [np.nan, np.nan, 1.0], monitor="val_loss", patience=2)
    np.testing.assert_allclose(found, [0.1, 0.01, 0.01], rtol=1e-6)
    run = make_run(epochs=6, total_steps=60)
    values = lambda step: {"val_loss": 1.0} if step % 20 == 0 else {}  # noqa: E731
    fit([ReduceLROnPlateau(patience=2, when=Validated())], run, values)
    assert rates.read(run, "optimizer") == pytest.approx(0.01)


def test_only_the_optimizer_that_was_named(fit, make_run, fake_optimizer, capsys):
    run = make_run(optimizers={"g": fake_optimizer(0.1), "d": fake_optimizer(0.1)})
    callback = ReduceLROnPlateau(patience=1, optimizer="g", verbose=1)
    fit([callback], run, lambda step: {"val_loss": 1.0})
    assert [rates.read(run, path) for path in "gd"] == pytest.approx([0.001, 0.1])
    assert "sets the learning rate of g to 0.001" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [{"factor": 1.0}, {"patience": -1}, {"mode": "up"}, {"min_lr": -1}]
)
def test_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ReduceLROnPlateau(**options)
