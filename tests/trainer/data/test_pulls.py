"""Pulls from Python: what they look at comes again, and who can be read twice."""

import threading

import numpy as np
import pytest

from trainer.data.pulls import IndexedPull, IterablePull, to_batch


def numbers(runs):
    return [int(leaf[0, 0]) for (leaf, *_) in runs]


class Batches:
    def __init__(self, n, workers=1):
        self.n, self.workers, self.log, self.threads = n, workers, [], set()

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        self.threads.add(threading.get_ident())
        return np.array([index])

    def on_epoch_begin(self):
        self.log.append("begin")

    def on_epoch_end(self):
        self.log.append("end")


def test_an_iterator_is_read_once_an_iterable_again():
    parts = [np.array([i]) for i in range(4)]
    once = IterablePull(iter(parts), None, "x")
    again = IterablePull(tuple(parts), None, "x")
    made = IterablePull(iter(parts), lambda: iter(parts), "x")
    assert (once.once, again.once, made.once) == (True, False, False)
    for pull in (once, again, made):
        assert pull.first()[0][0] == [0]
        assert numbers(pull.runs(0, 1)) == [1, 2, 3]
    assert numbers(again.runs(1, 0)) == numbers(made.runs(1, 0)) == [0, 1, 2, 3]
    assert numbers(once.runs(1, 0)) == []


@pytest.mark.parametrize("workers", [1, 4])
def test_indexed_batches_come_in_order_between_begin_and_end(workers):
    data = Batches(20, workers)
    pull = IndexedPull(data, None, "x")
    assert numbers(pull.runs(0, 3)) == list(range(3, 20))
    assert data.log == ["begin", "end"]
    assert (len(data.threads) > 1) == (workers > 1)


def test_an_epochs_order_is_a_function_of_seed_and_epoch_also_when_skipped():
    pull = IndexedPull(Batches(20), None, "x", seed=3)
    whole = numbers(pull.runs(2, 0))
    assert sorted(whole) == list(range(20)) != whole
    assert numbers(pull.runs(2, 5)) == whole[5:]
    assert numbers(pull.runs(3, 0)) != whole


def test_batches_are_read_as_keras_reads_them():
    x = np.ones((2, 3))
    assert isinstance(to_batch([x, x], "x"), tuple)
    assert len(to_batch((x, None, None), "x")) == 1
    with pytest.raises(ValueError, match="empty batch"):
        to_batch((None,), "x")


@pytest.mark.parametrize(
    ("pull", "message"),
    [
        (lambda: IterablePull(iter(()), None, "data"), "data gave no batch.*function"),
        (lambda: IndexedPull(Batches(0), None, "data"), "data has a length of 0"),
        (lambda: IterablePull([np.array(1)], None, "data"), "data is a scalar in the first batch"),
    ],
)
def test_nothing_to_read_is_said_at_once(pull, message):
    with pytest.raises(ValueError, match=message):
        pull()
