"""A dry run does everything once, and nothing of the run is touched."""

import dataclasses
import inspect
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Callback, Every, Trainer, callbacks, state
from trainer.inspect import NaNPostMortem
from trainer.instruments import Norms

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = X[:, :1]


class Counts(Callback):
    """Says in a list that copies share when it is called."""

    when = Every(epochs=100)

    def __init__(self):
        self.said = (self.calls,) = ([],)
        self.own = []

    def on_train_begin(self, run):
        self.said[0].append("begin")

    def __call__(self, report):
        assert report.epoch_end and "val_loss" in report.logs
        self.own.append("called")
        self.said[0].append("called")

    def on_train_end(self, report):
        self.said[0].append("end")


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*"))


def make(tmp_path):
    model = L.Sequential([L.Dense(4), L.Dropout(0.2), L.Dense(1)])
    how = {"checkpoint": tmp_path / "run", "accumulate": 2}
    return Trainer(model, loss="mse", optimizer=optimizers.Adam(0.01), jit=False, **how)


def everything(tmp_path):
    return [
        callbacks.TensorBoard(tmp_path / "logs"),
        callbacks.CSVLogger(tmp_path / "a.csv"),
        callbacks.ModelCheckpoint(tmp_path / "best.npz"),
        NaNPostMortem(tmp_path / "pm"),
        Counts(),
    ]


@pytest.mark.parametrize("form", ["arrays", "split", "dataset", "function"])
def test_everything_is_done_once_and_nothing_is_left(form, tmp_path, capsys):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    given = {
        "arrays": {"x": X, "y": Y, "batch_size": 8, "validation_data": (X, Y)},
        "split": {"x": X, "y": Y, "batch_size": 8, "validation_split": 0.25},
        "dataset": {"x": data, "validation_data": data},
        "function": {"x": lambda: iter([(X, Y)] * 4), "validation_data": lambda: iter([(X, Y)])},
    }[form]
    trainer, used = make(tmp_path), everything(tmp_path)
    history = trainer.fit(**given, epochs=5, callbacks=used, dry_run=True)
    assert len(history.steps["loss"]) == 1 and "val_loss" in history.history
    assert used[-1].said == (["begin", "called", "end"],) and used[-1].own == []
    assert files(tmp_path) == [] and (trainer.step, trainer.epoch) == (0, 0)
    assert trainer.history is None
    said = capsys.readouterr().out
    assert said.startswith("dry run: 1 step trained, 1 batch validated, TensorBoard called")
    assert "files written and removed" in said


def test_training_afterwards_gives_the_same_bits(tmp_path):
    found = []
    for dry in (False, True):
        trainer = make(tmp_path / str(dry))
        if dry:
            trainer.fit(X, Y, batch_size=8, dry_run=True, verbose=0)
        trainer.fit(X, Y, batch_size=8, epochs=2, verbose=0)
        found.append([v.numpy() for v in state.variables(trainer.task).values()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_would_fail_fails_at_once(tmp_path):
    class Broken(Callback):
        when = Every(epochs=50)

        def __call__(self, report):
            raise OSError("no such disk")

    trainer = make(tmp_path)
    with pytest.raises(callbacks.CallbackError, match="no such disk"):
        trainer.fit(X, Y, epochs=100, callbacks=[Broken()], dry_run=True)
    with pytest.raises(TypeError, match="used up"):
        trainer.fit(iter([(X, Y)]), dry_run=True)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (callbacks.CSVLogger, "is the class CSVLogger"),
        (print, "plain function"),
        (keras.callbacks.ProgbarLogger(), "ProgbarLogger is a Keras callback with"),
    ],
)
def test_what_fit_refuses_is_refused(thing, message, tmp_path):
    with pytest.raises(TypeError, match=message):
        make(tmp_path).fit(X, Y, callbacks=[thing], dry_run=True)


def test_instruments_and_traces_of_later_steps_come_at_this_one(tmp_path, capsys):
    said = []

    class Reads(Callback):
        """Finds what it has asked for by its own instrument."""

        when = Every(steps=1000)

        def __init__(self, at):
            self.norms = Norms(at)

        @property
        def instruments(self):
            return [self.norms]

        def __call__(self, report):
            said.append(report.readings[self.norms].steps.tolist())

    class Traces(callbacks.Profiler):
        def on_train_end(self, report):
            super().on_train_end(report)
            said.append(self.traced)

    class OfKeras(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise AssertionError("what it touches would be touched")

    used = [Reads(Every(steps=500)), Reads(Every(epochs=3)), Traces(tmp_path / "t"), OfKeras()]
    trainer = make(tmp_path)
    trainer.fit(X, Y, batch_size=8, steps=2, verbose=0)
    kept = files(tmp_path)
    trainer.fit(X, Y, batch_size=8, steps=900, callbacks=used, dry_run=True)
    assert said == [[3], [3], (3, 3)] and used[2].traced is None
    assert files(tmp_path) == kept
    assert "Traces called, OfKeras (Keras's) not called, " in capsys.readouterr().out
    with pytest.raises(ValueError, match="does not tell how long an epoch is"):  # as fit does
        endless = {"x": lambda: iter([(X, Y)] * 9), "steps": 5}
        trainer.fit(**endless, callbacks=[Reads(Every(epochs=1))], dry_run=True)


def test_whoever_writes_says_where():
    """A callback that takes a path has it in `writes_to`, or a dry run would write there."""
    words = {"filename", "filepath", "path", "log_dir", "directory"}
    for name in callbacks.__all__:
        cls = getattr(callbacks, name)
        if not (isinstance(cls, type) and issubclass(cls, Callback)):
            continue
        if dataclasses.is_dataclass(cls):
            continue
        taken = words & set(inspect.signature(cls.__init__).parameters)
        assert taken <= set(cls.writes_to), name
