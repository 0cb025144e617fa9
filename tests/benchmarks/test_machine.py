"""Waiting until the machine rests: at least so long, and no longer than the most."""

import json
import time

from benchmarks import machine


def test_settle_waits_for_the_processors(monkeypatch):
    ticks = iter([(0, 0), (40, 50), (40, 50), (41, 100)])  # 20 % idle, then 98 %
    slept = []
    monkeypatch.setattr(machine, "busy", lambda: next(ticks))
    monkeypatch.setattr(machine.time, "sleep", slept.append)
    machine.settle(1.0)
    assert slept == [1.0, 0.25, 0.25]


def test_settle_gives_up(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(machine.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(machine.time, "monotonic", lambda: float(next(now)))
    counts = iter(range(10**6))
    monkeypatch.setattr(machine, "busy", lambda: (next(counts), next(counts)))
    assert machine.settle(0.0, most=5.0) <= 7.0


def test_busy_counts_up():
    before = machine.busy()
    begin = time.process_time()
    while time.process_time() - begin < 0.05:
        pass
    after = machine.busy()
    assert after[0] >= before[0]
    assert after[1] >= before[1]


def test_machine_facts_are_json():
    facts = machine.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert facts["cores"] >= 1 and facts["memory_gb"] > 0 and facts["processor"]
    assert machine.versions()["tensorflow"]
    assert 10 < machine.peak_mb() < 1e6
