"""LearningRateMonitor: the rates of a compiled run, wherever they change."""

import numpy as np
import pytest

import layers
import optimizers
from trainer import Every, Trainer
from trainer.callbacks import LearningRateMonitor, LearningRateScheduler


def test_sees_a_schedule_and_an_assignment(data, capsys):
    boundaries = optimizers.schedules.PiecewiseConstantDecay([3, 9], [0.1, 0.05, 0.01])
    monitor = LearningRateMonitor(verbose=1, when=Every(steps=4))
    options = {"batch_size": 8, "epochs": 2, "verbose": 0}
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizers.SGD(boundaries), jit=False)
    trainer.fit(*data, callbacks=[monitor], **options)
    found = monitor.changes["learning_rate"]
    assert [step for step, _ in found] == [1, 5, 11]
    assert [rate for _, rate in found] == pytest.approx([0.1, 0.05, 0.01])
    assert "step 8: learning_rate 0.05" in capsys.readouterr().out
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizers.SGD(0.5), jit=False)
    halve = LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate)
    trainer.fit(*data, callbacks=[monitor, halve], **options)
    assert monitor.changes["learning_rate"] == [(1, 0.5), (8, 0.25)]


@pytest.mark.parametrize("jit", [False, "loop"])
def test_sees_the_rate_of_each_group(data, jit, capsys):
    """Also of groups within a wrapper; none of them takes a column of the progress."""
    falling = optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    groups = optimizers.Groups({"bias$": optimizers.SGD(falling), "...": optimizers.Adam(0.01)})
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizers.EMA(groups), jit=jit)
    monitor = LearningRateMonitor()
    history = trainer.fit(*data, batch_size=8, epochs=1, callbacks=[monitor], verbose=2)
    steps = history.steps
    np.testing.assert_allclose(steps["bias$/learning_rate"][:3], [0.1, 0.05, 0.025], rtol=1e-6)
    assert monitor.changes[".../learning_rate"] == [(1, pytest.approx(0.01))]
    assert "learning_rate" not in steps
    assert "learning_rate" not in capsys.readouterr().out
