"""Triggers by brute force: stepping one by one, the first due step is the one `next` named."""

import dataclasses

import pytest

from trainer.callbacks.triggers import NEVER, AnyOf, At, Every, Moment, Validated

STEP = 0.125  # seconds, exact in binary


def moments(length, start_step=0, start_epoch=0, known=True):
    """The moment after each step from a start on, with epochs of `length`."""
    step, epoch, epoch_step = start_step, start_epoch, 0
    while True:
        end = step > start_step and epoch_step == length
        if end:
            epoch, epoch_step = epoch + 1, 0
        yield Moment(
            step=step,
            epoch=epoch,
            epoch_step=epoch_step,
            steps_per_epoch=length if known else None,
            epoch_end=end,
            seconds=(step - start_step) * STEP,
            step_seconds=STEP,
        )
        step, epoch_step = step + 1, epoch_step + 1


TRIGGERS = [
    Every(steps=1),
    Every(steps=7),
    Every(epochs=1),
    Every(epochs=3),
    Every(seconds=2.0),
    At(1),
    At(40, 3, 17),
    Every(steps=12) | Every(epochs=2),
    Every(seconds=5.0) | At(33) | Every(steps=50),
]


@pytest.mark.parametrize("trigger", TRIGGERS, ids=repr)
@pytest.mark.parametrize(("length", "start"), [(1, 0), (10, 0), (10, 35), (64, 5)])
def test_the_next_step_is_the_first_due(trigger, length, start):
    walk = moments(length, start, start_epoch=2)
    path = [next(walk) for _ in range(400)]
    fired, dues = 0.0, 0
    promised = trigger.next(path[0])
    for moment in path[1:]:
        moment = dataclasses.replace(moment, fired=fired)
        if moment.step < promised:
            seconds = any("seconds" in repr(t) for t in [trigger])
            assert seconds or not trigger.due(moment), f"due before step {promised}"
            continue
        assert moment.step == promised
        assert trigger.due(moment)
        fired, dues = moment.seconds, dues + 1
        promised = trigger.next(dataclasses.replace(moment, fired=fired))
        assert promised > moment.step
    assert promised > path[-1].step
    assert dues >= (2 if not isinstance(trigger, At) else sum(s > start for s in trigger.steps))


def test_seconds_come_after_their_time_and_not_much_before():
    trigger = Every(seconds=2.0)
    assert trigger.next(Moment(step=5)) == 6  # the speed is not known yet
    assert trigger.next(Moment(step=5, step_seconds=0.5)) == 9
    assert trigger.next(Moment(step=5, step_seconds=60.0)) == 6
    assert trigger.next(Moment(step=5, step_seconds=0.5, seconds=7.0, fired=6.0)) == 7
    assert not trigger.due(Moment(step=5, seconds=7.0, fired=6.0))
    assert trigger.due(Moment(step=5, seconds=7.95, fired=6.0))


def test_epochs_of_unknown_length_are_never_planned_but_due():
    trigger = Every(epochs=2)
    assert trigger.next(Moment(step=5)) == NEVER
    assert not trigger.due(Moment(step=5, epoch=1, epoch_end=True))
    assert trigger.due(Moment(step=9, epoch=2, epoch_end=True))
    assert not trigger.due(Moment(step=9, epoch=2))


def test_validated_is_due_when_validation_ran():
    trigger = Validated() | Every(steps=100)
    assert Validated().next(Moment(step=5)) == NEVER
    assert trigger.next(Moment(step=5)) == 100
    assert trigger.due(Moment(step=5, validated=True))
    assert not trigger.due(Moment(step=5))


def test_joins_are_flat_and_readable():
    joined = Every(steps=5) | At(1, 2) | Every(epochs=1) | Validated()
    assert isinstance(joined, AnyOf)
    assert len(joined.triggers) == 4
    assert repr(joined) == "Every(steps=5) | At(1, 2) | Every(epochs=1) | Validated()"
    assert repr(Every(seconds=0.25)) == "Every(seconds=0.25)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of steps, epochs, seconds; got none"),
        ({"steps": 1, "epochs": 1}, "exactly one"),
        ({"steps": 0}, "above 0"),
        ({"steps": 1.5}, "whole number"),
        ({"epochs": -1}, "above 0"),
        ({"seconds": True}, "must be a number"),
        ({"seconds": "1"}, "must be a number"),
        ({"seconds": float("nan")}, "above 0"),
    ],
)
def test_every_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Every(**arguments)


@pytest.mark.parametrize("steps", [(), (0,), (1.5,), (True,)])
def test_at_refuses(steps):
    with pytest.raises(ValueError, match="At takes steps"):
        At(*steps)
