"""Turns within one process, and the folder in which nothing is known."""

import os

from benchmarks import turns


def test_each_round_begins_with_another_and_all_have_as_many_turns():
    journal = []

    def turn(name):
        journal.append(name)
        return float(len(journal))

    seconds = turns.taken({name: lambda name=name: turn(name) for name in "abc"}, 4)
    assert "".join(journal) == "abcbcacababc"
    assert seconds["a"] == [1.0, 6.0, 8.0, 10.0]


def test_what_was_known_is_known_again_afterwards(monkeypatch):
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", "mine")
    with turns.nothing_known() as folder:
        assert os.environ["GRADLOOP_CACHE_DIR"] == str(folder) and not any(folder.iterdir())
    assert os.environ["GRADLOOP_CACHE_DIR"] == "mine" and not folder.exists()
    monkeypatch.delenv("GRADLOOP_CACHE_DIR")
    with turns.nothing_known():
        pass
    assert "GRADLOOP_CACHE_DIR" not in os.environ
