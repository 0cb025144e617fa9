"""ModelCheckpoint: which files are there at the end, and that they hold what they say."""

import keras
import numpy as np
import pytest

import layers
from trainer import Every, Trainer
from trainer.callbacks import ModelCheckpoint

CURVE = [5, 3, 4, np.nan, 1, 2, 0.5]


def files(fit, make_run, tmp_path, pattern="{epoch}.npz", curve=CURVE, **options):
    """Name -> the step whose weights it holds."""
    callback = ModelCheckpoint(tmp_path / "w" / pattern, **options)
    run = make_run(epochs=len(curve), total_steps=10 * len(curve))
    fit([callback], run, lambda step: {"val_loss": float(curve[step // 10 - 1])})
    return {p.name: int(p.read_text()) for p in (tmp_path / "w").iterdir()}, callback


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"keep": 2}, [6, 7]),
        ({"save_best_only": True}, [1, 2, 5, 7]),
        ({"save_best_only": True, "mode": "max"}, [1]),
        ({"save_best_only": True, "keep": 1}, [7]),
        ({"save_best_only": True, "keep": 3}, [5, 6, 7]),
        ({"save_best_only": True, "initial_value_threshold": 2.5}, [5, 7]),
        ({"save_best_only": True, "keep": 3, "initial_value_threshold": 1.5}, [5, 7]),
    ],
    ids=str,
)
def test_the_files_that_stay(fit, make_run, tmp_path, options, epochs):
    found, _ = files(fit, make_run, tmp_path, **options)
    assert found == {f"{epoch}.npz": 10 * epoch for epoch in epochs}


def test_chooses_the_best_as_keras_does(fit, make_run, tmp_path):
    curve = [5, 4, 4.5, 3, 3, 2, 6]
    saved = []
    theirs = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "k.weights.h5"), save_best_only=True, save_weights_only=True, mode="min"
    )
    model = type("M", (), {"save_weights": lambda self, path, overwrite: saved.append(epoch)})()
    theirs.set_model(model)
    for epoch, value in enumerate(curve):
        theirs.on_epoch_end(epoch, {"val_loss": value})
    found, _ = files(fit, make_run, tmp_path, curve=curve, save_best_only=True)
    assert sorted(found.values()) == [10 * (epoch + 1) for epoch in saved]


def test_one_name_is_written_over(fit, make_run, tmp_path, capsys):
    options = {"save_best_only": True, "verbose": 1, "keep": 1}
    found, callback = files(fit, make_run, tmp_path, "best.npz", **options)
    assert found == {"best.npz": 70}
    assert callback.best == 0.5
    assert callback.best_path.endswith("best.npz")
    assert "step 70, val_loss 0.5: weights written to" in capsys.readouterr().out


def test_steps_epochs_and_values_are_filled_in(fit, make_run, tmp_path):
    pattern, often = "{epoch:02d}-{step:03d}-{loss:.3f}.npz", Every(steps=15)
    found, _ = files(fit, make_run, tmp_path, pattern, [1, 1, 1], save_freq=often)
    assert sorted(found) == ["02-015-0.067.npz", "03-030-0.033.npz"]


def test_the_files_are_the_models_weights(data, tmp_path):
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    callback = ModelCheckpoint(tmp_path / "{step}.npz", save_freq=7, keep=2)
    trainer.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=[callback])
    last = trainer.task.model.get_weights()
    assert sorted(p.name for p in tmp_path.glob("*.npz")) == ["14.npz", "21.npz"]
    trainer.load_weights(tmp_path / "14.npz")
    assert not np.array_equal(trainer.task.model.get_weights()[0], last[0])
    trainer.load_weights(tmp_path / "21.npz")
    np.testing.assert_array_equal(trainer.task.model.get_weights()[0], last[0])


def test_refuses(fit, make_run, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.npz or \.safetensors"):
        ModelCheckpoint("best.keras")
    for name, value in {
        "save_weights_only": False,
        "mode": "up",
        "keep": 0,
        "save_freq": "never",
    }.items():
        with pytest.raises(ValueError, match=f"ModelCheckpoint.{name}="):
            ModelCheckpoint("w.npz", **{name: value})
    with pytest.raises(ValueError, match="'bleu' is not reported here; there are epoch, step, los"):
        fit([ModelCheckpoint(tmp_path / "{bleu}.npz")], make_run())
