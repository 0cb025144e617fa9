"""The benchmark of ways of compiling: the verdict is of the measured ratios, and is shown."""

import dataclasses
import io

import pytest
import rich.console

from benchmarks import modes, results, workloads
from tests.benchmarks.files import MACHINE
from trainer.compiling import cost
from trainer.compiling.choice import Choice

ABOUT = {"machine": MACHINE, "versions": {"tensorflow": "2.21.0"}}


def _record(**seconds):
    """Two rounds each, the second twice as slow for all: pairs agree."""
    record = {
        "title": "a title",
        "steps_per_round": 10,
        "contenders": {
            name: {"rounds": [s, 2 * s], "fastest": s, "first_step_seconds": 1.0, "first_loss": 2.0}
            for name, s in seconds.items()
        },
    }
    record["contenders"]["auto"]["settings"] = {
        "plan": {"mode": "step", "reason": "measured", "seconds": 6.0}
    }
    return results.summarise(record, modes.AUTO)


def _shown(record):
    out = io.StringIO()
    modes.show(rich.console.Console(file=out, width=120), "digits", record)
    return out.getvalue()


def test_the_verdict_is_of_the_chosen_way_against_the_best():
    """The choice is the step: as asked for, it takes 1.1; the loop takes 1.0."""
    record = _record(auto=5.0, graph=2.0, step=1.1, loop=1.0)
    best, ahead, noise, fastest = modes.verdict(record)
    assert best == "loop"
    assert ahead == fastest == pytest.approx(0.1)
    assert noise == pytest.approx(0.0)
    assert "the best is loop, +10.0% (noise 0.0%) against the choice: NOT within 3%" in _shown(
        record
    )
    assert "its trial took 6.0 s, 1.0% of ten minutes" in _shown(record)
    assert "against the rounds of 'auto' itself: loop +400.0% (noise 0.0%)" in _shown(record)
    assert "+0.0% (noise 0.0%) against the choice: within 3%" in _shown(
        _record(auto=1.0, graph=2.0, step=0.9)
    )
    assert modes.verdict(_record(auto=1.0, graph=0.9))[1] == pytest.approx(1 / 0.9 - 1)


def test_the_page_says_the_same():
    """Of the same record: the loop takes 1.0 where the chosen step takes 1.1."""
    measured = {"workloads": {"digits": _record(auto=5.0, graph=2.0, step=1.1, loop=1.0)}}
    *_, line, _, where = modes.to_markdown(ABOUT | measured).splitlines()
    assert where == "P, 2 cores, 8 GB; Python 3.11, tensorflow 2.21.0; 2030-01-01."
    assert line == (
        "| a title | 3.75 | 6.82 | 7.5 | step | loop +10.0% (noise 0.0%) "
        "| loop +400.0% (noise 0.0%) | 6.0 s, 1.0% |"
    )
    only = {"workloads": {"digits": _record(auto=1.0, graph=2.0, step=0.9), "x": {"skipped": ""}}}
    line = modes.to_markdown(ABOUT | only).splitlines()[2]
    assert "| 8.33 | | step | itself | step +11.1% (noise 0.0%) |" in line


def test_what_could_not_run_says_why():
    assert "no MNIST" in _shown({"title": "t", "skipped": "no MNIST"})


def test_ways_are_measured_in_turns(monkeypatch):
    """Two rounds of two ways of a workload of a few rows: the same first losses, all timed."""
    workload = workloads.get("digits")
    data = workload.data()
    few = dataclasses.replace(data, x_train=data.x_train[:96], y_train=data.y_train[:96])
    monkeypatch.setattr(workload, "data", lambda data_dir=None: few, raising=False)
    monkeypatch.setattr(cost, "decide", lambda *_: Choice("graph", "for the test"))
    record = modes.measure(workload, ["graph"], rounds=2, seconds=0.01)
    assert list(record["contenders"]) == ["auto", "graph"]
    for entry in record["contenders"].values():
        assert len(entry["rounds"]) == 2 and min(entry["rounds"]) > 0
        assert entry["first_step_seconds"] > 0
    assert record["contenders"]["auto"]["settings"]["plan"]["mode"] == "graph"
    assert "x auto" in _shown(record)
