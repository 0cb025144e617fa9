"""Which checkpoints are kept; the reference is the sentence each rule is told in."""

import math

import hypothesis
import pytest
from hypothesis import strategies as st

from trainer.checkpoint.retention import Entry, Retention


def entries(losses, pinned=(), stride=10):
    return [
        Entry(f"{i:06}", i * stride, {} if loss is None else {"loss": loss}, i in pinned)
        for i, loss in enumerate(losses, start=1)
    ]


def kept(retention, given):
    removed = set(retention.to_remove(given))
    return [int(entry.name) for entry in given if entry.name not in removed]


@pytest.mark.parametrize(
    ("retention", "losses", "expected"),
    [
        (Retention(), [1, 2, 3, 4, 5], [3, 4, 5]),
        (Retention(keep_last=1), [1, 2, 3], [3]),
        (Retention(keep_last=None), [1, 2, 3], [1, 2, 3]),
        (Retention(keep_last=9), [1, 2], [1, 2]),
        (Retention(keep_last=1), [], []),
        (Retention(keep_last=1, keep_best=1, monitor="loss"), [3, 1, 2, 4], [2, 4]),
        (Retention(keep_last=1, keep_best=1, monitor="loss", mode="max"), [3, 5, 2, 4], [2, 4]),
        (Retention(keep_last=1, keep_best=2, monitor="loss"), [3, 1, 2, 4], [2, 3, 4]),
        # One that is best and last counts once: nothing more is kept for it.
        (Retention(keep_last=1, keep_best=1, monitor="loss"), [3, 1, 2, 0], [4]),
        (Retention(keep_last=1, keep_best=1, monitor="loss"), [2, 1, 1, 1, 5], [2, 5]),  # ties
        (Retention(keep_last=1, keep_best=1, monitor="loss", mode="max"), [1, 2, 2, 1], [2, 4]),
        (Retention(keep_last=1, keep_best=1, monitor="loss"), [math.nan, 2, 3], [2, 3]),
        (Retention(keep_last=1, keep_best=1, monitor="loss", mode="max"), [math.nan, 2, 1], [2, 3]),
        (Retention(keep_last=1, keep_best=2, monitor="loss"), [math.nan, None, 3], [3]),
        (Retention(keep_last=1, keep_best=1, monitor="loss"), [math.inf, 2, 3], [2, 3]),
        (Retention(keep_last=1, keep_best=1, monitor="loss"), [-math.inf, 2, 3], [1, 3]),
        (Retention(keep_last=1, keep_best=1, monitor="absent"), [1, 2], [2]),
        (Retention(keep_last=1, keep_every=20), [0] * 7, [2, 4, 6, 7]),  # steps 20, 40, 60
        (Retention(keep_last=1, keep_every=25), [0] * 7, [3, 5, 7]),  # steps 30, 50
        (Retention(keep_last=1, keep_every=1000), [0] * 3, [3]),
    ],
)
def test_each_rule(retention, losses, expected):
    assert kept(retention, entries(losses)) == expected


def test_pinned_ones_stay_and_do_not_count():
    assert kept(Retention(keep_last=1), entries([1] * 5, pinned={1, 3})) == [1, 3, 5]


def test_a_step_may_come_again_after_going_back():
    given = [Entry("000001", 100), Entry("000002", 200), Entry("000003", 100), Entry("000004", 150)]
    assert kept(Retention(keep_last=1, keep_every=100), given) == [1, 2, 4]
    assert kept(Retention(keep_last=2), given) == [3, 4]


def test_the_best_come_in_order():
    given = entries([3, 1, math.nan, 2, 1])
    best = Retention(keep_best=3, monitor="loss").best(given)
    assert [int(entry.name) for entry in best] == [2, 5, 4]
    assert Retention().best(given) == []


@hypothesis.given(
    st.lists(st.floats(), max_size=12),
    st.sets(st.integers(1, 12)),
    st.integers(1, 4),
    st.integers(0, 3),
    st.none() | st.integers(1, 60),
)
def test_one_by_one_keeps_as_much_as_all_at_once(losses, pinned, last, best, every):
    retention = Retention(keep_last=last, keep_best=best, monitor="loss", keep_every=every)
    given, left = entries(losses, pinned), []
    for entry in given:
        left.append(entry)
        gone = set(retention.to_remove(left))
        assert entry.name not in gone  # the newest
        assert not any(other.pinned for other in left if other.name in gone)
        left = [other for other in left if other.name not in gone]
    gone = set(retention.to_remove(given))
    assert left == [entry for entry in given if entry.name not in gone]
    assert retention.to_remove(left) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep_last": 0}, r"keep_last=0\): keep_last must be a whole number from 1 on, or None"),
        ({"keep_last": True}, "keep_last must be"),
        ({"keep_best": -1}, "keep_best must be a whole number from 0 on"),
        ({"keep_best": None}, "keep_best must be"),
        ({"keep_best": 1}, "pass monitor="),
        ({"keep_every": 0.5}, "keep_every must be"),
        ({"mode": "auto"}, "mode must be 'min' or 'max'"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Retention(**arguments)
