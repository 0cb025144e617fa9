"""ExportBest: the folder holds the best model, which answers as it did then."""

import numpy as np
import pytest
import tensorflow as tf

import layers
from trainer import Trainer
from trainer.callbacks import ExportBest, LambdaCallback


def test_exports_whenever_the_value_is_the_best(fit, make_run, tmp_path, capsys):
    callback = ExportBest(tmp_path / "model", verbose=1)
    curve = {10: 2.0, 20: 1.0, 30: 3.0}
    fit([callback], make_run(), lambda step: {"val_loss": curve[step]})
    assert (callback.best, callback.best_step) == (1.0, 20)
    assert (tmp_path / "model").read_text() == "20"
    assert "Step 20, val_loss 1: exported to" in capsys.readouterr().out
    with pytest.raises(ValueError, match="mode='up'"):
        ExportBest("m", mode="up")


def test_the_model_answers_as_the_best_one_did(data, tmp_path):
    x, y = data
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    answers = {}
    look = LambdaCallback(lambda report: answers.update({report.step: report.run.predict(x)}))
    callback = ExportBest(tmp_path / "model", "loss", mode="max")  # the first epoch's
    trainer.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[callback, look])
    served = tf.saved_model.load(str(tmp_path / "model"))(tf.constant(x)).numpy()
    np.testing.assert_allclose(served, answers[7], rtol=1e-6, atol=1e-7)
    assert np.abs(served - answers[21]).max() > 1e-3
