"""What instruments cost: every one is run, and the tables hold them all."""

import dataclasses
import io

import numpy as np

from benchmarks import instruments, tables, workloads


def test_all_instruments_are_measured_and_shown(tmp_path):
    workload = workloads.get("digits")
    data = workload.data()
    data = dataclasses.replace(data, x_train=data.x_train[:96], y_train=data.y_train[:96])
    cost = instruments.measure(workload, data, rounds=1, steps=3, jit=False)
    assert list(cost) == list(instruments.watching("x"))
    assert cost[instruments.NONE]["extra"] == {"median": 0.0, "low": 0.0, "high": 0.0}
    assert all(np.isfinite(entry["steps_per_second"]) for entry in cost.values())
    once = {"doctor": {"seconds": 1.25, "found": "blames nothing"}}
    text = io.StringIO()
    instruments.show(tables.console(file=text), "digits", cost, once, 3)
    assert "NaNPostMortem" in text.getvalue() and "blames nothing" in text.getvalue()


def test_what_came_out_in_a_few_words():
    class Suggests:
        suggestion = 0.0123

    assert instruments._short(Suggests()) == "suggests 0.012"
    assert instruments._short("History(1 epoch)") == "'History"
