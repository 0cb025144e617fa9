"""A few of the kills of `python -m tests.faults.kills`, one of each job, mode and kind of data."""

import pytest

from tests.faults.kills import first_point, strike


@pytest.mark.parametrize(
    ("job", "mode", "data", "kills"),
    [("cnn", "graph", "arrays", 3), ("lstm", "step", "tf.data", 2), ("gan", "loop", "arrays", 1)],
)
def test_killed_runs_end_as_uninterrupted_ones(job, mode, data, kills, monkeypatch):
    """Before a step, after a time, amid a write: variables, history and TensorBoard's points."""
    monkeypatch.setenv("JOB_JIT", mode)
    monkeypatch.setenv("JOB_DATA", data)
    struck, difference = strike(job, mode, data, kills=kills, seed=7)
    assert len(struck) == kills
    assert difference is None


def test_a_missing_or_other_point_is_seen():
    a = {("train", "loss"): [(1, 0.5), (2, 0.25)]}
    assert first_point(a, dict(a)) is None
    assert "(2, 0.25), None" in first_point(a, {("train", "loss"): [(1, 0.5)]})
    assert "validation" in first_point(a, {**a, ("validation", "loss"): [(1, 0.5)]})
