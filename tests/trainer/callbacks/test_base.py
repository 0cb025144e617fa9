"""The base callback, what it is told, and that a real run keeps what `Run` and `Report` promise."""

import dataclasses

import numpy as np
import pytest

import layers
import optimizers
from trainer import Every, Trainer, state
from trainer.callbacks import Callback, Callbacks, Control, EarlyStopping, Timer
from trainer.callbacks.base import Run

ROWS = np.array([8] * 6 + [5])  # of the batches of an epoch


def promised(kind):
    """The public names that a class defines."""
    return {name for name in vars(kind) if not name.startswith("_")}


class Look(Callback):
    """Keeps the runs and the reports it is given."""

    when = Every(steps=3) | Every(epochs=1)

    def __init__(self):
        self.runs, self.reports, self.last = [], [], []

    def on_train_begin(self, run):
        told = {name: getattr(run, name) for name in promised(Run)}
        self.runs.append({name: v for name, v in told.items() if not callable(v)})

    def __call__(self, report):
        self.reports.append(report)

    def on_train_end(self, report):
        self.last.append(report)


def trainer_of(jit):
    model = layers.Sequential([layers.Dense(4, "tanh"), layers.Dense(2)])
    return Trainer(model, loss="mse", optimizer=optimizers.Adam(0.05), metrics=["mae"], jit=jit)


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_runs_and_reports_tell_the_truth(jit, data):
    """Two fits in a row: the second goes on where the first ended."""
    look, trainer = Look(), trainer_of(jit)
    options = {"batch_size": 8, "verbose": 0, "callbacks": [look]}
    history = trainer.fit(*data, epochs=2, **options)
    _check_reports(look, history)
    trainer.fit(*data, epochs=1, validation_data=data, **options)
    first, second = look.runs
    for run, epoch in ((first, 0), (second, 2)):
        assert run.pop("task") is trainer.task
        assert run.pop("optimizers") == {"optimizer": trainer.task.optimizer}
        assert run.pop("variables") == state.variables(trainer.task)
        assert run.pop("graph").as_graph_def().node
        assert (run.pop("epoch"), run.pop("rows")) == (epoch, 8)
        assert run.pop("flops") == 2 * 8 * (2 * 3 * 4 + 3 * 4 * 2)
        assert 0.0 <= run.pop("seconds") < 60.0
    names = ["loss", "mae", "learning_rate"]
    assert first == {
        "chief": True,
        "names": names,
        "step_names": names,
        "monitored": {"mae": "min", "val_mae": "min"},
        "start_step": 0,
        "step": 0,
        "total_steps": 14,
        "epochs": 2,
        "steps_per_epoch": 7,
        "validates": False,
    }
    assert second == first | {
        "names": [*names, "val_loss", "val_mae"],
        "start_step": 14,
        "step": 14,
        "total_steps": 21,
        "epochs": 3,
        "validates": True,
    }
    assert set(look.reports[0].logs) == set(first["names"])
    assert set(look.reports[-1].logs) == set(second["names"])
    assert set(look.reports[-1].validation) == {"val_loss", "val_mae"}
    assert [report.step for report in look.last] == [14, 21]


def _check_reports(look, history):
    """Means over an epoch are those of its steps, weighted by rows; no step is told twice."""
    assert [report.step for report in look.reports] == [3, 6, 7, 9, 12, 14]
    told = []
    for report in look.reports:
        told += report.steps["step"].tolist()
        assert told == list(range(1, report.step + 1))
        epoch, at = divmod(report.step - 1, 7)
        assert (report.epoch, report.epoch_end) == (epoch + (at == 6), at == 6)
        assert report.epoch_step == at + 1
        losses, rows = history.steps["loss"][7 * epoch : report.step], ROWS[: at + 1]
        np.testing.assert_allclose(report.logs["loss"], losses @ rows / rows.sum(), rtol=1e-6)
        assert report.steps["loss"].dtype == np.float64
        assert report.steps["step"].dtype == np.int64
        assert dict(report.validation) == {}
    seconds = [report.seconds for report in look.reports]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


@pytest.mark.parametrize("jit", [False, "loop"])
def test_a_snapshot_that_is_put_back_undoes_training(jit, data):
    class Undo(Callback):
        def on_train_begin(self, run):
            self.kept = run.snapshot()

        def on_train_end(self, report):
            self.trained = weights()
            report.run.restore(self.kept)

    trainer, undo = trainer_of(jit), Undo()
    weights = trainer.task.model.get_weights
    trainer.fit(*data, batch_size=8, steps=1, verbose=0)
    before = weights()
    trainer.fit(*data, batch_size=8, epochs=1, verbose=0, callbacks=[undo])
    for got, want, trained in zip(weights(), before, undo.trained, strict=True):
        np.testing.assert_array_equal(got, want)
        assert not np.array_equal(trained, want)


def test_by_default_it_does_nothing_at_the_end_of_each_epoch(fit, make_run):
    callback, seen = Callback(), []

    class Count(Callback):
        def __call__(self, report):
            seen.append(report.step)
            return super().__call__(report)

    history = fit([callback, Count()], make_run())
    assert seen == [10, 20, 30]
    assert history.stopped is None
    assert callback.monitors == ()
    assert callback.memory() == {}
    callback.load_memory({})


def test_memory_survives_a_restart():
    class Best(Callback):
        best = np.inf

        def memory(self):
            return {"best": self.best}

        def load_memory(self, memory):
            self.best = memory["best"]

    old, new, other = Best(), Best(), Best()
    old.best = 0.25
    kept = Callbacks([Callback(), old]).memory()
    Callbacks([new, Callback(), other]).load_memory(kept)
    assert (new.best, other.best) == (0.25, np.inf)


def test_what_is_monitored_must_be_reported(data):
    """Refused before the first step, with the way out."""

    class Watch(Callback):
        monitors = ("val_loss",)

    trainer = trainer_of(False)
    with pytest.raises(ValueError, match=r"'val_loss'.*Give fit validation_data"):
        trainer.fit(*data, batch_size=8, verbose=0, callbacks=[Watch()])
    assert trainer.step == 0
    trainer.fit(*data, batch_size=8, verbose=0, callbacks=[Watch()], validation_split=0.2)
    assert trainer.step == 6


def test_what_is_told_cannot_be_changed(make_run, fit):
    look = Look()
    fit([look], make_run())
    for told, name in ((look.reports[0], "step"), (Control(stop="enough"), "stop")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(told, name, 0)
    assert Control().stop is None


def test_a_callback_shows_what_was_set_and_when_it_is_due():
    stopping = EarlyStopping("val_loss", patience=3)
    assert repr(stopping) == "EarlyStopping(patience=3, when=Every(epochs=1))"
    assert repr(Look()) == f"Look(when={Look.when!r})"
    assert repr(Timer(3.0)) == "Timer(duration=3.0)"  # its trigger is its own
