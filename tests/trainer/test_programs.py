"""Compiled loops: each made once; the choice made once, remembered, and never touching training."""

import re

import numpy as np
import pytest
import tensorflow as tf

import layers
import optimizers
from trainer import Trainer
from trainer.compiling import cost, trial
from trainer.compiling.choice import Choice


def _trainer(model=None, **options):
    model = model or layers.Sequential([layers.Dense(4, activation="relu"), layers.Dense(2)])
    return Trainer(model, loss="mse", optimizer=optimizers.Adam(0.01), **options)


def test_loops_are_made_once(data):
    """Two shapes of batch (8 rows, and 5 at the end) are two loops, however often fit is called."""
    trainer = _trainer(jit=False)
    for _ in range(3):
        trainer.fit(*data, batch_size=8, epochs=2, verbose=0)
        trainer.evaluate(*data, batch_size=8, verbose=0)
        trainer.predict(data[0], batch_size=8)
    assert [loop.traces for loop in trainer.programs.loops] == [1] * 6


def test_the_choice_follows_the_length_of_the_run(data, capsys):
    trainer = _trainer()
    trainer.fit(*data, batch_size=8, epochs=1, verbose=2)
    assert trainer.programs.choices["train"].mode == "graph"
    assert "compiled as a TensorFlow graph" in capsys.readouterr().out
    long = _trainer()
    source = long.prepare(*data, batch_size=8, shuffle=False)
    segment = source.reader(0).take(7)
    enough = 20_000  # launches outweigh a compilation, and it is too short for a trial
    loop = long.programs.loop("train", source.fetch, segment, enough)
    assert loop.mode == "loop"
    # One step at the end of an epoch does not get a program of its own under XLA.
    segment = source.reader(0, 6).take(1)
    assert segment.rows == 5
    assert long.programs.loop("train", source.fetch, segment, enough).mode == "graph"


@pytest.fixture
def doubtful(monkeypatch):
    """The graph leaves doubt, so the modes are measured."""
    monkeypatch.setattr(cost, "decide", lambda told, steps, on_cpu: None)
    monkeypatch.setattr(cost, "trial_budget", lambda steps, step_seconds: 600.0)
    monkeypatch.setattr(trial, "_ROUND_SECONDS", 0.002)


def test_measuring_leaves_training_untouched(data, doubtful, monkeypatch):
    """The same bits as with the mode given: the trial ran on state that was put back."""
    monkeypatch.setattr(trial, "_SLIGHT", 1.0)  # the graph wins, whatever the clock says
    options = {"batch_size": 8, "epochs": 2, "verbose": 0}
    auto, plain = _trainer(), _trainer(jit=False)
    auto.fit(*data, **options)
    plain.fit(*data, **options)
    assert auto.programs.choices["train"].reason.startswith("measured")
    for a, b in zip(auto.task.model.get_weights(), plain.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert auto.step == int(auto.programs.counter) == 14


def test_a_second_run_does_not_measure_again(data, doubtful, monkeypatch):
    _trainer().fit(*data, batch_size=8, steps=1, verbose=0)
    first = _trainer()
    monkeypatch.setattr(trial, "measure", lambda *_, **__: pytest.fail("measured twice"))
    first.fit(*data, batch_size=8, steps=1, verbose=0)
    assert first.programs.choices["train"].reason.startswith("measured")


class Words(tf.Module):
    """Uses strings, which XLA does not have."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.ones([3, 2]))

    def __call__(self, x):
        text = tf.strings.length(tf.strings.as_string(x[:, :1], precision=0))
        return x @ self.w + 0.0 * tf.cast(text, tf.float32)


class Talking(Words):
    """Prints, which XLA cannot."""

    def __call__(self, x):
        tf.print("seen", output_stream="file:///dev/null")
        return x @ self.w


def test_auto_goes_on_without_xla_and_says_why(data, monkeypatch):
    # As if it were not known that XLA refuses it.
    monkeypatch.setattr(cost, "decide", lambda *_: Choice("loop", "for the test"))
    said = []
    trainer = _trainer(Words())
    monkeypatch.setattr(trainer.programs, "warn", said.append)
    trainer.fit(*data, batch_size=8, epochs=2, verbose=0)
    assert trainer.programs.choices["train"].mode == "graph"
    assert len(said) == 1
    assert "XLA does not compile it" in said[0]
    assert "no operation AsString" in said[0]
    assert trainer.step == 14


def test_what_xla_refuses_in_a_trial_is_a_note(data, doubtful):
    """A real loop's own error, of an operation that is not on any list."""
    trainer = _trainer(Talking())
    trainer.fit(*data, batch_size=8, epochs=2, verbose=0)
    choice = trainer.programs.choices["train"]
    assert choice.mode == "graph" and trainer.step == 14
    notes = [one.note for one in choice.trials[1:]]
    assert all(note.startswith("does not compile") and "PrintV2" in note for note in notes), notes


def test_forced_xla_that_cannot_be_is_refused(data):
    trainer = _trainer(Words(), jit="loop")
    with pytest.raises(RuntimeError, match=r"(?s)XLA.*jit=False"):
        trainer.fit(*data, batch_size=8, verbose=0)
    assert trainer.step == 0


def test_a_variable_without_gradient_is_named_once(data, monkeypatch):
    class Idle(layers.Layer):
        def build(self, shape):
            self.used = self.add_weight("used", (3, 2), "ones")
            self.idle = self.add_weight("idle", (2,), "ones")

        def call(self, x, training=False):
            return x @ self.used

    said = []
    trainer = _trainer(Idle(), jit=False)
    monkeypatch.setattr("trainer.programs.logging.warning", said.append)
    trainer.fit(*data, batch_size=8, epochs=2, verbose=0)
    assert len(said) == 1
    assert "idle" in said[0]


def test_choices_go_into_a_checkpoint_and_come_back(data, monkeypatch):
    """What is ragged is known of a resumed run too, though it has seen nothing else yet."""
    first = _trainer()
    first.fit(*data, batch_size=8, epochs=1, verbose=0)
    memory = first.programs.memory()
    again, other = _trainer(), _trainer(jit="loop")
    again.programs.load_memory(memory)
    assert again.programs.choices == first.programs.choices
    assert again.programs.memory() == memory
    monkeypatch.setattr(again.programs, "_choose", lambda *_: pytest.fail("chosen anew"))
    again.fit(*data, batch_size=8, epochs=1, verbose=0)
    said = []
    monkeypatch.setattr(other.programs, "warn", said.append)
    other.programs.load_memory(memory)
    assert "jit='loop', and the checkpoint's run compiled train as a TensorFlow graph" in said[0]
    assert other.programs.choices == {}


def test_plan_shows_what_was_tried_and_fit_follows_it(data, doubtful, monkeypatch, capsys):
    """State, position and counter are as before; the choice is on record, and not made again."""
    trainer = _trainer()
    choice = trainer.plan(*data, batch_size=8)
    assert [one.mode for one in choice.trials] == ["graph", "step", "loop"]
    assert choice.peak_bytes > 0 and choice.seconds > 0
    printed = capsys.readouterr().out
    assert printed == choice.table() + "\n"
    assert "kept" in printed
    assert trainer.step == int(trainer.programs.counter) == 0
    monkeypatch.setattr(trial, "measure", lambda *_, **__: pytest.fail("measured twice"))
    again = _trainer()
    assert again.plan(*data, batch_size=8) == choice
    trainer.fit(*data, batch_size=8, verbose=0)
    assert trainer.programs.choices["train"] == choice
    plain = _trainer(jit={"train": {"graph": False}.get(choice.mode, choice.mode)})
    plain.fit(*data, batch_size=8, steps=6, verbose=0)
    other = _trainer()
    other.plan(*data, batch_size=8)
    other.fit(*data, batch_size=8, steps=6, verbose=0)
    for a, b in zip(other.task.model.get_weights(), plain.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_plan_is_for_one_function(data, capsys):
    trainer = _trainer(jit={"evaluate": "step"})
    choice = trainer.plan(*data, batch_size=8, function="evaluate")
    assert (choice.mode, choice.reason) == ("step", "as asked by jit=")
    assert "train" not in trainer.programs.choices
    with pytest.raises(ValueError, match=r"function='fit'.*train, evaluate, predict"):
        trainer.plan(*data, function="fit")
    with pytest.raises(ValueError, match="steps=0"):
        trainer.plan(*data, steps=0)


def test_fit_says_what_compiling_took(data, capsys):
    trainer = _trainer(jit=False)
    trainer.fit(*data, batch_size=8, verbose=1)
    assert re.search(r"took .* s: compile \d+%", capsys.readouterr().out)
    made = len(trainer.programs.guard.programs)
    trainer.fit(*data, batch_size=8, verbose=1)
    assert len(trainer.programs.guard.programs) == made


def test_a_signal_amid_a_trial_ends_it(data, doubtful, monkeypatch):
    """Loops told to stop make no step: their times are not taken for a measurement."""
    trainer = _trainer()
    real = trainer.programs.compiled

    def compiled(verb, fetch, rows, mode, *rest):
        if mode == "step":
            trainer.programs.stop.assign(True)
        return real(verb, fetch, rows, mode, *rest)

    monkeypatch.setattr(trainer.programs, "compiled", compiled)
    choice = trainer.plan(*data, batch_size=8)
    assert (choice.mode, choice.reason) == ("graph", "a signal ended the trial")
    assert trainer.step == int(trainer.programs.counter) == 0
