"""The benchmark of the length of calls and of feeding: all are measured in turns, and shown."""

import io

import numpy as np
import pytest
import rich.console

from benchmarks import feeding, results, workloads
from tests.benchmarks.files import MACHINE
from trainer.compiling import cost
from trainer.compiling.choice import Choice


def _record():
    seconds = {"1": 4.0, "10": 2.0, "100": 1.0, feeding.CHUNKS: 1.25}
    record = {
        "title": "a title",
        "steps_per_round": 1,
        "mode": "loop",
        "longest": "100",
        "contenders": {name: {"rounds": [s, 2 * s]} for name, s in seconds.items()},
    }
    return results.summarise(record, "100")


def test_the_page_and_the_table_are_of_the_ratios():
    """Chunks take 1.25 where calls of 100 take 1; a length that was left out is blank."""
    about = {"machine": MACHINE, "versions": {"tensorflow": "2.21.0"}}
    measured = {**about, "workloads": {"digits": _record(), "x": {"skipped": ""}}}
    head, _, line, _, where = feeding.to_markdown(measured).splitlines()
    assert "tensorflow 2.21.0" in where
    assert "| 1 | 10 | 100 | 1,000 |" in head
    assert line == ("| a title | loop | 0.188 | 0.375 | 0.75 | | 0.6 | 0.80 (noise 0.0%) |")
    out = io.StringIO()
    feeding.show(rich.console.Console(file=out, width=120), "digits", _record())
    assert "100, by chunks" in out.getvalue() and "0.800" in out.getvalue()


def test_what_could_not_run_says_why():
    out = io.StringIO()
    feeding.show(rich.console.Console(file=out), "mnist", {"title": "t", "skipped": "no MNIST"})
    assert "no MNIST" in out.getvalue()


def test_lengths_are_measured_in_turns(monkeypatch):
    """Calls of 1 and 4 steps, on the device and by chunks: the steps made are those asked for."""
    monkeypatch.setattr(feeding, "CALLS", (1, 4))
    monkeypatch.setattr(cost, "decide", lambda *_: Choice("graph", "for the test"))
    record = feeding.measure(workloads.get("digits"), rounds=2, seconds=0.01)
    assert list(record["contenders"]) == ["1", "4", feeding.CHUNKS]
    for entry in record["contenders"].values():
        assert len(entry["rounds"]) == 2 and min(entry["rounds"]) > 0
    assert (record["mode"], record["longest"]) == ("graph", "4")
    assert record["contenders"]["4"]["ratio"]["median"] == pytest.approx(1.0)


@pytest.mark.parametrize("chunks", [False, True])
def test_a_call_goes_on_over_the_end_of_an_epoch(chunks):
    """Three calls of 3 steps, of epochs of 4: nine updates."""
    workload = workloads.get("digits")
    data = workload.data()
    rows = 4 * workload.batch_size
    x, y = feeding._repeated(data.head(100), rows)
    assert len(x) == rows
    np.testing.assert_array_equal(x[100:], x[: rows - 100])
    trainer = workload.trainer(data, workload.initial_weights(data, seed=0), jit=False)
    source = feeding._source(trainer, x, y, workload.batch_size, chunks)
    contender = feeding.Contender(trainer, source, 3)
    for _ in range(3):
        contender.turn()
    contender.close()
    assert int(trainer.programs.counter) == 9
