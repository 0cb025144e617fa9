"""Workers make the same calls and end together, whatever each of them wishes."""

import signal
import threading

import numpy as np
import pytest

from trainer.consensus import Consensus
from trainer.distribute import Replicas


class Desk:
    """Stands for an interrupt, and for the replicas of one of two workers in a process."""

    workers = 2

    def __init__(self, worker, table, barrier):
        self.worker, self._table, self._barrier = worker, table, barrier
        self.wanted = None

    def agree(self, *values):
        self._table[self.worker] = values
        self._barrier.wait(5)
        said = np.array(self._table, float)
        self._barrier.wait(5)
        return said

    def tell(self, number):
        self.wanted = number


@pytest.fixture
def together():
    """`together(fn)`: `fn(consensus, interrupt)` in two workers at once; what they give."""

    def run(fn):
        table, barrier, found = [None, None], threading.Barrier(2), [None, None]
        desks = [Desk(i, table, barrier) for i in range(2)]

        def work(i):
            found[i] = fn(Consensus(desks[i], desks[i]), desks[i])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        return found

    return run


def test_a_call_is_as_long_as_the_shortest_worker_can(together):
    assert together(lambda consensus, desk: consensus.steps(10 - desk.worker)) == [9, 9]


def test_a_signal_to_one_ends_all(together):
    def fn(consensus, desk):
        if desk.worker == 1:
            desk.wanted = signal.SIGTERM
        before = consensus.ends
        return before, consensus.steps(5), consensus.signal, desk.wanted

    assert together(fn) == [(False, 0, signal.SIGTERM, signal.SIGTERM)] * 2


def test_a_wish_of_one_ends_all_at_the_next_call(together):
    def fn(consensus, desk):
        consensus.wish("good enough" if desk.worker == 0 else None)
        return consensus.stop, consensus.steps(5), consensus.stop

    ours, theirs = together(fn)
    assert ours == (None, 0, "good enough")
    assert theirs[:2] == (None, 0)
    assert "another worker" in theirs[2]


def test_any(together):
    assert together(lambda consensus, desk: consensus.any(desk.worker == 1)) == [True, True]
    assert together(lambda consensus, desk: consensus.any(False)) == [False, False]


def test_alone_wishes_count_at_once():
    class Quiet:
        wanted = None

    consensus = Consensus(Replicas(), Quiet)
    assert (consensus.steps(7), consensus.ends, consensus.any(True)) == (7, False, True)
    consensus.wish("enough")
    assert consensus.stop == "enough"
    assert consensus.ends
