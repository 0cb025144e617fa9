"""The order in which a choice is looked for, and that all is recorded."""

import contextlib

import pytest
import tensorflow as tf

from trainer.compiling import chooser, cost, record, trial
from trainer.compiling.choice import Choice

FOUND = Choice("step", "measured", True)


@pytest.fixture
def graph(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", str(tmp_path))
    fn = tf.function(lambda x: tf.nn.relu(x @ x), autograph=False)
    return fn.get_concrete_function(tf.TensorSpec([8, 8])).graph


def _choose(graph, steps, opened=None):
    @contextlib.contextmanager
    def scratch():
        (opened if opened is not None else []).append(True)
        yield

    choice, problem = chooser.choose("key", graph, steps, lambda mode: print, 10, scratch)
    assert problem is None
    return choice


def test_a_trial_is_made_once_within_the_scratch(graph, monkeypatch):
    opened, tried = [], []
    monkeypatch.setattr(cost, "decide", lambda *_: None)
    monkeypatch.setattr(trial, "measure", lambda *_, **__: tried.append(opened[:]) or FOUND)
    first = _choose(graph, None, opened)
    assert (first.mode, tried) == ("step", [[True]])
    assert first.peak_bytes == 2 * 4 * 64
    assert _choose(graph, 77) == first  # found for one length, it holds for all
    assert len(tried) == 1


def test_what_the_graph_rules_out_is_not_tried(graph, monkeypatch):
    told = {}
    fn = tf.function(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), autograph=False)
    specs = tf.TensorSpec([1, 8, 8, 3]), tf.TensorSpec([3, 3, 3, 4])
    monkeypatch.setattr(trial, "measure", lambda *_, **how: told.update(how) or FOUND)
    assert _choose(fn.get_concrete_function(*specs).graph, None).mode == "step"
    assert list(told["left_out"]) == ["loop"]


def test_a_trial_that_a_signal_ends_is_not_recorded(graph, monkeypatch):
    def stopped(*_, **__):
        raise trial.Stopped

    monkeypatch.setattr(cost, "decide", lambda *_: None)
    monkeypatch.setattr(trial, "measure", stopped)
    choice = _choose(graph, None)
    assert (choice.mode, choice.settled) == ("graph", False)
    assert record.recall("key") is record.recall("key-None") is None


def test_what_holds_for_one_length_is_kept_for_it(graph, monkeypatch):
    """A trial of a longer run in between does not change the choice for this one."""
    short = _choose(graph, 5)
    assert (short.mode, short.settled) == ("graph", False)
    assert record.recall("key") is None
    record.remember("key", FOUND)
    assert _choose(graph, 5) == short
    assert _choose(graph, 6) == FOUND
