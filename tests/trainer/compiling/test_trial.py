"""A trial keeps XLA only where its win exceeds the noise, and stays within its budget."""

import math
import random
import statistics

import pytest
import tensorflow as tf

from trainer.compiling import trial


class Machine:
    """A clock of our own, so that the tests are of the rule and not of the machine.

    Args:
        seconds: mode -> of a step.
        noise: relative spread of a call.
        first: mode -> of the first call, beside its step.
        drift: by how much everything slows down with each call.
    """

    def __init__(self, monkeypatch, seconds, noise=0.0, first=0.0, drift=0.0, seed=0):
        self.now, self.calls, self.seconds = 0.0, dict.fromkeys(seconds, 0), seconds
        self.rng, self.noise, self.first, self.drift = random.Random(seed), noise, first, drift
        monkeypatch.setattr(trial.time, "perf_counter", lambda: self.now)

    def run(self, mode):
        def steps(n):
            self.now += 0.0 if self.calls[mode] else self.first
            self.calls[mode] += 1
            slow = (1 + self.drift) ** sum(self.calls.values())
            self.now += n * self.seconds[mode] * slow * math.exp(self.rng.gauss(0, self.noise))

        return steps

    def measure(self, **options):
        runs = {mode: self.run(mode) for mode in self.seconds}
        return trial.measure(runs, 1000, **options)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"graph": 2e-3, "step": 1.5e-3, "loop": 1e-3}, "loop"),
        ({"graph": 2e-3, "step": 1e-3, "loop": 1e-3}, "step"),  # a tie: the one that hears signals
        ({"graph": 1e-3, "step": 1.2e-3, "loop": 2e-3}, "graph"),
        ({"graph": 1e-3, "step": 0.995e-3, "loop": 0.995e-3}, "graph"),
        ({"graph": 1e-3, "step": 0.95e-3, "loop": 2e-3}, "step"),
    ],
)
def test_the_fastest_is_kept(seconds, expected, monkeypatch):
    choice = Machine(monkeypatch, seconds).measure()
    assert choice.mode == expected
    assert choice.settled
    assert [t.mode for t in choice.trials] == ["graph", "step", "loop"]
    for one in choice.trials:
        assert one.step_seconds == pytest.approx(seconds[one.mode])
        assert one.ratio == pytest.approx(seconds[one.mode] / seconds["graph"])


def test_noise_does_not_flip_it(monkeypatch):
    """Ways that are equal: the plain one in (nearly) every trial, though each looks faster half
    the time."""
    equal = {"graph": 1e-2, "step": 1e-2, "loop": 1e-2}
    kept = [Machine(monkeypatch, equal, noise=0.1, seed=s).measure().mode for s in range(100)]
    assert kept.count("graph") >= 85
    faster = {"graph": 1e-2, "step": 0.8e-2, "loop": 2e-2}
    kept = [Machine(monkeypatch, faster, noise=0.1, seed=s).measure().mode for s in range(100)]
    assert kept.count("step") >= 95


def test_what_slows_all_down_does_not_count(monkeypatch):
    """A machine that gets slower by 3 % with each call: pairs within a round still agree."""
    seconds = {"graph": 1e-2, "step": 0.85e-2, "loop": 1.1e-2}
    assert Machine(monkeypatch, seconds, drift=0.03).measure().mode == "step"


@pytest.mark.parametrize("budget", [0.5, 3.0, 6.0, 50.0])
def test_the_budget_holds(budget, monkeypatch):
    """Whatever is tried: what would exceed it is left out, and said."""
    machine = Machine(monkeypatch, {"graph": 1e-2, "step": 0.9e-2, "loop": 0.8e-2}, first=2.0)
    machine.now, before = 0.0, machine.now
    choice = machine.measure(budget=lambda step_seconds: 2.0 + budget, compile_seconds=2.0)
    assert machine.now - before <= 2.0 + budget
    assert choice.seconds == pytest.approx(machine.now)
    left_out = [one for one in choice.trials if one.note.startswith("not tried")]
    assert choice.settled == (not left_out)
    assert {0.5: 2, 3.0: 1, 6.0: 0, 50.0: 0}[budget] == len(left_out)


def test_a_wrong_forecast_costs_one_compilation_and_three_rounds(monkeypatch):
    """It was to take one second and takes thirty: its win is found, and no more is tried."""
    seconds = {"graph": 1e-2, "step": 0.5e-2, "loop": 0.1e-2}
    machine = Machine(monkeypatch, seconds, first=30.0)
    machine.calls["graph"] = 1  # compiled before
    choice = machine.measure(budget=lambda step_seconds: 18.0, compile_seconds=1.0)
    assert (choice.mode, choice.settled) == ("step", False)
    assert machine.calls["loop"] == 0 and "not tried" in choice.trials[2].note
    assert machine.calls["step"] == 6 + 3  # a first look, and the rounds
    assert 30.0 < choice.seconds < 31.5


def test_one_long_round_beyond_the_budget_decides_nothing(monkeypatch):
    """Steps of a second: a single pair says nothing of the noise."""
    machine = Machine(monkeypatch, {"graph": 1.0, "step": 0.5}, first=30.0)
    machine.calls["graph"] = 1
    choice = machine.measure(budget=lambda step_seconds: 18.0, compile_seconds=1.0)
    assert (choice.mode, choice.settled) == ("graph", False)
    assert choice.trials[1].ratio == pytest.approx(0.5)


def test_the_loop_is_not_compiled_where_the_step_has_lost(monkeypatch):
    machine = Machine(monkeypatch, {"graph": 1e-2, "step": 5e-2, "loop": 5e-2})
    choice = machine.measure()
    assert machine.calls["loop"] == 0
    assert "only save the launches" in choice.trials[2].note
    assert choice.settled


def test_a_mode_that_does_not_compile_is_passed_over(monkeypatch):
    def fails(n):
        raise tf.errors.InvalidArgumentError(None, None, "no kernel for Frob\nmore")

    run = Machine(monkeypatch, {"graph": 1e-3}).run("graph")
    choice = trial.measure({"graph": run, "loop": fails}, 10)
    assert choice.mode == "graph"
    assert "loop does not compile: no kernel for Frob" in choice.reason


def test_xla_that_runs_out_of_memory_is_passed_over(monkeypatch):
    def fails(n):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory allocating 9 bytes")

    run = Machine(monkeypatch, {"graph": 1e-3}).run("graph")
    choice = trial.measure({"graph": run, "step": fails}, 10)
    assert choice.mode == "graph"
    assert choice.trials[1].note == "does not fit into memory: out of memory allocating 9 bytes"
    with pytest.raises(tf.errors.ResourceExhaustedError):
        trial.measure({"graph": fails}, 10)


def test_an_error_of_the_plain_graph_is_the_users():
    def fails(n):
        raise tf.errors.InvalidArgumentError(None, None, "indices out of range")

    with pytest.raises(tf.errors.InvalidArgumentError):
        trial.measure({"graph": fails, "step": fails}, 10)


def test_the_standard_error_of_a_median():
    """Against its spread over many samples of normal values."""
    rng = random.Random(0)
    found = [
        trial.paired_ratio([1 + rng.gauss(0, 0.02) for _ in range(15)], [1.0] * 15)
        for _ in range(2000)
    ]
    spread = statistics.stdev(middle for middle, _ in found)
    assert statistics.mean(noise for _, noise in found) == pytest.approx(spread, rel=0.1)
