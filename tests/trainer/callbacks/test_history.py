"""History: what goes in comes out, whatever the pieces were."""

import tracemalloc

import numpy as np
import pytest

from trainer.callbacks import History


def test_steps_do_not_depend_on_the_pieces():
    values = np.random.default_rng(0).normal(size=5000).astype("f")
    history, start = History(), 0
    for size in (1, 2, 1021, 0, 1, 3975):
        history.add_steps(start + 1, {"loss": values[start : start + size]})
        start += size
    assert list(history.steps) == ["step", "loss"]
    np.testing.assert_array_equal(history.steps["step"], np.arange(1, 5001))
    np.testing.assert_array_equal(history.steps["loss"], values.astype(np.float64))
    assert history.steps["loss"].dtype == np.float64
    assert history.steps["step"].dtype == np.int64


def test_since_gives_the_steps_after_one():
    history = History()
    history.add_steps(11, {"loss": np.arange(5.0)})
    view = history.since(13)
    history.add_steps(16, {"loss": np.arange(5.0, 9.0)})
    assert view["step"].tolist() == [14, 15]  # a view of what was there
    assert view["loss"].tolist() == [3.0, 4.0]
    assert history.since(0)["loss"].tolist() == list(range(9))
    assert history.since(19)["loss"].tolist() == []


def test_a_column_that_comes_late_or_stays_away_is_nan():
    history = History()
    history.add_steps(1, {"loss": np.ones(2)})
    history.add_steps(3, {"norm": np.ones(1)})
    np.testing.assert_array_equal(history.steps["loss"], [1, 1, np.nan])
    np.testing.assert_array_equal(history.steps["norm"], [np.nan, np.nan, 1])


def test_what_was_given_out_is_the_users_own():
    history = History()
    history.add_steps(1, {"loss": np.ones(2)})
    history.steps["loss"][:] = 7
    history.steps["step"][:] = 7
    assert history.steps["loss"].tolist() == [1, 1]
    assert history.steps["step"].tolist() == [1, 2]


def test_many_small_additions_take_memory_in_proportion():
    history, one = History(), {"loss": np.ones(10, "f")}
    tracemalloc.start()
    for i in range(2000):
        history.add_steps(10 * i + 1, one)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000 * 12 * 4  # at most two copies of twice the room, and small things


def test_epochs_are_keras_lists():
    history = History()
    history.add_epoch(1, 10, {"loss": 2.0})
    history.add_epoch(2, 20, {"loss": np.float64(1.0), "val_loss": 3.0})
    assert history.history == {"loss": [2.0, 1.0], "val_loss": [3.0]}
    assert (history.epoch, history.epoch_steps) == ([0, 1], [10, 20])
    assert type(history.history["loss"][1]) is float


def test_an_unfinished_last_epoch_counts_as_one():
    history = History()
    history.add_epoch(1, 10, {})
    history.add_epoch(1, 14, {})
    assert history.epoch == [0, 1]


def test_repr_reads():
    history = History()
    assert repr(history) == "History(0 epochs, 0 steps)"
    history.add_steps(1, {"loss": np.ones(2000)})
    history.add_epoch(1, 2000, {"loss": 2.0})
    assert repr(history) == "History(1 epoch, 2,000 steps: loss 2)"
    history.add_epoch(2, 4000, {"loss": 0.123456})
    history.stopped = "enough"
    assert repr(history) == "History(2 epochs, 2,000 steps, stopped: enough: loss 2 -> 0.1235)"
    assert repr(history.steps) == "<2,000 steps of step, loss>"


def test_refuses_columns_that_do_not_fit():
    history = History()
    with pytest.raises(ValueError, match=r"must all be \[n\]"):
        history.add_steps(1, {"loss": np.ones(2), "accuracy": np.ones(3)})
    history.add_steps(1, {"loss": np.ones(2)})
    with pytest.raises(ValueError, match="first_step=2, but step 2 is recorded"):
        history.add_steps(2, {"loss": np.ones(2)})


def test_memory_is_everything_recorded():
    history = History()
    history.add_steps(1, {"loss": np.array([3.0, 2.0])})
    history.add_epoch(1, 2, {"loss": 2.5, "val_loss": 4.0})
    history.stopped = "enough"
    memory = history.memory()
    again = History()
    again.load_memory(memory)
    assert repr(again) == repr(history)
    again.add_steps(3, {"loss": np.array([1.0])})
    again.add_epoch(2, 3, {"loss": 1.0})
    history.add_steps(3, {"loss": np.array([7.0])})
    np.testing.assert_array_equal(memory["columns"]["loss"], [3.0, 2.0])  # later steps leave it
    assert history.history["loss"] == memory["history"]["loss"] == [2.5]
    np.testing.assert_array_equal(again.steps["loss"], [3.0, 2.0, 1.0])
