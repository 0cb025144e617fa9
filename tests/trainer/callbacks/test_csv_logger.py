"""CSVLogger: rows as Keras's has them, and where appending makes sense."""

import csv

import keras
import numpy as np
import pytest

from trainer.callbacks import CSVLogger, Every


def read(path, **options):
    with open(path, newline="") as file:
        return list(csv.DictReader(file, **options))


def test_holds_what_keras_writes(fit, make_run, tmp_path):
    history = fit([CSVLogger(tmp_path / "ours.csv")], make_run(), lambda step: {"val_loss": 1.5})
    theirs = keras.callbacks.CSVLogger(str(tmp_path / "theirs.csv"))
    theirs.set_model(type("Model", (), {"stop_training": False})())
    theirs.on_train_begin()
    for epoch, loss in enumerate(history.history["loss"]):
        theirs.on_epoch_end(epoch, {"loss": loss, "val_loss": 1.5})
    theirs.on_train_end()
    ours = read(tmp_path / "ours.csv")
    assert [row["step"] for row in ours] == ["10", "20", "30"]
    assert ours[0]["val_accuracy"] == ""
    for row, want in zip(ours, read(tmp_path / "theirs.csv"), strict=True):
        for name, value in want.items():
            assert np.float64(row[name]) == np.float64(value)


def test_appends_to_what_has_the_same_columns(fit, make_run, tmp_path):
    path = tmp_path / "log.csv"
    fit([CSVLogger(path, ";", when=Every(steps=15))], make_run())
    fit([CSVLogger(path, ";", append=True)], make_run(start_step=30, total_steps=50))
    assert [row["step"] for row in read(path, delimiter=";")] == ["15", "30", "40", "50"]
    with pytest.raises(
        ValueError, match=r"has the columns .*'epoch', 'step', 'loss'\]; use another"
    ):
        fit([CSVLogger(path, ";", append=True)], make_run(names=["loss"]))
    with pytest.raises(ValueError, match="separator="):
        CSVLogger(path, "::")
