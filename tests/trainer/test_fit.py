"""Calls of fit: new ones, those the checkpoint knows, and the end of either."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import layers
import optimizers
from trainer import Callback, Control, Trainer
from trainer.calls import Position
from trainer.data.source import open_source
from trainer.distribution.replicas import Replicas
from trainer.fit import Fit


@pytest.fixture
def source(data):
    return open_source(*data, batch_size=8)


def test_a_new_call_closes_the_open_epoch_only_where_epochs_are_asked_for(source):
    position = Position(step=10, epoch=1, epoch_step=3, taken=3)
    fit = Fit(None, None, position, None, Replicas())
    call = fit.enter(None, source, {"steps": 20}, None)
    assert call.start == position == Position(10, 1, 3, 0)
    fit.enter(None, source, {"epochs": 2}, None)
    assert position == Position(10, 2, 0, 0)


def test_a_goal_that_lies_behind_is_refused(source):
    fit = Fit(None, None, Position(step=10), None, Replicas())
    with pytest.raises(ValueError, match=r"steps=10, and training stands at step 10 already"):
        fit.enter(None, source, {"steps": 10}, None)


SCRIPT = """
    import os, signal, sys, threading
    import numpy as np
    import layers, optimizers
    from trainer import Callback, Checkpoint, Every, Trainer

    class Press(Callback):
        when = Every(steps=20)
        def __call__(self, report):
            if report.step == 40:
                threading.Timer(0.02, os.kill, (os.getpid(), int(sys.argv[2]))).start()

    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    trainer = Trainer(layers.Dense(4), loss="mse", optimizer=optimizers.SGD(0.1), jit=False,
                      checkpoint=Checkpoint(sys.argv[1], when=Every(seconds=600)))
    trainer.fit(x, x, batch_size=8, epochs=10**6, callbacks=[Press()], verbose=0)
    """


@pytest.mark.usefixtures("signals_heard")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -2)])
def test_signals_end_a_run_with_everything_on_disk(tmp_path, number, code):
    """SIGTERM by its documented exit code, Ctrl-C as Python itself ends by it."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path / "run"), str(int(number))],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=pathlib.Path(__file__).parents[2],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == code, done.stderr[-2000:]
    if number == signal.SIGTERM:
        assert f"is saved in {tmp_path / 'run'}" in done.stderr
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")

    def trainer(checkpoint):
        return Trainer(
            layers.Dense(4),
            loss="mse",
            optimizer=optimizers.SGD(0.1),
            jit=False,
            checkpoint=checkpoint,
        )

    again = trainer(tmp_path / "run")
    (saved,) = (tmp_path / "run").glob("*-step-*")
    step = int(saved.name.split("-")[-1])
    assert step > 40
    again.fit(x, x, batch_size=8, steps=step + 5, verbose=0)
    whole = trainer(None)
    whole.fit(x, x, batch_size=8, steps=step + 5, verbose=0)
    for a, b in zip(again.task.model.weights, whole.task.model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_why_it_ended_early_is_said(data, capsys):
    class Enough(Callback):
        def __call__(self, report):
            return Control(stop="good enough")

    trainer = Trainer(layers.Dense(4), loss="mse", optimizer="sgd", jit=False)
    x, y = data[0], np.zeros((53, 4), "float32")
    for verbose in (1, 0):
        trainer.fit(x, y, epochs=9, callbacks=[Enough()], verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("stopped: good enough") == 1 and lines[-1].startswith("took ")
    history = trainer.fit(x, y, verbose=2)
    said = capsys.readouterr().out
    assert "stopped" not in said
    assert said.endswith(f"where the time went\n{history.time}\n")


def test_a_signal_after_the_last_step_is_not_lost(data, ctrl_c):
    """It came while callbacks ended: fit has done its work, and the script still stops."""

    class Press(Callback):
        def on_train_end(self, report):
            os.kill(os.getpid(), signal.SIGINT)

    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizers.SGD(0.1), jit=False)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*data, batch_size=8, epochs=1, callbacks=[Press()], verbose=0)
    assert trainer.step == 7
    assert trainer.history.epoch == [0]
