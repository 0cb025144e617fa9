"""Workers make the same calls and end together, whatever each of them wishes."""

import math
import signal

import pytest

from tests.trainer import pairs
from trainer.distribution.consensus import Consensus
from trainer.distribution.replicas import Replicas


@pytest.fixture
def together():
    """`together(fn)`: `fn(consensus, interrupt)` in two workers at once; what they give."""

    class Interrupted:
        wanted = None

        def tell(self, number):
            self.wanted = number

    def run(fn):
        def one(desk):
            interrupt = Interrupted()
            interrupt.worker = desk.worker
            return fn(Consensus(desk, interrupt), interrupt)

        return pairs.together(one)

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


def test_data_that_ends_for_one_alone_is_refused_by_both(together):
    errors = together(lambda consensus, desk: consensus.steps(5, (5, math.inf)[desk.worker]))
    assert [type(error) for error in errors] == [ValueError] * 2
    assert "the data ends on worker 0 before it does on worker 1" in str(errors[0])
    assert together(lambda consensus, desk: consensus.steps(5, 5)) == [5, 5]
    assert together(lambda consensus, desk: consensus.steps((3, 5)[desk.worker], 5)) == [3, 3]
    at_its_end = together(
        lambda consensus, desk: consensus.steps((0, 5)[desk.worker], (0, 5)[desk.worker])
    )
    assert [type(error) for error in at_its_end] == [ValueError] * 2


def test_time_goes_by_the_chiefs_clock(together):
    def fn(consensus, desk):
        before = consensus.seconds
        took = consensus.after((0.25, 9.0)[desk.worker], desk.worker == 1)
        return before, took, consensus.seconds, consensus.chief

    ours, theirs = together(fn)
    assert ours[:3] == theirs[:3]
    assert ours[:2] == (0.0, (0.25, False))
    assert (ours[3], theirs[3]) == (True, False)
    alone = Consensus(Replicas(), None)
    assert alone.after(2.0, True) == (2.0, True)
    assert alone.seconds > 0
