"""Callbacks: order, what each one sees, and what happens when one fails."""

import types

import keras
import numpy as np
import pytest

from trainer.callbacks import (
    At,
    Callback,
    CallbackError,
    Callbacks,
    Control,
    EarlyStopping,
    Every,
    LambdaCallback,
    NormMonitor,
    TensorBoard,
)
from trainer.callbacks.triggers import NEVER, Moment


class Recorder(Callback):
    """Notes every call in a shared list."""

    def __init__(self, name, when, notes, fail=(), stop=None):
        self.name, self.when, self.notes, self.fail, self.stop = name, when, notes, fail, stop

    def note(self, *what):
        self.notes.append((self.name, *what))
        if what[0] in self.fail:
            raise OSError(f"{self.name} has no room")

    def on_train_begin(self, run):
        self.note("begin")

    def __call__(self, report):
        self.note("call", report.step, report.steps["step"].tolist())
        return Control(stop=self.stop) if report.step == 10 and self.stop else None

    def on_train_end(self, report):
        self.note("end", report.step)


def test_each_is_called_in_order_with_the_steps_it_has_not_seen(fit, make_run):
    notes = []
    a = Recorder("a", Every(steps=4), notes)
    b = Recorder("b", Every(steps=5), notes)
    fit([a, b], make_run(total_steps=20))
    calls = [note for note in notes if note[1] == "call"]
    assert calls[:3] == [
        ("a", "call", 4, [1, 2, 3, 4]),
        ("b", "call", 5, [1, 2, 3, 4, 5]),
        ("a", "call", 8, [5, 6, 7, 8]),
    ]
    assert [c[0] for c in calls if c[2] == 20] == ["a", "b"]
    for name in "ab":  # every step is seen exactly once
        assert [s for c in calls if c[0] == name for s in c[3]] == list(range(1, 21))
    assert notes[:2] == [("a", "begin"), ("b", "begin")]
    assert notes[-2:] == [("a", "end", 20), ("b", "end", 20)]


def test_next_is_the_nearest_and_never_without_callbacks():
    callbacks = Callbacks([LambdaCallback(print, when=At(9)), LambdaCallback(print, when=At(7))])
    assert callbacks.next(Moment(step=3)) == 7
    assert callbacks.next(Moment(step=7)) == 9
    assert Callbacks(None).next(Moment(step=3)) == NEVER == Callbacks([]).seen


def test_seconds_are_counted_from_a_callbacks_own_last_call(fit, make_run):
    notes = []
    fit([Recorder("a", Every(seconds=4), notes), Recorder("b", Every(steps=3), notes)], make_run())
    assert [n[2] for n in notes if n[:2] == ("a", "call")] == [4, 8, 12, 16, 20, 24, 28]


def test_a_stop_still_calls_the_others(fit, make_run):
    notes = []
    callbacks = [
        Recorder("a", Every(epochs=1), notes, stop="enough"),
        Recorder("b", Every(epochs=1), notes, stop="too much"),
    ]
    history = fit(callbacks, make_run())
    assert history.stopped == "enough; too much"
    assert [n[:3] for n in notes[2:]] == [
        ("a", "call", 10),
        ("b", "call", 10),
        ("a", "end", 10),
        ("b", "end", 10),
    ]


def test_a_failure_names_the_callback_and_the_step_and_ends_the_rest(fit, make_run):
    notes = []
    callbacks = [
        Recorder("a", Every(steps=4), notes, fail=("call",)),
        Recorder("b", Every(steps=4), notes),
    ]
    with pytest.raises(CallbackError, match=r"Recorder failed at step 4: OSError: a has") as caught:
        fit(callbacks, make_run())
    assert "trained so far is kept" in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert [n[:2] for n in notes[3:]] == [("a", "end"), ("b", "end")]


@pytest.mark.parametrize("when", [100, "epoch", Every])
def test_what_is_no_trigger_is_refused_at_once(when):
    words = r"callbacks\[0\] \(LambdaCallback\): when=.* is no trigger; write Every\(steps=100\)"
    with pytest.raises(TypeError, match=words):
        Callbacks([LambdaCallback(print, when=when)])
    with pytest.raises(TypeError, match=r"when of Norms=.* is no trigger"):
        Callbacks([NormMonitor(when)])


def test_methods_that_nobody_calls_are_refused():
    class Translated(Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise AssertionError("never called")

    with pytest.raises(TypeError, match=r"callbacks\[0\] \(Translated\) defines on_epoch_end"):
        Callbacks([Translated()])


def test_a_wrong_return_value_is_an_error(fit, make_run):
    wrong = LambdaCallback(lambda report: "stop", when=Every(steps=4))
    with pytest.raises(CallbackError, match=r"returned 'stop'; return a Control or None"):
        fit([wrong], make_run())


def test_every_on_train_end_is_called_and_the_first_failure_raised(fit, make_run):
    notes = []
    callbacks = [Recorder(n, At(1), notes, fail=("end",) if n != "c" else ()) for n in "abc"]
    with pytest.raises(CallbackError, match=r"(?s)when training ended.*a has.*and also.*b has"):
        fit(callbacks, make_run())
    assert [n[0] for n in notes if n[1] == "end"] == ["a", "b", "c"]


def test_an_interrupt_is_never_hidden_by_a_failing_end(fit, make_run):
    callbacks = [Recorder("a", At(1), [], fail=("end",))]
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(callbacks, make_run(), fail_at=5)
    if hasattr(caught.value, "add_note"):
        assert "a has no room" in caught.value.__notes__[0]


def test_only_what_began_is_ended(fit, make_run):
    notes = []
    callbacks = [Recorder(n, At(1), notes, fail=("begin",) if n == "b" else ()) for n in "abc"]
    with pytest.raises(CallbackError, match="when training began: OSError: b has"):
        fit(callbacks, make_run())
    assert [n[:2] for n in notes] == [("a", "begin"), ("b", "begin"), ("a", "end")]


def test_a_trigger_that_does_not_go_on_is_refused(fit, make_run):
    class Stuck:
        def next(self, moment):
            return moment.step

        def due(self, moment):
            return True

    with pytest.raises(ValueError, match="LambdaCallback gave step 0 as the next after step 0"):
        fit([LambdaCallback(print, when=Stuck())], make_run())


@pytest.mark.parametrize(
    ("monitor", "validates", "message"),
    [
        ("val_los", True, "monitors 'val_los'.*Did you mean 'val_loss'"),
        ("val_auc", False, "Give fit validation_data"),
        ("zzz", True, "it reports loss, accuracy, learning_rate, val_loss, val_accuracy.$"),
    ],
)
def test_a_missing_monitor_is_refused_before_anything_begins(
    fit, make_run, monitor, validates, message
):
    notes = []
    callbacks = [Recorder("a", At(1), notes), EarlyStopping(monitor, mode="max")]
    with pytest.raises(ValueError, match=message):
        fit(callbacks, make_run(validates=validates))
    assert notes == []


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (TensorBoard, r"callbacks\[1\] is the class TensorBoard; pass an instance"),
        (keras.callbacks.TerminateOnNaN(), "TerminateOnNaN is a Keras callback with on_batch_end"),
        (print, r"plain function.*LambdaCallback\(fn, when="),
        ("tensorboard", "must be a Callback instance"),
    ],
)
def test_refuses_what_is_no_callback(thing, message):
    with pytest.raises(TypeError, match=message):
        Callbacks([LambdaCallback(print), thing])


def test_refuses_no_list_and_the_same_one_twice():
    with pytest.raises(TypeError, match="pass a list"):
        Callbacks("tensorboard")
    one = LambdaCallback(print)
    with pytest.raises(ValueError, match="twice"):
        Callbacks([one, one])
    assert list(Callbacks(one)) == [one]


def test_memory_is_kept_by_class_and_number():
    first, second = EarlyStopping(), EarlyStopping("loss")
    second.best, second.wait = 0.5, 2
    memory = Callbacks([first, second]).memory()
    other, again = EarlyStopping(), EarlyStopping("loss")
    Callbacks([LambdaCallback(print), other, again]).load_memory(memory)
    assert (again.best, again.wait, other.best) == (0.5, 2, None)


def test_each_goes_on_from_what_it_has_seen(fit, make_run):
    """A callback that was last called at step 8 is told of step 9 first after a restart at 10."""
    notes = []
    first = Callbacks([Recorder("a", Every(steps=4), notes), Recorder("b", Every(steps=5), notes)])
    memory = {key: dict(part) for key, part in first.memory().items()}
    memory["Recorder:0"]["seen"], memory["Recorder:1"]["seen"] = 8, 10
    first.start(make_run(start_step=0, step=10))
    first.load_memory(memory)
    seen = []

    def report(since):
        seen.append(since)
        return types.SimpleNamespace(step=20, steps={"step": np.arange(since + 1, 21)})

    first.run(Moment(step=20), report)
    assert seen == [8, 10]


def test_wishes_are_joined():
    class Wish(Callback):
        when = Every(steps=1)

        def __init__(self, control):
            self.control = control

        def __call__(self, report):
            return self.control

    def ask(*controls):
        return Callbacks([Wish(c) for c in controls]).run(Moment(step=1), lambda since: None)

    assert ask(None, None) is None
    assert ask(Control(save=True), None) == Control(save=True)
    assert ask(Control(stop="a"), Control(save=True), Control(stop="b")) == Control("a; b", True)


def test_of_several_workers_the_chief_alone_calls_those_that_write(fit, make_run):
    """Elsewhere they are due at the same steps, so that all make calls of the same length."""
    notes = []
    writer, other = Recorder("w", Every(steps=4), notes), Recorder("o", Every(steps=6), notes)
    writer.chief_only = True
    for chief in (True, False):
        callbacks = Callbacks([writer, other], chief=chief)
        notes.clear()
        callbacks.start(make_run())
        begun = list(notes)
        dues = []
        for step in range(1, 13):
            dues.append(callbacks.next(Moment(step=step - 1)))
            callbacks.run(Moment(step=step), lambda since: _Report())
        assert dues == [4, 4, 4, 4, 6, 6, 8, 8, 12, 12, 12, 12]
        assert callbacks.seen == 12
        callbacks.finish(lambda since: _Report())
        names = {name for name, *_ in notes}
        assert names == ({"w", "o"} if chief else {"o"})
        assert begun == [("w", "begin"), ("o", "begin")][0 if chief else 1 :]


class _Report:
    step = 0
    steps = {"step": np.zeros(0)}
