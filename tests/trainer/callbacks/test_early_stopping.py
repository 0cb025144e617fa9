"""EarlyStopping against Keras's on the same values, and what it restores and remembers."""

import keras
import numpy as np
import pytest

from trainer.callbacks import Callbacks, EarlyStopping, Validated

CURVES = {
    "falls": [5, 4, 3, 2, 1, 0.5],
    "turns": [5, 4, 3, 3.5, 3.2, 3.1, 2.9, 5, 6, 7, 8, 9],
    "rises": [1, 2, 3, 4, 5, 6],
    "flat": [1, 1, 1, 1, 1],
    "slow": [1, 0.99, 0.98, 0.97, 0.5, 0.49, 0.48, 0.47, 0.46],
}


class Model:
    """As much of a Keras model as its EarlyStopping touches."""

    stop_training = False
    weights = None

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def keras_run(curve, **options):
    """(epochs run, weights at the end) of Keras's callback; the weights are the epoch."""
    callback, model = keras.callbacks.EarlyStopping(**options), Model()
    callback.set_model(model)
    callback.on_train_begin()
    epochs = 0
    for epoch, value in enumerate(curve):
        model.weights, epochs = epoch + 1, epoch + 1
        callback.on_epoch_end(epoch, {options["monitor"]: value})
        if model.stop_training:
            break
    callback.on_train_end()
    return epochs, model.weights


def our_run(fit, make_run, curve, **options):
    run = make_run(epochs=len(curve), total_steps=10 * len(curve))
    values = lambda step: {options["monitor"]: float(curve[step // 10 - 1])}  # noqa: E731
    history = fit([EarlyStopping(**options)], run, values)
    return len(history.epoch), run.weights // 10, history


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES.keys())
@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 1},
        {"patience": 3},
        {"patience": 2, "min_delta": 0.1},
        {"patience": 2, "baseline": 2.0},
        {"patience": 1, "start_from_epoch": 3},
        {"patience": 2, "mode": "max"},
        {"patience": 2, "mode": "max", "min_delta": 0.6, "baseline": 4.0},
    ],
    ids=str,
)
def test_stops_and_restores_as_keras_does(fit, make_run, curve, restore, options):
    options = {"monitor": "val_loss", "restore_best_weights": restore, **options}
    if restore and options.get("start_from_epoch"):
        return  # compared without: Keras counts its best epoch from another origin there
    epochs, weights, _ = our_run(fit, make_run, curve, **options)
    want = keras_run(curve, **{"mode": "min", **options})
    assert (epochs, weights) == want


def test_says_why_it_stopped(fit, make_run, capsys):
    _, weights, history = our_run(
        fit,
        make_run,
        [3, 2, 4, 5],
        monitor="val_loss",
        patience=2,
        verbose=1,
        restore_best_weights=True,
    )
    assert weights == 2
    assert history.stopped == (
        "EarlyStopping: val_loss has not improved for 2 checks (best 2 at step 20)"
    )
    assert "restored the weights of step 20" in capsys.readouterr().out


def test_a_nan_is_never_an_improvement(fit, make_run):
    curve = [np.nan, 3, 2, np.nan, np.nan, 1]
    epochs, weights, _ = our_run(
        fit, make_run, curve, monitor="val_loss", patience=2, restore_best_weights=True
    )
    assert (epochs, weights) == (5, 3)


def test_a_check_without_the_value_does_not_count(fit, make_run):
    values = lambda step: {"val_loss": 1.0} if step % 20 == 0 else {}  # noqa: E731
    history = fit([EarlyStopping(patience=2)], make_run(epochs=9, total_steps=90), values)
    assert len(history.epoch) == 6


def test_may_check_every_validation(fit, make_run):
    stopping = EarlyStopping(patience=2, when=Validated())
    history = fit([stopping], make_run(), lambda step: {"val_loss": float(step)})
    assert len(history.epoch) == 3


def test_forgets_between_fits_but_not_over_a_resume(fit, make_run):
    stopping = EarlyStopping(patience=9, restore_best_weights=True)
    fit([stopping], make_run(), lambda step: {"val_loss": 1 / step})
    assert (stopping.best, stopping.best_step, stopping.best_weights) == (1 / 30, 30, None)
    memory = {**stopping.memory(), "wait": 5, "best_weights": [1, 2]}
    stopping.on_train_begin(make_run())
    assert (stopping.best, stopping.wait, stopping.best_step) == (None, 0, 0)
    stopping.load_memory(memory)
    assert (stopping.best, stopping.wait, stopping.best_weights) == (1 / 30, 5, [1, 2])
    assert Callbacks([stopping]).memory() == {"EarlyStopping:0": {"seen": 0, "memory": memory}}


def test_refuses(make_run):
    with pytest.raises(ValueError, match="mode='up'"):
        EarlyStopping(mode="up")
    with pytest.raises(ValueError, match="patience=-1"):
        EarlyStopping(patience=-1)
    run = make_run(names=["val_bleu"])
    with pytest.raises(ValueError, match=r"'val_bleu'.*pass mode="):
        Callbacks([EarlyStopping("val_bleu")]).start(run)
