"""Where training stands, when a call of fit is over, and what a checkpoint keeps of it."""

import json

import numpy as np

from trainer.callbacks import History
from trainer.calls import Call, Goal, Position
from trainer.checkpoint import plain


def test_goals():
    position = Position(step=10, epoch=2, epoch_step=3)
    assert Goal(step=10, epoch=None, steps_per_epoch=None).reached(position)
    assert not Goal(step=11, epoch=None, steps_per_epoch=None).reached(position)
    assert Goal(step=None, epoch=2, steps_per_epoch=4).reached(position)
    assert Goal(step=None, epoch=4, steps_per_epoch=4).total_steps(position) == 15
    assert Goal(step=None, epoch=4, steps_per_epoch=None).total_steps(position) is None


def test_epochs_count_from_where_a_call_began_and_steps_from_zero():
    start = Position(step=10, epoch=2)
    assert Call(start, {"epochs": 3}, None, History()).goal(7) == Goal(None, 5, 7)
    assert Call(start, {"steps": 30}, None, History()).goal(None) == Goal(30, None, None)


def test_a_call_survives_a_checkpoint():
    history = History()
    history.add_steps(11, {"loss": np.array([3.0, 2.0])})
    history.add_epoch(3, 12, {"loss": 2.5})
    call = Call(Position(step=10, epoch=2), {"epochs": 3}, {"rows": 8}, history, done=True)
    packed, arrays = plain.pack(call.memory(), "call")
    back = Call.of(plain.unpack(json.loads(json.dumps(packed)), arrays))
    assert (back.start, back.asked, back.data, back.done) == (
        call.start,
        {"epochs": 3},
        {"rows": 8},
        True,
    )
    assert repr(back.history) == repr(history)
    np.testing.assert_array_equal(back.history.steps["step"], [11, 12])
    back.history.add_steps(13, {"loss": np.array([1.0])})
    np.testing.assert_array_equal(back.history.steps["loss"], [3.0, 2.0, 1.0])
    np.testing.assert_array_equal(history.steps["loss"], [3.0, 2.0])
