"""When instruments are due, that they change nothing, and that a resumed run has lost nothing."""

import numpy as np
import pytest

from trainer import At, Callback, Checkpoint, Every
from trainer.callbacks import CallbackError, Validated
from trainer.callbacks.triggers import Moment
from trainer.instruments import Norms
from trainer.instruments.gauges import Gauges


@pytest.mark.parametrize(
    ("when", "steps"),
    [
        (Every(steps=1), range(1, 22)),
        (Every(steps=4), [4, 8, 12, 16, 20]),
        (Every(epochs=1), [7, 14, 21]),
        (Every(epochs=2), [14]),
        (At(1, 2, 19), [1, 2, 19]),
        (Every(steps=10) | At(3), [3, 10, 20]),
        (Every(seconds=1e-9), range(1, 22)),
    ],
    ids=str,
)
def test_are_read_exactly_when_due_and_change_nothing(run, read, same_weights, when, steps):
    look = read(Norms(when))
    trainer, history = run([look])
    assert list(look.read[Norms(when)]) == list(steps)
    plain, plain_history = run([])
    same_weights(trainer, plain)
    np.testing.assert_array_equal(history.steps["loss"], plain_history.steps["loss"])


@pytest.mark.parametrize("jit", ["step", "loop"])
def test_xla_reads_them_too(run, read, jit):
    """XLA may add in another order where more is wanted of a step: equal up to rounding."""
    look = read(Norms(Every(steps=4)))
    _trainer, history = run([look], jit)
    assert list(look.read[Norms(Every(steps=4))]) == [4, 8, 12, 16, 20]
    _, plain = run([], jit)
    np.testing.assert_allclose(history.steps["loss"], plain.steps["loss"], rtol=1e-5)


def test_no_program_is_made_where_none_is_due(run, read):
    with_one, _ = run([read(Norms(Every(steps=99)))])
    without, _ = run([])
    assert len(with_one.programs.loops) == len(without.programs.loops)


def test_several_are_read_together_or_apart(run, read):
    often, seldom = Norms(Every(steps=2)), Norms(At(3, 4))
    first, second = read(often, seldom, when=Every(steps=5)), read(often)
    run([first, second])
    assert list(first.read[often]) == list(second.read[often]) == list(range(2, 22, 2))
    assert list(first.read[seldom]) == [3, 4]
    np.testing.assert_equal(first.read[seldom][4], first.read[often][4])


class Crash(Callback):
    when = At(17)

    def __call__(self, report):
        raise MemoryError("as if killed")


def test_a_resumed_run_has_read_what_an_uninterrupted_one_has(run, read, same_weights, tmp_path):
    """Checkpoints fall between a reading and the call that it is told to."""

    class Kept(read):
        def memory(self):
            return {"read": [[s, dict(v)] for s, v in self.read.get(NORMS, {}).items()]}

        def load_memory(self, memory):
            self.read = {NORMS: dict(map(tuple, memory["read"]))}

    NORMS = Norms(Every(steps=3))
    checkpoint = lambda name: Checkpoint(tmp_path / name, when=Every(steps=4))  # noqa: E731
    whole, _ = run([expected := Kept(NORMS)], checkpoint=checkpoint("whole"))
    with pytest.raises(CallbackError):
        run([Kept(NORMS), Crash()], checkpoint=checkpoint("cut"))
    resumed, _ = run([found := Kept(NORMS)], checkpoint=checkpoint("cut"))
    same_weights(whole, resumed)
    np.testing.assert_equal(found.read, expected.read)


def test_refuses_what_could_never_be_due():
    with pytest.raises(TypeError, match="cannot be due after a validation"):
        Gauges([Norms(Validated())]).check(7)
    with pytest.raises(ValueError, match=r"use Every\(steps=...\), or pass steps_per_epoch="):
        Gauges([Norms(Every(epochs=1))]).check(None)


def test_cuts_calls_only_where_something_is_due():
    gauges = Gauges([Norms(Every(steps=10))])
    assert gauges.next(Moment(step=0), 100) == (9, ())
    assert gauges.next(Moment(step=9), 100) == (1, (Norms(Every(steps=10)),))
    assert gauges.next(Moment(step=10), 5) == (5, ())
    assert Gauges([]).next(Moment(step=0), 100) == (100, ())
    both = Gauges([Norms(Every(steps=1)), Norms(At(5))])
    assert both.next(Moment(step=0), 100) == (4, (Norms(Every(steps=1)),))
    assert both.next(Moment(step=4), 100) == (1, (Norms(Every(steps=1)), Norms(At(5))))
