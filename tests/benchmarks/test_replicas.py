"""The cost of replicas: ratios are paired, and both loops train."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import replicas
from tests.benchmarks.files import MACHINE


def test_times_are_compared_round_by_round():
    seconds = {
        "ours, one device": [1.0, 2.0, 4.0],
        "ours": [2.0, 4.0, 8.0],
        "ours, XLA between": [3.0, 6.0, 12.0],
        replicas.FIT: [8.0, 16.0, 32.0],
    }
    found = replicas.summarise(seconds, steps=10)
    assert found["ours"]["overhead"] == {"median": 2.0, "low": 2.0, "high": 2.0, "noise": 0.0}
    assert found["ours, XLA between"]["overhead"]["median"] == 3.0
    assert found[replicas.FIT]["of_ours"]["median"] == 4.0
    assert "overhead" not in found[replicas.FIT]
    assert found["ours"]["step_ms"]["median"] == 400.0


def test_a_page_has_a_row_for_each_contender_that_ran():
    found = replicas.summarise({"ours, one device": [1.0], "ours": [2.0]}, steps=10)
    record = {"batch_size": 4, "contenders": found}
    measured = {"machine": MACHINE, "versions": {"a": "1"}, "workloads": {"small": record}}
    assert replicas.to_markdown(measured).splitlines() == [
        "| a step on replicas | small, batch 4: ms | x one device | low .. high |",
        "|---|---:|---:|---:|",
        "| ours | 200 | 2.00 | 2.00 .. 2.00 |",
        "",
        "P, 2 cores, 8 GB; Python 3.11, a 1; 2030-01-01.",
    ]


def test_sizes_are_checked():
    assert replicas.check_sizes(["small"])
    with pytest.raises(Exception, match="smal"):
        replicas.check_sizes(["smal"])


def test_fit_makes_one_step_an_execution_on_one_device_and_on_replicas(monkeypatch):
    """Over replicas it fails with more, so one device has no more either."""
    asked = []
    monkeypatch.setattr(keras.Sequential, "compile", lambda self, *_, **how: asked.append(how))
    names = [d.name for d in tf.config.list_logical_devices("CPU")[:2]]
    strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())
    x, y = np.ones([4, 5], "float32"), np.zeros(4, int)
    for where in (None, strategy):
        replicas.CONTENDERS[replicas.FIT](replicas.Size((4, 3), 5, 4, 3), x, y, where)
    assert [how.get("steps_per_execution", 1) for how in asked] == [1, 1]


def test_ours_trains_on_one_device_and_on_replicas(monkeypatch):
    names = [d.name for d in tf.config.list_logical_devices("CPU")[:2]]
    strategy = tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())
    monkeypatch.setattr(replicas, "CONTENDERS", {"ours": replicas.CONTENDERS["ours"]})
    record = replicas.measure(replicas.Size((4, 3), 5, 4, 3), strategy, rounds=1)
    assert set(record["contenders"]) == {"ours", "ours, one device"}
    assert record["contenders"]["ours"]["overhead"]["median"] > 0
