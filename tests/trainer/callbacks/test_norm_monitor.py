"""NormMonitor keeps what the instrument reads, over a resume too."""

import numpy as np
import pytest

import layers
import optimizers
from trainer import At, Callback, Checkpoint, Every, Trainer
from trainer.callbacks import CallbackError, NormMonitor


class Crash(Callback):
    when = At(12)

    def __call__(self, report):
        raise MemoryError("as if killed")


def train(data, folder, *more):
    monitor = NormMonitor(Every(steps=2), verbose=1)
    checkpoint = Checkpoint(folder, when=Every(steps=5))
    optimizer = optimizers.SGD(0.1)
    trainer = Trainer(
        layers.Dense(2), loss="mse", optimizer=optimizer, jit=False, checkpoint=checkpoint
    )
    options = {"batch_size": 8, "epochs": 3, "verbose": 0}
    trainer.fit(*data, callbacks=[monitor, *more], **options)
    return monitor


def test_keeps_norms_of_every_second_step(data, tmp_path, capsys):
    monitor = train(data, tmp_path / "whole")
    assert monitor.steps.tolist() == list(range(2, 22, 2))
    norms = monitor.norms
    np.testing.assert_allclose(
        norms["update_norm/kernel"], 0.1 * norms["gradient_norm/kernel"], rtol=1e-4
    )
    assert "step 20: updates are " in capsys.readouterr().out
    with pytest.raises(CallbackError):
        train(data, tmp_path / "cut", Crash())
    resumed = train(data, tmp_path / "cut")
    assert resumed.steps.tolist() == monitor.steps.tolist()
    np.testing.assert_equal(resumed.norms, norms)
