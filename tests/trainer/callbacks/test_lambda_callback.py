"""LambdaCallback: each function is called when it should be."""

import pytest

from trainer.callbacks import Control, Every, LambdaCallback


def test_calls_each_function(fit, make_run):
    notes = []
    callback = LambdaCallback(
        lambda report: notes.append(report.step),
        when=Every(steps=15),
        on_train_begin=lambda run: notes.append(run.epochs),
        on_train_end=lambda report: notes.append("end"),
    )
    fit([callback], make_run())
    assert notes == [3, 15, 30, "end"]
    assert repr(callback) == "LambdaCallback(when=Every(steps=15))"


def test_a_control_ends_the_run(fit, make_run):
    stop = LambdaCallback(lambda report: Control(stop="enough"), when=Every(steps=7))
    history = fit([stop], make_run())
    assert (history.stopped, len(history.steps["loss"])) == ("enough", 7)


def test_needs_a_function():
    with pytest.raises(ValueError, match="at least one of fn, on_train_begin, on_train_end"):
        LambdaCallback()
    with pytest.raises(TypeError, match="on_train_end=3"):
        LambdaCallback(print, on_train_end=3)
